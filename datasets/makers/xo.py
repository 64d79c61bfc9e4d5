"""Pictures of an X or an O, drawn as people draw them: the data of the worked example."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import AllowInfNan, Strict, model_validator

from gridcnn.contracts.source import Dataset, Facts, Request
from gridcnn.datasets.makers.made import Made
from gridcnn.datasets.makers.pens import Bent, Frame, Ring, Values, ink_of, rub_out
from gridcnn.datasets.readers.stacks import item_names
from gridcnn.settings.base import Many, Seed
from gridcnn.settings.pairs import pair
from gridcnn.streams import Stream

Sides = Annotated[tuple[int, int], *pair(5, 1024)]
"""Rows and columns of a picture."""
Contrast = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(0.9)]
"""A part that is never the whole."""
Part = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(1)]
"""A part of a whole: from 0 to 1."""
Ratio = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(10)]
"""How many times more, at most."""
Degrees = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(180)]
"""An angle, in degrees."""

_MAX_CELLS = 2**32
"""Cells of all pictures together; each takes a byte."""
_FILL = 0.88
"""The part of the picture's side that the largest sign takes."""
_SMALLEST = 11
"""Cells across a sign, at least, where the picture has so many: fewer cannot show how it bends."""
_CELLS_AT_ONCE = 2**15
"""Cells drawn together: few enough that a dozen arrays of them stay in a core's second cache."""


