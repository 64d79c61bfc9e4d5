"""Starter specs for rows of readings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridcnn.adapters.table import TableAdapter
from gridcnn.datasets.makers.charts import Charts
from gridcnn.datasets.makers.made import write_table
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.order.layouts import Layout
from gridcnn.runs.run import run
from gridcnn.runs.series import batch_for, epochs_for, is_for_validation, stages_of_rows
from gridcnn.runs.starter import starter_for
from gridcnn.settings.document import parse
from gridcnn.spec.load import validate
from gridcnn.spec.models import Spec
from gridcnn.stages.convolution import Convolution


def spec_of(file: Path, layout: Layout | None = None, **options: Any) -> Spec:
    """Return the starter spec of a table, whose layout is known."""
    made = starter_for("mine", "mine.yaml", str(file), judge=lambda *_: layout, **options)
    return validate(parse(made.text, "mine.yaml"))


def scaling_of(spec: Spec) -> str:
    assert isinstance(spec.adapter, TableAdapter)
    return spec.adapter.scaling


@pytest.mark.parametrize(("level", "scaling"), [(1, "row"), (0, "overall")])
def test_rows_get_a_network_with_normalization(tmp_path: Path, level: int, scaling: str) -> None:
    """Three residual blocks, and the mean of each map over all positions.

    If all charts have one level, how far they go tells their class as well.
    """
    write_table(Charts(count=600, level=level), tmp_path / "charts.csv")

    spec = spec_of(tmp_path / "charts.csv")

    titles = [type(stage).title for stage in spec.stages]
    assert titles.count("skip") == 3
    assert titles[-1] == "pooling"
    assert scaling_of(spec) == scaling
    assert spec.data is not None
    assert spec.data.validation == 0
    assert 14 <= spec.training.batch_size <= 16


def test_levels_that_tell_the_class_are_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(80, 20)) + 3.0 * (np.arange(80) % 2)[:, None]
    labels = ["low", "high"] * 40
    pd.DataFrame(rows).assign(label=labels).to_csv(tmp_path / "t.csv", index=False)

    assert scaling_of(spec_of(tmp_path / "t.csv")) == "overall"


def test_the_test_rows_choose_nothing(tmp_path: Path) -> None:
    """Rows whose levels tell the class in the test part alone are scaled by row."""
    random = np.random.default_rng(0)
    targets = np.arange(200) % 2
    rows = np.linspace(-1, 1, 20) * np.where(targets, 1, -1)[:, None]
    rows = rows + random.normal(0, 0.1, rows.shape) + random.normal(0, 20, (200, 1))
    rows[100:] = random.normal(size=(100, 20)) + 50.0 * targets[100:, None]
    parts = ["train"] * 100 + ["test"] * 100
    frame = pd.DataFrame(rows).assign(split=parts, label=targets)
    frame.to_csv(tmp_path / "t.csv", index=False)

    assert scaling_of(spec_of(tmp_path / "t.csv", labels=["label"])) == "row"


def test_channels_keep_their_columns(tmp_path: Path) -> None:
    """Channels may have units of their own; the layout is that of the checker."""
    random = np.random.default_rng(0)
    first = random.normal(0, 1000, (60, 20)) + random.normal(0, 9000, (60, 1))
    second = random.normal(size=(60, 20)) + (np.arange(60) % 2)[:, None]
    frame = pd.DataFrame(np.hstack([first, second])).assign(label=["a", "b"] * 30)
    frame.to_csv(tmp_path / "t.csv", index=False)

    spec = spec_of(tmp_path / "t.csv", Layout(1, 20, 2, interleaved=False))

    assert isinstance(spec.adapter, TableAdapter)
    assert (spec.adapter.scaling, spec.adapter.channels, spec.adapter.size) == (
        "column",
        2,
        (1, 20),
    )


@pytest.mark.parametrize("columns", [16, 17, 40, 150, 637, 1000, 1001, 5000])
def test_two_poolings_leave_at_most_forty_positions(columns: int) -> None:
    """And at least as many as the last window needs, of which the mean is taken."""
    shape = GridShape(1, 1, columns)

    network = Network(validate(parse(stages_of_rows(shape), "x.yaml")), shape)

    assert min(20, columns // 4) <= network.values[-2].columns <= 40
    assert network.values[-1].sizes == (128, 1, 1)


def test_long_rows_take_hardly_more_time() -> None:
    """They are pooled first, so that the convolutions see at most 1,000 positions."""
    costs = []
    for columns in (1000, 100_000):
        shape = GridShape(1, 1, columns)
        network = Network(validate(parse(stages_of_rows(shape), "x.yaml")), shape)
        costs.append(network.multiply_adds)

    assert costs[1] < 1.1 * costs[0]


def test_grids_and_short_rows_keep_their_stages(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 64))
    for columns in (64, 12):
        frame = pd.DataFrame(rows[:, :columns]).assign(label=["a", "b"] * 20)
        frame.to_csv(tmp_path / f"{columns}.csv", index=False)

    square = spec_of(tmp_path / "64.csv", Layout(8, 8))
    short = spec_of(tmp_path / "12.csv", Layout(1, 12))

    for spec in (square, short):
        first = spec.stages[0]
        assert isinstance(first, Convolution)  # and not the residual block of rows of readings
        assert scaling_of(spec) == "column"


def test_a_table_that_cannot_be_read_gets_a_spec_all_the_same(tmp_path: Path) -> None:
    """The run says what is wrong, with the line."""
    rows = np.random.default_rng(0).normal(size=(40, 20))
    rows[7, 3] = np.nan
    pd.DataFrame(rows).assign(label=["a", "b"] * 20).to_csv(tmp_path / "t.csv", index=False)

    assert scaling_of(spec_of(tmp_path / "t.csv")) == "overall"


@pytest.mark.parametrize(
    ("items", "epochs", "batch"),
    [(1, 300, 1), (12, 300, 12), (17, 300, 9), (67, 120, 14), (300, 32, 16), (12_800, 6, 16)],
)
def test_epochs_follow_the_number_of_rows(items: int, epochs: int, batch: int) -> None:
    """About 600 batches of 16 rows at most, none of them much smaller than the others."""
    assert (epochs_for(items), batch_for(items)) == (epochs, batch)


def test_few_rows_are_all_for_training() -> None:
    assert not is_for_validation(16)
    assert is_for_validation(16_000)


def test_sixteen_rows_end_well(tmp_path: Path) -> None:
    """Two classes that differ in shape; even a seventh of the epochs would do."""
    write_table(Charts(count=96), tmp_path / "all.csv")
    frame = pd.read_csv(tmp_path / "all.csv")
    two = frame[frame["label"].isin(["increasing", "cyclic"])]
    two.iloc[:16].to_csv(tmp_path / "few.csv", index=False)
    made = starter_for("few", "few.yaml", str(tmp_path / "few.csv"))
    (tmp_path / "few.yaml").write_text(made.text, encoding="utf-8")

    result = run(
        str(tmp_path / "few.yaml"),
        out=tmp_path / "run",
        changes={"check": "off", "training.epochs": 40},
    )

    answers = result.model.predict(two.iloc[16:, :-1].to_numpy())
    assert (answers == two["label"].iloc[16:].to_numpy()).mean() >= 0.9
