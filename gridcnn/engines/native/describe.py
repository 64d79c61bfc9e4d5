"""What the planner has decided, in words and in numbers; nothing is compiled for it."""

from __future__ import annotations

from typing import Any, NamedTuple

from gridcnn.caches import homely
from gridcnn.engines.base import Memory, PlanDescription, PlanPart
from gridcnn.engines.native.cache import object_cache
from gridcnn.engines.native.chain import Chain
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Program
from gridcnn.errors import listed, sized
from gridcnn.network import Network, Op

_FLOAT, _RESULT = 4, 12  # bytes of a number, and of what an item's loss is made from
# Bytes that LLVM takes, as measured: to compile anything, for each character of a program's text,
# and to have a program loaded.
_COMPILER, _CHARACTER, _LOADED = 4_000_000, 4, 1_600_000


class Part(NamedTuple):
    """Stages in a row: they are computed by a chain, or, without one, by their own arithmetic."""

    ops: tuple[Op, ...]
    chain: Chain | None


class Division(NamedTuple):
    """How an engine has divided a network; a native call takes at most `round_items` items."""

    network: Network
    parts: tuple[Part, ...]
    round_items: int

    @property
    def chains(self) -> list[Chain]:
        """The chains of all parts that have one."""
        return [part.chain for part in self.parts if part.chain is not None]


# Plans ------------------------------------------------------------------------------------------
_LISTED = 5  # chains that a note names


def plan(division: Division, processor: Processor, threads: int) -> PlanDescription:
    """Return the plan of the native engine: what is done together, and by which kernels."""
    parts: list[PlanPart] = []
    for part in division.parts:
        if part.chain is not None:
            parts += _parts(part.chain)
        else:
            without = ("there is no kernel for this stage",)
            parts += [PlanPart((op.label,), "reference arithmetic", without) for op in part.ops]
    notes, facts = _of_machine(processor)
    chains, most = division.chains, division.round_items
    described = [_of_chain(chain, most) for chain in chains]
    # Of a network that is not computed in one go, chains that are alike share their notes.
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for chain, (texts, _) in zip(chains, described, strict=True):
        ends = dict.fromkeys((chain.ops[0].label, chain.ops[-1].label))
        alike.setdefault(texts, []).append(" to ".join(ends))
    for texts, names in alike.items():
        which = f" of {listed(names, limit=_LISTED)}" if chains[1:] else ""
        notes += [f"{what}{which}: {text}" for what, text in texts]
    facts = {**facts, "round": most, "chains": [each for _, each in described]}
    return PlanDescription("native", threads, tuple(parts), tuple(notes), facts)


def _of_machine(processor: Processor) -> tuple[list[str], dict[str, Any]]:
    cache = object_cache()
    size = cache.size()
    place = f"{homely(cache.folder)}, {sized(size)} of at most {sized(cache.limit)}"
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
            "bytes": size,
            "limit": cache.limit,
        },
    }
    return notes, facts


def _of_chain(chain: Chain, most: int) -> tuple[tuple[tuple[str, str], ...], dict[str, Any]]:
    """Return how a chain's work is divided, and what it works in: notes without names, and facts.

    A note is what it is about, and what it says.
    """
    training, answers = chain.training_program, chain.many_program
    spaces = [_FLOAT * program.workspace.size for program in (training, answers)]
    packed = _FLOAT * (training.packed.size + answers.packed.size)
    notes = (
        ("training", f"shards of {training.shard} items, rounds of at most {most}"),
        (
            "workspaces",
            f"{sized(spaces[0])} for each thread that trains, {sized(spaces[1])} "
            f"for each that answers, {sized(packed)} for features in the order of the kernels",
        ),
    )
    facts = {
        "stages": [op.label for op in chain.ops],
        "shard": training.shard,
        "workspace": {"training": spaces[0], "prediction": spaces[1]},
        "packed": packed,
        "row": _FLOAT * training.rows,
        "sums": _FLOAT * training.sums.size,
    }
    return notes, facts


def _parts(chain: Chain) -> list[PlanPart]:
    """Return what each step of a chain does."""
    plan = chain.plan
    parts = []
    for step in (*plan.steps, *([plan.head] if plan.head else [])):
        labels, described = tuple(op.label for op in step.ops), step.describe(chain.processor)
        kernel = f"fused {described.kernel}" if labels[1:] else described.kernel
        parts.append(PlanPart(labels, kernel, described.notes, described.facts))
    return parts


# Memory -----------------------------------------------------------------------------------------


def memory(division: Division, items: int) -> Memory:
    """Return what batches of so many items take: workspaces, packed features, rows, sums."""
    most, chains = division.round_items, division.chains
    together = min(items, most)
    # Between two training steps validation data is answered, in rounds that are as large as can be.
    training = _answering(division, most) + _compiling([chain.training_program for chain in chains])
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
    floats += items * chain.plan.factors
    if chain.plan.head:
        floats += items * sum(values for values, _ in chain.plan.head.kernel.dropouts)
    code_bytes = _memory_of(program, chain.workers(items, training=True))
    return code_bytes + _FLOAT * floats + _RESULT * items


def _memory_of(program: Program, threads: int) -> int:
    return _LOADED + _FLOAT * (threads * program.workspace.size + program.packed.size)


def _reference_bytes(op: Op) -> int:
    """Return the bytes of one item in the hands of a stage's own arithmetic."""
    grids = sum(shape.cells for shape in op.inputs) + op.output.cells
    return _FLOAT * grids + op.working_bytes
