"""Sets of so many items that no list of them is made; here, of more than two hundred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.datasets.division import shuffled
from gridcnn.errors import UserError
from gridcnn.pipelines import ready
from gridcnn.runs.large import LargeTargets, find_classes
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.spec.load import load

FEW = {"training.epochs": 1, "data.source.xo.count": 400}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffled, "LARGE", 200)


def prepared(**changes: Any) -> Prepared:
    return prepare(locate(load("xo", changes={**FEW, **changes}, ready=ready()), None, Path.cwd()))


def test_each_item_is_in_one_part_and_has_its_own_label() -> None:
    found = prepared()
    parts = (found.train, found.validation, found.test)

    names = [name for part in parts for name in part.names]
    assert len(names) == len(set(names)) == 400
    targets = np.concatenate([np.asarray(part.data.targets[:]) for part in parts])
    assert np.bincount(targets).tolist() == [200, 200]
    assert [len(part) for part in parts] == [288, 32, 80]


def test_a_run_writes_all_its_results_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    run = gridcnn.run("xo", changes=FEW, out=tmp_path / "run", report=True)

    assert "train" not in run.metrics
    assert 0 <= run.metrics["literal_comparison"]["accuracy"] <= 1
    assert any("divided at random" in note for note in run.metrics["notes"])
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training.sampling": "balanced"}, "for so many there is no training.sampling"),
        ({"data.duplicates": "drop"}, "for so many there is no data.duplicates"),
    ],
)
def test_what_needs_a_list_of_all_items_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        prepared(**changes)


@pytest.mark.parametrize("labels", [np.array([5, 3, 5, 9], np.uint8), ["b", "a", "b", "c"]])
def test_labels_are_counted_and_numbered_in_arrays_and_in_lists(labels: Any) -> None:
    classes = find_classes(labels)
    targets = LargeTargets(labels, classes, np.array([3, 0, 1]), np.array([2]))

    assert targets[np.arange(3)].tolist() == [2, 1, 0]
    assert int(targets[1]) == 1
    assert targets.count_classes(3).tolist() == [1, 1, 1]
