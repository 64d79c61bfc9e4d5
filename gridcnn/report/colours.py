"""Colours of grids and maps, the same in pages, pictures and figures."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STOPS = (
    (45, 0, 75),
    (84, 39, 136),
    (128, 115, 172),
    (178, 171, 210),
    (216, 218, 235),
    (247, 247, 247),
    (254, 224, 182),
    (253, 184, 99),
    (224, 130, 20),
    (179, 88, 6),
    (127, 59, 8),
)
"""Red, green and blue for -1 to 1: violet is negative, orange positive, zero nearly white.

The scale is ColorBrewer's PuOr reversed, whose two sides look different with every kind of colour
vision. `script/grid_view.js` has the same.
"""
_UNKNOWN = (128, 128, 128)


def colour_cells(values: NDArray[Any], limit: float | None = None) -> NDArray[np.uint8]:
    """Return the colours of cells, uint8 `(rows, columns, 3)`.

    Args:
        values: `(rows, columns)`; cells that are no finite numbers are grey.
        limit: the size of the value with the strongest colour; None: the largest there is.
    """
    finite = np.isfinite(values)
    cells = np.where(finite, values, 0).astype(np.float64)
    limit = float(np.abs(cells).max(initial=0)) if limit is None else limit
    place = (np.clip(cells / (limit or 1.0), -1, 1) + 1) * (len(STOPS) - 1) / 2
    low = np.minimum(place.astype(np.int64), len(STOPS) - 2)
    stops = np.array(STOPS, np.float64)
    part = (place - low)[..., None]
    colours: NDArray[np.uint8] = np.rint(stops[low] * (1 - part) + stops[low + 1] * part).astype(
        np.uint8
    )
    colours[~finite] = _UNKNOWN
    return colours


def png_address(pixels: NDArray[np.uint8]) -> str:
    """Return pixels `(rows, columns)` or `(rows, columns, 3)` as the address of a picture."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def picture_pixels(grid: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a grid `(channels, rows, columns)` as the colours of a picture `(rows, columns, 3)`.

    Three channels are red, green and blue; else the mean of all channels is shown in grey. Cells of
    -1 are black, cells of 1 white, and values beyond are clipped.
    """
    planes = grid if len(grid) == 3 else grid.mean(axis=0, keepdims=True).repeat(3, axis=0)
    levels = np.clip(np.nan_to_num(planes), -1, 1) * 127.5 + 127.5
    colours: NDArray[np.uint8] = np.rint(levels).astype(np.uint8).transpose(1, 2, 0)
    return colours


def shrink_pixels(picture: NDArray[np.uint8], width: int) -> tuple[NDArray[np.uint8], int]:
    """Return the picture at most `width` columns wide, by whole-number means, and the factor."""
    factor = -(-picture.shape[1] // max(width, 1))
    if factor == 1:
        return picture, 1
    rows, columns = (-(-size // factor) * factor for size in picture.shape[:2])
    padding = ((0, rows - picture.shape[0]), (0, columns - picture.shape[1]), (0, 0))
    padded = np.pad(picture.astype(np.float64), padding, mode="edge")
    blocks = padded.reshape(rows // factor, factor, columns // factor, factor, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8), factor
