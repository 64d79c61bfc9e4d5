"""Grids: stacks of mini-images with named axes, the one form in which data moves here."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any, Self, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gridcnn.errors import DataError

Array = NDArray[Any]
"""A NumPy array of floats: float32 in every run, float64 where gradients are checked."""


@dataclass(frozen=True)
class Axis:
    """What one direction of a grid means.

    Attributes:
        name: what changes along the axis, for example "time" or "character".
        unit: the unit of its labels, for example "s" or "Hz"; empty if there is none.
        labels: one label for each cell along the axis; None if cells are only numbered.
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
        """Return another size over the same axes; labels are dropped if a size has changed."""
        return GridShape(
            channels,
            rows,
            columns,
            _keep_labels(self.row_axis, rows == self.rows),
            _keep_labels(self.column_axis, columns == self.columns),
        )


def _keep_labels(axis: Axis, same: bool) -> Axis:
    return axis if same else Axis(axis.name, axis.unit, None, axis.ordered)


class _LikeArray:
    """What passes for a float32 array of grids, `(items, channels, rows, columns)`."""

    # NumPy's functions would silently make the whole array, each time they are called.
    __array_ufunc__ = None

    @property
    def ndim(self) -> int:
        """The number of dimensions of `shape`."""
        return 4

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """The type of the cells."""
        return np.dtype(np.float32)


@dataclass(frozen=True, eq=False)
class OneHot(_LikeArray):
    """Grids of one channel whose cells are 0 but for at most a single 1 in each column.

    They are kept as the row where each 1 stands, in a small part of the memory of all cells. They
    have the shape `(items, 1, rows, columns)`, and `numpy.asarray` converts them to such a float32
    array; arithmetic needs that array.

    Attributes:
        indices: int32 `(items, columns)`, the row of each column's 1; -1 if it has none.
        rows: how many rows the grids have.

    Raises:
        DataError: `indices` are not whole numbers from -1 up to the last row, `(items, columns)`.
    """

    indices: NDArray[np.int32]
    rows: int

    def __post_init__(self) -> None:
        indices = np.asarray(self.indices)
        if indices.ndim != 2 or indices.dtype.kind not in "iu" or self.rows < 1:
            raise DataError(
                "one-hot grids are whole numbers (items, columns), and at least one row; got "
                f"{indices.dtype} of shape {indices.shape}, and {self.rows} rows"
            )
        for index in (int(indices.min()), int(indices.max())) if indices.size else ():
            if not -1 <= index < self.rows:
                raise DataError(
                    f"the 1 of a column stands in row 0 to {self.rows - 1}, or nowhere (-1); got "
                    f"{index}"
                )
        object.__setattr__(self, "indices", np.ascontiguousarray(indices, np.int32))

    @classmethod
    def from_dense(cls, grids: Array) -> Self | None:
        """Return grids `(items, 1, rows, columns)` as one-hot grids; None if they are none."""
        if grids.ndim != 4 or grids.shape[1] != 1 or not grids.shape[2]:
            return None
        ones = grids[:, 0] == 1
        has_one = ones.any(axis=1)
        if not ((grids[:, 0] == 0) | ones).all() or (ones.sum(axis=1) > has_one).any():
            return None
        return cls(np.where(has_one, ones.argmax(axis=1), -1).astype(np.int32), grids.shape[2])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(items, 1, rows, columns)`."""
        items, columns = self.indices.shape
        return items, 1, self.rows, columns

    @property
    def nbytes(self) -> int:
        """The memory that the indices take."""
        return self.indices.nbytes

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, chosen: int | np.integer[Any]) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(
        self, chosen: slice | list[int] | NDArray[np.integer[Any]] | NDArray[np.bool_]
    ) -> Self: ...
    def __getitem__(self, chosen: Any) -> Self | NDArray[np.float32]:
        """Return one item as an array `(1, rows, columns)`, or the chosen items as one-hot grids.

        Raises:
            IndexError: there is no such item.
            TypeError: something other than items is chosen.
        """
        if isinstance(chosen, int | np.integer) and not isinstance(chosen, bool):
            item: NDArray[np.float32] = np.asarray(self[[int(chosen)]])[0]
            return item
        if isinstance(chosen, slice) or _is_items(chosen):
            return type(self)(self.indices[chosen], self.rows)
        raise TypeError(
            "only items can be chosen from one-hot grids: by a number, a slice, an array of whole "
            "numbers or a mask (items,); for cells, use numpy.asarray(grids)"
        )

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Return all cells, `(items, 1, rows, columns)`, float32 unless `dtype` says otherwise."""
        if copy is False:
            raise ValueError("the array of one-hot grids is always a copy")
        cells: Array = np.zeros(self.shape, np.float32 if dtype is None else dtype)
        items, columns = np.nonzero(self.indices >= 0)
        cells[items, 0, self.indices[items, columns], columns] = 1
        return cells


def _is_items(chosen: Any) -> bool:
    """Return whether `chosen` is a list or an array with which NumPy can choose items."""
    if not isinstance(chosen, list | np.ndarray):
        return False
    array = np.asarray(chosen)
    return array.ndim == 1 and (array.dtype.kind in "iub" or not array.size)


class Held(_LikeArray, abc.ABC):
    """Grids that other processes hold.

    They have the shape, and pass for the float32 array, `(items, channels, rows, columns)`, as far
    as items are chosen and counted. `fetch` brings the cells here.
    """

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int, int, int]:
        """`(items, channels, rows, columns)`."""

    @property
    @abc.abstractmethod
    def one_hot(self) -> bool:
        """Whether `fetch` returns one-hot grids."""

    @property
    @abc.abstractmethod
    def digests(self) -> NDArray[np.uint8] | None:
        """16 bytes for each item, the same for equal grids; None if they are not known."""

    @property
    @abc.abstractmethod
    def odd(self) -> int:
        """How many of the items are known to have cells that are not finite."""

    @abc.abstractmethod
    def __getitem__(self, chosen: Any) -> Any:
        """Return one item as an array, or some items, which stay where they are."""

    @abc.abstractmethod
    def fetch(self) -> Array | OneHot:
        """Return the grids themselves."""

    @property
    def nbytes(self) -> int:
        """The memory that they take here."""
        return 0

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Return all cells, `(items, channels, rows, columns)`, float32 unless `dtype` says so."""
        return np.asarray(self.fetch(), dtype)


def fetch_cells(grids: Any) -> Any:
    """Return grids with their cells in this process, wherever they are held."""
    return grids.fetch() if isinstance(grids, Held) else grids


Cells = Array | OneHot
"""The cells of many grids, `(items, channels, rows, columns)`; `numpy.asarray` makes an array of
either. `Held` passes for it where items are chosen and counted."""


@dataclass(frozen=True)
class Grids:
    """Items as grids: `values` is float32 `(items, channels, rows, columns)`, cells mostly -1..1.

    One-hot grids may be kept as indices.

    Raises:
        DataError: `values` has another number of dimensions, or not the sizes of `shape`.
    """

    values: NDArray[np.float32] | OneHot
    shape: GridShape

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.shape[1:] != self.shape.sizes:
            raise DataError(
                f"grids of shape (items, {', '.join(map(str, self.shape.sizes))}) were expected; "
                f"got an array of shape {self.values.shape}"
            )

    def __len__(self) -> int:
        return len(self.values)


def all_finite(values: Array) -> bool:
    """Return whether numbers are all finite, in little time and no memory."""
    # NaN and infinity stay in a sum. None of numbers of 32 bits is too large for one of 64.
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return True
    return values.dtype.itemsize > 4 and bool(np.isfinite(values).all())
