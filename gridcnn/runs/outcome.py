"""The results of a run: measured once, on every part, and written to its folder."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcnn.contracts.source import PARTS, TEST, VALIDATION
from gridcnn.contracts.targets import LabelTargets, Targets, most
from gridcnn.datasets.division.shuffled import is_large
from gridcnn.datasets.labels import labels_array
from gridcnn.engines.base import Engine
from gridcnn.errors import DataError, RunFolderError, StopTraining, first_told, together
from gridcnn.files import as_written
from gridcnn.grid import Array
from gridcnn.label_measures import label_measures
from gridcnn.measures import measures
from gridcnn.model import Model, answer_logits, thresholds_for
from gridcnn.notes import answer_notes, label_answer_notes
from gridcnn.order.guard import Checked
from gridcnn.runs.folder import PREDICTIONS, SKIPPED, RunFolder
from gridcnn.runs.label_predictions import label_predictions
from gridcnn.runs.literal import literal_comparison
from gridcnn.runs.prepare import Part, Prepared
from gridcnn.runs.results import read_predictions
from gridcnn.training.calibration import calibrate, uncalibrated_sign
from gridcnn.training.loop import Epoch, TrainingState, loss_and_accuracy
from gridcnn.training.selection import ends_after
from gridcnn.training.signs import Sign
from gridcnn.training.views import logits_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Run:
    """The results of a run.

    Attributes:
        model: the trained pipeline.
        metrics: what `metrics.json` holds; accuracies are in 0..1, losses are means over items.
        history: one entry for each epoch.
        folder: where the results are.
    """

    model: Model
    metrics: dict[str, Any]
    history: tuple[Epoch, ...]
    folder: Path

    @property
    def history_frame(self) -> pd.DataFrame:
        """The history as a DataFrame, a row for each epoch; NaN for what was not measured."""
        import pandas as pd

        rows = [vars(epoch) for epoch in self.history]
        return pd.DataFrame(rows).set_index("epoch").astype("float64")

    @property
    def predictions_frame(self) -> pd.DataFrame:
        """The answers for the test items as a DataFrame, a row for each; read from the folder.

        Its columns are `truth`, `answer` and `votes.CLASS` for each class; of several labels
        `truth.LABEL` (NaN if not known), `answer.LABEL` and `votes.LABEL` for each label. The index
        is the name of each item.

        Raises:
            RunFolderError: there are no test items, or the folder is gone.
        """
        import pandas as pd

        if TEST not in self.metrics:
            raise RunFolderError(f"{self.folder} has no predictions: no items were kept for a test")
        header, rows = read_predictions(self.folder, self.metrics)
        frame = pd.DataFrame(rows, columns=header).set_index("item")
        if self.model.several:
            frame = frame.replace("", "nan").astype("float64")
            answers = [name for name in frame.columns if name.startswith("answer.")]
            return frame.astype(dict.fromkeys(answers, "int64"))
        labels = {as_written(str(label)): label for label in self.metrics["classes"]}
        for name in ("truth", "answer"):
            frame[name] = frame[name].map(labels)
        votes = [name for name in frame.columns if name not in ("truth", "answer")]
        return frame.astype(dict.fromkeys(votes, "float64"))

    def plot_history(self) -> Figure:
        """Return the learning curves as a Matplotlib figure: loss and accuracy of each epoch.

        No window is opened: `result.plot_history().savefig("history.png")`.
        """
        from gridcnn.report.running.figures import history_figure

        measured = "exact match" if self.model.several else "accuracy"
        best = self.metrics["best_epoch"]
        return history_figure(self.history, best_epoch=best, measured=measured)

    def _repr_html_(self) -> str:
        from gridcnn.report.running.notebook import run_html

        return run_html(self)


class Stopwatch:
    """Measures how long a run takes, and parts of it."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._parts: dict[str, float] = {}

    @contextlib.contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Measure one part."""
        started = time.perf_counter()
        yield
        self._parts[part] = time.perf_counter() - started

    def seconds(self, more: Mapping[str, float]) -> dict[str, float]:
        """Return the seconds of each part, of `more` parts, and in all."""
        total = time.perf_counter() - self._started
        parts = {**self._parts, **more, "total": total}
        return {name: round(seconds, 3) for name, seconds in parts.items()}


@dataclass(frozen=True)
class Trained:
    """The results of training, not yet measured."""

    engine: Engine
    prepared: Prepared
    checked: Checked | None
    state: TrainingState
    answering: Engine
    """What computes the votes of all parts: `engine`, or what shares the work with others."""


def finish(
    trained: Trained, folder: RunFolder, watch: Stopwatch, *, tell: Callable[[Sign], None]
) -> Run:
    """Measure the best epoch on every part, and write all results.

    `tell` is called if the votes cannot be calibrated, though the spec says so.
    """
    trained.engine.settle()
    prepared, state = trained.prepared, trained.state
    best, calibration = state.best, None
    if prepared.spec.training.calibrate:
        best, calibration = calibrate(
            trained.answering, best, prepared.validation.data, prepared.spec.training
        )
        if calibration is None:
            sign = uncalibrated_sign(state.best_epoch, len(prepared.validation))
            state = dataclasses.replace(state, signs=(*state.signs, sign))
            trained = dataclasses.replace(trained, state=state)
            with contextlib.suppress(StopTraining):  # it has ended
                tell(sign)
    logits = _answer_parts(trained, best)
    model = Model(
        prepared.spec,
        prepared.classes,
        best,
        thresholds=_thresholds(trained, logits),
        engine=trained.engine,
    )
    figures, votes = _measure(model, trained, logits, folder.hint)
    if calibration is not None:
        figures["calibration"] = dataclasses.asdict(calibration)
    training = sum(epoch.seconds for epoch in state.history)
    metrics = {**figures, "seconds": watch.seconds({"training": training})}
    folder.write_model(model)
    folder.write_history(state.history)
    if votes is not None:
        _write_predictions(folder, model, prepared, votes)
    if prepared.skipped:
        rows = ((problem.source, problem.message) for problem in prepared.skipped)
        folder.write_table(SKIPPED, ("item", "problem"), rows)
    folder.end(metrics)
    return Run(model, metrics, tuple(state.history), folder.path)


def _answer_parts(trained: Trained, best: Array) -> dict[str, Array]:
    """Return the logits for each part that has items, the test part first.

    `best` are the parameters of the best epoch.
    """
    parts: dict[str, Part] = {name: getattr(trained.prepared, name) for name in reversed(PARTS)}
    return {
        name: logits_of(trained.answering, best, part.data.grids, trained.prepared.spec.training)
        for name, part in parts.items()
        if len(part) and not is_large(len(part))
    }


def _thresholds(trained: Trained, logits: Mapping[str, Array]) -> tuple[float, ...] | None:
    """Return the vote from which on each of several labels is answered, by the validation items.

    None if items have one class, or there are no validation items.
    """
    if not trained.prepared.several or VALIDATION not in logits:
        return None
    targets = trained.prepared.validation.data.targets
    return thresholds_for(trained.engine.head, logits[VALIDATION], targets)


def _measure(
    model: Model, trained: Trained, logits: Mapping[str, Array], hint: str
) -> tuple[dict[str, Any], Array | None]:
    """Return all figures, and the votes `(items, classes)` for the test items, if there are any."""
    engine, prepared, state = trained.engine, trained.prepared, trained.state
    metrics: dict[str, Any] = {}
    votes = None
    for name, answered in logits.items():
        part: Part = getattr(prepared, name)
        answers = _votes(model, answered, part, hint)
        loss, accuracy = loss_and_accuracy(model.head, answered, part.data.targets)
        metrics[name] = {"accuracy": accuracy, "loss": loss, "items": len(part)}
        if model.thresholds is not None:
            found = label_measures(part.data.targets, answers, model.thresholds)
            metrics[name] |= found.plain(prepared.classes)
        if name == TEST:
            votes = answers
            metrics[name] |= _measure_test(model, part.data.targets, votes)
    if prepared.literal is not None:
        literal = dataclasses.asdict(literal_comparison(*prepared.literal))
        if not prepared.several:
            del literal["auc"]
        metrics["literal_comparison"] = literal
    if trained.checked is not None:
        metrics["check"] = trained.checked.as_json()
    if prepared.start is not None:
        metrics["taken_over"] = list(prepared.start.labels)
    if prepared.budget is not None:
        metrics["budget"] = dataclasses.asdict(prepared.budget)
    metrics |= {
        "classes": list(prepared.classes),
        "epochs": len(state.history),
        "best_epoch": state.best_epoch,
        "restarts": state.restarts,
        "signs": [dataclasses.asdict(sign) for sign in state.signs],
        "stopped": _stop_reason(trained),
        "parameters": engine.network.parameters,
        "multiply_adds": engine.network.multiply_adds,
        "engine": engine.name,
        "threads": engine.workers,
        "skipped_items": prepared.skipped_items,
        "notes": list(prepared.notes),
    }
    return metrics, votes


def _measure_test(model: Model, targets: Targets | LabelTargets, votes: Array) -> dict[str, Any]:
    """Return the figures of the test items, and notes on their answers."""
    if model.several:
        return {"notes": label_answer_notes(targets, model.answers(votes), votes, model.classes)}
    figures = measures(most(targets), model.head.answers(votes), len(model.classes), votes=votes)
    notes = answer_notes(figures, votes, model.classes)
    return {**figures.plain(model.classes), "notes": notes}


def _stop_reason(trained: Trained) -> str | None:
    """Return why a run stopped before its last epoch; None if it did not.

    That is "patience", "watcher", or "minutes" if `stop_after` is set.
    """
    settings, history = trained.prepared.spec.training, trained.state.history
    if len(history) >= settings.epochs:
        return None
    if settings.stop_after is not None and len(history) >= settings.stop_after:
        return "minutes"
    return "watcher" if ends_after(history, settings) is None else "patience"


def _votes(model: Model, logits: Array, part: Part, hint: str) -> Array:
    """Return the votes of a part; raise `DataError` if some are not finite, and keep the training.

    A resumed run needs the same items for training, and not the same test items.
    """
    answers = answer_logits(model.head, logits, part.names)
    if answers.problems:
        count = f"{len(answers.problems)} of {len(part)} items have no finite votes"
        advice = f"{count}; the training is saved: correct these items in place, then {hint}"
        raise DataError(*first_told(together(answers.problems)), advice)
    return answers.votes


def _write_predictions(folder: RunFolder, model: Model, prepared: Prepared, votes: Array) -> None:
    if prepared.several:
        table = label_predictions(model, prepared.test.names, prepared.test.data, votes)
        folder.write_table(PREDICTIONS, *table)
        return
    labels = labels_array(prepared.classes)
    truths = labels[prepared.test.data.targets]
    answers = model.answers(votes)
    header = ("item", "truth", "answer", *(f"votes.{label}" for label in prepared.classes))
    rows = (
        (name, truth, answer, *(f"{vote:.6f}" for vote in row))
        for name, truth, answer, row in zip(
            prepared.test.names, truths, answers, votes, strict=True
        )
    )
    folder.write_table(PREDICTIONS, header, rows)
