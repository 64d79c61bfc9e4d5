"""The gradient of features in fewer multiplications, also by Winograd's minimal filtering.

The gradient of a tap is a sum over positions: of the map's gradient there, times the cell under the
tap. That is a convolution, too, in which the map's gradient is the feature, and the taps are its
output. It is cut into tiles of m x m gradients, and the cells under them; along one axis, m
gradients and m + r - 1 cells give r taps by m + r - 1 multiplications instead of m * r. 4 x 4
gradients under features of 3 x 3 take 36 multiplications instead of 144.

What happens to a group of tiles, for features of 3 x 3 and tiles of 4 x 4:

    cells      6 x 6 for each tile and channel    -> cells_to_points     -> 36 points
    gradients  4 x 4 for each tile and filter     -> taps_to_points      -> 36 points
    products   at each point: (filters, tiles) times (tiles, channels)
    sums       36 points for each filter, channel -> points_to_positions -> 3 x 3 taps

The transform is linear, so that all tiles of a group are summed up before they are transformed
back, once for each filter and channel. The scratch memory:

    cells      (rows of tiles, points, tiles, channels)
    gradients  (rows of tiles, points, tiles, filters)
    sums       (points, filters, channels) of a block
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from gridcnn.engines.native.emitter import PTR, Code, Module, Value, vector
from gridcnn.engines.native.kernels.convolution_dense import add_to_bias
from gridcnn.engines.native.kernels.sizes import Sizes, room_for
from gridcnn.engines.native.kernels.winograd_transform import (
    Transform,
    apart,
    transform_cells,
)
from gridcnn.engines.native.layout import Maps

_LENGTHS = (2, 4)  # of a tile along an axis; even, as `Transform` needs them with odd taps
_MOST_POINTS, _MOST_OF_AXIS = 36, 8
_NEAR = 80_000
"""Floats of a group's cells and gradients: 320 KB, which stay in the second cache."""
_GAIN = 0.8  # of the cost of plain sums, at most; else tiles do not pay
# What a tile costs beside its products, for each point, in multiply-adds of vectors; measured on
# processors with AVX-512. The last two are about the same for narrower vectors.
_TRANSFORM, _INVERSE = 10, 7
_MOST_FILTERS = 16  # whose sums are in registers together: their gradients are one line


