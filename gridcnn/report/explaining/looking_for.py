"""What the features of a model look for: their best matches in data, and an input made for each.

A feature's map is looked at behind its convolution and what follows it up to the next pooling
(`settled_value`), so that a feature whose matches are all rectified to 0 is known as dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError, ShapeError
from gridcnn.grid import Array, Axis, Cells, OneHot
from gridcnn.network import Network, Op
from gridcnn.progress import Advance, Counter
from gridcnn.report.explaining.fields import Field, fields_of
from gridcnn.report.explaining.passing import Passage
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling

if TYPE_CHECKING:
    from gridcnn.model import Model

PATCHES = 9
SHOWN = 16
"""Features of a layer for which an input is made, and which are drawn: those that match best."""
_ALIKE = 0.99
"""The lowest correlation of two features that are duplicates."""
_STEPS = 30
_STEP = 0.1  # of gradient ascent, as a part of the range of cells
_SHARPER = 0.5  # by which a step makes a symbol's part of its column grow, as an exponent
_FADE = 0.02  # by which cells return to the mean of the data at each step
_SMALL = 5  # cells that a feature sees, up to which neighbours stay as they are
_MIX = 0.5  # of a neighbour's step
_AT_ONCE = 64  # items


@dataclass(frozen=True)
class Patch:
    """A place in an item where a feature matches well.

    Attributes:
        item: which item of the data, from 0.
        value: the cell of the map.
        place: row and column of that cell.
        rows, columns: the cells of the grid that it sees, first and last + 1.
    """

    item: int
    value: float
    place: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Feature:
    """One feature of a layer.

    Attributes:
        number: which of the layer's features, from 0; its map has the same number.
        patches: the places that match best, at most one for each item.
        made: the input that gradient ascent made, `(channels, rows, columns)`, as large as what a
            cell in the middle of the map sees; None if it is not among the strongest.
        made_value: the cell of the map for that input.
    """

    number: int
    patches: tuple[Patch, ...]
    made: NDArray[np.float64] | None = None
    made_value: float = 0.0


@dataclass(frozen=True, eq=False)
class Layer:
    """The features of one convolution.

    Attributes:
        label: of the convolution.
        value: the number of the value that was looked at, see `settled_value`.
        on_grid: whether it lies on the grid itself, so that its weights are mini-images.
        weights: `(features, channels, rows, columns)`.
        sees: rows and columns of the grid that one cell of its maps sees.
        features: all of them, in order.
        shown: the numbers of those that match best, strongest first.
        dead: the numbers of those that match nowhere in the data.
        duplicates: numbers of two, and the correlation of their maps over the data.
    """

    label: str
    value: int
    on_grid: bool
    weights: NDArray[np.float64]
    sees: tuple[int, int]
    features: tuple[Feature, ...]
    shown: tuple[int, ...]
    dead: tuple[int, ...]
    duplicates: tuple[tuple[int, int, float], ...]


@dataclass(frozen=True, eq=False)
class Looked:
    """What all features of a model look for.

    Attributes:
        model: the model.
        names: what the items are called.
        cells: their grids, `(items, channels, rows, columns)`, or one-hot.
        origin: where the items are from, in a few words.
        layers: each convolution, in the order of the network.
    """

    model: Model
    names: tuple[str, ...]
    cells: Cells
    origin: str
    layers: tuple[Layer, ...]


def settled_value(network: Network, op: Op) -> int:
    """Return the value behind a convolution and what follows it up to the next pooling or merge."""
    value = op.target
    while True:
        readers = [each for each in network.ops if value in each.sources]
        if len(readers) != 1 or value == network.result:
            return value
        (after,) = readers
        same = after.output.sizes == op.output.sizes
        if not same or len(after.sources) > 1 or isinstance(after.stage, Pooling | Convolution):
            return value
        value = after.target


def look_for(
    model: Model,
    cells: Cells,
    names: Sequence[str],
    *,
    origin: str = "",
    advance: Advance | None = None,
) -> Looked:
    """Return what the features of a model look for, by the items of data.

    Args:
        model: the model.
        cells: the grids of the items, `(items, channels, rows, columns)`, or one-hot.
        names: what they are called.
        origin: where they are from, in a few words.
        advance: called with the progress.

    Raises:
        DataError: there are no items, or the network has no convolution.
    """
    ops = [op for op in model.network.ops if isinstance(op.stage, Convolution)]
    if not ops:
        raise DataError("this network has no convolution, and so no features")
    if not len(cells):
        raise DataError("there are no items in which to look for features")
    fields = fields_of(model.network)
    counter = Counter(advance, "looking for features", len(ops))
    layers = []
    for op in ops:
        layers.append(_layer(model, op, cells, fields))
        counter.add(1)
    return Looked(model, tuple(names), cells, origin, tuple(layers))


def _layer(model: Model, op: Op, cells: Cells, fields: list[Field]) -> Layer:
    value = settled_value(model.network, op)
    scan = _scan(model, value, cells)
    field = fields[value]
    order = np.argsort(-scan.best.max(axis=0), kind="stable")
    dead = np.flatnonzero(scan.spread == 0)
    alive = [number for number in order.tolist() if number not in set(dead.tolist())]
    shown = tuple((alive or order.tolist())[:SHOWN])
    made = dict(zip(shown, _make_inputs(model, op, shown, cells, fields[op.target]), strict=True))
    features = []
    for number in range(op.output.channels):
        patches = _patches(scan, number, op, field)
        grid, reached = made.get(number, (None, 0.0))
        features.append(Feature(number, patches, grid, reached))
    reach = fields[op.target]
    return Layer(
        op.label,
        value,
        op.sources == (0,),
        np.asarray(op.views(model.parameters)["weights"], np.float64),
        (round(min(reach[0].size, reach[0].cells)), round(min(reach[1].size, reach[1].cells))),
        tuple(features),
        shown,
        tuple(dead.tolist()),
        scan.duplicates(),
    )


class _Scan:
    """The best match of each feature in each item, and how alike the maps are.

    Attributes:
        best: the largest cell of each map, `(items, features)`.
        places: which cell that is, `row * columns + column`, in the same shape.
        spread: the range of each feature's cells over all items, `(features,)`.
    """

    def __init__(self, items: int, features: int) -> None:
        self.best = np.zeros((items, features))
        self.places = np.zeros((items, features), np.int64)
        self.low, self.high = np.full(features, np.inf), np.full(features, -np.inf)
        self._sums = np.zeros(features)
        self._products = np.zeros((features, features))
        self._count = 0

    def add(self, start: int, maps: Array) -> None:
        """Take the maps `(items, features, rows, columns)` of the items from `start` on."""
        flat = np.asarray(maps, np.float64).reshape(*maps.shape[:2], -1)
        part = slice(start, start + len(flat))
        self.best[part] = flat.max(axis=2)
        # The first of the largest cells, as everywhere: sorting keeps the order of equal ones.
        self.places[part] = np.argsort(-flat, axis=2, kind="stable")[:, :, 0]
        self.low = np.minimum(self.low, flat.min(axis=(0, 2)))
        self.high = np.maximum(self.high, flat.max(axis=(0, 2)))
        cells = flat.transpose(1, 0, 2).reshape(flat.shape[1], -1)
        self._sums += cells.sum(axis=1)
        self._products += cells @ cells.T
        self._count += cells.shape[1]

    @property
    def spread(self) -> NDArray[np.float64]:
        spread: NDArray[np.float64] = self.high - self.low
        return spread

    def duplicates(self) -> tuple[tuple[int, int, float], ...]:
        """Return the numbers of two features whose maps are alike, with the correlation."""
        means = self._sums / self._count
        spread = self._products / self._count - np.outer(means, means)
        deviations = np.sqrt(np.maximum(np.diag(spread), 0))
        pairs = []
        for one in range(len(means)):
            for other in range(one + 1, len(means)):
                size = deviations[one] * deviations[other]
                if size > 1e-12 and spread[one, other] / size > _ALIKE:
                    pairs.append((one, other, float(min(spread[one, other] / size, 1.0))))
        return tuple(pairs)


def _scan(model: Model, value: int, cells: Cells) -> _Scan:
    engine = model.engine
    scan = _Scan(len(cells), model.network.values[value].channels)
    for start in range(0, len(cells), _AT_ONCE):
        part = cells[start : start + _AT_ONCE]
        scan.add(start, engine.maps(model.parameters, part, after=value - 1))
    return scan


def _patches(scan: _Scan, number: int, op: Op, field: Field) -> tuple[Patch, ...]:
    if scan.spread[number] == 0:
        return ()
    patches = []
    for item in np.argsort(-scan.best[:, number], kind="stable")[:PATCHES].tolist():
        row, column = divmod(int(scan.places[item, number]), op.output.columns)
        value = float(scan.best[item, number])
        patches.append(Patch(item, value, (row, column), field[0].of(row), field[1].of(column)))
    return tuple(patches)


@dataclass(frozen=True)
class _Cut:
    """A part of a network, on the part of a grid that one cell of a map sees.

    What lies outside is seen by other cells alone. So the arithmetic for this cell is that of the
    whole, if windows begin at the same cells of the grid, and takes a small part of the time.

    Attributes:
        network: the stages up to the map, on a grid of this size.
        place: row and column of the cell in its map.
        rows, columns: which cells of the whole grid they are.
    """

    network: Network
    place: tuple[int, int]
    rows: slice
    columns: slice


def _cut_out(network: Network, op: Op, field: Field, place: tuple[int, int]) -> _Cut:
    """Return the part of a network that computes one cell; the whole, if no part does."""
    whole = _Cut(network, place, slice(0, network.shape.rows), slice(0, network.shape.columns))
    number = op.place[1]
    assert isinstance(number, int)
    spec = network.spec.model_copy(update={"stages": network.spec.stages[: number + 1]})
    parts, moved = [], []
    for reach, at in zip(field, place, strict=True):
        first, last = reach.of(at)
        # Windows of all stages before begin at multiples of the step.
        first -= first % max(round(reach.step), 1)
        parts.append(slice(first, last))
        moved.append(at - first / reach.step)
    sizes = [part.stop - part.start for part in parts]
    try:
        cut = Network(spec, network.shape.resized(network.shape.channels, *sizes))
    except ShapeError:
        return whole
    made = next((each for each in cut.ops if each.label == op.label), None)
    same = made is not None and cut.parameters <= network.parameters
    if not same or any(each % 1 for each in moved) or made is None:
        return whole
    wanted = (round(moved[0]), round(moved[1]))
    inside = wanted[0] < made.output.rows and wanted[1] < made.output.columns
    slots = [[slot.part for slot in each.slots] for each in cut.ops[: made.target]]
    if not inside or slots != [[s.part for s in each.slots] for each in network.ops[: op.target]]:
        return whole
    found = _Cut(cut, wanted, parts[0], parts[1])
    field_of_cut = fields_of(cut)[made.target]
    seen = [reach.of(at) for reach, at in zip(field_of_cut, wanted, strict=True)]
    here = [reach.of(at) for reach, at in zip(field, place, strict=True)]
    starts = [parts[0].start, parts[1].start]
    agrees = all(
        (low + start, high + start) == there
        for (low, high), start, there in zip(seen, starts, here, strict=True)
    )
    return found if agrees else whole


def _blur(axis: Axis, size: int, sees: float) -> NDArray[np.float64]:
    """Return the matrix by which each cell along an axis takes a part of its neighbours' steps.

    Along an axis without order nothing is mixed, and of the few cells that a first layer sees each
    matters.
    """
    mixed = np.eye(size)
    if axis.ordered and sees > _SMALL:
        mixed += _MIX * (np.eye(size, k=1) + np.eye(size, k=-1))
    blur: NDArray[np.float64] = mixed / mixed.sum(axis=1, keepdims=True)
    return blur


def _make_inputs(
    model: Model, op: Op, numbers: Sequence[int], cells: Cells, field: Field
) -> list[tuple[NDArray[np.float64], float]]:
    """Return for some features the input that gradient ascent makes, and the cell of their map.

    It starts from the mean of the data, and makes the middle cell of the feature's map larger, in
    steps along the gradient, of which neighbours share a part, as they are alike in data. Cells
    stay in the range that they have in the data. Of one-hot grids
    each column is a mixture of symbols, of which in the end the strongest is taken.
    """
    one_hot = isinstance(cells, OneHot)
    middle = (op.output.rows // 2, op.output.columns // 2)
    cut = _cut_out(model.network, op, field, middle)
    made = next(each for each in cut.network.ops if each.label == op.label)
    parameters = model.parameters[: cut.network.parameters]
    flow = np.zeros((len(numbers), *made.output.sizes))
    flow[np.arange(len(numbers)), list(numbers), cut.place[0], cut.place[1]] = 1
    if isinstance(cells, OneHot):
        mean = np.full(cut.network.shape.sizes, 1 / cells.rows)
        low, high = 0.0, 1.0
    else:
        sample = np.asarray(cells[:_AT_ONCE], np.float64)
        mean = sample.mean(axis=0)[:, cut.rows, cut.columns]
        low, high = float(sample.min()), float(sample.max())
    grids = np.repeat(mean[None], len(numbers), axis=0)

    axes = (model.shape.row_axis, model.shape.column_axis)
    # Symbols have no neighbours.
    down, across = (
        np.eye(0) if one_hot else _blur(axis, size, reach.size)
        for axis, size, reach in zip(axes, grids.shape[2:], field, strict=True)
    )

    def forward(grids: Array) -> Passage:
        return Passage(cut.network, parameters, grids, until=made.target)

    for _ in range(_STEPS):
        (gradient,) = forward(grids).gradients(flow, at=[0], start=made.target)
        gradient = gradient if one_hot else down @ gradient @ across.T
        size = np.abs(gradient).max(axis=(1, 2, 3), keepdims=True)
        step = gradient / np.where(size > 0, size, 1)
        if one_hot:
            grids = grids * np.exp(_SHARPER * step)
            grids /= grids.sum(axis=2, keepdims=True)
        else:
            grids = grids + _STEP * (high - low) * step
            grids = np.clip(grids + _FADE * (mean - grids), low, high)
    if one_hot:
        grids = (grids == grids.max(axis=2, keepdims=True)).astype(np.float64)
        # Of equal symbols the first.
        grids *= grids.cumsum(axis=2) == 1
    reached = forward(grids).values[made.target]
    (top, bottom), (left, right) = field[0].of(middle[0]), field[1].of(middle[1])
    rows = slice(top - cut.rows.start, bottom - cut.rows.start)
    columns = slice(left - cut.columns.start, right - cut.columns.start)
    return [
        (grid[:, rows, columns], float(reached[at, number, cut.place[0], cut.place[1]]))
        for at, (grid, number) in enumerate(zip(grids, numbers, strict=True))
    ]
