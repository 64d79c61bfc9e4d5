"""Explanations, maps and features as figures of Matplotlib, which can be shown, saved, changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gridcnn.errors import DataError, how_many
from gridcnn.grid import Array, Axis
from gridcnn.report.colours import STOPS
from gridcnn.report.explaining.explanation import Explanation
from gridcnn.report.explaining.matching import first_convolution
from gridcnn.report.explaining.pages import by_column, sign, used_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    from gridcnn.model import Model
    from gridcnn.network import Network

_ACROSS = 8  # maps side by side
_STAGES = 12  # that one figure shows
_FEATURES = 64
_ROWS = 40  # of an alphabet, up to which features are drawn
_SYMBOLS = 60  # under a text, up to which each is written


def colour_map() -> LinearSegmentedColormap:
    """Return the colours of pages for Matplotlib: violet is negative, orange positive."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = [tuple(part / 255 for part in stop) for stop in STOPS]
    return LinearSegmentedColormap.from_list("gridcnn", colours)


def explanation_figure(explanation: Explanation) -> Figure:
    """Return an item with its votes, its strongest maps, and what mattered, as a figure."""
    from matplotlib.figure import Figure

    network = explanation.model.network
    stages = _shown_stages(network)
    heights = [2.8, *(1.2 for _ in stages), 2.6]
    figure = Figure(figsize=(10, sum(heights) + 0.6), layout="constrained")
    answer = ", ".join(str(label) for label in explanation.answer) or "no label"
    figure.suptitle(_plain(f"{explanation.name}: {answer}"))
    parts = np.atleast_1d(
        np.asarray(figure.subfigures(len(heights), 1, height_ratios=heights), object)
    )
    first, second = parts[0].subplots(1, 2, width_ratios=(2, 1))
    _draw_grid(first, explanation)
    _draw_votes(second, explanation)
    for part, (value, left_out) in zip(parts[1:-1], stages, strict=True):
        _draw_stack(part, explanation, value, left_out=left_out)
    _draw_importance(parts[-1], explanation)
    return figure


