"""Training with several labels of an item: what is softened, weighed, looked for and chosen by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from gridcnn.contracts.stage import HeadStage
from gridcnn.engines.base import Engine, make_engine
from gridcnn.errors import SpecError
from gridcnn.grid import GridShape
from gridcnn.label_measures import label_measures
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import Training
from gridcnn.stages.voting import Voting
from gridcnn.training.loop import Labelled, loss_and_accuracy, train
from gridcnn.training.selection import settle_selection, validation_score
from gridcnn.training.signs import loss_by_label_frequency
from gridcnn.training.softening import Softener
from gridcnn.training.weighing import item_weights

NAN = np.nan
HEAD: HeadStage = Voting(labels="several").stage(3)


def drawn(items: int = 40) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return labels, some of which are not known, and logits."""
    random = np.random.default_rng(0)
    targets = (random.random((items, 3)) < [0.5, 0.2, 0.7]).astype(np.float32)
    logits = (targets + random.normal(0, 1, targets.shape)).astype(np.float32)
    targets[random.random(targets.shape) < 0.2] = NAN
    return targets, logits


@pytest.mark.parametrize("name", ["auc", "average_precision", "balanced_accuracy", "macro_f1"])
def test_an_epoch_is_chosen_by_the_measures_of_labels(name: Any) -> None:
    """With even thresholds, since others are chosen after training."""
    targets, logits = drawn()

    expected = getattr(label_measures(targets, expit(logits), [0.5] * 3), name)
    assert validation_score(HEAD, logits, targets, name) == pytest.approx(expected)
    assert validation_score(HEAD, logits, targets, "loss") is None


def test_the_loss_chooses_unless_the_spec_says_otherwise() -> None:
    assert settle_selection(Training(), several=True).select_by == "loss"
    assert settle_selection(Training(), several=False).select_by == "accuracy"
    assert settle_selection(Training(select_by="accuracy"), several=True).select_by == "accuracy"


def test_the_accuracy_is_the_exact_match_of_what_is_known() -> None:
    targets, logits = drawn()

    loss, accuracy = loss_and_accuracy(HEAD, logits, targets)
    right = ((logits >= 0) == (targets == 1)) | np.isnan(targets)
    assert accuracy == right.all(axis=1).mean()
    assert loss == pytest.approx(HEAD.losses(logits, targets)[0].mean())


def test_smoothed_labels_are_nearer_to_even() -> None:
    """What is not known stays so."""
    soften = Softener(Training(label_smoothing=0.2), 3, epoch=1, several=True)
    targets = np.array([[1, 0, NAN]], np.float32)

    _, softened, _ = soften(np.zeros((1, 1, 2, 2), np.float32), targets, None)
    np.testing.assert_allclose(softened, [[0.9, 0.1, NAN]], rtol=1e-6)


def test_mixed_labels_are_those_of_both_items() -> None:
    """In their proportions; a label is known if it is of both. Weights are mixed as well."""
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (50, 1, 1, 4)).astype(np.float32)
    targets, weights = drawn(50)[0], random.random(50).astype(np.float32)
    grids[:, 0, 0, :3] = targets  # so that grids are mixed as their labels are
    grids[:, 0, 0, 3] = weights
    soften = Softener(Training(mixup=0.5), 3, epoch=2, several=True)

    mixed, softened, counts = soften(np.nan_to_num(grids, nan=-1e9), targets, weights)
    known = ~np.isnan(softened)
    cells = np.asarray(mixed)[:, 0, 0]
    np.testing.assert_allclose(softened[known], cells[:, :3][known], atol=1e-6)
    assert (cells[:, :3][~known] < -0.001).all()
    assert counts is not None
    np.testing.assert_allclose(counts, cells[:, 3], atol=1e-6)
    assert ((softened >= 0) & (softened <= 1))[known].all()


def test_items_have_their_own_weights_and_classes_none() -> None:
    """The mean is 1; what weighs classes is refused by its place in the spec."""
    targets, _ = drawn(4)

    weights = item_weights(Training(), targets, ["a", "b", "c"], own=np.array([1, 3, 0, 4]))
    np.testing.assert_allclose(weights, [0.5, 1.5, 0, 2])  # type: ignore[arg-type]
    assert item_weights(Training(), targets, ["a", "b", "c"]) is None
    spec = load({"training": {"class_weights": {"a": 2}, "sampling": "balanced"}})
    with pytest.raises(SpecError) as raised:
        item_weights(spec.training, targets, ["a", "b", "c"], document=spec.document)
    places = [str(problem).partition(": ")[0] for problem in raised.value.problems]
    assert places == ["training.class_weights", "training.sampling"]


def test_the_loss_of_frequencies_is_that_of_constant_votes() -> None:
    """No other constant votes have a lower loss."""
    targets, _ = drawn(200)
    part = np.nanmean(targets, axis=0)

    found = loss_by_label_frequency(targets)
    for shift in (0, 0.01, -0.01):
        votes = np.clip(part + shift, 1e-6, 1 - 1e-6)
        logits = np.tile(np.log(votes / (1 - votes)), (200, 1))
        loss = HEAD.losses(logits, targets)[0].mean()
        assert loss == pytest.approx(found) if not shift else loss > found
    assert loss_by_label_frequency(np.array([[1, 0], [1, NAN]], np.float32)) < 1e-9


class Unlucky(Network):
    """A network whose first start has features that answer nothing: their biases are far below."""

    def starting_parameters(self, dtype: Any = np.float32, *, again: int = 0) -> Any:
        vector = super().starting_parameters(dtype, again=again)
        if not again:
            self.named(vector)["1.convolution.bias"][...] = -1e3
        return vector


def unlucky(**training: Any) -> Engine:
    spec = load(
        {
            "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
            "head": {"voting": {"labels": "several", "hidden": [6]}},
            "training": {"batch_size": 8, "epochs": 3, **training},
        }
    )
    return make_engine(Unlucky(spec, GridShape(1, 6, 6), classes=3), threads=1)


@pytest.mark.parametrize(("restarts", "kinds"), [(1, ["restarted"]), (0, ["collapsed"])])
def test_a_collapsed_start_is_noticed(restarts: int, kinds: list[str]) -> None:
    """All items get the same votes, and no more match than by the most frequent labels."""
    random = np.random.default_rng(0)
    data = Labelled(random.normal(0, 1, (60, 1, 6, 6)).astype(np.float32), drawn(60)[0])
    engine = unlucky(restarts=restarts)

    state = train(engine, data, None, engine.network.spec.training)
    assert [sign.kind for sign in state.signs][:1] == kinds
    assert state.restarts == restarts
