"""What the driver of a very large set takes: it is planned, and trained on for a while.

    python -m benchmarks.large [--items N] [--batches N] [--cluster local] [--workers N]

Items are short texts that are made by a rule from their numbers, and so take no memory; their
labels are an array of a byte each. Printed is the resident memory of the process that drives the
run, at its start, after the plan, and after every hundred batches.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gridcnn
from gridcnn.contracts.source import Dataset, Request, Source
from gridcnn.datasets.places import Numbered
from gridcnn.errors import StopTraining, TrainingInterrupted
from gridcnn.network import Network
from gridcnn.runs.prepare import Prepared
from gridcnn.runs.watcher import RunWatcher
from gridcnn.spec.models import SOURCES

CLASSES = 4
SPEC = {
    "name": "large",
    "data": {"test": 1e-5, "validation": 1e-5},
    "adapter": {"text": {"unit": "byte", "length": 48}},
    "stages": [{"convolution": {"filters": 8, "kernel_size": ["all", 5]}}, "rectification"],
    "head": "voting",
    "training": {"epochs": 1, "batch_size": 256, "restarts": 0},
}


class Texts(Sequence[str]):
    """A text for each number, made when it is asked for; its class is the number modulo 4."""

    def __init__(self, items: int) -> None:
        self._items = items

    def __len__(self) -> int:
        return self._items

    def __getitem__(self, index: Any) -> Any:
        """Return a text, or those of a slice."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        word = ("ampere", "becquerel", "candela", "dioptre")[index % CLASSES]
        return f"{index * 2_654_435_761 % 2**32:010} {word} {index:09}"


class Simulated(Source):
    """Many texts that are made by a rule."""

    items: int = 1000

    def open(self, request: Request) -> Dataset:  # noqa: ARG002
        """Return the data; only the labels take memory."""
        labels = np.resize(np.arange(CLASSES, dtype=np.uint8), self.items)
        names = Numbered("item ", range(self.items))
        return Dataset(Texts(self.items), labels, names, origin="simulated texts")  # type: ignore[arg-type]


def register() -> None:
    """Let a run's spec name the simulated set; another package would add an entry point."""
    SOURCES._places["simulated"] = f"{__name__}:{Simulated.__name__}"
    SOURCES._loaded["simulated"] = Simulated


def resident() -> float:
    """Return the memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Meter(RunWatcher):
    """Prints the memory of this process, and stops after some batches."""

    def __init__(self, batches: int) -> None:
        self._batches = batches
        self._start = time.perf_counter()
        self.most = 0.0

    def _say(self, what: str) -> None:
        megabytes = resident()
        self.most = max(self.most, megabytes)
        print(f"{time.perf_counter() - self._start:7.1f} s  {megabytes:6.0f} MB  {what}")

    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:  # noqa: ARG002
        """Print the memory after the plan."""
        self._say(f"planned {len(prepared.train):,} training items")

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Print the memory now and then."""
        if done in (1, self._batches) or done % 100 == 0:
            self._say(f"epoch {epoch}, batch {done:,} of {batches:,}, loss {loss:.3f}")
        if done >= self._batches:
            raise StopTraining


def main(words: Sequence[str] | None = None) -> None:
    """Plan and train, and print what it takes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=100_000_000)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--cluster")
    parser.add_argument("--workers", type=int)
    given = parser.parse_args(words)
    register()
    meter = Meter(given.batches)
    meter._say("start")
    spread: dict[str, Any] = {}
    if given.cluster:
        spread = {"cluster": given.cluster, "workers": given.workers, "spread_data": True}
    with tempfile.TemporaryDirectory() as folder:
        try:
            gridcnn.run(
                SPEC,
                data=Simulated(items=given.items),
                out=Path(folder) / "run",
                watcher=meter,
                **spread,
            )
        except TrainingInterrupted:
            print("stopped")
    print(f"the most: {meter.most:.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
