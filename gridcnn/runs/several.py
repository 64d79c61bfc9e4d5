"""Several runs in one folder: each in a folder of its own, and what all of them come to.

A cross-validation has one for each fold, a repetition one for each seed::

    runs/digits/4/  spec.yaml, metrics.json, predictions.csv     of all runs together
      fold-1/       spec.yaml, metrics.json, model.safetensors   a run like any other
      fold-2/
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gridcnn.cluster.joining import Cluster, join
from gridcnn.cluster.trials import call_all
from gridcnn.contracts.source import PARTS, Dataset
from gridcnn.errors import RunFolderError, UserError
from gridcnn.files import read_json
from gridcnn.model import METRICS
from gridcnn.order.guard import Checked
from gridcnn.runs.folder import SPEC, RunFolder, Way, read_check
from gridcnn.runs.located import Located
from gridcnn.runs.means import Means
from gridcnn.runs.results import read_metrics, read_predictions
from gridcnn.runs.run import carry_out
from gridcnn.runs.watcher import RunWatcher
from gridcnn.settings.content import Content
from gridcnn.spec.load import load

_OF_LABELS = ("auc", "average_precision", "macro_f1", "micro_f1")
"""Figures that are reported besides if an item may have several labels."""
_PAUSE = 0.1  # seconds
_OF_EACH = ("epochs", "best_epoch", "parameters")
"""Figures of a run that are reported for each."""


Begun = TypeVar("Begun", bound=Content)


@dataclass(frozen=True)
class PartRun:
    """One of several runs: what its `metrics.json` holds, and its folder."""

    metrics: dict[str, Any]
    folder: Path

    @property
    def figures(self) -> dict[str, Any]:
        """What the metrics of all runs say about this one."""
        known = [key for key in (*reversed(PARTS), *_OF_EACH) if key in self.metrics]
        return {"folder": self.folder.name, **{key: self.metrics[key] for key in known}}


@dataclass(frozen=True)
class Plan:
    """One of several runs, before it is carried out.

    Attributes:
        name: of its folder.
        title: what errors call it.
        located: its spec, with its data.
        on_start: called before it starts, unless it has ended already.
        on_end: called with its metrics, also if it had ended before.
    """

    name: str
    title: str
    located: Located
    on_start: Callable[[], None]
    on_end: Callable[[dict[str, Any]], None]


def carry_out_plans(
    plans: Sequence[Plan],
    folder: RunFolder,
    means: Means,
) -> list[PartRun]:
    """Carry out several runs, one after the other; those that have ended are only read.

    The checkers judge the first run alone. On a cluster several are carried out at a time, each by
    one worker; the folder and the files of the data must be in the same place for all of them.

    Args:
        plans: the runs.
        folder: of all of them, locked.
        means: what they are carried out with; with a cluster, each by one of its workers.

    Raises:
        RunFolderError: the runs answer with different classes.
    """
    if means.cluster is not None:
        _spread(plans, folder, means.cluster, means)
    runs: list[PartRun] = []
    for plan in plans:
        with _name_errors(plan.title, is_first=not runs), folder.part(plan.name) as part:
            if not part.has_ended:
                plan.on_start()
                located = _own_spec(plan.located, part)
                carry_out(
                    located, part, dataclasses.replace(means, cluster=None), checked=_verdicts(runs)
                )
        runs.append(PartRun(read_metrics(part.path), part.path))
        plan.on_end(runs[-1].metrics)
    _refuse_other_classes(runs)
    return runs


def report_several(folder: RunFolder) -> None:
    """Write the page about several runs that have ended; what goes wrong is a warning."""
    from gridcnn.report.running.writing import add_several_report

    add_several_report(folder.path)


def _spread(plans: Sequence[Plan], folder: RunFolder, cluster: Cluster, means: Means) -> None:
    """Carry out the runs that have not ended on the workers of a cluster."""
    own = dataclasses.replace(
        means, threads=cluster.threads, watcher=RunWatcher(), cluster=None
    )  # of a worker, where nobody follows
    paths = [(folder.path / plan.name).absolute() for plan in plans]
    left = [number for number, path in enumerate(paths) if not (path / METRICS).is_file()]

    def call(number: int) -> tuple[Any, ...]:
        return (
            plans[number].located,
            plans[number].title,
            paths[number],
            folder.path.absolute(),
            folder.way,
            own,
            paths[0] if number else None,
        )

    def start(place: int) -> None:
        plans[left[place]].on_start()

    with join(cluster) as workers:
        for each in call_all(
            _carry_out_part,
            [call(number) for number in left],
            workers=workers,
            threads=cluster.threads,
            started=start,
        ):
            del each


def _carry_out_part(
    located: Located,
    title: str,
    path: Path,
    whole: Path,
    way: Way,
    means: Means,
    first: Path | None,
) -> None:
    """Carry out one of several runs, on a worker; `first` has the checkers' verdicts."""
    if not whole.is_dir():
        raise RunFolderError(
            f"a worker finds no folder {whole}; runs on several machines need a folder that all of "
            "them share: name one with --out"
        )
    while first is not None and not (first / SPEC).is_file():
        time.sleep(_PAUSE)  # the checkers judge the first run alone, before its spec is written
    named = _name_errors(title, is_first=first is None)
    with named, RunFolder.part_of(whole, path, way) as part:
        if part.has_ended:
            return
        checked = None if first is None else read_check(first)
        carry_out(_own_spec(located, part), part, means, checked=checked)


