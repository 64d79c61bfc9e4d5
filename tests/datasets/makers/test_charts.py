"""The made control charts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.charts import CLASSES, Charts
from gridcnn.datasets.makers.made import MAKERS, write_table
from gridcnn.errors import RunFolderError, SpecError


def test_each_class_does_what_its_name_says() -> None:
    """Without noise, from the beginning to the end and from reading to reading."""
    data = Charts(count=60, noise=0.0).open(Request(seed=1))
    rows, labels = np.asarray(data.things), np.array(data.labels)
    change = rows[:, -1] - rows[:, 0]
    steps = np.diff(rows, axis=1)

    assert data.classes == CLASSES == tuple(sorted(CLASSES))
    assert rows.shape == (60, 60)
    assert (rows[labels == "normal"] == 30).all()
    assert (change[labels == "increasing"] >= 59 * 0.2 - 1e-3).all()
    assert (change[labels == "decreasing"] <= -59 * 0.2 + 1e-3).all()
    assert ((steps != 0).sum(axis=1)[np.isin(labels, ["up", "down"])] == 1).all()
    assert (change[labels == "up"] >= 7.5).all()
    assert (change[labels == "down"] <= -7.5).all()
    swing = np.ptp(rows[labels == "cyclic"], axis=1)
    assert ((swing > 19) & (swing <= 30)).all()


def test_a_smaller_set_begins_a_larger_one() -> None:
    """Also beyond the rows that are drawn together; another seed gives others."""
    rows = Charts(count=1201).rows(4)

    assert (Charts(count=700).rows(4) == rows[:700]).all()
    assert (Charts(count=700).rows(5) != rows[:700]).any()
    assert len(rows) == 1201


def test_levels_may_differ() -> None:
    assert np.std(Charts(count=600, level=1.0).rows(0).mean(axis=1)) > 20


def test_rows_that_do_not_fit_into_memory_are_refused() -> None:
    with pytest.raises(SpecError, match="lower 'count' or 'length'"):
        Charts(count=1_000_000, length=10_000)


def test_charts_are_written_as_a_table(tmp_path: Path) -> None:
    assert MAKERS["charts"] is Charts

    written = write_table(Charts(count=8, length=30), tmp_path / "charts.csv", seed=2)

    table = pd.read_csv(tmp_path / "charts.csv")
    assert written == len(table) == 8
    assert list(table.columns) == [*map(str, range(1, 31)), "label"]
    made = Charts(count=8, length=30).open(Request(seed=2))
    np.testing.assert_allclose(table.iloc[:, :-1].to_numpy(), made.things, atol=1e-4)
    assert list(table["label"]) == list(made.labels)
    with pytest.raises(RunFolderError, match="rows are written to a table"):
        write_table(Charts(count=8), tmp_path / "charts")
