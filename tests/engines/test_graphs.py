"""The conformance suite for stages inside of stages: graphs, statistics of batches, chance."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.engines.base import ENGINES, Engine, StepResult, make_engine
from gridcnn.grid import Array, Axis, GridShape, OneHot
from gridcnn.network import GROUP, Network, groups_of
from gridcnn.spec.load import load
from tests.networks import INSTALLED

every_engine = pytest.mark.parametrize("name", list(ENGINES))
# Each compiles several chains; `make test-long` has many more.
FEW = settings(max_examples=8, deadline=None)
CASES = settings(max_examples=20, deadline=None)
MANY = settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))

SHAPE = GridShape(2, 6, 5)
C: Any = {"convolution": {"filters": 4}}
BATCH: list[Any] = [
    {"skip": [C, "normalization", "rectification", {"dropout": 0.5}, C, "normalization"]},
    {"parallel": [[C, {"dropout": {"rate": 0.25, "of": "maps"}}], []]},
    {"pooling": {"window": 3}},
]
"""Stages with batch normalization and several that draw random numbers."""


def network(stages: list[Any], shape: GridShape = SHAPE, **voting: Any) -> Network:
    return Network(load({"stages": stages, "head": {"voting": voting}}), shape, classes=3)


def batch(items: int, shape: GridShape = SHAPE) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, (items, *shape.sizes)).astype(np.float32)


def targets(items: int) -> NDArray[np.int64]:
    return np.arange(items) % 3


def assert_equal_steps(a: StepResult, b: StepResult) -> None:
    assert (a.loss, a.hits) == (b.loss, b.hits)
    np.testing.assert_array_equal(a.gradient, b.gradient)
    for one, other in zip(a.running, b.running, strict=True):
        np.testing.assert_array_equal(one, other)


@CASES
@given(data=st.data())
def test_gradients_of_graphs_are_the_slopes_of_the_training_loss(
    networks: ModuleType, data: st.DataObject
) -> None:
    """With statistics of the batch and whatever is left out, in float64; by some of the values."""
    case = data.draw(networks.graph_cases(dropout=True))
    assume(networks.is_decided(case, chance=case.seed))
    engine = make_engine(case.network, "reference")

    random = np.random.default_rng(case.seed)
    step = engine.step(case.parameters, case.grids, case.targets, random=random)
    learned = np.flatnonzero(case.network.mask("trainable"))
    some = np.random.default_rng(0).choice(learned, min(25, len(learned)), replace=False)
    slopes = networks.training_slopes(case, some, chance=case.seed)
    scale = 1 + np.abs(step.gradient).max(initial=0)
    np.testing.assert_allclose(step.gradient[some], slopes, rtol=1e-4, atol=1e-6 * scale)
    assert not step.gradient[~case.network.mask("trainable")].any()


def check(networks: ModuleType, name: str, case: Any) -> None:
    assume(networks.is_decided(case, chance=case.seed))
    engine = make_engine(case.network, name)
    with networks.uncached():
        networks.check_graph(engine, case, chance=case.seed)
        networks.check_pieces(engine, case)


@every_engine
@FEW
@given(data=st.data())
def test_random_graphs_are_answered_alike_by_every_engine(
    networks: ModuleType, name: str, data: st.DataObject
) -> None:
    """Maps, loss, gradient and running values in float32 are those of float64, rounded.

    An item's maps are the same bits alone, in a batch, and at another place in it.
    """
    check(networks, name, data.draw(networks.graph_cases(dropout=True)))


@pytest.mark.long
@every_engine
@MANY
@given(data=st.data())
def test_very_many_random_graphs_are_answered_alike_by_every_engine(
    networks: ModuleType, name: str, data: st.DataObject
) -> None:
    """The same, for others each time."""
    check(networks, name, data.draw(networks.graph_cases(dropout=True)))


@every_engine
@settings(FEW, max_examples=4)
@given(data=st.data())
def test_one_hot_grids_enter_composites_as_their_array(
    networks: ModuleType, name: str, data: st.DataObject
) -> None:
    """Several stages, and a merge, may read the grids that are kept as indices."""
    case = data.draw(networks.graph_cases(one_hot=True))
    assume(networks.is_decided(case))
    engine = make_engine(case.network, name)

    with networks.uncached():
        networks.check_graph(engine, case, grids=case.one_hot)
        networks.check_pieces(engine, case, case.one_hot)


@every_engine
@pytest.mark.parametrize(
    "stages",
    [
        [{"parallel": [[], []]}],
        [{"parallel": {"branches": [[], []], "join": "sum"}}],
        [{"skip": [{"convolution": {"filters": 1, "kernel_size": [1, 3]}}]}],
        [{"parallel": [[{"convolution": {"filters": 3, "kernel_size": ["all", 3]}}]] * 2}],
        [{"skip": {"stages": [{"convolution": {"filters": 3}}], "shortcut": "projection"}}],
        [{"skip": ["normalization"]}],
        [{"repeat": {"times": 2, "stages": [{"skip": ["rectification"]}]}}],
        [{"dropout": 0.5}],
        [],
    ],
    ids=str,
)
def test_one_hot_grids_may_be_read_by_several(
    networks: ModuleType, name: str, stages: list[Any]
) -> None:
    whole = network(stages, GridShape(1, 5, 9, Axis("letter"), Axis("position")))
    indices = np.random.default_rng(0).integers(-1, 5, (7, 9), np.int32)
    case = networks.case_of(whole, items=7, exactly=False)
    case = case._replace(grids=np.asarray(OneHot(indices, 5), np.float64))

    engine = make_engine(whole, name)
    networks.check_graph(engine, case, grids=case.one_hot, chance=3)
    networks.check_pieces(engine, case, case.one_hot)


@every_engine
@pytest.mark.parametrize("items", [1, 2, 15, 16, 17, 31, 32, 33, 520, 1030])
def test_statistics_are_those_of_groups_of_items(
    networks: ModuleType, name: str, items: int
) -> None:
    """However many rounds a batch is done in: the step is the mean of the groups' steps."""
    whole = network([{"skip": [C, "normalization"]}, "rectification", {"pooling": {"window": 3}}])
    parameters = networks.case_of(whole, items=2, exactly=False).parameters
    grids, wanted = batch(items).astype(np.float64), targets(items)
    exact = make_engine(whole, "reference")
    groups = list(groups_of(items))
    assert sum(part.stop - part.start for part in groups) == items
    assert max(part.stop - part.start for part in groups) <= GROUP
    steps = [exact.step(parameters, grids[part], wanted[part]) for part in groups]
    shares = [(part.stop - part.start) / items for part in groups]

    engine = make_engine(whole, name)
    step = engine.step(parameters.astype(np.float32), grids.astype(np.float32), wanted)
    loss = sum(share * each.loss for share, each in zip(shares, steps, strict=True))
    gradient = sum(share * each.gradient for share, each in zip(shares, steps, strict=True))
    assert step.loss == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(
        step.gradient, gradient, rtol=0, atol=1e-4 * np.abs(gradient).max() + 1e-6
    )
    for number, found in enumerate(step.running):
        mean = sum(s * each.running[number] for s, each in zip(shares, steps, strict=True))
        np.testing.assert_allclose(found, mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [513, 520, 527, 1025, 1040, 1030, 16 * 700 + 1])
