"""What the planner has decided, in words and in numbers; nothing is compiled to tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridcnn.caches import homely
from gridcnn.engines.base import Memory, Plan, Work
from gridcnn.engines.native.cache import object_cache
from gridcnn.engines.native.chain import Chain
from gridcnn.engines.native.kernels import convolution
from gridcnn.engines.native.kernels.convolution import Convolution
from gridcnn.engines.native.kernels.convolution_backward import is_narrow
from gridcnn.engines.native.kernels.lookup import Lookup
from gridcnn.engines.native.kernels.pooling import Pooling
from gridcnn.engines.native.kernels.winograd import Winograd
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.plan import Step, VotingLayer
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Program
from gridcnn.errors import sized
from gridcnn.network import Network, Op

_FLOAT, _RESULT = 4, 12  # bytes of a number, and of what an item's loss is made from
# Bytes that LLVM takes, as measured: to compile anything, for each character of a program's text,
# and to have a program loaded.
_COMPILER, _CHARACTER, _LOADED = 4_000_000, 4, 1_600_000

# What the gradient of a convolution is made by, in the words of facts and of notes.
_SIFTED, _DENSE, _INDEXED, _NONE = "sifted", "dense", "indexed", "none"
_OF_FEATURES = {
    _SIFTED: "sifted: each filter has a list of the cells that have a gradient",
    _DENSE: "dense: every cell is visited, since the grid has too few channels for a vector",
    _INDEXED: "indexed: the gradient at a position is added at the indices under it",
    _NONE: "none: they do not learn",
}
_OF_GRID = {
    _SIFTED: "sifted: each cell has a list of the filters that have a gradient there",
    _NONE: "none: nothing before it learns",
}


@dataclass(frozen=True)
class Part:
    """Stages in a row: they are computed by a chain, or, without one, by their own arithmetic."""

    ops: tuple[Op, ...]
    chain: Chain | None


@dataclass(frozen=True)
class Division:
    """How an engine has divided a network; `round_items` are the most items of one native call."""

    network: Network
    parts: tuple[Part, ...]
    round_items: int

    @property
    def chains(self) -> list[Chain]:
        """The chains of all parts that have one."""
        return [part.chain for part in self.parts if part.chain is not None]


# Plans ------------------------------------------------------------------------------------------


def plan(division: Division, processor: Processor, threads: int) -> Plan:
    """Return the plan of the native engine: what is done together, and by which kernels."""
    works: list[Work] = []
    for part in division.parts:
        if part.chain is not None:
            works += _works(part.chain)
        else:
            without = ("there is no kernel for this stage",)
            works += [Work((op.label,), "reference arithmetic", without) for op in part.ops]
    notes, facts = _of_machine(processor)
    chains, most = division.chains, division.round_items
    described = [_of_chain(chain, most, alone=len(chains) == 1) for chain in chains]
    for more, _ in described:
        notes += more
    facts = {**facts, "round": most, "chains": [each for _, each in described]}
    return Plan("native", threads, tuple(works), tuple(notes), facts)


def _of_machine(processor: Processor) -> tuple[list[str], dict[str, Any]]:
    cache = object_cache()
    held = cache.size()
    place = f"{homely(cache.folder)}, {sized(held)} of at most {sized(cache.limit)}"
    fused = "multiply-add in one instruction" if processor.fma else "no multiply-add"
    notes = [
        f"processor: {processor.name}, vectors of {processor.lanes} numbers, "
        f"{processor.registers} registers, {fused}",
        f"cache: {place}" if cache.folder else "cache: none; each process compiles again",
    ]
    facts = {
        "processor": {
            "name": processor.name,
            "lanes": processor.lanes,
            "registers": processor.registers,
            "multiply_add": processor.fma,
        },
        "cache": {
            "folder": str(cache.folder) if cache.folder else None,
            "bytes": held,
            "limit": cache.limit,
        },
    }
    return notes, facts


def _of_chain(chain: Chain, most: int, *, alone: bool) -> tuple[list[str], dict[str, Any]]:
    """Return how a chain's work is divided, and what it works in."""
    which = "" if alone else f" of {chain.ops[0].label} to {chain.ops[-1].label}"
    training, answers = chain.training_program, chain.many_program
    spaces = [_FLOAT * program.workspace.size for program in (training, answers)]
    packed = _FLOAT * (training.packed.size + answers.packed.size)
    notes = [
        f"training{which}: shards of {training.shard} items, rounds of at most {most}",
        f"workspaces{which}: {sized(spaces[0])} for each thread that trains, {sized(spaces[1])} "
        f"for each that answers, {sized(packed)} for features in the order of the kernels",
    ]
    facts = {
        "stages": [op.label for op in chain.ops],
        "shard": training.shard,
        "workspace": {"training": spaces[0], "prediction": spaces[1]},
        "packed": packed,
        "row": _FLOAT * training.rows,
        "sums": _FLOAT * training.sums.size,
    }
    return notes, facts


