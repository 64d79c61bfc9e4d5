"""Other forms of training items, and only of those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.adapters.molecule import MoleculeAdapter, Written
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.source import Dataset
from gridcnn.datasets.division.splits import Division, divide
from gridcnn.runs.located import locate
from gridcnn.runs.other_forms import with_other_forms
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.spec.load import load

MOLECULES = [f"{'C' * length}{end}" for end in ("O", "N") for length in range(3, 13)]
LABELS = ["alcohol"] * 10 + ["amine"] * 10


def data(things: list[str] = MOLECULES, **more: Any) -> Dataset:
    names = [f"item {number}" for number in range(len(things))]
    return Dataset(things, LABELS, names, **more)


def prepared(dataset: Dataset, seed: int = 0, **given: Any) -> Prepared:
    spec = {
        "adapter": {"molecule": given},
        "data": {"source": "xo", "test": 0.2, "bad_items": "skip"},
        "stages": [{"pooling": {"window": "all"}}],
        "head": "voting",
        "training": {"seed": seed},
    }
    return prepare(locate(load(spec), dataset, Path()))


def test_training_items_are_there_in_other_forms_at_the_end() -> None:
    """With the labels, names, groups, ... of what they are forms of."""
    pytest.importorskip("rdkit")
    groups = [str(number) for number in range(20)]
    dataset = data(groups=groups, places=groups, parts=["train"] * 15 + ["test"] * 5)
    division = Division(np.array([1, 4, 12]), np.array([5]), np.array([15]))

    more, divided = with_other_forms(dataset, division, MoleculeAdapter(variants=3), seed=0)

    origins = [1, 1, 1, 4, 4, 4, 12, 12, 12]
    assert len(more) == 29
    assert divided.train.tolist() == [1, 4, 12, *range(20, 29)]
    assert (divided.validation.tolist(), divided.test.tolist()) == ([5], [15])
    for name in ("labels", "names", "groups", "places", "parts"):
        values, known = getattr(more, name), getattr(dataset, name)
        assert values == [*known, *(known[origin] for origin in origins)]
    assert all(isinstance(form, Written) for form in more.things[20:])
    assert more.notes == ["3 training items are also trained on in 9 other forms"]


@pytest.mark.parametrize("adapter", [None, TextAdapter(), MoleculeAdapter()])
def test_adapters_without_other_forms_change_nothing(adapter: Any) -> None:
    """No forms, no copy."""
    division = Division(np.arange(10), np.arange(10, 15), np.arange(15, 20))

    same = with_other_forms(data(), division, adapter, seed=0)

    assert same[0].things is MOLECULES
    assert same[1] is division


def test_an_items_forms_follow_from_the_seed_and_its_place_alone() -> None:
    """Whatever else is trained on, as in cross-validation."""
    pytest.importorskip("rdkit")
    adapter = MoleculeAdapter(variants=4)
    nothing = np.zeros(0, np.int64)

    def forms(train: list[int], seed: int) -> list[Any]:
        division = Division(np.array(train), nothing, nothing)
        return list(with_other_forms(data(), division, adapter, seed=seed)[0].things[20:])

    assert forms([3, 7], 1) == forms([3], 1) + forms([7], 1)
    assert forms([9], 1) == forms([9], 1)
    assert forms(list(range(20)), 1) != forms(list(range(20)), 2)


def test_a_run_is_prepared_with_forms_of_training_items_only() -> None:
    """The alphabet and the length are learned from them, too; bad items have none."""
    pytest.importorskip("rdkit")
    things = [*MOLECULES[:-1], "C(N"]
    plain, more = prepared(data(things)), prepared(data(things), variants=2)
    division = divide(data(things), test=0.2, validation=0.1, seed=0)

    assert len(more.train) == 3 * len(plain.train)
    assert more.train.names[: len(plain.train)] == plain.train.names
    assert len(more.validation) == len(plain.validation) == len(division.validation)
    assert len(more.test) == len(plain.test)
    assert np.bincount(more.train.data.targets).tolist() == [
        3 * count for count in np.bincount(plain.train.data.targets).tolist()
    ]
    assert isinstance(more.spec.adapter, MoleculeAdapter)
    assert "(" in (more.spec.adapter.alphabet or ())
    assert [str(problem) for problem in more.skipped] == [str(p) for p in plain.skipped]
    assert (more.skipped_items, more.notes) == (
        1,
        (f"{len(division.train)} training items are also trained on in {2 * len(plain.train)} "
        "other forms",),
    )  # fmt: skip
