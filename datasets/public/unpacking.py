"""Taking the wanted files out of an archive, and no others.

An archive may be anything. So the length of its list of members is limited, and with it the memory;
members are checked before they are read; and all files together take no more disk than they should.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from gridcnn.datasets.public.catalogue import Archive
from gridcnn.errors import printable

_PIECE = 2**20
_MOST_LISTED = 2**22
"""Bytes of the longest list of members: room for 40,000, of which each takes 1 kB of memory."""
_LONGEST_NAME = 100
"""Characters of the longest name of a wanted file."""


class UnpackError(Exception):
    """An archive is damaged, or holds other files than it should; the message says which."""


def has_files(folder: Path, archive: Archive) -> bool:
    """Return whether a folder has files of an archive."""
    wanted = re.compile(archive.pattern)
    return folder.is_dir() and any(wanted.fullmatch(file.name) for file in folder.iterdir())


def unpack(packed: Path, archive: Archive, folder: Path) -> None:
    """Put the wanted files into the archive's folder in `folder`, all or none, and remove `packed`.

    Raises:
        UnpackError: it is damaged, or the files are not those they should be.
        OSError: the folder cannot be written to.
    """
    for left in folder.glob(f".{archive.folder}.*.part"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    inside = folder / f".{archive.folder}.{secrets.token_hex(8)}.part"
    inside.mkdir()
    try:
        with packed.open("rb") as file:
            digests = _take_out(file, archive, inside)
        _check(digests, archive)
        target = folder / archive.folder
        if target.is_dir():
            with contextlib.suppress(OSError):
                target.rmdir()  # it is empty
        inside.replace(target)
    finally:
        shutil.rmtree(inside, ignore_errors=True)
    packed.unlink()


def _take_out(packed: IO[bytes], archive: Archive, folder: Path) -> dict[str, str]:
    """Write the wanted files into a folder, and return the digest of each."""
    digests: dict[str, str] = {}
    left = 2 * archive.unpacked
    with _reading():
        content = zipfile.ZipFile(cast("IO[bytes]", _Listed(packed)))
    members = _members_of(content, archive)
    # Members that share their bytes would all be read, at no cost to who made the archive.
    if sum(member.compress_size for member in members.values()) > packed.seek(0, os.SEEK_END):
        raise UnpackError("declares more compressed bytes than it has")
    for name, member in members.items():
        digest = hashlib.new(archive.algorithm, usedforsecurity=False)
        with (folder / name).open("wb") as file:
            for piece in _pieces(content, member):
                left -= len(piece)
                if left < 0:
                    raise UnpackError("holds far more than expected")
                digest.update(piece)
                file.write(piece)
        digests[name] = digest.hexdigest()
    return digests


def _members_of(content: zipfile.ZipFile, archive: Archive) -> dict[str, zipfile.ZipInfo]:
    """Return the wanted members by the names of their files.

    Raises:
        UnpackError: there are not as many as there should be, or they cannot be read.
    """
    # The last pair of parentheses has no slash in it, so nothing is written elsewhere.
    wanted = re.compile(rf"[^/]+/{re.escape(archive.folder)}/({archive.pattern})")
    members: dict[str, zipfile.ZipInfo] = {}
    for member in content.infolist():
        match = wanted.fullmatch(member.filename)
        if match is None:
            continue
        if match[1] in members:
            raise UnpackError(f"holds '{_brief(match[1])}' twice")
        if len(match[1]) > _LONGEST_NAME:
            raise UnpackError(f"holds a file whose name has {len(match[1])} characters")
        if member.flag_bits & 0x1:
            raise UnpackError(f"holds '{match[1]}' encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # Others may take any amount of memory, as they say themselves how much they need.
            raise UnpackError(f"holds '{match[1]}' with an unknown compression")
        members[match[1]] = member
    if len(members) != archive.count:
        raise UnpackError(
            f"holds {len(members)} files of '{archive.folder}', and should hold {archive.count}"
        )
    return members


def _pieces(content: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a member holds."""
    with contextlib.ExitStack() as stack:
        with _reading():
            source = stack.enter_context(content.open(member))
        while True:
            with _reading():
                piece = source.read(_PIECE)
            if not piece:
                return
            yield piece


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn any error of reading an archive into `UnpackError`."""
    try:
        yield
    except (UnpackError, MemoryError):
        raise
    except Exception as error:
        # Beside its own errors `zipfile` lets out those of zlib, of numbers and of Unicode.
        raise UnpackError(f"is not a whole zip file ({_brief(str(error))})") from None


class _Listed:
    """A file of which not more is read at once than a list of members may have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(min(size, _MOST_LISTED + 1) if size >= 0 else _MOST_LISTED + 1)
        if len(content) > _MOST_LISTED:
            raise zipfile.BadZipFile("its list of files is too long")
        return content


def _brief(text: str) -> str:
    """Return a text that comes from an archive as a message repeats it."""
    return printable(text[:_LONGEST_NAME])


def _check(digests: dict[str, str], archive: Archive) -> None:
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    actual = hashlib.sha256(lines.encode()).hexdigest()
    if actual != archive.digest:
        raise UnpackError(
            f"holds unexpected files: the SHA-256 of the list of their "
            f"{archive.algorithm.upper()} is {actual}, and should be {archive.digest}"
        )
