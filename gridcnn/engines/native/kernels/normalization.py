"""Batch normalization, with the rectification that follows it.

In training the mean and the variance of a map are those of all its cells in a shard's items. They
are made in one pass: sums of the distances from a cell of the first item, and of their squares, are
as exact as two passes, since the distances are about as large as the deviation.

    observe    sums += x - shift, (x - shift)^2                  each item
    settle     mean, inverse = 1 / sqrt(variance + epsilon)      once
    forward    y = (x - mean) * factor + bias                    each item
    gather     sums += flow, flow * normal                       each item, on the way back
    settle     a, b = factor * these sums / cells                once
    back       by x  = flow * factor - a - normal * b            each item

where factor = gain * inverse and normal = (x - mean) * inverse. Answers are x * factor + offset:
both come from the running values and are computed once with the packing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from gridcnn.engines.native.emitter import (
    FLOAT,
    INT,
    PTR,
    Code,
    Number,
    Value,
    Variable,
    lanes_of,
    vector,
)
from gridcnn.engines.native.kernels.base import (
    NO_GRADIENT,
    Area,
    Bundle,
    Description,
    Ends,
    Frame,
    Job,
    MapsKernel,
    MixingKernel,
    Site,
    Step,
    describe_maps,
    maps_facts,
    store_sums,
)
from gridcnn.engines.native.kernels.rectifying import is_rectified, rectifies
from gridcnn.engines.native.kernels.walking import cells_of, chunks_of, columns_of
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Argument
from gridcnn.network import Op
from gridcnn.stages.normalization import Normalization as NormalizationStage

_STATISTICS = ("shift", "sum", "squares")
_SETTLED = ("factor", "mean", "inverse")
_GATHERED = ("flow", "weighed")
_LEARNED = ("gain", "bias", "variance")
_SUMMED = ("gain", "bias", "mean", "variance")


@dataclass(frozen=True)
class Scaling(MapsKernel):
    """What normalizations have in common: numbers of each map, and passes over the cells."""

    stage = NormalizationStage
    summed: ClassVar[tuple[str, ...]] = ("gain", "bias")

    epsilon: float
    rectified: bool
    adds: bool = field(default=False, kw_only=True)

    @classmethod
    def joins(cls, ops: Sequence[Op], op: Op, processor: Processor, *, answers: bool) -> bool:
        """Return whether a rectification is computed with the normalization."""
        return rectifies(op) and len(ops) == 1

    def centres(self, site: Site) -> bool:
        """Return whether the forward pass takes the mean off each cell."""
        return site.training

    def emit_forward(self, site: Site) -> None:
        """Emit `forward(grid, map, middle, factor, offset)`.

        If it `centres`, the middle is the mean, and taken off first: where all cells are the same,
        the result is exactly the bias. Otherwise the offset has it already.
        """
        lanes, kind = self.target.lanes, vector(self.target.lanes)
        with site.module.function(site.name("forward"), *[PTR] * 5) as (code, arguments):
            grid, out, *numbers = arguments
            for first, vectors in chunks_of(self.target):
                channels = [first + number * lanes for number in range(vectors)]
                loaded = [
                    [code.load(each, channel, kind=kind) for each in numbers]
                    for channel in channels
                ]
                for row, column in cells_of(code, self.target, vectors=vectors):
                    for channel, (middle, by, shift) in zip(channels, loaded, strict=True):
                        value = code.load(grid, self.source.place(row, column, channel), kind=kind)
                        if self.centres(site):
                            value = code.arithmetic("fsub", value, middle)
                        value = code.multiply_add(value, by, shift)
                        value = code.rectify(value) if self.rectified else value
                        code.store(value, out, self.target.place(row, column, channel))

    def emit_sums(self, site: Site) -> None:
        """Emit `observe(grid, shift, sum, squares)`, which adds to the sums of each map."""
        kind = vector(self.target.lanes)
        with site.module.function(site.name("observe"), *[PTR] * 4) as (code, arguments):
            grid, shift, *sums = arguments
            for channels, row in self._rows(code):
                shifts = [code.load(shift, channel, kind=kind) for channel in channels]
                with _row_sums(code, channels, sums, kind) as totals:
                    for column in columns_of(code, self.target, vectors=len(channels)):
                        for number, channel in enumerate(channels):
                            value = code.load(
                                grid, self.source.place(row, column, channel), kind=kind
                            )
                            value = code.arithmetic("fsub", value, shifts[number])
                            one, two = totals[number]
                            one.set(code.arithmetic("fadd", one.get(), value))
                            two.set(code.multiply_add(value, value, two.get()))

    def _rows(self, code: Code) -> Iterator[tuple[list[int], Value]]:
        """Emit loops over the rows, for a few vectors of channels at a time."""
        for first, vectors in chunks_of(self.target):
            with code.loop(self.target.rows) as row:
                yield [first + number * self.target.lanes for number in range(vectors)], row

    def emit_gather(self, site: Site) -> None:
        """Emit `gather(grid, map's gradient, mean, factor, bias, inverse, sum, weighed sum)`."""
        kind = vector(self.target.lanes)
        with site.module.function(site.name("gather"), *[PTR] * 8) as (code, arguments):
            grid, flow, *numbers = arguments[:6]
            for channels, row in self._rows(code):
                loaded = [
                    [code.load(number, channel, kind=kind) for number in numbers]
                    for channel in channels
                ]
                with _row_sums(code, channels, arguments[6:], kind) as totals:
                    for column in columns_of(code, self.target, vectors=len(channels)):
                        for channel, settled, (one, two) in zip(
                            channels, loaded, totals, strict=True
                        ):
                            share, normal = self._share(
                                code, grid, flow, (row, column, channel), settled
                            )
                            one.set(code.arithmetic("fadd", one.get(), share))
                            two.set(code.multiply_add(share, normal, two.get()))

    def emit_back(self, site: Site) -> None:
        """Emit `back(grid, map's gradient, grid's gradient, ...)`.

        The last ones are mean, factor, bias, inverse, a, and b.
        """
        if not site.step.passes_on:
            return
        lanes, kind = self.target.lanes, vector(self.target.lanes)
        with site.module.function(site.name("back"), *[PTR] * 9) as (code, arguments):
            grid, flow, by_grid, *numbers = arguments
            vectors = self.target.padded // lanes
            together = 2 if site.module.processor.registers >= 32 and vectors % 2 == 0 else 1
            # As many adjacent vectors as have their six numbers in registers: memory is read in
            # longer pieces.
            for first in range(0, self.target.padded, together * lanes):
                channels = [first + number * lanes for number in range(together)]
                loaded = [
                    [code.load(each, channel, kind=kind) for each in numbers]
                    for channel in channels
                ]
                for row, column in cells_of(code, self.target, vectors=together):
                    for channel, (*settled, a, b) in zip(channels, loaded, strict=True):
                        cell = row, column, channel
                        share, normal = self._share(code, grid, flow, cell, settled)
                        shared = code.multiply_add(normal, b, a)
                        share = code.arithmetic("fmul", share, settled[1])
                        share = code.arithmetic("fsub", share, shared)
                        here = self.source.place(*cell)
                        if self.adds:
                            before = code.load(by_grid, here, kind=kind)
                            share = code.arithmetic("fadd", before, share)
                        code.store(share, by_grid, here)

    def _share(
        self,
        code: Code,
        grid: Value,
        flow: Value,
        cell: tuple[Number, Number, int],
        settled: Sequence[Value],
    ) -> tuple[Value, Value]:
        """Emit the gradient by what was scaled, 0 where that was rectified, and what is normal.

        `settled` is mean, factor, bias and inverse. Whether a cell was rectified is computed again,
        as the forward pass did it: these passes wait for memory, and would have to read the map.
        """
        kind = vector(self.target.lanes)
        mean, factor, bias, inverse = settled
        share = code.load(flow, self.target.place(*cell), kind=kind)
        value = code.load(grid, self.source.place(*cell), kind=kind)
        centred = code.arithmetic("fsub", value, mean)
        if self.rectified:
            zero = code.constant(0, self.target.lanes)
            is_alive = code.compare("ogt", code.multiply_add(centred, factor, bias), zero)
            share = code.select(is_alive, share, zero)
        return share, code.arithmetic("fmul", centred, inverse)

    def _inverse(self, code: Code, variance: Value) -> Value:
        """Emit 1 / sqrt(variance + epsilon)."""
        lanes = self.target.lanes
        lifted = code.arithmetic("fadd", variance, code.constant(self.epsilon, lanes))
        return code.arithmetic("fdiv", code.constant(1, lanes), code.square_root(lifted))

    def reduce(self, site: Site) -> list[Job]:
        """Return the jobs that store the gradients of gain and bias, and what else was summed."""
        return [store_sums(name, name, self.target.channels) for name in self.summed]


@dataclass(frozen=True)
class Normalization(Scaling, MixingKernel):
    """Each map is scaled to mean 0 and variance 1, and then by its gain and bias."""

    summed: ClassVar[tuple[str, ...]] = _SUMMED

    @classmethod
    def computes(cls, op: Op) -> bool:
        """Return whether an operation is a normalization by batch."""
        return (
            isinstance(op.stage, NormalizationStage)
            and super().computes(op)
            and op.stage.kind == "batch"
        )

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a normalization with what follows it."""
        (source,), stage = bundle.sources, bundle.ops[0].stage
        assert isinstance(stage, NormalizationStage)
        target = Maps(*bundle.ops[0].output.sizes, source.lanes)
        return cls((source,), target, stage.epsilon, rectified=is_rectified(bundle.ops))

    @property
    def reads_result(self) -> bool:
        """Whether the way back reads the maps: it computes again which cells were rectified."""
        return False

    @property
    def replaces_source(self) -> bool:
        """Whether the gradient may replace the source: each cell is read, and then written."""
        return not self.adds

    # Memory and packing

    def lay_out(self, site: Site) -> None:
        """Take memory for a number, or a few, of each map."""
        floats = self.target.padded
        for name in _LEARNED if site.training else ("factor", "offset"):
            site.take(Area.PACKED, name, floats)
        if not site.training:
            return
        for name in (*_STATISTICS, *_SETTLED, *_GATHERED):
            site.take(Area.WORKSPACE, name, floats)
        for name in _SUMMED:
            site.take(Area.SUMS, name, floats)

    def pack(self, site: Site) -> list[Job]:
        """Return the job that packs gain and bias, or for answers factor and offset."""
        if site.training:
            return [Job(1, self._pack_learned)]
        if site.emits:
            self._emit_fold(site)
        return [Job(1, self._fold)]

    def _pack_learned(self, frame: Frame, number: Value) -> None:
        for name in _LEARNED:
            frame.code.copy(
                frame.at(Area.PACKED, name), frame.parameter(name), self.target.channels
            )

    def _emit_fold(self, site: Site) -> None:
        """Emit `fold(gain, bias, mean, variance, factor, offset)`."""
        lanes = self.target.lanes
        with site.module.function(site.name("fold"), *[PTR] * 6) as (code, arguments):
            gain, bias, mean, variance, factor, offset = arguments
            for place, count in code.pieces(self.target.channels, lanes):
                of = [
                    code.load_part(each, place, lanes, count)
                    for each in (gain, bias, mean, variance)
                ]
                by = code.arithmetic("fmul", of[0], self._inverse(code, of[3]))
                code.store_part(by, factor, place, count)
                shifted = code.arithmetic("fsub", of[1], code.arithmetic("fmul", of[2], by))
                code.store_part(shifted, offset, place, count)

    @staticmethod
    def _fold(frame: Frame, number: Value) -> None:  # noqa: ARG004
        parameters = [frame.parameter(name) for name in ("gain", "bias", "mean", "variance")]
        packed = [frame.at(Area.PACKED, name) for name in ("factor", "offset")]
        frame.code.run(frame.site.name("fold"), *parameters, *packed)

    # Forward

    def run_forward(
        self,
        frame: Frame,
        maps: Ends,
        part: tuple[Number, Number] | None = None,
    ) -> None:
        """Emit the call for one item."""
        if frame.site.training:
            numbers = [frame.at(Area.WORKSPACE, name) for name in ("mean", "factor")]
            numbers.append(frame.at(Area.PACKED, "bias"))
        else:
            numbers = [frame.at(Area.PACKED, name) for name in ("factor", "factor", "offset")]
        frame.code.run(frame.site.name("forward"), *maps.sources, maps.target, *numbers)

    # Statistics

    def emit_observe(self, site: Site) -> None:
        """Emit `observe(grid, shift, sum, squares)` and `settle(...)`, see `_emit_settle`."""
        self.emit_sums(site)
        self._emit_settle(site)

    def _emit_settle(self, site: Site) -> None:
        """Emit `settle(shift, sum, squares, gain, variance, factor, mean, inverse, ...)`.

        `variance` is the running one, which is left as it is if there is a single cell. The last
        ones are the sums of running mean and variance, the number of items, and the share of one
        item in the batch.
        """
        lanes, kind = self.target.lanes, vector(self.target.lanes)
        pointers = [PTR] * 10
        with site.module.function(site.name("settle"), *pointers, INT, FLOAT) as (code, arguments):
            shift, total, squares, gain, before = arguments[:5]
            factor, mean, inverse, running_mean, running_variance = arguments[5:10]
            items = code.cast("sitofp", arguments[10], FLOAT)
            cells = code.arithmetic(
                "fmul", items, code.constant(self.target.rows * self.target.columns)
            )
            others = code.larger(code.constant(1), code.arithmetic("fsub", cells, code.constant(1)))
            share = code.broadcast(code.arithmetic("fmul", items, arguments[11]), lanes)
            is_single = code.compare("olt", cells, code.constant(1.5))
            unbiased = code.broadcast(code.arithmetic("fdiv", cells, others), lanes)
            cells = code.broadcast(cells, lanes)
            with code.loop(self.target.padded, step=lanes) as channel:
                by_cells = [
                    code.arithmetic("fdiv", code.load(each, channel, kind=kind), cells)
                    for each in (total, squares)
                ]
                square = code.arithmetic("fmul", by_cells[0], by_cells[0])
                variance = code.arithmetic("fsub", by_cells[1], square)
                variance = code.rectify(variance)
                middle = code.arithmetic("fadd", code.load(shift, channel, kind=kind), by_cells[0])
                by = self._inverse(code, variance)
                scale = code.arithmetic("fmul", code.load(gain, channel, kind=kind), by)
                observed = code.arithmetic("fmul", variance, unbiased)
                running = code.load(before, channel, kind=kind)
                observed = code.select(is_single, running, observed)
                for value, place in (
                    (scale, factor),
                    (middle, mean),
                    (by, inverse),
                    (code.arithmetic("fmul", middle, share), running_mean),
                    (code.arithmetic("fmul", observed, share), running_variance),
                ):
                    code.store(value, place, channel)

    def begin(self, frame: Frame, maps: Ends) -> None:
        """Emit the start of a shard: a cell of the first item is what distances are from."""
        code, floats = frame.code, self.target.padded
        first = code.at(maps.sources[0], self.source.place(0, 0))
        code.copy(frame.at(Area.WORKSPACE, "shift"), first, floats)
        for name in ("sum", "squares"):
            code.zero(frame.at(Area.WORKSPACE, name), floats)

    def run_observe(self, frame: Frame, maps: Ends) -> None:
        """Emit the call that takes one item into the statistics."""
        statistics = [frame.at(Area.WORKSPACE, name) for name in _STATISTICS]
        frame.code.run(frame.site.name("observe"), *maps.sources, *statistics)

    def run_settle(self, frame: Frame, count: Value) -> None:
        """Emit the call that makes mean and factor, and starts the sums of the way back."""
        code = frame.code
        statistics = [frame.at(Area.WORKSPACE, name) for name in _STATISTICS]
        learned = [frame.at(Area.PACKED, name) for name in _LEARNED if name != "bias"]
        settled = [frame.at(Area.WORKSPACE, name) for name in _SETTLED]
        running = [frame.at(Area.SUMS, name) for name in ("mean", "variance")]
        share = code.load(frame.arguments.table, int(Argument.FACTOR) * 2)
        ends = *statistics, *learned, *settled, *running
        code.run(frame.site.name("settle"), *ends, count, share)
        for name in _GATHERED:
            code.zero(frame.at(Area.WORKSPACE, name), self.target.padded)

    # Backward

    def emit_backward(self, site: Site) -> None:
        """Emit `gather`, `settle_back` and `back`; each gets what its name is followed by.

        `gather(grid, map's gradient, mean, factor, bias, inverse, sum, weighed sum)`,
        `settle_back(sum, weighed sum, factor, bias's gradient, gain's gradient, items)`, and
        `back(grid, map's gradient, grid's gradient, mean, factor, bias, inverse, a, b)`.
        """
        lanes, kind = self.target.lanes, vector(self.target.lanes)
        self.emit_gather(site)
        with site.module.function(site.name("settle_back"), *[PTR] * 5, INT) as (code, arguments):
            total, weighed, factor, by_bias, by_gain, count = arguments
            items = code.cast("sitofp", count, FLOAT)
            cells = code.arithmetic(
                "fmul", items, code.constant(self.target.rows * self.target.columns)
            )
            cells = code.broadcast(cells, lanes)
            with code.loop(self.target.padded, step=lanes) as place:
                for source, gradient in ((total, by_bias), (weighed, by_gain)):
                    value = code.load(source, place, kind=kind)
                    code.store(value, gradient, place)
                    shared = code.arithmetic("fdiv", value, cells)
                    by = code.load(factor, place, kind=kind)
                    code.store(code.arithmetic("fmul", shared, by), source, place)
        self.emit_back(site)

    def run_gather(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call that takes one item's gradient into the sums over the shard."""
        ends = *maps.sources, gradients.target
        frame.code.run(frame.site.name("gather"), *ends, *self._numbers(frame))

    @staticmethod
    def _numbers(frame: Frame) -> list[Value]:
        """Return where the way back has mean, factor, bias, inverse and both sums."""
        mean, factor, inverse, *gathered = (
            frame.at(Area.WORKSPACE, name) for name in ("mean", "factor", "inverse", *_GATHERED)
        )
        return [mean, factor, frame.at(Area.PACKED, "bias"), inverse, *gathered]

    def run_settle_back(self, frame: Frame, count: Value) -> None:
        """Emit the call that makes the gradients of bias and gain, and the means of the sums."""
        gathered = [frame.at(Area.WORKSPACE, name) for name in _GATHERED]
        sums = [frame.at(Area.SUMS, name) for name in ("bias", "gain")]
        factor = frame.at(Area.WORKSPACE, "factor")
        frame.code.run(frame.site.name("settle_back"), *gathered, factor, *sums, count)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        if not frame.site.step.passes_on:
            return
        ends = *maps.sources, gradients.target, *gradients.sources
        frame.code.run(frame.site.name("back"), *ends, *self._numbers(frame))

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "through mean and variance of a group" if step.passes_on else NO_GRADIENT
        notes = (
            describe_maps(self.target),
            "mean and variance of groups of 16 items in training, running ones in answers",
            f"gradient of the grid, {way}",
        )
        facts = {**maps_facts(self.target), "rectified": self.rectified}
        return Description("normalization", notes, facts)


@contextmanager
def _row_sums(
    code: Code, channels: Sequence[int], sums: Sequence[Value], kind: str
) -> Iterator[list[tuple[Variable, Variable]]]:
    """Keep two sums for each vector of channels in registers, and add them to memory afterwards.

    The sums of a row are few terms, and the rows' sums as well: rounding stays small.
    """
    zero = code.constant(0, lanes_of(kind))
    totals = [(code.variable(zero), code.variable(zero)) for _ in channels]
    yield totals
    for channel, pair in zip(channels, totals, strict=True):
        for total, place in zip(pair, sums, strict=True):
            before = code.load(place, channel, kind=kind)
            code.store(code.arithmetic("fadd", before, total.get()), place, channel)
