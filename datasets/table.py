"""Tables: data whose items stand in the table itself, as texts or as numbers."""

from __future__ import annotations

import itertools
import json
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from gridcnn.datasets import delimited, places
from gridcnn.datasets.base import Dataset, Label, Source
from gridcnn.datasets.labels import NotALabelError, label_of, refuse_twins
from gridcnn.datasets.manifest import PART_NAMES, no_part
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.soundness import sound
from gridcnn.errors import DataError, Problem, listed, quoted, shown, suggestion
from gridcnn.spec.settings import Flag, wanted_error

_DELIMITED = (".csv", ".tsv", ".tab", ".txt")
_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_ADVICE = {
    (".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".gz"): "this is packed; unpack it",
    (".xlsx", ".xls", ".ods"): "save the sheet as 'CSV UTF-8'",
    (".json",): "write one object a line, without a list around them, as .jsonl",
}
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
"""How tables say that there is no number, in small letters."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls the column of its row numbers in a Parquet file."""


def _name(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    raise wanted_error("the name of a column, or its number from 1")


def _names(value: Any) -> str | tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return _name(value)
    if not value:
        raise wanted_error("the name of a column, or a list of such")
    return tuple(_name(each) for each in value)


def _sign(value: Any) -> str:
    if isinstance(value, str) and len(value) == 1 and value not in '"\r\n':
        return value
    raise wanted_error("a single character, and no quote or line end")


_NAME = {"type": ["string", "integer"]}
Column = Annotated[str, PlainValidator(_name), WithJsonSchema(_NAME)]
"""The name of a column; a whole number is a name too."""
Columns = Annotated[
    str | tuple[str, ...],
    PlainValidator(_names),
    PlainSerializer(lambda value: value if isinstance(value, str) else list(value)),
    WithJsonSchema({"anyOf": [_NAME, {"type": "array", "items": _NAME, "minItems": 1}]}),
]
"""One column, or a list of them."""


class Table(Source):
    """A table whose rows are the items: CSV, TSV, JSON Lines or Parquet.

    The ending of the file's name tells what it is: .csv, .txt, .tsv or .tab; .jsonl or .ndjson,
    with an object in each line; .parquet or .pq, for which pyarrow has to be installed. Text is
    UTF-8.
    """

    title: ClassVar[str] = "table"
    named: ClassVar[bool] = False

    path: str = Field(min_length=1)
    """The file. A relative path starts at the folder of the spec."""
    input: Columns | None = None
    """What an item is. The name of one column: its texts, as they are. A list of columns: their
    numbers, in this order. null: the numbers of all columns that have no other use, in the order of
    the table."""
    label: Column
    """The column of the classes."""
    split: Column | None = None
    """The column that says train, validation or test in every row; null: there is none."""
    header: Flag = True
    """Whether the first line of a CSV or TSV file names the columns. Without names, columns are
    called by their numbers, from 1."""
    delimiter: Annotated[str, PlainValidator(_sign), WithJsonSchema({"type": "string"})] | None = (
        None
    )
    """The character between the cells of a CSV or TSV file; null: tabs in a TSV file, else a comma,
    a semicolon or a tab, whichever fits the first line."""
    quoting: Flag = True
    """Whether double quotes around a cell of a CSV or TSV file may hide separators and line ends in
    it; `false`: quotes are signs like others."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        inputs = (self.input,) if isinstance(self.input, str) else self.input or ()
        uses = Counter([*inputs, self.label, *([] if self.split is None else [self.split])])
        twice = [name for name, count in uses.items() if count > 1]
        if twice:
            raise ValueError(f"the column {quoted(twice[0])} is named {uses[twice[0]]} times")
        ours = {"header": not self.header, "quoting": not self.quoting}
        ours["delimiter"] = self.delimiter is not None
        wrong = [name for name, given in ours.items() if given]
        if wrong and places.ending(self.path) in (*_LINES, *_PARQUET):
            raise ValueError(f"{quoted(wrong[0])} is for CSV and TSV files alone")
        return self

    def of(self, path: str) -> Self:
        """Return the source with another file of the same columns.

        Raises:
            SpecError: the settings are not for files of that ending.
        """
        return type(self)(**{**self.model_dump(exclude_unset=True), "path": path})

    def resolved(self, base: Path) -> Self:
        """Return the source with its path made absolute, starting at the folder `base`."""
        if "://" in self.path or "\0" in self.path:
            return self
        path = places.absolute(base / places.at_home(self.path))
        return self.model_copy(update={"path": path})

    def open(self, *, seed: int, suffixes: frozenset[str]) -> Dataset:  # noqa: ARG002 - as it is
        """Return the rows: texts, or float64 arrays `(columns,)`.

        Labels are texts in CSV and TSV files, and texts or whole numbers in the others.

        Raises:
            DataError: the file cannot be read, lacks columns, or has rows that are wrong; every
                bad line is named.
        """
        return _read(self, None)

    def open_grouped(self, column: str, *, seed: int, suffixes: frozenset[str]) -> Dataset:  # noqa: ARG002 - as it is
        """Return the rows, with the groups that a column names; raise as `open` does."""
        return _read(self, column)


def _read(table: Table, group: str | None) -> Dataset:
    """Return the rows of a table; `group` names the column that says what belongs together."""
    if "\0" in table.path:
        raise DataError(f"{shown(table.path)} cannot be a path")
    place = places.at_home(table.path)
    ending = places.ending(place)
    reading = _Reading(table, place, group, rows=ending in _PARQUET)
    if "://" in place:
        message = "a web address is not read; download it, and give its path"
        raise DataError(Problem(message, source=place))
    if places.is_folder(place) or not places.is_file(place):
        message = (
            "is a folder; give the table's file"
            if places.is_folder(place)
            else ("there is no such file")
        )
        raise DataError(Problem(message, source=place))
    if ending in _PARQUET:
        _read_parquet(reading, place)
    elif ending in _LINES:
        _read_lines(reading, delimited.content(place, what="a table"))
    elif ending in _DELIMITED or table.delimiter is not None:
        _read_delimited(reading, delimited.content(place, what="a table"))
    else:
        name = place.lower()
        advice = next((text for ends, text in _ADVICE.items() if name.endswith(ends)), "")
        known = listed([*_DELIMITED, *_LINES, *_PARQUET])
        raise DataError(Problem(f"a table is {known}{advice and '; ' + advice}", source=place))
    return reading.dataset()


# What is read -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Where:
    """Which column of a row is what; `text` where the only input is a text."""

    inputs: tuple[int, ...]
    label: int
    split: int | None
    group: int | None
    text: bool


class _Reading:
    """The rows of a table, as they are read, and what is wrong with them.

    A position is the line of a text file, or the number of a row. Cells are texts in files that
    know nothing else, and are read as numbers; others are values.
    """

    def __init__(self, table: Table, source: str, group: str | None, *, rows: bool) -> None:
        self.table = table
        self.group = group
        self.found = Problems(source)
        self.names: list[str] = []
        self.where = _Where((), 0, None, None, text=False)
        self.positions: list[int] = []
        self.texts: list[str] = []
        self.numbers = array("d")
        self.labels: list[Label] = []
        self.splits: list[str] = []
        self.groups: list[str] = []
        self._rows = rows

    def told(self, position: int, message: str) -> None:
        """Add a problem of one row."""
        if self._rows:
            self.found.add(f"row {position}: {message}")
        else:
            self.found.add(message, line=position)

    # Columns

    def name(self, names: Sequence[str], *, line: int | None = None) -> None:
        """Take the names of the columns; raise `DataError` where those that are needed lack."""
        table = self.table
        self.names = list(names)
        before = self.found.count
        label = self._place(table.label, line)
        split = None if table.split is None else self._place(table.split, line)
        group = None if self.group is None else self._place(self.group, line)
        if table.input is None:
            inputs = self._others((label, split, group), line)
        else:
            asked = (table.input,) if isinstance(table.input, str) else table.input
            inputs = tuple(self._place(name, line) for name in asked)
        if self.found.count > before:
            self.found.stop()
        self.where = _Where(inputs, label, split, group, text=isinstance(table.input, str))

    def _place(self, name: str, line: int | None) -> int:
        count = self.names.count(name)
        if count == 1:
            return self.names.index(name)
        if count:
            self.found.add(f"{count} columns are named {quoted(name)}; keep one", line=line)
            return -1
        hint = suggestion(name, self.names)
        if not self.table.header:
            hint = "; without a header columns are called by their numbers."
        elif name.isdecimal() and self.table.path.lower().endswith(_DELIMITED):
            hint = "; columns are called by their numbers with 'header: false'."
        has = listed([quoted(each)[1:-1] for each in self.names])
        self.found.add(f"has no column {quoted(name)}{hint or '.'} It has: {has}", line=line)
        return -1

    def _others(self, used: Sequence[int | None], line: int | None) -> tuple[int, ...]:
        """Return all columns that have no other use."""
        others = [
            index
            for index, name in enumerate(self.names)
            if index not in used and not (self._rows and _INDEX.fullmatch(name))
        ]
        for index in others:
            name = self.names[index]
            if not name:
                self.found.add(
                    f"column {index + 1} has no name; give it one, or list the columns that are "
                    "wanted in 'input'",
                    line=line,
                )
            elif self.names.count(name) > 1 and self.names.index(name) == index:
                self._place(name, line)
        if not others:
            self.found.add(
                "has no column for 'input': all that there are have another use", line=line
            )
        return tuple(others)

    # Cells

    def row(self, position: int, cells: Sequence[Any], *, parse: bool) -> None:
        """Take one row; with `parse`, its cells are texts that stand for numbers."""
        where = self.where
        self.positions.append(position)
        if where.text:
            self.text(position, cells[where.inputs[0]])
        else:
            self._numbers(position, [cells[index] for index in where.inputs], parse)
        label = cells[where.label]
        self.label(position, label.strip() if parse else label)
        if where.split is not None:
            self.split(cells[where.split])
        if where.group is not None:
            self.grouped(position, cells[where.group])

    def text(self, position: int, value: Any) -> None:
        """Take a text."""
        name = self.table.input
        if not isinstance(value, str):
            given = "nothing in it" if value is None else shown(value)
            self.told(position, f"the column {quoted(str(name))} has {given}, which is no text")
        elif not value.isascii() and not _is_whole(value):
            self.told(
                position,
                f"the column {quoted(str(name))} has half a character (a lone surrogate); mend the "
                "text",
            )
        else:
            self.texts.append(value)

    def _numbers(self, position: int, cells: Sequence[Any], parse: bool) -> None:
        values = _floats(cells, parse)
        if values is not None:
            self.numbers.extend(values)
            return
        if self.table.input is None and len(self.positions) == 1:
            self._refuse_texts(position, cells)
        for index, cell in zip(self.where.inputs, cells, strict=True):
            problem = _parsing_problem(cell) if parse else _problem(cell)
            if problem:
                self.no_number(position, index, problem)

    def _refuse_texts(self, position: int, cells: Sequence[Any]) -> None:
        """Raise `DataError` where columns that nobody asked for begin with texts: it tells once."""
        texts = {
            self.names[index]: cell
            for index, cell in zip(self.where.inputs, cells, strict=True)
            if isinstance(cell, str) and _is_text(cell.strip())
        }
        if texts:
            first = next(iter(texts.values()))
            several = "columns" if len(texts) > 1 else "column"
            self.told(
                position,
                f"no {'numbers' if len(texts) > 1 else 'number'} in the {several} "
                f"{listed([quoted(name) for name in texts])}, but {shown(first)}; list the columns "
                "of numbers in 'input', or give one column of texts",
            )
            self.found.stop()

    def no_number(self, position: int, index: int, problem: str) -> None:
        """Add the problem of a column that has no number in some row."""
        others = "" if self.table.input is not None else "; or list the columns in 'input'"
        self.told(position, f"the column {quoted(self.names[index])} {problem}{others}")

    def label(self, position: int, value: Any) -> None:
        """Take a label."""
        name = quoted(self.table.label)
        try:
            label = label_of(value)
            if isinstance(label, str) and not _is_whole(label):
                raise NotALabelError("has half a character (a lone surrogate) in it")
        except NotALabelError as error:
            self.told(position, f"the label in {name} {error}")
            if error.hopeless:
                self.found.stop()
            return
        if label is None:
            self.told(position, f"the label in {name} is empty; give every item a label")
        else:
            self.labels.append(label)

    def split(self, value: Any) -> None:
        """Take what a row says about its part."""
        self.splits.append("" if value is None else str(value).strip())

    def grouped(self, position: int, value: Any) -> None:
        """Take the name of a group."""
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        name = "" if missing else str(value).strip()
        if not name:
            self.told(
                position,
                f"the group in {quoted(self.group or '')} is empty; say in every row what it "
                "belongs to",
            )
        self.groups.append(name)

    # All

    def dataset(self) -> Dataset:
        """Return what was read.

        Raises:
            DataError: there is not one row, or something was wrong.
        """
        divided = any(self.splits)
        if divided:
            for position, part in zip(self.positions, self.splits, strict=True):
                if part.casefold() not in PART_NAMES:
                    self.told(position, no_part(part))
        if not self.positions and not self.found.count:
            self.found.add("has not one row")
        refuse_twins(set(self.labels), f"the column {quoted(self.table.label)}", self.found)
        self.found.stop()
        source = self.found.source
        word, before = ("row", f"{source}, row ") if self._rows else ("line", f"{source}:")
        return sound(
            Dataset(
                self.texts if self.where.text else list(self._stack()),
                self.labels,
                [f"{word} {position}" for position in self.positions],
                [PART_NAMES[part.casefold()] for part in self.splits] if divided else None,
                origin=source,
                places=[f"{before}{position}" for position in self.positions],
                groups=self.groups if self.group is not None else None,
            )
        )

    def _stack(self) -> NDArray[np.float64]:
        return np.array(self.numbers, np.float64).reshape(len(self.positions), -1)


# Values -------------------------------------------------------------------------------------------


def _floats(cells: Sequence[Any], parse: bool) -> list[float] | None:
    """Return cells as finite numbers, or None where one of them is no such number."""
    if parse:
        # Python takes 1_000 and the digits of all scripts for numbers; in a table they are not.
        together = "".join(cells)
        if "_" in together or not together.isascii():
            return None
    elif not all(isinstance(cell, int | float) for cell in cells):
        return None
    try:
        values = [float(cell) for cell in cells]
    except (ValueError, OverflowError):
        return None
    return values if all(map(math.isfinite, values)) else None


def _parsing_problem(cell: str) -> str:
    """Return why a text is no number, or nothing where it is one."""
    text = cell.strip()
    if text.casefold() in _MISSING:
        return f"has no number{f' ({shown(text)})' if text else ''}; {_FILL}"
    if _DECIMAL_COMMA.fullmatch(text):
        return f"has {shown(text)}; write a point before decimals, and no comma"
    if _floats([text], parse=True) is not None:
        return ""
    try:
        beyond = not math.isfinite(float(text)) and text.isascii()
    except ValueError:
        beyond = False
    return f"has {shown(text)}, which is {'not finite' if beyond else 'no number'}; {_FILL}"


def _is_text(cell: str) -> bool:
    """Return whether a cell is a text, and not a number or what stands for one."""
    return (
        cell.casefold() not in _MISSING
        and not _DECIMAL_COMMA.fullmatch(cell)
        and not any(sign.isdigit() for sign in cell)
        and _floats([cell], parse=True) is None
    )


def _problem(value: Any) -> str:
    """Return why a value is no number, or nothing where it is one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return f"has no number ({'null' if value is None else 'NaN'}); {_FILL}"
    if isinstance(value, str):
        return f"has the text {shown(value)}, which is no number; write numbers without quotes"
    if not isinstance(value, int | float):
        return f"has {shown(value)}, which is no number"
    return "" if _floats([value], parse=False) is not None else f"has {shown(value)}, not finite"


_FILL = "fill it in, or leave the row out"


def _is_whole(text: str) -> bool:
    """Return whether UTF-8 can hold a text; JSON can spell halves of characters too."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Forms --------------------------------------------------------------------------------------------


def _read_delimited(reading: _Reading, text: str) -> None:
    table, found = reading.table, reading.found
    inputs = (table.input,) if isinstance(table.input, str) else table.input or ()
    wanted = {name.casefold() for name in (*inputs, table.label)} if table.header else set()
    sign = table.delimiter or delimited.delimiter(text, found.source, wanted=wanted)
    hint = "; is a quote left open? Where quotes are signs like others, set 'quoting: false'"
    lines = delimited.rows(
        text, delimiter=sign, found=found, quoting=table.quoting, hint=hint if table.quoting else ""
    )
    filled = ((line, cells) for line, cells in lines if any(cell.strip() for cell in cells))
    if table.header:
        line, names = next(lines, (1, []))
        if not any(name.strip() for name in names):
            found.add("is empty; its first line must name the columns", line=1)
            found.stop()
        reading.name([name.strip() for name in names], line=line)
        _read_rows(reading, filled, "the first line names")
    elif first := next(filled, None):
        reading.name([str(number) for number in range(1, len(first[1]) + 1)])
        _read_rows(reading, itertools.chain([first], filled), f"line {first[0]} has")


def _read_rows(reading: _Reading, rows: Iterable[tuple[int, list[str]]], others: str) -> None:
    width = len(reading.names)
    advice = "; put quotes around a cell with a separator in it" if reading.table.quoting else ""
    for line, cells in rows:
        if len(cells) == width:
            reading.row(line, cells, parse=True)
        else:
            count = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
            reading.told(line, f"has {count}, but {others} {width}{advice}")


def _read_lines(reading: _Reading, text: str) -> None:
    # Not splitlines: a text in JSON may hold other line ends.
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        given = _object(reading.found, written, line)
        if given is None:
            continue
        if not reading.names:
            reading.name(list(given), line=line)
        where = reading.where
        used = [*where.inputs, where.label, where.split, where.group]
        wanted = [reading.names[index] for index in used if index is not None]
        lacking = [name for name in wanted if name not in given]
        for name in lacking:
            hint = suggestion(name, [each for each in given if each not in reading.names])
            reading.told(line, f"has no {quoted(name)}{hint or '; every line must have it'}")
        if reading.table.input is None:
            for name in [each for each in given if each not in reading.names]:
                reading.told(line, f"has {quoted(name)}, which the first line does not have")
                lacking.append(name)
        if not lacking:
            reading.row(line, [given.get(name) for name in reading.names], parse=False)


def _object(found: Problems, written: str, line: int) -> dict[str, Any] | None:
    """Return the JSON object of a line; where it has none, add a problem and return None."""
    try:
        given = json.loads(written)
    except json.JSONDecodeError as error:
        found.add(f"is no valid JSON: {error.msg}", line=line, column=error.colno)
        return None
    except (ValueError, RecursionError) as error:
        found.add(f"is no JSON that can be read: {str(error).split(';')[0]}", line=line)
        return None
    if isinstance(given, dict):
        return given
    found.add(f"is no object, {{...}}, with a value for each column: {shown(given)}", line=line)
    return None


def _read_parquet(reading: _Reading, place: str) -> None:
    try:
        from pyarrow import parquet
    except ImportError:
        message = (
            "Parquet is read by pyarrow, which is not installed: "
            "python -m pip install 'gridcnn[parquet]'"
        )
        raise DataError(Problem(message, source=place)) from None
    delimited.refuse_large(place, what="a table")
    try:
        with parquet.ParquetFile(place) as file:
            _take_parquet(reading, file)
    except DataError:
        raise
    except MemoryError:
        raise DataError(Problem("does not fit into memory", source=place)) from None
    except Exception as error:
        # pyarrow raises a dozen kinds of errors for files that are damaged.
        reason = shown(str(error) or type(error).__name__, limit=100).strip("'\"")
        message = f"is no Parquet file, or a damaged one ({reason})"
        raise DataError(Problem(message, source=place)) from error


def _take_parquet(reading: _Reading, file: Any) -> None:
    """Take the columns of pyarrow's file, each as a whole."""
    reading.name(file.schema_arrow.names)
    where = reading.where
    every = [*where.inputs, where.label, where.split, where.group]
    used = sorted({index for index in every if index is not None})
    table = file.read(columns=[reading.names[index] for index in used])
    columns = {index: table.column(reading.names[index]) for index in used}
    reading.positions.extend(range(table.num_rows))
    if where.text:
        for row, value in enumerate(columns[where.inputs[0]].to_pylist()):
            reading.text(row, value)
    else:
        _take_numbers(reading, [columns[index] for index in where.inputs])
    for row, value in enumerate(columns[where.label].to_pylist()):
        reading.label(row, value)
    if where.split is not None:
        for value in columns[where.split].to_pylist():
            reading.split(value)
    if where.group is not None:
        for row, value in enumerate(columns[where.group].to_pylist()):
            reading.grouped(row, value)


def _take_numbers(reading: _Reading, columns: Sequence[Any]) -> None:
    """Take pyarrow's columns as numbers, all rows at once."""
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    stack = np.zeros((len(reading.positions), len(columns)))
    for place, (index, column) in enumerate(zip(reading.where.inputs, columns, strict=True)):
        if not any(is_kind(column.type) for is_kind in numeric):
            others = "" if reading.table.input is not None else "; list the columns in 'input'"
            name = quoted(reading.names[index])
            reading.found.add(f"the column {name} holds {column.type}, and no numbers{others}")
            continue
        stack[:, place] = column.cast("float64", safe=False).to_numpy()
    for row, place in np.argwhere(~np.isfinite(stack)).tolist():
        reading.no_number(row, reading.where.inputs[place], _problem(float(stack[row, place])))
    reading.numbers.frombytes(stack.tobytes())
