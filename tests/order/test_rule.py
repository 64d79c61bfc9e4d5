"""The rule that makes one decision of the evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridcnn.order.groups import Groups, InLine
from gridcnn.order.layouts import Layout
from gridcnn.order.neighbours import Neighbours
from gridcnn.order.parts import Part
from gridcnn.order.rule import Evidence, apply_rule, decide, decide_axis, is_clear
from gridcnn.order.structure import Structure
from gridcnn.order.units import Units
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import AxisVerdict

STRUCTURE = Structure({"number": 20}, tuple(range(20)), (), mixed=False)
LINE = Neighbours(Layout(1, 20), 0.6, 0.1, 0.61, 0.95, 0.9, p_value=1e-6, closeness=0.8)
MUTE = replace(LINE, explained=0.1, score=0.0, gradation=0.2, p_value=1.0, closeness=0.05)
GROUPED = replace(LINE, gradation=0.5, groups=Groups(5, InLine(20, 0.3, 0.6)))
SILENT = replace(MUTE, best=0.11)  # no column depends on any other
USELESS = Usefulness(0.8, (0.8, 0.81, 0.79, 0.8, 0.8, 0.8), 0.5, 0.5, 1000, 2)
USEFUL = replace(USELESS, given=0.9, p_value=1e-4)
USEFUL_IN_FOUR = replace(USEFUL, given=0.85, shuffled=4 * USELESS.shuffled, rounds=4)


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
    assert decide(evidence(SILENT, use=USEFUL)) == ("grid", True)
    assert decide(evidence(SILENT, use=USELESS)) == ("permutable", True)
    assert decide(evidence(SILENT)) == ("undecided", True)


def test_different_units_decide_if_nothing_else_can_tell() -> None:
    attributes = replace(STRUCTURE, units=Units(alike=0.1, in_step=0.3))
    alike = replace(STRUCTURE, units=Units(alike=0.1, in_step=0.9))
    untaught = replace(USELESS, given=0.5, shuffled=(0.5,) * 6)
    for use in (None, untaught):
        unclear = evidence(SILENT, use=use)
        assert decide(replace(unclear, structure=alike)) == ("undecided", True)
        assert decide(replace(unclear, structure=attributes)) == ("permutable", True)
    assert decide(replace(evidence(LINE), structure=attributes)) == ("grid", True)
    assert decide(replace(evidence(SILENT, use=USEFUL), structure=attributes)) == ("grid", True)


def test_usefulness_against_mute_neighbours_has_to_be_large() -> None:
    """20 % of errors against 15 % are useful, but no reason to overrule neighbours."""
    little = replace(USEFUL, given=0.85)
    assert little.is_useful
    assert decide(evidence(MUTE, use=little)) == ("permutable", True)
    assert decide(evidence(GROUPED, use=little)) == ("permutable", True)
    assert decide(evidence(MUTE, use=replace(USEFUL, given=0.95))) == ("grid", True)


def test_an_order_of_profiles_counts_if_these_change_little_by_little() -> None:
    """Noise misleads associations: their gradation is doubtful, and within groups they say none."""
    line = InLine(20, 0.8, 0.0002, 4_999)
    clear = replace(GROUPED, gradation=0.4, groups=Groups(5, InLine(20, 0.3, 0.6), line, 0.9))
    assert decide(evidence(clear)) == ("grid", True)
    rough = replace(clear, groups=Groups(5, InLine(20, 0.3, 0.6), line, 0.6))
    assert not rough.is_ordered


def test_usefulness_of_pairs_has_to_be_large() -> None:
    """The network subtracts this year from the last; shuffles part the two."""
    pairs = replace(LINE, gradation=0.3)
    assert decide(evidence(pairs, use=replace(USEFUL, given=0.85))) == ("permutable", True)
    assert decide(evidence(pairs, use=replace(USEFUL, given=0.95))) == ("grid", True)


@pytest.mark.parametrize(
    "near",
    [
        replace(LINE, score=0.675, chance_error=0.02),
        replace(LINE, p_value=0.007, p_error=0.3),
        replace(LINE, p_value=0.015, p_error=0.3),
        replace(LINE, gradation=0.6, groups=Groups(5, InLine(20, 0.9, 0.008, 499))),
        replace(GROUPED, groups=Groups(5, InLine(20, 0.4, 0.055, 499))),
    ],
)
def test_what_hangs_on_luck_is_undecided(near: Neighbours) -> None:
    """A figure within two of its standard errors of a threshold decides nothing."""
    near = replace(near, explained=near.by_chance + near.score * (near.best - near.by_chance))

    assert decide(evidence(near)) == ("undecided", False)


def test_figures_without_luck_may_be_close_to_a_threshold() -> None:
    """A p-value of all orders is the same with every seed."""
    assert decide(evidence(replace(LINE, p_value=0.0099))) == ("grid", True)
    assert decide(evidence(replace(LINE, score=0.67))) == ("grid", True)


def test_axes_hang_on_luck_as_layouts_do() -> None:
    """The decision on an axis of grids is made again of the shifted figures."""
    along = replace(LINE, p_value=0.007, p_error=0.3)
    axis = AxisVerdict("row", 20, decide_axis(along, 20), along)
    sure = replace(axis, neighbours=LINE)

    assert axis.decision == "grid"
    assert decide(replace(evidence(), axes=[axis])) == ("undecided", False)
    assert decide(replace(evidence(), axes=[sure])) == ("grid", True)


def test_an_accuracy_that_varies_from_training_to_training_may_hang_on_luck() -> None:
    """Two standard errors are allowed for: of the accuracy, and of its p-value."""
    useful = replace(USEFUL_IN_FOUR, error=0.002)

    assert decide(evidence(SILENT, use=useful)) == ("grid", True)
    assert decide(evidence(SILENT, use=replace(useful, error=0.02))) == ("undecided", False)


def test_trainings_are_repeated_until_four_standard_errors_change_nothing() -> None:
    """A verdict that stands with two of them may still be repeated, with smaller errors."""
    useful = replace(USEFUL_IN_FOUR, error=0.008)

    assert decide(evidence(SILENT, use=useful)) == ("grid", True)
    assert not is_clear(evidence(SILENT, use=useful))
    assert is_clear(evidence(SILENT, use=replace(useful, error=0.002)))


def test_trainings_are_not_repeated_for_luck_in_neighbours() -> None:
    """More trainings would change nothing about it."""
    near = replace(LINE, p_value=0.015, p_error=0.3)

    assert decide(evidence(near, use=USELESS)) == ("undecided", False)
    assert is_clear(evidence(near, use=USELESS))


def test_what_is_clear_stays_clear() -> None:
    for way in (-1, 1):
        assert apply_rule(evidence(LINE).shift(way)) == "grid"
        assert apply_rule(evidence(MUTE).shift(way)) == "permutable"


def test_an_order_within_groups_counts_for_doubtful_gradation() -> None:
    doubtful = replace(LINE, gradation=0.6)
    assert decide(evidence(doubtful))[0] == "undecided"
    shown = replace(doubtful, groups=Groups(5, InLine(20, 0.9, 0.002)))
    assert decide(evidence(shown)) == ("grid", True)


def test_doubt_about_every_second_column_gives_way_to_groups() -> None:
    second = replace(LINE, layout=Layout(1, 10, 2), gradation=0.6, groups=Groups(5))
    assert decide(evidence(second))[0] == "undecided"
    assert decide(evidence(second, GROUPED)) == ("permutable", True)
