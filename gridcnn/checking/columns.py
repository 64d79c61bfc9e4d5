"""From named columns of cells to a sample: without the label, and with notes on odd columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.text import TextAdapter
from gridcnn.checking.labels import labels_for, targets_of
from gridcnn.errors import DataError, Problem, listed, quoted, suggestion
from gridcnn.order.columns import Column
from gridcnn.order.sample import Sample, axis_names, column_in

_LABELS = ("label", "class", "target", "y", "labels", "classes")
"""Names that a note asks about: such columns often hold the classes, but count as data."""


@dataclass(frozen=True)
class Table:
    """The rows of a table that are looked at.

    Attributes:
        names: the names of its columns.
        columns: the cells of each column, in the rows that are looked at.
        rows: how many rows there are in all.
        kept: which of them are looked at, int64 `(rows,)`, rising.
        notes: more sentences on the table, for the evidence.
        source: the file; empty for a table in memory.
        is_named: whether the names are the table's own.
    """

    names: Sequence[str]
    columns: Sequence[Sequence[Any] | NDArray[Any]]
    rows: int
    kept: NDArray[np.int64]
    notes: tuple[str, ...] = ()
    source: str = ""
    is_named: bool = True


def sample_of_columns(table: Table, y: Any, *, seed: int) -> Sample:
    """Return a table as a sample.

    A lone column of texts is taken as texts, character by character.

    Args:
        table: the table.
        y: the name of the column with the labels, a label for each row of the table, or None.
        seed: the seed of the draw of rows.

    Raises:
        DataError: there is no such column, or the labels cannot be used.
    """
    label, values = None, None
    chosen = table.kept
    if isinstance(y, str):
        label = _place(y, table.names, table.source)
        values, chosen = table.columns[label], np.arange(len(table.kept))
        values = values.tolist() if isinstance(values, np.ndarray) else values
    elif y is not None:
        values = labels_for(y, table.rows)
    what = f"the column {quoted(table.names[label])}" if label is not None else "y"
    targets, label_notes = targets_of(
        values, chosen, what=what, kept=table.kept, source=table.source
    )
    notes = [*table.notes, *label_notes]
    others = [number for number in range(len(table.names)) if number != label]
    if len(others) == 1 and all(isinstance(cell, str) for cell in table.columns[others[0]]):
        texts = table.columns[others[0]]
        grids = TextAdapter().fitted(texts).grids(texts)
        names = axis_names(grids.shape)
        return Sample(grids.values, table.rows, table.kept, targets, names, tuple(notes), seed=seed)
    columns = [column_in(table.names[n], table.columns[n], table.kept) for n in others]
    if table.is_named:
        notes += _about_names(columns, has_label=y is not None)
    notes += _about_twins(columns)
    return Sample(
        tuple(columns),
        table.rows,
        table.kept,
        targets,
        notes=tuple(notes),
        source=table.source,
        seed=seed,
    )


def _place(label: str, names: Sequence[str], source: str) -> int:
    count = names.count(label)
    if count == 1:
        return names.index(label)
    if count:
        raise DataError(Problem(f"{count} columns are named {quoted(label)}", source=source))
    has = listed([quoted(name)[1:-1] for name in names])
    hint = suggestion(label, names) or "."
    raise DataError(Problem(f"has no column {quoted(label)}{hint} It has: {has}", source=source))


def _about_names(columns: Sequence[Column], *, has_label: bool) -> list[str]:
    """Return notes on names: those that occur twice, and one that may be the label."""
    names = Counter(column.name for column in columns)
    notes = []
    twice = [quoted(name) for name, count in names.items() if count > 1 and name]
    if twice:
        notes.append(f"several columns have the same name: {listed(twice, limit=8)}")
    if not has_label:
        note = "no column is named as the label, so every column counts as data"
        likely = [name for name in names if name.casefold() in _LABELS]
        if likely:
            note += f", {quoted(likely[0])} as well; name it as the label if it holds the classes"
        notes.append(note)
    return notes


def _about_twins(columns: Sequence[Column]) -> list[str]:
    """Return a note on columns that hold the same values."""
    first: dict[bytes, str] = {}
    twins = []
    for column in columns:
        if column.kind != "constant":
            key = column.values.tobytes() + "\0".join(column.symbols).encode("utf-8", "replace")
            other = first.setdefault(key, column.name)
            if other is not column.name:
                twins.append(f"{quoted(column.name)} as {quoted(other)}")
    if not twins:
        return []
    return [f"columns with the same values as another: {listed(twins, limit=4)}"]
