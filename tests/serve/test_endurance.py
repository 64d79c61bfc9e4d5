"""Many clients for a while, some of them broken: no lost answer, no growing memory."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from tests.serve.loops import in_a_loop
from tests.serve.running import Running, picture_model

pytest.importorskip("uvloop", reason="uvloop is not installed")
benchmark: Any = importlib.import_module("benchmarks.serving.__main__")
load: Any = importlib.import_module("benchmarks.serving.load")

pytestmark = pytest.mark.long
CLIENTS, SECONDS = 200, 12.0


def memory(server: Running) -> float:
    """Return the MB of a server, as its metrics tell."""
    text = httpx.get(f"{server.url}/metrics", timeout=60).text
    found = re.search(r"process_resident_memory_bytes (\d+)", text)
    if found is None:
        pytest.skip("this system does not tell the memory of a process")
    return int(found[1]) / 1e6


def test_many_clients_are_answered(server: Running, picture: Callable[..., bytes]) -> None:
    """Each picture gets its own votes, whatever else is sent."""
    pictures = [picture(seed) for seed in range(50)]
    expected = picture_model().votes(pictures)
    path = "/models/pictures/predict"
    requests = [load.post(path, each, "image/png") for each in pictures]

    def is_right(number: int, body: bytes) -> bool:
        votes = json.loads(body)["answers"][0]["votes"]
        return bool(np.allclose(list(votes.values()), expected[number], atol=2e-6))

    async def run(seconds: float) -> tuple[Any, int]:
        until = time.perf_counter() + seconds
        bad = [asyncio.create_task(benchmark.misbehave(server.port, until)) for _ in range(2)]
        outcome = await load.ask(
            *("127.0.0.1", server.port, requests),
            seconds=seconds,
            connections=CLIENTS,
            right=is_right,
        )
        return outcome, sum(await asyncio.gather(*bad))

    in_a_loop(run(3.0))  # until all that is kept is there
    before = memory(server)
    outcome, garbage = in_a_loop(run(SECONDS))

    assert set(outcome.statuses) == {200}
    assert outcome.statuses[200] > CLIENTS
    assert outcome.lost == outcome.wrong == 0
    assert garbage > 10
    assert memory(server) < before + 20
