"""Mailboxes: a helper that has done its work waits a moment for more before it falls asleep.

To wake a sleeping thread takes longer than a small network takes for an answer. So a helper that is
done stays in machine code, and looks into its mailbox for a tenth of a millisecond or so. A caller
with work puts it there as long as the helper looks; later the helper has to be woken.

The states of a mailbox, and who changes them:

    ASLEEP  -> LOOKING          the helper enters `attend`
    LOOKING -> CLAIMED -> FULL  a caller claims it, writes the letter, and then marks it as full
    FULL    -> AT_WORK          the helper calls the function of the letter
    AT_WORK -> LOOKING          the helper has returned from that function
    LOOKING -> ASLEEP           the helper has looked `_LOOKS` times, and leaves `attend`

Both ways out of LOOKING are one compare-and-exchange, so that only one of them happens: a letter is
never given to a helper that is leaving. tests/engines/native/test_mailbox.py checks the states.
"""

from __future__ import annotations

import ctypes
import functools
import threading

from gridcnn.engines.native.compiler import Compiled, compile_program, key_for
from gridcnn.engines.native.emitter import INT, PTR, Module
from gridcnn.engines.native.processor import Processor

_ASLEEP, _LOOKING, _CLAIMED, _FULL, _AT_WORK = range(5)
"""What a mailbox's first number says. A helper alone leaves the last two."""
# Where the letter begins, in whole numbers of 8 bytes. These 128 bytes are two lines of the cache:
# what callers write there does not disturb the state, which the helper reads all the time.
_LETTER = 16
_PARTS = 4  # of a letter: a function, and the three addresses that it takes
_LOOKS = 4_000
_ATTEND, _OFFER = "attend", "offer"


class Mailbox:
    """The mailbox of one helper."""

    def __init__(self, processor: Processor) -> None:
        code = self._code = _code(processor)
        self._attend = code.function(_ATTEND, 1)
        self._offer = code.function(_OFFER, 2, brief=True)
        self._through_disk: object = None
        self._lock = threading.Lock()
        # One `_LETTER` for the state, one for the letter, and one to move the start to a multiple
        # of 128 bytes.
        self._room = (ctypes.c_int64 * (3 * _LETTER))()
        start = -ctypes.addressof(self._room) % (8 * _LETTER)
        self._address = ctypes.addressof(self._room) + start
        self._state = ctypes.c_int64.from_buffer(self._room, start)
        self._letter = (ctypes.c_int64 * (_PARTS + 1))()
        self._letter_address = ctypes.addressof(self._letter)

    def offer(self, function: int, arguments: tuple[int, int, int], keep: object) -> bool:
        """Make the helper call a function, if it is still looking; return whether it will.

        Args:
            function: the address of a function of three addresses.
            arguments: these.
            keep: what must live until the helper has left the function.
        """
        # A quick look that may be wrong; the exchange in `_offer` decides.
        if self._state.value != _LOOKING:
            return False
        with self._lock:
            letter = self._letter
            # The last number is the answer: `_offer` writes 1 there if it has put the letter in.
            letter[0], letter[1], letter[2], letter[3], letter[_PARTS] = function, *arguments, 0
            self._offer(self._address, self._letter_address)
            if not letter[_PARTS]:
                return False
            # Only the mailbox keeps this alive until the helper has left the function.
            self._through_disk = keep
            return True

    def is_left(self, keep: object) -> bool:
        """Return whether the helper has left what it was offered, and forget what that needed."""
        with self._lock:
            if self._through_disk is keep and self._state.value > _LOOKING:
                return False
            if self._through_disk is keep:
                self._through_disk = None
            return True

    def attend(self) -> None:
        """Do what is offered, until nothing has come for a while. This is what helpers call."""
        self._attend(self._address)


@functools.cache
def _code(processor: Processor) -> Compiled:
    text = _program(processor)
    return compile_program(key_for(text, processor), lambda: text, _ATTEND, processor, arguments=1)


def _program(processor: Processor) -> str:
    module = Module(processor)
    with module.function(_ATTEND, PTR, internal=False) as (code, (mailbox,)):
        letter = code.at(mailbox, _LETTER, INT)
        looks = code.variable(code.value(0))
        code.store_shared(mailbox, _LOOKING)
        with code.forever() as end:
            with code.when(code.test("eq", code.load_shared(mailbox), _FULL)):
                code.store_shared(mailbox, _AT_WORK)
                # The state was read with acquire, so the letter that was written before it is here.
                function, *arguments = (code.load(letter, n, kind=PTR) for n in range(_PARTS))
                code.line(f"call void {function.name}({', '.join(map(str, arguments))})")
                code.store_shared(mailbox, _LOOKING)
                # More work is likely to follow soon: the count of looks starts over.
                looks.set(code.value(0))
            code.pause()
            looks.set(looks.get() + 1)
            with code.when(code.test("sgt", looks.get(), _LOOKS)):
                code.leave(end, code.exchange(mailbox, _LOOKING, _ASLEEP))
    with module.function(_OFFER, PTR, PTR, internal=False) as (code, (mailbox, given)):
        letter = code.at(mailbox, _LETTER, INT)
        with code.when(code.exchange(mailbox, _LOOKING, _CLAIMED)):
            for part in range(_PARTS):
                code.store(code.load(given, part, kind=INT), letter, part)
            # Last, and with release: the helper must not see FULL before the letter is complete.
            code.store_shared(mailbox, _FULL)
            code.store(code.value(1), given, _PARTS)
    return str(module)
