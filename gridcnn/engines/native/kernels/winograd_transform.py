"""Winograd's minimal filtering along one axis: tiles become values at points, and come back.

Along one axis, m positions under features of r taps need m + r - 1 cells. Cells and taps are the
coefficients of polynomials; a transform gives their values at m + r - 1 points; the last one is
infinite. Values are multiplied; the inverse transform of the products gives the positions. The
matrices are those of Toom and Cook, see Blahut, "Fast Algorithms for Signal Processing", 2010,
chapter 5.

Which points are taken decides how much is rounded. Those below, 0 and pairs of a number and its
negative, keep errors to about twice those of plain sums; pairs also share half of their additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from gridcnn.engines.native.emitter import Code, Value, lanes_of, vector
from gridcnn.engines.native.layout import Maps

_PAIRS = {
    1: (Fraction(1),),
    2: (Fraction(3, 4), Fraction(3, 2)),
    3: (Fraction(1, 2), Fraction(1), Fraction(2)),
}
"""The positive points of so many pairs; chosen for the smallest errors with random numbers."""
_LINE = 16  # floats in a line of the cache


def apart(floats: int) -> int:
    """Return how far apart the numbers of two points are, if those of one are so many floats.

    It is an odd number of lines of the cache: at a power of 2, all points of a tile would fall into
    few sets of the cache, and drive each other out.
    """
    return (-(-floats // _LINE) | 1) * _LINE


@dataclass(frozen=True)
class Transform:
    """One axis of a tile: so many positions, under features of so many taps.

    An axis of one position and one tap is left as it is.
    """

    positions: int
    taps: int

    @property
    def points(self) -> int:
        """How many cells there are, and as many points."""
        return self.positions + self.taps - 1

    @property
    def pairs(self) -> tuple[Fraction, ...]:
        """The positive points; 0 comes first, then each and its negative, then infinity."""
        return _PAIRS[(self.points - 2) // 2] if self.points > 1 else ()

    @property
    def rounds(self) -> bool:
        """Whether some points are other numbers than 0, 1 and -1, which round nothing."""
        return len(self.pairs) > 1

    def cells_to_points(self, code: Code, cells: Sequence[Value]) -> list[Value]:
        """Return the values at the points, for cells that are taken as they come."""
        if self.points == 1:
            return list(cells)
        # Each value is that of a polynomial which is 0 at all other points. At p and -p it has the
        # same even powers, and odd powers of opposite sign: `even` and `odd` are summed once, and
        # used for both points.
        values = [combine(code, _product(*self.pairs), cells[::2])]
        for point in self.pairs:
            rest = _product(*(pair for pair in self.pairs if pair != point))
            even = combine(code, rest, cells[2::2])
            odd = combine(code, rest, cells[1:-1:2])
            values += _both(code, even, odd, point)
        return [*values, combine(code, _product(*self.pairs), cells[1::2])]

    def points_to_positions(self, code: Code, values: Sequence[Value]) -> list[Value]:
        """Return the positions, of values at the points."""
        if self.points == 1:
            return list(values)
        first, *middle, last = values
        # Position k is the sum of all values times point**k. For a pair that is the sum of its two
        # values if k is even, their difference if k is odd, times the positive point**k. 0 counts
        # only for k = 0, and infinity only for the highest k.
        pairs = list(zip(middle[::2], middle[1::2], strict=True))
        halves = [[code.arithmetic(name, *pair) for pair in pairs] for name in ("fadd", "fsub")]
        positions = []
        for power in range(self.positions):
            terms = [
                (point**power, each)
                for point, each in zip(self.pairs, halves[power % 2], strict=True)
            ]
            if power == 0:
                terms.insert(0, (Fraction(1), first))
            if power == self.positions - 1:
                terms.append((Fraction(1), last))
            positions.append(combine(code, *zip(*terms, strict=True)))
        return positions

    def taps_to_points(self, code: Code, taps: Sequence[Value]) -> list[Value]:
        """Return the values at the points, for the taps of a feature."""
        if self.points == 1:
            return list(taps)
        # All that Lagrange's interpolation divides by is put here, into the features, which are
        # transformed once: the cells, transformed for every tile, are divided by nothing.
        squares = [point * point for point in self.pairs]
        size = Fraction(1)
        for square in squares:
            size *= -square
        # Point 0 keeps the first tap alone, the infinite point the last one.
        values = [combine(code, [1 / size], taps[:1])]
        for point, square in zip(self.pairs, squares, strict=True):
            size = 2 * square
            for other in squares:
                size *= (square - other) if other != square else 1
            factors = [point**power / size for power in range(self.taps)]
            even = combine(code, factors[::2], taps[::2])
            odd = combine(code, factors[1::2], taps[1::2])
            values += _both(code, even, odd, Fraction(1))
        return [*values, taps[-1]]


def transform_cells(
    code: Code,
    maps: Maps,
    corner: Value,
    transforms: tuple[Transform, Transform],
    target: Value,
    distance: int,
) -> None:
    """Emit the transform of one tile of cells, from its upper left corner, for some channels.

    The values of its points are written to `target`, each `distance` floats after the one before,
    row by row. `transforms` are those of the rows and of the columns.
    """
    rows, columns = transforms
    kind = vector(maps.lanes)
    lines = [
        rows.cells_to_points(
            code,
            [
                code.load(corner, y * maps.step + x * maps.padded, kind=kind)
                for y in range(rows.points)
            ],
        )
        for x in range(columns.points)
    ]
    for y in range(rows.points):
        values = columns.cells_to_points(code, [line[y] for line in lines])
        for x, value in enumerate(values):
            code.store(value, target, (y * columns.points + x) * distance)


def _both(code: Code, even: Value, odd: Value, factor: Fraction) -> list[Value]:
    """Return `even + factor * odd` and `even - factor * odd`."""
    if factor == 1:
        return [code.arithmetic(name, even, odd) for name in ("fadd", "fsub")]
    return [
        code.multiply_add(code.constant(float(each), lanes_of(odd.kind)), odd, even)
        for each in (factor, -factor)
    ]


def _product(*points: Fraction) -> list[Fraction]:
    """Return the coefficients of the product of all x - point**2, the lowest first."""
    coefficients = [Fraction(1)]
    for point in points:
        longer = [Fraction(0), *coefficients]
        coefficients = [
            high - low * point**2
            for high, low in zip(longer, [*coefficients, Fraction(0)], strict=True)
        ]
    return coefficients


def combine(code: Code, factors: Sequence[Fraction], values: Sequence[Value]) -> Value:
    """Return the sum of values times factors; what counts once is taken first."""
    terms = sorted(zip(factors, values, strict=True), key=lambda term: term[0] != 1)
    total: Value | None = None
    for factor, value in terms:
        number = code.constant(float(factor), lanes_of(value.kind))
        if total is None:
            total = value if factor == 1 else code.arithmetic("fmul", value, number)
        elif factor == 1:
            total = code.arithmetic("fadd", total, value)
        elif factor == -1:
            total = code.arithmetic("fsub", total, value)
        else:
            total = code.multiply_add(value, number, total)
    assert total is not None
    return total
