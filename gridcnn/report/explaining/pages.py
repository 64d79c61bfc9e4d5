"""The page of an explanation: what its script draws, as data, and the template around it."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.stage import HeadStage
from gridcnn.errors import SpecError, visible
from gridcnn.grid import Array, Axis
from gridcnn.network import Op
from gridcnn.report.assembly import assemble, json_text
from gridcnn.report.explaining.explanation import Explanation, Importance
from gridcnn.report.explaining.fields import Reach
from gridcnn.report.explaining.matching import best_place
from gridcnn.report.explaining.mattering import cam_value
from gridcnn.report.explaining.original import Original
from gridcnn.report.explaining.words import sentence_of
from gridcnn.report.live import live_data, scripts_of
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling

SCRIPTS = ("views.js", "explain.js", "explain_live.js")
_BUDGET = 240_000
"""Cells of maps in a page: about 1.3 MB of it."""
_ELECTION = 80_000  # cells of votes in a page
_MAPS = 24  # of a stage
_LEAST, _SHORT = 3, 16
"""Maps at least of each stage, of a network of at most so many stages."""
_STAGES = 60
_CLASSES = 4  # whose election is shown
_PAGE, _SCRIPTS = 2_900_000, 250_000
"""Bytes of a page at most, and what its scripts and styles take about."""
_LARGE = 16_384  # cells of a map, from which on it is drawn smaller
_WINNERS = 6  # maps whose single winner is shown
_SIGNS = {" ": "\u2423", "\n": "\u21b5", "\t": "\u21e5", "\r": "\u21b5", "": "\u00b7"}


def explanation_page(explanation: Explanation) -> str:
    """Return an explanation as HTML that needs nothing else."""
    answer = ", ".join(str(label) for label in explanation.answer) or "no label"
    data = page_data(explanation)
    living, note = _living(explanation, _PAGE - _SCRIPTS - len(json_text(data)))
    data.update(living)
    # What computes in the page comes before what shows it; its own panels are not needed.
    live_scripts = scripts_of(explanation.model) if living else ()
    scripts = [name for name in live_scripts if name not in ("maps_view.js", "live.js")]
    scripts += SCRIPTS
    return assemble(
        "explain.html",
        title=f"{answer}: {explanation.name}",
        data=data,
        scripts=scripts,
        note=" ".join(filter(None, (explanation.remark, note))),
        name=explanation.name,
        model=explanation.model.spec.name,
    )


def _living(explanation: Explanation, room: int) -> tuple[dict[str, Any], str]:
    """Return what a page needs to compute by itself, and a note if it cannot.

    If there is room, that is the random network with which the explanation compares as well.
    `room` is how many bytes there are.
    """
    model = explanation.model
    size = model.network.parameters * 16 // 3  # as base64 of 4 bytes each
    largest = max(shape.rows * shape.columns for shape in model.network.values)
    if largest > _LARGE and not explanation.one_hot:
        return {}, (
            "The grids of this network are so large that the page draws them smaller, and computes "
            "nothing. Draw, choose or record another item with: gridcnn export MODEL --to page"
        )
    if size > room:
        return {}, (
            f"This network has {model.network.parameters:,} parameters, too many for a page with "
            "all of its maps. Draw, type or record another item with: gridcnn export MODEL --to "
            "page"
        )
    try:
        living = live_data(model)
    except SpecError as error:
        return {}, f"Another item cannot be tried in this page: {error.problems[0].message}"
    if 2 * size > room:
        return {"live": living}, ""
    return {"live": living, "random": explanation.random_parameters}, ""


def frame_page(page: str, name: str) -> str:
    """Return a page as a frame that a notebook shows."""
    return (
        f'<iframe title="{escape(f"Explanation of {name}", quote=True)}" width="100%" '
        f'height="720" srcdoc="{escape(page, quote=True)}"></iframe>'
    )


def page_data(explanation: Explanation) -> dict[str, Any]:
    """Return what the page's script draws."""
    model = explanation.model
    rows = used_rows(explanation)
    shares = [
        [str(label), float(vote)]
        for label, vote in zip(model.classes, explanation.votes, strict=True)
    ]
    return {
        "name": explanation.name,
        "votes": shares,
        "answer": [str(label) for label in explanation.answer],
        "target": str(model.classes[explanation.target]),
        "several": model.several,
        "original": _original(explanation.original),
        "grid": _grid(explanation, rows),
        "stages": _stages(explanation, rows),
        "election": _election(explanation),
        "importance": _importance(explanation),
    }


def used_rows(explanation: Explanation) -> list[int] | None:
    """Return the rows of a one-hot grid that have a 1; None for other grids."""
    if not explanation.one_hot:
        return None
    return np.flatnonzero(explanation.grid.any(axis=(0, 2))).tolist()


