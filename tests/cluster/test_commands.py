"""Commands on a cluster: the same files, and nothing that stays."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gridcnn

pytestmark = pytest.mark.cluster
CLUSTER = ["--cluster", "local", "--workers", "2", "--threads", "1"]
FEW = {"training.epochs": 1, "data.source.xo.count": 300}
PATIENCE = 300.0  # seconds; on a busy machine all takes long


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gridcnn", *words]


def processes(session: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name, which may hold anything: state, parent, group, session.
            state, _, _, own, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(own) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def assert_same_files(one: Path, other: Path, *names: str) -> None:
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


class Driver:
    """A command that trains for long on a cluster of its own, with all that it starts."""

    def __init__(self, folder: Path) -> None:
        few = ["--set", "training.epochs=3000", "--set", "data.source.xo.count=300"]
        words = command("run", "xo", *few, "--out", "run", *CLUSTER)
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                words, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + PATIENCE
        while not (folder / "run" / "checkpoint.safetensors").exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)
        assert len(processes(self.process.pid)) > 3

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(PATIENCE)

    def assert_nothing_stays(self) -> None:
        end = time.monotonic() + PATIENCE
        while (left := processes(self.process.pid)) and time.monotonic() < end:
            time.sleep(0.2)
        assert not left


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver | None]:
    """A command that was killed at the beginning; the last of its processes end a minute later."""
    if sys.platform != "linux":
        yield None
        return
    driver = Driver(tmp_path_factory.mktemp("killed"))
    driver.end(signal.SIGKILL)
    yield driver


def test_two_workers_write_the_bytes_of_one_process(killed: Any, tmp_path: Path) -> None:
    few = [word for name, value in FEW.items() for word in ("--set", f"{name}={value}")]
    for out, more in (("alone", []), ("shared", CLUSTER)):
        words = command("run", "xo", *few, "--out", out, "--quiet", *more)
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    both = tmp_path / "alone", tmp_path / "shared"
    assert_same_files(*both, "model.safetensors", "predictions.csv")


def few_messages(data: Path, folder: Path) -> Any:
    """Return the source of a table with the first messages of the set."""
    target = folder / "messages.csv"
    with (data / "text_sms_spam" / "sms_spam.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row, _ in zip(csv.reader(file), range(400), strict=False)]
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return {"table": {"path": str(target), "input": "text", "label": "label"}}


def few_digits(data: Path, folder: Path) -> Any:
    """Return the source of a folder with some recordings of each digit."""
    target = folder / "digits"
    for digit in (data / "audio_fsdd" / "test").iterdir():
        (target / digit.name).mkdir(parents=True)
        for clip in sorted(digit.glob("*.wav"))[:10]:
            shutil.copy(clip, target / digit.name)
    return {"files": {"path": str(target)}}


@pytest.mark.parametrize(
    ("spec", "few"), [("sms", few_messages), ("spoken-digits", few_digits)], ids=["sms", "digits"]
)
def test_texts_and_sounds_have_the_bytes_of_one_process(
    spec: str, few: Any, nodes: Any, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("GRIDCNN_DATA", ""))
    if not (folder / "audio_fsdd").is_dir() or not (folder / "text_sms_spam").is_dir():
        pytest.skip(f"the data of {spec} is not here")
    changes = {"data.source": few(folder, tmp_path), "training.epochs": 1}
    options: Any = {"changes": changes, "threads": 1}

    gridcnn.run(spec, out=tmp_path / "alone", **options)
    gridcnn.run(spec, out=tmp_path / "shared", cluster=nodes.address, workers=2, **options)
    both = tmp_path / "alone", tmp_path / "shared"
    assert_same_files(*both, "model.safetensors", "predictions.csv")


@pytest.mark.parametrize(
    ("function", "count", "parts"),
    [
        (gridcnn.cross_validate, {"folds": 2}, ["fold-1", "fold-2"]),
        (gridcnn.repeat, {"repeats": 2}, ["run-1", "run-2"]),
    ],
    ids=["folds", "repeats"],
)
def test_folds_and_repeats_are_spread_and_give_the_same_files(
    function: Any, count: dict[str, int], parts: list[str], nodes: Any, tmp_path: Path
) -> None:
    options: Any = {**count, "changes": FEW, "threads": 1}
    function("xo", out=tmp_path / "alone", **options)
    function("xo", out=tmp_path / "spread", cluster=nodes.address, workers=2, **options)

    both = tmp_path / "alone", tmp_path / "spread"
    names = [f"{part}/{name}" for part in parts for name in ("model.safetensors", "spec.yaml")]
    assert_same_files(*both, *names)


def test_workers_make_the_trials_of_one_search(nodes: Any, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    options: Any = {"changes": FEW, "cluster": nodes.address, "workers": 2}
    gridcnn.tune("xo", trials=4, out=tmp_path / "search", **options)

    found = (tmp_path / "search" / "trials.csv").read_text("utf-8").splitlines()
    assert len(found) == 1 + 4
    assert (tmp_path / "search" / "best.yaml").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what processes there are")
def test_no_process_stays_if_a_command_is_stopped(number: int, tmp_path: Path) -> None:
    """After Ctrl-C it says how the run goes on."""
    driver = Driver(tmp_path)

    driver.end(number)
    driver.assert_nothing_stays()
    if number == signal.SIGINT:
        assert "continue with: gridcnn run --resume run" in driver.log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what processes there are")
def test_no_process_stays_if_a_command_is_killed(killed: Driver) -> None:
    killed.assert_nothing_stays()
