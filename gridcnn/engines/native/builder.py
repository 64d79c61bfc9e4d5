"""Programs are built: a plan as one function of code, for answers or for a training step.

The three programs, and their phases. All tasks of a phase are done before the next one starts.

    forward    pack -> shard                                      many items are answered
    single     pack -> first -> step 0, 1, ... -> last -> votes   one item, shared among threads
    training   pack -> shard -> reduce                            the gradient of a batch

The memory of a training step, in floats; each part begins with a line of the cache:

    packed      features of step 1 | its bias | features for its way back | step 2 ...  once
    workspace   gradients of maps | lists | points of tiles | item 0 | item 1 | ...     each thread
      item      grid | maps of step 1 | its winners | maps of step 2 | winners ...      each item
    sums        gradient of step 1's features | of its bias | step 2 ...                each shard
    rows        values of the head's layers | their gradients                           each item

Programs that only answer have no sums; a workspace holds one item's maps, and the rows of a shard.
All memory is laid out here, and none is allocated while a program runs. What a step needs beside
its maps is taken by its kernel, see `kernels.base`.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    Site,
    Space,
    Step,
)
from gridcnn.engines.native.phases import Arguments, Phases, Task
from gridcnn.engines.native.plan import Plan
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import MOST_TOGETHER, Arena, Program, Slot

# It changes no bit of a result: see `kernels.base`.
_MOST_PARTS = 16  # of one step that are done at the same time, for a single item


class Builder:
    """Emits the programs for a plan; one builder makes one program."""

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
        rows = Space(self.rows) if training else Space(self.workspace, together)
        spaces = {
            Area.ITEM: Space(item),
            Area.WORKSPACE: Space(self.workspace, parts),
            Area.PACKED: Space(self.packed),
            Area.SUMS: Space(self.sums),
            Area.ROWS: rows,
        }

        def make_site(step: Step[Any], number: int | None = None) -> Site:
            return Site(step, number, self.module, spaces, training=training, together=together)

        self._take_maps(item, 0, "grid")
        for number, step in enumerate(plan.steps):
            self._take_maps(item, step.target, f"step {number + 1}")
            self.sites.append(make_site(step, number))
            step.kernel.lay_out(self.sites[-1])
        self.item.close()
        if training:
            self.items = self.workspace.take_many(self.item, together)
        if plan.head:
            self.head = make_site(plan.head)
            plan.head.kernel.lay_out(self.head)

    def _take_maps(self, item: Arena, value: int, label: str) -> None:
        size = self.plan.values[value].size
        self.maps[value] = item.take(f"{label}: maps", size)
        if self.is_training:
            self.gradients[value] = self.workspace.take(f"{label}: gradient", size)

    def _pack(self) -> None:
        """Emit the phase that brings the parameters into the order of the kernels."""
        jobs = [(site, job) for site in self._all_sites for job in site.step.kernel.pack(site)]
        if not jobs:
            return
        total = sum(job.parts for _, job in jobs)
        # No tasks at all if the features are packed already (TO_PACK is 0): a model that only
        # answers packs them once, see `Call.is_packed`.
        self.phases.add(
            "pack", lambda arguments: arguments.number(Slot.TO_PACK) * total, _choose(jobs)
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
            site.step.kernel.emit_forward(site)
        scaled = bool(plan.head and plan.head.kernel.scales_input)
        cells.unpack(self.module, "unpack_cells", plan.end, scaled=scaled)

    @property
    def _cells_in(self) -> int:
        """Floats of one item as it is given."""
        return self.plan.start.columns if self.plan.one_hot else self.plan.shape.cells

    def _pack_cells(self, arguments: Arguments, item: Value, memory: Value) -> None:
        """Emit the packing of an item's grid; answers also look for cells that are not finite."""
        given = arguments.address(Slot.GRIDS, item * self._cells_in)
        if self.plan.wants_finite and not self.is_training:
            arguments.code.run("check_cells", given, arguments.address(Slot.ODD, item))
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
        sources = tuple(frame.code.at(memory, self.maps[source]) for source in step.sources)
        maps = Ends(sources, frame.code.at(memory, self.maps[step.target]))
        step.kernel.run_forward(frame, maps, part)

    def _forward_item(
        self, arguments: Arguments, item: Value, memory: Value, workspace: Value
    ) -> Value:
        """Emit all steps for one item; return where the last maps are."""
        self._pack_cells(arguments, item, memory)
        for number, site in enumerate(self.sites):
            self._run_step(number, Frame(site, arguments, workspace, memory), memory)
        return arguments.code.at(memory, self.maps[self.plan.result])

    def forward(self) -> Program:
        """Return the program that answers many items: votes, or maps where there is no head."""
        plan = self.plan
        self._lay_out(together=MOST_TOGETHER)
        self._pack()
        self._emit_forward()

        def shard(arguments: Arguments, workspace: Value, task: Value) -> None:
            code, head = arguments.code, self._head(arguments, workspace)
            first, count = _items(arguments, task)
            # The maps of one item after the other take the same memory; only what votes is kept for
            # all items, since the head reads its weights once for several items.
            with code.loop(count) as number:
                item = first + number
                last = self._forward_item(arguments, item, workspace, workspace)
                if head:
                    kernel, frame = head
                    target = kernel.entry(frame, number, item)
                else:
                    target = arguments.address(Slot.OUTPUT, item * plan.output.cells)
                code.run("unpack_cells", last, target, _null(code))
            if head:
                kernel, frame = head
                kernel.run_forward(frame, first, count)

        self.phases.add("shard", lambda arguments: arguments.number(Slot.SHARDS), shard)
        return self._finish()

    def _head(self, arguments: Arguments, workspace: Value) -> tuple[HeadKernel, Frame] | None:
        """Return the head's kernel, and its memory as a task sees it; None without a head."""
        if self.plan.head is None or self.head is None:
            return None
        return self.plan.head.kernel, Frame(self.head, arguments, workspace)

    def single(self) -> Program:
        """Return the program that answers one item, whose rows are shared among the threads.

        All threads have the same workspace. What one phase writes, the next one reads.
        """
        plan = self.plan
        self._lay_out(together=1, parts=_MOST_PARTS)
        self._pack()
        self._emit_forward()

        def first(arguments: Arguments, workspace: Value, task: Value) -> None:
            self._pack_cells(arguments, task, workspace)

        self.phases.add("first", lambda _: 1, first)
        for number in range(len(plan.steps)):
            self._single_step(number)

        def last(arguments: Arguments, workspace: Value, task: Value) -> None:  # noqa: ARG001
            code, head = arguments.code, self._head(arguments, workspace)
            source = code.at(workspace, self.maps[plan.result])
            target = head[0].entry(head[1], 0, 0) if head else arguments.address(Slot.OUTPUT)
            code.run("unpack_cells", source, target, _null(code))

        self.phases.add("last", lambda _: 1, last)
        if plan.head:
            for layer, height in enumerate(plan.head.kernel.parts):
                self._single_layer(layer, height)
        return self._finish(shared=True)

    def _single_step(self, number: int) -> None:
        height = self.plan.steps[number].kernel.parts(self.module.processor)

        def task(arguments: Arguments, workspace: Value, task: Value) -> None:
            part = _part(arguments, task, height)
            frame = Frame(self.sites[number], arguments, workspace, workspace, part=task)
            self._run_step(number, frame, workspace, part)

        self.phases.add(f"step{number}", lambda arguments: _parts(arguments, height), task)

    def _single_layer(self, layer: int, height: int) -> None:
        def task(arguments: Arguments, workspace: Value, task: Value) -> None:
            head = self._head(arguments, workspace)
            assert head is not None
            head[0].run_part(head[1], layer, _part(arguments, task, height))

        self.phases.add(f"votes{layer}", lambda arguments: _parts(arguments, height), task)

    # Training

    def training(self) -> Program:
        """Return the program of a training step: forward, and back.

        Without a head, the gradient of the output is given.
        """
        plan = self.plan
        self._lay_out(training=True, together=plan.shard)
        self._pack()
        self._emit_forward()
        self._emit_backward()
        self.phases.add("shard", lambda arguments: arguments.number(Slot.SHARDS), self._shard)
        self._reduce()
        return self._finish(shard=plan.shard)

    def _emit_backward(self) -> None:
        """Emit the functions of the backward pass."""
        plan = self.plan
        cells.pack(self.module, "pack_flow", plan.end)
        if plan.wanted:
            cells.unpack(self.module, "unpack_flow", plan.start, scaled=False)
        for site in self._all_sites:
            if site.step.learns or site.step.passes_on:
                site.step.kernel.emit_backward(site)

    def _shard(self, arguments: Arguments, workspace: Value, task: Value) -> None:
        """Emit a shard of a training step."""
        code, head = arguments.code, self._head(arguments, workspace)
        first, count = _items(arguments, task)
        sums = arguments.address(Slot.SUMS, task * (self.sums.size + self.sums.gap))
        # The kernels add to the sums, which still hold those of the step before.
        for _, place, floats in self.sums.parts:
            code.zero(code.at(sums, place), floats)
        # All items forward, then the head for all of them, then all items back: so the head reads
        # its weights once for several items.
        with code.loop(count) as number:
            item = first + number
            memory = code.at(workspace, number * self.item.size + self.items)
            last = self._forward_item(arguments, item, memory, workspace)
            if head:
                kernel, frame = head
                target = kernel.entry(frame, number, item)
                code.run("unpack_cells", last, target, kernel.entry_factors(frame, item))
        if head:
            kernel, frame = head
            kernel.run_step(frame, first, count)
        with code.loop(count) as number:
            memory = code.at(workspace, number * self.item.size + self.items)
            self._back_item(arguments, workspace, memory, number, first + number, sums)
            if self.plan.wanted:
                source = code.at(workspace, self.gradients[0])
                cells_of_item = (first + number) * self.plan.shape.cells
                target = arguments.address(Slot.BY_GRIDS, cells_of_item)
                code.run("unpack_flow", source, target, _null(code))

    def _back_item(
        self,
        arguments: Arguments,
        workspace: Value,
        memory: Value,
        number: Value,
        item: Value,
        sums: Value,
    ) -> None:
        """Emit all steps back for one item of a shard."""
        code, plan, head = arguments.code, self.plan, self._head(arguments, workspace)
        if not plan.goes_back:
            return
        if head:
            flow = head[0].entry_gradient(head[1], number)
        else:
            flow = arguments.address(Slot.FLOW, item * plan.output.cells)
        code.run("pack_flow", flow, code.at(workspace, self.gradients[plan.result]))
        for site in reversed(self.sites):
            if site.step.learns or site.step.passes_on:
                self._back_step(site.step, Frame(site, arguments, workspace, memory, sums))

    def _back_step(self, step: Step[MapsKernel], frame: Frame) -> None:
        code, memory, workspace = frame.code, frame.item, frame.workspace
        assert memory is not None
        sources, by_sources = [], []
        for source in step.sources:
            sources.append(code.at(memory, self.maps[source]))
            by_sources.append(code.at(workspace, self.gradients[source]))
        maps = Ends(tuple(sources), code.at(memory, self.maps[step.target]))
        flow = code.at(workspace, self.gradients[step.target])
        # Kernels add to the gradients of their sources, also in the border, into which patches
        # reach. Each value is read by one step: with several, only the first to come here may clear
        # it, and `adds` has to hold for all others.
        if step.passes_on and step.kernel.adds:
            for source, gradient in zip(step.sources, by_sources, strict=True):
                code.zero(gradient, self.plan.values[source].size)
        step.kernel.run_backward(frame, maps, Ends(tuple(by_sources), flow))

    def _reduce(self) -> None:
        """Emit the phase that adds the shards' gradients up, and makes those of the head."""
        # Each number is added up by one task, shard after shard. With the fixed size of a shard
        # (`Plan.shard`) this makes results the same bits for any number of threads; see
        # tests/engines/native/test_threads.py.
        jobs = [
            (site, job)
            for site in self._all_sites
            if site.step.learns
            for job in site.step.kernel.reduce(site)
        ]
        total = sum(job.parts for _, job in jobs)
        self.phases.add("reduce", lambda _: total, _choose(jobs))


