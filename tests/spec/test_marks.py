"""Marks of a search space: how they are read, and how a run refuses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridcnn.errors import SpecError
from gridcnn.spec.load import load
from gridcnn.spec.marks import MarkError, find_foreign, find_marks, is_mark, read_mark


def test_a_run_names_the_search_for_a_space(tmp_path: Path) -> None:
    """One line: where the first mark is, and which command takes it."""
    file = tmp_path / "space.yaml"
    file.write_text("name: a\ntraining:\n  learning_rate: {log_range: [0.001, 0.1]}\n")

    with pytest.raises(SpecError) as caught:
        load(file)

    assert str(caught.value) == (
        f"{file}:3:3: 'training.learning_rate' is {{log_range: ...}}, so this is a search space "
        f"and not one spec; search it with: gridcnn tune {file}"
    )


def test_marks_are_found_everywhere_also_in_each_other() -> None:
    """The outer one comes first."""
    inner = {"range": [0.5, 0.9]}
    outer = {"choose": ["sgd", {"adamw": {"beta1": inner}}]}
    data = {"training": {"optimizer": outer}, "stages": [{"optional": "pooling"}, "pooling"]}

    assert list(find_marks(data)) == [
        (("training", "optimizer"), outer),
        (("training", "optimizer", "choose", 1, "adamw", "beta1"), inner),
        (("stages", 0), {"optional": "pooling"}),
    ]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"choose": [1, 2]}, True),
        ({"range": [1, 2], "step": 1}, True),
        ({"choose": 3}, True),
        ({"range": [1, 2], "stp": 1}, True),
        ({"optional": "pooling", "as": "a"}, True),
        ({"range": 0.5, "noise": 2}, False),  # weights of classes with such names
        ({"range": [1, 2], "choose": [1]}, False),
        ({"step": 1}, False),
        (["choose"], False),
        ("range", False),
    ],
)
def test_marks_are_told_from_settings(value: Any, wanted: bool) -> None:
    """By the one key that names their kind."""
    assert is_mark(value) is wanted


def test_a_setting_that_is_called_like_a_mark_is_none() -> None:
    """The adapter of pictures has a `range`, which may be searched as well."""
    picture = {"adapter": {"image": {"range": [0, 255]}}}
    searched = {"adapter": {"image": {"range": {"choose": [[0, 1], [0, 255]]}}}}

    assert list(find_marks(picture)) == []
    assert [path for path, _ in find_marks(searched)] == [("adapter", "image", "range")]
    load(picture)


@pytest.mark.parametrize(
    ("value", "place", "message"),
    [
        ({"choose": []}, ("choose",), "choose takes a list of values to choose from; got []"),
        ({"choose": 3}, ("choose",), "choose takes a list of values to choose from; got 3"),
        ({"choose": [1, 2, 1]}, ("choose", 2), "choose has the value 1 twice"),
        ({"choose": list(range(101))}, ("choose",), "choose takes at most 100 values; got 101"),
        (
            {"range": [1, 2, 3]},
            ("range",),
            "range takes two numbers, [lowest, highest]; got [1, 2, 3]",
        ),
        (
            {"range": ["a", 3]},
            ("range",),
            "range takes two numbers, [lowest, highest]; got ['a', 3]",
        ),
        (
            {"range": [True, 3]},
            ("range",),
            "range takes two numbers, [lowest, highest]; got [True, 3]",
        ),
        (
            {"range": [0, float("inf")]},
            ("range",),
            "range takes two numbers, [lowest, highest]; got [0, inf]",
        ),
        (
            {"range": [5, 3]},
            ("range",),
            "range goes from the lowest to the highest; got 5 before 3, so write [3, 5]",
        ),
        (
            {"log_range": [0, 3]},
            ("log_range", 0),
            "log_range starts above 0, such as 0.0001; got 0, which has no logarithm",
        ),
        ({"range": [0, 3], "step": 0}, ("step",), "'step' must be a number above 0; got 0"),
        ({"range": [0, 3], "step": "a"}, ("step",), "'step' must be a number above 0; got 'a'"),
        (
            {"range": [0, 3], "step": 4},
            ("step",),
            "'step' (=4) is larger than the range from 0 to 3",
        ),
        (
            {"range": [0, 3], "step": 1e-7},
            ("step",),
            "'step' (=1e-07) divides the range into more than a million values",
        ),
        (
            {"log_range": [1, 3], "step": 1},
            ("step",),
            "'step' goes with range; log_range takes none",
        ),
        ({"choose": [1], "as": 3}, ("as",), "'as' takes a name that marks share; got 3"),
        (
            {"range": [1, 2], "stp": 3},
            ("stp",),
            "range takes 'step' and 'as' beside it; got 'stp'; did you mean 'step'?",
        ),
        (
            {"optional": "pooling"},
            (),
            "optional leaves out an entry of a list, such as a stage; nothing else can be",
        ),
    ],
)
def test_wrong_marks_are_explained(value: Any, place: tuple[Any, ...], message: str) -> None:
    """What was given, what is allowed, and where in the mark."""
    with pytest.raises(MarkError) as caught:
        read_mark(value, in_list=False)

    assert (caught.value.place, str(caught.value)) == (place, message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"loguniform": [1, 2]},
            "'loguniform' of a search space is written {log_range: [...]} here",
        ),
        ({"choice": [1, 2]}, "'choice' of a search space is written {choose: [...]} here"),
        ({"randint": [1, 2]}, "'randint' of a search space is written {range: [...]} here"),
        ({"min": 1, "max": 2}, "a search space is written {range: [min, max]} here"),
    ],
)
def test_marks_of_other_systems_are_answered_with_ours(value: Any, message: str) -> None:
    """As names of stages and settings are."""
    assert list(find_foreign({"training": {"epochs": value}})) == [
        (("training", "epochs"), message)
    ]
