"""The contracts of augmentations: small changes of training items, at random.

An augmentation of another package subclasses `Augmentation`, which changes grids, or
`ThingAugmentation`, which changes what grids are made from. It is registered in the entry-point
group `gridcnn.augmentations`, and has to provide only what is listed here.
"""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from gridcnn.contracts.adapter import Adapter
from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.settings.base import Settings


class Augmentation(Settings, abc.ABC):
    """Settings of one change, with its arithmetic: grids go in, grids of the same shape come out.

    The output for an item depends on that item and its own random numbers alone. They are drawn
    item by item, as `random.random((items, numbers))` does it, always as many: so an epoch is the
    same for every size of batch.
    """

    for_training_alone: ClassVar[bool] = False
    """Whether it takes away some of what an item shows, so that answers do better without it."""

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
        """Return the largest memory for one item, in bytes, besides its input and output."""
        return 12 * shape.cells

    def change_one_hot(
        self,
        grids: OneHot,  # noqa: ARG002
        shape: GridShape,  # noqa: ARG002
        random: np.random.Generator,  # noqa: ARG002
    ) -> OneHot | None:
        """Return the changed one-hot grids, equal to the result of `change` for their cells.

        None, with nothing drawn, if they would no longer be one-hot: then `change` gets all cells.
        """
        return None


class ThingAugmentation(Settings, abc.ABC):
    """Settings of one change of things, before the adapter makes grids of them.

    That takes longer than changing grids. So some changed forms of each training item are made
    before training, and each epoch draws one of them.
    """

    @property
    def reach(self) -> float:
        """How much of a long clip is needed, as a multiple of its length in a grid."""
        return 1.0

    @property
    def content(self) -> str:
        """What else changes results besides the settings, such as the content of files."""
        return ""

    def resolved(self, base: Path) -> Self:  # noqa: ARG002 - for those that hold a path
        """Return the same with relative paths made absolute, starting at the folder `base`."""
        return self

    @abc.abstractmethod
    def check(self, adapter: Adapter) -> None:
        """Raise `ValueError` if it cannot change what an adapter reads, or would change nothing.

        The message says why, and what to do instead.
        """

    @abc.abstractmethod
    def change(self, thing: Any, adapter: Adapter, random: np.random.Generator) -> Any:
        """Return a changed thing, which the adapter reads; the one that is given stays as it is.

        Args:
            thing: as `Adapter.open_thing` returns it, or as the augmentation before has changed it.
            adapter: fitted.
            random: the generator for all random numbers.
        """
