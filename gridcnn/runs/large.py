"""Data of so many items that no list of them is made: from a spec to labelled grids.

    in memory   the labels, and what the source itself holds
    by a rule   the parts, and the order of each epoch: `gridcnn.datasets.division.shuffled`
    elsewhere   the grids: workers read and hold them, or they are read batch by batch

So nothing is said that needs all items: no equal items are looked for. An item that cannot be read
ends the run when its turn comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.cluster.held import HeldCells, HeldData, Workers
from gridcnn.contracts.adapter import Adapter, Fitted, Selection, Things
from gridcnn.contracts.source import Dataset, Label
from gridcnn.contracts.targets import Targets
from gridcnn.datasets.division.shuffled import Shuffled
from gridcnn.datasets.problems import bad_items_error
from gridcnn.errors import DataError, SpecError
from gridcnn.runs.located import Located
from gridcnn.streams import Stream
from gridcnn.training.augmentation import changes_things

_COUNTED = 2**20
"""Labels that are looked at together."""
NOTE = (
    "there are more than {items:,} items, so they are divided at random and not class by class, "
    "equal items are not looked for, and an item that cannot be read ends the run"
)


class LargeTargets:
    """The classes of some items of a large set, as an array of class indices passes for.

    Args:
        labels: of all items; an array, or a sequence that makes them.
        classes: of the data, in the order of the votes.
        items: the indices of these items: an array, or what returns one for places.
        others: items of the data that are not among these; what is left are these.
    """

    ndim = 1

    def __init__(
        self,
        labels: Any,
        classes: Sequence[Label],
        items: Any,
        others: NDArray[np.int64] | None = None,
    ) -> None:
        self._labels, self._classes, self._items = labels, classes, items
        self._others = others
        self._numbers = {label: number for number, label in enumerate(classes)}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def shape(self) -> tuple[int]:
        """`(items,)`."""
        return (len(self),)

    def __getitem__(self, places: Any) -> Targets:
        """Return the class index of the items at places, int64 `(places,)`."""
        if isinstance(places, int | np.integer):
            return self[np.array([places])][0]  # type: ignore[no-any-return]
        return self._number(self._items[places])

    def _number(self, items: Any) -> Targets:
        if isinstance(self._labels, np.ndarray):
            numbers: Targets = np.searchsorted(np.array(self._classes), self._labels[items])
            return numbers
        if isinstance(items, slice):
            labels = self._labels[items]
        else:
            labels = [self._labels[item] for item in items.tolist()]
        return np.array([self._numbers[label] for label in labels], np.int64)

    def count_classes(self, classes: int) -> NDArray[np.int64]:
        """Return how many items each class has, int64 `(classes,)`."""
        counts = np.zeros(classes, np.int64)
        # In the order of the data, which is quicker than in that of these items.
        for start in range(0, len(self._labels), _COUNTED):
            part = self._number(slice(start, start + _COUNTED))
            counts += np.bincount(part, minlength=classes)
        if self._others is not None:
            counts -= np.bincount(self._number(self._others), minlength=classes)
        return counts


def refuse_unfit(located: Located, dataset: Dataset) -> Adapter:
    """Return the adapter of a spec, if the spec fits data of so many items.

    Raises:
        DataError, SpecError: it asks for something that needs a list of all items.
    """
    spec, data = located.spec, located.data
    many = f"the data has {len(dataset):,} items, and for so many"
    if spec.adapter is None:
        raise SpecError(f"{many} the spec names the adapter; add adapter: to it")
    if not spec.adapter.makes_order:
        raise SpecError(f"{many} the {spec.adapter.title} adapter is not made")
    if dataset.bad and data.bad_items == "stop":
        raise bad_items_error(dataset.bad, len(dataset), "set data.bad_items: skip")
    asked = {
        "data.group": data.group is not None or dataset.groups is not None,
        "data.parts": dataset.parts is not None and data.parts != "ignore",
        "data.test as a fold or a group": not isinstance(data.test, float | int),
        "data.duplicates": data.duplicates == "drop",
        "several labels": dataset.several,
        "training.class_weights": spec.training.class_weights is not None,
        "training.sampling": spec.training.sampling != "shuffled",
        "an augmentation of things": changes_things(spec.training),
    }
    wrong = [name for name, is_asked in asked.items() if is_asked]
    if wrong:
        raise DataError(*(f"{many} there is no {name}; leave it out" for name in wrong))
    return spec.adapter


def find_classes(labels: Any) -> tuple[Label, ...]:
    """Return all classes of so many labels, sorted, looking at some at a time."""
    found: set[Label] = set()
    for start in range(0, len(labels), _COUNTED):
        part = labels[start : start + _COUNTED]
        found |= set(np.unique(part).tolist() if isinstance(part, np.ndarray) else part)
    return tuple(sorted(found, key=lambda label: (isinstance(label, str), label)))


class LargeData:
    """A large set that is divided, and its adapter, fitted on the training items.

    The items are shuffled by a rule; the first of them are the test part, the next ones are for
    validation, and all others for training.
    """

    def __init__(self, located: Located, dataset: Dataset, workers: Workers | None) -> None:
        adapter = refuse_unfit(located, dataset)
        test, seed = located.data.test, located.spec.training.seed
        items = len(dataset)
        assert isinstance(test, float | int)
        tested = int(test * items + 0.5)
        validated = int(located.data.validation * (items - tested) + 0.5)
        order = Shuffled(items, Stream.DIVISION.random(seed))
        self.items: dict[str, Any] = {
            "train": order.part(tested + validated, items),
            "validation": order.part(tested, tested + validated)[:],
            "test": order.part(0, tested)[:],
        }
        self.dataset = dataset
        self.classes = find_classes(dataset.labels)
        if len(self.classes) < 2:
            raise DataError("all items have the same class; a classifier needs at least two")
        self.fitted = Fitted.of(adapter.fitted(self.select(dataset.things, "train")))
        names: Any = dataset.names if dataset.places is None else dataset.places
        self.data = HeldData(workers, dataset.things, names, self.fitted.adapter)

    def select(self, values: Any, part: str) -> Things:
        """Return what belongs to the items of a part, looked up when it is asked for."""
        return Selection(values, self.items[part])

    def grids(self, part: str) -> Any:
        """Return the grids of a part, wherever they are."""
        return HeldCells(self.data, self.items[part])

    def literal_grids(self, part: str) -> Any:
        """Return the grids of a part for the literal comparison, which are read here."""
        plain = self.fitted.adapter.literal()
        if plain == self.fitted.adapter:
            return self.grids(part)
        return HeldCells(HeldData(None, self.data.things, self.data.names, plain), self.items[part])

    def targets(self, part: str) -> Any:
        """Return the class indices of a part; an array, but for training."""
        if part == "train":
            return self._training
        targets = LargeTargets(self.dataset.labels, self.classes, self.items[part])
        return targets[np.arange(len(targets))]

    @property
    def _training(self) -> LargeTargets:
        others = np.concatenate([self.items["validation"], self.items["test"]])
        return LargeTargets(self.dataset.labels, self.classes, self.items["train"], others)

    @property
    def digest(self) -> str:
        """A digest of how many items there are of each class, and of the first and last names."""
        counts = self._training.count_classes(len(self.classes)).tolist()
        ends = [str(self.dataset.names[item]) for item in (0, len(self.dataset) - 1)]
        told = repr((len(self.dataset), self.classes, counts, ends))
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
