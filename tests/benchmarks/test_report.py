from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace

import pytest

from benchmarks import report, throughput
from benchmarks.machine import Peaks
from benchmarks.peers import CONTESTANTS, ONE, OURS, PREDICT, TRAIN
from benchmarks.report import ALONE, COLD, FirstUse, Layer, Memory, Outcome, Results, Timing
from benchmarks.workloads import WORKLOADS


def timing(seconds: float) -> Timing:
    return Timing(
        [seconds, seconds * 3, seconds], "a", {"a": seconds, "b": 1.0}, {}, {"votes": 0.0}
    )


@pytest.fixture
def results() -> Results:
    """Return made-up figures of one workload, at which every bar is met or missed by a little."""
    outcome = Outcome(
        times={
            TRAIN: {
                OURS: timing(1e-3),
                ALONE: timing(1.9e-3),
                "pytorch": timing(4.1e-3),
                "pytorch-compile": timing(5e-3),
                "jax": timing(2e-3),
            },
            PREDICT: {
                OURS: timing(1e-3),
                ALONE: timing(1.7e-3),
                "onnxruntime": timing(1.6e-3),
                "openvino": timing(1.4e-3),
            },
            ONE: {OURS: timing(1e-5), "onnxruntime": timing(2.1e-5), "openvino": timing(1.5e-5)},
        },
        absent={TRAIN: {"pytorch-channels-last": "it is not installed"}},
        layers=[Layer("1 x 32 x 32 to 8 x 32 x 32", 73_728, 1e-4)],
        memory={
            OURS: Memory(60e6, 100e6),
            COLD: Memory(60e6, 120e6),
            "pytorch": Memory(200e6, 330e6),
        },
        first=FirstUse(1.2, 0.08, 0.02),
    )
    return Results(
        date="2026-01-01",
        engine="native",
        threads=2,
        rounds=3,
        machine={"processor": "a processor"},
        versions={"numpy": "2.0"},
        peaks=Peaks(2, 100.0, 200.0, 90.0, 180.0, 16),
        outcomes={"xo": outcome},
    )


def test_bars_are_held_against_the_right_rivals(results: Results) -> None:
    """PyTorch's best mode in training, the better runtime, and ONNX Runtime for one item."""
    found = {bar.what: bar for bar in report.bars(results)}

    assert {what: bar.met for what, bar in found.items()} == {
        "training, against PyTorch's best": True,
        "a batch, against the better runtime": False,
        "one item, part of ONNX Runtime's time": True,
        "training, two threads against one": True,
        "a batch, two threads against one": False,
        "memory in training, part of PyTorch's least": True,
        "memory in training, part of PyTorch's least, cold cache": False,
        "first use, cold": True,
        "first use, warm, more": False,
    }
    assert found["training, against PyTorch's best"].value == pytest.approx(4.1)
    assert found["first use, warm, more"].value == pytest.approx(0.06)


def test_threads_are_compared_only_where_there_are_two(results: Results) -> None:
    """The bar says nothing of other numbers."""
    bars = report.bars(replace(results, threads=4))

    assert not [bar for bar in bars if "threads" in bar.what]


def test_what_was_not_measured_has_no_bar(results: Results) -> None:
    """A missing peer is no bar that is met."""
    bars = report.bars(replace(results, outcomes={"xo": Outcome()}))

    assert bars == []
    assert report.markdown(replace(results, outcomes={"xo": Outcome()}))


def test_speed_counts_two_operations_for_each_multiply_add() -> None:
    """GFLOP/s are of the whole batch, or of one item."""
    workload = WORKLOADS["xo"]
    cost = 8 * 9 * 32 * 32 + 16 * 8 * 9 * 16 * 16

    assert report.rate(workload, PREDICT, 1.0) == pytest.approx(2 * 64 * cost / 1e9)
    assert report.rate(workload, ONE, 1.0) == pytest.approx(2 * cost / 1e9)


def test_the_page_tells_everything(results: Results) -> None:
    """Every contestant, every bar, and why somebody is missing."""
    page = report.markdown(results)

    for text in ("2.00x", "4.1x", "**no**", "it is not installed", "a processor", "numpy 2.0"):
        assert text in page
    for name in ("pytorch", "pytorch-compile", "jax", "onnxruntime", "openvino"):
        assert CONTESTANTS[name].title in page
    tables = [block for block in page.split("\n\n") if block.startswith("|")]
    for block in tables:
        assert len({len(line) for line in block.splitlines()}) == 1
        assert len({len(re.findall(r"\|", line)) for line in block.splitlines()}) == 1


def test_the_data_hold_medians_and_quartiles(results: Results) -> None:
    """And every round, the ratios by round, and the bars."""
    told = json.loads(throughput.as_json(results))

    place = told["outcomes"]["xo"]["times"][TRAIN]["pytorch"]
    assert place["median"] == pytest.approx(4.1e-3)
    assert place["quartiles"] == pytest.approx([4.1e-3, 4.1e-3, 8.2e-3])
    assert place["by_gridcnn"] == pytest.approx([4.1, 4.1, 4.1])
    assert len(told["bars"]) == 9


def test_a_page_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m benchmarks.throughput` measures gridcnn where no peer is wanted."""
    words = "--only xo --peers --parts times --rounds 1 --seconds 0.001 --threads 1"
    monkeypatch.setattr(sys, "argv", ["throughput", *words.split(), "--engine", "reference"])
    monkeypatch.setattr(
        "benchmarks.machine.peaks", lambda threads: Peaks(threads, 1.0, 1.0, 1.0, 1.0, 4)
    )

    code = throughput.main()

    assert code == 0
    assert "## A training step" in capsys.readouterr().out


def test_quartiles_of_one_number_are_that_number() -> None:
    """As of several equal ones."""
    assert throughput.quartiles([2.0]) == [2.0, 2.0, 2.0]
    assert throughput.quartiles([1.0, 2.0, 3.0]) == [1.5, 2.0, 2.5]
    assert not math.isnan(sum(throughput.quartiles([1.0, 1.0])))
