"""`gridcnn run`: a spec from its data to its results."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn.cli import screen

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from gridcnn.network import Network
    from gridcnn.runs.prepare import Prepared
    from gridcnn.runs.run import Run
    from gridcnn.training.loop import Epoch

_EXAMPLES = """Train what a spec describes, and write the results to a run folder.

SPEC is a file, or the name of a ready spec.

Examples:

  gridcnn run xo

  gridcnn run pets.yaml --data photos --set training.epochs=20 --out runs/pets-20

  gridcnn run --resume runs/xo/3
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
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Use this data instead of the spec's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder; new or empty.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replace training.seed.")] = None,
    engine: Annotated[str | None, typer.Option(help="The engine: reference.")] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Go on with an interrupted run.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
) -> None:
    from gridcnn.runs.run import Silent
    from gridcnn.runs.run import run as run_spec

    shown = not (as_json or quiet)
    with contextlib.ExitStack() as stack:
        watcher = stack.enter_context(Display()) if shown else Silent()
        result = run_spec(
            spec,
            data=data,
            out=out,
            changes=changes or (),
            seed=seed,
            engine=engine,
            resume=resume,
            watcher=watcher,
        )
    if as_json:
        screen.say_json({"folder": str(result.folder), **result.metrics})
    elif shown:
        _say_result(result)


class Display:
    """Shows a run: the plan, a line for each epoch and, on a terminal, bars that move."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = screen.messages()
        self.bars: Bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.task: TaskID | None = None
        self.told = ""
        self.validated = ""

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.bars.stop()

    def _bar(self, what: str, total: int) -> TaskID:
        if self.told != what:
            if self.task is not None:
                self.bars.remove_task(self.task)
            self.task = self.bars.add_task(what, total=total, note="")
            self.told = what
        assert self.task is not None
        return self.task

    def on_reading(self, what: str, done: int, total: int) -> None:
        """Move the bar."""
        self.bars.update(self._bar(what, total), completed=done)

    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:
        """Show the plan, and what the data is."""
        from gridcnn.cli.plan import plan_memory, plan_table

        table_width = None if self.console.is_terminal else 100
        screen.output(width=table_width).print(plan_table(network))
        screen.say(plan_memory(network))
        parts = (("training", prepared.train), ("validation", prepared.validation))
        counts = [f"{len(part):,} {name}" for name, part in (*parts, ("test", prepared.test))]
        classes = ", ".join(str(label) for label in prepared.classes[:12])
        more = ", ..." if len(prepared.classes) > 12 else ""
        screen.say(f"items: {', '.join(counts)}; {len(prepared.classes)} classes: {classes}{more}")
        for note in prepared.notes:
            screen.say(f"note: {note}")
        if prepared.skipped:
            screen.say(f"left out, since they cannot be read: {len(prepared.skipped)} items")
        screen.say(f"folder: {folder}\n")

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Move the bar."""
        bar = self._bar(f"epoch {epoch}", batches)
        self.bars.update(bar, completed=done, note=f"loss {loss:.4f}{self.validated}")

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        """Print the epoch's line, with the time that is left."""
        parts = [f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}", f"loss {epoch.loss:.4f}"]
        if epoch.validation_accuracy is not None and epoch.validation_loss is not None:
            accuracy = screen.percent(epoch.validation_accuracy)
            parts.append(f"validation loss {epoch.validation_loss:.4f}, accuracy {accuracy}")
            self.validated = f"  validation accuracy {accuracy}"
        else:
            parts.append(f"training accuracy {screen.percent(epoch.accuracy)}")
        left = (epochs - epoch.epoch) * epoch.seconds
        parts.append(f"{epoch.seconds:.1f} s" + (f", {screen.seconds(left)} left" if left else ""))
        screen.say("  ".join(parts))


def _say_result(result: Run) -> None:
    metrics: dict[str, Any] = result.metrics
    if result.history[-1].epoch < result.model.spec.training.epochs:
        patience = result.model.spec.training.patience
        screen.say(f"stopped early: {patience} epochs without a better validation result")
    screen.say()
    spent = screen.seconds(metrics["seconds"]["total"])
    if "test" in metrics:
        test = metrics["test"]
        screen.say(
            f"test accuracy {screen.percent(test['accuracy'])} on {test['items']:,} items, "
            f"with the weights of epoch {metrics['best_epoch']}, after {spent} in all"
        )
        literal = metrics["literal_comparison"]
        screen.say(
            f"literal comparison {screen.percent(literal['accuracy'])}   "
            f"this network {screen.percent(test['accuracy'])}"
        )
        screen.say(
            f"(the first keeps {literal['exemplars']} training items as they are, and answers each "
            "test item with the one that differs least, cell by cell)"
        )
    else:
        screen.say(f"trained {metrics['epochs']} epochs in {spent}; no items are kept for a test")
    screen.say(f"results: {result.folder}")
