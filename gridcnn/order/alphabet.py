"""The order of an alphabet: whether symbols beside each other in it are related.

The rows of one-hot grids are symbols, and each position has exactly one of them. So a symbol rules
out every other in its own position, which says nothing about their order. But it matters which
symbol follows: in a measured signal whose levels are the symbols, a level is followed by itself or
by the next one; a text has no such preference for letters that stand beside each other in an
alphabet.

The association of two symbols is how often one follows the other, beyond what their frequencies in
each position give, as a correlation, averaged over both orders. It has a sign: symbols that avoid
each other are not close. The rest is as for columns (`gridcnn.order.neighbours`): neighbours are
compared with random rows and with the best rows, by a score, by gradation, and by a permutation
test on rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.layouts import FEWEST_POSITIONS, Layout
from gridcnn.order.neighbours import GRADATION, SCORE, Neighbours
from gridcnn.order.verdict import AxisVerdict, Decision
from gridcnn.streams import Stream

_MOST_SYMBOLS = 512
"""Rows that are compared; of more, those that are most frequent together. Time and memory grow with
their square."""
_FEWEST = 30
"""Times that a symbol must occur to be compared: what follows a rarer one is mostly luck."""
_ENOUGH = 8
"""Symbols from which on the test can show an order beyond doubt: of eight there are 20,160."""
_ORDERS = 999
"""Random orders of a test: the smallest p-value, 0.001, is a tenth of the rate of errors."""
_BEYOND_NOISE = 3.0
"""How many times as close as in noise the closest symbols must be: if they are less close, a low
score does not show that there is no order."""

Floats = NDArray[np.float64]


def judge_alphabet(
    indices: NDArray[np.int32], symbols: int, *, name: str = "symbol", seed: int = 0
) -> AxisVerdict:
    """Return the verdict on the axis of symbols of one-hot grids.

    Args:
        indices: `(items, positions)`, the symbol in each position, from 0; -1 for none.
        symbols: how many symbols there are.
        name: what the axis is called.
        seed: fixes the random orders.
    """
    random = Stream.CHECK_ALPHABET.random(seed)
    counts = np.bincount(indices[indices >= 0].ravel(), minlength=symbols)
    first = _window(counts)
    shown = counts[first : first + _MOST_SYMBOLS]
    usable = np.flatnonzero(shown >= _FEWEST)
    if len(usable) < FEWEST_POSITIONS or indices.shape[1] < 2:
        return AxisVerdict(name, symbols, "undecided")
    codes = np.where(
        (indices >= first) & (indices < first + len(shown)), indices - first, -1
    ).astype(np.int64)
    close = _associations(codes, len(shown))
    # The same symbols, but each is followed by the symbol of another item: that is noise.
    others = np.stack([random.permutation(column) for column in codes.T], axis=1)
    noise = _associations(others, len(shown))
    near = beside(close, usable, random)
    near_in_noise = beside(noise, usable, random)
    decision: Decision = "undecided"
    if near.is_ordered:
        decision = "grid"
    elif shows_no_order(near, near_in_noise) and len(usable) >= _ENOUGH:
        decision = "permutable"
    return AxisVerdict(name, symbols, decision, near)


def shows_no_order(near: Neighbours, in_noise: Neighbours) -> bool:
    """Return whether an order would have been seen, and none was.

    Args:
        near: the evidence of neighbours.
        in_noise: the same evidence if nothing is associated with anything. With few items,
            neighbours may look close but not graded, which is no evidence either way.
    """
    telling = near.best - near.by_chance > _BEYOND_NOISE * (in_noise.best - in_noise.by_chance)
    return telling and near.score < SCORE


def _window(counts: NDArray[np.int64]) -> int:
    """Return the first of the `_MOST_SYMBOLS` rows side by side that are most frequent."""
    if len(counts) <= _MOST_SYMBOLS:
        return 0
    sums = np.concatenate([[0], np.cumsum(counts)])
    return int((sums[_MOST_SYMBOLS:] - sums[:-_MOST_SYMBOLS]).argmax())


def _associations(codes: NDArray[np.int64], symbols: int) -> Floats:
    """Return how much symbols follow each other, `(symbols, symbols)`; NaN on the diagonal.

    The covariance of "a is here" and "b is next", summed over positions, divided by the geometric
    mean of the variances: a correlation, -1 to 1.
    """
    positions = codes.shape[1]
    together = np.zeros(symbols * symbols)
    expected = np.zeros((symbols, symbols))
    variance = np.zeros((2, symbols))
    for position in range(positions - 1):
        here, after = codes[:, position], codes[:, position + 1]
        both = (here >= 0) & (after >= 0)
        # Items that end here are ignored: else all symbols of long texts would seem related.
        count = int(both.sum())
        if count < 2:
            continue
        here, after = here[both], after[both]
        together += np.bincount(here * symbols + after, minlength=symbols * symbols)
        parts = [np.bincount(codes_at, minlength=symbols) for codes_at in (here, after)]
        expected += np.outer(parts[0], parts[1]) / count
        for side, part in enumerate(parts):
            variance[side] += part * (1 - part / count)
    covariance = together.reshape(symbols, symbols) - expected
    spread = np.sqrt(np.outer(variance[0], variance[1]))
    one_way = np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0)
    associations = (one_way + one_way.T) / 2
    np.fill_diagonal(associations, np.nan)
    return associations


def beside(
    close: Floats,
    usable: NDArray[np.int64],
    random: np.random.Generator,
    *,
    halves: Sequence[Floats] = (),
) -> Neighbours:
    """Return the evidence of neighbours by their association, rather than by R2.

    Args:
        close: the association of every two places, `(places, places)`; NaN on the diagonal.
        usable: the places that have one.
        random: draws the orders.
        halves: the same from one half of the items and from the other: the closest places are
            then chosen by one half and judged by the other.
    """
    size = len(close)
    given = float(_beside(close, usable[None], usable, size)[0])
    among = close[np.ix_(usable, usable)]
    by_chance = float(np.nanmean(among))
    parts = [half[np.ix_(usable, usable)] for half in halves] or [among, among]
    best = max((_best(parts[0], parts[1]) + _best(parts[1], parts[0])) / 2, given)
    score = 0.0 if best <= by_chance else (given - by_chance) / (best - by_chance)
    near = Neighbours(Layout(1, size), given, by_chance, best, score, _gradation(close, usable))
    if score < SCORE or near.gradation < GRADATION:
        return near
    orders = random.permuted(np.tile(usable, (_ORDERS, 1)), axis=1)
    as_good = int((_beside(close, orders, usable, size) >= given - 1e-12).sum())
    # The given order counts as one of the random ones (Phipson and Smyth, 2010).
    p_value = (as_good + 1) / (_ORDERS + 1)
    error = math.sqrt((1 - p_value) / (as_good + 1))
    return replace(near, p_value=p_value, orders=_ORDERS, p_error=error)


def _beside(
    close: Floats, orders: NDArray[np.int64], places: NDArray[np.int64], size: int
) -> Floats:
    """Return for each order the mean association of symbols that stand beside each other.

    `orders` `(orders, usable)` says which symbol stands in each of the `places`.
    """
    standing = np.full((len(orders), size), -1)
    standing[:, places] = orders
    left, right = standing[:, :-1], standing[:, 1:]
    pairs = np.where((left >= 0) & (right >= 0), close[left, right], np.nan)
    known = ~np.isnan(pairs)
    means: Floats = np.where(known, pairs, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return means


def _best(choosing: Floats, judging: Floats) -> float:
    """Return the mean association of each place with the two that are closest to it."""
    ranks = np.argsort(np.where(np.isnan(choosing), -2, choosing), axis=1)[:, -2:]
    best = np.take_along_axis(judging, ranks, axis=1)
    known = best[~np.isnan(best)]
    return float(known.mean()) if len(known) else 0.0


def _gradation(close: Floats, usable: NDArray[np.int64]) -> float:
    """Return the part of the symbols that are closer to both neighbours than to the next."""
    padded = np.full((len(close) + 4,) * 2, np.nan)
    padded[2:-2, 2:-2] = close
    known = np.zeros(len(padded), np.bool_)
    known[usable + 2] = True
    middle = usable[known[usable] & known[usable + 1] & known[usable + 3] & known[usable + 4]] + 2
    if not len(middle):
        return 0.0
    near = np.minimum(padded[middle, middle - 1], padded[middle, middle + 1])
    far = (padded[middle, middle - 2] + padded[middle, middle + 2]) / 2
    return float((near > far).mean())
