"""How a search looks in the terminal: what is searched, and a line for each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gridcnn.cli import screen
from gridcnn.cli.bars import Bars
from gridcnn.cli.display import check_lines, heard_or_not
from gridcnn.errors import how_many
from gridcnn.order.guard import Checked
from gridcnn.progress import Progress
from gridcnn.runs.prepare import Prepared
from gridcnn.spec.models import SelectBy
from gridcnn.tuning.space import Dimension, Label, label_text, short_names
from gridcnn.tuning.trial import Score
from gridcnn.tuning.trials import TuneTrial
from gridcnn.tuning.watcher import TuneWatcher


class TuneDisplay(TuneWatcher):
    """Shows a search: the space, a line for each trial and, on a terminal, bars that move."""

    def __init__(self) -> None:
        self.bars = Bars()
        self.trials: int | None = None
        self.number = 0
        self.score = ""
        self.by: SelectBy = "accuracy"
        self.short: dict[str, str] = {}

    def __enter__(self) -> TuneDisplay:
        self.bars.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.__exit__(*error)

    def on_reading(self, progress: Progress) -> None:
        """Move the bar."""
        self.bars.show(progress)

    def on_checking(self, progress: Progress) -> None:
        """Move the bar."""
        self.bars.show(progress)

    @heard_or_not
    def on_check(self, checked: Checked) -> None:
        """Print the result of the check."""
        for line in check_lines(checked):
            screen.say(line)

    @heard_or_not
    def on_space(
        self, dimensions: Sequence[Dimension], parts: Sequence[Prepared], notes: Sequence[str]
    ) -> None:
        """Print what is searched, and by which items the best is chosen."""
        screen.say("searching:")
        for dimension in dimensions:
            screen.say(f"  {dimension}")
        self.short = short_names(dimension.name for dimension in dimensions)
        first = parts[0]
        self.by = first.spec.training.select_by
        counts = f"{len(first.train):,} training, {len(first.validation):,} validation"
        folds = "" if len(parts) == 1 else f" in the first of {len(parts)} folds"
        several = first.several
        classes = how_many(len(first.classes), *(("label",) if several else ("class", "classes")))
        screen.say(f"items: {counts}{folds}; {classes}; test items are left out")
        for note in [*first.notes, *notes]:
            screen.say_noted(note)
        screen.say()

    def on_trial(self, number: int, trials: int | None, values: Mapping[str, Label]) -> None:  # noqa: ARG002
        """Keep what the line and the bar need."""
        self.number, self.trials, self.score = number, trials, ""

    def on_step(self, number: int, step: int, score: Score) -> None:  # noqa: ARG002
        """Keep the score for the bar."""
        self.score = f"  validation accuracy {screen.percent(score.accuracy)}"

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Move the bar."""
        progress = Progress(f"trial {self.number}, epoch {epoch}", done, batches, "batches")
        self.bars.show(progress, note=f"loss {loss:.4f}{self.score}")

    @heard_or_not
    def on_trial_end(self, trial: TuneTrial, best: TuneTrial | None) -> None:
        """Print the trial's line; a `*` marks the best so far."""
        total = "" if self.trials is None else f"/{self.trials}"
        number = f"{trial.number:>{len(str(self.trials or 100))}}{total}"
        mark = "*" if best is not None and best.number == trial.number else " "
        values = ", ".join(
            f"{self.short[name]} {label_text(value)}" for name, value in trial.values.items()
        )
        result = trial.reason if trial.state == "failed" else ""
        if trial.score is not None:
            result = score_text(trial.score, self.by)
        if trial.state == "pruned":
            result += f", given up: {trial.reason}"
        screen.say(f"trial {number} {mark} {result}, {screen.seconds(trial.seconds)}; {values}")


class RateDisplay(TuneDisplay):
    """Shows a sweep of the learning rate."""

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:  # noqa: ARG002
        """Move the bar."""
        self.bars.show(Progress("rising rate", done, batches, "steps"), note=f"loss {loss:.4f}")


def score_text(score: Score, by: SelectBy) -> str:
    """Return a score as people read it."""
    other = "" if score.other is None else f"{by.replace('_', ' ')} {score.other:.4f}, "
    return f"validation {other}accuracy {screen.percent(score.accuracy)}, loss {score.loss:.4f}"
