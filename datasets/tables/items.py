"""The items of a table: which columns are what, and what each row gives."""

from __future__ import annotations

import contextlib
import itertools
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import Dataset, Label
from gridcnn.datasets import places
from gridcnn.datasets.labels import (
    PART_NAMES,
    no_part,
    plain_value,
    refuse_twins,
)
from gridcnn.datasets.problems import Problems, bad_items_error
from gridcnn.datasets.several import of_label_sets
from gridcnn.datasets.tables import frames, lines
from gridcnn.datasets.tables.cells import Numbers, has_doubtful_points, is_whole
from gridcnn.datasets.tables.lines import ending_of
from gridcnn.datasets.tables.row_labels import labels_of_block
from gridcnn.datasets.tables.rows import TEXT_ENDINGS, Block, Cells, Form, Rows, text_rows
from gridcnn.datasets.tables.store import Allowance, NumberStore, ThingStore
from gridcnn.errors import DataError, Problem, listed, quoted, shown, suggestion
from gridcnn.progress import Advance, Counter
from gridcnn.settings.label_columns import LabelCells, LabelPattern, Labels, label_columns

ENDINGS = (*TEXT_ENDINGS, *frames.FRAME_ENDINGS)
"""Endings of tables; text may be packed besides, as in .csv.gz."""
COUNTING = frozenset({"", "id", "index", "row", "no", "nr", "number", "unnamed: 0", "unnamed"})
"""Names of columns that only count rows, in lower case."""
_ADVICE = {
    (".zip", ".tar", ".tgz", ".7z", ".rar", ".gz"): "unpack it",
    (".json",): "write one object a line, without a list around them, as .jsonl",
    (".sas7bdat", ".xpt", ".sav", ".orc", ".arrow", ".h5"): "save it as Parquet or CSV",
}
_SHARED = 2**16  # labels, parts and groups that rows share, about, at most
_FEWEST = 10  # rows that tell what a column is


