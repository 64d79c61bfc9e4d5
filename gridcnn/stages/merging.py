"""Merges: they make one grid of several, by adding cells or by joining maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridcnn.contracts.stage import Merge, MergeBackward
from gridcnn.grid import Array, GridShape


class Sum(Merge):
    """Adds grids of one size cell by cell."""

    name = "sum"

    def output(self, shapes: Sequence[GridShape]) -> GridShape:
        """Return the same shape; all must have it."""
        if len({shape.sizes for shape in shapes}) > 1:
            raise ValueError(
                f"grids of {_listed(shapes)} cannot be added; all need the same channels, rows and "
                "columns"
            )
        return shapes[0]

    def multiply_adds(self, shapes: Sequence[GridShape]) -> int:
        """Return one addition for each cell of each input but the first."""
        return (len(shapes) - 1) * shapes[0].cells

    def forward(self, grids: Sequence[Array]) -> tuple[Array, MergeBackward]:
        """Return the sum, added in the order of the inputs; each input gets the whole gradient."""
        total = grids[0].copy()
        for grid in grids[1:]:
            total += grid

        def backward(gradient: Array) -> Sequence[Array]:
            return [gradient] * len(grids)

        return total, backward

    def __repr__(self) -> str:
        return "Sum()"


class Join(Merge):
    """Puts the maps of several grids into one grid, one after the other."""

    name = "join"

    def output(self, shapes: Sequence[GridShape]) -> GridShape:
        """Return the size of all, with the channels of all together."""
        if len({shape.sizes[1:] for shape in shapes}) > 1:
            raise ValueError(
                f"maps of {_listed(shapes)} cannot be joined; all need the same rows and columns, "
                "as with padding: same, or with pooling: {window: all} in each branch"
            )
        channels = sum(shape.channels for shape in shapes)
        return shapes[0].resized(channels, shapes[0].rows, shapes[0].columns)

    def multiply_adds(self, shapes: Sequence[GridShape]) -> int:  # noqa: ARG002
        """Return 0: cells are only moved."""
        return 0

    def forward(self, grids: Sequence[Array]) -> tuple[Array, MergeBackward]:
        """Return all maps; each input gets the gradient of its own."""
        ends = np.cumsum([grid.shape[1] for grid in grids])[:-1]

        def backward(gradient: Array) -> Sequence[Array]:
            return np.split(gradient, ends, axis=1)

        return np.concatenate(grids, axis=1), backward

    def __repr__(self) -> str:
        return "Join()"


def _listed(shapes: Sequence[GridShape]) -> str:
    return " and ".join(str(shape) for shape in shapes)
