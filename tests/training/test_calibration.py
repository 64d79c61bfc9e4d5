"""Votes may be made as sure as they are right, by a temperature that is part of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax

import gridcnn
from gridcnn.engines.base import make_engine
from gridcnn.errors import TrainingError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import Training
from gridcnn.training.calibration import calibrate, refuse_uncalibrated
from gridcnn.training.loop import Labelled

SPEC: dict[str, Any] = {
    "data": {"source": "digits"},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [32]}},
    "training": {"epochs": 3, "learning_rate": 0.01, "calibrate": True},
}


def made(name: str = "native") -> tuple[Any, Any, Labelled]:
    """Return an engine, weights that are much too sure, and items that they answer by half."""
    spec = load({"stages": ["pooling"], "head": {"voting": {"hidden": [6]}}})
    network = Network(spec, GridShape(1, 4, 4), classes=3)
    engine = make_engine(network, name)
    vector = 2 * network.starting_parameters()
    grids = np.random.default_rng(0).normal(size=(300, 1, 4, 4)).astype(np.float32)
    answers = engine.logits(vector, grids).argmax(axis=1)
    wrong = np.random.default_rng(1).random(300) < 0.4
    return engine, vector, Labelled(grids, np.where(wrong, (answers + 1) % 3, answers))


@pytest.mark.parametrize("name", ["native", "reference"])
def test_the_temperature_gives_the_lowest_loss(name: str) -> None:
    """A fine search over temperatures finds none that is better; no answer changes."""
    engine, vector, items = made(name)

    changed, found = calibrate(engine, vector, items, Training())
    assert found is not None
    logits = engine.logits(vector, items.grids).astype(np.float64)

    def loss(temperature: float) -> float:
        votes = log_softmax(logits / temperature, axis=1)
        return float(-votes[np.arange(300), items.targets].mean())

    best = min(loss(each) for each in np.geomspace(0.02, 100, 2000))
    assert found.loss_before == pytest.approx(loss(1), rel=1e-5)
    assert found.loss_after == pytest.approx(best, rel=1e-5)
    assert 1.5 < found.temperature < 50
    after = engine.logits(changed, items.grids)
    np.testing.assert_allclose(after, logits / found.temperature, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(after.argmax(axis=1), logits.argmax(axis=1))


def test_a_run_calibrates_on_validation_items_and_says_so(tmp_path: Path) -> None:
    """The model has it in its weights: it answers the same, and is as sure as metrics.json says."""
    plain = gridcnn.run(SPEC, changes={"training.calibrate": False}, out=tmp_path / "plain")
    result = gridcnn.run(SPEC, out=tmp_path / "calibrated")

    found = result.metrics["calibration"]
    assert found["loss_before"] == pytest.approx(plain.metrics["validation"]["loss"], rel=1e-4)
    assert found["loss_after"] == pytest.approx(result.metrics["validation"]["loss"], rel=1e-4)
    assert found["loss_after"] <= found["loss_before"]
    assert result.metrics["test"]["accuracy"] == plain.metrics["test"]["accuracy"]
    answers = [run.predictions_frame["answer"].tolist() for run in (plain, result)]
    assert answers[0] == answers[1]
    loaded = gridcnn.load(tmp_path / "calibrated")
    np.testing.assert_array_equal(loaded.parameters, result.model.parameters)


def test_the_classifier_calibrates_as_well() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(200, 5, 5)), random.integers(0, 2, 200)
    options: dict[str, Any] = {"validation_fraction": 0.3, "epochs": 20, "check": "off"}

    plain = gridcnn.GridClassifier(**options).fit(X, y)
    fitted = gridcnn.GridClassifier(changes={"training.calibrate": True}, **options).fit(X, y)
    # Labels without any meaning are learned by heart, and the votes are much too sure.
    assert fitted.predict_proba(X).max(axis=1).mean() < plain.predict_proba(X).max(axis=1).mean()
    np.testing.assert_array_equal(fitted.predict(X), plain.predict(X))


def test_it_needs_validation_items_and_a_head_that_can() -> None:
    engine, _, items = made()

    with pytest.raises(TrainingError, match="fits a temperature on validation items, and there a"):
        refuse_uncalibrated(engine.network, None)
    with pytest.raises(TrainingError, match="fits a temperature on validation items, and there a"):
        gridcnn.GridClassifier(changes={"training.calibrate": True}, check="off").fit(
            np.zeros((8, 4, 4)), np.arange(8) % 2
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(engine.network.head), "with_temperature", lambda *_: None)
        with pytest.raises(TrainingError, match="needs a head whose logits can be divided by a te"):
            refuse_uncalibrated(engine.network, items)


def test_a_run_without_validation_items_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"set data\.validation above 0"):
        gridcnn.run(SPEC, changes={"data.validation": 0.0}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def easy() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return grids that are wholly bright or wholly dark, and which of both they are."""
    y = np.arange(60) % 2
    return np.where(y == 1, 1.0, -1.0)[:, None, None] * np.ones((60, 4, 4)), y


def test_votes_stay_as_trained_if_all_validation_items_are_right(tmp_path: Path) -> None:
    """Any lower temperature would have a lower loss, and the lowest makes all votes 0 or 1."""
    spec = {**SPEC, "data": {"test": 0.2, "validation": 0.3}, "check": "off"}
    plain = gridcnn.run(
        spec, data=easy(), changes={"training.calibrate": False}, out=tmp_path / "plain"
    )

    with pytest.warns(gridcnn.TrainingWarning, match="all 14 validation items are answered right"):
        result = gridcnn.run(spec, data=easy(), out=tmp_path / "run")

    assert plain.metrics["validation"]["accuracy"] == 1
    assert "calibration" not in result.metrics
    assert [sign["kind"] for sign in result.metrics["signs"]] == ["not calibrated"]
    np.testing.assert_array_equal(result.model.parameters, plain.model.parameters)


def test_the_classifier_says_that_it_cannot_calibrate() -> None:
    X, y = easy()
    options: dict[str, Any] = {"validation_fraction": 0.3, "learning_rate": 0.01, "check": "off"}

    with pytest.warns(gridcnn.TrainingWarning, match="the votes are not calibrated, and stay as"):
        fitted = gridcnn.GridClassifier(changes={"training.calibrate": True}, **options).fit(X, y)
    plain = gridcnn.GridClassifier(**options).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), plain.predict_proba(X))


def test_a_watcher_that_stops_at_any_sign_gets_its_results(tmp_path: Path) -> None:
    class Careful(gridcnn.RunWatcher):
        def on_sign(self, sign: Any) -> None:
            raise gridcnn.StopTraining

    spec = {**SPEC, "data": {"test": 0.2, "validation": 0.3}, "check": "off"}
    result = gridcnn.run(spec, data=easy(), out=tmp_path / "run", watcher=Careful())

    assert [sign["kind"] for sign in result.metrics["signs"]] == ["not calibrated"]
    assert result.metrics["epochs"] == 3
