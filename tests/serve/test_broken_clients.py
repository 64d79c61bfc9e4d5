"""Clients that send too slowly, too much, or no request are cut off, and harm nobody else."""

from __future__ import annotations

import contextlib
import importlib
import socket
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from gridcnn.serve.metrics import resident_bytes
from tests.serve.running import SECONDS, Make, Running, read_all

ARRIVAL = 1.0
BODY = 100_000


@pytest.fixture(scope="module")
def strict(start: Make, models: dict[str, Path]) -> Running:
    """Return a server that is quick to cut off."""
    limits = {"arrival": ARRIVAL, "idle": 1.0, "body": BODY, "held": 3 * BODY, "connections": 40}
    return start({"pictures": models["pictures"]}, limits=limits)


def head(*lines: str, method: str = "POST /predict") -> bytes:
    return "\r\n".join([f"{method} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode("latin-1")


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer[9:12])


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"hello\r\n\r\n",
        head("Content-Length: 3", "Content-Length: 4") + b"abc",
        head("Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head("Content-Length: -3"),
        head("Content-Length: 99999999999999999999999"),
        head("Content-Length: 0x10"),
        head("Bad Name: x"),
        head("Transfer-Encoding: chunked") + b"zz\r\n",
        b"\x00" * 1_000,
    ],
)
def test_what_is_no_request_is_refused(strict: Running, request_: bytes) -> None:
    """With 400, and the connection is closed."""
    assert status(strict.exchange(request_)) == 400


def test_many_headers_are_refused(strict: Running) -> None:
    """10,000 headers, or one that has no end, take no memory."""
    many = head(*(f"X-{n}: {n}" for n in range(10_000)))
    endless = b"GET /health HTTP/1.1\r\nX: " + b"a" * 1_000_000
    long = b"GET /" + b"a" * 1_000_000

    assert status(exchange_patiently(strict, many)) == 431
    assert status(exchange_patiently(strict, endless)) == 431
    assert status(exchange_patiently(strict, long)) == 431
    behind = head("Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n"
    trailers = b"".join(b"X-%d: 1\r\n" % n for n in range(10_000))
    assert status(exchange_patiently(strict, behind + trailers)) == 431


def exchange_patiently(server: Running, request: bytes) -> bytes:
    """Send a request piece by piece, to a server that may close the connection meanwhile."""
    with server.connect() as connection:
        received = b""
        for start in range(0, len(request), 8_192):
            try:
                connection.sendall(request[start : start + 8_192])
                time.sleep(0.001)
            except OSError:
                break
        try:
            received = read_all(connection)
        except ConnectionResetError:
            # The answer was sent, and thrown away with what the server did not read.
            received = b"HTTP/1.1 431 "
        return received


def test_slow_requests_are_cut_off(strict: Running) -> None:
    """Nothing, half a head, half a body, and a byte now and then: all within seconds."""
    begun = [
        b"",
        b"POST /pre",
        head("Content-Length: 10", "X: y")[:-2],
        head("Content-Length: 10") + b"abc",
        head("Transfer-Encoding: chunked") + b"5\r\nab",
    ]
    connections = [strict.connect() for _ in begun]
    dripping = strict.connect()

    for connection, request in zip(connections, begun, strict=True):
        connection.sendall(request)
    request = head("Content-Length: 1000") + b"x" * 1000
    with dripping:
        for byte in request:
            try:
                dripping.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
        else:
            pytest.fail("it was not cut off")
    for connection in connections:
        with connection:
            assert status(read_all(connection)) == 408


def test_half_requests_are_forgotten(strict: Running) -> None:
    """A client that goes in the middle of its request leaves nothing behind."""
    for request in (b"POST", head("Content-Length: 10"), head("Content-Length: 9") + b"half"):
        for _ in range(20):
            with strict.connect() as connection:
                connection.sendall(request)

    wait_until(lambda: gauge(strict, "held_bytes") == 0)
    wait_until(lambda: gauge(strict, "open_connections") == 1)


def gauge(server: Running, name: str) -> float:
    text = httpx.get(f"{server.url}/metrics").text
    return float(text.split(f"\ngridcnn_{name} ")[1].split("\n")[0])


def wait_until(done: Callable[[], bool], *, seconds: float = SECONDS) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_large_bodies_are_refused(strict: Running, picture: Callable[..., bytes]) -> None:
    """By their length if they tell it, else as soon as they are too large; the client goes on."""
    with httpx.Client(base_url=strict.url, timeout=30) as client:
        told = client.post("/predict", content=b"x" * (BODY + 1))
        pieces = client.post("/predict", content=iter([b"x" * 10_000] * 30))
        fits = client.post("/predict", content=picture())

    assert told.status_code == pieces.status_code == 413
    assert "more than 100,000 bytes" in told.json()["errors"][0]
    assert fits.status_code == 200


def test_bodies_together_have_a_bound(strict: Running) -> None:
    """What does not fit is told to come later."""
    holding = [strict.connect() for _ in range(3)]
    for connection in holding:
        connection.sendall(head(f"Content-Length: {BODY}") + bytes(BODY - 1))
    wait_until(lambda: gauge(strict, "held_bytes") >= 3 * BODY - 3)

    refused = httpx.post(f"{strict.url}/predict", content=b"x" * 100)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    for connection in holding:
        connection.close()
    wait_until(lambda: gauge(strict, "held_bytes") == 0)


def test_connections_have_a_bound(strict: Running) -> None:
    """One more is told so, and closed."""
    wait_until(lambda: gauge(strict, "open_connections") <= 1)
    opened = [strict.connect() for _ in range(40)]

    with strict.connect() as one_more:
        answer = read_all(one_more)

    assert status(answer) == 503
    assert b"retry-after: 1" in answer
    for connection in opened:
        connection.close()
    wait_until(lambda: gauge(strict, "open_connections") <= 1)


def test_requests_that_are_sent_at_once_are_answered_in_turn(
    strict: Running, picture: Callable[..., bytes]
) -> None:
    """Pipelined, with the last one damaged; and those of HTTP/1.0."""
    one = head(f"Content-Length: {len(picture())}") + picture()
    health = head(method="GET /health")

    answers = strict.exchange(one + health + one + b"garbage\r\n\r\n")

    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]][:3] == [b"200", b"200", b"200"]
    old = strict.exchange(b"GET /health HTTP/1.0\r\n\r\n")
    assert status(old) == 200
    assert old.endswith(b"}")


