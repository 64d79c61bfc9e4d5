"""Pixels: how arrays of many number types and layouts become one form, with values of 0 to 255."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError

Pixels = NDArray[Any]
"""uint8 or float32 `(rows, columns, 1 | 3)`: grey, or red, green and blue, from 0 to 255."""

FULL = 255.0
_TAKEN = "uint8 (0 to 255), uint16 (0 to 65535), bool and floats are taken"
_LAYOUTS = (
    "a picture is an array of (rows, columns), (rows, columns, 1 | 2 | 3 | 4) or "
    "(1 | 3 | 4, rows, columns)"
)


def pixels_of_array(
    thing: Any, *, float_range: tuple[float, float], background: tuple[int, int, int] | None
) -> Pixels:
    """Return an array, or anything that NumPy takes for one, as pixels.

    Channels are looked for in the last dimension first: 1 is grey, 2 grey and opacity, 3 red,
    green and blue, 4 these and opacity. `background` is what shows through where a picture is not
    opaque, or None for black or white, whichever differs more from what is opaque.

    Raises:
        DataError: it is no picture, or its numbers are outside of the range of their type.
    """
    values = _channels_last(_as_array(thing))
    scaled = _scaled(values, float_range)
    if scaled.shape[2] in (1, 3):
        return scaled
    return _flattened(scaled[:, :, :-1], scaled[:, :, -1:], background)


def _as_array(thing: Any) -> NDArray[Any]:
    if isinstance(thing, np.ndarray):
        return thing
    try:
        return np.asarray(thing)
    except Exception as error:  # a foreign object's __array__ may raise anything
        reason = "its rows have different lengths" if "inhomogeneous" in str(error) else error
        raise DataError(f"it cannot be read as an array: {reason}; {_LAYOUTS}") from None


def _channels_last(values: NDArray[Any]) -> NDArray[Any]:
    sizes = values.shape
    if values.ndim == 2:
        values = values[:, :, None]
    elif values.ndim == 3 and sizes[2] not in (1, 2, 3, 4) and sizes[0] in (1, 3, 4):
        values = values.transpose(1, 2, 0)
    elif values.ndim != 3 or sizes[2] not in (1, 2, 3, 4):
        raise DataError(f"an array of shape {sizes} is no picture; {_LAYOUTS}")
    if not values.size:
        raise DataError(f"an array of shape {sizes} holds no pixels; {_LAYOUTS}")
    return values


def _scaled(values: NDArray[Any], float_range: tuple[float, float]) -> Pixels:
    """Return numbers of any accepted type on the scale of 0 to 255."""
    kind = values.dtype
    if kind == np.uint8:
        return values
    if kind == np.bool_:
        return values.astype(np.uint8) * np.uint8(FULL)
    if kind.kind == "u" and kind.itemsize == 2:
        # 65535 / 257 is 255, and so is every uint8 value that was written as 16 bits.
        return values.astype(np.float32) / np.float32(257)
    if kind.kind == "f":
        return _scaled_floats(values, float_range)
    if kind.kind not in "iuc":
        raise DataError(f"it holds values of type {kind}, which are no pixels: {_TAKEN}")
    raise DataError(
        f"pixels of type {kind} have no known range: {_TAKEN}; convert them, for example with "
        "`.astype('uint8')`"
    )


def _scaled_floats(values: NDArray[Any], float_range: tuple[float, float]) -> Pixels:
    low, high = float_range
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise DataError("pixels are NaN or infinite; they must be finite numbers")
    # float32 cannot hold every bound exactly, so a last digit's excess is let through.
    slack = 1e-6 * max(abs(low), abs(high), high - low)
    if least < low - slack or most > high + slack:
        raise DataError(
            f"pixels from {least:g} to {most:g} leave the range of {low:g} to {high:g} that the "
            "setting 'float_range' of image allows for floats; set it to what the data holds"
        )
    scaled = values.astype(np.promote_types(values.dtype, np.float32))
    scaled -= low
    scaled *= FULL / (high - low)
    return np.clip(scaled, 0, FULL, out=scaled).astype(np.float32, copy=False)


def _flattened(
    colours: Pixels, opacity: Pixels, background: tuple[int, int, int] | None
) -> NDArray[np.float32]:
    """Return colours as they look on an opaque background."""
    weight = opacity.astype(np.float32) / np.float32(FULL)
    solid = colours.astype(np.float32)
    behind: Any
    if background is None:
        behind = contrasting(solid, weight)
    else:
        behind = np.array(background, np.float32)
        if solid.shape[2] == 1:
            # A coloured background makes a coloured picture of a grey one.
            grey = behind[0] == behind[1] == behind[2]
            behind = behind[:1] if grey else behind
    flat: NDArray[np.float32] = behind + (solid - behind) * weight
    return flat


def contrasting(colours: NDArray[np.float32], weight: NDArray[np.float32]) -> np.float32:
    """Return black or white (0 or 255), whichever differs more from the opaque part."""
    total = float(weight.sum(dtype=np.float64))
    if total == 0:
        return np.float32(FULL)
    mean = float((grey_of(colours) * weight[:, :, 0]).sum(dtype=np.float64)) / total
    return np.float32(FULL) if mean < FULL / 2 else np.float32(0)


def grey_of(pixels: Pixels) -> NDArray[np.float32]:
    """Return brightness (luma, ITU-R BT.601), float32 `(rows, columns)`."""
    if pixels.shape[2] == 1:
        return pixels[:, :, 0].astype(np.float32, copy=False)
    red, green, blue = (pixels[:, :, k].astype(np.float32) for k in range(3))
    # In whole thousandths, so that a grey of three equal channels stays exactly what it was.
    grey: NDArray[np.float32] = (299 * red + 587 * green + 114 * blue) / np.float32(1000)
    return grey
