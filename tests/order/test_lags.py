"""Association against distance, against SciPy and counting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gridcnn.order.columns import column_of, comparable
from gridcnn.order.lags import association, by_distance
from tests.order.made import factors, series


def test_association_is_the_correlation_of_normal_scores() -> None:
    table = factors(200, 6)
    values, usable = comparable([column_of("", column) for column in table.T])
    found = association(values, usable)
    for first in range(6):
        assert np.isnan(found[first, first])
        for second in range(first):
            scores = [stats.norm.ppf((stats.rankdata(c) - 0.5) / 200) for c in table.T]
            wanted = abs(stats.pearsonr(scores[first], scores[second]).statistic)
            assert found[first, second] == pytest.approx(wanted, abs=1e-5)


def test_means_are_taken_by_distance() -> None:
    values, usable = comparable([column_of("", column) for column in series(150, 12).T])
    close = association(values, usable)
    lags = by_distance(close, seed=0)
    assert lags is not None
    for lag, mean in zip(lags.lags.tolist(), lags.given, strict=True):
        wanted = np.mean([close[n, n + lag] for n in range(12 - lag)])
        assert mean == pytest.approx(wanted, abs=1e-6)


def test_a_series_leaves_the_band_near_by_and_stays_in_it_when_shuffled() -> None:
    table = series(400, 40)
    values, usable = comparable([column_of("", column) for column in table.T])
    lags = by_distance(association(values, usable), seed=0)
    assert lags is not None
    assert lags.given[0] > lags.high[0]
    mixed = np.random.default_rng(5).permutation(40)
    shuffled = by_distance(association(values[:, mixed], usable), seed=0)
    assert shuffled is not None
    outside = (shuffled.given > shuffled.high) | (shuffled.given < shuffled.low)
    assert outside.mean() < 0.3


def test_few_or_constant_columns_have_no_curve() -> None:
    values, usable = comparable([column_of("", column) for column in series(50, 2).T])
    assert by_distance(association(values, usable), seed=0) is None
    values, usable = comparable([column_of("", np.zeros(50)) for _ in range(5)])
    assert by_distance(association(values, usable), seed=0) is None


def test_of_many_columns_some_are_shown() -> None:
    values, usable = comparable([column_of("", column) for column in series(60, 300).T])
    lags = by_distance(association(values, usable), seed=0)
    assert lags is not None
    assert lags.matrix.shape == lags.shuffled.shape == (96, 96)
    assert len(lags.lags) == 120
