"""Rectification: negatives become 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from gridcnn.contracts.stage import Backward, Gradients, Stage
from gridcnn.grid import Array, GridShape


class Rectification(Stage):
    """Replaces every negative number by 0, so that a mismatch counts as nothing (ReLU)."""

    title: ClassVar[str] = "rectification"

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
        """Return max(grids, 0); the gradient passes where a cell was above 0."""
        rectified = np.maximum(grids, 0)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return gradient * (rectified > 0) if need_input else gradient, {}

        return rectified, backward
