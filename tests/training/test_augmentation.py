"""Augmentations: each against loops over single cells, and how training uses them."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.interpolate import BSpline

import gridcnn
import gridcnn.registry as registry_room
from gridcnn.contracts.augmentation import Augmentation
from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.engines.base import StepResult, make_engine
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.errors import ShapeError, SpecError, TrainingInterrupted
from gridcnn.estimator import GridClassifier
from gridcnn.grid import Array, Axis, Cells, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.runs.located import locate
from gridcnn.runs.plan import plan
from gridcnn.runs.prepare import prepare
from gridcnn.runs.run import RunWatcher
from gridcnn.spec.augmentations import AUGMENTATIONS
from gridcnn.spec.load import load
from gridcnn.spec.models import Spec
from gridcnn.training.augmentation import Augmenter, refuse_unfit
from gridcnn.training.augmentation_places import Spline
from gridcnn.training.loop import Labelled, TrainingState, train
from gridcnn.training.memory import estimate_memory

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
    {"shear": 20},
    {"elastic": {"rows": 1.5, "columns": 1, "spacing": 3}},
    {"erase": {"area": 0.5, "probability": 0.8}},
    {"brightness": 0.4},
    {"contrast": 0.4},
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
    found = np.zeros(len(grid))
    for level, height in ((above, 1 - down), (above + 1, down)):
        for place, width in ((left, 1 - across), (left + 1, across)):
            found += height * width * at(grid, level, place, fill)
    return found


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
    drawn = random.standard_normal(grid.shape, np.dtype(grid.dtype).type)
    out: Array = grid + own.deviation * drawn
    return out


def gained(own: Any, grid: Array, random: np.random.Generator) -> Array:
    factor = 1 + own.factor * (2 * random.random() - 1)
    out: Array = grid * factor + own.offset * (2 * random.random() - 1)
    return out


def sheared(own: Any, grid: Array, random: np.random.Generator) -> Array:
    slope = math.tan(math.radians(own.degrees * (2 * random.random() - 1)))
    middle = (grid.shape[1] - 1) / 2, (grid.shape[2] - 1) / 2
    fill = "edge" if own.fill is None else own.fill

    def cell(row: int, column: int) -> Any:
        if own.axis == "columns":
            return between(grid, row, column + slope * (row - middle[0]), fill)
        return between(grid, row + slope * (column - middle[1]), column, fill)

    return each_cell(grid, cell)


def bent(own: Any, grid: Array, random: np.random.Generator) -> Array:
    counts = [(size - 1) // own.spacing + 4 for size in grid.shape[1:]]
    knots = 2 * random.random((2, *counts)) - 1
    fill = "edge" if own.fill is None else own.fill
    curve = BSpline.basis_element(np.arange(5) - 2, extrapolate=False)

    def pull(axis: int, row: int, column: int) -> float:
        total = 0.0
        for down in range(counts[0]):
            for across in range(counts[1]):
                places = row / own.spacing - (down - 1), column / own.spacing - (across - 1)
                parts = [0.0 if abs(place) >= 2 else float(curve(place)) for place in places]
                total += knots[axis, down, across] * parts[0] * parts[1]
        return total

    def cell(row: int, column: int) -> Any:
        down = row + own.rows * pull(0, row, column)
        return between(grid, down, column + own.columns * pull(1, row, column), fill)

    return each_cell(grid, cell)


def erased(own: Any, grid: Array, random: np.random.Generator) -> Array:
    _, rows, columns = grid.shape
    whether, size, form, above, left = random.random(5, np.float32).tolist()
    noise = 2 * random.random(grid.shape, np.float32) - 1 if own.fill == "noise" else None
    if whether >= own.probability:
        return grid
    least = min(0.02, own.area)
    side, ratio = math.sqrt(least + size * (own.area - least)), 0.3 ** ((1 - 2 * form) / 2)
    high = max(1, round(rows * min(1, side * ratio)))
    wide = max(1, round(columns * min(1, side / ratio)))
    top, start = math.floor(above * (rows - high + 1)), math.floor(left * (columns - wide + 1))
    out = grid.copy()
    for row in range(top, top + high):
        for column in range(start, start + wide):
            out[:, row, column] = own.fill if noise is None else noise[:, row, column]
    return out


def _stretched(own: Any, grid: Array, middle: float, random: np.random.Generator) -> Array:
    factor = 1 + own.factor * (2 * random.random() - 1)
    low, high = min(-1, float(grid.min())), max(1, float(grid.max()))
    out = np.empty_like(grid)
    for place, value in np.ndenumerate(grid):
        out[place] = min(max(middle + (float(value) - middle) * factor, low), high)
    return out


def brightened(own: Any, grid: Array, random: np.random.Generator) -> Array:
    return _stretched(own, grid, -1, random)


def contrasted(own: Any, grid: Array, random: np.random.Generator) -> Array:
    return _stretched(own, grid, sum(grid.ravel().tolist()) / grid.size, random)


NAIVE = {
    "shear": sheared, "elastic": bent, "erase": erased,
    "brightness": brightened, "contrast": contrasted,
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
    most = {
        "rows": draw(st.integers(0, rows - 1)), "columns": draw(st.integers(1, columns - 1)),
    }  # fmt: skip
    every: dict[str, dict[str, Any]] = {
        "shift": {**most, "fill": draw(fills)},
        "flip": {"axis": draw(st.sampled_from(["rows", "columns"])), "probability": draw(some)},
        "zoom": {"rows": draw(st.just(0.0) | some), "columns": draw(some), "fill": draw(fills)},
        "rotate": {"degrees": draw(st.floats(1, 180)), "fill": draw(fills)},
        "mask": {**most, "count": draw(st.integers(1, 3)), "fill": draw(st.sampled_from([0, -1]))},
        "drop": {"probability": draw(some)},
        "noise": {"deviation": draw(some)},
        "gain": {"factor": draw(some), "offset": draw(some)},
        "shear": {
            "degrees": draw(st.floats(1, 60)),
            "axis": draw(st.sampled_from(["rows", "columns"])),
            "fill": draw(fills),
        },
        "elastic": {
            "rows": draw(st.just(0.0) | some),
            "columns": draw(some),
            "spacing": draw(st.integers(2, 9)),
            "fill": draw(fills),
        },
        "erase": {
            "area": draw(some),
            "probability": draw(some),
            "fill": draw(st.sampled_from(["noise", 0.5])),
        },
        "brightness": {"factor": draw(some)},
        "contrast": {"factor": draw(some)},
    }
    own = every[name]
    if name == "mask" and most["rows"]:
        own["form"] = draw(st.sampled_from(["bands", "box"]))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    loudest = draw(st.sampled_from([1, 3]))
    sizes = (items, channels, rows, columns)
    return name, own, random.uniform(-loudest, loudest, sizes).astype(kind)


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


@pytest.mark.parametrize("fill", ["edge", -1])
def test_bending_and_slanting_are_those_of_scipy(fill: Any) -> None:
    """`scipy.ndimage` evaluates the same spline, and finds the same cells between others."""
    grids = np.random.default_rng(1).uniform(-1, 1, (4, 1, 13, 17)).astype(np.float32)
    mode: Any = {"mode": "nearest"} if fill == "edge" else {"mode": "grid-constant", "cval": -1}
    places = np.stack(np.meshgrid(np.arange(13.0), np.arange(17.0), indexing="ij"))
    random = draws(7)
    own = {"rows": 2, "columns": 1.5, "spacing": 4, "fill": fill}
    bent = np.asarray(changed({"elastic": own}, grids, seed=7))
    for before, after in zip(grids[:, 0], bent[:, 0], strict=True):
        moves = [
            ndimage.map_coordinates(knots, places / 4 + 1, order=3, prefilter=False)
            for knots in 2 * random.random((2, 7, 8)) - 1
        ]
        at_places = places + np.array([2, 1.5])[:, None, None] * np.stack(moves)
        expected = ndimage.map_coordinates(before.astype(float), at_places, order=1, **mode)
        np.testing.assert_allclose(after, expected, atol=1e-5)
    random = draws(7)
    slanted = np.asarray(changed({"shear": {"degrees": 30, "fill": fill}}, grids, seed=7))
    for before, after in zip(grids[:, 0], slanted[:, 0], strict=True):
        matrix = np.array([[1, 0], [math.tan(math.radians(30 * (2 * random.random() - 1))), 1]])
        middle = np.array([6.0, 8.0])
        expected = ndimage.affine_transform(
            before.astype(float), matrix, middle - matrix @ middle, order=1, **mode
        )
        np.testing.assert_allclose(after, expected, atol=1e-5)


def test_knots_move_all_cells_around_them_smoothly() -> None:
    """The parts of a cell add up to 1, so that a grid moves as a whole if its knots do."""
    for size in (1, 2, 8, 9, 50):
        for spacing in (2, 8, 100):
            spline = Spline.of(size, spacing)

            assert spline.knots == (size - 1) // spacing + 4
            assert (spline.parts >= 0).all()
            np.testing.assert_allclose(spline(np.full((2, spline.knots), 3)), 3, atol=1e-5)


def test_a_bent_text_keeps_its_symbols_together() -> None:
    """Along an axis without order all cells move alike, so that each column has one symbol."""
    grids = OneHot(np.tile(np.arange(5, dtype=np.int32), (50, 3)), 5)
    shape = GridShape(1, 5, 15, Axis("character", ordered=False), Axis("position"))

    found = np.asarray(changed({"elastic": {"columns": 2, "spacing": 5}}, grids, shape))

    assert (found != np.asarray(grids)).any(axis=(1, 2, 3)).mean() > 0.9
    assert found[:, 0, :, 3:-3].sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_boxes_have_all_sizes_and_forms() -> None:
    """Up to a part of the grid, high ones and wide ones, and as likely as is said."""
    grids = np.zeros((3000, 1, 20, 30), np.float32)

    own = {"area": 0.4, "probability": 0.7, "fill": 1}
    found = np.asarray(changed({"erase": own}, grids))[:, 0]

    parts = found.mean(axis=(1, 2))
    assert (parts > 0).mean() == pytest.approx(0.7, abs=0.03)
    assert parts.max() == pytest.approx(0.4, abs=0.03)
    assert parts[parts > 0].min() < 0.03
    boxes = found[parts > 0]
    forms = boxes.max(axis=2).mean(axis=1) / boxes.max(axis=1).mean(axis=1)
    assert forms.max() > 2.5
    assert forms.min() < 0.4
    noise = np.asarray(changed({"erase": {"area": 1, "probability": 1}}, grids))
    erased_cells = noise[noise != 0]
    assert erased_cells.std() == pytest.approx(1 / math.sqrt(3), abs=0.01)


def _rotation(degrees: float) -> Array:
    turn = np.radians(-degrees)
    return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])


def test_pictures_of_what_it_does() -> None:
    """A stroke that is moved, mirrored and hidden."""
    grid = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.float32)
    # The first seed of which the number is such that the change is as large as it can be.
    right = next(seed for seed in range(99) if draws(seed).random(2)[1] >= 2 / 3)

    moved = np.asarray(changed({"shift": {"columns": 1}}, grid, seed=right))
    black = np.asarray(changed({"shift": {"columns": 1, "fill": -1}}, grid, seed=right))
    mirrored = np.asarray(changed({"flip": {"axis": "columns", "probability": 1}}, grid))
    turned = np.asarray(changed({"flip": {"axis": "rows", "probability": 1}}, grid))

    assert moved[0, 0].tolist() == [[1, 1, 2], [4, 4, 5]]
    assert black[0, 0].tolist() == [[-1, 1, 2], [-1, 4, 5]]
    assert mirrored[0, 0].tolist() == [[3, 2, 1], [6, 5, 4]]
    assert turned[0, 0].tolist() == [[4, 5, 6], [1, 2, 3]]


@pytest.mark.parametrize("own", ALL, ids=lambda own: next(iter(own)))
def test_everything_that_may_happen_happens(own: Any) -> None:
    """Among many items there are changed ones, and all sizes of a shift as often as each other."""
    grids = np.random.default_rng(0).uniform(-1, 1, (3000, 1, 6, 6)).astype(np.float32)

    found = np.asarray(changed(own, grids))

    assert (found != grids).any(axis=(1, 2, 3)).mean() > 0.3
    if "shift" in own:
        marked = np.zeros((3000, 1, 6, 6), np.float32)
        marked[:, :, 3, 3] = 1
        places = np.asarray(changed({"shift": {**own["shift"], "fill": 0}}, marked))[:, 0]
        rows = places.sum(axis=(0, 2))
        assert rows.tolist() == [0, *rows[1:].tolist()]
        assert (abs(rows[1:] - 600) < 100).all()


# One-hot grids ----------------------------------------------------------------------------------


@st.composite
def one_hot_cases(draw: st.DrawFn) -> tuple[Any, OneHot, GridShape]:
    rows, columns = draw(st.integers(2, 6)), draw(st.integers(2, 7))
    ordered = draw(st.booleans())
    shape = GridShape(1, rows, columns, Axis("character", ordered=ordered))
    sizes = {"columns": draw(st.integers(1, columns - 1))}
    if ordered:
        sizes["rows"] = draw(st.integers(0, rows - 1))
    forms = ["bands", "box"] if sizes.get("rows") else ["bands"]
    written = draw(
        st.sampled_from(
            [
                {"shift": {**sizes, "fill": draw(fills)}},
                {"flip": "rows" if ordered and draw(st.booleans()) else "columns"},
                {
                    "mask": {
                        **sizes,
                        "count": draw(st.integers(1, 3)),
                        "form": draw(st.sampled_from(forms)),
                        "fill": draw(st.sampled_from([0, -1])),
                    }
                },
                {"drop": draw(some)},
                {"noise": draw(some)},
                {"gain": draw(some)},
                {"zoom": {"columns": draw(some)}},
                {"elastic": {"columns": draw(some)}},
                {"brightness": draw(some)},
            ]
        )
    )
    random = np.random.default_rng(draw(st.integers(0, 99)))
    items = draw(st.integers(0, 5))
    return written, OneHot(random.integers(-1, rows, (items, columns), np.int32), rows), shape


@settings(max_examples=300, deadline=None)
@given(one_hot_cases(), st.integers(0, 99))
def test_one_hot_grids_become_what_their_cells_become(
    case: tuple[Any, OneHot, GridShape], seed: int
) -> None:
    """Whether they stay indices or not, and the batch that was given is left as it was."""
    written, grids, shape = case
    before = grids.indices.copy()

    found = changed(written, grids, shape, seed=seed)

    np.testing.assert_array_equal(
        np.asarray(found), changed(written, np.asarray(grids), shape, seed=seed)
    )
    np.testing.assert_array_equal(grids.indices, before)


@pytest.mark.parametrize(
    ("written", "stays"),
    [
        ({"shift": {"columns": 2}}, True),
        ({"shift": {"columns": 2, "fill": "edge"}}, True),
        ({"shift": {"columns": 2, "fill": -1}}, False),
        ({"flip": "columns"}, True),
        ({"mask": {"columns": 2}}, True),
        ({"mask": {"columns": 2, "fill": 1}}, False),
        ({"drop": 0.5}, True),
        ({"noise": 0.1}, False),
    ],
)
def test_texts_stay_indices_where_they_can(written: Any, stays: bool) -> None:
    """So that training on texts stays fast."""
    grids = OneHot(np.random.default_rng(0).integers(-1, 5, (8, 9), np.int32), 5)

    assert isinstance(changed(written, grids, TEXT), OneHot) is stays


def test_no_symbol_of_a_text_is_repeated() -> None:
    """What comes in at the side is no symbol, unless it is asked for."""
    grids = OneHot(np.full((200, 9), 3), 5)

    empty = changed({"shift": {"columns": 2}}, grids, TEXT)
    edge = changed({"shift": {"columns": 2, "fill": "edge"}}, grids, TEXT)

    assert isinstance(empty, OneHot)
    assert isinstance(edge, OneHot)
    assert set(empty.indices[:, 4].tolist()) == {3}
    assert set(empty.indices[:, 0].tolist()) == {-1, 3}
    assert set(edge.indices.ravel().tolist()) == {3}


# Random numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ALL, ids=lambda own: next(iter(own)))
@pytest.mark.parametrize("size", [1, 3, 7])
def test_an_item_is_changed_alike_in_every_size_of_batch(own: Any, size: int) -> None:
    grids = np.random.default_rng(0).uniform(-1, 1, (13, 2, 6, 5)).astype(np.float32)
    whole = changed(own, grids)
    augmenter = Augmenter(made(own), GridShape(2, 6, 5), seed=0, epoch=1)

    parts = [augmenter(grids[at : at + size].copy()) for at in range(0, 13, size)]

    np.testing.assert_array_equal(np.concatenate([np.asarray(part) for part in parts]), whole)


def test_seed_epoch_and_place_fix_what_is_drawn() -> None:
    """Two of the same kind in one list differ from each other; the same again is the same."""
    grids = np.random.default_rng(0).uniform(-1, 1, (20, 1, 6, 5)).astype(np.float32)
    shape = GridShape(1, 6, 5)

    def found(seed: int, epoch: int, *written: Any) -> Array:
        augmenter = Augmenter(made(*written), shape, seed=seed, epoch=epoch)
        return np.asarray(augmenter(grids.copy()))

    first = found(0, 1, {"noise": 0.1})
    np.testing.assert_array_equal(found(0, 1, {"noise": 0.1}), first)
    assert (found(1, 1, {"noise": 0.1}) != first).all(axis=(1, 2, 3)).any()
    assert (found(0, 2, {"noise": 0.1}) != first).all(axis=(1, 2, 3)).any()
    twice = found(0, 1, {"noise": 0.1}, {"noise": 0.1})
    assert (abs(twice - grids - 2 * (first - grids)) > 1e-3).any()
    # What stands behind does not change what stands before.
    np.testing.assert_array_equal(
        found(0, 1, {"noise": 0.1}, {"gain": 0.5}) > 0, found(0, 1, {"noise": 0.1}) > 0
    )


def test_cells_that_are_no_floats_become_floats() -> None:
    """Labelled grids of whole numbers may be trained on, too."""
    grids = np.arange(24).reshape(2, 1, 3, 4)

    found = np.asarray(changed({"noise": 0.1}, grids))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, grids, atol=1)
    assert np.asarray(changed({"noise": 0.1}, grids.astype(np.float16))).dtype == np.float32


# Training ---------------------------------------------------------------------------------------


class Recorder(ReferenceEngine):
    """Keeps the grids of every batch that it is trained or asked on."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.trained: list[Array] = []
        self.asked: list[Array] = []

    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        random: np.random.Generator | None = None,
    ) -> StepResult:
        self.trained.append(np.asarray(grids).copy())
        return super().step(parameters, grids, targets, weights=weights, random=random)

    def logits(self, parameters: Array, grids: Cells) -> Array:
        self.asked.append(np.asarray(grids).copy())
        return super().logits(parameters, grids)


