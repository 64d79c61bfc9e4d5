"""Gate: each map is weighed by a number that the means of all maps decide.

For one item, with vectors along the maps; the two layers are small:

    means    of each map over its cells
    hidden   = rectified(hidden weights . means + bias)          a sum over vectors for each value
    gates    = sigmoid(gate weights . hidden + bias)             gate weights lie as (hidden, maps)
    map      = grid * gates

On the way back, the gradient by a gate is the sum of the map's gradient times the grid, over all
cells; the gradient by a mean goes to all cells of its map in equal parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from gridcnn.engines.native.emitter import PTR, Code, Number, Value, vector
from gridcnn.engines.native.kernels import packing
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
)
from gridcnn.engines.native.kernels.exponential import sigmoid
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.stages.gate import Gate as GateStage

_OF_MAPS = ("means", "gates")


@dataclass(frozen=True)
class Gate(MapsKernel):
    """Maps are weighed by what their means say."""

    stage = GateStage

    hidden: int

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for a gate."""
        (source,), op = bundle.sources, bundle.ops[0]
        assert isinstance(op.stage, GateStage)
        target = Maps(*op.output.sizes, source.lanes)
        return cls((source,), target, op.stage.hidden_size(op.input.channels))

    @property
    def _cells(self) -> int:
        return self.target.rows * self.target.columns

    # Memory and packing

    def lay_out(self, site: Site) -> None:
        """Take memory for both layers, their values, and in training their sums."""
        maps, hidden = self.target.padded, self.hidden
        sizes = {
            "hidden.weights": hidden * maps,
            "hidden.bias": hidden,
            "gate.weights": hidden * maps,
            "gate.bias": maps,
        }
        for name, floats in sizes.items():
            site.take(Area.PACKED, name, floats)
        for name in _OF_MAPS:
            site.take(Area.ITEM, name, maps)
        site.take(Area.ITEM, "hidden", hidden)
        if not site.training:
            return
        site.take(Area.WORKSPACE, "gradient of gates", maps)
        site.take(Area.WORKSPACE, "gradient of means", maps)
        site.take(Area.WORKSPACE, "gradient of hidden", hidden)
        for name, floats in sizes.items():
            site.take(Area.SUMS, name, floats, when=site.step.learns)

    def pack(self, site: Site) -> list[Job]:
        """Return the job that packs both layers, with rows of whole vectors of maps."""
        if site.emits:
            self._emit_pack(site)

        def emit(frame: Frame, number: Value) -> None:  # noqa: ARG001
            code = frame.code
            for name in ("hidden.weights", "gate.weights"):
                packed = frame.at(Area.PACKED, name)
                code.run(site.name(f"pack_{name[:4]}"), frame.parameter(name), packed)
            for name, floats in (("hidden.bias", self.hidden), ("gate.bias", self.target.channels)):
                code.copy(frame.at(Area.PACKED, name), frame.parameter(name), floats)

        return [Job(1, emit)]

    def _emit_pack(self, site: Site) -> None:
        """Emit `pack_hidd(weights, packed)` and `pack_gate(weights, packed)`: (hidden, maps)."""
        for role, turned in (("pack_hidd", False), ("pack_gate", True)):
            with site.module.function(site.name(role), PTR, PTR) as (code, (weights, packed)):
                with code.loop(self.hidden) as each, code.loop(self.target.channels) as channel:
                    here = self._place(each, channel, turned=turned)
                    there = each * self.target.padded + channel
                    code.store(code.load(weights, here), packed, there)

    def _place(self, each: Number, channel: Number, *, turned: bool) -> Number:
        """Return where a weight is in the flat vector: in (hidden, maps), or turned."""
        if turned:
            return channel * self.hidden + each
        return each * self.target.channels + channel

    # Forward

    def emit_forward(self, site: Site) -> None:
        """Emit `mean(grid, means)`, `decide(means, layers, hidden, gates)` and `weigh`.

        The last is `weigh(grid, gates, map)`.
        """
        source, target, kind = self.source, self.target, vector(self.target.lanes)
        with site.module.function(site.name("mean"), PTR, PTR) as (code, (grid, means)):
            part = code.constant(1 / self._cells, target.lanes)
            with code.loop(target.padded, step=target.lanes) as channel:
                total = code.variable(code.constant(0, target.lanes))
                # The sums of rows, and the sum of these: rounding stays small.
                with code.loop(target.rows) as row:
                    of_row = code.variable(code.constant(0, target.lanes))
                    with code.loop(target.columns) as column:
                        value = code.load(grid, source.place(row, column, channel), kind=kind)
                        of_row.set(code.arithmetic("fadd", of_row.get(), value))
                    total.set(code.arithmetic("fadd", total.get(), of_row.get()))
                code.store(code.arithmetic("fmul", total.get(), part), means, channel)
        self._emit_decide(site)
        with site.module.function(site.name("weigh"), *[PTR] * 3) as (code, (grid, gates, out)):
            with code.loop(target.rows) as row, code.loop(target.columns) as column:
                with code.loop(target.padded, step=target.lanes) as channel:
                    value = code.load(grid, source.place(row, column, channel), kind=kind)
                    by = code.load(gates, channel, kind=kind)
                    weighed = code.arithmetic("fmul", value, by)
                    code.store(weighed, out, target.place(row, column, channel))

    def _emit_decide(self, site: Site) -> None:
        target, kind = self.target, vector(self.target.lanes)
        with site.module.function(site.name("decide"), *[PTR] * 7) as (code, arguments):
            means, weights, bias, gate_weights, gate_bias, hidden, gates = arguments
            with code.loop(self.hidden) as each:
                value = self._dot(code, means, code.at(weights, each * target.padded))
                value = code.arithmetic("fadd", value, code.load(bias, each))
                code.store(code.rectify(value), hidden, each)
            with code.loop(target.padded, step=target.lanes) as channel:
                total = code.variable(code.load(gate_bias, channel, kind=kind))
                with code.loop(self.hidden) as each:
                    value = code.load_broadcast(hidden, each, target.lanes)
                    by = code.load(gate_weights, each * target.padded + channel, kind=kind)
                    total.set(code.multiply_add(value, by, total.get()))
                code.store(sigmoid(code, total.get()), gates, channel)

    def _dot(self, code: Code, left: Value, right: Value) -> Value:
        """Emit the sum of products over all maps; what only fills a vector is 0 on the right."""
        kind = vector(self.target.lanes)
        total = code.variable(code.constant(0, self.target.lanes))
        with code.loop(self.target.padded, step=self.target.lanes) as channel:
            values = code.load(left, channel, kind=kind), code.load(right, channel, kind=kind)
            total.set(code.multiply_add(*values, total.get()))
        return code.total(total.get())

    def run_forward(
        self,
        frame: Frame,
        maps: Ends,
        part: tuple[Number, Number] | None = None,
    ) -> None:
        """Emit the calls for one item."""
        code, site = frame.code, frame.site
        means, gates = (frame.at(Area.ITEM, name) for name in _OF_MAPS)
        hidden = frame.at(Area.ITEM, "hidden")
        layers = [frame.at(Area.PACKED, name) for name in site.step.slots]
        code.run(site.name("mean"), *maps.sources, means)
        code.run(site.name("decide"), means, *layers, hidden, gates)
        code.run(site.name("weigh"), *maps.sources, gates, maps.target)

    # Backward

    def emit_backward(self, site: Site) -> None:
        """Emit `gather(grid, map's gradient, gradient of gates)`, `undecide` and `unweigh`.

        The last is `unweigh(map's gradient, gates, gradient of means, grid's gradient)`.
        """
        source, target, kind = self.source, self.target, vector(self.target.lanes)
        with site.module.function(site.name("gather"), *[PTR] * 3) as (code, (grid, flow, out)):
            with code.loop(target.padded, step=target.lanes) as channel:
                total = code.variable(code.constant(0, target.lanes))
                with code.loop(target.rows) as row, code.loop(target.columns) as column:
                    value = code.load(grid, source.place(row, column, channel), kind=kind)
                    share = code.load(flow, target.place(row, column, channel), kind=kind)
                    total.set(code.multiply_add(value, share, total.get()))
                code.store(total.get(), out, channel)
        self._emit_undecide(site)
        with site.module.function(site.name("unweigh"), *[PTR] * 4) as (code, arguments):
            flow, gates, by_means, by_grid = arguments
            with code.loop(target.rows) as row, code.loop(target.columns) as column:
                with code.loop(target.padded, step=target.lanes) as channel:
                    share = code.load(flow, target.place(row, column, channel), kind=kind)
                    mean = code.load(by_means, channel, kind=kind)
                    share = code.multiply_add(share, code.load(gates, channel, kind=kind), mean)
                    here = source.place(row, column, channel)
                    before = code.load(by_grid, here, kind=kind)
                    code.store(code.arithmetic("fadd", before, share), by_grid, here)

    def _emit_undecide(self, site: Site) -> None:
        """Emit the way back through both layers, which adds to the sums of their parameters.

        `undecide(means, hidden, gates, hidden weights, gate weights, gradients of gates, of means,
        of hidden, and the four sums)`.
        """
        target, kind = self.target, vector(self.target.lanes)
        learns = site.step.learns
        with site.module.function(site.name("undecide"), *[PTR] * 12) as (code, arguments):
            means, hidden, gates, weights, gate_weights = arguments[:5]
            by_gates, by_means, by_hidden, *sums = arguments[5:]
            zero, one = code.constant(0, target.lanes), code.constant(1, target.lanes)
            with code.loop(target.padded, step=target.lanes) as channel:
                gate = code.load(gates, channel, kind=kind)
                slope = code.arithmetic("fmul", gate, code.arithmetic("fsub", one, gate))
                flow = code.load(by_gates, channel, kind=kind)
                code.store(code.arithmetic("fmul", flow, slope), by_gates, channel)
                code.store(zero, by_means, channel)
            if learns:
                self._add(code, sums[3], by_gates, None)
            part = code.constant(1 / self._cells)
            with code.loop(self.hidden) as each:
                row = each * target.padded
                value = code.load(hidden, each)
                share = self._dot(code, by_gates, code.at(gate_weights, row))
                is_positive = code.compare("ogt", value, code.constant(0))
                share = code.select(is_positive, share, code.constant(0))
                code.store(share, by_hidden, each)
                if learns:
                    self._add(code, code.at(sums[2], row), by_gates, value)
                    self._add(code, code.at(sums[0], row), means, share)
                    before = code.load(sums[1], each)
                    code.store(code.arithmetic("fadd", before, share), sums[1], each)
                share = code.arithmetic("fmul", share, part)
                self._add(code, by_means, code.at(weights, row), share)

    def _add(self, code: Code, target: Value, values: Value, by: Value | None) -> None:
        """Emit an addition of a vector of all maps, times a number."""
        kind, lanes = vector(self.target.lanes), self.target.lanes
        with code.loop(self.target.padded, step=lanes) as channel:
            before = code.load(target, channel, kind=kind)
            value = code.load(values, channel, kind=kind)
            if by is None:
                code.store(code.arithmetic("fadd", before, value), target, channel)
            else:
                total = code.multiply_add(value, code.broadcast(by, lanes), before)
                code.store(total, target, channel)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the calls for one item."""
        code, site = frame.code, frame.site
        means, gates = (frame.at(Area.ITEM, name) for name in _OF_MAPS)
        hidden = frame.at(Area.ITEM, "hidden")
        weights = [frame.at(Area.PACKED, name) for name in ("hidden.weights", "gate.weights")]
        names = ("gradient of gates", "gradient of means", "gradient of hidden")
        flows = [frame.at(Area.WORKSPACE, name) for name in names]
        sums = [frame.at(Area.SUMS, name) for name in site.step.slots]
        code.run(site.name("gather"), *maps.sources, gradients.target, flows[0])
        code.run(site.name("undecide"), means, hidden, gates, *weights, *flows, *sums)
        if site.step.passes_on:
            code.run(site.name("unweigh"), gradients.target, gates, flows[1], *gradients.sources)

    def reduce(self, site: Site) -> list[Job]:
        """Return the jobs that store the gradients of both layers."""
        if site.emits:
            for role, turned in (("unpack", False), ("unpack_turned", True)):
                packing.unpack_rows(
                    site.module, site.name(role), row=self.target.padded, turned=turned
                )

        def job(name: str) -> Job:
            rows = 1 if name.endswith("bias") else self.hidden

            def emit(frame: Frame, number: Value) -> None:  # noqa: ARG001
                ends = frame.at(Area.SUMS, name), frame.gradient(name)
                role = "unpack_turned" if name == "gate.weights" else "unpack"
                count = self.hidden if name == "hidden.bias" else self.target.channels
                sizes = [frame.code.value(each) for each in (rows, count)]
                frame.code.run(site.name(role), *ends, *sizes)

            return Job(1, emit)

        return [job(name) for name in site.step.slots]

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "through the gates, and in equal parts of means" if step.passes_on else NO_GRADIENT
        notes = (
            describe_maps(self.target),
            f"means, {self.hidden} hidden values, gates",
            f"gradient of the grid, {way}",
        )
        return Description("gate", notes, {**maps_facts(self.target), "hidden": self.hidden})
