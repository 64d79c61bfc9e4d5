"""The load program: many connections that stay open, each with one request at a time.

Requests are bytes that were made before, and sockets are asyncio's: what is measured is the server.
A connection either asks again at once, or waits for its turn, so that all together keep a rate.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass
class Outcome:
    """What some load came to.

    Attributes:
        seconds: how long it took.
        statuses: answers by status.
        latencies: seconds from the first byte of a request to the last of its answer; with a
            rate, from the time when the request should have been sent.
        lost: requests without an answer: the connection was closed, or could not be made.
        wrong: answers whose content is not what was expected.
    """

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    lost: int = 0
    wrong: int = 0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return sum(self.statuses.values()) / self.seconds

    def latency(self, part: float) -> float:
        """Return the latency, in seconds, that this part of all answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def post(path: str, body: bytes, content_type: str) -> bytes:
    """Return a request as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


Right = Callable[[int, bytes], bool]
"""Whether the body of the answer to the request with that number is as it should be."""


class _Client(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends the next."""

    def __init__(self, load: _Load, number: int) -> None:
        self._load, self._number = load, number
        self._received = b""
        self._sent = 0.0
        self._asked: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.next(self)

    def send(self, number: int, since: float) -> None:
        """Send a request; its latency counts from `since`."""
        if self._transport.is_closing():
            return
        self._sent, self._asked = since, number
        self._transport.write(self._load.requests[number])

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_END)
        if end < 0:
            return
        start = self._received.find(_LENGTH, 0, end) + len(_LENGTH)
        length = int(self._received[start : self._received.find(b"\r", start)])
        stop = end + len(_END) + length
        if len(self._received) < stop:
            return
        body = self._received[end + len(_END) : stop]
        status = int(self._received[9:12])
        self._received = self._received[stop:]
        asked, self._asked = self._asked, None
        assert asked is not None
        self._load.answered(self, asked, status, body, time.perf_counter() - self._sent)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of asyncio
        self._load.closed(lost=self._asked is not None)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class _Load:
    def __init__(
        self,
        requests: Sequence[bytes],
        right: Right | None,
        *,
        seconds: float,
        rate: float | None,
        connections: int,
    ) -> None:
        self.requests, self._right = requests, right
        self.outcome = Outcome()
        self._open = connections
        self._count = 0
        self._rate = rate
        self._start = time.perf_counter()
        self._until = self._start + seconds
        self._loop = asyncio.get_running_loop()
        self.done = asyncio.Event()

    def next(self, client: _Client) -> None:
        """Let a connection ask the next request, now or at its time."""
        now = time.perf_counter()
        if now >= self._until:
            client.close()
            return
        number = self._count
        self._count += 1
        place = number % len(self.requests)
        if self._rate is None:
            client.send(place, now)
            return
        turn = self._start + number / self._rate
        if turn >= self._until:
            client.close()
        elif turn <= now:
            client.send(place, turn)
        else:
            self._loop.call_later(turn - now, client.send, place, turn)

    def answered(
        self, client: _Client, number: int, status: int, body: bytes, seconds: float
    ) -> None:
        outcome = self.outcome
        outcome.statuses[status] += 1
        outcome.latencies.append(seconds)
        if self._right is not None and not self._right(number, body):
            outcome.wrong += 1
        self.next(client)

    def closed(self, *, lost: bool) -> None:
        self.outcome.lost += lost
        self._open -= 1
        if not self._open:
            self.outcome.seconds = time.perf_counter() - self._start
            self.done.set()

    def client(self, number: int) -> Callable[[], _Client]:
        return lambda: _Client(self, number)


async def ask(
    host: str,
    port: int,
    requests: Sequence[bytes],
    *,
    seconds: float,
    connections: int,
    rate: float | None = None,
    right: Right | None = None,
) -> Outcome:
    """Send requests in turn for some seconds, and return what came of it.

    Args:
        host, port: where the server is.
        requests: whole requests, as `post` makes them.
        seconds: after which no new request is sent.
        connections: how many stay open.
        rate: requests per second; None: as many as are answered.
        right: checks the body of each answer.
    """
    loop = asyncio.get_running_loop()
    load = _Load(requests, right, seconds=seconds, rate=rate, connections=connections)
    for number in range(connections):
        try:
            await loop.create_connection(load.client(number), host, port)
        except OSError:
            load.closed(lost=True)
    await load.done.wait()
    return load.outcome
