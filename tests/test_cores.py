"""Containers are given as many cores and as much memory as they may use."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridcnn import cores
from gridcnn.cores import shortage, usable_cores, usable_memory

NOT_LINUX = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="told by no file there")
UNLIMITED_1 = "9223372036854771712"

MOUNT_2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
MOUNT_HYBRID = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
MOUNT_CPU = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
MOUNT_MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory"
MOUNT_ROOT = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"


def lay(root: Path, files: Mapping[str, str], *, own: str = "", mounts: str = "") -> Path:
    """Lay out a file system as a process sees it."""
    for name, text in {"proc/self/cgroup": own, "proc/self/mountinfo": mounts, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text:
            path.write_text(text + "\n", "utf-8")
    return root


def version_2(root: Path, files: Mapping[str, str], own: str = "/a/b") -> Path:
    held = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    return lay(root, held, own=f"0::{own}", mounts=f"{MOUNT_ROOT}\n{MOUNT_2}")


def version_1(root: Path, files: Mapping[str, str], own: str = "/a/b") -> Path:
    return lay(
        root,
        {f"sys/fs/cgroup/{name}": text for name, text in files.items()},
        own=f"5:cpu,cpuacct:{own}\n4:memory:{own}\n1:name=systemd:/x\n0::/x",
        mounts=f"{MOUNT_ROOT}\n{MOUNT_CPU}\n{MOUNT_MEMORY}\n{MOUNT_HYBRID}",
    )


# Cores


def test_this_machine_has_cores() -> None:
    """At least one, and no more than there are."""
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity in this system")
def test_affinity_counts() -> None:
    """A process that is bound to one core has one."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(("told", "cores_then"), [(3, 3), (None, 1), (0, 1)])
def test_what_python_tells_is_believed(
    monkeypatch: pytest.MonkeyPatch, told: int | None, cores_then: int
) -> None:
    """Where it knows the process's own cores; nothing known is one core."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: told, raising=False)

    assert cores._allowed_cores() == cores_then


def test_the_lesser_of_affinity_and_quota_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be the narrower one; without a quota affinity decides."""
    for allowed, paid, usable in ((8, 2, 2), (2, 8, 2), (4, None, 4)):
        monkeypatch.setattr(cores, "_allowed_cores", lambda allowed=allowed: allowed)
        monkeypatch.setattr(cores, "_paid_cores", lambda root, paid=paid: paid)
        assert usable_cores() == usable


@pytest.mark.parametrize(
    ("text", "paid"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("100001 100000", 2),
        ("1000 100000", 1),
        ("50000 50000", 1),
        ("max 100000", None),
        ("max", None),
        ("", None),
        ("-1 100000", None),
        ("0 100000", None),
        ("200000 0", None),
        ("200000", None),
        ("200000 100000 7", None),
        ("two one", None),
        ("2e5 1e5", None),
        ("\u0663 \u0661", None),
        ("9" * 5000 + " 1", None),
    ],
)
def test_version_2_is_read(tmp_path: Path, text: str, paid: int | None) -> None:
    """A quota is rounded up; what makes no sense limits nothing."""
    assert cores._paid_cores(version_2(tmp_path, {"a/b/cpu.max": text})) == paid


@pytest.mark.parametrize(
    ("quota", "period", "paid"),
    [
        ("400000", "100000", 4),
        ("250000", "100000", 3),
        ("-1", "100000", None),
        ("", "100000", None),
        ("250000", "", None),
        ("250000", "nonsense", None),
    ],
)
def test_version_1_is_read(tmp_path: Path, quota: str, period: str, paid: int | None) -> None:
    """Quota and period are two files there, and -1 is no limit."""
    place = "cpu,cpuacct/a/b/cpu.cfs"
    files = {f"{place}_quota_us": quota, f"{place}_period_us": period}

    assert cores._paid_cores(version_1(tmp_path, files)) == paid