def _works(chain: Chain) -> list[Work]:
    works = [_work(step, chain.processor) for step in chain.plan.steps]
    if chain.plan.voting:
        op = chain.ops[-1]
        passes_on = chain.plan.wanted or any(step.learns for step in chain.plan.steps)
        works.append(_voting(op, chain.plan.voting, passes_on=passes_on))
    return works


def _work(step: Step, processor: Processor) -> Work:
    labels = tuple(op.label for op in step.ops)
    maps = _maps(step.target)
    match step.work:
        case Convolution() as conv:
            return _convolution(labels, step, conv, processor)
        case Pooling() as pooling:
            way = "in equal parts" if pooling.mean else "to the first of the largest cells"
            kernel, gradient = "pooling", way if step.passes_on else _OF_GRID[_NONE]
        case None:
            way = "where the map is above 0"
            kernel, gradient = "rectification", way if step.passes_on else _OF_GRID[_NONE]
    notes = (maps, f"gradient of the grid, {gradient}")
    return Work(labels, kernel, notes, _maps_facts(step.target))


def _convolution(
    labels: tuple[str, ...], step: Step, conv: Convolution, processor: Processor
) -> Work:
    width, windows, positions = _tile(conv, processor)
    by_features = _SIFTED
    if not step.learns:
        by_features = _NONE
    elif isinstance(conv, Lookup):
        by_features = _INDEXED
    elif is_narrow(conv):
        by_features = _DENSE
    by_grid = _SIFTED if step.passes_on else _NONE
    vectors = "1 vector" if width == 1 else f"{width} vectors"
    tile = f"tiles of {positions} positions x {vectors} of filters"
    kernel = "convolution"
    if isinstance(conv, Lookup):
        kernel = "lookup"
    elif isinstance(conv, Winograd):
        kernel = "Winograd convolution"
        plain = conv.tile[0] * conv.tile[1] * len(conv.taps)
        tile += (
            f", {conv.points} multiplications for {conv.tile[0]} x {conv.tile[1]} positions "
            f"instead of {plain}"
        )
    if conv.pooled and not isinstance(conv, Winograd):
        tile += f", whole windows of {' x '.join(map(str, conv.window))}"
    notes = (
        _maps(conv.target),
        tile,
        f"gradient of the features, {_OF_FEATURES[by_features]}",
        f"gradient of the grid, {_OF_GRID[by_grid]}",
    )
    facts = {
        **_maps_facts(conv.target),
        "window": list(conv.window) if conv.pooled else None,
        "tile": {"vectors": width, "windows": windows, "positions": positions},
        "gradient": {"features": by_features, "grid": by_grid},
    }
    return Work(labels, f"fused {kernel}" if labels[1:] else kernel, notes, facts)


def _tile(conv: Convolution, processor: Processor) -> tuple[int, int, int]:
    """Return the vectors of filters, the windows and the positions of the usual tile."""
    room = convolution.room_for(processor.registers)
    width = convolution.filter_chunks(conv, processor.registers)[0].width
    if isinstance(conv, Winograd):
        down, across = conv.group(processor.registers)
        return width, down * across, down * across * conv.tile[0] * conv.tile[1]
    # A map that is smaller than a window is one window, which its edge cuts.
    height, across = min(conv.window[0], conv.rows), min(conv.window[1], conv.columns)
    windows = 1
    if conv.whole_windows(1):
        fewest, more = convolution.windows_of_tile(conv, room, width, height)
        windows = fewest + bool(more)
    return width, windows, windows * height * across


