"""The plan: which stages are done in one pass, and how their grids lie in memory."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("llvmlite")

from gridcnn.engines.native import recipes
from gridcnn.engines.native.kernels.convolution import Convolution
from gridcnn.engines.native.kernels.lookup import Lookup, can_look_up
from gridcnn.engines.native.kernels.matrix import row_size
from gridcnn.engines.native.kernels.pooling import Pooling
from gridcnn.engines.native.kernels.rectification import Rectification
from gridcnn.engines.native.kernels.voting import Voting
from gridcnn.engines.native.kernels.winograd import Winograd
from gridcnn.engines.native.layout import Maps, lanes_for
from gridcnn.engines.native.plan import Plan, make_plan
from gridcnn.engines.native.processor import Processor
from gridcnn.grid import Axis, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

WIDE = Processor("znver4", "", "x86_64-unknown-linux-gnu", lanes=16, registers=32, fma=True)
NARROW = Processor("x86-64", "", "x86_64-unknown-linux-gnu", lanes=4, registers=16, fma=False)
SHAPE = GridShape(2, 12, 12)
LETTERS = GridShape(1, 5, 24, Axis("letter", ordered=False), Axis("position"))


def conv(filters: int = 5, **settings: Any) -> dict[str, Any]:
    return {"convolution": {"filters": filters, **settings}}


def pool(window: Any = 2, **settings: Any) -> dict[str, Any]:
    return {"pooling": {"window": window, **settings}}


def plan_of(
    *stages: Any,
    shape: GridShape = SHAPE,
    chip: Processor = WIDE,
    one_hot: bool = False,
    wanted: bool = False,
    head: Any = None,
    classes: int | None = None,
) -> Plan:
    network = Network(load({"stages": list(stages), "head": head}), shape, classes=classes)
    return make_plan(network.ops, shape, chip, one_hot=one_hot, wanted=wanted)


def together(plan: Plan) -> list[int]:
    """Return how many stages each step has."""
    return [len(step.ops) for step in plan.steps]


# What is done together


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([conv(), "rectification", pool()], [3]),
        ([conv(), pool(), "rectification"], [3]),
        ([conv(), "rectification"], [2]),
        ([conv(), pool()], [2]),
        ([conv(), conv(), pool()], [1, 2]),
        ([conv(), "rectification", "rectification"], [2, 1]),
        ([conv(), pool(), pool()], [2, 1]),
        ([conv(), "rectification", pool(), "rectification"], [3, 1]),
        (["rectification", pool()], [1, 1]),
        ([pool(), "rectification", conv(), "rectification"], [1, 1, 2]),
        # Windows that overlap share cells, and a mean is no choice.
        ([conv(), pool(3, stride=2)], [1, 1]),
        ([conv(), pool([1, 3], stride=[1, 2])], [1, 1]),
        ([conv(), pool(mode="mean")], [1, 1]),
        ([conv(), "rectification", pool(mode="mean"), "rectification"], [2, 1, 1]),
        # Windows with room between them are fine, and so is one cell.
        ([conv(), pool(2, stride=3)], [2]),
        ([conv(), pool(1)], [2]),
        ([conv(), pool(1, stride=2)], [2]),
        ([], []),
    ],
)
def test_what_follows_a_convolution_is_done_with_it(stages: list[Any], expected: list[int]) -> None:
    """A rectification and a pooling, each once, in any order."""
    plan = plan_of(*stages)
    assert together(plan) == expected
    assert [op.label for step in plan.steps for op in step.ops] == [
        f"{number} {stage if isinstance(stage, str) else next(iter(stage))}"
        for number, stage in enumerate(stages, 1)
    ]


@pytest.mark.parametrize(
    ("window", "narrow", "wide"), [(12, 1, 1), (13, 2, 1), (24, 2, 1), (25, 2, 2)]
)
def test_a_window_must_fit_into_the_registers(window: int, narrow: int, wide: int) -> None:
    """Its sums stay there until the best is known; the more registers, the larger."""
    stages, shape = [conv(kernel_size=1), pool([1, window])], GridShape(1, 2, 60)
    for chip, steps in ((NARROW, narrow), (WIDE, wide)):
        assert len(plan_of(*stages, shape=shape, chip=chip).steps) == steps


def test_a_fused_convolution_knows_all_that_it_does() -> None:
    """Its map before pooling, the window, and what comes out."""
    plan = plan_of(
        conv(20, scale="match", bias=False), "rectification", pool([2, 3], stride=[4, 5])
    )
    work = plan.steps[0].kernel
    assert isinstance(work, Convolution)
    assert (work.rows, work.columns) == (12, 12)
    assert (work.window, work.window_stride) == ((2, 3), (4, 5))
    assert (work.rectified, work.bias, work.divisor) == (True, False, 18)
    assert (work.target.rows, work.target.columns, work.filters) == (3, 3, 20)
    assert work.pooled
    assert list(plan.steps[0].slots) == ["weights"]
    assert plan.end is work.target


def test_stages_on_their_own_have_their_own_work() -> None:
    plan = plan_of(pool(3, stride=2, mode="mean"), "rectification", conv())
    first, second, third = plan.steps
    assert isinstance(first.kernel, Pooling)
    assert (first.kernel.window, first.kernel.stride, first.kernel.mean) == ((3, 3), (2, 2), True)
    assert isinstance(second.kernel, Rectification)
    assert isinstance(third.kernel, Convolution)
    assert not third.kernel.pooled
    assert [step.sources for step in plan.steps] == [(0,), (1,), (2,)]
    assert [step.target for step in plan.steps] == [1, 2, 3]
    for step in plan.steps:
        assert step.kernel.source is plan.values[step.sources[0]]
        assert step.kernel.target is plan.values[step.target]


# Which kernel


@pytest.mark.parametrize(
    ("channels", "stages", "tile"),
    [
        (16, [conv(16)], (4, 4)),
        (17, [conv(33), "rectification"], (4, 4)),
        (16, [conv(16), "rectification", pool()], (4, 4)),
        (16, [conv(16), pool([1, 2])], (4, 4)),
        (16, [conv(16), pool(4)], (4, 4)),
        (16, [conv(16, padding="valid")], (4, 4)),
        (16, [conv(16, kernel_size=[3, 1])], (4, 1)),
        (16, [conv(16, kernel_size=[1, 5])], (1, 4)),
        (16, [conv(16, kernel_size=[1, 7])], (1, 2)),
        (16, [conv(16, kernel_size=5)], (2, 2)),
        # Perfect matches are exactly 1.
        (16, [conv(16, bias=False, scale="match", trainable=False)], (2, 2)),
        (16, [conv(16, kernel_size=5, scale="match")], None),
        (15, [conv(16)], None),
        (16, [conv(15)], None),
        (16, [conv(16, kernel_size=9)], None),
        (16, [conv(16, stride=2)], None),
        (16, [conv(16, dilation=2)], None),
        (16, [conv(16, kernel_size=[3, 1]), pool()], None),
        (16, [conv(16), pool(3)], None),
        (16, [conv(16), pool(2, stride=3)], None),
        (16, [conv(16), pool(1, stride=2)], None),
        (16, [conv(16, padding=[0, 1], kernel_size=[2, 3])], None),
    ],
)
def test_winograd_is_chosen_where_that_pays(
    channels: int, stages: list[Any], tile: tuple[int, int] | None
) -> None:
    """With many channels and filters, and windows that fill a tile: in as large tiles as gain."""
    plan = plan_of(*stages, shape=GridShape(channels, 12, 12))
    work = plan.steps[0].kernel
    assert (work.tile if isinstance(work, Winograd) else None) == tile
    assert plan.wants_finite == (tile is not None)


@pytest.mark.parametrize(
    ("sizes", "tile", "under"),
    [
        ((12, 12), (4, 4), (14, 14)),
        ((11, 13), (4, 4), (14, 18)),
        ((6, 6), (2, 2), (8, 8)),
        ((2, 5), (2, 2), (4, 8)),
    ],
)
def test_what_tiles_read_beyond_the_map_is_there(
    sizes: tuple[int, int], tile: tuple[int, int], under: tuple[int, int]
) -> None:
    """A border is wider where the last tiles are not full; tiles are shorter for small maps."""
    maps = plan_of(conv(16), shape=GridShape(16, *sizes)).steps[0].kernel
    assert isinstance(maps, Winograd)
    assert maps.tile == tile
    source = maps.source
    assert (source.above, source.left) == (1, 1)
    assert (
        source.above + source.rows + source.below,
        source.left + source.columns + source.right,
    ) == under


def test_maps_of_one_cell_are_not_transformed() -> None:
    assert type(plan_of(conv(16), shape=GridShape(16, 1, 1)).steps[0].kernel) is Convolution


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"kernel_size": ["all", 4]}, True),
        ({"kernel_size": [5, 4], "padding": "valid"}, True),
        ({"kernel_size": ["all", 4], "stride": [3, 2], "dilation": [1, 3]}, True),
        ({"kernel_size": [5, 1], "padding": [0, 2]}, True),
        ({"kernel_size": [1, 4]}, False),
    ],
)
def test_indices_are_looked_up_under_features_of_full_height(
    settings: dict[str, Any], found: bool
) -> None:
    """They have a number for every symbol; the grid is a row of indices between borders."""
    stages = [conv(7, **settings), "rectification", pool([1, 3])]
    network = Network(load({"stages": stages}), LETTERS)
    assert can_look_up(network.ops[0]) == found
    plan = plan_of(*stages, shape=LETTERS, one_hot=True)
    assert plan.one_hot == found
    work = plan.steps[0].kernel
    assert isinstance(work, Lookup) == found
    if isinstance(work, Lookup):
        assert (work.symbols, work.kernel_size[0], work.source.channels, work.source.rows) == (
            5,
            1,
            1,
            1,
        )
        (_, (left, right)) = network.ops[0].stage.borders(LETTERS)  # type: ignore[union-attr]
        assert (plan.start.left, plan.start.right) == (left, right)
    assert not plan_of(*stages, shape=LETTERS).one_hot


@pytest.mark.parametrize("first", ["rectification", pool([5, 2]), None])
def test_indices_are_looked_up_by_a_convolution_alone(first: Any) -> None:
    """Whatever else comes first gets cells."""
    stages = [first] if first else []
    head: Any = None if first else {"voting": {}}
    plan = plan_of(*stages, shape=LETTERS, one_hot=True, head=head, classes=3)
    assert not plan.one_hot
    assert plan.start.size >= LETTERS.cells


# How grids lie


@pytest.mark.parametrize(
    ("channels", "wide", "narrow"),
    [(1, 4, 4), (3, 4, 4), (4, 4, 4), (5, 8, 4), (8, 8, 4), (9, 16, 4), (16, 16, 4), (100, 16, 4)],
)
def test_vectors_are_no_wider_than_they_must(channels: int, wide: int, narrow: int) -> None:
    """And never narrower than four lanes."""
    assert lanes_for(channels, WIDE) == wide
    assert lanes_for(channels, NARROW) == narrow
    assert lanes_for(channels, replace(NARROW, lanes=8)) == min(8, wide)


@pytest.mark.parametrize(
    ("channels", "lanes", "padded"), [(1, 4, 4), (5, 8, 8), (17, 16, 32), (33, 16, 48), (3, 1, 3)]
)
def test_channels_are_filled_up_to_whole_vectors(channels: int, lanes: int, padded: int) -> None:
    """Between borders, cell after cell."""
    maps = Maps(channels, 3, 5, lanes, above=1, below=2, left=3, right=4)
    assert maps.padded == padded
    assert maps.step == 12 * padded
    assert maps.size == 6 * 12 * padded
    assert maps.place(0, 0) == (12 + 3) * padded
    assert maps.place(2, 4, 1) == (3 * 12 + 7) * padded + 1
    assert maps.place(-1, -3) == 0


def test_maps_have_the_borders_that_their_reader_wants() -> None:
    """So nothing is ever copied to be padded."""
    plan = plan_of(conv(5), "rectification", conv(6, kernel_size=[4, 2], padding=[2, 7]), pool())
    first, second = plan.steps
    assert (plan.start.above, plan.start.below, plan.start.left, plan.start.right) == (1, 1, 1, 1)
    source = second.kernel.source
    assert source is first.kernel.target
    assert (source.above, source.below, source.left, source.right) == (2, 2, 7, 7)
    end = second.kernel.target
    assert (end.above, end.below, end.left, end.right) == (0, 0, 0, 0)


def test_grids_of_few_channels_come_as_they_are() -> None:
    """No lane of a vector is spent on them, until a convolution makes maps of them."""
    for channels, lanes in ((1, 1), (3, 1), (4, 4), (5, 8)):
        plan = plan_of("rectification", pool(), conv(2), shape=GridShape(channels, 12, 12))
        assert [step.kernel.source.lanes for step in plan.steps] == [lanes] * 3
        assert [step.kernel.target.lanes for step in plan.steps] == [lanes, lanes, 4]


# What training needs


def test_gradients_go_back_to_the_first_that_learns() -> None:
    """A frozen stage passes them on only where something before it learns."""
    frozen = conv(4, trainable=False)
    for stages, wanted, learns, passes in (
        ([conv(4), conv(4)], False, [True, True], [False, True]),
        ([frozen, conv(4)], False, [False, True], [False, False]),
        ([conv(4), frozen], False, [True, False], [False, True]),
        ([frozen, frozen], False, [False, False], [False, False]),
        ([frozen, pool()], True, [False], [True]),
        ([pool(), frozen, conv(4)], False, [False, False, True], [False, False, False]),
    ):
        plan = plan_of(*stages, wanted=wanted)
        assert [step.learns for step in plan.steps] == learns
        assert [step.passes_on for step in plan.steps] == passes


@pytest.mark.parametrize(
    ("hidden", "dropout", "factors"),
    [([], 0.5, [0.5]), ([7], 0.5, [0, 0.5]), ([7, 8], 0.25, [0, 0.25, 0.25]), ([7], 0, [0, 0])],
)
def test_voting_layers_find_their_numbers(
    hidden: list[int], dropout: float, factors: list[float]
) -> None:
    """And know what dropout leaves out: what enters hidden layers' followers, or the only one."""
    head = {"voting": {"hidden": hidden, "dropout": dropout}}
    network = Network(load({"stages": [conv(4), pool()], "head": head}), SHAPE, classes=3)
    plan = make_plan(network.ops, SHAPE, WIDE, one_hot=False, wanted=False)
    assert len(plan.steps) == 1
    sizes = [4 * 36, *hidden, 3]
    assert plan.head is not None
    kernel = plan.head.kernel
    assert isinstance(kernel, Voting)
    found = [(each.layer.inputs, each.layer.outputs) for each in kernel.layers]
    assert found == list(itertools.pairwise(sizes))
    assert [each.dropout for each in kernel.layers] == factors
    assert [each.layer.rectified for each in kernel.layers] == [True] * len(hidden) + [False]
    names = [name for each in kernel.layers for name in (each.weights, each.bias)]
    slots = network.ops[-1].slots
    assert names == [slot.parameter.name for slot in slots]
    assert [plan.head.slots[name].start for name in names] == [slot.start for slot in slots]


