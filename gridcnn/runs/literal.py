"""The literal comparison: the accuracy of comparing items cell by cell, without any features.

It keeps a few exemplars of each class, as they are, and answers with the class of the nearest. It
is not meant to rival a network: it answers "why not just compare?".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import LabelTargets, Targets
from gridcnn.grid import Array, Cells, OneHot
from gridcnn.measures import roc_auc
from gridcnn.streams import Stream
from gridcnn.training.loop import Labelled

EXEMPLARS = 10
"""Exemplars of each class."""
_CHUNK = 256
_CELLS = 2**24  # cells of test items that are compared together: one-hot grids are large as arrays


@dataclass(frozen=True)
class Literal:
    """How often the nearest exemplar has the right class (0..1), and how many were kept.

    Of several labels, `accuracy` is the exact match, and `auc` the mean area under the ROC curve
    of the difference between the distances to the nearest exemplar without the label and with it;
    None if there is none.
    """

    accuracy: float
    exemplars: int
    auc: float | None = None


def exemplars(targets: Targets | LabelTargets, *, seed: int) -> NDArray[np.int64]:
    """Return which training items to keep: up to 10 of each class, drawn by `seed`, sorted.

    `targets` are class indices `(items,)`; of several labels `(items, labels)`, up to 10 with each
    label and 10 without it are kept.
    """
    random = Stream.EXEMPLARS.random(seed)
    columns = targets.T if targets.ndim == 2 else [targets]
    chosen = [
        random.permutation(np.flatnonzero(column == label))[:EXEMPLARS]
        for column in columns
        for label in np.unique(column[column == column])  # NaN is not equal to itself
    ]
    return np.unique(np.concatenate(chosen))


def literal_comparison(kept: Labelled, test: Labelled) -> Literal:
    """Answer each test item with the class of the nearest exemplar in `kept`.

    The nearest has the smallest sum of squared differences over all cells. Of several labels, each
    is answered as it is known of the nearest exemplar of which it is known.
    """
    pictures, tested = kept.grids, test.grids
    one_hot = isinstance(pictures, OneHot) and isinstance(tested, OneHot)
    flat = pictures.indices if isinstance(pictures, OneHot) and one_hot else _flat(pictures)
    # |a - b|^2 = |a|^2 - 2ab + |b|^2, where |a|^2 is the same for all exemplars.
    lengths = (flat >= 0).sum(axis=1) if one_hot else np.einsum("ij,ij->i", flat, flat)
    answered: list[NDArray[np.bool_]] = []
    ahead: list[NDArray[np.float64]] = []
    size = flat.shape[1] * (len(flat) if one_hot else 1)
    step = max(1, min(_CHUNK, _CELLS // max(1, size)))
    for start in range(0, len(test), step):
        part = tested[start : start + step]
        alike = _agreeing(part.indices, flat) if isinstance(part, OneHot) else _flat(part) @ flat.T
        distances = lengths - 2 * alike
        wanted = test.targets[start : start + step]
        if kept.targets.ndim == 2:
            nearer = _nearer(distances, kept.targets)
            ahead.append(nearer)
            answered.append((((nearer > 0) == (wanted == 1)) | np.isnan(wanted)).all(axis=1))
        else:
            answered.append(kept.targets[distances.argmin(axis=1)] == wanted)
    accuracy = float(np.concatenate(answered).mean())
    return Literal(accuracy, len(flat), _mean_auc(test.targets, ahead))


def _nearer(distances: Array, targets: Targets | LabelTargets) -> NDArray[np.float64]:
    """Return how much nearer the nearest exemplar with each label is than that without it.

    Args:
        distances: of items to exemplars, `(items, exemplars)`.
        targets: the labels of the exemplars, `(exemplars, labels)`.

    Returns:
        For each item and label, `(items, labels)`; 0 if no exemplar has the label, 1 if all do.
    """
    nearer = np.zeros((len(distances), targets.shape[1]))
    for label in range(targets.shape[1]):
        has, lacks = targets[:, label] == 1, targets[:, label] == 0
        if has.any() and lacks.any():
            nearer[:, label] = distances[:, lacks].min(axis=1) - distances[:, has].min(axis=1)
        elif has.any():
            nearer[:, label] = 1
    return nearer


def _mean_auc(
    targets: Targets | LabelTargets, ahead: Sequence[NDArray[np.float64]]
) -> float | None:
    """Return the mean area under the ROC curve of the labels that have one."""
    if targets.ndim == 1:
        return None
    order, known = np.concatenate(ahead), ~np.isnan(targets)
    areas = [
        roc_auc(targets[known[:, label], label] == 1, order[known[:, label], label])
        for label in range(targets.shape[1])
    ]
    found = [area for area in areas if area is not None]
    return math.fsum(found) / len(found) if found else None


def _flat(grids: Cells) -> Array:
    return np.asarray(grids).reshape(len(grids), -1)


def _agreeing(first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return how many 1s every two one-hot items share: the sum of products of their cells."""
    same = (first[:, None] == second[None]) & (second >= 0)[None]
    shared: NDArray[np.int64] = same.sum(axis=2)
    return shared
