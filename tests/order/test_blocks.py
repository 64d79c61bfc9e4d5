"""Blocks: attributes that were written as many columns of 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest

import gridcnn
from gridcnn.order.blocks import Block, find_blocks, merge_blocks
from gridcnn.order.columns import Column, column_of
from gridcnn.order.judge import judge_columns
from gridcnn.order.judging import Judging
from gridcnn.order.layouts import Layout
from gridcnn.order.verdict import Verdict
from tests.order.made import Table, series


def one_hot(*sizes: int, rows: int = 600, seed: int = 0, related: float = 0.6) -> Table:
    """Return categories with so many values each, one-hot, that share a hidden cause."""
    random = np.random.default_rng(seed)
    cause = random.integers(0, 3, rows)
    parts = []
    for size in sizes:
        own = random.integers(0, size, rows)
        codes = np.where(random.random(rows) < related, cause % size, own)
        parts.append(np.eye(size)[codes])
    return np.concatenate(parts, axis=1)


def columns_of(table: Table) -> list[Column]:
    return [column_of(f"c{n}", column) for n, column in enumerate(table.T)]


def judged(table: Table, seed: int = 0) -> Verdict:
    return judge_columns(columns_of(table), None, rows=len(table), judging=Judging(seed=seed))


def test_blocks_are_found() -> None:
    table = one_hot(4, 3, 2, 5)
    numbers = np.random.default_rng(0).normal(size=(600, 2))
    table = np.concatenate([numbers[:, :1], table, numbers[:, 1:]], axis=1)
    assert find_blocks(columns_of(table)) == [
        Block(1, 5),
        Block(5, 8),
        Block(8, 10),
        Block(10, 15),
    ]


def test_what_is_no_block_is_none() -> None:
    """Neither answers of yes and no that add up to anything, nor a value that is missing."""
    random = np.random.default_rng(0)
    answers = random.integers(0, 2, (300, 6)).astype(np.float64)
    assert find_blocks(columns_of(answers)) == []
    table = one_hot(4, 4)
    table[7, 2] = np.nan
    assert find_blocks(columns_of(table)) == [Block(4, 8)]
    assert find_blocks(columns_of(np.ones((100, 1)))) == []


def test_a_row_may_miss_a_category() -> None:
    table = one_hot(4, 4)
    table[7, :4] = np.nan
    assert find_blocks(columns_of(table)) == [Block(0, 4), Block(4, 8)]
    merged = merge_blocks(columns_of(table), [Block(0, 4), Block(4, 8)])
    assert np.isnan(merged[0].values[7])
    assert merged[0].missing == 1


def test_a_value_that_no_row_has_belongs_to_its_block() -> None:
    table = np.insert(one_hot(4, 3), 4, 0.0, axis=1)
    assert find_blocks(columns_of(table)) == [Block(0, 5), Block(5, 8)]


def test_merging_gives_the_categories_back() -> None:
    codes = np.random.default_rng(0).integers(0, 4, 200)
    merged = merge_blocks(columns_of(np.eye(4)[codes]), [Block(0, 4)])
    assert len(merged) == 1
    assert merged[0].kind == "category"
    symbols = [merged[0].symbols[int(value)] for value in merged[0].values]
    assert symbols == [str(code + 1) for code in codes]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("related", [0.0, 0.5, 0.9])
def test_one_hot_categories_are_permutable_whatever_their_association(
    seed: int, related: float
) -> None:
    for sizes in ((4, 3, 5, 6, 4, 3), (4,) * 10, (2,) * 12):
        verdict = judged(one_hot(*sizes, seed=seed, related=related), seed=seed)
        assert verdict.decision == "permutable", sizes
        assert any("one-hot encoded" in line for line in verdict.evidence)
        assert verdict.columns == sum(sizes)


def test_without_labels_the_reason_is_that_they_are_categories() -> None:
    """No network is trained then, and none may be named."""
    random = np.random.default_rng(3)
    table = np.zeros((300, 30))
    for block in range(6):
        table[np.arange(300), 5 * block + random.integers(0, 5, 300)] = 1

    verdict = gridcnn.check(table)

    assert verdict.decision == "permutable"
    assert verdict.usefulness is None
    assert verdict.summary[1] == (
        "The columns are categories, one-hot encoded, which have no common order."
    )


def test_a_series_of_levels_stays_a_grid() -> None:
    """Levels of a smooth signal, one-hot: the positions are in order, the levels are channels."""
    levels = np.digitize(series(800, 16, 0.95), (-0.7, 0, 0.7))
    verdict = judged(np.eye(4)[levels].reshape(800, -1))
    assert verdict.decision == "grid"
    assert verdict.layout == Layout(1, 16, 4)


def steps(*sizes: int, rows: int = 400, seed: int = 0) -> Table:
    """Return levels that share a cause, as "at least 1", "at least 2", and so on."""
    random = np.random.default_rng(seed)
    cause = random.normal(size=rows)
    parts = []
    for size in sizes:
        level = np.argsort(np.argsort(cause + random.normal(size=rows))) * (size + 1) // rows
        parts.append((level[:, None] > np.arange(size)) * 1.0)
    return np.concatenate(parts, axis=1)


def test_steps_of_levels_are_found_whether_ones_come_first_or_last() -> None:
    table = steps(4, 6, 3)
    wanted = [Block(0, 4, True), Block(4, 10, True), Block(10, 13, True)]

    assert find_blocks(columns_of(table)) == wanted
    assert find_blocks(columns_of(1 - table)) == wanted
    merged = merge_blocks(columns_of(table), wanted)
    assert [column.kind for column in merged] == ["number"] * 3
    assert (merged[1].values == table[:, 4:10].sum(axis=1)).all()


def test_levels_in_steps_are_attributes() -> None:
    """Within a level steps are in order, but a table of three levels is no line to slide along."""
    for sizes in ((8, 8, 8), (5, 5, 5, 5, 5), (4, 7, 6)):
        verdict = judged(steps(*sizes))
        assert verdict.decision == "permutable", sizes
        assert any("encoded in steps" in line for line in verdict.evidence)
        assert verdict.columns == sum(sizes)


def test_a_series_of_levels_in_steps_stays_a_grid() -> None:
    levels = np.digitize(series(800, 16, 0.95), (-0.7, 0, 0.7))
    verdict = judged((levels[:, :, None] > np.arange(3)).reshape(800, -1).astype(np.float64))
    assert verdict.decision == "grid"
    assert verdict.layout == Layout(1, 16, 3)


def test_columns_that_follow_from_each_other_are_no_steps_among_others_that_do_not() -> None:
    """So may pixels at the edge of a picture; and a single level may be all of a table."""
    random = np.random.default_rng(0)
    answers = random.integers(0, 2, (400, 1)).astype(np.float64)

    assert find_blocks(columns_of(np.hstack([steps(4, 4), answers]))) == []
    assert find_blocks(columns_of(steps(12))) == []
    assert find_blocks(columns_of(steps(2, 2))) == []
