"""A training that fails says so: what is looked for after an epoch, and what is done about it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from typer.testing import CliRunner

import gridcnn
from gridcnn.cli.main import app
from gridcnn.engines.base import ENGINES, Engine, make_engine
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.errors import TrainingWarning, UserError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.checkpoint import load_checkpoint, save_checkpoint
from gridcnn.training.loop import Labelled, TrainingState, train
from gridcnn.training.signs import (
    EARLY,
    Looker,
    Sign,
    loss_by_frequency,
    relative_gradients,
    silent,
)

CLASSES = 3
SPEC: dict[str, Any] = {
    "name": "signs",
    "adapter": {"array": {"size": [6, 6], "channels": 1, "scaling": "none"}},
    "check": "off",
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [6]}},
}


class Figures(NamedTuple):
    epoch: int
    loss: float
    validation_loss: float | None = None
    accuracy: float = 0.4
    learning_rate: float = 0.001


class Unlucky(Network):
    """A network whose first start has features that answer nothing: their biases are far below."""

    bad_starts = 1

    def starting_parameters(self, dtype: Any = np.float32, *, again: int = 0) -> Any:
        vector = super().starting_parameters(dtype, again=again)
        if again < self.bad_starts:
            self.named(vector)["1.convolution.bias"][...] = -1e3
        return vector


class Watcher:
    """Looks at the state after each epoch."""

    def __init__(self, look: Callable[[TrainingState], None]) -> None:
        self.on_epoch = look

    def on_nudge(self, *_: Any) -> None:
        pass

    def on_sign(self, *_: Any) -> None:
        pass

    def on_batch(self, *_: Any) -> None:
        pass


def engine(cls: type[Network] = Network, name: str = "native", **training: Any) -> Engine:
    spec = load({**SPEC, "training": {"batch_size": 8, "epochs": 4, **training}})
    return make_engine(cls(spec, GridShape(1, 6, 6), classes=CLASSES), name, threads=1)


START = Network(load(SPEC), GridShape(1, 6, 6), classes=CLASSES).starting_parameters()


def data(items: int = 60, seed: int = 0) -> Labelled:
    """Return noise with one bright row, whose number is the class."""
    random = np.random.default_rng(seed)
    targets = np.arange(items) % CLASSES
    grids = random.normal(0, 0.1, (items, 1, 6, 6)).astype(np.float32)
    grids[np.arange(items), 0, 2 * targets] += 1
    return Labelled(grids, targets.astype(np.int64))


def trained(made: Engine, **options: Any) -> TrainingState:
    return train(made, data(), data(30, seed=1), made.network.spec.training, **options)


def kinds(signs: Any) -> list[str]:
    return [sign.kind for sign in signs]


def looker(made: Engine, items: Labelled | None = None) -> Looker:
    items = items or data()
    return Looker(made, items.grids, items.targets, made.network.spec.training)


# A start that collapses --------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(ENGINES))
def test_a_collapsed_start_is_begun_again_once_and_learns(name: str) -> None:
    """The history is that of the second start alone, and what happened is told."""
    made = engine(Unlucky, name, epochs=30, learning_rate=0.01)

    state = trained(made)

    assert kinds(state.signs) == ["restarted"]
    assert state.signs[0].epoch == 1
    assert "starts over with other starting weights (1 of at most 1;" in state.signs[0].text
    assert state.restarts == 1
    assert [epoch.epoch for epoch in state.history] == list(range(1, 31))
    assert state.history[-1].accuracy > 0.9


def test_it_goes_the_same_way_each_time() -> None:
    first, second = (trained(engine(Unlucky)) for _ in range(2))

    assert (first.parameters == second.parameters).all()
    assert first.signs == second.signs


def test_other_starts_are_other_numbers_of_the_same_seed() -> None:
    network = engine().network
    starts = [network.starting_parameters(again=again) for again in (0, 1, 2)]

    assert (starts[0] == network.starting_parameters()).all()
    assert (starts[1] == network.starting_parameters(again=1)).all()
    assert len({start.tobytes() for start in starts}) == 3


def test_without_restarts_or_after_the_last_it_is_said() -> None:
    class Hopeless(Unlucky):
        bad_starts = 9

    kept = trained(engine(Unlucky, restarts=0))
    assert kinds(kept.signs) == ["collapsed"]
    assert kept.restarts == 0
    assert "all training items get the same votes after epoch 1" in kept.signs[0].text
    assert kept.signs[0].text.endswith("try training.warm_up: 1, or training.learning_rate: 0.0001")
    warm = trained(engine(Unlucky, restarts=0, warm_up=0.5))
    assert warm.signs[0].text.endswith("try training.learning_rate: 0.0001")

    given_up = trained(engine(Hopeless, restarts=2))
    assert kinds(given_up.signs) == ["restarted", "restarted", "collapsed"]
    assert given_up.restarts == 2
    assert len(given_up.history) == 4


def test_training_that_collapses_late_is_said_and_not_begun_again() -> None:
    """What was learned before is not thrown away: the best epoch is kept."""
    made = engine(epochs=EARLY + 2, learning_rate=0.01)

    def spoil(state: TrainingState) -> None:
        """Break the features after the first epochs, as a much too high learning rate does."""
        if len(state.history) == EARLY:
            made.network.named(state.parameters)["1.convolution.bias"][...] = -1e3

    state = trained(made, watcher=Watcher(spoil))

    assert "collapsed" in kinds(state.signs)
    assert state.restarts == 0
    assert state.best_epoch <= EARLY


def test_a_network_that_learns_has_no_signs() -> None:
    assert trained(engine(epochs=30, learning_rate=0.01)).signs == ()


def test_equal_items_are_no_collapse() -> None:
    made = engine()
    grids = np.ones((40, 1, 6, 6), np.float32)
    look = looker(made, Labelled(grids, np.arange(40) % CLASSES))

    assert not look.is_collapsed(made.network.starting_parameters(), accuracy=0.3)


def test_good_figures_are_not_looked_behind() -> None:
    """Nothing is computed then."""
    made = engine(Unlucky)
    start = made.network.starting_parameters()

    assert looker(made).is_collapsed(start, accuracy=0.3)
    assert not looker(made).is_collapsed(start, accuracy=0.6)


# Resuming ----------------------------------------------------------------------------------------


def test_signs_and_restarts_survive_in_a_checkpoint(tmp_path: Path) -> None:
    made = engine(Unlucky, restarts=1)
    state = replace(trained(made), signs=(Sign(1, "restarted", "a"), Sign(2, "silent", "b")))

    save_checkpoint(tmp_path / "c", state, "print", engine=made, classes=["a", "b", "c"])
    found = load_checkpoint(tmp_path / "c", "print", engine=made)

    assert found.signs == state.signs
    assert found.restarts == 1


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_resumed_training_ends_as_one_that_was_not_stopped(stop: int) -> None:
    """From whatever epoch of the second start."""
    states: list[TrainingState] = []
    whole = trained(engine(Unlucky), watcher=Watcher(states.append))
    assert len(states) == 4  # of the first start there is none

    again = trained(engine(Unlucky), state=states[stop - 1])

    assert (again.parameters == whole.parameters).all()
    assert again.signs == whole.signs
    assert again.restarts == whole.restarts


# Other signs -------------------------------------------------------------------------------------


def test_the_loss_of_frequencies_is_their_entropy() -> None:
    counts = np.array([50, 30, 20, 0])
    shares = counts[:3] / 100

    found = loss_by_frequency(engine().head, counts)

    assert found == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)


@pytest.mark.parametrize(("rate", "advice"), [(1e-6, "1e-05"), (0.1, "0.01")])
def test_a_loss_that_stays_above_that_of_frequencies_is_said(rate: float, advice: str) -> None:
    """With a learning rate that is further up if it hardly moves, and further down if it does."""
    made = engine(learning_rate=rate)
    many = data(160)
    losses = (1.2, 1.2, 1.2) if rate < 1e-3 else (9.0, 1.25, 1.2)
    history = [Figures(number, loss) for number, loss in enumerate(losses, 1)]

    (sign,) = looker(made, many).signs(history, START, collapsed=False, largest=None)

    assert sign.kind == "learned nothing"
    assert "the loss after epoch 3 is 1.2, and votes by the classes' frequencies" in sign.text
    assert f"training.learning_rate: {advice}" in sign.text
    for others in (
        [*history[:2], Figures(3, 1.05)],  # it is lower
        [*history[:2], Figures(3, 1.2, accuracy=0.7)],  # what is high is only how sure it is
        [history[0], Figures(2, 1.4), Figures(3, 1.2)],  # it is on its way
        history[:2],  # it is too early, by epochs, or by steps
    ):
        assert looker(made, many).signs(others, START, collapsed=False, largest=None) == []
    assert looker(made, data(40)).signs(history, START, collapsed=False, largest=None) == []


def test_learning_by_heart_is_said_once_the_validation_has_become_much_worse() -> None:
    made = engine()
    losses = [0.5, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    learned = [Figures(number, 1 / number, loss) for number, loss in enumerate(losses, 1)]

    (sign,) = looker(made).signs(learned, START, collapsed=False, largest=None)

    assert sign.kind == "learned by heart"
    assert "was 0.5 after epoch 1 and is 1 after epoch 8" in sign.text
    for others in (
        learned[:5],  # it is too early
        [each._replace(validation_loss=0.5) for each in learned],
        [Figures(number, 1 / number, loss / 10) for number, loss in enumerate(losses, 1)],  # small
        [each._replace(loss=each.epoch / 10) for each in learned],  # so does the training's
    ):
        assert looker(made).signs(others, START, collapsed=False, largest=None) == []


def test_filters_and_voters_without_a_gradient_are_counted() -> None:
    """By the engine's own gradient: behind a rectification nothing comes back for them."""
    made = engine()
    network, items = made.network, data(400)
    parameters = network.starting_parameters().copy()
    network.named(parameters)["1.convolution.bias"][:3] = -1e3
    network.named(parameters)["4.voting.hidden1.bias"][[1, 4]] = -1e3

    gradient = made.step(parameters, items.grids, items.targets).gradient

    found = silent(network, gradient != 0)
    assert found["1 convolution"] == (3, 4)
    assert found["4 voting hidden1"][0] >= 2
    assert found["4 voting hidden1"][1] == 6
    (sign,) = looker(made, items).signs(
        [Figures(1, 1.0)], parameters, collapsed=False, largest=np.abs(gradient)
    )
    assert sign.kind == "silent"
    assert "3 of 4 in 1 convolution" in sign.text
    late = looker(made, items).signs(
        [Figures(EARLY + 1, 1.0)], parameters, collapsed=False, largest=np.abs(gradient)
    )
    assert "silent" not in kinds(late)