@dataclass(frozen=True)
class Tiling:
    """A convolution whose map's gradient is cut into tiles of `tile` cells, `(down, across)`."""

    conv: Sizes
    tile: tuple[int, int]

    @property
    def transforms(self) -> tuple[Transform, Transform]:
        """Both axes: the gradients of a tile are the feature, and the taps the positions."""
        (down, across), (rows, columns) = self.tile, self.conv.kernel_size
        return Transform(rows, down), Transform(columns, across)

    @property
    def points(self) -> int:
        """The multiplications of a tile, for each channel and filter."""
        return self.transforms[0].points * self.transforms[1].points

    @property
    def tiles(self) -> tuple[int, int]:
        """How many tiles there are, `(down, across)`; the last may reach beyond the map."""
        return -(-self.conv.rows // self.tile[0]), -(-self.conv.columns // self.tile[1])

    @property
    def cells_under(self) -> tuple[int, int]:
        """How many rows and columns of the grid all tiles have under them."""
        (down, across), (rows, columns) = self.tiles, self.conv.kernel_size
        return down * self.tile[0] + rows - 1, across * self.tile[1] + columns - 1

    @property
    def cost(self) -> float:
        """About how long it takes, in multiply-adds of vectors."""
        source, target = self.conv.source, self.conv.target
        tiles, vectors = self.tiles[0] * self.tiles[1], source.padded // source.lanes
        products = (tiles + _INVERSE) * vectors * self.conv.filters
        transforms = _TRANSFORM * tiles * (vectors + target.padded // target.lanes)
        return self.points * (products + transforms)

    @property
    def group(self) -> int:
        """The rows of tiles that are worked on together."""
        rows, across = self.tiles
        floats = self.points * across * (self.conv.source.padded + self.conv.target.padded)
        groups = -(-rows // max(1, _NEAR // floats))
        return -(-rows // groups)

    def distance(self, maps: Maps) -> int:
        """Return the floats from one point to the next, in a row of tiles."""
        return apart(self.tiles[1] * maps.padded)

    def block(self, registers: int) -> tuple[int, int]:
        """Return how many vectors of channels, and filters, have their sums in registers."""
        vectors = self.conv.source.padded // self.conv.source.lanes
        width = 2 if vectors % 2 == 0 else 1
        most = min(room_for(registers) // width, _MOST_FILTERS)
        return width, -(-self.conv.filters // -(-self.conv.filters // most))

    def scratch_size(self, registers: int) -> int:
        """Return the floats of the memory that `by_features` works in."""
        source, target = self.conv.source, self.conv.target
        width, filters = self.block(registers)
        sums = width * source.lanes * filters
        of_point = self.group * (self.distance(source) + self.distance(target))
        return self.points * (of_point + sums)


def best_tiling(conv: Sizes) -> Tiling | None:
    """Return the tiles that cost least; None if plain sums cost hardly more.

    The convolution has no stride and no dilation, and features of odd sizes.
    """
    lengths = [
        [1] if taps == 1 else [each for each in _LENGTHS if each + taps - 1 <= _MOST_OF_AXIS]
        for taps in conv.kernel_size
    ]
    tilings = [Tiling(conv, (down, across)) for down, across in itertools.product(*lengths)]
    best = min(
        (each for each in tilings if each.points <= _MOST_POINTS),
        key=lambda tiling: tiling.cost,
        default=None,
    )
    vectors = conv.source.padded // conv.source.lanes
    plain = conv.rows * conv.columns * len(conv.taps) * vectors * conv.filters
    return best if best is not None and best.cost <= _GAIN * plain else None


def by_features(module: Module, name: str, tiling: Tiling, flow: Maps) -> None:
    """Emit `name(grid, map's gradient, features' gradient, bias's gradient, scratch)`.

    It adds to both, as `convolution_dense.by_features` does. The map's gradient lies as `flow`.
    """
    with module.function(name, *[PTR] * 5) as (code, arguments):
        emitter = _Emitter(code, tiling, flow, arguments)
        rows, together = tiling.tiles[0], tiling.group
        whole = rows - rows % together
        with code.loop(whole, step=together) as row:
            emitter.group(row, together)
        if whole < rows:
            emitter.group(code.value(whole), rows - whole)
        if tiling.conv.bias:
            add_to_bias(code, flow, arguments[1], arguments[3])


class _Emitter:
    def __init__(
        self, code: Code, tiling: Tiling, flow_maps: Maps, arguments: Sequence[Value]
    ) -> None:
        self.code = code
        self.tiling = tiling
        self.conv = tiling.conv
        self.flow_maps = flow_maps
        self.grid, self.flow, self.target, _, self.cells = arguments
        self.width, self.filters = tiling.block(code.module.processor.registers)
        self.to_next_cells = tiling.distance(self.conv.source)
        self.to_next_gradients = tiling.distance(self.conv.target)
        self.row_of_cells = tiling.points * self.to_next_cells
        self.row_of_gradients = tiling.points * self.to_next_gradients
        self.gradients = code.at(self.cells, tiling.group * self.row_of_cells)
        self.sums = code.at(self.gradients, tiling.group * self.row_of_gradients)

    def group(self, row: Value, down: int) -> None:
        """Emit some rows of tiles."""
        code, conv = self.code, self.conv
        self._transform_cells(row, down)
        self._transform_gradients(row, down)
        whole = conv.filters - conv.filters % self.filters
        blocks = [(self.filters, 0, whole), (conv.filters - whole, whole, conv.filters)]
        with code.loop(conv.source.padded, step=self.width * conv.source.lanes) as channel:
            for filters, start, stop in blocks:
                if start == stop:
                    continue
                with code.loop(stop, start=start, step=filters) as first:
                    self._multiply(down, channel, first, filters)
                    self._inverse_transform(channel, first, filters)

    def _transform_cells(self, row: Value, down: int) -> None:
        """Emit the transform of the cells under some rows of tiles."""
        code, source, tile = self.code, self.conv.source, self.tiling.tile
        across = self.tiling.tiles[1]
        with (
            code.loop(down) as below,
            code.loop(across) as column,
            code.loop(source.padded, step=source.lanes) as channel,
        ):
            # Tiles begin at a position's first cell, which may be in the border.
            place = (row + below) * (tile[0] * source.step) + column * (tile[1] * source.padded)
            corner = code.at(self.grid, place + channel)
            here = below * self.row_of_cells + column * source.padded
            target = code.at(self.cells, here + channel)
            transforms, distance = self.tiling.transforms, self.to_next_cells
            transform_cells(code, source, corner, transforms, target, distance)

    def _transform_gradients(self, row: Value, down: int) -> None:
        """Emit the transform of the map's gradient; tiles at its edge may have fewer cells."""
        code, (rows, columns) = self.code, self.tiling.tiles
        (height, short), (width, narrow) = (
            (length, size % length or length)
            for length, size in zip(
                self.tiling.tile, (self.conv.rows, self.conv.columns), strict=True
            )
        )

        def line(below: Value, height: int) -> None:
            whole = columns - (narrow < width)
            with code.loop(whole) as column:
                self._transform_gradient(row, below, column, (height, width))
            if whole < columns:
                self._transform_gradient(row, below, code.value(whole), (height, narrow))

        whole = code.least(down, code.value(rows - 1) - row) if short < height else down
        with code.loop(whole) as below:
            line(below, height)
        if short < height:
            with code.loop(down, start=whole) as below:
                line(below, short)

    def _transform_gradient(
        self, row: Value, below: Value, column: Value, size: tuple[int, int]
    ) -> None:
        """Emit the transform of one tile with `size` cells on the map."""
        code, maps, tile = self.code, self.flow_maps, self.tiling.tile
        rows, columns = self.tiling.transforms
        kind, nothing = vector(maps.lanes), code.constant(0, maps.lanes)
        with code.loop(maps.padded, step=maps.lanes) as first:
            place = maps.place((row + below) * tile[0], column * tile[1], first)
            corner = code.at(self.flow, place)
            lines = []
            for x in range(size[1]):
                cells = [
                    code.load(corner, y * maps.step + x * maps.padded, kind=kind)
                    for y in range(size[0])
                ]
                cells += [nothing] * (tile[0] - size[0])
                lines.append(rows.taps_to_points(code, cells))
            lines += [[nothing] * rows.points] * (tile[1] - size[1])
            here = below * self.row_of_gradients + column * maps.padded
            target = code.at(self.gradients, here + first)
            for y in range(rows.points):
                values = columns.taps_to_points(code, [line[y] for line in lines])
                for x, value in enumerate(values):
                    code.store(value, target, (y * columns.points + x) * self.to_next_gradients)

    def _multiply(self, down: int, channel: Value, first: Value, filters: int) -> None:
        """Emit the products of some filters and channels, summed over the tiles: a block."""
        code, (source, target) = self.code, (self.conv.source, self.conv.target)
        lanes, kind = source.lanes, vector(source.lanes)
        with code.loop(self.tiling.points) as point:
            cells = code.at(self.cells, point * self.to_next_cells + channel)
            gradients = code.at(self.gradients, point * self.to_next_gradients + first)
            zero = code.constant(0, lanes)
            sums = [[code.variable(zero) for _ in range(self.width)] for _ in range(filters)]
            with code.loop(down) as below, code.loop(self.tiling.tiles[1]) as column:
                here = code.at(cells, below * self.row_of_cells + column * source.padded)
                place = below * self.row_of_gradients + column * target.padded
                there = code.at(gradients, place)
                values = [code.load(here, each * lanes, kind=kind) for each in range(self.width)]
                for each, totals in enumerate(sums):
                    share = code.load_broadcast(there, each, lanes)
                    for value, total in zip(values, totals, strict=True):
                        total.set(code.multiply_add(value, share, total.get()))
            block = code.at(self.sums, point * (filters * self.width * lanes))
            for each, totals in enumerate(sums):
                for number, total in enumerate(totals):
                    code.store(total.get(), block, (each * self.width + number) * lanes)

    def _inverse_transform(self, channel: Value, first: Value, filters: int) -> None:
        """Emit the inverse transform of a block, which is added to the features' gradient."""
        code, conv = self.code, self.conv
        lanes, kind = conv.source.lanes, vector(conv.source.lanes)
        rows, columns = self.tiling.transforms
        of_one = self.width * lanes
        with code.loop(filters) as each, code.loop(of_one, step=lanes) as lane:
            block = code.at(self.sums, each * of_one + lane)
            lines = [
                rows.points_to_positions(
                    code,
                    [
                        code.load(block, (y * columns.points + x) * (filters * of_one), kind=kind)
                        for y in range(rows.points)
                    ],
                )
                for x in range(columns.points)
            ]
            taps = (first + each) * (len(conv.taps) * conv.source.padded)
            target = code.at(self.target, taps + channel + lane)
            for y in range(rows.positions):
                values = columns.points_to_positions(code, [line[y] for line in lines])
                for x, value in enumerate(values):
                    place = (y * columns.positions + x) * conv.source.padded
                    before = code.load(target, place, kind=kind)
                    code.store(code.arithmetic("fadd", before, value), target, place)
