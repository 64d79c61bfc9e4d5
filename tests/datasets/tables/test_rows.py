"""Rows of tables of any cells, a sample of which is read as columns."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyarrow import parquet

from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.columns import table_columns
from gridcnn.datasets.tables.items import opened_rows
from gridcnn.datasets.tables.rows import Cells, Form
from gridcnn.errors import DataError
from gridcnn.progress import Progress


@dataclass
class Sheet:
    """What a check takes from a table."""

    names: list[str]
    columns: list[Cells]
    rows: int
    kept: NDArray[np.int64]
    notes: list[str]


def read(
    place: str, choose: Callable[[int], NDArray[np.int64]], *, told: Any = None, **form: Any
) -> Sheet:
    """Return the chosen rows of a table, which is opened twice: to count rows, and to read them."""
    problems = Problems(place)
    with opened_rows(place, Form(**form), problems, complete=True, advance=told) as rows:
        names, count, settled = rows.names, rows.count(), rows.form
    problems.stop_items()
    kept = choose(count)
    with opened_rows(place, settled, problems, complete=True) as rows:
        columns, notes = table_columns(rows, kept)
    problems.stop()
    return Sheet(names, columns, count, kept, notes)


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


def cells(sheet: Sheet) -> list[list[Any]]:
    return [[None if _is_nan(c) else c for c in list(column)] for column in sheet.columns]


def _is_nan(cell: Any) -> bool:
    return isinstance(cell, float) and math.isnan(cell)


def test_numbers_and_texts_are_told_apart(tmp_path: Path) -> None:
    """A column of numbers is an array, with NaN for what is missing; others stay as they are."""
    place = written(tmp_path, "a,b,c\n1,x,2020-01-02\n,y,\nNA,,2020-01-03\n")

    sheet = read(place, every)

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

    sheet = read(written(tmp_path, bom + text.encode()), every)

    assert [list(row) for row in zip(*sheet.columns, strict=True)] == rows[1:]
    assert sheet.names == rows[0]


def test_a_sample_of_rows_is_the_same_as_in_all_of_them(tmp_path: Path) -> None:
    """What is kept is what was asked for, whatever lies between."""
    lines = "".join(f'{n},"a,{n}\n{n}",{n * 0.5}\n' for n in range(50))
    place = written(tmp_path, f"n,text,half\n{lines}")

    sheet = read(place, some)

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
        ("a,2019,2020", ["a", "2019", "2020"]),
        ("a,1.5,2", ["1", "2", "3"]),
    ],
)
def test_a_first_line_of_numbers_is_a_row(tmp_path: Path, first: str, names: list[str]) -> None:
    """Unless they count, as what pandas calls columns without names, or years."""
    sheet = read(written(tmp_path, f"{first}\n7,8,9\n"), every)

    assert sheet.names == names
    assert sheet.rows == (2 if names == ["1", "2", "3"] else 1)


def test_the_header_can_be_settled(tmp_path: Path) -> None:
    """Where what is found would be wrong."""
    place = written(tmp_path, "5,6\n7,8\n")

    assert read(place, every, header=True).names == ["5", "6"]
    assert read(written(tmp_path, "x,y\nz,w\n"), every, header=False).rows == 2


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    """As tables of half of Europe have them, and this is told."""
    sheet = read(written(tmp_path, "a;b\n1,5;x\n-2,25;y\n"), every)

    assert list(sheet.columns[0]) == [1.5, -2.25]
    assert sheet.notes == ["numbers have a comma before decimals"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: is empty; its first line must name the columns"),
        (b"\n\n", ":1: is empty"),
        (b"a,b\n1,2\n3\n", ":3: has 1 cell, but the first line names 2; put quotes"),
        (b"1.5,b\n1,2\n\n3,4,5\n", ":4: has 3 cells"),
        ("a,b\n1,é\n".encode("latin-1"), ":2: is not UTF-8 text from here on (byte 0xe9)"),
        (b'a,b\n1,"2\n3,4\n', ":3: is not valid CSV: unexpected end of data; is a quotation mark"),
    ],
)
def test_bad_files_are_told_by_line(tmp_path: Path, content: bytes, message: str) -> None:
    """One line each, with the place."""
    with pytest.raises(DataError, match=re.escape(message)):
        read(written(tmp_path, content), every)


def test_different_bad_lines_are_told_up_to_twenty(tmp_path: Path) -> None:
    """The rest is counted."""
    lines = "".join(",".join("1" * (3 + count)) + "\n" for count in range(25))
    with pytest.raises(DataError, match="and 5 more problems like these") as caught:
        read(written(tmp_path, "a,b\n" + lines), every)

    assert len(caught.value.problems) == 21


def test_bad_lines_of_one_kind_are_told_together(tmp_path: Path) -> None:
    """With the lines of the others."""
    with pytest.raises(DataError) as caught:
        read(written(tmp_path, "a,b\n" + "1\n" * 25), every)

    (problem,) = caught.value.problems
    assert problem.line == 2
    assert "has 1 cell, but the first line names 2" in problem.message
    assert "(the same in 24 more: line 3, line 4, " in problem.message


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_any_texts_survive(folder: Path, rows: list[tuple[str, str]]) -> None:
    """Whatever the csv module writes is read as it was."""
    marked = [(f"<{first}", f"<{second}") for first, second in rows]
    content = io.StringIO(newline="")
    csv.writer(content).writerows([("a", "b"), *marked])

    sheet = read(written(folder, content.getvalue()), every)

    assert list(zip(*sheet.columns, strict=True)) == marked


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
@given(content=st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_any_bytes_are_read_or_refused(folder: Path, ending: str, content: bytes) -> None:
    """Nothing but `DataError` comes out."""
    place = written(folder, content, f"x{ending}")

    try:
        sheet = read(place, every)
    except DataError:
        return
    assert all(len(column) == sheet.rows for column in sheet.columns)


def test_json_lines_are_read(tmp_path: Path) -> None:
    """Numbers, texts and null."""
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, {"b": None, "a": 2.5}]
    text = "\n\n".join(json.dumps(row) for row in rows)

    sheet = read(written(tmp_path, text, "x.jsonl"), every)

    assert cells(sheet) == [[1.0, None, 2.5], ["x", "y", None]]


def test_bad_json_lines_are_told(tmp_path: Path) -> None:
    """By line."""
    text = '{"a": 1, "b": [2]}\n{"a": 1}\n[1]\n{"a": 1, "b": 2, "c": 3}\n{"a"\n'

    with pytest.raises(DataError) as caught:
        read(written(tmp_path, text, "x.jsonl"), every)

    told = [str(problem).partition("x.jsonl:")[2] for problem in caught.value.problems]
    assert told[0] == "2: has no 'b'; every line must have it, or null"
    assert told[1].startswith("3: is not an object")
    assert told[2] == "4: has 'c', which the first line does not have"
    assert told[3].startswith("5:5: is not valid JSON")


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

    sheet = read(str(tmp_path / "x.parquet"), some)

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
        read(str(tmp_path / "x.parquet"), every)


def test_progress_is_told(tmp_path: Path) -> None:
    """In bytes, rising, up to all of them."""
    told: list[Progress] = []
    place = written(tmp_path, "a,b\n" + "1,2\n" * 5_000)

    read(place, every, told=told.append)

    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1].done <= told[-1].total == Path(place).stat().st_size


# What is new -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "given"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("cp1252", "cp1252")],
)
def test_encodings_and_line_ends_are_read(
    tmp_path: Path, end: str, encoding: str, given: str | None
) -> None:
    """Marks at the start tell UTF-16; other encodings are named."""
    content = end.join(["name,kind", '"é, ü",a', "ö,b", ""]).encode(encoding)

    sheet = read(written(tmp_path, content), every, encoding=given)

    assert [list(column) for column in sheet.columns] == [["é, ü", "ö"], ["a", "b"]]


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zip"])
@pytest.mark.parametrize("form", [".csv", ".jsonl"])
def test_packed_text_is_read(tmp_path: Path, ending: str, form: str) -> None:
    """As pandas writes it."""
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": ["x", "y", "z"]})
    place = tmp_path / f"t{form}{ending}"
    if form == ".csv":
        frame.to_csv(place, index=False)
    else:
        frame.to_json(place, orient="records", lines=True)

    sheet = read(str(place), every)

    assert cells(sheet) == [[1.5, 2.5, 3.5], ["x", "y", "z"]]


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zip"])
@given(cut=st.integers(0, 60), noise=st.binary(max_size=8))
@settings(max_examples=20, deadline=None)
def test_packed_files_that_are_damaged_are_refused(
    folder: Path, ending: str, cut: int, noise: bytes
) -> None:
    """In one line, whatever the packing's own errors are."""
    place = folder / f"damaged.csv{ending}"
    pd.DataFrame({"a": range(50)}).to_csv(place, index=False)
    place.write_bytes(place.read_bytes()[:-cut] + noise if cut else noise)

    try:
        found = [*read(str(place), every).columns[0]]
    except DataError as error:
        found = [*error.problems]
    # What follows the end of some packed files is ignored.
    assert found == list(range(50)) or len(found) == 1


