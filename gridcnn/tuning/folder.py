"""The folder of a search: which search it is, and which processes work in it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcnn.errors import RunFolderError, UserError
from gridcnn.files import read_json
from gridcnn.outputs import refuse_file
from gridcnn.runs import lock
from gridcnn.runs.folder import write_json

if TYPE_CHECKING:
    from optuna.study import Study

SEARCH, JOURNAL = "tune.json", "study.journal"
BEST, TRIALS = "best.yaml", "trials.csv"
HISTORY, SETTINGS = "history.png", "settings.png"
_WORKERS = "workers"
WORKER = "worker"
"""The attribute of a trial that names the process that makes it."""
_MOST_WORKERS = 1_000
_DIFFERS = {
    "seed": "has another seed",
    "space": "searches other settings",
    "folds": "has other folds",
    "engine": "was started with another engine",
    "pruner": "has another pruner",
    "data": "has other items",
}


class TuneFolder:
    """The folder of a search, in which several processes may work.

    Args:
        path: where it is, or will be.

    Raises:
        RunFolderError: there is something that is not a search.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            names = sorted(each.name for each in path.iterdir()) if path.is_dir() else []
        except OSError as error:
            raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from None
        refuse_file(path)
        if names and SEARCH not in names and names != [_WORKERS]:
            raise RunFolderError(
                f"{path} is not empty, and holds no search (it holds {names[0]}); give a folder "
                "that is new or empty"
            )

    @contextlib.contextmanager
    def work(self, about: Mapping[str, Any]) -> Iterator[str]:
        """Join the search in the folder, or begin it; yield the name of this process in it.

        Raises:
            RunFolderError: it holds another search than the one that `about` describes, or cannot
                be written to.
        """
        with self.writing():
            missing = [each for each in (self.path, *self.path.parents) if not each.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            number, held = self._take_number()
        begins = False
        try:
            with self.writing():
                begins = self._begin(about)
            yield self._name(number)
        except UserError:
            if begins and not (self.path / TRIALS).exists():  # it has not come to a trial
                (self.path / SEARCH).unlink(missing_ok=True)
            raise
        finally:
            held.release(keep=False)
            workers = self.path / _WORKERS
            for folder in (workers / str(number), workers, *missing):
                with contextlib.suppress(OSError):  # something is in it
                    folder.rmdir()

    def _name(self, number: int) -> str:
        return f"{socket.gethostname()}:{self.path.resolve()}:{number}"

    def _take_number(self) -> tuple[int, lock.FolderLock]:
        for number in range(1, _MOST_WORKERS):
            folder = self.path / _WORKERS / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(RunFolderError, FileNotFoundError):
                return number, lock.acquire(folder)
        raise RunFolderError(f"{self.path} is in use by {_MOST_WORKERS:,} processes")

    def _begin(self, about: Mapping[str, Any]) -> bool:
        """Write which search it is, and return True; or raise if it is another one."""
        path = self.path / SEARCH
        if not path.is_file():
            write_json(path, about)
            return True
        try:
            known = read_json(path)
            assert isinstance(known, dict)
        except (ValueError, AssertionError) as error:
            raise RunFolderError(
                f"{path} is damaged: {error}; start over in a new folder"
            ) from None
        for key, what in _DIFFERS.items():
            if known.get(key) != about[key]:
                raise RunFolderError(
                    f"{self.path} holds another search, which {what}; search in another folder "
                    f"(--out), or delete this one"
                )
        return False

    def lose_trials(self, study: Study, own: str) -> None:
        """Mark the trials of processes that were killed as lost; `own` is this process."""
        from optuna.trial import TrialState

        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            worker = trial.user_attrs.get(WORKER, "")
            begins, _, number = worker.rpartition(":")
            if not number.isdecimal() or begins != self._name(0).rpartition(":")[0]:
                continue  # in another folder, or on another machine: nothing is known of it
            if worker == own or self._has_left(int(number)):
                # Another process may see the same at the same time.
                with contextlib.suppress(RuntimeError, ValueError):
                    study.tell(trial.number, state=TrialState.FAIL)

    def _has_left(self, number: int) -> bool:
        """Return whether no process has a number."""
        folder = self.path / _WORKERS / str(number)
        try:
            lock.acquire(folder).release(keep=False)
        except RunFolderError:
            return False
        except OSError:
            return True
        with contextlib.suppress(OSError):
            folder.rmdir()
        return True

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn errors of writing results (such as a full disk) into `RunFolderError`."""
        try:
            yield
        except OSError as error:
            raise RunFolderError(
                f"{self.path}: results cannot be written there: {error.strerror or error}"
            ) from error
