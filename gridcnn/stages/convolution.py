"""Convolution: the match of every feature at every position, one map for each feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from gridcnn.contracts.stage import Backward, Gradients, Parameter, Role, Stage, sliding_error
from gridcnn.grid import Array, GridShape
from gridcnn.settings.base import Count, Flag, wanted_error
from gridcnn.settings.pairs import ALL, LONGEST, Extents, Padding, Sizes, cells

Features = tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]
"""Written-out features, `(filters, channels, rows, columns)`."""
_LARGEST = float(np.finfo(np.float32).max)
_MOST_CELLS = 1_000_000


def _read_features(value: Any) -> Features:
    wanted = (
        "a list of mini-images of one size, each a list of rows of numbers (or, on "
        "grids of several channels, a list of such mini-images, one for each channel)"
    )
    try:
        array = np.array(value)
    except ValueError:  # the rows differ in length
        raise wanted_error(f"{wanted}; the sizes here differ") from None
    numeric = array.dtype.kind in "iuf"
    if array.ndim not in (3, 4) or not array.size or not numeric or array.size > _MOST_CELLS:
        raise wanted_error(f"{wanted}, at most {_MOST_CELLS:,} cells in all")
    # The comparison is False for NaN as well.
    if not (np.abs(array.astype(np.float64)) <= _LARGEST).all():
        raise wanted_error(f"{wanted}, every cell a finite number that 32 bits can hold")
    features = array.astype(np.float64).reshape(len(array), -1, *array.shape[-2:])
    return tuple(tuple(tuple(map(tuple, image)) for image in each) for each in features.tolist())


def _write_features(value: Features | None) -> Any:
    if value is None:
        return None
    plain = np.array(value)
    return plain[:, 0].tolist() if plain.shape[1] == 1 else plain.tolist()


_ROWS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
_FEATURES_SCHEMA = {
    "type": "array",
    "items": {"anyOf": [_ROWS, {"type": "array", "items": _ROWS}]},
    "minItems": 1,
}


def _read_groups(value: Any) -> Any:
    if value == "channels":
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LONGEST:
        raise wanted_error(f"a whole number from 1 to {LONGEST}, or 'channels'")
    return value


Groups = Annotated[
    int | Literal["channels"],
    PlainValidator(_read_groups),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": LONGEST}, {"enum": ["channels"]}]}
    ),
]
"""A number of groups, or `channels`: as many as there are channels."""


class Convolution(Stage):
    """Matches every feature with every patch: multiply cell by cell and add up."""

    title: ClassVar[str] = "convolution"

    filters: Count | None = None
    """How many features there are, and so how many maps come out. Required, unless `features` are
    written out."""
    kernel_size: Extents = (3, 3)
    """The size of a feature, in cells, or `all` cells along an axis."""
    stride: Sizes = (1, 1)
    """Cells from one position to the next."""
    padding: Padding = "same"
    """Cells of 0 around the grid: `same` (the map has the size of the grid, divided by the stride),
    `valid` (none), or how many on each side. None is added along an axis that the kernel fills
    with `all`."""
    dilation: Sizes = (1, 1)
    """Cells from one cell of a feature to its next."""
    groups: Groups = 1
    """Into how many groups the channels are divided; each feature sees one group alone, and each
    group has the same number of features. `channels`: each channel is a group (depthwise)."""
    bias: Flag = True
    """Whether a number is learned for each feature and added to its map."""
    scale: Literal["sum", "match"] = "sum"
    """`match` divides by the number of cells of a feature, so that for cells in -1..1 a perfect
    match is 1 and a perfect negative is -1."""
    features: (
        Annotated[
            Features,
            PlainValidator(_read_features),
            PlainSerializer(_write_features),
            WithJsonSchema(_FEATURES_SCHEMA),
        ]
        | None
    ) = None
    """Features written out by hand, as mini-images: where training starts, or what stays."""
    trainable: Flag = True
    """Whether training changes the features and biases."""

    @model_validator(mode="after")
    def _fit_features(self) -> Self:
        if self.features is None:
            if self.filters is None:
                raise ValueError("needs the setting 'filters', a number of features")
            return self
        count, _, rows, columns = np.array(self.features).shape
        if self.filters not in (None, count):
            raise ValueError(
                f"'filters' (={self.filters}) must be the number of features written out "
                f"(={count}), or be left out"
            )
        if "kernel_size" in self.model_fields_set and self.kernel_size != (rows, columns):
            raise ValueError(
                f"'kernel_size' (={_by(self.kernel_size)}) must be the size of the features "
                f"written out (={rows} x {columns}), or be left out"
            )
        object.__setattr__(self, "filters", count)
        object.__setattr__(self, "kernel_size", (rows, columns))
        return self

    def group_count(self, channels: int) -> int:
        """Return the number of groups on grids of so many channels."""
        return channels if self.groups == "channels" else self.groups

    def kernel(self, shape: GridShape) -> tuple[int, int]:
        """Return the size of a feature on grids of `shape`, `(rows, columns)`."""
        return cells(self.kernel_size, shape.rows, shape.columns)

    def borders(self, shape: GridShape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the cells of 0 `((above, below), (left, right))` for grids of `shape`."""
        sides = []
        for axis, size in enumerate((shape.rows, shape.columns)):
            reach = (self.kernel(shape)[axis] - 1) * self.dilation[axis] + 1
            if self.kernel_size[axis] == ALL or self.padding == "valid":
                sides.append((0, 0))
            elif self.padding == "same":
                step = self.stride[axis]
                missing = max((-(-size // step) - 1) * step + reach - size, 0)
                sides.append((missing // 2, missing - missing // 2))
            else:
                sides.append((int(self.padding[axis]),) * 2)
        return sides[0], sides[1]

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers: never."""
        return False

    def output(self, shape: GridShape) -> GridShape:
        """Return one map for each feature."""
        kernel, borders = self.kernel(shape), self.borders(shape)
        groups = self.group_count(shape.channels)
        for count, what in ((shape.channels, "channels"), (self._count, "filters")):
            if count % groups:
                raise ValueError(
                    f"'groups' (={groups}) must divide the {count} {what}; take groups: 1, or "
                    f"another number of {what}"
                )
        if self.features is not None and len(self.features[0]) * groups != shape.channels:
            of = "" if groups == 1 else f" in {groups} groups"
            raise ValueError(
                f"the features written out have {len(self.features[0])} channels; the grids that "
                f"come in have {shape.channels}{of}"
            )
        sizes = []
        for axis, size in enumerate((shape.rows, shape.columns)):
            reach = (kernel[axis] - 1) * self.dilation[axis] + 1
            room = size + sum(borders[axis])
            if reach > room:
                raise ValueError(self._too_large(shape, kernel))
            sizes.append((room - reach) // self.stride[axis] + 1)
        self._refuse_sliding(shape, sizes)
        return shape.resized(self._count, *sizes)

    def _refuse_sliding(self, shape: GridShape, positions: list[int]) -> None:
        """Raise `ValueError` if features would lie at several places of an unordered axis."""
        kernel = self.kernel(shape)
        for place, (axis, size, direction) in enumerate(
            ((shape.row_axis, shape.rows, "rows"), (shape.column_axis, shape.columns, "columns"))
        ):
            one_cell_at_a_time = kernel[place] == 1 and self.stride[place] == 1
            if axis.ordered or size == 1 or one_cell_at_a_time:
                continue
            whole = kernel[place] == size and not any(self.borders(shape)[place])
            if whole and positions[place] == 1:
                continue
            form = ", ".join(ALL if each == place else str(kernel[each]) for each in (0, 1))
            remedy = f"write kernel_size: [{form}]"
            if self.features is not None:
                remedy = f"write out features of all {size} {direction}, with padding: valid"
            raise ValueError(sliding_error(axis, direction, remedy))

    def _too_large(self, shape: GridShape, kernel: tuple[int, int]) -> str:
        if any(
            extent == ALL and step > 1
            for extent, step in zip(self.kernel_size, self.dilation, strict=True)
        ):
            return (
                f"a kernel of {_by(self.kernel_size)} with dilation {_by(self.dilation)} does not "
                f"fit into {shape.rows} x {shape.columns} cells; write dilation: 1 along an axis "
                f"that the kernel fills with '{ALL}'"
            )
        spread = "" if self.dilation == (1, 1) else f" with dilation {_by(self.dilation)}"
        largest = [
            (size + sum(border) - 1) // step + 1
            for size, border, step in zip(
                (shape.rows, shape.columns), self.borders(shape), self.dilation, strict=True
            )
        ]
        padded = "" if self.padding == "valid" else f" padded by {_by(self.padding)}"
        return (
            f"a kernel of {_by(kernel)}{spread} does not fit into {shape.rows} x {shape.columns} "
            f"cells{padded}; a kernel of at most {_by(tuple(largest))} fits, or padding: same"
        )

    @property
    def _count(self) -> int:
        assert self.filters is not None  # filled in by the validator
        return self.filters

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        """Return `weights` `(filters, channels, rows, columns)` and `bias` `(filters,)`.

        The channels are those of one group.
        """
        rows, columns = self.kernel(shape)
        cells_of_one = shape.channels // self.group_count(shape.channels) * rows * columns
        role: Role = "learned" if self.trainable else "fixed"
        groups = self.group_count(shape.channels)
        weights = Parameter(
            "weights",
            (self._count, shape.channels // groups, rows, columns),
            fan_in=cells_of_one,
            fan_out=self._count // groups * rows * columns,
            # Divided again by the match, so that maps start with the usual spread.
            gain=cells_of_one if self.scale == "match" else 1.0,
            written=None if self.features is None else np.array(self.features),
            role=role,
        )
        if not self.bias:
            return (weights,)
        bias = Parameter("bias", (self._count,), role=role, decays=False)
        return weights, bias

    def multiply_adds(self, shape: GridShape) -> int:
        """Return the cells of a feature, times the cells of all maps."""
        rows, columns = self.kernel(shape)
        channels = shape.channels // self.group_count(shape.channels)
        return self.output(shape).cells * channels * rows * columns

    def working_bytes(self, shape: GridShape) -> int:
        """Return the size of all patches side by side, as the reference arithmetic lays them."""
        out = self.output(shape)
        rows, columns = self.kernel(shape)
        return 4 * shape.channels * rows * columns * out.rows * out.columns

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,  # noqa: ARG002
        random: np.random.Generator | None = None,  # noqa: ARG002
    ) -> tuple[Array, Backward]:
        """Return the maps: all patches laid side by side, times all features at once."""
        items, channels, rows, columns = grids.shape
        shape = GridShape(channels, rows, columns)
        out, borders = self.output(shape), self.borders(shape)
        (above, below), (left, right) = borders
        inside = np.s_[:, :, above : above + rows, left : left + columns]
        padded_shape = (items, channels, above + rows + below, left + columns + right)
        padded = grids
        if padded_shape != grids.shape:
            padded = np.zeros(padded_shape, grids.dtype)
            padded[inside] = grids
        groups = self.group_count(channels)
        features = weights["weights"].reshape(groups, self._count // groups, -1)
        divisor = features.shape[2] if self.scale == "match" else 1
        laid = self._patches(padded, shape, out)
        laid = laid.reshape(items, groups, features.shape[2], out.rows * out.columns)
        # One product for each item and group, so that an item's maps do not depend on its batch.
        maps: Array = np.matmul(features, laid)
        maps = maps.reshape(items, self._count, out.rows * out.columns)
        if divisor != 1:
            maps /= divisor
        if self.bias:
            maps += weights["bias"][:, None]

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            flat = gradient.reshape(items, self._count, out.rows * out.columns)
            gradients: Gradients = {}
            if self.bias:
                gradients["bias"] = flat.sum(axis=2).sum(axis=0)
            if divisor != 1:
                flat = flat / divisor
            flows = flat.reshape(items, groups, self._count // groups, out.rows * out.columns)
            by_weights = np.matmul(flows, laid.transpose(0, 1, 3, 2)).sum(axis=0)
            gradients["weights"] = by_weights.reshape(weights["weights"].shape)
            if not need_input:
                return gradient, gradients
            by_padded = np.zeros(padded_shape, flat.dtype)
            spread = self._patches(by_padded, shape, out)
            shares = np.matmul(features.transpose(0, 2, 1), flows).reshape(spread.shape)
            # Patches overlap, but those of one place in the kernel do not.
            for row, column in np.ndindex(spread.shape[2:4]):
                spread[:, :, row, column] += shares[:, :, row, column]
            return by_padded[inside], gradients

        return maps.reshape(items, *out.sizes), backward

    def _patches(self, padded: Array, shape: GridShape, out: GridShape) -> Array:
        """Return the view `(items, channels, kernel rows, kernel columns, rows, columns)`."""
        kernel = self.kernel(shape)
        item, channel, row, column = padded.strides
        return np.lib.stride_tricks.as_strided(
            padded,
            (*padded.shape[:2], *kernel, out.rows, out.columns),
            (
                item,
                channel,
                row * self.dilation[0],
                column * self.dilation[1],
                row * self.stride[0],
                column * self.stride[1],
            ),
        )


def _by(pair: tuple[Any, ...] | str) -> str:
    return pair if isinstance(pair, str) else " x ".join(map(str, pair))
