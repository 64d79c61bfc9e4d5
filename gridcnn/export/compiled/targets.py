"""The processors that code can be made for, and what the kernels have to know of them.

LLVM is asked, and not a list: a few lines are translated for the processor, and the instructions
that come out tell how wide its vectors are, and whether it multiplies and adds in one step.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from gridcnn.engines.native.processor import Processor, processor
from gridcnn.errors import EngineError, Problem, UserError, listed, quoted, suggestion
from gridcnn.export.compiled.translator import (
    Job,
    UnknownProcessorError,
    normalize,
    processors,
    translate,
)

COMMON = (
    *("x86_64-linux-gnu", "x86_64-pc-windows-msvc", "aarch64-linux-gnu", "arm64-apple-macos"),
    *("armv7-linux-gnueabihf", "riscv64-linux-gnu", "wasm32"),
    *("thumbv6m-none-eabi", "thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"),
)
"""Targets that messages and documentation name; LLVM knows more."""
# What stands for a processor where none is given. LLVM's own choice for microcontrollers has no
# arithmetic of floats, though the triple says that there is.
_USUAL = {
    "x86_64": "x86-64",
    "thumbv6m": "cortex-m0plus",
    "thumbv7m": "cortex-m3",
    "thumbv7em": "cortex-m4",
    "thumbv8m.main": "cortex-m33",
    "thumbv8.1m.main": "cortex-m55",
    "armv6": "arm1176jzf-s",
    "riscv64": "generic-rv64+m+a+f+d+c",
    "riscv32": "generic-rv32+m+c",
    "wasm32": "generic+simd128",
}
_FREESTANDING = ("none", "elf", "unknown-unknown")
_LISTED = 8  # features that are told
_PROBE = """
define void @wide(ptr %a, ptr %b) nounwind {
  %left = load <16 x float>, ptr %a, align 4
  %right = load <16 x float>, ptr %b, align 4
  %sum = fadd <16 x float> %left, %right
  store <16 x float> %sum, ptr %b, align 4
  ret void
}
define void @both(ptr %a, ptr %b) nounwind {
  %left = load <4 x float>, ptr %a, align 4
  %right = load <4 x float>, ptr %b, align 4
  %sum = call <4 x float> @llvm.fma.v4f32(<4 x float> %left, <4 x float> %right, <4 x float> %left)
  store <4 x float> %sum, ptr %b, align 4
  ret void
}
declare <4 x float> @llvm.fma.v4f32(<4 x float>, <4 x float>, <4 x float>)
"""


@dataclass(frozen=True)
class Target:
    """What code is made for.

    Attributes:
        processor: what the kernels go by; its triple and its name are LLVM's.
        wide: whether addresses have 64 bits, and not 32.
        floats: whether there are instructions for float32; if not, the compiler's library is used.
        relocation: `pic` where a system loads programs anywhere, else `static`.
        abi: which registers arguments are in, where an architecture has several ways; or nothing.
    """

    processor: Processor
    wide: bool
    floats: bool
    relocation: str
    abi: str = ""

    @property
    def triple(self) -> str:
        """LLVM's name of architecture, maker and system."""
        return self.processor.triple

    @property
    def ending(self) -> str:
        """The ending of object files there."""
        return ".obj" if self.triple.endswith("msvc") else ".o"

    @property
    def is_small(self) -> bool:
        """Whether little memory matters more than speed: there is no system."""
        return self.relocation == "static" and not self.triple.startswith("wasm")

    def here(self) -> Target:
        """Return a target that this machine can run, on which the kernels do the same."""
        like, own = self.processor, processor()
        same = replace(own, lanes=like.lanes, registers=like.registers, fma=like.fma)
        return replace(self, processor=same, wide=True, floats=True, relocation="pic", abi="")

    @property
    def name(self) -> str:
        """Triple and processor, for people."""
        more = "".join(each for each in self.processor.features.split(",") if each[:1] == "+")
        # A machine tells all that its processor has, which its name says as well.
        more = more if more.count("+") < _LISTED else ""
        return f"{self.triple}, {self.processor.name}{more}"


