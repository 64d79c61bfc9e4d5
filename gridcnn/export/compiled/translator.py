"""LLVM's text becomes object code for another processor, in a process of its own.

LLVM ends the process that it works in where it cannot go on, for example with a processor that the
architecture does not have. It writes its warnings and the sizes of stack frames to the standard
error. So a child does the work, see `llvm_child`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from gridcnn.errors import EngineError, GridcnnError

TRACKED = 'noredzone "warn-stack-size"="0" "no-stack-arg-probe"'
"""The attributes of functions whose stack frames are wanted: nothing lies below a frame, and no
library is asked for large ones."""
_FRAME = re.compile(r"stack frame size \((\d+)\) exceeds limit \(0\) in function '([^']+)'")
_UNKNOWN = re.compile(r"'([^']*)' is not a recognized (processor|feature) for this target")
_LAYOUT = re.compile(r"^layout: (.*)$", re.MULTILINE)
_LISTED = re.compile(r"^  (\S+) +- Select the ", re.MULTILINE)


class UnknownProcessorError(GridcnnError):
    """LLVM does not know a processor, or one of its features."""


@dataclass(frozen=True)
class Job:
    """What LLVM is to translate.

    Attributes:
        triple: LLVM's name of architecture, maker and system.
        cpu, features: the processor, and `+avx2,-fma` or nothing.
        text: LLVM IR.
        form: `object`, `assembly`, or `processors` for the names of all that `cpu` may be.
        relocation: `pic` for what may be loaded anywhere, `static` for fixed places.
        abi: which registers arguments are in, where an architecture has several ways; or nothing.
    """

    triple: str
    cpu: str = ""
    features: str = ""
    text: str = ""
    form: str = "object"
    relocation: str = "pic"
    abi: str = ""


@dataclass(frozen=True)
class Translation:
    """What LLVM made.

    Attributes:
        content: object code or assembly.
        frames: the bytes of stack that each function takes for itself.
        layout: LLVM's words for byte order and sizes.
    """

    content: bytes
    frames: dict[str, int]
    layout: str


def translate(job: Job) -> Translation:
    """Return LLVM's result for a job.

    Raises:
        UnknownProcessorError: there is no such processor or feature; the message says which.
        EngineError: LLVM cannot translate it for other reasons.
    """
    done = _run(job)
    messages = done.stderr.decode(errors="replace")
    if unknown := _UNKNOWN.search(messages):
        raise UnknownProcessorError(f"{unknown[2]} '{unknown[1]}'")
    if done.returncode:
        last = messages.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise EngineError(f"LLVM cannot make code for {job.triple} {job.cpu}: {last[0]}")
    frames = {name: int(size) for size, name in _FRAME.findall(messages)}
    layout = _LAYOUT.search(messages)
    return Translation(done.stdout, frames, layout[1] if layout else "")


def processors(triple: str) -> list[str]:
    """Return the names of the processors that LLVM knows for a triple."""
    done = _run(Job(triple, "help", form="processors"))
    names = _LISTED.findall(done.stderr.decode(errors="replace"))
    return [name for name in dict.fromkeys(names) if name != "help"]


def _run(job: Job) -> subprocess.CompletedProcess[bytes]:
    facts = {**asdict(job), "triple": normalize(job.triple), "text": ""}
    given = json.dumps(facts).encode() + b"\n" + job.text.encode()
    # The child finds LLVM where this process did, and imports no module from its own folder.
    command = [sys.executable, "-P", str(Path(__file__).with_name("llvm_child.py"))]
    path = os.pathsep.join(each for each in sys.path if each)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, input=given, capture_output=True, check=False, env=environment)


def normalize(triple: str) -> str:
    """Return a triple with all four parts in their places, as LLVM's libraries expect it.

    Users leave parts out: `aarch64-linux-gnu` names no maker, and LLVM would take `linux` for one.
    """
    architecture, *others = triple.split("-")
    maker, system, more = "unknown", "unknown", ""
    for part in others:
        if part.startswith(_ENVIRONMENTS):
            more = f"-{part}"
        elif part.startswith(_SYSTEMS):
            system = part
        else:
            maker = part
    return f"{architecture}-{maker}-{system}{more}"


_ENVIRONMENTS = ("gnu", "musl", "eabi", "android", "msvc", "elf")
_SYSTEMS = (
    *("linux", "none", "windows", "macos", "darwin", "ios", "freebsd", "netbsd", "openbsd"),
    *("wasi", "emscripten", "fuchsia"),
)
