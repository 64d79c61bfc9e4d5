"""Orders of very many items that take no memory: each place is computed when it is asked for."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

LARGE = 2**24
"""Sets of more items are divided and shuffled by a rule, without a list of them: such a list alone
would take gigabytes."""
_ROUNDS = 6


def is_large(items: int) -> bool:
    """Return whether there are so many items that no list of them is made."""
    return items > LARGE


class Shuffled:
    """The numbers from 0 to below `count` in a random order, or some of them that stand together.

    The order is a permutation by a Feistel network with random keys (Luby and Rackoff, 1988) over
    the next power of 4; numbers that are too large go through it again until they are not (Black
    and Rogaway, 2002).

    Args:
        count: how many numbers there are in all.
        random: the keys are drawn from it.

    Attributes:
        start, stop: the places that are left of the whole order.
    """

    def __init__(self, count: int, random: np.random.Generator) -> None:
        self.count = count
        self.start, self.stop = 0, count
        self._half = np.uint64(max(1, -(-(max(count, 2) - 1).bit_length() // 2)))
        self._keys = random.integers(0, 2**63, _ROUNDS).astype(np.uint64)

    def part(self, start: int, stop: int) -> Self:
        """Return the numbers at some places of this order."""
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.start, copy.stop = self.start + start, self.start + stop
        return copy

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, places: Any) -> Any:
        """Return the numbers at places, int64 `(places,)`, or the number at one place.

        Raises:
            IndexError: there is no such place.
        """
        if isinstance(places, slice):
            places = np.arange(*places.indices(len(self)))
        array = np.asarray(places, np.int64)
        if array.size and not (array.min() >= 0 and array.max() < len(self)):
            raise IndexError(f"places are from 0 to {len(self) - 1}")
        numbers = self._permute(np.atleast_1d(array).astype(np.uint64) + np.uint64(self.start))
        return numbers if array.ndim else int(numbers[0])

    def _permute(self, values: NDArray[np.uint64]) -> NDArray[np.int64]:
        values = self._encrypt(values)
        while (large := values >= np.uint64(self.count)).any():
            values[large] = self._encrypt(values[large])
        return values.astype(np.int64)

    def _encrypt(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        mask = (np.uint64(1) << self._half) - np.uint64(1)
        left, right = values >> self._half, values & mask
        for key in self._keys:
            mixed = (right + key) * np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
            left, right = right, left ^ ((mixed ^ (mixed >> np.uint64(32))) & mask)
        joined: NDArray[np.uint64] = (left << self._half) | right
        return joined
