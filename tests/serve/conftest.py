"""Models of every kind, untrained, and real servers in processes of their own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.running import SECONDS, TOKEN, Make, Running, launch, made, picture_model, png

ROOT = Path(__file__).parents[2]
if (ROOT / "benchmarks").is_dir():
    # The test of many clients asks with the load program of the benchmark.
    sys.path.insert(0, str(ROOT))
else:
    collect_ignore = ["test_endurance.py"]

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")


@pytest.fixture(scope="session")
def start() -> Iterator[Make]:
    """Return what starts a server of some models: `start({name: path}, limits={}, access={})`."""
    started: list[Running] = []

    def run(models: dict[str, Path], **more: Any) -> Running:
        started.append(launch(models, **more))
        return started[-1]

    yield run
    for running in started:
        if running.process.poll() is None:
            running.signal(signal.SIGTERM)
    for running in started:
        running.end()
        assert running.wait() == 0, running.said
        assert not any("Traceback" in line for line in running.said), "".join(running.said)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model of each kind."""
    place = tmp_path_factory.mktemp("models")
    table = {"path": "rows.csv", "input": ["height", "width"], "label": "kind"}
    models = [
        picture_model(),
        made({"text": {"length": 12, "alphabet": "abcdefgh "}}, name="texts"),
        made(
            {"table": {"size": [1, 2], "means": [0.0, 1.0], "deviations": [1.0, 2.0]}},
            name="rows",
            data={"source": {"table": table}},
        ),
        made({"array": {"size": [2, 3], "channels": 1, "low": 0.0, "high": 1.0}}, name="arrays"),
        made({"audio": {"sample_rate": 8000, "duration": 0.1, "n_mels": 8}}, name="sounds"),
        made({"molecule": {"alphabet": ["C", "O"], "length": 6}}, name="molecules"),
    ]
    for model in models:
        assert model.spec.name is not None
        model.save(place / f"{model.spec.name}.safetensors")
    return place


@pytest.fixture(scope="session")
def models(folder: Path) -> dict[str, Path]:
    """Return the model files by the names that clients use."""
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


@pytest.fixture(scope="session")
def server(start: Make, models: dict[str, Path]) -> Running:
    """Return a server of a model of each kind; the first one takes arrays."""
    return start(models)


@pytest.fixture(scope="session")
def guarded(start: Make, models: dict[str, Path]) -> Running:
    """Return a server that asks for a token, and lets pages of one other site ask."""
    access = {"token": TOKEN, "origins": ["https://friend.example"]}
    return start({"pictures": models["pictures"]}, access=access)


@pytest.fixture(scope="session")
def client(server: Running) -> Iterator[httpx.Client]:
    """Return a client of this server, with connections that stay open."""
    with httpx.Client(base_url=server.url, timeout=SECONDS) as opened:
        yield opened


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Return the maker of picture files: `picture(seed, size)`."""
    return png
