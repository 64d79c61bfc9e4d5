"""Programs that answer: votes, or the maps after the last step if there is no head.

The two programs, and their phases:

    forward    fold -> pack -> shard                              many items are answered
    single     fold -> pack -> first -> step 0, ... -> votes      one item, shared among threads

A workspace holds one item's maps, and the rows of a shard.
"""

from __future__ import annotations

from gridcnn.engines.native.builder import Builder, items_of, null
from gridcnn.engines.native.emitter import INT, Number, Value
from gridcnn.engines.native.kernels.base import Frame
from gridcnn.engines.native.phases import Arguments
from gridcnn.engines.native.program import MOST_TOGETHER, Argument, Program

# It changes no bit of a result: see `kernels.base`.
_MOST_PARTS = 16  # of one step that are done at the same time, for a single item


class AnswerBuilder(Builder):
    """Emits the programs that answer."""

    def forward(self) -> Program:
        """Return the program that answers many items: votes, or maps if there is no head."""
        plan = self.plan
        self._lay_out(together=MOST_TOGETHER)
        self._pack()
        self._emit_forward()

        def shard(arguments: Arguments, workspace: Value, task: Value) -> None:
            code, head = arguments.code, self._head(arguments, workspace)
            first, count = items_of(arguments, task)
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
                code.run("unpack_cells", last, target, null(code))
            if head:
                kernel, frame = head
                kernel.run_forward(frame, first, count)

        self.phases.add("shard", lambda arguments: arguments.number(Argument.SHARDS), shard)
        return self._finish()

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
            code.run("unpack_cells", source, target, null(code))

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


def _parts(arguments: Arguments, height: int) -> Number:
    """Return into how many parts something of so many rows is divided."""
    return arguments.code.least(arguments.number(Argument.SHARDS), min(height, _MOST_PARTS))


def _part(arguments: Arguments, task: Value, height: int) -> tuple[Value, Value]:
    code = arguments.code
    parts = code.value(_parts(arguments, height))
    ends = [code.op(INT, f"udiv {(task + more) * height}, {parts.name}") for more in (0, 1)]
    return ends[0], ends[1]
