"""The native engine: a network compiled for this processor, and run by several threads.

A network is divided into pieces: as many operations in a row as have kernels, and single ones that
have none, such as stages of other packages and merges. Operations are in a row if each reads what
the one before it makes, and nothing else does. For example:

    operations  convolution  rectification  pooling  foreign  convolution  votes
    pieces      [-------- native, a Chain --------]  [plain]  [-- native, a Chain --]

A batch goes through all pieces, in rounds of at most `ROUND` items.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gridcnn.contracts.adapter import OneHotAdapter
from gridcnn.contracts.targets import (
    SoftTargets,
    Targets,
    check_weights,
    most,
    soften,
)
from gridcnn.cores import usable_cores
from gridcnn.engines.base import (
    Engine,
    Memory,
    PlanDescription,
    StepResult,
    generators,
    take_running,
)
from gridcnn.engines.native.call import Floats
from gridcnn.engines.native.chain import Chain, SingleItem
from gridcnn.engines.native.kernels.registry import has_kernel
from gridcnn.engines.native.moves import move
from gridcnn.engines.native.plan import reads_indices
from gridcnn.engines.native.processor import processor
from gridcnn.engines.reference import OpBackward, ReferenceEngine, apply, parts_of, plain
from gridcnn.forks import cached_property, start_over_in_children
from gridcnn.grid import Array, Cells, OneHot, fetch_cells
from gridcnn.network import GROUP, Network, Op, groups_of
from gridcnn.stages.dropout import Dropout
from gridcnn.stages.voting import IndependentVotes, Votes, VotingLayers

if TYPE_CHECKING:
    from gridcnn.engines.native import describe

_LOSSES = (Votes, IndependentVotes)
"""Heads whose loss is part of their kernel."""
ROUND = 512
"""Most items of one native call: more are done in rounds, so that Ctrl-C is heard in between."""


class NativeEngine(Engine):
    """Compiles what it is asked for, when it is first asked for it.

    Stages that have no kernel are done by their own arithmetic, between two chains that have. With
    parameters that are not float32, everything is: the machine code knows float32 alone.
    """

    name = "native"

    def __init__(self, network: Network, *, threads: int | None = None) -> None:
        super().__init__(network, threads=threads)
        self._begin()

    def _begin(self) -> None:
        self.processor = processor()
        self._count = self.threads or usable_cores()
        # What a chain works in belongs to one call at a time.
        self._lock = threading.RLock()
        start_over_in_children(self)
        self._chains: dict[tuple[int, int, bool], Chain] = {}
        self._pieces: dict[int, list[Piece]] = {}
        self._reference = ReferenceEngine(self.network)
        self._single: SingleItem | None = None
        self._all_change = all(
            slot.parameter.role != "fixed" for op in self.network.ops for slot in op.slots
        )

    def start_over(self) -> None:
        """Return to the state before the first call, but keep the code.

        Called in forked children.
        """
        self._lock = threading.RLock()
        self._single = None
        for chain in self._chains.values():
            chain.start_over()

    def __getstate__(self) -> dict[str, Any]:
        """Return what makes the same engine again: machine code stays where it was made."""
        return {"network": self.network, "threads": self.threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    @property
    def workers(self) -> int:
        """The most threads that work at a time."""
        return self._count

    def plan(self) -> PlanDescription:
        """Return which stages are done together, and by which kernels; see `describe`."""
        from gridcnn.engines.native import describe

        return describe.plan(self._division(), self.processor, self.workers)

    def memory(self, batch_size: int) -> Memory:
        """Return what batches of so many items take; see `describe`."""
        from gridcnn.engines.native import describe

        return describe.memory(self._division(), batch_size)

    def _division(self) -> describe.Division:
        """Return how the network is divided, for grids as its own adapter makes them."""
        from gridcnn.engines.native import describe

        ops, adapter = self.network.ops, self.network.spec.adapter
        parts = []
        for piece in self.pieces():
            one_hot = isinstance(adapter, OneHotAdapter) and reads_indices(ops)
            chain = self.chain(piece, one_hot=one_hot and not piece.start) if piece.native else None
            parts.append(describe.Part(ops[piece.start : piece.stop], chain))
        return describe.Division(self.network, tuple(parts), ROUND)

    def settle(self) -> None:
        """Give back what training works in."""
        with self._lock:
            for chain in self._chains.values():
                chain.settle()

    def maps(self, parameters: Array, grids: Cells, *, after: int | None = None) -> Array:
        """Return the grids after an operation."""
        if self._single is not None and after is None:
            out = self._at_once(self._single, parameters, grids)
            if out is not None:
                return out
        stop = self.network.result if after is None else after + 1
        if parameters.dtype != np.float32 or not stop:
            return self._reference.maps(parameters, grids, after=after)
        vector = self._vector(parameters)
        with self._lock:
            if len(grids) <= ROUND:
                answer = self._through(vector, grids, stop)
                # A caller with a single item is likely to have more, one by one.
                if len(grids) == 1 and after is None:
                    self._single = self._prepare_single(parameters, grids)
                return answer
            out = np.empty((len(grids), *self.network.values[stop].sizes), np.float32)
            for part in _rounds(len(grids)):
                out[part] = self._through(vector, grids[part], stop)
        return out

    def _at_once(self, single: SingleItem, parameters: Array, grids: Cells) -> Array | None:
        """Return the maps of one more item like the last one; None if it is not like that."""
        if single.one_hot != isinstance(grids, OneHot):
            return None
        if isinstance(grids, OneHot):
            values, rows = grids.indices, self.network.shape.rows
            if grids.rows != rows or not values.size or values.min() < -1 or values.max() >= rows:
                return None
        else:
            values = grids
        with self._lock:
            return single(values) if single.fits(parameters, values) else None

    def _prepare_single(self, parameters: Array, grids: Cells) -> SingleItem | None:
        """Return the short way for more items like this one, if there is one."""
        piece, *others = self.pieces()
        if others or not piece.native:
            return None
        return self._entering(piece, grids)[0].single(parameters)

    def _vector(self, parameters: Array) -> Floats:
        if parameters.shape != (self.network.parameters,):
            raise ValueError(
                f"{self.network.parameters} parameters were expected; got {parameters.shape}"
            )
        return np.ascontiguousarray(parameters)

    def _through(self, vector: Floats, grids: Cells, stop: int) -> Array:
        """Return the value that the operation before `stop` makes, for one round of items."""
        values: dict[int, Cells] = {0: grids}
        for piece in self.pieces(stop):
            sources = [values[source] for source in self._sources(piece)]
            for source in self._sources(piece):
                if self.network.last_readers[source] < piece.stop:
                    values.pop(source, None)
            values[piece.stop] = self._forward(piece, vector, sources)
        return np.asarray(values[stop])

    def _sources(self, piece: Piece) -> tuple[int, ...]:
        """Return the numbers of the values that enter a piece; it makes the value `piece.stop`."""
        return self.network.ops[piece.start].sources

    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        random: np.random.Generator | None = None,
    ) -> StepResult:
        """Return loss and gradient of a batch, done in rounds."""
        if parameters.dtype != np.float32 or not len(grids):
            return self._reference.step(parameters, grids, targets, weights=weights, random=random)
        vector = self._vector(parameters)
        classes = self.network.output.cells
        targets = self.head.check_targets(targets, items=len(grids), classes=classes)
        if weights is not None:
            weights = check_weights(weights, items=len(grids))
        gradient = self._empty_gradient()
        total, hits = 0.0, 0
        chances = generators(self.network, random)
        with self._lock:
            # Rounds are added up in their order, in float32, so that bits depend on nothing else.
            for number, part in enumerate(self._training_rounds(len(grids))):
                part_gradient = gradient if not number else self._empty_gradient()
                losses, right = self._round(
                    vector,
                    grids[part],
                    (targets[part], None if weights is None else weights[part]),
                    part_gradient,
                    chances,
                    items=len(grids),
                )
                if number:
                    gradient += part_gradient
                total += float(losses.sum(dtype=np.float64))
                hits += right
        running = take_running(self.network, vector, gradient)
        return StepResult(total / len(grids), hits, gradient, running)

    def _training_rounds(self, items: int) -> Iterator[slice]:
        """Yield the rounds of a step; a group of items that are mixed is in one of them."""
        if not self.network.mixes_items:
            yield from _rounds(items)
            return
        together = ROUND // GROUP
        groups = list(groups_of(items))
        for start in range(0, len(groups), together):
            part = groups[start : start + together]
            yield slice(part[0].start, part[-1].stop)

    def _empty_gradient(self) -> Floats:
        """Return a gradient that is 0 wherever nothing will be written."""
        make = np.empty if self._all_change else np.zeros
        return make(self.network.parameters, np.float32)

    def move(self, name: str, vectors: Sequence[Array], numbers: Sequence[float]) -> bool:
        """Make the move in one pass over the vectors."""
        return move(name, vectors, numbers, self.processor, self._count)

    # Pieces

    def pieces(self, stop: int | None = None) -> list[Piece]:
        """Return the first operations in pieces that either all have kernels, or have none."""
        stop = len(self.network.ops) if stop is None else stop
        if stop not in self._pieces:
            self._pieces[stop] = self._divide(stop)
        return self._pieces[stop]

    def _divide(self, stop: int) -> list[Piece]:
        pieces: list[Piece] = []
        cuts = self._cuts(stop)
        for start, end in itertools.pairwise(cuts):
            if all(self._is_native(op) for op in self.network.ops[start:end]):
                pieces.append(Piece(start, end, native=True))
            else:
                pieces += self._one_by_one(start, end)
        readers = Counter(source for op in self.network.ops[:stop] for source in op.sources)
        places = set(cuts)
        joined: list[Piece] = []
        for piece in pieces:
            # Between two cuts lie all operations that read the value at the first of them.
            is_complete = {piece.start, piece.stop} <= places
            follows = self._sources(piece) == (piece.start,) and readers[piece.start] == 1
            if joined and joined[-1].native and piece.native and (is_complete or follows):
                joined[-1] = Piece(joined[-1].start, piece.stop, native=True)
            else:
                joined.append(piece)
        return joined

    def _cuts(self, stop: int) -> list[int]:
        """Return where the first `stop` operations can be cut: where one value alone is alive.

        That is the value that the operation before the cut has made: no operation behind it reads
        any other.
        """
        ops = self.network.ops[:stop]
        last = dict.fromkeys(range(stop + 1), -1)
        for number, op in enumerate(ops):
            last.update(dict.fromkeys(op.sources, number))
        cuts, alive = [0], 0  # `alive`: how far operations read values that are made so far
        for number in range(1, stop + 1):
            alive = max(alive, last[number - 1])
            if number == stop or alive < number:
                cuts.append(number)
        return cuts

    def _one_by_one(self, start: int, stop: int) -> list[Piece]:
        """Return pieces of one operation each; merges take several values, and are done plainly."""
        return [
            Piece(number, number + 1, native=self._is_native(op) and len(op.sources) == 1)
            for number, op in enumerate(self.network.ops[start:stop], start)
        ]

    def _is_native(self, op: Op) -> bool:
        """Return whether an operation is done by a kernel."""
        alone = op.mixes_items or (op.draws and op is not self.network.ops[-1])
        return has_kernel(op) and (self._is_one_program or not alone)

    @cached_property
    def _is_one_program(self) -> bool:
        """Whether all of a training step is one native call.

        Only then may kernels mix items or leave cells out: otherwise the way forward of a piece is
        that of answers.
        """
        ops = self.network.ops
        return all(map(has_kernel, ops)) and self._has_loss

    @cached_property
    def _has_loss(self) -> bool:
        """Whether the loss is that of a kernel; a subclass of these heads may have any."""
        return bool(self.network.ops) and type(self.network.ops[-1].stage) in _LOSSES

    def chain(self, piece: Piece, *, one_hot: bool = False) -> Chain:
        """Return the chain for a piece that has kernels."""
        key = (piece.start, piece.stop, one_hot)
        if key not in self._chains:
            ops = self.network.ops
            earlier = (slot for op in ops[: piece.start] for slot in op.slots)
            self._chains[key] = Chain(
                ops[piece.start : piece.stop],
                ops[piece.start].input,
                self.processor,
                one_hot=one_hot,
                wanted=any(slot.parameter.trainable for slot in earlier),
                threads=self._count,
            )
        return self._chains[key]

    def _entering(self, piece: Piece, values: Cells) -> tuple[Chain, Array]:
        """Return the chain for a piece, and its input in the form that it takes.

        Compiled code does not check bounds, so sizes and indices must be right.
        """
        shape = self.network.ops[piece.start].input
        values = fetch_cells(values)
        if values.shape[1:] != shape.sizes:
            raise ValueError(f"grids of {shape} were expected; got an array {values.shape}")
        if isinstance(values, OneHot) and reads_indices(self.network.ops[piece.start : piece.stop]):
            indices = np.ascontiguousarray(values.indices, np.int32)
            if indices.size and (indices.min() < -1 or indices.max() >= values.rows):
                raise IndexError(f"indices must be numbers from -1 to {values.rows - 1}")
            return self.chain(piece, one_hot=True), indices
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
            return self.chain(piece), np.ascontiguousarray(values, np.float32)

    def _forward(self, piece: Piece, vector: Floats, sources: Sequence[Cells]) -> Array:
        if not piece.native:
            return self._plainly(piece, vector, sources)
        chain, cells = self._entering(piece, sources[0])
        out, not_finite = chain.forward(vector, cells)
        # Winograd tiles may turn infinite cells into NaN; plain arithmetic answers as it should.
        if len(not_finite):
            out[not_finite] = self._plainly(piece, vector, [sources[0][not_finite]])
        return out

    def _plainly(self, piece: Piece, vector: Floats, sources: Sequence[Cells]) -> Array:
        """Return the output of a piece, by the stages' own arithmetic."""
        ops = self.network.ops[piece.start : piece.stop]
        items = len(sources[0])
        out = np.empty((items, *ops[-1].output.sizes), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for part in parts_of(self.network, items):
                entering = [plain(source[part], vector) for source in sources]
                values = dict(zip(ops[0].sources, entering, strict=False))
                for op in ops:
                    grids = [values[source] for source in op.sources]
                    output, _ = apply(op.stage, grids, op.views(vector))
                    values[op.target] = plain(output, vector)
                out[part] = values[ops[-1].target]
        return out

    # Training

    def _round(
        self,
        vector: Floats,
        grids: Cells,
        wanted: tuple[Targets | SoftTargets, Array | None],
        gradient: Floats,
        chances: Sequence[np.random.Generator | None],
        *,
        items: int,
    ) -> tuple[Array, int]:
        """Write the gradient of a round; return the losses, and how many answers were right.

        `wanted` are the targets of its items, and their weights.
        """
        # Pieces forward, except for a native one that ends in the votes: it does its way forward,
        # the loss and its way back in one call. Then the other pieces back. A native piece goes
        # forward once more on its way back, so that no maps inside of it are kept.
        pieces = self.pieces()
        values: dict[int, Cells] = {0: grids}
        trail: dict[int, list[tuple[slice, OpBackward]]] = {}
        has_loss = bool(pieces) and pieces[-1].native and self._has_loss
        for piece in pieces[:-1] if has_loss else pieces:
            sources = [values[source] for source in self._sources(piece)]
            if piece.native:
                values[piece.stop] = self._forward(piece, vector, sources)
            else:
                values[piece.stop], trail[piece.start] = self._learn(
                    piece, vector, sources, chances[piece.start]
                )
        flows: dict[int, Array] = {}
        if has_loss:
            # A merge at its beginning may read the same value several times.
            (source,) = set(self._sources(pieces[-1]))
            losses, right, flows[source] = self._end(
                pieces[-1], vector, values[source], wanted, gradient, chances, items=items
            )
            pieces = pieces[:-1]
        else:
            out = np.asarray(values[self.network.result])
            logits = out.reshape(len(grids), -1)
            with np.errstate(over="ignore", invalid="ignore"):
                losses, back = self.head.losses(logits, wanted[0])
                if wanted[1] is not None:
                    losses, back = losses * wanted[1], back * wanted[1][:, None]
                right = int(self.head.hits(logits, wanted[0]).sum())
            flows[self.network.result] = (back / items).astype(np.float32).reshape(out.shape)
        for piece in reversed(pieces):
            numbers = self._sources(piece)
            flow = flows.pop(piece.stop)
            if piece.native:
                numbers = numbers[:1]
                by_sources = [self._back(piece, vector, values[numbers[0]], flow, gradient)]
            else:
                by_sources = self._back_plainly(piece, flow, gradient, trail[piece.start], items)
            with np.errstate(over="ignore", invalid="ignore"):
                for source, by_source in zip(numbers, by_sources, strict=True):
                    if source:  # the gradient of the grids themselves is not needed
                        flows[source] = flows[source] + by_source if source in flows else by_source
        return losses, right

    def _end(
        self,
        piece: Piece,
        vector: Floats,
        values: Cells,
        wanted: tuple[Targets | SoftTargets, Array | None],
        gradient: Floats,
        chances: Sequence[np.random.Generator | None],
        *,
        items: int,
    ) -> tuple[Array, int, Array]:
        """Do the piece that ends in the votes, its loss, and its way back.

        Return the losses, how many answers were right, and the gradient of what entered.
        """
        chain, cells = self._entering(piece, values)
        # If nothing before the votes learns, nothing is written.
        make = np.empty if chain.plan.wanted else np.zeros
        back = make((len(cells), *chain.plan.shape.sizes), np.float32)
        step = functools.partial(
            self._take_step,
            chain,
            vector,
            cells,
            gradient,
            items=items,
            factors=_factors(chain, len(cells), chances[-1]),
            stage_factors=self._stage_factors(chain, len(cells), chances),
            by_grids=back if chain.plan.wanted else None,
        )
        targets, weights = wanted
        if self.head.several:
            logits = np.empty(targets.shape, np.float32)
            step(soft_targets=_label_rows(targets, weights), output=logits)
            with np.errstate(over="ignore", invalid="ignore"):
                losses, _ = self.head.losses(logits, targets)
                if weights is not None:
                    losses = losses * weights
            return losses, int(self.head.hits(logits, targets).sum()), back
        soft = None
        if weights is not None or targets.ndim == 2:
            soft = soften(targets, self.network.output.cells)
            soft = soft if weights is None else soft * weights[:, None]
        results = step(targets=most(targets), soft_targets=soft)
        # log(sum of exponentials) - right logit, both after the largest logit was taken off.
        with np.errstate(invalid="ignore"):
            losses = np.log(results[:, 0])
            if soft is not None:
                losses *= soft.sum(axis=1)
            losses -= results[:, 1]
        return losses, int(results[:, 2].sum()), back

    def _take_step(
        self, chain: Chain, vector: Floats, cells: Array, gradient: Floats, **options: Any
    ) -> Floats:
        """Do `Chain.step`; an engine that shares its shards with others overrides this."""
        return chain.step(vector, cells, gradient, **options)

    def _learn(
        self,
        piece: Piece,
        vector: Floats,
        sources: Sequence[Cells],
        random: np.random.Generator | None,
    ) -> tuple[Array, list[tuple[slice, OpBackward]]]:
        """Return the output of an operation without a kernel in training, and its ways back.

        There is one way back for each group of items if the operation mixes them, else one in all.
        """
        op = self.network.ops[piece.start]
        items = len(sources[0])
        out = np.empty((items, *op.output.sizes), np.float32)
        trail = []
        with np.errstate(over="ignore", invalid="ignore"):
            for part in groups_of(items) if op.mixes_items else [slice(0, items)]:
                grids = [plain(source[part], vector) for source in sources]
                out[part], backward = apply(
                    op.stage, grids, op.views(vector), training=True, random=random
                )
                trail.append((part, backward))
        return out, trail

    def _stage_factors(
        self, chain: Chain, items: int, chances: Sequence[np.random.Generator | None]
    ) -> Floats | None:
        """Return what dropout between stages multiplies with, step after step; None for nothing."""
        if not chain.plan.factors:  # as in most networks; there may be thousands of steps
            return None
        parts = []
        for step in chain.plan.steps:
            stage = step.ops[0].stage
            if not step.kernel.factors or not isinstance(stage, Dropout):
                continue
            random = chances[step.ops[0].target - 1]
            if random is None:
                return None
            sizes = (items, step.kernel.factors)
            parts.append(stage.draw_factors(sizes, random, np.dtype(np.float32)).ravel())
        return np.concatenate(parts) if parts else None

    def _back(
        self, piece: Piece, vector: Floats, values: Cells, flow: Array, gradient: Floats
    ) -> Array:
        """Write the gradient of a native piece's parameters; return that of what entered it."""
        chain, cells = self._entering(piece, values)
        by_grids = np.zeros((len(cells), *chain.plan.shape.sizes), np.float32)
        chain.step(
            vector,
            cells,
            gradient,
            items=len(cells),
            flow=np.ascontiguousarray(flow.reshape(len(cells), chain.plan.output.cells)),
            by_grids=by_grids if chain.plan.wanted else None,
        )
        return by_grids

    def _back_plainly(
        self,
        piece: Piece,
        flow: Array,
        gradient: Floats,
        trail: list[tuple[slice, OpBackward]],
        items: int,
    ) -> list[Array]:
        """Write the gradient of an operation's parameters; return those of what entered it."""
        op = self.network.ops[piece.start]
        for slot in op.slots:
            gradient[slot.part] = 0
        parts = []
        with np.errstate(over="ignore", invalid="ignore"):
            for part, backward in trail:
                by_sources, gradients = backward(
                    plain(flow[part], gradient), need_input=any(op.sources)
                )
                parts.append(by_sources)
                for slot in op.slots:
                    if slot.parameter.role == "running":
                        gradient[slot.part] += gradients[slot.parameter.name].ravel() / items
                    elif slot.parameter.trainable:
                        gradient[slot.part] += gradients[slot.parameter.name].ravel()
            if len(parts) == 1:
                return [plain(by_source, gradient) for by_source in parts[0]]
            return [
                np.concatenate([plain(by_sources[number], gradient) for by_sources in parts])
                for number in range(len(op.sources))
            ]


@dataclass(frozen=True)
class Piece:
    """Blocks of a network that are done together: from `start` up to, and without, `stop`."""

    start: int
    stop: int
    native: bool


def _rounds(items: int) -> Iterator[slice]:
    for start in range(0, items, ROUND):
        yield slice(start, min(start + ROUND, items))


def _label_rows(targets: Targets | SoftTargets, weights: Array | None) -> Floats:
    """Return the targets of labels and what the loss of each counts, `(items, 2, labels)`.

    What is not known counts nothing.
    """
    is_known = ~np.isnan(targets)
    rows = np.empty((len(targets), 2, targets.shape[1]), np.float32)
    rows[:, 0] = np.where(is_known, targets, 0)
    rows[:, 1] = is_known / np.float32(targets.shape[1])
    if weights is not None:
        rows[:, 1] *= weights[:, None]
    return rows


def _factors(chain: Chain, items: int, random: np.random.Generator | None) -> Floats | None:
    """Return what dropout multiplies values with, layer after layer, or None if it does not."""
    head = chain.plan.head
    if random is None or head is None or not head.kernel.dropouts:
        return None
    sizes = [values for values, _ in head.kernel.dropouts]
    _, rate = head.kernel.dropouts[0]  # that of all layers
    factors = VotingLayers.dropout_factors(items, sizes, rate, random)
    return np.concatenate([factor.ravel() for factor in factors])