def spec_of(*augmentation: Any, **training: Any) -> Spec:
    return load(
        {
            "stages": [{"convolution": {"filters": 3, "kernel_size": ["all", 3]}}, "rectification"],
            "head": {"voting": {"hidden": [4], "dropout": 0.2}},
            "training": {
                "batch_size": 8, "epochs": 3, "augmentation": list(augmentation), **training
            },
        }
    )  # fmt: skip


def data(items: int = 30, *, seed: int = 0) -> Labelled:
    grids = np.random.default_rng(seed).normal(0, 1, (items, 1, 6, 5)).astype(np.float32)
    return Labelled(grids, (grids.sum(axis=(1, 2, 3)) > 0).astype(np.int64))


class Keeper:
    """Keeps what training had come to after each epoch."""

    def __init__(self) -> None:
        self.epochs: list[TrainingState] = []

    def on_nudge(self, *_: Any) -> None:
        pass

    def on_sign(self, *_: Any) -> None:
        pass

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        pass

    def on_epoch(self, state: TrainingState) -> None:
        self.epochs.append(state)


def trained(spec: Spec, *, threads: int | None = None, **options: Any) -> TrainingState:
    engine = make_engine(Network(spec, GridShape(1, 6, 5), classes=2), threads=threads)
    return train(engine, data(), data(20, seed=1), spec.training, **options)


