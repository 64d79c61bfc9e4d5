"""Figures of a run that are read back: what no run writes is damage, told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gridcnn.errors import RunFolderError
from gridcnn.runs.results import read_metrics

PART = {"accuracy": 0.5, "loss": 0.7, "items": 4}
WHOLE: dict[str, Any] = {
    "test": PART,
    "validation": PART,
    "train": PART,
    "literal_comparison": {"accuracy": 0.25},
    "classes": ["a", 7],
    "epochs": 3,
    "best_epoch": 2,
    "parameters": 10,
    "engine": "reference",
    "threads": None,
    "skipped_items": 0,
    "seconds": {"reading": 0.1},
}


def written(folder: Path, **changes: Any) -> Path:
    (folder / "metrics.json").write_text(json.dumps({**WHOLE, **changes}), "utf-8")
    return folder


def test_what_a_run_writes_is_read(tmp_path: Path) -> None:
    """As it is."""
    assert read_metrics(written(tmp_path)) == WHOLE


@pytest.mark.parametrize("name", ["test", "literal_comparison", "epochs", "best_epoch", "engine"])
def test_what_every_run_writes_must_be_there(tmp_path: Path, name: str) -> None:
    """Others show it."""
    content = {key: value for key, value in WHOLE.items() if key != name}
    (tmp_path / "metrics.json").write_text(json.dumps(content), "utf-8")

    with pytest.raises(RunFolderError, match=name):
        read_metrics(tmp_path)


@pytest.mark.parametrize("name", ["validation", "train", "check"])
def test_what_may_be_left_out_is_not_null(tmp_path: Path, name: str) -> None:
    """A run leaves out what there is none of, and whoever reads it looks whether it is there."""
    with pytest.raises(RunFolderError, match=f"'{name}' of the metrics must be there, or left out"):
        read_metrics(written(tmp_path, **{name: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {**PART, "loss": 1.7e308}},
        {"seconds": {"total": 1.7e308}},
        {"seconds": {"total": -1.0}},
        {"test": {**PART, "items": 0}},
        {"classes": ["a", "a"]},
    ],
)
def test_figures_have_their_range(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Sums of them are finite, which JSON needs."""
    with pytest.raises(RunFolderError, match="damaged"):
        read_metrics(written(tmp_path, **changes))
