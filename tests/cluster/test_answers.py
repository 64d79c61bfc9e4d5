"""Answers by the workers of a cluster: the files of one process."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import gridcnn
from gridcnn.answering import answer_all
from gridcnn.cluster.joining import Cluster, join
from gridcnn.cluster.pool import map_in_order

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
