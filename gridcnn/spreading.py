"""Work on many things is spread over threads, if that is faster; results come in their order.

Python lets one thread at a time prepare what libraries then do side by side. Of things that take
long, that is a small part, and several threads are nearly as many times as fast as one. Of quick
things it is most of the time, and the threads wait for each other: two are often slower than one.
Which it is depends on the things, the processor and its load, so it is measured:

    one thing alone (or some by all threads, if things are heavy)
       |-- takes long ------------------------------> the rest by all threads
       `-- is quick --> some alone, some by all ----> the rest in the faster way
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gridcnn.room import startable_threads

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Result = TypeVar("Result")

SLOW = 0.00004
"""Seconds for a thing, up to which threads are not even tried."""
WORTH = 0.004
"""Seconds of work from which threads are tried: they have to be started."""
FASTER = 1.0
"""The part of the time of one thread that several have to stay below."""
_LONG = 0.002  # seconds for a thing, from which threads are faster, whatever it is
_TRIAL = 0.003  # seconds of work in each way by which the faster one is found, ...
_TRIALS = 2  # ... how often, since other programs may come in between, ...
_PARTS = 4  # ... and in how many groups
_TURN = 0.02  # seconds that a group takes, about
_TURNS = 4  # groups for each thread, at least, so that none waits long for the last one
_FIRST = 3  # things that are timed, after the first one has loaded libraries


def spread(
    work: Callable[[range], Result],
    count: int,
    threads: int,
    *,
    seconds: float | None = None,
    heavy: bool = False,
    most: int = 4096,
) -> Iterator[Result]:
    """Yield what comes of the numbers below `count`, in groups, in their order.

    Args:
        work: is called with each group, by several threads at the same time.
        count: how many numbers there are.
        threads: the most threads at work.
        seconds: what one number takes, about; None: it is not known yet.
        heavy: whether the first numbers are likely to take long, so that each gets a thread.
        most: the most numbers in a group.
    """
    team = _Team(work, count, threads, most)
    try:
        yield from team.results(seconds, heavy=heavy)
    finally:
        team.end()


class _Timed(Generic[Result]):
    """What came of a group, and when it was worked on."""

    def __init__(self, work: Callable[[range], Result], group: range) -> None:
        self.start = time.perf_counter()
        self.result = work(group)
        self.end = time.perf_counter()
        self.count = len(group)


class _Pace:
    """How fast groups are worked on, in seconds for a number.

    Args:
        first: how many groups come first, which load libraries and so count only if there are no
            others.
    """

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self._start, self._end = math.inf, -math.inf
        self._worked, self._count = 0.0, 0

    def add(self, timed: _Timed[Any]) -> None:
        """Count a group."""
        if self._first >= 0:
            self._first -= 1
            self._worked, self._count = 0.0, 0
        self._start, self._end = min(self._start, timed.start), max(self._end, timed.end)
        self._worked += timed.end - timed.start
        self._count += timed.count

    @property
    def alone(self) -> float:
        """Of a thread at work; infinite before the first group."""
        return self._worked / self._count if self._count else math.inf

    @property
    def together(self) -> float:
        """From the first start to the last end, by all threads."""
        return (self._end - self._start) / self._count if self._count else math.inf


class _Team(Generic[Result]):
    """The caller's thread, and others that are started when they are needed."""

    def __init__(
        self, work: Callable[[range], Result], count: int, threads: int, most: int
    ) -> None:
        self._work = work
        self._count = count
        self._threads = threads
        self._most = most
        self._at = 0  # all numbers below are taken
        self._pool: ThreadPoolExecutor | None = None

    def results(self, seconds: float | None, *, heavy: bool) -> Iterator[Result]:
        """Yield all results; `spread` explains the arguments."""
        if self._threads > 1 and seconds is None and not heavy:
            pace = _Pace(1)
            yield from self._alone(1, 1, pace)
            yield from self._alone(_FIRST, _FIRST, pace)
            seconds = pace.alone
        if self._threads > 1 and (seconds is None or seconds >= _LONG):
            pace = _Pace(self._threads)
            yield from self._by_all(self._while_long(pace), pace)
            seconds = pace.alone
        seconds = seconds or 0.0
        if self._threads <= 1 or seconds < SLOW or seconds * self._left < WORTH:
            yield from self._alone(self._left, self._step(seconds, 1))
            return
        alone, together = yield from self._try_both(seconds)
        if together > FASTER * alone:
            yield from self._alone(self._left, self._step(alone, 1))
        else:
            yield from self._together(self._left, self._step(alone, self._threads))

    def _try_both(self, seconds: float) -> Generator[Result, None, tuple[float, float]]:
        """Yield the results of the next numbers, and return the best pace of both ways."""
        alone = together = math.inf
        step = max(1, int(_TRIAL / _PARTS / seconds)) if seconds else self._most
        for _ in range(_TRIALS):
            pace = _Pace()
            yield from self._in_turn(self._few_groups(_PARTS, step), pace)
            alone = min(alone, pace.together)
            pace = _Pace()
            yield from self._by_all(self._few_groups(_PARTS * self._threads, step), pace)
            together = min(together, pace.together)
        return alone, together

    def end(self) -> None:
        """Wait for the threads, which take nothing new."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    @property
    def _left(self) -> int:
        return self._count - self._at

    def _step(self, seconds: float, threads: int) -> int:
        """Return how many numbers make a group, if each takes so many seconds."""
        step = min(int(_TURN / max(seconds, 1e-9)), self._most)
        return max(1, step if threads == 1 else min(step, -(-self._left // (_TURNS * threads))))

    def _groups(self, count: int, step: int) -> Iterator[range]:
        """Take the next `count` numbers, in groups of `step`."""
        end = min(self._at + count, self._count)
        step = min(step, self._most)
        while self._at < end:
            group = range(self._at, min(self._at + step, end))
            self._at = group.stop
            yield group

    def _few_groups(self, count: int, step: int) -> Iterator[range]:
        """Take numbers in so many groups of `step`, or fewer if that takes longer than a trial."""
        end = time.perf_counter() + _TRIAL
        while self._left and count and time.perf_counter() < end:
            yield from self._groups(step, step)
            count -= 1

    def _while_long(self, pace: _Pace) -> Iterator[range]:
        """Take all numbers, one by one until it is known how long they take; stop if they do not.

        So no thread has to wait for another one before they go on.
        """
        while self._left and pace.alone >= _LONG:
            step = self._step(pace.alone, self._threads)
            yield from self._groups(step, step)

    def _alone(self, count: int, step: int, pace: _Pace | None = None) -> Iterator[Result]:
        """Yield what comes of the next numbers, by the caller's thread."""
        yield from self._in_turn(self._groups(count, step), pace)

    def _in_turn(self, groups: Iterator[range], pace: _Pace | None) -> Iterator[Result]:
        for group in groups:
            timed = _Timed(self._work, group)
            if pace is not None:
                pace.add(timed)
            yield timed.result

    def _together(self, count: int, step: int, pace: _Pace | None = None) -> Iterator[Result]:
        """Yield what comes of the next numbers, by all threads that can be started."""
        yield from self._by_all(self._groups(count, step), pace)

    def _by_all(self, groups: Iterator[range], pace: _Pace | None) -> Iterator[Result]:
        if self._pool is None:
            self._threads = max(1, startable_threads(self._threads))
            if self._threads <= 1:
                yield from self._in_turn(groups, pace)
                return
            from concurrent.futures import ThreadPoolExecutor  # most things are answered without

            self._pool = ThreadPoolExecutor(self._threads)
        waiting: deque[Future[_Timed[Result]]] = deque()
        for group in groups:
            waiting.append(self._pool.submit(_Timed, self._work, group))
            # A few ahead of what is taken, so that no thread waits and memory is bounded.
            if len(waiting) > 2 * self._threads:
                yield self._take(waiting, pace)
        while waiting:
            yield self._take(waiting, pace)

    def _take(self, waiting: deque[Future[_Timed[Result]]], pace: _Pace | None) -> Result:
        """Return the oldest result, once it is there."""
        timed = waiting.popleft().result()
        if pace is not None:
            pace.add(timed)
        return timed.result
