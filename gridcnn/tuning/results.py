"""The files that a search writes: the table of its trials, and the best spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gridcnn.errors import printable
from gridcnn.files import write_text
from gridcnn.runs.folder import write_table
from gridcnn.spec.models import Spec
from gridcnn.spec.write import to_yaml
from gridcnn.tuning.folder import BEST, TRIALS
from gridcnn.tuning.space import Dimension
from gridcnn.tuning.trials import TuneTrial

_FIGURES = (
    *("trial", "state", "validation_accuracy", "validation_loss", "validation_score"),
    *("epochs", "best_epoch", "seconds"),
)


def write_trials(
    folder: Path, trials: Sequence[TuneTrial], dimensions: Mapping[str, Dimension]
) -> None:
    """Write `trials.csv`: a row for each trial, with its figures and then its values."""
    rows = []
    for trial in trials:
        plain = trial.plain()
        values = [trial.values.get(name, "") for name in dimensions]
        about = [" ".join(plain["signs"]), plain["reason"]]
        rows.append([*(plain[name] for name in _FIGURES), *values, *about])
    write_table(folder / TRIALS, [*_FIGURES, *dimensions, "signs", "reason"], rows)


def write_best(
    folder: Path, spec: Spec, best: TuneTrial, trials: Sequence[TuneTrial], *, folds: int | None
) -> None:
    """Write `best.yaml`: a spec that is ready to run, and says where it comes from."""
    score = best.score
    assert score is not None
    how = "on the validation items" if folds is None else f"by {folds} folds of the training items"
    by = spec.training.select_by.replace("_", " ")
    chosen = "" if score.other is None else f"a {by} of {score.other:.4f}, "
    origin = spec.document.source
    lines = [
        f"The best of {len(trials)} trials of `gridcnn tune{origin and f' {origin}'}`: trial "
        f"{best.number},",
        f"with {chosen}an accuracy of {score.accuracy:.4f} and a loss of {score.loss:.4f} {how}.",
        "The test items were not looked at. This trains it, and measures them:",
        f"gridcnn run {folder / BEST}",
    ]
    comment = "".join(f"# {printable(line)}\n" for line in lines)
    write_text(folder / BEST, comment + to_yaml(spec, unset=False))
