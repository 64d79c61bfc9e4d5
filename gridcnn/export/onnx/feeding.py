"""What goes into an exported file: items as the arrays that its input takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Adapter, Things, pick
from gridcnn.grid import Array

_TOGETHER = 256
Feeds = dict[str, NDArray[np.generic]]
_FEEDERS: dict[str, Callable[[Adapter, Things], Iterator[tuple[NDArray[np.int64], Array]]]] = {}


def batches(
    adapter: Adapter, name: str, things: Things
) -> Iterator[tuple[NDArray[np.int64], Feeds]]:
    """Yield the indices of some items, and the input for them, until all have been.

    Items in one batch are of one size; of pictures, clips and texts it may differ between batches.

    Args:
        adapter: of the model.
        name: of the input of the file.
        things: items that the adapter can read.
    """
    feeder = _FEEDERS.get(name, _grids)
    for start in range(0, len(things), _TOGETHER):
        chosen = np.arange(start, min(start + _TOGETHER, len(things)))
        for places, array in feeder(adapter, pick(things, chosen)):
            yield chosen[places], {name: array}


def _grids(adapter: Adapter, things: Things) -> Iterator[tuple[NDArray[np.int64], Array]]:
    yield np.arange(len(things)), np.asarray(adapter.grids(things).values)
