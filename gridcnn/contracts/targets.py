"""Targets: the right class of each item, as its index among the classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Targets = NDArray[np.int64]
"""Class indices `(items,)`, from 0: of the right classes, or of the classes that were answered."""

L = TypeVar("L")


def number_labels(labels: Iterable[L], numbers: Mapping[L, int]) -> Targets:
    """Return the class index of each label.

    Raises:
        KeyError: a label has no number.
    """
    return np.array([numbers[label] for label in labels], np.int64)


def check_targets(targets: NDArray[Any], *, items: int, classes: int) -> Targets:
    """Return whole numbers as targets, in C order and the machine's byte order.

    Raises:
        IndexError: there are not `items` of them, or one is not the index of one of `classes`
            classes.
    """
    checked = np.ascontiguousarray(targets, np.int64)
    # Without a sign, negative numbers are large: a training step takes one maximum, no minimum.
    if checked.shape != (items,) or (
        items and (targets.dtype.kind not in "biu" or checked.view(np.uint64).max() >= classes)
    ):
        raise IndexError(f"targets must be {items} whole numbers from 0 to {classes - 1}")
    return checked
