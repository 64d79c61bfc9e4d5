"""`gridcnn show`: the plan of a spec, or the grid that the network would see of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn import outputs
from gridcnn.cli import options, screen
from gridcnn.errors import DataError, SpecError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gridcnn.contracts.adapter import Adapter
    from gridcnn.grid import Grids
    from gridcnn.network import Network
    from gridcnn.spec.models import Spec

_EXAMPLES = """Show the plan of a spec, or the grid that its network would see of a file.

Examples:

  gridcnn show xo

  gridcnn show xo --plan

  gridcnn show xo --target thumbv7em-none-eabihf

  gridcnn show drawing.png

  gridcnn show drawing.png --spec xo --png seen.png

  gridcnn show drawing.png --spec runs/xo/1

  gridcnn show drawing.png --spec photos.yaml --augmented 16 --png changed.png
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
    augmented: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=1024,
            help="Show N forms of the file as training would see it, changed by the augmentation "
            "of the spec.",
        ),
    ] = None,
    as_plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Show which stages the engine computes together, and with which kernels."
        ),
    ] = False,
    target: options.Target = None,
    cpu: options.Cpu = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting. Repeatable."),
    ] = None,
    plain: options.Plain = False,
    engine: options.Engine = None,
    device: options.Device = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    strict: options.Strict = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the plan, or the grid, as JSON.")
    ] = False,
    force: options.Force = False,
) -> None:
    if spec is not None or _is_file_to_see(what):
        if as_plan:
            raise SpecError("--plan shows a spec; leave --spec and the file out: show SPEC --plan")
        if target is not None or cpu is not None:
            raise SpecError("--target shows a spec; leave --spec and the file out")
        drawn = _Drawn(png, augmented, as_json=as_json, force=force, plain=plain)
        _show_file(what, spec, drawn, changes or [], strict=strict)
        return
    for option, given in (("--augmented", augmented), ("--png", png)):
        if given is not None:
            raise SpecError(f"{option} draws the grid of a file: show FILE --spec {what}")
    engine = options.read_engine(engine, device, precision)
    more = _More(target, cpu, as_plan=as_plan)
    _show_plan(what, changes or [], (engine, threads), more, as_json=as_json, strict=strict)


def _is_file_to_see(text: str) -> bool:
    """Return whether a name is that of a file which is no spec."""
    path = Path(text)
    return path.suffix.lower() not in ("", ".yaml", ".yml") and path.is_file()


@dataclass(frozen=True)
class _More:
    """What is shown of a spec beside its stages: the options of the same names."""

    target: str | None
    cpu: str | None
    as_plan: bool

    def compile_network(self, network: Network) -> dict[str, Any]:
        """Return what the network takes if it is compiled; nothing if that is not asked for."""
        if self.target is None and self.cpu is None:
            return {}
        from gridcnn.export.compiled.format import compile_untrained, sizes_of

        made = compile_untrained(network, self.target, self.cpu)
        return {"target": made.target.name, **sizes_of(made)}


