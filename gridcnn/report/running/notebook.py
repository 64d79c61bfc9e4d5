"""Specs, networks, runs and evaluations as pieces of HTML that a notebook shows.

Everything that they need is in them. They have a background of their own, since their text is dark
and a notebook's page may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from gridcnn.contracts.source import TEST, VALIDATION
from gridcnn.evaluation import Evaluation
from gridcnn.network import Network
from gridcnn.report.charts import Curve, curves_chart, key, part_text
from gridcnn.report.notebook import BOX, CELL, CODE
from gridcnn.report.numbers import interval, number, percent, seconds
from gridcnn.report.pipeline import draw_network
from gridcnn.report.running.sections import EVEN_CURVES
from gridcnn.runs.folder import REPORT
from gridcnn.runs.outcome import Run
from gridcnn.spec.models import Spec
from gridcnn.spec.write import to_yaml

_NUMBER = (
    "text-align: right; white-space: nowrap; padding: 0.2em 0.7em; border-bottom: 1px solid #d5d9df"
)
_TEXT = "text-align: left; padding: 0.2em 0.7em; border-bottom: 1px solid #d5d9df"
_MOST_CLASSES = 24
_BESIDE = "display: inline-block; margin: 0.3em 1em 0.3em 0; vertical-align: top"


def spec_html(spec: Spec) -> str:
    """Return a spec as HTML: what it is for, and its YAML as it was given."""
    about = f"<p>{escape(spec.description)}</p>" if spec.description else ""
    text = escape(to_yaml(spec, unset=False))
    return _box(f'<strong>{escape(spec.name)}</strong>{about}<pre style="{CODE}">{text}</pre>')


def network_html(network: Network) -> str:
    """Return a network as HTML: a row for each stage, with shapes, parameters and cost."""
    rows = [
        (
            f'<span style="padding-left: {brick.depth}em">{escape(brick.title)}</span> '
            f'<span style="color: #565d67">{escape(brick.settings)}</span>',
            escape(brick.shape),
            number(brick.parameters),
            number(brick.multiply_adds),
            f"{100 * brick.share:.1f} %",
        )
        for brick in draw_network(network)
    ]
    total = ("in all", "", number(network.parameters), number(network.multiply_adds), "")
    heads = ("stage", "channels x rows x columns", "parameters", "multiply-adds", "share")
    return _box(_table(heads, [*rows, total]))


def run_html(run: Run) -> str:
    """Return the results of a run as HTML: its figures, and its learning curves."""
    metrics = run.metrics
    facts: list[tuple[str, str]] = []
    if TEST in metrics:
        test = metrics[TEST]
        if run.model.several:
            auc = "-" if test["auc"] is None else f"{test['auc']:.3f}"
            facts.append(("mean area under the ROC curve", f"{auc} on {test['items']:,} items"))
            facts.append(
                ("exact match", f"{percent(test['accuracy'])}, with {_thresholds(metrics)}")
            )
        else:
            figures = f"on {test['items']:,} items ({interval(test['interval'])})"
            facts.append(
                ("test accuracy", f"<strong>{percent(test['accuracy'])}</strong> {figures}")
            )
            literal = metrics["literal_comparison"]["accuracy"]
            facts.append(("literal comparison", percent(literal)))
    facts.append(("epochs", f"{metrics['epochs']}; the weights of epoch {metrics['best_epoch']}"))
    facts.append(("parameters", number(metrics["parameters"])))
    facts.append(("time", f"{seconds(metrics['seconds']['total'])} in all"))
    facts += [("training", escape(sign["text"])) for sign in metrics["signs"]]
    facts.append(("results", f"<code>{escape(str(run.folder))}</code>"))
    if (run.folder / REPORT).is_file():
        facts.append(("report", f"<code>{escape(str(run.folder / REPORT))}</code>"))
    measured = "exact match" if run.model.several else "accuracy"
    charts = "".join(
        (
            _curves(run, "Loss", ("loss", "validation_loss")),
            _curves(run, measured.capitalize(), ("accuracy", "validation_accuracy")),
        )
    )
    note = f"<p>{EVEN_CURVES}</p>" if run.model.several else ""
    return _box(_facts(facts) + charts + note)


def _thresholds(metrics: Mapping[str, Any]) -> str:
    """Return a text about the thresholds of the labels."""
    if VALIDATION in metrics:
        return "thresholds that were chosen on the validation items after the training"
    return "thresholds of 0.5"


def _curves(run: Run, title: str, names: Sequence[str]) -> str:
    curves = []
    for label, name in zip(("training", "validation"), names, strict=True):
        points = [(each.epoch, getattr(each, name)) for each in run.history]
        known = [(float(epoch), value) for epoch, value in points if value is not None]
        if known:
            curves.append(Curve(label, known))
    best = run.metrics["best_epoch"]
    if title == "Loss":
        picture = curves_chart(title, curves, below="epoch", mark=best)
    else:
        picture = curves_chart(title, curves, below="epoch", mark=best, text=part_text)
    keys = " ".join(f"{key(place)} {curve.name}" for place, curve in enumerate(curves))
    head = f"<div><strong>{title}</strong></div>"
    return f'<div style="{_BESIDE}">{head}{picture}<div>{keys}</div></div>'


def evaluation_html(evaluation: Evaluation) -> str:
    """Return an evaluation as HTML: figures, the scores of each class, and the confusion."""
    what = "exact match" if evaluation.several else "accuracy"
    figures = f"on {evaluation.items:,} items ({interval(evaluation.interval)})"
    label, share = evaluation.majority
    facts = [(what, f"<strong>{percent(evaluation.accuracy)}</strong> {figures}")]
    facts.append(("always answering", f"{escape(str(label) or 'none')}: {percent(share)}"))
    if evaluation.auc is not None:
        facts.append(("area under the ROC curve", f"{evaluation.auc:.3f}"))
    facts += [("note", escape(note)) for note in evaluation.notes]
    rows = [
        (
            escape(name),
            f"{scores.items:,}",
            percent(scores.precision),
            percent(scores.recall),
            f"{scores.f1:.3f}",
            "-" if scores.auc is None else f"{scores.auc:.3f}",
        )
        for name, scores in evaluation.classes.items()
    ]
    kind = "label" if evaluation.several else "class"
    scores = _table((kind, "items", "precision", "recall", "F1", "AUC"), rows)
    return _box(_facts(facts) + scores + _confusion(evaluation))


def _confusion(evaluation: Evaluation) -> str:
    """Return the confusion matrix, the counts shaded by their part of the row."""
    names = [escape(str(label)) for label in evaluation.labels]
    if evaluation.several or len(names) > _MOST_CLASSES:
        return ""
    rows = []
    for place, (name, counts) in enumerate(zip(names, evaluation.confusion.tolist(), strict=True)):
        total = max(sum(counts), 1)
        # Blue is right, orange wrong; never so dark that the number could not be read.
        colours = ["11,97,164" if answer == place else "164,64,11" for answer in range(len(names))]
        cells = "".join(
            f'<td style="{_NUMBER}; background: rgba({colour},{0.5 * count / total:.3f})">'
            f"{count:,}</td>"
            for colour, count in zip(colours, counts, strict=True)
        )
        rows.append(f'<tr><th style="{_TEXT}">{name}</th>{cells}</tr>')
    heads = "".join(f'<th style="{_NUMBER}">{name}</th>' for name in ("truth \\ answer", *names))
    return _scroll(f"<tr>{heads}</tr>{''.join(rows)}", "Confusion matrix")


def _scroll(rows: str, name: str) -> str:
    """Return a table that is scrolled by itself if it is wider than the notebook."""
    return (
        f'<div tabindex="0" role="region" aria-label="{name}" '
        'style="overflow-x: auto; margin-top: 0.8em">'
        f'<table style="border-collapse: collapse">{rows}</table></div>'
    )


def _box(content: str) -> str:
    return f'<div style="{BOX}; max-width: 62em">{content}</div>'


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th style="{CELL}">{title}</th><td style="{CELL}">{value}</td></tr>'
        for title, value in facts
    )
    return f"<table>{rows}</table>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first column is text, the others are numbers."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>{}</tr>".format(
            "".join(
                f'<{tag} style="{_NUMBER if place else _TEXT}">{cell}</{tag}>'
                for place, cell in enumerate(cells)
            )
        )

    lines = [line(heads, "th"), *(line(row, "td") for row in rows)]
    return _scroll("".join(lines), heads[0])
