"""What all tests of engines share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gridcnn.cores import usable_cores


@pytest.fixture(scope="module", autouse=True)
def all_cores(cores: None) -> Iterator[None]:
    """Let engines have a thread for each core, as they have for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gridcnn.engines.native.engine.usable_cores", usable_cores)
        yield


@pytest.fixture(autouse=True)
def _has_package(request: pytest.FixtureRequest) -> None:
    """Skip the torch engine's tests where PyTorch is not installed."""
    call = getattr(request.node, "callspec", None)
    if call is not None and "torch" in [v for v in call.params.values() if isinstance(v, str)]:
        pytest.importorskip("torch", reason="PyTorch is not installed")
