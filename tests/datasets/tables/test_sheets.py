"""Sheets: tables of any cells, a sample of whose rows is read."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyarrow import parquet

from gridcnn.datasets.tables import sheets
from gridcnn.errors import DataError


def every(rows: int) -> NDArray[np.int64]:
    return np.arange(rows)


def some(rows: int) -> NDArray[np.int64]:
    return np.arange(1, rows, 3)


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sheets")


def cells(sheet: sheets.Sheet) -> list[list[Any]]:
    return [[None if _is_nan(c) else c for c in list(column)] for column in sheet.columns]


def _is_nan(cell: Any) -> bool:
    return isinstance(cell, float) and math.isnan(cell)


def test_numbers_and_texts_are_told_apart(tmp_path: Path) -> None:
    """A column of numbers is an array, with NaN for what is missing; others stay as they are."""
    place = written(tmp_path, "a,b,c\n1,x,2020-01-02\n,y,\nNA,,2020-01-03\n")

    sheet = sheets.read(place, every)

    assert sheet.names == ["a", "b", "c"]
    assert sheet.rows == 3
    assert cells(sheet) == [[1.0, None, None], ["x", "y", ""], ["2020-01-02", "", "2020-01-03"]]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_rows_are_those_of_the_csv_module(tmp_path: Path, end: str, bom: bytes) -> None:
    """Quoted separators, quotes and line ends; empty lines are passed over."""
    rows = [["a", "b"], ['x,"y"', "z\nz"], ["é", " q "], ["\u2028", "w"], ["u", "v"]]
    content = io.StringIO(newline="")
    csv.writer(content, lineterminator=end).writerows(rows)
    text = content.getvalue().replace("é", f"{end}é", 1)

    sheet = sheets.read(written(tmp_path, bom + text.encode()), every)

    assert [list(row) for row in zip(*sheet.columns, strict=True)] == rows[1:]
    assert sheet.names == rows[0]


def test_a_sample_of_rows_is_the_same_as_in_all_of_them(tmp_path: Path) -> None:
    """What is kept is what was asked for, whatever lies between."""
    lines = "".join(f'{n},"a,{n}\n{n}",{n * 0.5}\n' for n in range(50))
    place = written(tmp_path, f"n,text,half\n{lines}")

    sheet = sheets.read(place, some)

    assert sheet.rows == 50
    assert sheet.kept.tolist() == some(50).tolist()
    assert list(sheet.columns[0]) == [float(n) for n in some(50)]
    assert list(sheet.columns[1]) == [f"a,{n}\n{n}" for n in some(50)]


@pytest.mark.parametrize(
    ("first", "names"),
    [
        ("1.5,2,3", ["1", "2", "3"]),
        ("0,1,2", ["0", "1", "2"]),
        (",0,1", ["", "0", "1"]),
        ("4,5,6", ["1", "2", "3"]),
        ("a,1,2", ["a", "1", "2"]),
    ],
)
def test_a_first_line_of_numbers_is_a_row(tmp_path: Path, first: str, names: list[str]) -> None:
    """Unless they count, as what pandas calls columns without names."""
    sheet = sheets.read(written(tmp_path, f"{first}\n7,8,9\n"), every)

    assert sheet.names == names
    assert sheet.rows == (2 if names == ["1", "2", "3"] else 1)
    assert bool(sheet.notes) == (sheet.rows == 2)


def test_the_header_can_be_settled(tmp_path: Path) -> None:
    """Where what is found would be wrong."""
    place = written(tmp_path, "5,6\n7,8\n")

    assert sheets.read(place, every, header=True).names == ["5", "6"]
    assert sheets.read(written(tmp_path, "x,y\nz,w\n"), every, header=False).rows == 2


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    """As tables of half of Europe have them, and this is told."""
    sheet = sheets.read(written(tmp_path, "a;b\n1,5;x\n-2,25;y\n"), every)

    assert list(sheet.columns[0]) == [1.5, -2.25]
    assert sheet.notes == ("1 of 2 columns have numbers with a comma before decimals",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: is empty; its first line must name the columns"),
        (b"\n\n", ":1: is empty"),
        (b"a,b\n", ": has not one row"),
        (b"a,b\n1,2\n3\n", ":3: has 1 cell, but the first line names 2; put quotes"),
        (b"1.5,b\n1,2\n\n3,4,5\n", ":4: has 3 cells"),
        ("a,b\n1,é\n".encode("latin-1"), r":2: is no UTF-8 text (byte 0xE9)"),
        ("a,b\n1,2\n".encode("utf-16"), ": is saved as UTF-16"),
        (b'a,b\n1,"2\n3,4\n', ":3: is no valid CSV: unexpected end of data; is a quote"),
        (b"a,b\r1,2\r", ":1: has lines that end with CR alone"),
    ],
)
def test_bad_files_are_told_by_line(tmp_path: Path, content: bytes, message: str) -> None:
    """One line each, with the place."""
    with pytest.raises(DataError, match=re.escape(message)):
        sheets.read(written(tmp_path, content), every)


def test_every_bad_line_is_told_up_to_twenty(tmp_path: Path) -> None:
    """The rest is counted."""
    with pytest.raises(DataError, match="and 5 more problems like these") as caught:
        sheets.read(written(tmp_path, "a,b\n" + "1\n" * 25), every)

    assert len(caught.value.problems) == 21


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_any_texts_survive(folder: Path, rows: list[tuple[str, str]]) -> None:
    """Whatever the csv module writes is read as it was."""
    marked = [(f"<{first}", f"<{second}") for first, second in rows]
    content = io.StringIO(newline="")
    csv.writer(content).writerows([("a", "b"), *marked])

    sheet = sheets.read(written(folder, content.getvalue()), every)

    assert list(zip(*sheet.columns, strict=True)) == marked


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
@given(content=st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_any_bytes_are_read_or_refused(folder: Path, ending: str, content: bytes) -> None:
    """Nothing but `DataError` comes out."""
    place = written(folder, content, f"x{ending}")

    try:
        sheet = sheets.read(place, every)
    except DataError:
        return
    assert all(len(column) == sheet.rows for column in sheet.columns)


def test_json_lines_are_read(tmp_path: Path) -> None:
    """Numbers, texts and null."""
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, {"b": None, "a": 2.5}]
    text = "\n\n".join(json.dumps(row) for row in rows)

    sheet = sheets.read(written(tmp_path, text, "x.jsonl"), every)

    assert cells(sheet) == [[1.0, None, 2.5], ["x", "y", None]]


def test_bad_json_lines_are_told(tmp_path: Path) -> None:
    """By line."""
    text = '{"a": 1, "b": [2]}\n{"a": 1}\n[1]\n{"a": 1, "b": 2, "c": 3}\n{"a"\n'

    with pytest.raises(DataError) as caught:
        sheets.read(written(tmp_path, text, "x.jsonl"), every)

    told = [str(problem).partition("x.jsonl:")[2] for problem in caught.value.problems]
    assert told[0] == "1: has a list in 'b'; a cell is a number, a text or null"
    assert told[1] == "2: has no 'b'; every line must have it, or null"
    assert told[2].startswith("3: is no object")
    assert told[3] == "4: has 'c', which the first line does not have"
    assert told[4].startswith("5:5: is no valid JSON")


def test_parquet_is_read_as_pyarrow_reads_it(tmp_path: Path) -> None:
    """Numbers, booleans, texts and times, in the rows that are asked for."""
    count = 9_000
    table = pa.table(
        {
            "n": pa.array([None if n % 5 == 0 else n for n in range(count)]),
            "yes": [n % 2 == 0 for n in range(count)],
            "text": [f"t{n % 3}" for n in range(count)],
            "__index_level_0__": list(range(count)),
        }
    )
    parquet.write_table(table, tmp_path / "x.parquet", row_group_size=1_000)

    sheet = sheets.read(str(tmp_path / "x.parquet"), some)

    wanted = table.take(some(count))
    assert sheet.names == ["n", "yes", "text"]
    assert sheet.rows == count
    assert cells(sheet)[0] == wanted["n"].to_pylist()
    assert cells(sheet)[1] == [float(value) for value in wanted["yes"].to_pylist()]
    assert cells(sheet)[2] == wanted["text"].to_pylist()


def test_parquet_of_lists_is_refused(tmp_path: Path) -> None:
    """A cell is one value."""
    parquet.write_table(pa.table({"a": [[1], [2]]}), tmp_path / "x.parquet")

    with pytest.raises(DataError, match="the column 'a' holds list<"):
        sheets.read(str(tmp_path / "x.parquet"), every)


def test_progress_is_told(tmp_path: Path) -> None:
    """In bytes, rising, up to all of them."""
    told: list[tuple[int, int]] = []
    place = written(tmp_path, "a,b\n" + "1,2\n" * 5_000)

    sheets.read(place, every, told=lambda done, total: told.append((done, total)))

    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] <= told[-1][1] == Path(place).stat().st_size


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    """By its ending."""
    with pytest.raises(DataError, match=r"a table is \.csv, "):
        sheets.read(written(tmp_path, "a", "x.xlsx"), every)
