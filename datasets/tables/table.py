"""Tables: data whose items stand in the table itself, as texts or as numbers."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, ClassVar, Self

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from gridcnn.contracts.source import Dataset, Source
from gridcnn.datasets import places
from gridcnn.datasets.duplicates import Duplicates, without_duplicates
from gridcnn.datasets.tables import delimited, forms
from gridcnn.datasets.tables.reading import NUMBERED, Reading
from gridcnn.errors import DataError, Problem, listed, quoted, shown
from gridcnn.settings.base import Flag, wanted_error

_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
ENDINGS = (*NUMBERED, *_LINES, *_PARQUET)
"""Endings of tables."""
_ADVICE = {
    (".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".gz"): "this is packed; unpack it",
    (".xlsx", ".xls", ".ods"): "save the sheet as 'CSV UTF-8'",
    (".json",): "write one object a line, without a list around them, as .jsonl",
}


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

    duplicates: Duplicates = "keep"
    """What becomes of rows whose input is the same as in an earlier row: `keep` or `drop`. Kept,
    one may be in the training part and another in the test part, which then promises too much."""

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
        return self.model_copy(update={"path": places.resolved(self.path, base)})

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


def asked(
    table: Table, *, group: str | None = None, file: IO[bytes] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield what each row of a table is called, and its thing, whatever its label may be.

    The columns of labels, parts and groups need not be there, and say nothing where they are. A
    part of the file is in memory at a time, so it may be of any size. Rows that cannot be used are
    left out, and told at the end.

    Args:
        table: what to read, and how.
        group: a column that is no input either.
        file: read instead of the file at the table's path, which then only tells its form and what
            messages call it.

    Raises:
        DataError: the file cannot be read, or not to its end, lacks columns, or had rows that
            are wrong.
    """
    place = table.path if file is not None else _place(table)
    ending = places.ending(place)
    reading = Reading(table, place, group, rows=ending in _PARQUET, labelled=False)
    try:
        with (
            contextlib.nullcontext(file) if file is not None else Path(place).open("rb") as content
        ):
            if ending in _PARQUET:
                steps = forms.read_parquet_rows(reading, place)
            else:
                read = forms.read_lines if ending in _LINES else forms.read_delimited
                steps = read(reading, delimited.lines(content, reading.found))
            rows = 0
            for _ in steps:
                rows += 1
                yield from reading.taken()
    except OSError as error:
        raise DataError(
            Problem(f"cannot be read: {error.strerror or error}", source=place)
        ) from error
    if not rows and not reading.found.count:
        reading.found.add("has not one row")
    reading.found.stop()


def _read(table: Table, group: str | None) -> Dataset:
    """Return the rows of a table; `group` names the column that says what belongs together."""
    place = _place(table)
    ending = places.ending(place)
    reading = Reading(table, place, group, rows=ending in _PARQUET)
    if ending in _PARQUET:
        forms.read_parquet(reading, place)
    else:
        text = delimited.content(place, what="a table")
        if ending in _LINES:
            # Not splitlines: a text in JSON may hold other line ends.
            steps = forms.read_lines(reading, text.split("\n"))
        else:
            steps = forms.read_delimited(reading, io.StringIO(text, newline=""))
        for _ in steps:
            pass
    dataset = reading.dataset()
    return without_duplicates(dataset) if table.duplicates == "drop" else dataset


def _place(table: Table) -> str:
    """Return where a table is; raise `DataError` where there is none that can be read."""
    if "\0" in table.path:
        raise DataError(f"{shown(table.path)} cannot be a path")
    place = places.at_home(table.path)
    ending = places.ending(place)
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
    if ending not in ENDINGS and table.delimiter is None:
        name = place.lower()
        advice = next((text for ends, text in _ADVICE.items() if name.endswith(ends)), "")
        known = listed(ENDINGS)
        raise DataError(Problem(f"a table is {known}{advice and '; ' + advice}", source=place))
    return place
