"""A network becomes object code for a target: its code, its weights, and what both take."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gridcnn.contracts.adapter import OneHotAdapter
from gridcnn.engines.native.call import Call, Floats
from gridcnn.engines.native.compiler import LOCK
from gridcnn.engines.native.kernels.registry import has_kernel
from gridcnn.engines.native.plan import Plan, make_plan, reads_indices
from gridcnn.engines.native.processor import processor
from gridcnn.engines.native.program import Argument
from gridcnn.errors import EngineError, Problem, SpecError
from gridcnn.export.compiled.dense import without_groups
from gridcnn.export.compiled.emit import HEADER, MAGIC, Constants, Emitter, Packing, entry
from gridcnn.export.compiled.objects import read_object, without_float_arguments
from gridcnn.export.compiled.roots import with_roots
from gridcnn.export.compiled.targets import Target
from gridcnn.export.compiled.translator import Job, translate
from gridcnn.forks import cached_property
from gridcnn.grid import Array
from gridcnn.network import Network, Op
from gridcnn.stages.voting import IndependentVotes

_FLOAT = 4
ALIGNMENT = 64
"""What the work area had best begin at a multiple of, in bytes."""
_PLACE = hashlib.sha256(b"the weights of gridcnn").digest()
"""Bytes that stand where the weights will be."""
_CALL = re.compile(r"call [^@\n]*@(\w+)\(")
_DEFINED = re.compile(r"^define .*?@(\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class Compiled:
    """A network as object code.

    Attributes:
        name: what its names in C begin with.
        target: what it was made for.
        network: the network.
        indices: whether a grid enters as the row of the 1 in each column, int32 `(columns,)`.
        content: the object file.
        weights: the file of weights; None if they are in the object file.
        weights_bytes: what the weights take.
        code_bytes: what the code and its tables take, in the object file.
        work_bytes: the size of the work area.
        stack_bytes: the most stack that a call takes.
        needs: the functions that the object file calls and does not have: those of the compiler's
            own library, on processors without the arithmetic.
    """

    name: str
    target: Target
    network: Network
    indices: bool
    content: bytes
    weights: bytes | None
    weights_bytes: int
    code_bytes: int
    work_bytes: int
    stack_bytes: int
    needs: tuple[str, ...]


class Compilation:
    """A network on its way to object code.

    Args:
        network: a network that ends in votes.
        parameters: its flat vector, float32.
        target: what code is made for.
        name: what names in C begin with.
        inside: whether the weights are in the object file; else in a file of their own.
        compact: whether little memory matters more than speed; None: as the target wants it.
        one_hot: whether grids are one-hot; None: if the spec's adapter makes such.

    Raises:
        SpecError: a stage has no kernel, or the network does not end in votes.
    """

    def __init__(
        self,
        network: Network,
        parameters: Array,
        target: Target,
        *,
        name: str = "network",
        inside: bool = True,
        compact: bool | None = None,
        one_hot: bool | None = None,
    ) -> None:
        self.network = network
        single = np.ascontiguousarray(parameters, np.float32)
        self.ops, self.parameters = without_groups(network.ops, single)
        refuse_foreign_stages(network, self.ops)
        self.target = target
        self.name = name
        self.inside = inside
        self.compact = target.is_small if compact is None else compact
        if one_hot is None:
            one_hot = isinstance(network.spec.adapter, OneHotAdapter)
        # All that read such grids have to be able to look cells up.
        self.indices = one_hot and reads_indices(self.ops)

    @cached_property
    def plan(self) -> Plan:
        """Which stages are done together, and by which kernels."""
        return make_plan(
            self.ops,
            self.network.shape,
            self.target.processor,
            one_hot=self.indices,
            wanted=False,
            answers=True,
            compact=self.compact,
        )

    @cached_property
    def _packed(self) -> Floats:
        """The features in the order of the kernels.

        They are packed here, by code for this machine that is made as if for the target.
        """
        with LOCK:
            made_for = self.target.processor
            here = replace(
                processor(),
                lanes=made_for.lanes,
                registers=made_for.registers,
                fma=made_for.fma,
            )
            program = Packing(self.plan, here).packing()
            call = Call(program, here)
        call(self.parameters, (), threads=1, keep=())
        return call.memory[-1][1]

    def _weights(self, constants: Constants) -> bytes:
        floats = np.zeros(constants.floats, "<f4")
        for each in constants:
            source = self._packed if each.slot is Argument.PACKED else self.parameters
            floats[each.start : each.start + each.floats] = source[
                each.place : each.place + each.floats
            ]
        return floats.tobytes()

    def compile(self) -> Compiled:
        """Return the object code, and what it takes."""
        emitter = Emitter(self.plan, self.target.processor, inside=self.inside)
        text = emitter.emit(several=isinstance(self.network.ops[-1].stage, IndependentVotes))
        if not self.target.wide:
            text = narrow(text)
        if not self.target.floats:
            text = with_roots(text)
        weights = self._weights(emitter.constants)
        identity = hashlib.sha256(text.encode()).digest()[:8]
        # The first function of the text is the first one in the object file.
        marked = not self.target.triple.startswith("wasm")
        first = entry(f"{self.name}_run", inside=self.inside, identity=identity, marked=marked)
        text = first + text
        if self.inside:
            text += place_for(len(weights))
        target = self.target
        job = Job(
            target.triple,
            target.processor.name,
            target.processor.features,
            text,
            relocation=target.relocation,
            abi=target.abi,
        )
        code = translate(job)
        content = without_float_arguments(code.content)
        if self.inside:
            content = filled_in(content, weights)
        contents = read_object(content)
        file = None
        if not self.inside:
            count = struct.pack("<Q", len(weights) // _FLOAT)
            file = (MAGIC + identity + count).ljust(HEADER, b"\0") + weights
        return Compiled(
            name=self.name,
            target=target,
            network=self.network,
            indices=self.indices,
            content=content,
            weights=file,
            weights_bytes=len(weights),
            code_bytes=contents.loaded - (len(weights) if self.inside else 0),
            work_bytes=_FLOAT * emitter.work_floats,
            stack_bytes=deepest(text, code.frames, f"{self.name}_run", self._spare),
            needs=contents.undefined,
        )

    @property
    def _spare(self) -> int:
        """Bytes of stack that a call may take besides a function's frame."""
        # The place to return to, and what it takes to begin with whole vectors.
        return (8 if self.target.wide else 4) + max(16, _FLOAT * self.target.processor.lanes)


