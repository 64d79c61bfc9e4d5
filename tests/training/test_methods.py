from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.engines.base import Engine, StepResult, make_engine
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.errors import TrainingError
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled, train
from gridcnn.training.methods import Backpropagation, Nudge, NudgeResult, mean_loss, slopes

RANDOM = np.random.default_rng(0)


def crosses_and_rings(items: int = 24) -> Labelled:
    """Return X and O of 5 x 5 cells, each with three cells turned over."""
    x, o = -np.ones((2, 5, 5), np.float32)
    for place in range(5):
        x[place, place] = x[place, 4 - place] = 1
    o[[0, 4], 1:4] = o[1:4, [0]] = o[1:4, [4]] = 1
    random = np.random.default_rng(0)
    targets = np.arange(items) % 2
    grids = np.where(targets[:, None, None], o, x)
    for grid in grids:
        grid.flat[random.choice(25, 3, replace=False)] *= -1
    return Labelled(grids[:, None], targets)


def engine(stages: list[Any] | None = None, **training: Any) -> Engine:
    stages = stages or [{"convolution": {"filters": 2}}, "rectification", "pooling"]
    spec = load({"stages": stages, "head": "voting", "training": training})
    return make_engine(Network(spec, GridShape(1, 5, 5), classes=2), "reference")


def learn(made: Engine, parameters: Array, data: Labelled, *, rate: float = 0.1) -> float:
    method = Backpropagation(made, made.network.spec.training)
    loss, _ = method.learn(parameters, data.grids, data.targets, rate=rate, random=RANDOM)
    return loss


def test_backpropagation_steps_along_the_gradient() -> None:
    made, data = engine(optimizer={"sgd": {"momentum": 0.0}}), crosses_and_rings()
    parameters = made.network.starting_parameters()
    step = made.step(parameters, data.grids, data.targets)

    moved = parameters.copy()
    assert learn(made, moved, data) == step.loss
    np.testing.assert_array_equal(moved, parameters - np.float32(0.1) * step.gradient)
    assert mean_loss(made, moved, data.grids, data.targets) < step.loss


class Steep(ReferenceEngine):
    """Has a gradient that is larger by a factor than it should be."""

    factor = 1.0

    def step(self, *args: Any, **options: Any) -> StepResult:
        step = super().step(*args, **options)
        return StepResult(step.loss, step.hits, step.gradient * np.float32(self.factor))


