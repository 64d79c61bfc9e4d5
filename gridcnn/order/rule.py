"""The rule by which the evidence becomes one verdict.

1. **Structure.** Columns of different kinds (numbers beside categories, categories with alphabets
   of their own, one-hot blocks) have no common neighbourhood: `permutable`.
2. **Parts.** Only a stretch of the columns is in order: the whole is `permutable`, and the part is
   named.
3. **Neighbours.** In some layout the neighbours of a column predict it nearly as well as the best
   columns do, hardly any other order does as well, and groups are not the reason: `grid`.
4. **Usefulness.** A network does better with the columns as given than with any shuffle: `grid`.
5. Else, if the evidence at hand would have shown an order: `permutable`. Neighbours show one in
   eight columns or more that depend on each other; usefulness shows one if the network learns.
6. Else, if hardly any two columns are in the same units: `permutable`. They measure different
   things, as the attributes of a customer do.
7. Else `undecided`, with what is needed. So are columns that all share one alphabet of symbols, if
   neighbours say nothing: they look like a sequence or a board, whether or not they are in order.

A meaningless order is called a grid if luck makes 3. or 4. positive: each in at most one of 100
tables, so that two of 100 is the rate for both.

Some figures contain luck, because orders and shuffles are random. Each of them has a standard
error. So the rule is applied to the figures as they are, and again to figures that are two standard
errors better or worse: for an order, and for how much the network learns at all. Unless all these
decisions are the same, the verdict is `undecided`, since another seed might change it.

This margin alone would only move the places where luck matters, from the thresholds to the ends of
the margins. So figures are measured with more repetitions, which make their errors smaller, until
even four standard errors change nothing, or there are too many. A verdict then changes with the
seed only if the evidence lies within these small errors of the end of a margin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gridcnn.order.neighbours import DOUBTFUL_GRADATION, GRADED_SCORE, Neighbours
from gridcnn.order.parts import ENOUGH_COLUMNS, Part
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import AxisVerdict, Decision

SYMBOLS = 3
"""Symbols of an alphabet that make its columns a sequence: all answers of yes or no share two."""
_TELLING_OF_SEQUENCES = 0.2
"""What the best columns must explain beyond chance, before neighbours that explain little show that
columns of one alphabet are in no order: a sequence may have only faint dependences."""
_STEADY, _CLEAR = 2.0, 4.0
"""Standard errors that must not change the decision: for it to stand, and for it to need no more
repetitions. Two seeds differ by more than four of them in one of 200 cases, and by two in one of
six."""
_WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Ways in which luck may shift figures: better or worse for an order, and for what is learned."""


@dataclass(frozen=True)
class Evidence:
    """Everything that a decision depends on.

    Attributes:
        structure: what kinds of columns there are.
        near: the evidence of neighbours in each layout that was compared.
        axes: the verdicts on the axes of grids.
        use: how useful the order is to a network; None if that was not tried.
        columns: how many columns vary enough to be compared.
        parts: stretches of columns that are in order, if the whole is not.
    """

    structure: Structure
    near: Sequence[Neighbours] = ()
    axes: Sequence[AxisVerdict] = ()
    use: Usefulness | None = None
    columns: int = 0
    parts: Sequence[Part] = ()

    def shift(self, way: float, level: float = 0.0) -> Evidence:
        """Return the evidence as another seed might have found it.

        Args:
            way: how many standard errors better for an order; negative: worse.
            level: how many standard errors better the network does in any order.
        """
        use = None if self.use is None else self.use.shift(way, level)
        near = [look.shift(way) for look in self.near]
        return replace(
            self, near=near, axes=[_shift_axis(axis, way) for axis in self.axes], use=use
        )


def _shift_axis(axis: AxisVerdict, way: float) -> AxisVerdict:
    if axis.neighbours is None:
        return axis
    near = axis.neighbours.shift(way)
    return replace(axis, neighbours=near, decision=decide_axis(near, axis.size))


Rule = Callable[[float, float], Decision]
"""The decision if figures were so many standard errors better for an order, and in any order."""


