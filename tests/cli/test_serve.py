"""`gridcnn serve`: what is wrong is said before anything listens."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

from tests.cli.invoke import cli
from tests.serve.running import picture_model


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a model."""
    picture_model().save(tmp_path / "model.safetensors")
    return tmp_path


def refused(*arguments: Any, folder: Path) -> str:
    done = cli("serve", *arguments, folder=folder)
    assert done.exit_code == 2, done.output
    message: str = done.stderr
    assert message.count("\n") == 1
    return message


def test_models_must_be_there(place: Path) -> None:
    """And be models."""
    assert "nothing does not exist" in refused("nothing", folder=place)
    (place / "other").write_bytes(b"no model")
    assert "other" in refused("model.safetensors", "other", folder=place)


def test_names_of_models_differ(place: Path) -> None:
    """Each is that of its spec, or is given."""
    twice = refused("model.safetensors", "model.safetensors", folder=place)
    assert "two models are called 'pictures'; give one a name: NAME=model.safetensors" in twice
    odd = refused("a/b=model.safetensors", folder=place)
    assert "a model cannot be called 'a/b'" in odd


def test_the_port_must_be_free(place: Path) -> None:
    """The message says what to give instead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refused("model.safetensors", "--port", port, folder=place)

    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in message
    assert "give another --host or --port" in message
    assert "cannot listen on 203.0.113.7" in refused(
        "model.safetensors", "--host", "203.0.113.7", folder=place
    )


def test_tokens_can_be_sent(place: Path) -> None:
    """An empty one would let everybody in."""
    for token in ("", " ", "a\nb", "ä"):
        assert "--token must be" in refused("model.safetensors", "--token", token, folder=place)


def test_a_missing_package_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    message = refused("model.safetensors", folder=place)

    assert "python -m pip install 'gridcnn[serve]'" in message
