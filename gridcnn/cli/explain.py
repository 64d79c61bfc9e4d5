"""`gridcnn explain`: one item on its way through a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gridcnn import outputs
from gridcnn.cli import options, screen
from gridcnn.cli.bars import Bars
from gridcnn.errors import DataError, Problem, SpecError, suggestion

if TYPE_CHECKING:
    from gridcnn.model import Model
    from gridcnn.report.explaining.explanation import Explanation

_EXAMPLES = """Show how a model came to its answer for one item, as a page.

The page shows the item and its grid, the maps of every stage, the arithmetic of a match, the
winners of pooling windows, which cells gave how many votes, and what mattered, next to the same for
random weights.

MODEL is a run folder or a model file. ITEM is a file, - for standard input, or an item of the
model's own data by its name, as `predictions.csv` has it.

Examples:

  gridcnn explain runs/xo/1 drawing.png

  gridcnn explain runs/xo/1 "item 17" -o item-17.html

  gridcnn explain runs/sms/1 --text "You have won"

  gridcnn explain runs/sensors/1 new.csv --row 3 --png row-3.png
"""
PAGE_MARK = b'<meta name="generator" content="gridcnn">'
"""What our pages have near their beginning."""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("explain", help=screen.paragraphs(_EXAMPLES))(explain)


def explain(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")],
    item: Annotated[
        str | None,
        typer.Argument(metavar="ITEM", help="A file, -, or an item of the model's own data."),
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A text, for a model of texts.")
    ] = None,
    row: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Which item of a file that holds several, from 1."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="Explain the votes for this class. Default: for the answer."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT.html",
            help="Write the page here. Default: explained-NAME.html.",
        ),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Write a picture instead of the page.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON instead of the page.")
    ] = False,
    engine: options.Engine = None,
    device: options.Device = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    strict: options.Strict = False,
    quiet: options.Quiet = False,
    force: options.Force = False,
) -> None:
    from gridcnn.model import load
    from gridcnn.report.explaining.explanation import explain as explain_item

    if item is None and text is None:
        _refuse_nothing(model, row)
    if item is not None and text is not None:
        raise SpecError("one item is explained at a time; give ITEM or --text, not both")
    _check_endings(out, png)
    page = out
    if out is None and png is None and not as_json:
        page = Path(f"explained-{_stem(item, row)}.html")
    if page is not None:
        outputs.refuse_taken(page, PAGE_MARK, force=force)
    engine = options.read_engine(engine, device, precision)
    loaded = load(model, engine=engine, threads=threads)
    name, thing = _thing(loaded, item, text, row, strict=strict, quiet=quiet)
    with Bars(shown=not quiet) as bars:
        explained = explain_item(loaded, thing, name=name, label=label, advance=bars.show)
        content = None if page is None else explained.page().encode()
        figure = None if png is None else explained.plot()
        plain = explained.plain() if as_json else None
    if page is not None and content is not None:
        outputs.write_output(page, content, PAGE_MARK, force=force)
    if png is not None:
        write_figure(figure, png, force=force)
    if as_json:
        screen.say_json(plain)
        return
    if quiet:
        return
    _say(explained)
    for path in (page, png):
        if path is not None:
            screen.say(f"{path} written")


def _refuse_nothing(path: Path, row: int | None) -> NoReturn:
    """Report what is missing: first a model, if there is none."""
    from gridcnn.model import load

    load(path)
    if row is not None:
        raise SpecError(f"--row counts the items of a file; name it: {path} FILE --row {row}")
    raise SpecError(
        "there is nothing to explain; name a file, an item of the model's data as predictions.csv "
        "has it, or --text TEXT"
    )


def _check_endings(out: Path | None, png: Path | None) -> None:
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise SpecError(f"-o writes a page; give a name such as {out.stem or 'item'}.html")
    if png is not None and png.suffix.lower() != ".png":
        raise SpecError(f"--png writes a picture; give a name such as {png.stem or 'item'}.png")


def _stem(item: str | None, row: int | None) -> str:
    """Return a name for a file about an item, of letters and digits alone."""
    stem = "text" if item is None else "input" if item == "-" else Path(item).stem
    stem = re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip("-.")[:60] or "item"
    return stem if row is None else f"{stem}-{row}"


def write_figure(figure: Any, path: Path, *, force: bool) -> None:
    """Write a figure of Matplotlib as PNG; raise `RunFolderError` if the file is another's."""
    import io

    from gridcnn.cli.drawing import PNG_MARK

    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": "gridcnn"})
    outputs.write_output(path, content.getvalue(), PNG_MARK, force=force)


def _thing(
    model: Model, item: str | None, text: str | None, row: int | None, *, strict: bool, quiet: bool
) -> tuple[str, Any]:
    """Return the name of an item and the item itself."""
    from gridcnn.runs.questions import STDIN, Questions

    if item is not None and item != STDIN and not Path(item).exists():
        return _own(model, item)
    texts = [] if text is None else [text]
    asked = Questions(model.adapter, model.spec.data, texts=texts)
    wanted, count = (row or 1) - 1, 0
    found: tuple[str, Any] | None = None
    for part in asked.parts([] if item is None else [item]):
        screen.say_notes(part.notes, strict=strict, quiet=quiet)
        if part.problems and found is None:
            raise DataError(*part.problems)
        if found is None and wanted < count + len(part.names):
            found = part.names[wanted - count], part.things[wanted - count]
        count += len(part.names)
        if found is not None and (row is not None or count > 1):
            break
    if found is None:
        raise DataError(f"{item} has {count} items; --row takes 1 to {count}")
    if count > 1 and row is None:
        raise DataError(f"{item} holds several items; say which one: --row 1")
    return found


def _own(model: Model, item: str) -> tuple[str, Any]:
    """Return an item of the data that the model was trained with."""
    from gridcnn.runs.located import locate, spec_folder

    missing = Problem("there is no such file", source=item)
    if model.spec.data is None or model.spec.data.source is None:
        raise DataError(missing)
    try:
        dataset = locate(model.spec, None, spec_folder(model.spec)).open()
    except DataError as error:
        raise DataError(missing, *error.problems) from None
    names = {name: number for number, name in reversed(list(enumerate(dataset.names)))}
    if item not in names:
        near = suggestion(item, list(names)[:10_000])
        known = f"such as {dataset.names[0]!r}" if len(dataset) else "which is empty"
        reason = f"there is no such file, and the model's data has no item of that name, {known}"
        raise DataError(Problem(f"{reason}{near}", source=item))
    return item, dataset.things[names[item]]


def _say(explained: Explanation) -> None:
    """Print the answer and the votes, as `predict` does."""
    from gridcnn.errors import printable

    answer = ", ".join(str(label) for label in explained.answer) or "no label"
    votes = "  ".join(
        f"{label} {vote:.3f}"
        for label, vote in zip(explained.model.classes, explained.votes.tolist(), strict=True)
    )
    screen.say(printable(f"{explained.name}  {answer}  {votes}"))
    if explained.remark:
        screen.say(explained.remark)
