"""How an item looks in a page: its picture, its curve, its text, its sound.

A look is plain data for JSON:

    {"picture": "data:image/png;base64,...", "rows": 28, "columns": 28}
    {"curves": [[0.1, 0.4, ...]]}                   a grid of one row: a curve for each channel
    {"text": "You have won", "cut": true}           a text, or a molecule in SMILES
    {"picture": ..., "sound": "data:audio/wav;base64,...", "seconds": 1.2, "cut": false}
"""

from __future__ import annotations

import base64
import contextlib
import io
import math
import wave
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.samples import at_rate
from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import UserError, printable
from gridcnn.grid import GridShape
from gridcnn.report.colours import colour_cells, picture_pixels

Look = dict[str, Any]

_LARGEST = 96
"""Pixels of a picture's longer side: a larger one is made smaller."""
_LOSSLESS = 48
"""Pixels up to which a picture in colours is kept exactly; a larger one is JPEG."""
_LONGEST_TEXT = 400
_LONGEST_CURVE = 200
_MOST_CURVES = 3
_RATE, _SECONDS = 8_000, 3.0
"""Of a sound that is played: samples in a second, and seconds at most."""


def look_at(
    thing: Any, grid: NDArray[np.float32], adapter: Adapter, shape: GridShape, *, limit: float
) -> Look:
    """Return how an item looks.

    Args:
        thing: the raw item; of one that cannot be read any more, only the grid is shown.
        grid: what it became, `(channels, rows, columns)`.
        adapter: what made the grid.
        shape: of the grid.
        limit: the size of a cell with the strongest colour, where cells have colours.
    """
    if adapter.texts:
        return _look_at_text(thing)
    if isinstance(adapter, ImageAdapter):
        return _look_at_pixels(picture_pixels(grid))
    if shape.rows == 1 and shape.channels <= _MOST_CURVES and shape.columns > 1:
        return {"curves": [_curve(row) for row in grid[:, 0]]}
    # Channels of one row each stand below each other; else their mean is shown.
    cells = grid[:, 0] if shape.rows == 1 else grid.mean(axis=0)
    look = _look_at_pixels(colour_cells(cells, limit))
    if isinstance(adapter, AudioAdapter):
        with contextlib.suppress(UserError, OSError, ValueError):
            look |= _sound(np.asarray(adapter.open_thing(thing)), adapter.sample_rate)
    return look


def _look_at_text(thing: Any) -> Look:
    text = thing.decode("utf-8", "replace") if isinstance(thing, bytes) else str(thing)
    text = printable(text)
    return {"text": text[:_LONGEST_TEXT], "cut": len(text) > _LONGEST_TEXT}


def _look_at_pixels(pixels: NDArray[np.uint8]) -> Look:
    rows, columns = pixels.shape[:2]
    picture = Image.fromarray(pixels)
    longest = max(rows, columns)
    if longest > _LARGEST:
        size = (_shrink(columns, longest), _shrink(rows, longest))
        picture = picture.resize(size, Image.Resampling.BOX)
    if (pixels[..., :1] == pixels).all():
        picture = picture.convert("L")
    content, kind = io.BytesIO(), "png"
    if picture.mode == "RGB" and longest > _LOSSLESS:
        picture.save(content, "JPEG", quality=82)
        kind = "jpeg"
    else:
        picture.save(content, "PNG", optimize=True)
    return {
        "picture": f"data:image/{kind};base64,{_base64(content.getvalue())}",
        "rows": rows,
        "columns": columns,
    }


def _shrink(size: int, longest: int) -> int:
    return max(1, round(size * _LARGEST / longest))


def _curve(row: NDArray[np.float32]) -> list[float | None]:
    """Return the cells of a row, fewer if there are many: of each few the first."""
    step = math.ceil(len(row) / _LONGEST_CURVE)
    return [float(f"{cell:.3g}") if np.isfinite(cell) else None for cell in row[::step].tolist()]


def _sound(samples: NDArray[np.float32], rate: int) -> Look:
    """Return the beginning of a sound as a WAV file of few samples."""
    seconds = len(samples) / rate
    samples = samples[: int(_SECONDS * rate)]
    if rate > _RATE:
        samples, rate = at_rate(samples, rate, _RATE), _RATE
    largest = float(np.abs(samples).max(initial=0)) or 1.0
    levels = np.rint(np.clip(samples / max(1.0, largest), -1, 1) * 32767).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(levels.tobytes())
    return {
        "sound": f"data:audio/wav;base64,{_base64(content.getvalue())}",
        "seconds": round(seconds, 3),
        "cut": seconds > _SECONDS,
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
