"""The plan: which stages are done together, by which kernel, and how their grids lie in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from gridcnn.engines.native.kernels.base import (
    Bundle,
    HeadKernel,
    Kernel,
    MapsKernel,
    MixingKernel,
    Step,
)
from gridcnn.engines.native.kernels.lookup import can_look_up
from gridcnn.engines.native.kernels.registry import choose_head, choose_kernel, joins
from gridcnn.engines.native.kernels.thinning import sparse_values
from gridcnn.engines.native.layout import FEWEST_LANES, Maps, lanes_for
from gridcnn.engines.native.processor import Processor
from gridcnn.forks import cached_property
from gridcnn.grid import GridShape
from gridcnn.network import GROUP, Op

# Items of a shard. Every shard reads all weights of the head; if these are many, larger shards read
# them less often. See `Plan.shard`.
_FEWEST, _MOST = 8, 16
_MANY_WEIGHTS = 250_000


@dataclass(frozen=True)
class Plan:
    """All that is done with an item, in order.

    Attributes:
        shape: the shape of the grids that go in.
        output: the shape of the output.
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

    @cached_property
    def wants_finite(self) -> bool:
        """Whether grids with cells that are not finite must go another way; indices are finite."""
        return not self.one_hot and any(step.kernel.finite_only for step in self.steps)

    @property
    def start(self) -> Maps:
        """How the grid lies that enters."""
        return self.values[0]

    @property
    def result(self) -> int:
        """The number of the maps that leave, or enter the head."""
        if self.head:
            return self.head.sources[0]
        return self.steps[-1].target if self.steps else 0

    @property
    def end(self) -> Maps:
        """How the last maps lie."""
        return self.values[self.result]

    @cached_property
    def goes_back(self) -> bool:
        """Whether anything before the head needs a gradient."""
        return self.wanted or any(step.learns for step in self.steps)

    @cached_property
    def mixes_items(self) -> bool:
        """Whether a step needs all items of a shard before it can go on in training."""
        return any(isinstance(step.kernel, MixingKernel) for step in self.steps)

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """The indices of the steps that read each value, in order; those of the head are not."""
        readers: list[list[int]] = [[] for _ in self.values]
        for number, step in enumerate(self.steps):
            for source in dict.fromkeys(step.sources):
                readers[source].append(number)
        return tuple(map(tuple, readers))

    @cached_property
    def factors(self) -> int:
        """How many random factors all steps take for each item of a training step."""
        return sum(step.kernel.factors for step in self.steps)

    @cached_property
    def shard(self) -> int:
        """How many items a shard of a training step has.

        It depends on the network alone, since sums are added shard by shard.
        """
        if self.mixes_items:
            return GROUP
        weights = self.head.kernel.weights if self.head else 0
        return _MOST if weights > _MANY_WEIGHTS else _FEWEST


def make_plan(
    ops: Sequence[Op],
    shape: GridShape,
    processor: Processor,
    *,
    one_hot: bool,
    wanted: bool,
    answers: bool = False,
    compact: bool = False,
) -> Plan:
    """Return the plan for operations that all have kernels; `shape` is that of the grids.

    `wanted` says that the gradient of the grids themselves is wanted, and `answers` that there is
    no training, so that more operations are computed together. `compact` plans choose kernels with
    little memory, which is slower.
    """
    output = ops[-1].output if ops else shape
    head = choose_head(ops[-1], processor) if ops else None
    groups = _groups(ops[:-1] if head else ops, processor, answers=answers)
    one_hot = one_hot and reads_indices(ops)
    # Values get new numbers: those that only operations of one group read and make are none.
    numbers = {ops[0].sources[0]: 0} if ops else {}
    for number, group in enumerate(groups):
        numbers[group[-1].target] = number + 1
    reads = [tuple(numbers[source] for source in group[0].sources) for group in groups]
    # How maps lie follows from the kernel that makes them; their borders from those that read them.
    bare = [_grid(shape, processor)]
    kernels: list[MapsKernel] = []
    sparse = sparse_values(ops)
    for number, group in enumerate(groups):
        entering = tuple(bare[source] for source in reads[number])
        indices, few = one_hot and 0 in reads[number], group[-1].target in sparse
        ops_together = tuple(group)
        bundle = Bundle(ops_together, entering, processor, indices, few, compact)
        kernels.append(choose_kernel(bundle))
        bare.append(kernels[-1].target)
    wishes: list[list[Maps]] = [[] for _ in bare]
    for sources, kernel in zip(reads, kernels, strict=True):
        for source, maps in zip(sources, kernel.sources, strict=True):
            wishes[source].append(maps)
    values = tuple(_widen(maps, wished) for maps, wished in zip(bare, wishes, strict=True))
    steps: list[Step[MapsKernel]] = []
    # Of all that read a value, the last one comes back first: it may write what the others add to.
    last_reader = {source: number for number, sources in enumerate(reads) for source in sources}
    needed = [wanted]  # for each value, whether its gradient is needed
    for number, (group, kernel) in enumerate(zip(groups, kernels, strict=True)):
        entering = tuple(values[source] for source in reads[number])
        views, starts = _views(entering, kernel.sources)
        placed = kernel.with_maps(views, values[number + 1])
        twice = len(set(reads[number])) < len(reads[number])
        if twice or any(last_reader[source] > number for source in reads[number]):
            placed = placed.adding()
        passes_on = any(needed[source] for source in reads[number])
        step = _step(group, placed, reads[number], number + 1, passes_on=passes_on, starts=starts)
        steps.append(step)
        needed.append(step.learns or passes_on)
    last = None
    if head:
        result = numbers[ops[-1].sources[0]]
        last = _step(ops[-1:], head, (result,), len(groups) + 1, passes_on=needed[result])
    return Plan(shape, output, values, tuple(steps), last, one_hot, wanted)


