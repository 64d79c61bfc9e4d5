"""Folds: test parts that hold every item once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from gridcnn.contracts.source import Dataset
from gridcnn.datasets.division.folds import fold_numbers, group_names, with_fold
from gridcnn.datasets.division.splits import divide
from gridcnn.errors import DataError
from gridcnn.spec.parts import Fold, GroupOut

LABELLED = st.integers(2, 5).flatmap(
    lambda folds: st.tuples(
        st.just(folds),
        st.lists(st.integers(folds, 20), min_size=2, max_size=5),
        st.integers(0, 2**32 - 1),
    )
)


def dataset(
    labels: list[int],
    *,
    groups: list[str] | None = None,
    parts: list[str] | None = None,
) -> Dataset:
    names = [f"item {number}" for number in range(len(labels))]
    return Dataset(range(len(labels)), labels, names, parts, "here", groups=groups)


def folds_of(data: Dataset, folds: int, *, seed: int = 0) -> list[NDArray[np.int64]]:
    """Return the items that each fold tests, by the way that a run takes."""
    found = []
    for number in range(1, folds + 1):
        named = with_fold(data, Fold(fold=number, of=folds), seed=seed)
        found.append(divide(named, test=0, validation=0, seed=seed).test)
    return found


@given(LABELLED)
@settings(max_examples=40, deadline=None)
def test_folds_hold_every_item_once_and_are_stratified_as_by_scikit_learn(
    drawn: tuple[int, list[int], int],
) -> None:
    """The counts of every class in every fold are those of StratifiedKFold."""
    folds, sizes, seed = drawn
    targets = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    data = dataset(targets.tolist())

    ours = folds_of(data, folds, seed=seed)

    assert sorted(np.concatenate(ours).tolist()) == list(range(len(targets)))
    theirs = StratifiedKFold(folds, shuffle=True, random_state=0).split(targets, targets)

    def counts(parts: list[NDArray[np.int64]]) -> list[list[int]]:
        # Of all items and of each class; scikit-learn has another order of classes and folds.
        of_folds = np.array([np.bincount(targets[part], minlength=len(sizes)) for part in parts])
        return [sorted(each) for each in [of_folds.sum(axis=1).tolist(), *of_folds.T.tolist()]]

    assert counts(ours) == counts([part for _, part in theirs])


def test_the_seed_fixes_the_folds_and_chooses_them() -> None:
    """The same seed gives the same folds, another gives others."""
    data = dataset([0, 1] * 30)

    first, again, other = (fold_numbers(data, 5, seed=seed) for seed in (1, 1, 2))

    assert first.tolist() == again.tolist() != other.tolist()


def _unevenness(numbers: NDArray[np.int64], targets: NDArray[np.int64], folds: int) -> float:
    """Return how far from even the classes and all items are spread."""
    counts = np.zeros((folds, targets.max() + 1))
    np.add.at(counts, (numbers, targets), 1)
    by_class = counts / counts.sum(axis=0) - 1 / folds
    by_size = counts.sum(axis=1) / counts.sum() - 1 / folds
    return float(np.square(by_class).mean() + np.square(by_size).mean())


def test_folds_of_groups_are_whole_and_no_less_even_than_scikit_learns() -> None:
    """Over many random data sets they are spread at least as evenly as StratifiedGroupKFold's."""
    ours, theirs = 0.0, 0.0
    for seed in range(25):
        random = np.random.default_rng(seed)
        folds = int(random.integers(2, 6))
        group_of = np.repeat(np.arange(15), random.integers(2, 30, 15))
        targets = random.integers(0, 4, len(group_of))
        data = dataset(targets.tolist(), groups=[f"g{group}" for group in group_of])

        numbers = fold_numbers(data, folds, seed=seed)

        assert set(numbers.tolist()) == set(range(1, folds + 1))
        for group in range(15):
            assert len(set(numbers[group_of == group].tolist())) == 1
        ours += _unevenness(numbers - 1, targets, folds)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        other = np.zeros(len(targets), np.int64)
        for number, (_, part) in enumerate(splitter.split(targets, targets, group_of)):
            other[part] = number
        theirs += _unevenness(other, targets, folds)
    assert ours <= theirs


