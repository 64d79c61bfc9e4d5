"""The search for ink as nodes of ONNX, with and without frames."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.ink import background_of
from gridcnn.grid import Array
from tests.export.adapting import check, content_of, in_onnxruntime, in_openvino

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


def drawing(random: np.random.Generator, rows: int, columns: int, channels: int) -> Array:
    """Return strokes of a pen on paper, on some of which light falls unevenly."""
    from PIL import Image, ImageDraw

    paper = random.integers(120, 256, 3)
    image = Image.new("RGB", (columns, rows), tuple(paper.tolist()))
    pen = ImageDraw.Draw(image)
    ink = tuple(random.integers(0, 100, 3).tolist())
    y, x = np.sort(random.uniform(0.1, 0.9, (2, 2)), axis=1) * [[rows], [columns]]
    width = max(1, round(random.uniform(0.02, 0.08) * min(rows, columns)))
    for first, last in (((x[0], y[0]), (x[1], y[1])), ((x[0], y[1]), (x[1], y[0]))):
        pen.line((first, last), ink, width)
    pixels = np.asarray(image).astype(np.float64)
    if random.random() < 0.5:
        pixels *= np.linspace(0.6, 1, columns)[None, :, None]
    pixels += random.normal(0, random.choice([0, 2, 6]), pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)[:, :, :channels]


@functools.cache
def drawings(count: int = 2) -> list[Any]:
    """Return drawings of many sizes, of which a few seem to have a frame."""
    random = np.random.default_rng(1)
    sizes = [(20, 31), (3, 9), (24, 24), (64, 64), (130, 120), (300, 210)]
    made = [
        drawing(random, *size, channels)
        for size in sizes
        for channels in (1, 3)
        for _ in range(count)
    ]
    return [*made, np.full((40, 30, 3), 200, np.uint8), np.zeros((1, 1, 1), np.uint8)]


def in_arrays(cells: list[Any]) -> list[Array]:
    """Return cells of forms, each of which has something along its sides, as pixels."""
    arrays = [np.asarray(image) for image, _ in cells]
    return [each if each.ndim == 3 else each[:, :, None] for each in arrays]


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"fit": "ink", "polarity": "ink"}, "uint8"),
        ({"fit": "ink", "polarity": "keep", "channels": 3, "margin": 0.3}, "uint8"),
        ({"fit": "pad", "polarity": "ink", "channels": 3}, "uint8"),
        ({"fit": "crop", "polarity": "ink"}, "uint8"),
        ({"fit": "ink", "polarity": "ink"}, "float32"),
    ],
)
def test_ink_is_searched_in_the_file(
    settings: dict[str, Any], kind: str, photograph: Callable[..., list[Any]]
) -> None:
    """On paper of any colour, evenly lit or not, in small pictures and large ones, and in none."""
    adapter = ImageAdapter(size=(16, 20), **settings)
    things = [*drawings(), *in_arrays(photograph(6, 1))]
    if kind == "float32":
        things = [(each / 255).astype(np.float32) for each in things]

    check(adapter, things, atol=2e-5, openvino=False, pixels=kind)


def test_page_edges_and_ruled_lines_are_taken_off(photograph: Callable[..., list[Any]]) -> None:
    """Unless the file is made without frames, which then says so."""
    adapter = ImageAdapter(size=(16, 20), fit="ink", polarity="ink")
    things = in_arrays(photograph(12, 2))
    framed = [each for each in things if background_of(each).frame is not None]
    assert len(framed) > 8

    run = in_onnxruntime(content_of(adapter))
    careless = in_onnxruntime(content_of(adapter, without="frames"))

    for picture in framed:
        cells = adapter.adapt(picture)
        np.testing.assert_allclose(run("pixels", picture[None])[0], cells, atol=2e-5)
        assert np.abs(careless("pixels", picture[None])[0] - cells).max() > 0.1


def test_frames_are_searched_in_openvino(photograph: Callable[..., list[Any]]) -> None:
    """It computes in single precision, which moves a cell by a few hundred-thousandths."""
    adapter = ImageAdapter(size=(16, 20), fit="ink", polarity="ink")
    run = in_openvino(content_of(adapter))

    for picture in in_arrays(photograph(6, 2)):
        found = run("pixels", picture[None])[0]

        np.testing.assert_allclose(found, adapter.adapt(picture), atol=2e-3)


@pytest.mark.parametrize("opset", [13, 21])
def test_pictures_of_a_batch_have_frames_of_their_own(opset: int) -> None:
    """Or none; the paper of some is lit unevenly."""
    random = np.random.default_rng(3)
    pictures = [drawing(random, 90, 70, 3) for _ in range(6)]
    pictures[1][:7] = pictures[2][-5:] = pictures[3][:, :9] = 20
    adapter = ImageAdapter(size=(16, 20), fit="ink", polarity="ink")

    found = in_onnxruntime(content_of(adapter, opset=opset))("pixels", np.stack(pictures))

    np.testing.assert_allclose(found, adapter.grids(pictures).values, atol=2e-5)
    assert sum(background_of(each).frame is not None for each in pictures) == 3


@pytest.mark.long
def test_ink_is_searched_in_very_many_pictures(photograph: Callable[..., list[Any]]) -> None:
    adapter = ImageAdapter(size=(16, 20), fit="ink", polarity="ink")

    check(adapter, drawings(100), atol=2e-5, openvino=False)
    check(adapter, in_arrays(photograph(200, 4)), atol=2e-5, openvino=False)
