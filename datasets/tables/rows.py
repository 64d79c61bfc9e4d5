"""Rows of a table as blocks of columns, whatever the file: text here, other formats in `frames`."""

from __future__ import annotations

import abc
import csv
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.cells import look_like_names
from gridcnn.datasets.tables.lines import LONGEST, Lines, count_lines, ending_of
from gridcnn.errors import DataError, Problem, quoted, shown, suggestion

_SIGNS = (",", ";", "\t", "|")
_AT_ONCE = 1_024  # rows of a block
_CELLS = 2**20  # cells of a block, about, at most
_CHARACTERS = 2**24  # characters of the lines of a block, about, at most
_LOOKED_AT = 200  # rows by which it is told whether the first line names the columns
_MOST_COLUMNS = 2**20


Cells = Sequence[Any] | NDArray[Any]
"""The cells of a column: texts of a text file, else values; an array if all are numbers."""


@dataclass(frozen=True)
class Form:
    """How a table is written in its file; None: found out when it is opened.

    Attributes:
        header: whether the first line names the columns.
        delimiter: the separator of cells.
        quoting: whether double quotes around a cell may hide separators and line ends.
        strict: whether anything between a closing quote and the end of its cell is an error.
        decimal, thousands: as for `cells.Numbers`.
        encoding: how characters are encoded.
        sheet: the name of the sheet in a file of several.
    """

    header: bool | None = None
    delimiter: str | None = None
    quoting: bool = True
    strict: bool = True
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class Block:
    """Some rows of a table.

    Attributes:
        places: the line, or the number, of each row.
        columns: the cells of each column that was asked for.
    """

    places: Sequence[int]
    columns: Sequence[Cells]


class Rows(abc.ABC):
    """An open table. Rows that are wrong are added to `problems`, and left out.

    Attributes:
        names: what the columns are called; their numbers, from 1, if nothing names them.
        form: how the table is written.
        written: whether cells are texts that may be numbers.
        by_line: whether places are lines, and not the numbers of rows.
        types: what each column holds, for messages; empty if cells are texts.
    """

    names: list[str]
    form: Form
    written = False
    by_line = False
    types: Sequence[str] = ()

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    @property
    def before(self) -> str:
        """The text before a row's number in messages: `t.csv:` or `t.parquet, row `."""
        return f"{self.problems.source}{':' if self.by_line else ', row '}"

    def tell(self, place: int, message: str, column: int | None = None) -> None:
        """Add the problem of a row, which is left out; `column` is where in its line."""
        source = self.problems.source
        if self.by_line:
            problem = Problem(message, source=source, line=place, column=column)
        else:
            problem = Problem(message, source=f"{source}, row {place}")
        self.problems.add_item(place, problem)

    def refuse(self, place: int, message: str) -> None:
        """Add a problem of the whole table, which shows in a row."""
        line = place if self.by_line else None
        self.problems.add(message if self.by_line else f"row {place}: {message}", line=line)

    @abc.abstractmethod
    def blocks(
        self, columns: Sequence[int], *, kept: NDArray[np.int64] | None = None
    ) -> Iterator[Block]:
        """Yield columns of all rows, or of those whose indices are `kept`, which rise from 0.

        A table is read once; a file is opened again to read another time.
        """

    def count(self) -> int:
        """Return how many rows there are, after a look at each of them."""
        raise NotImplementedError

    def known_count(self) -> int | None:
        """Return how many rows there are, if that is known before any is read; else None."""
        return None

    def least_count(self, most: int) -> int:  # noqa: ARG002 - for those that can look
        """Return how many rows there are at least, by a quick look; up to about `most`."""
        return 0


class _Gathered:
    """Gathers rows until they fill a block: by their number, their cells, or their lines."""

    def __init__(self, lines: Lines) -> None:
        self.lines, self._start = lines, lines.characters
        self.places: list[int] = []
        self.rows: list[Sequence[Any]] = []

    def add(self, place: int, cells: Sequence[Any]) -> bool:
        """Add a row; return whether a block is full."""
        self.places.append(place)
        self.rows.append(cells)
        count = len(self.rows)
        return (
            count >= _AT_ONCE
            or count * len(cells) >= _CELLS
            or self.lines.characters - self._start >= _CHARACTERS
        )

    def block(self) -> Block:
        """Return what was gathered, and start over."""
        block = Block(self.places, list(zip(*self.rows, strict=True)))
        self.places, self.rows, self._start = [], [], self.lines.characters
        return block


