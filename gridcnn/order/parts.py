"""Ordered parts: stretches of columns that are in order among others that are not.

24 hourly readings among ten attributes of a customer are a series, but the whole table is not.
Columns are linked if they stand side by side and each is among the closest columns of the other.
Long runs of linked columns are candidates, and each is then judged like a table of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.closeness import STRANGE, across_borders, rank_associations

ENOUGH_COLUMNS = 8
"""Columns from which on neighbours can show an order beyond doubt: eight have 20,160 orders."""
_CLOSEST = 4
"""How close linked columns are: each among so many closest columns of the other. In a series this
is true of neighbours; in a group of ten columns, of about one pair in four."""
_GAP = 2
"""Columns within a run that may lack a link: noise breaks single links of a series."""
_BORDER = 3
"""Columns beyond each end that are compared: further away, even columns of a series differ."""
_FEWEST_STRANGERS, _LEAST_OUTSIDE = 3, 0.08
"""Columns outside of a part, and their share, without which the part is the table: the ends of a
series often have little to do with its middle, as the flat line before a heartbeat."""
_AWAY, _TIMES = 0.6, 1.3
"""A column and the next may be in the same units if their means are at most so many deviations
apart, and their deviations differ at most by such a factor. Quiet columns of control charts, and
the hours of the night, differ less; of attributes, one in sixteen is as near by chance."""
_ONE_UNIT_AWAY, _ONE_UNIT_TIMES = 1.5, 2.5
"""The same of columns that may be one measurement: along a narrow peak they change faster. Of
attributes, one in six is as near by chance."""
_LONGER = 1.25
"""How much longer a stretch in one unit must be than the runs of links in it: these are exact."""
_CHANCE = 4.0
"""Two columns that are not related correlate by more than this, over the root of the rows, once in
16,000 times."""
_CLEARLY = 1.5
"""How much closer a column must be to others to belong to them."""
_OTHER_UNITS = 0.5
"""The share of columns outside, each and the next, that must differ in their units."""
_STANDARD = 0.15
"""How near to a mean of 0 and a deviation of 1 all columns are, if they were standardized: that all
are alike then says nothing."""
_LINKED_OUTSIDE = 0.75
"""The share of links between columns outside from which on they are a series themselves."""


@dataclass(frozen=True)
class Part:
    """A stretch of columns that are in order, while the table as a whole is not.

    Attributes:
        start, stop: the first of these columns, from 0, and the one after the last.
        first, last: the names of the first and the last.
    """

    start: int
    stop: int
    first: str = ""
    last: str = ""

    @property
    def columns(self) -> int:
        """The number of columns."""
        return self.stop - self.start


def find_runs(
    associations: NDArray[np.float32],
    links: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    breaks: NDArray[np.bool_],
) -> list[Part]:
    """Return long runs of columns in which each is close to the next, the longest first.

    Args:
        associations: of every two columns, as of `gridcnn.order.lags.association`.
        links: those of `find_links`.
        usable: which columns vary, `(columns,)`.
        breaks: whether other columns stand between a column and the next, `(columns - 1,)`.
    """
    linked = links & usable[:-1] & usable[1:] & ~breaks
    if not linked.any():
        return []
    across = across_borders(associations)
    breaks = breaks | (across < STRANGE * np.median(across[linked]))
    runs: list[list[int]] = []
    for link in np.flatnonzero(linked & ~breaks).tolist():
        last = runs[-1][1] if runs else 0
        if runs and link - last <= _GAP + 1 and not breaks[last:link].any():
            runs[-1][1] = link
        else:
            runs.append([link, link])
    parts = [Part(first, last + 2) for first, last in runs]
    parts = [part for part in parts if part.columns >= ENOUGH_COLUMNS]
    return sorted(parts, key=lambda part: -part.columns)


def find_links(associations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether a column and the next are among each other's closest, `(columns - 1,)`."""
    ranks = rank_associations(associations)
    here, after = np.arange(len(ranks) - 1), np.arange(1, len(ranks))
    linked: NDArray[np.bool_] = np.maximum(ranks[here, after], ranks[after, here]) < _CLOSEST
    return linked


