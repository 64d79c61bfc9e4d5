"""Columns by name: a model takes the columns that it was trained on, from files and from frames."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gridcnn

NAMES = ["a", "b", "c", "d", "e", "f"]
SPEC = {
    "adapter": "table",
    "check": "off",
    "stages": [{"convolution": {"filters": 4, "kernel_size": [1, 3]}}, "rectification"],
    "head": "voting",
    "training": {"epochs": 4, "batch_size": 8, "learning_rate": 0.03},
}


def labelled(count: int = 60) -> pd.DataFrame:
    """Return rows in which a step up or down among the first columns tells the class."""
    random = np.random.default_rng(0)
    kinds = np.arange(count) % 2
    rows = random.normal(size=(count, len(NAMES)))
    rows[:, 1] += 4 * kinds
    rows[:, 4] += 4 * (1 - kinds)
    frame = pd.DataFrame(rows, columns=NAMES)
    frame["kind"] = np.where(kinds == 1, "early", "late")
    return frame


@pytest.fixture(scope="module", params=["table", "memory"])
def trained(request: Any, tmp_path_factory: pytest.TempPathFactory) -> gridcnn.Model:
    """Return a model that was trained on a file, or on a frame."""
    frame = labelled()
    if request.param == "memory":
        return gridcnn.run(SPEC, data=(frame[NAMES], frame["kind"])).model
    file = tmp_path_factory.mktemp("table") / "rows.csv"
    frame.to_csv(file, index=False)
    data = {"source": {"table": {"path": str(file), "label": "kind"}}}
    return gridcnn.run({**SPEC, "data": data}).model


def test_columns_of_a_frame_may_come_in_any_order(trained: gridcnn.Model) -> None:
    frame = labelled(20)
    votes = trained.votes(frame[NAMES].to_numpy())

    np.testing.assert_array_equal(trained.votes(frame[NAMES]), votes)
    np.testing.assert_array_equal(trained.votes(frame[NAMES[::-1]]), votes)
    np.testing.assert_array_equal(trained.maps(frame[NAMES[::-1]]), trained.maps(frame[NAMES]))


def test_other_columns_are_ignored_with_a_warning(trained: gridcnn.Model) -> None:
    frame = labelled(20)[NAMES]
    more = frame.assign(day="Monday", z=9.0)[["z", *NAMES[::-1], "day"]]

    with pytest.warns(UserWarning, match="ignored: the columns 'z', 'day'"):
        votes = trained.votes(more)

    np.testing.assert_array_equal(votes, trained.votes(frame))


def test_a_missing_or_renamed_column_is_refused_with_the_list(trained: gridcnn.Model) -> None:
    frame = labelled(20)[NAMES].rename(columns={"c": "sea"})

    with pytest.raises(gridcnn.DataError) as caught:
        trained.predict(frame)

    (problem,) = caught.value.problems
    assert "has no column 'c'" in problem.message
    assert "It has: a, b, sea, d, e, f" in problem.message


def test_a_frame_that_is_evaluated_is_taken_by_name(trained: gridcnn.Model) -> None:
    frame = labelled(20)
    plain = gridcnn.evaluate(trained, (frame[NAMES].to_numpy(), frame["kind"]))
    turned = gridcnn.evaluate(trained, (frame[NAMES[::-1]], frame["kind"]))

    assert turned.accuracy == plain.accuracy > 0.9
    np.testing.assert_array_equal(turned.confusion, plain.confusion)


def test_the_labels_of_a_table_are_ignored_without_a_word(tmp_path: Path) -> None:
    """They are no columns of the input, but the training knew them."""
    frame = labelled()
    file = tmp_path / "rows.csv"
    frame.to_csv(file, index=False)
    data = {"source": {"table": {"path": str(file), "label": "kind"}}}
    model = gridcnn.run({**SPEC, "data": data}).model

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(model.predict(frame)) == len(frame)


def test_a_column_may_be_called_as_what_files_and_pictures_have(trained: gridcnn.Model) -> None:
    """A frame with a column `read` or `getpixel` is no file and no picture."""
    frame = labelled(20)
    more = frame[NAMES].assign(read=0.0, getpixel=1.0)
    votes = trained.votes(frame[NAMES])

    with pytest.warns(UserWarning, match="'read', 'getpixel'"):
        np.testing.assert_array_equal(trained.votes(more), votes)
    pictures = pd.DataFrame({"path": ["a.png", "b.png"], "label": ["x", "y"], "read": [0, 1]})
    with pytest.raises(gridcnn.DataError, match=r"there is no file 'a\.png'"):
        gridcnn.run({**SPEC, "adapter": "image"}, data=pictures)
