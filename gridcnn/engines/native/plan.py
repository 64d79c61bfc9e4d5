"""The plan: which stages are done together, by which kernel, and how their grids lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from gridcnn.engines.native.kernels.base import Bundle, HeadKernel, Kernel, MapsKernel, Step
from gridcnn.engines.native.kernels.lookup import can_look_up
from gridcnn.engines.native.kernels.registry import choose_head, choose_kernel, joins
from gridcnn.engines.native.layout import FEWEST_LANES, Maps, lanes_for
from gridcnn.engines.native.processor import Processor
from gridcnn.forks import cached_property
from gridcnn.grid import GridShape
from gridcnn.network import Op

# Items of a shard. Every shard reads all weights of the head; if these are many, larger shards read
# them less often. See `Plan.shard`.
_FEWEST, _MOST = 8, 16
_MANY_WEIGHTS = 250_000


@dataclass(frozen=True)
class Plan:
    """All that is done with an item, in order.

    Attributes:
        shape: the shape of the grids that go in.
        output: the shape of what comes out.
        values: how maps lie in memory: number 0 is the grid that enters, each step makes one more.
        steps: what is computed, in topological order; each step knows which values it reads.
        head: what comes after the last step, for several items together; None without a head.
        one_hot: whether the grid that enters is there as indices.
        wanted: whether the gradient of the grids themselves is wanted.
    """

    shape: GridShape
    output: GridShape
    values: tuple[Maps, ...]
    steps: tuple[Step[MapsKernel], ...]
    head: Step[HeadKernel] | None
    one_hot: bool
    wanted: bool

    def ingredients(self) -> list[str]:
        """Return all that programs for this plan depend on, as texts."""
        texts = [f"{self.shape.sizes} {self.output.sizes} {self.one_hot} {self.wanted}"]
        texts += [str(self.values), str(self.shard)]
        texts += [step.ingredients() for step in self.steps]
        return texts + ([self.head.ingredients()] if self.head else [])

    @property
    def wants_finite(self) -> bool:
        """Whether grids with cells that are not finite must go another way; indices are finite."""
        return not self.one_hot and any(step.kernel.finite_only for step in self.steps)

    @property
    def start(self) -> Maps:
        """How the grid lies that enters."""
        return self.values[0]

    @property
    def result(self) -> int:
        """The number of the last maps."""
        return self.steps[-1].target if self.steps else 0

    @property
    def end(self) -> Maps:
        """How the last maps lie."""
        return self.values[self.result]

    @property
    def goes_back(self) -> bool:
        """Whether anything before the head needs a gradient."""
        return self.wanted or any(step.learns for step in self.steps)

    @cached_property
    def shard(self) -> int:
        """How many items a shard of a training step has.

        It depends on the network alone, since sums are added shard by shard.
        """
        weights = self.head.kernel.weights if self.head else 0
        return _MOST if weights > _MANY_WEIGHTS else _FEWEST


def make_plan(
    ops: Sequence[Op], shape: GridShape, processor: Processor, *, one_hot: bool, wanted: bool
) -> Plan:
    """Return the plan for operations that all have kernels; `shape` is that of the grids.

    `wanted` says that the gradient of the grids themselves is wanted.
    """
    output = ops[-1].output if ops else shape
    head = choose_head(ops[-1], processor) if ops else None
    groups = _groups(ops[:-1] if head else ops, processor)
    one_hot = one_hot and bool(groups) and can_look_up(groups[0][0])
    # Operations are a chain: each group reads what the one before it makes. All that follows asks
    # `reads`, so that only this line has to change for others.
    reads = [(number,) for number in range(len(groups))]
    # How maps lie follows from the kernel that makes them; their borders from those that read them.
    bare = [_grid(shape, processor)]
    kernels: list[MapsKernel] = []
    for number, group in enumerate(groups):
        entering = tuple(bare[source] for source in reads[number])
        bundle = Bundle(tuple(group), entering, processor, one_hot=one_hot and not number)
        kernels.append(choose_kernel(bundle))
        bare.append(kernels[-1].target)
    wishes: list[list[Maps]] = [[] for _ in bare]
    for sources, kernel in zip(reads, kernels, strict=True):
        for source, maps in zip(sources, kernel.sources, strict=True):
            wishes[source].append(maps)
    values = tuple(_widen(maps, wished) for maps, wished in zip(bare, wishes, strict=True))
    steps: list[Step[MapsKernel]] = []
    needed = [wanted]  # for each value, whether its gradient is needed
    for number, (group, kernel) in enumerate(zip(groups, kernels, strict=True)):
        placed = kernel.with_maps(tuple(values[each] for each in reads[number]), values[number + 1])
        passes_on = any(needed[source] for source in reads[number])
        steps.append(_step(group, placed, reads[number], number + 1, passes_on=passes_on))
        needed.append(steps[-1].learns or passes_on)
    last = None
    if head:
        result = len(groups)
        last = _step(ops[-1:], head, (result,), result + 1, passes_on=needed[result])
    return Plan(shape, output, values, tuple(steps), last, one_hot, wanted)


def _groups(ops: Sequence[Op], processor: Processor) -> list[list[Op]]:
    """Return the operations in groups that are done together."""
    groups: list[list[Op]] = []
    for op in ops:
        if groups and joins(groups[-1], op, processor):
            groups[-1].append(op)
        else:
            groups.append([op])
    return groups


def _grid(shape: GridShape, processor: Processor) -> Maps:
    """Return how the grid lies that enters; one of few channels is as narrow as it comes."""
    narrow = shape.channels < FEWEST_LANES
    return Maps(*shape.sizes, 1 if narrow else lanes_for(shape.channels, processor))


def _widen(maps: Maps, wished: Sequence[Maps]) -> Maps:
    """Return maps with a border as wide as all that read them wish, and as they wish them."""
    if not wished:
        return maps
    sides = ("above", "below", "left", "right")
    border = {side: max(getattr(each, side) for each in wished) for side in sides}
    return replace(wished[0], **border)


_K = TypeVar("_K", bound=Kernel)


def _step(
    ops: Sequence[Op], kernel: _K, sources: tuple[int, ...], target: int, *, passes_on: bool
) -> Step[_K]:
    slots = {slot.parameter.name: slot for op in ops for slot in op.slots}
    learns = any(slot.parameter.trainable for slot in slots.values())
    return Step(tuple(ops), kernel, sources, target, slots, learns, passes_on)
