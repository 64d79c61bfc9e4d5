"""`X` and `y`: what is taken, and one line for each thing that is not."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import DataConversionWarning

from gridcnn.datasets.readers.examples import NoNumberError, labels_given, things_of
from gridcnn.errors import DataError

TEXTS = ["good day", "win now", "see you"]
ROWS = np.arange(6.0).reshape(3, 2)
DATES = pd.date_range("2020-01-01", periods=3)


@pytest.mark.parametrize(
    "given",
    [
        ROWS,
        ROWS.tolist(),
        tuple(map(tuple, ROWS.tolist())),
        list(ROWS),
        [pd.Series(row) for row in ROWS],
        ROWS.astype(object),
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS).astype("Int64"),
        pd.DataFrame({"a": pd.Categorical([0, 2, 4]), "b": [1, 3, 5]}),
        pd.DataFrame(ROWS).astype(pd.SparseDtype(float)),
    ],
)
def test_numbers_become_one_array(given: Any) -> None:
    """Lists, arrays, frames and their many types of columns are the same rows."""
    np.testing.assert_array_equal(things_of(given), ROWS)


def test_types_of_numbers_stay() -> None:
    """Pixels of 8 bits stay pixels of 8 bits, in an array, a list and a frame."""
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)

    for given in (pixels, list(pixels)):
        things = things_of(given)
        assert isinstance(things, np.ndarray)
        assert things.dtype == np.uint8
    frame = things_of(pd.DataFrame(pixels.reshape(3, 4)))
    assert isinstance(frame, np.ndarray)
    assert frame.dtype == np.uint8


@pytest.mark.parametrize(
    "given",
    [
        np.array([[1, None], [3, 4]], object),
        np.array([[1, pd.NA], [3, 4]], object),
        [[1, None], [3, 4]],
        pd.DataFrame({"a": [1, 3], "b": pd.array([None, 4], dtype="Int64")}),
        pd.DataFrame({"a": [1, 3], "b": [None, 4]}, dtype=object),
        np.ma.MaskedArray([[1.0, 2.0], [3.0, 4.0]], [[False, True], [False, False]]),
        list(np.ma.MaskedArray([[1, 2], [3, 4]], [[False, True], [False, False]])),
    ],
)
def test_missing_numbers_are_nan(given: Any) -> None:
    """None, NA and what is masked are told by the adapter, which may fill them in."""
    np.testing.assert_array_equal(things_of(given), [[1, np.nan], [3, 4]])


@pytest.mark.parametrize(
    "given",
    [
        TEXTS,
        tuple(TEXTS),
        dict(enumerate(TEXTS)).values(),
        np.array(TEXTS),
        np.array(TEXTS)[:, None],
        [[text] for text in TEXTS],
        np.array(TEXTS, object)[:, None],
        pd.Series(TEXTS),
        pd.Series(TEXTS, dtype="string"),
        pd.Series(TEXTS, dtype="category"),
        pd.Index(TEXTS),
        pd.DataFrame({"text": TEXTS}),
        pd.DataFrame({"text": pd.Categorical(TEXTS)}),
    ],
)
def test_texts_become_a_list(given: Any) -> None:
    """A column of texts is taken as one, whatever it is in."""
    assert things_of(given) == TEXTS


@pytest.mark.parametrize(
    "given",
    [
        [None, "tea"],
        [np.nan, "tea"],
        pd.Series([None, "tea"]),
        pd.Series([np.nan, "tea"]),
        pd.Series([pd.NA, "tea"], dtype="string"),
        np.array([[None], ["tea"]], object),
        pd.DataFrame({"text": [None, "tea"]}),
    ],
)
def test_the_first_that_is_not_missing_tells_what_things_are(given: Any) -> None:
    """The adapter then says which text is missing."""
    things = things_of(given)

    assert isinstance(things, list)
    assert things[1] == "tea"
    assert pd.isna(things[0])


def test_other_things_stay_as_they_are() -> None:
    """Paths, bytes, open files and what only an adapter may know."""
    for given in ([Path("a"), Path("b")], [b"a", bytearray(b"b")], [{"a": 1}, {"a": 2}]):
        assert things_of(given) == given


def test_arrays_may_differ_in_shape() -> None:
    """So do clips and pictures; lists among them become arrays."""
    things = things_of([[1, 2, 3], np.zeros(2), [1, None]])

    assert [np.shape(each) for each in things] == [(3,), (2,), (2,)]
    np.testing.assert_array_equal(things[2], [1, np.nan])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "X is None; give an array of numbers"),
        (3, r"X is 3 \(of type int\); give an array"),
        ("abc", "X is a single item, the text 'abc'; give a list of items"),
        (np.array("abc"), "X is a single item, the text 'abc'"),
        (np.array(3.0), r"X is the single number 3\.0"),
        ([], "X has no items; give at least one"),
        (np.zeros((0, 3)), r"X has no items \(its shape is \(0, 3\)\)"),
        (pd.DataFrame({"a": []}), "X has no items"),
        (pd.DataFrame(index=range(3)), "X is a DataFrame without columns"),
        ([None, np.nan], r"each of the 2 items of X is missing \(None\)"),
        ([1.0, 2.0], r"X is one row of numbers, of shape \(2,\); .* Reshape your data: X\.reshape"),
        (range(3), "X is one row of numbers"),
        (pd.Series([1, None], dtype="Int64"), "X is one row of numbers"),
        (sp.csr_matrix(ROWS), r"X is a sparse csr_matrix of shape \(3, 2\), .*: X\.toarray\(\)"),
        (sp.coo_array(ROWS), r"X is a sparse coo_array of shape .*: X\.toarray\(\)"),
        ({"a": TEXTS}, r"X is a dict \(with the keys 'a'\); .*pandas\.DataFrame\(X\)"),
        ((text for text in TEXTS), r"X is a generator, which can be read only once; give list\(X"),
        (map(str, TEXTS), r"X is a map, which can be read only once; give list\(X\)"),
        (set(TEXTS), "X is a set, whose items have no order"),
        (ROWS * 1j, "Complex data not supported: X holds complex128"),
        ([[1j, 2]], "Complex data not supported: X holds complex128"),
        ([1j, 2], "Complex data not supported: X holds complex128"),
        (np.array([[1, 2j]], object), r"Complex data not supported: X\[0, 1\] is 2j"),
        (pd.Series(DATES), "X holds dates or times .* give numbers"),
        (
            np.array([["2020-01-01"]], "datetime64[s]"),
            r"holds dates or times \(datetime64\[s\]\)",
        ),
        (list(np.array(["2020-01-01"], "datetime64[s]")), "X holds dates or times"),
        ([datetime.date(2020, 1, 1)], r"X holds dates or times \(datetime\.date\(2020, 1, 1\)\)"),
        (pd.DataFrame({"a": [1, 2, 3], "when": DATES}), "X'?.'when'. holds dates or times"),
        (np.zeros(2, [("a", float)]), "X holds records with the fields a"),
        ([[[1, 2], [3]]], r"X\[0\] cannot be read as an array: its rows have different lengths"),
        ([[1, 2], None], r"X\[1\] is missing \(None\), and others are arrays"),
        ([[1, "a"]], r"X\[0, 1\] is the text 'a', not a number; leave such columns out, or encod"),
        (np.array([TEXTS, TEXTS]), r"X\[0, 0\] is the text 'good day', not a number"),
        (np.array([[1, b"a"]], object), r"X\[0, 1\] is the bytes b'a', not a number"),
        (["a", 1], r"X\[0\] is the text 'a', and X\[1\] the number 1; give items of one kind"),
        ([None, 1, "a"], r"X\[2\] is the text 'a', and X\[1\] the number 1; give items of one"),
        (
            pd.DataFrame({"a": [1, 2, 3], "city": TEXTS}),
            r"X\['city'\] holds the text 'good day', .* leave it out, or encode it .* X\['city'\]",
        ),
        (
            pd.DataFrame({"a": [[1], [2]]}),
            r"X\['a'\] holds a list, \[1\], and a column must hold",
        ),
    ],
)
def test_what_x_may_not_be_is_one_line(given: Any, message: str) -> None:
    """It says what is given, what is taken, and what to do."""
    with pytest.raises(DataError, match=message) as caught:
        things_of(given)

    assert len(str(caught.value).splitlines()) == 1


def test_every_column_that_holds_no_numbers_is_named() -> None:
    """All of them together."""
    frame = pd.DataFrame({"a": [1, 2, 3], "city": TEXTS, "name": TEXTS})

    with pytest.raises(DataError) as caught:
        things_of(frame)

    assert [str(each)[:9] for each in caught.value.problems] == ["X['city']", "X['name']"]


def test_an_object_that_is_no_number_is_also_a_type_error() -> None:
    """As `float` has it, and scikit-learn asks for it."""
    with pytest.raises(NoNumberError, match=r"X\[1, 0\] is a dict, {'a': 1}; each cell"):
        things_of(np.array([[1], [{"a": 1}]], object))
    assert issubclass(NoNumberError, TypeError)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["a", "b"], ["a", "b"]),
        (np.array([1, 2], np.uint8), [1, 2]),
        ([True, False], [True, False]),
        ([0.0, 1.0], [0.0, 1.0]),
        (pd.Series([1, 2], dtype="Int64"), [1, 2]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.Series(["a", "b"], dtype="string"), ["a", "b"]),
        (pd.Series([True, False], dtype="boolean"), [1, 0]),
        ([2, "a"], [2, "a"]),
    ],
)
def test_labels_stay_what_they_are(given: Any, kept: list[Any]) -> None:
    labels = labels_given(given, 2)

    assert labels.tolist() == kept


def test_a_column_of_labels_is_taken_with_a_warning() -> None:
    """As scikit-learn does it."""
    for given in (np.array([["a"], ["b"]]), [["a"], ["b"]], pd.DataFrame({"y": ["a", "b"]})):
        with pytest.warns(DataConversionWarning, match=r"column-vector y .* give y\.ravel\(\)"):
            assert labels_given(given, 2).tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "the target y is None"),
        ("ab", "y must be a list of labels, one for each item; got 'ab'"),
        ((text for text in "ab"), "y is a generator; give a list of labels"),
        ({"y": [1, 2]}, "y is a dict; give a list of labels"),
        ({1, 2}, "y is a set; give a list of labels"),
        (sp.csr_matrix(np.eye(2)), "y is a sparse csr_matrix"),
        (5, r"y must have one label for each item, shape \(items,\); got shape \(\)"),
        (["a"], "X has 2 items, and y 1 label; give one label for each item"),
        ([1, 2, 3], "X has 2 items, and y 3 labels"),
        (np.eye(2), r"got shape \(2, 2\); if its columns are the classes, give y\.argmax\(axis=1"),
        (pd.DataFrame(np.eye(2)), r"got shape \(2, 2\); if its columns are the classes"),
        ([["a"], ["a", "b"]], r"got \[\['a'\], \['a', 'b'\]\], which is not an array"),
        ([None, "a"], r"y\[0\] is missing; give every item a label, or leave it out"),
        ([np.nan, 1.0], r"y\[0\] is missing"),
        (pd.Series([None, 1], dtype="Int64"), r"y\[0\] is missing"),
        (pd.Categorical([None, "a"]), r"y\[0\] is missing"),
        ([0.5, 1.5], r"y\[0\] is 0\.5\. Labels name classes, .*amounts .*continuous"),
        ([np.inf, 1.0], r"y\[0\] is inf"),
        ([1j, 2], r"y\[0\] is 1j; a label is a text or a whole number"),
        ([object, 2], r"a label is a text or a whole number"),
        (DATES[:2], r"y holds dates or times \(datetime64"),
        (np.array(["2020-01-01", "2021-01-01"], "datetime64[ns]"), "y holds dates or times"),
        ([1, "1"], "the label 1 both as a number and as a text"),
    ],
)
def test_what_y_may_not_be_is_one_line(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        labels_given(given, 2)

    assert len(str(caught.value).splitlines()) == 1
