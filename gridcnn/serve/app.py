"""The application: routes, the token, origins, and bodies that are read within limits."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridcnn.cores import usable_cores
from gridcnn.errors import quoted
from gridcnn.serve import metrics, weight
from gridcnn.serve.lanes import Lane
from gridcnn.serve.limits import Limits
from gridcnn.serve.metrics import Metrics
from gridcnn.serve.models import Models, describe
from gridcnn.serve.openapi import openapi
from gridcnn.serve.page import page
from gridcnn.serve.refusals import RETRY_AFTER, Refusal, busy
from gridcnn.serve.served import Question, Reply, answer_together
from gridcnn.serve.shelf import Shelf
from gridcnn.version import VERSION

_HEALTH = "/health"
_OPEN = frozenset({_HEALTH, "/"})
"""Paths that need no token: they say nothing about models."""
_EXPLANATIONS = "/explanations/"
"""Explanations need none either: their names cannot be guessed."""
_LOOK = 0.25
"""Seconds between two looks at what waits too long."""
_PATHS = frozenset(
    {"/", "/predict", "/explain", "/model", "/models", "/health", "/metrics", "/openapi.json"}
)


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: what clients have to send as `Authorization: Bearer TOKEN`; None: nothing.
        origins: the web sites whose pages may send requests, such as `https://example.org`; `*`:
            all.
        host: the name or address at which the server listens, as it was given.
        local: whether only this machine reaches that address.
    """

    token: str | None = None
    origins: frozenset[str] = field(default_factory=frozenset)
    host: str = "127.0.0.1"
    local: bool = True


