"""Object code that is kept on disk, so that it is made once for all processes of a user.

What is read here will be executed. An entry counts only if it is whole, if it is of the key that is
asked for, and if nobody but this user and the system's administrator could have written it. In all
other cases, as where nothing can be read or written, there is simply no entry.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import secrets
import stat
import struct
import sys
import time
from pathlib import Path

import platformdirs

VARIABLE = "GRIDCNN_CACHE"
_OFF = ("off", "no", "none", "false", "0")

# What every entry begins with: what it is, the version of this form, the key, the content's digest.
_HEADER = struct.Struct("<16sI32s32s")
_MAGIC, _VERSION = b"gridcnn object\r\n", 1
_KEY = re.compile(r"[0-9a-f]{64}")
_ENTRY = re.compile(rf"{_KEY.pattern}\.object")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.part")
_LEFT_BEHIND = 3600.0  # seconds; nobody writes a single entry for that long

# No link is followed, no child process inherits the file, no pipe is waited for, and no line end of
# Windows is changed. Each system has some of these.
_FLAGS = functools.reduce(
    int.__or__,
    (getattr(os, f"O_{name}", 0) for name in ("NOFOLLOW", "CLOEXEC", "NONBLOCK", "BINARY")),
)


def key_of(*parts: str) -> str:
    """Return a key that differs as soon as any of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        # By their lengths ("a", "bc") and ("ab", "c") are two.
        digest.update(struct.pack("<Q", len(content)))
        digest.update(content)
    return digest.hexdigest()


def object_cache() -> ObjectCache:
    """Return the user's cache.

    It is in the system's folder for caches, or in the one that the variable `GRIDCNN_CACHE` names;
    `off` there means none.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given.lower() in _OFF:
        return ObjectCache(None)
    if given:
        return ObjectCache(Path(given))
    return ObjectCache(_usual_folder())


def _usual_folder() -> Path | None:
    try:
        # Without `appauthor=False` Windows would get the name twice.
        folder = platformdirs.user_cache_path("gridcnn", appauthor=False) / "objects"
        # A user whose home is unknown has ~ in the path, and it would lead into the current folder.
        # A home that does not exist is not to be made: that is the home of nobody.
        usable = folder.is_absolute() and folder.parents[2].is_dir()
    except (OSError, RuntimeError, ValueError):  # the system names no such folder, or keeps it shut
        return None
    return folder if usable else None


class ObjectCache:
    """A folder of entries; any number of processes may use it at the same time.

    Args:
        folder: made with the first entry. None holds nothing.
        limit: how many bytes it holds. The entries that were not used for longest go first.
    """

    def __init__(self, folder: Path | None, *, limit: int = 256_000_000) -> None:
        self.limit = limit
        self.folder: Path | None = None
        if folder is not None:
            # Links are followed once: what is checked and what is opened must be one path. There
            # is no absolute path where the current folder is gone.
            with contextlib.suppress(OSError, ValueError):
                self.folder = Path(os.path.realpath(folder))

    def get(self, key: str) -> bytes | None:
        """Return what was put under that key, or None where that is not there, whole and safe."""
        path = self._place(key)
        if path is None or not _is_safe_folder(path.parent):
            return None
        try:
            # One descriptor from the check to the last byte: nothing can be exchanged in between.
            with open(os.open(path, os.O_RDONLY | _FLAGS), "rb") as file:  # noqa: PTH123
                information = os.fstat(file.fileno())
                if not _is_safe_file(information) or information.st_size > self.limit:
                    return None
                whole = file.read()
        except OSError:
            return None
        content = _content(key, whole)
        if content is not None:
            _touch(path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep `content` under that key, in place of what is there.

        A cache that cannot be written to, or is not safe, stays as it is, and so does one that is
        smaller than this entry.
        """
        path = self._place(key)
        if path is None or _HEADER.size + len(content) > self.limit:
            return
        with contextlib.suppress(OSError):
            _make(path.parent)
            if _is_safe_folder(path.parent):
                _write(path, _header(key, content), content)
                self._shrink(keep=path)

    def size(self) -> int:
        """Return how many bytes it holds now."""
        return sum(information.st_size for _, information in self._files())

    def clear(self) -> None:
        """Remove all entries."""
        for path, _ in self._files():
            _remove(path)

    def _place(self, key: str) -> Path | None:
        if not _KEY.fullmatch(key):
            raise ValueError("a key is what key_of() returns")
        return None if self.folder is None else self.folder / f"{key}.object"

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """Return what is ours in a folder that is safe."""
        if self.folder is None or not _is_safe_folder(self.folder):
            return []
        found = []
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                if _ENTRY.fullmatch(entry.name) or _TEMPORARY.fullmatch(entry.name):
                    # Another process may have removed it since.
                    with contextlib.suppress(OSError):
                        found.append((Path(entry.path), entry.stat(follow_symlinks=False)))
        return found

    def _shrink(self, *, keep: Path) -> None:
        """Remove what killed processes have left, and the oldest entries beyond the limit."""
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
            if total <= self.limit:
                break
            if path != keep and _remove(path):
                total -= size


def _header(key: str, content: bytes) -> bytes:
    digest = hashlib.sha256(content).digest()
    return _HEADER.pack(_MAGIC, _VERSION, bytes.fromhex(key), digest)


def _content(key: str, whole: bytes) -> bytes | None:
    """Return an entry's content, or None where anything in it is not as it was written."""
    content = whole[_HEADER.size :]
    return content if whole[: _HEADER.size] == _header(key, content) else None


def _write(path: Path, *parts: bytes) -> None:
    """Write a file that only this user may change, whole or not at all."""
    # Not `files.written_whole`: a file's usual permissions may let a group write, and waiting for
    # the disk is not worth it, since an entry that a power failure cuts off is found out.
    temporary = path.with_name(f".{secrets.token_hex(16)}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a path cannot be given permissions
            file.writelines(parts)
        # Windows refuses this while another process reads the old entry. That one serves as well.
        temporary.replace(path)
    except BaseException:
        _remove(temporary)
        raise


def _make(folder: Path) -> None:
    """Make a folder and those that it lies in, for this user alone, where that is safe."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    if missing and _is_safe_way(missing[-1].parent):
        for each in reversed(missing):
            # Recent Pythons make Windows, too, let nobody else into a folder of this mode.
            each.mkdir(mode=0o700, exist_ok=True)


def _touch(path: Path) -> None:
    """Note that an entry was used."""
    now = time.time_ns()
    with contextlib.suppress(OSError):
        os.utime(path, ns=(now, now))


def _remove(path: Path) -> bool:
    """Remove a file; return whether it is gone, whoever it was that removed it."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


if sys.platform == "win32":
    # Windows has no permission bits. The folder for caches lies in the user's profile, whose access
    # list lets in nobody but the user and administrators, and is inherited by all that is in it.
    # Whoever names another folder in GRIDCNN_CACHE answers for its access list.

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
        """Return whether nobody else can exchange a folder, or one that it lies in."""
        try:
            return all(_is_safe_step(each, os.lstat(each)) for each in (folder, *folder.parents))
        except OSError:
            return False

    def _is_safe_step(folder: Path, information: os.stat_result) -> bool:
        mode = information.st_mode
        if not stat.S_ISDIR(mode) or information.st_uid not in (0, os.geteuid()):
            return False
        if mode & stat.S_ISVTX:  # as in /tmp, where nobody may rename what is another's
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
        # Elsewhere than on Linux nobody can tell, and there are no such groups either.
        return sys.platform != "linux" or any("acl" in name for name in os.listxattr(folder))
