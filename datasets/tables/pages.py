"""The pages of Parquet files: how much memory each takes once it is unpacked.

pyarrow unpacks one page at a time, however large it is, and the sizes in the file's own list are
those of whole columns. So the header of each page is read before: Thrift's compact protocol, see
https://github.com/apache/parquet-format and the specification of Thrift.
"""

from __future__ import annotations

from typing import IO

_STEP = 4_096  # bytes that are read of a header at first
_MOST = 2**24  # ... and at most: it may hold the least and the greatest value of its page
_UNPACKED, _PACKED = 2, 3  # the fields with the sizes of a page
_LONGEST = 10  # bytes of a number
_DEEPEST = 16  # structures inside of each other
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


def largest_page(file: IO[bytes], start: int, end: int) -> int:
    """Return how many bytes the largest page takes that begins between two places of a file.

    Raises:
        ValueError: these bytes are not pages.
    """
    largest = 0
    while start < end:
        size, packed, length = _header_at(file, start)
        largest = max(largest, size)
        start += length + packed
    return largest


def _header_at(file: IO[bytes], place: int) -> tuple[int, int, int]:
    """Return the unpacked and packed size of the page at a place, and the length of its header."""
    step = _STEP
    while True:
        file.seek(place)
        header = _Compact(content := file.read(step))
        try:
            numbers = header.struct()
            break
        except IndexError:
            if len(content) < step or step >= _MOST:
                raise ValueError("the header of a page does not end") from None
            step *= 16
    size, packed = numbers.get(_UNPACKED, -1), numbers.get(_PACKED, -1)
    if size < 0 or packed < 0:
        raise ValueError("the header of a page has no sizes")
    return size, packed, header.place


class _Compact:
    """Reads the numbers in Thrift's compact protocol.

    What is not complete raises IndexError.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Return the whole numbers of a structure, by their fields."""
        if depth > _DEEPEST:
            raise ValueError("structures are too deep")
        numbers: dict[int, int] = {}
        field = 0
        while (head := self._byte()) != 0:
            field = field + (head >> 4) if head >> 4 else self._signed_number()
            value = self._value(head & 15, depth)
            if value is not None:
                numbers[field] = value
        return numbers

    def _value(self, kind: int, depth: int, *, inside: bool = False) -> int | None:
        """Return a whole number; pass over any other value."""
        if kind in (_I16, _I32, _I64):
            return self._signed_number()
        if kind == _BYTE or (inside and kind in (_TRUE, _FALSE)):
            self._pass(1)
        elif kind == _DOUBLE:
            self._pass(8)
        elif kind == _BINARY:
            self._pass(self._whole_number())
        elif kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._whole_number()
            for _ in range(count):
                self._value(head & 15, depth + 1, inside=True)
        elif kind == _STRUCT:
            self.struct(depth + 1)
        elif kind not in (_TRUE, _FALSE):  # maps do not occur in headers of pages
            raise ValueError("a value has no known type")
        return None

    def _pass(self, count: int) -> None:
        self.place += count
        if self.place > len(self._content):
            raise IndexError

    def _byte(self) -> int:
        self._pass(1)
        return self._content[self.place - 1]

    def _whole_number(self) -> int:
        value = 0
        for shift in range(0, 7 * _LONGEST, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a number does not end")

    def _signed_number(self) -> int:
        value = self._whole_number()
        return value >> 1 ^ -(value & 1)
