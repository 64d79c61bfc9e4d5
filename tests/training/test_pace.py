"""A learning rate that is far off is told, by how far the weights move and by the loss."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from gridcnn.engines.base import Engine, make_engine
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled, TrainingState, train
from gridcnn.training.pace import Moves, Pace, faster, layers, slower, too_high, too_low
from gridcnn.training.signs import Looker


class Figures(NamedTuple):
    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    learning_rate: float


CLASSES = 3
LIKELY = math.log(CLASSES)
GOOD = Moves(start=1.1, early=0.1, most=0.1)


def engine(**training: Any) -> Engine:
    spec = load(
        {
            "adapter": {"array": {"size": [6, 6], "channels": 1, "scaling": "none"}},
            "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
            "head": {"voting": {"hidden": [6]}},
            "training": {"batch_size": 8, "epochs": 5, "restarts": 0, **training},
        }
    )
    return make_engine(Network(spec, GridShape(1, 6, 6), classes=CLASSES), "native", threads=1)


def data(items: int = 240) -> Labelled:
    """Return noise with one bright row, whose number is the class."""
    random = np.random.default_rng(0)
    targets = np.arange(items) % CLASSES
    grids = random.normal(0, 0.1, (items, 1, 6, 6)).astype(np.float32)
    grids[np.arange(items), 0, 2 * targets] += 1
    return Labelled(grids, targets.astype(np.int64))


def trained(made: Engine, **options: Any) -> TrainingState:
    return train(made, data(), None, made.network.spec.training, **options)


def kinds(state: TrainingState) -> list[str]:
    return [sign.kind for sign in state.signs]


# In a training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", {"sgd": {"momentum": 0.9}}])
def test_a_rate_that_is_much_too_low_is_said_once_and_why_nothing_is_learned(
    optimizer: Any,
) -> None:
    """With a rate that is so much higher that the weights would move."""
    state = trained(engine(learning_rate=1e-6, optimizer=optimizer))

    (sign,) = state.signs
    assert sign.kind == "learning rate too low"
    assert sign.epoch == 3
    assert sign.text.startswith("learning rate too low: 1e-06; the weights moved by only ")
    better = float(sign.text.partition("training.learning_rate: ")[2].partition(",")[0])
    assert kinds(trained(engine(learning_rate=better, optimizer=optimizer))) == []
    assert "gridcnn tune SPEC --only learning_rate" in sign.text


def test_a_rate_that_is_much_too_high_is_said() -> None:
    """With one at which it learns."""
    state = trained(engine(learning_rate=3.0, optimizer="sgd", batch_size=4))
    (sign,) = [sign for sign in state.signs if sign.kind.startswith("learning rate")]

    assert sign.kind == "learning rate too high"
    assert sign.epoch <= 3
    better = float(sign.text.partition("training.learning_rate: ")[2].partition(",")[0])
    assert kinds(trained(engine(learning_rate=better, optimizer="sgd", batch_size=4))) == []


@pytest.mark.parametrize("rate", [1e-3, 3e-3, 1e-2, 3e-2])
@pytest.mark.parametrize("schedule", ["cosine", "constant", "one_cycle"])
def test_rates_that_are_a_little_off_are_not_told(rate: float, schedule: str) -> None:
    assert kinds(trained(engine(learning_rate=rate, schedule=schedule))) == []


def test_a_warm_up_is_no_low_rate() -> None:
    """It is asked when the rate has risen."""
    state = trained(engine(learning_rate=0.01, warm_up=60, epochs=4))

    assert kinds(state) == []


def test_nudges_are_not_judged_by_it() -> None:
    """Their steps are not those of an optimizer."""
    made = engine(method="nudge", learning_rate=1e-6, epochs=3, batch_size=120)

    assert "learning rate too low" not in kinds(trained(made))


def test_a_resumed_training_says_the_same() -> None:
    states: list[TrainingState] = []

    class Watcher:
        def on_nudge(self, *_: Any) -> None: ...
        def on_sign(self, *_: Any) -> None: ...
        def on_batch(self, *_: Any) -> None: ...
        def on_epoch(self, state: TrainingState) -> None:
            states.append(state)

    whole = trained(engine(learning_rate=1e-6), watcher=Watcher())

    for stopped in states:
        assert trained(engine(learning_rate=1e-6), state=stopped).signs == whole.signs


# The rules ----------------------------------------------------------------------------------------


def test_moves_are_parts_of_the_sizes_of_the_weights_before() -> None:
    """Of all together in the first hundred steps, and of each layer in the whole epoch."""
    network = engine().network
    before = network.starting_parameters()
    slots = [slot for _, slot in layers(network)]
    pace = Pace(network, before, batches=102, batch_size=32)
    after = before.copy()
    for batch in range(102):
        if batch == 100:
            after[slots[0].part] += before[slots[0].part]  # which is too late for `early`
        elif batch < 100:
            after[slots[1].part] *= np.float32(1.01)
        pace.take(batch, 4.0 - batch, after)

    found = pace.moves(after)

    grown = 1.01**100 - 1
    whole = math.hypot(*(np.linalg.norm(before[slot.part]) for slot in slots))
    assert found.start == 3.5  # of two batches, which are 64 items
    assert found.early == pytest.approx(
        grown * np.linalg.norm(before[slots[1].part]) / whole, rel=1e-3
    )
    assert found.most == pytest.approx(max(1, grown), rel=1e-3)


def test_an_epoch_of_few_steps_counts_as_fifty() -> None:
    network = engine().network
    before = network.starting_parameters()
    pace = Pace(network, before, batches=2, batch_size=32)
    after = before * np.float32(1.001)
    pace.take(0, 1.0, after)
    pace.take(1, 1.0, after)

    assert pace.moves(after).most == pytest.approx(25 * 0.001, rel=1e-3)


def test_weights_that_begin_at_zero_have_not_moved_far() -> None:
    network = engine().network
    before = np.zeros_like(network.starting_parameters())
    pace = Pace(network, before, batches=1, batch_size=32)
    pace.take(0, 1.0, before + 1)

    assert pace.moves(before + 1) == Moves(start=1.0, early=0.0, most=0.0)


FAR = Moves(1.1, 4.0, 4.0)
STILL = Moves(1.1, 0.0005, 0.001)


@pytest.mark.parametrize(
    ("moves", "losses", "high", "low"),
    [
        (GOOD, [1.0, 0.8, 0.7], False, False),
        (GOOD, [1.1, 1.1, 1.1], False, False),  # nothing is learned, but not for its pace
        (FAR, [1.2], True, False),
        (FAR, [0.9], False, False),  # it learns all the same
        (GOOD, [3.4], True, False),  # three times what it began with
        (Moves(2.0, 0.1, 0.1), [3.4], False, False),  # votes were too sure at the start
        (GOOD, [1.0, 3.4], True, False),
        (GOOD, [2.0, 3.4], False, False),
        (STILL, [1.1, 1.09, 1.08], False, True),
        (STILL, [1.1, 1.0, 0.9], False, False),  # it falls
        (STILL, [0.3, 0.3, 0.3], False, False),  # there is little left to learn
    ],
)
def test_what_is_far_off(moves: Moves, losses: list[float], high: bool, low: bool) -> None:
    assert bool(too_high(moves, losses, LIKELY)) is high
    assert bool(too_low(moves, losses, LIKELY)) is low


def test_advice_is_off_by_powers_of_ten() -> None:
    assert slower(0.03, Moves(1.1, 4.0, 9.0)) == pytest.approx(0.0003)
    assert slower(0.03, GOOD) == pytest.approx(0.003)
    assert faster(1e-6, Moves(1.1, 0.0, 1e-4)) == pytest.approx(1e-3)
    assert faster(1e-6, GOOD) == pytest.approx(1e-5)


def test_it_is_asked_once() -> None:
    """On a plateau at the end the weights hardly move either."""
    made = engine()
    look = Looker(made, data().grids, data().targets, made.network.spec.training)
    history = [Figures(number, 1.1, 0.4, None, 0.001) for number in range(1, 6)]
    start = made.network.starting_parameters()

    said = [
        look.signs(history[:epochs], start, collapsed=False, largest=None, moves=STILL)
        for epochs in range(1, 6)
    ]

    assert [[sign.kind for sign in signs] for signs in said] == [
        *([], [], ["learning rate too low"]),
        *(["learned nothing"], ["learned nothing"]),
    ]


def test_a_collapse_at_a_rate_that_is_too_high_says_so() -> None:
    made = engine()
    look = Looker(made, data().grids, data().targets, made.network.spec.training)
    start = made.network.starting_parameters()
    history = [Figures(1, 1.2, 0.4, None, 0.001)]

    said = {
        name: look.signs(history, start, collapsed=True, largest=None, moves=moves)
        for name, moves in (("far", FAR), ("still", STILL), ("good", GOOD))
    }

    assert [sign.kind for sign in said["far"]] == ["collapsed", "learning rate too high"]
    assert [sign.kind for sign in said["still"]] == ["collapsed"]
    assert [sign.kind for sign in said["good"]] == ["collapsed"]


def test_that_nothing_is_learned_is_not_said_after_the_reason() -> None:
    made = engine()
    look = Looker(made, data().grids, data().targets, made.network.spec.training)
    history = [Figures(number, 1.1, 0.4, None, 0.001) for number in range(1, 6)]
    start = made.network.starting_parameters()

    after = look.signs(
        history,
        start,
        collapsed=False,
        largest=None,
        moves=STILL,
        told={"learning rate too low"},
    )

    assert after == []
