"""The adapters of tables and arrays in ONNX: numbers, scaled."""

from __future__ import annotations

import numpy as np

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.table import TableAdapter
from gridcnn.export.onnx.adapters import Feed
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.values import Value, where
from gridcnn.grid import Array

_FEWER = 1e-3
"""What rounding to float32 may change of a cell before users hear of it."""


def add_tables(graph: Graph, adapter: TableAdapter) -> Feed:
    """Add the input and all that the table adapter does with it."""
    shape = adapter.shape()
    given = graph.input("numbers", np.float32, ("items", shape.cells))
    values = Value(graph, given, np.dtype(np.float32))
    about = f"numbers (items, {shape.cells}), float32"
    if adapter.missing != "refuse":
        fills = np.array(adapter.fills if adapter.missing == "mean" else 0.0)
        is_missing = values.apply("IsNaN", dtype=np.bool_)
        values = where(is_missing, fills, values)
        about += "; NaN if missing"
    notes: list[str] = []
    if adapter.scaling == "row":
        values = _standardize(values)
    elif adapter.scaling != "none":
        means, deviations = np.array(adapter.means), np.array(adapter.deviations)
        values = _shift_and_divide(values, means, deviations)
        notes = _notes(means, deviations)
    if adapter.limit is not None and adapter.scaling != "none":
        values = values.clip(-adapter.limit, adapter.limit)
    channels, rows, columns = shape.sizes
    if adapter.order == "interleaved":
        grids = values.reshape(-1, rows, columns, channels).transpose(0, 3, 1, 2)
    else:
        grids = values.reshape(-1, channels, rows, columns)
    return Feed(grids.name, about, "numbers", notes=notes)


def _shift_and_divide(values: Value, means: Array, deviations: Array) -> Value:
    """Return numbers less their means, over their deviations; 0 if there is no deviation.

    The mean is subtracted in two parts, so that nothing is lost of numbers far from 0.
    """
    coarse = means.astype(np.float32)
    fine = means - coarse.astype(np.float64)
    varies = deviations > 0
    shifted = _keep(_keep(values - coarse[None]) - fine[None])
    scaled = shifted / np.where(varies, deviations, 1.0)[None]
    return scaled if varies.all() else scaled * varies.astype(np.float32)[None]


def _keep(values: Value) -> Value:
    """Return the same numbers, by an operator that runtimes do not join with others.

    OpenVINO would make one product and one sum of several, and lose small differences.
    """
    return values.maximum(np.finfo(np.float32).min)


def _standardize(values: Value) -> Value:
    """Return rows with the mean 0 and the standard deviation 1; 0 if all of one are the same."""
    first = values.part(0, 1, 1)
    # From the first number on, so that little is lost of numbers far from 0.
    shifted = values - first
    centred = shifted - shifted.mean(1)
    centred = centred - centred.mean(1)
    deviations = (centred * centred).mean(1).sqrt()
    is_same = values.max(1).equals(values.min(1))
    return where(is_same, 0.0, centred / where(is_same, 1.0, deviations))


def _notes(means: Array, deviations: Array) -> list[str]:
    varies = deviations > 0
    if not varies.any():
        return []
    rounding = np.abs(means[varies] if means.shape == varies.shape else means).max() * 2.0**-24
    if rounding <= _FEWER * deviations[varies].min():
        return []
    return [
        "some columns hold numbers so far from 0 that float32 loses the differences between them; "
        "subtract a constant from them before training"
    ]


def add_arrays(graph: Graph, adapter: ArrayAdapter) -> Feed:
    """Add the input and all that the array adapter does with it."""
    sizes = adapter.shape().sizes
    given = graph.input("arrays", np.float32, ("items", *sizes))
    values = Value(graph, given, np.dtype(np.float32))
    about = (
        f"arrays (items, channels, rows, columns), float32: (items, {', '.join(map(str, sizes))})"
    )
    if adapter.scaling == "none":
        notes: list[str] = []
    else:
        assert adapter.low is not None
        assert adapter.high is not None
        middle = np.array([[[adapter.high / 2 + adapter.low / 2]]])
        half = np.array([[[adapter.high / 2 - adapter.low / 2 or 1.0]]])
        values = _shift_and_divide(values, middle, half)
        notes = _notes(middle, half)
    if adapter.limit is not None:
        values = values.clip(-adapter.limit, adapter.limit)
    return Feed(values.name, about, "arrays", notes=notes)
