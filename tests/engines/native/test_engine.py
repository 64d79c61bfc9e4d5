"""The native engine as others meet it: copied, given odd arguments, and asked again."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from gridcnn.engines.base import make_engine
from gridcnn.engines.native import compiler
from gridcnn.engines.native import engine as of_engines
from gridcnn.engines.native.engine import ROUND, NativeEngine
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.grid import Array, Axis, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load

SHAPE = GridShape(2, 9, 10)
LETTERS = GridShape(1, 5, 24, Axis("letter", ordered=False), Axis("position"))
STAGES: list[Any] = [{"convolution": {"filters": 5}}, "rectification", "pooling"]
MOTIFS: list[Any] = [{"convolution": {"filters": 5, "kernel_size": ["all", 4]}}]
TURNED: list[Any] = [{"convolution": {"filters": 17}}, {"convolution": {"filters": 16}}]


def network_of(
    stages: list[Any] = STAGES, shape: GridShape = SHAPE, **voting: Any
) -> tuple[Network, Array]:
    spec = load({"stages": stages, "head": {"voting": {"hidden": [6], **voting}}})
    network = Network(spec, shape, classes=3)
    return network, network.starting_parameters()


def batch(items: int, shape: GridShape = SHAPE) -> Array:
    random = np.random.default_rng(0)
    return random.normal(0, 1, (items, *shape.sizes)).astype(np.float32)


def letters(items: int) -> OneHot:
    return OneHot(np.random.default_rng(0).integers(-1, 5, (items, 24), np.int32), 5)


# Copies


def pickled(engine: NativeEngine) -> Any:
    return pickle.loads(pickle.dumps(engine))


@pytest.mark.parametrize("copied", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("used", [False, True])
def test_a_copy_of_an_engine_works(copied: Any, used: bool) -> None:
    """Machine code and memory are made anew; network and threads are the same."""
    network, parameters = network_of()
    engine = NativeEngine(network, threads=2)
    if used:
        engine.step(parameters, batch(4), np.array([0, 1, 2, 0]))
    again = copied(engine)

    assert type(again) is NativeEngine
    assert again.threads == 2
    assert again._lock is not engine._lock
    assert again._chains == {}
    np.testing.assert_array_equal(
        again.logits(parameters, batch(4)), engine.logits(parameters, batch(4))
    )


# Parameters that are packed once


def test_a_change_of_the_vector_in_place_is_seen() -> None:
    """By votes and by steps, whichever part of it is changed."""
    network, parameters = network_of()
    engine, targets = NativeEngine(network), np.array([0, 1])
    for name, part in network.named(parameters).items():
        votes = engine.logits(parameters, batch(2))
        loss = engine.step(parameters, batch(2), targets).loss
        part[...] += np.linspace(0.1, 0.2, part.size, dtype=np.float32).reshape(part.shape)
        fresh = NativeEngine(network)
        found = engine.logits(parameters, batch(2))
        assert (found != votes).any(), name
        np.testing.assert_array_equal(found, fresh.logits(parameters, batch(2)))
        again = engine.step(parameters, batch(2), targets).loss
        assert again != loss, name
        assert again == fresh.step(parameters, batch(2), targets).loss


def test_read_only_vectors_are_told_apart() -> None:
    """They may come in turns, with writable ones in between, and end while others begin."""
    network, parameters = network_of()
    engine = NativeEngine(network)
    expected = [NativeEngine(network).logits(parameters * n, batch(2)) for n in (0, 1, 2)]

    def fixed(number: int) -> Array:
        vector: Array = parameters * np.float32(number)
        vector.setflags(write=False)
        return vector

    kept = [fixed(number) for number in (0, 1, 2)]
    for number in (0, 0, 1, 1, 2, 0, 2, 2):
        np.testing.assert_array_equal(engine.logits(kept[number], batch(2)), expected[number])
    for number in (1, 2, 0, 1, 1, 0):  # each may lie where the last one lay
        np.testing.assert_array_equal(engine.logits(fixed(number), batch(2)), expected[number])
    for number in (1, 2, 0):
        np.testing.assert_array_equal(engine.logits(kept[number], batch(2)), expected[number])
        writable = kept[number].copy()
        np.testing.assert_array_equal(engine.logits(writable, batch(2)), expected[number])
        writable[:] = 0
        np.testing.assert_array_equal(engine.logits(writable, batch(2)), expected[0])


def test_a_read_only_view_of_what_changes_is_read_each_time() -> None:
    """Who cannot write to it does not know who can."""
    network, parameters = network_of()
    engine = NativeEngine(network)
    view = parameters[:]
    view.setflags(write=False)

    before = engine.logits(view, batch(2))
    parameters *= 2
    after = engine.logits(view, batch(2))
    assert (before != after).any()
    np.testing.assert_array_equal(after, NativeEngine(network).logits(parameters, batch(2)))


def test_a_vector_that_was_read_only_is_read_again() -> None:
    network, parameters = network_of()
    engine = NativeEngine(network)
    parameters.setflags(write=False)
    engine.logits(parameters, batch(2))

    parameters.setflags(write=True)
    parameters *= 2
    found = engine.logits(parameters, batch(2))
    np.testing.assert_array_equal(found, NativeEngine(network).logits(parameters, batch(2)))


def test_vectors_may_lie_in_memory_in_any_form() -> None:
    """With gaps, backwards, or with bytes in another order."""
    network, parameters = network_of()
    engine, targets = NativeEngine(network), np.array([0, 1])
    votes = engine.logits(parameters, batch(2))
    step = engine.step(parameters, batch(2), targets)

    for odd in (np.repeat(parameters, 2)[::2], parameters[::-1].copy()[::-1]):
        np.testing.assert_array_equal(engine.logits(odd, batch(2)), votes)
        found = engine.step(odd, batch(2), targets)
        np.testing.assert_array_equal(found.gradient, step.gradient)
    swapped = parameters.astype(parameters.dtype.newbyteorder())
    np.testing.assert_allclose(engine.logits(swapped, batch(2)), votes, rtol=1e-4, atol=1e-5)


# Precision


def test_float64_is_the_references_work() -> None:
    """To the last bit, and nothing is compiled for it."""
    network, parameters = network_of(dropout=0.5)
    engine, exact = NativeEngine(network), ReferenceEngine(network)
    wide = parameters.astype(np.float64)
    targets = np.array([0, 1, 2])

    np.testing.assert_array_equal(engine.logits(wide, batch(3)), exact.logits(wide, batch(3)))
    np.testing.assert_array_equal(
        engine.maps(wide, batch(3), after=1), exact.maps(wide, batch(3), after=1)
    )
    found, expected = (
        each.step(wide, batch(3), targets, random=np.random.default_rng(3))
        for each in (engine, exact)
    )
    assert (found.loss, found.hits) == (expected.loss, expected.hits)
    assert found.gradient.dtype == np.float64
    np.testing.assert_array_equal(found.gradient, expected.gradient)
    assert engine._chains == {}


@pytest.mark.filterwarnings("error")
def test_numbers_that_float32_cannot_hold_become_infinite_in_silence() -> None:
    """As in the reference; the answer tells."""
    network, parameters = network_of()
    grids = batch(3).astype(np.float64)
    grids[1, 0, 0, 0] = 1e300
    targets = np.array([0, 1, 2])
    for name in ("native", "reference"):
        engine = make_engine(network, name)
        assert np.isfinite(engine.logits(parameters, grids)[[0, 2]]).all()
        assert not np.isfinite(engine.logits(parameters, grids)[1]).all()
        assert not np.isfinite(engine.step(parameters, grids, targets).loss)


@pytest.mark.filterwarnings("error")
def test_infinite_gradients_of_several_rounds_are_added_in_silence() -> None:
    """As in the reference; the loss tells."""
    network, parameters = network_of()
    grids, targets = batch(ROUND + 9), np.arange(ROUND + 9) % 3
    grids[3, 0, 0, 0], grids[-1, 0, 0, 0] = np.inf, -np.inf

    step = make_engine(network, "native").step(parameters * np.float32(1e18), grids, targets)
    assert not step.loss < 1e6


def denormals_work() -> bool:
    """Return whether this thread's arithmetic knows numbers below the smallest normal one."""
    tiny = np.full(64, np.finfo(np.float32).tiny, np.float32)
    return bool((tiny / 4).all() and ((tiny / 4) * np.float32(2) == tiny / 2).all())


