"""The contract of an engine, and the registry of engines."""

from __future__ import annotations

import abc
import importlib.util
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gridcnn.contracts.stage import HeadStage
from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.errors import EngineError, TrainingError, UnknownNameError, listed, quoted, shown
from gridcnn.forks import cached_property
from gridcnn.grid import Array, Cells, GridShape
from gridcnn.network import Network
from gridcnn.registry import Registry
from gridcnn.spec.models import Spec

ENGINES = Registry(
    "engine",
    {
        "native": "gridcnn.engines.native.engine:NativeEngine",
        "reference": "gridcnn.engines.reference:ReferenceEngine",
        "torch": "gridcnn.engines.torch.engine:TorchEngine",
    },
)
DEFAULT_ENGINE = "native"
PRECISIONS = ("float32", "bfloat16")
_NO_HEAD = "this network has no head: it makes maps, and gives no votes"
ANSWERED = 256
"""Most items that a model adapts and answers at a time."""


@dataclass(frozen=True)
class StepResult:
    """The results of one batch.

    Attributes:
        loss: the mean loss over the batch, as the network's head computes it.
        hits: how many items the network answered correctly.
        gradient: the gradient of the mean loss by the flat vector, 0 if nothing is trained.
        running: the running values after the step: for each of `network.running`, in their
            order, the values that come in its place, `(size,)`.
    """

    loss: float
    hits: int
    gradient: Array
    running: tuple[Array, ...] = ()


def take_running(network: Network, parameters: Array, gradient: Array) -> tuple[Array, ...]:
    """Return the new running values of a step, and clear their places in its gradient.

    There stands what was observed, the mean over the items: a value moves towards it by
    `1 - momentum`.
    """
    values = []
    for slot in network.running:
        observed, before = gradient[slot.part], parameters[slot.part]
        part = parameters.dtype.type(1 - slot.parameter.momentum)
        values.append(before + part * (observed - before))
        observed[...] = 0
    return tuple(values)


def generators(
    network: Network, random: np.random.Generator | None
) -> list[np.random.Generator | None]:
    """Return the generator of each operation for one step: each that draws has one of its own.

    So the numbers that an operation draws do not depend on the parts in which an engine takes a
    batch. A single operation that draws has `random` itself.
    """
    drawing = [number for number, op in enumerate(network.ops) if op.draws]
    streams: list[np.random.Generator | None] = [None] * len(network.ops)
    if random is None or not drawing:
        return streams
    if len(drawing) == 1:
        streams[drawing[0]] = random
        return streams
    seeds = random.integers(2**63, size=len(drawing))
    for number, seed in zip(drawing, seeds.tolist(), strict=True):
        streams[number] = np.random.default_rng(seed)
    return streams


@dataclass(frozen=True)
class PlanPart:
    """Stages that an engine computes together, and how.

    Attributes:
        stages: their labels in the network, in order.
        kernel: the code that computes them, in a few words.
        notes: how it is done, each in a line, for people.
        facts: the same for programs, as JSON can hold it.
    """

    stages: tuple[str, ...]
    kernel: str
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanDescription:
    """How an engine computes a network.

    Attributes:
        engine: its name.
        threads: the most threads it works with; None if it does not decide that.
        parts: all stages of the network, in order.
        notes: facts about all of them, each in a line, for people.
        facts: the same for programs, as JSON can hold it.
    """

    engine: str
    threads: int | None
    parts: tuple[PlanPart, ...]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    """The largest memory of an engine, in bytes, besides the parameters and grids that it gets.

    Attributes:
        training: to take training steps, with the gradient, and to answer in between.
        prediction: to answer.
    """

    training: int
    prediction: int


