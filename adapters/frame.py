"""Frames: page edges and ruled lines along the sides of a picture, which are not ink.

A band runs along a side from one border to another. It is found column by column, as the first run
of pixels that differ from the paper, and is told from a drawing by its straight inner edge:

|   #################
|   ####.##.#########   the band: its runs end near one line
|   .....X.....X.....
|   ......X.X........   a drawing
|   .......X.........

If a drawing crosses the band, a run continues below that line, and is cut off there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.light import centres, slopes_of, surface
from gridcnn.adapters.pixels import Pixels
from gridcnn.adapters.resampling import block_means

Mask = NDArray[np.bool_]
Depths = NDArray[np.int64]

SMALLEST = 24  # pixels along a side below which lines and strokes cannot be told apart
PLAIN = 12.0  # distances of colours (0 to 255) that are paper, whatever the noise
GLANCE = 24  # pixels along the longer side of the picture in which the fall of light is looked for
ROUNDS = 3  # bands beside each other along one side, at most
# Of a band, as parts of the length or the depth of its side:
DEEPEST = 0.3  # how far it may reach into the picture
SLOPE = 0.2  # how much it may be tilted: a rise of 1 in 5
LONG = 0.4  # over how much of the side it must be seen; a tilted one may leave the picture
COVERED = 0.75  # the same, of where it is not hidden and inside the picture
AT_ENDS = 0.5  # the same, near each of its ends
# Of its inner edge, as parts of the shorter side of the picture:
ROUGH = 0.05  # how far it may stray from its line
STRAY = 0.025  # how far half of it may
BOW = 0.03  # how far its middle may stand back behind its ends
SAMPLES = 16  # columns through pairs of which its line is laid
# Of what is left when all bands are gone:
CRUMBS = 0.08  # next to a band, in this part of the shorter side, loose remains are part of it
MANY = 0.03  # the part of all pixels that such remains may make up
TRIFLE = 0.002  # the part of all pixels from which something is drawn
BESIDE = 0.3  # the part of the pixels next to bands that may be drawn
SPECKS = 0.03  # the part of the pixels along one edge that noise may make up


@dataclass(frozen=True)
class Frame:
    """What frames a picture, in pixels of a reduced one.

    Attributes:
        covered: where the frame is, `(rows, columns)`.
        inside: the part that no band reaches: the first row, the first column, the row after the
            last, the column after the last.
        clear: the part in which nothing is covered, in the same form; remains of bands reach
            deeper than the bands.
    """

    covered: Mask
    inside: tuple[int, int, int, int]
    clear: tuple[int, int, int, int]


@dataclass(frozen=True)
class _Bands:
    """How deep bands reach, 0 if there is none: `(columns,)` and, left and right, `(rows,)`."""

    top: Depths
    bottom: Depths
    left: Depths
    right: Depths

    def number(self) -> int:
        return sum(bool(side.any()) for side in (self.top, self.bottom, self.left, self.right))

    def inside(self, slack: int = 0) -> tuple[int, int, int, int]:
        top, bottom, left, right = (
            int(side.max()) + slack if side.any() else 0
            for side in (self.top, self.bottom, self.left, self.right)
        )
        return top, left, len(self.left) - bottom, len(self.top) - right

    def cover(self) -> Mask:
        """Return where the frame is, `(rows, columns)`."""
        rows, columns = len(self.left), len(self.top)
        y, x = np.arange(rows)[:, None], np.arange(columns)[None]
        return (
            (y < self.top)
            | (y >= rows - self.bottom)
            | (x < self.left[:, None])
            | (x >= columns - self.right[:, None])
        )


def frame_of(pixels: Pixels) -> Frame | None:
    """Return what frames a picture, or None if nothing does.

    Args:
        pixels: the picture, reduced to about a hundred pixels along its longer side:
            `(rows, columns, channels)`, 0 to 255.
    """
    rows, columns = pixels.shape[:2]
    if min(rows, columns) < SMALLEST:
        return None
    pixels = pixels.astype(np.float32, copy=False)
    sides = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    ring = np.concatenate(sides)
    outer = _median(ring)
    middle = pixels[rows // 6 : rows - rows // 6 : max(rows // 32, 1),
                    columns // 6 : columns - columns // 6 : max(columns // 32, 1)]  # fmt: skip
    middle = middle.reshape(-1, pixels.shape[2])
    inner = _median(middle)
    alike = float(np.abs(outer - inner).max()) <= PLAIN
    if alike:
        strays = np.abs(ring - outer).max(axis=1)
        noise = min(_middle(strays), _middle(np.abs(middle - inner).max(axis=1)))
        if not _may_be_framed(strays > max(PLAIN, 4 * noise), rows, columns):
            return None
    frame = _under(pixels, inner)
    if frame is not None or alike:
        return frame
    return _under(pixels, outer)


def _may_be_framed(off: Mask, rows: int, columns: int) -> bool:
    """Return whether what differs along the border could be the ends of bands; it is quick.

    Args:
        off: which pixels are not paper along the top, the bottom, the left and the right side.
    """
    if not off.any():
        return False
    top, bottom, left, right = np.split(off, (columns, 2 * columns, 2 * columns + rows))
    high, wide = round(DEEPEST * rows), round(DEEPEST * columns)
    return any(
        np.count_nonzero(along) > LONG * len(along) / 2 or (bool(one.any()) and bool(other.any()))
        for along, one, other in (
            (top, left[:high], right[:high]),
            (bottom, left[-high:], right[-high:]),
            (left, top[:wide], bottom[:wide]),
            (right, top[-wide:], bottom[-wide:]),
        )
    )


def _middle(values: NDArray[Any], part: float = 0.5) -> float:
    """Return the median, or another quantile; NumPy's own take ten times as long."""
    place = min(int(len(values) * part), len(values) - 1)
    return float(np.partition(values, place)[place])


