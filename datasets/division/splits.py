"""Dividing labelled items into parts for training, for validation and for the test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import PARTS, TEST, TRAIN, VALIDATION, Dataset
from gridcnn.datasets.division.dealing import can_deal, count_classes, deal_groups
from gridcnn.datasets.division.strata import Strata, strata_of
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.soundness import learnable
from gridcnn.errors import DataError, Problem, listed, quoted
from gridcnn.streams import Stream


@dataclass(frozen=True)
class Division:
    """Which items belong to which part: int64 indices, rising, each item in one part only.

    `notes` are sentences about classes that a part has no item of.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def divide(
    dataset: Dataset, *, test: float, validation: float, seed: int, largest_first: bool = False
) -> Division:
    """Divide `dataset` so that every part has its share of every class, as far as its items go.

    A part that the data itself names is used as it is. A part that it does not name is taken from
    the training items, class by class, at random but fixed by `seed`. Of a class with `n` items to
    take from, the test part gets `round(test * n)` (a half rounds up), and the validation part
    `round(validation * m)` of the `m` then left; each at least 1, and never so many that the
    parts after it get none of that class. Of a class with too few items for every part, the
    training part has the first, and the test part the second; a note says which part lacks it.
    If no class has an item to spare for validation, that part is empty. Other validation items
    leave the test items the same.

    If the data has groups, parts are made of whole groups, and have as nearly their share of
    every class as whole groups allow. The validation or the test part may then lack a class, but
    never the training part.

    If items may have several labels, these rules are for the kinds of items that `strata_of` names;
    with groups, a part may lack a label.

    Args:
        dataset: the labelled items.
        test: the test part, from 0 (none) up to but not including 1.
        validation: the part of the remaining training items by which the best epoch is chosen.
        seed: fixes which items go where.
        largest_first: groups are not drawn. In the order of their size, the largest first, and of
            equally large ones the last in the data first, they go to training as long as they fit
            into its share of all items, else to validation as long as that fits, else to the test:
            the scaffold split of MoleculeNet (Wu et al., 2018), as DeepChem has it.

    Raises:
        DataError: no class has an item to spare for the test. Or there are too few groups, a class
            is in too few of them, or the data names parts that divide a group.
    """
    learnable(dataset)
    given = _items_by_part(dataset)
    taken = [
        part
        for part, share in ((TEST, test), (VALIDATION, validation))
        if share > 0 and not len(given[part])
    ]
    if largest_first:
        return _divide_by_size(dataset, given, taken, {TEST: test, VALIDATION: validation})
    if dataset.groups is not None:
        return _divide_groups(dataset, given, taken, {TEST: test, VALIDATION: validation}, seed)
    strata = strata_of(dataset)
    kinds = strata.numbers[given[TRAIN]]
    members = [given[TRAIN][kinds == number] for number in range(len(strata.names))]
    sizes = [len(items) for items in members]
    if TEST in taken and max(sizes) < 2:
        raise _no_test(dataset)

    random = Stream.DIVISION.random(seed)
    pieces: dict[str, list[NDArray[np.int64]]] = {part: [] for part in PARTS}
    for items in members:
        rest = random.permutation(items)
        for place, part in enumerate(taken):
            share = test if part == TEST else validation
            # Training keeps one. If there are too few for all, the part that comes first has one.
            spare = len(rest) - 1
            most = max(spare - (len(taken) - place - 1), min(spare, 1))
            count = min(max(1, math.floor(share * len(rest) + 0.5)), most)
            pieces[part].append(rest[:count])
            rest = rest[count:]
        pieces[TRAIN].append(rest)
    train, valid, tested = (
        given[part]
        if part != TRAIN and part not in taken
        else np.sort(np.concatenate(pieces[part]))
        for part in PARTS
    )
    if dataset.several:
        return _with_label_notes(Division(train, valid, tested), dataset, taken)
    return Division(train, valid, tested, _notes_on_small(dataset, sizes, taken))


def _items_by_part(dataset: Dataset) -> dict[str, NDArray[np.int64]]:
    """Return the items of the parts that the data names; all are for training if it names none."""
    if dataset.parts is None:
        nothing = np.zeros(0, np.int64)
        return {TRAIN: np.arange(len(dataset)), VALIDATION: nothing, TEST: nothing}
    parts = np.array(dataset.parts, dtype=object)
    return {part: np.flatnonzero(parts == part) for part in PARTS}


