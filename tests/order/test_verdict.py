"""A verdict in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sklearn.datasets import load_wine

import gridcnn
from gridcnn.order.layouts import Layout
from gridcnn.order.neighbours import Neighbours
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import AxisVerdict, Verdict

FAINT = Neighbours(Layout(1, 9), 0.1, 0.1, 0.2, 0.125, 0.3)
STRONG = Neighbours(Layout(1, 9), 0.9, 0.1, 0.9, 0.94, 0.9, 0.001, 999)
USE = Usefulness(0.8, (0.5, 0.6), 0.4, 0.002, 300, 3)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (
            Verdict("grid", layout=Layout(3, 3), neighbours=(STRONG,), rows=2_000, columns=9),
            "Verdict(grid as 3 x 3, 2,000 rows x 9 columns, score 0.94 of 1)",
        ),
        (
            Verdict("grid", neighbours=(FAINT,), usefulness=USE, rows=300, columns=9),
            "Verdict(grid, 300 rows x 9 columns, accuracy 80.0% as given and 55.0% shuffled)",
        ),
        (
            Verdict("permutable", neighbours=(FAINT,), rows=300, columns=9),
            "Verdict(permutable, 300 rows x 9 columns, score 0.12 of 1)",
        ),
        (
            Verdict("permutable", usefulness=USE, rows=300, columns=4),
            "Verdict(permutable, 300 rows x 4 columns, accuracy 80.0% as given and 55.0% shuffled)",
        ),
        (
            Verdict("grid", axes=(AxisVerdict("row", 9, "grid", STRONG),), rows=30, columns=81),
            "Verdict(grid, 30 rows x 81 cells, score 0.94 of 1)",
        ),
        (
            Verdict("permutable", structure=Structure({}, (), (), mixed=True), rows=9, columns=3),
            "Verdict(permutable, 9 rows x 3 columns, columns of different kinds)",
        ),
        (Verdict("undecided", ("a\nb",)), "Verdict(undecided, 0 rows x 0 columns)"),
    ],
)
def test_repr_is_one_line_with_the_figure_that_matters(verdict: Verdict, text: str) -> None:
    assert repr(verdict) == text


def test_the_repr_of_a_whole_verdict_is_short() -> None:
    wine = load_wine()

    found = repr(gridcnn.check(wine.data, wine.target, threads=1))

    assert found.startswith("Verdict(permutable, 178 rows x 13 columns, score 0.")
    assert len(found) < 80


def test_verdicts_are_compared_by_all_that_they_hold() -> None:
    """What the line leaves out counts as well."""
    first = Verdict("grid", rows=3, columns=4)

    assert first == replace(first)
    assert first != replace(first, evidence=("more",))