@pytest.mark.parametrize("narrow", ["", "a/", "a/b/"])
def test_the_narrowest_group_decides(tmp_path: Path, narrow: str) -> None:
    """Each group may limit all those within it; groups that lie elsewhere do not matter."""
    files = {f"{each}cpu.max": "900000 100000" for each in ("", "a/", "a/b/")}
    files |= {f"{narrow}cpu.max": "300000 100000", "a/c/cpu.max": "100000 100000"}

    assert cores._paid_cores(version_2(tmp_path, files)) == 3


def test_both_versions_at_once_are_read(tmp_path: Path) -> None:
    """In a hybrid layout either tree may hold the limit."""
    files = {
        "cpu,cpuacct/a/cpu.cfs_quota_us": "500000",
        "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        "unified/x/cpu.max": "max 100000",
    }
    assert cores._paid_cores(version_1(tmp_path, files)) == 5

    files = {"unified/x/cpu.max": "200000 100000"}
    assert cores._paid_cores(version_1(tmp_path, files)) == 2


def test_a_group_that_is_gone_leaves_those_around_it(tmp_path: Path) -> None:
    """A container may not see its own folder, or live on in one that was removed."""
    root = version_2(tmp_path, {"cpu.max": "400000 100000"}, own="/gone/too (deleted)")

    assert cores._paid_cores(root) == 4


# How trees are mounted


def test_a_part_of_the_tree_is_mounted(tmp_path: Path) -> None:
    """Version 1 in a container: paths are those of the host, and the mount begins within them."""
    root = lay(
        tmp_path,
        {
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/in/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu/in/cpu.cfs_period_us": "100000",
        },
        own="3:cpu:/docker/1234/in",
        mounts="32 31 0:29 /docker/1234 /sys/fs/cgroup/cpu ro master:9 - cgroup cgroup rw,cpu",
    )

    assert cores._paid_cores(root) == 2


@pytest.mark.parametrize("own", ["/../../elsewhere", "/user.slice/shell"])
def test_a_path_from_outside_means_the_mounted_group(tmp_path: Path, own: str) -> None:
    """The path is of another view of the tree: what is mounted is the container's own."""
    root = lay(
        tmp_path,
        {"sys/fs/cgroup/cpu.max": "600000 100000", "elsewhere/cpu.max": "100000 100000"},
        own=f"0::{own}",
        mounts="30 23 0:26 /docker/1234 /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
    )

    assert cores._paid_cores(root) == 6


def test_a_tree_of_others_does_not_matter(tmp_path: Path) -> None:
    """One that is mounted elsewhere, and that this process is not in, limits others."""
    other = "44 23 0:26 /docker/5678 /srv/other rw - cgroup2 cgroup2 rw"
    root = lay(
        tmp_path,
        {"srv/other/cpu.max": "100000 100000", "sys/fs/cgroup/a/cpu.max": "700000 100000"},
        own="0::/a",
        mounts=f"{other}\n{MOUNT_2}",
    )

    assert cores._paid_cores(root) == 7


def test_a_tree_may_be_mounted_anywhere(tmp_path: Path) -> None:
    """Under a name with a space as well, which the list of mounts writes as a number."""
    root = lay(
        tmp_path,
        {"my groups/a/cpu.max": "700000 100000"},
        own="0::/a",
        mounts=r"30 23 0:26 / /my\040groups rw - cgroup2 cgroup2 rw",
    )

    assert cores._paid_cores(root) == 7


@pytest.mark.parametrize(
    "name", ["sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/cpu,cpuacct"]
)
def test_without_a_list_of_mounts_usual_places_are_looked_at(tmp_path: Path, name: str) -> None:
    """Some sandboxes show no such list."""
    files = {
        f"{name}/a/cpu.max": "200000 100000",
        f"{name}/a/cpu.cfs_quota_us": "200000",
        f"{name}/a/cpu.cfs_period_us": "100000",
    }

    assert cores._paid_cores(lay(tmp_path, files, own="0::/a\n3:cpu,cpuacct:/a")) == 2


def test_without_anything_nothing_is_limited(tmp_path: Path) -> None:
    """As on a system without control groups."""
    assert cores._paid_cores(tmp_path) is None
    assert cores._group_memory(tmp_path) is None
    assert list(cores._groups("cpu", tmp_path / "none"))


