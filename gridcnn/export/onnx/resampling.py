"""Resampling in ONNX: what `gridcnn.adapters.resampling` does with Pillow, as products of matrices.

Each row of such a matrix has the weights of all pixels for one cell. They are computed in the
graph, since pictures may have any size, in double precision, as Pillow does. Pixels of bytes are
rounded to bytes after each of two passes, and the weights to 22 binary digits. float32 holds the
sums of these products exactly only if the weights are taken in two parts of 11 digits:

    sum(weights * bytes) = sum(high * bytes) + sum(low * bytes)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gridcnn.export.onnx.values import Value, concat, constant, count_up, where

_DIGITS = 22  # binary digits of Pillow's weights for bytes
_HALF = 11
_ANY_ORDER = 13
DOUBLE = np.float64


class Span(NamedTuple):
    """A window along one direction: where it begins and ends, in pixels; double, `(items | 1,)`."""

    low: Value
    high: Value


class Weights(NamedTuple):
    """What each pixel counts for each cell, along one direction.

    Attributes:
        weights: double `(items | 1, cells, pixels)`, or both exchanged; those of a cell that is
            shown add up to 1.
        is_shown: for which cells the window lies over the picture, `(items | 1, cells)`.
        shrunk: how many more pixels than cells there are, double `(items | 1,)`.
    """

    weights: Value
    is_shown: Value
    shrunk: Value


def weights_of(
    window: Span, length: Value, cells: int, *, across: bool = False, end: Value | None = None
) -> Weights:
    """Return the weights of pixels in cells, by Pillow's bilinear filter.

    Args:
        window: what is shown; it may reach beyond the picture.
        length: the pixels of the picture along this direction, int64 `(1,)`.
        cells: how many cells show the window.
        end: where the picture ends, double `(1,)`, if that is within its last pixel.
        across: whether pixels are the rows of the weights, and cells the columns. Nothing is
            turned afterwards: ONNX Runtime 1.20 makes products of turned doubles that it cannot
            compute.
    """
    cell_axis, pixel_axis = (2, 1) if across else (1, 2)
    graph = length.graph
    end = length.cast(DOUBLE) if end is None else end
    start, stop = window.low.maximum(0), window.high.minimum(end)
    per_pixel = cells / (window.high - window.low)
    # What is too thin for a whole cell still gets one.
    first = ((start - window.low) * per_pixel).round().minimum(cells - 1)
    last = ((stop - window.low) * per_pixel).round().maximum(first + 1)
    # Pillow gets the pixels from `base` to `top` alone, and takes positions in them, and
    # their difference, as float32.
    base, top = start.floor(), stop.ceil()
    box_low, box_high = (start - base).cast(np.float32), (stop - base).cast(np.float32)
    scale = ((box_high - box_low).cast(DOUBLE) / (last - first)).unsqueeze(1)
    cell = constant(graph, np.arange(cells)[None], DOUBLE)
    centre = box_low.cast(DOUBLE).unsqueeze(1) + (cell - first.unsqueeze(1) + 0.5) * scale
    # Triangles are at least as wide as a pixel on each side.
    narrow = 1 / scale.maximum(1)
    places = count_up(length).cast(DOUBLE).unsqueeze(0, cell_axis)
    pixel = places - base.unsqueeze(1, 2)
    weights = 1 - abs((pixel - centre.unsqueeze(pixel_axis) + 0.5) * narrow.unsqueeze(2))
    is_inside = ~(pixel < 0) & (pixel < (top - base).unsqueeze(1, 2))
    weights = where(is_inside, weights.maximum(0), 0.0)
    is_shown = ~(cell < first.unsqueeze(1)) & (cell < last.unsqueeze(1))
    weights = weights / weights.sum(pixel_axis).maximum(1e-30)
    return Weights(weights, is_shown, (top - base) - (last - first))


def resize(planes: Value, rows: Weights, columns: Weights, *, is_bytes: Value | bool) -> Value:
    """Return pixels as cells, float32 `(items, channels, rows, columns)`.

    Cells that no pixel is shown in hold any number.

    Args:
        planes: float32 `(items, channels, rows, columns)`.
        rows: the weights of pixels in rows of cells.
        columns: the same for columns.
        is_bytes: whether numbers are whole, and are rounded as Pillow does with bytes; may depend
            on the input, bool `(1,)`.
    """
    across, down = columns.weights.unsqueeze(1), rows.weights.unsqueeze(1)
    if is_bytes is False:
        return down.cast(np.float32) @ (planes @ across.cast(np.float32))
    whole = _round(_round(planes, across, "right"), down, "left")
    if _vertical_may_be_first():
        other = _round(_round(planes, down, "left"), across, "right")
        far_more = rows.shrunk > (columns.shrunk * 2.0).maximum(0)
        whole = where(far_more.unsqueeze(1, 2, 3), other, whole)
    if is_bytes is True:
        return whole
    assert isinstance(is_bytes, Value)
    exact = down.cast(np.float32) @ (planes @ across.cast(np.float32))
    return where(is_bytes, whole, exact)


def resize_exactly(planes: Value, rows: Weights, columns: Weights) -> Value:
    """Return pixels as cells, as `resize` does, with sums in double precision as Pillow has them.

    Where ink begins is decided by thresholds, on which cells of a drawing can lie exactly.
    """
    across, down = columns.weights.unsqueeze(1), rows.weights.unsqueeze(1)
    first = (planes.cast(DOUBLE) @ across).cast(np.float32)
    return (down @ first.cast(DOUBLE)).cast(np.float32)


def _vertical_may_be_first() -> bool:
    """Return whether Pillow resizes a picture vertically first that loses far more rows.

    It does since version 13, and bytes are rounded in between.
    """
    import PIL

    return int(PIL.__version__.partition(".")[0]) >= _ANY_ORDER


def _round(planes: Value, weights: Value, side: str) -> Value:
    """Return the product of whole numbers with weights, as Pillow rounds both."""
    digits = (weights * 2.0**_DIGITS + 0.5).floor()
    high = (digits * 2.0**-_HALF).round()
    low = digits - high * 2.0**_HALF
    parts = [
        (high * 2.0 ** (_HALF - _DIGITS)).cast(np.float32),
        (low * 2.0**-_DIGITS).cast(np.float32),
    ]
    coarse, fine = (part @ planes if side == "left" else planes @ part for part in parts)
    # Each step is exact: no number needs more than 24 binary digits.
    raised = coarse + 0.5
    floor = raised.floor()
    return (floor + (raised - floor + fine).floor()).clip(0, 255)


def block_means(
    planes: Value, step: Value, *, is_bytes: Value | bool
) -> tuple[Value, Value, Value]:
    """Return means of blocks of pixels, and how many rows and columns of blocks there are.

    The means are `(items, channels, rows, columns)`; blocks at the end may be narrower.

    Args:
        planes: float32 `(items, channels, rows, columns)`.
        step: pixels along a block, double `(1,)`.
        is_bytes: whether means are rounded as Pillow does with bytes.
    """
    whole = step.cast(np.int64)
    (rows, below, down), (columns, beside, across) = (
        _blocks(planes.size(axis), step) for axis in (2, 3)
    )
    # Zeros fill up the last blocks.
    none = constant(planes.graph, [0, 0], np.int64)
    pads = concat([none, none, none, below, beside], 0)
    filled = planes.apply("Pad", pads, constant(planes.graph, 0.0, np.float32))
    # Four axes at a time, which all programs know.
    lines = filled.reshape(planes.size(0) * planes.size(1), rows, whole, -1).sum(2)
    sums = lines.reshape(-1, rows, columns, whole).sum(3, keep=False)
    sums = sums.reshape(planes.size(0), planes.size(1), rows, columns)
    counts = down.transpose(1, 0) * across
    return rounded_means(sums, counts, step, is_bytes=is_bytes), rows, columns


def rounded_means(sums: Value, counts: Value, step: Value, *, is_bytes: Value | bool) -> Value:
    """Return means of blocks, float32 as the sums; of bytes they are rounded as Pillow does it.

    Args:
        sums: of the pixels in each block.
        counts: how many these are, double.
        step: pixels along a block, double.
        is_bytes: whether means are rounded.
    """
    means = sums.cast(DOUBLE) / counts
    if is_bytes is False:
        return means.cast(np.float32)
    # Pillow multiplies by a rounded-down part of 2**24 instead of dividing.
    factor = (2.0**24 / counts).cast(np.float32).cast(DOUBLE).floor()
    rounded = ((sums.cast(DOUBLE) + (counts * 0.5).floor()) * factor * 2.0**-24).floor()
    # A single pixel stays what it is.
    whole = where(step > 1, rounded, means)
    if isinstance(is_bytes, Value):
        whole = where(is_bytes, whole, means)
    return whole.cast(np.float32)


def _blocks(length: Value, step: Value) -> tuple[Value, Value, Value]:
    """Return the number of blocks, and how many pixels the last one lacks, `(1,)` each.

    And how many pixels each has, double `(1, blocks)`.
    """
    size = length.cast(DOUBLE)
    count = (size / step).ceil()
    blocks = count.cast(np.int64)
    first = count_up(blocks).cast(DOUBLE) * step
    pixels = (size - first).minimum(step).unsqueeze(0)
    return blocks, (count * step - size).cast(np.int64), pixels
