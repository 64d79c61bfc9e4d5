"""Resampling: a window of a picture, brought to a number of rows and columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.pixels import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

_BILINEAR = 2  # PIL.Image.Resampling.BILINEAR, without loading Pillow


class Window(NamedTuple):
    """A rectangle over a picture, in pixels from its upper left corner; it may reach beyond it."""

    top: float
    left: float
    bottom: float
    right: float

    @property
    def height(self) -> float:
        """Rows that the window spans."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Columns that the window spans."""
        return self.right - self.left

    def grown(self, aspect: float) -> Window:
        """Return the smallest window of `aspect` (width / height) around this one's centre."""
        height = max(self.height, self.width / aspect)
        return self.centre(height, height * aspect)

    def shrunk(self, aspect: float) -> Window:
        """Return the largest window of `aspect` inside this one, centred, but no less than a pixel.

        Pillow takes positions as float32, in which the edges of anything thinner can coincide.
        """
        height = min(self.height, self.width / aspect)
        return self.centre(max(height, 1), max(height * aspect, 1))

    def centre(self, height: float, width: float) -> Window:
        """Return a window of another size around the same centre."""
        top = self.top + (self.height - height) / 2
        left = self.left + (self.width - width) / 2
        return Window(top, left, top + height, left + width)

    def divide(self, step: int) -> Window:
        """Return the same window in a picture that is reduced by `step`."""
        return Window(self.top / step, self.left / step, self.bottom / step, self.right / step)


def whole(pixels: Pixels) -> Window:
    """Return the window that shows all of a picture."""
    return Window(0, 0, pixels.shape[0], pixels.shape[1])


def resample(
    pixels: Pixels | Image,
    window: Window,
    *,
    size: tuple[int, int],
    fill: NDArray[np.float32] | None = None,
    bounds: Window | None = None,
) -> NDArray[np.float32]:
    """Return what a window shows, float32 `(channels, rows, columns)`, still from 0 to 255.

    If pixels become fewer, each cell is their average under a triangle that overlaps the
    neighbouring cells (Pillow's bilinear filter, which widens as pictures shrink); if they become
    more, cells are interpolated. Neither overshoots: no cell leaves the range of the pixels.

    Args:
        pixels: `(rows, columns, channels)`, or a Pillow image in mode L or RGB.
        window: what to show.
        size: rows and columns of the result.
        fill: what is shown where the window reaches beyond the picture, `(channels, rows, columns)`
            or a size of 1 in place of any of them; not needed if it does not.
        bounds: the part of the pixels that is the picture; None: all of them.
    """
    height, width = pixels.shape[:2] if isinstance(pixels, np.ndarray) else pixels.size[::-1]
    edges = bounds or Window(0, 0, height, width)
    rows = _overlap(window.top, window.bottom, (edges.top, edges.bottom), size[0])
    columns = _overlap(window.left, window.right, (edges.left, edges.right), size[1])
    if rows.covers(height, size[0]) and columns.covers(width, size[1]):
        return _planes(pixels)
    cells = (columns.cells[1] - columns.cells[0], rows.cells[1] - rows.cells[0])
    # Only what lies under the window is turned into floats: pictures can be large.
    top, left = math.floor(rows.start), math.floor(columns.start)
    part = (left, top, math.ceil(columns.stop), math.ceil(rows.stop))
    box = (columns.start - left, rows.start - top, columns.stop - left, rows.stop - top)
    resized = _resize(pixels, None if part == (0, 0, width, height) else part, box, cells)
    if cells == (size[1], size[0]):
        return resized
    pictures = np.empty((len(resized), *size), np.float32)
    pictures[:] = 0 if fill is None else fill
    pictures[:, slice(*rows.cells), slice(*columns.cells)] = resized
    return pictures


def resize_whole(image: Image, size: tuple[int, int]) -> Image:
    """Return all of a Pillow image in mode L or RGB, as `resample` shows it, still in bytes."""
    cells = size[1], size[0]
    return image if image.size == cells else image.resize(cells, _BILINEAR)


def _planes(pixels: Pixels | Image) -> NDArray[np.float32]:
    """Return pixels as floats, `(channels, rows, columns)`."""
    if isinstance(pixels, np.ndarray):
        values = pixels
    else:  # faster than `np.asarray(pixels)`
        columns, rows = pixels.size
        values = np.frombuffer(pixels.tobytes(), np.uint8).reshape(rows, columns, -1)
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)


def _resize(
    pixels: Pixels | Image,
    part: tuple[int, int, int, int] | None,
    box: tuple[float, float, float, float],
    cells: tuple[int, int],
) -> NDArray[np.float32]:
    """Return a box, resized to columns and rows of cells, `(channels, rows, columns)`.

    `part` (left, top, right, bottom) contains the box. Of a Pillow image all channels are
    resized at once, and rounded to bytes; each channel of an array as floats.
    """
    if not isinstance(pixels, np.ndarray):
        pixels = pixels if part is None else pixels.crop(part)
        return _planes(pixels.resize(cells, _BILINEAR, box=box))
    from PIL import Image

    if part is not None:
        pixels = pixels[part[1] : part[3], part[0] : part[2]]
    planes = np.empty((pixels.shape[2], cells[1], cells[0]), np.float32)
    for channel, plane in enumerate(planes):
        values = Image.fromarray(np.ascontiguousarray(pixels[:, :, channel], dtype=np.float32))
        plane[:] = np.asarray(values.resize(cells, _BILINEAR, box=box))
    return planes


def block_means(pixels: Pixels, step: int) -> Pixels:
    """Return averages of blocks of `step` by `step` pixels, `(rows, columns, channels)`.

    uint8 stays uint8, rounded; blocks at the right and at the bottom may be narrower.
    """
    if step == 1:
        return pixels
    from PIL import Image

    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).reduce(step))
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(pixels[:, :, channel])).reduce(step))
        for channel in range(pixels.shape[2])
    ]
    return np.stack(planes, axis=-1)


class _Overlap(NamedTuple):
    """Where a window and a picture meet, along one direction."""

    start: float
    stop: float
    cells: tuple[int, int]

    def covers(self, length: int, cells: int) -> bool:
        return (self.start, self.stop, self.cells) == (0, length, (0, cells)) and length == cells


def _overlap(low: float, high: float, edges: tuple[float, float], cells: int) -> _Overlap:
    start, stop = max(low, edges[0]), min(high, edges[1])
    scale = cells / (high - low)
    first, last = round((start - low) * scale), round((stop - low) * scale)
    # What is too thin for a whole cell still gets one.
    first = min(first, cells - 1)
    return _Overlap(start, stop, (first, max(last, first + 1)))
