"""Photographed cells of paper: an X or an O, with a page's edge or a ruled line along the sides.

They share nothing with the drawings that the `xo` data set makes, nor with `benchmarks.drawings`
but the JPEG file that both end in: strokes are curves through a few points, and what frames the
cell is drawn as a camera sees it: the table beyond the page, dark or light, with its shadow;
printed and pencilled lines; the lines of the game itself, in the pen of the sign. Bands are
straight, tilted or ragged, lie along one to four sides, and in some pictures the sign touches or
crosses them. `python -m benchmarks.framed sheet.png` writes a contact sheet.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from benchmarks.drawings import contact_sheet, through_jpeg

Cell = tuple[Image.Image, str]
Values = NDArray[np.float64]
Random = np.random.Generator

_SIDES = ("top", "bottom", "left", "right")
_FINE = 3  # each pixel of a mask is drawn as 3 x 3


def photograph(count: int, seed: int) -> list[Cell]:
    """Return `count` cells and what each shows, "X" or "O", always the same ones for a seed.

    Letters alternate, so that half of the cells show each.
    """
    return [_cell("XO"[index % 2], np.random.default_rng([index, seed])) for index in range(count)]


def _cell(letter: str, random: Random) -> Cell:
    height = int(56 * 9 ** random.random())
    width = int(height * random.uniform(0.8, 1.25))
    paper, pen = _paper_and_pen(random)
    count = int(random.choice([1, 2, 3, 4], p=[0.35, 0.3, 0.15, 0.2]))
    sides = [str(side) for side in random.permutation(_SIDES)[:count]]
    kind = str(random.choice(["page", "rule", "game", "mixed"], p=[0.35, 0.3, 0.2, 0.15]))

    scene = np.broadcast_to(paper, (height, width, 3)).copy()
    depths = dict.fromkeys(_SIDES, 0.0)
    table = _table(paper, random)
    line = _line_colour(paper, pen, random)
    bands = []
    for side in sides:
        drawn = kind if kind != "mixed" else str(random.choice(["page", "rule", "game"]))
        # The band is made as if it lay along the top, and turned to its side.
        across, along = (height, width) if side in ("top", "bottom") else (width, height)
        if drawn == "page":
            cover, depth, shade = _page_edge(across, along, random)
            bands.append((_turned(shade, side), np.zeros(3)))
            bands.append((_turned(cover, side), table))
        else:
            cover, depth = _ruled_line(across, along, thick=drawn == "game", random=random)
            bands.append((_turned(cover, side), pen if drawn == "game" else line))
        depths[side] = depth
    for cover, colour in bands:
        scene += cover[:, :, None] * (colour - scene)
    ink = _sign(letter, (height, width), depths, random)
    scene += ink[:, :, None] * (pen - scene)
    return _photographed(scene, random), letter


def _paper_and_pen(random: Random) -> tuple[Values, Values]:
    """Return two colours that differ by 70 or more in brightness, for most the paper brighter."""
    tint = random.normal(0, 6, 3)
    paper = random.uniform(165, 250) + tint
    pen = random.uniform(10, 90) + random.uniform(-10, 10, 3)
    if random.random() < 0.4:
        pen[int(random.integers(3))] += random.uniform(40, 110)
    if random.random() < 0.2:
        paper = random.uniform(15, 85) + tint
        pen = random.uniform(170, 250) + random.uniform(-12, 5, 3)
    return np.clip(paper, 0, 255), np.clip(pen, 0, 255)


def _table(paper: Values, random: Random) -> Values:
    """Return the colour of what lies beyond the page: 45 or more darker or brighter."""
    while True:
        table = np.clip(random.uniform(0, 255) + random.normal(0, 18, 3), 0, 255)
        if abs(table.mean() - paper.mean()) >= 45:
            return table


def _line_colour(paper: Values, pen: Values, random: Random) -> Values:
    """Return the colour of a ruled line: between those of paper and pen, or a printed blue."""
    part = random.uniform(0.35, 1)
    colour: Values = paper + part * (pen - paper)
    if random.random() < 0.3 and paper.mean() > 128:
        colour = paper * np.array([0.55, 0.7, 0.95])
    return colour


def _page_edge(across: int, along: int, random: Random) -> tuple[Values, float, Values]:
    """Return where the table shows, how deep it reaches, and the shadow on the page beside it."""
    side = min(across, along)
    depth = side * random.uniform(0.03, 0.14)
    edge = depth + _course(along, side, random, tilt=5, rough=random.choice([0, 0.008, 0.02]))
    y = np.arange(across)[:, None] + 0.5
    cover = np.clip(edge - y + 0.5, 0, 1)
    shade = np.zeros_like(cover)
    if random.random() < 0.4:
        reach = side * random.uniform(0.01, 0.03)
        shade = random.uniform(0.1, 0.35) * np.exp(-np.maximum(y - edge, 0) / reach)
    return cover, float(np.percentile(edge, 90)), shade


def _ruled_line(across: int, along: int, *, thick: bool, random: Random) -> tuple[Values, float]:
    """Return where a line shows, and how deep it reaches; some paper may show beyond it."""
    side = min(across, along)
    width = max(side * (random.uniform(0.03, 0.08) if thick else random.uniform(0.01, 0.03)), 1.2)
    beyond = max(0, random.uniform(-0.02, 0.07)) * side
    rough = random.choice([0.004, 0.01, 0.015]) if thick else random.choice([0, 0, 0.004])
    middle = beyond + width / 2 + _course(along, side, random, tilt=4, rough=rough)
    half = width / 2 * (1 + random.uniform(0, 0.3) * np.sin(np.linspace(0, 9, along)))
    y = np.arange(across)[:, None] + 0.5
    cover = np.clip(half - np.abs(y - middle) + 0.5, 0, 1)
    if random.random() < 0.3:
        cover *= np.clip(1.2 - random.uniform(0, 0.5, (1, along)), 0, 1)
    return cover, float(np.percentile(middle + half, 90))


def _course(along: int, side: int, random: Random, *, tilt: float, rough: float) -> Values:
    """Return how an edge wanders along its side, in pixels: a slope, a bow, and roughness."""
    place = np.linspace(-0.5, 0.5, along)
    course = np.tan(np.radians(random.normal(0, tilt / 2.5))) * place * along
    course += random.normal(0, 0.006) * side * np.cos(2 * np.pi * place)
    torn = gaussian_filter1d(random.normal(0, 1, along), max(side * random.uniform(0.005, 0.03), 1))
    return np.asarray(course + rough * side * torn / max(float(torn.std()), 1e-9))


def _turned(cover: Values, side: str) -> Values:
    if side == "bottom":
        return cover[::-1]
    if side == "left":
        return cover.T
    return cover.T[:, ::-1] if side == "right" else cover


def _sign(letter: str, size: tuple[int, int], depths: dict[str, float], random: Random) -> Values:
    """Return the ink of a sign within what the bands leave free, 0 to 1 `(rows, columns)`."""
    height, width = size
    top, bottom = depths["top"], height - depths["bottom"]
    left, right = depths["left"], width - depths["right"]
    room = np.array([right - left, bottom - top])
    half = room.min() / 2 * random.uniform(0.5, 0.92)
    reach = half * np.array([random.uniform(0.8, 1), random.uniform(0.8, 1)])
    middle = np.array([left + right, top + bottom]) / 2
    middle += (room / 2 - reach) * random.uniform(-0.9, 0.9, 2)
    # In one of six the pen slips into a band.
    framed = [side for side in _SIDES if depths[side] > 0]
    if random.random() < 1 / 6:
        side = framed[int(random.integers(len(framed)))]
        axis = 1 if side in ("top", "bottom") else 0
        into = reach[axis] * random.uniform(-0.05, 0.15)
        ends = {"top": top, "bottom": bottom, "left": left, "right": right}
        inwards = 1 if side in ("top", "left") else -1
        middle[axis] = ends[side] + inwards * (reach[axis] - into)
    turn = math.radians(random.uniform(-15, 15))
    spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    pen_width = half * random.choice([0.07, 0.12, 0.18, 0.28])

    mask = Image.new("L", (width * _FINE, height * _FINE))
    pen = ImageDraw.Draw(mask)
    for knots in _knots(letter, random):
        curve = CubicSpline(np.linspace(0, 1, len(knots)), knots)(np.linspace(0, 1, 160))
        # Less the pen's own width, so that the ink ends where the reach does.
        points = (curve @ spin.T) * (reach - pen_width / 2) + middle
        radius = max(pen_width / 2, 0.7)
        for x, y in (points * _FINE).tolist():
            pen.ellipse(
                (x - radius * _FINE, y - radius * _FINE, x + radius * _FINE, y + radius * _FINE),
                255,
            )
    small = mask.resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.float64) / 255 * random.uniform(0.8, 1)


def _knots(letter: str, random: Random) -> list[Values]:
    """Return the points through which the strokes go, in a box from -1 to 1."""
    if letter == "X":
        first = np.array([[-0.9, -0.9], [0, 0], [0.9, 0.9]]) + random.normal(0, 0.07, (3, 2))
        second = np.array([[0.9, -0.9], [0, 0], [-0.9, 0.9]]) + random.normal(0, 0.07, (3, 2))
        return [first, second]
    sweep = math.radians(random.uniform(335, 395))
    angles = random.uniform(0, 2 * math.pi) + np.linspace(0, sweep, 9)
    radius = 0.92 + random.normal(0, 0.035, 9)
    return [np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)]


def _photographed(scene: Values, random: Random) -> Image.Image:
    """Return the scene as a camera keeps it: light from a side, blur, noise, JPEG."""
    height, width = scene.shape[:2]
    angle = random.uniform(0, 2 * math.pi)
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    light = 1 + random.uniform(0, 0.12) * (math.cos(angle) * x + math.sin(angle) * y)
    light = light - random.uniform(0, 0.06) * (x**2 + y**2)
    seen = scene * light[:, :, None]
    blur = random.uniform(0, 0.006) * min(height, width)
    seen = gaussian_filter(seen, (blur, blur, 0))
    seen = seen + random.normal(0, random.uniform(0, 5), seen.shape)
    image = Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8))
    if random.random() < 0.3:
        image = image.convert("L")
    return through_jpeg(image, quality=int(random.integers(40, 95)))


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "framed.png"
    contact_sheet([image for image, _ in photograph(128, seed=1)]).save(name)
    print(f"wrote {name}")
