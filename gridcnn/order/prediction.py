"""How well columns are predicted from other columns, on rows that the prediction has not seen.

Every column is one or several numbers of a row (see `gridcnn.order.columns`). A linear prediction
of a column from a few others is fitted on one half of the rows and judged on the other half, and
the other way round; its R2 is the part of the column's variance that it explains there. All of this
follows from the two halves' matrices of covariances, so that thousands of predictions cost little.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

_RIDGE = 1e-3
"""Added to the diagonal of covariances, whose variances are 1, so that copies of a column do not
make the equations singular."""
_AT_ONCE = 4_000_000
"""Numbers in a gathered array at most, which bounds its memory to 32 MB."""


class Predictor:
    """Predicts columns from columns.

    Args:
        values: float `(rows, columns, width)`: each column as `width` numbers of mean 0 and
            variance 1 that do not correlate with each other, or 0 if a column needs fewer. Even
            rows are one half, odd rows the other.
    """

    def __init__(self, values: NDArray[np.floating]) -> None:
        rows, self.columns, self.width = values.shape
        flat = values.reshape(rows, -1)
        # One more column of zeros stands for missing neighbours.
        size = flat.shape[1]
        self._nothing = self.columns
        self._halves: list[Floats] = []
        for half in (flat[0::2], flat[1::2]):
            covariances = np.zeros((size + self.width,) * 2)
            covariances[:size, :size] = (half.T @ half) / len(half)
            self._halves.append(covariances)
        self._noise = 2.0 / rows

    def r2(self, targets: Indices, predictors: Indices) -> Floats:
        """Return R2, `(...)`, of predicting columns `(...)` from columns `(..., count)`.

        An index of -1 among the predictors means none. A prediction that is worse than the
        mean explains nothing: its R2 is 0.
        """
        flat = np.where(predictors < 0, self._nothing, predictors).reshape(-1, predictors.shape[-1])
        own = targets.reshape(-1)
        r2 = np.empty(len(flat))
        step = max(1, _AT_ONCE // (flat.shape[1] * self.width) ** 2)
        for start in range(0, len(flat), step):
            part = slice(start, start + step)
            r2[part] = self._both_ways(partial(self._r2, own[part], flat[part]))
        return r2.reshape(targets.shape)

    def best_r2(self, targets: Indices, candidates: NDArray[np.bool_], count: int) -> Floats:
        """Return R2 `(items,)` of predicting each target from the best `count` columns, or nearly.

        The columns are chosen one after the other. Each explains most of what those before it
        leave, on the rows that the prediction is fitted on; the other rows are not used for the
        choice. So this is what can be reached without knowing the order.

        Args:
            targets: columns `(items,)`.
            candidates: which columns may be chosen for each target, `(items, columns)`.
            count: how many are chosen; fewer if there are fewer candidates.
        """
        r2 = np.empty(len(targets))
        step = max(1, _AT_ONCE // (self.columns * self.width * (count + 1) * self.width))
        for start in range(0, len(targets), step):
            part = slice(start, start + step)

            def way(fitted: Floats, judged: Floats, part: slice = part) -> Floats:
                chosen = self._choose_columns(fitted, targets[part], candidates[part], count)
                return self._r2(targets[part], chosen, fitted, judged)

            r2[part] = self._both_ways(way)
        return r2

    def _both_ways(self, way: Callable[[Floats, Floats], Floats]) -> Floats:
        first, second = self._halves
        return (way(first, second) + way(second, first)) / 2

    def _r2(self, targets: Indices, predictors: Indices, fitted: Floats, judged: Floats) -> Floats:
        own, others = self._numbers(targets[:, None]), self._numbers(predictors)
        weights = self._weights(fitted, own, others)
        cross = judged[others[:, :, None], own[:, None, :]]
        among = judged[others[:, :, None], others[:, None, :]]
        variance = judged[own, own].sum(axis=1)
        explained = 2 * (weights * cross).sum(axis=(1, 2))
        explained -= (weights * (among @ weights)).sum(axis=(1, 2))
        r2 = np.divide(explained, variance, out=np.zeros_like(explained), where=variance > 0)
        clipped: Floats = np.clip(r2, 0.0, 1.0)
        return clipped

    def _weights(self, covariances: Floats, own: Indices, others: Indices) -> Floats:
        """Return the weights `(items, others, own)` of the prediction that fits best."""
        among = covariances[others[:, :, None], others[:, None, :]]
        cross = covariances[others[:, :, None], own[:, None, :]]
        ridge = _RIDGE + self._noise * others.shape[1]
        weights: Floats = np.linalg.solve(among + ridge * np.eye(others.shape[1]), cross)
        return weights

    def _numbers(self, columns: Indices) -> Indices:
        """Return which numbers columns `(items, count)` are: `(items, count * width)`."""
        numbers = columns[:, :, None] * self.width + np.arange(self.width)
        flat: Indices = numbers.reshape(len(columns), -1)
        return flat

    def _choose_columns(
        self, covariances: Floats, targets: Indices, candidates: NDArray[np.bool_], count: int
    ) -> Indices:
        free = candidates.copy()
        size = self.columns * self.width
        own = self._numbers(targets[:, None])
        chosen = np.full((len(targets), count), self._nothing, np.int64)
        rows = np.arange(len(targets))
        for place in range(count):
            left = covariances[own][:, :, :size]  # (items, width, size)
            spread = np.ones((len(targets), size))
            if place:
                known = self._numbers(chosen[:, :place])
                weights = self._weights(covariances, own, known)
                towards = covariances[known][:, :, :size]  # (items, known, size)
                left = left - weights.transpose(0, 2, 1) @ towards
                among = covariances[known[:, :, None], known[:, None, :]]
                solved = np.linalg.solve(among + _RIDGE * np.eye(known.shape[1]), towards)
                spread = 1 - (towards * solved).sum(axis=1)
            # The gain of a column: its covariance with the rest, divided by its own spread there.
            gain = np.square(left).sum(axis=1) / np.maximum(spread, 0.01)
            gain = gain.reshape(len(targets), self.columns, self.width).sum(axis=2)
            gain[~free] = -1
            pick = gain.argmax(axis=1)
            some = gain[rows, pick] >= 0
            chosen[some, place] = pick[some]
            free[rows, pick] = False
        return chosen
