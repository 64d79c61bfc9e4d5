from __future__ import annotations

import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.peers import CONTESTANTS, LAYER, OURS, checks
from benchmarks.peers.process import ContestantError, Process, once
from benchmarks.peers.worker import PROCESSOR, Settings, repeat
from benchmarks.workloads import WORKLOADS, Workload
from gridcnn.grid import GridShape

NEEDED = {"pytorch": "torch", "runtimes": "onnx", "xla": "jax"}

SMALL = replace(
    WORKLOADS["resnet"],
    name="small",
    shape=GridShape(3, 8, 8),
    stages=(
        {"convolution": {"filters": 4, "stride": 2, "bias": False}},
        "normalization",
        "rectification",
        {"parallel": [[{"convolution": {"filters": 3}}], ["normalization", "rectification"]]},
        {
            "skip": [
                {"convolution": {"filters": 7, "groups": "channels"}},
                {"pooling": {"window": 2}},
            ]
        },
        {"skip": ["rectification", {"convolution": {"filters": 7, "kernel_size": 1}}]},
        {"pooling": {"window": "all", "mode": "mean"}},
    ),
)
"""Everything that a description of a network can have inside."""


def settings(name: str, case: Path, **more: str) -> Settings:
    return Settings(
        name=name,
        case=str(case),
        threads=1,
        options={**dict(CONTESTANTS[name].settings), **more},
        trial=0.0,
    )


@pytest.mark.parametrize("name", CONTESTANTS)
@pytest.mark.parametrize(
    "workload",
    [WORKLOADS["xo"], WORKLOADS["text"], WORKLOADS["branches"], SMALL],
    ids=lambda each: str(each.name),
)
def test_contestants_do_the_same_arithmetic(name: str, workload: Workload, tmp_path: Path) -> None:
    """Votes, loss, gradient and Adam's steps are those of the reference in float64."""
    contestant = CONTESTANTS[name]
    needed = [NEEDED.get(contestant.place.partition(":")[0], "numpy")]
    needed += [name] if needed == ["onnx"] else []
    for package in needed:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if name == "pytorch-compile":
        pytest.skip("compiling every way takes a minute; python -m benchmarks.throughput does it")
    if name == "jax" and workload.name not in ("xo", "text"):
        pytest.skip("only plain chains of layers are written for JAX")
    if name == OURS and workload.name not in WORKLOADS:
        pytest.skip("its process knows only the workloads")
    case = workload.case(items=2)
    case.save(tmp_path / "case.npz")
    # Of so few items, groups and batch are the same.
    right = checks.expected(case, workload.network())
    more = {"engine": "reference"} if name == OURS else {}

    with Process(settings(name, tmp_path / "case.npz", **more)) as process:
        for task in contestant.tasks:
            opened = process.open(task)

            assert not opened["failed"]
            assert not checks.wrong(checks.differences(case, opened["answer"], right), right)
            assert len(process.turn(task, 0.0)) == 3


def test_statistics_are_taken_over_groups_or_the_whole_batch() -> None:
    """The right loss of a normalized network depends on that; of another one it does not."""
    for workload, differs in ((SMALL, True), (WORKLOADS["xo"], False)):
        case, network = workload.case(items=6), workload.network()

        ours = checks.expected(case, network, group=3)
        whole = checks.expected(case, network, group=6)

        assert (abs(float(ours["loss"] - whole["loss"])) > 1e-6) == differs


def test_a_process_that_has_died_is_said_to_have_ended(tmp_path: Path) -> None:
    """The times of the others are kept."""
    WORKLOADS["xo"].case(items=2).save(tmp_path / "case.npz")

    with Process(settings(OURS, tmp_path / "case.npz", engine="reference")) as process:
        process._process.kill()
        process._process.wait()
        for _ in range(2):
            with pytest.raises(ContestantError, match="its process ended: it said nothing"):
                process.open("train")


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


def test_seconds_of_the_processor_are_counted() -> None:
    """Waiting takes none of them."""
    waited = repeat(lambda: time.sleep(0.02), 0.0, clock=PROCESSOR)
    passed = repeat(lambda: time.sleep(0.02), 0.0)

    assert max(waited) < 0.02 <= min(passed)


def test_a_peer_without_nested_layers_says_so(tmp_path: Path) -> None:
    """It takes no part then, and the page has the reason."""
    pytest.importorskip("jax")
    SMALL.case(items=2).save(tmp_path / "case.npz")

    with (
        Process(settings("jax", tmp_path / "case.npz")) as process,
        pytest.raises(ContestantError, match="only plain chains"),
    ):
        process.open("train")
