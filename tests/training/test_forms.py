"""Changed forms of training items: which are drawn, and what training does with them."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.engines.base import StepResult, make_engine
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.grid import Array, Cells, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.forms import Forms
from gridcnn.training.loop import Labelled, TrainingState, train

SHAPE = GridShape(1, 4, 5)


def data(items: int = 21, forms: int = 3) -> Labelled:
    """Return items whose cells are their number, and forms that are a hundred times as much."""
    numbers = np.arange(1, items + 1, dtype=np.float32)
    grids = np.broadcast_to(numbers[:, None, None, None], (items, *SHAPE.sizes)).copy()
    places = np.random.default_rng(0).permutation(items * forms).reshape(items, forms)
    changed = np.zeros((items * forms, *SHAPE.sizes), np.float32)
    for item in range(items):
        for form in range(forms):
            changed[places[item, form]] = 100 * (item + 1) + form + 1
    places[2, 1] = -1
    targets = np.arange(items) % 2
    return Labelled(grids, targets, forms=Forms(changed, places))


def test_each_item_has_the_form_that_is_drawn() -> None:
    """0 is the item itself, and so is a form that could not be made."""
    items = data()
    chosen = items.at(np.array([4, 2, 2, 0, 4]))

    cells = np.asarray(chosen.in_forms(np.array([0, 2, 3, 1, 3])))[:, 0, 0, 0]

    assert cells.tolist() == [5, 3, 303, 101, 503]
    assert np.asarray(chosen.in_forms(None))[:, 0, 0, 0].tolist() == [5, 3, 3, 1, 5]
    kept = items.chosen(np.arange(21) == 4)
    assert np.asarray(kept.in_forms(np.array([2])))[:, 0, 0, 0].tolist() == [502]


def test_one_hot_items_have_one_hot_forms() -> None:
    """Indices stay indices, and those of the items stay as they are."""
    grids = OneHot(np.array([[0, 1], [2, -1]], np.int32), 3)
    forms = Forms(OneHot(np.array([[1, 1], [2, 2]], np.int32), 3), np.array([[1], [0]]))

    found = forms.put(grids, np.array([1, 0]))

    assert isinstance(found, OneHot)
    assert found.indices.tolist() == [[2, 2], [2, -1]]
    assert grids.indices.tolist() == [[0, 1], [2, -1]]


def test_all_forms_are_equally_likely() -> None:
    """And the item itself as likely as each of them; by the seed and the epoch."""
    forms = data().forms
    assert forms is not None

    drawn = forms.draw(0, 1, 8000)

    assert (abs(np.bincount(drawn, minlength=4) - 2000) < 150).all()
    np.testing.assert_array_equal(forms.draw(0, 1, 8000), drawn)
    assert (forms.draw(0, 2, 8000) != drawn).any()
    assert (forms.draw(1, 1, 8000) != drawn).any()


class Recorder(ReferenceEngine):
    """Keeps the first cell of every grid that it is trained or asked on."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.trained: list[list[float]] = []
        self.asked: set[float] = set()

    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: NDArray[Any],
        *,
        random: np.random.Generator | None = None,
        weights: Array | None = None,
    ) -> StepResult:
        self.trained.append(np.asarray(grids)[:, 0, 0, 0].tolist())
        return super().step(parameters, grids, targets, random=random, weights=weights)

    def logits(self, parameters: Array, grids: Cells) -> Array:
        self.asked |= set(np.asarray(grids)[:, 0, 0, 0].tolist())
        return super().logits(parameters, grids)


def network(**training: Any) -> Network:
    spec = load(
        {
            "stages": [{"convolution": {"filters": 2}}, "rectification"],
            "head": "voting",
            "training": {
                "batch_size": 8, "epochs": 3, "learning_rate": 1e-5, "restarts": 0, **training
            },
        }
    )  # fmt: skip
    return Network(spec, SHAPE, classes=2)


def item_of(cell: float) -> int:
    return int(cell) if cell < 100 else int(cell) // 100


def test_each_epoch_has_every_item_once_in_some_form() -> None:
    """Validation items are as they are, and the data stays as it is."""
    engine = Recorder(network())
    validation = Labelled(np.full((4, *SHAPE.sizes), -1, np.float32), np.array([0, 1, 0, 1]))
    items = data()

    train(engine, items, validation, engine.network.spec.training)

    np.testing.assert_array_equal(items.grids, data().grids)
    epochs = [[*chain(*engine.trained[at : at + 3])] for at in (0, 3, 6)]
    for epoch in epochs:
        assert sorted(map(item_of, epoch)) == list(range(1, 22))
    assert len({tuple(sorted(epoch)) for epoch in epochs}) == 3
    assert {cell % 100 for epoch in epochs for cell in epoch if cell >= 100} == {1, 2, 3}
    assert not {cell for cell in engine.asked if cell >= 100}


def test_grids_are_changed_after_the_form_is_drawn() -> None:
    """Both kinds of augmentation go together."""
    plain, engine = Recorder(network()), Recorder(network(augmentation=[{"gain": 0.001}]))
    for each in (plain, engine):
        train(each, data(), None, each.network.spec.training)

    np.testing.assert_allclose(engine.trained[0], plain.trained[0], rtol=0.0011)
    assert engine.trained[0] != plain.trained[0]


class Keeper:
    """Keeps what training had come to after each epoch."""

    def __init__(self) -> None:
        self.epochs: list[TrainingState] = []

    def on_nudge(self, *_: Any) -> None:
        pass

    def on_sign(self, *_: Any) -> None:
        pass

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        pass

    def on_epoch(self, state: TrainingState) -> None:
        self.epochs.append(state)


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_resumed_training_ends_with_the_same_bits(sampling: str) -> None:
    """After any epoch, and with any number of threads."""
    bound, keeper = network(sampling=sampling), Keeper()
    settings = bound.spec.training
    whole = train(make_engine(bound), data(), None, settings, watcher=keeper)

    for done in (1, 2):
        engine = make_engine(bound, threads=done)
        resumed = train(engine, data(), None, settings, state=keeper.epochs[done - 1])
        np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    plain = train(make_engine(bound), data().at(np.arange(21)), None, settings)
    np.testing.assert_array_equal(plain.parameters, whole.parameters)