class Engine(abc.ABC):
    """Computes one network.

    Every method takes the flat parameter vector, so that an engine holds no state that training
    could leave behind. `grids` are `(items, channels, rows, columns)`, of any type of number and in
    any layout in memory, or a `OneHot`, which `numpy.asarray` converts to such an array; there may
    be no items. The arithmetic is in the precision of the parameters. The result for an item
    depends on that item alone, to the last bit, and not on the rest of the batch. Cells that are
    NaN or infinite are not an error: they are computed with like any numbers.

    Args:
        network: the network to compute.
        threads: the most threads to work with; None: as many as this process may use. Results do
            not depend on it, to the last bit, if the engine promises `same_bits`.
    """

    name = ""
    same_bits = True
    """Whether an item's answer is the same bits in any batch, and for any number of threads."""

    def __init__(self, network: Network, *, threads: int | None = None) -> None:
        self.network = network
        self.threads = threads

    @property
    def workers(self) -> int | None:
        """The most threads that work at a time; None if the engine does not decide that."""
        return self.threads

    @abc.abstractmethod
    def maps(self, parameters: Array, grids: Cells, *, after: int | None = None) -> Array:
        """Return the grids that come out after the operation with index `after`; None: the last."""

    @abc.abstractmethod
    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        random: np.random.Generator | None = None,
    ) -> StepResult:
        """Return loss and gradient for one batch; both are 0 for no items.

        Args:
            parameters: the flat vector.
            grids: the batch.
            targets: the right class of each item `(items,)`; or, if the head `takes_soft_targets`,
                parts of classes `(items, classes)`.
            weights: what the loss of each item is multiplied by before the mean is taken,
                `(items,)`, not below 0; None for 1.
            random: the generator for dropout; None for no dropout. Every engine leaves out the same
                with it.

        Raises:
            TrainingError: the network has no head.
            IndexError: `targets` are not the class of each item, or its parts of classes; or
                `weights` are not its weight.
        """

    def logits(self, parameters: Array, grids: Cells) -> Array:
        """Return what the head makes votes of, `(items, classes)`.

        Raises:
            TrainingError: the network has no head.
        """
        classes = self._classes
        if classes is None:
            raise TrainingError(_NO_HEAD)
        return self.maps(parameters, grids).reshape(-1, classes)

    @cached_property
    def _classes(self) -> int | None:
        """How many classes there are votes for; None without a head."""
        return None if self.network.head is None else self.network.classes

    @property
    def head(self) -> HeadStage:
        """The network's head, which makes votes, answers and losses of logits.

        Raises:
            TrainingError: the network has no head.
        """
        if self.network.head is None:
            raise TrainingError(_NO_HEAD)
        return self.network.head

    def move(
        self,
        name: str,  # noqa: ARG002
        vectors: Sequence[Array],  # noqa: ARG002
        numbers: Sequence[float],  # noqa: ARG002
    ) -> bool:
        """Do an optimizer's step on flat vectors, in place, in one pass.

        Returns:
            False if the engine has no code for it: NumPy then does the step.
        """
        return False

    def keep(self, cells: Cells, *, learns: bool) -> Cells:  # noqa: ARG002
        """Return the same grids, kept where the engine computes, if it is faster then.

        They pass for the ones that are given, each of which is finite. `learns` says whether steps
        are taken with them, or votes are asked for.
        """
        return cells

    def plan(self) -> PlanDescription:
        """Return how the engine computes the network; here stage by stage."""
        parts = tuple(PlanPart((op.label,), f"{self.name} arithmetic") for op in self.network.ops)
        return PlanDescription(self.name, self.workers, parts)

    def memory(self, batch_size: int) -> Memory:
        """Return what batches of so many items take; here of all their grids, forward and back."""
        forward = self.network.item_bytes * batch_size
        return Memory(2 * forward + 4 * self.network.parameters, forward)

    def settle(self) -> None:  # noqa: B027 - most have nothing to give back
        """Free the memory of training, which is over for now."""