def test_training_grids_are_changed_and_validation_grids_are_not() -> None:
    """Each epoch anew; the data itself stays as it is."""
    spec = spec_of({"gain": 0.5})
    engine = Recorder(Network(spec, GridShape(1, 6, 5), classes=2))
    training, validation = data(), data(20, seed=1)

    train(engine, training, validation, spec.training)

    np.testing.assert_array_equal(training.grids, data().grids)
    for asked in engine.asked:
        np.testing.assert_array_equal(asked, validation.grids)
    epochs = [np.concatenate(engine.trained[at : at + 4]) for at in (0, 4, 8)]
    originals = np.asarray(training.grids)
    gains = np.empty((3, 30))
    for number, epoch in enumerate(epochs):
        directions = epoch / np.linalg.norm(epoch, axis=(2, 3), keepdims=True)
        own = originals / np.linalg.norm(originals, axis=(2, 3), keepdims=True)
        which = np.einsum("icrk,jcrk->ij", directions, own).argmax(axis=1)
        assert sorted(which.tolist()) == list(range(30))
        gains[number, which] = (epoch[:, 0, 0, 0] / originals[which, 0, 0, 0]).tolist()
    assert gains.min() >= 0.5
    assert gains.max() <= 1.5
    assert (abs(gains[0] - gains[1]) > 1e-3).mean() > 0.9
    assert gains.std() > 0.2


