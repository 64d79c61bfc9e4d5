"""Options that several verbs have."""

from __future__ import annotations

from typing import Annotated

import typer

Engine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What does the arithmetic: native (compiled for this processor) or reference "
        "(NumPy). Without it: native.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="The most threads of the native engine. Without it: the cores that this process may "
        "use. Results do not depend on it.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Take every note for an error.")]
Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How the characters of a text file are encoded, such as cp1252. Without it: UTF-8, or "
        "UTF-16 if the file begins as such.",
    ),
]
