"""Programs that were made before are found again by what they were made from.

To emit a program takes longer than to load its machine code. So the cache keeps under a recipe, all
that a program's text follows from, how its memory is laid out, and the key of its object code.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gridcnn.caches import is_key
from gridcnn.engines.native.cache import key_of, object_cache
from gridcnn.engines.native.compiler import describe_processor
from gridcnn.engines.native.plan import Plan
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Arena, Program

_MOST = 2**40
"""More floats than any program has."""


def recipe(kind: str, plan: Plan, processor: Processor, gap: int) -> str | None:
    """Return the key of a kind of program for a plan; None if recipes would be ambiguous."""
    source = _source()
    if source is None:
        return None
    parts = [kind, str(gap), str(processor.lanes), str(processor.registers), str(processor.fma)]
    return key_of("recipe", source, *describe_processor(processor), *parts, *plan.ingredients())


def find(recipe: str | None) -> Program | None:
    """Return the program that was kept under a recipe, without its text; None if none was."""
    content = object_cache().get(recipe) if recipe else None
    if content is None:
        return None
    try:
        return _program(json.loads(content))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # it makes no sense: as if there were none


def _program(kept: Any) -> Program:
    """Return the program that JSON describes.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it describes none.
    """
    # By hand, since an answer waits for it, and classes of settings take longer to make than this.
    arenas: dict[str, Any] = {
        name: _arena(kept.pop(name)) for name in ("workspace", "packed", "sums")
    }
    for name in ("length", "phases", "rows", "shard"):
        _check_number(kept[name])
    if not is_key(kept["key"]) or type(kept["shared"]) is not bool:
        raise ValueError("a program has a key, and is shared or not")
    return Program(text="", **arenas, **kept)


def _arena(kept: Any) -> Arena:
    parts = [(str(name), start, floats) for name, start, floats in kept["parts"]]
    numbers = [number for _, *places in parts for number in places]
    for number in (kept["gap"], kept["size"], *numbers):
        _check_number(number)
    if any(start + floats > kept["size"] for _, start, floats in parts):
        raise ValueError("a part lies outside of the memory")
    return Arena(kept["gap"], kept["size"], parts)


def _check_number(number: Any) -> None:
    if type(number) is not int or not 0 <= number < _MOST:
        raise ValueError("this is not a number of floats")


def keep(recipe: str | None, program: Program) -> Program:
    """Keep a program under its recipe, and return it."""
    if recipe:
        content = asdict(program)
        del content["text"]
        object_cache().put(recipe, json.dumps(content).encode())
    return program


@functools.cache
def _source() -> str | None:
    """Return a digest of the code that emits programs; None if its files cannot be read."""
    digest = hashlib.sha256()
    try:
        files = sorted(Path(__file__).parent.rglob("*.py"))
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    except OSError:
        return None
    return digest.hexdigest() if files else None
