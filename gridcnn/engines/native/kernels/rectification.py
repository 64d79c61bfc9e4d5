"""Rectification on its own, if it is not part of the convolution before it."""

from __future__ import annotations

from dataclasses import dataclass, field
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
from gridcnn.engines.native.kernels.rectifying import positive_part, rectifies
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.network import Op
from gridcnn.stages.rectification import Rectification as RectificationStage


@dataclass(frozen=True)
class Rectification(MapsKernel):
    """Negative cells become 0."""

    stage = RectificationStage
    adds: bool = field(default=False, kw_only=True)

    @classmethod
    def computes(cls, op: Op) -> bool:
        """Return whether an operation is a rectification without a leak."""
        return rectifies(op)

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a rectification."""
        (source,), op = bundle.sources, bundle.ops[-1]
        return cls((source,), Maps(*op.output.sizes, source.lanes))

    def emit_forward(self, site: Site) -> None:
        """Emit `forward(grid, map)`."""
        source, target = self.source, self.target
        with site.module.function(site.name("forward"), PTR, PTR) as (code, (grid, out)):
            with code.loop(target.rows) as row, code.loop(target.columns) as column:
                with code.loop(target.padded, step=target.lanes) as channel:
                    here = source.place(row, column, channel)
                    value = code.load(grid, here, kind=vector(target.lanes))
                    code.store(code.rectify(value), out, target.place(row, column, channel))

    def emit_backward(self, site: Site) -> None:
        """Emit `back(map, map's gradient, grid's gradient)`: passed on where a cell is above 0."""
        source, target = self.source, self.target
        kind = vector(target.lanes)
        with site.module.function(site.name("back"), *[PTR] * 3) as (code, (out, flow, by_grid)):
            with code.loop(target.rows) as row, code.loop(target.columns) as column:
                with code.loop(target.padded, step=target.lanes) as channel:
                    place = target.place(row, column, channel)
                    share = positive_part(code, out, flow, place, target.lanes)
                    here = source.place(row, column, channel)
                    # Every cell is written, so that the gradient need not be 0 before, unless
                    # other kernels read the grid as well.
                    if self.adds:
                        share = code.arithmetic("fadd", code.load(by_grid, here, kind=kind), share)
                    code.store(share, by_grid, here)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        ends = maps.target, gradients.target, *gradients.sources
        frame.code.run(frame.site.name("back"), *ends)

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "where the map is above 0" if step.passes_on else NO_GRADIENT
        notes = (describe_maps(self.target), f"gradient of the grid, {way}")
        return Description("rectification", notes, maps_facts(self.target))
