"""What runs are carried out with, apart from their specs and folders."""

from __future__ import annotations

from dataclasses import dataclass

from gridcnn.cluster.joining import Cluster
from gridcnn.runs.watcher import RunWatcher


@dataclass(frozen=True)
class Means:
    """What runs are carried out with; none of it changes a model.

    Attributes:
        engine: the name of the engine that trains; None: the default.
        threads: the most threads; None: as many as this process may use.
        watcher: follows the run.
        strict: whether notes are errors.
        report: whether each run writes a page about itself.
        cluster: where the arithmetic is done, or several runs at a time; None: in this process.
        spread_data: whether the workers of the cluster read the data, and hold the grids.
    """

    engine: str | None
    threads: int | None
    watcher: RunWatcher
    strict: bool
    report: bool = False
    cluster: Cluster | None = None
    spread_data: bool = False
