"""Nothing is read or written outside of what belongs to it.

All parts of the memory, and all arrays that are given, lie between borders full of NaN: what is
read there spoils the answer, and what is written there is seen.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.engines.base import make_engine
from gridcnn.engines.native import chain as chains
from gridcnn.engines.native.call import Call
from gridcnn.engines.native.chain import Chain
from gridcnn.engines.native.processor import processor
from gridcnn.engines.native.program import Arena
from gridcnn.grid import Array

GAP = 48
POISON = np.uint32(0x7FC12345)  # a NaN that no arithmetic makes
CASES = settings(max_examples=24, deadline=None, derandomize=True)
Floats = NDArray[np.float32]


class Fence:
    """Memory of which some cells may not be touched."""

    def __init__(self, memory: Floats, forbidden: NDArray[np.bool_]) -> None:
        self.memory = memory.view(np.uint32)
        self.forbidden = forbidden
        self.memory[forbidden] = POISON

    def check(self) -> None:
        assert (self.memory[self.forbidden] == POISON).all()


def between_parts(arena: Arena, memory: Floats, *, copies: int = 1) -> Fence:
    """Return the fence around all parts of an arena, of which there are copies in a row."""
    forbidden = np.ones(arena.size, bool)
    for _, start, floats in arena.parts:
        forbidden[start : start + floats] = False
    assert forbidden.any()
    return Fence(memory[: arena.size * copies], np.tile(forbidden, copies))


def fenced(array: Array) -> tuple[Floats, Fence]:
    """Return a float32 copy of an array, and the fence around it."""
    room = np.zeros(array.size + 2 * GAP, np.float32)
    inside = np.zeros(room.size, bool)
    inside[GAP:-GAP] = True
    copy = room[GAP:-GAP].reshape(array.shape)
    copy[...] = array
    return copy, Fence(room, ~inside)


def fences_of(call: Call, *, shards: int = 0) -> list[Fence]:
    """Return the fences of all that a call works in, for two threads."""
    for number in range(2):
        call.workspace(number)
    found = [between_parts(arena, memory) for arena, memory in call.memory]
    if shards:
        sums = call.program.sums
        found.append(between_parts(sums, call.scratch("sums", shards * sums.size), copies=shards))
    return found


@CASES
@given(data=st.data())
def test_nothing_is_touched_outside_of_its_place(networks: ModuleType, data: st.DataObject) -> None:
    """Answers of many items and of single ones, and training steps, keep within their memory."""
    case = data.draw(networks.wide_cases(head=True))
    network, single = case.network, case.single
    exact = make_engine(network, "reference").maps(case.parameters, case.grids)
    parameters, around_parameters = fenced(single.parameters)
    grids, around_grids = fenced(single.grids)
    chain = Chain(
        network.blocks, network.shape, processor(), one_hot=False, wanted=False, threads=2, gap=GAP
    )
    fences = [around_parameters, around_grids]

    fences += fences_of(chain.many)
    many, _ = chain.forward(parameters, grids)
    networks.check_maps(many, exact, exactly=case.exact)

    fences += fences_of(chain.one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains, "_SHARED", 0)
        patch.setattr(chains, "_WORTH", 1)
        if network.multiply_adds:
            one, _ = chain.forward(parameters, grids[:1])
            np.testing.assert_array_equal(one, many[:1])

    shards = -(-len(grids) // chain.training_program.shard)
    fences += fences_of(chain.training, shards=shards)
    gradient, around_gradient = fenced(np.zeros(network.parameters))
    targets = np.ascontiguousarray(case.targets)
    chain.step(parameters, grids, gradient, items=len(grids), targets=targets)
    plain = make_engine(network, "native").step(single.parameters, single.grids, targets)
    np.testing.assert_array_equal(gradient, plain.gradient)
    for fence in [*fences, around_gradient]:
        fence.check()


def test_a_fence_sees_what_is_written_behind_it() -> None:
    array, fence = fenced(np.zeros(3))
    fence.check()

    whole = array.base
    assert whole is not None
    np.asarray(whole)[GAP + 3] = 0
    with pytest.raises(AssertionError):
        fence.check()
