from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.peers import CONTESTANTS, LAYER, OURS, checks
from benchmarks.peers.process import ContestantError, Process, once
from benchmarks.peers.worker import Settings
from benchmarks.workloads import WORKLOADS

NEEDED = {"pytorch": "torch", "runtimes": "onnx", "xla": "jax"}


def settings(name: str, case: Path, **more: str) -> Settings:
    return Settings(
        name=name,
        case=str(case),
        threads=1,
        options={**dict(CONTESTANTS[name].settings), **more},
        trial=0.0,
    )


@pytest.fixture(params=["xo", "text"])
def workload(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", CONTESTANTS)
def test_contestants_do_the_same_arithmetic(name: str, workload: str, tmp_path: Path) -> None:
    """Votes, loss, gradient and Adam's steps are those of the reference in float64."""
    contestant = CONTESTANTS[name]
    needed = [NEEDED.get(contestant.place.partition(":")[0], "numpy")]
    needed += [name] if needed == ["onnx"] else []
    for package in needed:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if name == "pytorch-compile":
        pytest.skip("compiling every way takes a minute; python -m benchmarks.throughput does it")
    case = WORKLOADS[workload].case(items=2)
    case.save(tmp_path / "case.npz")
    right = checks.expected(case, WORKLOADS[workload].network())
    more = {"engine": "reference"} if name == OURS else {}

    with Process(settings(name, tmp_path / "case.npz", **more)) as process:
        for task in contestant.tasks:
            opened = process.open(task)

            assert not opened["failed"]
            assert not checks.wrong(checks.differences(case, opened["answer"], right))
            assert len(process.turn(task, 0.0)) == 3


def test_a_convolution_is_timed_by_itself(tmp_path: Path) -> None:
    """Each has a task of its own."""
    WORKLOADS["xo"].case(items=2).save(tmp_path / "case.npz")

    with Process(settings(OURS, tmp_path / "case.npz", engine="reference")) as process:
        for number in (1, 2):
            process.open(f"{LAYER}{number}")
            assert min(process.turn(f"{LAYER}{number}", 0.0)) > 0


def test_what_cannot_take_part_says_why(tmp_path: Path) -> None:
    """A contestant that fails is no crash of the benchmark."""
    WORKLOADS["xo"].case(items=2).save(tmp_path / "case.npz")

    with pytest.raises(ContestantError, match="'nothing'"):
        Process(settings(OURS, tmp_path / "case.npz", engine="nothing"))


def test_memory_and_first_use_are_told(tmp_path: Path) -> None:
    """Each by a process of its own, that answers once."""
    WORKLOADS["xo"].case(items=2).save(tmp_path / "case.npz")
    told = settings(OURS, tmp_path / "case.npz", engine="reference")

    first = once(Settings(**{**vars(told), "first": True}))
    memory = once(Settings(**{**vars(told), "memory": "train"}))

    assert first["first"] > 0
    assert first["again"] > 0
    assert memory["peak"] != memory["peak"] or memory["peak"] >= memory["imported"] > 0
