"""Comparing runs: which settings differ, how well each did, and whether that may be chance."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcnn.cross_validation import CrossValidation
from gridcnn.errors import DataError, RunFolderError, how_many, listed, shown
from gridcnn.files import as_written, open_ordinary, read_json
from gridcnn.measures import wilson
from gridcnn.model import METRICS
from gridcnn.repetition import Repetition
from gridcnn.runs.folder import PREDICTIONS, SPEC, function_of, no_finished_run, title_of
from gridcnn.runs.outcome import Run
from gridcnn.spec.load import load
from gridcnn.spec.models import Spec

if TYPE_CHECKING:
    import pandas as pd

RunLike = str | os.PathLike[str] | Run | CrossValidation | Repetition
"""A run folder, or the results of a run."""
_MOST = 50
_UNLIKELY = 0.05
"""A difference that chance makes less often than this is called one."""
_NUMBERED = re.compile(r"item \d+")
_ABSENT = "-"
_COLUMNS = ("item", "truth", "answer")
FIGURES = {
    "test_accuracy": "test accuracy",
    "test_exact_match": "exact match of test items",
    "interval": "95 % interval",
    "balanced_accuracy": "balanced accuracy",
    "auc": "area under the ROC curve",
    "test_loss": "test loss",
    "test_items": "test items",
    "validation_accuracy": "validation accuracy",
    "validation_exact_match": "exact match of validation items, with thresholds chosen on them",
    "validation_loss": "validation loss",
    "epochs": "epochs",
    "best_epoch": "best epoch",
    "parameters": "parameters",
    "training_seconds": "training",
    "total_seconds": "in all",
}
"""Figures of a run in the order in which they are shown, and what they are called."""


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs that are compared.

    Attributes:
        folder: its run folder.
        kind: "run", "cross-validation" or "repetition".
        spec: its resolved spec.
        figures: its figures, by name; what is not known is missing. Of several runs in one folder
            they are means, and `test_accuracy_std` is the standard deviation.
        answers: the truth and the answer for each test item by its name; None if they are not
            there, or there are several for an item.
        unanswered: why there are no such answers; empty if there are.
    """

    folder: Path
    kind: str
    spec: Spec
    figures: Mapping[str, Any]
    answers: Mapping[str, tuple[str, str]] | None
    unanswered: str = ""


