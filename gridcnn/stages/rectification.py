"""Rectification: negatives become 0, or smaller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from gridcnn.contracts.stage import Backward, Gradients, Stage
from gridcnn.grid import Array, GridShape
from gridcnn.settings.base import Fraction


class Rectification(Stage):
    """Replaces every negative number by 0, so that a mismatch counts as nothing (ReLU)."""

    title: ClassVar[str] = "rectification"

    leak: Fraction = 0.0
    """What is left of a negative number: 0.1 makes -2 to -0.2 (leaky ReLU; Maas et al., 2013)."""

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers: never."""
        return False

    def output(self, shape: GridShape) -> GridShape:
        """Return the same shape."""
        return shape

    def multiply_adds(self, shape: GridShape) -> int:
        """Return one comparison for each cell."""
        return shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],  # noqa: ARG002
        *,
        training: bool = False,  # noqa: ARG002
        random: np.random.Generator | None = None,  # noqa: ARG002
    ) -> tuple[Array, Backward]:
        """Return max(grids, 0); the gradient passes where a cell was above 0.

        With a leak, that part of negatives and of their gradients is left.
        """
        if not self.leak:
            rectified = np.maximum(grids, 0)
            passing: Array = rectified > 0
        else:
            leak = grids.dtype.type(self.leak)
            passing = np.where(grids > 0, grids.dtype.type(1), leak)
            rectified = grids * passing

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return gradient * passing if need_input else gradient, {}

        return rectified, backward
