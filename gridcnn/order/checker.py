"""The built-in checker: gridcnn's own instrument, put to the grids of training data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError
from gridcnn.grid import Array
from gridcnn.order.columns import column_of
from gridcnn.order.guard import Context
from gridcnn.order.judge import judge_columns, judge_grids
from gridcnn.order.judging import Judging
from gridcnn.order.layouts import Layout
from gridcnn.order.verdict import Verdict
from gridcnn.order.wording import with_words


def order(grids: Array, targets: NDArray[np.int64] | None, context: Context) -> Verdict:
    """Return the verdict on grids; a `Checker` (see `gridcnn.order.guard`).

    Grids of one channel and one row (or one column) are judged as a table of columns, for which
    every layout is looked for. All others are judged as they stand, each of their axes by itself.
    Too little data is no error here: it is "undecided".
    """
    # Where neighbours have settled it, usefulness would only cost time.
    judging = Judging(context.seed, context.threads, context.advance, thorough=False)
    _, channels, rows, columns = grids.shape
    try:
        if channels == 1 and min(rows, columns) == 1:
            flat = grids.reshape(len(grids), -1)
            table = [column_of("", values) for values in flat.T]
            verdict = judge_columns(table, targets, rows=context.items, judging=judging)
            known = verdict.layout == Layout(1, len(table))
        else:
            names = (context.shape.row_axis.name, context.shape.column_axis.name)
            verdict = judge_grids(grids, targets, names=names, rows=context.items, judging=judging)
            known = True
    except DataError as error:
        found = tuple(problem.message for problem in error.problems)
        return Verdict("undecided", found, rows=context.items, columns=grids[0].size)
    if verdict.decision == "grid" and known:
        # Nobody needs to be told to take the layout that the data has already.
        told = with_words(replace(verdict, layout=None), labelled=targets is not None)
        verdict = replace(told, layout=verdict.layout)
    return verdict