@pytest.mark.parametrize("written", [None, []])
def test_no_augmentation_changes_nothing(written: Any) -> None:
    """The very batch is trained on, and training ends with the same bits as without the setting."""
    grids = np.asarray(data().grids)
    plain = load({**spec_of().model_dump(mode="json"), "training": {"batch_size": 8, "epochs": 3}})
    with_none = plain.model_copy(
        update={"training": load({"training": {"augmentation": written}}).training}
    )
    with_none = load(plain, changes={"training.augmentation": written})

    assert Augmenter((), GridShape(1, 6, 5), seed=0, epoch=1)(grids) is grids
    assert with_none == plain
    np.testing.assert_array_equal(trained(with_none).parameters, trained(plain).parameters)


def test_resumed_training_ends_with_the_same_bits() -> None:
    """After any epoch, and with any number of threads."""
    keeper = Keeper()
    whole = trained(spec_of(*ALL), watcher=keeper)

    for done in (1, 2):
        resumed = trained(spec_of(*ALL), state=keeper.epochs[done - 1], threads=done)
        np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    assert (whole.parameters != trained(spec_of()).parameters).any()


def test_nudging_takes_changed_grids_too() -> None:
    spec = spec_of({"gain": 0.5}, method="nudge", epochs=1)
    engine = Recorder(Network(spec, GridShape(1, 6, 5), classes=2))

    train(engine, data(), None, spec.training)

    originals = np.asarray(data().grids)
    assert not any((originals == batch[0]).all(axis=(1, 2, 3)).any() for batch in engine.asked[3:])


