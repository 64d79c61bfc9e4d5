"""Tables in files that know types (Parquet, Feather, Excel, Stata), and data frames, as rows."""

from __future__ import annotations

import abc
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.cores import shortage
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.lines import ending_of, too_large
from gridcnn.datasets.tables.pages import largest_page
from gridcnn.datasets.tables.rows import Block, Cells, Form, Rows
from gridcnn.datasets.tables.sheets import sheets_size, tables_size
from gridcnn.errors import DataError, Problem, listed, quoted, shown
from gridcnn.files import open_ordinary
from gridcnn.room import is_shortage

FRAME_ENDINGS = (".parquet", ".pq", ".feather", ".xlsx", ".xls", ".ods", ".dta")
"""Endings of tables whose cells have types."""
_AT_ONCE = 4_096  # rows of a block
_CELLS = 2**20  # cells of a block, at most: a batch of constant columns can be small on disk alone
_BATCH = 2**25  # bytes of a block, about, where the file says how large its values are
_SHORT = 256  # bytes of texts that rows need not share
_UNPACKED = 2  # times that a page of a Parquet file is in memory: unpacked, and as values
_LISTED = 100  # bytes of a value in a list, as an object of Python
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
                opened, schema = _parquet(path, stack)
                pages = stack.enter_context(open_ordinary(path))
                yield ParquetRows(opened, pages, schema, form, problems)
            elif ending == ".feather" and _is_arrow(path):
                yield FeatherRows(path, form, problems)
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
    except (MemoryError, OSError) as error:
        if is_shortage(error):
            raise too_large(path) from error
        message = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise DataError(Problem(message, source=path)) from error
    except Exception as error:
        # Readers of these formats raise dozens of kinds of errors for files that are damaged.
        reason = shown(str(error) or type(error).__name__, limit=100).strip("'\"")
        message = f"is damaged, or not a {ending} file ({reason})"
        raise DataError(Problem(message, source=path)) from error


