"""`gridcnn serve`: a trained model answers over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import SpecError, UserError

_EXAMPLES = """Answer over HTTP, with a trained model or several.

MODEL is a run folder or a model file. With NAME=MODEL, clients call it by that name; the first one
answers /predict, each answers /models/NAME/predict. The page at / lets you draw, drop or type.

Ctrl-C or SIGTERM ends it after all requests that are being answered; SIGHUP loads the models again.

Examples:

  gridcnn serve runs/xo/1

  curl -F file=@drawing.png http://127.0.0.1:8000/predict

  curl --json '{"items": ["You have won"]}' http://127.0.0.1:8000/models/sms/predict
"""
TOKEN = "GRIDCNN_TOKEN"


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("serve", help=screen.paragraphs(_EXAMPLES))(serve)


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Run folders or model files; NAME=MODEL gives one a name."
        ),
    ],
    host: Annotated[
        str, typer.Option(help="The address to listen on. 0.0.0.0: all addresses of this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port; 0: any that is free.")
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN,
            show_envvar=True,
            help="What clients must send: 'Authorization: Bearer TOKEN'. Other users of this "
            "machine can see options, but not variables.",
        ),
    ] = None,
    origins: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            metavar="URL",
            help="A web site whose pages may send requests, such as https://example.org; '*': "
            "all. Repeatable. Default: none.",
        ),
    ] = None,
    max_body: Annotated[
        float,
        typer.Option(metavar="MB", min=0.001, max=2_000, help="The largest request. Default: 10."),
    ] = 10.0,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", min=1, help="The largest number of pixels in a picture.")
    ] = 16_000_000,
    max_seconds: Annotated[
        float, typer.Option(metavar="S", min=0.001, help="The longest sound clip. Default: 60.")
    ] = 60.0,
    max_waiting: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="The largest number of waiting requests; one more gets the status 503.",
        ),
    ] = 1_024,
    deadline: Annotated[
        float,
        typer.Option(
            metavar="S",
            min=0.01,
            help="How many seconds a request may wait for its answer, before it gets 503. "
            "Default: 10.",
        ),
    ] = 10.0,
    engine: options.Engine = None,
    device: options.Device = None,
    precision: options.Precision = None,
    threads: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="The largest number of threads of the native engine for one batch; more than one "
            "helps large networks.",
        ),
    ] = 1,
) -> None:
    try:
        import python_multipart  # noqa: F401 - so that forms do not fail later
        import uvicorn  # noqa: F401 - the same

        from gridcnn.serve.app import Access, is_loopback
        from gridcnn.serve.limits import MB, Limits
        from gridcnn.serve.models import Models, Place
        from gridcnn.serve.server import listen
        from gridcnn.serve.server import serve as serve_models
    except ModuleNotFoundError as error:
        raise UserError(
            f"serving needs {error.name}, which is not installed: "
            "python -m pip install 'gridcnn[serve]'"
        ) from None

    if token is not None and (not token.strip() or not token.isascii() or not token.isprintable()):
        raise SpecError("--token must be printable ASCII, and not empty")
    body = int(max_body * MB)
    limits = Limits(
        body=body,
        pixels=max_pixels,
        seconds=max_seconds,
        waiting=max_waiting,
        held=max(Limits.held, 4 * body),
        deadline=deadline,
    )
    engine = options.read_engine(engine, device, precision)
    loaded = Models([Place.of(text) for text in models], limits, engine=engine, threads=threads)
    listening = listen(host, port)
    with listening:
        local = is_loopback(listening.getsockname()[0])
        access = Access(token, frozenset(origins or ()), host, local)
        serve_models(loaded, listening, limits=limits, access=access, say=_say)
    _say("ended")


def _say(line: str) -> None:
    """Print a line for the one who runs the server."""
    screen.messages().print(line)
