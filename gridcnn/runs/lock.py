"""The lock of a folder: one process writes there at a time.

The folder is claimed by a file that is created exclusively, and held by a lock of the operating
system on that file. The lock dies with the process, however it ends; the file may stay, and is then
taken over. A network drive may not support locks: there only the file decides, by the process that
it names, and has to be deleted by hand if that process was killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from pathlib import Path

from gridcnn.errors import RunFolderError, printable
from gridcnn.forks import start_over_in_children

NAME = "run.lock"
_MARK = "gridcnn"
"""The first bytes of the file, so that another file of the same name is left alone."""
_LONGEST = 400  # bytes that are read of it


class FolderLock:
    """A folder that this process holds; made by `acquire`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self.is_held = True
        start_over_in_children(self)

    def start_over(self) -> None:
        """Forget the lock in a forked child: it is the parent's, and must not outlive it."""
        if self.is_held:
            self.is_held = False
            os.close(self._descriptor)

    def release(self, *, keep: bool) -> None:
        """Release the folder; `keep` leaves the file, as a mark that a run was here."""
        if not self.is_held:
            return
        self.is_held = False
        if keep:
            with contextlib.suppress(OSError):
                _write(self._descriptor, "")
        if sys.platform == "win32":  # where no file that is open can be removed
            os.close(self._descriptor)
        if not keep:
            # Before it is closed: a process that locks it afterwards sees that it is no longer the
            # file.
            with contextlib.suppress(OSError):
                self._path.unlink()
        if sys.platform != "win32":
            os.close(self._descriptor)


def acquire(folder: Path) -> FolderLock:
    """Return the lock of a folder that exists.

    Raises:
        RunFolderError: another process holds it, or may hold it.
        OSError: the folder cannot be written to.
    """
    path = folder / NAME
    while True:
        descriptor, created = _open(path)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RunFolderError(f"{path} is not an ordinary file; remove it")
            _take(descriptor, path, created=created)
        except BaseException:
            os.close(descriptor)
            raise
        if not _is_there(descriptor, path):
            os.close(descriptor)
            continue  # the process before has removed it
        lock = FolderLock(path, descriptor)
        try:
            _write(descriptor, f": process {os.getpid()} on {printable(socket.gethostname())}")
        except BaseException:
            lock.release(keep=not created)
            raise
        return lock


def is_ours(path: Path) -> bool:
    """Return whether a file of that name is a lock file of gridcnn."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST).startswith(_MARK.encode()) or not path.stat().st_size
    except OSError:
        return False


def _open(path: Path) -> tuple[int, bool]:
    """Return the open file of a lock, and whether this call has created it."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags | getattr(os, "O_NONBLOCK", 0)), False


def _write(descriptor: int, holder: str) -> None:
    """Write which process holds the file; in one call, so that a kill leaves all or nothing."""
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, f"{_MARK}{holder}\n".encode()[:_LONGEST])


def _is_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _take(descriptor: int, path: Path, *, created: bool) -> None:
    """Lock a file; raise `RunFolderError` if another process has it."""
    try:
        _lock(descriptor)
    except OSError as error:
        folder, holder = path.parent, _holder(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise RunFolderError(
                f"{folder} is in use by another run{holder and f' ({holder})'}; wait until it has "
                "ended, or use another folder"
            ) from None
        if not created and holder:
            raise RunFolderError(
                f"{folder} may be in use by another run{holder and f' ({holder})'}: this drive "
                f"has no file locks, so it cannot be checked; if that run has ended, delete {path}"
            ) from None


def _holder(descriptor: int) -> str:
    """Return which process has written the file: "process 12 on host"; empty if that is unknown."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = os.read(descriptor, _LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""
    mark, _, holder = text.strip().partition(": ")
    return printable(holder) if mark == _MARK else ""


if sys.platform == "win32":
    import msvcrt

    _FAR = 2**20  # a byte beyond the content, which others may read all the same

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
