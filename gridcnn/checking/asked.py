"""What `check` was asked beside the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridcnn.order.judge import Judging


@dataclass(frozen=True)
class Asked:
    """What `check` was given beside the data; see there."""

    y: Any
    header: bool | None
    encoding: str | None
    judging: Judging
