"""Lanes: what waits is taken together, within bounds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from gridcnn.serve import lanes
from gridcnn.serve.lanes import TOGETHER, Lane
from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal
from tests.serve.loops import in_a_loop


class Slow:
    """Work that can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.go = threading.Event()
        self.begun = threading.Event()

    def __call__(self, asked: Sequence[Any]) -> list[Any]:
        self.batches.append(list(asked))
        self.begun.set()
        assert self.go.wait(30)
        return [Refusal(422, "bad") if each == "bad" else f"{each}!" for each in asked]


Test = Callable[[Lane, Slow], Awaitable[None]]


def with_lane(test: Test, limits: Limits) -> None:
    async def run() -> None:
        work = Slow()
        lane = Lane(work, asyncio.get_running_loop(), limits)
        try:
            await test(lane, work)
        finally:
            work.go.set()
            await asyncio.to_thread(lane.end, 30.0)

    in_a_loop(run())


def test_what_waits_is_answered_together() -> None:
    """Each gets its own answer, or its own error."""

    async def test(lane: Lane, work: Slow) -> None:
        first = lane.put("first")
        await asyncio.to_thread(work.begun.wait, 30)
        others = [lane.put(each) for each in ("a", "bad", "b")]
        many = [lane.put(number) for number in range(TOGETHER)]
        work.go.set()

        found = await asyncio.gather(first, *others, *many, return_exceptions=True)

        assert found[:2] == ["first!", "a!"]
        assert isinstance(found[2], Refusal)
        assert found[3] == "b!"
        assert [len(batch) for batch in work.batches] == [1, TOGETHER, 3]

    with_lane(test, Limits())


def test_a_full_queue_refuses() -> None:
    """With 503, at once."""

    async def test(lane: Lane, work: Slow) -> None:
        first = lane.put("first")
        await asyncio.to_thread(work.begun.wait, 30)
        waiting = [lane.put(each) for each in "ab"]

        with pytest.raises(Refusal, match="2 requests wait already") as refused:
            lane.put("c")

        assert refused.value.status == 503
        work.go.set()
        assert list(await asyncio.gather(first, *waiting)) == ["first!", "a!", "b!"]

    with_lane(test, Limits(waiting=2))


def test_what_waits_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the thread is busy with something else."""
    now = 0.0
    clock = SimpleNamespace(
        monotonic=lambda: now, perf_counter=time.perf_counter, thread_time=time.thread_time
    )
    monkeypatch.setattr(lanes, "time", clock)

    async def test(lane: Lane, work: Slow) -> None:
        nonlocal now
        first = lane.put("first")
        await asyncio.to_thread(work.begun.wait, 30)
        late = lane.put("late")
        assert lane.refuse_late() == 0
        now += 6

        assert lane.refuse_late() == 1

        with pytest.raises(Refusal, match=r"has waited for 5 s"):
            await late
        work.go.set()
        assert await first == "first!"
        assert work.batches == [["first"]]

    with_lane(test, Limits(deadline=5))


def test_quick_requests_are_answered_by_the_loop_itself() -> None:
    """Once they are known to be quick, and unless a lane beside is busy."""

    async def run() -> None:
        threads: list[str] = []
        ours = threading.current_thread().name

        def work(asked: Sequence[Any]) -> list[Any]:
            threads.append(threading.current_thread().name)
            return [f"{each}!" for each in asked]

        loop, slow = asyncio.get_running_loop(), Slow()
        large = Lane(slow, loop, Limits())
        small = Lane(work, loop, Limits(), beside=large)
        try:
            assert await small.put("first", "a kind") == "first!"
            assert threads.pop() != ours
            for _ in range(100):  # a machine that does much else may make the first ones slow
                assert await small.put("second", "a kind") == "second!"
                if threads.pop() == ours:
                    break
            assert await small.put("other", "another kind") == "other!"
            many = [small.put(number, "a kind") for number in range(TOGETHER + 1)]
            assert await asyncio.gather(*many) == [f"{n}!" for n in range(TOGETHER + 1)]
            held = large.put("large")
            assert await small.put("third", "a kind") == "third!"
            slow.go.set()
            assert await held == "large!"
        finally:
            slow.go.set()
            await asyncio.to_thread(large.end, 30.0)
            await asyncio.to_thread(small.end, 30.0)
        assert [name == ours for name in threads] == [False, True, True, False]

    in_a_loop(run())


def test_nothing_is_done_for_clients_that_have_gone() -> None:
    """A request whose answer nobody waits for is dropped."""

    async def test(lane: Lane, work: Slow) -> None:
        first = lane.put("first")
        await asyncio.to_thread(work.begun.wait, 30)
        gone, other = lane.put("gone"), lane.put("other")
        gone.cancel()
        work.go.set()

        assert list(await asyncio.gather(first, other)) == ["first!", "other!"]
        assert work.batches == [["first"], ["other"]]

    with_lane(test, Limits())
