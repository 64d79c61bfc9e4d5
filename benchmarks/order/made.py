"""Choosing made families, judging their cases, and printing the figures."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.order.case import Family, cases, families
from benchmarks.order.judging import Result, judge_all
from benchmarks.order.report import as_json, page

_TOLD = 20  # cases, after which progress is told once more


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the made families."""
    made = parser.add_argument_group("made families")
    made.add_argument("--made", action="store_true", help="judge made families, not the real sets")
    made.add_argument("--family", action="append", metavar="NAME", help="this family only")
    made.add_argument("--group", action="append", metavar="NAME", help="this group only")
    made.add_argument("--held-out", action="store_true", help="held-out families only")
    made.add_argument("--tuned", action="store_true", help="families to choose thresholds by only")
    made.add_argument("--seeds", type=int, default=1, metavar="N", help="tables of each variant")
    made.add_argument("--first-seed", type=int, default=0, metavar="N", help="seed of the first")
    made.add_argument(
        "--check-seeds", type=int, default=3, metavar="N", help="seeds of the checker"
    )
    made.add_argument("--jobs", type=int, default=2, metavar="N", help="processes")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every verdict to a file")
    made.add_argument("--list", action="store_true", help="print the families, judge nothing")


def is_asked_for(arguments: argparse.Namespace) -> bool:
    """Return whether any option asks for made families."""
    names = ("made", "family", "group", "held_out", "tuned", "json", "list")
    return any(getattr(arguments, name) for name in names)


def run(arguments: argparse.Namespace) -> None:
    """Judge what was asked for and print the figures."""
    chosen = _chosen(arguments)
    if arguments.list:
        _print_list(chosen)
        return
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    every = list(cases(chosen, seeds))
    results: list[Result] = []
    start = time.perf_counter()
    for result in judge_all(every, range(arguments.check_seeds), jobs=arguments.jobs):
        results.append(result)
        if len(results) % _TOLD == 0:
            print(f"{len(results)} of {len(every)} cases", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - start
    # Who asks for held-out families alone, or for one by its name, wants to see them.
    named = arguments.held_out or bool(arguments.family)
    print(page(results, seconds=seconds, name_held_out=named))
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(results), indent=1) + "\n", encoding="utf-8")


def _chosen(arguments: argparse.Namespace) -> Sequence[Family]:
    every = families()
    for option, known in (
        ("family", {each.name for each in every}),
        ("group", {each.group for each in every}),
    ):
        for name in getattr(arguments, option) or ():
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]!r}?" if close else "; --list prints all"
                sys.exit(f"no {option} is named {name!r}{hint}")
    return [
        each
        for each in every
        if (not arguments.family or each.name in arguments.family)
        and (not arguments.group or each.group in arguments.group)
        and (not arguments.held_out or each.held_out)
        and (not arguments.tuned or not each.held_out)
    ]


def _print_list(chosen: Sequence[Family]) -> None:
    print("| group | family | half | variants | shuffled | what it imitates |")
    print("|---|---|---|---|---|---|")
    for each in chosen:
        half = "held out" if each.held_out else "tuned"
        first = (each.make.__doc__ or "").splitlines()[0]
        shuffled = "yes" if each.shuffles else ""
        print(
            f"| {each.group} | {each.name} | {half} | {len(each.variants)} | {shuffled} | {first} |"
        )
    counts = Counter(case.shuffled for case in cases(chosen, [0]))
    print(
        f"\n{len(chosen)} families; {counts[False]} cases and {counts[True]} shuffled ones a seed"
    )
