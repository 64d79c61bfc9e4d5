"""Checkpoints: where training stood after an epoch, as a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from gridcnn.errors import ModelFileError
from gridcnn.tensors import read_tensors, write_tensors
from gridcnn.training.loop import Epoch, TrainingState
from gridcnn.version import VERSION

KIND = "checkpoint"
FORMAT = 1
"""The version of the file's layout; raised when an older gridcnn could not read it rightly."""


def save_checkpoint(path: Path, state: TrainingState, fingerprint: str, *, engine: str) -> None:
    """Write `state` to `path`; `fingerprint` stands for the spec and the data."""
    tensors = {"parameters": state.parameters, "best": state.best}
    tensors |= {f"memory.{name}": kept for name, kept in state.memory.items()}
    content = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "engine": engine,
        "best_epoch": state.best_epoch,
        "steps": state.steps,
        "history": [dataclasses.asdict(epoch) for epoch in state.history],
    }
    write_tensors(path, KIND, tensors, content)


def load_checkpoint(path: Path, fingerprint: str, *, engine: str) -> TrainingState:
    """Return the state that was saved.

    Raises:
        ModelFileError: the file is missing or damaged, comes from another gridcnn, or belongs to
            another spec, other data or another engine.
    """
    tensors, content = read_tensors(path, KIND)
    if content.get("format") != FORMAT:
        raise ModelFileError(
            f"{path} has the layout {content.get('format')}; this gridcnn {VERSION} resumes from "
            f"layout {FORMAT}; resume with the gridcnn that wrote it"
        )
    try:
        if content["fingerprint"] != fingerprint:
            raise ModelFileError(
                f"{path} was written with another spec or other data; a run resumes only with its "
                "own"
            )
        if content["engine"] != engine:
            # Engines agree to a few bits, and a resumed run has to agree in all of them.
            raise ModelFileError(
                f"{path} was written by the engine {content['engine']}, and not by {engine}; go on "
                f"with --engine {content['engine']}"
            )
        return TrainingState(
            parameters=tensors.pop("parameters"),
            best=tensors.pop("best"),
            best_epoch=content["best_epoch"],
            steps=content["steps"],
            memory={name.removeprefix("memory."): kept for name, kept in tensors.items()},
            history=tuple(Epoch(**epoch) for epoch in content["history"]),
        )
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is no whole checkpoint: {error}; start anew") from None
