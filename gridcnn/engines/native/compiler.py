"""From LLVM's text to functions that can be called, by way of the cache."""

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
from gridcnn.errors import EngineError

_LOCK = threading.Lock()  # LLVM's own state is shared by all threads


class Compiled:
    """A module of machine code; the code lives as long as this object.

    `call` is the function that was asked for.
    """

    def __init__(self, code: bytes, name: str, processor: Processor, arguments: int) -> None:
        with _LOCK:
            empty = llvm.parse_assembly("")
            self._engine = llvm.create_mcjit_compiler(empty, _machine(processor))
            read = llvm.ObjectFileRef.from_data(code)
            # llvmlite says nothing where this is no object code, and the process would end below.
            if not getattr(read, "_ptr", True):
                raise EngineError("this is no object code; delete the cache")
            self._engine.add_object_file(read)
            self._engine.finalize_object()
        self.call = self.function(name, arguments)

    def function(self, name: str, arguments: int, *, brief: bool = False) -> Callable[..., Any]:
        """Return a function that takes so many addresses.

        Other threads of Python may run while it does, except where it is `brief`.
        """
        kind = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
        return kind(None, *[ctypes.c_void_p] * arguments)(self.address(name))

    def address(self, name: str) -> int:
        """Return where a function is."""
        address: int = self._engine.get_function_address(name)
        if not address:
            raise EngineError(f"the compiled code has no function {name}; delete the cache")
        return address


def key_for(text: str, processor: Processor) -> str:
    """Return the key of the object code for LLVM's text: text, processor and versions."""
    return key_of(text, *described(processor))


def described(processor: Processor) -> tuple[str, ...]:
    """Return all else that object code depends on."""
    versions = (llvmlite.__version__, ".".join(map(str, llvm.llvm_version_info)))
    return processor.name, processor.features, processor.triple, *versions


def compiled(
    key: str, text: Callable[[], str], name: str, processor: Processor, *, arguments: int
) -> Compiled:
    """Return the machine code for LLVM's text, made now or taken from the cache.

    Args:
        key: that of `key_for`.
        text: is asked for the text where it has to be translated.
        name: the function that is to be called, with so many addresses as `arguments`.
        processor: what the code is made for.
    """
    cache = object_cache()
    code = cache.get(key)
    if code is not None:
        # What is kept and is no such code is as if it were not there: it is made again, and kept.
        with contextlib.suppress(EngineError):
            return Compiled(code, name, processor, arguments)
    code = translated(text(), processor)
    cache.put(key, code)
    return Compiled(code, name, processor, arguments)


def translated(text: str, processor: Processor) -> bytes:
    """Return the object code for LLVM's text."""
    with _LOCK:
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


@functools.cache
def _initialized() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _machine(processor: Processor) -> Any:
    _initialized()
    target = llvm.Target.from_triple(processor.triple)
    return target.create_target_machine(
        cpu=processor.name, features=processor.features, opt=1, reloc="pic", codemodel="default"
    )
