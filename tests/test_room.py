"""Room: whether memory and threads can be had, and which errors mean that they cannot."""

from __future__ import annotations

import _thread
import errno
import sys
import threading
import time
from typing import Any

import pytest

from gridcnn import room


@pytest.mark.skipif(sys.platform == "win32", reason="Windows is not asked")
def test_room_is_what_the_system_would_give() -> None:
    """Nothing is kept of it."""
    assert all(room.has_room(2**30) for _ in range(100))
    assert not room.has_room(2**62)
    assert not room.has_room(2**80)


def test_scipy_is_not_loaded_where_it_may_run_out_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is loaded already may stay."""
    monkeypatch.setattr(room, "has_room", lambda size, written=True: not written)
    monkeypatch.setitem(sys.modules, "scipy.linalg", room)
    room.require_room_for_scipy()
    monkeypatch.delitem(sys.modules, "scipy.linalg")

    with pytest.raises(MemoryError, match="loading SciPy takes up to 160 MB"):
        room.require_room_for_scipy()


def test_threads_are_counted_by_starting_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are gone again afterwards, also if fewer can be had than are wanted."""
    started: list[Any] = []
    start = _thread.start_new_thread

    def refuse_the_third(work: Any, arguments: Any) -> int:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(work)
        return start(work, arguments)

    before = _thread._count()
    assert room.startable_threads(5) == 5
    assert room.startable_threads(0) == room.startable_threads(-1) == 0
    monkeypatch.setattr(_thread, "start_new_thread", refuse_the_third)
    assert room.startable_threads(5) == 2
    end = time.monotonic() + 60
    while _thread._count() > before and time.monotonic() < end:
        threading.Event().wait(0.001)
    assert _thread._count() <= before


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (ImportError("libopenblas.so: failed to map segment from shared object"), True),
        (caused(ImportError("numpy cannot be imported"), MemoryError()), True),
        (
            caused(OSError("libllvmlite.so"), OSError("libllvmlite.so: cannot allocate memory")),
            True,
        ),
        (OSError(errno.ENOENT, "No such file or directory"), False),
        (ValueError("cannot allocate memory"), False),
        (ImportError("No module named numpy"), False),
    ],
)
def test_shortage_is_known_whatever_a_library_makes_of_it(error: Exception, expected: bool) -> None:
    assert room.is_shortage(error) is expected


def test_causes_that_go_round_in_circles_are_followed_once() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    assert not room.is_shortage(first)
