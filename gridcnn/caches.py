"""Folders of entries that are kept on disk between processes of a user.

An entry counts only if no other user than this one and the system's administrator could write it.
In all other cases, also if nothing can be read or written, there is no entry.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import secrets
import stat
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import platformdirs

VARIABLE = "GRIDCNN_CACHE"
OFF_WORDS = ("off", "no", "none", "false", "0")
"""What switches off what a variable is for, in capitals or not."""

# What an entry of bytes begins with: what it is, the version of this form, the key, the content's
# digest.
_HEADER = struct.Struct("<16sI32s32s")
_VERSION = 1
_KEY = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.part")
_LEFT_BEHIND = 3600.0  # seconds; a process that writes an entry never pauses for that long

# No link is followed, no child process inherits the file, no pipe is waited for, and no line end of
# Windows is changed. Each system has some of these.
_FLAGS = functools.reduce(
    int.__or__,
    (getattr(os, f"O_{name}", 0) for name in ("NOFOLLOW", "CLOEXEC", "NONBLOCK", "BINARY")),
)


def key_of(*parts: str) -> str:
    """Return a key for the parts; another part gives another key."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        # By their lengths ("a", "bc") and ("ab", "c") are two.
        digest.update(struct.pack("<Q", len(content)))
        digest.update(content)
    return digest.hexdigest()


def is_key(value: object) -> bool:
    """Return whether a value has the form of a key."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def user_folder(name: str) -> Path | None:
    """Return the user's folder for what is kept of one kind, or None if nothing is to be kept.

    It is in the system's folder for caches, or in the one that the variable `GRIDCNN_CACHE` names,
    where `~` is the user's home, and a relative path starts in the current folder. One of
    `OFF_WORDS` there means that nothing is kept. This is the one rule for machine code, grids, what
    adapters learned, and fetched data.
    """
    setting = os.environ.get(VARIABLE, "").strip()
    if setting.lower() in OFF_WORDS:
        return None
    try:
        if setting:
            return Path(setting).expanduser().absolute() / name
        # Without `appauthor=False` Windows would get the name twice.
        folder = platformdirs.user_cache_path("gridcnn", appauthor=False) / name
        # A user whose home is unknown has ~ in the path, and it would lead into the current folder.
        # A home that does not exist is not made: the user `nobody` has such a home.
        usable = folder.is_absolute() and folder.parents[2].is_dir()
    except (OSError, RuntimeError, ValueError):
        # The system names no such folder, or keeps it shut; that home is unknown; or the current
        # folder is gone.
        return None
    return folder if usable else None


def homely(folder: Path | None) -> str:
    """Return a folder as shells write it, with ~ for the user's own."""
    try:
        return str(Path("~") / folder.relative_to(Path.home())) if folder else ""
    except (RuntimeError, ValueError):  # a user without a folder, or one that is elsewhere
        return str(folder)


