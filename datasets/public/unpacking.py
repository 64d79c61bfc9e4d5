"""Taking the wanted files out of an archive, and none but them."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import shutil
import zipfile
import zlib
from pathlib import Path

from gridcnn.datasets.public.catalogue import Archive

_PIECE = 2**20


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
        digests = _taken_out(packed, archive, inside)
        _check(digests, archive)
        target = folder / archive.folder
        if target.is_dir():
            with contextlib.suppress(OSError):
                target.rmdir()  # it is empty
        inside.replace(target)
    finally:
        shutil.rmtree(inside, ignore_errors=True)
    packed.unlink()


def _taken_out(packed: Path, archive: Archive, folder: Path) -> dict[str, str]:
    """Write the wanted files into a folder, and return the digest of each."""
    # The last pair of parentheses has no slash in it, so nothing is written elsewhere.
    wanted = re.compile(rf"[^/]+/{re.escape(archive.folder)}/({archive.pattern})")
    digests: dict[str, str] = {}
    left = 2 * archive.unpacked
    try:
        with zipfile.ZipFile(packed) as content:
            for name in content.namelist():
                match = wanted.fullmatch(name)
                if match is None:
                    continue
                digest = hashlib.new(archive.algorithm, usedforsecurity=False)
                with content.open(name) as source, (folder / match[1]).open("wb") as file:
                    while piece := source.read(_PIECE):
                        left -= len(piece)
                        if left < 0:
                            raise UnpackError("holds far more than it should")
                        digest.update(piece)
                        file.write(piece)
                digests[match[1]] = digest.hexdigest()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnpackError(f"is no whole zip file ({error})") from None
    return digests


def _check(digests: dict[str, str], archive: Archive) -> None:
    if len(digests) != archive.count:
        raise UnpackError(
            f"holds {len(digests)} files of '{archive.folder}', and should hold {archive.count}"
        )
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    found = hashlib.sha256(lines.encode()).hexdigest()
    if found != archive.digest:
        raise UnpackError(
            f"holds other files than it should: the SHA-256 of the list of their "
            f"{archive.algorithm.upper()} is {found}, and should be {archive.digest}"
        )
