"""Changed forms of training items; each epoch draws one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.grid import Cells, OneHot
from gridcnn.streams import Stream


@dataclass(frozen=True)
class Forms:
    """Grids of changed forms of items, as many of each item.

    Attributes:
        grids: of all forms, `(grids, channels, rows, columns)`, in the same precision as those of
            the items, or one-hot as they are.
        places: which grid is that of each form, int64 `(items, forms)`; -1 for one that is like the
            item itself.
    """

    grids: Cells
    places: NDArray[np.int64]

    def at(self, indices: NDArray[np.int64]) -> Forms:
        """Return the forms of the items at `indices`, in their order."""
        return Forms(self.grids, self.places[indices])

    def draw(self, seed: int, epoch: int, count: int) -> NDArray[np.int64]:
        """Return which form each of `count` items of an epoch has, from 1; 0 is the item itself.

        All are equally likely. They depend on the seed, the number of the epoch and the place in it
        alone.
        """
        random = Stream.CHOSEN_FORMS.random(seed, epoch)
        return random.integers(0, self.places.shape[1], count, endpoint=True)

    def put(self, grids: Cells, drawn: NDArray[np.int64]) -> Cells:
        """Return a copy of the grids of these items, each in the form that is drawn."""
        places = self.places[np.arange(len(drawn)), np.maximum(drawn - 1, 0)]
        changed = np.flatnonzero((drawn > 0) & (places >= 0))
        if isinstance(grids, OneHot) and isinstance(self.grids, OneHot):
            indices = grids.indices.copy()
            indices[changed] = self.grids.indices[places[changed]]
            return OneHot(indices, grids.rows)
        cells = np.array(grids)
        cells[changed] = self.grids[places[changed]]
        return cells
