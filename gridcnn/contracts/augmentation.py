"""The contract of an augmentation: a small change of training grids, drawn again for every item.

An augmentation of another package subclasses `Augmentation`, and is registered in the entry-point
group `gridcnn.augmentations`. It has to provide only what is listed here.
"""

from __future__ import annotations

import abc

import numpy as np

from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.settings.base import Settings


class Augmentation(Settings, abc.ABC):
    """Settings of one change, with its arithmetic: grids go in, grids of the same shape come out.

    What comes out for an item depends on that item and its own random numbers alone. They are drawn
    item by item, as `random.random((items, numbers))` does it, always as many: so an epoch is the
    same for every size of batch.
    """

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if it cannot work on grids of `shape`, or would harm them.

        The message says why, and what to write instead.
        """

    @abc.abstractmethod
    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Return the changed grids, in the precision of `grids`.

        Args:
            grids: `(items, channels, rows, columns)`, of a kind of float, in C order; they may be
                changed in place.
            shape: the shape of each, and the meaning of its axes.
            random: the generator for all random numbers.
        """

    def working_bytes(self, shape: GridShape) -> int:
        """Return the most memory for one item, in bytes, beside its input and output."""
        return 12 * shape.cells

    def change_one_hot(
        self,
        grids: OneHot,  # noqa: ARG002
        shape: GridShape,  # noqa: ARG002
        random: np.random.Generator,  # noqa: ARG002
    ) -> OneHot | None:
        """Return the changed one-hot grids, equal to what `change` would make of their cells.

        None, with nothing drawn, if they would no longer be one-hot: then `change` gets all cells.
        """
        return None
