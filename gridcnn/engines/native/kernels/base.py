"""What a kernel is: machine code for operations that are computed together, and all it needs.

A kernel is one class in a file of this folder, listed in `registry`. `plan` asks the classes which
of them takes some operations; `builder` then goes through this protocol for each step of the plan,
without knowing which kernel it has before it:

    lay_out         takes memory                                  before any code is made
    fold, pack      jobs: parameters into the kernel's own order  phases `fold` and `pack`
    emit_forward    emits functions; `run_forward` calls them     phase `shard` (or one of its own)
    emit_backward   emits functions; `run_backward` calls them    phase `shard` of a training step
    reduce          jobs: the sums become the gradient            phase `reduce`
    describe        says in words and numbers what was chosen     `gridcnn show --plan`

There are two kinds. A `MapsKernel` goes from the maps of one item to its next maps. A `HeadKernel`
comes last, and works on rows of numbers of several items, because its weights are many and are
read once for all of them.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from gridcnn.contracts.stage import Merge, Stage
from gridcnn.engines.native.emitter import Code, Module, Number, Value
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.phases import Arguments
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Arena, Argument
from gridcnn.network import Op
from gridcnn.network import Slot as ParameterSlot

# None of these numbers changes a bit of a result: they say which task does what, and each number is
# still made by one task, from the same terms in the same order.
FEW_ROWS = 8
"""Too few rows to share them among threads, in one item; enough parts of what is packed."""
REDUCE_PARTS = 32
"""Parts into which the storing of one step's gradients is divided."""


# What is small here is a named tuple: to make a frozen dataclass takes half a millisecond, and the
# first answer of a process would wait for it.

# Memory -----------------------------------------------------------------------------------------


class Area(enum.Enum):
    """The memory of a program, by how often there is a piece of it; drawn in `build_training`."""

    ITEM = "each item of a shard that is trained; each thread that answers"
    WORKSPACE = "each thread; and each part of an item, if threads share one workspace"
    SCRATCH = "each call of a kernel; all steps share it"
    PACKED = "the whole program"
    SUMS = "each shard of a training step"
    ROWS = "each item of a batch that is trained; of a shard that is answered"


class Space(NamedTuple):
    """Where the memory of an area comes from, and how many pieces of each part are needed."""

    arena: Arena
    pieces: int = 1


@dataclass
class Scratch:
    """Memory for a single call of a kernel, as much as the one that needs most.

    Attributes:
        size: floats, once all steps have taken theirs.
        start: where it begins in a thread's memory, once that is known.
        maps: where maps with a border lie that all steps share, see `Site.share`.
    """

    size: int = 0
    start: int = 0
    maps: dict[tuple[str, Maps], int] = field(default_factory=dict)


class Site:
    """A step of a plan in a program: its parameters, its memory, the names of its functions.

    Attributes:
        step: what is computed.
        module: where functions are emitted.
        training: whether the program is that of a training step.
        together: the largest number of items of a shard.
        spaces: where memory comes from.
        scratch: memory that all steps share.
        emits: whether functions have to be emitted: they are shared by all steps of equal kernels.
    """

    def __init__(
        self,
        step: Step[Any],
        number: int | None,
        module: Module,
        spaces: Mapping[Area, Space],
        scratch: Scratch,
        *,
        training: bool,
        together: int,
        like: int | None = None,
    ) -> None:
        self.step = step
        self.scratch = scratch
        self.module = module
        self.spaces = spaces
        self.training = training
        self.together = together
        self._number = number
        # The first step with an equal kernel, whose functions this one calls.
        self._like = number if like is None else like
        self.emits = self._like == number
        self._places: dict[tuple[Area, str], tuple[int, int]] = {}
        # Random factors of one item that steps before this one take.
        self.factors_start = 0

    def name(self, role: str) -> str:
        """Return the name of a function, the same for all steps of equal kernels."""
        return role if self._like is None else f"{role}{self._like}"

    @property
    def registers(self) -> int:
        """The vector registers of the processor."""
        return self.module.processor.registers

    def take(self, area: Area, name: str, floats: int, *, when: bool = True) -> None:
        """Take memory. Unless `when`, take none; its address is then one that must not be used.

        Functions have the same arguments whether or not a program needs all of them, for example
        with and without a gradient of the grid.
        """
        label = "head" if self._number is None else f"step {self._number + 1}"
        if area is Area.SCRATCH:
            pieces = self.spaces[Area.WORKSPACE].pieces
            self.scratch.size = max(self.scratch.size, floats * pieces if when else 0)
            self._places[area, name] = 0, floats
            return
        space = self.spaces[area]
        place = space.arena.take(f"{label}: {name}", floats * space.pieces) if when else 0
        self._places[area, name] = place, floats

    def share(self, name: str, maps: Maps) -> None:
        """Take memory of a thread for maps that are needed during single calls.

        Steps whose maps lie alike share it, so that the border stays 0 and the cells stay near.
        """
        shared = self.scratch.maps
        if (name, maps) not in shared:
            self.take(Area.WORKSPACE, name, maps.size)
            shared[name, maps], _ = self.place(Area.WORKSPACE, name)
        self._places[Area.WORKSPACE, name] = shared[name, maps], maps.size

    def place(self, area: Area, name: str) -> tuple[int, int]:
        """Return where a part that was taken begins, and the floats of one piece."""
        return self._places[area, name]


