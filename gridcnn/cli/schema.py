"""`gridcnn schema`: the JSON Schema of specs."""

from __future__ import annotations

from typing import Annotated

import typer

from gridcnn.cli import screen

_EXAMPLES = """Print the JSON Schema of specs, with which editors complete and check them.

Example: gridcnn schema > gridcnn.schema.json
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("schema", help=screen.paragraphs(_EXAMPLES))(schema)


def schema(
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Allow the marks of gridcnn tune, such as {choose: [3, 5]}."),
    ] = False,
) -> None:
    from gridcnn.spec.write import json_schema

    screen.say_json(json_schema(marks=tune))
