from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.engines.base import Engine, StepResult
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.errors import SpecError, TrainingError
from gridcnn.grid import Array, Axis, Cells, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training import loop, methods
from gridcnn.training.loop import Epoch, Labelled, TrainingState, train
from gridcnn.training.methods import NudgeResult
from gridcnn.training.signs import Sign

OPTIMIZERS = ["sgd", {"sgd": {"nesterov": True}}, "adam", "adamw"]
SOFTER: list[dict[str, Any]] = [
    {"averaging": 0.9},
    {"mixup": 0.4, "label_smoothing": 0.1},
    {"sampling": "balanced", "select_by": "auc", "schedule": "one_cycle"},
]


class Recorder(ReferenceEngine):
    """Keeps the first cell of every item that it is trained on, batch by batch."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.batches: list[list[float]] = []

    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        random: np.random.Generator | None = None,
    ) -> StepResult:
        self.batches.append(np.asarray(grids)[:, 0, 0, 0].tolist())
        return super().step(parameters, grids, targets, weights=weights, random=random)


class Watcher:
    """Remembers what it is told, and may stop the training by an exception."""

    def __init__(self, stop: Callable[[int, int], bool] = lambda _epoch, _done: False) -> None:
        self.epochs: list[TrainingState] = []
        self.batches: list[tuple[int, int, int]] = []
        self.nudges: list[tuple[int, NudgeResult]] = []
        self.signs: list[Sign] = []
        self.stop = stop

    def on_nudge(self, epoch: int, nudge: NudgeResult) -> None:
        self.nudges.append((epoch, nudge))

    def on_sign(self, sign: Sign) -> None:
        self.signs.append(sign)

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        assert np.isfinite(loss)
        self.batches.append((epoch, done, batches))
        if self.stop(epoch, done):
            raise KeyboardInterrupt

    def on_epoch(self, state: TrainingState) -> None:
        self.epochs.append(state)


def engine(cls: type[Engine] = ReferenceEngine, *, dropout: float = 0.2, **training: Any) -> Engine:
    frozen = {"features": [[[1, -1]], [[1, 1]]], "trainable": False}
    spec = load(
        {
            "stages": [{"convolution": frozen}, {"convolution": {"filters": 3}}, "rectification"],
            "head": {"voting": {"hidden": [4], "dropout": dropout}},
            "training": {"batch_size": 8, "epochs": 4, **training},
        }
    )
    return cls(Network(spec, GridShape(1, 4, 4), classes=2))


def data(items: int = 30, *, seed: int = 0) -> Labelled:
    """Return noise whose class is the sign of its sum; the first cells are all different."""
    grids = np.random.default_rng(seed).normal(0, 1, (items, 1, 4, 4)).astype(np.float32)
    return Labelled(grids, (grids.sum(axis=(1, 2, 3)) > 0).astype(np.int64))


def trained(made: Engine, **options: Any) -> TrainingState:
    validation = options.pop("validation", data(20, seed=1))
    return train(made, data(), validation, made.network.spec.training, **options)


def told(state: TrainingState) -> list[tuple[Any, ...]]:
    """Return a history without its times."""
    return [dataclasses.astuple(epoch)[:-1] for epoch in state.history]


def test_it_learns() -> None:
    """The items that it is trained on, and something about others, where guessing gets half."""
    made = engine(epochs=40, learning_rate=0.02, dropout=0.0)
    settings = made.network.spec.training

    history = train(made, data(100), data(200, seed=1), settings).history

    assert [epoch.epoch for epoch in history] == list(range(1, 41))
    assert history[-1].accuracy > 0.9
    assert history[-1].loss < history[0].loss / 2
    assert history[-1].validation_accuracy is not None
    assert history[-1].validation_accuracy > 0.65


def test_every_epoch_sees_each_item_once_in_another_order() -> None:
    made = engine(Recorder)
    assert isinstance(made, Recorder)

    trained(made)
    assert [len(batch) for batch in made.batches] == [8, 8, 8, 6] * 4
    seen = list(itertools.chain(*made.batches))
    epochs = [seen[start : start + 30] for start in range(0, 120, 30)]
    cells = sorted(np.asarray(data().grids)[:, 0, 0, 0].tolist())
    assert all(sorted(epoch) == cells for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_the_same_seed_gives_the_same_bits() -> None:
    """The seed fixes weights, order and dropout; another seed gives something else."""
    first, again, other = (trained(engine(seed=seed)) for seed in (5, 5, 6))

    np.testing.assert_array_equal(first.parameters, again.parameters)
    np.testing.assert_array_equal(first.best, again.best)
    assert told(first) == told(again)
    assert (first.parameters != other.parameters).any()


@pytest.mark.parametrize(
    "training", [*({"optimizer": each} for each in OPTIMIZERS), *SOFTER], ids=str
)
@pytest.mark.parametrize("done", [1, 3, 4])
def test_a_resumed_training_ends_with_the_same_bits(training: Any, done: int) -> None:
    """Stopped after any epoch, it goes on as if it had never stopped."""
    settings = {"schedule": "cosine", "warm_up": 1.5, "weight_decay": 0.01, **training}
    if settings["schedule"] == "one_cycle":
        del settings["warm_up"]
    made, watcher = engine(**settings), Watcher()
    whole = trained(made, watcher=watcher)

    resumed = trained(engine(**settings), state=watcher.epochs[done - 1])
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    np.testing.assert_array_equal(resumed.best, whole.best)
    assert told(resumed) == told(whole)
    assert (resumed.best_epoch, resumed.steps) == (whole.best_epoch, whole.steps)
    for name, kept in whole.memory.items():
        np.testing.assert_array_equal(resumed.memory[name], kept)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_frozen_features_never_change(optimizer: Any) -> None:
    made = engine(optimizer=optimizer, weight_decay=0.5, learning_rate=0.1)

    state = trained(made)
    start = made.network.starting_parameters()
    frozen = ~made.network.mask("trainable")
    np.testing.assert_array_equal(state.parameters[frozen], start[frozen])
    assert (state.parameters != start)[~frozen].all()


def test_the_watcher_is_told_of_every_batch_and_epoch() -> None:
    watcher = Watcher()

    trained(engine(epochs=2), watcher=watcher)
    assert watcher.batches == [(epoch, done, 4) for epoch in (1, 2) for done in (1, 2, 3, 4)]
    assert [len(state.history) for state in watcher.epochs] == [1, 2]


def test_an_epochs_progress_stays_as_it_was() -> None:
    """What a watcher was handed is not changed by later epochs."""
    watcher = Watcher()
    trained(engine(epochs=1), watcher=watcher)
    later = Watcher()
    trained(engine(epochs=4), watcher=later)

    np.testing.assert_array_equal(later.epochs[0].parameters, watcher.epochs[0].parameters)
    for name, kept in watcher.epochs[0].memory.items():
        np.testing.assert_array_equal(later.epochs[0].memory[name], kept)
    state = later.epochs[-1]
    assert state.parameters is not state.best
    assert not np.shares_memory(state.parameters, state.best)


def test_an_interruption_leaves_the_last_epoch_whole() -> None:
    """Stopped inside an epoch, the state handed in is untouched, and resumes to the same end."""
    watcher = Watcher(lambda epoch, done: (epoch, done) == (3, 2))
    with pytest.raises(KeyboardInterrupt):
        trained(engine(), watcher=watcher)
    start = watcher.epochs[-1]
    before = start.parameters.copy()
    with pytest.raises(KeyboardInterrupt):
        trained(engine(), state=start, watcher=Watcher(lambda _, done: done == 3))

    np.testing.assert_array_equal(start.parameters, before)
    assert len(start.history) == 2
    resumed = trained(engine(), state=start)
    np.testing.assert_array_equal(resumed.parameters, trained(engine()).parameters)


class Scripted(ReferenceEngine):
    """Gives each epoch the validation result that is written down for it."""

    script: tuple[tuple[int, float], ...] = ()

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.epoch = 0

    def logits(self, parameters: Array, grids: Cells) -> Array:
        """Answer so many of the ten items rightly, all with one margin."""
        right, margin = self.script[self.epoch]
        self.epoch += 1
        logits = np.zeros((len(grids), 2), np.float32)
        logits[:right, 0] = margin
        logits[right:, 1] = margin
        return logits


def scripted(script: tuple[tuple[int, float], ...], **training: Any) -> TrainingState:
    made = engine(Scripted, epochs=len(script), **training)
    made.script = script  # type: ignore[attr-defined]
    ten = Labelled(data(10).grids, np.zeros(10, np.int64))
    return trained(made, validation=ten)


@pytest.mark.parametrize(
    ("script", "best"),
    [
        (((5, 1), (7, 1), (6, 1)), 2),  # the highest accuracy
        (((7, 3), (7, 1), (7, 2), (6, 0.1)), 2),  # among those, the lowest loss
        (((7, 1), (7, 1)), 1),  # among equals, the first
        (((1, 1),), 1),
    ],
)
def test_the_best_epoch_has_the_highest_accuracy_and_then_the_lowest_loss(
    script: tuple[tuple[int, float], ...], best: int
) -> None:
    state = scripted(script)

    assert state.best_epoch == best
    assert len(state.history) == len(script)


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    state, watcher = scripted(((5, 1), (9, 1), (6, 1))), Watcher()

    trained(engine(epochs=2), watcher=watcher)
    np.testing.assert_array_equal(state.best, watcher.epochs[1].parameters)
    assert (state.best != state.parameters).any()


def test_patience_stops_after_so_many_epochs_without_a_better_one() -> None:
    script = ((5, 1), (6, 1), (6, 1), (6, 1), (9, 1))

    assert len(scripted(script, patience=2).history) == 4
    assert scripted(script, patience=2).best_epoch == 2
    assert scripted(script, patience=3).best_epoch == 5
    assert len(scripted(script).history) == 5


def test_patience_that_has_run_out_stays_so_when_resumed() -> None:
    state = scripted(((5, 1), (4, 1), (4, 1)), patience=2)

    assert trained(engine(epochs=9, patience=2), state=state) is state


def test_without_validation_the_last_epoch_is_the_best() -> None:
    for nothing in (None, data(0)):
        state = trained(engine(patience=1), validation=nothing)

        assert state.best_epoch == 4
        assert state.history[-1].validation_loss is None
        assert state.history[-1].validation_accuracy is None
        np.testing.assert_array_equal(state.best, state.parameters)


def test_validation_is_measured_without_dropout() -> None:
    made = engine(epochs=1, dropout=0.5)
    validation = data(20, seed=1)

    state = trained(made, validation=validation)
    step = made.step(state.parameters, validation.grids, validation.targets)
    assert state.history[0].validation_loss == pytest.approx(step.loss, rel=1e-6)
    assert state.history[0].validation_accuracy == step.hits / 20


def test_losses_are_means_over_items() -> None:
    """A smaller last batch counts less: with rates near 0, the mean is that of all items."""
    made = engine(epochs=1, learning_rate=1e-12, dropout=0.0)

    (epoch,) = trained(made).history
    step = made.step(made.network.starting_parameters(), data().grids, data().targets)
    assert epoch.loss == pytest.approx(step.loss, rel=1e-5)
    assert epoch.accuracy == step.hits / 30


def rates(batches_per_epoch: int, **training: Any) -> list[list[float]]:
    """Return the rate of every step, epoch by epoch."""
    found: list[float] = []
    made = engine(learning_rate=0.1, **training)

    original = methods.Backpropagation.learn

    def learn(self: Any, *args: Any, rate: float, **options: Any) -> Any:
        found.append(rate)
        return original(self, *args, rate=rate, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods.Backpropagation, "learn", learn)
        trained(made)
    return [
        found[start : start + batches_per_epoch]
        for start in range(0, len(found), batches_per_epoch)
    ]


def test_no_step_of_a_warm_up_or_of_a_cosine_is_nothing() -> None:
    """Each batch is taken at the rate in its middle."""
    first, *_, last = rates(4, schedule="cosine", warm_up=1.0)

    assert first == pytest.approx([0.0125, 0.0375, 0.0625, 0.0875])
    assert last[-1] > 0
    assert last == sorted(last, reverse=True)


def test_a_step_falls_between_epochs_and_not_before_the_last_batch() -> None:
    found = rates(4, schedule={"step": {"every": 1, "factor": 0.5}})

    assert [set(epoch) for epoch in found] == [{0.1}, {0.05}, {0.025}, {0.0125}]


def test_an_exploding_loss_stops_with_an_explanation() -> None:
    made = engine(learning_rate=1e30, optimizer="sgd")

    with pytest.raises(
        TrainingError, match=r"in epoch 1, batch \d, at a learning rate of 1e\+30; "
    ):
        trained(made)
    with pytest.raises(TrainingError, match=r"try training\.learning_rate: 1e\+29, training\.grad"):
        trained(made)


def test_an_explosion_leaves_the_callers_progress_untouched() -> None:
    watcher = Watcher()
    trained(engine(epochs=1), watcher=watcher)
    (state,) = watcher.epochs
    before = (
        state.parameters.copy(),
        {name: kept.copy() for name, kept in state.memory.items()},
    )

    with pytest.raises(TrainingError):
        trained(engine(learning_rate=1e30), state=state)
    assert len(state.history) == 1
    np.testing.assert_array_equal(state.parameters, before[0])
    for name, kept in before[1].items():
        np.testing.assert_array_equal(state.memory[name], kept)


class Bursting(ReferenceEngine):
    """Has a gradient that is no number, beside a loss that still is one."""

    def step(self, *args: Any, **options: Any) -> StepResult:
        step = super().step(*args, **options)
        return StepResult(step.loss, step.hits, step.gradient * np.float32(np.nan))


def test_parameters_that_are_no_numbers_after_the_last_batch_are_noticed() -> None:
    with pytest.raises(TrainingError, match="no longer a number in the last batch of epoch 1"):
        trained(engine(Bursting, batch_size=30), validation=None)


def test_a_validation_loss_that_is_no_number_is_noticed() -> None:
    with pytest.raises(TrainingError, match="no longer a number in the validation after epoch 1"):
        scripted(((5, np.nan),))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_cells_that_are_not_finite_are_refused_before_training(bad: float) -> None:
    spoiled = data()
    np.asarray(spoiled.grids)[[3, 7], 0, 1, 1] = bad
    made = engine()

    with pytest.raises(
        TrainingError, match="2 of 30 training items have cells that are NaN or inf"
    ):
        train(made, spoiled, None, made.network.spec.training)
    with pytest.raises(TrainingError, match="2 of 30 validation items have cells that are NaN or"):
        train(made, data(), spoiled, made.network.spec.training)


def test_nothing_to_train_on_is_refused() -> None:
    made = engine()

    with pytest.raises(TrainingError, match="there are no items to train on"):
        train(made, data(0), None, made.network.spec.training)


def test_a_network_without_a_head_is_refused() -> None:
    spec = load({"stages": [{"convolution": {"filters": 2}}]})
    headless = ReferenceEngine(Network(spec, GridShape(1, 4, 4), classes=2))

    with pytest.raises(
        TrainingError, match="has no head, so there are no votes to learn; add a head"
    ):
        train(headless, data(), None, spec.training)


@pytest.mark.parametrize(("batch_size", "items"), [(1, 30), (64, 1)])
def test_batches_of_one_item_leave_nothing_of_a_map_of_one_cell(
    batch_size: int, items: int
) -> None:
    """A batch normalization would return its bias, whatever goes in."""
    stages: list[Any] = [
        {"convolution": {"filters": 2}},
        {"skip": ["normalization"]},
        {"pooling": {"window": "all"}},
        {"skip": ["normalization"]},
    ]
    training = {"batch_size": batch_size, "epochs": 1}
    spec = load({"stages": stages, "head": "voting", "training": training})
    made = ReferenceEngine(Network(spec, GridShape(1, 4, 4), classes=2))

    with pytest.raises(
        TrainingError, match=r"^4\.1 normalization: in batches of one item each map of 2 x 1 x 1 is"
    ):
        train(made, data(items), None, spec.training)


def test_a_history_has_plain_numbers() -> None:
    """What is written to files is Python's own numbers."""
    (epoch,) = trained(engine(epochs=1)).history

    kinds = {name: type(value) for name, value in dataclasses.asdict(epoch).items()}
    assert kinds.pop("validation_score") is type(None)  # since it is the accuracy
    assert kinds == dict.fromkeys(kinds, float) | {"epoch": int}
    assert isinstance(epoch, Epoch)


