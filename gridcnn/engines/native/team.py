"""The threads that help with native calls: one team for the process, asleep without work."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], object]


class _Team:
    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._members = 0
        self._lock = threading.Lock()

    def ask(self, job: Job, members: int) -> None:
        """Put a job in line; there will be at least so many threads to take jobs."""
        if self._members < members:
            with self._lock:
                while self._members < members:
                    # Daemons, so that a sleeping helper keeps no program from ending.
                    threading.Thread(target=self._work, name="gridcnn", daemon=True).start()
                    self._members += 1
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            job()
            del job  # what it holds is free now, and not only when the next job comes


_team = _Team()


def _begin_anew() -> None:
    """Forget the team: a forked child has none of its parent's threads."""
    global _team  # noqa: PLW0603
    _team = _Team()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def together(job: Callable[[int], object], threads: int) -> None:
    """Run `job(0)` here, and `job(1)`, `job(2)`, ... on helpers; return when `job(0)` is done.

    Helpers may begin late, even after that: a job must see by itself that there is nothing left.
    """
    for number in range(1, threads):
        _team.ask(lambda number=number: job(number), threads - 1)  # type: ignore[misc]
    job(0)