def test_it_is_part_of_the_planned_memory() -> None:
    """What each takes fits into the figure, and counts only where there is some."""
    shape = GridShape(2, 40, 50)
    grids = np.random.default_rng(0).normal(0, 1, (64, *shape.sizes)).astype(np.float32)
    heavy = [
        {"shift": {"rows": 39, "columns": 49}},
        {"mask": {"rows": 20, "columns": 20, "count": 9, "form": "box"}},
    ]
    for own in [*ALL, *heavy]:
        (augmentation,) = made(own)
        batch = grids.copy()
        random = draws(0)
        tracemalloc.start()
        try:
            out = augmentation.change(batch, shape, random)
            taken = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        told = 64 * (4 * shape.cells + augmentation.working_bytes(shape))
        assert taken <= told + 50_000, own
        assert out.shape == grids.shape
    plain, more = (
        estimate_memory(make_engine(Network(spec, shape, classes=2)), spec.training).training
        for spec in (spec_of(), spec_of({"gain": 0.1}, {"rotate": 5}))
    )
    assert more - plain == 8 * (4 * shape.cells + made({"rotate": 5})[0].working_bytes(shape))


# The spec ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ({"shift": 2}, {"shift": {"rows": 2, "columns": 2, "fill": None}}),
        ({"flip": "rows"}, {"flip": {"axis": "rows", "probability": 0.5}}),
        ({"zoom": 0.1}, {"zoom": {"rows": 0.1, "columns": 0.1, "fill": None}}),
        ({"rotate": 10}, {"rotate": {"degrees": 10.0, "fill": None}}),
        (
            {"mask": 4},
            {"mask": {"rows": 4, "columns": 4, "count": 1, "form": "bands", "fill": 0.0}},
        ),
        ({"drop": 0.1}, {"drop": {"probability": 0.1}}),
        ({"noise": 1}, {"noise": {"deviation": 1.0}}),
        ({"gain": 0.2}, {"gain": {"factor": 0.2, "offset": 0.0}}),
        ({"shear": 8}, {"shear": {"degrees": 8.0, "axis": "columns", "fill": None}}),
        (
            {"elastic": 2},
            {"elastic": {"rows": 2.0, "columns": 2.0, "spacing": 8, "fill": None}},
        ),
        ({"erase": 0.2}, {"erase": {"area": 0.2, "probability": 0.5, "fill": "noise"}}),
        ({"brightness": 0.2}, {"brightness": {"factor": 0.2}}),
        ({"contrast": 0.2}, {"contrast": {"factor": 0.2}}),
    ],
)
def test_a_bare_value_stands_for_the_first_settings(written: Any, full: Any) -> None:
    (read,) = load({"training": {"augmentation": [written]}}).training.augmentation

    assert load({"training": {"augmentation": [full]}}).training.augmentation == (read,)
    dumped = load({"training": {"augmentation": [written]}}).model_dump(mode="json")
    assert dumped["training"]["augmentation"] == [full]


