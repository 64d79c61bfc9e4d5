from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import end_to_end, machine, scaling
from gridcnn.spec.load import load


def test_the_machine_is_described() -> None:
    """Processor, cores, memory, system and Python, each in words."""
    found = machine.describe()

    assert set(found) == {"processor", "cores", "memory", "system", "python"}
    assert all(found.values())


def test_the_peak_is_measured_in_registers() -> None:
    """The loop compiles for this processor, and runs in several threads."""
    lanes, run = machine._fma()

    assert lanes in (4, 8, 16)
    assert run(1) > 0
    assert run(2) > 0


def test_packages_that_are_missing_have_no_version() -> None:
    """They are left out."""
    assert set(machine.versions("numpy", "no-such-package")) == {"numpy"}


def test_a_straight_line_is_found() -> None:
    """With its start and slope, and nothing unexplained."""
    found = scaling.fit((1, 2, 3, 4), [3.0, 5.0, 7.0, 9.0])

    assert (found.start, found.slope) == pytest.approx((1.0, 2.0))
    assert found.line_r2 == pytest.approx(1)
    assert found.power_r2 < 1


def test_a_power_is_found() -> None:
    """Its exponent says how cost grows."""
    found = scaling.fit((1, 2, 4, 8), [3.0, 12.0, 48.0, 192.0])

    assert found.exponent == pytest.approx(2)
    assert found.power_r2 == pytest.approx(1)
    assert found.line_r2 < 1


def test_series_differ_in_one_thing() -> None:
    """Multiply-adds grow as a line with the sizes; the first of several layers has fewer."""
    for each in scaling.series():
        work = [point.multiply_adds for point in each.points]
        slopes = np.diff(work) / np.diff(each.sizes)
        assert len(each.points) >= 6
        assert slopes == pytest.approx([slopes[0]] * len(slopes))
        is_proportional = bool(work[0] / each.sizes[0] == pytest.approx(slopes[0]))
        assert is_proportional == (each.label != "layers")


@pytest.mark.slow
def test_a_point_is_measured() -> None:
    """In processes of its own, each of which answers with seconds and bytes."""
    found = scaling.cost(scaling.Point(side=8, filters=2, items=2), "reference", 1, 0.0)

    assert found.train > 0
    assert found.predict > 0


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    chosen = scaling.series(quick=True)
    costs = {
        each.label: [scaling.Cost(size * 1e-3, size * 1e-4, size * 1e6) for size in each.sizes]
        for each in chosen
    }

    scaling.draw(costs, chosen, tmp_path / "scaling.png")

    assert (tmp_path / "scaling.png").stat().st_size > 1000
    assert "size^1.00" in scaling.table(costs, chosen)
    assert json.loads(scaling.as_json(costs, chosen, "reference", 1))["threads"] == 1


def test_both_programs_have_the_same_parts(tmp_path: Path) -> None:
    """Pictures stand in one part alone, X and O alike, and the spec reads them."""
    end_to_end.write_data(tmp_path, {"train": 40, "validation": 10, "test": 20})

    with np.load(tmp_path / "data.npz") as data:
        sizes = {name: len(data[name]) for name in data}
    assert sizes == {
        "X_train": 40, "y_train": 40,
        "X_validation": 10, "y_validation": 10,
        "X_test": 20, "y_test": 20,
    }  # fmt: skip
    (tmp_path / "spec.yaml").write_text(end_to_end.SPEC, "utf-8")
    assert load(tmp_path / "spec.yaml").training.epochs == end_to_end.EPOCHS
    compile(end_to_end.SCRIPT, "script.py", "exec")


def test_whole_runs_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind is run once more than is counted, and each is the first of a turn now and then."""
    ran: list[str] = []

    def run(kind: str, folder: Path, engine: str) -> tuple[float, float]:
        ran.append(kind)
        return float(len(ran)), 0.5

    monkeypatch.setattr(end_to_end, "_one", run)
    found = end_to_end.measure(2, "reference", {"train": 6, "validation": 2, "test": 2})

    assert end_to_end.WARM in found
    count = len(found)
    assert ran[:count] == list(found)
    assert ran[count : 2 * count] == [*list(found)[1 % count :], *list(found)[: 1 % count]]
    for kind, result in found.items():
        assert result.seconds == [n for n, each in enumerate(ran, 1) if each == kind][1:]
        assert result.accuracy == 0.5
    assert end_to_end.WARM in end_to_end.shown(found)
    assert json.loads(end_to_end.as_json(found))["runs"]


@pytest.mark.slow
def test_a_whole_run_is_timed(tmp_path: Path) -> None:
    """It is a process of its own, tells its accuracy, and leaves no run folder for the next one."""
    end_to_end.write_data(tmp_path, {"train": 60, "validation": 20, "test": 20})
    (tmp_path / "spec.yaml").write_text(end_to_end.SPEC, "utf-8")

    seconds, accuracy = end_to_end._one(end_to_end.COLD, tmp_path, "reference")

    assert seconds > 0
    assert 0 <= accuracy <= 1
    assert {path.name for path in tmp_path.iterdir()} == {"data.npz", "spec.yaml"}


def test_a_cold_cache_is_empty_and_a_warm_one_stays(tmp_path: Path) -> None:
    with end_to_end._cache(tmp_path, empty=True) as cold:
        assert list(cold.iterdir()) == []
    assert not cold.exists()

    for _ in range(2):
        with end_to_end._cache(tmp_path, empty=False) as warm:
            assert warm == tmp_path / "cache"
