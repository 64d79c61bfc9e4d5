"""Calls of a function on the workers of a cluster, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gridcnn.cluster.joining import need_ray


def call_all(
    function: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    *,
    workers: int,
    threads: int,
    started: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[int, Any]]:
    """Yield the number and the result of each call, as they end.

    A call whose worker dies is made again. An error of the function is raised here, and the calls
    that still run are given up.

    Args:
        function: what is called, on some worker; it can be pickled, as its arguments can.
        calls: the arguments of each call.
        workers: how many calls are made at a time.
        threads: the cores that Ray keeps for each call.
        started: called with the number of each call before it is made.
    """
    ray = need_ray()
    remote = ray.remote(function).options(num_cpus=threads, max_retries=5)
    waiting = deque(enumerate(calls))
    running: dict[Any, int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                number, arguments = waiting.popleft()
                started(number)
                running[remote.remote(*arguments)] = number
            (ref,), _ = ray.wait(list(running), num_returns=1)
            number = running.pop(ref)
            try:
                result = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            yield number, result
    finally:
        for ref in running:
            ray.cancel(ref, force=True)
