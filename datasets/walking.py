"""Walking through folders: which files count, by one rule for everything that reads folders.

What systems leave in folders is skipped, and so is what is hidden. Links are followed, but not back
into a folder that they are in. Pipes, devices and sockets are never opened.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.errors import listed

SKIPPED = frozenset(
    {
        "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle",
        "$recycle.bin", "system volume information", "lost+found", "__pycache__",
    }
)  # fmt: skip
"""What systems leave in folders, lower case; names that start with a dot are skipped anyway."""


@dataclass(frozen=True)
class Entry:
    """A file or a folder.

    Attributes:
        path: where it is.
        name: its path from the root of the walk, with `/` between folders.
        is_folder: whether it is a folder, or a link to one.
    """

    path: str
    name: str
    is_folder: bool

    @property
    def own(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]

    @property
    def ending(self) -> str:
        """The ending of its name, lower case, with the dot."""
        return places.ending(self.own)


def label_of_folder(name: str) -> str:
    """Return the class that a folder's name means: a letter and its accent are one character."""
    return unicodedata.normalize("NFC", places.printable(name))


class Walk:
    """Looks into folders below a root; problems are added to `problems`.

    Args:
        root: the folder.
        problems: takes what cannot be read.
    """

    def __init__(self, root: str, problems: Problems) -> None:
        self.root = root
        self.problems = problems
        self.real = places.RealPaths()

    def inside(self, folder: str = "") -> list[Entry]:
        """Return what a folder holds, by its name from the root, sorted by name."""
        place = places.join(self.root, folder)
        try:
            with os.scandir(place) as entries:
                found = [
                    Entry(entry.path, f"{folder}/{entry.name}" if folder else entry.name, is_folder)
                    for entry in entries
                    if not is_skipped(entry.name)
                    for is_folder in [entry.is_dir()]
                ]
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            self.problems.add(message, source=places.printable(place))
            return []
        return sorted(found, key=lambda entry: entry.name)

    def files(self, folder: str = "") -> Iterator[Entry]:
        """Yield all files in a folder and below, sorted by their names."""
        # Of a folder inside, the root is above it as well: links lead back to that, too.
        yield from self._below(folder, (self.real.of_folder(self.root),) if folder else ())

    def _below(self, folder: str, above: tuple[str, ...]) -> Iterator[Entry]:
        place = places.join(self.root, folder)
        real = self.real.of_folder(place)
        if real in above:
            self.problems.add(
                f"this link leads back to '{places.printable(real)}', which it is in; remove it",
                source=places.printable(place),
            )
            return
        for entry in self.inside(folder):
            if entry.is_folder:
                yield from self._below(entry.name, (*above, real))
            else:
                yield entry

    def endings(self) -> Counter[str]:
        """Return how often each ending occurs among the files in the folders of the root."""
        quiet = Walk(self.root, Problems())
        return Counter(entry.ending for entry in quiet.files() if "/" in entry.name)


def is_skipped(name: str) -> bool:
    """Return whether a file or folder does not count, by its name."""
    return name.startswith(".") or name.lower() in SKIPPED


def count_endings(endings: Counter[str]) -> str:
    """Return counts of endings in words: `3 .txt, 1 without an ending`."""
    return listed(
        [
            f"{count} {places.printable(ending) or 'without an ending'}"
            for ending, count in endings.most_common()
        ],
        limit=5,
    )
