"""The gallery: pages that gridcnn makes of real runs, as files for the site.

`make_gallery` runs the commands that a reader would type, in an empty folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

SHOWN = (
    ("walkthrough.html", "How a network sees an X", "the walk-through for a class"),
    ("xo-app.html", "X or O, live", "draw with the mouse or a finger; the trained network answers"),
    ("xo-explained.html", "One picture explained", "every map, a match, the votes, what mattered"),
    (
        "xo-features.html",
        "What features look for",
        "mini-images, best matches, inputs made for them",
    ),
    ("xo-report.html", "The report of a run", "X and O: curves, confusion, mistakes"),
    ("sound-explained.html", "One sound explained", "a spectrogram on its way through a network"),
    ("sounds-report.html", "The report of a run on sounds", "with sounds that can be played"),
    ("phrase-explained.html", "One text explained", "which characters mattered"),
)
"""Files, titles, and what they are."""

_COMMANDS = (
    "walkthrough -o walkthrough.html --quiet",
    "run xo --set data.source.xo.count=6000 --out xo --quiet",
    "datasets make xo pictures --count 10 --seed 7 --quiet",
    "export xo --to page -o xo-app.html",
    "explain xo pictures/X/00001.png -o xo-explained.html",
    "features xo -o xo-features.html --quiet",
    "run sounds --set data.source.sounds.count=1800 --set training.epochs=8 --out sounds --quiet",
    "datasets make sounds clips --count 12 --seed 7 --quiet",
    "explain sounds clips/rising/00001.wav -o sound-explained.html",
    "run phrases --set training.epochs=4 --out phrases --quiet",
    "explain phrases --text GREETING -o phrase-explained.html",
)
_GREETING = "kg 12 good morning brown mr school at"


def make_gallery() -> dict[str, str]:
    """Return the gallery's pages by file name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for command in _COMMANDS:
            words = [_GREETING if word == "GREETING" else word for word in command.split()]
            subprocess.run(
                [sys.executable, "-m", "gridcnn", *words], cwd=folder, check=True, stdout=sys.stderr
            )
        for run in ("xo", "sounds"):
            (folder / f"{run}-report.html").write_bytes((folder / run / "report.html").read_bytes())
        return {each: (folder / each).read_text("utf-8") for each, _, _ in SHOWN}
