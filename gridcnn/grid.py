"""Grids: stacks of mini-images with named axes, the one form in which data moves here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError

Array = NDArray[Any]
"""A NumPy array of floats: float32 in every run, float64 where gradients are checked."""


@dataclass(frozen=True)
class Axis:
    """What one direction of a grid means.

    Attributes:
        name: what changes along the axis, for example "time" or "character".
        unit: the unit of its labels, for example "s" or "Hz"; empty where there is none.
        labels: one label for each cell along the axis, or None where cells are merely counted.
        ordered: whether close cells are related. Nothing may slide or pool along an axis whose
            order means nothing.
    """

    name: str
    unit: str = ""
    labels: tuple[str, ...] | None = None
    ordered: bool = True


@dataclass(frozen=True)
class GridShape:
    """The shape of one grid, `(channels, rows, columns)`, and the meaning of its two axes."""

    channels: int
    rows: int
    columns: int
    row_axis: Axis = field(default=Axis("row"), compare=False)
    column_axis: Axis = field(default=Axis("column"), compare=False)

    @property
    def cells(self) -> int:
        """The number of cells in all channels together."""
        return self.channels * self.rows * self.columns

    @property
    def sizes(self) -> tuple[int, int, int]:
        """`(channels, rows, columns)`, as NumPy takes a shape."""
        return self.channels, self.rows, self.columns

    def __str__(self) -> str:
        return f"{self.channels} x {self.rows} x {self.columns}"

    def resized(self, channels: int, rows: int, columns: int) -> GridShape:
        """Return another size over the same axes; labels are dropped where a size has changed."""
        return GridShape(
            channels,
            rows,
            columns,
            _kept(self.row_axis, rows == self.rows),
            _kept(self.column_axis, columns == self.columns),
        )


def _kept(axis: Axis, same: bool) -> Axis:
    return axis if same else Axis(axis.name, axis.unit, None, axis.ordered)


@dataclass(frozen=True)
class Grids:
    """Items as grids: `values` is float32 `(items, channels, rows, columns)`, cells mostly -1..1.

    Raises:
        DataError: `values` has another number of dimensions, or not the sizes of `shape`.
    """

    values: NDArray[np.float32]
    shape: GridShape

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.shape[1:] != self.shape.sizes:
            raise DataError(
                f"grids of shape (items, {', '.join(map(str, self.shape.sizes))}) were expected; "
                f"got an array of shape {self.values.shape}"
            )

    def __len__(self) -> int:
        return len(self.values)
