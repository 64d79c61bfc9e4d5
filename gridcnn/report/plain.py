"""A verdict as plain data, for JSON."""

from __future__ import annotations

import math
from typing import Any

from gridcnn.order.layouts import Layout
from gridcnn.order.neighbours import Neighbours
from gridcnn.order.verdict import Verdict


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """Return all of a verdict but its matrices as lists, texts, numbers and None."""
    structure, lags, use = verdict.structure, verdict.lags, verdict.usefulness
    return {
        "decision": verdict.decision,
        "summary": list(verdict.summary),
        "evidence": list(verdict.evidence),
        "advice": list(verdict.advice),
        "rows": verdict.rows,
        "columns": verdict.columns,
        "seed": verdict.seed,
        "layout": None if verdict.layout is None else _layout(verdict.layout),
        # Grids have an adapter already, and it is not the table adapter.
        "adapter": None if verdict.layout is None or verdict.axes else verdict.layout.adapter,
        "parts": [
            {"start": part.start, "stop": part.stop, "first": part.first, "last": part.last}
            for part in verdict.parts
        ],
        "steady": verdict.steady,
        "row_order": None
        if verdict.row_order is None
        else {
            "alike": verdict.row_order.alike,
            "continues": verdict.row_order.continues,
            "p_value": verdict.row_order.p_value,
            "is_ordered": verdict.row_order.is_ordered,
        },
        "axes": [
            {
                "name": axis.name,
                "size": axis.size,
                "decision": axis.decision,
                "neighbours": None if axis.neighbours is None else _neighbours(axis.neighbours),
            }
            for axis in verdict.axes
        ],
        "structure": None
        if structure is None
        else {
            "kinds": {kind: count for kind, count in structure.kinds.items() if count},
            "mixed": structure.mixed,
            "aside": list(structure.aside),
            "alphabet": list(structure.alphabet),
            "overlap": _number(structure.overlap),
        },
        "neighbours": [_neighbours(each) for each in verdict.neighbours],
        "usefulness": None
        if use is None
        else {
            "given": use.given,
            "shuffled": list(use.shuffled),
            "majority": use.majority,
            "p_value": _number(use.p_value),
            "rows": use.rows,
            "classes": use.classes,
            "is_useful": use.is_useful,
            "is_telling": use.is_telling,
        },
        "lags": None
        if lags is None
        else {
            "lags": lags.lags.tolist(),
            "given": [_number(value) for value in lags.given.tolist()],
            "low": [_number(value) for value in lags.low.tolist()],
            "high": [_number(value) for value in lags.high.tolist()],
        },
    }


def _layout(layout: Layout) -> dict[str, Any]:
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "channels": layout.channels,
        "interleaved": layout.interleaved,
    }


def _neighbours(near: Neighbours) -> dict[str, Any]:
    return {
        "layout": _layout(near.layout),
        "explained": _number(near.explained),
        "by_chance": _number(near.by_chance),
        "best": _number(near.best),
        "score": _number(near.score),
        "gradation": _number(near.gradation),
        "closeness": _number(near.closeness),
        "p_value": _number(near.p_value),
        "orders": near.orders,
        "exact": near.exact,
        "is_ordered": near.is_ordered,
    }


def _number(value: float | None) -> float | None:
    """Return a number, or None where JSON has none for it."""
    return None if value is None or not math.isfinite(value) else float(value)
