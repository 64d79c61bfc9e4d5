"""`gridcnn tune`: a search of the settings that do best on validation items."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import SpecError, quoted

if TYPE_CHECKING:
    from gridcnn.tuning.search import Tuning

_EXAMPLES = """Search the settings of a spec that do best on validation items.

In SPEC, a value may be {choose: [...]}, {range: \\[a, b]} or {log_range: \\[a, b]}, and a stage
{optional: stage}. A spec without these is searched around its own values. The best spec is written
as best.yaml; the test items are never looked at. The same command continues a search that was
stopped, and several processes may work on one search.

Examples:

  gridcnn tune digits --folds 5 --trials 30

  gridcnn tune letters.yaml --data letters --minutes 10

  gridcnn tune letters.yaml --only learning_rate

  gridcnn tune letters.yaml --set 'training.learning_rate={log_range: [0.0001, 0.1]}'
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("tune", help=screen.paragraphs(_EXAMPLES))(tune)


def tune(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="A spec file, or a ready spec's name.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Replace a setting, also by values to search: "
            "'training.batch_size={choose: [16, 64]}'. Repeatable.",
        ),
    ] = None,
    data: options.Data = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder of the search. Default: tune, next to the spec's runs."
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000_000,
            help="How many trials there are in all. Default: 20, if there is no --minutes.",
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="How long this command may take.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=1_000,
            help="Choose by so many folds of the training and validation items. Default: by the "
            "validation part.",
        ),
    ] = None,
    pruner: Annotated[
        str,
        typer.Option(metavar="median|hyperband|none", help="The rule that stops bad trials early."),
    ] = "median",
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL|FILE",
            help="Where processes share the study. Default: a file in the folder.",
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="learning_rate",
            help="Only find a learning rate, by 100 steps at a rising rate. It takes seconds.",
        ),
    ] = None,
    seed: options.Seed = None,
    engine: options.Engine = None,
    device: options.Device = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    workers: options.Workers = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    from gridcnn.cli.tuning import TuneDisplay
    from gridcnn.tuning.search import tune as search

    shown = not (as_json or quiet)
    settings: dict[str, Any] = {
        "data": data,
        "out": out,
        "changes": changes or (),
        "seed": seed,
        "engine": options.read_engine(engine, device, precision),
        "threads": threads,
    }
    of_trials = {"trials": trials, "minutes": minutes, "folds": folds, "storage": storage}
    if only is not None:
        _refuse_other(only, {**of_trials, "cluster": cluster, "workers": workers})
        _find_learning_rate(spec, settings, as_json=as_json, shown=shown)
        return
    settings |= {**of_trials, "pruner": pruner, "cluster": cluster, "workers": workers}
    with TuneDisplay() if shown else contextlib.nullcontext() as watcher:
        result = search(spec, watcher=watcher, **settings)
    if as_json:
        screen.say_json({"folder": str(result.folder), **result.plain()})
    elif shown:
        _say_result(result)


def _refuse_other(only: str, of_trials: dict[str, Any]) -> None:
    if only != "learning_rate":
        raise SpecError(f"--only takes learning_rate; got {quoted(only)}")
    given = [f"--{name}" for name, value in of_trials.items() if value is not None]
    if given:
        raise SpecError(f"--only learning_rate makes no trials; leave {', '.join(given)} out")


def _find_learning_rate(spec: str, settings: dict[str, Any], *, as_json: bool, shown: bool) -> None:
    from gridcnn.cli.tuning import RateDisplay
    from gridcnn.tuning.rate import PICTURE, TABLE, find_learning_rate

    with RateDisplay() if shown else contextlib.nullcontext() as watcher:
        found = find_learning_rate(spec, watcher=watcher, **settings)
    if as_json:
        screen.say_json({"folder": str(found.folder), **found.plain()})
    elif shown:
        screen.say(
            f"suggested: training.learning_rate: {found.suggested:g} (the spec has {found.own:g})"
        )
        screen.say(
            f"by {len(found.rates)} steps at rates from {found.rates[0]:g} to "
            f"{found.rates[-1]:.2g}; accurate to a factor of a few; "
            "gridcnn tune finds it more exactly"
        )
        screen.say(f"results: {found.folder}, with {TABLE} and {PICTURE}")


def _say_result(result: Tuning) -> None:
    from gridcnn.cli.tuning import score_text
    from gridcnn.tuning.folder import BEST, HISTORY, SETTINGS, TRIALS
    from gridcnn.tuning.space import label_text

    best = result.best
    assert best.score is not None
    screen.say(
        f"\nbest: trial {best.number} of {len(result.trials)}, {score_text(best.score, result.by)}"
    )
    for name, value in best.values.items():
        screen.say(f"  {name}: {label_text(value)}")
    if result.importances:
        parts = [f"{name} {part:.0%}" for name, part in result.importances.items()]
        screen.say(f"what mattered: {', '.join(parts)}")
    screen.say(
        "(the best of many trials is partly luck on the validation items: only the test part shows)"
    )
    screen.say(f"train it and test it: gridcnn run {result.folder / BEST}")
    screen.say(f"results: {result.folder}, with {TRIALS}, {HISTORY} and {SETTINGS}")
