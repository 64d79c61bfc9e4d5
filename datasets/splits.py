"""Dividing labelled items into parts for training, for validation and for the test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.datasets.base import PARTS, TEST, TRAIN, VALIDATION, Dataset
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.soundness import learnable

_STREAM = 0x5EED_5B11
"""Sets the division's random numbers apart from others that are drawn from the same seed."""


@dataclass(frozen=True)
class Division:
    """Which items belong to which part: int64 indices, rising, each item in one part only."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def divide(dataset: Dataset, *, test: float, validation: float, seed: int) -> Division:
    """Divide `dataset` so that every part has its share of every class.

    A part that the data itself names is used as it is. A part that it does not name is taken from
    the training items, class by class, at random but fixed by `seed`. Of a class with `n` items to
    take from, the test part gets `round(test * n)` (a half rounds up), and the validation part
    `round(validation * m)` of the `m` then left; each at least 1, and never so many that the
    parts after it get none of that class. Other validation items leave the test items the same.

    Args:
        dataset: the labelled items.
        test: the test part, from 0 (none) up to but not including 1.
        validation: the part of the remaining training items by which the best epoch is chosen.
        seed: fixes which items go where.

    Raises:
        DataError: a class has too few items for one in every part; every such class is named.
    """
    learnable(dataset)
    given = _given(dataset)
    taken = [
        part
        for part, share in ((TEST, test), (VALIDATION, validation))
        if share > 0 and not len(given[part])
    ]
    targets = dataset.targets(dataset.classes)
    members = [
        given[TRAIN][targets[given[TRAIN]] == number] for number in range(len(dataset.classes))
    ]
    _refuse_small(dataset, members, taken)

    random = np.random.default_rng([seed, _STREAM])
    pieces: dict[str, list[NDArray[np.int64]]] = {part: [] for part in PARTS}
    for items in members:
        rest = random.permutation(items)
        for place, part in enumerate(taken):
            share = test if part == TEST else validation
            parts_after = len(taken) - place
            count = min(max(1, math.floor(share * len(rest) + 0.5)), len(rest) - parts_after)
            pieces[part].append(rest[:count])
            rest = rest[count:]
        pieces[TRAIN].append(rest)
    train, valid, tested = (
        given[part]
        if part != TRAIN and part not in taken
        else np.sort(np.concatenate(pieces[part]))
        for part in PARTS
    )
    return Division(train, valid, tested)


def _given(dataset: Dataset) -> dict[str, NDArray[np.int64]]:
    """Return the items of the parts that the data names; all are for training if it names none."""
    if dataset.parts is None:
        nothing = np.zeros(0, np.int64)
        return {TRAIN: np.arange(len(dataset)), VALIDATION: nothing, TEST: nothing}
    parts = np.array(dataset.parts, dtype=object)
    return {part: np.flatnonzero(parts == part) for part in PARTS}


def _refuse_small(
    dataset: Dataset, members: Sequence[NDArray[np.int64]], taken: Sequence[str]
) -> None:
    found = Problems(dataset.origin)
    needed = 1 + len(taken)
    for label, items in zip(dataset.classes, members, strict=True):
        if len(items) < needed:
            parts = " and ".join(["1 for training", *(f"1 for {part}" for part in reversed(taken))])
            found.add(
                f"the class '{label}' has {len(items)} "
                f"{'item' if len(items) == 1 else 'items'} to divide, but needs at least "
                f"{needed}: {parts}; add items, leave the class out, or set "
                f"{' or '.join(f'{part}: 0' for part in taken)}"
            )
    found.stop()
