"""One case: columns that can be compared, and the evidence that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.judging import Judging
from gridcnn.order.lags import association, by_distance
from gridcnn.order.layouts import FEWEST_POSITIONS, Layout
from gridcnn.order.neighbours import look, look_along
from gridcnn.order.prediction import Predictor
from gridcnn.order.rule import decide, decide_axis
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import TRAININGS, Usefulness, best_layout, usefulness
from gridcnn.order.verdict import AxisVerdict, Verdict
from gridcnn.order.wording import advice, told_evidence

COLUMNS = 2_048
"""Numbers of a row that are compared; of wider tables those in the middle."""


class Case:
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
        count = min(self.columns, max(1, COLUMNS // values.shape[2]))
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
        return AxisVerdict(name, size, decide_axis(along, size), along)

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
        ordered = [each.layout for each in near if each.is_ordered]
        lags = by_distance(self.associations, seed=judging.seed)
        settled = bool(ordered) or any(axis.decision == "grid" for axis in axes)
        asked = judging.thorough or not settled
        layout = near[0].layout if near else None
        if len(ordered) > 1:
            layout = self._best_layout(ordered)
            near.sort(key=lambda each: each.layout != layout)
        use = self._usefulness(tried[0] if given else layout) if asked else None
        decision = decide(near, axes, use, found, int(self.usable.sum()))
        evidence = told_evidence(
            near, axes, use, found, columns=self.columns, asked=asked and self.targets is not None
        )
        verdict = Verdict(
            decision,
            (*evidence, *self._left_out(), *notes),
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

    def _best_layout(self, layouts: Sequence[Layout]) -> Layout:
        """Return the layout that a small network does best on; the first if there are no labels."""
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
