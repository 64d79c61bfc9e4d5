"""The search under atheris: a process for each target, forked from one that has loaded everything.

A fault that raises is kept and told once, and the search goes on. What ends the process (a crash
of a library, no end, too much memory) is kept by libFuzzer, and the target is begun again.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import atheris

from fuzz import faults

_TIMEOUT = 60
"""Seconds that an input may take."""
_MEMORY = 2_500
"""Megabytes that a process may take."""
_DATA = 2_000_000_000
"""Bytes that gridcnn may take: it refuses what does not fit, and libFuzzer ends the process."""
_LEAST = 3
"""Seconds for a target, at least."""
_ENDS = 5
"""How often the process of a target is begun."""
_UNITS = re.compile(r"stat::number_of_executed_units: (\d+)")
_SLOW = (
    "pandas.io.stata", "pyarrow.parquet", "pyarrow.feather", "openpyxl", "sklearn.linear_model",
    "scipy.signal", "soundfile", "PIL.TiffImagePlugin", "rdkit.Chem",
)  # fmt: skip
"""What takes long to load, and need not be loaded again for each target."""
_BEGIN = "INFO: Using built-in libfuzzer"
"""What libFuzzer says first."""
_SLOW_UNIT = "slow-unit-"
"""What libFuzzer calls inputs that took about `_TIMEOUT`, and came to an end."""
_KILLED = ("crash-", "timeout-", "oom-", "leak-")
"""What libFuzzer calls inputs that ended a process."""

# From now on atheris sees which code of gridcnn an input reaches, also in what is imported later.
_WATCHED = contextlib.ExitStack()
_WATCHED.enter_context(atheris.instrument_imports(include=["gridcnn"]))
with contextlib.redirect_stderr(io.StringIO()):  # it tells of each module
    from fuzz.changes import LONGEST, Changes
    from fuzz.target import attempt, scratch
    from fuzz.targets import targets

    targets()
    for _name in _SLOW:
        with contextlib.suppress(ImportError):
            importlib.import_module(_name)


@dataclass
class _Outcome:
    """What became of a target.

    Attributes:
        runs: how many inputs it has read.
        faults: how many different things went wrong.
    """

    runs: int = 0
    faults: int = 0


@dataclass(frozen=True)
class _Places:
    """Where things are kept.

    Attributes:
        corpus: inputs that have reached new code.
        faults: inputs of faults.
        log: what libFuzzer says.
    """

    corpus: Path
    faults: Path
    log: Path

    @classmethod
    def of(cls, target: str, kept: Path) -> _Places:
        """Return the places of a target, whose folders are made."""
        places = cls(kept / "corpus" / target, kept / "faults", kept / f"{target}.log")
        for folder in (places.corpus, places.faults):
            folder.mkdir(parents=True, exist_ok=True)
        return places


def search(names: Sequence[str], minutes: float, kept: Path) -> int:
    """Search in targets for so long in all; return how many faults were found.

    `kept` is the folder for inputs.
    """
    end = time.monotonic() + 60 * minutes
    found = 0
    for number, name in enumerate(names):
        seconds = max(_LEAST, (end - time.monotonic()) / (len(names) - number))
        start = time.monotonic()
        outcome = _fuzz(name, seconds, _Places.of(name, kept))
        took = time.monotonic() - start
        runs = f"{outcome.runs:,} inputs in {took:.0f} s"
        print(f"{name}: {runs}, {outcome.faults} faults", flush=True)
        found += outcome.faults
    return found


def _fuzz(name: str, seconds: float, places: _Places) -> _Outcome:
    """Search in one target; a process that ends too early is begun again."""
    outcome = _Outcome()
    end = time.monotonic() + seconds
    places.log.unlink(missing_ok=True)
    for _ in range(_ENDS):
        before = set(places.faults.iterdir())
        with scratch() as work:
            status = _forked(name, max(1, end - time.monotonic()), places, work)
        outcome.runs = _runs_in(places.log)
        new = sorted(set(places.faults.iterdir()) - before)
        # What was only slow is kept to look at: on a busy machine it may be anything. A fault is
        # what does not end, which has another name.
        new = [path for path in new if not path.name.startswith(f"{name}-{_SLOW_UNIT}")]
        outcome.faults += len(new)
        for path in new:
            kind = path.name.removeprefix(f"{name}-")
            if kind.startswith(_KILLED):
                print(f"{kind.partition('-')[0]}\n  {faults.how_to_repeat(name, path)}", flush=True)
        if status and not new:
            outcome.faults += 1
            print(f"{name}: the process ended with {status}; see {places.log}", flush=True)
        if not status or time.monotonic() > end - _LEAST:
            break
    return outcome


def _forked(name: str, seconds: float, places: _Places, work: Path) -> int:
    """Search in a process of its own; return with what it ended, 0 where that is well."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            _search_here(name, seconds, places, work)
        except BaseException:  # nothing of the parent may go on twice
            traceback.print_exc()
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _search_here(name: str, seconds: float, places: _Places, work: Path) -> None:
    """Search until the time is over; libFuzzer ends the process."""
    begin = time.monotonic()
    # All processes of a target write to one log: why the first ones ended is told there, too.
    log = os.open(places.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 2)
    os.chdir(work)
    # A folder and a home of its own, where odd paths lead to nothing.
    os.environ.update(HOME=str(work), TMPDIR=str(work), GRIDCNN_DATA=str(work), GRIDCNN_CACHE="off")
    target = targets()[name]
    for number, seed in enumerate(target.seeds()):
        (places.corpus / f"seed-{number}").write_bytes(seed)
    _limit_memory()
    known: set[str] = set()

    def read(content: bytes) -> None:
        try:
            attempt(target, content, work)
        except Exception as error:
            place = faults.place_of(error)
            if place not in known:
                known.add(place)
                path = faults.keep(content, name, places.faults)
                print(f"{faults.describe(error)}\n  {faults.how_to_repeat(name, path)}", flush=True)

    def raw(content: bytes) -> bytes:
        changed: Any = atheris.Mutate(content, max(len(content) + 64, 2 * len(content)))
        return bytes(changed)

    def change(content: bytes, most: int, seed: int) -> bytes:
        return target.change(content, Changes(Random(seed), raw))[:most]

    options = {
        "max_total_time": max(1, round(seconds - (time.monotonic() - begin))),
        "timeout": _TIMEOUT,
        "report_slow_units": _TIMEOUT,
        "rss_limit_mb": _MEMORY,
        "max_len": LONGEST,
        "len_control": 0,
        "print_final_stats": 1,
        "artifact_prefix": f"{places.faults / name}-",
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(places.corpus)], read, custom_mutator=change)
    atheris.Fuzz()


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_DATA, hard))


def _runs_in(log: Path) -> int:
    """Return how many inputs all processes of a target have read, by what libFuzzer says."""
    return sum(map(_runs_told, log.read_text("utf-8", "replace").split(_BEGIN)))


def _runs_told(text: str) -> int:
    """Return how many inputs one process has read."""
    found = _UNITS.search(text)
    if found:
        return int(found[1])
    counts = re.findall(r"^#(\d+)\t", text, re.MULTILINE)
    return int(counts[-1]) if counts else 0
