"""Writes the report of a run into its folder, or makes it again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gridcnn.contracts.source import TEST
from gridcnn.errors import DataError, GridcnnError, ReportWarning, RunFolderError
from gridcnn.files import as_written, json_text, write_text
from gridcnn.progress import Advance
from gridcnn.report.running.answers import read_answers
from gridcnn.report.running.gathering import Facts, gather
from gridcnn.report.running.page import run_page
from gridcnn.report.running.several import is_several, several_page
from gridcnn.report.running.stored import read_ended_metrics, read_run
from gridcnn.runs.folder import REPORT, REPORTED, SPEC, read_check
from gridcnn.runs.located import locate, spec_folder
from gridcnn.runs.prepare import prepare
from gridcnn.spec.load import load


def add_report(
    facts: Facts, folder: Path, metrics: dict[str, Any], *, advance: Advance | None = None
) -> Path | None:
    """Write `report.json` and `report.html` into the folder of a run that has just ended.

    The results are complete before it, so that nothing raises: what goes wrong is a
    `ReportWarning`, and None is returned.
    """

    def make() -> Path:
        content = gather(facts, folder, metrics, advance=advance)
        write_text(folder / REPORTED, json_text(content) + "\n")
        return make_report(folder)

    return attempt(make, folder)


def add_several_report(folder: Path) -> Path | None:
    """Write `report.html` about several runs that have just ended, as `add_report` does for one."""
    return attempt(lambda: make_report(folder), folder)


def attempt(make: Callable[[], Path], folder: Path) -> Path | None:
    """Return what `make` returns; None, with a warning, if it cannot make a report."""
    try:
        return make()
    except GridcnnError as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    warnings.warn(
        f"the run in {folder} has succeeded, but its report cannot be written: {reason}; once "
        f"that is fixed, make it with: gridcnn report {folder}",
        ReportWarning,
        stacklevel=3,
    )
    return None


def gather_again(folder: Path, *, advance: Advance | None = None) -> bool:
    """Write the `report.json` of a run that has none, from its data; return whether it is written.

    There is nothing to do if it has one, holds several runs, or had its data in memory.

    Raises:
        UserError: the data cannot be read any more, or is not that of the run.
    """
    if (folder / REPORTED).is_file() or is_several(folder):
        return False
    metrics = read_ended_metrics(folder)
    spec = load(folder / SPEC)
    if spec.data is None or spec.data.source is None:
        return False
    prepared = prepare(locate(spec, None, spec_folder(spec)), advance=advance)
    if TEST in metrics:
        names = [as_written(name) for name in prepared.test.names]
        if names != list(read_answers(folder, metrics).names):
            raise DataError("the test items of the data are no longer those of the run")
    content = gather(Facts(prepared, read_check(folder)), folder, metrics, advance=advance)
    _write(folder / REPORTED, json_text(content) + "\n")
    return True


def _write(path: Path, content: str) -> None:
    try:
        write_text(path, content)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from None


def make_report(folder: Path) -> Path:
    """Write the page about the run in a folder, and return where it is.

    Raises:
        RunFolderError: the folder holds no run that has ended, is damaged, or cannot be written
            to.
    """
    page = report_of(folder)
    path = folder / REPORT
    _write(path, page)
    return path


def report_of(folder: Path) -> str:
    """Return the page about the run in a folder, as HTML.

    Raises:
        RunFolderError: the folder holds no run that has ended, or is damaged.
    """
    if is_several(folder):
        return several_page(folder, load(folder / SPEC))
    return run_page(read_run(folder), load(folder / SPEC))
