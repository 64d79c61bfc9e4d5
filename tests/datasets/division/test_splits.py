from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.contracts.source import Dataset, Label
from gridcnn.datasets.division.splits import Division, divide
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
    st.lists(st.integers(1, 40), min_size=2, max_size=6),
    st.floats(0, 0.99),
    st.floats(0, 0.99),
    st.integers(0, 10**9),
)
def test_every_item_is_in_one_part_and_every_class_in_as_many_as_it_has_items_for(
    sizes: list[int], test: float, validation: float, seed: int
) -> None:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    data = dataset(labels)
    if max(sizes) == 1 and test:
        return

    division = divide(data, test=test, validation=validation, seed=seed)
    parts = [division.train, division.validation, division.test]

    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    # Training has the first item of a class, the test the second, validation the third.
    needed = (1, 2 + (test > 0), 2)
    for part, share, fewest in zip(parts, (1, validation, test), needed, strict=True):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
        having = {label for label, size in enumerate(sizes) if size >= fewest}
        assert {labels[item] for item in part} == (having if share else set())


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


def test_a_class_with_one_item_stays_in_training() -> None:
    """And of one with two the second is for the test; a note names what each part lacks."""
    data = dataset(["a"] * 10 + ["b"] * 2 + ["c"])

    division = divide(data, test=0.2, validation=0.1, seed=0)

    assert counts(division, data) == [
        {"a": 7, "b": 1, "c": 1},
        {"a": 1, "b": 0, "c": 0},
        {"a": 2, "b": 1, "c": 0},
    ]
    assert division.notes == (
        "2 classes have too few items for every part ('b' has 2, 'c' has 1): "
        "test has none of 'c' and validation has none of 'b', 'c'",
    )


def test_a_class_with_one_training_row_does_not_keep_others_from_validation() -> None:
    data = dataset(["a"] * 10 + ["b", "b"], ["train"] * 9 + ["test", "train", "test"])

    division = divide(data, test=0.2, validation=0.1, seed=0)

    assert counts(division, data)[:2] == [{"a": 8, "b": 1}, {"a": 1, "b": 0}]
    assert division.notes == (
        "1 class has too few items for every part ('b' has 1): validation has none of 'b'",
    )


@pytest.mark.parametrize(
    ("size", "test", "few", "parts"),
    [(2, 0.2, "2 items", [3, 0, 3]), (1, 0.0, "1 item", [3, 0, 0])],
)
def test_without_an_item_to_spare_there_is_no_validation(
    size: int, test: float, few: str, parts: list[int]
) -> None:
    data = dataset(["a", "b", "c"] * size)

    division = divide(data, test=test, validation=0.1, seed=0)

    assert [sum(part.values()) for part in counts(division, data)] == parts
    assert division.notes == (
        f"no class has more than {few} to divide, so there is no validation part, and the last "
        "epoch counts",
    )


def test_a_test_needs_an_item_that_training_can_spare() -> None:
    with pytest.raises(DataError, match=r"only 1 item to divide.* set data.test: 0"):
        divide(dataset(["a", "b", "c"]), test=0.2, validation=0.1, seed=0)


def test_classes_with_enough_items_have_no_note() -> None:
    assert not divide(dataset(["a", "b"] * 3), test=0.2, validation=0.1, seed=0).notes


def test_labels_that_are_amounts_or_names_of_items_are_told_in_one_line() -> None:
    amounts = dataset([f"{number / 7}" for number in range(30)])
    names = dataset([f"item {number}" for number in range(30)])

    with pytest.raises(DataError, match="look like amounts") as caught:
        divide(amounts, test=0.2, validation=0.1, seed=0)
    assert len(caught.value.problems) == 1
    with pytest.raises(DataError, match="look like names of items") as caught:
        divide(names, test=0.2, validation=0.1, seed=0)
    assert len(caught.value.problems) == 1


def test_whole_numbers_beyond_all_floats_look_like_amounts() -> None:
    vast = dataset([10**400 + number for number in range(30)])

    with pytest.raises(DataError, match="look like amounts"):
        divide(vast, test=0.2, validation=0.1, seed=0)


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


# Groups -----------------------------------------------------------------------------------------


def grouped(
    labels: Sequence[Label], groups: Sequence[str], parts: list[str] | None = None
) -> Dataset:
    names = [f"item {i}" for i in range(len(labels))]
    return Dataset(list(range(len(labels))), labels, names, parts, groups=groups)


def groups_of(division: Division, data: Dataset) -> list[set[str]]:
    assert data.groups is not None
    return [
        {data.groups[item] for item in items}
        for items in (division.train, division.validation, division.test)
    ]


