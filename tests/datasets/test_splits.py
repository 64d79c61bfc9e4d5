from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.datasets.base import Dataset, Label
from gridcnn.datasets.splits import Division, divide
from gridcnn.errors import DataError


def dataset(labels: Sequence[Label], parts: list[str] | None = None) -> Dataset:
    return Dataset(list(range(len(labels))), labels, [f"item {i}" for i in labels], parts)


def counts(division: Division, data: Dataset) -> list[dict[str, int]]:
    labels = np.array(data.labels)
    return [
        {str(label): int((labels[items] == label).sum()) for label in data.classes}
        for items in (division.train, division.validation, division.test)
    ]


def test_every_part_has_its_share_of_every_class() -> None:
    data = dataset(["a"] * 100 + ["b"] * 50)

    division = divide(data, test=0.2, validation=0.1, seed=0)

    assert counts(division, data) == [{"a": 72, "b": 36}, {"a": 8, "b": 4}, {"a": 20, "b": 10}]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(3, 40), min_size=2, max_size=6),
    st.floats(0, 0.99),
    st.floats(0, 0.99),
    st.integers(0, 10**9),
)
def test_every_item_is_in_one_part_and_every_class_in_each(
    sizes: list[int], test: float, validation: float, seed: int
) -> None:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    data = dataset(labels)

    division = divide(data, test=test, validation=validation, seed=seed)
    parts = [division.train, division.validation, division.test]

    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for part, share in zip(parts, (1, validation, test), strict=True):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
        assert {labels[item] for item in part} == (set(labels) if share else set())


def test_a_half_rounds_up() -> None:
    data = dataset(["a"] * 10 + ["b"] * 5)

    division = divide(data, test=0.25, validation=0, seed=0)

    assert counts(division, data)[2] == {"a": 3, "b": 1}


def test_the_seed_fixes_the_division() -> None:
    data = dataset(["a", "b"] * 50)

    first = divide(data, test=0.2, validation=0.1, seed=5)
    again = divide(data, test=0.2, validation=0.1, seed=5)
    other = divide(data, test=0.2, validation=0.1, seed=6)

    assert (first.test == again.test).all()
    assert (first.test != other.test).any()


def test_another_validation_part_leaves_the_test_part_as_it_was() -> None:
    data = dataset(["a", "b"] * 50)

    few = divide(data, test=0.2, validation=0.1, seed=5)
    none = divide(data, test=0.2, validation=0, seed=5)

    assert (few.test == none.test).all()
    assert len(none.validation) == 0


def test_parts_that_the_data_names_are_used_as_they_are() -> None:
    data = dataset(["a", "b"] * 20, ["train"] * 20 + ["validation"] * 10 + ["test"] * 10)

    division = divide(data, test=0.5, validation=0.5, seed=0)

    assert division.train.tolist() == list(range(20))
    assert division.validation.tolist() == list(range(20, 30))
    assert division.test.tolist() == list(range(30, 40))


def test_parts_that_the_data_names_are_used_even_where_their_fraction_is_zero() -> None:
    data = dataset(["a", "b"] * 20, ["train"] * 30 + ["test"] * 10)

    division = divide(data, test=0, validation=0, seed=0)

    assert (len(division.train), len(division.validation), len(division.test)) == (30, 0, 10)


def test_a_validation_part_that_the_data_does_not_name_is_taken_from_the_training_items() -> None:
    data = dataset(["a", "b"] * 20, ["train"] * 20 + ["test"] * 20)

    division = divide(data, test=0.2, validation=0.1, seed=0)

    assert counts(division, data)[:2] == [{"a": 9, "b": 9}, {"a": 1, "b": 1}]
    assert division.validation.max() < 20
    assert division.test.tolist() == list(range(20, 40))


def test_a_test_part_that_the_data_does_not_name_is_taken_from_the_training_items() -> None:
    data = dataset(["a", "b"] * 20, ["train"] * 20 + ["validation"] * 20)

    division = divide(data, test=0.2, validation=0.1, seed=0)

    assert counts(division, data)[2] == {"a": 2, "b": 2}
    assert division.validation.tolist() == list(range(20, 40))


def test_every_class_that_is_too_small_is_named() -> None:
    data = dataset(["a"] * 10 + ["b"] * 2 + ["c"])

    with pytest.raises(DataError) as caught:
        divide(data, test=0.2, validation=0.1, seed=0)
    first, second = map(str, caught.value.problems)
    assert "the class 'b' has 2 items to divide, but needs at least 3" in first
    assert "1 for training and 1 for validation and 1 for test" in first
    assert "set test: 0 or validation: 0" in first
    assert "the class 'c' has 1 item to divide" in second


def test_a_single_class_is_refused() -> None:
    with pytest.raises(DataError, match="every item has the class 'a'"):
        divide(dataset(["a"] * 10), test=0.2, validation=0.1, seed=0)


def test_test_classes_that_cannot_be_learned_are_refused() -> None:
    data = dataset(["a", "b", "c"], ["train", "train", "test"])

    with pytest.raises(DataError, match="part 'test' has classes that the part 'train' does not"):
        divide(data, test=0.2, validation=0.1, seed=0)


def test_parts_without_training_items_are_refused() -> None:
    with pytest.raises(DataError, match="no item is in the part 'train'; the parts are: test"):
        divide(dataset(["a", "b"], ["test", "test"]), test=0.2, validation=0.1, seed=0)
