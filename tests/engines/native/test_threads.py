"""Several threads: the same bits for any number of them, from any number of callers."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from gridcnn.engines.base import StepResult
from gridcnn.engines.native import chain as of_chains
from gridcnn.engines.native import moves as of_moves
from gridcnn.engines.native import team as of_teams
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.team import together
from gridcnn.grid import Array, Axis, Cells, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import Training
from gridcnn.spec.optimizers import Adam, AdamW, Sgd
from gridcnn.training.loop import Labelled, TrainingState, train

COUNTS = (1, 2, 64)
WAIT = 120  # seconds that nothing here takes, on any machine

SMALL: list[Any] = [{"convolution": {"filters": 5}}, "rectification", "pooling"]
NETWORKS: dict[str, tuple[GridShape, list[Any], Any]] = {
    "in tiles": (GridShape(2, 9, 10), SMALL, {"hidden": [20], "dropout": 0.5}),
    "winograd": (
        GridShape(16, 12, 12),
        [{"convolution": {"filters": 33}}, "rectification", "pooling"],
        {},
    ),
    "dense": (
        GridShape(16, 11, 10),
        [
            *({"convolution": {"filters": 18}}, "rectification"),
            {"skip": [{"convolution": {"filters": 18}}, "normalization"]},
            *({"convolution": {"filters": 20, "stride": 2}}, "normalization"),
            *({"convolution": {"filters": 33, "kernel_size": 1}}, "normalization"),
        ],
        {},
    ),
    "on its own": (
        GridShape(3, 11, 9),
        [
            {"pooling": {"window": 3, "stride": 2}},
            "rectification",
            {"convolution": {"filters": 7, "kernel_size": 2, "trainable": False}},
            {"convolution": {"filters": 20, "kernel_size": 2, "scale": "match"}},
            {"pooling": {"mode": "mean"}},
        ],
        {"hidden": [3, 17]},
    ),
    "few rows": (
        GridShape(20, 1, 8),
        [{"convolution": {"filters": 100, "kernel_size": [1, 3]}}, "rectification"],
        {"hidden": [5]},
    ),
    "one-hot": (
        GridShape(1, 5, 24, Axis("letter", ordered=False), Axis("position")),
        [{"convolution": {"filters": 40, "kernel_size": ["all", 4]}}, "rectification"],
        {},
    ),
}
every_network = pytest.mark.parametrize("which", NETWORKS)


def network_of(which: str) -> Network:
    shape, stages, voting = NETWORKS[which]
    return Network(load({"stages": stages, "head": {"voting": voting}}), shape, classes=3)


def batch(network: Network, items: int, *, seed: int = 0) -> Cells:
    random = np.random.default_rng(seed)
    if not network.shape.row_axis.ordered:
        shape = items, network.shape.columns
        return OneHot(random.integers(-1, network.shape.rows, shape, np.int32), network.shape.rows)
    return random.normal(0, 1, (items, *network.shape.sizes)).astype(np.float32)


def targets(items: int) -> Any:
    return np.arange(items) % 3


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the smallest work be worth another thread."""
    monkeypatch.setattr(of_chains, "_WORTH", 1)
    monkeypatch.setattr(of_chains, "_SHARED", 1)
    monkeypatch.setattr(of_moves, "_WORTH", 1)


def assert_same(found: StepResult, expected: StepResult) -> None:
    assert (found.loss, found.hits) == (expected.loss, expected.hits)
    np.testing.assert_array_equal(found.gradient, expected.gradient)


# The same bits


@every_network
@pytest.mark.usefixtures("eager")
def test_any_number_of_threads_gives_the_same_bits(which: str) -> None:
    """Votes of many items and of one, loss and gradient, again and again."""
    network = network_of(which)
    parameters, grids = network.starting_parameters(), batch(network, 37)
    alone = NativeEngine(network, threads=1)
    votes = alone.logits(parameters, grids)
    step = alone.step(parameters, grids, targets(37), random=np.random.default_rng(1))

    for threads in COUNTS:
        engine = NativeEngine(network, threads=threads)
        assert engine.chain(engine.pieces()[0]).workers(37) == threads
        for _ in range(3):
            np.testing.assert_array_equal(engine.logits(parameters, grids), votes)
            found = engine.step(parameters, grids, targets(37), random=np.random.default_rng(1))
            assert_same(found, step)
        for item in (0, 5, 36):
            single = engine.logits(parameters, grids[item : item + 1])
            np.testing.assert_array_equal(single, votes[item : item + 1])