@pytest.mark.parametrize(
    ("written", "place", "text"),
    [
        ("[{shift: {row: 2}}]", "4:27", "shift has no setting 'row'; did you mean 'rows'?"),
        ("[hflip]", "4:18", "'hflip' is not an augmentation; here it is written 'flip: columns'"),
        ("[flip]", "4:18", "flip needs the setting 'axis'"),
        (
            "[{flip: diagonal}]",
            "4:19",
            "'axis' of flip must be 'rows' or 'columns'; got 'diagonal'",
        ),
        ("[{noise: true}]", "4:19", "'deviation' of noise must be a number; got true"),
        ("[{noise: [1]}]", "4:19", "noise takes settings, as 'name: value'; got [1]"),
        ("[shift]", "4:18", "shift: it changes nothing; set rows or columns above 0"),
        ("[{gain: 0}]", "4:19", "gain: it changes nothing; set factor or offset above 0"),
        (
            "[{shift: {rows: 1, fill: white}}]",
            "4:36",
            "'fill' of shift must be 'edge', a number from -1,000,000 to 1,000,000, or null; got",
        ),
        ("[{mask: {rows: 1, form: box}}]", "4:19", "mask: a box has rows and columns"),
        ("[elastic]", "4:18", "elastic: it changes nothing; set rows or columns above 0"),
        ("[{elastic: {rows: 1, spacing: 1}}]", "4:38", "'spacing' of elastic must be at least 2"),
        ("[{shear: 90}]", "4:19", "'degrees' of shear must be at most 60; got 90"),
        ("[{erase: {fill: white}}]", "4:27", "'fill' of erase must be 'noise', or a number from"),
        ("[{brightness: 0}]", "4:19", "'factor' of brightness must be above 0; got 0"),
        ("[contrast]", "4:18", "contrast needs the setting 'factor'"),
        ("[randomerasing]", "4:18", "'randomerasing' is not an augmentation; here it is written"),
        ("[colorjitter]", "4:18", "here it is written 'brightness'"),
        ("{flip: rows}", "4:3", "'augmentation' of training must be a list; got {'flip': 'rows'}"),
    ],
)
def test_mistakes_have_a_place_and_a_remedy(
    written: str, place: str, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(f"head: voting\ntraining:\n  epochs: 3\n  augmentation: {written}\n")

    with pytest.raises(SpecError) as caught:
        load(file)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{file}:{place}: ")
    assert text in str(problem)


@pytest.mark.parametrize(
    ("written", "shape", "text"),
    [
        (
            {"shift": 2},
            TEXT,
            "shift: the rows are the axis 'character', whose order means nothing, so moving along "
            "it changes the meaning of every cell; write shift: {columns: 2}. The grids: 1 x 5 x "
            "9 (channels x rows x columns)",
        ),
        (
            {"flip": "rows"},
            TEXT,
            "turning it around changes the meaning of every cell; leave flip",
        ),
        ({"mask": {"rows": 2}}, TEXT, "it has no bands of neighbours; write mask: {columns: ...}"),
        (
            {"zoom": 0.1},
            TEXT,
            "there is nothing between two of its cells; write zoom: {columns: 0.1}",
        ),
        ({"rotate": 5}, TEXT, "there is nothing between two of its cells; leave rotate out"),
        (
            {"rotate": 5},
            SOUND,
            "rows are frequency in Hz and columns time in s, and turning would mix them; leave "
            "rotate out",
        ),
        ({"shift": {"rows": 6}}, SOUND, "6 of 6 rows would leave nothing; take rows below 6"),
        ({"shift": {"columns": 9}}, SOUND, "9 of 8 columns would leave nothing"),
        ({"mask": {"columns": 8}}, SOUND, "a band of 8 of 8 columns would leave nothing"),
        (
            {"mask": {"rows": 7, "columns": 1, "form": "box"}},
            SOUND,
            "a box of 7 of 6 rows is larger",
        ),
        ({"flip": "rows"}, GridShape(1, 1, 5), "a single cell along rows; leave flip out"),
        ({"zoom": 0.1}, GridShape(1, 1, 5), "a single cell along rows; leave it out"),
        ({"rotate": 1}, GridShape(1, 5, 1), "a single cell along columns; leave it out"),
        ({"shear": 5}, TEXT, "there is nothing between two of its cells; leave shear out"),
        ({"shear": 5}, SOUND, "and slanting would mix them; leave shear out"),
        ({"shear": 1}, GridShape(1, 5, 1), "a single cell along columns; leave it out"),
        ({"elastic": 2}, TEXT, "nothing between two of its cells; write elastic: {columns: 2.0}"),
        ({"elastic": 2}, GridShape(1, 1, 5), "a single cell along rows; leave it out"),
        (
            {"elastic": {"columns": 3, "spacing": 5}},
            SOUND,
            "knots that are 5 cells apart meet if they move by 3 columns; take columns of at most "
            "2.5, or a larger spacing",
        ),
        ({"erase": 0.1}, TEXT, "it has no boxes of neighbours; write mask: {columns: ...}"),
    ],
)
def test_what_the_axes_do_not_allow_is_refused(written: Any, shape: GridShape, text: str) -> None:
    """With the reason, and with what to write instead; `train` refuses it, too."""
    spec = spec_of({"gain": 0.1}, written)

    with pytest.raises(ShapeError) as caught:
        refuse_unfit(spec.training, shape, spec.document)
    (problem,) = caught.value.problems
    assert text in problem.message
    assert problem.path.startswith("training.augmentation[1]")
    engine = make_engine(Network(spec, shape, classes=2))
    labelled = Labelled(np.zeros((2, *shape.sizes), np.float32), np.array([0, 1]))
    with pytest.raises(ShapeError):
        train(engine, labelled, None, spec.training)


@pytest.mark.parametrize(
    "written",
    [
        {"shift": {"columns": 2}}, {"flip": "columns"}, {"mask": {"columns": 3}}, {"drop": 0.1},
        {"zoom": {"columns": 0.1}}, {"noise": 0.1}, {"gain": 0.1}, {"elastic": {"columns": 1}},
        {"contrast": 0.1},
    ],
)  # fmt: skip
def test_what_leaves_an_axis_without_order_alone_is_allowed(written: Any) -> None:
    spec = spec_of(written)

    refuse_unfit(spec.training, TEXT, spec.document)


def test_all_that_does_not_fit_is_told_at_once() -> None:
    spec = spec_of({"shift": 2}, {"noise": 1}, {"flip": "rows"})

    with pytest.raises(ShapeError) as caught:
        refuse_unfit(spec.training, TEXT, spec.document)
    assert len(caught.value.problems) == 2


# Whole runs -------------------------------------------------------------------------------------

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 60, "size": [12, 12]}}, "validation": 0.2},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 2}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 3, "batch_size": 16, "augmentation": [{"shift": 1}, {"noise": 0.1}]},
}