def _no_test(dataset: Dataset) -> DataError:
    """Return the error for data whose classes all have a single item to divide."""
    return DataError(
        Problem(
            "every class has only 1 item to divide, so none can be kept for the test; add items, "
            "or set data.test: 0",
            source=dataset.origin,
        )
    )


def _notes_on_small(
    dataset: Dataset, sizes: Sequence[int], taken: Sequence[str]
) -> tuple[str, ...]:
    """Return notes if classes have too few items for one in every part.

    `sizes` are the numbers of items to divide for each class. Validation is the last part taken.
    """
    notes = []
    if VALIDATION in taken and max(sizes) <= len(taken):
        few = "1 item" if max(sizes) == 1 else f"{max(sizes)} items"
        notes.append(
            f"no class has more than {few} to divide, so there is no validation part, and the "
            "last epoch counts"
        )
        taken = taken[:-1]
    named = [(quoted(str(label)), size) for label, size in zip(dataset.classes, sizes, strict=True)]
    small = [(label, size) for label, size in named if size <= len(taken)]
    if small:
        several = "classes have" if len(small) > 1 else "class has"
        counts = listed([f"{label} has {size}" for label, size in small], limit=5)
        lacks = [
            f"{part} has none of {listed(without, limit=5)}"
            for place, part in enumerate(taken, start=1)
            if (without := [label for label, size in small if size <= place])
        ]
        notes.append(
            f"{len(small)} {several} too few items for every part ({counts}): {' and '.join(lacks)}"
        )
    return tuple(notes)


def _with_label_notes(division: Division, dataset: Dataset, taken: Sequence[str]) -> Division:
    """Return the division with notes on labels that a part which was taken has no item of."""
    has = dataset.label_rows == 1
    notes = []
    if VALIDATION in taken and not len(division.validation):
        notes.append(
            "there are too few items with the same labels for a validation part, so the last epoch "
            "counts"
        )
    for part, items in ((TEST, division.test), (VALIDATION, division.validation)):
        lacking = has.any(axis=0) & ~has[items].any(axis=0)
        if part in taken and len(items) and lacking.any():
            names = [quoted(str(dataset.classes[label])) for label in np.flatnonzero(lacking)]
            several = "labels have" if len(names) > 1 else "label has"
            notes.append(
                f"{len(names)} {several} too few items for every part: {part} has none of "
                f"{listed(names, limit=5)}"
            )
    return replace(division, notes=tuple(notes))


# Groups -------------------------------------------------------------------------------------------


def _divide_groups(
    dataset: Dataset,
    given: dict[str, NDArray[np.int64]],
    taken: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
) -> Division:
    """Divide whole groups; `taken` are the parts that are taken from the training items."""
    assert dataset.groups is not None
    _refuse_divided(dataset)
    rest = given[TRAIN]
    names, group_of = np.unique(np.array(dataset.groups, dtype=str)[rest], return_inverse=True)
    strata = strata_of(dataset, joined=False)
    counts = count_classes(group_of, strata.numbers[rest], len(strata.names))
    if dataset.several:
        strata, counts = _without_scarce(strata, counts, len(taken))
    if taken:
        _refuse_few(dataset, strata, names.tolist(), counts, taken)
    random = Stream.DIVISION.random(seed)
    parts = dict(given)
    free = np.ones(len(names), np.bool_)
    for place, part in enumerate(taken):
        others = np.flatnonzero(free)
        later = len(taken) - place - 1
        share = shares[part]
        dealt = deal_groups(counts[others], (1 - share, share), random, taken_later=later)
        chosen = others[dealt == 1]
        free[chosen] = False
        parts[part] = rest[np.isin(group_of, chosen)]
    parts[TRAIN] = rest[free[group_of]]
    division = Division(parts[TRAIN], parts[VALIDATION], parts[TEST])
    return _with_label_notes(division, dataset, taken) if dataset.several else division


def _without_scarce(
    strata: Strata, counts: NDArray[np.int64], parts: int
) -> tuple[Strata, NDArray[np.int64]]:
    """Return the kinds of items that are in enough groups for all parts; others count together.

    `counts` are the items of each kind in each group, `(groups, kinds)`, and `parts` how many parts
    are taken from the training items.
    """
    scarce = (counts > 0).sum(axis=0) <= parts
    if not scarce.any() or scarce.all():
        return strata, counts
    usual = int(np.where(scarce, 0, counts.sum(axis=0)).argmax())
    joined = counts[:, ~scarce].copy()
    place = int((~scarce[:usual]).sum())
    joined[:, place] += counts[:, scarce].sum(axis=1)
    names = tuple(name for name, few in zip(strata.names, scarce.tolist(), strict=True) if not few)
    return Strata(strata.numbers, names), joined


