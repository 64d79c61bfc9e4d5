"""A whole run: data in, training, results out, resumable after every epoch."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridcnn.engines.base import DEFAULT_ENGINE, Engine, Memory, check_choice, make_engine
from gridcnn.errors import DataError, RunFolderError, SpecError, TrainingInterrupted, UserError
from gridcnn.files import write_text
from gridcnn.measures import measures
from gridcnn.model import FILE_NAME, Model, answered, labels_array
from gridcnn.network import Network
from gridcnn.order.guard import Checked, guard
from gridcnn.pipelines import ready
from gridcnn.runs import folder as folders
from gridcnn.runs.literal import literal_comparison
from gridcnn.runs.located import Located, locate, spec_folder
from gridcnn.runs.prepare import Part, Prepared, prepare
from gridcnn.spec.changes import Changes
from gridcnn.spec.load import SpecLike, load
from gridcnn.spec.models import Spec
from gridcnn.spec.parts import Fold, GroupOut
from gridcnn.spec.write import to_yaml
from gridcnn.training.augmentation import refuse_unfit
from gridcnn.training.checkpoint import load_checkpoint, save_checkpoint
from gridcnn.training.loop import Epoch, Progress, measured, train
from gridcnn.training.memory import planned, refuse_too_large

_TOLD = 20
"""How many items without finite votes are told of one by one."""


@dataclass(frozen=True)
class Run:
    """What a run came to.

    Attributes:
        model: the trained pipeline.
        metrics: what `metrics.json` holds; accuracies are in 0..1, losses mean cross-entropies.
        history: one entry for each epoch.
        folder: where the results are.
    """

    model: Model
    metrics: dict[str, Any]
    history: tuple[Epoch, ...]
    folder: Path


class RunWatcher:
    """Is told how a run goes, for example to show it; this one says nothing."""

    def on_fold(self, number: int, folds: int, test: Fold | GroupOut) -> None:
        """Be told that the run of a fold begins; `number` counts from 1."""

    def on_fold_end(
        self, number: int, folds: int, test: Fold | GroupOut, metrics: dict[str, Any]
    ) -> None:
        """Be told what the run of a fold came to, also where it had ended before."""

    def on_reading(self, what: str, done: int, total: int) -> None:
        """Be told that so many of the items have been read."""

    def on_checking(self, what: str, done: int, total: int) -> None:
        """Be told how far the check goes whether the order of the data means anything."""

    def on_check(self, checked: Checked) -> None:
        """Be told what that check has found, where training goes on."""

    def on_engine(self, engine: Engine, memory: Memory) -> None:
        """Be told who will do the arithmetic, and what training and answers will take."""

    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:
        """Be told that training begins, and with which network."""

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Be told that one more batch of an epoch is done."""

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        """Be told that one more epoch has ended, and is saved."""


def run(
    spec: SpecLike | None = None,
    *,
    data: Any = None,
    out: str | os.PathLike[str] | None = None,
    changes: Changes = (),
    seed: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    watcher: RunWatcher | None = None,
) -> Run:
    """Carry out a spec from its data to its results, which are written to a run folder.

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
        resume: the folder of an interrupted run, which goes on after its last finished epoch and
            ends with the very numbers that it would have ended with.
        watcher: is told how it goes.

    Raises:
        UserError: the spec, the data or a folder cannot be used; see `gridcnn.errors`.
        ColumnPermutableError: the order of the data means nothing.
        TrainingInterrupted: the user stopped it (Ctrl-C); its `folder` can be resumed.
    """
    watcher = watcher or RunWatcher()
    check_choice(engine, threads)  # an unknown name is told of before anything is read
    if seed is not None:
        changes = with_seed(changes, seed)
    if resume is not None:
        _refuse_folds(Path(resume))
        loaded, folder = resumed_spec(spec, Path(resume), changes, out), Path(resume)
    elif spec is None:
        raise SpecError("a run needs a spec; `gridcnn init` writes a starter spec")
    else:
        loaded, folder = load(spec, changes=changes, ready=ready()), None
        if out is not None:
            folders.refuse_used(Path(out))
    located = locate(loaded, data, spec_folder(loaded))
    way = Way("run", folder, in_memory=located.in_memory)
    return carry_out(located, folder, out, way=way, engine=engine, threads=threads, watcher=watcher)


