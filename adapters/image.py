"""The image adapter: pictures of any format, size and colour mode as grids of one shape."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from gridcnn.adapters.decoding import (
    SUFFIXES,
    decoded_bytes,
    decoded_file,
    decoded_image,
    decoded_stream,
)
from gridcnn.adapters.ink import background_of, inked, unframed, window_of_ink
from gridcnn.adapters.pixels import FULL, Pixels, grey_of, pixels_of_array
from gridcnn.adapters.resampling import Window, resampled, whole
from gridcnn.contracts.adapter import Adapter, Things
from gridcnn.errors import DataError, shown
from gridcnn.grid import Axis, GridShape
from gridcnn.settings.base import Many, Number
from gridcnn.settings.pairs import Sizes

_MOST_PIXELS = 178_956_970  # where Pillow raises DecompressionBombError, unless told otherwise
_HALF = np.float32(FULL / 2)


class ImageAdapter(Adapter):
    """Pictures: files, encoded bytes, open binary files, Pillow images and arrays.

    Black becomes -1 and white 1, in grey or in red, green and blue.
    """

    title: ClassVar[str] = "image"
    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    threads: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("pillow",)

    size: Sizes = (32, 32)
    """Rows and columns of the grid, in cells."""
    channels: Literal[1, 3] = 1
    """1: grey; 3: red, green and blue."""
    fit: Literal["pad", "crop", "stretch", "ink"] = "pad"
    """How a picture is brought to the size. `pad`: all of it, undistorted, with its border's colour
    where nothing is left to show; `crop`: its middle, undistorted; `stretch`: all of it, distorted;
    `ink`: what is drawn on it, undistorted, wherever it is and however large; page edges and ruled
    lines along its sides are not drawn on it. Cells are averages of
    the pixels under them, or are interpolated where pixels are too few; they never overshoot."""
    margin: Annotated[Number, Field(ge=0, le=4)] = 0.125
    """With `fit: ink`, what is left around the ink on each side, as a part of its longer side."""
    polarity: Literal["keep", "invert", "ink"] = "keep"
    """`keep`: bright stays bright; `invert`: dark becomes bright; `ink`: what differs from the
    colour of the border becomes bright and the rest -1, so that a dark pencil on paper, chalk on a
    blackboard and a coloured pen all look alike."""
    background: str = "auto"
    """The colour behind transparent pixels, as a name (`white`) or as `#rrggbb`; `auto`: black or
    white, whichever differs more from what is opaque."""
    float_range: tuple[Number, Number] = (0.0, 1.0)
    """What arrays of floats hold for black and for white. Other types have their full range: 0 to
    255 for uint8, 0 to 65535 for uint16. Opacity has the same range as the colours."""
    max_pixels: Annotated[Many, Field(le=_MOST_PIXELS)] = 64_000_000
    """Files and Pillow images that declare more pixels are refused before they are decoded; at most
    178,956,970, beyond which Pillow itself refuses."""

    @field_validator("background")
    @classmethod
    def _is_a_colour(cls, value: str) -> str:
        if value != "auto":
            _colour(value)
        return value

    @model_validator(mode="after")
    def _range_ascends(self) -> Self:
        low, high = self.float_range
        if not low < high:
            raise ValueError(
                f"'float_range' must be [low, high] with low below high; got [{low:g}, {high:g}]"
            )
        return self

    def fitted(self, things: Things) -> Self:
        """Return the adapter itself, which learns nothing.

        Raises:
            DataError: the things are rows of numbers, and so no pictures.
        """
        if len(things) and all(isinstance(each, np.ndarray) and each.ndim == 1 for each in things):
            raise DataError(
                f"an item has the shape {np.shape(things[0])}, and is no picture: if each is one "
                "that was laid out flat, give X.reshape(-1, rows, columns); if it is a row of a "
                "table, set adapter: table, and if it is a sound clip, adapter: audio"
            )
        return self

    def literal(self) -> Self:
        """Return the adapter that shows all of each picture, as bright as it is."""
        fit = "pad" if self.fit == "ink" else self.fit
        return self.model_copy(update={"fit": fit, "polarity": "keep"})

    def is_lone(self, array: NDArray[Any]) -> bool:
        """Return whether an array is one picture: `(rows, columns)`, or `(rows, columns, 3 | 4)`.

        The last could be a stack as well, of pictures that are 3 or 4 pixels wide; it is taken for
        one where these would be as low, since then they are likely to be meant.
        """
        if array.ndim == 3:
            return array.shape[2] in (3, 4) and array.shape[1] > 4
        return array.ndim < 3

    def shape(self) -> GridShape:
        """Return `channels`, rows and columns; both axes count pixels, and their order means it."""
        rows, columns = self.size
        return GridShape(
            self.channels, rows, columns, Axis("row", "pixels"), Axis("column", "pixels")
        )

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        """Return one picture as float32 `(channels, rows, columns)`, every cell in -1..1.

        Args:
            thing: a path (text is always a path), the bytes of a picture file, a file open in
                binary mode, a Pillow image, or an array `(rows, columns)`,
                `(rows, columns, 1 | 2 | 3 | 4)` (grey; grey and opacity; colours; colours and
                opacity) or `(1 | 3 | 4, rows, columns)` of uint8, uint16, bool or floats. An array
                that could be either has its channels last.

        Raises:
            DataError: it is no picture, cannot be read, or is larger than `max_pixels`.
        """
        return self._grid(self._pixels(thing))

    def _pixels(self, thing: Any) -> Pixels:
        return pixels_of_array(
            self._array(thing),
            float_range=self.float_range,
            background=None if self.background == "auto" else _colour(self.background),
        )

    def _array(self, thing: Any) -> Any:
        """Return what the thing shows as an array; arrays are handed on as they are."""
        if isinstance(thing, np.ndarray):
            return thing
        if isinstance(thing, str | os.PathLike):
            return decoded_file(thing, max_pixels=self.max_pixels)
        if isinstance(thing, bytes | bytearray | memoryview):
            return decoded_bytes(bytes(thing), max_pixels=self.max_pixels)
        # Without Pillow loaded nothing can be a Pillow image, and loading it takes time.
        pillow = sys.modules.get("PIL.Image")
        if pillow is not None and isinstance(thing, pillow.Image):
            return decoded_image(thing, max_pixels=self.max_pixels)
        if callable(getattr(thing, "read", None)):
            return decoded_stream(thing, max_pixels=self.max_pixels)
        if hasattr(thing, "__array__") or isinstance(thing, list | tuple):
            return thing
        raise DataError(
            f"an object of type {type(thing).__name__} is no picture; a path, the bytes of a file, "
            "an open binary file, a Pillow image or an array was expected"
        )

    def _grid(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return pixels as cells, `(channels, rows, columns)`."""
        window = self._window_without_ink(pixels)
        surrounded = window.top < 0 or window.left < 0
        if "ink" not in (self.fit, self.polarity) and not surrounded:
            return self._toned(resampled(pixels, window, size=self.size))
        background = background_of(pixels)
        pixels = unframed(pixels, background)
        if self.fit == "ink":
            drawn = window_of_ink(pixels, background, margin=self.margin)
            window = window if drawn is None else drawn.grown(self._aspect)
        if self.polarity != "ink":
            fill = background.colour[:, None, None]
            return self._toned(resampled(pixels, window, size=self.size, fill=fill))
        paper = background.seen_through(window, self.size)
        planes = resampled(pixels, window, size=self.size, fill=paper)
        ink = inked(planes, paper, noise=background.noise, channels=self.channels)
        ink *= 2
        ink -= 1
        return ink

    @property
    def _aspect(self) -> float:
        rows, columns = self.size
        return columns / rows

    def _window_without_ink(self, pixels: Pixels) -> Window:
        window = whole(pixels)
        if self.fit == "stretch":
            return window
        return window.shrunk(self._aspect) if self.fit == "crop" else window.grown(self._aspect)

    def _toned(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return values of 0 to 255 as cells of -1 to 1, in the channels that are wanted."""
        if len(planes) != self.channels:
            grey = grey_of(planes.transpose(1, 2, 0))[None]
            planes = grey if self.channels == 1 else np.repeat(planes, 3, axis=0)
        cells: NDArray[np.float32] = planes / _HALF
        cells -= 1
        # Interpolation rounds, and may leave the range by the last digit.
        np.clip(cells, -1, 1, out=cells)
        return -cells if self.polarity == "invert" else cells


def _colour(text: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255; raise `ValueError` where the text is no such colour."""
    from PIL import ImageColor

    try:
        colour = ImageColor.getrgb(text)
    except ValueError:
        raise ValueError(
            f"a colour is a name such as 'white', '#rrggbb', or 'auto'; got {shown(text)}"
        ) from None
    if len(colour) != 3:
        raise ValueError(f"a background is opaque, as '#rrggbb'; got {shown(text)}")
    return colour
