"""gridcnn against the libraries that people use on a processor, on the same networks and data.

    python -m benchmarks.throughput [--only WORKLOAD ...] [--peers NAME ...] [--quick] ...

The peers come with `pip install -e ".[bench]"`. Every contestant has a process of its own, and as
many threads as the others. First all of them are compared with the reference engine, then they take
turns: in each round each one repeats the task for a moment, in an order that is another one in the
next round. What counts is the median over the rounds. On a machine that others use as well,
`--clock processor --threads 1` counts the seconds that the processor worked for each of them.

The tables are printed. A measurement of everything also writes `benchmarks/results.md` and
`benchmarks/results.json`; `--out FOLDER` writes the two of any measurement elsewhere.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import machine, report
from benchmarks.peers import CONTESTANTS, LAYER, ONE, OURS, PREDICT, TASKS, TRAIN, checks
from benchmarks.peers.base import Answer
from benchmarks.peers.case import Case
from benchmarks.peers.process import ContestantError, Process, once
from benchmarks.peers.worker import CLOCKS, PROCESSOR, WALL, Settings
from benchmarks.report import ALONE, COLD, FirstUse, Layer, Memory, Outcome, Results, Timing
from benchmarks.workloads import WORKLOADS, Workload, convolutions
from gridcnn.cores import usable_cores
from gridcnn.engines.base import DEFAULT_ENGINE

HERE = Path(__file__).parent
TIMES, LAYERS, MEMORY, FIRST = "times", "layers", "memory", "first"
PARTS = (TIMES, LAYERS, MEMORY, FIRST)
_PACKAGES = ("gridcnn", "numpy", "llvmlite", "torch", "onnxruntime", "onnx", "openvino", "jax")
_RUNS = 5
"""Processes whose first use is timed, of each kind."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        contestants: who takes part, by name.
        threads: how many threads each has.
        rounds: how many turns each has.
        seconds: about how long a turn lasts.
        engine: gridcnn's.
        parts: those of `PARTS` that are measured.
        clock: what times are read from, one of `benchmarks.peers.worker.CLOCKS`.
    """

    contestants: tuple[str, ...]
    threads: int
    rounds: int
    seconds: float
    engine: str
    parts: tuple[str, ...] = PARTS
    clock: str = WALL

    def settings(self, name: str, case: Path) -> Settings:
        """Return what a contestant's process is told."""
        alone = name == ALONE
        known = OURS if alone else name
        ours = {"engine": self.engine} if known == OURS else {}
        return Settings(
            name=known,
            case=str(case),
            threads=1 if alone else self.threads,
            options={**dict(CONTESTANTS[known].settings), **ours},
            trial=self.seconds,
            clock=self.clock,
        )

    def competitors(self) -> list[str]:
        """Return who takes turns; gridcnn also with one thread."""
        alone = [ALONE] if self.threads > 1 and OURS in self.contestants else []
        return [*alone, *self.contestants]


