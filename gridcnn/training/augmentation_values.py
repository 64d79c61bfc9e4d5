"""Augmentations that change values: mask, erase, drop, noise, gain, brightness and contrast."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Gt, Le, Lt
from numpy.typing import NDArray
from pydantic import AllowInfNan, Field, PlainValidator, Strict, WithJsonSchema, model_validator

from gridcnn.contracts.augmentation import Augmentation
from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.settings.base import Count, Fraction, NotNegative, Positive, Whole, wanted_error
from gridcnn.training.augmentation import (
    AlongAxes,
    directions,
    numbers,
    unordered_error,
    whole_numbers,
)

Bands = NDArray[np.bool_]
Value = Annotated[float, Strict(), AllowInfNan(False), Field(ge=-1e6, le=1e6)]
_NOISE = "noise"
_BOX_NUMBERS = 5  # random numbers for a box: whether, area, form, row and column
_LEAST_AREA = 0.02
_FLATTEST = 0.3  # a box is at least so high as it is wide, and the other way around


def _value_or_noise(value: Any) -> float | str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value == _NOISE or (is_number and abs(value) <= 1e6):
        return value if isinstance(value, str) else float(value)
    raise wanted_error("'noise', or a number from -1,000,000 to 1,000,000")


ValueOrNoise = Annotated[
    float | str,
    PlainValidator(_value_or_noise),
    WithJsonSchema(
        {"anyOf": [{"enum": [_NOISE]}, {"type": "number", "minimum": -1e6, "maximum": 1e6}]}
    ),
]
"""The value of a cell, or `noise`."""


class Mask(AlongAxes):
    """Hides bands of neighbouring rows and columns, or boxes.

    Bands are those of SpecAugment (Park et al., 2019), a box that of Cutout (DeVries and Taylor,
    2017).
    """

    title: ClassVar[str] = "mask"
    for_training_alone: ClassVar[bool] = True
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


class Erase(Augmentation):
    """Fills a box with noise, or with one value.

    Its size is a part of the grid, whatever that is, and its form is not always square (Random
    Erasing; Zhong et al., 2020). `mask` with `form: box` hides boxes of so many cells.
    """

    title: ClassVar[str] = "erase"
    for_training_alone: ClassVar[bool] = True
    short: ClassVar[tuple[str, ...]] = ("area",)

    area: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(1)] = 0.3
    """The largest part of the grid that a box covers, but for rounding to whole cells."""
    probability: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(1)] = 0.5
    """How likely a box is for each item."""
    fill: ValueOrNoise = _NOISE
    """The value of the cells of a box, or `noise`: each gets a random number from -1 to 1."""

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if an axis has no order, so that there are no boxes."""
        for direction, axis, _ in directions(shape):
            if not axis.ordered:
                harm, remedy = "it has no boxes of neighbours", "write mask: {columns: ...}"
                raise ValueError(unordered_error(axis, direction, harm, remedy))

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of the random numbers of one item."""
        return (
            256
            + 8 * self._count(shape)
            + 4 * (shape.rows + shape.columns + shape.rows * shape.columns)
        )

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Fill cells in place."""
        drawn = random.random((len(grids), self._count(shape)), np.float32)
        uniform = drawn[:, :_BOX_NUMBERS].T.astype(np.float64)
        boxed = uniform[0] < self.probability
        rows, columns = self._sizes(uniform[1], uniform[2], shape)
        high = _range(uniform[3], rows, shape.rows)
        wide = _range(uniform[4], columns, shape.columns)
        boxes = boxed[:, None, None] & high[:, :, None] & wide[:, None]
        if self.fill != _NOISE:
            np.copyto(grids, self.fill, where=boxes[:, None])
            return grids
        noise = drawn[:, _BOX_NUMBERS:].reshape(grids.shape)
        noise *= 2
        noise -= 1
        np.copyto(grids, noise, where=boxes[:, None])
        return grids

    def _count(self, shape: GridShape) -> int:
        """Return how many random numbers an item takes."""
        return _BOX_NUMBERS + (shape.cells if self.fill == _NOISE else 0)

    def _sizes(
        self, area: Array, form: Array, shape: GridShape
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return how many rows and columns each box has, from two numbers from 0 to below 1.

        The area is anything from 2 % of the grid up, or from `area` if that is less, and height to
        width anything from 0.3 to 1 / 0.3, relative to those of the grid.
        """
        least = min(_LEAST_AREA, self.area)
        root = np.sqrt(least + area * (self.area - least))
        ratio = np.sqrt(_FLATTEST) ** (1 - 2 * form)
        high = np.clip(np.rint(shape.rows * np.minimum(root * ratio, 1)), 1, None)
        wide = np.clip(np.rint(shape.columns * np.minimum(root / ratio, 1)), 1, None)
        return high.astype(np.intp), wide.astype(np.intp)


def _range(uniform: Array, count: NDArray[np.intp], size: int) -> Bands:
    """Return which of `size` places are in ranges of so many, `(items, size)`."""
    start = whole_numbers(uniform, 0, size - count)[:, None]
    places = np.arange(size)
    chosen: Bands = (places >= start) & (places < start + count[:, None])
    return chosen


class Drop(Augmentation):
    """Leaves out columns, each on its own: of a text, symbols at random places."""

    title: ClassVar[str] = "drop"
    for_training_alone: ClassVar[bool] = True
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
    for_training_alone: ClassVar[bool] = True
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


class Brightness(Augmentation):
    """Makes each picture brighter or darker: all cells are multiplied, as counted from black, -1.

    What gets beyond -1..1 is cut off, as in a picture.
    """

    title: ClassVar[str] = "brightness"
    short: ClassVar[tuple[str, ...]] = ("factor",)

    factor: Annotated[Fraction, Gt(0)]
    """0.2 makes a picture 0.8 to 1.2 times as bright."""

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:  # noqa: ARG002
        """Change cells in place."""
        black = np.asarray(-1, grids.dtype)
        return _stretch(grids, black, numbers(random, len(grids), 1)[0], self.factor)

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of one item that is compared with its limits."""
        return 4 * shape.cells + 128


class Contrast(Augmentation):
    """Makes the contrast of each picture stronger or weaker, about its mean.

    What gets beyond -1..1 is cut off, as in a picture.
    """

    title: ClassVar[str] = "contrast"
    short: ClassVar[tuple[str, ...]] = ("factor",)

    factor: Annotated[Fraction, Gt(0)]
    """0.2 makes differences from the mean 0.8 to 1.2 times as large."""

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:  # noqa: ARG002
        """Change cells in place."""
        # Item by item: NumPy adds up in another order if there are more of them.
        means = np.array([grid.mean(dtype=np.float64) for grid in grids], grids.dtype)
        middle = means.reshape(-1, 1, 1, 1)
        return _stretch(grids, middle, numbers(random, len(grids), 1)[0], self.factor)

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of one item that is compared with its limits."""
        return 4 * shape.cells + 128


def _stretch(grids: Array, middle: Array, uniform: Array, most: float) -> Array:
    """Multiply in place how far cells are from `middle`, each item by one factor.

    Cells stay within -1..1, or within those of the item if these lie beyond.
    """
    axes = (1, 2, 3)
    low, high = (
        limit(grids, axis=axes, keepdims=True, initial=end)
        for limit, end in ((np.min, -1), (np.max, 1))
    )
    factors = 1 + most * (2 * uniform.reshape(-1, 1, 1, 1) - 1)
    grids -= middle
    grids *= factors.astype(grids.dtype)
    grids += middle
    return np.clip(grids, low, high, out=grids)
