"""A graph of ONNX in the making: nodes, constants, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from gridcnn.errors import UserError
from gridcnn.version import VERSION

LOWEST, USUAL, HIGHEST = 13, 17, 21
"""Versions of ONNX's operators that can be written. The usual one is read by every runtime since
2022, those of browsers and phones too."""
_LAYOUTS = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}
"""The version of the file's layout that came with each version of the operators."""
_REDUCED_BY_INPUT = 18  # since this version the axes of means and maxima are an input, as of sums
_LABELS = 3  # the version of the operators for tables of texts
_LARGEST = 2**31  # bytes that a file of ONNX can hold


def need_onnx() -> None:
    """Raise `UserError` if the package onnx is not installed."""
    try:
        import_module("onnx")
    except ImportError:
        raise UserError(
            "ONNX files need the package onnx, which is not installed: "
            "python -m pip install 'gridcnn[onnx]'"
        ) from None


class Graph:
    """Nodes of ONNX, each under the name of what it returns.

    All methods take and return names of values. The first dimension of everything that depends on
    the item is `items`, of any size.
    """

    def __init__(self, opset: int) -> None:
        need_onnx()
        self.opset = opset
        self.helper: Any = import_module("onnx.helper")
        self.numbers: Any = import_module("onnx.numpy_helper")
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[Any] = []
        self._names: set[str] = set()
        self._domains = {"": opset}

    # Values ---------------------------------------------------------------------------------------

    def input(self, name: str, dtype: DTypeLike, sizes: Sequence[int | str]) -> str:
        """Return an input; sizes that are texts are free."""
        kind = self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(self.helper.make_tensor_value_info(name, kind, list(sizes)))
        self._names.add(name)
        return name

    def output(self, value: str, name: str, dtype: DTypeLike, sizes: Sequence[int | str]) -> None:
        """Make a value an output under a name of its own."""
        self.nodes.append(self.helper.make_node("Identity", [value], [name], name=name))
        kind = self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.outputs.append(self.helper.make_tensor_value_info(name, kind, list(sizes)))

    def constant(self, values: ArrayLike, dtype: DTypeLike = np.float32, name: str = "") -> str:
        """Return an array that is part of the file; equal ones are stored once."""
        array: NDArray[Any] = np.ascontiguousarray(values, dtype)
        array = array.reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes() if array.dtype != object else b"")
        if array.dtype != object and key in self._constants:
            return self._constants[key]
        unique = self._unique(name or "constant")
        self._initializers.append(self.numbers.from_array(array, unique))
        if array.dtype != object:
            self._constants[key] = unique
        return unique

    def ints(self, *values: int) -> str:
        """Return whole numbers as an int64 array."""
        return self.constant(np.array(values, np.int64), np.int64)

    def node(self, operator: str, *inputs: str, name: str = "", **settings: Any) -> str:
        """Return the output of an operator for its inputs."""
        return self.nodes_of(operator, inputs, 1, name=name, **settings)[0]

    def nodes_of(
        self, operator: str, inputs: Sequence[str], count: int, name: str = "", **settings: Any
    ) -> list[str]:
        """Return the `count` outputs of an operator."""
        unique = self._unique(name or operator.lower())
        outputs = [unique]
        if count > 1:
            outputs = [self._unique(f"{unique}_{n}") for n in range(count)]
        made = self.helper.make_node(operator, list(inputs), outputs, name=unique, **settings)
        self.nodes.append(made)
        return outputs

    def _unique(self, name: str) -> str:
        chosen, number = name, 1
        while chosen in self._names:
            number += 1
            chosen = f"{name}_{number}"
        self._names.add(chosen)
        return chosen

    def look_up(self, texts: str, numbers: Mapping[str, int], other: int) -> str:
        """Return the number of each text, int64; `other` for texts that have none."""
        self._domains["ai.onnx.ml"] = _LABELS
        return self.node(
            "LabelEncoder",
            texts,
            domain="ai.onnx.ml",
            keys_strings=list(numbers),
            values_int64s=list(numbers.values()),
            default_int64=other,
        )

    # Graphs inside --------------------------------------------------------------------------------

    @contextmanager
    def inside(self) -> Iterator[list[Any]]:
        """Collect the nodes that are added meanwhile; they may use all values made before."""
        outside, self.nodes = self.nodes, []
        try:
            yield self.nodes
        finally:
            self.nodes = outside

    def inner(
        self,
        nodes: list[Any],
        inputs: Sequence[tuple[str, DTypeLike, int]],
        outputs: Sequence[tuple[str, DTypeLike, int]],
    ) -> Any:
        """Return a graph inside this one, for operators that choose or repeat.

        Args:
            nodes: of it.
            inputs: the name, type and number of axes of each.
            outputs: the same; they may be values from outside.
        """
        ends = []
        for name, dtype, axes in outputs:
            # An output has to be made inside, and under a name of its own.
            end = self._unique("end")
            nodes.append(self.helper.make_node("Identity", [name], [end], name=end))
            ends.append((end, dtype, axes))
        described = [
            [
                self.helper.make_tensor_value_info(
                    name, self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [None] * axes
                )
                for name, dtype, axes in some
            ]
            for some in (inputs, ends)
        ]
        return self.helper.make_graph(nodes, self._unique("inside"), *described)

    def fresh(self, name: str) -> str:
        """Return a name that no value has."""
        return self._unique(name)

    # What many adapters and stages need -----------------------------------------------------------

    def reduce(self, operator: str, value: str, axes: Sequence[int], *, keep: bool = True) -> str:
        """Return a mean, maximum, minimum or sum along axes."""
        if operator == "ReduceSum" or self.opset >= _REDUCED_BY_INPUT:
            return self.node(operator, value, self.ints(*axes), keepdims=int(keep))
        return self.node(operator, value, axes=list(axes), keepdims=int(keep))

    def cast(self, value: str, dtype: DTypeLike) -> str:
        """Return a value as another type of numbers."""
        return self.node("Cast", value, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def binary(
        self, operator: str, value: str, other: ArrayLike, dtype: DTypeLike = np.float32
    ) -> str:
        """Return the result of an operator of a value and a constant."""
        return self.node(operator, value, self.constant(other, dtype))

    def reshape(self, value: str, *sizes: int) -> str:
        """Return a value in another shape; 0 keeps a size, and -1 is what is left."""
        return self.node("Reshape", value, self.ints(*sizes))

    def slice(self, value: str, start: int, stop: int, axis: int, step: int = 1) -> str:
        """Return a part along an axis."""
        ints = self.ints
        return self.node("Slice", value, ints(start), ints(stop), ints(axis), ints(step))

    # The file -------------------------------------------------------------------------------------

    def content(self, name: str, metadata: Mapping[str, str]) -> bytes:
        """Return the file's content, checked by ONNX itself.

        Raises:
            UserError: it has more than the 2 GB that such a file can hold.
        """
        checker: Any = import_module("onnx.checker")
        size = sum(each.ByteSize() for each in self._initializers)
        if size >= _LARGEST:
            raise UserError(f"the weights have {size:,} bytes, and an ONNX file holds up to 2 GB")
        graph = self.helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, self._initializers
        )
        model = self.helper.make_model(
            graph,
            opset_imports=[self.helper.make_opsetid(*item) for item in self._domains.items()],
            ir_version=_LAYOUTS[self.opset],
            producer_name="gridcnn",
            producer_version=VERSION,
        )
        self.helper.set_model_props(model, dict(metadata))
        checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())
