"""The literal comparison: what comes of comparing things cell by cell, without any features.

It keeps a few exemplars of each class, as they are, and answers with the class of the nearest. It
is no rival to a network, but the answer to "why not just compare?".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.grid import Array, Cells
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


def exemplars(targets: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Return which training items to keep: up to 10 of each class, drawn by `seed`, sorted.

    `targets` are class indices `(items,)`.
    """
    random = np.random.default_rng([seed, 3])
    kept = [
        random.permutation(np.flatnonzero(targets == label))[:EXEMPLARS]
        for label in np.unique(targets)
    ]
    return np.sort(np.concatenate(kept))


def literal_comparison(kept: Labelled, test: Labelled) -> Literal:
    """Answer each test item with the class of the nearest exemplar in `kept`.

    The nearest has the smallest sum of squared differences over all cells.
    """
    flat = _flat(kept.grids)
    # |a - b|^2 = |a|^2 - 2ab + |b|^2, where |a|^2 is the same for all exemplars.
    lengths = np.einsum("ij,ij->i", flat, flat)
    right = 0
    step = max(1, min(_CHUNK, _CELLS // max(1, flat.shape[1])))
    for start in range(0, len(test), step):
        part = slice(start, start + step)
        distances = lengths - 2 * (_flat(test.grids[part]) @ flat.T)
        right += int((kept.targets[distances.argmin(axis=1)] == test.targets[part]).sum())
    return Literal(right / len(test), len(flat))


def _flat(grids: Cells) -> Array:
    return np.asarray(grids).reshape(len(grids), -1)