@dataclass(frozen=True)
class PairedTest:
    """McNemar's test of two runs on the same test items.

    Attributes:
        first, second: the run folders.
        items: how many test items both have answered.
        only_first, only_second: how many of them only one of the two has answered correctly.
        p: how often chance alone makes a difference at least as large, if both are equally good.
            With more than two runs it is corrected for the number of tests (Holm, 1979).
    """

    first: Path
    second: Path
    items: int
    only_first: int
    only_second: int
    p: float

    @property
    def sentence(self) -> str:
        """What the test says, in one plain sentence."""
        right = f"{self.only_first:,} {'is' if self.only_first == 1 else 'are'} right"
        counts = (
            f"of {self.items:,} test items, {right} in {self.first} alone, "
            f"and {self.only_second:,} in {self.second} alone"
        )
        p = f"p {'< 0.001' if self.p < 0.001 else f'= {self.p:.2g}'}"
        if self.p >= _UNLIKELY:
            return f"{counts}: the difference may well be chance ({p})"
        better = self.first if self.only_first > self.only_second else self.second
        return f"{counts}: {better} is better on such items, and that is hardly chance ({p})"


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: the runs, in the order in which they were given.
        settings: the settings that differ, each with its value in every run; `-` where a run has no
            such setting.
        tests: the test of each other run against the one of the highest test accuracy.
        notes: why there is no test of two runs.
    """

    runs: tuple[ComparedRun, ...]
    settings: Mapping[str, tuple[Any, ...]]
    tests: tuple[PairedTest, ...]
    notes: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """Settings that differ, and figures, as a DataFrame: a row for each run."""
        import pandas as pd

        rows = [
            {**{name: values[number] for name, values in self.settings.items()}, **run.figures}
            for number, run in enumerate(self.runs)
        ]
        return pd.DataFrame(rows, index=pd.Index([str(r.folder) for r in self.runs], name="run"))

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {
            "runs": [
                {"folder": str(run.folder), "kind": run.kind, **run.figures} for run in self.runs
            ],
            "settings": {name: list(values) for name, values in self.settings.items()},
            "tests": [
                {
                    **{name: str(getattr(test, name)) for name in ("first", "second")},
                    **{n: getattr(test, n) for n in ("items", "only_first", "only_second", "p")},
                    "sentence": test.sentence,
                }
                for test in self.tests
            ],
            "notes": list(self.notes),
        }


def compare(runs: Sequence[RunLike]) -> Comparison:
    """Compare finished runs: settings that differ, figures, and a paired test.

    Runs that have answered the same test items are compared by McNemar's test, which looks at the
    items that only one of the two has answered correctly: each other run with the one of the
    highest test accuracy. It is about these trained networks and such items; another seed makes
    other networks, see `repeat`.

    Args:
        runs: two or more run folders, or results of `run`, `cross_validate` or `repeat`.

    Raises:
        RunFolderError: a folder holds no finished run.
        DataError: there are fewer than two runs, or too many.
    """
    if isinstance(runs, str | os.PathLike | Run | CrossValidation | Repetition):
        runs = [runs]
    folders = [_folder(run) for run in runs]
    if not 2 <= len(folders) <= _MOST:
        raise DataError(f"a comparison takes 2 to {_MOST} runs; got {len(folders)}")
    again = [each for number, each in enumerate(folders) if each in folders[:number]]
    if again:
        raise DataError(f"the run {again[0]} is given twice")
    compared = [_read(folder) for folder in folders]
    tests, notes = _test_pairs(compared)
    return Comparison(tuple(compared), _differences(compared), tuple(tests), tuple(notes))


def _folder(run: RunLike) -> Path:
    if isinstance(run, Run | CrossValidation | Repetition):
        return run.folder
    if isinstance(run, str | os.PathLike):
        return Path(run)
    raise DataError(f"a run is a folder, or the result of a run; got {shown(run)}")


# What is read -------------------------------------------------------------------------------------


def _read(folder: Path) -> ComparedRun:
    if not (folder / METRICS).is_file():
        raise RunFolderError(no_finished_run(folder))
    path = folder / METRICS
    try:
        metrics = read_json(path)
        if not isinstance(metrics, dict):
            raise TypeError
        figures = _figures(metrics)
        classes = [as_written(str(label)) for label in metrics["classes"]]
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
    except KeyError as error:
        raise RunFolderError(
            f"{path} is damaged: it has no figures of a run: {error} is missing"
        ) from None
    except (ValueError, TypeError, AttributeError):
        raise RunFolderError(f"{path} is damaged: it has no figures of a run") from None
    answers, why = _read_answers(folder, metrics, classes)
    return ComparedRun(folder, title_of(folder), load(folder / SPEC), figures, answers, why)


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a run, or the means of several."""
    figures: dict[str, Any] = {}
    # Of several labels, an item is right only with all of them: no accuracy to put beside others.
    called = {"accuracy": "exact_match"} if _has_labels(metrics) else {}
    for part in ("test", "validation"):
        for name in ("accuracy", "loss"):
            value = metrics.get(part, {}).get(name)
            title = f"{part}_{called.get(name, name)}"
            if isinstance(value, Mapping):
                figures[title] = float(value["mean"])
                figures[f"{title}_std"] = float(value["std"])
            elif value is not None:
                figures[title] = float(value)
    # Of a cross-validation, all answers of all folds have these.
    figures |= _test_figures(metrics.get("out_of_fold", metrics.get("test", {})))
    for name in ("epochs", "best_epoch", "parameters"):
        if metrics.get(name) is not None:
            figures[name] = int(metrics[name])
    for name in ("training", "total"):
        if name in metrics["seconds"]:
            figures[f"{name}_seconds"] = float(metrics["seconds"][name])
    return figures


