"""Programs are built: a plan as one function of code, for answers or for a training step.

The three programs, and their phases. All tasks of a phase are done before the next one starts.

    forward    pack -> shard                                      many items are answered
    single     pack -> first -> step 0, 1, ... -> last -> votes   one item, shared among threads
    training   pack -> shard -> reduce                            the gradient of a batch

The memory of a training step, in floats; each part begins with a line of the cache:

    packed      features of step 1 | bias | features, turned | step 2 ...        once
    workspace   gradients of maps | lists | turned cells | item 0 | item 1 | ... for each thread
      item      grid | maps of step 1 | winners | maps of step 2 | winners ...
    sums        gradient of step 1's features | of its bias | step 2 ...         for each shard
    rows        values of voting layers | their gradients                       for each item

Programs that only answer have no sums and no rows, and a workspace holds one item's maps.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridcnn.engines.native.compiler import key_for
from gridcnn.engines.native.emitter import INT, PTR, Code, Module, Number, Value
from gridcnn.engines.native.kernels import (
    convolution,
    convolution_backward,
    elementwise,
    lookup,
    packing,
    pooling,
    voting,
    winograd,
)
from gridcnn.engines.native.kernels.convolution import Convolution
from gridcnn.engines.native.kernels.lookup import Lookup
from gridcnn.engines.native.kernels.pooling import Pooling
from gridcnn.engines.native.kernels.winograd import Winograd
from gridcnn.engines.native.phases import Arguments, Phases, Task
from gridcnn.engines.native.plan import Plan, Step
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import MOST_TOGETHER, Arena, Program, Slot
from gridcnn.network import Slot as ParameterSlot

# None of these numbers changes a bit of a result: they say which task does what, and each number is
# still made by one task, from the same terms in the same order.
_FEW_ROWS = 8  # too few to share them among threads, in one item; enough parts of what is packed
_MOST_PARTS = 16  # of one step that are done at the same time, for a single item
_PARTS = 32  # into which the adding up of one stage's gradients is divided


@dataclass(frozen=True)
class _Places:
    """Where the parts of a step lie: in an item's memory, a thread's, the packed and the sums."""

    maps: int
    winners: int = 0
    gradient: int = 0
    scratch: int = 0
    turning: int = 0
    forward: int = 0
    bias: int = 0
    backward: int = 0
    sum: int = 0
    bias_sum: int = 0


class Builder:
    """Emits the programs for a plan; one builder makes one program."""

    def __init__(self, plan: Plan, processor: Processor, *, gap: int = 0) -> None:
        self.plan = plan
        self.module = Module(processor)
        self.workspace, self.item, self.packed, self.sums = (Arena(gap) for _ in range(4))
        self.phases = Phases(self.module)
        self.places: list[_Places] = []
        self.is_training = False

    # What all programs have

    def _finish(self, *, rows: int = 0, shard: int = 0, shared: bool = False) -> Program:
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
            rows=rows,
            sums=self.sums,
            shard=shard,
            shared=shared,
        )

    def _lay_out(self, *, training: bool, whole: bool = False, parts: int = 1) -> None:
        """Find a place for everything; `whole` takes one item's maps as the thread's own.

        `parts` of a step may be done at the same time in one workspace.
        """
        self.is_training = training
        # In training an item's maps and winners are needed until its way back, after all items of
        # the shard went forward: each item has its own. Gradients are needed for one item at a
        # time, so that a thread has them once.
        item = self.workspace if whole else self.item
        self.start = item.take("grid", self.plan.start.size)
        if training:
            self.start_gradient = self.workspace.take("grid's gradient", self.plan.start.size)
        for number, step in enumerate(self.plan.steps):
            label = f"step {number + 1}"
            places = {"maps": item.take(f"{label}: maps", step.target.size)}
            if training:
                places["gradient"] = self.workspace.take(f"{label}: gradient", step.target.size)
                if step.has_winners:
                    # A winner is one byte, and has no border.
                    cells = step.target.rows * step.target.columns * step.target.padded
                    places["winners"] = item.take(f"{label}: winners", -(-cells // 4))
            if isinstance(step.work, Convolution):
                self._lay_out_convolution(step, label, places)
            if isinstance(step.work, Winograd):
                # Where threads share a workspace, each part of a step has memory of its own.
                size = winograd.scratch_size(
                    step.work, self.module.processor.registers, training=self.is_training
                )
                places["turning"] = self.workspace.take(f"{label}: turned", size * parts)
            self.places.append(_Places(**places))
        self.item.close()

    def _lay_out_convolution(self, step: Step, label: str, taken: dict[str, int]) -> None:
        conv = step.convolution
        taken["forward"] = self.packed.take(f"{label}: features", packing.forward_size(conv))
        taken["bias"] = self.packed.take(f"{label}: bias", conv.target.padded)
        if not self.is_training:
            return
        if step.passes_on:
            size = packing.backward_size(conv)
            taken["backward"] = self.packed.take(f"{label}: features, turned", size)
        if step.learns:
            taken["sum"] = self.sums.take(f"{label}: features", packing.gradient_size(conv))
            taken["bias_sum"] = self.sums.take(f"{label}: bias", conv.target.padded)
        size = convolution_backward.Lists(conv).size
        taken["scratch"] = self.workspace.take(f"{label}: lists", max(size, _row_of(conv)))

    def _pack(self) -> None:
        """Emit the phase that brings the features into the order of the kernels."""
        jobs: list[tuple[int, Task]] = []
        for number, (step, places) in enumerate(zip(self.plan.steps, self.places, strict=True)):
            if not isinstance(step.work, Convolution):
                continue
            packing.pack_forward(self.module, f"pack{number}", step.work)
            height = packing.height(step.work)
            jobs.append(self._packing(f"pack{number}", step, places.forward, height))
            if step.bias is not None:
                jobs.append((1, self._bias(step.bias, places)))
            if self.is_training and step.passes_on:
                packing.pack_backward(self.module, f"turn{number}", step.work)
                filters = step.work.filters
                jobs.append(self._packing(f"turn{number}", step, places.backward, filters))
        if not jobs:
            return
        total = sum(count for count, _ in jobs)
        # No tasks at all if the features are packed already (TO_PACK is 0): a model that only
        # answers packs them once, see `Call.is_packed`.
        self.phases.add(
            "pack",
            lambda arguments: arguments.number(Slot.TO_PACK) * total,
            lambda arguments, workspace, task: _choose(arguments, workspace, task, jobs),
        )

    @staticmethod
    def _packing(name: str, step: Step, place: int, height: int) -> tuple[int, Task]:
        """Return the parts in which features of so many rows are packed by a function."""
        parts = min(height, _FEW_ROWS)

        def pack(arguments: Arguments, workspace: Value, task: Value) -> None:  # noqa: ARG001
            assert step.weights is not None
            features = arguments.address(Slot.PARAMETERS, step.weights.start)
            rows = _range(arguments.code, task, height, parts)
            arguments.code.run(name, features, arguments.address(Slot.PACKED, place), *rows)

        return parts, pack

    @staticmethod
    def _bias(slot: ParameterSlot, places: _Places) -> Task:
        def copy(arguments: Arguments, workspace: Value, task: Value) -> None:  # noqa: ARG001
            target = arguments.address(Slot.PACKED, places.bias)
            bias = arguments.address(Slot.PARAMETERS, slot.start)
            arguments.code.copy(target, bias, slot.parameter.size)

        return copy

    # Forward

    def _forward_kernels(self) -> None:
        start = self.plan.start
        if self.plan.one_hot:
            conv = self.plan.steps[0].convolution
            assert isinstance(conv, Lookup)
            border = (start.left, start.right)
            elementwise.bring_in_indices(
                self.module, "bring_in", border, start.columns, conv.symbols
            )
        else:
            elementwise.bring_in(self.module, "bring_in", start)
        if self.plan.wants_finite and not self.is_training:
            elementwise.check(self.module, "check", self._cells_in)
        for number, step in enumerate(self.plan.steps):
            name = f"forward{number}"
            match step.work:
                case Lookup():
                    lookup.forward(self.module, name, step.work, winners=self.is_training)
                case Winograd():
                    winograd.forward(self.module, name, step.work, winners=self.is_training)
                case Convolution():
                    convolution.forward(self.module, name, step.work, winners=self.is_training)
                case Pooling():
                    pooling.forward(self.module, name, step.work)
                case None:
                    elementwise.rectify(self.module, name, step.source, step.target)
        for number, each in enumerate(self.plan.voting):
            voting.forward(self.module, f"vote{number}", each.layer)
        scaled = bool(self.plan.voting and self.plan.voting[0].dropout)
        elementwise.take_out(self.module, "take_out", self.plan.end, scaled=scaled)

    @property
    def _cells_in(self) -> int:
        """Floats of one item as it is given."""
        return self.plan.start.columns if self.plan.one_hot else self.plan.shape.cells

    def _bring_in(
        self, arguments: Arguments, item: Value, memory: Value, *, checked: bool = False
    ) -> None:
        cells = arguments.address(Slot.GRIDS, item * self._cells_in)
        if checked and self.plan.wants_finite:
            arguments.code.run("check", cells, arguments.address(Slot.ODD, item))
        arguments.code.run("bring_in", cells, arguments.code.at(memory, self.start))

    def _run_step(
        self,
        arguments: Arguments,
        number: int,
        memory: Value,
        rows: tuple[Number, Number] | None = None,
        chunks: tuple[Number, Number] | None = None,
        part: Number = 0,
        scratch: Value | None = None,
    ) -> None:
        """Emit a step of one item: all of it, or some rows, or some chunks of filters."""
        code, step, places = arguments.code, self.plan.steps[number], self.places[number]
        source = code.at(memory, self.places[number - 1].maps if number else self.start)
        target = code.at(memory, places.maps)
        if not isinstance(step.work, Convolution):
            code.run(f"forward{number}", source, target)
            return
        packed = arguments.address(Slot.PACKED, places.forward)
        bias = arguments.address(Slot.PACKED, places.bias)
        won = code.at(memory, places.winners)
        rows = rows or (0, _height(step.work))
        chunks = chunks or (0, self._chunks(step))
        more: list[Value] = []
        if isinstance(step.work, Winograd):
            size = winograd.scratch_size(
                step.work, self.module.processor.registers, training=self.is_training
            )
            workspace = memory if scratch is None else scratch
            more = [code.at(workspace, part * size + places.turning)]
        code.run(f"forward{number}", source, packed, bias, target, won, *rows, *chunks, *more)

    def _chunks(self, step: Step) -> int:
        """Return how many chunks a convolution's filters are taken in."""
        chunks = convolution.filter_chunks(step.convolution, self.module.processor.registers)
        return sum(chunk.count for chunk in chunks)

    def _forward_item(
        self, arguments: Arguments, item: Value, memory: Value, workspace: Value
    ) -> Value:
        """Emit all steps for one item; return where the last maps are."""
        self._bring_in(arguments, item, memory, checked=not self.is_training)
        for number in range(len(self.plan.steps)):
            self._run_step(arguments, number, memory, scratch=workspace)
        return arguments.code.at(memory, self.places[-1].maps if self.places else self.start)

    def _vote(
        self,
        arguments: Arguments,
        number: int,
        rows: tuple[Value, Value],
        count: Number,
        factors: Value,
        outputs: tuple[Number, Number],
    ) -> None:
        each = self.plan.voting[number]
        weights = arguments.address(Slot.PARAMETERS, each.weights)
        bias = arguments.address(Slot.PARAMETERS, each.bias)
        arguments.code.run(
            f"vote{number}", rows[0], weights, bias, factors, rows[1], count, *outputs
        )

    def forward(self) -> Program:
        """Return the program that answers many items: votes, or maps where there is no head."""
        plan, none = self.plan, self._none
        self._lay_out(training=False, whole=True)
        rows = [
            self.workspace.take(f"voting layer {number}", size * MOST_TOGETHER)
            for number, size in enumerate(_row_sizes(plan))
        ]
        self._pack()
        self._forward_kernels()

        def shard(arguments: Arguments, workspace: Value, task: Value) -> None:
            code = arguments.code
            first, count = _items(arguments, task)
            # The maps of one item after the other take the same memory; only what votes is kept for
            # all items, since the voting layers read their weights once for several items.
            with code.loop(count) as number:
                item = first + number
                last = self._forward_item(arguments, item, workspace, workspace)
                if plan.voting:
                    target = code.at(workspace, number * plan.voting[0].layer.entering + rows[0])
                else:
                    target = arguments.address(Slot.OUTPUT, item * plan.output.cells)
                code.run("take_out", last, target, none(code))
            for index, each in enumerate(plan.voting):
                ends = code.at(workspace, rows[index]), code.at(workspace, rows[index + 1])
                outputs = (0, each.layer.outputs)
                self._vote(arguments, index, ends, count, none(code), outputs)
            if plan.voting:
                classes = plan.voting[-1].layer.outputs
                with code.loop(count) as number:
                    source = code.at(workspace, number * plan.voting[-1].layer.leaving + rows[-1])
                    target = arguments.address(Slot.OUTPUT, (first + number) * classes)
                    code.copy(target, source, classes)

        self.phases.add("shard", lambda arguments: arguments.number(Slot.SHARDS), shard)
        return self._finish()

    def single(self) -> Program:
        """Return the program that answers one item, whose rows are shared among the threads.

        All threads have the same workspace.
        """
        plan = self.plan
        self._lay_out(training=False, whole=True, parts=_MOST_PARTS)
        rows = [
            self.workspace.take(f"voting layer {number}", size)
            for number, size in enumerate(_row_sizes(plan))
        ]
        self._pack()
        self._forward_kernels()

        def first(arguments: Arguments, workspace: Value, task: Value) -> None:
            self._bring_in(arguments, task, workspace, checked=True)

        self.phases.add("first", lambda _: 1, first)
        for number, step in enumerate(plan.steps):
            self._single_step(number, step)

        def last(arguments: Arguments, workspace: Value, task: Value) -> None:  # noqa: ARG001
            code = arguments.code
            source = code.at(workspace, self.places[-1].maps if self.places else self.start)
            target = code.at(workspace, rows[0]) if rows else arguments.address(Slot.OUTPUT)
            code.run("take_out", source, target, self._none(code))

        self.phases.add("last", lambda _: 1, last)
        for number, each in enumerate(plan.voting):
            is_last = number == len(plan.voting) - 1
            self._single_vote(number, each.layer, rows, is_last=is_last)
        return self._finish(shared=True)

    def _single_step(self, number: int, step: Step) -> None:
        height, of_chunks = 1, False
        if isinstance(step.work, Convolution):
            height, chunks = _height(step.work), self._chunks(step)
            # Small maps have too few rows for many threads; their filters are shared instead.
            of_chunks = height < _FEW_ROWS and chunks > height
            height = chunks if of_chunks else height

        def task(arguments: Arguments, workspace: Value, task: Value) -> None:
            part = _part(arguments, task, height)
            rows, chunks = (None, part) if of_chunks else (part, None)
            self._run_step(arguments, number, workspace, rows, chunks, part=task)

        self.phases.add(f"step{number}", lambda arguments: _parts(arguments, height), task)

    def _single_vote(
        self, number: int, layer: voting.Layer, rows: list[int], *, is_last: bool
    ) -> None:
        def task(arguments: Arguments, workspace: Value, task: Value) -> None:
            code = arguments.code
            target = code.at(workspace, rows[number + 1])
            if is_last:
                target = arguments.address(Slot.OUTPUT)
            ends = _part(arguments, task, layer.outputs)
            values = code.at(workspace, rows[number])
            self._vote(arguments, number, (values, target), 1, self._none(code), ends)

        self.phases.add(f"votes{number}", lambda arguments: _parts(arguments, layer.outputs), task)

    @staticmethod
    def _none(code: Code) -> Value:
        return Value(code, PTR, "null")

    # Training

    def training(self) -> Program:
        """Return the program of a training step: forward, and back.

        Without a head, the gradient of the output is given.
        """
        plan, wanted = self.plan, self.plan.wanted
        self._lay_out(training=True)
        self.items = self.workspace.take_many(self.item, plan.shard)
        self.by_values = 0
        if plan.voting:
            size = plan.shard * plan.voting[0].layer.entering
            self.by_values = self.workspace.take("gradient of what votes", size)
        self.value_rows, self.flow_rows, row = _rows_of_batch(plan)
        self._pack()
        self._forward_kernels()
        self._backward_kernels(wanted=wanted)

        def shard(arguments: Arguments, workspace: Value, task: Value) -> None:
            self._shard(arguments, workspace, task, wanted=wanted)

        self.phases.add("shard", lambda arguments: arguments.number(Slot.SHARDS), shard)
        self._reduce()
        return self._finish(rows=row, shard=plan.shard)

    def _backward_kernels(self, *, wanted: bool) -> None:
        plan = self.plan
        elementwise.bring_in(self.module, "bring_back", plan.end)
        if wanted:
            elementwise.take_out(self.module, "take_back", plan.start, scaled=False)
        for number, step in enumerate(plan.steps):
            name = f"back{number}"
            if not (step.learns or step.passes_on):
                continue
            match step.work:
                case Lookup():
                    lookup.backward(self.module, name, step.work)
                case Convolution():
                    convolution_backward.backward(
                        self.module,
                        name,
                        step.work,
                        by_weights=step.learns,
                        by_grid=step.passes_on,
                    )
                case Pooling():
                    pooling.backward(self.module, name, step.work)
                case None:
                    elementwise.rectify_backward(self.module, name, step.source, step.target)
        self._voting_kernels()

    def _voting_kernels(self) -> None:
        """Emit the way back through the voting layers."""
        plan = self.plan
        for number, each in enumerate(plan.voting):
            if number or self._votes_pass_on:
                voting.backward(self.module, f"unvote{number}", each.layer)
            voting.by_weights(self.module, f"learn{number}", each.layer)
            voting.by_bias(self.module, f"bias{number}", each.layer)
            if each.layer.rectified:
                voting.mask_back(self.module, f"mask{number}", each.layer)
        if plan.voting:
            voting.loss(self.module, "loss", plan.voting[-1].layer.outputs)
            if plan.voting[0].dropout:
                voting.scale(self.module, "scale", plan.voting[0].layer)

    @property
    def _votes_pass_on(self) -> bool:
        return self.plan.wanted or any(step.learns for step in self.plan.steps)

    def _rows(self, arguments: Arguments, place: int, row: int, first: Value) -> Value:
        """Return where the rows of a shard's items begin; `place` is in floats for each item."""
        return arguments.address(Slot.ROWS, arguments.number(Slot.ITEMS) * place + first * row)

    def _factors(self, arguments: Arguments, number: int, first: Value) -> Value:
        """Return the factors of what enters a voting layer, or 0."""
        if number >= len(self.plan.voting) or not self.plan.voting[number].dropout:
            return self._none(arguments.code)
        sizes = [each.layer.inputs if each.dropout else 0 for each in self.plan.voting]
        place = arguments.number(Slot.ITEMS) * sum(sizes[:number]) + first * sizes[number]
        return arguments.optional_address(Slot.FACTORS, place)

    def _shard(self, arguments: Arguments, workspace: Value, task: Value, *, wanted: bool) -> None:
        code, plan = arguments.code, self.plan
        first, count = _items(arguments, task)
        sums = arguments.address(Slot.SUMS, task * self.sums_size)
        # The kernels add to the sums, which still hold those of the step before.
        for _, place, floats in self.sums.parts:
            code.zero(code.at(sums, place), floats)
        # All items forward, then the votes of all, then all items back: the voting layers then read
        # their weights once for several items.
        with code.loop(count) as number:
            item = first + number
            memory = code.at(workspace, number * self.item.size + self.items)
            last = self._forward_item(arguments, item, memory, workspace)
            if plan.voting:
                row = plan.voting[0].layer.entering
                values = self._rows(arguments, self.value_rows[0], row, item)
                code.run("take_out", last, values, self._factors(arguments, 0, item))
        if plan.voting:
            self._votes_and_back(arguments, workspace, first, count)
        with code.loop(count) as number:
            memory = code.at(workspace, number * self.item.size + self.items)
            self._back_item(arguments, workspace, memory, number, first + number, sums)
            if wanted:
                source = code.at(workspace, self.start_gradient)
                target = arguments.address(Slot.BY_GRIDS, (first + number) * plan.shape.cells)
                code.run("take_back", source, target, self._none(code))

    def _votes_and_back(
        self, arguments: Arguments, workspace: Value, first: Value, count: Number
    ) -> None:
        code, layers = arguments.code, [each.layer for each in self.plan.voting]
        values = [
            self._rows(arguments, place, layer.entering, first)
            for place, layer in zip(self.value_rows, layers, strict=True)
        ]
        flows = [
            self._rows(arguments, place, layer.leaving, first)
            for place, layer in zip(self.flow_rows, layers, strict=True)
        ]
        for number, layer in enumerate(layers):
            # The logits stand where their gradient will.
            target = values[number + 1] if number + 1 < len(layers) else flows[-1]
            factors = self._factors(arguments, number + 1, first)
            ends = (values[number], target)
            self._vote(arguments, number, ends, count, factors, (0, layer.outputs))
        targets = code.at(arguments.address(Slot.TARGETS), first, INT)
        results = arguments.address(Slot.RESULTS, first * 3)
        factor = code.load(arguments.table, int(Slot.FACTOR) * 2)
        code.run("loss", flows[-1], targets, results, count, factor)
        # The gradient of the votes' weights is made later, in `reduce`, over the whole batch: here
        # it would take memory as large as the weights for each shard.
        for number in range(len(layers) - 1, -1, -1):
            if not number and not self._votes_pass_on:
                break
            target = flows[number - 1] if number else code.at(workspace, self.by_values)
            weights = arguments.address(Slot.PARAMETERS, self.plan.voting[number].weights)
            code.run(f"unvote{number}", flows[number], weights, target, count)
            factors = self._factors(arguments, number, first)
            if number:
                code.run(f"mask{number - 1}", values[number], factors, target, count)
            elif self.plan.voting[0].dropout:
                code.run("scale", factors, target, count)

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
        code, plan = arguments.code, self.plan
        if not self._votes_pass_on:
            return
        if plan.voting:
            place = number * plan.voting[0].layer.entering + self.by_values
            flow = code.at(workspace, place)
        else:
            flow = arguments.address(Slot.FLOW, item * plan.output.cells)
        last = self.places[-1].gradient if self.places else self.start_gradient
        code.run("bring_back", flow, code.at(workspace, last))
        for index in range(len(plan.steps) - 1, -1, -1):
            step = plan.steps[index]
            if not (step.learns or step.passes_on):
                return
            self._back_step(arguments, workspace, memory, index, sums)

    def _back_step(
        self, arguments: Arguments, workspace: Value, memory: Value, index: int, sums: Value
    ) -> None:
        code, step, places = arguments.code, self.plan.steps[index], self.places[index]
        before = self.places[index - 1] if index else None
        source = code.at(memory, before.maps if before else self.start)
        target = code.at(workspace, before.gradient if before else self.start_gradient)
        maps, flow = code.at(memory, places.maps), code.at(workspace, places.gradient)
        # Kernels add to the gradient of what came in, also in its border, into which patches reach.
        # Rectification on its own writes every cell, and adds to none.
        if step.passes_on and step.work is not None:
            code.zero(target, step.source.size)
        won = code.at(memory, places.winners)
        by_weights, by_bias = code.at(sums, places.sum), code.at(sums, places.bias_sum)
        match step.work:
            case Lookup():
                code.run(f"back{index}", source, maps, won, flow, by_weights, by_bias)
            case Convolution():
                packed = arguments.address(Slot.PACKED, places.backward)
                scratch = code.at(workspace, places.scratch)
                code.run(
                    f"back{index}",
                    *(source, maps, won, flow, packed, target, by_weights, by_bias, scratch),
                )
            case Pooling():
                code.run(f"back{index}", source, maps, flow, target)
            case None:
                code.run(f"back{index}", maps, flow, target)

    # Adding up

    @property
    def sums_size(self) -> int:
        """Floats from one shard's sums to the next; the last gap is not there yet."""
        return self.sums.size + self.sums.gap

    def _reduce(self) -> None:
        """Emit the phase that adds the shards' gradients up, and makes the voting layers'."""
        # Each number is added up by one task, shard after shard. With the fixed size of a shard
        # (`Plan.shard`) this makes results the same bits for any number of threads; see
        # tests/engines/native/test_threads.py.
        jobs: list[tuple[int, Task]] = []
        for number, (step, places) in enumerate(zip(self.plan.steps, self.places, strict=True)):
            if step.learns and isinstance(step.work, Convolution):
                jobs += self._reduce_convolution(number, step, places)
        for number in range(len(self.plan.voting)):
            jobs.append(self._reduce_votes(number))
        total = sum(count for count, _ in jobs)
        self.phases.add(
            "reduce",
            lambda _: total,
            lambda arguments, workspace, task: _choose(arguments, workspace, task, jobs),
        )

    def _reduce_convolution(
        self, number: int, step: Step, places: _Places
    ) -> list[tuple[int, Task]]:
        conv, size = step.convolution, self.sums_size
        # The rows that tasks share: taps if filters lie beside each other, else filters.
        along = isinstance(conv, Lookup) or convolution_backward.is_narrow(conv)
        height = len(conv.taps) if along else conv.filters
        packing.unpack_gradient(self.module, f"unpack{number}", conv, distance=size)

        def features(arguments: Arguments, workspace: Value, task: Value) -> None:
            code = arguments.code
            assert step.weights is not None
            first, end = _range(code, task, height, min(height, _PARTS))
            code.run(
                f"unpack{number}",
                arguments.address(Slot.SUMS, places.sum),
                arguments.address(Slot.GRADIENT, step.weights.start),
                arguments.number(Slot.SHARDS),
                code.at(workspace, places.scratch),
                first,
                end,
            )

        jobs: list[tuple[int, Task]] = [(min(height, _PARTS), features)]
        if step.bias is not None:
            packing.unpack_bias(self.module, f"unbias{number}", conv, distance=size)

            def bias(arguments: Arguments, workspace: Value, task: Value) -> None:  # noqa: ARG001
                assert step.bias is not None
                arguments.code.run(
                    f"unbias{number}",
                    arguments.address(Slot.SUMS, places.bias_sum),
                    arguments.address(Slot.GRADIENT, step.bias.start),
                    arguments.number(Slot.SHARDS),
                )

            jobs.append((1, bias))
        return jobs

    def _reduce_votes(self, number: int) -> tuple[int, Task]:
        each = self.plan.voting[number]
        layer = each.layer
        vectors = -(-layer.inputs // layer.lanes)
        parts = min(vectors, _PARTS)

        def votes(arguments: Arguments, workspace: Value, task: Value) -> None:  # noqa: ARG001
            code = arguments.code
            items = arguments.number(Slot.ITEMS)
            nothing = code.value(0)
            # Whole vectors of inputs, so that no two tasks write into the same one.
            first, end = _range(code, task, vectors, parts)
            values = self._rows(arguments, self.value_rows[number], 0, nothing)
            flow = self._rows(arguments, self.flow_rows[number], 0, nothing)
            code.run(
                f"learn{number}",
                values,
                flow,
                arguments.address(Slot.GRADIENT, each.weights),
                items,
                first * layer.lanes,
                code.least(end * layer.lanes, layer.inputs),
            )
            with code.when(code.test("eq", task, 0)):
                target = arguments.address(Slot.GRADIENT, each.bias)
                code.run(f"bias{number}", flow, target, items)

        return parts, votes


def _height(conv: Convolution) -> int:
    """Return the rows that a convolution is done in: of its target, or of tiles."""
    return conv.tiles[0] if isinstance(conv, Winograd) else conv.target.rows


def _row_of(conv: Convolution) -> int:
    """Return the floats that a row of packed gradients takes while it is added up."""
    return max(conv.target.padded, conv.source.padded)


def _row_sizes(plan: Plan) -> list[int]:
    """Return the floats of one item's values before each voting layer, and after the last."""
    if not plan.voting:
        return []
    return [each.layer.entering for each in plan.voting] + [plan.voting[-1].layer.leaving]


def _rows_of_batch(plan: Plan) -> tuple[list[int], list[int], int]:
    """Return where values and gradients of voting layers lie, and how much that is in all.

    All in floats for each item of the batch.
    """
    values, flows, size = [], [], 0
    for each in plan.voting:
        values.append(size)
        size += each.layer.entering
    for each in plan.voting:
        flows.append(size)
        size += each.layer.leaving
    return values, flows, size


def _choose(
    arguments: Arguments, workspace: Value, task: Value, jobs: list[tuple[int, Task]]
) -> None:
    """Emit a choice among jobs, each of which has so many tasks."""
    code, start = arguments.code, 0
    for count, job in jobs:
        inside = code.op(
            "i1",
            f"and {code.test('sge', task, start)}, {code.test('slt', task, start + count).name}",
        )
        with code.when(inside):
            job(arguments, workspace, task - start)
        start += count


def _range(code: Code, task: Value, height: int, parts: int) -> tuple[Value, Value]:
    """Return the first and the end of one of `parts` parts of `height` rows."""
    first = code.value(code.divide(task * height, parts))
    return first, code.value(code.divide((task + 1) * height, parts))


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
