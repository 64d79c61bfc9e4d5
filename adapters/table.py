"""The table adapter: the columns of a table, whose order means something, as one small grid."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gridcnn.adapters.outliers import bulk_of, count_cut, cut_remark, is_expected
from gridcnn.contracts.adapter import Adapted, Adapter, Things, describe
from gridcnn.errors import DataError, Problem, shown
from gridcnn.grid import Cells, Grids, GridShape
from gridcnn.settings.base import Count, NotNegative, Number, Positive
from gridcnn.settings.pairs import Sizes

Rows = NDArray[np.float64]
"""Items as in a table, `(items, columns)`."""
_LIMIT = 10.0  # standard deviations, at most, of numbers that are far from the others
_STEPS = 5.0  # numbers within so many standard deviations are never looked at for outliers
_CHUNK = 4_000_000  # cells that are scaled at a time, which bounds the memory of the float64 step


class TableAdapter(Adapter):
    """Columns of numbers whose order means something, as a grid of one row or of several.

    An item is one row of a table: an array or a list of numbers. What is null is learned from the
    training items alone.
    """

    title: ClassVar[str] = "table"
    numbers: ClassVar[bool] = True
    makes_order: ClassVar[bool] = False

    size: Sizes | None = None
    """Rows and columns of the grid, in cells; null: one row that holds all columns of the table."""
    channels: Count = 1
    """Channels of the grid. The table has `channels` times rows times columns of numbers."""
    order: Literal["rows", "interleaved"] = "rows"
    """Which column of the table is which cell, all counted from 0. `rows`: channel after channel,
    each row after row, so that a cell is column `(channel * rows + row) * columns + column` of the
    table; `interleaved`: cell after cell, row after row, each with all its channels together, so
    that it is column `(row * columns + column) * channels + channel`."""
    scaling: Literal["column", "row", "overall", "none"] = "column"
    """What is scaled to a mean of 0 and a standard deviation of 1. `column`: each column of the
    table, over the training items; `overall`: all numbers of the training items together; `row`:
    each item by itself; `none`: nothing, numbers stay as they are. Constant numbers become 0."""
    missing: Literal["refuse", "mean", "zero"] = "refuse"
    """What replaces NaN. `refuse`: nothing, the item is an error; `mean`: the mean of its
    column over the training items; `zero`: 0, as if the table had it. This comes before the
    scaling."""
    fills: tuple[Number, ...] | None = None
    """With `missing: mean`, the number that replaces NaN in each column of the table."""
    means: tuple[Number, ...] | None = None
    """With `scaling: column` or `overall`, what becomes 0: a number for each column of the table,
    or one for all."""
    deviations: tuple[NotNegative, ...] | None = None
    """With `scaling: column` or `overall`, the distance from `means` that becomes 1, for each
    column of the table, or one for all; where it is 0, all become 0."""
    limit: Positive | None = None
    """Scaled values are clipped to this distance from 0; null: none
    are. Where a few numbers of a column are far from all others, it becomes 10, and these
    decide neither `means` nor `deviations`."""

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        wanted = {"fills": self._width, "means": self._width, "deviations": self._width}
        if self.scaling == "overall":
            wanted |= {"means": 1, "deviations": 1}
        for name, count in wanted.items():
            numbers = getattr(self, name)
            if numbers is not None and count is not None and len(numbers) != count:
                raise ValueError(
                    f"'{name}' must have {count} {'number' if count == 1 else 'numbers'}; got "
                    f"{len(numbers)}"
                )
        return self

    @property
    def _width(self) -> int | None:
        """How many columns the table has, if that is known."""
        return None if self.size is None else self.channels * self.size[0] * self.size[1]

    @property
    def takes_missing(self) -> bool:
        """Whether numbers of an item may be missing."""
        return self.missing != "refuse"

    def takes_array(self, dimensions: int) -> bool:
        """Return whether an item may be an array of this number of dimensions: 1, a row."""
        return dimensions == 1

    def is_lone(self, array: NDArray[Any]) -> bool:
        """Return whether an array is one item: one of `(items, columns)` is a stack."""
        return array.ndim < 2

    def fitted(self, things: Things) -> Self:
        """Return an adapter with everything filled in that is learned from the training items.

        If items differ in length, the most frequent length counts. Items that cannot be used are
        skipped here; `adapt_all` reports them. Standard deviations are those of the items
        themselves, not an estimate for others: the sum of squares is divided by their number.

        Raises:
            DataError: there is no item to learn from, its length is not a multiple of the channels,
                or a column has no number in any of the items.
        """
        scales = self.scaling in ("column", "overall")
        learns_scale = scales and (self.means is None or self.deviations is None)
        learns_fills = self.missing == "mean" and self.fills is None
        if self.size is not None and not learns_scale and not learns_fills:
            return self
        rows = self._usable(things)
        learned: dict[str, Any] = {"size": self._learn_size(rows.shape[1])}
        # Numbers that are too large to be added up are reported below, and not by NumPy.
        with np.errstate(over="ignore", invalid="ignore"):
            if learns_fills:
                learned["fills"] = _means_of_known(rows)
            if learns_scale:
                axis = 0 if self.scaling == "column" else None
                fills = learned.get("fills", self.fills)
                learned |= _scale(_fill_missing(rows, self.missing, fills), axis, self)
        return type(self).model_validate({**self.model_dump(), **learned})

    def _learn_size(self, width: int) -> tuple[int, int]:
        if self.size is not None:
            return self.size
        if width % self.channels:
            raise DataError(
                f"{width} columns cannot be {self.channels} channels of equal size; set 'channels' "
                "and 'size' of table"
            )
        return 1, width // self.channels

    def shape(self) -> GridShape:
        """Return the shape of every grid; raise `DataError` while it is neither set nor learned."""
        if self.size is None:
            raise self.unlearned("how many columns there are", "or set 'size'")
        return GridShape(self.channels, *self.size)

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        """Return one item as float32 `(channels, rows, columns)`.

        Args:
            thing: numbers of any real type, `(columns,)`; NaN, None and pandas' NA are missing.

        Raises:
            DataError: it has another length, or holds texts, infinities, or missing numbers that
                may not be.
        """
        row = _numbers(thing)
        width = math.prod(self.shape().sizes)
        if row.ndim == 0:
            raise DataError(
                f"it is a single number; an item has {width} numbers; give a single item as a list "
                "in a list"
            )
        if row.ndim != 1 or len(row) != width:
            raise DataError(self._wrong_width(row.shape))
        grid: NDArray[np.float32] = self._laid_out(row[None])[0]
        if not np.isfinite(grid).all():
            raise DataError(self._not_finite(row))
        return grid

    def remarks(
        self,
        things: Things,  # noqa: ARG002 - the grids tell it
        grids: Cells,
        *,
        training: bool = False,  # noqa: ARG002 - it holds for all items
    ) -> Mapping[str, int]:
        """Return how many items have numbers that are clipped, unless chance explains as many."""
        if self.limit is None or self.scaling == "none":
            return {}
        items, cut = count_cut(grids, self.limit)
        if is_expected(cut, len(grids) * self.shape().cells, self.limit):
            return {}
        of = {"column": "their column", "row": "their row", "overall": "all numbers"}[self.scaling]
        return {cut_remark(f"{self.limit:g} deviations or more from the mean of {of}"): items}

    def adapt_all(
        self,
        things: Things,
        *,
        names: Sequence[str] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> Adapted:
        """Return all items as grids, and a problem for each that cannot be used.

        One array of all items, `(items, columns)`, is adapted as a whole; a wrong number of columns
        is then one problem for all of them.
        """
        shape = self.shape()
        rows = _stack(things, shape.cells)
        if rows is None:
            return super().adapt_all(things, names=names, advance=advance)
        if rows.shape[1] != shape.cells:
            raise DataError(self._wrong_width(rows.shape[1:]))
        values = np.empty((len(rows), *shape.sizes), np.float32)
        finite = np.ones(len(rows), np.bool_)
        step = max(1, _CHUNK // shape.cells)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            values[part] = self._laid_out(rows[part].astype(np.float64))
            finite[part] = np.isfinite(values[part]).all(axis=(1, 2, 3))
            if advance is not None:
                advance(len(values[part]))
        problems: list[Problem] = []
        for index in np.flatnonzero(~finite).tolist():
            name = names[index] if names is not None else describe(None, index)
            problems.append(Problem(self._not_finite(rows[index]), source=name))
        usable = np.flatnonzero(finite)
        return Adapted(
            Grids(values if len(usable) == len(values) else values[usable], shape),
            usable.astype(np.int64),
            tuple(problems),
        )

    def laid_out(self, things: Things) -> NDArray[Any] | None:
        """Return the numbers of things in their places, `(items, channels, rows, columns)`.

        None with `scaling: row`, which makes the numbers of an item depend on each other.
        """
        if self.scaling == "row":
            return None
        rows = _stack(things, self.shape().cells)
        return self._place(np.stack([*map(_numbers, things)]) if rows is None else rows)

    def _usable(self, things: Things) -> Rows:
        """Return the items of the usual length that may be learned from."""
        stack = _stack(things, self._width)
        if stack is None:
            stack = self._most_frequent(things)
        if self._width is not None and stack.shape[1] != self._width:
            raise DataError(self._wrong_width(stack.shape[1:]))
        rows = stack.astype(np.float64)
        allowed = np.isfinite(rows)
        if self.missing != "refuse":
            allowed |= np.isnan(rows)
        rows = rows[allowed.all(axis=1)]
        if not rows.size:
            raise DataError(
                "there is no usable item to learn from: an item is a row of numbers, all of "
                f"them finite{' or missing' if self.missing != 'refuse' else ''}"
            )
        return rows

    def _most_frequent(self, things: Things) -> Rows:
        rows: list[Rows] = []
        for thing in things:
            try:
                row = _numbers(thing)
            except DataError:
                continue
            if row.ndim == 1 and (self._width is None or len(row) == self._width):
                rows.append(row)
        if not rows:
            return np.zeros((0, self._width or 0))
        length = Counter(map(len, rows)).most_common(1)[0][0]
        return np.stack([row for row in rows if len(row) == length])

    def _laid_out(self, rows: Rows) -> NDArray[np.float32]:
        """Return rows as grids; numbers too large for float32 become infinite, NaN stays NaN."""
        if self.missing == "mean" and self.fills is None:
            raise self.unlearned("'fills'", "or set them, or 'missing: zero'")
        with np.errstate(over="ignore", invalid="ignore"):
            cells = self._scale(_fill_missing(rows, self.missing, self.fills)).astype(np.float32)
        return self._place(cells)

    def _place(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Return rows as grids, each number in its place."""
        channels, height, width = self.shape().sizes
        if self.order == "interleaved":
            return cells.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        return cells.reshape(-1, channels, height, width)

    def _scale(self, rows: Rows) -> Rows:
        if self.scaling == "none":
            return rows
        if self.scaling == "row":
            means = rows.mean(axis=1, keepdims=True)
            deviations = _deviations(rows, 1)[:, None]
        elif self.means is None or self.deviations is None:
            raise self.unlearned("'means' and 'deviations'", "or set them, or 'scaling: none'")
        else:
            means, deviations = np.array(self.means), np.array(self.deviations)
        varies = deviations > 0
        scaled = (rows - means) / np.where(varies, deviations, 1.0)
        # Not a product with 0, of which NaN would come through, and infinity become NaN.
        scaled = np.where(varies | ~np.isfinite(rows), scaled, 0.0)
        if self.limit is not None:
            scaled = np.where(np.isfinite(rows), scaled.clip(-self.limit, self.limit), scaled)
        return np.where(np.isfinite(deviations), scaled, np.inf)

    def _wrong_width(self, sizes: tuple[int, ...]) -> str:
        count = sizes[0] if len(sizes) == 1 else f"the shape {sizes}"
        has = f"{count} {'number' if count == 1 else 'numbers'}" if len(sizes) == 1 else count
        return (
            f"an item has {has}, but {math.prod(self.shape().sizes)} are expected, for grids of "
            f"{self.shape()} (channels x rows x columns)"
        )

    def _not_finite(self, row: NDArray[Any]) -> str:
        """Return why a row is not finite, or not once it is scaled."""
        missing = np.flatnonzero(np.isnan(row))
        if len(missing) and self.missing == "refuse":
            return (
                f"{_subject(missing)} no number (NaN); leave the item out, or set 'missing: mean' "
                "or 'missing: zero' of table"
            )
        endless = np.flatnonzero(np.isinf(row))
        if len(endless):
            return f"{_subject(endless)} an infinite number; all must be finite"
        return "it has numbers too far from those of the training items for a 32-bit float"


