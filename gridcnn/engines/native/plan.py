"""The plan: which stages are done together, by which kernel, and how their grids lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gridcnn.engines.native.kernels.convolution import Convolution
from gridcnn.engines.native.kernels.lookup import Lookup
from gridcnn.engines.native.kernels.pooling import Pooling
from gridcnn.engines.native.kernels.voting import Layer
from gridcnn.engines.native.kernels.winograd import Winograd, cells_under, choose_kernel
from gridcnn.engines.native.layout import FEWEST_LANES, Maps, lanes_for
from gridcnn.engines.native.processor import Processor
from gridcnn.forks import cached_property
from gridcnn.grid import GridShape
from gridcnn.network import Op, Slot
from gridcnn.stages.convolution import Convolution as ConvolutionStage
from gridcnn.stages.pooling import Pooling as PoolingStage
from gridcnn.stages.rectification import Rectification as RectificationStage
from gridcnn.stages.voting import Votes

_MOST_FUSED = 12
"""Most cells of a window that is pooled while its sums are in registers."""
# Items of a shard. Every shard reads all weights of the voting layers; if these are many, larger
# shards read them less often. See `Plan.shard`.
_FEWEST, _MOST = 8, 16
_MANY_VOTES = 250_000
KERNELS = (ConvolutionStage, PoolingStage, RectificationStage, Votes)
"""The stages that there are kernels for."""


def has_kernel(op: Op) -> bool:
    """Return whether an operation is done natively; a subclass may compute whatever it likes."""
    stage = op.stage
    if type(stage) is ConvolutionStage:
        return stage.group_count(op.input.channels) == 1
    if type(stage) is RectificationStage:
        return not stage.leak
    return type(stage) in KERNELS


@dataclass(frozen=True)
class Step:
    """Stages that are done in one pass over the maps of an item."""

    ops: tuple[Op, ...]
    work: Convolution | Pooling | None
    source: Maps
    target: Maps
    weights: Slot | None = None
    bias: Slot | None = None
    learns: bool = False
    passes_on: bool = False

    @property
    def convolution(self) -> Convolution:
        """What is done, where it is a convolution."""
        assert isinstance(self.work, Convolution)
        return self.work

    @property
    def has_winners(self) -> bool:
        """Whether training remembers which cell of a window won."""
        return isinstance(self.work, Convolution) and self.work.pooled


@dataclass(frozen=True)
class VotingLayer:
    """A voting layer, and where its numbers are in the flat vector."""

    layer: Layer
    weights: int
    bias: int
    dropout: float


@dataclass(frozen=True)
class Plan:
    """All that is done with an item, in order.

    `start` is where the first step finds the grid. `one_hot` says that it finds indices there.
    """

    shape: GridShape
    output: GridShape
    start: Maps
    steps: tuple[Step, ...]
    voting: tuple[VotingLayer, ...]
    one_hot: bool
    wanted: bool

    def ingredients(self) -> list[str]:
        """Return all that programs for this plan depend on, as texts."""
        texts = [f"{self.shape.sizes} {self.output.sizes} {self.one_hot} {self.wanted}"]
        texts += [str(self.start), str(self.shard), str(self.voting)]
        for step in self.steps:
            slots = [
                None if slot is None else (slot.start, slot.parameter.size)
                for slot in (step.weights, step.bias)
            ]
            texts.append(
                f"{step.work} {step.source} {step.target} {slots} {step.learns} {step.passes_on}"
            )
        return texts

    @property
    def wants_finite(self) -> bool:
        """Whether grids with cells that are not finite must go another way; indices are finite."""
        return not self.one_hot and any(isinstance(step.work, Winograd) for step in self.steps)

    @property
    def end(self) -> Maps:
        """How the last maps lie."""
        return self.steps[-1].target if self.steps else self.start

    @cached_property
    def shard(self) -> int:
        """How many items a shard of a training step has.

        It depends on the network alone, since sums are added shard by shard.
        """
        votes = sum(each.layer.inputs * each.layer.outputs for each in self.voting)
        return _MOST if votes > _MANY_VOTES else _FEWEST


def make_plan(
    ops: Sequence[Op], shape: GridShape, processor: Processor, *, one_hot: bool, wanted: bool
) -> Plan:
    """Return the plan for operations that all have kernels; `shape` is that of the grids.

    `wanted` says that the gradient of the grids themselves is wanted.
    """
    voting: tuple[VotingLayer, ...] = ()
    output = ops[-1].output if ops else shape
    if ops and type(ops[-1].stage) is Votes:
        voting = _voting(ops[-1], processor)
        ops = ops[:-1]
    groups = _groups(ops, processor)
    one_hot = one_hot and bool(groups) and can_look_up(groups[0][0])
    steps: list[Step] = []
    start = source = _grid(shape, groups[0] if groups else None, processor, raw=True)
    if one_hot:
        start = source = _indices(groups[0][0])
    learning = wanted
    for number, group in enumerate(groups):
        following = groups[number + 1] if number + 1 < len(groups) else None
        # Stages that change no channels go on with grids that are narrower than a vector.
        raw = source.lanes == 1 and type(group[0].stage) is not ConvolutionStage
        target = _grid(group[-1].output, following, processor, raw=raw)
        step = _step(group, source, target, lookup=one_hot and number == 0, passes_on=learning)
        steps.append(step)
        learning = learning or step.learns
        source = target
    return Plan(shape, output, start, tuple(steps), voting, one_hot, wanted)


def can_look_up(op: Op) -> bool:
    """Return whether an operation is a convolution whose features are as high as its grids."""
    stage = op.stage
    if type(stage) is not ConvolutionStage:
        return False
    (above, below), _ = stage.borders(op.input)
    height = stage.kernel(op.input)[0]
    return not above + below and height == op.input.rows and stage.dilation[0] == 1


def _groups(ops: Sequence[Op], processor: Processor) -> list[list[Op]]:
    """Return the operations in groups that are done together."""
    groups: list[list[Op]] = []
    for op in ops:
        if groups and _joins(groups[-1], op, processor):
            groups[-1].append(op)
        else:
            groups.append([op])
    return groups


def _joins(group: list[Op], op: Op, processor: Processor) -> bool:
    """Return whether an operation is done together with the convolution before it."""
    if type(group[0].stage) is not ConvolutionStage:
        return False
    kinds = [type(each.stage) for each in group]
    if type(op.stage) is RectificationStage:
        return RectificationStage not in kinds
    if type(op.stage) is not PoolingStage or PoolingStage in kinds:
        return False
    # All cells of a window are summed in registers at the same time, and windows that overlap would
    # be computed more than once.
    window, stride = op.stage.sizes(op.input)
    most = _MOST_FUSED if processor.registers < 32 else 2 * _MOST_FUSED
    apart = window[0] <= stride[0] and window[1] <= stride[1]
    return op.stage.mode == "max" and apart and window[0] * window[1] <= most


def _grid(shape: GridShape, reader: list[Op] | None, processor: Processor, *, raw: bool) -> Maps:
    """Return how maps lie that a group reads; raw ones may be narrower than a vector."""
    narrow = raw and shape.channels < FEWEST_LANES
    lanes = 1 if narrow else lanes_for(shape.channels, processor)
    maps = Maps(shape.channels, shape.rows, shape.columns, lanes)
    if reader is None or type(reader[0].stage) is not ConvolutionStage:
        return maps
    (above, below), (left, right) = reader[0].stage.borders(shape)
    maps = Maps(shape.channels, shape.rows, shape.columns, lanes, above, below, left, right)
    # Tiles may reach beyond the map, and what they read has to be there.
    target = Maps(*reader[-1].output.sizes, lanes_for(reader[0].output.channels, processor))
    conv = choose_kernel(_convolution(reader, reader[0].stage, maps, target))
    if isinstance(conv, Winograd):
        down, across = cells_under(conv)
        below = max(below, down - above - shape.rows)
        right = max(right, across - left - shape.columns)
    return Maps(shape.channels, shape.rows, shape.columns, lanes, above, below, left, right)


def _indices(op: Op) -> Maps:
    assert isinstance(op.stage, ConvolutionStage)
    _, (left, right) = op.stage.borders(op.input)
    return Maps(1, 1, op.input.columns, 1, 0, 0, left, right)


def _step(group: list[Op], source: Maps, target: Maps, *, lookup: bool, passes_on: bool) -> Step:
    first = group[0]
    ops = tuple(group)
    if isinstance(first.stage, PoolingStage):
        window, stride = first.stage.sizes(first.input)
        work = Pooling(source, target, window, stride, first.stage.mode == "mean")
        return Step(ops, work, source, target, passes_on=passes_on)
    if not isinstance(first.stage, ConvolutionStage):
        return Step(ops, None, source, target, passes_on=passes_on)
    conv = _convolution(group, first.stage, source, target)
    if lookup:
        # The rows of a one-hot grid have become the values of its indices.
        kernel = (1, conv.kernel[1])
        conv = Lookup(**{**vars(conv), "kernel": kernel}, symbols=first.input.rows)
    slots = {slot.parameter.name: slot for slot in first.slots}
    return Step(
        ops,
        choose_kernel(conv),
        source,
        target,
        slots["weights"],
        slots.get("bias"),
        learns=first.stage.trainable,
        passes_on=passes_on,
    )


def _convolution(
    group: list[Op], stage: ConvolutionStage, source: Maps, target: Maps
) -> Convolution:
    """Return a convolution with what is done together with it."""
    first = group[0]
    kernel = stage.kernel(first.input)
    window, stride = (1, 1), (1, 1)
    for op in group:
        if isinstance(op.stage, PoolingStage):
            window, stride = op.stage.sizes(op.input)
    divisor = float(first.input.channels * kernel[0] * kernel[1]) if stage.scale == "match" else 1.0
    return Convolution(
        source=source,
        target=target,
        kernel=kernel,
        stride=stage.stride,
        dilation=stage.dilation,
        rows=first.output.rows,
        columns=first.output.columns,
        bias=stage.bias,
        rectified=any(type(op.stage) is RectificationStage for op in group),
        divisor=divisor,
        window=window,
        step=stride,
    )


def _voting(op: Op, processor: Processor) -> tuple[VotingLayer, ...]:
    stage = op.stage
    assert isinstance(stage, Votes)
    starts = {slot.parameter.name: slot.start for slot in op.slots}
    layers = stage.layers(op.input.cells)
    result = []
    for number, (name, inputs, outputs) in enumerate(layers):
        hidden = number < len(layers) - 1
        result.append(
            VotingLayer(
                Layer(inputs, outputs, processor.lanes, rectified=hidden),
                starts[f"{name}.weights"],
                starts[f"{name}.bias"],
                # Dropout of what enters the first layer, where it is the only one.
                stage.dropout if number or len(layers) == 1 else 0.0,
            )
        )
    return tuple(result)
