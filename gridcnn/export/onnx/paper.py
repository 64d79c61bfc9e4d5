"""The paper around what is drawn, in ONNX: what `background_of` of `gridcnn.adapters.ink` does.

Each picture has its own paper, so that its values are `(items, 1)`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gridcnn.adapters.ink import EVEN, GLANCE, LOOK
from gridcnn.adapters.light import ENOUGH, NEAR, RIDGE
from gridcnn.adapters.pixels import FULL
from gridcnn.export.onnx.resampling import DOUBLE, block_means
from gridcnn.export.onnx.values import Value, concat, constant, count_up, where


class Paper(NamedTuple):
    """The paper around what is drawn.

    Attributes:
        colour: the typical colour along the border, float32 `(items, channels, 1, 1)`.
        slopes: factors of 1, x, y, x * x, x * y and y * y, double `(items, channels, 6)`; all but
            the first are 0 if light falls evenly.
        noise: how far its colours stray, double `(items, 1)`.
        top, left, height, width: the part inside the frame, double `(items, 1)`; mostly all of it.
    """

    colour: Value
    slopes: Value
    noise: Value
    top: Value
    left: Value
    height: Value
    width: Value

    def shown(self, y: Value, x: Value) -> Value:
        """Return its colours at places in pixels, float32 `(items, channels, rows, columns)`.

        `y` is `(items | 1, rows)`, and `x` `(items | 1, columns)`.
        """
        down = (y - self.top) * (2.0 / self.height) - 1.0
        across = (x - self.left) * (2.0 / self.width) - 1.0
        return surface(self.slopes, down, across).clip(0, FULL).cast(np.float32)


def surface(slopes: Value, y: Value, x: Value) -> Value:
    """Return quadratic surfaces, double `(items, channels, rows, columns)`.

    `y` is `(items | 1, rows)`, and `x` `(items | 1, columns)`, both from -1 to 1.
    """
    down, across = y.unsqueeze(1, 3), x.unsqueeze(1, 2)
    base, by_x, by_y, by_xx, by_xy, by_yy = (
        slopes.part(n, n + 1, 2).unsqueeze(3) for n in range(6)
    )
    values = (by_xy * down) * across
    values = values + (base + by_y * down + by_yy * (down * down))
    return values + (by_x * across + by_xx * (across * across))


def reduce_to_look(planes: Value, *, is_bytes: bool) -> tuple[Value, Value]:
    """Return pictures in which ink is looked for, and how many pixels each of theirs was along.

    Args:
        planes: 0 to 255, float32 `(items, channels, rows, columns)`.
        is_bytes: whether these are whole numbers, whose means are rounded.
    """
    step = (_longer(planes) / float(LOOK)).ceil()
    return block_means(planes, step, is_bytes=is_bytes)[0], step


def paper_of(planes: Value, small: Value, *, is_bytes: bool) -> Paper:
    """Return the background of pictures without a frame.

    Args:
        planes: 0 to 255, float32 `(items, channels, rows, columns)`.
        small: the same pictures, as ink is looked for in them.
        is_bytes: whether pixels are whole numbers, whose means are rounded.
    """
    rows, columns = small.size(2), small.size(3)
    border = border_of(small, rows, columns)
    colour = in_order(border, border.size(2), 0.5)
    noise, stray = _deviation(border - colour)
    glance, *_ = block_means(planes, (_longer(planes) / float(GLANCE)).ceil(), is_bytes=is_bytes)
    zero = noise * 0.0
    height, width = (zero + planes.size(axis).cast(DOUBLE) for axis in (2, 3))
    lit = Paper(colour.unsqueeze(3), slopes_of(glance, colour), noise, zero, zero, height, width)
    # Where the light is looked at, the last block may reach beyond the picture, as in Python.
    y, x = centres(height, rows), centres(width, columns)
    noise_when_lit, stray_when_lit = _deviation(border - border_of(lit.shown(y, x), rows, columns))
    is_lit = ~(stray < 1) & _is_uneven(border, colour, noise, rows, columns)
    is_lit = is_lit & ~(stray_when_lit > stray)
    flat = colour.cast(DOUBLE)
    flat = concat([flat, *[flat * 0.0] * 5], 2)
    return lit._replace(
        slopes=where(is_lit.unsqueeze(2), lit.slopes, flat),
        noise=where(is_lit, noise_when_lit, noise),
    )


def _longer(planes: Value) -> Value:
    """Return the longer side of pictures, double `(1,)`."""
    return planes.size(2).maximum(planes.size(3)).cast(DOUBLE)


def centres(length: Value, cells: Value) -> Value:
    """Return the middles of equal parts of lengths `(items, 1)`, double `(items, cells)`."""
    return (count_up(cells).cast(DOUBLE) + 0.5).unsqueeze(0) * (length / cells.cast(DOUBLE))


def border_of(small: Value, rows: Value, columns: Value) -> Value:
    """Return the outermost pixels `(items, channels, pixels)`: top, bottom, left and right.

    Args:
        small: pixels `(items, channels, rows, columns)`.
        rows: how many rows there are, int64 `(1,)`.
        columns: the same for columns.
    """
    inner = small.part(1, -1, 2)
    sides = [
        small.part(0, 1, 2).squeeze(2),
        small.part(rows - 1, rows, 2).squeeze(2),
        inner.part(0, 1, 3).squeeze(3),
        inner.part(columns - 1, columns, 3).squeeze(3),
    ]
    return concat(sides, 2)


def in_order(values: Value, count: Value, part: float) -> Value:
    """Return the number at a part of all when they are in order along the last axis, `(..., 1)`.

    Args:
        values: numbers `(items, channels, numbers)`.
        count: how many there are, int64 `(1,)`.
        part: 0.5 is the middle one; of an even number the upper one of both.
    """
    place = (count.cast(DOUBLE) * part).floor().cast(np.int64)
    smallest, _ = values.graph.nodes_of(
        "TopK", [values.name, (place + 1).name], 2, axis=2, largest=0, sorted=1
    )
    return Value(values.graph, smallest, values.dtype).part(place, place + 1, 2)


def _deviation(differences: Value) -> tuple[Value, Value]:
    """Return the median and the upper quartile of distances, double `(items, 1)` each."""
    distance = abs(differences).max(1)
    count = distance.size(2)
    noise, stray = (in_order(distance, count, part).squeeze(2) for part in (0.5, 0.75))
    return noise.cast(DOUBLE), stray.cast(DOUBLE)


def _is_uneven(border: Value, colour: Value, noise: Value, rows: Value, columns: Value) -> Value:
    """Return whether stretches of the border are off by more than chance, bool `(items, 1)`."""
    sides = [columns, columns, rows - 2, rows - 2]
    starts, before = [], rows * 0
    three = constant(rows.graph, [3], np.int64)
    for side in sides:
        starts += [before + (side * third).apply("Div", three) for third in range(3)]
        before = before + side
    ends = [*starts[1:], before]
    place = count_up(border.size(2)).unsqueeze(0)
    first, last = concat(starts, 0).unsqueeze(1), concat(ends, 0).unsqueeze(1)
    inside = (~(place < first) & (place < last)).cast(np.float32)
    counts = inside.sum(1)
    means = (border @ inside.transpose(1, 0)) / counts.transpose(1, 0).unsqueeze(0)
    fewest = counts.min(0, 1).cast(DOUBLE).maximum(1)
    chance = noise * (3.5 * 1.5) / fewest.sqrt()
    off = abs(means - colour).max(1)
    third = constant(rows.graph, [3], np.int64)
    largest, _ = off.graph.nodes_of("TopK", [off.name, third.name], 2, axis=2, largest=1)
    third_largest = Value(off.graph, largest, off.dtype).part(2, 3, 2).squeeze(2).cast(DOUBLE)
    is_large = ~(rows < 5) & ~(columns < 5)
    return (third_largest > chance.maximum(EVEN)) & is_large


def slopes_of(glance: Value, colour: Value) -> Value:
    """Return the quadratic surface of the paper, double `(items, channels, 6)`."""
    rows, columns = glance.size(2), glance.size(3)
    two = constant(glance.graph, [[2.0]], DOUBLE)
    y = (centres(two, rows) - 1.0).transpose(1, 0)
    x = centres(two, columns) - 1.0
    ones = y * 0.0 + x * 0.0 + 1.0
    terms = [ones, ones * x, ones * y, ones * (x * x), (ones * y) * x, ones * (y * y)]
    flat = concat([term.reshape(1, -1) for term in terms], 0)  # (6, pixels)
    turned = concat([term.reshape(-1, 1) for term in terms], 1)
    values = glance.reshape(0, 0, -1).cast(DOUBLE)  # (items, channels, pixels)
    start = colour.cast(DOUBLE)
    slopes = concat([start, *[start * 0.0] * 5], 2)
    is_active = None
    for near in NEAR:
        apart = abs(values - slopes @ flat).max(1)
        chosen = (apart < near).cast(DOUBLE)  # (items, 1, pixels)
        is_enough = ~(chosen.sum(2) < ENOUGH)  # (items, 1, 1)
        is_active = is_enough if is_active is None else is_active & is_enough
        weighed = turned.unsqueeze(0) * chosen.reshape(0, -1, 1)  # (items, pixels, 6)
        normal = flat @ weighed + RIDGE * np.eye(6)
        slopes = where(is_active, _solve(normal, values @ weighed), slopes)
    return slopes


def _solve(normal: Value, right: Value) -> Value:
    """Return the solution of symmetric equations, `(items, channels, 6)`, by elimination."""
    graph = normal.graph
    both = concat([normal, right], 1)
    for number in range(6):
        column = both.part(number, number + 1, 2)
        column = column / column.part(number, number + 1, 1)
        row = both.part(number, number + 1, 1)
        is_column = constant(graph, np.arange(6).reshape(1, 1, 6) == number, np.bool_)
        both = where(is_column, column, both - column * row)
    return both.part(6, 2**31 - 1, 1)