@dataclass(frozen=True)
class Columns:
    """The requested columns of a table, by name.

    Attributes:
        input: one column of texts or files; a list of columns of numbers; None: all numbers.
        label, split, group: the columns with more about each item; None if there is none. Of
            labels there may be several columns.
    """

    input: str | tuple[str, ...] | None = None
    label: Labels | None = None
    split: str | None = None
    group: str | None = None

    @property
    def about(self) -> tuple[str, ...]:
        """The columns with more about each item, as far as they are named."""
        others = (name for name in (self.split, self.group) if name is not None)
        return (*label_columns(self.label), *others)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of the input that are named."""
        return (self.input,) if isinstance(self.input, str) else self.input or ()


@contextlib.contextmanager
def opened_rows(
    given: Any,
    form: Form,
    problems: Problems,
    *,
    wanted: Sequence[str] = (),
    complete: bool = False,
    trained: bool = False,
    advance: Advance | None = None,
) -> Iterator[Rows]:
    """Open a table: the path of a file, an open binary file, or a data frame.

    Args:
        given: what to open. `problems.source` is what messages call it; for an open file its ending
            gives the format.
        form: how it is written, as far as that is known.
        problems: takes what is wrong with it.
        wanted: the requested columns; from them the separator and the header are found.
        complete: whether all lines of JSON must have the same names.
        trained: whether `form` is that of the training, and the file may be written in another way.
        advance: is called with the progress, for a text file.

    Raises:
        DataError: it cannot be read.
    """
    # A data frame may have a column of that name, which is not callable.
    if not isinstance(given, str) and not callable(getattr(given, "read", None)):
        yield frames.FrameRows(given, form, problems)
        return
    place = problems.source
    if ending_of(place) in frames.FRAME_ENDINGS and isinstance(given, str):
        with frames.opened_frame(place, form, problems) as rows:
            yield rows
        return
    with (
        lines.open_lines(given) if isinstance(given, str) else contextlib.nullcontext(given) as file
    ):
        size = places.size(given) if isinstance(given, str) else 0
        counter = Counter(advance, "reading the table", size, unit="bytes")
        text = lines.Lines(file, problems, encoding=form.encoding, counter=counter)
        yield text_rows(text, form, problems, wanted=wanted, complete=complete, trained=trained)


def place_of(path: str, *, any_ending: bool = False) -> str:
    """Return where the file of a table is; raise `DataError` if it cannot be read as one."""
    if "\0" in path:
        raise DataError(f"{shown(path)} cannot be a path")
    place = places.at_home(path)
    if "://" in place:
        message = "a web address cannot be read; download the file, and give its path"
    elif places.is_folder(place):
        message = "is a folder; give the table's file"
    elif not places.is_file(place):
        message = places.why_not_file(place)
    elif ending_of(place) in ENDINGS or any_ending:
        return place
    else:
        name = place.lower()
        advice = next((text for ends, text in _ADVICE.items() if name.endswith(ends)), "")
        message = f"a table is {listed(ENDINGS)}{advice and '; ' + advice}"
    raise DataError(Problem(message, source=place))


# Columns ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Where:
    """The index of each column that is asked for."""

    inputs: tuple[int, ...]
    labels: tuple[int, ...]
    split: int | None
    group: int | None

    @property
    def all(self) -> list[int]:
        about = [each for each in (self.split, self.group) if each is not None]
        return [*self.inputs, *self.labels, *about]


def find_columns(
    rows: Rows, columns: Columns, *, labelled: bool = True, trained: bool = False
) -> _Where:
    """Return where the columns are.

    Args:
        rows: the open table.
        columns: what is asked for.
        labelled: whether the columns of labels, parts and groups must be there.
        trained: whether `columns` are those of a training, which the message then says.

    Raises:
        DataError: columns are missing, or two have the same name; all of these are reported
            together.
    """
    finder = _Finder(rows, trained=trained)
    inputs = tuple(finder.find(name) for name in columns.inputs)
    labels = [
        finder.find(name) for name in finder.labels(columns) if labelled or name in rows.names
    ]
    split, group = (
        finder.find(name) if name is not None and (labelled or name in rows.names) else None
        for name in (columns.split, columns.group)
    )
    if columns.input is None:
        inputs = finder.others([*labels, split, group])
    finder.stop()
    return (
        _Where(inputs, tuple(labels), split, group) if labelled else _Where(inputs, (), None, None)
    )


class _Finder:
    def __init__(self, rows: Rows, *, trained: bool) -> None:
        self.rows, self.trained = rows, trained
        self.line = 1 if rows.by_line and rows.form.header is not False else None
        self.lacking: list[str] = []

    def find(self, name: str) -> int:
        names = self.rows.names
        count = names.count(name)
        if count == 1:
            return names.index(name)
        if count:
            message = f"{count} columns are named {quoted(name)}; keep one"
            self.rows.problems.add(message, line=self.line)
        else:
            self.lacking.append(name)
        return -1

    def labels(self, columns: Columns) -> Sequence[str]:
        """Return the names of the columns of labels."""
        if not isinstance(columns.label, LabelPattern):
            return label_columns(columns.label)
        matching = columns.label.matching(self.rows.names, [*columns.inputs, *columns.about])
        if not matching and self.rows.names:
            self.rows.problems.add(
                f"no column has a name that the pattern {quoted(columns.label.pattern)} of the "
                f"labels matches as a whole. It has: "
                f"{listed([quoted(name)[1:-1] for name in self.rows.names])}",
                line=self.line,
            )
        return matching

    def others(self, used: Sequence[int | None]) -> tuple[int, ...]:
        """Return all columns that have no other use."""
        names = self.rows.names
        others = [index for index in range(len(names)) if index not in used]
        for index in others:
            if names.count(names[index]) > 1 and names.index(names[index]) == index:
                self.find(names[index])
        if not others and not self.lacking:
            message = "has no column for 'input': all columns have another use"
            self.rows.problems.add(message, line=self.line)
        return tuple(others)

    def stop(self) -> None:
        """Raise `DataError` if anything is wrong."""
        problems = self.rows.problems
        if self.lacking:
            problems.add(self._lacks(), line=self.line)
        problems.stop()

    def _lacks(self) -> str:
        names, missing = self.rows.names, self.lacking
        if not names:
            return "has no rows"
        several = "columns" if len(missing) > 1 else "column"
        message = f"has no {several} {listed([quoted(name) for name in missing])}"
        near = suggestion(missing[0], names) if len(missing) == 1 else ""
        if near:
            message += near
        elif self.rows.form.header is False:
            message += "; without a header, columns are called by their numbers."
        elif self._looks_like_row():
            message += "; its first line holds numbers: is the line with the names missing?"
            if not self.trained:
                message += " Then set 'header: false', and call columns by their numbers, from 1."
        elif all(name.isdecimal() for name in missing) and self.rows.by_line:
            message += "; columns are called by their numbers with 'header: false'."
        else:
            message += "."
        if self.trained:
            message += (
                " The model was trained on columns of these names, and accepts them in any order."
            )
        return f"{message} It has: {listed([quoted(name)[1:-1] for name in names])}"

    def _looks_like_row(self) -> bool:
        values = [Numbers(".", "none").read([name]) for name in self.rows.names if name]
        return self.rows.written and sum(value is not None for value in values) * 2 > len(values)


# Cells ------------------------------------------------------------------------------------------


class _Inputs:
    """Reads the inputs of blocks; numbers as float64, texts and files as they are.

    `trained` says that a model chose the columns, so that others cannot be advised.
    """

    def __init__(
        self, rows: Rows, columns: Columns, where: _Where, *, missing: bool, trained: bool
    ) -> None:
        self.rows, self.columns, self.where = rows, columns, where
        self.missing, self.trained = missing, trained
        form = rows.form
        self.numbers = Numbers(form.decimal, form.thousands, written=rows.written)
        self.are_texts = isinstance(columns.input, str)
        self.first = True
        self.doubtful: list[str] = []

    def read(self, block: Block, cells: Sequence[Cells]) -> tuple[Any, NDArray[np.bool_]]:
        """Return the inputs of a block's rows, and which of them can be used, `(rows,)`.

        Args:
            block: the rows.
            cells: the columns of the inputs.
        """
        good = np.ones(len(block.places), np.bool_)
        if self.are_texts:
            return self._texts(block, cells[0], good), good
        if self.first:
            self._refuse_texts(block, cells)
        values = np.empty((len(block.places), len(cells)))
        for place, column in enumerate(cells):
            values[:, place] = self._column(block, self.where.inputs[place], column, good)
        self.first = False
        return values, good

    def _texts(self, block: Block, cells: Cells, good: NDArray[np.bool_]) -> list[Any]:
        name = quoted(str(self.columns.input))
        for row, value in enumerate(cells):
            if isinstance(value, str):
                if not value.isascii() and not is_whole(value):
                    good[row] = False
                    message = f"the column {name} has half a character (a lone surrogate)"
                    self.rows.tell(block.places[row], message)
            elif not isinstance(value, bytes | list | np.ndarray):
                good[row] = False
                given = "nothing in it" if value is None else shown(value)
                message = f"the column {name} has {given}, which is not a text"
                self.rows.tell(block.places[row], message)
        return [np.array(value, np.float64) if _is_list(value) else value for value in cells]

    def _column(
        self, block: Block, index: int, cells: Cells, good: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return a column as numbers; NaN in rows that are not good, or lack one."""
        values = self.numbers.read(cells)
        if self.first and self.rows.written and has_doubtful_points(cells):
            self.doubtful.append(self.rows.names[index])
        if values is None:
            values = np.array([self._value(cell) for cell in cells], np.float64)
        name = quoted(self.rows.names[index])
        fixed = self.trained or self.columns.input
        others = "" if fixed else "; or list the columns of numbers in 'input'"
        for row in np.flatnonzero(~np.isfinite(values)).tolist():
            problem = self.numbers.problem(plain_value(cells[row]))
            lacks = "has no number" in problem
            if not (self.missing and lacks):
                good[row] = False
                filled = "" if self.trained or not lacks else "; or set adapter.table.missing: mean"
                told = f"the column {name} {problem}{filled}{others}"
                self.rows.tell(block.places[row], told)
        return values

    def _value(self, cell: Any) -> float:
        values = self.numbers.read([cell])
        return math.nan if values is None else float(values[0])

    def _refuse_texts(self, block: Block, cells: Sequence[Cells]) -> None:
        """Raise `DataError` if columns hardly hold any numbers: one problem for all of them."""
        texts: dict[str, str] = {}
        things: list[str] = []  # columns that have a whole thing in each cell
        for index, column in zip(self.where.inputs, cells, strict=True):
            if self.numbers.read(column) is None:
                problems = [self.numbers.problem(plain_value(cell)) for cell in column]
                present = [n for n, each in enumerate(problems) if "no number" not in each]
                wrong = [n for n in present if problems[n]]
                many = len(wrong) > _FEWEST and 2 * len(wrong) > len(present)
                if wrong and (many or len(wrong) == len(present)):
                    name = self.rows.names[index]
                    texts[name] = problems[wrong[0]]
                    if isinstance(column[wrong[0]], bytes) or _is_list(column[wrong[0]]):
                        things.append(name)
        if texts:
            first, types = next(iter(texts)), self.rows.types
            names = listed([quoted(name) for name in texts], limit=8)
            held = f" ({types[self.rows.names.index(first)]})" if types else ""
            several = "columns" if len(texts) > 1 else "column"
            advice = "; list the columns of numbers in 'input', or give one column of texts"
            if things:
                advice = f"; if a cell of {quoted(things[0])} is an item, set input: {things[0]}"
            message = f"no numbers in the {several} {names}{held}; the first {texts[first]}"
            message = message.partition("; fill it in")[0].partition("; write")[0]
            self.rows.refuse(block.places[0], message + advice * (not self.trained))
            self.rows.problems.stop()


