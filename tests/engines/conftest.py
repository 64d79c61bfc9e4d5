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
