"""The parts of a report, as what its template shows; every number is one of the run's files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from gridcnn.contracts.source import PARTS, TEST, VALIDATION
from gridcnn.errors import sized
from gridcnn.measures import wilson
from gridcnn.order.usefulness import Usefulness
from gridcnn.report.charts import (
    Bar,
    Curve,
    bars_chart,
    curves_chart,
    key,
    part_text,
    reliability_chart,
)
from gridcnn.report.numbers import percent, seconds
from gridcnn.report.pictures import accuracy_picture, curve_picture
from gridcnn.report.running.choosing import Choice
from gridcnn.report.running.stored import ReportContent, StoredRun
from gridcnn.report.sentences import list_of

MOST_TABLE = 24
"""Classes up to which a confusion is a table; a larger one is a picture."""
EVEN_CURVES = (
    "While it trains, each label is an answer from a vote of 0.5 on. With validation items, the "
    "thresholds of the final figures are chosen on them after the training, so these differ."
)
"""Why curves of several labels do not end at the final figures."""
_HEATS = 5
_CONFUSED = 12
"""Pairs of classes that are confused most often, in a list."""
_PART_NAMES = {"train": "training", "validation": "validation", "test": "test"}
_TIMES = {
    "reading": "reading the data",
    "checking": "checking whether its order means anything",
    "planning": "planning the epochs",
    "training": "training",
    "total": "in all, with measuring",
}


def figure(value: float | None, text: str | None = None) -> Markup:
    """Return a number that a program reads exactly, and a person in few digits."""
    if value is None:
        return Markup("-")
    shown = f"{value:.3f}" if text is None else text
    return Markup('<data value="{}">{}</data>').format(repr(value), shown)


def share(value: float | None) -> Markup:
    """Return a part of 1 in percent, as `figure` does."""
    return figure(value, None if value is None else percent(value))


def comparison(run: StoredRun) -> dict[str, Any] | None:
    """Return the accuracy beside that of simpler ways; None without test items."""
    metrics = run.metrics
    if TEST not in metrics:
        return None
    test, items = metrics[TEST], metrics[TEST]["items"]
    baseline = None if run.gathered is None else run.gathered.baseline
    literal = metrics["literal_comparison"]
    if run.answers is not None and run.answers.several:
        return _compare_labels(test, literal, baseline, chosen=VALIDATION in metrics)
    low, high = test.get("interval") or wilson(round(test["accuracy"] * items), items)
    rows: list[dict[str, Any]] = [
        {
            "name": "this network",
            "value": test["accuracy"],
            "interval": (low, high),
            "about": f"with the weights of epoch {metrics['best_epoch']}",
        }
    ]
    if baseline is not None and baseline.accuracy is not None:
        rows.append(
            {
                "name": baseline.name,
                "value": baseline.accuracy,
                "interval": baseline.interval,
                "about": "a plain baseline on single cells, which ignores neighbours; fitted on "
                f"{baseline.train_items:,} training items",
            }
        )
    rows.append(
        {
            "name": "literal comparison",
            "value": literal["accuracy"],
            "interval": wilson(round(literal["accuracy"] * items), items),
            "about": f"of {literal.get('exemplars', 'some')} training items as they are, the class "
            "of the one that differs least, cell by cell",
        }
    )
    majority = test.get("majority")
    if majority is not None:
        rows.append(
            {
                "name": f"always {_short(str(majority['class']))}",
                "value": majority["accuracy"],
                "interval": None,
                "about": "the most frequent class of the test items",
            }
        )
    return {
        "headline": percent(test["accuracy"]),
        "value": test["accuracy"],
        "what": "test accuracy",
        "tested": items,
        "interval": (low, high),
        "rows": rows,
        "chart": _bars(rows),
        "several": False,
    }


def _compare_labels(
    test: Mapping[str, Any], literal: Mapping[str, Any], baseline: Any, *, chosen: bool
) -> dict[str, Any]:
    rows = [{"name": "this network", "value": test["auc"], "interval": None, "about": ""}]
    if baseline is not None and baseline.auc is not None:
        rows.append(
            {
                "name": baseline.name,
                "value": baseline.auc,
                "interval": None,
                "about": "a plain baseline on single cells; fitted on "
                f"{baseline.train_items:,} training items",
            }
        )
    if literal.get("auc") is not None:
        rows.append(
            {
                "name": "literal comparison",
                "value": literal["auc"],
                "interval": None,
                "about": "the nearest training items with the label and without it, cell by cell",
            }
        )
    rows.append({"name": "guessing", "value": 0.5, "interval": None, "about": ""})
    rows = [row for row in rows if row["value"] is not None]
    return {
        "headline": "-" if test["auc"] is None else f"{test['auc']:.3f}",
        "value": test["auc"],
        "what": "mean area under the ROC curve of the labels",
        "tested": test["items"],
        "interval": None,
        "exact": test["accuracy"],
        "chosen": chosen,
        "rows": rows,
        "chart": _bars(rows),
        "several": True,
    }


def _bars(rows: Sequence[Mapping[str, Any]]) -> Markup:
    bars = []
    for row in rows:
        low, high = row["interval"] or (None, None)
        bars.append(Bar(_short(row["name"]), row["value"], low, high))
    return Markup(bars_chart("Accuracy beside simpler ways", bars, marked=True))


def _short(name: str, longest: int = 34) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def data(run: StoredRun) -> dict[str, Any]:
    """Return what is known about the data: counts, equal items, what was skipped."""
    gathered = run.gathered
    content: dict[str, Any] = {
        "counts": None,
        "equal": [],
        "skipped": run.skipped,
        "skipped_items": run.metrics.get("skipped_items", 0),
        "notes": run.metrics.get("notes", []),
        "grid": "",
        "examples": False,
    }
    if gathered is None:
        return content
    parts = {name: gathered.data.counts[name] for name in PARTS if name in gathered.data.counts}
    content["counts"] = {
        "parts": [_PART_NAMES[name] for name in parts],
        "totals": [counts.items for counts in parts.values()],
        "rows": [
            (str(label), [counts.classes.get(str(label), 0) for counts in parts.values()])
            for label in run.metrics["classes"]
        ],
    }
    channels, rows, columns = gathered.grid.shape
    axes = (gathered.grid.rows, gathered.grid.columns)
    content["grid"] = f"{channels} x {rows} x {columns} (channels x rows x columns)" + (
        ", of pixels"
        if all(axis.unit == "pixels" for axis in axes)
        else f"; rows are: {_axis(axes[0])}; columns are: {_axis(axes[1])}"
    )
    content["equal"] = _equal(gathered, content["notes"])
    content["examples"] = any(gathered.examples.values())
    return content


def _axis(axis: Any) -> str:
    return f"{axis.name}, in {axis.unit}" if axis.unit else f"{axis.name}"


def _equal(gathered: ReportContent, notes: Sequence[str]) -> list[str]:
    """Return sentences about items that are, as grids, equal to others, unless notes say it."""
    equal = gathered.data.equal
    if equal is None:
        return []
    within, between = sum(equal.within.values()), sum(equal.between.values())
    if not within:
        return ["no two items are equal as grids"]
    sentences = [f"{within:,} {_items(within)} equal, as grids, to an earlier one"]
    is_noted = any("the same grid" in note for note in notes)
    if between and not is_noted:
        each = ", ".join(
            f"{count:,} of {_PART_NAMES.get(name, name)}"
            for name, count in equal.between.items()
            if count
        )
        sentences.append(f"{between:,} {_items(between)} equal to one of another part ({each})")
    if equal.torn and not is_noted:
        sentences.append(
            f"{equal.torn:,} {_items(equal.torn)} equal to one of another class or label"
        )
    return sentences


def _items(count: int) -> str:
    return "item is" if count == 1 else "items are"


def learning(run: StoredRun) -> list[dict[str, Any]]:
    """Return the learning curves: loss, accuracy and learning rate, each with its key."""
    best = run.metrics.get("best_epoch")
    several = run.answers is not None and run.answers.several
    measured = "exact match" if several else "accuracy"
    charts = [
        ("Loss", {"training": "loss", "validation": "validation_loss"}, None, None),
        (
            measured.capitalize(),
            {"training": "accuracy", "validation": "validation_accuracy"},
            part_text,
            None,
        ),
        ("Learning rate", {"learning rate": "learning_rate"}, None, None),
    ]
    pictures = []
    for title, columns, text, limits in charts:
        curves = [
            Curve(name, [(row["epoch"], row[column]) for row in run.history if column in row])
            for name, column in columns.items()
        ]
        curves = [curve for curve in curves if curve.points]
        if not curves or (title == "Learning rate" and _is_constant(curves[0])):
            continue
        more = {} if text is None else {"text": text}
        pictures.append(
            {
                "title": title,
                "picture": Markup(
                    curves_chart(title, curves, below="epoch", mark=best, limits=limits, **more)
                ),
                "key": [(Markup(key(place)), curve.name) for place, curve in enumerate(curves)],
                "best": best,
                "note": EVEN_CURVES if several and VALIDATION in run.metrics and text else "",
            }
        )
    return pictures


def _is_constant(curve: Curve) -> bool:
    return len({value for _, value in curve.points}) == 1


def confusion(run: StoredRun, choice: Choice) -> dict[str, Any] | None:
    """Return how often each class was answered with each other; None if labels are several."""
    answers = run.answers
    if answers is None or answers.several:
        return None
    names = [str(label) for label in answers.classes]
    sums = [0] * len(names)
    for (truth, _), count in choice.counts.items():
        sums[truth] += count
    confused = sorted(
        (
            (count, truth, answer)
            for (truth, answer), count in choice.counts.items()
            if truth != answer
        ),
        key=lambda each: (-each[0], each[1], each[2]),
    )
    rows = None
    if len(names) <= MOST_TABLE:
        rows = [
            (
                name,
                [
                    _cell(choice.counts.get((truth, answer), 0), sums[truth], truth == answer)
                    for answer in range(len(names))
                ],
                sums[truth],
            )
            for truth, name in enumerate(names)
        ]
    return {
        "names": names,
        "rows": rows,
        "most": [
            (names[truth], names[answer], truth, answer, count)
            for count, truth, answer in confused[:_CONFUSED]
        ],
    }


def label_counts(run: StoredRun, choice: Choice) -> list[tuple[str, list[int]]] | None:
    """Return for each label how many items have each truth and answer; None for classes."""
    if run.answers is None or not run.answers.several:
        return None
    return [
        (str(label), [choice.counts.get((number, kind), 0) for kind in range(4)])
        for number, label in enumerate(run.answers.classes)
    ]


def _cell(count: int, of: int, right: bool) -> tuple[int, str]:
    """Return a count, and the class of its colour: by its part of the row."""
    level = 0 if not count else max(1, math.ceil(_HEATS * count / max(of, 1)))
    return count, f"{'heat' if right else 'miss'}-{level}"


def classes(run: StoredRun) -> dict[str, Any] | None:
    """Return the scores of each class, or label, as a table."""
    test = run.metrics.get(TEST, {})
    if "labels" in test:
        heads = ("label", "known", "have it", "AUC", "average precision", "precision", "recall")
        rows = [
            (
                name,
                [
                    figure(each["known"], f"{each['known']:,}"),
                    figure(each["positives"], f"{each['positives']:,}"),
                    figure(each["auc"]),
                    figure(each["average_precision"]),
                    share(each["precision"]),
                    share(each["recall"]),
                    figure(each["f1"]),
                    figure(each["threshold"]),
                ],
            )
            for name, each in test["labels"].items()
        ]
        return {"heads": (*heads, "F1", "threshold"), "rows": rows, "means": _means(test)}
    if "classes" not in test:
        return None
    rows = [
        (
            name,
            [
                figure(each["items"], f"{each['items']:,}"),
                share(each["precision"]),
                share(each["recall"]),
                figure(each["f1"]),
                figure(each.get("auc")),
                figure(each.get("average_precision")),
            ],
        )
        for name, each in test["classes"].items()
    ]
    heads = ("class", "items", "precision", "recall", "F1", "AUC", "average precision")
    return {"heads": heads, "rows": rows, "means": _means(test)}


def _means(test: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Return the figures of all classes together."""
    named = {
        "balanced_accuracy": "mean recall of the classes (balanced accuracy)",
        "macro_f1": "mean F1 of the classes (macro F1)",
        "micro_f1": "F1 of all answers together (micro F1)",
        "auc": "mean area under the ROC curve",
        "average_precision": "mean average precision",
        "right": "part of all single answers that is right",
        "accuracy": "part of the items with all labels right (exact match)",
    }
    if "labels" not in test:
        del named["accuracy"]
    shares = {"balanced_accuracy", "right", "accuracy"}
    return [
        (title, share(test[name]) if name in shares else figure(test[name]))
        for name, title in named.items()
        if test.get(name) is not None
    ]