def _is_list(value: Any) -> bool:
    return isinstance(value, list | np.ndarray)


# Items ------------------------------------------------------------------------------------------


@dataclass
class _Read:
    """What is read of a table so far."""

    places: array[int] = field(default_factory=lambda: array("q"))
    labels: list[Any] = field(default_factory=list)
    marks: list[NDArray[np.float32]] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    rows: int = 0
    known: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, values: Iterable[Any]) -> None:
        """Add labels, parts or groups; rows share those that are equal texts."""
        if len(self.known) < _SHARED:
            one = self.known.setdefault
            values = [one(value, value) if isinstance(value, str) else value for value in values]
        getattr(self, kind).extend(values)


def read_items(
    rows: Rows, columns: Columns, *, missing: bool = False, trained: bool = False
) -> tuple[Dataset, Columns]:
    """Return the labelled items of an open table, and the columns with all inputs named.

    A row that cannot be used is left out, with a problem in the data set.

    Args:
        rows: the open table.
        columns: what is asked for; `label` must be.
        missing: whether a number may be missing, and is NaN then.
        trained: as for `find_columns`.

    Raises:
        DataError: columns are missing, no row can be used, or they take more than there is.
    """
    where = find_columns(rows, columns, trained=trained)
    allowance = Allowance(rows.problems.source)
    count = rows.known_count()
    if count is not None:
        allowance.expect(count, 0 if isinstance(columns.input, str) else len(where.inputs))
    inputs = _Inputs(rows, columns, where, missing=missing, trained=trained)
    numbers, things = NumberStore(len(where.inputs)), ThingStore()
    read = _Read()
    counting: list[int] = []
    for block in rows.blocks(where.all):
        allowance.add(len(block.places), rows.least_count)
        cells = block.columns[: len(where.inputs)]
        if inputs.first and columns.input is None:
            counting = _counting(rows, where, cells)
            rest = tuple(index for index in where.inputs if index not in counting)
            if counting and rest:
                numbers = NumberStore(len(rest))
                inputs.where = replace(where, inputs=rest)
        if inputs.where is not where:
            cells = [
                column
                for index, column in zip(where.inputs, cells, strict=True)
                if index in inputs.where.inputs
            ]
        values, good = inputs.read(block, cells)
        _read_about(rows, columns, where, block, good, read)
        read.rows += len(block.places)
        read.places.extend(itertools.compress(block.places, good.tolist()))
        if inputs.are_texts:
            things.add(each for each, use in zip(values, good, strict=True) if use)
        else:
            numbers.add(values[good])
    names = tuple(rows.names[index] for index in inputs.where.inputs)
    resolved = columns if columns.input is not None else replace(columns, input=names)
    if isinstance(columns.label, LabelPattern):
        resolved = replace(resolved, label=tuple(rows.names[index] for index in where.labels))
    notes = [*inputs.numbers.notes, *_counting_notes(rows, counting, inputs)]
    if trained:
        notes += others_note(rows, [rows.names[index] for index in where.all])
    rows.form = replace(
        rows.form, decimal=inputs.numbers.decimal, thousands=inputs.numbers.thousands
    )
    items = things.all() if inputs.are_texts else numbers.all()
    return _dataset(rows, resolved, read, items, notes), resolved


