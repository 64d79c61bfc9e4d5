"""The conformance suite of engines: every engine gives the votes and gradients of the arithmetic.

It runs over every registered engine; the reference is checked against small differences, and the
others against the reference too.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.engines.base import ENGINES, Engine, make_engine
from gridcnn.errors import TrainingError, UnknownNameError
from gridcnn.grid import Array, Axis, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.methods import slopes

every_engine = pytest.mark.parametrize("name", list(ENGINES))
# What stands in `FIRST` of tests/networks.py, which tests get as a fixture.
every_beginning = pytest.mark.parametrize(
    "first", ["all rows", "some rows", "pooling", "rectification", "head"]
)
CASES = settings(max_examples=100, deadline=None)
# Each is compiled, which takes a third of a second; `make test-long` has thousands.
WIDE = settings(CASES, max_examples=30)
FEW = settings(CASES, max_examples=10)
MANY = settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))

STAGES: list[Any] = [
    {"convolution": {"filters": 3}},
    "rectification",
    "pooling",
    {"convolution": {"filters": 2, "kernel_size": 1}},
]


def network(*, classes: int = 3, stages: list[Any] = STAGES, **voting: Any) -> Network:
    spec = load({"stages": stages, "head": {"voting": {"hidden": [6], **voting}}})
    return Network(spec, GridShape(2, 9, 10), classes=classes)


def batch(items: int, *, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 1, (items, 2, 9, 10)).astype(np.float32)


def made(name: str, **voting: Any) -> tuple[Engine, Array]:
    whole = network(**voting)
    return make_engine(whole, name), whole.starting_parameters()


@CASES
@given(data=st.data())
def test_the_gradients_of_random_networks_are_their_slopes(
    networks: ModuleType, data: st.DataObject
) -> None:
    """Backpropagation through any stages agrees with nudging every parameter, in float64."""
    case = data.draw(networks.cases())
    engine = make_engine(case.network, "reference")

    step = engine.step(case.parameters, case.grids, case.targets)
    expected = slopes(engine, case.parameters, case.grids, case.targets, width=1e-6)
    np.testing.assert_allclose(step.gradient, expected, atol=1e-6)


def check(networks: ModuleType, name: str, case: Any, *, one_hot: bool = False) -> None:
    """Assert that an engine of that name answers a random case as every engine does."""
    engine = make_engine(case.network, name)
    with networks.uncached():
        networks.check_answers(engine, case, case.one_hot if one_hot else None)
        networks.check_pieces(engine, case, case.one_hot if one_hot else None)
        if not one_hot:
            networks.check_places(engine, case)
            networks.check_odd_cells(engine, case)


@every_engine
@WIDE
@given(data=st.data())
def test_random_networks_are_answered_alike_by_every_engine(
    networks: ModuleType, name: str, data: st.DataObject
) -> None:
    """Maps, loss and gradient in float32 are those of float64, rounded, for any batch.

    So they are wherever things lie in memory. What is not finite goes the same way, and an item's
    maps are the same bits alone, in a batch, and at another place in it.
    """
    check(networks, name, data.draw(networks.wide_cases()))


@pytest.mark.long
@every_engine
@MANY
@given(data=st.data())
def test_very_many_random_networks_are_answered_alike_by_every_engine(
    networks: ModuleType, name: str, data: st.DataObject
) -> None:
    """The same, for others each time."""
    check(networks, name, data.draw(networks.wide_cases()))


@every_engine
@FEW
@given(data=st.data())
def test_the_maps_after_every_stage_are_alike_in_every_engine(
    networks: ModuleType, name: str, data: st.DataObject
) -> None:
    """What comes out in between does not depend on what an engine does in one go."""
    case = data.draw(networks.wide_cases())
    exact, engine = make_engine(case.network, "reference"), make_engine(case.network, name)
    single = case.single

    with networks.uncached():
        for after in range(len(case.network.ops)):
            expected = exact.maps(case.parameters, case.grids, after=after)
            maps = engine.maps(single.parameters, single.grids, after=after)
            networks.check_maps(maps, expected, exactly=case.exact)


@every_engine
@pytest.mark.parametrize(
    ("shape", "kernel", "blank"),
    [
        (GridShape(16, 20, 19), 3, np.s_[:, :, 4:12, 5:16]),
        (GridShape(20, 1, 40), [1, 5], np.s_[:, :, :, 13:]),
        (GridShape(17, 12, 10), 5, np.s_[:, :, :9]),
        (GridShape(16, 30, 2), [7, 1], np.s_[:, :, 11:20]),
    ],
)
def test_blank_parts_of_a_grid_pass_no_gradient_on(
    name: str, shape: GridShape, kernel: Any, blank: Any
) -> None:
    """A sum of zeros is 0, however it is made, and nobody learns from what is 0.

    Biases are 0, as they are when training starts.
    """
    stages = [
        {"convolution": {"filters": 16, "kernel_size": 1}},
        {"convolution": {"filters": 18, "kernel_size": kernel}},
        "rectification",
    ]
    network = Network(load({"stages": stages, "head": {"voting": {}}}), shape, classes=3)
    grids = np.random.default_rng(0).normal(0, 1, (6, *shape.sizes))
    grids[blank] = 0
    parameters, targets = network.starting_parameters(np.float64), np.arange(6) % 3
    right = make_engine(network, "reference").step(parameters, grids, targets).gradient
    engine = make_engine(network, name)

    found = engine.step(parameters.astype(np.float32), grids.astype(np.float32), targets).gradient
    for label, expected in network.named(right).items():
        close = 2e-5 * np.abs(expected).max()
        np.testing.assert_allclose(network.named(found)[label], expected, rtol=0, atol=close)


def corner(shape: GridShape, *stages: Any, items: int = 3, **voting: Any) -> Any:
    return pytest.param(shape, list(stages), voting, items, id=str(shape))


@every_engine
@pytest.mark.parametrize(
    ("shape", "stages", "voting", "items"),
    [
        # One tap of many channels fills all registers.
        corner(GridShape(100, 1, 18), {"convolution": {"kernel_size": ["all", 16], "filters": 3}}),
        # Few channels under a large kernel.
        corner(GridShape(3, 14, 13), {"convolution": {"kernel_size": [9, 11], "filters": 20}}),
        # The cells of many filters are listed a few rows at a time.
        corner(
            GridShape(2, 40, 37),
            {"convolution": {"filters": 40}},
            "rectification",
            {"convolution": {"filters": 50, "kernel_size": [2, 5]}},
            {"pooling": {"window": [1, 2], "stride": [2, 3]}},
        ),
        # The largest window that is pooled in registers, and cut windows on both sides.
        corner(
            GridShape(4, 13, 23), {"convolution": {"filters": 34}}, {"pooling": {"window": [4, 6]}}
        ),
        # So many votes that more items stand together.
        corner(GridShape(16, 30, 30), "rectification", hidden=[20], items=35),
        # Tiles of every length, which reach beyond the map and in which windows are found.
        corner(GridShape(17, 7, 5), {"convolution": {"filters": 16}}, "rectification"),
        corner(GridShape(16, 6, 10), {"convolution": {"filters": 33}}, "rectification", "pooling"),
        corner(
            GridShape(18, 1, 26),
            {"convolution": {"filters": 40, "kernel_size": [1, 5], "bias": False}},
            "rectification",
            {"pooling": {"window": [1, 2]}},
        ),
        corner(GridShape(20, 23, 1), {"convolution": {"filters": 17, "kernel_size": [7, 1]}}),
        corner(
            GridShape(16, 8, 7),
            {"convolution": {"filters": 16, "kernel_size": [3, 5], "padding": "valid"}},
            "rectification",
        ),
        corner(GridShape(16, 3, 6), {"convolution": {"filters": 20, "kernel_size": 5}}),
        # All columns, and nothing but the bias.
        corner(GridShape(5, 1, 1), {"convolution": {"filters": 1, "padding": 4, "stride": 9}}),
    ],
)
def test_corners_are_answered_alike_by_every_engine(
    networks: ModuleType,
    name: str,
    shape: GridShape,
    stages: list[Any],
    voting: dict[str, Any],
    items: int,
) -> None:
    """Where kernels go another way, they come to the same end."""
    spec = load({"stages": stages, "head": {"voting": voting}})
    case = networks.case_of(Network(spec, shape, classes=3), items=items)
    engine = make_engine(case.network, name)

    networks.check_answers(engine, case)
    networks.check_pieces(engine, case)


@every_engine
def test_votes_do_not_depend_on_the_batch_however_large(networks: ModuleType, name: str) -> None:
    """Batches that are worked on in parts give the same bits as well."""
    engine, parameters = made(name)
    grids = batch(1500)

    together = engine.logits(parameters, grids)
    parts = [engine.logits(parameters, grids[start : start + 37]) for start in range(0, 1500, 37)]
    networks.check_same(engine, np.concatenate(parts), together)


@every_engine
def test_gradients_of_large_batches_are_means_over_items(name: str) -> None:
    """A batch that is worked on in parts has the mean of its parts' gradients."""
    engine, parameters = made(name)
    grids, targets = batch(1500), np.random.default_rng(0).integers(0, 3, 1500)

    step = engine.step(parameters, grids, targets)
    halves = [engine.step(parameters, grids[i::2], targets[i::2]) for i in (0, 1)]
    assert step.loss == pytest.approx((halves[0].loss + halves[1].loss) / 2, rel=1e-5)
    assert step.hits == halves[0].hits + halves[1].hits
    mean = (halves[0].gradient + halves[1].gradient) / 2
    np.testing.assert_allclose(step.gradient, mean, rtol=1e-3, atol=1e-6)


