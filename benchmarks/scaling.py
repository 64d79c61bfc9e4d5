"""How cost grows: with cells of a grid, filters, cells of a filter, items, and with layers.

    python -m benchmarks.scaling [--engine NAME] [--threads N] [--quick] [--json] [--picture PNG]

The claim, as "How Convolutional Neural Networks work" by Brandon Rohrer makes it, is that the
arithmetic grows with each of these alone as a straight line. Measured is a network of one
convolution, rectified and pooled, and a vote: the time of a training step without the optimizer,
the time of a batch's votes, and the memory that training takes beyond what importing took. For the
layers, there are several convolutions before the pooling, each as wide as the next, and rectified.
Each point has processes of its own. `--picture` draws it; by default `docs/pictures/scaling.png`,
if nothing is left out.

Two curves are fitted to each series: a straight line, which may begin above 0 with what every call
costs, be it ever so small; and a power of the size, whose exponent is 1 where cost is proportional.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.peers.process import ROOT
from benchmarks.peers.worker import confine, environment, median, peak, repeat, resident
from gridcnn.cores import usable_cores
from gridcnn.engines.base import DEFAULT_ENGINE, ENGINES, make_engine
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

PICTURE = ROOT / "docs" / "pictures" / "scaling.png"
CHANNELS, CLASSES = 4, 2
TRAIN, PREDICT, MEMORY = "training step", "votes of a batch", "memory in training"
SECONDS = 0.4
_DEEP_SIDE = 24
"""Rows and columns of the grids for the layers, of which there are many."""
_RUNS = 2
"""Processes for each point; the better one counts. The first may have to compile."""


@dataclass(frozen=True)
class Point:
    """One network and its batch.

    Attributes:
        side: rows and columns of the grid.
        filters: how many there are.
        kernel: rows and columns of a filter.
        items: the batch.
        layers: how many convolutions there are.
    """

    side: int = 48
    filters: int = 32
    kernel: int = 3
    items: int = 64
    layers: int = 1

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the convolutions, forward, for the batch."""
        channels = CHANNELS + (self.layers - 1) * self.filters
        return self.items * self.side**2 * channels * self.filters * self.kernel**2


@dataclass(frozen=True)
class Series:
    """Points that differ in one thing alone.

    Attributes:
        label: what differs.
        sizes: how much of it each point has.
        points: the points.
    """

    label: str
    sizes: tuple[int, ...]
    points: tuple[Point, ...]


def series(*, quick: bool = False) -> list[Series]:
    """Return the series; quick ones have every second point."""
    base, deep = Point(), Point(side=_DEEP_SIDE)
    sides, filters = (16, 24, 32, 48, 64, 96, 128), (16, 32, 48, 64, 96, 128)
    kernels, items = (1, 3, 5, 7, 9, 11), (8, 16, 32, 64, 128, 256, 512)
    layers = (1, 2, 4, 8, 16, 32, 64)
    found = [
        ("cells of a grid", base, "side", sides, 2),
        ("filters", base, "filters", filters, 1),
        ("cells of a filter", base, "kernel", kernels, 2),
        ("items of a batch", base, "items", items, 1),
        ("layers", deep, "layers", layers, 1),
    ]
    every = 2 if quick else 1
    return [
        Series(
            label,
            tuple(size**power for size in each[::every]),
            tuple(replace(start, **{name: size}) for size in each[::every]),
        )
        for label, start, name, each, power in found
    ]


@dataclass(frozen=True)
class Cost:
    """What a point takes.

    Attributes:
        train: seconds of a training step.
        predict: seconds of the votes of a batch.
        memory: bytes that training takes beyond what importing took; NaN where nobody tells.
    """

    train: float
    predict: float
    memory: float

    @property
    def parts(self) -> dict[str, float]:
        """Milliseconds and megabytes, by what they are of."""
        return {TRAIN: self.train * 1e3, PREDICT: self.predict * 1e3, MEMORY: self.memory / 1e6}


@dataclass(frozen=True)
class Fit:
    """How a cost grows with a size.

    Attributes:
        exponent: of the power of the size that fits best.
        power_r2: how much of the logarithms' variance that power explains, at most 1.
        start, slope: of the straight line that fits best.
        line_r2: how much of the variance that line explains, at most 1.
    """

    exponent: float
    power_r2: float
    start: float
    slope: float
    line_r2: float


def fit(sizes: tuple[int, ...], costs: list[float]) -> Fit:
    """Return the power and the line with the least squares of what is left."""
    x, y = np.array(sizes, float), np.array(costs, float)
    slope, start = np.polyfit(x, y, 1)
    exponent, factor = np.polyfit(np.log(x), np.log(y), 1)
    return Fit(
        exponent=float(exponent),
        power_r2=_explained(np.log(y), exponent * np.log(x) + factor),
        start=float(start),
        slope=float(slope),
        line_r2=_explained(y, slope * x + start),
    )


def _explained(values: Any, fitted: Any) -> float:
    total = float(((values - values.mean()) ** 2).sum())
    return 1 - float(((values - fitted) ** 2).sum()) / total if total else 1.0


def cost(point: Point, engine: str, threads: int, seconds: float) -> Cost:
    """Measure one point, in processes of its own."""
    told = {"point": asdict(point), "engine": engine, "threads": threads, "seconds": seconds}
    command = [sys.executable, "-m", "benchmarks.scaling", "--point", json.dumps(told)]
    runs = []
    for _ in range(_RUNS):
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(threads),
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"the point {point} failed")
        runs.append(Cost(**json.loads(done.stdout)))
    return Cost(
        train=min(run.train for run in runs),
        predict=min(run.predict for run in runs),
        memory=min(run.memory for run in runs),
    )


