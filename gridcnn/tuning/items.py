"""The items of a search: those of training and validation, and never those of the test part."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict

import numpy as np

from gridcnn.contracts.source import TEST, TRAIN, VALIDATION, Dataset
from gridcnn.datasets.division.folds import with_fold
from gridcnn.datasets.division.splits import Division
from gridcnn.errors import SpecError
from gridcnn.runs.located import (
    Located,
    resolve_augmentation,
    resolve_start,
    spec_folder,
)
from gridcnn.runs.prepare import Prepared, divide_items, prepare
from gridcnn.runs.run import check_order
from gridcnn.runs.several import digest_of_labels
from gridcnn.runs.watcher import RunWatcher
from gridcnn.settings.base import is_whole
from gridcnn.spec.models import Spec
from gridcnn.spec.parts import Fold
from gridcnn.training.augmentation import changes_things
from gridcnn.training.selection import settle_selection
from gridcnn.training.weighing import item_weights

_KEPT = 3
"""Adapters whose grids are kept in memory, if a search varies the adapter."""


class Items:
    """The training and validation items of a spec, adapted once for each adapter.

    The test items are left out before anything is read of them. With folds, training and validation
    items are dealt to as many folds; each is the validation part once.

    Args:
        located: the spec, with its data.
        folds: how many; None: the validation part of the spec.
        watcher: its methods are called as items are read and checked.
        threads: the largest number of threads.
        validates: whether validation items are needed.

    Raises:
        SpecError: there are no validation items.
        DataError: the data cannot be read or divided.
    """

    def __init__(
        self,
        located: Located,
        *,
        folds: int | None,
        watcher: RunWatcher,
        threads: int | None,
        validates: bool = True,
    ) -> None:
        dataset = located.open(watcher.on_reading)
        self.located = located.resolved(dataset).with_dataset(dataset)
        self.folds = folds
        self._base = spec_folder(located.spec)
        self._watcher, self._threads = watcher, threads
        parts_of, division, _ = divide_items(self.located, dataset)
        if validates and folds is None and not len(division.validation):
            raise SpecError(
                located.spec.document.problem(
                    ("data", "validation"),
                    "a search chooses by validation items, and there are none; set "
                    "data.validation above 0, or search with --folds 5",
                )
            )
        self._of_parts = [self.located]
        if folds is not None:
            seed = located.spec.training.seed
            self._of_parts = _folds(self.located, parts_of, division, folds, seed)
        self.digest = digest_of_labels(parts_of, [(division.train, division.validation)])
        self._kept: OrderedDict[str, list[Prepared]] = OrderedDict()

    def complete(self, spec: Spec) -> Spec:
        """Return a spec with the data in it, and without relative paths, as a run resolves it."""
        several = self.located.dataset is not None and self.located.dataset.several
        training = settle_selection(spec.training, several=several)
        spec = spec.model_copy(update={"training": training})
        spec = resolve_start(self.located.with_spec(spec).spec, self._base)
        return resolve_augmentation(spec, self._base)

    def prepare(self, spec: Spec) -> list[Prepared]:
        """Return the items as the grids of a spec: one for each fold, or only one.

        Raises:
            DataError: they cannot be read.
            ColumnPermutableError: their order means nothing.
        """
        adapter, training = spec.adapter, spec.training
        key = "" if adapter is None else f"{adapter.title} {adapter.model_dump_json()}"
        if changes_things(training):  # of which changed forms are made, beside the items
            key += training.model_dump_json(include={"augmentation", "forms"})
        if training.start_from is not None:  # what is taken over depends on the stages
            key = spec.model_dump_json()
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            if len(self._kept) == _KEPT:
                self._kept.popitem(last=False)
            self._kept[key] = [self._prepare(part, spec) for part in self._of_parts]
        return [_with_weights(prepared, spec) for prepared in self._kept[key]]

    def _prepare(self, part: Located, spec: Spec) -> Prepared:
        prepared = prepare(
            part.with_spec(spec),
            advance=self._watcher.on_reading,
            threads=self._threads,
            tested=False,
        )
        if not prepared.fitted.adapter.makes_order and not self._kept:
            self._watcher.on_check(check_order(prepared, self._threads, self._watcher))
        return dataclasses.replace(prepared, sample=None)


def _with_weights(prepared: Prepared, spec: Spec) -> Prepared:
    """Return the items with the weights that a spec gives their classes."""
    targets = prepared.train.data.targets
    weights = item_weights(spec.training, targets, prepared.classes, document=spec.document)
    data = dataclasses.replace(prepared.train.data, weights=weights)
    train = dataclasses.replace(prepared.train, data=data)
    return dataclasses.replace(prepared, train=train)


def _folds(
    located: Located, dataset: Dataset, division: Division, folds: int, seed: int
) -> list[Located]:
    """Return the data with each fold of its training and validation items as validation part."""
    items = np.sort(np.concatenate([division.train, division.validation]))
    inside = dataset.chosen(items, parts=None)
    data = located.data.model_copy(
        update={"test": 0.0, "parts": "use", "group": None, "validation": 0.0}
    )
    found = []
    for number in range(1, folds + 1):
        dealt = with_fold(inside, Fold(fold=number, of=folds), seed=seed).parts
        assert dealt is not None
        # All items stay in their places, by which changed forms of them are drawn.
        parts = [TEST] * len(dataset)
        for item, part in zip(items.tolist(), dealt, strict=True):
            parts[item] = VALIDATION if part == TEST else TRAIN
        copy = dataclasses.replace(dataset, parts=parts, groups=None)
        found.append(dataclasses.replace(located, data=data, dataset=copy))
    return found


def read_folds(folds: object) -> int | None:
    """Return a number of folds, or None for none; raise `SpecError` if it is neither."""
    if folds is None:
        return None
    if not is_whole(folds, 2, 1_000):
        raise SpecError(f"folds must be a whole number from 2 to 1,000; got {folds!r}")
    return int(folds)  # type: ignore[call-overload,no-any-return]
