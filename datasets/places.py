"""Paths as plain texts: with a hundred thousand files, `pathlib` would take most of the time."""
# ruff: noqa: PTH100, PTH110, PTH111, PTH112, PTH113, PTH114, PTH118, PTH122, PTH202

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import overload


def absolute(path: str | os.PathLike[str]) -> str:
    """Return a path from the root, without `..`; links stay links."""
    return os.path.abspath(os.fspath(path))


def at_home(path: str) -> str:
    """Return a path with a leading `~` replaced; unlike pathlib's, it never fails."""
    return os.path.expanduser(path)


def join(folder: str, name: str) -> str:
    """Return the path of `name`, which may be a path itself, in a folder."""
    return os.path.normpath(os.path.join(folder, name))


def ending(name: str) -> str:
    """Return the ending of a file's name, small, with the dot; empty if it has none."""
    return os.path.splitext(name)[1].lower()


def is_file(path: str) -> bool:
    """Return whether there is a file, or a link to one."""
    return "\0" not in path and os.path.isfile(path)


def why_not_file(path: str) -> str:
    """Return what is wrong with a path that is not a file, as a text to follow the path."""
    if not os.path.lexists(path):
        return "there is no such file"
    if not os.path.exists(path):
        return "is a link to a file that does not exist"
    return "is a folder" if os.path.isdir(path) else "is a device, a pipe or a socket, not a file"


def size(path: str) -> int:
    """Return how many bytes a file has; 0 if that is not known."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def is_folder(path: str) -> bool:
    """Return whether there is a folder, or a link to one."""
    return "\0" not in path and os.path.isdir(path)


class RealPaths:
    """Where files really are, every link followed; each folder is looked up only once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: str, *, link: bool | None = None) -> str:
        """Return the real path; `link` says whether the file itself is a link, where known."""
        if os.path.islink(path) if link is None else link:
            return os.path.normcase(os.path.realpath(path))
        folder, name = os.path.split(path)
        return os.path.normcase(os.path.join(self.of_folder(folder), name))

    def of_folder(self, folder: str) -> str:
        """Return the real path of a folder."""
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder]


class Numbered(Sequence[str]):  # noqa: PLW1641 - compared with lists, which have no hash either
    """Names of items that are numbers, such as `line 7`; made when they are needed.

    Args:
        before: what stands before each number.
        numbers: the number of each item.
    """

    def __init__(self, before: str, numbers: Sequence[int]) -> None:
        self.before, self.numbers = before, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """Return the name of an item, or those of several."""
        if isinstance(index, slice):
            return [f"{self.before}{number}" for number in self.numbers[index]]
        return f"{self.before}{self.numbers[index]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)


def printable(name: str) -> str:
    """Return a file's name as text that can be written as UTF-8, whatever bytes it is made of."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def resolve(path: str, base: Path) -> str:
    """Return a path of a spec made absolute, starting at the folder `base`.

    What cannot be a path is left as it is: opening it raises the error.
    """
    if "://" in path or "\0" in path:
        return path
    return absolute(base / at_home(path))
