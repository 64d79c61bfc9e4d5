"""Manifests: a table, in a CSV file or in pandas, that names the path and label of every item."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridcnn.contracts.source import TEST, TRAIN, VALIDATION, Dataset, Label
from gridcnn.datasets import places
from gridcnn.datasets.labels import labels_of
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.soundness import sound
from gridcnn.datasets.tables import delimited
from gridcnn.errors import listed, quoted, shown, suggestion

PART_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "val": VALIDATION,
    "valid": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""How data may spell its parts."""

_FOREIGN = {
    "path": ("file", "filename", "file_name", "filepath", "file_path", "image", "image_path"),
    "label": ("labels", "class", "class_name", "target", "category", "y"),
    "split": ("part", "set", "subset", "partition", "fold"),
}
_OWN = (
    ". Where the items stand in the table itself, write "
    "data: {source: {table: {path: ..., input: ..., label: ...}}} in the spec"
)


@dataclass(frozen=True)
class Row:
    """One item of a table; `place` is its line in a file, or says which row it is."""

    place: int | str
    path: str
    label: Label
    split: str
    group: str = ""


def read(file: str | os.PathLike[str], *, group: str | None = None) -> Dataset:
    """Return the data that a CSV file lists.

    The first line names the columns: `path` and `label`, and perhaps `split`, which says train,
    validation or test in every row. Others are left alone. Columns are separated by commas,
    semicolons or tabs. A relative path starts at the folder of the file. Labels are texts.
    `group` is a column that says what belongs together.

    Raises:
        DataError: the file cannot be read, or something is wrong with its columns or rows; every
            bad line is named.
    """
    place = os.fspath(file)
    found = Problems(place)
    rows = _rows(delimited.content(place, what="a manifest"), place, found, group)
    return _collected(rows, base=Path(place).parent, found=found, group=group)


def from_table(table: Any, *, base: Path, group: str | None = None) -> Dataset:
    """Return the data that a pandas DataFrame lists, by the rules of `read`.

    Labels may be whole numbers too. Relative paths start at the folder `base`.

    Raises:
        DataError: columns are missing, or something is wrong with rows; every bad row is named.
    """
    found = Problems("the DataFrame")
    where = _columns([str(name) for name in table.columns], found, group)
    found.stop()
    labels = labels_of(table.iloc[:, where["label"]], name="label", source=found.source)
    paths = table.iloc[:, where["path"]].tolist()
    splits = table.iloc[:, where["split"]].tolist() if "split" in where else [""] * len(paths)
    groups = table.iloc[:, where["group"]].tolist() if "group" in where else [""] * len(paths)
    rows = [
        Row(f"row {index}", _cell(path), label, _cell(split), _group_cell(name))
        for index, (path, label, split, name) in enumerate(
            zip(paths, labels, splits, groups, strict=True)
        )
    ]
    return _collected(rows, base=base, found=found, group=group)


def _cell(value: Any) -> str:
    """Return a cell of a DataFrame as text; a missing one, and what is no text, is empty."""
    return os.fsdecode(value).strip() if isinstance(value, str | os.PathLike) else ""