def reliability(run: StoredRun) -> dict[str, Any] | None:
    """Return whether votes are as sure as they are right; None if that is not known."""
    content = run.metrics.get(TEST, {}).get("reliability")
    if not content:
        return None
    bins = content["bins"]
    votes, right, items = ([each[name] for each in bins] for name in ("votes", "accuracy", "items"))
    calibration = run.metrics.get("calibration")
    return {
        "picture": Markup(reliability_chart(votes, right, items)),
        "error": share(content["error"]),
        "calibration": calibration,
        "rows": [
            (share(v), share(a), f"{n:,}") for v, a, n in zip(votes, right, items, strict=True)
        ],
    }


def check(run: StoredRun) -> dict[str, Any] | None:
    """Return the evidence of the checkers; None if none was asked."""
    content = run.metrics.get("check")
    if not content:
        return None
    known = {} if run.gathered is None else run.gathered.verdicts
    verdicts = []
    for each in content["verdicts"]:
        more = known.get(each["checker"])
        lags = use = None
        if more is not None and more.lags is not None:
            lags = {
                "picture": Markup(
                    curve_picture(more.lags.lags, more.lags.given, more.lags.low, more.lags.high)
                ),
                "matrix": more.lags.matrix,
                "shuffled": more.lags.shuffled,
                "shown": more.lags.shown,
            }
        if more is not None and more.usefulness is not None:
            values = more.usefulness.model_dump()
            figures = Usefulness(**{**values, "shuffled": tuple(values["shuffled"])})
            use = {
                "picture": Markup(accuracy_picture(figures)),
                "majority": percent(figures.majority),
                "rows": f"{figures.rows:,}",
            }
        summary = [] if more is None else more.summary
        sentences = Markup(list_of([*each["evidence"], *each["advice"]]))
        verdicts.append(
            {**each, "summary": summary, "sentences": sentences, "lags": lags, "use": use}
        )
    return {**content, "verdicts": verdicts}


def health(run: StoredRun) -> dict[str, Any]:
    """Return what looked wrong in training, how it ended, and what it took."""
    metrics, gathered = run.metrics, run.gathered
    memory: dict[str, str | None] | None = None
    if gathered is not None and gathered.memory is not None:
        memory = {
            "training": sized(gathered.memory.training),
            "prediction": sized(gathered.memory.prediction),
        }
        peak = gathered.machine.get("peak")
        memory["peak"] = sized(peak) if isinstance(peak, int) else None
    spent = metrics.get("seconds", {})
    return {
        "signs": metrics.get("signs", []),
        "answers": metrics.get(TEST, {}).get("notes", []),
        "stopped": metrics.get("stopped"),
        "restarts": metrics.get("restarts", 0),
        "epochs": metrics["epochs"],
        "best_epoch": metrics["best_epoch"],
        "validation": VALIDATION in metrics,
        "seconds": [
            (title, figure(spent[name], seconds(spent[name])))
            for name, title in _TIMES.items()
            if name in spent
        ],
        "memory": memory,
    }
