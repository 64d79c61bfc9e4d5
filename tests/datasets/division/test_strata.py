from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.contracts.source import Dataset
from gridcnn.datasets.division.folds import fold_numbers, with_fold
from gridcnn.datasets.division.splits import divide
from gridcnn.datasets.division.strata import strata_of
from gridcnn.errors import DataError
from gridcnn.spec.parts import Fold


def dataset(
    rows: object, groups: list[str] | None = None, parts: list[str] | None = None
) -> Dataset:
    labels = np.array(rows, np.float32)
    count, names = len(labels), tuple("abcdef"[: labels.shape[1]])
    things, items = list(range(count)), [f"item {i}" for i in range(count)]
    return Dataset(things, labels, items, parts, groups=groups, label_names=names)


def drawn(seed: int, items: int = 400) -> Dataset:
    """Return three labels of which one is rare, and a tenth of which is not known."""
    random = np.random.default_rng(seed)
    rows = (random.random((items, 3)) < [0.5, 0.2, 0.03]).astype(np.float32)
    rows[random.random(rows.shape) < 0.1] = np.nan
    return dataset(rows)


def test_the_kind_of_an_item_is_its_class() -> None:
    strata = strata_of(Dataset([1, 2, 3], ["x", "o", "x"], ["1", "2", "3"]))

    assert strata.names == ("o", "x")
    assert strata.numbers.tolist() == [1, 0, 1]


def test_frequent_labels_together_are_a_kind_and_others_count_for_their_rarest() -> None:
    """An item of which nothing is known has no label."""
    rows = [[1, 1, 0]] * 20 + [[1, 1, 1]] * 2 + [[1, 0, 0]] * 30 + [[np.nan, 0, 0]]

    strata = strata_of(dataset(rows))
    assert strata.names == ("a", "c", "no label", "a + b")
    assert strata.numbers.tolist() == [3] * 20 + [1] * 2 + [0] * 30 + [2]
    apart = strata_of(dataset(rows), joined=False)
    assert apart.names == ("a", "b", "c", "no label")
    assert apart.numbers.tolist() == [1] * 20 + [2] * 2 + [0] * 30 + [3]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_every_part_has_about_its_share_of_every_label(seed: int) -> None:
    """Of 12 items with a rare label, too; every item is in one part."""
    data = drawn(seed)

    division = divide(data, test=0.25, validation=0.2, seed=seed)
    parts = [division.train, division.validation, division.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(data)))
    has = data.label_rows == 1
    for part, share in zip(parts, (0.6, 0.15, 0.25), strict=True):
        assert abs(len(part) - 400 * share) < 8
        for label in range(3):
            count, wanted = has[part, label].sum(), has[:, label].sum() * share
            # Two labels stand alone or together; the third has kinds with several items.
            assert abs(count - wanted) <= 4 + 3 * np.sqrt(wanted * 0.4)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_folds_are_alike(seed: int, folds: int) -> None:
    """No fold has more than one item more than another."""
    data = drawn(seed)

    numbers = fold_numbers(data, folds, seed=seed)
    sizes = np.bincount(numbers)[1:]
    assert sizes.max() - sizes.min() <= 1
    has = data.label_rows[:, 0] == 1
    counts = np.array([has[numbers == fold].sum() for fold in range(1, folds + 1)])
    assert counts.max() - counts.min() <= 12


def test_a_label_that_a_part_lacks_is_noted() -> None:
    """Training has the first item of a kind, the test the second."""
    rows = [[1, 0]] * 20 + [[0, 0]] * 20 + [[0, 1]] * 2
    division = divide(dataset(rows), test=0.2, validation=0.2, seed=0)

    assert division.notes == (
        "1 label has too few items for every part: validation has none of 'b'",
    )


def test_groups_stay_whole() -> None:
    """A label in too few groups for all parts does not stop the division."""
    random = np.random.default_rng(0)
    rows = (random.random((120, 2)) < 0.4).astype(np.float32)
    rare = np.zeros((120, 1), np.float32)
    rare[:3] = 1
    groups = [f"g{item // 6}" for item in range(120)]
    data = dataset(np.hstack([rows, rare]), groups)

    division = divide(data, test=0.25, validation=0.2, seed=0)
    parts = [division.train, division.validation, division.test]
    names = [{groups[item] for item in part} for part in parts]
    assert not names[0] & names[1] | names[1] & names[2] | names[0] & names[2]
    assert abs(len(division.test) - 30) <= 6
    assert len(division.notes) == 2
    assert "too few items for every part" in division.notes[0]
    numbers = fold_numbers(data, 4, seed=0)
    assert all(len({numbers[item] for item in range(g * 6, g * 6 + 6)}) == 1 for g in range(20))


def test_a_fold_is_the_test_part_that_the_data_names() -> None:
    """Rows stay with their items."""
    data = drawn(0, items=40)

    fold = with_fold(data, Fold(fold=2, of=4), seed=0)
    assert fold.parts is not None
    assert list(fold.parts).count("test") == 10
    np.testing.assert_array_equal(fold.label_rows, data.label_rows)


@pytest.mark.parametrize(
    ("rows", "parts", "message"),
    [
        ([[1, 0], [1, 0]], None, "each label is the same for all items"),
        ([[1, np.nan], [1, 0]], None, "so there is nothing to learn; the labels are 'a', 'b'"),
        ([[1, 0], [0, 1]], ["test", "test"], "no item is in the part 'train'"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    rows: object, parts: list[str] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        divide(dataset(rows, parts=parts), test=0.2, validation=0.1, seed=0)
