"""Paths as plain texts: with a hundred thousand files, `pathlib` would take most of the time."""
# ruff: noqa: PTH100, PTH111, PTH112, PTH113, PTH114, PTH118, PTH122

from __future__ import annotations

import os
from pathlib import Path


def absolute(path: str | os.PathLike[str]) -> str:
    """Return a path from the root, without `..`; links stay links."""
    return os.path.abspath(os.fspath(path))


def at_home(path: str) -> str:
    """Return a path with a leading `~` replaced; unlike pathlib's, it never fails."""
    return os.path.expanduser(path)


def joined(folder: str, name: str) -> str:
    """Return the path of `name`, which may be a path itself, in a folder."""
    return os.path.normpath(os.path.join(folder, name))


def ending(name: str) -> str:
    """Return the ending of a file's name, small, with the dot; empty if it has none."""
    return os.path.splitext(name)[1].lower()


def is_file(path: str) -> bool:
    """Return whether there is a file, or a link to one."""
    return "\0" not in path and os.path.isfile(path)


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


def printable(name: str) -> str:
    """Return a file's name as text that can be written as UTF-8, whatever bytes it is made of."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def resolved(path: str, base: Path) -> str:
    """Return a path of a spec made absolute, starting at the folder `base`.

    What can be no path is left as it is, for whoever opens it to tell of.
    """
    if "://" in path or "\0" in path:
        return path
    return absolute(base / at_home(path))
