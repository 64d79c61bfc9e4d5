"""The methods that a run calls as it proceeds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from gridcnn.engines.base import Engine, Memory
from gridcnn.errors import SpecError, TrainingWarning, shown
from gridcnn.network import Network
from gridcnn.order.guard import Checked
from gridcnn.progress import Progress
from gridcnn.runs.prepare import Prepared
from gridcnn.spec.parts import Fold, GroupOut
from gridcnn.training.budget import Budget
from gridcnn.training.loop import Epoch
from gridcnn.training.methods import NudgeResult
from gridcnn.training.signs import Sign


class RunWatcher:
    """Follows a run, for example to show it: override the methods that you need.

    A method that raises `StopTraining` ends the training after the last epoch that is complete; the
    run then ends as any other does. `KeyboardInterrupt` stops it like Ctrl-C, to be resumed.
    """

    def on_fold(self, number: int, folds: int, test: Fold | GroupOut) -> None:
        """React to the start of a fold; `number` counts from 1."""

    def on_fold_end(
        self, number: int, folds: int, test: Fold | GroupOut, metrics: dict[str, Any]
    ) -> None:
        """React to the results of a fold, also if it had ended before."""

    def on_repeat(self, number: int, repeats: int, seed: int) -> None:
        """React to the start of a run of a repetition; `number` counts from 1."""

    def on_repeat_end(self, number: int, repeats: int, seed: int, metrics: dict[str, Any]) -> None:
        """React to the results of a run of a repetition, also if it had ended before."""

    def on_reading(self, progress: Progress) -> None:
        """React to data being fetched and read."""

    def on_checking(self, progress: Progress) -> None:
        """React to data being checked: whether its order means anything."""

    def on_check(self, checked: Checked) -> None:
        """React to the result of that check, if training goes on."""

    def on_budget(self, budget: Budget) -> None:
        """React to the number of epochs that is planned, if the spec sets `training.minutes`."""

    def on_engine(self, engine: Engine, memory: Memory) -> None:
        """React to what does the arithmetic, and the memory of training and of answers."""

    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:
        """React to the network and the data, before training begins."""

    def on_nudge(self, epoch: int, nudge: NudgeResult) -> None:
        """React to each value that `method: nudge` tries higher and lower."""

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """React to each batch; `done` of so many `batches` of an epoch are done."""

    def on_sign(self, sign: Sign) -> None:
        """React to something about the training that looks wrong: by default with a warning."""
        warnings.warn(sign.text, TrainingWarning, stacklevel=2)

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        """React to each epoch, once its checkpoint is written."""

    def on_report(self, progress: Progress) -> None:
        """React to the report being made, after the run has ended."""

    def on_end(self, metrics: dict[str, Any], folder: Path) -> None:
        """React to the results of the run, once they are written; `metrics` are all figures."""


def as_watcher(watcher: RunWatcher | None) -> RunWatcher:
    """Return the watcher of a run; None: one that does nothing.

    Raises:
        SpecError: it is something else, such as a function.
    """
    if watcher is None:
        return RunWatcher()
    if isinstance(watcher, type) or not hasattr(watcher, "on_epoch"):
        raise SpecError(f"a watcher is an object of gridcnn.RunWatcher; got {shown(watcher)}")
    return watcher
