"""The labels of the rows of a table: one class, a mark for each label, or all labels in a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import Label
from gridcnn.datasets.labels import NotALabelError, label_of, plain_value
from gridcnn.datasets.several import ALLOWED, mark_of, marks_of
from gridcnn.datasets.tables.cells import is_whole
from gridcnn.datasets.tables.rows import Cells, Rows
from gridcnn.errors import quoted, shown
from gridcnn.settings.label_columns import LabelCells, Labels

_FEW = 10
"""More cells than this that say nothing about a label show that the column is none."""


def labels_of_block(
    rows: Rows,
    label: Labels,
    names: Sequence[str],
    numbers: Sequence[int],
    columns: Sequence[Cells],
    good: NDArray[np.bool_],
) -> list[Any] | NDArray[np.float32]:
    """Return the labels of some rows: classes, or sets of labels, or marks `(rows, labels)`.

    Rows whose labels cannot be used are reported, and are no longer `good`.

    Args:
        rows: the table.
        label: what the labels are.
        names: what the columns of the labels are called.
        numbers: the places of these rows in the table.
        columns: what stands in these columns.
        good: for each row, whether it can be used.
    """
    if not isinstance(label, str | LabelCells):
        marks = [
            read_marks(rows, name, numbers, cells, good)
            for name, cells in zip(names, columns, strict=True)
        ]
        return np.column_stack(marks)
    first = columns[0]
    cells = first.tolist() if isinstance(first, np.ndarray) else first
    read: Callable[[int, int, Any], Any]
    if isinstance(label, LabelCells):

        def read(place: int, row: int, value: Any) -> Any:
            return _read_labels(rows, label, place, value, good, row)

    else:
        name = f"the label in {quoted(label)}"

        def read(place: int, row: int, value: Any) -> Any:
            return _read_label(rows, name, place, value, good, row)

    return [read(numbers[row], row, value) for row, value in enumerate(cells)]


def _read_label(
    rows: Rows, name: str, place: int, value: Any, good: NDArray[np.bool_], row: int
) -> Label:
    """Return the class of a row; a row without one is reported, and is no longer `good`."""
    try:
        label = label_of(value.strip() if rows.written else value)
        if isinstance(label, str) and not is_whole(label):
            raise NotALabelError("has half a character (a lone surrogate) in it")
    except NotALabelError as error:
        label = None
        if error.hopeless:
            rows.refuse(place, f"{name} {error}")
            rows.problems.stop()
        rows.tell(place, f"{name} {error}")
    else:
        if label is None:
            rows.tell(place, f"{name} is empty; give every item a label")
    if label is None:
        good[row] = False
        return ""
    return label


def read_marks(
    rows: Rows,
    name: str,
    numbers: Sequence[int],
    cells: Cells,
    good: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return whether each row has a label: 1, 0, or NaN if not known.

    A row whose cell says neither is reported, and is no longer `good`. If most cells are like
    that, the column is refused.

    Args:
        rows: the table.
        name: the column of the label.
        numbers: the places of these rows in the table.
        cells: what stands in the column.
        good: for each row, whether it can be used.
    """
    marks = marks_of(cells)
    if marks is not None:
        return marks
    each = [mark_of(cell) for cell in cells]
    wrong = [row for row, mark in enumerate(each) if mark is None]
    problems = [f"the label in {quoted(name)} is {shown(plain_value(cells[row]))}" for row in wrong]
    allowed = f"the cells of a label among several are {ALLOWED}"
    if len(wrong) > _FEW and 2 * len(wrong) > len(cells):
        rows.refuse(
            numbers[wrong[0]],
            f"{problems[0]}, and {len(wrong) - 1:,} more are no better; {allowed}. If it is a "
            "column of "
            "classes, name it alone, without brackets; if each cell holds all labels of an item, "
            f"write label: {{column: {name}}}",
        )
        rows.problems.stop()
    for row, message in zip(wrong, problems, strict=True):
        good[row] = False
        rows.tell(numbers[row], f"{message}; {allowed}")
    return np.array([math.nan if mark is None else mark for mark in each], np.float32)


def _read_labels(
    rows: Rows, settings: LabelCells, place: int, value: Any, good: NDArray[np.bool_], row: int
) -> frozenset[Label]:
    """Return all labels of a row: what the separator is between, or a list of them."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    parts: list[Any] = [] if missing else [value]
    if isinstance(value, str):
        parts = value.split(settings.separator)
    elif isinstance(value, list | np.ndarray):
        parts = list(value)
    labels: set[Label] = set()
    for part in parts:
        if isinstance(part, str) and not part.strip():
            continue
        name = f"a label in {quoted(settings.column)}"
        plain = part.strip() if isinstance(part, str) else part
        labels.add(_read_label(rows, name, place, plain, good, row))
    return frozenset(labels)
