"""Dealing: which part each item, or each group of items, goes to, so that parts are alike.

Folds, parts for training and for the test, and the folds of the checker are all dealt here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets

_CHANGES = 100
"""Most changes by which a deal of groups is made better."""
_PAIRS = 500_000
"""Most numbers for which every exchange of two groups is looked at."""


def deal_items(targets: Targets, folds: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each item, from 0, int64 `(items,)`.

    Items are dealt like cards, one class after the other, without a new start at each class: of
    each class, and of all items, no fold has more than one more than another.

    Args:
        targets: the class of each item, `(items,)`.
        folds: how many folds there are.
        random: fixes which items go where.
    """
    numbers = np.empty(len(targets), np.int64)
    dealt = 0
    for label in np.unique(targets):
        items = random.permutation(np.flatnonzero(targets == label))
        numbers[items] = (dealt + np.arange(len(items))) % folds
        dealt += len(items)
    return numbers


def count_classes(group_of: NDArray[np.int64], targets: Targets, classes: int) -> NDArray[np.int64]:
    """Return how many items of each class each group has, int64 `(groups, classes)`."""
    counts = np.zeros((int(group_of.max(initial=-1)) + 1, classes), np.int64)
    np.add.at(counts, (group_of, targets), 1)
    return counts


def deal_groups(
    counts: NDArray[np.int64],
    shares: Sequence[float],
    random: np.random.Generator,
    *,
    taken_later: int | None = None,
) -> NDArray[np.int64]:
    """Return the part of each group, from 0, int64 `(groups,)`.

    The largest first, equally large ones in a random order, each group goes to the part that lacks
    most of its classes. Then the one best change, a group to another part or two groups exchanged,
    is made as long as one brings the parts nearer to their shares.

    Args:
        counts: how many items of each class each group has, int64 `(groups, classes)`.
        shares: the share of the items that each part is to have; 1 in all.
        random: fixes the order of equally large groups.
        taken_later: how many more parts will take a group of the first part, and must leave it all
            classes. None: the first part need not have all classes. `can_deal` says whether that
            is possible.
    """
    # Each class weighs the same, however many items it has, and so do all items together.
    each = counts / np.maximum(counts.sum(axis=0), 1) / np.sqrt(counts.shape[1])
    weights = np.column_stack([each, counts.sum(axis=1) / max(1, counts.sum())])
    lacking = np.outer(shares, weights.sum(axis=0))
    order = random.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    part_of = np.full(len(counts), -1)
    has, every = counts > 0, np.array(counts.any(axis=0))
    rule = None if taken_later is None else _FirstHasAll(has, len(shares), taken_later)
    for group in order.tolist():
        # The squared distance of all parts from their shares shrinks by what they lack. It is
        # rounded, so that what is equal by rights is equal on every processor.
        gains = np.round((lacking * weights[group]).sum(axis=1), 12)
        parts = np.argsort(-gains, kind="stable").tolist()
        part = next(each for each in parts if rule is None or rule.allows(group, each))
        part_of[group] = part
        lacking[part] -= weights[group]
    for _ in range(_CHANGES):
        better = None
        for other in _nearer(part_of, weights, lacking):
            all_parts = len(np.unique(other)) == len(np.unique(part_of))
            first = has[other == 0]
            if all_parts and (taken_later is None or can_deal(first, every, taken_later)):
                better = other
                break
        if better is None:
            break
        part_of = better
        lacking = np.outer(shares, weights.sum(axis=0))
        np.subtract.at(lacking, part_of, weights)
    return part_of


