"""Normalization by group or layer: mean and variance are those of some maps of one item.

Everything that an item needs is its own, so that training and answers compute the same. Maps of a
group may end in the middle of a vector: so sums are made for each map, as in `normalization`, and
a short loop over the maps adds up those of a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from gridcnn.engines.native.emitter import PTR, Code, Number, Value, Variable
from gridcnn.engines.native.kernels.base import (
    NO_GRADIENT,
    Area,
    Bundle,
    Description,
    Ends,
    Frame,
    Job,
    Site,
    Step,
    describe_maps,
    maps_facts,
)
from gridcnn.engines.native.kernels.normalization import Scaling
from gridcnn.engines.native.kernels.rectifying import is_rectified
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.network import Op
from gridcnn.stages.normalization import Normalization as NormalizationStage

_SUMS = ("shift", "sum", "squares")
_SETTLED = ("mean", "factor", "inverse")
_GATHERED = ("flow", "weighed")


@dataclass(frozen=True)
class GroupNormalization(Scaling):
    """Groups of maps are scaled to mean 0 and variance 1, and each map by its gain and bias."""

    groups: int

    @classmethod
    def computes(cls, op: Op) -> bool:
        """Return whether an operation is a normalization by group or layer."""
        return type(op.stage) is NormalizationStage and op.stage.kind != "batch"

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a normalization with what follows it."""
        (source,), op = bundle.sources, bundle.ops[0]
        assert isinstance(op.stage, NormalizationStage)
        target = Maps(*op.output.sizes, source.lanes)
        groups = op.stage.group_count(op.input)
        return cls((source,), target, op.stage.epsilon, is_rectified(bundle.ops), groups)

    @property
    def _together(self) -> int:
        """Maps of a group."""
        return self.target.channels // self.groups

    @property
    def _cells(self) -> int:
        """Cells of a group."""
        return self._together * self.target.rows * self.target.columns

    def lay_out(self, site: Site) -> None:
        """Take memory for a few numbers of each map."""
        floats = self.target.padded
        for name in ("gain", "bias"):
            site.take(Area.PACKED, name, floats)
        for name in _SETTLED:
            site.take(Area.ITEM, name, floats)
        for name in (*_SUMS, *_GATHERED) if site.training else _SUMS:
            site.take(Area.WORKSPACE, name, floats)
        if site.training:
            for name in self.summed:
                site.take(Area.SUMS, name, floats)

    def pack(self, site: Site) -> list[Job]:
        """Return the job that packs gain and bias."""

        def emit(frame: Frame, number: Value) -> None:  # noqa: ARG001
            for name in ("gain", "bias"):
                packed = frame.at(Area.PACKED, name)
                frame.code.copy(packed, frame.parameter(name), self.target.channels)

        return [Job(1, emit)]

    # Forward

    def centres(self, site: Site) -> bool:
        """Return that the mean is taken off each cell, in answers as well."""
        return True

    def emit_forward(self, site: Site) -> None:
        """Emit `begin`, `observe`, `settle` and the pass of `Scaling`."""
        super().emit_forward(site)
        self.emit_sums(site)
        self._emit_begin(site)
        self._emit_settle(site)

    def _emit_begin(self, site: Site) -> None:
        """Emit `begin(grid, shift, sum, squares)`: distances are from the first cell of a group."""
        with site.module.function(site.name("begin"), *[PTR] * 4) as (code, arguments):
            grid, shift, total, squares = arguments
            code.zero(total, self.target.padded)
            code.zero(squares, self.target.padded)
            with code.loop(self.groups) as group:
                first = code.load(grid, self.source.place(0, 0, group * self._together))
                with code.loop(self._together) as each:
                    code.store(first, shift, group * self._together + each)

    def _emit_settle(self, site: Site) -> None:
        """Emit `settle(shift, sum, squares, gain, mean, factor, inverse)`."""
        with site.module.function(site.name("settle"), *[PTR] * 7) as (code, arguments):
            shift, total, squares, gain, mean, factor, inverse = arguments
            with code.loop(self.groups) as group:
                first = group * self._together
                distance, square = (
                    code.arithmetic("fdiv", each, code.constant(self._cells))
                    for each in self._sums(code, (total, squares), first)
                )
                variance = code.rectify(
                    code.arithmetic("fsub", square, code.arithmetic("fmul", distance, distance))
                )
                lifted = code.arithmetic("fadd", variance, code.constant(self.epsilon))
                by = code.arithmetic("fdiv", code.constant(1), code.square_root(lifted))
                middle = code.arithmetic("fadd", code.load(shift, first), distance)
                with code.loop(self._together) as each:
                    code.store(middle, mean, first + each)
                    code.store(by, inverse, first + each)
                    scale = code.arithmetic("fmul", by, code.load(gain, first + each))
                    code.store(scale, factor, first + each)

    def _sums(
        self,
        code: Code,
        numbers: tuple[Value, ...],
        first: Number,
        by: Value | None = None,
    ) -> list[Value]:
        """Emit the sums of numbers over the maps of a group, each times a number of its map."""
        totals: list[Variable] = [code.variable(code.constant(0)) for _ in numbers]
        with code.loop(self._together) as each:
            for total, values in zip(totals, numbers, strict=True):
                value = code.load(values, first + each)
                if by is not None:
                    value = code.arithmetic("fmul", value, code.load(by, first + each))
                total.set(code.arithmetic("fadd", total.get(), value))
        return [total.get() for total in totals]

    def run_forward(
        self,
        frame: Frame,
        maps: Ends,
        part: tuple[Number, Number] | None = None,
    ) -> None:
        """Emit the calls for one item."""
        code, site = frame.code, frame.site
        sums = [frame.at(Area.WORKSPACE, name) for name in _SUMS]
        gain, bias = (frame.at(Area.PACKED, name) for name in ("gain", "bias"))
        mean, factor, inverse = (frame.at(Area.ITEM, name) for name in _SETTLED)
        code.run(site.name("begin"), *maps.sources, *sums)
        code.run(site.name("observe"), *maps.sources, *sums)
        code.run(site.name("settle"), *sums, gain, mean, factor, inverse)
        code.run(site.name("forward"), *maps.sources, maps.target, mean, factor, bias)

    # Backward

    def emit_backward(self, site: Site) -> None:
        """Emit `gather` and `back` of `Scaling`, and `settle_back` in between."""
        self.emit_gather(site)
        self.emit_back(site)
        pointers = [PTR] * 6
        with site.module.function(site.name("settle_back"), *pointers) as (code, arguments):
            total, weighed, gain, inverse, by_bias, by_gain = arguments
            with code.loop(self.groups) as group:
                first = group * self._together
                shared = [
                    code.arithmetic("fdiv", each, code.constant(self._cells))
                    for each in self._sums(code, (total, weighed), first, gain)
                ]
                with code.loop(self._together) as each:
                    place = first + each
                    by = code.load(inverse, place)
                    ends = (total, by_bias, shared[0]), (weighed, by_gain, shared[1])
                    for values, gradient, part in ends:
                        before = code.load(gradient, place)
                        value = code.load(values, place)
                        code.store(code.arithmetic("fadd", before, value), gradient, place)
                        code.store(code.arithmetic("fmul", part, by), values, place)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the calls for one item."""
        code, site = frame.code, frame.site
        gathered = [frame.at(Area.WORKSPACE, name) for name in _GATHERED]
        mean, factor, inverse = (frame.at(Area.ITEM, name) for name in _SETTLED)
        sums = [frame.at(Area.SUMS, name) for name in ("bias", "gain")]
        for each in gathered:
            code.zero(each, self.target.padded)
        gain, bias = (frame.at(Area.PACKED, name) for name in ("gain", "bias"))
        ends, numbers = (*maps.sources, gradients.target), (mean, factor, bias, inverse, *gathered)
        code.run(site.name("gather"), *ends, *numbers)
        code.run(site.name("settle_back"), *gathered, gain, inverse, *sums)
        if site.step.passes_on:
            code.run(site.name("back"), *ends, *gradients.sources, *numbers)

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "through mean and variance of a group" if step.passes_on else NO_GRADIENT
        taken = "all" if self.groups == 1 else f"{self.groups} groups of"
        notes = (
            describe_maps(self.target),
            f"mean and variance of {taken} maps of each item",
            f"gradient of the grid, {way}",
        )
        facts = {**maps_facts(self.target), "rectified": self.rectified, "groups": self.groups}
        return Description("normalization by groups", notes, facts)
