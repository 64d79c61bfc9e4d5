"""The array adapter: numbers that are grids already, brought to the range of -1..1."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gridcnn.adapters.outliers import LOOKED_AT, bulk_of, count_cut, cut_remark, is_scaled
from gridcnn.contracts.adapter import Adapted, Adapter, Things, describe
from gridcnn.errors import DataError, Problem
from gridcnn.grid import Array, Cells, Grids, GridShape, all_finite
from gridcnn.settings.base import Count, Number, Positive
from gridcnn.settings.pairs import Sizes
from gridcnn.stored import SUFFIXES, stored_array

_LAYOUTS = (
    "an item is (columns), (rows, columns), (channels, rows, columns) or (rows, columns, channels)"
)
_MAYBE_CHANNELS = (1, 3, 4)  # grey; red, green and blue; these and opacity
_LIMIT = 3.0  # values that are far from the others become so much at most
_CHUNK = 4_000_000  # cells that are scaled at a time, which bounds the memory of the float64 step


class ArrayAdapter(Adapter):
    """Arrays of numbers that are grids already; the range of their values becomes -1..1.

    An item is an array or a file of one: `.npy`, or `.npz` with a single array in it. What is null
    is learned from the training items.
    """

    title: ClassVar[str] = "array"
    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    numbers: ClassVar[bool] = True
    makes_order: ClassVar[bool] = False

    size: Sizes | None = None
    """Rows and columns of every item, in cells; null: those of the training items. An item of one
    dimension is a grid of one row."""
    channels: Count | None = None
    """Channels of every item; null: those of the training items."""
    channel_order: Literal["auto", "first", "last"] = "auto"
    """The position of the channels in an item of three dimensions. `first`: (channels, rows,
    columns); `last`: (rows, columns, channels); `auto`: last where the last dimension is 1, 3 or 4
    and the first is not, else first."""
    scaling: Literal["auto", "range", "none"] = "auto"
    """`range`: `low` becomes -1 and `high` becomes 1, evenly, and values beyond them leave -1..1;
    where both are the same, that value becomes 0. `none`: values stay as they are. `auto`: `none`
    where the training items are scaled already (a mean near 0 and a standard deviation near 1);
    else `range`, and where a few values are far from all others, these decide neither `low` nor
    `high`, and `limit` is 3."""
    low: Number | None = None
    """The value that becomes -1; null: the smallest of the training items, in any cell."""
    high: Number | None = None
    """The value that becomes 1; null: the largest of the training items, in any cell."""
    limit: Positive | None = None
    """Scaled values are clipped to this distance from 0; null: none
    are."""

    @model_validator(mode="after")
    def _range_ascends(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"'low' must not be above 'high'; got {self.low:g} and {self.high:g}")
        return self

    @property
    def _learns_range(self) -> bool:
        """Whether a setting of the scaling has to be learned."""
        return self.scaling != "none" and (self.low is None or self.high is None)

    def takes_array(self, dimensions: int) -> bool:
        """Return whether an item may be an array of this number of dimensions: 1, 2 or 3."""
        return dimensions in (1, 2, 3)

    def is_lone(self, array: Array) -> bool:
        """Return whether an array is one item; with two dimensions, if it has the known size."""
        return array.ndim < 2 or (array.shape == self.size and self.size[0] > 1)

    def fitted(self, things: Things) -> Self:
        """Return an adapter with the shape and the range of the training items filled in.

        If items differ in shape, the most frequent shape counts. Items that cannot be used are
        skipped here; `adapt_all` reports them.

        Raises:
            DataError: there is no item to learn from.
        """
        if self.size is not None and self.channels is not None and not self._learns_range:
            return self
        stack = self._stack(things)
        # Of files only some cells are kept, which must fit into memory.
        most = LOOKED_AT if stack is not None else max(1, LOOKED_AT // max(1, len(things)))
        shape, low, high, some = self._usual(
            [stack] if stack is not None else self._each(things), most
        )
        learned: dict[str, Any] = {"size": shape[1:], "channels": shape[0]}
        if self._learns_range:
            learned["low"] = low if self.low is None else self.low
            learned["high"] = high if self.high is None else self.high
        if self.scaling == "auto":
            learned["scaling"] = "range"
            if self.low is None and self.high is None:
                learned |= _fitting_scale(some, low, high)
        return type(self).model_validate({**self.model_dump(), **learned})

    def remarks(
        self,
        things: Things,  # noqa: ARG002 - the grids tell it
        grids: Cells,
        *,
        training: bool = False,  # noqa: ARG002 - it holds for all items
    ) -> Mapping[str, int]:
        """Return how many items have values far from all others, which are clipped."""
        if self.limit is None or self.low is None or self.high is None:
            return {}
        lie = f"far from all others, which lie from {self.low:g} to {self.high:g}"
        return {cut_remark(lie): count_cut(grids, self.limit)[0]}

    def shape(self) -> GridShape:
        """Return the shape of every grid; raise `DataError` while it is neither set nor learned."""
        if self.size is None or self.channels is None:
            raise self.unlearned("the shape of its items", "or set 'size' and 'channels'")
        return GridShape(self.channels, *self.size)

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        """Return one item as float32 `(channels, rows, columns)`.

        Args:
            thing: numbers of any real type, `(columns)`, `(rows, columns)`, or three dimensions in
                the order of `channel_order`; or the path, or the bytes, of a file that holds them.

        Raises:
            DataError: it has another shape, holds something other than finite real numbers, or is
                a file that cannot be read.
        """
        grids = self._laid_out(_numbers(thing)[None])
        self._check_shape(grids)
        grid: NDArray[np.float32] = self._scale(grids)[0]
        if not np.isfinite(grid).all():
            raise DataError(_not_finite(grids))
        return grid

    def adapt_all(
        self,
        things: Things,
        *,
        names: Sequence[str] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> Adapted:
        """Return all items as grids, and a problem for each that cannot be used.

        One array of all items, `(items, ...)`, is adapted as a whole.
        """
        stack = self._stack(things)
        if stack is None:
            return super().adapt_all(things, names=names, advance=advance)
        shape = self.shape()
        self._check_shape(stack)
        values = np.empty((len(stack), *shape.sizes), np.float32)
        finite = np.ones(len(stack), np.bool_)
        step = max(1, _CHUNK // shape.cells)
        for start in range(0, len(stack), step):
            part = slice(start, start + step)
            values[part] = self._scale(stack[part])
            finite[part] = np.isfinite(values[part]).all(axis=(1, 2, 3))
            if advance is not None:
                advance(len(values[part]))
        problems: list[Problem] = []
        for index in np.flatnonzero(~finite).tolist():
            name = names[index] if names is not None else describe(None, index)
            problems.append(Problem(_not_finite(stack[index]), source=name))
        usable = np.flatnonzero(finite)
        return Adapted(
            Grids(values if len(usable) == len(values) else values[usable], shape),
            usable.astype(np.int64),
            tuple(problems),
        )

    def laid_out(self, things: Things) -> NDArray[Any] | None:
        """Return the numbers of things in their places, `(items, channels, rows, columns)`.

        None for files, which would have to be read once more, and for arrays of several shapes.
        """
        if not isinstance(things, np.ndarray):
            shapes = {x.shape if isinstance(x, np.ndarray) else None for x in things}
            if len(shapes) > 1 or None in shapes:
                return None
            things = np.stack(list(things))
        return self._stack(things)

    def _stack(self, things: Any) -> Array | None:
        """Return all items as `(items, channels, rows, columns)`; None if they are not an array."""
        if isinstance(things, np.ndarray) or hasattr(things, "__array__"):
            values = _numbers(things) if _is_numeric(things) else None
            if values is not None and values.ndim in (2, 3, 4):
                return self._laid_out(values)
        return None

    def _each(self, things: Things) -> Iterable[Array]:
        for thing in things:
            try:
                yield self._laid_out(_numbers(thing)[None])
            except DataError:
                continue

    def _usual(
        self, stacks: Iterable[Array], most: int
    ) -> tuple[tuple[int, ...], float, float, Array]:
        """Return the most frequent shape among those that the settings allow, and its range.

        Every stack is `(items, channels, rows, columns)`; items that are not finite are skipped.
        The shape is `(channels, rows, columns)`, the range the lowest and the highest value; the
        last is an even sample of the values, at most `most` of each stack.
        """
        chosen: dict[tuple[int, ...], list[Array]] = {}
        ranges: dict[tuple[int, ...], tuple[float, float]] = {}
        counts: Counter[tuple[int, ...]] = Counter()
        for grids in stacks:
            fits = self.size in (None, grids.shape[2:]) and self.channels in (None, grids.shape[1])
            finite = grids
            if not all_finite(grids):
                finite = grids[np.isfinite(grids).all(axis=(1, 2, 3))]
            if fits and finite.size:
                shape = finite.shape[1:]
                low, high = ranges.get(shape, (math.inf, -math.inf))
                ranges[shape] = min(low, float(finite.min())), max(high, float(finite.max()))
                counts[shape] += len(finite)
                chosen.setdefault(shape, []).append(_sample(finite, most))
        if not counts:
            raise DataError(
                "there is no usable item to learn the shape and the range of arrays from: "
                f"{_LAYOUTS}, of finite numbers"
            )
        usual = counts.most_common(1)[0][0]
        return usual, *ranges[usual], np.concatenate(chosen[usual])

    def _laid_out(self, stack: Array) -> Array:
        """Return `(items, ...)` as `(items, channels, rows, columns)`, without copying."""
        sizes = stack.shape[1:]
        if 0 in sizes or len(sizes) not in (1, 2, 3):
            raise DataError(f"an item of shape {sizes} is not a grid; {_LAYOUTS}")
        if len(sizes) == 1:
            return stack[:, None, None, :]
        if len(sizes) == 2:
            return stack[:, None]
        last = sizes[2] in _MAYBE_CHANNELS and sizes[0] not in _MAYBE_CHANNELS
        if self.channel_order == "last" or (self.channel_order == "auto" and last):
            return stack.transpose(0, 3, 1, 2)
        return stack

    def _check_shape(self, grids: Array) -> None:
        expected = self.shape()
        if grids.shape[1:] != expected.sizes:
            sizes = " x ".join(map(str, grids.shape[1:]))
            raise DataError(
                f"the item is {sizes} (channels x rows x columns); all items must be {expected}, "
                "as in training or in the settings 'channels' and 'size' of array"
            )

    def _scale(self, grids: Array) -> NDArray[np.float32]:
        """Return grids on the scale of -1..1; what float32 cannot hold becomes infinite."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.scaling == "none":
                return self._limit(grids, grids)
            if self.low is None or self.high is None:
                raise self.unlearned(
                    "the range of its values", "or set 'low' and 'high', or 'scaling: none'"
                )
            # Halved first: the difference of two huge numbers may be too large for a float.
            middle, half = self.high / 2 + self.low / 2, self.high / 2 - self.low / 2
            scaled = grids.astype(np.float64)
            scaled -= middle
            scaled /= half or 1.0
            return self._limit(scaled, grids)

    def _limit(self, scaled: Array, given: Array) -> NDArray[np.float32]:
        if self.limit is None:
            return scaled.astype(np.float32)
        limited: NDArray[np.float32] = scaled.clip(-self.limit, self.limit).astype(np.float32)
        # An infinite value is not one that is far, but one that is wrong.
        limited[np.isinf(given)] = np.inf
        return limited


