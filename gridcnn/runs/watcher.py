"""What a run tells while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gridcnn.engines.base import Engine, Memory
from gridcnn.network import Network
from gridcnn.order.guard import Checked
from gridcnn.progress import Progress
from gridcnn.runs.prepare import Prepared
from gridcnn.spec.parts import Fold, GroupOut
from gridcnn.training.loop import Epoch


class RunWatcher:
    """Is told how a run goes, for example to show it; this one says nothing."""

    def on_fold(self, number: int, folds: int, test: Fold | GroupOut) -> None:
        """Be told that the run of a fold begins; `number` counts from 1."""

    def on_fold_end(
        self, number: int, folds: int, test: Fold | GroupOut, metrics: dict[str, Any]
    ) -> None:
        """Be told what the run of a fold came to, also where it had ended before."""

    def on_reading(self, progress: Progress) -> None:
        """Be told how far the data is fetched and read."""

    def on_checking(self, progress: Progress) -> None:
        """Be told how far the check goes whether the order of the data means anything."""

    def on_check(self, checked: Checked) -> None:
        """Be told what that check has found, where training goes on."""

    def on_engine(self, engine: Engine, memory: Memory) -> None:
        """Be told who will do the arithmetic, and what training and answers will take."""

    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:
        """Be told that training begins, and with which network."""

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Be told that one more batch of an epoch is done."""

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        """Be told that one more epoch has ended, and is saved."""
