"""What is printed steers no terminal, and is what it says that it is."""

from __future__ import annotations

import pytest

from gridcnn.cli import screen


def test_a_note_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Though a file may have a name with line ends in it, which could look like another note."""
    screen.say_noted("1 .x\nnote: all is well\x1b[2J\u2028 is left out")

    assert capsys.readouterr().out == "note: 1 .x note: all is well\\x1b[2J is left out\n"
