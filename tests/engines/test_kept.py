"""Grids that were sent to where an engine computes, and are here as well."""

from __future__ import annotations

import numpy as np

from gridcnn.engines.kept import KeptCells, sent_form
from gridcnn.grid import OneHot

GRIDS = np.random.default_rng(0).normal(0, 1, (10, 2, 3, 4)).astype(np.float32)


def test_some_of_kept_grids_pass_for_an_array() -> None:
    kept = KeptCells(GRIDS, "there")

    assert (kept.shape, len(kept), kept.odd) == (GRIDS.shape, 10, 0)
    chosen = kept[2:7][np.array([3, 1])]
    np.testing.assert_array_equal(np.asarray(chosen), GRIDS[[5, 3]])
    np.testing.assert_array_equal(kept[4], GRIDS[4])
    np.testing.assert_array_equal(np.asarray(kept[np.arange(10) > 7]), GRIDS[8:])
    assert (chosen.sent, chosen.items.tolist()) == ("there", [5, 3])


def test_all_of_kept_grids_are_not_copied() -> None:
    assert KeptCells(GRIDS, None).fetch() is GRIDS


def test_indices_are_sent_of_one_hot_grids() -> None:
    grids = OneHot(np.arange(12, dtype=np.int32).reshape(3, 4) % 5, 5)
    kept = KeptCells(grids, None)

    assert (kept.rows, kept.shape) == (5, (3, 1, 5, 4))
    assert sent_form(grids) is grids.indices
    assert sent_form(GRIDS) is GRIDS
    assert sent_form(kept) is None  # type: ignore[arg-type]
