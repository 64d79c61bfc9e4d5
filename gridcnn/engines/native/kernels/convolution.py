"""Convolution, with the rectification and the pooling that follow it, in one pass.

Vectors lie along the filters. A tile is a few positions of the map times a few vectors of filters;
its sums stay in registers while the cells of the grid are spread from memory, one after the other.
Where pooling follows, a tile is whole windows: only the best of each is written.

A tile of 4 positions and 3 vectors of 16 filters keeps 12 sums in registers:

                  filters 0..15   16..31   32..47
    position 0         sum         sum       sum      for each tap and each channel:
    position 1         sum         sum       sum        load 3 vectors of features,
    position 2         sum         sum       sum        spread 4 cells of the grid,
    position 3         sum         sum       sum        and do 12 multiply-adds

The features are packed so that they are read from front to back, see `packing`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

from gridcnn.engines.native.emitter import (
    BYTE,
    INT,
    PTR,
    WORD,
    Code,
    Module,
    Number,
    Value,
    Variable,
    vector,
)
from gridcnn.engines.native.kernels import convolution_backward, packing
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
    MapsKernel,
    Site,
    Step,
    describe_maps,
    maps_facts,
    part_of,
)
from gridcnn.engines.native.layout import FEWEST_LANES, Maps, lanes_for
from gridcnn.engines.native.processor import Processor
from gridcnn.forks import cached_property
from gridcnn.network import Op
from gridcnn.stages.convolution import Convolution as ConvolutionStage
from gridcnn.stages.pooling import Pooling as PoolingStage
from gridcnn.stages.rectification import Rectification as RectificationStage

MOST_FUSED = 12
"""Most cells of a window that is pooled while its sums are in registers."""
DEAD = 255
"""Marks a window whose maximum was rectified to 0; no gradient flows through it."""

_SIFTED = "sifted: each filter has a list of the cells that have a gradient"
_DENSE = "dense: every cell is visited, since the grid has too few channels for a vector"
_NO_FEATURES = "none: they do not learn"
_SIFTED_GRID = "sifted: each cell has a list of the filters that have a gradient there"


@dataclass(frozen=True)
class Convolution(MapsKernel):
    """What one convolution does, with all sizes known.

    `rows` and `columns` are those of the map before pooling; `target` is what comes out.
    """

    stage = ConvolutionStage

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    rows: int
    columns: int
    bias: bool
    rectified: bool
    divisor: float = 1.0
    window: tuple[int, int] = (1, 1)
    step: tuple[int, int] = (1, 1)

    @property
    def pooled(self) -> bool:
        """Whether only the best of each window is kept."""
        return self.window != (1, 1) or self.step != (1, 1)

    @property
    def filters(self) -> int:
        """How many features there are."""
        return self.target.channels

    @property
    def lanes(self) -> int:
        """How wide the vectors along the filters are."""
        return self.target.lanes

    @property
    def vectors(self) -> int:
        """Vectors of filters in all."""
        return self.target.padded // self.lanes

    @cached_property
    def taps(self) -> list[tuple[int, int]]:
        """The cells of a feature, `(row, column)`."""
        return [(row, column) for row in range(self.kernel[0]) for column in range(self.kernel[1])]

    def widest(self, registers: int) -> int:
        """Return how many vectors of filters are worked on together, at most."""
        # The sums of one whole window have to fit into the registers: its cells times these vectors
        # are at most `room_for(registers)`, as long as `plan._joins` fuses no larger windows.
        cells = self.window[0] * self.window[1]
        if registers < 32:
            return 2 if cells <= 6 else 1
        if cells > 12:
            return 1
        return 3 if self.vectors % 3 == 0 and cells <= 4 else 2

    def whole_windows(self, axis: int) -> int:
        """Return how many windows along an axis the edge does not cut."""
        size, count = ((self.rows, self.target.rows), (self.columns, self.target.columns))[axis]
        fitting = (size - self.window[axis]) // self.step[axis] + 1
        return min(count, max(fitting, 0))

    def reach(self, row: int, column: int) -> int:
        """Return how far a tap lies from a position's first cell, in floats."""
        down, across = row * self.dilation[0], column * self.dilation[1]
        return down * self.source.step + across * self.source.padded

    def distance(self, rows: int, columns: int) -> int:
        """Return how far apart the patches of two positions are, in floats."""
        down = rows * self.stride[0] * self.source.step
        return down + columns * self.stride[1] * self.source.padded

    def origin(self, row: Number, column: Number) -> Number:
        """Return where the first cell of a position's patch stands in the grid, in floats."""
        return row * (self.stride[0] * self.source.step) + column * (
            self.stride[1] * self.source.padded
        )

    # What other ways of convolution change

    @property
    def feature_channels(self) -> int:
        """Channels of a feature in the flat vector."""
        return self.source.channels

    @property
    def packed_channels(self) -> int:
        """Channels of a feature in `features` and, if filters lie side by side, in its gradient."""
        return self.feature_channels

    @property
    def feature_size(self) -> int:
        """Floats of a feature in the flat vector."""
        return self.feature_channels * len(self.taps)

    @property
    def features_size(self) -> int:
        """Floats of all features as the forward pass reads them."""
        return len(self.taps) * self.packed_channels * self.target.padded

    @property
    def pass_rows(self) -> int:
        """The rows that the forward pass goes over."""
        return self.target.rows

    @property
    def is_narrow(self) -> bool:
        """Whether the grid has too few channels for vectors along them.

        The gradient of the features then has filters side by side, in vectors along these.
        """
        return self.source.channels < FEWEST_LANES

    # Choosing

    @classmethod
    def computes(cls, op: Op) -> bool:
        """Return whether an operation is a convolution without groups of channels."""
        if not super().computes(op):
            return False
        assert isinstance(op.stage, ConvolutionStage)
        return op.stage.group_count(op.input.channels) == 1

    @classmethod
    def joins(cls, ops: Sequence[Op], op: Op, processor: Processor) -> bool:
        """Return whether a rectification or a pooling is computed with the convolution."""
        kinds = [type(each.stage) for each in ops]
        if type(op.stage) is RectificationStage:
            return not op.stage.leak and RectificationStage not in kinds
        if type(op.stage) is not PoolingStage or PoolingStage in kinds:
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
        return cls(
            sources=(replace(bare, above=above, below=below, left=left, right=right),),
            target=Maps(*bundle.ops[-1].output.sizes, lanes),
            kernel=kernel,
            stride=stage.stride,
            dilation=stage.dilation,
            rows=first.output.rows,
            columns=first.output.columns,
            bias=stage.bias,
            rectified=any(type(op.stage) is RectificationStage for op in bundle.ops),
            divisor=float(size) if stage.scale == "match" else 1.0,
            window=window,
            step=step,
        )

    # Memory

    def lay_out(self, site: Site) -> None:
        """Take memory for features and bias, and in training for winners, sums and lists."""
        step, training, filters = site.step, site.training, self.target.padded
        # A winner is one byte, and has no border.
        cells = self.target.rows * self.target.columns * filters
        site.take(Area.ITEM, "winners", -(-cells // 4), when=training and self.pooled)
        site.take(Area.PACKED, "features", self.features_size)
        site.take(Area.PACKED, "bias", filters)
        if not training:
            return
        size = packing.backward_size(self)
        site.take(Area.PACKED, "features of the backward pass", size, when=step.passes_on)
        size = packing.gradient_size(self)
        site.take(Area.SUMS, "gradient of the features", size, when=step.learns)
        site.take(Area.SUMS, "gradient of the bias", filters, when=step.learns)
        # `reduce` adds up one row of packed gradients at a time there, long after the lists.
        row = max(filters, self.source.padded)
        site.take(Area.WORKSPACE, "lists", max(convolution_backward.Lists(self).size, row))

    # Packing

    def pack(self, site: Site) -> list[Job]:
        """Return the jobs that pack the features for both passes, and the bias."""
        step, channels = site.step, self.feature_channels
        self.emit_pack(site.module, site.name("pack"))
        jobs = [self._pack("pack", "features", channels)]
        if "bias" in step.slots:
            jobs.append(Job(1, self._pack_bias))
        if site.training and step.passes_on:
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

    @staticmethod
    def _pack(function: str, target: str, rows: int) -> Job:
        parts = min(rows, FEW_ROWS)

        def emit(frame: Frame, number: Value) -> None:
            features = frame.parameter("weights")
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
        module = site.module
        with module.function(site.name("forward"), *[PTR] * 5, *[INT] * 4) as (code, arguments):
            tile = _Tile(module, code, self, winners=site.training)
            emit_rows(code, self, arguments, tile)

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

    def more_arguments(self, frame: Frame) -> list[Value]:  # noqa: ARG002
        """Return what the forward function takes beside its usual arguments."""
        return []

    def _chunks(self, registers: int) -> int:
        return sum(chunk.count for chunk in filter_chunks(self, registers))

    def _divides_filters(self, registers: int) -> bool:
        # Small maps have too few rows for many threads; their filters are shared instead.
        return self.pass_rows < FEW_ROWS and self._chunks(registers) > self.pass_rows

    # Backward

    def emit_backward(self, site: Site) -> None:
        """Emit the function that `convolution_backward.backward` describes."""
        step = site.step
        convolution_backward.backward(
            site.module, site.name("back"), self, by_weights=step.learns, by_grid=step.passes_on
        )

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        ends = *maps.sources, maps.target
        won = frame.at(Area.ITEM, "winners")
        by_weights = frame.at(Area.SUMS, "gradient of the features")
        by_bias = frame.at(Area.SUMS, "gradient of the bias")
        packed = frame.at(Area.PACKED, "features of the backward pass")
        lists = frame.at(Area.WORKSPACE, "lists")
        sums = by_weights, by_bias, lists
        by_grid = gradients.sources
        frame.code.run(
            frame.site.name("back"), *ends, won, gradients.target, packed, *by_grid, *sums
        )

    def reduce(self, site: Site) -> list[Job]:
        """Return the jobs that add up the gradients of features and bias."""
        name, distance = site.name("unpack"), site.sums_size
        packing.unpack_gradient(site.module, name, self, distance=distance)
        # The rows that tasks share: taps if filters lie side by side, else filters.
        rows = len(self.taps) if self.is_narrow else self.filters
        parts = min(rows, REDUCE_PARTS)

        def unpack(frame: Frame, number: Value) -> None:
            ends = part_of(frame.code, number, rows, parts)
            sums, gradient = (
                frame.at(Area.SUMS, "gradient of the features"),
                frame.gradient("weights"),
            )
            row = frame.shards, frame.at(Area.WORKSPACE, "lists")
            frame.code.run(name, sums, gradient, *row, *ends)

        jobs = [Job(parts, unpack)]
        if "bias" in site.step.slots:
            packing.unpack_bias(site.module, site.name("unpack_bias"), self, distance=distance)
            jobs.append(Job(1, self._unpack_bias))
        return jobs

    @staticmethod
    def _unpack_bias(frame: Frame, number: Value) -> None:  # noqa: ARG004
        sums = frame.at(Area.SUMS, "gradient of the bias")
        name = frame.site.name("unpack_bias")
        frame.code.run(name, sums, frame.gradient("bias"), frame.shards)

    # Describing

    title: ClassVar[str] = "convolution"

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        width, windows, positions = self.tile_sizes(processor.registers)
        by_features = self.gradient_way if step.learns else _NO_FEATURES
        by_grid = _SIFTED_GRID if step.passes_on else NO_GRADIENT
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
        return _DENSE if self.is_narrow else _SIFTED


def settings_of(conv: Convolution) -> dict[str, Any]:
    """Return what a convolution is made of, for another way of the same."""
    return {each.name: getattr(conv, each.name) for each in fields(conv)}


@dataclass(frozen=True)
class Chunk:
    """Vectors of filters that are worked on together, `width` of them, `count` times."""

    first: int
    width: int
    count: int


def chunks(vectors: int, width: int) -> list[Chunk]:
    """Return how vectors of filters are taken: as many as fit together, then what is left."""
    parts = []
    if vectors >= width:
        parts.append(Chunk(0, width, vectors // width))
    if vectors % width:
        parts.append(Chunk(vectors - vectors % width, vectors % width, 1))
    return parts


def filter_chunks(conv: Convolution, registers: int) -> list[Chunk]:
    """Return the chunks of a convolution's filters; the packed weights lie in their order."""
    return chunks(conv.vectors, min(conv.widest(registers), conv.vectors))


def numbers(
    code: Code, kinds: Sequence[Chunk], start: Value, stop: Value
) -> Iterator[tuple[Chunk, Value]]:
    """Go over those chunks whose numbers, counted through all kinds, are in a range.

    Yields what each is, and its number in its kind.
    """
    before = 0
    for chunk in kinds:
        first = code.most(start - before, 0)
        end = code.least(stop - before, chunk.count)
        with code.loop(end, start=first) as number:
            yield chunk, number
        before += chunk.count


def best_of(
    code: Code, conv: Convolution, values: Sequence[Value], *, winners: bool
) -> tuple[Value, Value | None]:
    """Return the best of a window, and the number of its place, first come first served."""
    # Only what is greater replaces the best, so that the first of equal cells wins in every engine.
    best = values[0]
    places = code.constants([0] * conv.lanes, WORD)
    for place, value in enumerate(values[1:], 1):
        if winners:
            is_better = code.compare("ogt", value, best)
            places = code.select(is_better, code.constants([place] * conv.lanes, WORD), places)
        best = code.larger(best, value)
    if conv.rectified:
        if winners and conv.pooled:
            alive = code.compare("ogt", best, code.constant(0, conv.lanes))
            places = code.select(alive, places, code.constants([DEAD] * conv.lanes, WORD))
        best = code.rectify(best)
    if not (winners and conv.pooled):
        return best, None
    return best, code.cast("trunc", places, BYTE)


def emit_rows(code: Code, conv: Convolution, arguments: list[Value], tile: Tile) -> None:
    """Emit all chunks of filters, one after the other, for the rows that are asked for."""
    # Filters outermost: all rows use the features of a chunk before those of the next are needed.
    grid, weights, bias, out, won, start, stop, *chunks = arguments
    whole = conv.whole_windows(0)
    for chunk, features, number in tile.chunks(weights, *chunks):
        first = (number * chunk.width + chunk.first) * conv.lanes
        pointers = Pointers(
            grid,
            features,
            code.at(bias, first),
            code.at(out, first),
            code.at(won, first, BYTE),
        )
        with code.loop(code.least(stop, whole), start=start) as row:
            _row(tile, chunk.width, pointers, row, conv.window[0])
        if whole < conv.target.rows:
            with code.when(code.test("eq", stop, conv.target.rows)):
                height = conv.rows - whole * conv.step[0]
                _row(tile, chunk.width, pointers, code.value(whole), height)


def room_for(registers: int) -> int:
    """Return how many sums a tile keeps in registers; the others hold what is added to them."""
    return 24 if registers >= 32 else 12


def windows_of_tile(conv: Convolution, room: int, width: int, height: int) -> tuple[int, int]:
    """Return how many whole windows a tile has, and how many tiles of a row have one more.

    There are whole windows in a row; `width` vectors of filters are worked on together, and
    windows are `height` high.
    """
    # Tiles of nearly one size: 9 windows of which 4 fit are 3 + 3 + 3, and not 4 + 4 + 1.
    whole = conv.whole_windows(1)
    most = max(1, room // (width * height * conv.window[1]))
    return divmod(whole, -(-whole // most))


@dataclass(frozen=True)
class Pointers:
    """What a tile reads and writes, from its first filter on."""

    grid: Value
    weights: Value
    bias: Value
    out: Value
    won: Value


def _row(tile: Tile, width: int, pointers: Pointers, row: Value, height: int) -> None:
    """Emit one row of the target: tiles of two sizes that differ by one, then a cut window."""
    conv, code = tile.conv, tile.code
    whole = conv.whole_windows(1)
    if whole:
        narrow, more = windows_of_tile(conv, tile.room, width, height)
        if more:
            with code.loop(more * (narrow + 1), step=narrow + 1) as column:
                tile.emit(width, pointers, row, column, (height, conv.window[1]), narrow + 1)
        with code.loop(whole, start=more * (narrow + 1), step=narrow) as column:
            tile.emit(width, pointers, row, column, (height, conv.window[1]), narrow)
    if whole < conv.target.columns:
        rest = conv.columns - whole * conv.step[1]
        tile.emit(width, pointers, row, code.value(whole), (height, rest), 1)


class Tile(abc.ABC):
    """Emits the sums of a few windows next to each other, for a few vectors of filters."""

    def __init__(self, module: Module, code: Code, conv: Convolution, *, winners: bool) -> None:
        self.module = module
        self.code = code
        self.conv = conv
        self.winners = winners
        self.room = room_for(module.processor.registers)

    @abc.abstractmethod
    def chunks(
        self, weights: Value, start: Value, stop: Value
    ) -> Iterator[tuple[Chunk, Value, Value]]:
        """Go over some chunks of filters: what each is, its weights, and its number in its kind."""

    @abc.abstractmethod
    def add(
        self,
        pointers: Pointers,
        origin: Number,
        positions: list[tuple[int, int]],
        sums: list[list[Variable]],
    ) -> None:
        """Emit the sums for positions of the map, counted from the one at `origin` of the grid."""

    def emit(
        self,
        width: int,
        pointers: Pointers,
        row: Value,
        column: Value,
        window: tuple[int, int],
        windows: int,
    ) -> None:
        """Emit `windows` windows of a size from a place of the target on."""
        code, conv = self.code, self.conv
        positions = [
            (down, number * conv.step[1] + right)
            for number in range(windows)
            for down in range(window[0])
            for right in range(window[1])
        ]
        sums = self._start(width, pointers.bias, len(positions))
        origin = conv.origin(row * conv.step[0], column * conv.step[1])
        self.add(pointers, origin, positions, sums)
        cells = window[0] * window[1]
        for number in range(windows):
            part = sums[number * cells : (number + 1) * cells]
            place = conv.target.place(row, column + number)
            mark = (row * conv.target.columns + (column + number)) * conv.target.padded
            for each in range(width):
                values = [total[each].get() for total in part]
                if conv.divisor != 1:
                    shift = code.at(pointers.bias, each * conv.lanes)
                    values = [divide_sums(code, conv, value, shift) for value in values]
                best, winner = best_of(code, conv, values, winners=self.winners)
                code.store(best, code.at(pointers.out, place), each * conv.lanes)
                if winner is not None:
                    code.store(winner, code.at(pointers.won, mark, BYTE), each * conv.lanes)

    def _start(self, width: int, bias: Value, positions: int) -> list[list[Variable]]:
        code, lanes = self.code, self.conv.lanes
        # Sums start at the bias; those that are divided get it afterwards, see `divide_sums`.
        first = [code.constant(0, lanes)] * width
        if self.conv.bias and self.conv.divisor == 1:
            first = [code.load(bias, each * lanes, kind=vector(lanes)) for each in range(width)]
        return [[code.variable(each) for each in first] for _ in range(positions)]


def divide_sums(code: Code, conv: Convolution, total: Value, bias: Value) -> Value:
    """Return sums as matches, with their bias.

    Only what is divided after it is summed up is exactly 1 where every cell matches.
    """
    match = code.arithmetic("fdiv", total, code.constant(conv.divisor, conv.lanes))
    if not conv.bias:
        return match
    return code.arithmetic("fadd", match, code.load(bias, kind=vector(conv.lanes)))


class _Tile(Tile):
    def __init__(self, module: Module, code: Code, conv: Convolution, *, winners: bool) -> None:
        super().__init__(module, code, conv, winners=winners)
        self.taps = module.table([conv.reach(*tap) for tap in conv.taps])

    def chunks(
        self, weights: Value, start: Value, stop: Value
    ) -> Iterator[tuple[Chunk, Value, Value]]:
        """Go over the chunks; the weights of each lie together."""
        code, conv = self.code, self.conv
        kinds = filter_chunks(conv, self.module.processor.registers)
        for chunk, number in numbers(code, kinds, start, stop):
            of_one_filter = len(conv.taps) * conv.source.channels
            place = chunk.first * conv.lanes * of_one_filter
            size = chunk.width * conv.lanes * of_one_filter
            yield chunk, code.at(weights, number * size + place), number

    def add(
        self,
        pointers: Pointers,
        origin: Number,
        positions: list[tuple[int, int]],
        sums: list[list[Variable]],
    ) -> None:
        """Emit the sums: tap after tap, and in each channel after channel."""
        code, conv = self.code, self.conv
        channels = conv.source.channels
        unroll = next(each for each in (4, 3, 2, 1) if channels % each == 0)
        of_one = len(sums[0]) * conv.lanes
        base = code.at(pointers.grid, origin)
        # Taps outside, channels inside: the channels of a cell lie together, and so do the features
        # of a tap.
        with code.loop(len(conv.taps)) as tap:
            cells = code.at(base, code.load(Value(code, PTR, self.taps), tap, kind=INT))
            features = code.at(pointers.weights, tap * (channels * of_one))
            with code.loop(channels, step=unroll) as channel:
                here = code.at(cells, channel)
                feature = code.at(features, channel * of_one)
                for step in range(unroll):
                    self._one_channel(
                        code.at(here, step), code.at(feature, step * of_one), positions, sums
                    )

    def _one_channel(
        self,
        cells: Value,
        feature: Value,
        positions: list[tuple[int, int]],
        sums: list[list[Variable]],
    ) -> None:
        code, lanes = self.code, self.conv.lanes
        weights = [
            code.load(feature, each * lanes, kind=vector(lanes)) for each in range(len(sums[0]))
        ]
        for position, totals in zip(positions, sums, strict=True):
            cell = code.everywhere(cells, self.conv.origin(*position), lanes)
            for total, weight in zip(totals, weights, strict=True):
                total.set(code.multiply_add(cell, weight, total.get()))
