"""Winograd convolution: a transform, products and the inverse transform give sums over taps."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from gridcnn.engines.native.compiler import Compiled, translate
from gridcnn.engines.native.emitter import PTR, Code, Module, Value
from gridcnn.engines.native.kernels.winograd_transform import Transform, combine
from gridcnn.engines.native.processor import processor
from gridcnn.grid import Array

TRANSFORMS = [(2, 3), (4, 3), (2, 5), (4, 5), (2, 7)]


def ran(emit: Any, *inputs: Array, results: int) -> Array:
    """Return the numbers that code makes of single numbers."""
    module = Module(processor())
    with module.function("enter", *[PTR] * 3, internal=False) as (code, (first, second, target)):
        given = [
            [code.load(base, place) for place in range(len(values))]
            for base, values in zip((first, second), (*inputs, inputs[0]), strict=False)
        ]
        for place, value in enumerate(emit(code, *given[: len(inputs)])):
            code.store(value, target, place)
    code_of = Compiled(translate(str(module), processor()), "enter", processor(), 3)
    arrays = [np.ascontiguousarray(values, np.float32) for values in (*inputs, inputs[0])][:2]
    found = np.zeros(results, np.float32)
    code_of.call(*(each.ctypes.data for each in (*arrays, found)))
    return found


@pytest.mark.parametrize(("positions", "taps"), TRANSFORMS)
def test_products_at_points_become_positions_again(positions: int, taps: int) -> None:
    """Each position is the sum of the cells under the feature, each times its tap."""
    transform = Transform(positions, taps)
    random = np.random.default_rng(positions + taps)

    def emit(code: Code, cells: list[Value], feature: list[Value]) -> list[Value]:
        pairs = zip(
            transform.cells_to_points(code, cells),
            transform.taps_to_points(code, feature),
            strict=True,
        )
        return transform.points_to_positions(
            code, [code.arithmetic("fmul", *pair) for pair in pairs]
        )

    for _ in range(3):
        cells, feature = random.uniform(-1, 1, transform.points), random.uniform(-1, 1, taps)
        found = ran(emit, cells, feature, results=positions)
        expected = np.correlate(cells, feature, "valid")
        np.testing.assert_allclose(found, expected, atol=3e-6)


def test_whole_numbers_stay_whole_with_the_smallest_tile() -> None:
    """Its points are 0, 1 and -1, so that nothing is rounded."""
    transform = Transform(2, 3)

    def emit(code: Code, cells: list[Value], feature: list[Value]) -> list[Value]:
        pairs = zip(
            transform.cells_to_points(code, cells),
            transform.taps_to_points(code, feature),
            strict=True,
        )
        return transform.points_to_positions(
            code, [code.arithmetic("fmul", *pair) for pair in pairs]
        )

    random = np.random.default_rng(0)
    for _ in range(5):
        cells, feature = random.integers(-99, 99, 4), random.integers(-99, 99, 3)
        found = ran(emit, cells, feature, results=2)
        np.testing.assert_array_equal(found, np.correlate(cells, feature, "valid"))


def test_an_axis_of_one_tap_is_left_alone() -> None:
    transform = Transform(1, 1)
    assert transform.points == 1
    value: Any = object()
    for each in (
        transform.cells_to_points,
        transform.taps_to_points,
        transform.points_to_positions,
    ):
        assert each(Code(Module(processor())), [value]) == [value]


def test_values_are_combined_with_their_factors() -> None:
    factors = [Fraction(-1), Fraction(1, 4), Fraction(1), Fraction(-3)]
    found = ran(
        lambda code, values: [
            combine(code, factors, values),
            combine(code, factors[1:2], values[:1]),
        ],
        np.array([1.0, 8.0, 5.0, 2.0]),
        results=2,
    )
    assert found.tolist() == [0.0, 0.25]