class Frame(NamedTuple):
    """What the code of a task can reach of its step's memory.

    Attributes:
        site: the step.
        arguments: the table of the program's arguments.
        workspace: the thread's memory.
        item: the item's memory.
        sums: the shard's sums; None for those of the first shard.
        part: which part of an item this is, if several are computed in one workspace.
    """

    site: Site
    arguments: Arguments
    workspace: Value
    item: Value | None = None
    sums: Value | None = None
    part: Number = 0

    @property
    def code(self) -> Code:
        """Where instructions are written."""
        return self.arguments.code

    def at(self, area: Area, name: str) -> Value:
        """Return the address of a part that `Site.take` took."""
        place, floats = self.site.place(area, name)
        if area is Area.PACKED:
            return self.arguments.constant(Argument.PACKED, place, floats)
        if area is Area.SUMS and self.sums is None:
            return self.arguments.address(Argument.SUMS, place)
        if area is Area.SCRATCH:
            start = self.part * floats + self.site.scratch.start
            return self.code.at(self.workspace, start)
        if area is Area.WORKSPACE:
            return self.code.at(self.workspace, self.part * floats + place)
        base = self.item if area is Area.ITEM else self.sums
        assert base is not None
        return self.code.at(base, place)

    def row(self, name: str, number: Number, item: Number) -> Value:
        """Return where the row of an item begins: `number` counts in its shard, `item` in all.

        The rows of the items that follow in the shard lie behind it.
        """
        place, floats = self.site.place(Area.ROWS, name)
        if not self.site.training:
            return self.code.at(self.workspace, number * floats + place)
        # Rows of a training step outlive the shards: `reduce` reads those of the whole batch.
        start = self.arguments.number(Argument.ITEMS) * place + item * floats
        return self.arguments.address(Argument.ROWS, start)

    def parameter(self, name: str) -> Value:
        """Return the address of a parameter in the flat vector."""
        slot = self.site.step.slots[name]
        return self.arguments.constant(Argument.PARAMETERS, slot.start, slot.parameter.size)

    def gradient(self, name: str) -> Value:
        """Return the address of a parameter's gradient in the flat vector."""
        return self.arguments.address(Argument.GRADIENT, self.site.step.slots[name].start)


class Ends(NamedTuple):
    """The addresses of the maps that a step reads and writes; or of the gradients of these maps."""

    sources: tuple[Value, ...]
    target: Value


class Job(NamedTuple):
    """Work of a phase, in parts that any threads do; `emit` gets the number of a part."""

    parts: int
    emit: Callable[[Frame, Value], None]


def part_of(code: Code, number: Value, rows: int, parts: int) -> tuple[Value, Value]:
    """Return the first and the end row of one of `parts` parts of `rows` rows."""
    first = code.value(code.divide(number * rows, parts))
    return first, code.value(code.divide((number + 1) * rows, parts))


def store_sums(name: str, parameter: str, floats: int) -> Job:
    """Return the job that stores sums that lie as their gradient does."""

    def emit(frame: Frame, number: Value) -> None:  # noqa: ARG001
        frame.code.copy(frame.gradient(parameter), frame.at(Area.SUMS, name), floats)

    return Job(1, emit)


# Kernels ----------------------------------------------------------------------------------------


class Bundle(NamedTuple):
    """Operations that are to be computed together.

    Attributes:
        ops: the operations; each reads the output of the one before it.
        sources: how the maps lie that they read, still without any border.
        processor: what code is made for.
        one_hot: whether the grid that enters is one-hot, and may be read as indices.
        sparse: whether few cells of the result have a gradient, since the largest of a window
            passes it back alone.
        compact: whether little memory matters more than speed.
    """

    ops: tuple[Op, ...]
    sources: tuple[Maps, ...]
    processor: Processor
    one_hot: bool = False
    sparse: bool = False
    compact: bool = False


class Description(NamedTuple):
    """What a kernel says of itself: its name, lines for people, and the same for programs."""

    kernel: str
    notes: tuple[str, ...]
    facts: Mapping[str, Any]


NO_GRADIENT = "none: nothing before it learns"
"""What a kernel says of the gradient of its grid if the step does not pass one on."""