class XO(Made):
    """Pictures of an X or an O, white on black, drawn as unevenly as people draw.

    Everything that makes a picture harder is a setting, and is off at 0; with all of them at 0,
    every picture is the same clean, centred X or O. If a setting is an upper limit, a value between
    0 (or its negative) and that limit is drawn for each picture. With the same seed, a smaller
    set is the beginning of a larger one.
    """

    title: ClassVar[str] = "xo"
    suffix: ClassVar[str] = ".png"

    count: Many = 12_000
    """The number of pictures, equally many X and O, in turn."""
    size: Sides = (32, 32)
    """Rows and columns of a picture, in cells."""
    seed: Seed | None = None
    """The seed of the pictures; null: that of the run."""
    shift: Part = 0.2
    """How far the sign may lie from the middle, as a part of the picture's side."""
    shrink: Part = 0.6
    """How much smaller than the picture the sign may be: 0.6 draws it at 40 % to 100 %."""
    rotation: Degrees = 18.0
    """How far the sign may be turned, in degrees to either side."""
    slant: Ratio = 0.25
    """How far the sign may lean: the sideways shift, as a part of its height."""
    aspect: Ratio = 0.7
    """How much wider or higher the sign may be: 0.7 for up to 1.7 times its other side."""
    unevenness: Part = 0.7
    """How lopsided an O may be, and how unequal in length, angle and crossing the strokes of an X:
    1 is the most that can still be recognized."""
    curvature: Part = 0.25
    """How far the strokes of an X may bend, as a part of half their length."""
    deformation: Part = 0.03
    """How far waves may move the lines, as a part of the picture's side."""
    opening: Degrees = 45.0
    """The angle by which the ends of an O may miss or pass each other, in degrees."""
    gaps: Part = 0.25
    """The part of the pictures in which a stroke is broken."""
    stroke_width: Part = 0.09
    """The width of the pen, as a part of the picture's side; at least a cell is drawn."""
    stroke_spread: Ratio = 2.0
    """How much the pen may differ: 2 for widths from a third to three times `stroke_width`."""
    pressure: Part = 0.35
    """How much wider or narrower a stroke may become along its way."""
    softness: Ratio = 1.5
    """Over how many cells an edge may fade from white to black; 0 leaves only white and black."""
    contrast: Contrast = 0.35
    """How much of the difference between white and black may be missing; at most 0.9."""
    noise: Ratio = 0.12
    """The standard deviation of noise that may be added to every cell; white is 1 and black -1."""
    inverted: Part = 0.0
    """The part of the pictures that are black on white."""

    @model_validator(mode="after")
    def _refuse_too_many(self) -> Self:
        cells = self.count * self.size[0] * self.size[1]
        if cells > _MAX_CELLS:
            raise ValueError(
                f"{self.count} pictures of {self.size[0]} x {self.size[1]} are {cells} cells; "
                f"at most {_MAX_CELLS} are drawn at once, so lower 'count' or 'size'"
            )
        return self

    def facts(self) -> Facts:
        """Return what is known before the pictures are drawn."""
        return Facts(self.count, ("O", "X"), self.size)

    def open(self, request: Request) -> Dataset:
        """Return the pictures: uint8 `(rows, columns)`, 0 is black; the classes are "O" and "X"."""
        pictures = self.pictures(request.seed if self.seed is None else self.seed)
        labels = ["XO"[index % 2] for index in range(self.count)]
        return Dataset(list(pictures), labels, item_names(self.count), origin=self.title)

    def pictures(self, seed: int) -> NDArray[np.uint8]:
        """Return all pictures, uint8 `(count, rows, columns)`: the first is an X, the next an O."""
        rows, columns = self.size
        pairs = max(1, _CELLS_AT_ONCE // (rows * columns))
        pictures = np.empty((self.count, rows, columns), np.uint8)
        for number, start in enumerate(range(0, self.count, 2 * pairs)):
            # Each lot has random numbers of its own, and is drawn whole: so smaller sets begin
            # larger ones.
            draws = _Draws(Stream.XO.random(seed, number), pairs)
            lot = pictures[start : start + 2 * pairs]
            lot[0::2] = self._draw(draws, ring=False)[: len(lot[0::2])]
            lot[1::2] = self._draw(draws, ring=True)[: len(lot[1::2])]
        return pictures

    def encode_item(self, thing: Any) -> bytes:
        """Return a picture as a PNG file."""
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(thing).save(file, "PNG")
        return file.getvalue()

    def _draw(self, draws: _Draws, *, ring: bool) -> NDArray[np.uint8]:
        """Return one picture for each of `draws.items`, uint8 `(items, rows, columns)`."""
        side = min(self.size)
        x, y = self._cells(draws, side)
        # In proportion, up and down: half as wide is as likely as twice as wide.
        width = self.stroke_width * side * draws.ratio(self.stroke_spread)
        sign = self._ring if ring else self._cross
        edge = sign(draws, x, y, width)
        ink = ink_of(edge, softness=draws.up_to(self.softness))

        missing = draws.up_to(self.contrast)
        of_ink = missing * draws.up_to(1)
        black = np.where(draws.up_to(1) < self.inverted, np.float32(1), np.float32(-1))
        values = ink * (-2 * black * (1 - missing)) + black * (1 - 2 * (missing - of_ink))
        strength = draws.up_to(1) * draws.up_to(self.noise)
        if self.noise:
            values += draws.normal(values.shape) * strength
        np.clip(values, -1, 1, out=values)
        values += 1
        values *= np.float32(127.5)
        pictures: NDArray[np.uint8] = np.rint(values, out=values).astype(np.uint8)
        return pictures

    def _cells(self, draws: _Draws, side: int) -> tuple[Values, Values]:
        """Return where each cell is, x to the right and y down, moved by waves."""
        rows, columns = self.size
        y = (np.arange(rows, dtype=np.float32) - np.float32((rows - 1) / 2))[None, :, None]
        x = (np.arange(columns, dtype=np.float32) - np.float32((columns - 1) / 2))[None, None, :]
        moved = []
        for other in (y, x):
            wave = np.zeros(1, np.float32)
            for longest, shortest, height in ((2.0, 0.8, 1.0), (0.8, 0.4, 0.4)):
                length = side * (shortest + (longest - shortest) * draws.up_to(1))
                lift = side * height * draws.up_to(self.deformation)
                turn = draws.up_to(2 * np.pi)
                wave = wave + lift * np.sin(other * (2 * np.pi / length).astype(np.float32) + turn)
            moved.append(wave)
        return x + moved[0], y + moved[1]

    def _ring(self, draws: _Draws, x: Values, y: Values, width: Values) -> Values:
        """Return how far each cell is from the edge of the ink of an O."""
        orders = (0.08, 0.07, 0.06, 0.04)
        ring = Ring(
            cosines=tuple(draws.either(self.unevenness * height) for height in orders),
            sines=tuple(draws.either(self.unevenness * height) for height in orders),
            seam=draws.either(np.pi),
            opening=draws.either(1) ** 3 * np.float32(np.radians(self.opening)),
            spiral=draws.either(0.35 * self.unevenness),
        )
        xu, xv, yu, yv = self._shape(draws)
        extent_x, extent_y = np.hypot(xu, xv), np.hypot(yu, yv)
        size, width = self._fit(draws, extent_x, extent_y, width)
        # The thinner half axis of the ellipse: the smaller singular value of its frame.
        squares = xu * xu + xv * xv + yu * yu + yv * yv
        area = xu * yv - xv * yu
        thin = np.sqrt((squares - np.sqrt(np.maximum(squares**2 - 4 * area**2, 0))) / 2)
        # The hole must stay open: that is what makes it an O.
        width = np.maximum(np.minimum(width, np.float32(0.95) * thin * size), 1)
        centre_x, centre_y = self._centre(draws, extent_x * size, extent_y * size, width)
        frame = Frame(xu * size, xv * size, yu * size, yv * size, centre_x, centre_y)
        distance, turn = ring.distance(frame, x, y)
        phase = draws.either(np.pi)
        pen = (
            width / 2 * (1 + draws.either(self.pressure) * np.cos(turn * np.float32(np.pi) + phase))
        )
        edge = distance - pen
        place = frame.place(*ring.at(draws.either(1)))
        return self._broken(draws, edge, x, y, at=place, width=width, length=size)

    def _cross(self, draws: _Draws, x: Values, y: Values, width: Values) -> Values:
        """Return how far each cell is from the edge of the ink of an X."""
        xu, xv, yu, yv = self._shape(draws)
        tips_x, tips_y = [], []
        for lean in (np.pi / 4, 3 * np.pi / 4):
            angle = np.float32(lean) + draws.either(self.unevenness * np.pi / 15)
            half = 1 - draws.up_to(0.4 * self.unevenness)
            along, across = (
                draws.either(0.25 * self.unevenness),
                draws.either(0.15 * self.unevenness),
            )
            cos, sin = np.cos(angle), np.sin(angle)
            for end in (-half, half):
                u = cos * (along + end) - sin * across
                v = sin * (along + end) + cos * across
                tips_x.append(xu * u + xv * v)
                tips_y.append(yu * u + yv * v)
        left, right = _range(tips_x)
        top, bottom = _range(tips_y)
        extent_x, extent_y = (right - left) / 2, (bottom - top) / 2
        size, width = self._fit(draws, extent_x, extent_y, width)
        width = np.maximum(
            np.minimum(width, np.float32(0.6) * size * np.minimum(extent_x, extent_y)), 1
        )
        centre_x, centre_y = self._centre(draws, extent_x * size, extent_y * size, width)
        places_x = [centre_x + size * (tip - (left + right) / 2) for tip in tips_x]
        places_y = [centre_y + size * (tip - (top + bottom) / 2) for tip in tips_y]

        edges = []
        strokes = []
        for stroke in (0, 2):
            bent = Bent(
                places_x[stroke], places_y[stroke], places_x[stroke + 1], places_y[stroke + 1],
                bend=draws.either(self.curvature), swing=draws.either(self.curvature),
            )  # fmt: skip
            distance, place = bent.distance(x, y)
            wider = 1 + draws.either(self.pressure / 2)
            edges.append(distance - width / 2 * wider * (1 + draws.either(self.pressure) * place))
            strokes.append(bent)
        edge = np.minimum(*edges)
        # On an arm, away from the crossing and from the tip.
        where = draws.sign() * (np.float32(0.45) + draws.up_to(0.3))
        first = draws.sign() > 0
        one, other = strokes[0].at(where), strokes[1].at(where)
        place_x, place_y = np.where(first, one[0], other[0]), np.where(first, one[1], other[1])
        return self._broken(draws, edge, x, y, at=(place_x, place_y), width=width, length=size)

    def _shape(self, draws: _Draws) -> tuple[Values, Values, Values, Values]:
        """Return a frame of area 1: stretched, then leaning, then turned."""
        wide = np.sqrt(draws.ratio(self.aspect))
        lean = draws.either(self.slant)
        angle = draws.either(np.radians(self.rotation))
        cos, sin = np.cos(angle), np.sin(angle)
        return (
            cos * wide,
            (cos * lean - sin) / wide,
            sin * wide,
            (sin * lean + cos) / wide,
        )

    def _fit(
        self, draws: _Draws, extent_x: Values, extent_y: Values, width: Values
    ) -> tuple[Values, Values]:
        """Return the size at which a sign of these half extents is drawn, and the pen for it."""
        rows, columns = self.size
        least = min(_FILL, _SMALLEST / min(rows, columns))
        part = np.maximum(_FILL * (1 - draws.up_to(self.shrink)), np.float32(least))
        # A pen never takes more than a third of the space.
        width = np.minimum(width, part * np.float32(min(rows, columns) / 3))
        room_x, room_y = (part * columns - width) / 2, (part * rows - width) / 2
        return np.minimum(room_x / extent_x, room_y / extent_y), width

    def _centre(
        self, draws: _Draws, extent_x: Values, extent_y: Values, width: Values
    ) -> tuple[Values, Values]:
        """Return the middle of the sign, which stays inside the picture."""
        centre = []
        for cells, extent in ((self.size[1], extent_x), (self.size[0], extent_y)):
            room = np.maximum(np.float32(cells / 2) - extent - width / 2, 0)
            centre.append(np.clip(draws.either(self.shift * cells), -room, room))
        return centre[0], centre[1]

    def _broken(
        self,
        draws: _Draws,
        edge: Values,
        x: Values,
        y: Values,
        *,
        at: tuple[Values, Values],
        width: Values,
        length: Values,
    ) -> Values:
        """Return `edge` with a gap in the stroke, in the part of the pictures that have one."""
        radius = np.maximum(
            width * np.float32(0.75), length * (np.float32(0.05) + draws.up_to(0.09))
        )
        # Where the pen is thick for the sign, a gap across it would take a whole arm away.
        broken = (draws.up_to(1) < self.gaps) & (radius < np.float32(0.19) * length)
        if not self.gaps:
            return edge
        return rub_out(edge, x, y, at=at, radius=np.where(broken, radius, np.float32(-1e6)))


class _Draws:
    """Random numbers, one for each of `items` pictures at a time: float32 `(items, 1, 1)`.

    The same are drawn whatever the settings are, so that changing one difficulty leaves the others
    as they were.
    """

    def __init__(self, random: np.random.Generator, items: int) -> None:
        self._random = random
        self._items = items

    def up_to(self, limit: float) -> Values:
        """Return numbers from 0 to `limit`."""
        return self._random.random((self._items, 1, 1), np.float32) * np.float32(limit)

    def either(self, limit: float) -> Values:
        """Return numbers from `-limit` to `limit`."""
        return self.up_to(2 * limit) - np.float32(limit)

    def ratio(self, more: float) -> Values:
        """Return factors from `1 / (1 + more)` to `1 + more`, evenly on a logarithmic scale."""
        return np.exp(self.either(np.log1p(more)))

    def sign(self) -> Values:
        """Return -1 or 1."""
        return np.where(self.up_to(1) < np.float32(0.5), np.float32(-1), np.float32(1))

    def normal(self, shape: tuple[int, ...]) -> Values:
        """Return normally distributed numbers of any shape."""
        return self._random.standard_normal(shape, np.float32)


def _range(values: Sequence[Values]) -> tuple[Values, Values]:
    stacked = np.stack(values)
    return stacked.min(axis=0), stacked.max(axis=0)