def test_shards_depend_on_the_network_alone() -> None:
    """Sums are added shard by shard, on any machine: they may not depend on it."""
    few: Any = {"voting": {}}
    many: Any = {"voting": {"hidden": [1000]}}
    for head in (few, many):
        shards = {
            plan_of(conv(8), shape=SHAPE, chip=chip, head=head, classes=3).shard
            for chip in (WIDE, NARROW)
        }
        assert len(shards) == 1
    assert plan_of(head=few, classes=3).shard < plan_of(head=many, classes=3).shard


@pytest.mark.parametrize("values", [1, 15, 16, 17, 32, 33, 100, 1000])
def test_rows_of_votes_are_whole_lines_and_an_odd_number_of_them(values: int) -> None:
    """The same column of many rows lies in many places of the cache."""
    lines, rest = divmod(row_size(values), 16)
    assert rest == 0
    assert lines % 2 == 1
    assert values <= row_size(values) < values + 32


# What is kept of it


def test_recipes_differ_as_soon_as_programs_may() -> None:
    """By kind, gaps, processor and everything in the plan."""
    base: dict[str, Any] = {"head": {"voting": {}}, "classes": 3}
    plans = [
        plan_of(conv(5), **base),
        plan_of(conv(6), **base),
        plan_of(conv(5, bias=False), **base),
        plan_of(conv(5, scale="match"), **base),
        plan_of(conv(5, dilation=2), **base),
        plan_of(conv(5, stride=2), **base),
        plan_of(conv(5, trainable=False), **base),
        plan_of(conv(5), "rectification", **base),
        plan_of(conv(5), pool(), **base),
        plan_of(conv(5), pool(1, stride=2), **base),
        plan_of(conv(5), pool(mode="mean"), **base),
        plan_of(conv(5), wanted=True, **base),
        plan_of(conv(5), **{**base, "classes": 4}),
        plan_of(conv(5), head={"voting": {"hidden": [3]}}, classes=3),
        plan_of(conv(5), head={"voting": {"dropout": 0.5}}, classes=3),
        plan_of(conv(5)),
        plan_of(conv(5, kernel_size=["all", 2]), shape=LETTERS, **base),
        plan_of(conv(5, kernel_size=["all", 2]), shape=LETTERS, one_hot=True, **base),
    ]
    found = [recipes.recipe("forward", plan, WIDE, 0) for plan in plans]
    assert None not in found
    found += [
        recipes.recipe("training", plans[0], WIDE, 0),
        recipes.recipe("forward", plans[0], WIDE, 16),
        recipes.recipe("forward", plans[0], NARROW, 0),
        recipes.recipe("forward", plans[0], replace(WIDE, features="+avx10.1"), 0),
        recipes.recipe("forward", plans[0], replace(WIDE, registers=16), 0),
    ]
    assert len(set(found)) == len(found)
    assert found[0] == recipes.recipe("forward", plan_of(conv(5), **base), WIDE, 0)