@every_engine
def test_no_items_are_fine(name: str) -> None:
    """No items give no votes, no loss and no gradient."""
    engine, parameters = made(name)

    assert engine.logits(parameters, batch(0)).shape == (0, 3)
    assert engine.maps(parameters, batch(0), after=2).shape == (0, 3, 5, 5)
    step = engine.step(parameters, batch(0), np.zeros(0, np.int64))
    assert (step.loss, step.hits) == (0, 0)
    assert not step.gradient.any()


@every_engine
@pytest.mark.parametrize(
    "form", ["F order", "reversed", "every other", "byte-swapped", "read-only"]
)
def test_grids_may_lie_in_memory_in_any_form(name: str, form: str) -> None:
    """The form in which the grids are stored changes no bit of an answer."""
    engine, parameters = made(name)
    plain = batch(6)
    if form == "F order":
        odd: Array = np.asfortranarray(plain)
    elif form == "reversed":
        odd = plain[..., ::-1].copy()[..., ::-1]
    elif form == "every other":
        odd = np.repeat(plain, 2, axis=0)[::2]
    elif form == "byte-swapped":
        odd = plain.astype(">f4")
    else:
        odd = plain.copy()
        odd.setflags(write=False)
    targets = np.array([0, 1, 2, 0, 1, 2])

    np.testing.assert_array_equal(engine.logits(parameters, odd), engine.logits(parameters, plain))
    steps = [engine.step(parameters, grids, targets) for grids in (odd, plain)]
    np.testing.assert_array_equal(steps[0].gradient, steps[1].gradient)


