"""What the server counts, as Prometheus reads it: text format 0.0.4."""

from __future__ import annotations

import bisect
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64)

Sample = tuple[str, Mapping[str, str], float]
"""What is added to a metric's name, its labels, its value."""


class Histogram:
    """How many values were at most so large, for each of some bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self) -> Iterator[Sample]:
        """Yield the counts up to each bound, the sum, and the number of all values."""
        total = 0
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            total += count
            yield "_bucket", {"le": "+Inf" if bound is None else f"{bound:g}"}, total
        yield "_sum", {}, self._sum
        yield "_count", {}, total


class Metrics:
    """The counts of one server; only the thread of the event loop changes them.

    Attributes:
        requests: by path and status of the answer.
        items: by model, and by whether they have an answer.
        refused: by reason: full, late, large, slow.
        seconds: from a request's first line to its answer.
        batches: requests that were answered together.
        reloads: by result.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.items: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter()
        self.reloads: Counter[str] = Counter()
        self.seconds = Histogram(_SECONDS)
        self.batches = Histogram(_REQUESTS)
        self._since = time.time()

    def text(self, gauges: Mapping[str, float], models: Iterable[tuple[str, str]]) -> str:
        """Return all metrics.

        Args:
            gauges: what is so now, by name: `waiting`, `held_bytes`, `connections`.
            models: the name and the version of each.
        """
        lines: list[str] = []

        def add(name: str, kind: str, about: str, samples: Iterable[Sample]) -> None:
            lines.extend((f"# HELP gridcnn_{name} {about}", f"# TYPE gridcnn_{name} {kind}"))
            lines.extend(
                _line(f"gridcnn_{name}{more}", labels, value) for more, labels, value in samples
            )

        add("requests_total", "counter", "Requests that were answered.", (
            ("", {"path": path, "status": str(status)}, count)
            for (path, status), count in sorted(self.requests.items())
        ))  # fmt: skip
        add("items_total", "counter", "Items of requests.", (
            ("", {"model": model, "result": result}, count)
            for (model, result), count in sorted(self.items.items())
        ))  # fmt: skip
        add("refused_total", "counter", "Requests that were refused unread, and why.", (
            ("", {"reason": reason}, count) for reason, count in sorted(self.refused.items())
        ))  # fmt: skip
        add("reloads_total", "counter", "Models that were loaded again.", (
            ("", {"result": result}, count) for result, count in sorted(self.reloads.items())
        ))  # fmt: skip
        about = "Seconds from the start of a request to its answer."
        add("request_seconds", "histogram", about, self.seconds.samples())
        about = "Requests that were answered together."
        add("batch_requests", "histogram", about, self.batches.samples())
        for name, value in gauges.items():
            add(name, "gauge", f"The {name.replace('_', ' ')} now.", [("", {}, value)])
        add("model_info", "gauge", "The models that are served.", (
            ("", {"model": model, "version": version}, 1) for model, version in models
        ))  # fmt: skip
        lines += _process(self._since)
        return "\n".join(lines) + "\n"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value!r}" if inner else f"{name} {value!r}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _process(since: float) -> list[str]:
    """Return the usual metrics of a process."""
    used = os.times()
    lines = [
        "# TYPE process_cpu_seconds_total counter",
        f"process_cpu_seconds_total {used.user + used.system:.2f}",
        "# TYPE process_start_time_seconds gauge",
        f"process_start_time_seconds {since:.2f}",
    ]
    memory = resident_bytes()
    if memory is not None:
        lines += [
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {memory}",
        ]
    return lines


def resident_bytes() -> int | None:
    """Return how much memory this process has; None if the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no real file
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
