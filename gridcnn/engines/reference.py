"""The reference engine: NumPy, stage by stage, as the article tells it. The oracle of the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridcnn.engines.base import Engine, Step
from gridcnn.grid import Array
from gridcnn.stages.base import Backward
from gridcnn.stages.voting import cross_entropy

CHUNK_BYTES = 64_000_000


class ReferenceEngine(Engine):
    """Calls each stage's own arithmetic, one after the other, in the precision of the grids."""

    name = "reference"

    def maps(self, parameters: Array, grids: Array, *, after: int | None = None) -> Array:
        """Return the grids after a block, computed in chunks that fit into memory."""
        blocks = self.network.blocks[: None if after is None else after + 1]
        chunk = max(1, CHUNK_BYTES // max(self.network.item_bytes, 1))
        views = [block.views(parameters) for block in blocks]
        done: list[Array] = []
        # At least once, so that no items come out in the right shape as well.
        for start in range(0, max(len(grids), 1), chunk):
            values = grids[start : start + chunk]
            for block, weights in zip(blocks, views, strict=True):
                values, _ = block.stage.forward(values, weights)
            done.append(values)
        return done[0] if len(done) == 1 else np.concatenate(done)

    def step(
        self,
        parameters: Array,
        grids: Array,
        targets: NDArray[np.int64],
        *,
        random: np.random.Generator | None = None,
    ) -> Step:
        """Return loss and gradient, by running forward and then back along the same stages."""
        values = grids
        trail: list[Backward] = []
        for block in self.network.blocks:
            values, backward = block.stage.forward(
                values, block.views(parameters), random=random
            )
            trail.append(backward)
        logits = values.reshape(len(grids), -1)
        losses, flow = cross_entropy(logits, targets)
        flow = (flow / len(grids)).reshape(values.shape)
        gradient = np.zeros_like(parameters)
        for number in range(len(trail) - 1, -1, -1):
            block = self.network.blocks[number]
            flow, gradients = trail[number](flow, need_input=number > 0)
            for slot in block.slots:
                if slot.parameter.trainable:
                    gradient[slot.part] = gradients[slot.parameter.name].ravel()
        hits = int((logits.argmax(axis=1) == targets).sum())
        return Step(float(losses.mean(dtype=np.float64)), hits, gradient)
