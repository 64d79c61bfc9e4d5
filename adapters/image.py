"""The image adapter: pictures of any format, size and colour mode as grids of one shape."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from gridcnn.adapters.decoding import (
    SUFFIXES,
    decode_bytes,
    decode_file,
    decode_image,
    decode_stream,
    sixteen_bits,
)
from gridcnn.adapters.ink import (
    background_of,
    border_colour,
    ink_of,
    remove_frame,
    window_of_ink,
)
from gridcnn.adapters.picture import Need, Picture
from gridcnn.adapters.pixels import (
    DARK,
    FULL,
    Pixels,
    array_of,
    grey_of,
    image_of,
    pixels_of_array,
    range_remarks,
)
from gridcnn.adapters.resampling import Window, resample, resize_whole, whole
from gridcnn.contracts.adapter import Adapted, Adapter, Things, fill
from gridcnn.errors import DataError, shown
from gridcnn.grid import Axis, Cells, Grids, GridShape
from gridcnn.settings.base import Many, Number
from gridcnn.settings.pairs import Sizes

_MOST_PIXELS = 178_956_970  # where Pillow raises DecompressionBombError by default
_MOST_OF_16_BITS = 65_535
_LOOKED_AT = 32  # training pictures that are sampled for how much of their range they use
_TOGETHER = 2**19
"""Bytes of cells that are made at a time, which stay in the processor's cache."""
_HALF = np.float32(FULL / 2)