def decide(evidence: Evidence) -> tuple[Decision, bool]:
    """Return the decision, and whether it is steady: whether another seed would lead to the same.

    A decision that is not steady becomes "undecided".
    """
    return decide_by(lambda way, level: apply_rule(evidence.shift(way, level)))


def decide_by(rule: Rule) -> tuple[Decision, bool]:
    """Return the decision by a rule, as `decide` does."""
    decision = rule(0, 0)
    steady = _is_certain(rule, _STEADY)
    return (decision if steady else "undecided"), steady


def is_clear(evidence: Evidence) -> bool:
    """Return whether no more trainings are needed: luck in them is not likely to matter.

    Luck in other figures is left out, since more trainings would not change it.
    """

    def rule(way: float, level: float) -> Decision:
        use = None if evidence.use is None else evidence.use.shift(way, level)
        return apply_rule(replace(evidence, use=use))

    return is_clear_by(rule)


def is_clear_by(rule: Rule) -> bool:
    """Return whether even four standard errors do not change the decision by a rule."""
    return _is_certain(rule, _STEADY) and _is_certain(rule, _CLEAR)


def _is_certain(rule: Rule, errors: float) -> bool:
    """Return whether so many standard errors do not change the decision."""
    decision = rule(0, 0)
    return all(rule(errors * way, errors * level) == decision for way, level in _WAYS)


def apply_rule(evidence: Evidence) -> Decision:
    """Return the decision by the figures as they are, whatever luck there is in them."""
    structure, near, use = evidence.structure, evidence.near, evidence.use
    if structure.mixed or evidence.parts:
        return "permutable"
    ordered = any(look.is_ordered for look in near)
    if ordered or any(axis.decision == "grid" for axis in evidence.axes):
        return "grid"
    if use is not None and use.is_useful and (use.is_clearly_useful or not _deny_order(near)):
        return "grid"
    if any(_is_in_doubt(look, near) for look in near):
        return "undecided"
    sequence = len(structure.alphabet) >= SYMBOLS
    least = _TELLING_OF_SEQUENCES if sequence else 0.0
    telling = any(look.is_telling and look.best - look.by_chance >= least for look in near)
    shown_by_neighbours = telling and evidence.columns >= ENOUGH_COLUMNS
    if sequence and not shown_by_neighbours:
        # They may be the places of a sequence or of a board. It is weak evidence that a small
        # network does not need their order, and so are faint dependences.
        return "undecided"
    shown_by_use = use is not None and use.is_telling
    shown = shown_by_neighbours or shown_by_use or structure.different_units is not None
    return "permutable" if shown else "undecided"


def _deny_order(near: Sequence[Neighbours]) -> bool:
    """Return whether columns depend on each other, and neighbours show groups or pairs, no order.

    Usefulness must then be large to count: shuffles also move the columns that matter away from the
    ends of a row, where a small network sees them differently, and they part pairs that it can
    subtract from each other, and that is no order.
    """
    telling = [look for look in near if look.is_telling]
    return bool(telling) and all(
        look.score < GRADED_SCORE or look.is_grouped or look.clear_gradation < DOUBTFUL_GRADATION
        for look in telling
    )


def _is_in_doubt(layout: Neighbours, near: Sequence[Neighbours]) -> bool:
    """Return whether one layout may be an order, although it is not shown to be one.

    If a layout says nothing about groups, such as every second column, there is no doubt as soon as
    another layout shows that related columns stand together in groups.
    """
    if not layout.is_doubtful:
        return False
    silent = layout.groups is None or not layout.groups.tests
    return not (silent and any(look.is_grouped and look.is_close for look in near))


def decide_axis(along: Neighbours | None, size: int) -> Decision:
    """Return the decision on one axis of grids, of `size` places; None: too short to tell."""
    if along is None:
        return "undecided"
    if along.is_ordered:
        return "grid"
    shown = along.is_telling and not along.is_close and size >= ENOUGH_COLUMNS
    return "permutable" if shown else "undecided"
