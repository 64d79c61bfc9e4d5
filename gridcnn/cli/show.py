"""`gridcnn show`: the plan of a spec, or the grid that the network would see of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn.cli import options, outputs, screen
from gridcnn.errors import DataError, SpecError

if TYPE_CHECKING:
    from gridcnn.contracts.adapter import Adapter

_EXAMPLES = """Show the plan of a spec, or the grid that its network would see of a file.

Examples:

  gridcnn show xo

  gridcnn show xo --plan

  gridcnn show drawing.png

  gridcnn show drawing.png --spec xo --png seen.png

  gridcnn show drawing.png --spec runs/xo/1
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("show", help=screen.paragraphs(_EXAMPLES))(show)


def show(
    what: Annotated[str, typer.Argument(metavar="SPEC|FILE", help="A spec, or a file to look at.")],
    spec: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="A spec, or a run folder, whose network sees the file. Without it, or if it "
            "names no adapter, the adapter fits the ending of the file.",
        ),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write the grid as a PNG file as well.")
    ] = None,
    as_plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Show which stages the engine computes together, and with which kernels."
        ),
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting. Repeatable."),
    ] = None,
    engine: options.Engine = None,
    threads: options.Threads = None,
    strict: options.Strict = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the plan, or the grid, as JSON.")
    ] = False,
    force: outputs.Force = False,
) -> None:
    if spec is not None or _is_file_to_see(what):
        if as_plan:
            raise SpecError("--plan shows a spec; leave --spec and the file out: show SPEC --plan")
        _show_file(what, spec, png, changes or [], as_json=as_json, strict=strict, force=force)
        return
    if png is not None:
        raise SpecError(f"--png draws the grid of a file: show FILE --spec {what}")
    _show_plan(
        what, changes or [], (engine, threads), as_plan=as_plan, as_json=as_json, strict=strict
    )


def _is_file_to_see(text: str) -> bool:
    """Return whether a name is that of a file which is no spec."""
    path = Path(text)
    return path.suffix.lower() not in ("", ".yaml", ".yml") and path.is_file()


def _show_plan(
    text: str,
    changes: list[str],
    choice: tuple[str | None, int | None],
    *,
    as_plan: bool,
    as_json: bool,
    strict: bool,
) -> None:
    from gridcnn.cli.plan import parts_json, plan_json, plan_lines, plan_memory, print_plan
    from gridcnn.cores import usable_memory
    from gridcnn.engines.base import check_choice
    from gridcnn.errors import sized
    from gridcnn.notes import refuse_notes
    from gridcnn.pipelines import ready
    from gridcnn.runs.located import spec_folder
    from gridcnn.runs.plan import plan
    from gridcnn.spec.load import load
    from gridcnn.training.memory import estimate_memory

    check_choice(*choice)
    loaded = load(text, changes=changes, ready=ready())
    planned = plan(loaded, spec_folder(loaded), engine=choice[0], threads=choice[1])
    network_engine = planned.engine
    memory = estimate_memory(network_engine, loaded.training)
    usable = usable_memory()
    notes = [planned.note] if planned.note else []
    if loaded.head is not None and usable is not None and memory.training > usable:
        notes.insert(0, f"training does not fit into memory here: {sized(usable)} are usable")
    if strict:
        refuse_notes(notes)
    if as_json:
        more = {"plan": parts_json(network_engine.plan())} if as_plan else {}
        screen.say_json({"name": loaded.name, **plan_json(network_engine, memory), **more})
        return
    if loaded.description:
        screen.say(loaded.description)
    print_plan(planned.network, screen.output())
    screen.say(plan_memory(network_engine, memory))
    for note in notes:
        screen.say(note)
    if as_plan:
        screen.say("\n" + "\n".join(plan_lines(network_engine.plan())))


def _show_file(
    text: str,
    spec: str | None,
    png: Path | None,
    changes: list[str],
    *,
    as_json: bool,
    strict: bool,
    force: bool,
) -> None:
    from gridcnn.cli.drawing import PNG_MARK, draw, write_png
    from gridcnn.notes import remark_notes
    from gridcnn.pipelines import ready
    from gridcnn.runs.questions import Questions
    from gridcnn.spec.load import load

    if png is not None:
        outputs.refuse_taken(png, PNG_MARK, force=force)
    loaded = load({} if spec is None else spec, changes=changes, ready=ready())
    adapter = loaded.adapter or _adapter_for(text)
    names: list[str] = []
    notes: list[str] = []
    things: list[Any] = []
    for part in Questions(adapter, loaded.data if loaded.adapter else None).parts([text]):
        if part.problems:
            raise DataError(*part.problems)
        names += part.names[:2]
        notes += part.notes
        things += list(part.things[:2])
        if len(things) > 1:
            break
    if len(things) > 1:
        raise DataError(f"{text} holds several things, such as {names[0]}; show takes one")
    if loaded.adapter is None:  # the grid is as large as the one thing
        adapter = adapter.fitted(things)
    grids = adapter.grids(things, names=names)
    notes += remark_notes(adapter.remarks(things, grids.values))
    screen.say_notes(notes, strict=strict)
    values = grids.values[0]
    if as_json:
        shape = list(grids.shape.sizes)
        screen.say_json({"file": names[0], "shape": shape, "cells": values.tolist()})
    else:
        factor = draw(values, screen.output())
        screen.say(
            f"{names[0]}: {grids.shape} (channels x rows x columns), cells from "
            f"{values.min():.2f} to {values.max():.2f}"
            + (f", drawn at 1/{factor}" if factor > 1 else "")
        )
    if png is not None:
        side = write_png(values, png, force=force)
        if not as_json:
            screen.say(f"{png} written, {side} x {side} pixels for each cell")


def _adapter_for(file: str) -> Adapter:
    """Return the adapter that fits the ending of a file, as a run without an adapter takes it."""
    from gridcnn.adapters.array import ArrayAdapter
    from gridcnn.adapters.fitting import fitting_files
    from gridcnn.adapters.image import ImageAdapter
    from gridcnn.adapters.text import TextAdapter
    from gridcnn.stored import stored_array

    ending = Path(file).suffix.lower()
    adapter = TextAdapter() if ending == ".txt" else fitting_files({ending: 1}, file)()
    if not isinstance(adapter, ImageAdapter):
        screen.say_note(f"no adapter is named; {file} is read by adapter: {adapter.title}")
    if isinstance(adapter, ArrayAdapter):
        return adapter.fitted([stored_array(Path(file), among=("X", "x"))])  # it is one grid
    return adapter
