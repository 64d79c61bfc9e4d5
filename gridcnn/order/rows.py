"""Whether the order of the *rows* carries information.

If a long recording was cut into rows, a row is like the row before it, or begins where that row
ended. A random division then puts neighbours of training rows into the test, and the accuracy is
too high. So rows side by side are compared with rows in random order, once column by column, and
once the last column of a row with the first of the next. What the classes explain is subtracted
first: a table sorted by class is not a recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets
from gridcnn.streams import Stream

_COLUMNS = 64
"""Columns that are compared: more change a mean over columns little."""
_ORDERS = 399
"""Random orders of the rows: the smallest p-value, of two tests, is 0.005, below `_LUCK`."""
_LUCK = 0.01
"""The p-value up to which it is no luck, as for columns."""
_LEAST = 0.1
"""The correlation of rows side by side from which on it is reported: a smaller one explains less
than 1 % of the variance."""
_FAR = 4
"""Rows that are this part of the table apart (a quarter) must be less alike: in a table that is
sorted by class, without labels, rows of one class are alike however far apart they stand."""
_FEWEST_ROWS = 40
"""Rows that are needed: of fewer, a correlation varies by more than 0.16 by luck."""


@dataclass(frozen=True)
class RowOrder:
    """How alike rows are that stand side by side.

    Attributes:
        alike: the mean correlation of a row and the next, over columns, -1 to 1; without the part
            that the classes explain.
        continues: the correlation of the end of a row with the start of the next, beyond the one
            that rows in random order have, 0 to 1.
        p_value: the part of random orders of rows in which either is as large.
    """

    alike: float
    continues: float
    p_value: float

    @property
    def is_ordered(self) -> bool:
        """Whether the accuracy would be too high after a random division."""
        return self.p_value <= _LUCK and max(self.alike, self.continues) >= _LEAST


def order_of_rows(
    values: NDArray[np.float32], targets: Targets | None, *, seed: int
) -> RowOrder | None:
    """Return how alike rows side by side are; None if there are too few rows or columns.

    Args:
        values: `(rows, columns, width)` as of `gridcnn.order.columns.comparable`, in their order.
        targets: the class of each row, -1 for none; None if there are no labels.
        seed: fixes the random orders.
    """
    rows, columns, _ = values.shape
    if rows < _FEWEST_ROWS or columns < 2:
        return None
    chosen = np.unique(np.linspace(0, columns - 1, _COLUMNS).round().astype(np.int64))
    flat = values[:, chosen].reshape(rows, -1).astype(np.float64)
    if targets is not None:
        flat = _without_classes(flat, targets)
    spread = flat.std(axis=0)
    flat = flat[:, spread > 0] / spread[spread > 0]
    if flat.shape[1] < 2:
        return None
    ends = values[:, [0, -1], 0].astype(np.float64)
    if targets is not None:
        ends = _without_classes(ends, targets)
    random = Stream.CHECK_ROW_ORDER.random(seed)
    alike, continues = _alike(flat, 1), _continues(ends)
    far = _alike(flat, max(2, rows // _FAR))
    orders = [random.permutation(rows) for _ in range(_ORDERS)]
    as_alike = sum(_alike(flat[order], 1) >= alike for order in orders)
    others = np.array([_continues(ends[order]) for order in orders])
    as_close = int((others >= continues).sum())
    p_value = (min(as_alike, as_close) + 1) / (_ORDERS + 1)
    return RowOrder(alike - max(far, 0.0), continues - float(others.mean()), min(1.0, 2 * p_value))


def _without_classes(flat: NDArray[np.float64], targets: Targets) -> NDArray[np.float64]:
    """Return the columns less their mean in each class."""
    rest = flat.copy()
    for target in np.unique(targets):
        members = targets == target
        rest[members] -= flat[members].mean(axis=0)
    return rest


def _alike(flat: NDArray[np.float64], step: int) -> float:
    return float((flat[:-step] * flat[step:]).mean())


def _continues(ends: NDArray[np.float64]) -> float:
    """Return how closely the last column of a row goes with the first of the next, 0 to 1."""
    last, first = ends[:-1, 1], ends[1:, 0]
    if last.std() == 0 or first.std() == 0:
        return 0.0
    return abs(float(np.corrcoef(last, first)[0, 1]))
