"""Training may start from another model, of which stages are taken over, and may be frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.errors import SpecError
from gridcnn.grid import Array
from gridcnn.runs.watcher import RunWatcher
from gridcnn.training.signs import Sign

STAGES: list[Any] = [
    {"convolution": {"filters": 4}},
    "normalization",
    "rectification",
    {"skip": [{"convolution": {"filters": 4}}]},
    "pooling",
]
SPEC: dict[str, Any] = {
    "data": {"source": "digits"},
    "adapter": {"image": {"size": [8, 8], "channels": 1}},
    "stages": STAGES,
    "head": {"voting": {"hidden": [8]}},
    "training": {"epochs": 1, "learning_rate": 0.01},
}


class Quiet(RunWatcher):
    def on_sign(self, sign: Sign) -> None:
        pass


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that others start from."""
    return gridcnn.run(SPEC, out=tmp_path_factory.mktemp("model") / "run", watcher=Quiet()).folder


def go(tmp_path: Path, start: Any, **changes: Any) -> gridcnn.runs.run.Run:
    settings = {"training.start_from": start, **changes}
    return gridcnn.run(SPEC, changes=settings, out=tmp_path / "run", watcher=Quiet())


def values(model: Any) -> dict[str, Array]:
    named: dict[str, Array] = model.network.named(model.parameters)
    return named


def test_all_stages_and_the_head_are_taken_over(before: Path, tmp_path: Path) -> None:
    """With no more training to speak of, the model is the one before."""
    result = go(tmp_path, str(before), **{"training.learning_rate": 1e-9})

    old, new = values(gridcnn.load(before)), values(result.model)
    for name, value in old.items():
        if "running" not in name and "mean" not in name and "variance" not in name:
            np.testing.assert_allclose(new[name], value, atol=1e-5)
    taken = ["1 convolution", "2 normalization", "4.1 convolution", "6 voting"]
    assert result.metrics["taken_over"] == taken


def test_other_classes_get_a_new_head(before: Path, tmp_path: Path) -> None:
    """Stages are taken over, and the head is drawn as for any start."""
    X, y = np.random.default_rng(0).integers(0, 16, (60, 8, 8)), np.arange(60) % 3
    spec = {**SPEC, "training": {**SPEC["training"], "learning_rate": 1e-9}}

    result = gridcnn.run(
        spec,
        data=(list(X.astype(np.uint8)), y.tolist()),
        changes={"training.start_from": str(before)},
        out=tmp_path / "run",
        watcher=Quiet(),
    )
    assert result.metrics["taken_over"] == ["1 convolution", "2 normalization", "4.1 convolution"]
    start = result.model.network.starting_parameters()
    drawn = result.model.network.named(start)["6.voting.votes.weights"]
    np.testing.assert_allclose(values(result.model)["6.voting.votes.weights"], drawn, atol=1e-5)


def test_frozen_stages_stay_as_they_are(before: Path, tmp_path: Path) -> None:
    """Weights, gains and running values of the first two stages; the others learn."""
    result = go(
        tmp_path,
        {"model": str(before), "frozen": 2},
        **{"training.weight_decay": 0.5, "training.optimizer": "adamw", "training.epochs": 2},
    )

    old, new = values(gridcnn.load(before)), values(result.model)
    for name, value in old.items():
        same = bool((new[name] == value).all())
        assert same == name.startswith(("1.", "2.")), name


def test_only_as_many_stages_as_are_asked_for(before: Path, tmp_path: Path) -> None:
    """A head is taken over with all stages alone."""
    result = go(tmp_path, {"model": str(before), "stages": 2})
    assert result.metrics["taken_over"] == ["1 convolution", "2 normalization"]


def test_stages_behind_one_that_differs_are_new(before: Path, tmp_path: Path) -> None:
    stages = [*STAGES[:3], {"convolution": {"filters": 6}}, *STAGES[4:]]

    result = go(tmp_path, str(before), stages=stages)
    assert result.metrics["taken_over"] == ["1 convolution", "2 normalization"]


