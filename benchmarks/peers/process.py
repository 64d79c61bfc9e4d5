"""A contestant's process, seen from outside: `Process` gives orders and takes answers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from benchmarks.peers.case import Array
from benchmarks.peers.worker import Settings, environment

ROOT = Path(__file__).parents[2]


class ContestantError(Exception):
    """A contestant cannot take part; the message says why."""


class Process:
    """Runs a contestant until the block is left.

    Raises:
        ContestantError: it cannot take part: it is not installed, or the task is beyond it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", settings.text()],
            cwd=ROOT,
            env=environment(settings.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            self.versions: dict[str, str] = self._answer()["versions"]
        except ContestantError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self, task: str) -> dict[str, Any]:
        """Make a task ready; return its ways, and under `answer` the arrays that it comes to."""
        found = self._ask({"open": task})
        with np.load(found["answer"]) as file:
            answer: dict[str, Array] = dict(file)
        return {**found, "answer": answer}

    def turn(self, task: str, seconds: float) -> list[float]:
        """Return the times of repetitions for about so many seconds."""
        times: list[float] = self._ask({"turn": task, "seconds": seconds})["times"]
        return times

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it has died, and what was to be sent is lost
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died; `_answer` says so
            print(json.dumps(order), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._log.seek(0)
            told = self._log.read().strip().splitlines()[-1:] or ["it said nothing"]
            raise ContestantError(f"its process ended: {told[0]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContestantError(answer["error"])
        return answer


def once(settings: Settings, **variables: str) -> dict[str, float]:
    """Return what a process says that takes no orders; `variables` are added to its environment.

    Raises:
        ContestantError: it came to nothing.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.worker", settings.text()],
        cwd=ROOT,
        env={**environment(settings.threads), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    answer: dict[str, Any] = json.loads(lines[-1]) if lines else {"error": done.stderr[-300:]}
    if "error" in answer:
        raise ContestantError(answer["error"])
    return answer
