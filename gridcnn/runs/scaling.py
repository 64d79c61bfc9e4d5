"""Which scaling suits the rows of a table: what a plain comparison of rows says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets

Rows = NDArray[np.float64]
"""Items as in a table, `(items, columns)`."""
_MOST = 1000
"""Rows that are compared at most: the time grows with the square of their number."""
_SAME = 0.01
"""Means and deviations that differ by less of a deviation show that rows were scaled before."""


def are_scaled(rows: Rows) -> bool:
    """Return whether each row has about the same mean and deviation, as if it was scaled before."""
    means, deviations = rows.mean(axis=1), rows.std(axis=1)
    size = float(deviations.mean())
    return bool(max(np.ptp(means), np.ptp(deviations)) <= _SAME * size)


def choose_scaling(rows: Rows, targets: Targets, scalings: Sequence[str]) -> str:
    """Return the first of some scalings of `table` under which rows are compared well enough.

    Scaled in each way, every row gets the class of the row nearest to it. A scaling loses if
    another one is right more often, by more than two standard deviations of what chance makes
    of the rows that only one of the two has right. Rows with NaN or infinite numbers are left out.

    Args:
        rows: training rows, float64 `(items, columns)`.
        targets: the class of each row, as a number, `(items,)`.
        scalings: `row`, `overall` and `column`, the preferred one first.
    """
    usable = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if len(usable) < 2:
        return scalings[0]
    # Evenly from all over the data, whose rows are often sorted by their class.
    chosen = usable[np.unique(np.linspace(0, len(usable) - 1, _MOST).astype(np.int64))]
    rows, targets = rows[chosen], targets[chosen]
    right = {name: _nearest(_scale(rows, name)) for name in scalings}
    hits = {name: targets[nearest] == targets for name, nearest in right.items()}
    best = max(scalings, key=lambda name: int(hits[name].sum()))
    for name in scalings:
        lost, won = (hits[best] & ~hits[name]).sum(), (hits[name] & ~hits[best]).sum()
        if lost - won <= 2 * np.sqrt(lost + won):
            return name
    return best


def _scale(rows: Rows, scaling: str) -> Rows:
    """Return rows as `scaling` of the adapter table has them, but without its limit."""
    axis = {"row": 1, "column": 0, "overall": None}[scaling]
    means, deviations = rows.mean(axis=axis, keepdims=True), rows.std(axis=axis, keepdims=True)
    scaled: Rows = (rows - means) / np.where(deviations > 0, deviations, 1)
    return scaled


def _nearest(rows: Rows) -> NDArray[np.int64]:
    """Return for each row the index of the other row that is nearest to it."""
    squares = np.square(rows).sum(axis=1)
    distances = squares[:, None] + squares - 2 * rows @ rows.T
    np.fill_diagonal(distances, np.inf)
    nearest: NDArray[np.int64] = distances.argmin(axis=1)
    return nearest