def test_one_large_item_is_shared_among_threads() -> None:
    """It takes another program, which gives the bits of the one for many."""
    stages = [{"convolution": {"filters": 24}}, "rectification", *SMALL, "rectification"]
    spec = load({"stages": stages, "head": {"voting": {"hidden": [33]}}})
    network = Network(spec, GridShape(8, 32, 30), classes=3)
    assert network.multiply_adds > of_chains._SHARED
    parameters, grids = network.starting_parameters(), batch(network, 3)
    expected = NativeEngine(network, threads=1).logits(parameters, grids)

    for threads in COUNTS:
        engine = NativeEngine(network, threads=threads)
        chain = engine.chain(engine.pieces()[0])
        found = [engine.logits(parameters, grids[item : item + 1])[0] for item in range(3)]
        np.testing.assert_array_equal(found, expected)
        assert ("one" in vars(chain)) == (threads > 1)


@every_network
@pytest.mark.usefixtures("eager")
def test_a_whole_training_is_the_same_bits(which: str) -> None:
    """With dropout and shuffled batches of several shards, validated after every epoch."""
    check_training(network_of(which), Adam())


@pytest.mark.parametrize("optimizer", [Sgd(momentum=0.9), AdamW()])
@pytest.mark.usefixtures("eager")
def test_training_by_any_optimizer_is_the_same_bits(optimizer: Any) -> None:
    """A long vector is moved by several threads too."""
    check_training(network_of("winograd"), optimizer)


def check_training(network: Network, optimizer: Any) -> None:
    grids, wanted = batch(network, 90), targets(90)
    settings = Training(epochs=3, batch_size=40, optimizer=optimizer, learning_rate=0.01)

    def trained(threads: int) -> TrainingState:
        data = Labelled(grids[:60], wanted[:60]), Labelled(grids[60:], wanted[60:])
        return train(NativeEngine(network, threads=threads), *data, settings)

    alone, *others = (trained(threads) for threads in COUNTS)
    for other in others:
        np.testing.assert_array_equal(other.parameters, alone.parameters)
        np.testing.assert_array_equal(other.best, alone.best)
        history = [
            tuple(replace(epoch, seconds=0) for epoch in each.history) for each in (other, alone)
        ]
        assert history[0] == history[1]