def measure_here(point: Point, engine: str, threads: int, seconds: float) -> Cost:
    """Measure one point in this process, which has done nothing yet."""
    confine(threads)
    ENGINES[engine]  # imports it
    imported = resident()
    convolution = {"convolution": {"filters": point.filters, "kernel_size": point.kernel}}
    stages = [*[convolution, "rectification"] * point.layers, {"pooling": {"window": 2}}]
    shape = GridShape(CHANNELS, point.side, point.side)
    network = Network(load({"stages": stages, "head": "voting"}), shape, classes=CLASSES)
    made = make_engine(network, engine, threads=threads)
    random = np.random.default_rng(0)
    grids = random.random((point.items, *shape.sizes), np.float32) * 2 - 1
    targets = random.integers(0, CLASSES, point.items)
    parameters = network.starting_parameters()
    train = median(repeat(lambda: made.step(parameters, grids, targets), seconds))
    memory = peak() - imported
    parameters.flags.writeable = False
    predict = median(repeat(lambda: made.logits(parameters, grids), seconds))
    return Cost(train, predict, memory)


def table(found: dict[str, list[Cost]], chosen: list[Series]) -> str:
    """Return all points, and under each series what was fitted to it."""
    lines = []
    for each in chosen:
        costs = found[each.label]
        lines.append(
            f"{each.label:<22}{'training, ms':>14}{'a batch, ms':>14}{'memory, MB':>14}"
            f"{'GFLOP/s':>12}"
        )
        for size, point, taken in zip(each.sizes, each.points, costs, strict=True):
            speed = 2 * point.multiply_adds / taken.predict / 1e9
            numbers = "".join(f"{number:>14.4g}" for number in taken.parts.values())
            lines.append(f"{size:>22,}{numbers}{speed:>12.1f}")
        lines += [f"  {what}: {told(what, fitted(each, costs, what))}" for what in costs[0].parts]
        lines.append("")
    return "\n".join(lines)


def fitted(each: Series, costs: list[Cost], what: str) -> Fit:
    """Return the fit of one of a series' costs."""
    return fit(each.sizes, [taken.parts[what] for taken in costs])


def told(what: str, found: Fit) -> str:
    """Return a fit in words; of memory only the line, since a program's own is part of it."""
    line = f"{found.start:.3g} + {found.slope:.3g} x size, R2 {found.line_r2:.4f}"
    power = f"size^{found.exponent:.2f}, R2 {found.power_r2:.4f}"
    return line if what == MEMORY else f"{line}; {power}"


def draw(found: dict[str, list[Cost]], chosen: list[Series], file: Path) -> None:
    """Draw times and memory against each size, with the fitted lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(chosen), 5.2), layout="constrained")
    axes = figure.subplots(2, len(chosen), squeeze=False)
    colours = {TRAIN: "#1f5fa8", PREDICT: "#d9822b", MEMORY: "#4a7d4a"}
    for column, each in enumerate(chosen):
        for row, whats in enumerate(((TRAIN, PREDICT), (MEMORY,))):
            panel = axes[row][column]
            for what in whats:
                numbers = [taken.parts[what] for taken in found[each.label]]
                line = fitted(each, found[each.label], what)
                ends = np.array([0, max(each.sizes)])
                panel.plot(ends, line.start + line.slope * ends, color=colours[what], alpha=0.45)
                panel.plot(
                    each.sizes,
                    numbers,
                    "o",
                    markersize=4.5,
                    color=colours[what],
                    label=f"{what}: line, R² {line.line_r2:.3f}",
                )
            panel.set_xlim(left=0)
            tallest = max(taken.parts[what] for taken in found[each.label] for what in whats)
            panel.set_ylim(0, tallest * 1.25)  # with room for the legend
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(frameon=False, fontsize=8, loc="upper left")
            panel.tick_params(labelsize=8)
            if row:
                panel.set_xlabel(each.label, fontsize=9)
            if not column:
                panel.set_ylabel("MB" if row else "ms", fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def as_json(found: dict[str, list[Cost]], chosen: list[Series], engine: str, threads: int) -> str:
    """Return all that was measured, and where."""
    content: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "engine": engine,
        "threads": threads,
        "machine": machine.describe(),
        "versions": machine.versions("gridcnn", "numpy", "llvmlite"),
        "series": {
            each.label: {
                "sizes": each.sizes,
                "points": [asdict(point) for point in each.points],
                "costs": [asdict(taken) for taken in found[each.label]],
                "fits": {
                    what: asdict(fitted(each, found[each.label], what))
                    for what in found[each.label][0].parts
                },
            }
            for each in chosen
        },
    }
    return json.dumps(content, indent=1)


def main() -> None:
    """Measure all series, print them, and draw them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help=DEFAULT_ENGINE)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--quick", action="store_true", help="every second point, for a moment")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--picture", type=Path, help="where the plot is written")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.point:
        order = json.loads(given.point)
        print(json.dumps(asdict(measure_here(Point(**order.pop("point")), **order))))
        return
    chosen = series(quick=given.quick)
    seconds = 0.05 if given.quick else SECONDS
    found = {}
    for each in chosen:
        print(f"{each.label}: {len(each.points)} points", file=sys.stderr)
        found[each.label] = [
            cost(point, given.engine, given.threads, seconds) for point in each.points
        ]
    if given.json:
        print(as_json(found, chosen, given.engine, given.threads))
    else:
        print(table(found, chosen), end="")
    picture = given.picture or (None if given.quick else PICTURE)
    if picture is not None:
        draw(found, chosen, picture)


if __name__ == "__main__":
    main()
