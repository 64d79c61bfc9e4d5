"""Groups of related columns that stand together, as distinct from an order.

If all columns about one subject stand together, as in a questionnaire, neighbours are close, but
their order within a subject means nothing. So columns are put into groups by their association
alone (average linkage, wherever they stand), and the order is tested *within* groups: of three
columns of one group that stand side by side, are the first and the last less alike than each of
them is to the middle one? In an order nearly always; in a group in one of three cases, by chance.
Columns are shuffled within their groups to see whether it could be luck.

How alike two columns are is measured in two ways. One is their association. But if one cause moves
a whole group, as the height of a peak moves all columns under it, then noise decides association:
columns with little noise are close to all others, wherever they stand. So columns are also compared
by their *profiles*, which are their associations with the other columns of the group. Along a peak
the profiles change little by little; of questions about one subject they are in no order. Profiles
are compared only where six columns of a group stand side by side: four figures in a fixed order,
such as the staff, wages, sales and profit of every department, are not an order.

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
_EQUAL = 1e-6
"""A difference that is none. Three columns of a smooth curve put few rows in the same order: they
are equally alike then, and such a three says nothing about their order."""
_IN_LINE = 0.55
"""The part of the threes in line from which on there is an order within groups. By chance it is a
third."""
_LUCK, _NO_LUCK = 0.05, 0.01
"""Above the first p-value there is no order within groups; up to the second there is. Between them
neither is shown."""
_GRADATION = 0.65
"""The gradation by profiles that an order of profiles must have, as that by associations must."""
_RUN = 6
"""Columns of a group side by side, from which on profiles are compared. The groups may all have one
order of their figures: five have 60 orders, so that one in 60 would look perfect by luck."""


@dataclass(frozen=True)
class InLine:
    """How many threes of columns side by side are in line: the outer two are the least alike.

    Attributes:
        threes: how many threes there are, all of columns of one group, and not equally alike.
        part: the part of them that are in line.
        p_value: the part of random orders within the groups that do as well.
        orders: how many random orders were tried.
    """

    threes: int
    part: float
    p_value: float
    orders: int = 0

    def shift(self, way: float) -> InLine:
        """Return it as another seed might have found it: `way` standard errors better for order."""
        if not self.orders:
            return self
        factor = math.exp(-way * _error(self.p_value, self.orders))
        return replace(self, p_value=min(1.0, self.p_value * factor))

    @property
    def shows_order(self) -> bool:
        """Whether so many threes in line are an order."""
        return self.part >= _IN_LINE and self.p_value <= _NO_LUCK

    @property
    def shows_none(self) -> bool:
        """Whether a random order does as well."""
        return self.p_value > _LUCK

    @property
    def is_near(self) -> bool:
        """Whether another seed might find the p-value on the other side of a threshold."""
        far = _NEAR * _error(self.p_value, self.orders)
        return any(abs(math.log(self.p_value / bar)) < far for bar in (_LUCK, _NO_LUCK))


@dataclass(frozen=True)
class Groups:
    """Whether columns have an order within groups of related ones.

    Attributes:
        count: how many groups there are.
        close: the threes in line by the association of columns; None if there are too few threes.
        profiles: those by the profiles of columns; None likewise.
        gradation: the gradation of the layout by profiles (see `gridcnn.order.neighbours`).
    """

    count: int
    close: InLine | None = None
    profiles: InLine | None = None
    gradation: float = 0.0

    def shift(self, way: float) -> Groups:
        """Return it as another seed might have found it: `way` standard errors better for order."""
        close = None if self.close is None else self.close.shift(way)
        profiles = None if self.profiles is None else self.profiles.shift(way)
        return replace(self, close=close, profiles=profiles)

    @property
    def tests(self) -> tuple[InLine, ...]:
        """The tests that there were threes enough for."""
        return tuple(test for test in (self.close, self.profiles) if test is not None)

    @property
    def show_order(self) -> bool:
        """Whether there is an order within the groups, so that they are not mere groups."""
        return self.show_profiles or (self.close is not None and self.close.shows_order)

    @property
    def show_profiles(self) -> bool:
        """Whether the profiles within the groups are in order."""
        shown = self.profiles is not None and self.profiles.shows_order
        return shown and self.gradation >= _GRADATION

    @property
    def show_none(self) -> bool:
        """Whether columns stand together in groups that have no order within them."""
        return bool(self.tests) and all(test.shows_none for test in self.tests)


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


def profile_likeness(associations: NDArray[np.float32], groups: Indices) -> NDArray[np.float32]:
    """Return how alike the profiles of every two columns of a group are, `(columns, columns)`.

    It is the negative root of the mean squared difference of their associations with all other
    columns of the group; NaN if columns are in different groups, or these have fewer than four
    columns.
    """
    likeness = np.full(associations.shape, np.nan, np.float32)
    for group in range(int(groups.max(initial=-1)) + 1):
        members = np.flatnonzero(groups == group)
        if len(members) < 4:
            continue
        close = np.nan_to_num(associations[np.ix_(members, members)].astype(np.float64))
        squares = np.square(close).sum(axis=1)
        # The two columns themselves are left out: their entries differ by their association.
        far = squares[:, None] + squares - 2 * close @ close.T - 2 * np.square(close)
        alike = -np.sqrt(far.clip(0) / (len(members) - 2))
        np.fill_diagonal(alike, np.nan)
        likeness[np.ix_(members, members)] = alike
    return likeness


def order_within(
    associations: NDArray[np.float32],
    likeness: NDArray[np.float32],
    groups: Indices,
    layout: Layout,
    random: np.random.Generator,
    *,
    first: int = 0,
) -> Groups:
    """Return whether columns have an order within their groups, in one layout.

    Args:
        associations: of every two columns.
        likeness: of their profiles, as of `profile_likeness`.
        groups: the group of each column, as of `group_columns`.
        layout: which columns stand side by side.
        random: draws the orders.
        first: which column of the layout the first one here is, if only a part is known.
    """
    column_at = layout.column_at(len(groups), first)
    cells = column_at.reshape(layout.rows, layout.columns, layout.channels)
    threes = [
        _threes_of_groups(cells, groups),
        _threes_of_groups(cells, np.where(_stand_in_runs(cells, groups), groups, -1)),
    ]
    measures = (associations, likeness)
    given, telling = zip(
        *(_in_line(*pair) for pair in zip(measures, threes, strict=True)), strict=True
    )
    as_good, orders = np.zeros(2, np.int64), 0
    tests: list[InLine | None] = [None, None]
    asked = [number for number in (0, 1) if telling[number] >= _FEWEST]
    for more in (_ORDERS, _MORE_ORDERS) if asked else ():
        known = [test for test in tests if test is not None]
        if known and not any(test.is_near for test in known):
            break
        for start in range(0, more, _AT_ONCE):
            shuffled = _shuffle_within(groups, min(_AT_ONCE, more - start), random)
            for number in asked:
                others, _ = _in_line(measures[number], shuffled[:, threes[number]])
                as_good[number] += int((others >= given[number] - 1e-12).sum())
        orders += more
        for number in asked:
            p_value = float(as_good[number] + 1) / (orders + 1)
            tests[number] = InLine(int(telling[number]), float(given[number]), p_value, orders)
    close, profiles = tests
    return Groups(int(groups.max(initial=-1)) + 1, close, profiles)


def _error(p_value: float, orders: int) -> float:
    """Return the standard error of the logarithm of a p-value by so many random orders."""
    return math.sqrt((1 - p_value) / (p_value * orders))


def _shuffle_within(groups: Indices, count: int, random: np.random.Generator) -> Indices:
    """Return `count` orders in which columns of a group change places, `(count, columns)`."""
    places = np.argsort(groups, kind="stable")
    # Sorted by group, and at random within one: the columns for the places of the groups.
    keys = groups + random.random((count, len(groups)))
    orders = np.empty(keys.shape, np.int64)
    orders[:, places] = np.argsort(keys, axis=1)
    return orders


def _threes_of_groups(cells: Indices, groups: Indices) -> Indices:
    """Return all threes of columns of a group that stand side by side, `(threes, 3)`.

    `cells` `(rows, columns, channels)` are the columns of a layout, -1 for none.
    """
    threes = np.concatenate([_windows(cells, axis, 3) for axis in (0, 1)])
    return threes[_are_of_one_group(threes, groups)]


def _stand_in_runs(cells: Indices, groups: Indices) -> NDArray[np.bool_]:
    """Return which columns stand in a long run of columns of their group, `(columns,)`."""
    stand = np.zeros(len(groups), np.bool_)
    for axis in (0, 1):
        runs = _windows(cells, axis, _RUN)
        stand[runs[_are_of_one_group(runs, groups)]] = True
    return stand


def _windows(cells: Indices, axis: int, size: int) -> Indices:
    """Return all runs of `size` known columns along an axis of a layout, `(runs, size)`."""
    if cells.shape[axis] < size:
        return np.zeros((0, size), np.int64)
    runs = np.lib.stride_tricks.sliding_window_view(cells, size, axis=axis).reshape(-1, size)
    known: Indices = runs[(runs >= 0).all(axis=1)]
    return known


def _are_of_one_group(columns: Indices, groups: Indices) -> NDArray[np.bool_]:
    """Return which rows of `(rows, count)` are columns of one group."""
    own = groups[columns]
    same: NDArray[np.bool_] = (own[:, 0] >= 0) & (own == own[:, :1]).all(axis=1)
    return same


def _in_line(
    associations: NDArray[np.float32], threes: Indices
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the part of threes `(..., 3)` whose outer two are less alike than each to the middle.

    `associations` of every two columns are those of their values or of their profiles. Threes whose
    outer two are as alike as the less alike inner two say nothing, and are left out; how many
    others there are comes second.

    There is one for each order `(..., threes, 3)`.
    """
    left, middle, right = threes[..., 0], threes[..., 1], threes[..., 2]
    inner = np.minimum(associations[left, middle], associations[middle, right])
    ahead = inner - associations[left, right]
    telling = (np.abs(ahead) > _EQUAL).sum(axis=-1)
    parts: NDArray[np.float64] = (ahead > _EQUAL).sum(axis=-1) / np.maximum(1, telling)
    return parts, telling
