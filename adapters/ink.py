"""Ink: what differs from the background of a picture, whatever the colours of both."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.pixels import FULL, Pixels
from gridcnn.adapters.resampling import Window, reduced, whole

if TYPE_CHECKING:
    from PIL.Image import Image

# All levels are distances of colours, from 0 (the same) to 255 (black and white).
_FAINTEST = 8.0  # anything fainter is paper, not ink
_NOISIEST = 40.0  # a background that varies by more is a scene; what stands out in it still counts
_LOOK = 128  # pixels along the longer side of the reduced picture in which ink is looked for
_GLANCE = 24  # the same, for the picture in which the fall of light is looked for
_EVEN = 2.0  # light that changes by less along the border is even
_NEAR = (64.0, 32.0, 16.0)  # distances within which pixels are paper, as its surface gets better
_RIDGE = 1e-6  # next to sums over hundreds of pixels
_ENOUGH = 64  # reduced pixels of paper from which a surface can be told


@dataclass(frozen=True)
class Background:
    """The paper around what is drawn, as colours of 0 to 255.

    Attributes:
        colour: the typical colour along the border, float32 `(channels,)`.
        slopes: how colours change over the picture where light falls on it unevenly: float64
            `(6, channels)`, factors of 1, x, y, x * x, x * y and y * y, where x and y go from -1
            to 1; or None where they do not.
        extent: rows and columns of the picture.
        noise: how far colours typically stray without being ink.
    """

    colour: NDArray[np.float32]
    slopes: NDArray[np.float64] | None
    extent: tuple[int, int]
    noise: float

    def seen_through(self, window: Window, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return the colours of the bare paper, float32 `(channels, rows, columns)` or 1 for each.

        Args:
            window: which part is shown; it may reach beyond the picture.
            size: rows and columns of cells in which it is shown.
        """
        if self.slopes is None:
            return self.colour[:, None, None]
        height, width = self.extent
        y = _centres(window.top, window.bottom, size[0]) * (2 / height) - 1
        x = _centres(window.left, window.right, size[1]) * (2 / width) - 1
        return np.clip(_surface(self.slopes, x, y), 0, FULL).astype(np.float32)


def _centres(low: float, high: float, cells: int) -> NDArray[np.float64]:
    return (np.arange(cells, dtype=np.float64) + 0.5) * ((high - low) / cells) + low


