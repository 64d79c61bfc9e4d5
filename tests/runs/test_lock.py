"""The lock of a folder."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gridcnn.errors import RunFolderError
from gridcnn.runs import lock
from gridcnn.runs.lock import NAME, FolderLock, acquire, is_ours

_HOLDS = """
import os, sys, time
from pathlib import Path
from gridcnn.runs.lock import acquire
held = acquire(Path(sys.argv[1]))
if sys.argv[2] == "alone" or not os.fork():
    print(os.getpid(), flush=True)
time.sleep(60)
"""


def held_by_another(folder: Path, how: str = "alone") -> tuple[subprocess.Popen[str], int]:
    """Return a process that holds a folder; and if it "forks", its child, which runs already."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, folder, how], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        return process, int(process.stdout.readline())


def test_a_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    """With its file left as a mark, or without; in between nobody else gets it."""
    for keep in (True, False):
        first = acquire(tmp_path)
        with pytest.raises(
            RunFolderError, match=f"is in use by another run .process {os.getpid()} "
        ):
            acquire(tmp_path)
        first.release(keep=keep)

        assert (tmp_path / NAME).exists() == keep
        acquire(tmp_path).release(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_released_twice_is_released_once(tmp_path: Path) -> None:
    """The second time it may be another's."""
    first = acquire(tmp_path)
    first.release(keep=True)
    second = acquire(tmp_path)

    first.release(keep=False)

    with pytest.raises(RunFolderError, match="in use"):
        acquire(tmp_path)
    second.release(keep=False)


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    """Its file stays, and is taken over; until then the error names the process."""
    process, _ = held_by_another(tmp_path)
    with pytest.raises(RunFolderError, match=rf"run \(process {process.pid} on \S+\); wait until"):
        acquire(tmp_path)

    process.kill()
    process.wait()

    assert is_ours(tmp_path / NAME)
    acquire(tmp_path).release(keep=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_lock_does_not_live_on_in_a_forked_child(tmp_path: Path) -> None:
    """Neither does the child release its parent's."""
    process, sleeping = held_by_another(tmp_path, "forks")
    with pytest.raises(RunFolderError, match=f"process {process.pid} on"):
        acquire(tmp_path)
    process.kill()
    process.wait()

    held = acquire(tmp_path)  # while the child sleeps on

    os.kill(sleeping, signal.SIGKILL)
    child = os.fork()
    if not child:
        held.release(keep=False)
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / NAME).exists()
    with pytest.raises(RunFolderError, match="in use"):
        acquire(tmp_path)
    held.release(keep=False)


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the drive know no locks."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_on_a_drive_without_locks_the_file_alone_decides(tmp_path: Path) -> None:
    """Nothing tells whether its process lives; the error says what to do, and that helps."""
    first = acquire(tmp_path)
    with pytest.raises(
        RunFolderError,
        match=rf"may be in use by another run \(process {os.getpid()} on .*; if that run has "
        rf"ended, ",
    ) as caught:
        acquire(tmp_path)
    assert str(caught.value).endswith(f"delete {tmp_path / NAME}")

    (tmp_path / NAME).unlink()

    second = acquire(tmp_path)
    second.release(keep=True)
    acquire(tmp_path).release(keep=False)
    first.release(keep=False)


def test_a_file_that_is_not_ours_is_left_as_it_is(tmp_path: Path) -> None:
    """A folder, a pipe, a link: nothing is written through any of them."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    other = tmp_path / "precious"
    other.write_text("mine")
    (tmp_path / "a" / NAME).mkdir()
    (tmp_path / "b" / NAME).symlink_to(other)

    for name in ("a", "b"):
        with pytest.raises((RunFolderError, OSError)):
            acquire(tmp_path / name)
        assert not is_ours(tmp_path / "a" / NAME)
    assert other.read_text() == "mine"


def test_a_full_disk_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(lock, "_write", full)
        with pytest.raises(OSError, match="No space left"):
            acquire(tmp_path)

    assert list(tmp_path.iterdir()) == []
    held: FolderLock = acquire(tmp_path)
    held.release(keep=False)
