"""Servers that send anything at all: each ends in the right file, or in one line that says why."""

import contextlib
import gzip
import hashlib
import itertools
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridcnn.contracts.source import Request
from gridcnn.datasets.public import downloading, fetching
from gridcnn.datasets.public.catalogue import File
from gridcnn.datasets.public.messages import Sms
from gridcnn.errors import DataError

CONTENT = b"ham\tSee you at eight\nspam\tYou have WON\n" * 500
OK = b"HTTP/1.1 200 OK\r\n"
PEM = Path(__file__).parent / "localhost.pem"
NAME = "SMSSpamCollection"

Reply = bytes | Callable[[socket.socket], None]
"""What is sent, or what sends it."""


@dataclass
class Raw:
    """A server that sends bytes as they are, and then closes the connection."""

    root: str
    port: int
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, reply: Reply) -> str:
        self.replies[f"/{name}"] = reply
        return f"{self.root}/{name}"


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Raw]:
    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            wrapped = connection
            if context is not None:
                wrapped = context.wrap_socket(connection, server_side=True)
            with wrapped:
                head = b""
                while (
                    b"\r\n\r\n" not in head
                    and head[:1] != b"\x16"
                    and (piece := wrapped.recv(4096))
                ):
                    head += piece
                path = head.split(b" ", 2)[1].decode("latin-1") if b" " in head else ""
                raw.asked.append(path)
                reply = raw.replies.get(path, b"HTTP/1.1 404 Not Found\r\n\r\n")
                if callable(reply):
                    reply(wrapped)
                else:
                    wrapped.sendall(reply)

    def accept() -> None:
        while not raw.over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=answer, args=(connection,))
            threads.append(thread)
            thread.start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        raw = Raw(f"{'https' if context else 'http'}://127.0.0.1:{port}", port)
        threads: list[threading.Thread] = []
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield raw
        raw.over.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            pass
        accepting.join()
        for thread in threads:
            thread.join()


@pytest.fixture
def raw(direct: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Raw]:
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GRIDCNN_DATA", raising=False)
    with serving() as server:
        yield server


