"""Merges: maps are added cell by cell, or the maps of several grids are put into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from gridcnn.engines.native.emitter import PTR, vector
from gridcnn.engines.native.kernels.base import (
    NO_GRADIENT,
    Bundle,
    Description,
    Ends,
    Frame,
    MapsKernel,
    Site,
    Step,
    describe_maps,
    maps_facts,
)
from gridcnn.engines.native.kernels.rectifying import is_rectified, positive_part, rectifies
from gridcnn.engines.native.kernels.walking import cells_of
from gridcnn.engines.native.layout import Maps, lanes_for
from gridcnn.engines.native.processor import Processor
from gridcnn.network import Op
from gridcnn.stages.merging import Join as JoinStage
from gridcnn.stages.merging import Sum as SumStage


@dataclass(frozen=True)
class Sum(MapsKernel):
    """Cells of several grids of one size are added, and rectified if that follows."""

    stage = SumStage

    rectified: bool

    @classmethod
    def joins(cls, ops: Sequence[Op], op: Op, processor: Processor, *, answers: bool) -> bool:
        """Return whether a rectification is computed with the sum."""
        return rectifies(op) and len(ops) == 1

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a sum with what follows it."""
        lanes = {maps.lanes for maps in bundle.sources}
        shape = bundle.ops[0].output
        own = lanes.pop() if len(lanes) == 1 else lanes_for(shape.channels, bundle.processor)
        kernel = cls(bundle.sources, Maps(*shape.sizes, own), rectified=is_rectified(bundle.ops))
        # What only fills a vector is written with whole vectors alone.
        return replace(kernel, adds=kernel.width < own)

    @property
    def width(self) -> int:
        """Floats that are added at a time: a vector, if all maps lie in vectors of one width."""
        alike = all(maps.lanes == self.target.lanes for maps in self.sources)
        return self.target.lanes if alike else 1

    @property
    def floats(self) -> int:
        """Floats of a cell that are added: with whole vectors, also what only fills them."""
        return self.target.padded if self.width == self.target.lanes else self.target.channels

    def emit_forward(self, site: Site) -> None:
        """Emit `forward(grid, ..., map)`."""
        kind = vector(self.width)
        pointers = [PTR] * (len(self.sources) + 1)
        with site.module.function(site.name("forward"), *pointers) as (code, (*grids, out)):
            for row, column in cells_of(code, self.target):
                with code.loop(self.floats, step=self.width) as channel:
                    total = None
                    for maps, grid in zip(self.sources, grids, strict=True):
                        value = code.load(grid, maps.place(row, column, channel), kind=kind)
                        total = value if total is None else code.arithmetic("fadd", total, value)
                    assert total is not None
                    total = code.rectify(total) if self.rectified else total
                    code.store(total, out, self.target.place(row, column, channel))

    def emit_backward(self, site: Site) -> None:
        """Emit `back(map, map's gradient, grid's gradient, ...)`."""
        kind = vector(self.width)
        pointers = [PTR] * (len(self.sources) + 2)
        with site.module.function(site.name("back"), *pointers) as (code, (out, flow, *grids)):
            for row, column in cells_of(code, self.target):
                with code.loop(self.floats, step=self.width) as channel:
                    place = self.target.place(row, column, channel)
                    if self.rectified:
                        share = positive_part(code, out, flow, place, self.width)
                    else:
                        share = code.load(flow, place, kind=kind)
                    for maps, grid in zip(self.sources, grids, strict=True):
                        here, total = maps.place(row, column, channel), share
                        if self.adds:
                            before = code.load(grid, here, kind=kind)
                            total = code.arithmetic("fadd", before, share)
                        code.store(total, grid, here)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        ends = maps.target, gradients.target, *gradients.sources
        frame.code.run(frame.site.name("back"), *ends)

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "to all that were added" if step.passes_on else NO_GRADIENT
        notes = (describe_maps(self.target), f"gradient of the grids, {way}")
        facts = {**maps_facts(self.target), "rectified": self.rectified}
        return Description("sum", notes, facts)


@dataclass(frozen=True)
class Join(MapsKernel):
    """Joins the maps of several grids in one."""

    stage = JoinStage

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a join."""
        shape = bundle.ops[0].output
        return cls(bundle.sources, Maps(*shape.sizes, lanes_for(shape.channels, bundle.processor)))

    @property
    def _firsts(self) -> list[int]:
        """The channel of the target at which each source begins."""
        return [sum(m.channels for m in self.sources[:n]) for n in range(len(self.sources))]

    def emit_forward(self, site: Site) -> None:
        """Emit `forward(grid, ..., map)`."""
        lanes = self.target.lanes
        pointers = [PTR] * (len(self.sources) + 1)
        with site.module.function(site.name("forward"), *pointers) as (code, (*grids, out)):
            for maps, grid, first in zip(self.sources, grids, self._firsts, strict=True):
                for row, column in cells_of(code, self.target):
                    here, there = maps.place(row, column), self.target.place(row, column, first)
                    for channel, count in code.pieces(maps.channels, lanes):
                        value = code.load_part(grid, here + channel, lanes, count)
                        # Without what only fills a vector: there other maps stand, or a border.
                        code.store_part(value, out, there + channel, count)

    def emit_backward(self, site: Site) -> None:
        """Emit `back(map's gradient, grid's gradient, ...)`; the last ones are added to."""
        lanes = self.target.lanes
        pointers = [PTR] * (len(self.sources) + 1)
        with site.module.function(site.name("back"), *pointers) as (code, (flow, *grids)):
            for maps, grid, first in zip(self.sources, grids, self._firsts, strict=True):
                for row, column in cells_of(code, self.target):
                    here, there = maps.place(row, column), self.target.place(row, column, first)
                    for channel, count in code.pieces(maps.channels, lanes):
                        share = code.load_part(flow, there + channel, lanes, count)
                        before = code.load_part(grid, here + channel, lanes, count)
                        total = code.arithmetic("fadd", before, share)
                        code.store_part(total, grid, here + channel, count)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        frame.code.run(frame.site.name("back"), gradients.target, *gradients.sources)

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "to each its own maps" if step.passes_on else NO_GRADIENT
        notes = (describe_maps(self.target), f"gradient of the grids, {way}")
        return Description("join", notes, maps_facts(self.target))