def refuse_foreign_stages(network: Network, ops: Sequence[Op]) -> None:
    """Raise unless all operations of a network have kernels, and the last one votes.

    Raises:
        SpecError: with a problem for each stage that cannot be compiled.
    """
    problems = [
        Problem(
            f"{op.label} cannot be compiled: stages of other packages have no machine code; leave "
            "it out, or export to another format"
        )
        for op in ops
        if not has_kernel(op)
    ]
    if network.head is None and not problems:
        problems = [Problem("a network without a head has no votes; give the spec a head")]
    if problems:
        raise SpecError(*problems)


def narrow(text: str) -> str:
    """Return LLVM's text with whole numbers of 32 bits, for processors with such addresses.

    Their arithmetic of 64 bits takes two registers for each number, and a library to divide.
    """
    # Conversions between numbers of 32 bits and whole numbers leave them as they are.
    text = re.sub(r"= (?:[sz]ext|trunc) i32 (\S+) to i64", r"= add i32 \1, 0", text)
    text = re.sub(r"= trunc i64 (\S+) to i32", r"= add i32 \1, 0", text)
    text = re.sub(r"((?:load|store) i64,? .*), align 8$", r"\1, align 4", text, flags=re.MULTILINE)
    return text.replace("i64", "i32")


def place_for(size: int) -> str:
    """Return the text of memory for weights, which are filled in once there is an object file.

    LLVM would take long to read them, and must not believe that they are 0.
    """
    rest = size - len(_PLACE)
    kind = f"<{{ [{len(_PLACE)} x i8], [{rest} x i8] }}>"
    mark = "".join(f"\\{byte:02X}" for byte in _PLACE)
    return (
        f"@weights = internal externally_initialized constant {kind} "
        f'<{{ [{len(_PLACE)} x i8] c"{mark}", [{rest} x i8] zeroinitializer }}>, align 64\n'
    )


def filled_in(content: bytes, weights: bytes) -> bytes:
    """Return an object file with the weights in their place."""
    if content.count(_PLACE) != 1:
        raise EngineError("LLVM has not kept the place for the weights")
    start = content.index(_PLACE)
    return content[:start] + weights + content[start + len(weights) :]


def deepest(text: str, frames: Mapping[str, int], name: str, spare: int) -> int:
    """Return the bytes of stack that a call takes, with those of all that it calls in turn.

    Args:
        text: LLVM's text, whose functions never call themselves.
        frames: the bytes of each function's frame.
        name: the function that is called.
        spare: bytes that each call takes besides the frame.
    """
    calls: dict[str, set[str]] = {}
    for part in re.split(r"(?=^define )", text, flags=re.MULTILINE):
        if match := _DEFINED.match(part):
            calls[match[1]] = set(_CALL.findall(part))
    known: dict[str, int] = {}

    def depth(function: str) -> int:
        if function not in calls:
            return 0
        if function not in known:
            below = max(map(depth, calls[function]), default=0)
            known[function] = frames.get(function, 0) + spare + below
        return known[function]

    return depth(name)
