"""Groups of molecules by scaffold, and the division that MoleculeNet makes of them."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.contracts.source import Dataset
from gridcnn.errors import DataError, SpecError
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.runs.scaffolds import by_scaffold
from gridcnn.spec.load import load

RINGS = ["c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccc2ccccc2c1", "C1CC1", "c1ccoc1"]


def data(things: list[Any], **more: Any) -> Dataset:
    names = [f"item {number}" for number in range(len(things))]
    return Dataset(things, ["ab"[n % 2] for n in range(len(things))], names, **more)


def naive_scaffold(smiles: str) -> str:
    """Return the rings and what joins them by taking ends away, one atom after the other."""
    from rdkit import Chem

    molecule = Chem.RWMol(Chem.MolFromSmiles(smiles))
    while True:
        ends = [atom.GetIdx() for atom in molecule.GetAtoms() if atom.GetDegree() < 2]
        if not ends:
            return str(Chem.MolToSmiles(Chem.MolFromSmiles(Chem.MolToSmiles(molecule))))
        molecule.RemoveAtom(ends[0])


def moleculenet(scaffolds: list[str], train: float, valid: float) -> list[list[int]]:
    """Return the items of each part as DeepChem's page of its ScaffoldSplitter describes it."""
    sets: dict[str, list[int]] = {}
    for index, scaffold in enumerate(scaffolds):
        sets.setdefault(scaffold, []).append(index)
    parts: list[list[int]] = [[], [], []]
    count = len(scaffolds)
    for items in sorted(sets.values(), key=lambda s: (len(s), s[0]), reverse=True):
        if len(parts[0]) + len(items) <= train * count:
            parts[0] += items
        elif len(parts[0]) + len(parts[1]) + len(items) <= (train + valid) * count:
            parts[1] += items
        else:
            parts[2] += items
    return [sorted(part) for part in parts]


@pytest.mark.parametrize(
    ("smiles", "scaffold"),
    [
        ("CCO", ""),
        ("Cc1ccccc1CCN", "c1ccccc1"),
        ("C[C@H](c1ccccc1)C1CC1", "c1ccc(CC2CC2)cc1"),
        ("OC1CCC(CCc2ccncc2)CC1", "c1cc(CCC2CCCCC2)ccn1"),
    ],
)
def test_a_scaffold_is_the_rings_and_what_joins_them(smiles: str, scaffold: str) -> None:
    """Without stereo marks; nothing where there is no ring."""
    pytest.importorskip("rdkit")

    grouped, problems = by_scaffold(data([smiles]))

    assert grouped.groups == [scaffold] == [naive_scaffold(smiles)]
    assert problems == ()


def test_groups_are_those_of_rdkit() -> None:
    """Its own function is asked for each molecule, by itself."""
    murcko = pytest.importorskip("rdkit.Chem.Scaffolds.MurckoScaffold")
    things = [f"{start}{ring}" for ring in RINGS for start in ("C", "O=C", "F[C@H](Cl)", "C#C.C")]

    grouped, _ = by_scaffold(data(things))

    assert grouped.groups == [murcko.MurckoScaffoldSmilesFromSmiles(smiles) for smiles in things]


def test_what_has_no_scaffold_is_told_and_left_out() -> None:
    """With its place, and its row in everything that the data knows."""
    pytest.importorskip("rdkit")
    things = ["CCO", "C(C", "C[NH5]", None, "c1ccccc1"]
    done: list[int] = []

    grouped, problems = by_scaffold(
        data(things, places=[f"a.csv:{line}" for line in range(2, 7)], parts=["train"] * 5),
        advance=done.append,
    )

    assert [str(problem)[:38] for problem in problems] == [
        "a.csv:3: character 2 of its SMILES, '(",
        "a.csv:4: RDKit refuses the atom at cha",
        "a.csv:5: it is None, not a SMILES, and",
    ]
    assert (list(grouped.things), grouped.labels) == (["CCO", "c1ccccc1"], ["a", "a"])
    assert (grouped.names, grouped.places) == (["item 0", "item 4"], ["a.csv:2", "a.csv:6"])
    assert (grouped.parts, grouped.groups) == (["train", "train"], ["", "c1ccccc1"])
    assert sum(done) == 5


def test_without_rdkit_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)

    with pytest.raises(DataError, match=r"^data\.group: {scaffold: murcko} needs RDKit, which is"):
        by_scaffold(data(["CC"]))


# In a run ---------------------------------------------------------------------------------------


def prepared(things: list[Any], group: dict[str, Any], **settings: Any) -> Prepared:
    spec = {
        "adapter": {"molecule": {}},
        "data": {"source": "xo", "group": group, **settings},
        "stages": [{"pooling": {"window": "all"}}],
        "head": "voting",
    }
    return prepare(locate(load(spec), data(things), Path()))