class Server:
    """All that requests share; the object itself is the ASGI application.

    Args:
        models: what is served.
        limits: what clients may take.
        access: who may ask.
    """

    def __init__(self, models: Models, limits: Limits, access: Access) -> None:
        self.models, self.limits, self.access = models, limits, access
        self.metrics = Metrics()
        self.connections: set[Any] = set()
        self.held = 0
        """Bytes of the bodies that are being read, or wait."""
        self._token = None if access.token is None else access.token.encode()
        own = [access.host, *(origin.partition("://")[2] for origin in access.origins)]
        self._names = {_name_of(name) for name in own}
        self._lanes: dict[bool, Lane] = {}
        self._explanations = Shelf()
        self._routes = self._starlette()

    def _starlette(self) -> Starlette:
        get = ["GET"]
        return Starlette(
            routes=[
                Route("/predict", _Predict(self), methods=["POST"]),
                Route("/models/{name}/predict", _Predict(self), methods=["POST"]),
                Route("/explain", self._explain, methods=["POST"]),
                Route("/models/{name}/explain", self._explain, methods=["POST"]),
                Route(f"{_EXPLANATIONS}{{key}}", self._explanation, methods=get),
                Route("/", self._page, methods=get),
                Route("/model", self._model, methods=get),
                Route("/models", self._list, methods=get),
                Route("/models/{name}", self._model, methods=get),
                Route("/health", self._health, methods=get),
                Route("/metrics", self._metrics, methods=get),
                Route("/openapi.json", self._openapi, methods=get),
            ],
            exception_handlers={Refusal: _refused, HTTPException: _no_such},
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        heavy = max(2, usable_cores())
        large = Lane(answer_together, loop, self.limits, threads=heavy, together=1)
        small = Lane(answer_together, loop, self.limits, beside=large)
        self._lanes = {True: large, False: small}
        watch = loop.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            for lane in self._lanes.values():
                await loop.run_in_executor(None, lane.end, 1.0)

    async def _watch(self) -> None:
        """Refuse what waits too long, and cut off what is too slow."""
        while True:
            await asyncio.sleep(_LOOK)
            for lane in self._lanes.values():
                self.metrics.refused["late"] += lane.refuse_late()
                while lane.batches:
                    self.metrics.batches.add(lane.batches.popleft())
            now = time.monotonic()
            for connection in tuple(self.connections):
                connection.look(now)

    # Every request --------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, if it may ask."""
        if scope["type"] != "http":
            await self._routes(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        origin = authorization = b""
        host = b""
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"authorization":
                authorization = value
            elif name == b"host":
                host = value

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self._more_headers(origin, status)]
            await send(message)

        try:
            refusal = self._refuse(scope, origin, host, authorization)
            app: ASGIApp = self._routes if refusal is None else refusal
            await app(scope, receive, send_counted)
        finally:
            self.metrics.seconds.add(time.perf_counter() - start)
            self.metrics.requests[_label(scope), status] += 1

    def _refuse(
        self, scope: Scope, origin: bytes, host: bytes, authorization: bytes
    ) -> Response | None:
        """Return the answer to a request that may not ask; None if it may."""
        path: str = scope["path"]
        if not self._is_own_name(origin, host) and path != _HEALTH:
            name = quoted(_name_of(_text(host)))
            return _errors(
                403,
                f"this server does not answer to the name {name}: use its own address, or start it "
                "with --token, or with --allow-origin and the web site of that name",
            )
        if origin and not self._may_ask(origin, host):
            return _errors(403, "pages of this origin may not send requests: see --allow-origin")
        if origin and scope["method"] == "OPTIONS":
            return Response(status_code=204)
        if self._token is None or path in _OPEN or path.startswith(_EXPLANATIONS):
            return None
        kind, _, given = authorization.partition(b" ")
        # Compared in a time that does not depend on how much of it is right.
        if kind.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
            return None
        return _errors(401, "this server needs a token: 'Authorization: Bearer TOKEN'")

    def _is_own_name(self, origin: bytes, host: bytes) -> bool:
        """Return whether a request without a token may call the server by this name.

        Any web site can let its own name lead to an address that only its visitors reach, this one
        for example, and its pages then are pages of this server to a browser (DNS rebinding). It
        cannot do so with addresses. A server for other machines has names that it does not know:
        only pages have to call it by one that it knows.
        """
        if self._token is not None or not host or "*" in self.access.origins:
            return True
        name = _name_of(_text(host))
        if name in self._names or is_loopback(name):
            return True
        return not self.access.local and (not origin or _is_address(name))

    def _may_ask(self, origin: bytes, host: bytes) -> bool:
        """Return whether the page of a browser may ask: our own, and those that are allowed."""
        text = origin.decode("latin-1")
        own = text.partition("://")[2].encode("latin-1") == host
        return own or text in self.access.origins or "*" in self.access.origins

    def _more_headers(self, origin: bytes, status: int) -> Iterator[tuple[bytes, bytes]]:
        yield b"x-content-type-options", b"nosniff"
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            yield b"retry-after", str(RETRY_AFTER).encode()
        if status == HTTPStatus.UNAUTHORIZED:
            yield b"www-authenticate", b"Bearer"
        text = origin.decode("latin-1")
        if origin and (text in self.access.origins or "*" in self.access.origins):
            yield b"access-control-allow-origin", origin
            yield b"access-control-allow-headers", b"authorization, content-type"
            yield b"access-control-allow-methods", b"GET, POST"
            yield b"vary", b"origin"

    # Predictions ----------------------------------------------------------------------------------

    async def predict(self, scope: Scope, receive: Receive, *, explain: bool = False) -> Reply:
        """Return the reply to a request for answers, or for an explanation.

        Raises:
            Refusal: it cannot be answered.
        """
        served = self.models.get(scope["path_params"].get("name"))
        content_type, length = "", None
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"content-length":
                length = int(value)
            elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                raise Refusal(415, "send the body as it is, without a Content-Encoding")
        with contextlib.ExitStack() as holding:
            body = await self._body(receive, length, holding)
            if not body:
                raise Refusal(422, "the request has no body; send the item in it")
            question = Question(served, body, content_type, explain)
            lane = self._lanes[explain or weight.is_heavy(body, content_type)]
            try:
                waiting = lane.put(question, served.name)
            except Refusal:
                self.metrics.refused["full"] += 1
                raise
            reply: Reply = await waiting
        self.metrics.items[served.name, "answered"] += reply.answered
        self.metrics.items[served.name, "failed"] += reply.failed
        return reply

    async def _body(
        self, receive: Receive, length: int | None, holding: contextlib.ExitStack
    ) -> bytes:
        """Return the body of a request; hold its room until `holding` ends."""
        if length is not None and length > self.limits.body:
            raise self._too_large()
        held = 0

        def hold(count: int) -> None:
            nonlocal held
            if self.held + count > self.limits.held:
                self.metrics.refused["full"] += 1
                raise busy("too many large requests are being read")
            self.held += count
            held += count

        def release() -> None:
            self.held -= held

        holding.callback(release)
        message = await receive()
        if message["type"] != "http.disconnect" and not message.get("more_body", False):
            body: bytes = message.get("body", b"")
            hold(max(0, len(body) - held))
            self._refuse_large(body)
            return body
        pieces: list[bytes] = []
        size = 0
        while message["type"] != "http.disconnect":
            piece = message.get("body", b"")
            size += len(piece)
            if size > self.limits.body:
                raise self._too_large()
            hold(max(0, size - held))
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)
            message = await receive()
        raise Refusal(400, "the request ends before its body is complete")

    def _refuse_large(self, body: bytes) -> None:
        if len(body) > self.limits.body:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        self.metrics.refused["large"] += 1
        return Refusal(
            413, f"the body has more than {self.limits.body:,} bytes; send fewer or smaller items"
        )

    async def _explain(self, request: Request) -> Response:
        reply = await self.predict(request.scope, request.receive, explain=True)
        key = self._explanations.put(reply.content)
        headers = {"content-location": f"{_EXPLANATIONS}{key}"}
        return Response(reply.content, media_type="text/html", headers=headers)

    async def _explanation(self, request: Request) -> Response:
        kept = self._explanations.get(request.path_params["key"])
        if kept is None:
            raise Refusal(404, "this explanation is no longer kept; explain the item again")
        return _html(kept, "'self'")

    async def _page(self, _: Request) -> Response:
        return _html(page().encode(), "'none'")

    # Everything else ------------------------------------------------------------------------------

    async def _model(self, request: Request) -> Response:
        return JSONResponse(describe(self.models.get(request.path_params.get("name"))))

    async def _list(self, _: Request) -> Response:
        return JSONResponse({"models": self.models.names})

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "version": VERSION})

    async def _metrics(self, _: Request) -> Response:
        gauges = {
            "waiting_requests": sum(lane.waiting for lane in self._lanes.values()),
            "held_bytes": self.held,
            "open_connections": len(self.connections),
        }
        models = [(served.name, VERSION) for served in self.models]
        text = self.metrics.text(gauges, models)
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(openapi(self.models, self.limits, token=self._token is not None))


