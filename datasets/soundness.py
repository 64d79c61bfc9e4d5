"""What every data set must be, wherever it is from, before anything is trained on it."""

from __future__ import annotations

from gridcnn.datasets.base import TRAIN, Dataset
from gridcnn.datasets.problems import Problems
from gridcnn.errors import listed


def sound(dataset: Dataset) -> Dataset:
    """Return `dataset` if it can be used, to learn from it or to be answered.

    Raises:
        DataError: there are no items; the data divides itself, and has no training items or a class
            that is not among them.
    """
    found = Problems(dataset.origin)
    if not len(dataset):
        found.add("there is not one item in the data")
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
