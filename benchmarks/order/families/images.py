"""Images, flattened in the ways in which people flatten them."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import Grid, Labels, Made, Random, Table, family, grid

_SIZES = (
    {"rows": 500, "height": 10, "width": 10},
    {"rows": 400, "height": 6, "width": 14},
    {"rows": 300, "height": 15, "width": 11},
)


def _blobs(random: Random, rows: int, height: int, width: int) -> tuple[Table, Table]:
    """Return pictures of two soft spots `(rows, height, width)`, and their sizes `(rows, 2)`."""
    down, right = np.mgrid[:height, :width]
    X = np.zeros((rows, height, width))
    sizes = random.uniform(0.8, 2.4, (rows, 2))
    for spot in range(2):
        y, x = (random.uniform(1, side - 2, (rows, 1, 1)) for side in (height, width))
        far = np.square(down - y) + np.square(right - x)
        X += np.exp(-far / 2 / np.square(sizes[:, spot, None, None]))
    return X + 0.1 * random.normal(size=X.shape), sizes


def _larger(sizes: Table) -> Labels:
    """Return whether the larger spot is larger than usual."""
    largest = sizes.max(axis=1)
    above: Labels = (largest > np.median(largest)).astype(np.int64)
    return above


@family("images", *_SIZES, shuffles=True)
def images_by_rows(random: Random, rows: int, height: int, width: int) -> Made:
    """Pictures of spots, row after row of pixels.

    A grid of height x width.
    """
    X, sizes = _blobs(random, rows, height, width)
    return Made(X.reshape(rows, -1), _larger(sizes), grid(Grid(height, width)))


@family("images", *_SIZES[1:], shuffles=True)
def images_by_columns(random: Random, rows: int, height: int, width: int) -> Made:
    """Pictures of spots, column after column of pixels, as MATLAB and R flatten them.

    A grid of width x height: the picture turned over.
    """
    X, sizes = _blobs(random, rows, height, width)
    X = X.transpose(0, 2, 1).reshape(rows, -1)
    return Made(X, _larger(sizes), grid(Grid(width, height)))


@family(
    "images",
    {"rows": 500, "tiles": 3, "side": 4},
    {"rows": 400, "tiles": 2, "side": 6},
    shuffles=True,
)
def images_in_tiles(random: Random, rows: int, tiles: int, side: int) -> Made:
    """Pictures that are stored tile after tile, each tile row by row.

    A grid. The adapter cannot put tiles together; right is the stack of all tiles under each other
    (all neighbours but those at the seams), or a channel for each tile.
    """
    X, sizes = _blobs(random, rows, tiles * side, tiles * side)
    X = X.reshape(rows, tiles, side, tiles, side).transpose(0, 1, 3, 2, 4).reshape(rows, -1)
    answer = grid(Grid(tiles * tiles * side, side), Grid(side, side, tiles * tiles))
    return Made(X, _larger(sizes), answer)


@family(
    "images",
    {"rows": 400, "side": 7, "channels": 3, "order": "interleaved"},
    {"rows": 400, "side": 8, "channels": 3, "order": "rows"},
    {"rows": 300, "side": 9, "channels": 3, "order": "rows"},
    {"rows": 300, "side": 6, "channels": 4, "order": "interleaved"},
    shuffles=True,
)
def colour_images(random: Random, rows: int, side: int, channels: int, order: str) -> Made:
    """Coloured spots: all colours of a pixel together, or one colour's picture after the other.

    A grid of side x side with a channel for each colour.
    """
    shared, sizes = _blobs(random, rows, side, side)
    other, _ = _blobs(random, rows, side, side)
    tint = random.uniform(0.3, 1, (rows, 1, 1, channels))
    X = shared[..., None] * tint + 0.5 * other[..., None] * (1 - tint)
    X += 0.1 * random.normal(size=X.shape)
    flat = X if order == "interleaved" else X.transpose(0, 3, 1, 2)
    return Made(flat.reshape(rows, -1), _larger(sizes), grid(Grid(side, side, channels, order)))


@family("images", {"rows": 500, "side": 10}, {"rows": 800, "side": 14}, shuffles=True)
def strokes(random: Random, rows: int, side: int) -> Made:
    """Drawings of one thin line each, flat or steep, anywhere in the picture; 0 and 1 only.

    A grid of side x side.
    """
    y = np.arange(rows) % 2
    angle = np.where(y == 1, 0.3, 1.2) + 0.15 * random.normal(size=rows)
    down, right = np.mgrid[:side, :side]
    top, left = random.uniform(3, side - 4, (2, rows, 1, 1))
    away_down, away_right = down - top, right - left
    sin, cos = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    off = np.abs(away_down * cos - away_right * sin)
    along = np.abs(away_down * sin + away_right * cos)
    X = ((off < 0.8) & (along < side / 3)) * 1.0
    return Made(X.reshape(rows, -1), y, grid(Grid(side, side)))


@family("images", {"rows": 400, "side": 10}, {"rows": 300, "side": 14}, shuffles=True)
def textures(random: Random, rows: int, side: int) -> Made:
    """Patches of two materials: fine and coarse grain, without an object.

    A grid of side x side.
    """
    y = np.arange(rows) % 2
    noise = random.normal(size=(rows, side, side))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    fall = np.where(y == 1, 6.0, 10.0)[:, None, None]
    X = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-fall * frequency)).real
    X /= X.std(axis=(1, 2), keepdims=True)
    return Made(X.reshape(rows, -1), y, grid(Grid(side, side)))


@family(
    "images",
    {"rows": 600, "height": 9, "width": 7},
    {"rows": 300, "height": 14, "width": 10},
    shuffles=True,
)
def glyphs(random: Random, rows: int, height: int, width: int) -> Made:
    """Six signs of smooth outline, centred, each row one of them with noise and a little shift.

    A grid of height x width.
    """
    signs = random.normal(size=(6, height + 2, width + 2))
    for axis in (1, 2):
        signs = signs + np.roll(signs, 1, axis) + np.roll(signs, -1, axis)
    y = random.integers(0, 6, rows)
    down, right = random.integers(0, 3, (2, rows))
    X = np.stack(
        [signs[k, d : d + height, r : r + width] for k, d, r in zip(y, down, right, strict=True)]
    )
    X = X / X.std() + 0.3 * random.normal(size=X.shape)
    return Made(X.reshape(rows, -1), y, grid(Grid(height, width)))


@family(
    "images",
    {"rows": 400, "bands": 10, "frames": 16},
    {"rows": 300, "bands": 16, "frames": 8},
    shuffles=True,
)
def spectrograms(random: Random, rows: int, bands: int, frames: int) -> Made:
    """Sounds as energies of frequency bands over time, band after band; tones rise or fall.

    A grid of bands x frames.
    """
    y = np.arange(rows) % 2
    time, band = np.arange(frames), np.arange(bands)[:, None]
    slope = np.where(y == 1, 1, -1)[:, None, None] * random.uniform(0.2, 0.5, (rows, 1, 1))
    middle = random.uniform(bands / 3, 2 * bands / 3, (rows, 1, 1))
    tone = middle + slope * (time - frames / 2) * bands / frames
    X = np.exp(-np.square((band - tone) / 1.5) / 2) + 0.2 * random.normal(
        size=(rows, bands, frames)
    )
    return Made(X.reshape(rows, -1), y, grid(Grid(bands, frames)))


@family("images", {"rows": 300, "side": 10}, shuffles=True)
def images_without_labels(random: Random, rows: int, side: int) -> Made:
    """Pictures of spots, of which nobody says what they show.

    A grid of side x side.
    """
    X, _ = _blobs(random, rows, side, side)
    return Made(X.reshape(rows, -1), None, grid(Grid(side, side)))


@family(
    "images",
    {"rows": 400, "inner": 8, "border": 3},
    {"rows": 300, "inner": 9, "border": 2},
    shuffles=True,
)
def framed_images(random: Random, rows: int, inner: int, border: int) -> Made:
    """Small pictures of spots in the middle of an empty frame, as handwritten digits have.

    A grid of the whole side; the columns of the frame are constant.
    """
    spots, sizes = _blobs(random, rows, inner, inner)
    X = np.pad(np.clip(spots, 0, 1), ((0, 0), (border, border), (border, border)))
    side = inner + 2 * border
    return Made(X.reshape(rows, -1), _larger(sizes), grid(Grid(side, side)))


@family(
    "images",
    {"rows": 400, "points": 12, "order": "interleaved"},
    {"rows": 400, "points": 24, "order": "interleaved"},
    {"rows": 400, "points": 30, "order": "rows"},
    shuffles=True,
)
def outlines(random: Random, rows: int, points: int, order: str) -> Made:
    """Outlines of leaves as points along the edge: x and y of each point, or all x before all y.

    A grid of one row with two channels.
    """
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    y = np.arange(rows) % 2
    radius = 1 + 0.25 * y[:, None] * np.cos(3 * angle + random.uniform(0, 6.3, (rows, 1)))
    radius = radius + 0.2 * random.normal(size=(rows, 1)) * np.cos(angle)
    radius = radius + 0.2 * random.normal(size=(rows, 1)) * np.sin(2 * angle)
    turned = angle + random.uniform(0, 6.3, (rows, 1))
    X = np.stack([radius * np.cos(turned), radius * np.sin(turned)], axis=2)
    X += 0.03 * random.normal(size=X.shape)
    flat = X if order == "interleaved" else X.transpose(0, 2, 1)
    return Made(flat.reshape(rows, -1), y, grid(Grid(1, points, 2, order)))


@family("images", {"rows": 500, "side": 9}, {"rows": 800, "side": 12}, shuffles=True)
def noisy_images(random: Random, rows: int, side: int) -> Made:
    """Soft spots in the dark: the noise of the camera is as high as most of them.

    A grid of side x side.
    """
    X, sizes = _blobs(random, rows, side, side)
    X += 0.5 * random.normal(size=X.shape)
    return Made(X.reshape(rows, -1), _larger(sizes), grid(Grid(side, side)))
