"""The rows of a table as they are read, and what is wrong with them."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import Dataset, Label
from gridcnn.datasets.labels import NotALabelError, label_of, refuse_twins
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.manifest import PART_NAMES, no_part
from gridcnn.datasets.soundness import sound
from gridcnn.datasets.tables.cells import floats, is_text, is_whole, parsing_problem, problem_of
from gridcnn.errors import listed, quoted, shown, suggestion

if TYPE_CHECKING:
    from gridcnn.datasets.tables.table import Table

NUMBERED = (".csv", ".tsv", ".tab", ".txt")
"""Endings of files whose columns may be called by numbers."""
_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls the column of its row numbers in a Parquet file."""


@dataclass(frozen=True)
class Where:
    """Which column of a row is what; `text` where the only input is a text."""

    inputs: tuple[int, ...]
    label: int | None
    split: int | None
    group: int | None
    text: bool


class Reading:
    """The rows of a table, as they are read, and what is wrong with them.

    A position is the line of a text file, or the number of a row. Cells are texts in files that
    know nothing else, and are read as numbers; others are values. With `labelled` false, things
    alone are read: columns that say more about them need not be there.
    """

    def __init__(
        self,
        table: Table,
        source: str,
        group: str | None,
        *,
        rows: bool,
        labelled: bool = True,
    ) -> None:
        self.table = table
        self.group = group
        self.found = Problems(source)
        self.names: list[str] = []
        self.where = Where((), 0, None, None, text=False)
        self.positions: list[int] = []
        self.texts: list[str] = []
        self.numbers = array("d")
        self.labels: list[Label] = []
        self.splits: list[str] = []
        self.groups: list[str] = []
        self._rows = rows
        self._labelled = labelled
        self._count = 0

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
        label = self._about(table.label, line)
        split = self._about(table.split, line)
        group = self._about(self.group, line)
        if table.input is None:
            inputs = self._others((label, split, group), line)
        else:
            asked = (table.input,) if isinstance(table.input, str) else table.input
            inputs = tuple(self._place(name, line) for name in asked)
        if self.found.count > before:
            self.found.stop()
        text = isinstance(table.input, str)
        if self._labelled:
            self.where = Where(inputs, label, split, group, text)
        else:
            self.where = Where(inputs, None, None, None, text)

    def _about(self, name: str | None, line: int | None) -> int | None:
        """Return where a column is that tells more about items, if it is wanted."""
        if name is None or not (self._labelled or name in self.names):
            return None
        return self._place(name, line)

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
        elif name.isdecimal() and self.table.path.lower().endswith(NUMBERED):
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
        self._count += 1
        if where.text:
            self.text(position, cells[where.inputs[0]])
        else:
            self._numbers(position, [cells[index] for index in where.inputs], parse)
        if where.label is not None:
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
        elif not value.isascii() and not is_whole(value):
            self.told(
                position,
                f"the column {quoted(str(name))} has half a character (a lone surrogate); mend the "
                "text",
            )
        else:
            self.texts.append(value)

    def _numbers(self, position: int, cells: Sequence[Any], parse: bool) -> None:
        values = floats(cells, parse)
        if values is not None:
            self.numbers.extend(values)
            return
        if self.table.input is None and self._count == 1:
            self._refuse_texts(position, cells)
        for index, cell in zip(self.where.inputs, cells, strict=True):
            problem = parsing_problem(cell) if parse else problem_of(cell)
            if problem:
                self.no_number(position, index, problem)

    def _refuse_texts(self, position: int, cells: Sequence[Any]) -> None:
        """Raise `DataError` where columns that nobody asked for begin with texts: it tells once."""
        texts = {
            self.names[index]: cell
            for index, cell in zip(self.where.inputs, cells, strict=True)
            if isinstance(cell, str) and is_text(cell.strip())
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
            if isinstance(label, str) and not is_whole(label):
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

    def place(self, position: int) -> str:
        """Return what messages call a row: the file and its line, or its row."""
        return f"{self.found.source}{', row ' if self._rows else ':'}{position}"

    def taken(self) -> Iterator[tuple[str, Any]]:
        """Yield the row that was read last, where it can be used, and forget it."""
        width = len(self.where.inputs)
        if self.positions and self.where.text and self.texts:
            yield self.place(self.positions[-1]), self.texts[-1]
        elif self.positions and len(self.numbers) == width:
            yield self.place(self.positions[-1]), np.array(self.numbers, np.float64)
        self.positions.clear()
        self.texts.clear()
        del self.numbers[:]

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
        word = "row" if self._rows else "line"
        return sound(
            Dataset(
                self.texts if self.where.text else list(self._stack()),
                self.labels,
                [f"{word} {position}" for position in self.positions],
                [PART_NAMES[part.casefold()] for part in self.splits] if divided else None,
                origin=source,
                places=[self.place(position) for position in self.positions],
                groups=self.groups if self.group is not None else None,
            )
        )

    def _stack(self) -> NDArray[np.float64]:
        return np.array(self.numbers, np.float64).reshape(len(self.positions), -1)