def _own_spec(located: Located, folder: RunFolder) -> Located:
    """Return the spec of a run, with the fitted adapter if the run has started already."""
    if folder.is_new:
        return located
    return located.with_spec(load(folder.path / SPEC))  # its data may have moved since


def _verdicts(runs: Sequence[PartRun]) -> Checked | None:
    """Return the checkers' verdicts on the first run, which hold for all."""
    check = runs[0].metrics.get("check") if runs else None
    return Checked.from_json(check) if check else None


@contextlib.contextmanager
def _name_errors(title: str, *, is_first: bool) -> Iterator[None]:
    """Add the run to the errors raised in it; errors of the first run concern all of them."""
    try:
        yield
    except UserError as error:
        if is_first:
            raise
        problems = (
            dataclasses.replace(each, message=f"{title}: {each.message}") for each in error.problems
        )
        raise type(error)(*problems) from error


def refuse_other(folder: Path, way: Way, engine: str, *, same_data: bool, what: str) -> None:
    """Raise `RunFolderError` if several runs cannot go on as they started.

    Args:
        folder: of all runs.
        way: how they are continued now.
        engine: with which they were started.
        same_data: whether the data is the same.
        what: what is wrong if it is not.
    """
    if way.engine != engine:
        raise RunFolderError(
            f"the {way.title} in {folder} was started with the engine {engine}, "
            f"and another engine gives other results; continue with --engine {engine}"
        )
    if not same_data:
        raise RunFolderError(
            f"the {way.title} in {folder} was started with other data: {what}; give the same data, "
            "or start over in a new folder"
        )


def digest_of_labels(dataset: Dataset, divisions: Iterable[Sequence[NDArray[np.int64]]]) -> str:
    """Return a digest of the labels of all items, and of the items in each part of divisions."""
    labels = dataset.label_rows.tolist() if dataset.several else map(str, dataset.labels)
    digest = hashlib.sha256(json.dumps(list(labels)).encode())
    for parts in divisions:
        for part in parts:
            digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()


def read_begun(path: Path, content: type[Begun]) -> Begun:
    """Return what a file holds that several runs were begun with.

    Raises:
        RunFolderError: it cannot be read, or is damaged.
    """
    try:
        return content.read(read_json(path))
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}; start over in a new folder") from None


# Results ------------------------------------------------------------------------------------------


def combine_metrics(runs: Sequence[PartRun], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of all runs: means and standard deviations, and `own` ones."""
    first, last = runs[0].metrics, runs[-1].metrics
    return {
        **_summaries(runs),
        **own,
        **{key: last[key] for key in ("classes", "engine", "threads")},
        **{key: first[key] for key in ("check",) if key in first},
        # Every run leaves out each of them.
        "skipped_items": max(run.metrics["skipped_items"] for run in runs),
        "seconds": {
            key: round(sum(run.metrics["seconds"].get(key, 0) for run in runs), 3)
            for key in ("reading", "checking", "training", "total")
        },
    }


def _refuse_other_classes(runs: Sequence[PartRun]) -> None:
    for run in runs:
        if run.metrics["classes"] != runs[0].metrics["classes"]:
            raise RunFolderError(
                f"{run.folder} has other classes than {runs[0].folder}; delete the wrong one to "
                "train it again"
            )


def _summaries(runs: Sequence[PartRun]) -> dict[str, Any]:
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


def join_predictions(
    runs: Sequence[PartRun], column: str, values: Sequence[object]
) -> tuple[list[str], list[list[str]]]:
    """Return the predictions of all runs as one table; its first column says of which run."""
    header: list[str] = []
    rows: list[list[str]] = []
    for value, run in zip(values, runs, strict=True):
        names, lines = read_predictions(run.folder, run.metrics)
        header = [column, *names]
        rows += [[str(value), *line] for line in lines]
    return header, rows
