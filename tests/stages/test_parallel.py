from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.engines.base import make_engine
from gridcnn.errors import ShapeError, SpecError
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.stages.parallel import Parallel

SHAPE = GridShape(2, 6, 5)
GRIDS = np.random.default_rng(0).normal(0, 1, (3, *SHAPE.sizes))
BRANCHES: list[Any] = [
    ["rectification"],
    [],
    [{"pooling": {"window": 3, "stride": 1, "edges": "keep"}}, {"activation": "tanh"}],
]
SAME: Any = {"convolution": {"filters": 2}}


def maps(*stages: Any) -> Array:
    made = Network(load({"stages": list(stages)}), SHAPE)
    parameters = np.random.default_rng(1).normal(0, 1, made.parameters)
    return make_engine(made, "reference").maps(parameters, GRIDS)


def test_each_branch_gets_what_enters_and_maps_are_joined() -> None:
    branches: list[Any] = [[{"pooling": {"window": "all"}}], ["rectification", "pooling"]]
    whole = [{"pooling": {"window": "all"}}]
    made = maps({"parallel": [branches[0], [*branches[1], *whole]]})

    alone = [maps(*branches[0]), maps(*branches[1], *whole)]
    np.testing.assert_array_equal(made, np.concatenate(alone, axis=1))


@pytest.mark.parametrize("join", ["maps", "sum"])
def test_an_empty_branch_passes_on_what_enters(join: str) -> None:
    rectified = np.maximum(GRIDS, 0)
    made = maps({"parallel": {"branches": [["rectification"], [], []], "join": join}})

    if join == "sum":
        np.testing.assert_array_equal(made, rectified + GRIDS + GRIDS)
    else:
        np.testing.assert_array_equal(made, np.concatenate([rectified, GRIDS, GRIDS], axis=1))


def test_labels_number_the_branches() -> None:
    made = Network(
        load({"stages": [{"parallel": [[SAME, "rectification"], [], [{"skip": [SAME]}]]}]}), SHAPE
    )

    assert [op.label for op in made.ops] == [
        "1.1.1 convolution",
        "1.1.2 rectification",
        "1.3.1.1 convolution",
        "1.3.1 sum",
        "1 join",
    ]
    assert made.ops[-1].sources == (2, 0, 4)
    assert [(group.label, group.start, group.stop) for group in made.groups] == [
        ("1.1", 0, 2),
        ("1.2", 2, 2),
        ("1.3.1 skip", 2, 4),
        ("1.3", 2, 4),
        ("1 parallel", 0, 5),
    ]


@pytest.mark.parametrize(
    ("parallel", "message"),
    [
        (
            [[SAME], ["pooling"]],
            r"^stages\[0\]\.parallel: 1 join: maps of 2 x 6 x 5 and 2 x 3 x 3 cannot be joined",
        ),
        (
            {"branches": [[{"convolution": {"filters": 3}}], []], "join": "sum"},
            "1 sum: grids of 3 x 6 x 5 and 2 x 6 x 5 cannot be added; all need the same channels",
        ),
        (
            [[], ["rectification", {"pooling": {"window": 7, "edges": "drop"}}]],
            r"^stages\[0\]\.parallel\.branches\[1\]\[1\]: 1\.2\.2 pooling: no window of 7 x 7",
        ),
    ],
)
def test_branches_that_do_not_fit_are_explained(parallel: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        maps({"parallel": parallel})


@pytest.mark.parametrize(
    ("parallel", "message"),
    [
        ([[]], r"'branches' of parallel must be a list of at least 2 branches; got \[\[\]\]"),
        ([], "must be a list of at least 2 branches"),
        ([[], "pooling"], r"'branches\[1\]' of parallel must be a list; got 'pooling'"),
        ([None, []], r"'branches\[0\]' of parallel must be a list; got null"),
        ({"branches": [[], []], "join": "mean"}, "'join' of parallel must be 'maps' or 'sum'"),
        ([[], ["pool"]], r"^stages\[0\]\.parallel\.branches\[1\]\[0\]: "),
    ],
)
def test_wrong_settings_are_explained_in_one_line(parallel: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        load({"stages": [{"parallel": parallel}]})
    assert "\n" not in str(caught.value)


def test_a_bare_list_is_the_branches() -> None:
    assert Parallel.model_validate(BRANCHES) == Parallel.model_validate({"branches": BRANCHES})
    spec = load({"stages": [{"parallel": BRANCHES}]})
    assert load(spec.model_dump(mode="json")) == spec