def shared(parts: list[set[str]]) -> set[str]:
    train, validation, test = parts
    return train & validation | train & test | validation & test


def test_a_group_stands_on_one_side() -> None:
    """And the parts have nearly their share of every class: here exactly, since they can."""
    groups = [f"speaker {number // 10}" for number in range(500)]
    data = grouped(["a", "b"] * 250, groups)

    division = divide(data, test=0.2, validation=0.1, seed=0)

    assert not shared(groups_of(division, data))
    assert counts(division, data) == [{"a": 180, "b": 180}, {"a": 20, "b": 20}, {"a": 50, "b": 50}]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=60),
    st.sampled_from([0.0, 0.01, 0.2, 0.5, 0.9]),
    st.sampled_from([0.0, 0.1, 0.6]),
    st.integers(0, 10**6),
)
def test_groups_are_divided_whole_or_refused(
    items: list[tuple[int, int]], test: float, validation: float, seed: int
) -> None:
    """Every part has a group of its own, training has all classes; else there is a reason."""
    labels = [label for label, _ in items]
    data = grouped(labels, [f"g{group}" for _, group in items])
    wanted = 1 + (test > 0) + (validation > 0)
    having = [{g for label, g in items if label == each} for each in set(labels)]
    try:
        division = divide(data, test=test, validation=validation, seed=seed)
    except DataError:
        division = None
    if division is None:
        assert len(having) == 1 or min(map(len, having)) < wanted
        return

    parts = [division.train, division.validation, division.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert not shared(groups_of(division, data))
    assert {labels[item] for item in division.train} == set(labels)
    for part, share in zip(parts, (1, validation, test), strict=True):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
        assert bool(len(part)) == bool(share)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=4, max_size=9), st.integers(0, 100))
