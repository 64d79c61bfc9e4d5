"""`gridcnn predict`: answers for files."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import DataError, Problem, SpecError

if TYPE_CHECKING:
    from gridcnn.runs.questions import Part

_EXAMPLES = """Classify files, texts, or the rows of a table.

MODEL is a run folder or a model file. Folders are searched with all their subfolders; - reads
standard input. Items that cannot be read are reported, and the others are answered.

Examples:

  gridcnn predict runs/xo/1 drawing.png

  gridcnn predict runs/xo/1 scans --csv > answers.csv

  curl -s https://example.org/x.png | gridcnn predict runs/xo/1 -

  gridcnn predict runs/sms/1 --text "You have won" --text "See you at eight"

  gridcnn predict runs/sensors/1 new.csv
"""
_BATCH = 256


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("predict", help=screen.paragraphs(_EXAMPLES))(predict)


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Files, folders, or - for standard input."),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="TEXT", help="A text, for a model of texts. Repeatable."),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Treat each line of a file as a separate text.")
    ] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="COLUMN",
            help="Read this column of a table instead of the columns of the training. Repeatable "
            "for a model of numbers.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    top: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Show the K classes with the most votes.")
    ] = None,
    plain: options.Plain = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the answers to a folder, in files of 4,096 items each; the same command "
            "continues where it was stopped.",
        ),
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="With --out: write Parquet files instead of CSV.")
    ] = False,
    engine: options.Engine = None,
    device: options.Device = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    workers: options.Workers = None,
    strict: options.Strict = False,
) -> None:
    from gridcnn.cli.printers import Form, Seen, make_printer
    from gridcnn.contracts.adapter import Selection
    from gridcnn.model import load
    from gridcnn.notes import VotesSpread, refuse_notes, remark_notes
    from gridcnn.runs.questions import Questions

    if as_json and as_csv:
        raise SpecError("--json and --csv exclude each other; give one of them")
    if not files and not texts:
        raise SpecError("there is nothing to classify; name files or folders, - or --text TEXT")
    engine = options.read_engine(engine, device, precision)
    if out is not None:
        if as_json or as_csv or top is not None or strict:
            raise SpecError(
                "--out writes all votes to files; leave --json, --csv, --top and --strict out"
            )
        _write_answers(
            model,
            files or (),
            out=out,
            form="parquet" if parquet else "csv",
            texts=texts or (),
            lines=lines,
            columns=columns or (),
            engine=engine,
            threads=threads,
            cluster=cluster,
            workers=workers,
        )
        return
    if parquet or cluster is not None or workers is not None:
        raise SpecError(
            "--cluster, --workers and --parquet need a folder for the answers; add --out DIR"
        )
    loaded = load(model, engine=engine, threads=threads)
    asked = Questions(
        loaded.adapter, loaded.spec.data, texts=texts or (), lines=lines, columns=columns or ()
    )
    form: Form = "json" if as_json else "csv" if as_csv else "text"
    shown, failed = make_printer(loaded, top, form, plain=plain), False
    remarks: Counter[str] = Counter()
    spread = VotesSpread()
    for names, things, unread in _batches(asked.parts(files or ()), strict=strict):
        adapted = loaded.adapted(things, names=names)
        problems = [*unread, *adapted.problems]
        if len(adapted.kept):
            readable = Selection(things, adapted.kept)
            remarks.update(loaded.adapter.remarks(readable, adapted.grids.values))
            if strict:
                refuse_notes(remark_notes(remarks))
            read = [names[index] for index in adapted.kept]
            answered = loaded.answered(adapted.grids.values, names=read)
            problems += answered.problems
            spread.add(answered.votes)
            names_kept = [read[index] for index in answered.kept]
            seen = Seen(Selection(readable, answered.kept), adapted.grids.values, answered.kept)
            shown.batch(names_kept, answered.votes, seen)
        if problems:
            # At once: there may be more of them than should be kept.
            sys.stdout.flush()
            screen.say_error(DataError(*problems))
            failed = True
    shown.end()
    sys.stdout.flush()
    notes = [*remark_notes(remarks), *spread.notes()]
    screen.say_notes(notes, strict=strict)
    if failed:
        raise typer.Exit(screen.USER)


def _write_answers(model: Path, files: Sequence[str], **options: Any) -> None:
    from gridcnn.answering import ABOUT, answer_all

    try:
        answers = answer_all(model, files, **options)
    except KeyboardInterrupt:
        out = Path(options["out"])
        if not (out / ABOUT).is_file():
            raise KeyboardInterrupt("stopped; nothing was written") from None
        raise KeyboardInterrupt(f"stopped; the same command continues in {out}") from None
    before = answers.items - answers.answered - answers.problems
    told = f"{answers.items:,} items, {answers.answered:,} answered now"
    if before > 0:
        told += f", {before:,} before"
    screen.say(f"{told}: {answers.folder}")
    if answers.problems:
        screen.say_error(
            DataError(
                f"not all items can be answered ({answers.problems:,} cannot); "
                f"{answers.folder}/problems-*.csv say why"
            )
        )
        raise typer.Exit(screen.USER)


def _batches(
    parts: Iterable[Part], *, strict: bool
) -> Iterator[tuple[list[str], Any, list[Problem]]]:
    """Yield names, things and problems, some hundreds at a time, and print notes.

    If `strict`, notes are errors.
    """
    names: list[str] = []
    things: list[Any] = []
    problems: list[Problem] = []
    for part in parts:
        screen.say_notes(part.notes, strict=strict)
        problems += part.problems
        for start in range(0, len(part.names), _BATCH):
            chosen = slice(start, start + _BATCH)
            names += part.names[chosen]
            things += list(part.things[chosen])
            if len(names) >= _BATCH:
                yield names, things, problems
                names, things, problems = [], [], []
        if len(problems) >= _BATCH:
            yield names, things, problems
            names, things, problems = [], [], []
    if names or problems:
        yield names, things, problems
