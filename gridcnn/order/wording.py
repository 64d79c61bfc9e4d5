"""The words of a verdict: three plain sentences, then the evidence in figures, then what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import yaml

from gridcnn.errors import listed, quoted
from gridcnn.order.blocks import Block
from gridcnn.order.columns import PLURALS, Column
from gridcnn.order.groups import Groups, InLine
from gridcnn.order.judging import ROWS
from gridcnn.order.layouts import FEWEST_POSITIONS, Layout
from gridcnn.order.neighbours import GRADATION, SCORE, Neighbours
from gridcnn.order.parts import ENOUGH_COLUMNS, Part
from gridcnn.order.rows import RowOrder
from gridcnn.order.rule import SYMBOLS, Evidence
from gridcnn.order.structure import Structure
from gridcnn.order.units import Units
from gridcnn.order.usefulness import MOST_ROWS, Usefulness
from gridcnn.order.verdict import Decision, Verdict

_DOUBTFUL_USE = 0.05
"""The p-value from which on the advice says that a network does not need the order."""


def with_words(verdict: Verdict, *, labelled: bool) -> Verdict:
    """Return a verdict with its summary and its advice.

    `labelled`: whether there were labels.
    """
    verdict = replace(verdict, advice=advise(verdict, labelled=labelled))
    return replace(verdict, summary=summarize(verdict, labelled=labelled))


# Summary ------------------------------------------------------------------------------------------

_UNSTEADY = "The evidence is so close to a threshold that another seed might change the verdict."


def summarize(verdict: Verdict, *, labelled: bool) -> tuple[str, str, str]:
    """Return the verdict, its reason and what to do, one plain sentence each."""
    return _conclusion(verdict), _reason(verdict), _remedy(verdict, labelled=labelled)


def summarize_sequence(
    decision: Decision, use: Usefulness | None, *, steady: bool
) -> tuple[str, str, str]:
    """Return the verdict on sequences of symbols, its reason and what to do."""
    if decision == "grid":
        useful = use is not None and use.is_useful
        return (
            "The order of the symbols carries information.",
            "A small network answers better with this order than with any shuffled one."
            if useful
            else "What stands at a position depends on what stands beside it.",
            "Go on: a convolutional network can use this order.",
        )
    if decision == "permutable":
        return (
            "The order of the symbols carries no information.",
            "What stands at a position depends no more on what stands beside it than on the rest.",
            "Do not use a convolutional network here; counts of the symbols are a better choice.",
        )
    return (
        "These data do not show whether the order of the symbols carries information.",
        "There are too few items, or too few symbols in them, to tell." if steady else _UNSTEADY,
        "To decide, the checker needs more items"
        + (", or longer ones." if use is not None else ", or labels."),
    )


def _conclusion(verdict: Verdict) -> str:
    if verdict.parts:
        ranges = " and ".join(_range(part) for part in verdict.parts)
        return f"Only {ranges} are in a meaningful order; the table as a whole is not."
    if verdict.decision == "undecided":
        return "These data do not show whether the order of the columns carries information."
    if verdict.decision == "permutable":
        return (
            "The order of the columns carries no information: the data are just as useful with any "
            "columns swapped."
        )
    if verdict.axes or verdict.layout is None:
        return "The order carries information: these data are grids."
    return f"The order of the columns carries information: they are {_a_layout(verdict.layout)}."


def _a_layout(layout: Layout) -> str:
    grid = f"a grid of {layout.rows} x {layout.columns} cells"
    if layout.is_line:
        grid = f"a row of {layout.positions} cells"
    if layout.channels == 1:
        return grid
    order = "cell by cell" if layout.interleaved else "channel by channel"
    return f"{grid} with {layout.channels} channels, {order}"


def _reason(verdict: Verdict) -> str:
    structure, use = verdict.structure, verdict.usefulness
    near = verdict.neighbours[0] if verdict.neighbours else None
    if verdict.parts:
        return (
            "Inside that part, columns side by side are the most alike; the columns outside have "
            "nothing to do with those beside them."
        )
    if structure is not None and structure.mixed:
        return "The columns hold different kinds of values, which have no common order."
    if verdict.decision == "grid":
        if near is not None and near.is_ordered and not verdict.axes:
            return "Columns side by side are more alike than columns further apart."
        if use is not None and use.is_useful:
            return "A small network answers better with this order than with any shuffled one."
        return "Cells side by side are more alike than cells further apart."
    if not verdict.steady:
        return _UNSTEADY
    if near is not None and near.is_telling:
        return _reason_by_neighbours(verdict, near)
    if verdict.decision == "permutable":
        is_useless = use is None or not use.is_telling
        if is_useless and structure is not None and structure.different_units is not None:
            return "Each column measures something else, in units of its own."
        if use is None:  # only blocks are judged without either
            is_one_hot = verdict.structure is None or "number" not in verdict.structure.kinds
            what = "categories, one-hot encoded" if is_one_hot else "levels, encoded in steps"
            return f"The columns are {what}, which have no common order."
        return "A small network answers as well with shuffled columns as with these."
    if near is None:
        return f"{_columns(verdict.columns)} have too few possible orders to show one."
    return "Hardly any column depends on another, so no order can be seen."


def _reason_by_neighbours(verdict: Verdict, near: Neighbours) -> str:
    """Return the reason of a verdict other than "grid", if some columns depend on others."""
    if near.is_grouped and near.is_close:
        return (
            "Related columns stand together in groups, but within a group the order means nothing."
        )
    if verdict.decision == "permutable":
        return "Columns side by side are no more alike than columns far apart."
    if near.is_doubtful:
        return "Columns side by side are alike, but hardly more so than those one step further."
    return "Columns side by side are not alike, but there is too little evidence to be sure."


def _remedy(verdict: Verdict, *, labelled: bool) -> str:
    if verdict.parts:
        return "Use the columns of that part alone, in the layout below."
    if verdict.decision == "permutable":
        return "Do not use a convolutional network here; boosted trees are a better choice."
    if verdict.decision == "grid":
        if verdict.layout is None or verdict.axes:
            return "Go on: a convolutional network can use this order."
        return "Use the layout below; a convolutional network can use this order."
    wanted = _needs(verdict, labelled)
    return f"To decide, the checker needs {wanted[0]}."


def _columns(count: int) -> str:
    return f"{count} column" if count == 1 else f"{count:,} columns"


def _range(part: Part) -> str:
    names = f" ({quoted(part.first)} to {quoted(part.last)})" if part.first else ""
    return f"columns {part.start + 1} to {part.stop}{names}"


# Evidence -----------------------------------------------------------------------------------------

UNSTEADY = (
    "steadiness: a figure is so close to its threshold that another seed might change the decision"
)


def describe_evidence(
    evidence: Evidence, *, columns: int, asked: bool, steady: bool, row_order: RowOrder | None
) -> list[str]:
    """Return a line for each kind of evidence.

    Args:
        evidence: what the decision depends on.
        columns: how many columns there are.
        asked: whether usefulness was to be measured.
        steady: whether another seed would lead to the same decision.
        row_order: how alike rows side by side are.
    """
    structure, near, axes, use = evidence.structure, evidence.near, evidence.axes, evidence.use
    lines = []
    if structure.alphabet:
        some = ", ".join(structure.alphabet[:8]) + (", ..." if len(structure.alphabet) > 8 else "")
        lines.append(
            f"structure: all columns share one alphabet of {len(structure.alphabet)} symbols "
            f"({some}), as the positions of a sequence do"
        )
    if near:
        lines.append(f"neighbours: {describe_neighbours(near[0])}")
        if near[0].groups is not None and near[0].groups.tests:
            lines.append(f"groups: {_describe_groups(near[0].groups)}")
    elif not axes:
        lines.append(
            f"neighbours: {columns} columns have too few possible orders to show one "
            f"(at least {FEWEST_POSITIONS} columns are needed)"
        )
    for axis in axes:
        text = "too short to tell"
        if axis.neighbours is not None:
            text = describe_neighbours(axis.neighbours, along=True)
        lines.append(f"axis '{axis.name}' ({axis.size}): {axis.decision}; {text}")
    if use is not None:
        lines.append(f"usefulness: {describe_usefulness(use)}")
    elif asked:
        lines.append("usefulness: too few rows with the same label to train on")
    units = structure.different_units
    if units is not None and not any(look.is_telling for look in near):
        lines.append(f"units: {_describe_units(units)}")
    if not steady:
        lines.append(UNSTEADY)
    if row_order is not None and row_order.is_ordered:
        lines.append(f"rows: {_describe_rows(row_order)}")
    return lines


def describe_neighbours(near: Neighbours, *, along: bool = False) -> str:
    """Return the figures of neighbours in one layout, or `along` one axis of grids."""
    if not near.is_telling:
        return (
            f"hardly any column depends on another (the best {_predictors(near.layout)} explain "
            f"{near.best:.0%} of a column), so neighbours cannot show an order"
        )
    text = (
        f"{'' if along else f'as {near.layout}, '}neighbours explain {near.explained:.0%} of a "
        f"column, random columns {near.by_chance:.0%}, the best columns {near.best:.0%} (score "
        f"{near.score:.2f}; an order has {SCORE:.2f} or more); {near.gradation:.0%} of the columns "
        f"are more like both neighbours than like the next ones (gradation; an order has "
        f"{GRADATION:.0%} or more)"
    )
    if near.p_value is None:
        return text
    every = "all" if near.exact else "random"
    return f"{text}; p = {near.p_value:.2g} by {near.orders:,} {every} orders"


def _describe_units(units: Units) -> str:
    return (
        f"{units.alike:.0%} of all pairs of columns may be in the same units, by their means and "
        f"deviations, and at most {units.in_step:.0%} of those at one distance; the cells of a "
        "grid hold one quantity"
    )


def _describe_groups(groups: Groups) -> str:
    sentences = []
    if groups.close is not None:
        threes = f"{groups.close.threes:,} threes of related columns side by side"
        sentences.append(f"of {threes}, {_describe_line(groups.close)}")
    if groups.profiles is not None:
        threes = f"{groups.profiles.threes:,} threes in longer runs"
        line = _describe_line(groups.profiles)
        sentences.append(
            f"by their associations with the rest of their group, of {threes}, {line}; gradation "
            f"{groups.gradation:.0%}"
        )
    return f"{'; '.join(sentences)}; in {groups.count} groups"


def _describe_line(test: InLine) -> str:
    return (
        f"{test.part:.0%} have the least alike ones at their ends (33% by chance; "
        f"p = {test.p_value:.2g})"
    )


def describe_usefulness(use: Usefulness) -> str:
    """Return the figures of usefulness."""
    text = (
        f"a small network answers {use.given:.1%} right with the columns as given, and "
        f"{float(np.mean(use.shuffled)):.1%} with shuffled columns (mean of {len(use.shuffled)} "
        f"shuffles, {min(use.shuffled):.1%} to {max(use.shuffled):.1%}; p = {use.p_value:.2g}; "
        f"always the most frequent class: {use.majority:.1%})"
    )
    return text if use.is_telling else f"{text}; it has learned nothing in any order"


def _describe_rows(order: RowOrder) -> str:
    if order.alike >= order.continues:
        what = f"rows side by side are alike (mean correlation {order.alike:.2f}"
    else:
        what = f"a row begins where the row before ended (correlation {order.continues:.2f}"
    return f"{what}; p = {order.p_value:.2g}), as in a recording that was cut into rows"


def _predictors(layout: Layout) -> str:
    return "two" if layout.is_line else "four"


def describe_mixed(structure: Structure, columns: int) -> str:
    """Return a sentence on columns of different kinds."""
    kinds = ", ".join(
        f"{count} {kind if count == 1 else PLURALS[kind]}"
        for kind, count in sorted(structure.kinds.items())
    )
    if structure.overlap is not None and "number" not in structure.kinds:
        return (
            f"structure: the {columns} columns are categories with alphabets of their own (a "
            f"column shares {structure.overlap:.0%} of its symbols with another, on average); "
            "neighbours have nothing in common that a feature could find"
        )
    return (
        f"structure: the {columns} columns are of different kinds ({kinds}); neighbours have "
        "nothing in common that a feature could find"
    )


def describe_aside(columns: Sequence[Column], structure: Structure) -> list[str]:
    """Return sentences on what was left out of the comparison."""
    notes = []
    if structure.aside and not structure.mixed:
        kinds = {columns[index].kind for index in structure.aside}
        named = listed([quoted(columns[index].name) for index in structure.aside])
        notes.append(f"set aside, as they are of another kind ({listed(sorted(kinds))}): {named}")
    constant = sum(column.kind == "constant" for column in columns)
    if constant:
        notes.append(f"{constant} of {len(columns)} columns have only one value, and show nothing")
    missing = sum(column.missing for column in columns)
    if missing:
        cells = len(columns) * len(columns[0].values)
        notes.append(
            f"{missing:,} of {cells:,} values are missing or infinite; they count as average"
        )
    return notes


def describe_blocks(blocks: Sequence[Block]) -> list[str]:
    """Return a line on each kind of blocks of columns of 0 and 1; none if there are none."""
    lines = []
    one_hot = [block for block in blocks if not block.steps]
    if one_hot:
        categories = "1 category" if len(one_hot) == 1 else f"{len(one_hot)} categories"
        lines.append(
            f"structure: {sum(block.width for block in one_hot)} columns are {categories}, one-hot "
            "encoded (exactly one column of each is 1 in every row)"
        )
    steps = [block for block in blocks if block.steps]
    if steps:
        levels = "1 level" if len(steps) == 1 else f"{len(steps)} levels"
        lines.append(
            f"structure: {sum(block.width for block in steps)} columns are {levels}, encoded in "
            "steps (in every row, the columns of a level are first all 1, then all 0, or the other "
            "way round)"
        )
    return lines


# Advice -------------------------------------------------------------------------------------------

USE_TREES = (
    "a network that slides over the columns is the wrong tool here; use boosted trees, for "
    "example:\n"
    "from sklearn.ensemble import HistGradientBoostingClassifier\n"
    "HistGradientBoostingClassifier().fit(X, y)"
)
_USE_TREES_OF_TEXTS = (
    "a network that slides over the columns is the wrong tool here; use boosted trees, for "
    "example:\n"
    "from sklearn import ensemble, pipeline, preprocessing\n"
    "pipeline.make_pipeline(preprocessing.OrdinalEncoder(), "
    "ensemble.HistGradientBoostingClassifier()).fit(X, y)"
)


def use_trees(structure: Structure | None) -> str:
    """Return what to use instead of a network; trees in scikit-learn take only numbers."""
    counts = {} if structure is None else structure.kinds
    kinds = {kind for kind, count in counts.items() if count}
    return USE_TREES if kinds <= {"number", "constant"} else _USE_TREES_OF_TEXTS


_DIVIDE = (
    "rows side by side are alike, so a random division into training and test flatters the "
    "accuracy; keep rows of one recording together (data.group), or test on later rows"
)


def advise(verdict: Verdict, *, labelled: bool) -> tuple[str, ...]:
    """Return what to do after a verdict, in sentences."""
    rows = verdict.row_order
    divide = [_DIVIDE] if rows is not None and rows.is_ordered else []
    if verdict.parts:
        return (*(_part_advice(part) for part in verdict.parts), *divide)
    if verdict.decision == "permutable":
        return (use_trees(verdict.structure), *divide)
    if verdict.decision == "undecided":
        wanted = "; ".join(_needs(verdict, labelled))
        return (f"the evidence is too weak to decide; needed: {wanted}", *divide)
    sentences = []
    if verdict.layout is not None and not verdict.axes:  # else they are grids already
        sentences.append(layout_advice(verdict.layout))
    flat = [axis for axis in verdict.axes if axis.decision == "permutable"]
    for axis in flat:
        place = "[all, 3]" if axis is verdict.axes[0] else "[3, all]"
        sentences.append(
            f"the order along '{axis.name}' means nothing; let features cover it whole: "
            f"kernel_size: {place}"
        )
    use = verdict.usefulness
    if use is not None and use.is_telling and use.p_value > _DOUBTFUL_USE:
        sentences.append(
            "the order carries information, but a small network answers as well without it; "
            "compare with boosted trees or logistic regression before you choose a network"
        )
    return (*sentences, *divide)


def _needs(verdict: Verdict, labelled: bool) -> list[str]:
    """Return what an undecided verdict lacks: columns, rows, labels."""
    wanted = []
    more = ENOUGH_COLUMNS - verdict.columns
    if more > 0:
        wanted.append(
            f"{more} more {'column' if more == 1 else 'columns'} ({verdict.columns} have too few "
            f"orders; from {ENOUGH_COLUMNS} on, neighbours can show one)"
        )
    elif verdict.rows < ROWS:
        # Two standard errors of a correlation of columns that do not depend on each other.
        wanted.append(
            f"more rows: {verdict.rows:,} show correlations from about "
            f"{2 / math.sqrt(verdict.rows):.2f} on, and {min(4 * verdict.rows, ROWS):,} would show "
            f"those from {2 / math.sqrt(min(4 * verdict.rows, ROWS)):.2f} on"
        )
    if any(near.is_doubtful for near in verdict.neighbours):
        wanted.append(
            "your knowledge of the columns: neighbours are alike, but hardly more so than columns "
            "one step further, as in an order and also in groups of related columns"
        )
    use = verdict.usefulness
    if not labelled:
        wanted.append("labels, to measure whether the order is useful")
    elif use is None:
        wanted.append("at least 6 rows of each of two classes, for a network to learn from")
    elif not use.is_telling and use.rows < MOST_ROWS:
        wanted.append(
            f"more rows with labels: from {use.rows:,} the network learns nothing, and it takes up "
            f"to {MOST_ROWS:,}"
        )
    if verdict.structure is not None and len(verdict.structure.alphabet) >= SYMBOLS:
        wanted.append(
            "your knowledge of the columns: they share one alphabet, as the places of a sequence "
            "or of a board do, and nothing in these rows shows whether they are in order"
        )
    return wanted or ["columns, or labels, that depend on each other: these hardly do"]


def layout_advice(layout: Layout) -> str:
    """Return a sentence that names a layout, and its adapter as a block of a spec."""
    lead = f"{layout.positions * layout.channels} columns behave like {layout}"
    settings = yaml.safe_dump(
        {"adapter": layout.adapter}, default_flow_style=True, sort_keys=False, width=200
    )
    return f"{lead}; in the spec:\n{settings.strip()[1:-1]}"


def _part_advice(part: Part) -> str:
    settings = yaml.safe_dump(
        {"adapter": Layout(1, part.columns).adapter},
        default_flow_style=True,
        sort_keys=False,
        width=200,
    )
    return (
        f"use {_range(part)} alone, as the input of the table (gridcnn init writes such a spec):\n"
        f"{settings.strip()[1:-1]}"
    )