def reads_indices(ops: Sequence[Op]) -> bool:
    """Return whether all operations that read the input can look one-hot grids up."""
    readers = [op for op in ops if ops[0].sources[0] in op.sources]
    return bool(readers) and all(can_look_up(op) for op in readers)


def _groups(ops: Sequence[Op], processor: Processor, *, answers: bool) -> list[list[Op]]:
    """Return the operations in groups that are done together."""
    readers = Counter(source for op in ops for source in op.sources)
    groups: list[list[Op]] = []
    for op in ops:
        # What is read by others as well has to be written to memory: nothing is fused beyond it.
        follows = groups and op.sources == (groups[-1][-1].target,) and readers[op.sources[0]] == 1
        if follows and joins(groups[-1], op, processor, answers=answers):
            groups[-1].append(op)
        else:
            groups.append([op])
    return groups


def _views(
    entering: Sequence[Maps], wished: Sequence[Maps]
) -> tuple[tuple[Maps, ...], tuple[int, ...]]:
    """Return maps as a kernel reads them, and where they begin, in floats from the value's start.

    A kernel reads maps with the border that it asked for. Where another kernel asked for a wider
    one, it begins further inside, and its rows are as long as they are in memory.
    """
    views, starts = [], []
    for buffer, wish in zip(entering, wished, strict=True):
        maps = buffer
        down, across = maps.above - wish.above, maps.left - wish.left
        starts.append(down * maps.step + across * maps.padded)
        if down or across:
            maps = replace(maps, above=wish.above, left=wish.left, right=maps.right + across)
        views.append(maps)
    return tuple(views), tuple(starts)


def _grid(shape: GridShape, processor: Processor) -> Maps:
    """Return how the grid lies that enters; one of few channels is as narrow as it comes."""
    narrow = shape.channels < FEWEST_LANES
    return Maps(*shape.sizes, 1 if narrow else lanes_for(shape.channels, processor))


def _widen(maps: Maps, wished: Sequence[Maps]) -> Maps:
    """Return maps with a border as wide as all that read them wish, and as they wish them."""
    if not wished:
        return maps
    # Indices take one row and one channel, whatever the grid has.
    sides = ("above", "below", "left", "right")
    border = {side: max(getattr(each, side) for each in wished) for side in sides}
    return replace(wished[0], **border)


_K = TypeVar("_K", bound=Kernel)


def _step(
    ops: Sequence[Op],
    kernel: _K,
    sources: tuple[int, ...],
    target: int,
    *,
    passes_on: bool,
    starts: tuple[int, ...] = (0,),
) -> Step[_K]:
    # Two operations may have parameters of one name, such as a bias.
    slots = {slot.parameter.name: slot for slot in ops[0].slots}
    for op in ops[1:]:
        slots |= {f"{op.stage_name}.{slot.parameter.name}": slot for slot in op.slots}
    learns = any(slot.parameter.role != "fixed" for slot in slots.values())
    return Step(tuple(ops), kernel, sources, starts, target, slots, learns, passes_on)