@every_engine
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8, np.bool_])
def test_the_arithmetic_is_in_the_precision_of_the_parameters(name: str, dtype: type) -> None:
    """Grids of other types of number are converted first."""
    engine, parameters = made(name)
    grids: Array = np.random.default_rng(0).integers(0, 2, (3, 2, 9, 10)).astype(dtype)

    logits = engine.logits(parameters, grids)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, engine.logits(parameters, grids.astype(np.float32)))
    assert engine.step(parameters, grids, np.array([0, 1, 2])).gradient.dtype == np.float32


@every_engine
def test_nothing_that_is_given_is_changed(name: str) -> None:
    """Neither grids nor parameters are written to, nor is the answer a view of them."""
    engine, parameters = made(name)
    grids = batch(4)
    before = parameters.copy(), grids.copy()

    engine.step(parameters, grids, np.array([0, 1, 2, 0]), random=np.random.default_rng(0))
    for after in (0, 1, 2, 3, None):
        maps = engine.maps(parameters, grids, after=after)
        assert not np.shares_memory(maps, grids)
        assert not np.shares_memory(maps, parameters)
    np.testing.assert_array_equal(parameters, before[0])
    np.testing.assert_array_equal(grids, before[1])


@every_engine
def test_frozen_features_get_no_gradient(name: str) -> None:
    """What is not trainable has a gradient of exactly 0, and what lies before it has its own."""
    frozen = {"features": np.ones((2, 3, 1, 1)).tolist(), "trainable": False}
    engine, parameters = made(name, stages=[*STAGES[:3], {"convolution": frozen}])
    targets = np.array([0, 1, 2, 0, 1])

    gradients = engine.network.named(engine.step(parameters, batch(5), targets).gradient)
    assert not gradients["4.convolution.weights"].any()
    assert not gradients["4.convolution.bias"].any()
    assert gradients["1.convolution.weights"].all()


