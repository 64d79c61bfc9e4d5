"""One case: columns that can be compared, and the evidence about their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets
from gridcnn.order.closeness import WORTH
from gridcnn.order.judging import Judging
from gridcnn.order.lags import association, by_distance
from gridcnn.order.layouts import FEWEST_POSITIONS, Layout
from gridcnn.order.neighbours import GRADED_SCORE, Neighbours, look, look_along
from gridcnn.order.parts import (
    ENOUGH_COLUMNS,
    Part,
    Surroundings,
    are_standard,
    find_links,
    find_runs,
    has_strangers,
    is_nearly_all,
)
from gridcnn.order.prediction import Predictor
from gridcnn.order.rows import order_of_rows
from gridcnn.order.rule import Evidence, decide, decide_axis, is_clear
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import TRAININGS, Usefulness, best_layout, usefulness
from gridcnn.order.verdict import AxisVerdict, Verdict
from gridcnn.order.wording import describe_evidence

_MOST_PARTS = 3
"""Stretches that are judged at most: a table has one or two series in it, and each takes time."""
_NEARLY_ALL = 0.8
"""The share of the columns from which on a stretch is the table itself; the rest is noise."""
_NEARLY_AS_GOOD = 0.06
"""How much less merit the line may have than another layout and still come first: of smooth curves
rows of three are as close by luck."""
_MANY_CHANNELS = 5
"""Channels from which on they may be an axis; up to four are channels, as colours and bands are."""
COLUMNS = 2_048
"""Numbers of a row that are compared; in wider tables those in the middle. The covariances of these
take 32 MiB for each half of the rows."""


class Case:
    """Columns that can be compared, with their classes and what they are judged with."""

    def __init__(
        self,
        values: NDArray[np.float32],
        usable: NDArray[np.bool_],
        targets: Targets | None,
        rows: int,
        judging: Judging,
        *,
        scales: NDArray[np.float64] | None = None,
    ) -> None:
        self.columns = values.shape[1]
        self.rows = rows
        self.judging = judging
        # The middle: at their edges pictures are blank.
        count = min(self.columns, max(1, COLUMNS // values.shape[2]))
        self.first = (self.columns - count) // 2
        part = slice(self.first, self.first + count)
        self.values, self.usable = values[:, part], usable[part]
        self.targets = targets
        self.scales = scales
        """The mean and the deviation of each column in its units; None if they are not known."""
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
        # The axis comes first, everything else after it.
        place = np.moveaxis(np.arange(self.columns).reshape(sizes), 1 + axis, 0).reshape(-1)
        predictor = Predictor(self.values[:, place])
        layout = Layout(1, size, self.columns // size)
        close = self.associations[np.ix_(place, place)]
        along = look_along(predictor, self.usable[place], close, layout, seed=self.judging.seed)
        return AxisVerdict(name, size, decide_axis(along, size), along)

    def verdict(
        self,
        tried: Sequence[Layout],
        axes: tuple[AxisVerdict, ...],
        structure: Structure,
        notes: Sequence[str],
        *,
        given: bool,
        breaks: NDArray[np.bool_] | None = None,
    ) -> Verdict:
        """Return the verdict, by neighbours in the layouts and by usefulness, without its words.

        Args:
            tried: the layouts that the columns may have.
            axes: the verdicts on the axes of grids.
            structure: what kinds of columns there are.
            notes: more sentences for the evidence.
            given: whether the layout is known, so that no other is looked for.
            breaks: whether other columns stand between a column and the next, `(columns - 1,)`;
                None if there are none.
        """
        judging = self.judging
        near = self.neighbours(tried)
        line = Layout(1, self.columns)
        ordered = self._ordered_layouts(near, line)
        parts: tuple[Part, ...] = ()
        # Parts are stretches of a line; a grid of several rows or channels has no parts. But a part
        # that is a line makes rows of three look like an order, too: then the line fits as well.
        merit = max((look.merit for look in near if look.is_ordered), default=0.0)
        in_line = any(
            look.layout == line
            and (look.is_ordered or look.is_doubtful)
            and look.merit >= merit - WORTH
            for look in near
        )
        if not (given or structure.mixed) and (in_line or not ordered):
            doubtful = any(look.is_doubtful for look in near)
            parts = self.parts(breaks, whole=bool(ordered) or doubtful)
        evidence = Evidence(structure, near, axes, None, int(self.usable.sum()), parts)
        settled = bool(parts) or decide(evidence) == ("grid", True)
        asked = self.targets is not None and (judging.thorough or not settled)
        layout = ordered[0] if ordered else self._likely_layout(near)
        if len(ordered) > 1 and not parts:
            layout = self._best_layout(ordered)
        near.sort(key=lambda look: look.layout != layout)
        if asked:
            evidence = replace(evidence, near=near)
            is_enough = None if settled else partial(_is_clear_with, evidence)
            use = self._usefulness(tried[0] if given else layout, is_enough)
            evidence = replace(evidence, use=use)
        decision, steady = decide(evidence)
        row_order = order_of_rows(self.values, self.targets, seed=judging.seed)
        sentences = describe_evidence(
            evidence, columns=self.columns, asked=asked, steady=steady, row_order=row_order
        )
        return Verdict(
            decision,
            (*sentences, *self._left_out(), *notes),
            (),
            layout=layout if decision == "grid" else None,
            axes=axes,
            structure=structure,
            neighbours=tuple(near),
            lags=by_distance(self.associations, seed=judging.seed),
            usefulness=evidence.use,
            rows=self.rows,
            columns=self.columns,
            parts=parts,
            row_order=row_order,
            steady=steady,
        )

    def _ordered_layouts(self, near: Sequence[Neighbours], line: Layout) -> list[Layout]:
        """Return the layouts that are in order, the best and simplest first.

        The line is the simplest of all, and comes first if it is nearly as good.
        """
        merit = max((each.merit for each in near), default=0.0)
        ordered = [each for each in near if each.is_ordered and each.merit >= merit - WORTH]
        ordered = [each for each in ordered if not _has_breaks_inside(each, ordered)]
        ordered.sort(key=lambda each: each.layout != line or each.merit < merit - _NEARLY_AS_GOOD)
        if not any(each.is_ordered and each.layout == line for each in near):
            return [each.layout for each in ordered]
        layouts = [each.layout for each in ordered if not _is_the_line(each)]
        return layouts or [line]

    def _likely_layout(self, near: Sequence[Neighbours]) -> Layout:
        """Return the layout on which a network may find an order that neighbours do not show.

        This is the plain line, unless neighbours say nothing along it and something in another one.
        """
        line = Layout(1, self.columns)
        telling = [look for look in near if look.is_telling and look.score >= GRADED_SCORE]
        if not telling or any(look.layout == line for look in telling):
            return line
        return telling[0].layout

    def neighbours(self, tried: Sequence[Layout]) -> list[Neighbours]:
        """Return the evidence of neighbours in the closest layouts, the best first."""
        # If only some columns are compared, channels in blocks would lack most of their cells.
        fit = [way for way in tried if self.is_whole or way.interleaved or way.channels == 1]
        fit = [layout for layout in fit if layout.positions >= FEWEST_POSITIONS]
        return look(
            self.predictor,
            self.usable,
            self.associations,
            fit,
            seed=self.judging.seed,
            first=self.first,
            advance=self.judging.counter("comparing neighbours", len(fit)).add,
        )

    def parts(
        self, breaks: NDArray[np.bool_] | None, *, whole: bool, all_of_it: bool = False
    ) -> tuple[Part, ...]:
        """Return the stretches of columns that are in order, if the whole is not.

        Args:
            breaks: that of `verdict`.
            whole: whether the whole seems to be in order; a part then counts only if the columns
                outside have nothing to do with those beside them.
            all_of_it: whether a part may be all of these columns, because they are themselves a
                part of a table.
        """
        if breaks is None:
            breaks = np.zeros(max(0, len(self.usable) - 1), np.bool_)
        if not self.is_whole or len(self.usable) < ENOUGH_COLUMNS:
            return ()
        links = find_links(self.associations)
        runs = find_runs(self.associations, links, self.usable, breaks)[:_MOST_PARTS]
        around = None
        if self.scales is not None and not are_standard(self.scales, self.usable):
            around = Surroundings.of(
                self.scales, breaks, self.associations, self.usable, len(self.values)
            )
        wide = runs if around is None else [around.widen(run) for run in runs]
        candidates = list(zip(runs, wide, strict=True))
        if around is not None:
            stretches = around.find_stretches(wide)[:_MOST_PARTS]
            candidates = [*((part, part) for part in stretches), *candidates]
        parts: list[Part] = []
        for run, part in candidates:
            if any(part.start < other.stop and other.start < part.stop for other in parts):
                continue
            if whole:
                if is_nearly_all(part, self.usable):
                    continue  # such as a chart that is quiet before anything happens
                is_alone = around is not None and around.are_strange(part)
                if not (is_alone or has_strangers(run, self.associations, links, self.usable)):
                    continue
            if not (whole or all_of_it) and part.columns > _NEARLY_ALL * self.usable.sum():
                continue
            inside = slice(run.start, run.stop)
            case = Case(self.values[:, inside], self.usable[inside], None, self.rows, self.judging)
            line = [Layout(1, run.columns)]
            if any(look.is_ordered for look in case.neighbours(line)):
                parts.append(part)
        return tuple(sorted(parts, key=lambda part: part.start))

    def _best_layout(self, layouts: Sequence[Layout]) -> Layout:
        """Return the layout with the best accuracy of a network; the first without labels."""
        if self.targets is None or not self.is_whole:
            return layouts[0]
        known = np.flatnonzero(self.targets >= 0)
        return best_layout(
            self.values[known],
            self.targets[known],
            layouts,
            seed=self.judging.seed,
            threads=self.judging.threads,
        )

    def _usefulness(
        self, layout: Layout, is_enough: Callable[[Usefulness], bool] | None
    ) -> Usefulness | None:
        if self.targets is None:
            return None
        if not self.is_whole:
            layout = Layout(1, self.values.shape[1])
        known = np.flatnonzero(self.targets >= 0)
        counter = self.judging.counter("training on shuffles", TRAININGS)
        return usefulness(
            self.values[known],
            self.targets[known],
            layout,
            seed=self.judging.seed,
            threads=self.judging.threads,
            is_enough=is_enough,
            advance=counter.add,
        )

    def _left_out(self) -> list[str]:
        """Return sentences on the rows and columns that were not looked at."""
        sentences = []
        looked = len(self.values)
        if looked < self.rows:
            sentences.append(f"looked at {looked:,} of {self.rows:,} rows, drawn at random")
        if not self.is_whole:
            sentences.append(
                f"looked at columns {self.first + 1:,} to {self.first + self.values.shape[1]:,} "
                f"of {self.columns:,}"
            )
        return sentences


def _is_clear_with(evidence: Evidence, use: Usefulness) -> bool:
    """Return whether a decision needs no more trainings than those of `use`."""
    return is_clear(replace(evidence, use=use))


def _is_the_line(near: Neighbours) -> bool:
    """Return whether a layout in channels is the plain line, if that is in order, too.

    Channels one after the other are, unless there are breaks between them. So are many interleaved
    channels: if these are in order among each other, they are no channels, as the days of weeks.
    """
    layout = near.layout
    if layout.interleaved:
        return layout.channels >= _MANY_CHANNELS
    return layout.is_line and not near.breaks


def _has_breaks_inside(near: Neighbours, others: Sequence[Neighbours]) -> bool:
    """Return whether the channels of a layout consist of those of another, with breaks between."""
    layout = near.layout
    return any(
        near.breaks
        and other.breaks
        and other.layout.channels > layout.channels
        and other.layout.channels % layout.channels == 0
        for other in others
    )
