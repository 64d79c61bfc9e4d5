"""Progress: what is being done, how much of it is done, and the total."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How much of a piece of work is done.

    Attributes:
        what: what is being done, for example "reading items".
        done: how much of it is done.
        total: how much there is; never less than `done`.
        unit: what is counted: "items", "bytes", ...
    """

    what: str
    done: int
    total: int
    unit: str = "items"


Advance = Callable[[Progress], None]
"""Called each time some more is done."""


class Counter:
    """Counts what is done, and reports it.

    Args:
        advance: called each time some more is done; None for no calls.
        what, total, unit: as in `Progress`.
    """

    def __init__(
        self, advance: Advance | None, what: str, total: int, *, unit: str = "items"
    ) -> None:
        self._advance = advance
        self._progress = Progress(what, 0, total, unit)

    def add(self, count: int) -> None:
        """Add to the count."""
        self.set(self._progress.done + count)

    def set(self, done: int) -> None:
        """Set how much is done in all."""
        before = self._progress
        self._progress = Progress(before.what, done, max(done, before.total), before.unit)
        if self._advance is not None:
            self._advance(self._progress)

    def restart(self) -> None:
        """Count from 0 again, since the work so far has to be done again."""
        before = self._progress
        self._progress = Progress(before.what, 0, before.total, before.unit)
