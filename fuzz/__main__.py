"""`python -m fuzz --minutes 10`: search for inputs out of which something wrong comes.

`python -m fuzz TARGET FILE` lets a target read the input of a fault again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz import faults
from fuzz.target import attempt, scratch
from fuzz.targets import targets

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".fuzz"
"""Where inputs that lead to new code are kept, and those of faults."""
TIMEOUT = 60
"""Seconds that an input may take."""
_LEAST = 3
"""Seconds for a target, at least."""
_ENDS = 5
"""How often the process of a target is begun again."""
_UNITS = re.compile(r"stat::number_of_executed_units: (\d+)")
_MISSING = (
    "atheris is not installed here; it has wheels for Linux (python -m pip install "
    "'gridcnn[fuzz]'); `make test` runs all targets without it, over far fewer inputs"
)


@dataclass
class _Outcome:
    """What became of a target.

    Attributes:
        runs: how many inputs it has read.
        faults: how many of them led to a fault of their own.
    """

    runs: int = 0
    faults: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where nothing wrong came out, 1 where something did, 2 where nothing was tried."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("repeat", nargs="*", metavar="TARGET FILE", help="read an input again")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    parser.add_argument("--target", action="append", help="search here alone; repeatable")
    parser.add_argument("--list", action="store_true", help="list the targets")
    given = parser.parse_args(arguments)
    known = targets()
    if given.list:
        for target in known.values():
            print(f"{target.name:12} {target.about}")
        return 0
    names = given.target or list(known)
    unknown = [name for name in [*names, *given.repeat[:1]] if name not in known]
    if unknown or len(given.repeat) not in (0, 2):
        what = f"there is no target {unknown[0]}" if unknown else "give a target and a file"
        print(f"{what}; the targets are {', '.join(known)}", file=sys.stderr)
        return 2
    if given.repeat:
        return _repeat(given.repeat[0], Path(given.repeat[1]))
    if importlib.util.find_spec("atheris") is None:
        print(_MISSING, file=sys.stderr)
        return 2
    return _search(names, given.minutes)


def _repeat(name: str, path: Path) -> int:
    os.environ["GRIDCNN_OFFLINE"] = "1"
    content = path.read_bytes()
    with scratch() as folder:
        try:
            attempt(targets()[name], content, folder)
        except Exception as error:
            traceback.print_exc()
            print(f"\n{faults.describe(error)}")
            return 1
    print("nothing wrong came out")
    return 0


def _search(names: Sequence[str], minutes: float) -> int:
    end = time.monotonic() + 60 * minutes
    found = 0
    for number, name in enumerate(names):
        seconds = max(_LEAST, (end - time.monotonic()) / (len(names) - number))
        start = time.monotonic()
        outcome = _fuzz(name, seconds)
        took = time.monotonic() - start
        print(
            f"{name}: {outcome.runs:,} inputs in {took:.0f} s, {outcome.faults} faults", flush=True
        )
        found += outcome.faults
    return 1 if found else 0


def _fuzz(name: str, seconds: float) -> _Outcome:
    """Search in one target, in processes of their own; a process that ends is begun again."""
    corpus, kept = KEPT / "corpus" / name, KEPT / "faults"
    log = KEPT / f"{name}.log"
    for folder in (corpus, kept):
        folder.mkdir(parents=True, exist_ok=True)
    outcome = _Outcome()
    end = time.monotonic() + seconds
    for _ in range(_ENDS):
        left = end - time.monotonic()
        if outcome.runs and left < _LEAST:
            break
        before = set(kept.iterdir())
        ended = _process(name, left, corpus, kept, log)
        outcome.runs += _runs_in(log)
        new = sorted(set(kept.iterdir()) - before)
        outcome.faults += len(new)
        told = ("crash-", "timeout-", "oom-", "leak-")
        for path in new:
            kind = path.name.removeprefix(f"{name}-")
            if kind.startswith(told):
                print(f"{kind.partition('-')[0]}\n  {faults.how_to_repeat(name, path)}")
        if ended == 0:
            break
        if not new:
            outcome.faults += 1
            print(f"{name}: the process ended with {ended}; see {log}")
            break
    return outcome


def _process(name: str, seconds: float, corpus: Path, kept: Path, log: Path) -> int:
    with scratch() as folder, log.open("w") as output:
        words = [sys.executable, "-m", "fuzz.worker", name]
        places = {"corpus": corpus, "faults": kept, "work": folder}
        words += [f"--{key}={value}" for key, value in places.items()]
        words += [f"--seconds={max(1, round(seconds))}", f"--timeout={TIMEOUT}"]
        # In a folder and a home of its own, where odd paths lead to nothing.
        home = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
        settings = {"GRIDCNN_CACHE": "off", "GRIDCNN_OFFLINE": "1", "GRIDCNN_DATA": str(folder)}
        environment = {**os.environ, **home, **settings}
        done = subprocess.run(
            words, cwd=folder, env=environment, stderr=output, timeout=seconds + 20 * TIMEOUT,
            check=False,
        )  # fmt: skip
    return done.returncode


def _runs_in(log: Path) -> int:
    text = log.read_text("utf-8", "replace")
    found = _UNITS.search(text)
    if found:
        return int(found[1])
    counts = re.findall(r"^#(\d+)\t", text, re.MULTILINE)
    return int(counts[-1]) if counts else 0


if __name__ == "__main__":
    sys.exit(main())
