"""An explanation as plain data for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridcnn.report.explaining.explanation import Explanation
from gridcnn.report.explaining.matching import Match

_CELLS = 20
_MAPS = 8


def plain_explanation(explanation: Explanation) -> dict[str, Any]:
    """Return the figures of an explanation as JSON can hold them.

    Indices of maps, rows and columns start at 0. Of the stages it has the strongest maps by number
    with their largest cells, and not the maps themselves: `Model.maps` returns these.
    """
    model = explanation.model
    answer: Any = explanation.answer
    if not model.several:
        answer = answer[0]
    return {
        "item": explanation.name,
        "answer": answer,
        "votes": {
            str(label): round(float(vote), 6)
            for label, vote in zip(model.classes, explanation.votes, strict=True)
        },
        "views": explanation.views,
        "label": model.classes[explanation.target],
        "grid": list(model.shape.sizes),
        "stages": _stages(explanation),
        "match": None if explanation.match is None else _match(explanation.match),
        "election": _election(explanation),
        "importance": _importance(explanation),
    }


def _stages(explanation: Explanation) -> list[dict[str, Any]]:
    stages = []
    for op in explanation.model.network.ops:
        maps = explanation.maps(op.target)
        strongest = explanation.strongest(op.target)[:_MAPS]
        stages.append(
            {
                "stage": op.label,
                "output": list(op.output.sizes),
                "low": float(maps.min()),
                "high": float(maps.max()),
                "strongest": [[number, float(maps[number].max())] for number in strongest],
            }
        )
    return stages


def _match(match: Match) -> dict[str, Any]:
    """Return the arithmetic of the best match; of many cells, those that are not 0 in the patch."""
    patch, weights = match.patch.ravel(), match.weights.ravel()
    cells = np.flatnonzero(patch)
    return {
        "feature": match.feature,
        "place": list(match.place),
        "patch": [match.top, match.left],
        "cells": match.weights.size,
        "products": [
            [*map(int, np.unravel_index(at, match.patch.shape)), float(weights[at]), patch[at]]
            for at in cells.tolist()
        ],
        "sum": match.total,
        "mean": match.share,
        "divided_by": match.divisor,
        "bias": match.bias,
        "value": match.value,
    }


def _election(explanation: Explanation) -> dict[str, Any] | None:
    election = explanation.election
    if election is None:
        return None
    classes = {}
    for number, label in enumerate(explanation.model.classes):
        cells = election.cells[number]
        order = np.argsort(-np.abs(cells).ravel(), kind="stable")[:_CELLS]
        classes[str(label)] = {
            "cells": float(cells.sum()),
            "start": float(election.start[number]),
            "logit": float(election.logits[number]),
            "strongest": [
                [*map(int, np.unravel_index(at, cells.shape)), float(cells.ravel()[at])]
                for at in order.tolist()
            ],
        }
    return {"hidden": [len(layer) for layer in election.hidden], "classes": classes}


def _importance(explanation: Explanation) -> dict[str, Any]:
    data: dict[str, Any] = {"window": list(explanation.hiding.window)}
    for name, importance in (
        ("model", explanation.importance),
        ("random_weights", explanation.random_importance),
    ):
        cam = importance.grad_cam
        data[name] = {
            "occlusion": importance.occlusion.tolist(),
            "grad_cam": None if cam is None else cam.tolist(),
        }
    data["rank_correlation"] = explanation.likeness
    return data
