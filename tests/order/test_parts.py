"""Stretches of columns that are in order among others that are not."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.charts import Charts
from gridcnn.order.columns import column_of
from gridcnn.order.judge import judge_columns
from gridcnn.order.judging import Judging
from gridcnn.order.parts import are_standard, same_units
from gridcnn.order.verdict import Verdict
from tests.order.made import Table, factors, groups, series


def judged(table: Table) -> Verdict:
    columns = [column_of(f"c{n}", column) for n, column in enumerate(table.T)]
    return judge_columns(columns, None, rows=len(table), judging=Judging())


@pytest.mark.parametrize("before", [0, 4, 10])
@pytest.mark.parametrize("hours", [24, 60])
def test_a_series_among_attributes_is_named(before: int, hours: int) -> None:
    attributes = factors(500, 10)
    table = np.concatenate(
        [attributes[:, :before], series(500, hours, 0.9), attributes[:, before:]], axis=1
    )

    verdict = judged(table)

    assert verdict.decision == "permutable"
    (part,) = verdict.parts
    assert abs(part.start - before) <= 1
    assert abs(part.stop - before - hours) <= 1
    assert (part.first, part.last) == (f"c{part.start}", f"c{part.stop - 1}")
    assert f"columns {part.start + 1} to {part.stop}" in verdict.summary[0]
    block = yaml.safe_load(verdict.advice[0].split("\n")[1])
    assert block == {"adapter": {"table": {"size": [1, part.columns]}}}


@pytest.mark.parametrize("before", [0, 6])
def test_a_spectrum_among_attributes_is_cut_out_exactly(before: int) -> None:
    """Between its peaks there is only noise, in which no column is close to the next."""
    random = np.random.default_rng(before)
    away = np.arange(60) - np.array([9, 24, 33, 52])[:, None]
    heights = np.exp(0.5 * random.normal(size=(300, 4)))
    spectrum = heights @ np.exp(-np.square(away / 4) / 2) + 0.05 * random.normal(size=(300, 60))
    attributes = (
        factors(300, 12) * 10 ** np.linspace(3, -1, 12)[[0, 6, 1, 8, 2, 9, 4, 11, 5, 10, 3, 7]]
    )
    table = np.concatenate([attributes[:, :before], spectrum, attributes[:, before:]], axis=1)

    verdict = judged(table)

    assert verdict.decision == "permutable"
    assert [(part.start, part.stop) for part in verdict.parts] == [(before, before + 60)]


def test_a_series_among_texts_is_named() -> None:
    random = np.random.default_rng(0)
    towns = [column_of(f"t{n}", random.choice(list("abcdef"), 400)) for n in range(10)]
    hours = [column_of(f"h{n}", column) for n, column in enumerate(series(400, 12, 0.9).T)]

    verdict = judge_columns([*towns[:6], *hours, *towns[6:]], None, rows=400, judging=Judging())

    assert verdict.decision == "permutable"
    (part,) = verdict.parts
    assert (part.start, part.stop, part.first, part.last) == (6, 18, "h0", "h11")


def test_a_whole_series_has_no_parts() -> None:
    for closeness in (0.7, 0.9):
        verdict = judged(series(400, 40, closeness))
        assert verdict.decision == "grid"
        assert verdict.parts == ()


def test_neither_groups_nor_attributes_have_parts() -> None:
    for table in (groups(500, 9, 4), factors(500, 30)):
        assert judged(table).parts == ()


def test_the_places_of_a_part_are_those_in_the_table() -> None:
    """Columns that are set aside, and one-hot blocks, stand before it and count."""
    random = np.random.default_rng(0)
    number = column_of("number", np.arange(400.0))
    one_hot = [np.eye(size)[random.integers(0, size, 400)].T for size in (3, 4, 3, 4)]
    blocks = [column_of(f"b{n}", column) for n, column in enumerate(np.concatenate(one_hot))]
    hours = [column_of(f"h{n}", column) for n, column in enumerate(series(400, 12, 0.9).T)]

    verdict = judge_columns([number, *blocks, *hours], None, rows=400, judging=Judging())

    (part,) = verdict.parts
    assert (part.start, part.stop, part.first, part.last) == (15, 27, "h0", "h11")
    assert "columns 16 to 27 ('h0' to 'h11')" in verdict.summary[0]


def test_texts_that_are_set_aside_before_a_part_count() -> None:
    random = np.random.default_rng(0)
    dates = [f"2024-01-{day % 28 + 1:02}" for day in range(400)]
    towns = [column_of(f"t{n}", random.choice(list("abcdef"), 400)) for n in range(10)]
    hours = [column_of(f"h{n}", column) for n, column in enumerate(series(400, 12, 0.9).T)]

    verdict = judge_columns(
        [column_of("day", dates), *towns, *hours], None, rows=400, judging=Judging()
    )

    (part,) = verdict.parts
    assert (part.start, part.stop, part.first, part.last) == (11, 23, "h0", "h11")


@pytest.mark.parametrize(("count", "seed"), [(300, 0), (1200, 1)])
def test_quiet_ends_in_the_same_units_belong_to_a_series(count: int, seed: int) -> None:
    """Control charts are only noise before anything happens, and they are a grid all the same."""
    charts = Charts(count=count).open(Request(seed=seed))
    table = np.stack([np.ravel(thing) for thing in charts.things])

    verdict = judged(table)
    assert verdict.decision == "grid"
    assert verdict.parts == ()


@pytest.mark.parametrize("before", [0, 4])
def test_hours_of_the_night_belong_to_the_hours_among_attributes(before: int) -> None:
    """Readings with one peak say nothing at night; attributes have units of their own."""
    random = np.random.default_rng(0)
    peak = random.normal(18, 3, (500, 1))
    hours = np.exp(-(((np.arange(24) - peak) / 4) ** 2) / 2) + 0.1 * random.normal(size=(500, 24))
    attributes = factors(500, 10) * 10.0 ** np.array([3, 2, -1, 3, 2, 3, -1, 2, 3, 2])
    table = np.hstack([attributes[:, :before], hours, attributes[:, before:]])

    verdict = judged(table)
    assert verdict.decision == "permutable"
    assert [(part.start, part.stop) for part in verdict.parts] == [(before, before + 24)]


def test_standardized_columns_say_nothing_about_units() -> None:
    scales = np.column_stack([np.zeros(6), np.full(6, 1.02)])

    assert are_standard(scales, np.ones(6, np.bool_))
    assert not are_standard(scales + np.array([3, 0]), np.ones(6, np.bool_))
    same = same_units(np.array([[0, 1], [0.5, 1.25], [0.5, 3], [4, 3], [np.nan, np.nan]]))
    assert same.tolist() == [True, False, False, False]
