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
    """Multiply-adds grow as the sizes do, in each of the four."""
    for each in scaling.series():
        parts = [
            point.multiply_adds / size for point, size in zip(each.points, each.sizes, strict=True)
        ]
        assert len(each.points) >= 6
        assert parts == pytest.approx([parts[0]] * len(parts))


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


def test_whole_runs_take_turns() -> None:
    """Every kind is run once more than is counted, and tells its accuracy."""
    found = end_to_end.measure(1, "reference", {"train": 60, "validation": 20, "test": 20})

    assert end_to_end.WARM in found
    for result in found.values():
        assert len(result.seconds) == 1
        assert 0 <= result.accuracy <= 1
    assert end_to_end.WARM in end_to_end.shown(found)
    assert json.loads(end_to_end.as_json(found))["runs"]
