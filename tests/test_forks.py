"""Forked children: no lock of the parent's other threads stays locked in them."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gridcnn import forks
from gridcnn.adapters.decoding import _Silence

ROOT = Path(__file__).parents[1]
ROOMS = ("gridcnn", "adapters", "datasets", "pipelines")
WAIT = 60  # seconds that nothing here takes, on any machine

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork"),
    # Python 3.12 and later warn of forks while there are other threads.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def code_of_child(work: Callable[[], object]) -> int | None:
    """Return a child's exit code: 0 if its work is true; None: it hangs."""
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@contextlib.contextmanager
def elsewhere(work: Callable[[threading.Event, threading.Event], None]) -> Iterator[None]:
    """Let another thread work; it says with the first event that it is at it, until the second."""
    at_it, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=work, args=(at_it, over), daemon=True)
    thread.start()
    assert at_it.wait(WAIT)
    try:
        yield
    finally:
        over.set()
        thread.join(WAIT)


@pytest.fixture
def own_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test registers be forgotten after it."""
    monkeypatch.setattr(forks, "_locks", list(forks._locks))
    monkeypatch.setattr(forks, "_owners", type(forks._owners)(forks._owners))


@pytest.mark.usefixtures("own_lists")
def test_a_fork_waits_for_a_lock_that_is_held_over_forks() -> None:
    """Nothing is half changed in the child, where the lock is free; and so it is in the parent."""
    lock, changes = threading.Lock(), [0, 0]
    forks.hold_over_forks(lock)

    def change(at_it: threading.Event, over: threading.Event) -> None:
        while not over.is_set():
            with lock:
                changes[0] += 1
                at_it.set()
                time.sleep(0.001)
                changes[1] += 1

    def child() -> bool:
        return lock.acquire(timeout=1) and changes[0] == changes[1]

    with elsewhere(change):
        assert [code_of_child(child) for _ in range(5)] == [0] * 5
    assert lock.acquire(timeout=1)


@pytest.mark.usefixtures("own_lists")
def test_an_owner_starts_over_in_children_as_long_as_it_lives() -> None:
    """It is not kept alive for that, and nothing happens to it in the parent."""
    started: list[str] = []

    class Owner:
        def __init__(self, name: str) -> None:
            self.name = name
            forks.start_over_in_children(self)

        def start_over(self) -> None:
            started.append(self.name)

    kept, dropped = Owner("kept"), Owner("dropped")
    del dropped
    gc.collect()

    assert code_of_child(lambda: started == ["kept"]) == 0
    assert (kept.name, started) == ("kept", [])


INTERRUPTED = """
import _thread, os, signal, sys

moment = sys.argv[1]
# C code, so that the first line of Python that follows is one of `forks`.
interrupt = lambda: os.register_at_fork(**{moment: _thread.interrupt_main})
if moment != "before":  # those before a fork are called in the reverse order
    interrupt()
from gridcnn import forks
if moment == "before":
    interrupt()

class Lock:
    held = 0
    def __enter__(self): self.held += 1
    def __exit__(self, *_): self.held -= 1

class Owner:
    started = 0
    def start_over(self): self.started += 1

lock, owner, parent = Lock(), Owner(), os.getpid()
forks.hold_over_forks(lock)
forks.start_over_in_children(owner)
try:
    os.fork()
    told = "goes on"
except KeyboardInterrupt:
    told = "is interrupted"
is_child = os.getpid() != parent
assert lock.held == 0
assert owner.started == is_child
assert "owner=0" in repr(forks._turn)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
if not is_child:
    assert os.wait()[1] == 0
print("child" if is_child else "parent", told)
"""


@pytest.mark.parametrize(
    ("moment", "printed"),
    [
        ("before", ["child goes on", "parent is interrupted"]),
        ("after_in_parent", ["child goes on", "parent is interrupted"]),
        ("after_in_child", ["child is interrupted", "parent goes on"]),
    ],
)
def test_ctrl_c_around_a_fork_is_heard_after_it(moment: str, printed: list[str]) -> None:
    """Python forgets what is raised in between; all locks are free afterwards all the same."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, moment],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == printed, done.stderr


