"""A verdict as a figure of Matplotlib, which can be shown, saved or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gridcnn.errors import DataError
from gridcnn.order.columns import PLURALS
from gridcnn.order.lags import Lags
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import Verdict
from gridcnn.report.pictures import shows_guess
from gridcnn.report.sentences import SIGNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GIVEN, _BAND, _FAINT, _INK = "#0b61a4", "#c9cdd3", "#9aa0a8", "#1b1d21"
_WIDTH = 8.0  # inches, as are the heights
_HEAD, _LAGS, _MATRICES, _ACCURACY, _KIND = 0.7, 2.9, 3.6, 1.7, 0.4
_PERCENTS = 8  # shown, above which ticks are whole ones
_DOTTED = 80  # distances, up to which each one has a dot


def verdict_figure(verdict: Verdict) -> Figure:
    """Return what a verdict rests on as a figure.

    Association against distance, the association of every two columns as given and in a random
    order, and the accuracies; of columns of different kinds, how many of each kind there are.
    No window is opened, and no display is needed.

    Raises:
        DataError: the verdict holds sentences alone.
    """
    from matplotlib.figure import Figure

    lags = verdict.lags if verdict.lags is not None and len(verdict.lags.lags) else None
    use, structure = verdict.usefulness, verdict.structure
    kinds = None if structure is None or lags is not None or use is not None else structure
    if lags is None and use is None and kinds is None:
        raise DataError("this verdict has sentences only, and nothing to draw; print it")
    heights = [_LAGS, _MATRICES] if lags is not None else []
    heights += [_ACCURACY] if use is not None else []
    heights += [0.9 + _KIND * len(kinds.kinds)] if kinds is not None else []
    figure = Figure(figsize=(_WIDTH, _HEAD + sum(heights)), layout="constrained")
    figure.suptitle(_title(verdict), fontsize="large")
    parts = iter(np.atleast_1d(np.asarray(figure.subfigures(len(heights), height_ratios=heights))))
    what = "cells" if verdict.axes else "columns"
    if lags is not None:
        _draw_lags(next(parts).subplots(), lags, what)
        _draw_matrices(next(parts), lags, verdict, what)
    if use is not None:
        _draw_accuracy(next(parts).subplots(), use)
    if kinds is not None:
        _draw_kinds(next(parts).subplots(), kinds)
    return figure


def _title(verdict: Verdict) -> str:
    _, meaning = SIGNS[verdict.decision]
    what = "cells" if verdict.axes else "columns"
    layout = "" if verdict.layout is None else f", as {verdict.layout}"
    return (
        f"{verdict.decision}: {meaning[0].lower()}{meaning[1:].rstrip('.')}\n"
        f"{verdict.rows:,} rows x {verdict.columns:,} {what}{layout}"
    )


def _draw_lags(axes: Axes, lags: Lags, what: str) -> None:
    axes.fill_between(
        lags.lags, lags.low, lags.high, color=_BAND, label="90 of 100 random orders", linewidth=0
    )
    marker = "o" if len(lags.lags) <= _DOTTED else ""
    axes.plot(lags.lags, lags.given, color=_GIVEN, marker=marker, markersize=4, label="as given")
    axes.set_title(f"Association of {what} against their distance")
    axes.set_xlabel(f"distance, in {what}")
    axes.set_ylabel("mean association (0 to 1)")
    axes.set_xlim(0.5, max(float(lags.lags[-1]), 2) + 0.5)
    axes.set_ylim(0, max(0.05, float(max(lags.given.max(), lags.high.max()))) * 1.1)
    _count(axes)
    axes.grid(axis="y", color=_BAND, linewidth=0.5)
    axes.legend(loc="best", frameon=False)


def _draw_matrices(part: Any, lags: Lags, verdict: Verdict, what: str) -> None:
    from matplotlib import colormaps

    colours = colormaps["Blues"].with_extremes(bad="#cec8be")
    pair = part.subplots(1, 2, sharex=True, sharey=True)
    last = len(lags.matrix)
    # Of many columns some are shown, which have no numbers here.
    some = f"{last} of {verdict.columns:,} {what}" if last < verdict.columns else ""
    image = None
    for axes, title, matrix in zip(
        pair, ("as given", "in a random order"), (lags.matrix, lags.shuffled), strict=True
    ):
        image = axes.imshow(
            np.ma.masked_invalid(matrix),
            cmap=colours,
            vmin=0,
            vmax=1,
            interpolation="nearest",
            extent=(0.5, last + 0.5, last + 0.5, 0.5),
        )
        axes.set_title(f"Every two {what}, {title}")
        axes.set_xlabel(some or (what[:-1] if title == "as given" else "place in that order"))
        _count(axes)
        if some:
            axes.set(xticks=[], yticks=[])
    pair[0].set_ylabel(some or what[:-1])
    part.colorbar(image, ax=list(pair), label="association (0 to 1)", shrink=0.8)


def _draw_accuracy(axes: Axes, use: Usefulness) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.scatter(
        use.shuffled,
        [0] * len(use.shuffled),
        facecolors="none",
        edgecolors=_INK,
        s=60,
        label="each shuffle",
    )
    axes.scatter([use.given], [0], color=_GIVEN, marker="D", s=60, label="as given", zorder=3)
    if shows_guess(use):
        axes.axvline(
            use.majority,
            ymax=0.6,
            color=_FAINT,
            linestyle="--",
            label="always the most frequent class",
        )
    axes.set_title("Accuracy of a small network, with the columns as given and shuffled")
    axes.set_xlabel(
        "accuracy on rows that it was not trained on "
        f"(always the most frequent class: {use.majority:.1%})"
    )
    axes.margins(x=0.08)
    ends = axes.get_xlim()
    whole = max((ends[1] - ends[0]) * 100, 1.0) > _PERCENTS
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if whole else 1))
    axes.set_yticks([])
    axes.set_ylim(-1, 2)
    axes.legend(loc="upper center", ncols=3, frameon=False)


def _draw_kinds(axes: Axes, structure: Structure) -> None:
    kinds = sorted(structure.kinds.items(), key=lambda each: each[1])
    bars = axes.barh(
        [PLURALS[kind] for kind, _ in kinds],
        [count for _, count in kinds],
        color=_GIVEN,
    )
    axes.bar_label(bars, padding=3)
    axes.set_title("Kinds of columns, which have no common order")
    axes.set_xlabel("columns")
    _count(axes)
    axes.margins(x=0.1)


def _count(axes: Axes) -> None:
    """Give the horizontal axis only whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
