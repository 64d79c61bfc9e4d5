"""A stream of work through the workers of a cluster: in order, and little of it at a time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gridcnn.cluster.joining import need_ray
from gridcnn.errors import EngineError

_AHEAD = 2
"""Pieces of work that each worker has, so that none waits for the next one."""


class _Holder:
    """Keeps what a function needs each time."""

    def __init__(self, function: Callable[[Any, Any], Any], kept: list[Any]) -> None:
        self._function = function
        (reference,) = kept  # in a list, since Ray cannot start an actor again with references
        self._kept = need_ray().get(reference)

    def call(self, piece: Any) -> Any:
        """Return the function of what is kept and of a piece of work."""
        return self._function(self._kept, piece)


def map_in_order(
    function: Callable[[Any, Any], Any],
    kept: Any,
    pieces: Iterable[Any],
    *,
    workers: int,
    threads: int,
) -> Iterator[Any]:
    """Yield `function(kept, piece)` for each piece of work, in their order.

    At most two pieces for each worker are in memory. `kept` is sent to each worker once. A worker
    that dies is started again by Ray, and what it had to do is done again.

    Raises:
        EngineError: workers die again and again.
    """
    ray = need_ray()
    reference = ray.put(kept)
    holder = ray.remote(_Holder).options(num_cpus=threads, max_restarts=-1, max_task_retries=5)
    actors = [holder.remote(function, [reference]) for _ in range(workers)]
    waiting: deque[Any] = deque()
    try:
        for piece, actor in zip(pieces, itertools.cycle(actors), strict=False):
            waiting.append(actor.call.remote(piece))
            if len(waiting) >= _AHEAD * workers:
                yield _result(ray, waiting.popleft())
        while waiting:
            yield _result(ray, waiting.popleft())
    finally:
        for actor in actors:
            ray.kill(actor)


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise EngineError(
            f"workers keep dying ({type(error).__name__}); the same command continues where "
            "it stopped"
        ) from None
