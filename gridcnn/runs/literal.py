"""The literal comparison: the accuracy of comparing items cell by cell, without any features.

It keeps a few exemplars of each class, as they are, and answers with the class of the nearest. It
is not meant to rival a network: it answers "why not just compare?".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets
from gridcnn.grid import Array, Cells, OneHot
from gridcnn.streams import Stream
from gridcnn.training.loop import Labelled

EXEMPLARS = 10
"""Exemplars of each class."""
_CHUNK = 256
_CELLS = 2**24  # cells of test items that are compared together: one-hot grids are large as arrays


@dataclass(frozen=True)
class Literal:
    """How often the nearest exemplar has the right class (0..1), and how many were kept."""

    accuracy: float
    exemplars: int


def exemplars(targets: Targets, *, seed: int) -> NDArray[np.int64]:
    """Return which training items to keep: up to 10 of each class, drawn by `seed`, sorted.

    `targets` are class indices `(items,)`.
    """
    random = Stream.EXEMPLARS.random(seed)
    chosen = [
        random.permutation(np.flatnonzero(targets == label))[:EXEMPLARS]
        for label in np.unique(targets)
    ]
    return np.sort(np.concatenate(chosen))


def literal_comparison(kept: Labelled, test: Labelled) -> Literal:
    """Answer each test item with the class of the nearest exemplar in `kept`.

    The nearest has the smallest sum of squared differences over all cells.
    """
    pictures, tested = kept.grids, test.grids
    one_hot = isinstance(pictures, OneHot) and isinstance(tested, OneHot)
    flat = pictures.indices if isinstance(pictures, OneHot) and one_hot else _flat(pictures)
    # |a - b|^2 = |a|^2 - 2ab + |b|^2, where |a|^2 is the same for all exemplars.
    lengths = (flat >= 0).sum(axis=1) if one_hot else np.einsum("ij,ij->i", flat, flat)
    right = 0
    size = flat.shape[1] * (len(flat) if one_hot else 1)
    step = max(1, min(_CHUNK, _CELLS // max(1, size)))
    for start in range(0, len(test), step):
        part = tested[start : start + step]
        alike = _agreeing(part.indices, flat) if isinstance(part, OneHot) else _flat(part) @ flat.T
        distances = lengths - 2 * alike
        wanted = test.targets[start : start + step]
        right += int((kept.targets[distances.argmin(axis=1)] == wanted).sum())
    return Literal(right / len(test), len(flat))


def _flat(grids: Cells) -> Array:
    return np.asarray(grids).reshape(len(grids), -1)


def _agreeing(first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return how many 1s every two one-hot items share: the sum of products of their cells."""
    same = (first[:, None] == second[None]) & (second >= 0)[None]
    shared: NDArray[np.int64] = same.sum(axis=2)
    return shared
