"""Mailboxes: a helper that still looks does what it is offered; one that sleeps is not asked."""

from __future__ import annotations

import ctypes
import gc
import threading
import weakref
from collections.abc import Callable

import pytest

pytest.importorskip("llvmlite")

from gridcnn.engines.native import mailbox as of_mailboxes
from gridcnn.engines.native.mailbox import Mailbox
from gridcnn.engines.native.processor import processor

WAIT = 120  # seconds that nothing here takes, on any machine
FUNCTION = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)


class Held:
    """Something that a call needs."""


def address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def soon(condition: Callable[[], bool]) -> bool:
    for _ in range(10_000):
        if condition():
            return True
        threading.Event().wait(0.001)
    return False


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """Return a mailbox whose helper looks for a second or so."""
    monkeypatch.setattr(of_mailboxes, "_LOOKS", 20_000_000)
    of_mailboxes._code.cache_clear()
    found = Mailbox(processor())
    of_mailboxes._code.cache_clear()
    return found


def attending(mailbox: Mailbox) -> threading.Thread:
    helper = threading.Thread(target=mailbox.attend, daemon=True)
    helper.start()
    return helper


def test_nobody_takes_what_is_offered_to_a_sleeping_helper() -> None:
    """Before it has ever attended, and when it has gone to sleep."""
    mailbox = Mailbox(processor())
    assert not mailbox.offer(0, (0, 0, 0), None)

    helper = attending(mailbox)
    helper.join(WAIT)
    assert not helper.is_alive()
    assert not mailbox.offer(0, (0, 0, 0), None)


def test_a_helper_that_looks_calls_what_it_is_offered(patient: Mailbox) -> None:
    """With the three addresses, each time it is offered something."""
    called: list[tuple[int | None, ...]] = []

    def note(*given: int | None) -> None:
        called.append((*given, threading.get_ident()))

    function = FUNCTION(note)
    helper = attending(patient)

    def ask(number: int) -> None:
        assert soon(lambda: patient.offer(address(function), (number, 2, 3), None))
        assert soon(lambda: len(called) == number)

    for number in range(1, 6):
        ask(number)
    helper.join(WAIT)
    assert [each[:3] for each in called] == [(number, 2, 3) for number in range(1, 6)]
    assert {each[3] for each in called} == {helper.ident}


def test_a_helper_at_work_is_not_asked_again(patient: Mailbox) -> None:
    """Until it has left, what it needs is kept; then it is free."""
    begun, go_on = threading.Event(), threading.Event()

    def work(*_: object) -> None:
        begun.set()
        go_on.wait(WAIT)

    function, held, other = FUNCTION(work), Held(), Held()
    known = weakref.ref(held)
    helper = attending(patient)
    kept = [held]
    assert soon(lambda: patient.offer(address(function), (0, 0, 0), kept[0]))
    assert begun.wait(WAIT)

    assert not patient.offer(address(function), (0, 0, 0), other)
    assert not patient.is_left(held)
    assert patient.is_left(other)  # it was never taken
    go_on.set()
    assert soon(lambda: patient.is_left(kept[0]))
    kept.clear()
    del held
    gc.collect()
    assert known() is None
    helper.join(WAIT)
