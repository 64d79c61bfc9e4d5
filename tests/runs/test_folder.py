"""The run folder."""

import os
import threading
from pathlib import Path

import pytest
from pydantic import BaseModel, field_serializer
from pydantic_core import PydanticSerializationError

from gridcnn.errors import DataError, RunFolderError, TrainingInterrupted
from gridcnn.runs.folder import RunFolder, Way, write_json, write_table
from gridcnn.runs.lock import NAME as LOCK
from gridcnn.spec.models import Spec

WAY = Way("run")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def held(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def claim(out: str | None) -> RunFolder:
    return RunFolder.claim("tiny", out, WAY)


def end(folder: RunFolder, error: BaseException, *more: str) -> None:
    """Let an error end a run that has begun, and written `more` folders."""
    with folder, folder.stoppable():
        folder.begin(Spec(), {"check.json": {}})
        for name in more:
            (folder.path / name).mkdir()
        raise error


def stop(folder: RunFolder) -> None:
    """Press Ctrl-C in a run that has begun."""
    with pytest.raises(TrainingInterrupted):
        end(folder, KeyboardInterrupt())


# Claiming


def test_runs_that_start_at_once_get_different_folders() -> None:
    """Two runs never share a number."""
    claimed: list[Path] = []
    threads = [
        threading.Thread(target=lambda: claimed.append(RunFolder.claim("busy", None, WAY).path))
        for _ in range(16)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {int(folder.name) for folder in claimed} == set(range(1, 17))


def test_one_of_many_that_claim_the_same_folder_gets_it() -> None:
    """The others are refused, and name the process that has it."""
    claimed: list[RunFolder] = []
    refused: list[str] = []
    start = threading.Barrier(8)

    def compete() -> None:
        start.wait()
        try:
            claimed.append(claim("out"))
        except RunFolderError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == 1
    assert len(refused) == 7
    assert all(text.startswith("out is in use by another run") for text in refused)
    named = rf"another run \(process {os.getpid()} on \S+\); wait until"
    with pytest.raises(RunFolderError, match=named):
        claim("out")


def test_a_place_that_cannot_be_written_to_is_named() -> None:
    """A file where the folder of all runs should be is reported."""
    Path("runs").write_text("a file")

    with pytest.raises(RunFolderError, match="no run folder can be made"):
        claim(None)


def test_a_new_folder_is_made_with_all_above_it() -> None:
    """--out makes what is missing, and takes an empty folder."""
    Path("empty").mkdir()

    for out in ("a/b", "empty"):
        with claim(out) as folder:
            assert folder.path == Path(out)
            assert folder.is_new
            write_json(folder.path / "metrics.json", {})
        assert held(Path(out)) == {"metrics.json"}


@pytest.mark.parametrize("name", ["thesis.txt", "spec.yaml", ".spec.yaml.0123.part", LOCK])
def test_a_folder_that_holds_files_of_others_is_left_as_it_is(name: str) -> None:
    """Also if they are called like those of a run."""
    Path("used").mkdir()
    Path("used", name).write_text("mine")

    with pytest.raises(RunFolderError, match=rf"used is not empty \(it holds {name}\); give a fol"):
        claim("used")
    assert held(Path("used")) == {name}
    assert Path("used", name).read_text() == "mine"


@pytest.mark.parametrize("left", [(), ("folds.json",), ("check.json", ".spec.yaml.0123.part")])
def test_a_folder_that_a_killed_run_has_left_without_a_spec_is_used_again(
    left: tuple[str, ...],
) -> None:
    """What it had begun is removed."""
    Path("killed").mkdir()
    Path("killed", LOCK).write_text("gridcnn: process 1 on nowhere\n")
    for name in left:
        Path("killed", name).write_text("{")

    with pytest.raises(RunFolderError, match="run its spec again, with --out killed"):
        RunFolder.reopen(Path("killed"), WAY)
    with claim("killed") as folder:
        assert held(folder.path) == {LOCK}
        write_json(folder.path / "metrics.json", {})


def test_an_unfinished_folder_says_how_it_goes_on() -> None:
    """It is not taken for a new run."""
    stop(claim("stopped"))

    with pytest.raises(RunFolderError, match="or continue its run: gridcnn run --resume stopped"):
        claim("stopped")
    assert held(Path("stopped")) == {LOCK, "spec.yaml", "check.json"}


# Going on


def test_a_run_that_goes_on_holds_its_folder() -> None:
    """No second one goes on, until it has stopped or ended."""
    stop(claim("run"))

    with RunFolder.reopen(Path("run"), WAY) as folder:
        assert not folder.is_new
        with pytest.raises(RunFolderError, match="run is in use by another run"):
            RunFolder.reopen(Path("run"), WAY)
        with pytest.raises(RunFolderError, match="run is in use by another run"):
            claim("run")
    with RunFolder.reopen(Path("run"), WAY) as folder:
        folder.end({})
    assert held(Path("run")) == {"spec.yaml", "check.json", "metrics.json"}


def test_what_a_killed_run_has_left_half_written_is_removed() -> None:
    stop(claim("run"))
    Path("run/.history.csv.0123.part").write_text("half")

    with RunFolder.reopen(Path("run"), WAY):
        assert held(Path("run")) == {LOCK, "spec.yaml", "check.json"}


# Leaving


def test_a_new_run_that_fails_leaves_nothing() -> None:
    """Neither the folder nor those that were made for it; others stay."""
    Path("kept").mkdir()

    for out in (None, "a/b/c", "kept/run", "kept"):
        with pytest.raises(DataError, match="bad"):
            end(claim(out), DataError("bad"))
    assert held(Path()) == {"kept"}
    assert held(Path("kept")) == set()


def test_a_run_that_is_stopped_before_training_leaves_nothing() -> None:
    def stop_at_once() -> None:
        with claim("run") as folder, folder.stoppable():
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted, match="nothing was written") as caught:
        stop_at_once()
    assert caught.value.folder is None
    assert held(Path()) == set()


def test_ctrl_c_while_pydantic_writes_is_ctrl_c() -> None:
    """Pydantic makes an error of its own of whatever comes out of a serializer."""

    class Slow(BaseModel):
        value: int

        @field_serializer("value")
        def _interrupt(self, value: int) -> int:
            raise KeyboardInterrupt

    with pytest.raises(PydanticSerializationError) as caught:
        Slow(value=1).model_dump_json()

    with pytest.raises(TrainingInterrupted):
        end(claim("run"), caught.value)


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "fold-1"])
def test_what_is_worth_keeping_is_kept_when_a_run_fails(name: str) -> None:
    with pytest.raises(DataError, match="bad"):
        end(claim("run"), DataError("bad"), name)

    assert held(Path("run")) == {LOCK, "spec.yaml", "check.json", name}


