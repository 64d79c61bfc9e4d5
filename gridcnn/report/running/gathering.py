"""Gathers what a report shows besides the other files of a run: its `report.json`.

The page is made from the folder alone, so that it can be made again when the data is gone.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gridcnn.contracts.source import PARTS, TEST, TRAIN
from gridcnn.contracts.targets import most
from gridcnn.cores import usable_cores
from gridcnn.engines.base import Memory
from gridcnn.grid import Axis
from gridcnn.order.guard import Checked
from gridcnn.order.verdict import Verdict
from gridcnn.progress import Advance, Counter
from gridcnn.report.colours import png_address
from gridcnn.report.pictures import matrix_image
from gridcnn.report.running.answers import read_answers
from gridcnn.report.running.baseline import fit_baseline
from gridcnn.report.running.choosing import choose
from gridcnn.report.running.looks import Look, look_at
from gridcnn.runs.prepare import Part, Prepared
from gridcnn.version import VERSION

LAYOUT = 1
"""Of `report.json`; a later one may be read differently."""
_OF_CLASS, _FEWER, _FEW_CLASSES = 6, 3, 12
"""Example items of a class, and how many if there are more than so many classes."""
_AMONG = 2**20
"""Training items among which examples are looked for: of a large set there is no list of all."""
_CLASSES = 40
"""Classes with examples, at most."""
_BYTES = 1_500_000
"""Of all looks together: a page has to stay small enough to be sent."""
_FOR_EXAMPLES = 400_000


@dataclass(frozen=True)
class Facts:
    """What a run knows besides its folder.

    Attributes:
        prepared: its data.
        checked: the checkers' verdicts, if they ran.
        memory: what training and answering take.
    """

    prepared: Prepared
    checked: Checked | None = None
    memory: Memory | None = None


def gather(
    facts: Facts, folder: Path, metrics: dict[str, Any], *, advance: Advance | None = None
) -> dict[str, Any]:
    """Return the content of `report.json` for a run that has ended.

    Args:
        facts: what the run knows.
        folder: its folder, with its predictions.
        metrics: its figures.
        advance: is called with the progress.
    """
    prepared = facts.prepared
    counter = Counter(advance, "report", 4, unit="parts")
    examples = _examples(prepared)
    counter.add(1)
    items = _items(prepared, folder, metrics)
    counter.add(1)
    baseline = None
    if len(prepared.test):
        seed = prepared.spec.training.seed
        baseline = fit_baseline(prepared.train.data, prepared.test.data, seed=seed)
    counter.add(1)
    shape = prepared.shape
    content = {
        "layout": LAYOUT,
        "made_by": VERSION,
        "machine": _machine(),
        "grid": {
            "shape": list(shape.sizes),
            "rows": _axis(shape.row_axis),
            "columns": _axis(shape.column_axis),
        },
        "memory": None if facts.memory is None else vars(facts.memory),
        "data": _data(prepared),
        "examples": examples,
        "baseline": baseline,
        "verdicts": {} if facts.checked is None else _verdicts(facts.checked),
        "items": items,
    }
    counter.add(1)
    return content


def _machine() -> dict[str, Any]:
    """Return what the run ran on, as far as it may matter to its results."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": usable_cores(),
        "peak": _peak(),
    }


def _peak() -> int | None:
    """Return the most memory that this process has had so far, in bytes; None if unknown."""
    try:
        import resource
    except ImportError:  # on Windows
        return None
    most_held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most_held if sys.platform == "darwin" else most_held * 1024


def _axis(axis: Axis) -> dict[str, str]:
    return {"name": axis.name, "unit": axis.unit}


