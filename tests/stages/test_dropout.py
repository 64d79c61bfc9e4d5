from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError

from gridcnn.grid import Array, GridShape
from gridcnn.stages.dropout import Dropout


def dropped(stage: Dropout, grids: Array, *, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    return stage.forward(grids, {}, training=True, random=random)[0]


def test_a_part_of_the_cells_is_left_out_and_the_rest_counts_more() -> None:
    """What is kept is divided by the part that is kept, so that the mean stays."""
    left = dropped(Dropout(rate=0.25), np.full((20, 4, 10, 10), 3.0))

    assert set(np.unique(left)) == {0, 4}
    assert (left == 0).mean() == pytest.approx(0.25, abs=0.02)  # 4.1 standard deviations
    assert left.mean() == pytest.approx(3, abs=0.1)


def test_maps_are_left_out_whole() -> None:
    left = dropped(Dropout(rate=0.5, of="maps"), np.ones((50, 20, 3, 4)))

    maps = left.reshape(50, 20, -1)
    assert ((maps == 0).all(axis=2) | (maps == 2).all(axis=2)).all()
    assert (maps[..., 0] == 0).mean() == pytest.approx(0.5, abs=0.07)  # 4.4 standard deviations


@pytest.mark.parametrize("of", ["cells", "maps"])
def test_gradients_are_the_slopes(networks: ModuleType, of: str) -> None:
    """What is left out gets no gradient, and the rest more."""
    stage = Dropout.model_validate({"rate": 0.4, "of": of})

    networks.check_gradients(stage, GridShape(3, 4, 5), seed=0, training=True, chance=1)


@pytest.mark.parametrize("of", ["cells", "maps"])
def test_random_numbers_do_not_depend_on_the_parts_of_a_batch(of: str) -> None:
    """One generator gives the same items whether they come at once or one by one."""
    stage = Dropout.model_validate({"rate": 0.4, "of": of})
    grids = np.random.default_rng(0).normal(0, 1, (9, 3, 3, 3)).astype(np.float32)
    random = np.random.default_rng(5)
    parts = [
        stage.forward(part, {}, training=True, random=random)[0]
        for part in (grids[:1], grids[1:4], grids[4:])
    ]

    np.testing.assert_array_equal(np.concatenate(parts), dropped(stage, grids, seed=5))


def test_the_precision_does_not_change_what_is_left_out() -> None:
    grids = np.ones((5, 2, 4, 4))
    for rate in (0.1, 0.5, 0.9):
        double = dropped(Dropout(rate=rate), grids)
        single = dropped(Dropout(rate=rate), grids.astype(np.float32))
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=1e-6)


def test_answers_leave_nothing_out(networks: ModuleType) -> None:
    grids = np.random.default_rng(0).normal(0, 1, (2, 2, 3, 3))
    for training in (False, True):
        same, backward = Dropout(rate=0.9).forward(grids, {}, training=training)
        np.testing.assert_array_equal(same, grids)
        np.testing.assert_array_equal(backward(grids)[0], grids)
    networks.check_items(Dropout(rate=0.5), GridShape(2, 3, 4))


def test_a_rate_of_0_draws_nothing() -> None:
    random = np.random.default_rng(0)
    before = random.bit_generator.state

    Dropout(rate=0).forward(np.ones((1, 1, 2, 2)), {}, training=True, random=random)
    assert random.bit_generator.state == before
    assert (Dropout(rate=0).draws, Dropout(rate=0.1).draws) == (False, True)


def test_a_rate_of_almost_1_leaves_finite_numbers() -> None:
    left = dropped(Dropout(rate=1 - 1e-9), np.ones((4, 2, 20, 20), np.float32))

    assert np.isfinite(left).all()


def test_the_shape_stays_and_nothing_is_learned() -> None:
    shape, stage = GridShape(2, 3, 4), Dropout(rate=0.5)

    assert stage.output(shape) == shape
    assert stage.parameters(shape) == ()
    assert stage.multiply_adds(shape) == 0


def test_a_bare_number_is_the_rate() -> None:
    assert Dropout.model_validate(0.25) == Dropout(rate=0.25)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "needs the setting 'rate'"),
        (1, "'rate' of dropout must be"),
        (-0.1, "'rate' of dropout must be"),
        ({"rate": float("nan")}, "'rate' of dropout must be"),
        ({"rate": 0.5, "of": "rows"}, "'of' of dropout must be 'cells' or 'maps'; got 'rows'"),
    ],
)
def test_wrong_settings_are_explained_in_one_line(wrong: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Dropout.model_validate(wrong)
