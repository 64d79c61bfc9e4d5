"""Pixels: how arrays of many number types and layouts become one form, with values of 0 to 255."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[Any]
"""uint8 or float32 `(rows, columns, 1 | 3)`: grey, or red, green and blue, from 0 to 255."""

FULL = 255.0
Limits = tuple[float, float]
"""The numbers that are black and white."""
_FULL_RANGES = {np.dtype(np.uint8): (0.0, 255.0), np.dtype(np.uint16): (0.0, 65535.0)}
DARK = 0.25
"""The part of their range above which pictures have some pixels, unless they are all dark."""
_FEWEST = 3  # pictures by which something is said about all of their type
_TOGETHER = 2**20  # numbers that become floats at a time
_TAKEN = "uint8 (0 to 255), uint16 (0 to 65535), bool and floats (0 to 1) are supported"
_LAYOUTS = (
    "a picture is an array of (rows, columns), (rows, columns, 1 | 2 | 3 | 4) or "
    "(1 | 3 | 4, rows, columns)"
)


def array_of(thing: Any) -> NDArray[Any]:
    """Return an array, or anything that NumPy can convert to one, as `(rows, columns, channels)`.

    Channels are looked for in the last dimension first: 1 is grey, 2 grey and opacity, 3 red,
    green and blue, 4 these and opacity.

    Raises:
        DataError: its shape is not that of a picture.
    """
    return _channels_last(_as_array(thing))


def pixels_of_array(
    values: NDArray[Any], *, limits: Limits | None, background: tuple[int, int, int] | None
) -> Pixels:
    """Return an array `(rows, columns, 1 | 2 | 3 | 4)` as pixels.

    `limits` are the numbers for black and for white; None: those of their type. `background` is
    what shows through where a picture is not opaque, or None for black or white, whichever differs
    more from what is opaque.

    Raises:
        DataError: its numbers are outside of the range.
    """
    if values.shape[2] in (1, 3):
        return _scale(values, limits)
    # The opacity of whole numbers fills their type, whatever the colours do.
    is_whole = values.dtype.kind in "bu"
    opacity = _scale(values[:, :, -1:], None if is_whole else limits)
    return _flatten(_scale(values[:, :, :-1], limits), opacity, background)


def image_of(values: NDArray[np.uint8]) -> Image:
    """Return bytes `(rows, columns, 1 | 2 | 3 | 4)` as a Pillow image."""
    from PIL import Image

    flat = values[:, :, 0] if values.shape[2] == 1 else values
    return Image.fromarray(np.ascontiguousarray(flat))


def type_limits(kind: np.dtype[Any]) -> Limits | None:
    """Return the values of black and white in arrays of a type; None if they are not known."""
    return (0.0, 1.0) if kind.kind == "f" else _FULL_RANGES.get(kind.newbyteorder("="))


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
        raise DataError(f"an array of shape {sizes} is not a picture; {_LAYOUTS}")
    if not values.size:
        raise DataError(f"an array of shape {sizes} holds no pixels; {_LAYOUTS}")
    return values


def range_remarks(pictures: Iterable[NDArray[Any] | None]) -> dict[str, int]:
    """Return, for each type of numbers of whose range pictures use a small part, how many do."""
    highest_by_type: dict[np.dtype[Any], list[float]] = {}
    for values in pictures:
        if values is not None and values.size and type_limits(values.dtype) is not None:
            highest = float(values.max())
            highest_by_type.setdefault(values.dtype.newbyteorder("="), []).append(highest)
    remarks = {}
    for kind, highest_of_each in highest_by_type.items():
        limits, highest = type_limits(kind), max(highest_of_each)
        if limits is None or not 0 < highest <= DARK * limits[1] or len(highest_of_each) < _FEWEST:
            continue
        top = _round_above(highest) if kind.kind == "f" else 2 ** int(highest).bit_length() - 1
        name = "floats" if kind.kind == "f" else f"{8 * kind.itemsize}-bit numbers"
        remark = (
            f"that were looked at hold {name} of at most {highest:g}, and {limits[1]:g} is white: "
            f"all look nearly black; if no picture has larger numbers, set "
            f"adapter.image.range=[0, {top:g}]"
        )
        remarks[remark] = len(highest_of_each)
    return remarks


def _round_above(number: float) -> float:
    """Return the next number above with two digits."""
    digits = 1 - math.floor(math.log10(number))
    return math.ceil(number * 10.0**digits) / 10.0**digits


def _scale(values: NDArray[Any], limits: Limits | None) -> Pixels:
    """Return numbers of any accepted type on the scale of 0 to 255."""
    kind = values.dtype
    if kind == np.bool_:
        return values.astype(np.uint8) * np.uint8(FULL)
    if kind.kind not in "buifc":
        raise DataError(f"it holds values of type {kind}, which are not pixels; {_TAKEN}")
    natural = type_limits(kind)
    limits = limits or natural
    if limits is None or kind.kind == "c":
        raise DataError(
            f"numbers of type {kind} have no known range; {_TAKEN}: convert them, or set 'range' "
            "of image to their values of black and white"
        )
    if limits == natural and kind == np.uint8:
        return values
    if limits == natural and kind.kind == "u":
        # 65535 / 257 is 255, and so is every uint8 value that was written as 16 bits.
        return values.astype(np.float32) / np.float32(257)
    return _scale_within(values, limits)


def _scale_within(values: NDArray[Any], limits: Limits) -> Pixels:
    low, high = limits
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise DataError("pixels are NaN or infinite; they must be finite numbers")
    # float32 cannot hold every bound exactly, so a last digit's excess is let through.
    slack = 1e-6 * max(abs(low), abs(high), high - low)
    if least < low - slack or most > high + slack:
        raise DataError(
            f"pixels from {least:g} to {most:g} are outside of the range from {low:g} to {high:g}; "
            "set 'range' of image to the data's values of black and white"
        )
    scaled = values.astype(np.promote_types(values.dtype, np.float32))
    scaled -= low
    scaled *= FULL / (high - low)
    return np.clip(scaled, 0, FULL, out=scaled).astype(np.float32, copy=False)


def _flatten(colours: Pixels, opacity: Pixels, background: tuple[int, int, int] | None) -> Pixels:
    """Return colours as they look on an opaque background; of bytes, bytes.

    Some rows at a time: the floats of a large picture would take several times its memory.
    """
    step = max(1, _TOGETHER // colours[0].size)
    rows = [slice(start, start + step) for start in range(0, len(colours), step)]
    behind: Any
    if background is None:
        behind = _contrasting(colours, opacity, rows)
    else:
        behind = np.array(background, np.float32)
        if colours.shape[2] == 1:
            # A coloured background makes a coloured picture of a grey one.
            grey = behind[0] == behind[1] == behind[2]
            behind = behind[:1] if grey else behind
    channels = max(colours.shape[2], np.size(behind))
    flat = np.empty((*colours.shape[:2], channels), np.result_type(colours, opacity))
    for part in rows:
        weight = opacity[part].astype(np.float32) / np.float32(FULL)
        mixed = behind + (colours[part].astype(np.float32) - behind) * weight
        flat[part] = np.rint(mixed) if flat.dtype == np.uint8 else mixed
    return flat


def _contrasting(colours: Pixels, opacity: Pixels, rows: Sequence[slice]) -> np.float32:
    """Return black or white (0 or 255), whichever differs more from the opaque part."""
    total = bright = 0.0
    for part in rows:
        weight = opacity[part, :, 0].astype(np.float32)
        total += float(weight.sum(dtype=np.float64))
        bright += float((grey_of(colours[part]) * weight).sum(dtype=np.float64))
    if total == 0:
        return np.float32(FULL)
    return np.float32(FULL) if bright / total < FULL / 2 else np.float32(0)


def grey_of(pixels: Pixels) -> NDArray[np.float32]:
    """Return brightness (luma, ITU-R BT.601), float32 `(rows, columns)`."""
    if pixels.shape[2] == 1:
        return pixels[:, :, 0].astype(np.float32, copy=False)
    red, green, blue = (pixels[:, :, k].astype(np.float32) for k in range(3))
    # In whole thousandths, so that a grey of three equal channels stays exactly what it was.
    grey: NDArray[np.float32] = (299 * red + 587 * green + 114 * blue) / np.float32(1000)
    return grey
