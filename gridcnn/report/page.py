"""A verdict as one self-contained page: no scripts, and nothing that is loaded from elsewhere."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from gridcnn.order.neighbours import Neighbours
from gridcnn.order.verdict import Verdict
from gridcnn.report.assembly import assemble
from gridcnn.report.pictures import (
    accuracy_picture,
    lags_picture,
    matrix_picture,
    scale_picture,
    shows_guess,
)
from gridcnn.report.sentences import SIGNS, list_of

_LAYOUTS = 8  # that are told in the table
_FIGURES = ("neighbours", "chance", "best", "score", "gradation", "p")


def page(verdict: Verdict, *, data: str) -> str:
    """Return a verdict as HTML; `data` is what the data is called."""
    sign, meaning = SIGNS[verdict.decision]
    what = "cells" if verdict.axes else "columns"
    return assemble(
        "verdict.html",
        title=f"{verdict.decision}: {data}",
        verdict=verdict,
        data_name=data,
        sign=sign,
        meaning=meaning,
        what=what,
        sentences=lambda texts: Markup(list_of(texts)),
        lags=_lags(verdict, what),
        use=_accuracy(verdict),
        tables=_tables(verdict),
    )


def _lags(verdict: Verdict, what: str) -> dict[str, Any] | None:
    lags = verdict.lags
    if lags is None or not len(lags.lags):
        return None
    some = len(lags.matrix) < verdict.columns
    shown = f"{len(lags.matrix)} of {verdict.columns:,} {what}" if some else f"all {what}"
    return {
        "picture": Markup(lags_picture(lags)),
        "matrix": Markup(matrix_picture(lags.matrix, "As given: " + shown)),
        "shuffled": Markup(matrix_picture(lags.shuffled, "In a random order: " + shown)),
        "scale": Markup(scale_picture()),
        "shown": shown,
    }


def _accuracy(verdict: Verdict) -> dict[str, Any] | None:
    use = verdict.usefulness
    if use is None:
        return None
    return {
        "picture": Markup(accuracy_picture(use)),
        "dashed": "dashed line: " if shows_guess(use) else "",
        "majority": f"{use.majority:.1%}",
        "rows": f"{use.rows:,}",
        "classes": use.classes,
    }


def _tables(verdict: Verdict) -> list[dict[str, Any]]:
    if verdict.axes:
        rows = [
            [axis.name, f"{axis.size:,}", axis.decision, *_figures(axis.neighbours)]
            for axis in verdict.axes
        ]
        heads = ("axis", "size", "verdict", *_FIGURES)
        return [{"title": "Each axis", "heads": heads, "rows": rows, "more": ""}]
    if not verdict.neighbours:
        return []
    more = len(verdict.neighbours) - _LAYOUTS
    return [
        {
            "title": "Layouts that were tried",
            "heads": ("layout", *_FIGURES),
            "rows": [[str(near.layout), *_figures(near)] for near in verdict.neighbours[:_LAYOUTS]],
            "more": f"and {more} more, with lower scores" if more > 0 else "",
        }
    ]


def _figures(near: Neighbours | None) -> list[str]:
    if near is None:
        return [""] * len(_FIGURES)
    p_value = "" if near.p_value is None else f"{near.p_value:.2g}"
    values = (near.explained, near.by_chance, near.best, near.score, near.gradation)
    return [*(f"{value:.2f}" for value in values), p_value]
