"""The image adapter in ONNX: pixels of any size as grids."""

from __future__ import annotations

import numpy as np

from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.ink import LOOK
from gridcnn.adapters.picture import BLOCKS
from gridcnn.adapters.pixels import FULL
from gridcnn.export.onnx.adapters import Feed
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.ink import ink_cells
from gridcnn.export.onnx.paper import border_of, in_order
from gridcnn.export.onnx.resampling import DOUBLE, Span, block_means, resize, weights_of
from gridcnn.export.onnx.values import Value, concat, constant, where

ABOUT = (
    "pixels (items, rows, columns, channels), all pictures of a batch of one size: grey, grey and "
    "opacity, red green blue, or these and opacity; "
)
FRAMES = (
    "the file does not ignore page edges and ruled lines along the sides of pictures, as gridcnn "
    "does; crop them first"
)
_RANGES = {"uint8": "0 to 255", "float32": "0 to 1"}


def add_pictures(
    graph: Graph, adapter: ImageAdapter, *, pixels: str = "uint8", without: str = ""
) -> Feed:
    """Add the input and all that the image adapter does with it.

    Args:
        graph: the graph in the making.
        adapter: of the model.
        pixels: the type of the pixels, `uint8` or `float32`.
        without: `frames`, if what frames a picture stays.

    Raises:
        UserError: it has settings that cannot be expressed.
    """
    kind = np.dtype(pixels)
    given = graph.input("pixels", kind, ("items", "rows", "columns", "channels"))
    values = Value(graph, given, kind)
    colours, has_opacity = _opaque(adapter, values)
    planes = colours.transpose(0, 3, 1, 2)
    # Bytes that stay on their scale are resized by Pillow as bytes, all else as floats.
    natural = adapter.range in (None, (0, 255))
    is_bytes = ~has_opacity if kind == np.uint8 and natural else False
    notes: list[str] = []
    if "ink" in (adapter.fit, adapter.polarity):
        height, width = planes.size(2).cast(DOUBLE), planes.size(3).cast(DOUBLE)
        usual = window_without_ink(adapter, height, width)
        whole_numbers = kind == np.uint8 and natural
        frames = without != "frames"
        cells = ink_cells(adapter, planes, usual, is_bytes=whole_numbers, frames=frames)
        notes = [] if frames else [FRAMES]
    else:
        cells = _plain(adapter, planes, is_bytes, reduces=kind == np.uint8)
    limits = adapter.range
    span = _RANGES[pixels] if limits is None else f"{limits[0]:g} to {limits[1]:g}"
    if adapter.polarity != "ink":
        cells = _scale(adapter, cells)
    return Feed(cells.name, f"{ABOUT}{pixels}, {span}", "pixels", notes=notes)


def _opaque(adapter: ImageAdapter, values: Value) -> tuple[Value, Value]:
    """Return red, green and blue, 0 to 255, float32 `(items, rows, columns, 3)`.

    And whether there was opacity, bool `(1,)`.
    """
    graph, kind = values.graph, values.dtype
    channels = values.size(3)
    number = channels - channels.apply("Mod", constant(graph, [2], np.int64)).equals(0).cast(
        np.int64
    )
    has_opacity = channels > number
    numbers = values.cast(np.float32)
    colours = _to_scale(adapter, numbers.part(0, number, 3), kind)
    # Grey is three equal colours.
    chosen = constant(graph, [0, 1, 2], np.int64).minimum(number - 1)
    colours = colours.take(chosen, axis=3)
    # The opacity of whole numbers fills their type, whatever the colours do.
    last = numbers.part(number, channels, 3)
    own = last * (1.0 if kind == np.uint8 else FULL / 1.0)
    if kind != np.uint8:
        own = _to_scale(adapter, last, kind)
    full = (numbers.part(0, 1, 3) * 0.0) + FULL
    weight = concat([own, full], 3).part(0, 1, 3) * (1 / FULL)
    weight = where(has_opacity, weight, 1.0)
    behind = _background(adapter, colours, weight)
    mixed = behind + (colours - behind) * weight
    if kind == np.uint8 and adapter.range in (None, (0, 255)):
        mixed = mixed.round()
    return mixed, has_opacity


def _to_scale(adapter: ImageAdapter, numbers: Value, kind: np.dtype[np.generic]) -> Value:
    """Return numbers on the scale of 0 to 255."""
    natural = (0.0, FULL) if kind == np.uint8 else (0.0, 1.0)
    low, high = adapter.range or natural
    if (low, high) == (0.0, FULL):
        return numbers.clip(0, FULL)
    return ((numbers - low) * (FULL / (high - low))).clip(0, FULL)


