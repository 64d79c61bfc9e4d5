"""The image adapter: pictures of any format, size and colour mode as grids of one shape."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydantic import ValidationError

from gridcnn.adapters.image import ImageAdapter
from gridcnn.errors import DataError

Draw = Callable[[int, int], list[tuple[Image.Image, str]]]
INK = ImageAdapter(fit="ink", polarity="ink")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")


def _grey(rows: int = 32, columns: int = 32, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)


def _colours(rows: int = 32, columns: int = 32, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def _encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _declaring(rows: int, columns: int) -> bytes:
    """Return a PNG of a few bytes that declares any size in its header."""
    content = bytearray(_encoded(Image.new("1", (1, 1))))
    header = slice(12, 29)  # the chunk's name, width, height and five flags; its checksum follows
    content[16:24] = struct.pack(">II", columns, rows)
    content[29:33] = struct.pack(">I", zlib.crc32(content[header]))
    return bytes(content)


def _cross(
    size: tuple[int, int] = (200, 200),
    *,
    ink: Any = (0, 0, 0),
    paper: Any = (255, 255, 255),
    box: tuple[int, int, int, int] = (40, 40, 160, 160),
    width: int = 12,
    mode: str = "RGB",
) -> Image.Image:
    image = Image.new(mode, size, paper)
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = box
    pen.line((left, top, right, bottom), ink, width)
    pen.line((left, bottom, right, top), ink, width)
    return image


# Cells


def test_grey_pixels_become_cells_exactly() -> None:
    """A uint8 picture of the grid's size is taken cell by cell, as value / 127.5 - 1."""
    pixels = _grey()

    cells = ImageAdapter().adapt(pixels)

    assert cells.dtype == np.float32
    np.testing.assert_array_equal(cells, pixels[None].astype(np.float32) / np.float32(127.5) - 1)


def test_colours_become_three_channels() -> None:
    """With three channels, red, green and blue are three planes of cells."""
    pixels = _colours()

    cells = ImageAdapter(channels=3).adapt(pixels)

    np.testing.assert_allclose(cells, pixels.transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)


def test_a_grey_picture_fills_three_channels() -> None:
    """Grey is equal parts of red, green and blue, and back again without loss."""
    pixels = _grey()

    cells = ImageAdapter(channels=3).adapt(pixels)

    assert cells.shape == (3, 32, 32)
    np.testing.assert_array_equal(cells, np.repeat(ImageAdapter().adapt(pixels), 3, axis=0))
    np.testing.assert_array_equal(
        ImageAdapter().adapt(np.repeat(pixels[:, :, None], 3, axis=2)), cells[:1]
    )


def test_colours_become_grey_by_their_brightness() -> None:
    """Grey is the luma of ITU-R BT.601: green is brighter than red, red brighter than blue."""
    pixels = np.eye(3, dtype=np.uint8)[None] * 255

    cells = ImageAdapter(size=(1, 3)).adapt(pixels)

    np.testing.assert_allclose((cells[0, 0] + 1) / 2, [0.299, 0.587, 0.114], atol=1e-6)


def test_the_shape_counts_pixels_in_order() -> None:
    """Both axes of the grid are counted in pixels, and their order has a meaning."""
    shape = ImageAdapter(size=(24, 40), channels=3).shape()

    assert shape.sizes == (3, 24, 40)
    assert (shape.row_axis.name, shape.column_axis.name) == ("row", "column")
    assert (shape.row_axis.unit, shape.column_axis.unit) == ("pixels", "pixels")
    assert shape.row_axis.ordered
    assert shape.column_axis.ordered


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 255]], np.uint8), [-1, 1]),
        (np.array([[0, 65535]], np.uint16), [-1, 1]),
        (np.array([[0, 65535]], ">u2"), [-1, 1]),
        (np.array([[False, True]]), [-1, 1]),
        (np.array([[0.25, 1]]), [-0.5, 1]),
        (np.array([[0.25, 1]], np.float32), [-0.5, 1]),
        (np.array([[0.25, 1]], np.float16), [-0.5, 1]),
    ],
)
def test_each_number_type_has_its_range(pixels: NDArray[Any], expected: list[float]) -> None:
    """uint8, uint16 and bool have their full range; floats have `float_range`."""
    assert ImageAdapter(size=(1, 2)).adapt(pixels)[0, 0].tolist() == expected


