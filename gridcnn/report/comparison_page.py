"""A comparison of runs as one self-contained page: figures, settings, learning curves."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from gridcnn.comparison import FIGURES, ComparedRun, Comparison
from gridcnn.report.assembly import assemble
from gridcnn.report.charts import MOST_CURVES, Bar, bars_chart
from gridcnn.report.numbers import seconds
from gridcnn.report.running.sections import figure, share
from gridcnn.report.running.several import learning_charts, mean_history
from gridcnn.report.running.stored import read_history
from gridcnn.runs.folder import REPORT
from gridcnn.settings.notation import notation


def comparison_page(found: Comparison, *, beside: Path) -> str:
    """Return a comparison as HTML.

    Args:
        found: the comparison.
        beside: the folder in which the page will stand: links to the runs' own pages start there.
    """
    rows = [
        (title, [_figure(name, run) for run in found.runs])
        for name, title in FIGURES.items()
        if any(name in run.figures for run in found.runs)
    ]
    settings = [
        (name, [notation(value) for value in each]) for name, each in found.settings.items()
    ]
    return assemble(
        "comparison.html",
        title=f"{len(found.runs)} runs compared",
        runs=[_run(run, beside) for run in found.runs],
        chart=_chart(found.runs),
        areas=_are_areas(found.runs),
        rows=rows,
        settings=settings,
        tests=[test.sentence for test in found.tests],
        notes=found.notes,
        learning=_learning(found.runs),
        shown=min(len(found.runs), MOST_CURVES),
        means=any(run.kind != "run" for run in found.runs),
    )


def _run(run: ComparedRun, beside: Path) -> dict[str, Any]:
    page = run.folder / REPORT
    link = None
    if page.is_file():
        # On Windows, folders on two drives have no path from one to the other.
        with contextlib.suppress(ValueError):
            link = quote(Path(os.path.relpath(page.resolve(), beside.resolve())).as_posix())
    return {"name": str(run.folder), "kind": run.kind, "spec": run.spec.name, "link": link}


def _figure(name: str, run: ComparedRun) -> Markup:
    value = run.figures.get(name)
    if value is None:
        return Markup("-")
    if name == "interval":
        return Markup("{} to {}").format(*(share(end) for end in value))
    spread = run.figures.get(f"{name}_std")
    if "accuracy" in name or "exact_match" in name:
        shown, about = share(value), None if spread is None else share(spread)
    elif "seconds" in name:
        shown, about = figure(value, seconds(value)), None
    elif "loss" in name or name == "auc":
        shown, about = figure(value, f"{value:.4f}"), None if spread is None else figure(spread)
    else:
        shown, about = figure(value, f"{value:,}"), None
    return shown if about is None else Markup("{} ± {}").format(shown, about)


def _chart(runs: Sequence[ComparedRun]) -> Markup | None:
    """Return the accuracies as bars, or the areas under the curve if labels are several."""
    areas = _are_areas(runs)
    bars = []
    for run in runs:
        low, high = (None, None) if areas else run.figures.get("interval") or (None, None)
        value = run.figures.get("auc" if areas else "test_accuracy")
        if value is None:
            return None
        bars.append(Bar(_short(str(run.folder)), value, low, high))
    what = "Mean area under the ROC curve" if areas else "Test accuracy"
    return Markup(bars_chart(f"{what} of each run", bars))


def _are_areas(runs: Sequence[ComparedRun]) -> bool:
    """Return whether all runs have several labels, which are measured by areas under curves."""
    return all("test_exact_match" in run.figures for run in runs)


def _learning(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """Return learning curves; of several runs in one folder their mean."""
    curves = runs[:MOST_CURVES]
    histories = {_short(str(run.folder)): _history(run) for run in curves}
    labelled = [any("exact_match" in name for name in run.figures) for run in curves]
    several = all(labelled) or (None if any(labelled) else False)
    return learning_charts(histories, several=several) if len(histories) > 1 else []


def _history(run: ComparedRun) -> list[dict[str, float]]:
    return read_history(run.folder) if run.kind == "run" else mean_history(run.folder)


def _short(name: str, longest: int = 34) -> str:
    """Return the end of a path, in which runs differ."""
    return name if len(name) <= longest else f"…{name[1 - longest :]}"
