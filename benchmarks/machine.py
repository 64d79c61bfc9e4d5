"""The machine: what it is, and the most that it can do in single precision.

`python -m benchmarks.machine` prints both.

The peak is that of multiply-add on numbers which never leave the registers, in the widest vectors
there are; no arithmetic is faster. `sgemm` is NumPy's product of two large matrices.
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading
import time
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

from gridcnn.cores import usable_cores

_SECONDS = 0.03
_REPETITIONS = 12
_SIDE = 1536  # of the matrices: 9 MB each, as blocks of them fit into the caches


@dataclass(frozen=True)
class Peaks:
    """The most that the machine does, in GFLOP/s, with one thread and with all that are asked for.

    A multiply-add is two operations.
    """

    threads: int
    fma_one: float
    fma_all: float
    sgemm_one: float
    sgemm_all: float
    lanes: int


def describe() -> dict[str, str]:
    """Return what the machine is, in words."""
    memory = _memory()
    return {
        "processor": _processor(),
        "cores": f"{usable_cores()} of {os.cpu_count()} for this process",
        "memory": f"{memory / 2**30:.0f} GiB" if memory else "not known",
        "system": _system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def load() -> str:
    """Return how many threads wanted to run in the last minute, where the system tells."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages; those that are not installed are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def peaks(threads: int) -> Peaks:
    """Measure, and return the best of many repetitions each."""
    limits: Any = import_module("threadpoolctl").threadpool_limits
    lanes, run = _fma()
    with limits(1):
        sgemm_one = _sgemm()
    with limits(threads):
        sgemm_all = _sgemm()
    return Peaks(
        threads=threads,
        fma_one=max(run(1) for _ in range(_REPETITIONS)),
        fma_all=max(run(threads) for _ in range(_REPETITIONS)),
        sgemm_one=sgemm_one,
        sgemm_all=sgemm_all,
        lanes=lanes,
    )


def _sgemm() -> float:
    random = np.random.default_rng(0)
    left, right = random.uniform(-1, 1, (2, _SIDE, _SIDE)).astype(np.float32)
    into = np.empty_like(left)
    best = float("inf")
    for _ in range(_REPETITIONS):
        start = time.perf_counter()
        np.matmul(left, right, out=into)
        best = min(best, time.perf_counter() - start)
    return 2 * _SIDE**3 / best / 1e9


def _fma() -> tuple[int, Any]:
    """Return the lanes of a vector, and what measures GFLOP/s with so many threads."""
    llvm: Any = import_module("llvmlite.binding")
    if tuple(map(int, metadata.version("llvmlite").split(".")[:2])) < (0, 45):
        llvm.initialize()  # later ones do this by themselves
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = {name for name, there in llvm.get_host_cpu_features().items() if there}
    wide = "avx512f" in features
    lanes = 16 if wide else 8 if "avx" in features else 4
    arm = platform.machine().lower() in ("arm64", "aarch64")
    fused = arm or wide or "fma" in features
    # As many sums as registers hold beside the two factors: enough to hide the time that one takes.
    sums = 24 if wide or arm else 12
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        # LLVM halves the vectors on processors that once ran slower with wide ones.
        features=llvm.get_host_cpu_features().flatten() + (",-prefer-256-bit" if wide else ""),
        opt=2,
    )
    module = llvm.parse_assembly(_assembly(lanes, sums, fused=fused))
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    address = engine.get_function_address("loop")
    compute = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(address)

    def timed(turns: int, threads: int) -> float:
        ready = threading.Barrier(threads + 1)
        done = [np.ones(3 * lanes, np.float32) for _ in range(threads)]

        def work(cells: Any) -> None:
            ready.wait()
            compute(turns, cells.ctypes.data)

        workers = [threading.Thread(target=work, args=(cells,)) for cells in done]
        for worker in workers:
            worker.start()
        ready.wait()
        start = time.perf_counter()
        for worker in workers:
            worker.join()
        return time.perf_counter() - start

    turns = 100_000
    while timed(turns, 1) < _SECONDS:
        turns *= 2

    def run(threads: int) -> float:
        assert engine  # whose code runs
        return threads * turns * sums * lanes * 2 / timed(turns, threads) / 1e9

    return lanes, run


def _assembly(lanes: int, sums: int, *, fused: bool) -> str:
    """Return a loop of independent multiply-adds; memory has two factors, and takes the total."""
    kind = f"<{lanes} x float>"
    first = ["%factor = load KIND, ptr %cells, align 4"]
    first += [f"%place = getelementptr float, ptr %cells, i64 {lanes}"]
    first += ["%more = load KIND, ptr %place, align 4"]
    body = [f"%s{n} = phi KIND [ %more, %entry ], [ %n{n}, %body ]" for n in range(sums)]
    last, total = [], "%more"
    for number in range(sums):
        if fused:
            call = f"call KIND @llvm.fma.v{lanes}f32(KIND %s{number}, KIND %factor, KIND %more)"
            body.append(f"%n{number} = {call}")
        else:
            body.append(f"%m{number} = fmul KIND %s{number}, %factor")
            body.append(f"%n{number} = fadd KIND %m{number}, %more")
        last.append(f"%t{number} = fadd KIND {total}, %n{number}")
        total = f"%t{number}"
    lines = [
        f"declare KIND @llvm.fma.v{lanes}f32(KIND, KIND, KIND)",
        "define void @loop(i64 %turns, ptr %cells) {",
        "entry:",
        *first,
        "br label %body",
        "body:",
        "%turn = phi i64 [ 0, %entry ], [ %next, %body ]",
        *body,
        "%next = add i64 %turn, 1",
        "%again = icmp slt i64 %next, %turns",
        "br i1 %again, label %body, label %end",
        "end:",
        *last,
        f"%out = getelementptr float, ptr %cells, i64 {2 * lanes}",
        f"store KIND {total}, ptr %out, align 4",
        "ret void",
        "}",
    ]
    return "\n".join(lines).replace("KIND", kind)


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    told = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = told[0] if told else platform.processor() or platform.machine()
    code = import_module("llvmlite.binding").get_host_cpu_name()
    return f"{name} ({code})"


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()} {platform.machine()}"


def _memory() -> int:
    """Return the bytes of memory, or 0 where nobody tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def main() -> None:
    """Print what the machine is and what it can do."""
    for name, text in describe().items():
        print(f"{name:<12}{text}")
    found = peaks(usable_cores())
    print(f"vectors     {found.lanes} numbers")
    for label, one, many in (
        ("multiply-add", found.fma_one, found.fma_all),
        ("sgemm", found.sgemm_one, found.sgemm_all),
    ):
        print(f"{label:<14}{one:7.1f} GFLOP/s with one thread, {many:7.1f} with {found.threads}")


if __name__ == "__main__":
    main()
