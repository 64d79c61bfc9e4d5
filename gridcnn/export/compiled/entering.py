"""The last step of an adapter in C: what a device has at hand becomes the grid that enters.

Only steps that are short and exact in C are written: pixels of the grid's own size, numbers that
are scaled, characters and bytes that are looked up. What an adapter does before (decoding,
resizing, spectrograms) stays with the caller, and the header says what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.table import TableAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.adapter import Adapter

_WIDTH = 10  # numbers of a line
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Entering:
    """How an item becomes a grid.

    Attributes:
        comments: sentences for the header.
        code: a function in C that writes the grid; nothing if there is none.
    """

    comments: Sequence[str]
    code: str = ""


def entering(adapter: Adapter, name: str, *, indices: bool) -> Entering:
    """Return the last step of an adapter.

    Args:
        adapter: a fitted adapter.
        name: what names in C begin with.
        indices: whether the grid is given as the row of the 1 in each column.
    """
    # A subclass may make other grids of the same settings.
    if type(adapter) is ImageAdapter:
        return _image(adapter, name)
    if type(adapter) is ArrayAdapter:
        return _array(adapter, name)
    if type(adapter) is TableAdapter:
        return _table(adapter, name)
    if type(adapter) is TextAdapter:
        return _text(adapter, name, indices=indices)
    return Entering(_settings(adapter))


def _settings(adapter: Adapter) -> list[str]:
    """Return all settings of an adapter in a sentence."""
    settings = adapter.model_dump(mode="json")
    described = ", ".join(f"{key}: {_short(value)}" for key, value in settings.items())
    return [f"The grid is that of the adapter '{adapter.title}' with {described}."]


def _short(value: object, *, most: int = 60) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _are_floats(values: Iterable[float]) -> bool:
    """Return whether float32 can hold numbers, so that none becomes 0 or infinite."""
    return all(value == 0 or _SMALLEST <= abs(value) <= _LARGEST for value in values)


def _number(value: float) -> str:
    """Return a number as C writes it, as float32."""
    text = repr(float(np.float32(value)))
    return f"{text}f"


def _wrap(texts: Sequence[str]) -> str:
    lines = [", ".join(texts[at : at + _WIDTH]) for at in range(0, len(texts), _WIDTH)]
    return ",\n        ".join(lines)


# Pictures ---------------------------------------------------------------------------------------


def _image(adapter: ImageAdapter, name: str) -> Entering:
    comments = _settings(adapter)
    plain = adapter.fit != "ink" and adapter.polarity != "ink"
    if not plain or adapter.range not in (None, (0, 255)):
        return Entering(comments)
    upper, channels = name.upper(), adapter.channels
    value = "(float)*pixel / 127.5f - 1.0f"
    if adapter.polarity == "invert":
        value = "1.0f - (float)*pixel / 127.5f"
    what = "grey" if channels == 1 else "red, green and blue"
    code = f"""\
/* Fill a grid from pixels of its own size: row after row, {what} of each in 0..255. */
static inline void {name}_grid_from_pixels(const uint8_t *pixels, float *grid)
{{
    for (int channel = 0; channel < {upper}_CHANNELS; channel++) {{
        const uint8_t *pixel = pixels + channel;
        for (int cell = 0; cell < {upper}_ROWS * {upper}_COLUMNS; cell++) {{
            *grid++ = {value};
            pixel += {upper}_CHANNELS;
        }}
    }}
}}
"""
    return Entering(comments, code)


# Numbers ----------------------------------------------------------------------------------------


def _array(adapter: ArrayAdapter, name: str) -> Entering:
    comments = _settings(adapter)
    upper = name.upper()
    value = "numbers[at]"
    if adapter.scaling != "none" and adapter.low is not None and adapter.high is not None:
        middle, half = adapter.high / 2 + adapter.low / 2, adapter.high / 2 - adapter.low / 2
        if not _are_floats((middle, half)):
            return Entering(comments)
        value = f"(numbers[at] - {_number(middle)}) / {_number(half or 1.0)}"
    code = f"""\
/* Fill a grid from numbers in its own order: channel after channel, each row after row. */
static inline void {name}_grid_from_numbers(const float *numbers, float *grid)
{{
    for (int at = 0; at < {upper}_CELLS; at++) {{
        float value = {value};
{_clip(adapter.limit)}        grid[at] = value;
    }}
}}
"""
    return Entering(comments, code)


def _clip(limit: float | None) -> str:
    if limit is None:
        return ""
    most = _number(limit)
    return f"""\
        if (value > {most} && value - value == 0.0f) value = {most};
        if (value < -{most} && value - value == 0.0f) value = -{most};
