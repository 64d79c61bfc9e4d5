"""Files that are called pictures and are none, or need a package of their own."""

from __future__ import annotations

import sys
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from gridcnn.adapters.image import ImageAdapter
from gridcnn.errors import DataError


def media(brand: bytes, *others: bytes) -> bytes:
    """Return the start of a file of ISO's base media format, with these brands."""
    body = b"ftyp" + brand + bytes(4) + b"".join(others)
    return (len(body) + 4).to_bytes(4, "big") + body + bytes(64)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><title>404</title></html>", r"is a web page \(HTML\)"),
        (b"\n\n <html>\n<body>", r"is a web page \(HTML\)"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><html xmlns='x'>", r"is a web page \(HTML\)"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing; save it as PNG"),
        (b"<?xml version='1.0'?>\n<svg>", "is an SVG drawing"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"%PDF-1.7\n%abc", "is a PDF document"),
        (b"PK\x03\x04" + bytes(40), "is a ZIP archive"),
        (b"nothing of the kind", "not a picture in a known format"),
        (b"\xff\xfe\xfd" * 9, "not a picture in a known format"),
        (media(b"heic", b"mif1", b"heic"), "is a HEIC picture, .*: pip install pillow-heif"),
        (media(b"mif1", b"heic"), "is a HEIC picture"),
        (media(b"isom", b"mp42"), "not a picture in a known format"),
        (b"\0\0\0\x08ftyp", "not a picture in a known format"),
    ],
)
def test_what_is_no_picture_is_told_as_what_it_is(
    content: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, with what to do, whatever the file is called."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)

    with pytest.raises(DataError, match=message) as error:
        ImageAdapter().adapt(content)
    assert len(error.value.problems) == 1
    assert "\n" not in str(error.value)


def test_avif_says_which_package_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Pillow does not read it."""
    monkeypatch.setattr(features, "check", lambda _: False)
    monkeypatch.setitem(sys.modules, "pillow_avif", None)

    with pytest.raises(DataError, match=r"AVIF picture, .*: pip install pillow-avif-plugin"):
        ImageAdapter().adapt(media(b"avif", b"mif1"))


@pytest.mark.skipif("avif" not in features.get_supported(), reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_reads_it() -> None:
    """As any other picture."""
    image = Image.new("RGB", (40, 40), (200, 30, 40))
    content = BytesIO()
    image.save(content, "AVIF")

    cells = ImageAdapter(channels=3).adapt(content.getvalue())

    np.testing.assert_allclose(cells, ImageAdapter(channels=3).adapt(image), atol=0.05)


def test_heic_is_read_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package teaches Pillow the format; here a stand-in does, for a red picture."""
    taught: list[str] = []

    def register() -> None:
        def opened(file: Any, name: Any) -> Image.Image:
            return Image.new("RGB", (8, 8), (255, 0, 0))

        Image.register_open("HEIF", opened, lambda head: head[4:8] == b"ftyp")  # type: ignore[arg-type]
        taught.append("HEIF")

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))

    cells = ImageAdapter(channels=3).adapt(media(b"heic"))

    assert taught == ["HEIF"]
    assert cells[:, 0, 0].tolist() == [1, -1, -1]


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_portable_pixmaps_are_read(mode: str) -> None:
    """PBM, PGM and PPM, as bytes."""
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    ).convert(mode)
    content = BytesIO()
    image.save(content, "PPM")
    adapter = ImageAdapter(channels=3)

    np.testing.assert_array_equal(adapter.adapt(content.getvalue()), adapter.adapt(image))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P1\n# a comment\n2 1\n1 0\n", [-1, 1]),
        (b"P2\n2 1\n255\n0 255\n", [-1, 1]),
        (b"P2\n2 1\n4095\n0 4095\n", [-1, 1]),
        (b"P3\n2 1\n255\n0 0 0 255 255 255\n", [-1, 1]),
        (b"P5\n2 1\n65535\n\0\0\xff\xff", [-1, 1]),
        (b"P5\n2 1\n4095\n\0\0\x0f\xff", [-1, 1]),
        (b"P5\n2 1\n255\n\0\xff", [-1, 1]),
        (b"P6\n2 1\n255\n\0\0\0\xff\xff\xff", [-1, 1]),
    ],
)
def test_portable_pixmaps_of_any_kind_are_read(content: bytes, expected: list[float]) -> None:
    """As texts and as bytes, of 1, 8 and 16 bits; the file says which number is white."""
    assert ImageAdapter(size=(1, 2)).adapt(content)[0, 0].tolist() == expected


@pytest.mark.parametrize("content", [b"P5\n9 9\n255\n\0\xff", b"P2\n9 9\n255\n0 255\n", b"P6\n"])
def test_a_truncated_pixmap_is_refused(content: bytes) -> None:
    """As any other truncated picture."""
    with pytest.raises(
        DataError,
        match=r"damaged or not supported|not a picture in a known "
        r"format",
    ):
        ImageAdapter().adapt(content)