class _Predict:
    """The endpoint of predictions, without what Starlette's own requests and responses cost."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._server.predict(scope, receive)
            status, content = reply.status, reply.content
        except Refusal as refusal:
            status = refusal.status
            content = json.dumps({"errors": list(refusal.lines)}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _text(header: bytes) -> str:
    return header.decode("latin-1")


def _name_of(host: str) -> str:
    """Return the name or address in a header Host, without its port, in lower case."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    # An address of IPv6 alone, as --host takes it, has several colons.
    return text.removesuffix(".") if text.count(":") > 1 else text.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    """Return whether a name is an address of IP."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(name: str) -> bool:
    """Return whether a name, or an address, is that of this machine for itself alone."""
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def _label(scope: Scope) -> str:
    """Return the path of a request as metrics have it: clients must not make up new ones."""
    path: str = scope["path"]
    if path in _PATHS:
        return path
    if path.startswith("/models/"):
        last = path.rpartition("/")[2]
        return f"/models/{{name}}/{last}" if last in ("predict", "explain") else "/models/{name}"
    if path.startswith(_EXPLANATIONS):
        return f"{_EXPLANATIONS}{{key}}"
    return "other"


def _html(content: bytes, frames: str) -> Response:
    """Return a page; `frames` are the pages in which it may be shown."""
    headers = {
        "content-security-policy": f"frame-ancestors {frames}",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return Response(content, media_type="text/html", headers=headers)


def _errors(status: int, *lines: str) -> Response:
    return JSONResponse({"errors": list(lines)}, status_code=status)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _errors(error.status, *error.lines)


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        line = f"{request.method} is not for this path; it takes {allowed}"
    else:
        line = "there is no such path; GET /openapi.json lists all paths"
    response = _errors(error.status_code, line)
    response.headers.update(error.headers or {})
    return response
