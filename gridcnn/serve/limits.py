"""What one client, and all of them together, may take."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """The limits of a server.

    Attributes:
        body: bytes of a request's body.
        pixels: of a picture, as its file declares them.
        seconds: of a sound clip.
        items: in one request.
        waiting: requests that wait for an answer; one more is refused with 503.
        held: bytes of all bodies that are being read, or wait; one more is refused with 503.
        deadline: seconds that a request may wait before its answer is started; then 503.
        arrival: seconds in which a request must arrive, from its first byte to its last; also
            how long a new connection may send nothing, and a client not read its answer.
        idle: seconds after which a connection without a request is closed.
        connections: open at a time.
        head: bytes of a request before its body.
        headers: in one request.
    """

    body: int = 10 * MB
    pixels: int = 16_000_000
    seconds: float = 60.0
    items: int = 256
    waiting: int = 1_024
    held: int = 256 * MB
    deadline: float = 10.0
    arrival: float = 30.0
    idle: float = 60.0
    connections: int = 1_024
    head: int = 32_768
    headers: int = 100
