from typing import Any

import numpy as np
import pytest

from gridcnn.datasets.makers.pens import Bent, Frame, Ring, ink_of, rub_out


def one(value: float) -> Any:
    return np.full((1, 1, 1), value, np.float32)


def cells(side: int = 41) -> Any:
    along = np.arange(side, dtype=np.float32) - side // 2
    return along[None, None, :], along[None, :, None]


def nearest(points: Any, x: Any, y: Any) -> Any:
    """How far each cell is from the nearest of many points of a curve."""
    from_x = np.broadcast_to(x, (1, y.shape[1], x.shape[2]))[0][..., None] - points[0]
    from_y = np.broadcast_to(y, (1, y.shape[1], x.shape[2]))[0][..., None] - points[1]
    return np.hypot(from_x, from_y).min(axis=-1)


def ring(
    *, opening: float = 0.0, spiral: float = 0.0, waves: tuple[float, ...] = (0.0, 0.0)
) -> Ring:
    return Ring(
        cosines=tuple(one(wave) for wave in waves),
        sines=tuple(one(-wave / 2) for wave in waves),
        seam=one(0.7),
        opening=one(opening),
        spiral=one(spiral),
    )


FRAMES = {
    "circle": Frame(one(12), one(0), one(0), one(12), one(0), one(0)),
    "ellipse": Frame(one(14), one(3), one(-2), one(9), one(1), one(-2)),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("opening", [0.0, 0.6, -0.6])
@pytest.mark.parametrize("spiral", [0.0, 0.2])
def test_the_distance_from_a_ring_is_that_from_the_nearest_of_its_points(
    frame: Frame, opening: float, spiral: float
) -> None:
    """To first order: within a fifth, where the cell is within a stroke's width of the curve."""
    x, y = cells()
    curve = ring(opening=opening, spiral=spiral, waves=(0.05, 0.06))
    end = 1 - opening / (2 * np.pi)
    turns = np.linspace(-end, end, 4001, dtype=np.float32)[None, None, :]

    distance = curve.distance(frame, x, y)[0][0]
    true = nearest(np.array([part[0, 0] for part in frame.place(*curve.at(turns))]), x, y)
    near = true < 4

    assert np.abs(distance - true)[near].max() < 0.8
    assert np.abs(distance - true)[near].mean() < 0.1


@pytest.mark.parametrize(("bend", "swing"), [(0.0, 0.0), (0.25, 0.0), (-0.2, 0.2)])
def test_the_distance_from_a_stroke_is_that_from_the_nearest_of_its_points(
    bend: float, swing: float
) -> None:
    x, y = cells()
    stroke = Bent(one(-13), one(-9), one(11), one(14), bend=one(bend), swing=one(swing))
    places = np.linspace(-1, 1, 4001, dtype=np.float32)[None, None, :]

    distance = stroke.distance(x, y)[0][0]
    true = nearest(np.array([part[0, 0] for part in stroke.at(places)]), x, y)
    near = true < 4

    assert np.abs(distance - true)[near].max() < 1.0
    assert np.abs(distance - true)[near].mean() < 0.12


def test_an_eraser_leaves_no_ink_within_its_radius() -> None:
    x, y = cells()
    edge = np.hypot(x, y) - 10

    left = rub_out(edge, x, y, at=(one(5), one(0)), radius=one(3))

    assert (left[np.hypot(x - 5, y + 0 * x) < 3] > 0).all()
    assert (left[np.hypot(x - 5, y + 0 * x) > 9] == edge[np.hypot(x - 5, y + 0 * x) > 9]).all()


def test_ink_fades_evenly_over_the_softness() -> None:
    edge = np.array([[[-2, -1, -0.5, 0, 0.5, 1, 2]]], np.float32)

    assert ink_of(edge, softness=one(2)).ravel().tolist() == [1, 1, 0.75, 0.5, 0.25, 0, 0]
    assert ink_of(edge, softness=one(0)).ravel().tolist() == [1, 1, 1, 0.5, 0, 0, 0]
