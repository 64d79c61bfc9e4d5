"""A contestant's process: it makes ways ready, times them when it is told to, and else waits.

`python -m benchmarks.peers.worker SETTINGS`, where SETTINGS is JSON. Orders come in line by line on
standard input, and each is answered by a line on standard output:

- `{"open": task}` makes the ways of a task ready, one after the other, keeps the quickest, and
  answers how long each one took and what its votes or gradient are;
- `{"turn": task, "seconds": s}` repeats that way for about so long, and answers all times taken.

With `"memory": task` in the settings there are no orders: the task is done for a while, and the
memory that it took is written; with `"first": true`, the time that the first use takes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TextIO

from benchmarks.peers import CONTESTANTS

LEAST = 3
"""Repetitions that a turn has at least."""
_STEPS, _LONGEST, _TRIALS = 30, 10.0, 3
WALL, PROCESSOR = "wall", "processor"
CLOCKS: dict[str, Callable[[], float]] = {WALL: time.perf_counter, PROCESSOR: time.process_time}
"""What times are read from. `processor` counts the seconds that all threads of a process worked: a
machine that others use as well changes it less."""


@dataclass(frozen=True)
class Settings:
    """What a contestant's process is told at its start.

    Attributes:
        name: the contestant's.
        case: the file of the case.
        threads: how many threads it may use.
        options: further settings of the contestant's class.
        trial: for how many seconds each way is tried.
        way: the one way that is to be taken, where that is known.
        memory: the task whose memory is measured.
        first: whether the time of the first use is measured.
        clock: one of `CLOCKS`.
    """

    name: str
    case: str
    threads: int
    options: dict[str, str]
    trial: float = 0.3
    way: str = ""
    memory: str = ""
    first: bool = False
    clock: str = WALL

    def text(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(asdict(self))


def environment(threads: int) -> dict[str, str]:
    """Return the environment in which every library takes that many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
    # Whoever has installed a package has its bytecode.
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **dict.fromkeys(names, str(threads))}


