"""The page's JPEG decoder gives the bytes that Pillow's gives."""

from __future__ import annotations

import base64
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image

from gridcnn.adapters import jpeg
from gridcnn.adapters.image import ImageAdapter
from gridcnn.errors import DataError
from tests.report.test_live_adapters import model_with

SIZES = [(1, 1), (2, 5), (8, 8), (17, 33), (45, 70)]
WAYS: dict[str, dict[str, Any]] = {
    "usual": {"quality": 75},
    "all colours": {"quality": 95, "subsampling": "4:4:4"},
    "half as wide": {"quality": 30, "subsampling": "4:2:2"},
    "coarse": {"quality": 4, "subsampling": "4:2:0"},
    "fine": {"quality": 100, "subsampling": "4:2:0", "optimize": True},
    "progressive": {"quality": 80, "progressive": True},
    "progressive, half as wide": {"quality": 60, "progressive": True, "subsampling": "4:2:2"},
    "restarts": {"quality": 90, "restart_marker_blocks": 3},
    "progressive with restarts": {"progressive": True, "restart_marker_blocks": 2},
}


def picture(height: int, width: int, mode: str) -> Image.Image:
    """Return waves and noise that reach black and white."""
    y, x = np.mgrid[:height, :width]
    waves = [100 * np.sin(x / 7 + k) + 60 * np.cos(y / (5 + k)) for k in range(4)]
    noise = np.random.default_rng(0).normal(0, 25, (height, width, 4))
    values = (128 + np.stack(waves, axis=2) + noise).clip(0, 255).astype(np.uint8)
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    shape = (width, height)
    return Image.frombytes(mode, shape, np.ascontiguousarray(values[:, :, :channels]).tobytes())


def encoded(image: Image.Image, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **how)
    return file.getvalue()


