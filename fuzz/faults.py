"""Faults: what came out of a target that should not have, each told once, with its input."""

from __future__ import annotations

import hashlib
import traceback
from pathlib import Path

_ROOMS = ("/gridcnn/", "/adapters/", "/datasets/", "/pipelines/")


def place_of(error: BaseException) -> str:
    """Return what tells a fault from others: the kind of error, and where in gridcnn it arose."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if any(room in frame.filename for room in _ROOMS)]
    last = (own or frames)[-1:]
    where = ", ".join(f"{'/'.join(Path(f.filename).parts[-2:])}:{f.lineno}" for f in last)
    return f"{type(error).__name__} in {where}"


def describe(error: BaseException) -> str:
    """Return a fault in one line."""
    reason = ascii(str(error))[1:-1][:200]
    return f"{place_of(error)}: {reason}"


def keep(content: bytes, target: str, folder: Path) -> Path:
    """Write the input of a fault to a file, and return its path."""
    path = folder / f"{target}-{hashlib.sha256(content).hexdigest()[:12]}"
    path.write_bytes(content)
    return path


def how_to_repeat(target: str, path: Path) -> str:
    """Return the line that lets a fault happen again."""
    return f"python -m fuzz {target} {path}"
