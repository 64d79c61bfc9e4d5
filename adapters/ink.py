"""Ink: the pixels that differ from the background of a picture, whatever the colours of both."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.frame import Frame, frame_of
from gridcnn.adapters.light import centres, slopes_of, surface
from gridcnn.adapters.pixels import FULL, Pixels
from gridcnn.adapters.resampling import Window, block_means, whole

if TYPE_CHECKING:
    from PIL.Image import Image

# All levels are distances of colours, from 0 (the same) to 255 (black and white).
FAINTEST = 8.0  # anything fainter is paper, not ink
NOISIEST = 40.0  # a background that varies by more is a scene; what stands out in it still counts
LOOK = 128  # pixels along the longer side of the reduced picture in which ink is looked for
GLANCE = 24  # the same, for the picture in which the fall of light is looked for
EVEN = 2.0  # light that changes by less along the border is even


@dataclass(frozen=True)
class Background:
    """The paper around what is drawn, as colours of 0 to 255.

    Attributes:
        colour: the typical colour along the border, float32 `(channels,)`.
        slopes: how colours change over the picture if it is lit unevenly: float64
            `(6, channels)`, factors of 1, x, y, x * x, x * y and y * y, where x and y go from -1
            to 1; or None if they do not.
        inside: the part of the picture inside its frame; mostly all of it.
        noise: how far the colours of the paper typically stray.
        frame: what frames the picture, or None if nothing does.
        step: pixels of the picture along each pixel of the frame's depths.
    """

    colour: NDArray[np.float32]
    slopes: NDArray[np.float64] | None
    inside: Window
    noise: float
    frame: Frame | None = None
    step: int = 1

    def paper_in(self, window: Window, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return the colours of the bare paper, float32 `(channels, rows, columns)` or 1 for each.

        Args:
            window: which part is shown; it may reach beyond the picture.
            size: rows and columns of cells in which it is shown.
        """
        if self.slopes is None:
            return self.colour[:, None, None]
        inside = self.inside
        y = (centres(window.top, window.bottom, size[0]) - inside.top) * (2 / inside.height) - 1
        x = (centres(window.left, window.right, size[1]) - inside.left) * (2 / inside.width) - 1
        return np.clip(surface(self.slopes, x, y), 0, FULL).astype(np.float32)


def background_of(pixels: Pixels) -> Background:
    """Return the background: the median colour along the border, and how light falls on it.

    The border is that of what lies within a frame, if there is one.

    Args:
        pixels: `(rows, columns, channels)`, 0 to 255.
    """
    step = math.ceil(max(pixels.shape[:2]) / LOOK)
    small = block_means(pixels, step)
    frame = frame_of(small)
    inside = whole(pixels)
    if frame is not None:
        top, left, bottom, right = frame.inside
        small = small[top:bottom, left:right]
        bottom, right = min(bottom * step, pixels.shape[0]), min(right * step, pixels.shape[1])
        pixels = pixels[top * step : bottom, left * step : right]
        inside = Window(top * step, left * step, bottom, right)
    border = _border(small)
    middle = len(border) // 2
    colour = np.partition(border, middle, axis=0)[middle]
    noise, stray = _deviation(border - colour)
    plain = Background(colour, None, inside, noise, frame, step)
    # Where most of the border is of one colour, what differs there is ink.
    if stray < 1 or not _is_uneven(border, colour, noise, small.shape):
        return plain
    slopes = slopes_of(block_means(pixels, math.ceil(max(pixels.shape[:2]) / GLANCE)), colour)
    lit = Background(colour, slopes, inside, noise, frame, step)
    paper = lit.paper_in(inside, (small.shape[0], small.shape[1]))
    noise, stray_when_lit = _deviation(border - _border(paper.transpose(1, 2, 0)))
    # A drawing that runs along the border misleads the surface.
    return plain if stray_when_lit > stray else replace(lit, noise=noise)


