"""Wrong input from Python is answered in one line that says what to give instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gridcnn
from gridcnn.errors import UserError

STAGES = [{"convolution": {"filters": 2}}]
ARRAYS = {"adapter": "array", "stages": STAGES}
RANDOM = np.random.default_rng(0)
GRIDS = RANDOM.normal(size=(20, 6, 5))
ROWS = pd.DataFrame(RANDOM.normal(size=(9, 4)), columns=list("abcd"))


def given(call: Callable[..., Any], **values: Any) -> Callable[[], Any]:
    return lambda: call(**values)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (given(gridcnn.load, path=3), "a model is given as its path; got 3"),
        (given(gridcnn.load, path=None), "a model is given as its path; got None"),
        (given(gridcnn.evaluate, model=None, data=None), "a model is given as its path; got None"),
        (given(gridcnn.import_onnx, path=b"a.onnx"), "an ONNX file is given as its path; got b'a"),
        (given(gridcnn.run, spec="xo", out=3), "a run folder is given as its path; got 3"),
        (given(gridcnn.run, resume=3), "a run folder is given as its path; got 3"),
        (given(gridcnn.run, spec="xo", changes=5), "changes are a mapping, such as"),
        (given(gridcnn.run, spec="xo", engine=3), "an engine is given by its name; got 3"),
        (given(gridcnn.run, spec="xo", watcher=print), "a watcher is an object of gridcnn.Run"),
        (given(gridcnn.run, spec="xo", watcher=gridcnn.RunWatcher), "a watcher is an object of"),
        (given(gridcnn.repeat, spec="xo", watcher=print), "a watcher is an object of gridcnn.Run"),
        (
            given(gridcnn.check, X=ROWS, shape=12),
            "shape is two whole numbers, (rows, columns); got",
        ),
        (given(gridcnn.check, X=ROWS, shape=(4, 0)), "shape is two whole numbers, (rows, columns)"),
        (given(gridcnn.check, X=ROWS, shape=(1, 2, 2)), "shape is two whole numbers"),
        (given(gridcnn.check, X=ROWS, seed="x"), "seed must be a whole number of 0 or more; got"),
        (given(gridcnn.check, X=ROWS, seed=-1), "seed must be a whole number of 0 or more; got -1"),
        (
            given(gridcnn.Pipeline(ARRAYS).transform, things=None),
            "no things to transform; got None",
        ),
        (given(gridcnn.Pipeline(ARRAYS).fit, things=[]), "there is no usable item to learn"),
    ],
)
def test_it_is_one_line_of_ours(
    call: Callable[[], Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is written before it."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UserError) as caught:
        call()

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(20, 6, 5), (20, 1, 6, 5)])
def test_a_single_grid_for_a_classifier_is_told_from_a_stack(shape: tuple[int, ...]) -> None:
    """Of stacks with channels, scikit-learn would compare its columns with the channels."""
    spec = {**ARRAYS, "head": "voting", "check": "off", "training": {"epochs": 1}}
    classifier = gridcnn.GridClassifier(spec).fit(GRIDS.reshape(shape), [0, 1] * 10)

    with pytest.raises(UserError, match=r"a single item, an array of shape \(6, 5\); for one item"):
        classifier.predict(GRIDS[0])
    assert len(classifier.predict(GRIDS[:1].reshape(1, *shape[1:]))) == 1


def test_a_pipeline_takes_the_columns_that_it_was_fitted_on() -> None:
    """By name and in any order, as a model does; it forgets them in another fit."""
    pipeline = gridcnn.Pipeline({"adapter": "table", "stages": STAGES}).fit(ROWS)
    maps = pipeline.transform(ROWS)

    np.testing.assert_array_equal(pipeline.transform(ROWS[["d", "b", "a", "c"]]), maps)
    with pytest.raises(UserError, match="has no column 'd'"):
        pipeline.transform(ROWS.rename(columns={"d": "e"}))
    pipeline.fit(ROWS.rename(columns={"d": "e"}).to_numpy())
    np.testing.assert_array_equal(pipeline.transform(ROWS.rename(columns={"d": "e"})), maps)