def test_rounds_cut_no_group(count: int) -> None:
    """The groups of a round, taken for itself, are those of the whole batch."""
    native = pytest.importorskip("gridcnn.engines.native.engine")
    engine = native.NativeEngine(network(["normalization"]))
    rounds = list(engine._training_rounds(count))

    assert [part.start for part in rounds[1:]] == [part.stop for part in rounds[:-1]]
    assert (rounds[0].start, rounds[-1].stop) == (0, count)
    assert max(part.stop - part.start for part in rounds) <= native.ROUND
    found = [
        slice(part.start + group.start, part.start + group.stop)
        for part in rounds
        for group in groups_of(part.stop - part.start)
    ]
    assert found == list(groups_of(count))


@pytest.mark.parametrize("items", [5, 40, 600])
@pytest.mark.parametrize("stages", [BATCH, [{"dropout": 0.5}, C, {"dropout": 0.25}]])
def test_every_engine_leaves_out_the_same(
    networks: ModuleType, stages: list[Any], items: int
) -> None:
    """Whatever parts it takes the batch in; so the gradients agree, with the same seed."""
    whole = network(stages, hidden=[], dropout=0.5)
    case = networks.case_of(whole, items=2, exactly=False)
    case = case._replace(grids=batch(items).astype(np.float64), targets=targets(items))

    for name in INSTALLED:
        engine = make_engine(whole, name)
        steps = [
            engine.step(
                case.single.parameters,
                case.single.grids,
                case.targets,
                random=np.random.default_rng(seed),
            )
            for seed in (1, 1, 2)
        ]
        assert_equal_steps(steps[0], steps[1])
        assert (steps[0].gradient != steps[2].gradient).any()
    # Smooth but for the rectification, whose few close decisions move single items alone.
    expected = make_engine(whole, "reference").step(
        case.parameters, case.grids, case.targets, random=np.random.default_rng(1)
    )
    step = make_engine(whole, "native").step(
        case.single.parameters,
        case.single.grids,
        case.targets,
        random=np.random.default_rng(1),
    )
    assert step.loss == pytest.approx(expected.loss, rel=1e-4)
    scale = np.abs(expected.gradient).max()
    np.testing.assert_allclose(step.gradient, expected.gradient, rtol=0, atol=5e-3 * scale)


