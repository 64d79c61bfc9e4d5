"""One trial: a network is trained, and what its validation items say is reported epoch by epoch."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gridcnn.engines.base import bind
from gridcnn.runs.prepare import Prepared
from gridcnn.spec.models import SelectBy, Spec
from gridcnn.training.loop import Epoch, TrainingState, train
from gridcnn.training.memory import refuse_too_large
from gridcnn.training.methods import NudgeResult
from gridcnn.training.signs import Sign


@dataclass(frozen=True)
class Score:
    """How well a trial did; with folds, means over them.

    Attributes:
        accuracy, loss: of the validation items, after the best epoch.
        other: the result that `training.select_by` names; None if it is one of these two.
        epochs, best_epoch: how many there were, and which was the best one, counted from 1.
        signs: the kinds of what looked wrong in training.
    """

    accuracy: float
    loss: float
    other: float | None
    epochs: float
    best_epoch: float
    signs: tuple[str, ...] = ()

    def value(self, by: SelectBy) -> float:
        """Return what trials are compared by."""
        if by == "loss":
            return self.loss
        return self.accuracy if self.other is None else self.other


Report = Callable[[int, Score], None]
"""Called with a step, from 1, and the score so far; it raises to end the trial."""


class TrialEndedError(Exception):
    """A trial is given up: `reason` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class Trainer:
    """Trains the networks of trials.

    Attributes:
        engine, threads: as for `gridcnn.run`.
        on_batch: called after each batch, as `RunWatcher.on_batch` is.
        deadline: when the search ends, on the clock of `time.monotonic`; None: never.
    """

    engine: str | None
    threads: int | None
    on_batch: Callable[[int, int, int, float], None]
    deadline: float | None = None

    def score(self, spec: Spec, parts: Sequence[Prepared], report: Report) -> Score:
        """Train a spec on the items of each fold, or only once, and return its score.

        Without folds a step of `report` is an epoch, with folds it is a fold.

        Raises:
            TrialEndedError: there is no time left.
            UserError: the network does not fit the grids or the memory, or its loss explodes.
        """
        if len(parts) == 1:
            return self._train(spec, parts[0], report)
        scores: list[Score] = []
        for number, part in enumerate(parts, 1):
            scores.append(self._train(spec, part, None))
            report(number, _mean(scores))
        return _mean(scores)

    def _train(self, spec: Spec, prepared: Prepared, report: Report | None) -> Score:
        fitted = spec.model_copy(update={"adapter": prepared.fitted.adapter})
        engine = bind(
            fitted,
            prepared.shape,
            classes=len(prepared.classes),
            engine=self.engine,
            threads=self.threads,
        )
        refuse_too_large(engine, fitted.training, saved=False)
        state = train(
            engine,
            prepared.train.data,
            prepared.validation.data,
            fitted.training,
            watcher=_Epochs(self, report),
            start=prepared.start,
        )
        return score_of(state)


class _Epochs:
    """Reports each epoch, and looks at the clock after each batch."""

    def __init__(self, trainer: Trainer, report: Report | None) -> None:
        self._trainer, self._report = trainer, report
        self._reported = 0

    def on_nudge(self, epoch: int, nudge: NudgeResult) -> None:
        """Do nothing."""

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Call the watcher of the search; raise `TrialEndedError` if there is no time left."""
        self._trainer.on_batch(epoch, done, batches, loss)
        deadline = self._trainer.deadline
        if deadline is not None and time.monotonic() > deadline:
            raise TrialEndedError("the time was up")

    def on_sign(self, sign: Sign) -> None:
        """Do nothing: the kinds of all signs are in the score."""

    def on_epoch(self, state: TrainingState) -> None:
        """Report the epoch, unless one of its number was reported before training began again."""
        number = len(state.history)
        if self._report is not None and number > self._reported:
            self._reported = number
            self._report(number, score_of(state))


def score_of(state: TrainingState) -> Score:
    """Return the score of a training with validation items."""
    best: Epoch = state.history[state.best_epoch - 1]
    assert best.validation_accuracy is not None
    assert best.validation_loss is not None
    return Score(
        accuracy=best.validation_accuracy,
        loss=best.validation_loss,
        other=best.validation_score,
        epochs=len(state.history),
        best_epoch=state.best_epoch,
        signs=tuple(sign.kind for sign in state.signs),
    )


def _mean(scores: Sequence[Score]) -> Score:
    means: dict[str, Any] = {}
    for field in dataclasses.fields(Score):
        values = [getattr(score, field.name) for score in scores]
        if field.name != "signs":
            means[field.name] = None if None in values else math.fsum(values) / len(values)
    kinds = dict.fromkeys(kind for score in scores for kind in score.signs)
    return Score(**means, signs=tuple(kinds))