def _subject(columns: NDArray[np.int64]) -> str:
    """Return the first of some columns, counted from 1, and how many others there are."""
    others = f" (and {len(columns) - 1} more)" if len(columns) > 1 else ""
    return f"column {columns[0] + 1}{others} has"


def _stack(things: Things, width: int | None) -> NDArray[Any] | None:
    """Return all items as real numbers `(items, columns)` if they are one array, or can be."""
    if isinstance(things, np.ndarray):
        stack: NDArray[Any] = _unmask(things)
        return stack if stack.ndim == 2 and stack.dtype.kind in "biuf" else None
    if not len(things) or not all(
        type(each) is np.ndarray and each.ndim == 1 and each.dtype.kind in "biuf" for each in things
    ):
        return None
    lengths = {len(thing) for thing in things}
    return np.stack(list(things)) if len(lengths) == 1 and width in (None, *lengths) else None


def _unmask(values: Any) -> Any:
    """Return values with NaN where they are masked."""
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "biuf":
        return np.ma.filled(values.astype(np.float64), np.nan)
    return values


def _numbers(thing: Any) -> Rows:
    """Return one item as real numbers, NaN where one is missing."""
    if isinstance(thing, str | bytes | os.PathLike):
        raise DataError(f"it is {shown(thing)}; an item is a row of numbers")
    try:
        values = np.asarray(_unmask(thing))
    except Exception as error:  # a foreign object's __array__ may raise anything
        reason = "its parts have different lengths" if "inhomogeneous" in str(error) else error
        raise DataError(f"it cannot be read as a row of numbers: {reason}") from None
    if values.dtype.kind == "O" and values.ndim == 1:
        return np.array([_number(value, place) for place, value in enumerate(values, start=1)])
    if values.dtype.kind in "US":
        # A list with a single text in it becomes an array of texts.
        values_of_item = list(thing) if isinstance(thing, list | tuple) else values.ravel().tolist()
        places = [n for n, each in enumerate(values_of_item, 1) if isinstance(each, str | bytes)]
        text = (
            f"column {places[0]} has the text {shown(values_of_item[places[0] - 1])}"
            if places
            else ("it holds texts")
        )
        raise DataError(f"{text}; an item is a row of numbers")
    if values.dtype.kind not in "biuf":
        raise DataError(f"it holds values of type {values.dtype}; an item is a row of real numbers")
    return values.astype(np.float64)


