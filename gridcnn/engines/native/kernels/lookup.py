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
from typing import ClassVar, Self

from gridcnn.engines.native.emitter import (
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
from gridcnn.engines.native.kernels.base import Area, Bundle, Ends, Frame, Site
from gridcnn.engines.native.kernels.convolution import Convolution, settings_of
from gridcnn.engines.native.kernels.convolution_backward import MapGradients
from gridcnn.engines.native.kernels.convolution_forward import Pointers, Tile, emit_rows, numbers
from gridcnn.engines.native.kernels.sizes import Chunk, filter_chunks, places_of, windows_of
from gridcnn.engines.native.layout import Maps
from gridcnn.network import Op
from gridcnn.stages.convolution import Convolution as ConvolutionStage


def can_look_up(op: Op) -> bool:
    """Return whether an operation is a convolution whose features are as high as its grids."""
    stage = op.stage
    if type(stage) is not ConvolutionStage:
        return False
    (above, below), _ = stage.borders(op.input)
    height = stage.kernel(op.input)[0]
    return not above + below and height == op.input.rows and stage.dilation[0] == 1


@dataclass(frozen=True)
class Lookup(Convolution):
    """A convolution whose kernel has all rows of a one-hot grid.

    The grid is a row of 32-bit indices, so that the kernel has one row too.
    """

    title: ClassVar[str] = "lookup"

    symbols: int = 0

    @classmethod
    def take(cls, bundle: Bundle) -> Self | None:
        """Return the kernel for one-hot grids, under features that have all their rows."""
        first = bundle.ops[0]
        conv = Convolution.take(bundle)
        if conv is None or not bundle.one_hot or not can_look_up(first):
            return None
        # The rows of a one-hot grid have become the values of its indices.
        columns = Maps(1, 1, first.input.columns, 1, left=conv.source.left, right=conv.source.right)
        changed = {"sources": (columns,), "kernel_size": (1, conv.kernel_size[1])}
        return cls(**settings_of(conv) | changed, symbols=first.input.rows)

    def widest(self, registers: int) -> int:
        """Return as many as fit, so that an index is read once for all of them."""
        return max(1, (24 if registers >= 32 else 12) // (self.window[0] * self.window[1]))

    @property
    def table(self) -> int:
        """Floats of one tap's numbers, for all indices and filters."""
        return self.packed_channels * self.target.padded

    @property
    def feature_channels(self) -> int:
        """The symbols: a feature has a number for each."""
        return self.symbols

    @property
    def packed_channels(self) -> int:
        """The symbols, and one for a column without any."""
        return self.symbols + 1

    @property
    def gradient_way(self) -> str:
        """How the gradient of the features is computed."""
        return "indexed: the gradient at a position is added at the indices under it"

    def emit_pack(self, module: Module, name: str) -> None:
        """Emit `name(features, packed, first symbol, end symbol)`."""
        with module.function(name, *[PTR] * 2, *[INT] * 2) as (code, arguments):
            features, packed, start, stop = arguments
            # The numbers of the index `symbols` are never written: they stay 0.
            with (
                code.loop(stop, start=start) as symbol,
                code.loop(len(self.taps)) as tap,
                code.loop(self.filters) as each,
            ):
                here = each * self.feature_size + (symbol * len(self.taps) + tap)
                there = tap * self.table + symbol * self.target.padded + each
                code.store(code.load(features, here), packed, there)

    def emit_forward(self, site: Site) -> None:
        """Emit a function of indices, and else as that of `Convolution.emit_forward`.

        Weights lie as (taps, indices, filters).
        """
        module = site.module
        with module.function(site.name("forward"), *[PTR] * 5, *[INT] * 4) as (code, arguments):
            tile = _Tile(module, code, self, winners=site.training)
            emit_rows(code, self, arguments, tile)

    def emit_backward(self, site: Site) -> None:
        """Emit `back(indices, map, winners, map's gradient, weights' gradient, bias's gradient)`.

        The gradients are added to; that of the weights lies as (taps, indices, filters). Indices
        have no gradient.
        """
        with site.module.function(site.name("back"), *[PTR] * 6) as (code, values):
            indices, out, winners, flow, by_weights, by_bias = values
            gradients = MapGradients(code, self, out, winners, flow)
            for rows, columns, window in windows_of(self):
                with (
                    code.loop(rows[1], start=rows[0]) as row,
                    code.loop(columns[1], start=columns[0]) as column,
                    code.loop(self.target.padded, step=self.lanes) as first,
                ):
                    target = code.at(by_weights, first)
                    for down, right, cell in places_of(window):
                        gradient = gradients.at(row, column, first, cell)
                        place = self.origin(
                            row * self.window_stride[0] + down,
                            column * self.window_stride[1] + right,
                        )
                        self._add_gradient(code, code.at(indices, place, WORD), target, gradient)
            if self.bias:
                gradients.add_up(by_bias)

    def _add_gradient(self, code: Code, cells: Value, target: Value, gradient: Value) -> None:
        """Add the gradient at a position at the indices under it."""
        # No sums stay in registers: only the indices say which numbers are added to. The index
        # `symbols` has numbers too, which `reduce` leaves out: that is cheaper than a test for it.
        with code.loop(len(self.taps)) as tap:
            index = code.load(cells, tap * self.reach(0, 1), kind=WORD)
            place = code.cast("zext", index, INT) * self.target.padded
            there = code.at(target, tap * self.table + place)
            before = code.load(there, kind=gradient.kind)
            code.store(code.arithmetic("fadd", before, gradient), there)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        won = frame.at(Area.ITEM, "winners")
        by_weights = frame.at(Area.SUMS, "gradient of the features")
        by_bias = frame.at(Area.SUMS, "gradient of the bias")
        ends = *maps.sources, maps.target, won, gradients.target
        frame.code.run(frame.site.name("back"), *ends, by_weights, by_bias)


class _Tile(Tile):
    conv: Lookup

    def chunks(
        self, weights: Value, start: Value, stop: Value
    ) -> Iterator[tuple[Chunk, Value, Value]]:
        """Go over the chunks; filters are next to each other."""
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
        # Tap after tap: the numbers of a tap are read for all positions before those of the next
        # one.
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