@every_engine
def test_hits_are_the_items_answered_rightly(name: str) -> None:
    engine, parameters = made(name)
    answers = engine.logits(parameters, batch(9)).argmax(axis=1)

    targets = answers.copy()
    targets[:4] = (targets[:4] + 1) % 3
    assert engine.step(parameters, batch(9), targets).hits == 5


@every_engine
def test_among_equal_votes_the_first_class_wins(name: str) -> None:
    engine, parameters = made(name)
    nothing = np.zeros_like(parameters)

    assert engine.step(nothing, batch(4), np.array([0, 0, 1, 2])).hits == 2
    assert engine.step(nothing, batch(4), np.array([0, 0, 1, 2])).loss == pytest.approx(np.log(3))


@every_engine
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_cell_that_is_not_finite_spoils_its_own_item_alone(name: str, bad: float) -> None:
    """It goes the way of all numbers, without a warning; the other items are untouched."""
    engine, parameters = made(name)
    grids = batch(3)
    spoiled = grids.copy()
    spoiled[1, 0, 4, 4] = bad

    logits = engine.logits(parameters, spoiled)
    np.testing.assert_array_equal(logits[[0, 2]], engine.logits(parameters, grids)[[0, 2]])
    assert not np.isfinite(logits[1]).any()
    assert not np.isfinite(engine.step(parameters, spoiled, np.array([0, 1, 2])).loss)


@every_engine
def test_numbers_too_large_for_float32_are_told_by_the_loss(name: str) -> None:
    engine, parameters = made(name)

    step = engine.step(parameters * np.float32(1e30), batch(3), np.array([0, 1, 2]))
    assert not step.loss < 1e6


