"""Grids that are also where an engine computes for a whole training, and were sent there once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.grid import Array, Cells, Held, OneHot


class KeptCells(Held):
    """Some items of grids that are both here and elsewhere; they pass for an array of cells.

    Args:
        cells: all grids, as they are in this process.
        sent: the same as the engine has them elsewhere; the indices of one-hot grids.
        items: the indices of these items, int64 `(items,)`; None: all of them.
    """

    def __init__(
        self, cells: Array | OneHot, sent: Any, items: NDArray[np.int64] | None = None
    ) -> None:
        self._cells = cells
        self._is_all = items is None
        self.sent = sent
        self.items = np.arange(len(cells)) if items is None else items

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(items, channels, rows, columns)`."""
        return (len(self.items), *self._cells.shape[1:])

    @property
    def one_hot(self) -> bool:
        """Whether `fetch` returns one-hot grids."""
        return isinstance(self._cells, OneHot)

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
        return KeptCells(self._cells, self.sent, self.items[chosen])

    def fetch(self) -> Array | OneHot:
        """Return the grids as they are in this process."""
        return self._cells if self._is_all else self._cells[self.items]


def sent_form(cells: Cells) -> Array | None:
    """Return what is sent of grids, which are indices if they are one-hot; None if they are held.

    Grids that are held have been sent already.
    """
    if isinstance(cells, Held):
        return None
    return cells.indices if isinstance(cells, OneHot) else cells
