"""Forked children: what the parent's other threads held starts over in them.

A child has a copy of all memory, and only the thread that forked. A lock that another thread held
at that moment stays locked in the child for ever, and what that thread was changing stays half
changed. So everything that holds a lock chooses one of two ways:

- `hold_over_forks`: the lock is taken before each fork, and released on both sides. This leaves
  nothing half changed, but the fork waits; it is for short sections, and for LLVM, whose own state
  cannot be made again.
- `start_over_in_children`: the child makes its locks and its memory again. The fork does not wait;
  it is for what is locked for long, such as an engine at work.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from collections import defaultdict
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
    """Delay forks while another thread holds `lock`.

    Several locks are taken in the order of these calls, so a thread that takes two of them has to
    keep that order. The lock has to be reentrant if code inside of it may fork.
    """
    _locks.append(lock)


def start_over_in_children(owner: Owner) -> None:
    """Call `owner.start_over()` in each child, as long as the owner is alive."""
    _owners.add(owner)


# The first one lets threads fork one after the other.
_locks: list[AbstractContextManager[Any]] = [threading.RLock()]
_owners: weakref.WeakSet[Owner] = weakref.WeakSet()
# The locks that each forking thread has taken: one whose waiting is cut off by Ctrl-C must not
# release those of another. Threads keep their numbers in a child.
_held: defaultdict[int, list[AbstractContextManager[Any]]] = defaultdict(list)


def _hold() -> None:
    locks = _held[threading.get_ident()]
    for lock in _locks:
        lock.__enter__()
        locks.append(lock)


def _release() -> None:
    for lock in reversed(_held.pop(threading.get_ident())):
        lock.__exit__(None, None, None)


def _release_and_start_over() -> None:
    _release()
    for owner in list(_owners):
        owner.start_over()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_hold, after_in_parent=_release, after_in_child=_release_and_start_over
    )


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