def _nearer(
    part_of: NDArray[np.int64], weights: NDArray[np.float64], lacking: NDArray[np.float64]
) -> Iterator[NDArray[np.int64]]:
    """Yield the parts after each change that brings them nearer to their shares, the best first.

    `weights` are `(groups, classes + 1)`, `lacking` is `(parts, classes + 1)`.
    """
    groups, parts = np.arange(len(part_of)), np.arange(len(lacking))
    # If w leaves part a for part b, |lacking_a|^2 + |lacking_b|^2 grows by
    # 2 w (lacking_a - lacking_b) + 2 |w|^2; in an exchange, w is the difference of two groups.
    from_part = (weights * lacking[part_of]).sum(axis=1)
    moved = from_part[:, None] - weights @ lacking.T + np.square(weights).sum(axis=1)[:, None]
    moved[groups, part_of] = 0
    grown, changes = [moved.ravel()], [np.stack(np.meshgrid(groups, parts, indexing="ij"), axis=-1)]
    if len(groups) ** 2 * weights.shape[1] <= _PAIRS:
        apart = weights[:, None] - weights[None]
        between = lacking[part_of][:, None] - lacking[part_of][None]
        grown.append((apart * between + np.square(apart)).sum(axis=-1).ravel())
        changes.append(np.stack(np.meshgrid(groups, -1 - groups, indexing="ij"), axis=-1))
    growth = np.round(np.concatenate(grown), 12)
    change = np.concatenate([each.reshape(-1, 2) for each in changes])
    smaller = np.flatnonzero(growth < 0)
    for place in smaller[np.argsort(growth[smaller], kind="stable")].tolist():
        group, goal = change[place].tolist()
        other = part_of.copy()
        if goal < 0:
            other[group], other[-1 - goal] = part_of[-1 - goal], part_of[group]
        else:
            other[group] = goal
        yield other


def can_deal(has: NDArray[np.bool_], wanted: NDArray[np.bool_], parts: int) -> bool:
    """Return whether `parts` parts can take a group each, and leave groups with all classes.

    Args:
        has: whether a group has items of a class, bool `(groups, classes)`.
        wanted: the classes that must be left, bool `(classes,)`.
        parts: how many parts take a group.
    """
    if len(has) < parts:
        return False
    having = has[:, wanted].sum(axis=0)
    if (having < 1).any():
        return False
    if (having > parts).all():
        return True
    # Which groups can go alone; of two parts, one is tried in each of them.
    single = np.flatnonzero(~(has[:, wanted] & (having == 1)).any(axis=1))
    if parts < 2:
        return not parts or len(single) > 0
    return any(
        can_deal(np.delete(has, group, axis=0), wanted, parts - 1) for group in single.tolist()
    )


class _FirstHasAll:
    """Allows what leaves the first part all classes, and every other part a group.

    `later` is how many parts take a group of the first part later.
    """

    def __init__(self, has: NDArray[np.bool_], parts: int, later: int) -> None:
        self.has, self.later = has, later
        self.wanted = np.array(has.any(axis=0))
        self.first = np.zeros(len(has), np.bool_)
        self.free = np.ones(len(has), np.bool_)
        self.empty = set(range(1, parts))
        self.left = len(has)  # how many groups are free
        self.having = has.sum(axis=0)  # how many groups with each class are free or in the first

    def allows(self, group: int, part: int) -> bool:
        """Return whether a group may go to a part; if so, it is there from now on."""
        self.free[group] = False
        self.first[group] = part == 0
        having = self.having - self.has[group] if part else self.having
        empty = len(self.empty - {part})
        # If every class is in more groups than will be taken, nothing need be searched.
        clear = (having > empty + self.later).all() and self.left > empty + 1
        if clear or self._can_go_on(self.free, empty):
            self.empty.discard(part)
            self.having = having
            self.left -= 1
            return True
        self.free[group] = True
        self.first[group] = False
        return False

    def _can_go_on(self, free: NDArray[np.bool_], empty: int) -> bool:
        """Return whether `empty` parts can each take one of the groups that are `free`."""
        if not empty:
            return can_deal(self.has[self.first | free], self.wanted, self.later)
        groups = np.arange(len(free))
        return any(
            self._can_go_on(free & (groups != group), empty - 1)
            for group in np.flatnonzero(free).tolist()
        )
