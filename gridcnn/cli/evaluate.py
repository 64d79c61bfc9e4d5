"""`gridcnn evaluate`: how well a model answers labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import SpecError, listed, printable, quoted

if TYPE_CHECKING:
    from gridcnn.evaluation import Evaluation

_EXAMPLES = """Compare a model's answers with the labels of data.

MODEL is a run folder or a model file; DATA is a folder of class folders, a CSV manifest, an .npz
file, IDX files, or a known data set. If the data names a test part, that part is used.

Examples:

  gridcnn evaluate runs/xo/1 photos

  gridcnn evaluate runs/digits/1 digits --json
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("evaluate", help=screen.paragraphs(_EXAMPLES))(evaluate)


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled data.")],
    part: Annotated[
        str | None, typer.Option(help="The part to use: test, train, validation or all.")
    ] = None,
    bad_items: Annotated[
        str,
        typer.Option(metavar="stop|skip", help="What to do about unreadable items: stop or skip."),
    ] = "stop",
    engine: options.Engine = None,
    device: options.Device = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    workers: options.Workers = None,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
) -> None:
    from gridcnn.evaluation import evaluate as compare

    if bad_items not in ("stop", "skip"):
        raise SpecError(f"--bad-items is stop or skip; got {quoted(bad_items)}")
    skip: Literal["stop", "skip"] = "skip" if bad_items == "skip" else "stop"
    engine = options.read_engine(engine, device, precision)
    evaluation = compare(
        model,
        data,
        part=part,
        bad_items=skip,
        engine=engine,
        threads=threads,
        strict=strict,
        cluster=cluster,
        workers=workers,
    )
    if as_json:
        screen.say_json(evaluation.plain())
        return
    _say(evaluation)


def _say(found: Evaluation) -> None:
    for note in found.notes:
        screen.say_noted(note)
    part = "all items" if found.part == "all" else f"the {found.part} part"
    if found.several:
        _say_labels(found, part)
        return
    screen.say(
        f"accuracy {screen.percent(found.accuracy)} on {part}, {found.items:,} items "
        f"({screen.interval(found.interval)})"
    )
    say_beside(found.measures.plain(found.labels))
    if found.auc is not None:
        mean = ", the mean over the classes" if len(found.classes) > 2 else ""
        screen.say(f"area under the ROC curve {figure(found.auc)}{mean}")
    say_scores(found)


def _say_labels(found: Evaluation, part: str) -> None:
    """Print the figures of several labels of an item."""
    plain = found.measures.plain(found.labels)
    say_label_means(plain, f"on {part}, {found.items:,} items")
    say_labels(plain["labels"])


def say_label_means(test: dict[str, Any], where: str) -> None:
    """Print the means over several labels; `test` is that part of metrics.json."""
    count = len(test["labels"])
    screen.say(
        f"mean area under the ROC curve {figure(test['auc'])}, mean average precision "
        f"{figure(test['average_precision'])} of {count} {'labels' if count > 1 else 'label'}, "
        f"{where}"
    )
    usual = listed([quoted(str(label)) for label in test["majority"]["labels"]]) or "none"
    screen.say(
        f"F1 {figure(test['macro_f1'])} on average (macro), {figure(test['micro_f1'])} of all "
        f"answers together (micro); {screen.percent(test['right'])} of all known answers are right"
    )
    screen.say(
        f"exact match {screen.percent(test['accuracy'])}: all known labels of an item are right "
        f"({screen.interval(test['interval'])}); always answering {usual} gets "
        f"{screen.percent(test['majority']['accuracy'])}"
    )


def say_labels(labels: dict[str, Any]) -> None:
    """Print the scores of each label, as metrics.json has them."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("label")
    for title in ("known", "with it", "AUC", "AP", "precision", "recall", "F1", "threshold"):
        table.add_column(title, justify="right")
    for name, scores in labels.items():
        counts = (f"{scores[key]:,}" for key in ("known", "positives"))
        keys = ("auc", "average_precision", "precision", "recall", "f1", "threshold")
        table.add_row(printable(name), *counts, *(figure(scores[key]) for key in keys))
    screen.output(width=None if screen.output().is_terminal else 100).print(table)
    if all(scores["threshold"] is not None for scores in labels.values()):
        screen.say("a label is in the answer if its vote is at least its threshold")


def say_beside(test: dict[str, Any]) -> None:
    """Print figures to compare an accuracy with; `test` is that part of metrics.json."""
    most, worst = test["majority"], test["worst"]
    items = test["classes"][str(worst["class"])]["items"]
    unequal = len({each["items"] for each in test["classes"].values()}) > 1
    macro = f", macro F1 {figure(test['macro_f1'])}" if unequal else ""
    screen.say(
        f"balanced accuracy {screen.percent(test['balanced_accuracy'])}{macro}; always answering "
        f"{quoted(str(most['class']))} gets {screen.percent(most['accuracy'])}; worst class "
        f"{quoted(str(worst['class']))}, found in {screen.percent(worst['recall'])} of its "
        f"{items:,} {'items' if items > 1 else 'item'}"
    )


def say_scores(found: Evaluation) -> None:
    """Print the scores of each class, and the confusion."""
    from rich import box
    from rich.table import Table

    scores = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    scores.add_column("class")
    for title in ("precision", "recall", "F1", "AUC", "items"):
        scores.add_column(title, justify="right")
    classes = {label: printable(label) for label in found.classes}
    for label, score in found.classes.items():
        values = (score.precision, score.recall, score.f1, score.auc)
        scores.add_row(classes[label], *map(figure, values), f"{score.items:,}")
    confusion = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    confusion.add_column("truth")
    for label in classes.values():
        confusion.add_column(label, justify="right")
    for label, row in zip(classes.values(), found.confusion, strict=True):
        confusion.add_row(label, *(f"{count:,}" for count in row))
    # Never narrower than the confusion of many classes needs, where no one looks at the edge.
    console = screen.output()
    wide = max(console.width, 20 + 9 * len(found.classes))
    console = console if console.is_terminal else screen.output(width=wide)
    console.print(scores)
    screen.say("confusion: true class by row, answer by column")
    console.print(confusion)


def figure(value: float | None) -> str:
    """Return a part of 1 with three digits, never rounded up to 1."""
    if value is None:
        return "-"
    return "0.999" if value < 1 and f"{value:.3f}" == "1.000" else f"{value:.3f}"
