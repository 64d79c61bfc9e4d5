"""A network drawn stage by stage: how large its grids are, its parameters, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gridcnn.contracts.stage import Merge
from gridcnn.grid import GridShape
from gridcnn.network import Network, Op
from gridcnn.report.charts import svg
from gridcnn.report.tree import rows, tree

_SIDE, _SHEETS = 46, 8
"""Pixels of the largest side of a drawn grid, and sheets of a stack at most."""
_GAP = 3
_LONGEST = 90


@dataclass(frozen=True)
class Brick:
    """A stage, or a composite one, as a row of the drawing.

    Attributes:
        title: its number and name.
        depth: inside of how many others it stands.
        settings: those that are not usual, in a few words.
        shape: that of its output.
        picture: that shape, drawn.
        bar: its part of the cost, drawn.
        parameters, multiply_adds: of one of `times` equal ones.
        share: the part of the network's multiply-adds that all of them take, in 0..1.
        times: how many equal ones follow each other.
    """

    title: str
    depth: int
    settings: str
    shape: str
    picture: str
    bar: str
    parameters: int
    multiply_adds: int
    share: float
    times: int = 1


def draw_network(network: Network) -> list[Brick]:
    """Return the rows of the drawing: the grid that enters, and each stage, in order."""
    largest = max(max(shape.rows, shape.columns) for shape in network.values)
    shape = network.shape
    first = Brick("grid", 0, _axes(shape), str(shape), _stack(shape, largest), "", 0, 0, 0)
    bricks = [first]
    for depth, node in rows(tree(network)):
        ops = network.ops[node.start : node.stop]
        cost = sum(op.multiply_adds for op in ops)
        output = ops[-1].output if ops else None
        is_leaf = node.inside is None
        share = node.times * cost / max(network.multiply_adds, 1)
        bricks.append(
            Brick(
                title=node.title,
                depth=depth,
                settings=_settings(ops[0]) if is_leaf else "",
                shape="unchanged" if output is None else str(output),
                picture="" if output is None or not is_leaf else _stack(output, largest),
                bar=_bar(share) if cost else "",
                parameters=sum(op.parameters for op in ops),
                multiply_adds=cost,
                share=share,
                times=node.times,
            )
        )
    return bricks


def _axes(shape: GridShape) -> str:
    axes = (shape.row_axis, shape.column_axis)
    if all(axis.unit == "pixels" for axis in axes):
        return "of pixels"
    named = [f"{axis.name} ({axis.unit})" if axis.unit else axis.name for axis in axes]
    return f"rows: {named[0]}, columns: {named[1]}"


def _settings(op: Op) -> str:
    """Return the settings of a stage that differ from the usual ones."""
    if isinstance(op.stage, Merge):
        return ""
    given: dict[str, Any] = op.stage.model_dump(mode="json", exclude_defaults=True)
    text = ", ".join(f"{name} {_value(value)}" for name, value in given.items() if value != [])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _value(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, int | str) for each in value):
        return " x ".join(map(str, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _stack(shape: GridShape, largest: int) -> str:
    """Return a stack of grids, drawn to a common scale; few of many channels are drawn."""
    sheets = min(shape.channels, 1 + round(math.log2(shape.channels)), _SHEETS)
    scale = _SIDE / math.sqrt(largest)
    # By the root of their sizes, so that small grids are still seen beside large ones.
    wide, high = (max(3.0, scale * math.sqrt(size)) for size in (shape.columns, shape.rows))
    content = "".join(
        f'<rect x="{1 + _GAP * number}" y="{1 + _GAP * (sheets - 1 - number)}" '
        f'width="{wide:.1f}" height="{high:.1f}" fill="#ffffff" stroke="#0b61a4" '
        'class="sheet"/>'
        for number in reversed(range(sheets))
    )
    around = _GAP * (sheets - 1) + 2
    return svg(
        f"{shape}",
        f"{shape.channels} channels of {shape.rows} x {shape.columns} cells",
        content,
        width=math.ceil(wide + around),
        height=math.ceil(high + around),
    )


def _bar(share: float) -> str:
    """Return a bar as long as a part of 1."""
    width = 80 * min(share, 1)
    return svg(
        "Part of all multiply-adds",
        f"{100 * share:.1f} %",
        f'<rect width="80" height="10" fill="#c9cdd3" class="fill-band"/>'
        f'<rect width="{width:.1f}" height="10" fill="#0b61a4" class="fill-given"/>',
        width=80,
        height=10,
    )
