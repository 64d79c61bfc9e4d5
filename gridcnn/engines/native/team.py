"""The threads that help with native calls: one team for the process, asleep without work."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from gridcnn.engines.native.mailbox import Mailbox
from gridcnn.engines.native.processor import Processor
from gridcnn.forks import start_over_in_children

Job = Callable[[], object]
_PAUSE = 1.0  # seconds until it is tried again to start a thread, if that has failed
_LINE = 2  # jobs that may wait for each member, so that two calls at a time both get help


@dataclass(frozen=True)
class Letter:
    """What a job does, for helpers that still look into their mailboxes.

    Attributes:
        processor: what the mailboxes' code is made for, if there are none yet.
        function: the address of a function of three addresses.
        shared: the first two of these.
        own: the last one, for each number.
        keep: what must live until all have left the function.
    """

    processor: Processor
    function: int
    shared: tuple[int, int]
    own: Sequence[int]
    keep: object


class _Team:
    def __init__(self) -> None:
        self.start_over()
        start_over_in_children(self)

    def start_over(self) -> None:
        """Forget all members, as in a forked child."""
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._mailboxes: dict[int, Mailbox] = {}
        self._members = 0
        self._patience = 0.0
        self._lock = threading.Lock()

    def ask(self, job: Job, members: int) -> None:
        """Put a job in line, for a team of at least so many members.

        If all members have enough to do, the job is left out: no member could take it in time,
        and what it holds would pile up in the line as long as many threads call.
        """
        if self._members < members:
            self._grow(members)
        if self._jobs.qsize() < _LINE * self._members:
            self._jobs.put(job)

    def _grow(self, members: int) -> None:
        """Start members until there are so many, or as many as the system allows."""
        with self._lock:
            while self._members < members and time.monotonic() >= self._patience:
                # Daemons, so that a sleeping helper keeps no program from ending.
                work = threading.Thread(
                    target=self._work, args=(self._members + 1,), name="gridcnn", daemon=True
                )
                try:
                    work.start()
                except (RuntimeError, MemoryError):
                    # The calling threads do all the work then, and get the same bits.
                    self._patience = time.monotonic() + _PAUSE
                    warnings.warn(
                        f"{self._members} of {members} helping threads could be started (see "
                        "ulimit -u); results are the same, and take longer",
                        stacklevel=2,
                    )
                    return
                self._members += 1

    def mailbox(self, number: int, processor: Processor) -> Mailbox:
        """Return the mailbox of a member, counted from 1."""
        if number not in self._mailboxes:
            with self._lock:
                self._mailboxes.setdefault(number, Mailbox(processor))
        return self._mailboxes[number]

    def _work(self, number: int) -> None:
        while True:
            job = self._jobs.get()
            job()
            del job  # what it holds is free now, and not only when the next job comes
            mailbox = self._mailboxes.get(number)
            if mailbox is not None:
                mailbox.attend()


_team = _Team()


def together(job: Callable[[int], object], threads: int, letter: Letter | None = None) -> bool:
    """Run `job(0)` here, and `job(1)`, `job(2)`, ... on helpers; return when `job(0)` is done.

    Helpers may begin late, even after that: a job must see by itself that there is nothing left.

    Args:
        job: what to do, for each number.
        threads: how many numbers there are.
        letter: the same for helpers that need not be woken.

    Returns:
        Whether all are known to have left.
    """
    handed: list[Mailbox] = []
    for number in range(1, threads):
        if letter is not None:
            mailbox = _team.mailbox(number, letter.processor)
            if mailbox.offer(letter.function, (*letter.shared, letter.own[number]), letter.keep):
                handed.append(mailbox)
                continue
        _team.ask(lambda number=number: job(number), threads - 1)  # type: ignore[misc]
    job(0)
    if letter is None:
        return threads == 1
    left = [mailbox.is_left(letter.keep) for mailbox in handed]
    return len(handed) == threads - 1 and all(left)