def _has_labels(metrics: Mapping[str, Any]) -> bool:
    """Return whether items may have several labels; of several runs only their means are known."""
    parts = [metrics.get(part, {}) for part in ("test", "validation", "train")]
    return any("labels" in part or isinstance(part.get("auc"), Mapping) for part in parts)


def _test_figures(test: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of the test part alone."""
    figures: dict[str, Any] = {}
    items, accuracy = test.get("items"), test.get("accuracy")
    if items is not None:
        figures["test_items"] = int(items)
        # Neither a mean of several runs, nor of several labels, has this interval.
        if isinstance(accuracy, float | int) and "labels" not in test:
            ends = test.get("interval") or wilson(round(accuracy * items), items)
            figures["interval"] = [float(end) for end in ends]
    for name in ("balanced_accuracy", "auc"):
        value = test.get(name)
        if isinstance(value, Mapping):
            figures[name], figures[f"{name}_std"] = float(value["mean"]), float(value["std"])
        elif isinstance(value, float | int):
            figures[name] = float(value)
    return figures


def _read_answers(
    folder: Path, metrics: Mapping[str, Any], classes: Sequence[str]
) -> tuple[dict[str, tuple[str, str]] | None, str]:
    """Return truth and answer of each test item; or None, and why they are not one for each."""
    test = metrics.get("out_of_fold", metrics.get("test"))
    if test is None:
        return None, "no items were kept for a test"
    if function_of(folder) == "repeat":
        return None, "it has no single answer for each test item"
    if "labels" in test:
        return None, "its items have several labels, each with an answer of its own"
    path = folder / PREDICTIONS
    if not path.is_file():
        return None, f"{PREDICTIONS} is missing"
    try:
        answers = _answers_in(path, classes)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise RunFolderError(f"{path} is damaged: it is not UTF-8") from None
    except (ValueError, csv.Error) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from None
    if answers is None:
        return None, "items of the same name have several answers"
    items = test.get("items")
    if items is not None and len(answers) != items:
        raise RunFolderError(
            f"{path} is damaged: it has {how_many(len(answers), 'item')}, and {METRICS} {items:,}"
        )
    return answers, ""


def _answers_in(path: Path, classes: Sequence[str]) -> dict[str, tuple[str, str]] | None:
    """Return truth and answer of each item; None if there are several of an item."""
    with open_ordinary(path) as file:
        rows = csv.DictReader(line.decode("utf-8") for line in file)
        missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"it has no column {listed(missing)}")
        answers: dict[str, tuple[str, str]] = {}
        several = False
        for row in rows:
            item, truth, answer = (row[name] for name in _COLUMNS)
            if answer is None:
                raise ValueError(f"line {rows.line_num} ends too early")
            if truth not in classes or answer not in classes:
                raise ValueError(f"line {rows.line_num} has other classes than {METRICS}")
            several = several or item in answers
            answers[item] = truth, answer
    return None if several else answers


# Settings -----------------------------------------------------------------------------------------


def _differences(runs: Sequence[ComparedRun]) -> dict[str, tuple[Any, ...]]:
    """Return the settings that differ, each with its value in every run."""
    differences: dict[str, tuple[Any, ...]] = {}
    about = {"name", "description"}  # which change no result
    _add_differences(
        [run.spec.model_dump(mode="json", exclude=about) for run in runs], "", differences
    )
    return differences


def _add_differences(
    values: Sequence[Any], path: str, differences: dict[str, tuple[Any, ...]]
) -> None:
    """Add what differs among values that stand at the same place."""
    if all(value == values[0] for value in values):
        return
    inside = _open(values, path)
    if inside is None:
        differences[path] = tuple(values)
    else:
        for place, each in inside.items():
            _add_differences(each, place, differences)


def _open(values: Sequence[Any], path: str) -> dict[str, list[Any]] | None:
    """Return what is inside of values, by its place; None if they are shown as a whole."""
    if all(isinstance(value, dict) for value in values):
        names = {tuple(value) for value in values}
        if len(names) > 1 and all(len(value) == 1 for value in values):
            return None  # another optimizer has other settings altogether
        keys = dict.fromkeys(key for value in values for key in value)
        return {
            f"{path}.{key}" if path else key: [value.get(key, _ABSENT) for value in values]
            for key in keys
        }
    alike = all(isinstance(value, list) for value in values) and len(set(map(len, values))) == 1
    if alike and _are_nested(values):
        columns = zip(*values, strict=True)
        return {f"{path}[{number}]": list(each) for number, each in enumerate(columns)}
    return None


def _are_nested(values: Sequence[Any]) -> bool:
    """Return whether lists hold stages or other settings, and not only numbers."""
    return any(isinstance(entry, dict | str) for value in values for entry in value)


# Tests --------------------------------------------------------------------------------------------


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the p-value of McNemar's test, exact: that of a fair coin, on both sides.

    Of the items that only one of two has answered correctly, each is as often that of the first as
    of the second, if both are equally good (McNemar, 1947).

    Args:
        only_first: how many items only the first has answered correctly.
        only_second: how many only the second has.
    """
    from scipy.special import bdtr

    tosses = only_first + only_second
    if not tosses:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), tosses, 0.5)))


