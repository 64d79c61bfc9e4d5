"""What every data set must be, wherever it is from, to be used and to be learned from."""

from __future__ import annotations

import math

from gridcnn.contracts.source import TRAIN, Dataset, Label
from gridcnn.datasets.problems import Problems
from gridcnn.errors import DataError, Problem, listed, quoted

_MANY = 8
"""So many labels for less than twice as many items are hardly those of classes."""


def sound(dataset: Dataset) -> Dataset:
    """Return `dataset` if there is anything in it; raise `DataError` otherwise."""
    if not len(dataset):
        raise DataError(Problem("there are no items in the data", source=dataset.origin))
    return dataset


def learnable(dataset: Dataset) -> Dataset:
    """Return `dataset` if a classifier can learn from it.

    Raises:
        DataError: there are no items; all have one class; hardly any two have the same; the data
            divides itself, and has no training items or a class that is not among them. Of several
            labels: all items have the same, as far as they are known.
    """
    problems = Problems(sound(dataset).origin)
    if dataset.several:
        _labels(dataset, problems)
    elif len(dataset.classes) == 1:
        problems.add(
            f"every item has the class '{dataset.classes[0]}'; a classifier needs at least two "
            "classes"
        )
    elif (reason := _no_classes(dataset)) is not None:
        problems.add(reason)
    elif dataset.parts is not None:
        _parts(dataset, problems)
    problems.stop()
    return dataset


def _labels(dataset: Dataset, problems: Problems) -> None:
    rows = dataset.label_rows
    if not ((rows == 1).any(axis=0) & (rows == 0).any(axis=0)).any():
        problems.add(
            "each label is the same for all items, so there is nothing to learn; the labels are "
            f"{listed([quoted(str(label)) for label in dataset.classes], limit=8)}"
        )
    elif dataset.parts is not None and TRAIN not in dataset.parts:
        parts = listed(sorted(set(dataset.parts)))
        problems.add(f"no item is in the part '{TRAIN}'; the parts are: {parts}")


def _no_classes(dataset: Dataset) -> str | None:
    """Return why these labels are unlikely to be classes; None if they may be."""
    labels, items = dataset.classes, len(dataset)
    if 2 * len(labels) <= items or len(labels) < _MANY:
        return None
    examples = listed([quoted(str(label)) for label in labels], limit=3)
    counts = f"{items} items have {len(labels)} different labels ({examples})"
    if all(map(_is_amount, labels)):
        return (
            f"{counts}: they look like amounts to be predicted (regression), which gridcnn does "
            "not do; for classes, put amounts into ranges, and give each range a name"
        )
    return (
        f"{counts}: they look like names of items, not like classes; give the column, or the "
        "list, of the classes"
    )


def _is_amount(label: Label) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False
    except OverflowError:  # a whole number that no float can be
        return True


def _parts(dataset: Dataset, problems: Problems) -> None:
    assert dataset.parts is not None
    pairs = set(zip(dataset.parts, dataset.labels, strict=True))
    trained = {label for part, label in pairs if part == TRAIN}
    if not trained:
        parts = listed(sorted({part for part, _ in pairs}))
        problems.add(f"no item is in the part '{TRAIN}'; the parts are: {parts}")
        return
    for part in sorted({part for part, _ in pairs} - {TRAIN}):
        strangers = sorted(
            str(label) for where, label in pairs if where == part and label not in trained
        )
        if strangers:
            known = listed(sorted(str(label) for label in trained))
            problems.add(
                f"the part '{part}' has classes that the part '{TRAIN}' does not have, and that "
                f"cannot be learned: {listed(strangers)}; '{TRAIN}' has: {known}"
            )
