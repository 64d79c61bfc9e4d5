"""Networks compiled ahead of time give the votes of the reference, in memory of any content."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.contracts.stage import Backward, Stage
from gridcnn.engines.base import make_engine
from gridcnn.errors import SpecError
from gridcnn.export.compiled.compilation import Compilation, narrow
from gridcnn.export.compiled.emit import FOREIGN, ODD, OVERFLOW, place_together
from gridcnn.export.compiled.roots import with_roots
from gridcnn.export.compiled.targets import find_target
from gridcnn.export.compiled.translator import Job, translate
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import STAGES
from gridcnn.stages.voting import VotingLayers
from tests.export.compiling import (
    HERE,
    Library,
    compile_here,
    expected_votes,
    needs,
    needs_gcc,
)
from tests.networks import (
    FIRST,
    Case,
    case_of,
    cases,
    graph_cases,
    one_hot_cases,
    uncached,
    wide_cases,
)

pytestmark = needs_gcc

SMALL = {
    "stages": [
        {"convolution": {"filters": 5}},
        "rectification",
        {"pooling": {"window": 2, "stride": 2}},
        {"convolution": {"filters": 4, "groups": 1}},
        {"activation": {"function": "gelu"}},
        {"skip": [{"convolution": {"filters": 4}}, "rectification"]},
    ],
    "head": {"voting": {"hidden": [6]}},
}
# Votes are at most as far from the reference's as this, times the largest logit.
CLOSE = 1e-5


def small(classes: int = 3, **changes: Any) -> tuple[Network, Array]:
    """Return a network of a few stages, and its weights."""
    network = Network(load({**SMALL, **changes}), GridShape(2, 7, 6), classes=classes)
    return network, network.starting_parameters()


def check_case(case: Case, folder: Path, *, one_hot: bool = False, **options: Any) -> None:
    """Assert that a compiled network gives the reference's votes for the items of a case."""
    network = case.network
    if not network.ops or not isinstance(network.ops[-1].stage, VotingLayers):
        return
    with uncached():
        compiled = compile_here(network, case.single.parameters, one_hot=one_hot, **options)
    library = Library(compiled, folder)
    logits = make_engine(network, "reference").maps(case.parameters, case.grids)
    items = case.one_hot.indices if compiled.indices else case.single.grids
    bound = CLOSE * max(1, np.abs(logits).max())
    for item, votes in zip(items, expected_votes(network, logits), strict=True):
        answer = library(item)
        assert answer.status == 0
        np.testing.assert_allclose(answer.votes, votes, rtol=0, atol=bound)


def networks() -> st.SearchStrategy[tuple[Case, bool]]:
    """Return random cases, and whether their grids are one-hot."""
    dense = st.one_of(cases(items=2), wide_cases(items=2, head=True), graph_cases(items=2))
    hot = st.sampled_from(FIRST).flatmap(lambda first: one_hot_cases(first, items=2))
    graphs = graph_cases(items=2, one_hot=True)
    return st.one_of(
        dense.map(lambda case: (case, False)), st.one_of(hot, graphs).map(lambda case: (case, True))
    )


def options() -> st.SearchStrategy[dict[str, Any]]:
    """Return ways to compile: processors with vectors of 4, 8 and 16, few registers, ..."""
    usual = st.fixed_dictionaries({"inside": st.booleans(), "compact": st.booleans()})
    kinds: list[dict[str, Any]] = [{}, {"registers": 8}]
    if _runs("avx2"):
        kinds.append({"cpu": "x86-64-v3"})
    if _runs("avx512vl"):
        kinds.append({"cpu": "x86-64-v4"})
    return st.tuples(usual, st.sampled_from(kinds)).map(lambda both: both[0] | both[1])


def _runs(feature: str) -> bool:
    place = Path("/proc/cpuinfo")
    return place.exists() and feature in place.read_text()


@settings(max_examples=5)
@given(networks(), options())
def test_votes_are_those_of_the_reference(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Case, bool], chosen: dict[str, Any]
) -> None:
    case, one_hot = drawn

    check_case(case, tmp_path_factory.mktemp("case"), one_hot=one_hot, **chosen)


@pytest.mark.long
@settings(max_examples=400)
@given(networks(), options())
def test_votes_of_many_networks_are_those_of_the_reference(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Case, bool], chosen: dict[str, Any]
) -> None:
    case, one_hot = drawn

    check_case(case, tmp_path_factory.mktemp("case"), one_hot=one_hot, **chosen)


