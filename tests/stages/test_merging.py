from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from gridcnn.contracts.stage import Merge
from gridcnn.grid import Array, GridShape
from gridcnn.stages.merging import Join, Sum


def grids_of(*channels: int) -> list[Array]:
    random = np.random.default_rng(0)
    return [random.normal(0, 1, (3, count, 2, 4)) for count in channels]


def test_a_sum_adds_cell_by_cell() -> None:
    a, b, c = grids_of(2, 2, 2)

    total, _ = Sum().forward([a, b, c])
    np.testing.assert_array_equal(total, a + b + c)
    assert not np.shares_memory(Sum().forward([a])[0], a)


def test_maps_are_joined_in_the_order_of_the_branches() -> None:
    a, b, c = grids_of(2, 1, 3)

    joined, _ = Join().forward([a, b, c])
    for channel, (source, place) in enumerate([(a, 0), (a, 1), (b, 0), (c, 0), (c, 1), (c, 2)]):
        np.testing.assert_array_equal(joined[:, channel], source[:, place])


@pytest.mark.parametrize(("merge", "channels"), [(Sum(), (2, 2, 2)), (Join(), (2, 1, 3))])
def test_gradients_are_the_slopes(
    networks: ModuleType, merge: Merge, channels: tuple[int, ...]
) -> None:
    sources = grids_of(*channels)
    out, backward = merge.forward(sources)
    shares = np.random.default_rng(1).normal(0, 1, out.shape)

    def total() -> float:
        return float((merge.forward(sources)[0] * shares).sum())

    for source, found in zip(sources, backward(shares), strict=True):
        slopes = networks.central_differences(total, source)
        assert found.shape == source.shape
        np.testing.assert_allclose(found, slopes, atol=1e-6)


@pytest.mark.parametrize("merge", [Sum(), Join()])
def test_an_input_may_be_read_twice_and_is_not_changed(merge: Merge) -> None:
    (grid,) = grids_of(2)
    grid.setflags(write=False)

    merged, backward = merge.forward([grid, grid])
    assert merged.sum() == pytest.approx(2 * grid.sum())
    assert len(backward(merged)) == 2


def test_shapes_and_costs() -> None:
    shapes = [GridShape(2, 3, 4), GridShape(2, 3, 4), GridShape(2, 3, 4)]

    assert Sum().output(shapes).sizes == (2, 3, 4)
    assert Sum().multiply_adds(shapes) == 48
    assert Join().output(shapes).sizes == (6, 3, 4)
    assert Join().multiply_adds(shapes) == 0


@pytest.mark.parametrize("other", [GridShape(3, 3, 4), GridShape(2, 2, 4), GridShape(2, 3, 3)])
def test_grids_of_other_sizes_cannot_be_added(other: GridShape) -> None:
    with pytest.raises(ValueError, match=f"of 2 x 3 x 4 and {other} cannot be added; all need"):
        Sum().output([GridShape(2, 3, 4), other])


def test_maps_of_other_sizes_cannot_be_joined() -> None:
    with pytest.raises(
        ValueError, match=r"2 x 3 x 4 and 2 x 3 x 3 cannot be joined; .* padding: s"
    ):
        Join().output([GridShape(2, 3, 4), GridShape(2, 3, 3)])