def _null(code: Code) -> Value:
    """Return the address of nothing."""
    return Value(code, PTR, "null")


def _choose(jobs: Sequence[tuple[Site, Job]]) -> Task:
    """Return what emits a choice among jobs, which share the numbers of a phase's tasks."""

    def emit(arguments: Arguments, workspace: Value, task: Value) -> None:
        code, start = arguments.code, 0
        for site, job in jobs:
            begins = code.test("sge", task, start)
            ends = code.test("slt", task, start + job.parts)
            inside = code.op("i1", f"and {begins}, {ends.name}")
            with code.when(inside):
                job.emit(Frame(site, arguments, workspace), task - start)
            start += job.parts

    return emit


def _parts(arguments: Arguments, height: int) -> Number:
    """Return into how many parts something of so many rows is divided."""
    return arguments.code.least(arguments.number(Slot.SHARDS), min(height, _MOST_PARTS))


def _part(arguments: Arguments, task: Value, height: int) -> tuple[Value, Value]:
    code = arguments.code
    parts = code.value(_parts(arguments, height))
    ends = [code.op(INT, f"udiv {(task + more) * height}, {parts.name}") for more in (0, 1)]
    return ends[0], ends[1]


def _items(arguments: Arguments, task: Value) -> tuple[Value, Value]:
    """Return a shard's first item, and how many it has."""
    shard = arguments.number(Slot.SHARD)
    first = task * shard
    return first, arguments.code.value(
        arguments.code.least(shard, arguments.number(Slot.ITEMS) - first)
    )
