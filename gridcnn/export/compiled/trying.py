"""A compiled network is called here, to compare its votes with those of the model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridcnn.engines.native.call import Buffer, address_of
from gridcnn.engines.native.compiler import Compiled as Loaded
from gridcnn.errors import DataError
from gridcnn.export.compiled.compilation import Compilation
from gridcnn.grid import Array, Cells, OneHot

_REASONS = ("", "a cell is not a finite number", "its votes are not finite numbers")


class Tried:
    """A network in code for this machine.

    Args:
        compilation: the network, for a target that this machine can run.
    """

    def __init__(self, compilation: Compilation) -> None:
        self._compiled = compilation.compile()
        name, target = f"{self._compiled.name}_run", self._compiled.target
        inside = self._compiled.weights is None
        self._code = Loaded(self._compiled.content, name, target.processor, 3 if inside else 4)
        self._call = self._code.function(name, 3 if inside else 4, answers=True)
        self._weights = None if inside else np.frombuffer(self._compiled.weights or b"", np.uint8)

    def __call__(self, grid: Cells) -> NDArray[np.float32]:
        """Return the votes for one grid, float32 `(classes,)`.

        Raises:
            DataError: it has no votes.
        """
        if self._compiled.indices:
            # Grids that hold anything but one-hot columns do not come from such an adapter.
            assert isinstance(grid, OneHot)
            given = np.ascontiguousarray(grid.indices, np.int32)
        else:
            given = np.ascontiguousarray(np.asarray(grid), np.float32)
        votes = np.empty(self._compiled.network.output.cells, np.float32)
        work = Buffer(self._compiled.work_bytes // 4)
        parts: list[Array] = [
            given,
            votes,
            work.floats,
            *([] if self._weights is None else [self._weights]),
        ]
        status = self._call(*(address_of(part) for part in parts))
        if status:
            raise DataError(_REASONS[status])
        return votes
