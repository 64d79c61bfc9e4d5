"""Equal items in two parts or two classes are counted, and may be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import gridcnn
from gridcnn.contracts.source import PARTS, TEST, TRAIN, VALIDATION, Dataset, Label
from gridcnn.errors import DataError
from gridcnn.grid import OneHot
from gridcnn.runs.duplicates import find_duplicates
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled


def parts_of(numbers: list[list[int]], classes: list[list[int]], *, one_hot: bool) -> Any:
    """Return three parts whose grids are equal if their numbers are."""
    shapes = np.random.default_rng(0).permutation(24).reshape(6, 4)
    parts = {}
    for name, chosen, targets in zip(PARTS, numbers, classes, strict=True):
        rows = shapes[np.array(chosen, np.int64)]
        grids = OneHot(rows.astype(np.int32), 24) if one_hot else rows[:, None, None] / 24
        parts[name] = Labelled(grids, np.array(targets, np.int64))
    return parts


items = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), max_size=8)


@given(items, items, items, st.booleans())
def test_equal_items_are_those_that_a_loop_finds(
    train: Any, validation: Any, test: Any, one_hot: bool
) -> None:
    each = {TRAIN: train, VALIDATION: validation, TEST: test}
    numbers = [[number for number, _ in each[name]] for name in PARTS]
    classes = [[label for _, label in each[name]] for name in PARTS]

    found = find_duplicates(parts_of(numbers, classes, one_hot=one_hot))

    before: list[tuple[str, int, int, int]] = []
    leaked: dict[str, list[int]] = {name: [] for name in PARTS}
    torn = []
    for name in PARTS:
        for place, (number, label) in enumerate(each[name]):
            same = next((known for known in before if known[2] == number), None)
            assert found.first[name][place] == (same is None)
            if same is not None and same[0] != name:
                leaked[name].append(place)
            if same is not None and same[3] != label:
                torn.append((name, place, same[0], same[1]))
            before.append((name, place, number, label))
    assert {name: [place for place, _, _ in found.leaked[name]] for name in PARTS} == leaked
    assert found.torn == torn


def prepared(dataset: Any, duplicates: str) -> Prepared:
    spec: dict[str, Any] = {
        "data": {"duplicates": duplicates},
        "adapter": "array",
        "head": "voting",
    }
    return prepare(locate(load(spec), dataset, Path()))


def copied() -> Dataset:
    """Return items of which the test repeats two of the training, one of them in another class."""
    things = np.random.default_rng(0).normal(size=(30, 4, 4))
    things[20] = things[0]
    things[21] = things[1]
    things[11] = things[10]
    labels: list[Label] = [number % 2 for number in range(30)]
    labels[20], labels[21] = 1, 1  # the first are 0 and 1
    parts = [TRAIN] * 16 + [VALIDATION] * 4 + [TEST] * 10
    return Dataset(list(things), labels, [f"thing {n}" for n in range(30)], parts)


def test_equal_items_are_kept_with_notes_that_count_them() -> None:
    found = prepared(copied(), "keep")

    assert [len(part) for part in (found.train, found.validation, found.test)] == [16, 4, 10]
    leaked, torn = found.notes
    assert "2 of 10 test items have the same grids as training items" in leaked
    assert "'thing 20' and 'thing 0'" in leaked
    assert "data.duplicates: drop" in leaked
    assert torn.startswith("2 items have the same grid as an item of another class")


def test_equal_items_are_left_out_but_for_the_first() -> None:
    found = prepared(copied(), "drop")

    kept = [name for part in (found.train, found.validation, found.test) for name in part.names]
    assert set(range(30)) - {int(name.split()[1]) for name in kept} == {11, 20, 21}
    assert found.notes == (
        "items left out because they are equal to an earlier one: 1 of train, 2 of test; 2 of "
        "them have another class there",
    )
    assert len(found.test.data) == len(found.test.data.targets) == 8
    assert found.literal is not None
    assert len(found.literal[1]) == 8


def test_what_is_left_out_changes_the_fingerprint() -> None:
    """A run does not go on with other items."""
    kept, dropped = prepared(copied(), "keep"), prepared(copied(), "drop")

    assert kept.fingerprint != dropped.fingerprint


def test_a_class_of_which_nothing_is_left_is_refused() -> None:
    things = np.random.default_rng(0).normal(size=(20, 4, 4))
    things[10:] = things[:10]
    dataset = Dataset(
        list(things),
        ["a"] * 10 + ["b"] * 6 + ["a"] * 2 + ["b"] * 2,
        [f"thing {n}" for n in range(20)],
        [TRAIN] * 16 + [TEST] * 4,
    )

    with pytest.raises(DataError, match="no usable training item is left of the classes"):
        prepared(dataset, "drop")


def test_pictures_that_were_copied_are_found_in_a_run(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for label in ("dark", "light"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(12):
            cells = random.integers(0, 100, (9, 9), np.uint8) + (label == "light") * 100
            if number == 11:
                cells = np.full((9, 9), 55, np.uint8)  # the same in both classes
            Image.fromarray(cells).save(tmp_path / "pictures" / label / f"{number}.png")
    spec = {
        "data": {"source": str(tmp_path / "pictures")},
        "adapter": {"image": {"size": [9, 9]}},
        "head": "voting",
        "training": {"epochs": 1},
    }

    run = gridcnn.run(spec, out=tmp_path / "run")
    with pytest.raises(DataError, match="with strict, every note is an error"):
        gridcnn.run(spec, out=tmp_path / "strict", strict=True)

    assert any("the same grid as an item of another class" in note for note in run.metrics["notes"])
    assert not (tmp_path / "strict").exists()
