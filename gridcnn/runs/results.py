"""Results of a run, read back; a file that no run would write is reported in one line."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, Strict, field_validator

from gridcnn.errors import RunFolderError, quoted, shown
from gridcnn.files import as_written, open_ordinary, read_json
from gridcnn.model import METRICS
from gridcnn.order.guard import Checked
from gridcnn.runs.folder import PREDICTIONS
from gridcnn.runs.label_predictions import check_label_row, predictions_header
from gridcnn.settings.base import Many, Share, Whole, wanted_error
from gridcnn.settings.content import Content, Loss, Name, Seconds

_NAMES = ("item", "truth", "answer")
_VOTE = re.compile(r"[01]\.[0-9]{6}")
_ROUNDED = 1e-5
"""How far the sum of an item's rounded votes may be from 1, for each class."""


class _PartContent(Content):
    title: ClassVar[str] = "a part"

    accuracy: Share
    loss: Loss
    items: Many


class _LiteralContent(Content):
    title: ClassVar[str] = "the literal comparison"

    accuracy: Share


class MetricsContent(Content):
    """The part of a finished run's `metrics.json` that is read back."""

    title: ClassVar[str] = "the metrics"

    test: _PartContent
    validation: _PartContent | None = None
    train: _PartContent | None = None
    literal_comparison: _LiteralContent
    classes: list[str | Annotated[int, Strict()]] = Field(min_length=1)
    epochs: Many
    best_epoch: Many
    parameters: Whole
    engine: Name
    threads: Many | None
    skipped_items: Whole
    seconds: dict[str, Seconds]
    check: dict[str, Any] | None = None

    @field_validator("classes")
    @classmethod
    def _differ(cls, value: list[str | int]) -> list[str | int]:
        if len(set(map(str, value))) < len(value):
            raise ValueError(f"two are the same: {shown(value)}")
        return value

    @field_validator("validation", "train", "check", mode="before")
    @classmethod
    def _is_not_null(cls, value: Any) -> Any:
        if value is None:
            raise wanted_error("there, or left out")
        return value

    @field_validator("check")
    @classmethod
    def _is_a_check(cls, value: dict[str, Any]) -> dict[str, Any]:
        Checked.from_json(value)
        return value


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return the content of a finished run's `metrics.json`.

    Raises:
        RunFolderError: it cannot be read, or no run has written it like this.
    """
    path = folder / METRICS
    try:
        content: dict[str, Any] = read_json(path)
        MetricsContent.read(content)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise _damage_error(path, str(error)) from None
    return content


def has_labels(metrics: Mapping[str, Any]) -> bool:
    """Return whether a run's items may have several labels, by its `metrics.json`."""
    return "labels" in metrics["test"]


def read_predictions(folder: Path, metrics: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns in the `predictions.csv` of a finished run, and its rows.

    `metrics` are those of the same run: the same classes and the same number of items.

    Raises:
        RunFolderError: it cannot be read, or no run has written it like this.
    """
    path = folder / PREDICTIONS
    classes = [as_written(str(label)) for label in metrics["classes"]]
    header = [*_NAMES, *(f"votes.{label}" for label in classes)]
    several = has_labels(metrics)
    if several:
        header = predictions_header(classes)
    try:
        with open_ordinary(path) as file:
            lines = csv.reader(_decode(file))
            if next(lines, None) != header:
                raise ValueError("its columns are not those of the classes in metrics.json")
            rows = [
                check_label_row(row, number, len(classes))
                if several
                else _check_row(row, number, classes)
                for number, row in enumerate(lines, 2)
            ]
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, csv.Error) as error:
        raise _damage_error(path, str(error)) from None
    items = metrics["test"]["items"]
    if len(rows) != items:
        raise _damage_error(path, f"it has {len(rows):,} items, and metrics.json {items:,}")
    return header, rows


def _decode(file: Any) -> Iterator[str]:
    return (line.decode("utf-8") for line in file)


def _check_row(row: Sequence[str], number: int, classes: Sequence[str]) -> list[str]:
    """Return a row; raise `ValueError` if it has no two classes, and a vote for each class."""
    if len(row) != len(_NAMES) + len(classes):
        raise ValueError(f"row {number} has {len(row)} cells")
    for label in row[1:3]:
        if label not in classes:
            raise ValueError(f"row {number} has {quoted(label)}, which is not a class")
    if not all(map(_VOTE.fullmatch, row[3:])):
        raise ValueError(f"row {number} has votes that are not numbers")
    votes = [float(text) for text in row[3:]]
    outside = [vote for vote in votes if not 0 <= vote <= 1]
    if outside or abs(math.fsum(votes) - 1) > _ROUNDED * len(classes):
        raise ValueError(f"row {number} has votes that are not parts of 1")
    return list(row)


def _damage_error(path: Path, reason: str) -> RunFolderError:
    return RunFolderError(
        f"{path} is damaged: {reason}; delete the folder {path.parent} to train it again"
    )