def test_a_part_is_held_like_the_whole() -> None:
    """A fold is a run of its own; what stops it names the whole."""
    with claim("run") as folder:
        folder.begin(Spec(), {"folds.json": {}})
        with pytest.raises(DataError, match="bad"):
            end(folder.part("fold-1"), DataError("bad"))
        assert not Path("run/fold-1").exists()
        part = folder.part("fold-1")
        with pytest.raises(RunFolderError, match="run/fold-1 is in use by another run"):
            claim("run/fold-1")
        with pytest.raises(TrainingInterrupted, match=r"gridcnn run --resume run$") as caught:
            end(part, KeyboardInterrupt())
        assert caught.value.folder == Path("run")
        with folder.part("fold-1") as part:
            assert not part.is_new
            part.end({})
        folder.end({})

    assert held(Path("run")) == {"spec.yaml", "folds.json", "metrics.json", "fold-1"}
    assert held(Path("run/fold-1")) == {"spec.yaml", "check.json", "metrics.json"}


def test_tables_quote_what_needs_it(tmp_path: Path) -> None:
    """A file name with a comma or a quote stays one cell."""
    write_table(tmp_path / "t.csv", ("item", "votes"), [('a, "b".png', 0.5)])

    assert (tmp_path / "t.csv").read_text() == 'item,votes\n"a, ""b"".png",0.5\n'
