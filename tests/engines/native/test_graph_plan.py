"""Plans and programs of networks with branches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.engines.base import make_engine
from gridcnn.engines.native import builder as of_builder
from gridcnn.engines.native.build_answers import AnswerBuilder
from gridcnn.engines.native.build_training import TrainingBuilder
from gridcnn.engines.native.chain import Chain
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.kernels.convolution import Convolution
from gridcnn.engines.native.kernels.group_normalization import GroupNormalization
from gridcnn.engines.native.kernels.lookup import Lookup
from gridcnn.engines.native.kernels.merging import Sum
from gridcnn.engines.native.kernels.normalization import Normalization
from gridcnn.engines.native.kernels.winograd import Winograd
from gridcnn.engines.native.plan import Plan, make_plan
from gridcnn.engines.native.processor import Processor
from gridcnn.grid import Axis, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

CHIP = Processor("x86-64-v4", "", "x86_64-unknown-linux-gnu", 16, 32, True)
SHAPE = GridShape(3, 8, 8)


def conv(filters: int, **settings: Any) -> dict[str, Any]:
    return {"convolution": {"filters": filters, **settings}}


IN_GROUPS = conv(4, groups=2)
"""A stage without a kernel."""


def network(*stages: Any, shape: GridShape = SHAPE, head: bool = True) -> Network:
    spec = {"stages": list(stages), **({"head": "voting"} if head else {})}
    return Network(load(spec), shape, classes=3)


def plan_of(*stages: Any, shape: GridShape = SHAPE, **options: Any) -> Plan:
    ops = network(*stages, shape=shape).ops
    return make_plan(ops, shape, CHIP, **{"one_hot": False, "wanted": False, **options})


def pieces(*stages: Any) -> list[tuple[int, int, bool]]:
    engine = make_engine(network(*stages), "native", threads=1)
    assert isinstance(engine, NativeEngine)
    return [(piece.start, piece.stop, piece.native) for piece in engine.pieces()]


def test_steps_name_the_values_that_they_read() -> None:
    """A skip connection reads one value twice."""
    plan = plan_of(conv(8), {"skip": [conv(8), "rectification"]})
    assert [step.sources for step in plan.steps] == [(0,), (1,), (1, 2)]
    assert [step.target for step in plan.steps] == [1, 2, 3]
    assert plan.readers[1] == (1, 2)
    assert plan.head is not None
    assert plan.head.sources == (3,)


def test_nothing_is_fused_beyond_a_value_that_others_read_as_well() -> None:
    """Here the maps before the rectification enter the sum."""
    plan = plan_of(conv(8), {"skip": ["rectification", conv(8)]}, "rectification")
    assert [len(step.ops) for step in plan.steps] == [1, 1, 1, 2]


def test_readers_of_one_value_have_each_their_border() -> None:
    """The value has the widest; others begin further inside."""
    branches = [[conv(8, kernel_size=3)], [conv(8, kernel_size=7)], [conv(8, kernel_size=1)]]
    plan = plan_of({"parallel": branches})
    value = plan.values[0]
    assert (value.above, value.left) == (3, 3)
    for step, border in zip(plan.steps, (1, 3, 0), strict=False):
        source = step.kernel.sources[0]
        assert (source.above, source.left) == (border, border)
        assert source.step == value.step
        assert step.starts[0] + source.place(0, 0) == value.place(0, 0)


def test_answers_fold_a_normalization_and_training_does_not() -> None:
    """Training needs the maps before it."""
    stages = [conv(8, bias=False), "normalization", "rectification", "pooling"]
    training, answers = plan_of(*stages), plan_of(*stages, answers=True)
    assert [type(step.kernel) for step in training.steps[:2]] == [Convolution, Normalization]
    assert training.mixes_items
    (step,) = answers.steps
    assert isinstance(step.kernel, Convolution)
    assert (step.kernel.bias, step.kernel.rectified, step.kernel.pooled) == (True, True, True)
    assert not answers.mixes_items
    assert {"weights", "normalization.gain", "normalization.variance"} < set(step.slots)


def test_a_network_that_mixes_items_has_shards_of_whole_groups() -> None:
    assert plan_of(conv(4), "normalization").shard == 16
    assert plan_of(conv(4), "rectification").shard == 8


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, Winograd),
        ({"kernel_size": [1, 8]}, Convolution),
        ({"stride": 2}, type(None)),
        ({"padding": 3}, type(None)),
        ({"dilation": 2}, Convolution),
    ],
)
def test_the_gradient_of_the_grid_is_a_convolution_where_it_can_be(
    settings: dict[str, Any], kind: type
) -> None:
    """Not with a stride, nor with a padding beyond the feature."""
    plan = plan_of(conv(16), conv(16, **settings), "normalization")
    kernel = plan.steps[1].kernel
    assert isinstance(kernel, Convolution)
    assert kernel.is_dense
    assert type(kernel.reversed) is kind
    if kernel.reversed is not None:
        assert kernel.reversed.rows == kernel.source.rows
        assert kernel.reversed.columns == kernel.source.columns


@pytest.mark.parametrize(
    ("behind", "dense"),
    [
        ([], True),
        ([conv(16)], True),
        (["normalization", {"pooling": {"window": 3, "stride": 2}}], True),
        ([{"pooling": {"window": "all", "mode": "mean"}}], True),
        ([{"pooling": {"window": "all"}}], False),
        ([{"pooling": {"window": 5, "stride": 2}}], False),
        ([{"pooling": {"window": 5, "stride": 1}}], True),
        (
            [{"dropout": {"rate": 0.5}}, {"activation": "tanh"}, {"pooling": {"window": "all"}}],
            False,
        ),
        ([{"skip": [{"dropout": {"rate": 0.5}}]}, {"pooling": {"window": "all"}}], False),
        ([{"skip": [conv(16)]}, {"pooling": {"window": "all"}}], True),
    ],
)
def test_a_rectified_convolution_is_dense_unless_a_pooling_thins_its_gradient(
    behind: list[Any], dense: bool
) -> None:
    """Half of the gradients are 0, but tiles save more; of a few cells they save nothing."""
    plan = plan_of(conv(16), conv(16), "rectification", *behind, shape=GridShape(3, 16, 16))
    kernel = plan.steps[1].kernel
    assert isinstance(kernel, Winograd)
    assert kernel.rectified
    assert kernel.is_dense == dense


def test_a_gradient_is_written_where_a_convolution_alone_reads_the_grid() -> None:
    """And where it is the last reader, which comes back first; the others add to that."""
    plan = plan_of(conv(16), conv(16), {"skip": [conv(16), conv(16)]}, "normalization")
    kernels = [step.kernel for step in plan.steps]
    assert [type(kernel) for kernel in kernels[1:5]] == [Winograd, Winograd, Winograd, Sum]
    assert [kernel.adds for kernel in kernels[1:5]] == [False, True, False, False]


def replaced(*stages: Any) -> set[int]:
    """Return the values whose gradients are written over their maps."""
    builder = TrainingBuilder(plan_of(*stages, wanted=True), CHIP)
    builder.training()
    return {value for value, place in builder.gradients.items() if place == builder.maps[value]}


def test_gradients_replace_maps_that_nothing_reads_any_more() -> None:
    """A normalization's source, and what a convolution reads that writes all of its gradient."""
    assert replaced(conv(16), "normalization", conv(16)) >= {1, 2}
    # A sum of features adds to the gradient of its grid, which has to start as zeros.
    assert replaced(conv(16), "normalization", conv(16, groups="channels")) == {1}


