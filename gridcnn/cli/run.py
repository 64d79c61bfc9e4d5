"""`gridcnn run`: a spec from its data to its results."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import SpecError, how_many

if TYPE_CHECKING:
    from gridcnn.cross_validation import CrossValidation
    from gridcnn.repetition import Repetition
    from gridcnn.runs.run import Run

_EXAMPLES = """Train what a spec describes, and write the results to a run folder.

SPEC is a file, or the name of a ready spec.

Examples:

  gridcnn run xo

  gridcnn run pets.yaml --data photos --set training.epochs=20 --out runs/pets-20

  gridcnn run --resume runs/xo/3

  gridcnn run xo --folds 5

  gridcnn run xo --repeat 5
"""


def add(app: typer.Typer) -> None:
    """Add the verb and its aliases."""
    app.command("run", help=screen.paragraphs(_EXAMPLES))(run)
    for alias in ("train", "fit"):
        app.command(alias, help=f"The same as run.\n\nExample: gridcnn {alias} xo")(run)


def run(
    spec: Annotated[
        str | None, typer.Argument(metavar="SPEC", help="A spec file, or a ready spec's name.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Replace a setting: training.epochs=3. Repeatable."
        ),
    ] = None,
    data: options.Data = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder; new or empty.")
    ] = None,
    seed: options.Seed = None,
    folds: Annotated[
        str | None,
        typer.Option(
            metavar="N|groups",
            help="Cross-validate: a run for each of N folds, or for each group of the data.",
        ),
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=1_000,
            help="Run the spec N times, with N seeds; print mean and spread.",
        ),
    ] = None,
    engine: options.Engine = None,
    device: options.Device = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    workers: options.Workers = None,
    spread_data: Annotated[
        bool,
        typer.Option(
            "--spread-data",
            help="The workers of the cluster read the data, each its own part, instead of this "
            "process. Results do not depend on it.",
        ),
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Continue an interrupted run; with --set training.epochs=N also one that has "
            "ended.",
        ),
    ] = None,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Do not write report.html, the page about the run.")
    ] = False,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    from gridcnn.cli.display import Display
    from gridcnn.runs.folder import function_of

    if folds is not None and repeat is not None:
        raise SpecError("a run takes either --folds or --repeat")
    if spread_data and (folds is not None or repeat is not None):
        raise SpecError("--spread-data is for a single run; folds and repeats read their own data")
    resumed = "run" if resume is None else function_of(resume)
    shown = not (as_json or quiet)
    settings: dict[str, Any] = {
        "data": data,
        "out": out,
        "changes": changes or (),
        "seed": seed,
        "engine": options.read_engine(engine, device, precision),
        "threads": threads,
        "cluster": cluster,
        "workers": workers,
        "resume": resume,
        "strict": strict,
        "report": not no_report,
    }
    result: Run | CrossValidation | Repetition
    say: Callable[[], None]
    with Display() if shown else contextlib.nullcontext() as watcher:
        if folds is not None or resumed == "cross_validate":
            from gridcnn.cross_validation import cross_validate

            found = cross_validate(spec, folds=_number(folds), watcher=watcher, **settings)
            result, say = found, functools.partial(_say_folds, found)
        elif repeat is not None or resumed == "repeat":
            from gridcnn.repetition import repeat as repeat_spec

            repeated = repeat_spec(spec, repeats=repeat, watcher=watcher, **settings)
            result, say = repeated, functools.partial(_say_repeats, repeated)
        else:
            from gridcnn.runs.run import run as run_spec

            single = run_spec(spec, watcher=watcher, spread_data=spread_data, **settings)
            result, say = single, functools.partial(_say_result, single)
    if as_json:
        screen.say_json({"folder": str(result.folder), **result.metrics})
    elif shown:
        say()


def _number(folds: str | None) -> Any:
    """Return a number as an int; the cross-validation refuses other texts."""
    return int(folds) if folds is not None and folds.isdecimal() and len(folds) < 10 else folds


def _say_result(result: Run) -> None:
    from gridcnn.cli.evaluate import say_beside

    metrics: dict[str, Any] = result.metrics
    if metrics["stopped"] == "patience":
        patience = result.model.spec.training.patience
        screen.say(f"stopped early: {patience} epochs without a better validation result")
    if metrics["stopped"] == "minutes":
        screen.say(
            f"stopped after {metrics['epochs']} of {result.model.spec.training.epochs} epochs: the "
            "time was up"
        )
    if "calibration" in metrics:
        changed = metrics["calibration"]
        screen.say(
            f"calibrated: temperature {changed['temperature']:.3g}, validation loss "
            f"{changed['loss_before']:.4f} before and {changed['loss_after']:.4f} after"
        )
    screen.say()
    spent = screen.seconds(metrics["seconds"]["total"])
    if "test" in metrics and result.model.several:
        _say_labels(metrics, spent)
    elif "test" in metrics:
        test = metrics["test"]
        screen.say(
            f"test accuracy {screen.percent(test['accuracy'])} on {test['items']:,} items "
            f"({screen.interval(test['interval'])}), "
            f"with the weights of epoch {metrics['best_epoch']}, after {spent} in all"
        )
        say_beside(test)
        for note in test["notes"]:
            screen.say_noted(note)
        literal = metrics["literal_comparison"]
        screen.say(
            f"literal comparison {screen.percent(literal['accuracy'])}   "
            f"this network {screen.percent(test['accuracy'])}"
        )
        screen.say(
            "(the literal comparison gives each test item the class of the most similar of "
            f"{literal['exemplars']} training items, compared cell by cell)"
        )
    else:
        epochs = how_many(metrics["epochs"], "epoch")
        screen.say(f"trained {epochs} in {spent}; no items are kept for a test")
    screen.say(f"results: {result.folder}")
    _say_report(result.folder)


def _say_report(folder: Path) -> None:
    """Print where the page about a run is, if there is one."""
    from gridcnn.runs.folder import REPORT

    if (folder / REPORT).is_file():
        screen.say(f"report: {folder / REPORT}")


def _say_labels(metrics: dict[str, Any], spent: str) -> None:
    """Print the results for several labels of an item."""
    from gridcnn.cli.evaluate import say_label_means, say_labels

    test, literal = metrics["test"], metrics["literal_comparison"]
    say_label_means(
        test,
        f"on {test['items']:,} test items, with the weights of epoch {metrics['best_epoch']}, "
        f"after {spent} in all",
    )
    for note in test["notes"]:
        screen.say_noted(note)
    say_labels(test["labels"])
    if "validation" not in metrics:
        screen.say("(the thresholds are 0.5, since there are no validation items to choose them)")
    if literal["auc"] is not None and test["auc"] is not None:
        screen.say(
            f"literal comparison: mean area under the ROC curve {literal['auc']:.3f}   "
            f"this network {test['auc']:.3f}"
        )
        screen.say(
            f"(the literal comparison looks for the most similar of {literal['exemplars']} "
            "training items with each label and without it, compared cell by cell)"
        )


def _say_repeats(result: Repetition) -> None:
    metrics = result.metrics
    several = "labels" in result.runs[0].metrics["test"]
    _say_table("seed", [(str(run.seed), run.metrics) for run in result.runs], several=several)
    if several:
        _say_areas(metrics, f"{len(result.runs)} runs")
        screen.say(f"results: {result.folder}, with a model in each of its runs")
        _say_report(result.folder)
        return
    accuracy, literal = (metrics[part]["accuracy"] for part in ("test", "literal_comparison"))
    spent = screen.seconds(metrics["seconds"]["total"])
    screen.say(
        f"test accuracy {_spread(accuracy)}; {len(result.runs)} runs, {spent} in all\n"
        f"literal comparison {screen.percent(literal['mean'])} on average"
    )
    screen.say(f"results: {result.folder}, with a model in each of its runs")
    _say_report(result.folder)


def _spread(figures: dict[str, float]) -> str:
    mean, std, low, high = (screen.percent(figures[key]) for key in ("mean", "std", "min", "max"))
    return f"{mean} on average, standard deviation {std}, from {low} to {high}"


def _say_areas(metrics: dict[str, Any], count: str) -> None:
    """Print the mean area under the curve of several runs, each with several labels of an item."""
    from gridcnn.cli.evaluate import figure

    auc, told = metrics["test"].get("auc"), ""
    if auc is not None:
        mean, std, least, most = (figure(auc[key]) for key in ("mean", "std", "min", "max"))
        told = (
            f"mean area under the ROC curve {mean} on average, standard deviation {std}, from "
            f"{least} to {most}; "
        )
    screen.say(f"{told}{count}, {screen.seconds(metrics['seconds']['total'])} in all\n")


def _say_table(title: str, runs: Sequence[tuple[str, dict[str, Any]]], *, several: bool) -> None:
    """Print the test results of several runs; `several`: labels of an item."""
    from rich import box
    from rich.table import Table

    from gridcnn.cli.evaluate import figure

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(title)
    for name in ("AUC" if several else "accuracy", "loss", "items", "best epoch"):
        table.add_column(name, justify="right")
    for name, metrics in runs:
        test = metrics["test"]
        table.add_row(
            name,
            figure(test.get("auc")) if several else screen.percent(test["accuracy"]),
            f"{test['loss']:.4f}",
            f"{test['items']:,}",
            f"{metrics['best_epoch']}",
        )
    screen.say()
    screen.output(width=None if screen.output().is_terminal else 100).print(table)


def _say_folds(result: CrossValidation) -> None:
    from gridcnn.cli.evaluate import say_beside, say_label_means, say_labels, say_scores

    metrics: dict[str, Any] = result.metrics
    several = result.evaluation.several
    folds = [(str(fold.test), fold.metrics) for fold in result.folds]
    _say_table("test part", folds, several=several)
    accuracy, literal = (metrics[part]["accuracy"] for part in ("test", "literal_comparison"))
    if several:
        _say_areas(metrics, f"{len(result.folds)} folds")
        say_label_means(metrics["out_of_fold"], f"all {result.evaluation.items:,} answers together")
        say_labels(metrics["out_of_fold"]["labels"])
        _say_end(result)
        return
    screen.say(
        f"test accuracy {_spread(accuracy)}; {len(result.folds)} folds, "
        f"{screen.seconds(metrics['seconds']['total'])} in all"
    )
    screen.say(
        f"literal comparison {screen.percent(literal['mean'])} on average\n\n"
        f"all {result.evaluation.items:,} answers together:\n"
    )
    say_beside(metrics["out_of_fold"])
    say_scores(result.evaluation)
    _say_end(result)


def _say_end(result: CrossValidation) -> None:
    screen.say(
        "this measures how good such models are, but makes no model for use; to get one, run the "
        "spec without --folds"
    )
    screen.say(f"results: {result.folder}")
    _say_report(result.folder)
