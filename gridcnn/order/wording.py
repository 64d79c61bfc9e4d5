"""The sentences of a verdict: what was found, and what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import yaml

from gridcnn.errors import listed, quoted
from gridcnn.order.columns import Column
from gridcnn.order.judging import ROWS
from gridcnn.order.layouts import FEWEST_POSITIONS, Layout
from gridcnn.order.neighbours import GRADATION, SCORE, TOGETHER, Neighbours
from gridcnn.order.rule import ENOUGH_COLUMNS, SYMBOLS
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import MOST_ROWS, Usefulness
from gridcnn.order.verdict import AxisVerdict, Verdict

_DOUBTFUL_USE = 0.05
"""From this p-value on, a network that does without the order is worth a word."""

# Evidence -----------------------------------------------------------------------------------------


def told_evidence(
    near: Sequence[Neighbours],
    axes: Sequence[AxisVerdict],
    use: Usefulness | None,
    structure: Structure,
    *,
    columns: int,
    asked: bool,
) -> list[str]:
    """Return a sentence for each kind of evidence.

    `asked`: whether usefulness was looked at, as far as the rows allow.
    """
    sentences = []
    if structure.alphabet:
        some = ", ".join(structure.alphabet[:8]) + (", ..." if len(structure.alphabet) > 8 else "")
        sentences.append(
            f"structure: all columns share one alphabet of {len(structure.alphabet)} symbols "
            f"({some}), as the places of a sequence do"
        )
    if near:
        sentences.append(f"neighbours: {told_neighbours(near[0])}")
    elif not axes:
        sentences.append(
            f"neighbours: {columns} columns have too few orders to tell one from another "
            f"(at least {FEWEST_POSITIONS} columns are needed)"
        )
    sentences += [
        f"axis '{axis.name}' ({axis.size}): {axis.decision}; "
        + (
            told_neighbours(axis.neighbours, along=True)
            if axis.neighbours is not None
            else "too short to tell"
        )
        for axis in axes
    ]
    if use is not None:
        sentences.append(f"usefulness: {told_usefulness(use)}")
    elif asked:
        sentences.append("usefulness: too few rows with the same label to train on")
    return sentences


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


def use_trees(found: Structure | None) -> str:
    """Return what to use instead of a network; trees in scikit-learn take numbers alone."""
    kinds = set() if found is None else {kind for kind, count in found.kinds.items() if count}
    return USE_TREES if kinds <= {"number", "constant"} else _USE_TREES_OF_TEXTS


def told_neighbours(near: Neighbours, *, along: bool = False) -> str:
    """Return a sentence on what neighbours tell in one layout, or `along` one axis of grids."""
    if not near.is_telling:
        return (
            f"hardly any column depends on another (the best {_predictors(near.layout)} explain "
            f"{near.best:.0%} of a column), so neighbours cannot show an order"
        )
    sentence = (
        f"{'' if along else f'as {near.layout}, '}neighbours explain {near.explained:.0%} of a "
        f"column, as many columns at random {near.by_chance:.0%}, the best ones {near.best:.0%} "
        f"(score {near.score:.2f} of 1); {near.gradation:.0%} of the columns are more like both "
        "neighbours than like the next but one"
    )
    if near.p_value is None:
        return (
            f"{sentence}; an order has a score of {SCORE:.2f} and {GRADATION:.0%} at least, and "
            f"{TOGETHER:.0%} on average"
        )
    every = "all" if near.exact else "random"
    return f"{sentence}; p = {near.p_value:.2g} by {near.orders:,} {every} orders"


def told_usefulness(use: Usefulness) -> str:
    """Return a sentence on how useful the order is to a network."""
    others = float(np.mean(use.shuffled))
    sentence = (
        f"a small network answers {use.given:.1%} rightly with the columns as given, and "
        f"{others:.1%} with the same shuffle for every row (mean of {len(use.shuffled)} shuffles, "
        f"{min(use.shuffled):.1%} to {max(use.shuffled):.1%}; p = {use.p_value:.2g}; always the "
        f"most frequent class: {use.majority:.1%})"
    )
    return sentence if use.is_telling else f"{sentence}; it has learned nothing in any order"


def _predictors(layout: Layout) -> str:
    return "two" if layout.is_line else "four"


def told_mixed(found: Structure, columns: int) -> str:
    """Return a sentence on columns of different kinds."""
    names = {
        "number": "numbers",
        "category": "categories",
        "text": "texts",
        "date": "dates",
        "identifier": "identifiers",
        "constant": "one value only",
    }
    kinds = ", ".join(f"{count} {names[kind]}" for kind, count in sorted(found.kinds.items()))
    if found.overlap is not None and "number" not in found.kinds:
        return (
            f"structure: the {columns} columns are categories with alphabets of their own (a "
            f"column shares {found.overlap:.0%} of its symbols with another, on average); "
            "neighbours have nothing in common that a feature could find"
        )
    return (
        f"structure: the {columns} columns are of different kinds ({kinds}); neighbours have "
        "nothing in common that a feature could find"
    )


def told_aside(columns: Sequence[Column], found: Structure) -> list[str]:
    """Return sentences on what was left out of the comparison."""
    notes = []
    if found.aside and not found.mixed:
        kinds = {columns[index].kind for index in found.aside}
        named = listed([quoted(columns[index].name) for index in found.aside])
        notes.append(f"set aside, as they are of another kind ({listed(sorted(kinds))}): {named}")
    constant = sum(column.kind == "constant" for column in columns)
    if constant:
        notes.append(f"{constant} of {len(columns)} columns have one value only, and tell nothing")
    missing = sum(column.missing for column in columns)
    if missing:
        cells = len(columns) * len(columns[0].values)
        notes.append(
            f"{missing:,} of {cells:,} values are missing or infinite; they count as average"
        )
    return notes


def advice(verdict: Verdict, *, labelled: bool) -> tuple[str, ...]:
    """Return what to do after a verdict, in sentences."""
    if verdict.decision == "permutable":
        return (use_trees(verdict.structure),)
    if verdict.decision == "undecided":
        return (f"there is too little to tell by; needed: {'; '.join(_wanted(verdict, labelled))}",)
    sentences = []
    if verdict.layout is not None and not verdict.axes:  # else they are grids already
        sentences.append(layout_advice(verdict.layout))
    flat = [axis for axis in verdict.axes if axis.decision == "permutable"]
    for axis in flat:
        place = "[all, 3]" if axis is verdict.axes[0] else "[3, all]"
        sentences.append(
            f"the order along '{axis.name}' means nothing; let no feature slide along it: "
            f"kernel_size: {place}"
        )
    use = verdict.usefulness
    if use is not None and use.is_telling and use.p_value > _DOUBTFUL_USE:
        sentences.append(
            "the order carries information, but this small network did without it; compare with "
            "boosted trees or logistic regression before you settle on a network"
        )
    return tuple(sentences)


def _wanted(verdict: Verdict, labelled: bool) -> list[str]:
    """Return what an undecided verdict lacks: columns, rows, labels."""
    wanted = []
    more = ENOUGH_COLUMNS - verdict.columns
    if more > 0:
        wanted.append(
            f"{more} more {'column' if more == 1 else 'columns'} ({verdict.columns} have too few "
            f"orders; of {ENOUGH_COLUMNS} on, neighbours can show one)"
        )
    elif verdict.rows < ROWS:
        # Two standard errors of a correlation of columns that do not depend on each other.
        wanted.append(
            f"more rows: {verdict.rows:,} show correlations from about "
            f"{2 / math.sqrt(verdict.rows):.2f} on, and {min(4 * verdict.rows, ROWS):,} would show "
            f"those from {2 / math.sqrt(min(4 * verdict.rows, ROWS)):.2f} on"
        )
    if any(each.is_doubtful for each in verdict.neighbours):
        wanted.append(
            "a way to tell an order from groups of related columns that stand together: neighbours "
            "are alike, but hardly more so than columns one step further"
        )
    use = verdict.usefulness
    if not labelled:
        wanted.append("labels, so that it can be tried whether the order is useful")
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
            "or of a board do, and nothing in these rows tells whether they are in order"
        )
    return wanted or ["columns, or labels, that depend on each other: these hardly do"]


def layout_advice(layout: Layout) -> str:
    """Return a sentence that names a layout, and its adapter as a block of a spec."""
    lead = f"{layout.positions * layout.channels} columns behave like {layout}"
    settings = yaml.safe_dump(
        {"adapter": layout.adapter}, default_flow_style=True, sort_keys=False, width=200
    )
    return f"{lead}; in the spec:\n{settings.strip()[1:-1]}"
