"""A training step whose shards are computed by several processes, to the same bits.

The engine adds up the gradients of shards along a fixed tree (`summing`), whoever has computed
them. So a step can be cut in two, and the first part done anywhere:

    elsewhere   fold -> pack -> shard -> add_up    some shards become the sums of a few branches
    here        add_up -> reduce                   all branches become the gradient

The voting layers' gradient is not added up by shards: it is made here, of rows of numbers that come
back for each item. The code is that of an ordinary training step. The gradient has the same bits
for any number of processes, if all of them compile for the same kind of processor.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gridcnn.contracts.targets import Targets
from gridcnn.engines.native.build_training import TrainingBuilder
from gridcnn.engines.native.call import Call, Floats, address_of
from gridcnn.engines.native.chain import Chain, addition_arguments, step_arguments
from gridcnn.engines.native.program import Argument
from gridcnn.engines.native.summing import Branch, add_branches, add_shards
from gridcnn.forks import cached_property
from gridcnn.network import groups_of


@dataclass(frozen=True)
class ShardTask:
    """Some items of a training step, whole shards of them.

    Attributes:
        shards: which shards they are.
        all_shards: how many shards the step has.
        items: how many items the mean is taken over.
        cells: their grids, or indices, as a chain takes them; or something else that can be sliced,
            which the computing process turns into grids.
        targets, soft_targets: as for `Chain.step`, of these items.
        wants_logits: whether the logits are wanted.
        factors, stage_factors: what dropout multiplies with: one array `(items, size)` for each
            place where it does.
    """

    shards: range
    all_shards: int
    items: int
    cells: Any
    targets: Targets | None
    soft_targets: Floats | None
    wants_logits: bool
    factors: tuple[Floats, ...]
    stage_factors: tuple[Floats, ...]

    def with_cells(self, cells: Any) -> ShardTask:
        """Return the same with its items in another form."""
        return replace(self, cells=cells)

    def part(self, shards: range, chosen: slice) -> ShardTask:
        """Return some of the shards, whose items are `chosen`."""
        return ShardTask(
            shards,
            self.all_shards,
            self.items,
            self.cells[chosen],
            None if self.targets is None else self.targets[chosen],
            None if self.soft_targets is None else self.soft_targets[chosen],
            self.wants_logits,
            tuple(factor[chosen] for factor in self.factors),
            tuple(each[chosen] for each in self.stage_factors),
        )


@dataclass(frozen=True)
class ShardSums:
    """What some shards contribute to a step.

    Attributes:
        branches: which of them have been added up; they come in their order.
        sums: each branch's gradients `(branches, floats)`, as the kernels lay them.
        rows: what the voting layers need of each item, one array `(items, floats)` for each kind.
        results: the three floats of each item's loss, `(items, 3)`.
        logits: `(items, labels)`, if they were wanted.
    """

    branches: tuple[Branch, ...]
    sums: Floats
    rows: tuple[Floats, ...]
    results: Floats
    logits: Floats | None

    @property
    def nbytes(self) -> int:
        """How many bytes they are."""
        return self.sums.nbytes + self.results.nbytes + sum(row.nbytes for row in self.rows)


class SharedChain:
    """Both parts of a chain's training step."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def cuts(self, items: int) -> list[int]:
        """Return where shards begin, and the end: a part of a step begins and ends at one."""
        if self.chain.plan.mixes_items:
            return [0, *(group.stop for group in groups_of(items))]
        return [*range(0, items, self.chain.plan.shard), items]

    def count_shards(self, items: int) -> int:
        """Return how many shards there are."""
        return len(self.cuts(items)) - 1

    def divide(self, items: int, parts: int) -> list[tuple[range, slice]]:
        """Return at most `parts` parts of the shards, in order, each with its items."""
        cuts = self.cuts(items)
        shards = len(cuts) - 1
        parts = min(parts, shards)
        ends = [shards * number // parts for number in range(parts + 1)]
        return [(range(*pair), slice(cuts[pair[0]], cuts[pair[1]])) for pair in pairwise(ends)]

    # The first part

    @cached_property
    def _shards(self) -> tuple[Call, list[tuple[int, int]]]:
        builder = TrainingBuilder(self.chain.plan, self.chain.processor, gap=self.chain.gap)
        program = builder.shards()
        return Call(program, self.chain.processor), _rows(builder)

    def compute(self, parameters: Floats, task: ShardTask) -> ShardSums:
        """Return what some shards contribute; its rows are memory that the next call writes to."""
        (call, kinds), count = self._shards, len(task.cells)
        shards = len(task.shards)
        additions = add_shards(task.shards.start, task.shards.stop, task.all_shards)
        size = call.program.sums.size
        rows = call.scratch("rows", count * call.program.rows)
        memory = call.scratch("sums", shards * size)
        sums = memory.floats[: shards * size].reshape(shards, size)
        results = np.empty((count, 3), np.float32)
        soft = task.soft_targets
        logits = None
        if task.wants_logits and soft is not None:
            logits = np.empty((count, soft.shape[2]), np.float32)
        arguments, arrays = step_arguments(
            cells=task.cells,
            targets=task.targets,
            soft_targets=soft,
            output=logits,
            factors=_flat(task.factors),
            stage_factors=_flat(task.stage_factors),
        )
        arguments += [
            (int(Argument.ROWS), rows.address),
            (int(Argument.SUMS), memory.address),
            (int(Argument.RESULTS), address_of(results)),
            *addition_arguments(additions),
            *_count_up(count, self.chain.plan.shard, shards, task.items),
        ]
        threads = self.chain.workers(count, training=True)
        keep = (arrays, rows, memory, results, additions)
        call(parameters, arguments, threads=threads, keep=keep)
        by_kind = tuple(
            rows.floats[count * place : count * (place + floats)].reshape(count, floats)
            for place, floats in kinds
        )
        added = sums[list(additions.places)]
        return ShardSums(additions.branches, added, by_kind, results, logits)

    # The second part

    @cached_property
    def _gradient(self) -> tuple[Call, list[tuple[int, int]]]:
        builder = TrainingBuilder(self.chain.plan, self.chain.processor, gap=self.chain.gap)
        program = builder.gradient()
        return Call(program, self.chain.processor), _rows(builder)

    def finish(
        self,
        parameters: Floats,
        gradient: Floats,
        parts: Iterable[tuple[slice, ShardSums]],
        *,
        count: int,
        items: int,
    ) -> Floats:
        """Write the gradient of all shards; return the floats of each item's loss.

        Args:
            parameters: the flat vector.
            gradient: is written.
            parts: all parts with their items, in any order; each is copied as soon as it comes.
            count: the items of all parts.
            items: what the mean is taken over.
        """
        call, kinds = self._gradient
        rows = call.scratch("rows", count * call.program.rows)
        blocks = [
            rows.floats[count * place : count * (place + floats)].reshape(count, floats)
            for place, floats in kinds
        ]
        results = np.empty((count, 3), np.float32)
        found = []
        for chosen, part in parts:
            results[chosen] = part.results
            for block, own in zip(blocks, part.rows, strict=True):
                block[chosen] = own
            found.append(part)
        found.sort(key=lambda part: part.branches[0].first)  # the gradient is read where it begins
        sums = np.concatenate([part.sums for part in found])
        shards = self.count_shards(count)
        additions = add_branches(tuple(itertools.chain(*(each.branches for each in found))), shards)
        arguments = [
            (int(Argument.GRADIENT), address_of(gradient)),
            (int(Argument.ROWS), rows.address),
            (int(Argument.SUMS), address_of(sums)),
            *addition_arguments(additions),
            *_count_up(count, self.chain.plan.shard, shards, items),
        ]
        threads = self.chain.workers(count, training=True)
        call(parameters, arguments, threads=threads, keep=(gradient, sums, rows, additions))
        return results


def _rows(builder: TrainingBuilder) -> list[tuple[int, int]]:
    """Return where each kind of rows begins, and its floats, for one item."""
    return [(place, floats) for _, place, floats in builder.rows.parts]


def _flat(arrays: Sequence[Floats]) -> Floats | None:
    """Return what the program takes: one array behind the other; None for nothing."""
    return np.concatenate([array.ravel() for array in arrays]) if arrays else None


def _count_up(count: int, shard: int, shards: int, items: int) -> list[tuple[int, int]]:
    factor = int(np.array(1 / items, np.float32).view(np.uint32))
    return [
        (int(Argument.ITEMS), count),
        (int(Argument.SHARD), shard),
        (int(Argument.SHARDS), shards),
        (int(Argument.FACTOR), factor),
    ]
