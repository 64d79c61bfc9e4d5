"""Files that are written to a path of the user: complete or not at all, never over others."""

from __future__ import annotations

import os
from pathlib import Path

from gridcnn.errors import RunFolderError, SpecError
from gridcnn.files import open_ordinary, write_bytes

PAGE = b'<meta name="generator" content="gridcnn">'
"""What all pages of gridcnn have near their beginning."""
_LOOK = 2**10  # bytes at the beginning of a file in which the mark is searched


def refuse_taken(path: Path, mark: bytes | None, *, force: bool, remedy: str = "--force") -> None:
    """Raise `RunFolderError` if a file must not be replaced.

    Args:
        path: where it will be written.
        mark: bytes near the beginning of files of this kind that gridcnn has written; None: users
            edit such files, so they are never replaced either.
        force: replace any.
        remedy: how the caller says `force`.
    """
    if force or not os.path.lexists(path) or (mark is not None and _has(path, mark)):
        return
    whose = "" if mark is None else ", and gridcnn did not write it"
    raise RunFolderError(f"{path} exists already{whose}; give another name, or {remedy}")


def write_output(
    path: Path, content: bytes, mark: bytes | None, *, force: bool, remedy: str = "--force"
) -> None:
    """Write a file; the arguments are those of `refuse_taken`, which is called first.

    Raises:
        RunFolderError: it must not be replaced, or cannot be written.
    """
    refuse_taken(path, mark, force=force, remedy=remedy)
    try:
        # What comes between the look and the writing is kept.
        write_bytes(path, content, replace=os.path.lexists(path))
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from None


def refuse_file(folder: Path) -> None:
    """Raise `RunFolderError` if there is something other than a folder; it may raise `OSError`."""
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file; give a folder that is new or empty")


def refuse_no_page(path: Path, option: str, *, force: bool) -> None:
    """Raise if a page cannot be written to `path`; called before the work that it takes.

    Raises:
        SpecError: it has not the name of a page; `option` is what the user gave it to.
        RunFolderError: there is a file that must not be replaced.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise SpecError(f"{option} writes a page; give a name such as {path.stem}.html")
    refuse_taken(path, PAGE, force=force)


def write_page(path: Path, content: str, *, force: bool) -> None:
    """Write a page; raise `RunFolderError` if it must not be replaced or cannot be written."""
    # Names of files may hold bytes that are no characters.
    write_output(path, content.encode("utf-8", "backslashreplace"), PAGE, force=force)


def _has(path: Path, mark: bytes) -> bool:
    """Return whether the mark is near the beginning of a file."""
    try:
        with open_ordinary(path) as file:
            return mark in file.read(_LOOK)
    except (OSError, ValueError):
        return False
