"""`gridcnn features`: what each feature of a model looks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridcnn import outputs
from gridcnn.cli import options, screen
from gridcnn.cli.bars import Bars
from gridcnn.cli.explain import PAGE_MARK, write_figure
from gridcnn.errors import SpecError, listed

if TYPE_CHECKING:
    from gridcnn.report.explaining.looking_for import Looked

_EXAMPLES = """Show what each feature of each layer looks for, as a page.

Features of the first layer are mini-images. Deeper ones are shown by the nine patches of the data
that match best, and by an input that gradient ascent makes. Dead and duplicate features are named.

Examples:

  gridcnn features runs/xo/1

  gridcnn features runs/xo/1 --data drawings -o features.html

  gridcnn features runs/sms/1 --json > features.json
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("features", help=screen.paragraphs(_EXAMPLES))(features)


def features(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="OUT.html", help="Write the page here. Default: features.html."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Look at this data. Default: the training items of the model."
        ),
    ] = None,
    items: Annotated[
        int, typer.Option(metavar="N", min=1, help="Look at no more items than this.")
    ] = 500,
    png: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Write a picture instead of the page.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON instead of the page.")
    ] = False,
    engine: options.Engine = None,
    device: options.Device = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    force: options.Force = False,
) -> None:
    from gridcnn.model import load
    from gridcnn.report.explaining.searching import features_of

    for path, ending, what in ((out, ".html", "-o writes a page"), (png, ".png", "--png writes a")):
        if path is not None and path.suffix.lower() != ending:
            told = what if ending == ".html" else f"{what} picture"
            raise SpecError(f"{told}; give a name such as {path.stem or 'features'}{ending}")
    page = out if out is not None or png is not None or as_json else Path("features.html")
    if page is not None:
        outputs.refuse_taken(page, PAGE_MARK, force=force)
    engine = options.read_engine(engine, device, precision)
    loaded = load(model, engine=engine, threads=threads)
    with Bars(shown=not quiet) as bars:
        looked = features_of(loaded, data, most=items, advance=bars.show)
    if page is not None:
        from gridcnn.report.explaining.features_page import features_page

        outputs.write_output(page, features_page(looked).encode(), PAGE_MARK, force=force)
    if png is not None:
        from gridcnn.report.explaining.features_page import features_of_layers_figure

        write_figure(features_of_layers_figure(looked), png, force=force)
    if as_json:
        from gridcnn.report.explaining.features_page import plain_features

        screen.say_json(plain_features(looked))
        return
    if not quiet:
        _say(looked)
        for path in (page, png):
            if path is not None:
                screen.say(f"{path} written")


def _say(looked: Looked) -> None:
    for layer in looked.layers:
        dead = listed([str(number + 1) for number in layer.dead], limit=12)
        pairs = listed([f"{a + 1} and {b + 1}" for a, b, _ in layer.duplicates], limit=6)
        screen.say(
            f"{layer.label}: {len(layer.features)} features"
            + (f"; dead: {dead}" if dead else "; none is dead")
            + (f"; duplicates: {pairs}" if pairs else "; no duplicates")
        )