def _surface(
    slopes: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a quadratic surface at every place, `(channels, rows, columns)`."""
    base, across, down, across2, both, down2 = slopes[:, :, None]
    surface: NDArray[np.float64] = (both * y)[:, :, None] * x
    surface += (base + down * y + down2 * y**2)[:, :, None]
    surface += (across * x + across2 * x**2)[:, None, :]
    return surface


def background_of(pixels: Pixels) -> Background:
    """Return the background: the median colour along the border, and how light falls on it.

    Args:
        pixels: `(rows, columns, channels)`, 0 to 255.
    """
    extent = (pixels.shape[0], pixels.shape[1])
    small = reduced(pixels, math.ceil(max(extent) / _LOOK))
    border = _border(small)
    middle = len(border) // 2
    colour = np.partition(border, middle, axis=0)[middle]
    noise, stray = _deviation(border - colour)
    plain = Background(colour, None, extent, noise)
    # Where most of the border is of one colour, what differs there is ink.
    if stray < 1 or not _is_uneven(border, colour, noise, small.shape):
        return plain
    slopes = _slopes(reduced(pixels, math.ceil(max(extent) / _GLANCE)), colour)
    lit = Background(colour, slopes, extent, noise)
    paper = lit.seen_through(whole(pixels), (small.shape[0], small.shape[1]))
    noise, stray_when_lit = _deviation(border - _border(paper.transpose(1, 2, 0)))
    # A drawing that runs along the border misleads the surface.
    return plain if stray_when_lit > stray else Background(colour, slopes, extent, noise)


def border_colour(picture: Pixels | Image) -> NDArray[np.float32]:
    """Return the typical colour along the border, float32 `(channels,)`, of 0 to 255.

    It is that of `background_of`; a Pillow image is in mode L or RGB.
    """
    if isinstance(picture, np.ndarray):
        small = reduced(picture, math.ceil(max(picture.shape[:2]) / _LOOK))
    else:
        step = math.ceil(max(picture.size) / _LOOK)
        small = np.asarray(picture.reduce(step) if step > 1 else picture)
    sides = np.concatenate((small[0], small[-1], small[1:-1, 0], small[1:-1, -1]))
    border = sides.reshape(len(sides), -1)
    # Bytes are put in order faster than floats, and in the same order.
    middle = len(border) // 2
    colour: NDArray[np.float32] = np.partition(border, middle, axis=0)[middle].astype(np.float32)
    return colour


def _is_uneven(
    border: NDArray[np.float32], colour: NDArray[np.float32], noise: float, shape: tuple[int, ...]
) -> bool:
    """Return whether light falls unevenly: stretches of the border are off by more than chance."""
    if shape[0] < 5 or shape[1] < 5:
        return False
    starts, counts = _stretches(shape[0], shape[1])
    means = np.add.reduceat(border, starts, axis=0) / counts
    # A normal distribution's typical deviation is 2/3 of its standard deviation, and one mean in
    # thousands is off by 3.5 standard errors.
    chance = 3.5 * 1.5 * noise / math.sqrt(float(counts.min()))
    # Light makes a whole side differ, or several corners; ink makes one or two stretches.
    off = np.sort(np.abs(means - colour).max(axis=1))
    return float(off[-3]) > max(_EVEN, chance)


@functools.lru_cache(maxsize=64)
def _stretches(height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where three stretches of each side begin in `_border`, and their lengths.

    Three, since a vignette makes the corners differ from what lies between them.
    """
    sides = (width, width, height - 2, height - 2)
    starts = [
        sum(sides[:side]) + length * third // 3
        for side, length in enumerate(sides)
        for third in range(3)
    ]
    places = np.array(starts, np.int64)
    return places, np.diff(places, append=sum(sides))[:, None]


def _deviation(differences: NDArray[np.float32]) -> tuple[float, float]:
    """Return the median and the upper quartile of distances."""
    distance = np.abs(differences).max(axis=1)
    places = len(distance) // 2, len(distance) * 3 // 4
    ordered = np.partition(distance, places)
    return float(ordered[places[0]]), float(ordered[places[1]])


def _border(pixels: Pixels) -> NDArray[np.float32]:
    """Return the outermost pixels, float32 `(pixels, channels)`."""
    channels = pixels.shape[2]
    sides = (pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1])
    return np.concatenate([side.reshape(-1, channels) for side in sides]).astype(np.float32)