def test_denormals_are_zeros_within_a_call_alone() -> None:
    """They would cost a hundred times as much; NumPy has them again after the call."""
    network, parameters = network_of()
    engine = NativeEngine(network, threads=1)
    if not engine.processor.triple.startswith(("x86_64", "amd64", "i686")):
        pytest.skip("this processor has other flags")
    parameters[network.ops[0].slots[1].part] = 0
    tiny = batch(3) * np.float32(1e-40)
    assert 0 < np.abs(tiny).max() < np.finfo(np.float32).tiny
    assert denormals_work()

    nothing = np.zeros_like(tiny)
    large = parameters * np.float32(1e30)
    targets = np.array([0, 1, 2])
    np.testing.assert_array_equal(engine.logits(large, tiny), engine.logits(large, nothing))
    found, expected = (engine.step(large, each, targets) for each in (tiny, nothing))
    assert found.loss == expected.loss
    np.testing.assert_array_equal(found.gradient, expected.gradient)
    maps = engine.maps(large, tiny, after=0)
    assert not maps.any()
    assert make_engine(network, "reference").maps(large, tiny, after=0).any()
    # What comes out too small is 0 as well.
    small = parameters * np.float32(1e-30)
    assert not engine.maps(small, batch(3) * np.float32(1e-9), after=0).any()
    assert denormals_work()


