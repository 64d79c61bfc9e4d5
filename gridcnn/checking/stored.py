"""The samples of `.npy` and `.npz` files."""

from __future__ import annotations

from dataclasses import replace

from gridcnn.checking.asked import Asked
from gridcnn.checking.memory import from_memory
from gridcnn.datasets.readers import arrays
from gridcnn.errors import DataError, Problem, quoted
from gridcnn.order.sample import Sample


def from_arrays(text: str, asked: Asked) -> Sample:
    """Return the sample of the arrays in a NumPy file; raise `DataError` if there are none."""
    X, y = arrays.load(text)  # noqa: N806 - scikit-learn's name
    if isinstance(asked.y, str):
        raise DataError(
            Problem(f"an array has no column {quoted(asked.y)}; give labels as y", source=text)
        )
    return from_memory(X, replace(asked, y=y if asked.y is None else asked.y))
