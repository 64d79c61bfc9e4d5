"""The space of a spec without marks."""

from __future__ import annotations

import pytest

from gridcnn.pipelines import ready
from gridcnn.spec.load import load
from gridcnn.tuning.default import default_space


@pytest.mark.parametrize("name", list(ready()))
def test_the_first_trial_of_a_ready_spec_is_the_spec_itself(name: str) -> None:
    """All values of its space are right, too."""
    spec = load(name, ready=ready())

    space, own = default_space(spec)

    space.refuse_wrong()
    assert set(own) == set(space.dimensions)
    assert space.spec(own) == spec


def test_sizes_vary_together_by_factors_that_divide_them() -> None:
    """Half of three filters is none, and groups have equal numbers of features."""
    spec = load(
        {
            "stages": [
                {"convolution": {"filters": 6, "groups": 3}},
                {"skip": [{"convolution": {"filters": 4}}]},
                {"dropout": 0.4},
            ],
            "head": {"voting": {"hidden": [8, 3]}},
        }
    )

    space, own = default_space(spec)

    assert space.dimensions["filters"].labels == ("x 0.5", "x 1", "x 2")
    assert space.dimensions["hidden units"].labels == ("x 1", "x 2")
    half = space.spec({**own, "filters": 0, "hidden units": 1, "dropout of stages": 3})
    convolution, skip, dropout = half.stages
    assert convolution.filters == 3  # type: ignore[union-attr]
    assert skip.stages[0].filters == 2  # type: ignore[union-attr]
    assert dropout.rate == pytest.approx(0.6)  # type: ignore[union-attr]
    assert half.head is not None
    assert half.head.hidden == (16, 6)  # type: ignore[attr-defined]