def test_hidden_layers_leave_out_the_same_in_every_part_of_a_batch() -> None:
    """The reference takes large batches in parts, and a native round is another part."""
    whole = network([C], hidden=[300, 200], dropout=0.5)
    parameters = whole.starting_parameters()
    losses = [
        make_engine(whole, name)
        .step(parameters, batch(1100), targets(1100), random=np.random.default_rng(0))
        .loss
        for name in INSTALLED
    ]

    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-5)


def test_the_number_of_threads_changes_no_bit() -> None:
    whole = network(BATCH, hidden=[7], dropout=0.5)
    parameters = whole.starting_parameters()
    grids, wanted = batch(150), targets(150)
    engines: list[Engine] = [make_engine(whole, "native", threads=n) for n in (1, 2, 64)]

    first, *others = (
        engine.step(parameters, grids, wanted, random=np.random.default_rng(3))
        for engine in engines
    )
    for other in others:
        assert_equal_steps(first, other)
    maps = [engine.maps(parameters, grids) for engine in engines]
    np.testing.assert_array_equal(maps[1], maps[0])
    np.testing.assert_array_equal(maps[2], maps[0])


@every_engine
def test_large_batches_are_answered_as_single_items(networks: ModuleType, name: str) -> None:
    whole = network([*BATCH, "gate"])
    engine, parameters = make_engine(whole, name), whole.starting_parameters()
    grids = batch(1030)

    together = engine.logits(parameters, grids)
    for item in (0, 1, 511, 512, 1029):
        alone = engine.logits(parameters, grids[item : item + 1])
        networks.check_same(engine, alone[0], together[item])


@every_engine
def test_answers_draw_nothing_and_use_the_running_values(name: str) -> None:
    whole = network([{"skip": ["normalization"]}, {"dropout": 0.9}])
    parameters = whole.starting_parameters()
    named = whole.named(parameters)
    named["1.1.normalization.mean"][:] = [1, 2]
    named["1.1.normalization.variance"][:] = [3, 8]

    maps = make_engine(whole, name).maps(parameters, batch(4), after=2)
    mean, variance = (np.reshape(each, (2, 1, 1)) for each in ([1, 2], [3, 8]))
    expected = batch(4) + (batch(4) - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-5)


@every_engine
def test_running_values_move_towards_what_is_observed(name: str) -> None:
    """By a tenth in each step, or as the momentum says; nothing that is given is changed."""
    whole = network([{"normalization": {"momentum": 0.75}}, "normalization"])
    engine, parameters = make_engine(whole, name), whole.starting_parameters()
    before, grids = parameters.copy(), batch(12)

    step = engine.step(parameters, grids, targets(12))
    np.testing.assert_array_equal(parameters, before)
    maps = grids.transpose(1, 0, 2, 3).reshape(2, -1)
    np.testing.assert_allclose(step.running[0], 0.25 * maps.mean(axis=1), rtol=1e-5, atol=1e-7)
    variance = 0.75 + 0.25 * maps.var(axis=1, ddof=1)
    np.testing.assert_allclose(step.running[1], variance, rtol=1e-5)
    # What comes out of the first has mean 0 and variance 1.
    np.testing.assert_allclose(step.running[2], 0, atol=1e-6)
    np.testing.assert_allclose(step.running[3], 1, rtol=1e-3)
    assert engine.step(parameters, grids[:0], targets(0)).running == ()