def confine(threads: int) -> None:
    """Let this process use no more than so many processors, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:threads])


def repeat(run: Callable[[], object], seconds: float, *, clock: str = WALL) -> list[float]:
    """Return how long each repetition took, by a clock; one before them warms the caches."""
    now = CLOCKS[clock]
    run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST or time.perf_counter() < end:
        start = now()
        run()
        times.append(now() - start)
    return times


def median(times: list[float]) -> float:
    """Return the middle one (the upper of two)."""
    return sorted(times)[len(times) // 2]


class Worker:
    """Carries out orders for one contestant."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        module, _, made = CONTESTANTS[settings.name].place.partition(":")
        kind: Any = getattr(import_module(f"benchmarks.peers.{module}"), made)
        kind.load(**settings.options)
        self.imported = resident()
        cases = import_module("benchmarks.peers.case")
        self.case: Any = cases.load(Path(settings.case))
        self.contestant: Any = kind(self.case, settings.threads, **settings.options)
        self.ready: dict[str, Any] = {}

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that do the work."""
        return {name: metadata.version(name) for name in self.contestant.packages}

    def open(self, task: str) -> dict[str, Any]:
        """Make the ways of a task ready, and keep the quickest."""
        failed: dict[str, str] = {}
        ready: dict[str, tuple[Any, dict[str, Any]]] = {}
        for name, make in self.contestant.ways(task).items():
            try:
                way = make()
                ready[name] = way, self._compared(way, task)
            except Exception as error:  # whatever a library may raise; the others go on
                failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        taken = self._tried({name: way for name, (way, _) in ready.items()})
        if not taken:
            raise RuntimeError("; ".join(f"{name}: {text}" for name, text in failed.items()))
        chosen = min(taken, key=taken.__getitem__)
        self.ready[task], answer = ready[chosen]
        file = Path(self.settings.case).with_name(f"{os.getpid()}-{len(self.ready)}.npz")
        import_module("numpy").savez(file, **answer)
        return {"way": chosen, "tried": taken, "failed": failed, "answer": str(file)}

    def _tried(self, ways: dict[str, Any]) -> dict[str, float]:
        """Return the least time that each way took in several trials, in which they take turns."""
        taken = dict.fromkeys(ways, float("inf"))
        for _ in range(_TRIALS if len(ways) > 1 else 1):
            for name, way in ways.items():
                way.reset()
                times = repeat(way.run, self.settings.trial / _TRIALS, clock=self.settings.clock)
                taken[name] = min(taken[name], median(times) / way.calls)
        return taken

    def _compared(self, way: Any, task: str) -> dict[str, Any]:
        """Return the answer; of training, with the parameters that a few steps end with."""
        found: dict[str, Any] = way.answer()
        if task != "train":
            return found
        for _ in range(self.case.batches):
            way.run()
        after = way.answer()["parameters"]
        way.reset()
        return {**found, "parameters": after}

    def turn(self, task: str, seconds: float) -> list[float]:
        """Return how long each of several repetitions took."""
        way = self.ready[task]
        way.reset()
        times = repeat(way.run, seconds, clock=self.settings.clock)
        return [each / way.calls for each in times]

    def memory(self) -> dict[str, float]:
        """Return the bytes after the import, and at the most while the task was done."""
        ways = self.contestant.ways(self.settings.memory)
        way = ways[self.settings.way or next(iter(ways))]()
        end = time.perf_counter() + _LONGEST
        for step in range(_STEPS):
            way.run()
            if step >= self.case.batches and time.perf_counter() > end:
                break
        return {"imported": self.imported, "peak": peak()}

    def serve(self, out: TextIO) -> None:
        """Carry out one order after the other, until there are no more."""
        _say(out, {"versions": self.versions()})
        for line in sys.stdin:
            order = json.loads(line)
            try:
                if "open" in order:
                    _say(out, self.open(order["open"]))
                else:
                    _say(out, {"times": self.turn(order["turn"], order["seconds"])})
            except Exception as error:
                _say(out, {"error": f"{type(error).__name__}: {error}"})


def first_use(settings: Settings) -> dict[str, float]:
    """Return the seconds that an engine takes until its first answers, and again for the second.

    The answers are a training step, the votes of a batch and those of one item.
    """
    ours = import_module("benchmarks.peers.ours")
    case = import_module("benchmarks.peers.case").load(Path(settings.case))
    network = import_module("benchmarks.workloads").WORKLOADS[case.name].network()
    grids = ours.best_grids(case, network)[0]

    def answers() -> None:
        engine.step(case.parameters, grids, case.targets[0])
        engine.logits(case.parameters, grids)
        engine.logits(case.parameters, grids[:1])

    start = time.perf_counter()
    engine = ours.make_engine(
        network, settings.options.get("engine") or None, threads=settings.threads
    )
    answers()
    first = time.perf_counter() - start
    start = time.perf_counter()
    answers()
    return {"first": first, "again": time.perf_counter() - start}


def resident() -> float:
    """Return the bytes of memory that this process has now, or NaN where nobody tells."""
    return _status("VmRSS")


def peak() -> float:
    """Return the bytes of memory that this process had at its most, or NaN where nobody tells."""
    return _status("VmHWM")


def _status(name: str) -> float:
    file = Path("/proc/self/status")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    found = [line for line in lines if line.startswith(f"{name}:")]
    return float(found[0].split()[1]) * 1024 if found else float("nan")


def _say(out: TextIO, what: Any) -> None:
    print(json.dumps(what), file=out, flush=True)


def main(text: str) -> None:
    """Serve one contestant."""
    settings = Settings(**json.loads(text))
    confine(settings.threads)
    # What libraries print must not stand between the answers.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        if settings.first:
            _say(out, first_use(settings))
            return
        worker = Worker(settings)
        if settings.memory:
            _say(out, worker.memory())
            return
    except Exception as error:
        _say(out, {"error": f"{type(error).__name__}: {error}"})
        raise
    worker.serve(out)


if __name__ == "__main__":
    main(sys.argv[1])
