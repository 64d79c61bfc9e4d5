"""Work on many items is spread over threads or processes; results come in order.

Python runs one thread at a time; only libraries run side by side. If an item takes long, most of
the time is spent in libraries, and two threads are nearly twice as fast as one. If an item is
quick, most of the time is spent in Python, the threads wait for each other, and two are often
slower than one.
This depends on the items, the processor and its load, so it is measured:

    a few items on one thread (on all threads, if they are heavy)
       |-- they take long ----------------------------------> the rest on all threads
       `-- they are quick --> some on one, some on all
              |-- threads help little, and there is much left --> the rest by processes
              `-- else ----------------------------------------> the rest in the faster way
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gridcnn.processes import Processes, can_fork
from gridcnn.room import startable_threads

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Result = TypeVar("Result")

SLOW = 0.00004
"""Seconds per item below which threads are not tried."""
WORTH = 0.004
"""Seconds of work below which threads are not tried: they have to be started."""
FASTER = 1.0
"""Several threads are used if they take less than this part of the time of one thread."""
HELPFUL = 0.75
"""Threads are used in any case if each does this part of what one does alone."""
WORTH_PROCESSES = 0.3
"""Seconds of work below which processes are not started."""
_LONG = 0.002  # seconds per item above which threads are always faster
_TRIAL = 0.003
"""Seconds of a trial, in which each thread takes one group: one item at a time would look slower
than the groups that follow, in which libraries do more with each call."""
_TRIALS = 2  # because other programs may disturb one
_TURN = 0.02  # seconds per group, about
_TURNS = 4  # groups for each thread, at least, so that no thread waits long for the last group
_FIRST = 3  # items that are timed after the first one, which loads libraries


def spread(
    work: Callable[[range], Result],
    count: int,
    threads: int,
    *,
    seconds: float | None = None,
    heavy: bool = False,
    most: int = 4096,
    processes: bool = False,
) -> Iterator[Result]:
    """Yield the result of each group of the numbers below `count`, in order.

    Args:
        work: is called with each group, by several threads at the same time.
        count: how many numbers there are.
        threads: the most threads at work.
        seconds: seconds per number, about; None: not known yet.
        heavy: whether the numbers are likely to take long, so that all threads start at once.
        most: the most numbers in a group.
        processes: whether forked processes may do the work. It must not change anything, nor read
            files that are open already: their places would be shared.
    """
    team = _Team(work, count, threads, most, processes=processes)
    try:
        yield from team.results(seconds, heavy=heavy)
    finally:
        team.end()


class _Timed(Generic[Result]):
    """The result of a group, and when it was computed."""

    def __init__(self, work: Callable[[range], Result], group: range) -> None:
        self.start = time.perf_counter()
        self.result = work(group)
        self.end = time.perf_counter()
        self.count = len(group)


class _Pace:
    """The seconds per number, measured on groups.

    Args:
        first: the number of groups at the start that load libraries; they count only if there are
            no others.
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
        """Seconds of one thread; infinite before the first group."""
        return self._worked / self._count if self._count else math.inf

    @property
    def together(self) -> float:
        """Seconds from the first start to the last end, on all threads."""
        return (self._end - self._start) / self._count if self._count else math.inf


class _Team(Generic[Result]):
    """The caller's thread, and other threads that are started when they are needed."""

    def __init__(
        self,
        work: Callable[[range], Result],
        count: int,
        threads: int,
        most: int,
        *,
        processes: bool,
    ) -> None:
        self._work = work
        self._count = count
        self._threads = threads
        self._most = most
        self._at = 0  # all numbers below are taken
        self._may_fork = processes and can_fork()
        self._pool: ThreadPoolExecutor | None = None
        self._processes: Processes[Result] | None = None

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
        best = min(alone, together)
        if (
            self._may_fork
            and alone < HELPFUL * self._threads * together
            and best * self._left >= WORTH_PROCESSES
        ):
            yield from self._by_processes(self._step(alone, self._threads))
        elif together > FASTER * alone:
            yield from self._alone(self._left, self._step(alone, 1))
        else:
            yield from self._together(self._left, self._step(alone, self._threads))

    def _try_both(self, seconds: float) -> Generator[Result, None, tuple[float, float]]:
        """Yield the results of the next numbers, and return the best pace of both ways."""
        alone = together = math.inf
        step = max(1, int(_TRIAL / seconds)) if seconds else self._most
        for _ in range(_TRIALS):
            pace = _Pace()
            yield from self._in_turn(self._few_groups(1, step), pace)
            alone = min(alone, pace.together)
            pace = _Pace()
            yield from self._by_all(self._few_groups(self._threads, step), pace)
            together = min(together, pace.together)
        return alone, together

    def end(self) -> None:
        """Wait until the threads have finished their groups; end the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        if self._processes is not None:
            self._processes.end()
            self._processes = None

    @property
    def _left(self) -> int:
        return self._count - self._at

    def _step(self, seconds: float, threads: int) -> int:
        """Return the size of a group if each number takes so many seconds."""
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
        """Take up to `count` groups of `step`, until the time of a trial is over."""
        end = time.perf_counter() + _TRIAL
        while self._left and count and time.perf_counter() < end:
            yield from self._groups(step, step)
            count -= 1

    def _while_long(self, pace: _Pace) -> Iterator[range]:
        """Take all numbers, one by one until their time is known; stop if they are quick.

        The threads work on while it is measured.
        """
        while self._left and pace.alone >= _LONG:
            step = self._step(pace.alone, self._threads)
            yield from self._groups(step, step)

    def _alone(self, count: int, step: int, pace: _Pace | None = None) -> Iterator[Result]:
        """Yield the next results, computed on the caller's thread."""
        yield from self._in_turn(self._groups(count, step), pace)

    def _in_turn(self, groups: Iterator[range], pace: _Pace | None) -> Iterator[Result]:
        for group in groups:
            timed = _Timed(self._work, group)
            if pace is not None:
                pace.add(timed)
            yield timed.result

    def _together(self, count: int, step: int, pace: _Pace | None = None) -> Iterator[Result]:
        """Yield the next results, computed on all threads that can be started."""
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

    def _by_processes(self, step: int) -> Iterator[Result]:
        """Yield all other results, made by forked processes."""
        self.end()  # a fork has no other threads
        self._processes = Processes(self._work, self._threads)
        yield from self._processes.results(self._groups(self._left, step))

    def _take(self, waiting: deque[Future[_Timed[Result]]], pace: _Pace | None) -> Result:
        """Return the oldest result, once it is there."""
        timed = waiting.popleft().result()
        if pace is not None:
            pace.add(timed)
        return timed.result
