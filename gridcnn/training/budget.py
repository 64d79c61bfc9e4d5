"""How many epochs fit into the minutes that training may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gridcnn.engines.base import Engine
from gridcnn.spec.models import Training
from gridcnn.training.loop import Epoch, Labelled, TrainingState, train
from gridcnn.training.selection import ends_after

_PROBE_SECONDS = 2.0
"""A probe that lasts so long is long enough ..."""
_PROBE_PART = 0.03
"""... and so is one that takes this part of the minutes."""
_SPARE = 0.08
"""The part of the minutes that is left for checkpoints, and for a machine that gets slower."""
_FIRST, _MORE = 2, 4
"""Batches of the first probe, which also compiles; and how many times more those after it have."""


@dataclass(frozen=True)
class Budget:
    """A plan for training that may take some minutes.

    Attributes:
        minutes: how long it may take.
        epochs: how many epochs fit, at least 1.
        epoch_seconds: how long an epoch takes, as far as was measured.
    """

    minutes: float
    epochs: int
    epoch_seconds: float

    @property
    def is_too_short(self) -> bool:
        """Whether not even one epoch fits."""
        return self.epoch_seconds > self.seconds

    def plan(self, settings: Training) -> Training:
        """Return the settings with the planned epochs in place of the minutes."""
        return settings.model_copy(update={"epochs": self.epochs, "minutes": None})

    def cut(self, settings: Training, history: Sequence[Epoch]) -> Training:
        """Return the settings with `stop_after`, if the minutes were over before the epochs."""
        if ends_after(history, settings) is not None:
            return settings
        return settings.model_copy(update={"stop_after": len(history)})

    @property
    def seconds(self) -> float:
        """How long training may take."""
        return 60 * self.minutes

    def __str__(self) -> str:
        several = "epochs" if self.epochs > 1 else "epoch"
        text = (
            f"{self.epochs:,} {several} of about {self.epoch_seconds:.3g} s planned for "
            f"{self.minutes:g} minutes"
        )
        return f"{text}; one alone takes longer" if self.is_too_short else text


def plan_epochs(
    engine: Engine,
    training: Labelled,
    validation: Labelled | None,
    settings: Training,
    *,
    save: Callable[[TrainingState], None] | None = None,
) -> Budget:
    """Return how many epochs fit into `settings.minutes`.

    Some batches are trained on, and thrown away, to see how long they take. How long it takes to
    answer the validation items is in it, and what `save` takes with the state after an epoch.

    Raises:
        TrainingError: as `train`.
    """
    assert settings.minutes is not None
    seconds = 60 * settings.minutes
    enough = min(_PROBE_SECONDS, _PROBE_PART * seconds)
    once = settings.model_copy(update={"epochs": 1, "minutes": None, "patience": None})
    batches = -(-len(training) // settings.batch_size)
    state, _ = _time_epoch(engine, training, once, min(_FIRST, batches))
    count, spent = _FIRST, 0.0
    while spent < enough and count < batches:
        count = min(_MORE * count, batches)
        state, spent = _time_epoch(engine, training, once, count)
    if not spent:  # there are no more batches than those of the first probe
        state, spent = _time_epoch(engine, training, once, batches)
        count = batches
    epoch = spent * batches / count + _time_validation(engine, validation, enough)
    if save is not None:
        start = time.perf_counter()
        save(state)
        epoch += time.perf_counter() - start
    return Budget(settings.minutes, max(1, int((1 - _SPARE) * seconds / epoch)), epoch)


def _time_epoch(
    engine: Engine, training: Labelled, settings: Training, batches: int
) -> tuple[TrainingState, float]:
    """Return the state after an epoch of so many batches, and the seconds that it took."""
    items = min(batches * settings.batch_size, len(training))
    # Spread over all items, so that no class is missing if they are in the order of classes.
    chosen = np.linspace(0, len(training) - 1, items).astype(np.int64)
    start = time.perf_counter()
    state = train(engine, training.at(chosen), None, settings)
    return state, time.perf_counter() - start


def _time_validation(engine: Engine, validation: Labelled | None, enough: float) -> float:
    """Return the seconds that it takes to answer all validation items."""
    if validation is None or not len(validation):
        return 0.0
    vector, count, spent = engine.network.starting_parameters(), 64, 0.0
    while spent < enough:
        count = min(_MORE * count, len(validation))
        start = time.perf_counter()
        engine.logits(vector, validation.grids[:count])
        spent = time.perf_counter() - start
        if count == len(validation):
            break
    return spent * len(validation) / count
