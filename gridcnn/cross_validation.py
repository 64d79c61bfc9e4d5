"""Cross-validation: every item is tested once, by a run that has not trained on it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from gridcnn.contracts.source import PARTS, Dataset
from gridcnn.contracts.targets import Targets, number_labels
from gridcnn.datasets.division.folds import group_names
from gridcnn.engines.base import DEFAULT_ENGINE, check_choice
from gridcnn.errors import (
    DataError,
    Problem,
    RunFolderError,
    SpecError,
    UserError,
    quoted,
    shown,
)
from gridcnn.evaluation import Evaluation, compare, compare_labels
from gridcnn.files import as_written, read_json
from gridcnn.order.guard import Checked
from gridcnn.runs.folder import FOLDS, PREDICTIONS, SPEC, RunFolder, Way
from gridcnn.runs.located import Located, is_in_memory
from gridcnn.runs.prepare import divide_items, group_items
from gridcnn.runs.results import has_labels, read_metrics, read_predictions
from gridcnn.runs.run import carry_out, open_run
from gridcnn.runs.watcher import RunWatcher
from gridcnn.settings.content import Content, Name
from gridcnn.spec.changes import Changes
from gridcnn.spec.load import SpecLike, load
from gridcnn.spec.parts import Fold, GroupOut

Folds = int | Literal["groups"]
"""How many folds; or one for each group."""
MOST_GROUPS = 50
"""Most groups that are left out one by one; each takes a whole training."""
_FOLDS = 5
_OF_LABELS = ("auc", "average_precision", "macro_f1", "micro_f1")
"""Figures that are reported besides if an item may have several labels."""
_OF_EACH = ("epochs", "best_epoch", "parameters")
"""Figures of a run that are reported for each fold."""


@dataclass(frozen=True)
class FoldRun:
    """One fold's run.

    Attributes:
        test: which items were the test part, as `data.test` of its spec says it.
        metrics: what its `metrics.json` holds.
        folder: its run folder, from which its model is loaded.
    """

    test: Fold | GroupOut
    metrics: dict[str, Any]
    folder: Path


@dataclass(frozen=True)
class CrossValidation:
    """The results of a cross-validation.

    Attributes:
        folds: the run of each fold.
        metrics: what `metrics.json` holds; means and standard deviations over the folds.
        evaluation: all answers of all folds, each item's by the run that has not trained on it.
        folder: where the results are.
    """

    folds: tuple[FoldRun, ...]
    metrics: dict[str, Any]
    evaluation: Evaluation
    folder: Path


def cross_validate(
    spec: SpecLike | None = None,
    *,
    folds: Folds | None = None,
    data: Any = None,
    out: str | os.PathLike[str] | None = None,
    changes: Changes = (),
    seed: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    watcher: RunWatcher | None = None,
    strict: bool = False,
) -> CrossValidation:
    """Run a spec once for each fold of its data; report mean and spread of the results.

    Each fold is a run of its own, in a run folder of its own: the fold is its test part, the
    validation part is taken from the rest as always, and the adapter learns only from its training
    part. The folds replace `data.test`. There is no final model to use: train one with
    `run`.

    Args:
        spec: as for `run`.
        folds: how many, by default 5: every class is spread evenly over them, and groups stay
            whole where the data has any. Or "groups": each group in turn is left out.
        data, out, changes, seed, engine, threads, strict: as for `run`.
        resume: the folder of an interrupted cross-validation, which goes on with the unfinished
            fold, and ends with the very numbers that it would have ended with.
        watcher: its methods are called as the runs proceed.

    Raises:
        UserError: the spec, the data or a folder cannot be used, or the data cannot be divided
            into such folds; see `gridcnn.errors`.
        ColumnPermutableError: the order of the data means nothing.
        TrainingInterrupted: the user stopped it (Ctrl-C); its `folder` can be resumed.
    """
    watcher = watcher or RunWatcher()
    check_choice(engine, threads)
    asked = _read_folds(folds, resumed=resume is not None)
    _refuse_test(changes)
    way = Way("cross_validate", engine or DEFAULT_ENGINE, is_in_memory(data))
    held = open_run(spec, data=data, out=out, changes=changes, seed=seed, resume=resume, way=way)
    with held as (found, folder), folder.stoppable():
        located, tests = _begin(found, folder, asked, way, watcher)
        runs: list[FoldRun] = []
        for number, test in enumerate(tests, 1):
            with _name_fold(test, number), folder.part(f"fold-{number}") as part:
                if not part.has_ended:
                    watcher.on_fold(number, len(tests), test)
                    carry_out(
                        _fold(located.with_test(test), part),
                        part,
                        engine=engine,
                        threads=threads,
                        watcher=watcher,
                        strict=strict,
                        checked=_verdicts(runs),
                    )
            runs.append(FoldRun(test, read_metrics(part.path), part.path))
            watcher.on_fold_end(number, len(tests), test, runs[-1].metrics)
        return _finish(runs, folder)


def _begin(
    located: Located, folder: RunFolder, asked: Folds, way: Way, watcher: RunWatcher
) -> tuple[Located, list[Fold | GroupOut]]:
    """Return the open data and the folds: new ones, or those of the interrupted run."""
    begun = None if folder.is_new else _read_begun(folder.path)
    dataset = located.open(watcher.on_reading)
    tests = begun.tests if begun else _tests(group_items(located, dataset)[0], asked)
    digest = _digest(located, dataset, tests)
    if begun is not None:
        begun.refuse_other(folder.path, way.engine, digest)
    else:
        folder.begin(located.spec, {FOLDS: _Begun(tests, way.engine, digest).as_json()})
    return located.with_dataset(dataset), tests


def _verdicts(runs: Sequence[FoldRun]) -> Checked | None:
    """Return the checkers' verdicts on the first fold, which hold for all folds."""
    check = runs[0].metrics.get("check") if runs else None
    return Checked.from_json(check) if check else None


