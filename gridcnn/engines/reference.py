"""The reference engine: NumPy, stage by stage, as in the article: the oracle of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from gridcnn.contracts.stage import Gradients, Merge, Stage
from gridcnn.contracts.targets import SoftTargets, Targets, check_weights
from gridcnn.engines.base import Engine, Memory, StepResult, generators, take_running
from gridcnn.grid import Array, Cells
from gridcnn.network import Network, groups_of

CHUNK_BYTES = 4_000_000
"""About how many values are worked on at a time; what fits into the processor's caches is
quicker."""

_LARGE_BLOCK = 32_000_000  # bytes; glibc does not learn from blocks of more than 32 MiB

# Numbers that are too large become inf or NaN, which the caller finds in the result.
_quietly = np.errstate(over="ignore", invalid="ignore")


class ReferenceEngine(Engine):
    """Calls the arithmetic of each operation, one after the other, for a few items at a time."""

    name = "reference"

    def __init__(self, network: Network, *, threads: int | None = None) -> None:
        super().__init__(network, threads=threads)
        keep_memory()

    @property
    def workers(self) -> None:
        """NumPy has threads of its own."""

    def memory(self, batch_size: int) -> Memory:
        """Return what batches of so many items take: a few items at a time, and the gradient."""
        together = min(batch_size, size_of_parts(self.network))
        forward = self.network.item_bytes * together
        answers = 4 * self.network.output.cells * batch_size
        return Memory(2 * forward + 4 * self.network.parameters, forward + answers)

    @_quietly
    def maps(self, parameters: Array, grids: Cells, *, after: int | None = None) -> Array:
        """Return the grids after an operation."""
        target = self.network.result if after is None else after + 1
        maps = np.empty((len(grids), *self.network.values[target].sizes), parameters.dtype)
        views = [op.views(parameters) for op in self.network.ops[:target]]
        for part in parts_of(self.network, len(grids)):
            maps[part] = self._value(target, plain(grids[part], parameters), parameters, views)
        return maps

    def _value(
        self, target: int, grids: Array, parameters: Array, views: list[dict[str, Array]]
    ) -> Array:
        """Return the value with the number `target` for items; others are freed when they can."""
        values = {0: grids}
        for number, (op, weights) in enumerate(zip(self.network.ops, views, strict=False)):
            sources = [values[source] for source in op.sources]
            for source in set(op.sources):
                if self.network.last_readers[source] == number and source != target:
                    del values[source]
            values[op.target] = plain(apply(op.stage, sources, weights)[0], parameters)
        return values[target]

    @_quietly
    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        random: np.random.Generator | None = None,
    ) -> StepResult:
        """Return loss and gradient, by running forward and then back along the same stages."""
        classes = self.network.output.cells
        targets = self.head.check_targets(targets, items=len(grids), classes=classes)
        if weights is not None:
            weights = check_weights(weights, items=len(grids))
        gradient = np.zeros_like(parameters)
        total, hits = 0.0, 0
        chances = generators(self.network, random)
        for part in training_parts(self.network, len(grids)):
            counts = None if weights is None else weights[part]
            losses, right = self._add(
                gradient, parameters, grids[part], targets[part], counts, chances
            )
            total += float(losses.sum(dtype=np.float64))
            hits += right
        items = max(len(grids), 1)
        gradient /= items
        running = take_running(self.network, parameters, gradient) if len(grids) else ()
        return StepResult(total / items, hits, gradient, running)

    def _add(
        self,
        gradient: Array,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        weights: Array | None,
        chances: Sequence[np.random.Generator | None],
    ) -> tuple[Array, int]:
        """Add the gradient of the items' losses to `gradient`; return the losses and the hits."""
        network = self.network
        values = {0: plain(grids, parameters)}
        trail: list[OpBackward] = []
        for op, random in zip(network.ops, chances, strict=True):
            sources = [values[source] for source in op.sources]
            out, backward = apply(
                op.stage, sources, op.views(parameters), training=True, random=random
            )
            values[op.target] = plain(out, parameters)
            trail.append(backward)
        out = values[network.result]
        logits = out.reshape(len(grids), -1)
        losses, flow = self.head.losses(logits, targets)
        if weights is not None:
            losses, flow = losses * weights, flow * weights[:, None]
        # The gradient by each value that is known so far: the sum over those that read it.
        flows = {network.result: flow.reshape(out.shape)}
        for op, backward in zip(reversed(network.ops), reversed(trail), strict=True):
            by_sources, gradients = backward(flows.pop(op.target), need_input=any(op.sources))
            for slot in op.slots:
                if slot.parameter.role != "fixed":
                    gradient[slot.part] += gradients[slot.parameter.name].ravel()
            for source, by_source in zip(op.sources, by_sources, strict=True):
                if source:  # the gradient of the grids themselves is not needed
                    flows[source] = flows[source] + by_source if source in flows else by_source
        return losses, int(self.head.hits(logits, targets).sum())


class OpBackward(Protocol):
    """The way back of a stage or a merge."""

    def __call__(
        self, gradient: Array, *, need_input: bool = True
    ) -> tuple[Sequence[Array], Gradients]:
        """Return the gradients by all inputs, and those by the parameters."""
        ...


def apply(
    stage: Stage | Merge,
    sources: Sequence[Array],
    weights: Mapping[str, Array],
    *,
    training: bool = False,
    random: np.random.Generator | None = None,
) -> tuple[Array, OpBackward]:
    """Return the output of an operation, and its backward pass, by the stage's arithmetic."""
    if isinstance(stage, Merge):
        out, split = stage.forward(sources)

        def split_back(
            gradient: Array, *, need_input: bool = True
        ) -> tuple[Sequence[Array], Gradients]:
            return split(gradient) if need_input else [gradient] * len(sources), {}

        return out, split_back
    out, backward = stage.forward(sources[0], weights, training=training, random=random)

    def stage_back(
        gradient: Array, *, need_input: bool = True
    ) -> tuple[Sequence[Array], Gradients]:
        by_input, gradients = backward(gradient, need_input=need_input)
        return [by_input], gradients

    return out, stage_back


def keep_memory() -> None:
    """Make the C library keep freed memory.

    It gives freed memory back to the system, and asks for it again at every step, until it has seen
    large blocks come and go. Nothing is written to this one.
    """
    np.empty(_LARGE_BLOCK, np.uint8)


def size_of_parts(network: Network) -> int:
    """Return how many items are worked on at a time."""
    return max(1, CHUNK_BYTES // max(network.item_bytes, 1))


def parts_of(network: Network, items: int) -> Iterator[slice]:
    """Yield the parts of a batch that are worked on at a time."""
    size = size_of_parts(network)
    for start in range(0, items, size):
        yield slice(start, start + size)


def training_parts(network: Network, items: int) -> Iterator[slice]:
    """Yield the parts of a batch in training: whole groups, if items of a group are mixed."""
    if network.mixes_items and items:
        yield from groups_of(items)
    else:
        yield from parts_of(network, items)


def plain(grids: Cells, parameters: Array) -> Array:
    """Return grids in the precision of the parameters, in C order and the machine's byte order."""
    return np.ascontiguousarray(grids, parameters.dtype.newbyteorder("="))