def test_the_range_of_floats_is_a_setting() -> None:
    """`float_range` says what is black and what is white in arrays of floats."""
    adapter = ImageAdapter(size=(1, 3), range=(-1.0, 3.0))

    assert adapter.adapt(np.array([[-1.0, 1.0, 3.0]]))[0, 0].tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("shape", "planes"),
    [
        ((20, 30), 1),
        ((20, 30, 1), 1),
        ((20, 30, 3), 3),
        ((1, 20, 30), 1),
        ((3, 20, 30), 3),
    ],
)
def test_channels_may_stand_first_or_last(shape: tuple[int, ...], planes: int) -> None:
    """Arrays of either layout give the same grid."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, planes), dtype=np.uint8)
    given = pixels.transpose(2, 0, 1) if shape[0] == planes else pixels
    adapter = ImageAdapter(channels=3)

    np.testing.assert_array_equal(adapter.adapt(given.reshape(shape)), adapter.adapt(pixels))


def test_channels_are_looked_for_in_the_last_dimension_first() -> None:
    """An array that could be either has its channels last."""
    pixels = np.zeros((3, 20, 3), np.uint8)
    pixels[0] = 255

    cells = ImageAdapter(size=(3, 20), channels=3).adapt(pixels)

    assert (cells[:, 0] == 1).all()
    assert (cells[:, 1:] == -1).all()


# Doors


@pytest.mark.parametrize("adapter", [ImageAdapter(), ImageAdapter(channels=3, fit="crop"), INK])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "1"])
def test_the_same_picture_through_any_door_is_the_same_grid(
    adapter: ImageAdapter, mode: str, tmp_path: Path
) -> None:
    """A path, bytes, an open file, a Pillow image and an array give the identical grid."""
    if mode == "I;16":
        image = Image.fromarray(_grey(50, 70).astype(np.uint16) * 200)
    else:
        image = Image.fromarray(_colours(50, 70)).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(_grey(50, 70, seed=1)))
    path = tmp_path / "picture.png"
    image.save(path)
    content = path.read_bytes()

    expected = adapter.adapt(np.asarray(image))

    with path.open("rb") as file:
        doors = [path, str(path), content, bytearray(content), BytesIO(content), file, image]
        for door in doors:
            np.testing.assert_array_equal(adapter.adapt(door), expected)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(adapter.adapt(opened), expected)


def test_a_file_object_is_read_from_its_start() -> None:
    """A file object can be adapted twice, and stays open."""
    file = BytesIO(_encoded(_cross()))

    first = INK.adapt(file)

    np.testing.assert_array_equal(INK.adapt(file), first)
    assert not file.closed


def test_an_array_of_another_package_is_an_array() -> None:
    """Whatever NumPy takes for an array is one; no other package need be known."""

    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
            return _grey()

    np.testing.assert_array_equal(ImageAdapter().adapt(Tensor()), ImageAdapter().adapt(_grey()))


def test_a_picture_is_left_as_it_was() -> None:
    """Adapting changes neither an array nor a Pillow image."""
    pixels, image = _grey(40, 40), _cross()
    before, content = pixels.copy(), image.tobytes()

    for adapter in (INK, ImageAdapter(polarity="invert"), ImageAdapter(size=(40, 40))):
        adapter.adapt(pixels)
        adapter.adapt(image)

    np.testing.assert_array_equal(pixels, before)
    assert image.tobytes() == content


# Formats and colour modes


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("PNG", "L", {}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("PNG", "P", {}),
        ("PNG", "1", {}),
        ("JPEG", "L", {}),
        ("JPEG", "RGB", {}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("BMP", "L", {}),
        ("BMP", "RGB", {}),
        ("BMP", "P", {}),
        ("BMP", "1", {}),
        ("GIF", "L", {}),
        ("GIF", "P", {}),
        ("TIFF", "L", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGBA", {}),
        ("TIFF", "CMYK", {}),
        ("TIFF", "YCbCr", {"compression": "tiff_deflate"}),
        ("TIFF", "LAB", {}),
        ("TIFF", "1", {"compression": "group4"}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "RGB", {"compression": "jpeg"}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {}),
    ],
)
def test_every_format_and_colour_mode_is_read(form: str, mode: str, options: Any) -> None:
    """A white square on black looks the same in every format and mode, to what they lose."""
    square = Image.new("RGB", (64, 64))
    square.paste((255, 255, 255), (16, 16, 48, 48))
    if mode == "LAB":
        from PIL import ImageCms

        standard, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        saved = ImageCms.profileToProfile(square, standard, lab, outputMode="LAB")
        assert saved is not None
    else:
        saved = square.convert(mode)

    cells = ImageAdapter(channels=3).adapt(_encoded(saved, form, **options))

    np.testing.assert_allclose(cells[:, 10:22, 10:22], 1, atol=0.07)
    np.testing.assert_allclose(cells[:, [0, 1, 30, 31]], -1, atol=0.12)


@pytest.mark.parametrize("kind", ["<u2", ">u2", "<i4", ">i4"])
def test_sixteen_bit_grey_is_read_in_either_byte_order(kind: str) -> None:
    """16-bit grey and 32-bit whole numbers up to 65535 keep all of their precision."""
    numbers = (np.arange(1024).reshape(32, 32) * 64).astype(kind)
    modes = {"<u2": "I;16", ">u2": "I;16B", "<i4": "I", ">i4": "I"}
    native = numbers.astype("=i4") if kind.endswith("i4") else numbers
    image = Image.frombytes(modes[kind], (32, 32), native.tobytes())

    for door in (image, _encoded(image, "TIFF")):
        cells = ImageAdapter().adapt(door)
        np.testing.assert_allclose(cells[0], numbers / 32767.5 - 1, atol=1e-6)


def test_a_sixteen_bit_png_is_read() -> None:
    """16-bit grey PNG is not cut to 8 bits."""
    numbers = (np.arange(1024).reshape(32, 32) * 64).astype(np.uint16)

    cells = ImageAdapter().adapt(_encoded(Image.fromarray(numbers)))

    np.testing.assert_allclose(cells[0], numbers / 32767.5 - 1, atol=1e-6)


def test_whole_numbers_beyond_sixteen_bits_are_refused() -> None:
    """32-bit whole numbers have no known range where they leave 0 to 65535."""
    image = Image.fromarray(np.array([[0, 70000]], np.int32))

    with pytest.raises(DataError, match="reach from 0 to 70000; whole numbers from 0 to 65535"):
        ImageAdapter().adapt(image)


def test_float_pictures_follow_the_range_of_floats() -> None:
    """A TIFF of 32-bit floats is read with `float_range`, as an array is."""
    numbers = np.random.default_rng(0).random((32, 32), np.float32) * 10
    content = _encoded(Image.fromarray(numbers), "TIFF")

    cells = ImageAdapter(range=(0.0, 10.0)).adapt(content)

    np.testing.assert_allclose(cells[0], numbers / 5 - 1, atol=1e-6)
    with pytest.raises(DataError, match="'range'"):
        ImageAdapter().adapt(content)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(form: str, orientation: int) -> None:
    """However the camera was held, the picture is upright."""
    upright = Image.new("L", (48, 64))
    upright.paste(255, (0, 0, 24, 16))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    held = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = _encoded(held, form, exif=exif)
    adapter = ImageAdapter(size=(64, 48))

    for door in (content, Image.open(BytesIO(content))):
        np.testing.assert_allclose(adapter.adapt(door), adapter.adapt(upright), atol=0.15)


def test_the_first_frame_is_shown() -> None:
    """Of a moving picture, or a file of pages, the first is read."""
    first, second = Image.fromarray(_grey()), Image.new("L", (32, 32))
    adapter = ImageAdapter()

    for form in ("GIF", "TIFF", "PNG"):
        content = _encoded(first, form, save_all=True, append_images=[second])
        np.testing.assert_array_equal(adapter.adapt(content), adapter.adapt(first))


def test_a_picture_is_known_by_its_content(tmp_path: Path) -> None:
    """A JPEG that is called .png is read as the JPEG that it is."""
    path = tmp_path / "holiday.png"
    path.write_bytes(_encoded(_cross(), "JPEG"))

    np.testing.assert_array_equal(INK.adapt(path), INK.adapt(path.read_bytes()))


def test_suffixes_are_those_of_the_formats() -> None:
    """Every format that is read has its usual suffixes listed."""
    assert {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"} <= INK.suffixes
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in INK.suffixes)


def test_a_folder_of_mixed_photographs_is_read(photographs: Path) -> None:
    """Pictures of all formats, sizes and colour modes become grids of one shape, unwarned."""
    paths = sorted(photographs.glob("*/*"))

    for adapter in (ImageAdapter(), ImageAdapter(channels=3, fit="crop"), INK):
        values = np.asarray(adapter.grids(paths).values)

        assert len(values) == len(paths) == 72
        assert np.abs(values).max() <= 1
        assert values.std(axis=(1, 2, 3)).min() > 0.1


# Transparency


@pytest.mark.parametrize("pen", [0, 255])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_pen_on_a_transparent_sheet_is_seen(pen: int, mode: str) -> None:
    """With `background: auto` a black pen is set off by white, and a white pen by black."""
    mask = _cross(ink=255, paper=0, mode="L")
    sheet = Image.new("L", mask.size, pen).convert(mode)
    sheet.putalpha(mask)

    cells = ImageAdapter().adapt(sheet)

    assert cells[0, 0, 0] == (1 if pen == 0 else -1)
    assert cells[0, 16, 16] == (-1 if pen == 0 else 1)


def test_a_background_is_shown_through() -> None:
    """A named or numbered colour stands behind what is not opaque, half of it behind half."""
    image = Image.new("RGBA", (2, 1), (255, 255, 255, 0))
    image.putpixel((1, 0), (0, 0, 255, 51))
    adapter = ImageAdapter(size=(1, 2), channels=3, background="#ff0000")

    cells = adapter.adapt(image)

    np.testing.assert_allclose(cells[:, 0, 0], [1, -1, -1])
    np.testing.assert_allclose(cells[:, 0, 1], [0.6, -1, -0.6], atol=1e-6)
    red = ImageAdapter(size=(1, 2), channels=3, background="red")
    np.testing.assert_array_equal(red.adapt(image), cells)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_transparent_colour_is_seen_through(mode: str, form: str) -> None:
    """Where a file names one colour as transparent, the background shows there."""
    image = Image.new("L", (32, 32))
    image.paste(255, (0, 0, 16, 32))
    held = image.convert(mode)
    if form == "GIF" and mode == "RGB":
        held = held.quantize(4)
    key: Any = (0, 0, 0) if held.mode == "RGB" else held.getpixel((20, 5))
    content = _encoded(held, form, transparency=key)

    cells = ImageAdapter(channels=3, background="lime").adapt(content)

    np.testing.assert_array_equal(
        cells[:, :, 20:], np.broadcast_to([[[-1]], [[1]], [[-1]]], (3, 32, 12))
    )
    np.testing.assert_array_equal(cells[:, :, :12], 1)


def test_a_wholly_transparent_picture_is_blank() -> None:
    """A sheet without an opaque pixel is white, and has no ink."""
    sheet = Image.new("RGBA", (50, 40), (10, 200, 30, 0))

    assert (ImageAdapter(fit="stretch").adapt(sheet) == 1).all()
    assert (INK.adapt(sheet) == -1).all()


# Fit


def test_pad_shows_all_of_a_picture_undistorted() -> None:
    """A picture twice as wide as high has its border's colour above and below."""
    image = Image.new("L", (64, 32), 100)
    image.paste(200, (16, 8, 48, 24))

    cells = ImageAdapter(fit="pad").adapt(image)[0]

    np.testing.assert_allclose(cells[[0, 7, 24, 31]], 100 / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(cells[14:18, 10:22], 200 / 127.5 - 1, atol=1e-6)


def test_crop_shows_the_middle_undistorted() -> None:
    """Of a picture twice as wide as high the outer quarters are cut off."""
    image = Image.new("L", (64, 32), 0)
    image.paste(255, (16, 0, 48, 32))

    np.testing.assert_array_equal(ImageAdapter(fit="crop").adapt(image), np.ones((1, 32, 32)))


def test_stretch_shows_all_of_a_picture() -> None:
    """A picture of any other shape is squeezed or drawn out to the whole grid."""
    image = Image.new("L", (64, 16), 0)
    image.paste(255, (32, 0, 64, 16))

    cells = ImageAdapter(fit="stretch").adapt(image)[0]

    assert (cells[:, :15] == -1).all()
    assert (cells[:, 17:] == 1).all()


def test_cells_are_averages_that_do_not_overshoot() -> None:
    """A fine pattern becomes its mean, not an alias of itself, and edges get no halo."""
    pattern = np.indices((320, 320)).sum(axis=0) % 2 * 255
    edge = np.zeros((320, 320), np.uint8)
    edge[:, 160:] = 200

    cells = ImageAdapter().adapt(pattern.astype(np.uint8))[0]
    halo = ImageAdapter().adapt(edge)[0]

    np.testing.assert_allclose(cells[2:-2, 2:-2], 0, atol=0.01)
    assert halo.min() == -1
    assert halo.max() == np.float32(200 / 127.5 - 1)


@pytest.mark.parametrize("place", [(10, 10), (700, 500), (350, 40)])
@pytest.mark.parametrize("length", [40, 150, 280])
def test_ink_is_found_wherever_it_is(place: tuple[int, int], length: int) -> None:
    """A drawing of any size and place fills the grid to the margin, as one that is cut out does."""
    left, top = place
    box = (left, top, left + length, top + length)
    sheet = _cross((1000, 800), box=box, width=max(length // 10, 3))

    cells = INK.adapt(sheet)[0]

    ink = np.argwhere(cells > 0)
    # 32 cells, less an eighth of the ink's length on either side, are 25.6 for the ink.
    assert ink.min() in (3, 4)
    assert ink.max() in (27, 28)


def test_the_margin_is_a_setting() -> None:
    """Without a margin the ink touches the border; with a margin of 1/2 it fills half."""
    sheet = Image.new("L", (200, 200), 255)
    sheet.paste(0, (60, 90, 120, 150))

    none = ImageAdapter(fit="ink", polarity="ink", margin=0.0).adapt(sheet)
    half = ImageAdapter(fit="ink", polarity="ink", margin=0.5).adapt(sheet)

    assert (none > 0).mean() > 0.85
    np.testing.assert_allclose((half > 0).mean(), 0.25, atol=0.05)


def test_ink_keeps_its_proportions() -> None:
    """A wide drawing stays wide: it is not stretched to the grid."""
    sheet = Image.new("L", (300, 300), 255)
    sheet.paste(0, (100, 100, 200, 120))

    rows, columns = np.nonzero(INK.adapt(sheet)[0] > 0)

    assert np.ptp(columns) > 4 * np.ptp(rows)


def test_speckles_do_not_widen_the_box() -> None:
    """Single pixels of dirt all over the sheet leave the drawing where it was."""
    sheet = np.asarray(_cross(mode="L", ink=0, paper=255)).copy()
    dirt = np.random.default_rng(0).integers(0, 200, (60, 2))
    clean = INK.adapt(sheet)
    sheet[dirt[:, 0], dirt[:, 1]] = 0

    speckled = INK.adapt(sheet)

    assert np.mean(np.abs(speckled - clean) > 0.5) < 0.03


def test_foreign_drawings_fill_the_grid_as_bright_ink(draw: Draw) -> None:
    """However people draw in other programs, the ink is found, bright, and fills the grid."""
    for image, letter in draw(60, 3):
        cells = INK.adapt(image)[0]

        rows, columns = np.nonzero(cells > 0)
        assert max(np.ptp(rows), np.ptp(columns)) >= 22, letter
        assert min(np.ptp(rows), np.ptp(columns)) >= 10, letter
        assert 0.03 < np.mean(cells > 0) < 0.5, letter
        assert np.mean(cells[[0, 1, -1]] > -0.7) < 0.1, letter


def test_foreign_drawings_are_the_same_for_a_seed(draw: Draw) -> None:
    """A seed fixes every drawing; half show an X and half an O, on 200 to 1200 pixels."""
    first, again = draw(8, 5), draw(8, 5)

    assert [letter for _, letter in first] == list("XOXOXOXO")
    for (image, _), (same, _) in zip(first, again, strict=True):
        assert image.tobytes() == same.tobytes()
        assert 200 <= min(image.size) <= max(image.size) <= 1200


# Polarity


def test_invert_makes_dark_bright() -> None:
    """`invert` is the negative of `keep`."""
    pixels = _grey(40, 60)

    np.testing.assert_array_equal(
        ImageAdapter(polarity="invert").adapt(pixels), -ImageAdapter().adapt(pixels)
    )


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((0, 0, 0), (255, 255, 255)),
        ((255, 255, 255), (20, 40, 30)),
        ((255, 255, 0), (255, 255, 255)),
        ((150, 150, 150), (220, 220, 215)),
        ((200, 40, 40), (40, 110, 40)),
        ((255, 0, 0), (0, 0, 255)),
    ],
)
@pytest.mark.parametrize("fit", ["pad", "ink"])
def test_any_pen_on_any_paper_is_bright_on_dark(ink: Any, paper: Any, fit: Any) -> None:
    """Ink becomes 1 and paper -1 whatever their colours, though both be equally bright."""
    adapter = ImageAdapter(polarity="ink", fit=fit)
    black_on_white = adapter.adapt(_cross())

    for door in (_cross(ink=ink, paper=paper), _encoded(_cross(ink=ink, paper=paper), "JPEG")):
        cells = adapter.adapt(door)
        assert (cells.min(), cells.max()) == (-1, 1)
        assert np.mean(np.abs(cells - black_on_white)) < 0.08


def test_ink_of_three_channels_keeps_the_difference_in_each() -> None:
    """A yellow pen on white differs in blue alone."""
    adapter = ImageAdapter(polarity="ink", channels=3)

    cells = adapter.adapt(_cross(ink=(255, 255, 0)))

    assert (cells[:2] == -1).all()
    assert cells[2].max() == 1
    grey = adapter.adapt(np.asarray(_cross(mode="L", ink=0, paper=255)))
    np.testing.assert_array_equal(grey[0], grey[2])


def test_thin_faint_lines_are_full_ink() -> None:
    """A hair line on a large sheet is as bright as a thick one; its crossing does not dim it."""
    sheet = _cross((900, 900), ink=(120, 120, 120), box=(100, 120, 820, 800), width=2)

    cells = INK.adapt(sheet)[0]

    assert cells[5:27].max(axis=1).mean() > 0.8


def test_uneven_light_is_not_ink() -> None:
    """A shadow across the paper, or corners that fall dark, stay background."""
    sheet = np.asarray(_cross((300, 300), box=(90, 80, 210, 220)), np.float32)
    x, y = np.linspace(-1, 1, 300)[None, :, None], np.linspace(-1, 1, 300)[:, None, None]
    plain = INK.adapt(sheet.astype(np.uint8))

    for light in (0.8 + 0.15 * x, 0.95 - 0.12 * (x**2 + y**2)):
        cells = INK.adapt((sheet * light).astype(np.uint8))
        assert np.mean(np.abs(cells - plain)) < 0.05


@pytest.mark.parametrize("value", [0, 90, 255])
@pytest.mark.parametrize("fit", ["pad", "ink", "crop", "stretch"])
def test_a_blank_picture_has_no_ink(value: int, fit: Any) -> None:
    """Nothing drawn is -1 everywhere, with a little noise on it too."""
    adapter = ImageAdapter(polarity="ink", fit=fit)
    noise = np.random.default_rng(0).normal(0, 2, (60, 80))
    grainy = np.clip(value + noise, 0, 255).astype(np.uint8)

    assert (adapter.adapt(np.full((60, 80), value, np.uint8)) == -1).all()
    assert (adapter.adapt(grainy) == -1).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 5)])
