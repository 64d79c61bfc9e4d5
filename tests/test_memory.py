"""The budget of memory that all threads of a process share."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from gridcnn.errors import DataError
from gridcnn.memory import Budget

WAIT = 30  # seconds that nothing here takes
GIB = 2**30


def test_what_is_larger_than_all_is_refused_in_one_line() -> None:
    """With what it takes, and what there is."""
    budget = Budget(lambda: 4 * GIB)

    told = r"takes up to 4\.3 GB .* 3\.2 GB may be used"
    with pytest.raises(DataError, match=told) as error, budget.borrow(4 * GIB):
        pass
    assert len(error.value.problems) == 1


def test_trifles_are_lent_without_a_look() -> None:
    """Looking would take longer than reading a small picture."""
    budget = Budget(lambda: pytest.fail("looked"))

    with budget.borrow(1000), budget.borrow(1000):
        pass


def test_where_nobody_can_tell_everything_is_lent() -> None:
    """As on systems that tell nothing of their memory."""
    budget = Budget(lambda: None)

    with budget.borrow(2**60):
        pass


def test_those_who_would_exceed_it_wait() -> None:
    """And go on as soon as enough is given back; those who fit beside it do not wait."""
    budget = Budget(lambda: 4 * GIB)
    taken, small, large = threading.Event(), threading.Event(), threading.Event()

    def take(size: int, event: threading.Event) -> None:
        with budget.borrow(size):
            event.set()

    with budget.borrow(2 * GIB):
        taken.set()
        threads = [
            threading.Thread(target=take, args=(2 * GIB, large)),
            threading.Thread(target=take, args=(GIB, small)),
        ]
        for thread in threads:
            thread.start()
        assert small.wait(WAIT)
        assert not large.wait(0.05)
    assert large.wait(WAIT)
    for thread in threads:
        thread.join(WAIT)


def test_an_error_gives_back_what_was_lent() -> None:
    """Else all others would wait for ever."""
    budget = Budget(lambda: 4 * GIB)

    with pytest.raises(ZeroDivisionError), budget.borrow(3 * GIB):
        raise ZeroDivisionError
    with budget.borrow(3 * GIB):
        pass


def test_only_so_much_is_lent_at_a_time() -> None:
    """However many threads want it at once."""
    budget, most, now = Budget(lambda: 4 * GIB), [0], [0]
    lock = threading.Lock()

    def take() -> None:
        for _ in range(50):
            with budget.borrow(GIB):
                with lock:
                    now[0] += 1
                    most[0] = max(most[0], now[0])
                with lock:
                    now[0] -= 1

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert (now[0], 1 <= most[0] <= 3) == (0, True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_starts_with_all_of_it() -> None:
    """What other threads of the parent hold is not held in the child."""
    budget = Budget(lambda: 4 * GIB)

    with budget.borrow(3 * GIB):
        child = os.fork()
        if not child:
            code = 1
            try:
                with budget.borrow(3 * GIB):
                    code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
