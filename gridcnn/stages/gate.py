"""Gate: what all maps look like as a whole decides how much each of them counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from gridcnn.contracts.stage import Backward, Gradients, Parameter, Stage
from gridcnn.grid import Array, GridShape
from gridcnn.settings.base import Count
from gridcnn.stages.activation import sigmoid


class Gate(Stage):
    """Weighs each map by a number in 0..1 that the means of all maps decide.

    These are a squeeze and an excitation (Hu et al., 2018): mean of each map, a hidden layer that
    is rectified, a layer with a sigmoid, and a multiplication.
    """

    title: ClassVar[str] = "gate"
    short: ClassVar[tuple[str, ...]] = ("reduction",)

    reduction: Count = 4
    """How many maps there are for one value of the hidden layer, which has one at least."""

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers: never."""
        return False

    def output(self, shape: GridShape) -> GridShape:
        """Return the same shape."""
        return shape

    def hidden_size(self, channels: int) -> int:
        """Return the values of the hidden layer on grids of so many channels."""
        return max(channels // self.reduction, 1)

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        """Return `weights` `(outputs, inputs)` and `bias` `(outputs,)` of `hidden` and `gate`."""
        maps, hidden = shape.channels, self.hidden_size(shape.channels)
        return (
            Parameter("hidden.weights", (hidden, maps), maps, hidden),
            Parameter("hidden.bias", (hidden,), decays=False),
            Parameter("gate.weights", (maps, hidden), hidden, maps),
            Parameter("gate.bias", (maps,), decays=False),
        )

    def multiply_adds(self, shape: GridShape) -> int:
        """Return the cells twice, for mean and product, and the weights of both layers."""
        return 2 * (shape.cells + shape.channels * self.hidden_size(shape.channels))

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,  # noqa: ARG002
        random: np.random.Generator | None = None,  # noqa: ARG002
    ) -> tuple[Array, Backward]:
        """Return the weighed maps."""
        cells = grids.shape[2] * grids.shape[3]
        means = grids.mean(axis=(2, 3))
        hidden = np.maximum(_layer(means, weights, "hidden"), 0)
        gates = sigmoid(_layer(hidden, weights, "gate"))

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            flow = (gradient * grids).sum(axis=(2, 3)) * gates * (1 - gates)
            gradients: Gradients = {"gate.weights": flow.T @ hidden, "gate.bias": flow.sum(axis=0)}
            flow = (flow @ weights["gate.weights"]) * (hidden > 0)
            gradients |= {"hidden.weights": flow.T @ means, "hidden.bias": flow.sum(axis=0)}
            if not need_input:
                return gradient, gradients
            by_means = (flow @ weights["hidden.weights"]) / cells
            return gradient * gates[:, :, None, None] + by_means[:, :, None, None], gradients

        return grids * gates[:, :, None, None], backward


def _layer(values: Array, weights: Mapping[str, Array], name: str) -> Array:
    # One product for each item, so that an item's gates do not depend on its batch.
    products = np.matmul(weights[f"{name}.weights"], values[:, :, None])
    result: Array = products[:, :, 0] + weights[f"{name}.bias"]
    return result
