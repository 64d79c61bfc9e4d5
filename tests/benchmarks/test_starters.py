"""The benchmark of starter specs counts what fails, and what is beyond chance."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from benchmarks import starters
from gridcnn.grid import OneHot
from gridcnn.runs.prepare import Part
from gridcnn.training.loop import Labelled

pytestmark = pytest.mark.slow

ONE = starters.Measured(
    items=1_000,
    classes=2,
    accuracy=[0.95, 0.90, 0.70],
    baseline=[0.90, 0.93, 0.90],
    method=["nearest neighbour", "logistic regression", "nearest neighbour"],
    signs=[[], ["silent"], ["restarted"]],
    restarts=[0, 0, 1],
    seconds=3.0,
    about={"processor": "a processor", "cores": "2 of 2", "load": "0.1"},
)


def test_runs_fail_that_are_worse_by_more_than_two_points() -> None:
    """Of 200 test items, three points may be chance, and twenty are not."""
    assert ONE.failed == 2
    assert ONE.surely_failed == 1
    assert ONE.worst == pytest.approx(-0.2)
    assert dataclasses.replace(ONE, items=100_000).surely_failed == 2


def test_the_section_says_how_many_fail() -> None:
    section = starters.section({"digits": ONE, "other": ONE})

    assert "digits: digits of 8 x 8 cells" in section
    assert "4 of 6 runs fail" in section
    assert starters.section({}) == ""


@pytest.mark.parametrize("one_hot", [False, True])
def test_the_baseline_is_the_method_that_validation_prefers(one_hot: bool) -> None:
    """Two spirals are told apart by neighbours, and not by a line; texts by their letters."""
    random = np.random.default_rng(0)
    if one_hot:
        targets = np.arange(240) % 2
        indices = random.integers(0, 4, (240, 5)).astype(np.int32)
        indices[:, 2] = targets
        cells: OneHot | np.ndarray = OneHot(indices, 4)
    else:
        turns = random.uniform(1, 3, 240)
        targets = np.arange(240) % 2
        angle = 2 * np.pi * turns + np.pi * targets
        places = np.column_stack([turns * np.cos(angle), turns * np.sin(angle)])
        cells = places.astype(np.float32).reshape(-1, 1, 1, 2)
    data = Labelled(cells, targets.astype(np.int64))
    parts = [
        Part(data.at(np.arange(start, stop)), [str(n) for n in range(start, stop)])
        for start, stop in ((0, 160), (160, 200), (200, 240))
    ]

    name, accuracy = starters._baseline(*parts)
    assert name == ("logistic regression" if one_hot else "nearest neighbour")
    assert accuracy > 0.9


def test_a_set_is_measured_as_a_user_has_it(tmp_path: Path) -> None:
    """`init` writes the spec, and that is run with each seed."""

    def few(folder: Path) -> Path:
        digits = load_digits(n_class=2)
        np.savez(folder / "few.npz", X=digits.images[:200].astype(np.uint8), y=digits.target[:200])
        return folder / "few.npz"

    found = starters.measure(starters.Set("few", few), 2, tmp_path)
    assert (found.items, found.classes) == (200, 2)
    assert len(found.accuracy) == len(found.baseline) == 2
    assert min(found.baseline) > 0.9
    assert min(found.accuracy) > 0.9