@dataclass(frozen=True)
class EngineChoice:
    """An engine by name, with where and how precisely it computes.

    Users write it as one text: `native`, `torch`, `torch:cuda:1`, `torch:cuda:bfloat16`.

    Attributes:
        name: the name of the engine.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; None leaves it to the engine.
        precision: one of `PRECISIONS`.

    Raises:
        EngineError: the engine has no choice of devices or precisions, or there is no such one.
    """

    name: str
    device: str | None = None
    precision: str = PRECISIONS[0]

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise EngineError(
                f"there is no precision {quoted(self.precision)}; take {listed(PRECISIONS)}"
            )
        if self.device is not None and not _DEVICE.fullmatch(self.device):
            raise EngineError(
                f"{quoted(self.device)} is not a device; take cpu, cuda, cuda:1 (the second "
                "graphics card) or mps"
            )
        if self.name in _ON_PROCESSORS and (self.device or "cpu", self.precision) != _PLAIN:
            raise EngineError(
                f"the {self.name} engine computes on the processor, in float32; devices and "
                "bfloat16 are for the torch engine: --engine torch, or engine='torch:cuda'"
            )

    @classmethod
    def parse(cls, text: str | None) -> EngineChoice:
        """Return what a text says; None is the default engine."""
        if not isinstance(text, str | None):
            raise EngineError(f"an engine is given by its name; got {shown(text)}")
        name, _, rest = (text or DEFAULT_ENGINE).partition(":")
        words = rest.split(":") if rest else []
        precision = words.pop() if words and words[-1] in PRECISIONS else PRECISIONS[0]
        return cls(name, ":".join(words) or None, precision)

    def __str__(self) -> str:
        precision = None if self.precision == PRECISIONS[0] else self.precision
        return ":".join(filter(None, (self.name, self.device, precision)))


_DEVICE = re.compile(r"cpu|mps|cuda(:[0-9]{1,3})?")
_ON_PROCESSORS = ("native", "reference")
_PLAIN = ("cpu", PRECISIONS[0])


def choose_engine(
    name: str | None, device: str | None = None, precision: str | None = None
) -> str | None:
    """Return one text for an engine, its device and its precision; None for the default engine.

    Raises:
        EngineError: they do not go together.
    """
    if device is None and precision is None:
        return name
    chosen = EngineChoice.parse(name)
    return str(EngineChoice(chosen.name, device or chosen.device, precision or chosen.precision))


def check_choice(name: str | None, threads: int | None) -> None:
    """Raise if `make_engine` would, without loading anything.

    Raises:
        UnknownNameError: there is no engine of that name.
        EngineError: `threads` is not a number of threads, or the engine's package is missing.
    """
    chosen = EngineChoice.parse(name)
    if chosen.name not in ENGINES:
        raise UnknownNameError(ENGINES.unknown(chosen.name))
    if threads is not None and (
        isinstance(threads, bool) or not hasattr(threads, "__index__") or threads < 1
    ):
        raise EngineError(f"threads must be a whole number of at least 1; got {shown(threads)}")
    if chosen.name == "torch" and importlib.util.find_spec("torch") is None:
        raise EngineError(
            "the torch engine needs PyTorch, which is not installed: "
            'python -m pip install "gridcnn[torch]"'
        )


def make_engine(network: Network, name: str | None = None, *, threads: int | None = None) -> Engine:
    """Return the engine of that name for a network, as `EngineChoice` reads it.

    Raises:
        UnknownNameError: there is no engine of that name.
        EngineError: `threads` is not a number of threads, or the engine cannot work here.
    """
    check_choice(name, threads)
    count = None if threads is None else operator.index(threads)
    chosen = EngineChoice.parse(name)
    make = ENGINES[chosen.name]
    if chosen.device is None and chosen.precision == PRECISIONS[0]:
        engine: Engine = make(network, threads=count)
    else:
        engine = make(network, threads=count, device=chosen.device, precision=chosen.precision)
    return engine


def bind(
    spec: Spec,
    shape: GridShape,
    *,
    classes: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
) -> Engine:
    """Return the engine that does the arithmetic of a spec; its `network` has every shape.

    Args:
        spec: its stages are used, and its head if the number of classes is given.
        shape: the shape of the grids that go in.
        classes: how many classes the head votes for; None leaves the head out.
        engine: the name of the engine; None: the fastest there is.
        threads: the most threads that it works with; None: as many as this process may use.

    Raises:
        ShapeError: a stage cannot work on the grids that reach it.
        UnknownNameError, EngineError: as `make_engine`.
    """
    return make_engine(Network(spec, shape, classes=classes), engine, threads=threads)
