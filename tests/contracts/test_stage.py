"""Composite stages inside each other: how deep, and how an error says so."""

from __future__ import annotations

from typing import Any

import pytest

from gridcnn.contracts.stage import MAX_NESTED, Composite, Stage
from gridcnn.errors import SpecError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.settings.document import parse
from gridcnn.spec.load import load, validate
from gridcnn.spec.write import to_yaml
from gridcnn.stages.parallel import Parallel
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.repeat import Repeat
from gridcnn.stages.skip import Skip

TOO_DEEP = "stages may be nested 8 levels deep; this is deeper"


def nested(kind: type[Composite], depth: int) -> Stage | Composite:
    stage: Stage | Composite = Rectification()
    for _ in range(depth):
        if kind is Skip:
            stage = Skip(stages=(stage,))
        elif kind is Repeat:
            stage = Repeat(times=1, stages=(stage,))
        else:
            stage = Parallel(branches=((stage,), ()), join="sum")
    return stage


@pytest.mark.parametrize("kind", [Skip, Repeat, Parallel])
def test_typed_stages_are_nested_so_deep_and_no_deeper(kind: type[Composite]) -> None:
    """Four hundred of them inside each other are one clear error."""
    network = Network(load({"stages": [nested(kind, MAX_NESTED)]}), GridShape(1, 4, 4))

    assert network.output.sizes == (1, 4, 4)
    with pytest.raises(SpecError) as caught:
        nested(kind, 400)
    assert str(caught.value) == f"{kind.title}: {TOO_DEEP}"


@pytest.mark.parametrize("depth", [MAX_NESTED + 1, 19])
def test_a_spec_that_is_nested_too_deep_is_told_once(depth: int) -> None:
    """With line and column, also for as many levels as YAML may have."""
    text = f"stages:\n  - {'{skip: [' * depth}pooling{']}' * depth}\n"

    with pytest.raises(SpecError) as caught:
        validate(parse(text.encode(), "deep.yaml"))
    column = 6 + len("{skip: [") * (depth - MAX_NESTED - 1)
    assert str(caught.value) == f"deep.yaml:2:{column}: skip: {TOO_DEEP}"


def test_the_deepest_spec_can_be_read_again_with_all_settings_filled_in() -> None:
    """Lists in short form become settings in full, which are nested deeper."""
    stage: Any = {"convolution": {"features": [[[[0.5]]]]}}
    for _ in range(MAX_NESTED):
        stage = {"parallel": [[stage], []]}
    spec = load({"stages": [stage]})

    written = to_yaml(spec)

    assert written.count("join: maps") == MAX_NESTED
    assert validate(parse(written.encode(), "spec.yaml")) == spec