def _slopes(pixels: Pixels, colour: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the quadratic surface of the paper, `(6, channels)`: least squares without the ink."""
    terms = _terms(pixels.shape[0], pixels.shape[1])
    values = pixels.reshape(-1, pixels.shape[2]).astype(np.float64)
    slopes = np.zeros((6, pixels.shape[2]))
    slopes[0] = colour
    # What is near to the surface found so far is paper; the ink drops out as the surface improves.
    for near in _NEAR:
        chosen = np.abs(values - terms @ slopes).max(axis=1) < near
        if np.count_nonzero(chosen) < _ENOUGH:
            break
        paper = terms[chosen]
        # Paper that shows along a single line leaves some factors open; the ridge makes them small.
        normal = paper.T @ paper + _RIDGE * np.eye(6)
        slopes = np.linalg.solve(normal, paper.T @ values[chosen])
    return slopes


@functools.lru_cache(maxsize=64)
def _terms(height: int, width: int) -> NDArray[np.float64]:
    """Return 1, x, y, x * x, x * y and y * y for every pixel, `(height * width, 6)`."""
    x = np.tile(_centres(-1, 1, width), height)
    y = np.repeat(_centres(-1, 1, height), width)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def inked(
    planes: NDArray[np.float32],
    paper: NDArray[np.float32],
    *,
    noise: float,
    channels: int,
) -> NDArray[np.float32]:
    """Return ink from 0 (background) to 1 (full ink), float32 `(channels, rows, columns)`.

    Full is the typical strength of the strokes, so that a crossing of two thin lines does not make
    both look faint. With three channels, each tells how far it is from the background's.

    Args:
        planes: colours, `(channels, rows, columns)`, 0 to 255.
        paper: the colours of the bare paper there, in the same form.
        noise: as `Background` tells it.
        channels: 1 or 3.
    """
    apart = np.abs(planes - paper)
    distance = _largest(apart)
    strongest = float(distance.max())
    if strongest < _least(noise):
        return np.zeros((channels, *distance.shape), np.float32)
    full = _typical(distance, strongest)
    floor = min(3 * noise, full / 3)
    if channels == 1:
        apart = distance[None]
    elif len(apart) == 1:
        apart = np.repeat(apart, channels, axis=0)
    ink: NDArray[np.float32] = (apart - np.float32(floor)) * np.float32(1 / (full - floor))
    return np.clip(ink, 0, 1, out=ink)


def _largest(apart: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the difference in the channel where it is largest, `(rows, columns)`.

    A yellow pen on white paper is then as strong as a black one, though both are nearly as bright.
    """
    distance: NDArray[np.float32] = apart[0]
    for other in apart[1:]:
        distance = np.maximum(distance, other)
    return distance


def window_of_ink(pixels: Pixels, background: Background, *, margin: float) -> Window | None:
    """Return the window around all ink, or None where there is none.

    Speckles do not widen it: the picture is smoothed first, ink counts from half of the typical
    strength of the strokes, and rows or columns with hardly any ink are left out.

    Args:
        pixels: `(rows, columns, channels)`, 0 to 255.
        background: of this picture.
        margin: what is added on each side, as a part of the longer side of the ink.
    """
    window = (0, 0, pixels.shape[0], pixels.shape[1])
    # A small drawing on a large sheet is looked at again from nearer by, for an exact box.
    for _ in range(3):
        top, left, bottom, right = window
        step = math.ceil(max(bottom - top, right - left) / _LOOK)
        small = reduced(pixels[top:bottom, left:right], step)
        rows, columns = small.shape[:2]
        seen = Window(top, left, top + rows * step, left + columns * step)
        paper = background.seen_through(seen, (rows, columns))
        found = _box(small.transpose(2, 0, 1), paper, noise=background.noise)
        if found is None:
            return None
        # One reduced pixel more on each side: strokes begin somewhere within it.
        slack = 1 if step > 1 else 0
        window = (
            max(top + (found[0] - slack) * step, top),
            max(left + (found[1] - slack) * step, left),
            min(top + (found[2] + slack) * step, bottom),
            min(left + (found[3] + slack) * step, right),
        )
        if step == 1 or window[2] - window[0] > (bottom - top) / 2:
            break
    top, left, bottom, right = window
    edge = margin * max(bottom - top, right - left)
    return Window(top - edge, left - edge, bottom + edge, right + edge)


def _box(
    planes: Pixels, paper: NDArray[np.float32], *, noise: float
) -> tuple[int, int, int, int] | None:
    """Return first row, first column, row after the last and column after the last of the ink."""
    smooth = _smoothed(_largest(np.abs(planes.astype(np.float32) - paper)))
    strongest = float(smooth.max())
    if strongest < _least(noise):
        return None
    mask = smooth > _typical(smooth, strongest) / 2
    top, bottom = _extent(mask.sum(axis=1))
    left, right = _extent(mask.sum(axis=0))
    return top, left, bottom, right


def _least(noise: float) -> float:
    """Return the distance from the background at which ink begins to be believed."""
    return max(_FAINTEST, min(4 * noise, _NOISIEST))


def _typical(distance: NDArray[np.float32], strongest: float) -> float:
    """Return the typical strength of strokes: the median of the stronger cells."""
    strong = distance[distance > strongest / 3]
    place = len(strong) // 2
    return float(np.partition(strong, place)[place])


def _extent(counts: NDArray[np.int64]) -> tuple[int, int]:
    """Return the first line with a noticeable count, and the line after the last."""
    enough = np.flatnonzero(counts > counts.max() / 16)
    return int(enough[0]), int(enough[-1]) + 1


def _smoothed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each cell and its neighbours, 3 x 3 where there are so many."""
    if min(values.shape) < 3:
        return values
    # Beyond the border its own values count again. Written out, since np.pad is slow.
    down = values.copy()
    down[1:] += values[:-1]
    down[:-1] += values[1:]
    down[0] += values[0]
    down[-1] += values[-1]
    mean = down.copy()
    mean[:, 1:] += down[:, :-1]
    mean[:, :-1] += down[:, 1:]
    mean[:, 0] += down[:, 0]
    mean[:, -1] += down[:, -1]
    mean *= np.float32(1 / 9)
    return mean