def test_a_client_may_ask_whether_to_send(strict: Running, picture: Callable[..., bytes]) -> None:
    """With `Expect: 100-continue`, as curl does for large bodies."""
    content = picture()
    with strict.connect() as connection:
        connection.sendall(head(f"Content-Length: {len(content)}", "Expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(content)
        assert status(connection.recv(1_000)) == 200


def read_one(connection: socket.socket) -> None:
    """Read the whole answer to a request for /health."""
    received = b""
    while not received.endswith(b"}"):
        received += connection.recv(1_000)
    assert status(received) == 200


def test_connections_without_requests_are_closed(strict: Running) -> None:
    """An answered client that sends nothing more; empty lines are nothing."""
    with strict.connect() as quiet, strict.connect() as lines:
        for connection in (quiet, lines):
            connection.sendall(head(method="GET /health"))
            read_one(connection)
        lines.sendall(b"\r\n")

        assert read_all(quiet) == b""
        read_all(lines)


def test_a_client_that_reads_nothing_is_cut_off(strict: Running) -> None:
    """Its answers do not fill the memory."""
    with strict.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(0.5)
        stuffed = send_until_refused(connection, head(method="GET /openapi.json"))
        wait_until(lambda: gauge(strict, "open_connections") <= 1)

    assert stuffed < 50_000_000


def send_until_refused(connection: socket.socket, request: bytes) -> int:
    """Send a request again and again until nothing more is taken; return how many bytes were."""
    sent = 0
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            sent += connection.send(request)
    except OSError:  # it is reset, or nothing was taken for a while
        return sent
    pytest.fail("it was not cut off")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a part of a PNG file."""
    length, check = len(content), zlib.crc32(kind + content)
    return struct.pack(">I", length) + kind + content + struct.pack(">I", check)


def test_bombs_are_refused(strict: Running) -> None:
    """A picture of few bytes with too many pixels is not decoded."""
    size = struct.pack(">IIBBBBB", 5_000, 5_000, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + data + chunk(b"IEND", b"")

    answer = httpx.post(f"{strict.url}/predict", content=bomb)

    assert answer.status_code == 422
    assert "25,000,000 pixels" in answer.json()["errors"][0]


def test_resident_memory_is_known() -> None:
    """On Linux; elsewhere the metric is left out."""
    memory = resident_bytes()
    assert memory is None or memory > 1_000_000


def test_clients_that_go_before_their_answers_leave_nothing(
    strict: Running, picture: Callable[..., bytes]
) -> None:
    """Also if they sent several requests at once; the log of the server stays empty."""
    one = head(f"Content-Length: {len(picture())}") + picture()
    for _ in range(20):
        with strict.connect() as connection:
            connection.sendall(one * 5)

    wait_until(lambda: gauge(strict, "held_bytes") == 0)
    assert len(strict.said) == 1


@pytest.mark.long
def test_changed_requests_do_no_harm(strict: Running, picture: Callable[..., bytes]) -> None:
    """Thousands of requests that are nearly right: all others are answered, the log is empty."""
    changes_of: Any = importlib.import_module("fuzz.changes").Changes
    random = Random(0)
    changes = changes_of(random)
    body = picture()
    sized = head(f"Content-Length: {len(body)}") + body
    chunked = head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    upgrade = head("Upgrade: websocket", "Connection: upgrade", method="GET /model")
    seeds = (head(method="GET /health"), sized, chunked, upgrade, head(method="OPTIONS *"))

    for number in range(3_000):
        request = random.choice(seeds)
        for _ in range(random.randrange(4)):
            request = changes.raw(request)
        with contextlib.suppress(OSError), strict.connect() as connection:
            connection.settimeout(0.02)
            connection.sendall(request * random.choice((1, 1, 3)))
            connection.recv(1_000)
        if number % 500 == 0:
            assert httpx.post(f"{strict.url}/predict", content=body, timeout=60).is_success

    wait_until(lambda: gauge(strict, "held_bytes") == 0)
    assert len(strict.said) == 1
