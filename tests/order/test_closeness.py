"""Which layouts have neighbours that are each column's closest columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.closeness import (
    Close,
    across_borders,
    closeness,
    closest_layouts,
    rank_associations,
)
from gridcnn.order.columns import column_of, comparable
from gridcnn.order.lags import association
from gridcnn.order.layouts import Layout, layouts
from tests.order.made import Table, groups, series, spots

Associations = tuple[NDArray[np.float32], NDArray[np.bool_]]


def associated(table: Table) -> Associations:
    values, usable = comparable([column_of("", column) for column in table.T])
    return association(values, usable), usable


def best(table: Table) -> Layout:
    associations, usable = associated(table)
    return closest_layouts(associations, usable, list(layouts(table.shape[1])))[0].layout


def swings(rows: int, channels: int, moments: int, *, interleaved: bool) -> Table:
    """Return independent sensors, of which each swings at a rate of its own."""
    random = np.random.default_rng(1)
    stack = np.stack(
        [series(rows, moments, 0.9, seed=channel) for channel in range(channels)], axis=2
    )
    stack += 0.1 * random.normal(size=stack.shape)
    order = stack if interleaved else stack.transpose(0, 2, 1)
    return order.reshape(rows, -1)


def test_ranks_are_those_of_a_sort() -> None:
    associations, _ = associated(series(200, 12))
    ranks = rank_associations(associations)
    for row in range(12):
        values = {column: float(associations[row, column]) for column in range(12) if column != row}
        order = sorted(values, key=lambda column: -values[column])
        assert [ranks[row, column] for column in order] == list(range(11))
        assert ranks[row, row] == 11  # NaN comes last


def test_closeness_is_that_of_a_plain_count() -> None:
    """Counted column by column: how many neighbours are among the so many closest."""
    associations, usable = associated(swings(300, 2, 10, interleaved=True))
    layout = Layout(1, 10, 2)
    position, channel = layout.places()
    parts = []
    for column in range(20):
        others = [
            other for other in range(20) if other != column and position[other] != position[column]
        ]
        others.sort(key=lambda other: -associations[column, other])
        neighbours = {
            other
            for other in others
            if channel[other] == channel[column] and abs(position[other] - position[column]) == 1
        }
        parts.append(len(neighbours & set(others[: len(neighbours)])) / len(neighbours))

    measured = closeness(rank_associations(associations), usable, layout)

    assert measured == float(np.mean(parts))


def test_the_layout_of_made_data_is_the_closest() -> None:
    assert best(series(400, 24)) == Layout(1, 24)
    assert best(spots(500, 8).reshape(500, -1)) == Layout(8, 8)
    assert best(swings(400, 5, 12, interleaved=True)) == Layout(1, 12, 5)
    assert best(swings(400, 5, 12, interleaved=False)) == Layout(1, 12, 5, interleaved=False)


def test_channels_are_no_rows() -> None:
    """The grid of moments and sensors has neighbours that are other sensors."""
    associations, usable = associated(swings(400, 5, 12, interleaved=True))
    ranks = rank_associations(associations)
    assert closeness(ranks, usable, Layout(1, 12, 5)) > 0.9
    assert closeness(ranks, usable, Layout(12, 5)) < 0.6


def test_neighbours_of_groups_are_hardly_closer_than_others_of_their_group() -> None:
    associations, usable = associated(groups(500, 8, 4))
    assert closeness(rank_associations(associations), usable, Layout(1, 32)) < 0.45


def test_the_simplest_of_two_layouts_wins() -> None:
    assert Close(Layout(1, 24), 0.7).merit > Close(Layout(4, 6), 0.7).merit
    assert Close(Layout(8, 8), 0.7).merit > Close(Layout(1, 8, 8), 0.7).merit
    blocks = Layout(1, 12, 2, interleaved=False)
    assert Close(Layout(1, 24), 0.7).merit > Close(blocks, 0.7).merit
    assert Close(Layout(1, 24), 0.7).merit < Close(blocks, 0.7, breaks=True).merit


def test_borders_are_means_of_four_associations() -> None:
    associations, _ = associated(series(200, 8))
    across = across_borders(associations)
    assert len(across) == 7
    pairs = [associations[2, 4], associations[2, 5], associations[3, 4], associations[3, 5]]
    np.testing.assert_allclose(across[3], np.mean(pairs), rtol=1e-5)
    np.testing.assert_allclose(across[0], np.mean([associations[0, 1], associations[0, 2]]), 1e-5)


def test_the_ends_of_the_rows_of_a_picture_are_no_breaks_between_channels() -> None:
    """Not even if a channel consists of several rows, which are close to each other."""
    flat = spots(600, 9).reshape(600, -1)
    associations, usable = associated(flat)
    (three_rows,) = closest_layouts(associations, usable, [Layout(1, 27, 3, interleaved=False)])
    assert not three_rows.breaks

    apart = np.concatenate([series(600, 27, 0.9, seed=seed) for seed in range(3)], axis=1)
    associations, usable = associated(apart)
    (channels,) = closest_layouts(associations, usable, [Layout(1, 27, 3, interleaved=False)])
    assert channels.breaks


def test_weak_places_everywhere_are_no_breaks() -> None:
    """Between narrow peaks nothing is close, wherever the border of channels would be."""
    random = np.random.default_rng(0)
    away = np.arange(60) - np.arange(4, 60, 8)[:, None]
    heights = random.normal(size=(500, 7))
    peaks = heights @ np.exp(-np.square(away / 1.2) / 2) + 0.05 * random.normal(size=(500, 60))
    associations, usable = associated(peaks)

    (two,) = closest_layouts(associations, usable, [Layout(1, 30, 2, interleaved=False)])
    assert not two.breaks
