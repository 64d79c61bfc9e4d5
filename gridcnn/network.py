"""A spec bound to a grid shape: every shape, parameter and cost is known, and can be printed.

A network is a graph of values. Value 0 is the grid that enters; each operation reads one or more
values and makes the next one. The operations are in topological order, so that running them one
after the other always works. Stages that follow each other are a chain; a composite stage expands
into operations and merges:

    stages      convolution        skip: [convolution, rectification]        pooling
    operations  1 convolution      2.1 convolution  2.2 rectification  2 sum     3 pooling
    reads       0                  1                2                  1, 3      4
    makes       1                  2                3                  4         5

All parameters lie in one flat vector. A network knows which part of it belongs to which operation,
in their order, each parameter in C order: a convolution's `weights` are
`(filters, channels, rows, columns)` and then its `bias`; the voting head's layers follow each
other, `weights` `(outputs, inputs)` and then `bias`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gridcnn.contracts.stage import Composite, HeadStage, Merge, Parameter, Stage
from gridcnn.errors import ShapeError, UserError, listed, quoted, shown, suggestion
from gridcnn.forks import cached_property
from gridcnn.grid import Array, GridShape
from gridcnn.settings.choice import name_of
from gridcnn.settings.document import Path
from gridcnn.spec.models import STAGES, Spec
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.merging import Sum
from gridcnn.stages.normalization import Normalization
from gridcnn.streams import Stream

MAX_PARAMETERS = 500_000_000
MAX_CELLS = 1_000_000_000
MAX_OPERATIONS = 20_000
MAX_DEPTH = 64
"""Most parts of a label's number; composite stages of another package may expand without end."""
GROUP = 16
"""Items whose statistics are taken together in training, see `groups_of`."""
_SHOWN_SHAPES = 4  # at either end of the chain of shapes that an error shows


@dataclass(frozen=True)
class Slot:
    """A parameter and its place in the flat vector."""

    parameter: Parameter
    start: int

    @property
    def part(self) -> slice:
        """The part of the flat vector that holds it."""
        return slice(self.start, self.start + self.parameter.size)


@dataclass(frozen=True)
class Op:
    """One operation of a network: what it reads, what it makes, and its parameters.

    Attributes:
        label: unique within the network: the number of the stage and its name, `2 pooling`; inside
            of a composite stage `3.1 convolution`.
        stage: what is computed: a stage on one value, or a merge of several.
        sources: the numbers of the values that it reads; one unless the stage is a `Merge`.
        target: the number of the value that it makes.
        inputs: the shapes of the sources.
        output: the shape of the target.
        place: where the stage stands in the spec.
        slots: its parameters.
    """

    label: str
    stage: Stage | Merge
    sources: tuple[int, ...]
    target: int
    inputs: tuple[GridShape, ...]
    output: GridShape
    place: Path
    slots: tuple[Slot, ...] = ()

    @property
    def input(self) -> GridShape:
        """The shape of its first source."""
        return self.inputs[0]

    @property
    def parameters(self) -> int:
        """How many numbers the operation has."""
        return sum(slot.parameter.size for slot in self.slots)

    @cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds for one item."""
        if isinstance(self.stage, Merge):
            return self.stage.multiply_adds(self.inputs)
        return self.stage.multiply_adds(self.input)

    @property
    def stage_name(self) -> str:
        """The name of the stage, as `normalization`."""
        return self.label.rpartition(" ")[2]

    @property
    def working_bytes(self) -> int:
        """Memory for one item, in bytes, beside input and output, in the reference arithmetic."""
        return 0 if isinstance(self.stage, Merge) else self.stage.working_bytes(self.input)

    @property
    def mixes_items(self) -> bool:
        """Whether in training the output for an item depends on the other items."""
        return not isinstance(self.stage, Merge) and self.stage.mixes_items

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training."""
        return not isinstance(self.stage, Merge) and self.stage.draws

    def views(self, vector: Array) -> dict[str, Array]:
        """Return the operation's parameters as views into the flat vector, by name."""
        return {
            slot.parameter.name: vector[slot.part].reshape(slot.parameter.shape)
            for slot in self.slots
        }