class _Text(Rows):
    """A table in a text file: row after row."""

    by_line = True

    def __init__(self, lines: Lines, form: Form, problems: Problems) -> None:
        super().__init__(problems)
        self.lines = lines
        self.form = replace(form, encoding=lines.encoding)
        self.rows = 0

    def blocks(
        self, columns: Sequence[int], *, kept: NDArray[np.int64] | None = None
    ) -> Iterator[Block]:
        """Yield columns of all rows, or of those that are `kept`."""
        wanted = None if kept is None else set(kept.tolist())
        gathered = _Gathered(self.lines)
        try:
            for place, cells in self.each(columns, wanted):
                if gathered.add(place, cells):
                    yield gathered.block()
        except DataError:
            if gathered.rows:
                yield gathered.block()  # what stands before a fault of the file can be used
            raise
        if gathered.rows:
            yield gathered.block()

    def count(self) -> int:
        """Return how many rows there are, after a look at each of them."""
        for _ in self.each((), ()):
            pass
        return self.rows

    def least_count(self, most: int) -> int:
        """Return how many rows there are at least, by the ends of lines; up to about `most`."""
        wide = self.lines.encoding.lower().startswith(("utf-16", "utf-32", "utf16", "utf32"))
        if wide or not places.is_file(self.problems.source):
            return 0
        return count_lines(self.problems.source, most, quoting=self.quoting) - 1  # the header

    @property
    def quoting(self) -> bool:
        """Whether a row may take several lines, between quotes."""
        return False

    @abc.abstractmethod
    def each(
        self, columns: Sequence[int], wanted: Collection[int] | None
    ) -> Iterator[tuple[int, list[Any]]]:
        """Yield place and cells of each wanted row, and count all of them in `rows`."""


