"""Forked children: what the parent's other threads held starts over in them.

A child has a copy of all memory, and only the thread that forked. A lock that another thread held
at that moment stays locked in the child for ever, and what that thread was changing stays half
changed. So everything that holds a lock chooses one of two ways:

- `hold_over_forks`: the lock is taken before each fork, and released on both sides. This leaves
  nothing half changed, but the fork waits; it is for short sections, and for LLVM, whose own state
  cannot be made again.
- `start_over_in_children`: the child makes its locks and its memory again. The fork does not wait;
  it is for what is locked for long, such as an engine at work.

Python prints and forgets what is raised around a fork. A KeyboardInterrupt would be lost, and would
leave locks behind that nobody releases. So signals are only noted meanwhile, and sent again::

    _hold, _hold             signals are noted from here on; locks are taken
    fork
    _release, _release       locks are released, handlers are back
    _send_again              C code, so that the handler is called after the fork
    _turn.release            C code, too

Each function is registered twice, since a signal may come before its first line: the second call
then does what the first has not done, and all others find nothing to do.
"""

from __future__ import annotations

import _thread
import functools
import os
import signal
import sys
import threading
import weakref
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

Value = TypeVar("Value")


class Owner(Protocol):
    """An object that has locks, and can make new ones."""

    def start_over(self) -> None:
        """Make new locks, and forget what other threads may have left half done."""


processes = 1
"""How many processes share the memory that this one may use: several in a child that works for its
parent (`gridcnn.processes`)."""


def hold_over_forks(lock: AbstractContextManager[Any]) -> None:
    """Let no fork happen while another thread is inside `lock`.

    Several locks are taken in the order of these calls, so a thread that takes two of them has to
    keep that order. The lock has to be reentrant if code inside of it may fork.
    """
    _locks.append(lock)


def start_over_in_children(owner: Owner) -> None:
    """Call `owner.start_over()` in each child, as long as the owner is alive."""
    _owners.add(owner)


_locks: list[AbstractContextManager[Any]] = []
_owners: weakref.WeakSet[Owner] = weakref.WeakSet()
_turn = threading.RLock()
"""Held by the thread that forks, so that threads fork one after the other."""


class _Fork:
    """The state of the fork that is going on, of which there is one at a time."""

    def __init__(self) -> None:
        self.thread: int | None = None
        """The thread that forks, if its locks are taken. Threads keep their numbers in a child."""
        self.held: list[AbstractContextManager[Any]] = []
        self.handlers: dict[int, Any] = {}
        """The handlers that are replaced."""
        self.noted: list[tuple[int, int]] = []
        """The processes that got a signal meanwhile, and its number."""
        self.due: list[int] = []
        """The signal to send again; one at most, which is what `max` takes without comparing."""


_fork = _Fork()
_send_again = functools.partial(max, _fork.due, key=_thread.interrupt_main, default=None)


def _note(number: int, _: Any) -> None:
    _fork.noted.append((os.getpid(), number))


def _note_signals() -> None:
    """Replace the handlers of signals that stop a process; only the main thread runs them."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler) and handler is not _note:
            _fork.handlers[number] = handler
            signal.signal(number, _note)


def _handle_signals() -> None:
    """Put the handlers back, and choose the signal that is sent again."""
    if threading.current_thread() is not threading.main_thread():
        return
    _fork.due[:] = [number for process, number in _fork.noted if process == os.getpid()][:1]
    _fork.noted.clear()
    while _fork.handlers:
        number, handler = next(iter(_fork.handlers.items()))
        signal.signal(number, handler)
        del _fork.handlers[number]


def _hold(*, again: bool = False) -> None:
    if _fork.thread == threading.get_ident():
        return
    _note_signals()
    if again:  # the first call was interrupted
        _note(signal.SIGINT, None)
    _turn.acquire()
    _fork.due.clear()
    _fork.thread = threading.get_ident()
    for lock in _locks:
        lock.__enter__()
        _fork.held.append(lock)


def _release(*, again: bool = False, in_child: bool = False) -> None:
    if _fork.thread != threading.get_ident():
        return
    if in_child:  # of a thread that was not the main one in the parent
        _note_signals()
    if again:
        _note(signal.SIGINT, None)
    while _fork.held:
        _fork.held.pop().__exit__(None, None, None)
    if in_child:
        for owner in list(_owners):
            owner.start_over()
    _handle_signals()
    _fork.thread = None


if hasattr(os, "register_at_fork"):  # Windows has no fork
    # Those before a fork are called in the reverse order.
    os.register_at_fork(before=functools.partial(_hold, again=True))
    os.register_at_fork(before=_hold, after_in_parent=_release)
    for again in (False, True):
        os.register_at_fork(after_in_child=functools.partial(_release, again=again, in_child=True))
    os.register_at_fork(after_in_parent=functools.partial(_release, again=True))
    os.register_at_fork(after_in_parent=_send_again, after_in_child=_send_again)
    os.register_at_fork(after_in_parent=_turn.release, after_in_child=_turn.release)


if sys.version_info >= (3, 12):
    cached_property = functools.cached_property
else:

    class cached_property(functools.cached_property[Value]):  # noqa: N801 - as Python calls it
        """A property that is computed once, without a lock.

        That of Python 3.11 holds a lock while it computes, which no thread can release in a child.
        """

        if not TYPE_CHECKING:  # with the types of Python's own

            def __get__(self, instance, owner=None):  # noqa: ANN001, ANN204
                if instance is None:
                    return self
                # The instance's own attribute comes first from now on.
                return instance.__dict__.setdefault(self.attrname, self.func(instance))
