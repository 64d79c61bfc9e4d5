"""The plan: a network as a table of shapes, parameters and cost."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from gridcnn.cli.screen import number
from gridcnn.engines.base import ANSWERED, Engine, Memory, PlanDescription, PlanPart
from gridcnn.errors import listed, sized
from gridcnn.network import Network, Op
from gridcnn.report.tree import rows, tree

_TITLES = ("stage", "channels x rows x columns", "parameters", "multiply-adds", "share")
_GAP = "   "
_ALIKE = 10  # stages that are computed alike and are listed


def print_plan(network: Network, console: Console) -> None:
    """Print the table of a network: a row for each operation, and for each composite stage.

    A composite stage has the sums of what is indented below it. Equal repetitions are printed once,
    with how many there are. No row is cut, whatever the width of the console; in a terminal that is
    too narrow, the longest title is shorter.
    """
    rows = list(_rows(network))
    footer = ("in all", "", number(network.parameters), number(network.multiply_adds), "100.0 %")
    titles = _TITLES
    widths = _widths(titles, *rows, footer)
    if console.is_terminal and _width(widths) > console.width:
        titles = (titles[0], "output", *titles[2:])
        widths = _widths(titles, *rows, footer)
    line = f" {'─' * (_width(widths) - 1)}"
    texts = [Text(_line(titles, widths), "bold"), Text(line)]
    texts += [Text(_line(cells, widths)) for cells in rows]
    texts += [Text(), Text(_line(footer, widths), "bold"), Text()]
    console.print(Text("\n").join([Text(), *texts]), no_wrap=True, overflow="ignore", crop=False)


def _widths(*rows: Sequence[str]) -> list[int]:
    return [max(map(len, cells)) for cells in zip(*rows, strict=True)]


def _width(widths: Sequence[int]) -> int:
    """Return the width of a line of the table."""
    return sum(widths) + len(_GAP) * (len(widths) - 1) + 2


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f" {_GAP.join([first, *others])}".rstrip()


def _rows(network: Network) -> Iterator[tuple[str, ...]]:
    yield "grid", str(network.shape), "", "", ""
    for depth, node in rows(tree(network)):
        ops = network.ops[node.start : node.stop]
        costs = _costs(ops, network)
        times = f"{node.times} x " if node.times > 1 else ""
        yield (
            "  " * depth + node.title,
            str(ops[-1].output) if ops else "unchanged",
            times + number(costs["parameters"]),
            times + number(costs["multiply_adds"]),
            f"{times}{costs['share'] * 100:.1f} %",
        )


def _costs(ops: Sequence[Op], network: Network) -> dict[str, Any]:
    """Return the sums over operations, and their share of the network's multiply-adds."""
    multiply_adds = sum(op.multiply_adds for op in ops)
    return {
        "parameters": sum(op.parameters for op in ops),
        "multiply_adds": multiply_adds,
        "share": round(multiply_adds / max(network.multiply_adds, 1), 6),
    }


def plan_memory(engine: Engine, memory: Memory) -> str:
    """Return a line about memory and the engine."""
    training = f"{sized(memory.training)} to train, " if _trains(engine) else ""
    threads = "" if engine.workers is None else f", threads: {engine.workers}"
    return f"memory: {training}{sized(memory.prediction)} to answer; engine: {engine.name}{threads}"


def _trains(engine: Engine) -> bool:
    return engine.network.spec.head is not None


def plan_lines(plan: PlanDescription) -> list[str]:
    """Return the lines about the stages that an engine computes together, and how.

    Stages that are computed alike share their lines, at the place of the first.
    """
    alike: dict[Hashable, list[PlanPart]] = {}
    for part in plan.parts:
        names = tuple(label.partition(" ")[2] for label in part.stages)
        alike.setdefault((names, part.kernel, part.notes), []).append(part)
    lines = [*plan.notes]
    for first, *others in alike.values():
        lines += ["", f"{', '.join(first.stages)}: {first.kernel}"]
        if others:
            # By the number of its first stage each is found in the table.
            numbers = [part.stages[0].partition(" ")[0] for part in others]
            lines.append(f"  alike: {listed(numbers, limit=_ALIKE)}")
        lines += [f"  {note}" for note in first.notes]
    return lines


def parts_json(plan: PlanDescription) -> dict[str, Any]:
    """Return the same for scripts."""
    parts = [
        {"stages": list(part.stages), "kernel": part.kernel, "facts": dict(part.facts)}
        for part in plan.parts
    ]
    return {"facts": dict(plan.facts), "parts": parts}


def plan_json(engine: Engine, memory: Memory) -> dict[str, Any]:
    """Return the plan for scripts; costs are multiply-adds for one item, memory is in bytes.

    `stages` are all operations. Each `reads` values: 0 is the grid, and n what the n-th of them
    makes. The operations of a composite stage, or of one of its chains, are `stages[start:stop]`.
    """
    network = engine.network
    return {
        "grid": list(network.shape.sizes),
        "classes": network.classes,
        "stages": [
            {
                "stage": op.label,
                "reads": list(op.sources),
                "output": list(op.output.sizes),
                **_costs([op], network),
            }
            for op in network.ops
        ],
        "groups": [
            {
                "group": group.label,
                "depth": group.depth,
                "start": group.start,
                "stop": group.stop,
                **_costs(network.ops[group.start : group.stop], network),
            }
            for group in sorted(network.groups, key=lambda group: (group.start, group.depth))
        ],
        "parameters": network.parameters,
        "multiply_adds": network.multiply_adds,
        "engine": engine.name,
        "threads": engine.workers,
        "memory": {
            "training": memory.training if _trains(engine) else None,
            "training_batch": network.spec.training.batch_size,
            "prediction": memory.prediction,
            "prediction_batch": ANSWERED,
        },
    }
