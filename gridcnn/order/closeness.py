"""Which layouts are worth a look: those whose neighbours are each column's closest columns.

A layout says which columns are neighbours. If it is the right one, the neighbours of a column are
those among all columns that it is most closely associated with. The *closeness* of a layout is the
part of all neighbours for which this is true: of a column with two neighbours, those that are among
its two closest columns; of one with four, among its four closest. By chance it is near 0; in groups
of related columns it is low too, since all columns of a group are about as close to each other.

Columns of other channels at the same position are not counted, whether or not the channels are
related.

Only ranks count, and these are the same for all layouts, so that each layout takes little time.
Closeness separates layouts far better than what neighbours explain: of 40 moments of 5 sensors, the
grid of 40 x 5 explains as much as 5 channels do, but half of its neighbours are of another sensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.layouts import Indices, Layout

_PRICE_OF_CHANNELS = 0.08
"""The closeness that twice as many channels must add: digits of 8 x 8 fit 8 channels of 8 positions
just as well (0.68 and 0.67), and must be a grid."""
_PRICE_OF_BLOCKS = 0.04
"""The closeness that channels one after the other must add to that of interleaved ones, or of a
line: they differ from a line only at the places between a channel and the next."""
_PRICE_OF_ROWS = 0.03
"""The closeness that a grid must add to that of a line, which is simpler."""
WORTH = 0.12
"""How much less close than the best a layout may be and still be compared: the closeness of 16 to
64 columns varies by about half of that from sample to sample."""
_BREAKS = 0.2
"""What is added for breaks between channels one after the other: their closeness is that of a line
except at these few places, which a network should not slide over."""
_ANY_BREAK = 0.85
"""The part of the usual association that no border between channels may exceed; on average, they
must be below `STRANGE`. One border may look closer by luck."""
_BREAKS_BY_LUCK = 0.05
"""How likely all borders may be as weak by luck: between the peaks of a spectrum are many weak
places."""
_SHORTEST_ROW = 3
"""Columns of a row of a picture at least, as of layouts."""
STRANGE = 0.5
"""The columns on the other side of a border are strangers if they are less than half as closely
associated with those on this side as columns in a run are."""


@dataclass(frozen=True)
class Close:
    """How close the neighbours of a layout are.

    Attributes:
        layout: which columns are neighbours.
        closeness: the part of the neighbours that are among a column's closest, 0 to 1.
        breaks: whether columns at both sides of every border between channels are strangers, if
            channels stand one after the other.
    """

    layout: Layout
    closeness: float
    breaks: bool = False

    @property
    def merit(self) -> float:
        """The closeness less the price of the layout: the simplest layout that fits is the best."""
        return self.closeness - self.price

    @property
    def price(self) -> float:
        """The closeness that the layout must add to that of a line; lower for a simpler layout."""
        layout = self.layout
        price = _PRICE_OF_CHANNELS * math.log2(layout.channels)
        if not layout.interleaved:
            price += _PRICE_OF_BLOCKS
        if self.breaks:
            price = -_BREAKS
        if not layout.is_line:
            price += _PRICE_OF_ROWS
        return price


def rank_associations(associations: NDArray[np.float32]) -> Indices:
    """Return the rank of column j among the columns that are close to column i, `(i, j)`, from 0.

    `associations` `(columns, columns)` is that of `gridcnn.order.lags.association`; NaN comes
    last.
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
    always: Layout | None = None,
) -> list[Close]:
    """Return the layouts whose neighbours are closest, the best and simplest first.

    Args:
        associations: of every two columns, as of `gridcnn.order.lags.association`.
        usable: which columns vary, `(columns,)`.
        layouts: those to compare.
        first: which column of the layouts the first one here is, if only a part is known.
        most: how many layouts to return.
        always: a layout to return as well, last, if it is one of those to compare.
    """
    ranks = rank_associations(associations)
    across = across_borders(associations)
    close = [
        Close(
            layout,
            closeness(ranks, usable, layout, first=first),
            _has_breaks(associations, across, layout),
        )
        for layout in layouts
    ]
    close.sort(key=lambda layout: -layout.merit)
    closest = [layout for layout in close if layout.merit >= close[0].merit - WORTH][:most]
    return closest + [each for each in close if each.layout == always and each not in closest]


def _has_breaks(
    associations: NDArray[np.float32], across: NDArray[np.float64], layout: Layout
) -> bool:
    """Return whether channels that stand one after the other have nothing to do with each other.

    Rows of a picture end in a break as well, if its sides are blank; but the cells above and below
    are close, and so are the same positions of one channel and the next. So there are no breaks if
    the channels, or shorter rows that these consist of, are close to each other.

    `across` is that of `across_borders`, of all columns of the layout.
    """
    if layout.interleaved or not layout.is_line:
        return False
    if len(across) + 1 != layout.positions * layout.channels:
        return False
    borders = np.arange(1, layout.channels) * layout.positions - 1
    usual = max(1e-9, float(np.median(across)))
    weak = across[borders] / usual
    if weak.mean() >= STRANGE or weak.max() >= _ANY_BREAK:
        return False
    as_weak = float((across <= across[borders].max()).mean())
    if as_weak ** len(borders) > _BREAKS_BY_LUCK:
        return False
    return not any(
        _are_close_below(associations, row, STRANGE * usual)
        and across[np.arange(row, len(across) + 1, row) - 1].mean() < STRANGE * usual
        for row in range(_SHORTEST_ROW, layout.positions + 1)
        if layout.positions % row == 0
    )


def _are_close_below(associations: NDArray[np.float32], row: int, least: float) -> bool:
    """Return whether columns so many places apart have at least this association on average."""
    below = np.diagonal(associations, row)
    below = below[~np.isnan(below)]
    return bool(len(below)) and float(below.mean()) >= least


def across_borders(associations: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how closely the two columns before each border go with the two after it.

    The result is `(columns - 1,)`; associations that are not known count as 0.
    """
    padded = np.pad(np.nan_to_num(associations.astype(np.float64)), 1)
    place = np.arange(1, len(padded) - 2)
    pairs = [padded[place - back, place + 1 + ahead] for back in (0, 1) for ahead in (0, 1)]
    known = [
        (place - back >= 1) & (place + 1 + ahead < len(padded) - 1)
        for back in (0, 1)
        for ahead in (0, 1)
    ]
    sums: NDArray[np.float64] = np.sum(pairs, axis=0) / np.sum(known, axis=0)
    return sums


def closeness(
    ranks: Indices, usable: NDArray[np.bool_], layout: Layout, *, first: int = 0
) -> float:
    """Return the part of the neighbours in a layout that are among their column's closest.

    `ranks` is that of `rank_associations`; the other arguments are those of `closest_layouts`.
    """
    size = len(usable)
    position, channel = (places[first : first + size] for places in layout.places())
    column_at = layout.column_at(size, first)
    beside = layout.neighbours()[position]  # (columns, count)
    near = np.where(beside < 0, -1, column_at[beside, channel[:, None]])
    known = (near >= 0) & usable[near] & usable[:, None]
    own = np.arange(size)[:, None]
    place = ranks[own, near]
    # Other channels at the same position do not count: those with a higher rank are skipped.
    there = column_at[position]  # (columns, channels)
    other = (there >= 0) & (there != own)
    above = np.where(other, ranks[own, there], size)
    place = place - (above[:, None, :] < place[:, :, None]).sum(axis=2)
    counts = known.sum(axis=1)
    hits = ((place < counts[:, None]) & known).sum(axis=1)
    columns = counts > 0
    return float((hits[columns] / counts[columns]).mean()) if columns.any() else 0.0