def carry_out(
    located: Located,
    folder: Path | None,
    out: str | os.PathLike[str] | None,
    *,
    way: Way,
    engine: str | None,
    threads: int | None,
    watcher: RunWatcher,
    checked: Checked | None = None,
) -> Run:
    """Carry out a spec whose data is found; everything else is as `run` has it.

    Args:
        located: the spec, and where its data is.
        folder: that of an interrupted run, which goes on; None for a new run.
        out: the folder of a new run, or None for the next number.
        way: how it goes on where it is stopped.
        engine, threads, watcher: as for `run`.
        checked: what the checkers have found, where they have been asked before.
    """
    started = time.perf_counter()
    refuse_impossible(located.spec, engine, threads)
    with stoppable("stopped before training; nothing was written", folder):
        prepared = prepare(located, advance=watcher.on_reading, threads=threads)
    _refuse_impatient(prepared)
    read = time.perf_counter()
    network = Network(prepared.spec, prepared.shape, classes=len(prepared.classes))
    made = make_engine(network, engine, threads=threads)
    refuse_too_large(made, prepared.spec.training)
    begun = time.perf_counter()
    with stoppable("stopped before training; nothing was written", folder):
        checked = _checked(prepared, folder, checked, threads, watcher)
    spent = (read - started, time.perf_counter() - begun)
    fresh = folder is None
    if folder is None:
        folder = folders.claim_folder(prepared.spec.name, out)
    way = way.of(folder)
    hint = way.told(made.name)
    with stoppable(f"stopped; {hint}", way.folder), _swept(folder, fresh):
        if fresh:
            with writing(folder, hint):
                write_text(folder / folders.SPEC, to_yaml(prepared.spec))
                if checked is not None:
                    folders.write_json(folder / folders.CHECK, checked.as_json())
        watcher.on_engine(made, planned(made, prepared.spec.training))
        watcher.on_plan(network, prepared, folder)
        progress = _train(made, prepared, folder, hint, watcher)
        return _finish(made, prepared, checked, progress, folder, hint, started, spent)


def with_seed(changes: Changes, seed: int) -> Changes:
    """Return the changes with `training.seed` among them."""
    if isinstance(changes, Mapping):
        return {**changes, "training.seed": seed}
    each = [changes] if isinstance(changes, str) else changes
    return [*each, f"training.seed={seed}"]


def _refuse_folds(folder: Path) -> None:
    if (folder / folders.FOLDS).is_file():
        raise RunFolderError(
            f"{folder} holds a cross-validation, and no single run; go on with "
            f"gridcnn.cross_validate(resume={str(folder)!r})"
        )


def resumed_spec(
    given: SpecLike | None, folder: Path, changes: Changes, out: str | os.PathLike[str] | None
) -> Spec:
    """Return the spec of the run in `folder`; raise where something else is asked for."""
    if out is not None and Path(out).absolute() != folder.absolute():
        raise RunFolderError(f"a run resumes in its own folder {folder}; leave the other one out")
    if (folder / folders.METRICS).is_file():
        raise RunFolderError(f"the run in {folder} has ended; there is nothing to resume")
    if not (folder / folders.SPEC).is_file():
        raise RunFolderError(f"{folder} holds no run ({folders.SPEC} is missing)")
    own = load(folder / folders.SPEC)
    if given is not None:
        asked = load(given, changes=changes, ready=ready())
        for part in ("stages", "head", "training"):
            if getattr(asked, part) != getattr(own, part):
                raise RunFolderError(
                    f"the run in {folder} has other settings under '{part}' than this spec; a run "
                    "resumes with its own spec, which may be left out"
                )
    elif changes:
        raise RunFolderError("a run resumes with its own settings; leave changes out")
    return own


