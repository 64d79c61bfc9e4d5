"""Manifests: a table, in a file or a data frame, that names the path and label of every item."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gridcnn.contracts.source import Dataset, Label
from gridcnn.datasets import places
from gridcnn.datasets.labels import IN_MEMORY, PART_NAMES, no_part, refuse_twins
from gridcnn.datasets.problems import Problems, bad_items_error
from gridcnn.datasets.several import of_label_sets
from gridcnn.datasets.tables.items import opened_rows, text_of
from gridcnn.datasets.tables.row_labels import labels_of_block
from gridcnn.datasets.tables.rows import Form, Rows
from gridcnn.datasets.tables.store import Allowance
from gridcnn.errors import listed, quoted, shown, suggestion
from gridcnn.settings.label_columns import LabelCells, LabelPattern, Labels, label_columns

COLUMNS = ("path", "label", "split")
_FOREIGN = {
    "path": ("file", "filename", "file_name", "filepath", "file_path", "image", "image_path"),
    "label": ("labels", "class", "class_name", "target", "category", "y"),
}
_SEVERAL = (
    ". If an item may have several labels, name their columns: data.label: [a, b], or "
    "{column: tags, separator: ';'}"
)
_OWN = (
    ". If the items are in the table itself, write "
    "data: {source: {table: {path: ..., input: ..., label: ...}}} in the spec"
)


@dataclass(frozen=True)
class _Row:
    """One item; `place` is its line, or the number of its row.

    `label` is its class. If it may have several labels, these are a frozen set, or marks for each
    column: 1, 0, or NaN if not known. It cannot be used if it is not `labelled`, which is reported.
    """

    place: int
    path: str
    label: Any
    split: str
    group: str
    labelled: bool


def read(
    given: Any,
    *,
    base: Path | None = None,
    group: str | None = None,
    label: Labels | None = None,
) -> Dataset:
    """Return the data that a file, or a data frame, lists.

    The columns are `path` and `label`, and perhaps `split`, which says train, validation or test in
    every row. Others are ignored. Labels of a text file are texts.

    Args:
        given: the path of the file, or a data frame of pandas.
        base: the folder where relative paths start; None: that of the file.
        group: the column of the groups.
        label: the columns of the labels; None: `label`.

    Raises:
        DataError: the file cannot be read, or something is wrong with its columns or rows; every
            bad row is named.
    """
    is_file = isinstance(given, str | os.PathLike)
    given = os.fspath(given) if is_file else given
    problems = Problems(given if is_file else IN_MEMORY)
    asked: Labels = COLUMNS[1] if label is None else label
    with opened_rows(given, Form(), problems, wanted=("path", *label_columns(asked))) as rows:
        where, labels = _columns(rows, group, asked)
        items = _rows(rows, where, labels, asked)
        names = tuple(rows.names[index] for index in labels)
        return _to_dataset(items, rows, base or Path(given).parent, group, asked, names)


def is_manifest(names: Sequence[str], *, labelled: bool = True) -> bool:
    """Return whether a table has the columns of a manifest; `labelled`: also that of the labels."""
    wanted = {"path", "label"} if labelled else {"path"}
    return wanted <= {name.strip().casefold() for name in names}


def _columns(
    rows: Rows, group: str | None, label: Labels
) -> tuple[dict[str, int], tuple[int, ...]]:
    """Return where the columns path, split and group are, and where those of the labels are.

    Raises:
        DataError: one is missing, or is there twice.
    """
    names = [name.casefold() for name in rows.names]
    line = 1 if rows.by_line else None
    where: dict[str, int] = {}
    labels = [name.strip().casefold() for name in label_columns(label)]
    if isinstance(label, LabelPattern):
        used = [name for name in rows.names if name.casefold() in ("path", "split", group)]
        labels = [name.casefold() for name in label.matching(rows.names, used)]
        if not labels:
            rows.problems.add(
                f"no column has a name that the pattern {quoted(label.pattern)} of the labels "
                "matches as a whole",
                line=line,
            )
    others = [] if group is None else [group.strip().casefold()]
    columns = dict.fromkeys(["path", *labels, "split", *others])
    has = listed([quoted(name)[1:-1] for name in rows.names])
    for wanted in columns:
        count = names.count(wanted)
        if count == 1:
            where[wanted] = names.index(wanted)
        elif count:
            rows.problems.add(f"{count} columns are named {quoted(wanted)}; keep one", line=line)
        elif wanted != "split":
            near = next((name for name in _FOREIGN.get(wanted, ()) if name in names), "")
            own = "" if near or wanted != "path" else _OWN
            hint = f"; rename the column '{near}' to '{wanted}'" if near else ""
            hint = hint or suggestion(wanted, names)
            why = ", as data.group says" if wanted in others else ""
            if wanted in labels and label != "label":
                why = ", as data.label says"
            elif wanted == "label" and not near:
                hint += _SEVERAL
            end = "" if hint.endswith("?") else "."
            rows.problems.add(
                f"has no column {quoted(wanted)}{why}{hint}{end} It has: {has}{own}", line=line
            )
    rows.problems.stop()
    about: dict[str, int] = {name: where[name] for name in ("path", "split") if name in where}
    if others:
        about = {**about, "group": where[others[0]]}
    return about, tuple(where[name] for name in labels)


def _rows(
    rows: Rows, where: dict[str, int], where_labels: tuple[int, ...], label: Labels
) -> list[_Row]:
    """Return all rows of the table."""
    items: list[_Row] = []
    kinds, allowance = list(where), Allowance(rows.problems.source)
    allowance.expect(rows.known_count() or 0)
    for block in rows.blocks([*(where[kind] for kind in kinds), *where_labels]):
        allowance.add(len(block.places), rows.least_count)
        cells = dict(zip(kinds, block.columns, strict=False))
        empty = [""] * len(block.places)
        paths, splits, groups = (
            [_path(value) if kind == "path" else text_of(value) for value in cells.get(kind, empty)]
            for kind in ("path", "split", "group")
        )
        names = [rows.names[index] for index in where_labels]
        good = np.ones(len(block.places), np.bool_)
        of_rows = block.columns[len(kinds) :]
        labels = list(labels_of_block(rows, label, names, block.places, of_rows, good))
        items += map(_Row, block.places, paths, labels, splits, groups, good.tolist())
    return items


def _path(value: Any) -> str:
    """Return a path as text; what is missing, or is not a path, is empty."""
    return os.fsdecode(value).strip() if isinstance(value, str | os.PathLike) else ""


def _to_dataset(
    items: Sequence[_Row],
    rows: Rows,
    base: Path,
    group: str | None,
    label: Labels,
    columns: tuple[str, ...],
) -> Dataset:
    """Return rows as a data set, after a look at every file; bad rows are left out.

    `label` says what the labels are, and `columns` are what their columns are called.
    """
    start = places.absolute(base)
    divided, word = any(row.split for row in items), "line" if rows.by_line else "row"
    looker = _Looker(start, group, divided, word)
    good: list[tuple[str, _Row]] = []
    for row in items:
        path = places.join(start, row.path)
        mistakes = looker.problems(row, path)
        for message in mistakes:
            rows.tell(row.place, message)
        if row.labelled and not mistakes:
            good.append((path, row))
    if not items:
        rows.problems.add("lists no items")
    labels: Any = [row.label for _, row in good]
    label_names: tuple[Label, ...] | None = None
    if isinstance(label, LabelCells):
        several = of_label_sets(labels, f"the column {quoted(label.column)}", rows.problems)
        labels, label_names = several.rows, several.names
    elif isinstance(label, str):
        refuse_twins(set(labels), f"the column {quoted(label)}", rows.problems)
    else:
        labels = np.array(labels, np.float32).reshape(len(good), len(columns))
        label_names = columns
    rows.problems.stop()
    bad = rows.problems.items()
    if not good:
        raise bad_items_error(bad, len(items))
    names = [places.printable(row.path).replace(os.sep, "/") for _, row in good]
    places_ = [f"{rows.before}{row.place}: " for _, row in good]
    return Dataset(
        [path for path, _ in good],
        labels,
        names,
        [PART_NAMES[row.split.casefold()] for _, row in good] if divided else None,
        origin=rows.problems.source,
        places=[place + name for place, name in zip(places_, names, strict=True)],
        groups=None if group is None else [row.group for _, row in good],
        bad=bad,
        label_names=label_names,
    )


@dataclass
class _Looker:
    """Looks at the rows of a manifest, one after the other."""

    start: str
    group: str | None
    divided: bool
    word: str
    first: dict[str, _Row] = field(default_factory=dict)
    real: places.RealPaths = field(default_factory=places.RealPaths)

    def problems(self, row: _Row, path: str) -> list[str]:
        """Return everything that is wrong with a row."""
        told = []
        if not row.path:
            told.append("the path is empty")
        elif not places.is_file(path):
            told.append(_missing(row.path, path, self.start))
        else:
            earlier = self.first.setdefault(self.real.of(path), row)
            if earlier is not row:
                told.append(_twice(row, earlier, self.word))
        if self.divided and row.split.casefold() not in PART_NAMES:
            told.append(no_part(row.split))
        if self.group is not None and not row.group:
            name = quoted(self.group)
            told.append(f"the group in {name} is empty; give every row a group")
        return told


def _missing(given: str, path: str, start: str) -> str:
    if "://" in given:
        return f"{shown(given, limit=300)} is a web address; download it, and give its path"
    if places.is_folder(path):
        return f"{shown(given, limit=300)} is a folder; list the files in it"
    hint = ""
    if "\\" in given and os.sep == "/":
        hint = "; write / between folders"
    elif not Path(given).is_absolute():
        hint = f"; a relative path starts at {start}"
    return f"there is no file {shown(given, limit=300)}{hint}"


def _twice(row: _Row, earlier: _Row, word: str) -> str:
    message = f"{shown(row.path, limit=300)} is the same file as in {word} {earlier.place}"
    if row.label != earlier.label:
        message += f", where its label is {shown(earlier.label)} and not {shown(row.label)}"
    return f"{message}; list every file once"
