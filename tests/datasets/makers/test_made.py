from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.made import (
    MAKERS,
    Made,
    MadeRows,
    MadeTexts,
    write_files,
)
from gridcnn.datasets.makers.xo import XO
from gridcnn.datasets.readers.paths import Files
from gridcnn.errors import RunFolderError

PNG = frozenset({".png"})


def test_files_hold_the_same_pictures_as_the_source(tmp_path: Path) -> None:
    source = XO(count=5, seed=4)

    count = write_files(source, tmp_path / "made" / "xo")
    files = Files(path=str(tmp_path / "made" / "xo")).open(Request(suffixes=PNG))

    assert count == 5
    assert list(files.names) == [
        "O/00001.png", "O/00002.png", "X/00001.png", "X/00002.png", "X/00003.png"
    ]  # fmt: skip
    pictures = source.pictures(4)
    assert all(
        (np.asarray(Image.open(path)) == picture).all()
        for path, picture in zip(files.things, pictures[[1, 3, 0, 2, 4]], strict=True)
    )


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_files(XO(count=4), tmp_path)

    assert sorted(child.name for child in tmp_path.iterdir()) == ["O", "X"]


def test_a_folder_that_is_in_use_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(RunFolderError, match="holds files already"):
        write_files(XO(count=4), tmp_path)
    assert [child.name for child in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(RunFolderError, match="this is a file"):
        write_files(XO(count=4), tmp_path / "file")
    with pytest.raises(RunFolderError, match="cannot be written to"):
        write_files(XO(count=4), tmp_path / "file" / "below")


@pytest.mark.parametrize("exists", [False, True])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "xo"
    if exists:
        target.mkdir()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_files(XO(count=4), target, advance=stop)
    assert list(tmp_path.rglob("*")) == ([target] if exists else [])


def test_progress_is_told_file_by_file(tmp_path: Path) -> None:
    told: list[int] = []

    write_files(XO(count=6), tmp_path / "xo", advance=told.append)

    assert told == [1] * 6


def test_the_seed_is_used_unless_the_source_has_its_own(tmp_path: Path) -> None:
    write_files(XO(count=2), tmp_path / "a", seed=1)
    write_files(XO(count=2, seed=1), tmp_path / "b", seed=2)

    assert (tmp_path / "a/X/00001.png").read_bytes() == (tmp_path / "b/X/00001.png").read_bytes()


def test_others_may_read_the_folder(tmp_path: Path) -> None:
    write_files(XO(count=2), tmp_path / "xo")
    (tmp_path / "plain").mkdir()

    assert (tmp_path / "xo").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_every_maker_makes() -> None:
    assert all(issubclass(MAKERS[name], Made | MadeTexts | MadeRows) for name in MAKERS)
