"""The cores and the memory that this process may use, in a container as well.

Linux limits processes by control groups: a tree of folders, in which each folder may limit all that
is below it. The files of both versions of it are read; what is missing or makes no sense limits
nothing. Functions take the `root` of the file system, so that tests can lay out one of their own.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from gridcnn.errors import sized

_ROOT = Path("/")
_LITTLE = 2**24  # bytes: looking takes a fraction of a millisecond, which many small files feel
# The controller of version 2, which has one tree for everything.
_UNIFIED = ""
# Where the trees are mounted wherever the list of mounts cannot be read: controllers and place.
_USUAL_MOUNTS = (
    ({_UNIFIED}, "/sys/fs/cgroup"),
    ({_UNIFIED}, "/sys/fs/cgroup/unified"),
    ({"cpu"}, "/sys/fs/cgroup/cpu"),
    ({"cpu"}, "/sys/fs/cgroup/cpu,cpuacct"),
    ({"memory"}, "/sys/fs/cgroup/memory"),
)


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1.

    The process's affinity counts, and the share of time that a container gets on all cores,
    rounded up.
    """
    return min(_allowed_cores(), _paid_cores(_ROOT) or sys.maxsize)


def usable_memory() -> int | None:
    """Return how many bytes of memory this process may still take; None if that is not known.

    That is the least of what the system has available, what a container's limit leaves, and what
    the limits of the process itself (`ulimit`) leave. Files that are mapped for reading take none
    of it: what is read of them goes as soon as there is need.
    """
    rooms = (_system_memory(_ROOT), _group_memory(_ROOT), _own_memory(_ROOT))
    return min((room for room in rooms if room is not None), default=None)


def shortage(size: int) -> str:
    """Return why `size` bytes do not fit into memory; an empty string if they fit.

    Such as "4.9 GB of memory are needed, and 3.2 GB are usable here".
    """
    if size < _LITTLE:
        return ""
    usable = usable_memory()
    if usable is None or size <= usable:
        return ""
    return f"{sized(size)} of memory are needed, and {sized(usable)} are usable here"


def _allowed_cores() -> int:
    # From Python 3.13 on. It knows of affinity, and of what the user has told Python.
    process_cpu_count = getattr(os, "process_cpu_count", None)
    if process_cpu_count is not None:
        count: int | None = process_cpu_count()
    elif sys.platform == "linux":
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count()
    return max(1, count or 1)