class ImageAdapter(Adapter):
    """Pictures: files, encoded bytes, open binary files, Pillow images and arrays.

    Black becomes -1 and white 1, in grey or in red, green and blue.
    """

    title: ClassVar[str] = "image"
    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    threads: ClassVar[bool] = True
    processes: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("pillow",)

    size: Sizes = (32, 32)
    """Rows and columns of the grid, in cells."""
    channels: Literal[1, 3] = 1
    """1: grey; 3: red, green and blue."""
    fit: Literal["pad", "crop", "stretch", "ink"] = "pad"
    """How a picture is resized. `pad`: all of it, undistorted, with its border's colour around
    it; `crop`: its middle, undistorted; `stretch`: all of it, distorted;
    `ink`: the drawing on it, undistorted, wherever it is and however large; page edges and ruled
    lines along its sides are not drawn on it. Cells are averages of
    the pixels under them, or are interpolated where pixels are too few; they never overshoot."""
    margin: Annotated[Number, Field(ge=0, le=4)] = 0.125
    """With `fit: ink`, the margin around the ink on each side, as a part of its longer side."""
    polarity: Literal["keep", "invert", "ink"] = "keep"
    """`keep`: bright stays bright; `invert`: dark becomes bright; `ink`: what differs from the
    colour of the border becomes bright and the rest -1, so that a dark pencil on paper, chalk on a
    blackboard and a coloured pen all look alike."""
    background: str = "auto"
    """The colour behind transparent pixels, as a name (`white`) or as `#rrggbb`; `auto`: black or
    white, whichever differs more from what is opaque."""
    range: tuple[Number, Number] | None = None
    """The values of black and white, such as `[0, 4095]` for 12 bits in files of 16; null: the
    range of their type: 0 to 255 for uint8, 0 to 65535 for uint16, and 0 to 1 for floats.
    Values outside of this range are an error."""
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
        if self.range is not None and not self.range[0] < self.range[1]:
            low, high = self.range
            raise ValueError(
                f"'range' must be [low, high] with low below high; got [{low:g}, {high:g}]"
            )
        return self

    def fitted(self, things: Things) -> Self:
        """Return the adapter itself, which learns nothing.

        Raises:
            DataError: the items are rows of numbers, and not pictures.
        """
        if len(things) and all(
            isinstance(thing, np.ndarray) and thing.ndim == 1 for thing in things
        ):
            raise DataError(
                f"an item has the shape {np.shape(things[0])}, and is not a picture: for pictures "
                "that were flattened, give X.reshape(-1, rows, columns); for rows of a table, "
                "set adapter: table; for sound clips, set adapter: audio"
            )
        return self

    def remarks(self, things: Things, grids: Cells, *, training: bool = False) -> Mapping[str, int]:
        """Return how many training pictures use a small part of their type's range: all is dark."""
        if not training or self.range is not None or not len(things):
            return {}
        chosen = np.unique(np.linspace(0, len(things) - 1, _LOOKED_AT).astype(np.int64))
        if self.polarity != "ink":
            cells = np.asarray(grids[chosen]).reshape(len(chosen), -1)
            brightest = -cells.min(axis=1) if self.polarity == "invert" else cells.max(axis=1)
            if brightest.min() > 2 * DARK - 1:  # none is dark, and so no type of pixels is
                return {}
        return range_remarks([self._raw(things[index]) for index in chosen.tolist()])

    def _raw(self, thing: Any) -> NDArray[Any] | None:
        """Return the numbers of a picture without its opacity; None if it cannot be read."""
        need = Need(self.size, "stretch", grey=True)
        try:
            picture = self._decode(thing, need)
            array = array_of(picture.array() if isinstance(picture, Picture) else picture)
        except DataError:
            return None
        is_32_bit = isinstance(picture, Picture) and array.dtype == np.int32
        array = array[:, :, :-1] if array.shape[2] in (2, 4) else array
        return array.astype(np.uint16) if is_32_bit and array.max() <= _MOST_OF_16_BITS else array

    def literal(self) -> Self:
        """Return the adapter that shows all of each picture, as bright as it is."""
        fit = "pad" if self.fit == "ink" else self.fit
        return self.model_copy(update={"fit": fit, "polarity": "keep"})

    def takes_array(self, dimensions: int) -> bool:
        """Return whether an array of so many dimensions may be a picture: of two or three."""
        return dimensions in (2, 3)

    def is_lone(self, array: NDArray[Any]) -> bool:
        """Return whether an array is one picture: `(rows, columns)`, or `(rows, columns, 3 | 4)`.

        The last could be a stack as well, of pictures that are 3 or 4 pixels wide; it is read as
        one if these would be as low, since then a stack is likely.
        """
        if array.ndim == 3:
            return array.shape[2] in (3, 4) and array.shape[1] > 4
        return array.ndim < 3

    def shape(self) -> GridShape:
        """Return `channels`, rows and columns; both axes count pixels, and are ordered."""
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
            DataError: it is not a picture, cannot be read, or is larger than `max_pixels`.
        """
        read = self._bytes_or_cells(thing)
        return read if isinstance(read, np.ndarray) else self._cells_of_bytes([read])[0]

    def adapt_all(
        self,
        things: Things,
        *,
        names: Sequence[str] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> Adapted:
        """Return all pictures as grids, and a problem for each that cannot be read."""
        shape = self.shape()
        values = np.empty((len(things), *shape.sizes), np.float32)
        places = _Places(values, self._cells_of_bytes)
        kept, problems = fill(places, self._bytes_or_cells, things, names=names, advance=advance)
        places.flush()
        return Adapted(Grids(values[: len(kept)], shape), kept, problems)

    def _bytes_or_cells(self, thing: Any) -> bytes | NDArray[np.float32]:
        """Return one picture as `adapt` does, or its bytes, `(rows, columns, channels)`.

        Small pictures are bytes to the end, and become numbers many at a time: those of each would
        take as long as resizing it.
        """
        if self.fit == "ink" or self.polarity == "ink":
            return self._ink_cells(self._picture(thing, None).array())
        picture = self._picture(thing, self._need())
        values, window = picture
        if isinstance(values, np.ndarray) or len(values.mode) != self.channels:
            return self._plain(picture)
        width, height = values.size
        if window != Window(0, 0, height, width) or self._window_without_ink(window) != window:
            return self._plain(picture)
        return resize_whole(values, self.size).tobytes()

    def pixels(self, thing: Any) -> NDArray[Any]:
        """Return all pixels of one picture as they are decoded, upright, `(rows, columns, n)`.

        The channels are grey; grey and opacity; colours; or colours and opacity.

        Args:
            thing: as `adapt` takes it.

        Raises:
            DataError: as `adapt` does.
        """
        picture = self._decode(thing, None)
        array = array_of(picture.array() if isinstance(picture, Picture) else picture)
        return array.astype(np.uint8) * np.uint8(FULL) if array.dtype == np.bool_ else array

    def _need(self) -> Need:
        """Return the part of a picture that a grid shows, if no ink is searched."""
        assert self.fit != "ink"
        return Need(self.size, self.fit, grey=self.channels == 1)

    def _picture(self, thing: Any, need: Need | None) -> Picture:
        """Return a thing as a picture on the scale of 0 to 255, without opacity.

        It is an array `(rows, columns, 1 | 3)`, or of bytes a Pillow image in mode L or RGB; that
        may be smaller if only what `need` tells is needed.
        """
        picture = self._decode(thing, need)
        limits = self.range
        plain = limits in (None, (0, 255))  # for bytes, which need no scaling then
        decoded = isinstance(picture, Picture)
        if not isinstance(picture, Picture):
            array = array_of(picture)
            picture = Picture(array, whole(array))
        elif plain and _is_plain(picture):
            return picture
        array = array_of(picture.array())
        if array.dtype == np.bool_:  # black and white, whatever others hold
            array, limits, plain = array.astype(np.uint8) * np.uint8(FULL), None, True
        elif decoded and array.dtype == np.int32 and limits is None:
            array = sixteen_bits(array)
        if need is not None and isinstance(picture.values, np.ndarray) and array.dtype == np.uint8:
            picture = need.reduce(image_of(array), picture.window)
            if plain and _is_plain(picture):
                return picture
            array = array_of(picture.array())
        background = None if self.background == "auto" else _colour(self.background)
        pixels = pixels_of_array(array, limits=limits, background=background)
        return Picture(pixels, picture.window)

    def _decode(self, thing: Any, need: Need | None) -> Any:
        """Return the item as a `Picture`; arrays are passed on unchanged."""
        if isinstance(thing, np.ndarray):
            return thing
        if isinstance(thing, str | os.PathLike):
            return decode_file(thing, max_pixels=self.max_pixels, need=need)
        if isinstance(thing, bytes | bytearray | memoryview):
            return decode_bytes(bytes(thing), max_pixels=self.max_pixels, need=need)
        # Without Pillow loaded nothing can be a Pillow image, and loading it takes time.
        pillow = sys.modules.get("PIL.Image")
        if pillow is not None and isinstance(thing, pillow.Image):
            return decode_image(thing, max_pixels=self.max_pixels, need=need)
        if callable(getattr(thing, "read", None)):
            return decode_stream(thing, max_pixels=self.max_pixels, need=need)
        if hasattr(thing, "__array__") or isinstance(thing, list | tuple):
            return thing
        raise DataError(
            f"an object of type {type(thing).__name__} is not a picture; give a path, the bytes of "
            "a file, an open binary file, a Pillow image or an array"
        )

    def _plain(self, picture: Picture) -> NDArray[np.float32]:
        """Return a picture as cells, without a search for ink, `(channels, rows, columns)`."""
        window = self._window_without_ink(picture.window)
        fill = None
        if window.height > picture.window.height or window.width > picture.window.width:
            fill = border_colour(picture.values)[:, None, None]
        planes = resample(picture.values, window, size=self.size, fill=fill, bounds=picture.window)
        # What comes of bytes is an array of its own.
        is_own = not isinstance(picture.values, np.ndarray)
        return self._to_cells(planes, out=planes if is_own else None)

    def _ink_cells(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return pixels as cells, with a search for ink, `(channels, rows, columns)`."""
        window = self._window_without_ink(whole(pixels))
        background = background_of(pixels)
        pixels = remove_frame(pixels, background)
        if self.fit == "ink":
            drawn = window_of_ink(pixels, background, margin=self.margin)
            window = window if drawn is None else drawn.grown(self._aspect)
        if self.polarity != "ink":
            fill = background.colour[:, None, None]
            return self._to_cells(resample(pixels, window, size=self.size, fill=fill))
        paper = background.paper_in(window, self.size)
        planes = resample(pixels, window, size=self.size, fill=paper)
        ink = ink_of(planes, paper, noise=background.noise, channels=self.channels)
        ink *= 2
        ink -= 1
        return ink

    @property
    def _aspect(self) -> float:
        rows, columns = self.size
        return columns / rows

    def _window_without_ink(self, window: Window) -> Window:
        """Return the part to show of a picture, which lies in a window, if there is no ink."""
        if self.fit == "stretch":
            return window
        return window.shrunk(self._aspect) if self.fit == "crop" else window.grown(self._aspect)

    def _to_cells(
        self, planes: NDArray[np.float32], *, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return values of 0 to 255 as cells of -1 to 1, in the channels that are wanted.

        They are written to `out` if the channels are right already.
        """
        if len(planes) != self.channels:
            grey = grey_of(planes.transpose(1, 2, 0))[None]
            planes = grey if self.channels == 1 else np.repeat(planes, 3, axis=0)
            out = None
        return self._scale(planes, out)

    def _cells_of_bytes(
        self, contents: Sequence[bytes], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return the bytes of pictures `(rows, columns, channels)` as cells; written to `out`."""
        values = np.frombuffer(b"".join(contents), np.uint8)
        pictures = values.reshape(len(contents), *self.size, self.channels)
        if out is None:
            out = np.empty((len(contents), self.channels, *self.size), np.float32)
        out[:] = pictures.transpose(0, 3, 1, 2)
        return self._scale(out, out)

    def _scale(
        self, planes: NDArray[np.float32], out: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        cells: NDArray[np.float32] = np.divide(planes, _HALF, out=out)
        cells -= 1
        # Interpolation rounds, and may leave the range by the last digit.
        np.maximum(cells, -1, out=cells)
        np.minimum(cells, 1, out=cells)
        return np.negative(cells, out=cells) if self.polarity == "invert" else cells


class _Places:
    """Places for pictures: cells are kept at once, bytes become cells some at a time.

    Args:
        values: the cells of all pictures, `(items, channels, rows, columns)`.
        to_cells: writes the cells of some pictures, given as bytes, to the second argument.
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        to_cells: Callable[[Sequence[bytes], NDArray[np.float32]], object],
    ) -> None:
        self._values, self._to_cells = values, to_cells
        self._contents: list[bytes] = []
        self._most = max(1, _TOGETHER // max(1, values[:1].nbytes))
        self._start = 0

    def __setitem__(self, index: int, read: bytes | NDArray[np.float32]) -> None:
        if isinstance(read, bytes):
            if not self._contents:
                self._start = index
            self._contents.append(read)
            if len(self._contents) < self._most:
                return
            self.flush()
        else:
            self.flush()
            self._values[index] = read

    def flush(self) -> None:
        """Make the cells of the pictures that wait."""
        if self._contents:
            end = self._start + len(self._contents)
            self._to_cells(self._contents, self._values[self._start : end])
            self._contents = []


def _is_plain(picture: Picture) -> bool:
    """Return whether a picture is of bytes, and opaque: a Pillow image in mode L or RGB."""
    return not isinstance(picture.values, np.ndarray) and picture.values.mode in ("L", "RGB")


def _colour(text: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255; raise `ValueError` if the text is not a colour."""
    from PIL import ImageColor

    try:
        colour = ImageColor.getrgb(text)
    except ValueError:
        raise ValueError(
            f"a colour is a name such as 'white', '#rrggbb', or 'auto'; got {shown(text)}"
        ) from None
    if len(colour) != 3:
        raise ValueError(f"a background must be opaque, such as '#rrggbb'; got {shown(text)}")
    return colour
