"""Convolution, with the rectification and the pooling that follow it, in one pass.

Vectors lie along the filters. A tile is a few positions of the map times a few vectors of filters;
its sums stay in registers while the cells of the grid are spread from memory, one after the other.
Where pooling follows, a tile is whole windows: only the best of each is written.

A tile of 4 positions and 3 vectors of 16 filters keeps 12 sums in registers:

                  filters 0..15   16..31   32..47
    position 0         sum         sum       sum      for each tap and each channel:
    position 1         sum         sum       sum        load 3 vectors of features,
    position 2         sum         sum       sum        spread 4 cells of the grid,
    position 3         sum         sum       sum        and do 12 multiply-adds

The features are packed so that they are read from front to back, see `packing`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
from gridcnn.engines.native.layout import Maps
from gridcnn.forks import cached_property

DEAD = 255
"""The winner of a window whose best match was no match: nothing is to be learned there."""


@dataclass(frozen=True)
class Convolution:
    """What one convolution does, with all sizes known.

    `rows` and `columns` are those of the map before pooling; `target` is what comes out.
    """

    source: Maps
    target: Maps
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    rows: int
    columns: int
    bias: bool
    rectified: bool
    divisor: float = 1.0
    window: tuple[int, int] = (1, 1)
    step: tuple[int, int] = (1, 1)

    @property
    def pooled(self) -> bool:
        """Whether only the best of each window is kept."""
        return self.window != (1, 1) or self.step != (1, 1)

    @property
    def filters(self) -> int:
        """How many features there are."""
        return self.target.channels

    @property
    def lanes(self) -> int:
        """How wide the vectors along the filters are."""
        return self.target.lanes

    @property
    def vectors(self) -> int:
        """Vectors of filters in all."""
        return self.target.padded // self.lanes

    @cached_property
    def taps(self) -> list[tuple[int, int]]:
        """The cells of a feature, `(row, column)`."""
        return [(row, column) for row in range(self.kernel[0]) for column in range(self.kernel[1])]

    def widest(self, registers: int) -> int:
        """Return how many vectors of filters are worked on together, at most."""
        # The sums of one whole window have to fit into the registers: its cells times these vectors
        # are at most `room_for(registers)`, as long as `plan._joins` fuses no larger windows.
        cells = self.window[0] * self.window[1]
        if registers < 32:
            return 2 if cells <= 6 else 1
        if cells > 12:
            return 1
        return 3 if self.vectors % 3 == 0 and cells <= 4 else 2

    def whole_windows(self, axis: int) -> int:
        """Return how many windows along an axis the edge does not cut."""
        size, count = ((self.rows, self.target.rows), (self.columns, self.target.columns))[axis]
        fitting = (size - self.window[axis]) // self.step[axis] + 1
        return min(count, max(fitting, 0))

    def reach(self, row: int, column: int) -> int:
        """Return how far a tap lies from a position's first cell, in floats."""
        down, across = row * self.dilation[0], column * self.dilation[1]
        return down * self.source.step + across * self.source.padded

    def distance(self, rows: int, columns: int) -> int:
        """Return how far apart the patches of two positions are, in floats."""
        down = rows * self.stride[0] * self.source.step
        return down + columns * self.stride[1] * self.source.padded

    def origin(self, row: Number, column: Number) -> Number:
        """Return where the first cell of a position's patch stands in the grid, in floats."""
        return row * (self.stride[0] * self.source.step) + column * (
            self.stride[1] * self.source.padded
        )


@dataclass(frozen=True)
class Chunk:
    """Vectors of filters that are worked on together, `width` of them, `count` times."""

    first: int
    width: int
    count: int


