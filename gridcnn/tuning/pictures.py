"""Pictures of a search: how the results went, and which settings mattered."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcnn.files import write_bytes
from gridcnn.spec.models import SelectBy
from gridcnn.tuning.folder import HISTORY, SETTINGS
from gridcnn.tuning.space import Dimension, label_text, short_names
from gridcnn.tuning.trials import TuneTrial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GIVEN, _BAND, _FAINT, _BEST = "#0b61a4", "#c9cdd3", "#9aa0a8", "#b5421c"
_MOST_PANELS = 12
_ACROSS = 3
_LONGEST = 14  # signs of a label below an axis


def write_pictures(
    folder: Path,
    trials: Sequence[TuneTrial],
    dimensions: Mapping[str, Dimension],
    importances: Mapping[str, float],
    by: SelectBy,
) -> None:
    """Write `history.png` and `settings.png`."""
    for name, figure in (
        (HISTORY, history_figure(trials, by)),
        (SETTINGS, settings_figure(trials, dimensions, importances, by)),
    ):
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120)
        write_bytes(folder / name, content.getvalue())


def history_figure(trials: Sequence[TuneTrial], by: SelectBy) -> Figure:
    """Return the result of each trial, and the best so far."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    scored = [(trial.number, trial.score.value(by), trial.state) for trial in trials if trial.score]
    complete = [(number, value) for number, value, state in scored if state == "complete"]
    pruned = [(number, value) for number, value, state in scored if state == "pruned"]
    failed = [each.number for each in trials if each.state == "failed"]
    if pruned:
        axes.scatter(*_columns(pruned), color=_FAINT, marker="x", s=40, label="given up early")
    axes.scatter(*_columns(complete), color=_GIVEN, s=36, zorder=3, label="trained")
    numbers, best = _best_so_far(complete, higher=by != "loss")
    last = max(each.number for each in trials)
    axes.step([*numbers, last], [*best, best[-1]], where="post", color=_BEST, label="best so far")
    _limit(axes, [value for _, value, _ in scored], best)
    if failed:
        low = axes.get_ylim()[0]
        axes.scatter(
            failed,
            [low] * len(failed),
            color=_BEST,
            marker="|",
            s=60,
            clip_on=False,
            label="failed",
        )
    axes.set_title(f"Validation {_words(by)} of each trial")
    axes.set_xlabel("trial")
    _name_values(axes, by)
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
    axes.grid(axis="y", color=_BAND, linewidth=0.5)
    axes.legend(loc="best", frameon=False)
    return figure


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    """Return the places and the values of points."""
    return [place for place, _ in points], [value for _, value in points]


def _best_so_far(
    complete: Sequence[tuple[int, float]], *, higher: bool
) -> tuple[list[int], list[float]]:
    numbers: list[int] = []
    best: list[float] = []
    for number, value in complete:
        better = not best or (value > best[-1] if higher else value < best[-1])
        numbers.append(number)
        best.append(value if better else best[-1])
    return numbers, best


def _limit(axes: Axes, values: Sequence[float], best: Sequence[float]) -> None:
    """Prevent a few very bad trials from squeezing the others: they are left out."""
    ordered = sorted(values)
    tenth = len(ordered) // 10
    ends = []
    for outer, inner in ((ordered[0], ordered[tenth]), (ordered[-1], ordered[-1 - tenth])):
        near = abs(outer - inner) <= 1.5 * (ordered[-1 - tenth] - ordered[tenth])
        ends.append(outer if near else inner)
    low, high = min(ends[0], *best), max(ends[1], *best)
    margin = 0.08 * ((high - low) or 0.01)
    axes.set_ylim(low - margin, high + margin)


def _words(by: SelectBy) -> str:
    """Return the name of a result in words."""
    known = {"macro_f1": "macro F1", "auc": "area under the ROC curve"}
    return known.get(by, by.replace("_", " "))


def _name_values(axes: Axes, by: SelectBy) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set_ylabel(f"validation {_words(by)}")
    if "accuracy" in by:
        low, high = axes.get_ylim()
        axes.yaxis.set_major_formatter(
            PercentFormatter(1.0, decimals=0 if high - low > 0.08 else 1)
        )


def settings_figure(
    trials: Sequence[TuneTrial],
    dimensions: Mapping[str, Dimension],
    importances: Mapping[str, float],
    by: SelectBy,
) -> Figure:
    """Return how much each setting mattered, and the results against the values of each."""
    from matplotlib.figure import Figure

    names = sorted(dimensions, key=lambda name: -importances.get(name, 0.0))[:_MOST_PANELS]
    rows, short = -(-len(names) // _ACROSS), short_names(dimensions)
    bars = 0.9 + 0.34 * len(importances) if importances else 0.0
    figure = Figure(figsize=(10, bars + 2.7 * rows), layout="constrained")
    heights = [bars, 2.7 * rows] if importances else [2.7 * rows]
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    if importances:
        _draw_importances(parts[0, 0].subplots(), importances, short)
    panels = parts[-1, 0].subplots(rows, _ACROSS, squeeze=False)
    scored = [trial for trial in trials if trial.score is not None]
    for axes, name in zip(panels.flat, names, strict=False):
        _draw_setting(axes, scored, dimensions[name], by)
        axes.set_title(short[name], fontsize="medium")
    for axes in list(panels.flat)[len(names) :]:
        axes.set_axis_off()
    return figure


def _draw_importances(
    axes: Axes, importances: Mapping[str, float], short: Mapping[str, str]
) -> None:
    from matplotlib.ticker import PercentFormatter

    names = list(importances)[::-1]
    bars = axes.barh(
        [short[name] for name in names],
        [importances[name] for name in names],
        color=_GIVEN,
        height=0.6,
    )
    axes.bar_label(bars, fmt=lambda part: f"{part:.0%}", padding=3)
    axes.set_title("Which settings mattered: part of the variance that each explains by itself")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlim(0, max(importances.values()) * 1.12)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_setting(
    axes: Axes, trials: Sequence[TuneTrial], dimension: Dimension, by: SelectBy
) -> None:
    name = dimension.name
    given = [trial for trial in trials if name in trial.values]
    numeric = dimension.kind in ("range", "log_range")
    known = [label_text(label) for label in dimension.labels] or ["in", "out"]
    for state, colour, marker in (("pruned", _FAINT, "x"), ("complete", _GIVEN, "o")):
        chosen = [each for each in given if each.state == state]
        places: list[Any] = [
            each.values[name] if numeric else known.index(label_text(each.values[name]))
            for each in chosen
        ]
        values = [each.score.value(by) for each in chosen if each.score is not None]
        axes.scatter(places, values, color=colour, marker=marker, s=24)
    if dimension.kind == "log_range":
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        axes.set_xscale("log")
        # Of a range within one power of ten, Matplotlib labels every digit, and they overlap.
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if not numeric:
        short = [text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..." for text in known]
        axes.set_xticks(range(len(known)), short)
        axes.set_xlim(-0.5, len(known) - 0.5)
    every = [each.score.value(by) for each in trials if each.score is not None]
    _limit(axes, every, [min(every) if by == "loss" else max(every)])
    _name_values(axes, by)
    axes.grid(axis="y", color=_BAND, linewidth=0.5)
