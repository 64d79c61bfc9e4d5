"""The arguments of `check` other than the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridcnn.progress import Advance


@dataclass(frozen=True)
class Asked:
    """The arguments of `check` other than the data; see there."""

    y: Any
    header: bool | None
    encoding: str | None
    chosen_seed: int | None
    advance: Advance | None

    @property
    def seed(self) -> int:
        """The seed for data that has no spec."""
        return self.chosen_seed or 0