def chunks(vectors: int, width: int) -> list[Chunk]:
    """Return how vectors of filters are taken: as many as fit together, then what is left."""
    parts = []
    if vectors >= width:
        parts.append(Chunk(0, width, vectors // width))
    if vectors % width:
        parts.append(Chunk(vectors - vectors % width, vectors % width, 1))
    return parts


def forward(module: Module, name: str, conv: Convolution, *, winners: bool) -> None:
    """Emit `name(grid, weights, bias, map, winners, first row, end row, first chunk, end chunk)`.

    Rows are those of the target, and chunks those of `filter_chunks`.
    """
    with module.function(name, *[PTR] * 5, *[INT] * 4) as (code, arguments):
        emit_forward(code, conv, arguments, _Tile(module, code, conv, winners=winners))


def filter_chunks(conv: Convolution, registers: int) -> list[Chunk]:
    """Return the chunks of a convolution's filters; the packed weights lie in their order."""
    return chunks(conv.vectors, min(conv.widest(registers), conv.vectors))


def numbers(
    code: Code, kinds: Sequence[Chunk], start: Value, stop: Value
) -> Iterator[tuple[Chunk, Value]]:
    """Go over those chunks whose numbers, counted through all kinds, are in a range.

    Yields what each is, and its number in its kind.
    """
    before = 0
    for chunk in kinds:
        first = code.most(start - before, 0)
        end = code.least(stop - before, chunk.count)
        with code.loop(end, start=first) as number:
            yield chunk, number
        before += chunk.count


def best_of(
    code: Code, conv: Convolution, values: Sequence[Value], *, winners: bool
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
    if conv.rectified:
        if winners and conv.pooled:
            alive = code.compare("ogt", best, code.constant(0, conv.lanes))
            places = code.select(alive, places, code.constants([DEAD] * conv.lanes, WORD))
        best = code.rectify(best)
    if not (winners and conv.pooled):
        return best, None
    return best, code.cast("trunc", places, BYTE)


def emit_forward(code: Code, conv: Convolution, arguments: list[Value], tile: Tile) -> None:
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
        if whole < conv.target.rows:
            with code.when(code.test("eq", stop, conv.target.rows)):
                height = conv.rows - whole * conv.step[0]
                _row(tile, chunk.width, pointers, code.value(whole), height)


def room_for(registers: int) -> int:
    """Return how many sums a tile keeps in registers; the others hold what is added to them."""
    return 24 if registers >= 32 else 12


def windows_of_tile(conv: Convolution, room: int, width: int, height: int) -> tuple[int, int]:
    """Return how many whole windows a tile has, and how many tiles of a row have one more.

    There are whole windows in a row; `width` vectors of filters are worked on together, and
    windows are `height` high.
    """
    # Tiles of nearly one size: 9 windows of which 4 fit are 3 + 3 + 3, and not 4 + 4 + 1.
    whole = conv.whole_windows(1)
    most = max(1, room // (width * height * conv.window[1]))
    return divmod(whole, -(-whole // most))


@dataclass(frozen=True)
class Pointers:
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
        rest = conv.columns - whole * conv.step[1]
        tile.emit(width, pointers, row, code.value(whole), (height, rest), 1)


class Tile(abc.ABC):
    """Emits the sums of a few windows next to each other, for a few vectors of filters."""

    def __init__(self, module: Module, code: Code, conv: Convolution, *, winners: bool) -> None:
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
            (down, number * conv.step[1] + right)
            for number in range(windows)
            for down in range(window[0])
            for right in range(window[1])
        ]
        sums = self._start(width, pointers.bias, len(positions))
        origin = conv.origin(row * conv.step[0], column * conv.step[1])
        self.add(pointers, origin, positions, sums)
        cells = window[0] * window[1]
        for number in range(windows):
            part = sums[number * cells : (number + 1) * cells]
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


def divide_sums(code: Code, conv: Convolution, total: Value, bias: Value) -> Value:
    """Return sums as matches, with their bias.

    Only what is divided after it is summed up is exactly 1 where every cell matches.
    """
    match = code.arithmetic("fdiv", total, code.constant(conv.divisor, conv.lanes))
    if not conv.bias:
        return match
    return code.arithmetic("fadd", match, code.load(bias, kind=vector(conv.lanes)))


class _Tile(Tile):
    def __init__(self, module: Module, code: Code, conv: Convolution, *, winners: bool) -> None:
        super().__init__(module, code, conv, winners=winners)
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
        for position, totals in zip(positions, sums, strict=True):
            cell = code.everywhere(cells, self.conv.origin(*position), lanes)
            for total, weight in zip(totals, weights, strict=True):
                total.set(code.multiply_add(cell, weight, total.get()))
