"""A look at a table that nobody has described yet: what its columns seem to be."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.manifest import PART_NAMES
from gridcnn.datasets.tables import delimited
from gridcnn.datasets.tables.cells import floats, parsing_problem, problem_of
from gridcnn.errors import DataError, Problem, listed, quoted, suggestion

_ROWS = 2_000
"""How many rows are looked at."""
_LABELS = ("label", "labels", "class", "target", "category", "kind", "type", "y")
_TEXTS = ("text", "texts", "message", "sentence", "review", "comment", "body", "title", "smiles")
_SPLITS = ("split", "part", "set", "subset", "partition")
_NUMBERS_OF_ROWS = ("", "id", "index", "row", "no", "nr", "unnamed: 0")
"""Names of columns that only count rows, in small letters."""
_MOST_CLASSES = 50


@dataclass(frozen=True)
class Look:
    """What the columns of a table seem to be.

    Attributes:
        input: the column of the texts, or those of the numbers.
        label: the column of the classes.
        split: the column of the parts, if there is one.
        others: columns that were left out.
        header: whether the first line names the columns.
        quoting: whether double quotes may hide separators.
        items: how many rows were looked at.
    """

    input: str | tuple[str, ...]
    label: str
    split: str | None
    others: tuple[str, ...]
    header: bool
    quoting: bool
    items: int


def is_manifest(place: str) -> bool:
    """Return whether a CSV or TSV file names the columns of a manifest, path and label."""
    if places.ending(place) not in (".csv", ".tsv", ".tab", ".txt"):
        return False
    names = {
        name.strip().casefold() for name in _delimited(place, Problems(place), quoting=False)[0]
    }
    return {"path", "label"} <= names


def looked_at(place: str, *, label: str | None = None, inputs: Sequence[str] = ()) -> Look:
    """Return what the columns of a table seem to be, by their names and first rows.

    Args:
        place: a CSV, TSV, JSON Lines or Parquet file.
        label: the column of the classes, where that is known.
        inputs: the columns of what is classified, where they are known.

    Raises:
        DataError: the file cannot be read, or it is not clear what its columns are; the message
            says which option tells it.
    """
    names, rows, header, quoting = _sampled(place)
    found = Problems(place)
    if not rows:
        found.add("has not one row")
        found.stop()
    columns = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    for name in [*inputs, *([] if label is None else [label])]:
        if name not in columns:
            has = listed([quoted(each)[1:-1] for each in names])
            hint = suggestion(name, names) or "."
            found.add(f"has no column {quoted(name)}{hint} It has: {has}")
    found.stop()
    split = _split(columns, [*inputs, label])
    if label is None:
        label = _label({k: v for k, v in columns.items() if k != split and k not in inputs}, found)
    rest = {k: v for k, v in columns.items() if k not in (label, split)}
    chosen = _input(rest, inputs, found)
    used = {chosen} if isinstance(chosen, str) else set(chosen)
    others = tuple(name for name in rest if name not in used)
    return Look(chosen, label, split, others, header, quoting, len(rows))


def _sampled(place: str) -> tuple[list[str], list[list[Any]], bool, bool]:
    """Return the names of a table's columns, its first rows, and its `header` and `quoting`."""
    ending = places.ending(place)
    if ending in (".parquet", ".pq"):
        return *_parquet(place), True, True
    found = Problems(place)
    try:
        if ending in (".jsonl", ".ndjson"):
            with Path(place).open("rb") as file:
                return *_objects(delimited.lines(file, found), found), True, True
        quoting = True
        try:
            names, rows = _delimited(place, found, quoting=True)
        except DataError:
            quoting = False  # a quote that nobody closes
            names, rows = _delimited(place, Problems(place), quoting=False)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise DataError(Problem(message, source=place)) from error
    if not names:
        raise DataError(Problem("is empty", source=place))
    header = _is_header(names, rows)
    if not header:
        rows, names = [names, *rows], [str(number) for number in range(1, len(names) + 1)]
    return names, [row for row in rows if len(row) == len(names)], header, quoting


