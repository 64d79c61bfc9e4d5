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
6. Else `undecided`, with what is needed. So are columns that all share one alphabet of symbols, if
   neighbours say nothing: they look like a sequence or a board, whether or not they are in order.

A meaningless order is called a grid if luck makes 3. or 4. positive: each in at most one of 100
tables, so that two of 100 is the rate for both.

Some figures contain luck, because orders and shuffles are random. So the rule is applied three
times: to the figures as they are, to slightly better ones, and to slightly worse ones. Unless the
three decisions are the same, the verdict is `undecided`, since another seed might change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gridcnn.order.neighbours import GRADED_SCORE, Neighbours
from gridcnn.order.parts import ENOUGH_COLUMNS, Part
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import AxisVerdict, Decision

SYMBOLS = 3
"""Symbols of an alphabet that make its columns a sequence: all answers of yes or no share two."""
_TELLING_OF_SEQUENCES = 0.2
"""What the best columns must explain beyond chance, before neighbours that explain little show that
columns of one alphabet are in no order: a sequence may have only faint dependences."""
_SCORE_MARGIN = 0.02
"""How much a score may vary with the seed: the mean R2 of random orders has an error of about a
hundredth of the distance to the best."""
_P_MARGIN = 2.0
"""The factor by which p-values may vary with the seed, near the threshold of 0.01."""
_ACCURACY_MARGIN = 0.004
"""How much the accuracy of a small network varies with the seed, as a mean of several trainings, at
least: two standard errors of this mean are allowed for where they are more."""


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

    def shift(self, way: int) -> Evidence:
        """Return evidence a little better (1) or worse (-1) for an order, within its luck."""
        near = []
        for look in self.near:
            p_value = None if look.p_value is None else look.p_value / _P_MARGIN**way
            near.append(replace(look, score=look.score + way * _SCORE_MARGIN, p_value=p_value))
        use = self.use
        if use is not None:
            margin = max(_ACCURACY_MARGIN, 2 * use.error)
            use = use.shift(way * margin, 1 / _P_MARGIN**way)
        return replace(self, near=near, use=use)


def decide(evidence: Evidence) -> tuple[Decision, bool]:
    """Return the decision, and whether it is steady: whether another seed would lead to the same.

    A decision that is not steady becomes "undecided".
    """
    decision = apply_rule(evidence)
    steady = all(apply_rule(evidence.shift(way)) == decision for way in (-1, 1))
    return (decision if steady else "undecided"), steady


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
    return "permutable" if shown_by_neighbours or shown_by_use else "undecided"


def _deny_order(near: Sequence[Neighbours]) -> bool:
    """Return whether columns depend on each other, and neighbours are no more alike than others.

    Usefulness must then be large to count: shuffles also move the columns that matter away from the
    ends of a row, where a small network sees them differently, and that is no order.
    """
    telling = [look for look in near if look.is_telling]
    return bool(telling) and all(look.score < GRADED_SCORE or look.is_grouped for look in telling)


def _is_in_doubt(layout: Neighbours, near: Sequence[Neighbours]) -> bool:
    """Return whether one layout may be an order, although it is not shown to be one.

    If a layout says nothing about groups, such as every second column, there is no doubt as soon as
    another layout shows that related columns stand together in groups.
    """
    if not layout.is_doubtful:
        return False
    silent = layout.groups is None or layout.groups.p_value is None
    return not (silent and any(look.is_grouped and look.is_close for look in near))


def decide_axis(along: Neighbours | None, size: int) -> Decision:
    """Return the decision on one axis of grids, of `size` places; None: too short to tell."""
    if along is None:
        return "undecided"
    if along.is_ordered:
        return "grid"
    shown = along.is_telling and not along.is_close and size >= ENOUGH_COLUMNS
    return "permutable" if shown else "undecided"