@pytest.mark.parametrize("kernel_size", [1, 3, [2, 5]])
def test_depthwise_convolutions_need_few_registers(tmp_path: Path, kernel_size: Any) -> None:
    depthwise = {"filters": 6, "groups": "channels", "kernel_size": kernel_size}
    stages = [{"convolution": {"filters": 6}}, {"convolution": depthwise}, "rectification"]
    network, _ = small(stages=stages)

    check_case(case_of(network, items=2), tmp_path, registers=8)


def test_an_object_file_calls_nothing_and_changes_nothing_outside(tmp_path: Path) -> None:
    compiled = compile_here(*small(), name="tiny")

    assert compiled.needs == ()
    (tmp_path / "tiny.o").write_bytes(compiled.content)
    listed = subprocess.run(["nm", "tiny.o"], cwd=tmp_path, check=True, capture_output=True)
    kinds = {line.split()[-2] for line in listed.stdout.decode().splitlines()}
    # Code and constants, of which one name is seen; no data that can be written.
    assert kinds <= {"T", "t", "r"}
    visible = re.findall(r" T (\w+)", listed.stdout.decode())
    assert visible == ["tiny_run"]


def test_weights_may_be_in_a_file_of_their_own(tmp_path: Path) -> None:
    network, weights = small()
    grid = np.random.default_rng(0).uniform(-1, 1, network.shape.sizes)

    inside = Library(compile_here(network, weights), tmp_path)(grid)
    apart = Library(compile_here(network, weights, inside=False), tmp_path)(grid)

    np.testing.assert_array_equal(inside.votes, apart.votes)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    network, weights = small()
    library = Library(compile_here(network, weights, inside=False), tmp_path)
    assert library._weights is not None
    other = compile_here(*small(classes=2), inside=False).weights
    assert other is not None
    library._weights[: len(other)] = np.frombuffer(other, np.uint8)[: library._weights.size]

    answer = library(np.zeros(network.shape.sizes))

    assert answer.status == FOREIGN
    assert np.isnan(answer.votes).all()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_cells_that_are_not_finite_have_no_votes(odd: float, tmp_path: Path) -> None:
    network, weights = small()
    library = Library(compile_here(network, weights), tmp_path)
    grid = np.zeros(network.shape.sizes, np.float32)
    grid[1, 6, 5] = odd

    answer = library(grid)

    assert answer.status == ODD
    assert np.isnan(answer.votes).all()


def test_rows_that_are_not_there_have_no_votes(tmp_path: Path) -> None:
    spec = load(
        {"stages": [{"convolution": {"filters": 3, "kernel_size": ["all", 3]}}], "head": "voting"}
    )
    network = Network(spec, GridShape(1, 4, 9), classes=2)
    compiled = compile_here(network, network.starting_parameters(), one_hot=True)
    library = Library(compiled, tmp_path)

    assert compiled.indices
    assert library(np.full(9, -1)).status == library(np.full(9, 3)).status == 0
    assert library(np.full(9, 4)).status == library(np.full(9, -2)).status == ODD


def test_votes_that_are_not_finite_are_told(tmp_path: Path) -> None:
    network, weights = small()
    library = Library(compile_here(network, weights), tmp_path)

    assert library(np.full(network.shape.sizes, 3e38)).status == OVERFLOW


def test_each_of_several_labels_has_a_vote_of_its_own(tmp_path: Path) -> None:
    network, weights = small(head={"voting": {"labels": "several"}})
    library = Library(compile_here(network, weights), tmp_path)
    grids = np.random.default_rng(0).uniform(-3, 3, (2, *network.shape.sizes))
    logits = make_engine(network, "reference").maps(weights, grids)

    for grid, votes in zip(grids, expected_votes(network, logits), strict=True):
        np.testing.assert_allclose(library(grid).votes, votes, rtol=0, atol=1e-6)


def test_convolutions_in_groups_are_compiled_too(tmp_path: Path) -> None:
    grouped = {"filters": 4, "groups": 2, "scale": "match"}
    network, weights = small(stages=[{"convolution": grouped}, "rectification"])
    weights[-3:] = 0.25
    library = Library(compile_here(network, weights), tmp_path)
    grids = np.random.default_rng(0).uniform(-1, 1, (2, *network.shape.sizes))
    logits = make_engine(network, "reference").maps(weights, grids)

    for grid, votes in zip(grids, expected_votes(network, logits), strict=True):
        np.testing.assert_allclose(library(grid).votes, votes, rtol=0, atol=1e-6)


