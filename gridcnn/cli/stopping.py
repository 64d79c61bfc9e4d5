"""Ctrl-C and SIGTERM, from the first line of the command to the last.

While the command starts, and after its output is complete, a signal ends the process at once: there
is nothing to clean up. In between it raises KeyboardInterrupt, so that files are closed, and a run
says how to continue::

    begin()          ends at once: imports, options
    listen()         raises KeyboardInterrupt: a verb at work
    finish()         ends at once: Python's own end

KeyboardInterrupt is raised by Python wherever the main thread happens to be. In the middle of an
import, a library may treat it as an error of its own; in a finalizer Python prints it and
continues. So it waits until such code has ended.

This module is the first that is imported. It needs nothing but what Python itself has loaded.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time

TYPE_CHECKING = False  # `typing` would take longer to import than all of this
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TWICE = 1.0
"""Seconds in which a second signal counts as the same one: make, npm and timeout pass on what the
terminal sends as well, and a second key press should not interrupt the clean-up."""
_PATIENCE = 5.0
"""Seconds that KeyboardInterrupt waits for code that it must not break into."""
_PAUSE = 0.01


class _State:
    def __init__(self) -> None:
        self.listening = False
        self.finished = False
        self.number = 0
        """The signal that was received; 0 before that."""
        self.since = 0.0
        self.waiting = False
        """Whether KeyboardInterrupt is still to be raised."""


_state = _State()


def begin() -> None:
    """Handle Ctrl-C and SIGTERM, unless the parent process has them ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _receive)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _receive)
    sys.unraisablehook = _wait_if_interrupted


def listen() -> None:
    """From now on, raise KeyboardInterrupt, so that a verb can clean up."""
    _state.listening, _state.finished = True, False


def finish() -> None:
    """From now on, end at once: the output is complete."""
    _state.listening, _state.finished = False, True


def was_stopped() -> bool:
    """Return whether a signal was received, even if KeyboardInterrupt was lost."""
    return bool(_state.number)


def code() -> int:
    """Return the exit code of a command that was stopped: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (_state.number or signal.SIGINT)


def _leave() -> None:
    """End the process now, without Python's shutdown, and without waiting for threads."""
    cursor = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar may have hidden it
    try:
        os.write(2, (cursor + ("" if _state.finished else "stopped\n")).encode())
    finally:
        os._exit(code())


def _receive(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    first = not _state.number
    if first:
        _state.number, _state.since = number, now
    if not _state.listening:
        _leave()
    elif first or _state.waiting:  # the signals of `_remind` come in here, too
        late = now - _state.since > _PATIENCE
        _state.waiting = not late and not _is_safe(frame) and _remind()
        if not _state.waiting:
            raise KeyboardInterrupt
    elif now - _state.since > _TWICE:
        _leave()


def _is_safe(frame: FrameType | None) -> bool:
    """Return whether code may be interrupted here: not in an import, and not in a finalizer."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") or code.co_name == "__del__":
            return False
        frame = frame.f_back
    return True


def _remind() -> bool:
    """Interrupt the main thread again in a moment; return whether that is possible."""
    try:
        # Not `threading`: its locks may be held by the code that this handler has broken into.
        _thread.start_new_thread(_interrupt_soon, ())
    except RuntimeError:
        return False
    return True


def _interrupt_soon() -> None:
    time.sleep(_PAUSE)
    _thread.interrupt_main(signal.Signals(_state.number))


def _wait_if_interrupted(unraisable: Any) -> None:
    """Raise KeyboardInterrupt later if Python would only print it here, as in a callback."""
    if _state.number and isinstance(unraisable.exc_value, KeyboardInterrupt):
        _state.since = time.monotonic()
        _state.waiting = _remind()
    else:
        sys.__unraisablehook__(unraisable)
