from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.engines.base import make_engine
from gridcnn.errors import ShapeError, SpecError
from gridcnn.grid import GridShape
from gridcnn.network import MAX_OPERATIONS, Network
from gridcnn.spec.load import load

SHAPE = GridShape(2, 6, 5)
STAGES: list[Any] = [{"convolution": {"filters": 3}}, "rectification"]


def network(*stages: Any) -> Network:
    return Network(load({"stages": list(stages)}), SHAPE)


def test_stages_are_repeated_with_parameters_of_their_own() -> None:
    """Written out one after the other, they are the same network."""
    repeated = network({"repeat": {"times": 3, "stages": STAGES}})
    written = network(*STAGES, *STAGES, *STAGES)
    grids = np.random.default_rng(0).normal(0, 1, (2, *SHAPE.sizes))

    assert repeated.parameters == written.parameters
    parameters = repeated.starting_parameters(np.float64)
    np.testing.assert_array_equal(parameters, written.starting_parameters(np.float64))
    np.testing.assert_array_equal(
        make_engine(repeated, "reference").maps(parameters, grids),
        make_engine(written, "reference").maps(parameters, grids),
    )
    assert all(op.sources == (number,) for number, op in enumerate(repeated.ops))


def test_labels_number_the_repetitions() -> None:
    made = network({"repeat": {"times": 2, "stages": STAGES}}, "pooling")

    assert [op.label for op in made.ops] == [
        "1.1.1 convolution",
        "1.1.2 rectification",
        "1.2.1 convolution",
        "1.2.2 rectification",
        "2 pooling",
    ]


def test_a_repetition_that_no_longer_fits_has_its_number() -> None:
    with pytest.raises(
        ShapeError, match=r"^stages\[0\]\.repeat\.stages\[0\]: 1\.3\.1 pooling: no w"
    ):
        network({"repeat": {"times": 9, "stages": [{"pooling": {"edges": "drop"}}]}})


def test_too_many_operations_are_refused_at_once() -> None:
    once: Any = ["rectification"]
    for _ in range(2):
        once = [{"repeat": {"times": 65_536, "stages": once}}]

    with pytest.raises(ShapeError, match=f"more than the {MAX_OPERATIONS:,} operations allowed"):
        network(*once)


@pytest.mark.parametrize(
    ("repeat", "message"),
    [
        ({"times": 0, "stages": STAGES}, "'times' of repeat must be at least 1; got 0"),
        ({"times": 2}, "repeat needs the setting 'stages'"),
        ({"times": 2, "stages": []}, r"must be a list of at least 1 stage; got \[\]"),
        (3, "repeat takes settings, as 'name: value'; got 3"),
        ({"times": 2, "stages": ["pool"]}, r"^stages\[0\]\.repeat\.stages\[0\]: "),
    ],
)
def test_wrong_settings_are_explained_in_one_line(repeat: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        load({"stages": [{"repeat": repeat}]})
    assert "\n" not in str(caught.value)