class Twice(Stage):
    """A stage that no kernel knows."""

    title: ClassVar[str] = "twice"

    def output(self, shape: GridShape) -> GridShape:
        return shape

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
        return 2 * grids, lambda gradient, *, need_input=True: (2 * gradient, {})


def test_a_stage_of_another_package_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAGES._loaded, "twice", Twice)
    monkeypatch.setitem(STAGES._places, "twice", "tests:Twice")
    network = Network(load({"stages": ["twice"], "head": "voting"}), GridShape(1, 4, 4), classes=2)

    with pytest.raises(SpecError, match="1 twice cannot be compiled: stages of other packages"):
        Compilation(network, network.starting_parameters(), find_target("wasm32"))


def test_a_network_without_votes_is_refused() -> None:
    network = Network(load({"stages": ["rectification"]}), GridShape(1, 4, 4))

    with pytest.raises(SpecError, match="without a head has no votes"):
        Compilation(network, network.starting_parameters(), find_target("wasm32"))


def test_small_weights_matter_more_than_speed_without_a_system() -> None:
    plain = {"convolution": {"filters": 32}}
    spec = load({"stages": [plain, plain, {"pooling": {"window": 4}}], "head": "voting"})
    network = Network(spec, GridShape(1, 16, 16), classes=2)
    weights = network.starting_parameters()

    fast = Compilation(network, weights, find_target("aarch64-linux-gnu")).compile()
    device = Compilation(network, weights, find_target("thumbv7em-none-eabihf")).compile()

    # Each part of the weights begins with a line of 64 bytes.
    assert device.weights_bytes <= 4 * network.parameters + 64 * 6
    assert fast.weights_bytes > 2 * device.weights_bytes


def test_maps_that_live_together_do_not_overlap() -> None:
    lives = {0: (100, 0, 1), 1: (50, 1, 2), 2: (100, 2, 3), 3: (20, 0, 3)}

    places, size = place_together(lives)

    for one, (floats, first, last) in lives.items():
        for other, (_, begin, end) in lives.items():
            if one < other and first <= end and begin <= last:
                lower, upper = sorted((one, other), key=places.__getitem__)
                assert places[lower] + lives[lower][0] <= places[upper]
        assert places[one] + floats <= size
    assert size <= 112 + 64 + 32


def test_whole_numbers_are_narrow_where_addresses_are() -> None:
    text = "%v1 = zext i1 %a to i64\n%v2 = sext i32 %b to i64\n%v3 = load i64, ptr %c, align 8\n"

    assert narrow(text) == (
        "%v1 = zext i1 %a to i32\n%v2 = add i32 %b, 0\n%v3 = load i32, ptr %c, align 4\n"
    )


def test_square_roots_without_an_instruction_are_close(tmp_path: Path) -> None:
    text = with_roots(
        "declare <4 x float> @llvm.sqrt.v4f32(<4 x float>)\n"
        "define void @roots(ptr %a) {\n%x = load <4 x float>, ptr %a, align 4\n"
        "%y = call <4 x float> @llvm.sqrt.v4f32(<4 x float> %x)\n"
        "store <4 x float> %y, ptr %a, align 4\nret void\n}\n"
    )
    (tmp_path / "roots.o").write_bytes(translate(Job(HERE, "x86-64", text=text)).content)
    command = ["gcc", "-shared", "-nostdlib", "-o", "roots.so", "roots.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    random = np.random.default_rng(0)
    numbers = np.exp(random.uniform(-80, 80, 4000)).astype(np.float32)
    numbers[:2] = 0, 1e-30
    roots = numbers.copy()
    library = ctypes.CDLL(str(tmp_path / "roots.so"))
    for place in range(0, len(roots), 4):
        library.roots(ctypes.c_void_p(roots[place:].ctypes.data))

    np.testing.assert_allclose(roots, np.sqrt(numbers), rtol=5e-7, atol=0)


@needs("nm")
def test_the_same_network_is_the_same_file() -> None:
    assert compile_here(*small()).content == compile_here(*small()).content
