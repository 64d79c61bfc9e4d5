"""Calls of machine code: its memory, its table of arguments, and the threads that enter it."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gridcnn.engines.native.compiler import Compiled, compile_program
from gridcnn.engines.native.phases import ALONE, COUNTERS, ENTRY, HELP, STEP_BACK
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Arena, Argument, Program
from gridcnn.engines.native.team import Letter, together
from gridcnn.grid import Array

Floats = NDArray[np.float32]
_ALIGNED = 64  # bytes: a line of the cache, and the widest vector


class Call:
    """A program in machine code, with the memory that it works in."""

    def __init__(
        self, program: Program, processor: Processor, text: Callable[[], str] | None = None
    ) -> None:
        """Take the program's machine code from the cache, or make it of its text.

        `text` is asked for the text where the program does not have it.
        """
        self.program = program
        self._entry = Entry(
            compile_program(
                program.key, text or (lambda: program.text), ENTRY, processor, arguments=3
            ),
            program.phases,
            len(Argument),
            processor,
        )
        self.start_over()

    def start_over(self) -> None:
        """Take new memory to work in; the code stays."""
        self._packed = Buffer(self.program.packed.size)
        self._packed_from: Array | None = None
        self._workspaces: list[Buffer] = []
        self._scratch: dict[str, Buffer] = {}

    def scratch(self, name: str, floats: int) -> Buffer:
        """Return memory that holds anything, and is kept for the next call."""
        buffer = self._scratch.get(name)
        if buffer is None or len(buffer.floats) < floats:
            buffer = self._scratch[name] = Buffer(floats)
        return buffer

    def workspace(self, number: int) -> Buffer:
        """Return the memory of one thread."""
        while len(self._workspaces) <= number:
            self._workspaces.append(Buffer(self.program.workspace.size))
        return self._workspaces[number]

    @property
    def memory(self) -> list[tuple[Arena, Floats]]:
        """How the memory is laid out, and the memory, for each thread and the packed features."""
        of_threads = [(self.program.workspace, each.floats) for each in self._workspaces]
        return [*of_threads, (self.program.packed, self._packed.floats)]

    def __call__(
        self,
        parameters: Floats,
        given: Sequence[tuple[int, int]],
        *,
        threads: int,
        keep: tuple[object, ...],
    ) -> None:
        """Run the program, on several threads; `keep` is what must live until all have left."""
        numbers = self._numbers(parameters, given, to_pack=not self.is_packed(parameters))
        self._packed_from = parameters if self._is_fixed(parameters) else None
        self._entry(numbers, self._spaces(threads), keep=(keep, parameters, self))

    def run(
        self,
        parameters: Array,
        given: Sequence[tuple[int, int]],
        *,
        threads: int,
        keep: tuple[object, ...],
    ) -> Run:
        """Return the same call, to be made as often as `is_packed` says that it may."""
        numbers = self._numbers(parameters, given, to_pack=False)
        return Run(self._entry, numbers, self._spaces(threads), keep=(keep, parameters))

    def _spaces(self, threads: int) -> list[int]:
        shared = self.program.shared
        return [self.workspace(0 if shared else number).address for number in range(threads)]

    def _numbers(
        self, parameters: Array, given: Sequence[tuple[int, int]], *, to_pack: bool
    ) -> list[tuple[int, int]]:
        return [
            *given,
            (_PARAMETERS, address_of(parameters)),
            (_PACKED, self._packed.address),
            (_TO_PACK, to_pack),
        ]

    def is_packed(self, parameters: Array) -> bool:
        """Return whether these features were packed before, and cannot have changed since.

        So a model that only answers, whose vector is read-only, packs its features once.
        """
        return self._packed_from is parameters and not parameters.flags.writeable

    @staticmethod
    def _is_fixed(parameters: Floats) -> bool:
        return not parameters.flags.writeable and parameters.base is None


class Entry:
    """A compiled function of phases, ready to be entered by several threads."""

    def __init__(
        self, code: Compiled, phases: int, arguments: int, processor: Processor | None = None
    ) -> None:
        """Take the code; without a `processor` helpers are always woken."""
        self._code = code
        self._alone = code.function(ALONE, 2)
        self._help = code.function(HELP, 3)
        self._address = code.address(HELP)
        self._processor = processor
        self._sizes = phases * COUNTERS, arguments
        self._spare: list[_Control] = []

    def __call__(
        self, given: Iterable[tuple[int, int]], spaces: Sequence[int], *, keep: object
    ) -> None:
        """Enter with one thread for each workspace; return when all is done.

        Args:
            given: the places in the table of arguments, and what stands there; else 0.
            spaces: the address of each thread's workspace.
            keep: what must live until all have left.
        """
        control = self.control(given)
        # Counters that a helper may still look at are not used again: it would take tasks of the
        # next call. They live on as part of `keep` until it has left.
        if self.enter(control, spaces, keep=keep):
            self._spare.append(control)

    def control(self, given: Iterable[tuple[int, int]]) -> _Control:
        """Return counters and a table of arguments that no other call uses."""
        # Several threads may call at once; a list's pop and append are safe among them.
        try:
            control = self._spare.pop()
        except IndexError:
            control = _Control(*self._sizes)
        control.fill(given)
        return control

    def direct(self, control: _Control, space: int) -> Callable[[], object]:
        """Return the call for one thread alone, which works in one workspace."""
        return functools.partial(self._alone, control.addresses[1], space)

    def enter(self, control: _Control, spaces: Sequence[int], *, keep: object) -> bool:
        """Run on all threads; return True once no helper can still read the arguments."""
        counters, table = control.addresses
        if len(spaces) == 1:
            self._alone(table, spaces[0])
            return True
        control.clear()
        enter, helped = self._code.call, self._help
        kept = (keep, control, self)

        def job(number: int, kept: object = kept) -> None:  # noqa: ARG001
            (helped if number else enter)(counters, table, spaces[number])

        letter = None
        if self._processor is not None:
            letter = Letter(self._processor, self._address, control.addresses, spaces, kept)
        return together(job, len(spaces), letter)


class Run:
    """A call with all its arguments, which can be made again and again."""

    def __init__(
        self, entry: Entry, given: Sequence[tuple[int, int]], spaces: Sequence[int], *, keep: object
    ) -> None:
        self._entry = entry
        self._given = given
        self._spaces = spaces
        self._keep = keep
        self._control = entry.control(given)
        self._direct = entry.direct(self._control, spaces[0]) if len(spaces) == 1 else None

    def __call__(self) -> None:
        """Make the call."""
        if self._direct is not None:
            self._direct()
        elif not self._entry.enter(self._control, self._spaces, keep=self._keep):
            # A helper that has not left yet still reads the arguments.
            self._control = self._entry.control(self._given)


class Buffer:
    """Memory full of zeros that begins with a line of the cache."""

    def __init__(self, floats: int) -> None:
        room = np.zeros(floats * 4 + _ALIGNED, np.uint8)
        start = -address_of(room) % _ALIGNED
        self.floats: Floats = room[start : start + floats * 4].view(np.float32)
        self.address = address_of(self.floats)


class _Control:
    """The counters and the table of arguments of one call."""

    def __init__(self, counters: int, arguments: int) -> None:
        self._counters = (ctypes.c_int64 * counters)()
        self._table = (ctypes.c_int64 * arguments)()
        self._size, self._table_size = ctypes.sizeof(self._counters), ctypes.sizeof(self._table)
        self.addresses = ctypes.addressof(self._counters), ctypes.addressof(self._table)

    def clear(self) -> None:
        """Stop handing out tasks."""
        ctypes.memset(self.addresses[0], 0, self._size)

    def fill(self, given: Iterable[tuple[int, int]]) -> None:
        """Write the arguments; those that are not given are 0."""
        table = self._table
        ctypes.memset(self.addresses[1], 0, self._table_size)
        table[STEP_BACK] = _step_back()
        for place, number in given:
            table[place] = number


def _address_told(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _address_read(array: Array) -> int:
    """Return the same much sooner: an array's first field, behind what all objects begin with."""
    return _read(id(array) + _HEAD).value or 0


_HEAD = object.__basicsize__
_read = ctypes.c_void_p.from_address


def _find_address_reader() -> Callable[[Array], int]:
    """Return how addresses are found out: NumPy's layout is fixed, but not every Python's is."""
    probes = [np.empty(3, np.float32)[start:] for start in range(3)]
    if sys.implementation.name == "cpython" and all(
        _address_read(probe) == _address_told(probe) for probe in probes
    ):
        return _address_read
    return _address_told


address_of = _find_address_reader()
"""Returns where an array begins."""


# Plain numbers: an enumeration's members take time to look up.
_PARAMETERS, _PACKED = int(Argument.PARAMETERS), int(Argument.PACKED)
_TO_PACK = int(Argument.TO_PACK)


@functools.cache
def _step_back() -> int:
    """Return the address of the system's function that lets other threads go first, or 0."""
    try:
        if sys.platform == "win32":
            function = ctypes.WinDLL("kernel32").SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0