@pytest.mark.parametrize("size", [(1, 1), (32, 32), (5, 70)])
def test_the_smallest_pictures_are_adapted(shape: Any, size: Any) -> None:
    """Pictures of a pixel or a line fit every grid in every way."""
    for fit in ("pad", "crop", "stretch", "ink"):
        for polarity in ("keep", "invert", "ink"):
            adapter = ImageAdapter.model_validate({"size": size, "fit": fit, "polarity": polarity})
            cells = adapter.adapt(_grey(*shape))
            assert cells.shape == (1, *size)
            assert np.abs(cells).max() <= 1


# Refusals


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (
            b"not a picture at all",
            "not a picture in a known format; PNG, JPEG, BMP, GIF, TIFF, WebP",
        ),
        (StringIO("text"), "open it in binary mode"),
        (None, "type NoneType is not a picture; give a path, the bytes of a file"),
        (42, "type int is not a picture"),
        (np.zeros((3, 4), np.int64), "type int64 have no known range.*convert them"),
        (np.zeros((3, 4), np.int8), "type int8 have no known range"),
        (np.zeros((3, 4), np.complex64), "type complex64 have no known range"),
        (np.array([["a"]]), "type <U1, which are not pixels"),
        ([[1, 2], [3]], "rows have different lengths"),
        (
            np.full((3, 4), 1.5),
            "from 1.5 to 1.5 are outside of the range from 0 to 1; set 'range'",
        ),
        (np.full((3, 4), np.nan), "NaN or infinite"),
        (np.full((3, 4), -np.inf), "NaN or infinite"),
        (np.zeros(5, np.uint8), r"shape \(5,\) is not a picture"),
        (np.zeros((5, 6, 7), np.uint8), r"shape \(5, 6, 7\) is not a picture"),
        (np.zeros((2, 5, 6, 3), np.uint8), r"shape \(2, 5, 6, 3\) is not a picture"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\) holds no pixels"),
        (np.uint8(3), r"shape \(\) is not a picture"),
        (Image.new("L", (0, 5)), "5 x 0 pixels is empty"),
    ],
)
def test_what_is_no_picture_is_refused(thing: Any, message: str) -> None:
    """Everything else is refused in one sentence: what it is, and what is read."""
    with pytest.raises(DataError, match=message):
        ImageAdapter().adapt(thing)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Missing, empty, foreign and unreadable files each get their own sentence."""
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("I am no picture.\n" * 20)
    (tmp_path / "folder.png").mkdir()
    for name, message in {
        "empty.png": "the file is empty",
        "text.png": "its content is not a picture in a known format",
        "folder.png": "it is a folder",
        "missing.png": "there is no such file",
        "text.png/a.png": "cannot be opened: Not a directory",
        "nul\0.png": "cannot be opened",
        "x" * 300: "cannot be opened: File name too long",
    }.items():
        with pytest.raises(DataError, match=message):
            ImageAdapter().adapt(tmp_path / name)
    with pytest.raises(DataError, match="it is a pipe or a device"):
        ImageAdapter().adapt("/dev/null")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_a_forbidden_file_is_refused(tmp_path: Path) -> None:
    """A file that may not be read is told as such."""
    path = tmp_path / "secret.png"
    path.write_bytes(_encoded(_cross()))
    path.chmod(0)

    with pytest.raises(DataError, match="permission denied"):
        ImageAdapter().adapt(path)


def test_permission_errors_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system's refusal becomes a sentence, also where the tests run as root."""
    path = tmp_path / "secret.png"
    path.write_bytes(_encoded(_cross()))

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match="cannot be read: permission denied"):
        ImageAdapter().adapt(path)