def _delimited(place: str, found: Problems, *, quoting: bool) -> tuple[list[str], list[list[str]]]:
    with Path(place).open("rb") as file:
        lines = delimited.lines(file, found)
        first = next(lines, "")
        sign = delimited.delimiter(first, place, wanted=(*_LABELS, *_TEXTS, "path"))
        cells = delimited.rows(
            itertools.chain([first], lines), delimiter=sign, found=found, quoting=quoting
        )
        rows = [row for _, row in itertools.islice(cells, _ROWS + 1) if any(row)]
    return ([cell.strip() for cell in rows[0]], rows[1:]) if rows else ([], [])


def _objects(lines: Iterable[str], found: Problems) -> tuple[list[str], list[list[Any]]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(itertools.islice(lines, _ROWS), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            found.add("is no object of JSON, {...}", line=number)
            found.stop()
        rows.append(row)
    names = list(rows[0]) if rows else []
    return names, [[row.get(name) for name in names] for row in rows]


def _parquet(place: str) -> tuple[list[str], list[list[Any]]]:
    from gridcnn.datasets.tables.forms import parquet_file

    with parquet_file(place) as file:
        names = list(file.schema_arrow.names)
        batch = next(file.iter_batches(batch_size=_ROWS), None)
        columns = [] if batch is None else [column.to_pylist() for column in batch.columns]
        return names, [list(row) for row in zip(*columns, strict=True)]


def _is_header(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first line names columns: no numbers, and nothing that columns hold."""
    if any(floats([name], parse=True) is not None for name in names if name):
        return False
    for index, name in enumerate(names):
        if name and sum(index < len(row) and row[index].strip() == name for row in rows) > 1:
            return False
    return True


def _split(columns: dict[str, list[Any]], others: Sequence[str | None]) -> str | None:
    for name, cells in columns.items():
        if name.casefold() in _SPLITS and name not in others:
            values = {str(cell).strip().casefold() for cell in cells}
            if values <= set(PART_NAMES):
                return name
    return None


def _label(columns: dict[str, list[Any]], found: Problems) -> str:
    by_name = [name for wanted in _LABELS for name in columns if name.casefold() == wanted]
    if by_name:
        return by_name[0]
    few = [name for name, cells in columns.items() if _has_classes(cells)]
    texts = [name for name in few if not _is_numeric(columns[name])]
    few = texts or few
    if len(few) != 1:
        has = listed([quoted(name)[1:-1] for name in columns])
        found.add(
            f"has no column that is clearly the label; name it: --label COLUMN. It has: {has}"
        )
        found.stop()
    return few[0]


def _has_classes(cells: Sequence[Any]) -> bool:
    """Return whether cells look like classes: few, and each again and again."""
    values = {str(cell).strip() for cell in cells}
    whole = all(not isinstance(cell, float) for cell in cells)
    return whole and 2 <= len(values) <= min(_MOST_CLASSES, len(cells) // 3)


def _input(
    columns: dict[str, list[Any]], asked: Sequence[str], found: Problems
) -> str | tuple[str, ...]:
    if asked:
        one = len(asked) == 1 and not _is_numeric(columns[asked[0]])
        return asked[0] if one else tuple(asked)
    written = {name: cells for name, cells in columns.items() if not _is_numeric(cells)}
    texts = [name for name, cells in written.items() if not _has_classes(cells)]
    named = [name for wanted in _TEXTS for name in written if name.casefold() == wanted]
    numbers = tuple(
        name
        for name in columns
        if name not in written and name and name.casefold() not in _NUMBERS_OF_ROWS
    )
    if named:
        return named[0]
    if len(texts) == 1 or (texts and not numbers):
        return max(texts, key=lambda name: sum(len(str(cell)) for cell in columns[name]))
    if texts or not numbers:
        has = listed([quoted(name)[1:-1] for name in columns]) or "none but the label"
        found.add(
            "has no columns that are clearly what is classified; name the one of the texts, or "
            f"each of the numbers: --input COLUMN. It has: {has}"
        )
        found.stop()
    return numbers


def _is_numeric(cells: Sequence[Any]) -> bool:
    """Return whether cells are numbers, or say that there is none, and some are numbers."""
    known = 0
    for cell in cells:
        problem = parsing_problem(cell) if isinstance(cell, str) else problem_of(cell)
        if not problem:
            known += 1
        elif "has no number" not in problem:
            return False
    return known > 0
