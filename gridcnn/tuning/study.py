"""The study that processes share: Optuna's, in a file without a server or in any of its storages.

A file takes one line for each event. It is locked by the operating system, so that a process that
is killed leaves no lock behind; a line that it left half-written is removed.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from gridcnn.errors import RunFolderError, UserError
from gridcnn.files import open_ordinary
from gridcnn.streams import Stream
from gridcnn.tuning.space import Dimension, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

Pruner = Literal["median", "hyperband", "none"]
PRUNERS: tuple[Pruner, ...] = ("median", "hyperband", "none")
_FIRST_TRIALS = 8
"""Trials that are spread evenly, from which the sampler then learns."""
_UNPRUNED = 3
"""Trials that end before the median of others gives one up."""
_EVENLY = 2**32
"""Distinguishes what spreads the first trials from the numbers of trials."""
_SIGNIFICANT = 4
"""Digits of a number between the ends of a range: no result depends on more of them."""


def need_optuna() -> ModuleType:
    """Return Optuna; raise `UserError` if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UserError(
            "a search needs Optuna, which is not installed: python -m pip install 'gridcnn[tune]'"
        ) from None
    return optuna


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence Optuna's warnings about parts of it that may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_study(
    name: str,
    storage: str | os.PathLike[str],
    *,
    higher: bool,
    sampler: BaseSampler,
    pruner: Pruner,
    epochs: int,
) -> Study:
    """Return the study of a name, made if it is not there yet.

    Args:
        name: other searches in the same storage have other names.
        storage: a URL that Optuna knows, with `://`; or a file, for its journal.
        higher: whether higher results are better.
        sampler: chooses values.
        pruner: which trials are given up; see `make_pruner`.
        epochs: the largest number of epochs of a trial.

    Raises:
        RunFolderError: the storage cannot be opened.
    """
    optuna = need_optuna()
    place = os.fspath(storage)
    optuna.logging.get_verbosity()  # sets up its logging, which is quieted while a study is made
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with _without_warnings():
            study: Study = optuna.create_study(
                storage=_open_storage(place),
                study_name=name,
                direction="maximize" if higher else "minimize",
                load_if_exists=True,
                sampler=sampler,
                pruner=make_pruner(pruner, epochs),
            )
    except UserError:
        raise
    except ImportError as error:  # the driver of a database
        raise RunFolderError(f"{place}: the storage needs another package: {error}") from None
    except Exception as error:  # whatever a database, or a damaged journal, may raise
        reason = " ".join(str(error).split())[:200]
        raise RunFolderError(
            f"{place}: the study cannot be opened there: {reason or type(error).__name__}"
        ) from None
    finally:
        optuna.logging.set_verbosity(before)
    return study


def _open_storage(place: str) -> BaseStorage | str:
    if "://" in place:
        return place
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = Path(place)
    try:
        _refuse_other_file(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _FileLock(path)
        with lock:
            if path.exists():
                _remove_torn_line(path)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type]
    except UserError:
        raise
    except (OSError, ValueError) as error:  # a NUL in a name is a ValueError
        error = error if isinstance(error, OSError) else OSError(str(error))
        raise RunFolderError(
            f"{path}: the study cannot be kept there: {error.strerror or error}"
        ) from None


