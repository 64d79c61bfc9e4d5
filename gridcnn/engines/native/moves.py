"""Moves of an optimizer in machine code, shared by all engines of the process."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from gridcnn.engines.native.call import Entry, Floats, address_of
from gridcnn.engines.native.compiler import compile_program, key_for
from gridcnn.engines.native.kernels.moving import MOVES, PART, MoveArgument, program
from gridcnn.engines.native.phases import ENTRY
from gridcnn.engines.native.processor import Processor

_WORTH = 16_000  # floats that are worth asking another thread for help


def move(
    name: str,
    vectors: Sequence[Floats],
    numbers: Sequence[float],
    processor: Processor,
    threads: int,
) -> bool:
    """Make a move in place; return whether there is one of that name, for such vectors."""
    usable = all(
        each.dtype == np.float32 and each.flags.c_contiguous and each.size == vectors[0].size
        for each in vectors
    )
    if name not in MOVES or not usable:
        return False
    size = vectors[0].size
    terms = np.array(numbers, np.float32)
    arguments_of_call = [
        (int(MoveArgument.SIZE), size),
        (int(MoveArgument.TASKS), -(-size // PART)),
        (int(MoveArgument.NUMBERS), address_of(terms)),
        *((MoveArgument.VECTORS + place, address_of(each)) for place, each in enumerate(vectors)),
    ]
    threads = max(1, min(threads, size // _WORTH))
    # No thread needs a workspace.
    _entry(name, processor)(arguments_of_call, [0] * threads, keep=(vectors, terms))
    return True


@functools.cache
def _entry(name: str, processor: Processor) -> Entry:
    chosen = MOVES[name]
    text = program(chosen, processor)
    key = key_for(text, processor)
    code = compile_program(key, lambda: text, ENTRY, processor, arguments=3)
    return Entry(code, 1, MoveArgument.VECTORS + len(chosen.changed), processor)
