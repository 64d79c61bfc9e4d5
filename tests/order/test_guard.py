from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.errors import ColumnPermutableError
from gridcnn.grid import Array, OneHot
from gridcnn.order.guard import CHECKERS, PermutableWarning, Verdict, guard

GRIDS = np.zeros((4, 1, 2, 3), np.float32)
TARGETS = np.array([0, 1, 0, 1])


class Fake:
    """A checker that finds what it is told to find, and remembers what it was asked."""

    def __init__(self, decision: Literal["grid", "permutable", "undecided"]) -> None:
        self.verdict = Verdict(decision, ("swapping cost nothing",), ("use a decision tree",))
        self.asked: list[tuple[Array, NDArray[np.int64] | None]] = []

    def __call__(self, grids: Array, targets: NDArray[np.int64] | None) -> Verdict:
        self.asked.append((grids, targets))
        return self.verdict


def register(patch: pytest.MonkeyPatch, **fakes: Fake) -> None:
    patch.setattr(CHECKERS, "_places", dict.fromkeys(fakes, ""))
    patch.setattr(CHECKERS, "_loaded", dict(fakes))


def test_reject_raises_with_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, fake=Fake("permutable"))

    with pytest.raises(ColumnPermutableError) as caught:
        guard(GRIDS, TARGETS, "reject")
    assert str(caught.value) == "verdict: permutable\nswapping cost nothing\nuse a decision tree"


def test_warn_warns_and_lets_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake("permutable")
    register(monkeypatch, fake=fake)

    with pytest.warns(PermutableWarning, match="swapping cost nothing"):
        verdicts = guard(GRIDS, TARGETS, "warn")
    assert verdicts == [fake.verdict]


def test_off_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake("permutable")
    register(monkeypatch, fake=fake)

    assert guard(GRIDS, TARGETS, "off") == []
    assert not fake.asked


@pytest.mark.parametrize("decision", ["grid", "undecided"])
@pytest.mark.parametrize("check", ["reject", "warn"])
def test_other_verdicts_pass_in_silence(
    monkeypatch: pytest.MonkeyPatch,
    decision: Literal["grid", "undecided"],
    check: Literal["reject", "warn"],
) -> None:
    register(monkeypatch, fake=Fake(decision))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [verdict.decision for verdict in guard(GRIDS, TARGETS, check)] == [decision]


def test_every_checker_is_asked_about_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Fake("grid"), Fake("permutable")
    register(monkeypatch, first=first, second=second)

    with pytest.raises(ColumnPermutableError):
        guard(GRIDS, None, "reject")
    for fake in (first, second):
        assert fake.asked == [(GRIDS, None)]


def test_without_a_checker_all_data_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)

    assert guard(GRIDS, TARGETS, "reject") == []


def test_checkers_get_the_array_of_one_hot_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made once for all of them."""
    first, second = Fake("grid"), Fake("grid")
    register(monkeypatch, first=first, second=second)
    grids = OneHot(np.array([[0, 2], [-1, 1]], np.int32), 3)

    guard(grids, None, "reject")
    np.testing.assert_array_equal(first.asked[0][0], np.asarray(grids))
    assert first.asked[0][0] is second.asked[0][0]