def many(count: int = 120) -> list[str]:
    random = np.random.default_rng(0)
    rings = random.choice(RINGS, count, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    return [f"{'C' * int(random.integers(1, 9))}{ring}" for ring in rings]


def test_a_scaffold_is_in_one_part_only() -> None:
    """Drawn as other groups are, with the classes as even as they can be."""
    pytest.importorskip("rdkit")
    things = many()

    found = prepared(things, {"scaffold": "murcko"}, test=0.2, validation=0.2)

    scaffolds = [
        {naive_scaffold(things[int(name.split()[1])]) for name in part.names}
        for part in (found.train, found.validation, found.test)
    ]
    assert all(scaffolds)
    assert sum(map(len, scaffolds)) == len(set().union(*scaffolds)) == len(RINGS)


def test_the_largest_first_is_the_division_of_moleculenet() -> None:
    """80, 10 and 10 % are `test: 0.1` and, of the rest, `validation: 0.1111`."""
    pytest.importorskip("rdkit")
    things = many()

    found = prepared(
        things,
        {"scaffold": "murcko", "order": "largest_first"},
        test=0.1,
        validation=0.1111,
    )

    parts = [
        [int(name.split()[1]) for name in part.names]
        for part in (found.train, found.validation, found.test)
    ]
    assert parts == moleculenet([naive_scaffold(smiles) for smiles in things], 0.8, 0.1)


def test_bad_molecules_stop_the_run_or_are_skipped() -> None:
    """As bad items always are; those that only RDKit refuses, too."""
    pytest.importorskip("rdkit")
    things = [*many(), "C[NH5]", "c1cc"]
    group = {"scaffold": "murcko"}

    with pytest.raises(DataError) as caught:
        prepared(things, group)
    found = prepared(things, group, bad_items="skip")

    told = [str(problem) for problem in caught.value.problems]
    assert told[0].startswith("item 120: RDKit refuses the atom at character 2 of its SMILES")
    assert told[1].startswith("item 121: character 2 of its SMILES, '1', opens ring 1")
    assert told[2].startswith("2 of 122 items cannot be read; correct or remove them, or set")
    assert found.skipped_items == 2
    assert len(found.train) + len(found.validation) + len(found.test) == 120
    with pytest.raises(DataError, match="none of the 2 items can be read"):
        prepared(["C(", "C)"], group, bad_items="skip")


@pytest.mark.filterwarnings("ignore::gridcnn.errors.TrainingWarning")
def test_a_run_from_a_table_is_grouped_by_scaffold(tmp_path: Path) -> None:
    """From the file to the folder, whose spec says how it was divided."""
    pytest.importorskip("rdkit")
    path = tmp_path / "m.csv"
    rows = [f"{smiles},{'ab'[n % 2]}" for n, smiles in enumerate(many())]
    path.write_text("\n".join(["smiles,kind", *rows]), encoding="utf-8")
    spec = {
        "data": {
            "source": {"table": {"path": str(path), "input": "smiles", "label": "kind"}},
            "group": {"scaffold": "murcko", "order": "largest_first"},
        },
        "adapter": {"molecule": {"canonical": True}},
        "stages": [{"pooling": {"window": "all"}}],
        "head": "voting",
        "training": {"epochs": 1},
    }

    run = gridcnn.run(spec, out=tmp_path / "run")

    assert run.metrics["test"]["items"] > 0
    again, before = load(tmp_path / "run" / "spec.yaml").data, load(spec).data
    assert again is not None
    assert before is not None
    assert again.group == before.group


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"scaffold": "bemis"}, "'scaffold' of group must be 'murcko'; got 'bemis'"),
        ({"scaffold": "murcko", "order": "size"}, "must be 'random' or 'largest_first'"),
        ({"scaffold": "murcko", "ordr": "random"}, "did you mean 'order'"),
    ],
)
def test_wrong_settings_are_explained(group: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load({"data": {"source": "xo", "group": group}})


@pytest.mark.skipif("GRIDCNN_DATA" not in os.environ, reason="needs the data of GRIDCNN_DATA")
def test_bbbp_is_divided_as_moleculenet_divides_it() -> None:
    """2,039 molecules that RDKit reads: 1,631, 204 and 204."""
    murcko = pytest.importorskip("rdkit.Chem.Scaffolds.MurckoScaffold")
    from rdkit import Chem, rdBase

    path = Path(os.environ["GRIDCNN_DATA"]) / "molecules_bbbp/bbbp.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with rdBase.BlockLogs():
        rows = [row for row in rows if Chem.MolFromSmiles(row["smiles"]) is not None]
        scaffolds = [murcko.MurckoScaffoldSmilesFromSmiles(row["smiles"]) for row in rows]
    expected = moleculenet(scaffolds, 0.8, 0.1)
    spec = {
        "data": {
            "source": {"table": {"path": str(path), "input": "smiles", "label": "p_np"}},
            "group": {"scaffold": "murcko", "order": "largest_first"},
            "test": 0.1,
            "validation": 0.1111,
            "bad_items": "skip",
        },
        "adapter": {"molecule": {}},
        "stages": [{"pooling": {"window": "all"}}],
        "head": "voting",
    }

    found = prepare(locate(load(spec), None, Path()))

    assert [len(found.train), len(found.validation), len(found.test)] == [1631, 204, 204]
    assert [len(part) for part in expected] == [1631, 204, 204]
    assert found.skipped_items == 11
    targets = [[int(rows[index]["p_np"]) for index in part] for part in expected]
    parts = (found.train, found.validation, found.test)
    assert [part.data.targets.tolist() for part in parts] == targets
