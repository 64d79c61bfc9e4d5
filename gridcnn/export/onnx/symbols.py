"""The adapters of texts and molecules in ONNX: symbols as columns with a single 1."""

from __future__ import annotations

import numpy as np

from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.text import CLASSIC, WORDS, TextAdapter
from gridcnn.errors import SpecError
from gridcnn.export.onnx.adapters import Feed, refuse
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.values import Value, concat, constant, count_up, where

NOTHING, END = -1, -2
"""What stands for a symbol without a row, and what for none, after the end of a shorter text."""
_CASES = (
    "the file does not convert two letters to lower case, so convert them before: the Turkish "
    "capital dotted I (U+0130), and the Greek capital sigma at the end of a word"
)


def add_texts(graph: Graph, adapter: TextAdapter, *, numbers: bool = False) -> Feed:
    """Add the input and all that the text adapter does with it.

    Args:
        graph: the graph in the making.
        adapter: of the model.
        numbers: whether words go in as their numbers in a table, and not as texts.

    Raises:
        UserError: it has settings that cannot be expressed.
    """
    columns = adapter.shape().columns
    if adapter.unit == "word":
        return _add_words(graph, adapter, columns, numbers=numbers)
    if numbers:
        raise SpecError(
            f"--input number is for words and molecules; this one's unit is {adapter.unit}"
        )
    if adapter.normalization != "none":
        refuse([f"'normalization: {adapter.normalization}' of text"], "")
    is_byte = adapter.unit == "byte"
    name = "bytes" if is_byte else "characters"
    given = graph.input(name, np.int32, ("items", name))
    codes = Value(graph, given, np.dtype(np.int32))
    table = _table_of(adapter)
    inside = codes.clip(0, len(table) - 1)
    looked_up = constant(graph, table, np.int32, "table").take(inside)
    rows = where(codes < 0, NOTHING, looked_up)
    about = (
        f"{'bytes' if is_byte else 'code points'} (items, {name}), int32; -1 after the end of a "
        "shorter text"
    )
    notes = [_CASES] if adapter.lower and not is_byte else []
    return Feed("", about, name, notes=notes, indices=_place(adapter, rows, codes < 0, columns))


