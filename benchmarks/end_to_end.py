"""A whole run as a process: `gridcnn run` against a plain PyTorch script, on the same X and O.

    python -m benchmarks.end_to_end [--runs N] [--engine NAME] [--json]

Both start a Python, import what they need, read the same `.npz` file, train the same network for as
many epochs, on batches of one size and with the same falling learning rate, look at the validation
items after each epoch, and test the best epoch's weights. The pictures are drawn beforehand.

Beside that, gridcnn checks the spec and the data, compares the test items with training items cell
by cell, and writes a run folder: a checkpoint after every epoch, the model, and all figures. The
script writes its weights, once. gridcnn is run with its cache of compiled code empty and full; for
eager PyTorch nothing is compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from gridcnn.datasets.makers.xo import XO
from gridcnn.engines.base import DEFAULT_ENGINE

EPOCHS, BATCH, RATE = 6, 64, 0.003
PARTS = {"train": 8640, "validation": 960, "test": 2400}
COLD, WARM, PEER = "gridcnn run, cold cache", "gridcnn run, warm cache", "PyTorch script"

SPEC = f"""\
name: end-to-end
data: {{source: data.npz}}
adapter:
  array: {{low: 0, high: 255}}
stages:
  - convolution: {{filters: 8, kernel_size: 3}}
  - rectification
  - pooling: {{window: 2}}
  - convolution: {{filters: 16, kernel_size: 3}}
  - rectification
  - pooling: {{window: 2}}
head:
  voting: {{hidden: [32]}}
training:
  epochs: {EPOCHS}
  batch_size: {BATCH}
  optimizer: adam
  learning_rate: {RATE}
  schedule: cosine
"""

SCRIPT = f"""\
import copy
import numpy as np
import torch
from torch import nn

torch.manual_seed(0)
data = np.load("data.npz")


def part(name):
    grids = torch.from_numpy(data[f"X_{{name}}"]).float().div(127.5).sub(1)[:, None]
    return grids, torch.from_numpy(data[f"y_{{name}}"])


train, validation, test = part("train"), part("validation"), part("test")
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(1024, 32), nn.ReLU(), nn.Linear(32, 2),
)
loss_of = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr={RATE}, fused=True)
steps = {EPOCHS} * -(-len(train[0]) // {BATCH})
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def accuracy(grids, targets):
    model.eval()
    with torch.inference_mode():
        right = [
            (model(grids[at : at + 256]).argmax(1) == targets[at : at + 256]).sum()
            for at in range(0, len(grids), 256)
        ]
    return int(sum(right)) / len(grids)


best = -1.0
for epoch in range({EPOCHS}):
    model.train()
    for chosen in torch.randperm(len(train[0])).split({BATCH}):
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(train[0][chosen]), train[1][chosen]).backward()
        optimizer.step()
        schedule.step()
    found = accuracy(*validation)
    if found > best:
        best, kept = found, copy.deepcopy(model.state_dict())
model.load_state_dict(kept)
torch.save(kept, "weights.pt")
print(accuracy(*test))
"""


@dataclass(frozen=True)
class Result:
    """What the runs of one kind came to: seconds, and the test accuracy of the last one."""

    seconds: list[float]
    accuracy: float

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def measure(runs: int, engine: str, sizes: dict[str, int] | None = None) -> dict[str, Result]:
    """Return what each kind of run takes; they take turns, and the first turn is not counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder, sizes or PARTS)
        (folder / "spec.yaml").write_text(SPEC, "utf-8")
        (folder / "script.py").write_text(SCRIPT, "utf-8")
        kinds = [WARM, COLD] if sys.platform.startswith("linux") else [WARM]
        kinds += [PEER] if find_spec("torch") is not None else []
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        accuracies: dict[str, float] = {}
        for turn in range(runs + 1):
            first = turn % len(kinds)
            for kind in kinds[first:] + kinds[:first]:
                seconds, accuracies[kind] = _one(kind, folder, engine)
                if turn:  # the first turn fills the caches
                    times[kind].append(seconds)
    return {kind: Result(times[kind], accuracies[kind]) for kind in kinds}


def write_data(folder: Path, sizes: dict[str, int]) -> None:
    """Draw X and O, and write them to `data.npz`, in parts of these sizes."""
    pictures = XO(count=sum(sizes.values())).pictures(0)
    labels = np.arange(len(pictures)) % 2
    order = np.random.default_rng(0).permutation(len(pictures))
    arrays: dict[str, Any] = {}
    start = 0
    for part, size in sizes.items():
        chosen = order[start : start + size]
        arrays[f"X_{part}"], arrays[f"y_{part}"] = pictures[chosen], labels[chosen]
        start += size
    np.savez(folder / "data.npz", **arrays)


def _one(kind: str, folder: Path, engine: str) -> tuple[float, float]:
    """Return the seconds and the test accuracy of one run."""
    if kind == PEER:
        seconds, said = _timed([sys.executable, "script.py"], folder)
        return seconds, float(said)
    with _cache(folder, empty=kind == COLD) as cache:
        command = [sys.executable, "-m", "gridcnn", "run", "spec.yaml", "--quiet", "--out", "run"]
        command += ["--engine", engine]
        seconds, _ = _timed(command, folder, XDG_CACHE_HOME=str(cache))
    metrics = json.loads((folder / "run" / "metrics.json").read_text("utf-8"))
    shutil.rmtree(folder / "run")
    return seconds, float(metrics["test"]["accuracy"])


@contextmanager
def _cache(folder: Path, *, empty: bool) -> Iterator[Path]:
    """Yield where compiled code is kept: an empty folder, or always the same one."""
    if not empty:
        yield folder / "cache"
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _timed(command: list[str], folder: Path, **variables: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    return seconds, done.stdout


def shown(results: dict[str, Result]) -> str:
    """Return the table."""
    lines = [f"{'a whole process':<26}{'median':>9}{'accuracy':>10}{'of PyTorch':>12}"]
    peer = results.get(PEER)
    for kind, result in results.items():
        ratio = f"{result.median / peer.median:>11.2f}x" if peer else f"{'-':>12}"
        lines.append(f"{kind:<26}{result.median:>7.2f} s{result.accuracy:>10.2%}{ratio}")
    if peer is None:
        lines.append("PyTorch is not installed")
    return "\n".join(lines)


def as_json(results: dict[str, Result]) -> str:
    """Return all that was measured, and where."""
    told: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "versions": machine.versions("gridcnn", "numpy", "llvmlite", "torch"),
        "runs": {
            kind: {
                "median": result.median,
                "seconds": result.seconds,
                "accuracy": result.accuracy,
            }
            for kind, result in results.items()
        },
    }
    return json.dumps(told, indent=1)


def main() -> None:
    """Time whole processes, and print medians."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.end_to_end", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--runs", type=int, default=7, help="of each kind; 7")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help=DEFAULT_ENGINE)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    results = measure(given.runs, given.engine)
    print(as_json(results) if given.json else shown(results))


if __name__ == "__main__":
    main()
