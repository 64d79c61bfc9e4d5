"""Convolution, with the rectification and the pooling that follow it, in one pass.

Vectors lie along the filters. A tile is a few positions of the map times a few vectors of filters;
its sums stay in registers while the cells of the grid are broadcast from memory, one after the
other. If pooling follows, a tile is whole windows: only the best of each is written.

A tile of 4 positions and 3 vectors of 16 filters keeps 12 sums in registers:

                  filters 0..15   16..31   32..47
    position 0         sum         sum       sum      for each tap and each channel:
    position 1         sum         sum       sum        load 3 vectors of features,
    position 2         sum         sum       sum        broadcast 4 cells of the grid,
    position 3         sum         sum       sum        and do 12 multiply-adds

The features are packed so that they are read from front to back, see `packing`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gridcnn.engines.native.emitter import (
    BYTE,
    INT,
    PTR,
    WORD,
    Code,
    Module,
    Number,
    Value,
    Variable,
    vector,
)
from gridcnn.engines.native.kernels.sizes import (
    NO_WINNER,
    Chunk,
    Sizes,
    filter_chunks,
    room_for,
    windows_of_tile,
)


def numbers(
    code: Code, kinds: Sequence[Chunk], start: Value, stop: Value
) -> Iterator[tuple[Chunk, Value]]:
    """Go over those chunks whose numbers, counted through all kinds, are in a range.

    Yields what each is, and its number in its kind.
    """
    # Each kind is a loop of its own, since its code is: a range may begin in one and end in
    # another.
    before = 0
    for chunk in kinds:
        first = code.most(start - before, 0)
        end = code.least(stop - before, chunk.count)
        with code.loop(end, start=first) as number:
            yield chunk, number
        before += chunk.count


def best_of(
    code: Code, conv: Sizes, values: Sequence[Value], *, winners: bool
) -> tuple[Value, Value | None]:
    """Return the best of a window, and the number of its place, first come first served."""
    # Only what is greater replaces the best, so that the first of equal cells wins in every engine.
    best = values[0]
    places = code.constants([0] * conv.lanes, WORD)
    for place, value in enumerate(values[1:], 1):
        if winners:
            is_better = code.compare("ogt", value, best)
            places = code.select(is_better, code.constants([place] * conv.lanes, WORD), places)
        best = code.larger(best, value)
    # The largest cell is rectified, and not each cell: that is the same, for one instruction.
    if conv.rectified:
        if winners and conv.pooled:
            is_positive = code.compare("ogt", best, code.constant(0, conv.lanes))
            places = code.select(
                is_positive, places, code.constants([NO_WINNER] * conv.lanes, WORD)
            )
        best = code.rectify(best)
    if not (winners and conv.pooled):
        return best, None
    return best, code.cast("trunc", places, BYTE)


def emit_rows(code: Code, conv: Sizes, arguments: list[Value], tile: Tile) -> None:
    """Emit all chunks of filters, one after the other, for the rows that are asked for."""
    # Filters outermost: all rows use the features of a chunk before those of the next are needed.
    grid, weights, bias, out, won, start, stop, *chunks = arguments
    whole = conv.whole_windows(0)
    for chunk, features, number in tile.chunks(weights, *chunks):
        first = (number * chunk.width + chunk.first) * conv.lanes
        pointers = Pointers(
            grid,
            features,
            code.at(bias, first),
            code.at(out, first),
            code.at(won, first, BYTE),
        )
        with code.loop(code.least(stop, whole), start=start) as row:
            _row(tile, chunk.width, pointers, row, conv.window[0])
        # The last row of windows may be cut by the edge. It has code of its own, which the task
        # with the end of the target runs.
        if whole < conv.target.rows:
            with code.when(code.test("eq", stop, conv.target.rows)):
                height = conv.rows - whole * conv.window_stride[0]
                _row(tile, chunk.width, pointers, code.value(whole), height)


class Pointers(NamedTuple):
    """What a tile reads and writes, from its first filter on."""

    grid: Value
    weights: Value
    bias: Value
    out: Value
    won: Value


def _row(tile: Tile, width: int, pointers: Pointers, row: Value, height: int) -> None:
    """Emit one row of the target: tiles of two sizes that differ by one, then a cut window."""
    conv, code = tile.conv, tile.code
    whole = conv.whole_windows(1)
    if whole:
        narrow, more = windows_of_tile(conv, tile.room, width, height)
        if more:
            with code.loop(more * (narrow + 1), step=narrow + 1) as column:
                tile.emit(width, pointers, row, column, (height, conv.window[1]), narrow + 1)
        with code.loop(whole, start=more * (narrow + 1), step=narrow) as column:
            tile.emit(width, pointers, row, column, (height, conv.window[1]), narrow)
    if whole < conv.target.columns:
        rest = conv.columns - whole * conv.window_stride[1]
        tile.emit(width, pointers, row, code.value(whole), (height, rest), 1)


class Tile(abc.ABC):
    """Emits the sums of a few windows next to each other, for a few vectors of filters."""

    def __init__(self, module: Module, code: Code, conv: Sizes, *, winners: bool) -> None:
        self.module = module
        self.code = code
        self.conv = conv
        self.winners = winners
        self.room = room_for(module.processor.registers)

    @abc.abstractmethod
    def chunks(
        self, weights: Value, start: Value, stop: Value
    ) -> Iterator[tuple[Chunk, Value, Value]]:
        """Go over some chunks of filters: what each is, its weights, and its number in its kind."""

    @abc.abstractmethod
    def add(
        self,
        pointers: Pointers,
        origin: Number,
        positions: list[tuple[int, int]],
        sums: list[list[Variable]],
    ) -> None:
        """Emit the sums for positions of the map, counted from the one at `origin` of the grid."""

    def emit(
        self,
        width: int,
        pointers: Pointers,
        row: Value,
        column: Value,
        window: tuple[int, int],
        windows: int,
    ) -> None:
        """Emit `windows` windows of a size from a place of the target on."""
        code, conv = self.code, self.conv
        positions = [
            (down, number * conv.window_stride[1] + right)
            for number in range(windows)
            for down in range(window[0])
            for right in range(window[1])
        ]
        sums = self._start(width, pointers.bias, len(positions))
        origin = conv.origin(row * conv.window_stride[0], column * conv.window_stride[1])
        self.add(pointers, origin, positions, sums)
        cells = window[0] * window[1]
        for number in range(windows):
            part = sums[number * cells : (number + 1) * cells]
            # Maps have a border for their reader; winners have none, since only this kernel's way
            # back reads them.
            place = conv.target.place(row, column + number)
            mark = (row * conv.target.columns + (column + number)) * conv.target.padded
            for each in range(width):
                values = [total[each].get() for total in part]
                if conv.divisor != 1:
                    shift = code.at(pointers.bias, each * conv.lanes)
                    values = [divide_sums(code, conv, value, shift) for value in values]
                best, winner = best_of(code, conv, values, winners=self.winners)
                code.store(best, code.at(pointers.out, place), each * conv.lanes)
                if winner is not None:
                    code.store(winner, code.at(pointers.won, mark, BYTE), each * conv.lanes)

    def _start(self, width: int, bias: Value, positions: int) -> list[list[Variable]]:
        code, lanes = self.code, self.conv.lanes
        # Sums start at the bias; those that are divided get it afterwards, see `divide_sums`.
        first = [code.constant(0, lanes)] * width
        if self.conv.bias and self.conv.divisor == 1:
            first = [code.load(bias, each * lanes, kind=vector(lanes)) for each in range(width)]
        return [[code.variable(each) for each in first] for _ in range(positions)]


def divide_sums(code: Code, conv: Sizes, total: Value, bias: Value) -> Value:
    """Return sums as matches, with their bias.

    Only what is divided after it is summed up is exactly 1 where every cell matches.
    """
    match = code.arithmetic("fdiv", total, code.constant(conv.divisor, conv.lanes))
    if not conv.bias:
        return match
    return code.arithmetic("fadd", match, code.load(bias, kind=vector(conv.lanes)))


class DirectTile(Tile):
    """Sums of a convolution whose cells are multiplied as they are."""

    def __init__(self, module: Module, code: Code, conv: Sizes, *, winners: bool) -> None:
        super().__init__(module, code, conv, winners=winners)
        # Where each tap lies is read from a table: one loop goes over the taps of any feature with
        # any dilation, and a large feature makes no more code than a small one.
        self.taps = module.table([conv.reach(*tap) for tap in conv.taps])

    def chunks(
        self, weights: Value, start: Value, stop: Value
    ) -> Iterator[tuple[Chunk, Value, Value]]:
        """Go over the chunks; the weights of each lie together."""
        code, conv = self.code, self.conv
        kinds = filter_chunks(conv, self.module.processor.registers)
        for chunk, number in numbers(code, kinds, start, stop):
            of_one_filter = len(conv.taps) * conv.source.channels
            place = chunk.first * conv.lanes * of_one_filter
            size = chunk.width * conv.lanes * of_one_filter
            yield chunk, code.at(weights, number * size + place), number

    def add(
        self,
        pointers: Pointers,
        origin: Number,
        positions: list[tuple[int, int]],
        sums: list[list[Variable]],
    ) -> None:
        """Emit the sums: tap after tap, and in each channel after channel."""
        code, conv = self.code, self.conv
        channels = conv.source.channels
        # The counting of the loop is paid once for a few channels; LLVM's own unrolling is off.
        unroll = next(each for each in (4, 3, 2, 1) if channels % each == 0)
        of_one = len(sums[0]) * conv.lanes
        base = code.at(pointers.grid, origin)
        # Taps outside, channels inside: the channels of a cell lie together, and so do the features
        # of a tap.
        with code.loop(len(conv.taps)) as tap:
            cells = code.at(base, code.load(Value(code, PTR, self.taps), tap, kind=INT))
            features = code.at(pointers.weights, tap * (channels * of_one))
            with code.loop(channels, step=unroll) as channel:
                here = code.at(cells, channel)
                feature = code.at(features, channel * of_one)
                for step in range(unroll):
                    self._one_channel(
                        code.at(here, step), code.at(feature, step * of_one), positions, sums
                    )

    def _one_channel(
        self,
        cells: Value,
        feature: Value,
        positions: list[tuple[int, int]],
        sums: list[list[Variable]],
    ) -> None:
        code, lanes = self.code, self.conv.lanes
        weights = [
            code.load(feature, each * lanes, kind=vector(lanes)) for each in range(len(sums[0]))
        ]
        # Vectors of features outlive the positions: each is loaded once for all of them.
        for position, totals in zip(positions, sums, strict=True):
            cell = code.load_broadcast(cells, self.conv.origin(*position), lanes)
            for total, weight in zip(totals, weights, strict=True):
                total.set(code.multiply_add(cell, weight, total.get()))
