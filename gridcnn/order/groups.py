"""Groups of related columns that stand together, as distinct from an order.

If all columns about one subject stand together, as in a questionnaire, neighbours are close, but
their order within a subject means nothing. So columns are put into groups by their association
alone (average linkage, wherever they stand), and the order is tested *within* groups: of three
columns of one group that stand side by side, are the first and the last less close than each of
them is to the middle one? In an order nearly always; in a group in one of three cases, by chance.
Columns are shuffled within their groups to see whether it could be luck.

The number of groups is the one with the best silhouette (Rousseeuw, 1987, "Silhouettes: a graphical
aid to the interpretation and validation of cluster analysis").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.layouts import Indices, Layout
from gridcnn.room import require_room_for_scipy

_COUNTS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50, 70, 100)
"""Numbers of groups that are tried. Large ones are further apart: one group more changes less."""
_ORDERS, _MORE_ORDERS = 499, 4_500
"""Random orders of a test, for p-values from 0.002 on; and how many more are drawn if the p-value
is so near to a threshold that another seed might be on its other side. Even 0.002, where none of
499 orders does as well, is near 0.01: one more would double it."""
_NEAR = 4.0
"""Standard errors from a threshold within which a p-value is near to it."""
_AT_ONCE = 100
"""Random orders that are tried at once, which bounds the memory."""
_FEWEST = 6
"""Threes of columns of one group that are needed: five or fewer may all be in line by luck (1/3 to
the power of 5 is 0.4 %)."""
_IN_LINE = 0.55
"""The part of the threes in line from which on there is an order within groups. By chance it is a
third; the lowest of the ordered sets, a very smooth one, has 0.47, and the next 0.57."""
_LUCK, _NO_LUCK = 0.05, 0.01
"""Above the first p-value there is no order within groups; up to the second there is. Between them
neither is shown."""


@dataclass(frozen=True)
class Groups:
    """Whether columns have an order within groups of related ones.

    Attributes:
        count: how many groups there are.
        threes: how many threes of columns side by side are of one group.
        in_line: the part of them whose outer two are the least close; None if there are too few.
        p_value: the part of random orders within the groups that do as well; None likewise.
        orders: how many random orders were tried.
    """

    count: int
    threes: int
    in_line: float | None = None
    p_value: float | None = None
    orders: int = 0

    def shift(self, way: float) -> Groups:
        """Return it as another seed might have found it: `way` standard errors better for order."""
        if self.p_value is None or not self.orders:
            return self
        factor = math.exp(-way * _error(self.p_value, self.orders))
        return replace(self, p_value=min(1.0, self.p_value * factor))

    @property
    def show_order(self) -> bool:
        """Whether there is an order within the groups, so that they are not mere groups."""
        if self.in_line is None or self.p_value is None:
            return False
        return self.in_line >= _IN_LINE and self.p_value <= _NO_LUCK

    @property
    def show_none(self) -> bool:
        """Whether columns stand together in groups that have no order within them."""
        return self.p_value is not None and self.p_value > _LUCK


def group_columns(associations: NDArray[np.float32], usable: NDArray[np.bool_]) -> Indices:
    """Return the group of each column, `(columns,)` from 0; -1 for those that do not vary.

    The arguments are those of `gridcnn.order.neighbours.look`.
    """
    require_room_for_scipy()
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    groups = np.full(len(usable), -1, np.int64)
    known = np.flatnonzero(usable)
    if len(known) < 4:
        groups[known] = 0
        return groups
    far = 1 - np.nan_to_num(associations[np.ix_(known, known)].astype(np.float64)).clip(0, 1)
    np.fill_diagonal(far, 0)
    tree = linkage(squareform((far + far.T) / 2, checks=False), "average")
    best = -1.0
    for count in _COUNTS:
        if count > len(known) // 2:
            break
        labels = fcluster(tree, count, "maxclust") - 1
        quality = _silhouette(far, labels)
        if quality > best:
            best = quality
            groups[known] = labels
    return groups


def _silhouette(far: NDArray[np.float64], labels: NDArray[np.int32]) -> float:
    """Return the mean silhouette: how much nearer columns are to their group than to the next."""
    own = np.arange(len(labels))
    sizes = np.bincount(labels)
    if len(sizes) < 2:
        return -1.0
    sums = np.zeros((len(labels), len(sizes)))
    for group in range(len(sizes)):
        sums[:, group] = far[:, labels == group].sum(axis=1)
    inside = sums[own, labels] / np.maximum(sizes[labels] - 1, 1)
    others = sums / sizes
    others[own, labels] = np.inf
    outside = others.min(axis=1)
    widths = (outside - inside) / np.maximum(np.maximum(outside, inside), 1e-9)
    return float(np.where(sizes[labels] > 1, widths, 0.0).mean())


def order_within(
    associations: NDArray[np.float32],
    groups: Indices,
    layout: Layout,
    random: np.random.Generator,
    *,
    first: int = 0,
) -> Groups:
    """Return whether columns have an order within their groups, in one layout.

    Args:
        associations: of every two columns.
        groups: the group of each column, as of `group_columns`.
        layout: which columns stand side by side.
        random: draws the orders.
        first: which column of the layout the first one here is, if only a part is known.
    """
    count = int(groups.max()) + 1
    threes = _threes(layout, len(groups), first)
    inner = groups[threes]
    threes = threes[(inner[:, 0] >= 0) & (inner == inner[:, :1]).all(axis=1)]
    if len(threes) < _FEWEST:
        return Groups(count, len(threes))
    given = float(_in_line(associations, threes))
    as_good, orders = 0, 0
    for more in (_ORDERS, _MORE_ORDERS):
        if orders and not _is_near((as_good + 1) / (orders + 1), orders):
            break
        for start in range(0, more, _AT_ONCE):
            shuffled = _shuffle_within(groups, min(_AT_ONCE, more - start), random)
            as_good += int((_in_line(associations, shuffled[:, threes]) >= given - 1e-12).sum())
        orders += more
    return Groups(count, len(threes), given, (as_good + 1) / (orders + 1), orders)


def _error(p_value: float, orders: int) -> float:
    """Return the standard error of the logarithm of a p-value by so many random orders."""
    return math.sqrt((1 - p_value) / (p_value * orders))


def _is_near(p_value: float, orders: int) -> bool:
    """Return whether another seed might find the p-value on the other side of a threshold."""
    far = _NEAR * _error(p_value, orders)
    return any(abs(math.log(p_value / bar)) < far for bar in (_LUCK, _NO_LUCK))


def _shuffle_within(groups: Indices, count: int, random: np.random.Generator) -> Indices:
    """Return `count` orders in which columns of a group change places, `(count, columns)`."""
    places = np.argsort(groups, kind="stable")
    # Sorted by group, and at random within one: the columns for the places of the groups.
    keys = groups + random.random((count, len(groups)))
    orders = np.empty(keys.shape, np.int64)
    orders[:, places] = np.argsort(keys, axis=1)
    return orders


def _threes(layout: Layout, size: int, first: int) -> Indices:
    """Return all threes of columns that stand side by side along an axis, `(threes, 3)`."""
    cells = layout.column_at(size, first).reshape(layout.rows, layout.columns, layout.channels)
    threes = [np.zeros((0, 3), np.int64)]
    for axis in (0, 1):
        along = np.moveaxis(cells, axis, 0)
        if len(along) >= 3:
            parts = (along[:-2], along[1:-1], along[2:])
            threes.append(np.stack([part.ravel() for part in parts], axis=1))
    every = np.concatenate(threes)
    return every[(every >= 0).all(axis=1)]


def _in_line(associations: NDArray[np.float32], threes: Indices) -> NDArray[np.float64]:
    """Return the part of threes `(..., 3)` whose outer two are less close than each to the middle.

    There is one for each order `(..., threes, 3)`.
    """
    left, middle, right = threes[..., 0], threes[..., 1], threes[..., 2]
    outer = associations[left, right]
    inner = np.minimum(associations[left, middle], associations[middle, right])
    parts: NDArray[np.float64] = (outer < inner).mean(axis=-1)
    return parts
