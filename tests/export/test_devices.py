"""Compiled networks run on the processors they are for, and take no more stack than they say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gridcnn.engines.base import make_engine
from gridcnn.export.compiled.compilation import Compilation, Compiled
from gridcnn.export.compiled.targets import find_target
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.stages.voting import VotingLayers
from tests.export.compiling import expected_votes, needs
from tests.export.devices import DEVICES, Run, fits, run_on
from tests.export.test_compiled import CLOSE, networks, small
from tests.networks import Case, uncached

_SLOW = {"Windows"}
"""Wine takes seconds to start."""
each_device = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[needs(*DEVICES[name].programs), *[pytest.mark.long] * (name in _SLOW)]
        )
        for name in DEVICES
    ],
)


def run(
    name: str, network: Network, weights: Array, grids: Array, folder: Path, **options: Any
) -> Run:
    """Return what a network answers on a device; assert that it takes the stack that it says."""
    device = DEVICES[name]
    target = find_target(device.triple, device.cpu)
    with uncached():
        compiled = Compilation(network, weights, target, name="tried", **options).compile()
    items = grids
    if compiled.indices:
        items = np.where(grids[:, 0].any(axis=1), grids[:, 0].argmax(axis=1), -1)
    if not fits(device, compiled, items):  # only random networks are so large
        assume(False)
    answered = run_on(device, compiled, items, folder)
    if not compiled.needs:  # what the compiler's own functions take is not counted
        assert answered.stack <= max(compiled.stack_bytes, 128)
    assert (answered.status == 0).all()
    return answered


@each_device
def test_votes_on_a_device_are_those_of_the_reference(name: str, tmp_path: Path) -> None:
    network, weights = small()
    grids = np.random.default_rng(0).uniform(-1, 1, (3, *network.shape.sizes))
    logits = make_engine(network, "reference").maps(weights, grids)

    # Weights in a file are read at any place that is a multiple of 4.
    answered = run(name, network, weights, grids, tmp_path, inside=name != "Cortex-M4")

    np.testing.assert_allclose(answered.votes, expected_votes(network, logits), rtol=0, atol=1e-6)


@needs(*DEVICES["Cortex-M4"].programs)
def test_a_multiply_add_takes_about_two_instructions_on_a_microcontroller(tmp_path: Path) -> None:
    brick = ["rectification", {"pooling": {"window": 2, "stride": 2}}]
    stages = [{"convolution": {"filters": 8}}, *brick, {"convolution": {"filters": 16}}, *brick]
    spec = load({"stages": stages, "head": {"voting": {"hidden": [32]}}})
    network = Network(spec, GridShape(1, 28, 28), classes=10)
    grids = np.zeros((1, 1, 28, 28))

    answered = run("Cortex-M4", network, network.starting_parameters(), grids, tmp_path)

    assert network.multiply_adds == 326_464
    assert 1.5 < answered.instructions / network.multiply_adds < 2.3


@pytest.mark.long
@each_device
@settings(max_examples=40)
@given(networks(), st.booleans())
def test_votes_of_many_networks_on_a_device(
    tmp_path_factory: pytest.TempPathFactory, name: str, drawn: tuple[Case, bool], inside: bool
) -> None:
    case, one_hot = drawn
    network = case.network
    if not network.ops or not isinstance(network.ops[-1].stage, VotingLayers):
        return
    folder = tmp_path_factory.mktemp("case")
    logits = make_engine(network, "reference").maps(case.parameters, case.grids)

    answered = run(
        *(name, network, case.single.parameters, case.single.grids, folder),
        inside=inside,
        one_hot=one_hot,
    )

    bound = CLOSE * max(1, np.abs(logits).max())
    np.testing.assert_allclose(answered.votes, expected_votes(network, logits), rtol=0, atol=bound)


_PAGE = """
const fs = require('fs');
WebAssembly.instantiate(fs.readFileSync('tried.wasm'), {}).then(({instance}) => {
  const {tried_run, memory, __heap_base} = instance.exports;
  const given = JSON.parse(fs.readFileSync('grids.json'));
  let at = (__heap_base.value + 63) & ~63;
  memory.grow(Math.ceil((at + given.bytes) / 65536));
  const cells = given.grids[0].length, work = at + 4 * (cells + given.classes);
  for (const grid of given.grids) {
    new KIND(memory.buffer, at, cells).set(grid);
    new Uint8Array(memory.buffer, work, given.work).fill(255);
    if (tried_run(at, at + 4 * cells, work)) throw 'no votes';
    const votes = new Float32Array(memory.buffer, at + 4 * cells, given.classes);
    console.log(Array.from(votes).join(' '));
  }
});
"""


def run_in_a_module(compiled: Compiled, items: Array, folder: Path) -> Array:
    """Return the votes for grids or indices, `(items, classes)`, of a module that Node runs."""
    kind = "Int32Array" if compiled.indices else "Float32Array"
    flat = np.asarray(items, np.int32 if compiled.indices else np.float32).reshape(len(items), -1)
    classes = compiled.network.output.cells
    room = compiled.work_bytes + 4 * (flat.shape[1] + classes)
    given = {"grids": flat.tolist(), "classes": classes, "work": compiled.work_bytes, "bytes": room}
    (folder / "tried.o").write_bytes(compiled.content)
    (folder / "page.js").write_text(_PAGE.replace("KIND", kind))
    (folder / "grids.json").write_text(json.dumps(given))
    exports = ["--export=tried_run", "--export=__heap_base"]
    subprocess.run(
        ["wasm-ld", "--no-entry", *exports, "tried.o", "-o", "tried.wasm"], cwd=folder, check=True
    )
    done = subprocess.run(["node", "page.js"], cwd=folder, check=True, capture_output=True)
    return np.array([line.split() for line in done.stdout.decode().splitlines()], np.float64)


@needs("wasm-ld", "node")
@pytest.mark.parametrize("cpu", [None, "generic"])
def test_votes_in_web_assembly_are_those_of_the_reference(cpu: str | None, tmp_path: Path) -> None:
    network, weights = small()
    grids = np.random.default_rng(0).uniform(-1, 1, (3, *network.shape.sizes))
    logits = make_engine(network, "reference").maps(weights, grids)
    compiled = Compilation(network, weights, find_target("wasm32", cpu), name="tried").compile()

    votes = run_in_a_module(compiled, grids, tmp_path)

    assert compiled.needs == ()
    np.testing.assert_allclose(votes, expected_votes(network, logits), rtol=0, atol=1e-6)


@pytest.mark.long
@needs("wasm-ld", "node")
@settings(max_examples=60)
@given(networks())
def test_votes_of_many_networks_in_web_assembly(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Case, bool]
) -> None:
    case, one_hot = drawn
    network = case.network
    if not network.ops or not isinstance(network.ops[-1].stage, VotingLayers):
        return
    logits = make_engine(network, "reference").maps(case.parameters, case.grids)
    target = find_target("wasm32")
    with uncached():
        compilation = Compilation(
            network, case.single.parameters, target, name="tried", one_hot=one_hot
        )
        compiled = compilation.compile()
    items = case.one_hot.indices if compiled.indices else case.single.grids

    votes = run_in_a_module(compiled, items, tmp_path_factory.mktemp("case"))

    bound = CLOSE * max(1, np.abs(logits).max())
    np.testing.assert_allclose(votes, expected_votes(network, logits), rtol=0, atol=bound)
