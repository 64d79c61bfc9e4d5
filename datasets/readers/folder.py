"""Folders of class folders: the name of the folder that a file is in is its label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gridcnn.contracts.source import TRAIN, Dataset
from gridcnn.datasets import places
from gridcnn.datasets.labels import PART_NAMES
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.soundness import sound
from gridcnn.datasets.walking import Entry, Walk, count_endings, label_of_folder
from gridcnn.errors import DataError, Problem, listed

Folders = Literal["auto", "classes", "parts"]
"""What the folders in a folder are; `auto`: parts, if their names and contents look like that."""


def read(root: Path, suffixes: frozenset[str], *, folders: Folders = "auto") -> Dataset:
    """Return the files in the class folders of `root`, each labelled with its class folder's name.

    A class folder may have folders in it. If the folders of `root` have names such as `train` and
    `test`, and the same class folders in them, they are the parts; one that holds files without
    classes is left out. Files whose ending is not among `suffixes` are left out; the notes count
    them. Things are absolute paths, in the order of their names.

    Raises:
        DataError: there are no class folders or only one, a class has no file that can be read,
            files lie beside the class folders, a file is there twice, links lead in a circle, or
            it is not clear whether folders are classes or parts.
    """
    if not suffixes:
        message = (
            "the adapter reads no files; texts and numbers are read from a table: "
            "data: {source: {table: {path: ..., input: ..., label: ...}}}"
        )
        raise DataError(Problem(message, source=str(root)))
    reader = _Reader(Walk(places.absolute(root), Problems(str(root))), suffixes)
    parts = {} if folders == "classes" else _Parts(reader.walk).find(strictly=folders == "parts")
    for folder, part in (parts or {"": ""}).items():
        reader.classes(folder, part)
    reader.problems.stop()
    reader.refuse_twice()
    reader.problems.stop()
    items = reader.items
    return sound(
        Dataset(
            [item.entry.path for item in items],
            [item.label for item in items],
            [places.printable(item.entry.name) for item in items],
            [item.part for item in items] if parts else None,
            origin=str(root),
            notes=reader.notes(parts),
            places=[places.printable(item.entry.path) for item in items],
        )
    )


@dataclass(frozen=True)
class _Item:
    entry: Entry
    label: str
    part: str


@dataclass
class _Reader:
    """Collects the files of class folders."""

    walk: Walk
    suffixes: frozenset[str]
    items: list[_Item] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def problems(self) -> Problems:
        return self.walk.problems

    def classes(self, below: str, part: str) -> None:
        """Collect the class folders of the root, or of its folder `below`."""
        inside = self.walk.inside(below)
        top = places.printable(places.join(self.walk.root, below))
        folders = [entry for entry in inside if entry.is_folder]
        loose = [e for e in inside if not e.is_folder and e.ending in self.suffixes]
        if not folders and not self.problems.count:
            self.problems.add(_no_classes(self.walk, inside, loose), source=top)
            return
        if loose:
            lie = "file lies" if len(loose) == 1 else "files lie"
            names = listed([places.printable(entry.own) for entry in loose], limit=3)
            self.problems.add(
                f"{len(loose)} {lie} beside the class folders, without a class: {names}; "
                "move each into a class folder, or elsewhere",
                source=top,
            )
        if len(folders) == 1 and not loose:
            self._refuse_outer(folders[0], top)
        for folder in folders:
            self._class(folder, part)

    def _refuse_outer(self, only: Entry, top: str) -> None:
        """Add a problem if the one folder in a folder is that of the class folders."""
        inner = [places.printable(e.own) for e in self.walk.inside(only.name) if e.is_folder]
        if len(inner) > 1:
            self.problems.add(
                f"has one folder, and the folders {listed(inner, limit=5)} are in it; if these are "
                f"the classes, give {places.printable(only.path)}",
                source=top,
            )

    def _class(self, folder: Entry, part: str) -> None:
        others: Counter[str] = Counter()
        label = label_of_folder(folder.own)
        before = len(self.items)
        for entry in self.walk.files(folder.name):
            if entry.ending not in self.suffixes:
                others[entry.ending] += 1
            elif places.is_file(entry.path):
                self.items.append(_Item(entry, label, part))
            else:
                message = f"this {places.why_not_file(entry.path)}; remove it"
                self.problems.add(message, source=places.printable(entry.path))
        self.others += others
        if len(self.items) == before:
            what = f"it has only {count_endings(others)}" if others else "it is empty"
            self.problems.add(
                f"the class folder '{places.printable(folder.name)}' has no file that the adapter "
                f"reads ({listed(sorted(self.suffixes))}): {what}; add files, or remove the folder"
            )

    def refuse_twice(self) -> None:
        """Add a problem for every file that is there twice, through links."""
        first: dict[str, Entry] = {}
        for item in self.items:
            earlier = first.setdefault(self.walk.real.of(item.entry.path), item.entry)
            if earlier is not item.entry:
                names = [places.printable(each.name) for each in (item.entry, earlier)]
                self.problems.add(
                    f"{names[0]} and {names[1]} are the same file, through a link; keep one"
                )

    def notes(self, parts: dict[str, str]) -> list[str]:
        """Return what was left out, and which folders are which parts if their names are others."""
        notes = []
        if any(folder != part for folder, part in parts.items()):
            lines = [f"{places.printable(folder)}: {part}" for folder, part in parts.items()]
            notes.append(f"folders are read as parts ({listed(lines)})")
        tops = {folder.partition("/")[0] for folder in parts}
        rest = [e.own for e in self.walk.inside() if e.is_folder and e.own not in tops]
        if parts and rest:
            names = listed([places.printable(name) for name in rest], limit=5)
            notes.append(f"left out, since it has no class folders: {names}")
        count = sum(self.others.values())
        if count:
            files = "file" if count == 1 else "files"
            notes.append(
                f"{count} {files} left out, since the adapter reads only "
                f"{listed(sorted(self.suffixes))}: {count_endings(self.others)}"
            )
        return notes


def _no_classes(walk: Walk, inside: Sequence[Entry], loose: Sequence[Entry]) -> str:
    message = "has no class folders; put the files of each class into a folder named after it"
    tables = [entry.own for entry in inside if entry.ending in (".csv", ".tsv", ".npz", ".parquet")]
    if not inside:
        return f"is an empty folder: it {message}"
    if tables:
        return f"{message}. If {listed(tables, limit=3)} lists or holds the data, give its path"
    above = Walk(str(Path(walk.root).parent), Problems())
    beside = [places.printable(entry.own) for entry in above.inside() if entry.is_folder]
    hint = ""
    if loose and 1 < len(beside) <= 100:
        classes = listed(beside, limit=5)
        hint = f". If it is one of the classes {classes}, give {places.printable(above.root)}"
    return f"{message}: its {len(loose) or len(inside)} files lie in it directly{hint}"


# Parts ------------------------------------------------------------------------------------------


@dataclass
class _Parts:
    """Tells parts from classes."""

    walk: Walk

    def find(self, *, strictly: bool) -> dict[str, str]:
        """Return the part that each folder is, by the folder that has its class folders.

        It is empty if the folders are classes. `strictly`: they must be parts.
        """
        folders = [entry for entry in self.walk.inside() if entry.is_folder]
        inner = {entry.own: self._classes(entry) for entry in folders}
        having = {name: found for name, found in inner.items() if found[1]}
        known = {name: part for name in having if (part := _part(name))}
        named = sum(bool(_part(entry.own)) for entry in folders)
        # A class may be called train too; then there is no other part beside it.
        if TRAIN in known.values() and (named > 1 or len(folders) == 1):
            others = [places.printable(name) for name in having if name not in known]
            if others:
                self._refuse(
                    f"beside the parts {listed(list(known))} there are other folders: "
                    f"{listed(others, limit=5)}; move them away"
                )
            self._refuse_twice(known)
            return {inner[name][0]: part for name, part in known.items()}
        if strictly:
            names = listed([places.printable(entry.own) for entry in folders])
            self._refuse(f"has no folders named train, validation or test with classes in: {names}")
        if len(having) == len(folders) > 1:
            self._refuse_repeated(having)
        return {}

    def _classes(self, folder: Entry) -> tuple[str, set[str]]:
        """Return the folder that holds a part's class folders, and what these are called.

        That may be a folder in it that is called alike, as archives are often unpacked.
        """
        inside = self.walk.inside(folder.name)
        names = {label_of_folder(entry.own) for entry in inside if entry.is_folder}
        if len(inside) == 1 and inside[0].is_folder and inside[0].own == folder.own:
            return self._classes(inside[0])
        return folder.name, names

    def _refuse_repeated(self, having: dict[str, tuple[str, set[str]]]) -> None:
        """Raise `DataError` if the same folders are in all folders: parts, or parts of classes."""
        sets = [names for _, names in having.values()]
        common, every = set.intersection(*sets), set.union(*sets)
        if len(common) < 2 or 2 * len(common) < len(every):
            return
        outer = listed([places.printable(name) for name in having], limit=5)
        setting = "data: {source: {files: {path: ..., folders: classes}}}"
        self._refuse(
            f"the folders {listed(sorted(common), limit=5)} are in each of {outer}; if they are "
            f"the classes, rename the outer folders to train, validation and test; if {outer} are "
            f"the classes, write {setting}"
        )

    def _refuse_twice(self, known: dict[str, str]) -> None:
        for part, count in Counter(known.values()).items():
            if count > 1:
                names = [places.printable(name) for name in known if known[name] == part]
                self._refuse(f"the folders {listed(names)} would all be the part '{part}'")

    def _refuse(self, message: str) -> None:
        self.walk.problems.add(message)
        self.walk.problems.stop()


def _part(name: str) -> str:
    """Return the part that a folder's name means: train for `seg_train`; empty if none."""
    words = [PART_NAMES.get(word) for word in re.split(r"[-_. ]+", name.casefold())]
    parts = {word for word in words if word}
    return parts.pop() if len(parts) == 1 else ""
