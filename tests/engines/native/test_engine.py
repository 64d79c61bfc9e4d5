"""The engine as an object: threads, copies, forks, and vectors that change between calls."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.engines.base import Engine, make_engine
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled, train

SHAPE = GridShape(2, 32, 28)
STAGES: list[Any] = [
    {"convolution": {"filters": 20}},
    "rectification",
    "pooling",
    {"convolution": {"filters": 33}},
    "rectification",
    {"pooling": {"window": 3, "stride": 2}},
    {"convolution": {"filters": 16, "kernel_size": [5, 3], "stride": 2}},
]


def network(**training: Any) -> Network:
    """Return a network of more than a million multiply-adds, so that threads share an item."""
    head = {"voting": {"hidden": [24], "dropout": 0.25}}
    spec = load({"stages": STAGES, "head": head, "training": training})
    made = Network(spec, SHAPE, classes=5)
    assert made.multiply_adds > 1_500_000
    return made


def batch(items: int, *, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    grids = random.normal(0, 1, (items, *SHAPE.sizes)).astype(np.float32)
    return grids, random.integers(0, 5, items)


def answers(engine: Engine) -> list[Any]:
    """Return all that an engine says about some batches: of many items, of one, and a step."""
    parameters = engine.network.starting_parameters()
    grids, targets = batch(77)
    step = engine.step(parameters, grids, targets, random=np.random.default_rng(3))
    single = [engine.logits(parameters, grids[item : item + 1]) for item in range(3)]
    return [engine.logits(parameters, grids), *single, step.gradient, step.loss, step.hits]


def same(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [2, 3, 64])
def test_answers_are_the_same_bits_for_any_number_of_threads(threads: int) -> None:
    """Votes, loss and gradient, many times, since threads never meet in the same way twice."""
    expected = answers(make_engine(network(), "native", threads=1))
    engine = make_engine(network(), "native", threads=threads)

    for _ in range(5):
        same(answers(engine), expected)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_is_the_same_bits_for_any_number_of_threads(optimizer: str) -> None:
    """Two epochs end with the same parameters, and with the same history but for the time."""
    ends = []
    for threads in (1, 2, 64):
        made = network(epochs=2, batch_size=32, optimizer=optimizer)
        engine = make_engine(made, "native", threads=threads)
        parts = Labelled(*batch(100)), Labelled(*batch(40, seed=1))
        progress = train(engine, *parts, made.spec.training)
        history = [(each.loss, each.validation_loss) for each in progress.history]
        ends.append((progress.parameters, history))
    for parameters, history in ends[1:]:
        np.testing.assert_array_equal(parameters, ends[0][0])
        assert history == ends[0][1]


def test_an_engine_may_be_used_from_several_threads_at_a_time() -> None:
    engine = make_engine(network(), "native", threads=2)
    expected = answers(engine)

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: answers(engine), range(8)):
            same(found, expected)


@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_a_copy_of_an_engine_gives_the_same_answers(how: str) -> None:
    """Before the engine was used, and after."""
    engine = make_engine(network(), "native", threads=2)
    for _ in range(2):
        made = pickle.loads(pickle.dumps(engine)) if how == "pickle" else copy.deepcopy(engine)
        assert made.threads == 2
        same(answers(made), answers(engine))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """The parent's helpers are not there after a fork, and nobody waits for them."""
    engine = make_engine(network(), "native", threads=2)
    expected = answers(engine)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        sender.send(answers(engine))

    process = context.Process(target=child)
    process.start()
    assert receiver.poll(60)
    same(receiver.recv(), expected)
    process.join(60)
    assert process.exitcode == 0


def test_features_are_packed_anew_where_they_may_have_changed() -> None:
    """A vector that is written to between two calls gives other answers; a fixed one never does."""
    engine, grids = make_engine(network(), "native"), batch(4)[0]
    parameters = engine.network.starting_parameters()
    first = engine.logits(parameters, grids)
    parameters *= np.float32(0.5)
    second = engine.logits(parameters, grids)
    assert (first != second).any()

    fixed, other = parameters.copy(), engine.network.starting_parameters()
    for each in (fixed, other):
        each.flags.writeable = False
    for _ in range(2):
        np.testing.assert_array_equal(engine.logits(fixed, grids), second)
        np.testing.assert_array_equal(engine.logits(other, grids), first)
    view = parameters[:]
    view.flags.writeable = False
    np.testing.assert_array_equal(engine.logits(view, grids), second)
    parameters *= np.float32(2)
    np.testing.assert_array_equal(engine.logits(view, grids), first)


@pytest.mark.parametrize("targets", [[0, 1], [0, 1, 5], [0, -1, 1]])
def test_targets_that_are_no_classes_are_refused(targets: list[int]) -> None:
    """Nothing is read outside of the logits."""
    engine = make_engine(network(), "native")

    with pytest.raises(IndexError, match="targets must be 3 numbers from 0 to 4"):
        engine.step(engine.network.starting_parameters(), batch(3)[0], np.array(targets))


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"),
    reason="other processors are as quick with denormals",
)
def test_denormals_count_as_zero_and_only_within_a_call() -> None:
    """They would cost a hundred times the time; afterwards NumPy has them as before."""
    engine = make_engine(network(), "native")
    parameters = engine.network.starting_parameters()
    tiny = np.full((2, *SHAPE.sizes), 1e-40, np.float32)

    nothing = engine.logits(parameters, np.zeros_like(tiny))
    np.testing.assert_array_equal(engine.logits(parameters, tiny), nothing)
    assert (tiny * np.float32(0.5) > 0).all()
