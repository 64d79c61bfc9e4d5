"""Learning curves and confusion matrices as figures of Matplotlib, to show, save or change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gridcnn.evaluation import Evaluation
from gridcnn.training.loop import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TRAINING, _VALIDATION, _FAINT = "#0b61a4", "#b35806", "#9aa0a8"
_CELL, _LEAST, _MOST = 0.42, 3.2, 14.0  # inches
_WRITTEN = 24
"""Classes up to which counts and names are written into a confusion matrix."""


def history_figure(history: Sequence[Epoch], *, best_epoch: int, measured: str) -> Figure:
    """Return loss and accuracy of each epoch as a figure; no window is opened.

    Args:
        history: the epochs.
        best_epoch: whose weights are kept; a dashed line marks it.
        measured: what the accuracy is called.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_curves(left, history, ("loss", "validation_loss"), best_epoch)
    left.set(title="Loss", ylabel="mean over items", ylim=(0, None))
    _draw_curves(right, history, ("accuracy", "validation_accuracy"), best_epoch)
    right.set(title=measured.capitalize(), ylabel=f"{measured}, in percent")
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def _draw_curves(
    axes: Axes, history: Sequence[Epoch], names: Sequence[str], best_epoch: int
) -> None:
    from matplotlib.ticker import MaxNLocator

    looks: tuple[tuple[str, Any], ...] = (
        ("training", {"color": _TRAINING}),
        ("validation", {"color": _VALIDATION, "linestyle": "--"}),
    )
    for (label, look), name in zip(looks, names, strict=True):
        points = [(each.epoch, getattr(each, name)) for each in history]
        known = [(epoch, value) for epoch, value in points if value is not None]
        if known:
            marker = "o" if len(known) <= 40 else ""
            axes.plot(*zip(*known, strict=True), label=label, marker=marker, markersize=3, **look)
    if best_epoch:
        axes.axvline(best_epoch, color=_FAINT, linestyle=":", label="weights that are kept")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="#d5d9df", linewidth=0.5)
    axes.legend(frameon=False)


def confusion_figure(evaluation: Evaluation) -> Figure:
    """Return how often each class was answered with each other as a figure; no window is opened.

    The colour of a cell is its part of its row. Of several labels there is a row for each, with
    how many items have the label and were answered with it, were not, and so on.
    """
    from matplotlib.figure import Figure

    names = [str(label) for label in evaluation.labels]
    if evaluation.several:
        # Rows are the truth, without and with the label; columns the answers.
        counts = evaluation.confusion[:, [1, 1, 0, 0], [1, 0, 1, 0]]
        columns = ["found", "missed", "false alarm", "rightly without"]
    else:
        counts, columns = evaluation.confusion, names
    width, height = (min(_MOST, max(_LEAST, _CELL * count)) for count in (len(columns), len(names)))
    figure = Figure(figsize=(width + 1.9, height + 1.4), layout="constrained")
    axes = figure.subplots()
    parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(parts, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_title(f"Confusion of {evaluation.items:,} items")
    axes.set_ylabel("label" if evaluation.several else "truth")
    axes.set_xlabel("" if evaluation.several else "answer")
    figure.colorbar(image, ax=axes, label="part of the row", shrink=0.8)
    if len(names) <= _WRITTEN:
        axes.set_yticks(range(len(names)), names, parse_math=False)
        slanted = evaluation.several or max(map(len, columns)) > 2
        axes.set_xticks(
            range(len(columns)),
            columns,
            rotation=45 if slanted else 0,
            ha="right" if slanted else "center",
            parse_math=False,
        )
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if parts[row, column] > 0.55 else "black"
            text = f"{int(count):,}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize="small")
    return figure