@dataclass(frozen=True)
class Group:
    """The operations of a composite stage, or of one of its chains.

    Attributes:
        label: `3 skip`; of a chain its number alone, `3.2`.
        depth: how many groups it is inside of.
        start, stop: its operations are `network.ops[start:stop]`.
    """

    label: str
    depth: int
    start: int
    stop: int


class Network:
    """A graph of operations for grids of one shape.

    `head` is the stage of the last operation, if the spec has a head and the number of classes is
    known; otherwise it is None.

    Raises:
        ShapeError: a stage cannot work on the grids that reach it, or the network is larger than
            any memory. The problem has the place of the stage in the spec.
    """

    def __init__(self, spec: Spec, shape: GridShape, *, classes: int | None = None) -> None:
        self.spec = spec
        self.shape = shape
        self.classes = classes
        graph = _Graph(spec, shape)
        graph.chain(spec.stages, 0, place=("stages",))
        self.head: HeadStage | None = None
        if spec.head is not None and classes is not None:
            self.head = spec.head.stage(classes)
            label = f"{len(spec.stages) + 1} {self.head.title or 'head'}"
            graph.bind(label, self.head, (graph.value,), ("head",))
        graph.refuse_unread()
        self.ops: tuple[Op, ...] = tuple(graph.ops)
        self.groups: tuple[Group, ...] = tuple(graph.groups)
        self.result = graph.value

    def _repr_html_(self) -> str:
        from gridcnn.report.running.notebook import network_html

        return network_html(self)

    @cached_property
    def values(self) -> tuple[GridShape, ...]:
        """The shape of each value: of the grid that enters, and of what each operation makes."""
        return (self.shape, *(op.output for op in self.ops))

    @cached_property
    def last_readers(self) -> tuple[int, ...]:
        """The index of the last operation that reads each value; that of its maker if none does."""
        last = [max(value - 1, 0) for value in range(len(self.ops) + 1)]
        for number, op in enumerate(self.ops):
            for source in op.sources:
                last[source] = number
        return tuple(last)

    @cached_property
    def running(self) -> tuple[Slot, ...]:
        """The parameters that training moves towards what it observes."""
        return tuple(
            slot for op in self.ops for slot in op.slots if slot.parameter.role == "running"
        )

    @cached_property
    def mixes_items(self) -> bool:
        """Whether in training the output for an item depends on its group of items."""
        return any(op.mixes_items for op in self.ops)

    @property
    def output(self) -> GridShape:
        """The shape of the network's output."""
        return self.values[self.result]

    @cached_property
    def parameters(self) -> int:
        """The length of the flat vector."""
        return sum(op.parameters for op in self.ops)

    @cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds for one item, forward."""
        return sum(op.multiply_adds for op in self.ops)

    @property
    def item_bytes(self) -> int:
        """Bytes of one item's forward pass, with every grid kept as in training."""
        grids = self.shape.cells + sum(op.output.cells for op in self.ops)
        return 4 * grids + sum(op.working_bytes for op in self.ops)

    def mask(self, quality: Literal["trainable", "decays"]) -> NDArray[np.bool_]:
        """Return a mask over the flat vector: whether each number is `trainable`, or `decays`."""
        mask = np.zeros(self.parameters, bool)
        for op in self.ops:
            for slot in op.slots:
                mask[slot.part] = getattr(slot.parameter, quality)
        return mask

    def starting_parameters(self, dtype: DTypeLike = np.float32, *, again: int = 0) -> Array:
        """Return a flat vector to start training from, drawn by the spec's seed.

        `again` gives other starts by the same seed: 1, 2, ...

        Weights have mean 0 and variance `2 / fan_in` (He et al., 2015) or
        `2 / (fan_in + fan_out)` (Glorot and Bengio, 2010), biases are 0, and written-out features
        are as they were written. Convolutions at the end of a branch that is added to others start
        smaller, see `_gains`.
        """
        parts = (again,) if again else ()
        random = Stream.STARTING_WEIGHTS.random(self.spec.training.seed, *parts)
        vector = np.zeros(self.parameters, np.float64)
        for op, gain in zip(self.ops, _gains(self), strict=True):
            for slot in op.slots:
                parameter = slot.parameter
                if parameter.written is not None:
                    vector[slot.part] = np.ravel(parameter.written)
                elif parameter.fan_in:
                    he = self.spec.training.start == "he"
                    fans = parameter.fan_in + (0 if he else parameter.fan_out)
                    spread = gain * parameter.gain * math.sqrt(2 / fans)
                    vector[slot.part] = random.normal(0, spread, parameter.size)
        return vector.astype(dtype)

    def named(self, vector: Array) -> dict[str, Array]:
        """Return every parameter as a view, under `<number>.<stage>.<name>`."""
        return {
            f"{op.label.replace(' ', '.')}.{name}": view
            for op in self.ops
            for name, view in op.views(vector).items()
        }

    def value_name(self, index: int) -> str:
        """Return which number of the flat vector this is, as `1.convolution.weights[0,0,2,1]`.

        Raises:
            IndexError: the vector is not so long.
        """
        for op in self.ops:
            for slot in op.slots:
                if slot.part.start <= index < slot.part.stop:
                    place = np.unravel_index(index - slot.part.start, slot.parameter.shape)
                    label = op.label.replace(" ", ".")
                    return f"{label}.{slot.parameter.name}[{','.join(map(str, place))}]"
        raise IndexError(f"there is no number {index}; the vector has {self.parameters:,}")

    def value_after(self, stage: int | str) -> int:
        """Return the number of the output value of a stage.

        Args:
            stage: the number of a stage of the spec, from 1, or 0 for the grid that enters; or, as
                text, a label or its number: `7`, `4.1.2 pooling`, `4.1.2`, `7 shortcut`.

        Raises:
            UserError: there is no such stage.
        """
        if isinstance(stage, int | str) and not isinstance(stage, bool):
            value = self._values_by_label.get(str(stage))
            if value is not None:
                return value
        raise UserError(f"there is no stage {stage}; 0 is the grid itself, {self._others(stage)}")

    @cached_property
    def _values_by_label(self) -> dict[str, int]:
        """The output value of each operation and each group, by label and by number."""
        values = {"0": 0}
        # The number of a composite stage is that of its group, and not of its own operations.
        for op in self.ops:
            values[op.label] = values[op.label.partition(" ")[0]] = op.target
        for group in self.groups:
            if group.stop > group.start:
                value = self.ops[group.stop - 1].target
                values[group.label] = values[group.label.partition(" ")[0]] = value
        return values

    def _others(self, stage: object) -> str:
        """Return what else there is, for an error."""
        composites = {group.label.partition(" ")[0]: group.label for group in self.groups}
        # In the order of the spec, each once, and those inside left out.
        numbers = {op.label.partition(".")[0].partition(" ")[0]: op.label for op in self.ops}
        stages = [composites.get(number, label) for number, label in numbers.items()]
        if not stages:
            return "and there are no stages"
        inside = [op.label for op in self.ops if "." in op.label.partition(" ")[0]]
        more = f", and inside of them, as text, such as '{inside[0]}'" if inside else ""
        near = suggestion(stage, self._values_by_label) if isinstance(stage, str) else ""
        return f"then: {listed(stages)}{more}{near}"

    def vector(self, named: Mapping[str, Array]) -> Array:
        """Return the flat float32 vector made of named parameters.

        Raises:
            ValueError: a parameter is missing, one too many, or has another shape.
        """
        vector = np.empty(self.parameters, np.float32)
        views = self.named(vector)
        if set(named) != set(views):
            wrong = listed(
                [quoted(name)[1:-1] for name in sorted(set(named) ^ set(views))], limit=5
            )
            raise ValueError(f"the parameters do not fit the network: {wrong}")
        for name, view in views.items():
            if named[name].shape != view.shape or named[name].dtype != np.float32:
                raise ValueError(
                    f"{name} must be float32 {view.shape}; got {named[name].dtype} "
                    f"{named[name].shape}"
                )
            view[...] = named[name]
        return vector


