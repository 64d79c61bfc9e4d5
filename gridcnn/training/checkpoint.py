"""Checkpoints: the state of training after an epoch, as a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, Le, Len
from pydantic import Field, Strict, model_validator

from gridcnn.engines.base import Engine
from gridcnn.errors import ModelFileError, listed, quoted, shown
from gridcnn.grid import Array, all_finite
from gridcnn.settings.base import Many, NotNegative, Share
from gridcnn.settings.content import Content, Loss, Name, Seconds
from gridcnn.tensors import read_tensors, write_tensors
from gridcnn.training.loop import Epoch, TrainingState
from gridcnn.training.optimizers import memory_names
from gridcnn.training.signs import Kind, Sign
from gridcnn.version import VERSION

KIND = "checkpoint"
FORMAT = 2
"""The version of the file's layout; increased when an older gridcnn could not read it correctly."""

_MEMORY = "memory."

Steps = Annotated[int, Strict(), Ge(0), Le(2**62)]
"""How many steps an optimizer has taken."""


class EpochContent(Content):
    """An epoch in the form of a checkpoint; see `Epoch`."""

    title: ClassVar[str] = "an epoch"

    epoch: Many
    loss: Loss
    accuracy: Share
    validation_loss: Loss | None
    validation_accuracy: Share | None
    learning_rate: NotNegative
    seconds: Seconds
    validation_score: Share | None = None


class SignContent(Content):
    """A sign that something is wrong, in the form of a checkpoint; see `Sign`."""

    title: ClassVar[str] = "a sign"

    epoch: Many
    kind: Kind
    text: Annotated[str, Len(1, 10_000)]


class CheckpointContent(Content):
    """What a checkpoint holds besides the numbers; see `TrainingState`."""

    title: ClassVar[str] = "the checkpoint"

    fingerprint: Name
    engine: Name
    spec: dict[str, Any]
    classes: list[Any]
    best_epoch: Many
    steps: Steps
    history: list[EpochContent] = Field(min_length=1)
    signs: list[SignContent] = Field(default=[], max_length=1_000)
    restarts: Annotated[int, Strict(), Ge(0), Le(10)] = 0

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        epochs = len(self.history)
        if [each.epoch for each in self.history] != list(range(1, epochs + 1)):
            raise ValueError("'history' has other epochs than 1, 2, 3, ...")
        if self.best_epoch > epochs:
            raise ValueError(f"'best_epoch' is {self.best_epoch} of {epochs} epochs")
        if self.steps % epochs:
            raise ValueError(f"'steps' are {self.steps}, not the same for each of {epochs} epochs")
        validated = {
            figure is not None
            for epoch in self.history
            for figure in (epoch.validation_loss, epoch.validation_accuracy)
        }
        if len(validated) > 1:
            raise ValueError("'history' has a validation for only some epochs")
        return self


@dataclass(frozen=True)
class Best:
    """The best weights so far, with all that answers need.

    Attributes:
        spec: the resolved spec, as plain data.
        classes: the classes, in the order of the votes, as plain data.
        parameters: the flat vector.
        epoch: after which epoch they were the best.
        epochs: how many epochs there were.
    """

    spec: Mapping[str, Any]
    classes: Sequence[Any]
    parameters: Array
    epoch: int
    epochs: int


def save_checkpoint(
    path: Path,
    state: TrainingState,
    fingerprint: str,
    *,
    engine: Engine,
    classes: Sequence[str | int],
) -> None:
    """Write `state` to `path`; `fingerprint` stands for the spec and the data.

    With the spec and the classes in it, the file is enough to classify items.
    """
    tensors = {"parameters": state.parameters, "best": state.best}
    tensors |= {f"{_MEMORY}{name}": kept for name, kept in state.memory.items()}
    content = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "engine": engine.name,
        "spec": engine.network.spec.model_dump(mode="json"),
        "classes": list(classes),
        "best_epoch": state.best_epoch,
        "steps": state.steps,
        "history": [dataclasses.asdict(epoch) for epoch in state.history],
        "signs": [dataclasses.asdict(sign) for sign in state.signs],
        "restarts": state.restarts,
    }
    write_tensors(path, KIND, tensors, content)