class Shelf:
    """A folder of entries, which are files; any number of processes may use it at the same time.

    Args:
        folder: made with the first entry. None holds nothing.
        ending: of its files' names. Files with other endings are not its own.
        limit: how many bytes it holds. The entries that were not used for longest go first.
    """

    def __init__(self, folder: Path | None, *, ending: str, limit: int) -> None:
        self.limit = limit
        self.ending = ending
        self.folder: Path | None = None
        self._entry = re.compile(rf"{_KEY.pattern}\.{ending}")
        if folder is not None:
            # Links are followed once: what is checked and what is opened must be one path. There
            # is no absolute path where the current folder is gone.
            with contextlib.suppress(OSError, ValueError):
                self.folder = Path(os.path.realpath(folder))

    def size(self) -> int:
        """Return how many bytes it holds now."""
        return sum(information.st_size for _, information in self._files())

    def clear(self) -> None:
        """Remove all entries."""
        for path, _ in self._files():
            _remove(path)

    def open_entry(self, key: str) -> IO[bytes] | None:
        """Return an entry's file, open for reading; None if there is no safe one."""
        path = self._place(key)
        if path is None or not _is_safe_folder(path.parent):
            return None
        try:
            # One descriptor from the check to the last byte: nothing can be exchanged in between.
            file = open(os.open(path, os.O_RDONLY | _FLAGS), "rb")  # noqa: PTH123, SIM115
        except OSError:
            return None
        try:
            information = os.fstat(file.fileno())
            if _is_safe_file(information) and information.st_size <= self.limit:
                return file
        except OSError:
            pass
        file.close()
        return None

    def make_room(self, size: int) -> None:
        """Remove the entries that were not used for longest, so that `size` more bytes fit in."""
        self._shrink(room=min(size, self.limit))

    def touch(self, key: str) -> None:
        """Note that an entry was used."""
        path = self._place(key)
        now = time.time_ns()
        if path is not None:
            with contextlib.suppress(OSError):
                os.utime(path, ns=(now, now))

    @contextlib.contextmanager
    def open_new(self, key: str) -> Iterator[IO[bytes]]:
        """Open a file that only this user may change; it becomes the entry once all is written.

        Raises:
            OSError: the folder cannot be written to, or is not safe; nothing is left there.
        """
        # Not `files.written_whole`: a file's usual permissions may let a group write, and waiting
        # for the disk is not worth it, since an entry that a power failure cuts off is found out.
        path = self._place(key)
        if path is None:
            raise OSError(errno.ENOENT, "there is no folder for it")
        _make(path.parent)
        if not _is_safe_folder(path.parent):
            raise PermissionError(errno.EACCES, "others may write there", str(path.parent))
        temporary = path.with_name(f".{secrets.token_hex(16)}.part")
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
            with open(descriptor, "w+b") as file:  # noqa: PTH123 - a path takes no permissions
                yield file
            # Windows refuses this while another process reads the old entry. That one serves as
            # well.
            temporary.replace(path)
        except BaseException:
            _remove(temporary)
            raise
        self._shrink(keep=path)

    def _place(self, key: str) -> Path | None:
        if not _KEY.fullmatch(key):
            raise ValueError("a key is what key_of() returns")
        return None if self.folder is None else self.folder / f"{key}.{self.ending}"

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """Return the shelf's own files, if its folder is safe."""
        if self.folder is None or not _is_safe_folder(self.folder):
            return []
        paths = []
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                if self._entry.fullmatch(entry.name) or _TEMPORARY.fullmatch(entry.name):
                    # Another process may have removed it since.
                    with contextlib.suppress(OSError):
                        paths.append((Path(entry.path), entry.stat(follow_symlinks=False)))
        return paths

    def _shrink(self, *, keep: Path | None = None, room: int = 0) -> None:
        """Remove files of killed processes, and the oldest entries beyond the limit.

        `room` is how many bytes less than the limit may be left.
        """
        files = self._files()
        total = sum(information.st_size for _, information in files)
        long_ago = time.time() - _LEFT_BEHIND
        entries = []
        for path, information in files:
            if path.suffix != ".part":
                entries.append((information.st_mtime_ns, path, information.st_size))
            elif information.st_mtime < long_ago and _remove(path):
                total -= information.st_size
        # All processes agree on the order, so that two of them at once remove no more than one.
        for _, path, size in sorted(entries):
            if total <= self.limit - room:
                break
            if path != keep and _remove(path):
                total -= size


