"""A verdict as a figure of Matplotlib."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure, SubFigure
from PIL import Image

import gridcnn
from gridcnn.errors import DataError
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import Verdict

USE = Usefulness(0.8, (0.5, 0.55, 0.6), 0.4, 0.002, 300, 3)
NEAR = Usefulness(0.51, (0.5, 0.55, 0.6), 0.5, 0.9, 300, 3)


@pytest.fixture(scope="module")
def series() -> Verdict:
    X = np.cumsum(np.random.default_rng(0).normal(size=(100, 12)), axis=1)
    return gridcnn.check(X)


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def drawn(figure: Figure) -> Image.Image:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=50)
    return Image.open(content)


def test_it_shows_distance_matrices_and_accuracies(series: Verdict) -> None:
    figure = replace(series, usefulness=USE).plot()

    assert titles(figure) == [
        "Association of columns against their distance",
        "Every two columns, as given",
        "Every two columns, in a random order",
        "Accuracy of a small network, with the columns as given and shuffled",
    ]
    title = figure.get_suptitle()
    assert title == ("grid: the order carries information\n100 rows x 12 columns, as 12 in a row")
    assert all(isinstance(part, SubFigure) for part in figure.subfigs)
    assert drawn(figure).size == (400, 445)


def test_what_is_drawn_is_what_was_found(series: Verdict) -> None:
    """Each number stands where the verdict has it."""
    assert series.lags is not None
    lags, first, second, bar = series.plot().axes

    (line,) = lags.lines
    np.testing.assert_array_equal(line.get_xdata(), series.lags.lags)
    np.testing.assert_array_equal(line.get_ydata(), series.lags.given)
    for axes, matrix in ((first, series.lags.matrix), (second, series.lags.shuffled)):
        np.testing.assert_array_equal(
            np.ma.filled(np.ma.asarray(axes.images[0].get_array()), np.nan), matrix
        )
        assert axes.images[0].get_clim() == (0, 1)
    assert (lags.get_xlabel(), lags.get_ylabel()) == (
        "distance, in columns",
        "mean association (0 to 1)",
    )
    assert bar.get_ylabel() == "association (0 to 1)"


@pytest.mark.parametrize(("use", "lines"), [(replace(USE, majority=0.1), 0), (NEAR, 1)])
def test_the_most_frequent_class_has_a_line_if_it_is_near(
    series: Verdict, use: Usefulness, lines: int
) -> None:
    """Far off it would press all else together; its figure is below in any case."""
    axes = replace(series, lags=None, usefulness=use).plot().axes[0]

    assert len(axes.lines) == lines
    assert f"{use.majority:.1%}" in axes.get_xlabel()
    shuffles, given = axes.collections
    assert [float(place[0]) for place in np.asarray(shuffles.get_offsets())] == list(use.shuffled)
    assert float(np.asarray(given.get_offsets())[0, 0]) == use.given


def test_of_many_columns_some_are_shown_and_this_is_told() -> None:
    X = np.cumsum(np.random.default_rng(0).normal(size=(60, 130)), axis=1)

    figure = gridcnn.check(X).plot()

    assert figure.axes[1].get_xlabel() == "96 of 130 columns"
    assert not len(figure.axes[1].get_xticks())


def test_columns_of_different_kinds_are_counted() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, 200),
            "town": random.choice(["York", "Bath", "Hull"], 200),
            "sex": random.choice(["f", "m"], 200),
        }
    )

    (axes,) = gridcnn.check(frame).plot().axes

    assert axes.get_title() == "Kinds of columns, which have no common order"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["numbers", "categories"]
    assert [text.get_text() for text in axes.texts] == ["1", "2"]


def test_sentences_alone_cannot_be_drawn() -> None:
    with pytest.raises(DataError, match="this verdict has sentences only"):
        Verdict("undecided", ("too few rows",)).plot()


def test_neither_a_display_nor_pyplot_is_touched() -> None:
    """Nor is Matplotlib imported before a figure is asked for."""
    program = (
        "import sys, numpy, gridcnn\n"
        "found = gridcnn.check(numpy.random.default_rng(0).normal(size=(60, 9)).cumsum(axis=1))\n"
        "found._repr_html_()\n"
        "assert 'matplotlib' not in sys.modules\n"
        "found.plot().savefig(sys.stdout.buffer, format='svg')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    assert b"</svg>" in done.stdout
