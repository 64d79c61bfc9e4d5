"""Pooling on its own: any window, any stride, windows that overlap or that the edge cuts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from gridcnn.engines.native.emitter import FLOAT, PTR, Code, Number, Value, vector
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
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.stages.pooling import Pooling as PoolingStage


@dataclass(frozen=True)
class Pooling(MapsKernel):
    """The largest cell of each window, or the mean of its cells."""

    stage = PoolingStage

    window: tuple[int, int]
    stride: tuple[int, int]
    mean: bool

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a pooling."""
        (source,), op = bundle.sources, bundle.ops[-1]
        assert isinstance(op.stage, PoolingStage)
        window, stride = op.stage.sizes(op.input)
        target = Maps(*op.output.sizes, source.lanes)
        return cls((source,), target, window, stride, op.stage.mode == "mean")

    def emit_forward(self, site: Site) -> None:
        """Emit `forward(grid, map)`."""
        lanes, kind = self.target.lanes, vector(self.target.lanes)
        with site.module.function(site.name("forward"), PTR, PTR) as (code, (grid, out)):
            with _windows(code, self) as window:
                start = code.constant(0 if self.mean else float("-inf"), lanes)
                total = code.variable(start)
                with _cells(code, self, window) as cell:
                    value = code.load(grid, cell, kind=kind)
                    if self.mean:
                        total.set(code.arithmetic("fadd", total.get(), value))
                    else:
                        total.set(code.larger(total.get(), value))
                result = total.get()
                if self.mean:
                    result = code.arithmetic("fdiv", result, window.count)
                code.store(result, out, window.target)

    def emit_backward(self, site: Site) -> None:
        """Emit `back(grid, map, map's gradient, grid's gradient)`."""
        lanes, kind = self.target.lanes, vector(self.target.lanes)
        with site.module.function(site.name("back"), *[PTR] * 4) as (code, arguments):
            grid, out, flow, by_grid = arguments
            zero = code.constant(0, lanes)
            with _windows(code, self) as window:
                share = code.load(flow, window.target, kind=kind)
                if self.mean:
                    share = code.arithmetic("fdiv", share, window.count)
                best = code.load(out, window.target, kind=kind)
                # The gradient goes to the first of equal cells, as in every engine: it is what no
                # cell has got yet, and 0 once one has.
                left = code.variable(share)
                with _cells(code, self, window) as cell:
                    got = left.get()
                    if not self.mean:
                        won = code.compare("oeq", code.load(grid, cell, kind=kind), best)
                        left.set(code.select(won, zero, got))
                        got = code.select(won, got, zero)
                    # Added, since windows may overlap.
                    before = code.load(by_grid, cell, kind=kind)
                    code.store(code.arithmetic("fadd", before, got), by_grid, cell)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        ends = *maps.sources, maps.target, gradients.target, *gradients.sources
        frame.code.run(frame.site.name("back"), *ends)

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "in equal parts" if self.mean else "to the first of the largest cells"
        gradient = f"gradient of the grid, {way if step.passes_on else NO_GRADIENT}"
        return Description(
            "pooling", (describe_maps(self.target), gradient), maps_facts(self.target)
        )


@dataclass(frozen=True)
class _Window:
    """One window at work: where it is, and how many cells it has."""

    target: Number
    channel: Value
    rows: tuple[Value, Number]
    columns: tuple[Value, Number]
    count: Value


@contextmanager
def _windows(code: Code, pooling: Pooling) -> Iterator[_Window]:
    """Go over all windows, a vector of channels at a time."""
    source, target = pooling.source, pooling.target
    with code.loop(target.rows) as row, code.loop(target.columns) as column:
        top, left = row * pooling.stride[0], column * pooling.stride[1]
        # Windows are cut where the code runs, not where it is made: any window has the same code.
        bottom = code.least(top + pooling.window[0], source.rows)
        right = code.least(left + pooling.window[1], source.columns)
        count = (code.value(bottom) - top) * (code.value(right) - left)
        with code.loop(target.padded, step=target.lanes) as channel:
            place = target.place(row, column, channel)
            yield _Window(
                place,
                channel,
                (top, bottom),
                (left, right),
                code.broadcast(code.cast("sitofp", count, FLOAT), target.lanes),
            )


@contextmanager
def _cells(code: Code, pooling: Pooling, window: _Window) -> Iterator[Number]:
    """Go over the cells of a window; yield where each stands in the grid."""
    with code.loop(window.rows[1], start=window.rows[0]) as row:
        with code.loop(window.columns[1], start=window.columns[0]) as column:
            yield pooling.source.place(row, column, window.channel)
