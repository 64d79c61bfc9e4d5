"""Heads of other packages have losses of their own, in every engine and in all that follows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from gridcnn.contracts.stage import Backward, Gradients, Head, HeadStage, Parameter
from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.engines.base import ENGINES, Engine, StepResult, make_engine
from gridcnn.errors import DataError, TrainingError
from gridcnn.grid import Array, GridShape
from gridcnn.model import Model, load
from gridcnn.network import Network
from gridcnn.spec.load import load as load_spec
from gridcnn.spec.models import HEADS
from gridcnn.stages.voting import Votes, Voting, cross_entropy
from gridcnn.training.loop import Labelled, loss_and_accuracy, train
from gridcnn.training.methods import slopes


class MarginVotes(Votes):
    """Our voting layers with a hinge loss (Crammer and Singer, 2001)."""

    def losses(self, logits: Array, targets: Targets | SoftTargets) -> tuple[Array, Array]:
        rows = np.arange(len(logits))
        ahead = logits - logits[rows, targets][:, None] + 1
        ahead[rows, targets] = 0
        worst = ahead.argmax(axis=1)
        gradient = np.zeros_like(logits)
        gradient[rows, worst] += 1
        gradient[rows, targets] -= 1
        return ahead[rows, worst], gradient


class Margin(Voting):
    title: ClassVar[str] = "margin"

    def stage(self, classes: int) -> HeadStage:
        return MarginVotes(hidden=self.hidden, dropout=self.dropout, classes=classes)


class LeastSquares(HeadStage):
    """One sum for each class, which is to be 1 for the right class and 0 for the others."""

    title: ClassVar[str] = "squares"

    classes: int

    def output(self, shape: GridShape) -> GridShape:
        return GridShape(self.classes, 1, 1)

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        return (Parameter("weights", (self.classes, shape.cells), shape.cells, self.classes),)

    def multiply_adds(self, shape: GridShape) -> int:
        return self.classes * shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        cells = grids.reshape(len(grids), -1, 1)
        # One product for each item, so that its logits do not depend on the batch.
        logits = np.matmul(weights["weights"], cells)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            flow = gradient.reshape(len(grids), -1)
            back = (flow @ weights["weights"]).reshape(grids.shape)
            return back, {"weights": flow.T @ cells[:, :, 0]}

        return logits[:, :, :, None], backward

    def votes(self, logits: Array) -> Array:
        shares = np.clip(logits, 1e-3, None)
        votes: Array = shares / shares.sum(axis=1, keepdims=True)
        return votes

    def losses(self, logits: Array, targets: Targets | SoftTargets) -> tuple[Array, Array]:
        gradient = logits.copy()
        gradient[np.arange(len(logits)), targets] -= 1
        return (gradient**2).sum(axis=1) / 2, gradient


class Squares(Head):
    title: ClassVar[str] = "squares"

    def stage(self, classes: int) -> HeadStage:
        return LeastSquares(classes=classes)


SHAPE = GridShape(1, 8, 8)
STAGES: list[Any] = [{"convolution": {"filters": 4}}, "rectification", "pooling"]
CLASSES = ("lying", "standing")
TRAINING = {"epochs": 12, "batch_size": 8, "learning_rate": 0.01}

every_engine = pytest.mark.parametrize("engine", list(ENGINES))
every_head = pytest.mark.parametrize("head", [{"margin": {"hidden": [5]}}, "squares"], ids=str)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cls in {"margin": Margin, "squares": Squares}.items():
        monkeypatch.setitem(HEADS._places, name, "nowhere:nothing")
        monkeypatch.setitem(HEADS._loaded, name, cls)


def network_of(head: Any) -> Network:
    spec = {"adapter": {"array": {"size": [8, 8], "channels": 1}}, "stages": STAGES, "head": head}
    return Network(load_spec({**spec, "training": TRAINING}), SHAPE, classes=2)


def stripes(items: int, *, seed: int = 0) -> Labelled:
    """Return grids with a stripe that lies or stands, in noise."""
    random = np.random.default_rng(seed)
    grids = random.uniform(-1, 0, (items, 1, 8, 8)).astype(np.float32)
    targets = random.integers(0, 2, items)
    for grid, target in zip(grids, targets, strict=True):
        (grid[0].T if target else grid[0])[random.integers(8)] += 1
    return Labelled(grids, targets)


@every_engine
@every_head
def test_the_gradient_is_the_slope_of_the_loss_of_the_head(engine: str, head: Any) -> None:
    network, data = network_of(head), stripes(5)
    made = make_engine(network, engine)
    parameters = network.starting_parameters(np.float64)
    grids = np.asarray(data.grids, np.float64)

    step = made.step(parameters, grids, data.targets)
    expected = slopes(made, parameters, grids, data.targets, width=1e-6)
    np.testing.assert_allclose(step.gradient, expected, atol=1e-6)


@every_engine
@every_head
def test_engines_agree_on_the_loss_of_the_head(
    networks: ModuleType, engine: str, head: Any
) -> None:
    """Votes, loss, hits and gradient are those of the reference; no kernel has another loss."""
    network = network_of(head)
    case = networks.case_of(network, items=11, exactly=False)
    networks.check_answers(make_engine(network, engine), case)

    step: StepResult = make_engine(network, engine).step(
        case.single.parameters, case.single.grids, case.targets
    )
    made = make_engine(network, "reference")
    other = cross_entropy(made.logits(case.parameters, case.grids), case.targets)[0].mean()
    assert abs(step.loss - other) > 0.01


@every_engine
@every_head
def test_networks_are_trained_by_the_loss_of_the_head(engine: str, head: Any) -> None:
    """What training reports is that loss, and it learns to tell stripes apart."""
    network = network_of(head)
    made = make_engine(network, engine)
    test = stripes(60, seed=1)

    state = train(made, stripes(120), test, network.spec.training)
    history, logits = state.history, made.logits(state.parameters, test.grids)
    losses, _ = made.head.losses(logits, test.targets)
    assert history[-1].validation_loss == pytest.approx(losses.mean(), rel=1e-6)
    assert history[-1].loss < history[0].loss
    assert history[-1].accuracy > 0.9
    answers = made.head.answers(made.head.votes(logits))
    assert history[-1].validation_accuracy == (answers == test.targets).mean() > 0.9


@every_head
def test_a_model_answers_by_the_votes_of_the_head(head: Any, tmp_path: Path) -> None:
    """Also after it was saved; votes are from 0 to 1, and they add up to 1."""
    network = network_of(head)
    model = Model(network.spec, CLASSES, network.starting_parameters())
    grids = stripes(9).grids

    votes = load(model.save(tmp_path / "model")).votes_of_grids(grids)
    expected = model.head.votes(make_engine(network).logits(model.parameters, grids))
    np.testing.assert_array_equal(votes, expected)
    np.testing.assert_allclose(votes.sum(axis=1), 1, rtol=1e-6)
    assert model.answers(votes).tolist() == [CLASSES[int(row[1] > row[0])] for row in votes]


def test_an_item_without_finite_votes_has_no_answer() -> None:
    """The head says which that are; by default those with logits that are not finite."""
    network = network_of("squares")
    model = Model(network.spec, CLASSES, network.starting_parameters())
    grids = np.array(stripes(3).grids)
    grids[1] = np.float32(3e38)

    assert model.answered(grids).kept.tolist() == [0, 2]
    with pytest.raises(DataError, match="item 1: its votes are not finite numbers"):
        model.votes_of_grids(grids)


@every_engine
def test_without_a_head_there_is_no_loss(engine: str) -> None:
    network = Network(load_spec({"stages": STAGES}), SHAPE)
    made: Engine = make_engine(network, engine)
    data = stripes(2)

    assert network.head is None
    with pytest.raises(TrainingError, match="has no head: it makes maps, and gives no votes"):
        made.step(network.starting_parameters(), data.grids, data.targets)


@every_engine
@pytest.mark.parametrize("targets", [[0, 2], [-1, 0], [0], [0, 1, 1], [0.0, 1.0]], ids=str)
def test_targets_that_are_not_classes_are_refused(engine: str, targets: list[Any]) -> None:
    """By every engine alike, whatever head there is."""
    network = network_of("squares")
    made = make_engine(network, engine)

    with pytest.raises(IndexError, match="targets must be 2 whole numbers from 0 to 1"):
        made.step(network.starting_parameters(), stripes(2).grids, np.array(targets))


def test_a_hit_is_the_largest_logit() -> None:
    """Votes that are rounded to the same number may have different logits."""
    head = Voting().stage(2)
    logits = np.array([[0, 1e-9], [1e-9, 0], [0, 0]], np.float32)

    assert head.votes(logits).tolist() == [[0.5, 0.5]] * 3
    assert head.hits(logits, np.array([1, 1, 0])).tolist() == [True, False, True]
    assert loss_and_accuracy(head, logits, np.array([1, 1, 0]))[1] == 2 / 3