def _median(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of each channel, of values `(pixels, channels)`."""
    middle = len(values) // 2
    median: NDArray[np.float32] = np.partition(values, middle, axis=0)[middle]
    return median


def _under(pixels: NDArray[np.float32], colour: NDArray[np.float32]) -> Frame | None:
    """Return the frame if paper is of this colour, or None."""
    rows, columns = pixels.shape[:2]
    glance = block_means(pixels, math.ceil(max(rows, columns) / GLANCE))
    high, wide = glance.shape[0] // 8, glance.shape[1] // 8
    inner = glance[high : glance.shape[0] - high, wide : glance.shape[1] - wide]
    slopes = slopes_of(inner, colour)
    scale_x, scale_y = glance.shape[1] / inner.shape[1], glance.shape[0] / inner.shape[0]
    paper = surface(slopes, scale_x * centres(-1, 1, columns), scale_y * centres(-1, 1, rows))
    apart = np.abs(pixels - paper.astype(np.float32).transpose(1, 2, 0)).max(axis=2)
    # Outside of where it was measured, the fall of light may be guessed wrongly.
    np.minimum(apart, np.abs(pixels - colour).max(axis=2), out=apart)
    middle = apart[rows // 6 : -(rows // 6) : 3, columns // 6 : -(columns // 6) : 3]
    noise = _middle(middle.ravel())
    least = max(PLAIN, 4 * noise)
    strong = apart > least
    bands = _find_bands([apart > max(least, float(apart.max()) / 3), strong])
    if bands is None:
        return None
    covered = bands.cover()
    rest = strong & ~covered
    top, left, bottom, right = bands.inside(round(CRUMBS * min(rows, columns)))
    deep = np.zeros_like(rest)
    deep[top:bottom, left:right] = rest[top:bottom, left:right]
    drawing = _grow(deep, rest)
    if np.count_nonzero(drawing) < max(4, TRIFLE * rest.size) and bands.number() > 1:
        # One band is no drawing; several may be the strokes of an L or of an 11.
        return None
    crumbs = rest & ~drawing
    # Many remains are the corners around something round.
    if np.count_nonzero(crumbs) > MANY * rest.size or _is_cut_out(strong, drawing, bands):
        return None
    return Frame(covered | crumbs, bands.inside(), (top, left, bottom, right))


def _is_cut_out(drawn: Mask, drawing: Mask, bands: _Bands) -> bool:
    """Return whether the picture ends where the drawing does, so that its strokes seem bands."""
    top, left, bottom, right = bands.inside()
    inside = drawn[top:bottom, left:right]
    edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
    # There is paper next to a band.
    if np.concatenate(edges).mean() > BESIDE:
        return True
    drawing = drawing[top:bottom, left:right]
    ends = (drawing[0], drawing[-1], drawing[:, 0], drawing[:, -1])
    # A few specks are noise.
    touched = [np.count_nonzero(each) > max(2, SPECKS * len(each)) for each in ends]
    banded = [bool(side.any()) for side in (bands.top, bands.bottom, bands.left, bands.right)]
    crossed = [a and b for a, b in zip(touched, banded, strict=True)]
    if not any(crossed):
        return False
    # The stem of a T, or the slope of an N, goes from a band to the other side.
    if touched != crossed or all(crossed[:2]) or all(crossed[2:]):
        return True
    # The middle bar of an E or an H is flat.
    spans = [np.ptp(np.flatnonzero(drawing.any(axis=axis))) for axis in (1, 0)]
    return bool(min(spans) < min(drawing.shape) / 5)


def _grow(seeds: Mask, within: Mask) -> Mask:
    """Return all of `within` that hangs together with `seeds`."""
    grown = seeds
    while True:
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        sideways = wider.copy()
        sideways[:, 1:] |= wider[:, :-1]
        sideways[:, :-1] |= wider[:, 1:]
        sideways &= within
        if np.array_equal(sideways, grown):
            return grown
        grown = sideways


def _find_bands(masks: list[Mask]) -> _Bands | None:
    """Return the bands along all sides, or None if there is none.

    Args:
        masks: what is drawn, at first only the strongest of it, and at last all.
    """
    rows, columns = masks[0].shape
    depths = [np.zeros(length, np.int64) for length in (columns, columns, rows, rows)]
    for drawn in masks:
        left = drawn & ~_Bands(*depths).cover()
        views = [left, left[::-1], left.T, left.T[::-1]]
        for _ in range(ROUNDS):
            fresh = False
            for side, (depth, view) in enumerate(zip(depths, views, strict=True)):
                # Between the bands of the other two sides, as far as they are known.
                first, last = (int(each.max()) for each in (depths[2:] if side < 2 else depths[:2]))
                between = slice(first, len(depth) - last)
                band = _band(view[:, between], min(rows, columns))
                if band is not None:
                    fresh = True
                    band = np.pad(band, (first, last), "edge")
                    np.maximum(depth, band, out=depth)
                    deepest = int(band.max())
                    view[:deepest] &= np.arange(deepest)[:, None] >= band
            if not fresh:
                break
    bands = _Bands(*depths)
    return bands if bands.number() else None


def _band(drawn: Mask, shorter: int) -> Depths | None:
    """Return how deep a band along the top reaches in each column, or None if there is none."""
    rows, columns = drawn.shape
    limit = round(DEEPEST * rows)
    near = drawn[:limit]
    valid = near.any(axis=0)
    start = near.argmax(axis=0)
    # The first pixel of paper after the start.
    beyond = ~near & (np.arange(limit)[:, None] >= start)
    ends = valid & beyond.any(axis=0)
    if np.count_nonzero(ends) < COVERED * LONG * columns:
        return None
    end = np.where(ends, beyond.argmax(axis=0), limit)
    rough = ROUGH * shorter + 1.5
    slope, base = _line(np.flatnonzero(ends), end[ends], rough)
    line = base + slope * np.arange(columns)
    off = end - line
    seen = ends & (np.abs(off) <= rough)
    # Where a drawing or another band goes on below, a column says nothing of where this one ends.
    asked = (line > 0.5) & ~(valid & (off > rough) & (start <= line))
    # Only what goes on as far as one can see may be another band, which hides the end of this one.
    shown = (line > 0.5) & (ends | ~valid)
    if np.count_nonzero(seen) < LONG * columns or not _is_seen(seen, asked, shown):
        return None
    if not _is_straight(off, asked, shorter):
        return None
    spread = max(1.0, 2.5 * _middle(np.abs(off[seen])))
    depth = np.where(ends, np.clip(end, line - spread, line + spread), line)
    depth = np.where((line > 0.5) | seen, np.ceil(depth) + 1, 0)
    return np.clip(depth, 0, limit).astype(np.int64)


def _is_seen(seen: Mask, asked: Mask, shown: Mask) -> bool:
    """Return whether a band is seen in most columns where it should be, and near both ends."""
    columns = len(seen)
    places, tips = np.flatnonzero(asked), np.flatnonzero(shown)
    if len(places) < 8 or len(tips) < 8:
        return False
    quarter, tip = len(places) // 4, max(columns // 10, 2)
    parts = (places[:quarter], places[-quarter:], tips[:tip], tips[-tip:])
    return bool(
        seen[places].mean() >= COVERED and min(seen[part].mean() for part in parts) >= AT_ENDS
    )


def _is_straight(off: NDArray[np.float64], asked: Mask, shorter: int) -> bool:
    """Return whether an edge strays little from its line, and is not bowed as the arc of an O."""
    off = off[asked]
    quarter = len(off) // 4
    outer, inner = np.concatenate([off[:quarter], off[-quarter:]]), off[quarter:-quarter]
    # A drawing that touches the band makes it look deeper: only its shallower parts count.
    bow = abs(_middle(outer, 0.3) - _middle(inner, 0.3))
    return bow <= BOW * shorter + 0.5 and _middle(np.abs(off)) <= STRAY * shorter + 0.25


def _line(x: NDArray[np.int64], y: NDArray[np.int64], near: float) -> tuple[float, float]:
    """Return slope and base of the line, of those through two points, that most are near to."""
    chosen = np.linspace(0, len(x) - 1, min(SAMPLES, len(x))).astype(np.int64)
    first, second = np.triu_indices(len(chosen), max(len(chosen) // 4, 1))
    at, value = x[chosen], y[chosen]
    slopes = (value[second] - value[first]) / (at[second] - at[first])
    plausible = np.abs(slopes) <= SLOPE
    slopes, bases = slopes[plausible], (value[first] - slopes * at[first])[plausible]
    if not len(slopes):
        return 0.0, _middle(y)
    apart = np.abs(bases[:, None] + slopes[:, None] * x - y)
    costs = np.minimum(apart, near).sum(axis=1)
    # Lines through other points can be equally near; which of them is the first must not depend on
    # how sums round. Costs are fractions of small numbers, none of which ends in .7 thousandths.
    best = int(np.floor(costs * 1000 + 0.3).argmin())
    return float(slopes[best]), float(bases[best])
