"""A verdict as one self-contained page: no scripts, and nothing that is loaded from elsewhere."""

from __future__ import annotations

from html import escape

from gridcnn.order.neighbours import Neighbours
from gridcnn.order.verdict import Verdict
from gridcnn.report.pictures import (
    accuracy_picture,
    lags_picture,
    matrix_picture,
    scale_picture,
    shows_guess,
)
from gridcnn.report.sentences import SIGNS, list_of
from gridcnn.version import VERSION

_LAYOUTS = 8  # that are told in the table
_STYLE = """
:root { color-scheme: light dark; --given: #0b61a4; --band: #c9cdd3; --faint: #9aa0a8;
  --page: #ffffff; --ink: #1b1d21; --box: #f3f4f6; }
@media (prefers-color-scheme: dark) { :root { --given: #6db7f2; --band: #454b54; --faint: #7d8590;
  --page: #16181c; --ink: #e8eaed; --box: #24272d; } }
body { background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.verdict { background: var(--box); border-left: 6px solid var(--given); padding: 0.8rem 1.2rem; }
.verdict strong { font-size: 1.4rem; } .verdict p { margin: 0.2rem 0; }
.sign { font-size: 1.6rem; margin-right: 0.4rem; }
svg { max-width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.fill-given { fill: var(--given); } .stroke-given { stroke: var(--given); }
.fill-band { fill: var(--band); } .stroke-faint { stroke: var(--faint); }
.stroke-ink { stroke: var(--ink); }
figure { margin: 1rem 0; } figcaption { font-size: 0.9rem; }
.pair { display: flex; flex-wrap: wrap; gap: 1.2rem; }
.pair figure { margin: 0.4rem 0; } .matrix { width: 18rem;
  max-width: 100%; height: auto; image-rendering: pixelated; }
table { border-collapse: collapse; font-size: 0.9rem; display: block; overflow-x: auto; }
th, td { text-align: right; padding: 0.25rem 0.7rem; border-bottom: 1px solid var(--band); }
th:first-child, td:first-child { text-align: left; }
pre { background: var(--box); padding: 0.7rem 1rem; overflow-x: auto; }
footer { margin-top: 3rem; font-size: 0.85rem; border-top: 1px solid var(--band); }
.key { display: inline-block; width: 1.4em; height: 0.7em; vertical-align: baseline; }
"""


def page(verdict: Verdict, *, data: str) -> str:
    """Return a verdict as HTML; `data` is what the data is called."""
    sign, meaning = SIGNS[verdict.decision]
    what = "cells" if verdict.axes else "columns"
    parts = [
        f"<h1>Does the order of {what} mean anything?</h1>",
        f"<p><code>{escape(data)}</code>: {verdict.rows:,} rows, {verdict.columns:,} {what}</p>",
        f'<div class="verdict"><p><span class="sign" aria-hidden="true">{sign}</span>'
        f"<strong>{verdict.decision}</strong></p>{_summary(verdict, meaning)}</div>",
        *_advice(verdict),
        "<h2>Evidence</h2>",
        list_of(verdict.evidence),
        *_lags(verdict, what),
        *_accuracy(verdict),
        *_tables(verdict),
        f"<footer><p>Made by gridcnn {VERSION} with seed {verdict.seed}. The same data and seed "
        "give the same verdict.</p></footer>",
    ]
    title = escape(f"{verdict.decision}: {data}")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        # By this `gridcnn check --report` knows that it may replace the page.
        '<meta name="generator" content="gridcnn">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _summary(verdict: Verdict, meaning: str) -> str:
    """Return the verdict, its reason and what to do as paragraphs; without them, the meaning."""
    return "".join(f"<p>{escape(text)}</p>" for text in verdict.summary) or f"<p>{meaning}</p>"


def _advice(verdict: Verdict) -> list[str]:
    if not verdict.advice:
        return []
    return ["<h2>Advice</h2>", list_of(verdict.advice)]


def _lags(verdict: Verdict, what: str) -> list[str]:
    lags = verdict.lags
    if lags is None or not len(lags.lags):
        return []
    some = len(lags.matrix) < verdict.columns
    shown = f"{len(lags.matrix)} of {verdict.columns:,} {what}" if some else f"all {what}"
    return [
        "<h2>Association against distance</h2>",
        f"<figure>{lags_picture(lags)}<figcaption>"
        '<span class="key" style="background: var(--given)"></span> as given &ensp; '
        '<span class="key" style="background: var(--band)"></span> where 90 of 100 random orders '
        "lie. Above the band, columns at that distance are more alike than chance makes them; "
        "where it rises again, the next row of a grid begins, or the next of several interleaved "
        "channels.</figcaption></figure>",
        f"<h2>Association of every two {what}</h2>",
        f'<div class="pair"><figure>{matrix_picture(lags.matrix, "As given: " + shown)}'
        "<figcaption>as given</figcaption></figure>"
        f"<figure>{matrix_picture(lags.shuffled, 'In a random order: ' + shown)}"
        "<figcaption>in a random order</figcaption></figure></div>",
        scale_picture(),
        f"<p>Shown: {shown}. Stripes along the diagonal are an order; blocks are groups that "
        "merely stand together. The diagonal, and what does not vary, is brown.</p>",
    ]


def _accuracy(verdict: Verdict) -> list[str]:
    use = verdict.usefulness
    if use is None:
        return []
    dashed = "dashed line: " if shows_guess(use) else ""
    return [
        "<h2>Accuracy as given and shuffled</h2>",
        f"<figure>{accuracy_picture(use)}<figcaption>"
        f"\u25c6 as given &ensp; \u25cb each shuffle &ensp; {dashed}always the most frequent "
        f"class: {use.majority:.1%}. {use.rows:,} rows of {use.classes} classes, answered by "
        "cross-validation.</figcaption></figure>",
    ]


def _tables(verdict: Verdict) -> list[str]:
    parts = []
    if verdict.axes:
        rows = "".join(
            f"<tr><td>{escape(axis.name)}</td><td>{axis.size:,}</td><td>{axis.decision}</td>"
            f"{_figures(axis.neighbours)}</tr>"
            for axis in verdict.axes
        )
        parts += [
            "<h2>Each axis</h2>",
            f"<table><tr><th>axis</th><th>size</th><th>verdict</th>{_HEADS}</tr>{rows}</table>",
        ]
    if verdict.neighbours and not verdict.axes:
        rows = "".join(
            f"<tr><td>{escape(str(near.layout))}</td>{_figures(near)}</tr>"
            for near in verdict.neighbours[:_LAYOUTS]
        )
        parts += [
            "<h2>Layouts that were tried</h2>",
            f"<table><tr><th>layout</th>{_HEADS}</tr>{rows}</table>",
        ]
        more = len(verdict.neighbours) - _LAYOUTS
        if more > 0:
            parts.append(f"<p>and {more} more, with lower scores</p>")
    return parts


_HEADS = "".join(
    f"<th>{head}</th>" for head in ("neighbours", "chance", "best", "score", "gradation", "p")
)


def _figures(near: Neighbours | None) -> str:
    if near is None:
        return "<td></td>" * 6
    p_value = "" if near.p_value is None else f"{near.p_value:.2g}"
    values = (near.explained, near.by_chance, near.best, near.score, near.gradation)
    return "".join(f"<td>{value:.2f}</td>" for value in values) + f"<td>{p_value}</td>"
