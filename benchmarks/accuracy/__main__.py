"""How often the ready specs are right, beside plain methods and published figures.

    python -m benchmarks.accuracy [NAME ...] [--page]

Runs each case of the catalogue as a newcomer would, in a new folder and with an empty cache, lets
plain methods learn from the same items, and asks all of them about the test items, once. What was
measured is kept in `benchmarks/accuracy.json`, where a case that is measured again replaces its own
entry alone, and `docs/results.md` is written from it; with `--page` only that.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from benchmarks.accuracy.catalogue import cases
from benchmarks.accuracy.measuring import Outcome, measure, read
from benchmarks.accuracy.page import page, percent, reached
from gridcnn.files import json_text, write_text

ROOT = Path(__file__).parents[2]
DATA, PAGE = ROOT / "benchmarks" / "accuracy.json", ROOT / "docs" / "results.md"


def write(outcomes: Mapping[str, Outcome], data: Path = DATA, shown: Path = PAGE) -> None:
    """Write what was measured, and the page."""
    told = {name: dataclasses.asdict(outcomes[name]) for name in cases() if name in outcomes}
    write_text(data, json_text(told) + "\n")
    write_text(shown, page(outcomes))


def main() -> None:
    """Measure, print a line for each goal, and write."""
    known = cases()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{'; '.join(known)}; all")
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    given = parser.parse_args()
    for name in given.names:
        if name not in known:
            parser.error(f"there is no '{name}'; take {'; '.join(known)}")
    for name in [] if given.page else given.names or known:
        outcome = measure(known[name])
        # Read now, and not before: another process may have measured something meanwhile.
        write(read(DATA) | {name: outcome})
        for about, answers in outcome.answers.items():
            for each in answers:
                told = f"{each.who} {percent(each.measures['accuracy'])} {each.chosen}"
                print(f"{name}, {about}: {told}")
        for goal in reached(known[name], outcome):
            print(f"{goal.about}: {goal.goal.measure} {goal.value:.4f}, met: {goal.met}")
    write(read(DATA))


if __name__ == "__main__":
    main()
