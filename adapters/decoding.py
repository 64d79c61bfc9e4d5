"""Decoding: picture files, in any colour mode, upright; every error is a `DataError`."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters import foreign, jpeg, png
from gridcnn.adapters.opening import content_at, content_of, first_line, open_file
from gridcnn.adapters.picture import Need, Picture, Values
from gridcnn.adapters.resampling import Window
from gridcnn.errors import DataError
from gridcnn.forks import hold_over_forks, start_over_in_children
from gridcnn.memory import BUDGET

if TYPE_CHECKING:
    from PIL.Image import Image

Length = TypeVar("Length", int, float)

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
SUFFIXES = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp",
        ".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".avif",
    }
)  # fmt: skip
_UNKNOWN = (
    "its content is not a picture in a known format; PNG, JPEG, BMP, GIF, TIFF, WebP, PPM, PGM and "
    "PBM are read"
)
_ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held
_LYING = frozenset({5, 6, 7, 8})  # how the camera was held where rows are stored as columns, ...
_UPSIDE_DOWN = frozenset({3, 4, 7, 8})  # ... where the last row is shown first, ...
_BACKWARDS = frozenset({2, 3, 6, 7})  # ... and where the last column is
_NO_MEMORY = "there is not enough memory to decode it"
_AT_ONCE = 2**25  # bytes of a file that is read as a whole
# Bytes of memory for a pixel, at most: of a JPEG file that is decoded to bytes; besides it, if it
# is progressive; and of any other picture.
_PLAIN, _COEFFICIENTS, _USUAL = 8, 6, 20


def decode_file(
    place: str | os.PathLike[str], *, max_pixels: int, need: Need | None = None
) -> Picture:
    """Return the first picture of the file at `place`, as `decode_image` does."""
    if need is not None:
        content = content_at(place, most=_AT_ONCE)
        if content is not None:
            return decode_bytes(content, max_pixels=max_pixels, need=need)
    with open_file(place, wanted="a picture file") as file:
        return _decode_stream(file, max_pixels=max_pixels, need=need)


def decode_bytes(content: bytes, *, max_pixels: int, need: Need | None = None) -> Picture:
    """Return the first picture of an encoded file's content."""
    if not content:
        raise DataError("the picture is empty (0 bytes)")
    if need is not None or content.startswith(png.START):
        try:
            read = _quick(content)
            picture = None if read is None else read(content, max_pixels, need)
        except MemoryError:
            raise DataError(_NO_MEMORY) from None
        if picture is not None:
            return picture
    return _decode_stream(BytesIO(content), max_pixels=max_pixels, need=need)


def decode_stream(file: IO[bytes], *, max_pixels: int, need: Need | None = None) -> Picture:
    """Return the first picture of an open binary file, read from its start where it can seek."""
    return decode_bytes(content_of(file), max_pixels=max_pixels, need=need)


def _quick(content: bytes) -> Callable[[bytes, int, Need | None], Picture | None] | None:
    """Return what reads a file of a common format, if it is of the usual kind."""
    if content.startswith(jpeg.START):
        return _decode_jpeg
    return _decode_png if content.startswith(png.START) else None


def _decode_jpeg(content: bytes, max_pixels: int, need: Need | None) -> Picture | None:
    """Return the picture of a usual JPEG file; None: Pillow has to look, or say what is wrong."""
    header = jpeg.header_of(content)
    if need is None or header is None or header.rows * header.columns > max_pixels:
        return None
    scale = need.scale(*_upright_size(header.rows, header.columns, header.orientation))
    pixels = header.rows * header.columns
    size = _PLAIN * pixels // scale**2 + _COEFFICIENTS * pixels * header.progressive
    with BUDGET.borrow(size):
        image = jpeg.decode(content, header, scale=scale, grey=need.grey)
        if image is None:
            return None
        window = Window(0, 0, header.rows / scale, header.columns / scale)
        return need.reduce(*_upright(image, window, header.orientation))


def _decode_png(content: bytes, max_pixels: int, need: Need | None) -> Picture | None:
    """Return the picture of a usual PNG file; None: Pillow has to look, or say what is wrong."""
    header = png.header_of(content)
    if header is None or header.rows * header.columns > max_pixels:
        return None
    with BUDGET.borrow(_PLAIN * header.rows * header.columns):
        image = png.decode(content, header)
        if image is None:
            return None
        window = Window(0, 0, header.rows, header.columns)
        return Picture(np.asarray(image), window) if need is None else need.reduce(image, window)


