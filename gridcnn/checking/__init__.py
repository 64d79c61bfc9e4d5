"""Checking whether the order of data carries information, whatever form the data has.

Each form has a loader, which returns one `Sample`; one function judges it.
"""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

from gridcnn.checking.asked import Asked
from gridcnn.checking.memory import from_memory
from gridcnn.checking.specs import from_source, from_spec
from gridcnn.checking.stored import from_arrays
from gridcnn.checking.tables import from_table
from gridcnn.datasets.tables.items import ENDINGS
from gridcnn.datasets.tables.lines import ending_of
from gridcnn.errors import DataError, Problem, listed, quoted, shown, suggestion
from gridcnn.notes import refuse_notes
from gridcnn.order.sample import Sample, judge
from gridcnn.order.verdict import Verdict
from gridcnn.pipelines import ready
from gridcnn.progress import Advance
from gridcnn.spec.load import load
from gridcnn.spec.models import SOURCES, Spec

__all__ = ["check"]


def check(
    X: Any,  # noqa: N803 - scikit-learn's name
    y: Any = None,
    *,
    shape: tuple[int, int] | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    strict: bool = False,
    advance: Advance | None = None,
) -> Verdict:
    """Return whether the order of columns, or of the cells of grids, carries information.

    Column names are ignored. If there are many rows, some are drawn at random, and the evidence
    says so.

    `run`, `cross_validate` and `GridClassifier` judge the same data by the same function. For a
    spec, a folder or a known data set, the training items are judged, drawn with the seed of the
    spec, as a run draws them: the verdict is that of the run. Three differences remain:

    - A table, or an array, without a spec has no training part: all of its rows are judged. A run
      leaves validation and test items alone, so that nothing is learned from them. It judges the
      columns that its spec takes, and, if the adapter has a `size`, only the layout of the spec.
    - Too little data for a verdict is an error here, and "undecided" in a run, which then goes on.
    - A run trains no network if neighbours have settled the verdict, and does not check pictures,
      sounds, texts and molecules, whose adapters make the order.

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
        seed: fixes everything that is drawn at random, as `training.seed` of a spec does; None:
            that of the spec, or else 0.
        threads: the most threads.
        strict: whether notes on the data are errors.
        advance: is called with a `gridcnn.progress.Progress` as the check goes on.

    Raises:
        DataError: the data cannot be read, or has too few rows or columns for any verdict; or there
            are notes on it, and it is `strict`.
        SpecError, UnknownNameError: the spec is wrong, or nothing has that name.
    """
    if shape is not None:
        shape = _read_shape(shape)
    if seed is not None and (isinstance(seed, bool) or not hasattr(seed, "__index__") or seed < 0):
        raise DataError(f"seed must be a whole number of 0 or more; got {shown(seed)}")
    sample = _sample(X, Asked(y, header, encoding, seed, advance))
    if strict:
        refuse_notes(sample.notes)
    return judge(sample, threads=threads, advance=advance, shape=shape)


def _read_shape(shape: Any) -> tuple[int, int]:
    """Return the rows and columns of a grid as they were given.

    Raises:
        DataError: they are not two whole numbers of at least 1.
    """
    try:
        rows, columns = (operator.index(each) for each in shape)
    except (TypeError, ValueError):
        rows = columns = 0
    if rows < 1 or columns < 1:
        raise DataError(f"shape is two whole numbers, (rows, columns); got {shown(shape)}")
    return rows, columns


def _sample(data: Any, request: Asked) -> Sample:
    if isinstance(data, Spec | dict):
        return from_spec(load(data, ready=ready()), request)
    if isinstance(data, str | os.PathLike):
        return _by_name(os.fspath(data), request)
    return from_memory(data, request)


def _by_name(text: str, request: Asked) -> Sample:
    """Return the sample of the data that a path or a known name stands for."""
    path = Path(text).expanduser() if "\0" not in text else Path()
    name = text.lower()
    if name.endswith((".yaml", ".yml")) or (path / "spec.yaml").is_file():
        return from_spec(load(text, ready=ready()), request)
    if path.is_file() and ending_of(name) in ENDINGS:
        return from_table(text, request)
    if path.is_file() and name.endswith((".npy", ".npz")):
        return from_arrays(text, request)
    if not path.exists() and text in ready():
        return from_spec(load(text, ready=ready()), request)
    known = text in SOURCES.names() and SOURCES[text].named
    plain = Path(text).name == text and "." not in text
    if not path.exists() and not known and plain:
        names = sorted({*ready(), *(n for n in SOURCES.names() if SOURCES[n].named)})
        raise DataError(
            f"{quoted(text)} is neither a file, nor a folder, nor a known data set or ready spec"
            f"{suggestion(text, names) or '.'} Known: {listed(names)}"
        )
    if path.is_file() and not name.endswith((".gz", "ubyte")):
        endings = listed(ENDINGS)
        message = f"is neither a table nor a data set; tables are {endings}, arrays .npy and .npz"
        raise DataError(Problem(message, source=text))
    return from_source(text, request)
