"""The run folder: held by one process, its files written whole, and what a resumed run needs."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from pydantic_core import PydanticSerializationError

from gridcnn.engines.base import DEFAULT_ENGINE
from gridcnn.errors import (
    ColumnPermutableError,
    RunFolderError,
    StopTraining,
    TrainingInterrupted,
    UserError,
)
from gridcnn.files import as_path, json_text, read_json, table_text, write_text
from gridcnn.model import CHECKPOINT, FILE_NAME, METRICS, Model, write_model
from gridcnn.order.guard import Checked
from gridcnn.outputs import refuse_file
from gridcnn.runs import lock
from gridcnn.spec.models import Spec
from gridcnn.spec.write import to_yaml
from gridcnn.training.loop import Epoch

Made = TypeVar("Made")

SPEC, HISTORY = "spec.yaml", "history.csv"
PREDICTIONS, SKIPPED = "predictions.csv", "skipped.csv"
REPORT, REPORTED = "report.html", "report.json"
"""The page about a run, and what it shows beside the other files."""
CHECK = "check.json"
"""The checkers' verdicts: a resumed run does not check again."""
FOLDS, REPEATS = "folds.json", "repeats.json"
"""What a cross-validation, and what a repetition needs to resume."""
Function = Literal["run", "cross_validate", "repeat"]
_SEVERAL: dict[str, Function] = {FOLDS: "cross_validate", REPEATS: "repeat"}
_TITLES: dict[Function, str] = {
    "run": "run",
    "cross_validate": "cross-validation",
    "repeat": "repetition",
}
_BEGUN = frozenset({lock.NAME, CHECK, *_SEVERAL})
"""Files that may be there before the spec, and are useless without it."""
_TRIES = 100
"""How many times a folder is made again if another process removes it at the same moment."""


@dataclass(frozen=True)
class Way:
    """How a stopped run is continued.

    Attributes:
        function: the name of the function of gridcnn.
        engine: the engine that it was started with.
        in_memory: whether its data was given in memory.
        spread: the cluster whose workers read the data; empty if they do not.
    """

    function: Function
    engine: str = DEFAULT_ENGINE
    in_memory: bool = False
    spread: str = ""

    @property
    def title(self) -> str:
        """The name of this kind of run in messages."""
        return _TITLES[self.function]

    def describe(self, folder: Path) -> str:
        """Return what to do to continue in `folder`."""
        other = self.engine != DEFAULT_ENGINE
        if self.in_memory:
            named = f", engine={self.engine!r}" if other else ""
            if self.spread:
                named += f", cluster={self.spread!r}, spread_data=True"
            where = f"resume={str(folder)!r}, data=...{named}"
            return f"continue with: gridcnn.{self.function}({where})"
        words = ["gridcnn", "run", "--resume", str(folder)]
        words += ["--engine", self.engine] * other
        words += ["--cluster", self.spread, "--spread-data"] * bool(self.spread)
        return f"continue with: {_line(words)}"


