"""Which layouts are worth a look: those whose neighbours are each column's closest columns.

A layout says which columns are neighbours. If it is the right one, the neighbours of a column are
those among all columns that it is most closely associated with. The *closeness* of a layout is the
part of all neighbours for which this is true: of a column with two neighbours, those that are among
its two closest columns; of one with four, among its four closest. By chance it is near 0; in groups
of related columns it is low too, since all columns of a group are about as close to each other.

Columns of other channels at the same position are not counted: nothing is said about how closely
channels are related.

Only ranks count, and these are the same for all layouts, so that each costs little. It tells one
layout from another far better than what neighbours explain: of 40 moments of 5 sensors, the grid of
40 x 5 explains as much as 5 channels do, but half of its neighbours are of another sensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.layouts import Indices, Layout

_PRICE_OF_CHANNELS = 0.08
"""What twice as many channels have to bring in closeness: digits of 8 x 8 are 8 channels of 8
positions just as well (0.68 against 0.67), and must be a grid."""
_PRICE_OF_BLOCKS = 0.04
"""What channels one after the other have to bring beyond interleaved ones, or beyond a line, which
they are too, but for the places where one channel ends and the next begins."""
_PRICE_OF_ROWS = 0.03
"""What a grid has to bring beyond a line: the simplest layout says it best."""
WORTH = 0.12
"""How much less close than the best a layout may be and still be compared: the closeness of 16 to
64 columns varies by about half of that from sample to sample."""


@dataclass(frozen=True)
class Close:
    """How close the neighbours of a layout are.

    Attributes:
        layout: which columns are neighbours.
        closeness: the part of the neighbours that are among a column's closest, 0 to 1.
    """

    layout: Layout
    closeness: float

    @property
    def merit(self) -> float:
        """The closeness less what the layout costs: the simplest layout that fits is the best."""
        layout = self.layout
        price = _PRICE_OF_CHANNELS * math.log2(layout.channels)
        if not layout.interleaved:
            price += _PRICE_OF_BLOCKS
        if not layout.is_line:
            price += _PRICE_OF_ROWS
        return self.closeness - price


def rank_associations(associations: NDArray[np.float32]) -> Indices:
    """Return the rank of column j among the columns that are close to column i, `(i, j)`, from 0.

    `associations` `(columns, columns)` is that of `gridcnn.order.lags.association`; what is NaN in
    it comes last.
    """
    order = np.argsort(np.where(np.isnan(associations), 1.0, -associations), axis=1, kind="stable")
    ranks = np.empty(associations.shape, np.int64)
    np.put_along_axis(ranks, order, np.arange(len(associations))[None], axis=1)
    return ranks


def closest_layouts(
    associations: NDArray[np.float32],
    usable: NDArray[np.bool_],
    layouts: Iterable[Layout],
    *,
    first: int = 0,
    most: int = 4,
) -> list[Close]:
    """Return the layouts whose neighbours are closest, the best and simplest first.

    Args:
        associations: of every two columns, as of `gridcnn.order.lags.association`.
        usable: which columns vary, `(columns,)`.
        layouts: those to compare.
        first: which column of the layouts the first one here is, if only a part is known.
        most: how many layouts to return.
    """
    ranks = rank_associations(associations)
    close = [Close(layout, closeness(ranks, usable, layout, first=first)) for layout in layouts]
    close.sort(key=lambda each: -each.merit)
    return [each for each in close if each.merit >= close[0].merit - WORTH][:most]


def closeness(
    ranks: Indices, usable: NDArray[np.bool_], layout: Layout, *, first: int = 0
) -> float:
    """Return the part of the neighbours in a layout that are among their column's closest.

    `ranks` is that of `rank_associations`; the other arguments are those of `closest_layouts`.
    """
    size = len(usable)
    position, channel = (places[first : first + size] for places in layout.places())
    column_at = np.full((layout.positions, layout.channels), -1, np.int64)
    column_at[position, channel] = np.arange(size)
    beside = layout.neighbours()[position]  # (columns, count)
    near = np.where(beside < 0, -1, column_at[beside, channel[:, None]])
    known = (near >= 0) & usable[near] & usable[:, None]
    own = np.arange(size)[:, None]
    place = ranks[own, near]
    # Channels at the same position count neither way: those ranked higher are passed over.
    there = column_at[position]  # (columns, channels)
    other = (there >= 0) & (there != own)
    above = np.where(other, ranks[own, there], size)
    place = place - (above[:, None, :] < place[:, :, None]).sum(axis=2)
    counts = known.sum(axis=1)
    hits = ((place < counts[:, None]) & known).sum(axis=1)
    columns = counts > 0
    return float((hits[columns] / counts[columns]).mean()) if columns.any() else 0.0
