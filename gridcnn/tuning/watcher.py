"""The methods that a search calls as it proceeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gridcnn.runs.prepare import Prepared
from gridcnn.runs.watcher import RunWatcher
from gridcnn.tuning.space import Dimension, Label
from gridcnn.tuning.trial import Score
from gridcnn.tuning.trials import TuneTrial


class TuneWatcher(RunWatcher):
    """Follows a search: override the methods that you need.

    Of `RunWatcher`, `on_reading`, `on_checking`, `on_check` and `on_batch` are called as well.
    `KeyboardInterrupt` in any of them stops the search like Ctrl-C.
    """

    def on_space(
        self, dimensions: Sequence[Dimension], parts: Sequence[Prepared], notes: Sequence[str]
    ) -> None:
        """React to what is searched, and to the items of each fold, before the first trial.

        `notes` are about values that fit no network as it is.
        """

    def on_trial(self, number: int, trials: int | None, values: Mapping[str, Label]) -> None:
        """React to the start of a trial, from 1, with its values; of so many, if that is known."""

    def on_step(self, number: int, step: int, score: Score) -> None:
        """React to an epoch of a trial, or with folds to one of them."""

    def on_trial_end(self, trial: TuneTrial, best: TuneTrial | None) -> None:
        """React to the end of a trial; `best` is the best so far, which may be this one."""
