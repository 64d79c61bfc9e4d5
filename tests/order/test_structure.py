"""What the kinds of columns tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.order.columns import column_of
from gridcnn.order.structure import structure

RANDOM = np.random.default_rng(0)
ROWS = 120


def numbers(count: int) -> list[Any]:
    return [RANDOM.normal(size=ROWS) for _ in range(count)]


def symbols(alphabet: str, count: int) -> list[Any]:
    return [RANDOM.choice(list(alphabet), ROWS) for _ in range(count)]


def found(columns: list[Any]) -> Any:
    return structure([column_of(str(n), values) for n, values in enumerate(columns)])


def test_numbers_alone_are_of_one_kind() -> None:
    what = found(numbers(5))
    assert not what.mixed
    assert what.judged == (0, 1, 2, 3, 4)
    assert what.overlap is None


def test_numbers_beside_categories_are_mixed() -> None:
    assert found(numbers(4) + symbols("xyz", 4)).mixed


def test_a_few_columns_of_another_kind_are_set_aside() -> None:
    days = [f"2026-01-{1 + n % 28:02d}" for n in range(ROWS)]
    what = found([np.arange(ROWS), days, *numbers(12)])
    assert not what.mixed
    assert what.aside == (0, 1)
    assert what.judged == tuple(range(2, 14))


def test_constant_columns_keep_their_place() -> None:
    what = found([*numbers(3), np.zeros(ROWS), *numbers(2)])
    assert what.judged == (0, 1, 2, 3, 4, 5)
    assert what.kinds == {"number": 5, "constant": 1}


@pytest.mark.parametrize("alphabet", ["ACGT", "xo", "ab", "0ab"])
def test_columns_of_one_alphabet_are_a_sequence(alphabet: str) -> None:
    what = found(symbols(alphabet, 9))
    assert not what.mixed
    assert set(what.alphabet) == set(alphabet)
    assert what.overlap == pytest.approx(1, abs=0.05)


def test_columns_of_alphabets_of_their_own_are_mixed() -> None:
    what = found([*symbols("ab", 2), *symbols("xyz", 2), *symbols("mnop", 2)])
    assert what.mixed
    assert what.alphabet == ()
    assert what.overlap is not None
    assert what.overlap < 0.5


def test_words_of_a_common_vocabulary_are_a_sequence() -> None:
    vocabulary = np.array([f"word{n}" for n in range(40)])
    frequent = 1 / np.arange(1, 41)
    columns = [RANDOM.choice(vocabulary, ROWS, p=frequent / frequent.sum()) for _ in range(12)]
    assert not found(columns).mixed


def test_many_columns_are_compared_quickly_by_some_of_them() -> None:
    assert not found(symbols("ACGT", 300)).mixed
