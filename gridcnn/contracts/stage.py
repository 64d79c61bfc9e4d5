"""The contract of a stage: grids go in, grids come out, and a gradient goes back.

A stage of another package subclasses `Stage`, and is registered in the entry-point group
`gridcnn.stages`. It has to provide only what is listed here.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gridcnn.grid import Array, Axis, GridShape
from gridcnn.settings.base import Settings

Gradients = dict[str, Array]
"""The gradient of each of a stage's parameters, by name, in the parameter's shape."""


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
    """An array of numbers that a stage learns, or that the spec gives.

    Attributes:
        name: unique within its stage.
        shape: weights of a convolution are `(filters, channels, rows, columns)`.
        fan_in: how many numbers each output is summed from, for the spread of starting weights;
            0 for parameters that start at zero.
        fan_out: how many outputs each input goes to.
        gain: factor on the spread of starting weights.
        written: the starting values, where they are written out.
        trainable: whether training changes it.
        decays: whether weight decay applies.
    """

    name: str
    shape: tuple[int, ...]
    fan_in: int = 0
    fan_out: int = 0
    gain: float = 1.0
    written: Array | None = None
    trainable: bool = True
    decays: bool = True

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


class Stage(Settings, abc.ABC):
    """Settings of one stage, with its shapes, cost and reference arithmetic."""

    @abc.abstractmethod
    def output(self, shape: GridShape) -> GridShape:
        """Return the shape of what comes out when grids of `shape` go in.

        Raises:
            ValueError: the stage cannot work on such grids; the message says why, and what would
                fit.
        """

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:  # noqa: ARG002
        """Return the parameters for input of `shape`, in their order in the flat vector."""
        return ()

    @abc.abstractmethod
    def multiply_adds(self, shape: GridShape) -> int:
        """Return the multiply-adds (or comparisons, or additions) for one item."""

    def working_bytes(self, shape: GridShape) -> int:  # noqa: ARG002
        """Return the memory for one item, in bytes, beside its input and output."""
        return 0

    @abc.abstractmethod
    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        """Return the output for `grids` `(items, channels, rows, columns)`, and the way back.

        `weights` holds the parameters by name. `random` is given in training alone, to stages that
        draw random numbers. The arithmetic is in the precision of `grids`, which are of the
        machine's byte order, in C order, and must not be changed. What comes out for an item
        depends on that item alone, to the last bit. Cells that are NaN or infinite are not an
        error: they are computed with like any numbers.
        """


def sliding_error(axis: Axis, direction: str, remedy: str) -> str:
    """Return why no window slides along an axis without order, and the remedy."""
    return (
        f"the {direction} are the axis '{axis.name}', whose order means nothing, so no window may "
        f"slide along it; {remedy}"
    )


class Head(Settings, abc.ABC):
    """Settings of the head; the number of classes comes from the data."""

    @abc.abstractmethod
    def stage(self, classes: int) -> Stage:
        """Return the stage that gives one logit for each of `classes` classes."""
