"""Depthwise convolution: several positions of a row at a time, features of any size."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("llvmlite")

from gridcnn.engines.base import make_engine
from gridcnn.engines.native import processor as of_processors
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.kernels.depthwise import Depthwise
from gridcnn.engines.native.plan import make_plan
from gridcnn.engines.native.processor import Processor
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

AVX2 = Processor("x86-64-v3", "", "x86_64-unknown-linux-gnu", 8, 16, True)


def network(shape: GridShape, behind: str = "rectification", **settings: Any) -> Network:
    convolution = {"filters": shape.channels, "groups": "channels", **settings}
    stages = [{"convolution": {"filters": shape.channels}}, {"convolution": convolution}, behind]
    return Network(load({"stages": stages, "head": "voting"}), shape, classes=3)


def kernel_of(made: Network, chip: Processor = AVX2) -> Depthwise:
    plan = make_plan(made.ops, made.shape, chip, one_hot=False, wanted=False)
    kernel = plan.steps[1].kernel
    assert isinstance(kernel, Depthwise)
    return kernel


@pytest.mark.parametrize(
    "level",
    ["native", *(pytest.param(name, marks=pytest.mark.slow) for name in ("x86-64-v3", "generic"))],
)
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        # Rows of one position, of one block, of blocks and a rest.
        *[((5, 3, columns), {}) for columns in (1, 2, 7, 8, 9, 17)],
        # More channels than a vector has.
        ((17, 4, 9), {}),
        ((40, 4, 9), {"kernel_size": 5}),
        # Rows of features that no registers hold, whole and in parts.
        ((4, 2, 40), {"kernel_size": [1, 25]}),
        ((4, 27, 3), {"kernel_size": [25, 1]}),
        ((3, 12, 12), {"kernel_size": [9, 10], "bias": False}),
        # Features that lie on the same cells as those beside them, on some of them, on none.
        ((6, 7, 13), {"stride": 2}),
        ((6, 7, 13), {"stride": [1, 3]}),
        ((6, 7, 13), {"stride": 4, "padding": 0}),
        ((6, 9, 13), {"dilation": 2}),
        ((6, 9, 14), {"dilation": [1, 3], "stride": [2, 2], "scale": "match"}),
        ((6, 9, 14), {"dilation": 2, "stride": 2, "kernel_size": [2, 4], "trainable": False}),
    ],
    ids=str,
)
def test_any_feature_on_any_grid(
    networks: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, int, int],
    settings: dict[str, Any],
    level: str,
) -> None:
    """Maps, loss and gradient are those of the reference."""
    if level not in of_processors.levels():
        pytest.skip(f"this machine's processor is no {level}")
    monkeypatch.setenv("GRIDCNN_CPU", level)
    for behind in ("rectification", "normalization"):
        made = network(GridShape(*shape), behind, **settings)
        engine = make_engine(made, "native", threads=1)
        assert isinstance(engine, NativeEngine)
        case = networks.case_of(made, items=3, exactly=behind == "rectification")
        with networks.uncached():
            if made.mixes_items:
                networks.check_graph(engine, case)
            else:
                networks.check_answers(engine, case)
                networks.check_pieces(engine, case)


def test_rows_are_divided_into_equal_blocks() -> None:
    """At most 8 positions, and no more code than 512 multiply-adds."""
    together = [
        kernel_of(network(GridShape(4, 20, columns)))._together(AVX2)
        for columns in (1, 8, 9, 16, 18, 23)
    ]
    assert together == [1, 8, 5, 8, 6, 8]
    assert kernel_of(network(GridShape(4, 40, 40), kernel_size=10))._together(AVX2) == 5
    assert kernel_of(network(GridShape(4, 40, 40), kernel_size=30))._together(AVX2) == 1


def test_numbers_of_a_feature_fit_into_the_registers() -> None:
    """Beside the sums of 8 positions, a cell, and one register that is left over."""
    narrow = kernel_of(network(GridShape(4, 20, 20)))
    assert [len(piece) for piece in narrow._pieces_of_feature(AVX2)] == [3, 3, 3]
    wide = kernel_of(network(GridShape(4, 2, 20), kernel_size=[2, 7]))
    pieces = wide._pieces_of_feature(AVX2)
    assert [len(piece) for piece in pieces] == [4, 3, 4, 3]
    assert [tap for piece in pieces for tap in piece] == [(y, x) for y in (0, 1) for x in range(7)]


def test_few_registers_hold_fewer_sums() -> None:
    """As on small devices: every tap is there all the same."""
    few = Processor("cortex-m4", "", "thumbv7em-none-eabi", 1, 8, True)
    for width in range(1, 8):
        kernel = kernel_of(network(GridShape(4, 9, 20), kernel_size=[2, width]), few)
        assert kernel._together(few) == 4
        pieces = kernel._pieces_of_feature(few)
        assert [tap for piece in pieces for tap in piece] == kernel._taps
        assert max(map(len, pieces)) <= 2
