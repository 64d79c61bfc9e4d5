"""How a run looks in the terminal: the plan, a line for each epoch, and bars that move."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from gridcnn.cli import screen
from gridcnn.cli.bars import Bars
from gridcnn.cli.plan import plan_memory, print_plan
from gridcnn.engines.base import Engine, Memory
from gridcnn.errors import how_many
from gridcnn.network import Network
from gridcnn.order.guard import Checked
from gridcnn.progress import Progress
from gridcnn.runs.prepare import Prepared
from gridcnn.runs.results import has_labels
from gridcnn.runs.run import RunWatcher
from gridcnn.spec.parts import Fold, GroupOut
from gridcnn.training.loop import Epoch
from gridcnn.training.methods import NudgeResult
from gridcnn.training.signs import Sign

SHOWN_NUDGES = 5
"""About how many nudges a run shows: enough to see the rule, few beside the lines of the epochs."""

Told = TypeVar("Told", bound=Callable[..., None])


def heard_or_not(method: Told) -> Told:
    """Ignore a closed standard output, so that the run continues: its results are in its folder."""

    @functools.wraps(method)
    def call(*arguments: Any) -> None:
        try:
            method(*arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            screen.mute()

    return cast("Told", call)


class Display(RunWatcher):
    """Shows a run: the plan, a line for each epoch and, on a terminal, bars that move."""

    def __init__(self) -> None:
        self.bars = Bars()
        self.validated = ""
        self.measured = "accuracy"
        self.memory = ""
        self.checked: list[str] = []
        self.planned = ("", 0)
        self.trainable = 0
        self.nudges = 0
        self.fold = ""

    def __enter__(self) -> Display:
        self.bars.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.__exit__(*error)

    @heard_or_not
    def on_fold(self, number: int, folds: int, test: Fold | GroupOut) -> None:
        """Show which fold starts."""
        self.fold = self._fold_name(number, folds, test)
        self.validated = ""
        screen.say(f"\n{self.fold}")

    @heard_or_not
    def on_repeat(self, number: int, repeats: int, seed: int) -> None:
        """Show which run of a repetition starts."""
        self.fold = _repeat_name(number, repeats, seed)
        self.validated = ""
        screen.say(f"\n{self.fold}")

    @heard_or_not
    def on_repeat_end(self, number: int, repeats: int, seed: int, metrics: dict[str, Any]) -> None:
        """Show the results of a run of a repetition."""
        test = metrics["test"]
        screen.say(
            f"{_repeat_name(number, repeats, seed)}: test accuracy "
            f"{screen.percent(test['accuracy'])} on {test['items']:,} items"
        )

    @heard_or_not
    def on_fold_end(
        self, number: int, folds: int, test: Fold | GroupOut, metrics: dict[str, Any]
    ) -> None:
        """Show the results of a fold."""
        test_metrics = metrics["test"]
        told = f"test accuracy {screen.percent(test_metrics['accuracy'])}"
        if has_labels(metrics) and test_metrics["auc"] is not None:
            told = f"mean area under the ROC curve {test_metrics['auc']:.3f} of the test part"
        screen.say(
            f"{self._fold_name(number, folds, test)}: {told} on {test_metrics['items']:,} items"
        )

    @staticmethod
    def _fold_name(number: int, folds: int, test: Fold | GroupOut) -> str:
        name = f"fold {number} of {folds}"
        return name if str(test) == name else f"{name}, {test}"

    def on_reading(self, progress: Progress) -> None:
        """Move the bar."""
        self.bars.show(progress)

    def on_checking(self, progress: Progress) -> None:
        """Move the bar."""
        self.bars.show(progress)

    def on_report(self, progress: Progress) -> None:
        """Move the bar."""
        self.bars.show(progress)

    def on_check(self, checked: Checked) -> None:
        """Keep it for the lines below the plan."""
        self.checked = check_lines(checked)

    def on_engine(self, engine: Engine, memory: Memory) -> None:
        """Keep it for the lines below the plan."""
        self.memory = plan_memory(engine, memory)

    @heard_or_not
    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:
        """Show the plan, and what the data is."""
        plan = (str(prepared.shape), network.parameters)
        if self.planned != plan:  # it is the same for most folds
            print_plan(network, screen.output())
            screen.say(self.memory)
            self.planned = plan
        self.trainable = int(network.mask("trainable").sum())
        parts = (("training", prepared.train), ("validation", prepared.validation))
        counts = [f"{len(part):,} {name}" for name, part in (*parts, ("test", prepared.test))]
        classes = ", ".join(str(label) for label in prepared.classes[:12])
        more = ", ..." if len(prepared.classes) > 12 else ""
        kinds = ("label",) if prepared.several else ("class", "classes")
        count = how_many(len(prepared.classes), *kinds)
        self.measured = "exact match" if prepared.several else "accuracy"
        screen.say(f"items: {', '.join(counts)}; {count}: {classes}{more}")
        if prepared.grids:
            screen.say(f"grids: {prepared.grids}")
        if prepared.budget is not None:
            screen.say(f"time: {prepared.budget}")
        for note in prepared.notes:
            screen.say_noted(note)
        for line in self.checked:
            screen.say(line)
        self.checked = []  # it holds for all folds
        if prepared.skipped:
            screen.say(f"items that cannot be read, and are left out: {prepared.skipped_items}")
        screen.say(f"folder: {folder}\n")

    @heard_or_not
    def on_nudge(self, epoch: int, nudge: NudgeResult) -> None:  # noqa: ARG002
        """Print a few of the first round: evenly spaced, so that they show the loss falling."""
        number, every = self.nudges, -(-self.trainable // SHOWN_NUDGES)
        self.nudges += 1
        if number >= self.trainable:
            return
        if number == 0:
            screen.say(
                f"{self.trainable:,} values are nudged one after the other: tried a little higher "
                "(up) and a little lower (down);\nthe value with the smallest loss is kept. "
                f"Nudges 1, {1 + every}, {1 + 2 * every}, ... of the first batch:\n"
            )
        if number % every == 0:
            kept = "as it was" if nudge.kept == "value" else nudge.kept
            screen.say(
                f"{nudge.name}   {nudge.value:6.3f} loss {nudge.loss:.4f}   "
                f"up {nudge.up:6.3f} loss {nudge.loss_up:.4f}   "
                f"down {nudge.down:6.3f} loss {nudge.loss_down:.4f}   kept: {kept}"
            )
        if number == self.trainable - 1:
            screen.say()

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Move the bar."""
        name = f"{self.fold}, epoch {epoch}" if self.fold else f"epoch {epoch}"
        note = f"loss {loss:.4f}{self.validated}"
        self.bars.show(Progress(name, done, batches, "batches"), note=note)

    @heard_or_not
    def on_sign(self, sign: Sign) -> None:
        """Print what looks wrong."""
        screen.say_noted(sign.text)

    @heard_or_not
    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        """Print the epoch's line, with the time that is left."""
        parts = [f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}", f"loss {epoch.loss:.4f}"]
        if epoch.validation_accuracy is not None and epoch.validation_loss is not None:
            accuracy = screen.percent(epoch.validation_accuracy)
            parts.append(f"validation loss {epoch.validation_loss:.4f}, {self.measured} {accuracy}")
            self.validated = f"  validation {self.measured} {accuracy}"
        else:
            parts.append(f"training {self.measured} {screen.percent(epoch.accuracy)}")
        left = (epochs - epoch.epoch) * epoch.seconds
        parts.append(f"{epoch.seconds:.1f} s" + (f", {screen.seconds(left)} left" if left else ""))
        screen.say("  ".join(parts))


def _repeat_name(number: int, repeats: int, seed: int) -> str:
    return f"run {number} of {repeats}, seed {seed}"


def check_lines(checked: Checked) -> list[str]:
    """Return the lines about a check after which training continues."""
    if checked.setting == "off":
        return ["check: off, so the order of this data was not checked"]
    lines = []
    for name, verdict in checked.verdicts.items():
        head = "check" if len(checked.verdicts) == 1 else f"check ({name})"
        if verdict.decision == "grid":
            lines.append(f"{head}: grid, the order of this data carries information")
            lines += [f"{head}: {sentence}" for sentence in verdict.advice]
        elif verdict.decision == "undecided":
            reasons = "; ".join(verdict.advice or verdict.evidence)
            lines.append(f"{head}: undecided; {reasons}" if reasons else f"{head}: undecided")
        else:
            lines.append(
                f"{head}: permutable, the order of this data means nothing; training continues "
                f"anyway, since the spec has check: {checked.setting}"
            )
    return lines
