"""Folders of class folders: the name of the folder that a file is in is its label."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gridcnn.contracts.source import Dataset
from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.manifest import PART_NAMES
from gridcnn.datasets.soundness import sound
from gridcnn.errors import DataError, Problem, listed

_SYSTEM = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"})
"""What systems leave in folders, lower case; names that start with a dot are passed over anyway."""


def read(root: Path, suffixes: frozenset[str]) -> Dataset:
    """Return the files in the class folders of `root`, each labelled with its class folder's name.

    A class folder may have folders in it. Where `root` has the folders `train` and `test`, or
    `train` and `validation` (or `val`, `valid`), with class folders in them, these are the parts.
    Hidden files are passed over; files whose ending is not among `suffixes` are left out, and
    counted in the notes. Things are absolute paths, in the order of their names.

    Raises:
        DataError: there are no class folders or only one, a class has no file that can be read,
            files lie beside the class folders, a file is there twice, or links lead in a circle.
    """
    found = Problems(str(root))
    if not suffixes:
        raise DataError(
            Problem(
                "the adapter reads no files; texts and numbers are read from a table: "
                "data: {source: {table: {path: ..., input: ..., label: ...}}}",
                source=str(root),
            )
        )
    walk = _Walk(root=places.absolute(root), suffixes=suffixes, found=found)
    files, folders = walk.listing(walk.root)
    parts = _part_folders(walk, folders)
    if parts:
        _refuse_others(folders, parts, found)
        walk.refuse_loose(walk.root, files)
        for name in parts:
            walk.classes(name, PART_NAMES[name.casefold()])
    else:
        walk.classes("", "")
    found.stop()
    walk.refuse_twice()
    found.stop()
    notes = [walk.note()] if walk.others else []
    return sound(
        Dataset(
            [item.path for item in walk.items],
            [item.label for item in walk.items],
            [item.name for item in walk.items],
            [item.part for item in walk.items] if parts else None,
            origin=str(root),
            notes=notes,
            places=[places.printable(item.path) for item in walk.items],
        )
    )


def endings(root: str) -> Counter[str]:
    """Return how often each ending occurs among the files in the folders of `root`.

    Endings are lower case, with the dot. What lies in `root` itself, what is hidden and what
    cannot be read is not counted, and links that lead in a circle are followed once.
    """
    walk = _Walk(root=root, suffixes=frozenset(), found=Problems(root))
    counts: Counter[str] = Counter()
    waiting = [entry.path for entry in walk.listing(root)[1]]
    seen: set[str] = set()
    while waiting:
        folder = waiting.pop()
        real = walk.real.of_folder(folder)
        if real not in seen:
            seen.add(real)
            files, folders = walk.listing(folder)
            counts.update(places.ending(entry.name) for entry in files)
            waiting += [entry.path for entry in folders]
    return counts


@dataclass(frozen=True)
class _Item:
    path: str
    name: str
    label: str
    part: str
    real: str


@dataclass
class _Walk:
    """One walk through a folder, and what it met."""

    root: str
    suffixes: frozenset[str]
    found: Problems
    items: list[_Item] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    real: places.RealPaths = field(default_factory=places.RealPaths)

    def listing(self, folder: str) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
        """Return the files and the folders in a folder, without hidden ones, sorted by name."""
        files: list[os.DirEntry[str]] = []
        folders: list[os.DirEntry[str]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if not entry.name.startswith(".") and entry.name.lower() not in _SYSTEM:
                        (folders if entry.is_dir() else files).append(entry)
        except OSError as error:
            self.found.add(f"cannot be read: {error.strerror or error}", source=folder)
        return files, folders

    def classes(self, below: str, part: str) -> None:
        """Collect the class folders of the root, or of its folder `below`."""
        top = places.joined(self.root, below)
        files, folders = self.listing(top)
        if not folders and not self.found.count:
            self.found.add(_no_classes(files, self.suffixes), source=top)
            return
        self.refuse_loose(top, files)
        for folder in folders:
            before, others = len(self.items), self.others.copy()
            name = f"{below}/{folder.name}" if below else folder.name
            self._collect(name, label=places.printable(folder.name), part=part, above=(top,))
            if len(self.items) == before:
                self._empty(name, self.others - others)

    def _collect(self, name: str, *, label: str, part: str, above: tuple[str, ...]) -> None:
        """Collect the files of the folder `name`, a path from the root, and of those in it."""
        folder = places.joined(self.root, name)
        real = self.real.of_folder(folder)
        if real in [self.real.of_folder(one) for one in above]:
            self.found.add(
                f"this link leads back to '{places.printable(real)}', which it is in; remove it",
                source=folder,
            )
            return
        files, folders = self.listing(folder)
        for entry in files:
            if places.ending(entry.name) not in self.suffixes:
                self.others[_ending(entry.name)] += 1
            elif not entry.is_file():
                self.found.add("this link leads to no file; remove or repair it", source=entry.path)
            else:
                target = self.real.of(entry.path, link=entry.is_symlink())
                shown_name = places.printable(f"{name}/{entry.name}")
                self.items.append(_Item(entry.path, shown_name, label, part, target))
        for inner in folders:
            below = f"{name}/{inner.name}"
            self._collect(below, label=label, part=part, above=(*above, folder))

    def _empty(self, name: str, others: Counter[str]) -> None:
        what = f"it has only {_counted(others)}" if others else "it is empty"
        self.found.add(
            f"the class folder '{places.printable(name)}' has no file that the adapter reads "
            f"({listed(sorted(self.suffixes))}): {what}; add files, or remove the folder",
        )

    def refuse_loose(self, folder: str, files: list[os.DirEntry[str]]) -> None:
        """Add a problem for readable files that have no class."""
        loose = [entry.name for entry in files if places.ending(entry.name) in self.suffixes]
        if loose:
            self.found.add(
                f"{len(loose)} {'file lies' if len(loose) == 1 else 'files lie'} beside the class "
                f"folders, and so without a class: {listed(loose, limit=3)}; move each into a "
                "class folder, or away",
                source=folder,
            )

    def refuse_twice(self) -> None:
        """Add a problem for every file that is there twice, through links."""
        first: dict[str, _Item] = {}
        for item in self.items:
            earlier = first.setdefault(item.real, item)
            if earlier is not item:
                self.found.add(
                    f"{item.name} and {earlier.name} are the same file, through a link; keep one"
                )

    def note(self) -> str:
        """Return how many files were left out."""
        count = sum(self.others.values())
        return (
            f"{count} {'file' if count == 1 else 'files'} left out, since the adapter reads only "
            f"{listed(sorted(self.suffixes))}: {_counted(self.others)}"
        )


def _part_folders(walk: _Walk, folders: list[os.DirEntry[str]]) -> list[str]:
    """Return the names of the folders that are parts, or none if the folders are classes.

    A class may be called "train" too: parts have class folders in them, and beside `train` there is
    another part, or nothing at all.
    """
    parts = [entry for entry in folders if entry.name.casefold() in PART_NAMES]
    kinds = {PART_NAMES[entry.name.casefold()] for entry in parts}
    if "train" not in kinds or (len(folders) > 1 and len(kinds) == 1):
        return []
    return [entry.name for entry in parts] if all(walk.listing(e.path)[1] for e in parts) else []


def _refuse_others(folders: list[os.DirEntry[str]], parts: list[str], found: Problems) -> None:
    twice = Counter(PART_NAMES[name.casefold()] for name in parts)
    for part, count in twice.items():
        if count > 1:
            names = [name for name in parts if PART_NAMES[name.casefold()] == part]
            found.add(f"the folders {listed(names)} would all be the part '{part}'; keep one")
    others = [entry.name for entry in folders if entry.name not in parts]
    if others:
        found.add(
            f"beside the parts {listed(parts)} there are other folders: {listed(others, limit=5)}; "
            "move them away"
        )


def _no_classes(files: list[os.DirEntry[str]], suffixes: frozenset[str]) -> str:
    endings = Counter(_ending(entry.name) for entry in files)
    tables = [
        entry.name for entry in files if entry.name.lower().endswith((".csv", ".tsv", ".npz"))
    ]
    message = "has no class folders; put the files of each class into a folder named after it"
    if not files:
        return f"is an empty folder: it {message}"
    if tables:
        return f"{message}. If {listed(tables, limit=3)} lists or holds the data, give its path"
    readable = sum(endings[ending] for ending in suffixes)
    return f"{message}: its {readable or len(files)} files lie in it directly"


def _ending(name: str) -> str:
    return places.ending(name) or "without an ending"


def _counted(endings: Counter[str]) -> str:
    return listed(
        [f"{count} {places.printable(ending)}" for ending, count in endings.most_common()], limit=5
    )
