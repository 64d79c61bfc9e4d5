"""Augmentations that move cells: shift, flip, zoom, rotate, shear and elastic."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import AllowInfNan, PlainValidator, Strict, WithJsonSchema

from gridcnn.contracts.augmentation import Augmentation
from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.settings.base import Count, Fraction, NotNegative, Whole, wanted_error
from gridcnn.training.augmentation import (
    AlongAxes,
    directions,
    numbers,
    unordered_error,
    whole_numbers,
)

EDGE = "edge"
_LARGEST = 1e6  # as the value of a cell; most are within -1..1


def _fill(value: Any) -> float | str | None:
    if value is None or value == EDGE:
        return None if value is None else EDGE
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return float(value)
    raise wanted_error(f"'edge', a number from {-_LARGEST:,.0f} to {_LARGEST:,.0f}, or null")


Fill = Annotated[
    float | str | None,
    PlainValidator(_fill),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [EDGE]},
                {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST},
                {"type": "null"},
            ]
        }
    ),
]
"""`edge`, the value of a cell, or null."""


def filling(fill: float | str | None, shape: GridShape) -> float | str:
    """Return the value of cells from outside of a grid, or `edge`.

    Symbols are not repeated: if an axis has no order, the new cells are 0, which is no symbol.
    """
    if fill is not None:
        return fill
    return EDGE if all(axis.ordered for _, axis, _ in directions(shape)) else 0.0


def padded_cells(shape: GridShape, rows: int, columns: int) -> int:
    """Return how many cells an item has after `pad`."""
    return shape.channels * (shape.rows + 2 * rows) * (shape.columns + 2 * columns)


def pad(grids: Array, rows: int, columns: int, fill: float | str) -> Array:
    """Return grids with so many rows above and below, and columns left and right."""
    items, channels, high, wide = grids.shape
    sizes = (items, channels, high + 2 * rows, wide + 2 * columns)
    if not isinstance(fill, str):
        larger = np.full(sizes, fill, grids.dtype)
        larger[:, :, rows : rows + high, columns : columns + wide] = grids
        return larger
    larger = np.empty(sizes, grids.dtype)
    middle = larger[:, :, rows : rows + high]
    middle[..., columns : columns + wide] = grids
    middle[..., :columns] = grids[..., :1]
    middle[..., columns + wide :] = grids[..., -1:]
    larger[:, :, :rows] = middle[:, :, :1]
    larger[:, :, rows + high :] = middle[:, :, -1:]
    return larger


def resample(grids: Array, down: Array, across: Array, fill: float | str) -> Array:
    """Return the cells at fractional places, each the bilinear mean of the four around it.

    Args:
        grids: `(items, channels, rows, columns)`.
        down, across: for each cell of the result the row and the column, counted from 0, that it is
            taken from; together they broadcast to `(items, rows, columns)`.
        fill: the value of cells outside of the grid, or `edge`.
    """
    items, channels, rows, columns = grids.shape
    larger = pad(grids, 1, 1, fill)
    plane, width = (rows + 2) * (columns + 2), columns + 2
    above, lower = _between(down, rows, grids.dtype)
    left, further = _between(across, columns, grids.dtype)
    first = np.arange(items)[:, None, None] * (channels * plane) + above * width + left
    cells = larger.reshape(-1)
    result = np.empty((items, channels, *first.shape[1:]), grids.dtype)
    for channel in range(channels):
        start = channel * plane
        upper, under = (
            _mix(cells[at:].take(first), cells[at + 1 :].take(first), further)
            for at in (start, start + width)
        )
        result[:, channel] = _mix(upper, under, lower)
    return result


def resampling_bytes(shape: GridShape) -> int:
    """Return the memory that `resample` and the places that it is given take for one item."""
    return 96 * shape.rows * shape.columns + 4 * padded_cells(shape, 1, 1)


def _between(at: Array, size: int, dtype: np.dtype[Any]) -> tuple[NDArray[np.intp], Array]:
    """Return the cell before each place, in a grid with one cell more at each end, and the rest."""
    at = np.clip(at + 1, 0, size + 1)
    before = np.minimum(at.astype(np.intp), size)
    return before, (at - before.astype(at.dtype)).astype(dtype, copy=False)


def _mix(first: Array, second: Array, part: Array) -> Array:
    """Return the mixture `first + part * (second - first)`; may write to `second`."""
    second -= first
    second *= part
    second += first
    return second


class Shift(AlongAxes):
    """Moves each grid by whole cells, up or down and to the left or right."""

    title: ClassVar[str] = "shift"
    short: ClassVar[tuple[str, ...]] = ("rows", "columns")

    rows: Whole = 0
    """The most rows up or down; every number up to it is equally likely."""
    columns: Whole = 0
    """The most columns to the left or right."""
    fill: Fill = None
    """What comes in at the other side: `edge` repeats the last cells, a number is the value of
    cells, -1 for example black. null: `edge`, or 0 if an axis has no order, as in texts."""

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if nothing would be left, or an axis has no order."""
        self.refuse_unordered(shape, "moving along it changes the meaning of every cell")
        for direction, _, size, own in self.along(shape):
            if own >= size:
                raise ValueError(
                    f"{own} of {size} {direction} would leave nothing; take {direction} below "
                    f"{size}"
                )

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Return windows of the padded grids."""
        down, across = self._steps(len(grids), random)
        larger = pad(grids, self.rows, self.columns, filling(self.fill, shape))
        windows = sliding_window_view(larger, grids.shape[2:], axis=(2, 3))
        items = np.arange(len(grids))
        moved: Array = windows[items, :, self.rows - down, self.columns - across]
        return moved

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of one padded item; NumPy keeps a part twice while it is padded."""
        return 6 * padded_cells(shape, self.rows, self.columns)

    def change_one_hot(
        self, grids: OneHot, shape: GridShape, random: np.random.Generator
    ) -> OneHot | None:
        """Return moved indices; None if a 1 could be repeated, or cells other than 0 come in."""
        fill = filling(self.fill, shape)
        if fill == EDGE:
            if self.rows:
                return None
        elif fill:
            return None
        down, across = self._steps(len(grids), random)
        mode: Any = {"mode": "edge"} if fill == EDGE else {"constant_values": -1}
        larger = np.pad(grids.indices, ((0, 0), (self.columns, self.columns)), **mode)
        windows = sliding_window_view(larger, grids.indices.shape[1], axis=1)
        moved = windows[np.arange(len(grids)), self.columns - across]
        if self.rows:
            there = moved + down[:, None].astype(np.int32)
            inside = (moved >= 0) & (there >= 0) & (there < grids.rows)
            moved = np.where(inside, there, np.int32(-1))
        return OneHot(moved, grids.rows)

    def _steps(
        self, items: int, random: np.random.Generator
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        down, across = numbers(random, items, 2)
        return (
            whole_numbers(down, -self.rows, self.rows),
            whole_numbers(across, -self.columns, self.columns),
        )


class Flip(Augmentation):
    """Reverses the order of rows or of columns, as a mirror does."""

    title: ClassVar[str] = "flip"
    short: ClassVar[tuple[str, ...]] = ("axis",)

    axis: Literal["rows", "columns"]
    """`columns` changes left and right, `rows` above and below."""
    probability: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(1)] = 0.5
    """The probability for each item."""

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if the axis has no order, or a single cell."""
        for direction, axis, size in directions(shape):
            if direction != self.axis:
                continue
            if not axis.ordered:
                harm = "turning it around changes the meaning of every cell"
                raise ValueError(unordered_error(axis, direction, harm, "leave flip out"))
            if size == 1:
                raise ValueError(f"the grids have a single cell along {direction}; leave flip out")

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:  # noqa: ARG002
        """Turn some of the grids around, in place."""
        chosen = self._draw_items(len(grids), random)
        turned = (slice(None), slice(None), slice(None, None, -1))
        ways = (..., *turned[2:]) if self.axis == "columns" else (*turned, slice(None))
        grids[chosen] = grids[chosen][ways]
        return grids

    def change_one_hot(
        self,
        grids: OneHot,
        shape: GridShape,  # noqa: ARG002
        random: np.random.Generator,
    ) -> OneHot:
        """Return the grids with the indices of some turned around."""
        chosen = self._draw_items(len(grids), random)
        indices = grids.indices.copy()
        if self.axis == "columns":
            indices[chosen] = indices[chosen, ::-1]
        else:
            turned = indices[chosen]
            indices[chosen] = np.where(turned < 0, turned, grids.rows - 1 - turned)
        return OneHot(indices, grids.rows)

    def _draw_items(self, items: int, random: np.random.Generator) -> NDArray[np.intp]:
        (uniform,) = numbers(random, items, 1)
        return np.flatnonzero(uniform < self.probability)


class Zoom(AlongAxes):
    """Makes each grid larger or smaller about its middle; cells in between are bilinear means."""

    title: ClassVar[str] = "zoom"
    short: ClassVar[tuple[str, ...]] = ("rows", "columns")

    rows: Fraction = 0.0
    """The most by which it becomes higher or lower: 0.1 makes a thing 0.9 to 1.1 times as high."""
    columns: Fraction = 0.0
    """The most by which it becomes wider or narrower. Both go together: what grows in one
    direction also grows in the other."""
    fill: Fill = None
    """What comes in when it becomes smaller: see shift."""

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if an axis has no order, or a single cell."""
        self.refuse_unordered(shape, "there is nothing between two of its cells")
        for direction, _, size, _ in self.along(shape):
            if size == 1:
                raise ValueError(f"the grids have a single cell along {direction}; leave it out")

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of one item that is resampled."""
        return resampling_bytes(shape)

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Return the grids, with one number drawn for both axes of each."""
        (uniform,) = numbers(random, len(grids), 1)
        by = 2 * uniform[:, None, None] - 1
        down, across = _from_middle(grids)
        down, across = down / (1 + by * self.rows), across / (1 + by * self.columns)
        return _about_middle(grids, down, across, filling(self.fill, shape))


