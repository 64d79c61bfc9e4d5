"""`gridcnn init`: a starter spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridcnn.cli import screen
from gridcnn.errors import RunFolderError

_EXAMPLES = """Write a commented starter spec to NAME.yaml, in the current folder.

Example: gridcnn init pets
"""

_STARTER = """\
# What to run: gridcnn run {file}
# Every setting, with its default: gridcnn schema, or docs/spec.md of the project.
name: "{name}"

data:
  # A folder with one folder of pictures for each class, such as photos/cat and photos/dog;
  # a CSV file with the columns path and label; an .npz file; or a known data set:
  # gridcnn datasets list. Relative paths start at the folder of this file.
  source: xo
  test: 0.2            # kept for the final figure
  validation: 0.1      # of the rest, to choose the best epoch by

adapter:
  # How a picture becomes a grid of cells between -1 and 1.
  image: {{size: [32, 32], channels: 1}}       # channels: 3 for colour

stages:
  # Each filter is a mini-image; its map shows how well it matches everywhere.
  - convolution: {{filters: 8, kernel_size: 3}}
  # Negative matches become 0.
  - rectification
  # The best match in each window of 2 x 2 is kept.
  - pooling: {{window: 2}}
  - convolution: {{filters: 16, kernel_size: 3}}
  - rectification
  - pooling: {{window: 2}}

head:
  # What is left votes for the classes, by way of 32 phantom categories.
  voting: {{hidden: [32]}}

training:
  epochs: 10
  batch_size: 64
  optimizer: adam
  learning_rate: 0.003
  seed: 0              # the same seed gives the same model, bit for bit
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("init", help=screen.paragraphs(_EXAMPLES))(init)


def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name of the spec.", show_default=True)
    ] = "pipeline",
) -> None:
    from gridcnn.spec.document import parse
    from gridcnn.spec.load import validate

    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    text = _STARTER.format(name=path.stem, file=path)
    validate(parse(text, f"init {name}"))  # the name may be none that a spec can have
    try:
        # "x": a file that is there already is never replaced.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RunFolderError(f"{path} is there already; give another name") from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from None
    screen.say(f"{path} written; run it with: gridcnn run {path}")
