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
from typing import Annotated, ClassVar, Self

from annotated_types import Ge, Le
from pydantic import Field, Strict, model_validator

from gridcnn.caches import KEY
from gridcnn.engines.native.cache import key_of, object_cache
from gridcnn.engines.native.compiler import described
from gridcnn.engines.native.plan import Plan
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Arena, Program
from gridcnn.settings.base import Flag
from gridcnn.settings.content import Content

Floats = Annotated[int, Strict(), Ge(0), Le(2**40)]
"""A number of floats, or a place among them."""


class _ArenaContent(Content):
    title: ClassVar[str] = "memory"

    gap: Floats
    size: Floats
    parts: list[tuple[str, Floats, Floats]]

    @model_validator(mode="after")
    def _holds_its_parts(self) -> Self:
        if any(start + floats > self.size for _, start, floats in self.parts):
            raise ValueError("a part lies outside of it")
        return self


class _ProgramContent(Content):
    title: ClassVar[str] = "the program"

    length: Floats
    key: str = Field(pattern=f"^{KEY}$")
    phases: Floats
    workspace: _ArenaContent
    packed: _ArenaContent
    rows: Floats
    sums: _ArenaContent
    shard: Floats
    shared: Flag


def recipe(kind: str, plan: Plan, processor: Processor, gap: int) -> str | None:
    """Return the key of a kind of program for a plan; None where recipes cannot be told apart."""
    source = _source()
    if source is None:
        return None
    parts = [kind, str(gap), str(processor.lanes), str(processor.registers), str(processor.fma)]
    return key_of("recipe", source, *described(processor), *parts, *plan.ingredients())


def found(recipe: str | None) -> Program | None:
    """Return the program that was kept under a recipe, without its text; None where none was."""
    content = object_cache().get(recipe) if recipe else None
    if content is None:
        return None
    try:
        kept = _ProgramContent.read(json.loads(content)).model_dump()
    except (ValueError, RecursionError):  # as if there were none: it is made again, and kept
        return None
    for name in ("workspace", "packed", "sums"):
        kept[name] = Arena(**kept[name])
    return Program(text="", **kept)


def kept(recipe: str | None, program: Program) -> Program:
    """Keep a program under its recipe, and return it."""
    if recipe:
        content = asdict(program)
        del content["text"]
        object_cache().put(recipe, json.dumps(content).encode())
    return program


@functools.cache
def _source() -> str | None:
    """Return a digest of the code that emits programs; None where its files cannot be read."""
    digest = hashlib.sha256()
    try:
        files = sorted(Path(__file__).parent.rglob("*.py"))
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    except OSError:
        return None
    return digest.hexdigest() if files else None