def _refuse_large(path: str) -> None:
    """Raise `DataError` if a file that is read as a whole may be too large for memory."""
    size = _GROWS * Path(path).stat().st_size
    if ending_of(path) == ".xlsx":
        size = max(size, sheets_size(path))
    elif ending_of(path) == ".ods":
        size = max(size, tables_size(path))
    reason = shortage(size)
    if reason:
        message = (
            f"is too large to be read as a whole: up to {reason}; save it as Parquet or CSV, "
            "which are read in parts"
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
        header = None if form.header is False else 0
        return pandas.read_excel(book, sheet_name=form.sheet or names[0], header=header)


def _parquet(path: str, stack: contextlib.ExitStack) -> tuple[Any, Any]:
    """Return an open Parquet file, and the types that its columns have.

    Texts that the file keeps once, however many rows have them, are not multiplied in reading. Its
    content is not read ahead: that would stay in memory until all is read.
    """
    from pyarrow import parquet

    with parquet.ParquetFile(path) as first:
        about, schema = first.metadata, first.schema_arrow
    once = set()
    if about.num_row_groups:
        for chunk in map(about.row_group(0).column, range(about.num_columns)):
            path_in = chunk.path_in_schema
            if chunk.physical_type == "BYTE_ARRAY" and _RANKED.intersection(chunk.encodings):
                name, _, inner = path_in.partition(".")
                if path_in in schema.names or (name in schema.names and inner in _PACKED):
                    once.add(path_in)
    file = parquet.ParquetFile(path, metadata=about, read_dictionary=sorted(once), pre_buffer=False)
    return stack.enter_context(file), schema


_RANKED = frozenset({"RLE_DICTIONARY", "PLAIN_DICTIONARY"})
"""Encodings of Parquet that keep equal values once."""
_PACKED = ("bytes", "path")
"""What a picture or a sound in a file consists of."""


class _ArrowRows(Rows):
    """An Arrow file; one part at a time is in memory."""

    def __init__(self, schema: Any, form: Form, problems: Problems) -> None:
        super().__init__(problems)
        self.form = form
        # pandas keeps the numbers of rows in a column of such a name.
        columns = [
            n for n, name in enumerate(schema.names) if not name.startswith("__index_level_")
        ]
        self.names = [schema.names[n] for n in columns]
        self.types = [str(schema.types[n]) for n in columns]
        self._indices = columns

    def known_count(self) -> int:
        """Return how many rows there are, which the file says."""
        return self.count()

    @abc.abstractmethod
    def parts(
        self, columns: Sequence[int], kept: NDArray[np.int64] | None
    ) -> Iterator[tuple[int, Any]]:
        """Yield the index of the first row, and the columns, of some rows after the other.

        Rows among which none is `kept` may be passed over.
        """

    def blocks(
        self, columns: Sequence[int], *, kept: NDArray[np.int64] | None = None
    ) -> Iterator[Block]:
        """Yield columns of all rows, or of those that are `kept`."""
        for start, batch in self.parts(columns, kept):
            end = start + len(batch)
            rows = np.arange(start, end) if kept is None else kept[_within(kept, start, end)]
            if len(rows):
                part = batch if kept is None else batch.take(rows - start)
                cells = [self._cells(part.column(self.names[column])) for column in columns]
                yield Block(rows.tolist(), cells)

    def _cells(self, column: Any) -> Cells:
        """Return a column of Arrow as numbers if it holds numbers, else as a list of values."""
        from pyarrow import types

        kind = column.type
        if types.is_nested(kind) and not types.is_struct(kind):
            reason = shortage(_LISTED * len(column.flatten()))
            if reason:
                raise DataError(
                    Problem(f"has lists that are too long: {reason}", source=self.problems.source)
                )
        return _arrow_cells(column)


def _within(rows: NDArray[np.int64], start: int, end: int) -> slice:
    """Return which of the indices, which rise, are from `start` to before `end`."""
    first, last = np.searchsorted(rows, (start, end))
    return slice(int(first), int(last))


class ParquetRows(_ArrowRows):
    """A Parquet file; one part at a time is in memory.

    Args:
        file: the open file.
        pages: the same, as bytes.
        schema: what its columns hold.
        form: as for all rows.
        problems: takes what is wrong.
    """

    def __init__(
        self, file: Any, pages: IO[bytes], schema: Any, form: Form, problems: Problems
    ) -> None:
        super().__init__(schema, form, problems)
        self._file, self._pages = file, pages

    def count(self) -> int:
        """Return how many rows there are."""
        return int(self._file.metadata.num_rows)

    def parts(
        self, columns: Sequence[int], kept: NDArray[np.int64] | None
    ) -> Iterator[tuple[int, Any]]:
        """Yield the rows of one group of the file after the other, some at a time.

        Raises:
            DataError: a page may not fit into memory, by what its header says.
        """
        names, done = [self.names[column] for column in columns], 0
        for group in range(self._file.num_row_groups):
            end = done + self._file.metadata.row_group(group).num_rows
            if kept is None or len(kept[_within(kept, done, end)]):
                step = self._step(group, names)
                for batch in self._file.iter_batches(step, row_groups=[group], columns=names):
                    yield done, batch
                    done += len(batch)
            done = end

    def _step(self, group: int, names: Sequence[str]) -> int:
        """Return how many rows of a group to read at a time, by what the file says of them."""
        about, wanted = self._file.metadata.row_group(group), frozenset(names)
        size = 0
        for chunk in map(about.column, range(about.num_columns)):
            path = chunk.path_in_schema
            if path in wanted or path.partition(".")[0] in wanted:
                self._refuse_large_pages(chunk)
                size += max(chunk.total_uncompressed_size, 8 * chunk.num_values)
        by_size = _BATCH * about.num_rows // max(1, size)
        return int(max(1, min(_AT_ONCE, _CELLS // max(1, len(names)), by_size)))

    def _refuse_large_pages(self, chunk: Any) -> None:
        """Raise `DataError` if a page of a column may not fit into memory once it is unpacked."""
        start = chunk.data_page_offset
        if chunk.has_dictionary_page:
            start = min(start, chunk.dictionary_page_offset)
        try:
            size = largest_page(self._pages, start, start + chunk.total_compressed_size)
        except (
            ValueError
        ):  # encrypted, or damaged; the list of columns says how large all pages are
            size = chunk.total_uncompressed_size
        reason = shortage(_UNPACKED * size)
        if reason:
            message = (
                f"has a page in the column {quoted(chunk.path_in_schema)} that is too large: "
                f"{reason}; write it in smaller pages"
            )
            raise DataError(Problem(message, source=self.problems.source))


class FeatherRows(_ArrowRows):
    """A Feather file, of which a part is in memory at a time: a batch as it was written.

    Args:
        path: the file.
        form: as for all rows.
        problems: takes what is wrong.
    """

    def __init__(self, path: str, form: Form, problems: Problems) -> None:
        from pyarrow import OSFile, dataset, ipc

        self._path = path
        with ipc.open_file(path) as file:
            self._schema, self._batches = file.schema, file.num_record_batches
        with OSFile(path) as source:  # of old versions, this alone counts
            self._count = dataset.IpcFileFormat().make_fragment(source).count_rows()
        super().__init__(self._schema, form, problems)

    def count(self) -> int:
        """Return how many rows there are."""
        return int(self._count)

    def parts(
        self,
        columns: Sequence[int],
        kept: NDArray[np.int64] | None,  # noqa: ARG002 - a batch does not tell its length before
    ) -> Iterator[tuple[int, Any]]:
        """Yield the rows of one batch after the other, some at a time.

        Raises:
            DataError: a batch may not fit into memory, by what the file says of it.
        """
        from pyarrow import ipc

        fields = [self._indices[column] for column in columns]
        row = sum(map(_width, (self._schema.types[field] for field in fields)))
        reason = shortage(row * self._count // max(1, self._batches))
        if reason:
            message = f"is written in parts that are too large: {reason}; write smaller ones"
            raise DataError(Problem(message, source=self._path))
        step, done = max(1, min(_AT_ONCE, _CELLS // max(1, len(fields)))), 0
        options = ipc.IpcReadOptions(included_fields=fields)
        with ipc.open_file(self._path, options=options) as file:
            for number in range(file.num_record_batches):
                batch = file.get_batch(number)
                for start in range(0, len(batch), step):
                    part = batch.slice(start, step)
                    yield done, part
                    done += len(part)


def _is_arrow(path: str) -> bool:
    """Return whether a Feather file is of the second version, which is Arrow's own format."""
    with open_ordinary(path) as file:
        return bool(file.read(6) == b"ARROW1")


def _width(kind: Any) -> int:
    """Return how many bytes a value of a type of Arrow takes; the least where they differ."""
    try:
        return int(-(-kind.bit_width // 8))
    except ValueError:
        return 8


def _arrow_cells(column: Any) -> Cells:
    """Return a column of Arrow as numbers if it holds numbers, else as a list of values."""
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        if not _is_numeric(kind.value_type):
            if _longest(column.dictionary) > _SHORT:
                return _share_values(column)
            return column.dictionary_decode().to_pylist()  # type: ignore[no-any-return]
        column = column.dictionary_decode()
    if _is_numeric(column.type):
        return _numbers(column)
    if types.is_struct(kind) and {field.name for field in kind} <= set(_PACKED):
        fields = [_arrow_cells(column.field(n)) for n in range(kind.num_fields)]
        names = [field.name for field in kind]
        if all(isinstance(each, list) for each in fields):
            there = column.is_valid().to_pylist()
            rows = zip(*fields, strict=True)
            return [
                _file_content(dict(zip(names, row, strict=True))) if valid else None
                for row, valid in zip(rows, there, strict=True)
            ]
    if (types.is_list(kind) or types.is_large_list(kind)) and _is_numeric(kind.value_type):
        # One array, and not an object of Python for each number.
        numbers = _numbers(column.flatten())
        lengths = column.value_lengths()
        ends = np.cumsum(lengths.fill_null(0).to_numpy(zero_copy_only=False))
        return [
            None if length is None else numbers[end - length : end]
            for end, length in zip(ends.tolist(), lengths.to_pylist(), strict=True)
        ]
    return [_file_content(value) for value in column.to_pylist()]


def _is_numeric(kind: Any) -> bool:
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    return any(is_kind(kind) for is_kind in numeric)


def _numbers(column: Any) -> NDArray[Any]:
    from pyarrow import types

    if types.is_decimal(column.type):
        column = column.cast("float64")
    # Whole numbers without gaps stay whole, since they may be labels.
    numbers: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return (
        numbers
        if numbers.dtype.kind in "biuf"
        else column.cast("float64").to_numpy(zero_copy_only=False)
    )


def _longest(values: Any) -> int:
    """Return how many bytes the longest text of an array has, or more than any if it holds none."""
    import pyarrow
    from pyarrow import compute

    try:
        return int(compute.max(compute.binary_length(values)).as_py() or 0)
    except pyarrow.ArrowNotImplementedError:
        return sys.maxsize


def _share_values(column: Any) -> list[Any]:
    """Return a column of Arrow that keeps equal values once: they are the same objects here."""
    used = column.indices.unique().drop_null()
    values = [_file_content(value) for value in column.dictionary.take(used).to_pylist()]
    shared = dict(zip(used.to_pylist(), values, strict=True))
    return [None if index is None else shared[index] for index in column.indices.to_pylist()]


def _file_content(value: Any) -> Any:
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

    def known_count(self) -> int:
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
