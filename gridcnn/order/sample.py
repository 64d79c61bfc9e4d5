"""A sample: the rows or items that are looked at, in the one form in which data is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError, Problem
from gridcnn.grid import Cells, GridShape, OneHot
from gridcnn.order.columns import Column, column_of
from gridcnn.order.judge import Judging, judge_columns, judge_grids, refuse_too_few
from gridcnn.order.sequences import judge_one_hot
from gridcnn.order.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows of a table, or the items, that a verdict rests on.

    Attributes:
        data: the columns of a table; or grids `(items, channels, rows, columns)`, as an array or
            one-hot.
        rows: how many rows or items there are in all.
        targets: the class of each row that is looked at, int64 `(rows,)`; None: no labels.
        axes: what the two axes of grids are called.
        notes: what else is to be told of the data, in sentences.
        source: what errors call the data; empty: nothing.
    """

    data: tuple[Column, ...] | Cells
    rows: int
    targets: NDArray[np.int64] | None = None
    axes: tuple[str, str] = ("row", "column")
    notes: tuple[str, ...] = ()
    source: str = ""


def sample_of_grids(
    values: Cells,
    shape: GridShape,
    targets: NDArray[np.int64] | None,
    *,
    rows: int,
    notes: Sequence[str] = (),
) -> Sample:
    """Return grids as a sample; those of one channel and one row are a table of columns.

    Args:
        values: the items that are looked at, `(items, channels, rows, columns)`.
        shape: the shape of each, with its axes.
        targets, rows, notes: as for `Sample`.
    """
    names = (shape.row_axis.name, shape.column_axis.name)
    if isinstance(values, OneHot) or shape.channels > 1 or shape.rows > 1:
        return Sample(values, rows, targets, names, tuple(notes))
    flat: NDArray[Any] = values[:, 0, 0]
    columns = tuple(column_of(f"column {n + 1}", cells) for n, cells in enumerate(flat.T))
    return Sample(columns, rows, targets, names, tuple(notes))


def judge(sample: Sample, judging: Judging, *, shape: tuple[int, int] | None = None) -> Verdict:
    """Return the verdict on a sample.

    Args:
        sample: what is judged.
        judging: seed, threads and progress.
        shape: the rows and columns of the grid that the columns of a table are said to be.

    Raises:
        DataError: there are too few columns or rows, all cells are the same, or `shape` does not
            go with the data.
    """
    try:
        verdict = _verdict(sample, judging, shape)
    except DataError as error:
        problems = (Problem(problem.message, source=sample.source) for problem in error.problems)
        raise DataError(*problems) from None
    return replace(verdict, evidence=(*verdict.evidence, *sample.notes))


def _verdict(sample: Sample, judging: Judging, shape: tuple[int, int] | None) -> Verdict:
    data, targets, rows = sample.data, sample.targets, sample.rows
    if isinstance(data, tuple):
        refuse_too_few(len(data), len(data[0].values) if data else 0)
        if all(column.kind == "constant" for column in data):
            raise DataError(
                f"all {len(data)} columns have one value only; there is nothing to compare"
            )
        return judge_columns(data, targets, rows=rows, judging=judging, shape=shape)
    if shape is not None:
        raise DataError(
            f"a shape is for the columns of a table; these are grids of {_sizes(data)} (channels x "
            "rows x columns) already"
        )
    if isinstance(data, OneHot):
        return judge_one_hot(
            data.indices, data.rows, targets, names=sample.axes, rows=rows, judging=judging
        )
    if np.nanmin(data) == np.nanmax(data):
        raise DataError("all cells of all items have one value; there is nothing to compare")
    return judge_grids(data, targets, names=sample.axes, rows=rows, judging=judging)


def _sizes(grids: Cells) -> str:
    return " x ".join(map(str, grids.shape[1:]))
