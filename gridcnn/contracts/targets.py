"""Targets: the right class of each item, as its index or as parts of classes; or its labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Targets = NDArray[np.int64]
"""Class indices `(items,)`, from 0: of the right classes, or of the classes that were answered."""
SoftTargets = NDArray[np.float32]
"""How much of each class an item is, `(items, classes)`: at least 0, with the sum 1."""
LabelTargets = NDArray[np.float32]
"""Whether an item has each of several labels, `(items, labels)`: 1, 0, or NaN if not known."""

L = TypeVar("L")


def number_labels(labels: Iterable[L], numbers: Mapping[L, int]) -> Targets:
    """Return the class index of each label.

    Raises:
        KeyError: a label has no number.
    """
    return np.array([numbers[label] for label in labels], np.int64)


def check_targets(targets: NDArray[Any], *, items: int, classes: int) -> Targets | SoftTargets:
    """Return targets of either kind, in C order and the machine's byte order.

    Raises:
        IndexError: there are not `items` of them, or one is not the index of one of `classes`
            classes, or not a part of each class.
    """
    if targets.ndim == 2:
        soft = np.ascontiguousarray(targets, np.float32)
        # NaN is not at least 0 either.
        if soft.shape != (items, classes) or not (soft >= 0).all():
            raise IndexError(
                f"targets must be parts of {classes} classes, not below 0, for {items} items"
            )
        return soft
    checked = np.ascontiguousarray(targets, np.int64)
    # Without a sign, negative numbers are large: a training step takes one maximum, no minimum.
    if checked.shape != (items,) or (
        items and (targets.dtype.kind not in "biu" or checked.view(np.uint64).max() >= classes)
    ):
        raise IndexError(f"targets must be {items} whole numbers from 0 to {classes - 1}")
    return checked


def check_label_targets(targets: NDArray[Any], *, items: int, labels: int) -> LabelTargets:
    """Return targets of several labels as float32, in C order and the machine's byte order.

    Raises:
        IndexError: they are not `(items, labels)`, or one is neither from 0 to 1 nor NaN.
    """
    checked = np.ascontiguousarray(targets, np.float32)
    if checked.shape != (items, labels) or ((checked < 0) | (checked > 1)).any():
        raise IndexError(
            f"targets must be 0, 1 or NaN for each of {labels} labels of {items} items"
        )
    return checked


def check_weights(weights: NDArray[Any], *, items: int) -> NDArray[np.float32]:
    """Return the weights of items, float32 `(items,)` in C order.

    Raises:
        IndexError: there are not `items` of them, or one is below 0 or not finite.
    """
    checked = np.ascontiguousarray(weights, np.float32)
    if checked.shape != (items,) or not ((checked >= 0) & np.isfinite(checked)).all():
        raise IndexError(f"weights must be {items} finite numbers, not below 0")
    return checked


def soften(targets: Targets | SoftTargets, classes: int) -> SoftTargets:
    """Return targets as parts of classes `(items, classes)`: 1 for the right class, 0 for others.

    Targets that are parts already are returned as they are.
    """
    if targets.ndim == 2:
        return targets.astype(np.float32, copy=False)
    soft = np.zeros((len(targets), classes), np.float32)
    soft[np.arange(len(targets)), targets] = 1
    return soft


def most(targets: Targets | SoftTargets) -> Targets:
    """Return the class `(items,)` that an item is most of; the first of equal ones."""
    if hasattr(targets, "count_classes"):  # of so many items that not all are in memory
        return targets  # type: ignore[return-value]
    if targets.ndim == 1:
        return targets.astype(np.int64, copy=False)
    classes: Targets = targets.argmax(axis=1)
    return classes
