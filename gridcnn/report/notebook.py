"""A verdict as a piece of HTML that a notebook shows: a small table, and the pictures below it.

Everything that it needs is in it. It has a background of its own, since the pictures' text is dark
and a notebook's page may be.
"""

from __future__ import annotations

from html import escape

from gridcnn.order.verdict import Verdict
from gridcnn.report.pictures import accuracy_picture, lags_picture, matrix_picture
from gridcnn.report.sentences import SIGNS, list_of

BOX = (
    "background: #fff; color: #1b1d21; padding: 0.8em 1em; max-width: 46em; "
    "font: 14px/1.5 system-ui, sans-serif"
)
CELL = "text-align: left; vertical-align: top; padding: 0.3em 0.8em 0.3em 0"
_LIST = "margin: 0; padding-left: 1.2em"
CODE = (
    "background: #f3f4f6; color: #1b1d21; padding: 0.5em 0.8em; margin: 0.3em 0; "
    "white-space: pre-wrap"
)


def notebook_html(verdict: Verdict) -> str:
    """Return a verdict as a self-contained piece of HTML."""
    sign, meaning = SIGNS[verdict.decision]
    what = "cells" if verdict.axes else "columns"
    size = f"{verdict.rows:,} rows, {verdict.columns:,} {what}"
    if verdict.layout is not None:
        size += f"; layout: {verdict.layout}"
    rows = [
        _row(
            "verdict",
            f'<span aria-hidden="true">{sign}</span> <strong>{escape(verdict.decision)}</strong>. '
            f"{meaning}",
        ),
        _row("data", escape(size)),
    ]
    more = ""
    if verdict.summary:
        rows.append(_row("in short", _list(verdict.summary)))
        more = _details("figures", verdict.evidence) + _details("advice", verdict.advice)
    else:
        for name, sentences in (("reasons", verdict.evidence), ("advice", verdict.advice)):
            if sentences:
                rows.append(_row(name, _list(sentences)))
    table = f'<table style="border-collapse: collapse; color: inherit">{"".join(rows)}</table>'
    return f'<div style="{BOX}">{table}{more}{_pictures(verdict, what)}</div>'


def _row(name: str, content: str) -> str:
    return (
        f'<tr style="background: none"><th style="{CELL}">{name}</th>'
        f'<td style="{CELL}">{content}</td></tr>'
    )


def _list(sentences: tuple[str, ...]) -> str:
    return list_of(sentences, style=_LIST, code_style=CODE)


def _details(name: str, sentences: tuple[str, ...]) -> str:
    if not sentences:
        return ""
    return f"<details><summary>{name}</summary>{_list(sentences)}</details>"


def _pictures(verdict: Verdict, what: str) -> str:
    parts = []
    lags, use = verdict.lags, verdict.usefulness
    if lags is not None and len(lags.lags):
        parts.append(
            _figure(
                lags_picture(lags),
                f"Association of {what} against their distance. Line: as given; band: where 90 of "
                "100 random orders lie.",
            )
        )
        pair = (("as given", lags.matrix), ("in a random order", lags.shuffled))
        matrices = "".join(
            f'<div style="width: 14em">{matrix_picture(matrix, name)}{name}</div>'
            for name, matrix in pair
        ).replace("<img ", '<img style="width: 100%; image-rendering: pixelated" ')
        parts.append(
            f'<div style="display: flex; flex-wrap: wrap; gap: 1.2em">{matrices}</div>'
            f"<div>Association of every two {what}: the darker, the more alike.</div>"
        )
    if use is not None:
        parts.append(
            _figure(
                accuracy_picture(use),
                "Accuracy of a small network. Filled: as given; open: each shuffle. Always the "
                f"most frequent class: {use.majority:.1%}.",
            )
        )
    return "".join(parts)


def _figure(picture: str, caption: str) -> str:
    return f'<figure style="margin: 0.8em 0">{picture}<figcaption>{caption}</figcaption></figure>'
