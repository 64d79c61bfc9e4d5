"""The rule by which three kinds of evidence become one verdict.

1. **Structure.** Columns of different kinds (numbers beside categories, categories with alphabets
   of their own) have no common neighbourhood: `permutable`.
2. **Neighbours.** In some layout the neighbours of a column predict it nearly as well as the best
   columns do, and hardly any other order does as well: `grid`.
3. **Usefulness.** A network does better with the columns as given than with any shuffle: `grid`.
4. Else, if the evidence at hand would have shown an order: `permutable`. Neighbours show one in
   eight columns or more that depend on each other; usefulness shows one where the network learns.
5. Else `undecided`, with what is needed. So are columns that all share one alphabet of symbols, if
   neighbours are mute: they look like a sequence or a board, whether or not they stand in order.

A meaningless order is called a grid where luck makes 2. or 3. positive: each in at most one of 100
tables, so that two of 100 is the rate for both.
"""

from __future__ import annotations

from collections.abc import Sequence

from gridcnn.order.neighbours import Neighbours
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import AxisVerdict, Decision

SYMBOLS = 3
"""Of an alphabet that all columns share; two are shared by all answers of yes and no."""
ENOUGH_COLUMNS = 8
"""Of so many columns on, neighbours can show an order beyond doubt: of eight there are 20,160."""
_TELLING_OF_SEQUENCES = 0.2
"""What the best columns have to explain beyond chance, before neighbours that do not are held
against columns of one alphabet."""


def decide(
    near: Sequence[Neighbours],
    axes: Sequence[AxisVerdict],
    use: Usefulness | None,
    structure: Structure,
    columns: int,
) -> Decision:
    """Return the decision that the evidence comes to.

    Args:
        near: what neighbours tell in each layout that was tried.
        axes: the verdicts on the axes of grids.
        use: how useful the order is to a network; None if that was not tried.
        structure: what kinds of columns there are.
        columns: how many columns vary enough to be compared.
    """
    if any(each.is_ordered for each in near) or any(axis.decision == "grid" for axis in axes):
        return "grid"
    if use is not None and use.is_useful:
        return "grid"
    if any(each.is_doubtful for each in near):
        return "undecided"
    sequence = len(structure.alphabet) >= SYMBOLS
    least = _TELLING_OF_SEQUENCES if sequence else 0.0
    telling = any(each.is_telling and each.best - each.by_chance >= least for each in near)
    shown_by_neighbours = telling and columns >= ENOUGH_COLUMNS
    if sequence and not shown_by_neighbours:
        # The places of a sequence or of a board, as it seems: that a small network does without
        # their order says little, and so do faint dependences.
        return "undecided"
    shown_by_use = use is not None and use.is_telling
    return "permutable" if shown_by_neighbours or shown_by_use else "undecided"


def decide_axis(along: Neighbours | None, size: int) -> Decision:
    """Return the decision on one axis of grids, of `size` places; None: it is too short to tell."""
    if along is None:
        return "undecided"
    if along.is_ordered:
        return "grid"
    shown = along.is_telling and not along.is_close and size >= ENOUGH_COLUMNS
    return "permutable" if shown else "undecided"