@pytest.mark.parametrize("factor", [1, 1000, 1e25])
def test_a_long_gradient_is_shortened_to_exactly_the_length(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The direction stays, and even a length whose square overflows float32 is measured."""
    data = crosses_and_rings()
    made = Steep(engine(gradient_clip=0.01).network)
    parameters = made.network.starting_parameters()
    gradient = made.step(parameters, data.grids, data.targets).gradient.astype(np.float64)
    made.factor = factor
    method = Backpropagation(made, made.network.spec.training)
    taken: list[Array] = []
    monkeypatch.setattr(method.optimizer, "update", lambda _, step, __: taken.append(step))

    method.learn(parameters, data.grids, data.targets, rate=0.1, random=RANDOM)
    expected = 0.01 * gradient / np.linalg.norm(gradient)
    assert np.linalg.norm(taken[0].astype(np.float64)) == pytest.approx(0.01, rel=1e-6)
    np.testing.assert_allclose(taken[0], expected, rtol=1e-5)


def test_a_short_gradient_is_left_alone() -> None:
    data = crosses_and_rings()
    moved = []
    for clip in (None, 1e6):
        made = engine(optimizer="sgd", gradient_clip=clip)
        moved.append(made.network.starting_parameters())
        learn(made, moved[-1], data)

    np.testing.assert_array_equal(moved[0], moved[1])


def test_slopes_are_the_gradient() -> None:
    """Nudging every value tells the gradient, and 0 for what is frozen."""
    frozen = {"features": [[[1, -1], [0.5, 0.5]]], "trainable": False}
    made = engine([{"convolution": {"filters": 2}}, "rectification"])
    data = crosses_and_rings(6)
    for each in (made, engine([{"convolution": frozen}, "rectification"])):
        parameters = each.network.starting_parameters(np.float64)
        parameters += 0.01 * np.random.default_rng(1).normal(0, 1, len(parameters))

        found = slopes(each, parameters, data.grids, data.targets, width=1e-6)
        step = each.step(parameters, data.grids, data.targets)
        np.testing.assert_allclose(step.gradient, found, atol=1e-6)
        assert not found[~each.network.mask("trainable")].any()


def test_slopes_leave_the_parameters_alone() -> None:
    made, data = engine(), crosses_and_rings(4)
    parameters = made.network.starting_parameters(np.float64)
    before = parameters.copy()

    slopes(made, parameters, data.grids, data.targets, width=1e-3)
    np.testing.assert_array_equal(parameters, before)


def test_nudging_learns_x_from_o() -> None:
    """The article's literal recipe finds features and weights for a tiny task."""
    made = engine(method="nudge", epochs=8, batch_size=24, learning_rate=0.1)
    data = crosses_and_rings()

    progress = train(made, data, None, made.network.spec.training)
    answers = made.logits(progress.parameters, data.grids).argmax(axis=1)
    assert (answers == data.targets).all()
    losses = [epoch.loss for epoch in progress.history]
    assert losses == sorted(losses, reverse=True)


def test_a_nudge_keeps_the_best_of_three() -> None:
    """No value moves by more than the rate, and the loss is never larger afterwards."""
    made, data = engine(method="nudge"), crosses_and_rings()
    method = Nudge(made, made.network.spec.training)
    parameters = made.network.starting_parameters()
    before = parameters.copy()

    first, hits = method.learn(parameters, data.grids, data.targets, rate=0.05, random=RANDOM)
    assert first == mean_loss(made, before, data.grids, data.targets)
    assert hits == (made.logits(before, data.grids).argmax(axis=1) == data.targets).sum()
    assert mean_loss(made, parameters, data.grids, data.targets) < first
    moves = np.abs(parameters - before)
    np.testing.assert_allclose(moves[moves > 0], 0.05, rtol=1e-4)


def test_a_nudge_tells_the_three_losses_and_what_is_kept() -> None:
    """Each is the loss of the batch with that value; the smallest one is kept."""
    made, data = engine(method="nudge"), crosses_and_rings()
    parameters = made.network.starting_parameters()
    vector, told = parameters.copy(), list[NudgeResult]()

    Nudge(made, made.network.spec.training).learn(
        parameters, data.grids, data.targets, rate=0.05, random=RANDOM, tell=told.append
    )

    assert len(told) == len(vector)
    for index, nudge in enumerate(told):
        tried = {"value": nudge.value, "up": nudge.up, "down": nudge.down}
        losses = {"value": nudge.loss, "up": nudge.loss_up, "down": nudge.loss_down}
        assert nudge.name == made.network.value_name(index)
        assert nudge.value == vector[index]
        assert tried["up"] == pytest.approx(nudge.value + 0.05, abs=1e-6)
        assert tried["down"] == pytest.approx(nudge.value - 0.05, abs=1e-6)
        for name, value in tried.items():
            vector[index] = value
            assert losses[name] == mean_loss(made, vector, data.grids, data.targets)
        assert losses[nudge.kept] == min(losses.values())
        vector[index] = tried[nudge.kept]
    assert {nudge.kept for nudge in told} == {"value", "up", "down"}
    np.testing.assert_array_equal(vector, parameters)


def test_a_nudge_leaves_frozen_features_alone() -> None:
    frozen = {"features": [[[1, -1], [0.5, 0.5]]], "trainable": False}
    made, data = engine([{"convolution": frozen}], method="nudge"), crosses_and_rings()
    parameters = made.network.starting_parameters()

    method = Nudge(made, made.network.spec.training)
    method.learn(parameters, data.grids, data.targets, rate=0.05, random=RANDOM)
    assert parameters[:5].tolist() == [1, -1, 0.5, 0.5, 0]


def test_nudging_a_large_network_is_refused_with_the_estimated_time() -> None:
    stages = [{"convolution": {"filters": 400}}, {"convolution": {"filters": 60}}]
    made = engine(stages, method="nudge", epochs=1000)

    with pytest.raises(TrainingError, match=r"each of 22\d,\d{3} values twice .* about [\d,]+ \w+"):
        train(made, crosses_and_rings(), None, made.network.spec.training)


def test_the_estimate_counts_the_epochs_that_are_left() -> None:
    """Going on with a few epochs is not refused for those that are done already."""
    made = engine(method="nudge", epochs=1_000_000)
    method = Nudge(made, made.network.spec.training)
    parameters, data = made.network.starting_parameters(), crosses_and_rings()

    with pytest.raises(TrainingError, match=r"days here\. The limit is 10 minutes; use method"):
        method.refuse_if_too_long(parameters, data.grids, data.targets, epochs=100_000_000)
    method.refuse_if_too_long(parameters, data.grids, data.targets, epochs=1)
