"""Signals: SIGHUP loads models again, SIGTERM ends; neither drops a request."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.serve.running import SECONDS, Make, Running, picture_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
CLIENTS = 8


@pytest.fixture
def own(start: Make, tmp_path: Path) -> Running:
    """Return a server of a model whose file a test may replace."""
    picture_model().save(tmp_path / "model.safetensors")
    return start({"pictures": tmp_path / "model.safetensors"})


@contextlib.contextmanager
def asking(server: Running, body: bytes) -> Iterator[tuple[list[int], list[str]]]:
    """Ask again and again from several clients; yield statuses and answers as they come."""
    statuses: list[int] = []
    votes: list[str] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
            while not done.is_set():
                answer = client.post("/predict", content=body)
                statuses.append(answer.status_code)
                votes.append(answer.text)

    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            yield statuses, votes
        finally:
            done.set()
        for each in asked:
            each.result()


def wait_for_more(found: list[int], count: int) -> None:
    """Wait until so many more answers have come."""
    until = time.monotonic() + SECONDS
    stop = len(found) + count
    while len(found) < stop:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_model_is_loaded_again_while_it_answers(
    own: Running, tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    """No request is dropped, and from then on the new model answers.

    If its file is damaged, the model that was there goes on, and a line says why.
    """
    one = picture()
    old = httpx.post(f"{own.url}/predict", content=one).text

    with asking(own, one) as (statuses, votes):
        for turn in range(1, 4):
            wait_for_more(statuses, 30)
            picture_model(seed=turn).save(tmp_path / "model.safetensors")
            own.signal(signal.SIGHUP)
            own.wait_for("loaded pictures again", times=turn)
        wait_for_more(statuses, 30)

    assert set(statuses) == {200}
    assert votes[0] == old
    new = picture_model(seed=3).votes([one])[0].tolist()
    answer = httpx.post(f"{own.url}/predict", content=one).json()["answers"][0]
    assert list(answer["votes"].values()) == pytest.approx(new, abs=2e-6)
    assert len(set(votes)) == 4

    before = httpx.post(f"{own.url}/predict", content=one).json()
    (tmp_path / "model.safetensors").write_bytes(b"damaged")

    own.signal(signal.SIGHUP)
    own.wait_for("pictures is unchanged: ")

    assert httpx.post(f"{own.url}/predict", content=one).json() == before
    assert 'gridcnn_reloads_total{result="failed"} 1' in httpx.get(f"{own.url}/metrics").text


def wait_until_held(server: Running, size: int) -> None:
    """Wait until a server has so many bytes of bodies."""
    until = time.monotonic() + SECONDS
    while f"\ngridcnn_held_bytes {size}\n" not in httpx.get(f"{server.url}/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_until_deaf(server: Running) -> None:
    """Wait until a server takes no connections any more."""
    with contextlib.suppress(httpx.TransportError):
        while True:
            httpx.get(f"{server.url}/health", timeout=SECONDS)


def test_requests_in_flight_are_answered_at_the_end(
    own: Running, picture: Callable[..., bytes]
) -> None:
    """A request whose body is still coming is read to its end; the exit code is 0."""
    content = picture()
    request = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(
        content
    )
    with own.connect() as slow:
        slow.sendall(request + content[:50])
        wait_until_held(own, 50)
        own.signal(signal.SIGTERM)
        own.wait_for("stopping")
        wait_until_deaf(own)
        slow.sendall(content[50:])
        answer = b""
        while piece := slow.recv(4096):
            answer += piece

    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"votes"' in answer
    assert own.wait() == 0
    own.wait_for("ended")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_obeyed_from_the_first_line_on(tmp_path: Path, number: int) -> None:
    """Whoever starts the command waits for this line alone."""
    picture_model().save(tmp_path / "model.safetensors")
    command = [sys.executable, "-m", "gridcnn", "serve", "model.safetensors", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(number)
        rest = process.stderr.read()

    assert process.returncode == 0
    assert rest.splitlines() == ["stopping after the requests in progress", "ended"]


def test_the_command_serves(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    """From the first line to the last, and says where."""
    picture_model().save(tmp_path / "model.safetensors")
    command = [sys.executable, "-m", "gridcnn", "serve", "model.safetensors", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        url = line.split()[-1]

        answer = httpx.post(f"{url}/models/pictures/predict", content=picture(), timeout=SECONDS)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    assert line.startswith("serving pictures at http://127.0.0.1:")
    assert answer.status_code == 200
    assert process.returncode == 0
    assert rest.splitlines() == ["stopping after the requests in progress", "ended"]
