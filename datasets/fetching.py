"""Fetching the files of public sets: only when they are needed, and only as they should be.

pooch keeps the files and checks them. It cannot go on where a download broke off, and so what it
downloads with is here: into a file `NAME.part`, which stays when the connection breaks or the user
stops, and is continued the next time. Nothing gets its name before its digest was found right.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gridcnn.caches import OFF_WORDS, VARIABLE, user_folder
from gridcnn.datasets import unpacking
from gridcnn.datasets.catalogue import Archive, File
from gridcnn.errors import sized

if TYPE_CHECKING:
    from requests import Response

OFFLINE = "GRIDCNN_OFFLINE"
"""The environment variable that forbids to fetch anything."""
CACHE = VARIABLE
_NO = ("", *OFF_WORDS)

CONNECT_TIMEOUT = 10.0
"""Seconds that a server may take to answer at all."""
READ_TIMEOUT = 30.0
"""Seconds that may pass without a byte."""
ATTEMPTS = 4
"""How often in a row a download may break off before it is given up."""
WORTH = 2**20
"""Bytes that an attempt must bring so that those before it are forgotten."""
PAUSE = 1.0
"""Seconds before the first new attempt; each further one waits twice as long."""
_PIECE = 2**16
_SPARE = 2**25
"""Bytes that are left free on the disk."""

Advance = Callable[[str, int, int], None]
"""Is told what is being fetched, how many kilobytes there are, and how many there will be."""
_advance: ContextVar[Advance | None] = ContextVar("advance", default=None)


class FetchError(Exception):
    """Files could not be fetched; the message says why, and is no whole sentence."""


class _BrokenError(Exception):
    """A download broke off; it may be tried again."""


@contextlib.contextmanager
def reporting(advance: Advance | None) -> Iterator[None]:
    """Let `advance` be told of all that is fetched inside."""
    token = _advance.set(advance)
    try:
        yield
    finally:
        _advance.reset(token)


def kept_in() -> Path | None:
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
        raise FetchError(f"{OFFLINE} forbids to fetch them")
    new = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _fetch_alone(wanted, folder)
    except BaseException:
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()  # where nothing came at all
        raise


def _fetch_alone(wanted: Sequence[File] | Archive, folder: Path) -> None:
    with _alone(folder / ".lock"):
        if isinstance(wanted, Archive):
            if not unpacking.has_files(folder / wanted.folder, wanted):
                _fetch_archive(wanted, folder)
        else:
            lacking = [file for file in wanted if not (folder / file.name).is_file()]
            _refuse_full(folder, sum(file.size for file in lacking))
            for file in lacking:
                _first_of(
                    file.addresses,
                    folder / file.name,
                    size=file.size,
                    most=file.size,
                    sha256=file.sha256,
                )


def _fetch_archive(archive: Archive, folder: Path) -> None:
    _refuse_full(folder, archive.size + archive.unpacked)
    packed = folder / archive.name
    _first_of(archive.addresses, packed, size=None, most=2 * archive.size, sha256=None)
    try:
        unpacking.unpack(packed, archive, folder)
    except unpacking.UnpackError as error:
        packed.unlink()
        place = " or ".join(archive.addresses)
        raise FetchError(f"the archive from {place} {error}; it was deleted") from None


def _refuse_full(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise FetchError(f"the disk of {folder} has {sized(free)} free, and {sized(needed)} come")


def _first_of(
    addresses: Sequence[str], target: Path, *, size: int | None, most: int, sha256: str | None
) -> None:
    """Fetch a file from the first address that has it."""
    reasons = []
    for address in addresses:
        try:
            _retrieve(address, _Download(target, size, most, sha256), sha256)
        except FetchError as error:
            reasons.append(str(error))
        else:
            return
    raise FetchError("; ".join(dict.fromkeys(reasons)))


def _retrieve(address: str, download: _Download, sha256: str | None) -> None:
    import pooch

    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)  # progress is ours to show
    try:
        pooch.retrieve(
            address,
            None if sha256 is None else f"sha256:{sha256}",
            fname=download.target.name,
            path=download.target.parent,
            downloader=download,
        )
    finally:
        log.setLevel(level)


class _Download:
    """Downloads one file for pooch, and goes on where an earlier attempt broke off.

    Args:
        target: what the file will be called.
        size: how many bytes it has, where that is known.
        most: how many it may have.
        sha256: its digest, where that is known.
    """

    def __init__(self, target: Path, size: int | None, most: int, sha256: str | None) -> None:
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        self.size = size
        self.most = most
        self.sha256 = sha256

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        """Give the file at `url` the name `output_file`, which pooch has chosen.

        Raises:
            FetchError: it cannot be fetched, or is another file.
        """
        host = urlsplit(url).netloc
        failures = 0
        while True:
            before = self._have()
            try:
                self._download(url)
                break
            except _BrokenError as error:
                # On a bad line a long file may break off often, and still get there.
                failures = 1 if self._have() - before >= WORTH else failures + 1
                if failures == ATTEMPTS:
                    raise FetchError(f"{host} {error}, {ATTEMPTS} times") from None
                time.sleep(PAUSE * 2 ** (failures - 1))
        self._check(url)
        self.part.replace(output_file)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _check(self, url: str) -> None:
        if self.sha256 is None:
            return
        with self.part.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != self.sha256:
            length = self.part.stat().st_size
            self.part.unlink()
            raise FetchError(
                f"what came from {url} is another file: it has {length} bytes of SHA-256 {found}, "
                f"and should have {self.size} of {self.sha256}; it was deleted"
            )

    def _download(self, url: str) -> None:
        import requests

        have = self._have()
        if have > self.most:
            self.part.unlink()
            have = 0
        if have and have == self.size:
            return
        headers = {"Accept-Encoding": "identity", "User-Agent": "gridcnn"}
        if have:
            headers["Range"] = f"bytes={have}-"
        host = urlsplit(url).netloc
        timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
        answered = False
        try:
            with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
                answered = True
                self._refuse_status(response, host)
                self._write(response, have, host)
        except requests.TooManyRedirects:
            raise FetchError(f"{host} sends from one address to the next without end") from None
        except requests.RequestException as error:
            if answered or _stood(error):
                raise _BrokenError(f"broke off ({_reason(error)})") from None
            raise FetchError(f"{host} cannot be reached ({_reason(error)})") from None

    def _refuse_status(self, response: Response, host: str) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        answer = f"answers {status} {response.reason or ''}".rstrip()
        if status == 416:  # what there is cannot be a beginning of what is there now
            self.part.unlink(missing_ok=True)
        if status in (416, 429) or status >= 500:
            raise _BrokenError(answer)
        raise FetchError(f"{host} {answer} for {response.url}")

    def _write(self, response: Response, have: int, host: str) -> None:
        start = f"bytes {have}-"
        goes_on = response.status_code == 206
        if goes_on and not response.headers.get("Content-Range", "").startswith(start):
            self.part.unlink(missing_ok=True)
            raise _BrokenError("answers with another part than was asked for")
        have = have if goes_on else 0
        length = response.headers.get("Content-Length", "")
        packed = "Content-Encoding" in response.headers  # the length is then of what is packed
        whole = have + int(length) if length.isdecimal() and not packed else self.size
        with self.part.open("ab" if goes_on else "wb") as file:
            for piece in response.iter_content(_PIECE):
                have += len(piece)
                if have > self.most:
                    break
                file.write(piece)
                self._tell(have, whole)
        if have > self.most:
            self.part.unlink()
            limit = "as it should be" if self.size is not None else "by far"
            raise FetchError(f"what {host} sends is longer than {self.most} bytes, {limit}")
        if whole is not None and have < whole:
            raise _BrokenError(f"broke off (after {have} of {whole} bytes)")

    def _tell(self, have: int, whole: int | None) -> None:
        advance = _advance.get()
        if advance is not None:
            total = max(have, self.most // 2 if whole is None else whole)
            advance(f"fetching {self.target.name} (kB)", have // 1000, total // 1000)


def _stood(error: Exception) -> bool:
    """Return whether a connection stood before it failed, without an answer."""
    from requests import ReadTimeout

    cut = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
    return isinstance(error, ReadTimeout) or any(isinstance(each, cut) for each in _causes(error))


def _reason(error: Exception) -> str:
    """Return why a connection failed, in a few words."""
    from requests import ConnectTimeout
    from requests.exceptions import ProxyError, SSLError

    causes = list(_causes(error))
    for kind, words in (
        (ProxyError, "the proxy does not let through"),
        (SSLError, "its certificate is not accepted"),
        (ConnectTimeout, f"no answer within {CONNECT_TIMEOUT:g} s"),
        (TimeoutError, f"nothing came for {READ_TIMEOUT:g} s"),
    ):
        if any(isinstance(each, kind) for each in causes):
            return words
    told = [each.strerror for each in causes if isinstance(each, OSError) and each.strerror]
    return told[-1] if told else "the connection was closed"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came from: requests and urllib3 hide those in many ways."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            more = [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
            waiting += more


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process is inside with the same path."""
    file = _locked(path)
    try:
        yield
    finally:
        if sys.platform == "win32":  # where no file that is open can be removed
            file.close()
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()


def _locked(path: Path) -> IO[bytes]:
    """Return a file of that path that nobody else has locked; it is made, with its folder."""
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
