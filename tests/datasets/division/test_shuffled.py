"""Orders that take no memory."""

from __future__ import annotations

import numpy as np
import pytest

from gridcnn.datasets.division.shuffled import Shuffled


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17, 1000, 65_536])
def test_each_number_comes_once(count: int) -> None:
    order = Shuffled(count, np.random.default_rng(1))

    assert sorted(order[:].tolist()) == list(range(count))
    assert [order[place] for place in range(min(count, 20))] == order[:20].tolist()


def test_the_order_follows_from_the_seed_alone_and_looks_random() -> None:
    first, same = (Shuffled(40_000, np.random.default_rng(3))[:] for _ in range(2))
    other = Shuffled(40_000, np.random.default_rng(4))[:]

    np.testing.assert_array_equal(first, same)
    assert (first != other).mean() > 0.999
    # Neighbours are not related, and each tenth of the order is from all over.
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03
    assert all(abs(part.mean() - 20_000) < 800 for part in first.reshape(10, -1))


def test_a_part_of_an_order_has_the_numbers_of_its_places() -> None:
    order = Shuffled(1000, np.random.default_rng(0))
    part = order.part(100, 400).part(50, 60)

    assert len(part) == 10
    np.testing.assert_array_equal(part[:], order[150:160])
    np.testing.assert_array_equal(part[np.array([9, 0])], order[np.array([159, 150])])


@pytest.mark.parametrize("place", [-1, 10])
def test_a_place_outside_is_an_error(place: int) -> None:
    with pytest.raises(IndexError, match="places are from 0 to 9"):
        Shuffled(10, np.random.default_rng(0))[place]
