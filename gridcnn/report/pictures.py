"""Pictures of a verdict, as SVG that a page holds itself.

Whatever has a colour has the one for a light page, and a class such as `fill-given`, by which the
page's style sheet makes it follow a dark one. Programs that know no style sheets draw it as well.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gridcnn.order.lags import Lags
from gridcnn.order.usefulness import Usefulness
from gridcnn.report.charts import Scale, nice, points, svg, ticks

_WIDTH, _HEIGHT = 640, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 14, 44
_SCALE = ((255, 255, 255), (158, 202, 225), (66, 146, 198), (8, 81, 156), (8, 29, 88))
"""Colours of association from 0 to 1; darker is more, in grey as well."""
_NONE = (206, 200, 190)
_GIVEN = 'fill="#0b61a4" class="fill-given"'
_BAND = 'fill="#c9cdd3" class="fill-band"'
_LINE = 'stroke="#0b61a4" class="stroke-given"'
_FAINT = 'stroke="#9aa0a8" class="stroke-faint"'
_INK = 'stroke="#1b1d21" class="stroke-ink"'


def lags_picture(lags: Lags) -> str:
    """Return association against distance, as given, with the band of shuffles."""
    return curve_picture(
        lags.lags.tolist(), lags.given.tolist(), lags.low.tolist(), lags.high.tolist()
    )


def curve_picture(
    distances: Sequence[int],
    given: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
) -> str:
    """Return the same of figures that are stored: each at every distance."""
    top = nice(max(*given, *high, 0.05))
    x = Scale(1, max(distances[-1], 2), _LEFT, _WIDTH - _RIGHT)
    y = Scale(0, top, _HEIGHT - _BOTTOM, _TOP)
    places, upper, lower = (
        [(x.at(lag), y.at(value)) for lag, value in zip(distances, values, strict=True)]
        for values in (given, high, low)
    )
    dots = ""
    if len(places) <= 80:
        dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6" {_GIVEN}/>' for a, b in places)
    description = (
        f"Columns side by side have a mean association of {given[0]:.2f} as given; in random "
        f"orders 90 of 100 lie below about {float(np.median(high)):.2f}."
    )
    return svg(
        "Association against distance",
        description,
        _axes(x, y, "distance, in columns", "mean association")
        + f'<polygon points="{points([*upper, *reversed(lower)])}" {_BAND}/>'
        + f'<polyline points="{points(places)}" fill="none" {_LINE} '
        + f'stroke-width="2"/>{dots}',
        width=_WIDTH,
        height=_HEIGHT,
    )


def accuracy_picture(use: Usefulness) -> str:
    """Return the accuracy as given next to those of the shuffles."""
    values = [use.given, *use.shuffled]
    low, high = min(values), max(values)
    near = shows_guess(use)
    low = min(low, use.majority) if near else low
    margin = max(0.02, (high - low) * 0.15)
    x = Scale(max(0.0, low - margin), min(1.0, high + margin), _LEFT, _WIDTH - _RIGHT)
    height, middle = 130, 52
    marks = "".join(
        f'<line x1="{x.at(v):.1f}" x2="{x.at(v):.1f}" y1="92" y2="97" {_INK}/>'
        f'<text x="{x.at(v):.1f}" y="112" text-anchor="middle">{v:.0%}</text>'
        for v in ticks(x.low, x.high, least=0.01)
    )
    shuffles = "".join(
        f'<circle cx="{x.at(v):.1f}" cy="{middle}" r="6" fill="none" {_INK} stroke-width="1.6"/>'
        for v in use.shuffled
    )
    at, base = x.at(use.given), x.at(use.majority)
    guess = (
        f'<line x1="{base:.1f}" x2="{base:.1f}" y1="20" y2="92" {_FAINT} '
        'stroke-width="2" stroke-dasharray="4 3"/>'
    )
    diamond = points([(at, middle - 9), (at + 9, middle), (at, middle + 9), (at - 9, middle)])
    description = (
        f"Accuracy {use.given:.1%} with the columns as given; {min(use.shuffled):.1%} to "
        f"{max(use.shuffled):.1%} with shuffles; {use.majority:.1%} for the most frequent class."
    )
    return svg(
        "Accuracy as given and shuffled",
        description,
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="92" y2="92" {_INK}/>{marks}'
        f"{guess if near else ''}{shuffles}"
        f'<polygon points="{diamond}" {_GIVEN}/>',
        width=_WIDTH,
        height=height,
    )


def shows_guess(use: Usefulness) -> bool:
    """Return whether the picture has the most frequent class; far off it would press all else."""
    low, high = min(use.given, *use.shuffled), max(use.given, *use.shuffled)
    return low - max(high - low, 0.02) <= use.majority <= high


def matrix_picture(matrix: NDArray[np.float32], told: str) -> str:
    """Return a matrix of associations, 0 to 1, as a picture; `told` says what it shows."""
    content = io.BytesIO()
    matrix_image(matrix).save(content, "PNG", optimize=True)
    text = base64.b64encode(content.getvalue()).decode("ascii")
    return f'<img class="matrix" alt="{escape(told)}" src="data:image/png;base64,{text}">'


def scale_picture() -> str:
    """Return what the colours of a matrix mean."""
    stops = "".join(
        f'<stop offset="{place / (len(_SCALE) - 1):.2f}" stop-color="rgb{colour}"/>'
        for place, colour in enumerate(_SCALE)
    )
    return svg(
        "Colours of association",
        "White is no association, dark blue is 1.",
        f'<defs><linearGradient id="scale">{stops}</linearGradient></defs>'
        f'<rect x="30" y="6" width="180" height="12" fill="url(#scale)" {_INK} '
        'stroke-width="0.5"/><text x="22" y="17" text-anchor="end">0</text>'
        '<text x="218" y="17">1</text>',
        width=250,
        height=24,
    )


def matrix_image(matrix: NDArray[np.float32]) -> Image.Image:
    """Return a matrix of associations as a picture of one pixel for each."""
    known = ~np.isnan(matrix)
    place = np.where(known, matrix, 0).clip(0, 1) * (len(_SCALE) - 1)
    low = np.minimum(place.astype(np.int64), len(_SCALE) - 2)
    colours = np.array(_SCALE, np.float64)
    part = (place - low)[..., None]
    pixels = colours[low] * (1 - part) + colours[low + 1] * part
    pixels[~known] = _NONE
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _axes(x: Scale, y: Scale, below: str, beside: str) -> str:
    foot = y.start
    parts = [
        f'<line x1="{x.start}" x2="{x.end}" y1="{foot}" y2="{foot}" {_INK}/>',
        f'<text x="{(x.start + x.end) / 2:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"{below}</text>",
        f'<text x="14" y="{(y.start + y.end) / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(y.start + y.end) / 2:.0f})">{beside}</text>',
    ]
    for value in ticks(y.low, y.high):
        place = y.at(value)
        parts.append(
            f'<line x1="{x.start}" x2="{x.end}" y1="{place:.1f}" y2="{place:.1f}" '
            f'{_FAINT} stroke-width="0.5"/>'
            f'<text x="{x.start - 6}" y="{place + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        )
    whole = [1.0, *(v for v in ticks(x.low, x.high, least=1.0) if v > 1)]
    for value in whole:
        place = x.at(value)
        parts.append(
            f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{foot}" y2="{foot + 4}" '
            f'{_INK}/><text x="{place:.1f}" y="{foot + 18}" '
            f'text-anchor="middle">{value:.0f}</text>'
        )
    return "".join(parts)