@every_engine
def test_a_single_cell_leaves_the_running_variance_as_it_is(name: str) -> None:
    """A batch of one item whose maps have one cell has a mean, and no variance."""
    whole = network([C, {"pooling": {"window": "all"}}, "normalization"])
    parameters = whole.starting_parameters()
    whole.named(parameters)["3.normalization.variance"][:] = [2, 3, 4, 5]
    engine = make_engine(whole, name)
    mean = engine.maps(parameters, batch(1), after=1).ravel()

    step = engine.step(parameters, batch(1), targets(1))
    np.testing.assert_allclose(step.running[0], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(step.running[1], [2, 3, 4, 5], rtol=1e-6)
    two = engine.step(parameters, batch(2), targets(2))
    assert (two.running[1] != np.array([2, 3, 4, 5], np.float32)).all()


@every_engine
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_cell_that_is_not_finite_goes_its_way_in_silence(name: str, bad: float) -> None:
    """It spoils its own item when answering; in training it is told by the loss."""
    whole = network([*BATCH, "gate", {"activation": "gelu"}])
    engine, parameters = make_engine(whole, name), whole.starting_parameters()
    grids = batch(20)
    clean = engine.logits(parameters, grids)
    grids[3, 1, 2, 2] = bad

    logits = engine.logits(parameters, grids)
    others = np.arange(20) != 3
    np.testing.assert_array_equal(logits[others], clean[others])
    assert not np.isfinite(logits[3]).any()
    assert not np.isfinite(engine.step(parameters, grids, targets(20)).loss)
    assert not engine.step(parameters * np.float32(1e30), batch(20), targets(20)).loss < 1e6


@every_engine
def test_float64_parameters_are_computed_in_float64(networks: ModuleType, name: str) -> None:
    whole = network(BATCH)
    parameters = whole.starting_parameters(np.float64)
    exact = make_engine(whole, "reference")
    engine, grids = make_engine(whole, name), batch(33).astype(np.float64)

    maps = engine.maps(parameters, grids)
    networks.check_same(engine, maps, exact.maps(parameters, grids))
    step = engine.step(parameters, grids, targets(33), random=np.random.default_rng(0))
    right = exact.step(parameters, grids, targets(33), random=np.random.default_rng(0))
    if engine.same_bits:
        assert_equal_steps(step, right)
    np.testing.assert_allclose(step.gradient, right.gradient, rtol=0, atol=1e-12)
    assert {step.gradient.dtype, *(each.dtype for each in step.running)} == {np.dtype(np.float64)}


@every_engine
def test_frozen_stages_before_the_votes_leave_running_values_moving(name: str) -> None:
    """Nothing but the head learns, so no gradient goes back; what is observed is."""
    frozen: Any = {"convolution": {"filters": 3, "trainable": False}}
    whole = network([frozen, {"skip": [frozen]}, "rectification"])
    engine, parameters = make_engine(whole, name), whole.starting_parameters()

    gradients = whole.named(engine.step(parameters, batch(9), targets(9)).gradient)
    for label, gradient in gradients.items():
        assert gradient.any() == label.startswith("4.voting"), label


@every_engine
def test_maps_after_every_operation_are_alike(networks: ModuleType, name: str) -> None:
    whole = network([*BATCH, {"repeat": {"times": 2, "stages": [{"skip": ["rectification"]}]}}])
    case = networks.case_of(whole, items=3, exactly=False)
    exact, engine = make_engine(whole, "reference"), make_engine(whole, name)

    for after in range(len(whole.ops)):
        expected = exact.maps(case.parameters, case.grids, after=after)
        maps: Array = engine.maps(case.single.parameters, case.single.grids, after=after)
        networks.check_maps(maps, expected, exactly=False)


@pytest.mark.parametrize("kind", ["batch", "layer"])
@pytest.mark.parametrize("composite", ["skip", "parallel"])
def test_normalizations_pass_gradients_back_beside_others_and_alone(
    kind: str, composite: str
) -> None:
    """One is added to the gradient by another reader of the grid, the other is all there is."""
    normalized: list[Any] = [{"normalization": kind}, "rectification", C]
    branches: Any = normalized if composite == "skip" else [normalized, [C]]
    whole = network([C, {composite: branches}, {"normalization": kind}, "rectification", C])
    parameters = whole.starting_parameters()

    found, right = (
        make_engine(whole, name).step(parameters, batch(20), targets(20))
        for name in ("native", "reference")
    )

    np.testing.assert_allclose(found.gradient, right.gradient, rtol=1e-3, atol=2e-6)
    assert found.loss == pytest.approx(right.loss, rel=1e-5)