class Kernel(abc.ABC):
    """What both kinds of kernels have; a kernel holds the sizes that its code is made for.

    Attributes:
        stage: the stage that operations of this kernel begin with.
        finite_only: whether items with NaN or infinite cells must be computed another way.
    """

    stage: ClassVar[type[Stage | Merge]]
    finite_only: ClassVar[bool] = False

    @classmethod
    def computes(cls, op: Op) -> bool:
        """Return whether operations of this kernel may begin with this one."""
        # A subclass of the stage may compute whatever it likes, and has no kernel.
        return type(op.stage) is cls.stage

    def lay_out(self, site: Site) -> None:  # noqa: B027 - some need nothing else
        """Take the memory that the kernel needs besides the maps that it reads and writes."""

    def fold(self, site: Site) -> list[Job]:
        """Return the jobs that come before all packing; their functions are emitted here too."""
        return []

    def pack(self, site: Site) -> list[Job]:
        """Return the jobs that bring parameters into the kernel's order.

        Their functions are emitted here too, if the site `emits`.
        """
        return []

    @abc.abstractmethod
    def emit_forward(self, site: Site) -> None:
        """Emit the functions that compute the output."""

    @abc.abstractmethod
    def emit_backward(self, site: Site) -> None:
        """Emit the functions that compute gradients; called if the step learns or passes on."""

    def reduce(self, site: Site) -> list[Job]:
        """Return the jobs that write the gradient of the parameters.

        Their functions are emitted here too, if the site `emits`. Called if the step learns. The
        sums of all shards have been added up before, in the memory of the first shard. Each number
        must be made by one part of one job: then it is the same bits for any number of threads.
        """
        return []

    @abc.abstractmethod
    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""


@dataclass(frozen=True)
class MapsKernel(Kernel):
    """A kernel from the maps of one item to its next maps.

    Attributes:
        sources: how the maps lie that it reads.
        target: how the maps lie that it writes.
        adds: whether `run_backward` adds to the gradients of the sources, which the builder sets
            to 0 before; otherwise it writes every cell of them.
    """

    sources: tuple[Maps, ...]
    target: Maps
    adds: bool = field(default=True, kw_only=True)

    @classmethod
    def joins(cls, ops: Sequence[Op], op: Op, processor: Processor, *, answers: bool) -> bool:
        """Return whether an operation can be computed with those before it.

        `answers` says that the code is not for training, whose backward pass needs all maps.
        """
        return False

    @classmethod
    @abc.abstractmethod
    def take(cls, bundle: Bundle) -> Self | None:
        """Return the kernel for a bundle; None if another kernel has to take it.

        Its sources have the border that it reads; its target has none, since only the plan knows
        who reads it.
        """

    def with_maps(self, sources: tuple[Maps, ...], target: Maps) -> Self:
        """Return the kernel with maps as they lie at last.

        `above` and `left` of a source are those that the kernel asked for; `below` and `right` may
        be wider. The target has the borders of all that read it.
        """
        return replace(self, sources=sources, target=target)

    def adding(self) -> Self:
        """Return the kernel so that its backward pass adds to the gradients of its sources."""
        return self if self.adds else replace(self, adds=True)

    @property
    def reads_result(self) -> bool:
        """Whether `run_backward` reads the maps that the forward pass wrote."""
        return True

    @property
    def replaces_source(self) -> bool:
        """Whether `run_backward` may write the gradient of its source over the source itself."""
        return False

    @property
    def factors(self) -> int:
        """How many random factors it takes for each item of a training step."""
        return 0

    def run_enter(self, frame: Frame, item: Value) -> None:
        """Emit the code that first handles the factors of an item (its number in the batch)."""

    @property
    def source(self) -> Maps:
        """How the maps lie that it reads, if these are all."""
        (source,) = self.sources
        return source

    def parts(self, processor: Processor) -> int:
        """Return into how many parts the work on one item can be divided; they are equal."""
        return 1

    def run_forward(
        self, frame: Frame, maps: Ends, part: tuple[Number, Number] | None = None
    ) -> None:
        """Emit the call for one item: all of it, or from a first part to an end.

        Here all of it, with nothing but the maps; `parts` is then 1.
        """
        frame.code.run(frame.site.name("forward"), *maps.sources, maps.target)

    @abc.abstractmethod
    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call that computes gradients for one item."""


@dataclass(frozen=True)
class MixingKernel(MapsKernel):
    """A kernel that needs all items of a shard in training, before it can compute any of them.

    In a training step the builder calls `run_observe` for each item, `run_settle` once, and then
    `run_forward` for each item; on the way back `run_gather` for each item, `run_settle_back` once,
    and then `run_backward` for each item. Answers need `run_forward` alone.
    """

    @abc.abstractmethod
    def emit_observe(self, site: Site) -> None:
        """Emit the functions that training needs besides `emit_forward`."""

    @abc.abstractmethod
    def begin(self, frame: Frame, maps: Ends) -> None:
        """Emit what comes before the first item of a shard; `maps` are those of the first item."""

    @abc.abstractmethod
    def run_observe(self, frame: Frame, maps: Ends) -> None:
        """Emit the call that takes one item into the statistics."""

    @abc.abstractmethod
    def run_settle(self, frame: Frame, count: Value) -> None:
        """Emit the call that prepares the statistics of `count` items for `run_forward`."""

    @abc.abstractmethod
    def run_gather(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call that takes one item's gradient into the sums over the shard."""

    @abc.abstractmethod
    def run_settle_back(self, frame: Frame, count: Value) -> None:
        """Emit the call that turns these sums into what `run_backward` needs."""