def test_the_threads_of_others_keep_their_denormals() -> None:
    """The flags of a helper are its own."""
    network, parameters = network_of()
    engine = NativeEngine(network, threads=4)
    for _ in range(3):
        engine.step(parameters, batch(40), np.zeros(40, np.int64))
        assert denormals_work()


# What is refused


@pytest.mark.parametrize(
    "targets",
    [
        [0, 1, 3],
        [0, -1, 1],
        [0, 1],
        [0, 1, 2, 0],
        [[0, 1, 2]],
        [2**40, 0, 0],
        [-(2**40), 0, 0],
    ],
)
def test_targets_that_are_none_are_refused(targets: Any) -> None:
    """Nobody reads outside of the votes."""
    network, parameters = network_of()
    engine = NativeEngine(network)
    with pytest.raises((IndexError, ValueError)):
        engine.step(parameters, batch(3), np.array(targets, np.int64))
    assert np.isfinite(engine.step(parameters, batch(3), np.array([0, 1, 2])).loss)


@pytest.mark.parametrize("wrong", [5, -2, 2**31 - 1, -(2**31)])
def test_indices_that_are_no_rows_are_refused(wrong: int) -> None:
    """Even where they were written into the array after it was checked."""
    network, parameters = network_of(MOTIFS, LETTERS)
    engine, grids = NativeEngine(network), letters(3)
    grids.indices[1, 7] = wrong
    for ask in (
        lambda: engine.logits(parameters, grids),
        lambda: engine.step(parameters, grids, np.array([0, 1, 2])),
    ):
        with pytest.raises((IndexError, ValueError)):
            ask()


def test_one_hot_grids_of_another_size_are_refused() -> None:
    """Their indices would be read from outside of the features, or from outside of themselves."""
    network, parameters = network_of(MOTIFS, LETTERS)
    engine = NativeEngine(network)
    for grids in (
        OneHot(np.full((3, 24), 6, np.int32), 7),
        OneHot(np.zeros((3, 4), np.int32), 5),
        OneHot(np.zeros((3, 1000), np.int32), 5),
    ):
        with pytest.raises((IndexError, ValueError)):
            engine.logits(parameters, grids)
        with pytest.raises((IndexError, ValueError)):
            engine.step(parameters, grids, np.array([0, 1, 2]))


@pytest.mark.parametrize("shape", [(2, 9, 9), (2, 8, 10), (1, 9, 10), (2, 10, 9), (180,), ()])
def test_grids_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    """Nobody reads behind their end."""
    network, parameters = network_of()
    engine = NativeEngine(network)
    with pytest.raises((IndexError, ValueError)):
        engine.logits(parameters, np.zeros((3, *shape), np.float32))
    with pytest.raises((IndexError, ValueError)):
        engine.step(parameters, np.zeros((3, *shape), np.float32), np.array([0, 1, 2]))


