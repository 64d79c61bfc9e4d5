"""Sheets: tables as columns of cells of any kind, of which a sample of the rows is read.

A `Table` wants numbers or texts, and every row. A sheet takes what is there: numbers, texts, dates,
and empty cells. All rows are looked at once, so that every line that is wrong is told; those that
are asked for are kept. Memory does not grow with the number of rows.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables import delimited
from gridcnn.datasets.tables.cells import MISSING, decimal_comma, floats
from gridcnn.datasets.tables.forms import parquet_file
from gridcnn.errors import DataError, Problem, listed, quoted, shown

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
ENDINGS = (*DELIMITED, *LINES, *PARQUET)
"""Endings of the files that are read as sheets."""

Choose = Callable[[int], NDArray[np.int64]]
"""Returns which of so many rows are kept, rising."""
Told = Callable[[int, int], None]
"""Is told how much of a file is read, and how much there is."""

_BOM = b"\xef\xbb\xbf"
_BATCH = 4_096  # rows of a Parquet file that are in memory at a time
_EVERY = 2_000  # lines after which progress is told
_INDEX = re.compile(r"__index_level_\d+__")  # what pandas calls its row numbers in Parquet


@dataclass(frozen=True)
class Sheet:
    """Columns of cells.

    Attributes:
        names: what the columns are called; their numbers, from 1, where nothing names them.
        columns: the cells of each column in the rows that are kept: float64 `(kept,)` with NaN for
            what is missing, or a list of values, None for what is missing.
        rows: how many rows there are in all.
        kept: which of them are kept, int64 `(kept,)`, rising, from 0.
        notes: what was tolerated, in sentences.
    """

    names: list[str]
    columns: list[Sequence[Any] | NDArray[Any]]
    rows: int
    kept: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def read(
    path: str,
    choose: Choose,
    *,
    header: bool | None = None,
    label: str | None = None,
    told: Told | None = None,
) -> Sheet:
    """Return the columns of a CSV, TSV, JSON Lines or Parquet file.

    Args:
        path: the file; the ending of its name tells what it is.
        choose: which of so many rows are kept.
        header: whether the first line of a CSV or TSV file names the columns; None: unless it
            holds numbers alone.
        label: a column that is wanted; it helps to find the separator.
        told: is told how many bytes, or rows, are read.

    Raises:
        DataError: it cannot be read; every bad line is named.
    """
    place = places.at_home(path)
    ending = places.ending(place)
    try:
        if ending in PARQUET:
            return _parquet(place, choose, told)
        if ending in LINES:
            return _lines(place, choose, told)
        if ending in DELIMITED:
            return _delimited(place, choose, header, label, told)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise DataError(Problem(message, source=place)) from error
    raise DataError(Problem(f"a table is {listed(ENDINGS)}", source=place))


# CSV, TSV -----------------------------------------------------------------------------------------


class _Text:
    """The lines of a UTF-8 file, one at a time, and where they stand."""

    def __init__(self, file: IO[bytes], place: str, told: Told | None) -> None:
        self.place = place
        self.file = file
        self.told = told
        self.size = Path(place).stat().st_size
        start = file.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(delimited.utf16(place))
        self.begin = self.end = len(_BOM) if start.startswith(_BOM) else 0
        file.seek(self.begin)
        self.number = 0
        """How many lines are read, which is the number of the last one."""

    def __iter__(self) -> Iterator[str]:
        for raw in self.file:
            self.number += 1
            self.end += len(raw)
            if self.told is not None and self.number % _EVERY == 0:
                self.told(self.end, self.size)
            yield self.decoded(raw, self.number)

    def decoded(self, raw: bytes, line: int) -> str:
        """Return bytes as text; raise `DataError` where they are no UTF-8."""
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = raw[error.start]
            raise DataError(delimited.no_utf8(byte, self.place, line=line)) from None


def _delimited(
    place: str, choose: Choose, header: bool | None, label: str | None, told: Told | None
) -> Sheet:
    found = Problems(place)
    with Path(place).open("rb") as file:
        text = _Text(file, place, told)
        lines = iter(text)
        first = next(lines, "")
        if not first.strip():
            found.add("is empty; its first line must name the columns", line=1)
            found.stop()
        wanted = set() if label is None else {label.casefold()}
        sign = delimited.delimiter(first, place, wanted=wanted)
        names = [cell.strip() for cell in _cells(first, lines, sign, text, found)]
        width, notes = len(names), []
        if header is None:
            header = not _are_numbers(names)
            if not header:
                notes.append(
                    "the first line holds numbers alone, and is taken as a row; columns are "
                    "called by their numbers, from 1"
                )
        starts, ends = array("q"), array("q")
        if header:
            others = "the first line names"
        else:
            names = [str(number) for number in range(1, width + 1)]
            starts.append(text.begin)
            ends.append(text.end)
            others = "line 1 has"
        start = text.end
        blank = f"{sign} \t\r\n"
        for line in lines:
            number = text.number
            if '"' in line or "\r" in line[:-2]:
                count = len(_cells(line, lines, sign, text, found))
            else:
                count = line.count(sign) + 1
            if line.strip(blank):
                if count != width:
                    cells = f"{count} {'cell' if count == 1 else 'cells'}"
                    found.add(
                        f"has {cells}, but {others} {width}; put quotes around a cell with a "
                        "separator in it",
                        line=number,
                    )
                starts.append(start)
                ends.append(text.end)
            start = text.end
        kept, chosen = _chosen(file, starts, ends, choose, found)
        rows = []
        for raw in chosen:
            text_of_row = io.StringIO(raw.decode("utf-8"), newline="")
            rows.append(next(csv.reader(text_of_row, delimiter=sign)))
    found_columns = [_column(list(cells)) for cells in zip(*rows, strict=True)]
    commas = sum(had_comma for _, had_comma in found_columns)
    if commas:
        notes.append(f"{commas} of {width} columns have numbers with a comma before decimals")
    columns = [column for column, _ in found_columns]
    return Sheet(names, columns, len(starts), kept, tuple(notes))


def _cells(line: str, more: Iterator[str], sign: str, text: _Text, found: Problems) -> list[str]:
    """Return the cells of a row that begins with `line`; a quoted cell takes more lines."""
    reader = csv.reader(itertools.chain([line], more), delimiter=sign, strict=True)
    try:
        return next(reader, [])
    except csv.Error as error:
        message = f"is no valid CSV: {error}; is a quote left open?"
        if "new-line" in str(error):
            message = "has lines that end with CR alone; save it with LF or CR LF at their ends"
        found.add(message, line=text.number)
        found.stop()
        raise


def _are_numbers(names: Sequence[str]) -> bool:
    """Return whether a first line holds numbers, and not names such as 0, 1, 2, ..."""
    values = floats([name or "nan" for name in names if name.casefold() not in MISSING], parse=True)
    if not values:
        return False
    counts = len(values) > 1 and all(b - a == 1 for a, b in itertools.pairwise(values))
    return not counts or values[0] not in (0, 1)


def _column(cells: list[Any]) -> tuple[Sequence[Any] | NDArray[Any], bool]:
    """Return texts as numbers where they are, and whether they have decimal commas."""
    values = _numbers(cells)
    if values is not None:
        return values, False
    pointed = [decimal_comma(cell) for cell in cells]
    values = _numbers(pointed)
    return (cells, False) if values is None else (values, True)


def _numbers(cells: list[str]) -> NDArray[np.float64] | None:
    """Return cells as numbers, NaN for what is missing; None where some are texts."""
    together = "".join(cells)
    if "_" in together or not together.isascii():
        return None
    try:
        return np.array([float(cell) for cell in cells], np.float64)
    except ValueError:
        pass
    try:
        return np.array(
            [math.nan if cell.strip().casefold() in MISSING else float(cell) for cell in cells]
        )
    except ValueError:
        return None


def _chosen(
    file: IO[bytes], starts: array[int], ends: array[int], choose: Choose, found: Problems
) -> tuple[NDArray[np.int64], Iterator[bytes]]:
    """Return which rows are wanted, and their bytes one after the other.

    `starts` and `ends` are where each row stands in the file, which has to stay open.

    Raises:
        DataError: there is no row, or rows were found to be wrong.
    """
    if not starts:
        found.add("has not one row")
    found.stop()
    kept = choose(len(starts))

    def rows() -> Iterator[bytes]:
        for row in kept.tolist():
            file.seek(starts[row])
            yield file.read(ends[row] - starts[row])

    return kept, rows()


# JSON Lines ---------------------------------------------------------------------------------------


def _lines(place: str, choose: Choose, told: Told | None) -> Sheet:
    found = Problems(place)
    starts, ends = array("q"), array("q")
    names: list[str] = []
    with Path(place).open("rb") as file:
        text = _Text(file, place, told)
        start = text.begin
        for line in text:
            if line.strip():
                _check_object(line, text.number, names, found)
                starts.append(start)
                ends.append(text.end)
            start = text.end
        kept, chosen = _chosen(file, starts, ends, choose, found)
        rows = []
        for raw in chosen:
            given = json.loads(raw)
            rows.append([given[name] for name in names])
    columns = [_values(list(cells)) for cells in zip(*rows, strict=True)]
    return Sheet(names, columns, len(starts), kept)


def _check_object(line: str, number: int, names: list[str], found: Problems) -> None:
    """Add what is wrong with one line; the first one names the columns."""
    try:
        given = json.loads(line.rstrip("\r\n"))
    except json.JSONDecodeError as error:
        found.add(f"is no valid JSON: {error.msg}", line=number, column=error.colno)
        return
    except (ValueError, RecursionError) as error:
        found.add(f"is no JSON that can be read: {str(error).split(';')[0]}", line=number)
        return
    if not isinstance(given, dict):
        found.add(
            f"is no object, {{...}}, with a value for each column: {shown(given)}", line=number
        )
        return
    if not names:
        names.extend(given)
    for name in names:
        if name not in given:
            found.add(f"has no {quoted(name)}; every line must have it, or null", line=number)
        elif isinstance(given[name], list | dict):
            kind = "a list" if isinstance(given[name], list) else "an object"
            found.add(
                f"has {kind} in {quoted(name)}; a cell is a number, a text or null", line=number
            )
    for name in given.keys() - names:
        found.add(f"has {quoted(name)}, which the first line does not have", line=number)


def _values(cells: list[Any]) -> Sequence[Any] | NDArray[Any]:
    """Return numbers as an array, anything else as it is."""
    if all(cell is None or isinstance(cell, int | float) for cell in cells):
        try:
            return np.array([math.nan if cell is None else float(cell) for cell in cells])
        except OverflowError:
            return [None if cell is None else str(cell) for cell in cells]
    return cells


# Parquet ------------------------------------------------------------------------------------------


def _parquet(place: str, choose: Choose, told: Told | None) -> Sheet:
    with parquet_file(place) as file:
        return _taken(file, place, choose, told)


def _taken(file: Any, place: str, choose: Choose, told: Told | None) -> Sheet:
    from pyarrow import types

    found = Problems(place)
    schema = file.schema_arrow
    wanted = [n for n, name in enumerate(schema.names) if not _INDEX.fullmatch(name)]
    for number in wanted:
        kind = schema.types[number]
        if types.is_nested(kind) or types.is_binary(kind):
            found.add(f"the column {quoted(schema.names[number])} holds {kind}, and no cells")
    total = file.metadata.num_rows
    if not total:
        found.add("has not one row")
    found.stop()
    kept = choose(total)
    parts: list[list[Sequence[Any] | NDArray[Any]]] = [[] for _ in wanted]
    done = 0
    for batch in file.iter_batches(batch_size=_BATCH):
        inside = kept[(kept >= done) & (kept < done + len(batch))] - done
        done += len(batch)
        if len(inside):
            chosen = batch.take(inside)
            for place_, number in enumerate(wanted):
                parts[place_].append(_arrow_cells(chosen.column(number)))
        if told is not None:
            told(done, total)
    columns = [_joined(each) for each in parts]
    return Sheet([schema.names[number] for number in wanted], columns, total, kept)


def _arrow_cells(column: Any) -> Sequence[Any] | NDArray[Any]:
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    if any(is_kind(column.type) for is_kind in numeric):
        values: NDArray[np.float64] = column.cast("float64", safe=False).to_numpy(
            zero_copy_only=False
        )
        return values
    return [None if value is None else str(value) for value in column.to_pylist()]


def _joined(parts: Sequence[Sequence[Any] | NDArray[Any]]) -> Sequence[Any] | NDArray[Any]:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return list(itertools.chain.from_iterable(parts))
