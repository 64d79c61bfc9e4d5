"""Pictures before they become grids: their pixels, and which of these a grid needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.jpeg import SCALES
from gridcnn.adapters.resampling import Window

if TYPE_CHECKING:
    from PIL.Image import Image

Values: TypeAlias = "NDArray[Any] | Image"
"""A Pillow image in mode L, LA, RGB or RGBA, or an array of any number type: `(rows, columns)` or
`(rows, columns, 2 | 3 | 4)`: grey and opacity; red, green and blue; these and opacity."""

BLOCKS = 8  # blocks along a side of a cell, at least, where whole bytes are averaged in two steps
_SEEN = 2  # decoded pixels along a side of a cell, at least, where a picture is decoded smaller


class Picture(NamedTuple):
    """A picture, upright.

    Attributes:
        values: its pixels.
        window: the part of `values` that is the picture. It ends within a row or a column if blocks
            of pixels have been averaged, and their size does not divide that of the picture.
    """

    values: Values
    window: Window

    def array(self) -> NDArray[Any]:
        """Return the pixels as an array."""
        return self.values if isinstance(self.values, np.ndarray) else np.asarray(self.values)


class Need(NamedTuple):
    """What a grid needs of a picture, so that no more of it is decoded.

    Attributes:
        size: rows and columns of the grid.
        fit: how the picture is brought to that size.
        grey: whether colours do not matter.
    """

    size: tuple[int, int]
    fit: Literal["pad", "crop", "stretch"]
    grey: bool

    def _cell(self, height: float, width: float) -> float:
        """Return how many pixels the shorter side of a cell spans."""
        down, across = height / self.size[0], width / self.size[1]
        return max(down, across) if self.fit == "pad" else min(down, across)

    def scale(self, rows: int, columns: int) -> int:
        """Return the factor by which a picture may be reduced while it is decoded: 1, 2, 4 or 8.

        At least two pixels are left along each side of a cell.
        """
        cell = self._cell(rows, columns)
        return next((scale for scale in SCALES if cell >= _SEEN * scale), 1)

    def reduce(self, image: Image, window: Window) -> Picture:
        """Return a Pillow image with blocks averaged to whole bytes, if a cell has very many.

        Each cell still sees 64 blocks or more, so that neither their edges nor their rounding
        matter. Averaging floats would take ten times as long.
        """
        step = int(self._cell(window.height, window.width) / BLOCKS)
        if step <= 1:
            return Picture(image, window)
        return Picture(image.reduce(step), window.divide(step))