LINES = st.text("0:/.acpu, -\n\0\\1\udcffé", max_size=60) | st.sampled_from(
    ["0::/a", "3:cpu:/a", MOUNT_2, MOUNT_CPU, "0::/" + "a" * 300, " - cgroup2 x y", "max 1", "5 2"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(own=LINES, mounts=LINES, limit=LINES)
def test_rubbish_is_no_error(
    tmp_path_factory: pytest.TempPathFactory, own: str, mounts: str, limit: str
) -> None:
    """Whatever the files say."""
    root = tmp_path_factory.getbasetemp() / "rubbish"
    for name, text in {
        "proc/self/cgroup": own,
        "proc/self/mountinfo": mounts,
        "proc/meminfo": limit,
        "sys/fs/cgroup/cpu.max": limit,
        "sys/fs/cgroup/memory.max": limit,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode("utf-8", "surrogateescape"))

    for number in (cores._paid_cores(root), cores._group_memory(root)):
        assert number is None or number >= 0


# Memory


def test_this_machine_has_memory() -> None:
    """Where the system tells, it is more than nothing."""
    room = usable_memory()

    assert room is None or room > 0
    assert room is not None or sys.platform not in ("linux", "win32", "darwin")


def test_the_lesser_of_system_and_group_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be unknown; both unknown is None."""
    for system, group, usable in (
        (8, 2, 2),
        (2, 8, 2),
        (None, 4, 4),
        (4, None, 4),
        (0, 3, 0),
        (None, None, None),
    ):
        monkeypatch.setattr(cores, "_system_memory", lambda root, system=system: system)
        monkeypatch.setattr(cores, "_group_memory", lambda root, group=group: group)
        monkeypatch.setattr(cores, "_own_memory", lambda root: None)
        assert usable_memory() == usable
        monkeypatch.setattr(cores, "_own_memory", lambda root: 1)
        assert usable_memory() == (0 if usable == 0 else 1)


@NOT_LINUX
@pytest.mark.parametrize(
    ("text", "room"),
    [
        ("MemTotal:       24684096 kB\nMemFree:  17 kB\nMemAvailable:   1000 kB", 1_024_000),
        ("MemTotal:       24684096 kB", None),
        ("MemAvailable:   lots", None),
        ("", None),
    ],
)
def test_the_system_tells_what_is_available(tmp_path: Path, text: str, room: int | None) -> None:
    """In units of 1024 bytes; older kernels do not."""
    assert cores._system_memory(lay(tmp_path, {"proc/meminfo": text})) == room


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({"memory.max": "1000", "memory.current": "300"}, 700),
        ({"memory.max": "1000"}, 1000),
        ({"memory.max": "max", "memory.current": "300"}, None),
        ({"memory.max": "nonsense", "memory.current": "300"}, None),
        ({"memory.max": "1000", "memory.current": "1200"}, 0),
        ({"memory.max": "1000", "memory.high": "900", "memory.current": "300"}, 600),
        ({"memory.max": "max", "memory.high": "900", "memory.current": "300"}, 600),
        ({"memory.max": "1000", "memory.high": "max", "memory.current": "300"}, 700),
        (
            {
                "memory.max": "1000",
                "memory.current": "300",
                "memory.stat": "anon 50\nfile 250\ninactive_file 200\nactive_file 50",
            },
            950,
        ),
        (
            {
                "memory.max": "1000",
                "memory.current": "300",
                "memory.stat": "inactive_file 400",
            },
            1000,
        ),
    ],
)
def test_what_version_2_leaves(tmp_path: Path, files: Mapping[str, str], room: int | None) -> None:
    """The limit less what is used; files that were read make room when there is need."""
    root = version_2(tmp_path, {f"a/b/{name}": text for name, text in files.items()})

    assert cores._group_memory(root) == room


@pytest.mark.parametrize(
    ("limits", "status", "room"),
    [
        ("Max data size  5000  unlimited  bytes", "VmData:  2 kB", 5000 - 2048),
        ("Max address space  9000  9000  bytes", "VmSize:  2 kB", 9000 - 2048),
        (
            "Max data size  5000  5000  bytes\nMax address space  4000  4000  bytes",
            "VmSize:  3 kB\nVmData:  2 kB",
            4000 - 3072,
        ),
        ("Max data size  1000  1000  bytes", "VmData:  2 kB", 0),
        ("Max data size  unlimited  unlimited  bytes", "VmData:  2 kB", None),
        ("Max data size  5000  5000  bytes", "", None),
        ("", "VmData:  2 kB", None),
    ],
)
def test_what_the_limits_of_the_process_leave(
    tmp_path: Path, limits: str, status: str, room: int | None
) -> None:
    """The soft limit of data, and of addresses, less what is taken of each."""
    root = lay(tmp_path, {"proc/self/limits": limits, "proc/self/status": status})

    assert cores._own_memory(root) == room


@pytest.mark.parametrize(
    ("limit", "room"),
    [("1000", 900), (UNLIMITED_1, int(UNLIMITED_1) - 100), ("-1", None), ("", None)],
)
def test_what_version_1_leaves(tmp_path: Path, limit: str, room: int | None) -> None:
    """There no limit is a huge number, which the system's memory is smaller than."""
    files = {
        "memory/a/b/memory.limit_in_bytes": limit,
        "memory/a/b/memory.usage_in_bytes": "300",
        "memory/a/b/memory.stat": "inactive_file 1\ntotal_cache 250\ntotal_inactive_file 200",
    }

    assert cores._group_memory(version_1(tmp_path, files)) == room


def test_the_group_that_leaves_least_decides(tmp_path: Path) -> None:
    """A wide group may be nearly full of others' memory."""
    files = {
        "a/memory.max": "9000",
        "a/memory.current": "8900",
        "a/b/memory.max": "1000",
        "a/b/memory.current": "300",
    }

    assert cores._group_memory(version_2(tmp_path, files)) == 100


# Other systems


def as_on(platform: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module as it is on another system."""
    place = cores.__spec__
    assert place is not None
    assert place.origin is not None
    spec = importlib.util.spec_from_file_location("cores_elsewhere", place.origin)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("free", "committable", "room"), [(7, 9, 7), (9, 7, 7)])
def test_windows_tells_by_a_call(
    monkeypatch: pytest.MonkeyPatch, free: int, committable: int, room: int
) -> None:
    """What is free, and what Windows would still promise."""
    elsewhere = as_on("win32", monkeypatch)

    def status(pointer: Any) -> int:
        held = pointer._obj
        assert held.length == ctypes.sizeof(held) == 64
        held.physical_free, held.committable_free = free, committable
        return 1

    kernel = SimpleNamespace(GlobalMemoryStatusEx=status)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert elsewhere._system_memory(Path("/")) == room

    kernel.GlobalMemoryStatusEx = lambda pointer: 0
    assert elsewhere._system_memory(Path("/")) is None


def test_a_mac_tells_by_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Free pages and inactive ones; where the call fails or is missing, nobody can tell."""
    elsewhere = as_on("darwin", monkeypatch)

    def statistics(host: int, kind: int, pages: Any, count: Any) -> int:
        assert (host, kind) == (7, 4)
        assert count._obj.value == len(pages._obj)
        pages._obj[0:4] = [10, 1000, 5, 1000]
        return 0

    library = SimpleNamespace(mach_host_self=lambda: 7, host_statistics64=statistics)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert elsewhere._system_memory(Path("/")) == 15 * elsewhere.mmap.PAGESIZE

    library.host_statistics64 = lambda *_: 5
    assert elsewhere._system_memory(Path("/")) is None
    del library.host_statistics64
    assert elsewhere._system_memory(Path("/")) is None


def test_what_does_not_fit_is_told_with_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is small is not worth a look, and where nobody can tell, everything fits."""
    asked = []

    def usable() -> int | None:
        asked.append(1)
        return 3_000_000_000

    monkeypatch.setattr(cores, "usable_memory", usable)

    assert not shortage(1_000_000)
    assert not asked
    assert not shortage(3_000_000_000)
    told = "4.9 GB of memory are needed, and 3.0 GB are usable here"
    assert shortage(4_900_000_000) == told
    monkeypatch.setattr(cores, "usable_memory", lambda: None)
    assert not shortage(10**18)
