"""The plan: a network as a table of shapes, parameters and cost."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from gridcnn.cli.screen import number, size
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
    for block in network.blocks:
        share = block.multiply_adds / max(network.multiply_adds, 1)
        table.add_row(
            block.label,
            str(block.output),
            number(block.parameters),
            number(block.multiply_adds),
            f"{share * 100:.1f} %",
        )
    return table


def plan_memory(network: Network) -> str:
    """Return a line about memory."""
    return (
        f"memory: {size(network.item_bytes)} for each item of a batch, "
        f"{size(4 * network.parameters)} of parameters"
    )


def plan_json(network: Network) -> dict[str, Any]:
    """Return the plan for scripts; costs are multiply-adds for one item, memory is in bytes."""
    return {
        "grid": list(network.shape.sizes),
        "classes": network.classes,
        "stages": [
            {
                "stage": block.label,
                "output": list(block.output.sizes),
                "parameters": block.parameters,
                "multiply_adds": block.multiply_adds,
                "share": round(block.multiply_adds / max(network.multiply_adds, 1), 6),
            }
            for block in network.blocks
        ],
        "parameters": network.parameters,
        "multiply_adds": network.multiply_adds,
        "bytes_per_item": network.item_bytes,
    }