class _Graph:
    """A network in the making: implements `gridcnn.contracts.stage.Graph`."""

    def __init__(self, spec: Spec, shape: GridShape) -> None:
        self.spec = spec
        self.ops: list[Op] = []
        self.groups: list[Group] = []
        self.value = 0
        self._shapes = [shape]
        self._parameters = 0
        # Where new operations belong: numbers for labels, and the place of their stage in the spec.
        self._numbers: tuple[str, ...] = ()
        self._place: Path = ()
        self._names: dict[type, str] = {}
        self._labels: set[str] = set()

    def shape(self, value: int) -> GridShape:
        """Return the shape of a value."""
        return self._shapes[value]

    def chain(
        self, stages: Sequence[Stage | Composite], value: int, *, place: Path, part: str = ""
    ) -> int:
        """Add stages, one after the other; return the output value."""
        outside = self._numbers, self._place
        start, depth = len(self.ops), len(self._numbers)
        self._numbers = (*self._numbers, part) if part else self._numbers
        self.value = value
        for number, stage in enumerate(stages):
            self._place = (*outside[1], *place, number)
            name = self._name(stage)
            if isinstance(stage, Composite):
                self.value = self._expand(stage, f"{number + 1}", name)
            else:
                label = ".".join((*self._numbers, f"{number + 1}"))
                self.value = self.bind(f"{label} {name}", stage, (self.value,), self._place)
        if part:
            label = ".".join(self._numbers)
            self.groups.append(Group(label, depth, start, len(self.ops)))
        self._numbers, self._place = outside
        return self.value

    def add(
        self, stage: Stage | Merge, *values: int, name: str | None = None, place: Path = ()
    ) -> int:
        """Add an operation of the composite's own; return the output value."""
        if name is None:
            name = stage.name if isinstance(stage, Merge) else self._name(stage)
        label = f"{'.'.join(self._numbers)} {name}"
        return self.bind(label, stage, values, (*self._place, *place))

    def bind(self, label: str, stage: Stage | Merge, sources: tuple[int, ...], place: Path) -> int:
        """Add an operation under its full label; return the output value."""
        if label in self._labels:
            reason = (
                "there are two operations of this label; their composite stage is broken: it has "
                "to give its chains a 'part', and its own operations a 'name'"
            )
            raise ShapeError(self.spec.document.problem(place, f"{label}: {reason}"))
        self._labels.add(label)
        inputs = tuple(self._shapes[source] for source in sources)
        try:
            output = stage.output(inputs) if isinstance(stage, Merge) else stage.output(*inputs)
        except ValueError as error:
            raise self._error(label, error, sources[0], place) from None
        slots: list[Slot] = []
        for parameter in () if isinstance(stage, Merge) else stage.parameters(*inputs):
            slots.append(Slot(parameter, self._parameters))
            self._parameters += parameter.size
        self.ops.append(
            Op(label, stage, sources, len(self._shapes), inputs, output, place, tuple(slots))
        )
        self._shapes.append(output)
        self._refuse_if_too_large(label, output, place)
        self.value = len(self._shapes) - 1
        return self.value

    def refuse_unread(self) -> None:
        """Raise `ShapeError` if nothing reads what an operation makes: its stage is broken."""
        read = {self.value, *(source for op in self.ops for source in op.sources)}
        for op in self.ops:
            if op.target not in read:
                reason = f"{op.label}: nothing uses its output; its composite stage is broken"
                raise ShapeError(self.spec.document.problem(op.place, reason))

    def _expand(self, stage: Composite, number: str, name: str) -> int:
        outside = self._numbers
        self._numbers = (*outside, number)
        label = f"{'.'.join(self._numbers)} {name}"
        if len(self._numbers) > MAX_DEPTH:
            reason = "its composite stage is broken: it expands into itself, without end"
            raise ShapeError(self.spec.document.problem(self._place, f"{label}: {reason}"))
        entering, start, place = self.value, len(self.ops), self._place
        self._place = (*place, name)
        try:
            value = stage.expand(self, entering)
        except ShapeError:
            raise
        except ValueError as error:
            raise self._error(label, error, entering, place) from None
        if not (isinstance(value, int) and 0 <= value < len(self._shapes)):
            reason = f"its composite stage is broken: expand returned {shown(value)}, not a value"
            raise ShapeError(self.spec.document.problem(place, f"{label}: {reason}"))
        self.groups.append(Group(label, len(outside), start, len(self.ops)))
        self._numbers, self._place = outside, place
        return value

    def _name(self, stage: Stage | Composite) -> str:
        # Looked up once for each class: a network may have thousands of stages.
        kind = type(stage)
        if kind not in self._names:
            self._names[kind] = name_of(stage, STAGES)
        return self._names[kind]

    def _refuse_if_too_large(self, label: str, output: GridShape, place: Path) -> None:
        if self._parameters > MAX_PARAMETERS or output.cells > MAX_CELLS:
            reason = (
                f"{self._parameters:,} parameters so far and {output.cells:,} cells "
                f"for each item are more than the {MAX_PARAMETERS:,} and {MAX_CELLS:,} "
                "allowed; use fewer filters, smaller layers, or pooling before them"
            )
        elif len(self.ops) > MAX_OPERATIONS:
            reason = (
                f"the network has more than the {MAX_OPERATIONS:,} operations allowed; use fewer "
                "stages, or fewer repetitions"
            )
        else:
            return
        raise ShapeError(self.spec.document.problem(place, f"{label}: {reason}"))

    def _error(self, label: str, reason: ValueError, value: int, place: Path) -> ShapeError:
        chain = ", ".join(self._shapes_before(value))
        message = f"{label}: {reason}. The grids: {chain}"
        return ShapeError(self.spec.document.problem(place, message))

    def _shapes_before(self, value: int) -> list[str]:
        """Return the shapes on the way to a value, by the first source of each operation."""
        steps: list[str] = []
        while value:
            op = self.ops[value - 1]
            steps.append(f"{op.output} after {op.label}")
            value = op.sources[0]
        steps.append(f"{self._shapes[0]} (channels x rows x columns)")
        steps.reverse()
        left_out = len(steps) - 2 * _SHOWN_SHAPES
        if left_out > 1:
            steps[_SHOWN_SHAPES:-_SHOWN_SHAPES] = [f"... ({left_out} more)"]
        return steps


