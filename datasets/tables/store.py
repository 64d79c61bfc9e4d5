"""The content of tables: in memory, or in a temporary file if memory is too small."""

from __future__ import annotations

import errno
import mmap
import shutil
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

from gridcnn.cores import usable_memory
from gridcnn.errors import DataError, Problem, sized

_PART_OF_MEMORY = 4  # what is read may take this part of the usable memory, and is then written
_PART_BEFORE_LOOK = 16  # once rows take this part of it, it is looked how many more there are
_USUAL = 2**30  # bytes that it may take if nobody can tell how much memory is usable
_PART_OF_DISK = 2  # all of it may take this part of what is free where temporary files are
_LOOK = 2**26  # bytes that are written between two looks at the disk
_ROW = 300  # bytes that Python keeps of a row beside its cells, about: place, label, part, name
_OBJECT = 60  # bytes that Python keeps of a text beside its characters, about
_LONG = 256  # characters or bytes of things that equal ones are looked for of
_EQUAL = 2**22  # bytes of recent things that equal ones are looked for among


def _most() -> int:
    usable = usable_memory()
    return _USUAL if usable is None else usable // _PART_OF_MEMORY


class Allowance:
    """The memory and disk that the rows of a table may use, checked before they are used.

    Args:
        source: the table, for messages.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.rows = 0
        self._usable = usable_memory()
        self._looked = False

    def expect(self, rows: int, numbers: int = 0, *, at_least: bool = False) -> None:
        """Look whether so many rows, or more, each with so many `numbers`, can be held.

        Raises:
            DataError: they take more than memory, or their numbers more than memory and disk, have.
        """
        if self._usable is None:
            return
        if rows * _ROW > self._usable:
            raise self._error(
                f"has {'at least ' if at_least else ''}{rows:,} rows, which take about "
                f"{sized(rows * _ROW)} of memory, and {sized(self._usable)} are usable here"
            )
        size = 8 * rows * numbers
        if size > self._usable // _PART_OF_MEMORY:
            free = _free()
            if free is not None and size > free:
                raise self._error(
                    f"has {rows:,} rows of {numbers:,} numbers, which take {sized(size)}; "
                    f"{sized(self._usable)} of memory are usable here, and {sized(free)} of the "
                    f"disk of {tempfile.gettempdir()}"
                )

    def add(self, rows: int, least: Callable[[int], int]) -> None:
        """Count rows that were read; raise `DataError` as soon as it is certain that they are many.

        `least` returns how many rows there are at least, up to a number, by a look that is quicker
        than reading them. It is called once, if there may be too many.
        """
        self.rows += rows
        if self._usable is None:
            return
        if not self._looked and self.rows * _ROW > self._usable // _PART_BEFORE_LOOK:
            self._looked = True
            self.expect(least(self._usable // _ROW), at_least=True)
        if self.rows * _ROW > self._usable:
            raise self._error(
                f"has more than {self.rows:,} rows, which take about {sized(self.rows * _ROW)} of "
                f"memory, and {sized(self._usable)} are usable here"
            )

    def _error(self, message: str) -> DataError:
        remedy = "give a part of the rows, or allow this process more"
        return DataError(Problem(f"{message}; {remedy}", source=self.source))


def _free() -> int | None:
    """Return how many bytes of the disk may be used; None if that is not known."""
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free // _PART_OF_DISK
    except OSError:
        return None


class _Spill:
    """A temporary file that is gone once nothing refers to it."""

    def __init__(self) -> None:
        # Not a context manager: what was read lives as long as the data set that holds it.
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="gridcnn-")  # noqa: SIM115
        # Maps of it stay: they hold the file themselves.
        weakref.finalize(self, self.file.close)
        self.length = 0
        self._looked = 0  # at which length it is time to look at the disk

    def write(self, content: bytes | memoryview) -> None:
        """Write to the end; raise `DataError` if the disk has no room, or would soon be full."""
        if self.length + len(content) >= self._looked:
            free = _free()
            # What is written already is no longer free: it may be as much as what is left.
            if free is not None and len(content) + self.length // _PART_OF_DISK > free:
                raise self._full()
            self._looked = self.length + len(content) + _LOOK
        try:
            self.file.write(content)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise self._full() from None
        self.length += len(content)

    def _full(self) -> DataError:
        return DataError(
            f"the data is larger than memory and than what may be used of the disk of "
            f"{tempfile.gettempdir()}: {sized(self.length)} of it were written there; set TMPDIR "
            "to a folder with room"
        )


class NumberStore:
    """Rows of numbers, which are added in blocks.

    Args:
        width: numbers in a row.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = 0
        self._blocks: list[NDArray[np.float64]] = []
        self._spill: _Spill | None = None
        self._most = _most()

    def add(self, block: NDArray[np.float64]) -> None:
        """Add rows, float64 `(rows, width)`; raise `DataError` if there is no room for them."""
        self.rows += len(block)
        if self._spill is None:
            self._blocks.append(block)
            if 8 * self.width * self.rows > self._most:
                self._spill = _Spill()
                for each in self._blocks:
                    self._spill.write(np.ascontiguousarray(each).data.cast("B"))
                self._blocks = []
        else:
            self._spill.write(np.ascontiguousarray(block).data.cast("B"))

    def all(self) -> NDArray[np.float64]:
        """Return all rows, `(rows, width)`; those in a file are mapped for reading."""
        shape = (self.rows, self.width)
        if self._spill is None:
            return np.concatenate(self._blocks) if self._blocks else np.zeros(shape)
        self._spill.file.flush()
        return np.memmap(self._spill.file, np.float64, mode="r", shape=shape)


