"""Convolution, with the rectification and the pooling that follow it, as a kernel.

`convolution_forward` and `convolution_backward` have the passes, `packing` the orders in which
features lie. Lookup and Winograd convolutions are kernels of their own, which change parts of this
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Self

from gridcnn.engines.native.emitter import INT, PTR, Module, Number, Value
from gridcnn.engines.native.kernels import convolution_backward, convolution_dense, folding, packing
from gridcnn.engines.native.kernels.base import (
    FEW_ROWS,
    NO_GRADIENT,
    REDUCE_PARTS,
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
    part_of,
    store_sums,
)
from gridcnn.engines.native.kernels.convolution_forward import DirectTile, emit_rows
from gridcnn.engines.native.kernels.rectifying import is_rectified, rectifies
from gridcnn.engines.native.kernels.sizes import Sizes, filter_chunks, room_for, windows_of_tile
from gridcnn.engines.native.layout import Maps, lanes_for
from gridcnn.engines.native.processor import Processor
from gridcnn.forks import cached_property
from gridcnn.network import Op
from gridcnn.stages.convolution import Convolution as ConvolutionStage
from gridcnn.stages.pooling import Pooling as PoolingStage

MOST_FUSED = 12
"""Most cells of a window that is pooled while its sums are in registers."""
_SIFTED = "sifted: each filter has a list of the cells that have a gradient"
_DENSE = "dense: every cell is visited, since the grid has too few channels for a vector"
_NO_FEATURES = "none: they do not learn"
_SIFTED_GRID = "sifted: each cell has a list of the filters that have a gradient there"
_SUMMED = "dense: every cell is visited, with the sums of a few filters in registers"
_PATCHES = "dense: every cell is visited, with the sums of a few patches in registers"
_REVERSED = "dense: a convolution of the map's gradient, with the features reversed"


class Convolution(Sizes):
    """A convolution whose cells are multiplied as they are; it has no fields but its sizes."""

    stage = ConvolutionStage

    # Choosing

    @classmethod
    def computes(cls, op: Op) -> bool:
        """Return whether an operation is a convolution without groups of channels."""
        if not super().computes(op):
            return False
        assert isinstance(op.stage, ConvolutionStage)
        return op.stage.group_count(op.input.channels) == 1

    @classmethod
    def joins(cls, ops: Sequence[Op], op: Op, processor: Processor, *, answers: bool) -> bool:
        """Return whether rectification, pooling or normalization is computed with it."""
        if folding.joins(ops, op, answers=answers):
            return True
        if rectifies(op):
            return not is_rectified(ops)
        if type(op.stage) is not PoolingStage or any(type(op.stage) is PoolingStage for op in ops):
            return False
        # All cells of a window are summed in registers at the same time, and windows that overlap
        # would be computed more than once.
        window, stride = op.stage.sizes(op.input)
        most = MOST_FUSED if processor.registers < 32 else 2 * MOST_FUSED
        apart = window[0] <= stride[0] and window[1] <= stride[1]
        return op.stage.mode == "max" and apart and window[0] * window[1] <= most

    @classmethod
    def take(cls, bundle: Bundle) -> Self | None:
        """Return the kernel for a convolution with what follows it."""
        (bare,), first, stage = bundle.sources, bundle.ops[0], bundle.ops[0].stage
        assert isinstance(stage, ConvolutionStage)
        kernel = stage.kernel(first.input)
        window, step = (1, 1), (1, 1)
        for op in bundle.ops:
            if isinstance(op.stage, PoolingStage):
                window, step = op.stage.sizes(op.input)
        (above, below), (left, right) = stage.borders(first.input)
        size = first.input.channels * kernel[0] * kernel[1]
        lanes = lanes_for(first.output.channels, bundle.processor)
        epsilon = folding.epsilon_of(bundle.ops)
        made = cls(
            sources=(replace(bare, above=above, below=below, left=left, right=right),),
            target=Maps(*bundle.ops[-1].output.sizes, lanes),
            kernel_size=kernel,
            stride=stage.stride,
            dilation=stage.dilation,
            rows=first.output.rows,
            columns=first.output.columns,
            bias=stage.bias or epsilon is not None,
            rectified=is_rectified(bundle.ops),
            divisor=float(size) if stage.scale == "match" else 1.0,
            window=window,
            window_stride=step,
            epsilon=epsilon,
            sparse=bundle.sparse,
        )
        return made.settle()

    def settle(self) -> Self:
        """Return the kernel so that the reversed pass writes every cell of the grid's gradient."""
        return replace(self, adds=self.reversed is None)

    # Memory

    def lay_out(self, site: Site) -> None:
        """Take memory for features and bias, and in training for winners, sums and lists."""
        step, training, filters = site.step, site.training, self.target.padded
        # A winner is one byte, and has no border.
        cells = self.target.rows * self.target.columns * filters
        site.take(Area.ITEM, "winners", -(-cells // 4), when=training and self.pooled)
        site.take(Area.PACKED, "features", self.features_size)
        site.take(Area.PACKED, "bias", filters)
        if self.epsilon is not None:
            folding.lay_out(site, self.filters, self.feature_size)
        if not training:
            return
        size = packing.backward_size(self)
        site.take(Area.PACKED, "features of the backward pass", size, when=step.passes_on)
        size = packing.gradient_size(self)
        site.take(Area.SUMS, "gradient of the features", size, when=step.learns)
        site.take(Area.SUMS, "gradient of the bias", filters, when=step.learns)
        lists = 0 if self.is_dense else convolution_backward.Lists(self).size
        site.take(Area.SCRATCH, "lists", lists)
        if self.is_dense and step.learns:
            self.lay_out_features(site)
        if (flow := self._flow(step)) is not self.target:
            site.share("gradient with a border", flow)
        if step.passes_on and (turned := self.reversed) is not None:
            self._lay_out_reversed(site, turned)

    # The backward pass as a forward pass, see `convolution_dense`

    @cached_property
    def is_dense(self) -> bool:
        """Whether all cells of the map's gradient are visited, not only the nonzero ones."""
        return convolution_dense.is_dense(self)

    @cached_property
    def reversed(self) -> Convolution | None:
        """The convolution of the map's gradient that makes the grid's; None if another way does."""
        flow = convolution_dense.reversed_grid(self) if self.is_dense else None
        if flow is None:
            return None
        grid = self.source
        turned = Convolution(
            sources=(flow,),
            target=Maps(grid.channels, grid.rows, grid.columns, grid.lanes) if self.adds else grid,
            kernel_size=self.kernel_size,
            stride=(1, 1),
            dilation=self.dilation,
            rows=grid.rows,
            columns=grid.columns,
            bias=False,
            rectified=False,
        )
        return self.made_alike(turned)

    def made_alike(self, conv: Convolution) -> Convolution:
        """Return another convolution of this kind, if it can be computed in this way."""
        return conv

    def _lay_out_reversed(self, site: Site, turned: Convolution) -> None:
        site.take(Area.PACKED, "reversed features", self.filters * self.feature_size)
        site.take(Area.PACKED, "features of the reversed pass", turned.features_size)
        site.take(Area.PACKED, "no bias", turned.target.padded)
        if self.adds:
            site.share("gradient of the grid", turned.target)
        turned.lay_out_more(site)

    def lay_out_more(self, site: Site) -> None:
        """Take what the forward function needs as its last arguments."""

    def emit_pass(self, module: Module, name: str, *, winners: bool) -> None:
        """Emit the function that `emit_forward` describes."""
        with module.function(name, *[PTR] * 5, *[INT] * 4) as (code, arguments):
            tile = DirectTile(module, code, self, winners=winners)
            emit_rows(code, self, arguments, tile)

    def _flow(self, step: Step[Any]) -> Maps:
        """Return how the map's gradient lies for the dense ways back; `target` if as it comes."""
        if not (self.is_dense and (step.passes_on or (step.learns and self.rectified))):
            return self.target
        return self.target if self.reversed is None else self.reversed.source

    def lay_out_features(self, site: Site) -> None:
        """Take what the function of `emit_by_features` needs as its last arguments."""

    def emit_by_features(self, module: Module, name: str, flow: Maps) -> None:
        """Emit the function that `convolution_dense.by_features` describes."""
        convolution_dense.by_features(module, name, self, flow)

    def features_arguments(self, frame: Frame) -> list[Value]:
        """Return the extra arguments of the function of `emit_by_features`."""
        return []

    def _run_reversed(
        self, frame: Frame, turned: Convolution, flow: Value, gradients: Ends
    ) -> None:
        """Emit the calls that make the gradient of the grid, or add to it."""
        code, site = frame.code, frame.site
        (by_grid,) = gradients.sources
        target = frame.at(Area.WORKSPACE, "gradient of the grid") if self.adds else by_grid
        code.run(
            site.name("back_to_grid"),
            flow,
            frame.at(Area.PACKED, "features of the reversed pass"),
            frame.at(Area.PACKED, "no bias"),
            *(target, target),  # nothing is written to the winners
            *(0, turned.pass_rows, 0, turned._chunks(site.registers)),
            *turned.more_arguments(frame),
        )
        if self.adds:
            code.run(site.name("add_to_grid"), target, by_grid)

    # Packing

    def fold(self, site: Site) -> list[Job]:
        """Return the jobs that change features before they are packed, if there are any."""
        if self.epsilon is not None:
            return [folding.fold(site, self.filters, self.feature_size, self.epsilon)]
        if not (site.training and site.step.passes_on and self.reversed is not None):
            return []
        if site.emits:
            convolution_dense.reverse_features(site.module, site.name("reverse"), self)
        return [self._pack("reverse", "reversed features", self.filters)]

    def pack(self, site: Site) -> list[Job]:
        """Return the jobs that pack the features for both passes, and the bias."""
        step, channels = site.step, self.feature_channels
        if site.emits:
            self.emit_pack(site.module, site.name("pack"))
        jobs = [self._pack("pack", "features", channels)]
        if "bias" in step.slots and self.epsilon is None:
            jobs.append(Job(1, self._pack_bias))
        turned = self.reversed if site.training and step.passes_on else None
        if turned is not None:
            if site.emits:
                turned.emit_pack(site.module, site.name("pack_reversed"))
            jobs.append(
                self._pack(
                    "pack_reversed",
                    "features of the reversed pass",
                    turned.feature_channels,
                    "reversed features",
                )
            )
        elif site.training and step.passes_on:
            if site.emits:
                packing.pack_backward(site.module, site.name("pack_backward"), self)
            jobs.append(self._pack("pack_backward", "features of the backward pass", self.filters))
        return jobs

    def emit_pack(self, module: Module, name: str) -> None:
        """Emit `name(features, packed, first channel, end channel)`.

        Features come as the flat vector has them, and go into the order `forward` of `packing`.
        """
        with module.function(name, *[PTR] * 2, *[INT] * 2) as (code, arguments):
            features, packed, start, stop = arguments
            place = 0
            for chunk in filter_chunks(self, module.processor.registers):
                of_one = chunk.width * self.lanes
                size = self.feature_size * of_one
                with code.loop(chunk.count) as number:
                    first = number * of_one + chunk.first * self.lanes
                    target = code.at(packed, number * size + place)
                    # The last vector may have fewer filters than lanes; the rest of it stays 0.
                    used = code.least(of_one, code.value(self.filters) - first)
                    source = code.at(features, first * self.feature_size)
                    with (
                        code.loop(len(self.taps)) as tap,
                        code.loop(stop, start=start) as channel,
                        code.loop(used) as each,
                    ):
                        there = (tap * self.source.channels + channel) * of_one + each
                        here = each * self.feature_size + (channel * len(self.taps) + tap)
                        code.store(code.load(source, here), target, there)
                place += size * chunk.count

    def _pack(self, function: str, target: str, rows: int, source: str = "") -> Job:
        parts = min(rows, FEW_ROWS)
        if self.epsilon is not None:
            source = "folded features"

        def emit(frame: Frame, number: Value) -> None:
            features = frame.at(Area.PACKED, source) if source else frame.parameter("weights")
            ends = part_of(frame.code, number, rows, parts)
            packed = frame.at(Area.PACKED, target)
            frame.code.run(frame.site.name(function), features, packed, *ends)

        return Job(parts, emit)

    @staticmethod
    def _pack_bias(frame: Frame, number: Value) -> None:  # noqa: ARG004
        # What only fills the last vector stays 0, as the memory was at the start.
        size = frame.site.step.slots["bias"].parameter.size
        packed = frame.at(Area.PACKED, "bias")
        frame.code.copy(packed, frame.parameter("bias"), size)

    # Forward

    def emit_forward(self, site: Site) -> None:
        """Emit the pass over some rows of the target, for some chunks of `filter_chunks`.

        `forward(grid, weights, bias, map, winners, first row, end row, first chunk, end chunk)`.
        """
        self.emit_pass(site.module, site.name("forward"), winners=site.training)

    def parts(self, processor: Processor) -> int:
        """Return the rows of the pass, or chunks of filters where rows are few."""
        chunks = self._chunks(processor.registers)
        return chunks if self._divides_filters(processor.registers) else self.pass_rows

    def run_forward(
        self, frame: Frame, maps: Ends, part: tuple[Number, Number] | None = None
    ) -> None:
        """Emit the call for one item, or some of its rows, or some chunks of its filters."""
        registers = frame.site.registers
        rows: tuple[Number, Number] = (0, self.pass_rows)
        chunks: tuple[Number, Number] = (0, self._chunks(registers))
        if part is not None and self._divides_filters(registers):
            chunks = part
        elif part is not None:
            rows = part
        frame.code.run(
            frame.site.name("forward"),
            *maps.sources,
            frame.at(Area.PACKED, "features"),
            frame.at(Area.PACKED, "bias"),
            maps.target,
            frame.at(Area.ITEM, "winners"),
            *(*rows, *chunks),
            *self.more_arguments(frame),
        )

    def more_arguments(self, frame: Frame) -> list[Value]:
        """Return the extra arguments of the forward function."""
        return []

    def _chunks(self, registers: int) -> int:
        return sum(chunk.count for chunk in filter_chunks(self, registers))

    def _divides_filters(self, registers: int) -> bool:
        # Small maps have too few rows for many threads; their filters are shared instead.
        return self.pass_rows < FEW_ROWS and self._chunks(registers) > self.pass_rows

    # Backward

    def emit_backward(self, site: Site) -> None:
        """Emit the function that `convolution_backward.backward` describes, or dense ones."""
        module, learns, passes_on = site.module, site.step.learns, site.step.passes_on
        if (flow := self._flow(site.step)) is not self.target:
            convolution_dense.lay_flow(module, site.name("lay_flow"), self, flow)
        if self.is_dense and learns:
            self.emit_by_features(module, site.name("by_features"), flow)
        if passes_on and (turned := self.reversed) is not None:
            turned.emit_pass(module, site.name("back_to_grid"), winners=False)
            if self.adds:
                name = site.name("add_to_grid")
                convolution_dense.add_maps(module, name, turned.target, self.source)
        elif self.is_dense and passes_on:
            convolution_dense.by_grid(module, site.name("by_grid"), self)
        if not self.is_dense and (learns or passes_on):
            convolution_backward.backward(
                module, site.name("back"), self, by_weights=learns, by_grid=passes_on
            )

    @property
    def reads_result(self) -> bool:
        """Whether the way back reads the maps: they say which cells were rectified."""
        return self.rectified

    @property
    def replaces_source(self) -> bool:
        """Whether the gradient may replace the source: it comes last, and from other memory."""
        return self.reversed is not None and not self.adds

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the calls for one item."""
        site, step = frame.site, frame.site.step
        by_weights = frame.at(Area.SUMS, "gradient of the features")
        by_bias = frame.at(Area.SUMS, "gradient of the bias")
        packed = frame.at(Area.PACKED, "features of the backward pass")
        if not self.is_dense:
            won = frame.at(Area.ITEM, "winners")
            lists = frame.at(Area.SCRATCH, "lists")
            frame.code.run(
                site.name("back"),
                *(*maps.sources, maps.target, won, gradients.target, packed),
                *(*gradients.sources, by_weights, by_bias, lists),
            )
            return
        flow = gradients.target
        if self._flow(step) is not self.target:
            flow = frame.at(Area.WORKSPACE, "gradient with a border")
            frame.code.run(site.name("lay_flow"), maps.target, gradients.target, flow)
        if step.learns:
            ends = *maps.sources, flow, by_weights, by_bias
            frame.code.run(site.name("by_features"), *ends, *self.features_arguments(frame))
        if step.passes_on and (turned := self.reversed) is not None:
            self._run_reversed(frame, turned, flow, gradients)
        elif step.passes_on:
            frame.code.run(site.name("by_grid"), flow, packed, *gradients.sources)

    def reduce(self, site: Site) -> list[Job]:
        """Return the jobs that store the gradients of features and bias."""
        name = site.name("unpack")
        if site.emits:
            packing.unpack_gradient(site.module, name, self)
        # The rows that tasks share: taps if filters lie side by side, else filters.
        rows = len(self.taps) if self.is_narrow else self.filters
        parts = min(rows, REDUCE_PARTS)

        def unpack(frame: Frame, number: Value) -> None:
            ends = part_of(frame.code, number, rows, parts)
            sums = frame.at(Area.SUMS, "gradient of the features")
            frame.code.run(name, sums, frame.gradient("weights"), *ends)

        jobs = [Job(parts, unpack)]
        if "bias" in site.step.slots:
            jobs.append(store_sums("gradient of the bias", "bias", self.filters))
        return jobs

    # Describing

    title: ClassVar[str] = "convolution"

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        width, windows, positions = self.tile_sizes(processor.registers)
        by_features = self.gradient_way if step.learns else _NO_FEATURES
        by_grid = _SIFTED_GRID
        if self.is_dense:
            by_grid = _PATCHES if self.reversed is None else _REVERSED
        by_grid = by_grid if step.passes_on else NO_GRADIENT
        vectors = "1 vector" if width == 1 else f"{width} vectors"
        tile = f"tiles of {positions} positions x {vectors} of filters{self.describe_tile()}"
        notes = (
            describe_maps(self.target),
            tile,
            f"gradient of the features, {by_features}",
            f"gradient of the grid, {by_grid}",
        )
        facts = {
            **maps_facts(self.target),
            "window": list(self.window) if self.pooled else None,
            "tile": {"vectors": width, "windows": windows, "positions": positions},
            "gradient": {
                "features": by_features.partition(":")[0],
                "grid": by_grid.partition(":")[0],
            },
        }
        return Description(self.title, notes, facts)

    def tile_sizes(self, registers: int) -> tuple[int, int, int]:
        """Return the vectors of filters, the windows and the positions of the usual tile."""
        width = filter_chunks(self, registers)[0].width
        # A map that is smaller than a window is one window, which its edge cuts.
        height, across = min(self.window[0], self.rows), min(self.window[1], self.columns)
        windows = 1
        if self.whole_windows(1):
            fewest, more = windows_of_tile(self, room_for(registers), width, height)
            windows = fewest + bool(more)
        return width, windows, windows * height * across

    def describe_tile(self) -> str:
        """Return what else there is to say of a tile."""
        return f", whole windows of {' x '.join(map(str, self.window))}" if self.pooled else ""

    @property
    def gradient_way(self) -> str:
        """How the gradient of the features is computed: in one word, and in a sentence."""
        if self.is_dense:
            return _SUMMED
        return _DENSE if self.is_narrow else _SIFTED


def settings_of(conv: Convolution) -> dict[str, Any]:
    """Return what a convolution is made of, for another way of the same."""
    return {each.name: getattr(conv, each.name) for each in fields(conv)}