class StopAfterOne(RunWatcher):
    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        if epoch > 1:
            raise KeyboardInterrupt


def test_a_run_resumes_and_repeats_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its checkpoint, and from the resolved spec that it has written."""
    monkeypatch.chdir(tmp_path)
    whole = gridcnn.run(TINY, out="whole")
    with pytest.raises(TrainingInterrupted):
        gridcnn.run(TINY, out="stopped", watcher=StopAfterOne())

    resumed = gridcnn.run(resume="stopped")
    again = gridcnn.run("whole/spec.yaml", out="again")
    plain = gridcnn.run(TINY, changes={"training.augmentation": []}, out="plain")

    assert resumed.model.parameters.tobytes() == whole.model.parameters.tobytes()
    assert again.model.parameters.tobytes() == whole.model.parameters.tobytes()
    assert plain.model.parameters.tobytes() != whole.model.parameters.tobytes()
    assert (
        gridcnn.load("whole").spec.training.augmentation == whole.model.spec.training.augmentation
    )


def test_a_misfit_is_told_before_the_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the adapter knows its size, and in the plan."""
    monkeypatch.chdir(tmp_path)
    changes = {"training.augmentation": [{"shift": 12}], "data.source": "nowhere"}

    with pytest.raises(ShapeError, match="12 of 12 rows would leave nothing"):
        gridcnn.run(TINY, changes=changes)
    with pytest.raises(ShapeError, match="12 of 12 rows would leave nothing"):
        plan(load(TINY, changes=changes), tmp_path)
    assert not list(tmp_path.iterdir())


