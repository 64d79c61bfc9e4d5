"""Bars that move."""

import io
from typing import Any

import pytest
from rich.console import Console

from gridcnn.cli import screen
from gridcnn.cli.bars import Bars
from gridcnn.progress import Progress


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what is written to a standard error that is a terminal."""
    written = io.StringIO()
    monkeypatch.setattr(
        screen,
        "messages",
        lambda: Console(file=written, force_terminal=True, width=200, color_system=None),
    )
    return written


def last_lines(bars: Bars) -> str:
    """Return what the bars show now."""
    console: Any = Console(file=io.StringIO(), width=200, color_system=None)
    with console.capture() as captured:
        console.print(bars._bars)
    text: str = captured.get()
    return text


def test_one_bar_is_shown_at_a_time(terminal: io.StringIO) -> None:
    """With what is done, how much of how much, and a note; bytes as people read them."""
    with Bars() as bars:
        bars.show(Progress("reading items", 30, 4000))
        first = last_lines(bars)
        bars.show(Progress("fetching x.zip", 1_500_000, 3_000_000, "bytes"), note="slowly")
        second = last_lines(bars)

    assert first.startswith("reading items")
    assert "30/4,000" in first
    assert second.startswith("fetching x.zip")
    assert "1.5 MB of 3.0 MB slowly" in second
    assert "reading" not in second
    assert "reading items" in terminal.getvalue()


def test_nothing_is_shown_without_a_terminal_or_where_it_is_not_wanted(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Bars(shown=False) as bars:
        bars.show(Progress("reading items", 1, 2))
    monkeypatch.setattr(screen, "messages", lambda: Console(file=terminal, force_terminal=False))
    with Bars() as bars:
        bars.show(Progress("reading items", 1, 2))

    assert terminal.getvalue() == ""
