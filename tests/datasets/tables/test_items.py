"""Rows of tables as questions: only the things are read, a part at a time."""

import contextlib
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.contracts.source import Request
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.items import opened_rows, read_questions
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError

FRAME = pd.DataFrame(
    {
        "text": ["tea", "two\nlines", 'a "quote", a comma', "äöü"],
        "a": [0.5, -1.25, 3.0, 1e-7],
        "b": [1, 2, 3, 4],
        "kind": ["x", "y", "x", "y"],
    }
)


def written(folder: Path, ending: str, frame: pd.DataFrame = FRAME) -> str:
    file = folder / f"table{ending}"
    if ending == ".parquet":
        frame.to_parquet(file)
    elif ending == ".jsonl":
        frame.to_json(file, orient="records", lines=True, double_precision=15)
    else:
        frame.to_csv(file, index=False, sep="\t" if ending == ".tsv" else ",")
    return str(file)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_rows_are_those_that_training_reads(tmp_path: Path, ending: str, labelled: bool) -> None:
    """With labels or without: the same things and places as those of `open`, and as in pandas."""
    path = written(tmp_path, ending)
    for given_input in ("text", ["b", "a"]):
        table = Table(path=path, input=given_input, label="kind")
        expected = table.open(Request())
        if not labelled:
            written(tmp_path, ending, FRAME.drop(columns="kind"))

        names, things = zip(*asked(table), strict=True)

        assert expected.places is not None
        assert list(names) == list(expected.places)
        for thing, other, own in zip(
            things, expected.things, FRAME[given_input].values, strict=True
        ):
            np.testing.assert_array_equal(thing, other)
            np.testing.assert_array_equal(thing, own)
        written(tmp_path, ending)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_columns_about_items_are_no_input(tmp_path: Path, ending: str) -> None:
    """Without `input`, labels, parts and groups are left out where they are."""
    frame = FRAME.drop(columns="text").assign(who=[1, 1, 2, 2], part=["train"] * 4)
    table = Table(path=written(tmp_path, ending, frame), label="kind", split="part")

    things = [thing for _, thing in asked(table, group="who")]

    np.testing.assert_array_equal(np.stack(things), FRAME[["a", "b"]].values)


def asked(
    table: Table, *, group: str | None = None, file: Any = None, bad: list[str] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield what each row is called, and its thing; add what is wrong to `bad`."""
    problems = Problems(table.path)
    columns = table.columns(group)
    with opened_rows(file or table.path, table.form, problems, wanted=columns.inputs) as rows:
        for names, things, wrong in read_questions(rows, columns):
            if bad is not None:
                bad += map(str, wrong)
            yield from zip(names, things, strict=True)


def asked_of(content: bytes, **columns: Any) -> tuple[list[Any], list[str]]:
    """Return the things of a CSV file, and the lines of its error."""
    things: list[Any] = []
    bad: list[str] = []
    table = Table(**{"path": "new.csv", "label": "kind", **columns})
    try:
        for _, thing in asked(table, file=io.BytesIO(content), bad=bad):
            things.append(thing if isinstance(thing, str) else thing.tolist())
    except DataError as error:
        return things, [*bad, *str(error).splitlines()]
    return things, bad


@pytest.mark.parametrize(
    ("content", "things", "problem"),
    [
        (b"a,b\n1,2\n3,NA\n5,6\n", [[1, 2], [5, 6]], "new.csv:3: the column 'b' has no number"),
        (b"a,b\n1,2\n3\n5,6\n", [[1, 2], [5, 6]], "new.csv:3: has 1 cell"),
        (b"a,b\n1,2\n3,caf\xe9\n5,6\n", [[1, 2]], "new.csv:3: is not UTF-8 text"),
        (b"a,c\n1,2\n", [], "new.csv:1: has no column 'b'"),
        (b"", [], "new.csv:1: is empty"),
        (b"a,b\n", [], "new.csv: has no rows"),
        (b'a,b\n1,2\n"3,4\n', [[1, 2]], "new.csv:3: is not valid CSV"),
    ],
)
def test_good_rows_are_read_and_the_others_told(
    content: bytes, things: list[Any], problem: str
) -> None:
    found, lines = asked_of(content, input=["a", "b"])

    assert found == things
    assert len(lines) == 1
    assert lines[0].startswith(problem)


def test_a_column_of_texts_is_told_once() -> None:
    found, lines = asked_of(b"a\n" + b"x\n" * 50 + b"7\n", input=["a"])

    assert found == []
    assert len(lines) == 1
    assert "no numbers in the column 'a'; the first has 'x'" in lines[0]


def test_wrong_rows_are_told_block_by_block() -> None:
    found, lines = asked_of(b"a\n" + b"1\n" * 2_000 + b"x\n" * 50 + b"7\n", input=["a"])

    assert len(found) == 2_001
    assert [line.split(" ")[0] for line in lines] == [f"new.csv:{n}:" for n in range(2_002, 2_052)]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        list(asked(Table(path=str(tmp_path / "no.csv"), label="y")))
    (tmp_path / "no.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"is damaged, or not a \.parquet file"):
        list(asked(Table(path=str(tmp_path / "no.parquet"), label="y")))


def test_only_a_part_is_in_memory() -> None:
    """A table of 20 MB is read in less than a quarter of that."""
    content = io.BytesIO(b"text\n" + b"0123456789" * 20 + b"\n" + (b"a" * 199 + b"\n") * 100_000)
    rows = asked(Table(path="new.csv", input="text", label="kind"), file=content)
    next(rows)
    tracemalloc.start()
    try:
        count = sum(1 for _ in rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 100_000
    assert peak < 5_000_000


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["new.csv", "new.tsv", "new.jsonl"]))
def test_any_bytes_are_rows_or_our_error(content: bytes, path: str) -> None:
    table = Table(path=path, input="text", label="kind")
    with contextlib.suppress(DataError):
        for name, thing in asked(table, file=io.BytesIO(b"text\n" + content)):
            assert name.startswith(path)
            assert isinstance(thing, str)