@pytest.fixture
def secure(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> Iterator[Raw]:
    """Return a server of https whose certificate is accepted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    with serving(context) as server:
        yield server


def folder() -> Path:
    kept = fetching.data_folder()
    assert kept is not None
    return kept / Sms.about.folder


def opened(*addresses: str) -> int:
    """Read the messages whose file lies at these addresses, and return how many there are."""
    file = File(NAME, addresses, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sms, "about", replace(Sms.about, parts=(file,)))
        return len(Sms(duplicates="keep").open(Request()))


def refused(*addresses: str) -> str:
    """Return the one line that says why messages could not be fetched; none are half there."""
    with pytest.raises(DataError) as caught:
        opened(*addresses)
    assert len(caught.value.problems) == 1
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 2_000
    assert not (folder() / NAME).exists()
    assert "cannot be written" not in text, "it is the network's fault, and not the disk's"
    reason, _, advice = text.partition("; put ")
    assert str(folder()) in advice
    return reason


def whole(*headers: bytes, content: bytes = CONTENT, status: bytes = OK) -> bytes:
    return status + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + content


def leading(to: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + to + b"\r\nContent-Length: 0\r\n\r\n"


# Lengths and ranges


@pytest.mark.parametrize(
    "length",
    [b"-5", b"-1", b"abc", b"1e6", b"", b"0x10", b"+5", b"5 5", b"\xd9\xa3", b"\xef\xbc\x95",
     b"9" * 5_000],
)  # fmt: skip
def test_a_length_that_is_no_number_is_ignored(raw: Raw, length: bytes) -> None:
    """Then the content ends with the connection, and the digest says whether it is whole."""
    good = raw.add("good", whole(b"Content-Length: " + length))
    short = raw.add("short", whole(b"Content-Length: " + length, content=CONTENT[:-1]))

    assert "is another file" in refused(short) or "broke off" in refused(short)
    with contextlib.suppress(DataError):  # where packages below refuse it, that is told, too
        assert opened(good) == 1_000


@pytest.mark.parametrize("length", [10**6, 10**17, 10**30])
def test_a_length_beyond_the_files_is_not_waited_for(raw: Raw, length: int) -> None:
    """Whatever is declared, nothing of that size is taken, and nobody waits for it."""
    address = raw.add("a", whole(b"Content-Length: %d" % length, content=b""))

    text = refused(address)

    assert f"is longer than the {len(CONTENT)} bytes" in text or "broke off" in text
    assert len(raw.asked) <= fetching.ATTEMPTS


def test_lengths_that_are_wrong_are_found_out(raw: Raw) -> None:
    small = raw.add("small", whole(b"Content-Length: 100"))
    large = raw.add("large", whole(b"Content-Length: %d" % len(CONTENT), content=CONTENT[:-9]))
    both = raw.add("both", whole(b"Content-Length: 5", b"Content-Length: 6"))

    assert "it has 100 bytes of SHA-256" in refused(small)
    assert "broke off" in refused(large)
    refused(both)


@pytest.mark.parametrize(
    "place",
    [b"", b"bytes", b"bytes 0-", b"bytes 1000", b"bytes -5-10/20", b"bytes 10-5/3", b"bytes */5",
     b"bytes 1000-" + b"9" * 5000, b"bytes " + b"9" * 5000 + b"-1/2", b"pages 1000-2000/3000",
     b"bytes 1e3-2/3", b"\xff\xfe", b"bytes 1001-2000/3000", b"bytes \xd9\xa3-1/2"],
)  # fmt: skip
def test_a_range_that_is_nonsense_spoils_nothing(raw: Raw, place: bytes) -> None:
    """What follows a part is the file's, or is thrown away."""
    folder().mkdir(parents=True)
    (folder() / f"{NAME}.part").write_bytes(CONTENT[:1000])
    head = whole(
        b"Content-Range: " + place, content=CONTENT[1000:], status=b"HTTP/1.1 206 Partial\r\n"
    )

    try:
        assert opened(raw.add("a", head)) == 1_000
    except DataError:
        refused(raw.add("a", head))


def test_a_part_that_was_not_asked_for_is_refused(raw: Raw) -> None:
    part = whole(content=CONTENT, status=b"HTTP/1.1 206 Partial\r\n")

    assert "answers with another part than requested, 4 times" in refused(raw.add("a", part))


def test_parts_that_come_and_go_end(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that brings much, and then says that it was for nothing, is given up as well."""
    monkeypatch.setattr(fetching, "WORTH", 1000)
    replies = [
        whole(b"Content-Length: %d" % len(CONTENT), content=CONTENT[:5000]),
        b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n",
    ]

    def reply(connection: socket.socket) -> None:
        connection.sendall(replies[(len(raw.asked) - 1) % 2])
        assert len(raw.asked) < 100

    refused(raw.add("a", reply))
    assert len(raw.asked) <= 10


# Chunks


def chunks(*parts: bytes) -> bytes:
    return whole(b"Transfer-Encoding: chunked", content=b"".join(parts))


def test_chunks_are_put_together(raw: Raw) -> None:
    size = b"%x\r\n" % len(CONTENT)
    assert opened(raw.add("a", chunks(size, CONTENT, b"\r\n0\r\n\r\n"))) == 1_000


@pytest.mark.parametrize(
    "parts",
    [
        (b"zz\r\n", CONTENT), (b"\r\n", CONTENT), (b"-5\r\n", CONTENT), (b"-1\r\n", CONTENT),
        (b"f" * 40 + b"\r\n", CONTENT), (b"5\r\nham\t",), (b"5\r\n",), (b"5",), (),
        (b"\xff\xff\r\n", CONTENT), (b"10;" + b"x" * 100_000 + b"\r\n", CONTENT),
        (b"3\r\nham\r\n0\r\n" + b"A: b\r\n" * 20_000,),
        (b"1;" + b"x" * 60_000 + b"\r\nh\r\n",) * 40,
    ],
    ids=["zz", "empty", "-5", "-1", "huge", "cut", "cut size", "cut line", "none", "not ASCII",
         "long line", "trailers", "extensions"],
)  # fmt: skip
def test_broken_chunks_are_told(raw: Raw, parts: tuple[bytes, ...]) -> None:
    text = refused(raw.add("a", chunks(*parts)))

    assert "broke off" in text or "is another file" in text


# Other addresses


@pytest.mark.parametrize(
    "to",
    [
        b"file:///etc/passwd", b"FILE:///etc/passwd", b"ftp://127.0.0.1/a", b"data:text/plain,ham",
        b"javascript:alert(1)", b"gopher://127.0.0.1:70/x", b"", b"   ", b"http://",
        b"http://127.0.0.1:99999/a", b"http://127.0.0.1:-5/a", b"http://127.0.0.1:0/a",
        b"http://127.0.0.1:port/a", b"http://[::1/a", b"http://[nonsense]/a", b"http:///a",
        b"http://:80/a", b"mailto:a@b", b"http:127.0.0.1", b"about:blank",
        b"http://\xe2\x84\x80.invalid/", b"http://\xff\xfe/a", b"http://a b/c", b"http://%00/",
    ],
)  # fmt: skip
def test_redirects_that_lead_out_of_the_web_are_not_followed(raw: Raw, to: bytes) -> None:
    text = refused(raw.add("a", leading(to)))

    assert "answers 302 Found" in text
    assert text.endswith(("which is not a web address", "but names no address"))
    assert len(raw.asked) == 1


@pytest.mark.parametrize(
    ("to", "message"),
    [
        (b"http://a..b/a", "cannot be reached"),
        (b"http://" + b"a" * 300 + b".invalid/", "cannot be reached"),
        (b"http://user:pass\xe9@127.0.0.1:1/a", "127.0.0.1:1 cannot be reached"),
        (b"/nothing here \xe2\x82\xac\xff", "answers 404 Not Found"),
        (b"/" + b"x" * 60_000, "answers 404 Not Found"),
        (b"http://*/", "cannot be reached"),
        (b"//", "redirects from one address to the next without end"),
    ],
)
def test_redirects_to_nonsense_are_told(raw: Raw, to: bytes, message: str) -> None:
    assert message in refused(raw.add("a", leading(to)))


@pytest.mark.parametrize(
    ("to", "name"),
    [(b"b", "b"), (b"../x/./b", "x/b"), (b"b c", "b%20c"), (b"/\xc3\xa9\xff", "%C3%A9%FF"),
     (b"?q=1#part", "a?q=1"), (b"  b  ", "b"), (b"b%20c", "b%20c")],
)  # fmt: skip
def test_relative_redirects_are_followed(raw: Raw, to: bytes, name: str) -> None:
    """Also those with spaces and other bytes in them, which stay what they are."""
    raw.add(name, whole())

    assert opened(raw.add("a", leading(to))) == 1_000
    assert raw.asked == ["/a", f"/{name}"]


def test_a_redirect_to_a_host_that_refuses_is_told(raw: Raw) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    to = b"http://127.0.0.1:%d/b" % port

    text = refused(raw.add("a", leading(to)))

    assert f"127.0.0.1:{port} cannot be reached" in text


def test_circles_of_redirects_end(raw: Raw) -> None:
    raw.add("b", leading(b"/a"))

    assert "from one address to the next without end" in refused(raw.add("a", leading(b"/b")))
    assert len(raw.asked) == downloading.REDIRECTS + 1


def test_the_content_of_a_redirect_is_not_read(raw: Raw) -> None:
    """It may be without an end."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
        with contextlib.suppress(OSError):
            while not raw.over.is_set():
                connection.sendall(bytes(2**16))

    raw.add("b", whole())
    assert opened(raw.add("a", reply)) == 1_000


def test_redirects_from_https_to_http_are_not_followed(raw: Raw, secure: Raw) -> None:
    """Whoever sits on the way could read and change what comes; to https they are followed."""
    raw.add("b", whole())
    secure.add("b", whole())

    assert opened(raw.add("to-https", leading(f"{secure.root}/b".encode()))) == 1_000
    (folder() / NAME).unlink()
    raw.asked.clear()
    text = refused(secure.add("to-http", leading(f"{raw.root}/b".encode())))

    assert f"'{raw.root}/b', but addresses from https to http are not followed" in text
    assert raw.asked == []


# Answers that are not HTTP


@pytest.mark.parametrize(
    "reply",
    [
        b"", b"\r\n", b"\r\n\r\n", b"nonsense", b"HTTP", b"HTTP/1.1", b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 99 Low\r\n\r\n", b"HTTP/1.1 1000 High\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 -200 OK\r\n\r\n", b"HTTP/1.1 200" + b"0" * 5000 + b" OK\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 300 Multiple Choices\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 404 \x1b[31mred\x07 \xff\r\n\r\n",
        b"HTTP/1.1 500 " + b"x" * 60_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", b"HTTP/1.1 200 OK\r\n: empty\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n continued\r\n\r\n", b"HTTP/1.1 200 OK\r\n\x00\xff: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: " + b";" * 60_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; expires=Xxx, 99-99-99999999999999 99:99:99\r\n\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest \xff\r\n\r\n",
    ],
)  # fmt: skip
def test_nonsense_is_told(raw: Raw, reply: bytes) -> None:
    refused(raw.add("a", reply))


def endless(start: bytes, again: bytes) -> Callable[[Raw], Reply]:
    """Return what sends `start`, and then `again` without an end."""

    def made(raw: Raw) -> Reply:
        def reply(connection: socket.socket) -> None:
            with contextlib.suppress(OSError):
                connection.sendall(start)
                while not raw.over.is_set():
                    connection.sendall(again)

        return reply

    return made


FLOODS = {
    "status": endless(b"HTTP/1.1 200 ", b"x" * 2**16),
    "no status": endless(b"", b"x" * 2**16),
    "header": endless(OK + b"A: ", b"x" * 2**16),
    "headers": endless(OK, b"Name: value\r\n" * 5000),
    "continue": endless(b"", b"HTTP/1.1 100 Continue\r\nA: %s\r\n\r\n" % (b"x" * 1000) * 50),
    "chunk size": endless(chunks(), b"0" * 2**16),
    "chunk extension": endless(chunks(b"5;"), b"x" * 2**16),
    "chunk of -1": endless(chunks(b"-1\r\n"), b"x" * 2**16),
    "trailers": endless(chunks(b"0\r\n"), b"Name: %s\r\n" % (b"x" * 1000) * 50),
    "trailer": endless(chunks(b"0\r\n"), b"x" * 2**16),
    "small chunks": endless(chunks(), b"1;%s\r\nh\r\n" % (b"x" * 1000) * 50),
    "content": endless(whole(content=b""), CONTENT),
    "redirect": endless(b"HTTP/1.1 302 Found\r\nLocation: /nothing\r\n\r\n", bytes(2**16)),
    "error": endless(b"HTTP/1.1 500 Error\r\n\r\n", bytes(2**16)),
    "packed": endless(whole(b"Content-Encoding: gzip", content=b""), gzip.compress(bytes(10**6))),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_what_has_no_end_takes_no_memory(raw: Raw, flood: Callable[[Raw], Reply]) -> None:
    """Each is given up after a few megabytes at the most, of which none is kept."""
    address = raw.add("a", flood(raw))
    refused(f"{raw.root}/nothing")  # so that what is imported does not count

    tracemalloc.start()
    try:
        refused(address)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 2**23


def test_ten_thousand_headers_are_refused(raw: Raw) -> None:
    flood = OK + b"".join(b"Name-%d: value\r\n" % number for number in range(10_000)) + b"\r\n"
    line = whole(b"Name: " + b"x" * 2**20)

    assert "cannot be reached" in refused(raw.add("a", flood))
    assert "cannot be reached" in refused(raw.add("b", line))


def slow_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[float]:
    """Let each read from a socket seem to take so many seconds, however long it takes."""
    clock = itertools.count(step=seconds)
    monkeypatch.setattr(downloading, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    return clock


@pytest.mark.parametrize(
    ("start", "step"),
    [
        (b"", b"x"), (b"HTTP/1.1 200 ", b"x"), (OK, b"x"), (whole(content=b""), b"h"),
        (chunks(), b"0"), (chunks(b"0\r\n"), b"A"), (chunks(), b"1\r\nh\r\n"),
    ],
    ids=["nothing", "status", "header", "content", "chunk size", "trailer", "chunks"],
)  # fmt: skip
def test_a_trickle_is_given_up(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, start: bytes, step: bytes
) -> None:
    """A byte now and then is not enough, wherever in an answer it comes."""
    slow_clock(monkeypatch, 2.0)

    def reply(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(start)
            while not raw.over.wait(0.002):
                connection.sendall(step)

    text = refused(raw.add("a", reply))

    assert "fewer than 3000 bytes arrived in 5 s" in text
    assert len(raw.asked) == fetching.ATTEMPTS


def test_what_comes_slowly_but_comes_is_taken(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """All the waiting together takes longer than any of it may."""
    clock = slow_clock(monkeypatch, 20.0)
    monkeypatch.setattr(downloading, "SLOWEST", 1)

    def reply(connection: socket.socket) -> None:
        connection.sendall(whole(b"Content-Length: %d" % len(CONTENT), content=b""))
        for start in range(0, len(CONTENT), 1000):
            connection.sendall(CONTENT[start : start + 1000])
            time.sleep(0.001)

    assert opened(raw.add("a", reply)) == 1_000
    assert len(raw.asked) == 1
    assert next(clock) > 2 * downloading.READ_TIMEOUT


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"gzip, gzip, gzip", b"br", b"x" * 5000])
def test_what_is_packed_unasked_stays_packed(raw: Raw, encoding: bytes) -> None:
    """A small answer can so not become a large one; a file that is right as it is, is taken."""
    bomb = gzip.compress(gzip.compress(bytes(10**7)))
    header = b"Content-Encoding: " + encoding

    text = refused(raw.add("bomb", whole(header, b"Content-Length: %d" % len(bomb), content=bomb)))
    assert "packed as" in text
    assert opened(raw.add("good", whole(header))) == 1_000


# TLS and proxies


def test_a_server_without_tls_is_told(raw: Raw) -> None:
    raw.add("a", whole())

    text = refused(f"{raw.root.replace('http', 'https')}/a")

    assert "cannot be reached" in text
    assert "certificate" not in text


def test_a_connection_that_is_closed_in_tls_is_told(
    raw: Raw, secure: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is made, and while content comes."""

    def cut(connection: socket.socket) -> None:
        connection.sendall(whole(b"Content-Length: %d" % len(CONTENT), content=CONTENT[:900]))
        socket.socket(fileno=connection.detach()).close()  # without a word of TLS

    assert "broke off" in refused(secure.add("a", cut))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        thread = threading.Thread(target=close, daemon=True)
        thread.start()
        text = refused(f"https://127.0.0.1:{listener.getsockname()[1]}/a")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert "broke off" in text or "cannot be reached" in text
    assert "certificate" not in text


def test_a_certificate_that_is_not_accepted_is_told(
    secure: Raw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert "its certificate is not accepted" in refused(secure.add("a", whole()))

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    assert "nothing.pem" in refused(f"{secure.root}/a")


@pytest.mark.parametrize(
    "proxy",
    ["foo", "http://", "http://:0", "://", "foo://bar", "http://127.0.0.1:99999", "http://[::1",
     "127.0.0.1:1", "http://user:secret@127.0.0.1:1", "http://a b", "http://" + "x" * 3000,
     "http://a:b:c"],
)  # fmt: skip
def test_a_proxy_that_is_nonsense_is_told(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """With the word proxy, so that the fault is looked for there; its password is not shown."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)

    text = refused(raw.add("a", whole()))

    assert "cannot be reached through the proxy '" in text
    assert "secret" not in text
    assert raw.asked == []


def test_a_socks_proxy_tells_what_it_needs(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")

    text = refused(raw.add("a", whole()))

    assert "pip install 'requests[socks]'" in text or "Connection refused" in text


# All at once


PARTS = st.sampled_from(
    [b"HTTP/1.1 ", b"200", b"206", b"302", b"416", b" OK", b"\r\n", b"\n", b"\r\n\r\n", b":", b"0",
     b"Content-Length: ", b"Content-Range: bytes ", b"Location: ", b"Transfer-Encoding: chunked",
     b"Content-Encoding: gzip", b"http://", b"//", b"/b", b"[", b"\x00", b"\xff", b"-1", b"99999",
     b"5\r\n", b"a" * 70_000, CONTENT, CONTENT[:1000], b"; ", b"=", b" "]
)  # fmt: skip
GOOD = whole(b"Content-Length: %d" % len(CONTENT))
MOVED = leading(b"/b")
CHUNKED = chunks(b"%x\r\n" % len(CONTENT), CONTENT, b"\r\n0\r\n\r\n")


@given(
    base=st.sampled_from([GOOD, MOVED, CHUNKED, b""]),
    changes=st.lists(
        st.tuples(st.integers(0, 120), st.integers(0, 9), PARTS | st.binary(max_size=4)), max_size=4
    ),
)
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_whatever_a_server_sends_ends_in_the_file_or_in_one_line(
    raw: Raw, base: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    reply = bytearray(base)
    for place, length, part in changes:
        reply[place : place + length] = part
    address = raw.add("a", bytes(reply))
    raw.add("b", GOOD)
    (folder() / NAME).unlink(missing_ok=True)
    (folder() / f"{NAME}.part").unlink(missing_ok=True)

    try:
        assert opened(address) == 1_000
        assert (folder() / NAME).read_bytes() == CONTENT
    except DataError:
        refused(address)
