"""How much each item counts: the weights of classes and items, and the items of an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import LabelTargets, Targets, most
from gridcnn.datasets.division.shuffled import Shuffled, is_large
from gridcnn.errors import Problem, SpecError, listed, quoted, suggestion
from gridcnn.grid import Array
from gridcnn.settings.document import Document
from gridcnn.spec.models import Training


def item_weights(
    settings: Training,
    targets: Targets | LabelTargets,
    classes: Sequence[str | int],
    *,
    own: Array | None = None,
    document: Document | None = None,
) -> NDArray[np.float32] | None:
    """Return the weight of each training item `(items,)`, 1 on average; None if all are the same.

    Args:
        settings: of the training; `class_weights` counts.
        targets: the class of each item, or its labels, which have no weights.
        classes: the names of the classes.
        own: the items' own weights `(items,)`, by which those of their classes are multiplied.
        document: where the settings were read from, for the places of errors.

    Raises:
        SpecError: a class that has a weight is none of the data, or no item has any weight; or
            classes are to count the same, and items may have several labels.
    """
    by_class = None
    if targets.ndim == 2:
        refuse_weights_of_labels(settings, document)
    else:
        by_class = class_weights(settings, most(targets), classes, own=own, document=document)
    if by_class is None and own is None:
        return None
    weights = np.ones(len(targets)) if own is None else own.astype(np.float64)
    if by_class is not None:
        weights = weights * by_class[most(targets)]
    mean = weights.mean()
    if not mean > 0:
        raise SpecError("no training item has a weight above zero")
    result: NDArray[np.float32] = (weights / mean).astype(np.float32)
    return result


def refuse_weights_of_labels(settings: Training, document: Document | None = None) -> None:
    """Raise `SpecError` for settings by which classes count, if items may have several labels."""
    is_set = {
        "class_weights": settings.class_weights is not None,
        "sampling": settings.sampling == "balanced",
    }
    problems = [
        (document or Document(None)).problem(
            ("training", name),
            f"training.{name} is for items of one class each, and these may have several labels; "
            "leave it out",
        )
        for name, is_asked in is_set.items()
        if is_asked
    ]
    if problems:
        raise SpecError(*problems)


def class_weights(
    settings: Training,
    targets: Targets,
    classes: Sequence[str | int],
    *,
    own: Array | None = None,
    document: Document | None = None,
) -> NDArray[np.float64] | None:
    """Return the weight of each class `(classes,)`; None if all are the same.

    Balanced weights are those of scikit-learn: the number of items over the number of classes
    times the items of the class. The arguments, and what is raised, are as for `item_weights`.
    """
    given = settings.class_weights
    if given is None:
        return None
    if given == "balanced":
        counts = np.bincount(targets, weights=own, minlength=len(classes))
        present = counts > 0
        weights = np.zeros(len(classes))
        weights[present] = counts.sum() / (present.sum() * counts[present])
        return weights
    names = [str(label) for label in classes]
    unknown = [label for label in given if label not in names]
    if unknown:
        raise SpecError(*(_unknown(label, names, document) for label in unknown))
    return np.array([given.get(name, 1.0) for name in names])


def _unknown(label: str, names: Sequence[str], document: Document | None) -> Problem:
    text = (
        f"class_weights names {quoted(label)}, which is not a class of the data; the classes are "
        f"{listed([quoted(name) for name in names])}{suggestion(label, names)}"
    )
    return (document or Document(None)).problem(("training", "class_weights", label), text)


def epoch_order(
    settings: Training, targets: Targets | LabelTargets, random: np.random.Generator
) -> NDArray[np.int64]:
    """Return the indices of the items of one epoch, in their order; as many as there are items.

    Balanced, all classes have as many, give or take one. Of a class with fewer items each is used
    equally often, give or take once; of one with more, some are left out. Of a large set, the
    order is computed by a rule as it is asked for, and passes for an array.
    """
    if is_large(len(targets)):
        by_rule: Any = Shuffled(len(targets), random)
        return by_rule  # type: ignore[no-any-return]
    if settings.sampling == "shuffled":
        return random.permutation(len(targets))
    present = np.unique(targets)
    quota, rest = divmod(len(targets), len(present))
    more = set(random.permutation(present)[:rest].tolist())
    orders = []
    for label in present.tolist():
        own = np.flatnonzero(targets == label)
        wanted = quota + (label in more)
        rounds = [random.permutation(own) for _ in range(-(-wanted // len(own)))]
        orders.append(np.concatenate([*rounds, own[:0]])[:wanted])
    order: NDArray[np.int64] = random.permutation(np.concatenate(orders))
    return order


def class_counts(
    settings: Training, targets: Targets, weights: Array | None, classes: int
) -> NDArray[np.float64]:
    """Return how much each class counts in an epoch, in items `(classes,)`."""
    count: Any = getattr(targets, "count_classes", None)
    if count is not None:  # of so many that they are not all in memory
        return count(classes).astype(np.float64)  # type: ignore[no-any-return]
    counts = np.bincount(targets, weights=weights, minlength=classes).astype(np.float64)
    if settings.sampling == "balanced":
        items = np.bincount(targets, minlength=classes)
        present = items > 0
        each = len(targets) / present.sum()
        counts[present] *= each / items[present]
    return counts
