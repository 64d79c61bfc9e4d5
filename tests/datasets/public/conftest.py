"""Fixtures for tests that fetch from servers on this machine."""

import sys
from pathlib import Path

import pytest

from gridcnn.datasets.public import downloading, fetching

sys.path.insert(0, str(Path(__file__).parents[3]))  # where the fuzzing is, whose archive is theirs


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow fetching, without a proxy, and without waiting long for anything."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("GRIDCNN_OFFLINE", raising=False)
    monkeypatch.setattr(fetching, "PAUSE", 0.0)
    monkeypatch.setattr(downloading, "READ_TIMEOUT", 5.0)
