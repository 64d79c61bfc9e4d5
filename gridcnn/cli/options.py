"""Options that several verbs have."""

from __future__ import annotations

from typing import Annotated

import typer

Engine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The engine: native (compiled for this processor), torch (PyTorch, on a graphics "
        "card) or reference (NumPy). Default: native.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The device of the torch engine: cpu, cuda, cuda:1, mps. Default: the first graphics "
        "card, or the processor.",
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The precision of the torch engine: float32 or bfloat16. Default: float32.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="TARGET",
        help="Compiled code (export --to c): the target, such as aarch64-linux-gnu, "
        "thumbv7em-none-eabihf, wasm32. Default: a machine like this one.",
    ),
]
Cpu = Annotated[
    str | None,
    typer.Option(
        metavar="CPU",
        help="Compiled code: the processor of --target, such as cortex-a72, x86-64-v3 or native. "
        "Default: the usual one.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="The largest number of threads of the native engine. Default: the cores that this "
        "process may use. Results do not depend on it.",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="local|ADDRESS",
        help="Use a Ray cluster: local starts one on this machine, an address joins one. Results "
        "do not depend on it. Default: the variable GRIDCNN_CLUSTER, or none.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="The number of worker processes in the cluster, each with --threads threads (default "
        "1). Default: as many as the cluster has cores for.",
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
Plain = Annotated[
    bool,
    typer.Option(
        "--plain",
        help="Print text alone, without drawings: for screen readers and simple consoles.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that gridcnn did not write.")]


def read_engine(engine: str | None, device: str | None, precision: str | None) -> str | None:
    """Return the text for an engine of three options; see `EngineChoice`."""
    if device is None and precision is None:
        return engine
    from gridcnn.engines.base import choose_engine

    return choose_engine(engine, device, precision)
