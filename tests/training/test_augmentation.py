"""Augmentations: each against loops over single cells, and how training uses them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from gridcnn.engines.base import Engine, Step, make_engine
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.errors import ShapeError, SpecError
from gridcnn.estimator import GridClassifier
from gridcnn.grid import Array, Axis, Cells, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.runs.plan import plan
from gridcnn.runs.run import RunWatcher, run
from gridcnn.spec.load import load
from gridcnn.spec.models import Training
from gridcnn.training.augmentation import Augmentation, Augmenter, refuse_unfit
from gridcnn.training.loop import Epoch, Labelled, Progress, train

TEXT = GridShape(1, 5, 9, Axis("character", ordered=False), Axis("position"))
SOUND = GridShape(1, 6, 8, Axis("frequency", "Hz"), Axis("time", "s"))
ALL: list[Any] = [
    {"shift": {"rows": 2, "columns": 1}},
    {"flip": "rows"},
    {"zoom": 0.3},
    {"rotate": 20},
    {"mask": {"rows": 3, "columns": 2, "count": 2}},
    {"drop": 0.3},
    {"noise": 0.2},
    {"gain": {"factor": 0.3, "offset": 0.1}},
]


def made(*augmentation: Any) -> list[Augmentation]:
    """Return augmentations as a spec writes them."""
    read = load({"training": {"augmentation": list(augmentation)}}).training.augmentation
    assert all(isinstance(each, Augmentation) for each in read)
    return read  # type: ignore[return-value]


def changed(written: Any, grids: Cells, shape: GridShape | None = None, *, seed: int = 0) -> Cells:
    """Return what one augmentation makes of a batch; the batch itself stays as it is."""
    shape = shape or GridShape(*grids.shape[1:])
    augmenter = Augmenter(made(written), shape, seed=seed, epoch=1)
    return augmenter(grids if isinstance(grids, OneHot) else grids.copy())


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 4, 1, 0])


# Each against loops -----------------------------------------------------------------------------


def at(grid: Array, row: int, column: int, fill: Any) -> Any:
    """Return the cells of all channels at one place, which may lie outside of the grid."""
    _, rows, columns = grid.shape
    if 0 <= row < rows and 0 <= column < columns:
        return grid[:, row, column]
    if fill == "edge":
        return grid[:, min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)]
    return np.full(len(grid), fill)


def between(grid: Array, row: float, column: float, fill: Any) -> Any:
    """Return the bilinear mean of the four cells around a place."""
    above, left = math.floor(row), math.floor(column)
    down, across = row - above, column - left
    return sum(
        (down if i else 1 - down) * (across if j else 1 - across) * at(grid, above + i, left + j, fill)
        for i in (0, 1)
        for j in (0, 1)
    )  # fmt: skip


def each_cell(grid: Array, cell: Callable[[int, int], Any]) -> Array:
    out = np.empty_like(grid)
    for row in range(grid.shape[1]):
        for column in range(grid.shape[2]):
            out[:, row, column] = cell(row, column)
    return out


def shifted(own: Any, grid: Array, random: np.random.Generator) -> Array:
    down = math.floor(random.random() * (2 * own.rows + 1)) - own.rows
    across = math.floor(random.random() * (2 * own.columns + 1)) - own.columns
    fill = "edge" if own.fill is None else own.fill
    return each_cell(grid, lambda row, column: at(grid, row - down, column - across, fill))


def flipped(own: Any, grid: Array, random: np.random.Generator) -> Array:
    if random.random() >= own.probability:
        return grid
    return np.flip(grid, 1 if own.axis == "rows" else 2)


def zoomed(own: Any, grid: Array, random: np.random.Generator) -> Array:
    by = 2 * random.random() - 1
    middle = (grid.shape[1] - 1) / 2, (grid.shape[2] - 1) / 2
    fill = "edge" if own.fill is None else own.fill

    def cell(row: int, column: int) -> Any:
        down = middle[0] + (row - middle[0]) / (1 + by * own.rows)
        return between(grid, down, middle[1] + (column - middle[1]) / (1 + by * own.columns), fill)

    return each_cell(grid, cell)


def rotated(own: Any, grid: Array, random: np.random.Generator) -> Array:
    turn = np.exp(1j * np.radians(own.degrees * (2 * random.random() - 1)))
    middle = complex((grid.shape[1] - 1) / 2, (grid.shape[2] - 1) / 2)
    fill = "edge" if own.fill is None else own.fill

    def cell(row: int, column: int) -> Any:
        place = middle + (complex(row, column) - middle) * turn
        return between(grid, place.real, place.imag, fill)

    return each_cell(grid, cell)


def masked(own: Any, grid: Array, random: np.random.Generator) -> Array:
    uniform = random.random(4 * own.count).tolist()
    hidden = [[set[int]() for _ in range(own.count)] for _ in range(2)]
    for axis, widest in enumerate((own.rows, own.columns)):
        for band in range(own.count):
            size = grid.shape[1 + axis]
            width = math.floor(uniform[2 * axis * own.count + band] * (widest + 1))
            start = math.floor(uniform[(2 * axis + 1) * own.count + band] * (size - width + 1))
            hidden[axis][band] = set(range(start, start + width))
    out = grid.copy()
    for row in range(grid.shape[1]):
        for column in range(grid.shape[2]):
            for rows, columns in zip(*hidden, strict=True):
                inside = (row in rows, column in columns)
                if all(inside) if own.form == "box" else any(inside):
                    out[:, row, column] = own.fill
    return out


def dropped(own: Any, grid: Array, random: np.random.Generator) -> Array:
    out = grid.copy()
    for column in range(grid.shape[2]):
        if random.random() < own.probability:
            out[:, :, column] = 0
    return out


def noisy(own: Any, grid: Array, random: np.random.Generator) -> Array:
    return grid + own.deviation * random.standard_normal(grid.shape, np.dtype(grid.dtype).type)


def gained(own: Any, grid: Array, random: np.random.Generator) -> Array:
    factor = 1 + own.factor * (2 * random.random() - 1)
    return grid * factor + own.offset * (2 * random.random() - 1)


NAIVE = {
    "shift": shifted, "flip": flipped, "zoom": zoomed, "rotate": rotated,
    "mask": masked, "drop": dropped, "noise": noisy, "gain": gained,
}  # fmt: skip
fills = st.sampled_from([None, "edge", 0, -1, 0.5])
some = st.floats(0.05, 0.9)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict[str, Any], Array]:
    """Return a name, its settings and a batch that they go with."""
    rows, columns = draw(st.integers(2, 7)), draw(st.integers(2, 7))
    items, channels = draw(st.integers(0, 5)), draw(st.integers(1, 3))
    name = draw(st.sampled_from(sorted(NAIVE)))
    sizes = {
        "rows": draw(st.integers(0, rows - 1)), "columns": draw(st.integers(1, columns - 1)),
    }  # fmt: skip
    own: dict[str, Any] = {
        "shift": {**sizes, "fill": draw(fills)},
        "flip": {"axis": draw(st.sampled_from(["rows", "columns"])), "probability": draw(some)},
        "zoom": {"rows": draw(st.just(0.0) | some), "columns": draw(some), "fill": draw(fills)},
        "rotate": {"degrees": draw(st.floats(1, 180)), "fill": draw(fills)},
        "mask": {**sizes, "count": draw(st.integers(1, 3)), "fill": draw(st.sampled_from([0, -1]))},
        "drop": {"probability": draw(some)},
        "noise": {"deviation": draw(some)},
        "gain": {"factor": draw(some), "offset": draw(some)},
    }[name]
    if name == "mask" and sizes["rows"]:
        own["form"] = draw(st.sampled_from(["bands", "box"]))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    return name, own, random.uniform(-1, 1, (items, channels, rows, columns)).astype(kind)


@settings(max_examples=300, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_it_does_what_loops_over_single_cells_do(
    case: tuple[str, dict[str, Any], Array], seed: int
) -> None:
    """With the same random numbers, drawn one item after the other."""
    name, own, grids = case
    random = draws(seed)
    expected = np.empty_like(grids)
    (augmentation,) = made({name: own})
    for item, grid in enumerate(grids):
        expected[item] = NAIVE[name](augmentation, grid, random)

    found = changed({name: own}, grids, seed=seed)

    assert isinstance(found, np.ndarray)
    assert found.dtype == grids.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("fill", ["edge", -1])
def test_turning_and_zooming_are_those_of_scipy(fill: Any) -> None:
    """`scipy.ndimage.affine_transform` of order 1 finds the same numbers."""
    grids = np.random.default_rng(1).uniform(-1, 1, (4, 1, 9, 12)).astype(np.float32)
    mode: Any = {"mode": "nearest"} if fill == "edge" else {"mode": "grid-constant", "cval": -1}
    middle = np.array([4.0, 5.5])
    random = draws(7)
    for name, own, matrix in (
        ("rotate", {"degrees": 30}, lambda u: _rotation(30 * u)),
        ("zoom", {"rows": 0.4, "columns": 0.2}, lambda u: np.diag([1 + 0.4 * u, 1 + 0.2 * u])),
    ):
        found = np.asarray(changed({name: {**own, "fill": fill}}, grids, seed=7))
        random = draws(7)
        for before, after in zip(grids[:, 0], found[:, 0], strict=True):
            inverse = np.linalg.inv(matrix(2 * random.random() - 1))
            expected = ndimage.affine_transform(
                before.astype(float), inverse, middle - inverse @ middle, order=1, **mode
            )
            np.testing.assert_allclose(after, expected, atol=1e-5)


def _rotation(degrees: float) -> Array:
    turn = np.radians(-degrees)
    return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
