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

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from gridcnn.errors import DataError, listed, quoted
from gridcnn.order.columns import Column, column_of, comparable
from gridcnn.order.lags import association, by_distance
from gridcnn.order.layouts import FEWEST_POSITIONS, Layout, layouts
from gridcnn.order.neighbours import (
    GRADATION,
    SCORE,
    TOGETHER,
    Neighbours,
    look,
    look_along,
)
from gridcnn.order.prediction import Predictor
from gridcnn.order.structure import Structure, structure
from gridcnn.order.usefulness import MOST_ROWS, TRAININGS, Usefulness, usefulness
from gridcnn.order.verdict import AxisVerdict, Decision, Verdict
from gridcnn.progress import Advance, Counter
from gridcnn.streams import Stream

ROWS = 4_000
"""Rows that are looked at; of more, so many are drawn at random."""
_COLUMNS = 2_048  # numbers of a row that are compared; of wider tables those in the middle
_FEWEST_COLUMNS = 3
_FEWEST_ROWS = 20  # for two halves, on which predictions are fitted and judged
_SYMBOLS = 3  # of an alphabet that all columns share; two are shared by all answers of yes and no
_TELLING_OF_SEQUENCES = 0.2
"""What the best columns have to explain beyond chance, before neighbours that do not are held
against columns of one alphabet."""
_ENOUGH_COLUMNS = 8
"""Of so many columns on, neighbours can show an order beyond doubt: of eight there are 20,160."""
_DOUBTFUL = 0.05  # from this p-value on, a network that does without the order is worth a word


@dataclass(frozen=True)
class Judging:
    """What a judgement is made with.

    Attributes:
        seed: fixes all that is left to chance.
        threads: the most threads; None: as many as this process may use.
        advance: is called with the progress.
        thorough: whether usefulness is looked at even where neighbours have settled the decision;
            without it the decision is the same, and the evidence shorter.
    """

    seed: int = 0
    threads: int | None = None
    advance: Advance | None = None
    thorough: bool = True

    def counter(self, what: str, total: int, *, unit: str = "steps") -> Counter:
        """Return what counts the steps of one kind of evidence."""
        return Counter(self.advance, what, total, unit=unit)


def sampled(rows: int, seed: int, *, most: int = ROWS) -> NDArray[np.int64]:
    """Return which rows are looked at, rising: all, or `most` of them at random."""
    if rows <= most:
        return np.arange(rows)
    random = Stream.CHECK_ROWS.random(seed)
    return np.sort(random.choice(rows, most, replace=False))


def judge_columns(
    columns: Sequence[Column],
    targets: NDArray[np.int64] | None,
    *,
    rows: int,
    judging: Judging,
    shape: tuple[int, int] | None = None,
) -> Verdict:
    """Return the verdict on the columns of a table.

    Args:
        columns: the columns, with the values of the rows that are looked at.
        targets: the class of each of these rows, int64 `(rows,)`, -1 for none; None: no labels.
        rows: how many rows the table has in all.
        judging: seed, threads and progress.
        shape: the rows and columns of the grid that these columns are said to be; None: it is
            looked for.

    Raises:
        DataError: there are too few columns or rows, or the shape does not go with the columns.
    """
    refuse_too_few(len(columns), len(columns[0].values) if columns else 0)
    found = structure(columns)
    notes = _notes(columns, found)
    if found.mixed:
        return Verdict(
            "permutable",
            (_told_mixed(found, len(columns)), *notes),
            (_use_trees(found),),
            structure=found,
            rows=rows,
            columns=len(columns),
        )
    judged = [columns[index] for index in found.judged]
    if shape is not None and shape[0] * shape[1] != len(judged):
        raise DataError(
            f"a grid of {shape[0]} x {shape[1]} has {shape[0] * shape[1]} cells, but there are "
            f"{len(judged)} columns to fill it with"
        )
    values, usable = comparable(judged)
    tried = list(layouts(len(judged))) if shape is None else [Layout(*shape)]
    case = _Case(values, usable, targets, rows, judging)
    return case.verdict(tried, (), found, notes, given=shape is not None)


