"""The measurement of rows of readings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import series
from gridcnn.datasets.makers.charts import Charts
from gridcnn.datasets.makers.made import write_table
from gridcnn.runs import series as starter

pytestmark = pytest.mark.slow

PUBLISHED = {"MLP": 0.1, "FCN": 0.2, "ResNet": 0.3, "1NN-DTW": 0.4}

ONE = series.Measured(
    train=20,
    test=1000,
    columns=16,
    classes=2,
    error=0.05,
    published=PUBLISHED,
    scaling="row",
    epochs=5,
    seconds=7.4,
    cpu=9.0,
    about={"processor": "some", "cores": "2 of 2 for this process", "load": "1.0"},
)


def write_set(folder: Path) -> None:
    """Write a set of charts, the first 120 of them for training."""
    write_table(Charts(count=150), folder / "ordered" / "made.csv")
    about = "error MLP 0.1, FCN 0.2, ResNet 0.3, 1NN-DTW 0.4"
    pd.DataFrame(
        {
            "name": ["made", "other"],
            "file": ["ordered/made.csv", "ordered/other.csv"],
            "official_train_rows": [120, None],
            "published_cnn_error": [about, None],
        }
    ).to_csv(folder / "META.csv", index=False)


def test_a_set_is_learned_from_its_training_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only sets with published errors are measured, each on its official division."""
    monkeypatch.setattr(starter, "_EPOCHS", (5, 5))
    write_set(tmp_path)
    (tmp_path / "work").mkdir()

    (given,) = series.sets(tmp_path)
    measured = series.measure(given, tmp_path / "work")

    assert (given.name, given.published) == ("made", PUBLISHED)
    assert (measured.train, measured.test, measured.columns, measured.classes) == (120, 30, 60, 6)
    assert measured.epochs == 5
    assert measured.error <= 0.5


def test_the_section_says_whether_the_goal_is_reached() -> None:
    other = dataclasses.replace(ONE, error=0.15)

    good, bad = series.section({"a": ONE}), series.section({"a": ONE, "b": other})

    assert "0.09, is reached: it is 0.050" in good
    assert "0.09, is **not** reached: it is 0.100" in bad
    assert "| mean |       |       |         |         |   0.100 |" in bad
    assert series.section({}) == ""


def test_the_section_says_how_far_chance_reaches() -> None:
    """The standard errors of independent sets are added as squares: 0.0069 and 0.0113 here."""
    other = dataclasses.replace(ONE, error=0.15)

    section = series.section({"a": ONE, "b": other})

    assert "a standard error of 0.007, from" in section
    assert "of a set is 0.007, 0.011, in the order" in " ".join(section.split())


def test_the_section_has_what_others_measured_later() -> None:
    """Of sets that have such errors alone, with the means over these."""
    measured = dataclasses.replace(ONE, error=0.2)

    section = series.section({"arrowhead": measured, "gunpoint": ONE, "a": measured})

    later = section[section.index("measured later") :]
    assert "| arrowhead |   0.200 |         0.157 |" in later
    assert "| mean      |   0.125 |         0.079 |            0.082 |         0.086 |" in later
    assert "| a " not in later
    assert "measured later" not in series.section({"a": measured})
