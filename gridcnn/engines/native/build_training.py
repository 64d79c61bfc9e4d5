"""Programs of a training step: forward, the loss, and back; or two halves of it.

The three programs, and their phases. The last two are for a step that several processes take:

    training    fold -> pack -> shard -> add_up -> reduce    the gradient of a batch
    shards      fold -> pack -> shard -> add_up              the sums of some shards
    gradient    add_up -> reduce                             what the sums of all shards come to

The memory of a training step, in floats; each part begins with a line of the cache:

    packed      features of step 1 | its bias | features for its way back | step 2 ...  once
    workspace   gradients of maps | lists | points of tiles | item 0 | item 1 | ...     each thread
      item      grid | maps of step 1 | its winners | maps of step 2 | winners ...      each item
    sums        gradient of step 1's features | of its bias | step 2 ...                each shard
    rows        values of the head's layers | their gradients                           each item
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from gridcnn.engines.native.builder import Builder, items_of, null
from gridcnn.engines.native.emitter import INT, Number, Value, vector
from gridcnn.engines.native.kernels import cells
from gridcnn.engines.native.kernels.base import (
    Frame,
    MixingKernel,
)
from gridcnn.engines.native.phases import Arguments
from gridcnn.engines.native.program import ALIGNED, Argument, Program
from gridcnn.forks import cached_property

# It changes no bit of a result: see `kernels.base`.
_ADDED_TOGETHER = 1024  # floats of each shard's sums that a task adds up


class TrainingBuilder(Builder):
    """Emits the programs of a training step."""

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
        first, count = _group(arguments, task) if plan.mixes_items else items_of(arguments, task)
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
            code.run("unpack_flow", source, target, null(code))

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
