"""Arrays as NumPy stores them; nothing pickled is ever opened."""

from __future__ import annotations

import math
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gridcnn.errors import DataError

MAX_BYTES = 2**33
"""The largest array that is read: 8 GiB."""


def member_array(file: IO[bytes], size: int, name: str = "") -> NDArray[Any]:
    """Return the array in an open `.npy` file of `size` bytes; `name` is what messages call it.

    Raises:
        DataError: it holds Python objects, or is too large.
        Exception: whatever NumPy raises about a file that is damaged.
    """
    what = f"the array {name}" if name else "the array"
    version = npy.read_magic(file)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.hasobject:
        raise DataError(
            f"{what} holds Python objects, and opening those can run any program; give it numbers "
            "or texts as its type: numpy.array(..., dtype=...)"
        )
    count = math.prod(shape) * dtype.itemsize
    if count > MAX_BYTES:
        raise DataError(f"{what} has {count} bytes; at most {MAX_BYTES} are read")
    if size - file.tell() != count:
        raise ValueError(f"{name or 'it'} says it has {count} bytes, and has another number")
    array = np.frombuffer(file.read(count), dtype)
    return array.reshape(shape, order="F" if fortran else "C")