def _show_plan(
    text: str,
    changes: list[str],
    choice: tuple[str | None, int | None],
    asked: _More,
    *,
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
    compiled = asked.compile_network(planned.network)
    if as_json:
        more = {"plan": parts_json(network_engine.plan())} if asked.as_plan else {}
        more |= {"compiled": compiled} if compiled else {}
        screen.say_json({"name": loaded.name, **plan_json(network_engine, memory), **more})
        return
    if loaded.description:
        screen.say(loaded.description)
    print_plan(planned.network, screen.output())
    screen.say(plan_memory(network_engine, memory))
    for note in notes:
        screen.say(note)
    if compiled:
        screen.say(
            "compiled for {target}: code {code_bytes:,} bytes, weights {weights_bytes:,}, "
            "work area {work_bytes:,}, stack at most {stack_bytes:,}".format(**compiled)
        )
    if asked.as_plan:
        screen.say("\n" + "\n".join(plan_lines(network_engine.plan())))


@dataclass(frozen=True)
class _Drawn:
    """What is drawn of a file: the options of the same names."""

    png: Path | None
    augmented: int | None
    as_json: bool
    force: bool
    plain: bool

    def draw(self, picture: NDArray[np.uint8]) -> int:
        """Draw a picture, and return how many cells each drawn one stands for; 1 if it is not."""
        from gridcnn.cli.drawing import draw_picture

        console = screen.output()
        if self.plain or console.is_dumb_terminal:
            return 1
        return draw_picture(picture, console)


def _show_file(
    text: str, spec: str | None, drawn: _Drawn, changes: list[str], *, strict: bool
) -> None:
    from gridcnn.cli.drawing import PNG_MARK
    from gridcnn.notes import remark_notes
    from gridcnn.pipelines import ready
    from gridcnn.runs.questions import Questions
    from gridcnn.spec.load import load

    if drawn.png is not None:
        outputs.refuse_taken(drawn.png, PNG_MARK, force=drawn.force)
    loaded = load({} if spec is None else spec, changes=changes, ready=ready())
    if drawn.augmented is not None:
        _refuse_without_augmentation(loaded, spec)
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
    if drawn.augmented is not None:
        loaded = loaded.model_copy(update={"adapter": adapter})
        _draw_augmented(names[0], things[0], loaded, drawn, count=drawn.augmented)
    else:
        _draw_grid(names[0], grids, drawn)


def _draw_grid(name: str, grids: Grids, drawn: _Drawn) -> None:
    """Draw the only one of some grids."""
    from gridcnn.cli.drawing import write_png
    from gridcnn.report.colours import picture_pixels

    values = grids.values[0]
    if drawn.as_json:
        shape = list(grids.shape.sizes)
        screen.say_json({"file": name, "shape": shape, "cells": values.tolist()})
    else:
        factor = drawn.draw(picture_pixels(values))
        screen.say(
            f"{name}: {grids.shape} (channels x rows x columns), cells from "
            f"{values.min():.2f} to {values.max():.2f}" + _factor_note(factor)
        )
    if drawn.png is not None:
        side = write_png(values, drawn.png, force=drawn.force)
        if not drawn.as_json:
            screen.say(f"{drawn.png} written, {side} x {side} pixels for each cell")


def _refuse_without_augmentation(spec: Spec, given: str | None) -> None:
    """Raise `SpecError` if nothing in a spec changes training items."""
    if given is None:
        raise SpecError("--augmented needs the spec that changes the file: --spec SPEC")
    if not spec.training.augmentation:
        raise SpecError(
            f"{spec.name} has no training.augmentation, so that training sees each item as it is; "
            "add some, such as --set training.augmentation=[{noise: 0.1}]"
        )


def _draw_augmented(name: str, thing: Any, spec: Spec, drawn: _Drawn, *, count: int) -> None:
    """Draw so many forms of a thing, changed as in training."""
    import numpy as np

    from gridcnn.cli.drawing import write_picture
    from gridcnn.cli.sheets import enlarge, sheet_of_grids, sheet_of_texts, texts_of
    from gridcnn.runs.forms import changed_grids

    forms, shape = changed_grids(spec, thing, count)
    texts, cells = texts_of(forms, shape), np.asarray(forms)
    if drawn.as_json:
        sizes = list(shape.sizes)
        screen.say_json({"file": name, "shape": sizes, "augmented": cells.tolist()})
    elif texts is not None:
        for text in texts:
            screen.say(text)
    else:
        factor = drawn.draw(sheet_of_grids(cells))
        screen.say(f"{name}: {count} forms of {shape}" + _factor_note(factor))
    if drawn.png is None:
        return
    about = "the letters that remain of each form"
    if texts is not None:
        picture = sheet_of_texts(texts)
    else:
        picture, side = enlarge(sheet_of_grids(cells))
        about = f"{side} x {side} pixels for each cell"
    write_picture(picture, drawn.png, force=drawn.force)
    if not drawn.as_json:
        screen.say(f"{drawn.png} written, {about}")


def _factor_note(factor: int) -> str:
    return f", drawn at 1/{factor}" if factor > 1 else ""


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
