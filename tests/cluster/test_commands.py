"""Commands on a local cluster: the same files, and nothing that stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster
CLUSTER = ["--cluster", "local", "--workers", "2", "--threads", "1"]
FEW = ["--set", "training.epochs=2", "--set", "data.source.xo.count=600"]
PATIENCE = 300.0  # seconds; on a busy machine all takes long


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gridcnn", *words]


def gridcnn(folder: Path, *words: str) -> None:
    done = subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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


@pytest.mark.parametrize("spec", ["xo", "sms", "spoken-digits"])
def test_two_workers_write_the_bytes_of_one_process(spec: str, tmp_path: Path) -> None:
    few = FEW if spec == "xo" else ["--set", "training.epochs=1"]
    for out, more in (("alone", []), ("shared", CLUSTER)):
        words = command("run", spec, *few, "--out", out, "--quiet", *more)
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        if done.returncode == 2 and "GRIDCNN_DATA" in done.stderr:
            pytest.skip(f"the data of {spec} is not here")
        assert done.returncode == 0, done.stdout + done.stderr

    both = tmp_path / "alone", tmp_path / "shared"
    assert_same_files(*both, "model.safetensors", "predictions.csv")


@pytest.mark.parametrize(
    ("way", "parts"),
    [(["--folds", "3"], ["fold-1", "fold-2", "fold-3"]), (["--repeat", "2"], ["run-1", "run-2"])],
)
def test_folds_and_repeats_are_spread_and_give_the_same_files(
    way: list[str], parts: list[str], tmp_path: Path
) -> None:
    gridcnn(tmp_path, "run", "xo", *FEW, *way, "--out", "alone", "--quiet")
    gridcnn(tmp_path, "run", "xo", *FEW, *way, "--out", "spread", "--quiet", *CLUSTER)

    both = tmp_path / "alone", tmp_path / "spread"
    names = [f"{part}/{name}" for part in parts for name in ("model.safetensors", "spec.yaml")]
    assert_same_files(*both, *names)


def test_workers_make_the_trials_of_one_search(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    few = ["--trials", "4", "--set", "training.epochs=1", "--set", "data.source.xo.count=200"]
    gridcnn(tmp_path, "tune", "xo", *few, "--out", "search", "--quiet", *CLUSTER)

    found = (tmp_path / "search" / "trials.csv").read_text("utf-8").splitlines()
    assert len(found) == 1 + 4
    assert (tmp_path / "search" / "best.yaml").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what processes there are")
def test_no_process_stays_however_a_command_ends(number: int, tmp_path: Path) -> None:
    """After Ctrl-C the run goes on with one process, to the end that it would have had."""
    few = ["--set", "training.epochs=300", "--set", "data.source.xo.count=600"]
    words = command("run", "xo", *few, "--out", "run", *CLUSTER)
    log = (tmp_path / "log").open("w")
    driver = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    end = time.monotonic() + PATIENCE
    while not (tmp_path / "run" / "checkpoint.safetensors").exists() and time.monotonic() < end:
        assert driver.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.1)
    assert len(processes(driver.pid)) > 3

    driver.send_signal(number)
    driver.wait(PATIENCE)
    end = time.monotonic() + PATIENCE
    while processes(driver.pid) and time.monotonic() < end:
        time.sleep(0.2)
    assert not processes(driver.pid)
    log.close()
    if number == signal.SIGINT:
        assert "continue with: gridcnn run --resume run" in (tmp_path / "log").read_text()
