from __future__ import annotations

import json
import warnings
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.errors import ColumnPermutableError
from gridcnn.grid import Array, Axis, GridShape, OneHot
from gridcnn.order import sample as sample_module
from gridcnn.order import verdict as verdict_module
from gridcnn.order.guard import (
    CHECKERS,
    CHECKS,
    Checked,
    Context,
    PermutableWarning,
    Verdict,
    guard,
)
from gridcnn.order.sample import Sample
from gridcnn.progress import Progress

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


def register(patch: pytest.MonkeyPatch, **fakes: Any) -> None:
    patch.setattr(CHECKERS, "_places", dict.fromkeys(fakes, ""))
    patch.setattr(CHECKERS, "_loaded", dict(fakes))


def test_reject_raises_with_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, fake=Fake("permutable"))

    with pytest.raises(ColumnPermutableError) as caught:
        guard(GRIDS, TARGETS, "reject")
    assert str(caught.value).splitlines() == [
        "the data is no grid, since its order carries no information (verdict: permutable)",
        "swapping cost nothing",
        "use a decision tree",
        "to train on it all the same, set check: warn",
    ]


def test_warn_warns_and_lets_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake("permutable")
    register(monkeypatch, fake=fake)

    with pytest.warns(PermutableWarning, match="swapping cost nothing"):
        checked = guard(GRIDS, TARGETS, "warn")
    assert checked.verdicts == {"fake": fake.verdict}
    assert (checked.decision, checked.overridden) == ("permutable", True)


def test_off_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake("permutable")
    register(monkeypatch, fake=fake)

    checked = guard(GRIDS, TARGETS, "off")
    assert (checked.decision, checked.overridden, checked.verdicts) == (None, True, {})
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
        checked = guard(GRIDS, TARGETS, check)
    assert (checked.decision, checked.overridden) == (decision, False)


def test_every_checker_is_asked_about_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Fake("grid"), Fake("permutable")
    register(monkeypatch, first=first, second=second)

    with pytest.raises(ColumnPermutableError):
        guard(GRIDS, None, "reject")
    for fake in (first, second):
        assert fake.asked == [(GRIDS, None)]


def test_without_a_checker_all_data_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)

    checked = guard(GRIDS, TARGETS, "reject")
    assert (checked.decision, checked.overridden, checked.verdicts) == (None, False, {})


def test_checkers_get_the_array_of_one_hot_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made once for all of them."""
    first, second = Fake("grid"), Fake("grid")
    register(monkeypatch, first=first, second=second)
    grids = OneHot(np.array([[0, 2], [-1, 1]], np.int32), 3)

    guard(grids, None, "reject")
    np.testing.assert_array_equal(first.asked[0][0], np.asarray(grids))
    assert first.asked[0][0] is second.asked[0][0]


def test_a_checker_may_take_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it gets one-hot grids as they are kept, and no array of their cells is made."""
    asked: list[Any] = []

    class Judging:
        def judge(self, sample: Sample, context: Context) -> Verdict:
            asked.append((sample, context))
            return Verdict("grid")

    register(monkeypatch, judging=Judging())
    monkeypatch.setattr(OneHot, "__array__", None)
    grids = OneHot(np.array([[0, 2], [-1, 1]], np.int32), 3)
    given = Sample(grids, 9, np.array([4, 7]), seed=5)

    guard(grids, None, "reject", seed=3)
    guard(grids, None, "reject", sample=given)

    (made, context), (kept, _) = asked
    assert made.data is grids
    assert (made.rows, made.seed, made.kept.tolist()) == (2, 3, [0, 1])
    assert context == Context(GridShape(1, 3, 2), 2, 3)
    assert kept is given


def test_a_checker_may_take_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shape and axes, seed, threads and progress reach one with a place for a third argument."""
    asked: list[Context] = []

    def knowing(grids: Array, targets: NDArray[np.int64] | None, about: Context) -> Verdict:
        asked.append(about)
        return Verdict("grid")

    told: list[Progress] = []
    shape = GridShape(1, 2, 3, Axis("symbol", ordered=False), Axis("place"))
    register(monkeypatch, knowing=knowing, fake=Fake("grid"))

    guard(
        GRIDS,
        TARGETS,
        "reject",
        shape=shape,
        seed=7,
        threads=2,
        advance=told.append,
    )
    guard(GRIDS, TARGETS, "reject")

    first, second = asked
    assert (first.items, first.seed, first.threads) == (4, 7, 2)
    assert first.shape.row_axis == Axis("symbol", ordered=False)
    assert first.advance is not None
    first.advance(Progress("looking", 1, 2))
    assert told == [Progress("looking", 1, 2)]
    assert second == Context(GridShape(1, 2, 3), 4)


@pytest.mark.parametrize(
    ("sizes", "items", "looked_at"),
    [((1, 1, 3), 4_001, 4_000), ((1, 1, 3), 4_000, 4_000), ((2, 20, 30), 60, 50)],
)
def test_of_many_items_some_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int, int], items: int, looked_at: int
) -> None:
    """The same ones for the same seed, in their order and with their labels."""
    fake = Fake("grid")
    register(monkeypatch, fake=fake)
    monkeypatch.setattr(sample_module, "_CELLS", 50_000)
    monkeypatch.setattr(sample_module, "_FEWEST_ITEMS", 50)
    grids = np.broadcast_to(np.arange(items)[:, None, None, None], (items, *sizes))

    for seed in (0, 0, 1):
        guard(grids, np.arange(items), "reject", seed=seed)

    (first, targets), (again, _), (other, _) = fake.asked
    assert targets is not None
    chosen = first[:, 0, 0, 0]
    assert first.shape == (looked_at, *sizes)
    np.testing.assert_array_equal(chosen, targets)
    np.testing.assert_array_equal(chosen, np.unique(chosen))
    np.testing.assert_array_equal(again[:, 0, 0, 0], chosen)
    assert (other[:, 0, 0, 0].tolist() == chosen.tolist()) == (looked_at == items)


def test_what_was_found_survives_as_json() -> None:
    verdicts = {
        "order": Verdict("undecided", ("few rows",), ("more rows",)),
        "other": Verdict("grid"),
    }
    for setting in CHECKS:
        checked = Checked(setting, verdicts)
        again = Checked.from_json(json.loads(json.dumps(checked.as_json())))
        assert again == checked
    assert checked.decision == "grid"
    with pytest.raises(ValueError, match="a verdict needs the entry 'checker'"):
        Checked.from_json({"setting": "warn", "verdicts": [{}]})


def test_there_is_one_class_of_verdicts() -> None:
    """What checkers of other packages import is what the instrument makes."""
    assert Verdict is verdict_module.Verdict
