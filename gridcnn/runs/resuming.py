"""Resuming a run: which settings may be changed, and when there is nothing left to do."""

from __future__ import annotations

from collections.abc import Sequence

from gridcnn.errors import RunFolderError
from gridcnn.model import CHECKPOINT
from gridcnn.pipelines import ready
from gridcnn.runs.folder import SPEC, RunFolder, function_of, title_of
from gridcnn.settings.choice import name_of
from gridcnn.spec.changes import Changes
from gridcnn.spec.load import SpecLike, load
from gridcnn.spec.models import Spec, Training
from gridcnn.spec.optimizers import SCHEDULES, follows_epochs
from gridcnn.training.checkpoint import load_history
from gridcnn.training.loop import Epoch
from gridcnn.training.selection import ends_after

_LENGTH = ("epochs", "patience", "stop_after")
"""The settings that decide when training ends, and change nothing before that."""


def resumed_spec(given: SpecLike | None, folder: RunFolder, changes: Changes) -> Spec:
    """Return the spec with which the run in `folder` continues.

    It is the run's own, except for the settings that decide when training ends. These may be
    changed if the epochs so far would have been the same with them from the start.

    Raises:
        RunFolderError: other settings are changed, or there is nothing left to do.
    """
    own = load(folder.path / SPEC)
    asked = load(given, changes=changes, ready=ready()) if given is not None else own
    if given is None and changes:
        asked = load(folder.path / SPEC, changes=changes)
        _refuse_other(own, asked, folder, ("name", "description", "data", "adapter", "check"))
    _refuse_other(own, asked, folder, ("stages", "head"))
    length = {name: getattr(asked.training, name) for name in _LENGTH}
    training = own.training.model_copy(update=length)
    if training != asked.training:
        raise _other(folder, "training")
    if training == own.training and not folder.has_ended:
        return own
    _refuse_pointless(own.training, training, folder)
    return own.model_copy(update={"training": training})


def _refuse_other(own: Spec, asked: Spec, folder: RunFolder, parts: Sequence[str]) -> None:
    for part in parts:
        if getattr(asked, part) != getattr(own, part):
            raise _other(folder, part)


def _other(folder: RunFolder, part: str) -> RunFolderError:
    what = f"in {folder.path} has other settings under '{part}' than this"
    if folder.function != "run":
        return RunFolderError(f"the {title_of(folder.path)} {what}; it resumes with its own")
    return RunFolderError(
        f"the run {what}; it resumes with its own, of which only training.epochs, "
        "training.stop_after and training.patience may be changed"
    )


def _refuse_pointless(own: Training, training: Training, folder: RunFolder) -> None:
    """Raise `RunFolderError` if a run cannot continue to that end, or has reached it."""
    path = folder.path
    whole = path if folder.function != "run" else path.parent
    if function_of(whole) != "run":
        kind = title_of(whole)
        parts = "folds" if function_of(whole) == "cross_validate" else "runs"
        raise RunFolderError(
            f"{path} belongs to a {kind}, whose {parts} all have its own settings"
            if training != own
            else f"the {kind} in {path} has ended; there is nothing to resume"
        )
    again = f"run its spec again: gridcnn run {path / SPEC} --set training.epochs={training.epochs}"
    if training.epochs != own.epochs and follows_epochs(own.schedule):
        schedule = name_of(own.schedule, SCHEDULES)
        raise RunFolderError(
            f"the run in {path} cannot continue to another number of epochs: with schedule: "
            f"{schedule} the learning rate of every epoch depends on that number; {again}"
        )
    if not folder.checkpoint.is_file():
        if not folder.has_ended:
            return
        raise RunFolderError(
            f"the run in {path} has ended, and cannot continue without its {CHECKPOINT}; {again}"
        )
    _refuse_before(load_history(folder.checkpoint), training, folder)


def _refuse_before(history: Sequence[Epoch], training: Training, folder: RunFolder) -> None:
    """Raise `RunFolderError` if the settings would have ended the training by now."""
    path, done = folder.path, len(history)
    end = ends_after(history, training)
    if end is None or (end == done and not folder.has_ended):
        return
    if end < done:
        raise RunFolderError(
            f"the run in {path} has done {done} epochs; with these settings it would have ended "
            f"after epoch {end}"
        )
    if done >= training.epochs:
        more = f"--set training.epochs={2 * done}"
        if follows_epochs(training.schedule):
            schedule = name_of(training.schedule, SCHEDULES)
            raise RunFolderError(
                f"the run in {path} has ended after {done} epochs, the last of its schedule: "
                f"{schedule}; for more, run its spec again: gridcnn run {path / SPEC} {more}"
            )
        raise RunFolderError(
            f"the run in {path} has ended after {done} epochs; to continue, set more: gridcnn run "
            f"--resume {path} {more}"
        )
    if training.stop_after is not None and done >= training.stop_after:
        raise RunFolderError(
            f"the run in {path} has ended after {done} epochs, since training.stop_after says so; "
            "to continue to the end of its schedule, add --set training.stop_after=null"
        )
    raise RunFolderError(
        f"the run in {path} has ended after {done} epochs, since {training.patience} brought no "
        "better validation result; to continue anyway, add --set training.patience=null"
    )