class HeadKernel(Kernel):
    """A kernel from the numbers of several items to their logits, and back from the loss.

    An item's numbers are a row, in the order of the flat grid `(channels, rows, columns)`.
    """

    @classmethod
    @abc.abstractmethod
    def take(cls, op: Op, processor: Processor) -> Self | None:
        """Return the kernel for an operation; None if another kernel has to take it."""

    @property
    @abc.abstractmethod
    def weights(self) -> int:
        """How many weights it reads for every shard."""

    @property
    @abc.abstractmethod
    def dropouts(self) -> Sequence[tuple[int, float]]:
        """How many values dropout multiplies for each item, and its rate, in order."""

    @property
    @abc.abstractmethod
    def scales_input(self) -> bool:
        """Whether dropout multiplies the numbers that enter."""

    @property
    @abc.abstractmethod
    def parts(self) -> Sequence[int]:
        """The layers: into how many parts each can be divided for one item."""

    @abc.abstractmethod
    def entry(self, frame: Frame, number: Number, item: Number) -> Value:
        """Return where an item's numbers go: it is `number` of its shard, and `item` of all."""

    @abc.abstractmethod
    def entry_factors(self, frame: Frame, item: Value) -> Value:
        """Return the address of the factors of the input; 0 for none."""

    @abc.abstractmethod
    def entry_gradient(self, frame: Frame, number: Value) -> Value:
        """Return where the gradient of an item's numbers is, once `run_step` was done."""

    @abc.abstractmethod
    def run_forward(self, frame: Frame, first: Value, count: Value) -> None:
        """Emit the logits of `count` items from `first` on."""

    @abc.abstractmethod
    def run_part(self, frame: Frame, layer: int, part: tuple[Value, Value]) -> None:
        """Emit some parts of a layer, for one item."""

    @abc.abstractmethod
    def run_step(self, frame: Frame, first: Value, count: Value) -> None:
        """Emit logits, loss, and gradients back to what entered, for items of a training step."""


# Steps ------------------------------------------------------------------------------------------

K_co = TypeVar("K_co", bound=Kernel, covariant=True)


@dataclass(frozen=True)
class Step(Generic[K_co]):
    """Operations that a plan computes together, by one kernel.

    Attributes:
        ops: the operations.
        kernel: what computes them.
        sources: the numbers of the values that are read; see `Plan.values`.
        starts: where the maps that the kernel reads begin, in floats from the start of each value.
        target: the number of the value that is made.
        slots: the parameters by name, and where they lie in the flat vector.
        learns: whether training changes a parameter.
        passes_on: whether the gradients of the sources are needed.
    """

    ops: tuple[Op, ...]
    kernel: K_co
    sources: tuple[int, ...]
    starts: tuple[int, ...]
    target: int
    slots: Mapping[str, ParameterSlot]
    learns: bool
    passes_on: bool

    def ingredients(self) -> str:
        """Return all that a program depends on, as text."""
        slots = [(name, slot.start, slot.parameter.size) for name, slot in self.slots.items()]
        ends = f"{self.sources} {self.starts} {self.target} {self.learns} {self.passes_on}"
        return f"{self.kernel} {slots} {ends}"

    def describe(self, processor: Processor) -> Description:
        """Return what the plan says of it."""
        return self.kernel.describe(self, processor)


def describe_maps(maps: Maps) -> str:
    """Return in words how maps lie."""
    if maps.lanes == 1:
        return f"maps of {maps.channels} channels, one number at a time"
    spare = maps.padded - maps.channels
    padded = f", padded to {maps.padded}" if spare else ""
    return f"maps of {maps.channels} channels in vectors of {maps.lanes}{padded}"


def maps_facts(maps: Maps) -> dict[str, Any]:
    """Return the same for programs."""
    return {"channels": maps.channels, "lanes": maps.lanes, "padded": maps.padded}
