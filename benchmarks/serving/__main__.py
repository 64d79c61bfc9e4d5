"""The web server under load, beside the same model in ONNX Runtime behind the same web server.

    python -m benchmarks.serving [MODEL] [--rounds N] [--seconds S] [--endure S]

Pictures of X and O, 64 x 64 PNG, over connections that stay open, from one load program (uvloop,
`benchmarks/serving/load.py`) on the same machine. Both servers are asked in turn, so that what else
the machine does disturbs both. CPU seconds of an answer are those of the whole server process; they
depend least on what else runs. `--endure` sends from 200 clients, of which 1 % send garbage or
nothing, and looks at lost answers and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

import gridcnn
from benchmarks.machine import describe, load
from benchmarks.serving.load import Outcome, ask, post
from gridcnn.datasets.makers.made import write_files
from gridcnn.datasets.makers.xo import XO

HOST = "127.0.0.1"
_PEER_PORT = 8_769
_CLIENTS = 200
_GARBAGE = 0.01
_BAD = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf",
    b"GARBAGE\r\n\r\n",
    b"",
    post("/predict", b"no picture", "image/png"),
)


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    name: str
    process: subprocess.Popen[str]
    port: int

    def cpu(self) -> float:
        """Return the seconds of the processor that it has used."""
        content = Path(f"/proc/{self.process.pid}/stat").read_text("ascii")
        fields = content.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return the MB that it has in memory."""
        content = Path(f"/proc/{self.process.pid}/statm").read_text("ascii")
        return int(content.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def ours(model: Path) -> Iterator[Server]:
    """Run `gridcnn serve`."""
    command = [sys.executable, "-m", "gridcnn", "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r":(\d+)$", process.stderr.readline().strip())
        assert found is not None
        try:
            yield Server("gridcnn serve", process, int(found[1]))
        finally:
            process.terminate()


@contextlib.contextmanager
def peer(model: Path, folder: Path) -> Iterator[Server]:
    """Run ONNX Runtime behind Starlette and uvicorn."""
    network = folder / "network.onnx"
    export = [sys.executable, "-m", "gridcnn", "export", str(model), "--to", "onnx"]
    done = [*export, "--input", "grid", "-o", str(network)]
    subprocess.run(done, check=True, capture_output=True)
    command = [sys.executable, "-m", "benchmarks.serving.peer", str(model), str(network)]
    with subprocess.Popen([*command, str(_PEER_PORT)], text=True) as process:
        try:
            yield Server("ONNX Runtime", process, _PEER_PORT)
        finally:
            process.terminate()


async def wait_for(server: Server) -> None:
    """Wait until a server takes connections."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, server.port)
            writer.close()
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(server.name)


@dataclass(frozen=True)
class Pictures:
    """Requests, and the class of each."""

    requests: Sequence[bytes]
    labels: Sequence[str]

    @classmethod
    def made(cls, folder: Path) -> Pictures:
        """Make 256 pictures of 64 x 64 pixels."""
        write_files(XO(count=256, size=(64, 64)), folder)
        files = sorted(folder.rglob("*.png"))
        requests = [post("/predict", file.read_bytes(), "image/png") for file in files]
        return cls(requests, [file.parent.name for file in files])

    def right(self, number: int, body: bytes) -> bool:
        """Return whether an answer is the class of its picture."""
        return f'"answer": "{self.labels[number]}"'.replace(" ", "").encode() in body.replace(
            b" ", b""
        )


def measure(
    server: Server,
    pictures: Pictures,
    *,
    seconds: float,
    connections: int,
    rate: float | None = None,
) -> tuple[Outcome, float]:
    """Load a server; return the outcome, and the milliseconds of the processor for an answer."""
    before = server.cpu()
    outcome = uvloop.run(
        ask(
            HOST,
            server.port,
            pictures.requests,
            seconds=seconds,
            connections=connections,
            rate=rate,
            right=pictures.right,
        )
    )
    return outcome, 1_000 * (server.cpu() - before) / sum(outcome.statuses.values())


def tell(name: str, outcome: Outcome, cpu: float) -> str:
    """Return one line about some load."""
    return (
        f"{name:<15}{outcome.rate:>7,.0f}/s {cpu:>7.3f} ms of CPU each, latency median "
        f"{1_000 * outcome.latency(0.5):.1f} ms, 99 % {1_000 * outcome.latency(0.99):.1f} ms, "
        f"{dict(outcome.statuses)}, {outcome.lost} lost, {outcome.wrong} wrong"
    )


def compare(servers: Sequence[Server], pictures: Pictures, rounds: int, seconds: float) -> None:
    """Ask servers in turn, as fast as they answer and at half of that rate; print medians."""
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    costs: dict[str, list[float]] = {server.name: [] for server in servers}
    for number in range(rounds + 1):
        for server in servers:
            outcome, cpu = measure(server, pictures, seconds=seconds, connections=32)
            if number:  # the first round warms up
                rates[server.name].append(outcome.rate)
                costs[server.name].append(cpu)
                print(tell(server.name, outcome, cpu))
    for server in servers:
        rate = statistics.median(rates[server.name])
        cpu = statistics.median(costs[server.name])
        outcome, _ = measure(server, pictures, seconds=seconds, connections=32, rate=rate / 2)
        late = 1_000 * outcome.latency(0.99)
        print(f"{server.name}: {rate:,.0f} answers a second, {cpu:.3f} ms of CPU each (medians of "
              f"{rounds}); at half that rate, 99 % within {late:.1f} ms")  # fmt: skip
    if len(servers) > 1:
        first, second = (server.name for server in servers)
        faster = statistics.median(rates[first]) / statistics.median(rates[second])
        cheaper = statistics.median(costs[second]) / statistics.median(costs[first])
        print(f"{first} answers {faster:.2f} times as many, for {1 / cheaper:.2f} of the CPU time")


async def misbehave(port: int, until: float) -> int:
    """Send garbage or nothing, again and again; return how often."""
    count = 0
    while time.perf_counter() < until:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(_BAD[count % len(_BAD)])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(4_096), 0.5)
            writer.close()
        count += 1
        await asyncio.sleep(0.01)
    return count


async def _endure(server: Server, pictures: Pictures, seconds: float) -> tuple[Outcome, int]:
    bad = max(1, round(_GARBAGE * _CLIENTS))
    until = time.perf_counter() + seconds
    garbage = [asyncio.create_task(misbehave(server.port, until)) for _ in range(bad)]
    outcome = await ask(
        HOST,
        server.port,
        pictures.requests,
        seconds=seconds,
        connections=_CLIENTS - bad,
        right=pictures.right,
    )
    return outcome, sum(await asyncio.gather(*garbage))


def endure(server: Server, pictures: Pictures, seconds: float) -> None:
    """Ask from many clients for a while, in parts, and print the memory after each."""
    print(f"{_CLIENTS} clients, {_GARBAGE:.0%} of them sending garbage or nothing:")
    parts = 6
    for _ in range(parts):
        before = server.cpu()
        outcome, bad = uvloop.run(_endure(server, pictures, seconds / parts))
        cpu = 1_000 * (server.cpu() - before) / sum(outcome.statuses.values())
        print(tell("", outcome, cpu), f"{bad} of garbage; {server.memory():.1f} MB in memory")
        if server.process.poll() is not None:
            raise SystemExit("the server has ended")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("model", nargs="?", type=Path, help="a trained run of xo; else one is made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--endure", type=float, default=0.0, metavar="S")
    given = parser.parse_args()
    print(*(f"{name}: {value}" for name, value in describe().items()), sep="; ")
    print(f"threads that wanted to run in the last minute: {load()}")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        if given.model is None:
            gridcnn.run("xo", out=folder / "run")
        model = given.model or folder / "run"
        pictures = Pictures.made(folder / "pictures")
        servers = [running.enter_context(ours(model))]
        try:
            __import__("onnxruntime")
            servers.append(running.enter_context(peer(model, folder)))
        except ModuleNotFoundError:
            print("ONNX Runtime is not installed; there is nothing to compare with")
        for server in servers:
            uvloop.run(wait_for(server))
        if given.rounds:
            compare(servers, pictures, given.rounds, given.seconds)
        if given.endure:
            endure(servers[0], pictures, given.endure)


if __name__ == "__main__":
    main()