class RunFolder:
    """The folder of a run, locked by this process.

    At the end of `with` it is released; a new folder without anything worth keeping is then
    removed. Made by `claim`, `reopen` and `part`.

    Attributes:
        path: where it is.
        is_new: whether a run starts in it, rather than continues.
    """

    def __init__(
        self, path: Path, way: Way, *, whole: Path | None = None, made: Sequence[Path] = ()
    ) -> None:
        self.path = path
        self._way = way
        self._whole = whole or path
        self._make = made
        try:
            self._lock = lock.acquire(path)
        except BaseException:
            _unmake(made)
            raise
        self.is_new = not (path / SPEC).is_file()

    @classmethod
    def claim(cls, name: str, out: str | os.PathLike[str] | None, way: Way) -> Self:
        """Make the folder of a new run: `out`, or the next `runs/<name>/<number>`.

        Raises:
            RunFolderError: `out` holds something already, another run is in it, or no folder can be
                made there.
        """
        try:
            return _retry(lambda: cls._claim_next(name, way) if out is None else cls._at(out, way))
        except OSError as error:
            place = error.filename or out or Path("runs") / name
            raise RunFolderError(
                f"{place}: no run folder can be made there: {error.strerror or error}"
            ) from None

    @classmethod
    def _at(cls, out: str | os.PathLike[str], way: Way) -> Self:
        path = as_path(out, "a run folder")
        if not lock.is_ours(path / lock.NAME):
            refuse_used(path)  # before anything is written to a folder that is not ours
        new_folders = _make(path)
        folder = cls(path, way, made=new_folders)
        try:
            refuse_used(path)
        except RunFolderError:
            folder._lock.release(keep=is_unfinished(path))
            raise
        folder.is_new = True
        folder._sweep(_BEGUN - {lock.NAME})
        return folder

    @classmethod
    def _claim_next(cls, name: str, way: Way) -> Self:
        parent = Path("runs") / name
        new_folders = _make(parent)
        while True:
            numbers = [int(each.name) for each in parent.iterdir() if each.name.isdecimal()]
            path = parent / str(max(numbers, default=0) + 1)
            try:
                path.mkdir()  # two runs that start at once cannot both make it
                return cls(path, way, made=[*new_folders, path])
            except (FileExistsError, RunFolderError):
                continue

    @classmethod
    def reopen(cls, path: Path, way: Way) -> Self:
        """Return the folder of a run to continue.

        Raises:
            RunFolderError: there is no run, it is in use, or it cannot be written to.
        """
        if not (is_unfinished(path) or (path / METRICS).is_file()) or not (path / SPEC).is_file():
            raise RunFolderError(_no_run(path))
        try:
            folder = cls(path, way)
        except OSError as error:
            raise RunFolderError(
                f"{path}: results cannot be written there: {error.strerror or error}"
            ) from None
        folder._sweep()
        return folder

    def part(self, name: str) -> RunFolder:
        """Return a folder inside for one run of several; new, or with what that run has written.

        Raises:
            RunFolderError: another process is in it.
        """
        with self.writing():
            return RunFolder.part_of(self._whole, self.path / name, self._way)

    @classmethod
    def part_of(cls, whole: Path, path: Path, way: Way) -> RunFolder:
        """Return the folder of one run of those in `whole`, for a process that does that run.

        Raises:
            RunFolderError: another process is in it.
            OSError: nothing can be written there.
        """
        folder = cls(path, way, whole=whole, made=_make(path))
        folder._sweep(_BEGUN - {lock.NAME} if folder.is_new else ())
        if folder.has_ended:  # a kill may have come before this was done
            folder.checkpoint.unlink(missing_ok=True)
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._lock.is_held:  # in a forked child, which leaves all to its parent
            return
        if error is not None and self._is_worthless(error):
            self._remove()
        else:
            self._lock.release(keep=not self.has_ended)

    # What is there

    @property
    def way(self) -> Way:
        """How it is continued after it was stopped."""
        return self._way

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended."""
        return (self.path / METRICS).is_file()

    @property
    def function(self) -> Function:
        """The name of the function of gridcnn that works in such a folder."""
        return function_of(self.path)

    @property
    def checkpoint(self) -> Path:
        """The file from which training continues; it may be missing."""
        return self.path / CHECKPOINT

    def read_check(self) -> Checked | None:
        """Return the checkers' verdicts; None if they are not known, or damaged."""
        return read_check(self.path)

    # Writing

    def begin(self, spec: Spec, more: Mapping[str, Mapping[str, Any]]) -> None:
        """Write first `more` JSON files, by their names, and then the resolved spec."""
        with self.writing():
            for name, content in more.items():
                write_json(self.path / name, content)
            write_text(self.path / SPEC, to_yaml(spec))

    def go_on(self, spec: Spec) -> None:
        """Write the spec if it has changed, and mark a run that has ended as unfinished again.

        Its best weights are in the checkpoint, so nothing is lost.
        """
        text = to_yaml(spec)
        with self.writing():
            if text != (self.path / SPEC).read_text(encoding="utf-8"):
                write_text(self.path / SPEC, text)
            for name in (METRICS, PREDICTIONS, SKIPPED, FILE_NAME, REPORT, REPORTED):
                (self.path / name).unlink(missing_ok=True)

    def write_history(self, history: Iterable[Epoch]) -> None:
        """Write `history.csv`, a line for each epoch."""
        names = [field.name for field in dataclasses.fields(Epoch)]
        self.write_table(HISTORY, names, (dataclasses.astuple(epoch) for epoch in history))

    def write_table(self, name: str, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
        """Write a CSV file."""
        with self.writing():
            write_table(self.path / name, header, rows)

    def write_model(self, model: Model) -> None:
        """Write the model file."""
        with self.writing():
            write_model(model, self.path / FILE_NAME)

    def end(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics.json`, which marks the run as ended."""
        with self.writing():
            write_json(self.path / METRICS, metrics)
            if self._whole != self.path:  # one of several never goes on by itself
                self.checkpoint.unlink(missing_ok=True)
        self._sweep()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn errors of writing results (such as a full disk) into `RunFolderError`."""
        try:
            yield
        except OSError as error:
            hint = f"; once that is fixed, {self.hint}" if self._is_kept else ""
            raise RunFolderError(
                f"{self.path}: results cannot be written there: {error.strerror or error}{hint}"
            ) from error

    # Stopping

    @property
    def hint(self) -> str:
        """What to do to continue."""
        return self._way.describe(self._whole)

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Turn Ctrl-C into `TrainingInterrupted`, which says how to continue.

        `StopTraining` is treated the same before the end of the first epoch.
        """
        try:
            yield
        except BaseException as error:
            if not _is_stop(error):
                raise
            if not (self._whole / SPEC).is_file():
                message = "stopped before training; nothing was written"
                raise TrainingInterrupted(message) from None
            lines = [f"stopped; {self.hint}"]
            if self.checkpoint.is_file() and self._whole == self.path:
                model = _line(["gridcnn", "predict", str(self.path), "FILE"])
                lines.append(f"or use the best weights so far: {model}")
            raise TrainingInterrupted("\n".join(lines), folder=self._whole) from None

    # Leaving

    @property
    def _is_kept(self) -> bool:
        return self.checkpoint.is_file() or self.function != "run"

    def _is_worthless(self, error: BaseException) -> bool:
        """Return whether a new run has written only the files that every run starts with."""
        if not self.is_new or not self.path.is_dir():
            return False
        held = {each.name for each in self.path.iterdir()}
        is_refused = isinstance(error, UserError | ColumnPermutableError)
        return {each for each in held if not _is_partial(each)} <= (
            _BEGUN | {SPEC} if is_refused else _BEGUN
        )

    def _remove(self) -> None:
        self._sweep({SPEC, *_BEGUN} - {lock.NAME})
        self._lock.release(keep=False)
        _unmake(self._make)

    def _sweep(self, names: Iterable[str] = ()) -> None:
        """Remove files of these names, and half-written files of a killed run."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)
        for left in self.path.iterdir():
            if _is_partial(left.name):
                left.unlink(missing_ok=True)


def _is_stop(error: BaseException) -> bool:
    """Return whether training was stopped; pydantic makes an error of its own of Ctrl-C."""
    if isinstance(error, KeyboardInterrupt | StopTraining):
        return True
    return isinstance(error, PydanticSerializationError) and "KeyboardInterrupt" in str(error)


def function_of(folder: Path) -> Function:
    """Return the name of the function of gridcnn that works in a folder, or will."""
    marks = (function for mark, function in _SEVERAL.items() if (folder / mark).is_file())
    return next(marks, "run")


def title_of(folder: Path) -> str:
    """Return the name of the kind of run in a folder in messages."""
    return _TITLES[function_of(folder)]


def refuse_used(folder: Path) -> None:
    """Raise `RunFolderError` if `folder` is a file, holds something, or cannot be read.

    The lock file of a run that was killed before it wrote anything does not count.
    """
    try:
        refuse_file(folder)
        held = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
        if lock.is_ours(folder / lock.NAME):
            held = [name for name in held if name not in _BEGUN and not _is_partial(name)]
    except OSError as error:
        raise RunFolderError(
            f"{folder}: no run folder can be made there: {error.strerror or error}"
        ) from None
    if {SPEC, METRICS} <= set(held):
        raise RunFolderError(f"{folder} holds a finished run; give a folder that is new or empty")
    if held:
        more = f" and {len(held) - 1} more" if held[1:] else ""
        hint = f", or continue its run: {_line(['gridcnn', 'run', '--resume', str(folder)])}"
        raise RunFolderError(
            f"{folder} is not empty (it holds {held[0]}{more}); give a folder that is new or empty"
            f"{hint if is_unfinished(folder) else ''}"
        )


def read_check(folder: Path) -> Checked | None:
    """Return the checkers' verdicts of a run; None if they are not known, or damaged."""
    try:
        return Checked.from_json(read_json(folder / CHECK))
    except (OSError, ValueError):
        return None


def is_unfinished(folder: Path) -> bool:
    """Return whether a folder holds a run that was started and has not ended."""
    if (folder / METRICS).is_file() or not (folder / SPEC).is_file():
        return False
    marks = (CHECKPOINT, *_SEVERAL)
    return any((folder / name).is_file() for name in marks) or lock.is_ours(folder / lock.NAME)


def no_finished_run(folder: Path) -> str:
    """Return why there are no results of a run in a folder, and what to name or to do instead."""
    if is_unfinished(folder):
        return (
            f"the run in {folder} has not ended, and has no results yet; continue it with: "
            f"gridcnn run --resume {folder}"
        )
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        return f"{folder} {what}; name a run folder, such as runs/xo/1"
    for pattern in (f"*/{METRICS}", f"*/*/{METRICS}"):
        if runs := sorted(path.parent for path in folder.glob(pattern)):
            return f"{folder} holds no run itself; name one of those in it, such as {runs[0]}"
    return f"{folder} holds no run ({METRICS} is missing); name a run folder, such as runs/xo/1"


def _no_run(folder: Path) -> str:
    """Return why there is no run to continue in a folder."""
    if (folder / SPEC).is_file():
        return (
            f"{folder} holds a spec, and no run to continue; run it with: "
            f"{_line(['gridcnn', 'run', str(folder)])}"
        )
    if lock.is_ours(folder / lock.NAME):
        return (
            f"{folder} holds no run: it was stopped before anything was written; run its spec "
            f"again, with --out {folder}"
        )
    return f"{folder} holds no run to continue ({SPEC} is missing)"


def _is_partial(name: str) -> bool:
    """Return whether a file is a half-written one; see `gridcnn.files`."""
    return name.startswith(".") and name.endswith(".part")


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those that were missing."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _unmake(made: Sequence[Path]) -> None:
    """Remove folders that were made, unless another run uses them by now."""
    with contextlib.suppress(OSError):
        for folder in reversed(made):
            folder.rmdir()


def _retry(make: Callable[[], Made]) -> Made:
    """Return the result of `make`, called again if another process removes a folder meanwhile."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            return make()
    return make()


def _line(words: Sequence[str]) -> str:
    """Return words as a line for the shell at hand."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file, whole or not at all."""
    write_text(path, table_text([header, *rows]))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json_text(content) + "\n")
