"""Depthwise convolution: each map has a feature of its own, with the rectification that follows.

Vectors lie along the maps, so that each cell of a feature is a vector of numbers, one for each map:

    sum of a position   +=  cells of the grid under one tap  *  numbers of that tap     for each tap

There is little arithmetic for each cell that is read, so that reading decides how fast it goes.
Several positions of a row are done together: a cell is read once for all features that lie on it,
and a row of a feature once for all positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from gridcnn.engines.native.emitter import PTR, Code, Number, Value, vector
from gridcnn.engines.native.kernels import folding, packing
from gridcnn.engines.native.kernels.base import (
    NO_GRADIENT,
    Area,
    Bundle,
    Description,
    Ends,
    Frame,
    Job,
    MapsKernel,
    Site,
    Step,
    describe_maps,
    maps_facts,
    store_sums,
)
from gridcnn.engines.native.kernels.rectifying import is_rectified, positive_part, rectifies
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.network import Op
from gridcnn.stages.convolution import Convolution as ConvolutionStage

_POSITIONS = 8
"""Positions that are done together at most: more sums than these need not wait for each other."""
_POSITIONS_OF_SUMS = 4
"""The same where the sums are those of a feature's taps."""
_UNROLLED = 512
"""Multiply-adds that are written out for the positions that are done together, at most."""


