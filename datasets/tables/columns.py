"""The likely use of each column of a new table."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.datasets.labels import PART_NAMES
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.cells import MISSING, Numbers
from gridcnn.datasets.tables.items import COUNTING, opened_rows, place_of
from gridcnn.datasets.tables.rows import Cells, Form, Rows
from gridcnn.errors import DataError, listed, quoted, shown, suggestion

_CELLS = 2**20  # cells that are looked at, about, at most
_LOOKED_AT = 2_000  # rows
_LABELS = ("label", "labels", "class", "target", "category", "kind", "type", "y", "species")
_TEXTS = ("text", "texts", "message", "sentence", "review", "comment", "body", "title", "smiles")
_NO_TEXTS = frozenset(
    (
        *("name", "names", "surname", "firstname", "lastname", "fullname", "author", "person"),
        *("user", "username", "customer", "owner", "email", "mail", "phone", "address", "street"),
        *("city", "town", "country", "place", "location", "url", "link", "path", "file"),
        *("filename", "id", "key", "uuid", "code", "number", "date", "time"),
    )
)
"""Words in names of columns that name things or people: texts to learn from only if one says so."""
_SPLITS = ("split", "part", "set", "subset", "partition")
_MOST_CLASSES = 50
_FEWEST = 2  # columns of numbers, which may be neighbours of each other
_LONGEST_NAME = 4  # words
_MOSTLY = 0.9  # of the texts, in which few may be written in another way
_WORDS = 2.0  # words of a text, at least on average, if its column has no name for texts


@dataclass(frozen=True)
class Look:
    """The likely use of each column of a table.

    Attributes:
        input: the column of the texts, or those of the numbers.
        label: the column of the classes.
        split: the column of the parts, if there is one.
        others: columns that were left out.
        form: how the table is written.
        items: how many rows were looked at.
        holds: what the texts are: "texts", "molecules", or "files" of pictures or sounds.
        some: some of the inputs.
    """

    input: str | tuple[str, ...]
    label: str
    split: str | None
    others: tuple[str, ...]
    form: Form
    items: int
    holds: str = "texts"
    some: Sequence[Any] = ()


def look_at(
    path: str, *, label: str | None = None, inputs: Sequence[str] = (), form: Form | None = None
) -> Look:
    """Return the likely use of each column of a table, from names and first rows.

    Args:
        path: the file of the table.
        label: the column of the classes, if that is known.
        inputs: the columns of what is classified, if they are known.
        form: how the table is written, as far as that is known.

    Raises:
        DataError: the file cannot be read, or the use of its columns is not clear; the message
            says which option to give.
    """
    place = place_of(path)
    problems = Problems(place)
    form = form or Form()
    try:
        names, columns, found_form = _first_rows(place, form, problems)
    except DataError as error:
        if "is a quotation mark left open" not in str(error):
            raise
        quotes = Form(**{**vars(form), "quoting": False})
        problems = Problems(place)
        names, columns, found_form = _first_rows(place, quotes, problems)
    looker = _Looker(dict(zip(names, columns, strict=False)), problems)
    return looker.look(label, inputs, found_form)


def _first_rows(
    place: str, form: Form, problems: Problems
) -> tuple[list[str], list[list[Any]], Form]:
    """Return names and first cells of all columns, and how the table is written."""
    with opened_rows(place, form, problems) as rows:
        columns: list[list[Any]] = [[] for _ in rows.names]
        for block in rows.blocks(range(len(rows.names))):
            for cells, more in zip(columns, block.columns, strict=True):
                cells.extend(more.tolist() if isinstance(more, np.ndarray) else more)
            count = len(columns[0] if columns else ())
            if count >= _LOOKED_AT or count * len(columns) >= _CELLS:
                break
    if not columns or not columns[0]:
        problems.add("has no rows")
        problems.stop()
    return rows.names, columns, rows.form


class _Looker:
    def __init__(self, columns: dict[str, list[Any]], problems: Problems) -> None:
        self.columns, self.problems = columns, problems

    def refuse(self, message: str) -> None:
        """Raise `DataError` with what the table has."""
        has = listed([quoted(name)[1:-1] for name in self.columns])
        self.problems.add(f"{message} It has: {has}")
        self.problems.stop()

    def look(self, label: str | None, inputs: Sequence[str], form: Form) -> Look:
        """Return the likely use of each column."""
        for name in [*inputs, *([] if label is None else [label])]:
            if name not in self.columns:
                near = suggestion(name, self.columns) or "."
                self.refuse(f"has no column {quoted(name)}{near}")
        split = self._split([*inputs, label])
        label = label or self._label([*inputs, *([] if split is None else [split])])
        rest = {k: v for k, v in self.columns.items() if k not in (label, split)}
        chosen = self._input(rest, inputs)
        used = {chosen} if isinstance(chosen, str) else set(chosen)
        some = self.columns[chosen][:40] if isinstance(chosen, str) else []
        holds = "texts"
        if isinstance(chosen, str):
            smiles = "smiles" in chosen.casefold()
            files = any(isinstance(each, bytes) for each in some)
            lists = any(isinstance(each, list | np.ndarray) for each in some)
            holds = "files" if files or lists else "molecules" if smiles else "texts"
        others = tuple(name for name in rest if name not in used)
        items = len(self.columns[label])
        return Look(chosen, label, split, others, form, items, holds, some)

    def _split(self, others: Sequence[str | None]) -> str | None:
        for name, cells in self.columns.items():
            if name.casefold() in _SPLITS and name not in others:
                values = {str(cell).strip().casefold() for cell in cells}
                if values <= set(PART_NAMES):
                    return name
        return None

    def _label(self, others: Sequence[str]) -> str:
        columns = {k: v for k, v in self.columns.items() if k not in others}
        named = [name for wanted in _LABELS for name in columns if name.casefold() == wanted]
        if named:
            return named[0]
        few = [name for name, cells in columns.items() if _has_classes(cells)]
        few = [name for name in few if not _are_numbers(columns[name])] or few
        if len(few) != 1:
            self.refuse("it is not clear which column is the label; name it: --label COLUMN.")
        return few[0]

    def _input(self, columns: dict[str, list[Any]], asked: Sequence[str]) -> str | tuple[str, ...]:
        """Return the column of the texts or files, or those of the numbers.

        A column of texts is chosen only if it is the only candidate: texts of several words,
        beside columns that only count or repeat the same values. Names, addresses and identifiers
        are not texts to learn from.
        """
        if asked:
            one = len(asked) == 1 and not _are_numbers(columns[asked[0]])
            return asked[0] if one else tuple(asked)
        files = [
            name
            for name, cells in columns.items()
            if isinstance(cells[0], bytes | list | np.ndarray)
        ]
        if len(files) == 1:
            return files[0]
        texts = {name: cells for name, cells in columns.items() if not _are_numbers(cells)}
        numbers = tuple(
            name
            for name, cells in columns.items()
            if name not in texts and not _only_counts(name, cells)
        )
        named = [
            name
            for name, cells in texts.items()
            if any(_is_called(wanted, name) for wanted in _TEXTS)
            and not (numbers and _has_classes(cells))
        ]
        likely = named or [
            name
            for name, cells in texts.items()
            if _are_sentences(cells)
            and not _NO_TEXTS.intersection(_words_of(name))
            and not _are_names(cells)
        ]
        if len(likely) == 1 and (named or not numbers):
            return likely[0]
        if likely or len(numbers) < _FEWEST:
            self.refuse(
                "it is not clear which columns to classify; name the one of the texts, or "
                "each of the numbers: --input COLUMN."
            )
        return numbers


def _words_of(name: str) -> list[str]:
    """Return the words in the name of a column, in lower case: of `firstName` `first`, `name`."""
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).casefold())


def _is_called(wanted: str, name: str) -> bool:
    """Return whether the name of a column says that it holds such texts.

    Its last word tells what it holds: `customer_review` is a text, `review_id` is none.
    """
    words = _words_of(name)
    return wanted in words and (words[-1] == wanted or words[-1] not in _NO_TEXTS)


def table_columns(rows: Rows, kept: NDArray[np.int64]) -> tuple[list[Cells], list[str]]:
    """Return all columns of an open table in the rows that are `kept`, and notes on them.

    Numbers are float64 `(kept,)`, NaN if one is missing; what holds anything else is a list, None
    for what is missing.
    """
    parts: list[list[Cells]] = [[] for _ in rows.names]
    for block in rows.blocks(range(len(rows.names)), kept=kept):
        for cells, more in zip(parts, block.columns, strict=True):
            cells.append(more)
    if not parts or not parts[0]:
        rows.problems.add("has no rows")
        rows.problems.stop()
    numbers = Numbers(rows.form.decimal, rows.form.thousands, written=rows.written)
    columns: list[Cells] = []
    for index, each in enumerate(parts):
        if all(isinstance(part, np.ndarray) for part in each):
            columns.append(np.concatenate([np.asarray(part, np.float64) for part in each]))
            continue
        cells = list(itertools.chain.from_iterable(each))
        nested = next((c for c in cells if isinstance(c, list | dict | bytes | np.ndarray)), None)
        if nested is not None:
            kind = rows.types[index] if rows.types else f"{type(nested).__name__} {shown(nested)}"
            name = quoted(rows.names[index])
            rows.problems.add(
                f"the column {name} holds {kind}; a cell is a number or a text (if it is the item, "
                "check the spec that gridcnn init writes for this file)"
            )
        values = numbers.read(cells)
        if values is None and rows.written and (doubt := numbers.doubt(cells)):
            rows.problems.add(f"the column {quoted(rows.names[index])} {doubt}")
        columns.append(cells if values is None else values)
    return columns, numbers.notes


def _has_classes(cells: Sequence[Any]) -> bool:
    """Return whether cells look like classes: few values, each of them repeated."""
    values = {str(cell).strip() for cell in cells}
    whole = all(not isinstance(cell, float) for cell in cells)
    return whole and 2 <= len(values) <= min(_MOST_CLASSES, len(cells) // 3)


def _are_sentences(cells: Sequence[Any]) -> bool:
    """Return whether cells are texts of several words, some of which are repeated often."""
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    words = [text.casefold().split() for text in texts]
    count = sum(map(len, words))
    if not texts or _has_classes(cells) or count < _WORDS * len(texts):
        return False
    return len({word for text in words for word in text}) < 0.9 * count


def _are_names(cells: Sequence[Any]) -> bool:
    """Return whether cells look like names of people, companies or streets: a few words each.

    All of these begin with a capital letter, or with something that is no letter.
    """
    texts = [cell.split() for cell in cells if isinstance(cell, str) and cell.strip()]
    names = [
        len(words) <= _LONGEST_NAME
        and all(word[0] != word[0].lower() or not word[0].isalpha() for word in words)
        for words in texts
    ]
    return sum(names) >= _MOSTLY * len(names)


def _only_counts(name: str, cells: Sequence[Any]) -> bool:
    values = _numbers(cells)
    if name.strip().casefold() in COUNTING:
        return values is None or len(np.unique(values)) == len(values)
    steps = np.diff(values) if values is not None and len(values) > 10 else np.zeros(1)
    return bool((steps == steps[0]).all() and steps[0] != 0)


def _numbers(cells: Sequence[Any]) -> Any:
    return Numbers(written=all(isinstance(cell, str) for cell in cells)).read(cells)


def _are_numbers(cells: Sequence[Any]) -> bool:
    """Return whether all cells are numbers or missing, and some are numbers."""
    if all(
        cell is None or (isinstance(cell, str) and cell.strip().casefold() in MISSING)
        for cell in cells
    ):
        return False
    return _numbers(cells) is not None