def test_bad_cells_are_counted_in_every_lot_of_items() -> None:
    """Items are looked at a few at a time; none is missed."""
    grids = np.zeros((2500, 1, 2, 2), np.float32)
    grids[[0, 1024, 2499], 0, 1, 1] = np.nan

    assert loop._not_finite(grids) == 3
    assert loop._not_finite(grids[1:1024]) == 0


@pytest.mark.parametrize("method", ["backpropagation", "nudge"])
def test_training_on_one_hot_grids_is_training_on_their_array(method: str) -> None:
    """Every number of every epoch is the same, to the last bit."""
    spec = load(
        {
            "stages": [{"convolution": {"filters": 2, "kernel_size": ["all", 2]}}],
            "head": {"voting": {"dropout": 0.2}},
            "training": {"batch_size": 8, "epochs": 2, "method": method},
        }
    )
    shape = GridShape(1, 3, 4, Axis("letter", ordered=False))
    made = ReferenceEngine(Network(spec, shape, classes=2))
    random = np.random.default_rng(0)
    grids = OneHot(random.integers(-1, 3, (30, 4), np.int32), 3)
    targets = random.integers(0, 2, 30)
    first, second = np.arange(20), np.arange(30) >= 20

    ends = [
        train(
            made,
            Labelled(whole[first], targets[first]),
            Labelled(whole[second], targets[second]),
            spec.training,
        )
        for whole in (grids, np.asarray(grids))
    ]
    np.testing.assert_array_equal(ends[0].parameters, ends[1].parameters)
    figures = [
        [(epoch.loss, epoch.accuracy, epoch.validation_loss) for epoch in end.history]
        for end in ends
    ]
    assert figures[0] == figures[1]