class Contest:
    """One workload: its contestants' processes, until the block is left."""

    def __init__(self, plan: Plan, workload: Workload, folder: Path) -> None:
        self.plan = plan
        self.workload = workload
        self.file = folder / "case.npz"
        self.case: Case = workload.case()
        self.case.save(self.file)
        self.outcome = Outcome()
        self.ways: dict[str, str] = {}
        self._running: dict[str, Process] = {}
        self._not_running: dict[str, str] = {}

    def measure(self) -> Outcome:
        """Measure every part of the plan."""
        parts = self.plan.parts
        if TIMES in parts:
            self._say("computing what all have to come to")
            ours = checks.expected(self.case, self.workload.network())
            others = ours
            if self.case.normalized:
                whole = self.case.items
                others = checks.expected(self.case, self.workload.network(), group=whole)
            with ExitStack() as stack:
                self._start(stack)
                for task in TASKS:
                    self._task(task, ours, others)
        if LAYERS in parts and OURS in self.plan.contestants and not self.case.nested:
            self._layers()
        if MEMORY in parts:
            self._memory()
        if FIRST in parts and OURS in self.plan.contestants:
            self._first_use()
        return self.outcome

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {self.workload.name}: {text}", file=sys.stderr)

    def _start(self, stack: ExitStack) -> None:
        for name in self.plan.competitors():
            try:
                process = Process(self.plan.settings(name, self.file))
                self._running[name] = stack.enter_context(process)
            except ContestantError as error:
                self._not_running[name] = str(error)

    def _task(self, task: str, ours: Answer, others: Answer) -> None:
        """Compare who can do a task with the reference, and let them take turns."""
        absent: dict[str, str] = {}
        ready: dict[str, Timing] = {}
        for name in self.plan.competitors():
            known = OURS if name == ALONE else name
            if task not in CONTESTANTS[known].tasks:
                continue
            self._say(f"{TASKS[task]}: {report.title(name)} gets ready")
            try:
                ready[name] = self._opened(name, task, ours if known == OURS else others)
            except ContestantError as error:
                absent[name] = str(error)
        self._say(f"{TASKS[task]}: {self.plan.rounds} rounds of {len(ready)}")
        names = list(ready)
        for number in range(self.plan.rounds):
            first = number % max(len(names), 1)
            for name in names[first:] + names[:first]:
                times = self._running[name].turn(task, self.plan.seconds)
                ready[name].rounds.append(statistics.median(times))
        self.outcome.times[task] = ready
        self.outcome.absent[task] = absent

    def _opened(self, name: str, task: str, right: Answer) -> Timing:
        """Return the empty timing of who is ready; raise where it gives other answers."""
        if name not in self._running:
            raise ContestantError(self._not_running[name])
        opened = self._running[name].open(task)
        found = checks.differences(self.case, opened["answer"], right)
        wrong = checks.wrong(found, right)
        if wrong:
            raise ContestantError(f"its answers are wrong ({opened['way']}): {wrong}")
        if task == TRAIN:
            self.ways[name] = opened["way"]
        return Timing([], opened["way"], opened["tried"], opened["failed"], found)

    def _layers(self) -> None:
        self._say("convolutions by themselves")
        with Process(self.plan.settings(OURS, self.file)) as process:
            for number, block in enumerate(convolutions(self.workload), 1):
                task = f"{LAYER}{number}"
                process.open(task)
                turns = (process.turn(task, self.plan.seconds) for _ in range(3))
                seconds = min(statistics.median(times) for times in turns)
                label = f"{block.input} to {block.output}"
                self.outcome.layers.append(Layer(label, block.multiply_adds, seconds))

    def _memory(self) -> None:
        for name in self.plan.contestants:
            if TRAIN not in CONTESTANTS[name].tasks or name in self._not_running:
                continue
            self._say(f"memory of {report.title(name)}")
            settings = replace(
                self.plan.settings(name, self.file), memory=TRAIN, way=self.ways.get(name, "")
            )
            try:
                if name == OURS:
                    with tempfile.TemporaryDirectory() as cache:
                        # Here the first process finds an empty cache, and the second a full one.
                        for label in (COLD, OURS):
                            found = once(settings, XDG_CACHE_HOME=cache)
                            self.outcome.memory[label] = Memory(**found)
                else:
                    self.outcome.memory[name] = Memory(**once(settings))
            except ContestantError as error:
                self.outcome.absent.setdefault("memory", {})[name] = str(error)

    def _first_use(self) -> None:
        if not sys.platform.startswith("linux"):
            return  # elsewhere no variable says where the cache is
        self._say("first use")
        ours = replace(self.plan.settings(OURS, self.file), first=True)
        reference = replace(ours, options={"engine": "reference"})
        times: dict[str, list[float]] = {"cold": [], "warm": [], "reference": []}
        for _ in range(_RUNS):
            with tempfile.TemporaryDirectory() as cache:
                for label, settings in (("cold", ours), ("warm", ours), ("reference", reference)):
                    found = once(settings, XDG_CACHE_HOME=cache)
                    times[label].append(found["first"] - found["again"])
        medians = {label: statistics.median(each) for label, each in times.items()}
        self.outcome.first = FirstUse(**medians)