def _gains(network: Network) -> list[float]:
    """Return for each operation a factor on the spread of its starting weights.

    A sum adds up variances: with branches that start as usual, a network of 300 skips would
    multiply the variance by 2**300. So the last convolutions of a branch start smaller, and the
    variance is multiplied by at most about `(1 + 1 / n)**n` in the `n` sums on a path (the idea of
    Fixup; Zhang, Dauphin and Ma, 2019). Branches with a normalization start as usual: their
    variance does not depend on the input.
    """
    gains = [1.0] * len(network.ops)
    sums = [number for number, op in enumerate(network.ops) if isinstance(op.stage, Sum)]
    if not sums:
        return gains
    on_path = _sums_on_path(network)
    starts = _starts(network)
    for number in sums:
        branches = [
            _Branch(network, source, starts[number]) for source in network.ops[number].sources
        ]
        damped = [branch for branch in branches if branch.last and not branch.normalized]
        if len(damped) == len(branches):
            # A single convolution next to longer branches is a shortcut: it passes on the input,
            # whose mean square it keeps. Without one, all branches together keep it.
            shortcuts = [each for each in branches if each.is_single]
            if shortcuts and len(shortcuts) < len(branches):
                damped = [each for each in branches if not each.is_single]
                for each in shortcuts:
                    each.scale(gains, math.sqrt(1 / (2 * len(shortcuts))))
            else:
                for each in branches:
                    each.scale(gains, _share(len(branches), is_linear=each.is_linear))
                continue
        for each in damped:
            # What is not rectified has a mean of 0, and variances add up. Means add up faster.
            share = 1 / on_path[number]
            each.scale(gains, (math.sqrt(share) if each.is_linear else share) / len(damped))
    return gains