def _read_folds(folds: Any, *, resumed: bool) -> Folds:
    if folds is not None and resumed:
        raise RunFolderError("a cross-validation resumes with its own folds; leave folds out")
    if folds is None:
        return _FOLDS
    if isinstance(folds, str) and folds == "groups":
        return "groups"
    whole = isinstance(folds, int | np.integer) and not isinstance(folds, bool)
    if not (whole and 2 <= folds <= 65_536):
        got = quoted(folds) if isinstance(folds, str) else shown(folds)
        raise SpecError(f"folds must be a whole number from 2 on, or 'groups'; got {got}")
    return int(folds)


def _refuse_test(changes: Changes) -> None:
    each = [changes] if isinstance(changes, str) else changes
    if any(str(change).split("=")[0].strip().startswith("data.test") for change in each):
        raise SpecError("folds take the place of data.test; leave the change of data.test out")


def _tests(dataset: Dataset, folds: Folds) -> list[Fold | GroupOut]:
    """Return the test part of each fold."""
    if folds != "groups":
        return [Fold(fold=number, of=folds) for number in range(1, folds + 1)]
    names = group_names(dataset)
    if len(names) < 2 or len(names) > MOST_GROUPS:
        advice = (
            f"and at most {MOST_GROUPS} are left out one by one, since each takes a training; take "
            "a number of folds, 10 for example, which keep groups whole"
            if len(names) > 1
            else "and nothing is left to train on without it; name other groups with data.group"
        )
        raise DataError(
            Problem(
                f"the data has {len(names):,} {'group' if len(names) == 1 else 'groups'}, {advice}",
                source=dataset.origin,
            )
        )
    return [GroupOut(group=name) for name in names]


def _digest(located: Located, dataset: Dataset, tests: Sequence[Fold | GroupOut]) -> str:
    """Return a digest of labels and folds; raise `DataError` if a fold cannot be divided.

    All folds are divided before the first is trained, so that no training is wasted.
    """
    labels = dataset.label_rows.tolist() if dataset.several else map(str, dataset.labels)
    digest = hashlib.sha256(json.dumps(list(labels)).encode())
    for test in tests:
        _, division, _ = divide_items(located.with_test(test), dataset)
        for part in (division.train, division.validation, division.test):
            digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()


def _fold(located: Located, folder: RunFolder) -> Located:
    """Return the spec of a fold's run, with the fitted adapter if the run has started already."""
    if folder.is_new:
        return located
    return located.with_spec(load(folder.path / SPEC))  # its data may have moved since


@dataclass(frozen=True)
class _Begun:
    """What a cross-validation needs to resume: its folds, its engine, and its data."""

    tests: list[Fold | GroupOut]
    engine: str
    data: str

    def as_json(self) -> dict[str, Any]:
        """Return what `folds.json` holds."""
        tests = [test.model_dump() for test in self.tests]
        return {"folds": tests, "engine": self.engine, "data": self.data}

    def refuse_other(self, folder: Path, engine: str, data: str) -> None:
        """Raise `RunFolderError` if the engine or the data differ from those at the start."""
        if engine != self.engine:
            raise RunFolderError(
                f"the cross-validation in {folder} was started with the engine {self.engine}, "
                f"and another engine gives other results; continue with --engine {self.engine}"
            )
        if data != self.data:
            raise RunFolderError(
                f"the cross-validation in {folder} was started with other data: its folds hold "
                "other items; give the same data, or start over in a new folder"
            )


def _read_begun(folder: Path) -> _Begun:
    path = folder / FOLDS
    try:
        content = _FoldsContent.read(read_json(path))
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}; start over in a new folder") from None
    return _Begun(content.folds, content.engine, content.data)


class _FoldsContent(Content):
    """What `folds.json` holds."""

    title: ClassVar[str] = "the cross-validation"

    folds: list[Fold | GroupOut] = Field(min_length=2, max_length=65_536)
    engine: Name
    data: Name

    @field_validator("folds")
    @classmethod
    def _are_all_there(cls, value: list[Fold | GroupOut]) -> list[Fold | GroupOut]:
        count = len(value)
        groups = {each.group for each in value if isinstance(each, GroupOut)}
        if len(groups) != count and value != [Fold(fold=n + 1, of=count) for n in range(count)]:
            raise ValueError(f"they are not all folds of {count}, nor {count} different groups")
        return value