def sign(text: str) -> str:
    """Return a symbol so that it can be seen: a space as its sign."""
    return _SIGNS.get(text, visible(text))


def _original(original: Original) -> dict[str, Any]:
    structure = original.structure
    return {
        "kind": original.kind,
        "address": original.address,
        "size": list(original.size),
        "seconds": original.seconds,
        "wave": original.wave,
        "text": original.text,
        "symbols": [sign(symbol) for symbol in original.symbols],
        "structure": None
        if structure is None
        else {
            "atoms": [[a.x, a.y, a.symbol, list(a.columns)] for a in structure.atoms],
            "bonds": [list(bond) for bond in structure.bonds],
        },
    }


def _axis(axis: Axis, size: int, labels: tuple[str, ...] | None) -> dict[str, Any]:
    return {
        "name": axis.name,
        "unit": axis.unit if labels else "",
        "labels": None if labels is None else [sign(label) for label in labels],
        "ordered": axis.ordered,
        "size": size,
    }


def _grid(explanation: Explanation, rows: list[int] | None) -> dict[str, Any]:
    shape = explanation.model.shape
    labels = shape.row_axis.labels
    if rows is not None and labels is not None:
        labels = tuple(labels[row] for row in rows)
    cells = explanation.grid if rows is None else explanation.grid[:, rows]
    return {
        "shape": str(shape),
        "cells": cells,
        "limit": float(np.abs(cells).max(initial=0)) or 1.0,
        "oneHot": rows is not None,
        "allRows": shape.rows,
        "rows": _axis(shape.row_axis, cells.shape[1], labels),
        "columns": _axis(shape.column_axis, shape.columns, shape.column_axis.labels),
    }


def shrinking(cells: int) -> int:
    """Return how many cells along each axis are drawn as one, of a map with so many cells."""
    return 1 if cells <= _LARGE else math.ceil(math.sqrt(cells / _LARGE))


