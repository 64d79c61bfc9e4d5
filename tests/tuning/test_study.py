"""The study that processes share: its file, its values, and what gives up trials."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gridcnn.errors import RunFolderError, UserError
from gridcnn.tuning import study as studies
from gridcnn.tuning.space import Dimension, read_space
from gridcnn.tuning.study import make_sampler, open_study, place_of, suggest, value_of
from gridcnn.tuning.trials import importances, read_trials

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
RATE = Dimension("rate", "log_range", low=0.001, high=1.0)


def study_at(storage: Path | str, seed: int = 0, **more: Any) -> Any:
    settings = {"pruner": "none", "epochs": 10, "higher": True, **more}
    return open_study("study", storage, sampler=make_sampler(seed), **settings)


def tried(study: Any, count: int) -> list[float]:
    values = []
    for _ in range(count):
        trial = study.ask()
        values.append(float(suggest(trial, RATE)))
        study.tell(trial, -((values[-1] - 0.1) ** 2))
    return values


def test_values_are_within_their_dimension_and_are_read_back() -> None:
    """Whole numbers are whole, steps are reached without rounding errors, and ends are included."""
    space = read_space(
        _document(
            {
                "epochs": {"range": [3, 9], "step": 2},
                "batch_size": {"log_range": [8, 64]},
                "learning_rate": {"range": [0.1, 0.75], "step": 0.1},
                "warm_up": {"range": [0.5, 0.7]},
                "schedule": {"choose": ["constant", "cosine"]},
            }
        )
    )
    study = optuna.create_study(sampler=make_sampler(3))

    found: dict[str, set[Any]] = {name: set() for name in space.dimensions}
    for _ in range(60):
        trial = study.ask()
        for name, each in space.dimensions.items():
            value = suggest(trial, each)
            found[name].add(value)
            assert value_of(each, trial.params[name]) == value
        study.tell(trial, 0.0)

    assert found["training.epochs"] == {3, 5, 7, 9}
    assert all(isinstance(each, int) and 8 <= each <= 64 for each in found["training.batch_size"])
    assert found["training.learning_rate"] == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}
    assert all(0.5 <= each <= 0.7 for each in found["training.warm_up"])
    assert all(float(f"{each:.4g}") == each for each in found["training.warm_up"])
    assert found["training.schedule"] == {0, 1}


def _document(training: dict[str, Any]) -> Any:
    from gridcnn.settings.document import Document

    return Document({"training": training})


def test_lost_trials_change_no_later_value(tmp_path: Path) -> None:
    """A study that was stopped tries what it would have tried without."""
    whole = tried(study_at(tmp_path / "whole"), 14)
    stopped = study_at(tmp_path / "stopped")

    first = tried(stopped, 6)
    lost = stopped.ask()
    suggest(lost, RATE)
    stopped.tell(lost, state=optuna.trial.TrialState.FAIL)
    second = tried(study_at(tmp_path / "stopped"), 8)

    assert first + second == whole
    assert place_of(stopped, 14) == 13
    assert tried(study_at(tmp_path / "other", seed=1), 6) != first


def test_the_first_trials_are_spread_evenly(tmp_path: Path) -> None:
    """Each eighth of a range has one of eight, each of four values two; also by logarithms."""
    whole = Dimension("whole", "range", low=1, high=4, whole=True)
    log = Dimension("log", "log_range", low=8, high=64, whole=True)
    word = Dimension("word", "choose", labels=("a", "b", "c", "d"))
    study = study_at(tmp_path / "journal", seed=7)
    found: dict[str, list[Any]] = {"rate": [], "whole": [], "log": [], "word": []}
    for _ in range(8):
        trial = study.ask()
        for each in (RATE, whole, log, word):
            found[each.name].append(suggest(trial, each))
        study.tell(trial, 0.0)

    eighths = sorted(int(8 * (1 + math.log10(rate) / 3)) for rate in found["rate"])
    assert eighths == list(range(8))
    assert sorted(found["whole"]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert sorted(found["word"]) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert sum(value < 22 for value in found["log"]) == 4  # the square root of 7.5 * 64.5


def test_a_torn_line_is_removed(tmp_path: Path) -> None:
    """A power cut, or a full disk, may leave half a line."""
    file = tmp_path / "journal"
    tried(study_at(file), 2)
    with file.open("ab") as journal:
        journal.write(b'{"op_code":4,"wor')

    again = study_at(file)

    assert len(again.trials) == 2
    tried(again, 1)
    assert len(study_at(file).trials) == 3


def test_a_process_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    """The lock of a journal is the operating system's."""
    file = tmp_path / "journal"
    program = (
        "from pathlib import Path; from gridcnn.tuning.study import _FileLock; import time; "
        f"_FileLock(Path({str(file)!r})).acquire(); print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()

    start = time.monotonic()
    tried(study_at(file), 1)

    assert time.monotonic() - start < 25  # Optuna's own locks wait for 30 seconds


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("notes.txt", r"notes\.txt is not the file of a study; name another one"),
        ("folder", r"folder: the study cannot be kept there: it is a folder"),
        ("notes.txt/journal", r"notes\.txt/journal: the study cannot be kept there: "),
        ("a\0b", "the study cannot be kept there: "),
        ("nothing://here", "nothing://here: the study cannot be opened there: "),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_line(
    storage: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no file is changed."""
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("to do")
    Path("folder").mkdir()

    with pytest.raises(RunFolderError, match=message) as caught:
        study_at(storage)

    assert len(str(caught.value).splitlines()) == 1
    assert sorted(each.name for each in Path().iterdir()) == ["folder", "notes.txt"]
    assert Path("notes.txt").read_text() == "to do"


def test_any_storage_of_optuna_can_be_used(tmp_path: Path) -> None:
    """By its URL; the values are the same as from a file."""
    url = f"sqlite:///{tmp_path / 'study.db'}"

    assert tried(study_at(url), 3) == tried(study_at(tmp_path / "journal"), 3)
    assert len(study_at(url).trials) == 3


def test_without_optuna_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """That installs it."""
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)

    with pytest.raises(UserError, match=r"python -m pip install 'gridcnn\[tune\]'"):
        studies.need_optuna()


def test_what_mattered_is_found(tmp_path: Path) -> None:
    """Of two settings, the result depends on the first alone."""
    first = Dimension("first", "range", low=0.0, high=1.0)
    second = Dimension("second", "range", low=0.0, high=1.0)
    study = study_at(tmp_path / "journal")
    for number in range(30):
        trial = study.ask()
        values = [float(suggest(trial, each)) for each in (first, second)]
        if number == 2:
            assert importances(study, ["first", "second"], 0) == {}  # too few trials to tell
        study.tell(trial, values[0])

    found = importances(study, ["first", "second"], 0)

    assert list(found) == ["first", "second"]
    assert found["first"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
    assert len(read_trials(study, {"first": first, "second": second})) == 30
