"""Convolution in fewer multiplications: Winograd's minimal filtering, along one axis or both.

Neighbouring positions of a map are made together, as a tile, from the cells of the grid under them.
Cells and taps are transformed, multiplied and added up over the channels, and the output is
transformed back (`winograd_transform`). F(4 x 4, 3 x 3) takes 36 multiplications for 16 positions
of a channel instead of 144 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
2016).

Infinite cells may end as NaN here, since sums are taken apart and put together again: grids that
hold such cells go to the other kernel.

What happens to a group of tiles, for F(4 x 4, 3 x 3):

    cells     6 x 6 for each tile and channel   -> cells_to_points     -> 36 points
    taps      3 x 3 for each filter and channel -> taps_to_points      -> 36 points, once, in `pack`
    products  at each point: (tiles, channels) times (channels, filters)
    sums      36 points for each tile and filter -> points_to_positions -> 4 x 4 positions

The scratch memory of a group of tiles. Transformed cells are read by all chunks of filters,
products by one, so that the products of the next chunk replace them:

    cells (points, tiles, channels) | products (points, tiles, filters of a chunk) | blanks
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from gridcnn.engines.native.emitter import INT, PTR, Code, Module, Value, Variable, vector
from gridcnn.engines.native.kernels.base import Area, Bundle, Frame, Site
from gridcnn.engines.native.kernels.convolution import Convolution, settings_of
from gridcnn.engines.native.kernels.convolution_dense import is_dense, reversed_grid
from gridcnn.engines.native.kernels.convolution_forward import best_of, divide_sums, numbers
from gridcnn.engines.native.kernels.sizes import Chunk, filter_chunks, room_for
from gridcnn.engines.native.kernels.winograd_features import Tiling, best_tiling, by_features
from gridcnn.engines.native.kernels.winograd_transform import (
    Transform,
    apart,
    transform_cells,
)
from gridcnn.engines.native.layout import Maps
from gridcnn.forks import cached_property

_FEWEST = 16  # channels and filters; with fewer, the transforms cost more than they save
_GAIN = 0.7  # of the multiplications that are left, at most; else the transforms do not pay
_LENGTHS = (2, 4)  # of a tile along an axis; even, as `_lengths` needs them
# 36 points are those of 4 x 4 positions under 3 x 3 taps. Along one axis there are at most 8: 0,
# infinity, and the three pairs above.
_MOST_POINTS, _MOST_OF_AXIS = 36, 8
_SLACK = 16  # floats that the last vector of a row may reach beyond it
_WIDEST = 4  # vectors of filters that are multiplied together


# Which convolutions are made this way ---------------------------------------------------------


@dataclass(frozen=True)
class Winograd(Convolution):
    """A convolution that is made this way, in tiles of `tile` positions, `(down, across)`."""

    title: ClassVar[str] = "Winograd convolution"
    finite_only: ClassVar[bool] = True

    tile: tuple[int, int] = (2, 2)

    @classmethod
    def take(cls, bundle: Bundle) -> Self | None:
        """Return the kernel for a convolution, if it can be made this way and gains enough."""
        if bundle.compact:  # features as points take up to four times the memory
            return None
        conv = Convolution.take(bundle)
        kernel = None if conv is None else cls.of(conv)
        return None if kernel is None else kernel.settle()

    @classmethod
    def of(cls, conv: Convolution) -> Self | None:
        """Return a convolution made this way, if it can be and gains enough."""
        tile = best_tile(conv)
        if tile is None:
            return None
        kernel = cls(**settings_of(conv), tile=tile)
        # Tiles may reach beyond the map, and what they read has to be there.
        down, across = cells_under(kernel)
        if kernel.is_dense and kernel.tiling is not None:
            down, across = map(max, (down, across), kernel.tiling.cells_under)
        source = kernel.source
        below = max(source.below, down - source.above - source.rows)
        right = max(source.right, across - source.left - source.columns)
        return replace(kernel, sources=(replace(source, below=below, right=right),))

    def made_alike(self, conv: Convolution) -> Convolution:
        """Return another convolution made this way, or as it is if it cannot be."""
        return Winograd.of(conv) or conv

    @cached_property
    def tiling(self) -> Tiling | None:
        """The tiles for the gradient of the features; None if they would save too little."""
        return best_tiling(self)

    @cached_property
    def is_dense(self) -> bool:
        """Whether all cells of the map's gradient are visited, not only the nonzero ones."""
        if not self.rectified:
            return is_dense(self)
        # About half of the gradients are 0 then. Tiles save more than to skip these.
        tiled = self.tiling is not None and reversed_grid(self) is not None
        return tiled and not (self.pooled or self.sparse or self.is_narrow)

    @property
    def gradient_way(self) -> str:
        """How the gradient of the features is computed: in one word, and in a sentence."""
        if not self.is_dense or self.tiling is None:
            return super().gradient_way
        down, across = self.tiling.tile
        plain = down * across * len(self.taps)
        return (
            f"dense: in tiles of {down} x {across} cells, "
            f"with {self.tiling.points} multiplications instead of {plain}"
        )

    def lay_out_features(self, site: Site) -> None:
        """Take memory for the tiles of the features' gradient."""
        if self.tiling is not None:
            size = self.tiling.scratch_size(site.registers)
            site.take(Area.SCRATCH, "tiles of the gradient", size)

    def emit_by_features(self, module: Module, name: str, flow: Maps) -> None:
        """Emit the function that `winograd_features.by_features` describes, or without tiles."""
        if self.tiling is None:
            super().emit_by_features(module, name, flow)
        else:
            by_features(module, name, self.tiling, flow)

    def features_arguments(self, frame: Frame) -> list[Value]:
        """Return the memory of the tiles."""
        return [] if self.tiling is None else [frame.at(Area.SCRATCH, "tiles of the gradient")]

    @property
    def features_size(self) -> int:
        """Floats of all features as values at the points."""
        return self.points * self.source.channels * self.target.padded

    @property
    def pass_rows(self) -> int:
        """The rows of tiles."""
        return self.tiles[0]

    def lay_out(self, site: Site) -> None:
        """Take memory as any convolution, and for a group of tiles."""
        super().lay_out(site)
        self.lay_out_more(site)

    def lay_out_more(self, site: Site) -> None:
        """Take memory for a group of tiles."""
        # If threads share a workspace, each part of an item has a group of its own.
        size = scratch_size(self, site.registers, training=site.training)
        site.take(Area.SCRATCH, "points", size)

    def more_arguments(self, frame: Frame) -> list[Value]:
        """Return the memory of a group of tiles."""
        return [frame.at(Area.SCRATCH, "points")]

    def emit_pack(self, module: Module, name: str) -> None:
        """Emit the function that `pack` describes."""
        pack(module, name, self)

    def emit_pass(self, module: Module, name: str, *, winners: bool) -> None:
        """Emit the function that `forward` describes."""
        forward(module, name, self, winners=winners)

    def tile_sizes(self, registers: int) -> tuple[int, int, int]:
        """Return the vectors of filters, the tiles and the positions of the usual group."""
        width = filter_chunks(self, registers)[0].width
        down, across = self.group(registers)
        return width, down * across, down * across * self.tile[0] * self.tile[1]

    def describe_tile(self) -> str:
        """Return what is saved."""
        plain = self.tile[0] * self.tile[1] * len(self.taps)
        return (
            f", {self.points} multiplications for {self.tile[0]} x {self.tile[1]} positions "
            f"instead of {plain}"
        )

    @property
    def transforms(self) -> tuple[Transform, Transform]:
        """Both axes of a tile."""
        return Transform(self.tile[0], self.kernel_size[0]), Transform(
            self.tile[1], self.kernel_size[1]
        )

    @property
    def rounds(self) -> bool:
        """Whether cells that are 0 may leave something else than 0, for want of exact points."""
        return any(each.rounds for each in self.transforms)

    @property
    def blank_row(self) -> int:
        """Floats from one row to the next of what tells where a grid is blank."""
        width = self.source.step // self.source.padded
        return -(-width // _SLACK) * _SLACK + _SLACK

    @property
    def points(self) -> int:
        """The multiplications of a tile, for each channel."""
        return self.transforms[0].points * self.transforms[1].points

    @property
    def tiles(self) -> tuple[int, int]:
        """How many tiles a map has, `(down, across)`; the last may reach beyond it."""
        return tiles_of(self.tile, (self.rows, self.columns))

    def widest(self, registers: int) -> int:
        """Return how many vectors of filters are multiplied together, at most."""
        most = _WIDEST if registers >= 32 else _WIDEST // 2
        return next(each for each in range(most, 0, -1) if self.vectors % each == 0)

    def group(self, registers: int) -> tuple[int, int]:
        """Return how many rows of tiles are worked on together, and how many tiles of a row."""
        # As many tiles as there are registers for their sums: each feature that is loaded is used
        # for all of them. Tiles of a row first; of several rows only if whole rows fit, so that a
        # group is always a rectangle.
        width = min(self.widest(registers), self.vectors)
        most = max(1, room_for(registers) // width)
        down, across = self.tiles
        if across > most:
            return 1, -(-across // -(-across // most))
        return min(down, max(1, most // across)), across


def tiles_of(tile: tuple[int, int], sizes: tuple[int, int]) -> tuple[int, int]:
    """Return how many tiles it takes, `(down, across)`."""
    return -(-sizes[0] // tile[0]), -(-sizes[1] // tile[1])


def best_tile(conv: Convolution) -> tuple[int, int] | None:
    """Return the tile with which a convolution takes fewest multiplications.

    None if it cannot be made this way, or where that gains little.
    """
    plain = conv.stride == conv.dilation == (1, 1)
    if not plain or min(conv.source.channels, conv.filters) < _FEWEST:
        return None
    sizes = conv.rows, conv.columns
    best, fewest = None, _GAIN * conv.rows * conv.columns * len(conv.taps)
    for tile in itertools.product(*(_lengths(conv, axis) for axis in (0, 1))):
        transforms = [Transform(*each) for each in zip(tile, conv.kernel_size, strict=True)]
        points = transforms[0].points * transforms[1].points
        down, across = tiles_of((tile[0], tile[1]), sizes)
        # Matches are to be exactly 1 if all cells agree.
        inexact = conv.divisor != 1 and any(each.rounds for each in transforms)
        if points > _MOST_POINTS or inexact:
            continue
        if points * down * across < fewest:
            best, fewest = (tile[0], tile[1]), points * down * across
    return best


def _lengths(conv: Convolution, axis: int) -> list[int]:
    """Return how long a tile may be along an axis."""
    # Pooling is done on the positions of a tile: it must have whole windows, side by side.
    taps, window, size = conv.kernel_size[axis], conv.window[axis], (conv.rows, conv.columns)[axis]
    if conv.window_stride[axis] != window or size % window:
        return []
    if taps == 1:
        return [1] if window == 1 else []
    # Odd taps and even positions make an even number of points: 0, infinity, and pairs.
    if taps % 2 == 0:
        return []
    return [each for each in _LENGTHS if each % window == 0 and each + taps - 1 <= _MOST_OF_AXIS]


def cells_under(conv: Winograd) -> tuple[int, int]:
    """Return how many rows and columns of the grid all tiles have under them."""
    down, across = (count * length for count, length in zip(conv.tiles, conv.tile, strict=True))
    return down + conv.kernel_size[0] - 1, across + conv.kernel_size[1] - 1


def scratch_size(conv: Winograd, registers: int, *, training: bool) -> int:
    """Return the floats of the memory that a pass works in."""
    blanks = conv.blank_row * (conv.source.size // conv.source.step) + _SLACK
    return transformed_size(conv, registers) + (blanks if training and conv.rounds else 0)


def transformed_size(conv: Winograd, registers: int) -> int:
    """Return the floats of one group of tiles, as values at the points."""
    width = min(conv.widest(registers), conv.vectors)
    down, across = conv.group(registers)
    parts = (conv.source.padded, width * conv.lanes)
    return conv.points * sum(apart(down * across * part) for part in parts)


# The pass -------------------------------------------------------------------------------------


def forward(module: Module, name: str, conv: Winograd, *, winners: bool) -> None:
    """Emit a function like that of `convolution.forward`, with a last argument: the scratch.

    Rows are rows of tiles. The weights are those of `pack`.
    """
    with module.function(name, *[PTR] * 5, *[INT] * 4, PTR) as (code, arguments):
        start, stop = arguments[5:7]
        together, most = conv.group(module.processor.registers)
        across = conv.tiles[1]
        emitter = _Emitter(code, conv, arguments, winners=winners)
        if winners and conv.rounds:
            emitter.mark_blanks()
        if together > 1:
            height = code.value(stop) - start
            whole = start + code.value(code.divide(height, together)) * together
            with code.loop(whole, start=start, step=together) as row:
                emitter.group(row, code.value(0), together, across)
            start = whole
        # A row of tiles in groups whose sizes differ by one at most, so that none is nearly empty.
        parts = -(-across // most)
        narrow, more = divmod(across, parts)
        with code.loop(stop, start=start) as row:
            if more:
                with code.loop(more * (narrow + 1), step=narrow + 1) as column:
                    emitter.group(row, column, 1, narrow + 1)
            with code.loop(across, start=more * (narrow + 1), step=narrow) as column:
                emitter.group(row, column, 1, narrow)


class _Emitter:
    def __init__(
        self, code: Code, conv: Winograd, arguments: Sequence[Value], *, winners: bool
    ) -> None:
        self.code = code
        self.conv = conv
        self.winners = winners
        self.grid, self.weights, self.bias, self.out, self.won, _, _, *more = arguments
        self.first, self.end, self.scratch = more
        registers = code.module.processor.registers
        self.kinds = filter_chunks(conv, registers)
        self._transformed_size = transformed_size(conv, registers)
        self.blanks: Value | None = None

    def group(self, row: Value, column: Value, down: int, across: int) -> None:
        """Emit the tiles of some rows and columns, for all chunks of filters asked for."""
        code, conv = self.code, self.conv
        tiles, channels = down * across, conv.source.channels
        products = code.at(self.scratch, conv.points * apart(tiles * conv.source.padded))
        self._transform_cells(row, column, down, across)
        for chunk, number in numbers(code, self.kinds, self.first, self.end):
            size = conv.points * channels * chunk.width * conv.lanes
            place = chunk.first * conv.lanes * conv.points * channels
            features = code.at(self.weights, number * size + place)
            self._multiply(features, products, chunk, tiles)
            filters = (number * chunk.width + chunk.first) * conv.lanes
            self._inverse_transform(products, filters, (row, column), (down, across), chunk)

    def _transform_cells(self, row: Value, column: Value, down: int, across: int) -> None:
        """Emit the transform of the cells under some tiles: (points, tiles, channels)."""
        code, conv, source = self.code, self.conv, self.conv.source
        with (
            code.loop(down) as below,
            code.loop(across) as right,
            code.loop(source.padded, step=source.lanes) as channel,
        ):
            # Tiles do not overlap in the map, but their cells do: kernel size - 1 rows and columns
            # of a tile are transformed again for the next one.
            top = (row + below) * (conv.tile[0] * source.step)
            corner = code.at(
                self.grid, top + (column + right) * (conv.tile[1] * source.padded) + channel
            )
            # Points lie `distance` apart: `_multiply` reads all tiles of one point together.
            target = code.at(self.scratch, (below * across + right) * source.padded + channel)
            distance = apart(down * across * source.padded)
            transform_cells(code, source, corner, conv.transforms, target, distance)

    def _multiply(self, features: Value, products: Value, chunk: Chunk, tiles: int) -> None:
        """Emit the products with a chunk of features, summed over the channels."""
        code, conv, lanes = self.code, self.conv, self.conv.lanes
        channels, of_one = conv.source.channels, chunk.width * lanes
        # The counting of a loop is spread over a few channels; LLVM's own unrolling is off.
        unroll = next(each for each in (4, 3, 2, 1) if channels % each == 0)
        # Points outermost: for one point this is a product of two matrices, whose sums all stay in
        # registers, and whose cells and features are read in the order in which they lie.
        with code.loop(conv.points) as point:
            cells = code.at(self.scratch, point * apart(tiles * conv.source.padded))
            weights = code.at(features, point * (channels * of_one))
            zero = code.constant(0, lanes)
            sums = [[code.variable(zero) for _ in range(chunk.width)] for _ in range(tiles)]
            with code.loop(channels, step=unroll) as channel:
                here = code.at(cells, channel)
                feature = code.at(weights, channel * of_one)
                for step in range(unroll):
                    self._one_channel(code.at(here, step), code.at(feature, step * of_one), sums)
            target = code.at(products, point * apart(tiles * of_one))
            for tile, totals in enumerate(sums):
                for each, total in enumerate(totals):
                    code.store(total.get(), target, tile * of_one + each * lanes)

    def _one_channel(self, cells: Value, feature: Value, sums: list[list[Variable]]) -> None:
        code, lanes = self.code, self.conv.lanes
        weights = [
            code.load(feature, each * lanes, kind=vector(lanes)) for each in range(len(sums[0]))
        ]
        for tile, totals in enumerate(sums):
            cell = code.load_broadcast(cells, tile * self.conv.source.padded, lanes)
            for total, weight in zip(totals, weights, strict=True):
                total.set(code.multiply_add(cell, weight, total.get()))

    def _inverse_transform(
        self,
        products: Value,
        filters: Value,
        place: tuple[Value, Value],
        group: tuple[int, int],
        chunk: Chunk,
    ) -> None:
        """Emit the inverse transform of products into positions, and what follows them."""
        code, conv, lanes = self.code, self.conv, self.conv.lanes
        rows, columns = conv.transforms
        of_one = chunk.width * lanes
        distance = apart(group[0] * group[1] * of_one)
        with (
            code.loop(group[0]) as below,
            code.loop(group[1]) as right,
            code.loop(of_one, step=lanes) as first,
        ):
            source = code.at(products, (below * group[1] + right) * of_one + first)
            # First down each column of points, then along each row of what that gives.
            lines = [
                rows.points_to_positions(
                    code,
                    [
                        code.load(source, (y * columns.points + x) * distance, kind=vector(lanes))
                        for y in range(rows.points)
                    ],
                )
                for x in range(columns.points)
            ]
            positions = [
                columns.points_to_positions(code, [line[y] for line in lines])
                for y in range(rows.positions)
            ]
            # Before the bias is added: a blank position is the bias, not 0.
            if self.blanks is not None:
                top, left = (
                    (at + more) * size
                    for at, more, size in zip(place, (below, right), conv.tile, strict=True)
                )
                positions = self._blank(positions, code.value(top), code.value(left))
            shift = code.at(self.bias, filters + first)
            positions = [[self._finish(each, shift) for each in line] for line in positions]
            self._store(positions, filters + first, (place[0] + below, place[1] + right))

    def mark_blanks(self) -> None:
        """Emit 1 for each position with a cell under it that is not 0, else 0.

        Under a blank part of a grid a sum is 0, and what is 0 passes no gradient on. Here such a
        sum would be what rounding leaves of numbers that cancel out.
        """
        code, conv, source = self.code, self.conv, self.conv.source
        blanks, row_size = code.at(self.scratch, self._transformed_size), conv.blank_row
        height = source.size // source.step
        lanes = code.module.processor.lanes
        nothing, ones = code.constant(0, source.lanes), code.constant(1, lanes)
        # The border is blank, and the cells inside hardly ever: these are marked beforehand, so
        # that a cell that is not blank costs a comparison alone.
        code.zero(blanks, row_size * height + _SLACK)
        with code.loop(source.rows + source.above, start=source.above) as row:
            marks = code.at(blanks, row * row_size + source.left)
            for place, count in code.pieces(source.columns, lanes):
                code.store_part(ones, marks, place, count)
            cells = code.at(self.grid, row * source.step + source.left * source.padded)
            for column in code.repeat(source.columns):
                anything = None
                for channel in range(0, source.padded, source.lanes):
                    cell = code.load(cells, column * source.padded + channel, kind=nothing.kind)
                    nonzero = code.compare("une", cell, nothing)
                    if anything is not None:
                        nonzero = code.op(nonzero.kind, f"or {nonzero}, {anything.name}")
                    anything = nonzero
                assert anything is not None
                with code.when(code.test("eq", code.count(anything), 0)):
                    code.store(code.constant(0), marks, column)
        # First over the rows under a feature, then over its columns. In place: a vector is read
        # together with those below it or to the right, which are still as they were.
        for taps, distance in ((conv.kernel_size[0], row_size), (conv.kernel_size[1], 1)):
            with (
                code.loop(height - conv.kernel_size[0] + 1) as row,
                code.loop(row_size - lanes, step=lanes) as column,
            ):
                here = code.at(blanks, row * row_size + column)
                best = code.load(here, kind=vector(lanes))
                for tap in range(1, taps):
                    other = code.load(here, tap * distance, kind=vector(lanes))
                    best = code.select(code.compare("ogt", best, other), best, other)
                code.store(best, here)
        self.blanks = blanks

    def _blank(self, positions: list[list[Value]], top: Value, left: Value) -> list[list[Value]]:
        """Return positions, or 0 if there is nothing under them."""
        code, lanes = self.code, self.conv.lanes
        assert self.blanks is not None
        here = code.at(self.blanks, top * self.conv.blank_row + left)
        return [
            [
                code.arithmetic(
                    "fmul", each, code.load_broadcast(here, y * self.conv.blank_row + x, lanes)
                )
                for x, each in enumerate(line)
            ]
            for y, line in enumerate(positions)
        ]

    def _finish(self, value: Value, bias: Value) -> Value:
        code, conv = self.code, self.conv
        if conv.divisor != 1:
            return divide_sums(code, conv, value, bias)
        if not conv.bias:
            return value
        return code.arithmetic("fadd", value, code.load(bias, kind=vector(conv.lanes)))

    def _store(
        self, positions: list[list[Value]], filters: Value, tile: tuple[Value, Value]
    ) -> None:
        """Emit the best of each window of a tile, if it is on the map."""
        code, conv = self.code, self.conv
        height, width = conv.window
        down, across = conv.tile[0] // height, conv.tile[1] // width
        for y in range(down):
            row = tile[0] * down + y
            for x in range(across):
                column = tile[1] * across + x
                window = [
                    positions[y * height + below][x * width + right]
                    for below in range(height)
                    for right in range(width)
                ]
                best, winner = best_of(code, conv, window, winners=self.winners)
                # A tile may reach beyond the map only if the sizes say so; full ones test nothing.
                within = []
                if conv.rows % conv.tile[0]:
                    within.append(code.test("slt", row, conv.target.rows))
                if conv.columns % conv.tile[1]:
                    within.append(code.test("slt", column, conv.target.columns))
                with code.when(*within):
                    code.store(best, self.out, conv.target.place(row, column, filters))
                    if winner is not None:
                        mark = (row * conv.target.columns + column) * conv.target.padded + filters
                        code.store(winner, self.won, mark)


def pack(module: Module, name: str, conv: Winograd) -> None:
    """Emit `name(features, packed, first channel, end channel)`: the values at the points.

    They lie as (chunks of filters, points, channels, filters).
    """
    rows, columns = conv.transforms
    with module.function(name, *[PTR] * 2, *[INT] * 2) as (code, arguments):
        features, packed, start, stop = arguments
        channels, taps = conv.source.channels, len(conv.taps)
        for chunk in filter_chunks(conv, module.processor.registers):
            of_one = chunk.width * conv.lanes
            size = conv.points * channels * of_one
            place = chunk.first * conv.lanes * conv.points * channels
            with code.loop(chunk.count) as number, code.loop(stop, start=start) as channel:
                first = number * of_one + chunk.first * conv.lanes
                used = code.least(of_one, code.value(conv.filters) - first)
                target = code.at(packed, number * size + place + channel * of_one)
                # There are more points than taps, so that taps find room where points will be.
                with code.loop(used) as each:
                    feature = code.at(features, ((first + each) * channels + channel) * taps)
                    for tap in range(taps):
                        there = tap * (channels * of_one)
                        code.store(code.load(feature, tap), target, each + there)
                with code.loop(of_one, step=conv.lanes) as each:
                    lines = [
                        rows.taps_to_points(
                            code,
                            [
                                code.load(
                                    target,
                                    each + (y * conv.kernel_size[1] + x) * (channels * of_one),
                                    kind=vector(conv.lanes),
                                )
                                for y in range(conv.kernel_size[0])
                            ],
                        )
                        for x in range(conv.kernel_size[1])
                    ]
                    for y in range(rows.points):
                        values = columns.taps_to_points(code, [line[y] for line in lines])
                        for x, value in enumerate(values):
                            there = (y * columns.points + x) * (channels * of_one)
                            code.store(value, target, each + there)
