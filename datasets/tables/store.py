"""What is read of tables: in memory, or in a temporary file if there is more than memory has."""

from __future__ import annotations

import errno
import mmap
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

from gridcnn.cores import usable_memory
from gridcnn.errors import DataError, sized

_PART_OF_MEMORY = 4  # what is read may take this part of the usable memory, and is then written
_USUAL = 2**30  # bytes that it may take if nobody can tell how much memory is usable


def _most() -> int:
    usable = usable_memory()
    return _USUAL if usable is None else usable // _PART_OF_MEMORY


class _Spill:
    """A temporary file that is gone once nothing refers to it."""

    def __init__(self) -> None:
        # Not a context manager: what was read lives as long as the data set that holds it.
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="gridcnn-")  # noqa: SIM115
        self.length = 0

    def write(self, content: bytes | memoryview) -> None:
        try:
            self.file.write(content)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DataError(
                f"the data is larger than memory and than the disk of {tempfile.gettempdir()}: "
                f"{sized(self.length)} of it were written there; set TMPDIR to a folder with room"
            ) from None
        self.length += len(content)


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
    """Texts, or the contents of files, which are added one after the other."""

    def __init__(self) -> None:
        self._things: list[str | bytes] = []
        self._size = 0
        self._spilled: SpilledThings | None = None
        self._most = _most()

    def add(self, things: Iterable[str | bytes]) -> None:
        """Add things; raise `DataError` if there is no room for them."""
        if self._spilled is not None:
            self._spilled.add(things)
            return
        before = len(self._things)
        self._things.extend(things)
        self._size += sum(60 + len(thing) for thing in self._things[before:])
        if self._size > self._most:
            self._spilled = SpilledThings()
            self._spilled.add(self._things)
            self._things = []

    def all(self) -> Sequence[Any]:
        """Return all of them, as a list or as a sequence that reads them from its file."""
        if self._spilled is None:
            return self._things
        self._spilled.finish()
        return self._spilled


class SpilledThings(Sequence[Any]):
    """Texts and bytes in a temporary file."""

    def __init__(self) -> None:
        self._spill = _Spill()
        self._ends = array("q", [0])
        self._are_texts = array("b")
        # Mapped, not read: threads and forked children have one position in the file together.
        self._content: mmap.mmap | bytes = b""

    def add(self, things: Iterable[str | bytes]) -> None:
        """Write more of them to the end of the file."""
        for thing in things:
            text = isinstance(thing, str)
            content = thing.encode("utf-8", "surrogatepass") if isinstance(thing, str) else thing
            self._spill.write(content)
            self._ends.append(self._spill.length)
            self._are_texts.append(text)

    def finish(self) -> None:
        """Make all of them readable."""
        self._spill.file.flush()
        if self._spill.length:  # an empty file cannot be mapped
            self._content = mmap.mmap(self._spill.file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._are_texts)

    @overload
    def __getitem__(self, index: int) -> str | bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[str | bytes]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Return a thing, or a list of them."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        content = self._content[self._ends[place] : self._ends[place + 1]]
        return content.decode("utf-8", "surrogatepass") if self._are_texts[place] else content
