"""A case: one network as plain layers, its weights, and labelled batches; saved as one file.

Layers follow each other; `Skip` and `Parallel` have layers inside. It is all that a contestant is
given. Grids are `(items, channels, rows, columns)`. A first layer whose kernel fills all rows of
one channel is told with those rows as channels, since that is the form in which every library is
quickest: one-hot text is `(items, symbols, 1, columns)`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
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
    """A convolution.

    Attributes:
        weights: `(filters, channels, rows, columns)`, with the channels of one group.
        start: where the flat vector has the weights; the bias `(filters,)` follows them.
        stride: cells from one position to the next.
        borders: cells of 0 `((above, below), (left, right))`.
        biased: whether there is a bias.
        groups: into how many groups the channels are divided.
    """

    weights: tuple[int, int, int, int]
    start: int
    stride: Pair
    borders: tuple[Pair, Pair]
    biased: bool = True
    groups: int = 1


@dataclass(frozen=True)
class Rectification:
    """Negative cells become 0."""


@dataclass(frozen=True)
class Normalization:
    """Batch normalization: by mean and variance of the batch in training, else by running ones.

    Attributes:
        channels: how many maps there are.
        start: where the flat vector has the gain `(channels,)`; the bias, the running mean and the
            running variance follow it.
        epsilon: what is added to the variance.
        momentum: the part of a running value that is left after one training step.
    """

    channels: int
    start: int
    epsilon: float
    momentum: float


@dataclass(frozen=True)
class Pooling:
    """The largest cell of each window, or the mean of its cells.

    Attributes:
        window: `(rows, columns)`.
        stride: cells from one window to the next.
        beyond: by how much the last windows reach beyond the grid, `(rows, columns)`.
        mean: whether it is the mean.
    """

    window: Pair
    stride: Pair
    beyond: Pair
    mean: bool = False


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


@dataclass(frozen=True)
class Skip:
    """Adds what enters to what the layers make of it.

    Attributes:
        layers: what the connection skips.
        shortcut: what enters goes through these before it is added; empty for none.
    """

    layers: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Parallel:
    """Joins what several chains of layers make of the same grids, map beside map."""

    branches: tuple[tuple[Layer, ...], ...]


Layer = Convolution | Rectification | Normalization | Pooling | Dense | Skip | Parallel
_LAYERS: dict[str, Any] = {
    sort.__name__: sort
    for sort in (Convolution, Rectification, Normalization, Pooling, Dense, Skip, Parallel)
}


def flatten(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Yield all layers in the order of their parameters; of nested ones, those inside of them."""
    for layer in layers:
        if isinstance(layer, Skip):
            yield from flatten((*layer.layers, *layer.shortcut))
        elif isinstance(layer, Parallel):
            yield from flatten(inner for branch in layer.branches for inner in branch)
        else:
            yield layer


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
    def nested(self) -> bool:
        """Whether there is anything but a list of layers that follow each other."""
        return any(isinstance(layer, Skip | Parallel) for layer in self.layers)

    @property
    def normalized(self) -> bool:
        """Whether a training step depends on which items are taken together."""
        return any(isinstance(layer, Normalization) for layer in flatten(self.layers))

    @property
    def learned(self) -> NDArray[np.bool_]:
        """A mask over the flat vector: everything but the running means and variances."""
        mask = np.ones(len(self.parameters), bool)
        for layer in flatten(self.layers):
            if isinstance(layer, Normalization):
                first = layer.start + 2 * layer.channels
                mask[first : first + 2 * layer.channels] = False
        return mask

    @property
    def first_convolutions(self) -> tuple[Convolution, ...]:
        """The convolutions that read the grids: of a network that begins with `Parallel`, several.

        Only of such are grids one-hot.
        """
        first = self.layers[0]
        begun = first.branches if isinstance(first, Parallel) else (self.layers,)
        return tuple(chain[0] for chain in begun if isinstance(chain[0], Convolution))

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
        """Return weights and bias of a layer, as views into `parameters`; no bias is `(0,)`."""
        return split(self.parameters, layer)

    def save(self, path: Path) -> None:
        """Write the case to a file."""
        told = json.dumps({"name": self.name, "shape": self.shape, "layers": _told(self.layers)})
        arrays: dict[str, Any] = {
            "parameters": self.parameters,
            "inputs": self.inputs,
            "targets": self.targets,
        }
        np.savez(path, told=np.array(told), **arrays)


def split(vector: Array, layer: Convolution | Dense) -> tuple[Array, Array]:
    """Return a layer's weights and bias as views into a flat vector; no bias is `(0,)`."""
    outputs, size = layer.weights[0], math.prod(layer.weights)
    end = layer.start + size
    biased = isinstance(layer, Dense) or layer.biased
    bias = vector[end : end + outputs * biased]
    return vector[layer.start : end].reshape(layer.weights), bias


def split_normalization(vector: Array, layer: Normalization) -> Array:
    """Return gain, bias, mean and variance `(4, channels)` as a view into a flat vector."""
    return vector[layer.start : layer.start + 4 * layer.channels].reshape(4, -1)


def load(path: Path) -> Case:
    """Return the case in a file."""
    with np.load(path) as file:
        told = json.loads(str(file["told"]))
        arrays = {name: file[name] for name in ("parameters", "inputs", "targets")}
    return Case(told["name"], tuple(told["shape"]), _layers(told["layers"]), **arrays)


def _told(value: Any) -> Any:
    """Return layers as JSON can hold them."""
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
        return {
            "sort": type(value).__name__,
            **{name: _told(getattr(value, name)) for name in names},
        }
    return [_told(each) for each in value] if isinstance(value, tuple) else value


def _layers(value: Any) -> Any:
    """Return the layers that `_told` wrote, with JSON's lists as tuples."""
    if isinstance(value, dict):
        settings = {name: _layers(each) for name, each in value.items() if name != "sort"}
        return _LAYERS[value["sort"]](**settings)
    return tuple(_layers(each) for each in value) if isinstance(value, list) else value
