"""What all programs of a plan have in common: where everything lies, and the way forward.

`build_answers` makes the programs that answer, `build_training` those of a training step. All tasks
of a phase are done before the next one starts.

All memory is laid out here, and none is allocated while a program runs. A kernel takes what its
step needs besides the maps, see `kernels.base`.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gridcnn.engines.native.compiler import key_for
from gridcnn.engines.native.emitter import INT, PTR, Code, Module, Number, Value
from gridcnn.engines.native.kernels import cells
from gridcnn.engines.native.kernels.base import (
    Area,
    Ends,
    Frame,
    HeadKernel,
    Job,
    MapsKernel,
    MixingKernel,
    Scratch,
    Site,
    Space,
    Step,
)
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.phases import Arguments, Phases
from gridcnn.engines.native.plan import Plan
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Arena, Argument, Program

# It changes no bit of a result: see `kernels.base`.
_MOST_INLINE = 64  # parts that one function is made of, see `Builder._in_chunks`
_CHUNK = 32  # parts of a function, where there are more


class Builder:
    """Emits a program for a plan; one builder makes one program."""

    def __init__(self, plan: Plan, processor: Processor, *, gap: int = 0) -> None:
        self.plan = plan
        self.module = Module(processor)
        self.workspace, self.item, self.packed, self.sums = (Arena(gap) for _ in range(4))
        self.rows = Arena()
        self.phases = Phases(self.module)
        self.sites: list[Site] = []
        self.head: Site | None = None
        # Where the maps of each value lie in an item's memory, and their gradients in a thread's.
        self.maps: dict[int, int] = {}
        self.gradients: dict[int, int] = {}
        self.is_training = False
        self._functions = 0  # made for chunks so far

    # What all programs have

    def _finish(self, *, shard: int = 0, shared: bool = False) -> Program:
        self.phases.finish()
        for arena in (self.workspace, self.packed, self.sums):
            arena.close()
        text = str(self.module)
        return Program(
            text=text,
            length=len(text),
            key=key_for(text, self.module.processor),
            phases=len(self.phases),
            workspace=self.workspace,
            packed=self.packed,
            rows=self.rows.size,
            sums=self.sums,
            shard=shard,
            shared=shared,
        )

    def _lay_out(self, *, training: bool = False, together: int, parts: int = 1) -> None:
        """Find a place for everything, for at most `together` items of a shard.

        `parts` of a step may be done at the same time in one workspace.
        """
        plan, self.is_training = self.plan, training
        # In training an item's maps and winners are needed until its way back, after all items of
        # the shard went forward: each item has its own. Gradients are needed for one item at a
        # time, so that a thread has them once.
        item = self.item if training else self.workspace
        rows = Space(self.rows) if training else self._space_of_rows(together)
        spaces = {
            Area.ITEM: Space(item),
            Area.WORKSPACE: Space(self.workspace, parts),
            Area.PACKED: Space(self.packed),
            Area.SUMS: Space(self.sums),
            Area.ROWS: rows,
        }

        # Equal steps call the same functions: how long compiling takes depends on distinct steps.
        firsts: dict[tuple[Any, ...], int] = {}
        scratch = Scratch()

        def make_site(step: Step[Any], number: int | None = None) -> Site:
            like = None
            if number is not None:
                made_from = (step.kernel, step.learns, step.passes_on, tuple(step.slots))
                like = firsts.setdefault(made_from, number)
            return Site(
                *(step, number, self.module, spaces, scratch),
                training=training,
                together=together,
                like=like,
            )

        self._take_maps(item)
        factors = 0
        for number, step in enumerate(plan.steps):
            self.sites.append(make_site(step, number))
            self.sites[-1].factors_start = factors
            factors += step.kernel.factors
            step.kernel.lay_out(self.sites[-1])
        if training:
            self._take_gradients(self.item if plan.mixes_items else self.workspace)
        self.item.close()
        if training:
            self.items = self.workspace.take_many(self.item, together)
        if plan.head:
            self.head = make_site(plan.head)
            plan.head.kernel.lay_out(self.head)
        scratch.start = self.workspace.take("scratch", scratch.size)

    def _space_of_rows(self, together: int) -> Space:
        """Return where the rows of the head are in answers, for so many items."""
        return Space(self.workspace, together)

    def _take_maps(self, item: Arena) -> None:
        """Take memory for the maps of each value, in answers only as long as they are read.

        In training they are all needed on the way back.
        """
        plan = self.plan
        memory = _Reused(item, reuse=not self.is_training)
        self.maps[0] = memory.take(plan.start, "grid: maps")
        for number, step in enumerate(plan.steps):
            maps = plan.values[step.target]
            self.maps[step.target] = memory.take(maps, f"step {number + 1}: maps")
            for source in dict.fromkeys(step.sources):
                if plan.readers[source][-1] == number and source != plan.result:
                    memory.give_back(plan.values[source], self.maps[source])

    def _take_gradients(self, arena: Arena) -> None:
        """Take memory for the gradients by the maps, from their last reader to their maker.

        One item at a time goes back, so that a thread has them once; where items are mixed, all
        items of a shard go back together, and each has its own.
        """
        plan = self.plan
        memory = _Reused(arena, reuse=True)
        self.gradients[plan.result] = memory.take(plan.end, "gradient of the result")
        for number in range(len(plan.steps) - 1, -1, -1):
            step = plan.steps[number]
            for source in dict.fromkeys(step.sources):
                if source in self.gradients:
                    continue
                if self._is_replaced(source):
                    self.gradients[source] = self.maps[source]
                else:
                    label = f"gradient of value {source}"
                    self.gradients[source] = memory.take(plan.values[source], label)
            # Maps keep their own place: kernels that add to a gradient write into its border, and
            # that of maps stays 0 for the next step.
            if not self._is_replaced(step.target):
                memory.give_back(plan.values[step.target], self.gradients[step.target])

    def _is_replaced(self, source: int) -> bool:
        """Return whether the gradient of a value is written over its maps.

        Memory decides how fast the way back of a step with few operations for each cell is, and
        what was just read is near. Nothing else may need the maps by then: neither another step
        that reads them, nor the one that made them.
        """
        plan = self.plan
        if not plan.mixes_items or not source or len(plan.readers[source]) != 1:
            return False
        (reader,) = plan.readers[source]
        maker = plan.steps[source - 1]  # each step makes the value behind its own number
        return plan.steps[reader].kernel.replaces_source and not maker.kernel.reads_result

    def _pack(self) -> None:
        """Emit the phases that bring the parameters into the order of the kernels."""
        sites = self._all_sites
        folding = [(site, job) for site in sites for job in site.step.kernel.fold(site)]
        packing = [(site, job) for site in sites for job in site.step.kernel.pack(site)]
        self._add_packing("fold", folding)
        self._add_packing("pack", packing)

    def _add_packing(self, name: str, jobs: list[tuple[Site, Job]]) -> None:
        if not jobs:
            return
        total = sum(job.parts for _, job in jobs)
        # No tasks at all if the features are packed already (TO_PACK is 0): a model that only
        # answers packs them once, see `Call.is_packed`.
        self.phases.add(
            name,
            lambda arguments: arguments.number(Argument.TO_PACK) * total,
            lambda *task: self._choose(jobs, *task),
        )

    @property
    def _all_sites(self) -> list[Site]:
        return [*self.sites, self.head] if self.head else self.sites

    # Forward

    def _emit_forward(self) -> None:
        """Emit the functions of the forward pass."""
        plan, start = self.plan, self.plan.start
        if plan.one_hot:
            border, none = (start.left, start.right), plan.shape.rows
            cells.pack_indices(self.module, "pack_cells", border, start.columns, none)
        else:
            cells.pack(self.module, "pack_cells", start)
        if plan.wants_finite and not self.is_training:
            cells.check_finite(self.module, "check_cells", self._cells_in)
        for site in self._all_sites:
            if not site.emits:
                continue
            site.step.kernel.emit_forward(site)
            if self.is_training and isinstance(site.step.kernel, MixingKernel):
                site.step.kernel.emit_observe(site)
        scaled = bool(plan.head and plan.head.kernel.scales_input)
        cells.unpack(self.module, "unpack_cells", plan.end, scaled=scaled)

    @property
    def _cells_in(self) -> int:
        """Floats of one item as it is given."""
        return self.plan.start.columns if self.plan.one_hot else self.plan.shape.cells

    def _pack_cells(self, arguments: Arguments, item: Value, memory: Value) -> None:
        """Emit the packing of an item's grid; answers also look for cells that are not finite."""
        given = arguments.address(Argument.GRIDS, item * self._cells_in)
        if self.plan.wants_finite and not self.is_training:
            arguments.code.run("check_cells", given, arguments.address(Argument.ODD, item))
        arguments.code.run("pack_cells", given, arguments.code.at(memory, self.maps[0]))

    def _run_step(
        self,
        number: int,
        frame: Frame,
        memory: Value,
        part: tuple[Number, Number] | None = None,
    ) -> None:
        """Emit a step of one item: all of it, or a part."""
        step = self.plan.steps[number]
        step.kernel.run_forward(frame, self._ends(step, frame.code, memory, self.maps), part)

    def _step_of_item(
        self, number: int, arguments: Arguments, workspace: Value, memory: Value
    ) -> None:
        frame = Frame(self.sites[number], arguments, workspace, memory)
        self._run_step(number, frame, memory)

    @staticmethod
    def _ends(step: Step[MapsKernel], code: Code, memory: Value, places: Mapping[int, int]) -> Ends:
        """Return the addresses of what a step reads and writes, as its kernel sees them."""
        sources = tuple(
            code.at(memory, places[source] + start)
            for source, start in zip(step.sources, step.starts, strict=True)
        )
        return Ends(sources, code.at(memory, places[step.target]))

    def _forward_item(
        self, arguments: Arguments, item: Value, memory: Value, workspace: Value
    ) -> Value:
        """Emit all steps for one item; return where the last maps are."""
        self._pack_cells(arguments, item, memory)
        steps = [functools.partial(self._step_of_item, index) for index in range(len(self.sites))]
        self._in_chunks("steps", arguments, (workspace, memory), steps)
        return arguments.code.at(memory, self.maps[self.plan.result])

    def _head(self, arguments: Arguments, workspace: Value) -> tuple[HeadKernel, Frame] | None:
        """Return the head's kernel, and its memory as a task sees it; None without a head."""
        if self.plan.head is None or self.head is None:
            return None
        return self.plan.head.kernel, Frame(self.head, arguments, workspace)

    # Choices and chunks

    def _in_chunks(
        self,
        name: str,
        arguments: Arguments,
        values: Sequence[Value],
        emitters: Sequence[Callable[..., None]],
    ) -> None:
        """Emit one part after the other; many of them in functions of a few parts each.

        Each emitter gets the arguments and the values. Compiling a function takes longer than in
        proportion to its length, and one of a thousand steps is too much for LLVM's stack.
        """
        if len(emitters) <= _MOST_INLINE:
            for emit in emitters:
                emit(arguments, *values)
            return
        kinds = [value.kind for value in values]
        for number in range(0, len(emitters), _CHUNK):
            self._functions += 1
            chunk = f"{name}_chunk{self._functions}"
            with self.module.function(chunk, PTR, *kinds) as (code, (table, *inside)):
                for emit in emitters[number : number + _CHUNK]:
                    emit(Arguments(code, table), *inside)
            arguments.code.run(chunk, arguments.table, *values)

    def _choose(
        self,
        jobs: Sequence[tuple[Site, Job]],
        arguments: Arguments,
        workspace: Value,
        task: Value,
    ) -> None:
        """Emit a choice among jobs, which share the numbers of a phase's tasks."""
        code, start = arguments.code, 0
        if len(jobs) > _MOST_INLINE:
            self._choose_chunk(jobs, arguments, workspace, task)
            return
        for site, job in jobs:
            with code.when(_is_within(code, task, start, start + job.parts)):
                job.emit(Frame(site, arguments, workspace), task - start)
            start += job.parts

    def _choose_chunk(
        self,
        jobs: Sequence[tuple[Site, Job]],
        arguments: Arguments,
        workspace: Value,
        task: Value,
    ) -> None:
        """Emit a choice among many jobs: first among chunks, each with a function of its own."""
        code, start = arguments.code, 0
        for number in range(0, len(jobs), _CHUNK):
            part = jobs[number : number + _CHUNK]
            total = sum(job.parts for _, job in part)
            self._functions += 1
            name = f"jobs{self._functions}"
            with self.module.function(name, PTR, PTR, INT) as (inside, (table, memory, own)):
                self._choose(part, Arguments(inside, table), memory, own)
            with code.when(_is_within(code, task, start, start + total)):
                code.run(name, arguments.table, workspace, task - start)
            start += total


