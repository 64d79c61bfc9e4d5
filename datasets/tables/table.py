"""The data source `table`: items that are in the table itself, as texts, numbers or files."""

from __future__ import annotations

import codecs
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from gridcnn.contracts.source import Dataset, Request, Source
from gridcnn.datasets import places
from gridcnn.datasets.labels import IN_MEMORY
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.frames import FRAME_ENDINGS
from gridcnn.datasets.tables.items import Columns, opened_rows, place_of, read_items
from gridcnn.datasets.tables.lines import ending_of
from gridcnn.datasets.tables.rows import Form
from gridcnn.errors import quoted
from gridcnn.settings.base import Flag, wanted_error
from gridcnn.settings.label_columns import NAME_SCHEMA, Column, LabelColumns, column_name


def _names(value: Any) -> str | tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return column_name(value)
    if not value:
        raise wanted_error("the name of a column, or a list of such")
    return tuple(column_name(each) for each in value)


def _sign(value: Any) -> str:
    if isinstance(value, str) and len(value) == 1 and value not in '"\r\n':
        return value
    raise wanted_error("a single character, and no quote or line end")


def _encoding(value: Any) -> str:
    try:
        if isinstance(value, str) and "a".encode(value):
            return codecs.lookup(value).name
    except (LookupError, ValueError):
        pass
    raise wanted_error("an encoding of texts, such as utf-8, cp1252 or latin-1")


_FORM = ("header", "delimiter", "decimal", "thousands", "encoding", "quoting", "sheet")
"""The settings that say how a file is written."""
_TEXT = WithJsonSchema({"type": "string"})
ColumnNames = Annotated[
    str | tuple[str, ...],
    PlainValidator(_names),
    PlainSerializer(lambda value: value if isinstance(value, str) else list(value)),
    WithJsonSchema(
        {"anyOf": [NAME_SCHEMA, {"type": "array", "items": NAME_SCHEMA, "minItems": 1}]}
    ),
]
"""One column, or a list of them."""


class Table(Source):
    """A table whose rows are the items: CSV, TSV, JSON Lines, Parquet, Feather, Excel or Stata.

    The ending of the file's name says what it is: .csv, .txt, .tsv or .tab; .jsonl or .ndjson, with
    an object in each line; .smi, with a SMILES in each line; .parquet or .pq, and .feather, for
    which pyarrow has to be installed; .xlsx, for which openpyxl has to be; .xls, .ods, .dta. Text
    may be compressed: .csv.gz, .bz2, .xz or .zip. Settings that are null are found in training, and
    kept.
    """

    title: ClassVar[str] = "table"
    named: ClassVar[bool] = False

    path: str = Field(min_length=1)
    """The file. A relative path starts at the folder of the spec."""
    input: ColumnNames | None = None
    """What an item is. The name of one column: its texts, as they are, its lists of numbers, or its
    pictures or sounds in the form {bytes, path}. A list of columns: their numbers, in this order.
    null: the numbers of all columns that have no other use and do not only count the rows."""
    label: LabelColumns
    """The column of the classes. If an item may have several labels: a list of columns, or
    `{pattern: ...}`, a regular expression for their whole names, whose cells are 1 or 0 (true or
    false, yes or no), or empty if it is not known; or `{column: tags, separator: ";"}`, one column
    with all labels of an item in its cell."""
    split: Column | None = None
    """The column with train, validation or test in every row; null if there is none."""
    header: Flag | None = None
    """Whether the first line names the columns. Without names, columns are called by their numbers,
    from 1. null: yes, unless the requested columns are numbers."""
    delimiter: Annotated[str, PlainValidator(_sign), _TEXT] | None = None
    """The character between the cells of a CSV or TSV file; null: tabs in a TSV file, else a comma,
    a semicolon, a tab or `|`, whichever fits the first line."""
    decimal: Literal[".", ","] | None = None
    """The decimal separator in a text file."""
    thousands: Literal["none", ",", ".", " ", "'"] | None = None
    """The thousands separator in a text file; a space means every kind of space."""
    encoding: Annotated[str, PlainValidator(_encoding), _TEXT] | None = None
    """How the characters of a text file are encoded, such as cp1252; null: UTF-8, or UTF-16 if the
    file starts with its mark."""
    quoting: Flag = True
    """Whether double quotes around a cell of a CSV or TSV file may hide separators and line ends in
    it; `false`: quotes are ordinary characters."""
    sheet: str | None = None
    """The sheet of an Excel file; null: the first."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        columns = self.columns()
        uses = Counter([*columns.inputs, *columns.about])
        twice = [name for name, count in uses.items() if count > 1]
        if twice:
            raise ValueError(f"the column {quoted(twice[0])} is named {uses[twice[0]]} times")
        for name, given in (
            ("header", self.header is False),
            ("delimiter", self.delimiter is not None),
            ("quoting", not self.quoting),
        ):
            text = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".xls", ".ods")
            ending = ending_of(self.path)
            if given and ending not in text and ending in (".jsonl", ".ndjson", *FRAME_ENDINGS):
                raise ValueError(f"{quoted(name)} is for CSV and TSV files alone")
        return self

    def columns(self, group: str | None = None) -> Columns:
        """Return which columns are asked for."""
        return Columns(self.input, self.label, self.split, group)

    @property
    def form(self) -> Form:
        """How the file is written, as far as that is set."""
        return Form(**{name: getattr(self, name) for name in _FORM})

    def of(self, path: str) -> Self:
        """Return the source with another file of the same columns, perhaps of another format."""
        settings = self.model_dump(exclude_unset=True)
        if ending_of(path) != ending_of(self.path):
            settings = {k: v for k, v in settings.items() if k not in _FORM}
        return type(self)(**{**settings, "path": path})

    def resolved(self, base: Path) -> Self:
        """Return the source with its path made absolute, starting at the folder `base`."""
        return self.model_copy(update={"path": places.resolve(self.path, base)})

    def open(self, request: Request) -> Dataset:
        """Return the rows: float64 `(items, columns)`, or texts, arrays or contents of files.

        Labels are texts in CSV and TSV files, and texts or whole numbers in the others.

        Raises:
            DataError: the file cannot be read, lacks columns, or has no usable row.
        """
        place = place_of(self.path, any_ending=self.delimiter is not None)
        return self.read(place, request)

    def read(self, given: Any, request: Request) -> Dataset:
        """Return the rows of a file, or of a data frame with the columns of this table."""
        problems = Problems(given if isinstance(given, str) else IN_MEMORY)
        columns = self.columns(request.group)
        with opened_rows(
            given,
            self.form,
            problems,
            wanted=(*columns.inputs, *columns.about),
            complete=self.input is None,
            trained=request.trained,
        ) as rows:
            dataset, named = read_items(
                rows, columns, missing=request.missing, trained=request.trained
            )
            settings = {name: getattr(rows.form, name) for name in _FORM}
        settled = {k: v for k, v in settings.items() if v is not None and isinstance(given, str)}
        found_columns = {"input": named.input, "label": named.label}
        filled = self.model_copy(update={**found_columns, **settled})
        return replace(dataset, resolved=filled)
