"""Features on their best matches, cell by cell, and the winners of pooling windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.grid import Array, GridShape
from gridcnn.network import Network, Op
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling


@dataclass(frozen=True)
class Match:
    """The arithmetic of one cell of a map: a feature laid over a patch.

    Attributes:
        feature: which feature of the convolution, from 0; its map has the same number.
        place: row and column of the cell in the map.
        top, left: where the patch begins in the input; may lie outside, in the border of zeros.
        step: rows and columns from one cell of the patch to its next.
        channels: the channels of the input that the feature sees, first and last + 1.
        weights: the feature as a mini-image, `(channels, rows, columns)`.
        patch: the cells that it lies on, in the same shape; 0 outside.
        divisor: what the sum is divided by: the number of cells, or 1 if the stage only adds up.
        bias: what is added in the end.
        value: the cell of the map.
    """

    feature: int
    place: tuple[int, int]
    top: int
    left: int
    step: tuple[int, int]
    channels: tuple[int, int]
    weights: NDArray[np.float64]
    patch: NDArray[np.float64]
    divisor: int
    bias: float
    value: float

    @property
    def products(self) -> NDArray[np.float64]:
        """Each cell of the feature times the cell that it lies on."""
        product: NDArray[np.float64] = self.weights * self.patch
        return product

    @property
    def total(self) -> float:
        """The sum of the products."""
        return float(self.products.sum())

    @property
    def share(self) -> float:
        """The sum of the products divided by their number."""
        return self.total / self.weights.size


def first_convolution(network: Network) -> Op | None:
    """Return the first operation that lays features over the grid itself, if there is one."""
    return next(
        (op for op in network.ops if isinstance(op.stage, Convolution) and op.sources == (0,)), None
    )


def best_place(cells: Array) -> tuple[int, int]:
    """Return row and column of the largest cell `(rows, columns)`; the first of equal ones."""
    flat = int(np.flatnonzero(cells.ravel() == np.nanmax(cells))[0])
    return flat // cells.shape[1], flat % cells.shape[1]


def match_at(
    op: Op, grid: Array, weights: dict[str, Array], feature: int, place: tuple[int, int]
) -> Match:
    """Return the arithmetic of a cell of a convolution's map.

    Args:
        op: an operation whose stage is a convolution.
        grid: its input, `(channels, rows, columns)`.
        weights: its parameters by name.
        feature: the number of the map, from 0.
        place: row and column in the map.
    """
    stage = op.stage
    assert isinstance(stage, Convolution)
    shape = GridShape(*grid.shape)
    kernel = stage.kernel(shape)
    groups = stage.group_count(shape.channels)
    inside, filters = shape.channels // groups, op.output.channels
    first = feature // (filters // groups) * inside
    borders = stage.borders(shape)
    corner = [place[axis] * stage.stride[axis] - borders[axis][0] for axis in (0, 1)]
    patch = np.zeros((inside, *kernel))
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            down = corner[0] + row * stage.dilation[0]
            across = corner[1] + column * stage.dilation[1]
            if 0 <= down < shape.rows and 0 <= across < shape.columns:
                patch[:, row, column] = grid[first : first + inside, down, across]
    mini = np.asarray(weights["weights"][feature], np.float64)
    divisor = mini.size if stage.scale == "match" else 1
    bias = float(weights["bias"][feature]) if stage.bias else 0.0
    value = float((mini * patch).sum()) / divisor + bias
    return Match(
        feature,
        place,
        corner[0],
        corner[1],
        stage.dilation,
        (first, first + inside),
        mini,
        patch,
        divisor,
        bias,
        value,
    )


@dataclass(frozen=True)
class Windows:
    """The windows of a pooling stage, and in which cell each found the largest value.

    Attributes:
        size: rows and columns of a window; those at the edge may have fewer.
        stride: rows and columns from one window to the next.
        winners: the cell that won, as `row * columns + column` of the input, int64
            `(channels, rows, columns)` of the output; None if means are taken.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    winners: NDArray[np.int64] | None


def windows_of(op: Op, entered: Array) -> Windows:
    """Return the windows of a pooling operation.

    Args:
        op: an operation whose stage is a pooling.
        entered: its input, `(channels, rows, columns)`.
    """
    stage = op.stage
    assert isinstance(stage, Pooling)
    size, stride = stage.sizes(op.input)
    if stage.mode == "mean":
        return Windows(size, stride, None)
    columns = entered.shape[2]
    winners = np.zeros(op.output.sizes, np.int64)
    for row in range(op.output.rows):
        for column in range(op.output.columns):
            top, left = row * stride[0], column * stride[1]
            part = entered[:, top : top + size[0], left : left + size[1]]
            for channel, cells in enumerate(part):
                down, across = best_place(cells)
                winners[channel, row, column] = (top + down) * columns + left + across
    return Windows(size, stride, winners)