class Entries(Shelf):
    """A folder of entries that are bytes, each of which counts only if it is whole.

    Args:
        folder: made with the first entry. None holds nothing.
        kind: what the entries are, six letters; their ending, too.
        limit: how many bytes it holds. The entries that were not used for longest go first.
    """

    def __init__(self, folder: Path | None, *, kind: str, limit: int) -> None:
        super().__init__(folder, ending=kind, limit=limit)
        self._magic = f"gridcnn {kind}\r\n".encode("ascii")

    def get(self, key: str) -> bytes | None:
        """Return the content kept under a key; None if there is none, or it is not safe."""
        file = self.open_entry(key)
        if file is None:
            return None
        try:
            with file:
                whole = file.read()
        except OSError:
            return None
        content = whole[_HEADER.size :]
        if whole[: _HEADER.size] != self._header(key, content):
            return None
        self.touch(key)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep `content` under a key, in place of earlier content.

        A folder that cannot be written to, or is not safe, stays as it is, and so does one that is
        smaller than this entry.
        """
        if self._place(key) is None or _HEADER.size + len(content) > self.limit:
            return
        with contextlib.suppress(OSError), self.open_new(key) as file:
            file.write(self._header(key, content))
            file.write(content)

    def _header(self, key: str, content: bytes) -> bytes:
        digest = hashlib.sha256(content).digest()
        return _HEADER.pack(self._magic, _VERSION, bytes.fromhex(key), digest)


def _make(folder: Path) -> None:
    """Make a folder and its parents, for this user alone, if that is safe."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    if missing and _is_safe_way(missing[-1].parent):
        for each in reversed(missing):
            # With recent Pythons, this mode keeps other users out on Windows, too.
            each.mkdir(mode=0o700, exist_ok=True)


def _remove(path: Path) -> bool:
    """Remove a file; return whether it is gone, also if another process removed it."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


if sys.platform == "win32":
    # Windows has no permission bits. The folder for caches lies in the user's profile, whose access
    # list lets in only the user and administrators, and is inherited by all that is in it.
    # A user who names another folder in GRIDCNN_CACHE is responsible for its access list.

    def _is_safe_folder(folder: Path) -> bool:
        return folder.is_dir()

    def _is_safe_file(information: os.stat_result) -> bool:
        return stat.S_ISREG(information.st_mode)

    def _is_safe_way(folder: Path) -> bool:
        return folder.is_dir()

else:
    import grp
    import pwd

    def _is_safe_folder(folder: Path) -> bool:
        """Return whether only this user can change what is in a folder, or exchange the folder."""
        try:
            information = os.lstat(folder)
        except OSError:
            return False
        return (
            stat.S_ISDIR(information.st_mode)
            and _is_mine_alone(information)
            and _is_safe_way(folder.parent)
        )

    def _is_safe_file(information: os.stat_result) -> bool:
        return stat.S_ISREG(information.st_mode) and _is_mine_alone(information)

    def _is_mine_alone(information: os.stat_result) -> bool:
        # An access list with more users than the bits can name shows as a group that may write.
        mine = information.st_uid == os.geteuid()
        return mine and not information.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def _is_safe_way(folder: Path) -> bool:
        """Return whether no other user can replace a folder, or one of its parents."""
        try:
            return all(_is_safe_step(each, os.lstat(each)) for each in (folder, *folder.parents))
        except OSError:
            return False

    def _is_safe_step(folder: Path, information: os.stat_result) -> bool:
        mode = information.st_mode
        if not stat.S_ISDIR(mode) or information.st_uid not in (0, os.geteuid()):
            return False
        if mode & stat.S_ISVTX:  # as in /tmp, where users may rename only their own files
            return True
        if mode & stat.S_IWOTH:
            return False
        return not mode & stat.S_IWGRP or (
            _is_own_group(information.st_gid, os.geteuid()) and not _has_access_list(folder)
        )

    @functools.cache
    def _is_own_group(group: int, user: int) -> bool:
        """Return whether a group is one user alone.

        Many Linux systems give each user a group of the same name, and let it write wherever the
        user may, such as in `~/.cache`. For root no such group exists: its group has administrators
        in it.
        """
        try:
            account, known = pwd.getpwuid(user), grp.getgrgid(group)
        except KeyError:
            return False
        return (
            user != 0
            and (account.pw_gid, account.pw_name) == (group, known.gr_name)
            and set(known.gr_mem) <= {account.pw_name}
            and all(each.pw_uid == user for each in pwd.getpwall() if each.pw_gid == group)
        )

    def _has_access_list(folder: Path) -> bool:
        """Return whether the group's permission may be meant for users on an access list."""
        # Only Linux has such groups.
        return sys.platform != "linux" or any("acl" in name for name in os.listxattr(folder))
