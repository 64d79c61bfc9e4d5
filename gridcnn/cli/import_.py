"""`gridcnn import`: an ONNX file of another program as a spec and a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import RunFolderError, how_many
from gridcnn.outputs import refuse_taken, write_output

_EXAMPLES = """Make a spec and a model from an ONNX file, as PyTorch, Keras and others write it.

The network has to be made of stages that gridcnn has: chains, skips, and branches that begin and
end together. Operators that cannot be imported are listed. The votes of both are compared.

Examples:

  gridcnn import net.onnx -o net

  gridcnn import net.onnx -o net --classes cat,dog
"""
_SPEC = "spec.yaml"


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("import", help=screen.paragraphs(_EXAMPLES))(import_)


def import_(
    path: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The file.")],
    folder: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="FOLDER", help="Where to write spec.yaml and model.safetensors."
        ),
    ],
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="The names of the classes, in the order of the votes. Default: those in a file "
            "of gridcnn, else numbers from 0.",
        ),
    ] = None,
    quiet: options.Quiet = False,
    force: options.Force = False,
) -> None:
    from gridcnn.export.importing.reading import import_onnx
    from gridcnn.model import FILE_NAME
    from gridcnn.spec.write import to_yaml

    if folder.is_file():
        raise RunFolderError(f"{folder} is a file; give a folder")
    refuse_taken(folder / _SPEC, None, force=force)
    refuse_taken(folder / FILE_NAME, b"gridcnn", force=force)
    names = None if classes is None else classes.split(",")
    made = import_onnx(path, classes=names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be made: {error.strerror or error}") from None
    made.model.save(folder / FILE_NAME, overwrite=force)
    text = to_yaml(made.model.spec).encode("utf-8", "backslashreplace")
    write_output(folder / _SPEC, text, None, force=force)
    if quiet:
        return
    network = made.model.network
    screen.say(f"{folder} written: {_SPEC} and {FILE_NAME}")
    screen.say(
        f"{how_many(len(network.ops), 'stage')}, {network.parameters:,} parameters, "
        f"{how_many(len(made.model.classes), 'class', 'classes')}; grids of {network.shape}"
    )
    screen.say(f"votes of random arrays differ by at most {made.difference:.2g}")
    sys.stdout.flush()
    screen.say_notes(made.notes, strict=False)
