"""Association against distance: the data of the pictures of a verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.streams import Stream

_MOST_LAGS = 120
"""Distances in the picture at most: more could not be seen, and take time."""
_ORDERS = 99
"""Random orders: five of them lie below the band, and five above."""
_SHOWN = 96
"""Columns of the matrices at most: single cells of larger ones could hardly be seen."""


@dataclass(frozen=True)
class Lags:
    """Association of columns against their distance.

    Association is the absolute rank correlation, 0 to 1 (of columns of symbols the root of the mean
    squared correlation of their indicators).

    Attributes:
        lags: int64 `(lags,)`, distances in columns, from 1.
        given: the mean association of columns so far apart.
        low, high: the range in which 90 of 100 random orders of the same columns lie.
        matrix: the association of columns `(shown, shown)`, as given; NaN on the diagonal and for
            columns that do not vary. If there are many columns, some are shown, evenly spaced.
        shuffled: the same in a random order.
    """

    lags: NDArray[np.int64]
    given: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    matrix: NDArray[np.float32]
    shuffled: NDArray[np.float32]


def association(values: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the association of every two columns `(columns, columns)`; NaN if there is none.

    `values` and `usable` are those of `gridcnn.order.columns.comparable`.
    """
    rows, columns, width = values.shape
    flat = values.reshape(rows, -1)
    squares = np.square((flat.T @ flat) / np.float32(rows))
    squares = squares.reshape(columns, width, columns, width).sum(axis=(1, 3)) / width
    associations: NDArray[np.float32] = np.sqrt(squares).clip(0, 1)
    associations[~usable] = np.nan
    associations[:, ~usable] = np.nan
    np.fill_diagonal(associations, np.nan)
    return associations


def by_distance(associations: NDArray[np.float32], *, seed: int) -> Lags | None:
    """Return the association of columns at each distance; None for fewer than 3 columns."""
    columns = len(associations)
    if columns < 3 or np.isnan(associations).all():
        return None
    random = Stream.CHECK_LAGS.random(seed)
    lags = np.arange(1, min(columns - 1, _MOST_LAGS + 1))
    [given] = _means(associations, np.arange(columns)[None], lags)
    orders = np.stack([random.permutation(columns) for _ in range(_ORDERS)])
    others = _means(associations, orders, lags)
    known = ~np.isnan(given) & ~np.isnan(others).any(axis=0)
    low, high = np.quantile(others[:, known], (0.05, 0.95), axis=0)
    shown = np.unique(np.linspace(0, columns - 1, min(columns, _SHOWN)).round().astype(np.int64))
    mixed = orders[0][shown]
    return Lags(
        lags[known],
        given[known],
        low,
        high,
        associations[np.ix_(shown, shown)],
        associations[np.ix_(mixed, mixed)],
    )


def _means(
    associations: NDArray[np.float32], orders: NDArray[np.int64], lags: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the mean at each lag in each order `(orders, lags)`; NaN if nothing is known."""
    means = np.full((len(orders), len(lags)), np.nan)
    for place, lag in enumerate(lags.tolist()):
        pairs = associations[orders[:, :-lag], orders[:, lag:]]
        known = ~np.isnan(pairs)
        sums = pairs.sum(axis=1, dtype=np.float64, where=known)
        counts = known.sum(axis=1)
        np.divide(sums, counts, out=means[:, place], where=counts > 0)
    return means