def judge_grids(
    cells: NDArray[Any],
    targets: NDArray[np.int64] | None,
    *,
    names: tuple[str, str] = ("rows", "columns"),
    rows: int,
    judging: Judging,
) -> Verdict:
    """Return the verdict on items that are grids: on each of their axes, and on the whole.

    Args:
        cells: `(items, channels, rows, columns)`, the items that are looked at.
        targets: as for `judge_columns`.
        names: what the axes are called.
        rows: how many items there are in all.
        judging: seed, threads and progress.

    Raises:
        DataError: there are too few cells or items.
    """
    items, channels, height, width = whole_sizes = cells.shape
    refuse_too_few(channels * height * width, items)
    cells = _middle(cells)
    channels, height, width = cells.shape[1:]
    flat = cells.reshape(items, -1)
    columns = [column_of("", values) for values in flat.T]
    found = structure(columns)
    values, usable = comparable(columns)
    case = _Case(values, usable, targets, rows, judging)
    axes = []
    for axis, name in enumerate(names):
        size = cells.shape[2 + axis]
        if size > 1:
            judged = case.axis(cells.shape[1:], axis, name)
            axes.append(replace(judged, size=whole_sizes[2 + axis]))
    whole = Layout(height, width, channels, interleaved=False)
    notes = _notes(columns, found)
    if cells.shape != whole_sizes:
        notes.append(
            f"looked at the {height} x {width} cells in the middle of "
            f"{whole_sizes[2]:,} x {whole_sizes[3]:,}, in {channels} of {whole_sizes[1]:,} channels"
        )
    return case.verdict([whole], tuple(axes), found, notes, given=True)


_CHANNELS = 8  # of large grids with more of them, so that enough cells of each can be compared


