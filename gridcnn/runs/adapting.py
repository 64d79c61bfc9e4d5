"""Many things become grids: by several threads, and once for all runs where it takes long."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from gridcnn import spreading
from gridcnn.caches import homely, key_of
from gridcnn.contracts.adapter import Adapted, Adapter, Things, can_be_forked, pick
from gridcnn.cores import usable_cores, usable_memory
from gridcnn.errors import DataError, Problem, UserError, printable, sized
from gridcnn.grid import Grids
from gridcnn.gridding import Chunk, collect, is_heavy
from gridcnn.progress import Advance, Counter
from gridcnn.runs.contents import Digests, digests_of, identity_of, join_digests
from gridcnn.runs.grids_cache import (
    SIZE,
    GridsCache,
    Kept,
    MixedError,
    digest_of,
    fitted_cache,
    grids_cache,
)
from gridcnn.spreading import spread

WORTH = 1.0
"""Seconds: work that takes less is done again each time, which costs less than a look into the
cache."""
_IN_MEMORY = 2**30  # bytes: grids that are larger stay on disk, and so do those ...
_PART_OF_MEMORY = 4  # ... that would take more than this part of what is usable
_TRIED = 17  # things, by which it is known how long others take
_ENOUGH = 0.05  # seconds of trying
_LONG = 0.005  # seconds for a thing, of which the trial is not repeated
_CHUNK_BYTES = 2_000_000  # several chunks are in memory at a time
_MOST = 4096  # things in a chunk


@dataclass(frozen=True)
class Made(Adapted):
    """The grids of many items, and their digest if it is known."""

    known: str = ""

    @property
    def digest(self) -> str:
        """The digest of the grids' content, in hexadecimal."""
        return self.known or digest_of(self.grids.values)


@dataclass(frozen=True)
class Parts:
    """The grids of the items in each part, and all problems together.

    The indices in `kept` count within the part.
    """

    made: Mapping[str, Made]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Cost:
    """What one thing takes on average: seconds, and bytes of its grid."""

    seconds: float
    size: float


