"""The contracts of a stage and of a head: grids go in, grids come out, and a gradient goes back.

A stage of another package subclasses `Stage`, or `Composite` if it is made of other stages, and is
registered in the entry-point group `gridcnn.stages`. It has to provide only what is listed here. A
head of another package subclasses `Head`, in the group `gridcnn.heads`; the stage that it returns
is a `HeadStage`, which says what its output means: votes, answers and the loss.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gridcnn.contracts.targets import LabelTargets, SoftTargets, Targets, check_targets, most
from gridcnn.forks import cached_property
from gridcnn.grid import Array, Axis, GridShape
from gridcnn.settings.base import Settings
from gridcnn.settings.document import Path

Gradients = dict[str, Array]
"""The gradient of each of a stage's parameters, by name, in the parameter's shape.

Of a running value it is not a gradient, but what was observed, times the number of items."""
Role = Literal["learned", "fixed", "running"]
"""What changes a parameter: training by its gradient, nothing, or observation in training."""


class Backward(Protocol):
    """Computes the gradients by a stage's input and parameters from that by its output."""

    def __call__(self, gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
        """Return the gradient by the input, and those by the parameters.

        Both gradients of grids have the shape of the grids. Where `need_input` is False, the first
        is not used, and anything may be returned for it.
        """
        ...


@dataclass(frozen=True)
class Parameter:
    """An array of numbers that a stage learns or observes, or that the spec gives.

    Attributes:
        name: unique within its stage.
        shape: weights of a convolution are `(filters, channels, rows, columns)`.
        fan_in: how many numbers each output is summed from, for the spread of starting weights;
            0 for parameters that start at zero.
        fan_out: how many outputs each input goes to.
        gain: factor on the spread of starting weights.
        written: the starting values, if they are written out.
        role: `learned` if training changes it by its gradient, `fixed` if nothing does, `running`
            if training moves it towards what it observes, as the mean of all cells of a map.
        decays: whether weight decay applies.
        momentum: the part of a running value that is left after one training step.
    """

    name: str
    shape: tuple[int, ...]
    fan_in: int = 0
    fan_out: int = 0
    gain: float = 1.0
    written: Array | None = None
    role: Role = "learned"
    decays: bool = True
    momentum: float = 0.9

    @property
    def trainable(self) -> bool:
        """Whether training changes it by its gradient."""
        return self.role == "learned"

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


class Stage(Settings, abc.ABC):
    """Settings of one stage, with its shapes, cost and reference arithmetic."""

    @property
    def mixes_items(self) -> bool:
        """Whether in training the output for an item depends on the other items.

        Engines then call the stage with whole groups of items, see `gridcnn.network.groups_of`.
        """
        return False

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training; if not, engines never give it a generator.

        A subclass of a stage that draws none has to say so if it does.
        """
        return True

    @abc.abstractmethod
    def output(self, shape: GridShape) -> GridShape:
        """Return the shape of the output when grids of `shape` go in.

        Raises:
            ValueError: the stage cannot work on such grids; the message says why, and what would
                fit.
        """

    def batch_problem(self, shape: GridShape, items: int) -> str | None:  # noqa: ARG002
        """Return what is wrong with training on batches of so many items, and what helps.

        None if nothing is wrong. It is asked before training, for the smallest batch.
        """
        return None

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:  # noqa: ARG002
        """Return the parameters for input of `shape`, in their order in the flat vector."""
        return ()

    @abc.abstractmethod
    def multiply_adds(self, shape: GridShape) -> int:
        """Return the multiply-adds (or comparisons, or additions) for one item."""

    def working_bytes(self, shape: GridShape) -> int:  # noqa: ARG002
        """Return the memory for one item, in bytes, besides its input and output."""
        return 0

    @abc.abstractmethod
    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        """Return the output for `grids` `(items, channels, rows, columns)`, and the way back.

        `weights` holds the parameters by name. `training` is true in training steps, where
        `random` may be given to stages that draw random numbers. They draw for each item in turn,
        as many numbers for each: an engine may call them with a part of a batch at a time, and the
        numbers are the same however it is divided. The arithmetic is in the precision
        of `grids`, which are of the machine's byte order, in C order, and must not be changed. The
        output of an item depends on that item alone, to the last bit; in training it may depend on
        the other items if the stage `mixes_items`. Cells that are NaN or infinite are not an
        error: they are computed with like any numbers.
        """


class MergeBackward(Protocol):
    """Computes the gradients by all inputs of a merge from that by its output."""

    def __call__(self, gradient: Array) -> Sequence[Array]:
        """Return one gradient for each input, in the input's shape."""
        ...


class Merge(abc.ABC):
    """Makes one grid of several: what a composite stage ends its branches with."""

    name: str
    """The word for it in labels."""

    @abc.abstractmethod
    def output(self, shapes: Sequence[GridShape]) -> GridShape:
        """Return the shape of the output when grids of `shapes` go in.

        Raises:
            ValueError: such grids cannot be merged; the message says why, and what would fit.
        """

    @abc.abstractmethod
    def multiply_adds(self, shapes: Sequence[GridShape]) -> int:
        """Return the additions for one item."""

    @abc.abstractmethod
    def forward(self, grids: Sequence[Array]) -> tuple[Array, MergeBackward]:
        """Return the output for the inputs, and the way back.

        All are `(items, channels, rows, columns)`; the rules are those of `Stage.forward`.
        """


class Graph(Protocol):
    """A network in the making, as a composite stage sees it.

    A value is a number: it stands for the grids that enter the network, or that an operation
    returns. `place` is where a stage stands in the settings of the composite, for errors:
    `("stages", 2)`.
    """

    def shape(self, value: int) -> GridShape:
        """Return the shape of a value."""
        ...

    def chain(
        self, stages: Sequence[Stage | Composite], value: int, *, place: Path, part: str = ""
    ) -> int:
        """Add stages, one after the other, from a value on; return the output value.

        `part` numbers the chain if a composite has several: as `2` in the label `3.2.1 pooling`.
        """
        ...

    def add(
        self, stage: Stage | Merge, *values: int, name: str | None = None, place: Path = ()
    ) -> int:
        """Add an operation of the composite's own; return the output value.

        A `Stage` has one input, a `Merge` any number. `name` is its word in the label, if it is not
        that of the stage; it must be unique within the composite.

        Raises:
            ShapeError: it cannot work on these values.
        """
        ...


MAX_NESTED = 8
"""How deep composite stages may be nested, so that a spec with all settings filled in is not nested
deeper than `gridcnn.settings.document.MAX_DEPTH`."""


class Composite(Settings, abc.ABC):
    """Settings of a stage that is made of other stages.

    Raises:
        SpecError: more than `MAX_NESTED` composite stages are inside each other.
    """

    @cached_property
    def nested(self) -> int:
        """How many composite stages are inside each other, this one included."""
        return 1 + max((inner.nested for inner in _composites(vars(self))), default=0)

    @model_validator(mode="after")
    def _refuse_too_deep(self) -> Self:
        if self.nested > MAX_NESTED:
            raise ValueError(f"stages may be nested {MAX_NESTED} levels deep; this is deeper")
        return self

    @abc.abstractmethod
    def expand(self, graph: Graph, value: int) -> int:
        """Add all operations of the stage to the graph; return the output value.

        Args:
            graph: the network in the making.
            value: the input of the stage.

        Raises:
            ValueError: the stage cannot work on such grids; the message says why.
            ShapeError: raised by the graph for a stage inside.
        """


def _composites(value: object) -> Iterator[Composite]:
    """Yield the composite stages in lists and mappings of settings."""
    if isinstance(value, Composite):
        yield value
    elif isinstance(value, list | tuple | Mapping):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _composites(each)


def sliding_error(axis: Axis, direction: str, remedy: str) -> str:
    """Return why no window slides along an axis without order, and the remedy."""
    return (
        f"the {direction} are the axis '{axis.name}', whose order means nothing, so no window may "
        f"slide along it; {remedy}"
    )


class HeadStage(Stage):
    """The last stage of a network, which votes for classes, and has the loss of its votes.

    Its output has one cell for each class: the logits. Only the head knows what they mean; all
    other code asks it for votes, answers, losses and hits. Each of these depends, for an item, on
    that item alone, to the last bit. Logits that are NaN or infinite are not an error; the
    callers switch off NumPy's warnings about them.
    """

    @property
    def several(self) -> bool:
        """Whether items may have several labels, or none.

        Then what is said of classes here holds for labels: targets are float32 `(items, labels)`,
        1, 0, or NaN if not known; answers are `(items, labels)`, 1 or 0; votes need not add up to
        1; and an item is a hit if all of its known labels are right.
        """
        return False

    def check_targets(
        self, targets: NDArray[Any], *, items: int, classes: int
    ) -> Targets | SoftTargets | LabelTargets:
        """Return targets as `losses` takes them, in C order and the machine's byte order.

        Raises:
            IndexError: they are not those of `items` items and `classes` classes.
        """
        return check_targets(targets, items=items, classes=classes)

    @abc.abstractmethod
    def votes(self, logits: Array) -> Array:
        """Return logits `(items, classes)` as votes of the same shape: 0..1, adding up to 1."""

    def answers(self, votes: Array) -> Targets:
        """Return the class with the most votes `(items, classes)`; the first of equal ones."""
        answers: Targets = votes.argmax(axis=1)
        return answers

    @property
    def takes_soft_targets(self) -> bool:
        """Whether `losses` takes parts of classes as targets; class indices it always takes."""
        return False

    @abc.abstractmethod
    def losses(self, logits: Array, targets: Targets | SoftTargets) -> tuple[Array, Array]:
        """Return the loss of each item `(items,)`, and its gradient by the item's logits.

        Training makes the mean of the losses smaller.

        Args:
            logits: `(items, classes)`, which must not be changed.
            targets: the right class of each item `(items,)`; or, if the head
                `takes_soft_targets`, parts of classes `(items, classes)`.
        """

    def hits(self, logits: Array, targets: Targets | SoftTargets) -> NDArray[np.bool_]:
        """Return for each item `(items,)` whether its answer is the right class.

        That is the class of the largest logit: two logits may be different where their votes are
        rounded to the same number. Override it if votes do not rise with logits. Of parts of
        classes the largest is the right one.
        """
        is_right: NDArray[np.bool_] = self.answers(logits) == most(targets)
        return is_right

    def with_temperature(
        self,
        weights: Mapping[str, Array],  # noqa: ARG002
        temperature: float,  # noqa: ARG002
    ) -> dict[str, Array] | None:
        """Return the parameters with which all logits are those of `weights` over a temperature.

        Those that stay as they are may be left out. None if the head cannot do this.
        """
        return None

    def has_votes(self, logits: Array) -> NDArray[np.bool_]:
        """Return for each item `(items,)` whether it has votes; others are reported as problems.

        By default an item has votes if its logits are finite.
        """
        is_finite: NDArray[np.bool_] = np.isfinite(np.abs(logits).max(axis=1))
        return is_finite


class Head(Settings, abc.ABC):
    """Settings of the head; the number of classes comes from the data."""

    @abc.abstractmethod
    def stage(self, classes: int) -> HeadStage:
        """Return the stage that gives one logit for each of `classes` classes."""
