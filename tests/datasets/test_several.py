from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from gridcnn.datasets.readers.memory import from_memory
from gridcnn.datasets.several import marks_of, several_given
from gridcnn.errors import DataError

NAN = float("nan")
ROWS = [[1, 0], [0, 1], [1, NAN]]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (np.array(ROWS), (0, 1)),
        (ROWS, (0, 1)),
        ([(True, False), (False, True), (True, None)], (0, 1)),
        (list(np.array(ROWS)), (0, 1)),
        (np.array([[1, "no"], ["0", True], ["Yes", ""]], dtype=object), (0, 1)),
        (pd.DataFrame(ROWS, columns=["tall", "red"]), ("tall", "red")),
        (pd.DataFrame({"tall": ["yes", "no", "yes"], 2: [False, True, pd.NA]}), ("tall", "2")),
    ],
    ids=["array", "lists", "tuples", "arrays", "objects", "frame", "frame of texts"],
)
def test_an_indicator_matrix_has_a_column_for_each_label(given: Any, names: Any) -> None:
    """1, 0, true, false, yes and no are known; what is missing is not."""
    several = several_given(given)

    assert several is not None
    np.testing.assert_array_equal(several.rows, np.array(ROWS, np.float32))
    assert several.rows.dtype == np.float32
    assert several.names == names


def test_a_sparse_indicator_matrix_is_taken() -> None:
    several = several_given(sp.csr_matrix([[1, 0], [0, 1]]))

    assert several is not None
    assert several.rows.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "given",
    [
        [["red", "tall"], [], ["tall", "tall"]],
        [("red", "tall"), (), ("tall",)],
        [{"red", "tall"}, set(), {"tall"}],
        pd.Series([["tall", "red"], [], ["tall"]]),
        [["red", "tall"], [], np.array(["tall"])],
    ],
    ids=["lists", "tuples", "sets", "series", "arrays"],
)
def test_lists_of_labels_become_columns_in_order(given: Any) -> None:
    """An empty list is an item without a label; all that is not there is known not to be."""
    several = several_given(given)

    assert several is not None
    assert several.names == ("red", "tall")
    assert several.rows.tolist() == [[1, 1], [0, 0], [0, 1]]


def test_lists_of_numbers_are_labels_unless_all_are_0_and_1() -> None:
    """Numbers come before texts."""
    several = several_given([[3, 1], [1, 2]])
    mixed = several_given([[7, "a"], [10]])

    assert several is not None
    assert mixed is not None
    assert several.names == (1, 2, 3)
    assert several.rows.tolist() == [[1, 0, 1], [1, 1, 0]]
    assert mixed.names == (7, 10, "a")


@pytest.mark.parametrize(
    "given",
    [
        [1, 0, 1],
        ["a", "b"],
        np.array([1, 2]),
        np.array([[1], [0]]),
        pd.DataFrame({"y": [0, 1]}),
        pd.Series(["a", "b"]),
        None,
        "ab",
        [],
    ],
)
def test_one_label_for_each_item_is_none_of_this(given: Any) -> None:
    assert several_given(given) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            np.array([[0, 1], [2, 0]]),
            r"y has 2 columns, each .* of its own, and y\[1, 0\] holds 2",
        ),
        (np.array([[0, 0.5]]), r"y\[0, 1\] holds 0.5; a cell is 1, 0, or NaN if it is not known"),
        (pd.DataFrame({"a": [0], "b": ["x"]}), r"y\['b'\] holds 'x'"),
        (pd.DataFrame([[0, 1]], columns=["a", "a"]), "two columns of the same name"),
        ([["a"], "b"], r"y\[1\] is 'b', and others are lists of labels"),
        ([["a"], [None]], r"a label in y\[1\] is missing; leave it out"),
        ([["a"], [1.5]], r"a label in y\[1\] is 1.5"),
        ([["1"], [1]], "the label 1 both as a number and as a text"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        several_given(given)
    assert len(raised.value.problems) == 1


def test_cells_may_say_it_in_words() -> None:
    """Whatever their capitals; a dash and a question mark say that it is not known."""
    found = marks_of(["1", "YES", "True", "1.0", "0", "No", "false", "0.0", "", "-", "?", "nan"])

    assert found is not None
    np.testing.assert_array_equal(found, [1] * 4 + [0] * 4 + [np.nan] * 4)
    assert marks_of(["1", "2"]) is None
    assert marks_of(np.array([0, 1, 3])) is None


def test_data_from_python_may_have_several_labels() -> None:
    """Targets are those of the asked labels; of others nothing is known."""
    dataset = from_memory((np.zeros((3, 2, 2)), ROWS))

    assert dataset.several
    assert dataset.classes == (0, 1)
    np.testing.assert_array_equal(
        dataset.targets((1, 5, 0)),
        np.array([[0, NAN, 1], [1, NAN, 0], [NAN, NAN, 1]], np.float32),
    )
    with pytest.raises(DataError, match="1 not among the labels 0"):
        dataset.targets((0,))
    chosen = dataset.chosen(np.array([2]))
    np.testing.assert_array_equal(chosen.label_rows, [[1, NAN]])
    with pytest.raises(DataError, match="2 items, but 3 labels"):
        from_memory((np.zeros((2, 2, 2)), ROWS))


def test_a_label_among_lists_is_said_with_its_place() -> None:
    with pytest.raises(DataError, match=r"y\[1\] is 3, and others are lists of labels; give a lis"):
        several_given([["a"], 3, ["b", "c"]])
