"""Compiled networks are built into programs and libraries, and called."""

from __future__ import annotations

import ctypes
import itertools
import platform
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.export.compiled.compilation import Compilation, Compiled
from gridcnn.export.compiled.targets import find_target
from gridcnn.grid import Array
from gridcnn.network import Network

HERE = "x86_64-linux-gnu"
_GUARD = 64
"""Floats before and behind all memory that a function is given; it may not write there."""
_count = itertools.count()

needs_gcc = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux" or not shutil.which("gcc"),
    reason="a C compiler for x86-64 Linux is needed (Debian: gcc)",
)


def needs(*programs: str) -> pytest.MarkDecorator:
    """Return the mark of a test that runs programs which may not be there."""
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


class Answer(NamedTuple):
    """What a compiled function returned, and the votes that it wrote."""

    status: int
    votes: NDArray[np.float32]


class Library:
    """A compiled network in a shared library, called with guarded memory full of NaN."""

    def __init__(self, compiled: Compiled, folder: Path) -> None:
        self.compiled = compiled
        place = folder / f"{next(_count)}.so"
        place.with_suffix(".o").write_bytes(compiled.content)
        subprocess.run(
            ["gcc", "-shared", "-nostdlib", "-Wl,-z,defs", "-o", place, place.with_suffix(".o")],
            check=True,
        )
        self._run = ctypes.CDLL(str(place))[f"{compiled.name}_run"]
        self._weights = None
        if compiled.weights is not None:
            self._weights = np.frombuffer(compiled.weights, np.uint8).copy()

    def __call__(self, grid: Array) -> Answer:
        """Return the answer for one grid: float32 cells, or int32 indices."""
        kind = np.int32 if self.compiled.indices else np.float32
        classes = self.compiled.network.output.cells
        given = np.ascontiguousarray(grid, kind).ravel()
        votes, work = guarded(classes), guarded(self.compiled.work_bytes // 4)
        parts: list[Any] = [given, votes[_GUARD:], work[_GUARD:]]
        if self._weights is not None:
            parts.append(self._weights)
        status = self._run(*(ctypes.c_void_p(part.ctypes.data) for part in parts))
        for memory in (votes, work):
            edges = np.concatenate([memory[:_GUARD], memory[-_GUARD:]])
            assert (edges == -7).all(), "it wrote beyond its memory"
        return Answer(status, votes[_GUARD:-_GUARD])


def guarded(floats: int) -> NDArray[np.float32]:
    """Return memory full of NaN between guards."""
    memory = np.full(floats + 2 * _GUARD, np.nan, np.float32)
    memory[:_GUARD] = memory[-_GUARD:] = -7
    return memory


def compile_here(
    network: Network,
    parameters: Array,
    *,
    cpu: str | None = None,
    registers: int | None = None,
    **settings: Any,
) -> Compiled:
    """Return a network compiled for x86-64 Linux; for fewer `registers` than there are if given."""
    target = find_target(HERE, cpu)
    if registers is not None:
        target = replace(target, processor=replace(target.processor, registers=registers))
    return Compilation(network, parameters, target, **settings).compile()


def expected_votes(network: Network, logits: Array) -> Array:
    """Return the votes for logits `(items, classes, 1, 1)`."""
    assert network.head is not None
    return network.head.votes(logits.reshape(len(logits), -1))