def _voting(op: Op, layers: tuple[VotingLayer, ...], *, passes_on: bool) -> Work:
    notes = [
        f"{each.layer.inputs:,} values to {each.layer.outputs:,} votes, in vectors of "
        f"{each.layer.lanes} values" + (f", dropout {each.dropout:g}" if each.dropout else "")
        for each in layers
    ]
    notes.append("gradient of the weights, over the whole batch after the last shard")
    if not passes_on:
        notes.append(f"gradient of the grid, {_OF_GRID[_NONE]}")
    facts = {
        "layers": [
            {"inputs": each.layer.inputs, "outputs": each.layer.outputs, "lanes": each.layer.lanes}
            for each in layers
        ]
    }
    return Work((op.label,), "matrix product", tuple(notes), facts)


def _maps(maps: Maps) -> str:
    if maps.lanes == 1:
        return f"maps of {maps.channels} channels, one number at a time"
    spare = maps.padded - maps.channels
    padded = f", padded to {maps.padded}" if spare else ""
    return f"maps of {maps.channels} channels in vectors of {maps.lanes}{padded}"


def _maps_facts(maps: Maps) -> dict[str, Any]:
    return {"channels": maps.channels, "lanes": maps.lanes, "padded": maps.padded}


# Memory -----------------------------------------------------------------------------------------


def memory(division: Division, items: int) -> Memory:
    """Return what batches of so many items take: workspaces, packed features, rows, sums."""
    most, chains = division.round_items, division.chains
    together = min(items, most)
    # Between two training steps validation data is answered, in rounds that are as large as can be.
    training = _answering(division, most) + _compiling([each.training_program for each in chains])
    # The second and all later rounds have a gradient of their own, which is added to the first.
    training += _FLOAT * division.network.parameters * (2 if items > most else 1)
    for part in division.parts:
        if part.chain is not None:
            training += _step_bytes(part.chain, together)
        else:
            training += 2 * together * sum(map(_reference_bytes, part.ops))
        if division.parts[1:]:
            entering = sum(shape.cells for shape in part.ops[0].inputs)
            training += 2 * together * _FLOAT * entering
    prediction = _answering(division, together)
    return Memory(training, prediction + _compiling([each.many_program for each in chains]))


def _compiling(programs: list[Program]) -> int:
    """Return the bytes that it takes to compile programs, one after the other."""
    longest = max((program.length for program in programs), default=0)
    return _COMPILER + _CHARACTER * longest if programs else 0


def _answering(division: Division, items: int) -> int:
    """Return the bytes that it takes to answer items; what is only for a moment included."""
    total = 2 * _FLOAT * items * division.network.output.cells
    for part in division.parts:
        if part.chain is None:
            total += items * sum(map(_reference_bytes, part.ops))
            continue
        program, (_, shards) = part.chain.many_program, part.chain.shards(items)
        total += _memory_of(program, min(part.chain.workers(items), shards))
        if part is not division.parts[-1]:
            total += _FLOAT * items * part.chain.plan.output.cells
    return total


def _step_bytes(chain: Chain, items: int) -> int:
    """Return the bytes that a chain takes for a training step with so many items."""
    program = chain.training_program
    shards = -(-items // program.shard)
    floats = items * program.rows + shards * program.sums.size
    floats += items * sum(each.layer.inputs for each in chain.plan.voting if each.dropout)
    code_bytes = _memory_of(program, chain.workers(items, training=True))
    return code_bytes + _FLOAT * floats + _RESULT * items


def _memory_of(program: Program, threads: int) -> int:
    return _LOADED + _FLOAT * (threads * program.workspace.size + program.packed.size)


def _reference_bytes(op: Op) -> int:
    """Return the bytes of one item in the hands of a stage's own arithmetic."""
    grids = sum(shape.cells for shape in op.inputs) + op.output.cells
    return _FLOAT * grids + op.working_bytes
