"""A sample: the rows or items that are looked at, in the one form in which data is judged.

`check`, runs, cross-validations and `GridClassifier` all draw with `draw_items` and judge with
`judge`, so that the same data has the same verdict in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Adapter, OneHotAdapter, Things, pick
from gridcnn.contracts.targets import LabelTargets, Targets
from gridcnn.errors import DataError, Problem, quoted
from gridcnn.grid import Cells, GridShape, OneHot
from gridcnn.order.columns import Column, column_of
from gridcnn.order.judge import judge_columns, judge_grids
from gridcnn.order.judging import ROWS, Judging, refuse_too_few, sample_rows
from gridcnn.order.layouts import Layout
from gridcnn.order.sequences import judge_one_hot
from gridcnn.order.verdict import Verdict
from gridcnn.order.wording import with_words
from gridcnn.progress import Advance

_CELLS = 2**25
"""Cells of all items together that are looked at: a quarter of a gigabyte of float64."""
_FEWEST_ITEMS = 500
"""Items that are looked at however many cells they have: fewer would show only strong orders."""


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows of a table, or the items, that a verdict rests on.

    Attributes:
        data: the columns of a table; or grids `(items, channels, rows, columns)`, as an array or
            one-hot. Grids of one channel and one row, or one column, are judged as columns.
        rows: how many rows or items there are in all.
        kept: the number of each row that is looked at, int64 `(rows,)`, rising.
        targets: the class of each row that is looked at, `(rows,)`; None: no labels.
        axes: the names of the two axes of grids.
        notes: more sentences on the data, for the evidence.
        source: the name of the data in errors; empty: none.
        seed: the seed of the draw of rows, and of the verdict.
    """

    data: tuple[Column, ...] | Cells
    rows: int
    kept: NDArray[np.int64]
    targets: Targets | None = None
    axes: tuple[str, str] = ("row", "column")
    notes: tuple[str, ...] = ()
    source: str = ""
    seed: int = 0


# Drawing ------------------------------------------------------------------------------------------


