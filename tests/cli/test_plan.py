"""The plan of nested networks: the tree of stages, repetitions taken together, costs added up."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gridcnn.cli.main import app
from gridcnn.cli.plan import plan_lines, print_plan
from gridcnn.engines.base import PlanDescription, PlanPart
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.report.tree import rows, tree
from gridcnn.spec.load import load

BLOCK = {"skip": [{"convolution": {"filters": 4}}, "rectification"]}
NESTED: list[Any] = [
    {"convolution": {"filters": 4}},
    {"repeat": {"times": 3, "stages": [BLOCK]}},
    {"parallel": [["pooling"], [{"convolution": {"filters": 2, "stride": 2}}]]},
    {"parallel": {"branches": [["rectification"], []], "join": "sum"}},
]


def network(stages: list[Any], *, classes: int | None = 3) -> Network:
    return Network(load({"stages": stages, "head": "voting"}), GridShape(1, 8, 8), classes=classes)


def titles(stages: list[Any]) -> list[str]:
    """Return the rows of a network, indented."""
    return ["  " * depth + node.title for depth, node in rows(tree(network(stages)))]


def printed(made: Network, width: int = 100) -> str:
    stream = io.StringIO()
    print_plan(made, Console(file=stream, width=width))
    return stream.getvalue()


def test_what_is_inside_of_a_composite_stage_is_below_it() -> None:
    """Branches have rows of their own, also without stages; merges come last."""
    assert titles(NESTED[2:]) == [
        "1 parallel",
        "  1.1",
        "    1.1.1 pooling",
        "  1.2",
        "    1.2.1 convolution",
        "  1 join",
        "2 parallel",
        "  2.1",
        "    2.1.1 rectification",
        "  2.2",
        "  2 sum",
        "3 voting",
    ]


def test_equal_repetitions_are_one_row() -> None:
    """Their labels are the first and the last, and their number is told."""
    assert titles(NESTED[:2]) == [
        "1 convolution",
        "2 repeat",
        "  2.1 to 2.3 (3 x)",
        "    2.1.1 skip",
        "      2.1.1.1 convolution",
        "      2.1.1.2 rectification",
        "      2.1.1 sum",
        "3 voting",
    ]


def test_repetitions_of_other_shapes_are_apart() -> None:
    """The first sees one map, and so it has a shortcut; the others see four."""
    assert [title.strip() for title in titles([NESTED[1]])] == [
        "1 repeat",
        "1.1",
        "1.1.1 skip",
        "1.1.1.1 convolution",
        "1.1.1.2 rectification",
        "1.1.1 shortcut",
        "1.1.1 sum",
        "1.2 to 1.3 (2 x)",
        "1.2.1 skip",
        "1.2.1.1 convolution",
        "1.2.1.2 rectification",
        "1.2.1 sum",
        "2 voting",
    ]


def test_composites_that_are_written_out_again_are_one_row_too() -> None:
    """Those with other settings are not, and neither are single stages."""
    other = {"skip": [{"convolution": {"filters": 4, "kernel_size": 1}}, "rectification"]}
    stages = [NESTED[0], BLOCK, json.loads(json.dumps(BLOCK)), other, "rectification"]

    outside = [title for title in titles([*stages, "rectification"]) if title[0] != " "]

    assert outside == [
        "1 convolution",
        "2 to 3 skip (2 x)",
        "4 skip",
        "5 rectification",
        "6 rectification",
        "7 voting",
    ]


def test_repetitions_inside_of_repetitions_are_taken_together() -> None:
    inner = {"repeat": {"times": 4, "stages": ["rectification"]}}

    assert [each.strip() for each in titles([{"repeat": {"times": 5, "stages": [inner]}}])] == [
        "1 repeat",
        "1.1 to 1.5 (5 x)",
        "1.1.1 repeat",
        "1.1.1.1 to 1.1.1.4 (4 x)",
        "1.1.1.1.1 rectification",
        "2 voting",
    ]


def test_a_row_of_a_composite_stage_has_the_sums_of_what_is_inside() -> None:
    """Of repetitions that are taken together each number is that of one, with their count."""
    made = network(NESTED)
    lines = printed(made).splitlines()
    inside = 4 * 8 * 8 * (9 * 4 + 1 + 1)

    def row(title: str) -> str:
        return next(line for line in lines if line.strip().startswith(f"{title} "))

    assert re.search(rf"4 x 8 x 8\s+444\s+{3 * inside:,}\s", row("2 repeat"))
    assert re.search(rf"\(3 x\)\s+4 x 8 x 8\s+3 x 148\s+3 x {inside:,}\s+3 x ", row("2.1 to 2.3"))
    assert re.search(rf"4 x 8 x 8\s+148\s+{inside:,}\s", row("2.1.1 skip"))
    assert re.search(r"unchanged\s+0\s+0\s", row("4.2"))
    assert re.search(rf"{made.parameters:,}\s+{made.multiply_adds:,}\s+100.0 %", row("in all"))


@pytest.mark.parametrize("width", [20, 60, 400])
def test_no_row_is_cut(width: int) -> None:
    """The table is as wide as it has to be, and no wider, whatever the terminal."""
    assert printed(network(NESTED), width) == printed(network(NESTED), 100)
    assert "…" not in printed(network(NESTED), width)


def test_a_narrow_terminal_has_a_shorter_title() -> None:
    """So that the table of an ordinary network fits into 80 columns."""
    stream = io.StringIO()

    print_plan(network(NESTED[:1]), Console(file=stream, width=60, force_terminal=True))

    assert "channels x rows x columns" not in stream.getvalue()
    assert re.search(r"stage\s+output\s+parameters", stream.getvalue())
    assert "in all" in stream.getvalue()


def test_without_stages_and_head_the_grid_alone_is_there() -> None:
    lines = printed(Network(load({}), GridShape(1, 8, 8))).split("\n")

    assert [line.split()[0] for line in lines if line.strip()][0::2] == ["stage", "grid"]
    assert re.search(r"in all\s+0\s+0\s+100.0 %", "\n".join(lines))


def test_json_has_all_operations_and_the_groups(tmp_path: Path) -> None:
    """What each operation reads makes the graph; `stages[start:stop]` is what is in a group."""
    spec = {"adapter": {"image": {"size": 8}}, "stages": NESTED, "head": "voting"}
    (tmp_path / "nested.yaml").write_text(json.dumps(spec))

    result = CliRunner().invoke(app, ["show", str(tmp_path / "nested.yaml"), "--json"])

    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    stages = [each["stage"] for each in plan["stages"]]
    groups = {each["group"]: each for each in plan["groups"]}
    assert len(stages) == len(set(stages)) == 17 - 1
    assert plan["stages"][3] == {
        "stage": "2.1.1 sum",
        "reads": [1, 3],
        "output": [4, 8, 8],
        "parameters": 0,
        "multiply_adds": 256,
        "share": pytest.approx(256 / plan["multiply_adds"], abs=1e-6),
    }
    assert list(groups)[:4] == ["2 repeat", "2.1", "2.1.1 skip", "2.2"]
    assert [groups[name]["depth"] for name in ("2 repeat", "2.1", "2.1.1 skip")] == [0, 1, 2]
    assert stages[groups["2.2"]["start"] : groups["2.2"]["stop"]] == [
        "2.2.1.1 convolution",
        "2.2.1.2 rectification",
        "2.2.1 sum",
    ]
    assert groups["2 repeat"]["parameters"] == 3 * groups["2.3"]["parameters"] == 444
    assert groups["4.2"]["start"] == groups["4.2"]["stop"]


def test_what_is_computed_alike_is_told_once() -> None:
    """By the names, the kernel and the notes; the numbers of the others are listed."""
    parts = [
        PlanPart((f"1.{n}.1 convolution", f"1.{n}.2 pooling"), "fused", ("n",)) for n in range(14)
    ]
    parts.insert(1, PlanPart(("1.0.3 gate",), "reference"))

    assert plan_lines(PlanDescription("native", 1, tuple(parts), ("first",))) == [
        "first",
        "",
        "1.0.1 convolution, 1.0.2 pooling: fused",
        "  alike: 1.1.1, 1.2.1, 1.3.1, 1.4.1, 1.5.1, 1.6.1, 1.7.1, 1.8.1, 1.9.1, 1.10.1 and 3 more",
        "  n",
        "",
        "1.0.3 gate: reference",
    ]


def test_a_thousand_blocks_are_a_few_rows() -> None:
    """And so is their plan of kernels."""
    repeat = {"repeat": {"times": 1000, "stages": [BLOCK]}}
    made = network([NESTED[0], repeat])

    assert len(made.ops) == 3002
    assert [node.title for _, node in rows(tree(made))][2] == "2.1 to 2.1000 (1000 x)"
    assert len(printed(made).splitlines()) < 20
