"""One-hot grids: positions of text matter, the alphabet does not."""

from __future__ import annotations

import numpy as np
import pytest

from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.source import Request
from gridcnn.contracts.targets import most
from gridcnn.datasets.makers.phrases import Phrases
from gridcnn.errors import DataError
from gridcnn.order.judging import Judging
from gridcnn.order.sequences import judge_one_hot
from gridcnn.order.verdict import Verdict

SENTENCE = (
    "the quick brown fox jumps over the lazy dog while all the other animals of the wood look on "
    "and wonder what is so remarkable about a fox that can jump and a dog that will not get up"
)


def texts(count: int = 400) -> list[str]:
    """Return parts of a text, each from another place."""
    random = np.random.default_rng(0)
    words = SENTENCE.split()
    return [" ".join(random.choice(words, 12)) for _ in range(count)]


def judged(items: list[str], *, shuffle: bool = False) -> Verdict:
    grids = TextAdapter().fitted(items).grids(items)
    values = grids.values
    indices = values.indices  # type: ignore[union-attr]
    if shuffle:
        indices = indices[:, np.random.default_rng(1).permutation(indices.shape[1])]
    return judge_one_hot(indices, grids.shape.rows, None, rows=len(items), judging=Judging())


def test_positions_of_text_matter_and_the_alphabet_does_not() -> None:
    """Characters, in the order of a learned alphabet."""
    found = judged(texts())

    assert found.decision == "grid"
    assert [axis.decision for axis in found.axes] == ["permutable", "grid"]
    assert any("kernel_size: [all, 3]" in sentence for sentence in found.advice)
    assert found.lags is not None
    assert found.lags.given[0] > found.lags.high[0]


def test_shuffled_positions_do_not_matter() -> None:
    """The same texts, with one shuffle of the positions for all."""
    found = judged(texts(), shuffle=True)

    assert found.decision == "permutable"
    assert found.axes[1].decision == "permutable"
    assert "CountVectorizer" in found.advice[0]


def test_random_symbols_are_undecided() -> None:
    """Nothing follows from anything, in any order."""
    drawn = np.random.default_rng(0).integers(0, 12, (300, 30)).astype(np.int32)

    found = judge_one_hot(drawn, 12, None, rows=300, judging=Judging())

    assert found.decision == "undecided"
    assert found.advice


def test_labels_are_tried() -> None:
    """The network sees positions as a line; its accuracies are told."""
    data = Phrases(count=300).open(Request())
    grids = TextAdapter().fitted(data.things).grids(data.things)
    targets = most(data.targets(data.classes))

    found = judge_one_hot(
        grids.values.indices,  # type: ignore[union-attr]
        grids.shape.rows,
        targets,
        rows=len(data),
        judging=Judging(threads=1),
    )

    assert found.usefulness is not None
    assert found.usefulness.classes == len(data.classes)
    assert any(sentence.startswith("usefulness: ") for sentence in found.evidence)


def test_too_few_items_are_refused() -> None:
    """As for columns."""
    with pytest.raises(DataError, match="5 rows are too few"):
        judge_one_hot(np.zeros((5, 30), np.int32), 3, None, rows=5, judging=Judging())


def test_items_without_symbols_are_refused() -> None:
    """There is nothing to compare."""
    empty = np.full((50, 30), -1, np.int32)

    with pytest.raises(DataError, match="most items have fewer than 2 symbols"):
        judge_one_hot(empty, 3, None, rows=50, judging=Judging())


@pytest.mark.slow
def test_the_verdict_is_the_same_without_a_training() -> None:
    """If positions are in order, a quick judgement trains no network; else it does."""
    random = np.random.default_rng(0)
    indices = (random.integers(-2, 3, (200, 30)).cumsum(axis=1) % 12).astype(np.int32)
    mixed = random.permuted(indices, axis=1)
    targets = np.arange(200) % 2

    for values, ordered in ((indices, True), (mixed, False)):
        full, quick = (
            judge_one_hot(values, 12, targets, rows=200, judging=Judging(thorough=thorough))
            for thorough in (True, False)
        )
        assert (quick.decision, quick.axes) == (full.decision, full.axes)
        assert full.usefulness is not None
        assert (quick.usefulness is None) == ordered