def test_formats_outside_of_the_list_are_not_decoded() -> None:
    """Formats with a history of trouble are not even tried."""
    for form in ("TGA", "PCX", "ICO", "EPS"):
        with pytest.raises(DataError, match="not a picture in a known format"):
            ImageAdapter().adapt(_encoded(_cross(), form))


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_picture_is_refused(form: str) -> None:
    """A picture of which the end is missing is damaged, whatever its format."""
    image = Image.fromarray(_colours(120, 120))
    content = _encoded(image.quantize() if form == "GIF" else image, form)

    with pytest.raises(
        DataError,
        match=r"damaged or not supported|not a picture in a known "
        r"format",
    ):
        ImageAdapter().adapt(content[: len(content) // 2])


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    """A small file that declares a huge picture is refused by its header, without a warning."""
    opened = Image.open(BytesIO(_declaring(1000, 1001)))
    with pytest.raises(DataError, match=r"10000 x 12000 = 120,000,000 pixels; .*'max_pixels'"):
        ImageAdapter().adapt(_declaring(10_000, 12_000))
    with pytest.raises(DataError, match="more pixels than Pillow decodes"):
        ImageAdapter().adapt(_declaring(2**31 - 1, 2**31 - 1))
    with pytest.raises(DataError, match="image allows 1,000,000"):
        ImageAdapter(max_pixels=1_000_000).adapt(opened)


def test_pillows_limit_may_be_any() -> None:
    """A lower limit that another part of the program has set on Pillow gives no warning."""
    content = _encoded(_cross())
    before = Image.MAX_IMAGE_PIXELS
    try:
        Image.MAX_IMAGE_PIXELS = 30_000
        assert INK.adapt(content).max() == 1
    finally:
        Image.MAX_IMAGE_PIXELS = before


def test_a_closed_picture_is_refused(tmp_path: Path) -> None:
    """A Pillow image whose file is closed has no pixels any more."""
    path = tmp_path / "picture.png"
    path.write_bytes(_encoded(_cross()))
    with Image.open(path) as image:
        pass

    with pytest.raises(DataError, match="damaged or not supported"):
        ImageAdapter().adapt(image)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"background": "whitee"}, "a colour is a name such as 'white', '#rrggbb', or 'auto'"),
        ({"background": "#ffffff80"}, "a background must be opaque"),
        ({"range": [1.0, 1.0]}, "low below high"),
        ({"size": [0, 32]}, "from 1 to 16384"),
        ({"channels": 2}, "must be 1 or 3"),
        ({"fit": "streach"}, "did you mean 'stretch'"),
        ({"polarity": "inverted"}, "did you mean 'invert'"),
        ({"margin": -0.1}, "at least 0"),
        ({"max_pixels": 10**12}, "at most"),
        ({"resize": 3}, "here it is written 'size'"),
    ],
)
def test_wrong_settings_are_explained(given: dict[str, Any], message: str) -> None:
    """A setting outside of what is allowed is told in one sentence."""
    with pytest.raises(ValidationError, match=message):
        ImageAdapter.model_validate(given)