def _middle(cells: NDArray[Any]) -> NDArray[Any]:
    """Return the middle of large grids, so large that all of its cells can be compared."""
    _, channels, height, width = cells.shape
    if channels * height * width <= _COLUMNS:
        return cells
    if channels > _CHANNELS:
        cells = cells[:, np.linspace(0, channels - 1, _CHANNELS).round().astype(int)]
        channels = _CHANNELS
    each = _COLUMNS // channels
    # A square, unless one side is too short for it.
    rows = min(height, max(math.isqrt(each), each // width))
    columns = min(width, each // rows)
    top, left = (height - rows) // 2, (width - columns) // 2
    return cells[:, :, top : top + rows, left : left + columns]


class _Case:
    """Columns that can be compared, and what they are judged by."""

    def __init__(
        self,
        values: NDArray[np.float32],
        usable: NDArray[np.bool_],
        targets: NDArray[np.int64] | None,
        rows: int,
        judging: Judging,
    ) -> None:
        self.columns = values.shape[1]
        self.rows = rows
        self.judging = judging
        # The middle: at their edges pictures are blank.
        count = min(self.columns, max(1, _COLUMNS // values.shape[2]))
        self.first = (self.columns - count) // 2
        part = slice(self.first, self.first + count)
        self.values, self.usable = values[:, part], usable[part]
        self.targets = targets
        self.predictor = Predictor(self.values)
        self.associations = association(self.values, self.usable)

    @property
    def is_whole(self) -> bool:
        """Whether all columns are compared."""
        return bool(len(self.usable) == self.columns)

    def axis(self, sizes: tuple[int, ...], axis: int, name: str) -> AxisVerdict:
        """Return the verdict on one axis of grids of `(channels, rows, columns)`."""
        size = sizes[1 + axis]
        if size < FEWEST_POSITIONS or not self.is_whole:
            return AxisVerdict(name, size, "undecided")
        # What lies along the axis first, everything else behind it.
        place = np.moveaxis(np.arange(self.columns).reshape(sizes), 1 + axis, 0).reshape(-1)
        predictor = Predictor(self.values[:, place])
        layout = Layout(1, size, self.columns // size)
        close = self.associations[np.ix_(place, place)]
        along = look_along(predictor, self.usable[place], close, layout, seed=self.judging.seed)
        decision: Decision = "undecided"
        if along is not None and along.is_ordered:
            decision = "grid"
        elif (
            along is not None
            and along.is_telling
            and not along.is_close
            and size >= _ENOUGH_COLUMNS
        ):
            decision = "permutable"
        return AxisVerdict(name, size, decision, along)

    def verdict(
        self,
        tried: Sequence[Layout],
        axes: tuple[AxisVerdict, ...],
        found: Structure,
        notes: Sequence[str],
        *,
        given: bool,
    ) -> Verdict:
        """Return the verdict, from neighbours in the layouts and from usefulness.

        `given`: the layout is known, and not looked for.
        """
        judging = self.judging
        # Parts of blocked channels would be channels that miss most of their cells.
        fit = [each for each in tried if self.is_whole or each.interleaved or each.channels == 1]
        fit = [each for each in fit if each.positions >= FEWEST_POSITIONS]
        near = look(
            self.predictor,
            self.usable,
            self.associations,
            fit,
            seed=judging.seed,
            first=self.first,
            advance=judging.counter("comparing neighbours", len(fit)).add,
        )
        ordered = near[0] if near and near[0].is_ordered else None
        lags = by_distance(self.associations, seed=judging.seed)
        settled = ordered is not None or any(axis.decision == "grid" for axis in axes)
        asked = judging.thorough or not settled
        use = None
        if asked:
            use = self._usefulness(ordered.layout if ordered else tried[0] if given else None)
        decision = self._decision(ordered is not None, near, axes, use, found)
        layout = ordered.layout if ordered else (near[0].layout if near else None)
        verdict = Verdict(
            decision,
            (*self._evidence(near, axes, use, found, asked=asked), *notes),
            (),
            layout=layout if decision == "grid" else None,
            axes=axes,
            structure=found,
            neighbours=tuple(near),
            lags=lags,
            usefulness=use,
            rows=self.rows,
            columns=self.columns,
        )
        return replace(verdict, advice=advice(verdict, labelled=self.targets is not None))

    def _usefulness(self, layout: Layout | None) -> Usefulness | None:
        if self.targets is None:
            return None
        known = np.flatnonzero(self.targets >= 0)
        if layout is None or not self.is_whole:
            layout = Layout(1, self.values.shape[1])
        return usefulness(
            self.values[known],
            self.targets[known],
            layout,
            seed=self.judging.seed,
            threads=self.judging.threads,
            advance=self.judging.counter("training on shuffles", TRAININGS).add,
        )

    def _decision(
        self,
        ordered: bool,
        near: Sequence[Neighbours],
        axes: Sequence[AxisVerdict],
        use: Usefulness | None,
        found: Structure,
    ) -> Decision:
        if ordered or any(axis.decision == "grid" for axis in axes):
            return "grid"
        if use is not None and use.is_useful:
            return "grid"
        if any(each.is_doubtful for each in near):
            return "undecided"
        sequence = len(found.alphabet) >= _SYMBOLS
        least = _TELLING_OF_SEQUENCES if sequence else 0.0
        telling = any(each.is_telling and each.best - each.by_chance >= least for each in near)
        shown_by_neighbours = telling and int(self.usable.sum()) >= _ENOUGH_COLUMNS
        if sequence and not shown_by_neighbours:
            # The places of a sequence or of a board, as it seems: that a small network does without
            # their order says little, and so do faint dependences.
            return "undecided"
        shown_by_use = use is not None and use.is_telling
        return "permutable" if shown_by_neighbours or shown_by_use else "undecided"

    def _evidence(
        self,
        near: Sequence[Neighbours],
        axes: Sequence[AxisVerdict],
        use: Usefulness | None,
        found: Structure,
        *,
        asked: bool,
    ) -> list[str]:
        sentences = []
        if found.alphabet:
            some = ", ".join(found.alphabet[:8]) + (", ..." if len(found.alphabet) > 8 else "")
            sentences.append(
                f"structure: all columns share one alphabet of {len(found.alphabet)} symbols "
                f"({some}), as the places of a sequence do"
            )
        if near:
            sentences.append(f"neighbours: {told_neighbours(near[0])}")
        elif not axes:
            sentences.append(
                f"neighbours: {self.columns} columns have too few orders to tell one from another "
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
        elif self.targets is not None and asked:
            sentences.append("usefulness: too few rows with the same label to train on")
        looked = len(self.values)
        if looked < self.rows:
            sentences.append(f"looked at {looked:,} of {self.rows:,} rows, drawn at random")
        if not self.is_whole:
            sentences.append(
                f"looked at columns {self.first + 1:,} to {self.first + self.values.shape[1]:,} "
                f"of {self.columns:,}"
            )
        return sentences


# Sentences ----------------------------------------------------------------------------------------

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


def _use_trees(found: Structure | None) -> str:
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


def _told_mixed(found: Structure, columns: int) -> str:
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


def _notes(columns: Sequence[Column], found: Structure) -> list[str]:
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
        return (_use_trees(verdict.structure),)
    if verdict.decision == "undecided":
        return (f"there is too little to tell by; needed: {'; '.join(_wanted(verdict, labelled))}",)
    sentences = []
    if verdict.layout is not None and not verdict.axes:  # else they are grids already
        sentences.append(_layout_advice(verdict.layout))
    flat = [axis for axis in verdict.axes if axis.decision == "permutable"]
    for axis in flat:
        place = "[all, 3]" if axis is verdict.axes[0] else "[3, all]"
        sentences.append(
            f"the order along '{axis.name}' means nothing; let no feature slide along it: "
            f"kernel_size: {place}"
        )
    use = verdict.usefulness
    if use is not None and use.is_telling and use.p_value > _DOUBTFUL:
        sentences.append(
            "the order carries information, but this small network did without it; compare with "
            "boosted trees or logistic regression before you settle on a network"
        )
    return tuple(sentences)


def _wanted(verdict: Verdict, labelled: bool) -> list[str]:
    """Return what an undecided verdict lacks: columns, rows, labels."""
    wanted = []
    more = _ENOUGH_COLUMNS - verdict.columns
    if more > 0:
        wanted.append(
            f"{more} more {'column' if more == 1 else 'columns'} ({verdict.columns} have too few "
            f"orders; of {_ENOUGH_COLUMNS} on, neighbours can show one)"
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
    if verdict.structure is not None and len(verdict.structure.alphabet) >= _SYMBOLS:
        wanted.append(
            "your knowledge of the columns: they share one alphabet, as the places of a sequence "
            "or of a board do, and nothing in these rows tells whether they are in order"
        )
    return wanted or ["columns, or labels, that depend on each other: these hardly do"]


def _layout_advice(layout: Layout) -> str:
    lead = f"{layout.positions * layout.channels} columns behave like {layout}"
    settings = yaml.safe_dump(
        {"adapter": layout.adapter}, default_flow_style=True, sort_keys=False, width=200
    )
    return f"{lead}; in the spec:\n{settings.strip()[1:-1]}"


def refuse_too_few(columns: int, rows: int) -> None:
    """Raise `DataError` where there are too few columns, or rows, to compare columns by."""
    found = []
    if columns < _FEWEST_COLUMNS:
        found.append(
            f"{columns} {'column has' if columns == 1 else 'columns have'} no order to speak of; "
            f"at least {_FEWEST_COLUMNS} are needed"
        )
    if rows < _FEWEST_ROWS:
        found.append(
            f"{rows} {'row is' if rows == 1 else 'rows are'} too few to compare columns by; at "
            f"least {_FEWEST_ROWS} are needed"
        )
    if found:
        raise DataError(*found)