@pytest.mark.parametrize(
    "stages",
    [
        # What was rectified is looked up in the maps; the second reader comes back first.
        pytest.param([conv(16), "rectification", "normalization"], id="rectified"),
        pytest.param([conv(16), {"skip": ["normalization"]}], id="read twice"),
        pytest.param([conv(16), {"normalization": "layer"}], id="one item at a time"),
    ],
)
def test_gradients_replace_no_maps_that_are_still_needed(stages: list[Any]) -> None:
    assert 1 not in replaced(*stages)


def test_the_border_of_maps_outlives_a_step() -> None:
    """A depthwise convolution writes into the border of a gradient, which is no map's place."""
    stages = [
        *(conv(16), "normalization", conv(16, groups="channels"), "normalization"),
        *(conv(16), "normalization"),
    ]
    assert replaced(*stages) >= {1, 3, 4}
    made = network(*stages)
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (16, *SHAPE.sizes)).astype(np.float32)
    targets = random.integers(0, 3, 16)
    engine, parameters = make_engine(made, "native", threads=1), made.starting_parameters()
    gradients = [engine.step(parameters, grids, targets).gradient.copy() for _ in range(2)]
    np.testing.assert_array_equal(gradients[0], gradients[1])


def test_steps_share_the_memory_of_gradients_with_a_border() -> None:
    """If maps lie alike; they are needed for one call."""
    stages = [conv(16), "normalization", {"repeat": {"times": 5, "stages": [conv(16)]}}]
    program = TrainingBuilder(plan_of(*stages), CHIP).training()
    names = [name for name, *_ in program.workspace.parts]
    assert sum("gradient with a border" in name for name in names) == 1


def test_gradients_with_many_zeros_are_listed() -> None:
    plan = plan_of(conv(16), "rectification", conv(16), "pooling")
    for step in plan.steps:
        assert isinstance(step.kernel, Convolution)
        assert not step.kernel.is_dense


def test_branches_look_one_hot_grids_up_if_all_can() -> None:
    shape = GridShape(1, 5, 9, Axis("letter", ordered=False), Axis("position"))
    windows = [[conv(4, kernel_size=["all", width]), "rectification"] for width in (3, 4, 5)]
    plan = plan_of({"parallel": windows}, shape=shape, one_hot=True)
    assert plan.one_hot
    assert all(isinstance(step.kernel, Lookup) for step in plan.steps[:3])
    others = [*windows, [{"pooling": {"window": ["all", 1]}}]]
    assert not plan_of({"parallel": others}, shape=shape, one_hot=True).one_hot


