"""Pens: how far every cell of many pictures is from a stroke, and how much ink that leaves in it.

All lengths are in cells. A value for each picture has the shape `(items, 1, 1)`, a value for each
cell `(items, rows, columns)`, and everything is float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gridcnn.grid import Array

Values = Array
"""Float32 numbers, one for each picture or for each cell."""

_FAR = np.float32(1e6)


@dataclass(frozen=True)
class Frame:
    """The frame of a sign: where its own coordinates `(u, v)` lie in the picture.

    A point lies at `x = centre_x + xu * u + xv * v` and `y = centre_y + yu * u + yv * v`.
    """

    xu: Values
    xv: Values
    yu: Values
    yv: Values
    centre_x: Values
    centre_y: Values

    def place(self, u: Values, v: Values) -> tuple[Values, Values]:
        """Return where points of the sign lie in the picture."""
        return (
            self.centre_x + self.xu * u + self.xv * v,
            self.centre_y + self.yu * u + self.yv * v,
        )


@dataclass(frozen=True)
class Ring:
    """A closed or nearly closed curve around the origin of a frame.

    Its radius at the angle `t` is `1 + sum(cosines[k] * cos((k + 1) * t) + sines[k] * sin(...))`,
    and grows by `spiral` over the whole round. The pen starts and ends opposite to the angle
    `seam`, and falls short of a full round by the angle `opening`, or overshoots it where that is
    negative. Angles are in radians.
    """

    cosines: tuple[Values, ...]
    sines: tuple[Values, ...]
    seam: Values
    opening: Values
    spiral: Values

    def distance(self, frame: Frame, x: Values, y: Values) -> tuple[Values, Values]:
        """Return how far each cell is from the curve, and the angle of its nearest place, -1..1.

        To first order, a cell is as far from the curve `f = 0` as `|f|` divided by the length of
        the gradient of `f` (G. Taubin, 1994, "Distance approximations for rasterizing implicit
        curves"); here `f` is the cell's own radius less the curve's.
        """
        scale = 1 / (frame.xu * frame.yv - frame.xv * frame.yu)
        ux, uy, vx, vy = (
            frame.yv * scale, -frame.xv * scale, -frame.yu * scale, frame.xu * scale
        )  # fmt: skip
        across, down = x - frame.centre_x, y - frame.centre_y
        u = ux * across + uy * down
        v = vx * across + vy * down
        # Near the middle the curve's angle turns ever faster, and the first order says nothing.
        length = np.maximum(np.sqrt(u * u + v * v), np.float32(0.15))
        u /= length
        v /= length
        radius, slope = self._radius(u, v)
        slope /= length
        # The gradient in the sign's frame, then in the picture's.
        along, athwart = u + v * slope, v - u * slope
        steepness = np.sqrt((along * ux + athwart * vx) ** 2 + (along * uy + athwart * vy) ** 2)
        cos, sin = np.cos(self.seam), np.sin(self.seam)
        turn = np.arctan2(v * cos - u * sin, u * cos + v * sin) * np.float32(1 / np.pi)
        end = 1 - self.opening * np.float32(0.5 / np.pi)
        off = length - radius - self.spiral * turn * np.float32(0.5)
        size = np.abs(turn)
        first = np.where(size <= end, np.abs(off), _FAR)
        if np.any(end > 1):
            # Where the pen goes on over its own start, the nearer of the two strokes counts.
            second = np.abs(off + self.spiral * np.sign(turn))
            np.minimum(first, np.where(2 - size <= end, second, _FAR), out=first)
        # In the very middle there is no direction, and so no steepness.
        first /= np.maximum(steepness, np.float32(1e-4))
        for side in (-1, 1):
            tip_x, tip_y = frame.place(*self.at(side * end))
            np.minimum(first, np.hypot(x - tip_x, y - tip_y), out=first)
        return first, turn

    def at(self, turn: Values) -> tuple[Values, Values]:
        """Return the place `(u, v)` of the curve after a turn, -1..1."""
        angle = self.seam + turn * np.float32(np.pi)
        u, v = np.cos(angle), np.sin(angle)
        radius = self._radius(u, v)[0] + self.spiral * turn * np.float32(0.5)
        return u * radius, v * radius

    def _radius(self, cos: Values, sin: Values) -> tuple[Values, Values]:
        """Return the radius without the spiral, and its derivative by the angle."""
        radius, slope = np.ones_like(cos), np.zeros_like(cos)
        wave_cos, wave_sin = cos, sin
        for order, (a, b) in enumerate(zip(self.cosines, self.sines, strict=True), start=1):
            if order > 1:
                wave_cos, wave_sin = (
                    wave_cos * cos - wave_sin * sin,
                    wave_sin * cos + wave_cos * sin,
                )
            radius += a * wave_cos + b * wave_sin
            slope += order * (b * wave_cos - a * wave_sin)
        return radius, slope


@dataclass(frozen=True)
class Bent:
    """A straight or slightly bent stroke from `(x0, y0)` to `(x1, y1)`, places in the picture.

    In coordinates along and across it, from -1 to 1 along, it runs at
    `bend * (0.5 - u^2) + swing * (u^3 - u)`, both as parts of its half length.
    """

    x0: Values
    y0: Values
    x1: Values
    y1: Values
    bend: Values
    swing: Values

    def distance(self, x: Values, y: Values) -> tuple[Values, Values]:
        """Return how far each cell is from the stroke, and the nearest place on it, -1..1."""
        half_x, half_y, half = self._half()
        right_x, right_y = half_x / (half * half), half_y / (half * half)
        across, down = x - (self.x0 + self.x1) / 2, y - (self.y0 + self.y1) / 2
        u = across * right_x + down * right_y
        v = down * right_x - across * right_y
        place = np.clip(u, -1, 1)
        square = place * place
        v -= self.bend * (np.float32(0.5) - square) + self.swing * (square - 1) * place
        slope = self.swing * (3 * square - 1) - 2 * self.bend * place
        u -= place
        return np.sqrt(u * u + v * v / (1 + slope * slope)) * half, place

    def at(self, place: Values) -> tuple[Values, Values]:
        """Return where in the picture a place of the stroke is, -1..1 from start to end."""
        half_x, half_y, _ = self._half()
        square = place * place
        off = self.bend * (np.float32(0.5) - square) + self.swing * (square - 1) * place
        return (
            (self.x0 + self.x1) / 2 + half_x * place - half_y * off,
            (self.y0 + self.y1) / 2 + half_y * place + half_x * off,
        )

    def _half(self) -> tuple[Values, Values, Values]:
        half_x, half_y = (self.x1 - self.x0) / 2, (self.y1 - self.y0) / 2
        return half_x, half_y, np.hypot(half_x, half_y)


def rub_out(
    edge: Values, x: Values, y: Values, *, at: tuple[Values, Values], radius: Values
) -> Values:
    """Return the distance from the ink's edge after a round eraser of `radius` was `at` a place."""
    left: Values = np.maximum(edge, radius - np.hypot(x - at[0], y - at[1]))
    return left


def ink_of(edge: Values, *, softness: Values) -> Values:
    """Return how much of each cell is ink, 0..1.

    `edge` is the distance from the ink's edge, negative inside; the ink fades out over `softness`
    cells, half of them on either side of the edge.
    """
    # A thousandth of a cell is a hard edge, and no division by zero.
    ink: Values = np.float32(0.5) - edge / np.maximum(softness, np.float32(1e-3))
    np.clip(ink, 0, 1, out=ink)
    return ink
