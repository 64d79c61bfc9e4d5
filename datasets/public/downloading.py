"""Asking a server for a file, and reading its answer, which may be anything.

A server may send what is not HTTP, endless lines and redirects, lengths that are not numbers, or
one byte now and then for ever. All of that ends in a `FetchError` or a `BrokenError` of a few
words, and no more memory is used than for one piece and one line.

requests does the asking, with these limits put around what it reads:

    socket -> _Wire (how much, how fast) -> _Lines (how long a line) -> http.client -> requests
"""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import ssl
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from gridcnn.datasets.public.fetching import BrokenError, FetchError
from gridcnn.errors import printable, quoted

CONNECT_TIMEOUT = 10.0
"""Seconds that a server may take to answer at all."""
READ_TIMEOUT = 30.0
"""Seconds that may pass without a byte, and in which `SLOWEST` bytes must come."""
SLOWEST = 3_000
"""Bytes that must come within `READ_TIMEOUT` seconds of waiting: a slow telephone line's pace."""
REDIRECTS = 20
"""How often in a row a server may name another address; browsers follow as many."""

_PIECE = 2**16
"""Bytes that are read, and kept in memory, at a time."""
_LINE = 2**16
"""Bytes of the longest line of an answer, as in `http.client`."""
_FRAME = 2**20
"""Bytes of an answer that may come besides the content: headers, and the sizes of chunks."""
_ONWARD = (301, 302, 303, 307, 308)
_TEXT = 200
"""Characters of the longest piece of an answer that a message repeats."""

_allowed: ContextVar[int] = ContextVar("allowed")
"""How many bytes the answer that is being read may have in all."""


class Answer:
    """A server's answer; the content is not read before it is needed.

    Attributes:
        url: the address that was asked in the end.
        host: the name of the server, as a message repeats it.
        status: a number of HTTP: 200 for the whole content, 206 for the part that was asked for.
        start: the place of the first byte of the content in the file; None if that is not known.
        length: how many bytes the server says that it sends; None if it does not say so.
        packing: how the content is compressed, against the request; an empty string if it is not.
    """

    def __init__(self, response: requests.Response, url: str) -> None:
        self._response = response
        self.url = url
        self.host = _brief(urlsplit(url).netloc)
        self.status = response.status_code
        headers = response.headers
        part = re.match(r"bytes (\d{1,18})-", headers.get("Content-Range", ""), re.ASCII)
        whole = None if self.status == 206 else 0
        self.start = int(part[1]) if part and self.status == 206 else whole
        length = headers.get("Content-Length", "").strip()
        self.length = int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
        self.packing = _brief(headers.get("Content-Encoding", ""))

    def __str__(self) -> str:
        """Return its first line in words."""
        return f"answers {self.status} {_brief(self._response.reason or '')}".rstrip()

    def pieces(self) -> Iterator[bytes]:
        """Yield the content as it comes; compressed content stays compressed.

        Unpacking is not needed, as a packed answer is never asked for, and would let a small answer
        take any amount of memory.

        Raises:
            BrokenError: the connection broke off, or what comes is not HTTP.
        """
        try:
            yield from self._response.raw.stream(_PIECE, decode_content=False)
        except MemoryError:
            raise
        except Exception as error:  # see `_get`
            raise BrokenError(f"broke off ({_reason(error)})") from None


@contextlib.contextmanager
def ask(url: str, *, have: int, most: int) -> Iterator[Answer]:
    """Request an address, from the byte at `have` on, and yield the server's answer.

    Redirects are followed only to http and https, and never from https to http: others on the way
    could then read and change the content.

    Args:
        url: where the file is.
        have: how many bytes there are already.
        most: how many bytes the file may have.

    Raises:
        FetchError: the server cannot be reached, or what it says cannot be followed.
        BrokenError: the connection broke off before there was an answer.
    """
    token = _allowed.set(2 * most + _FRAME)
    first = urlsplit(url).netloc
    try:
        with _Session() as session:
            for _ in range(REDIRECTS + 1):
                with _get(session, url, have) as response:
                    if response.status_code not in _ONWARD:
                        yield Answer(response, url)
                        return
                    url = _onward(Answer(response, url), response.headers.get("Location", ""))
        raise FetchError(f"{first} redirects from one address to the next without end")
    finally:
        _allowed.reset(token)


def _get(session: requests.Session, url: str, have: int) -> requests.Response:
    headers = {"Accept-Encoding": "identity", "User-Agent": "gridcnn"}
    if have:
        headers["Range"] = f"bytes={have}-"
    timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
    try:
        return session.get(
            url, headers=headers, stream=True, timeout=timeout, allow_redirects=False
        )
    except MemoryError:
        raise
    except Exception as error:
        # No list of what requests and the packages below it raise would be whole: hostile answers
        # cause errors of Unicode and of numbers, too.
        if _stood(error):
            raise BrokenError(f"broke off ({_reason(error)})") from None
        host = _brief(urlsplit(url).netloc)
        raise FetchError(f"{host} cannot be reached{_through(url)} ({_reason(error)})") from None


