"""Activation: other functions than the rectification, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import numpy as np

from gridcnn.contracts.stage import Backward, Gradients, Stage
from gridcnn.grid import Array, GridShape

Function = Literal["gelu", "silu", "tanh", "sigmoid"]


class Activation(Stage):
    """Replaces every number by a smooth function of it."""

    title: ClassVar[str] = "activation"
    short: ClassVar[tuple[str, ...]] = ("function",)

    function: Function
    """`gelu`: the number times the share of a normal distribution below it (Hendrycks and Gimpel,
    2016); `silu`: the number times its sigmoid; `tanh`: -1..1; `sigmoid`: 0..1. ReLU is the stage
    `rectification`."""

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers: never."""
        return False

    def output(self, shape: GridShape) -> GridShape:
        """Return the same shape."""
        return shape

    def multiply_adds(self, shape: GridShape) -> int:
        """Return about ten for each cell, as a polynomial takes them."""
        return 10 * shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],  # noqa: ARG002
        *,
        training: bool = False,  # noqa: ARG002
        random: np.random.Generator | None = None,  # noqa: ARG002
    ) -> tuple[Array, Backward]:
        """Return the function of each cell; the gradient is multiplied by its slope."""
        values, slopes = _FUNCTIONS[self.function](grids)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return gradient * slopes if need_input else gradient, {}

        return values, backward


def sigmoid(values: Array) -> Array:
    """Return `1 / (1 + exp(-x))` without overflow."""
    from scipy.special import expit

    result: Array = expit(values)
    return result


def _gelu(x: Array) -> tuple[Array, Array]:
    from scipy.special import erf

    below = ((1 + erf(x / math.sqrt(2))) / 2).astype(x.dtype)
    density = np.exp(-np.square(x) / 2) / x.dtype.type(math.sqrt(2 * math.pi))
    return x * below, below + x * density


def _silu(x: Array) -> tuple[Array, Array]:
    share = sigmoid(x)
    return x * share, share * (1 + x * (1 - share))


def _tanh(x: Array) -> tuple[Array, Array]:
    values = np.tanh(x)
    return values, 1 - np.square(values)


def _sigmoid(x: Array) -> tuple[Array, Array]:
    values = sigmoid(x)
    return values, values * (1 - values)


# Each returns the values and the slopes.
_FUNCTIONS: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "gelu": _gelu,
    "silu": _silu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}