class ThingStore:
    """Texts, contents of files, or arrays, which are added one after the other.

    Long equal ones that are near each other are kept once.
    """

    def __init__(self) -> None:
        self._things: list[Any] = []
        self._size = 0
        self._recent = _Recent()
        self._spilled: SpilledThings | None = None
        self._most = _most()

    def add(self, things: Iterable[Any]) -> None:
        """Add things; raise `DataError` if there is no room for them."""
        if self._spilled is not None:
            self._spilled.add(things)
            return
        new = list(things)
        self._size += _OBJECT * len(new)
        for index, thing in enumerate(new):
            if isinstance(thing, np.ndarray):
                self._size += _OBJECT + thing.nbytes
            elif len(thing) < _LONG:
                self._size += len(thing)
            else:
                new[index] = self._recent.get(thing, thing)
                self._size += len(thing) if new[index] is thing else 0
        self._things += new
        if self._size > self._most:
            self._spilled = SpilledThings()
            self._spilled.add(self._things)
            self._things, self._recent = [], _Recent()

    def all(self) -> Sequence[Any]:
        """Return all of them, as a list or as a sequence that reads them from its file."""
        if self._spilled is None:
            return self._things
        self._spilled.finish()
        return self._spilled


class _Recent:
    """Recent items, each with the object that replaces it; of limited size."""

    def __init__(self) -> None:
        self._known: dict[str | bytes, Any] = {}
        self._size = 0

    def get(self, thing: str | bytes, value: Any) -> Any:
        """Return the value stored for an equal item; else store `value`, and return it."""
        number = self._known.get(thing)
        if number is not None:
            return number
        self._size += _OBJECT + len(thing)
        if self._size > _EQUAL:
            self._known, self._size = {}, _OBJECT + len(thing)
        self._known[thing] = value
        return value


_TEXT, _BYTES, _ARRAY = range(3)  # what a thing in a file is


class SpilledThings(Sequence[Any]):
    """Texts, bytes and arrays of numbers in a temporary file."""

    def __init__(self) -> None:
        self._spill = _Spill()
        self._starts, self._ends = array("q"), array("q")
        self._kinds = array("b")
        self._shapes: dict[int, tuple[int, ...]] = {}  # of arrays that have other than one axis
        self._recent = _Recent()
        # Mapped, not read: threads and forked children have one position in the file together.
        self._content: mmap.mmap | bytes = b""

    def add(self, things: Iterable[Any]) -> None:
        """Write more of them to the end of the file; those that are there already stay there."""
        for thing in things:
            start = self._spill.length
            if isinstance(thing, np.ndarray):
                if thing.ndim != 1:
                    self._shapes[len(self)] = thing.shape
                content = np.ascontiguousarray(thing, np.float64).tobytes()
                self._write(start, content, _ARRAY)
                continue
            here = (start, len(self))
            place = self._recent.get(thing, here) if len(thing) >= _LONG else here
            if place is not here:
                self._starts.append(place[0])
                self._ends.append(self._ends[place[1]])
                self._kinds.append(self._kinds[place[1]])
            elif isinstance(thing, str):
                self._write(start, thing.encode("utf-8", "surrogatepass"), _TEXT)
            else:
                self._write(start, thing, _BYTES)

    def _write(self, start: int, content: bytes, kind: int) -> None:
        self._spill.write(content)
        self._starts.append(start)
        self._ends.append(self._spill.length)
        self._kinds.append(kind)

    def finish(self) -> None:
        """Make all of them readable."""
        self._spill.file.flush()
        if self._spill.length:  # an empty file cannot be mapped
            self._content = mmap.mmap(self._spill.file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._kinds)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Return a thing, or a list of them."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        content = self._content[self._starts[place] : self._ends[place]]
        if self._kinds[place] == _ARRAY:
            numbers = np.frombuffer(content, np.float64)
            return numbers.reshape(self._shapes.get(place, numbers.shape))
        return content.decode("utf-8", "surrogatepass") if self._kinds[place] == _TEXT else content
