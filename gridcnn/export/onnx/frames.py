"""Frames in ONNX: page edges and ruled lines, which `gridcnn.adapters.frame` takes off pictures.

A quick look at the borders of all pictures of a batch says which of them may be framed. Only these
are looked at, one after the other, in a loop; its body follows the code in Python.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gridcnn.adapters.frame import (
    BESIDE,
    CRUMBS,
    DEEPEST,
    GLANCE,
    LONG,
    MANY,
    PLAIN,
    SMALLEST,
    SPECKS,
    TRIFLE,
)
from gridcnn.adapters.ink import LOOK
from gridcnn.export.onnx.bands import SIDES, cover, find_bands, number_of, table
from gridcnn.export.onnx.paper import Paper, centres, in_order, paper_of, slopes_of, surface
from gridcnn.export.onnx.resampling import DOUBLE, block_means
from gridcnn.export.onnx.values import Value, choose, concat, constant, count_up, repeat, where

_AXES = (4, 4, 3, 2, 2, 2, 2, 2)  # of the pictures, and of each value of their paper
_AT_ONCE = 4  # steps of growth between two looks whether it has ended


def without_frames(
    planes: Value, small: Value, step: Value, paper: Paper, *, is_bytes: bool
) -> tuple[Value, Paper]:
    """Return pictures with bare paper in place of their frames, and the paper inside these.

    Args:
        planes: 0 to 255, float32 `(items, channels, rows, columns)`.
        small: the same, reduced.
        step: pixels along each reduced one, double `(1,)`.
        paper: of the pictures with their frames.
        is_bytes: whether pixels are whole numbers.
    """
    before = [planes, *paper]
    shorter = small.size(2).minimum(small.size(3))

    def look() -> list[Value]:
        return _take_off(planes, small, step, paper, is_bytes=is_bytes)

    planes, *values = choose(shorter >= SMALLEST, look, lambda: before, _AXES)
    return planes, Paper(*values)


def _take_off(
    planes: Value, small: Value, step: Value, paper: Paper, *, is_bytes: bool
) -> list[Value]:
    """Return pictures without frames, and the values of their paper, where lines can be told."""
    graph = planes.graph
    inner, outer, is_alike, may_be = _look_at_borders(small)
    items = count_up(small.size(0))
    # Paper may be of the colour in the middle, or else of that along the border.
    tried = concat([may_be, ~is_alike], 0)
    numbers = Value(graph, graph.node("NonZero", tried.name), np.dtype(np.int64)).squeeze(0)
    colours, of = concat([inner, outer], 0), concat([items, items], 0)
    glance, *_ = block_means(
        small,
        (small.size(2).maximum(small.size(3)).cast(DOUBLE) / float(GLANCE)).ceil(),
        is_bytes=False,
    )

    def look(turn: Value, is_done: Value, *before: Value) -> tuple[Value, list[Value]]:
        number = numbers.take(turn.unsqueeze(0))
        item = of.take(number)
        is_this = items.equals(item)

        def search() -> list[Value]:
            colour = colours.take(number)
            frame = _find_frame(small.take(item), glance.take(item), colour)

            def take_off() -> list[Value]:
                bare, inside = _without_frame(
                    planes.take(item), small.take(item), step, frame, is_bytes=is_bytes
                )
                # Each value of this picture in the place of what was there.
                return [
                    where(is_this.reshape(-1, *[1] * (axes - 1)), new, old)
                    for axes, new, old in zip(_AXES, [bare, *inside], before, strict=True)
                ]

            made = choose(frame.is_there, take_off, lambda: list(before), _AXES)
            return [is_done | (is_this & frame.is_there), *made]

        done = is_done.take(item)
        made = choose(~done, search, lambda: [is_done, *before], (1, *_AXES))
        return constant(graph, True, np.bool_), made

    state = [(items < 0, 1), *zip([planes, *paper], _AXES, strict=True)]
    return repeat(numbers.size(0), state, look)[1:]


# The quick look -----------------------------------------------------------------------------------


def _look_at_borders(small: Value) -> tuple[Value, Value, Value, Value]:
    """Return two colours, whether they are alike, and whether pictures may be framed.

    The colours are those in the middle and along the border, float32 `(items, channels, 1)`; the
    others bool `(items,)`.
    """
    graph = small.graph
    rows, columns = small.size(2), small.size(3)
    ring = concat(
        [
            small.part(0, 1, 2).squeeze(2),
            small.part(rows - 1, rows, 2).squeeze(2),
            small.part(0, 1, 3).squeeze(3),
            small.part(columns - 1, columns, 3).squeeze(3),
        ],
        2,
    )
    middle = _inner(small, lambda number: max(number // 32, 1))
    outer, inner = (in_order(each, each.size(2), 0.5) for each in (ring, middle))
    is_alike = abs(outer - inner).max(1) <= PLAIN  # (items, 1, 1)
    strays = abs(ring - outer).max(1)
    within = abs(middle - inner).max(1)
    noise = in_order(strays, strays.size(2), 0.5).minimum(in_order(within, within.size(2), 0.5))
    off = (strays > (noise * 4.0).maximum(PLAIN)).squeeze(1).cast(np.int64)  # (items, pixels)
    ends = [columns * 0, columns, columns * 2, columns * 2 + rows, columns * 2 + rows * 2]
    top, bottom, left, right = (off.part(ends[n], ends[n + 1], 1) for n in range(SIDES))
    high, wide = (table(graph, each, lambda n: round(DEEPEST * n)) for each in (rows, columns))
    near = (
        (top, columns, left.part(0, high, 1), right.part(0, high, 1)),
        (bottom, columns, left.part(rows - high, rows, 1), right.part(rows - high, rows, 1)),
        (left, rows, top.part(0, wide, 1), bottom.part(0, wide, 1)),
        (right, rows, *(each.part(columns - wide, columns, 1) for each in (top, bottom))),
    )
    may_be = ~is_alike.squeeze(2)
    for along, length, one, other in near:
        least = table(graph, length, lambda n: int(LONG * n / 2) + 1)
        is_tilted = (one.sum(1) > 0) & (other.sum(1) > 0)
        may_be = may_be | (along.sum(1) >= least) | is_tilted
    is_alike = is_alike.squeeze(1, 2)
    return inner, outer, is_alike, may_be.squeeze(1)


def _inner(values: Value, step: object) -> Value:
    """Return the pixels of the middle two thirds, `(items, channels, pixels)`."""
    graph = values.graph
    for axis in (2, 3):
        size = values.size(axis)
        edge = size.apply("Div", constant(graph, [6], np.int64))
        stride = constant(graph, [step], np.int64) if isinstance(step, int) else None
        if stride is None:
            assert callable(step)
            stride = table(graph, size, step)
        values = values.apply("Slice", edge, size - edge, constant(graph, [axis], np.int64), stride)
    return values.reshape(0, 0, -1)


# The search ---------------------------------------------------------------------------------------


class _Frame(NamedTuple):
    """What frames one picture.

    Attributes:
        is_there: whether anything does, bool `(1,)`.
        covered: where it is, bool `(rows, columns)`.
        inside: first row, first column, row after the last and column after the last that no band
            reaches, int64 `(1,)` each.
    """

    is_there: Value
    covered: Value
    inside: tuple[Value, Value, Value, Value]


def _find_frame(pixels: Value, glance: Value, colour: Value) -> _Frame:
    """Return what frames a picture if paper is of a colour.

    Args:
        pixels: reduced, `(1, channels, rows, columns)`.
        glance: reduced further, in the same form.
        colour: `(1, channels, 1)`.
    """
    rows, columns = pixels.size(2), pixels.size(3)
    apart = _distance(pixels, glance, colour)
    middle = _inner(apart, 3)
    noise = in_order(middle, middle.size(2), 0.5).unsqueeze(3)
    least = (noise * 4.0).maximum(PLAIN)
    farthest = apart.max(2, 3)
    three = farthest * 0.0 + 3.0  # no constant, by whose inverse OpenVINO would multiply
    strongest = (apart > least.maximum(farthest / three)).squeeze(0, 1)
    strong = (apart > least).squeeze(0, 1)
    depths = find_bands(strongest, strong)
    deepest = depths.max(1, keep=False)
    sides = [deepest.part(n, n + 1, 0) for n in range(SIDES)]

    def search() -> list[Value]:
        return list(_drawing(strong, depths, sides))

    def leave() -> list[Value]:
        return [(rows < 0).reshape(1), strong]

    is_banded = number_of(deepest > 0, keep=True) > 0
    is_there, covered = choose(is_banded, search, leave, (1, 2))
    top, bottom, left, right = sides
    return _Frame(is_there, covered, (top, left, rows - bottom, columns - right))


def _distance(pixels: Value, glance: Value, colour: Value) -> Value:
    """Return how far pixels are from the paper, `(1, 1, rows, columns)`."""
    rows, columns = pixels.size(2), pixels.size(3)
    inner, scales = glance, []
    for axis in (2, 3):
        size = glance.size(axis)
        edge = size.apply("Div", constant(glance.graph, [8], np.int64))
        inner = inner.part(edge, size - edge, axis)
        scales.append(size.cast(DOUBLE) / (size - edge * 2).cast(DOUBLE))
    two = constant(glance.graph, [[2.0]], DOUBLE)
    y, x = (
        (centres(two, count) - 1.0) * scale
        for count, scale in zip((rows, columns), scales, strict=True)
    )
    paper = surface(slopes_of(inner, colour), y, x).cast(np.float32)
    # Outside of where it was measured, the fall of light may be guessed wrongly.
    return abs(pixels - paper).max(1).minimum(abs(pixels - colour.unsqueeze(3)).max(1))


def _drawing(strong: Value, depths: Value, sides: list[Value]) -> tuple[Value, Value]:
    """Return whether bands frame a drawing, bool `(1,)`, and what they and their remains cover."""
    graph = strong.graph
    rows, columns = strong.size(0), strong.size(1)
    covered = cover(depths, rows, columns)
    rest = strong & ~covered
    is_band = [side > 0 for side in sides]
    slack = table(graph, rows.minimum(columns), lambda number: round(CRUMBS * number))
    top, bottom, left, right = (
        side + where(banded, slack, 0) for side, banded in zip(sides, is_band, strict=True)
    )
    y, x = count_up(rows).unsqueeze(1), count_up(columns).unsqueeze(0)
    is_deep = (y >= top) & (y < rows - bottom) & (x >= left) & (x < columns - right)
    drawing = _grow(rest & is_deep, rest)
    size = (rows * columns).cast(DOUBLE)
    number = is_band[0].cast(np.int64)
    for banded in is_band[1:]:
        number = number + banded.cast(np.int64)
    # One band is no drawing; several may be the strokes of an L or of an 11.
    count = number_of(drawing, keep=True).cast(DOUBLE)
    is_none = (count < (size * TRIFLE).maximum(4)) & (number > 1)
    crumbs = rest & ~drawing
    # Many remains are the corners around something round.
    is_none = is_none | (number_of(crumbs, keep=True).cast(DOUBLE) > size * MANY)
    is_none = is_none | _is_cut_out(strong, drawing, sides, is_band)
    return ~is_none, covered | crumbs


def _grow(seeds: Value, within: Value) -> Value:
    """Return all of `within` that hangs together with `seeds`, bool `(rows, columns)`."""
    room = within.cast(np.float32).unsqueeze(0, 1)

    def widen(_: Value, grown: Value) -> tuple[Value, list[Value]]:
        wider = grown
        for _turn in range(_AT_ONCE):
            wider = wider.apply("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]) * room
        return wider.sum(0, 1, 2, 3) > grown.sum(0, 1, 2, 3), [wider]

    start = seeds.cast(np.float32).unsqueeze(0, 1)
    most = constant(seeds.graph, LOOK * LOOK, np.int64)
    return (repeat(most, [(start, 4)], widen)[0] > 0).squeeze(0, 1)


def _is_cut_out(strong: Value, drawing: Value, sides: list[Value], banded: list[Value]) -> Value:
    """Return whether the picture ends where the drawing does, bool `(1,)`."""
    graph = strong.graph
    top, bottom, left, right = sides
    rows, columns = strong.size(0), strong.size(1)
    drawn, drawing = (
        each.part(top, rows - bottom, 0).part(left, columns - right, 1).cast(np.int64)
        for each in (strong, drawing)
    )
    high, wide = drawn.size(0), drawn.size(1)
    beside = _edges(drawn)
    total = beside[0] + beside[1] + beside[2] + beside[3]
    # There is paper next to a band.
    is_crowded = total.cast(DOUBLE) / ((high + wide) * 2).cast(DOUBLE) > BESIDE
    # A few specks are noise.
    touched = [
        count > table(graph, length, lambda number: int(max(2, SPECKS * number)))
        for count, length in zip(_edges(drawing), (wide, wide, high, high), strict=True)
    ]
    crossed = [a & b for a, b in zip(touched, banded, strict=True)]
    is_any = crossed[0] | crossed[1] | crossed[2] | crossed[3]
    # The stem of a T, or the slope of an N, goes from a band to the other side.
    is_other = (crossed[0] & crossed[1]) | (crossed[2] & crossed[3])
    for touch, cross in zip(touched, crossed, strict=True):
        is_other = is_other | (touch & ~cross)
    # The middle bar of an E or an H is flat.
    spans = [_span(drawing.max(1, keep=False), high), _span(drawing.max(0, keep=False), wide)]
    flattest = spans[0].minimum(spans[1])
    is_flat = (flattest * 5) < high.minimum(wide)
    return is_crowded | (is_any & (is_other | is_flat))


def _edges(values: Value) -> list[Value]:
    """Return the sums of the first row, the last row, the first column and the last, `(1,)`."""
    rows, columns = values.size(0), values.size(1)
    ends = [(0, 1, 0), (rows - 1, rows, 0), (0, 1, 1), (columns - 1, columns, 1)]
    return [values.part(*end).reshape(-1).sum(0) for end in ends]


def _span(lines: Value, count: Value) -> Value:
    """Return how far the last line that is not 0 is from the first, int64 `(1,)`."""
    place = count_up(count)
    is_drawn = lines > 0
    return where(is_drawn, place, -1).max(0) - where(is_drawn, place, LOOK).min(0)


# The picture without it ---------------------------------------------------------------------------


def _without_frame(
    planes: Value, small: Value, step: Value, frame: _Frame, *, is_bytes: bool
) -> tuple[Value, Paper]:
    """Return a picture with bare paper in place of its frame, and that paper."""
    whole = step.cast(np.int64)
    rows, columns = planes.size(2), planes.size(3)
    top, left, bottom, right = frame.inside
    ends = [(top, bottom, rows, 2), (left, right, columns, 3)]
    inner = planes
    for first, last, length, axis in ends:
        small = small.part(first, last, axis)
        inner = inner.part(first * whole, (last * whole).minimum(length), axis)
    paper = paper_of(inner, small, is_bytes=is_bytes)
    paper = paper._replace(
        top=paper.top + (top * whole).cast(DOUBLE), left=paper.left + (left * whole).cast(DOUBLE)
    )
    covered = frame.covered
    middles = []
    for axis, length in ((0, rows), (1, columns)):
        pixel = count_up(length)
        covered = covered.take(pixel.apply("Div", whole), axis=axis)
        middles.append((pixel.cast(DOUBLE) + 0.5).unsqueeze(0))
    shown = paper.shown(*middles)
    return where(covered, shown.round() if is_bytes else shown, planes), paper