@pytest.mark.usefixtures("own_lists")
def test_ctrl_c_while_locks_are_taken_and_released_is_heard_after_the_fork() -> None:
    """However often it comes, and whatever lock it comes in."""

    class Lock:
        held = 0

        def __enter__(self) -> None:
            self.held += 1
            signal.raise_signal(signal.SIGINT)

        def __exit__(self, *_: object) -> None:
            self.held -= 1
            if os.getpid() == parent:
                signal.raise_signal(signal.SIGINT)

    locks, parent = (Lock(), Lock()), os.getpid()
    for lock in locks:
        forks.hold_over_forks(lock)

    with pytest.raises(KeyboardInterrupt):
        assert code_of_child(lambda: all(lock.held == 0 for lock in locks)) == 0
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    assert all(lock.held == 0 for lock in locks)


@pytest.mark.usefixtures("own_lists")
def test_several_threads_may_fork_at_once() -> None:
    """Each releases what it has taken itself."""
    lock = threading.Lock()
    forks.hold_over_forks(lock)
    codes: list[int | None] = []

    def fork(at_it: threading.Event, over: threading.Event) -> None:
        at_it.set()
        codes.extend(code_of_child(lambda: lock.acquire(timeout=1)) for _ in range(5))

    with elsewhere(fork), elsewhere(fork):
        pass
    assert codes == [0] * 10
    assert lock.acquire(timeout=1)


def test_a_property_that_another_thread_computes_is_computed_in_a_child() -> None:
    class Slow:
        @forks.cached_property
        def number(self) -> int:
            """Any number."""
            if threading.current_thread() is not threading.main_thread():
                at_it.set()
                over.wait(WAIT)
            return 7

    at_it, over = threading.Event(), threading.Event()
    slow = Slow()
    thread = threading.Thread(target=lambda: slow.number, daemon=True)
    thread.start()
    assert at_it.wait(WAIT)

    assert code_of_child(lambda: slow.number == 7) == 0
    over.set()
    thread.join(WAIT)
    assert vars(slow) == {"number": 7}
    assert Slow.number.__doc__ == "Any number."


def test_warnings_are_heard_in_a_child_though_another_thread_silenced_them() -> None:
    """That thread is not there to let them be heard again."""
    silence = _Silence()

    def decode(at_it: threading.Event, over: threading.Event) -> None:
        with silence:
            at_it.set()
            over.wait(WAIT)

    def child() -> bool:
        with silence:
            silent = warnings.filters[0][0] == "ignore"
        return silent and warnings.filters == before

    before = list(warnings.filters)
    with elsewhere(decode):
        assert warnings.filters != before
        assert code_of_child(child) == 0
    assert warnings.filters == before


@pytest.mark.skipif(not (ROOT / "adapters").is_dir(), reason="the tests run outside of a checkout")
def test_whatever_holds_a_lock_says_what_becomes_of_it_in_a_child() -> None:
    """And nothing uses Python's own `cached_property`, which holds one until Python 3.12."""
    locks = re.compile(r"\b(R?Lock|Condition|Semaphore|Event|Barrier|(Simple)?Queue)\(")
    ways = re.compile(r"\b(hold_over_forks|start_over_in_children)\(")
    files = {
        file: file.read_text("utf-8") for room in ROOMS for file in (ROOT / room).rglob("*.py")
    }
    own = ROOT / "gridcnn" / "forks.py"
    holding = [file.name for file, text in files.items() if locks.search(text)]
    saying = [file.name for file, text in files.items() if ways.search(text)]

    assert own in files
    # The team starts over without mailboxes; no child of a server answers anybody.
    assert set(holding) - set(saying) == {"mailbox.py", "lanes.py", "served.py", "server.py"}
    pythons = re.compile(r"functools\.cached_property|from functools import .*cached_property")
    assert [file for file, text in files.items() if pythons.search(text)] == [own]
