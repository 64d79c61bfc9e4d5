"""The contract of an engine, and the registry of engines."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import TrainingError
from gridcnn.grid import Array, Cells
from gridcnn.network import Network
from gridcnn.registry import Registry

ENGINES = Registry(
    "engine",
    {
        "native": "gridcnn.engines.native.engine:NativeEngine",
        "reference": "gridcnn.engines.reference:ReferenceEngine",
    },
)
DEFAULT_ENGINE = "reference"


@dataclass(frozen=True)
class Step:
    """What one batch tells.

    Attributes:
        loss: the mean cross-entropy over the batch.
        hits: how many items the network answered rightly.
        gradient: the gradient of the mean loss by the flat vector, 0 where nothing is trained.
    """

    loss: float
    hits: int
    gradient: Array


class Engine(abc.ABC):
    """Carries out one network's arithmetic.

    Every method takes the flat parameter vector, so that an engine holds no state that training
    could leave behind. `grids` are `(items, channels, rows, columns)`, of any type of number and in
    any layout in memory, or a `OneHot`, of which `numpy.asarray` makes such an array; no items is
    fine. The arithmetic is in the precision of the parameters. What comes out for an item depends
    on that item alone, to the last bit, and not on the batch that it stands in. Cells that are NaN
    or infinite are no error: they go the way of all numbers.

    Args:
        network: whose arithmetic it is.
        threads: the most threads to work with; None: as many as this process may use. What comes
            out does not depend on it, to the last bit.
    """

    name = ""

    def __init__(self, network: Network, *, threads: int | None = None) -> None:
        self.network = network
        self.threads = threads

    @abc.abstractmethod
    def maps(self, parameters: Array, grids: Cells, *, after: int | None = None) -> Array:
        """Return the grids that come out after the block with index `after`; None: the last."""

    @abc.abstractmethod
    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: NDArray[np.int64],
        *,
        random: np.random.Generator | None = None,
    ) -> Step:
        """Return loss and gradient for one batch; both are 0 for no items.

        Args:
            parameters: the flat vector.
            grids: the batch.
            targets: the index of the right class of each item, `(items,)`.
            random: what decides about dropout; None leaves nothing out.
        """

    def logits(self, parameters: Array, grids: Cells) -> Array:
        """Return the votes before softmax, `(items, classes)`.

        Raises:
            TrainingError: the network has no head.
        """
        if self.network.spec.head is None or self.network.classes is None:
            raise TrainingError("this network has no head: it makes maps, and gives no votes")
        return self.maps(parameters, grids).reshape(len(grids), self.network.classes)


def make_engine(network: Network, name: str | None = None, *, threads: int | None = None) -> Engine:
    """Return the engine of that name for a network; raise `UnknownNameError` for other names."""
    engine: Engine = ENGINES[name or DEFAULT_ENGINE](network, threads=threads)
    return engine
