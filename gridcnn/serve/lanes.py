"""Requests that come together are answered together: bounded queues, and who answers them.

    light   small requests   one thread, or the event loop itself   up to 64 requests at a time
    heavy   large ones       some threads                           one request at a time

No request waits for a batch to fill up: a free worker takes all waiting requests, and meanwhile
others arrive. So batches are small on a quiet server, and large on a busy one. A large picture
never holds up small ones.

Python runs one thread at a time, and handing each batch from one to another costs a tenth of all
answers, and more on a machine that does much else. So requests that are known to be quick are
answered by the event loop itself, for some milliseconds at a time, as long as no thread works that
could hold a lock which the loop would have to wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal, busy

TOGETHER = 64
"""Most requests of one batch: more hardly make it faster, and all wait for the last of them."""
QUICK = 0.002
"""Seconds of a request, at most, that the event loop answers itself."""
_TURN = 0.003
"""Seconds, about, that the event loop answers before it looks at its connections again.

So answers are sent and new requests arrive while others are computed: if all of a large batch went
out at its end, clients and server would take turns and never work at the same time.
"""
_WAITED = 20.0
"""A request that takes so many times longer than it computes waits for something else."""
_NEW = 0.2
"""How much the last batch changes what a request is expected to take."""


@dataclass(eq=False, slots=True)
class Ask:
    """One request that waits for its answer.

    Attributes:
        what: what is asked; the lanes do not look into it.
        kind: requests of one kind take about equally long.
        answer: gets the answer, or an exception.
        until: the time by which the answer must be started, as `time.monotonic` counts.
    """

    what: Any
    kind: Hashable
    answer: asyncio.Future[Any]
    until: float


Work = Callable[[Sequence[Any]], Sequence[Any]]
"""Answers some requests; an exception among the answers is that of one request."""


class Lane:
    """A bounded queue, and the threads that answer what is in it.

    All methods but those of its own threads are called by the thread of the event loop.

    Args:
        work: answers requests that are taken together.
        loop: the event loop of those who wait.
        limits: how many may wait, and how long.
        threads: how many threads work.
        together: the most requests that are taken at a time.
        beside: the lane that has to be idle while the event loop itself answers quick requests;
            None: it never does.
    """

    def __init__(
        self,
        work: Work,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        *,
        threads: int = 1,
        together: int = TOGETHER,
        beside: Lane | None = None,
    ) -> None:
        self._work, self._loop, self._limits, self._together = work, loop, limits, together
        self._beside = beside
        self._queue: deque[Ask] = deque()
        self._some = threading.Condition()
        self._ended = False
        self._working = 0
        self._planned = False
        self._seconds: dict[Hashable, float] = {}
        """What a request of each kind is expected to take."""
        self.batches: deque[int] = deque(maxlen=10_000)
        """How many requests were answered together, since the last look."""
        self._threads = [
            threading.Thread(target=self._run, name="gridcnn-answers", daemon=True)
            for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and no thread works. It stays so until `put` is called."""
        with self._some:
            return not self._queue and not self._working

    def put(self, what: Any, kind: Hashable = None) -> asyncio.Future[Any]:
        """Add a request, and return the future of its answer.

        Raises:
            Refusal: too many wait already.
        """
        if len(self._queue) >= self._limits.waiting:
            raise busy(f"{self._limits.waiting:,} requests wait already")
        until = time.monotonic() + self._limits.deadline
        ask = Ask(what, kind, self._loop.create_future(), until)
        quick = self._is_quick(ask)
        with self._some:
            self._queue.append(ask)
            if not quick:
                self._some.notify()
        if quick and not self._planned:
            self._planned = True
            # Requests that are parsed in the same turn of the loop are answered together.
            self._loop.call_soon(self._answer_here)
        return ask.answer

    def refuse_late(self) -> int:
        """Refuse what has waited beyond its deadline; return how many requests that were.

        Called now and then: the threads may be busy with something that takes long.
        """
        late: list[Ask] = []
        now = time.monotonic()
        with self._some:
            # In the order of their deadlines, since all may wait equally long.
            while self._queue and self._queue[0].until < now:
                late.append(self._queue.popleft())
        refusal = busy(f"the request has waited for {self._limits.deadline:g} s")
        self._settle(late, [refusal] * len(late))
        return len(late)

    def end(self, seconds: float) -> None:
        """Answer what still waits, and end the threads; wait so many seconds at most."""
        with self._some:
            self._ended = True
            self._some.notify_all()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    # By the event loop itself ---------------------------------------------------------------------

    def _is_quick(self, ask: Ask) -> bool:
        return self._beside is not None and self._seconds.get(ask.kind, QUICK) < QUICK

    def _answer_here(self) -> None:
        """Answer quick requests for a while; leave all others to the thread."""
        self._planned = False
        assert self._beside is not None
        batch: list[Ask] = []
        expected = 0.0
        idle = self._beside.is_idle
        with self._some:
            idle = idle and not self._working
            while self._queue and len(batch) < self._together and expected < _TURN:
                if not (idle and self._is_quick(self._queue[0])):
                    self._some.notify()
                    break
                batch.append(self._queue.popleft())
                expected += self._seconds[batch[-1].kind]
            rest = bool(self._queue) and idle
        batch = [ask for ask in batch if not ask.answer.done()]
        if batch:
            self._settle(batch, self._answers(batch))
        if rest and not self._planned:
            self._planned = True
            self._loop.call_soon(self._answer_here)

    # In the threads of the lane -------------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            answers = self._answers(batch) if batch else []
            with self._some:
                self._working -= 1
            # The loop may have ended; then nobody waits for an answer any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._settle, batch, answers)

    def _take(self) -> list[Ask] | None:
        """Return the next requests, as soon as there are some; None at the end."""
        with self._some:
            while not self._queue:
                if self._ended:
                    return None
                self._some.wait()
            self._working += 1
            count = min(len(self._queue), self._together)
            requests = [self._queue.popleft() for _ in range(count)]
        # Those whose clients have gone are dropped.
        return [ask for ask in requests if not ask.answer.done()]

    # By either ------------------------------------------------------------------------------------

    def _answers(self, batch: Sequence[Ask]) -> Sequence[Any]:
        """Return the answers to a batch, and remember how long it took."""
        start, computing = time.perf_counter(), time.thread_time()
        answers = self._work([ask.what for ask in batch])
        seconds = time.thread_time() - computing
        # On a machine that does much else, a thread waits for its turn; that alone is not slow.
        seconds = max(seconds, (time.perf_counter() - start) / _WAITED) / len(batch)
        for kind in {ask.kind for ask in batch}:
            before = self._seconds.get(kind, seconds)
            self._seconds[kind] = before + _NEW * (seconds - before)
        self.batches.append(len(batch))
        return answers

    @staticmethod
    def _settle(batch: Sequence[Ask], answers: Sequence[Any]) -> None:
        """Hand out answers, in the thread of the event loop."""
        for ask, answer in zip(batch, answers, strict=True):
            if ask.answer.done():  # its client has gone
                continue
            if isinstance(answer, Refusal):
                ask.answer.set_exception(answer)
            else:
                ask.answer.set_result(answer)
