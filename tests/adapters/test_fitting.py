"""The adapter that fits things where none is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridcnn.adapters.fitting import are_paths, fitting, fitting_files
from gridcnn.errors import DataError


@pytest.mark.parametrize(
    ("endings", "title"),
    [
        ({".png": 3, ".jpg": 2, ".txt": 9}, "image"),
        ({".wav": 3, "": 2}, "audio"),
        ({".npy": 1, ".npz": 1}, "array"),
        ({".dat": 5}, "image"),
        ({}, "image"),
    ],
)
def test_the_endings_of_files_tell_the_adapter(endings: dict[str, int], title: str) -> None:
    assert fitting_files(endings, "here").title == title


def test_files_of_several_kinds_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        fitting_files({".png": 2, ".flac": 1, ".mp3": 1, ".npy": 3}, "here")

    assert str(caught.value) == (
        "here: holds files of several kinds: 2 pictures, 2 sounds, 3 arrays; name one kind in the "
        "spec: adapter: image or adapter: audio or adapter: array"
    )


def test_files_of_text_are_told_where_texts_are_read_from() -> None:
    with pytest.raises(DataError, match=r"but 3 \.txt; texts are read from a table"):
        fitting_files({".txt": 3, ".md": 1}, "here")


@pytest.mark.parametrize(
    ("things", "title"),
    [
        (["You have won", "See you at eight", "you have won"], "text"),
        (["", "tea", None, float("nan")], "text"),
        (["see cat.png", "good", "bad"], "text"),
        (["a.png", "b.JPG"], "image"),
        (["a.wav", Path("b.ogg")], "audio"),
        ([Path("a"), Path("b")], "image"),
        ([np.zeros(3), np.zeros(3)], "array"),
        ([b"\x89PNG\r\n", b"\xff\xd8\xff"], "image"),
        ([], "image"),
    ],
)
def test_things_tell_the_adapter(things: list[Any], title: str) -> None:
    assert fitting(things).title == title


def test_bytes_of_texts_are_to_be_decoded() -> None:
    """They are no picture, whose first bytes are no text."""
    with pytest.raises(DataError, match=r"hold text.* \[item\.decode\(\) for item in X\]"):
        fitting([None, b"good day", b"\x89PNG"])


def test_texts_that_name_files_are_paths(tmp_path: Path) -> None:
    """Half of them are enough, whatever the files are called."""
    (tmp_path / "scan").touch()

    assert are_paths([str(tmp_path / "scan"), "good morning"])
    assert not are_paths([str(tmp_path / "scan"), "good morning", "good night"])
    assert not are_paths([str(tmp_path), "good morning"])  # a folder is no file


@pytest.mark.parametrize(
    "things",
    [
        pd.Series(["tea", "sun"], index=[7, 8]),
        np.array(["tea", "sun"]),
        np.array(["tea", "sun"], object),
        ("tea", "sun\0", "x" * 10_000),
    ],
)
def test_texts_may_come_in_any_sequence(things: Any) -> None:
    assert not are_paths(things)


@pytest.mark.parametrize(
    "things", [np.zeros((2, 2)), pd.DataFrame({"a": ["x"]}), "tea", 3, {"a": 1}, ["tea", 3]]
)
def test_of_others_that_is_no_question(things: Any) -> None:
    assert are_paths(things)
