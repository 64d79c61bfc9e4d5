"""Dropout: training leaves out cells or whole maps at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from gridcnn.contracts.stage import Backward, Gradients, Stage
from gridcnn.grid import Array, GridShape
from gridcnn.settings.base import Fraction


class Dropout(Stage):
    """Leaves out numbers at random in training, so that no feature relies on a single other."""

    title: ClassVar[str] = "dropout"
    short: ClassVar[tuple[str, ...]] = ("rate",)

    rate: Fraction
    """The part that is left out; what is kept counts more, to keep the sum (Srivastava et al.,
    2014)."""
    of: Literal["cells", "maps"] = "cells"
    """Whether single cells are left out, or whole maps (Tompson et al., 2015)."""

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers: if anything is left out."""
        return self.rate > 0

    def output(self, shape: GridShape) -> GridShape:
        """Return the same shape."""
        return shape

    def multiply_adds(self, shape: GridShape) -> int:  # noqa: ARG002
        """Return 0: answers leave nothing out."""
        return 0

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],  # noqa: ARG002
        *,
        training: bool = False,  # noqa: ARG002
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        """Return the grids, with a part of their cells 0 if there are random numbers to draw."""
        factors: Array | None = None
        if random is not None and self.rate:
            sizes = grids.shape if self.of == "cells" else (*grids.shape[:2], 1, 1)
            factors = self.draw_factors(sizes, random, grids.dtype)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return gradient if factors is None or not need_input else gradient * factors, {}

        return grids if factors is None else grids * factors, backward

    def draw_factors(
        self, sizes: tuple[int, ...], random: np.random.Generator, dtype: np.dtype[Any]
    ) -> Array:
        """Return factors: 0 for what is left out, and above 1 for the rest."""
        is_kept = random.random(sizes, np.float32) >= self.rate
        factors: Array = is_kept.astype(dtype) / dtype.type(1 - self.rate)
        return factors