def find_target(triple: str, cpu: str | None = None) -> Target:
    """Return the target that LLVM's names stand for.

    Args:
        triple: architecture, maker and system, as `aarch64-linux-gnu`.
        cpu: LLVM's name of the processor, and features with `+`, as `cortex-a72` or
            `generic+simd128`; `native` for this machine's; None for the usual one.

    Raises:
        UserError: there is no such target or processor, or code for it cannot be made here.
    """
    return _find(triple.strip(), cpu)


def this_machine() -> str:
    """Return the triple of a machine like this one."""
    import llvmlite.binding as llvm

    triple: str = llvm.get_process_triple()
    return triple


@functools.cache
def _find(triple: str, cpu: str | None) -> Target:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    try:
        llvm.Target.from_triple(normalize(triple))
    except RuntimeError:
        more = suggestion(triple, COMMON) or "."
        raise UserError(
            Problem(
                f"LLVM has no target {quoted(triple)}{more} A target is an architecture and a "
                f"system, for example {listed(COMMON)}",
                source="--target",
            )
        ) from None
    architecture = triple.partition("-")[0]
    name, *features = (cpu or _USUAL.get(architecture, "generic")).split("+")
    listed_features = ",".join(f"+{feature}" for feature in features)
    if cpu == "native":
        if normalize(triple).split("-")[::2] != normalize(this_machine()).split("-")[::2]:
            raise UserError(
                Problem(
                    f"this machine is {this_machine()}, and not {triple}", source="--cpu native"
                )
            )
        name, listed_features = processor().name, processor().features
    elif architecture in ("x86_64", "amd64"):
        # LLVM halves the vectors on some processors; dense arithmetic gains by wide ones.
        listed_features = f"{listed_features},-prefer-256-bit".lstrip(",")
    try:
        probe = translate(Job(triple, name, listed_features, _PROBE, "assembly"))
    except UnknownProcessorError as error:
        known = processors(triple)
        raise UserError(
            Problem(
                f"LLVM knows no {error} for {triple}{suggestion(name, known) or '.'} "
                f"Known: {listed(known, limit=400)}",
                source="--cpu",
            )
        ) from None
    except EngineError as error:
        raise UserError(Problem(str(error), source="--target")) from None
    return _read(triple, name, listed_features, probe.layout, probe.content.decode())


def _read(triple: str, name: str, features: str, layout: str, text: str) -> Target:
    """Return the target that the probe's assembly shows."""
    sizes = re.findall(r"(?:^|-)p:(\d+)", layout)
    bits = int(sizes[0]) if sizes else 64
    refused = ""
    if bits not in (32, 64):
        refused = f"addresses of {bits} bits"
    elif layout.startswith("E"):
        refused = "the highest byte of a number first (big-endian)"
    if refused:
        allowed = "little-endian processors with addresses of 32 or 64 bits"
        message = f"{triple} has {refused}; code can be made for {allowed}"
        raise UserError(Problem(message, source="--target"))
    registers, lanes = _registers(triple, text)
    freestanding = triple.endswith(_FREESTANDING) or "-none" in triple or triple == "wasm32"
    fma = not re.search(r"\bfmaf?\b", text)
    return Target(
        processor=Processor(name, features, triple, lanes, registers, fma),
        wide=bits == 64,
        floats=not re.search(r"__aeabi_fadd|__addsf3", text),
        relocation="static" if freestanding else "pic",
        abi=_abi(triple, features),
    )


def _registers(triple: str, text: str) -> tuple[int, int]:
    """Return how many vector registers there are, and how many floats the kernels put into each.

    Registers for one float count as a quarter, since kernels have vectors of at least four.
    """
    architecture = triple.partition("-")[0]
    if architecture.startswith(("x86_64", "amd64")):
        return (32, 16) if "zmm" in text else (16, 8 if "ymm" in text else 4)
    if architecture.startswith(("aarch64", "arm64", "powerpc64le", "ppc64le")):
        return 32, 4
    if architecture.startswith(("arm", "thumb")):
        return (16 if re.search(r"vadd\.f32\s+q", text) else 8), 4
    return (16 if "f32x4" in text else 8), 4


def _abi(triple: str, features: str) -> str:
    if not triple.startswith("riscv"):
        return ""
    floats = next((name for name in ("d", "f") if f"+{name}" in features.split(",")), "")
    return ("lp64" if triple.startswith("riscv64") else "ilp32") + floats
