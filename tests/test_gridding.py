"""Things become the same grids by any number of threads."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn import gridding, spreading
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.errors import DataError
from gridcnn.grid import OneHot
from gridcnn.processes import Processes


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads be used for whatever takes little time, too."""
    monkeypatch.setattr(spreading, "SLOW", 0.0)
    monkeypatch.setattr(spreading, "WORTH", 0.0)
    monkeypatch.setattr(spreading, "FASTER", math.inf)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_pictures_are_the_same_by_any_number_of_threads(photographs: Path, threads: int) -> None:
    """To the bit, and in their order."""
    paths = sorted(map(str, photographs.glob("*/*")))
    adapter = ImageAdapter(channels=3)

    found = gridding.adapted(adapter, paths, threads=threads)

    np.testing.assert_array_equal(
        np.asarray(found.grids.values), np.stack([adapter.adapt(path) for path in paths])
    )
    assert found.kept.tolist() == list(range(len(paths)))


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let processes be used for whatever takes little time, too; return how many there were."""
    started: list[int] = []
    start = Processes.__init__

    def counted(self: Processes[Any], work: Any, count: int) -> None:
        started.append(count)
        start(self, work, count)

    monkeypatch.setattr(Processes, "__init__", counted)
    monkeypatch.setattr(spreading, "WORTH", 0.0)
    monkeypatch.setattr(spreading, "SLOW", 0.0)
    monkeypatch.setattr(spreading, "_LONG", math.inf)
    monkeypatch.setattr(spreading, "_TRIAL", 0.0001)
    monkeypatch.setattr(spreading, "HELPFUL", math.inf)
    monkeypatch.setattr(spreading, "WORTH_PROCESSES", 0.0)
    return started


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
@pytest.mark.parametrize("threads", [2, 5])
def test_pictures_are_the_same_by_processes(
    photographs: Path, threads: int, forked: list[int]
) -> None:
    """To the bit, in their order, and with the same problems; by Python, too."""
    paths = sorted(map(str, photographs.glob("*/*")))
    paths *= 300 // len(paths)
    things: list[Any] = [*paths, b"no picture", *paths[::-1], str(photographs), *paths]
    adapter = ImageAdapter(channels=3)

    found = gridding.adapted(adapter, things, threads=threads)
    alone = adapter.adapt_all(things)

    assert forked == [threads]
    np.testing.assert_array_equal(np.asarray(found.grids.values), np.asarray(alone.grids.values))
    assert found.kept.tolist() == alone.kept.tolist()
    assert found.problems == alone.problems
    assert len(found.problems) == 2
    pipeline = gridcnn.Pipeline({"adapter": {"image": {"channels": 3}}}, threads=threads)
    np.testing.assert_array_equal(pipeline.transform(paths), found.grids.values[: len(paths)])
    assert forked == [threads] * 2


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("names", [None, [f"the {index}." for index in range(30)]])
def test_bad_things_are_told_by_name_or_number(threads: int, names: list[str] | None) -> None:
    """Whichever thread has found them, in the order of the things."""
    things: list[Any] = [np.full((5, 5), 9 * index, np.uint8) for index in range(28)]
    things[7:7] = [b"no picture"]
    things.append(b"")

    found = gridding.adapted(ImageAdapter(), things, names=names, threads=threads)

    expected = ["item 7", "item 29"] if names is None else ["the 7.", "the 29."]
    assert [problem.source for problem in found.problems] == expected
    assert found.kept.tolist() == [index for index in range(30) if index not in (7, 29)]
    with pytest.raises(DataError, match="item 29"):
        gridding.grids_of(ImageAdapter(), things, threads=threads)


@pytest.mark.usefixtures("always")
def test_adapters_that_want_one_thread_get_one() -> None:
    """And keep the form of their grids."""
    adapter = TextAdapter(alphabet="ab", length=4)

    found = gridding.adapted(adapter, ["ab", "ba"] * 10, threads=4)

    assert isinstance(found.grids.values, OneHot)


@pytest.mark.usefixtures("always")
def test_a_pipeline_uses_its_threads(photographs: Path) -> None:
    """And gives the same maps with any number of them."""
    paths = sorted(map(str, photographs.glob("*/*")))
    spec = {"adapter": {"image": {"size": [16, 16], "channels": 3}}}

    one, three = (gridcnn.Pipeline(spec, threads=count).transform(paths) for count in (1, 3))

    np.testing.assert_array_equal(one, three)