def draw_items(items: int, cells: int, seed: int) -> NDArray[np.int64]:
    """Return the numbers of the items to look at, of so many cells each, int64, rising.

    If there are many, 4,000 are drawn at random; of large ones fewer, but at least 500, so that it
    takes seconds and little memory.
    """
    return sample_rows(items, seed, most=min(ROWS, max(_FEWEST_ITEMS, _CELLS // max(1, cells))))


def draw_training_items(
    training: NDArray[np.int64], adapter: Adapter, shape: GridShape, seed: int
) -> NDArray[np.int64]:
    """Return the training items to look at; one-hot grids are small however many rows they have."""
    cells = shape.columns if isinstance(adapter, OneHotAdapter) else shape.cells
    return training[draw_items(len(training), cells, seed)]


def sample_of_items(
    things: Things,
    chosen: NDArray[np.int64],
    grids: Cells,
    targets: Targets | None,
    *,
    adapter: Adapter,
    rows: int,
    seed: int,
    notes: tuple[str, ...] = (),
) -> Sample:
    """Return chosen items as a sample: their own numbers if the adapter only lays them out.

    Args:
        things: all things.
        chosen: which of them are looked at, int64 `(items,)`; all of them can be read.
        grids: their grids by the fitted `adapter`, `(items, channels, rows, columns)`.
        targets, rows, seed, notes: as for `Sample`.
    """
    numbers = adapter.laid_out(pick(things, chosen)) if len(chosen) else None
    data = grids if numbers is None else numbers
    return Sample(data, rows, chosen, targets, axis_names(adapter.shape()), notes=notes, seed=seed)


def classes_to_judge(
    targets: Targets | LabelTargets, names: Sequence[str | int]
) -> tuple[Targets, tuple[str, ...]]:
    """Return the class of each item by which data is judged, and sentences about that.

    Of several labels it is the one that divides the items most evenly: 1, 0, or -1 if not known.

    Args:
        targets: classes `(items,)`, or several labels `(items, labels)`.
        names: what the labels are called.
    """
    if targets.ndim == 1:
        return targets.astype(np.int64, copy=False), ()
    label = int(np.minimum((targets == 1).sum(axis=0), (targets == 0).sum(axis=0)).argmax())
    chosen = targets[:, label]
    told = (
        f"judged by the label {quoted(str(names[label]))} alone, which of the {len(names)} labels "
        "divides the items most evenly"
    )
    classes: Targets = np.where(np.isnan(chosen), -1, chosen).astype(np.int64)
    return classes, (told,)


def axis_names(shape: GridShape) -> tuple[str, str]:
    """Return the names of the axes of a grid."""
    return shape.row_axis.name, shape.column_axis.name


def sample_of_grids(
    grids: Cells, targets: Targets | None, *, shape: GridShape, seed: int
) -> Sample:
    """Return the sample of grids without any other information."""
    one_hot = isinstance(grids, OneHot)
    chosen = draw_items(len(grids), shape.columns if one_hot else shape.cells, seed)
    some = grids if len(chosen) == len(grids) else grids[chosen]
    kept = None if targets is None else targets[chosen]
    return Sample(some, len(grids), chosen, kept, axis_names(shape), seed=seed)


def column_in(name: str, cells: Any, kept: NDArray[np.int64]) -> Column:
    """Return a column; one that counts the rows is an identifier, even if only some are kept."""
    column = column_of(name, cells)
    if column.kind == "number" and len(kept) > 2:
        steps = np.diff(column.values) / np.diff(kept)
        if (steps == steps[0]).all() and steps[0] != 0:
            return replace(column, kind="identifier")
    return column


# Judging ------------------------------------------------------------------------------------------


def judge(
    sample: Sample,
    *,
    threads: int | None = None,
    advance: Advance | None = None,
    thorough: bool = True,
    shape: tuple[int, int] | None = None,
) -> Verdict:
    """Return the verdict on a sample.

    Args:
        sample: the sample to judge.
        threads: the most threads; None: as many as this process may use.
        advance: is called with the progress.
        thorough: whether usefulness is measured even if neighbours have settled the decision;
            without it the verdict is the same, and the evidence shorter.
        shape: the rows and columns of the grid that the columns of a table are said to be.

    Raises:
        DataError: there are too few columns or rows, all cells are the same, or `shape` does not
            fit the data.
    """
    judging = Judging(sample.seed, threads, advance, thorough=thorough)
    try:
        verdict = _verdict(sample, judging, shape)
    except DataError as error:
        problems = (Problem(problem.message, source=sample.source) for problem in error.problems)
        raise DataError(*problems) from None
    return replace(verdict, evidence=(*verdict.evidence, *sample.notes), seed=sample.seed)


def _verdict(sample: Sample, judging: Judging, shape: tuple[int, int] | None) -> Verdict:
    data, rows = sample.data, sample.rows
    targets = None if sample.targets is None else _by_first(sample.targets)
    if isinstance(data, tuple):
        return _of_columns(data, targets, rows, judging, shape)
    if shape is not None:
        sizes = " x ".join(map(str, data.shape[1:]))
        raise DataError(
            f"a shape is for the columns of a table; these are grids of {sizes} (channels x rows x "
            "columns) already"
        )
    if isinstance(data, OneHot):
        return judge_one_hot(
            data.indices, data.rows, targets, names=sample.axes, rows=rows, judging=judging
        )
    if data.shape[1] == 1 and 1 in data.shape[2:]:
        flat = data.reshape(len(data), -1)
        columns = [column_in(f"column {n + 1}", x, sample.kept) for n, x in enumerate(flat.T)]
        verdict = _of_columns(columns, targets, rows, judging, None)
        if verdict.decision == "grid" and verdict.layout == Layout(1, len(columns)):
            # The data has that layout already, so the words must not advise it.
            worded = with_words(replace(verdict, layout=None), labelled=targets is not None)
            return replace(worded, layout=verdict.layout)
        return verdict
    finite = data[np.isfinite(data)]
    if not finite.size or finite.min() == finite.max():
        raise DataError("all cells of all items have one value; there is nothing to compare")
    return judge_grids(data, targets, names=sample.axes, rows=rows, judging=judging)


def _of_columns(
    columns: tuple[Column, ...] | list[Column],
    targets: Targets | None,
    rows: int,
    judging: Judging,
    shape: tuple[int, int] | None,
) -> Verdict:
    refuse_too_few(len(columns), len(columns[0].values) if columns else 0)
    if all(column.kind == "constant" for column in columns):
        raise DataError(
            f"all {len(columns)} columns have only one value; there is nothing to compare"
        )
    return judge_columns(columns, targets, rows=rows, judging=judging, shape=shape)


def _by_first(targets: Targets) -> NDArray[np.int64]:
    """Return classes numbered in the order of their first rows; -1 stays.

    Elsewhere the names of classes decide their numbers; here the names are ignored.
    """
    classes, first, place = np.unique(targets, return_index=True, return_inverse=True)
    first[classes < 0] = -1
    number = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    number -= int((classes < 0).any())
    numbered: NDArray[np.int64] = number[place].astype(np.int64)
    return numbered