def _share(branches: int, *, is_linear: bool) -> float:
    """Return the gain with which so many equal branches keep the mean square of the input.

    A convolution doubles it, and a rectification halves it again; of what is rectified, one part in
    pi of the mean square is that of the mean, and means add up whole.
    """
    if is_linear:
        return math.sqrt(1 / (2 * branches))
    return math.sqrt(1 / (branches * (1 + (branches - 1) / math.pi)))


class _Branch:
    """What leads from the beginning of a composite stage to one source of its sum.

    Attributes:
        last: the indices of the last convolutions, whose weights scale the output.
        normalized: whether there is a normalization.
        is_linear: whether nothing but convolutions and sums ends it.
        is_single: whether it is one convolution.
    """

    def __init__(self, network: Network, source: int, start: int) -> None:
        self.last: list[int] = []
        self.normalized = False
        self.is_linear = True
        seen: set[tuple[int, bool]] = set()
        # Values, and whether a convolution was met on the way back to them.
        waiting = [(source, False)]
        while waiting:
            value, behind = waiting.pop()
            number = value - 1
            if value <= start or (value, behind) in seen:
                continue
            seen.add((value, behind))
            op = network.ops[number]
            if isinstance(op.stage, Normalization):
                self.normalized = True
            elif isinstance(op.stage, Convolution) and not behind:
                self.last.append(number)
                behind = True
            elif not behind and not isinstance(op.stage, Merge):
                self.is_linear = False
            waiting += [(each, behind) for each in op.sources]
        self.is_single = len(seen) == len(self.last) == 1

    def scale(self, gains: list[float], factor: float) -> None:
        """Multiply the gains of the last convolutions."""
        for number in self.last:
            gains[number] *= factor