def maps_figure(explanation: Explanation, *, after: int | str | None = None) -> Figure:
    """Return the maps of an item after a stage, or the strongest ones after each stage."""
    from matplotlib.figure import Figure

    network = explanation.model.network
    if after is None:
        stages = _shown_stages(network) or [(0, 0)]
        figure = Figure(figsize=(10, 1.3 * len(stages) + 0.4), layout="constrained")
        parts = np.atleast_1d(np.asarray(figure.subfigures(len(stages), 1), object))
        for part, (value, left_out) in zip(parts, stages, strict=True):
            _draw_stack(part, explanation, value, left_out=left_out)
        return figure
    value = network.value_after(after)
    numbers = explanation.strongest(value)
    rows = -(-len(numbers) // _ACROSS)
    figure = Figure(figsize=(10, 1.3 * rows + 0.6), layout="constrained")
    _draw_stack(figure, explanation, value, rows=rows)
    return figure


def features_figure(model: Model) -> Figure:
    """Return the features of the first convolution as mini-images."""
    from matplotlib.figure import Figure

    op = first_convolution(model.network)
    if op is None:
        raise DataError("no convolution of this network lies on the grid itself")
    weights = op.views(model.parameters)["weights"]
    count, channels, rows, columns = weights.shape
    if rows > _ROWS:
        raise DataError(
            f"its features have {rows:,} rows, one for each symbol, which no picture shows; take "
            "gridcnn features MODEL, or explain an item"
        )
    count_shown = min(count, _FEATURES)
    down = -(-count_shown // _ACROSS)
    figure = Figure(figsize=(10, 1.35 * down + 0.7), layout="constrained")
    figure.suptitle(
        f"{op.label}: {count_shown} of {count} features, {channels} x {rows} x {columns}"
    )
    # Channels stand below each other.
    cells = weights[:count_shown].reshape(count_shown, channels * rows, columns)
    axes = figure.subplots()
    figure.colorbar(_tiles(axes, cells, range(count_shown)), shrink=0.8)
    return figure


def _shown_stages(network: Network) -> list[tuple[int, int]]:
    """Return the values that a figure shows, each with how many are left out before it.

    Of a deep network they are the first and the last ones; the votes have a drawing of their own.
    """
    values = [op.target for op in network.ops if op.target != network.result]
    left_out = len(values) - _STAGES
    if left_out <= 0:
        return [(value, 0) for value in values]
    half = _STAGES // 2
    kept = [*values[:half], *values[-half:]]
    return [(value, left_out if place == half else 0) for place, value in enumerate(kept)]


def _plain(text: str) -> str:
    """Return a text in which Matplotlib sees no formula."""
    return text.replace("$", r"\$")


def _percent(vote: float) -> str:
    """Return a vote in percent, never rounded up to all of them."""
    text = f"{vote:.1%}"
    return "99.9%" if text == "100.0%" and vote < 1 else text


def _draw_grid(axes: Axes, explanation: Explanation) -> None:
    rows = used_rows(explanation)
    shape = explanation.model.shape
    grid = explanation.grid if rows is None else explanation.grid[:, rows]
    axes.set_title(f"the grid, {shape}", fontsize="medium")
    if grid.shape[1] == 1:
        axes.plot(grid[0, 0], color="#0b61a4")
    elif len(grid) == 3 and explanation.original.kind == "picture":
        axes.imshow(np.clip(grid.transpose(1, 2, 0) / 2 + 0.5, 0, 1))
    else:
        grey = explanation.original.kind == "picture"
        _imshow(axes, grid[0], colours="gray" if grey else None)
    labels = shape.row_axis.labels
    if rows is not None and labels is not None and len(rows) <= _ROWS:
        axes.set_yticks(range(len(rows)), [_plain(sign(labels[row])) for row in rows], fontsize=6)
    elif grid.shape[1] > 1:
        _label(axes.set_yticks, axes.set_ylabel, shape.row_axis, grid.shape[1])
    _label(axes.set_xticks, axes.set_xlabel, shape.column_axis, shape.columns)


def _label(set_ticks: Any, set_label: Any, axis: Axis, size: int) -> None:
    places = np.unique(np.linspace(0, size - 1, 6).round().astype(int)).tolist()
    set_ticks(places, [axis.labels[at] if axis.labels else str(at + 1) for at in places])
    set_label(axis.name + (f" ({axis.unit})" if axis.unit and axis.labels else ""))


def _imshow(axes: Axes, cells: Array, *, limit: float | None = None, colours: Any = None) -> Any:
    most = float(np.abs(cells).max(initial=0)) if limit is None else limit
    low = cells.min() if colours == "gray" else -(most or 1)
    return axes.imshow(
        cells,
        cmap=colours or colour_map(),
        vmin=low,
        vmax=most or 1,
        aspect="auto" if min(cells.shape) * 4 < max(cells.shape) else "equal",
        interpolation="nearest",
    )


def _draw_votes(axes: Axes, explanation: Explanation) -> None:
    order = np.argsort(-explanation.votes, kind="stable")[:10][::-1]
    names = [_plain(str(explanation.model.classes[number])) for number in order.tolist()]
    votes = explanation.votes[order]
    bars = axes.barh(range(len(names)), votes, color="#0b61a4")
    axes.set_yticks(range(len(names)), names)
    axes.bar_label(bars, [_percent(vote) for vote in votes.tolist()], padding=3)
    axes.set_xlim(0, 1.25)
    axes.set_title("votes", fontsize="medium")
    axes.set_xticks([])


def _draw_stack(
    part: Any, explanation: Explanation, value: int, *, rows: int = 1, left_out: int = 0
) -> None:
    """Draw a value's strongest maps, as many as stand in so many rows.

    The title says how many stages before it are left out.
    """
    network = explanation.model.network
    maps = explanation.maps(value)
    numbers = explanation.strongest(value)[: rows * _ACROSS]
    title = "the grid" if value == 0 else network.ops[value - 1].label
    gap = f"({how_many(left_out, 'more stage')} left out here)\n" if left_out else ""
    part.suptitle(
        f"{gap}{title}: {len(numbers)} of {len(maps)} maps, strongest first", fontsize="small"
    )
    part.colorbar(_tiles(part.subplots(), maps[numbers], numbers), shrink=0.9)


def _tiles(axes: Axes, cells: Array, numbers: Sequence[int]) -> Any:
    """Draw grids `(items, rows, columns)` side by side, each with its number from 1 above it."""
    count, rows, columns = cells.shape
    gap_down, gap_across = max(1, round(rows * 0.3)), max(1, round(columns * 0.08))
    down = -(-count // _ACROSS)
    sheet = np.full(
        (down * (rows + gap_down), _ACROSS * (columns + gap_across) - gap_across), np.nan
    )
    thin = rows * 4 < columns
    for place, (grid, number) in enumerate(zip(cells, numbers, strict=True)):
        top = place // _ACROSS * (rows + gap_down) + gap_down
        left = place % _ACROSS * (columns + gap_across)
        sheet[top : top + rows, left : left + columns] = grid
        axes.text(left - 0.5, top - 0.7, f"{number + 1}", fontsize="x-small", va="bottom")
    axes.set_axis_off()
    limit = float(np.abs(cells).max(initial=0)) or 1.0
    return axes.imshow(
        sheet,
        cmap=colour_map(),
        vmin=-limit,
        vmax=limit,
        aspect="auto" if thin else "equal",
        interpolation="nearest",
    )


def _draw_importance(part: Any, explanation: Explanation) -> None:
    label = _plain(str(explanation.model.classes[explanation.target]))
    both = (("this model", explanation.importance), ("random", explanation.random_importance))
    panels = [(f"occlusion, {name}", each.occlusion) for name, each in both]
    panels += [
        (f"Grad-CAM, {name}", each.grad_cam) for name, each in both if each.grad_cam is not None
    ]
    part.suptitle(
        f"what mattered for {label}, next to the same for random weights", fontsize="small"
    )
    grid = part.subplots(1, len(panels), squeeze=False).ravel()
    symbols = explanation.original.symbols
    for axes, (title, values) in zip(grid, panels, strict=True):
        cells = by_column(explanation, values)
        image = _imshow(axes, cells)
        axes.set_title(title, fontsize="x-small")
        axes.set_yticks([])
        axes.set_xticks([])
        if symbols and len(symbols) <= _SYMBOLS:
            names = [_plain(sign(symbol)) for symbol in symbols]
            axes.set_xticks(range(len(names)), names, fontsize=5)
            axes.set_xlim(-0.5, len(names) - 0.5)
        part.colorbar(image, ax=axes, shrink=0.7, location="bottom")
