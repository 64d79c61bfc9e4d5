"""The worked example of "How do convolutional neural networks work?" by Brandon Rohrer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.engines.base import ENGINES
from gridcnn.pipeline import Pipeline

DIAGONAL = [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
CROSSING = [[1, -1, 1], [-1, 1, -1], [1, -1, 1]]
ANTIDIAGONAL = [[-1, -1, 1], [-1, 1, -1], [1, -1, -1]]

# Worked out by hand, in ninths: 9 less two for every cell of the patch that differs.
DIAGONAL_NINTHS = [
    [7, -1, 1, 3, 5, -1, 3],
    [-1, 9, -1, 3, -1, 1, -1],
    [1, -1, 9, -3, 1, -1, 5],
    [3, 3, -3, 5, -3, 3, 3],
    [5, -1, 1, -3, 9, -1, 1],
    [-1, 1, -1, 3, -1, 9, -1],
    [3, -1, 5, 3, 1, -1, 7],
]
CROSSING_NINTHS = [
    [3, -5, 1, -1, 1, -5, 3],
    [-5, 5, -5, 3, -5, 5, -5],
    [1, -5, 5, -7, 5, -5, 1],
    [-1, 3, -7, 9, -7, 3, -1],
    [1, -5, 5, -7, 5, -5, 1],
    [-5, 5, -5, 3, -5, 5, -5],
    [3, -5, 1, -1, 1, -5, 3],
]
# The X is its own mirror image, and the third feature is the first one's.
ANTIDIAGONAL_NINTHS = [row[::-1] for row in DIAGONAL_NINTHS]
DIAGONAL_POOLED_NINTHS = [[9, 3, 5, 3], [3, 9, 3, 5], [5, 3, 9, 1], [3, 5, 1, 7]]
CROSSING_POOLED_NINTHS = [[5, 3, 5, 3], [3, 9, 5, 1], [5, 5, 5, 1], [3, 1, 1, 3]]


@pytest.fixture
def x() -> NDArray[np.float32]:
    """Return the X: 9 x 9 cells, a border of -1, and two diagonals of 1."""
    picture = np.full((9, 9), -1, np.float32)
    for place in range(1, 8):
        picture[place, place] = picture[place, 8 - place] = 1
    return picture


@pytest.fixture
def pipeline() -> Pipeline:
    features = [DIAGONAL, CROSSING, ANTIDIAGONAL]
    written = {"features": features, "scale": "match", "padding": "valid", "trainable": False}
    return Pipeline(
        {
            "stages": [
                {"convolution": written},
                "rectification",
                {"pooling": {"window": 2, "stride": 2}},
            ]
        }
    )


def ninths(*maps: list[list[int]]) -> NDArray[np.float32]:
    return np.array(maps, np.float32) / np.float32(9)


def test_matches_are_those_of_the_article(x: NDArray[np.float32], pipeline: Pipeline) -> None:
    """Every feature matches every patch as the article says, exactly."""
    maps = pipeline.transform([x], after=1)

    expected = ninths(DIAGONAL_NINTHS, CROSSING_NINTHS, ANTIDIAGONAL_NINTHS)
    assert maps.shape == (1, 3, 7, 7)
    np.testing.assert_array_equal(maps[0], expected)


def test_perfect_matches_are_where_the_features_are(
    x: NDArray[np.float32], pipeline: Pipeline
) -> None:
    """The diagonals match on the X's strokes, the crossing in its middle, and nowhere else."""
    maps = pipeline.transform([x], after=1)

    assert np.argwhere(maps[0] == 1).tolist() == [
        *([0, place, place] for place in (1, 2, 4, 5)),
        [1, 3, 3],
        *([2, place, 6 - place] for place in (1, 2, 4, 5)),
    ]


def test_rectified_maps_have_no_negatives(x: NDArray[np.float32], pipeline: Pipeline) -> None:
    """Rectification swaps every negative for 0 and leaves the rest."""
    maps = pipeline.transform([x], after=2)

    expected = ninths(DIAGONAL_NINTHS, CROSSING_NINTHS, ANTIDIAGONAL_NINTHS).clip(min=0)
    np.testing.assert_array_equal(maps[0], expected)


def test_pooled_maps_keep_the_best_matches(x: NDArray[np.float32], pipeline: Pipeline) -> None:
    """Windows of 2 x 2 make 4 x 4 of 7 x 7: those that the edge cuts are kept."""
    maps = pipeline.transform([x])

    assert maps.shape == (1, 3, 4, 4)
    pooled = ninths(DIAGONAL_POOLED_NINTHS, CROSSING_POOLED_NINTHS)
    np.testing.assert_array_equal(maps[0, :2], pooled)


def test_the_pipeline_is_the_same_written_as_yaml(
    x: NDArray[np.float32], pipeline: Pipeline, tmp_path: Path
) -> None:
    """Features that are written out in a file are those that are given from Python."""
    text = """
stages:
  - convolution:
      features:
        - [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
        - [[1, -1, 1], [-1, 1, -1], [1, -1, 1]]
        - [[-1, -1, 1], [-1, 1, -1], [1, -1, -1]]
      scale: match
      padding: valid
      trainable: false
  - rectification
  - pooling: {window: 2, stride: 2}
"""
    path = tmp_path / "article.yaml"
    path.write_text(text)

    np.testing.assert_array_equal(Pipeline(path).transform([x]), pipeline.transform([x]))


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("channels", "size"),
    [(1, (1, 3)), (1, (5, 5)), (3, (7, 7)), (2, (6, 7)), (5, (4, 5)), (16, (3, 3)), (19, (3, 3))],
)
def test_a_perfect_match_is_exactly_1(
    channels: int, size: tuple[int, int], bias: bool, engine: str
) -> None:
    """Of any size and any number of channels, wherever it stands, with every engine."""
    features = np.where(np.random.default_rng(0).random((20, channels, *size)) < 0.5, -1.0, 1.0)
    settings = {"features": features.tolist(), "scale": "match", "padding": "same", "bias": bias}
    pipeline = Pipeline({"stages": [{"convolution": settings}]}, engine=engine)
    rows, columns = (length + 3 + (length + 1) % 2 for length in size)  # even numbers
    grids = np.zeros((20, channels, rows, columns), np.float32)
    grids[:, :, 1 : 1 + size[0], 2 : 2 + size[1]] = features

    maps = pipeline.transform(grids)

    middle = maps[:, :, 1 + (size[0] - 1) // 2, 2 + (size[1] - 1) // 2]
    assert (middle.diagonal() == 1).all()
    assert (middle <= 1).all()
