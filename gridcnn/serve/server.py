"""The process: its socket, its signals, and uvicorn between both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import uvicorn

from gridcnn.errors import UserError, listed
from gridcnn.serve.app import Access, Server
from gridcnn.serve.limits import Limits
from gridcnn.serve.models import Models
from gridcnn.serve.protocol import Connection

Say = Callable[[str], None]
_BACKLOG = 2_048
"""Connections that the system keeps while this process is busy."""
_OWN_FILES = 64
"""Files that the process itself has open: its socket, libraries, models while they are loaded."""
_PATIENCE = 30.0
"""Seconds for requests that are being answered when the server is to end."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0: at any port that is free.

    Raises:
        UserError: that is not possible.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
            listening.setblocking(False)
        except BaseException:
            listening.close()
            raise
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot listen on {host}, port {port}: {reason}; give another --host or --port"
        ) from None
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the web address of a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(
    models: Models, listening: socket.socket, *, limits: Limits, access: Access, say: Say
) -> None:
    """Answer until a signal ends it: Ctrl-C or SIGTERM, after all that is being answered.

    SIGHUP loads all models again. `say` is called with a line for each thing that happens; the
    first says where it serves, as soon as it answers and obeys signals.
    """
    limits = replace(limits, connections=min(limits.connections, _most_connections()))
    app = Server(models, limits, access)

    class Limited(Connection):
        pass

    Limited.limits, Limited.metrics = limits, app.metrics
    config = uvicorn.Config(
        app,
        http=Limited,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=limits.idle,  # type: ignore[arg-type]
        timeout_graceful_shutdown=int(limits.deadline + _PATIENCE),
    )
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    ready = [f"serving {listed(models.names)} at {address_of(listening)}"]
    if not access.local and access.token is None:
        ready.append("anyone who can reach this address can use the server; --token restricts it")
    server = _Uvicorn(config, app, say, ready)
    server.run(sockets=[listening])


def _most_connections() -> int:
    """Return how many connections this process may have besides its own files."""
    try:
        import resource
    except ModuleNotFoundError:  # on Windows
        return sys.maxsize
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else max(1, most - _OWN_FILES)


class _Uvicorn(uvicorn.Server):
    """A server that ends in peace after a signal, and loads its models again after SIGHUP."""

    def __init__(self, config: uvicorn.Config, app: Server, say: Say, ready: Sequence[str]) -> None:
        super().__init__(config)
        self._app, self._say, self._ready = app, say, ready
        app.connections = self.server_state.connections
        self._reloading = threading.Lock()
        self._again = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals; unlike uvicorn's own, they are not raised again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with contextlib.ExitStack() as restoring:
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.signal(number, self.handle_exit)
                restoring.callback(signal.signal, number, before)
            if hasattr(signal, "SIGHUP"):
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
                restoring.callback(loop.remove_signal_handler, signal.SIGHUP)
            yield

    async def main_loop(self) -> None:
        """Print the line `serving ...`, and serve; signals are handled by now."""
        for line in self._ready:
            self._say(line)
        await super().main_loop()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Called by a signal that ends the server."""
        if not self.should_exit:
            self._say("stopping after the requests in progress")
        super().handle_exit(sig, frame)

    def _reload_soon(self) -> None:
        threading.Thread(target=self._reload, name="gridcnn-reload", daemon=True).start()

    def _reload(self) -> None:
        """Load all models again. A signal that comes meanwhile is obeyed once more, afterwards."""
        self._again = True
        if not self._reloading.acquire(blocking=False):
            return
        try:
            while self._again:
                self._again = False
                for name, error in self._app.models.reload().items():
                    self._app.metrics.reloads["failed" if error else "loaded"] += 1
                    self._say(
                        f"loaded {name} again"
                        if error is None
                        else f"{name} is unchanged: {error.problems[0]}"
                    )
        finally:
            self._reloading.release()