@contextlib.contextmanager
def _name_fold(test: Fold | GroupOut, number: int) -> Iterator[None]:
    """Add the fold to the errors raised in it; errors of the first fold concern all folds."""
    try:
        yield
    except UserError as error:
        if number == 1:
            raise
        problems = (
            dataclasses.replace(each, message=f"{test}: {each.message}") for each in error.problems
        )
        raise type(error)(*problems) from error


# Results ------------------------------------------------------------------------------------------


def _finish(runs: Sequence[FoldRun], folder: RunFolder) -> CrossValidation:
    """Combine the results of all folds, and write them."""
    _refuse_other_classes(runs)
    header, rows = _answers(runs)
    compare_rows = _compare_labels if has_labels(runs[0].metrics) else _compare
    evaluation = compare_rows(rows, runs[0].metrics["classes"])
    metrics: dict[str, Any] = {
        **_summaries(runs),
        "out_of_fold": evaluation.measures.plain(evaluation.labels),
        "folds": [
            {
                **run.test.model_dump(),
                "folder": run.folder.name,
                **{
                    key: run.metrics[key]
                    for key in (*reversed(PARTS), *_OF_EACH)
                    if key in run.metrics
                },
            }
            for run in runs
        ],
        **{key: runs[-1].metrics[key] for key in ("classes", "engine", "threads")},
        **{key: runs[0].metrics[key] for key in ("check",) if key in runs[0].metrics},
        # Every fold leaves out each of them.
        "skipped_items": max(run.metrics["skipped_items"] for run in runs),
        "seconds": {
            key: round(sum(run.metrics["seconds"].get(key, 0) for run in runs), 3)
            for key in ("reading", "checking", "training", "total")
        },
    }
    folder.write_table(PREDICTIONS, header, rows)
    folder.end(metrics)
    return CrossValidation(tuple(runs), metrics, evaluation, folder.path)


def _refuse_other_classes(runs: Sequence[FoldRun]) -> None:
    """Raise `RunFolderError` if folds answer with different classes."""
    for run in runs:
        if run.metrics["classes"] != runs[0].metrics["classes"]:
            raise RunFolderError(
                f"{run.folder} has other classes than {runs[0].folder}; delete the wrong one to "
                "train it again"
            )


def _summaries(runs: Sequence[FoldRun]) -> dict[str, Any]:
    summaries: dict[str, Any] = {}
    for part in reversed(PARTS):
        each = [run.metrics[part] for run in runs if part in run.metrics]
        if each:
            keys = ["accuracy", "loss"]
            if all("labels" in figure for figure in each):
                keys += [key for key in _OF_LABELS if all(f[key] is not None for f in each)]
            figures = {key: summary([figure[key] for figure in each]) for key in keys}
            summaries[part] = {**figures, "items": sum(figure["items"] for figure in each)}
    literal = [run.metrics["literal_comparison"]["accuracy"] for run in runs]
    return {**summaries, "literal_comparison": {"accuracy": summary(literal)}}


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return mean, standard deviation (of a sample: its divisor is one less), lowest, highest."""
    array = np.array(values, np.float64)
    spread = array.std(ddof=1) if len(array) > 1 else 0.0
    return {
        "mean": float(array.mean()),
        "std": float(spread),
        "min": float(array.min()),
        "max": float(array.max()),
    }


def _answers(runs: Sequence[FoldRun]) -> tuple[list[str], list[list[str]]]:
    """Return the predictions of all folds as one table, with the number of the fold first."""
    header: list[str] = []
    rows: list[list[str]] = []
    for number, run in enumerate(runs, 1):
        names, lines = read_predictions(run.folder, run.metrics)
        header = ["fold", *names]
        rows += [[str(number), *line] for line in lines]
    return header, rows


def _compare(rows: Sequence[Sequence[str]], classes: Sequence[str | int]) -> Evaluation:
    number = {as_written(str(label)): index for index, label in enumerate(classes)}

    def indices(column: int) -> Targets:
        return number_labels([row[column] for row in rows], number)

    votes = np.array([row[4:] for row in rows], np.float64)
    return compare(indices(2), indices(3), classes, votes=votes, part="test")


def _compare_labels(rows: Sequence[Sequence[str]], classes: Sequence[str | int]) -> Evaluation:
    """Return the figures of several labels; each fold has thresholds of its own."""
    count = len(classes)
    cells = np.array([[cell or "nan" for cell in row[2:]] for row in rows], np.float64)
    truths, answers, votes = (cells[:, n * count : (n + 1) * count] for n in range(3))
    targets = truths.astype(np.float32)
    return compare_labels(targets, votes, answers.astype(np.int64), classes, None, part="test")
