"""What Ctrl-C does at any moment: commands are stopped after random times, on a busy machine.

`python -m benchmarks.stopping [TIMES] [--seed N] [--signal SIGTERM]`

Every command has to end with 130 (143 after SIGTERM), say nothing but what it means, and leave
nothing half-written. What Python does before the first line of gridcnn is out of its hands, and is
counted apart: there the signal ends the process itself, which shells show as 130 as well, or Python
prints a traceback of its own.

On an AMD EPYC of 2026 with Python 3.11 these are 16 ms of processor time: 10 until Python runs the
script, and 6 for `re`, which the script of older pips imports. An editable install adds 10 ms for
its finder. Until the handler is there gridcnn takes 1 ms, of which 0.4 (its `__init__`) are not
inside what catches KeyboardInterrupt. So with a signal at any of 750 ms, one in 30 to 50 comes
before; no layout of the package would change that.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import gridcnn
from gridcnn.datasets.makers.made import write_files
from gridcnn.datasets.makers.xo import XO

STOPPED, KILLED, PYTHON, DONE, WRONG = OUTCOMES = (
    "stopped",
    "killed before",
    "python before",
    "was done",
    "wrong",
)
_LOUD = re.compile(r"Traceback|Exception ignored|KeyboardInterrupt|Aborted|should not have")
_OURS = re.compile(r'File ".*\b(gridcnn|adapters|datasets|pipelines)[/\\]')
_WITHIN = 1.5
"""Seconds after which the signal comes at the latest."""


def outcome(code: int, errors: str, stop: signal.Signals) -> str:
    """Return what became of a command that a signal was sent to."""
    if code == -stop and not errors:
        return KILLED
    if _LOUD.search(errors):
        # Python's own start, `runpy`, which looks for the package, or the first line of the script.
        return WRONG if _OURS.search(errors) or code in (128 + stop, 2) else PYTHON
    return STOPPED if code == 128 + stop else DONE if code == 0 else WRONG


def stop_after(
    command: Sequence[str], seconds: float, stop: signal.Signals, *, folder: Path
) -> tuple[str, str]:
    """Start a command in a folder, and stop it; return what became of it, and what it said."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    time.sleep(seconds)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=120)
    return outcome(process.returncode, errors, stop), f"[exit {process.returncode}] {errors}"


def left_behind(folder: Path) -> list[str]:
    """Return the files of a folder that no command may leave: empty ones, and temporary ones."""
    return [
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and (not file.stat().st_size or file.name.startswith("."))
    ]


def prepare(folder: Path) -> None:
    """Make what the commands ask for: a model, pictures, and a table."""
    changes = {"data.source": {"xo": {"count": 400}}, "training.epochs": 1}
    gridcnn.run("xo", changes=changes, out=folder / "model")
    write_files(XO(count=300), folder / "pictures")
    rows = (",".join(str(row * column % 7) for column in range(1, 21)) for row in range(2000))
    lines = [",".join(["label", *(f"c{column}" for column in range(20))])]
    lines += [f"{'ab'[number % 2]},{row}" for number, row in enumerate(rows)]
    (folder / "table.csv").write_text("\n".join(lines) + "\n", "utf-8")


def commands() -> Mapping[str, Sequence[str]]:
    """Return the commands that are stopped, as they are typed."""
    return {
        "run": ["run", "xo", "--set", "training.epochs=1000", "--out", "new"],
        "predict": ["predict", "model", "pictures"],
        "evaluate": ["evaluate", "model", "pictures"],
        "check": ["check", "table.csv"],
        "init": ["init", "pictures", "--name", "new"],
        "show": ["show", "xo"],
        "datasets list": ["datasets", "list"],
        "datasets make": ["datasets", "make", "xo", "new", "--count", "2000"],
    }


def ways() -> Mapping[str, Sequence[str]]:
    """Return the ways to start gridcnn."""
    script = Path(sys.executable).with_name("gridcnn")
    found = {"python -m gridcnn": [sys.executable, "-m", "gridcnn"]}
    if script.is_file():
        found["gridcnn"] = [str(script)]
    return found


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many cores busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main(times: int, stop: signal.Signals, seed: int) -> int:
    """Stop commands so many times; print what became of them, and return how many went wrong."""
    draw = random.Random(seed)
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for number in range(times):
            way, start = draw.choice(list(ways().items()))
            verb, words = draw.choice(list(commands().items()))
            seconds = draw.uniform(0, _WITHIN)
            with busy(draw.choice((0, 2, 4))):
                result, said = stop_after([*start, *words], seconds, stop, folder=folder)
            left = left_behind(folder)
            result = WRONG if left else result
            counts.setdefault(f"{way} {verb}", Counter())[result] += 1
            if result == WRONG:
                print(f"{number}: {way} {verb} after {seconds:.3f} s {left}\n{said}", flush=True)
            for place in ("new", "new.yaml"):
                shutil.rmtree(folder / place, ignore_errors=True)
                with contextlib.suppress(OSError):
                    (folder / place).unlink()
    total = sum(counts.values(), Counter())
    print(f"{'command':<32}" + "".join(f"{result:>15}" for result in OUTCOMES))
    for label, found in [*sorted(counts.items()), ("", total)]:
        print(f"{label:<32}" + "".join(f"{found[result]:>15}" for result in OUTCOMES))
    return total[WRONG]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", default="SIGINT", choices=("SIGINT", "SIGTERM"))
    given = parser.parse_args()
    sys.exit(bool(main(given.times, signal.Signals[given.signal], given.seed)))
