"""Groups of numbers are worked on by forked processes; results come in order.

Where most of an item's time is spent in Python, threads wait for each other, since Python runs one
at a time. Processes do not wait, but each takes some milliseconds to start, and sends back what it
has made. A forked child has all that its parent has in memory, so only numbers are sent to it.

Nothing depends on the children: what one of them cannot do, since it was ended from outside, found
an error or cannot send its result, is done by the caller.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import mmap
import pickle
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gridcnn import forks

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Result = TypeVar("Result")
_Message = tuple[bytes | None, Sequence[slice]]
"""A pickled result, or None, and where its arrays lie."""

_AHEAD = 2  # groups that a child may have been given, so that it need not wait for its next one
_PLACE = 2**23
"""Bytes of the memory by which a child hands over the arrays of a result. What is not used of it
takes no memory; larger results are sent by the connection, which takes several times as long."""
_ALIGNMENT = 64


def can_fork() -> bool:
    """Return whether children may be forked that work with what this process has in memory.

    macOS has `fork` as well, but its own libraries may fail in a child. The children that
    `multiprocessing` ends with their parent may not have any.
    """
    if sys.platform != "linux":
        return False
    loaded = sys.modules.get("multiprocessing.process")
    return loaded is None or not loaded.current_process().daemon


class Processes(Generic[Result]):
    """Forked children, and the caller, who does what they cannot do.

    Args:
        work: is called with each group, in a child. What it changes there is not seen here.
        count: how many children are started, if as many can be.
    """

    def __init__(self, work: Callable[[range], Result], count: int) -> None:
        self._work = work
        self._children: list[_Child] = []
        for _ in range(count):
            try:
                self._children.append(_Child(work, self._children, count))
            except OSError:  # there is no memory, or no further process may be started
                break

    def results(self, groups: Iterator[range]) -> Iterator[Result]:
        """Yield the result of each group, in order."""
        waiting: deque[tuple[range, _Child | None]] = deque()
        for group in groups:
            if len(waiting) >= max(1, _AHEAD * len(self._children)):
                yield self._take(*waiting.popleft())
            waiting.append((group, self._give(group)))
        while waiting:
            yield self._take(*waiting.popleft())

    def end(self) -> None:
        """End all children, whatever they do."""
        for child in self._children:
            child.end()

    def _give(self, group: range) -> _Child | None:
        """Give a group to the child that has the fewest; return it, or None if none is alive."""
        self._receive(0)
        while alive := [child for child in self._children if child.alive]:
            child = min(alive, key=lambda each: len(each.given))
            if len(child.given) < _AHEAD:
                child.give(group)
                return child
            self._receive(None)
        return None

    def _take(self, group: range, child: _Child | None) -> Result:
        """Return the result of a group, once it is there."""
        if child is not None:
            while child.alive and group in child.given:
                self._receive(None)
            if group in child.made:
                result: Result = child.made.pop(group)
                return result
        return self._work(group)

    def _receive(self, seconds: float | None) -> None:
        """Receive what children have sent; wait so long for the first of them; None: for ever."""
        from multiprocessing.connection import wait

        busy = {child.connection: child for child in self._children if child.alive and child.given}
        for connection in wait(list(busy), seconds):
            busy[connection].receive()  # type: ignore[index]  # what is waited for is returned


class _Child:
    """One child, as its parent sees it.

    Attributes:
        connection: the parent's end of the connection.
        alive: whether it can be given work.
        given: the groups that it works on, in order.
        made: the results that it has sent.
    """

    def __init__(
        self, work: Callable[[range], Any], others: Sequence[_Child], together: int
    ) -> None:
        import multiprocessing

        context = multiprocessing.get_context("fork")
        self._places = mmap.mmap(-1, _AHEAD * _PLACE)  # shared with the child
        self._place = 0
        self.connection, connection = context.Pipe()
        self.alive = True
        self.given: deque[range] = deque()
        self.made: dict[range, Any] = {}
        # Those ends of the parent, which the child gets by the fork, would keep it from noticing
        # that the parent is gone.
        not_its_own = [self.connection, *(other.connection for other in others)]
        self._process = context.Process(
            target=_serve, args=(work, connection, self._places, not_its_own, together), daemon=True
        )
        # Ctrl-C is the parent's to answer: it is held back until the child ignores it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with warnings.catch_warnings():
                # From Python 3.12 on, it warns of forks beside threads, and counts those of BLAS.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._process.start()
        except BaseException:
            self.connection.close()
            raise
        finally:
            connection.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def give(self, group: range) -> None:
        """Make the child work on a group."""
        try:
            self.connection.send(group)
        except OSError:  # it is gone
            self.alive = False
        else:
            self.given.append(group)

    def receive(self) -> None:
        """Receive the result of the group that the child was given first."""
        try:
            packed, parts = pickle.loads(self.connection.recv_bytes())
        except (OSError, EOFError):
            self.alive = False
            return
        group, start = self.given.popleft(), self._place * _PLACE
        self._place = (self._place + 1) % _AHEAD
        if packed is not None:
            # Copies: the child will use the place again.
            arrays = [self._places[start + part.start : start + part.stop] for part in parts]
            self.made[group] = pickle.loads(packed, buffers=arrays)

    def end(self) -> None:
        """End the child."""
        self.alive = False
        self.connection.close()
        self._process.kill()
        self._process.join()
        self._process.close()
        self._places.close()


def _serve(
    work: Callable[[range], Any],
    connection: Connection,
    places: mmap.mmap,
    not_its_own: Sequence[Connection],
    together: int,
) -> None:
    """Work on groups until the parent closes the connection, or is gone: what a child does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    forks.processes = together
    # What is the parent's as well is not to be visited: each visit changes, and so copies, a page.
    gc.freeze()
    for other in not_its_own:
        other.close()
    with contextlib.suppress(OSError, EOFError):
        for start in itertools.cycle(range(0, _AHEAD * _PLACE, _PLACE)):
            group = connection.recv()
            message: _Message = None, ()
            # Of an error nothing is sent: the parent will do the same, and tell it.
            with contextlib.suppress(Exception):
                message = _pack(work(group), places, start)
            connection.send(message)


def _pack(result: Any, places: mmap.mmap, start: int) -> _Message:
    """Put the arrays of a result into a place, and return the message that describes it."""
    arrays: list[pickle.PickleBuffer] = []
    content = pickle.dumps(result, 5, buffer_callback=arrays.append)
    parts: list[slice] = []
    end = 0
    for view in (array.raw() for array in arrays):
        parts.append(slice(end, end + view.nbytes))
        if parts[-1].stop > _PLACE:
            return pickle.dumps(result), ()
        places[start + end : start + parts[-1].stop] = view
        end = -(-parts[-1].stop // _ALIGNMENT) * _ALIGNMENT
    return content, parts