def measure(plan: Plan, workloads: list[Workload]) -> Results:
    """Measure workloads one after the other, and the machine before and after them."""
    busy = {"load when it began": machine.load()}
    before = machine.peaks(plan.threads)
    outcomes = {}
    for workload in workloads:
        with tempfile.TemporaryDirectory() as folder:
            outcomes[workload.name] = Contest(plan, workload, Path(folder)).measure()
    after = machine.peaks(plan.threads)
    best = {name: max(value, asdict(after)[name]) for name, value in asdict(before).items()}
    return Results(
        date=time.strftime("%Y-%m-%d"),
        engine=plan.engine,
        threads=plan.threads,
        rounds=plan.rounds,
        machine=machine.describe() | busy,
        versions=machine.versions(*_PACKAGES),
        peaks=machine.Peaks(**best),
        outcomes=outcomes,
        clock=plan.clock,
    )


def as_json(results: Results) -> str:
    """Return all that was measured, every round of it, with medians, quartiles and bars."""
    told: dict[str, Any] = asdict(results)
    told["bars"] = [asdict(bar) for bar in report.bars(results)]
    for name, outcome in results.outcomes.items():
        for task, times in outcome.times.items():
            for who, timing in times.items():
                place = told["outcomes"][name]["times"][task][who]
                place["median"] = timing.median
                place["quartiles"] = quartiles(timing.rounds)
                if OURS in times:
                    pairs = zip(timing.rounds, times[OURS].rounds, strict=True)
                    place["by_gridcnn"] = quartiles([theirs / ours for theirs, ours in pairs])
                if task in (TRAIN, PREDICT, ONE):
                    speed = report.rate(WORKLOADS[name], task, timing.median)
                    place["gflops"] = speed
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def quartiles(numbers: list[float]) -> list[float]:
    """Return the lower quartile, the median and the upper one."""
    if len(numbers) < 2:
        return numbers * 3
    return statistics.quantiles(numbers, n=4, method="inclusive")


def _plan(given: argparse.Namespace) -> Plan:
    rounds = given.rounds or (3 if given.quick else 15)
    seconds = given.seconds or (0.05 if given.quick else 0.3)
    peers = given.peers if given.peers is not None else list(CONTESTANTS)[1:]
    return Plan(
        contestants=(OURS, *peers),
        threads=given.threads or usable_cores(),
        rounds=rounds,
        seconds=seconds,
        engine=given.engine,
        parts=tuple(given.parts),
        clock=given.clock,
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument(
        "--peers", nargs="*", choices=list(CONTESTANTS)[1:], metavar="NAME", help="who else"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, help="turns of each contestant; 15")
    parser.add_argument("--seconds", type=float, help="the length of a turn; 0.3")
    parser.add_argument("--threads", type=int, help="all that this process may use")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help=f"{DEFAULT_ENGINE}")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default=WALL,
        help=f"{PROCESSOR}: seconds of all threads, for a machine that others use as well; {WALL}",
    )
    parser.add_argument("--quick", action="store_true", help="3 short rounds, for a first look")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--out", type=Path, help="the folder of results.md and results.json")
    return parser


def main() -> int:
    """Measure, print and write; return 1 where a contestant's answers are wrong."""
    given = _arguments().parse_args()
    chosen = given.only or list(WORKLOADS)
    results = measure(_plan(given), [WORKLOADS[name] for name in chosen])
    page, data = report.markdown(results), as_json(results)
    print(data if given.json else page, end="")
    part = given.only or given.quick or given.peers is not None or given.parts != list(PARTS)
    whole = not part and given.clock == WALL
    folder = given.out or (HERE if whole else None)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.md").write_text(page, "utf-8")
        (folder / "results.json").write_text(data, "utf-8")
    reasons = (
        reason
        for outcome in results.outcomes.values()
        for absent in outcome.absent.values()
        for reason in absent.values()
    )
    return int(any("answers are wrong" in reason for reason in reasons))


if __name__ == "__main__":
    sys.exit(main())
