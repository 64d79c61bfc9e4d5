"""The rule that makes one verdict of three kinds of evidence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import datasets

from gridcnn.errors import DataError
from gridcnn.order.columns import column_of
from gridcnn.order.judge import judge_columns, judge_grids
from gridcnn.order.judging import ROWS, Judging, sample_rows
from gridcnn.order.layouts import Layout
from gridcnn.order.verdict import Verdict
from gridcnn.progress import Progress
from tests.order.made import Table, factors, groups, series, spots


def judged(table: Any, classes: NDArray[np.int64] | None = None, **others: Any) -> Verdict:
    columns = [column_of(f"c{n}", column) for n, column in enumerate(np.asarray(table).T)]
    rows = len(columns[0].values)
    return judge_columns(columns, classes, rows=rows, judging=Judging(), **others)


def test_a_series_is_a_grid_with_and_without_labels() -> None:
    table = series(300, 30)
    assert judged(table).decision == "grid"
    verdict = judged(table, (table[:, 3] > 0).astype(np.int64))
    assert verdict.decision == "grid"
    assert verdict.layout == Layout(1, 30)
    assert verdict.usefulness is not None


@pytest.mark.parametrize("seed", range(3))
def test_neither_names_nor_signs_nor_scales_matter(seed: int) -> None:
    random = np.random.default_rng(seed)
    table = (
        series(300, 30, seed=seed) * random.choice([-1, 1], 30) * 10 ** random.uniform(-5, 5, 30)
    )
    assert judged(table + random.normal(size=30)).decision == "grid"


@pytest.mark.slow
def test_what_can_be_swapped_is_permutable() -> None:
    iris, wine = datasets.load_iris(), datasets.load_wine()
    for data in (iris, wine):
        verdict = judged(data.data, data.target)
        assert verdict.decision == "permutable"
        assert "HistGradientBoostingClassifier" in verdict.advice[0]
    assert judged(factors(400, 20)).decision == "permutable"
    assert judged(groups(400, 5, 6)).decision == "permutable"


def test_handwritten_digits_are_found_to_be_pictures() -> None:
    data = datasets.load_digits()
    verdict = judged(data.data)
    assert verdict.decision == "grid"
    assert verdict.layout == Layout(8, 8)
    assert any("size: [8, 8]" in sentence for sentence in verdict.advice)
    order = np.random.default_rng(0).permutation(64)
    assert judged(data.data[:, order]).decision == "permutable"


def test_kinds_that_differ_are_told_at_once() -> None:
    random = np.random.default_rng(0)
    table = np.empty((60, 6), object)
    table[:, :3] = random.normal(size=(60, 3))
    table[:, 3:] = random.choice(["red", "green", "blue"], (60, 3))
    verdict = judged(table)
    assert verdict.decision == "permutable"
    assert verdict.evidence[0].startswith("structure:")
    assert verdict.neighbours == ()


def test_too_little_is_undecided_and_says_what_is_needed() -> None:
    few = judged(datasets.load_iris().data)
    assert few.decision == "undecided"
    assert "; labels, to measure" in few.advice[0]
    independent = judged(np.random.default_rng(0).normal(size=(300, 20)))
    assert independent.decision == "undecided"


def test_usefulness_alone_can_show_an_order() -> None:
    # Letters that are independent, but for a word that stands anywhere in one of the classes.
    random = np.random.default_rng(0)
    letters = random.choice(list("ACGT"), (700, 30)).astype(object)
    classes = random.integers(0, 2, 700)
    for row in np.flatnonzero(classes):
        start = random.integers(0, 22)
        letters[row, start : start + 8] = list("ACGTTAGC")
    verdict = judged(letters, classes.astype(np.int64))
    assert verdict.decision == "grid"
    assert verdict.structure is not None
    assert set(verdict.structure.alphabet) == set("ACGT")
    assert verdict.usefulness is not None
    assert verdict.usefulness.is_useful


@pytest.mark.slow
def test_columns_of_one_alphabet_are_not_called_permutable_for_want_of_evidence() -> None:
    random = np.random.default_rng(3)
    board = random.choice(list("xob"), (400, 9)).astype(object)
    classes = ((board == "x").sum(axis=1) > 3).astype(np.int64)
    verdict = judged(board, classes)
    assert verdict.decision == "undecided"
    assert any("share one alphabet" in sentence for sentence in verdict.advice)
    # Of yes and no the same holds for all answers, and these may be swapped.
    answers = random.choice(["yes", "no"], (400, 9)).astype(object)
    assert judged(answers, ((answers == "yes").sum(axis=1) > 4).astype(np.int64)).decision == (
        "permutable"
    )


def test_each_axis_of_grids_is_judged() -> None:
    pictures = spots(400, 9)[:, None]
    verdict = judge_grids(pictures, None, rows=400, judging=Judging())
    assert verdict.decision == "grid"
    assert [(axis.name, axis.size, axis.decision) for axis in verdict.axes] == [
        ("rows", 9, "grid"),
        ("columns", 9, "grid"),
    ]
    mixed = pictures[:, :, np.random.default_rng(1).permutation(9)]
    axes = judge_grids(mixed, None, rows=400, judging=Judging()).axes
    assert [axis.decision for axis in axes] == ["permutable", "grid"]


def test_a_shape_that_is_given_is_the_one_that_is_judged() -> None:
    pictures = spots(400, 8).reshape(400, 64)
    assert judged(pictures, shape=(8, 8)).layout == Layout(8, 8)
    with pytest.raises(DataError, match="a grid of 7 x 9 has 63 cells, but there are 64 columns"):
        judged(pictures, shape=(7, 9))


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (100, 2, "2 columns have no order to speak of; at least 3 are needed"),
        (5, 9, "5 rows are too few to compare columns by; at least 20 are needed"),
        (1, 1, "1 column has no order"),
    ],
)
def test_too_little_data_is_refused(rows: int, columns: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        judged(series(rows, columns))


def test_what_is_left_out_is_told() -> None:
    table = series(200, 20).astype(object)
    table[:, 4] = 1.0
    table[3, 7] = None
    table[4, 7] = float("inf")
    days = np.array([f"2026-02-{1 + n % 28:02d}" for n in range(200)], object)
    verdict = judged(np.column_stack([days, table]))
    assert verdict.decision == "grid"
    told = "\n".join(verdict.evidence)
    assert "set aside, as they are of another kind (date): 'c0'" in told
    assert "1 of 21 columns have only one value" in told
    assert "2 of 4,200 values are missing or infinite" in told


@pytest.mark.slow
def test_rows_are_sampled_and_wide_tables_looked_at_in_the_middle() -> None:
    chosen = sample_rows(ROWS + 1_000, 0)
    assert len(chosen) == ROWS
    assert (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, sample_rows(ROWS + 1_000, 0))
    assert np.array_equal(sample_rows(50, 0), np.arange(50))
    wide = judged(series(60, 3_000, 0.9))
    assert wide.decision == "grid"
    assert any("looked at columns 477 to 2,524 of 3,000" in each for each in wide.evidence)


def test_progress_is_told() -> None:
    told: list[Progress] = []
    table: Table = series(100, 12)
    judge_columns(
        [column_of("", column) for column in table.T],
        (table[:, 0] > 0).astype(np.int64),
        rows=100,
        judging=Judging(advance=told.append),
    )
    kinds = {each.what for each in told}
    assert kinds == {"comparing neighbours", "training on shuffles"}
    for kind in kinds:
        last = [each for each in told if each.what == kind][-1]
        assert last.done == last.total


REAL = os.environ.get("GRIDCNN_DATA", "")


@pytest.mark.long
@pytest.mark.skipif(
    not (Path(REAL) / "checker").is_dir(), reason="GRIDCNN_DATA names no folder that holds checker"
)
def test_real_sets_are_judged_rightly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # benchmarks are not installed
    from benchmarks.order.real import sets

    wrong = [
        each.name for each in sets(Path(REAL) / "checker") if each.judged().decision != each.wanted
    ]
    assert wrong == []