def test_a_line_without_end_is_refused_early(tmp_path: Path) -> None:
    """Before it fills the memory."""
    place = tmp_path / "t.csv.gz"
    with gzip.open(place, "wb") as file:
        file.write(b"a,b\n")
        for _ in range(40):
            file.write(b"x" * 2**20)

    tracemalloc.start()
    with pytest.raises(DataError, match=":2: has more than 16 MiB, too much for one line"):
        read(str(place), every)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2**27


def test_a_file_of_molecules_has_names_after_each(tmp_path: Path) -> None:
    """Separated by a space or a tab; what CXSMILES adds stays with the SMILES."""
    place = written(
        tmp_path, "CCO ethanol\nCCN\tan amine\n\n# old\nCCC\nCC |$A;B$| ethane\n", "t.smi"
    )

    sheet = read(place, every)

    assert sheet.names == ["smiles", "name"]
    assert [list(column) for column in sheet.columns] == [
        ["CCO", "CCN", "CCC", "CC |$A;B$|"],
        ["ethanol", "an amine", "", "ethane"],
    ]


@pytest.mark.parametrize(
    ("content", "names", "cells"),
    [
        ("SMILES Name\nCCO ethanol\n", ["SMILES", "Name"], [["CCO"], ["ethanol"]]),
        ("smiles\nCCO\n", ["smiles", "name"], [["CCO"]]),
        ("CCO\tM1\t1\nCCN\tM 2\t0\n", ["smiles", "name", "3"], [["CCO", "CCN"], ["M1", "M 2"]]),
        ("SMILES\tID\tactive\nCCO\tM1\t1\n", ["SMILES", "ID", "active"], [["CCO"], ["M1"]]),
    ],
)
def test_a_first_line_may_name_the_columns_of_molecules(
    tmp_path: Path, content: str, names: list[str], cells: list[list[str]]
) -> None:
    """And with tabs there may be more of them than two, with names or without."""
    sheet = read(written(tmp_path, content, "t.smi"), every)

    assert sheet.names == names
    assert [list(column) for column in sheet.columns][: len(cells)] == cells


def test_the_smiles_of_a_file_are_those_that_the_training_calls_otherwise(tmp_path: Path) -> None:
    place = written(tmp_path, "CCO ethanol\n", "t.smi")

    with opened_rows(place, Form(), Problems(place), wanted=["mol"], trained=True) as rows:
        assert rows.names == ["mol", "name"]


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    """Python's own limit is 131,072 characters."""
    long = "good day " * 20_000

    sheet = read(written(tmp_path, f'text,kind\n"{long}, yes",a\nx,b\n'), every)

    assert sheet.columns[0][0] == f"{long}, yes"
