"""Memory that is planned ahead."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.engines.base import ANSWERED, Engine, make_engine
from gridcnn.errors import TrainingError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training import memory
from gridcnn.training.checkpoint import save_checkpoint
from gridcnn.training.loop import Labelled, TrainingState, train
from gridcnn.training.memory import estimate_memory, refuse_too_large


def made(name: str = "native", *, threads: int = 2, filters: int = 8, **training: Any) -> Engine:
    stages: list[Any] = [{"convolution": {"filters": filters}}, "rectification", "pooling"]
    head = {"voting": {"hidden": [64]}}
    spec = load({"stages": stages, "head": head, "training": {"epochs": 2, **training}})
    return make_engine(Network(spec, GridShape(1, 24, 24), classes=3), name, threads=threads)


def settings_of(engine: Engine) -> Any:
    return engine.network.spec.training


def test_what_the_optimizer_remembers_is_counted() -> None:
    """Adam remembers two numbers for each parameter, momentum one, nudging none."""
    takes = [
        estimate_memory(engine, settings_of(engine)).training
        for engine in (
            made(method="nudge"),
            made(optimizer="sgd"),
            made(optimizer="adam"),
        )
    ]
    vector = 4 * made().network.parameters

    assert takes[1] - takes[0] == takes[2] - takes[1] == 5 * vector


def test_a_training_that_is_not_saved_takes_less() -> None:
    engine = made()
    settings = settings_of(engine)

    assert (
        estimate_memory(engine, settings, saved=False).training
        < estimate_memory(engine, settings).training
    )


def test_larger_batches_take_more() -> None:
    engine = made()
    settings = settings_of(engine)

    more = estimate_memory(
        engine, settings.model_copy(update={"batch_size": 10 * settings.batch_size})
    )
    assert more.training > estimate_memory(engine, settings).training
    assert more.prediction == estimate_memory(engine, settings).prediction


@pytest.mark.parametrize("name", ["native", "reference"])
def test_what_is_planned_is_what_is_taken(name: str, tmp_path: Path) -> None:
    """The arrays of a training with checkpoints fit into the figure, and are a good part of it."""
    engine = made(name, filters=48, batch_size=64)
    settings = settings_of(engine)
    random = np.random.default_rng(0)
    grids = random.normal(size=(192, 1, 24, 24)).astype(np.float32)
    data = Labelled(grids, random.integers(0, 3, 192))
    vector = engine.network.starting_parameters()
    engine.step(vector, grids[:8], data.targets[:8])  # what is compiled is no array

    class Keeper:
        def on_nudge(self, *_: Any) -> None:
            pass

        def on_sign(self, *_: Any) -> None:
            pass

        def on_batch(self, *_: Any) -> None:
            pass

        def on_epoch(self, state: TrainingState) -> None:
            save_checkpoint(tmp_path / "kept", state, "", engine=engine, classes="abc")

    told = estimate_memory(engine, settings).training
    tracemalloc.start()
    try:
        train(engine, data, data, settings, watcher=Keeper())
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert taken <= told < 3 * taken + 10_000_000


def test_a_network_that_cannot_fit_is_refused_with_the_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one line: what is needed, what there is, and what to do."""
    engine = made(batch_size=64)
    needed = estimate_memory(engine, settings_of(engine)).training
    monkeypatch.setattr(memory, "usable_memory", lambda: needed - 1)

    with pytest.raises(TrainingError) as caught:
        refuse_too_large(engine, settings_of(engine))
    (problem,) = caught.value.problems
    assert str(problem).startswith("training needs ")
    assert str(problem).endswith(
        "are usable here; take a smaller training.batch_size (now 64), fewer filters, earlier "
        "pooling or fewer threads (now 2)"
    )
    alone = made(threads=1, batch_size=1)
    monkeypatch.setattr(memory, "usable_memory", lambda: 0)
    with pytest.raises(TrainingError, match=r"here; take fewer filters or earlier pooling$"):
        refuse_too_large(alone, settings_of(alone))


@pytest.mark.parametrize("left", [0, None])
def test_what_just_fits_is_not_refused(monkeypatch: pytest.MonkeyPatch, left: int | None) -> None:
    """Nor is anything where nobody knows how much memory there is."""
    engine = made()
    needed = estimate_memory(engine, settings_of(engine)).training
    usable = None if left is None else needed + left
    monkeypatch.setattr(memory, "usable_memory", lambda: usable)

    refuse_too_large(engine, settings_of(engine))


def test_training_is_refused_before_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = made()
    monkeypatch.setattr(memory, "usable_memory", lambda: 1_000_000)
    monkeypatch.setattr(type(engine), "step", None)
    data = Labelled(np.zeros((4, 1, 24, 24), np.float32), np.arange(4) % 3)

    with pytest.raises(TrainingError, match=r"and 1\.0 MB are usable here"):
        train(engine, data, None, settings_of(engine))


def test_answering_is_planned_for_as_many_as_a_model_answers_at_a_time() -> None:
    engine = made()
    network = engine.network

    expected = engine.memory(ANSWERED).prediction
    expected += 4 * (3 * network.parameters + ANSWERED * network.shape.cells)
    assert estimate_memory(engine, settings_of(engine)).prediction == expected