def test_a_resumed_run_ends_with_the_same_bits(before: Path, tmp_path: Path) -> None:
    """And so does the resolved spec, whose path is absolute."""

    class Stop(Quiet):
        def on_epoch(self, epoch: Any, epochs: int) -> None:
            raise KeyboardInterrupt

    changes = {"training.start_from": {"model": str(before), "frozen": 1}, "training.epochs": 2}
    whole = gridcnn.run(SPEC, changes=changes, out=tmp_path / "whole", watcher=Quiet())
    with pytest.raises(gridcnn.errors.TrainingInterrupted):
        gridcnn.run(SPEC, changes=changes, out=tmp_path / "run", watcher=Stop())
    resumed = gridcnn.run(resume=tmp_path / "run", watcher=Quiet())
    np.testing.assert_array_equal(resumed.model.parameters, whole.model.parameters)
    again = gridcnn.run(tmp_path / "whole" / "spec.yaml", out=tmp_path / "again", watcher=Quiet())
    np.testing.assert_array_equal(again.model.parameters, whole.model.parameters)


def test_a_relative_path_starts_at_the_folder_of_the_spec(before: Path, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(
        "data: {source: digits}\nadapter: {image: {size: [8, 8], channels: 1}}\n"
        "stages: [{convolution: {filters: 4}}]\nhead: voting\n"
        "training: {epochs: 1, start_from: other}\n"
    )
    (tmp_path / "other").symlink_to(before, target_is_directory=True)

    result = gridcnn.run(path, out=tmp_path / "run", watcher=Quiet())
    start = result.model.spec.training.start_from
    assert start is not None
    assert Path(start.model) == tmp_path / "other"
    assert result.metrics["taken_over"] == ["1 convolution"]


def test_a_spec_without_an_adapter_takes_that_of_the_model(before: Path, tmp_path: Path) -> None:
    spec = {key: value for key, value in SPEC.items() if key != "adapter"}

    result = gridcnn.run(
        spec,
        changes={"training.start_from": str(before)},
        out=tmp_path / "run",
        watcher=Quiet(),
    )
    assert result.model.adapter == gridcnn.load(before).adapter


def test_the_classifier_starts_from_a_model_as_well(before: Path) -> None:
    X, y = np.random.default_rng(0).normal(size=(30, 8, 8)), np.arange(30) % 2
    spec = {**SPEC, "adapter": {"array": {"size": [8, 8], "channels": 1}}}
    changes = {"training.start_from": {"model": str(before), "frozen": 1}}

    fitted = gridcnn.GridClassifier(spec, changes=changes, check="off").fit(X, y)
    ours, theirs = values(fitted.model_), values(gridcnn.load(before))
    np.testing.assert_array_equal(ours["1.convolution.weights"], theirs["1.convolution.weights"])


@pytest.mark.parametrize(
    ("start", "stages", "message"),
    [
        ("nowhere", STAGES, "start_from: .*nowhere"),
        ({"stages": 9}, STAGES, "start_from: stages is 9, and the spec has 5; give at most 5"),
        ({"stages": 2, "frozen": 3}, STAGES, "frozen is 3, and 2 stages are taken over"),
        ({"stages": 1, "frozen": 3}, STAGES, "frozen is 3, and 1 stage is taken over"),
        (
            {},
            [{"convolution": {"filters": 5}}],
            r"stage '1 convolution' cannot be taken over from .*: its weights have the sha",
        ),
        ({}, ["rectification", *STAGES], "the model has no stage '2 convolution'"),
        (
            {"stages": 4},
            [*STAGES[:3], {"convolution": {"filters": 2}}],
            "the model has no stage",
        ),
        ({"stages": 0}, STAGES, "no stage is taken over that has learned anything"),
    ],
)
def test_what_cannot_be_taken_over_is_said(
    before: Path, tmp_path: Path, start: Any, stages: list[Any], message: str
) -> None:
    given = start if isinstance(start, str) else {"model": str(before), **start}

    with pytest.raises(SpecError, match=message):
        go(tmp_path, given, stages=stages)
    assert not (tmp_path / "run").exists()
