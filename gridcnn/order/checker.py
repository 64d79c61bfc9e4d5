"""The built-in checker: the rule of thumb, applied to training data."""

from __future__ import annotations

import math

import numpy as np

from gridcnn.contracts.targets import Targets
from gridcnn.errors import DataError
from gridcnn.grid import Cells
from gridcnn.order.guard import Context
from gridcnn.order.sample import Sample, axis_names, judge
from gridcnn.order.verdict import Verdict


class Order:
    """The rule of thumb as a `Checker` (see `gridcnn.order.guard`).

    Grids of one channel and one row (or one column) are judged as a table of columns, and every
    layout is tried. All others are judged as they are, each axis by itself. Too little data is not
    an error here: the verdict is "undecided".
    """

    def __call__(self, grids: Cells, targets: Targets | None, context: Context) -> Verdict:
        """Return the verdict on grids that were drawn from the training items."""
        kept = np.arange(len(grids))
        names = axis_names(context.shape)
        sample = Sample(grids, context.items, kept, targets, names, seed=context.seed)
        return self.judge(sample, context)

    def judge(self, sample: Sample, context: Context) -> Verdict:
        """Return the verdict on a sample, the same as that of `gridcnn.check`."""
        try:
            # If neighbours have settled the verdict, usefulness would only take time.
            return judge(sample, threads=context.threads, advance=context.advance, thorough=False)
        except DataError as error:
            evidence = tuple(problem.message for problem in error.problems)
            columns = math.prod(context.shape.sizes)
            return Verdict(
                "undecided", evidence, rows=sample.rows, columns=columns, seed=sample.seed
            )


order = Order()
