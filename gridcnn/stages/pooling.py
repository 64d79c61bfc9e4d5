"""Pooling: each window keeps its best match, or its mean, and exact position stops mattering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np

from gridcnn.contracts.stage import Backward, Gradients, Stage, sliding_error
from gridcnn.grid import Array, GridShape
from gridcnn.settings.pairs import ALL, Extents, Sizes, cells

Slot = tuple[slice, slice, slice, slice]


class Pooling(Stage):
    """Keeps one number for each window."""

    title: ClassVar[str] = "pooling"

    window: Extents = (2, 2)
    """The size of a window, in cells, or `all`."""
    stride: Sizes | None = None
    """Cells from one window to the next; the size of the window, if null."""
    mode: Literal["max", "mean"] = "max"
    """Which number is kept: the largest (`max`) or the mean of the cells."""
    edges: Literal["keep", "drop"] = "keep"
    """Windows that the edge of the grid cuts are kept, with the cells they have, or dropped. There
    is none where the windows before it have every cell already."""

    def sizes(self, shape: GridShape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return window and stride on grids of `shape`, in cells, each `(rows, columns)`."""
        window = cells(self.window, shape.rows, shape.columns)
        return window, window if self.stride is None else self.stride

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers: never."""
        return False

    def output(self, shape: GridShape) -> GridShape:
        """Return one cell for each window."""
        window, stride = self.sizes(shape)
        self._refuse_sliding(shape)
        rows, columns = (
            self._windows(size, length, step)
            for size, length, step in zip((shape.rows, shape.columns), window, stride, strict=True)
        )
        if rows < 1 or columns < 1:
            raise ValueError(
                f"no window of {window[0]} x {window[1]} lies whole in {shape.rows} x "
                f"{shape.columns} cells; take at most that size, 'all', or edges: keep"
            )
        return shape.resized(shape.channels, rows, columns)

    def _refuse_sliding(self, shape: GridShape) -> None:
        """Raise `ValueError` if there would be several windows along an unordered axis."""
        window, stride = self.sizes(shape)
        for place, (axis, size, direction) in enumerate(
            ((shape.row_axis, shape.rows, "rows"), (shape.column_axis, shape.columns, "columns"))
        ):
            one_cell_at_a_time = window[place] == stride[place] == 1
            if axis.ordered or one_cell_at_a_time or window[place] >= size:
                continue
            form = ", ".join(ALL if each == place else str(window[each]) for each in (0, 1))
            raise ValueError(sliding_error(axis, direction, f"write window: [{form}]"))

    def _windows(self, size: int, window: int, stride: int) -> int:
        if self.edges == "drop":
            return (size - window) // stride + 1
        # Windows follow each other until the last cell is reached; each begins inside the grid.
        return min(-(-max(size - window, 0) // stride), (size - 1) // stride) + 1

    def multiply_adds(self, shape: GridShape) -> int:
        """Return one comparison or addition for each cell of each window."""
        window, _ = self.sizes(shape)
        inside = min(window[0], shape.rows) * min(window[1], shape.columns)
        return self.output(shape).cells * inside

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],  # noqa: ARG002
        *,
        training: bool = False,  # noqa: ARG002
        random: np.random.Generator | None = None,  # noqa: ARG002
    ) -> tuple[Array, Backward]:
        """Return the pooled grids; a maximum's gradient goes to the first cell that reached it."""
        items, channels, rows, columns = grids.shape
        shape = GridShape(channels, rows, columns)
        out = self.output(shape)
        window, _ = self.sizes(shape)
        if window[0] >= rows and window[1] >= columns:
            return _pool_all(grids, self.mode)
        slots = list(self._slots(shape, out))
        if self.mode == "max":
            pooled = np.full((items, *out.sizes), -np.inf, grids.dtype)
            for source, target in slots:
                np.maximum(pooled[target], grids[source], out=pooled[target])
            return pooled, _max_backward(grids, pooled, slots)
        counts = np.zeros((1, 1, out.rows, out.columns), grids.dtype)
        pooled = np.zeros((items, *out.sizes), grids.dtype)
        for source, target in slots:
            counts[target] += 1
            pooled[target] += grids[source]
        pooled /= counts

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            if not need_input:
                return gradient, {}
            share = gradient / counts
            spread = np.zeros_like(grids)
            for source, target in slots:
                spread[source] += share[target]
            return spread, {}

        return pooled, backward

    def _slots(self, shape: GridShape, out: GridShape) -> Iterator[tuple[Slot, Slot]]:
        """Yield, for each place in a window, the cells of the grid there and their windows."""
        window, stride = self.sizes(shape)
        everything = slice(None)
        for row in range(min(window[0], shape.rows)):
            for column in range(min(window[1], shape.columns)):
                # Windows at the edge have no cell in their last places.
                down = min(out.rows, -(-(shape.rows - row) // stride[0]))
                across = min(out.columns, -(-(shape.columns - column) // stride[1]))
                yield (
                    (
                        everything,
                        everything,
                        slice(row, row + (down - 1) * stride[0] + 1, stride[0]),
                        slice(column, column + (across - 1) * stride[1] + 1, stride[1]),
                    ),
                    (everything, everything, slice(0, down), slice(0, across)),
                )


def _pool_all(grids: Array, mode: str) -> tuple[Array, Backward]:
    """Return what a single window over all cells keeps, and the way back."""
    items, channels, rows, columns = grids.shape
    flat = grids.reshape(items, channels, rows * columns)
    if mode == "max":
        first = flat.argmax(axis=2)[:, :, None]
        pooled = np.take_along_axis(flat, first, axis=2)
    else:
        pooled = flat.mean(axis=2, keepdims=True)

    def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
        if not need_input:
            return gradient, {}
        share = gradient.reshape(items, channels, 1)
        if mode == "mean":
            spread = np.broadcast_to(share / (rows * columns), flat.shape).copy()
        else:
            spread = np.zeros_like(flat)
            # A cell that is NaN has won no comparison.
            np.put_along_axis(spread, first, np.where(np.isnan(pooled), 0, share), axis=2)
        return spread.reshape(grids.shape), {}

    return pooled.reshape(items, channels, 1, 1), backward


def _max_backward(grids: Array, pooled: Array, slots: list[tuple[Slot, Slot]]) -> Backward:
    def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
        if not need_input:
            return gradient, {}
        spread = np.zeros_like(grids)
        waiting = np.ones(pooled.shape, bool)
        for source, target in slots:
            won = grids[source] == pooled[target]
            won &= waiting[target]
            waiting[target] ^= won
            spread[source] += gradient[target] * won
        return spread, {}

    return backward
