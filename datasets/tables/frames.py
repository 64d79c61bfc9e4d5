"""Tables in files that know types (Parquet, Feather, Excel, Stata), and data frames, as rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.cores import usable_memory
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.lines import ending_of
from gridcnn.datasets.tables.rows import Block, Cells, Form, Rows
from gridcnn.errors import DataError, Problem, listed, quoted, shown, sized

FRAME_ENDINGS = (".parquet", ".pq", ".feather", ".xlsx", ".xls", ".ods", ".dta")
"""Endings of tables whose cells have types."""
_AT_ONCE = 4_096  # rows of a block
_CELLS = 2**20  # cells of a block, at most: a batch of constant columns can be small on disk alone
_GROWS = 20  # times that a file without batches grows in memory, about
_INSTALL = "python -m pip install"
_NEEDED = {
    (".parquet", ".pq"): ("Parquet is read by pyarrow", "'gridcnn[parquet]'"),
    (".feather",): ("Feather is read by pyarrow", "'gridcnn[parquet]'"),
    (".xlsx",): ("Excel is read by openpyxl", "'gridcnn[excel]'"),
    (".xls",): ("old Excel files are read by xlrd", "xlrd"),
    (".ods",): ("OpenDocument is read by odfpy", "odfpy"),
}


def is_frame(value: Any) -> bool:
    """Return whether a value is a data frame, of pandas or of another library."""
    # By its looks, so that pandas is not imported for those who do not use it.
    return type(value).__name__ == "DataFrame" and hasattr(value, "columns")


@contextlib.contextmanager
def opened_frame(path: str, form: Form, problems: Problems) -> Iterator[Rows]:
    """Open a file whose cells have types.

    Raises:
        DataError: it is damaged, too large, or the package that reads it is not installed.
    """
    ending = ending_of(path)
    try:
        with contextlib.ExitStack() as stack:
            if ending in (".parquet", ".pq"):
                from pyarrow import parquet

                yield ParquetRows(stack.enter_context(parquet.ParquetFile(path)), form, problems)
            else:
                _refuse_large(path)
                read = {".feather": _feather, ".dta": _stata}.get(ending, _sheet)
                yield FrameRows(read(path, form), form, problems)
    except DataError:
        raise
    except ImportError:
        what, package = next(
            (each for ends, each in _NEEDED.items() if ending in ends), ("it is read by pandas", "")
        )
        message = f"{what}, which is not installed: {_INSTALL} {package}"
        raise DataError(Problem(message, source=path)) from None
    except MemoryError:
        raise DataError(Problem("does not fit into memory", source=path)) from None
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise DataError(Problem(message, source=path)) from error
    except Exception as error:
        # Readers of these formats raise dozens of kinds of errors for files that are damaged.
        reason = shown(str(error) or type(error).__name__, limit=100).strip("'\"")
        message = f"is damaged, or not a {ending} file ({reason})"
        raise DataError(Problem(message, source=path)) from error


def _refuse_large(path: str) -> None:
    """Raise `DataError` if a file that is read as a whole may be too large for memory."""
    size, usable = _GROWS * Path(path).stat().st_size, usable_memory()
    if usable is not None and size > usable:
        message = (
            f"may take {sized(size)} of memory to read, and {sized(usable)} are usable here; save "
            "it as Parquet or CSV, which are read in parts"
        )
        raise DataError(Problem(message, source=path))


def _feather(path: str, form: Form) -> Any:  # noqa: ARG001 - as the others
    import pandas

    return pandas.read_feather(path)


def _stata(path: str, form: Form) -> Any:  # noqa: ARG001 - as the others
    import pandas

    return pandas.read_stata(path, convert_categoricals=True)


def _sheet(path: str, form: Form) -> Any:
    """Return a sheet of a file of several, its first line as a row like others."""
    import pandas

    with pandas.ExcelFile(path) as book:
        names = [str(name) for name in book.sheet_names]
        if form.sheet is not None and form.sheet not in names:
            has = listed([quoted(name) for name in names])
            raise DataError(
                Problem(f"has no sheet {quoted(form.sheet)}. It has: {has}", source=path)
            )
        return book.parse(form.sheet or names[0], header=None if form.header is False else 0)


class ParquetRows(Rows):
    """A Parquet file, of which a part is in memory at a time."""

    def __init__(self, file: Any, form: Form, problems: Problems) -> None:
        super().__init__(problems)
        self.form = form
        self._file = file
        schema = file.schema_arrow
        # pandas keeps the numbers of rows in a column of such a name.
        kept = [n for n, name in enumerate(schema.names) if not name.startswith("__index_level_")]
        self.names = [schema.names[n] for n in kept]
        self.types = [str(schema.types[n]) for n in kept]

    def count(self) -> int:
        """Return how many rows there are."""
        return int(self._file.metadata.num_rows)

    def blocks(
        self, columns: Sequence[int], *, kept: NDArray[np.int64] | None = None
    ) -> Iterator[Block]:
        """Yield columns of all rows, or of those that are `kept`."""
        names = [self.names[column] for column in columns]
        done = 0
        step = max(1, min(_AT_ONCE, _CELLS // max(1, len(names))))
        for batch in self._file.iter_batches(batch_size=step, columns=names):
            end = done + len(batch)
            rows = np.arange(done, end) if kept is None else kept[(kept >= done) & (kept < end)]
            if len(rows):
                part = batch if kept is None else batch.take(rows - done)
                yield Block(rows.tolist(), [_arrow_cells(part.column(name)) for name in names])
            done = end


def _arrow_cells(column: Any) -> Cells:
    """Return a column of Arrow as numbers if it holds numbers, else as a list of values."""
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    if any(is_kind(kind) for is_kind in numeric):
        if types.is_decimal(kind):
            column = column.cast("float64")
        # Whole numbers without gaps stay whole, since they may be labels.
        numbers: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return (
            numbers
            if numbers.dtype.kind in "biuf"
            else column.cast("float64").to_numpy(zero_copy_only=False)
        )
    return [_packed(value) for value in column.to_pylist()]


def _packed(value: Any) -> Any:
    """Return the content of a picture or a sound that a file holds as {bytes, path}."""
    if isinstance(value, dict) and "bytes" in value and set(value) <= {"bytes", "path"}:
        return value["bytes"] if value["bytes"] is not None else value.get("path")
    return value


class FrameRows(Rows):
    """A data frame of pandas, or one that turns into it.

    Args:
        frame: the frame.
        form: how it is written; without a header, columns are called by their numbers.
        problems: takes what is wrong.
    """

    def __init__(self, frame: Any, form: Form, problems: Problems) -> None:
        super().__init__(problems)
        if not hasattr(frame, "iloc"):  # of polars or another library
            frame = frame.to_pandas()
        self.form, self.frame = form, frame
        self.names = [str(name).strip() for name in frame.columns]
        if form.header is False:
            self.names = [str(number) for number in range(1, len(frame.columns) + 1)]
        self.types = [str(kind) for kind in frame.dtypes]

    def count(self) -> int:
        """Return how many rows there are."""
        return len(self.frame)

    def blocks(
        self, columns: Sequence[int], *, kept: NDArray[np.int64] | None = None
    ) -> Iterator[Block]:
        """Yield columns of all rows, or of those that are `kept`."""
        every = np.arange(len(self.frame)) if kept is None else kept
        for start in range(0, len(every), _AT_ONCE):
            rows = every[start : start + _AT_ONCE]
            part = self.frame.iloc[rows]
            cells = [frame_cells(part.iloc[:, column]) for column in columns]
            yield Block(rows.tolist(), cells)


def frame_cells(column: Any) -> Cells:
    """Return a column of pandas as numbers if it holds numbers, else as a list of values.

    What is missing is NaN among numbers, and None among others.
    """
    kind = getattr(column.dtype, "kind", "O")
    if kind in "biuf":
        missing = column.isna()
        if kind in "biu" and not missing.any():
            whole: NDArray[Any] = column.to_numpy()
            return whole
        numbers: NDArray[np.float64] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    if kind == "M":
        return [None if _is_missing(value) else str(value) for value in column]
    return [None if _is_missing(value) else value for value in column.tolist()]


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value