class Rotate(Augmentation):
    """Turns each grid about its middle; cells in between are bilinear means."""

    title: ClassVar[str] = "rotate"
    short: ClassVar[tuple[str, ...]] = ("degrees",)

    degrees: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(180)]
    """The most by which it is turned, to either side."""
    fill: Fill = None
    """What comes in at the corners: see shift."""

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if rows and columns are not of one kind."""
        _refuse_mixing(shape, "rotate", "turning")

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of one item that is resampled."""
        return resampling_bytes(shape)

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Return the turned grids."""
        (uniform,) = numbers(random, len(grids), 1)
        angle = np.radians(self.degrees * (2 * uniform[:, None, None] - 1))
        sine, cosine = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
        down, across = _from_middle(grids)
        return _about_middle(
            grids,
            cosine * down - sine * across,
            sine * down + cosine * across,
            filling(self.fill, shape),
        )


class Shear(Augmentation):
    """Slants each grid, as italic letters are; cells in between are bilinear means."""

    title: ClassVar[str] = "shear"
    short: ClassVar[tuple[str, ...]] = ("degrees",)

    degrees: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(60)]
    """The most by which upright lines lean, to either side."""
    axis: Literal["columns", "rows"] = "columns"
    """`columns`: upright lines lean to the left or to the right; `rows`: level lines rise or
    fall."""
    fill: Fill = None
    """What comes in at the sides: see shift."""

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if rows and columns are not of one kind."""
        _refuse_mixing(shape, "shear", "slanting")

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of one item that is resampled."""
        return resampling_bytes(shape)

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Return the slanted grids."""
        (uniform,) = numbers(random, len(grids), 1)
        angle = np.radians(self.degrees * (2 * uniform[:, None, None] - 1))
        slope = np.tan(angle).astype(np.float32)
        down, across = _from_middle(grids)
        if self.axis == "columns":
            across = across + slope * down
        else:
            down = down + slope * across
        return _about_middle(grids, down, across, filling(self.fill, shape))


