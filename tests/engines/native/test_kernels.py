"""The protocol of kernels: what a kernel's own file and the list of kernels are enough for."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from gridcnn.contracts.stage import Backward, Gradients, Parameter, Stage
from gridcnn.engines.base import make_engine
from gridcnn.engines.native.emitter import PTR, Number, vector
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.kernels import registry
from gridcnn.engines.native.kernels.base import (
    Area,
    Bundle,
    Description,
    Ends,
    Frame,
    Job,
    MapsKernel,
    Site,
    Step,
    store_sums,
)
from gridcnn.engines.native.kernels.convolution import Convolution
from gridcnn.engines.native.kernels.pooling import Pooling
from gridcnn.engines.native.kernels.rectification import Rectification
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import STAGES
from tests.networks import case_of, check_answers, check_pieces, uncached

NATIVE = Path(registry.__file__).parents[1]


class Shift(Stage):
    """Adds a number to all cells of a channel."""

    title: ClassVar[str] = "shift"

    def output(self, shape: GridShape) -> GridShape:
        return shape

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        return (Parameter("shift", (shape.channels,), decays=False),)

    def multiply_adds(self, shape: GridShape) -> int:
        return shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return gradient, {"shift": gradient.sum(axis=(0, 2, 3))}

        return grids + weights["shift"][:, None, None], backward


@dataclass(frozen=True)
class ShiftKernel(MapsKernel):
    """The same as a kernel, with parameters, memory in three areas, and both kinds of jobs."""

    stage = Shift

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        (source,) = bundle.sources
        return cls((source,), Maps(*bundle.ops[0].output.sizes, source.lanes))

    def lay_out(self, site: Site) -> None:
        site.take(Area.PACKED, "shift", self.target.padded)
        site.take(Area.SUMS, "shift", self.target.padded, when=site.training and site.step.learns)

    def pack(self, site: Site) -> list[Job]:
        def emit(frame: Frame, number: Any) -> None:
            packed, given = frame.at(Area.PACKED, "shift"), frame.parameter("shift")
            frame.code.copy(packed, given, self.target.channels)

        return [Job(1, emit)]

    def emit_forward(self, site: Site) -> None:
        with site.module.function(site.name("forward"), *[PTR] * 3) as (code, (grid, shift, out)):
            kind = vector(self.target.lanes)
            with (
                code.loop(self.target.rows) as row,
                code.loop(self.target.columns) as column,
                code.loop(self.target.padded, step=self.target.lanes) as first,
            ):
                cells = code.load(grid, self.source.place(row, column, first), kind=kind)
                total = code.arithmetic("fadd", cells, code.load(shift, first, kind=kind))
                code.store(total, out, self.target.place(row, column, first))

    def run_forward(
        self, frame: Frame, maps: Ends, part: tuple[Number, Number] | None = None
    ) -> None:
        shift = frame.at(Area.PACKED, "shift")
        frame.code.run(frame.site.name("forward"), *maps.sources, shift, maps.target)

    def emit_backward(self, site: Site) -> None:
        with site.module.function(site.name("back"), *[PTR] * 3) as (code, (flow, by_grid, sums)):
            kind = vector(self.target.lanes)
            with (
                code.loop(self.target.rows) as row,
                code.loop(self.target.columns) as column,
                code.loop(self.target.padded, step=self.target.lanes) as first,
            ):
                cells = code.load(flow, self.target.place(row, column, first), kind=kind)
                if site.step.passes_on:
                    place = self.source.place(row, column, first)
                    before = code.load(by_grid, place, kind=kind)
                    code.store(code.arithmetic("fadd", before, cells), by_grid, place)
                total = code.arithmetic("fadd", cells, code.load(sums, first, kind=kind))
                code.store(total, sums, first)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        ends = gradients.target, *gradients.sources, frame.at(Area.SUMS, "shift")
        frame.code.run(frame.site.name("back"), *ends)

    def reduce(self, site: Site) -> list[Job]:
        return [store_sums("shift", "shift", self.target.channels)]

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        return Description("shift kernel", (), {})


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Return a network with two shifts, one of them first."""
    monkeypatch.setitem(STAGES._places, "shift", "nowhere:nothing")
    monkeypatch.setitem(STAGES._loaded, "shift", Shift)
    monkeypatch.setattr(registry, "KERNELS", (*registry.KERNELS, ShiftKernel))
    stages = ["shift", {"convolution": {"filters": 5}}, "shift", "rectification", "pooling"]
    spec = load({"stages": stages, "head": {"voting": {"hidden": [4]}}})
    return Network(spec, GridShape(3, 9, 8), classes=3)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_kernel_needs_its_own_class_and_a_place_in_the_list(
    network: Network, threads: int
) -> None:
    """It is planned, built, packed, trained, added up and described like those that come along."""
    with uncached():
        engine = make_engine(network, "native", threads=threads)
        assert isinstance(engine, NativeEngine)
        case = case_of(network, items=19)

        check_answers(engine, case)
        check_pieces(engine, case)

    works = [(work.stages, work.kernel) for work in engine.plan().parts]
    assert works[0] == (("1 shift",), "shift kernel")
    assert works[2] == (("3 shift",), "shift kernel")
    assert len(engine.pieces()) == 1


def test_without_its_kernel_a_stage_is_computed_by_itself(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same network is then divided into pieces."""
    monkeypatch.setattr(registry, "KERNELS", registry.KERNELS[:-1])
    engine = make_engine(network, "native", threads=1)
    assert isinstance(engine, NativeEngine)

    assert [piece.native for piece in engine.pieces()] == [False, True, False, True]


@pytest.mark.parametrize(
    ("stage", "kernel", "expected"),
    [
        ({"convolution": {"filters": 4}}, Convolution, True),
        ({"convolution": {"filters": 4, "groups": 2}}, Convolution, False),
        ("rectification", Rectification, True),
        ({"rectification": {"leak": 0.1}}, Rectification, False),
        ({"pooling": {"mode": "mean"}}, Pooling, True),
    ],
)
def test_a_kernel_says_which_settings_it_computes(
    stage: Any, kernel: type[MapsKernel], expected: bool
) -> None:
    """All others are left to another kernel, or to the stage's own arithmetic."""
    network = Network(load({"stages": [stage]}), GridShape(4, 6, 6))

    assert kernel in registry.KERNELS
    assert kernel.computes(network.ops[0]) == expected


@pytest.mark.parametrize("name", ["plan.py", "builder.py", "describe.py", "kernels/packing.py"])
def test_what_uses_all_kernels_names_none_of_them(name: str) -> None:
    """It would have to be changed for a new one."""
    tree = ast.parse((NATIVE / name).read_text("utf-8"))
    kernels = {kernel.__name__ for kernel in (*registry.KERNELS, *registry.HEADS)}

    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "Convolution" in kernels
    assert not names & kernels