class Delimited(_Text):
    """A file of cells between signs: CSV, TSV and their relatives.

    Args:
        lines: its lines.
        form: how it is written, as far as that is known.
        problems: takes what is wrong.
        wanted: the requested columns; from them the separator and the header are found.
        trained: whether `form` is that of the training: a file that lacks the columns by its
            separator may have another, and another sign before decimals.
    """

    written = True

    def __init__(
        self,
        lines: Lines,
        form: Form,
        problems: Problems,
        *,
        wanted: Collection[str] = (),
        trained: bool = False,
    ) -> None:
        super().__init__(lines, form, problems)
        # Python's own limit is 131,072 characters, for all readers together.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
        first = next(lines, "")
        other = delimiter_of(first, problems.source, wanted=wanted)
        self.sign = form.delimiter or other
        if trained and _fitting(first, other, wanted) > _fitting(first, self.sign, wanted):
            self.sign, self.form = other, replace(self.form, decimal=None, thousands=None)
        self._rest: Iterator[str] = itertools.chain([first] if first else [], lines)
        self._ahead: list[tuple[int, list[str]]] = []
        begin = self._begin(blank=form.header is not False)
        if form.header is not False and not any(begin[1]):
            problems.add("is empty; its first line must name the columns", line=1)
            problems.stop()
        header = self._has_header(begin[1], wanted) if form.header is None else form.header
        self.form = replace(self.form, header=header, delimiter=self.sign)
        self.names, self._whose = begin[1], "the first line names"
        if not header:
            self.names = [str(number) for number in range(1, len(begin[1]) + 1)]
            self._whose = f"line {begin[0]} has"
            self._ahead.insert(0, begin)

    @property
    def quoting(self) -> bool:
        """Whether a row may take several lines, between quotes."""
        return self.form.quoting

    def _begin(self, *, blank: bool) -> tuple[int, list[str]]:
        """Return line and cells of the first row, which may be `blank`; none if there is no row."""
        for line, cells in self._raw():
            if blank or any(cells):
                return line, [cell.strip() for cell in cells]
        return 1, []

    def _has_header(self, first: list[str], wanted: Collection[str]) -> bool:
        if wanted:
            # Columns that are asked for by numbers are those of a table without names.
            names = {cell.casefold() for cell in first}
            by_number = all(name.isdecimal() for name in wanted)
            return not by_number or {name.casefold() for name in wanted} <= names
        size = 0
        for row in itertools.islice(self._raw(), _LOOKED_AT):
            self._ahead.append(row)
            size += len(row[1])
            if size >= _CELLS or self.lines.characters >= _CHARACTERS:
                break
        return look_like_names(first, [cells for _, cells in self._ahead])

    def _raw(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line and cells of each row, blank ones as well."""
        for line in self._rest:
            # A quoted cell may take more lines; a row is called by the first.
            yield self.lines.number, self._cells(line)

    def _cells(self, line: str) -> list[str]:
        """Return the cells of a row that begins with a line; a quoted cell may take more lines."""
        if len(line) > _MOST_COLUMNS and line.count(self.sign) >= _MOST_COLUMNS:
            message = f"has more than {_MOST_COLUMNS:,} cells, too many for a row"
            self.problems.add(message, line=self.lines.number)
            self.problems.stop()
        if not (self.form.quoting and '"' in line):
            return line.rstrip("\r\n").split(self.sign)
        reader = csv.reader(
            itertools.chain([line], self._rest), delimiter=self.sign, strict=self.form.strict
        )
        try:
            return next(reader, [])
        except csv.Error as error:
            self.problems.add(
                f"is not valid CSV: {error}; is a quotation mark left open? If quotes are ordinary "
                "characters, set 'quoting: false'",
                line=self.lines.number,
            )
            self.problems.stop()
            raise

    def each(
        self, columns: Sequence[int], wanted: Collection[int] | None
    ) -> Iterator[tuple[int, list[Any]]]:
        """Yield line and cells of each wanted row."""
        width = len(self.names)
        for line, cells in itertools.chain(self._ahead, self._raw()):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != width:
                count = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
                advice = "; put quotes around a cell with a separator in it"
                self.tell(
                    line,
                    f"has {count}, but {self._whose} {width}{advice if self.form.quoting else ''}",
                )
                continue
            if wanted is None or self.rows in wanted:
                yield line, [cells[column] for column in columns]
            self.rows += 1


def delimiter_of(first: str, place: str, *, wanted: Collection[str]) -> str:
    """Return the sign by which a first line has the wanted columns, or else the most cells.

    A file whose name says TSV is separated by tabs.
    """
    if ending_of(place) in (".tsv", ".tab"):
        return "\t"
    return max(_SIGNS, key=lambda sign: (_fitting(first, sign, wanted), first.count(sign)))


def _fitting(first: str, sign: str, wanted: Collection[str]) -> int:
    """Return how many of the wanted columns a first line has, if a sign separates its cells."""
    names = {cell.strip().strip('"').casefold() for cell in first.rstrip("\r\n").split(sign)}
    return len(names.intersection(name.casefold() for name in wanted))


class Smiles(_Text):
    """A file of molecules: a SMILES in each line, then perhaps a name, after spaces or a tab.

    What CXSMILES has between bars belongs to the SMILES. A first line that begins with the word
    SMILES names the columns; with several tabs in it, there are more than two. Lines that begin
    with `#` are comments.

    Args:
        lines: its lines.
        form: how it is written, as far as that is known.
        problems: takes what is wrong.
        wanted: columns that are asked for.
        trained: whether they are those of a training: the first is that of the SMILES, whatever it
            is called here.
    """

    written = True

    def __init__(
        self,
        lines: Lines,
        form: Form,
        problems: Problems,
        *,
        wanted: Collection[str] = (),
        trained: bool = False,
    ) -> None:
        super().__init__(lines, form, problems)
        first = next((line for line in lines if _counts(line)), "")
        self._number = lines.number
        self._tabs = first.count("\t") > 1
        cells = self._cells(first)
        # Whether another file than that of the training has a header can be seen.
        named = cells[0].casefold() in _SMILES
        header = named if trained or form.header is None else form.header
        self._ahead = [] if header else [first]
        self.names = ["smiles", "name", *map(str, range(3, len(cells) + 1))]
        if header:
            self.names = cells if cells[1] else [cells[0], "name"]
        asked = next(iter(wanted), None)
        if trained and asked is not None and asked not in self.names:
            self.names[0] = asked
        self.form = replace(self.form, header=header)

    def _cells(self, line: str) -> list[str]:
        if self._tabs:
            return [cell.strip() for cell in line.split("\t")]
        smiles, *rest = line.split(None, 1) or [""]
        name = rest[0].strip() if rest else ""
        end = name.find("|", 1) + 1
        if name.startswith("|") and end:
            smiles, name = f"{smiles} {name[:end]}", name[end:].strip()
        return [smiles, name]

    def _each_line(self) -> Iterator[tuple[int, str]]:
        for line in self._ahead:
            yield self._number, line
        for line in self.lines:
            yield self.lines.number, line

    def each(
        self, columns: Sequence[int], wanted: Collection[int] | None
    ) -> Iterator[tuple[int, list[Any]]]:
        """Yield line, SMILES and name of each wanted molecule."""
        for number, line in self._each_line():
            if not _counts(line):
                continue
            cells = self._cells(line)
            if len(cells) != len(self.names):
                message = f"has {len(cells)} cells, but the first line has {len(self.names)}"
                self.tell(number, message)
                continue
            if wanted is None or self.rows in wanted:
                yield number, [cells[column] for column in columns]
            self.rows += 1


_SMILES = frozenset({"smiles", "smile", "canonical_smiles", "isomeric_smiles"})
"""How a first line calls the column of the SMILES, in lower case."""


def _counts(line: str) -> bool:
    """Return whether a line holds a molecule, and is not a comment."""
    return bool(line.strip()) and not line.startswith("#")


class JsonLines(_Text):
    """A file with a JSON object in each line, whose names are the columns.

    Args:
        lines: its lines.
        form: how it is written, as far as that is known.
        problems: takes what is wrong.
        complete: whether all lines must have the same names.
    """

    def __init__(
        self, lines: Lines, form: Form, problems: Problems, *, complete: bool = False
    ) -> None:
        super().__init__(lines, form, problems)
        self._complete = complete
        self._begin = next(self._objects(), None)
        self.names = [] if self._begin is None else list(self._begin[1])

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for line in self.lines:
            if line.strip():
                given = self._object(line, self.lines.number)
                if given is not None:
                    yield self.lines.number, given

    def _object(self, line: str, number: int) -> dict[str, Any] | None:
        """Return the object of a line; if there is none, add a problem and return None."""
        try:
            given = json.loads(line.rstrip("\r\n"))
        except json.JSONDecodeError as error:
            self.tell(number, f"is not valid JSON: {error.msg}", error.colno)
            return None
        except (ValueError, RecursionError) as error:
            reason = str(error).split(";")[0]
            self.tell(number, f"is not readable JSON: {reason}")
            return None
        if isinstance(given, dict):
            return given
        self.tell(
            number, f"is not an object, {{...}}, with a value for each column: {shown(given)}"
        )
        return None

    def each(
        self, columns: Sequence[int], wanted: Collection[int] | None
    ) -> Iterator[tuple[int, list[Any]]]:
        """Yield line and values of each wanted row."""
        names = [self.names[column] for column in columns]
        begin = [] if self._begin is None else [self._begin]
        for line, given in itertools.chain(begin, self._objects()):
            if not self._has_all(line, given, self.names if self._complete else names):
                continue
            if wanted is None or self.rows in wanted:
                yield line, [given[name] for name in names]
            self.rows += 1

    def _has_all(self, line: int, given: dict[str, Any], names: Iterable[str]) -> bool:
        """Return whether an object has exactly the right names; add a problem if not."""
        missing = [name for name in names if name not in given]
        for name in missing:
            near = suggestion(name, [each for each in given if each not in self.names])
            self.tell(line, f"has no {quoted(name)}{near or '; every line must have it, or null'}")
        others = [name for name in given if name not in self.names] if self._complete else []
        for name in others:
            self.tell(line, f"has {quoted(name)}, which the first line does not have")
        return not (missing or others)


def text_rows(
    lines: Lines,
    form: Form,
    problems: Problems,
    *,
    wanted: Collection[str] = (),
    complete: bool = False,
    trained: bool = False,
) -> Rows:
    """Return the rows of a text file, by the ending of its name.

    `wanted` and `trained` are as for `Delimited`; `complete` is as for `JsonLines`.
    """
    ending = ending_of(problems.source)
    if ending in (".jsonl", ".ndjson"):
        return JsonLines(lines, form, problems, complete=complete)
    if ending in SMILES_ENDINGS:
        return Smiles(lines, form, problems, wanted=wanted, trained=trained)
    return Delimited(lines, form, problems, wanted=wanted, trained=trained)


SMILES_ENDINGS = (".smi", ".smiles")
"""Endings of files of molecules."""
TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", *SMILES_ENDINGS)
"""Endings of tables that are text."""
