"""One budget of memory for all threads that read large items: a thread that would exceed it waits.

Sizes are given before memory is taken. An item larger than the whole budget is refused.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from gridcnn import forks
from gridcnn.cores import usable_memory
from gridcnn.errors import DataError, sized
from gridcnn.forks import start_over_in_children

_PART = 0.75
"""The part of the usable memory that is lent: what holds the results has to fit beside it."""
_TRIFLE = 2**24
"""Bytes: less than this is lent without a look, which would take longer than reading it."""
_NOTHING = contextlib.nullcontext()
_LASTS = 1.0
"""Seconds for which the usable memory is taken to be the same."""


class Budget:
    """Memory that threads borrow for as long as they read a thing.

    Args:
        usable: returns how many bytes this process may still use, or None if that is not known.
    """

    def __init__(self, usable: Callable[[], int | None] = usable_memory) -> None:
        self._usable = usable
        self.start_over()
        start_over_in_children(self)

    def start_over(self) -> None:
        """Start with nothing lent: a forked child has none of the threads that had borrowed."""
        self._changed = threading.Condition()
        self._lent = 0
        self._limit: int | None = None
        self._known_until = 0.0

    def borrow(self, size: int) -> AbstractContextManager[None]:
        """Hold `size` bytes of the budget; wait while other threads hold too much of it.

        Raises:
            DataError: it is more than the whole budget.
        """
        return _NOTHING if size < _TRIFLE else self._borrow(size)

    @contextlib.contextmanager
    def _borrow(self, size: int) -> Iterator[None]:
        changed = self._changed
        with changed:
            while not self._fits(size):
                changed.wait()
            self._lent += size
        try:
            yield
        finally:
            with changed:
                if changed is self._changed:  # else this is a child, which has lent nothing
                    self._lent -= size
                changed.notify_all()

    def _fits(self, size: int) -> bool:
        if not self._lent and time.monotonic() >= self._known_until:
            # Only while nothing is lent: what is lent may have been taken already, or not yet.
            usable = self._usable()
            self._limit = None if usable is None else int(_PART * usable / forks.processes)
            self._known_until = time.monotonic() + _LASTS
        if self._limit is None:
            return True
        if size > self._limit and not self._lent:
            raise DataError(
                f"it takes up to {sized(size)} of memory to read, and {sized(self._limit)} may be "
                "used for it here; make it smaller, or give the process more memory"
            )
        return self._lent + size <= self._limit


BUDGET = Budget()
"""The budget of this process."""
