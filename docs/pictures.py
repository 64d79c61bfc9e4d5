"""Makes the pictures of the pages.

`python -m docs.pictures` writes them: what the network for X and O sees, stage by stage, and what
the order of columns looks like.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits, load_wine

import gridcnn
from benchmarks.drawings import draw
from gridcnn.contracts.source import Request
from gridcnn.datasets.public.fashion import Fashion
from gridcnn.files import write_text
from gridcnn.grid import GridShape
from gridcnn.order.lags import Lags
from gridcnn.report.pictures import accuracy_picture, lags_picture, matrix_image
from gridcnn.spec.load import load
from gridcnn.training.augmentation import changed_forms

HERE = Path(__file__).parent / "pictures"
_MARGIN, _CAPTION, _CELL = 18, 26, 96
_INK, _PAPER, _BAR = (30, 30, 36), (250, 250, 247), (52, 110, 190)
_CHOSEN = (0, 21)
"""Which drawings are shown: a brush on white and a pen in colour."""
_STROKES = (
    ((0.22, 0.2), (0.45, 0.47), (0.8, 0.78)),
    ((0.78, 0.16), (0.5, 0.5), (0.24, 0.82)),
)
"""An X as a person draws it, in parts of the sheet."""


def _tile(grid: NDArray[np.float32], side: int, *, low: float, high: float) -> Image.Image:
    """Return one map as a grey square picture of `side` pixels, `low` black and `high` white."""
    levels = np.clip((grid - low) / max(high - low, 1e-6), 0, 1) * 255
    return Image.fromarray(levels.astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST)


def _sheet(maps: NDArray[np.float32], *, rows: int) -> Image.Image:
    """Return the maps of one item beside each other, in so many rows, all on one scale."""
    gap, columns = 4, -(-len(maps) // rows)
    side = (2 * _CELL + gap - (rows - 1) * gap) // rows
    size = (columns * (side + gap) - gap, rows * (side + gap) - gap)
    sheet = Image.new("RGB", size, _PAPER)
    low, high = float(min(maps.min(), 0)), float(maps.max())
    for index, grid in enumerate(maps):
        place = (index % columns * (side + gap), index // columns * (side + gap))
        sheet.paste(_tile(grid, side, low=low, high=high).convert("RGB"), place)
    return sheet


def _votes(votes: NDArray[np.float32], classes: tuple[str | int, ...]) -> Image.Image:
    """Return the votes as bars."""
    side = 2 * _CELL + 4
    picture = Image.new("RGB", (150, side), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=18)
    for place, (label, vote) in enumerate(zip(classes, votes, strict=True)):
        top = 50 + place * 56
        pen.text((0, top + 4), str(label), _INK, font)
        pen.rectangle((24, top, 24 + max(1, round(72 * float(vote))), top + 28), _BAR)
        pen.text((102, top + 4), f"{vote:.2f}", _INK, font)
    return picture


def _strip(drawing: Image.Image, model: gridcnn.Model) -> list[Image.Image]:
    grids = [model.maps([drawing], after=stage)[0] for stage in (0, 2, 3, 6)]
    shown = drawing.convert("RGBA")
    plain = Image.alpha_composite(Image.new("RGBA", shown.size, (255, 255, 255, 255)), shown)
    plain.thumbnail((2 * _CELL + 4, 2 * _CELL + 4))
    return [
        plain.convert("RGB"),
        _sheet(grids[0], rows=1),
        _sheet(grids[1], rows=2),
        _sheet(grids[2], rows=2),
        _sheet(grids[3], rows=4),
        _votes(model.votes([drawing])[0], model.classes),
    ]


_STYLE = "<style>svg { background: #ffffff } text { fill: #1b1d21; font: 12px sans-serif }</style>"


def _lone(picture: str) -> str:
    """Return a picture of a page as a file of its own, with the colours of a light page."""
    begin, rest = picture.split(">", 1)
    return f'{begin} xmlns="http://www.w3.org/2000/svg">{_STYLE}{rest}\n'


def _matrices(lags: Lags) -> Image.Image:
    """Return the matrix as given and that in a random order, beside each other."""
    side = 4 * len(lags.matrix)
    picture = Image.new("RGB", (2 * side + 3 * _MARGIN, side + 2 * _MARGIN + _CAPTION), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=17)
    for place, (matrix, caption) in enumerate(
        [(lags.matrix, "as given"), (lags.shuffled, "in a random order")]
    ):
        left = _MARGIN + place * (side + _MARGIN)
        pen.text((left, _MARGIN // 2), caption, _INK, font)
        large = matrix_image(matrix).resize((side, side), Image.Resampling.NEAREST)
        picture.paste(large, (left, _MARGIN + _CAPTION))
    return picture


def order() -> None:
    """Check the digits, whose order means something, and wines, whose order does not."""
    digits, wines = load_digits(), load_wine()
    for name, data in (("digits", digits), ("wines", wines)):
        verdict = gridcnn.check(data.data, data.target)
        assert verdict.lags is not None
        assert verdict.usefulness is not None
        write_text(HERE / f"order-{name}.svg", _lone(lags_picture(verdict.lags)))
        write_text(HERE / f"order-{name}-accuracy.svg", _lone(accuracy_picture(verdict.usefulness)))
        if name == "digits":
            _matrices(verdict.lags).save(HERE / "order-digits-matrix.png", optimize=True)


_SHOWN: tuple[tuple[str, Any], ...] = (
    ("shift: 4", {"shift": 4}),
    ("zoom: 0.3", {"zoom": 0.3}),
    ("rotate: 25", {"rotate": 25}),
    ("shear: 25", {"shear": 25}),
    ("elastic: 3", {"elastic": 3}),
    ("mask: 6", {"mask": 6}),
    ("erase, always", {"erase": {"area": 0.3, "probability": 1}}),
    ("noise: 0.3", {"noise": 0.3}),
    ("brightness: 0.5", {"brightness": 0.5}),
    ("contrast: 0.6", {"contrast": 0.6}),
)
"""What is shown of augmentation, and how it is written."""
_FORMS = 6


def augmentation() -> None:
    """Draw forms of one shoe, a row for each augmentation."""
    shoe = Fashion().open(Request()).things[0].astype(np.float32) / 127.5 - 1
    grids = np.repeat(shoe[None, None], _FORMS, axis=0)
    rows = []
    for _, written in _SHOWN:
        training = load({"training": {"augmentation": [written]}}).training
        rows.append(np.asarray(changed_forms(training, grids, GridShape(1, 28, 28))))
    side, caption = 84, 170
    size = (caption + _FORMS * (side + 4) + _MARGIN, len(rows) * (side + 4) + 2 * _MARGIN - 4)
    picture = Image.new("RGB", size, _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=17)
    for number, ((written, _), forms) in enumerate(zip(_SHOWN, rows, strict=True)):
        top = _MARGIN + number * (side + 4)
        pen.text((_MARGIN, top + side // 2 - 10), written, _INK, font)
        for place, form in enumerate(forms):
            tile = _tile(form[0], side, low=-1, high=1)
            picture.paste(tile.convert("RGB"), (caption + place * (side + 4), top))
    picture.save(HERE / "augmentation.png", optimize=True)


def app() -> None:
    """Draw an X with the mouse into the page of the ready spec `xo`, and take a picture of it."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page = Path(folder) / "app.html"
        gridcnn.run("xo", out=Path(folder) / "run").model.export("page", page)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        window = browser.new_page(viewport={"width": 1100, "height": 1330})
        window.goto(page.as_uri())
        box = window.locator("canvas.drawing").bounding_box()
        assert box is not None
        for stroke in _STROKES:
            points = [
                (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke
            ]
            window.mouse.move(*points[0])
            window.mouse.down()
            for point in points[1:]:
                window.mouse.move(*point, steps=8)
            window.mouse.up()
        window.wait_for_timeout(1000)  # the votes follow at once, the maps when there is time
        window.screenshot(path=HERE / "app.png")
        browser.close()


def main() -> None:
    """Draw all pictures."""
    stages()
    order()
    augmentation()
    app()


def stages() -> None:
    """Train the ready spec `xo`, and draw what it sees of two drawings."""
    with tempfile.TemporaryDirectory() as folder:
        model = gridcnn.run("xo", out=Path(folder) / "run").model
    drawings = draw(max(_CHOSEN) + 1, 31)
    strips = [_strip(drawings[index][0], model) for index in _CHOSEN]
    captions = (
        "a drawing",
        "its grid",
        "8 features, rectified",
        "pooled",
        "16 of these, pooled",
        "votes",
    )
    widths = [max(strip[n].width for strip in strips) for n in range(len(captions))]
    height = _CAPTION + (2 * _CELL + 4 + _MARGIN) * len(strips)
    width = sum(widths) + _MARGIN * (len(widths) + 1)
    picture = Image.new("RGB", (width, height + _MARGIN), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=17)
    left = _MARGIN
    for number, caption in enumerate(captions):
        pen.text((left, _MARGIN // 2), caption, _INK, font)
        for row, strip in enumerate(strips):
            part = strip[number]
            top = _CAPTION + _MARGIN // 2 + row * (2 * _CELL + 4 + _MARGIN)
            picture.paste(part, (left, top + (2 * _CELL + 4 - part.height) // 2))
        left += widths[number] + _MARGIN
    HERE.mkdir(exist_ok=True)
    picture.save(HERE / "xo.png", optimize=True)


if __name__ == "__main__":
    main()