def test_of_stages_that_all_are_silent_the_last_is_named() -> None:
    made = engine()
    changing: NDArray[np.bool_] = np.zeros(made.network.parameters, np.bool_)

    assert silent(made.network, changing) == {"4 voting hidden1": (6, 6)}
    assert silent(made.network, ~changing) == {}


# Where they are told -----------------------------------------------------------------------------


@pytest.fixture
def unlucky(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a spec whose first start collapses."""
    start = Network.starting_parameters

    def bad(self: Network, dtype: Any = np.float32, *, again: int = 0) -> Any:
        vector = start(self, dtype, again=again)
        if not again:
            self.named(vector)["1.convolution.bias"][...] = -1e3
        return vector

    monkeypatch.setattr(Network, "starting_parameters", bad)
    return {**SPEC, "training": {"batch_size": 8, "epochs": 3, "learning_rate": 0.01}}


def arrays() -> tuple[Any, Any]:
    items = data(120)
    return items.grids, items.targets


def test_runs_warn_and_keep_the_signs(unlucky: dict[str, Any], tmp_path: Path) -> None:
    with pytest.warns(TrainingWarning, match="so training starts over") as caught:
        result = gridcnn.run(unlucky, data=arrays(), out=tmp_path / "run")

    told = [str(each.message) for each in caught if each.category is TrainingWarning]
    assert told == [sign["text"] for sign in result.metrics["signs"]]
    assert [sign["kind"] for sign in result.metrics["signs"]] == ["restarted"]
    assert result.metrics["restarts"] == 1
    assert result.metrics["epochs"] == 3


def test_strict_runs_end_with_an_error_once_the_results_are_written(
    unlucky: dict[str, Any], tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        with pytest.raises(UserError, match="so training starts over"):
            gridcnn.run(unlucky, data=arrays(), out=tmp_path / "run", strict=True)

    assert (tmp_path / "run" / "metrics.json").is_file()


def test_the_command_line_prints_them(
    unlucky: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = arrays()
    np.savez(tmp_path / "d.npz", x=X, y=y)
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({**unlucky, "data": {"source": "d.npz"}}))
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(app, ["run", "s.yaml", "--out", "run"])

    assert done.exit_code == 0, done.output
    assert "note: all training items got the same votes after epoch 1, so" in done.stdout


def test_the_classifier_warns(unlucky: dict[str, Any]) -> None:
    X, y = arrays()

    with pytest.warns(TrainingWarning, match="so training starts over"):
        gridcnn.GridClassifier(unlucky).fit(X, y)


def deep(activation: Any, count: int) -> Network:
    stages = [{"convolution": {"filters": 4}}, activation]
    spec = load({"stages": stages * count, "head": {"voting": {"hidden": [4]}}})
    return Network(spec, GridShape(1, 8, 8), classes=2)


@pytest.mark.parametrize(
    ("activation", "count", "vanishes"),
    [
        ({"activation": "sigmoid"}, 12, True),
        ({"activation": "sigmoid"}, 3, False),
        ("rectification", 30, False),
        ({"activation": "tanh"}, 20, False),
    ],
)
def test_a_gradient_that_does_not_reach_the_first_stages_is_said(
    activation: Any, count: int, vanishes: bool
) -> None:
    """Relative to the weights it is a hundred thousand times smaller in it than in the head."""
    network = deep(activation, count)
    made, vector = ReferenceEngine(network), network.starting_parameters()
    random = np.random.default_rng(0)
    grids = random.normal(size=(16, 1, 8, 8)).astype(np.float32)
    gradient = np.abs(made.step(vector, grids, np.arange(16) % 2).gradient)

    sizes = relative_gradients(network, vector, gradient)
    for name, view in network.named(vector).items():
        if name in ("1.convolution.weights", f"{2 * count + 1}.voting.votes.weights"):
            of = network.named(gradient)[name]
            label = name.replace(".", " ", 1).removesuffix(".weights").replace(".votes", " votes")
            assert sizes[label] == pytest.approx(
                np.linalg.norm(of) / np.linalg.norm(view), rel=1e-4
            )
    found = Looker(made, grids, np.arange(16) % 2, network.spec.training).signs(
        [Figures(1, 1.0)], vector, collapsed=False, largest=gradient
    )
    assert [sign.kind for sign in found] == (["vanishing"] if vanishes else [])
    if vanishes:
        assert "nearly vanishes in" in found[0].text
        assert "in 1 convolution it is" in found[0].text


def test_weights_that_grow_without_end_are_said() -> None:
    """The first stage with a weight above a thousand is named."""
    made = engine()
    vector = made.network.starting_parameters()
    made.network.named(vector)["1.convolution.weights"].ravel()[3] = -2e3

    (sign,) = looker(made).signs([Figures(5, 1.0)], vector, collapsed=False, largest=None)
    assert sign.kind == "exploding"
    assert "the weights of 1 convolution have grown to 2e+03 by epoch 5" in sign.text