def test_a_watcher_hears_of_every_nudge() -> None:
    """Of each value once for each batch, with the number of the epoch; backpropagation has none."""
    nudged, other = Watcher(), Watcher()

    trained(engine(method="nudge", epochs=2, batch_size=16), watcher=nudged)
    trained(engine(epochs=2), watcher=other)

    values = int(engine().network.mask("trainable").sum())
    batches = -(-len(data()) // 16)
    assert [epoch for epoch, _ in nudged.nudges] == [1] * values * batches + [2] * values * batches
    assert other.nudges == []


def test_items_of_no_weight_are_not_learned() -> None:
    """Training on all items, some of weight 0, takes the steps of the others' gradients alone."""
    made = engine(cls=Recorder, epochs=1, batch_size=30, dropout=0.0, optimizer="sgd")
    items = data()
    weights = np.tile(np.array([0, 2], np.float32), 15)

    weighted = train(
        made,
        dataclasses.replace(items, weights=weights),
        None,
        made.network.spec.training,
    )
    start = made.network.starting_parameters()
    step = made.step(start, items.grids[1::2], items.targets[1::2])
    moved = start - np.float32(weighted.history[0].learning_rate) * step.gradient
    np.testing.assert_allclose(weighted.parameters, moved, atol=1e-6)
    assert weighted.history[0].loss == pytest.approx(step.loss, rel=1e-5)


def test_the_running_mean_answers() -> None:
    """The best vector is the mean, as the formula has it; the learning one goes its own way."""
    plain, averaged = (
        trained(engine(epochs=1, averaging=part, dropout=0.0), validation=data(20, seed=1))
        for part in (0.0, 0.99)
    )

    np.testing.assert_array_equal(plain.parameters, averaged.parameters)
    np.testing.assert_array_equal(averaged.best, averaged.memory["average"])
    assert (averaged.best != averaged.parameters).any()
    made = engine(epochs=1, dropout=0.0)
    vectors: list[Array] = []

    class Steps(Recorder):
        def step(self, parameters: Array, *args: Any, **options: Any) -> StepResult:
            vectors.append(parameters.copy())
            return super().step(parameters, *args, **options)

    trained(engine(cls=Steps, epochs=1, dropout=0.0))
    vectors = [*vectors[1:], plain.parameters]  # after each of the four steps
    mean = vectors[0].astype(np.float64)
    for steps, vector in enumerate(vectors[1:], 2):
        kept = min(0.99, (1 + steps) / (10 + steps))
        mean = kept * mean + (1 - kept) * vector
    np.testing.assert_allclose(averaged.best, mean, atol=1e-6)
    assert made.network.parameters == len(mean)


def test_the_epoch_is_chosen_by_the_result_that_the_spec_names() -> None:
    """The history has that result, and the best epoch is the one that has most of it."""
    state = trained(engine(epochs=8, select_by="average_precision", learning_rate=0.02))

    scores = [epoch.validation_score for epoch in state.history]
    assert all(score is not None and 0 < score <= 1 for score in scores)
    assert scores[state.best_epoch - 1] == max(score or 0 for score in scores)


@pytest.mark.parametrize("setting", ["label_smoothing", "mixup"])
def test_heads_without_soft_targets_refuse_what_needs_them(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {setting: 0.2}
    made = engine(**given)
    monkeypatch.setattr(type(made.head), "takes_soft_targets", property(lambda _: False))

    with pytest.raises(TrainingError, match=f"training.{setting} needs a head whose loss"):
        trained(made)


@pytest.mark.parametrize("setting", ["label_smoothing", "mixup", "averaging", "class_weights"])
def test_nudging_takes_none_of_them(setting: str) -> None:
    value: Any = "balanced" if setting == "class_weights" else 0.1

    with pytest.raises(SpecError, match=f"{setting} is for method: backpropagation"):
        engine(method="nudge", **{setting: value})


def test_what_softens_targets_makes_no_sign_of_failing() -> None:
    """Unequal classes that count the same, smoothed and mixed, are learned without a sign."""
    random = np.random.default_rng(0)
    targets = (random.random(200) < 0.1).astype(np.int64)
    grids = random.normal(0, 0.3, (200, 1, 4, 4)).astype(np.float32)
    grids += (2 * targets - 1)[:, None, None, None] * np.float32(0.5)
    weights = np.where(targets == 1, 5, 0.55).astype(np.float32)
    made = engine(epochs=8, learning_rate=0.01, label_smoothing=0.1, mixup=0.2, dropout=0.0)

    items = Labelled(grids, targets, weights)
    state = train(made, items, None, made.network.spec.training)
    assert [sign.kind for sign in state.signs] == []
    assert state.history[-1].accuracy > 0.9
