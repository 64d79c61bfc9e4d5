"""`gridcnn init`: a starter spec."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn import outputs
from gridcnn.cli import options as common
from gridcnn.cli import screen
from gridcnn.errors import ColumnPermutableError, DataError, Problem, SpecError

if TYPE_CHECKING:
    from gridcnn.order.layouts import Layout
    from gridcnn.order.parts import Part
    from gridcnn.runs.starter import Starter

_EXAMPLES = """Write a commented starter spec to NAME.yaml, in the current folder.

DATA is a folder of class folders, a manifest, an .npz file, a table of texts or numbers, or a known
data set: the spec then fits the data. Without data it is a spec for pictures.

Examples:

  gridcnn init photos

  gridcnn init messages.csv --label kind --input text

  gridcnn init pets
"""
_SPECS = (".yaml", ".yml")
_ARRAYS = frozenset({".npz", ".npy"})


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("init", help=screen.paragraphs(_EXAMPLES))(init)


def init(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DATA|NAME", help="Data to look at, or only a name.", show_default=True
        ),
    ] = "pipeline",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the spec for DATA.")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="The column of the classes in a table. Repeated, if an item may have several "
            "labels: a column of 0 and 1 for each.",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="COLUMN",
            help="The column of the texts in a table, or one of the numbers. Repeatable.",
        ),
    ] = None,
    encoding: common.Encoding = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Whether to check that the order of a table's columns means anything.",
        ),
    ] = True,
    strict: common.Strict = False,
    quiet: common.Quiet = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    from gridcnn.settings.document import parse
    from gridcnn.spec.load import validate

    path = _file(what, name)
    outputs.refuse_taken(path, None, force=force)
    judge = _Judge(encoding)
    options = {
        "labels": labels or [],
        "inputs": inputs or [],
        "encoding": encoding,
        "judge": judge if check else None,
    }
    made = _spec_text(what, path, options)
    validate(parse(made.text, f"init {what}"))  # the name may not be valid for a spec
    screen.say_notes(made.notes, strict=strict, quiet=quiet)
    outputs.write_output(path, made.text.encode("utf-8", "backslashreplace"), None, force=force)
    if quiet:
        return
    if made.found:
        screen.say(f"found {made.found}")
    if judge.told:
        screen.say(judge.told)
    screen.say(f"{path} written; run it with: gridcnn run {path}")


def _is_name(what: str) -> bool:
    """Return whether this is the name of a spec, and not of data: no such path exists, or could."""
    path = Path(what)
    if what.endswith(_SPECS):
        return True
    from gridcnn.datasets.tables.items import ENDINGS
    from gridcnn.datasets.tables.lines import ending_of

    data = ending_of(what) in ENDINGS or path.suffix.lower() in _ARRAYS
    return not path.exists() and path.name == what and not data


def _file(what: str, name: str | None) -> Path:
    """Return the file of the spec."""
    if name is None:
        if _is_name(what):
            name = what
        else:
            # A folder given as . or .. has a name too.
            stem = Path(what).resolve().stem
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:60] or "pipeline"
    return Path(name if name.endswith(_SPECS) else f"{name}.yaml")


class _Judge:
    """Judges tables, and remembers the verdict in the words of a run.

    Attributes:
        told: the verdict that lets a spec be written; empty if no table was judged.
    """

    def __init__(self, encoding: str | None) -> None:
        self.encoding, self.told = encoding, ""

    def __call__(self, file: str, label: str | None) -> Layout | Part | None:
        """Return the layout of a table's columns in a grid, or the longest part of them in order.

        Raises:
            ColumnPermutableError: the order of its columns means nothing.
        """
        from gridcnn.checking import check
        from gridcnn.cli.display import check_lines
        from gridcnn.order.guard import Checked
        from gridcnn.order.verdict import Verdict

        try:
            verdict = check(file, label, encoding=self.encoding)
        except DataError as error:  # too few rows or columns for a verdict
            evidence = tuple(problem.message for problem in error.problems)
            verdict = Verdict("undecided", evidence)
        if verdict.parts:
            return max(verdict.parts, key=lambda part: part.columns)
        if verdict.decision == "permutable":
            verdict_text = "\n".join((*verdict.evidence, *verdict.advice))
            raise ColumnPermutableError(
                f"{file}: the order of its columns means nothing, so a convolutional network is "
                f"the wrong tool\n{verdict_text}\nif one column holds the texts to classify, name "
                "it: --input COLUMN; to write a spec anyway, give --no-check"
            )
        # The rest of the advice on a grid is already in the spec.
        self.told = check_lines(Checked("reject", {"order": verdict}))[0]
        return verdict.layout


def _spec_text(what: str, path: Path, options: dict[str, Any]) -> Starter:
    """Return the spec, and what was found in the data, if there is any."""
    from gridcnn.pipelines import ready
    from gridcnn.runs.starter import Starter, starter, starter_for, starter_of
    from gridcnn.spec.models import SOURCES

    if not _is_name(what):
        if not Path(what).exists():
            raise DataError(Problem("there is no such file or folder", source=what))
        # Relative paths start at the folder of the spec.
        data = what if path.parent == Path() else str(Path(what).absolute())
        return starter_for(path.stem, str(path), data, **options)
    if options["labels"] or options["inputs"]:
        raise SpecError(f"--label and --input are for a table, and there is no file {what}")
    if what in ready():
        text = ready()[what].decode()
        named = text.replace(f"name: {what}\n", f'name: "{path.stem}"\n', 1)
        return Starter(named, f"the ready spec {what}")
    if what in SOURCES.names() and SOURCES[what].named:
        return starter_of(path.stem, str(path), what, SOURCES[what]())
    return Starter(starter(path.stem, str(path)))