def has_strangers(
    part: Part,
    associations: NDArray[np.float32],
    links: NDArray[np.bool_],
    usable: NDArray[np.bool_],
) -> bool:
    """Return whether the columns outside of a part have nothing to do with those at its ends.

    The other arguments are those of `find_runs`. False if there are hardly any columns outside.
    """
    size = len(usable)
    is_outside = usable.copy()
    is_outside[part.start : part.stop] = False
    if is_nearly_all(part, usable):
        return False
    pairs = is_outside[:-1] & is_outside[1:]
    if pairs.any() and links[pairs].mean() >= _LINKED_OUTSIDE:
        return False
    inside = associations[part.start : part.stop, part.start : part.stop]
    for end, way in ((part.start, -1), (part.stop - 1, 1)):
        steps = [n for n in range(1, _BORDER + 1) if 0 <= end + way * n < size]
        if not steps:
            continue
        beyond = [associations[end, end + way * step] for step in steps]
        usual = [np.nanmean(np.diagonal(inside, step)) for step in steps]
        known = ~np.isnan(beyond)
        if np.nansum(beyond) > STRANGE * np.sum(np.array(usual)[known]):
            return False
    return True


def are_standard(scales: NDArray[np.float64], usable: NDArray[np.bool_]) -> bool:
    """Return whether all columns have a mean near 0 and a deviation near 1, whatever their units.

    `scales` are the mean and the standard deviation of each column, `(columns, 2)`.
    """
    means, deviations = scales[usable].T
    is_standard = (np.abs(means) < _STANDARD) & (np.abs(deviations - 1) < _STANDARD)
    return bool(is_standard.all())


def same_units(
    scales: NDArray[np.float64], away: float = _AWAY, times: float = _TIMES
) -> NDArray[np.bool_]:
    """Return whether a column and the next may be in the same units, `(columns - 1,)`.

    Their means are at most `away` deviations apart, and their deviations differ at most by the
    factor `times`. NaN is in no units.
    """
    return may_share_units(scales[:-1], scales[1:], away, times)


def may_share_units(
    these: NDArray[np.float64],
    others: NDArray[np.float64],
    away: float = _AWAY,
    times: float = _TIMES,
) -> NDArray[np.bool_]:
    """Return which columns may be in the same units as the `others` in their places.

    Both are the mean and the standard deviation of each column, `(columns, 2)`; `same_units` says
    what the limits are.
    """
    larger = np.maximum(these[:, 1], others[:, 1])
    smaller = np.minimum(these[:, 1], others[:, 1])
    same: NDArray[np.bool_] = (np.abs(these[:, 0] - others[:, 0]) <= away * larger) & (
        larger <= times * smaller
    )
    return same


