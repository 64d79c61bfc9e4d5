"""The processor that native code is made for: this machine's, or a lesser one that is asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass

import llvmlite.binding as llvm

from gridcnn.errors import EngineError, Problem, listed, quoted, suggestion

VARIABLE = "GRIDCNN_CPU"
NATIVE, GENERIC = "native", "generic"

# What a processor of each level has, in LLVM's words: the x86-64 psABI's levels. What every
# x86-64 has (SSE2) is left out.
_V2 = frozenset({"cx16", "crc32", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"})
_V3 = _V2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"}
_V4 = _V3 | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}
_LEVELS: Mapping[str, Set[str]] = {
    GENERIC: frozenset(),
    "x86-64": frozenset(),
    "x86-64-v2": _V2,
    "x86-64-v3": _V3,
    "x86-64-v4": _V4,
}

# AVX-512 pays with all of these: 32 registers of every width (VL), and all operations on them.
_AVX512 = frozenset({"avx512bw", "avx512dq", "avx512f", "avx512vl"})
# What stands or falls with AVX-512; LLVM takes `+avx512bw` as a wish for `+avx512f` as well.
_BEYOND_AVX2 = ("avx512", "avx10", "amx-avx512")
# LLVM halves the vectors on processors that once ran slower with wide ones; dense arithmetic gains.
_WIDE = "-prefer-256-bit"


@dataclass(frozen=True)
class Processor:
    """What code is made for.

    Attributes:
        name: LLVM's name of the processor: `znver4`, `x86-64-v3`, `generic`, ...
        features: the features that LLVM gets besides the name: `+avx2,-avx512f,...`, or nothing.
        triple: LLVM's name of architecture, maker and operating system.
        lanes: the float32 numbers in the widest vector that is used: 16, 8 or 4.
        registers: how many vector registers there are.
        fma: whether multiply-add is one instruction.
        permutes: whether AVX2, without AVX-512, puts lanes into an order known when code runs.
    """

    name: str
    features: str
    triple: str
    lanes: int
    registers: int
    fma: bool
    permutes: bool = False


@dataclass(frozen=True)
class Host:
    """What LLVM knows about this machine."""

    name: str
    features: Mapping[str, bool]
    triple: str

    @property
    def architecture(self) -> str:
        """`x86-64`, `arm64`, or what the triple starts with."""
        architecture = self.triple.partition("-")[0].lower()
        known = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64", "arm64e": "arm64"}
        return known.get(architecture, architecture)

    @property
    def present(self) -> Set[str]:
        """The features that this machine has."""
        return {name for name, there in self.features.items() if there}

    def levels(self) -> list[str]:
        """Return all that `GRIDCNN_CPU` may name here."""
        if self.architecture != "x86-64":
            return [NATIVE, GENERIC]
        return [NATIVE, *(name for name, needed in _LEVELS.items() if needed <= self.present)]


def processor() -> Processor:
    """Return this machine's processor, or the lesser one that the variable `GRIDCNN_CPU` names.

    Raises:
        EngineError: `GRIDCNN_CPU` names what this machine cannot run, or nothing at all.
    """
    host = _host()
    wish = os.environ.get(VARIABLE, "")
    wanted = wish.strip().lower() or NATIVE
    if wanted not in host.levels():
        raise EngineError(_refusal(host, wish, wanted))
    return _native(host) if wanted == NATIVE else _level(host, wanted)


def levels() -> list[str]:
    """Return all that `GRIDCNN_CPU` may name here: `native`, and then from the least on."""
    return _host().levels()


@functools.cache
def _host() -> Host:
    try:
        features = dict(llvm.get_host_cpu_features())
    except RuntimeError:  # LLVM does not know them for this system
        features = {}
    # An empty name is LLVM's word for the least processor of the architecture, too.
    return Host(llvm.get_host_cpu_name() or GENERIC, features, llvm.get_process_triple())


def _native(host: Host) -> Processor:
    if host.architecture != "x86-64":
        return _other(host, host.name, _flat(host.features))
    present = host.present
    if present >= _AVX512:
        return _x86(host, host.name, f"{_flat(host.features)},{_WIDE}", present)
    features = {
        name: there and not name.startswith(_BEYOND_AVX2) for name, there in host.features.items()
    }
    present = {name for name, there in features.items() if there}
    # Without a list of features the name alone would promise what a hypervisor may have taken away.
    return _x86(host, host.name if features else GENERIC, _flat(features), present)


def _level(host: Host, name: str) -> Processor:
    if host.architecture != "x86-64":
        return _other(host, name, "")
    needed = _LEVELS[name]
    return _x86(host, name, _WIDE if needed >= _AVX512 else "", needed)


def _x86(host: Host, name: str, features: str, present: Set[str]) -> Processor:
    wide = present >= _AVX512
    return Processor(
        name=name,
        features=features,
        triple=host.triple,
        lanes=16 if wide else 8 if "avx" in present else 4,
        registers=32 if wide else 16,
        # AMD's first processors with AVX have a multiply-add of their own, which LLVM uses as well.
        fma=wide or not present.isdisjoint({"fma", "fma4"}),
        permutes=not wide and "avx2" in present,
    )


def _other(host: Host, name: str, features: str) -> Processor:
    # Every arm64 has 32 vector registers and multiply-add; of all others the least is supposed.
    arm = host.architecture == "arm64"
    return Processor(name, features, host.triple, lanes=4, registers=32 if arm else 16, fma=arm)


def _flat(features: Mapping[str, bool]) -> str:
    # In one order, since objects are kept by this text.
    return ",".join(f"{'+' if there else '-'}{name}" for name, there in sorted(features.items()))


def _refusal(host: Host, given: str, wanted: str) -> Problem:
    allowed = host.levels()
    if wanted not in _LEVELS:
        reason = f"there is no such processor{suggestion(wanted, allowed) or '.'}"
    elif host.architecture != "x86-64":
        reason = f"that is a level of x86-64 processors, and this one is {host.architecture}."
    else:
        missing = listed(sorted(_LEVELS[wanted] - host.present))
        reason = f"this machine's processor, {host.name}, has no {missing}."
    return Problem(
        f"{reason} Choose one of {listed(allowed)}; without {VARIABLE} it is {NATIVE}",
        source=f"{VARIABLE}={quoted(given)}",
    )
