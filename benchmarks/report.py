"""What was measured, and its tables: `benchmarks/results.md` is written from these."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.machine import Peaks
from benchmarks.peers import CONTESTANTS, ONE, OURS, PREDICT, PYTORCH, RUNTIMES, TRAIN
from benchmarks.workloads import WORKLOADS, Workload, arithmetic

ALONE = "gridcnn, 1 thread"
"""Who takes part beside `gridcnn` where there are several threads."""
THREADS_BAR, MEMORY_BAR = 1.8, 1 / 3
COLD_BAR, WARM_BAR, FIRST_OF = 1.5, 0.05, "xo"
"""Seconds until the first answers of one workload, and how many more than without the engine."""


@dataclass(frozen=True)
class Timing:
    """What a task took one contestant.

    Attributes:
        rounds: seconds, the median of each round's repetitions.
        way: the way that was taken.
        tried: seconds that every way took in the trials.
        failed: ways that came to nothing, and why.
        differences: by how much the answer differs from the reference.
    """

    rounds: list[float]
    way: str
    tried: dict[str, float]
    failed: dict[str, str]
    differences: dict[str, float]

    @property
    def median(self) -> float:
        """Seconds, over the rounds."""
        return statistics.median(self.rounds)


@dataclass(frozen=True)
class Layer:
    """One convolution of gridcnn by itself, with the rectification and pooling that follow it."""

    label: str
    multiply_adds: int
    seconds: float


@dataclass(frozen=True)
class Memory:
    """Bytes while training: after the import, and at the most."""

    imported: float
    peak: float


@dataclass(frozen=True)
class FirstUse:
    """Seconds until an engine's first answers, less those that the same answers take again.

    Attributes:
        cold: with an empty cache.
        warm: with a filled one.
        reference: those of the reference engine, which compiles nothing.
    """

    cold: float
    warm: float
    reference: float


@dataclass
class Outcome:
    """What was measured of one workload.

    Attributes:
        times: by task and contestant.
        absent: by task and contestant, why there is no time.
        layers: gridcnn's convolutions.
        memory: while training, by contestant; gridcnn's also with a cold cache.
        first: gridcnn's first use; None where it was not measured.
    """

    times: dict[str, dict[str, Timing]] = field(default_factory=dict)
    absent: dict[str, dict[str, str]] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    first: FirstUse | None = None


COLD = "gridcnn, cold cache"


@dataclass(frozen=True)
class Results:
    """All that was measured, and where."""

    date: str
    engine: str
    threads: int
    rounds: int
    machine: dict[str, str]
    versions: dict[str, str]
    peaks: Peaks
    outcomes: dict[str, Outcome]
    clock: str = "wall"


@dataclass(frozen=True)
class Bar:
    """Something that gridcnn is held to, and what it came to.

    Attributes:
        what: in words.
        workload: its name.
        wanted: the bar, in words.
        value: what was measured.
        unit: what follows the value.
        met: whether that is enough.
    """

    what: str
    workload: str
    wanted: str
    value: float
    unit: str
    met: bool


def bars(results: Results) -> list[Bar]:
    """Return every bar for which there is a measurement."""
    found: list[Bar] = []
    for name, outcome in results.outcomes.items():
        found += _quicker(WORKLOADS[name], outcome)
        if results.threads == 2:
            found += _scaling(name, outcome)
        found += _frugal(name, outcome)
        if outcome.first is not None and name == FIRST_OF:
            more = outcome.first.warm - outcome.first.reference
            found.append(_at_most("first use, cold", name, COLD_BAR, outcome.first.cold, "s"))
            found.append(_at_most("first use, warm, more", name, WARM_BAR, more, "s"))
    return found


def _quicker(workload: Workload, outcome: Outcome) -> list[Bar]:
    name, found = workload.name, []
    for task, rivals, label, wanted in (
        (TRAIN, PYTORCH, "training, against PyTorch's best", workload.bars.train),
        (PREDICT, RUNTIMES, "a batch, against the better runtime", workload.bars.predict),
    ):
        ratio = advantage(outcome, task, rivals)
        if ratio is not None:
            found.append(Bar(label, name, f"at least {wanted:g}x", ratio, "x", ratio >= wanted))
    ratio = advantage(outcome, ONE, RUNTIMES[:1])
    if ratio is not None:
        label = "one item, part of ONNX Runtime's time"
        found.append(_at_most(label, name, workload.bars.one, 1 / ratio, "x"))
    return found


def _scaling(name: str, outcome: Outcome) -> list[Bar]:
    found = []
    for task, label in ((TRAIN, "training"), (PREDICT, "a batch")):
        ratio = advantage(outcome, task, (ALONE,))
        if ratio is not None:
            what, wanted = f"{label}, two threads against one", f"at least {THREADS_BAR:g}x"
            found.append(Bar(what, name, wanted, ratio, "x", ratio >= THREADS_BAR))
    return found


def _frugal(name: str, outcome: Outcome) -> list[Bar]:
    theirs = [outcome.memory[rival].peak for rival in PYTORCH if rival in outcome.memory]
    if not theirs or OURS not in outcome.memory:
        return []
    found = []
    for label, ours in (("", OURS), (", cold cache", COLD)):
        if ours in outcome.memory:
            ratio = outcome.memory[ours].peak / min(theirs)
            what = f"memory in training, part of PyTorch's least{label}"
            found.append(Bar(what, name, "at most 1/3", ratio, "x", ratio <= MEMORY_BAR))
    return found


def _at_most(what: str, workload: str, wanted: float, value: float, unit: str) -> Bar:
    return Bar(what, workload, f"at most {wanted:g} {unit}", value, f" {unit}", value <= wanted)


def advantage(outcome: Outcome, task: str, rivals: Sequence[str]) -> float | None:
    """Return how many times as long as gridcnn the quickest rival takes; None without both."""
    times = outcome.times.get(task, {})
    theirs = [times[rival].median for rival in rivals if rival in times]
    return min(theirs) / times[OURS].median if theirs and OURS in times else None


def rate(workload: Workload, task: str, seconds: float, *, dense: bool = False) -> float:
    """Return the GFLOP/s of the convolutions, with the time of everything.

    `dense` leaves out what is looked up instead of multiplied.
    """
    cost = arithmetic(workload)
    if task == TRAIN:
        each = cost.dense_training if dense else cost.training
    else:
        each = cost.dense_forward if dense else cost.forward
    return 2 * each * (1 if task == ONE else workload.batch) / seconds / 1e9


def markdown(results: Results) -> str:
    """Return the whole report."""
    parts = [
        "# How fast gridcnn is",
        "`python -m benchmarks.throughput` measures this again, and writes this page.",
        _where(results),
        "## What was asked for",
        _bars_table(results),
        "## A training step: forward, backward and Adam, in ms",
        _times_table(results, TRAIN, 1e3),
        "## The votes of a batch, in ms",
        _times_table(results, PREDICT, 1e3),
        "## The votes of one item, asked for from Python, in µs",
        _times_table(results, ONE, 1e6),
        "## Arithmetic",
        _rates_text(results),
        _rates_table(results),
        _layers_table(results),
        "## Memory while training, in MB: the peak, and what of it came after the import",
        _memory_table(results),
        "## The first use of a network, in s",
        "Until a training step, the votes of a batch and those of one item are there, less what "
        "the same takes again.",
        _first_table(results),
        "## The ways that were taken",
        "Every contestant tries all the ways that it has, and takes the quickest.",
        _ways_table(results),
        _differences_text(results),
        _absent_text(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _where(results: Results) -> str:
    peaks = results.peaks
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    rows = [
        ("date", results.date),
        *results.machine.items(),
        ("engine", results.engine),
        ("threads", str(results.threads)),
        ("rounds", f"{results.rounds}; all contestants in turn, medians"),
        ("clock", results.clock),
        (
            "multiply-add at its peak",
            f"{peaks.fma_one:.0f} GFLOP/s with one thread, {peaks.fma_all:.0f} with "
            f"{peaks.threads}, in vectors of {peaks.lanes}",
        ),
        (
            "NumPy's sgemm",
            f"{peaks.sgemm_one:.0f} GFLOP/s with one thread, {peaks.sgemm_all:.0f} with "
            f"{peaks.threads}",
        ),
        ("versions", versions),
    ]
    return table(("", ""), rows, left=2)


def _bars_table(results: Results) -> str:
    rows = [
        (bar.what, bar.workload, bar.wanted, f"{bar.value:.3g}{bar.unit}", _met(bar.met))
        for bar in sorted(bars(results), key=lambda bar: bar.what)
    ]
    return table(("", "workload", "bar", "measured", "met"), rows, left=2)


def _met(met: bool) -> str:
    return "yes" if met else "**no**"


def title(name: str) -> str:
    """Return what tables call a contestant."""
    return CONTESTANTS[name].title if name in CONTESTANTS else name


def _present(results: Results, task: str) -> list[str]:
    """Return who has a time in a task, in the order of `CONTESTANTS`."""
    found = {name for outcome in results.outcomes.values() for name in outcome.times.get(task, {})}
    return [name for name in (OURS, ALONE, *list(CONTESTANTS)[1:]) if name in found]


def _times_table(results: Results, task: str, unit: float) -> str:
    names = _present(results, task)
    rivals = [name for name in names if name not in (OURS, ALONE)]
    rows = []
    for name, outcome in results.outcomes.items():
        times = outcome.times.get(task, {})
        cells = [f"{times[who].median * unit:.3g}" if who in times else "-" for who in names]
        ratio = advantage(outcome, task, rivals)
        rows.append((name, *cells, "-" if ratio is None else f"{ratio:.2f}x"))
    return table(("", *map(title, names), "best other / gridcnn"), rows)


def _rates_text(results: Results) -> str:
    text = (
        "GFLOP/s are two for each multiply-add of the convolutions, whatever cell is 0, in the "
        "time of everything. A training step counts them three times, and those of the first "
        "convolution twice. More than the peak is arithmetic that was spared: gridcnn does not "
        "multiply the gradients that pooling made 0."
    )
    if any(WORKLOADS[name].one_hot for name in results.outcomes):
        text += (
            " Of one-hot grids, the second figure counts only what is multiplied where symbols are "
            "looked up."
        )
    return text


def _rates_table(results: Results) -> str:
    """Return the speed of gridcnn, of gridcnn with one thread, and of the quickest other."""
    rows = []
    for name, outcome in results.outcomes.items():
        for task, label in ((TRAIN, "training"), (PREDICT, "a batch")):
            times = outcome.times.get(task, {})
            others = [who for who in times if who not in (OURS, ALONE)]
            best = [min((times[who].median, who) for who in others)[1]] if others else []
            rows += [
                (name, label, title(who), *_speeds(results, WORKLOADS[name], task, who))
                for who in (OURS, ALONE, *best)
                if who in times
            ]
    return table(("", "task", "by", "GFLOP/s", "of the peak", "of sgemm"), rows, left=3)


def _speeds(results: Results, workload: Workload, task: str, who: str) -> tuple[str, str, str]:
    """Return GFLOP/s, and the parts of the peak and of sgemm that they are."""
    peaks, seconds = results.peaks, results.outcomes[workload.name].times[task][who].median
    alone = who == ALONE
    fma = peaks.fma_one if alone else peaks.fma_all
    sgemm = peaks.sgemm_one if alone else peaks.sgemm_all
    kinds = (False, True) if workload.one_hot else (False,)
    found = [rate(workload, task, seconds, dense=dense) for dense in kinds]
    parts = [" / ".join(f"{each / most:.0%}" for each in found) for most in (fma, sgemm)]
    return _each(found), parts[0], parts[1]


def _each(numbers: Sequence[float]) -> str:
    return " / ".join(f"{number:.3g}" for number in numbers)


def _layers_table(results: Results) -> str:
    rows = []
    for name, outcome in results.outcomes.items():
        for layer in outcome.layers:
            speed = 2 * layer.multiply_adds * WORKLOADS[name].batch / layer.seconds / 1e9
            shares = [
                f"{speed / most:.0%}" for most in (results.peaks.fma_all, results.peaks.sgemm_all)
            ]
            rows.append((name, layer.label, f"{layer.seconds * 1e3:.3g}", f"{speed:.3g}", *shares))
    if not rows:
        return ""
    heads = ("", "one convolution, forward", "ms", "GFLOP/s", "of the peak", "of sgemm")
    text = "Each convolution of gridcnn by itself, with the rectification and pooling after it:"
    return f"{text}\n\n{table(heads, rows, left=2)}"


def _memory_table(results: Results) -> str:
    seen = {name for outcome in results.outcomes.values() for name in outcome.memory}
    names = [name for name in (OURS, COLD, *list(CONTESTANTS)[1:]) if name in seen]
    if not names:
        return "Not measured."
    rows = []
    for name, outcome in results.outcomes.items():
        cells = []
        for who in names:
            each = outcome.memory.get(who)
            cells.append(
                "-"
                if each is None
                else f"{each.peak / 1e6:.0f} ({(each.peak - each.imported) / 1e6:.0f})"
            )
        rows.append((name, *cells))
    return table(("", *map(title, names)), rows)


def _first_table(results: Results) -> str:
    rows = [
        (
            name,
            f"{outcome.first.cold:.3f}",
            f"{outcome.first.warm:.3f}",
            f"{outcome.first.reference:.3f}",
        )
        for name, outcome in results.outcomes.items()
        if outcome.first is not None
    ]
    heads = ("", "cold cache", "warm cache", "reference engine")
    return table(heads, rows) if rows else "Not measured."


def _ways_table(results: Results) -> str:
    rows = [
        (name, task, title(who), timing.way)
        for name, outcome in results.outcomes.items()
        for task, times in outcome.times.items()
        for who, timing in times.items()
        if len(timing.tried) > 1
    ]
    return table(("", "task", "by", "way"), rows, left=4) if rows else ""


def _differences_text(results: Results) -> str:
    worst: dict[str, float] = {}
    for outcome in results.outcomes.values():
        for times in outcome.times.values():
            for timing in times.values():
                for name, value in timing.differences.items():
                    worst[name] = max(worst.get(name, 0.0), value)
    told = ", ".join(f"{name} {value:.1g}" for name, value in worst.items())
    return (
        "All contestants were compared with the reference engine in float64 before any time was "
        f"taken. The largest differences: {told}. (Votes are from 0 to 1; loss and gradient as a "
        "part of the right ones; steps: 1 less the cosine between what four steps of Adam did to "
        "the weights and what they ought to have done.) In training, gridcnn takes the statistics "
        "of a batch normalization over groups of at most 16 items, the others over the batch; each "
        "was compared with the reference that does the same."
    )


def _absent_text(results: Results) -> str:
    lines = [
        f"- {name}, {task}: {title(who)}: {reason}"
        for name, outcome in results.outcomes.items()
        for task, absent in outcome.absent.items()
        for who, reason in absent.items()
    ]
    lines += [
        f"- {name}, {task}: {title(who)}, {way}: {reason}"
        for name, outcome in results.outcomes.items()
        for task, times in outcome.times.items()
        for who, timing in times.items()
        for way, reason in timing.failed.items()
    ]
    return "\n".join(["Not measured:", "", *lines]) if lines else ""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return a table in Markdown; all columns but the first `left` are aligned to the right."""
    lines = [heads, *rows]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths[:left]]
    rule += ["-" * (width - 1) + ":" for width in widths[left:]]
    filled = [
        [cell.ljust(width) for cell, width in zip(line[:left], widths, strict=False)]
        + [cell.rjust(width) for cell, width in zip(line[left:], widths[left:], strict=True)]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (filled[0], rule, *filled[1:]))
