"""JAX, compiled by XLA."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.peers.base import Answer, Contestant, Way, Ways, window_table, window_weights
from benchmarks.peers.case import (
    BETA1,
    BETA2,
    EPSILON,
    RATE,
    Array,
    Convolution,
    Dense,
    Pooling,
    Rectification,
    split,
)

jax: Any = import_module("jax")
jnp: Any = import_module("jax.numpy")

CONVOLVED, GATHERED = "convolution", "gather"
FIRST, LAST = "channels first", "channels last"
WINDOWS, FOLDED = "windows", "folded"
"""Two ways of pooling: XLA's own, and as a maximum over axes of their own, whose gradient is
quicker. The second needs windows that lie side by side."""


class Jax(Contestant):
    """JAX on the processor, with everything within one compiled function."""

    packages = ("jax", "jaxlib")

    def ways(self, task: str) -> Ways:
        """Return both layouts, both ways of pooling, and both forms of one-hot grids."""
        if self.case.nested or self.case.normalized:
            raise NotImplementedError("only plain chains of layers are written for JAX")
        forms = (CONVOLVED, GATHERED) if self.case.one_hot else (CONVOLVED,)
        make = {"train": self._training, "predict": self._batches, "one": self._items}[task]
        return {
            f"{form}, {layout}, {pooling}": partial(make, _Network(self, form, layout, pooling))
            for form, layout, pooling in itertools.product(forms, (LAST, FIRST), (FOLDED, WINDOWS))
        }

    def _training(self, network: _Network) -> Way:
        inputs = [network.input(batch) for batch in range(self.case.batches)]
        targets = [jnp.asarray(right, jnp.int32) for right in self.case.targets]
        compute = jax.jit(jax.value_and_grad(network.loss))
        step = jax.jit(partial(_step, network.loss), donate_argnums=(0, 1))
        following = self.turn()
        now: dict[str, Any] = {}

        def reset() -> None:
            now["values"] = network.parameters()
            zeros = jax.tree.map(jnp.zeros_like, now["values"])
            now["state"] = (jnp.zeros(()), zeros, jax.tree.map(jnp.copy, zeros))

        def run() -> None:
            batch = following()
            now["values"], now["state"], loss = step(
                now["values"], now["state"], inputs[batch], targets[batch]
            )
            loss.block_until_ready()

        def answer() -> Answer:
            loss, gradients = compute(now["values"], inputs[0], targets[0])
            return {
                "loss": np.asarray(loss),
                "gradient": network.flat(gradients),
                "parameters": network.flat(now["values"]),
            }

        reset()
        return Way(run, answer, reset=reset)

    def _batches(self, network: _Network) -> Way:
        inputs = [network.input(batch) for batch in range(self.case.batches)]
        votes, values = jax.jit(network.votes), network.parameters()
        following = self.turn()
        return Way(
            lambda: votes(values, inputs[following()]).block_until_ready(),
            lambda: {"logits": np.asarray(votes(values, inputs[0]))},
        )

    def _items(self, network: _Network) -> Way:
        whole = network.input(0)
        items = [jnp.copy(whole[index : index + 1]) for index in range(len(whole))]
        votes, values = jax.jit(network.votes), network.parameters()

        def run() -> None:
            for item in items:
                votes(values, item).block_until_ready()

        def answer() -> Answer:
            return {"logits": np.concatenate([votes(values, item) for item in items])}

        return Way(run, answer, calls=len(items))


def _step(
    loss_of: Callable[..., Any], values: Any, state: Any, grids: Any, targets: Any
) -> tuple[Any, Any, Any]:
    """Return parameters, Adam's memory and the loss after one step (Kingma and Ba, 2015)."""
    steps, mean, square = state
    loss, gradient = jax.value_and_grad(loss_of)(values, grids, targets)
    steps = steps + 1
    mean = jax.tree.map(lambda m, g: m + (1 - BETA1) * (g - m), mean, gradient)
    square = jax.tree.map(lambda s, g: s + (1 - BETA2) * (g * g - s), square, gradient)
    length = RATE / (1 - BETA1**steps)
    growth = 1 - BETA2**steps
    values = jax.tree.map(
        lambda v, m, s: v - length * m / (jnp.sqrt(s / growth) + EPSILON), values, mean, square
    )
    return values, (steps, mean, square), loss


