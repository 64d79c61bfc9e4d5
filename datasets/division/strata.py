"""Strata: kinds of items of which each part and each fold is to have its share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import Dataset
from gridcnn.contracts.targets import LabelTargets, Targets

_FREQUENT = 20
"""So many items with the same labels are a kind of their own: a tenth of a fifth has one."""
_NOTHING = "no label"


@dataclass(frozen=True)
class Strata:
    """The kind of each item, int64 `(items,)`, from 0, and what each kind is called."""

    numbers: Targets
    names: tuple[str, ...]


def strata_of(dataset: Dataset, *, joined: bool = True) -> Strata:
    """Return the kinds of items: their classes.

    If an item may have several labels, items with the very same labels are of one kind if there are
    20 of them, or if these are a single label. Of other items, each counts for the rarest of its
    labels, as in the iterative stratification of Sechidis, Tsoumakas and Vlahavas (2011), and those
    without a label together. What is not known counts as not there.

    Args:
        dataset: labelled items.
        joined: whether labels together may be a kind; otherwise there is one for each label.
    """
    if not dataset.several:
        targets = dataset.targets(dataset.classes)
        return Strata(targets.astype(np.int64), tuple(map(str, dataset.classes)))
    return _of_labels(dataset.label_rows, tuple(map(str, dataset.classes)), joined=joined)


def _of_labels(rows: LabelTargets, names: tuple[str, ...], *, joined: bool) -> Strata:
    has = rows == 1
    # Label by label, and after them the items without any.
    counts = has.sum(axis=0)
    rarest = np.where(has, counts, len(has) + 1).argmin(axis=1)
    numbers = np.where(has.any(axis=1), rarest, len(names)).astype(np.int64)
    kinds = [*names, _NOTHING]
    if joined:
        for members in _frequent(has):
            labels = np.flatnonzero(has[members[0]]).tolist()
            if len(labels) > 1:
                numbers[members] = len(kinds)
                kinds.append(" + ".join(names[label] for label in labels))
    present, numbers = np.unique(numbers, return_inverse=True)
    return Strata(numbers.astype(np.int64), tuple(kinds[kind] for kind in present.tolist()))


def _frequent(has: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the items with exactly the same labels, if there are many of them."""
    packed = np.packbits(has, axis=1)
    rows = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, kinds, counts = np.unique(rows, return_inverse=True, return_counts=True)
    order = np.argsort(kinds, kind="stable")
    groups = np.split(order, np.cumsum(counts)[:-1])
    return [group for group in groups if len(group) >= _FREQUENT]