def pillows(content: bytes, scale: int, *, grey: bool) -> NDArray[np.uint8]:
    """Return what Pillow decodes, `(rows, columns, channels)`."""
    header = jpeg.header_of(content)
    if header is not None:
        decoded = jpeg.decode(content, header, scale=scale, grey=grey)
        assert decoded is not None
    else:
        with Image.open(io.BytesIO(content)) as image:
            image.draft("L" if grey else image.mode, (image.width // scale, image.height // scale))
            decoded = image.convert("RGB") if image.mode == "CMYK" else image.copy()
    return np.asarray(decoded).reshape(decoded.height, decoded.width, -1)


def pages(program: Any, content: bytes, scale: int = 1, *, grey: bool = False) -> Any:
    """Return what the page decodes, `(rows, columns, channels)`; None if it leaves the file."""
    file = base64.b64encode(content).decode()
    found = program.ask("jpeg", file=file, scale=scale, grey=grey)
    if found is None:
        return None
    planes = np.array(found["planes"], np.uint8)
    return planes.reshape(-1, found["height"], found["width"]).transpose(1, 2, 0)


def assert_same(program: Any, content: bytes, *, scales: tuple[int, ...] = (1, 2, 4, 8)) -> None:
    for scale in scales:
        for grey in (False, True):
            expected = pillows(content, scale, grey=grey)
            np.testing.assert_array_equal(pages(program, content, scale, grey=grey), expected)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_byte_is_the_same(program: Any, mode: str, how: str) -> None:
    """In grey and colours, of any size, at any scale, in every way that Pillow writes."""
    for size in SIZES:
        assert_same(program, encoded(picture(*size, mode), **WAYS[how]))


def test_inks_become_the_same_colours(program: Any) -> None:
    """Files of four inks, as such and as brightness with differences of colours."""
    content = encoded(picture(45, 70, "CMYK"), quality=90)
    adobe = content.index(b"Adobe") + 11
    differences = content[:adobe] + b"\2" + content[adobe + 1 :]

    assert content[adobe] == 0
    for each in (content, differences):
        assert_same(program, each)


def test_colours_that_are_stored_as_such_stay_so(program: Any) -> None:
    """Red, green and blue need no conversion, but are weighed if the grid is grey."""
    assert_same(program, encoded(picture(20, 30, "RGB"), keep_rgb=True))


@pytest.mark.parametrize(
    ("written", "patched", "size"),
    [
        ("4:2:2", 0x12, (64, 32)),
        ("4:2:0", 0x41, (32, 64)),
        ("4:2:0", 0x14, (64, 32)),
    ],
    ids=["half as high", "a quarter as wide", "a quarter as high"],
)
def test_samplings_that_pillow_does_not_write(
    program: Any, written: str, patched: int, size: tuple[int, int]
) -> None:
    """As many blocks stand in each group of them if they lie otherwise, so the file stays whole."""
    across, down = patched >> 4, patched & 15
    before = {"4:2:2": (2, 1), "4:2:0": (2, 2)}[written]
    groups = size[0] // (8 * down), size[1] // (8 * across)
    image = picture(groups[0] * 8 * before[1], groups[1] * 8 * before[0], "RGB")
    content = bytearray(encoded(image, subsampling=written))
    frame = content.index(b"\xff\xc0") + 5
    content[frame : frame + 4] = size[0].to_bytes(2, "big") + size[1].to_bytes(2, "big")
    content[frame + 6] = patched

    # The last rows and columns of blocks may be cut, so that neighbours beyond edges matter.
    for cut in (0, 5, 7):
        content[frame + 1], content[frame + 3] = size[0] - cut, size[1] - cut
        assert_same(program, bytes(content))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_the_camera_was_held(program: Any, orientation: int) -> None:
    """By Exif; cells are those of the adapter, though a last row stands for fewer pixels."""
    image = picture(75, 130, "RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, exif=exif)
    for settings in (
        {"size": [9, 13], "channels": 3, "fit": "stretch"},
        {"size": [8, 8], "channels": 1},
    ):
        model = model_with("image", settings)
        program.load(model)

        cells = program.grid({"jpeg": base64.b64encode(content).decode()})
        np.testing.assert_allclose(cells, model.adapter.adapt(content).ravel(), atol=1e-6)


def test_large_files_have_the_same_cells(program: Any) -> None:
    """Of a picture that is decoded at an eighth, and averaged in blocks after that."""
    content = encoded(picture(501, 703, "RGB"), quality=85)
    for fit, channels in itertools.product(["pad", "crop", "stretch", "ink"], [1, 3]):
        model = model_with("image", {"size": [3, 4], "fit": fit, "channels": channels})
        program.load(model)

        cells = program.grid({"jpeg": base64.b64encode(content).decode()})
        np.testing.assert_allclose(cells, model.adapter.adapt(content).ravel(), atol=2e-5)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_photographs_have_the_same_cells(program: Any, name: str) -> None:
    """Those of scikit-learn, which a camera and a program for pictures have written."""
    file = Path(sklearn.datasets.__file__).parent / "images" / name
    content = file.read_bytes()
    assert_same(program, content, scales=(2, 8))
    model = model_with("image", {"size": [32, 32], "channels": 3, "fit": "crop"})
    program.load(model)

    cells = program.grid({"jpeg": base64.b64encode(content).decode()})
    np.testing.assert_allclose(cells, model.adapter.adapt(content).ravel(), atol=1e-6)


def test_files_that_end_too_early_are_refused(program: Any) -> None:
    """As the adapter does, in a sentence."""
    content = encoded(picture(45, 70, "RGB"))
    for how in ({}, {"progressive": True}):
        content = encoded(picture(45, 70, "RGB"), **how)
        with pytest.raises(DataError, match="truncated"):
            ImageAdapter(size=(8, 8)).adapt(content[:-200])

        with pytest.raises(DataError, match="the picture is damaged: its file ends too early"):
            pages(program, content[:-200])


def test_other_files_are_left_to_the_browser(program: Any) -> None:
    """Nothing else is decoded: other formats, other codes, content that contradicts itself."""
    content = encoded(picture(45, 70, "RGB"))
    frame, scan = content.index(b"\xff\xc0"), content.index(b"\xff\xda")
    no_restart = encoded(picture(45, 70, "RGB"), restart_marker_blocks=2)
    others = {
        "a PNG file": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "nothing": b"",
        "its first bytes": content[: frame + 6],
        "arithmetic codes": content[: frame + 1] + b"\xc9" + content[frame + 2 :],
        "12 bits": content[: frame + 4] + b"\x0c" + content[frame + 5 :],
        "no rows": content[: frame + 5] + b"\0\0" + content[frame + 7 :],
        "an early end": content[: scan + 40] + b"\xff\xd9",
        "a missing restart": no_restart.replace(b"\xff\xd2", b"\xff\xd5", 1),
        "no codes": content.replace(b"\xff\xc4", b"\xff\xe9"),
    }

    for name, each in others.items():
        assert pages(program, each) is None, name


def test_damaged_files_never_break_the_page(program: Any) -> None:
    """Whatever bytes are changed, there is a picture, none, or a problem."""
    random = np.random.default_rng(3)
    for how in ({}, {"progressive": True}, {"restart_marker_blocks": 1}):
        content = np.frombuffer(encoded(picture(30, 41, "RGB"), **how), np.uint8)
        for _ in range(60):
            changed = content.copy()
            places = random.integers(2, len(content), 4)
            changed[places] = random.integers(0, 256, 4)
            try:
                found = pages(program, changed.tobytes())
            except DataError:
                continue
            assert found is None or found.shape[2] in (1, 3)
