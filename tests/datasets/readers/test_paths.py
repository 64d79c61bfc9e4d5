import os
import re
from pathlib import Path
from typing import Any

import pytest

from gridcnn.contracts.source import Dataset, Request
from gridcnn.datasets.readers.paths import Files
from gridcnn.errors import DataError


def opened(path: Any) -> Dataset:
    return Files(path=str(path)).open(Request(suffixes=frozenset({".png"})))


def test_a_source_is_written_as_its_path() -> None:
    assert Files.from_text("my/data").to_text() == "my/data"
    assert Files.from_text("my/data") == Files(path="my/data")


def test_a_relative_path_starts_at_the_base(tmp_path: Path) -> None:
    assert Files(path="../data").resolved(tmp_path / "in").path == str(tmp_path / "data")
    assert Files(path=str(tmp_path)).resolved(Path("elsewhere")).path == str(tmp_path)


def test_home_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    assert Files(path="~/data").resolved(Path("elsewhere")).path == os.path.join(tmp_path, "data")  # noqa: PTH118 - texts


def test_a_csv_file_is_a_manifest(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "list.csv").write_text("path,label\na,X\nb,O\n")

    assert list(opened(tmp_path / "list.csv").labels) == ["X", "O"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data.npy", "one array has no labels"),
        ("data.zip", "unpack it"),
        ("data.tar.gz", "unpack it"),
        ("data.xlsx", "is damaged, or not a .xlsx file"),
        ("data.parquet", "is damaged, or not a .parquet file"),
        ("data.pkl", "can run any program, so gridcnn does not"),
        ("one.PNG", "one picture is not a data set"),
        ("one.wav", "one sound is not a data set"),
        ("xo.yaml", "looks like a spec"),
        ("data", "data is a folder with a folder for each class"),
    ],
)
def test_other_files_are_explained(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(b"something")

    with pytest.raises(DataError, match=re.escape(message)):
        opened(tmp_path / name)


def test_a_path_that_leads_nowhere_is_explained(tmp_path: Path) -> None:
    (tmp_path / "Shapes").mkdir()

    with pytest.raises(DataError, match=r"no such file or folder; did you mean '.*Shapes'\?"):
        opened(tmp_path / "shapse")
    with pytest.raises(
        DataError, match=r"the folder .* does not exist either. Known data sets: xo"
    ):
        opened(tmp_path / "no" / "where")
    with pytest.raises(DataError, match=r"did you mean 'digits'\? Known data sets"):
        opened("digit")
    with pytest.raises(DataError, match="a web address cannot be read"):
        opened("https://example.org/data.npz")
    with pytest.raises(DataError, match="cannot be a path"):
        opened("a\0b")


def test_resolving_never_fails(tmp_path: Path) -> None:
    for path in ("~nobody-of-that-name/x", "a\0b", "https://example.org/x", "."):
        Files(path=path).resolved(tmp_path)