def shrink(maps: Array, factor: int) -> Array:
    """Return maps `(maps, rows, columns)` with the strongest cell of each block of cells alone."""
    if factor == 1:
        return maps
    count, rows, columns = maps.shape
    down, across = -(-rows // factor), -(-columns // factor)
    padded = np.zeros((count, down * factor, across * factor), maps.dtype)
    padded[:, :rows, :columns] = maps
    blocks = padded.reshape(count, down, factor, across, factor).transpose(0, 1, 3, 2, 4)
    flat = blocks.reshape(count, down, across, factor * factor)
    strongest = np.argsort(-np.abs(flat), axis=3, kind="stable")[..., :1]
    values: Array = np.take_along_axis(flat, strongest, axis=3)[..., 0]
    return values


def _reach(reach: Reach) -> list[float]:
    return [reach.start, reach.step, reach.size, reach.cells]


def _stages(explanation: Explanation, rows: list[int] | None) -> list[dict[str, Any]]:
    ops = [op for op in explanation.model.network.ops if not isinstance(op.stage, HeadStage)]
    left_out = len(ops) - _STAGES
    if left_out > 0:
        ops = [*ops[: _STAGES // 2], *ops[-_STAGES // 2 :]]
    each = _BUDGET // max(len(ops), 1)
    stages = [_stage(explanation, op, each, rows) for op in ops]
    if left_out > 0:
        stages[_STAGES // 2]["leftOut"] = left_out
    return stages


def _stage(explanation: Explanation, op: Op, budget: int, rows: list[int] | None) -> dict[str, Any]:
    maps = explanation.maps(op.target)
    factor = shrinking(maps[0].size)
    least = _LEAST if len(explanation.model.network.ops) <= _SHORT else 1
    count = max(least, min(_MAPS, budget * factor**2 // max(maps[0].size, 1)))
    numbers = explanation.strongest(op.target)[:count]
    stage = {
        "label": op.label,
        "kind": op.stage_name,
        "text": sentence_of(op),
        "input": [str(shape) for shape in op.inputs],
        "output": str(op.output),
        "shape": list(op.output.sizes),
        "parameters": op.parameters,
        "reads": list(op.sources),
        "value": op.target,
        "field": [_reach(reach) for reach in explanation.fields[op.target]],
        "numbers": numbers,
        "maps": shrink(maps[numbers], factor),
        "factor": factor,
        "limit": float(np.abs(maps).max(initial=0)) or 1.0,
        "low": float(maps.min()),
        "high": float(maps.max()),
    }
    if isinstance(op.stage, Pooling) and op.input.rows * op.input.columns < _LARGE:
        size, stride = op.stage.sizes(op.input)
        entered = numbers[: _WINNERS if maps[0].size == 1 else 1]
        stage["pooling"] = {
            "size": list(size),
            "stride": list(stride),
            "mode": op.stage.mode,
            "entered": explanation.maps(op.sources[0])[entered],
        }
    if isinstance(op.stage, Convolution) and op.sources == (0,):
        stage["features"] = _features(explanation, op, op.stage, numbers, rows)
    return stage


def _features(
    explanation: Explanation,
    op: Op,
    stage: Convolution,
    numbers: list[int],
    rows: list[int] | None,
) -> dict[str, Any] | None:
    """Return the shown features of a convolution on the grid, and how they are laid over it."""
    named = explanation.passage.weights(op)
    weights = named["weights"][numbers]
    kernel = stage.kernel(op.input)
    cells = int(np.prod(weights.shape[1:]))
    if rows is not None:
        if kernel[0] != op.input.rows or stage.dilation[0] != 1:
            return None  # features that slide along the rows of a one-hot grid
        weights = weights[:, :, rows]
    maps = explanation.maps(op.target)
    borders = stage.borders(op.input)
    groups = stage.group_count(op.input.channels)
    return {
        "weights": weights,
        "bias": named["bias"][numbers] if stage.bias else np.zeros(len(numbers)),
        "best": [list(best_place(maps[number])) for number in numbers],
        "cells": cells,
        "divisor": cells if stage.scale == "match" else 1,
        "stride": list(stage.stride),
        "dilation": list(stage.dilation),
        "borders": [borders[0][0], borders[1][0]],
        "perGroup": op.output.channels // groups,
        "limit": float(np.abs(weights).max(initial=0)) or 1.0,
    }


def _election(explanation: Explanation) -> dict[str, Any] | None:
    election = explanation.election
    if election is None:
        return None
    classes = shown_classes(explanation)
    cells = election.cells[classes]
    most = max(1, _ELECTION // max(cells.shape[0] * cells.shape[2] * cells.shape[3], 1))
    strength = np.abs(cells).max(axis=(0, 2, 3))
    numbers = np.sort(np.argsort(-strength, kind="stable")[:most])
    op = explanation.model.network.ops[-1]
    voters = None
    if election.voters is not None:
        voters = {
            "values": election.hidden[-1],
            "votes": election.voters[classes],
            "start": election.own[classes],
            "layers": [len(layer) for layer in election.hidden],
            "on": [int((layer > 0).sum()) for layer in election.hidden],
        }
    names = explanation.model.classes
    return {
        "text": sentence_of(op),
        "classes": [str(names[number]) for number in classes],
        "numbers": numbers.tolist(),
        "channels": int(election.cells.shape[1]),
        "cells": cells[:, numbers],
        "values": explanation.maps(election.value)[numbers],
        "sums": cells.sum(axis=(1, 2, 3)),
        "start": election.start[classes],
        "logits": election.logits[classes],
        "field": [_reach(reach) for reach in explanation.fields[election.value]],
        "voters": voters,
    }


def shown_classes(explanation: Explanation) -> list[int]:
    """Return the classes whose elections are shown: the explained one first, then by votes."""
    order = np.argsort(-explanation.votes, kind="stable").tolist()
    rest = [number for number in order if number != explanation.target]
    return [explanation.target, *rest[: _CLASSES - 1]]


def _importance(explanation: Explanation) -> dict[str, Any]:
    value = cam_value(explanation.model.network)
    return {
        "hidden": what_is_hidden(explanation),
        "trained": _maps_of(explanation, explanation.importance),
        "random": _maps_of(explanation, explanation.random_importance),
        "likeness": explanation.likeness,
        "against": explanation.importance.is_against,
        "window": list(explanation.hiding.window),
        "stride": list(explanation.hiding.stride),
        "value": value,
        "field": None if value is None else [_reach(each) for each in explanation.fields[value]],
    }


def what_is_hidden(explanation: Explanation) -> str:
    """Return what occlusion hides at a time, as a sentence."""
    rows, columns = explanation.hiding.window
    shape = explanation.model.shape
    if explanation.one_hot:
        return (
            "Each column in turn loses its 1."
            if columns == 1
            else f"{columns} columns at a time lose their 1."
        )
    window = f"{columns} columns" if rows == shape.rows else f"{rows} x {columns} cells"
    if columns == 1 and rows == shape.rows:
        return "Each column in turn is set to the median of the grid."
    return f"{window} at a time are set to the median of the grid."


def _maps_of(explanation: Explanation, importance: Importance) -> dict[str, Any]:
    maps: dict[str, NDArray[np.float64]] = {"occlusion": importance.occlusion}
    if importance.grad_cam is not None:
        maps["grad_cam"] = importance.grad_cam
    return {name: by_column(explanation, cells) for name, cells in maps.items()}


def by_column(explanation: Explanation, cells: Array) -> Array:
    """Return a map of a one-hot grid as one row, for its rows have no order; others as they are.

    Of large ones each block of cells is one.
    """
    if explanation.one_hot:
        columns: Array = cells.mean(axis=0, keepdims=True)
        return columns
    small: Array = shrink(cells[None], shrinking(cells.size))[0]
    return small
