"""Evidence of neighbours: whether columns are better predicted by those beside them than by others.

In the layouts that are worth a look (`gridcnn.order.closeness`), each column is predicted from its
neighbours of the same channel (`gridcnn.order.prediction`). Three numbers are compared, all mean R2
on rows that the prediction has not seen: from the neighbours, from as many columns taken at random
(what any order gives), and from as many of the best columns (what the best order could give). The
*score* of a layout is where the neighbours stand between the two: 0, the order says nothing; 1, no
choice of predictors could be better than the neighbours.

If related columns stand together in groups, neighbours are good predictors as well. But then the
column after the next is as good, as long as it is in the group, and a neighbour of another group is
a bad predictor. *Gradation* distinguishes the two: for how many columns is even the weaker
neighbour more closely associated than the columns one step further, on average? Along an axis that
means something, for nearly all; in groups, and by chance, for up to half. On smooth curves, columns
side by side are so alike that only noise separates them. So steps of two, four and eight columns
are tried as well, and the clearest of them counts. If gradation is doubtful, the order within
groups decides (`gridcnn.order.groups`). If it is an order of profiles, then gradation is measured
by profiles as well, since association would be misled by noise in the same way.

A permutation test shows whether it could be luck: the positions are put into random orders, or into
every order if there are few, and the part of them that does as well as the given order is the
p-value (Good, 2005, "Permutation, parametric and bootstrap tests of hypotheses"). If hardly any
does as well, the p-value is read off a curve through what the random orders explain. It is
multiplied by the number of layouts that were tried (Bonferroni).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gridcnn.forks import cached_property
from gridcnn.order.closeness import Close, closest_layouts
from gridcnn.order.groups import Groups, group_columns, order_within, profile_likeness
from gridcnn.order.layouts import Indices, Layout
from gridcnn.order.prediction import Floats, Predictor
from gridcnn.room import require_room_for_scipy
from gridcnn.streams import Stream

SCORE = 2 / 3
"""The score from which on neighbours are close; docs/rule-of-thumb.md says how it was chosen."""
GRADED_SCORE = 0.4
"""The score that is enough if gradation is high and there is an order within groups as well: in an
oscillating signal, two columns a quarter of a period apart explain more than those side by side."""
GRADATION, DOUBTFUL_GRADATION = 0.65, 0.5
"""The gradation from which on there is an order and no mere group; and the gradation from which on
that is open: by chance, and in groups, it is up to a half."""
_STEPS = (1, 2, 4, 8)
"""Steps by which gradation is tried: the longer ones are for smooth curves."""
_PLACES_PER_STEP = 8
"""Places of an axis for each column of a step: of fewer, too few columns are compared."""
_BOTH_WAYS, _ONE_WAY = 5, 3
"""Places of an axis with which a middle column has two others on either side, or on one side."""
TOGETHER = 0.75
"""The least mean of score and gradation: if both are just above their thresholds, luck may be the
reason."""
_DOUBTFUL_P = 0.1
"""The p-value up to which an order is in doubt: six visits of five measurements have 360 orders,
and no order among so few can be shown to be better than luck."""
ERROR_RATE = 0.01
"""How often columns in a meaningless order may be taken for ordered by this evidence."""
_TARGETS, _TESTED_TARGETS = 120, 60
"""Columns that are predicted, at first and in a test: more would change the means little."""
_FIRST_LOOK = 40
"""Random orders that are tried at once; those by which chance is measured at first."""
_SCORE_ERROR = 0.004
"""The standard error that a score may have because the orders that measure chance are random. Of
few columns, single orders differ much: then more orders are drawn."""
_MOST_OF_CHANCE = 2_000
"""Orders by which chance is measured at most."""
_FAR_BELOW = 8.0
"""Standard errors by which a score may be below all thresholds, and need not be known better."""
_FEW_POSITIONS = 8
"""Positions of a line up to which every order is tried, 40,320 at most: then p-values contain no
luck. With so few positions they are often near a threshold."""
_PAIRS = 60_000
"""Predictions of a column from two others that are worth computing once for all orders: about as
many as a test would compute."""
_TEST_ORDERS = 999
"""Random orders of a test, for p-values from 0.001 on; smaller ones are read off a curve."""
_ENOUGH_TO_COUNT = 10
"""Orders as good as the given one, from which on their part is a p-value, if it is not near a
threshold."""
_NEAR, _MOST_ORDERS = 4.0, 10_000
"""Standard errors from a threshold within which a p-value that may decide is counted by more
orders, and how many of them there are at most."""
_CURVE_ERROR = 0.35
"""The standard error of the logarithm of a p-value from a curve: about a factor of 1.4."""
_CLEARLY = 10.0
"""How many times below the error rate a p-value from a curve must be: if it is closer, the fit of
the curve would matter."""
_HARDLY_SKEWED = 1.6e-5
"""The skewness below which the curve is the normal distribution, as in SciPy's `pearson3`: the
gamma function would be less exact there."""
_FINALISTS = 4
"""Layouts that are compared and tested: further ones would only take time."""
_LEAVES = 0.95
"""The part of the variance left by random columns that the best columns may leave: if they leave
more, it makes no difference which columns are neighbours."""


@dataclass(frozen=True)
class Neighbours:
    """The evidence of neighbours in one layout; every R2 is a mean over columns, from 0 to 1.

    Attributes:
        layout: which columns are neighbours.
        explained: R2 of columns predicted from their neighbours.
        by_chance: R2 from as many columns at random.
        best: R2 from as many of the best columns.
        score: (explained - by_chance) / (best - by_chance), up to 1; 0 if nothing can be said.
        gradation: the part of the columns that are more like both their neighbours than like the
            columns one step further.
        closeness: the part of the neighbours that are among the closest columns; 0 if that was not
            compared.
        breaks: whether channels that stand one after the other have nothing to do with each other.
        groups: whether there is an order within groups of related columns; None if not tested.
        p_value: the part of all orders that explain as much, times the layouts that were tried;
            None if the score is so low that it was not tested.
        orders: how many orders that p-value rests on.
        exact: whether these are all the orders that there are.
        chance_error: the standard error of `by_chance`.
        p_error: the standard error of the logarithm of the p-value.
    """

    layout: Layout
    explained: float
    by_chance: float
    best: float
    score: float
    gradation: float
    p_value: float | None = None
    orders: int = 0
    exact: bool = False
    closeness: float = 0.0
    breaks: bool = False
    groups: Groups | None = None
    chance_error: float = 0.0
    p_error: float = 0.0

    def shift(self, way: float) -> Neighbours:
        """Return it as another seed might have found it.

        `way` is how many standard errors better for an order; negative: worse.
        """
        by_chance = self.by_chance - way * self.chance_error
        score = self.score
        if self.chance_error and self.best > by_chance:
            score = (self.explained - by_chance) / (self.best - by_chance)
        p_value = self.p_value
        if p_value is not None:
            p_value = min(1.0, p_value * math.exp(-way * self.p_error))
        groups = None if self.groups is None else self.groups.shift(way)
        return replace(self, by_chance=by_chance, score=score, p_value=p_value, groups=groups)

    @property
    def is_ordered(self) -> bool:
        """Whether there is an order: a high score that is neither luck nor the effect of groups."""
        if not self.is_close or self.clear_gradation < DOUBTFUL_GRADATION or self.is_grouped:
            return False
        together = (self.score + self.clear_gradation) / 2
        if self.clear_gradation >= GRADATION and together >= TOGETHER:
            return True
        return self.groups is not None and self.groups.show_order

    @property
    def is_doubtful(self) -> bool:
        """Whether neighbours are so close, and gradation so high, that there may be an order."""
        if self.p_value is None or self.p_value > _DOUBTFUL_P or self.score < SCORE:
            return False
        graded = self.clear_gradation >= DOUBTFUL_GRADATION
        return graded and not self.is_ordered and not self.is_grouped

    @property
    def clear_gradation(self) -> float:
        """Gradation by associations, or by profiles if these show an order within groups."""
        if self.groups is None or not self.groups.show_profiles:
            return self.gradation
        return max(self.gradation, self.groups.gradation)

    @property
    def merit(self) -> float:
        """How close neighbours are, less the price of the layout."""
        return Close(self.layout, self.closeness, self.breaks).merit

    @property
    def is_grouped(self) -> bool:
        """Whether related columns stand together, with no order among them."""
        return self.groups is not None and self.groups.show_none

    @property
    def is_close(self) -> bool:
        """Whether neighbours have a high score, and not by luck."""
        if self.p_value is None or self.p_value > ERROR_RATE:
            return False
        # Associations must show both: oscillating signals are no groups that one cause moves.
        close = None if self.groups is None else self.groups.close
        graded = self.gradation >= GRADATION and close is not None and close.shows_order
        return self.score >= (GRADED_SCORE if graded else SCORE)

    @property
    def is_telling(self) -> bool:
        """Whether it makes any difference which columns are neighbours."""
        return (1 - self.best) <= _LEAVES * (1 - self.by_chance)


def look(
    predictor: Predictor,
    usable: NDArray[np.bool_],
    associations: NDArray[np.float32],
    layouts: Iterable[Layout],
    *,
    seed: int,
    first: int = 0,
    advance: Callable[[int], None] | None = None,
) -> list[Neighbours]:
    """Return the evidence of neighbours in each layout, first the one that the data has, if any.

    Args:
        predictor: predicts the columns.
        usable: which columns vary enough to be predicted, `(columns,)`.
        associations: of every two of them, as of `gridcnn.order.lags.association`.
        layouts: which to try; every p-value is multiplied by their number.
        seed: fixes the random orders.
        first: which column of the layouts the first one of the predictor is, if it knows only a
            part of them.
        advance: called with how many more layouts are done.
    """
    random = Stream.CHECK_NEIGHBOURS.random(seed)
    layouts = list(layouts)
    plain = Layout(1, layouts[0].positions * layouts[0].channels) if layouts else None
    closest = closest_layouts(
        associations, usable, layouts, first=first, most=_FINALISTS, always=plain
    )
    groups = group_columns(associations, usable)
    likeness = profile_likeness(associations, groups)
    looks: list[Neighbours] = []
    for number, close in enumerate(closest):
        layout = close.layout
        channels = _Channels(predictor, usable, associations, layout, first)
        if len(channels.targets):
            near = _first_look(channels, layout, random)
            near = replace(near, closeness=close.closeness, breaks=close.breaks)
            if near.is_telling and (near.score >= GRADED_SCORE or layout == plain):
                within = order_within(associations, likeness, groups, layout, random, first=first)
                if within.profiles is not None:
                    within = replace(within, gradation=channels.gradation(layout, likeness))
                near = replace(near, groups=within)
                near = _test_layout(channels, near, len(layouts), random)
            looks.append(near)
        if advance is not None:
            done = [len(layouts) * n // len(closest) for n in (number, number + 1)]
            advance(done[1] - done[0])
    # `closest` has the best and simplest first, and sorting keeps that.
    looks.sort(key=lambda near: (not near.is_ordered, not near.is_doubtful))
    return looks


def look_along(
    predictor: Predictor,
    usable: NDArray[np.bool_],
    associations: NDArray[np.float32],
    layout: Layout,
    *,
    seed: int,
) -> Neighbours | None:
    """Return the evidence of neighbours along one axis, whose places are the positions of `layout`.

    The axis is known, so its gradation is that of its places. Their association is the mean over
    everything across the axis, which is more certain than that of single columns.

    None if no column varies. The arguments are those of `look`.
    """
    random = Stream.CHECK_NEIGHBOURS.random(seed)
    channels = _Channels(predictor, usable, associations, layout, 0)
    if not len(channels.targets):
        return None
    first = replace(_first_look(channels, layout, random), gradation=channels.gradation_of_places())
    if not first.is_telling or first.score < SCORE:
        return first
    return _test_layout(channels, first, 1, random)


class _Channels:
    """The columns divided into channels, and those of them that are predicted."""

    def __init__(
        self,
        predictor: Predictor,
        usable: NDArray[np.bool_],
        associations: NDArray[np.float32],
        layout: Layout,
        first: int,
    ) -> None:
        self.predictor, self.associations = predictor, associations
        known = np.arange(first, first + len(usable))
        position, channel = (place[known] for place in layout.places())
        self.column_at = layout.column_at(len(known), first)
        self.movable = np.unique(position)
        targets = np.flatnonzero(usable)
        # Spread evenly by the golden ratio, also the first ones, and no multiple of any period:
        # a seed that chose other columns would find other figures.
        spread = np.argsort(np.arange(len(targets)) * ((math.sqrt(5) - 1) / 2) % 1.0)
        self.targets = targets[spread[:_TARGETS]]
        self.position, self.channel = position[self.targets], channel[self.targets]
        self.candidates = usable & (channel == self.channel[:, None])
        self.candidates[np.arange(len(self.targets)), self.targets] = False
        self._best: dict[int, Floats] = {}
        positions = len(self.column_at)
        self.has_few_pairs = len(self.targets) * (positions + 1) ** 2 <= _PAIRS

    def mean_r2(self, beside: Indices, orders: Indices, *, targets: int = _TARGETS) -> Floats:
        """Return the mean R2 for each order of the positions `(orders, positions)`.

        `beside` are the neighbours of each position `(positions, count)`.
        """
        places = np.empty_like(orders)
        np.put_along_axis(places, orders, np.arange(orders.shape[1])[None], axis=1)
        near = beside[places[:, self.position[:targets]]]  # (orders, targets, count)
        flat = np.maximum(near, 0).reshape(len(orders), -1)
        there = np.take_along_axis(orders, flat, axis=1).reshape(near.shape)
        if self.has_few_pairs and beside.shape[1] == 2:
            there[near < 0] = -1
            chosen = np.arange(near.shape[1])
            known: Floats = self._pairs[chosen, there[..., 0], there[..., 1]].mean(axis=1)
            return known
        columns = self.column_at[there, self.channel[:targets, None]]
        columns[near < 0] = -1
        predicted = np.broadcast_to(self.targets[:targets], columns.shape[:2])
        means: Floats = self.predictor.r2(predicted, columns).mean(axis=1)
        return means

    @cached_property
    def _pairs(self) -> Floats:
        """R2 of each target from the columns of its channel in two positions.

        `(targets, positions + 1, positions + 1)`; the last position, -1, means none.
        """
        positions = len(self.column_at)
        columns = np.full((len(self.targets), positions + 1), -1, np.int64)
        columns[:, :-1] = self.column_at[:, self.channel].T
        first, second = np.broadcast_arrays(columns[:, :, None], columns[:, None, :])
        targets = np.broadcast_to(self.targets[:, None, None], first.shape)
        return self.predictor.r2(targets, np.stack([first, second], axis=-1))

    def best(self, beside: Indices) -> float:
        """Return the mean R2 from as many of the best columns as each column has neighbours."""
        degrees = (beside[self.position] >= 0).sum(axis=1)
        r2 = np.empty(len(self.targets))
        for degree in np.unique(degrees).tolist():
            if degree not in self._best:
                self._best[degree] = self.predictor.best_r2(self.targets, self.candidates, degree)
            r2[degrees == degree] = self._best[degree][degrees == degree]
        return float(r2.mean())

    def gradation(self, layout: Layout, likeness: NDArray[np.float32]) -> float:
        """Return the part of the columns that are more like both neighbours than like the next.

        `likeness` of every two columns is their association, or that of their profiles.

        In a grid it is the mean of both axes. On an axis with fewer than five places, every column
        lacks one of those. Then it is the part of the steps of one that are closer than the step of
        two in the same direction; by chance this is half, so only the excess over half counts.
        """
        cells = self.column_at.reshape(layout.rows, layout.columns, layout.channels)
        parts = []
        for axis, size in enumerate((layout.rows, layout.columns)):
            along = np.moveaxis(cells, axis, 0)
            if size >= _BOTH_WAYS:
                parts.append(max(_gradation_by(along, step, likeness) for step in _steps(size)))
            elif size >= _ONE_WAY:
                ways = (along, along[::-1])
                near = np.concatenate([_of_pairs(likeness, way[:-2], way[1:-1]) for way in ways])
                far = np.concatenate([_of_pairs(likeness, way[:-2], way[2:]) for way in ways])
                parts.append(max(0.0, 2 * _part_above(near, far) - 1))
        return float(np.mean(parts)) if parts else 0.0

    def gradation_of_places(self) -> float:
        """Return the part of the positions that are more like both neighbours than like the next.

        The association of two positions is the mean over the channels.
        """
        pairs = _of_pairs(self.associations, self.column_at[:, None], self.column_at[None, :])
        pairs = pairs.reshape(len(self.column_at), len(self.column_at), -1)
        known = (~np.isnan(pairs)).sum(axis=2)
        mean = np.nansum(pairs, axis=2) / np.where(known > 0, known, np.nan)
        parts = []
        for step in _steps(len(mean)):
            beside, beyond = np.diagonal(mean, step), np.diagonal(mean, 2 * step)
            nearer = np.minimum(beside[step : -2 * step], beside[2 * step : -step])
            parts.append(_part_above(nearer, (beyond[: -2 * step] + beyond[2 * step :]) / 2))
        return max(parts)


def _gradation_by(along: Indices, step: int, likeness: NDArray[np.float32]) -> float:
    """Return the part of the columns that are more like both one step away than like two."""
    edge = 2 * step
    middle = along[edge:-edge]
    near, far = (
        [_of_pairs(likeness, middle, along[edge + way : len(along) - edge + way]) for way in ways]
        for ways in ((-step, step), (-edge, edge))
    )
    return _part_above(np.minimum(*near), (far[0] + far[1]) / 2)


def _of_pairs(likeness: NDArray[np.float32], first: Indices, second: Indices) -> Floats:
    """Return the likeness of pairs of columns; NaN if either is -1, none."""
    values = likeness[first, second].astype(np.float64)
    values[(first < 0) | (second < 0)] = np.nan
    return values.ravel()


def _steps(size: int) -> list[int]:
    """Return the steps by which gradation is tried along an axis of so many places."""
    return [step for step in _STEPS if step == 1 or size >= _PLACES_PER_STEP * step]


def _part_above(near: Floats, far: Floats) -> float:
    """Return the part of the places with both values known in which `near` is larger."""
    known = ~np.isnan(near + far)
    return float((near > far)[known].mean()) if known.any() else 0.0


def _orders(
    channels: _Channels, count: int, random: np.random.Generator
) -> tuple[Iterator[Indices], int, bool]:
    """Return random orders of the positions, some at a time, their number, and if they are all.

    If there are not many more than `count` orders, each comes once. Positions without a known
    column stay where they are.
    """
    movable = channels.movable
    few = len(movable) <= _FEW_POSITIONS
    exact = few and (channels.has_few_pairs or math.factorial(len(movable)) <= 2 * count)
    if exact:
        count = math.factorial(len(movable))
    every = itertools.permutations(movable.tolist())

    def some() -> Iterator[Indices]:
        for start in range(0, count, _FIRST_LOOK):
            size = min(_FIRST_LOOK, count - start)
            if exact:
                moved = np.array(list(itertools.islice(every, size)), np.int64)
            else:
                moved = random.permuted(np.tile(movable, (size, 1)), axis=1)
            orders = np.tile(np.arange(len(channels.column_at)), (size, 1))
            orders[:, movable] = moved
            yield orders

    return some(), count, exact


def _first_look(channels: _Channels, layout: Layout, random: np.random.Generator) -> Neighbours:
    beside = layout.neighbours()
    given = np.arange(layout.positions)[None]
    explained = float(channels.mean_r2(beside, given)[0])
    # The neighbours can be better than the columns that were chosen on half of the rows.
    best = max(channels.best(beside), explained)
    by_chance, error = _measure_chance(channels, beside, explained, best, random)
    near = Neighbours(
        layout,
        explained,
        by_chance,
        best,
        0.0,
        channels.gradation(layout, channels.associations),
        chance_error=error,
    )
    if not near.is_telling:
        return near
    return replace(near, score=(explained - by_chance) / (best - by_chance))


def _measure_chance(
    channels: _Channels,
    beside: Indices,
    explained: float,
    best: float,
    random: np.random.Generator,
) -> tuple[float, float]:
    """Return the mean R2 by neighbours in random orders, and its standard error.

    Orders are drawn until the error of the score is small.
    """
    orders, count, exact = _orders(channels, _MOST_OF_CHANCE, random)
    others: list[float] = []
    for part in orders:
        others += channels.mean_r2(beside, part).tolist()
        if exact:
            continue
        by_chance, error = float(np.mean(others)), float(np.std(others)) / math.sqrt(len(others))
        span = best - by_chance
        if span <= 0:
            return by_chance, error
        # What the score changes by, if chance does.
        score_error = error * (best - explained) / span**2
        is_low = (explained - by_chance) / span + _FAR_BELOW * score_error < GRADED_SCORE
        if score_error <= _SCORE_ERROR or is_low:
            return by_chance, error
    mean = float(np.mean(others))
    return mean, 0.0 if exact else float(np.std(others)) / math.sqrt(count)


def _test_layout(
    channels: _Channels, first: Neighbours, layouts: int, random: np.random.Generator
) -> Neighbours:
    """Return a layout with its p-value, times the layouts that were tried."""
    beside, positions = first.layout.neighbours(), first.layout.positions
    orders, count, exact = _orders(channels, _TEST_ORDERS, random)
    given = channels.mean_r2(beside, np.arange(positions)[None], targets=_TESTED_TARGETS)[0]

    def others(orders: Iterable[Indices]) -> Floats:
        parts = [channels.mean_r2(beside, part, targets=_TESTED_TARGETS) for part in orders]
        return np.concatenate(parts)

    explained = others(orders)
    as_good = int((explained >= given - 1e-9).sum())
    if exact:
        p_value = min(1.0, as_good / count * layouts)
        return replace(first, p_value=p_value, orders=count, exact=True)
    if as_good < _ENOUGH_TO_COUNT:
        tail = _tail(float(given), explained)
        if tail * layouts <= ERROR_RATE / _CLEARLY:
            p_value = min((as_good + 1) / (count + 1), tail) * layouts
            return replace(first, p_value=p_value, orders=count, p_error=_CURVE_ERROR)
        # The curve fits badly if few positions have few orders; more orders must decide.
    least = round(_ENOUGH_TO_COUNT * layouts / ERROR_RATE)
    bars = []
    if (
        first.clear_gradation >= DOUBTFUL_GRADATION
    ):  # otherwise it is no order, whatever the p-value
        bars = [ERROR_RATE, _DOUBTFUL_P] if first.shift(2).score >= SCORE else [ERROR_RATE]
    while True:
        # The order given counts as one of the random ones (Phipson and Smyth, 2010).
        p_value = (as_good + 1) / (count + 1)
        error = math.sqrt((1 - p_value) / (as_good + 1))
        is_near = any(abs(math.log(p_value * layouts / bar)) < _NEAR * error for bar in bars)
        most = max(least if as_good < _ENOUGH_TO_COUNT else 0, _MOST_ORDERS if is_near else 0)
        if count >= most:
            return replace(first, p_value=min(1.0, p_value * layouts), orders=count, p_error=error)
        orders, more, _ = _orders(channels, min(count, most - count), random)
        as_good += int((others(orders) >= given - 1e-9).sum())
        count += more


def _tail(given: float, others: Floats) -> float:
    """Return how likely a random order is to reach `given`, by a curve through the others.

    Few of the random orders, or none, are as good, so that their part would change with the
    seed. The curve is Pearson's type III, by mean, spread and skewness (Mielke and
    Berry, 2007, "Permutation methods", second edition, Springer, section 2.3).
    """
    spread = float(others.std())
    if spread == 0:
        return 1.0 if given <= others[0] else 1.0 / (len(others) + 1)
    require_room_for_scipy()
    from scipy.special import gammaincc, ndtr  # scipy.stats would take most of a second to load

    standard = (given - float(others.mean())) / spread
    skewness = float((((others - others.mean()) / spread) ** 3).mean())
    if skewness < _HARDLY_SKEWED:
        return float(ndtr(-standard))
    shape = (2 / skewness) ** 2
    return float(gammaincc(shape, max(0.0, shape + standard * 2 / skewness)))
