"""Decoding: picture files, in any colour mode, as arrays; nothing but `DataError` comes out."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.opening import content_of, first_line, opened
from gridcnn.errors import DataError
from gridcnn.forks import hold_over_forks, start_over_in_children

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
)
_READ = "PNG, JPEG, BMP, GIF, TIFF and WebP are read"
_ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held


def decoded_file(place: str | os.PathLike[str], *, max_pixels: int) -> NDArray[Any]:
    """Return the first picture of the file at `place` as an array, as `decoded_image` does."""
    with opened(place, wanted="a picture file") as file:
        return _decoded_stream(file, max_pixels=max_pixels)


def decoded_bytes(content: bytes, *, max_pixels: int) -> NDArray[Any]:
    """Return the first picture of an encoded file's content as an array."""
    if not content:
        raise DataError("the picture is empty (0 bytes)")
    return _decoded_stream(BytesIO(content), max_pixels=max_pixels)


def decoded_stream(file: IO[bytes], *, max_pixels: int) -> NDArray[Any]:
    """Return the first picture of an open binary file, read from its start where it can seek."""
    return decoded_bytes(content_of(file), max_pixels=max_pixels)


def _decoded_stream(file: IO[bytes], *, max_pixels: int) -> NDArray[Any]:
    import PIL.TiffImagePlugin
    import PIL.WebPImagePlugin  # noqa: F401 - both named here, or Pillow loads every plug-in it has
    from PIL import Image

    with _told_in_one_sentence(), Image.open(file, formats=FORMATS) as image:
        return _array(image, max_pixels=max_pixels)


def decoded_image(image: Image, *, max_pixels: int) -> NDArray[Any]:
    """Return a Pillow image, upright, as an array of its own number type.

    The array is `(rows, columns)` or `(rows, columns, 2 | 3 | 4)`: grey and opacity; red, green
    and blue; these and opacity.

    Raises:
        DataError: it has too many pixels, is damaged, or holds numbers of no known range.
    """
    with _told_in_one_sentence():
        return _array(image, max_pixels=max_pixels)


class _Silence:
    """Silences warnings while at least one thread is inside.

    The filters of warnings belong to the whole process: if each thread set them back to what it
    found, the last one could leave behind what another one had set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = contextlib.ExitStack()
        hold_over_forks(self._lock)
        start_over_in_children(self)

    def start_over(self) -> None:
        """Let warnings be heard: the threads that were inside are not in a forked child."""
        self._inside = 0
        self._before.close()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.close()


_SILENCE = _Silence()


@contextlib.contextmanager
def _told_in_one_sentence() -> Iterator[None]:
    """Turn whatever Pillow raises on foreign bytes into `DataError`, and silence its warnings."""
    from PIL import Image, UnidentifiedImageError

    try:
        with _SILENCE:
            yield
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"its content is no picture of a known format; {_READ}") from None
    except Image.DecompressionBombError:
        raise DataError(
            "it declares more pixels than Pillow agrees to decode (PIL.Image.MAX_IMAGE_PIXELS); "
            "make it smaller"
        ) from None
    except MemoryError:
        raise DataError("there is not enough memory to decode it") from None
    except Exception as error:  # damaged files make decoders raise almost anything
        raise DataError(f"the picture is damaged or not supported: {first_line(error)}") from None


def _array(image: Image, *, max_pixels: int) -> NDArray[Any]:
    columns, rows = image.size
    if columns < 1 or rows < 1:
        raise DataError(f"a picture of {rows} x {columns} pixels holds nothing")
    if rows * columns > max_pixels:
        raise DataError(
            f"it declares {rows} x {columns} = {rows * columns:,} pixels; the setting 'max_pixels' "
            f"of image allows {max_pixels:,}"
        )
    image.load()
    return _numbers(_upright(image))


def _upright(image: Image) -> Image:
    from PIL.Image import Transpose

    try:
        held = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged notes do not make the picture unreadable
        held = 1
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(held) if isinstance(held, int) else None
    return image if turn is None else image.transpose(turn)


def _numbers(image: Image) -> NDArray[Any]:
    """Return the pixels of any colour mode as grey or colours, with opacity where there is any."""
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image)
    if mode == "I":
        return _sixteen_bits(np.asarray(image))
    if mode == "F":
        return np.asarray(image)
    see_through = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    grey = mode in ("1", "L", "LA", "La")
    wanted = ("LA" if see_through else "L") if grey else ("RGBA" if see_through else "RGB")
    return np.asarray(image if image.mode == wanted else image.convert(wanted))


def _sixteen_bits(values: NDArray[Any]) -> NDArray[Any]:
    least, most = int(values.min()), int(values.max())
    if least < 0 or most > 65_535:
        raise DataError(
            f"its 32-bit pixels reach from {least} to {most}; whole numbers from 0 to 65535 are "
            "read, or save it with 8 or 16 bits"
        )
    return values.astype(np.uint16)