def test_vectors_of_another_length_are_refused() -> None:
    """Nobody reads behind their end."""
    network, parameters = network_of()
    engine = NativeEngine(network)
    for vector in (parameters[:-1], parameters[:0], np.append(parameters, parameters[:1])):
        with pytest.raises((IndexError, ValueError)):
            engine.logits(vector, batch(2))
        with pytest.raises((IndexError, ValueError)):
            engine.step(vector, batch(2), np.array([0, 1]))


# What is made, and when


def test_nothing_is_compiled_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Votes need no training, and an engine alone needs nothing."""
    monkeypatch.setenv("GRIDCNN_CACHE", "off")
    texts: list[str] = []
    original = compiler.translate

    def translate(text: str, *rest: Any) -> bytes:
        texts.append(text)
        return original(text, *rest)

    monkeypatch.setattr(compiler, "translate", translate)
    network, parameters = network_of()
    engine = NativeEngine(network)
    assert not texts
    for items in (2, 1, 3):
        engine.logits(parameters, batch(items))
    assert len(texts) == 1
    engine.step(parameters, batch(2), np.array([0, 1]))
    engine.step(parameters, batch(5), np.zeros(5, np.int64))
    assert len(texts) == 2
    engine.settle()
    engine.logits(parameters, batch(2))
    assert len(texts) == 2


def test_what_was_compiled_once_is_found_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """By the next engine, for other numbers and grids as well."""
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "objects"))
    network, parameters = network_of()
    votes = NativeEngine(network).logits(parameters, batch(3))
    step = NativeEngine(network).step(parameters, batch(3), np.array([0, 1, 2]))

    def translate(*_: Any) -> bytes:
        raise AssertionError("compiled again")

    monkeypatch.setattr(compiler, "translate", translate)
    engine = NativeEngine(network_of()[0])
    np.testing.assert_array_equal(engine.logits(parameters, batch(3)), votes)
    found = engine.step(parameters, batch(3), np.array([0, 1, 2]))
    np.testing.assert_array_equal(found.gradient, step.gradient)


def test_code_in_the_cache_is_for_one_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """What is asked of a lesser one is not answered by this one's code."""
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "objects"))
    network, parameters = network_of()
    texts: list[str] = []
    original = compiler.translate

    def translate(text: str, *rest: Any) -> bytes:
        texts.append(text)
        return original(text, *rest)

    monkeypatch.setattr(compiler, "translate", translate)
    for wanted in ("native", "generic", "native", "generic"):
        monkeypatch.setenv("GRIDCNN_CPU", wanted)
        NativeEngine(network).logits(parameters, batch(3))
    assert len(texts) == 2


def test_rounds_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of several rounds has their votes, their losses and the mean of their gradients."""
    network, parameters = network_of()
    grids, targets = batch(40), np.arange(40) % 3
    engine = NativeEngine(network)
    votes, step = engine.logits(parameters, grids), engine.step(parameters, grids, targets)

    monkeypatch.setattr(of_engines, "ROUND", 7)
    np.testing.assert_array_equal(engine.logits(parameters, grids), votes)
    found = engine.step(parameters, grids, targets)
    assert found.loss == pytest.approx(step.loss, rel=1e-6)
    assert found.hits == step.hits
    np.testing.assert_allclose(found.gradient, step.gradient, rtol=1e-4, atol=1e-6)


def test_odd_items_of_any_round_go_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numbers are taken apart and put together, infinite ones are left to the reference."""
    network, parameters = network_of(TURNED, GridShape(16, 4, 6))
    monkeypatch.setattr(of_engines, "ROUND", 4)
    grids = batch(11, network.shape)
    engine = NativeEngine(network)
    assert engine.chain(engine.pieces()[0]).plan.wants_finite
    clean = engine.logits(parameters, grids)
    for item, bad in ((0, np.inf), (3, np.nan), (6, -np.inf), (10, np.inf)):
        grids[item, item, 1, 2] = bad
    votes = engine.logits(parameters, grids)
    odd = [0, 3, 6, 10]

    expected = make_engine(network, "reference").logits(parameters, grids)
    np.testing.assert_array_equal(np.isnan(votes), np.isnan(expected))
    np.testing.assert_allclose(votes[odd], expected[odd], rtol=1e-5)
    others = np.setdiff1d(np.arange(11), odd)
    np.testing.assert_array_equal(votes[others], clean[others])


