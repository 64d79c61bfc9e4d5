"""The forms of tables: CSV and TSV, JSON Lines, and Parquet."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gridcnn.datasets import delimited
from gridcnn.datasets.cells import problem_of
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.reading import Reading
from gridcnn.errors import DataError, Problem, quoted, shown, suggestion


def read_delimited(reading: Reading, text: str) -> None:
    """Read the text of a CSV or TSV file, by the settings of its table."""
    table, found = reading.table, reading.found
    inputs = (table.input,) if isinstance(table.input, str) else table.input or ()
    wanted = {name.casefold() for name in (*inputs, table.label)} if table.header else set()
    sign = table.delimiter or delimited.delimiter(text, found.source, wanted=wanted)
    hint = "; is a quote left open? Where quotes are signs like others, set 'quoting: false'"
    lines = delimited.rows(
        text, delimiter=sign, found=found, quoting=table.quoting, hint=hint if table.quoting else ""
    )
    filled = ((line, cells) for line, cells in lines if any(cell.strip() for cell in cells))
    if table.header:
        line, names = next(lines, (1, []))
        if not any(name.strip() for name in names):
            found.add("is empty; its first line must name the columns", line=1)
            found.stop()
        reading.name([name.strip() for name in names], line=line)
        _read_rows(reading, filled, "the first line names")
    elif first := next(filled, None):
        reading.name([str(number) for number in range(1, len(first[1]) + 1)])
        _read_rows(reading, itertools.chain([first], filled), f"line {first[0]} has")


def _read_rows(reading: Reading, rows: Iterable[tuple[int, list[str]]], others: str) -> None:
    width = len(reading.names)
    advice = "; put quotes around a cell with a separator in it" if reading.table.quoting else ""
    for line, cells in rows:
        if len(cells) == width:
            reading.row(line, cells, parse=True)
        else:
            count = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
            reading.told(line, f"has {count}, but {others} {width}{advice}")


def read_lines(reading: Reading, text: str) -> None:
    """Read JSON Lines; empty lines are passed over."""
    # Not splitlines: a text in JSON may hold other line ends.
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        given = _object(reading.found, written, line)
        if given is None:
            continue
        if not reading.names:
            reading.name(list(given), line=line)
        where = reading.where
        used = [*where.inputs, where.label, where.split, where.group]
        wanted = [reading.names[index] for index in used if index is not None]
        lacking = [name for name in wanted if name not in given]
        for name in lacking:
            hint = suggestion(name, [each for each in given if each not in reading.names])
            reading.told(line, f"has no {quoted(name)}{hint or '; every line must have it'}")
        if reading.table.input is None:
            for name in [each for each in given if each not in reading.names]:
                reading.told(line, f"has {quoted(name)}, which the first line does not have")
                lacking.append(name)
        if not lacking:
            reading.row(line, [given.get(name) for name in reading.names], parse=False)


def _object(found: Problems, written: str, line: int) -> dict[str, Any] | None:
    """Return the JSON object of a line; where it has none, add a problem and return None."""
    try:
        given = json.loads(written)
    except json.JSONDecodeError as error:
        found.add(f"is no valid JSON: {error.msg}", line=line, column=error.colno)
        return None
    except (ValueError, RecursionError) as error:
        found.add(f"is no JSON that can be read: {str(error).split(';')[0]}", line=line)
        return None
    if isinstance(given, dict):
        return given
    found.add(f"is no object, {{...}}, with a value for each column: {shown(given)}", line=line)
    return None


def read_parquet(reading: Reading, place: str) -> None:
    """Read a Parquet file.

    Raises:
        DataError: pyarrow is not installed, or the file is too large, damaged, or no such file.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        message = (
            "Parquet is read by pyarrow, which is not installed: "
            "python -m pip install 'gridcnn[parquet]'"
        )
        raise DataError(Problem(message, source=place)) from None
    delimited.refuse_large(place, what="a table")
    try:
        with parquet.ParquetFile(place) as file:
            _take_parquet(reading, file)
    except DataError:
        raise
    except MemoryError:
        raise DataError(Problem("does not fit into memory", source=place)) from None
    except Exception as error:
        # pyarrow raises a dozen kinds of errors for files that are damaged.
        reason = shown(str(error) or type(error).__name__, limit=100).strip("'\"")
        message = f"is no Parquet file, or a damaged one ({reason})"
        raise DataError(Problem(message, source=place)) from error


def _take_parquet(reading: Reading, file: Any) -> None:
    """Take the columns of pyarrow's file, each as a whole."""
    reading.name(file.schema_arrow.names)
    where = reading.where
    every = [*where.inputs, where.label, where.split, where.group]
    used = sorted({index for index in every if index is not None})
    table = file.read(columns=[reading.names[index] for index in used])
    columns = {index: table.column(reading.names[index]) for index in used}
    reading.positions.extend(range(table.num_rows))
    if where.text:
        for row, value in enumerate(columns[where.inputs[0]].to_pylist()):
            reading.text(row, value)
    else:
        _take_numbers(reading, [columns[index] for index in where.inputs])
    for row, value in enumerate(columns[where.label].to_pylist()):
        reading.label(row, value)
    if where.split is not None:
        for value in columns[where.split].to_pylist():
            reading.split(value)
    if where.group is not None:
        for row, value in enumerate(columns[where.group].to_pylist()):
            reading.grouped(row, value)


def _take_numbers(reading: Reading, columns: Sequence[Any]) -> None:
    """Take pyarrow's columns as numbers, all rows at once."""
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    stack = np.zeros((len(reading.positions), len(columns)))
    for place, (index, column) in enumerate(zip(reading.where.inputs, columns, strict=True)):
        if not any(is_kind(column.type) for is_kind in numeric):
            others = "" if reading.table.input is not None else "; list the columns in 'input'"
            name = quoted(reading.names[index])
            reading.found.add(f"the column {name} holds {column.type}, and no numbers{others}")
            continue
        stack[:, place] = column.cast("float64", safe=False).to_numpy()
    for row, place in np.argwhere(~np.isfinite(stack)).tolist():
        reading.no_number(row, reading.where.inputs[place], problem_of(float(stack[row, place])))
    reading.numbers.frombytes(stack.tobytes())
