"""Requests that cannot be answered: a status of HTTP, and a line for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

RETRY_AFTER = 1
"""Seconds after which a client that got 503 may try again: a full queue is answered within them, as
a rule."""


class Refusal(Exception):  # noqa: N818 - the client's error, and not the server's
    """A request is refused; `lines` say why, and `status` is the answer's."""

    def __init__(self, status: int, *lines: str) -> None:
        self.status = status
        self.lines: Sequence[str] = lines
        super().__init__("\n".join(lines))


def busy(why: str) -> Refusal:
    """Return the refusal of a request for which there is no room now."""
    return Refusal(503, f"{why}; try again in a moment")
