"""The rule that makes one decision of the evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridcnn.order.groups import Groups
from gridcnn.order.layouts import Layout
from gridcnn.order.neighbours import Neighbours
from gridcnn.order.parts import Part
from gridcnn.order.rule import Evidence, apply_rule, decide
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import Usefulness

STRUCTURE = Structure({"number": 20}, tuple(range(20)), (), mixed=False)
LINE = Neighbours(Layout(1, 20), 0.6, 0.1, 0.61, 0.95, 0.9, p_value=1e-6, closeness=0.8)
MUTE = replace(LINE, explained=0.1, score=0.0, gradation=0.2, p_value=1.0, closeness=0.05)
GROUPED = replace(LINE, gradation=0.5, groups=Groups(5, 20, 0.3, 0.6))
USELESS = Usefulness(0.8, (0.8, 0.81, 0.79, 0.8, 0.8, 0.8), 0.5, 0.5, 1000, 2)
USEFUL = replace(USELESS, given=0.9, p_value=1e-4)


def evidence(*near: Neighbours, use: Usefulness | None = None, parts: int = 0) -> Evidence:
    found = [Part(0, 10)] * parts
    return Evidence(STRUCTURE, near, (), use, columns=20, parts=found)


def test_neighbours_decide() -> None:
    assert decide(evidence(LINE)) == ("grid", True)
    assert decide(evidence(MUTE)) == ("permutable", True)
    assert decide(evidence(GROUPED)) == ("permutable", True)


def test_a_part_makes_the_whole_permutable() -> None:
    assert decide(evidence(LINE, parts=1)) == ("permutable", True)


def test_usefulness_decides_if_neighbours_cannot_tell() -> None:
    silent = replace(MUTE, best=0.11)  # no column depends on any other
    assert decide(evidence(silent, use=USEFUL)) == ("grid", True)
    assert decide(evidence(silent, use=USELESS)) == ("permutable", True)
    assert decide(evidence(silent)) == ("undecided", True)


def test_usefulness_against_mute_neighbours_has_to_be_large() -> None:
    """20 % of errors against 15 % are useful, but no reason to overrule neighbours."""
    little = replace(USEFUL, given=0.85)
    assert little.is_useful
    assert decide(evidence(MUTE, use=little)) == ("permutable", True)
    assert decide(evidence(GROUPED, use=little)) == ("permutable", True)
    assert decide(evidence(MUTE, use=replace(USEFUL, given=0.95))) == ("grid", True)


def test_what_hangs_on_luck_is_undecided() -> None:
    for shift in (
        replace(LINE, score=0.675, gradation=0.9),
        replace(LINE, p_value=0.007),
        replace(LINE, p_value=0.015),
    ):
        assert decide(evidence(shift)) == ("undecided", False)


def test_an_accuracy_that_varies_from_training_to_training_may_hang_on_luck() -> None:
    """Two standard errors of its mean are allowed for, by the p-value of that accuracy as well."""
    silent = replace(MUTE, best=0.11)
    useful = replace(USEFUL, given=0.84, p_value=0.001)

    assert decide(evidence(silent, use=useful)) == ("grid", True)
    assert decide(evidence(silent, use=replace(useful, error=0.002))) == ("grid", True)
    assert decide(evidence(silent, use=replace(useful, error=0.01))) == ("undecided", False)
    shifted = useful.shift(-0.03, 2)
    assert shifted.given == pytest.approx(0.81)
    assert shifted.p_value > 0.05  # far more than twice the p-value before
    assert useful.shift(0.03, 0.5).p_value < 0.0005


def test_what_is_clear_stays_clear() -> None:
    for way in (-1, 1):
        assert apply_rule(evidence(LINE).shift(way)) == "grid"
        assert apply_rule(evidence(MUTE).shift(way)) == "permutable"


def test_an_order_within_groups_counts_for_doubtful_gradation() -> None:
    doubtful = replace(LINE, gradation=0.6)
    assert decide(evidence(doubtful))[0] == "undecided"
    shown = replace(doubtful, groups=Groups(5, 20, 0.9, 0.002))
    assert decide(evidence(shown)) == ("grid", True)


def test_doubt_about_every_second_column_gives_way_to_groups() -> None:
    second = replace(LINE, layout=Layout(1, 10, 2), gradation=0.6, groups=Groups(5, 0))
    assert decide(evidence(second))[0] == "undecided"
    assert decide(evidence(second, GROUPED)) == ("permutable", True)
