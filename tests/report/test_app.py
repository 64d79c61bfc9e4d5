"""A model as an app, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import gridcnn
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.report.app import app_page
from gridcnn.spec.load import load
from tests.browser import WIDTHS, broken_pictures, faults_of, overflows, votes_after, votes_in

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser import Pages


@pytest.fixture(scope="module")
def crosses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small run that knows X and O, and its page `app.html`."""
    folder = tmp_path_factory.mktemp("crosses")
    changes = {"data.source": {"xo": {"count": 600}}, "training.epochs": 6}
    gridcnn.run("xo", out=folder / "run", changes=changes)
    (folder / "app.html").write_text(app_page(gridcnn.load(folder / "run")), "utf-8")
    return folder


def draw(page: Page, *strokes: list[tuple[float, float]]) -> None:
    """Draw strokes with the mouse, each through places from 0 to 1."""
    box = page.locator("canvas.drawing").bounding_box()
    assert box is not None

    def place(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    for first, *others in strokes:
        page.mouse.move(*place(*first))
        page.mouse.down()
        for other in others:
            page.mouse.move(*place(*other), steps=2 if len(others) > 4 else 4)
        page.mouse.up()


X = ([(0.25, 0.25), (0.75, 0.75)], [(0.75, 0.25), (0.25, 0.75)])
TURN = np.linspace(0, 2 * np.pi, 24)
O = [(0.5 + 0.25 * float(np.cos(t)), 0.5 + 0.25 * float(np.sin(t))) for t in TURN]  # noqa: E741


def answer_of(page: Page) -> str:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator(".live-answer").inner_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_drawn_is_answered_at_any_width(pages: Pages, crosses: Path, width: int) -> None:
    """An X drawn with the mouse is answered X, and an O is answered O; all maps are shown."""
    page = pages.open(crosses / "app.html", width=width)

    assert answer_of(page) == "Waiting for something to look at."
    draw(page, *X)
    assert answer_of(page) == "X"
    page.get_by_role("button", name="Clear").click()
    draw(page, O)
    assert answer_of(page) == "O"
    assert page.locator(".live-stage").count() == 7
    assert page.locator(".live-stage canvas:visible").count() > 64
    assert not overflows(page)
    assert not broken_pictures(page)
    if width == WIDTHS[1]:
        assert not faults_of(page)


def test_the_drawing_saved_gets_the_same_votes_from_the_model(
    pages: Pages, crosses: Path, tmp_path: Path
) -> None:
    """What the page saves and the model reads gets the votes that the page shows."""
    page = pages.open(crosses / "app.html", accept_downloads=True)
    draw(page, *X, [(0.2, 0.5), (0.8, 0.45)])
    shown = answer_of(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save").click()
    saved.value.save_as(tmp_path / "drawing.png")

    model = gridcnn.load(crosses / "run")
    votes = model.votes(tmp_path / "drawing.png")
    assert model.answers(votes)[0] == shown
    np.testing.assert_allclose(votes_in(page), votes[0], atol=1e-4)


@pytest.mark.parametrize("name", ["grey.png", "colours.bmp", "opacity.png", "photo.jpg"])
def test_a_file_gets_the_same_votes_as_from_the_model(
    pages: Pages, crosses: Path, tmp_path: Path, name: str
) -> None:
    """The browser decodes a file to the same pixels, and the page itself a JPEG file."""
    random = np.random.default_rng(1)
    pixels = np.full((90, 120, 3), 220, np.uint8)
    for i in range(20, 70):
        pixels[i : i + 4, i + 10 : i + 14] = pixels[i : i + 4, 92 - i : 96 - i] = [30, 60, 120]
    pixels += random.integers(0, 8, pixels.shape).astype(np.uint8)
    image = Image.fromarray(pixels)
    if name.startswith("grey"):
        image = image.convert("L")
    if name.startswith("opacity"):
        image.putalpha(255)
    image.save(tmp_path / name)
    model = gridcnn.load(crosses / "run")
    page = pages.open(crosses / "app.html")

    votes = votes_after(page, lambda: page.set_input_files("input[type=file]", tmp_path / name))
    np.testing.assert_allclose(votes, model.votes(tmp_path / name)[0], atol=1e-4)


def test_a_file_that_is_no_picture_is_told(pages: Pages, crosses: Path, tmp_path: Path) -> None:
    """A sentence says so, and the page goes on."""
    (tmp_path / "notes.png").write_text("no picture")
    page = pages.open(crosses / "app.html")

    page.set_input_files("input[type=file]", tmp_path / "notes.png")
    page.wait_for_selector(".problem:visible")
    assert "cannot read 'notes.png' as a picture" in page.locator(".problem").inner_text()
    draw(page, *X)
    assert answer_of(page) == "X"
    assert not page.locator(".problem").is_visible()


def test_the_keyboard_draws_and_works_out_a_cell(pages: Pages, crosses: Path) -> None:
    """Arrows and space draw; Enter on a cell of a map tells how it comes about."""
    page = pages.open(crosses / "app.html")

    page.locator("canvas.drawing").focus()
    page.keyboard.press("Space")
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert answer_of(page) in ("X", "O")
    page.locator(".live-stage canvas[role=img][tabindex='0']").nth(3).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "1 convolution: map 4, row 2, column 1" in page.locator(".live-cell").inner_text()
    assert "Multiply cell by cell and add up" in page.locator(".live-cell").inner_text()


def test_names_are_texts_and_no_markup(pages: Pages, tmp_path: Path) -> None:
    """A class, a spec or a text that looks like a script is shown as it is written."""
    script = "<script>document.title = 'run'</script>"
    spec = load(
        {
            "name": "names",
            "description": script,
            "adapter": {"text": {"alphabet": "<>/ script", "length": 12}},
            "stages": ["rectification"],
            "head": "voting",
        }
    )
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=2)
    model = Model(spec, [script, "</script><b>b"], network.starting_parameters())
    (tmp_path / "app.html").write_text(app_page(model), "utf-8")
    page = pages.open(tmp_path / "app.html")

    page.locator("textarea").fill(script)
    assert answer_of(page) in model.classes
    assert page.title() == "names"
    assert script in page.locator("main").inner_text()
    np.testing.assert_allclose(votes_in(page), model.votes(script)[0], atol=1e-5)
