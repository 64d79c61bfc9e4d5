"""Tables whose items may have several labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridcnn.contracts.source import Dataset, Request
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError, SpecError

NAN = np.nan


def table(folder: Path, content: str, *, name: str = "t.csv", **more: Any) -> Table:
    (folder / name).write_text(content)
    return Table(**{"path": str(folder / name), "input": "text", **more})


def read(folder: Path, content: str, **more: Any) -> Dataset:
    return table(folder, content, **more).open(Request())


def told(folder: Path, content: str, *, name: str = "t.csv", **more: Any) -> list[str]:
    try:
        problems = tuple(read(folder, content, name=name, **more).bad)
    except DataError as error:
        problems = error.problems
    return [str(problem).removeprefix(str(folder / name)).lstrip(":, ") for problem in problems]


CELLS = "text,tall,red,old\ngnu,1,0,\ncat,no,Yes,TRUE\nant,0.0,,false\n"


@pytest.mark.parametrize(
    ("label", "names", "rows"),
    [
        (["tall", "red"], ("tall", "red"), [[1, 0], [0, 1], [0, NAN]]),
        (["old", "tall"], ("old", "tall"), [[NAN, 1], [1, 0], [0, 0]]),
        (["red"], ("red",), [[0], [1], [NAN]]),
        ({"pattern": "tall|o.*"}, ("tall", "old"), [[1, NAN], [0, 1], [0, 0]]),
    ],
    ids=["list", "order", "one", "pattern"],
)
def test_each_column_is_a_label(tmp_path: Path, label: Any, names: Any, rows: Any) -> None:
    """1, true and yes say that an item has it, 0, false and no that not; empty: not known."""
    dataset = read(tmp_path, CELLS, label=label)

    assert dataset.label_names == names
    np.testing.assert_array_equal(dataset.label_rows, np.array(rows, np.float32))
    assert list(dataset.things) == ["gnu", "cat", "ant"]
    assert not dataset.bad
    resolved = dataset.resolved
    assert isinstance(resolved, Table)
    assert resolved.label == names or list(names) == list(resolved.label)


def test_a_cell_may_hold_all_labels(tmp_path: Path) -> None:
    """Spaces around them are ignored; an empty cell is an item without a label."""
    content = "text,tags\ngnu,tall; old\ncat,\nant,old;;\n"

    dataset = read(tmp_path, content, label={"column": "tags"})
    assert dataset.label_names == ("old", "tall")
    assert dataset.label_rows.tolist() == [[1, 1], [0, 0], [1, 0]]
    other = content.replace(";", "|")
    again = read(tmp_path, other, label={"column": "tags", "separator": "|"})
    np.testing.assert_array_equal(again.label_rows, dataset.label_rows)


def test_a_cell_of_json_may_hold_a_list(tmp_path: Path) -> None:
    """Of texts or whole numbers."""
    lines = '{"text": "a", "tags": ["x", "y"]}\n{"text": "b", "tags": []}\n'
    dataset = read(tmp_path, lines, name="t.jsonl", label={"column": "tags"})
    numbers = lines.replace('["x", "y"]', "[3, 1]")

    assert dataset.label_names == ("x", "y")
    assert dataset.label_rows.tolist() == [[1, 1], [0, 0]]
    assert read(tmp_path, numbers, name="n.jsonl", label={"column": "tags"}).label_names == (1, 3)


def test_columns_of_numbers_are_inputs_unless_they_are_labels(tmp_path: Path) -> None:
    """`input: null` takes all columns that have no other use."""
    content = "u,v,a,b\n0.5,2,1,0\n1.5,1,0,1\n2.5,3,1,\n"

    for label in (["a", "b"], {"pattern": "[ab]"}):
        dataset = read(tmp_path, content, input=None, label=label)
        assert np.asarray(dataset.things).tolist() == [[0.5, 2], [1.5, 1], [2.5, 3]]
        assert isinstance(dataset.resolved, Table)
        assert dataset.resolved.input == ("u", "v")


def test_a_data_frame_has_the_same_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "x": [True, False], "y": [np.nan, 1.0]})

    dataset = table(tmp_path, CELLS, label=["x", "y"]).read(frame, Request())
    np.testing.assert_array_equal(dataset.label_rows, [[1, NAN], [0, 1]])


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        (CELLS, ["tall", "rde"], "1: has no column 'rde'; did you mean 'red'?"),
        (CELLS, {"pattern": "x.*"}, "1: no column has a name that the pattern 'x.*' of the labels"),
        (CELLS, {"column": "tag"}, "1: has no column 'tag'"),
        (
            "text,a,b\nx,1,0\ny,2,maybe\n",
            ["a", "b"],
            "3: the label in 'a' is '2'; the cells of a label among several are 1, 0, true, false",
        ),
        (
            "text,a,b\n" + "x,1,ham\ny,0,spam\n" * 20,
            ["a", "b"],
            "2: the label in 'b' is 'ham', and 39 more are no better; the cells of a label among",
        ),
    ],
)
def test_problems_have_their_line(tmp_path: Path, content: str, label: Any, message: str) -> None:
    found = told(tmp_path, content, label=label)

    assert found[0].startswith(message)


def test_a_row_with_a_wrong_cell_is_left_out(tmp_path: Path) -> None:
    """With a problem for each; the others can be used."""
    dataset = read(tmp_path, "text,a,b\nx,1,0\ny,2,no way\nz,0,1\n", label=["a", "b"])

    assert list(dataset.things) == ["x", "z"]
    assert dataset.label_rows.tolist() == [[1, 0], [0, 1]]
    assert [problem.line for problem in dataset.bad] == [3, 3]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([], "'label' of table must be the name of a column, a list of such"),
        (["a", "a"], "the column 'a' is named 2 times"),
        ({"pattern": "("}, "'pattern' of label must be a regular expression"),
        ({"column": "a", "separator": ""}, "'separator' of label"),
        ({"columns": ["a"]}, "label has no setting 'columns'"),
    ],
)
def test_wrong_settings_are_explained(label: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        Table(path="t.csv", input="text", label=label)


@pytest.mark.parametrize(
    "label", ["kind", ["a", "b"], {"pattern": "a.*"}, {"column": "a", "separator": "|"}]
)
def test_settings_are_written_as_they_are_read(label: Any) -> None:
    source = Table(path="t.csv", label=label)

    assert Table(**source.model_dump(mode="json")) == source
    assert source.model_dump(mode="json")["label"] == label