def _data(prepared: Prepared) -> dict[str, Any]:
    parts: dict[str, Part] = {name: getattr(prepared, name) for name in PARTS}
    labels = [str(label) for label in prepared.classes]
    counts: dict[str, Any] = {}
    for name, part in parts.items():
        targets = part.data.targets
        if prepared.several:
            each = (np.asarray(targets) == 1).sum(axis=0)
        else:
            each = np.bincount(most(targets), minlength=len(labels))
        by_class = dict(zip(labels, each.tolist(), strict=True))
        counts[name] = {"items": len(part), "classes": by_class}
    duplicates = prepared.duplicates
    equal = None
    if duplicates is not None:
        equal = {
            "within": {name: int((~first).sum()) for name, first in duplicates.first.items()},
            "between": {name: len(items) for name, items in duplicates.leaked.items()},
            "torn": len(duplicates.torn),
        }
    return {"counts": counts, "equal": equal}


def _limit(prepared: Prepared) -> float:
    """Return the size of a cell with the strongest colour: few training cells are larger."""
    grids = np.asarray(prepared.train.data.grids[:64], np.float32)
    sizes = np.abs(grids[np.isfinite(grids)])
    return float(np.quantile(sizes, 0.995)) or 1.0 if sizes.size else 1.0


class _Looks:
    """Makes looks until there is no room for more."""

    def __init__(self, prepared: Prepared, part: str, room: int) -> None:
        self._prepared = prepared
        self._part: Part = getattr(prepared, part)
        self._things = prepared.things.get(part)
        self._limit = _limit(prepared)
        self.room = room

    def at(self, item: int) -> Look | None:
        """Return the look of an item; None if there is no room for it."""
        if self.room <= 0:
            return None
        grid = np.asarray(self._part.data.grids[[item]], np.float32)[0]
        thing = None if self._things is None else self._things[item]
        fitted = self._prepared.fitted
        look = look_at(thing, grid, fitted.adapter, fitted.shape, limit=self._limit)
        size = sum(len(str(value)) for value in look.values())
        if size > self.room:
            return None
        self.room -= size
        return look


def _examples(prepared: Prepared) -> dict[str, list[Look]]:
    """Return looks of some training items of each class, or with each label."""
    targets = prepared.train.data.targets[:_AMONG]
    looks = _Looks(prepared, TRAIN, _FOR_EXAMPLES)
    examples: dict[str, list[Look]] = {}
    of_class: list[tuple[str, Sequence[int]]] = []
    most_shown = _OF_CLASS if len(prepared.classes) <= _FEW_CLASSES else _FEWER
    for number, label in enumerate(prepared.classes[:_CLASSES]):
        has = targets[:, number] == 1 if targets.ndim == 2 else targets == number
        of_class.append((str(label), np.flatnonzero(has)[:most_shown].tolist()))
        examples[str(label)] = []
    for place in range(most_shown):  # so that each class has one before any has two
        for label, items in of_class:
            look = looks.at(items[place]) if place < len(items) else None
            if look is not None:
                examples[label].append(look)
    return examples


def _items(prepared: Prepared, folder: Path, metrics: dict[str, Any]) -> dict[str, Look]:
    """Return looks of the test items that the page shows, by their numbers."""
    if TEST not in metrics:
        return {}
    looks = _Looks(prepared, TEST, _BYTES)
    items = {str(item): looks.at(item) for item in choose(read_answers(folder, metrics)).pictured}
    return {item: look for item, look in items.items() if look is not None}


def _verdicts(checked: Checked) -> dict[str, Any]:
    """Return what the pictures of the verdicts show, by the name of the checker."""
    return {name: _verdict(verdict) for name, verdict in checked.verdicts.items()}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    content: dict[str, Any] = {
        "summary": list(verdict.summary),
        "layout": None if verdict.layout is None else str(verdict.layout),
        "lags": None,
        "usefulness": None,
    }
    lags, use = verdict.lags, verdict.usefulness
    if lags is not None and len(lags.lags):
        content["lags"] = {
            "lags": lags.lags.tolist(),
            "given": lags.given.tolist(),
            "low": lags.low.tolist(),
            "high": lags.high.tolist(),
            "matrix": png_address(np.asarray(matrix_image(lags.matrix))),
            "shuffled": png_address(np.asarray(matrix_image(lags.shuffled))),
            "shown": len(lags.matrix),
        }
    if use is not None:
        content["usefulness"] = {**vars(use), "shuffled": list(use.shuffled)}
    return content