def _sample(items: Array, most: int) -> Array:
    """Return up to `most` numbers, evenly from all items, and from all places in them."""
    # Whole items first: those of other orders of memory are copied to be in one dimension.
    some = items[:: max(1, items.size // (4 * most))].reshape(-1)
    step = -(-some.size // most)
    while math.gcd(step, math.prod(items.shape[1:])) > 1:
        step += 1
    return some[::step].copy()


def _fitting_scale(values: Array, low: float, high: float) -> dict[str, Any]:
    """Return the settings that scale numbers to about -1..1, whatever a few outliers are."""
    if is_scaled(values):
        return {"scaling": "none", "low": None, "high": None}
    bulk = bulk_of(values, low, high)
    return {} if bulk.is_all else {"low": bulk.low, "high": bulk.high, "limit": _LIMIT}


def _is_numeric(things: Any) -> bool:
    kind = getattr(getattr(things, "dtype", None), "kind", "f")
    return kind in "biuf"


def _numbers(thing: Any) -> Array:
    """Return one item, or a stack of items, as an array of real numbers."""
    if isinstance(thing, str | bytes | os.PathLike):
        thing = stored_array(thing)
    if isinstance(thing, np.ma.MaskedArray) and np.ma.is_masked(thing):
        raise DataError("it has masked values; fill them in, or leave the item out")
    try:
        values = np.asarray(thing)
    except Exception as error:  # a foreign object's __array__ may raise anything
        reason = "its rows have different lengths" if "inhomogeneous" in str(error) else error
        raise DataError(f"it cannot be read as an array: {reason}; {_LAYOUTS}") from None
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind == "c":
        raise DataError(
            "it holds complex numbers; give their magnitudes, or real and imaginary parts as two "
            "channels"
        )
    raise DataError(
        f"it holds values of type {values.dtype}, which are not numbers; {_LAYOUTS}, of numbers"
    )


def _not_finite(grids: Array) -> str:
    """Return why grids are not finite, or not once they are scaled."""
    if np.isfinite(grids).all():
        return "it holds values too far from the learned range for a 32-bit float"
    return "it holds NaN or infinite values; all must be finite numbers"
