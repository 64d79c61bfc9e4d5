"""The run folder: one number for each run, files written whole, and what a resumed run needs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gridcnn.errors import RunFolderError
from gridcnn.files import json_text, read_json, table_text, write_text
from gridcnn.order.guard import Checked
from gridcnn.training.loop import Epoch

SPEC, HISTORY, METRICS = "spec.yaml", "history.csv", "metrics.json"
PREDICTIONS, SKIPPED, CHECKPOINT = "predictions.csv", "skipped.csv", "checkpoint.safetensors"
CHECK = "check.json"
"""What the checkers have found, which a resumed run need not ask them again."""
FOLDS = "folds.json"
"""What a cross-validation needs to know to go on."""


def claim_folder(name: str, out: str | os.PathLike[str] | None) -> Path:
    """Make and return the folder of a new run: `out`, or the next `runs/<name>/<number>`.

    Raises:
        RunFolderError: `out` holds something already, or the folder cannot be made.
    """
    try:
        if out is not None:
            return _claim(Path(out))
        parent = Path("runs") / name
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            numbers = [int(each.name) for each in parent.iterdir() if each.name.isdecimal()]
            folder = parent / str(max(numbers, default=0) + 1)
            try:
                # Two runs that start at once cannot both make the folder.
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise RunFolderError(
            f"{error.filename}: no run folder can be made there: {error.strerror}"
        ) from None


def _claim(folder: Path) -> Path:
    refuse_used(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def refuse_used(folder: Path) -> None:
    """Raise `RunFolderError` where `folder` is a file, holds something or cannot be read."""
    try:
        if folder.exists() and not folder.is_dir():
            raise RunFolderError(f"{folder} is a file; give a folder that is new or empty")
        held = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise RunFolderError(
            f"{folder}: no run folder can be made there: {error.strerror or error}"
        ) from None
    if held:
        more = f" and {len(held) - 1} more" if held[1:] else ""
        unfinished = CHECKPOINT in held or (FOLDS in held and METRICS not in held)
        hint = f", or go on with its run: gridcnn run --resume {folder}"
        raise RunFolderError(
            f"{folder} is not empty (it holds {held[0]}{more}); give a folder that is new or empty"
            f"{hint if unfinished else ''}"
        )


def sweep(folder: Path) -> None:
    """Remove what a killed run has left half-written."""
    for left in folder.glob(".*.part"):
        left.unlink(missing_ok=True)


def write_history(folder: Path, history: Iterable[Epoch]) -> None:
    """Write `history.csv`, a line for each epoch."""
    names = [field.name for field in dataclasses.fields(Epoch)]
    write_table(folder / HISTORY, names, (dataclasses.astuple(epoch) for epoch in history))


def write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file, whole or not at all."""
    write_text(path, table_text([header, *rows]))


def read_check(folder: Path) -> Checked | None:
    """Return what the checkers have found; None where that is not known, or damaged."""
    try:
        return Checked.from_json(read_json(folder / CHECK))
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json_text(content) + "\n")
