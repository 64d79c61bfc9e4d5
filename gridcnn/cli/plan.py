"""The plan: a network as a table of shapes, parameters and cost."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from gridcnn.cli.screen import number
from gridcnn.engines.base import ANSWERED, Engine, Memory, Plan
from gridcnn.errors import sized
from gridcnn.network import Network


def plan_table(network: Network) -> Table:
    """Return the table of a network, a row for each stage."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("stage", footer="in all", no_wrap=True)
    for title, footer in (
        ("channels x rows x columns", ""),
        ("parameters", number(network.parameters)),
        ("multiply-adds", number(network.multiply_adds)),
        ("share", "100.0 %"),
    ):
        table.add_column(title, footer=footer, justify="right", no_wrap=True)
    table.add_row("grid", str(network.shape), "", "", "")
    for op in network.ops:
        share = op.multiply_adds / max(network.multiply_adds, 1)
        table.add_row(
            op.label,
            str(op.output),
            number(op.parameters),
            number(op.multiply_adds),
            f"{share * 100:.1f} %",
        )
    return table


def plan_memory(engine: Engine, memory: Memory) -> str:
    """Return a line about memory and the engine."""
    training = f"{sized(memory.training)} to train, " if _trains(engine) else ""
    threads = "" if engine.workers is None else f", threads: {engine.workers}"
    return f"memory: {training}{sized(memory.prediction)} to answer; engine: {engine.name}{threads}"


def _trains(engine: Engine) -> bool:
    return engine.network.spec.head is not None


def plan_lines(plan: Plan) -> list[str]:
    """Return the lines about the stages that an engine computes together, and how."""
    lines = [*plan.notes]
    for work in plan.works:
        lines += ["", f"{', '.join(work.stages)}: {work.kernel}"]
        lines += [f"  {note}" for note in work.notes]
    return lines


def works_json(plan: Plan) -> dict[str, Any]:
    """Return the same for scripts."""
    works = [
        {"stages": list(work.stages), "kernel": work.kernel, "facts": dict(work.facts)}
        for work in plan.works
    ]
    return {"facts": dict(plan.facts), "works": works}


def plan_json(engine: Engine, memory: Memory) -> dict[str, Any]:
    """Return the plan for scripts; costs are multiply-adds for one item, memory is in bytes."""
    network = engine.network
    return {
        "grid": list(network.shape.sizes),
        "classes": network.classes,
        "stages": [
            {
                "stage": op.label,
                "output": list(op.output.sizes),
                "parameters": op.parameters,
                "multiply_adds": op.multiply_adds,
                "share": round(op.multiply_adds / max(network.multiply_adds, 1), 6),
            }
            for op in network.ops
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
