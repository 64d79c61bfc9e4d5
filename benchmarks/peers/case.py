"""A case: one network as plain layers, its weights, and labelled batches; saved as one file.

It is all that a contestant is given. Grids are `(items, channels, rows, columns)`. A first layer
whose kernel fills all rows of one channel is told with those rows as channels, since that is the
form in which every library is quickest: one-hot text is `(items, symbols, 1, columns)`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[int, int]

RATE, BETA1, BETA2, EPSILON = 1e-5, 0.9, 0.999, 1e-8
"""Adam's settings. The rate is low, so that the weights stay what they were while time is taken."""


@dataclass(frozen=True)
class Convolution:
    """A convolution and the rectification after it.

    Attributes:
        weights: `(filters, channels, rows, columns)`.
        start: where the flat vector has the weights; the bias `(filters,)` follows them.
        stride: cells from one position to the next.
        borders: cells of 0 `((above, below), (left, right))`.
    """

    weights: tuple[int, int, int, int]
    start: int
    stride: Pair
    borders: tuple[Pair, Pair]


@dataclass(frozen=True)
class Pooling:
    """The largest cell of each window.

    Attributes:
        window: `(rows, columns)`.
        stride: cells from one window to the next.
        beyond: by how much the last windows reach beyond the grid, `(rows, columns)`.
    """

    window: Pair
    stride: Pair
    beyond: Pair


@dataclass(frozen=True)
class Dense:
    """A fully connected layer.

    Attributes:
        weights: `(outputs, inputs)`; inputs are in the order (channels, rows, columns).
        start: where the flat vector has the weights; the bias `(outputs,)` follows them.
        rectified: whether a rectification follows.
    """

    weights: Pair
    start: int
    rectified: bool


Layer = Convolution | Pooling | Dense
_LAYERS = {sort.__name__: sort for sort in (Convolution, Pooling, Dense)}


@dataclass(frozen=True)
class Case:
    """What a contestant works on.

    Attributes:
        name: the workload's.
        shape: of one grid, `(channels, rows, columns)`.
        layers: the network.
        parameters: all weights and biases, in one flat float32 vector.
        inputs: float32 `(batches, items, channels, rows, columns)`; or, where grids are one-hot,
            int64 `(batches, items, columns)`, the channel that is 1 at each column, or -1.
        targets: the index of the right class, int64 `(batches, items)`.
    """

    name: str
    shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    parameters: Array
    inputs: Array
    targets: Array

    @property
    def items(self) -> int:
        """The items of a batch."""
        return int(self.targets.shape[1])

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return int(self.targets.shape[0])

    @property
    def one_hot(self) -> bool:
        """Whether grids are told as symbols."""
        return bool(self.inputs.ndim == 3)

    def grids(self, batch: int) -> Array:
        """Return the grids of a batch, float32 `(items, channels, rows, columns)`."""
        inputs: Array = self.inputs[batch]
        if not self.one_hot:
            return inputs
        symbols = np.arange(self.shape[0])[:, None]
        grids: Array = (inputs[:, None] == symbols).astype(np.float32)[:, :, None]
        return grids

    def windows(self, batch: int, kernel: int, before: int) -> Array:
        """Return which rows of a table each position adds up, int64 `(items, columns, kernel)`.

        The table has the first layer's weights as `(kernel * channels + 1, filters)`: the weights
        of each place in the kernel after those of the one before it, and a last row of 0 for no
        symbol. `before` is how many cells of the kernel lie left of the position.
        """
        channels, nothing = self.shape[0], kernel * self.shape[0]
        after = kernel - 1 - before
        padded = np.pad(self.inputs[batch], ((0, 0), (before, after)), constant_values=-1)
        seen = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=1)
        rows: Array = np.where(seen < 0, nothing, seen + channels * np.arange(kernel))
        return rows

    def weights(self, layer: Convolution | Dense) -> tuple[Array, Array]:
        """Return the weights and the bias of a layer, as views into `parameters`."""
        return split(self.parameters, layer)

    def save(self, path: Path) -> None:
        """Write the case to a file."""
        layers = [{"sort": type(layer).__name__, **asdict(layer)} for layer in self.layers]
        told = json.dumps({"name": self.name, "shape": self.shape, "layers": layers})
        arrays: dict[str, Any] = {
            "parameters": self.parameters,
            "inputs": self.inputs,
            "targets": self.targets,
        }
        np.savez(path, told=np.array(told), **arrays)


def split(vector: Array, layer: Convolution | Dense) -> tuple[Array, Array]:
    """Return a layer's weights and bias as views into a flat vector."""
    outputs, size = layer.weights[0], math.prod(layer.weights)
    end = layer.start + size
    return vector[layer.start : end].reshape(layer.weights), vector[end : end + outputs]


def load(path: Path) -> Case:
    """Return the case in a file."""
    with np.load(path) as file:
        told = json.loads(str(file["told"]))
        arrays = {name: file[name] for name in ("parameters", "inputs", "targets")}
    layers = tuple(_LAYERS[layer.pop("sort")](**_tuples(layer)) for layer in told["layers"])
    return Case(told["name"], tuple(told["shape"]), layers, **arrays)


def _tuples(value: Any) -> Any:
    """Return JSON's lists as tuples."""
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