@every_engine
def test_dropout_happens_in_steps_with_chance_alone(name: str) -> None:
    """Votes leave nothing out; a step leaves out what its generator says, the same again."""
    plain, parameters = made(name)
    engine, _ = made(name, dropout=0.5)
    targets = np.array([0, 1, 2])

    np.testing.assert_array_equal(
        engine.logits(parameters, batch(3)), plain.logits(parameters, batch(3))
    )
    without = engine.step(parameters, batch(3), targets)
    assert without.loss == plain.step(parameters, batch(3), targets).loss
    first, again, other = (
        engine.step(parameters, batch(3), targets, random=np.random.default_rng(seed)).gradient
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@every_engine
def test_a_step_is_the_same_bits_again(name: str) -> None:
    engine, parameters = made(name)
    targets = np.random.default_rng(1).integers(0, 3, 300)

    first, again = (engine.step(parameters, batch(300), targets) for _ in range(2))
    assert first.loss == again.loss
    np.testing.assert_array_equal(first.gradient, again.gradient)


@every_engine
def test_a_network_without_a_head_makes_maps_and_no_votes(name: str) -> None:
    for classes in (None, 3):
        headless = Network(load({"stages": STAGES[:1]}), GridShape(2, 9, 10), classes=classes)
        engine = make_engine(headless, name)
        parameters = headless.starting_parameters()

        assert engine.maps(parameters, batch(2)).shape == (2, 3, 9, 10)
        with pytest.raises(TrainingError, match="has no head: it makes maps, and gives no votes"):
            engine.logits(parameters, batch(2))


@every_engine
def test_a_network_without_stages_gives_its_grids(name: str) -> None:
    bare = Network(load({}), GridShape(2, 9, 10))

    maps = make_engine(bare, name).maps(bare.starting_parameters(), batch(2))
    np.testing.assert_array_equal(maps, batch(2))


@every_engine
def test_a_head_alone_is_a_network(name: str) -> None:
    """Its gradient is that of the votes: nobody asks for the grid's."""
    engine, parameters = made(name, stages=[], hidden=[], dropout=0.2)
    targets = np.array([0, 1])

    step = engine.step(parameters.astype(float), batch(2).astype(float), targets)
    expected = slopes(
        make_engine(engine.network, "reference"), parameters, batch(2), targets, width=1e-6
    )
    np.testing.assert_allclose(step.gradient, expected, atol=1e-6)


# Grids that are kept as indices


LETTERS = GridShape(1, 5, 24, Axis("letter", ordered=False), Axis("position"))
MOTIFS: list[Any] = [
    {"convolution": {"filters": 3, "kernel_size": ["all", 4]}},
    "rectification",
    {"pooling": {"window": [1, 3]}},
    {"convolution": {"filters": 2, "kernel_size": [1, 3]}},
]


def reader(name: str, **voting: Any) -> tuple[Engine, Array]:
    """Return an engine for a network that reads letters, with parameters."""
    spec = load({"stages": MOTIFS, "head": {"voting": {"hidden": [6], **voting}}})
    whole = Network(spec, LETTERS, classes=3)
    return make_engine(whole, name), whole.starting_parameters()


def letters(items: int) -> OneHot:
    random = np.random.default_rng(0)
    return OneHot(random.integers(-1, 5, (items, 24), np.int32), 5)


def one_hot(grids: Array) -> OneHot:
    found = OneHot.from_dense(grids)
    assert found is not None
    return found


@every_engine
@every_beginning
@FEW
@given(data=st.data())
def test_one_hot_grids_are_answered_as_their_array(
    networks: ModuleType, name: str, first: str, data: st.DataObject
) -> None:
    """Maps, loss and gradient are those of the array in float64, rounded, for any batch."""
    check(networks, name, data.draw(networks.one_hot_cases(first)), one_hot=True)


@pytest.mark.long
@every_engine
@every_beginning
@settings(MANY, max_examples=1000)
@given(data=st.data())
def test_very_many_one_hot_grids_are_answered_as_their_array(
    networks: ModuleType, name: str, first: str, data: st.DataObject
) -> None:
    """The same, for others each time."""
    check(networks, name, data.draw(networks.one_hot_cases(first)), one_hot=True)


@every_beginning
@settings(CASES, max_examples=40)
@given(data=st.data())
def test_one_hot_grids_give_the_reference_the_bits_of_their_array(
    networks: ModuleType, first: str, data: st.DataObject
) -> None:
    """In float32 and in float64, for votes and gradients alike."""
    case = data.draw(networks.one_hot_cases(first))
    engine = make_engine(case.network, "reference")

    for dtype in (np.float32, np.float64):
        parameters = case.parameters.astype(dtype)
        many = [case.grids.astype(dtype), one_hot(case.grids)]
        first_votes, votes = (engine.logits(parameters, grids) for grids in many)
        assert votes.dtype == dtype
        np.testing.assert_array_equal(votes, first_votes)
        expected, step = (engine.step(parameters, grids, case.targets) for grids in many)
        assert (step.loss, step.hits) == (expected.loss, expected.hits)
        np.testing.assert_array_equal(step.gradient, expected.gradient)


@every_engine
def test_many_one_hot_grids_are_answered_as_few(networks: ModuleType, name: str) -> None:
    """A batch that is worked on in parts gives the same bits, and the mean of the gradients."""
    engine, parameters = reader(name)
    grids, targets = letters(3000), np.random.default_rng(0).integers(0, 3, 3000)

    together = engine.logits(parameters, grids)
    parts = [engine.logits(parameters, grids[start : start + 37]) for start in range(0, 3000, 37)]
    networks.check_same(engine, np.concatenate(parts), together)
    step = engine.step(parameters, grids, targets)
    expected = make_engine(engine.network, "reference").step(
        parameters.astype(np.float64), np.asarray(grids), targets
    )
    assert step.loss == pytest.approx(expected.loss, rel=1e-5)
    np.testing.assert_allclose(step.gradient, expected.gradient, rtol=1e-3, atol=1e-6)


@every_engine
def test_no_one_hot_grids_are_fine(name: str) -> None:
    engine, parameters = reader(name)

    assert engine.logits(parameters, letters(0)).shape == (0, 3)
    assert engine.maps(parameters, letters(0), after=2).shape == (0, 3, 1, 8)
    step = engine.step(parameters, letters(0), np.zeros(0, np.int64))
    assert (step.loss, step.hits) == (0, 0)
    assert not step.gradient.any()


@every_engine
def test_columns_without_a_1_say_nothing(name: str) -> None:
    """Grids of zeros alone get the maps of the biases."""
    engine, parameters = reader(name)
    engine.network.named(parameters)["1.convolution.bias"][:] = [1, -2, 3]
    nothing = OneHot(np.full((2, 24), -1, np.int32), 5)

    maps = engine.maps(parameters, nothing, after=0)
    np.testing.assert_array_equal(maps, np.broadcast_to([[[1]], [[-2]], [[3]]], (2, 3, 1, 24)))


@every_engine
def test_one_hot_grids_are_not_changed_and_may_be_read_only(name: str) -> None:
    engine, parameters = reader(name)
    kept = letters(4).indices
    kept.setflags(write=False)
    before = kept.copy()

    engine.step(parameters, OneHot(kept, 5), np.array([0, 1, 2, 0]))
    engine.logits(parameters, OneHot(kept, 5))
    np.testing.assert_array_equal(kept, before)


@every_engine
def test_dropout_on_one_hot_grids_follows_its_generator(name: str) -> None:
    """A step on the grids leaves out what it leaves out on their array, and the same again."""
    engine, parameters = reader(name, dropout=0.5)
    grids, targets = letters(6), np.array([0, 1, 2, 0, 1, 2])

    first, again, dense = (
        engine.step(parameters, each, targets, random=np.random.default_rng(1))
        for each in (grids, grids, np.asarray(grids))
    )
    assert first.loss == again.loss
    np.testing.assert_array_equal(first.gradient, again.gradient)
    np.testing.assert_allclose(first.gradient, dense.gradient, rtol=1e-3, atol=1e-6)


@every_engine
def test_one_hot_grids_come_out_of_a_network_without_stages_as_an_array(name: str) -> None:
    bare = Network(load({}), LETTERS)

    maps = make_engine(bare, name).maps(bare.starting_parameters(), letters(2))
    assert isinstance(maps, np.ndarray)
    np.testing.assert_array_equal(maps, np.asarray(letters(2)))


def test_an_unknown_engine_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="'refrence' is not an engine; did you mean 'ref"):
        make_engine(network(), "refrence")


def test_without_a_name_there_is_a_default_engine() -> None:
    assert make_engine(network()).name in list(ENGINES)
