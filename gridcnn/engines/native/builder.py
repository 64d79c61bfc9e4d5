"""Programs are built: a plan as one function of code, for answers or for a training step.

The three programs, and their phases. All tasks of a phase are done before the next one starts.

    forward    fold -> pack -> shard                              many items are answered
    single     fold -> pack -> first -> step 0, ... -> votes      one item, shared among threads
    training   fold -> pack -> shard -> add_up -> reduce          the gradient of a batch

The memory of a training step, in floats; each part begins with a line of the cache:

    packed      features of step 1 | its bias | features for its way back | step 2 ...  once
    workspace   gradients of maps | lists | points of tiles | item 0 | item 1 | ...     each thread
      item      grid | maps of step 1 | its winners | maps of step 2 | winners ...      each item
    sums        gradient of step 1's features | of its bias | step 2 ...                each shard
    rows        values of the head's layers | their gradients                           each item

Programs that only answer have no sums; a workspace holds one item's maps, and the rows of a shard.
All memory is laid out here, and none is allocated while a program runs. A kernel takes what its
step needs besides the maps, see `kernels.base`.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridcnn.engines.native.compiler import key_for
from gridcnn.engines.native.emitter import INT, PTR, Code, Module, Number, Value, vector
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
from gridcnn.engines.native.program import ALIGNED, MOST_TOGETHER, Arena, Argument, Program
from gridcnn.forks import cached_property

# It changes no bit of a result: see `kernels.base`.
_MOST_PARTS = 16  # of one step that are done at the same time, for a single item
_MOST_INLINE = 64  # parts that one function is made of, see `Builder._in_chunks`
_CHUNK = 32  # parts of a function, where there are more
_ADDED_TOGETHER = 1024  # floats of each shard's sums that a task adds up


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
                if source not in self.gradients:
                    label = f"gradient of value {source}"
                    self.gradients[source] = memory.take(plan.values[source], label)
            memory.give_back(plan.values[step.target], self.gradients[step.target])

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

    def forward(self) -> Program:
        """Return the program that answers many items: votes, or maps if there is no head."""
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
                    target = arguments.address(Argument.OUTPUT, item * plan.output.cells)
                code.run("unpack_cells", last, target, _null(code))
            if head:
                kernel, frame = head
                kernel.run_forward(frame, first, count)

        self.phases.add("shard", lambda arguments: arguments.number(Argument.SHARDS), shard)
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
            target = head[0].entry(head[1], 0, 0) if head else arguments.address(Argument.OUTPUT)
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
        self._emit_shards()
        self._add_up()
        self._reduce()
        return self._finish(shard=self.plan.shard)

    def shards(self) -> Program:
        """Return the part of a training step that each shard has for itself.

        The sums of some shards may be added up there, too. What it leaves in the memory of sums and
        rows is what `gradient` goes on with.
        """
        self._emit_shards()
        self._add_up()
        return self._finish(shard=self.plan.shard)

    def gradient(self) -> Program:
        """Return the rest of a training step: the gradient of all shards."""
        self._lay_out(training=True, together=self.plan.shard)
        self._emit_forward()
        self._emit_backward()  # the jobs call functions that it makes
        self._add_up()
        self._reduce()
        return self._finish(shard=self.plan.shard)

    def _emit_shards(self) -> None:
        """Emit the phases of a training step up to the sums of each shard."""
        plan = self.plan
        self._lay_out(training=True, together=plan.shard)
        self._pack()
        self._emit_forward()
        self._emit_backward()
        self.phases.add("shard", lambda arguments: arguments.number(Argument.SHARDS), self._shard)

    def _emit_backward(self) -> None:
        """Emit the functions of the backward pass."""
        plan = self.plan
        cells.pack(self.module, "pack_flow", plan.end)
        if plan.wanted:
            cells.unpack(self.module, "unpack_flow", plan.start, scaled=False)
        for site in self._all_sites:
            if site.emits and (site.step.learns or site.step.passes_on):
                site.step.kernel.emit_backward(site)

    def _shard(self, arguments: Arguments, workspace: Value, task: Value) -> None:
        """Emit a shard of a training step."""
        code, plan, head = arguments.code, self.plan, self._head(arguments, workspace)
        first, count = _group(arguments, task) if plan.mixes_items else _items(arguments, task)
        sums = arguments.address(Argument.SUMS, task * self._sums_size)
        # The kernels add to the sums, which still hold those of the step before.
        if self.sums.gap:
            for _, place, floats in self.sums.parts:
                code.zero(code.at(sums, place), floats)
        else:
            code.zero(sums, self.sums.size)
        # All items forward, then the head for all of them, then all items back: so the head reads
        # its weights once for several items. A step that mixes the items cuts this into sections.
        values = workspace, first, count, sums
        forward = [functools.partial(self._pass_forward, section) for section in self._sections]
        self._in_chunks("forward", arguments, values, forward)
        if head:
            kernel, frame = head
            kernel.run_step(frame, first, count)
        back = [functools.partial(self._pass_back, each) for each in reversed(self._sections)]
        self._in_chunks("backward", arguments, values, back)

    def _pass_forward(self, section: _Section, arguments: Arguments, *values: Value) -> None:
        """Emit a section for all items of a shard."""
        workspace, first, count, sums = values
        with arguments.code.loop(count) as number:
            self._forward_section(section, arguments, workspace, first, number)
        if section.stop is not None:
            kernel, frame = self._mixing(section.stop, arguments, workspace, sums)
            kernel.run_settle(frame, count)

    def _pass_back(self, section: _Section, arguments: Arguments, *values: Value) -> None:
        """Emit the way back through a section for all items of a shard."""
        workspace, first, count, sums = values
        if section.stop is not None and self.plan.goes_back:
            kernel, frame = self._mixing(section.stop, arguments, workspace, sums)
            kernel.run_settle_back(frame, count)
        with arguments.code.loop(count) as number:
            self._back_section(section, arguments, workspace, first, number, sums)

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

    @cached_property
    def _sections(self) -> list[_Section]:
        """The steps between those that mix items; each section begins with one of them."""
        cuts = [
            number
            for number, step in enumerate(self.plan.steps)
            if isinstance(step.kernel, MixingKernel)
        ]
        starts, stops = [0, *cuts], [*cuts, len(self.plan.steps)]
        return [
            _Section(range(start, stop), number == 0, None if number == len(cuts) else stop)
            for number, (start, stop) in enumerate(zip(starts, stops, strict=True))
        ]

    def _mixing(
        self, number: int, arguments: Arguments, workspace: Value, sums: Value
    ) -> tuple[MixingKernel, Frame]:
        """Return a kernel that mixes items, and its memory as a shard sees it."""
        kernel = self.plan.steps[number].kernel
        assert isinstance(kernel, MixingKernel)
        return kernel, Frame(self.sites[number], arguments, workspace, None, sums)

    def _forward_section(
        self,
        section: _Section,
        arguments: Arguments,
        workspace: Value,
        first: Value,
        number: Value,
    ) -> None:
        """Emit the steps of a section for an item, `number` in its shard."""
        code, head, item = arguments.code, self._head(arguments, workspace), first + number
        memory = code.at(workspace, number * self.item.size + self.items)
        if section.is_first:
            self._pack_cells(arguments, item, memory)
            for site in self.sites:
                if site.step.kernel.factors:
                    frame = Frame(site, arguments, workspace, memory)
                    site.step.kernel.run_enter(frame, item)
        steps = [functools.partial(self._step_of_item, index) for index in section.steps]
        self._in_chunks("steps", arguments, (workspace, memory), steps)
        if section.stop is not None:
            step, frame = (
                self.plan.steps[section.stop],
                Frame(self.sites[section.stop], arguments, workspace, memory),
            )
            assert isinstance(step.kernel, MixingKernel)
            maps = self._ends(step, code, memory, self.maps)
            with code.when(code.test("eq", number, 0)):
                step.kernel.begin(frame, maps)
            step.kernel.run_observe(frame, maps)
        elif head:
            kernel, frame = head
            last = code.at(memory, self.maps[self.plan.result])
            target = kernel.entry(frame, number, item)
            code.run("unpack_cells", last, target, kernel.entry_factors(frame, item))

    def _back_section(
        self,
        section: _Section,
        arguments: Arguments,
        workspace: Value,
        first: Value,
        number: Value,
        sums: Value,
    ) -> None:
        """Emit the way back through a section for an item, `number` in its shard.

        The step behind the section and the step that it begins with may mix items: of these, the
        first is done by now but for its last part, and the second gets its first part here.
        """
        code, plan = arguments.code, self.plan
        if not plan.goes_back:
            return
        memory = code.at(workspace, number * self.item.size + self.items)
        flows = memory if plan.mixes_items else workspace
        if section.stop is None:
            self._pack_flow(arguments, workspace, flows, number, first + number)
        indices = list(section.steps)
        mixing = [] if section.is_first else indices[:1]
        steps = [*reversed(indices[len(mixing) :])]
        if section.stop is not None:
            steps.insert(0, section.stop)
        emitters = [functools.partial(self._back_step, index) for index in steps]
        self._in_chunks("steps_back", arguments, (workspace, memory, flows, sums), emitters)
        for index in mixing:
            step = plan.steps[index]
            assert isinstance(step.kernel, MixingKernel)
            frame = Frame(self.sites[index], arguments, workspace, memory, sums)
            maps, gradients = (
                self._ends(step, code, base, places)
                for base, places in ((memory, self.maps), (flows, self.gradients))
            )
            step.kernel.run_gather(frame, maps, gradients)
        if section.is_first and plan.wanted:
            source = code.at(flows, self.gradients[0])
            target = arguments.address(Argument.BY_GRIDS, (first + number) * plan.shape.cells)
            code.run("unpack_flow", source, target, _null(code))

    def _pack_flow(
        self, arguments: Arguments, workspace: Value, flows: Value, number: Value, item: Value
    ) -> None:
        """Emit the packing of the gradient that comes back from the head, or is given."""
        code, plan, head = arguments.code, self.plan, self._head(arguments, workspace)
        if head:
            flow = head[0].entry_gradient(head[1], number)
        else:
            flow = arguments.address(Argument.FLOW, item * plan.output.cells)
        code.run("pack_flow", flow, code.at(flows, self.gradients[plan.result]))

    def _back_step(
        self,
        number: int,
        arguments: Arguments,
        workspace: Value,
        memory: Value,
        flows: Value,
        sums: Value,
    ) -> None:
        step, site, code = self.plan.steps[number], self.sites[number], arguments.code
        if not (step.learns or step.passes_on):
            return
        frame = Frame(site, arguments, workspace, memory, sums)
        maps = self._ends(step, code, memory, self.maps)
        gradients = self._ends(step, code, flows, self.gradients)
        # Kernels add to the gradients of their sources, also in the border, into which patches
        # reach. Of all steps that read a value, the last one comes back first, and clears it.
        if step.passes_on and step.kernel.adds:
            for source in dict.fromkeys(step.sources):
                readers = [n for n in self.plan.readers[source] if self.plan.steps[n].passes_on]
                if readers[-1] == number:
                    gradient = code.at(flows, self.gradients[source])
                    code.zero(gradient, self.plan.values[source].size)
        step.kernel.run_backward(frame, maps, gradients)

    @property
    def _sums_size(self) -> int:
        """Floats from one shard's sums to the next, once all memory is taken."""
        return self.sums.size + self.sums.gap  # `_finish` puts the last gap behind the last part

    def _add_up(self) -> None:
        """Emit the phase that adds up the shards' sums."""
        # Each number is added up by one task, in the order of the additions. With the fixed size of
        # a shard (`Plan.shard`) this makes results the same bits for any number of threads; see
        # tests/engines/native/test_threads.py. The numbers of a task are few, so that all shards'
        # stay in the cache while they are added.
        if self.sums.gap:  # nothing may be read between the parts
            pieces = [(place, floats) for _, place, floats in self.sums.parts]
            self.phases.add("add_up", lambda _: 1, lambda *task: self._add_pieces(pieces, *task))
        elif self.sums.size:
            tasks = -(-self.sums.size // _ADDED_TOGETHER)
            self.phases.add("add_up", lambda _: tasks, self._add_chunk)

    def _add_chunk(self, arguments: Arguments, workspace: Value, task: Value) -> None:  # noqa: ARG002
        """Emit the additions of some numbers of the sums."""
        start = task * _ADDED_TOGETHER
        stop = arguments.code.least(start + _ADDED_TOGETHER, self.sums.size)
        self._add(arguments, start, stop)

    def _add_pieces(
        self,
        pieces: Sequence[tuple[int, int]],
        arguments: Arguments,
        workspace: Value,  # noqa: ARG002
        task: Value,  # noqa: ARG002
    ) -> None:
        """Emit the additions of all numbers."""
        for place, floats in pieces:
            self._add(arguments, place, place + floats)

    def _add(self, arguments: Arguments, start: Number, stop: Number) -> None:
        """Emit the additions of the numbers from `start` to `stop` of the sums."""
        code, gap = arguments.code, self.sums.gap
        # Parts begin with a vector of the widest kind and are filled up to one, but for gaps.
        step = 1 if gap else ALIGNED
        lanes = 1 if gap else min(self.module.processor.lanes, ALIGNED)
        pairs = arguments.address(Argument.ADDITIONS)
        with code.loop(arguments.number(Argument.ADDITION_COUNT)) as number:
            target, source = (
                arguments.address(
                    Argument.SUMS, code.load(pairs, number * 2 + side, kind=INT) * self._sums_size
                )
                for side in (0, 1)
            )
            with code.loop(stop, start=start, step=step) as place:
                for lane in range(0, step, lanes):
                    here = place + lane
                    ends = (code.load(row, here, kind=vector(lanes)) for row in (target, source))
                    code.store(code.arithmetic("fadd", *ends), target, here)

    def _reduce(self) -> None:
        """Emit the phase that stores the sums as the gradient, and makes that of the head."""
        jobs = [
            (site, job)
            for site in self._all_sites
            if site.step.learns
            for job in site.step.kernel.reduce(site)
        ]
        total = sum(job.parts for _, job in jobs)
        self.phases.add("reduce", lambda _: total, lambda *task: self._choose(jobs, *task))

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


def _null(code: Code) -> Value:
    """Return the address of nothing."""
    return Value(code, PTR, "null")


def _is_within(code: Code, task: Value, start: int, stop: int) -> Value:
    """Return whether the number of a task is from `start` up to, and not including, `stop`."""
    begins, ends = code.test("sge", task, start), code.test("slt", task, stop)
    return code.op("i1", f"and {begins}, {ends.name}")


def _parts(arguments: Arguments, height: int) -> Number:
    """Return into how many parts something of so many rows is divided."""
    return arguments.code.least(arguments.number(Argument.SHARDS), min(height, _MOST_PARTS))


def _part(arguments: Arguments, task: Value, height: int) -> tuple[Value, Value]:
    code = arguments.code
    parts = code.value(_parts(arguments, height))
    ends = [code.op(INT, f"udiv {(task + more) * height}, {parts.name}") for more in (0, 1)]
    return ends[0], ends[1]


def _items(arguments: Arguments, task: Value) -> tuple[Value, Value]:
    """Return a shard's first item, and how many it has."""
    shard = arguments.number(Argument.SHARD)
    first = task * shard
    return first, arguments.code.value(
        arguments.code.least(shard, arguments.number(Argument.ITEMS) - first)
    )


def _group(arguments: Arguments, task: Value) -> tuple[Value, Value]:
    """Return a group's first item, and how many it has; see `gridcnn.network.groups_of`."""
    code, groups = arguments.code, arguments.number(Argument.SHARDS)
    items = arguments.number(Argument.ITEMS)
    size = code.op(INT, f"udiv {items}, {groups.name}")
    larger = code.op(INT, f"urem {items}, {groups.name}")
    first = task * size + code.value(code.least(task, larger))
    return first, size + code.truth(code.test("slt", task, larger))


@dataclass(frozen=True)
class _Section:
    """Steps that one item can go through without the others.

    Attributes:
        steps: their indices; the first of these mixes items, except in the first section.
        is_first: whether it begins with the grid that enters.
        stop: the index of the step behind them, which mixes items; None if there is none.
    """

    steps: range
    is_first: bool
    stop: int | None


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