def load_checkpoint(path: Path, fingerprint: str, *, engine: Engine) -> TrainingState:
    """Return the state that was saved, for training by `engine` with its network's spec.

    Raises:
        ModelFileError: the file is missing or damaged, comes from another gridcnn, or belongs to
            another spec, other data or another engine.
    """
    tensors, about = _read(path)
    if about.fingerprint != fingerprint:
        raise ModelFileError(
            f"{path} was written with another spec or other data; a run resumes only with its own"
        )
    if about.engine != engine.name:
        # Engines agree to a few bits, and a resumed run has to agree in all of them.
        raise ModelFileError(
            f"{path} was written by the engine {about.engine}, and not by {engine.name}; continue "
            f"with --engine {about.engine}"
        )
    try:
        _refuse_odd(tensors, about.steps, engine)
    except ValueError as error:
        raise _damage_error(path, str(error)) from None
    return TrainingState(
        parameters=tensors.pop("parameters"),
        best=tensors.pop("best"),
        best_epoch=about.best_epoch,
        steps=about.steps,
        memory={name.removeprefix(_MEMORY): kept for name, kept in tensors.items()},
        history=_history(about),
        signs=tuple(Sign(**sign.model_dump()) for sign in about.signs),
        restarts=about.restarts,
    )


def load_best(path: Path) -> Best:
    """Return the best weights in a checkpoint.

    Raises:
        ModelFileError: the file is missing or damaged, or comes from another gridcnn.
    """
    tensors, about = _read(path)
    if "best" not in tensors:
        raise _damage_error(path, "it has no vector 'best'")
    return Best(about.spec, about.classes, tensors["best"], about.best_epoch, len(about.history))


def load_parameters(path: Path) -> Array:
    """Return the flat vector after the last epoch that was saved.

    Raises:
        ModelFileError: the file is missing or damaged, or comes from another gridcnn.
    """
    tensors, _ = _read(path)
    return tensors["parameters"]


def load_history(path: Path) -> tuple[Epoch, ...]:
    """Return the history of a checkpoint: every epoch so far.

    Raises:
        ModelFileError: as `load_best`.
    """
    return _history(_read(path)[1])


def _history(about: CheckpointContent) -> tuple[Epoch, ...]:
    return tuple(Epoch(**epoch.model_dump()) for epoch in about.history)


def _read(path: Path) -> tuple[dict[str, Array], CheckpointContent]:
    tensors, content = read_tensors(path, KIND)
    layout = content.get("format")
    if type(layout) is not int or layout != FORMAT:
        raise ModelFileError(
            f"{path} has the layout {shown(layout)}; this gridcnn {VERSION} resumes from layout "
            f"{FORMAT}; resume with the gridcnn that wrote it"
        )
    try:
        return tensors, CheckpointContent.read(content)
    except ValueError as error:
        raise _damage_error(path, str(error)) from None


def _damage_error(path: Path, reason: str) -> ModelFileError:
    return ModelFileError(f"{path} is damaged: {reason}; delete it to start over")


def _refuse_odd(tensors: Mapping[str, Array], steps: int, engine: Engine) -> None:
    """Raise `ValueError` if the vectors are not those that training with `engine` needs."""
    remembered = memory_names(engine.network.spec.training)
    expected = {"parameters", "best", *(f"{_MEMORY}{name}" for name in remembered)}
    wrong = [quoted(name)[1:-1] for name in sorted(expected ^ set(tensors))]
    if wrong:
        raise ValueError(f"it has vectors missing, or too many: {listed(wrong, limit=5)}")
    if bool(steps) != bool(remembered):
        raise ValueError(f"'steps' are {steps}, of an optimizer that remembers {len(remembered)}")
    shape = (engine.network.parameters,)
    for name, vector in tensors.items():
        if vector.dtype != np.float32 or vector.shape != shape:
            raise ValueError(
                f"{name} must be float32 {shape}; it is {vector.dtype} {shown(vector.shape)}"
            )
        _refuse_no_numbers(name, vector)


def _refuse_no_numbers(name: str, vector: Any) -> None:
    """Raise `ValueError` if a vector holds numbers that training never produces.

    A mean of squares, and nothing else, may be infinite, after a gradient that was too large:
    training then continues until it reports its error.
    """
    if name == f"{_MEMORY}square":
        if not (vector >= 0).all():
            raise ValueError(f"{name} holds numbers below 0, or NaN")
    elif not all_finite(vector):
        raise ValueError(f"{name} holds numbers that are NaN or infinite")
