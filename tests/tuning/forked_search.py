"""A search in forked processes: one that is killed, and two at once that go on with it.

A process that has loaded everything forks them, which takes milliseconds. It is started as

    python forked_search.py

in an empty folder, and prints as JSON how many trials the killed one had made, and the exit codes
of the others.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import gridcnn

SPEC: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 60, "size": [8, 8]}}, "validation": 0.2},
    "adapter": {"image": {"size": [8, 8]}},
    "stages": [{"convolution": {"filters": 2}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 30, "batch_size": 4, "learning_rate": {"log_range": [0.001, 0.03]}},
}
TRIALS = Path("out/trials.csv")


def search() -> int:
    """Return the process id of a child that searches."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        gridcnn.tune(SPEC, trials=8, out="out", engine="reference")
        code = 0
    finally:
        os._exit(code)


def made() -> int:
    return TRIALS.read_text().count("\n") - 1 if TRIALS.exists() else 0


def main() -> None:
    for name in ("gridcnn.tuning.search", "optuna.importance", "matplotlib.figure"):
        importlib.import_module(name)
    first = search()
    while made() < 2 and not os.waitpid(first, os.WNOHANG)[0]:
        time.sleep(0.005)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    before = made()
    codes = [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in (search(), search())]
    print(json.dumps({"before": before, "codes": codes}))


main()
