"""Options that several verbs have."""

from __future__ import annotations

from typing import Annotated

import typer

Engine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What does the arithmetic: native (compiled for this processor) or reference "
        "(NumPy). Default: native.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="The most threads of the native engine. Default: the cores that this process may "
        "use. Results do not depend on it.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Treat every note as an error.")]
Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The encoding of a text file, such as cp1252. Default: UTF-8, or UTF-16 if the file "
        "starts with its mark.",
    ),
]
Data = Annotated[
    str | None, typer.Option(metavar="PATH", help="Use this data instead of the spec's.")
]
Seed = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Replace training.seed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that gridcnn did not write.")]
