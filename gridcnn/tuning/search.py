"""A search: trials of a spec with other settings, until enough of them, or until the time is up."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gridcnn.cluster.joining import Cluster, find_cluster, join
from gridcnn.cluster.trials import call_all
from gridcnn.engines.base import DEFAULT_ENGINE, check_choice
from gridcnn.errors import (
    ShapeError,
    SpecError,
    TrainingError,
    TrainingInterrupted,
    UserError,
    listed,
    shown,
)
from gridcnn.files import as_path
from gridcnn.network import Network
from gridcnn.pipelines import ready
from gridcnn.runs.located import locate, spec_folder
from gridcnn.runs.prepare import Prepared
from gridcnn.runs.run import refuse_impossible
from gridcnn.settings.base import is_whole
from gridcnn.spec.changes import Changes, with_seed
from gridcnn.spec.load import SpecLike, read, validate
from gridcnn.spec.models import SelectBy, Spec
from gridcnn.training.augmentation import refuse_unfit
from gridcnn.tuning.default import default_space
from gridcnn.tuning.folder import JOURNAL, WORKER, TuneFolder
from gridcnn.tuning.items import Items, read_folds
from gridcnn.tuning.pictures import write_pictures
from gridcnn.tuning.results import write_best, write_trials
from gridcnn.tuning.space import Dimension, Label, Space, Value, has_marks, read_space
from gridcnn.tuning.study import (
    PRUNERS,
    Pruner,
    make_sampler,
    need_optuna,
    open_study,
    place_of,
    suggest,
)
from gridcnn.tuning.trial import Score, Trainer, TrialEndedError
from gridcnn.tuning.trials import TuneTrial, best_of, importances, read_trials
from gridcnn.tuning.watcher import TuneWatcher

if TYPE_CHECKING:
    import pandas as pd
    from optuna.study import Study
    from optuna.trial import Trial

_TRIALS = 20
_HOPELESS = 10
"""Trials after which a search ends if none of them could be trained."""
_HOPELESS_SIGNS = ("collapsed", "learned nothing", "learning rate too low")
"""Signs of training after which no epoch is worth its time."""
_NOTES = 5


@dataclass(frozen=True)
class Tuning:
    """The results of a search.

    Attributes:
        spec: the best spec; `gridcnn.run` trains it, and measures its test part.
        best: the trial that it is from.
        trials: all trials that have ended.
        importances: how much each setting mattered, from 0 to 1 and 1 in all, the most first;
            empty if there are too few trials to tell.
        by: what the best was chosen by: `training.select_by` of the spec.
        folder: where the results are.
    """

    spec: Spec
    best: TuneTrial
    trials: tuple[TuneTrial, ...]
    importances: Mapping[str, float]
    by: SelectBy
    folder: Path

    @property
    def frame(self) -> pd.DataFrame:
        """The trials as a DataFrame, a row for each: as `trials.csv`, with numbers as numbers."""
        import pandas as pd

        rows = [trial.plain() for trial in self.trials]
        rows = [{**row, **row.pop("values")} for row in rows]
        return pd.DataFrame(rows).set_index("trial")

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {
            "best": self.best.plain(),
            "by": self.by,
            "spec": self.spec.model_dump(mode="json", exclude_unset=True),
            "importances": dict(self.importances),
            "trials": [trial.plain() for trial in self.trials],
        }


def tune(
    spec: SpecLike,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    folds: int | None = None,
    data: Any = None,
    out: str | os.PathLike[str] | None = None,
    changes: Changes = (),
    seed: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    storage: str | os.PathLike[str] | None = None,
    pruner: Pruner = "median",
    watcher: TuneWatcher | None = None,
) -> Tuning:
    """Search the values of a spec that do best on validation items.

    The best is that of `training.select_by`, such as the highest accuracy, on validation items. In
    the spec, any value may be `{choose: [...]}`, `{range: [a, b]}` or `{log_range: [a, b]}`, and
    an entry of a list `{optional: entry}`. A spec without these is searched around its own values,
    which the first trial has. The test items are never looked at. Needs Optuna.

    Args:
        spec: the name of a ready spec, a file, a mapping or a `Spec`.
        trials: how many there are in all, also those of other processes and of earlier calls; 20 if
            neither `trials` nor `minutes` is given.
        minutes: how long this call may take. The trial that is running then is given up, unless no
            trial has ended yet.
        folds: None chooses by the validation part of the spec. A number deals training and
            validation items to so many folds, and chooses by their mean.
        data, changes, engine, threads: as for `gridcnn.run`.
        out: the folder of the search, by default `runs/<name>/tune`. A search that is there goes
            on; several processes may work on it at once.
        seed: replaces `training.seed`. It fixes the search of a single process.
        cluster, workers: as for `gridcnn.run`, but each worker makes whole trials, with `threads`
            threads each; the folder and the data's files must be in the same place for all. With
            several workers, which trials are made depends on which of them ends first.
        storage: where the study is kept, a file or a URL that Optuna knows; by default a file in
            the folder.
        pruner: the rule that stops trials early by their validation curve: "median", "hyperband" or
            "none".
        watcher: its methods are called as the search proceeds.

    Raises:
        UserError: the spec, the data, the folder or the storage cannot be used, or no trial can be
            trained; see `gridcnn.errors`.
        ColumnPermutableError: the order of the data means nothing.
        TrainingInterrupted: the user stopped it (Ctrl-C); the same call goes on.
    """
    started = time.monotonic()
    check_choice(engine, threads)
    spread = find_cluster(cluster, workers, threads)
    limits = _read_limits(trials, minutes, started)
    if pruner not in PRUNERS:
        raise SpecError(f"the pruner must be one of {', '.join(PRUNERS)}; got {shown(pruner)}")
    folds = read_folds(folds)
    need_optuna()
    space, own = _read(spec, with_seed(changes, seed))
    base = space.spec(own or next(space.samples()))
    refuse_impossible(base)
    _refuse_minutes(base)
    folder = TuneFolder(as_path(out or Path("runs") / base.name / "tune", "a folder"))
    watcher = watcher or TuneWatcher()
    if spread is not None:
        options = {
            "trials": trials,
            "minutes": minutes,
            "folds": folds,
            "changes": changes,
            "seed": seed,
            "engine": engine,
            "storage": storage,
            "pruner": pruner,
        }
        with _stoppable(folder):
            _work_on(spread, _in_place(spec), _in_place(data), folder.path.absolute(), options)
        if limits.deadline is not None:  # which has passed
            limits = dataclasses.replace(limits, deadline=started)
    with _stoppable(folder):
        located = locate(base, data, spec_folder(base))
        items = Items(located, folds=folds, watcher=watcher, threads=threads)
        base = items.complete(base)
        by = base.training.select_by
        parts = items.prepare(base)
        notes = _refuse_unfit(space, base, parts[0])
        watcher.on_space(list(space.dimensions.values()), parts, notes)
        about = {
            "space": space.digest(),
            "seed": base.training.seed,
            "folds": folds,
            "engine": engine or DEFAULT_ENGINE,
            "pruner": pruner,
            "data": items.digest,
        }
        with folder.work(about) as worker:
            study = open_study(
                f"{base.name}-{_short_digest(about)}",
                folder.path / JOURNAL if storage is None else storage,
                higher=by != "loss",
                sampler=make_sampler(base.training.seed, own),
                pruner=pruner,
                epochs=base.training.epochs if folds is None else folds,
            )
            trainer = Trainer(engine, threads, watcher.on_batch)
            search = _Search(study, space, items, trainer, watcher, by, gives_up=pruner != "none")
            for _ in search.work(limits, folder, worker):
                _write(search, folder)  # a kill after this loses nothing
            best = _write(search, folder)
            if best is None:
                raise search.nothing()
            ended = search.trials()
            mattered = importances(study, list(space.dimensions), base.training.seed)
            with folder.writing():
                write_pictures(folder.path, ended, space.dimensions, mattered, by)
    return Tuning(best[0], best[1], tuple(ended), mattered, by, folder.path)


def _work_on(
    cluster: Cluster, spec: SpecLike, data: Any, folder: Path, options: dict[str, Any]
) -> None:
    """Make each worker of a cluster run trials of the search, until there are enough."""
    with join(cluster) as workers:
        calls = [(spec, data, folder, cluster.threads, options)] * workers
        for each in call_all(_tune_here, calls, workers=workers, threads=cluster.threads):
            del each


def _tune_here(
    spec: SpecLike, data: Any, folder: Path, threads: int, options: dict[str, Any]
) -> None:
    """Make trials on a worker; what they come to is in the folder."""
    tune(spec, data=data, out=folder, threads=threads, **options)


def _in_place(given: Any) -> Any:
    """Return a path that means the same wherever a worker works; anything else as it is."""
    if isinstance(given, str | os.PathLike) and Path(given).exists():
        return str(Path(given).absolute())
    return given


@dataclass(frozen=True)
class _Limits:
    """How many trials there are in all, and when the search ends, on the monotonic clock."""

    trials: int | None
    deadline: float | None


def _read_limits(trials: Any, minutes: Any, started: float) -> _Limits:
    if trials is not None and not is_whole(trials, 1, 1_000_000):
        raise SpecError(f"trials must be a whole number from 1 on; got {shown(trials)}")
    number = isinstance(minutes, int | float | np.number) and not isinstance(minutes, bool)
    if minutes is not None and not (number and minutes > 0 and math.isfinite(minutes)):
        raise SpecError(f"minutes must be a number above 0; got {shown(minutes)}")
    if trials is None and minutes is None:
        trials = _TRIALS
    return _Limits(trials, None if minutes is None else started + 60 * float(minutes))


def _read(spec: SpecLike, changes: Changes) -> tuple[Space, dict[str, Value] | None]:
    """Return the space of a spec, and the values of its first trial if they are known."""
    document = read(spec, changes=changes, ready=ready())
    if has_marks(document):
        return read_space(document), None
    return default_space(validate(document))


def _refuse_minutes(spec: Spec) -> None:
    if spec.training.minutes is not None:
        raise SpecError(
            spec.document.problem(
                ("training", "minutes"),
                "trials of a search have a number of epochs, so that they can be compared; set "
                "training.epochs in place of training.minutes",
            )
        )


def _short_digest(about: Mapping[str, Any]) -> str:
    import hashlib
    import json

    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


def _refuse_unfit(space: Space, base: Spec, prepared: Prepared) -> list[str]:
    """Return notes on values that do not fit the grids; raise if none of them does.

    Each value is tried with all others as they are in the middle.
    """
    problems: list[Any] = []
    tried = fitting = 0
    for values in space.samples():
        spec = space.spec(values)
        if spec.adapter != base.adapter:
            continue  # which other grids it makes is not known yet
        tried += 1
        try:
            network = Network(spec, prepared.shape, classes=len(prepared.classes))
            refuse_unfit(spec.training, network.shape, spec.document)
            fitting += 1
        except ShapeError as error:
            problems += [each for each in error.problems if each not in problems]
    if tried and not fitting:
        raise ShapeError(*problems[:_NOTES])
    notes = [f"{problem}; trials like this fail at once" for problem in problems[:_NOTES]]
    more = len(problems) - _NOTES
    return [*notes, *([f"and {more} more values that fit no such grids"] if more > 0 else [])]


@contextlib.contextmanager
def _stoppable(folder: TuneFolder) -> Iterator[None]:
    """Turn Ctrl-C into `TrainingInterrupted`."""
    try:
        yield
    except KeyboardInterrupt:
        if not folder.path.is_dir():
            raise TrainingInterrupted(
                "stopped before the first trial; nothing was written"
            ) from None
        message = f"stopped; the same command continues the search in {folder.path}"
        raise TrainingInterrupted(message, folder=folder.path) from None


class _Search:
    """Makes trials, one after the other."""

    def __init__(
        self,
        study: Study,
        space: Space,
        items: Items,
        trainer: Trainer,
        watcher: TuneWatcher,
        by: SelectBy,
        *,
        gives_up: bool,
    ) -> None:
        self.study = study
        self.space = space
        self.items = items
        self.by = by
        self._trainer = trainer
        self._watcher = watcher
        self._gives_up = gives_up

    def trials(self) -> list[TuneTrial]:
        """Return the trials that have ended."""
        return read_trials(self.study, self.space.dimensions)

    def work(self, limits: _Limits, folder: TuneFolder, worker: str) -> Iterator[None]:
        """Make trials until there are enough, or the time is up; yield after each."""
        from optuna.trial import TrialState

        running = (TrialState.RUNNING,)
        while True:
            folder.lose_trials(self.study, worker)
            ended = self.trials()
            count = len(ended) + len(self.study.get_trials(deepcopy=False, states=running))
            if limits.trials is not None and count >= limits.trials:
                return
            late = limits.deadline is not None and time.monotonic() > limits.deadline
            if late and best_of(ended, self.by) is not None:
                return
            if len(ended) >= _HOPELESS and best_of(ended, self.by) is None:
                return
            # Whose trial it is stands in it from its first moment, so that a kill leaves none that
            # belongs to none. Another process may take it, and this one that of the other.
            self.study.enqueue_trial({}, user_attrs={WORKER: worker})
            trial = self.study.ask()
            if limits.trials is not None and place_of(self.study, trial.number) >= limits.trials:
                self.study.tell(trial, state=TrialState.FAIL)  # another process was quicker
                return
            if trial.user_attrs.get(WORKER) != worker:
                trial.set_user_attr(WORKER, worker)
            deadline = limits.deadline if best_of(ended, self.by) is not None else None
            self._make(trial, limits.trials, dataclasses.replace(self._trainer, deadline=deadline))
            yield

    def _make(self, trial: Trial, trials: int | None, trainer: Trainer) -> None:
        from optuna.trial import TrialState

        started = time.perf_counter()
        last: Score | None = None
        reason, state = "", "complete"
        number = place_of(self.study, trial.number) + 1
        values: dict[str, Label] = {}
        steps = 0

        def pick(dimension: Dimension) -> Value:
            value = suggest(trial, dimension)
            values[dimension.name] = dimension.label(value)
            return value

        def report(step: int, score: Score) -> None:
            nonlocal last
            last = score
            self._watcher.on_step(number, step, score)
            trial.report(score.value(self.by), step)
            hopeless = [kind for kind in score.signs if kind in _HOPELESS_SIGNS]
            if hopeless and self._gives_up:
                raise TrialEndedError(f"its training fails: {hopeless[0]}")
            if step < steps and trial.should_prune():  # after the last one it is complete
                unit = "epoch" if self.items.folds is None else "fold"
                raise TrialEndedError(f"worse than other trials after {unit} {step}")

        try:
            document = self.space.fill(pick)
            self._watcher.on_trial(number, trials, values)
            try:
                spec = self.items.complete(validate(document))
                steps = self.items.folds or spec.training.epochs
                last = trainer.score(spec, self.items.prepare(spec), report)
            except TrialEndedError as error:
                reason, state = error.reason, "pruned"
            except UserError as error:
                reason, state, last = str(error.problems[0]), "failed", None
            trial.set_user_attr("seconds", round(time.perf_counter() - started, 3))
            trial.set_user_attr("state", state)
            trial.set_user_attr("reason", reason)
            if last is not None:
                trial.set_user_attr("score", dataclasses.asdict(last))
            if state == "complete":
                assert last is not None
                self.study.tell(trial, last.value(self.by))
            else:
                self.study.tell(trial, state=TrialState.PRUNED)
        except BaseException:
            with contextlib.suppress(Exception):  # it may have ended already
                self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            raise
        ended = self.trials()
        this = next(each for each in ended if each.number == number)
        self._watcher.on_trial_end(this, best_of(ended, self.by))

    def nothing(self) -> UserError:
        """Return the error of a search without a complete trial."""
        ended = self.trials()
        reasons = list(dict.fromkeys(each.reason for each in ended))
        return TrainingError(
            f"none of {len(ended)} trials has finished: {listed(reasons, limit=3)}"
        )


def _write(search: _Search, folder: TuneFolder) -> tuple[Spec, TuneTrial] | None:
    """Write the results so far; return the best spec and its trial, None if none is complete."""
    trials = search.trials()
    best = best_of(trials, search.by)
    with folder.writing():
        write_trials(folder.path, trials, search.space.dimensions)
        if best is None:
            return None
        spec = search.items.complete(search.space.spec(best.picked))
        write_best(folder.path, spec, best, trials, folds=search.items.folds)
    return spec, best


__all__ = ["Tuning", "tune"]
