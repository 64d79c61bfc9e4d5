"""`gridcnn schema`: the JSON Schema of specs."""

from __future__ import annotations

import typer

from gridcnn.cli import screen

_EXAMPLES = """Print the JSON Schema of specs, with which editors complete and check them.

Example: gridcnn schema > gridcnn.schema.json
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("schema", help=screen.paragraphs(_EXAMPLES))(schema)


def schema() -> None:
    from gridcnn.spec.write import json_schema

    screen.say_json(json_schema())
