"""Fetching the files of public sets: only when they are needed, and only with the right content.

pooch keeps the files and checks them. It cannot continue an interrupted download, so the code that
downloads is here: into a file `NAME.part`, which stays when the connection breaks or the user
stops, and is continued the next time. A file gets its name only after its digest is checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from gridcnn.caches import OFF_WORDS, VARIABLE, user_folder
from gridcnn.datasets.public import unpacking
from gridcnn.datasets.public.catalogue import Archive, File
from gridcnn.errors import sized
from gridcnn.progress import Advance, Progress

if TYPE_CHECKING:
    from gridcnn.datasets.public.downloading import Answer

OFFLINE = "GRIDCNN_OFFLINE"
"""The environment variable that forbids fetching anything."""
CACHE = VARIABLE
_NO = ("", *OFF_WORDS)

ATTEMPTS = 4
"""How often in a row a download may break off before it is given up."""
WORTH = 2**20
"""Bytes that an attempt must bring so that those before it are forgotten."""
PAUSE = 1.0
"""Seconds before the first new attempt; each further one waits twice as long."""
_LONGEST = 200  # characters of an address in a message: a server may have named it
_SPARE = 2**25
"""Bytes that are left free on the disk."""

_advance: ContextVar[Advance | None] = ContextVar("advance", default=None)


class FetchError(Exception):
    """Files could not be fetched; the message says why, and is not a whole sentence."""


class BrokenError(Exception):
    """A download broke off; it may be tried again."""


@contextlib.contextmanager
def reporting(advance: Advance | None) -> Iterator[None]:
    """Call `advance` with the progress of all that is fetched inside."""
    token = _advance.set(advance)
    try:
        yield
    finally:
        _advance.reset(token)


def data_folder() -> Path | None:
    """Return the folder of all that is fetched, see `user_folder`; None if nothing is kept."""
    return user_folder("data")


def fetch(wanted: Sequence[File] | Archive, folder: Path) -> None:
    """Fetch what `folder` lacks of a set's files.

    Another process that fetches the same is waited for.

    Raises:
        FetchError: they cannot be fetched, or are not what they should be.
        OSError: the folder cannot be written to.
    """
    if os.environ.get(OFFLINE, "").strip().lower() not in _NO:
        raise FetchError(f"{OFFLINE} forbids fetching them")
    with _alone(_lock_of(folder)):
        new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _fetch_lacking(wanted, folder)
        except BaseException:
            if new:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # if nothing came at all
            raise


def _lock_of(folder: Path) -> Path:
    """Return the path of the file whose lock is held while a folder is filled.

    It is beside the folder, which is removed if a fetch fails: with the lock inside, another
    process could lose the folder between making it and opening the lock.
    """
    if folder.is_dir() and not os.access(folder.parent, os.W_OK):
        return folder / ".lock"  # no process that fetches can remove this folder
    return folder.with_name(f".{folder.name}.lock")


def _fetch_lacking(wanted: Sequence[File] | Archive, folder: Path) -> None:
    if isinstance(wanted, Archive):
        if not unpacking.has_files(folder / wanted.folder, wanted):
            _fetch_archive(wanted, folder)
        return
    missing = [file for file in wanted if not (folder / file.name).is_file()]
    _refuse_full(folder, sum(file.size for file in missing))
    for file in missing:
        target = folder / file.name
        _first_of(
            file.addresses, _Download(target, size=file.size, most=file.size, sha256=file.sha256)
        )


def _fetch_archive(archive: Archive, folder: Path) -> None:
    _refuse_full(folder, archive.size + archive.unpacked)
    packed = folder / archive.name
    _first_of(archive.addresses, _Download(packed, size=None, most=2 * archive.size, sha256=None))
    try:
        unpacking.unpack(packed, archive, folder)
    except unpacking.UnpackError as error:
        packed.unlink()
        place = " or ".join(archive.addresses)
        raise FetchError(f"the archive from {place} {error}; it was deleted") from None


def _refuse_full(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise FetchError(
            f"the disk of {folder} has {sized(free)} free, and {sized(needed)} are needed"
        )


def _first_of(addresses: Sequence[str], download: _Download) -> None:
    """Fetch a file from the first address that has it."""
    reasons = []
    for address in addresses:
        try:
            download.bring(address)
        except FetchError as error:
            reasons.append(str(error))
        else:
            return
    raise FetchError("; ".join(dict.fromkeys(reasons)))


class _Download:
    """Downloads one file, and continues where an earlier attempt broke off.

    Args:
        target: what the file will be called.
        size: how many bytes it has, if that is known.
        most: how many it may have.
        sha256: its digest, if that is known.
    """

    def __init__(self, target: Path, *, size: int | None, most: int, sha256: str | None) -> None:
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        self.size = size
        self.most = most
        self.sha256 = sha256
        self._packing = ""

    def bring(self, url: str) -> None:
        """Get the file at `url`, check it, and give it its name.

        Raises:
            FetchError: it cannot be fetched, or is another file.
            OSError: it cannot be written.
        """
        import pooch

        if not self.target.is_file():  # a process may have been killed before it unpacked it
            self._get(url)
            self._check(url)
        log = pooch.get_logger()
        level = log.level
        log.setLevel(logging.WARNING)  # progress is ours to show
        try:
            pooch.retrieve(
                url,
                None if self.sha256 is None else f"sha256:{self.sha256}",
                fname=self.target.name,
                path=self.target.parent,
                downloader=lambda _, output_file, __: self.part.replace(output_file),
            )
        finally:
            log.setLevel(level)

    def _get(self, url: str) -> None:
        failures, furthest = 0, self._have()
        while True:
            try:
                self._attempt(url)
                return
            except BrokenError as error:
                # On a bad line a long file may break off often, and still get there. What came
                # before and was thrown away since counts once: so this ends, whatever is sent.
                have = self._have()
                failures = 1 if have - furthest >= WORTH else failures + 1
                furthest = max(have, furthest)
                if failures == ATTEMPTS:
                    host = urlsplit(url).netloc
                    raise FetchError(f"{host} {error}, {ATTEMPTS} times") from None
                time.sleep(PAUSE * 2 ** (failures - 1))

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _check(self, url: str) -> None:
        if self.sha256 is None:
            return
        with self.part.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != self.sha256:
            length = self.part.stat().st_size
            self.part.unlink()
            packed = f", packed as {self._packing} against our request" if self._packing else ""
            raise FetchError(
                f"what came from {url} is another file: it has {length} bytes of SHA-256 {digest}"
                f"{packed}, and should have {self.size} of {self.sha256}; it was deleted"
            )

    def _attempt(self, url: str) -> None:
        from gridcnn.datasets.public import downloading

        have = self._have()
        if have > self.most:
            self.part.unlink()
            have = 0
        if have and have == self.size:
            return
        with downloading.ask(url, have=have, most=self.most) as answer:
            self._refuse_status(answer)
            self._write(answer, have)

    def _refuse_status(self, answer: Answer) -> None:
        if answer.status in (200, 206):
            return
        if answer.status == 416:  # what there is cannot be a beginning of what is there now
            self.part.unlink(missing_ok=True)
        if answer.status in (416, 429) or answer.status >= 500:
            raise BrokenError(str(answer))
        raise FetchError(f"{answer.host} {answer} for {answer.url[:_LONGEST]}")

    def _write(self, answer: Answer, have: int) -> None:
        if answer.start is None or answer.start not in (0, have):
            self.part.unlink(missing_ok=True)
            raise BrokenError("answers with another part than requested")
        have = answer.start
        whole = self.size if answer.length is None else have + answer.length
        if whole is not None and whole > self.most:
            raise self._too_long(answer)  # without waiting for it
        self._packing = answer.packing
        with self.part.open("ab" if have else "wb") as file:
            for piece in answer.pieces():
                have += len(piece)
                if have > self.most:
                    break
                file.write(piece)
                self._tell(have, whole)
        if have > self.most:
            raise self._too_long(answer)
        if whole is not None and have < whole:
            raise BrokenError(f"broke off (after {have} of {whole} bytes)")

    def _too_long(self, answer: Answer) -> FetchError:
        self.part.unlink(missing_ok=True)
        most = f"the {self.most} bytes that the file has"
        if self.size is None:
            most = f"{self.most} bytes, twice the size of the file"
        return FetchError(f"the answer of {answer.host} is longer than {most}")

    def _tell(self, have: int, whole: int | None) -> None:
        advance = _advance.get()
        if advance is not None:
            total = max(have, self.most // 2 if whole is None else whole)
            advance(Progress(f"fetching {self.target.name}", have, total, "bytes"))


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process is inside with the same path."""
    file = _open_locked(path)
    try:
        yield
    finally:
        if sys.platform == "win32":  # where no file that is open can be removed
            file.close()
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()


def _open_locked(path: Path) -> IO[bytes]:
    """Return a file, locked for this process; it is made, with its folder."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
        _lock(file.fileno())
        # Whoever had it before has removed it, and the next one may have made another.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError:  # after ten seconds
                continue
            return

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # A network drive may know no locks; then nobody is waited for.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