def _decode_stream(file: IO[bytes], *, max_pixels: int, need: Need | None) -> Picture:
    import PIL.TiffImagePlugin
    import PIL.WebPImagePlugin  # noqa: F401 - both named here, or Pillow loads every plug-in it has
    from PIL import Image, UnidentifiedImageError

    with _one_sentence():
        head = file.read(foreign.HEAD)
        file.seek(0)
        packaged = foreign.packaged_format(head)
        formats = FORMATS if packaged is None else (packaged,)
        try:
            opened_image = Image.open(file, formats=formats)
        except UnidentifiedImageError:
            kind = foreign.describe(head)
            raise DataError(_UNKNOWN if kind is None else f"it is {kind}") from None
        with opened_image as image:
            return _picture(image, max_pixels=max_pixels, need=need, is_ours=True)


def decode_image(image: Image, *, max_pixels: int, need: Need | None = None) -> Picture:
    """Return what a Pillow image shows, upright.

    It may have been made smaller if only what `need` tells is needed; else the pixels are an array.

    Raises:
        DataError: it has too many pixels, is damaged, or needs more memory than may be used.
    """
    with _one_sentence():
        return _picture(image, max_pixels=max_pixels, need=need, is_ours=False)


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
        """Turn warnings on: the threads that were inside are not in a forked child."""
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
def _one_sentence() -> Iterator[None]:
    """Turn any error of Pillow into a `DataError`, and silence its warnings."""
    from PIL import Image

    try:
        with _SILENCE:
            yield
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(
            "it declares more pixels than Pillow decodes (PIL.Image.MAX_IMAGE_PIXELS); "
            "make it smaller"
        ) from None
    except MemoryError:
        raise DataError(_NO_MEMORY) from None
    except Exception as error:  # damaged files make decoders raise almost anything
        raise DataError(f"the picture is damaged or not supported: {first_line(error)}") from None


def _picture(image: Image, *, max_pixels: int, need: Need | None, is_ours: bool) -> Picture:
    columns, rows = image.size
    if columns < 1 or rows < 1:
        raise DataError(f"a picture of {rows} x {columns} pixels is empty")
    if rows * columns > max_pixels:
        raise DataError(
            f"it declares {rows} x {columns} = {rows * columns:,} pixels; the setting 'max_pixels' "
            f"of image allows {max_pixels:,}"
        )
    with BUDGET.borrow(_USUAL * rows * columns):
        scale = 1
        if need is not None and is_ours and image.format in ("JPEG", "MPO"):
            scale = need.scale(*_upright_size(rows, columns, _orientation(image)))
            image.draft("L" if need.grey else image.mode, (columns // scale, rows // scale))
        image.load()
        # Only now: of a TIFF file, Pillow itself turns what it loads.
        wide, high = (columns / scale, rows / scale) if scale > 1 else image.size
        image, window = _upright(image, Window(0, 0, high, wide), _orientation(image))
        values = _values(image)
        if need is None or isinstance(values, np.ndarray):
            return Picture(np.asarray(values), window)
        return need.reduce(values, window)


def _orientation(image: Image) -> int:
    """Return how the camera was held, 1 (upright) to 8, as Exif numbers it."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged notes do not make the picture unreadable
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _upright_size(rows: Length, columns: Length, orientation: int) -> tuple[Length, Length]:
    """Return rows and columns of a picture once it is upright."""
    return (columns, rows) if orientation in _LYING else (rows, columns)


def _upright(image: Image, window: Window, orientation: int) -> tuple[Image, Window]:
    """Return a picture upright, and the part of it that a window, from its first pixel, shows."""
    if orientation == 1:
        return image, window
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }[orientation]
    image = image.transpose(turn)
    height, width = _upright_size(window.bottom, window.right, orientation)
    # What was cut at the end is at the other end where the direction is reversed.
    top = image.size[1] - height if orientation in _UPSIDE_DOWN else 0
    left = image.size[0] - width if orientation in _BACKWARDS else 0
    return image, Window(top, left, top + height, left + width)


def _values(image: Image) -> Values:
    """Return the pixels of any colour mode as grey or colours, with opacity where there is any.

    Those of 8 bits are a Pillow image, those of more an array.
    """
    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        return np.asarray(image)
    see_through = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if mode == "1" and not see_through:
        return np.asarray(image)
    grey = mode in ("1", "L", "LA", "La")
    wanted = ("LA" if see_through else "L") if grey else ("RGBA" if see_through else "RGB")
    return image if image.mode == wanted else image.convert(wanted)


def sixteen_bits(values: NDArray[Any]) -> NDArray[Any]:
    """Return the 32-bit pixels of a file as the 16-bit ones that they mostly are.

    Raises:
        DataError: some are larger, or negative.
    """
    least, most = int(values.min()), int(values.max())
    if least < 0 or most > 65_535:
        raise DataError(
            f"its 32-bit pixels reach from {least} to {most}; whole numbers from 0 to 65535 are "
            "read; say in the setting 'range' of image which are black and white"
        )
    return values.astype(np.uint16)
