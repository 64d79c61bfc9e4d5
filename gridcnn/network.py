"""A spec bound to a grid shape: every shape, parameter and cost is known, and can be printed.

All parameters lie in one flat vector. A network knows which part of it belongs to which stage, in
the order of the stages, each parameter in C order: a convolution's `weights` are
`(filters, channels, rows, columns)` and then its `bias`; the voting head's layers follow each
other, `weights` `(outputs, inputs)` and then `bias`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gridcnn.contracts.stage import Parameter, Stage
from gridcnn.errors import ShapeError, listed, quoted
from gridcnn.forks import cached_property
from gridcnn.grid import Array, GridShape
from gridcnn.settings.choice import name_of
from gridcnn.settings.document import Path
from gridcnn.spec.models import STAGES, Spec
from gridcnn.streams import Stream

MAX_PARAMETERS = 500_000_000
MAX_CELLS = 1_000_000_000


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
    """One stage of a network: its input shape, its output shape, and its parameters.

    `label` is unique within the network: the number of the stage and its name, `2 pooling`.
    """

    label: str
    stage: Stage
    input: GridShape
    output: GridShape
    slots: tuple[Slot, ...]

    @property
    def parameters(self) -> int:
        """How many numbers the stage has."""
        return sum(slot.parameter.size for slot in self.slots)

    @cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds for one item."""
        return self.stage.multiply_adds(self.input)

    def views(self, vector: Array) -> dict[str, Array]:
        """Return the stage's parameters as views into the flat vector, by name."""
        return {
            slot.parameter.name: vector[slot.part].reshape(slot.parameter.shape)
            for slot in self.slots
        }


class Network:
    """A chain of operations for grids of one shape.

    Raises:
        ShapeError: a stage cannot work on the grids that reach it, or the network is larger than
            any memory. The problem has the place of the stage in the spec.
    """

    def __init__(self, spec: Spec, shape: GridShape, *, classes: int | None = None) -> None:
        self.spec = spec
        self.shape = shape
        self.classes = classes
        self.ops: tuple[Op, ...] = tuple(self._bind(spec, shape, classes))

    def _bind(self, spec: Spec, shape: GridShape, classes: int | None) -> list[Op]:
        ops: list[Op] = []
        parameters = 0
        for label, stage, path in _stages(spec, classes):
            incoming = ops[-1].output if ops else shape
            try:
                output = stage.output(incoming)
            except ValueError as error:
                chain = _chain(shape, ops)
                problem = spec.document.problem(path, f"{label}: {error}. The grids: {chain}")
                raise ShapeError(problem) from None
            slots: list[Slot] = []
            for parameter in stage.parameters(incoming):
                slots.append(Slot(parameter, parameters))
                parameters += parameter.size
            if parameters > MAX_PARAMETERS or output.cells > MAX_CELLS:
                raise ShapeError(
                    spec.document.problem(
                        path,
                        f"{label}: {parameters:,} parameters so far and {output.cells:,} cells "
                        f"for each item are more than the {MAX_PARAMETERS:,} and {MAX_CELLS:,} "
                        "allowed; use fewer filters, smaller layers, or pooling before them",
                    )
                )
            ops.append(Op(label, stage, incoming, output, tuple(slots)))
        return ops

    @property
    def output(self) -> GridShape:
        """The shape of the network's output."""
        return self.ops[-1].output if self.ops else self.shape

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
        return 4 * grids + sum(op.stage.working_bytes(op.input) for op in self.ops)

    def mask(self, quality: Literal["trainable", "decays"]) -> NDArray[np.bool_]:
        """Return a mask over the flat vector: whether each number is `trainable`, or `decays`."""
        mask = np.zeros(self.parameters, bool)
        for op in self.ops:
            for slot in op.slots:
                mask[slot.part] = getattr(slot.parameter, quality)
        return mask

    def starting_parameters(self, dtype: DTypeLike = np.float32) -> Array:
        """Return a flat vector to start training from, drawn by the spec's seed.

        Weights have mean 0 and variance `2 / fan_in` (He et al., 2015) or
        `2 / (fan_in + fan_out)` (Glorot and Bengio, 2010), biases are 0, and written-out features
        are as they were written.
        """
        random = Stream.STARTING_WEIGHTS.random(self.spec.training.seed)
        vector = np.zeros(self.parameters, np.float64)
        for op in self.ops:
            for slot in op.slots:
                parameter = slot.parameter
                if parameter.written is not None:
                    vector[slot.part] = np.ravel(parameter.written)
                elif parameter.fan_in:
                    he = self.spec.training.start == "he"
                    fans = parameter.fan_in + (0 if he else parameter.fan_out)
                    spread = parameter.gain * math.sqrt(2 / fans)
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

    def vector(self, named: Mapping[str, Array]) -> Array:
        """Return the flat float32 vector made of named parameters.

        Raises:
            ValueError: a parameter is missing, one too many, or has another shape.
        """
        vector = np.empty(self.parameters, np.float32)
        views = self.named(vector)
        if set(named) != set(views):
            odd = listed([quoted(name)[1:-1] for name in sorted(set(named) ^ set(views))], limit=5)
            raise ValueError(f"the parameters do not fit the network: {odd}")
        for name, view in views.items():
            if named[name].shape != view.shape or named[name].dtype != np.float32:
                raise ValueError(
                    f"{name} must be float32 {view.shape}; got {named[name].dtype} "
                    f"{named[name].shape}"
                )
            view[...] = named[name]
        return vector


def _stages(spec: Spec, classes: int | None) -> list[tuple[str, Stage, Path]]:
    """Return each stage with its label and its place in the spec."""
    stages: list[tuple[str, Stage, Path]] = []
    for number, stage in enumerate(spec.stages):
        stages.append((f"{number + 1} {name_of(stage, STAGES)}", stage, ("stages", number)))
    if spec.head is not None and classes is not None:
        stage = spec.head.stage(classes)
        stages.append((f"{len(stages) + 1} {stage.title or 'head'}", stage, ("head",)))
    return stages


def _chain(shape: GridShape, ops: Sequence[Op]) -> str:
    steps = [f"{shape} (channels x rows x columns)"]
    steps += [f"{op.output} after {op.label}" for op in ops]
    return ", ".join(steps)
