"""Progress bars, which are shown only on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from gridcnn.cli import screen
from gridcnn.errors import sized
from gridcnn.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Shown
    from rich.progress import TaskID

_BYTES = "bytes"


class Bars:
    """Shows work in progress as a bar, one at a time; nothing if standard error is not a terminal.

    Args:
        shown: False shows nothing.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self.is_shown = shown and screen.messages().is_terminal
        self._bars: Shown | None = None
        self._what: tuple[str, str] | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self.is_shown:
            self._bars = _make_display()
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, progress: Progress, *, note: str = "") -> None:
        """Move the bar; `note` is shown beside it."""
        if self._bars is None:
            return
        what = (progress.what, progress.unit)
        if self._task is None or self._what != what:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task, self._what = self._bars.add_task(progress.what, count="", note=""), what
        self._bars.update(
            self._task,
            completed=progress.done,
            total=progress.total,
            count=_count(progress),
            note=note,
        )


def _make_display() -> Shown:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Shown

    return Shown(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=screen.messages(),
        transient=True,
    )


def _count(progress: Progress) -> str:
    """Return how much is done of how much, as people read it."""
    if progress.unit == _BYTES:
        return f"{sized(progress.done)} of {sized(progress.total)}"
    return f"{progress.done:,}/{progress.total:,}"
