from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from PIL import Image

from gridcnn.contracts.source import Dataset, Request
from gridcnn.datasets.readers.memory import Memory, from_memory
from gridcnn.errors import DataError


def test_data_that_was_in_memory_cannot_be_opened_again() -> None:
    with pytest.raises(DataError, match="given in memory; pass it again: data="):
        Memory().open(Request())


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 3)])
def test_a_stack_is_taken_apart_without_copying(shape: Any) -> None:
    stack = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)

    dataset = from_memory((stack, [0, 1, 0, 1]))

    assert len(dataset) == 4
    assert np.shares_memory(dataset.things[2], stack)
    assert dataset.names[2] == "item 2"
    assert dataset.classes == (0, 1)
    assert dataset.parts is None


@pytest.mark.parametrize(
    "things",
    [
        [np.zeros((2, 2)), np.zeros((3, 4))],
        [Image.new("L", (3, 3)), Image.new("RGB", (5, 5))],
        [b"one", b"two"],
        ["a.png", Path("b.png")],
        pd.Series(["a.png", "b.png"], index=[4, 5]),
        np.array(["a.png", "b.png"]),
    ],
    ids=["arrays", "images", "bytes", "paths", "series", "array of paths"],
)
def test_any_sequence_of_things_is_taken_as_it_is(things: Any) -> None:
    dataset = from_memory((things, np.array(["x", "o"])))

    assert [type(thing) for thing in dataset.things] == [
        type(thing) if not isinstance(thing, np.str_) else str for thing in things
    ]
    assert dataset.labels == ["x", "o"]


def test_paths_are_the_names_of_their_items() -> None:
    dataset = from_memory([["a/1.png", Path("b/2.png"), np.zeros((2, 2))], ["x", "o", "x"]])

    assert list(dataset.names) == ["a/1.png", str(Path("b/2.png")), "item 2"]


def test_texts_that_are_no_paths_are_things_like_any_other() -> None:
    dataset = from_memory((["tea", "", "tea"], ["x", "o", "o"]), files=False)

    assert list(dataset.things) == ["tea", "", "tea"]
    assert list(dataset.names) == ["item 0", "item 1", "item 2"]


def test_a_dataset_is_returned_as_it_is() -> None:
    dataset = Dataset([1, 2], ["x", "o"], ["one", "two"])

    assert from_memory(dataset) is dataset


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_lists_paths_from_the_current_folder(folder: Path) -> None:
    table = pd.DataFrame({"path": ["a.png", folder / "b.png"], "label": [1, 2], "more": [0, 0]})

    dataset = from_memory(table)

    assert list(dataset.things) == [str(folder / "a.png"), str(folder / "b.png")]
    assert list(dataset.labels) == [1, 2]
    assert dataset.parts is None


@pytest.mark.usefixtures("folder")
def test_a_table_may_divide_itself() -> None:
    table = pd.DataFrame(
        {
            "Path": ["a.png", "b.png", "c.png"],
            "Label": ["x", "o", "x"],
            "split": ["train", "Train", "test"],
        },
        index=[5, 5, 5],
    )

    assert from_memory(table).parts == ["train", "train", "test"]


@pytest.mark.usefixtures("folder")
def test_every_bad_row_of_a_table_is_told() -> None:
    table = pd.DataFrame(
        {
            "path": ["a.png", "a.png", "no.png", None],
            "label": ["x", "o", "x", "o"],
            "split": ["train", "train", "later", None],
        }
    )

    told = [str(problem) for problem in from_memory(table).bad]
    expected = [
        "row 1: 'a.png' is the same file as in row 0, where its label is 'x' and not 'o'",
        "row 2: there is no file 'no.png'; a relative path starts at",
        "row 2: the split 'later' must be train, validation or test",
        "row 3: the path is empty",
        "row 3: the split is empty",
    ]
    assert len(told) == len(expected)
    assert all(part in line for part, line in zip(expected, told, strict=True))


def test_a_table_without_its_columns_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'path'; rename the column 'file' to 'path'"):
        from_memory(pd.DataFrame({"file": ["a.png"], "label": ["x"]}))


def test_a_table_with_missing_labels_is_refused() -> None:
    with pytest.raises(DataError, match="row 1: the label in 'label' is empty"):
        from_memory(pd.DataFrame({"path": ["a.png", "b.png"], "label": ["x", None]}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, r"data is given as \(X, y\).*; got NoneType None"),
        (np.zeros((3, 2, 2)), r"got a ndarray of shape \(3, 2, 2\)"),
        ((np.zeros((3, 2, 2)),), "got a tuple of 1"),
        ((np.zeros((3, 2, 2)), [0, 1]), "there are 3 items, but 2 labels"),
        ((np.zeros(3), [0, 1, 1]), "must have the shape"),
        ((pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [0, 1]), "no numbers in the column 'b'"),
        ((np.zeros((2, 0, 4)), [0, 1]), "no cells"),
        ((np.zeros((2, 3, 3), complex), [0, 1]), "X holds complex128; give the magnitudes"),
        ((pd.Series(pd.date_range("2020", periods=2)), [0, 1]), "X holds dates or times"),
        ((sp.csr_matrix(np.eye(2)), [0, 1]), r"X is a sparse csr_matrix .* X\.toarray\(\)"),
        (((text for text in "ab"), [0, 1]), r"X is a generator, .* give list\(X\)"),
        (({"a": ["x", "y"]}, [0, 1]), "X is a dict"),
        (({"x", "y"}, [0, 1]), "X is a set, whose items have no order"),
        ((np.array([[1, "a"]] * 2, object), [0, 1]), r"X\[0, 1\] is the text 'a', not a number"),
        (([], []), "no items in the data"),
        (("folder", ["x"]), "X must hold many items; got str 'folder'"),
        ((3, ["x"]), "X must hold many items; got int 3"),
        ((["a.png", "./a.png"], ["x", "o"]), r"X\[1\] is the same file as X\[0\]"),
        ((np.zeros((2, 3, 3)), [0.5, 1.5]), "regression"),
    ],
)
def test_what_cannot_be_used_is_explained(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_memory(data)


@pytest.mark.parametrize(
    "kind",
    [list, np.array, pd.Series, lambda texts: pd.DataFrame({"text": texts}), lambda t: np.c_[t]],
)
def test_texts_are_taken_in_any_column(kind: Any) -> None:
    """A column of texts, with a name or without, is a list of them."""
    dataset = from_memory((kind(["tea", "sun"]), [0, 1]), files=False)

    assert list(dataset.things) == ["tea", "sun"]


def test_objects_that_are_numbers_are_rows() -> None:
    """None among them is NaN, which an adapter may fill in."""
    dataset = from_memory((np.array([[1, None], [3, 4]], object), [0, 1]))

    np.testing.assert_array_equal(dataset.things, [[1, np.nan], [3, 4]])
