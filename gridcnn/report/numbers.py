"""Numbers as people read them, the same on a terminal and in pages."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float) -> str:
    """Return a count as people read it: `1,234`."""
    return f"{value:,.0f}"


def seconds(count: float) -> str:
    """Return a duration as people read it: `1 min 5 s`."""
    if count < 10:
        return f"{count:.1f} s"
    if count < 60:
        return f"{count:.0f} s"
    minutes, rest = divmod(round(count), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def percent(part: float) -> str:
    """Return a part of 1 as `99.9 %`, never rounded up to 100 %."""
    text = f"{part * 100:.1f}"
    return "99.9 %" if text == "100.0" and part < 1 else f"{text} %"


def interval(ends: Sequence[float]) -> str:
    """Return the 95 % interval of a part of 1 as `95 % interval 97.3 to 99.9 %`."""
    low, high = (percent(end) for end in ends)
    return f"95 % interval {low.removesuffix(' %')} to {high}"
