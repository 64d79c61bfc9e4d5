"""Requests that come together are answered together: bounded queues, each with its own thread.

    light   small requests   one thread    up to 64 requests at a time
    heavy   large ones       some threads  one request at a time

Nobody waits for a batch to fill up: a thread takes all that waits, and while it works, others
arrive. So batches are small on a quiet server, and large on a busy one. A large picture never
holds up small ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal, busy

TOGETHER = 64
"""Most requests of one batch: more hardly make it faster, and all wait for the last of them."""


@dataclass(eq=False, slots=True)
class Ask:
    """One request that waits for its answer.

    Attributes:
        what: what is asked; the lanes do not look into it.
        answer: gets the answer, or an exception.
        until: the time by which the answer must be begun, as `time.monotonic` counts.
    """

    what: Any
    answer: asyncio.Future[Any]
    until: float = field(default=0.0)


Work = Callable[[Sequence[Any]], Sequence[Any]]
"""Answers some requests; an exception among the answers is that of one request. It raises none."""


class Lane:
    """A bounded queue, and the threads that answer what is in it.

    All methods but those of its own threads are called by the thread of the event loop.

    Args:
        work: answers requests that are taken together.
        loop: the event loop of those who wait.
        limits: how many may wait, and how long.
        threads: how many threads work.
        together: the most requests that are taken at a time.
    """

    def __init__(
        self,
        work: Work,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        *,
        threads: int = 1,
        together: int = TOGETHER,
    ) -> None:
        self._work, self._loop, self._limits, self._together = work, loop, limits, together
        self._queue: deque[Ask] = deque()
        self._some = threading.Condition()
        self._ended = False
        self.batches: deque[int] = deque(maxlen=10_000)
        """How many requests were taken together, since somebody last looked."""
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

    def put(self, what: Any) -> asyncio.Future[Any]:
        """Add a request, and return the future of its answer.

        Raises:
            Refusal: too many wait already.
        """
        if len(self._queue) >= self._limits.waiting:
            raise busy(f"{self._limits.waiting:,} requests wait already")
        ask = Ask(what, self._loop.create_future(), time.monotonic() + self._limits.deadline)
        with self._some:
            self._queue.append(ask)
            self._some.notify()
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
        self._settle([(ask, self._too_late()) for ask in late])
        return len(late)

    def _too_late(self) -> Refusal:
        return busy(f"the request has waited for {self._limits.deadline:g} s")

    def end(self, seconds: float) -> None:
        """Answer what still waits, and end the threads; wait so many seconds at most."""
        with self._some:
            self._ended = True
            self._some.notify_all()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    # In the threads of the lane -------------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            if not batch:  # all of their clients have gone
                continue
            answers = self._work([ask.what for ask in batch])
            self.batches.append(len(batch))
            pairs = list(zip(batch, answers, strict=True))
            # The loop may have ended; then nobody waits for an answer any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._settle, pairs)

    def _take(self) -> list[Ask] | None:
        """Return the next requests, as soon as there are some; None at the end."""
        with self._some:
            while not self._queue:
                if self._ended:
                    return None
                self._some.wait()
            count = min(len(self._queue), self._together)
            taken = [self._queue.popleft() for _ in range(count)]
        return [ask for ask in taken if not ask.answer.done()]

    # In the thread of the event loop again --------------------------------------------------------

    @staticmethod
    def _settle(pairs: Sequence[tuple[Ask, Any]]) -> None:
        for ask, answer in pairs:
            if ask.answer.done():  # its client has gone
                continue
            if isinstance(answer, BaseException):
                ask.answer.set_exception(answer)
            else:
                ask.answer.set_result(answer)