def _background(adapter: ImageAdapter, colours: Value, weight: Value) -> Value:
    """Return what shows through where pictures are not opaque, `(items | 1, 1, 1, 3 | 1)`."""
    if adapter.background != "auto":
        from PIL import ImageColor

        colour = ImageColor.getrgb(adapter.background)[:3]
        return constant(colours.graph, np.array(colour).reshape(1, 1, 1, 3), np.float32)
    # Means instead of sums, which could be too large for exact float32.
    opaque = weight.mean(1, 2)
    bright = (grey_of(colours, 3) * weight).mean(1, 2)
    is_dark = (bright < opaque * (FULL / 2)) | opaque.equals(0)
    return where(is_dark, constant(colours.graph, FULL, np.float32), 0.0)


def grey_of(colours: Value, axis: int) -> Value:
    """Return brightness (luma, ITU-R BT.601) of red, green and blue along an axis."""
    sizes = [1, 1, 1, 1]
    sizes[axis] = 3
    weighed = colours * np.array([299.0, 587.0, 114.0]).reshape(sizes)
    return weighed.sum(axis) / 1000.0


def _plain(adapter: ImageAdapter, planes: Value, is_bytes: Value | bool, *, reduces: bool) -> Value:
    """Return pixels as cells from 0 to 255, without a search for ink."""
    height, width = planes.size(2).cast(DOUBLE), planes.size(3).cast(DOUBLE)
    if reduces:
        planes, height, width = _reduce(adapter, planes, height, width, is_bytes)
    rows, columns = window_without_ink(adapter, height, width)
    down = weights_of(rows, planes.size(2), adapter.size[0], end=height)
    across = weights_of(columns, planes.size(3), adapter.size[1], across=True, end=width)
    cells = resize(planes, down, across, is_bytes=is_bytes)
    if adapter.fit != "pad":
        return cells
    is_shown = down.is_shown.unsqueeze(1, 3) & across.is_shown.unsqueeze(1, 2)
    return where(is_shown, cells, _border_colour(planes, is_bytes))


def _reduce(
    adapter: ImageAdapter, planes: Value, height: Value, width: Value, is_bytes: Value | bool
) -> tuple[Value, Value, Value]:
    """Return pictures with blocks averaged, as Python does if a cell has very many pixels.

    And their height and width in blocks, double `(1,)`, of which the last may be narrower.
    """
    down, across = height / float(adapter.size[0]), width / float(adapter.size[1])
    cell = down.maximum(across) if adapter.fit == "pad" else down.minimum(across)
    step = (cell / float(BLOCKS)).floor().maximum(1)
    small, *_ = block_means(planes, step, is_bytes=is_bytes)
    return small, height / step, width / step


def window_without_ink(adapter: ImageAdapter, height: Value, width: Value) -> tuple[Span, Span]:
    """Return the part to show of pictures of a size, double `(1,)` each, if there is no ink."""
    rows, columns = adapter.size
    aspect = columns / rows
    if adapter.fit == "stretch":
        return Span(height * 0.0, height), Span(width * 0.0, width)
    if adapter.fit == "crop":
        high = height.minimum(width / aspect)
        high, wide = high.maximum(1), (high * aspect).maximum(1)
    else:
        high = height.maximum(width / aspect)
        wide = high * aspect
    top, left = (height - high) / 2.0, (width - wide) / 2.0
    return Span(top, top + high), Span(left, left + wide)


def _border_colour(planes: Value, is_bytes: Value | bool) -> Value:
    """Return the median colour along the border, `(items, channels, 1, 1)`."""
    longer = planes.size(2).maximum(planes.size(3)).cast(DOUBLE)
    step = (longer / float(LOOK)).ceil()
    small, rows, columns = block_means(planes, step, is_bytes=is_bytes)
    border = border_of(small, rows, columns)
    return in_order(border, border.size(2), 0.5).unsqueeze(3)


def _scale(adapter: ImageAdapter, planes: Value) -> Value:
    """Return values of 0 to 255 as cells of -1 to 1."""
    if adapter.channels == 1:
        planes = grey_of(planes, 1)
    cells = (planes / (FULL / 2) - 1.0).clip(-1, 1)
    return -cells if adapter.polarity == "invert" else cells