def _divide_by_size(
    dataset: Dataset,
    given: dict[str, NDArray[np.int64]],
    taken: Sequence[str],
    shares: Mapping[str, float],
) -> Division:
    """Divide whole groups in the order of their size; `taken` is as for `_divide_groups`."""
    assert dataset.groups is not None
    _refuse_divided(dataset)
    groups: dict[str, list[int]] = {}
    for item in given[TRAIN].tolist():
        groups.setdefault(dataset.groups[item], []).append(item)
    # The most items that training, and training with validation, may have.
    all_but_test = len(given[TRAIN]) * (1 - shares[TEST] if TEST in taken else 1)
    training = all_but_test * (1 - shares[VALIDATION] if VALIDATION in taken else 1)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    for items in sorted(groups.values(), key=lambda items: (len(items), items[0]), reverse=True):
        if len(parts[TRAIN]) + len(items) <= training:
            part = TRAIN
        elif len(parts[TRAIN]) + len(parts[VALIDATION]) + len(items) <= all_but_test:
            part = VALIDATION
        else:
            part = TEST
        parts[part] += items
    _refuse_lost(dataset, parts, taken)
    train, valid, tested = (
        np.array(sorted(parts[part]), np.int64) if part in (TRAIN, *taken) else given[part]
        for part in PARTS
    )
    division = Division(train, valid, tested)
    return _with_label_notes(division, dataset, taken) if dataset.several else division


def _refuse_lost(
    dataset: Dataset, parts: Mapping[str, Sequence[int]], taken: Sequence[str]
) -> None:
    """Raise `DataError` for parts without an item, and classes without a training item."""
    problems = Problems(dataset.origin)
    remedy = "give the parts other sizes, or set order: random in data.group"
    for part in taken:
        if not parts[part]:
            problems.add(f"no group is left for {part} when the largest come first; {remedy}")
    # Of several labels any may be missing; of classes none.
    trained = {dataset.labels[item] for item in parts[TRAIN] if not dataset.several}
    for label in () if dataset.several else dataset.classes:
        if label not in trained:
            problems.add(
                f"the class '{label}' has no training item when the largest groups come first; "
                f"{remedy}"
            )
    problems.stop()


def _refuse_divided(dataset: Dataset) -> None:
    """Raise `DataError` for groups that are in several parts that the data names itself."""
    if dataset.parts is None or dataset.groups is None:
        return
    problems = Problems(dataset.origin)
    parts: dict[str, set[str]] = {}
    for group, part in zip(dataset.groups, dataset.parts, strict=True):
        parts.setdefault(group, set()).add(part)
    for group, where in parts.items():
        if len(where) > 1:
            names = " and ".join(part for part in PARTS if part in where)
            problems.add(
                f"the group {quoted(group)} is in the parts {names}, which the data names itself; "
                "put all of its items into one part, or set data.parts: ignore"
            )
    problems.stop()


def _refuse_few(
    dataset: Dataset,
    strata: Strata,
    names: Sequence[str],
    counts: NDArray[np.int64],
    taken: Sequence[str],
) -> None:
    """Raise `DataError` if whole groups cannot be divided so that training has all classes."""
    has = counts > 0
    wanted = np.ones(len(strata.names), np.bool_)
    problems = Problems(dataset.origin)
    remedy = f"name other groups, or set {' or '.join(f'{part}: 0' for part in taken)}"
    if len(names) <= len(taken):
        parts = " and ".join(["1 for training", *(f"1 for {part}" for part in reversed(taken))])
        problems.add(
            f"all items to divide are in {len(names)} "
            f"{'group' if len(names) == 1 else 'groups'} ({listed([quoted(n) for n in names])}), "
            f"but at least {1 + len(taken)} are needed: {parts}; {remedy}"
        )
    elif not can_deal(has, wanted, len(taken)):
        scarce = np.flatnonzero(has.sum(axis=0) <= len(taken)).tolist()
        told = [
            f"'{strata.names[number]}' is in "
            f"{listed([quoted(names[group]) for group in np.flatnonzero(has[:, number]).tolist()])}"
            for number in scarce
        ]
        problems.add(
            f"groups cannot be divided so that every class keeps a training item: too few have "
            f"the same class ({listed(told, limit=5)}); {remedy}"
        )
    problems.stop()