@pytest.mark.usefixtures("eager")
def test_threads_that_come_late_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers that begin when all is done, or after the next call, find nothing left to do."""
    late: list[Any] = []

    def delayed(job: Any, threads: int, letter: Any) -> bool:
        job(0)
        late.extend((job, number) for number in range(1, threads))
        return False

    monkeypatch.setattr("gridcnn.engines.native.call.together", delayed)
    network = network_of("in tiles")
    parameters, grids = network.starting_parameters(), batch(network, 20)
    engine = NativeEngine(network, threads=4)
    votes = engine.logits(parameters, grids)
    step = engine.step(parameters, grids, targets(20))
    single = engine.logits(parameters, grids[:1])
    assert len(late) == 9

    before = votes.copy(), step.gradient.copy(), single.copy()
    parameters[:] = 0
    del engine
    for job, number in late:
        job(number)
    np.testing.assert_array_equal(votes, before[0])
    np.testing.assert_array_equal(step.gradient, before[1])
    np.testing.assert_array_equal(single, before[2])


# Many callers


@every_network
@pytest.mark.usefixtures("eager")
def test_one_engine_may_be_asked_by_several_threads_at_once(which: str) -> None:
    """Each gets the answers to its own question, of any kind."""
    network = network_of(which)
    engine = NativeEngine(network, threads=2)
    starts = [network.starting_parameters() * np.float32(1 + number) for number in range(4)]
    batches = [batch(network, 11 + number, seed=number) for number in range(4)]
    alone = NativeEngine(network, threads=1)
    votes = [alone.logits(*each) for each in zip(starts, batches, strict=True)]
    steps = [
        alone.step(start, grids, targets(len(grids)))
        for start, grids in zip(starts, batches, strict=True)
    ]
    ready = threading.Barrier(4)

    def ask(number: int) -> None:
        ready.wait(WAIT)
        for _ in range(5):
            found = engine.logits(starts[number], batches[number])
            np.testing.assert_array_equal(found, votes[number])
            again = engine.step(starts[number], batches[number], targets(11 + number))
            assert_same(again, steps[number])

    with ThreadPoolExecutor(4) as pool:
        for asked in [pool.submit(ask, number) for number in range(4)]:
            asked.result(WAIT)


@pytest.mark.usefixtures("eager")
def test_several_engines_may_work_at_once() -> None:
    """They share the helpers, and nothing else."""
    networks = [network_of(which) for which in NETWORKS]
    engines = [NativeEngine(network, threads=3) for network in networks]
    starts = [network.starting_parameters() for network in networks]
    batches = [batch(network, 20) for network in networks]
    expected = [
        NativeEngine(network, threads=1).logits(start, grids)
        for network, start, grids in zip(networks, starts, batches, strict=True)
    ]

    def ask(number: int) -> None:
        for _ in range(10):
            found = engines[number].logits(starts[number], batches[number])
            np.testing.assert_array_equal(found, expected[number])

    with ThreadPoolExecutor(len(networks)) as pool:
        for asked in [pool.submit(ask, number) for number in range(len(networks))]:
            asked.result(WAIT)


def answered(engine: NativeEngine, parameters: Array, grids: Array) -> tuple[Array, Array]:
    """Answer, in another process."""
    votes = engine.logits(parameters, grids)
    return votes, engine.step(parameters, grids, targets(len(grids))).gradient


with_forks = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
# Python 3.12 and later warn of forks while there are other threads.
knowing = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@with_forks
@knowing
@pytest.mark.usefixtures("eager")
def test_an_engine_works_in_a_forked_process() -> None:
    """As made and used before, though none of its helpers is there; and in the parent after."""
    network = network_of("in tiles")
    engine = NativeEngine(network, threads=3)
    parameters, grids = network.starting_parameters(), batch(network, 20)
    assert isinstance(grids, np.ndarray)
    expected = answered(engine, parameters, grids)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()

    def child() -> None:
        results.put(answered(engine, parameters, grids))

    process = context.Process(target=child)
    process.start()
    process.join(WAIT)
    assert process.exitcode == 0
    found = results.get()
    for each, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each, same)
    for each, same in zip(answered(engine, parameters, grids), expected, strict=True):
        np.testing.assert_array_equal(each, same)


def fork_and_wait(work: Callable[[], bool]) -> None:
    """Let a child do some work; it has to end, and to come to True."""
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    end = time.monotonic() + WAIT
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.002)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


def fixed(parameters: Array) -> Array:
    """Return the parameters as a model keeps them: read-only, so that they are packed once."""
    parameters.flags.writeable = False
    return parameters


@with_forks
@knowing
@pytest.mark.usefixtures("eager")
def test_a_forked_process_uses_no_memory_that_other_threads_were_writing() -> None:
    """What a call works in, and packed features, may be half written when the fork happens."""
    network = network_of("in tiles")
    engine = NativeEngine(network, threads=3)
    parameters, grids = fixed(network.starting_parameters()), batch(network, 20)
    assert isinstance(grids, np.ndarray)
    expected = answered(engine, parameters, grids)
    single = engine.logits(parameters, grids[:1])
    chain = engine.chain(engine.pieces()[0])
    for call in (chain.many, chain.one, chain.training):
        for _, floats in call.memory:
            floats[:] = np.nan

    def child() -> bool:
        found = answered(engine, parameters, grids)
        same = all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
        return same and np.array_equal(engine.logits(parameters, grids[:1]), single)

    fork_and_wait(child)


@contextlib.contextmanager
def busy(*works: Callable[[], object]) -> Iterator[None]:
    """Let a thread do each work again and again."""
    over = threading.Event()

    def repeat(work: Callable[[], object]) -> None:
        while not over.is_set():
            work()

    with ThreadPoolExecutor(len(works)) as pool:
        threads = [pool.submit(repeat, work) for work in works]
        try:
            yield
        finally:
            over.set()
        for thread in threads:
            thread.result(WAIT)


def check_forks(monkeypatch: pytest.MonkeyPatch, forks: int) -> None:
    """Fork while threads vote, train and compile; each child does all of that, and compares."""
    monkeypatch.setenv("GRIDCNN_CACHE", "off")
    # Little to compile: the fork waits until it is done, and the child compiles it, too.
    spec = load({"stages": ["rectification", "pooling"], "head": "voting"})
    network = Network(spec, GridShape(1, 4, 4), classes=3)
    engine = NativeEngine(network, threads=2)
    parameters, grids = fixed(network.starting_parameters()), batch(network, 20)
    expected = engine.logits(parameters, grids)
    single = engine.logits(parameters, grids[:1])
    step = engine.step(parameters, grids, targets(20))

    def compile_and_vote() -> bool:
        made = NativeEngine(network, threads=2)
        return np.array_equal(made.logits(parameters, grids), expected)

    def child() -> bool:
        found = engine.step(parameters, grids, targets(20))
        return (
            np.array_equal(engine.logits(parameters, grids), expected)
            and np.array_equal(engine.logits(parameters, grids[:1]), single)
            and np.array_equal(found.gradient, step.gradient)
            and compile_and_vote()
        )

    with busy(
        compile_and_vote,
        lambda: engine.logits(parameters, grids),
        lambda: engine.logits(parameters, grids[:1]),
        lambda: engine.step(parameters, grids, targets(20)),
    ):
        for _ in range(forks):
            fork_and_wait(child)


@with_forks
@knowing
@pytest.mark.usefixtures("eager")
def test_a_process_may_fork_while_threads_vote_and_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    """No child hangs, and its answers are the same bits."""
    check_forks(monkeypatch, 10)


@pytest.mark.long
@with_forks
@knowing
@pytest.mark.usefixtures("eager")
def test_a_process_may_fork_a_hundred_times(monkeypatch: pytest.MonkeyPatch) -> None:
    check_forks(monkeypatch, 100)


# The team


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> of_teams._Team:
    made = of_teams._Team()
    monkeypatch.setattr(of_teams, "_team", made)
    return made


def test_a_job_is_begun_once_for_each_number(team: of_teams._Team) -> None:
    """The first by the caller, the others by helpers."""
    begun: list[tuple[int, int]] = []
    done = threading.Barrier(5)

    def job(number: int) -> None:
        begun.append((number, threading.get_ident()))
        if number:
            done.wait(WAIT)

    together(job, 5)
    done.wait(WAIT)

    assert sorted(number for number, _ in begun) == [0, 1, 2, 3, 4]
    assert [who for number, who in begun if number == 0] == [threading.get_ident()]
    # Four waited for each other, so that they were four.
    assert len({who for _, who in begun}) == 5
    assert team._members == 4


def test_a_job_for_one_needs_nobody(team: of_teams._Team) -> None:
    begun: list[int] = []
    together(begun.append, 1)
    assert begun == [0]
    assert team._members == 0


def test_the_caller_waits_for_its_own_part_alone(team: of_teams._Team) -> None:
    """A helper that is asleep delays nobody."""
    wake, over = threading.Event(), threading.Event()

    def job(number: int) -> None:
        if number:
            wake.wait(WAIT)
            over.set()

    together(job, 2)
    assert not over.is_set()
    wake.set()
    assert over.wait(WAIT)


def test_the_team_grows_to_the_most_that_were_asked_for(team: of_teams._Team) -> None:
    """Its members stay for what comes next."""
    for threads, members in ((3, 2), (2, 2), (6, 5), (4, 5)):
        together(lambda number: None, threads)
        assert team._members == members
    mine = [each for each in threading.enumerate() if each.name == "gridcnn"]
    assert len(mine) >= 5
    assert all(each.daemon for each in mine)


@pytest.mark.usefixtures("eager")
def test_threads_that_cannot_be_started_are_not_needed(
    team: of_teams._Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are the same bits; it is said once, and tried again after a while."""
    network = network_of("in tiles")
    parameters, grids = network.starting_parameters(), batch(network, 20)
    expected = NativeEngine(network, threads=1).logits(parameters, grids)
    start, refused = threading.Thread.start, [False, True, True]

    def refuse(thread: threading.Thread) -> None:
        if refused.pop(0):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    engine = NativeEngine(network, threads=4)
    with pytest.warns(UserWarning, match="1 of 3 helping threads could be started"):
        found = engine.logits(parameters, grids)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(engine.logits(parameters, grids), expected)
    assert (team._members, refused) == (1, [True])

    monkeypatch.setattr(team, "_patience", 0.0)
    refused[:] = [False, False]
    np.testing.assert_array_equal(engine.logits(parameters, grids), expected)
    assert team._members == 3


