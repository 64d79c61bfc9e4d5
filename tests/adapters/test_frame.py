"""What frames a picture: page edges and ruled lines along its sides, which are no ink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gridcnn.adapters.frame import frame_of
from gridcnn.adapters.image import ImageAdapter
from gridcnn.datasets.makers.xo import XO

INK = ImageAdapter(fit="ink", polarity="ink")
SIDES = ("top", "bottom", "left", "right")


def _cell(letter: str = "X", *, size: int = 120, paper: int = 230, ink: int = 40) -> Image.Image:
    """Return a sign well within a sheet."""
    image = Image.new("L", (size, size), paper)
    pen = ImageDraw.Draw(image)
    low, high = size * 0.35, size * 0.7
    if letter == "O":
        pen.ellipse((low, low, high, high), outline=ink, width=6)
    else:
        pen.line((low, low, high, high), ink, 6)
        pen.line((low, high, high, low), ink, 6)
    return image


def _framed(
    image: Image.Image, sides: tuple[str, ...], *, value: int, ragged: float = 0, seed: int = 0
) -> Image.Image:
    """Return the picture with a band along each of the sides, tilted if asked, 8 pixels deep."""
    pixels = np.array(image)
    random = np.random.default_rng(seed)
    for side in sides:
        view = {"top": pixels, "bottom": pixels[::-1], "left": pixels.T, "right": pixels.T[::-1]}[
            side
        ]
        depth = 8 + random.normal(0, ragged, view.shape[1])
        view[np.arange(len(view))[:, None] < depth] = value
    return Image.fromarray(pixels)


def _apart(one: Any, other: Any) -> float:
    return float(np.mean(np.abs(INK.adapt(one) - INK.adapt(other))))


@pytest.mark.parametrize("value", [0, 150, 255])
@pytest.mark.parametrize("paper", [20, 200])
@pytest.mark.parametrize("side", SIDES)
def test_a_band_along_a_side_is_no_ink(side: str, paper: int, value: int) -> None:
    """Whether dark or light, on dark or light paper: the grid is as without the band."""
    ink = 240 if paper < 128 else 60
    for letter in "XO":
        plain = _cell(letter, paper=paper, ink=ink)

        assert _apart(_framed(plain, (side,), value=value), plain) < 0.01


@pytest.mark.parametrize("ragged", [0, 1.5])
@pytest.mark.parametrize("value", [0, 110, 255])
@pytest.mark.parametrize(
    "sides",
    [("top", "bottom"), ("left", "top"), ("left", "right", "bottom"), SIDES],
)
def test_bands_along_several_sides_are_no_ink(
    sides: tuple[str, ...], value: int, ragged: float
) -> None:
    """Even where most of the border is band, the paper within is the background."""
    plain = _cell(paper=190)

    assert _apart(_framed(plain, sides, value=value, ragged=ragged), plain) < 0.02


@pytest.mark.parametrize("side", SIDES)
def test_a_ruled_line_beside_the_border_is_no_ink(side: str) -> None:
    """A line that leaves the picture at both ends frames it, though some paper lies beyond."""
    plain = _cell("O")
    ruled = plain.copy()
    line = {
        "top": (-1, 4, 121, 9), "bottom": (-1, 116, 121, 110),
        "left": (5, -1, 9, 121), "right": (112, -1, 115, 121),
    }[side]  # fmt: skip
    ImageDraw.Draw(ruled).line(line, 100, 2)

    assert _apart(ruled, plain) < 0.02


def test_a_stroke_that_crosses_a_band_stays_ink() -> None:
    """An X that runs into a band loses what lies under the band, and no more."""
    image = Image.new("L", (120, 120), 230)
    pen = ImageDraw.Draw(image)
    pen.line((30, 2, 90, 70), 40, 6)
    pen.line((90, 2, 30, 70), 40, 6)

    cells = INK.adapt(_framed(image, ("top",), value=40))[0]

    cut = image.copy()
    cut.paste(230, (0, 0, 120, 9))
    assert np.mean(np.abs(cells - INK.adapt(cut)[0])) < 0.05


def test_a_drawing_that_touches_the_border_stays_ink() -> None:
    """An X from corner to corner and an O as large as the picture frame it, and are drawn."""
    for letter in "XO":
        image = Image.new("L", (120, 120), 230)
        pen = ImageDraw.Draw(image)
        if letter == "O":
            pen.ellipse((0, 0, 119, 119), outline=40, width=9)
        else:
            pen.line((0, 0, 119, 119), 40, 9)
            pen.line((0, 119, 119, 0), 40, 9)

        assert frame_of(np.asarray(image)[:, :, None]) is None
        assert (INK.adapt(image) > 0).mean() > 0.1


def test_one_band_alone_is_no_ink() -> None:
    """A page's edge along one side of an empty sheet leaves the sheet empty."""
    sheet = Image.new("L", (120, 120), 230)

    for side in SIDES:
        assert (INK.adapt(_framed(sheet, (side,), value=40)) == -1).all()


