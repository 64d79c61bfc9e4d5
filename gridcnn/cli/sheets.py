"""Sheets of many grids of one shape, as pictures; of texts as their letters."""

from __future__ import annotations

import importlib.util
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gridcnn.grid import Cells, GridShape, OneHot
from gridcnn.report.colours import picture_pixels

Picture = NDArray[np.uint8]
"""Colours, `(rows, columns, 3)`."""

BETWEEN = (58, 96, 150)  # a blue, which no grey cell has
_LARGEST = 1200  # pixels of a sheet along its longer side, if cells need not be smaller than one
_LINE = 100  # letters
_MOST_LINES = 12  # of each text
_LETTERS = 15  # pixels high
_PAPERS = ("white", "#e6ecf4")
_NOTHING, _OTHER, _BREAK = "\u00b7", "\u25a1", "\u21b5"  # a dot, a box, and a bent arrow


def sheet_of_grids(grids: NDArray[np.float32], *, gap: int = 1) -> Picture:
    """Return grids `(items, channels, rows, columns)` side by side, each cell as one pixel.

    They stand in rows, from left to right, so that the sheet is about as high as it is wide. `gap`
    is the number of pixels between them.
    """
    items, _, rows, columns = grids.shape
    across = _across(items, rows + gap, columns + gap)
    down = -(-items // across)
    sizes = (down * (rows + gap) - gap, across * (columns + gap) - gap, 3)
    sheet: Picture = np.empty(sizes, np.uint8)
    sheet[:] = BETWEEN
    for number, grid in enumerate(grids):
        top, left = number // across * (rows + gap), number % across * (columns + gap)
        sheet[top : top + rows, left : left + columns] = picture_pixels(grid)
    return sheet


def enlarge(sheet: Picture) -> tuple[Picture, int]:
    """Return a sheet with squares of pixels for cells, and the side of these squares."""
    side = max(1, _LARGEST // max(sheet.shape[:2]))
    return sheet.repeat(side, axis=0).repeat(side, axis=1), side


def _across(items: int, rows: int, columns: int) -> int:
    """Return how many grids of so many rows and columns stand in a row of a square sheet."""

    def sides(across: int) -> tuple[int, int]:
        return max(across * columns, -(-items // across) * rows), -across

    return min(range(1, items + 1), key=sides)


def texts_of(cells: Cells, shape: GridShape) -> list[str] | None:
    """Return one-hot grids as the texts that they hold; None if they are no such grids.

    A column without a 1 is a dot, unless all after it have none either. Words have spaces between
    them.
    """
    labels = shape.row_axis.labels
    if not isinstance(cells, OneHot) or labels is None:
        return None
    signs = np.array([*map(_sign, labels), _NOTHING], dtype=object)
    between = " " if shape.row_axis.name == "word" else ""
    texts = []
    for rows in cells.indices:
        there = np.flatnonzero(rows >= 0)
        end = int(there[-1]) + 1 if len(there) else 0
        texts.append(between.join(signs[rows[:end]].tolist()))
    return texts


def _sign(label: str) -> str:
    """Return what is drawn for a symbol."""
    if label == "unknown":
        return _OTHER
    if len(label) == 4 and label.startswith("0x"):  # a byte
        label = chr(int(label, 16))
    if len(label) == 1 and not label.isprintable():
        return _BREAK if label == "\n" else _NOTHING
    return label


def sheet_of_texts(texts: Sequence[str]) -> Picture:
    """Return texts below each other, on paper of two shades in turn.

    Of a long text, the first lines are shown.
    """
    font = _font()
    left, top, right, bottom = font.getbbox("M")
    wide, high = math.ceil(right - left), math.ceil((bottom - top) * 1.8)
    blocks = [_lines(text) for text in texts]
    longest = max((len(line) for lines in blocks for line in lines), default=1)
    heights = [high * len(lines) + high // 2 for lines in blocks]
    picture = Image.new("RGB", (wide * (longest + 2), sum(heights)), _PAPERS[0])
    draw, start = ImageDraw.Draw(picture), 0
    for number, (lines, height) in enumerate(zip(blocks, heights, strict=True)):
        paper = _PAPERS[number % len(_PAPERS)]
        draw.rectangle((0, start, picture.width, start + height - 1), fill=paper)
        for place, line in enumerate(lines):
            draw.text((wide, start + high // 4 + place * high), line, fill="black", font=font)
        start += height
    colours: Picture = np.asarray(picture)
    return colours


def _lines(text: str) -> list[str]:
    lines = textwrap.wrap(text, _LINE, drop_whitespace=False, replace_whitespace=False) or [""]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], "..."]
    return lines


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font in which all letters are equally wide; if it is missing, Pillow's own.

    It lies beside the code of Matplotlib, which need not be loaded for that.
    """
    found = importlib.util.find_spec("matplotlib")
    folders = [] if found is None else found.submodule_search_locations or []
    for folder in folders:
        place = Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSansMono.ttf")
        if place.is_file():
            return ImageFont.truetype(str(place), _LETTERS)
    return ImageFont.load_default(_LETTERS)