def _table_of(adapter: TextAdapter) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Return the row of each code point, or byte; the last is that of all that are larger."""
    if adapter.unit == "byte":
        rows = np.arange(257, dtype=np.int32)
        if adapter.lower:
            # Bytes of ASCII; those of other letters are longer, and are left to the caller.
            refuse(["'lower: true' with 'unit: byte' of text"], "")
        rows[-1] = NOTHING
        return rows
    alphabet = CLASSIC if adapter.alphabet == "classic" else adapter.alphabet
    assert alphabet is not None
    symbols = {symbol: row for row, symbol in enumerate(alphabet)}
    other = len(symbols) if adapter.unknown == "symbol" else NOTHING
    spellings = {ord(symbol): row for symbol, row in symbols.items()}
    if adapter.lower:
        # Every character that becomes one of the symbols.
        for code in range(0x110000):
            if 0xD800 <= code < 0xE000:
                continue
            small = chr(code).lower()
            if small != chr(code) and len(small) == 1 and small in symbols:
                spellings[code] = symbols[small]
    table = np.full(max(spellings) + 2, other, np.int32)
    table[list(spellings)] = list(spellings.values())
    return table


def _add_words(graph: Graph, adapter: TextAdapter, columns: int, *, numbers: bool) -> Feed:
    assert not isinstance(adapter.alphabet, str | None)
    words = list(adapter.alphabet)
    other = len(words) if adapter.unknown == "symbol" else NOTHING
    kind = np.int32 if numbers else object
    given = graph.input("words", kind, ("items", "words"))
    rule = {
        "pattern": WORDS.pattern,
        "lower": adapter.lower,
        "normalization": adapter.normalization,
    }
    if numbers:
        codes = Value(graph, given, np.dtype(np.int32))
        is_end = codes < NOTHING
        rows = where((codes < 0) | ~(codes < len(words)), other, codes)
        about = (
            "numbers of words (items, words), int32, as in the table 'words' of the metadata; -1 "
            "for a word that is not in it, and -2 after the end of a shorter text"
        )
        tables = {"words": words, "rule": rule}
    else:
        numbers_of = {**{word: row for row, word in enumerate(words)}, "": END}
        row_numbers = graph.look_up(given, numbers_of, other)
        rows = Value(graph, row_numbers, np.dtype(np.int64)).cast(np.int32)
        is_end = rows.equals(END)
        about = (
            "words (items, words), as texts, split and cleaned by the 'rule' of the metadata; an "
            "empty one after the end of a shorter text"
        )
        tables = {"rule": rule}
    rows = where(is_end, NOTHING, rows)
    return Feed("", about, "words", tables, indices=_place(adapter, rows, is_end, columns))


def _place(adapter: TextAdapter, rows: Value, is_end: Value, columns: int) -> Value:
    """Return the row of each column's 1, int32 `(items, columns)`; -1 for no 1.

    Args:
        adapter: says what is cut, and what is left out.
        rows: of each symbol, int32 `(items, symbols)`.
        is_end: where a text has ended already.
        columns: of the grid.
    """
    drops = adapter.unknown == "drop"
    if adapter.cut == "end" and adapter.direction == "forward" and not drops:
        return fill_up(rows, columns)
    graph = rows.graph
    is_used = ~is_end
    if drops:
        is_used = is_used & ~(rows < 0)
    rank = is_used.cast(np.int32).apply("CumSum", constant(graph, 1, np.int64)) - 1
    count = is_used.cast(np.int32).sum(1)
    excess = (count - columns).maximum(0)
    first = {"end": columns, "start": 0, "middle": (columns + 1) // 2}[adapter.cut]
    is_first = rank < first
    place = where(is_first, rank, rank - excess)
    is_kept = is_used & (is_first | ~(rank < excess + first)) & (place < columns)
    if adapter.direction == "backward":
        place = count.minimum(columns) - 1 - place
    # What is left out is written to one more column, which is cut off.
    place = where(is_kept, place, columns)
    start = (rows.sum(1) * 0 + NOTHING).apply(
        "Expand", concat([rows.size(0), constant(graph, [columns + 1], np.int64)], 0)
    )
    written = start.apply("ScatterElements", place, rows, axis=1)
    return written.part(0, columns, 1)


def fill_up(rows: Value, columns: int) -> Value:
    """Return the first `columns` rows of each item, and -1 after the end, `(items, columns)`."""
    graph = rows.graph
    sizes = concat([rows.size(0), constant(graph, [columns], np.int64)], 0)
    nothing = constant(graph, [[NOTHING]], np.int32).apply("Expand", sizes)
    return concat([rows, nothing], 1).part(0, columns, 1)


def add_molecules(graph: Graph, adapter: MoleculeAdapter) -> Feed:
    """Add the input and all that the molecule adapter does with it."""
    assert adapter.alphabet is not None
    shape = adapter.shape()
    given = graph.input("tokens", np.int32, ("items", "tokens"))
    codes = Value(graph, given, np.dtype(np.int32))
    known = len(adapter.alphabet)
    other = known if adapter.unknown == "symbol" else NOTHING
    rows = where((codes < 0) | ~(codes < known), other, codes)
    rows = where(codes < NOTHING, NOTHING, rows)
    about = (
        "numbers of tokens (items, tokens), int32, as in the table 'tokens' of the metadata; -1 "
        "for a token that is not in it, and -2 after the end of a shorter molecule"
    )
    tables = {"tokens": list(adapter.alphabet), "brackets": adapter.brackets}
    return Feed("", about, "tokens", tables, indices=fill_up(rows, shape.columns))


def one_hot(indices: Value, rows: int) -> Value:
    """Return grids `(items, 1, rows, columns)` of the row of each column's 1."""
    numbers = count_up(constant(indices.graph, [rows], np.int64)).cast(np.int32)
    return numbers.unsqueeze(1).equals(indices.unsqueeze(1)).cast(np.float32).unsqueeze(1)
