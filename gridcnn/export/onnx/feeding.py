"""What goes into an exported file: items as the arrays that its input takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.samples import samples_of
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.adapter import Adapter, Things, pick
from gridcnn.errors import DataError
from gridcnn.export.onnx.symbols import END, NOTHING

_TOGETHER = 64
_MOST_NUMBERS = 2**24  # numbers of a batch, unless a single item has more
Arrays = list[NDArray[Any]]


def batches(
    adapter: Adapter, name: str, dtype: np.dtype[Any], things: Things
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Yield the indices of some items, and the input for them, until all have been.

    All items of a batch have one size.

    Args:
        adapter: of the model.
        name: of the input of the file.
        dtype: its type.
        things: items that the adapter can read.

    Raises:
        DataError: items cannot be fed to such an input.
    """
    for start in range(0, len(things), _TOGETHER):
        chosen = np.arange(start, min(start + _TOGETHER, len(things)))
        arrays = _FEEDERS[name](adapter, pick(things, chosen), dtype)
        sizes: dict[tuple[int, ...], list[int]] = {}
        for place, array in enumerate(arrays):
            sizes.setdefault(array.shape, []).append(place)
        for size, places in sizes.items():
            step = max(1, _MOST_NUMBERS // max(1, int(np.prod(size))))
            for first in range(0, len(places), step):
                some = places[first : first + step]
                yield chosen[some], np.stack([arrays[place] for place in some]).astype(dtype)


def _grids(adapter: Adapter, things: Things, _: np.dtype[Any]) -> Arrays:
    return list(np.asarray(adapter.grids(things).values))


def _pixels(adapter: Adapter, things: Things, dtype: np.dtype[Any]) -> Arrays:
    assert isinstance(adapter, ImageAdapter)
    arrays = []
    for index in range(len(things)):
        array = adapter.pixels(things[index])
        if array.dtype != dtype:
            if dtype == np.uint8 or array.dtype.kind not in "uf":
                raise DataError(
                    f"a picture has pixels of {array.dtype}, and the file takes {dtype}; export it "
                    "with --pixels float32"
                )
            if adapter.range is None and array.dtype.kind == "u":
                array = array.astype(np.float64) / np.iinfo(array.dtype).max
        arrays.append(array)
    return arrays


def _samples(adapter: Adapter, things: Things, _: np.dtype[Any]) -> Arrays:
    assert isinstance(adapter, AudioAdapter)
    return [
        samples_of(
            things[index], sample_rate=adapter.sample_rate, max_duration=adapter.max_duration
        )
        for index in range(len(things))
    ]


def _characters(adapter: Adapter, things: Things, _: np.dtype[Any]) -> Arrays:
    assert isinstance(adapter, TextAdapter)
    return _fill_up([[ord(each) for each in things[n]] for n in range(len(things))], NOTHING)


def _bytes(adapter: Adapter, things: Things, _: np.dtype[Any]) -> Arrays:
    assert isinstance(adapter, TextAdapter)
    contents = [things[index] for index in range(len(things))]
    encoded = [
        each if isinstance(each, bytes) else each.encode("utf-8", "surrogatepass")
        for each in contents
    ]
    return _fill_up([list(each) for each in encoded], NOTHING)


def _words(adapter: Adapter, things: Things, dtype: np.dtype[Any]) -> Arrays:
    assert isinstance(adapter, TextAdapter)
    texts = [adapter.parts(things[index]) for index in range(len(things))]
    if dtype.kind == "O":
        return _fill_up(texts, "")
    assert isinstance(adapter.alphabet, tuple)
    return _number_symbols(adapter.alphabet, texts)


def _tokens(adapter: Adapter, things: Things, _: np.dtype[Any]) -> Arrays:
    assert isinstance(adapter, MoleculeAdapter)
    assert adapter.alphabet is not None
    return _number_symbols(
        adapter.alphabet, [adapter.tokens(things[n]) for n in range(len(things))]
    )


def _number_symbols(known: Sequence[str], lists: Sequence[Sequence[str]]) -> Arrays:
    numbers = {symbol: number for number, symbol in enumerate(known)}
    return _fill_up([[numbers.get(each, NOTHING) for each in some] for some in lists], END)


def _fill_up(lists: Sequence[Sequence[Any]], filler: Any) -> Arrays:
    longest = max(map(len, lists), default=0)
    kind = object if isinstance(filler, str) else np.int32
    return [np.array([*some, *[filler] * (longest - len(some))], kind) for some in lists]


def _numbers(adapter: Adapter, things: Things, _: np.dtype[Any]) -> Arrays:  # noqa: ARG001
    return [np.asarray(things[index], np.float64) for index in range(len(things))]


def _arrays(adapter: Adapter, things: Things, _: np.dtype[Any]) -> Arrays:
    laid_out = adapter.laid_out(things)
    return [] if laid_out is None else list(laid_out)


_FEEDERS: dict[str, Callable[[Adapter, Things, np.dtype[Any]], Arrays]] = {
    "grids": _grids,
    "pixels": _pixels,
    "samples": _samples,
    "characters": _characters,
    "bytes": _bytes,
    "words": _words,
    "tokens": _tokens,
    "numbers": _numbers,
    "arrays": _arrays,
}
"""What makes the arrays of items, by the name of the input."""