# One item after the other


def answering(network: Network, items: int) -> tuple[NativeEngine, Array, Array]:
    """Return an engine with features that cannot change, and items."""
    parameters = network.starting_parameters()
    parameters.flags.writeable = False
    return NativeEngine(network, threads=1), parameters, batch(items)


def test_one_item_after_the_other_gives_the_bits_of_a_batch() -> None:
    """The first goes the usual way and prepares the short one, which all others go."""
    engine, parameters, grids = answering(network_of()[0], 6)
    expected = NativeEngine(engine.network).logits(parameters, grids)

    found = [engine.logits(parameters, grids[item : item + 1]) for item in range(6)]
    assert engine._single is not None
    np.testing.assert_array_equal(np.concatenate(found), expected)
    # What was given before is not overwritten by what comes later.
    assert len({each.ctypes.data for each in found}) == 6


def test_the_short_way_takes_any_layout_and_leaves_other_items_alone() -> None:
    """Items of another type, other sizes or other features go the usual way."""
    engine, parameters, grids = answering(network_of()[0], 3)
    expected = engine.logits(parameters, grids)
    item = grids[1:2]
    engine.logits(parameters, item)

    turned = np.asfortranarray(item)
    np.testing.assert_array_equal(engine.logits(parameters, turned), expected[1:2])
    wide = engine.logits(parameters, item.astype(np.float64))
    np.testing.assert_array_equal(wide, expected[1:2])
    with pytest.raises(ValueError, match="were expected"):
        engine.logits(parameters, item[..., :-1])
    others = parameters * np.float32(2)
    others.flags.writeable = False
    direct = NativeEngine(engine.network).logits(others, item)
    np.testing.assert_array_equal(engine.logits(others, item), direct)
    np.testing.assert_array_equal(engine.logits(parameters, item), expected[1:2])


def test_features_that_may_change_are_never_taken_from_before() -> None:
    """A vector that can be written to, or could be in between, is packed each time."""
    engine, parameters, grids = answering(network_of()[0], 1)
    engine.logits(parameters, grids)
    before = engine.logits(parameters, grids)
    parameters.flags.writeable = True
    parameters *= 2

    changed = engine.logits(parameters, grids)
    np.testing.assert_array_equal(
        changed, NativeEngine(engine.network).logits(parameters.copy(), grids)
    )
    assert (changed != before).any()


def test_a_single_item_that_is_odd_goes_the_usual_way() -> None:
    """Where a kernel needs finite cells, one that is not is answered by plain arithmetic."""
    shape = GridShape(16, 6, 6)
    network, parameters = network_of(TURNED, shape)
    parameters.flags.writeable = False
    engine, grids = NativeEngine(network, threads=1), batch(2, shape)
    expected = engine.logits(parameters, grids)
    for item in (0, 1):
        engine.logits(parameters, grids[item : item + 1])
    spoiled = grids[:1].copy()
    spoiled[0, 3, 2, 2] = np.inf

    with np.errstate(invalid="ignore"):
        right = ReferenceEngine(network).logits(parameters, spoiled)
    np.testing.assert_array_equal(
        np.isfinite(engine.logits(parameters, spoiled)), np.isfinite(right)
    )
    np.testing.assert_array_equal(engine.logits(parameters, grids[1:]), expected[1:])


def test_a_wrong_index_is_refused_on_the_short_way_too() -> None:
    """Nothing is looked up where there is nothing."""
    network, parameters = network_of(MOTIFS, LETTERS)
    parameters.flags.writeable = False
    engine, item = NativeEngine(network, threads=1), letters(1)
    expected = engine.logits(parameters, item)
    np.testing.assert_array_equal(engine.logits(parameters, item), expected)

    item.indices[0, 7] = 5
    with pytest.raises(IndexError, match="indices must be"):
        engine.logits(parameters, item)
