"""Augmentations that change values: mask, drop, noise and gain."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from annotated_types import Gt, Lt
from numpy.typing import NDArray
from pydantic import AllowInfNan, Field, Strict, model_validator

from gridcnn.contracts.augmentation import Augmentation
from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.settings.base import Count, Fraction, NotNegative, Positive, Whole
from gridcnn.training.augmentation import AlongAxes, numbers, whole_numbers

Bands = NDArray[np.bool_]
Value = Annotated[float, Strict(), AllowInfNan(False), Field(ge=-1e6, le=1e6)]


class Mask(AlongAxes):
    """Hides bands of neighbouring rows and columns, or boxes.

    Bands are those of SpecAugment (Park et al., 2019), a box that of Cutout (DeVries and Taylor,
    2017).
    """

    title: ClassVar[str] = "mask"
    short: ClassVar[tuple[str, ...]] = ("rows", "columns")

    rows: Whole = 0
    """The most rows of a band, or of a box; every number up to it is equally likely."""
    columns: Whole = 0
    """The most columns."""
    count: Annotated[Count, Field(le=64)] = 1
    """How many bands along each axis, or how many boxes."""
    form: Literal["bands", "box"] = "bands"
    """`bands` go right through the grid; a `box` is where a band of rows and one of columns
    meet."""
    fill: Value = 0.0
    """The value of hidden cells."""

    @model_validator(mode="after")
    def _box_has_two_sides(self) -> Self:
        if self.form == "box" and not (self.rows and self.columns):
            raise ValueError("a box has rows and columns; set both above 0")
        return self

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if nothing would be left, or an axis has no order."""
        self.refuse_unordered(shape, "it has no bands of neighbours")
        for direction, _, size, own in self.along(shape):
            if own >= size and self.form == "bands":
                raise ValueError(
                    f"a band of {own} of {size} {direction} would leave nothing; take {direction} "
                    f"below {size}"
                )
            if own > size:
                raise ValueError(f"a box of {own} of {size} {direction} is larger than the grid")

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of all bands of one item, and of its boxes."""
        boxes = (self.count + 1) * shape.rows * shape.columns if self.form == "box" else 0
        return self.count * (128 + 4 * (shape.rows + shape.columns)) + boxes

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Hide cells in place."""
        rows, columns = self._bands(len(grids), shape, random)
        if self.form == "box":
            boxes = np.logical_or.reduce(rows[..., None] & columns[:, :, None], axis=1)
            np.copyto(grids, self.fill, where=boxes[:, None])
            return grids
        np.copyto(grids, self.fill, where=np.logical_or.reduce(rows, axis=1)[:, None, :, None])
        np.copyto(grids, self.fill, where=np.logical_or.reduce(columns, axis=1)[:, None, None])
        return grids

    def change_one_hot(
        self, grids: OneHot, shape: GridShape, random: np.random.Generator
    ) -> OneHot | None:
        """Return the indices without the hidden ones; None if hidden cells are not 0."""
        if self.fill:
            return None
        rows, columns = self._bands(len(grids), shape, random)
        # Whether the row of each column's 1 lies in each band; a column without a 1 stays as it is.
        hidden = np.take_along_axis(rows, np.maximum(grids.indices, 0)[:, None], axis=2)
        both = hidden & columns if self.form == "box" else hidden | columns
        return OneHot(np.where(both.any(axis=1), np.int32(-1), grids.indices), grids.rows)

    def _bands(
        self, items: int, shape: GridShape, random: np.random.Generator
    ) -> tuple[Bands, Bands]:
        """Return which rows and columns each band has: `(items, count, rows or columns)`."""
        uniform = numbers(random, items, 4 * self.count).reshape(2, 2, self.count, items)
        return (
            _band(uniform[0], self.rows, shape.rows),
            _band(uniform[1], self.columns, shape.columns),
        )


def _band(uniform: Array, widest: int, size: int) -> Bands:
    width = whole_numbers(uniform[0], 0, widest).T[..., None]
    start = whole_numbers(uniform[1], 0, size - width[..., 0].T).T[..., None]
    places = np.arange(size)
    band: Bands = (places >= start) & (places < start + width)
    return band


class Drop(Augmentation):
    """Leaves out columns, each on its own: of a text, symbols at random places."""

    title: ClassVar[str] = "drop"
    short: ClassVar[tuple[str, ...]] = ("probability",)

    probability: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Lt(1)]
    """The probability for each column that all of its cells become 0."""

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Make cells 0 in place."""
        np.copyto(grids, 0, where=self._draw_columns(len(grids), shape, random)[:, None, None])
        return grids

    def change_one_hot(
        self, grids: OneHot, shape: GridShape, random: np.random.Generator
    ) -> OneHot:
        """Return the indices without those that are left out."""
        left_out = self._draw_columns(len(grids), shape, random)
        return OneHot(np.where(left_out, np.int32(-1), grids.indices), grids.rows)

    def _draw_columns(self, items: int, shape: GridShape, random: np.random.Generator) -> Bands:
        hidden: Bands = random.random((items, shape.columns)) < self.probability
        return hidden


class Noise(Augmentation):
    """Adds Gaussian noise to every cell."""

    title: ClassVar[str] = "noise"
    short: ClassVar[tuple[str, ...]] = ("deviation",)

    deviation: Positive
    """Its standard deviation; cells are mostly within -1..1."""

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:  # noqa: ARG002
        """Add noise in place."""
        noise = random.standard_normal(grids.shape, np.dtype(grids.dtype).type)
        noise *= self.deviation
        grids += noise
        return grids


class Gain(Augmentation):
    """Multiplies all cells of an item by one number, and adds one number to them."""

    title: ClassVar[str] = "gain"
    short: ClassVar[tuple[str, ...]] = ("factor",)

    factor: Fraction = 0.0
    """0.2 multiplies by 0.8 to 1.2."""
    offset: NotNegative = 0.0
    """0.2 adds -0.2 to 0.2."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.factor or self.offset):
            raise ValueError("it changes nothing; set factor or offset above 0")
        return self

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:  # noqa: ARG002
        """Change cells in place."""
        factors, offsets = 2 * numbers(random, len(grids), 2)[..., None, None, None] - 1
        grids *= (1 + self.factor * factors).astype(grids.dtype)
        grids += (self.offset * offsets).astype(grids.dtype)
        return grids
