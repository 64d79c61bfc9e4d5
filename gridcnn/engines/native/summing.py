"""In which order the gradients of shards are added up: along a tree that their number decides.

A sum of floats depends on its order, so the order is fixed, whoever adds. Neighbours are added two
by two, then these sums two by two, and so on. One without a partner waits for its next partner.

    shards   0   1   2   3   4   5   6
             +---+   +---+   +---+   |
             +-------+       +-------+
             +---------------+

Any process can add up the branches whose shards it has computed, and pass on one sum for each. The
error of a sum grows with the height of the tree, and not with the number of shards (N. Higham, The
accuracy of floating point summation, 1993).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Branch(NamedTuple):
    """A part of the tree: the shards from `first` on, `width` of them, or fewer at the end."""

    first: int
    width: int


class Additions(NamedTuple):
    """What is added to what, one after the other; `build_training` carries it out.

    Attributes:
        pairs: places in a row of sums, `(additions, 2)`: the second is added to the first.
        branches: what has been added up then.
        places: where the sum of each branch is.
    """

    pairs: NDArray[np.int64]
    branches: tuple[Branch, ...]
    places: tuple[int, ...]


@functools.lru_cache(maxsize=256)
def add_shards(first: int, stop: int, shards: int) -> Additions:
    """Return how shards from `first` to `stop` of a step are added up, as far as they can be.

    The shards lie in their order, and `shards` is how many the step has.
    """
    leaves = {Branch(shard, 1): shard - first for shard in range(first, stop)}
    return _add(leaves, _branches(first, stop, shards), shards)


@functools.lru_cache(maxsize=256)
def add_branches(branches: Sequence[Branch], shards: int) -> Additions:
    """Return how the branches of a step are added up; their sums lie in the order of `branches`."""
    given = {branch: place for place, branch in enumerate(branches)}
    return _add(given, _branches(0, shards, shards), shards)


def _branches(first: int, stop: int, shards: int) -> list[Branch]:
    """Return the largest branches with all their shards from `first` to `stop`."""
    found = []
    while first < stop:
        width = 1
        while (
            first % (2 * width) == 0
            and first + width < shards
            and min(first + 2 * width, shards) <= stop
        ):
            width *= 2
        found.append(Branch(first, width))
        first += width
    return found


def _add(given: dict[Branch, int], wanted: Sequence[Branch], shards: int) -> Additions:
    pairs: list[tuple[int, int]] = []

    def place_of(branch: Branch) -> int:
        if branch in given:
            return given[branch]
        half = branch.width // 2
        left = place_of(Branch(branch.first, half))
        if branch.first + half < shards:
            pairs.append((left, place_of(Branch(branch.first + half, half))))
        return left

    places = tuple(place_of(branch) for branch in wanted)
    return Additions(np.array(pairs, np.int64).reshape(-1, 2), tuple(wanted), places)
