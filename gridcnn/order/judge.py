"""The verdict on the columns of a table, and on grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError
from gridcnn.order.case import COLUMNS, Case
from gridcnn.order.columns import Column, column_of, comparable
from gridcnn.order.judging import ROWS, Judging, refuse_too_few, sampled
from gridcnn.order.layouts import Layout, layouts
from gridcnn.order.structure import structure
from gridcnn.order.verdict import Verdict
from gridcnn.order.wording import told_aside, told_mixed, use_trees

__all__ = ["ROWS", "Judging", "judge_columns", "judge_grids", "refuse_too_few", "sampled"]


def judge_columns(
    columns: Sequence[Column],
    targets: NDArray[np.int64] | None,
    *,
    rows: int,
    judging: Judging,
    shape: tuple[int, int] | None = None,
) -> Verdict:
    """Return the verdict on the columns of a table.

    Args:
        columns: the columns, with the values of the rows that are looked at.
        targets: the class of each of these rows, int64 `(rows,)`, -1 for none; None: no labels.
        rows: how many rows the table has in all.
        judging: seed, threads and progress.
        shape: the rows and columns of the grid that these columns are said to be; None: it is
            looked for.

    Raises:
        DataError: there are too few columns or rows, or the shape does not go with the columns.
    """
    refuse_too_few(len(columns), len(columns[0].values) if columns else 0)
    found = structure(columns)
    notes = told_aside(columns, found)
    if found.mixed:
        return Verdict(
            "permutable",
            (told_mixed(found, len(columns)), *notes),
            (use_trees(found),),
            structure=found,
            rows=rows,
            columns=len(columns),
        )
    judged = [columns[index] for index in found.judged]
    if shape is not None and shape[0] * shape[1] != len(judged):
        raise DataError(
            f"a grid of {shape[0]} x {shape[1]} has {shape[0] * shape[1]} cells, but there are "
            f"{len(judged)} columns to fill it with"
        )
    values, usable = comparable(judged)
    tried = list(layouts(len(judged))) if shape is None else [Layout(*shape)]
    case = Case(values, usable, targets, rows, judging)
    return case.verdict(tried, (), found, notes, given=shape is not None)


def judge_grids(
    cells: NDArray[Any],
    targets: NDArray[np.int64] | None,
    *,
    names: tuple[str, str] = ("rows", "columns"),
    rows: int,
    judging: Judging,
) -> Verdict:
    """Return the verdict on items that are grids: on each of their axes, and on the whole.

    Args:
        cells: `(items, channels, rows, columns)`, the items that are looked at.
        targets: as for `judge_columns`.
        names: what the axes are called.
        rows: how many items there are in all.
        judging: seed, threads and progress.

    Raises:
        DataError: there are too few cells or items.
    """
    items, channels, height, width = whole_sizes = cells.shape
    refuse_too_few(channels * height * width, items)
    cells = _middle(cells)
    channels, height, width = cells.shape[1:]
    flat = cells.reshape(items, -1)
    columns = [column_of("", values) for values in flat.T]
    found = structure(columns)
    values, usable = comparable(columns)
    case = Case(values, usable, targets, rows, judging)
    axes = []
    for axis, name in enumerate(names):
        size = cells.shape[2 + axis]
        if size > 1:
            judged = case.axis(cells.shape[1:], axis, name)
            axes.append(replace(judged, size=whole_sizes[2 + axis]))
    whole = Layout(height, width, channels, interleaved=False)
    notes = told_aside(columns, found)
    if cells.shape != whole_sizes:
        notes.append(
            f"looked at the {height} x {width} cells in the middle of "
            f"{whole_sizes[2]:,} x {whole_sizes[3]:,}, in {channels} of {whole_sizes[1]:,} channels"
        )
    return case.verdict([whole], tuple(axes), found, notes, given=True)


_CHANNELS = 8  # of large grids with more of them, so that enough cells of each can be compared


def _middle(cells: NDArray[Any]) -> NDArray[Any]:
    """Return the middle of large grids, so large that all of its cells can be compared."""
    _, channels, height, width = cells.shape
    if channels * height * width <= COLUMNS:
        return cells
    if channels > _CHANNELS:
        cells = cells[:, np.linspace(0, channels - 1, _CHANNELS).round().astype(int)]
        channels = _CHANNELS
    each = COLUMNS // channels
    # A square, unless one side is too short for it.
    rows = min(height, max(math.isqrt(each), each // width))
    columns = min(width, each // rows)
    top, left = (height - rows) // 2, (width - columns) // 2
    return cells[:, :, top : top + rows, left : left + columns]
