"""Training with stages that observe: running values, in every part of training that keeps them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from gridcnn import GridClassifier
from gridcnn.engines.base import Engine, make_engine
from gridcnn.grid import GridShape
from gridcnn.model import load as load_model
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.checkpoint import load_checkpoint, save_checkpoint
from gridcnn.training.loop import Labelled, train
from gridcnn.training.methods import Backpropagation, Nudge, mean_loss

C: Any = {"convolution": {"filters": 4}}
STAGES: list[Any] = [
    C,
    "normalization",
    "rectification",
    {"skip": [C, {"normalization": {"momentum": 0.8}}, "rectification", {"dropout": 0.1}]},
    {"pooling": {"window": 2}},
]


def engine(name: str = "native", stages: list[Any] = STAGES, **training: Any) -> Engine:
    spec = load({"stages": stages, "head": "voting", "training": training})
    return make_engine(Network(spec, GridShape(1, 8, 8), classes=10), name)


def digits(first: int = 0, last: int = 200) -> Labelled:
    data = load_digits()
    grids = (data.images[first:last, None] / 8 - 1).astype(np.float32)
    return Labelled(grids, data.target[first:last].astype(np.int64))


def running(made: Engine, parameters: Any) -> Any:
    return np.concatenate([parameters[slot.part] for slot in made.network.running])


def test_running_values_of_training_are_those_of_the_steps() -> None:
    """The loop writes what each step makes of them, beside what the optimizer does."""
    made, data = engine(epochs=1, batch_size=200, optimizer="sgd"), digits()
    parameters = made.network.starting_parameters()

    state = train(made, data, None, made.network.spec.training)
    assert (running(made, state.parameters) != running(made, parameters)).all()
    first = made.network.running[0]
    assert first.parameter.name == "mean"
    # The bias starts at 0, and the mean of a convolution's map moves by a tenth.
    maps = made.maps(parameters, data.grids, after=0)
    observed = 0.1 * maps.mean(axis=(0, 2, 3))
    np.testing.assert_allclose(state.parameters[first.part], observed, rtol=1e-3, atol=1e-6)


def test_a_resumed_training_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    """Running values are in the checkpoint as all other numbers are."""
    long, short = (engine(epochs=epochs, batch_size=50) for epochs in (4, 2))
    data, validation = digits(), digits(200, 260)
    whole = train(long, data, validation, long.network.spec.training)
    half = train(short, data, validation, short.network.spec.training)

    save_checkpoint(tmp_path / "half", half, "same", engine=long, classes=range(10))
    resumed = load_checkpoint(tmp_path / "half", "same", engine=long)
    np.testing.assert_array_equal(running(long, resumed.parameters), running(long, half.parameters))
    end = train(long, data, validation, long.network.spec.training, state=resumed)
    np.testing.assert_array_equal(end.parameters, whole.parameters)
    np.testing.assert_array_equal(end.best, whole.best)


@pytest.mark.parametrize("seed", range(3))
def test_digits_are_learned_and_answered_as_they_were_trained(seed: int) -> None:
    """Running values come near those of the batches: answers are as good as training was.

    Guessing is right one time in ten.
    """
    made = engine(epochs=6, batch_size=32, learning_rate=0.01, seed=seed)
    training, others = digits(0, 900), digits(900, 1200)

    state = train(made, training, None, made.network.spec.training)
    answers = made.logits(state.parameters, others.grids).argmax(axis=1)
    assert (answers == others.targets).mean() > 0.7
    answered = mean_loss(made, state.parameters, training.grids, training.targets)
    trained = made.step(state.parameters, training.grids, training.targets).loss
    assert answered == pytest.approx(trained, abs=0.25)


def test_nudging_takes_the_loss_of_answers_and_observes_nothing() -> None:
    stages: list[Any] = [
        {"convolution": {"filters": 1}},
        "normalization",
        {"pooling": {"window": 8}},
    ]
    made, data = engine("reference", stages, method="nudge"), digits(0, 30)
    parameters = made.network.starting_parameters()
    before = parameters.copy()

    method = Nudge(made, made.network.spec.training)
    loss, _ = method.learn(
        parameters, data.grids, data.targets, rate=0.05, random=np.random.default_rng(0)
    )
    assert loss == mean_loss(made, before, data.grids, data.targets)
    assert mean_loss(made, parameters, data.grids, data.targets) < loss
    np.testing.assert_array_equal(running(made, parameters), running(made, before))
    named, earlier = (made.network.named(each) for each in (parameters, before))
    assert named["2.normalization.gain"] != earlier["2.normalization.gain"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("name", ["native", "reference"])
def test_clips_and_decay_leave_running_values_alone(name: str, optimizer: str) -> None:
    """They are what was observed, whatever the optimizer does to the rest."""
    data, found = digits(0, 40), []
    changes: list[dict[str, Any]] = [{}, {"gradient_clip": 1e-3}, {"weight_decay": 0.5}]
    for settings in changes:
        made = engine(name, optimizer=optimizer, **settings)
        parameters = made.network.starting_parameters()
        method = Backpropagation(made, made.network.spec.training)
        for _ in range(2):
            start = parameters.copy()
            step = made.step(parameters, data.grids, data.targets, random=np.random.default_rng(1))
            method.learn(
                parameters, data.grids, data.targets, rate=0.1, random=np.random.default_rng(1)
            )
            np.testing.assert_array_equal(running(made, parameters), np.concatenate(step.running))
            assert (parameters != start).any()
        found.append(made)
    decays = found[0].network.named(found[0].network.mask("decays"))
    kept = [label for label, mask in decays.items() if "normalization" in label and mask.any()]
    assert kept == []


def test_weight_decay_leaves_gains_alone() -> None:
    """With a gradient of 0, decay alone moves weights, and neither gains nor running values."""
    made = engine(weight_decay=0.5, optimizer="adamw")
    method = Backpropagation(made, made.network.spec.training)
    parameters = made.network.starting_parameters()
    before = parameters.copy()

    method.optimizer.update(parameters, np.zeros_like(parameters), 0.1)
    for label, moved in made.network.named(parameters != before).items():
        assert moved.any() == label.endswith("weights"), label


def test_a_model_keeps_running_values(tmp_path: Path) -> None:
    """A classifier with a skip and a normalization answers the same after file and pickle."""
    data = digits(0, 300)
    spec = {
        "stages": STAGES,
        "head": "voting",
        "training": {"epochs": 3, "learning_rate": 0.01},
        "check": "off",
    }
    classifier = GridClassifier(spec=spec).fit(data.grids, data.targets)

    votes = classifier.predict_proba(data.grids)
    assert (votes.argmax(axis=1) == data.targets).mean() > 0.3
    alone = classifier.predict_proba(data.grids[7:8])
    np.testing.assert_array_equal(alone[0], votes[7])
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(data.grids), votes)
    classifier.model_.save(tmp_path / "digits.gridcnn")
    loaded = load_model(tmp_path / "digits.gridcnn")
    np.testing.assert_array_equal(loaded.parameters, classifier.model_.parameters)
    first = loaded.network.running[0]
    assert loaded.parameters[first.part].any()
    assert clone(classifier).get_params()["spec"] == spec
