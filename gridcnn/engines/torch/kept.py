"""Grids that are on the device for a whole training, and go there once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gridcnn.grid import Array, Held, OneHot


class KeptCells(Held):
    """Some items of grids that are both here and on the device; they pass for an array of cells.

    Args:
        cells: all grids, as they are in this process.
        sent: the same on the device; the indices of one-hot grids.
        items: the indices of these items, int64 `(items,)`.
    """

    def __init__(self, cells: Array | OneHot, sent: Tensor, items: NDArray[np.int64]) -> None:
        self._cells = cells
        self._sent = sent
        self.items = items

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(items, channels, rows, columns)`."""
        return (len(self.items), *self._cells.shape[1:])

    @property
    def digests(self) -> None:
        """They are not known."""
        return

    @property
    def odd(self) -> int:
        """None: training has refused grids that are not finite before they were sent."""
        return 0

    @property
    def rows(self) -> int | None:
        """The rows of one-hot grids; None for others."""
        return self._cells.rows if isinstance(self._cells, OneHot) else None

    def __getitem__(self, chosen: Any) -> Any:
        """Return one item as an array, or some items, which stay where they are."""
        if isinstance(chosen, int | np.integer):
            return self._cells[self.items[chosen]]
        return KeptCells(self._cells, self._sent, self.items[chosen])

    def fetch(self) -> Array | OneHot:
        """Return the grids as they are in this process."""
        return self._cells[self.items]

    def choose(self, places: Tensor) -> Tensor:
        """Return the grids, or their indices, at some places of all grids, on the device."""
        return self._sent.index_select(0, places)
