"""Which worker owns an item, and the grids that a worker holds; without Ray."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gridcnn.adapters.text import TextAdapter
from gridcnn.cluster.held import HeldCells, HeldData
from gridcnn.cluster.holding import BLOCK, Request, Store, digests_of_cells, owners_of
from gridcnn.errors import DataError
from gridcnn.grid import OneHot

ADAPTER = TextAdapter(unit="byte", length=8)
TEXTS = [f"text {number}" for number in range(40)]


def request(items: list[int], owner: int = 0) -> Request:
    chosen = np.array(items, np.int64)
    texts = [TEXTS[item] for item in items]
    return Request(chosen, texts, texts, np.full(len(items), owner))


def indices(items: list[int]) -> Any:
    return ADAPTER.grids([TEXTS[item] for item in items]).values.indices  # type: ignore[union-attr]


def test_each_block_has_one_owner_and_all_workers_own_some() -> None:
    owners = owners_of(np.arange(200 * BLOCK), [2, 5, 9])

    assert (owners.reshape(200, BLOCK) == owners[::BLOCK, None]).all()
    assert np.bincount(owners)[[2, 5, 9]].min() > 50 * BLOCK


def test_a_worker_that_goes_changes_the_owner_of_its_own_blocks_alone() -> None:
    items = np.arange(0, 100 * BLOCK, BLOCK)
    before, after = owners_of(items, [2, 5, 9]), owners_of(items, [2, 9])

    assert (after[before != 5] == before[before != 5]).all()
    assert set(after[before == 5].tolist()) == {2, 9}


def test_what_is_surveyed_is_held_and_is_what_the_adapter_makes() -> None:
    store = Store(ADAPTER, 10**6)

    found = store.survey(request([3, 1, 7]))
    assert found.kept.tolist() == [0, 1, 2]
    assert not found.odd.any()
    assert store.count == 3
    again = Request(
        np.array([7, 2, 3]), [None, TEXTS[2], None], ["", "", ""], np.zeros(3, np.int64)
    )
    np.testing.assert_array_equal(store.take(again), indices([7, 2, 3]))  # None was not read


def test_no_more_is_held_than_is_allowed() -> None:
    store = Store(ADAPTER, 2 * 8 * 4)  # two grids of eight indices

    np.testing.assert_array_equal(store.take(request([0, 1, 2, 3])), indices([0, 1, 2, 3]))
    assert (store.count, store.size) == (2, 64)
    np.testing.assert_array_equal(store.take(request([3, 1])), indices([3, 1]))


def test_an_item_that_cannot_be_read_is_named() -> None:
    bad = Request(np.array([4]), [17], ["the fourth"], np.zeros(1, np.int64))

    assert Store(ADAPTER, 10**6).survey(bad).problems[0].source == "the fourth"
    with pytest.raises(DataError, match="the fourth: "):
        Store(ADAPTER, 10**6).take(bad)


class GoneError(Exception):
    """Stands for what Ray raises if a worker has died."""


def test_what_a_dead_owner_held_is_read_by_who_wants_it() -> None:
    class Ray:
        exceptions = SimpleNamespace(RayTaskError=KeyError, RayError=GoneError)

        def get(self, ref: Any) -> Any:
            raise GoneError

    give = SimpleNamespace(remote=lambda part: part)
    dead = SimpleNamespace(give=SimpleNamespace(options=lambda **_: give))
    asked = Request(np.arange(6), TEXTS[:6], TEXTS[:6], np.array([0, 1, 1, 0, 1, 0]))

    found = Store(ADAPTER, 10**6).gather(asked, 0, {0: None, 1: dead}, Ray())
    np.testing.assert_array_equal(found, indices([0, 1, 2, 3, 4, 5]))


def test_equal_grids_have_equal_digests_and_others_have_not() -> None:
    cells = np.zeros((3, 1, 2, 2), np.float32)
    cells[1] = -0.0
    cells[2, 0, 1, 1] = 1e-30

    digests = digests_of_cells(cells)
    assert (digests[0] == digests[1]).all()
    assert (digests[0] != digests[2]).any()


def test_held_grids_are_chosen_and_counted_like_an_array() -> None:
    """Without workers, they are read by whoever wants them."""
    cells = HeldCells(HeldData(None, TEXTS, TEXTS, ADAPTER), np.arange(40)[::-1])

    assert cells.shape == (40, *ADAPTER.shape().sizes)
    assert cells[np.array([3, 1])].items.tolist() == [36, 38]
    assert cells[2:4][1:].items.tolist() == [36]
    assert cells[np.arange(40) < 2].items.tolist() == [39, 38]
    fetched = cells[5:9].fetch()
    assert isinstance(fetched, OneHot)
    np.testing.assert_array_equal(fetched.indices, indices([34, 33, 32, 31]))
    np.testing.assert_array_equal(cells[0], np.asarray(cells)[0])
    assert len(cells[:0].fetch()) == 0