def _is_within(code: Code, task: Value, start: int, stop: int) -> Value:
    """Return whether the number of a task is from `start` up to, and not including, `stop`."""
    begins, ends = code.test("sge", task, start), code.test("slt", task, stop)
    return code.op("i1", f"and {begins}, {ends.name}")


def null(code: Code) -> Value:
    """Return the address of nothing."""
    return Value(code, PTR, "null")


def items_of(arguments: Arguments, task: Value) -> tuple[Value, Value]:
    """Return a shard's first item, and how many it has."""
    shard = arguments.number(Argument.SHARD)
    first = task * shard
    return first, arguments.code.value(
        arguments.code.least(shard, arguments.number(Argument.ITEMS) - first)
    )


class _Reused:
    """Memory for maps; some replace others that are no longer needed.

    Only maps that lie alike follow each other in one place: so the border of zeros stays where it
    is. Guards in tests (`Arena.gap`) stay between all places.
    """

    def __init__(self, arena: Arena, *, reuse: bool) -> None:
        self._arena = arena
        self._reuse = reuse
        self._free: dict[Maps, list[int]] = defaultdict(list)

    def take(self, maps: Maps, label: str) -> int:
        """Return where maps begin."""
        if self._free[maps]:
            return self._free[maps].pop()
        return self._arena.take(label, maps.size)

    def give_back(self, maps: Maps, place: int) -> None:
        """Free a place for other maps."""
        if self._reuse:
            self._free[maps].append(place)
