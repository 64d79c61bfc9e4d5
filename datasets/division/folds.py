"""Folds: a test part that is one of several, or one group, so that each item is tested once."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import TEST, TRAIN, Dataset
from gridcnn.datasets.division.dealing import count_classes, deal_groups, deal_items
from gridcnn.datasets.division.strata import strata_of
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.soundness import learnable
from gridcnn.errors import DataError, Problem, listed, quoted, suggestion
from gridcnn.spec.parts import Fold, GroupOut
from gridcnn.streams import Stream


def with_fold(dataset: Dataset, test: Fold | GroupOut, *, seed: int) -> Dataset:
    """Return `dataset` with one fold, or one group, as the test part that it names.

    The fold is taken from the training items. A test part that the data itself names is left out,
    and a note says so; a validation part stays.

    Without groups the items of every class are dealt out at random, but fixed by `seed`: of each
    class, and of all items, no fold has more than one more than another. If the data has
    groups, folds are made of whole groups: the largest first, each group goes to the fold that has
    least of its classes. If items may have several labels, this holds for the kinds of items that
    `strata_of` names, and a fold may lack a label.

    Raises:
        DataError: a class has fewer items than there are folds; there are fewer groups than folds,
            no groups or none of that name; or no item of a class is left to train on.
    """
    dataset = _without_test(learnable(dataset))
    if isinstance(test, GroupOut):
        chosen = _of_group(dataset, test.group)
    else:
        chosen = fold_numbers(dataset, test.of, seed=seed) == test.fold
    _refuse_unlearnable(dataset, chosen, test)
    parts = [TRAIN] * len(dataset) if dataset.parts is None else list(dataset.parts)
    for item in np.flatnonzero(chosen).tolist():
        parts[item] = TEST
    return dataclasses.replace(dataset, parts=parts)


def fold_numbers(dataset: Dataset, folds: int, *, seed: int) -> NDArray[np.int64]:
    """Return in which fold, from 1, each item is, int64 `(items,)`; 0 for those in none.

    Only training items are in one. Raises `DataError` as `with_fold` does.
    """
    random = Stream.FOLDS.random(seed)
    numbers = np.zeros(len(dataset), np.int64)
    items = _items_of_folds(dataset)
    if dataset.groups is not None:
        numbers[items] = 1 + _dealt_groups(dataset, items, folds, random)
        return numbers
    targets = strata_of(dataset).numbers[items]
    if dataset.several:
        if len(items) < folds:
            message = f"there are {len(items)} items to divide, too few for {folds} folds"
            raise DataError(Problem(message, source=dataset.origin))
        numbers[items] = 1 + deal_items(targets, folds, random)
        return numbers
    sizes = np.bincount(targets, minlength=len(dataset.classes)).tolist()
    most = min(sizes)
    advice = f"add items, leave the class out, or use at most {most} folds"
    if most < 2:
        advice = "add items or leave the class out"
    problems = Problems(dataset.origin)
    for label, size in zip(dataset.classes, sizes, strict=True):
        if size < folds:
            problems.add(
                f"the class '{label}' has {size} {'item' if size == 1 else 'items'} to divide, too "
                f"few for {folds} folds, each of which needs one; {advice}"
            )
    problems.stop()
    numbers[items] = 1 + deal_items(targets, folds, random)
    return numbers


def group_names(dataset: Dataset) -> list[str]:
    """Return the groups of the items that folds are made of, sorted (numbers first).

    Raises:
        DataError: the data has no groups.
    """
    if dataset.groups is None:
        raise DataError(
            Problem(
                "the data has no groups to leave out; name them with data.group",
                source=dataset.origin,
            )
        )
    dataset = _without_test(dataset)
    assert dataset.groups is not None
    names = {dataset.groups[item] for item in _items_of_folds(dataset).tolist()}
    return sorted(names, key=lambda name: (int(name) if name.isdecimal() else math.inf, name))


def _items_of_folds(dataset: Dataset) -> NDArray[np.int64]:
    """Return the items that folds are made of."""
    if dataset.parts is None:
        return np.arange(len(dataset))
    return np.flatnonzero(np.array(dataset.parts, dtype=object) == TRAIN)


def _without_test(dataset: Dataset) -> Dataset:
    if dataset.parts is None or TEST not in dataset.parts:
        return dataset
    places = np.flatnonzero(np.array(dataset.parts, dtype=object) != TEST).tolist()

    def of(every: Any) -> list[Any]:
        return [every[item] for item in places]

    left = len(dataset) - len(places)
    note = (
        f"{left:,} {'item' if left == 1 else 'items'} of the test part that the data names "
        f"{'is' if left == 1 else 'are'} left out; data.parts: ignore takes "
        f"{'it' if left == 1 else 'them'} in"
    )
    return dataclasses.replace(
        dataset,
        things=of(dataset.things),
        labels=of(dataset.labels),
        names=of(dataset.names),
        parts=of(dataset.parts),
        places=None if dataset.places is None else of(dataset.places),
        groups=None if dataset.groups is None else of(dataset.groups),
        notes=[*dataset.notes, note],
    )


def _of_group(dataset: Dataset, group: str) -> NDArray[np.bool_]:
    known = group_names(dataset)
    if group not in known:
        named = listed([quoted(name) for name in known], limit=8)
        raise DataError(
            Problem(
                f"data.test names the group {quoted(group)}, but no item to divide belongs to it"
                f"{suggestion(group, known) or '.'} The groups are: {named}",
                source=dataset.origin,
            )
        )
    chosen = np.zeros(len(dataset), np.bool_)
    items = _items_of_folds(dataset)
    assert dataset.groups is not None
    chosen[items] = np.array(dataset.groups, dtype=object)[items] == group
    return chosen


def _dealt_groups(
    dataset: Dataset,
    items: NDArray[np.int64],
    folds: int,
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the fold of each item, from 0, so that every group is in one of them."""
    assert dataset.groups is not None
    names, group_of = np.unique(np.array(dataset.groups, dtype=str)[items], return_inverse=True)
    if len(names) < folds:
        most = f"use at most {len(names)} folds, or "
        raise DataError(
            Problem(
                f"all items to divide are in {len(names)} "
                f"{'group' if len(names) == 1 else 'groups'} "
                f"({listed([quoted(name) for name in names.tolist()], limit=8)}), too few for "
                f"{folds} folds of whole groups; {most if len(names) > 1 else ''}name other groups",
                source=dataset.origin,
            )
        )
    strata = strata_of(dataset, joined=False)
    counts = count_classes(group_of, strata.numbers[items], len(strata.names))
    return deal_groups(counts, [1 / folds] * folds, random)[group_of]


def _refuse_unlearnable(dataset: Dataset, chosen: NDArray[np.bool_], test: Fold | GroupOut) -> None:
    """Raise `DataError` if a class has all of its training items in the test part.

    Of several labels this is a note of the run.
    """
    if dataset.several:
        return
    targets = dataset.targets(dataset.classes)
    rest = np.zeros(len(dataset), np.bool_)
    rest[_items_of_folds(dataset)] = True
    left = set(targets[rest & ~chosen].tolist())
    names = [str(label) for number, label in enumerate(dataset.classes) if number not in left]
    if names:
        whose = f"the {'class' if len(names) == 1 else 'classes'} {listed(names)}"
        raise DataError(
            Problem(
                f"every item of {whose} is in {test}, so none is left to train on; "
                "add items, leave the class out, or name other groups",
                source=dataset.origin,
            )
        )