def remove_frame(pixels: Pixels, background: Background) -> Pixels:
    """Return a picture with bare paper in place of its frame.

    Args:
        pixels: `(rows, columns, channels)`, 0 to 255; left as they are.
        background: of this picture.
    """
    frame, step = background.frame, background.step
    if frame is None:
        return pixels
    rows, columns = pixels.shape[:2]
    bare = pixels.copy()
    top, left, bottom, right = (each * step for each in frame.clear)
    bottom, right = min(bottom, rows), min(right, columns)
    strips = (
        (0, top, 0, columns),
        (bottom, rows, 0, columns),
        (top, bottom, 0, left),
        (top, bottom, right, columns),
    )
    # Only the strips along the sides are painted: pictures can be large.
    for first, last, start, stop in strips:
        if first >= last or start >= stop:
            continue
        covered = frame.covered[first // step : -(-last // step), start // step : -(-stop // step)]
        covered = covered.repeat(step, axis=0).repeat(step, axis=1)
        covered = covered[: last - first, : stop - start, None]
        size = (last - first, stop - start)
        paper = background.paper_in(Window(first, start, last, stop), size).transpose(1, 2, 0)
        if pixels.dtype == np.uint8:
            paper = np.rint(paper)
        np.copyto(bare[first:last, start:stop], paper.astype(pixels.dtype), where=covered)
    return bare


def border_colour(picture: Pixels | Image) -> NDArray[np.float32]:
    """Return the typical colour along the border, float32 `(channels,)`, of 0 to 255.

    It is that of `background_of`; a Pillow image is in mode L or RGB.
    """
    if isinstance(picture, np.ndarray):
        small = block_means(picture, math.ceil(max(picture.shape[:2]) / LOOK))
    else:
        step = math.ceil(max(picture.size) / LOOK)
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
    return float(off[-3]) > max(EVEN, chance)


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


def ink_of(
    planes: NDArray[np.float32],
    paper: NDArray[np.float32],
    *,
    noise: float,
    channels: int,
) -> NDArray[np.float32]:
    """Return ink from 0 (background) to 1 (full ink), float32 `(channels, rows, columns)`.

    Full is the typical strength of the strokes, so that a crossing of two thin lines does not make
    both look faint. With three channels, each is the distance from the background's.

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
    """Return the window around all ink, or None if there is none.

    Speckles do not widen it: the picture is smoothed first, ink counts from half the typical
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
        step = math.ceil(max(bottom - top, right - left) / LOOK)
        small = block_means(pixels[top:bottom, left:right], step)
        rows, columns = small.shape[:2]
        seen = Window(top, left, top + rows * step, left + columns * step)
        paper = background.paper_in(seen, (rows, columns))
        box = _box(small.transpose(2, 0, 1), paper, noise=background.noise)
        if box is None:
            return None
        # One reduced pixel more on each side: strokes begin somewhere within it.
        slack = 1 if step > 1 else 0
        window = (
            max(top + (box[0] - slack) * step, top),
            max(left + (box[1] - slack) * step, left),
            min(top + (box[2] + slack) * step, bottom),
            min(left + (box[3] + slack) * step, right),
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
    smooth = _smooth(_largest(np.abs(planes.astype(np.float32) - paper)))
    strongest = float(smooth.max())
    if strongest < _least(noise):
        return None
    mask = smooth > _typical(smooth, strongest) / 2
    top, bottom = _extent(mask.sum(axis=1))
    left, right = _extent(mask.sum(axis=0))
    return top, left, bottom, right


def _least(noise: float) -> float:
    """Return the distance from the background at which ink begins to be believed."""
    return max(FAINTEST, min(4 * noise, NOISIEST))


def _typical(distance: NDArray[np.float32], strongest: float) -> float:
    """Return the typical strength of strokes: the median of the stronger cells."""
    strong = distance[distance > strongest / 3]
    place = len(strong) // 2
    return float(np.partition(strong, place)[place])


def _extent(counts: NDArray[np.int64]) -> tuple[int, int]:
    """Return the first line with a noticeable count, and the line after the last."""
    enough = np.flatnonzero(counts > counts.max() / 16)
    return int(enough[0]), int(enough[-1]) + 1


def _smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
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
