"""The report of several runs in one folder: of each fold, or of each seed, and of all together."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from markupsafe import Markup

from gridcnn.contracts.source import TEST
from gridcnn.errors import RunFolderError
from gridcnn.files import open_ordinary, read_json
from gridcnn.measures import wilson
from gridcnn.model import METRICS
from gridcnn.report.assembly import assemble
from gridcnn.report.charts import (
    MOST_CURVES,
    Bar,
    Curve,
    bars_chart,
    curves_chart,
    key,
    number_text,
    part_text,
)
from gridcnn.report.numbers import percent, seconds
from gridcnn.report.running import sections
from gridcnn.report.running.answers import Answers, answers_of
from gridcnn.report.running.choosing import Choice, choose
from gridcnn.report.running.page import in_memory, page_data, run_words
from gridcnn.report.running.stored import (
    LookContent,
    ReportContent,
    StoredRun,
    damage_error,
    read_gathered,
    read_history,
    read_text,
)
from gridcnn.runs.folder import PREDICTIONS, REPORT, SPEC, function_of, is_unfinished, title_of
from gridcnn.spec.models import Spec

_MOST_BARS = 30
_ROOM = 1_500_000
"""Characters of all looks together."""
_CHARTS = {
    "Training loss": ("loss", number_text),
    "Validation loss": ("validation_loss", number_text),
    "Training accuracy": ("accuracy", part_text),
    "Validation accuracy": ("validation_accuracy", part_text),
}


@dataclass(frozen=True)
class _Part:
    """One of the runs: what it is called, its folder inside, and its figures."""

    name: str
    folder: str
    figures: Mapping[str, Any]


def several_page(folder: Path, spec: Spec) -> str:
    """Return the page about a cross-validation or a repetition.

    Raises:
        RunFolderError: it has not ended, or is damaged.
    """
    metrics = _read_metrics(folder)
    parts = _parts(metrics)
    together = _together(folder, metrics, parts)
    choice = Choice([], [], {}, {})
    if together is not None and together.answers is not None:
        choice = choose(together.answers)
    accuracy = metrics[TEST]["accuracy"]
    several = "auc" in metrics[TEST]
    measured = metrics[TEST]["auc"] if several else accuracy
    return assemble(
        "runs.html",
        title=f"{spec.name}: {_text(measured['mean'], several)} on average",
        data=None if together is None else page_data(together, choice),
        scripts=("items.js", "confusion.js"),
        name=spec.name,
        folder=str(folder),
        kind=title_of(folder),
        what="mean area under the ROC curve of the labels" if several else "test accuracy",
        measured={name: _figure(value, several) for name, value in measured.items()},
        literal=metrics["literal_comparison"]["accuracy"],
        runs=_rows(folder, parts, several=several),
        chart=_chart(parts, several=several),
        learning=_learning(folder, parts, several=several),
        shown=min(len(parts), MOST_CURVES),
        together=None if together is None else metrics["out_of_fold"],
        several=several,
        confusion=None if together is None else sections.confusion(together, choice),
        label_counts=None if together is None else sections.label_counts(together, choice),
        scores=None if together is None else sections.classes(together),
        reliability=None if together is None else sections.reliability(together),
        mistakes=len(choice.mistakes),
        unsure=len(choice.unsure),
        spent=seconds(metrics["seconds"]["total"]),
        skipped=metrics.get("skipped_items", 0),
        again=_again(folder, metrics, spec),
        spec=read_text(folder / SPEC),
        figure=sections.figure,
        share=sections.share,
    )


def _again(folder: Path, metrics: Mapping[str, Any], spec: Spec) -> str:
    """Return how to make the same runs again: a command, or Python if the data was in memory."""
    path = str(folder / SPEC)
    if "folds" not in metrics:
        seeds = len(metrics["runs"])
        if in_memory(spec):
            return f"gridcnn.repeat({path!r}, data=..., repeats={seeds})"
        return shlex.join([*run_words(folder, metrics), "--repeat", str(seeds)])
    by_groups = any("group" in fold for fold in metrics["folds"])
    folds: int | str = "groups" if by_groups else len(metrics["folds"])
    if in_memory(spec):
        return f"gridcnn.cross_validate({path!r}, data=..., folds={folds!r})"
    return shlex.join([*run_words(folder, metrics), "--folds", str(folds)])


def _text(value: float, several: bool) -> str:
    return f"{value:.3f}" if several else percent(value)


def _figure(value: float, several: bool) -> Markup:
    return sections.figure(value, _text(value, several))


def _read_metrics(folder: Path) -> dict[str, Any]:
    path = folder / METRICS
    if not path.is_file():
        hint = f"; continue it with: gridcnn run --resume {folder}"
        raise RunFolderError(
            f"the {title_of(folder)} in {folder} has not ended, and has no results to show yet"
            f"{hint if is_unfinished(folder) else ''}"
        )
    try:
        content = read_json(path)
        _check_metrics(content)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise damage_error(path, f"it has no figures of several runs ({error})") from None
    found: dict[str, Any] = content
    return found


def _check_metrics(content: Any) -> None:
    """Raise an error if the figures that the page shows are not there."""
    for each in (content[TEST]["accuracy"], content["literal_comparison"]["accuracy"]):
        for name in ("mean", "std", "min", "max"):
            float(each[name])
    float(content["seconds"]["total"])
    for run in content.get("folds") or content["runs"]:
        if Path(run["folder"]).name != run["folder"]:
            raise ValueError("a run lies outside")
        float(run[TEST]["accuracy"]), int(run[TEST]["items"])


def _parts(metrics: Mapping[str, Any]) -> list[_Part]:
    if "folds" in metrics:
        return [_Part(_fold_name(each), each["folder"], each) for each in metrics["folds"]]
    return [_Part(f"seed {each['seed']}", each["folder"], each) for each in metrics["runs"]]


def _fold_name(fold: Mapping[str, Any]) -> str:
    return f"fold {fold['fold']} of {fold['of']}" if "fold" in fold else f"group {fold['group']}"


def _rows(folder: Path, parts: Sequence[_Part], *, several: bool) -> list[dict[str, Any]]:
    rows = []
    for part in parts:
        test = part.figures[TEST]
        has_page = (folder / part.folder / REPORT).is_file()
        rows.append(
            {
                "name": part.name,
                "link": f"{part.folder}/{REPORT}" if has_page else None,
                "cells": [
                    _figure(test["auc"] if several else test["accuracy"], several)
                    if not several or test.get("auc") is not None
                    else "-",
                    sections.figure(test["loss"], f"{test['loss']:.4f}"),
                    sections.figure(test["items"], f"{test['items']:,}"),
                    sections.figure(part.figures["epochs"], str(part.figures["epochs"])),
                    sections.figure(part.figures["best_epoch"], str(part.figures["best_epoch"])),
                ],
            }
        )
    return rows


def _chart(parts: Sequence[_Part], *, several: bool) -> Markup | None:
    """Return the result of each run as bars; None if there are too many to be read."""
    if len(parts) > _MOST_BARS:
        return None
    bars = []
    for part in parts:
        test = part.figures[TEST]
        if several:
            if test.get("auc") is not None:
                bars.append(Bar(part.name, test["auc"]))
            continue
        low, high = wilson(round(test["accuracy"] * test["items"]), test["items"])
        bars.append(Bar(part.name, test["accuracy"], low, high))
    return Markup(bars_chart("Result of each run", bars)) if bars else None


def _learning(folder: Path, parts: Sequence[_Part], *, several: bool) -> list[dict[str, Any]]:
    """Return learning curves, one for each of the first runs."""
    some = parts[:MOST_CURVES]
    histories = {part.name: read_history(folder / part.folder) for part in some}
    return learning_charts(histories, several=several)


def mean_history(folder: Path) -> list[dict[str, float]]:
    """Return the history of several runs in one folder: of each epoch the means of those it had.

    Raises:
        RunFolderError: they have not ended, or are damaged.
    """
    parts = _parts(_read_metrics(folder))
    by_epoch: dict[float, list[dict[str, float]]] = {}
    for part in parts:
        for row in read_history(folder / part.folder):
            by_epoch.setdefault(row["epoch"], []).append(row)
    return [
        {name: mean(row[name] for row in rows if name in row) for name in rows[0]}
        for _, rows in sorted(by_epoch.items())
    ]


def learning_charts(
    histories: Mapping[str, list[dict[str, float]]], *, several: bool | None
) -> list[dict[str, Any]]:
    """Return charts with a curve for each of several named runs.

    `several` says whether their items may have several labels; None: those of some runs.
    """
    charts = []
    for usual, (column, text) in _CHARTS.items():
        title, note = usual, ""
        if "accuracy" in usual and several is not False:
            exact = usual.replace("accuracy", "exact match")
            title = exact if several else f"{usual}; of several labels the exact match"
            note = sections.EVEN_CURVES
        curves = [
            Curve(name, [(row["epoch"], row[column]) for row in history if column in row])
            for name, history in histories.items()
        ]
        if all(curve.points for curve in curves):
            picture = Markup(curves_chart(title, curves, below="epoch", text=text))
            keys = [(Markup(key(number)), curve.name) for number, curve in enumerate(curves)]
            charts.append(
                {"title": title, "picture": picture, "key": keys, "best": None, "note": note}
            )
    return charts


def _together(folder: Path, metrics: Mapping[str, Any], parts: Sequence[_Part]) -> StoredRun | None:
    """Return all answers of a cross-validation as those of one run; None of a repetition."""
    if "out_of_fold" not in metrics:
        return None
    figures = {
        "classes": metrics["classes"],
        TEST: metrics["out_of_fold"],
        "literal_comparison": {"accuracy": metrics["literal_comparison"]["accuracy"]["mean"]},
    }
    answers = _read_answers(folder, figures)
    gathered = _gather_looks(folder, parts)
    return StoredRun(folder, figures, [], "", None, answers, gathered)


def _read_answers(folder: Path, figures: dict[str, Any]) -> Answers:
    import csv

    path = folder / PREDICTIONS
    try:
        with open_ordinary(path) as file:
            lines = csv.reader(line.decode("utf-8") for line in file)
            header, rows = next(lines), list(lines)
        return answers_of(rows, figures, first=header.index("item"))
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, IndexError, StopIteration, csv.Error) as error:
        raise damage_error(path, f"it has no predictions of several runs ({error})") from None


def _gather_looks(folder: Path, parts: Sequence[_Part]) -> ReportContent | None:
    """Return the looks of items of all runs, by their numbers among all answers."""
    items: dict[str, LookContent] = {}
    first: ReportContent | None = None
    start, room = 0, _ROOM
    for part in parts:
        gathered = read_gathered(folder / part.folder)
        first = first or gathered
        for item, look in ({} if gathered is None else gathered.items).items():
            size = len(look.picture or "") + len(look.sound or "") + len(look.text or "")
            if size <= room:
                items[str(start + int(item))] = look
                room -= size
        start += part.figures[TEST]["items"]
    if first is None:
        return None
    return first.model_copy(update={"items": items, "examples": {}})


def is_several(folder: Path) -> bool:
    """Return whether a folder holds several runs."""
    return function_of(folder) != "run"
