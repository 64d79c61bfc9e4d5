"""What `check` was asked beside the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridcnn.progress import Advance


@dataclass(frozen=True)
class Asked:
    """What `check` was given beside the data; see there."""

    y: Any
    header: bool | None
    encoding: str | None
    given_seed: int | None
    advance: Advance | None

    @property
    def seed(self) -> int:
        """The seed for data that has no spec."""
        return self.given_seed or 0
