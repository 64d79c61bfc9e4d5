"""Checking whether the order of data carries information, whatever form the data has."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.adapter import OneHotAdapter, Selection, picked
from gridcnn.datasets.labels import labels_of
from gridcnn.datasets.problems import Problems, bad_items_error
from gridcnn.datasets.readers import arrays
from gridcnn.datasets.readers.manifest import is_manifest
from gridcnn.datasets.tables.columns import table_columns
from gridcnn.datasets.tables.frames import is_frame
from gridcnn.datasets.tables.items import ENDINGS, opened_rows, place_of
from gridcnn.datasets.tables.lines import ending_of
from gridcnn.datasets.tables.rows import Form
from gridcnn.errors import DataError, Problem, listed, quoted, shown, suggestion
from gridcnn.grid import Cells, GridShape, OneHot
from gridcnn.order.columns import Column, column_of
from gridcnn.order.judge import (
    Judging,
    judge_columns,
    judge_grids,
    refuse_too_few,
    sampled,
)
from gridcnn.order.sequences import judge_one_hot
from gridcnn.order.verdict import Verdict
from gridcnn.pipelines import ready
from gridcnn.progress import Advance
from gridcnn.runs.located import locate, spec_folder
from gridcnn.runs.notes import remark_notes
from gridcnn.runs.prepare import fit_adapter, places_of
from gridcnn.spec.load import load
from gridcnn.spec.models import SOURCES, Data, Spec
from gridcnn.streams import Stream

_HELD = 16_000_000  # cells of all items together, which bounds the memory of large grids
_FEWEST_ITEMS = 400  # that are taken however large the grids are
_LABELS = ("label", "class", "target", "y", "labels", "classes")
"""Columns that are asked about: they are often the classes, and count as data all the same."""
_MANIFEST = {"path", "label", "split"}


def check(
    X: Any,  # noqa: N803 - scikit-learn's name
    y: Any = None,
    *,
    shape: tuple[int, int] | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    seed: int = 0,
    threads: int | None = None,
    advance: Advance | None = None,
) -> Verdict:
    """Return whether the order of columns, or of the cells of grids, carries information.

    What columns are called has no say. Of many rows some are drawn at random; the evidence says so.

    Args:
        X: a table: an array or list of rows `(rows, columns)`, a DataFrame, or the path of a CSV,
            TSV, JSON Lines, Parquet, `.npy` or `.npz` file. Or grids: an array `(items, rows,
            columns)`, or with channels first or last; a folder of pictures or sounds, a known data
            set, or a spec (its ready name, file, mapping or `Spec`), whose data its adapter brings.
        y: the classes: a sequence of labels, one for each row, or the name of a column of `X`.
            Without them nothing is trained, and every column counts as data. Data sets and folders
            have labels of their own.
        shape: rows and columns of the grid that the columns of a table are said to be.
        header: whether the first line of a CSV or TSV file names the columns; None: unless it holds
            numbers alone.
        encoding: how the characters of a text file are encoded; None: UTF-8 or UTF-16.
        seed: fixes everything that is drawn at random.
        threads: the most threads.
        advance: is called with a `gridcnn.progress.Progress` each time some more is done.

    Raises:
        DataError: the data cannot be read, or has too few rows or columns for any verdict.
        SpecError, UnknownNameError: the spec is wrong, or nothing has that name.
    """
    judging = Judging(seed=seed, threads=threads, advance=advance)
    given = _Given(y, shape, header, judging, encoding)
    if isinstance(X, Spec | dict):
        return given.spec(load(X, ready=ready()))
    if isinstance(X, str | os.PathLike):
        return given.named(os.fspath(X))
    return given.memory(X)


@dataclass(frozen=True)
class _Given:
    """How data is to be judged, whatever it is."""

    y: Any
    shape: tuple[int, int] | None
    header: bool | None
    judging: Judging
    encoding: str | None = None

    # By name --------------------------------------------------------------------------------------

    def named(self, text: str) -> Verdict:
        path = Path(text).expanduser() if "\0" not in text else Path()
        name = text.lower()
        if name.endswith((".yaml", ".yml")) or (path / "spec.yaml").is_file():
            return self.spec(load(text, ready=ready()))
        if path.is_file() and ending_of(name) in ENDINGS:
            return self.file(text)
        if path.is_file() and name.endswith((".npy", ".npz")):
            return self.arrays(text)
        if not path.exists() and text in ready():
            return self.spec(load(text, ready=ready()))
        known = text in SOURCES.names() and SOURCES[text].named
        plain = Path(text).name == text and "." not in text
        if not path.exists() and not known and plain:
            names = sorted({*ready(), *(n for n in SOURCES.names() if SOURCES[n].named)})
            raise DataError(
                f"{quoted(text)} is neither a file, nor a folder, nor a known data set"
                f"{suggestion(text, names) or '.'} Known: {listed(names)}"
            )
        if path.is_file() and not name.endswith((".gz", "ubyte")):
            endings = listed(ENDINGS)
            message = f"is no table and no data set; tables are {endings}, arrays .npy and .npz"
            raise DataError(Problem(message, source=text))
        return self._of_spec(Spec(data=Data()), text)

    def file(self, text: str) -> Verdict:
        """Judge the columns of a table's file, of which a part of the rows is kept."""
        judging = self.judging
        place = place_of(text)
        wanted = [self.y] if isinstance(self.y, str) else []
        problems = Problems(place)
        form = Form(header=self.header, encoding=self.encoding)
        with opened_rows(
            place, form, problems, wanted=wanted, complete=True, advance=judging.advance
        ) as rows:
            names, count, form = rows.names, rows.count(), rows.form
            if self.y is None and is_manifest(names) and set(map(str.casefold, names)) <= _MANIFEST:
                return self._of_spec(Spec(data=Data()), text)
        if not count and not problems.count:
            problems.add("has no rows")
        problems.stop_items()
        kept = sampled(count, judging.seed)
        with opened_rows(place, form, problems, complete=True) as rows:
            columns, notes = table_columns(rows, kept)
        problems.stop()
        return self._columns(names, columns, count, kept, notes, source=text)

    def arrays(self, text: str) -> Verdict:
        """Judge the arrays of a NumPy file."""
        X, y = arrays.load(text)  # noqa: N806 - scikit-learn's name
        if self.y is not None and isinstance(self.y, str):
            raise DataError(
                Problem(f"an array has no column {quoted(self.y)}; give labels as y", source=text)
            )
        return replace(self, y=y if self.y is None else self.y).memory(X)

    def spec(self, spec: Spec) -> Verdict:
        """Judge the data of a spec."""
        return self._of_spec(spec, None)

    def _of_spec(self, spec: Spec, data: str | None) -> Verdict:
        if self.y is not None:
            raise DataError("data sets and folders have labels of their own; leave the labels out")
        judging = self.judging
        located = locate(spec, data, spec_folder(spec))
        dataset = located.open()
        chosen = sampled(len(dataset), judging.seed)
        fitted = fit_adapter(located, dataset, chosen)
        adapter, most = fitted.adapter, max(_FEWEST_ITEMS, _HELD // fitted.shape.cells)
        if len(chosen) > most and not isinstance(adapter, OneHotAdapter):
            random = Stream.CHECK_GRIDS.random(judging.seed)
            chosen = np.sort(random.choice(chosen, most, replace=False))
        count = judging.counter("reading items", len(chosen), unit="items").add
        adapted = adapter.adapt_all(
            picked(dataset.things, chosen), names=places_of(dataset, chosen), advance=count
        )
        bad = len(adapted.problems)
        if not len(adapted.kept):
            raise bad_items_error(adapted.problems, len(chosen), "give others")
        targets = dataset.targets(dataset.classes)[chosen[adapted.kept]]
        read = Selection(dataset.things, chosen[adapted.kept])
        remarks = adapter.remarks(read, adapted.grids.values)
        notes = [*map(str, dataset.notes), *remark_notes(remarks)]
        if bad:
            notes.append(
                f"{bad} of {len(chosen)} items cannot be read, and are left out; the first: "
                f"{adapted.problems[0]}"
            )
        shape = adapted.grids.shape
        return self._grids(adapted.grids.values, shape, targets, len(dataset), notes)

    # In memory ------------------------------------------------------------------------------------

    def memory(self, X: Any) -> Verdict:  # noqa: N803 - scikit-learn's name
        """Judge what was given from Python."""
        if is_frame(X):
            return self._frame(X)
        self._refuse_label("only a DataFrame or a table's file has columns with names")
        if hasattr(X, "toarray"):  # a sparse matrix
            X = X.tocsr()  # noqa: N806 - the same
            kept = sampled(X.shape[0], self.judging.seed)
            return self._rows(np.asarray(X[kept].toarray()), X.shape[0], kept)
        if isinstance(X, bytes) or not (hasattr(X, "__len__") or hasattr(X, "__array__")):
            raise DataError(f"{_FORMS}; got {shown(X)}")
        if not hasattr(X, "__array__"):
            X = _listed(X)  # noqa: N806 - the same
        stack = X if isinstance(X, np.ndarray) else np.asarray(X)
        if stack.dtype.names:
            stack = np.stack([stack[name].astype(object) for name in stack.dtype.names], axis=1)
        if stack.ndim not in (2, 3, 4) or not stack.size:
            raise DataError(f"{_FORMS}; got an array of shape {stack.shape}")
        kept = sampled(len(stack), self.judging.seed)
        if stack.ndim > 2:
            return self._stack(stack, kept)
        return self._rows(stack[kept], len(stack), kept)

    def _frame(self, frame: Any) -> Verdict:
        names = [str(name) for name in frame.columns]
        rows = len(frame)
        kept = sampled(rows, self.judging.seed)
        if hasattr(frame, "iloc"):
            part = frame.iloc[kept]
            columns = [_plain(part.iloc[:, n].to_numpy()) for n in range(len(names))]
        else:  # polars and its like
            columns = [_plain(frame[name].to_numpy()[kept]) for name in names]
        return self._columns(names, columns, rows, kept, ())

    def _rows(self, stack: NDArray[Any], rows: int, kept: NDArray[np.int64]) -> Verdict:
        if stack.dtype.kind == "c":
            raise DataError("complex numbers have no order by size; give their parts as columns")
        names = [f"X[:, {number}]" for number in range(stack.shape[1])]
        columns: list[Sequence[Any] | NDArray[Any]] = [_plain(values) for values in stack.T]
        return self._columns(names, columns, rows, kept, (), is_named=False)

    def _stack(self, stack: NDArray[Any], kept: NDArray[np.int64]) -> Verdict:
        if stack.dtype.kind not in "biuf":
            raise DataError(f"grids hold numbers; these hold {stack.dtype}")
        items, cells = len(stack), int(np.prod(stack.shape[1:]))
        targets, notes = self._targets(None if self.y is None else self._labels(items), kept)
        most = max(_FEWEST_ITEMS, _HELD // cells)
        if len(kept) > most:
            random = Stream.CHECK_GRIDS.random(self.judging.seed)
            some = np.sort(random.choice(len(kept), most, replace=False))
            kept, targets = kept[some], None if targets is None else targets[some]
        part = stack[kept]
        # Values that are missing would be refused, and are none of an adapter's business here.
        finite = np.isfinite(part)
        plain = ArrayAdapter(scaling="none").fitted(np.zeros_like(part, np.float32))
        grids = plain.grids(np.where(finite, part, 0))
        values = np.asarray(grids.values)
        if not finite.all():
            there = np.asarray(plain.grids(finite.astype(np.float32)).values)
            values = np.where(there > 0, values, np.nan)
        return self._grids(values, grids.shape, targets, items, notes)

    # Judging --------------------------------------------------------------------------------------

    def _columns(
        self,
        names: list[str],
        cells: Sequence[Sequence[Any] | NDArray[Any]],
        rows: int,
        kept: NDArray[np.int64],
        notes: Sequence[str],
        *,
        source: str = "",
        is_named: bool = True,
    ) -> Verdict:
        label = None
        values: Any = None
        if isinstance(self.y, str):
            label = _place(self.y, names, source)
            values = cells[label]
            values = values.tolist() if isinstance(values, np.ndarray) else values
        elif self.y is not None:
            values = self._labels(rows)
        others = [number for number in range(len(names)) if number != label]
        what = f"the column {quoted(names[label])}" if label is not None else "y"
        rows_of_labels = np.arange(len(kept)) if label is not None else kept
        targets, told = self._targets(values, rows_of_labels, what=what, rows=kept, source=source)
        if len(others) == 1 and all(isinstance(cell, str) for cell in cells[others[0]]):
            return self._texts(cells[others[0]], targets, rows, [*notes, *told])
        columns = [_column(names[number], cells[number], kept) for number in others]
        more = [*notes, *told]
        if is_named:
            more += _about_names(columns, asked=self.y is None)
        more += _about_twins(columns)
        try:
            refuse_too_few(len(columns), len(kept))
            if all(column.kind == "constant" for column in columns):
                raise DataError(
                    f"all {len(columns)} columns have one value only; there is nothing to compare"
                )
            verdict = judge_columns(
                columns, targets, rows=rows, judging=self.judging, shape=self.shape
            )
        except DataError as error:
            raise _at(error, source) from None
        return replace(verdict, evidence=(*verdict.evidence, *more))

    def _texts(
        self,
        texts: Sequence[Any] | NDArray[Any],
        targets: NDArray[np.int64] | None,
        rows: int,
        notes: Sequence[str],
    ) -> Verdict:
        """Judge the one column of a table: texts, character by character."""
        adapter = TextAdapter().fitted(texts)
        grids = adapter.grids(texts)
        return self._grids(grids.values, grids.shape, targets, rows, notes)

    def _grids(
        self,
        values: Cells,
        shape: GridShape,
        targets: NDArray[np.int64] | None,
        items: int,
        notes: Sequence[str],
    ) -> Verdict:
        if self.shape is not None:
            raise DataError(
                f"a shape is for the columns of a table; these are grids of {shape} (channels x "
                "rows x columns) already"
            )
        names = (shape.row_axis.name, shape.column_axis.name)
        if isinstance(values, OneHot):
            verdict = judge_one_hot(
                values.indices, values.rows, targets, names=names, rows=items, judging=self.judging
            )
            return replace(verdict, evidence=(*verdict.evidence, *notes))
        cells = np.asarray(values)
        if shape.channels == 1 and shape.rows == 1:
            columns = [
                column_of(f"column {n + 1}", cell) for n, cell in enumerate(cells[:, 0, 0].T)
            ]
            verdict = judge_columns(columns, targets, rows=items, judging=self.judging)
            return replace(verdict, evidence=(*verdict.evidence, *notes))
        if np.nanmin(cells) == np.nanmax(cells):
            raise DataError("all cells of all items have one value; there is nothing to compare")
        verdict = judge_grids(cells, targets, names=names, rows=items, judging=self.judging)
        return replace(verdict, evidence=(*verdict.evidence, *notes))

    # Labels ---------------------------------------------------------------------------------------

    def _refuse_label(self, why: str) -> None:
        if isinstance(self.y, str):
            raise DataError(f"there is no column {quoted(self.y)}: {why}")

    def _labels(self, rows: int) -> Any:
        y = self.y
        if not hasattr(y, "__len__") or isinstance(y, bytes):
            raise DataError(
                f"y is a list of labels, one for each row, or the name of a column; got {shown(y)}"
            )
        if len(y) != rows:
            raise DataError(f"there are {rows} rows, but {len(y)} labels; give one for each row")
        return y

    def _targets(
        self,
        values: Any,
        kept: NDArray[np.int64],
        *,
        what: str = "y",
        rows: NDArray[np.int64] | None = None,
        source: str = "",
    ) -> tuple[NDArray[np.int64] | None, list[str]]:
        """Return the classes of the rows that are kept, and what is to be told of them."""
        if values is None:
            return None, []
        if hasattr(values, "iloc"):
            values = values.iloc[kept]
        elif isinstance(values, np.ndarray):
            values = values[kept]
        else:
            values = [values[index] for index in kept.tolist()]
        array = _plain(values.to_numpy() if hasattr(values, "to_numpy") else values)
        cells = array.tolist() if isinstance(array, np.ndarray) else list(array)
        missing = [n for n, cell in enumerate(cells) if _is_missing(cell)]
        if missing:
            first = int((kept if rows is None else rows)[missing[0]])
            message = (
                f"{len(missing)} of {len(cells)} labels in {what} are missing, the first in row "
                f"{first + 1}; fill them in, or leave those rows out"
            )
            raise DataError(Problem(message, source=source))
        if any(isinstance(cell, float) and not cell.is_integer() for cell in cells):
            return None, [
                f"{what} holds amounts and no classes; it is left out, and whether the order is "
                "useful is not tried"
            ]
        labels = labels_of(cells, name=what, source=source)
        places = {label: n for n, label in enumerate(dict.fromkeys(labels))}
        return np.array([places[label] for label in labels], np.int64), []


_FORMS = (
    "data is an array or a list of rows (rows, columns), a DataFrame, an array of grids (items, "
    "rows, columns), with channels or without, or a path"
)


def _plain(values: Any) -> Sequence[Any] | NDArray[Any]:
    """Return cells without the many ways in which libraries say that one is missing."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind in "mM":
        return [None if np.isnat(value) else str(value) for value in array]
    return [None if _is_missing(value) else value for value in array.tolist()]


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return bool(value != value) if isinstance(value, float) else value in ("", b"")


def _listed(rows: Any) -> NDArray[Any]:
    """Return a list of rows, or of grids, as one array."""
    items = list(rows)
    if not items or any(isinstance(item, str | bytes | os.PathLike | dict) for item in items):
        first = f", whose first item is {shown(items[0])}" if items else " without any"
        raise DataError(f"{_FORMS}; got a list of {len(items)} items{first}")
    if any(not hasattr(item, "__len__") for item in items):
        raise DataError(f"{_FORMS}; got a list of {shown(items[0])} and others, a single column")
    lengths = Counter(len(item) for item in items)
    if len(lengths) > 1:
        usual = lengths.most_common(1)[0][0]
        odd = next(n for n, item in enumerate(items) if len(item) != usual)
        raise DataError(
            f"row {odd + 1} has {len(items[odd])} cells, but most rows have {usual}; all must be "
            "alike"
        )
    if all(isinstance(item, np.ndarray) for item in items):
        if len({item.shape for item in items}) > 1:
            raise DataError("the arrays in the list differ in shape; all must be alike")
        return np.stack(items)
    if all(isinstance(cell, int | float | np.number) for item in items for cell in item):
        return np.array(items, np.float64)
    if any(isinstance(cell, list | tuple | np.ndarray) for cell in items[0]):
        try:
            return np.array(items, np.float64)
        except (ValueError, TypeError):
            raise DataError(f"{_FORMS}; got a list of lists that are no grids") from None
    table = np.empty((len(items), len(items[0])), object)
    for place, item in enumerate(items):
        table[place] = list(item)
    return table


def _column(name: str, cells: Sequence[Any] | NDArray[Any], kept: NDArray[np.int64]) -> Column:
    """Return a column; one that counts the rows is an identifier, whichever of them are kept."""
    column = column_of(name, cells)
    if column.kind == "number" and len(kept) > 2:
        steps = np.diff(column.values) / np.diff(kept)
        if (steps == steps[0]).all() and steps[0] != 0:
            return replace(column, kind="identifier")
    return column


def _place(label: str, names: Sequence[str], source: str) -> int:
    count = names.count(label)
    if count == 1:
        return names.index(label)
    if count:
        raise DataError(Problem(f"{count} columns are named {quoted(label)}", source=source))
    has = listed([quoted(name)[1:-1] for name in names])
    hint = suggestion(label, names) or "."
    raise DataError(Problem(f"has no column {quoted(label)}{hint} It has: {has}", source=source))


def _about_names(columns: Sequence[Column], *, asked: bool) -> list[str]:
    names = Counter(column.name for column in columns)
    notes = []
    twice = [quoted(name) for name, count in names.items() if count > 1 and name]
    if twice:
        notes.append(f"several columns have the same name: {listed(twice, limit=8)}")
    if asked:
        note = "no column is named as the label, so every column counts as data"
        likely = [name for name in names if name.casefold() in _LABELS]
        if likely:
            note += f", {quoted(likely[0])} as well; name it as the label if it holds the classes"
        notes.append(note)
    return notes


def _about_twins(columns: Sequence[Column]) -> list[str]:
    """Return what is to be told of columns that hold the same values."""
    first: dict[bytes, str] = {}
    twins = []
    for column in columns:
        if column.kind != "constant":
            key = column.values.tobytes() + "\0".join(column.symbols).encode("utf-8", "replace")
            other = first.setdefault(key, column.name)
            if other is not column.name:
                twins.append(f"{quoted(column.name)} as {quoted(other)}")
    if not twins:
        return []
    return [f"columns with the same values as another: {listed(twins, limit=4)}"]


def _at(error: DataError, source: str) -> DataError:
    return DataError(*(Problem(problem.message, source=source) for problem in error.problems))