# Whatever comes


def _seeds() -> list[bytes]:
    image = Image.fromarray(_colours(24, 20))
    forms = [_encoded(image.quantize(16) if form == "GIF" else image, form) for form in FORMATS]
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        *forms,
        _encoded(image.convert("CMYK"), "JPEG", exif=exif),
        _encoded(image, "TIFF", compression="tiff_lzw"),
        _encoded(image.quantize(16), "PNG", transparency=3),
        _encoded(Image.fromarray(_grey(9, 9).astype(np.uint16)), "PNG"),
    ]


SEEDS = _seeds()
SMALL = ImageAdapter(size=(8, 8), max_pixels=1_000_000)
WHATEVER = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _only_data_errors(content: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            cells = SMALL.adapt(content)
        except DataError:
            return
    assert np.abs(cells).max() <= 1


@WHATEVER
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(content: bytes) -> None:
    """Bytes are a picture or a `DataError`."""
    _only_data_errors(content)


@WHATEVER
@given(st.data())
def test_damaged_files_raise_nothing_else(mutations: ModuleType, data: st.DataObject) -> None:
    """A file with bytes overwritten, and its end cut off, is a picture or a `DataError`."""
    _only_data_errors(data.draw(mutations.damaged(SEEDS)))


@WHATEVER
@given(
    st.fixed_dictionaries(
        {
            "size": st.tuples(st.integers(1, 40), st.integers(1, 40)),
            "channels": st.sampled_from([1, 3]),
            "fit": st.sampled_from(["pad", "crop", "stretch", "ink"]),
            "margin": st.floats(0, 4),
            "polarity": st.sampled_from(["keep", "invert", "ink"]),
            "background": st.sampled_from(["auto", "white", "#204080"]),
        }
    ),
    st.sampled_from([(7, 9), (7, 9, 1), (7, 9, 2), (7, 9, 3), (7, 9, 4), (1, 30), (60, 2, 3)]),
    st.integers(0, 1000),
    st.sampled_from(["noise", "two levels", "flat"]),
)
def test_every_setting_gives_cells_within_range(
    given: dict[str, Any], shape: tuple[int, ...], seed: int, kind: str
) -> None:
    """Whatever the settings and the picture, the grid has their shape, and cells in -1..1."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, shape, dtype=np.uint8)
    if kind == "two levels":
        pixels = (pixels > 200) * np.uint8(random.integers(1, 256))
    elif kind == "flat":
        pixels[:] = seed % 256
    adapter = ImageAdapter.model_validate(given)

    cells = adapter.adapt(pixels)

    assert cells.shape == adapter.shape().sizes
    assert cells.dtype == np.float32
    assert np.isfinite(cells).all()
    assert np.abs(cells).max() <= 1


# Cost


def test_importing_the_adapter_loads_no_pillow() -> None:
    """Pillow, SciPy, scikit-learn and pandas are not imported with the adapter."""
    code = (
        "import sys, gridcnn.adapters.image\n"
        "print([n for n in ('PIL', 'scipy', 'sklearn', 'pandas') if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_large_bytes_are_averaged_as_floats_are() -> None:
    """Pictures of bytes are averaged in two steps, which is faster, to nearly the same cells."""
    pixels = np.asarray(Image.fromarray(_colours(40, 50)).resize((1500, 1201)))
    adapter = ImageAdapter(channels=3)

    apart = np.abs(adapter.adapt(pixels) - adapter.adapt(pixels / 255))
    assert apart.mean() < 0.003
    assert apart.max() < 0.05


def test_one_coloured_array_is_one_picture() -> None:
    """`(rows, columns, 3 | 4)` is a picture; other arrays of three axes are stacks of pictures."""
    adapter = ImageAdapter()

    assert all(adapter.is_lone(np.zeros(shape)) for shape in ((5, 6), (5, 6, 3), (5, 6, 4)))
    assert not adapter.is_lone(np.zeros((5, 6, 7)))
    assert not adapter.is_lone(np.zeros((2, 5, 6, 3)))


@pytest.mark.parametrize("together", [1, 10**4, 10**9])
@pytest.mark.parametrize("polarity", ["keep", "invert"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_become_the_same_grids_alone_and_together(
    monkeypatch: pytest.MonkeyPatch, together: int, polarity: str, channels: int
) -> None:
    """Whether their pixels are bytes or not, and whatever lies between them."""
    monkeypatch.setattr("gridcnn.adapters.image._TOGETHER", together)
    random = np.random.default_rng(0)
    things: list[Any] = [
        random.integers(0, 256, shape).astype(kind)
        for kind in (np.uint8, np.uint16)
        for shape in ((9, 9), (9, 9, 3), (20, 12), (8, 8), (8, 8, 4))
    ]
    things = [*things, Path("none.png"), *reversed(things)]
    adapter = ImageAdapter.model_validate(
        {"size": (8, 8), "channels": channels, "polarity": polarity}
    )

    adapted = adapter.adapt_all(things)

    assert adapted.kept.tolist() == [*range(10), *range(11, 21)]
    assert [problem.source for problem in adapted.problems] == ["none.png"]
    alone = np.stack([adapter.adapt(things[index]) for index in adapted.kept])
    np.testing.assert_array_equal(adapted.grids.values, alone, strict=True)
