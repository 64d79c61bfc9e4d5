"""The forms of tables: CSV and TSV, JSON Lines, and Parquet."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables import delimited
from gridcnn.datasets.tables.cells import problem_of
from gridcnn.datasets.tables.reading import Reading
from gridcnn.errors import DataError, Problem, quoted, shown, suggestion

_AT_ONCE = 1_024  # rows of Parquet that are in memory at a time


def read_delimited(reading: Reading, text: Iterable[str]) -> Iterator[None]:
    """Read the lines of a CSV or TSV file, by the settings of its table; pause after each row."""
    table, found = reading.table, reading.found
    inputs = (table.input,) if isinstance(table.input, str) else table.input or ()
    wanted = {name.casefold() for name in (*inputs, table.label)} if table.header else set()
    text = iter(text)
    first_line = next(text, "")
    sign = table.delimiter or delimited.delimiter(first_line, found.source, wanted=wanted)
    hint = "; is a quote left open? Where quotes are signs like others, set 'quoting: false'"
    lines = delimited.rows(
        itertools.chain([first_line], text) if first_line else (),
        delimiter=sign,
        found=found,
        quoting=table.quoting,
        hint=hint if table.quoting else "",
    )
    filled = ((line, cells) for line, cells in lines if any(cell.strip() for cell in cells))
    if table.header:
        line, names = next(lines, (1, []))
        if not any(name.strip() for name in names):
            found.add("is empty; its first line must name the columns", line=1)
            found.stop()
        reading.name([name.strip() for name in names], line=line)
        yield from _read_rows(reading, filled, "the first line names")
    elif first := next(filled, None):
        reading.name([str(number) for number in range(1, len(first[1]) + 1)])
        yield from _read_rows(reading, itertools.chain([first], filled), f"line {first[0]} has")


def _read_rows(
    reading: Reading, rows: Iterable[tuple[int, list[str]]], others: str
) -> Iterator[None]:
    width = len(reading.names)
    advice = "; put quotes around a cell with a separator in it" if reading.table.quoting else ""
    for line, cells in rows:
        if len(cells) == width:
            reading.row(line, cells, parse=True)
            yield
        else:
            count = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
            reading.told(line, f"has {count}, but {others} {width}{advice}")


def read_lines(reading: Reading, text: Iterable[str]) -> Iterator[None]:
    """Read JSON Lines, given by their lines; pause after each, and pass over empty ones."""
    for line, written in enumerate(text, start=1):
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
            yield


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
    """Read a Parquet file, by whole columns.

    Raises:
        DataError: pyarrow is not installed, or the file is too large, damaged, or no such file.
    """
    delimited.refuse_large(place, what="a table")
    with parquet_file(place) as file:
        reading.name(file.schema_arrow.names)
        _take_parquet(reading, file)


def read_parquet_rows(reading: Reading, place: str) -> Iterator[None]:
    """Read a Parquet file, of which a part is in memory at a time; pause after each row.

    Raises:
        DataError: pyarrow is not installed, or the file is damaged, or no such file.
    """
    found = reading.found
    with parquet_file(place) as file:
        import pyarrow

        reading.name(file.schema_arrow.names)
        names = [reading.names[index] for index in reading.where.inputs]
        row = 0
        for batch in file.iter_batches(batch_size=_AT_ONCE, columns=names):
            table = pyarrow.Table.from_batches([batch])
            columns = [table.column(name) for name in names]
            before = found.count
            values = columns[0].to_pylist() if reading.where.text else _stack(reading, columns)
            if found.count > before:
                found.stop()  # a column without numbers has none in any row
            for value in values:
                reading.positions.append(row)
                if reading.where.text:
                    reading.text(row, value)
                elif np.isfinite(value).all():
                    reading.numbers.extend(value.tolist())
                else:
                    _tell_missing(reading, value[None], row)
                yield
                row += 1


@contextlib.contextmanager
def parquet_file(place: str) -> Iterator[Any]:
    """Open a Parquet file, and turn whatever goes wrong with it into `DataError`."""
    try:
        from pyarrow import parquet
    except ImportError:
        message = (
            "Parquet is read by pyarrow, which is not installed: "
            "python -m pip install 'gridcnn[parquet]'"
        )
        raise DataError(Problem(message, source=place)) from None
    try:
        with parquet.ParquetFile(place) as file:
            yield file
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
        stack = _stack(reading, [columns[index] for index in where.inputs])
        _tell_missing(reading, stack, 0)
        reading.numbers.frombytes(stack.tobytes())
    if where.label is not None:
        for row, value in enumerate(columns[where.label].to_pylist()):
            reading.label(row, value)
    if where.split is not None:
        for value in columns[where.split].to_pylist():
            reading.split(value)
    if where.group is not None:
        for row, value in enumerate(columns[where.group].to_pylist()):
            reading.grouped(row, value)


def _stack(reading: Reading, columns: Sequence[Any]) -> NDArray[np.float64]:
    """Return pyarrow's columns as numbers `(rows, columns)`; NaN is what a cell lacks."""
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    stack = np.zeros((len(columns[0]), len(columns)))
    for place, (index, column) in enumerate(zip(reading.where.inputs, columns, strict=True)):
        if not any(is_kind(column.type) for is_kind in numeric):
            others = "" if reading.table.input is not None else "; list the columns in 'input'"
            name = quoted(reading.names[index])
            reading.found.add(f"the column {name} holds {column.type}, and no numbers{others}")
            continue
        stack[:, place] = column.cast("float64", safe=False).to_numpy()
    return stack


def _tell_missing(reading: Reading, stack: NDArray[np.float64], start: int) -> None:
    """Add a problem for each cell that is no finite number; `start` is the first row's number."""
    for row, place in np.argwhere(~np.isfinite(stack)).tolist():
        problem = problem_of(float(stack[row, place]))
        reading.no_number(start + row, reading.where.inputs[place], problem)
