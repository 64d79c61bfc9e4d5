"""Layouts: which column is which cell, and which cells are neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcnn.order.layouts import FEWEST_POSITIONS, Layout, layouts

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.booleans())


@given(SIZES)
def test_every_column_has_one_cell(sizes: tuple[int, int, int, bool]) -> None:
    layout = Layout(*sizes)
    positions, channels = layout.places()
    assert len(set(zip(positions.tolist(), channels.tolist(), strict=True))) == len(positions)
    for column, (position, channel) in enumerate(zip(positions, channels, strict=True)):
        if layout.interleaved:
            assert column == position * layout.channels + channel
        else:
            assert column == channel * layout.positions + position


@given(SIZES, st.integers(1, 2))
def test_neighbours_are_one_step_away(sizes: tuple[int, int, int, bool], reach: int) -> None:
    layout = Layout(*sizes)
    found = layout.neighbours(reach)
    for position in range(layout.positions):
        row, column = divmod(position, layout.columns)
        wanted = set()
        for other in range(layout.positions):
            down, right = abs(other // layout.columns - row), abs(other % layout.columns - column)
            steps = down + right
            if 1 <= steps <= (reach if layout.is_line else 1):
                wanted.add(other)
        assert {other for other in found[position].tolist() if other >= 0} == wanted


@pytest.mark.parametrize("columns", [1, 4, 5, 12, 16, 36, 97, 784])
def test_layouts_take_all_columns_and_come_once(columns: int) -> None:
    every = list(layouts(columns))
    assert len(set(every)) == len(every)
    for layout in every:
        assert layout.positions * layout.channels == columns
        assert layout.positions >= FEWEST_POSITIONS
    if columns >= FEWEST_POSITIONS:
        assert every[0] == Layout(1, columns)


def test_known_layouts_are_among_them() -> None:
    assert Layout(28, 28) in layouts(784)
    assert Layout(3, 3, 4) in layouts(36)
    assert Layout(9, 4) in layouts(36)
    assert Layout(1, 8, 2) in layouts(16)
    assert Layout(32, 32, 3, interleaved=False) in layouts(3072)


def test_a_layout_says_what_it_is() -> None:
    assert str(Layout(28, 28)) == "28 x 28"
    assert str(Layout(1, 60)) == "60 in a row"
    assert str(Layout(3, 3, 4)) == "9 positions (3 x 3) x 4 channels, interleaved"
    assert "one after the other" in str(Layout(1, 50, 6, interleaved=False))


def test_neighbours_of_a_corner() -> None:
    assert set(Layout(2, 3).neighbours()[0].tolist()) == {-1, 1, 3}
    assert np.array_equal(Layout(1, 3).neighbours(), [[-1, 1], [0, 2], [1, -1]])


@given(SIZES, st.data())
def test_cells_and_places_are_each_other_turned_round(
    sizes: tuple[int, int, int, bool], data: st.DataObject
) -> None:
    """Of some columns in the middle of a layout, too."""
    layout = Layout(*sizes)
    every = layout.positions * layout.channels
    first = data.draw(st.integers(0, every - 1))
    size = data.draw(st.integers(1, every - first))

    column_at = layout.column_at(size, first)

    position, channel = layout.places()
    assert sorted(column_at[column_at >= 0].tolist()) == list(range(size))
    for column in range(size):
        assert column_at[position[first + column], channel[first + column]] == column
