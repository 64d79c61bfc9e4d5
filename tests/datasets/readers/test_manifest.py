import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.contracts.source import Dataset
from gridcnn.datasets.readers import manifest
from gridcnn.errors import DataError, Problem


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png", "c,d.png", "in/e.png"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def read(root: Path, text: str | bytes, *, name: str = "list.csv") -> Dataset:
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return manifest.read(root / name)


def told(root: Path, text: str | bytes, **more: Any) -> list[str]:
    try:
        problems: Sequence[Problem] = read(root, text, **more).bad
    except DataError as error:
        problems = error.problems
    place = str(root / more.get("name", "list.csv"))
    return [str(problem).removeprefix(place) for problem in problems]


def test_each_row_is_an_item(root: Path) -> None:
    dataset = read(root, 'path,label\na.png,X\n"c,d.png",O\nin/e.png, X \n')

    assert list(dataset.things) == [str(root / name) for name in ("a.png", "c,d.png", "in/e.png")]
    assert list(dataset.labels) == ["X", "O", "X"]
    assert list(dataset.names) == ["a.png", "c,d.png", "in/e.png"]
    assert dataset.parts is None


def test_labels_are_texts(root: Path) -> None:
    assert read(root, "path,label\na.png,1\nb.png,0\n").classes == ("0", "1")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("path;label\na.png;X\nb.png;O\n", "list.csv"),
        ("path\tlabel\na.png\tX\nb.png\tO\n", "list.csv"),
        ("path\tlabel\na.png\tX\nb.png\tO\n", "list.tsv"),
        ("\ufeffpath,label\r\na.png,X\r\nb.png,O\r\n", "list.csv"),
        ('"path","label"\n"a.png","X"\n\n  \n"b.png","O"', "list.csv"),
        ("more,LABEL, Path\n1,X,a.png\n2,O,b.png\n", "list.csv"),
        ("path,label,split\na.png,X,\nb.png,O,\n", "list.csv"),
    ],
    ids=["semicolons", "tabs", "tsv", "bom", "quotes", "order", "no split"],
)
def test_common_ways_to_write_a_table_are_read(root: Path, text: str | bytes, name: str) -> None:
    dataset = read(root, text, name=name)

    assert list(dataset.names) == ["a.png", "b.png"]
    assert list(dataset.labels) == ["X", "O"]
    assert dataset.parts is None


def test_absolute_paths_are_taken_as_they_are(root: Path, tmp_path: Path) -> None:
    dataset = read(root / "in", f"path,label\n{tmp_path / 'a.png'},X\n../b.png,O\n")

    assert list(dataset.things) == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


def test_the_split_is_used_as_it_is(root: Path) -> None:
    dataset = read(
        root, 'path,label,split\na.png,X,train\nb.png,O,Train\nin/e.png,X,val\n"c,d.png",O,test\n'
    )

    assert dataset.parts == ["train", "train", "validation", "test"]


def test_every_bad_line_is_told(root: Path) -> None:
    lines = told(
        root,
        "path,label,split\n"
        "a.png,X,train\n"
        "b.png,,train\n"
        ",O,train\n"
        "\n"
        "no.png,O,train\n"
        "in/../a.png,O,test\n"
        "in,O,test\n"
        "in/e.png,O,tset\n"
        "in/e.png,O\n"
        '"c,d.png",O,\n'
        "https://here/a.png,X,test\n",
    )

    assert [line.split(" ", 1)[0] for line in lines] == [
        ":3:", ":4:", ":6:", ":7:", ":8:", ":9:", ":10:", ":11:", ":12:"
    ]  # fmt: skip
    assert "the label in 'label' is empty" in lines[0]
    assert "the path is empty" in lines[1]
    assert "there is no file 'no.png'; a relative path starts at" in lines[2]
    assert "is the same file as in line 2, where its label is 'X' and not 'O'" in lines[3]
    assert "'in' is a folder" in lines[4]
    assert "the split 'tset' must be train, validation or test; did you mean 'test'?" in lines[5]
    assert "has 2 cells, but the first line names 3" in lines[6]
    assert "the split is empty; give train, validation or test in every row, or in none" in lines[7]
    assert "is a web address" in lines[8]


def test_a_line_is_counted_from_where_its_row_starts(root: Path) -> None:
    lines = told(root, 'path,label,note\na.png,X,"two\nlines"\nno.png,O,\n')

    assert lines[0].startswith(":4: there is no file 'no.png'")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_the_same_file_through_a_link_is_told(root: Path) -> None:
    (root / "link.png").symlink_to(root / "a.png")
    (root / "there").symlink_to(root / "in")

    lines = told(root, "path,label\na.png,X\nlink.png,O\nin/e.png,X\nthere/e.png,O\n")
    assert "is the same file as in line 2" in lines[0]
    assert "is the same file as in line 4" in lines[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.png,X\n", ":1: has no column 'path'; rename the column 'file' to 'path'"),
        ("path,class\na.png,X\n", ":1: has no column 'label'; rename the column 'class'"),
        (
            "paht,label\na.png,X\n",
            ":1: has no column 'path'; did you mean 'paht'? It has: paht",
        ),
        ("path,path,label\n", ":1: 2 columns are named 'path'; keep one"),
        ("", ":1: is empty; its first line must name the columns"),
        ("\n\n", ":1: is empty"),
        ("path,label\n", ": lists no items"),
        ('path,label\n"a.png,X\nb.png,O\n', "is not valid CSV"),
        (
            b"path,label\na.png,X\nb.png,\xe9\n",
            ":3: is not UTF-8 text from here on (byte 0xe9); save it as UTF-8",
        ),
        ("path,label\na\0b.png,X\n", "there is no file 'a\\x00b.png'"),
        ("path,label\nin\\e.png,X\n", "there is no file 'in\\\\e.png'; write / between folders"),
    ],
)
def test_what_is_wrong_with_a_file_is_explained(
    root: Path, text: str | bytes, message: str
) -> None:
    assert message in told(root, text)[0]


def test_a_file_that_cannot_be_opened_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        manifest.read(tmp_path / "gone.csv")


def test_problems_after_the_twentieth_are_counted(root: Path) -> None:
    lines = told(root, "path,label\n" + "".join(f"no{i}.png,X\n" for i in range(100)))

    assert len(lines) == 22
    assert "and 80 more problems" in lines[-2]
    assert lines[-1] == "none of the 100 items can be read"


cells = st.sampled_from(
    [
        "path",
        "label",
        "split",
        ",",
        ";",
        "\t",
        "\n",
        "\r",
        '"',
        "a.png",
        "train",
        "X",
        "\0",
        " ",
        "é",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.lists(cells, max_size=30).map("".join)))
def test_whatever_a_file_holds_only_data_errors_are_raised(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    file = Path(tmp_path_factory.getbasetemp()) / "fuzz.csv"
    for start in (b"", b"path,label,split\n"):
        file.write_bytes(start + (content if isinstance(content, bytes) else content.encode()))

        with pytest.raises(DataError):
            manifest.read(file)