def refuse_impossible(spec: Spec, engine: str | None, threads: int | None) -> None:
    """Raise before any data is read, where the spec alone tells that it is wrong or too large."""
    if spec.head is None:
        raise SpecError(
            spec.document.problem(
                (), "a network without a head has nothing to train on; add head: voting"
            )
        )
    shape = None
    with contextlib.suppress(UserError):
        shape = spec.adapter.shape() if spec.adapter is not None else None
    if shape is not None:
        refuse_unfit(spec.training, shape, spec.document)
        smallest = make_engine(Network(spec, shape, classes=2), engine, threads=threads)
        refuse_too_large(smallest, spec.training)


def _refuse_impatient(prepared: Prepared) -> None:
    """Raise where training is to wait for a better validation result, and there can be none."""
    spec = prepared.spec
    if spec.training.patience is not None and not len(prepared.validation):
        raise SpecError(
            spec.document.problem(
                ("training", "patience"),
                "training.patience waits for a better validation result, and there are no "
                "validation items; set data.validation above 0",
            )
        )


def _checked(
    prepared: Prepared,
    folder: Path | None,
    checked: Checked | None,
    threads: int | None,
    watcher: RunWatcher,
) -> Checked | None:
    """Return what the checkers find in the training items; None where the adapter makes order.

    They are not asked again where that is known: from before (`checked`), or from the `folder` of
    the run that goes on.
    """
    spec, training = prepared.spec, prepared.train.data
    if prepared.fitted.adapter.makes_order:
        return None
    if checked is not None:
        return checked
    checked = None if folder is None else folders.read_check(folder)
    if checked is None:
        checked = guard(
            training.grids,
            training.targets,
            spec.check,
            shape=prepared.shape,
            seed=spec.training.seed,
            threads=threads,
            advance=watcher.on_checking,
            remedy="set check: warn in the spec (--set check=warn)",
        )
    watcher.on_check(checked)
    return checked


@dataclass(frozen=True)
class Way:
    """How a run goes on once it is stopped: by which function of gridcnn, and in which folder."""

    function: str
    folder: Path | None
    in_memory: bool

    def of(self, folder: Path) -> Way:
        """Return the way with `folder`, where it has none yet."""
        return self if self.folder is not None else dataclasses.replace(self, folder=folder)

    def told(self, engine: str) -> str:
        """Return what to do, for a run that was begun with the engine of that name."""
        other = engine != DEFAULT_ENGINE
        if self.in_memory:
            named = f", engine={engine!r}" if other else ""
            where = f"resume={str(self.folder)!r}, data=...{named}"
            return f"go on with: gridcnn.{self.function}({where})"
        words = ["gridcnn", "run", "--resume", str(self.folder)]
        if other:
            words += ["--engine", engine]
        # Each in the quotes of the shell at hand.
        line = subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
        return f"go on with: {line}"


@contextlib.contextmanager
def stoppable(message: str, folder: Path | None) -> Iterator[None]:
    """Turn Ctrl-C into `TrainingInterrupted` with a message."""
    try:
        yield
    except KeyboardInterrupt:
        raise TrainingInterrupted(message, folder=folder) from None


@contextlib.contextmanager
def writing(folder: Path, hint: str) -> Iterator[None]:
    """Turn what keeps results from being written (a full disk) into `RunFolderError`.

    `hint` says how to go on, for runs that can.
    """
    try:
        yield
    except (OSError, RunFolderError) as error:  # the second is what `Model.save` makes of it
        kept = (folder / folders.CHECKPOINT).is_file() or (folder / folders.FOLDS).is_file()
        reason = getattr(error, "strerror", None) or error
        raise RunFolderError(
            f"{folder}: results cannot be written there: {reason}"
            f"{f'; once that is mended, {hint}' if kept else ''}"
        ) from error


@contextlib.contextmanager
def _swept(folder: Path, fresh: bool) -> Iterator[None]:
    """Remove a new run folder where the run fails before there is anything worth keeping."""
    try:
        yield
    except UserError:
        held = {each.name for each in folder.iterdir()}
        if fresh and held <= {folders.SPEC, folders.CHECK}:
            for name in held:
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()
        raise


