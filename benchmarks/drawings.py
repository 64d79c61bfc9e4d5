"""Drawings of X and O as people make them in other programs, to try a trained classifier on.

They share nothing with the drawings that the `xo` data set makes: brushes and pens, thin and thick,
dark and light and coloured, on paper, boards and transparent sheets, tiny or filling the sheet,
from 200 to 1200 pixels, some photographed, some typed. `python -m benchmarks.drawings sheet.png`
writes a contact sheet of them.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Drawing = tuple[Image.Image, str]
Points = NDArray[np.float64]
"""A stroke: `(points, 2)`, x and y, within a letter whose box reaches from -1 to 1."""
Random = np.random.Generator
Colour = tuple[int, int, int]

_DARK: tuple[Colour, ...] = (
    (0, 0, 0),
    (40, 40, 48),
    (20, 30, 110),
    (120, 15, 20),
    (10, 80, 40),
    (70, 70, 74),
)
_LIGHT: tuple[Colour, ...] = (
    (255, 255, 255),
    (235, 235, 225),
    (255, 240, 150),
    (180, 230, 255),
    (255, 200, 210),
)
_PENS: tuple[Colour, ...] = (
    (220, 30, 40),
    (30, 90, 220),
    (20, 150, 60),
    (240, 130, 20),
    (150, 40, 180),
    (230, 200, 20),
    (240, 60, 160),
)
_ON_COLOUR: tuple[tuple[Colour, Colour], ...] = (
    ((200, 30, 30), (150, 215, 160)),
    ((20, 40, 150), (245, 210, 90)),
    ((250, 220, 60), (30, 60, 140)),
    ((240, 240, 255), (170, 40, 60)),
    ((110, 20, 120), (190, 200, 235)),
    ((255, 170, 60), (20, 70, 60)),
)


def draw(count: int, seed: int) -> list[Drawing]:
    """Return `count` drawings and what each shows, "X" or "O", always the same ones for a seed.

    Letters alternate, so that half of the drawings show each.
    """
    return [_drawn("XO"[index % 2], np.random.default_rng([seed, index])) for index in range(count)]


def _drawn(letter: str, random: Random) -> Drawing:
    sheet = _sheet(random)
    mask = _mask(letter, sheet, random)
    if random.random() < 0.12:
        return _on_transparent(mask, random), letter
    ink, paper = _colours(random)
    return _finished(_painted(mask, ink, paper, random), random), letter


def _sheet(random: Random) -> tuple[int, int]:
    """Return width and height, 200 to 1200 pixels, small ones as frequent as large ones."""
    width = 200 * 6 ** random.random()
    height = np.clip(width * random.choice([1, 1, 0.75, 1.33, random.uniform(0.6, 1.6)]), 200, 1200)
    return int(width), int(height)


def _mask(letter: str, sheet: tuple[int, int], random: Random) -> Image.Image:
    """Return where the ink is: 0 to 255 for every pixel of the sheet."""
    width, height = sheet
    short = min(sheet)
    # Half of the drawings fill their sheet; the others are small, down to a corner of it.
    part = random.uniform(0.5, 0.85) if random.random() < 0.5 else random.uniform(0.1, 0.5)
    reach = max(short * part / 2, 14)
    stretch = random.uniform(0.8, 1.25)
    reach_x, reach_y = reach * min(stretch, 1), reach / max(stretch, 1)
    edge = reach * 1.3
    x = random.uniform(edge, width - edge) if width > 2 * edge else width / 2
    y = random.uniform(edge, height - edge) if height > 2 * edge else height / 2
    place = _Place(x, y, reach_x, reach_y, math.radians(random.uniform(-14, 14)))
    maker = random.choice(len(_MAKERS), p=[0.45, 0.25, 0.12, 0.18])
    return _MAKERS[maker](letter, sheet, place, random)


class _Place:
    """Where a letter stands on the sheet, in pixels, how far it reaches, and how it is turned."""

    def __init__(self, x: float, y: float, reach_x: float, reach_y: float, turn: float) -> None:
        self.x, self.y = x, y
        self.reach_x, self.reach_y = reach_x, reach_y
        self.turn = turn

    @property
    def reach(self) -> float:
        return max(self.reach_x, self.reach_y)

    def on_sheet(self, points: Points) -> Points:
        x, y = points[:, 0] * self.reach_x, points[:, 1] * self.reach_y
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return np.stack([self.x + x * cos - y * sin, self.y + x * sin + y * cos], axis=1)


def _strokes(letter: str, random: Random) -> list[Points]:
    return _cross(random) if letter == "X" else [_ring(random)]


def _cross(random: Random) -> list[Points]:
    """Return two strokes that cross, bent a little and of different lengths."""
    strokes = []
    for direction in (1, -1):
        tilt = random.uniform(-0.15, 0.15)
        first, last = random.uniform(0.72, 1.08, size=2)
        t = np.linspace(-first, last, 40)
        bend = random.uniform(-0.12, 0.12) * (1 - t**2)
        x, y = t + bend * direction, t * direction * (1 + tilt) - bend
        strokes.append(np.stack([x, y], axis=1) + _shake(random, len(t)))
    shift = random.uniform(-0.12, 0.12, size=2)
    strokes[1] = strokes[1] + shift
    if random.random() < 0.3:
        strokes.reverse()
    return strokes


def _ring(random: Random) -> Points:
    """Return one stroke around: open, closed or running past its start, perhaps as a spiral."""
    sweep = math.radians(random.choice([325, 345, 360, 375, 400, 430]))
    angle = random.uniform(0, 2 * math.pi) + np.linspace(0, sweep, 90)
    if random.random() < 0.3:
        angle = -angle
    radius = 0.95 + random.uniform(-0.05, 0.05) * np.cos(2 * angle + random.uniform(0, 6))
    radius += random.uniform(-0.03, 0.03) * np.cos(3 * angle + random.uniform(0, 6))
    radius -= np.linspace(0, random.uniform(-0.05, 0.16), len(angle))
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return ring + _shake(random, len(angle))


def _shake(random: Random, count: int) -> Points:
    """Return the unsteadiness of a hand: small, and changing slowly along the stroke."""
    knots = random.normal(0, random.uniform(0.003, 0.022), size=(max(count // 6, 3), 2))
    places = np.linspace(0, len(knots) - 1, count)
    return np.stack(
        [np.interp(places, np.arange(len(knots)), knots[:, side]) for side in (0, 1)], axis=1
    )


def _brush(letter: str, sheet: tuple[int, int], place: _Place, random: Random) -> Image.Image:
    """Draw with a round brush: hard-edged as in a simple paint program, or smooth."""
    fine = 1 if random.random() < 0.4 else 2
    mask = Image.new("L", (sheet[0] * fine, sheet[1] * fine))
    pen = ImageDraw.Draw(mask)
    thickness = place.reach * random.choice([0.07, 0.11, 0.16, 0.24, 0.34])
    radius = max(thickness / 2, 0.8) * fine
    for stroke in _strokes(letter, random):
        points = place.on_sheet(stroke) * fine
        _line(pen, points, radius)
    return mask if fine == 1 else mask.resize(sheet, Image.Resampling.BOX)


def _line(pen: ImageDraw.ImageDraw, points: Points, radius: float) -> None:
    pen.line([tuple(point) for point in points.tolist()], fill=255, width=max(round(2 * radius), 1))
    for x, y in points.tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def _nib(letter: str, sheet: tuple[int, int], place: _Place, random: Random) -> Image.Image:
    """Draw with a broad nib held at one angle: thick one way, thin the other."""
    mask = Image.new("L", sheet)
    pen = ImageDraw.Draw(mask)
    breadth = max(place.reach * random.uniform(0.12, 0.3), 4) / 2
    held = math.radians(random.uniform(20, 70))
    nib = np.array([math.cos(held), -math.sin(held)]) * breadth
    for stroke in _strokes(letter, random):
        points = place.on_sheet(stroke)
        for here, there in itertools.pairwise(points):
            corners = (here - nib, here + nib, there + nib, there - nib)
            pen.polygon([tuple(corner.tolist()) for corner in corners], fill=255, outline=255)
            pen.line([tuple((here - nib).tolist()), tuple((here + nib).tolist())], 255, width=2)
    return mask.filter(ImageFilter.GaussianBlur(0.6))


def _pencil(letter: str, sheet: tuple[int, int], place: _Place, random: Random) -> Image.Image:
    """Draw with a pencil: each stroke a few thin lines, with the grain of the paper in them."""
    mask = Image.new("L", sheet)
    pen = ImageDraw.Draw(mask)
    for stroke in _strokes(letter, random):
        for _ in range(int(random.integers(2, 5))):
            apart = random.normal(0, 0.02, size=2)
            _line(pen, place.on_sheet(stroke + apart), max(place.reach * 0.02, 0.8))
    grain = random.uniform(0.55, 1, size=(sheet[1], sheet[0]))
    return Image.fromarray((np.asarray(mask) * grain).astype(np.uint8))


def _type(letter: str, sheet: tuple[int, int], place: _Place, random: Random) -> Image.Image:
    """Set the letter in the font that Pillow brings along, turned a little."""
    mask = Image.new("L", sheet)
    font = ImageFont.load_default(size=max(place.reach * 2.4, 30))
    text = letter if random.random() < 0.7 else letter.lower()
    stroke = int(random.choice([0, 0, round(place.reach * 0.05)]))
    ImageDraw.Draw(mask).text(
        (place.x, place.y), text, fill=255, font=font, anchor="mm", stroke_width=stroke
    )
    return mask.rotate(
        math.degrees(place.turn), Image.Resampling.BILINEAR, center=(place.x, place.y)
    )


_MAKERS: tuple[Callable[[str, tuple[int, int], _Place, Random], Image.Image], ...] = (
    _brush,
    _nib,
    _pencil,
    _type,
)


def _picked(colours: tuple[Colour, ...], random: Random) -> Colour:
    return colours[int(random.integers(len(colours)))]


def _colours(random: Random) -> tuple[Colour, Colour]:
    """Return the colours of ink and paper."""
    kind = random.choice(["dark on light", "light on dark", "pen on white", "colours"])
    if kind == "dark on light":
        return _picked(_DARK, random), _picked(_LIGHT, random)
    if kind == "light on dark":
        return _picked(_LIGHT, random), _picked(_DARK, random)
    if kind == "pen on white":
        return _picked(_PENS, random), (255, 255, 255)
    return _ON_COLOUR[int(random.integers(len(_ON_COLOUR)))]


def _painted(mask: Image.Image, ink: Colour, paper: Colour, random: Random) -> Image.Image:
    """Return ink on paper that may have grain, a shadow across it, or corners that fall dark."""
    width, height = mask.size
    covered = (np.asarray(mask, np.float32) / 255)[:, :, None]
    colours = np.array(paper, np.float32) + covered * (
        np.array(ink, np.float32) - np.array(paper, np.float32)
    )
    if random.random() < 0.35:
        colours += random.normal(0, random.uniform(2, 8), (height, width, 1))
    across, down = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    if random.random() < 0.25:
        fall = 1 - random.uniform(0.05, 0.25) * (across**2 + down**2) / 2
        colours *= fall[:, :, None]
    elif random.random() < 0.15:
        turn = random.uniform(0, 2 * math.pi)
        slope = math.cos(turn) * across + math.sin(turn) * down
        colours *= (1 + random.uniform(0.04, 0.14) * slope)[:, :, None]
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def _finished(image: Image.Image, random: Random) -> Image.Image:
    """Return the picture as it is handed over: as drawn, in grey, or after JPEG compression."""
    kind = random.choice(["as drawn", "grey", "JPEG", "JPEG", "speckled"])
    if kind == "grey":
        grey = image.convert("L")
        # Where two colours are equally bright, grey would lose the drawing.
        low, high = grey.getextrema()
        return grey if float(high) - float(low) > 80 else image  # type: ignore[arg-type]
    if kind == "speckled":
        return _speckled(image, random)
    if kind == "JPEG":
        return through_jpeg(image, quality=int(random.integers(25, 90)))
    return image


def _speckled(image: Image.Image, random: Random) -> Image.Image:
    """Return the picture with single pixels of black and white, as a poor scanner leaves them."""
    pixels = np.array(image)
    count = int(pixels.shape[0] * pixels.shape[1] * random.uniform(0.0002, 0.002))
    rows, columns = (random.integers(0, length, count) for length in pixels.shape[:2])
    pixels[rows, columns] = random.choice([0, 255], size=(count, 1))
    return Image.fromarray(pixels)


def _on_transparent(mask: Image.Image, random: Random) -> Image.Image:
    """Return ink on a sheet that can be seen through."""
    colour = _picked(_DARK + _LIGHT + _PENS, random)
    image = Image.new("RGBA", mask.size, (*colour, 0))
    image.putalpha(mask)
    return image


def through_jpeg(image: Image.Image, *, quality: int) -> Image.Image:
    """Return a picture as a JPEG file keeps it."""
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    file.seek(0)
    read = Image.open(file)
    read.load()
    return read


def contact_sheet(images: list[Image.Image], *, cell: int = 96, columns: int = 16) -> Image.Image:
    """Return pictures side by side, each fitted into `cell` pixels."""
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * cell, rows * cell), (128, 128, 128))
    for index, image in enumerate(images):
        small = image.convert("RGBA")
        small.thumbnail((cell - 4, cell - 4), Image.Resampling.BOX)
        place = (index % columns * cell + 2, index // columns * cell + 2)
        sheet.paste(small, place, small)
    return sheet


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "drawings.png"
    contact_sheet([image for image, _ in draw(128, seed=1)]).save(name)
    print(f"wrote {name}")
