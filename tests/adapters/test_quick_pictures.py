"""JPEG and PNG files that are decoded at once, and at the size that a grid needs."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gridcnn.adapters import decoding, jpeg, png
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.picture import Need
from gridcnn.errors import DataError

Fit = Literal["pad", "crop", "stretch"]


def scene(rows: int, columns: int, *, seed: int = 0) -> Image.Image:
    """Return a picture with large shapes, edges and fine noise."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    total = np.array(coarse.resize((columns, rows), Image.Resampling.BICUBIC), np.float32)
    total[rows // 3 : rows // 2, columns // 4 : columns // 3] = (250, 20, 20)
    total += random.normal(0, 12, total.shape)
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def fully(content: bytes) -> np.ndarray[Any, Any]:
    """Return all pixels as floats of 0 to 1, as Pillow decodes them."""
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).astype(np.float64) / 255


# The size that is needed


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize(("rows", "columns"), [(480, 720), (333, 517), (900, 250), (129, 129)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_cells_differ_little_from_those_of_the_full_picture(
    rows: int, columns: int, fit: Fit, channels: int, options: dict[str, Any]
) -> None:
    """By 1 of 255 on average where the picture is, though only what is needed is decoded."""
    content = encoded(scene(rows, columns), quality=90, **options)
    adapter = ImageAdapter(size=(32, 32), channels=channels, fit=fit)

    cells, whole = adapter.adapt(content), adapter.adapt(fully(content))

    # What `pad` shows beside the picture is a colour of its own.
    height = round(32 * min(1, rows / columns)) if fit == "pad" else 32
    width = round(32 * min(1, columns / rows)) if fit == "pad" else 32
    top, left = (32 - height) // 2 + 1, (32 - width) // 2 + 1
    inner = np.s_[:, top : top + height - 3, left : left + width - 3]
    apart = 127.5 * np.abs(cells - whole)
    assert apart[inner].mean() < 1.0
    assert apart[inner].max() < 12
    assert apart.max() < 20


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("sizes", [(1200, 1800), (64, 64), (500, 31), (63, 4000), (1, 1)])
@pytest.mark.parametrize("size", [(32, 32), (8, 100), (224, 224)])
def test_each_cell_keeps_two_decoded_pixels_along_each_side(
    fit: Fit, sizes: tuple[int, int], size: tuple[int, int]
) -> None:
    """And a picture that has no more than that is decoded as it is."""
    need = Need(size, fit, grey=False)

    scale = need.scale(*sizes)

    assert scale in (1, 2, 4, 8)
    down, across = sizes[0] / size[0], sizes[1] / size[1]
    cell = max(down, across) if fit == "pad" else min(down, across)
    assert scale == 1 or cell / scale >= 2
    assert scale == 8 or cell / (2 * scale) < 2


def test_large_pictures_are_decoded_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth of rows and columns is enough for 32 cells of 1200 pixels."""
    scales: list[int] = []
    decode = jpeg.decode

    def seen(content: bytes, header: jpeg.Header, *, scale: int, grey: bool) -> Any:
        scales.append(scale)
        return decode(content, header, scale=scale, grey=grey)

    monkeypatch.setattr(jpeg, "decode", seen)
    for side in (40, 128, 300, 600):
        ImageAdapter().adapt(encoded(scene(side, side)))

    assert scales == [1, 2, 4, 8]


@pytest.mark.parametrize("mode", ["ink", "keep"])
def test_ink_is_looked_for_in_all_pixels(monkeypatch: pytest.MonkeyPatch, mode: Any) -> None:
    """A small drawing on a large sheet needs them."""
    monkeypatch.setattr(jpeg, "decode", pytest.fail)
    content = encoded(scene(600, 600))

    ImageAdapter(fit="ink", polarity=mode).adapt(content)
    ImageAdapter(fit="pad", polarity="ink").adapt(content)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_camera_may_be_held_in_any_way(orientation: int, order: str) -> None:
    """A picture that is turned after it was decoded smaller lies where the full one does."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112] = orientation
    exif[0x010F] = "a maker"
    stored = scene(333, 451)
    plain = encoded(stored, quality=95)
    content = encoded(stored, quality=95, exif=exif)
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    with Image.open(BytesIO(plain)) as image:
        image.load()
        upright = image.transpose(turns[orientation]) if orientation > 1 else image
    adapter = ImageAdapter(size=(40, 40), channels=3, fit="stretch")

    header = jpeg.header_of(content)

    assert header is not None
    assert header.orientation == orientation
    apart = np.abs(adapter.adapt(content) - adapter.adapt(np.asarray(upright) / 255))
    assert 127.5 * apart.mean() < 1


# The same as Pillow


def by_pillow(content: bytes, monkeypatch: pytest.MonkeyPatch, adapter: ImageAdapter) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "_quick", lambda _: None)
        return adapter.adapt(content)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("JPEG", "RGB", {"quality": 90}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "RGB", {"subsampling": 0}),
        ("JPEG", "RGB", {"keep_rgb": True}),
        ("JPEG", "RGB", {"comment": b"a comment", "dpi": (72, 72)}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("PNG", "RGB", {}),
        ("PNG", "L", {}),
        ("PNG", "RGB", {"dpi": (72, 72)}),
        ("PNG", "RGB", {"transparency": (1, 2, 3)}),
        ("PNG", "P", {}),
        ("PNG", "1", {}),
        ("PNG", "RGBA", {}),
    ],
)
@pytest.mark.parametrize("sides", [(50, 70), (300, 217)])
def test_it_is_the_picture_that_pillow_reads(
    form: str,
    mode: str,
    options: dict[str, Any],
    channels: int,
    sides: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the bit, whether the file is of the usual kind or not."""
    content = encoded(scene(*sides).convert(mode), form, **options)
    adapter = ImageAdapter(channels=channels)

    np.testing.assert_array_equal(adapter.adapt(content), by_pillow(content, monkeypatch, adapter))


USUAL = [
    encoded(scene(60, 50)),
    encoded(scene(60, 50), progressive=True),
    encoded(scene(60, 50), "PNG"),
    encoded(scene(60, 50).convert("L"), "PNG", dpi=(90, 90)),
]


@pytest.mark.parametrize("content", USUAL)
def test_usual_files_are_known_as_such(content: bytes) -> None:
    """Their headers tell rows and columns."""
    header = jpeg.header_of(content) or png.header_of(content)

    assert header is not None
    assert (header.rows, header.columns) == (60, 50)


@given(st.data())
def test_damaged_files_are_what_pillow_takes_them_for(
    mutations: ModuleType, data: st.DataObject
) -> None:
    """The quick way reads nothing that Pillow refuses, and reads the same."""
    broken = data.draw(mutations.damaged(USUAL))
    adapter = ImageAdapter(size=(20, 20), channels=3, max_pixels=100_000)
    with pytest.MonkeyPatch.context() as patch:
        try:
            expected = by_pillow(broken, patch, adapter)
        except DataError:
            expected = None
    try:
        found = adapter.adapt(broken)
    except DataError:
        assert expected is None
    else:
        assert expected is not None
        np.testing.assert_array_equal(found, expected)


def test_a_png_whose_header_is_damaged_is_refused() -> None:
    """Its checksum tells."""
    content = bytearray(encoded(scene(20, 20), "PNG"))
    content[16:20] = struct.pack(">I", 21)

    assert png.header_of(bytes(content)) is None
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    header = png.header_of(bytes(content))
    assert header is not None
    assert header.columns == 21
    with pytest.raises(DataError):
        ImageAdapter().adapt(bytes(content))


@pytest.mark.parametrize(
    "notes",
    [
        b"Exif\0\0" + b"II*\0" + struct.pack("<IHHHIH", 8, 1, 0x0112, 3, 1, 9),
        b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 60_000),
        b"Exif\0\0" + b"XX*\0" + struct.pack("<I", 8),
        b"Exif\0\0" + b"II*\0" + struct.pack("<I", 2**31),
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>",
    ],
)
def test_unusual_notes_are_left_to_pillow(notes: bytes) -> None:
    """They are no reason to refuse the picture."""
    content = encoded(scene(40, 40))
    noted = content[:2] + b"\xff\xe1" + struct.pack(">H", len(notes) + 2) + notes + content[2:]

    assert jpeg.header_of(noted) is None
    np.testing.assert_array_equal(ImageAdapter().adapt(noted), ImageAdapter().adapt(content))