@dataclass(frozen=True)
class Depthwise(MapsKernel):
    """Each map is convolved with its own feature."""

    stage = ConvolutionStage

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    bias: bool
    rectified: bool
    divisor: float
    epsilon: float | None = None

    @classmethod
    def computes(cls, op: Op) -> bool:
        """Return whether an operation is a convolution with one filter for each channel."""
        if not super().computes(op):
            return False
        assert isinstance(op.stage, ConvolutionStage)
        channels = op.input.channels
        return 1 < op.stage.group_count(channels) == channels == op.output.channels

    @classmethod
    def joins(cls, ops: Sequence[Op], op: Op, processor: Processor, *, answers: bool) -> bool:
        """Return whether a rectification or a normalization is computed with the convolution."""
        if folding.joins(ops, op, answers=answers):
            return True
        return rectifies(op) and not is_rectified(ops)

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a depthwise convolution with what follows it."""
        (bare,), first, stage = bundle.sources, bundle.ops[0], bundle.ops[0].stage
        assert isinstance(stage, ConvolutionStage)
        kernel = stage.kernel(first.input)
        (above, below), (left, right) = stage.borders(first.input)
        epsilon = folding.epsilon_of(bundle.ops)
        return cls(
            sources=(replace(bare, above=above, below=below, left=left, right=right),),
            target=Maps(*first.output.sizes, bare.lanes),
            kernel=kernel,
            stride=stage.stride,
            dilation=stage.dilation,
            bias=stage.bias or epsilon is not None,
            rectified=is_rectified(bundle.ops),
            divisor=float(kernel[0] * kernel[1]) if stage.scale == "match" else 1.0,
            epsilon=epsilon,
        )

    @property
    def _taps(self) -> list[tuple[int, int]]:
        return [(row, column) for row in range(self.kernel[0]) for column in range(self.kernel[1])]

    def _together(self, processor: Processor) -> int:
        """Return how many positions of a row are done together."""
        most = max(1, min(_positions(processor), _UNROLLED // len(self._taps)))
        rounds = -(-self.target.columns // most)
        return -(-self.target.columns // rounds)

    def _pieces_of_feature(self, processor: Processor) -> list[list[tuple[int, int]]]:
        """Return the taps, row by row, in pieces whose numbers stay in registers.

        Beside them there are a sum for each position, a cell, and what is on its way.
        """
        width = self.kernel[1]
        most = -(-width // -(-width // (processor.registers - _positions(processor) - 2)))
        rows = [self._taps[start : start + width] for start in range(0, len(self._taps), width)]
        return [row[start : start + most] for row in rows for start in range(0, width, most)]

    def _cells(
        self, taps: Sequence[tuple[int, int]], positions: int
    ) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Go over the cells that some taps of the features of neighbouring positions lie on.

        Yield how far each is from the first position's first cell, in floats, and what lies on it:
        the position, and the number of the tap. Positions ascend.
        """
        found: dict[int, list[tuple[int, int]]] = {}
        for position in range(positions):
            start = position * self.stride[1] * self.source.padded
            for number, tap in enumerate(taps):
                found.setdefault(start + self._reach(tap), []).append((position, number))
        yield from found.items()

    def _blocks(self, code: Code) -> Iterator[tuple[Value, Number, int, Value]]:
        """Go over the positions that are done together, and over their vectors of channels.

        Yield row, first column, number of positions, and first channel. The same code has to be
        written for each that is yielded.
        """
        # The channels of a cell are neighbours in memory, which the innermost loop follows. Along
        # the positions, cells of many channels would fall into few sets of the cache.
        with code.loop(self.target.rows) as row:
            together = self._together(code.module.processor)
            for column, count in code.pieces(self.target.columns, together):
                with code.loop(self.target.padded, step=self.target.lanes) as channel:
                    yield row, column, count, channel

    def _numbers(
        self, code: Code, features: Value, taps: Sequence[tuple[int, int]], channel: Value
    ) -> list[Value]:
        """Emit the loads of some taps' numbers, for a vector of channels."""
        target, width = self.target, self.kernel[1]
        places = [(row * width + column) * target.padded for row, column in taps]
        return [code.load(features, place + channel, kind=vector(target.lanes)) for place in places]

    @property
    def reads_result(self) -> bool:
        """Whether the way back reads the maps: they say which cells were rectified."""
        return self.rectified

    # Memory and packing

    def lay_out(self, site: Site) -> None:
        """Take memory for features and bias, and in training for their sums."""
        size, maps = len(self._taps) * self.target.padded, self.target.padded
        site.take(Area.PACKED, "features", size)
        site.take(Area.PACKED, "bias", maps)
        if self.epsilon is not None:
            folding.lay_out(site, self.target.channels, len(self._taps))
        if site.training:
            site.take(Area.SUMS, "gradient of the features", size, when=site.step.learns)
            site.take(Area.SUMS, "gradient of the bias", maps, when=site.step.learns)

    def fold(self, site: Site) -> list[Job]:
        """Return the job that folds a normalization into features and bias, if there is one."""
        if self.epsilon is None:
            return []
        return [folding.fold(site, self.target.channels, len(self._taps), self.epsilon)]

    def pack(self, site: Site) -> list[Job]:
        """Return the job that brings the features into the order (taps, maps)."""
        if site.emits:
            self._emit_pack(site)

        def emit(frame: Frame, number: Value) -> None:  # noqa: ARG001
            packed, folded = frame.at(Area.PACKED, "features"), self.epsilon is not None
            features = (
                frame.at(Area.PACKED, "folded features") if folded else frame.parameter("weights")
            )
            frame.code.run(site.name("pack"), features, packed)
            if self.bias and not folded:
                packed = frame.at(Area.PACKED, "bias")
                frame.code.copy(packed, frame.parameter("bias"), self.target.channels)

        return [Job(1, emit)]

    def _emit_pack(self, site: Site) -> None:
        """Emit `pack(features, packed)`."""
        taps = len(self._taps)
        with site.module.function(site.name("pack"), PTR, PTR) as (code, (features, packed)):
            with code.loop(taps) as tap, code.loop(self.target.channels) as channel:
                value = code.load(features, channel * taps + tap)
                if self.divisor != 1:
                    value = code.arithmetic("fmul", value, code.constant(1 / self.divisor))
                code.store(value, packed, tap * self.target.padded + channel)

    # Forward

    def _origin(self, row: Number, column: Number, channel: Value) -> Number:
        """Return where the first cell of a position's patch stands in the grid, in floats."""
        down = row * (self.stride[0] * self.source.step)
        return down + column * (self.stride[1] * self.source.padded) + channel

    def _reach(self, tap: tuple[int, int]) -> int:
        """Return how far a tap lies from a position's first cell, in floats."""
        down, across = tap[0] * self.dilation[0], tap[1] * self.dilation[1]
        return down * self.source.step + across * self.source.padded

    def emit_forward(self, site: Site) -> None:
        """Emit `forward(grid, features, bias, map)`."""
        target, kind = self.target, vector(self.target.lanes)
        with site.module.function(site.name("forward"), *[PTR] * 4) as (code, arguments):
            grid, features, bias, out = arguments
            for row, column, count, channel in self._blocks(code):
                patch = code.at(grid, self._origin(row, column, channel))
                totals = [code.load(bias, channel, kind=kind)] * count
                for taps in self._pieces_of_feature(code.module.processor):
                    numbers = self._numbers(code, features, taps, channel)
                    for reach, lying in self._cells(taps, count):
                        cells = code.load(patch, reach, kind=kind)
                        for position, tap in lying:
                            total = totals[position]
                            totals[position] = code.multiply_add(cells, numbers[tap], total)
                for position, total in enumerate(totals):
                    here = target.place(row, column + position, channel)
                    code.store(code.rectify(total) if self.rectified else total, out, here)

    def run_forward(
        self,
        frame: Frame,
        maps: Ends,
        part: tuple[Number, Number] | None = None,
    ) -> None:
        """Emit the call for one item."""
        packed = frame.at(Area.PACKED, "features"), frame.at(Area.PACKED, "bias")
        frame.code.run(frame.site.name("forward"), *maps.sources, *packed, maps.target)

    # Backward

    def emit_backward(self, site: Site) -> None:
        """Emit `by_features(grid, map, map's gradient, features' sums, bias's sums)` and `by_grid`.

        The second is `by_grid(map, map's gradient, features, grid's gradient)`.
        """
        if site.step.learns:
            self._emit_by_features(site)
        if site.step.passes_on:
            self._emit_by_grid(site)

    def _emit_by_features(self, site: Site) -> None:
        target, kind, taps = self.target, vector(self.target.lanes), self._taps
        # Registers hold a sum for each of some taps and one for the bias, the gradients of a few
        # positions, and a cell.
        most = site.registers - _POSITIONS_OF_SUMS - 2
        most = -(-len(taps) // -(-len(taps) // most))
        with site.module.function(site.name("by_features"), *[PTR] * 5) as (code, arguments):
            grid, out, flow, sums, bias = arguments
            zero = code.constant(0, target.lanes)
            with (
                code.loop(target.rows) as row,
                code.loop(target.padded, step=target.lanes) as channel,
            ):
                for first in range(0, len(taps), most):
                    part = taps[first : first + most]
                    totals, whole = [code.variable(zero) for _ in part], code.variable(zero)
                    for column, count in code.pieces(target.columns, _POSITIONS_OF_SUMS):
                        shares = self._shares(code, out, flow, (row, column, channel), count)
                        for share in shares:
                            whole.set(code.arithmetic("fadd", whole.get(), share))
                        patch = code.at(grid, self._origin(row, column, channel))
                        for reach, lying in self._cells(part, count):
                            cells = code.load(patch, reach, kind=kind)
                            for position, tap in lying:
                                total = totals[tap]
                                total.set(code.multiply_add(cells, shares[position], total.get()))
                    ends = [(sums, (first + number) * target.padded) for number in range(len(part))]
                    if not first:
                        ends, totals = [*ends, (bias, 0)], [*totals, whole]
                    for (base, start), total in zip(ends, totals, strict=True):
                        before = code.load(base, start + channel, kind=kind)
                        after = code.arithmetic("fadd", before, total.get())
                        code.store(after, base, start + channel)

    def _emit_by_grid(self, site: Site) -> None:
        kind = vector(self.target.lanes)
        with site.module.function(site.name("by_grid"), *[PTR] * 4) as (code, arguments):
            out, flow, features, by_grid = arguments
            for row, column, count, channel in self._blocks(code):
                shares = self._shares(code, out, flow, (row, column, channel), count)
                patch = code.at(by_grid, self._origin(row, column, channel))
                for taps in self._pieces_of_feature(code.module.processor):
                    numbers = self._numbers(code, features, taps, channel)
                    for reach, lying in self._cells(taps, count):
                        total = code.load(patch, reach, kind=kind)
                        for position, tap in lying:
                            total = code.multiply_add(numbers[tap], shares[position], total)
                        code.store(total, patch, reach)

    def _shares(
        self, code: Code, out: Value, flow: Value, first: tuple[Number, Number, Value], count: int
    ) -> list[Value]:
        """Emit the gradients by what was summed at some positions; 0 where that was rectified."""
        (row, column, channel), lanes = first, self.target.lanes
        places = [self.target.place(row, column + each, channel) for each in range(count)]
        if self.rectified:
            return [positive_part(code, out, flow, place, lanes) for place in places]
        return [code.load(flow, place, kind=vector(lanes)) for place in places]

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the calls for one item."""
        code, site, flow = frame.code, frame.site, gradients.target
        if site.step.learns:
            names = ("gradient of the features", "gradient of the bias")
            sums = [frame.at(Area.SUMS, name) for name in names]
            code.run(site.name("by_features"), *maps.sources, maps.target, flow, *sums)
        if site.step.passes_on:
            packed = frame.at(Area.PACKED, "features")
            code.run(site.name("by_grid"), maps.target, flow, packed, *gradients.sources)

    def reduce(self, site: Site) -> list[Job]:
        """Return the jobs that store the gradients of features and bias."""
        if site.emits:
            packing.unpack_rows(
                site.module,
                site.name("unpack"),
                row=self.target.padded,
                turned=True,
                divisor=self.divisor,
            )

        def features(frame: Frame, number: Value) -> None:  # noqa: ARG001
            ends = frame.at(Area.SUMS, "gradient of the features"), frame.gradient("weights")
            sizes = map(frame.code.value, (len(self._taps), self.target.channels))
            frame.code.run(site.name("unpack"), *ends, *sizes)

        bias = store_sums("gradient of the bias", "bias", self.target.channels)
        return [Job(1, features), bias] if self.bias else [Job(1, features)]

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "dense: every cell adds to the cells under its feature"
        notes = (
            describe_maps(self.target),
            f"gradient of the grid, {way if step.passes_on else NO_GRADIENT}",
        )
        facts = {**maps_facts(self.target), "rectified": self.rectified}
        return Description("depthwise convolution", notes, facts)


def _positions(processor: Processor) -> int:
    """Return how many sums of positions are kept at most: half of few registers."""
    return min(_POSITIONS, processor.registers // 2)