def correct_for_many(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in their order (Holm, 1979)."""
    order = sorted(range(len(values)), key=lambda number: values[number])
    corrected = [0.0] * len(values)
    highest = 0.0
    for place, number in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - place) * values[number]))
        corrected[number] = highest
    return corrected


def _test_pairs(runs: Sequence[ComparedRun]) -> tuple[list[PairedTest], list[str]]:
    """Return the tests of each run against the best, and why some have none."""
    notes = [
        f"no paired test of {run.folder}: {run.unanswered}" for run in runs if run.answers is None
    ]
    answered = [(run, run.answers) for run in runs if run.answers is not None]
    if not answered:
        return [], notes
    best, theirs = max(answered, key=lambda each: each[0].figures["test_accuracy"])
    counts: list[tuple[ComparedRun, int, int, int]] = []
    for run, answers in answered:
        if run is best:
            continue
        common = [item for item in theirs if item in answers]
        why = _why_no_test(best, run, common)
        if why:
            notes.append(f"no paired test of {best.folder} and {run.folder}: {why}")
            continue
        right = [
            tuple(truth == answer for truth, answer in (theirs[item], answers[item]))
            for item in common
        ]
        counts.append((run, len(common), right.count((True, False)), right.count((False, True))))
    values = correct_for_many([mcnemar(first, second) for _, _, first, second in counts])
    tests = [
        PairedTest(best.folder, run.folder, items, first, second, p)
        for (run, items, first, second), p in zip(counts, values, strict=True)
    ]
    return tests, notes


def _why_no_test(first: ComparedRun, second: ComparedRun, common: Sequence[str]) -> str:
    """Return why two runs cannot be compared by their `common` items; empty if they can."""
    assert first.answers is not None
    assert second.answers is not None
    if not common:
        return "they have no test item in common"
    if any(first.answers[item][0] != second.answers[item][0] for item in common):
        return "items of the same name have other classes, so the data is not the same"
    if any(_NUMBERED.fullmatch(item) for item in common):
        # Numbers are no names: the items of made data, for example, differ with the seed.
        sources = [
            None if run.spec.data is None else run.spec.data.source for run in (first, second)
        ]
        seeds = [run.spec.training.seed for run in (first, second)]
        if sources[0] != sources[1] or seeds[0] != seeds[1]:
            return "with another source or seed, the same number may be another item"
    return ""