def _counting(rows: Rows, where: _Where, cells: Sequence[Cells]) -> list[int]:
    """Return the inputs that only count the rows: their steps are equal, or they are called so."""
    found = []
    for index, column in zip(where.inputs, cells, strict=True):
        name = rows.names[index].strip().casefold()
        values = Numbers(".", "none", written=rows.written).read(column)
        fewest = 1 if name in COUNTING else _FEWEST
        if values is None or np.isnan(values).any() or len(values) <= fewest:
            continue
        steps = np.diff(values)
        is_counting = (values == np.round(values)).all() and len(np.unique(values)) == len(values)
        equal = (steps == steps[0]).all() and steps[0] != 0
        if equal or (is_counting and name in COUNTING):
            found.append(index)
    unnamed = [index for index in where.inputs if not rows.names[index] and index not in found]
    for index in unnamed:
        rows.refuse(
            1,
            f"column {index + 1} has no name; give it one, or list the columns to use in 'input'",
        )
    rows.problems.stop()
    return found


def _counting_notes(rows: Rows, counting: Sequence[int], inputs: _Inputs) -> list[str]:
    notes = []
    names = [quoted(rows.names[each]) for each in counting if each not in inputs.where.inputs]
    if names:
        several = len(names) > 1
        notes.append(
            f"left out, since {'they' if several else 'it'} only count{'s' * (not several)} the "
            f"rows: the column{'s' * several} {listed(names)}; to use "
            f"{'them, name them' if several else 'it, name it'} in 'input'"
        )
    if inputs.doubtful:
        columns = listed([quoted(name) for name in inputs.doubtful], limit=4)
        notes.append(
            f"numbers such as 1.002 in {columns} are read as decimals; if the point separates "
            "thousands, set thousands: '.'"
        )
    return notes


