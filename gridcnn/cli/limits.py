"""Too little memory, or too few threads: one line says so, before a library ends the process.

OpenBLAS, which NumPy and SciPy compute with, starts a thread for each core when it is loaded, and
takes memory for each. If it cannot, it writes to standard error, and ends the process.
"""

from __future__ import annotations

import os

from gridcnn.errors import UserError
from gridcnn.room import has_room, is_shortage, is_threadless, startable_threads

_NEEDED = 330_000_000  # bytes of addresses for the libraries that most verbs load
_DATA = 100_000_000  # bytes of these that are written
_FOR_A_THREAD = 90_000_000  # bytes that NumPy's and SciPy's OpenBLAS take for each
_MOST_THREADS = 64  # OpenBLAS as NumPy has it starts no more
_LIBRARIES = 3  # that start threads: NumPy's and SciPy's OpenBLAS, and scikit-learn's OpenMP
_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def prepare_libraries() -> None:
    """Keep libraries from starting threads if none are available. Called before they are loaded.

    Raises:
        UserError: there is not even the memory to load them.
    """
    for size, written in ((_NEEDED, False), (_DATA, True)):
        if not has_room(size, written=written):
            raise UserError(
                f"there is not enough memory to start: {size // 10**6} MB are needed, and this "
                f"process may not use that much; allow it more (see ulimit -{'vd'[written]})"
            )
    helpers = min(_cores(), _MOST_THREADS) - 1
    wanted = _LIBRARIES * helpers
    if not has_room(_DATA + helpers * _FOR_A_THREAD) or startable_threads(wanted) < wanted:
        for name in _VARIABLES:
            os.environ.setdefault(name, "1")


def _cores() -> int:
    """Return how many cores OpenBLAS sees, which ignores the limits of containers."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def explain(error: BaseException) -> UserError | None:
    """Return the message for an error that means a lack of memory or threads; None for others."""
    if is_shortage(error):
        own = str(error) if isinstance(error, MemoryError) else ""
        return UserError(
            f"there is not enough memory{f' ({own})' if own else ''}; use less data at a time, "
            "smaller grids, fewer threads (--threads 1) or a smaller training.batch_size, or "
            "allow this process more (see ulimit -v)"
        )
    if is_threadless(error):
        return UserError(
            "no more threads can be started; allow this user more (see ulimit -u), or use one "
            "(--threads 1 --quiet)"
        )
    return None
