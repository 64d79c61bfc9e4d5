"""Connections: those that send too slowly, too much or no request are cut off.

uvicorn parses requests with httptools, and has no limit of its own for the size of what comes
before a body, nor for the time that it takes to arrive. Times are not measured by a timer for each
request, which would cost more than many an answer: `Watch` looks at all connections now and then.
"""

from __future__ import annotations

import asyncio
import json
import time
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gridcnn.serve.limits import Limits
from gridcnn.serve.metrics import Metrics
from gridcnn.serve.refusals import RETRY_AFTER, Refusal

_AHEAD = 32
"""Most requests that a connection may send before the first of them is answered."""


class _Refused(Exception):  # noqa: N818 - it never leaves the parser
    """Raised inside of the parser, which then stops."""


class Connection(HttpToolsProtocol):
    """A connection with limits. `limits` and `metrics` are set by a subclass for each server."""

    limits: Limits
    metrics: Metrics

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refusal: Refusal | None = None
        self._active: RequestResponseCycle | None = None
        """The request that is being answered; others wait behind it."""
        self._in_head = True
        self._head_bytes = self._headers_seen = 0
        self._arriving: float | None = None
        """Since when a request is arriving, or the first one is waited for."""
        self._unread: float | None = None
        """Since when the client reads nothing of an answer."""

    # What uvicorn calls ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; refuse a connection if there are too many."""
        super().connection_made(transport)
        self._arriving = time.monotonic()
        if len(self.connections) > self.limits.connections:
            self.metrics.refused["full"] += 1
            self._refuse(Refusal(503, "too many connections are open; try again in a moment"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End; uvicorn tells it to the last request alone, and not to one that others wait for."""
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._active is not None and not self._active.response_complete:
            self._active.disconnected = True
            self._active.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and count what belongs to no body."""
        if self.transport.is_closing():
            return
        if self._arriving is None:
            self._arriving = time.monotonic()
        counted = self._in_head
        super().data_received(data)
        if counted and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head and not self.transport.is_closing():
                self._refuse(self._large_head())

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - of uvicorn
        """Answer what is not a request, or was refused while it was parsed."""
        self._refuse(self._refusal or Refusal(400, "this is not a valid HTTP request"))

    def pause_writing(self) -> None:
        """Called when the client reads more slowly than is written."""
        super().pause_writing()
        self._unread = time.monotonic()

    def resume_writing(self) -> None:
        """Called when the client has read most of what was written."""
        super().resume_writing()
        self._unread = None

    # What the parser calls ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._arriving = time.monotonic()
        self._in_head, self._head_bytes, self._headers_seen = True, 0, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, also one behind a body."""
        self._headers_seen += 1
        if self._headers_seen > self.limits.headers:
            most = self.limits.headers
            self._refusal = Refusal(431, f"the request has more than {most} headers")
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand over a request; httptools refuses one whose length is given in two ways."""
        self._in_head = False
        if len(self.pipeline) >= _AHEAD:
            self._refusal = Refusal(
                429, f"more than {_AHEAD} requests were sent before the first one was answered"
            )
            raise _Refused
        super().on_headers_complete()
        if not self.pipeline:
            self._active = self.cycle

    def on_message_complete(self) -> None:
        """End a request: the next one begins with its first byte."""
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0
        # If the answer went out before the end of the body, uvicorn's timer has been stopped.
        done = self.cycle is not None and self.cycle.response_complete
        self._arriving = time.monotonic() if done else None

    def on_response_complete(self) -> None:
        """Go on with the next request; nothing is read while others wait behind it."""
        if self.pipeline:
            self._active = self.pipeline[-1][0]
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    # Cutting off ----------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Cut the connection off if it is too slow."""
        if self.transport is None or self.transport.is_closing():
            return
        if self._unread is not None and now - self._unread > self.limits.arrival:
            self.metrics.refused["slow"] += 1
            self.transport.abort()
        elif self._arriving is not None and now - self._arriving > self.limits.arrival:
            self.metrics.refused["slow"] += 1
            seconds = f"{self.limits.arrival:g} s"
            self._refuse(Refusal(408, f"the request has not arrived within {seconds}"))

    def _large_head(self) -> Refusal:
        most = self.limits.head
        return Refusal(431, f"the request has more than {most:,} bytes before its body")

    def _refuse(self, refusal: Refusal) -> None:
        """Answer without the app, and close; answers to the requests before come first."""
        cycles = [cycle for cycle, _ in reversed(self.pipeline)]
        if self._active is not None and not self._active.response_complete:
            cycles.insert(0, self._active)
        broken = cycles.pop() if cycles and cycles[-1].more_body else None
        if cycles:
            if broken is not None:
                self.pipeline.popleft()
            cycles[-1].keep_alive = False
            self.flow.pause_reading()
            return
        if broken is None or not broken.response_started:
            self.transport.write(plain_response(refusal))
        self.transport.close()


def plain_response(refusal: Refusal) -> bytes:
    """Return a whole answer of HTTP that closes the connection."""
    body = json.dumps({"errors": list(refusal.lines)}).encode()
    head = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        head.append(f"retry-after: {RETRY_AFTER}")
    return "\r\n".join((*head, "", "")).encode("ascii") + body