def _onward(answer: Answer, location: str) -> str:
    """Return the address that an answer leads to.

    Raises:
        FetchError: it is not an address of the web, or leads from https to http.
    """
    # Headers come as Latin-1, whatever they are: this writes the bytes that are no part of an
    # address as `%20`, and leaves all others as they are.
    raw = location.encode("latin-1", "replace").strip()
    target = quote(raw, safe="!#$%&'()*+,/:;=?@[]~")
    if not target:
        raise FetchError(f"{answer.host} {answer}, but names no address")
    named = quoted(raw.decode("utf-8", "backslashreplace"), limit=_TEXT)
    reason = f"{answer.host} {answer} and names {named}"
    try:
        address = target if urlsplit(target).scheme else urljoin(answer.url, target)
        url = urldefrag(address).url
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port beyond 65535, brackets that are left open
        host, port = None, None
    if not host or "%" in host or port == 0 or parts.scheme not in ("http", "https"):
        raise FetchError(f"{reason}, which is not a web address")
    if parts.scheme == "http" and urlsplit(answer.url).scheme == "https":
        raise FetchError(f"{reason}, but addresses from https to http are not followed")
    return url


# The limits around what is read


class _Wire(io.RawIOBase):
    """Reads from a socket, and fails if too much comes, or too slowly."""

    def __init__(self, raw: io.RawIOBase, left: int) -> None:
        self._raw = raw
        self._left = left
        self._waited, self._came = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        # Only the time of waiting counts: what is done in between may take long, too.
        before = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited += time.monotonic() - before
        self._came += count or 0
        self._left -= count or 0
        if self._left < 0:
            raise _FloodError("it sends more than the file can have")
        if self._waited >= READ_TIMEOUT:
            if self._came < SLOWEST:
                raise _SlowError
            self._waited, self._came = 0.0, 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """Reads lines of a limited length, and only as many bytes as are named."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if size is not None and 0 <= size <= _LINE + 1:
            return super().readline(size)
        line = super().readline(_LINE + 1)
        if len(line) > _LINE:
            raise http.client.LineTooLong("chunk")
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _PIECE:  # a chunk of -1 bytes would be all that comes
            raise _FloodError("an impossible length")
        return super().read(size)


class _FloodError(http.client.HTTPException):
    """More comes than an answer can need."""


class _SlowError(TimeoutError):
    """Too little comes in too long a time."""


class _Response(http.client.HTTPResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = _Lines(_Wire(self.fp.detach(), _allowed.get()))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


class _Session(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, _: requests.Response) -> None:
        """Return None: else requests would read the whole answer before a redirect."""


# What is said


def _brief(text: str) -> str:
    """Return a text of a server as a message repeats it: one line, and not long."""
    return printable(text[:_TEXT])


def _stood(error: Exception) -> bool:
    """Return whether a connection was made before it failed, without an answer."""
    cut = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
    return isinstance(error, requests.ReadTimeout) or any(
        isinstance(each, cut) for each in _causes(error)
    )


def _through(url: str) -> str:
    """Return which proxy is asked for an address, if there is one, without its password."""
    try:
        proxy = select_proxy(url, get_environ_proxies(url))
    except Exception:  # see `_get`
        return " through the proxy of the environment"
    return (
        f" through the proxy {quoted(proxy.rpartition('@')[2])} of the environment" if proxy else ""
    )


def _reason(error: Exception) -> str:
    """Return why a connection failed, in a few words."""
    causes = list(_causes(error))
    for kind, words in (
        (ssl.SSLCertVerificationError, "its certificate is not accepted"),
        (requests.ConnectTimeout, f"no answer within {CONNECT_TIMEOUT:g} s"),
        (_SlowError, f"fewer than {SLOWEST} bytes arrived in {READ_TIMEOUT:g} s"),
        (TimeoutError, f"nothing arrived for {READ_TIMEOUT:g} s"),
    ):
        if any(isinstance(each, kind) for each in causes):
            return words
    for cause in reversed(causes):
        # Those of requests are of the system's kind, too, but have long texts and no such reason.
        if isinstance(cause, OSError) and (cause.strerror or type(cause) is OSError):
            return _brief(cause.strerror or str(cause))
    closed = (http.client.RemoteDisconnected, http.client.IncompleteRead)
    if any(isinstance(each, closed) for each in causes):
        return "the connection was closed"
    if any(
        isinstance(each, requests.exceptions.InvalidSchema) and "SOCKS" in str(each)
        for each in causes
    ):
        return "a SOCKS proxy needs a package: pip install 'requests[socks]'"
    unusable = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError)
    if any(isinstance(each, unusable) for each in causes):
        return "this is not a valid address"
    return "the answer is cut off, or is not HTTP"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came from: requests and urllib3 hide those in many ways."""
    waiting: list[Any] = [error]
    ids: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in ids:
            ids.add(id(each))
            yield each
            more = [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
            waiting += more
