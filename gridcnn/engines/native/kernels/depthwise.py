"""Depthwise convolution: each map has a feature of its own, with the rectification that follows.

Vectors lie along the maps, so that each cell of a feature is a vector of numbers, one for each map:

    sum of a position   +=  cells of the grid under one tap  *  numbers of that tap     for each tap

There is little arithmetic for each cell that is read, so that nothing is kept in registers but the
sum, and on the way back a few sums of taps.
"""

from __future__ import annotations

from collections.abc import Sequence
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

_TAPS = 8
"""Taps whose gradients are summed at a time: as many sums stay in registers everywhere."""


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
            with code.loop(target.padded, step=target.lanes) as channel:
                start = code.load(bias, channel, kind=kind)
                numbers = code.at(features, channel)
                with code.loop(target.rows) as row, code.loop(target.columns) as column:
                    patch = code.at(grid, self._origin(row, column, channel))
                    total = start
                    for number, tap in enumerate(self._taps):
                        cells = code.load(patch, self._reach(tap), kind=kind)
                        by = code.load(numbers, number * target.padded, kind=kind)
                        total = code.multiply_add(cells, by, total)
                    total = code.rectify(total) if self.rectified else total
                    code.store(total, out, target.place(row, column, channel))

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
        target, kind = self.target, vector(self.target.lanes)
        with site.module.function(site.name("by_features"), *[PTR] * 5) as (code, arguments):
            grid, out, flow, sums, bias = arguments
            taps = list(enumerate(self._taps))
            with code.loop(target.padded, step=target.lanes) as channel:
                for first in range(0, len(taps), _TAPS):
                    part = taps[first : first + _TAPS]
                    with code.loop(target.rows) as row:
                        zero = code.constant(0, target.lanes)
                        totals = [code.variable(zero) for _ in part]
                        whole = code.variable(zero)
                        with code.loop(target.columns) as column:
                            share = self._share(code, out, flow, row, column, channel)
                            whole.set(code.arithmetic("fadd", whole.get(), share))
                            patch = code.at(grid, self._origin(row, column, channel))
                            for (_, tap), total in zip(part, totals, strict=True):
                                cells = code.load(patch, self._reach(tap), kind=kind)
                                total.set(code.multiply_add(cells, share, total.get()))
                        for (number, _), total in zip(part, totals, strict=True):
                            place = channel + number * target.padded
                            before = code.load(sums, place, kind=kind)
                            code.store(code.arithmetic("fadd", before, total.get()), sums, place)
                        if not first:
                            before = code.load(bias, channel, kind=kind)
                            code.store(code.arithmetic("fadd", before, whole.get()), bias, channel)

    def _emit_by_grid(self, site: Site) -> None:
        target, kind = self.target, vector(self.target.lanes)
        with site.module.function(site.name("by_grid"), *[PTR] * 4) as (code, arguments):
            out, flow, features, by_grid = arguments
            with code.loop(target.padded, step=target.lanes) as channel:
                numbers = code.at(features, channel)
                with code.loop(target.rows) as row, code.loop(target.columns) as column:
                    share = self._share(code, out, flow, row, column, channel)
                    patch = code.at(by_grid, self._origin(row, column, channel))
                    for number, tap in enumerate(self._taps):
                        by = code.load(numbers, number * target.padded, kind=kind)
                        before = code.load(patch, self._reach(tap), kind=kind)
                        code.store(code.multiply_add(by, share, before), patch, self._reach(tap))

    def _share(
        self, code: Code, out: Value, flow: Value, row: Number, column: Number, channel: Value
    ) -> Value:
        """Emit the gradient by what was summed; 0 where that was rectified."""
        lanes, place = self.target.lanes, self.target.place(row, column, channel)
        if self.rectified:
            return positive_part(code, out, flow, place, lanes)
        return code.load(flow, place, kind=vector(lanes))

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