def test_bands_alone_along_several_sides_are_the_drawing() -> None:
    """An L or a box that is cut out has nothing but bands, and stays what is drawn."""
    sheet = Image.new("L", (120, 120), 230)

    for sides in (("left", "bottom"), ("left", "right"), SIDES):
        assert (INK.adapt(_framed(sheet, sides, value=40)) > 0).any()


@pytest.mark.parametrize("letter", "EFHTLNZ")
def test_letters_that_are_cut_out_stay_whole(letter: str) -> None:
    """Strokes along the sides that belong to what is drawn are no bands."""
    strokes = {
        "E": ((0, 0, 14, 119), (0, 0, 89, 14), (0, 105, 89, 119), (0, 53, 70, 66)),
        "F": ((0, 0, 14, 119), (0, 0, 89, 14), (0, 53, 70, 66)),
        "H": ((0, 0, 14, 119), (75, 0, 89, 119), (0, 53, 89, 66)),
        "T": ((0, 0, 89, 14), (38, 0, 52, 119)),
        "L": ((0, 0, 14, 119), (0, 105, 89, 119)),
        "N": ((0, 0, 14, 119), (75, 0, 89, 119)),
        "Z": ((0, 0, 89, 14), (0, 105, 89, 119)),
    }[letter]
    image = Image.new("L", (90, 120), 230)
    pen = ImageDraw.Draw(image)
    for box in strokes:
        pen.rectangle(box, 40)
    if letter == "N":
        pen.line((7, 0, 82, 119), 40, 14)
    if letter == "Z":
        pen.line((82, 7, 7, 112), 40, 14)

    assert frame_of(np.asarray(image)[:, :, None]) is None


def test_pictures_that_nothing_frames_are_left_as_they_are(
    draw: Callable[[int, int], list[tuple[Image.Image, str]]],
) -> None:
    """In hardly any drawn picture is a frame seen, and in no drawing of other programs."""
    made = XO(count=2000).pictures(7)
    drawn: list[NDArray[Any]] = [np.asarray(image.convert("RGB")) for image, _ in draw(40, 6)]

    assert sum(frame_of(picture[:, :, None]) is not None for picture in made) <= 2
    assert all(frame_of(pixels[:: max(pixels.shape) // 120 + 1, :: max(pixels.shape) // 120 + 1])
               is None for pixels in drawn)  # fmt: skip


def test_light_is_no_band() -> None:
    """A sheet that darkens towards a side or its corners has no frame."""
    x, y = np.linspace(-1, 1, 120), np.linspace(-1, 1, 120)[:, None]
    sheet = np.asarray(_cell(), np.float32)

    for light in (0.85 + 0.15 * x + 0 * y, 0.95 - 0.1 * (x**2 + y**2)):
        assert frame_of((sheet * light).astype(np.uint8)[:, :, None]) is None


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_large_pictures_are_framed_alike(kind: type, channels: int) -> None:
    """A picture of many pixels, in bytes or floats, loses its frame as a small one does."""
    plain = _cell("O").resize((700, 650))
    framed = _framed(_cell("O"), ("left", "bottom"), value=0).resize((700, 650))
    pixels = [
        np.repeat(np.asarray(image)[:, :, None], channels, axis=2) for image in (plain, framed)
    ]
    if kind is np.float32:
        pixels = [each.astype(np.float32) / 255 for each in pixels]
    before = pixels[1].copy()

    assert _apart(pixels[1], pixels[0]) < 0.02
    np.testing.assert_array_equal(pixels[1], before)