def _number(value: Any, place: int) -> float:
    """Return one value of a row of mixed types; `place` is its column, from 1."""
    # pandas has two more ways to say that a value is missing: NA and NaT.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return math.nan
    if isinstance(value, str | bytes):
        raise DataError(f"column {place} has the text {shown(value)}; an item is a row of numbers")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"column {place} has {shown(value)}; an item is a row of numbers") from None


def _fill_missing(rows: Rows, missing: str, fills: Sequence[float] | None) -> Rows:
    """Return rows with NaN replaced."""
    if missing == "refuse":
        return rows
    return np.where(np.isnan(rows), np.array(fills) if missing == "mean" else 0.0, rows)


def _means_of_known(rows: Rows) -> tuple[float, ...]:
    """Return the mean of each column's numbers."""
    known = ~np.isnan(rows)
    empty = np.flatnonzero(~known.any(axis=0))
    if len(empty):
        raise DataError(
            f"{_subject(empty)} no number in any training item, and so no mean; leave the column "
            "out, or set 'missing: zero' of table"
        )
    sums = np.where(known, rows, 0.0).sum(axis=0)
    return _finite(sums / known.sum(axis=0))


def _deviations(rows: Rows, axis: int | None) -> NDArray[np.float64]:
    """Return standard deviations; exactly 0 where numbers are all the same."""
    same = rows.max(axis=axis) == rows.min(axis=axis)
    return np.where(same, 0.0, rows.std(axis=axis))


