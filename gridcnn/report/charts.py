"""Charts as SVG that a page holds itself: curves, intervals, and what they are drawn with.

Whatever has a colour has the one for a light page, and a class such as `fill-given`, by which the
page's style sheet makes it follow a dark one. Programs that know no style sheets draw it as well.
A chart is as wide as a phone, so that its text is as large there as elsewhere; wide pages put two
or three side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 360, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 40
_INK = 'stroke="#1b1d21" class="stroke-ink"'
_FAINT = 'stroke="#9aa0a8" class="stroke-faint"'
_COLOURS = ("#0b61a4", "#b35806", "#1b7f4d", "#8c2d79", "#5c6a00", "#00708a", "#a4400b", "#542788")
"""Of several curves, which also differ by their dashes."""
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 2", "6 2 1 2")
MOST_CURVES = len(_COLOURS)
_DOTTED = 40  # points up to which each one has a dot


@dataclass(frozen=True)
class Curve:
    """A curve of a chart.

    Attributes:
        name: what the key calls it.
        points: x and y of each point, from left to right.
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Bar:
    """A figure with its interval, as a row of a chart; all are parts of 1."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def part_text(value: float) -> str:
    """Return a part of 1 in percent, for an axis."""
    return f"{100 * value:.3g} %"


def number_text(value: float) -> str:
    """Return a number for an axis."""
    return f"{value:.3g}"


def curves_chart(
    title: str,
    curves: Sequence[Curve],
    *,
    below: str,
    text: Callable[[float], str] = number_text,
    mark: float | None = None,
    limits: tuple[float, float] | None = None,
) -> str:
    """Return curves over whole numbers from 1, such as epochs.

    Args:
        title: what is drawn.
        curves: at most `MOST_CURVES`; those without points are left out.
        below: what the numbers are.
        text: writes a value of the vertical axis.
        mark: where a vertical line stands.
        limits: of the vertical axis; by default as the curves need.
    """
    curves = [curve for curve in curves if curve.points]
    values = [value for curve in curves for _, value in curve.points]
    last = max((at for curve in curves for at, _ in curve.points), default=2.0)
    low, high = limits or _limits(values)
    x = Scale(1, max(last, 2), _LEFT, _WIDTH - _RIGHT)
    y = Scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    content = _frame(x, y, below, text)
    if mark is not None:
        at = x.at(mark)
        content += (
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y.end}" y2="{y.start}" {_FAINT} '
            'stroke-width="1.5" stroke-dasharray="4 3"/>'
        )
    for number, curve in enumerate(curves):
        content += _curve(curve, number, x, y)
    description = "; ".join(
        f"{curve.name} goes from {text(curve.points[0][1])} to {text(curve.points[-1][1])}"
        for curve in curves
    )
    return svg(title, description or "nothing is known", content, width=_WIDTH, height=_HEIGHT)


def key(number: int) -> str:
    """Return the piece of a line that stands for a curve in a key."""
    number %= MOST_CURVES
    colour, dash = _COLOURS[number], _DASHES[number]
    return (
        '<svg class="line-key" width="30" height="10" viewBox="0 0 30 10" aria-hidden="true">'
        f'<line x1="1" x2="29" y1="5" y2="5" stroke="{colour}" class="curve-{number}" '
        f'stroke-width="2.4" stroke-dasharray="{dash}"/></svg>'
    )


def bars_chart(title: str, bars: Sequence[Bar], *, marked: bool = False) -> str:
    """Return parts of 1, one below the other, each with its interval as a line.

    `marked`: the first is what the chart is about, and the others stand for comparison.
    """
    step, head = 46, 8
    height = head + step * len(bars) + 30
    x = Scale(0, 1, 8, _WIDTH - 16)
    foot = height - 24
    content = ""
    for value in (0, 0.25, 0.5, 0.75, 1):
        at = x.at(value)
        anchor = "start" if value == 0 else "end" if value == 1 else "middle"
        content += (
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{head}" y2="{foot}" {_FAINT} '
            f'stroke-width="0.5"/><text x="{at:.1f}" y="{foot + 16}" text-anchor="{anchor}">'
            f"{100 * value:.0f} %</text>"
        )
    for number, bar in enumerate(bars):
        top = head + step * number
        colour = 'fill="#0b61a4" class="fill-given"'
        colour = colour if number == 0 or not marked else 'fill="#9aa0a8" class="fill-faint"'
        middle, width = top + 30, max(0.5, x.at(bar.value) - x.start)
        content += (
            f'<text x="10" y="{top + 17}">{escape(bar.name)}: {100 * bar.value:.1f} %</text>'
            f'<rect x="{x.start}" y="{middle - 7}" width="{width:.1f}" height="14" {colour}/>'
        )
        if bar.low is not None and bar.high is not None:
            low, high = x.at(bar.low), x.at(bar.high)
            content += "".join(
                f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{c}" y2="{d}" {_INK} stroke-width="1.8"/>'
                for a, b, c, d in (
                    (low, high, middle, middle),
                    (low, low, middle - 5, middle + 5),
                    (high, high, middle - 5, middle + 5),
                )
            )
    description = "; ".join(f"{bar.name} {100 * bar.value:.1f} %" for bar in bars)
    return svg(title, description, content, width=_WIDTH, height=height)


def reliability_chart(
    votes: Sequence[float], accuracy: Sequence[float], items: Sequence[int]
) -> str:
    """Return the part that is right against the mean vote of each bin; larger dots: more items."""
    x = Scale(0, 1, _LEFT, _WIDTH - _RIGHT)
    y = Scale(0, 1, _HEIGHT - _BOTTOM, _TOP)
    content = _frame(x, y, "mean vote for the answer", part_text, across=True)
    content += (
        f'<line x1="{x.start}" y1="{y.start}" x2="{x.end}" y2="{y.end}" {_FAINT} '
        'stroke-width="1.5" stroke-dasharray="4 3"/>'
    )
    most = max(items, default=1)
    places = [(x.at(vote), y.at(right)) for vote, right in zip(votes, accuracy, strict=True)]
    content += (
        f'<polyline points="{points(places)}" fill="none" stroke="#0b61a4" class="stroke-given" '
        'stroke-width="1.5"/>'
    )
    for (a, b), count in zip(places, items, strict=True):
        radius = 3 + 6 * math.sqrt(count / most)
        content += (
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius:.1f}" fill="#0b61a4" '
            'class="fill-given"/>'
        )
    description = "; ".join(
        f"of {count} answers with about {100 * vote:.0f} % of the votes, {100 * right:.0f} % are "
        "right"
        for vote, right, count in zip(votes, accuracy, items, strict=True)
    )
    return svg("Reliability", description, content, width=_WIDTH, height=_HEIGHT)


def _curve(curve: Curve, number: int, x: Scale, y: Scale) -> str:
    colour = f'"{_COLOURS[number % MOST_CURVES]}"'
    dash = _DASHES[number % MOST_CURVES]
    places = [(x.at(at), y.at(min(max(value, y.low), y.high))) for at, value in curve.points]
    content = (
        f'<polyline points="{points(places)}" fill="none" stroke={colour} '
        f'class="curve-{number % MOST_CURVES}" stroke-width="2" stroke-dasharray="{dash}"/>'
    )
    if len(places) <= _DOTTED:
        content += "".join(
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.4" fill={colour} '
            f'class="dot-{number % MOST_CURVES}"/>'
            for a, b in places
        )
    return content


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return round limits around values; 0 is among them unless it would press all together."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if low >= 0 and low < 0.6 * high:
        low = 0.0
    step = _step(((high - low) or abs(high) or 1.0) / 5)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _frame(
    x: Scale, y: Scale, below: str, text: Callable[[float], str], *, across: bool = False
) -> str:
    """Return axes; `across`: the horizontal one has the same values as the vertical one."""
    foot = y.start
    parts = [
        f'<line x1="{x.start}" x2="{x.end}" y1="{foot}" y2="{foot}" {_INK}/>',
        f'<text x="{(x.start + x.end) / 2:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">'
        f"{escape(below)}</text>",
    ]
    for value in ticks(y.low, y.high):
        place = y.at(value)
        parts.append(
            f'<line x1="{x.start}" x2="{x.end}" y1="{place:.1f}" y2="{place:.1f}" '
            f'{_FAINT} stroke-width="0.5"/>'
            f'<text x="{x.start - 5}" y="{place + 4:.1f}" text-anchor="end">{text(value)}</text>'
        )
    if across:
        along = ticks(x.low, x.high)
    else:
        along = [x.low, *(value for value in ticks(x.low, x.high, least=1.0) if value > x.low)]
    for value in along:
        place = x.at(value)
        anchor = "end" if place > x.end - 8 else "middle"
        parts.append(
            f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{foot}" y2="{foot + 4}" {_INK}/>'
            f'<text x="{place:.1f}" y="{foot + 17}" text-anchor="{anchor}">'
            f"{text(value) if across else format(value, '.0f')}</text>"
        )
    return "".join(parts)


class Scale:
    """Turns values into places on a picture."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def at(self, value: float) -> float:
        """Return the place of a value, in pixels."""
        part = (value - self.low) / ((self.high - self.low) or 1.0)
        return float(self.start + part * (self.end - self.start))


def ticks(low: float, high: float, *, least: float = 0.0) -> list[float]:
    """Return four to nine round values between two."""
    step = max(_step((high - low) / 5), least)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _step(size: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(max(size, 1e-9)))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= size * 0.999)


def nice(value: float) -> float:
    """Return a round value that is not below `value`, and not far above."""
    step = _step(value / 5)
    return math.ceil(value / step - 1e-9) * step


def points(places: Sequence[tuple[float, float]]) -> str:
    """Return places as SVG has them."""
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in places)


def svg(title: str, told: str, content: str, *, width: int, height: int) -> str:
    """Return a picture; `told` is what it shows, for those who cannot see it."""
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'aria-label="{escape(title)}. {escape(told)}"><title>{escape(title)}</title>'
        f"<desc>{escape(told)}</desc>{content}</svg>"
    )
