"""What a page and a notebook say of a verdict in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gridcnn.order.verdict import Decision

SIGNS: dict[Decision, tuple[str, str]] = {
    "grid": ("\u25a6", "The order carries information."),
    "permutable": ("\u21c4", "The order carries no information."),
    "undecided": ("?", "There is too little data to tell."),
}
"""A sign for each decision, which needs no colour, and what it means."""


def list_of(sentences: Sequence[str], *, style: str = "", code_style: str = "") -> str:
    """Return sentences as an HTML list; lines after the first one of a sentence are code.

    `style` and `code_style` are declarations for the list, and for its code.
    """
    items = []
    for sentence in sentences:
        first, *code = sentence.split("\n")
        block = (
            f"<pre{_style_attribute(code_style)}>{escape(chr(10).join(code))}</pre>" if code else ""
        )
        items.append(f"<li>{escape(first)}{block}</li>")
    return f"<ul{_style_attribute(style)}>{''.join(items)}</ul>"


def _style_attribute(style: str) -> str:
    return f' style="{style}"' if style else ""
