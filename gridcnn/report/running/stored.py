"""What a run folder holds, read back for its page, as far as it is there."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Len
from pydantic import Field, StringConstraints

from gridcnn.contracts.source import TEST
from gridcnn.errors import ModelFileError, RunFolderError, UserError
from gridcnn.files import open_ordinary, read_json, read_whole
from gridcnn.model import METRICS, load
from gridcnn.network import Network
from gridcnn.report.running.answers import Answers, read_answers
from gridcnn.runs.folder import HISTORY, REPORTED, SKIPPED, SPEC, no_finished_run
from gridcnn.runs.results import read_metrics
from gridcnn.settings.content import Content

_MOST_TEXT = 2**22
_MOST_SKIPPED = 50

Address = Annotated[
    str, StringConstraints(pattern=r"^data:(image/(png|jpeg)|audio/wav);base64,[A-Za-z0-9+/=]*$")
]
"""Data that stands in the page itself; nothing else may get into it."""


class LookContent(Content):
    """How an item looks; see `gridcnn.report.running.looks`."""

    title: ClassVar[str] = "a look"

    picture: Address | None = None
    rows: int | None = None
    columns: int | None = None
    curves: Annotated[list[list[float | None]], Len(0, 8)] | None = None
    text: str | None = None
    sound: Address | None = None
    seconds: float | None = None
    cut: bool = False


class _Axis(Content):
    title: ClassVar[str] = "an axis"

    name: str
    unit: str = ""


class _Grid(Content):
    title: ClassVar[str] = "the grid"

    shape: Annotated[list[int], Len(3, 3)]
    rows: _Axis
    columns: _Axis


class _Counts(Content):
    title: ClassVar[str] = "counts of items"

    items: int
    classes: dict[str, int]


class _Equal(Content):
    title: ClassVar[str] = "counts of equal items"

    within: dict[str, int]
    between: dict[str, int]
    torn: int


class _Data(Content):
    title: ClassVar[str] = "the data"

    counts: dict[str, _Counts]
    equal: _Equal | None = None


class _Baseline(Content):
    title: ClassVar[str] = "the baseline"

    name: str
    train_items: int
    accuracy: float | None = None
    interval: Annotated[list[float], Len(2, 2)] | None = None
    auc: float | None = None


class _Memory(Content):
    title: ClassVar[str] = "the memory"

    training: int
    prediction: int


class _Lags(Content):
    title: ClassVar[str] = "association by distance"

    lags: list[int]
    given: list[float]
    low: list[float]
    high: list[float]
    matrix: Address
    shuffled: Address
    shown: int


class _Usefulness(Content):
    title: ClassVar[str] = "accuracy as given and shuffled"

    given: float
    shuffled: Annotated[list[float], Len(1, 1000)]
    majority: float
    p_value: float
    rows: int
    classes: int
    error: float = 0.0
    rounds: int = 1


class _VerdictContent(Content):
    title: ClassVar[str] = "a verdict"

    summary: list[str] = Field(default_factory=list)
    layout: str | None = None
    lags: _Lags | None = None
    usefulness: _Usefulness | None = None


class ReportContent(Content):
    """What `report.json` holds."""

    title: ClassVar[str] = "the report"

    layout: Literal[1]
    made_by: str
    machine: dict[str, str | int | None]
    grid: _Grid
    memory: _Memory | None = None
    data: _Data
    examples: dict[str, list[LookContent]]
    baseline: _Baseline | None = None
    verdicts: dict[str, _VerdictContent] = Field(default_factory=dict)
    items: dict[str, LookContent] = Field(default_factory=dict)


@dataclass(frozen=True)
class StoredRun:
    """What the folder of a run that has ended holds.

    Attributes:
        folder: where it is.
        metrics: the content of `metrics.json`.
        history: the figures of each epoch, by their names; those that are not known are missing.
        spec: the text of `spec.yaml`.
        network: what was trained; None if the model file cannot be read.
        answers: those to the test items; None if there are none.
        gathered: the content of `report.json`; None if there is none.
        skipped: items that were left out, and why; the first of them.
        notes: what is missing, in sentences.
    """

    folder: Path
    metrics: dict[str, Any]
    history: list[dict[str, float]]
    spec: str
    network: Network | None
    answers: Answers | None
    gathered: ReportContent | None
    skipped: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_run(folder: Path) -> StoredRun:
    """Return what the folder of a run holds.

    Raises:
        RunFolderError: it holds no run that has ended, or a file of it is damaged.
    """
    metrics = read_ended_metrics(folder)
    notes: list[str] = []
    network = None
    try:
        network = load(folder, engine="reference").network
    except ModelFileError as error:
        notes.append(f"the pipeline is not drawn: {error}")
    gathered = read_gathered(folder)
    if gathered is None:
        notes.append(
            "example items, pictures and the baseline are missing: the folder has no report.json, "
            "because the run had --no-report, or was made by an older gridcnn"
        )
    return StoredRun(
        folder,
        metrics,
        read_history(folder),
        read_text(folder / SPEC),
        network,
        read_answers(folder, metrics) if TEST in metrics else None,
        gathered,
        _read_skipped(folder),
        notes,
    )


def read_ended_metrics(folder: Path) -> dict[str, Any]:
    """Return what the `metrics.json` of a run that has ended holds.

    Raises:
        RunFolderError: there is none, or it is damaged.
    """
    if not (folder / METRICS).is_file():
        raise RunFolderError(no_finished_run(folder))
    try:
        content = read_json(folder / METRICS)
    except OSError as error:
        raise _unreadable(folder / METRICS, error) from None
    except ValueError as error:
        raise damage_error(folder / METRICS, str(error)) from None
    if isinstance(content, dict) and TEST not in content and "classes" in content:
        return content  # no items were kept for a test
    return read_metrics(folder)


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return the figures of each epoch; none if there is no `history.csv`."""
    path = folder / HISTORY
    if not path.is_file():
        return []
    lines = csv.DictReader(read_text(path).splitlines())
    try:
        return [{name: float(cell) for name, cell in row.items() if name and cell} for row in lines]
    except (ValueError, TypeError, csv.Error):
        raise damage_error(path, "it has something other than numbers") from None


def read_text(path: Path) -> str:
    """Return the text of a file in a run folder.

    Raises:
        RunFolderError: it cannot be read.
    """
    try:
        return read_whole(path, most=_MOST_TEXT).decode("utf-8")
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:
        raise damage_error(path, str(error)) from None


def damage_error(path: Path, reason: str) -> RunFolderError:
    """Return the error about a file that no run has written like this."""
    return RunFolderError(f"{path} is damaged: {reason}")


def _unreadable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(f"{path} cannot be read: {error.strerror or error}")


def read_gathered(folder: Path) -> ReportContent | None:
    """Return the content of `report.json` in the folder of a run; None if there is none.

    Raises:
        RunFolderError: it cannot be read, or is damaged.
    """
    path = folder / REPORTED
    if not path.is_file():
        return None
    try:
        return ReportContent.read(read_json(path))
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, UserError) as error:
        raise RunFolderError(
            f"{path} is damaged: {error}; delete it, and the report shows the other results"
        ) from None


def _read_skipped(folder: Path) -> list[list[str]]:
    path = folder / SKIPPED
    if not path.is_file():
        return []
    try:
        with open_ordinary(path) as file:
            lines = csv.reader(line.decode("utf-8", "replace") for line in file)
            next(lines, None)
            return [row[:2] for row, _ in zip(lines, range(_MOST_SKIPPED), strict=False)]
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, csv.Error) as error:
        raise damage_error(path, str(error)) from None
