"""The first convolution on one-hot grids: columns of features are looked up, and added up.

A column of the grid is an index, and a feature as high as the grid has one number for each index
and tap: nothing is multiplied. Index number `symbols` stands for a column without a 1, and for the
border; its numbers are 0.

    text "cab", alphabet "abc":  indices 2 0 1,  with a border of one: 3 2 0 1 3
    a feature of three taps at the first position: numbers[0][3] + numbers[1][2] + numbers[2][0]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gridcnn.engines.native.emitter import INT, PTR, WORD, Module, Number, Value, Variable, vector
from gridcnn.engines.native.kernels.convolution import (
    Chunk,
    Convolution,
    Pointers,
    Tile,
    emit_forward,
    filter_chunks,
    numbers,
)
from gridcnn.engines.native.kernels.convolution_backward import Shares, places_of, windows_of


@dataclass(frozen=True)
class Lookup(Convolution):
    """A convolution whose kernel has all rows of a one-hot grid.

    The grid is a row of 32-bit indices, so that the kernel has one row too.
    """

    symbols: int = 0

    def widest(self, registers: int) -> int:
        """Return as many as fit, so that an index is read once for all of them."""
        return max(1, (24 if registers >= 32 else 12) // (self.window[0] * self.window[1]))

    @property
    def table(self) -> int:
        """Floats of one tap's numbers, for all indices and filters."""
        return (self.symbols + 1) * self.target.padded


def forward(module: Module, name: str, conv: Lookup, *, winners: bool) -> None:
    """Emit a function of indices, and else as that of `convolution.forward`.

    Weights lie as (taps, indices, filters).
    """
    with module.function(name, *[PTR] * 5, *[INT] * 4) as (code, arguments):
        emit_forward(code, conv, arguments, _Tile(module, code, conv, winners=winners))


class _Tile(Tile):
    conv: Lookup

    def chunks(
        self, weights: Value, start: Value, stop: Value
    ) -> Iterator[tuple[Chunk, Value, Value]]:
        """Go over the chunks; filters lie beside each other."""
        kinds = filter_chunks(self.conv, self.module.processor.registers)
        for chunk, number in numbers(self.code, kinds, start, stop):
            first = (number * chunk.width + chunk.first) * self.conv.lanes
            yield chunk, self.code.at(weights, first), number

    def add(
        self,
        pointers: Pointers,
        origin: Number,
        positions: list[tuple[int, int]],
        sums: list[list[Variable]],
    ) -> None:
        """Emit the sums: tap after tap, the numbers of the index found there."""
        code, conv = self.code, self.conv
        base = code.at(pointers.grid, origin, WORD)
        with code.loop(len(conv.taps)) as tap:
            cells = code.at(base, tap * conv.reach(0, 1), WORD)
            features = code.at(pointers.weights, tap * conv.table)
            for position, totals in zip(positions, sums, strict=True):
                index = code.load(cells, conv.origin(*position), kind=WORD)
                place = code.cast("zext", index, INT) * conv.target.padded
                numbers = code.at(features, place)
                for each, total in enumerate(totals):
                    value = code.load(numbers, each * conv.lanes, kind=vector(conv.lanes))
                    total.set(code.arithmetic("fadd", total.get(), value))


def backward(module: Module, name: str, conv: Lookup) -> None:
    """Emit `name(indices, map, winners, map's gradient, weights' gradient, bias's gradient)`.

    The gradients are added to; that of the weights lies as (taps, indices, filters).
    """
    with module.function(name, *[PTR] * 6) as (code, values):
        indices, out, won, flow, by_weights, by_bias = values
        shares = Shares(code, conv, out, won, flow)
        for rows, columns, window in windows_of(conv):
            with (
                code.loop(rows[1], start=rows[0]) as row,
                code.loop(columns[1], start=columns[0]) as column,
                code.loop(conv.target.padded, step=conv.lanes) as first,
            ):
                target = code.at(by_weights, first)
                for down, right, cell in places_of(window):
                    share = shares.at(row, column, first, cell)
                    origin = conv.origin(row * conv.step[0] + down, column * conv.step[1] + right)
                    cells = code.at(indices, origin, WORD)
                    with code.loop(len(conv.taps)) as tap:
                        index = code.load(cells, tap * conv.reach(0, 1), kind=WORD)
                        place = code.cast("zext", index, INT) * conv.target.padded
                        there = code.at(target, tap * conv.table + place)
                        before = code.load(there, kind=share.kind)
                        code.store(code.arithmetic("fadd", before, share), there)
        if conv.bias:
            shares.add_up(by_bias)