def _train(
    engine: Engine, prepared: Prepared, folder: Path, hint: str, watcher: RunWatcher
) -> Progress:
    checkpoint = folder / folders.CHECKPOINT
    progress = None
    if checkpoint.exists():
        progress = load_checkpoint(checkpoint, prepared.fingerprint, engine=engine)
    settings = prepared.spec.training

    class Keeper:
        """Saves every epoch before it is told of."""

        def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
            watcher.on_batch(epoch, done, batches, loss)

        def on_epoch(self, progress: Progress) -> None:
            with writing(folder, hint):
                save_checkpoint(checkpoint, progress, prepared.fingerprint, engine=engine.name)
                folders.write_history(folder, progress.history)
            watcher.on_epoch(progress.history[-1], settings.epochs)

    validation = prepared.validation.data if len(prepared.validation) else None
    return train(
        engine, prepared.train.data, validation, settings, progress=progress, watcher=Keeper()
    )


def _finish(
    engine: Engine,
    prepared: Prepared,
    checked: Checked | None,
    progress: Progress,
    folder: Path,
    hint: str,
    started: float,
    spent: tuple[float, float],
) -> Run:
    """Measure the best epoch on every part, and write all results.

    `spent` are the seconds for reading and for checking.
    """
    engine.settle()
    model = Model(prepared.spec, prepared.classes, progress.best, engine=engine)
    metrics: dict[str, Any] = {}
    votes = None
    for name in ("test", "validation", "train"):
        part: Part = getattr(prepared, name)
        if len(part):
            logits = engine.logits(model.parameters, part.data.grids)
            answers = _votes(logits, part, hint)
            loss, accuracy = measured(logits, part.data.targets)
            metrics[name] = {"accuracy": accuracy, "loss": loss, "items": len(part)}
            if name == "test":
                votes = answers
                found = measures(
                    part.data.targets, votes.argmax(axis=1), len(prepared.classes), votes=votes
                )
                metrics[name] |= found.plain(prepared.classes)
    if prepared.literal is not None:
        metrics["literal_comparison"] = dataclasses.asdict(literal_comparison(*prepared.literal))
    if checked is not None:
        metrics["check"] = checked.as_json()
    metrics |= {
        "classes": list(prepared.classes),
        "epochs": len(progress.history),
        "best_epoch": progress.best_epoch,
        "parameters": engine.network.parameters,
        "multiply_adds": engine.network.multiply_adds,
        "engine": engine.name,
        "threads": engine.workers,
        "skipped_items": prepared.skipped_items,
        "seconds": {
            "reading": round(spent[0], 3),
            "checking": round(spent[1], 3),
            "training": round(sum(epoch.seconds for epoch in progress.history), 3),
            "total": round(time.perf_counter() - started, 3),
        },
    }
    with writing(folder, hint):
        model.save(folder / FILE_NAME)
        folders.write_history(folder, progress.history)
        if votes is not None:
            _write_predictions(folder, prepared, votes)
        if prepared.skipped:
            rows = ((problem.source, problem.message) for problem in prepared.skipped)
            folders.write_table(folder / folders.SKIPPED, ("item", "problem"), rows)
        # Last, since it marks the run as ended.
        folders.write_json(folder / folders.METRICS, metrics)
        (folder / folders.CHECKPOINT).unlink(missing_ok=True)
    folders.sweep(folder)
    return Run(model, metrics, tuple(progress.history), folder)


def _votes(logits: Any, part: Part, hint: str) -> Any:
    """Return the votes of a part; raise `DataError` where some are not finite.

    What is trained stays: a resumed run needs the same items for training, and no others.
    """
    found = answered(logits, part.names)
    if found.problems:
        count = f"{len(found.problems)} of {len(part)} items have no finite votes"
        advice = f"{count}; the training is kept: correct these items in their place, then {hint}"
        raise DataError(*found.problems[:_TOLD], advice)
    return found.votes


def _write_predictions(folder: Path, prepared: Prepared, votes: Any) -> None:
    labels = labels_array(prepared.classes)
    truths = labels[prepared.test.data.targets]
    answers = labels[votes.argmax(axis=1)]
    header = ("item", "truth", "answer", *(f"votes.{label}" for label in prepared.classes))
    rows = (
        (name, truth, answer, *(f"{vote:.6f}" for vote in row))
        for name, truth, answer, row in zip(
            prepared.test.names, truths, answers, votes, strict=True
        )
    )
    folders.write_table(folder / folders.PREDICTIONS, header, rows)