class _Network:
    """A case as functions of JAX, in one form, layout and way of pooling."""

    def __init__(self, contestant: Jax, form: str, layout: str, pooling: str) -> None:
        self.case = contestant.case
        self.form = form
        self.last = layout == LAST
        self.pooling = pooling

    def input(self, batch: int) -> Any:
        """Return a batch; gathered, `(items, columns, kernel)`."""
        if self.form == GATHERED:
            layer = self.case.layers[0]
            assert isinstance(layer, Convolution)
            windows = self.case.windows(batch, layer.weights[3], layer.borders[1][0])
            return jnp.asarray(windows, jnp.int32)
        grids = self.case.grids(batch)
        return jnp.asarray(grids.transpose(0, 2, 3, 1) if self.last else grids)

    def parameters(self) -> list[tuple[Any, Any]]:
        """Return the weights and bias of each layer, as this layout has them."""
        found = []
        for number, layer in enumerate(self.case.layers):
            if not isinstance(layer, Convolution | Dense):
                continue
            weights, bias = self.case.weights(layer)
            found.append((jnp.array(self._turned(number, layer, weights)), jnp.array(bias)))
        return found

    def flat(self, values: Sequence[tuple[Any, Any]]) -> Array:
        """Return parameters, or their gradients, in the order of the case's vector."""
        vector = np.zeros_like(self.case.parameters)
        kept = [
            (number, layer)
            for number, layer in enumerate(self.case.layers)
            if isinstance(layer, Convolution | Dense)
        ]
        for (number, layer), (weights, bias) in zip(kept, values, strict=True):
            into, into_bias = split(vector, layer)
            into[...] = self._turned_back(number, layer, np.asarray(weights))
            into_bias[...] = np.asarray(bias)
        return vector

    def votes(self, values: Sequence[tuple[Any, Any]], grids: Any) -> Any:
        """Return the logits."""
        remaining = iter(values)
        for number, layer in enumerate(self.case.layers):
            if isinstance(layer, Pooling):
                grids = self._pooled(layer, grids)
                continue
            if isinstance(layer, Rectification):
                grids = jax.nn.relu(grids)
                continue
            assert isinstance(layer, Convolution | Dense)
            weights, bias = next(remaining)
            if isinstance(layer, Dense):
                grids = grids.reshape(len(grids), -1) @ weights + bias
                grids = jax.nn.relu(grids) if layer.rectified else grids
            elif number == 0 and self.form == GATHERED:
                # Rows beyond the table, which stand for no symbol, are 0.
                found = jnp.take(weights, grids, axis=0, mode="fill", fill_value=0)
                maps = (found.sum(axis=2) + bias)[:, None]
                grids = maps if self.last else maps.transpose(0, 3, 1, 2)
            else:
                grids = self._convolved(layer, grids, weights, bias)
        return grids

    def loss(self, values: Sequence[tuple[Any, Any]], grids: Any, targets: Any) -> Any:
        """Return the mean cross-entropy."""
        logs = jax.nn.log_softmax(self.votes(values, grids))
        return -jnp.take_along_axis(logs, targets[:, None], axis=1).mean()

    def _convolved(self, layer: Convolution, grids: Any, weights: Any, bias: Any) -> Any:
        names = ("NHWC", "HWIO", "NHWC") if self.last else ("NCHW", "OIHW", "NCHW")
        maps = jax.lax.conv_general_dilated(
            grids, weights, layer.stride, layer.borders, dimension_numbers=names
        )
        return maps + (bias if self.last else bias[:, None, None])

    def _pooled(self, layer: Pooling, grids: Any) -> Any:
        beyond = [(0, size) for size in layer.beyond]
        if self.pooling == FOLDED and layer.window == layer.stride:
            return self._folded(layer, grids, beyond)
        window, stride, reach = list(layer.window), list(layer.stride), beyond
        if self.last:
            window, stride, reach = [1, *window, 1], [1, *stride, 1], [(0, 0), *reach, (0, 0)]
        else:
            window, stride, reach = [1, 1, *window], [1, 1, *stride], [(0, 0), (0, 0), *reach]
        return jax.lax.reduce_window(grids, -jnp.inf, jax.lax.max, window, stride, reach)

    def _folded(self, layer: Pooling, grids: Any, beyond: list[tuple[int, int]]) -> Any:
        nothing, (high, wide) = (0, 0), layer.window
        if self.last:
            grids = jnp.pad(grids, (nothing, *beyond, nothing), constant_values=-jnp.inf)
            items, rows, columns, channels = grids.shape
            parts = (items, rows // high, high, columns // wide, wide, channels)
            return grids.reshape(parts).max(axis=(2, 4))
        grids = jnp.pad(grids, (nothing, nothing, *beyond), constant_values=-jnp.inf)
        items, channels, rows, columns = grids.shape
        parts = (items, channels, rows // high, high, columns // wide, wide)
        return grids.reshape(parts).max(axis=(3, 5))

    def _turned(self, number: int, layer: Convolution | Dense, weights: Array) -> Array:
        """Return a layer's weights as this layout has them."""
        if isinstance(layer, Dense):
            cells = self._cells(number)
            if cells is not None:
                weights = weights.reshape(-1, *cells).transpose(0, 2, 3, 1)
            return weights.reshape(layer.weights).T
        if number == 0 and self.form == GATHERED:
            return window_table(self.case, layer)[:-1]
        return weights.transpose(2, 3, 1, 0) if self.last else weights

    def _turned_back(self, number: int, layer: Convolution | Dense, weights: Array) -> Array:
        if isinstance(layer, Dense):
            weights, cells = weights.T, self._cells(number)
            if cells is not None:
                channels, rows, columns = cells
                split_up = weights.reshape(-1, rows, columns, channels)
                weights = split_up.transpose(0, 3, 1, 2)
            return weights.reshape(layer.weights)
        if number == 0 and self.form == GATHERED:
            return window_weights(np.pad(weights, ((0, 1), (0, 0))), layer)
        return weights.transpose(3, 2, 0, 1) if self.last else weights

    def _cells(self, number: int) -> tuple[int, int, int] | None:
        """Return `(channels, rows, columns)` of what enters a dense layer channels last."""
        if not self.last or isinstance(self.case.layers[number - 1], Dense):
            return None
        shape = self.case.shape
        for layer in self.case.layers[:number]:
            if isinstance(layer, Convolution):
                sizes = zip(shape[1:], layer.borders, layer.weights[2:], layer.stride, strict=True)
                rows, columns = ((n + sum(b) - k) // s + 1 for n, b, k, s in sizes)
                shape = (layer.weights[0], rows, columns)
            elif isinstance(layer, Pooling):
                places = zip(shape[1:], layer.beyond, layer.window, layer.stride, strict=True)
                rows, columns = ((n + b - k) // s + 1 for n, b, k, s in places)
                shape = (shape[0], rows, columns)
        return shape
