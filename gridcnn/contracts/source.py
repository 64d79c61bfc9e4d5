"""The contract of a data source: settings that open as labelled things."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import LabelTargets, Targets, number_labels
from gridcnn.errors import DataError, Problem, listed
from gridcnn.forks import cached_property
from gridcnn.settings.base import Settings
from gridcnn.settings.label_columns import Labels

Label = str | int
"""What a class is called."""
TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True)
class Dataset:
    """Labelled things, not yet grids.

    Attributes:
        things: one for each item, as an adapter takes it: a path, an array `(rows, columns)` or
            `(rows, columns, channels)`, ...
        labels: the class of each item, in the same order; if `label_names` are given, whether each
            item has each of these labels, float32 `(items, labels)`: 1, 0, or NaN if not known.
        names: what an item is called in results: a path relative to the data, or `item 17`.
        parts: "train", "validation" or "test" for each item where the data divides itself, or None.
        origin: where the data is from, for messages.
        places: the place of each item, for messages: a whole path, or a file and a line; None if
            the name is enough.
        notes: sentences for users of the data, such as how many files were left out.
        groups: what each item belongs to, such as its speaker: items of one group stay in one part.
            None if each item is on its own.
        bad: the problems of items that could not be read, and are left out; `source` is the place.
        resolved: the source with all settings filled in that were found while reading; None if
            nothing was.
        label_names: the labels, if an item may have several of them, or none.
    """

    things: Sequence[Any]
    labels: Sequence[Any] | LabelTargets
    names: Sequence[str]
    parts: Sequence[str] | None = None
    origin: str = ""
    notes: Sequence[str] = ()
    places: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    bad: Sequence[Problem] = ()
    resolved: Source | None = None
    label_names: tuple[Label, ...] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.things), len(self.labels), len(self.names)}
        if len(lengths) != 1 or any(
            each is not None and len(each) not in lengths for each in (self.parts, self.groups)
        ):
            raise DataError(
                f"{self.origin or 'the data'}: {len(self.things)} items, {len(self.labels)} labels "
                f"and {len(self.names)} names; all must be the same number"
            )

    def __len__(self) -> int:
        return len(self.things)

    @property
    def several(self) -> bool:
        """Whether an item may have several labels, or none."""
        return self.label_names is not None

    def chosen(self, items: NDArray[np.int64], **changes: Any) -> Dataset:
        """Return the items of the given indices, int64 `(chosen,)`, with other fields changed."""

        def of(values: Sequence[Any]) -> Any:
            # One by one, if it is not an array: not every sequence takes an array of indices.
            array: Any = values
            return array[items] if hasattr(array, "shape") else [values[i] for i in items.tolist()]

        per_item = ("things", "labels", "names", "parts", "places", "groups")
        fields = {name: getattr(self, name) for name in per_item}
        selected = {name: of(each) for name, each in fields.items() if each is not None}
        return replace(self, **{**selected, **changes})

    @cached_property
    def classes(self) -> tuple[Label, ...]:
        """All classes, sorted (numbers before texts); or the labels, in their order."""
        if self.label_names is not None:
            return self.label_names
        return tuple(sorted(set(self.labels), key=lambda label: (isinstance(label, str), label)))

    def targets(self, classes: Sequence[Label]) -> Targets | LabelTargets:
        """Return each label as its index in `classes`, `(items,)`.

        Several labels are `(items, classes)`, float32: 1, 0, or NaN. Nothing is known of those
        among `classes` that the data does not have.

        Raises:
            DataError: a label is not among the classes.
        """
        index = {label: number for number, label in enumerate(classes)}
        here = self.labels if self.label_names is None else self.label_names
        strangers = sorted({str(label) for label in here if label not in index})
        if strangers:
            raise DataError(
                f"{self.origin or 'the data'}: {listed(strangers)} not among the "
                f"{'labels' if self.several else 'classes'} "
                f"{listed([str(label) for label in classes])}"
            )
        if self.label_names is None:
            return number_labels(self.labels, index)
        targets = np.full((len(self), len(index)), np.nan, np.float32)
        targets[:, number_labels(self.label_names, index)] = self.label_rows
        return targets

    @property
    def label_rows(self) -> LabelTargets:
        """Whether each item has each label, float32 `(items, labels)`, if it may have several."""
        names = self.label_names or ()
        return np.asarray(self.labels, np.float32).reshape(len(self), len(names))


@dataclass(frozen=True)
class Facts:
    """What is known about a data set before it is opened.

    Attributes:
        items: how many items it has.
        classes: its classes, sorted; or the labels of which an item may have several.
        shape: the shape of one item, `(rows, columns)` or `(rows, columns, channels)`; `()` for
            what differs in length, as texts do.
        several: whether an item may have several labels.
    """

    items: int
    classes: tuple[Label, ...]
    shape: tuple[int, ...]
    several: bool = False


@dataclass(frozen=True)
class Request:
    """What a run needs from a source.

    Attributes:
        seed: fixes what is random in made data.
        suffixes: endings of the files that the adapter reads, lower case, with the dot.
        group: the column of the groups; a source without columns ignores it.
        label: the columns of the labels in a manifest; None: the one called `label`.
        missing: whether the adapter takes numbers that are missing, which are NaN then.
        trained: whether the source's settings are those of a trained model: its columns are looked
            for by name, others are ignored, and the file may be written in another way.
    """

    seed: int = 0
    suffixes: frozenset[str] = frozenset()
    group: str | None = None
    label: Labels | None = None
    missing: bool = False
    trained: bool = False


class Source(Settings, abc.ABC):
    """Settings of a data set that can be opened."""

    named: ClassVar[bool] = True
    """Whether its name is a data set by itself, as in `--data xo`; else it reads given files."""
    holds_texts: ClassVar[bool] = False
    """Whether its items are texts: a str is then never read as a path."""

    def facts(self) -> Facts | None:
        """Return what is known before the data is opened; None if nothing is."""
        return None

    def resolved(self, base: Path) -> Self:  # noqa: ARG002 - for those that hold a path
        """Return the source with relative paths made absolute, starting at the folder `base`."""
        return self

    @abc.abstractmethod
    def open(self, request: Request) -> Dataset:
        """Return the data.

        Raises:
            DataError: the data cannot be read; every problem is listed.
        """
