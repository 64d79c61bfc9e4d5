"""What every data set must be, wherever it is from, to be used and to be learned from."""

from __future__ import annotations

from gridcnn.contracts.source import TRAIN, Dataset
from gridcnn.datasets.problems import Problems
from gridcnn.errors import DataError, Problem, listed


def sound(dataset: Dataset) -> Dataset:
    """Return `dataset` if there is anything in it; raise `DataError` otherwise."""
    if not len(dataset):
        raise DataError(Problem("there is not one item in the data", source=dataset.origin))
    return dataset


def learnable(dataset: Dataset) -> Dataset:
    """Return `dataset` if a classifier can learn from it.

    Raises:
        DataError: there are no items; all have one class; the data divides itself, and has no
            training items or a class that is not among them.
    """
    found = Problems(sound(dataset).origin)
    if len(dataset.classes) == 1:
        found.add(
            f"every item has the class '{dataset.classes[0]}'; a classifier needs at least two "
            "classes to tell apart"
        )
    elif dataset.parts is not None:
        _parts(dataset, found)
    found.stop()
    return dataset


def _parts(dataset: Dataset, found: Problems) -> None:
    assert dataset.parts is not None
    pairs = set(zip(dataset.parts, dataset.labels, strict=True))
    trained = {label for part, label in pairs if part == TRAIN}
    if not trained:
        parts = listed(sorted({part for part, _ in pairs}))
        found.add(f"no item is in the part '{TRAIN}'; the parts are: {parts}")
        return
    for part in sorted({part for part, _ in pairs} - {TRAIN}):
        strangers = sorted(
            str(label) for where, label in pairs if where == part and label not in trained
        )
        if strangers:
            known = listed(sorted(str(label) for label in trained))
            found.add(
                f"the part '{part}' has classes that the part '{TRAIN}' does not have, and that "
                f"can therefore not be learned: {listed(strangers)}; '{TRAIN}' has: {known}"
            )
