"""One item on its way through a network: every value, and gradients on the way back.

All is computed by the reference arithmetic in float64, whatever engine answers, so that sums that
are written out agree with their parts to the last digit shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridcnn.engines.reference import OpBackward, apply
from gridcnn.grid import Array, Cells
from gridcnn.network import Network, Op


class Passage:
    """Items on their way through a network.

    Attributes:
        values: the input of the network, and what each operation makes, float64
            `(items, channels, rows, columns)`, by the numbers of `Op.sources` and `Op.target`.

    Args:
        network: the network.
        parameters: its flat vector.
        grids: `(items, channels, rows, columns)`.
        until: the number of the last value that is needed; None: all of them.
    """

    def __init__(
        self, network: Network, parameters: Array, grids: Cells, *, until: int | None = None
    ) -> None:
        self.network = network
        self.parameters = np.asarray(parameters, np.float64)
        self.values: list[Array] = [np.ascontiguousarray(np.asarray(grids), np.float64)]
        self._trail: list[OpBackward] = []
        with np.errstate(over="ignore", invalid="ignore"):
            for op in network.ops[:until]:
                sources = [self.values[source] for source in op.sources]
                out, backward = apply(op.stage, sources, op.views(self.parameters))
                self.values.append(np.ascontiguousarray(out, np.float64))
                self._trail.append(backward)

    @property
    def logits(self) -> Array:
        """What the head makes votes of, `(items, classes)`."""
        out = self.values[self.network.result]
        return out.reshape(len(out), -1)

    def weights(self, op: Op) -> dict[str, Array]:
        """Return the parameters of an operation by name, in float64."""
        return op.views(self.parameters)

    def gradients(self, flow: Array, *, at: Sequence[int], start: int | None = None) -> list[Array]:
        """Return the gradients by some values, of the sum of a value's cells times `flow`.

        Args:
            flow: the weight of each cell, in the shape of the value `start`.
            at: the numbers of the values whose gradients are returned, in their shapes.
            start: the number of the value; None: the logits.
        """
        start = self.network.result if start is None else start
        flows = {start: np.asarray(flow, np.float64).reshape(self.values[start].shape)}
        done = self.network.ops[: len(self._trail)]
        for op, backward in zip(reversed(done), reversed(self._trail), strict=True):
            if op.target not in flows:
                continue
            gradient = flows[op.target] if op.target in at else flows.pop(op.target)
            by_sources, _ = backward(gradient)
            for source, by_source in zip(op.sources, by_sources, strict=True):
                flows[source] = flows[source] + by_source if source in flows else by_source
        return [flows.get(value, np.zeros_like(self.values[value])) for value in at]
