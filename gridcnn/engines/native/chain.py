"""A chain of stages that all have kernels: its programs, its memory, and the calls of both."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets
from gridcnn.engines.native import recipes
from gridcnn.engines.native.call import Call, Floats, Run, address_of
from gridcnn.engines.native.compiler import LOCK
from gridcnn.engines.native.plan import Plan, make_plan
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import MOST_TOGETHER, Argument, Program
from gridcnn.engines.native.summing import Additions, add_shards
from gridcnn.forks import cached_property
from gridcnn.grid import Array, GridShape
from gridcnn.network import Op

Kind = Literal["forward", "single", "training"]

_NONE = np.zeros(0, np.intp)
# Below these, waking a thread or waiting between phases costs more time than the help saves.
_WORTH = 400_000  # multiply-adds that are worth waking another thread for
_TURNS = 4  # shards that each thread answers, if there are enough items: none waits long at the end
_MOST_PHASES = 128  # steps of one item that may each be shared among threads
_SHARED = 1_500_000  # multiply-adds of one item that are worth being shared among threads


class Chain:
    """Stages that follow each other, bound to the processor.

    Args:
        ops: the stages, in their places in a network.
        shape: the shape of the grids that go in.
        processor: what code is made for.
        one_hot: whether grids come as indices.
        wanted: whether training asks for the gradient of the grids.
        threads: the most threads that work at a time.
        gap: floats between all parts of the memory, which nothing may touch; for tests.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        shape: GridShape,
        processor: Processor,
        *,
        one_hot: bool,
        wanted: bool,
        threads: int,
        gap: int = 0,
    ) -> None:
        self.ops = tuple(ops)
        self.processor = processor
        self.threads = threads
        self.gap = gap
        self.cost = sum(op.multiply_adds for op in ops)
        self.plan: Plan = make_plan(ops, shape, processor, one_hot=one_hot, wanted=wanted)

    # What is made, when it is first needed

    @cached_property
    def answering_plan(self) -> Plan:
        """The plan for answers: they do not need the maps before a normalization, nor dropout."""
        plan = self.plan
        if not (plan.mixes_items or plan.factors):
            return plan
        return make_plan(
            self.ops,
            plan.shape,
            self.processor,
            one_hot=plan.one_hot,
            wanted=plan.wanted,
            answers=True,
        )

    @cached_property
    def many(self) -> Call:
        """Answer many items."""
        return self._call("forward", self.many_program)

    @cached_property
    def many_program(self) -> Program:
        """The program that answers many items."""
        return self._program("forward")

    @cached_property
    def one(self) -> Call:
        """Answer one item, all threads together."""
        return self._call("single", self._program("single"))

    @cached_property
    def training(self) -> Call:
        """Take one training step."""
        return self._call("training", self.training_program)

    @cached_property
    def training_program(self) -> Program:
        """The program of a training step."""
        return self._program("training")

    def settle(self) -> None:
        """Give back what training works in; what is needed of it again is made again."""
        for name in ("training", "training_program"):
            self.__dict__.pop(name, None)

    def start_over(self) -> None:
        """Forget what calls have left in memory: in a forked child they may be half done."""
        for value in self.__dict__.values():
            if isinstance(value, Call):
                value.start_over()

    def _plan_for(self, kind: Kind) -> Plan:
        return self.plan if kind == "training" else self.answering_plan

    def _build(self, kind: Kind) -> Program:
        with LOCK:  # no child is to find the builder half imported
            # Not at the top: what was made before needs no builder.
            from gridcnn.engines.native.build_answers import AnswerBuilder
            from gridcnn.engines.native.build_training import TrainingBuilder

            builder = TrainingBuilder if kind == "training" else AnswerBuilder
            made = builder(self._plan_for(kind), self.processor, gap=self.gap)
            program: Program = getattr(made, kind)()
            return program

    def _program(self, kind: Kind) -> Program:
        recipe = recipes.recipe(kind, self._plan_for(kind), self.processor, self.gap)
        return recipes.find(recipe) or recipes.keep(recipe, self._build(kind))

    def _call(self, kind: Kind, program: Program) -> Call:
        return Call(program, self.processor, lambda: program.text or self._build(kind).text)

    # How work is divided

    def workers(self, items: int, *, training: bool = False) -> int:
        """Return how many threads so many items are worth; a training step costs three times."""
        work = items * self.cost * (3 if training else 1)
        return max(1, min(self.threads, work // _WORTH))

    def shards(self, items: int) -> tuple[int, int]:
        """Return how many items a shard has that is answered, and how many shards there are."""
        shard = max(1, min(MOST_TOGETHER, -(-items // (_TURNS * self.workers(items)))))
        return shard, -(-items // shard)

    # What is called

    def forward(self, parameters: Floats, cells: Array) -> tuple[Floats, NDArray[np.intp]]:
        """Return the maps of items, and which items are odd.

        Args:
            parameters: the flat vector.
            cells: the grids, float32 `(items, channels, rows, columns)` in C order; or, if the
                plan is for one-hot grids, their indices, int32 `(items, columns)`.

        Returns:
            The maps or votes, `(items, channels, rows, columns)`, and `odd`: the indices of items
            with NaN or infinite cells, which the kernels cannot handle.
        """
        items = len(cells)
        out = np.empty((items, *self.plan.output.sizes), np.float32)
        if not items:
            return out, _NONE
        not_finite = np.empty(items if self.answering_plan.wants_finite else 0, np.float32)
        call, arguments, threads = self._forward(cells, out, not_finite)
        call(parameters, arguments, threads=threads, keep=(cells, out, not_finite))
        return out, np.flatnonzero(np.isnan(not_finite)) if len(not_finite) else _NONE

    def single(self, parameters: Array) -> SingleItem | None:
        """Return the short way for single items; None if features are packed for every call."""
        cells = np.zeros((1, *self.entering), np.int32 if self.plan.one_hot else np.float32)
        out = np.empty((1, *self.plan.output.sizes), np.float32)
        not_finite = np.zeros(1, np.float32)
        call, arguments, threads = self._forward(cells, out, not_finite)
        if not call.is_packed(parameters):
            return None
        run = call.run(parameters, arguments, threads=threads, keep=(cells, out, not_finite))
        return SingleItem(parameters, call, run, cells, out, not_finite, one_hot=self.plan.one_hot)

    @property
    def entering(self) -> tuple[int, ...]:
        """The sizes of what comes in for one item: cells, or indices."""
        return (self.plan.shape.columns,) if self.plan.one_hot else self.plan.shape.sizes

    def _forward(
        self, cells: Array, out: Floats, not_finite: Floats
    ) -> tuple[Call, tuple[tuple[int, int], ...], int]:
        """Return what answers items, what it is given, and with how many threads."""
        # A single large item is shared among threads, row by row, with a wait after each step. A
        # small one is answered by one thread, and many items are shared in shards.
        items = len(cells)
        threads = self.workers(items)
        shares = len(self.answering_plan.steps) <= _MOST_PHASES
        if items == 1 and threads > 1 and self.cost >= _SHARED and shares:
            call, shard, shards = self.one, 1, 2 * threads
        else:
            call = self.many
            shard, shards = self.shards(items)
        arguments = (
            (_GRIDS, address_of(cells)),
            (_ITEMS, items),
            (_SHARD, shard),
            (_SHARDS, shards),
            (_OUTPUT, address_of(out)),
            (_ODD, address_of(not_finite)),
        )
        return call, arguments, min(threads, shards)

    def step(
        self,
        parameters: Floats,
        cells: Array,
        gradient: Floats,
        *,
        items: int,
        targets: Targets | None = None,
        soft_targets: Floats | None = None,
        output: Floats | None = None,
        factors: Floats | None = None,
        stage_factors: Floats | None = None,
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
            soft_targets: parts of classes, times each item's weight, `(items, classes)`, if the
                loss is by them; where items have several labels, the targets and then what the loss
                of each label counts, `(items, 2, labels)`.
            output: is filled with the logits, where items have several labels.
            factors: for each voting layer with dropout, a factor for each value that enters it.
            stage_factors: for each dropout between stages, factors `(items, cells or maps)`.
            flow: the gradient of the output, if the chain does not end in votes.
            by_grids: is filled with the gradient of the grids, if that is wanted.
        """
        count, call = len(cells), self.training
        shards = -(-count // call.program.shard)
        results = call.scratch("results", 3 * count)
        rows = call.scratch("rows", count * call.program.rows)
        sums = call.scratch("sums", shards * call.program.sums.size)
        additions = add_shards(0, shards, shards)
        arguments, arrays = step_arguments(
            cells=cells,
            targets=targets,
            soft_targets=soft_targets,
            output=output,
            flow=flow,
            gradient=gradient,
            by_grids=by_grids,
            factors=factors,
            stage_factors=stage_factors,
        )
        arguments += [
            (_ROWS, rows.address),
            (_SUMS, sums.address),
            *addition_arguments(additions),
            (_RESULTS, results.address),
            (_ITEMS, count),
            (_SHARD, call.program.shard),
            (_SHARDS, shards),
            (_FACTOR, _bits(1 / items)),
        ]
        threads = self.workers(count, training=True)
        call(parameters, arguments, threads=threads, keep=(arrays, rows, sums, results, additions))
        return results.floats[: 3 * count].reshape(count, 3)


def step_arguments(**arrays: Array | None) -> tuple[list[tuple[int, int]], tuple[Array, ...]]:
    """Return the arguments of a training program, and the arrays that must live meanwhile.

    The names are those of the arguments of `Chain.step`.
    """
    given = {name: array for name, array in arrays.items() if array is not None}
    arguments = [(_ARRAYS[name], address_of(array)) for name, array in given.items()]
    return arguments, tuple(given.values())


def addition_arguments(additions: Additions) -> list[tuple[int, int]]:
    """Return the arguments of a program that adds up sums."""
    return [(_ADDITIONS, address_of(additions.pairs)), (_ADDITION_COUNT, len(additions.pairs))]


@functools.cache
def _bits(number: float) -> int:
    """Return a float32 number as its bits."""
    return int(np.array(number, np.float32).view(np.uint32))


class SingleItem:
    """The short way of one item: what can be prepared for all items of a kind was prepared.

    Call `fits` before each call. Items are copied to the same memory each time, so that
    not even their address changes. `cells` are indices where `one_hot`.
    """

    def __init__(
        self,
        parameters: Array,
        call: Call,
        run: Run,
        cells: Array,
        out: Floats,
        not_finite: Floats,
        *,
        one_hot: bool,
    ) -> None:
        self.one_hot = one_hot
        self._parameters = parameters
        self._call = call
        self._run = run
        self._cells = cells
        self._shape, self._dtype = cells.shape, cells.dtype
        self._out = out
        self._odd = not_finite

    def fits(self, parameters: Array, cells: Array) -> bool:
        """Return whether these are the features, and such an item, that all was prepared for."""
        return (
            parameters is self._parameters
            and cells.shape == self._shape
            and cells.dtype == self._dtype
            and self._call.is_packed(self._parameters)
        )

    def __call__(self, cells: Array) -> Floats | None:
        """Return the output for an item that fits; None if it is odd, see `forward`."""
        self._cells[...] = cells
        self._run()
        return self._out.copy() if self._odd[0] == 0 else None


# Plain numbers: an enumeration's members take time to look up.
_GRIDS, _ITEMS = int(Argument.GRIDS), int(Argument.ITEMS)
_OUTPUT, _ODD = int(Argument.OUTPUT), int(Argument.ODD)
_SHARD, _SHARDS = int(Argument.SHARD), int(Argument.SHARDS)
_TARGETS, _FLOW, _FACTORS = int(Argument.TARGETS), int(Argument.FLOW), int(Argument.FACTORS)
_GRADIENT, _BY_GRIDS, _FACTOR = int(Argument.GRADIENT), int(Argument.BY_GRIDS), int(Argument.FACTOR)
_STAGE_FACTORS, _SOFT_TARGETS = int(Argument.STAGE_FACTORS), int(Argument.SOFT_TARGETS)
_ADDITIONS, _ADDITION_COUNT = int(Argument.ADDITIONS), int(Argument.ADDITION_COUNT)
_ROWS, _SUMS, _RESULTS = int(Argument.ROWS), int(Argument.SUMS), int(Argument.RESULTS)
_ARRAYS = {
    "cells": _GRIDS,
    "targets": _TARGETS,
    "soft_targets": _SOFT_TARGETS,
    "output": _OUTPUT,
    "flow": _FLOW,
    "gradient": _GRADIENT,
    "by_grids": _BY_GRIDS,
    "factors": _FACTORS,
    "stage_factors": _STAGE_FACTORS,
}