def test_answers_know_no_dropout() -> None:
    """There the stage before goes on as if it were not there."""
    stages = [conv(8), {"dropout": 0.5}, "rectification", "pooling", {"dropout": 0.1}]
    training, answers = plan_of(*stages), plan_of(*stages, answers=True)
    assert [len(step.ops) for step in training.steps] == [1, 1, 1, 1, 1]
    assert training.factors == 8 * 8 * 8 + 8 * 4 * 4
    (step,) = answers.steps
    assert isinstance(step.kernel, Convolution)
    assert (step.kernel.rectified, step.kernel.pooled) == (True, True)
    for stage in ("pooling", {"activation": "tanh"}, "normalization"):
        assert len(plan_of(stage, {"dropout": 0.5}, answers=True).steps) == 1


def test_groups_of_maps_need_no_other_item() -> None:
    """So their steps do not cut the way of an item through the network."""
    plan = plan_of(conv(8), {"normalization": "layer"}, "rectification")
    assert isinstance(plan.steps[1].kernel, GroupNormalization)
    assert plan.steps[1].kernel.rectified
    assert not plan.mixes_items


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("layer", "mean and variance of all maps of each item"),
        ({"kind": "group", "groups": 2}, "mean and variance of 2 groups of maps of each item"),
    ],
)
def test_a_plan_says_over_which_maps_means_are_taken(kind: Any, note: str) -> None:
    spec = load({"stages": [conv(8), {"normalization": kind}]})
    described = make_engine(Network(spec, GridShape(1, 6, 6)), "native").plan()

    assert note in described.parts[1].notes


# Pieces


def test_a_graph_of_kernels_is_one_piece() -> None:
    assert pieces(conv(4), {"skip": [conv(4), "normalization"]}, "rectification") == [(0, 6, True)]


def test_a_stage_without_a_kernel_cuts_where_one_value_is_alive() -> None:
    """The skip around it is done operation by operation, all else in one go."""
    found = pieces(
        conv(4), "rectification", {"skip": [conv(4), IN_GROUPS]}, conv(3), "rectification"
    )
    assert found == [(0, 2, True), (2, 3, True), (3, 4, False), (4, 5, False), (5, 8, True)]


def test_batches_are_normalized_by_kernels_only_in_one_piece() -> None:
    """A training step has to be one call for that: in pieces, groups would be answered."""
    assert pieces(conv(4), "normalization") == [(0, 3, True)]
    assert pieces(conv(4), "normalization", {"dropout": 0.1}) == [(0, 4, True)]
    assert pieces(conv(4), "normalization", IN_GROUPS)[1] == (1, 2, False)
    assert pieces(conv(4), {"dropout": 0.1}, IN_GROUPS)[1] == (1, 2, False)


# Programs


def texts(*stages: Any, kind: str = "training") -> str:
    if kind == "forward":
        return AnswerBuilder(plan_of(*stages, answers=True), CHIP).forward().text
    return TrainingBuilder(plan_of(*stages), CHIP).training().text


def functions(text: str) -> int:
    return text.count("\ndefine ")


@pytest.mark.parametrize("kind", ["training", "forward"])
def test_equal_blocks_share_their_functions(kind: str) -> None:
    """The number of functions does not depend on the number of blocks."""
    counts = [
        functions(
            texts(conv(8), {"repeat": {"times": times, "stages": [{"skip": [conv(8)]}]}}, kind=kind)
        )
        for times in (2, 6)
    ]
    assert counts[0] == counts[1]


def test_answers_of_many_blocks_take_the_memory_of_a_few() -> None:
    """Maps take the place of others that nothing reads any more."""
    sizes = [
        AnswerBuilder(
            plan_of(
                conv(8), {"repeat": {"times": times, "stages": [{"skip": [conv(8)]}]}}, answers=True
            ),
            CHIP,
        )
        .forward()
        .workspace.size
        for times in (3, 30)
    ]
    assert sizes[0] == sizes[1]


def test_long_programs_are_divided_into_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """And give the same numbers, to the last bit."""
    made = network(
        conv(5), {"repeat": {"times": 4, "stages": [{"skip": [conv(5), "normalization"]}]}}
    )
    random = np.random.default_rng(0)
    parameters = made.starting_parameters()
    grids = random.normal(0, 1, (20, *SHAPE.sizes)).astype(np.float32)
    targets = random.integers(0, 3, 20)

    def results() -> tuple[Any, ...]:
        chain = Chain(made.ops, SHAPE, CHIP, one_hot=False, wanted=False, threads=1)
        engine = make_engine(made, "native", threads=2)
        step = engine.step(parameters, grids, targets)
        length = functions(TrainingBuilder(chain.plan, CHIP).training().text)
        return step.loss, step.gradient, engine.maps(parameters, grids), length

    monkeypatch.setenv("GRIDCNN_CACHE", "off")
    whole = results()
    monkeypatch.setattr(of_builder, "_MOST_INLINE", 3)
    monkeypatch.setattr(of_builder, "_CHUNK", 2)
    divided = results()
    assert divided[0] == whole[0]
    np.testing.assert_array_equal(divided[1], whole[1])
    np.testing.assert_array_equal(divided[2], whole[2])
    assert divided[3] > whole[3]
