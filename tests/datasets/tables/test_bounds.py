"""Tables that are small on disk and large in memory: refused before, or read in parts."""

from __future__ import annotations

import errno
import gzip
import io
import itertools
import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gridcnn.contracts.source import Dataset, Request
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables import lines, rows, store
from gridcnn.datasets.tables.columns import look_at
from gridcnn.datasets.tables.items import opened_rows
from gridcnn.datasets.tables.pages import largest_page
from gridcnn.datasets.tables.rows import Form
from gridcnn.datasets.tables.sheets import sheets_size, tables_size
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError, Problem

pa = pytest.importorskip("pyarrow")
feather = pytest.importorskip("pyarrow.feather")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let 20 MB of memory be usable."""
    usable = 20_000_000
    monkeypatch.setattr("gridcnn.cores.usable_memory", lambda: usable)
    monkeypatch.setattr(store, "usable_memory", lambda: usable)
    return usable


def read(path: Path, **more: Any) -> Dataset:
    return Table(path=str(path), label="kind", **more).open(Request())


def refused(path: Path, **more: Any) -> str:
    """Return why a table is not read: one line, after little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            read(path, **more)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert len(caught.value.problems) == 1
    return str(caught.value)


def constant(rows: int, **columns: Any) -> Any:
    kinds = pa.DictionaryArray.from_arrays(
        pa.array((np.arange(rows) % 2).astype(np.int32)), pa.array(["a", "b"])
    )
    return pa.table({**columns, "kind": kinds})


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_rows_are_counted_before_they_are_read(tmp_path: Path, little: int, name: str) -> None:
    """A million rows of a constant are a few kilobytes."""
    table = constant(1_000_000, u=pa.array(np.ones(1_000_000)))
    write = parquet.write_table if name.endswith("parquet") else feather.write_feather
    write(table, tmp_path / name, compression="zstd")
    assert (tmp_path / name).stat().st_size < little / 50

    told = refused(tmp_path / name)

    assert "1,000,000 rows, which take about 300.0 MB of memory, and 20.0 MB are usable" in told
    assert "give a part of the rows" in told


@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
def test_a_page_is_compared_with_memory_before_it_is_unpacked(
    tmp_path: Path, little: int, compression: str
) -> None:
    """Whatever the list of columns says; texts in small pages are read."""
    text = "x" * 200_000
    texts = pa.array([f"{n}{text}" for n in range(60)])
    for name, size in (("large", 2**30), ("small", 2**17)):
        parquet.write_table(
            constant(60, text=texts), tmp_path / f"{name}.parquet", compression=compression,
            data_page_size=size, use_dictionary=["kind"], write_batch_size=1,
        )  # fmt: skip
    content = (tmp_path / "large.parquet").read_bytes()

    told = refused(tmp_path / "large.parquet", input="text")
    assert "large.parquet: has a page in the column 'text' that is too large: 24.0 MB of" in told
    assert told.endswith(f"and {little // 10**6}.0 MB are usable here; write it in smaller pages")
    assert len(read(tmp_path / "small.parquet", input="text")) == 60

    # The list of columns is at the end of the file, and says how large all pages are together.
    about = parquet.ParquetFile(tmp_path / "large.parquet").metadata.row_group(0).column(0)
    place = content.rindex(varint(about.total_uncompressed_size))
    lie = content[:place] + varint(2**20 + 5) + content[place + 4 :]
    (tmp_path / "lie.parquet").write_bytes(lie)
    assert refused(tmp_path / "lie.parquet", input="text") == told.replace("large.p", "lie.p")


