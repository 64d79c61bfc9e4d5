"""Nothing is read or written outside of the memory that is meant, whatever the network.

All memory lies between borders full of NaN and of large numbers. Whoever reads there answers
wrongly, and whoever writes there leaves a mark. On one side the next page cannot be touched at all.
"""

from __future__ import annotations

import ctypes
import functools
import math
import mmap
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

pytest.importorskip("llvmlite")

from gridcnn.engines.base import make_engine
from gridcnn.engines.native import call as of_calls
from gridcnn.engines.native import chain as of_chains
from gridcnn.engines.native import engine as of_engines
from gridcnn.engines.native.call import Buffer, Call
from gridcnn.engines.native.chain import Chain
from gridcnn.engines.native.moves import move
from gridcnn.engines.native.processor import processor
from gridcnn.engines.native.program import Arena
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

GAP = 64
NAN = np.uint32(0x7FE5A5A5)
"""A NaN that no arithmetic makes."""
CASES = settings(
    max_examples=14,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
MANY = settings(CASES, max_examples=5000, derandomize=False)


class Walls:
    """Stands in for NumPy where arrays are made: each lies within walls of its own.

    `at_end` says which side of an array the page that cannot be touched is at.
    """

    def __init__(self, *, at_end: bool) -> None:
        self.at_end = at_end
        self.rooms: list[tuple[NDArray[np.uint8], slice, NDArray[np.uint8]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike = np.float64) -> Array:
        """Return an array that holds what nobody may use."""
        sizes = (shape,) if isinstance(shape, int) else shape
        kind = np.dtype(dtype)
        size = math.prod(sizes) * kind.itemsize
        # As a whole number this is large, and no index of anything.
        pattern = np.full(16, NAN) if kind.kind == "f" else np.full(16, 0x7E7E7E7E, np.uint32)
        room = self._room(size)
        room[...] = np.resize(pattern.view(np.uint8), len(room))
        start = len(room) - size if self.at_end else 0
        if size == 0:
            start = 0
        self.rooms.append((room, slice(start, start + size), room.copy()))
        return room[start : start + size].view(kind).reshape(sizes)

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike = np.float64) -> Array:
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    def zeros_like(self, other: Array) -> Array:
        return self.zeros(other.shape, other.dtype)

    def holding(self, array: Array) -> Array:
        """Return an array with the same content."""
        found = self.empty(array.shape, array.dtype)
        found[...] = array
        return found

    def check(self) -> None:
        """Assert that nothing was written to a wall."""
        for room, inside, before in self.rooms:
            now = room.copy()
            now[inside] = before[inside]
            np.testing.assert_array_equal(now, before)

    def _room(self, size: int) -> NDArray[np.uint8]:
        """Return whole pages, at least one float more than asked for, between closed ones."""
        pages = -(-(size + 4) // mmap.PAGESIZE)
        memory = mmap.mmap(-1, (pages + 2) * mmap.PAGESIZE)
        room = np.frombuffer(memory, np.uint8)
        if sys.platform != "win32":
            library = ctypes.CDLL(None)
            start = room.ctypes.data
            for closed in (start, start + (pages + 1) * mmap.PAGESIZE):
                failed = library.mprotect(
                    ctypes.c_void_p(closed), ctypes.c_size_t(mmap.PAGESIZE), ctypes.c_int(0)
                )
                assert not failed
        return room[mmap.PAGESIZE : -mmap.PAGESIZE]


class Watched(Call):
    """A call whose memory is full of NaN wherever nothing is meant to be."""

    made: ClassVar[list[Watched]] = []

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sums: list[Array] = []
        for arena, floats in self.memory:
            spoil(arena, floats)
        self.made.append(self)

    def workspace(self, number: int) -> Any:
        known = len(self._workspaces)
        found = super().workspace(number)
        for each in self._workspaces[known:]:
            spoil(self.program.workspace, each.floats)
        return found

    def scratch(self, name: str, floats: int) -> Buffer:
        # It may hold anything. A new one for each call ends where it is meant to end.
        self._scratch.pop(name, None)
        found = super().scratch(name, floats)
        found.floats.view(np.uint32)[:] = NAN
        if name == "sums" and floats:
            self._sums.append(found.floats)
        return found

    def check(self) -> None:
        """Assert that nothing was written between the parts."""
        arenas = [*self.memory]
        for sums in self._sums:
            shards = sums.reshape(-1, self.program.sums.size)
            arenas += [(self.program.sums, shard) for shard in shards]
        for arena, floats in arenas:
            assert (floats.view(np.uint32)[between(arena)] == NAN).all()


def between(arena: Arena) -> NDArray[np.bool_]:
    """Return where in an arena there is nothing."""
    nothing = np.ones(arena.size, bool)
    for _, start, floats in arena.parts:
        assert nothing[start : start + floats].all()
        nothing[start : start + floats] = False
    return nothing


def spoil(arena: Arena, floats: Array) -> None:
    assert not floats.any()
    floats.view(np.uint32)[between(arena)] = NAN


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let engines work in watched memory, and with several threads on the smallest work."""
    monkeypatch.setattr(of_engines, "Chain", functools.partial(Chain, gap=GAP))
    monkeypatch.setattr(of_chains, "Call", Watched)
    monkeypatch.setattr(of_chains, "_WORTH", 1)
    monkeypatch.setattr(of_chains, "_SHARED", 1)
    yield
    Watched.made.clear()


def check(networks: ModuleType, case: Any, *, one_hot: bool, at_end: bool) -> None:
    """Assert that all is right, and that nothing was touched on the way."""
    walls = Walls(at_end=at_end)
    Watched.made.clear()
    engine = make_engine(case.network, "native", threads=3)
    with pytest.MonkeyPatch.context() as patch, networks.uncached():
        for room in (of_calls, of_chains, of_engines):
            patch.setattr(room, "np", walls)

        class Buffer:
            """Memory that begins anywhere."""

            def __init__(self, floats: int) -> None:
                self.floats = walls.zeros(floats, np.float32)
                self.address = self.floats.ctypes.data

        patch.setattr(of_calls, "Buffer", Buffer)
        single = case.single
        inside = case._replace(
            parameters=walls.holding(single.parameters), targets=walls.holding(case.targets)
        )
        grids: Any = walls.holding(single.grids)
        if one_hot:
            grids = case.one_hot
            object.__setattr__(grids, "indices", walls.holding(grids.indices))
        assert not (one_hot and np.shares_memory(grids.indices, single.grids))
        maps = engine.maps(inside.parameters, grids)
        for item in range(min(3, len(grids))):
            alone = engine.maps(inside.parameters, grids[item : item + 1])
            np.testing.assert_array_equal(alone, maps[item : item + 1])
        step = engine.step(inside.parameters, grids, inside.targets, random=case.chance())
        # Where training explodes, all that is computed is as wild as this.
        random = np.random.default_rng(0)
        wild = random.choice([np.nan, np.inf, -np.inf, 1e38], single.grids.shape)
        if not one_hot:
            engine.step(inside.parameters, walls.holding(wild.astype(np.float32)), inside.targets)
        infinite = walls.holding(np.full_like(single.parameters, np.inf))
        engine.step(infinite, grids, inside.targets)
    assert Watched.made
    for call in Watched.made:
        call.check()
    walls.check()
    networks.check_against(case, maps, step)


@pytest.mark.usefixtures("watched")
@CASES
@given(data=st.data())
def test_random_networks_touch_nothing_else(networks: ModuleType, data: st.DataObject) -> None:
    """For votes of one and of many items, and for training."""
    case = data.draw(networks.wide_cases())
    check(networks, case, one_hot=False, at_end=data.draw(st.booleans()))


@pytest.mark.usefixtures("watched")
@settings(CASES, max_examples=10)
@given(data=st.data())
def test_random_networks_on_one_hot_grids_touch_nothing_else(
    networks: ModuleType, data: st.DataObject
) -> None:
    """The same for grids that come as indices."""
    case = data.draw(networks.one_hot_cases("all rows"))
    check(networks, case, one_hot=True, at_end=data.draw(st.booleans()))


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize(
    ("shape", "stages"),
    [
        # Filters and channels that only fill a vector, with features that are long.
        (
            GridShape(5, 6, 7),
            [
                {"convolution": {"filters": 17}},
                {"convolution": {"filters": 17, "kernel_size": 9}},
                {"convolution": {"filters": 3}},
            ],
        ),
        # Winograd convolutions, on grids that fill no vector.
        (GridShape(17, 2, 6), [{"convolution": {"filters": 33}}, "rectification", "pooling"]),
        # The same, in tiles that reach beyond the map.
        (GridShape(17, 7, 5), [{"convolution": {"filters": 33}}, "rectification"]),
        (
            GridShape(18, 1, 7),
            [{"convolution": {"filters": 20, "kernel_size": [1, 5]}}, "rectification"],
        ),
        # A value with readers that want borders of different widths, and maps of no whole vector.
        (
            GridShape(5, 6, 7),
            [
                {
                    "parallel": [
                        [{"convolution": {"filters": 5, "kernel_size": 3}}],
                        [{"convolution": {"filters": 3, "kernel_size": 5}}, "rectification"],
                        [],
                    ]
                },
                {"convolution": {"filters": 6}},
            ],
        ),
        # Maps that take the place of others, and gradients that are computed densely.
        (
            GridShape(17, 5, 6),
            [
                {"skip": [{"convolution": {"filters": 17}}, {"convolution": {"filters": 17}}]},
                "rectification",
                {"skip": [{"convolution": {"filters": 17, "groups": "channels"}}]},
                {"activation": "gelu"},
            ],
        ),
        # Items that wait for each other.
        (
            GridShape(3, 6, 6),
            [
                {"convolution": {"filters": 5, "bias": False}},
                "normalization",
                "rectification",
                {"skip": [{"convolution": {"filters": 9, "stride": 2}}, "normalization"]},
                {"dropout": {"rate": 0.2, "of": "maps"}},
                {"normalization": {"kind": "group", "groups": 3}},
                {"dropout": 0.2},
                {"gate": 2},
            ],
        ),
    ],
)
def test_corners_touch_nothing_else(
    networks: ModuleType, shape: GridShape, stages: list[Any], at_end: bool
) -> None:
    """What only fills a vector is there as well."""
    network = Network(load({"stages": stages, "head": {"voting": {}}}), shape, classes=3)
    case = networks.case_of(network, items=3, exactly=not network.mixes_items)
    check(networks, case, one_hot=False, at_end=at_end)


@pytest.mark.long
@pytest.mark.usefixtures("watched")
@MANY
@given(data=st.data())
def test_very_many_random_networks_touch_nothing_else(
    networks: ModuleType, data: st.DataObject
) -> None:
    """The same, for others each time."""
    case = data.draw(networks.wide_cases())
    check(networks, case, one_hot=False, at_end=data.draw(st.booleans()))


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize(("name", "vectors"), [("sgd", 4), ("adam", 5)])
def test_moves_touch_nothing_else(name: str, vectors: int, at_end: bool) -> None:
    """An optimizer's vectors may end anywhere."""
    for size in (1, 3, 15, 16, 17, 33, 4096, 4099):
        walls = Walls(at_end=at_end)
        given = [walls.holding(np.ones(size, np.float32)) for _ in range(vectors)]
        assert move(name, given, [0.1] * 7, processor(), 1)
        walls.check()
        assert all(np.isfinite(each).all() for each in given)


@pytest.mark.skipif(sys.platform == "win32", reason="no page can be closed here")
def test_walls_are_noticed() -> None:
    """A cell before or after an array is a mark, and not a number that could be used."""
    walls = Walls(at_end=False)
    array = walls.zeros((3, 5), np.float32)
    room, inside, _ = walls.rooms[0]
    walls.check()

    assert np.isnan(room[inside.stop : inside.stop + 4].view(np.float32)).all()
    room[inside.stop] ^= 1
    with pytest.raises(AssertionError):
        walls.check()
    assert not array.any()
