"""A whole run: data in, training, results out, resumable after every epoch."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcnn.cluster.joining import Cluster, find_cluster
from gridcnn.cluster.sharing import hire, other_engine_error, share
from gridcnn.contracts.source import TEST
from gridcnn.engines.base import DEFAULT_ENGINE, Engine, Memory, bind, check_choice
from gridcnn.errors import (
    RunFolderError,
    SpecError,
    StopTraining,
    TrainingInterrupted,
    UserError,
)
from gridcnn.files import as_path
from gridcnn.model import CHECKPOINT
from gridcnn.network import Network
from gridcnn.notes import refuse_notes
from gridcnn.order.guard import Checked, guard
from gridcnn.order.sample import classes_to_judge
from gridcnn.pipelines import ready
from gridcnn.runs.adapting import Adapting
from gridcnn.runs.folder import CHECK, SPEC, RunFolder, Way, function_of, title_of
from gridcnn.runs.located import Located, is_in_memory, locate, spec_folder
from gridcnn.runs.means import Means
from gridcnn.runs.outcome import Run, Stopwatch, Trained, finish
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.runs.resuming import resumed_spec
from gridcnn.runs.watcher import RunWatcher, as_watcher
from gridcnn.spec.changes import Changes, with_seed
from gridcnn.spec.load import SpecLike, load
from gridcnn.spec.models import Spec
from gridcnn.training.augmentation import refuse_unfit, refuse_unfit_things
from gridcnn.training.budget import plan_epochs
from gridcnn.training.calibration import refuse_uncalibrated
from gridcnn.training.checkpoint import load_checkpoint, save_checkpoint
from gridcnn.training.loop import TrainingState, train
from gridcnn.training.memory import estimate_memory, refuse_hopeless, refuse_too_large
from gridcnn.training.methods import NudgeResult
from gridcnn.training.signs import Sign

if TYPE_CHECKING:
    from gridcnn.cluster.crew import Crew

__all__ = ["Run", "RunWatcher", "carry_out", "open_run", "run"]


def run(
    spec: SpecLike | None = None,
    *,
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
    spread_data: bool = False,
) -> Run:
    """Run a spec: read its data, train, and write the results to a run folder.

    Args:
        spec: the name of a ready spec, a file, a mapping or a `Spec`. With `resume` it may be left
            out, and otherwise has to be the spec of that run.
        data: replaces the spec's data: a known name, a path, `(X, y)`, or a DataFrame with the
            columns path, label and perhaps split.
        out: the run folder; by default the next `runs/<name>/<number>`.
        changes: settings that replace those of the spec, as `{"training.epochs": 3}` or
            `["training.epochs=3"]`.
        seed: replaces `training.seed`.
        engine: the name of the engine; by default the fastest there is.
        threads: the most threads that it works with; None: as many as this process may use. The
            results do not depend on it.
        cluster: "local", or the address of a Ray cluster, whose workers compute shards of every
            batch; None: this process trains. The results do not depend on it.
        workers: how many there are, each with `threads` threads, by default 1; None: as many as the
            cluster has cores for.
        resume: the folder of an interrupted run, which continues after its last finished epoch and
            ends with the same numbers as without the interruption. With `training.epochs` (or
            `training.patience`) among the changes, a run continues to another end, also one that
            has ended; it then ends with the numbers of a run that had these settings from the
            start.
        watcher: its methods are called as the run proceeds. One that raises `StopTraining` ends the
            training, and the results are written.
        strict: whether notes are errors: those about the data before training starts, those about
            the answers after the results are written.

    Raises:
        UserError: the spec, the data or a folder cannot be used; see `gridcnn.errors`.
        ColumnPermutableError: the order of the data means nothing.
        TrainingInterrupted: the user stopped it (Ctrl-C); its `folder` can be resumed.
    """
    check_choice(engine, threads)  # an unknown name is reported before anything is read
    asked = find_cluster(cluster, workers, threads)
    if spread_data and asked is None:
        raise SpecError("data is spread over the workers of a cluster; name one (--cluster local)")
    spread = asked.address if asked is not None and spread_data else ""
    way = Way("run", engine or DEFAULT_ENGINE, is_in_memory(data), spread)
    watcher = as_watcher(watcher)
    held = open_run(spec, data=data, out=out, changes=changes, seed=seed, resume=resume, way=way)
    with held as (located, folder):
        means = Means(engine, threads, watcher, strict, report, asked, spread_data)
        return carry_out(located, folder, means)


@contextlib.contextmanager
def open_run(
    spec: SpecLike | None,
    *,
    data: Any,
    out: str | os.PathLike[str] | None,
    changes: Changes,
    seed: int | None,
    resume: str | os.PathLike[str] | None,
    way: Way,
) -> Iterator[tuple[Located, RunFolder]]:
    """Lock the folder of a run, new or resumed; yield its spec with its data, and the folder.

    The arguments are those of `run`; `way` is how it is continued after it was stopped.
    """
    changes = with_seed(changes, seed)
    if resume is not None:
        path = as_path(resume, "a run folder")
        if out is not None and Path(out).absolute() != path.absolute():
            raise RunFolderError(f"a run resumes in its own folder {path}; leave the other one out")
        _refuse_other_kind(path, way)
        with RunFolder.reopen(path, way) as folder:
            own = resumed_spec(spec, folder, changes)
            yield locate(own, data, spec_folder(own)), folder
        return
    if spec is None:
        raise SpecError(f"a {way.title} needs a spec; `gridcnn init` writes a starter spec")
    loaded = load(spec, changes=changes, ready=ready())
    located = locate(loaded, data, spec_folder(loaded))
    refuse_impossible(located.spec)
    with RunFolder.claim(loaded.name, out, way) as folder:
        yield located, folder


def carry_out(
    located: Located,
    folder: RunFolder,
    means: Means,
    *,
    checked: Checked | None = None,
) -> Run:
    """Run a spec whose data is located, in a folder that is locked.

    Args:
        located: the spec, and where its data is.
        folder: where the results are written, and from which training continues if it was stopped.
        means: what it is carried out with.
        checked: the checkers' verdicts, if they have run before.
    """
    watcher, cluster = means.watcher, means.cluster
    watch = Stopwatch()
    with folder.stoppable(), contextlib.ExitStack() as stack:
        crew: Crew | None = None
        make_adapting: Callable[..., Adapting] = Adapting
        if means.spread_data and cluster is not None:
            crew, make_adapting = _hire(stack, located, cluster, means.engine)
        with watch.measure("reading"):
            prepared = prepare(
                located,
                advance=watcher.on_reading,
                threads=means.threads,
                make_adapting=make_adapting,
                workers=crew,
            )
        if means.strict:
            refuse_notes(prepared.notes)
        _refuse_without_validation(prepared)
        engine_to_train = _engine_for(prepared, means.engine, means.threads)
        if prepared.spec.training.calibrate:
            refuse_uncalibrated(engine_to_train.network, prepared.validation.data)
        with watch.measure("checking"):
            checked = _check(prepared, folder, checked, means)
        if prepared.spec.training.minutes is not None:
            with watch.measure("planning"), share(engine_to_train, cluster, crew) as planned:
                prepared = _plan_minutes(prepared, planned, watcher)
            # With the epochs of the plan, which a checkpoint has with the rest of the spec.
            engine_to_train = _engine_for(prepared, means.engine, means.threads)
        # Their memory is wanted for training.
        things = prepared.things if means.report else {}
        prepared = dataclasses.replace(prepared, sample=None, things=things)
        shared = stack.enter_context(share(engine_to_train, cluster, crew))
        keeper = _Keeper(shared, prepared, folder, watcher)
        if folder.is_new:
            more = {} if checked is None else {CHECK: checked.as_json()}
            folder.begin(prepared.spec, more)
        else:
            folder.go_on(prepared.spec)
        memory = estimate_memory(engine_to_train, prepared.spec.training)
        watcher.on_engine(engine_to_train, memory)
        watcher.on_plan(engine_to_train.network, prepared, folder.path)
        state = keeper.train()
        if prepared.budget is not None and not keeper.was_stopped:
            training = prepared.budget.cut(prepared.spec.training, state.history)
            prepared = prepared.with_training(training)
            folder.go_on(prepared.spec)
        answering = engine_to_train if crew is None else shared
        trained = Trained(engine_to_train, prepared, checked, state, answering)
        result = finish(trained, folder, watch, tell=watcher.on_sign)
    if means.report:
        _report(result, prepared, checked, memory, watcher)
    watcher.on_end(result.metrics, result.folder)
    if means.strict:
        signs = [sign["text"] for sign in result.metrics["signs"]]
        refuse_notes([*signs, *result.metrics.get(TEST, {}).get("notes", ())])
    return result


def _hire(
    stack: contextlib.ExitStack, located: Located, cluster: Cluster, engine: str | None
) -> tuple[Crew, Callable[..., Adapting]]:
    """Return workers that will read the data, and what lets them, before anything is read.

    Raises:
        SpecError: they cannot hold the data of such a spec.
        EngineError: the engine is not the native one.
    """
    from gridcnn.runs.spread_data import (  # with Ray, if it is asked for
        SpreadAdapting,
        refuse_unspreadable,
    )

    if (engine or DEFAULT_ENGINE) != DEFAULT_ENGINE:
        raise other_engine_error(engine)
    refuse_unspreadable(located.spec)
    crew = stack.enter_context(hire(cluster))
    return crew, functools.partial(SpreadAdapting, crew=crew)


def _report(
    result: Run, prepared: Prepared, checked: Checked | None, memory: Memory, watcher: RunWatcher
) -> None:
    """Write the report of a run that has ended; what goes wrong is a warning."""
    from gridcnn.report.running.gathering import Facts
    from gridcnn.report.running.writing import add_report

    facts = Facts(prepared, checked, memory)
    try:
        add_report(facts, result.folder, result.metrics, advance=watcher.on_report)
    except KeyboardInterrupt:
        raise TrainingInterrupted(
            f"stopped while the report was made; all results of the run are in {result.folder}",
            folder=result.folder,
        ) from None


def _refuse_other_kind(path: Path, way: Way) -> None:
    """Raise `RunFolderError` if a folder holds another kind of run than is to continue."""
    function = function_of(path)
    if function == way.function or not (path / SPEC).is_file():
        return
    if function == "run":
        raise RunFolderError(
            f"{path} holds a single run and no {way.title}; resume it with gridcnn.run"
        )
    other = "single run" if way.function == "run" else way.title
    raise RunFolderError(
        f"{path} holds a {title_of(path)}, and no {other}; continue "
        f"with gridcnn.{function}(resume={str(path)!r})"
    )


def refuse_impossible(spec: Spec) -> None:
    """Raise before any data is read, if the spec alone shows that it is wrong or too large."""
    if spec.head is None:
        raise SpecError(
            spec.document.problem(
                (), "a network without a head has nothing to train on; add head: voting"
            )
        )
    if spec.adapter is not None:
        refuse_unfit_things(spec.training, spec.adapter, spec.document)
    shape = None
    with contextlib.suppress(UserError):
        shape = spec.adapter.shape() if spec.adapter is not None else None
    if shape is not None:
        refuse_unfit(spec.training, shape, spec.document)
        refuse_hopeless(Network(spec, shape, classes=2), spec.training)


def _engine_for(prepared: Prepared, name: str | None, threads: int | None) -> Engine:
    """Return the engine to train with; raise `TrainingError` if there is too little memory."""
    classes = len(prepared.classes)
    bound = bind(prepared.spec, prepared.shape, classes=classes, engine=name, threads=threads)
    refuse_too_large(bound, prepared.spec.training)
    return bound


def _plan_minutes(prepared: Prepared, engine: Engine, watcher: RunWatcher) -> Prepared:
    """Return the same with as many epochs as fit into the minutes, in place of these."""
    training = prepared.spec.training
    validation = prepared.validation.data if len(prepared.validation) else None
    with tempfile.TemporaryDirectory() as folder:
        save = functools.partial(_save, Path(folder) / CHECKPOINT, prepared, engine)
        budget = plan_epochs(engine, prepared.train.data, validation, training, save=save)
    watcher.on_budget(budget)
    return dataclasses.replace(prepared.with_training(budget.plan(training)), budget=budget)


def _refuse_without_validation(prepared: Prepared) -> None:
    """Raise if a setting needs validation results, and there are no validation items."""
    if len(prepared.validation):
        return
    spec, problems = prepared.spec, []
    if spec.training.patience is not None:
        problems.append(("patience", "training.patience waits for a better validation result"))
    if (by := spec.training.select_by) not in ("accuracy", "loss"):
        problems.append(("select_by", f"training.select_by: {by} is a result of validation items"))
    if problems:
        missing = "there are no validation items; set data.validation above 0"
        raise SpecError(
            *(
                spec.document.problem(("training", name), f"{reason}, and {missing}")
                for name, reason in problems
            )
        )


def _check(
    prepared: Prepared, folder: RunFolder, checked: Checked | None, means: Means
) -> Checked | None:
    """Return the checkers' verdicts on the training items; None if the adapter's grids are ordered.

    They do not run again if the verdicts are known: from before (`checked`), or from the `folder`
    of a resumed run.
    """
    if prepared.fitted.adapter.makes_order:
        return None
    if checked is not None:
        return checked
    checked = folder.read_check() or check_order(prepared, means.threads, means.watcher)
    means.watcher.on_check(checked)
    return checked


def _save(path: Path, prepared: Prepared, engine: Engine, state: TrainingState) -> None:
    save_checkpoint(path, state, prepared.fingerprint, engine=engine, classes=prepared.classes)


def check_order(prepared: Prepared, threads: int | None, watcher: RunWatcher) -> Checked:
    """Return the checkers' verdicts on the training items.

    Raises:
        ColumnPermutableError: their order means nothing, and the spec does not go on then.
    """
    spec, training = prepared.spec, prepared.train.data
    classes, _ = classes_to_judge(training.targets, prepared.classes)
    return guard(
        training.grids,
        classes,
        spec.check,
        sample=prepared.sample,
        shape=prepared.shape,
        seed=spec.training.seed,
        threads=threads,
        advance=watcher.on_checking,
        remedy="set check: warn in the spec (--set check=warn)",
    )


class _Keeper:
    """Trains, and saves every epoch to the folder before it calls the watcher.

    Raises:
        ModelFileError: the folder has a checkpoint that belongs to something else.
    """

    def __init__(
        self, engine: Engine, prepared: Prepared, folder: RunFolder, watcher: RunWatcher
    ) -> None:
        self._engine = engine
        self._prepared = prepared
        self._folder = folder
        self._watcher = watcher
        self._state: TrainingState | None = None
        self.was_stopped = False
        """Whether the watcher stopped the training."""
        if folder.checkpoint.exists():
            self._state = load_checkpoint(folder.checkpoint, prepared.fingerprint, engine=engine)

    def train(self) -> TrainingState:
        """Train, from the start or from the checkpoint, until the watcher stops it or the end."""
        prepared = self._prepared
        validation = prepared.validation.data if len(prepared.validation) else None
        try:
            return train(
                self._engine,
                prepared.train.data,
                validation,
                prepared.spec.training,
                state=self._state,
                watcher=self,
                start=prepared.start,
                seconds=None if prepared.budget is None else prepared.budget.seconds,
            )
        except StopTraining:
            self.was_stopped = True
            if self._state is None:
                raise
            return self._state

    def on_nudge(self, epoch: int, nudge: NudgeResult) -> None:
        """Pass it on."""
        self._watcher.on_nudge(epoch, nudge)

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Call the watcher."""
        self._watcher.on_batch(epoch, done, batches, loss)

    def on_sign(self, sign: Sign) -> None:
        """Call the watcher."""
        self._watcher.on_sign(sign)

    def on_epoch(self, state: TrainingState) -> None:
        """Save the epoch, and call the watcher."""
        prepared, folder = self._prepared, self._folder
        with folder.writing():
            _save(folder.checkpoint, prepared, self._engine, state)
        folder.write_history(state.history)
        self._state = state
        self._watcher.on_epoch(state.history[-1], prepared.spec.training.epochs)
