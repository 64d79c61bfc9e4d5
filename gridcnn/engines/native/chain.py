"""A chain of stages that all have kernels: its programs, its memory, and the calls of both."""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gridcnn.engines.native.compiler import compiled
from gridcnn.engines.native.plan import Plan, make_plan
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import (
    COUNTERS,
    ENTRY,
    MOST_TOGETHER,
    Arena,
    Builder,
    Program,
    Slot,
)
from gridcnn.engines.native.team import together
from gridcnn.grid import Array, GridShape
from gridcnn.network import Block

Floats = NDArray[np.float32]
_ALIGNED = 64  # bytes: a line of the cache, and the widest vector
_WORTH = 400_000  # multiply-adds that are worth waking another thread for
_SHARED = 1_500_000  # multiply-adds of one item that are worth being shared among threads


class Chain:
    """Stages that follow each other, bound to the processor.

    Args:
        blocks: the stages, in their places in a network.
        shape: the shape of the grids that go in.
        processor: what code is made for.
        one_hot: whether grids come as indices.
        wanted: whether training asks for the gradient of the grids.
        threads: the most threads that work at a time.
        gap: floats between all parts of the memory, which nothing may touch; for tests.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        shape: GridShape,
        processor: Processor,
        *,
        one_hot: bool,
        wanted: bool,
        threads: int,
        gap: int = 0,
    ) -> None:
        self.processor = processor
        self.threads = threads
        self.gap = gap
        self.cost = sum(block.multiply_adds for block in blocks)
        self.plan: Plan = make_plan(blocks, shape, processor, one_hot=one_hot, wanted=wanted)

    # What is compiled, when it is first needed

    @functools.cached_property
    def many(self) -> Call:
        """Answer many items."""
        return Call(self._builder().forward(), self.processor)

    @functools.cached_property
    def one(self) -> Call:
        """Answer one item, all threads together."""
        return Call(self._builder().single(), self.processor)

    @functools.cached_property
    def training(self) -> Call:
        """Take one training step."""
        return Call(self._builder().training(), self.processor)

    def _builder(self) -> Builder:
        return Builder(self.plan, self.processor, gap=self.gap)

    # What is called

    def forward(self, parameters: Floats, cells: Array) -> Floats:
        """Return what comes out for items, `(items, channels, rows, columns)`.

        `cells` are the grids, float32 in C order, or where the plan is for indices these, int32.
        """
        items = len(cells)
        out = np.empty((items, *self.plan.output.sizes), np.float32)
        if not items:
            return out
        work = items * self.cost
        threads = max(1, min(self.threads, work // _WORTH))
        if items == 1 and threads > 1 and self.cost >= _SHARED:
            call, shard, shards = self.one, 1, 2 * threads
        else:
            call = self.many
            shard = min(MOST_TOGETHER, -(-items // (2 * threads)))
            shards = -(-items // shard)
        call(
            parameters,
            {
                Slot.GRIDS: cells.ctypes.data,
                Slot.ITEMS: items,
                Slot.SHARD: shard,
                Slot.SHARDS: shards,
                Slot.OUTPUT: out.ctypes.data,
            },
            threads=min(threads, shards),
            keep=(cells, out),
        )
        return out

    def step(
        self,
        parameters: Floats,
        cells: Array,
        gradient: Floats,
        *,
        items: int,
        targets: NDArray[np.int64] | None = None,
        factors: Floats | None = None,
        flow: Floats | None = None,
        by_grids: Floats | None = None,
    ) -> Floats:
        """Fill in the gradient of a batch; return three floats for each item, see `voting.loss`.

        Args:
            parameters: the flat vector.
            cells: as for `forward`.
            gradient: the flat vector's gradient; the chain's own parts of it are written.
            items: how many items the mean is taken over, which may be more than these.
            targets: the right classes, where the chain ends in votes.
            factors: for each voting layer with dropout, a factor for each value that enters it.
            flow: the gradient of what comes out, where the chain does not end in votes.
            by_grids: is filled with the gradient of the grids, where that is wanted.
        """
        count, call = len(cells), self.training
        shards = -(-count // call.program.shard)
        results = np.empty((count, 3), np.float32)
        rows = call.scratch("rows", count * call.program.rows)
        sums = call.scratch("sums", shards * call.program.sums.size)
        work = 3 * count * self.cost
        given = {
            Slot.GRIDS: cells,
            Slot.OUTPUT: None,
            Slot.TARGETS: targets,
            Slot.FLOW: flow,
            Slot.ROWS: rows,
            Slot.SUMS: sums,
            Slot.GRADIENT: gradient,
            Slot.BY_GRIDS: by_grids,
            Slot.FACTORS: factors,
            Slot.RESULTS: results,
        }
        numbers = {slot: array.ctypes.data for slot, array in given.items() if array is not None}
        call(
            parameters,
            {
                **numbers,
                Slot.ITEMS: count,
                Slot.SHARD: call.program.shard,
                Slot.SHARDS: shards,
                Slot.FACTOR: int(np.array(1 / items, np.float32).view(np.uint32)),
            },
            threads=max(1, min(self.threads, work // _WORTH)),
            keep=tuple(given.values()),
        )
        return results


class Call:
    """A program in machine code, with the memory that it works in."""

    def __init__(self, program: Program, processor: Processor) -> None:
        self.program = program
        self._code = compiled(program.text, ENTRY, processor, arguments=3)
        self._packed = zeros(program.packed.size)
        self._packed_from: Array | None = None
        self._workspaces: list[Floats] = []
        self._scratch: dict[str, Floats] = {}

    def scratch(self, name: str, floats: int) -> Floats:
        """Return memory that holds anything, and is kept for the next call."""
        if name not in self._scratch or len(self._scratch[name]) < floats:
            self._scratch[name] = zeros(floats)
        return self._scratch[name]

    def workspace(self, number: int) -> Floats:
        """Return the memory of one thread."""
        while len(self._workspaces) <= number:
            self._workspaces.append(zeros(self.program.workspace.size))
        return self._workspaces[number]

    @property
    def memory(self) -> list[tuple[Arena, Floats]]:
        """How the memory is laid out, and the memory, for each thread and the packed features."""
        of_threads = [(self.program.workspace, each) for each in self._workspaces]
        return [*of_threads, (self.program.packed, self._packed)]

    def __call__(
        self,
        parameters: Floats,
        given: dict[Slot, int],
        *,
        threads: int,
        keep: tuple[object, ...],
        shared: bool = False,
    ) -> None:
        """Run the program, on several threads; `keep` is what must live until all have left."""
        table = np.zeros(len(Slot), np.int64)
        for slot, number in given.items():
            table[slot] = number
        table[Slot.PARAMETERS] = parameters.ctypes.data
        table[Slot.PACKED] = self._packed.ctypes.data
        table[Slot.TO_PACK] = not self._is_packed(parameters)
        table[Slot.STEP_BACK] = _step_back()
        counters = np.zeros(self.program.phases * COUNTERS, np.int64)
        function = self._code.call
        places = counters.ctypes.data, table.ctypes.data
        if threads == 1:
            function(*places, self.workspace(0).ctypes.data)
            return
        spaces = [self.workspace(0 if shared else number) for number in range(threads)]
        kept = (keep, counters, table, spaces, self)

        def job(number: int, kept: object = kept) -> None:  # noqa: ARG001
            function(*places, spaces[number].ctypes.data)

        together(job, threads)

    def _is_packed(self, parameters: Floats) -> bool:
        """Return whether these features were packed before, and cannot have changed since.

        So a model that only answers, whose vector is read-only, packs its features once.
        """
        if self._packed_from is parameters:
            return not parameters.flags.writeable
        fixed = not parameters.flags.writeable and parameters.base is None
        self._packed_from = parameters if fixed else None
        return False


def zeros(floats: int) -> Floats:
    """Return memory full of zeros that begins with a line of the cache."""
    room = np.zeros(floats * 4 + _ALIGNED, np.uint8)
    start = -room.ctypes.data % _ALIGNED
    return room[start : start + floats * 4].view(np.float32)


@functools.cache
def _step_back() -> int:
    """Return the address of the system's function that lets other threads go first, or 0."""
    try:
        if sys.platform == "win32":
            function = ctypes.WinDLL("kernel32").SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0
