"""Answers by the workers of a cluster: the files of one process."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.answering import _pieces, answer_all
from gridcnn.cluster.joining import Cluster, join
from gridcnn.cluster.pool import map_in_order
from gridcnn.datasets.places import Numbered
from gridcnn.runs.questions import Part

pytestmark = pytest.mark.cluster


def die_once(folder: Path, piece: int) -> int:
    """Return twice the piece; every tenth kills its process when it is first seen."""
    mark = folder / str(piece)
    if piece % 10 == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * piece


def test_results_come_in_order_and_little_is_in_memory(nodes: Any) -> None:
    taken = []

    def pieces() -> Any:
        for number in itertools.count():
            taken.append(number)
            yield number

    with join(Cluster(nodes.address, workers=2)) as workers:
        found = map_in_order(pow, 2, pieces(), workers=workers, threads=1)
        assert [next(found) for _ in range(50)] == [2**number for number in range(50)]
        assert len(taken) <= 50 + 2 * workers
        found.close()  # type: ignore[attr-defined]


def test_workers_that_are_killed_lose_nothing(nodes: Any, tmp_path: Path) -> None:
    with join(Cluster(nodes.address, workers=2)) as workers:
        found = map_in_order(die_once, tmp_path, range(40), workers=workers, threads=1)
        assert list(found) == [2 * number for number in range(40)]
    assert len(list(tmp_path.iterdir())) == 4


def count(kept: None, piece: Any) -> int:
    return len(piece.names)


def resident() -> int:
    """Return the memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory is used")
def test_a_hundred_million_items_are_a_stream(nodes: Any) -> None:
    """Their first million goes through little memory, and nobody counts the others before."""

    class Names:
        def parts(self, files: Any) -> Iterator[Part]:
            for start in range(0, 100_000_000, 1_000_000):
                numbers = range(start, start + 1_000_000)
                nothing = np.broadcast_to(np.float32(0), (len(numbers), 4))
                yield Part(Numbered("item ", numbers), nothing)

    pieces = _pieces(Names(), [], 4096)  # type: ignore[arg-type]
    with join(Cluster(nodes.address, workers=2)) as workers:
        found = map_in_order(count, None, pieces, workers=workers, threads=1)
        assert next(found) == 4096
        before = resident()
        assert sum(itertools.islice(found, 245)) == 245 * 4096
        assert resident() - before < 100e6
        assert resident() < 500e6
        found.close()  # type: ignore[attr-defined]


def test_a_cluster_writes_the_files_of_one_process(nodes: Any, tmp_path: Path, draw: Any) -> None:
    few = {"training.epochs": 1, "data.source.xo.count": 60}
    gridcnn.run("xo", changes=few, out=tmp_path / "run")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, (image, _) in enumerate(draw(50, 0)):
        image.save(pictures / f"{number:03}.png")
    (pictures / "020.png").write_bytes(b"no picture")

    answer_all(tmp_path / "run", [str(pictures)], out=tmp_path / "one", shard=8)
    spread = {"cluster": nodes.address, "workers": 2}
    answer_all(tmp_path / "run", [str(pictures)], out=tmp_path / "many", shard=8, **spread)
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "many" / path.name).read_bytes() == path.read_bytes()
