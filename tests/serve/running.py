"""Servers in processes of their own, and what they answer with: models that were never trained."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gridcnn.contracts.adapter import Adapter
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.spec.load import load as load_spec

HERE = Path(__file__).parent
SECONDS = 60.0
"""The most that anything may take: this machine may do much else."""
TOKEN = "a secret"
Make = Callable[..., "Running"]


@dataclass
class Running:
    """A server that runs, and what it has said."""

    process: subprocess.Popen[str]
    port: int
    said: list[str] = field(default_factory=list)
    listener: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def exchange(self, request: bytes, *, end: bool = False) -> bytes:
        """Send bytes, and return all that comes until the server closes the connection."""
        with self.connect() as connection:
            connection.sendall(request)
            if end:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(SECONDS)

    def end(self) -> None:
        """Wait for the end, and for all that was said."""
        self.wait()
        assert self.listener is not None
        self.listener.join(SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Wait until the server has said a text so many times."""
        until = time.monotonic() + SECONDS
        while sum(text in line for line in self.said) < times:
            assert time.monotonic() < until, self.said
            time.sleep(0.02)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def launch(
    models: dict[str, Path],
    *,
    limits: dict[str, Any] | None = None,
    access: dict[str, Any] | None = None,
) -> Running:
    """Start a server of models by name, and return it once it listens."""
    command = [
        *(sys.executable, str(HERE / "process.py")),
        *(json.dumps(limits or {}), json.dumps(access or {})),
        *(f"{name}={path}" for name, path in models.items()),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if match := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            running = Running(process, int(match[1]), lines)
            running.listener = threading.Thread(target=_listen, args=(running,), daemon=True)
            running.listener.start()
            return running
    raise AssertionError("".join(lines))


def _listen(running: Running) -> None:
    assert running.process.stderr is not None
    running.said.extend(running.process.stderr)


def made(
    adapter: dict[str, Any], *, name: str, seed: int = 0, several: bool = False, **data: Any
) -> Model:
    spec = load_spec(
        {
            "name": name,
            "adapter": adapter,
            "stages": [{"convolution": {"filters": 3, "kernel_size": ["all", 1]}}]
            if {"text", "molecule"} & set(adapter)
            else [],
            "head": {"voting": {"hidden": [5], "labels": "several" if several else "one"}},
            "training": {"seed": seed},
            **data,
        }
    )
    assert isinstance(spec.adapter, Adapter)
    network = Network(spec, spec.adapter.shape(), classes=2)
    return Model(spec, ["yes", "no"], network.starting_parameters())


def picture_model(seed: int = 0) -> Model:
    return made({"image": {"size": [12, 12]}}, name="pictures", seed=seed)


def png(seed: int = 0, size: tuple[int, int] = (16, 16)) -> bytes:
    """Return a picture file."""
    pixels = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
