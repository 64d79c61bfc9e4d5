"""Cross-validation: every item is tested once, by a run that has not trained on it."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from gridcnn.cluster.joining import find_cluster
from gridcnn.contracts.source import Dataset
from gridcnn.contracts.targets import Targets, number_labels
from gridcnn.datasets.division.folds import group_names
from gridcnn.engines.base import DEFAULT_ENGINE, check_choice
from gridcnn.errors import (
    DataError,
    Problem,
    RunFolderError,
    SpecError,
    quoted,
    shown,
)
from gridcnn.evaluation import Evaluation, compare, compare_labels
from gridcnn.files import as_written
from gridcnn.runs.folder import FOLDS, PREDICTIONS, RunFolder, Way
from gridcnn.runs.located import Located, is_in_memory
from gridcnn.runs.means import Means
from gridcnn.runs.prepare import divide_items, group_items
from gridcnn.runs.results import has_labels
from gridcnn.runs.run import open_run
from gridcnn.runs.several import (
    PartRun,
    Plan,
    carry_out_plans,
    combine_metrics,
    digest_of_labels,
    join_predictions,
    read_begun,
    refuse_other,
    report_several,
)
from gridcnn.runs.watcher import RunWatcher, as_watcher
from gridcnn.settings.base import is_whole
from gridcnn.settings.content import Content, Name
from gridcnn.spec.changes import Changes
from gridcnn.spec.load import SpecLike
from gridcnn.spec.parts import Fold, GroupOut

Folds = int | Literal["groups"]
"""How many folds; or one for each group."""
MOST_GROUPS = 50
"""Most groups that are left out one by one; each takes a whole training."""
_FOLDS = 5


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
    cluster: str | None = None,
    workers: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    watcher: RunWatcher | None = None,
    strict: bool = False,
    report: bool = False,
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
        data, out, changes, seed, engine, threads, strict, report: as for `run`.
        resume: the folder of an interrupted cross-validation, which goes on with the unfinished
            fold, and ends with the very numbers that it would have ended with.
        cluster, workers: as for `run`, but each worker carries out whole runs, with `threads`
            threads each; the folder and the data's files must be in the same place for all.
        watcher: its methods are called as the runs proceed.

    Raises:
        UserError: the spec, the data or a folder cannot be used, or the data cannot be divided
            into such folds; see `gridcnn.errors`.
        ColumnPermutableError: the order of the data means nothing.
        TrainingInterrupted: the user stopped it (Ctrl-C); its `folder` can be resumed.
    """
    watcher = as_watcher(watcher)
    check_choice(engine, threads)
    spread = find_cluster(cluster, workers, threads)
    wanted_folds = _read_folds(folds, resumed=resume is not None)
    _refuse_test(changes)
    way = Way("cross_validate", engine or DEFAULT_ENGINE, is_in_memory(data))
    open_runs = open_run(
        spec, data=data, out=out, changes=changes, seed=seed, resume=resume, way=way
    )
    with open_runs as (found, folder), folder.stoppable():
        located, tests = _begin(found, folder, wanted_folds, way, watcher)
        plans = [
            _plan(located, test, number, len(tests), watcher)
            for number, test in enumerate(tests, 1)
        ]
        means = Means(engine, threads, watcher, strict, report, spread)
        runs = carry_out_plans(plans, folder, means)
        result = _finish(tests, runs, folder)
        if report:
            report_several(folder)
        return result


def _plan(
    located: Located, test: Fold | GroupOut, number: int, folds: int, watcher: RunWatcher
) -> Plan:
    """Return the run of one fold."""
    return Plan(
        f"fold-{number}",
        str(test),
        located.with_test(test),
        on_start=functools.partial(watcher.on_fold, number, folds, test),
        on_end=functools.partial(watcher.on_fold_end, number, folds, test),
    )


def _begin(
    located: Located, folder: RunFolder, asked: Folds, way: Way, watcher: RunWatcher
) -> tuple[Located, list[Fold | GroupOut]]:
    """Return the open data and the folds: new ones, or those of the interrupted run."""
    begun = None if folder.is_new else _read_begun(folder.path)
    dataset = located.open(watcher.on_reading)
    tests = begun.tests if begun else _tests(group_items(located, dataset)[0], asked)
    digest = _digest(located, dataset, tests)
    if begun is not None:
        what = "its folds have other items"
        refuse_other(folder.path, way, begun.engine, same_data=digest == begun.data, what=what)
    else:
        folder.begin(located.spec, {FOLDS: _Begun(tests, way.engine, digest).as_json()})
    return located.with_dataset(dataset), tests


def _read_folds(folds: Any, *, resumed: bool) -> Folds:
    if folds is not None and resumed:
        raise RunFolderError("a cross-validation resumes with its own folds; leave folds out")
    if folds is None:
        return _FOLDS
    if isinstance(folds, str) and folds == "groups":
        return "groups"
    if not is_whole(folds, 2, 65_536):
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
    divisions = (divide_items(located.with_test(test), dataset)[1] for test in tests)
    return digest_of_labels(dataset, ((d.train, d.validation, d.test) for d in divisions))


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


def _read_begun(folder: Path) -> _Begun:
    content = read_begun(folder / FOLDS, _FoldsContent)
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


# Results ------------------------------------------------------------------------------------------


def _finish(
    tests: Sequence[Fold | GroupOut], runs: Sequence[PartRun], folder: RunFolder
) -> CrossValidation:
    """Combine the results of all folds, and write them."""
    header, rows = join_predictions(runs, "fold", range(1, len(runs) + 1))
    compare_rows = _compare_labels if has_labels(runs[0].metrics) else _compare
    evaluation = compare_rows(rows, runs[0].metrics["classes"])
    pairs = list(zip(tests, runs, strict=True))
    own = {
        "out_of_fold": evaluation.measures.plain(evaluation.labels),
        "folds": [{**test.model_dump(), **run.figures} for test, run in pairs],
    }
    metrics = combine_metrics(runs, own)
    folder.write_table(PREDICTIONS, header, rows)
    folder.end(metrics)
    folds = tuple(FoldRun(test, run.metrics, run.folder) for test, run in pairs)
    return CrossValidation(folds, metrics, evaluation, folder.path)


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