class Adapting:
    """Turns the items of a data set into grids.

    Args:
        things: all things of the data set.
        names: what problems call each of them.
        threads: the most threads to work with; None: as many as this process may use.
        advance: is called with the progress.
        find_digests: returns the digests of all things, given whether a text is the path of a file;
            None: their content is read for it.

    Attributes:
        told: from where grids were read, or where they are kept, in a few words; empty if neither.
    """

    def __init__(
        self,
        things: Things,
        names: Sequence[str],
        *,
        threads: int | None = None,
        advance: Advance | None = None,
        find_digests: Callable[[bool], Digests | None] | None = None,
    ) -> None:
        self.things = things
        self.names = names
        self.told = ""
        self._workers = threads or usable_cores()
        self._advance = advance
        self._find_digests = find_digests or self._read_digests
        self._digests: dict[bool, Digests | None] = {}
        self._tried: dict[int, Adapted] = {}
        """The grids of the sample, by index, if items take long."""

    def fitted(self, adapter: Adapter, training: NDArray[np.int64]) -> Adapter:
        """Return the adapter fitted on the training items; from the cache if it is there.

        Raises:
            DataError: there is nothing to learn from.
        """
        things = pick(self.things, training)
        cache = fitted_cache()
        # What learns nothing, and what learns from arrays, is quicker than any look on disk.
        quick = type(adapter).fitted is Adapter.fitted or not len(things)
        if quick or cache.folder is None or not isinstance(things[0], str | os.PathLike | bytes):
            return adapter.fitted(things)
        key = self._key("fitted", adapter, training)
        kept = None if key is None else cache.get(key)
        fitted_adapter = None if kept is None else _validate(adapter, kept)
        if fitted_adapter is not None:
            return fitted_adapter
        start = time.perf_counter()
        fitted = adapter.fitted(things)
        if key is not None and time.perf_counter() - start >= WORTH / 4:
            content = fitted.model_dump_json().encode("utf-8", "surrogatepass")
            if _validate(fitted, content) == fitted:
                cache.put(key, content)
        return fitted

    def parts(
        self,
        adapter: Adapter,
        chosen: Mapping[str, NDArray[np.int64]],
        *,
        what: str = "reading items",
    ) -> Parts:
        """Return the grids of the items in each part, given by their indices.

        If adapting takes long, grids are kept on disk, and read from there the next time; if they
        are large, they stay there, and are read through a memory map.

        Raises:
            DataError: the grids fit neither into memory nor on disk, or the adapter refuses all
                things at once.
        """
        every = np.unique(np.concatenate([np.zeros(0, np.int64), *chosen.values()]))
        count = len(every)
        cost = self._cost(adapter, every)
        counter = Counter(self._advance, what, sum(map(len, chosen.values())))
        size, usable = int(cost.size * count), usable_memory()
        fits = usable is None or size <= usable
        if cost.seconds * count >= WORTH or not fits:
            limits = (_IN_MEMORY, *([] if usable is None else [usable // _PART_OF_MEMORY]))
            light = size <= min(limits)
            from_cache = self._through_cache(adapter, every, chosen, cost, counter, light=light)
            if from_cache is not None:
                return from_cache
        if not fits:
            assert usable is not None
            raise DataError(
                f"the grids of {count:,} items take {sized(size)}, and {sized(usable)} of memory "
                f"are usable here; {self._why_not_kept(size)}"
            )
        counter.restart()
        return _together(
            {name: self._in_memory(adapter, part, cost, counter) for name, part in chosen.items()}
        )

    # What a thing takes --------------------------------------------------------------------------

    def _cost(self, adapter: Adapter, every: NDArray[np.int64]) -> _Cost:
        """Return the time and memory per item, measured on a sample from all over the data."""
        tried = every[np.linspace(0, len(every) - 1, min(_TRIED, len(every))).astype(np.int64)]
        seconds, size = 0.0, 4.0 * adapter.shape().cells
        self._tried = {}
        if not len(tried):
            return _Cost(seconds, size)

        def measure(numbers: range) -> tuple[Adapted, float]:
            start = time.perf_counter()
            found = self._adapt(adapter, tried[numbers.start : numbers.stop])
            return found, (time.perf_counter() - start) / len(numbers)

        # The first ones load libraries, and count only if there are no others. One alone takes
        # longer than each of several together. Heavy ones are tried at the same time.
        threads = self._workers if adapter.threads else 1
        heavy = is_heavy(self.things[tried[0]])
        count = min(len(tried), 2 * threads)
        first = list(spread(measure, count, threads, heavy=heavy, most=1))
        others = first[threads:] or first[-1:]
        seconds = sum(took for _, took in others) / len(others)
        if seconds >= _LONG:
            for index, (found, _) in zip(tried.tolist(), first, strict=False):
                self._tried[index] = found
        found, spent = first[-1][0], seconds
        for group in (range(count, min(count + 3, len(tried))), range(count + 3, len(tried))):
            if not group or spent > _ENOUGH or seconds >= _LONG:
                break
            found, seconds = measure(group)
            spent += seconds * len(group)
        grids = found.grids.values
        return _Cost(seconds, grids.nbytes / len(grids) if len(grids) else size)

    def _adapt(self, adapter: Adapter, group: NDArray[np.int64]) -> Adapted:
        """Return the grids of some items."""
        return adapter.adapt_all(pick(self.things, group), names=self._names(group))

    # Grids in memory -----------------------------------------------------------------------------

    def _in_memory(
        self, adapter: Adapter, part: NDArray[np.int64], cost: _Cost, counter: Counter
    ) -> Made:
        if len(part) and (self._tried or self._spreads(adapter, cost)):
            adapted = collect(self._chunks(adapter, part, cost, counter), len(part))
            if adapted is not None:
                return Made(adapted.grids, adapted.kept, adapted.problems)
        adapted_part = adapter.adapt_all(
            pick(self.things, part), names=self._names(part), advance=counter.add
        )
        return Made(adapted_part.grids, adapted_part.kept, adapted_part.problems)

    def _spreads(self, adapter: Adapter, cost: _Cost) -> bool:
        """Return whether several threads may be faster than one."""
        return adapter.threads and self._workers > 1 and cost.seconds >= spreading.SLOW

    def _names(self, part: NDArray[np.int64]) -> list[str]:
        return [self.names[index] for index in part]

    def _chunks(
        self, adapter: Adapter, part: NDArray[np.int64], cost: _Cost, counter: Counter
    ) -> Generator[Chunk, None, None]:
        """Yield the grids of the items in a part, some at a time, in order."""
        most = max(1, int(min(_CHUNK_BYTES / max(cost.size, 1.0), _MOST)))
        # Those of the sample take no time. Alone in a group, they would look as if all were quick.
        others = [place for place, index in enumerate(part.tolist()) if index not in self._tried]
        starts = [0, *others[1:], len(part)]

        def work(numbers: range) -> Chunk:
            group = part[starts[numbers.start] : starts[numbers.stop]]
            return len(group), self._adapted(adapter, group)

        threads = self._workers if self._spreads(adapter, cost) else 1
        count = max(1, len(others))
        processes = adapter.processes and can_be_forked(self.things)
        chunks = spread(work, count, threads, seconds=cost.seconds, most=most, processes=processes)
        for chunk in chunks:
            counter.add(chunk[0])
            yield chunk

    def _adapted(self, adapter: Adapter, group: NDArray[np.int64]) -> Adapted:
        """Return the grids of some items; those of the sample are not made again."""
        tried = [place for place, index in enumerate(group.tolist()) if index in self._tried]
        if tried:
            pieces: list[Chunk] = []
            start = 0
            for place in [*tried, len(group)]:
                if place > start:
                    between = group[start:place]
                    pieces.append((len(between), self._adapt(adapter, between)))
                if place < len(group):
                    pieces.append((1, self._tried[int(group[place])]))
                start = place + 1
            joined = collect(iter(pieces), len(group))
            if joined is not None:
                return joined
        return self._adapt(adapter, group)

    # Grids on disk -------------------------------------------------------------------------------

    def _through_cache(
        self,
        adapter: Adapter,
        every: NDArray[np.int64],
        chosen: Mapping[str, NDArray[np.int64]],
        cost: _Cost,
        counter: Counter,
        *,
        light: bool,
    ) -> Parts | None:
        """Return the grids of the items, through the cache; None if the cache cannot be used.

        `light` grids are kept once for all parts, so that the data may be divided in another way,
        and are read into memory. Others are kept part by part, and stay on disk.
        """
        cache = grids_cache()
        if not adapter.repeatable or not cache.has_room(int(cost.size * len(every))):
            return None
        if not light:
            by_part = {}
            for name, part in chosen.items():
                made = self._through_disk(cache, adapter, part, cost, counter)
                if made is None:
                    return None
                by_part[name] = made
            return _together(by_part)
        whole = self._through_disk(cache, adapter, every, cost, counter)
        if whole is None:
            return None
        taken = {name: _take(whole, every, part) for name, part in chosen.items()}
        return Parts(taken, whole.problems)

    def _through_disk(
        self,
        cache: GridsCache,
        adapter: Adapter,
        part: NDArray[np.int64],
        cost: _Cost,
        counter: Counter,
    ) -> Made | None:
        """Return the grids of the items in a part, through the cache; None if they cannot be kept.

        Problems are never kept: bad items are read again each time, since what was wrong with them
        may be corrected.
        """
        if not len(part):
            return self._in_memory(adapter, part, cost, counter)
        key = self._key("grids", adapter, part)
        if key is None:
            return None
        shape = adapter.shape()
        kept = cache.get(key, things=len(part), shape=shape)
        found = None if kept is None else self._with_problems(adapter, part, kept)
        if found is not None:
            counter.add(len(part))
            self._tell(f"from the cache, {sized(_length(found))}")
            return found
        size = int(cost.size * len(part))
        try:
            # Closed at once where it is stopped half-way, and with it the threads.
            with contextlib.closing(self._chunks(adapter, part, cost, counter)) as chunks:
                cache.put(key, chunks, things=len(part), size=size)
        except MixedError:
            return None
        except OSError as error:
            self._tell(f"not kept for the next time: {error.strerror or error}")
            return None
        kept = cache.get(key, things=len(part), shape=shape)
        found = None if kept is None else self._with_problems(adapter, part, kept)
        if found is not None:
            self._tell(f"kept for the next time, {sized(_length(found))} in {homely(cache.folder)}")
        return found

    def _with_problems(self, adapter: Adapter, part: NDArray[np.int64], kept: Kept) -> Made | None:
        """Return grids with the problems of all other items; None if one has none."""
        bad = part[~kept.made]
        problems: tuple[Problem, ...] = ()
        if len(bad):
            again = adapter.adapt_all(pick(self.things, bad), names=self._names(bad))
            if len(again.kept):
                return None
            problems = again.problems
        grids = Grids(kept.grids, adapter.shape())
        return Made(grids, np.flatnonzero(kept.made), problems, kept.digest)

    def _key(self, kind: str, adapter: Adapter, part: NDArray[np.int64]) -> str | None:
        """Return the key of an adapter's grids for some items; None if there is none for them."""
        identity = identity_of(adapter)
        if identity is None:
            return None
        digests = self.digests(files=bool(adapter.suffixes))
        return None if digests is None else key_of(kind, identity, join_digests(digests[part]))

    def digests(self, *, files: bool) -> Digests | None:
        """Return a digest of each thing; None if one has none.

        `files` says whether a text is the path of a file.
        """
        if files not in self._digests:
            self._digests[files] = self._find_digests(files)
        return self._digests[files]

    def _read_digests(self, files: bool) -> Digests | None:
        counter = Counter(self._advance, "looking for changes", len(self.things))
        return digests_of(self.things, files=files, threads=self._workers, advance=counter.add)

    def _tell(self, text: str) -> None:
        self.told = self.told or printable(text)

    def _why_not_kept(self, size: int) -> str:
        """Return what to do if grids are too large for memory, and cannot be kept on disk."""
        cache = grids_cache()
        if cache.folder is None:
            return "allow them to be kept on disk: unset GRIDCNN_CACHE, or set it to a folder"
        if not cache.has_room(size):
            return (
                f"on disk, {sized(cache.limit)} are allowed; set {SIZE} to more, or GRIDCNN_CACHE "
                "to a folder with more room"
            )
        unknown = "not kept on disk: it is not known whether they will be the same the next time"
        why = self.told or unknown
        return f"they are {why}; use less data at a time, or smaller grids"


def _together(made: Mapping[str, Made]) -> Parts:
    return Parts(made, tuple(problem for each in made.values() for problem in each.problems))


def _take(whole: Made, every: NDArray[np.int64], part: NDArray[np.int64]) -> Made:
    """Return the grids of a part of all items, without problems, in memory.

    `every` are the indices of all things, ascending.
    """
    place = np.full(len(every), -1)
    place[whole.kept] = np.arange(len(whole.kept))
    wanted = place[np.searchsorted(every, part)]
    grids = Grids(whole.grids.values[wanted[wanted >= 0]], whole.grids.shape)
    return Made(grids, np.flatnonzero(wanted >= 0), ())


def _validate(adapter: Adapter, content: bytes) -> Adapter | None:
    """Return the fitted form of `adapter`, with the settings in a text.

    None if these are not valid settings, are those of another adapter, or are not complete.
    """
    try:
        fitted_adapter = type(adapter).model_validate_json(content)
        fitted_adapter.shape()
    except (ValidationError, UserError, ValueError):
        return None
    settings = (
        (getattr(adapter, name), getattr(fitted_adapter, name)) for name in adapter.setting_names()
    )
    # What is to be learned is null or auto before.
    same = all(given in (None, "auto") or given == kept for given, kept in settings)
    return fitted_adapter if same else None


def _length(made: Made) -> int:
    return made.grids.values.nbytes
