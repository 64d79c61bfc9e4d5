"""Bands along the sides of a picture, in ONNX: what `gridcnn.adapters.frame` looks for.

All arrays are of one picture. Thresholds that depend on a number of pixels stand in tables, so that
a runtime that computes in single precision decides as Python does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gridcnn.adapters.frame import (
    AT_ENDS,
    BOW,
    COVERED,
    DEEPEST,
    LONG,
    ROUGH,
    ROUNDS,
    SAMPLES,
    SLOPE,
    STRAY,
)
from gridcnn.adapters.ink import LOOK
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.resampling import DOUBLE
from gridcnn.export.onnx.values import Value, choose, concat, constant, count_up, repeat, where

SIDES = 4  # top, bottom, left, right
_FAR = 1e9  # larger than all that is put in order
_FEW = 8  # columns from which a band can be seen


def table(graph: Graph, at: Value, entry: Callable[[int], Any], dtype: Any = np.int64) -> Value:
    """Return a function of a number of pixels, from 0 to `LOOK`, in the same shape."""
    return constant(graph, [entry(number) for number in range(LOOK + 1)], dtype).take(at)


def _least_of(part: float) -> Callable[[int], int]:
    """Return the smallest whole number that is no less than a part of another."""
    return lambda number: math.ceil(part * number)


def number_of(mask: Value, *, keep: bool = False) -> Value:
    """Return how many are true, int64: a single number, or `(1,)` if `keep`."""
    total = mask.cast(np.int64).reshape(-1).sum(0)
    return total if keep else total.reshape()


def cover(depths: Value, rows: Value, columns: Value) -> Value:
    """Return where bands are, bool `(rows, columns)`.

    Args:
        depths: int64 `(SIDES, longer)`, of the top, the bottom, the left and the right side.
        rows: how many there are, int64 `(1,)`.
        columns: the same for columns.
    """
    y, x = count_up(rows).unsqueeze(1), count_up(columns).unsqueeze(0)
    top, bottom, left, right = (depths.part(n, n + 1, 0) for n in range(SIDES))
    top, bottom = (each.part(0, columns, 1) for each in (top, bottom))
    left, right = (each.part(0, rows, 1).transpose(1, 0) for each in (left, right))
    return (y < top) | (y >= rows - bottom) | (x < left) | (x >= columns - right)


def find_bands(strongest: Value, strong: Value) -> Value:
    """Return how deep bands along the sides reach, int64 `(SIDES, longer)`; 0 if there is none.

    Args:
        strongest: what is drawn at first, bool `(rows, columns)`.
        strong: all that is drawn.
    """
    graph = strong.graph
    rows, columns = strong.size(0), strong.size(1)
    longer, shorter = rows.maximum(columns), rows.minimum(columns)
    masks = concat([strongest.unsqueeze(0), strong.unsqueeze(0)], 0)
    one_round = constant(graph, SIDES, np.int64)
    one_mask = constant(graph, SIDES * ROUNDS, np.int64)
    last = 2 * SIDES * ROUNDS
    zeros = (count_up(longer) * 0).unsqueeze(0)

    def look(_: Value, turn: Value, depths: Value, is_fresh: Value) -> tuple[Value, list[Value]]:
        mask, side = turn.apply("Div", one_mask), turn.apply("Mod", one_round)
        is_fresh = is_fresh & (side > 0)
        left = masks.take(mask) & ~cover(depths, rows, columns)
        band = _band_along(left, depths, side, shorter)
        is_side = count_up(constant(graph, [SIDES], np.int64)).unsqueeze(1).equals(side)
        is_fresh = is_fresh | (band > 0).cast(np.int64).reshape(-1).max(0).equals(1).reshape()
        # Once no side has anything new, the other mask is looked at.
        is_over = side.equals(SIDES - 1) & ~is_fresh
        turn = where(is_over, (mask + 1) * (SIDES * ROUNDS), turn + 1)
        return turn < last, [turn, depths.maximum(where(is_side, band, 0)), is_fresh]

    start = constant(graph, 0, np.int64)
    state = [(start, 0), (concat([zeros] * SIDES, 0), 2), (constant(graph, False, np.bool_), 0)]
    return repeat(constant(graph, last, np.int64), state, look)[1]


def _band_along(left: Value, depths: Value, side: Value, shorter: Value) -> Value:
    """Return how deep a band along a side reaches, int64 `(1, longer)`; 0 if there is none.

    Args:
        left: what is drawn and no band so far, bool `(rows, columns)`.
        depths: of the bands so far, int64 `(SIDES, longer)`.
        side: which side, int64 `()`.
        shorter: the shorter side of the picture, int64 `(1,)`.
    """
    graph = left.graph
    rows, columns = left.size(0), left.size(1)
    is_level, is_last = side < 2, side.apply("Mod", constant(graph, 2, np.int64)).equals(1)
    deep, along = where(is_level, rows, columns), where(is_level, columns, rows)
    # Between the bands of the other two sides, as far as they are known.
    deepest = depths.max(1, keep=False)
    other = where(is_level, constant(graph, [2], np.int64), constant(graph, [0], np.int64))
    first, beyond = deepest.take(other), deepest.take(other + 1)
    width = along - first - beyond
    limit = table(graph, deep, lambda number: round(DEEPEST * number))
    # The side as if it was the top.
    depth = count_up(limit).unsqueeze(1)
    depth = where(is_last, deep - 1 - depth, depth)
    column = count_up(width).unsqueeze(0) + first
    place = where(is_level, depth * columns + column, column * columns + depth)
    near = left.reshape(-1).take(place)
    band = _band(near, limit, width, shorter)
    there = count_up(depths.size(1))
    inside = (there - first).maximum(0).minimum(width - 1)
    return where(there < along, band.take(inside), 0).unsqueeze(0)


def _band(near: Value, limit: Value, width: Value, shorter: Value) -> Value:
    """Return how deep a band along the top reaches in each column, int64 `(width,)`.

    Args:
        near: what is drawn near the top, bool `(limit, width)`.
        limit: how deep a band may reach, int64 `(1,)`.
        width: the columns, int64 `(1,)`.
        shorter: the shorter side of the picture, int64 `(1,)`.
    """
    graph = near.graph
    depth = count_up(limit).unsqueeze(1)
    start = where(near, depth, limit).min(0, keep=False)
    is_valid = start < limit
    # The first pixel of paper after the start.
    end = where(~near & (depth >= start), depth, limit).min(0, keep=False)
    has_end = is_valid & (end < limit)
    end = where(is_valid, end, limit)
    start = where(is_valid, start, 0)
    count = number_of(has_end, keep=True)
    is_long = count >= table(graph, width, _least_of(COVERED * LONG))

    def look() -> list[Value]:
        return [_straight_band(start, end, (is_valid, has_end), (limit, width, shorter))]

    return choose(is_long, look, lambda: [end * 0], [1])[0]


def _straight_band(
    start: Value, end: Value, are: tuple[Value, Value], sizes: tuple[Value, Value, Value]
) -> Value:
    """Return how deep a band reaches, if the first runs of all columns are one."""
    graph = end.graph
    is_valid, has_end = are
    limit, width, shorter = sizes
    rough = shorter.cast(DOUBLE) * ROUGH + 1.5
    slope, base = _line(has_end, end, rough)
    line = base + slope * count_up(width).cast(DOUBLE)
    off = end.cast(DOUBLE) - line
    is_in = line > 0.5
    is_seen = has_end & (abs(off) <= rough)
    # Where a drawing or another band goes on below, a column says nothing of where this one ends.
    is_asked = is_in & ~(is_valid & (off > rough) & (start.cast(DOUBLE) <= line))
    # Only what goes on as far as one can see may be another band, which hides the end of this one.
    is_shown = is_in & (has_end | ~is_valid)
    seen = number_of(is_seen, keep=True)
    is_band = seen >= table(graph, width, _least_of(LONG))
    is_band = is_band & _is_seen(is_seen, is_asked, is_shown, width)
    is_band = is_band & _is_straight(off, is_asked, shorter)
    spread = (_middle(abs(off), is_seen) * 2.5).maximum(1)
    edge = where(has_end, end.cast(DOUBLE).maximum(line - spread).minimum(line + spread), line)
    edge = where(is_in | is_seen, edge.ceil() + 1.0, 0.0)
    edge = edge.maximum(0).minimum(limit.cast(DOUBLE)).cast(np.int64)
    return where(is_band, edge, 0)


def _is_seen(seen: Value, asked: Value, shown: Value, width: Value) -> Value:
    """Return whether a band is seen in most columns where it should be, and near both ends."""
    graph = seen.graph
    tip = table(graph, width, lambda number: max(number // 10, 2))
    all_asked, all_shown = number_of(asked, keep=True), number_of(shown, keep=True)
    quarter = all_asked.apply("Div", constant(graph, 4, np.int64))
    result = (all_asked >= _FEW) & (all_shown >= _FEW)
    result = result & _enough(seen, asked, COVERED)
    for mask, total, part in ((asked, all_asked, quarter), (shown, all_shown, tip)):
        rank = _rank(mask)
        for some in (mask & (rank <= part), mask & (rank > total - part)):
            result = result & _enough(seen, some, AT_ENDS)
    return result


def _enough(seen: Value, asked: Value, part: float) -> Value:
    """Return whether a part of the columns that are asked are seen, bool `(1,)`."""
    counts, total = number_of(seen & asked, keep=True), number_of(asked, keep=True)
    return counts.cast(np.float32) >= total.cast(np.float32) * part


def _rank(mask: Value) -> Value:
    """Return how many of a mask are true up to each, int64."""
    axis = constant(mask.graph, 0, np.int64)
    return mask.cast(np.int64).apply("CumSum", axis)


def _is_straight(off: Value, asked: Value, shorter: Value) -> Value:
    """Return whether an edge strays little from its line, and is not bowed as the arc of an O."""
    total, rank = number_of(asked, keep=True), _rank(asked)
    quarter = total.apply("Div", constant(off.graph, 4, np.int64))
    is_outer = (rank <= quarter) | (rank > total - quarter)
    # A drawing that touches the band makes it look deeper: only its shallower parts count.
    outer, inner = (_middle(off, asked & each, 0.3) for each in (is_outer, ~is_outer))
    length = shorter.cast(DOUBLE)
    is_flat = abs(outer - inner) <= length * BOW + 0.5
    return is_flat & (_middle(abs(off), asked) <= length * STRAY + 0.25)


def _middle(values: Value, chosen: Value, part: float = 0.5) -> Value:
    """Return the median, or another quantile, of the chosen ones, `(1,)`."""
    graph = values.graph
    count = number_of(chosen, keep=True)
    place = table(graph, count, lambda n: max(min(int(n * part), n - 1), 0))
    ordered, _ = graph.nodes_of(
        "TopK",
        [where(chosen, values, _FAR).name, values.size(0).name],
        2,
        axis=0,
        largest=0,
        sorted=1,
    )
    return Value(graph, ordered, values.dtype).take(place)


def _line(has_end: Value, end: Value, near: Value) -> tuple[Value, Value]:
    """Return slope and base of the line, of those through two points, that most are near to.

    Both are double `(1,)`; there are points in columns that have an end.
    """
    graph = end.graph
    x = Value(graph, graph.node("NonZero", has_end.name), np.dtype(np.int64)).squeeze(0)
    y = end.take(x)
    count = x.size(0)
    chosen = table(graph, count, _samples).squeeze(0)
    at, value = x.take(chosen).cast(DOUBLE), y.take(chosen).cast(DOUBLE)
    first, second = _PAIRS
    run, rise = at.take(second) - at.take(first), value.take(second) - value.take(first)
    slopes = rise / where(run > 0, run, 1.0)
    is_plausible = table(graph, count, _are_pairs, np.bool_).squeeze(0)
    is_plausible = is_plausible & (abs(slopes) <= SLOPE)
    bases = value.take(first) - slopes * at.take(first)
    x, y = x.cast(DOUBLE).unsqueeze(0), y.cast(DOUBLE).unsqueeze(0)
    apart = abs(bases.unsqueeze(1) + slopes.unsqueeze(1) * x - y)
    costs = apart.minimum(near).sum(1, keep=False)
    # Which of equal lines is the first must not depend on how sums round, as in Python.
    costs = where(is_plausible, (costs * 1000.0 + 0.3).floor(), _FAR)
    least = costs.min(0)
    pair = count_up(costs.size(0))
    best = where(costs <= least, pair, len(first)).min(0)
    has_line = least < _FAR
    level = _middle(end.cast(DOUBLE), has_end)
    slope = where(has_line, slopes.take(best), 0.0)
    return slope, where(has_line, bases.take(best), level)


_PAIRS = tuple(each.tolist() for each in np.triu_indices(SAMPLES, 1))
"""All pairs of samples."""


def _samples(count: int) -> list[int]:
    """Return which of the points are samples; 0 in place of those that are too many."""
    number = min(SAMPLES, count)
    chosen = np.linspace(0, count - 1, number).astype(np.int64).tolist() if count else []
    return [*chosen, *[0] * (SAMPLES - number)]


def _are_pairs(count: int) -> list[bool]:
    """Return which pairs of samples are far enough from each other to lay a line through them."""
    number = min(SAMPLES, count)
    first, second = (np.array(each) for each in _PAIRS)
    far: list[bool] = ((second - first >= max(number // 4, 1)) & (second < number)).tolist()
    return far
