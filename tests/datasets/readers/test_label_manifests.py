"""Manifests whose items may have several labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gridcnn
from gridcnn.contracts.source import Dataset
from gridcnn.datasets.readers import arrays, manifest
from gridcnn.errors import DataError
from gridcnn.settings.label_columns import LabelCells, LabelPattern


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def read(root: Path, text: str, label: Any) -> Dataset:
    (root / "list.csv").write_text(text)
    return manifest.read(root / "list.csv", label=label)


COLUMNS = "path,Red,tall,split\na.png,1,no,train\nb.png,0,,test\nc.png,yes,true,train\n"


@pytest.mark.parametrize(
    "label", [("Red", "tall"), ("red", "tall"), LabelPattern(pattern="R.*|tall")]
)
def test_each_column_is_a_label(root: Path, label: Any) -> None:
    """Names of columns may have other capitals, as that of the path."""
    dataset = read(root, COLUMNS, label)

    assert dataset.label_names == ("Red", "tall")
    np.testing.assert_array_equal(dataset.label_rows, [[1, 0], [0, np.nan], [1, 1]])
    assert dataset.parts == ["train", "test", "train"]


def test_a_cell_may_hold_all_labels(root: Path) -> None:
    text = "path,tags\na.png,red;tall\nb.png,\nc.png, tall\n"
    dataset = read(root, text, LabelCells(column="tags"))

    assert dataset.label_names == ("red", "tall")
    assert dataset.label_rows.tolist() == [[1, 1], [0, 0], [0, 1]]


def test_another_column_may_hold_the_classes(root: Path) -> None:
    assert read(root, "path,kind\na.png,x\nb.png,o\n", "kind").labels == ["x", "o"]


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (COLUMNS, ("red", "big"), "1: has no column 'big', as data.label says"),
        (COLUMNS, LabelPattern(pattern="x"), "no column has a name that the pattern 'x' of the l"),
        (COLUMNS, None, r"has no column 'label'. If an item may have several labels, name their "),
    ],
)
def test_missing_columns_are_named(root: Path, text: str, label: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(root, text, label)


def test_a_wrong_cell_is_the_problem_of_its_row(root: Path) -> None:
    dataset = read(root, COLUMNS.replace("0,", "2,"), ("red", "tall"))

    assert len(dataset) == 2
    assert dataset.bad[0].line == 3
    assert "the label in 'Red' is '2'; the cells of a label" in dataset.bad[0].message


def test_a_data_frame_is_a_manifest(root: Path) -> None:
    """With `data.label`, which other data in memory cannot have."""
    frame = pd.DataFrame({"path": ["a.png", "b.png"], "x": [1, 0], "y": [True, None]})

    dataset = manifest.read(frame, base=root, label=("x", "y"))
    np.testing.assert_array_equal(dataset.label_rows, [[1, 1], [0, np.nan]])
    with pytest.raises(DataError, match=r"data.label names columns of labels, and a tuple of 2"):
        gridcnn.run("xo", data=(["a.png"], ["x"]), changes={"data.label": ["x"]})


def test_only_a_manifest_has_such_columns(root: Path) -> None:
    np.savez(root / "d.npz", X=np.zeros((4, 3, 3)), y=[0, 1, 0, 1])

    with pytest.raises(DataError, match=r"data\.label names the labels in a manifest, and xo has"):
        gridcnn.run("xo", changes={"data.label": ["a", "b"]})
    with pytest.raises(DataError, match=r"has no columns to name labels; leave data\.label out"):
        gridcnn.run("xo", data=str(root / "d.npz"), changes={"data.label": ["a"]})


def test_an_npz_file_may_hold_an_indicator_matrix(root: Path) -> None:
    """One for each part; all have as many labels."""
    stack, rows = np.zeros((2, 3, 3)), np.array([[1, 0], [0, np.nan]])
    np.savez(root / "d.npz", X_train=stack, y_train=rows, X_test=stack, y_test=rows)
    np.savez(root / "e.npz", X_train=stack, y_train=rows, X_test=stack, y_test=[0, 1])

    dataset = arrays.read(root / "d.npz")
    assert dataset.classes == (0, 1)
    np.testing.assert_array_equal(dataset.label_rows, np.vstack([rows, rows]))
    assert dataset.parts == ["train"] * 2 + ["test"] * 2
    with pytest.raises(DataError, match="as many labels: y_train has 2, y_test has one class"):
        arrays.read(root / "e.npz")
