"""One target under atheris, in a process of its own: `python -m fuzz.worker TARGET ...`.

A fault that raises is kept and told once, and the search goes on. What ends the process (a crash
of a library, no end, too much memory) is kept by libFuzzer.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from fuzz import faults

MEMORY = 2_500
"""Megabytes that the process may take."""
_DATA = 2_000_000_000
"""Bytes that gridcnn may take: it refuses what does not fit, as libFuzzer knows no mercy."""
_LONGEST = 2**20
"""Bytes of an input, at most."""


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_DATA, hard))


def main() -> None:
    """Search until the time is over; libFuzzer ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    for name in ("corpus", "faults", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--timeout", type=int, required=True)
    given = parser.parse_args()
    begin = time.monotonic()

    import atheris

    with atheris.instrument_imports(include=["gridcnn"]):
        from fuzz.changes import Changes
        from fuzz.target import attempt
        from fuzz.targets import targets

        target = targets()[given.target]
        for number, seed in enumerate(target.seeds()):
            (given.corpus / f"seed-{number}").write_bytes(seed)
    _limit_memory()
    known: set[str] = set()

    def read(content: bytes) -> None:
        try:
            attempt(target, content, given.work)
        except Exception as error:
            place = faults.place_of(error)
            if place not in known:
                known.add(place)
                path = faults.keep(content, target.name, given.faults)
                line = faults.how_to_repeat(target.name, path)
                print(f"{faults.describe(error)}\n  {line}", flush=True)

    def change(content: bytes, most: int, seed: int) -> bytes:
        def raw(part: bytes) -> bytes:
            changed: Any = atheris.Mutate(part, max(len(part) + 64, 2 * len(part)))
            return bytes(changed)

        return target.change(content, Changes(Random(seed), raw))[:most]

    options = {
        "max_total_time": max(1, given.seconds - round(time.monotonic() - begin)),
        "timeout": given.timeout,
        "rss_limit_mb": MEMORY,
        "max_len": _LONGEST,
        "len_control": 0,
        "print_final_stats": 1,
        "artifact_prefix": given.faults / f"{target.name}-",
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(given.corpus)], read, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