def test_checkpoints_know_the_augmentation() -> None:
    """The fingerprint changes with it."""

    def fingerprint(augmentation: Any) -> str:
        spec = load(TINY, changes={"training.augmentation": augmentation})
        return prepare(locate(spec, None, Path())).fingerprint

    none, one, other = (fingerprint(each) for each in ([], [{"shift": 1}], [{"shift": 2}]))

    assert len({none, one, other}) == 3


def test_the_estimator_takes_it_from_the_spec() -> None:
    """As any other setting."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 6, 6)), np.arange(40) % 2
    options: dict[str, Any] = {"epochs": 2, "check": "off", "random_state": 0}
    written = {"training.augmentation": [{"shift": {"rows": 1}}, {"flip": "columns"}]}

    plain = GridClassifier(**options).fit(X, y)
    first, again = (GridClassifier(**options, changes=written).fit(X, y) for _ in range(2))

    assert (first.model_.parameters != plain.model_.parameters).any()
    np.testing.assert_array_equal(first.model_.parameters, again.model_.parameters)
    with pytest.raises(ShapeError, match="6 of 6 rows would leave nothing"):
        GridClassifier(**options, changes={"training.augmentation": [{"shift": 6}]}).fit(X, y)


def test_single_settings_can_be_changed() -> None:
    spec = load(TINY, changes=["training.augmentation[1].noise.deviation=0.3"])

    assert spec.training.augmentation[1] == made({"noise": 0.3})[0]


class Negative(Augmentation):
    """Turns all grids into their negatives."""

    title: ClassVar[str] = "negative"

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        return -grids


def test_other_packages_add_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they have to write is `change` alone; one-hot grids come as all of their cells."""
    point = EntryPoint("negative", "no.module:Negative", "gridcnn.augmentations")
    monkeypatch.setattr(
        registry_room,
        "entry_points",
        lambda group: [point] if group == "gridcnn.augmentations" else [],
    )
    monkeypatch.setattr(EntryPoint, "load", lambda _self: Negative)
    monkeypatch.setattr(AUGMENTATIONS, "_others", None)
    monkeypatch.setattr(AUGMENTATIONS, "_loaded", {})
    grids = OneHot(np.array([[0, 1, -1]]), 2)

    found = np.asarray(changed("negative", grids))

    np.testing.assert_array_equal(found, -np.asarray(grids))
    assert made("negative")[0].working_bytes(GridShape(1, 2, 3)) > 0