def _sums_on_path(network: Network) -> list[int]:
    """Return for each operation the most sums on a way through it from the first value to the last.

    The operation itself counts if it is a sum.
    """
    is_sum = [isinstance(op.stage, Sum) for op in network.ops]
    before = [0] * (len(network.ops) + 1)
    for number, op in enumerate(network.ops):
        before[op.target] = max(before[source] for source in op.sources) + is_sum[number]
    after = [0] * (len(network.ops) + 1)
    for number in range(len(network.ops) - 1, -1, -1):
        for source in network.ops[number].sources:
            after[source] = max(after[source], after[number + 1] + is_sum[number])
    return [before[op.target] + after[op.target] for op in network.ops]


def _starts(network: Network) -> list[int]:
    """Return for each operation where the innermost group around it starts."""
    starts = [0] * len(network.ops)
    for group in sorted(network.groups, key=lambda group: group.start - group.stop):
        starts[group.start : group.stop] = [group.start] * (group.stop - group.start)
    return starts


def groups_of(items: int) -> Iterator[slice]:
    """Yield the groups of a batch's items whose statistics are taken together in training.

    There are as few groups as can be of at most `GROUP` items; they differ by one item at most, and
    the larger ones come first. They depend on the number of items alone, so that results are the
    same for any number of threads. Of 20 items the first 10 are a group.
    """
    count = max(-(-items // GROUP), 1)
    size, larger = divmod(items, count)
    start = 0
    for number in range(count):
        stop = start + size + (number < larger)
        yield slice(start, stop)
        start = stop