def test_without_any_helper_nothing_waits_for_one(
    team: of_teams._Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would ever take it, and what it holds would stay."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[int] = []
    with pytest.warns(UserWarning, match="0 of 2 helping threads"):
        together(done.append, 3)
    assert (done, team._jobs.qsize()) == ([0], 0)


def test_jobs_that_nobody_can_take_do_not_pile_up(team: of_teams._Team) -> None:
    """Many threads may call all the time, with helpers that come too late for most of it."""
    at_it, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number:
            at_it.set()
            go_on.wait(WAIT)

    together(hold, 2)
    assert at_it.wait(WAIT)
    done: list[int] = []
    for _ in range(100):
        together(done.append, 2)

    assert done == [0] * 100
    assert team._jobs.qsize() == of_teams._LINE
    go_on.set()


def test_what_a_job_holds_is_free_when_it_is_done(team: of_teams._Team) -> None:
    """A helper that waits for the next job keeps nothing of the last one."""
    import gc
    import weakref

    class Held:
        pass

    held = Held()
    known, done = weakref.ref(held), threading.Event()

    def begin(held: Held) -> None:
        def job(number: int, kept: Held = held) -> None:
            if number:
                done.set()

        together(job, 2)

    begin(held)
    del held
    assert done.wait(WAIT)
    for _ in range(1000):
        gc.collect()
        if known() is None:
            break
        threading.Event().wait(0.01)
    assert known() is None


@with_forks
@knowing
def test_a_forked_process_has_a_team_of_its_own(team: of_teams._Team) -> None:
    """Even if the team was growing at that moment."""
    together(lambda number: None, 3)
    with team._lock:
        fork_and_wait(lambda: team._members == 0 and not together(print, 3) and team._members == 2)
    assert team._members == 2
