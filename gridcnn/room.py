"""Whether memory and threads are available now: found out by trying, whatever limits them.

There are many kinds of limits (`ulimit`, containers, the system's own), and some libraries end
the process when they reach one. So it is better to know before.
"""

from __future__ import annotations

import _thread
import errno
import mmap
import os
import sys
import time

TYPE_CHECKING = False  # this is loaded while a command starts: `typing` would take longer
if TYPE_CHECKING:
    from collections.abc import Iterator

_SCIPY, _SCIPY_DATA = 160_000_000, 90_000_000  # bytes of addresses, and of what is written there
_NO_MEMORY = ("cannot allocate memory", "failed to map segment", "not enough memory")


def has_room(size: int, *, written: bool = True) -> bool:
    """Return whether so many bytes of memory could be taken; they are not used, and given back.

    What is not `written`, such as the code of libraries, counts against a limit of addresses
    (`ulimit -v`), and not against one of data (`ulimit -d`).
    """
    if sys.platform == "win32":  # it would make room in its page file first, which takes long
        return True
    try:
        access = mmap.PROT_READ | (mmap.PROT_WRITE if written else 0)
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=access).close()
    except (OSError, ValueError, OverflowError, MemoryError):
        return False
    return True


def require_room_for_scipy() -> None:
    """Raise MemoryError if SciPy cannot be loaded: its OpenBLAS would end the process."""
    fits = has_room(_SCIPY, written=False) and has_room(_SCIPY_DATA)
    if not fits and "scipy.linalg" not in sys.modules:
        raise MemoryError(f"loading SciPy takes up to {_SCIPY // 10**6} MB")


def startable_threads(wanted: int) -> int:
    """Return how many threads can be started beside those that there are, up to `wanted`."""
    wait, before = _thread.allocate_lock(), _living_threads()

    def stay() -> None:
        with wait:
            pass

    started = 0
    with wait:
        try:
            while started < wanted:
                _thread.start_new_thread(stay, ())
                started += 1
        except (RuntimeError, MemoryError):
            pass
    # They count against the limits until the system has removed them.
    end = time.monotonic() + 0.05
    while _living_threads() > before and time.monotonic() < end:
        time.sleep(0)
    return started


def _living_threads() -> int:
    """Return how many threads this process has; 0 if that is not known."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - pathlib would have to be loaded
    except OSError:
        return 0


def is_shortage(error: BaseException) -> bool:
    """Return whether an error means that there is not enough memory.

    Libraries that cannot be loaded for that reason raise other kinds of errors.
    """
    return any(
        isinstance(each, MemoryError)
        or (isinstance(each, OSError) and each.errno == errno.ENOMEM)
        or (isinstance(each, ImportError | OSError) and _says_so(each))
        for each in _chain(error)
    )


def is_threadless(error: BaseException) -> bool:
    """Return whether an error means that no thread could be started."""
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def _says_so(error: BaseException) -> bool:
    text = str(error).lower()
    return any(words in text for words in _NO_MEMORY)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    known: set[int] = set()
    while error is not None and id(error) not in known:
        known.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
