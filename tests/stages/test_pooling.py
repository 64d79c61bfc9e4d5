from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.grid import Array, Axis, GridShape
from gridcnn.stages.pooling import Pooling


def windows(size: int, window: int, stride: int, edges: str) -> list[range]:
    """Return the cells of each window along one axis, from the words of the settings."""
    found: list[range] = []
    start = 0
    while start < size:
        whole = start + window <= size
        covered = bool(found) and found[-1].stop == size
        if (edges == "drop" and not whole) or (edges == "keep" and covered):
            break
        found.append(range(start, min(start + window, size)))
        start += stride
    return found


def naive(stage: Pooling, grids: Array) -> Array:
    rows, columns = grids.shape[2:]
    window = [
        size if part == "all" else int(part)
        for part, size in zip(stage.window, (rows, columns), strict=True)
    ]
    stride = stage.stride or window
    down = windows(rows, window[0], stride[0], stage.edges)
    across = windows(columns, window[1], stride[1], stage.edges)
    pooled = np.zeros((*grids.shape[:2], len(down), len(across)))
    for item, channel, row, column in np.ndindex(pooled.shape):
        inside = [
            grids[item, channel, at_row, at_column]
            for at_row in down[row]
            for at_column in across[column]
        ]
        best = max(inside) if stage.mode == "max" else sum(inside) / len(inside)
        pooled[item, channel, row, column] = best
    return pooled


@settings(max_examples=200, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_pooled_grids_are_those_of_naive_loops(
    networks: ModuleType, data: st.DataObject, seed: int
) -> None:
    """Any window, stride, mode and edges give what plain loops give."""
    stage, shape = data.draw(networks.fitted(Pooling))
    grids = np.random.default_rng(seed).normal(0, 1, (2, *shape.sizes))

    pooled = stage.forward(grids, {})[0]
    assert pooled.shape[1:] == stage.output(shape).sizes
    np.testing.assert_allclose(pooled, naive(stage, grids), atol=1e-14)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_gradients_are_the_slopes(networks: ModuleType, data: st.DataObject, seed: int) -> None:
    """The gradients agree with small differences, where windows overlap as well."""
    stage, shape = data.draw(networks.fitted(Pooling))

    networks.check_gradients(stage, shape, seed=seed)


@pytest.mark.parametrize(
    ("size", "given_settings", "count"),
    [
        (7, {"window": 2, "stride": 2}, 4),
        (7, {"window": 2, "stride": 2, "edges": "drop"}, 3),
        (4, {"window": 3, "stride": 1}, 2),
        (8, {"window": 3, "stride": 2}, 4),
        (6, {"window": 2, "stride": 3}, 2),
        (7, {"window": 2, "stride": 3}, 3),
        (5, {"window": 9}, 1),
        (5, {"window": "all"}, 1),
        (1, {"window": 1, "stride": 5}, 1),
    ],
)
def test_windows_follow_each_other_until_every_cell_is_reached(
    size: int, given_settings: dict[str, Any], count: int
) -> None:
    assert Pooling(**given_settings).output(GridShape(1, size, size)).sizes == (1, count, count)


def test_among_equals_the_first_cell_gets_the_gradient() -> None:
    """The first cell of a window, by rows and then by columns, that reached the maximum."""
    grids = np.array([[[[0, 1], [1, 1]]]], np.float32)

    _, backward = Pooling().forward(grids, {})
    assert backward(np.full((1, 1, 1, 1), 5, np.float32))[0].tolist() == [[[[0, 5], [0, 0]]]]


def test_nan_makes_its_window_nan() -> None:
    grids = np.array([[[[np.nan, 1, -np.inf, -np.inf]]]], np.float32)

    for mode in ("max", "mean"):
        pooled = Pooling(window=[1, 2], mode=mode).forward(grids, {})[0]
        np.testing.assert_array_equal(pooled, [[[[np.nan, -np.inf]]]])


def test_a_window_larger_than_the_grid_cannot_be_dropped() -> None:
    with pytest.raises(ValueError, match="no window of 3 x 2 lies whole in 2 x 9 cells; take at"):
        Pooling(window=[3, 2], edges="drop").output(GridShape(1, 2, 9))


@pytest.mark.parametrize(
    "given_settings",
    [{"window": 2}, {"window": [1, 2], "stride": 2}, {"window": [25, 2], "edges": "drop"}],
)
def test_nothing_pools_along_an_axis_without_order(given_settings: dict[str, Any]) -> None:
    """The error says which axis it is, and what to write instead."""
    shape = GridShape(1, 26, 40, row_axis=Axis("character", ordered=False))

    with pytest.raises(ValueError, match=r"the rows are the axis 'character'.*\[all, 2\]"):
        Pooling(**given_settings).output(shape)


@pytest.mark.parametrize(
    ("window", "sizes"), [(["all", 2], (1, 1, 20)), ([26, 2], (1, 1, 20)), ([1, 2], (1, 26, 20))]
)
def test_windows_that_take_an_unordered_axis_whole_or_cell_by_cell_are_fine(
    window: Any, sizes: tuple[int, int, int]
) -> None:
    shape = GridShape(1, 26, 40, row_axis=Axis("character", ordered=False))

    assert Pooling(window=window).output(shape).sizes == sizes


def test_multiply_adds_are_counted() -> None:
    assert Pooling().multiply_adds(GridShape(3, 8, 8)) == 3 * 64
