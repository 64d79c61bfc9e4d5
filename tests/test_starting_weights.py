"""Starting weights of networks with sums: any number of branches leaves the votes finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.engines.base import make_engine
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.methods import Backpropagation

C: Any = {"convolution": {"filters": 4}}
PROJECTED: Any = {"stages": [C, "rectification", C], "shortcut": "projection"}
SHAPE = GridShape(1, 4, 4)


def network(*stages: Any) -> Network:
    return Network(load({"stages": list(stages), "head": "voting"}), SHAPE, classes=2)


def deep(times: int, block: Any) -> Network:
    whole = {"pooling": {"window": "all", "mode": "mean"}}
    return network(C, {"repeat": {"times": times, "stages": [block]}}, "rectification", whole)


def losses(made: Network, *, rate: float, steps: int) -> list[float]:
    """Return the losses of a few steps on items that are bright above, or below."""
    items = np.arange(16)
    grids = np.random.default_rng(0).normal(0, 0.5, (16, 1, 4, 4)).astype(np.float32)
    grids[items % 2 == 0, :, :2] += 1
    grids[items % 2 == 1, :, 2:] += 1
    method = Backpropagation(make_engine(made, "reference"), made.spec.training)
    parameters = made.starting_parameters()
    with np.errstate(over="ignore", invalid="ignore"):
        return [
            method.learn(parameters, grids, items % 2, rate=rate, random=np.random.default_rng(0))[
                0
            ]
            for _ in range(steps)
        ]


def check_start(made: Network, *, rate: float = 1e-4, steps: int = 5) -> None:
    """Assert that the first loss is near log(2), and that it falls."""
    found = losses(made, rate=rate, steps=steps)
    assert np.isfinite(found).all()
    assert abs(found[0] - np.log(2)) < 1.5
    assert found[-1] < found[0]


@pytest.mark.parametrize("times", [10, 60])
@pytest.mark.parametrize(
    "block",
    [
        {"skip": [C]},
        {"skip": [C, "rectification", C]},
        {"skip": ["rectification", C, "rectification", C]},
        {"skip": [C, "rectification"]},
        {"parallel": {"branches": [[C, "rectification", C], []], "join": "sum"}},
    ],
    ids=str,
)
def test_networks_of_many_skips_start_near_the_loss_of_guessing(times: int, block: Any) -> None:
    """The usual start would multiply the variance by 2 or 3 in each skip."""
    check_start(deep(times, block))


@pytest.mark.parametrize(
    "block",
    [
        {"skip": PROJECTED},
        {"skip": {"stages": [C], "shortcut": "projection"}},
        {"skip": [C, {"skip": [C, "rectification", C]}]},
        {"parallel": {"branches": [[C, "rectification"]] * 3, "join": "sum"}},
    ],
    ids=str,
)
def test_sums_without_a_plain_way_start_finite_too(block: Any) -> None:
    """So narrow ones may let nothing through, but no number explodes."""
    check_start(deep(10, block), rate=1e-3)
    (first,) = losses(deep(150, block), rate=1e-3, steps=1)
    assert abs(first - np.log(2)) < 1.5


@pytest.mark.long
@pytest.mark.parametrize("times", [100, 1000])
@pytest.mark.parametrize("block", [{"skip": [C]}, {"skip": [C, "rectification"]}], ids=str)
def test_networks_of_a_thousand_skips_start_near_the_loss_of_guessing(
    times: int, block: Any
) -> None:
    check_start(deep(times, block))


def gains(made: Network) -> dict[str, float]:
    """Return how much smaller the weights of each operation start than those of He."""
    found = {}
    for op in made.ops:
        if op.slots and op.slots[0].parameter.fan_in:
            weights = op.views(made.starting_parameters(np.float64))
            deviation = weights[op.slots[0].parameter.name].std()
            found[op.label] = float(deviation * np.sqrt(op.slots[0].parameter.fan_in / 2))
    return found


WIDE: Any = {"convolution": {"filters": 64}}


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        # The last convolution of the branch alone is smaller; by how many sums there are.
        ([WIDE, {"skip": [WIDE, "rectification", WIDE]}], [1, 1, 1]),
        ([WIDE, *[{"skip": [WIDE, "rectification", WIDE]}] * 4], [1, *[1, 0.5] * 4]),
        # What is rectified has a mean, and means add up faster.
        ([WIDE, *[{"skip": [WIDE, "rectification"]}] * 4], [1, *[0.25] * 4]),
        # A normalization makes the variance 1 whatever enters.
        ([WIDE, *[{"skip": [WIDE, "normalization"]}] * 4], [1, *[1] * 4]),
        ([WIDE, *[{"skip": ["normalization", WIDE]}] * 4], [1, *[1] * 4]),
        # A projection passes on the mean square of what enters.
        (
            [WIDE, *[{"skip": {"stages": [WIDE], "shortcut": "projection"}}] * 4],
            [1, *[0.5, 0.5] * 4],
        ),
        (
            [
                WIDE,
                *[{"skip": {"stages": [WIDE, "rectification", WIDE], "shortcut": "projection"}}]
                * 4,
            ],
            [1, *[1, 0.5, 0.5**0.5] * 4],
        ),
        # Branches that are added keep the mean square together.
        ([{"parallel": {"branches": [[WIDE]] * 4, "join": "sum"}}], [0.125**0.5] * 4),
        # Maps that are joined are not added.
        ([{"parallel": [[WIDE], [WIDE]]}], [1, 1]),
        # In parallel to each other, sums are not on one path.
        ([WIDE, {"parallel": [[{"skip": [WIDE]}], [{"skip": [WIDE]}]]}], [1, 1, 1]),
        # The branch of the outer skip ends in the inner one, whose path ends in a convolution.
        ([WIDE, {"skip": [WIDE, {"skip": [WIDE]}]}], [1, 0.5**0.5, 0.5]),
    ],
    ids=str,
)
def test_the_last_convolutions_before_a_sum_start_smaller(
    stages: list[Any], expected: list[float]
) -> None:
    found = list(gains(network(*stages)).values())[:-1]  # without the votes

    np.testing.assert_allclose(found, expected, rtol=0.1)


def test_branches_change_no_other_weight() -> None:
    """The draws come in their order: plain networks, and other stages, keep their bits."""
    plain = network(WIDE, WIDE, "rectification", WIDE).starting_parameters()
    skipped = network(WIDE, *[{"skip": [WIDE, "rectification", WIDE]}])
    repeated = network(WIDE, *[{"skip": [WIDE]}] * 4).starting_parameters()

    np.testing.assert_array_equal(skipped.starting_parameters(), plain)
    first = slice(0, 64 * 9)
    np.testing.assert_array_equal(repeated[first], plain[first])


def test_written_features_stay_as_they_are_written() -> None:
    written: Any = {"convolution": {"features": np.eye(3).reshape(1, 3, 3).tolist()}}
    made = network(*[{"skip": [written]}] * 9)

    for op in made.ops[:-1:2]:
        np.testing.assert_array_equal(
            op.views(made.starting_parameters())["weights"][0, 0], np.eye(3)
        )