def test_no_change_of_one_group_comes_nearer_to_the_share(sizes: list[int], seed: int) -> None:
    """A group more, one less, or one for another: none is better than what is chosen."""
    group_sizes = np.array(sizes) * 2
    groups = [f"g{number}" for number, size in enumerate(group_sizes) for _ in range(size)]
    data = grouped(["a", "b"] * (len(groups) // 2), groups)

    division = divide(data, test=0.3, validation=0, seed=seed)

    tested = np.array([f"g{n}" in groups_of(division, data)[2] for n in range(len(sizes))])

    def off(chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
        return abs(float(group_sizes[chosen].sum()) - 0.3 * len(groups))

    for first in range(len(sizes)):
        for second in range(len(sizes)):
            other = tested.copy()
            other[first] = not other[first]
            if tested[first] != tested[second]:
                other[second] = not other[second]
            if other.any() and not other.all():
                assert off(other) >= off(tested) - 1e-9


def test_the_seed_fixes_the_division_of_groups() -> None:
    data = grouped(["a", "b"] * 200, [f"g{number // 4}" for number in range(400)])

    first, again, other = (divide(data, test=0.2, validation=0.1, seed=seed) for seed in (5, 5, 6))

    assert first.test.tolist() == again.test.tolist()
    assert first.validation.tolist() == again.validation.tolist()
    assert first.test.tolist() != other.test.tolist()


def test_a_class_of_one_group_stays_in_training() -> None:
    """Whatever the seed: it could not be learned otherwise."""
    labels = ["a", "b"] * 30 + ["rare"] * 10
    groups = [f"g{number // 10}" for number in range(60)] + ["last"] * 10
    data = grouped(labels, groups)

    for seed in range(20):
        division = divide(data, test=0.2, validation=0.2, seed=seed)

        assert "last" in groups_of(division, data)[0]


def test_a_way_is_found_where_there_is_one() -> None:
    """Most groups hold a class that no other has; only two may leave the training part."""
    labels = [*"abcdef", *"aabb"]
    groups = [f"only {label}" for label in "abcdef"] + ["free 1", "free 1", "free 2", "free 2"]
    data = grouped(labels, groups)

    for seed in range(10):
        train, *others = groups_of(divide(data, test=0.5, validation=0.5, seed=seed), data)

        assert len(train) == 6
        assert all(len(other) == 1 for other in others)


def test_parts_that_the_data_names_keep_their_groups() -> None:
    """A part that it does not name is taken from the training groups."""
    groups = [f"g{number // 4}" for number in range(80)]
    data = grouped(["a", "b"] * 40, groups, ["train"] * 60 + ["test"] * 20)

    division = divide(data, test=0.5, validation=0.2, seed=0)

    assert division.test.tolist() == list(range(60, 80))
    assert len(division.validation) == 12
    assert not shared(groups_of(division, data))


def test_groups_that_the_data_itself_divides_are_refused() -> None:
    data = grouped(["a", "b"] * 4, ["g"] * 4 + ["h"] * 4, ["train"] * 6 + ["test"] * 2)

    with pytest.raises(DataError, match="the group 'h' is in the parts train and test, which"):
        divide(data, test=0, validation=0, seed=0)


def test_too_few_groups_are_refused() -> None:
    one = grouped(["a", "b"] * 4, ["g"] * 8)
    two = grouped(["a", "b"] * 4, ["g"] * 4 + ["h"] * 4)

    with pytest.raises(
        DataError, match=r"are in 1 group \('g'\), but at least 2 are needed: 1 for"
    ):
        divide(one, test=0.2, validation=0, seed=0)
    with pytest.raises(DataError, match=r"2 groups \('g', 'h'\), but at least 3 .* or set test: 0"):
        divide(two, test=0.2, validation=0.1, seed=0)
    assert len(divide(one, test=0, validation=0, seed=0).train) == 8


def test_classes_that_no_group_can_spare_are_named() -> None:
    data = grouped(["a"] * 4 + ["b"] * 4, ["g"] * 4 + ["h"] * 4)

    with pytest.raises(DataError) as caught:
        divide(data, test=0.2, validation=0, seed=0)
    assert (
        "every class keeps a training item: too few have the same class ('a' is in 'g', 'b' is"
        in (str(caught.value))
    )


def test_many_groups_take_little_time() -> None:
    """Ten thousand of them, each of a few items."""
    random = np.random.default_rng(0)
    groups = [f"g{number}" for number in random.integers(0, 10_000, 40_000)]
    data = grouped(random.integers(0, 5, 40_000).tolist(), groups)

    division = divide(data, test=0.2, validation=0.1, seed=0)

    assert abs(len(division.test) - 8_000) < 20
    assert abs(len(division.validation) - 3_200) < 20
    assert not shared(groups_of(division, data))


# Whole groups, the largest first ----------------------------------------------------------------


def of_sizes(sizes: Sequence[int], parts: list[str] | None = None) -> Dataset:
    """Return items of groups of these sizes, one after the other; classes take turns."""
    groups = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    labels = ["ab"[number % 2] for number in range(len(groups))]
    names = [f"item {number}" for number in range(len(groups))]
    return Dataset(list(range(len(groups))), labels, names, parts, groups=groups)


def by_size(data: Dataset, test: float, validation: float) -> list[list[str]]:
    """Return the groups of each part."""
    division = divide(data, test=test, validation=validation, seed=0, largest_first=True)
    assert data.groups is not None
    groups = np.array(data.groups)
    found = [division.train, division.validation, division.test]
    assert sorted(np.concatenate(found).tolist()) == list(range(len(data)))
    assert all((np.diff(part) > 0).all() for part in found)
    return [list(dict.fromkeys(groups[part].tolist())) for part in found]


def test_the_largest_groups_are_for_training() -> None:
    """Then for validation as long as they fit, and the smallest for the test."""
    assert by_size(of_sizes([1, 6, 2, 8, 1, 2]), 0.1, 0.1) == [["1", "3", "5"], ["2"], ["0", "4"]]
    assert by_size(of_sizes([1, 6, 2, 8, 1, 2]), 0.0, 0.1)[1:] == [["0", "4"], []]
    assert by_size(of_sizes([1, 6, 2, 8, 1, 2]), 0.2, 0.0)[1:] == [[], ["0", "2", "4"]]
    assert by_size(of_sizes([2, 2, 2]), 0.0, 0.0) == [["0", "1", "2"], [], []]


def test_parts_that_the_data_names_stay_when_the_largest_come_first() -> None:
    parts = ["test"] * 4 + ["train"] * 10
    assert by_size(of_sizes([4, 6, 2, 2], parts), 0.2, 0.2) == [["1", "3"], ["2"], ["0"]]
    with pytest.raises(DataError, match="the group '0' is in the parts train and test"):
        by_size(of_sizes([4, 10], ["test"] * 3 + ["train"] * 11), 0.2, 0.0)


def test_parts_and_classes_that_are_left_with_nothing_are_told() -> None:
    """Whole groups in a fixed order may leave nothing to choose."""
    with pytest.raises(DataError, match=r"no group is left for validation when the largest come"):
        by_size(of_sizes([8, 4]), 0.34, 0.1)
    data = of_sizes([6, 2, 2])
    labels = ["a"] * 6 + ["b"] * 4
    with pytest.raises(DataError, match=r"the class 'b' has no training item when the largest"):
        by_size(Dataset(data.things, labels, data.names, groups=data.groups), 0.4, 0.0)
