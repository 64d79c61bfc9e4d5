"""`gridcnn export`: a model in the form of another program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import DataError, Problem, SpecError

if TYPE_CHECKING:
    from gridcnn.export.formats import Written
    from gridcnn.model import Model

_EXAMPLES = """Write a model for other programs, with the same answers.

MODEL is a run folder or a model file.

Examples:

  gridcnn export runs/digits/1 --to onnx -o digits.onnx

  gridcnn export runs/xo/1 --to onnx --check drawings

  gridcnn export runs/sounds/1 --to onnx --input grid --opset 13

  gridcnn export runs/xo/1 --to page -o xo.html

  gridcnn export runs/xo/1 --to c --target thumbv7em-none-eabihf
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("export", help=screen.paragraphs(_EXAMPLES))(export)


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="onnx, c, page or pytorch.")],
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="ITEM...", help="More items for --check."),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="PATH",
            help="The file to write. Default: the name of the spec, in the current folder.",
        ),
    ] = None,
    given_input: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="item|number|grid",
            help="For onnx: what goes in: items; of texts of words, the numbers of words; or the "
            "grids that the adapter makes of items. Default: item.",
        ),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(metavar="N", help="For onnx: the version of the operators. Default: 17."),
    ] = None,
    pixels: Annotated[
        str | None,
        typer.Option(
            metavar="uint8|float32",
            help="For onnx: the type of the pixels of pictures. Default: uint8.",
        ),
    ] = None,
    without: Annotated[
        str | None,
        typer.Option(
            metavar="frames",
            help="For onnx, for programs without If and Loop: leave out the search for page edges "
            "and ruled lines along the sides of pictures, which is part of fit: ink and polarity: "
            "ink.",
        ),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="For onnx: also output the class of the answer, as a string.",
        ),
    ] = False,
    target: options.Target = None,
    cpu: options.Cpu = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For c: the prefix of names in C. Default: made from the name of the spec.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="object|file",
            help="For c: whether the weights are in the object file, or in a file that the program "
            "loads. Default: object.",
        ),
    ] = None,
    optimize: Annotated[
        str | None,
        typer.Option(
            metavar="auto|size|speed",
            help="For c: optimize for speed or size. Default: size on targets without an "
            "operating system, else speed.",
        ),
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(
            "--check",
            metavar="ITEM...",
            help="Compare the votes of the file with those of the model, on these files, folders, "
            "or rows of tables; fails if they differ by more than 0.01.",
        ),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="TEXT", help="A text for --check. Repeatable."),
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    force: options.Force = False,
) -> None:
    from gridcnn.export.formats import make_format, prepare
    from gridcnn.model import load

    if more and not check:
        raise SpecError("items are for --check; give --check before them")
    loaded = load(model)
    chosen = {
        option: value
        for option, value in {
            "input": given_input,
            "opset": opset,
            "pixels": pixels,
            "without": without,
            "labels": labels or None,
            "target": target,
            "cpu": cpu,
            "name": name,
            "weights": weights,
            "optimize": optimize,
        }.items()
        if value is not None
    }
    form = make_format(to, chosen)
    files, given_texts = [*(check or ()), *(more or ())], texts or []
    if files or given_texts:
        form.refuse_check()
    # Nothing is written before all items are known to be readable.
    written = prepare(loaded, form, path, overwrite=force, remedy="--force")
    checked = _check(loaded, written, files, given_texts)
    written.write(overwrite=force, remedy="--force")
    facts = {"files": [str(each) for each in written.paths], **written.made.facts, **checked}
    if as_json:
        screen.say_json(facts)
    elif not quiet:
        _say(written, checked)
    if not quiet:
        sys.stdout.flush()
        screen.say_notes(written.made.notes, strict=False)
    if checked and checked["largest_difference"] > ALLOWED:
        raise DataError(
            f"votes of the file differ from those of the model by up to "
            f"{checked['largest_difference']:.2g}, which is more than {ALLOWED:g}"
        )


ALLOWED = 0.01
"""The largest difference of votes that a check lets pass: a short cut for large pictures."""


def _check(model: Model, written: Written, files: list[str], texts: list[str]) -> dict[str, Any]:
    """Return on how many items votes were compared, and by how much they differ at most.

    Raises:
        DataError: items cannot be read; a problem for each.
    """
    if not files and not texts:
        return {}
    from gridcnn.runs.questions import Questions

    items, largest = 0, 0.0
    problems: list[Problem] = []
    for part in Questions(model.adapter, model.spec.data, texts=texts).parts(files):
        problems += part.problems
        if not len(part.names):
            continue
        made = model.adapted(part.things, names=part.names)
        problems += made.problems
        if not problems:  # else nothing will be written
            things = [part.things[index] for index in made.kept.tolist()]
            found = written.format.largest_difference(model, written.made, things)
            items, largest = items + len(things), max(largest, found)
    if problems:
        raise DataError(*problems)
    if not items:
        raise DataError("there are no items for --check")
    return {"items_checked": items, "largest_difference": largest}


def _say(written: Written, checked: dict[str, Any]) -> None:
    for path in written.paths:
        screen.say(f"{path} written")
    for name, fact in written.made.facts.items():
        if isinstance(fact, dict):
            screen.say(f"{name}:")
            for inner, value in fact.items():
                screen.say(f"  {inner}: {value}")
        else:
            screen.say(f"{name}: {_text(fact)}")
    if checked:
        screen.say(
            f"checked on {checked['items_checked']:,} items: votes differ by at most "
            f"{checked['largest_difference']:.2g}"
        )


def _text(fact: Any) -> str:
    if isinstance(fact, list):
        return ", ".join(map(str, fact))
    return f"{fact:,}" if isinstance(fact, int) else str(fact)