def varint(number: int) -> bytes:
    """Return a number as Parquet writes it."""
    number, found = 2 * number, bytearray()
    while number >= 128:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not end"),
        (b"\x15\x00\x15", "does not end"),
        (b"\x15\x00\x00", "no sizes"),
        (b"\x1b\x00", "no known type"),
        (b"\x15" + b"\xff" * 20, "a number does not end"),
        (b"\x1c" * 20, "too deep"),
    ],
)
def test_what_is_no_page_has_no_size(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        largest_page(io.BytesIO(content), 0, 10)


def test_numbers_are_compared_with_the_disk_as_well(
    tmp_path: Path, little: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What memory has no room for would be written there."""
    table = constant(2_000, **{f"x{n}": pa.array(np.ones(2_000)) for n in range(500)})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert len(read(tmp_path / "t.parquet")) == 2_000

    usage = type("Usage", (), {"free": 15_000_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    told = refused(tmp_path / "t.parquet")
    assert "2,000 rows of 500 numbers, which take 8.0 MB" in told
    assert "and 7.5 MB of the disk" in told


@pytest.mark.parametrize("ending", ["csv.gz", "jsonl.gz"])
def test_packed_text_is_read_until_it_is_too_much(tmp_path: Path, little: int, ending: str) -> None:
    """How many rows it has shows only then."""
    row = "1,a\n2,b\n" if ending == "csv.gz" else '{"u": 1, "kind": "a"}\n'
    head = "u,kind\n" if ending == "csv.gz" else ""
    path = tmp_path / f"t.{ending}"
    path.write_bytes(gzip.compress(head.encode()) + 50 * gzip.compress(row.encode() * 2_000))

    told = refused(path)

    assert "has at least " in told
    assert f"{little // 10**6}.0 MB are usable here" in told


@pytest.mark.parametrize("ending", ["csv.gz", "jsonl.gz", "csv"])
def test_text_is_refused_as_soon_as_it_is_certain(
    tmp_path: Path, little: int, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a quick look at the ends of lines, once a part of the memory is needed for its rows."""
    row = '{"u": 1, "kind": "a"}\n' if "json" in ending else "1,a\n"
    content = ("" if "json" in ending else "u,kind\n").encode() + row.encode() * 100_000
    path = tmp_path / f"t.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    counted: list[int] = []
    add = store.Allowance.add

    def counting(self: store.Allowance, rows: int, least: Any) -> None:
        counted.append(rows)
        add(self, rows, least)

    monkeypatch.setattr(store.Allowance, "add", counting)

    told = refused(path)

    assert "has at least " in told
    assert sum(counted) <= little // 300 // 16 + 4_096


def test_quoted_line_ends_are_no_rows(tmp_path: Path, little: int) -> None:
    """A text of many lines is one; blank lines are none."""
    del little
    text = "line\n" * 40
    rows = [f'"{text}",{"ab"[n % 2]}\n' for n in range(6_000)]
    (tmp_path / "t.csv").write_text("text,kind\n" + "".join(rows))
    blank = "\n" * 80_000 + "\r\n" * 80_000
    (tmp_path / "blank.csv").write_text("u,kind\n" + "1,a\n2,b\n" * 5_000 + blank, newline="")

    assert len(read(tmp_path / "t.csv", input="text")) == 6_000
    assert len(read(tmp_path / "blank.csv")) == 10_000


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n3,4\n", 3),
        ("\n\na\n\n\nb\r\n\r\n\r\nc\n", 3),
        ("a\r\nb\r\n", 2),
        ("a\nb", 1),
        ('a\nb\n"c\n\n"\n', 4),
        ("", 0),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_lines_are_counted(
    tmp_path: Path, text: str, rows: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that hold anything and have an end, whatever pieces the file is read in."""
    monkeypatch.setattr(lines, "_CHUNK", chunk)
    (tmp_path / "t.csv").write_text(text, newline="")

    assert lines.count_lines(str(tmp_path / "t.csv"), 100, quoting=False) == rows
    assert lines.count_lines(str(tmp_path / "t.csv"), 100, quoting=True) <= rows


def ods(path: Path, *tables: str) -> None:
    """Write the file in which OpenDocument keeps tables."""
    inside = "".join(f'<table:table table:name="T">{table}</table:table>' for table in tables)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("content.xml", f"<office:spreadsheet>{inside}</office:spreadsheet>")


def ods_row(*cells: str, times: int = 1) -> str:
    again = f' table:number-rows-repeated="{times}"' if times > 1 else ""
    return f'<table:table-row table:style-name="r"{again}>{"".join(cells)}</table:table-row>'


def ods_cell(times: int = 1, *, empty: bool = False) -> str:
    again = f' table:number-columns-repeated="{times}"' if times > 1 else ""
    if empty:
        return f"<table:table-cell{again}/>"
    value = 'office:value-type="float" office:value="1"'
    return f"<table:table-cell {value}{again}><text:p>1</text:p></table:table-cell>"


USUAL = ods_row(ods_cell(), ods_cell(), ods_cell(16_382, empty=True))


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        (USUAL * 3, 6),
        (USUAL * 3 + ods_row(ods_cell(16_384, empty=True), times=10**6) * 2, 6),
        (ods_row(ods_cell(10**9)), 10**9),
        (USUAL + ods_row(ods_cell(), times=10**9), 2 * (10**9 + 1)),
        (ods_row(ods_cell(10**6, empty=True), ods_cell()), 10**6 + 1),
        (USUAL + ods_row(ods_cell(empty=True), times=10**6) + USUAL, 2 * (10**6 + 2)),
        ("", 0),
    ],
)
def test_repeated_cells_of_opendocument_count(tmp_path: Path, table: str, cells: int) -> None:
    """Empty ones do if others follow, as in the files of every office suite they do not."""
    ods(tmp_path / "t.ods", USUAL, table)
    with zipfile.ZipFile(tmp_path / "t.ods") as archive:
        size = archive.getinfo("content.xml").file_size

    assert tables_size(str(tmp_path / "t.ods")) == 20 * size + 32 * max(2, cells)


def test_opendocument_tables_are_compared_with_memory(tmp_path: Path, little: int) -> None:
    del little
    ods(tmp_path / "t.ods", ods_row(ods_cell(10**9)))
    ods(tmp_path / "large.ods", USUAL * 20_000)
    assert (tmp_path / "large.ods").stat().st_size < 50_000

    for name in ("t.ods", "large.ods"):
        assert "is too large to be read as a whole" in refused(tmp_path / name)


def test_a_text_that_all_rows_share_is_kept_once(tmp_path: Path, little: int) -> None:
    """20,000 times 100,000 characters are two gigabytes."""
    del little
    text, count = "x" * 100_000, 20_000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text]))
    parquet.write_table(constant(count, text=texts), tmp_path / "t.parquet")
    feather.write_feather(constant(count, text=texts), tmp_path / "t.feather")

    for name in ("t.parquet", "t.feather"):
        tracemalloc.start()
        dataset = read(tmp_path / name, input="text")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert len(dataset) == count
        assert dataset.things[0] == dataset.things[count - 1] == text
        assert peak < 20_000_000


def test_pictures_that_all_rows_share_are_kept_once(tmp_path: Path) -> None:
    """As they stand in files of the form {bytes, path}; a missing one is None."""
    content = bytes(100_000)
    cells = [{"bytes": content, "path": None}] * 3_000 + [None, {"bytes": None, "path": "p.png"}]
    parquet.write_table(pa.table({"image": pa.array(cells)}), tmp_path / "t.parquet")
    del cells

    tracemalloc.start()
    with opened_rows(
        str(tmp_path / "t.parquet"), Form(), Problems(str(tmp_path / "t.parquet"))
    ) as table:
        found = [cell for block in table.blocks([0]) for cell in block.columns[0]]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found == [content] * 3_000 + [None, "p.png"]
    assert peak < 10_000_000


def test_lists_are_read_as_arrays_of_bounded_blocks(tmp_path: Path) -> None:
    """Their lengths may differ, and they may lack a number or all."""
    cells = [[1, None], [], None, [2.5], *([[1.0] * 50_000] * 100)]
    table = pa.table({"l": pa.array(cells, pa.list_(pa.float64()))})
    parquet.write_table(table, tmp_path / "t.parquet")
    feather.write_feather(table, tmp_path / "t.feather")

    for name in ("t.parquet", "t.feather"):
        path = str(tmp_path / name)
        with opened_rows(path, Form(), Problems(path)) as opened:
            blocks = list(opened.blocks([0]))
        found = list(itertools.chain.from_iterable(block.columns[0] for block in blocks))

        assert found[2] is None
        np.testing.assert_array_equal(found[0], [1, np.nan])
        assert [len(each) for each in found if each is not None] == [2, 0, 1, *([50_000] * 100)]
        assert name == "t.feather" or len(blocks) > 1


def test_only_groups_with_rows_that_are_kept_are_read(tmp_path: Path) -> None:
    """And rows keep their numbers."""
    table = pa.table({"u": pa.array(np.arange(1_000))})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=10)
    path = str(tmp_path / "t.parquet")
    kept = np.array([0, 9, 10, 555, 999])

    with opened_rows(path, Form(), Problems(path)) as opened:
        blocks = list(opened.blocks([0], kept=kept))

    assert [place for block in blocks for place in block.places] == kept.tolist()
    assert [cell for block in blocks for cell in block.columns[0]] == kept.tolist()
    assert len(blocks) == 4


def test_lines_of_millions_of_cells_are_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block is bounded by its cells and by its characters, and a row by its cells."""
    monkeypatch.setattr(rows, "_CELLS", 1_000)
    monkeypatch.setattr(rows, "_CHARACTERS", 5_000)
    for name, head, row, most in (
        ("cells.csv", "kind" + ",u" * 300, "1" + ",1" * 300, 4),
        ("long.csv", "kind,u", f"{'x' * 2_000},1", 6),
    ):
        (tmp_path / name).write_text("\n".join([head, *[row] * 20]))
        path = str(tmp_path / name)
        with opened_rows(path, Form(), Problems(path)) as table:
            blocks = list(table.blocks([0, 1]))
        assert sum(len(block.places) for block in blocks) == 20
        if name == "long.csv":
            assert max(len(block.places) for block in blocks) <= most

    monkeypatch.setattr(rows, "_MOST_COLUMNS", 100)
    with pytest.raises(DataError, match=r"cells.csv:1: has more than 100 cells, too many"):
        read(tmp_path / "cells.csv")


def test_a_look_at_a_wide_table_takes_few_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridcnn.datasets.tables.columns._CELLS", 5_000)
    monkeypatch.setattr(rows, "_CELLS", 1_000)
    names = [*(f"x{n}" for n in range(99)), "kind"]
    line = ",".join(["1.5"] * 99)
    (tmp_path / "t.csv").write_text(
        "\n".join([",".join(names), *(f"{line},{'ab'[n % 2]}" for n in range(1_000))])
    )

    assert look_at(str(tmp_path / "t.csv"), label="kind").label == "kind"


def test_problems_end_where_memory_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A packed file can have millions of rows that are wrong."""
    monkeypatch.setattr("gridcnn.datasets.problems._LOOK", 100)
    monkeypatch.setattr("gridcnn.datasets.problems._PROBLEM", 10**6)
    monkeypatch.setattr("gridcnn.cores.usable_memory", lambda: 250 * 10**6)
    found = Problems("t.csv")

    def fill() -> None:
        for number in range(1_000):
            found.add_item(number, Problem("is wrong", source="t.csv", line=number))

    with pytest.raises(DataError, match=r"more than 300 items that cannot be used; 300\.0 MB"):
        fill()


def test_what_is_written_to_disk_leaves_it_room(
    monkeypatch: pytest.MonkeyPatch, little: int
) -> None:
    """Before it is full."""
    del little
    monkeypatch.setattr(store, "_LOOK", 10**6)
    usage = type("Usage", (), {"free": 20_000_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    numbers = store.NumberStore(1_000)

    def fill() -> None:
        for _ in range(100):
            numbers.add(np.ones((125, 1_000)))

    with pytest.raises(DataError, match=r"of the disk of .*: \d+\.\d MB of it were written"):
        fill()


def test_things_come_back_from_disk_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts, bytes and arrays of any shape, repeated or not; an empty one as well."""
    given: list[Any] = ["a", "", b"", b"a", "a", "ü" * 500, b"a" * 500, "a" * 500]
    arrays = [np.arange(3.0), np.ones((2, 2)), np.zeros(0)]
    for most in (0, 200, 10**9):
        monkeypatch.setattr(store, "_most", lambda most=most: most)
        things, kept = store.ThingStore(), store.ThingStore()
        things.add(given * 3)
        kept.add(arrays)

        assert list(things.all()) == given * 3
        assert [type(each) for each in things.all()] == [type(each) for each in given * 3]
        for found, array in zip(kept.all(), arrays, strict=True):
            np.testing.assert_array_equal(found, array, strict=True)


def test_equal_things_take_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory they are one object, and on disk they stand once."""
    kept = store.ThingStore()
    kept.add("".join(["x"] * 10_000) for _ in range(100))
    assert len({id(each) for each in kept.all()}) == 1

    monkeypatch.setattr(store, "_most", lambda: 0)
    spilled = store.ThingStore()
    spilled.add("".join(["x"] * 10_000) for _ in range(100))
    found = spilled.all()
    assert isinstance(found, store.SpilledThings)
    assert len(found) == 100
    assert found[99] == "x" * 10_000
    assert found._spill.length == 10_000


def test_a_cell_far_away_is_refused(tmp_path: Path, bombs: ModuleType) -> None:
    """Pandas makes all cells before it: five kilobytes took five gigabytes."""
    pytest.importorskip("openpyxl")
    far = '<row r="1000000"><c r="XFD1000000"><v>1</v></c></row>'
    wide = f"<row>{'<c><v>1</v></c>' * 5_000}</row>{'<row><c><v>1</v></c></row>' * 200_000}"
    for name, cells, least in (("far", far, 10**6 * 16_384), ("wide", wide, 200_001 * 5_000)):
        path = tmp_path / f"{name}.xlsx"
        bombs.xlsx(path, cells)
        assert sheets_size(str(path)) >= 32 * least

        told = refused(path)
        assert "is too large to be read as a whole" in told
        assert "save it as Parquet or CSV" in told


def test_a_usual_sheet_takes_little(tmp_path: Path, bombs: ModuleType) -> None:
    """Whatever the form of its tags."""
    pytest.importorskip("openpyxl")
    for cells in (
        '<row r="1"><c r="A1" t="str"><v>u</v></c><c r="B1" t="str"><v>kind</v></c></row>'
        "<row><c><v>1</v></c><c t='str'><v>a</v></c></row>",
        "<row r='1'\n><c t='str' r='A1'><v>u</v></c><c r='B1' t='str'><v>kind</v></c></row>"
        "<row r='2'/><row r='3'><c/></row>",
    ):
        path = tmp_path / "t.xlsx"
        bombs.xlsx(path, cells)
        with zipfile.ZipFile(path) as archive:
            size = sum(each.file_size for each in archive.infolist())
        number = 2 if "r='3'" not in cells else 3
        assert sheets_size(str(path)) == 6 * size + 32 * number * 2


@pytest.mark.parametrize(
    "error",
    [MemoryError("no room"), OSError(errno.ENOMEM, "Cannot allocate memory")],
    ids=["object", "map"],
)
@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.csv"])
def test_what_memory_cannot_hold_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    """Also where it shows only in reading, and whatever the library says."""
    table = constant(10, u=pa.array(np.ones(10)))
    parquet.write_table(table, tmp_path / "t.parquet")
    feather.write_feather(table, tmp_path / "t.feather")
    (tmp_path / "t.csv").write_text("u,kind\n" + "1,a\n" * 10)

    def fail(_: Any) -> Any:
        raise error

    monkeypatch.setattr(store.NumberStore, "all", fail)
    told = refused(tmp_path / name)
    assert "does not fit into memory (" in told
    assert told.endswith("give a part of it, or allow this process more")


def test_manifests_are_bounded_as_well(tmp_path: Path, little: int) -> None:
    """Lists of files have rows like others."""
    del little
    from gridcnn.datasets.readers import manifest

    path = tmp_path / "list.jsonl.gz"
    row = json.dumps({"path": "a.png", "label": "x"}).encode() + b"\n"
    path.write_bytes(50 * gzip.compress(row * 2_000))

    with pytest.raises(DataError, match=r"has at least 7.* rows, which take about"):
        manifest.read(str(path))
