"""What mattered for a vote: occlusion, Grad-CAM, and the same of a network with random weights.

Occlusion (Zeiler and Fergus, 2014) hides a window of the grid, and looks how many votes the class
loses. Grad-CAM (Selvaraju et al., 2017) adds up the maps of the last convolution, each weighed by
the mean gradient of the class's logit by the map's cells. Either can be a drawing of the item
rather than of what the network has learned; so both are made for the same network with random
weights as well, as in the sanity checks of Adebayo et al. (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.progress import Advance, Counter
from gridcnn.report.explaining.fields import Field, spread_over_grid
from gridcnn.report.explaining.passing import Passage
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling

Logits = Callable[[Array], Array]
"""Returns the logits `(items, classes)` of grids `(items, channels, rows, columns)`."""

_WINDOWS = 8  # side by side, along an axis of a picture
_ALONG = 256  # places of a window along a line, at most
_BATCH, _BATCH_CELLS = 64, 4_000_000  # windows at a time, and their cells, at most
_CHARACTERS = 3
"""Columns that are hidden at a time of a text that is read by characters: one alone is seldom
missed."""


@dataclass(frozen=True)
class Hiding:
    """What is hidden at a time by occlusion.

    Attributes:
        window: rows and columns of the window.
        stride: rows and columns from one place of it to the next.
        fill: what stands in the hidden cells, one value for each channel.
    """

    window: tuple[int, int]
    stride: tuple[int, int]
    fill: tuple[float, ...]


def hiding_for(grid: Array, shape: GridShape, *, one_hot: bool) -> Hiding:
    """Return what occlusion hides of a grid `(channels, rows, columns)`.

    One-hot columns lose their 1. Of other grids the window is filled with the median of the
    channel, which is the background of most pictures and sounds. Along an axis whose order means
    nothing, all cells are hidden together.
    """
    sizes = (shape.rows, shape.columns)
    ordered = (shape.row_axis.ordered, shape.column_axis.ordered)
    line = sum(size > 1 and free for size, free in zip(sizes, ordered, strict=True)) < 2
    window, stride = [], []
    for size, free in zip(sizes, ordered, strict=True):
        if not free or size == 1:
            wide, step = size, size
        elif one_hot:
            wide = min(size, _CHARACTERS if shape.row_axis.name in ("character", "byte") else 1)
            step = max(1, size // _ALONG)
            wide = max(wide, step)
        else:
            wide = max(1, round(size / (4 * _WINDOWS if line else _WINDOWS)))
            step = max(1, wide // 2)
        window.append(wide)
        stride.append(step)
    fill = [0.0] * len(grid) if one_hot else np.median(grid, axis=(1, 2)).tolist()
    return Hiding((window[0], window[1]), (stride[0], stride[1]), tuple(fill))


def is_one_hot(grids: object) -> bool:
    """Return whether grids are one-hot."""
    return isinstance(grids, OneHot)


def occlusion(
    logits: Logits,
    grid: Array,
    target: int,
    hiding: Hiding,
    *,
    advance: Advance | None = None,
) -> NDArray[np.float64]:
    """Return how much of a class's logit depends on each cell of the grid, `(rows, columns)`.

    For a cell it is the mean, over the windows that cover it, of what the logit loses when the
    window is hidden. Below 0 are cells that spoke against the class.

    Args:
        logits: computes the network.
        grid: `(channels, rows, columns)`.
        target: the index of the class.
        hiding: what is hidden at a time.
        advance: called each time some windows have been hidden.
    """
    rows, columns = grid.shape[1:]
    places = [
        (row, column)
        for row in _starts(rows, hiding.window[0], hiding.stride[0])
        for column in _starts(columns, hiding.window[1], hiding.stride[1])
    ]
    base = float(logits(grid[None])[0, target])
    total, covered = np.zeros((rows, columns)), np.zeros((rows, columns))
    fill = np.array(hiding.fill, grid.dtype)[:, None, None]
    together = max(1, min(_BATCH, _BATCH_CELLS // grid.size))
    counter = Counter(advance, "hiding parts of the item", len(places), unit="windows")
    for start in range(0, len(places), together):
        part = places[start : start + together]
        changed = np.repeat(grid[None], len(part), axis=0)
        windows = [
            np.s_[row : row + hiding.window[0], column : column + hiding.window[1]]
            for row, column in part
        ]
        for item, window in zip(changed, windows, strict=True):
            item[:, *window] = fill
        drop = base - logits(changed)[:, target].astype(np.float64)
        for fall, window in zip(drop.tolist(), windows, strict=True):
            total[window] += fall
            covered[window] += 1
        counter.add(len(part))
    return total / covered


def _starts(size: int, window: int, stride: int) -> list[int]:
    """Return where windows begin along an axis; the last one ends at its end."""
    last = max(size - window, 0)
    return sorted({*range(0, last + 1, stride), last})


def cam_value(network: Network) -> int | None:
    """Return the number of the value that Grad-CAM weighs; None if there are no such maps.

    It is what the last convolution with maps of more than one cell makes, after all that follows it
    up to the next pooling, such as its rectification.
    """
    readers: dict[int, list[int]] = {}
    for number, op in enumerate(network.ops):
        for source in op.sources:
            readers.setdefault(source, []).append(number)
    for op in reversed(network.ops):
        if not isinstance(op.stage, Convolution) or op.output.rows * op.output.columns == 1:
            continue
        value = op.target
        while len(readers.get(value, [])) == 1:
            after = network.ops[readers[value][0]]
            same = after.output.sizes == op.output.sizes
            if not same or len(after.sources) > 1 or isinstance(after.stage, Pooling):
                break
            value = after.target
        return value
    return None


def weighed_maps(passage: Passage, target: int, value: int) -> NDArray[np.float64]:
    """Return the sum of a value's maps, each times the mean gradient of a class's logit by it.

    It is below 0 where the maps speak against the class.

    Args:
        passage: an item on its way through the network.
        target: the index of the class.
        value: the number of the value.
    """
    flow = np.zeros_like(passage.logits)
    flow[0, target] = 1
    (gradient,) = passage.gradients(flow, at=[value])
    weights = gradient[0].mean(axis=(1, 2))
    total: NDArray[np.float64] = (weights[:, None, None] * passage.values[value][0]).sum(axis=0)
    return total


def grad_cam(passage: Passage, target: int, value: int, field: Field) -> NDArray[np.float64]:
    """Return where the maps of a value spoke for a class, on the cells of the grid; 0 or more.

    `field` is what the cells of the value see of the grid; the rest is as for `weighed_maps`.
    """
    return spread_over_grid(np.maximum(weighed_maps(passage, target, value), 0), field)


def likeness(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return Spearman's rank correlation of two maps, -1 to 1; None if one has one value only."""
    from scipy.stats import rankdata

    ranks = [rankdata(cells.ravel()) for cells in (first, second)]
    centred = [each - each.mean() for each in ranks]
    sizes = [float(np.sqrt((each**2).sum())) for each in centred]
    if min(sizes) == 0:
        return None
    return float((centred[0] * centred[1]).sum() / (sizes[0] * sizes[1]))
