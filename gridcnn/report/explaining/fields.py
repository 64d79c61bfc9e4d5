"""Receptive fields: which cells of the grid a cell of a map can see.

Along each axis, the cell `i` of a value sees the cells `start + i * step` to
`start + i * step + size - 1` of the grid, some of which may lie outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.stage import HeadStage, Merge
from gridcnn.grid import GridShape
from gridcnn.network import Network, Op
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling


@dataclass(frozen=True)
class Reach:
    """What the cells of a value see along one axis of the grid.

    Attributes:
        start: the first cell of the grid that the value's first cell sees; may be negative.
        step: cells of the grid from one cell of the value to the next.
        size: how many cells of the grid one cell sees.
        cells: how many cells the grid has.
    """

    start: float
    step: float
    size: float
    cells: int

    def of(self, place: int) -> tuple[int, int]:
        """Return the cells `first, last + 1` of the grid that a cell sees, inside of the grid."""
        first = round(self.start + place * self.step)
        low = min(max(first, 0), self.cells - 1)
        return low, max(min(first + round(self.size), self.cells), low + 1)

    def centres(self, count: int) -> NDArray[np.float64]:
        """Return the middle of what each of `count` cells sees, in cells of the grid."""
        middles = self.start + (self.size - 1) / 2 + self.step * np.arange(count)
        return middles.astype(np.float64)


Field = tuple[Reach, Reach]
"""What the cells of a value see along rows and columns."""


def fields_of(network: Network) -> list[Field]:
    """Return what the cells of each value see.

    Of a stage of another package whose output has another size than its input, each cell is taken
    to see its share of the input.
    """
    grid = network.shape
    fields: list[Field] = [(Reach(0, 1, 1, grid.rows), Reach(0, 1, 1, grid.columns))]
    for op in network.ops:
        sources = [fields[source] for source in op.sources]
        if isinstance(op.stage, Merge):
            fields.append((_union([f[0] for f in sources]), _union([f[1] for f in sources])))
        else:
            fields.append((_through(op, sources[0][0], 0), _through(op, sources[0][1], 1)))
    return fields


def _through(op: Op, reach: Reach, axis: int) -> Reach:
    """Return what the output of a stage sees along an axis, if its input sees `reach`."""
    stage, sizes = op.stage, (_sizes(op.input)[axis], _sizes(op.output)[axis])
    if isinstance(stage, Convolution):
        before = stage.borders(op.input)[axis][0]
        wide = (stage.kernel(op.input)[axis] - 1) * stage.dilation[axis]
        return _move(reach, -before, wide, stage.stride[axis])
    if isinstance(stage, Pooling):
        window, stride = stage.sizes(op.input)
        return _move(reach, 0, min(window[axis], sizes[0]) - 1, stride[axis])
    if isinstance(stage, HeadStage) or sizes[1] == 1 < sizes[0]:
        return Reach(0, reach.cells, reach.cells, reach.cells)
    if sizes[0] == sizes[1]:
        return reach
    share = sizes[0] / sizes[1]
    return _move(reach, 0, share - 1, share)


def _move(reach: Reach, first: float, wide: float, step: float) -> Reach:
    return Reach(
        reach.start + first * reach.step,
        reach.step * step,
        reach.size + wide * reach.step,
        reach.cells,
    )


def _union(reaches: list[Reach]) -> Reach:
    """Return the least that covers all of several, which have the same number of cells."""
    start = min(reach.start for reach in reaches)
    end = max(each.start + each.size for each in reaches)
    return Reach(start, max(each.step for each in reaches), end - start, reaches[0].cells)


def _sizes(shape: GridShape) -> tuple[int, int]:
    return shape.rows, shape.columns


def spread_over_grid(cells: NDArray[np.float64], field: Field) -> NDArray[np.float64]:
    """Return cells of a map `(rows, columns)` as cells of the grid, between their middles linearly.

    Beyond the outermost middles the outermost values hold.
    """
    rows, columns = field
    down = _weights(rows, cells.shape[0])
    across = _weights(columns, cells.shape[1])
    spread: NDArray[np.float64] = down @ cells @ across.T
    return spread


def _weights(reach: Reach, count: int) -> NDArray[np.float64]:
    """Return how much each of `count` cells counts at each cell of the grid, `(grid, count)`."""
    places = np.clip(
        (np.arange(reach.cells) - reach.centres(count)[0]) / reach.step, 0, max(count - 1, 0)
    )
    weights: NDArray[np.float64] = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(count)))
    return weights
