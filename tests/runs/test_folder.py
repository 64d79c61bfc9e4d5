"""The run folder."""

import threading
from pathlib import Path

import pytest

from gridcnn.errors import RunFolderError
from gridcnn.runs.folder import claim_folder, write_table


def test_runs_that_start_at_once_get_different_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs never share a number."""
    monkeypatch.chdir(tmp_path)
    claimed: list[Path] = []
    threads = [
        threading.Thread(target=lambda: claimed.append(claim_folder("busy", None)))
        for _ in range(16)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {int(folder.name) for folder in claimed} == set(range(1, 17))


def test_a_place_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder of all runs should be is told of."""
    monkeypatch.chdir(tmp_path)
    Path("runs").write_text("a file")

    with pytest.raises(RunFolderError, match="no run folder can be made"):
        claim_folder("tiny", None)


def test_a_new_folder_is_made_with_all_above_it(tmp_path: Path) -> None:
    """--out makes what is missing, and takes an empty folder."""
    folder = claim_folder("tiny", tmp_path / "a" / "b")

    assert folder.is_dir()
    assert claim_folder("tiny", folder) == folder


def test_tables_quote_what_needs_it(tmp_path: Path) -> None:
    """A file name with a comma or a quote stays one cell."""
    write_table(tmp_path / "t.csv", ("item", "votes"), [('a, "b".png', 0.5)])

    assert (tmp_path / "t.csv").read_text() == 'item,votes\n"a, ""b"".png",0.5\n'
