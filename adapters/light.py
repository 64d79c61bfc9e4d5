"""Light: how brightness falls off over a picture, as a surface through its paper."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.pixels import Pixels

NEAR = (64.0, 32.0, 16.0)  # distances within which pixels are paper, as its surface gets better
RIDGE = 1e-6  # next to sums over hundreds of pixels
ENOUGH = 64  # reduced pixels of paper from which a surface can be told


def centres(low: float, high: float, cells: int) -> NDArray[np.float64]:
    """Return the middles of `cells` equal parts of what lies from `low` to `high`."""
    return (np.arange(cells, dtype=np.float64) + 0.5) * ((high - low) / cells) + low


def surface(
    slopes: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a quadratic surface at every place, `(channels, rows, columns)`."""
    base, across, down, across2, both, down2 = slopes[:, :, None]
    surface: NDArray[np.float64] = (both * y)[:, :, None] * x
    surface += (base + down * y + down2 * y**2)[:, :, None]
    surface += (across * x + across2 * x**2)[:, None, :]
    return surface


def slopes_of(pixels: Pixels, colour: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the quadratic surface of the paper, `(6, channels)`: least squares without the ink."""
    terms = _terms(pixels.shape[0], pixels.shape[1])
    values = pixels.reshape(-1, pixels.shape[2]).astype(np.float64)
    slopes = np.zeros((6, pixels.shape[2]))
    slopes[0] = colour
    # What is near to the surface found so far is paper; the ink drops out as the surface improves.
    for near in NEAR:
        chosen = np.abs(values - terms @ slopes).max(axis=1) < near
        if np.count_nonzero(chosen) < ENOUGH:
            break
        paper = terms[chosen]
        # Paper that shows along a single line leaves some factors open; the ridge makes them small.
        normal = paper.T @ paper + RIDGE * np.eye(6)
        slopes = np.linalg.solve(normal, paper.T @ values[chosen])
    return slopes


@functools.lru_cache(maxsize=64)
def _terms(height: int, width: int) -> NDArray[np.float64]:
    """Return 1, x, y, x * x, x * y and y * y for every pixel, `(height * width, 6)`."""
    x = np.tile(centres(-1, 1, width), height)
    y = np.repeat(centres(-1, 1, height), width)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
