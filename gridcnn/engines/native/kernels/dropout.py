"""Dropout between stages: in training, cells or whole maps are multiplied by 0 or by a factor.

The random numbers are drawn outside, in the order of all engines. When an item enters, its factors
are packed as the maps lie, and both passes multiply by them. Answers leave nothing out: there the
stage is computed with the one before it, by doing nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from gridcnn.engines.native.emitter import INT, PTR, Number, Value, vector
from gridcnn.engines.native.kernels import cells
from gridcnn.engines.native.kernels.base import (
    NO_GRADIENT,
    Area,
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
from gridcnn.engines.native.kernels.walking import cells_of
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Argument
from gridcnn.stages.dropout import Dropout as DropoutStage


@dataclass(frozen=True)
class Dropout(MapsKernel):
    """Cells or maps are left out in training."""

    stage = DropoutStage

    of_maps: bool

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a dropout."""
        (source,), op = bundle.sources, bundle.ops[0]
        assert isinstance(op.stage, DropoutStage)
        target = Maps(*op.output.sizes, source.lanes)
        return cls((source,), target, of_maps=op.stage.of == "maps")

    @property
    def factors(self) -> int:
        """The factors of one item: one for each cell, or for each map."""
        maps = self.target
        return maps.channels if self.of_maps else maps.channels * maps.rows * maps.columns

    @property
    def _laid(self) -> Maps:
        """How the factors lie: as the maps, or as a single cell of them."""
        maps = self.target
        sizes = (1, 1) if self.of_maps else (maps.rows, maps.columns)
        return Maps(maps.channels, *sizes, maps.lanes)

    def lay_out(self, site: Site) -> None:
        """Take memory for the factors of an item."""
        site.take(Area.ITEM, "factors", self._laid.size, when=site.training)

    def emit_forward(self, site: Site) -> None:
        """Emit `forward(grid, map, factors)`, and what `_emit_enter` describes in training."""
        source, target, kind = self.source, self.target, vector(self.target.lanes)
        if site.training:
            self._emit_enter(site)
        with site.module.function(site.name("forward"), *[PTR] * 3) as (code, arguments):
            grid, out, factors = arguments
            with cells_of(code, target) as (row, column):
                with code.loop(target.padded, step=target.lanes) as channel:
                    value = code.load(grid, source.place(row, column, channel), kind=kind)
                    if site.training:
                        by = code.load(factors, self._factor(row, column, channel), kind=kind)
                        value = code.arithmetic("fmul", value, by)
                    code.store(value, out, target.place(row, column, channel))

    def _factor(self, row: Number, column: Number, channel: Number) -> Number:
        return channel if self.of_maps else self._laid.place(row, column, channel)

    def _emit_enter(self, site: Site) -> None:
        """Emit `enter(factors as drawn or 0, factors)`; without any, all are 1."""
        cells.pack(site.module, site.name("pack_factors"), self._laid)
        with site.module.function(site.name("enter"), PTR, PTR) as (code, (drawn, factors)):
            is_none = code.test("eq", code.cast("ptrtoint", drawn, INT), 0)
            is_there = code.test("ne", code.cast("ptrtoint", drawn, INT), 0)
            with code.when(is_none):
                with code.loop(self._laid.size) as place:
                    code.store(code.constant(1), factors, place)
            with code.when(is_there):
                code.run(site.name("pack_factors"), drawn, factors)

    def run_enter(self, frame: Frame, item: Value) -> None:
        """Emit the call that packs the factors of an item."""
        place = frame.arguments.number(Argument.ITEMS) * frame.site.factors_start
        drawn = frame.arguments.optional_address(
            Argument.STAGE_FACTORS, place + item * self.factors
        )
        frame.code.run(frame.site.name("enter"), drawn, frame.at(Area.ITEM, "factors"))

    def run_forward(
        self,
        frame: Frame,
        maps: Ends,
        part: tuple[Number, Number] | None = None,
    ) -> None:
        """Emit the call for one item."""
        training = frame.site.training
        factors = frame.at(Area.ITEM, "factors") if training else maps.target
        frame.code.run(frame.site.name("forward"), *maps.sources, maps.target, factors)

    def emit_backward(self, site: Site) -> None:
        """Emit `back(map's gradient, grid's gradient, factors)`; the second is added to."""
        source, target, kind = self.source, self.target, vector(self.target.lanes)
        with site.module.function(site.name("back"), *[PTR] * 3) as (code, arguments):
            flow, by_grid, factors = arguments
            with cells_of(code, target) as (row, column):
                with code.loop(target.padded, step=target.lanes) as channel:
                    share = code.load(flow, target.place(row, column, channel), kind=kind)
                    by = code.load(factors, self._factor(row, column, channel), kind=kind)
                    here = source.place(row, column, channel)
                    before = code.load(by_grid, here, kind=kind)
                    code.store(code.multiply_add(share, by, before), by_grid, here)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        ends = gradients.target, *gradients.sources, frame.at(Area.ITEM, "factors")
        frame.code.run(frame.site.name("back"), *ends)

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "where nothing was left out" if step.passes_on else NO_GRADIENT
        notes = (describe_maps(self.target), "in training alone", f"gradient of the grid, {way}")
        return Description("dropout", notes, maps_facts(self.target))