"""


def _table(adapter: TableAdapter, name: str) -> Entering:
    comments = _settings(adapter)
    numbers = [*(adapter.fills or ()), *(adapter.means or ()), *(adapter.deviations or ())]
    if adapter.scaling == "row" or not _are_floats(numbers):
        return Entering(comments)
    upper = name.upper()
    tables, value = "", "numbers[at]"
    if adapter.missing != "refuse":
        fill = "0.0f"
        if adapter.missing == "mean" and adapter.fills is not None:
            tables += _c_table("fills", adapter.fills)
            fill = "fills[at]"
        # NaN is the only number that is not equal to itself.
        value = f"(numbers[at] != numbers[at] ? {fill} : numbers[at])"
    if adapter.scaling != "none" and adapter.means is not None and adapter.deviations is not None:
        # What does not vary is 0; a number that is not finite stays so.
        if adapter.scaling == "overall":
            (mean,), (deviation,) = adapter.means, adapter.deviations
            mean_text, deviation_text = _number(mean), _number(deviation)
        else:
            tables += _c_table("means", adapter.means)
            tables += _c_table("deviations", adapter.deviations)
            mean_text, deviation_text = "means[at]", "deviations[at]"
        value = (
            f"{value} - {mean_text};\n"
            f"        if ({deviation_text} > 0.0f) value /= {deviation_text};\n"
            "        else if (value - value == 0.0f) value = 0.0f"
        )
    place = "at"
    if adapter.order == "interleaved":
        place = f"at % {upper}_CHANNELS * ({upper}_ROWS * {upper}_COLUMNS) + at / {upper}_CHANNELS"
    missing = "" if adapter.missing == "refuse" else "; NaN is a missing number"
    code = f"""\
/* Fill a grid from a row of the table, its columns in the order of the training{missing}. */
static inline void {name}_grid_from_numbers(const float *numbers, float *grid)
{{
{tables}    for (int at = 0; at < {upper}_CELLS; at++) {{
        float value = {value};
{_clip(adapter.limit)}        grid[{place}] = value;
    }}
}}
"""
    return Entering(comments, code)


def _c_table(name: str, values: Sequence[float]) -> str:
    numbers = _wrap([_number(value) for value in values])
    return f"    static const float {name}[{len(values)}] = {{\n        {numbers}\n    }};\n"


# Texts ------------------------------------------------------------------------------------------


def _text(adapter: TextAdapter, name: str, *, indices: bool) -> Entering:
    comments = _settings(adapter)
    if adapter.unit == "word":
        return Entering(comments)
    if adapter.lower or adapter.normalization != "none":
        steps = [f"in the form {adapter.normalization}"] if adapter.normalization != "none" else []
        steps += ["in small letters"] if adapter.lower else []
        comments.append(f"Give the text {' and '.join(steps)}: that is not done here.")
    upper = name.upper()
    kind, what, lookup = "uint8_t", "bytes of UTF-8", "    int32_t row = sign;\n"
    if adapter.unit == "character":
        kind, what = "uint32_t", "Unicode code points"
        lookup = _lookup(adapter)
    first = {"end": "kept", "start": "0", "middle": f"(({upper}_COLUMNS + 1) / 2)"}[adapter.cut]
    target = "int32_t" if indices else "float"
    counting, dropping = "    signs = length;\n", ""
    if adapter.unknown == "drop":
        counting = f"    for (at = 0; at < length; at++) signs += {name}_row(text[at]) >= 0;\n"
        dropping = "        if (row < 0) continue;\n"
    backward = adapter.direction == "backward"
    column = "(kept - 1 - column)" if backward else "column"
    clear, write = _writing(upper, column, indices=indices)
    code = f"""\
/* Return the row of a sign; -1 for none. */
static inline int32_t {name}_row({kind} sign)
{{
{lookup}    return row;
}}

/* Fill a grid from a text, given as {what}; it is cut if it is too long. */
static inline void {name}_grid_from_text(const {kind} *text, int length, {target} *grid)
{{
    int signs = 0, kept, column = 0, at, number = 0;
{counting}    kept = signs < {upper}_COLUMNS ? signs : {upper}_COLUMNS;
{clear}    for (at = 0; at < length; at++) {{
        int32_t row = {name}_row(text[at]);
{dropping}        if (number < {first} || number >= {first} + signs - kept) {{
{write}            column++;
        }}
        number++;
    }}
}}
"""
    return Entering(comments, code)


def _writing(upper: str, column: str, *, indices: bool) -> tuple[str, str]:
    """Return the lines that empty a grid, and that write a sign into it."""
    if indices:
        return (
            f"    for (at = 0; at < {upper}_COLUMNS; at++) grid[at] = -1;\n",
            f"            grid[{column}] = row;\n",
        )
    return (
        f"    for (at = 0; at < {upper}_CELLS; at++) grid[at] = 0.0f;\n",
        f"            if (row >= 0) grid[row * {upper}_COLUMNS + {column}] = 1.0f;\n",
    )


def _lookup(adapter: TextAdapter) -> str:
    """Return lines that look a code point up among those that have a row, by halves."""
    symbols = adapter.shape().row_axis.labels
    assert symbols is not None
    other = len(symbols) - 1 if adapter.unknown == "symbol" else -1
    known = symbols[:-1] if adapter.unknown == "symbol" else symbols
    pairs = sorted((ord(symbol), row) for row, symbol in enumerate(known))
    codes = _wrap([str(code) for code, _ in pairs])
    rows = _wrap([str(row) for _, row in pairs])
    return f"""\
    static const uint32_t codes[{len(pairs)}] = {{
        {codes}
    }};
    static const int16_t rows[{len(pairs)}] = {{
        {rows}
    }};
    int first = 0, stop = {len(pairs)};
    int32_t row = {other};
    while (first < stop) {{
        int middle = (first + stop) / 2;
        if (codes[middle] < sign) first = middle + 1;
        else stop = middle;
    }}
    if (first < {len(pairs)} && codes[first] == sign) row = rows[first];
"""