@dataclass(frozen=True)
class Surroundings:
    """What the columns beside a part have to do with it: by their units, and how close they are.

    Attributes:
        same: whether a column and the next may be in the same units, `(columns - 1,)`.
        may_be_one: whether they may be one measurement, `(columns - 1,)`.
        breaks: those of `find_runs`.
        associations: of every two columns, `(columns, columns)`; 0 if there is none.
        usable: which columns vary, `(columns,)`.
        chance: an association that may be chance among so many rows.
    """

    same: NDArray[np.bool_]
    may_be_one: NDArray[np.bool_]
    breaks: NDArray[np.bool_]
    associations: NDArray[np.float32]
    usable: NDArray[np.bool_]
    chance: float

    @classmethod
    def of(
        cls,
        scales: NDArray[np.float64],
        breaks: NDArray[np.bool_],
        associations: NDArray[np.float32],
        usable: NDArray[np.bool_],
        rows: int,
    ) -> Self:
        """Return those of a table by the mean and the deviation of each column."""
        known = np.nan_to_num(associations, nan=0.0)
        may_be_one = same_units(scales, _ONE_UNIT_AWAY, _ONE_UNIT_TIMES)
        return cls(same_units(scales), may_be_one, breaks, known, usable, _CHANCE / math.sqrt(rows))

    def find_stretches(self, runs: Sequence[Part]) -> list[Part]:
        """Return long stretches of columns that may be one measurement, the longest first.

        In the noise between the peaks of a spectrum there are no links, so that runs end there. A
        stretch that is hardly longer than one of the `runs` is left out.
        """
        joined = self.may_be_one & ~self.breaks & self.usable[:-1] & self.usable[1:]
        ends = np.flatnonzero(~np.concatenate([[False], joined, [False]]))
        stretches = []
        for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            part = self._trim(Part(start, stop))
            inside = [run.columns for run in runs if run.start < stop and start < run.stop]
            if part.columns >= max(ENOUGH_COLUMNS, _LONGER * max(inside, default=0)):
                stretches.append(part)
        return sorted(stretches, key=lambda part: -part.columns)

    def _trim(self, part: Part) -> Part:
        """Return a part without columns at its ends that belong to others further out."""
        start, stop = part.start, part.stop
        while stop - start > 1 and self._belongs_out(start, Part(start + 1, stop)):
            start += 1
        while stop - start > 1 and self._belongs_out(stop - 1, Part(start, stop - 1)):
            stop -= 1
        return Part(start, stop)

    def widen(self, part: Part) -> Part:
        """Return a part with the columns beside it that follow each other in the same units.

        These are the quiet ends of a series, such as the hours of the night. A column belongs to
        the part unless it is closer to others further out. At its ends a series fades, while next
        to an attribute it breaks off.
        """
        start, stop = part.start, part.stop
        if start > 0 and self._is_related(start - 1):
            while (
                start > 0 and self._continues(start - 1) and not self._belongs_out(start - 1, part)
            ):
                start -= 1
        if stop < len(self.usable) and self._is_related(stop - 1):
            while (
                stop < len(self.usable)
                and self._continues(stop - 1)
                and not self._belongs_out(stop, part)
            ):
                stop += 1
        return Part(start, stop)

    def are_strange(self, part: Part) -> bool:
        """Return whether the columns outside have units of their own, and nothing joins them.

        Pixels of a picture, and bands of a spectrum, change their scale little by little. Genes and
        sorted features have units of their own as well, but their neighbours are related.
        """
        outside = self.usable.copy()
        outside[part.start : part.stop] = False
        pairs = outside[:-1] & outside[1:]
        if not pairs.any() or (~self.same[pairs]).mean() < _OTHER_UNITS:
            return False
        for end in (part.start, part.stop):
            across = self.associations[max(0, end - _BORDER) : end, end : end + _BORDER]
            if across.size and across.max() > self.chance:
                return False
        return True

    def _continues(self, column: int) -> bool:
        """Return whether a column and the next are side by side, in the same units."""
        return bool(self.same[column] and not self.breaks[column])

    def _is_related(self, column: int) -> bool:
        """Return whether a column and the next are related beyond chance."""
        return bool(self.associations[column, column + 1] > self.chance)

    def _belongs_out(self, column: int, part: Part) -> bool:
        """Return whether a column beside a part is clearly closer to others further out."""
        close = self.associations[column]
        outward, inward = close[:column], close[column + 1 : part.stop]
        if column >= part.stop:
            outward, inward = close[column + 1 :], close[part.start : column]
        least = max(_CLEARLY * inward.max(initial=0), self.chance)
        return bool(outward.max(initial=0) > least)


def is_nearly_all(part: Part, usable: NDArray[np.bool_]) -> bool:
    """Return whether there are hardly any columns outside of a part."""
    outside = int(usable.sum() - usable[part.start : part.stop].sum())
    return outside < max(_FEWEST_STRANGERS, _LEAST_OUTSIDE * float(usable.sum()))