def _group_cell(value: Any) -> str:
    """Return the name of a group, which may be a number; a missing one is empty."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int) else _cell(value)


def _rows(text: str, place: str, found: Problems, group: str | None) -> list[Row]:
    sign = delimited.delimiter(text.split("\n", 1)[0], place, wanted=("path", "label"))
    lines = delimited.rows(text, delimiter=sign, found=found)
    _, header = next(lines, (1, []))
    where = _columns(header, found, group)
    found.stop()
    rows: list[Row] = []
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            found.add(
                f"has {len(cells)} {'cell' if len(cells) == 1 else 'cells'}, but the first "
                f"line names {len(header)}; put quotes around a cell with a separator in it",
                line=line,
            )
            continue
        split = cells[where["split"]].strip() if "split" in where else ""
        path, label = cells[where["path"]].strip(), cells[where["label"]].strip()
        if not label:
            found.add("the label is empty; give every item a label", line=line)
        name = cells[where["group"]].strip() if "group" in where else ""
        rows.append(Row(line, path, label, split, name))
    return rows


def _columns(header: Sequence[str], found: Problems, group: str | None) -> dict[str, int]:
    """Return where the columns path, label, split and group are; `group` is its name."""
    names = [name.strip().casefold() for name in header]
    where: dict[str, int] = {}
    if not any(names):
        found.add("is empty; its first line must name the columns path and label", line=1)
        return where
    for wanted, foreign in _FOREIGN.items():
        places = [index for index, name in enumerate(names) if name == wanted]
        if len(places) > 1:
            found.add(f"{len(places)} columns are named '{wanted}'; keep one", line=1)
        elif places:
            where[wanted] = places[0]
        elif wanted != "split":
            near = next((name for name in foreign if name in names), "")
            own = "" if near or wanted != "path" else _OWN
            hint = (
                f"; rename the column '{near}' to '{wanted}'"
                if near
                else suggestion(wanted, names).replace("?", "")
            )
            found.add(
                f"has no column '{wanted}'{hint}. The first line names the columns, and has: "
                f"{listed([shown(name)[1:-1] for name in header])}{own}",
                line=1,
            )
    if group is not None:
        _group_column(group, header, where, found)
    return where


def _group_column(
    group: str, header: Sequence[str], where: dict[str, int], found: Problems
) -> None:
    """Add where the column `group` is, or a problem."""
    names = [name.strip().casefold() for name in header]
    places = [index for index, name in enumerate(names) if name == group.strip().casefold()]
    if len(places) == 1:
        where["group"] = places[0]
        return
    problem = f"{len(places)} columns are" if places else "no column is"
    hint = "" if places else suggestion(group, names)
    found.add(
        f"{problem} named {quoted(group)}, as data.group says{hint or '.'} It has: "
        f"{listed([shown(name)[1:-1] for name in header])}",
        line=1,
    )


def _collected(rows: Iterable[Row], *, base: Path, found: Problems, group: str | None) -> Dataset:
    """Return rows as a data set, after a look at every file."""
    start = places.absolute(base)
    real = places.RealPaths()
    first: dict[str, Row] = {}
    rows = list(rows)
    divided = any(row.split for row in rows)
    kept: list[tuple[str, Row]] = []
    for row in rows:
        problem = ""
        path = places.joined(start, row.path)
        if not row.path:
            problem = "the path is empty"
        elif not places.is_file(path):
            problem = _missing(row.path, path, start)
        else:
            earlier = first.setdefault(real.of(path), row)
            if earlier is not row:
                problem = _twice(row, earlier)
        if problem:
            _add(found, row, problem)
        if divided and row.split.casefold() not in PART_NAMES:
            _add(found, row, no_part(row.split))
        if group is not None and not row.group:
            _add(
                found,
                row,
                f"the group in {quoted(group)} is empty; say in every row what it belongs to",
            )
        kept.append((path, row))
    if not rows and not found.count:
        found.add("lists not one item")
    found.stop()
    return sound(
        Dataset(
            [path for path, _ in kept],
            [row.label for _, row in kept],
            [places.printable(row.path).replace(os.sep, "/") for _, row in kept],
            [PART_NAMES[row.split.casefold()] for _, row in kept] if divided else None,
            origin=found.source,
            places=[_place(row, found.source) for _, row in kept],
            groups=None if group is None else [row.group for _, row in kept],
        )
    )


def _place(row: Row, source: str) -> str:
    """Return where a row's item stands: the file and its line, or the row, and the path."""
    where = f"{source}:{row.place}" if isinstance(row.place, int) else f"{source}, {row.place}"
    return f"{where}: {places.printable(row.path)}"


def _add(found: Problems, row: Row, message: str) -> None:
    if isinstance(row.place, int):
        found.add(message, line=row.place)
    else:
        found.add(f"{row.place}: {message}")


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


def _twice(row: Row, earlier: Row) -> str:
    place = f"line {earlier.place}" if isinstance(earlier.place, int) else earlier.place
    message = f"{shown(row.path, limit=300)} is the same file as in {place}"
    if row.label != earlier.label:
        message += f", where its label is {shown(earlier.label)} and not {shown(row.label)}"
    return f"{message}; list every file once"


def no_part(given: str) -> str:
    """Return what is wrong with the name of a part."""
    if not given:
        return "the split is empty; give train, validation or test in every row, or in none"
    near = suggestion(given, PART_NAMES)
    return f"the split {shown(given, limit=300)} must be train, validation or test{near}"
