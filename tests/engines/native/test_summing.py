"""The tree along which the gradients of shards are added up."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.sharing import ShardTask, SharedChain
from gridcnn.engines.native.summing import Additions, Branch, add_branches, add_shards
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load


def carried_out(additions: Additions, sums: Array) -> Array:
    """Return the sums of the branches."""
    sums = sums.copy()
    for target, source in additions.pairs:
        sums[target] += sums[source]
    return sums[list(additions.places)]


def added_by_levels(sums: Array) -> Array:
    """Return the sum of all as `(1, floats)`, level after level of the tree."""
    while len(sums) > 1:
        pairs = sums[: len(sums) // 2 * 2]
        sums = np.concatenate([pairs[::2] + pairs[1::2], sums[len(pairs) :]])
    return sums


@pytest.mark.parametrize("shards", [1, 2, 3, 5, 7, 8, 13, 64, 100])
def test_neighbours_are_added_two_by_two_level_after_level(shards: int) -> None:
    sums = np.random.default_rng(0).normal(0, 1, (shards, 5)).astype(np.float32)

    found = carried_out(add_shards(0, shards, shards), sums)

    np.testing.assert_array_equal(found, added_by_levels(sums))


@given(st.integers(1, 90), st.lists(st.integers(1, 89), max_size=6))
def test_parts_that_are_added_up_first_change_no_bit(shards: int, cuts: list[int]) -> None:
    sums = np.random.default_rng(shards).normal(0, 1, (shards, 3)).astype(np.float32)
    ends = [0, *sorted({cut for cut in cuts if cut < shards}), shards]

    parts = [add_shards(start, stop, shards) for start, stop in pairwise(ends)]
    branches = [
        carried_out(part, sums[start:stop])
        for part, (start, stop) in zip(parts, pairwise(ends), strict=True)
    ]
    rest = add_branches(tuple(branch for part in parts for branch in part.branches), shards)

    np.testing.assert_array_equal(
        carried_out(rest, np.concatenate(branches)),
        carried_out(add_shards(0, shards, shards), sums),
    )


def test_a_part_comes_to_few_branches() -> None:
    """At most two of each width, as a part begins and ends anywhere."""
    assert add_shards(16, 32, 32).branches == (Branch(16, 16),)
    assert add_shards(10, 21, 32).branches == tuple(
        Branch(first, width) for first, width in [(10, 2), (12, 4), (16, 4), (20, 1)]
    )
    for start, stop in [(1, 99), (13, 77), (0, 100)]:
        assert len(add_shards(start, stop, 100).branches) <= 2 * math.log2(100)


def test_the_last_branch_may_have_fewer_shards() -> None:
    assert add_shards(4, 7, 7).branches == (Branch(4, 4),)
    assert add_shards(4, 5, 5).branches == (Branch(4, 1),)


@pytest.mark.parametrize("items", [90, 128])
def test_the_kernels_add_up_shards_along_the_tree(items: int) -> None:
    """Level after level, as NumPy does it with the sums of each shard."""
    stages = [{"convolution": {"filters": 6, "kernel_size": 3}}, "rectification", "pooling"]
    whole = Network(load({"stages": stages, "head": "voting"}), GridShape(2, 9, 9), classes=3)
    engine = NativeEngine(whole)
    shared = SharedChain(engine.chain(engine.pieces()[0]))
    random = np.random.default_rng(0)
    parts = shared.divide(items, items)
    task = ShardTask(
        shards=range(len(parts)),
        all_shards=len(parts),
        items=items,
        cells=random.normal(0, 1, (items, *whole.shape.sizes)).astype(np.float32),
        targets=random.integers(0, 3, items),
        soft_targets=None,
        wants_logits=False,
        factors=(),
        stage_factors=(),
    )
    parameters = whole.starting_parameters()

    alone = [shared.compute(parameters, task.part(*part)).sums for part in parts]
    together = shared.compute(parameters, task).sums

    assert len(parts) > 4
    np.testing.assert_array_equal(together, added_by_levels(np.concatenate(alone)))
