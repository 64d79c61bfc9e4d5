"""Work is spread over threads in groups, and comes back in order."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from gridcnn import spreading
from gridcnn.spreading import spread

WAIT = 30.0  # seconds, after which a test fails


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads be tried with things that take no time at all."""
    monkeypatch.setattr(spreading, "SLOW", 0.0)
    monkeypatch.setattr(spreading, "WORTH", 0.0)


def workers_of(count: int, threads: int, seconds: float | None = None) -> list[int]:
    """Return the thread that has worked on each number."""
    groups = list(
        spread(lambda group: [threading.get_ident()] * len(group), count, threads, seconds=seconds)
    )
    return [worker for group in groups for worker in group]


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("seconds", [None, 0.0, 1e-4, 1.0])
@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
def test_all_numbers_come_once_and_in_order(
    threads: int, seconds: float | None, heavy: bool, count: int
) -> None:
    groups = list(spread(list, count, threads, seconds=seconds, heavy=heavy, most=64))

    assert [number for group in groups for number in group] == list(range(count))
    assert max(map(len, groups), default=0) <= 64


def test_the_first_heavy_things_are_worked_on_at_the_same_time() -> None:
    """So that a dozen of them do not take longer by the time of one."""
    both = threading.Barrier(2)

    def meet(group: range) -> int:
        if group.stop <= 2:
            both.wait(WAIT)
        return len(group)

    assert sum(spread(meet, 12, 2, heavy=True)) == 12


def test_things_that_take_long_are_worked_on_at_the_same_time() -> None:
    both = threading.Barrier(2)

    def meet(group: range) -> int:
        both.wait(WAIT)
        time.sleep(0.005)
        return len(group)

    assert sum(spread(meet, 12, 2, seconds=1.0, most=1)) == 12


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize(("factor", "is_alone"), [(-1.0, True), (math.inf, False)])
def test_quick_things_are_left_to_one_thread_unless_several_are_faster(
    monkeypatch: pytest.MonkeyPatch, factor: float, is_alone: bool
) -> None:
    """Both ways are tried first."""
    monkeypatch.setattr(spreading, "FASTER", factor)
    caller = threading.get_ident()

    workers = workers_of(100_000, 2, 1e-6)

    assert workers[0] == caller
    assert any(worker != caller for worker in workers)
    assert (workers[-1] == caller) == is_alone


def test_trifles_start_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    # Each look at it is a microsecond later, however busy the machine is.
    monkeypatch.setattr(spreading, "time", SimpleNamespace(perf_counter=lambda: next(clock) / 1e6))

    assert set(workers_of(1000, 4)) == {threading.get_ident()}


def test_things_that_turn_out_to_be_quick_are_taken_in_large_groups() -> None:
    """However long the first ones have taken, which load libraries."""

    def load(group: range) -> int:
        if group.start < 2:
            time.sleep(0.05)
        return len(group)

    assert max(spread(load, 10_000, 2, seconds=1.0)) > 1000


def test_a_few_quick_things_do_not_keep_long_ones_from_the_threads() -> None:
    """Such as files that are not there: what matters is how long things take on average."""
    caller = threading.get_ident()

    def work(group: range) -> list[int]:
        time.sleep(0.005 * sum(number % 8 != 2 for number in group))
        return [threading.get_ident()] * len(group)

    workers = [worker for group in spread(work, 80, 2) for worker in group]

    assert sum(worker == caller for worker in workers) < 20


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize("startable", [0, 1])
def test_the_caller_does_it_if_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch, startable: int
) -> None:
    monkeypatch.setattr(spreading, "startable_threads", lambda wanted: startable)

    assert workers_of(100, 4, 1.0) == [threading.get_ident()] * 100


def failing(group: range) -> int:
    time.sleep(0.001)
    if 50 in group:
        raise KeyError(50)
    return group.start


def closed_early() -> None:
    results = spread(failing, 40, 3, seconds=1.0, most=1)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]


def failed() -> None:
    with pytest.raises(KeyError, match="50"):
        list(spread(failing, 100, 3, seconds=1.0, most=1))


@pytest.mark.parametrize("way", [closed_early, failed])
def test_threads_end_with_the_work(way: Callable[[], None]) -> None:
    """If an error ends it, or whoever takes the results, nothing goes on in the background."""
    before = threading.active_count()

    way()

    assert threading.active_count() == before


def test_only_a_few_results_wait_to_be_taken() -> None:
    """Memory stays bounded, however slowly they are taken."""
    started: list[int] = []

    def start(group: range) -> int:
        started.append(group.start)
        return group.start

    for result in spread(start, 200, 2, seconds=1.0, most=1):
        assert len(started) - result <= 6
