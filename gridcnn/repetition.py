"""Repetition: a run for each of several seeds, which shows how much a result is luck."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from gridcnn.cluster.joining import find_cluster
from gridcnn.engines.base import DEFAULT_ENGINE, check_choice
from gridcnn.errors import RunFolderError, SpecError, shown
from gridcnn.runs.folder import PREDICTIONS, REPEATS, RunFolder, Way
from gridcnn.runs.located import Located, is_in_memory
from gridcnn.runs.means import Means
from gridcnn.runs.prepare import divide_items
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
from gridcnn.settings.base import Seed, is_whole
from gridcnn.settings.content import Content, Name
from gridcnn.spec.changes import Changes
from gridcnn.spec.load import SpecLike

if TYPE_CHECKING:
    import pandas as pd

MOST = 1_000
"""Most runs of a repetition."""
_REPEATS = 5
_LAST_SEED = 2**32 - 1


@dataclass(frozen=True)
class SeedRun:
    """The run of one seed.

    Attributes:
        seed: its `training.seed`.
        metrics: what its `metrics.json` holds.
        folder: its run folder, from which its model is loaded.
    """

    seed: int
    metrics: dict[str, Any]
    folder: Path


@dataclass(frozen=True)
class Repetition:
    """The results of a repetition.

    Attributes:
        runs: the run of each seed.
        metrics: what `metrics.json` holds; means and standard deviations over the runs.
        folder: where the results are.
    """

    runs: tuple[SeedRun, ...]
    metrics: dict[str, Any]
    folder: Path

    @property
    def frame(self) -> pd.DataFrame:
        """The accuracy and the loss of each part as a DataFrame, a row for each seed."""
        import pandas as pd

        rows = [
            {
                f"{part}_{figure}": run.metrics[part][figure]
                for part in ("test", "validation", "train")
                if part in run.metrics
                for figure in ("accuracy", "loss")
            }
            for run in self.runs
        ]
        return pd.DataFrame(rows, index=pd.Index([run.seed for run in self.runs], name="seed"))


def repeat(
    spec: SpecLike | None = None,
    *,
    repeats: int | None = None,
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
) -> Repetition:
    """Run a spec once for each of several seeds; report mean and spread of the results.

    The seeds follow each other, from `training.seed` on. Each fixes everything that is random: also
    the division of the data, unless the data names its parts.

    Args:
        spec: as for `run`.
        repeats: how many runs, by default 5.
        data, out, changes, seed, engine, threads, strict, report: as for `run`; `seed` is the
            first one.
        resume: the folder of an interrupted repetition, which goes on with the unfinished run.
        cluster, workers: as for `run`, but each worker carries out whole runs, with `threads`
            threads each; the folder and the data's files must be in the same place for all.
        watcher: its methods are called as the runs proceed.

    Raises:
        UserError: the spec, the data or a folder cannot be used, or there are no test items; see
            `gridcnn.errors`.
        ColumnPermutableError: the order of the data means nothing.
        TrainingInterrupted: the user stopped it (Ctrl-C); its `folder` can be resumed.
    """
    watcher = as_watcher(watcher)
    check_choice(engine, threads)
    spread = find_cluster(cluster, workers, threads)
    count = _read_repeats(repeats, resumed=resume is not None)
    way = Way("repeat", engine or DEFAULT_ENGINE, is_in_memory(data))
    open_runs = open_run(
        spec, data=data, out=out, changes=changes, seed=seed, resume=resume, way=way
    )
    with open_runs as (located, folder), folder.stoppable():
        seeds = _begin(located, folder, count, way, watcher)
        plans = [
            _plan(located, seed, number, len(seeds), watcher)
            for number, seed in enumerate(seeds, 1)
        ]
        means = Means(engine, threads, watcher, strict, report, spread)
        runs = carry_out_plans(plans, folder, means)
        result = _finish(seeds, runs, folder)
        if report:
            report_several(folder)
        return result


def _read_repeats(repeats: Any, *, resumed: bool) -> int:
    if repeats is not None and resumed:
        raise RunFolderError("a repetition resumes with its own runs; leave repeats out")
    if repeats is None:
        return _REPEATS
    if not is_whole(repeats, 2, MOST):
        raise SpecError(f"repeats must be a whole number from 2 to {MOST:,}; got {shown(repeats)}")
    return int(repeats)


def _begin(
    located: Located, folder: RunFolder, count: int, way: Way, watcher: RunWatcher
) -> list[int]:
    """Return the seeds: new ones, or those of the interrupted repetition."""
    begun = None if folder.is_new else read_begun(folder.path / REPEATS, _BegunContent)
    digest = _digest(located, watcher)
    if begun is not None:
        what = "it has other items"
        refuse_other(folder.path, way, begun.engine, same_data=digest == begun.data, what=what)
        return begun.seeds
    first = located.spec.training.seed
    seeds = list(range(first, first + count))
    if seeds[-1] > _LAST_SEED:
        raise SpecError(
            f"the seeds {first} to {seeds[-1]} go beyond {_LAST_SEED}, the largest one; begin with "
            "a smaller --seed"
        )
    content = {"seeds": seeds, "engine": way.engine, "data": digest}
    folder.begin(located.spec, {REPEATS: content})
    return seeds


def _digest(located: Located, watcher: RunWatcher) -> str:
    """Return a digest of labels and parts; raise `SpecError` if there are no test items."""
    dataset, division, _ = divide_items(located, located.open(watcher.on_reading))
    if not len(division.test):
        raise SpecError(
            located.spec.document.problem(
                ("data", "test"),
                "a repetition measures how much the test accuracy varies, and there are no test "
                "items; set data.test above 0",
            )
        )
    return digest_of_labels(dataset, [(division.train, division.validation, division.test)])


def _plan(located: Located, seed: int, number: int, repeats: int, watcher: RunWatcher) -> Plan:
    """Return the run of one seed."""
    training = located.spec.training.model_copy(update={"seed": seed})
    spec = located.spec.model_copy(update={"training": training})
    return Plan(
        f"run-{number}",
        f"seed {seed}",
        located.with_spec(spec),
        on_start=functools.partial(watcher.on_repeat, number, repeats, seed),
        on_end=functools.partial(watcher.on_repeat_end, number, repeats, seed),
    )


class _BegunContent(Content):
    """What `repeats.json` holds."""

    title: ClassVar[str] = "the repetition"

    seeds: list[Seed] = Field(min_length=2, max_length=MOST)
    engine: Name
    data: Name

    @field_validator("seeds")
    @classmethod
    def _follow_each_other(cls, value: list[int]) -> list[int]:
        if value != list(range(value[0], value[0] + len(value))):
            raise ValueError("they do not follow each other")
        return value


def _finish(seeds: Sequence[int], runs: Sequence[PartRun], folder: RunFolder) -> Repetition:
    """Combine the results of all runs, and write them."""
    header, rows = join_predictions(runs, "seed", seeds)
    pairs = list(zip(seeds, runs, strict=True))
    own = {"runs": [{"seed": seed, **run.figures} for seed, run in pairs]}
    metrics = combine_metrics(runs, own)
    folder.write_table(PREDICTIONS, header, rows)
    folder.end(metrics)
    found = tuple(SeedRun(seed, run.metrics, run.folder) for seed, run in pairs)
    return Repetition(found, metrics, folder.path)
