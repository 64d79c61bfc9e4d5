"""Forked processes do the work of groups; what they cannot do, the caller does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn import forks, memory, processes, spreading
from gridcnn.contracts.adapter import Selection, can_be_forked
from gridcnn.processes import Processes, can_fork
from gridcnn.spreading import spread

_FORKED: type = multiprocessing.get_context("fork").Process if sys.platform == "linux" else object
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")


def results_of(
    work: Callable[[range], Any], groups: Iterator[range] | list[range], count: int = 2
) -> list[Any]:
    """Return the results of all groups; no child is left."""
    team = Processes(work, count)
    try:
        return list(team.results(iter(groups)))
    finally:
        team.end()
        assert not children()


def children() -> list[Any]:
    """Return the forked children that live; others, as those of joblib, may live as well."""
    return [each for each in multiprocessing.active_children() if type(each) is _FORKED]


def tens(count: int) -> list[range]:
    """Return groups of ten numbers."""
    return [range(start, start + 10) for start in range(0, 10 * count, 10)]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("groups", [0, 1, 2, 3, 50])
def test_results_come_in_order_from_the_children(count: int, groups: int) -> None:
    found = results_of(lambda group: (list(group), os.getpid()), iter(tens(groups)), count)

    assert [numbers for numbers, _ in found] == [list(group) for group in tens(groups)]
    assert os.getpid() not in {worker for _, worker in found}
    assert len({worker for _, worker in found}) <= count


@pytest.mark.parametrize("size", [0, 1, 1000, processes._PLACE // 4, processes._PLACE // 2])
def test_arrays_come_back_whatever_their_size(size: int) -> None:
    """Two of four bytes a number: those of the last sizes do not fit where they are handed over."""

    def work(group: range) -> tuple[np.ndarray, np.ndarray, str]:
        values = np.arange(size, dtype=np.float32) + group.start
        return values, values[::-1], str(group)

    for group, (values, reverse, text) in zip(
        tens(9), results_of(work, iter(tens(9))), strict=True
    ):
        assert np.array_equal(values, np.arange(size, dtype=np.float32) + group.start)
        assert np.array_equal(reverse, values[::-1])
        assert text == str(group)


def test_an_error_is_raised_by_the_caller() -> None:
    """As if there were no children, after the results that come before it."""
    here = os.getpid()

    def work(group: range) -> int:
        if group.start == 30:
            raise KeyError(os.getpid())
        return group.start

    team = Processes(work, 2)
    found = team.results(iter(tens(8)))
    assert [next(found) for _ in range(3)] == [0, 10, 20]
    with pytest.raises(KeyError, match=str(here)):
        next(found)
    team.end()


def test_what_cannot_be_sent_is_made_by_the_caller() -> None:
    made = results_of(lambda group: lambda: group.start, iter(tens(4)))

    assert [each() for each in made] == [0, 10, 20, 30]


def test_what_a_child_was_to_do_is_done_if_it_is_ended() -> None:
    """By the system, if there is too little memory; all others then do its share."""
    here = os.getpid()

    def work(group: range) -> tuple[int, bool]:
        if os.getpid() != here and group.start == 30:
            os.kill(os.getpid(), signal.SIGKILL)
        return group.start, os.getpid() == here

    for count in (1, 3):
        found = results_of(work, iter(tens(12)), count)
        assert [start for start, _ in found] == list(range(0, 120, 10))
        assert found[3] == (30, True)
        assert sum(alone for _, alone in found) < 12


def test_the_caller_does_all_if_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fail)

    assert results_of(lambda _: os.getpid(), iter(tens(3))) == [os.getpid()] * 3


def test_children_end_with_whoever_takes_the_results() -> None:
    def work(group: range) -> int:
        time.sleep(0 if group.start < 20 else 60)
        return group.start

    team = Processes(work, 2)
    assert next(team.results(iter(tens(9)))) == 0
    start = time.perf_counter()
    team.end()

    assert time.perf_counter() - start < 30
    assert not children()


def test_children_end_if_the_caller_is_killed(tmp_path: Path) -> None:
    """They notice it by the end of the connection."""
    code = """
        import os, signal, sys
        from pathlib import Path
        from gridcnn.processes import Processes

        team = Processes(lambda group: os.getpid(), 3)
        assert next(team.results(iter([range(1), range(1, 2), range(2, 3), range(3, 4)])))
        Path(sys.argv[1]).write_text(" ".join(str(each._process.pid) for each in team._children))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    told = tmp_path / "children"
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(told)], check=False)

    numbers = [int(number) for number in told.read_text().split()]
    assert len(numbers) == 3
    end = time.monotonic() + 30
    while any(map(_lives, numbers)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(_lives, numbers))


def _lives(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_ctrl_c_is_answered_by_the_caller() -> None:
    """Also one that comes while a child is started: none of them tells a traceback."""
    code = """
        import os, signal, sys, time
        from gridcnn.processes import Processes

        def work(group):
            os.kill(os.getpid(), signal.SIGINT)
            if group.start == 5:
                os.kill(os.getppid(), signal.SIGINT)
            time.sleep(0.01)
            return group

        try:
            for _ in Processes(work, 3).results(range(n, n + 1) for n in range(1000)):
                pass
        except KeyboardInterrupt:
            sys.exit(7)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        start_new_session=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


def test_children_share_the_budget_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def lendable(_: range) -> tuple[int, int | None]:
        budget = memory.Budget(lambda: 2**30)
        with budget.borrow(2**27):
            return forks.processes, budget._limit

    assert results_of(lendable, iter(tens(1)), 4) == [(4, int(memory._PART * 2**30 / 4))]
    assert lendable(range(1)) == (1, int(memory._PART * 2**30))


def test_children_that_end_with_their_parent_have_none() -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(can_fork()), daemon=True)
    child.start()

    assert ours.recv() is False
    assert can_fork()
    child.join()


# Which work they are given ------------------------------------------------------------------------


def test_they_work_where_threads_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is measured; and only if there is enough to do, and it may be done by processes."""
    lock = threading.Lock()

    def work(group: range) -> list[int]:
        end = time.perf_counter()
        with lock:  # as Python's own
            while time.perf_counter() < end + 0.0002 * len(group):
                pass
        return [os.getpid()] * len(group)

    def workers(count: int, *, processes: bool) -> set[int]:
        groups = spread(work, count, 2, seconds=0.0002, processes=processes)
        return {worker for group in groups for worker in group}

    monkeypatch.setattr(spreading, "WORTH_PROCESSES", 0.1)
    assert workers(2000, processes=False) == {os.getpid()}
    assert workers(150, processes=True) == {os.getpid()}
    assert len(workers(2000, processes=True)) == 3  # the first ones are tried by the caller
    assert not children()


def test_only_closed_things_are_read_by_children(tmp_path: Path) -> None:
    """An open file has one place where it is read, which they would share."""
    array = np.zeros((3, 2))
    for things in (["a", tmp_path, b"", array], ("a",), array, []):
        assert can_be_forked(things)
    with (tmp_path / "file").open("w") as file:
        assert not can_be_forked(["a", file])
    assert not can_be_forked(np.array(["a", None], object))
    assert not can_be_forked(Selection(["a"], np.array([0])))