def _remove_torn_line(path: Path) -> None:
    """Remove what a process that was killed, or a full disk, has left of a last line."""
    with path.open("rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def _refuse_other_file(path: Path) -> None:
    """Raise `RunFolderError` if there is something that is not a journal."""
    if not path.exists():
        return
    with open_ordinary(path) as file:
        begins = file.read(1)
    if begins not in (b"", b"{"):
        raise RunFolderError(f"{path} is not the file of a study; name another one")


class _FileLock:
    """The lock of a journal, held by the operating system: it ends with its process."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        _lock(self._descriptor)
        return True

    def release(self) -> None:
        """Release it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt
    import time

    def _lock(descriptor: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return
            time.sleep(0.01)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


# What is tried, and what is given up --------------------------------------------------------------


def make_pruner(kind: Pruner, epochs: int) -> BasePruner:
    """Return the rule that stops trials early by their validation curve.

    `median`: a trial whose best result so far is worse than the median of the trials before it
    after as many epochs. `hyperband`: successive halving in several brackets (Li et al., 2018).
    Neither before a third of the epochs, at least two, nor `median` among the first three trials.
    """
    from optuna import pruners

    if kind == "none":
        return pruners.NopPruner()
    first = max(2, epochs // 3)
    if kind == "hyperband":
        return pruners.HyperbandPruner(min_resource=first, max_resource=max(epochs, first))
    return pruners.MedianPruner(n_startup_trials=_UNPRUNED, n_warmup_steps=first)


def make_sampler(seed: int, first: Mapping[str, Value] | None = None) -> BaseSampler:
    """Return what chooses the values of each trial: Optuna's TPE, made again for each.

    The first eight trials are spread evenly over the values of each setting: a Latin hypercube
    (McKay, Beckman and Conover, 1979). TPE (Bergstra et al., 2011) learns from these.

    The values of a trial depend on the seed, on how many trials there were before it and on their
    results. So one process that is stopped goes on to the trials that it would have made without.

    Args:
        seed: of the search.
        first: the values of the first trial; None: drawn as well.
    """
    from optuna.samplers import BaseSampler, TPESampler

    class Seeded(BaseSampler):
        """Hands each trial to a sampler with a seed of its own."""

        def __init__(self) -> None:
            self._of: tuple[int, BaseSampler] | None = None

        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
            if place_of(study, trial.number) < _FIRST_TRIALS:
                return {}
            return self.of(study, trial).infer_relative_search_space(study, trial)

        def sample_relative(
            self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]
        ) -> dict[str, Any]:
            if not search_space:
                return {}
            values = self.of(study, trial).sample_relative(study, trial, search_space)
            return {name: _round_to(search_space[name], value) for name, value in values.items()}

        def sample_independent(
            self,
            study: Study,
            trial: FrozenTrial,
            param_name: str,
            param_distribution: BaseDistribution,
        ) -> Any:
            place = place_of(study, trial.number)
            if place == 0 and first is not None:
                return first[param_name]
            if place < _FIRST_TRIALS:
                value = _value_at(param_distribution, _draw_evenly(seed, place, param_name))
            else:
                sampler = self.of(study, trial)
                value = sampler.sample_independent(study, trial, param_name, param_distribution)
            return _round_to(param_distribution, value)

        def of(self, study: Study, trial: FrozenTrial) -> BaseSampler:
            if self._of is None or self._of[0] != trial.number:
                place = place_of(study, trial.number)
                drawn = int(Stream.TUNING.random(seed, place).integers(2**31))
                with _without_warnings():
                    sampler = TPESampler(
                        n_startup_trials=min(_FIRST_TRIALS, place),
                        seed=drawn,
                        multivariate=True,
                        constant_liar=True,
                        warn_independent_sampling=False,
                    )
                self._of = trial.number, sampler
            return self._of[1]

    return Seeded()


def place_of(study: Study, number: int) -> int:
    """Return how many trials were made before the one of that number; lost ones do not count."""
    from optuna.trial import TrialState

    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return number - sum(each.number < number for each in failed)


def _draw_evenly(seed: int, place: int, name: str) -> float:
    """Return a number from 0 to below 1 for one of the first trials.

    Each eighth of that range has one of them, in an order that differs from setting to setting.
    """
    random = Stream.TUNING.random(seed, _EVENLY, zlib.crc32(name.encode("utf-8", "replace")))
    order, within = random.permutation(_FIRST_TRIALS), random.random(_FIRST_TRIALS)
    return float((order[place] + within[place]) / _FIRST_TRIALS)


def _value_at(distribution: BaseDistribution, part: float) -> Any:
    """Return the value with so large a part of a distribution below it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(part * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if isinstance(distribution, FloatDistribution):
        return low * (high / low) ** part if distribution.log else low + part * (high - low)
    if distribution.log:
        low, high = low - 0.5, high + 0.5
        value = round(low * (high / low) ** part)
        return min(max(value, distribution.low), distribution.high)
    step = distribution.step
    return low + step * int(part * ((high - low) // step + 1))


def _round_to(distribution: BaseDistribution, value: Any) -> Any:
    """Return a drawn number with few digits, still within its range."""
    from optuna.distributions import FloatDistribution

    if not isinstance(distribution, FloatDistribution) or distribution.step is not None:
        return value
    rounded = float(f"{value:.{_SIGNIFICANT}g}")
    return min(max(rounded, distribution.low), distribution.high)


def suggest(trial: Trial, dimension: Dimension) -> Value:
    """Return the value of a dimension that the sampler chooses for a trial."""
    name = dimension.name
    if dimension.kind == "choose":
        return int(trial.suggest_categorical(name, list(range(len(dimension.labels)))))
    if dimension.kind == "optional":
        return bool(trial.suggest_categorical(name, [True, False]))
    log = dimension.kind == "log_range"
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.whole:
        return trial.suggest_int(
            name, int(low), _last(low, high, step or 1), step=int(step or 1), log=log
        )
    if step is None:
        return trial.suggest_float(name, low, high, log=log)
    number = trial.suggest_int(name, 0, math.floor((high - low) / step + 1e-9))
    return float(f"{low + number * step:.12g}")


def _last(low: float, high: float, step: float) -> int:
    """Return the last whole number of a range that its steps reach."""
    return int(low + (high - low) // step * step)


def value_of(dimension: Dimension, suggested: Any) -> Value:
    """Return the value of a dimension, from what Optuna has stored for it."""
    if dimension.step is not None and not dimension.whole:
        return float(f"{dimension.low + suggested * dimension.step:.12g}")
    return suggested  # type: ignore[no-any-return]