def _paid_cores(root: Path) -> int | None:
    """Return the cores that the control groups' shares of time amount to, rounded up."""
    shares = [
        share
        for folder in _groups("cpu", root)
        for share in (
            _share(_read(folder / "cpu.max").split()),
            _share([_read(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]),
        )
        if share is not None
    ]
    return min(shares, default=None)


def _share(words: list[str]) -> int | None:
    """Return how many cores `quota` microseconds in every `period` are, rounded up."""
    # No limit is the word max in version 2, and -1 in version 1.
    if len(words) != 2:
        return None
    quota, period = map(_number, words)
    return -(-quota // period) if quota and period else None


def _group_memory(root: Path) -> int | None:
    """Return what the narrowest control group leaves, not below 0."""
    rooms = []
    for folder in _groups("memory", root):
        # Beyond `memory.high` a process is not stopped, but becomes so slow that it is useless.
        for limit, used, total in (
            ("memory.max", "memory.current", ""),
            ("memory.high", "memory.current", ""),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ):
            bytes_allowed = _number(_read(folder / limit))
            if bytes_allowed is not None:
                # Files that were read, once or over and over, count as used, and go as soon as
                # there is need.
                about = _read(folder / "memory.stat")
                kinds = ("inactive_file", "active_file")
                freed = sum(_entry(about, f"{total}{kind}") or 0 for kind in kinds)
                used_bytes = max(0, (_number(_read(folder / used)) or 0) - freed)
                rooms.append(max(0, bytes_allowed - used_bytes))
    return min(rooms, default=None)


def _own_memory(root: Path) -> int | None:
    """Return what the process's own limits leave, not below 0: of data, and of all addresses.

    Only Linux has files that tell it; a limit of data (RLIMIT_DATA) does not count mapped files
    there.
    """
    limits, status = _read(root / "proc/self/limits"), _read(root / "proc/self/status")
    rooms = []
    for limit, used in (("Max data size", "VmData:"), ("Max address space", "VmSize:")):
        allowed, used_bytes = _entry(limits, limit), _entry(status, used)
        if allowed is not None and used_bytes is not None:
            rooms.append(max(0, allowed - 1024 * used_bytes))
    return min(rooms, default=None)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups, each with all that it lies in."""
    own = _own_groups(root)
    for controllers, inner, place in _mounts(root):
        tree = next((name for name in (controller, _UNIFIED) if name in controllers), None)
        if tree is None:
            continue
        top = root / place.lstrip("/")
        inside = _inside(own.get(tree, "/"), inner)
        if inside is None:
            # The names are of another view of the tree, from outside of the container. What is
            # mounted in the usual place is the container's own group.
            if not place.startswith("/sys/fs/cgroup"):
                continue
            inside = PurePosixPath()
        for path in (inside, *inside.parents):
            yield top / path


def _inside(path: str, inner: str) -> PurePosixPath | None:
    """Return `path` relative to the part of the tree that is mounted; None if it is outside."""
    whole, top = PurePosixPath(path), PurePosixPath(inner)
    if ".." in whole.parts or not whole.is_relative_to(top):
        return None
    return whole.relative_to(top)


def _own_groups(root: Path) -> dict[str, str]:
    """Return this process's place in the tree of each controller."""
    own = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, separator, path = rest.partition(":")
        if separator:
            own.update(dict.fromkeys(controllers.split(","), path))
    return own


def _mounts(root: Path) -> Iterator[tuple[set[str], str, str]]:
    """Yield each mounted tree's controllers, the part that is mounted, and the mount point."""
    any_mounted = False
    for line in _read(root / "proc/self/mountinfo").splitlines():
        place, _, kind = line.partition(" - ")
        places, kinds = place.split(" "), kind.split(" ")
        if len(places) >= 5 and len(kinds) >= 3 and kinds[0] in ("cgroup", "cgroup2"):
            any_mounted = True
            controllers = {_UNIFIED} if kinds[0] == "cgroup2" else set(kinds[2].split(","))
            yield controllers, _unescape(places[3]), _unescape(places[4])
    if not any_mounted:
        for controllers, point in _USUAL_MOUNTS:
            yield set(controllers), "/", point


if sys.platform == "win32":

    class _MemoryStatus(ctypes.Structure):
        # https://learn.microsoft.com/windows/win32/api/sysinfoapi/ns-sysinfoapi-memorystatusex
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            ("physical", ctypes.c_uint64),
            ("physical_free", ctypes.c_uint64),
            ("committable", ctypes.c_uint64),
            ("committable_free", ctypes.c_uint64),
            ("virtual", ctypes.c_uint64),
            ("virtual_free", ctypes.c_uint64),
            ("extended_free", ctypes.c_uint64),
        )

    def _system_memory(root: Path) -> int | None:  # noqa: ARG001 - told by no file
        status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
        if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return None
        # Windows refuses what exceeds memory and page file together, be it ever used or not.
        return int(min(status.physical_free, status.committable_free))

elif sys.platform == "darwin":

    def _system_memory(root: Path) -> int | None:  # noqa: ARG001 - told by no file
        # host_statistics64(HOST_VM_INFO64) of <mach/mach_host.h> begins with the numbers of pages
        # that are free, active, inactive and wired; inactive ones go as soon as there is need.
        try:
            library = ctypes.CDLL(None)
            pages = (ctypes.c_uint32 * 256)()
            count = ctypes.c_uint32(len(pages))
            failed = library.host_statistics64(
                library.mach_host_self(), 4, ctypes.byref(pages), ctypes.byref(count)
            )
        except (OSError, AttributeError):
            return None
        return None if failed else (pages[0] + pages[2]) * mmap.PAGESIZE

else:

    def _system_memory(root: Path) -> int | None:
        available = _entry(_read(root / "proc/meminfo"), "MemAvailable:")
        return None if available is None else available * 1024


def _read(path: Path) -> str:
    """Return the text of a file; an empty string if there is no such file."""
    try:
        return path.read_text("utf-8", "surrogateescape").strip()
    except (OSError, ValueError):  # ValueError: a name with a null byte, from a garbled list
        return ""


def _number(text: str) -> int | None:
    # `max` or `-1` mean no limit. A number with more digits cannot be a size.
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else None


def _entry(text: str, name: str) -> int | None:
    """Return the number that follows a name at the start of a line."""
    match = re.search(rf"^{re.escape(name)}\s+([0-9]{{1,20}})\b", text, re.MULTILINE)
    return int(match[1]) if match else None


def _unescape(place: str) -> str:
    r"""Return a path from the list of mounts, which writes a space as `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), place)
