"""The search for ink in ONNX: what `gridcnn.adapters.ink` does, for a whole batch at once.

Each picture has its own paper, its own window and its own step, so that all of these are values
`(items, 1)`. What would be a loop over pictures, or an array of another size for each, is a matrix
with zeros where nothing is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.ink import FAINTEST, LOOK, NOISIEST
from gridcnn.export.onnx.frames import without_frames
from gridcnn.export.onnx.paper import Paper, paper_of, reduce_to_look
from gridcnn.export.onnx.resampling import (
    DOUBLE,
    Span,
    resize_exactly,
    rounded_means,
    weights_of,
)
from gridcnn.export.onnx.values import Value, constant, count_up, where

_ROUNDS = 3


# The window ---------------------------------------------------------------------------------------


class Window(NamedTuple):
    """A window for each picture, double `(items, 1)` each."""

    top: Value
    left: Value
    bottom: Value
    right: Value


def window_of_ink(
    planes: Value,
    paper: Paper,
    otherwise: tuple[Span, Span],
    adapter: ImageAdapter,
    *,
    is_bytes: bool,
) -> tuple[Span, Span]:
    """Return the window around all ink of each picture; `otherwise` that if there is none.

    Args:
        planes: 0 to 255, float32 `(items, channels, rows, columns)`.
        paper: of these pictures.
        otherwise: rows and columns of a picture without ink.
        adapter: says how large the margin is.
        is_bytes: whether pixels are whole numbers, whose means are rounded.
    """
    zero = paper.noise * 0.0
    bottom, right = (zero + planes.size(axis).cast(DOUBLE) for axis in (2, 3))
    window = Window(zero, zero, bottom, right)
    is_done = zero > 1
    has_ink = ~is_done
    for _ in range(_ROUNDS):
        seen = _look(planes, paper, window, is_bytes=is_bytes)
        nearer, found = _nearer(window, seen)
        has_ink = has_ink & (found | is_done)
        height = window.bottom - window.top
        is_final = seen.step.equals(1.0) | ((nearer.bottom - nearer.top) > height * 0.5)
        window = Window(
            *(where(is_done, old, new) for old, new in zip(window, nearer, strict=True))
        )
        is_done = is_done | is_final
    height, width = window.bottom - window.top, window.right - window.left
    edge = height.maximum(width) * adapter.margin
    top, left = window.top - edge, window.left - edge
    height, width = window.bottom + edge - top, window.right + edge - left
    aspect = adapter.size[1] / adapter.size[0]
    high = height.maximum(width / aspect)
    wide = high * aspect
    low = top + (height - high) / 2.0
    start = left + (width - wide) / 2.0
    spans = [
        (low, low + high, otherwise[0]),
        (start, start + wide, otherwise[1]),
    ]
    rows, columns = (
        Span(
            where(has_ink, first, usual.low).squeeze(1), where(has_ink, last, usual.high).squeeze(1)
        )
        for first, last, usual in spans
    )
    return rows, columns


class _Seen(NamedTuple):
    """What is seen of windows in reduced pictures; `(items, 1)` each."""

    step: Value
    has_ink: Value
    rows: tuple[Value, Value]
    columns: tuple[Value, Value]


def _look(planes: Value, paper: Paper, window: Window, *, is_bytes: bool) -> _Seen:
    """Return where ink begins and ends in windows, in reduced pixels."""
    height, width = window.bottom - window.top, window.right - window.left
    step = (height.maximum(width) / float(LOOK)).ceil()
    rows, columns = (height / step).ceil(), (width / step).ceil()
    # As many blocks as any picture of this size can have.
    lines = count_up(planes.size(2).maximum(planes.size(3)).minimum(LOOK)).cast(DOUBLE)
    line = lines.unsqueeze(0)
    down = _block_marks(window.top, window.bottom, step, planes.size(2), lines)
    across = _block_marks(window.left, window.right, step, planes.size(3), lines)
    sums = (down.unsqueeze(1) @ planes) @ across.transpose(0, 2, 1).unsqueeze(1)
    counts = down.sum(2) @ across.sum(2).transpose(0, 2, 1)
    small = rounded_means(
        sums, counts.cast(DOUBLE).unsqueeze(1).maximum(1), step.unsqueeze(2, 3), is_bytes=is_bytes
    )
    middle = (line + 0.5) * step
    bare = paper.shown(middle + window.top, middle + window.left)
    is_row, is_column = (line < each for each in (rows, columns))  # (items, lines)
    is_seen = is_row.unsqueeze(2) & is_column.unsqueeze(1)
    distance = where(is_seen, abs(small - bare).max(1, keep=False), 0.0)
    smooth = _smooth(distance, rows, columns, lines)
    smooth = where(is_seen, smooth, 0.0)
    strongest = smooth.max(1, 2).squeeze(2)
    has_ink = ~(strongest.cast(DOUBLE) < _least(paper.noise))
    typical = _typical(smooth.reshape(0, -1), strongest)
    mask = (smooth > (typical * 0.5).unsqueeze(2)) & is_seen
    return _Seen(
        step, has_ink, _extent(mask.count(2, keep=False)), _extent(mask.count(1, keep=False))
    )


def _block_marks(low: Value, high: Value, step: Value, length: Value, lines: Value) -> Value:
    """Return which pixels are in which block of a window, float32 `(items, lines, pixels)`."""
    pixel = count_up(length).cast(DOUBLE).unsqueeze(0)
    is_inside = ~(pixel < low) & (pixel < high)
    block = where(is_inside, ((pixel - low) / step).floor(), -1.0).unsqueeze(1)
    return block.equals(lines.unsqueeze(0, 2)).cast(np.float32)


def _smooth(distance: Value, rows: Value, columns: Value, lines: Value) -> Value:
    """Return the mean of each cell and its neighbours, 3 x 3 where there are so many."""
    across = _neighbours(columns, lines).transpose(0, 2, 1)
    sums = (_neighbours(rows, lines) @ distance) @ across
    # The maximum, which changes nothing, keeps OpenVINO from dividing before it adds: sums of whole
    # numbers are exact, and whether one is half of another must not depend on rounding.
    mean: Value = sums.maximum(0) * (1 / 9)
    is_enough = ~(rows.minimum(columns) < 3)
    return where(is_enough.unsqueeze(2), mean, distance)


def _neighbours(count: Value, lines: Value) -> Value:
    """Return weights that add each line and its neighbours; at the ends a line counts twice.

    float32 `(items, lines, lines)`; `count` says how many lines there are, `(items, 1)`.
    """
    one, other = lines.unsqueeze(1), lines.unsqueeze(0)
    fixed = other.equals(one).cast(np.float32)
    fixed = fixed + other.equals((one - 1.0).maximum(0)).cast(np.float32)
    after = (lines.unsqueeze(0) + 1.0).minimum(count - 1.0).unsqueeze(2)
    moving: Value = after.equals(other.unsqueeze(0)).cast(np.float32) + fixed
    return moving


def _least(noise: Value) -> Value:
    """Return the distance from the paper at which ink begins to be believed."""
    return (noise * 4.0).minimum(NOISIEST).maximum(FAINTEST)


def _typical(distance: Value, strongest: Value) -> Value:
    """Return the median of the stronger cells `(items, 1)`, of distances `(items, cells)`."""
    # No constant, by whose inverse OpenVINO would multiply: some cells are a third exactly.
    three = where(strongest < 0, 1.0, strongest * 0.0 + 3.0)
    is_strong = distance > strongest / three
    count = is_strong.cast(np.int64).sum(1)
    cells = distance.size(1)
    ordered, _ = distance.graph.nodes_of(
        "TopK", [distance.name, cells.name], 2, axis=1, largest=1, sorted=1
    )
    # The middle one counted from the smallest of them, which are the first here.
    place = count - 1 - count.apply("Div", constant(count.graph, 2, np.int64))
    place = place.maximum(0)
    value = distance.graph.node("GatherElements", ordered, place.name, axis=1)
    return Value(distance.graph, value, distance.dtype)


def _extent(counts: Value) -> tuple[Value, Value]:
    """Return the first line with a noticeable count, and the line after the last, `(items, 1)`."""
    is_enough = counts > counts.max(1) / 16.0
    line = count_up(counts.size(1)).cast(DOUBLE).unsqueeze(0)
    first = where(is_enough, line, float(LOOK)).min(1)
    return first, where(is_enough, line, -1.0).max(1) + 1.0


def _nearer(window: Window, seen: _Seen) -> tuple[Window, Value]:
    """Return windows around the ink that is seen in others, and whether there is any."""
    slack = (seen.step > 1).cast(DOUBLE)
    (first, last), (start, stop) = seen.rows, seen.columns
    nearer = Window(
        (window.top + (first - slack) * seen.step).maximum(window.top),
        (window.left + (start - slack) * seen.step).maximum(window.left),
        (window.top + (last + slack) * seen.step).minimum(window.bottom),
        (window.left + (stop + slack) * seen.step).minimum(window.right),
    )
    return nearer, seen.has_ink


# Ink ----------------------------------------------------------------------------------------------


def ink_cells(
    adapter: ImageAdapter,
    planes: Value,
    usual: tuple[Span, Span],
    *,
    is_bytes: bool,
    frames: bool,
) -> Value:
    """Return pictures with a search for ink: cells of 0 to 255, or, with `polarity: ink`, of -1..1.

    Args:
        adapter: of the model.
        planes: 0 to 255, float32 `(items, channels, rows, columns)`.
        usual: rows and columns that are shown of pictures without ink.
        is_bytes: whether these are whole numbers.
        frames: whether what frames a picture is taken off.
    """
    small, step = reduce_to_look(planes, is_bytes=is_bytes)
    paper = paper_of(planes, small, is_bytes=is_bytes)
    if frames:
        planes, paper = without_frames(planes, small, step, paper, is_bytes=is_bytes)
    rows, columns = usual
    if adapter.fit == "ink":
        rows, columns = window_of_ink(planes, paper, usual, adapter, is_bytes=is_bytes)
    down = weights_of(rows, planes.size(2), adapter.size[0])
    across = weights_of(columns, planes.size(3), adapter.size[1], across=True)
    is_shown = down.is_shown.unsqueeze(1, 3) & across.is_shown.unsqueeze(1, 2)
    cells = resize_exactly(planes, down, across)
    if adapter.polarity != "ink":
        return where(is_shown, cells, paper.colour)
    y, x = (
        (constant(planes.graph, np.arange(count)[None] + 0.5, DOUBLE))
        * ((span.high - span.low) / float(count)).unsqueeze(1)
        + span.low.unsqueeze(1)
        for span, count in zip((rows, columns), adapter.size, strict=True)
    )
    bare = paper.shown(y, x)
    return _ink(where(is_shown, cells, bare), bare, paper.noise, adapter.channels)


def _ink(planes: Value, paper: Value, noise: Value, channels: int) -> Value:
    """Return ink from -1 (paper) to 1 (full ink), `(items, channels, rows, columns)`."""
    apart = abs(planes - paper)
    distance = apart.max(1)
    strongest = distance.max(1, 2, 3).squeeze(2, 3)
    has_ink = ~(strongest.cast(DOUBLE) < _least(noise))
    full = _typical(distance.reshape(0, -1), strongest).cast(DOUBLE)
    floor = (noise * 3.0).minimum(full / 3.0)
    factor = (1.0 / where(has_ink, full - floor, 1.0)).cast(np.float32).unsqueeze(2, 3)
    of = distance if channels == 1 else apart
    ink = ((of - floor.cast(np.float32).unsqueeze(2, 3)) * factor).clip(0, 1)
    return where(has_ink.unsqueeze(2, 3), ink, 0.0) * 2.0 - 1.0