def others_note(rows: Rows, used: Sequence[str]) -> list[str]:
    """Return a note on columns that the training did not have, if there are any."""
    others = [quoted(name) for name in rows.names if name not in used and name]
    if not others:
        return []
    several = "columns" if len(others) > 1 else "column"
    return [f"not columns of the training, and ignored: the {several} {listed(others, limit=8)}"]


def _read_about(
    rows: Rows,
    columns: Columns,
    where: _Where,
    block: Block,
    good: NDArray[np.bool_],
    read: _Read,
) -> None:
    """Read labels, part and group of each row; mark rows that cannot be used."""
    cells = iter(block.columns[len(where.inputs) :])
    found: dict[str, list[Any]] = {}
    if columns.label is not None and where.labels:
        names = [rows.names[index] for index in where.labels]
        of_rows = [next(cells) for _ in where.labels]
        labels = labels_of_block(rows, columns.label, names, block.places, of_rows, good)
        if isinstance(labels, list):
            found["labels"] = labels
        else:
            read.marks.append(labels[good])
    if where.split is not None:
        found["splits"] = [text_of(value) for value in _as_list(next(cells))]
    if where.group is not None:
        groups = [text_of(value) for value in _as_list(next(cells))]
        for row, group in enumerate(groups):
            if not group:
                good[row] = False
                name = quoted(str(columns.group))
                message = f"the group in {name} is empty; give every row a group"
                rows.tell(block.places[row], message)
        found["groups"] = groups
    for kind, values in found.items():
        read.add(kind, itertools.compress(values, good.tolist()))


