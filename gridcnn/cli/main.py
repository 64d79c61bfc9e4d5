"""The command `gridcnn`: its verbs, its exit codes, and how it reports errors.

Exit codes: 0 done; 1 a fault of gridcnn; 2 the user's input, or too little memory; 3 the order of
the data means nothing; 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gridcnn.cli import (
    cache,
    check,
    compare,
    datasets,
    evaluate,
    explain,
    export,
    features,
    import_,
    init,
    limits,
    predict,
    report,
    run,
    schema,
    screen,
    serve,
    show,
    stopping,
    tune,
    walkthrough,
)
from gridcnn.cli.screen import FAULT, NO_GRID, USER
from gridcnn.errors import ColumnPermutableError, GridcnnError, TrainingInterrupted, UserError
from gridcnn.version import VERSION


class Verbs(TyperGroup):
    """Turns errors into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out a verb."""
        warnings.showwarning = screen.say_warning
        try:
            try:
                stopping.listen()
                return self._carry_out(ctx)
            finally:
                stopping.finish()
        except KeyboardInterrupt:  # it came after the output was complete
            raise typer.Exit(stopping.code()) from None

    def _carry_out(self, ctx: Any) -> Any:
        try:
            limits.prepare_libraries()
            result = super().invoke(ctx)
            sys.stdout.flush()  # while a reader that has gone can be answered
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt | TrainingInterrupted)
            if ctx.params.get("debug") and (interrupted or not _is_left_to_typer(error)):
                traceback.print_exc()
            if interrupted:
                _say_stopped(str(error))
                raise typer.Exit(stopping.code()) from None
            if not stopping.was_stopped():
                _answer(error)
                raise
        else:
            if not stopping.was_stopped():
                return result
        # A library has turned KeyboardInterrupt into an error of its own, or swallowed it.
        _say_stopped()
        raise typer.Exit(stopping.code())


def _say_stopped(message: str = "") -> None:
    console = screen.messages()
    console.show_cursor()  # a bar that was stopped while it started has hidden the cursor
    console.print(message or "stopped")


def _answer(error: BaseException) -> None:
    """Print the error that ended a verb, and raise its exit code; leave some to typer or `main`."""
    if isinstance(error, GridcnnError):
        screen.say_error(error)
        raise typer.Exit(NO_GRID if isinstance(error, ColumnPermutableError) else USER) from None
    if isinstance(error, BrokenPipeError):
        # The reader of the output has closed it; nothing is wrong.
        screen.mute()
        raise typer.Exit(0) from None
    shortage = limits.explain(error)
    if shortage is not None:
        screen.say_error(shortage)
        raise typer.Exit(USER) from None
    if not (_is_left_to_typer(error) or isinstance(error, OSError)):
        screen.messages().print(
            f"gridcnn failed because of a bug: {type(error).__name__}: {error}\n"
            "Run it again as `gridcnn --debug ...` and report what it prints."
        )
        raise typer.Exit(FAULT) from None


def _is_left_to_typer(error: BaseException) -> bool:
    """Return whether an error is an exit, or a wrong option or argument."""
    own = type(error).__module__.partition(".")[0] in ("click", "typer")
    return own or not isinstance(error, Exception)


def _version(wanted: bool) -> None:
    if wanted:
        screen.say(f"gridcnn {VERSION}")
        raise typer.Exit


app = typer.Typer(
    name="gridcnn",
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def gridcnn(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Classify anything that can be made to look like an image.

    Example: [bold]gridcnn run xo[/bold]
    """


run.add(app)
tune.add(app)
walkthrough.add(app)
predict.add(app)
evaluate.add(app)
export.add(app)
explain.add(app)
features.add(app)
import_.add(app)
compare.add(app)
report.add(app)
show.add(app)
check.add(app)
init.add(app)
schema.add(app)
serve.add(app)
datasets.add(app)
cache.add(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    ours = words[: words.index("--")] if "--" in words else words
    if "--debug" in ours:  # it may stand anywhere
        words.remove("--debug")
        words.insert(0, "--debug")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process
            setattr(sys, name, screen.nowhere())
        elif hasattr(getattr(sys, name), "reconfigure"):
            # A console that lacks a character shows its escape, instead of failing.
            getattr(sys, name).reconfigure(errors="backslashreplace")
    try:
        app(words)
    except OSError as error:
        # A full disk, or a closed console: nothing that gridcnn could correct.
        screen.mute()
        place = "" if error.filename is None else f"{error.filename}: "
        screen.say_error(UserError(f"{place}{error.strerror or error}"))
        sys.exit(USER)
