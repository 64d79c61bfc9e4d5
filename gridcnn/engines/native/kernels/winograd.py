"""Convolution with features of 3 x 3 in fewer multiplications: Winograd's F(2 x 2, 3 x 3).

Two by two neighbouring positions of a map are made from the 4 x 4 cells of the grid under them.
Cells and features are turned into 16 numbers each; their products, added up over the channels, turn
into the four positions. That is 16 multiplications for each channel instead of 36, for some
additions before and after (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
2016, section 4.1). Two by two is also the usual window of pooling, which follows in registers.

Infinite cells may end as NaN here, since sums are taken apart and put together again: grids that
hold such cells go to the other kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from gridcnn.engines.native.emitter import (
    BYTE,
    INT,
    PTR,
    Code,
    Module,
    Number,
    Value,
    Variable,
    vector,
)
from gridcnn.engines.native.kernels.convolution import (
    Chunk,
    Convolution,
    best_of,
    divided,
    filter_chunks,
    numbers,
)

SIDE = 4
POINTS = SIDE * SIDE
_FEWEST = 16  # channels and filters; with fewer, the turning costs more than it saves


@dataclass(frozen=True)
class Winograd(Convolution):
    """A convolution that is made this way, in rows of tiles of 2 x 2 positions."""

    @property
    def tiles(self) -> tuple[int, int]:
        """How many tiles a map has, `(down, across)`."""
        return self.rows // 2, self.columns // 2


def turned(conv: Convolution) -> Convolution:
    """Return the convolution made this way, or as it is where that cannot be, or gains nothing."""
    if not _fits(conv):
        return conv
    return Winograd(**{each.name: getattr(conv, each.name) for each in fields(conv)})


def _fits(conv: Convolution) -> bool:
    plain = conv.kernel == (3, 3) and conv.stride == conv.dilation == (1, 1)
    whole = (conv.window, conv.step) in (((1, 1), (1, 1)), ((2, 2), (2, 2)))
    even = not (conv.rows % 2 or conv.columns % 2)
    many = min(conv.source.channels, conv.filters) >= _FEWEST
    return type(conv) is Convolution and plain and whole and even and many


def packed_size(conv: Winograd) -> int:
    """Return the floats of the turned features."""
    return POINTS * conv.source.channels * conv.target.padded


def scratch_size(conv: Winograd, registers: int) -> int:
    """Return the floats of the memory that one row of tiles takes."""
    width = min(conv.widest(registers), conv.vectors)
    tiles = most_tiles(conv, registers)
    return POINTS * tiles * (conv.source.padded + width * conv.lanes)


def most_tiles(conv: Winograd, registers: int) -> int:
    """Return how many tiles of a row are worked on together, at most."""
    width = min(conv.widest(registers), conv.vectors)
    return max(1, (24 if registers >= 32 else 12) // width)


def forward(module: Module, name: str, conv: Winograd, *, winners: bool) -> None:
    """Emit a function like that of `convolution.forward`, with a last argument: the scratch.

    Rows are rows of tiles. The weights are those of `pack`.
    """
    with module.function(name, *[PTR] * 5, *[INT] * 4, PTR) as (code, arguments):
        grid, weights, bias, out, won, start, stop, first, end, scratch = arguments
        registers = module.processor.registers
        most = most_tiles(conv, registers)
        across = conv.tiles[1]
        narrow, more = divmod(across, -(-across // most))
        emitter = _Emitter(code, conv, winners=winners)
        for count, begin, finish in (
            (narrow + 1, 0, more * (narrow + 1)),
            (narrow, more * (narrow + 1), across),
        ):
            if begin == finish:
                continue
            products = code.at(scratch, POINTS * most * conv.source.padded)
            with (
                code.loop(stop, start=start) as row,
                code.loop(finish, start=begin, step=count) as column,
            ):
                emitter.turn_cells(grid, scratch, row, column, count)
                kinds = filter_chunks(conv, registers)
                for chunk, number in numbers(code, kinds, first, end):
                    size = POINTS * conv.source.channels * chunk.width * conv.lanes
                    place = chunk.first * conv.lanes * POINTS * conv.source.channels
                    features = code.at(weights, number * size + place)
                    emitter.multiply(scratch, features, products, chunk, count)
                    filters = (number * chunk.width + chunk.first) * conv.lanes
                    emitter.turn_back(
                        products,
                        (
                            code.at(bias, filters),
                            code.at(out, filters),
                            code.at(won, filters, BYTE),
                        ),
                        (row, column),
                        chunk,
                        count,
                    )


class _Emitter:
    def __init__(self, code: Code, conv: Winograd, *, winners: bool) -> None:
        self.code = code
        self.conv = conv
        self.winners = winners

    def _difference(self, left: Value, right: Value) -> Value:
        return self.code.arithmetic("fsub", left, right)

    def _sum(self, left: Value, right: Value) -> Value:
        return self.code.arithmetic("fadd", left, right)

    def _cells_to_points(self, cells: Sequence[Value]) -> list[Value]:
        first, second, third, fourth = cells
        return [
            self._difference(first, third),
            self._sum(second, third),
            self._difference(third, second),
            self._difference(second, fourth),
        ]

    def _points_to_positions(self, points: Sequence[Value]) -> list[Value]:
        first, second, third, fourth = points
        return [
            self._sum(self._sum(first, second), third),
            self._difference(self._difference(second, third), fourth),
        ]

    def turn_cells(self, grid: Value, turned: Value, row: Value, column: Value, tiles: int) -> None:
        """Emit the turning of the cells under some tiles: (points, tiles, channels)."""
        code, source = self.code, self.conv.source
        kind = vector(source.lanes)
        with (
            code.loop(tiles) as tile,
            code.loop(source.padded, step=source.lanes) as channel,
        ):
            corner = code.at(
                grid, row * (2 * source.step) + (column + tile) * (2 * source.padded) + channel
            )
            columns = [
                self._cells_to_points(
                    [
                        code.load(corner, down * source.step + right * source.padded, kind=kind)
                        for down in range(SIDE)
                    ]
                )
                for right in range(SIDE)
            ]
            target = code.at(turned, tile * source.padded + channel)
            for down in range(SIDE):
                points = self._cells_to_points([each[down] for each in columns])
                for right, point in enumerate(points):
                    place = (down * SIDE + right) * tiles * source.padded
                    code.store(point, target, place)

    def multiply(
        self, turned: Value, features: Value, products: Value, chunk: Chunk, tiles: int
    ) -> None:
        """Emit the products with a chunk of features, summed over the channels."""
        code, conv, lanes = self.code, self.conv, self.conv.lanes
        channels, of_one = conv.source.channels, chunk.width * lanes
        unroll = next(each for each in (4, 3, 2, 1) if channels % each == 0)
        with code.loop(POINTS) as point:
            cells = code.at(turned, point * (tiles * conv.source.padded))
            weights = code.at(features, point * (channels * of_one))
            zero = code.constant(0, lanes)
            sums = [[code.variable(zero) for _ in range(chunk.width)] for _ in range(tiles)]
            with code.loop(channels, step=unroll) as channel:
                here = code.at(cells, channel)
                feature = code.at(weights, channel * of_one)
                for step in range(unroll):
                    self._one_channel(code.at(here, step), code.at(feature, step * of_one), sums)
            target = code.at(products, point * (tiles * of_one))
            for tile, totals in enumerate(sums):
                for each, total in enumerate(totals):
                    code.store(total.get(), target, tile * of_one + each * lanes)

    def _one_channel(self, cells: Value, feature: Value, sums: list[list[Variable]]) -> None:
        code, lanes = self.code, self.conv.lanes
        weights = [
            code.load(feature, each * lanes, kind=vector(lanes)) for each in range(len(sums[0]))
        ]
        for tile, totals in enumerate(sums):
            cell = code.everywhere(cells, tile * self.conv.source.padded, lanes)
            for total, weight in zip(totals, weights, strict=True):
                total.set(code.multiply_add(cell, weight, total.get()))

    def turn_back(
        self,
        products: Value,
        pointers: tuple[Value, Value, Value],
        place: tuple[Value, Value],
        chunk: Chunk,
        tiles: int,
    ) -> None:
        """Emit the turning of products into positions, and what follows them."""
        code, conv, lanes = self.code, self.conv, self.conv.lanes
        bias, out, won = pointers
        of_one = chunk.width * lanes
        with code.loop(tiles) as tile, code.loop(of_one, step=lanes) as first:
            source = code.at(products, tile * of_one + first)
            columns = [
                self._points_to_positions(
                    [
                        code.load(
                            source, (down * SIDE + right) * tiles * of_one, kind=vector(lanes)
                        )
                        for down in range(SIDE)
                    ]
                )
                for right in range(SIDE)
            ]
            positions = [
                position
                for down in range(2)
                for position in self._points_to_positions([each[down] for each in columns])
            ]
            if conv.divisor != 1:
                shift = code.at(bias, first)
                positions = [divided(code, conv, each, shift) for each in positions]
            elif conv.bias:
                shift = code.load(bias, first, kind=vector(lanes))
                positions = [self._sum(each, shift) for each in positions]
            row, column = place[0], place[1] + tile
            if conv.pooled:
                best, winner = best_of(code, conv, positions, winners=self.winners)
                code.store(best, out, conv.target.place(row, column, first))
                if winner is not None:
                    mark = (row * conv.target.columns + column) * conv.target.padded + first
                    code.store(winner, won, mark)
                return
            for number, position in enumerate(positions):
                down, right = divmod(number, 2)
                value = code.rectified(position) if conv.rectified else position
                there: Number = conv.target.place(row * 2 + down, column * 2 + right, first)
                code.store(value, out, there)


def pack(module: Module, name: str, conv: Winograd) -> None:
    """Emit `name(features, packed)`: each feature of a channel turned into its 16 numbers.

    They lie as (chunks of filters, points, channels, filters).
    """
    with module.function(name, PTR, PTR) as (code, (features, packed)):
        channels, taps = conv.source.channels, len(conv.taps)
        for chunk in filter_chunks(conv, module.processor.registers):
            of_one = chunk.width * conv.lanes
            size = POINTS * channels * of_one
            place = chunk.first * conv.lanes * POINTS * channels
            with code.loop(chunk.count) as number:
                first = number * of_one + chunk.first * conv.lanes
                used = code.least(of_one, code.value(conv.filters) - first)
                target = code.at(packed, number * size + place)
                with code.loop(used) as each, code.loop(channels) as channel:
                    feature = code.at(features, ((first + each) * channels + channel) * taps)
                    rows = [
                        _cells_to_numbers(
                            code, [code.load(feature, 3 * down + right) for down in range(3)]
                        )
                        for right in range(3)
                    ]
                    for down in range(SIDE):
                        turned = _cells_to_numbers(code, [row[down] for row in rows])
                        for right, value in enumerate(turned):
                            point = (down * SIDE + right) * channels * of_one
                            code.store(value, target, channel * of_one + each + point)


def _cells_to_numbers(code: Code, cells: Sequence[Value]) -> list[Value]:
    """Return the four numbers of three cells: the first, half of the sums, and the last."""
    first, second, third = cells
    half = code.constant(0.5)
    ends = code.arithmetic("fadd", first, third)
    return [
        first,
        code.arithmetic("fmul", half, code.arithmetic("fadd", ends, second)),
        code.arithmetic("fmul", half, code.arithmetic("fsub", ends, second)),
        third,
    ]
