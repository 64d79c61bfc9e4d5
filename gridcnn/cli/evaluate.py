"""`gridcnn evaluate`: how well a model answers labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import SpecError, printable, quoted

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
    threads: options.Threads = None,
    strict: options.Strict = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    from gridcnn.evaluation import evaluate as compare

    if bad_items not in ("stop", "skip"):
        raise SpecError(f"--bad-items is stop or skip; got {quoted(bad_items)}")
    skip: Literal["stop", "skip"] = "skip" if bad_items == "skip" else "stop"
    evaluation = compare(
        model, data, part=part, bad_items=skip, engine=engine, threads=threads, strict=strict
    )
    if as_json:
        screen.say_json(evaluation.plain())
        return
    _say(evaluation)


def _say(found: Evaluation) -> None:
    for note in found.notes:
        screen.say_noted(note)
    part = "all items" if found.part == "all" else f"the {found.part} part"
    screen.say(
        f"accuracy {screen.percent(found.accuracy)} on {part}, {found.items:,} items "
        f"({screen.interval(found.interval)})"
    )
    say_beside(found.measures.plain(found.labels))
    if found.auc is not None:
        mean = ", the mean over the classes" if len(found.classes) > 2 else ""
        screen.say(f"area under the ROC curve {_part(found.auc)}{mean}")
    say_scores(found)


def say_beside(test: dict[str, Any]) -> None:
    """Print figures to compare an accuracy with; `test` is that part of metrics.json."""
    most, worst = test["majority"], test["worst"]
    items = test["classes"][str(worst["class"])]["items"]
    unequal = len({each["items"] for each in test["classes"].values()}) > 1
    macro = f", macro F1 {_part(test['macro_f1'])}" if unequal else ""
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
        scores.add_row(classes[label], *map(_part, values), f"{score.items:,}")
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


def _part(value: float | None) -> str:
    """Return a part of 1 with three digits, never rounded up to 1."""
    if value is None:
        return "-"
    return "0.999" if value < 1 and f"{value:.3f}" == "1.000" else f"{value:.3f}"