def test_one_group_is_left_out_as_by_scikit_learn() -> None:
    """The test part is all of the group, and nothing else is."""
    groups = [["b", "a", "10", "9"][number % 4] for number in range(40)]
    data = dataset([number // 4 % 2 for number in range(40)], groups=groups)

    names = group_names(data)
    ours = [
        divide(
            with_fold(data, GroupOut(group=name), seed=0), test=0.0, validation=0.3, seed=0
        ).test.tolist()
        for name in names
    ]

    assert names == ["9", "10", "a", "b"]
    theirs = [part.tolist() for _, part in LeaveOneGroupOut().split(groups, groups=groups)]
    assert sorted(ours) == sorted(theirs)


def test_validation_items_are_taken_from_the_rest_in_whole_groups() -> None:
    """A group is in one part only."""
    groups = [f"g{number % 6}" for number in range(60)]
    data = dataset([number // 6 % 2 for number in range(60)], groups=groups)

    division = divide(with_fold(data, GroupOut(group="g2"), seed=0), test=0, validation=0.2, seed=0)

    where = [
        {groups[item] for item in part}
        for part in (division.train, division.validation, division.test)
    ]
    assert where[2] == {"g2"}
    assert [len(each) for each in where] == [4, 1, 1]
    assert len(set.union(*where)) == 6


def test_a_named_test_part_is_left_out_and_a_named_validation_part_stays() -> None:
    """Folds are made of the training items, and a note tells what is not used."""
    parts = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    data = dataset([0, 1] * 10, parts=parts)

    named = with_fold(data, Fold(fold=1, of=3), seed=0)
    division = divide(named, test=0, validation=0.5, seed=0)

    assert list(named.names) == [f"item {number}" for number in range(16)]
    assert division.validation.tolist() == [12, 13, 14, 15]
    assert sorted([*division.train, *division.test]) == list(range(12))
    assert len(division.test) == 4
    assert named.notes == [
        "4 items of the test part that the data names are left out; data.parts: ignore takes them "
        "in"
    ]


def test_groups_that_a_named_test_part_divides_do_no_harm() -> None:
    """Since that part is left out."""
    groups = ["u", "v", "w", "x"] * 6
    data = dataset(
        [0] * 8 + [1] * 8 + [0, 1] * 4, groups=groups, parts=["train"] * 16 + ["test"] * 8
    )

    named = with_fold(data, GroupOut(group="v"), seed=0)

    assert len(divide(named, test=0, validation=0.3, seed=0).test) == 4


@pytest.mark.parametrize(
    ("labels", "groups", "test", "message"),
    [
        (
            [0, 1] * 4 + [2] * 3,
            None,
            Fold(fold=1, of=4),
            "here: the class '2' has 3 items to divide, too few for 4 folds, each of which needs "
            "one; add items, leave the class out, or use at most 3 folds",
        ),
        (
            [0, 1, 0],
            None,
            Fold(fold=1, of=2),
            "here: the class '1' has 1 item to divide, too few for 2 folds, each of which needs "
            "one; add items or leave the class out",
        ),
        (
            [0, 1] * 4,
            ["a", "a", "b", "b"] * 2,
            Fold(fold=2, of=3),
            "here: all items to divide are in 2 groups ('a', 'b'), too few for 3 folds of whole "
            "groups; use at most 2 folds, or name other groups",
        ),
        (
            [0, 1] * 4,
            None,
            GroupOut(group="a"),
            "here: the data has no groups to leave out; name them with data.group",
        ),
        (
            [0, 1] * 4,
            ["anna", "anna", "bert", "bert"] * 2,
            GroupOut(group="ana"),
            "here: data.test names the group 'ana', but no item to divide belongs to it; did you "
            "mean 'anna'? The groups are: 'anna', 'bert'",
        ),
        (
            [0, 1, 1, 1],
            ["a", "a", "b", "b"],
            GroupOut(group="a"),
            "here: every item of the class 0 is in the group 'a', so none is left to train "
            "on; add items, leave the class out, or name other groups",
        ),
        (
            [0, 0, 0, 0],
            None,
            Fold(fold=1, of=2),
            "here: every item has the class '0'; a classifier needs at least two classes",
        ),
    ],
)
def test_what_cannot_be_divided_is_told(
    labels: list[int], groups: list[str] | None, test: Fold | GroupOut, message: str
) -> None:
    """In one line, with the numbers and what to do."""
    with pytest.raises(DataError) as caught:
        with_fold(dataset(labels, groups=groups), test, seed=0)

    assert str(caught.value) == message


def test_shares_of_classes_do_not_depend_on_the_order_of_items() -> None:
    """Sorted data is dealt out as evenly as shuffled data."""
    numbers = fold_numbers(dataset([0] * 50 + [1] * 25), 5, seed=3)

    assert Counter(numbers[:50].tolist()) == dict.fromkeys(range(1, 6), 10)
    assert Counter(numbers[50:].tolist()) == dict.fromkeys(range(1, 6), 5)
