"""The reference engine: NumPy, stage by stage, as in the article: the oracle of the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.stage import Backward
from gridcnn.engines.base import Engine, Memory, Step
from gridcnn.grid import Array, Cells
from gridcnn.network import Network
from gridcnn.stages.voting import cross_entropy

CHUNK_BYTES = 4_000_000
"""About how many values are worked on at a time; what fits into the processor's caches is
quicker."""

_LARGE_BLOCK = 32_000_000  # bytes; glibc does not learn from blocks of more than 32 MiB

# Numbers that are too large become inf or NaN, which the caller finds in the result.
_quietly = np.errstate(over="ignore", invalid="ignore")


class ReferenceEngine(Engine):
    """Calls each stage's own arithmetic, one after the other, for a few items at a time."""

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
        ops = self.network.ops[: None if after is None else after + 1]
        views = [op.views(parameters) for op in ops]
        last = ops[-1].output if ops else self.network.shape
        maps = np.empty((len(grids), *last.sizes), parameters.dtype)
        for part in parts_of(self.network, len(grids)):
            values = plain(grids[part], parameters)
            for op, weights in zip(ops, views, strict=True):
                values = plain(op.stage.forward(values, weights)[0], parameters)
            maps[part] = values
        return maps

    @_quietly
    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: NDArray[np.int64],
        *,
        random: np.random.Generator | None = None,
    ) -> Step:
        """Return loss and gradient, by running forward and then back along the same stages."""
        gradient = np.zeros_like(parameters)
        total, hits = 0.0, 0
        for part in parts_of(self.network, len(grids)):
            losses, right = self._add(gradient, parameters, grids[part], targets[part], random)
            total += float(losses.sum(dtype=np.float64))
            hits += right
        items = max(len(grids), 1)
        gradient /= items
        return Step(total / items, hits, gradient)

    def _add(
        self,
        gradient: Array,
        parameters: Array,
        grids: Cells,
        targets: NDArray[np.int64],
        random: np.random.Generator | None,
    ) -> tuple[Array, int]:
        """Add the gradient of the items' losses to `gradient`; return the losses and the hits."""
        values = plain(grids, parameters)
        trail: list[Backward] = []
        for op in self.network.ops:
            values, backward = op.stage.forward(values, op.views(parameters), random=random)
            values = plain(values, parameters)
            trail.append(backward)
        logits = values.reshape(len(grids), -1)
        losses, flow = cross_entropy(logits, targets)
        flow = flow.reshape(values.shape)
        for number in range(len(trail) - 1, -1, -1):
            op = self.network.ops[number]
            flow, gradients = trail[number](flow, need_input=number > 0)
            for slot in op.slots:
                if slot.parameter.trainable:
                    gradient[slot.part] += gradients[slot.parameter.name].ravel()
        return losses, int((logits.argmax(axis=1) == targets).sum())


def keep_memory() -> None:
    """Let the C library keep memory that is freed.

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


def plain(grids: Cells, parameters: Array) -> Array:
    """Return grids in the precision of the parameters, in C order and the machine's byte order."""
    return np.ascontiguousarray(grids, parameters.dtype.newbyteorder("="))
