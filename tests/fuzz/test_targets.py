"""Every target of the fuzzing: only gridcnn's own errors come out, whatever goes in.

The search itself (`make fuzz`) is led by what code an input reaches; here inputs are drawn blindly,
the same ones each time.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from fuzz.changes import Changes
from fuzz.target import Target, attempt
from fuzz.targets import targets

EVERY = targets()
FEW, MANY = 60, 20_000
AGAIN = 4
"""An input is changed so often, on average, before another seed is taken."""


def look(target: Target, count: int, seed: int, folder: Path) -> None:
    changes = Changes(Random(seed))
    seeds = list(target.seeds())
    for content in seeds:
        attempt(target, content, folder)
    content = seeds[0]
    for _ in range(count):
        if changes.one_in(AGAIN):
            content = changes.random.choice(seeds)
        content = target.change(content, changes)
        try:
            attempt(target, content, folder)
        except Exception:
            (folder / "input").write_bytes(content)
            print(f"python -m fuzz {target.name} {folder / 'input'}")
            raise


@pytest.mark.parametrize("name", EVERY)
def test_only_own_errors_come_out(name: str, tmp_path: Path) -> None:
    """Of a few inputs that are nearly right."""
    look(EVERY[name], FEW, 0, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", EVERY)
def test_only_own_errors_come_out_of_thousands(name: str, tmp_path: Path) -> None:
    """Others each time."""
    look(EVERY[name], MANY, Random().randrange(2**32), tmp_path)