def _scale(rows: Rows, axis: int | None, given: TableAdapter) -> dict[str, Any]:
    """Return means and deviations over an axis, or over all; given ones stay as they are.

    If a few numbers are far from all others, these are left out, and there is a limit.
    """
    means = _finite(np.atleast_1d(rows.mean(axis=axis)))
    deviations = _finite(np.atleast_1d(_deviations(rows, axis)))
    limit = given.limit
    columns = rows if axis == 0 else rows.reshape(-1, 1)
    reach = np.abs(columns - np.array(means)).max(axis=0)
    for index in np.flatnonzero(reach > _STEPS * np.array(deviations)).tolist():
        bulk = bulk_of(columns[:, index])
        if not bulk.is_all:
            near = columns[:, index].clip(bulk.low, bulk.high)[:, None]
            means = (*means[:index], float(near.mean()), *means[index + 1 :])
            deviation = float(_deviations(near, 0)[0])
            deviations = (*deviations[:index], deviation, *deviations[index + 1 :])
            limit = given.limit or _LIMIT
    return {
        "limit": limit,
        "means": means if given.means is None else given.means,
        "deviations": deviations if given.deviations is None else given.deviations,
    }


def _finite(values: NDArray[np.float64]) -> tuple[float, ...]:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        where = f"column {wrong[0] + 1}" if len(values) > 1 else "the table"
        raise DataError(
            f"{where} has numbers too large to be added up; leave the column out, or divide its "
            "values"
        )
    return tuple(values.tolist())
