import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridcnn.datasets.labels import labels_of, refuse_twins
from gridcnn.datasets.problems import Problems
from gridcnn.errors import DataError


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        (["a", "b"], ["a", "b"]),
        (("a", 1), ["a", 1]),
        (np.array([1, 2], np.int8), [1, 2]),
        ([np.int64(1), np.uint8(2)], [1, 2]),
        (np.array([True, False]), [1, 0]),
        ([True, False], [1, 0]),
        (np.array([1.0, 2.0], np.float32), [1, 2]),
        (np.array([[1], [2]]), [1, 2]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", "b"], object), ["a", "b"]),
        ([b"a", b"\xc3\xa9"], ["a", "é"]),
        (pd.Series(["a", "b"], index=[7, 3]), ["a", "b"]),
        (pd.Series([1, 2], dtype="Int64"), [1, 2]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.Series(["b", "a"], dtype="category"), ["b", "a"]),
        (pd.Series(["b", "a"], dtype="string"), ["b", "a"]),
        (pd.Index(["b", "a"]), ["b", "a"]),
        (range(2), [0, 1]),
    ],
)
def test_labels_of_every_kind_become_texts_or_whole_numbers(given: Any, labels: Any) -> None:
    found = labels_of(given)

    assert found == labels
    assert {type(label) for label in found} <= {str, int}


@pytest.mark.parametrize(
    "given",
    [
        ["a", None, "b"],
        ["a", float("nan"), "b"],
        [1, np.nan, 2],
        pd.Series(["a", None, "b"]),
        pd.Series([1, None, 2], dtype="Int64"),
        pd.Categorical(["a", None, "b"]),
        ["a", "", "b"],
        ["a", " ", "b"],
        ["a", pd.NaT, "b"],
    ],
)
def test_a_missing_label_is_named_with_its_row(given: Any) -> None:
    with pytest.raises(DataError, match=r"label y\[1\] is missing; give every item a label"):
        labels_of(given)


def test_missing_labels_are_told_together() -> None:
    """They are one cause, whose places are listed, but not endlessly."""
    with pytest.raises(DataError) as caught:
        labels_of([None] * 50)

    (problem,) = caught.value.problems
    assert "the labels y[0], y[1], y[2], " in str(problem)
    assert "y[7] and 42 more are missing; give every item a label" in str(problem)


def twins(source: str, name: str) -> str:
    """Return what is said of a label that is there both as a number and as a text."""
    found = Problems(source)
    refuse_twins({1, "1"}, name, found)
    with pytest.raises(DataError) as caught:
        found.stop()
    return str(caught.value)


def test_advice_on_twins_is_about_the_place_that_they_are_from() -> None:
    """Python is for labels in memory; a file is corrected in the file."""
    assert "[str(label) for label in y]" in twins("", "y")
    assert ".astype(str)" in twins("the DataFrame", "the column 'kind'")
    for source in ("a.jsonl", "a.xlsx", "a.parquet"):
        told = twins(source, "the column 'kind'")
        assert "write every label as a number, or every label as a text" in told
        assert "str(label)" not in told
    assert '(as "1", in quotes)' in twins("a.jsonl", "the column 'kind'")


@pytest.mark.parametrize("given", [[0.5, 1.25], np.array([1.5, 2.5]), [float("inf"), 1.0]])
def test_amounts_are_no_classes(given: Any) -> None:
    with pytest.raises(DataError, match="regression") as caught:
        labels_of(given)

    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("abc", "must be a list of labels"),
        (None, "must be a list of labels"),
        (3, "must be a list of labels"),
        (np.eye(3), r"got shape \(3, 3\); if its columns are the classes, give y.argmax"),
        (np.zeros((2, 2, 2)), r"got shape \(2, 2, 2\)$"),
        ([["a"], ["b"]], r"y\[0\] is \['a'\]; a label is a text"),
        ([decimal.Decimal(1)], "a label is a text or a whole number"),
        ([b"\xff"], "not UTF-8 text"),
        ([1, "1"], "both as a number and as a text"),
    ],
)
def test_what_is_no_label_is_explained(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        labels_of(given)


def test_whole_numbers_of_any_usual_size_are_labels() -> None:
    """Also beyond the range of floats."""
    assert labels_of([10**400, -(2**63)]) == [10**400, -(2**63)]


def test_numbers_that_cannot_be_written_are_no_labels() -> None:
    """Python turns no number of thousands of digits into a text, so that no file could name it."""
    with pytest.raises(DataError, match=r"y\[1\] is a whole number of 16610 bits, too large"):
        labels_of([1, 10**5000, 2])