class Elastic(AlongAxes):
    """Bends each grid as if it were drawn on rubber; cells in between are bilinear means.

    Knots in a lattice are moved at random, and the cells between them smoothly with them, by a
    cubic B-spline (after Simard, Steinkraus and Platt, 2003, and Ronneberger et al., 2015).
    """

    title: ClassVar[str] = "elastic"
    short: ClassVar[tuple[str, ...]] = ("rows", "columns")

    rows: NotNegative = 0.0
    """The most rows by which a knot moves up or down; may be a fraction of a row."""
    columns: NotNegative = 0.0
    """The most columns by which a knot moves to the left or to the right."""
    spacing: Annotated[Count, Ge(2)] = 8
    """Cells from one knot to the next."""
    fill: Fill = None
    """What comes in from outside: see shift."""

    def check(self, shape: GridShape) -> None:
        """Raise `ValueError` if an axis has no order or a single cell, or knots could meet."""
        self.refuse_unordered(shape, "there is nothing between two of its cells")
        for direction, _, size, own in self.along(shape):
            if size == 1:
                raise ValueError(f"the grids have a single cell along {direction}; leave it out")
            if 2 * own > self.spacing:
                raise ValueError(
                    f"knots that are {self.spacing} cells apart meet if they move by {own:g} "
                    f"{direction}; take {direction} of at most {self.spacing / 2:g}, or a larger "
                    "spacing"
                )

    def working_bytes(self, shape: GridShape) -> int:
        """Return the memory of one item that is resampled, and of its knots."""
        down, across = self._splines(shape)
        return resampling_bytes(shape) + 40 * (down.knots + shape.rows) * across.knots

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Return the bent grids."""
        down, across = self._splines(shape)
        knots = random.random((len(grids), 2, down.knots, across.knots)).astype(np.float32)
        of_rows = down(2 * knots.swapaxes(-1, -2) - 1).swapaxes(-1, -2)
        moves = across(of_rows)
        moves *= np.array([self.rows, self.columns], np.float32)[:, None, None]
        from_top, from_left = _from_middle(grids)
        fill = filling(self.fill, shape)
        return _about_middle(grids, from_top + moves[:, 0], from_left + moves[:, 1], fill)

    def _splines(self, shape: GridShape) -> list[Spline]:
        """Return those along rows and along columns.

        Along an axis whose order means nothing all cells move alike: it has one knot.
        """
        return [
            Spline.of(size, self.spacing if axis.ordered else None)
            for _, axis, size in directions(shape)
        ]


@dataclass(frozen=True, eq=False)
class Spline:
    """How cells along one axis lie between knots.

    Attributes:
        knots: how many there are.
        first: the first knot that counts for each cell, `(cells,)`.
        parts: the part that this knot and those behind it have in a cell, float32 `(cells, taps)`.
    """

    knots: int
    first: NDArray[np.intp]
    parts: Array

    @classmethod
    @functools.lru_cache(maxsize=64)
    def of(cls, size: int, spacing: int | None) -> Spline:
        """Return a cubic B-spline with knots so many cells apart; None: with a single knot.

        The first knot lies `spacing` before the first cell. The parts of a cell add up to 1.
        """
        if spacing is None:
            return cls(1, np.zeros(size, np.intp), np.ones((size, 1), np.float32))
        at = np.arange(size) / spacing
        first = at.astype(np.intp)
        part = at - first
        parts = [
            (1 - part) ** 3,
            3 * part**3 - 6 * part**2 + 4,
            -3 * part**3 + 3 * part**2 + 3 * part + 1,
            part**3,
        ]
        return cls(int(first[-1]) + 4, first, (np.stack(parts, axis=1) / 6).astype(np.float32))

    def __call__(self, knots: Array) -> Array:
        """Return the values `(..., cells)` between those of knots `(..., knots)`.

        Not as a product of matrices: the order in which BLAS adds up depends on its threads.
        """
        values = self.parts[:, 0] * knots[..., self.first]
        for tap in range(1, self.parts.shape[1]):
            values += self.parts[:, tap] * knots[..., self.first + tap]
        return values


def _refuse_mixing(shape: GridShape, name: str, doing: str) -> None:
    """Raise `ValueError` if rows and columns are not of one kind, so that they can be mixed."""
    row_axis, column_axis = shape.row_axis, shape.column_axis
    for direction, axis, size in directions(shape):
        if not axis.ordered:
            harm = "there is nothing between two of its cells"
            raise ValueError(unordered_error(axis, direction, harm, f"leave {name} out"))
        if size == 1:
            raise ValueError(f"the grids have a single cell along {direction}; leave it out")
    if row_axis.unit != column_axis.unit:
        kinds = [f"{axis.name} in {axis.unit or 'cells'}" for axis in (row_axis, column_axis)]
        raise ValueError(
            f"rows are {kinds[0]} and columns {kinds[1]}, and {doing} would mix them; leave "
            f"{name} out"
        )


def _from_middle(grids: Array) -> tuple[Array, Array]:
    """Return how far each row `(rows, 1)` and column `(1, columns)` is from the middle."""
    rows, columns = grids.shape[2:]
    down = np.arange(rows, dtype=np.float32) - np.float32((rows - 1) / 2)
    across = np.arange(columns, dtype=np.float32) - np.float32((columns - 1) / 2)
    return down[:, None], across


def _about_middle(grids: Array, down: Array, across: Array, fill: float | str) -> Array:
    rows, columns = grids.shape[2:]
    return resample(grids, down + (rows - 1) / 2, across + (columns - 1) / 2, fill)