def _as_list(cells: Cells) -> Sequence[Any]:
    return cells.tolist() if isinstance(cells, np.ndarray) else cells


def text_of(value: Any) -> str:
    """Return a cell that names a part or a group, which may be a number; empty if missing."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if missing else str(value).strip()


def _dataset(
    rows: Rows, columns: Columns, read: _Read, things: Any, notes: Sequence[str]
) -> Dataset:
    """Return what was read; raise `DataError` if it cannot be used as a whole."""
    problems = rows.problems
    has_parts = any(read.splits)
    if has_parts:
        for place, part in zip(read.places, read.splits, strict=True):
            if part.casefold() not in PART_NAMES:
                rows.refuse(place, no_part(part))
    labels: Any = read.labels
    names: tuple[Label, ...] | None = None
    if isinstance(columns.label, str):
        refuse_twins(set(labels), f"the column {quoted(columns.label)}", problems)
    elif isinstance(columns.label, LabelCells):
        several = of_label_sets(labels, f"the column {quoted(columns.label.column)}", problems)
        labels, names = several.rows, several.names
    elif columns.label is not None:
        names = label_columns(columns.label)
        labels = np.concatenate([*read.marks, np.zeros((0, len(names)), np.float32)])
    if not read.rows:
        problems.add("has no rows")
    problems.stop()
    bad = problems.items()
    if not read.places:
        raise bad_items_error(bad, read.rows)
    word = "line" if rows.by_line else "row"
    return Dataset(
        things,
        labels,
        places.Numbered(f"{word} ", read.places),
        [PART_NAMES[part.casefold()] for part in read.splits] if has_parts else None,
        origin=problems.source,
        notes=notes,
        places=places.Numbered(rows.before, read.places),
        groups=read.groups if columns.group is not None else None,
        bad=bad,
        label_names=names,
    )


# Questions --------------------------------------------------------------------------------------


def read_questions(
    rows: Rows, columns: Columns, *, missing: bool = False
) -> Iterator[tuple[Sequence[str], Any, Sequence[Problem]]]:
    """Yield what to call some rows, their things, and the problems of others, block by block.

    Columns of labels, parts and groups are ignored.

    Raises:
        DataError: columns are missing, the file cannot be read to its end, or has no rows.
    """
    where = find_columns(rows, columns, labelled=False, trained=True)
    inputs = _Inputs(rows, columns, where, missing=missing, trained=True)
    count = 0
    for block in rows.blocks(where.inputs):
        values, good = inputs.read(block, block.columns)
        count += len(block.places)
        chosen = np.flatnonzero(good).tolist()
        names = places.Numbered(rows.before, [block.places[row] for row in chosen])
        things = [values[row] for row in chosen] if inputs.are_texts else values[good]
        yield names, things, rows.problems.items()
    bad = rows.problems.items()
    if bad:
        yield (), [], bad
    if not count and not bad:
        rows.problems.add("has no rows")
        rows.problems.stop()
