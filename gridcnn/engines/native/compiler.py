"""From LLVM's text to functions that can be called, through the cache."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from gridcnn.engines.native.cache import key_of, object_cache
from gridcnn.engines.native.processor import Processor
from gridcnn.errors import EngineError, sized
from gridcnn.forks import hold_over_forks
from gridcnn.room import has_room

LOCK = threading.RLock()
"""Held by the thread that makes or loads code: LLVM's own state is shared by all threads.

No child is forked meanwhile, since nothing could put LLVM's state in order there. Other calls of
llvmlite, such as those that free memory, hold its own lock alone.
"""
hold_over_forks(LOCK)
if hasattr(llvm.ffi.lib, "_lock"):  # not public, but as old as llvmlite's oldest version here
    hold_over_forks(llvm.ffi.lib._lock)

_LOADING, _TRANSLATING = 4_000_000, 8_000_000
"""Bytes that LLVM takes at most, besides those that grow with the length of code or text."""


class Compiled:
    """A module of machine code; the code lives as long as this object.

    `call` is the function that was asked for.
    """

    def __init__(self, code: bytes, name: str, processor: Processor, arguments: int) -> None:
        _refuse_without_room(_LOADING + 4 * len(code))
        with LOCK:
            empty = llvm.parse_assembly("")
            # llvmlite's manager of memory keeps code and constants together. LLVM's own may place
            # them more than 2 GB apart, where instructions cannot reach, and ends the process then.
            self._engine = llvm.create_mcjit_compiler(empty, _machine(processor), use_lmm=True)
            read = llvm.ObjectFileRef.from_data(code)
            # llvmlite says nothing if this is not object code, and the process would end below.
            if not getattr(read, "_ptr", True):
                raise EngineError("this is not object code; delete the cache")
            self._engine.add_object_file(read)
            self._engine.finalize_object()
        self.call = self.function(name, arguments)

    def function(
        self, name: str, arguments: int, *, brief: bool = False, answers: bool = False
    ) -> Callable[..., Any]:
        """Return a function that takes so many addresses, and `answers` a number or nothing.

        Other threads of Python may run while it does, except where it is `brief`.
        """
        kind = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
        result = ctypes.c_int32 if answers else None
        return kind(result, *[ctypes.c_void_p] * arguments)(self.address(name))

    def address(self, name: str) -> int:
        """Return where a function is."""
        address: int = self._engine.get_function_address(name)
        if not address:
            raise EngineError(f"the compiled code has no function {name}; delete the cache")
        return address


def key_for(text: str, processor: Processor) -> str:
    """Return the key of the object code for LLVM's text: text, processor and versions."""
    return key_of(text, *describe_processor(processor))


def describe_processor(processor: Processor) -> tuple[str, ...]:
    """Return all else that object code depends on."""
    versions = (llvmlite.__version__, ".".join(map(str, llvm.llvm_version_info)))
    return processor.name, processor.features, processor.triple, *versions


def compile_program(
    key: str, text: Callable[[], str], name: str, processor: Processor, *, arguments: int
) -> Compiled:
    """Return the machine code for LLVM's text, made now or taken from the cache.

    Args:
        key: that of `key_for`.
        text: is called for the text if it has to be compiled.
        name: the function that is to be called, with so many addresses as `arguments`.
        processor: what the code is made for.
    """
    cache = object_cache()
    code = cache.get(key)
    if code is not None:
        # What is kept and is no such code is as if it were not there: it is made again, and kept.
        with contextlib.suppress(EngineError):
            return Compiled(code, name, processor, arguments)
    code = translate(text(), processor)
    cache.put(key, code)
    return Compiled(code, name, processor, arguments)


def translate(text: str, processor: Processor) -> bytes:
    """Return the object code for LLVM's text."""
    _refuse_without_room(_TRANSLATING + 8 * len(text))
    with LOCK:
        module = llvm.parse_assembly(text)
        machine = _machine(processor)
        options = llvm.create_pipeline_tuning_options()
        # The text already says what is a vector, and which loops are worth unrolling.
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
        builder = llvm.create_pass_builder(machine, options)
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        code: bytes = machine.emit_object(module)
        return code


def _refuse_without_room(size: int) -> None:
    """Raise where LLVM may run out of memory, since it ends the process then."""
    if not has_room(size):
        raise EngineError(
            f"there is not enough memory to compile the network: {sized(size)} are needed beside "
            "what is in use; allow this process more (see ulimit -v), or use the engine reference"
        )


@functools.cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _machine(processor: Processor) -> Any:
    _initialize()
    target = llvm.Target.from_triple(processor.triple)
    return target.create_target_machine(
        cpu=processor.name, features=processor.features, opt=1, reloc="pic", codemodel="default"
    )
