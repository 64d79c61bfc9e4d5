"""The molecule adapter: tokens of SMILES as one-hot columns, and what RDKit adds."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import gridcnn
from gridcnn.adapters import chemistry
from gridcnn.adapters.molecule import MoleculeAdapter, Written
from gridcnn.errors import DataError, SpecError
from gridcnn.grid import OneHot
from gridcnn.settings.document import parse
from gridcnn.spec.load import load, validate
from gridcnn.spec.write import to_yaml

MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1CCC[C@H]1c1cccnc1",
    "C[N+](C)(C)CCO.[Cl-]",
    "F/C=C/F",
    "[13CH4]",
    "O=C1CCC2(CC1)OCCO2",
    "C%12CCCCC%12",
]
# An independent way to cut a SMILES: the pattern that is usual in publications.
USUAL = re.compile(r"\[[^]]+\]|Br|Cl|%\d\d|.")
any_text = st.text(st.characters(exclude_categories=()), max_size=20)
pieces = st.sampled_from([*"CNOc[]()=/\\1+@H.", "Cl", "[O-]", "[C@@H]"])


def adapter(**given: Any) -> MoleculeAdapter:
    return MoleculeAdapter.model_validate({"alphabet": list("CNO=1"), "length": 6, **given})


def rows(made: MoleculeAdapter, smiles: Any) -> list[int]:
    found: list[int] = made.indices(smiles).tolist()
    return found


# Encoding ---------------------------------------------------------------------------------------


def test_each_column_has_a_1_in_the_row_of_its_token() -> None:
    """Rows are the alphabet in its order; columns after the end hold no 1."""
    made = MoleculeAdapter(alphabet=("Cl", "C", "="), length=4)

    grid = made.adapt("C=CCl")

    assert grid.dtype == np.float32
    assert grid.tolist() == [[[0, 0, 0, 1], [1, 0, 1, 0], [0, 1, 0, 0]]]
    assert rows(made, "CCl") == [1, 0, -1, -1]


def test_the_axes_say_what_they_are() -> None:
    """Rows are labelled and have no order; columns are positions, and have one."""
    shape = adapter(unknown="symbol").shape()

    assert shape.sizes == (1, 6, 6)
    assert (shape.row_axis.name, shape.row_axis.ordered) == ("token", False)
    assert shape.row_axis.labels == ("C", "N", "O", "=", "1", "unknown")
    assert (shape.column_axis.name, shape.column_axis.ordered) == ("position", True)


def test_brackets_are_taken_apart_or_stay_whole() -> None:
    """In parts, an atom in brackets shares its row with the same atom without."""
    text = "C[C@@H](N)[13CH2+]"

    assert adapter().tokens(text) == [
        *("C", "[", "C", "@@", "H", "]", "(", "N", ")", "[", "13", "C", "H2", "+", "]")
    ]
    whole = MoleculeAdapter(brackets="whole")
    assert whole.tokens(text) == ["C", "[C@@H]", "(", "N", ")", "[13CH2+]"]


@pytest.mark.parametrize("text", MOLECULES)
def test_tokens_are_those_of_the_usual_pattern(text: str) -> None:
    """Put together again they are the text."""
    whole = MoleculeAdapter(brackets="whole").tokens(text)

    assert whole == USUAL.findall(text)
    assert "".join(MoleculeAdapter().tokens(text)) == "".join(whole) == text


def test_the_end_is_cut_and_the_unknown_is_left_empty_or_told() -> None:
    """Here the SMILES has nine tokens, and no row for S."""
    assert rows(adapter(), "CSC=C1OC1") == [0, -1, 0, 3, 0, 4]
    assert rows(adapter(unknown="symbol"), "CSC") == [0, 5, 0, -1, -1, -1]


@given(st.one_of(any_text, st.lists(pieces, max_size=8).map("".join)))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_grid_or_an_error(text: str) -> None:
    """Alone and in bulk."""
    made = adapter(unknown="symbol")
    try:
        expected = rows(made, text)
    except DataError:
        adapted = made.adapt_all([text])
        assert len(adapted.problems) >= 1
        assert len(adapted.kept) == 0
        return
    grids = made.adapt_all([text]).grids
    assert isinstance(grids.values, OneHot)
    assert grids.values.indices.tolist() == [expected]


# Learning ---------------------------------------------------------------------------------------


def test_the_alphabet_and_the_length_are_learned() -> None:
    """Most frequent first, and of equally frequent ones the first by code point."""
    fitted = MoleculeAdapter().fitted(["CCO", "C=N", "CCl"])

    assert (fitted.alphabet, fitted.length) == (("C", "=", "Cl", "N", "O"), 3)
    assert MoleculeAdapter(min_count=2).fitted(["CCO", "NO"]).alphabet == ("C", "O")
    shorter = MoleculeAdapter(length_percentile=50.0).fitted(["C", "CC", "CCC", "CCCC"])
    assert shorter.length == 2


def test_what_is_learned_is_written_and_read_again() -> None:
    """In a spec, in JSON and by pickling."""
    fitted = MoleculeAdapter(brackets="whole").fitted(MOLECULES)

    written = to_yaml(load({"adapter": fitted}))

    assert validate(parse(written, "spec.yaml")).adapter == fitted
    assert MoleculeAdapter.model_validate_json(fitted.model_dump_json()) == fitted
    assert pickle.loads(pickle.dumps(fitted)) == fitted
    assert fitted.fitted(["BrI"]) is fitted


def test_what_is_no_molecule_is_not_learned_from() -> None:
    """It is a problem of `adapt_all`, told with the item and the place."""
    things = ["CO", "C(O", None, "OC", "CX1"]

    fitted = MoleculeAdapter().fitted(things)
    adapted = fitted.adapt_all(things, names=[f"a.csv:{line}" for line in range(2, 7)])

    assert (fitted.alphabet, fitted.length) == (("C", "O"), 2)
    assert adapted.kept.tolist() == [0, 3]
    assert [str(problem).split(";")[0] for problem in adapted.problems] == [
        "a.csv:3: character 2 of its SMILES, '(', has no closing ')'",
        "a.csv:4: its SMILES is missing (None)",
        "a.csv:6: character 2 of its SMILES, 'X', is not an atom, bond or ring number",
    ]


def test_nothing_to_learn_from_is_an_error() -> None:
    """There must be a molecule, and tokens that are frequent enough."""
    with pytest.raises(DataError, match="no molecule can be read"):
        MoleculeAdapter().fitted(["X", None])
    with pytest.raises(DataError, match=r"no token occurs .* at least 9 times"):
        MoleculeAdapter(min_count=9).fitted(["CC"])


def test_an_adapter_that_has_learned_nothing_says_so() -> None:
    """Before it is fitted an adapter has no shape."""
    with pytest.raises(DataError, match="has not learned its alphabet yet; train it, or set"):
        MoleculeAdapter(length=3).shape()
    with pytest.raises(DataError, match="has not learned its length yet; train it, or set"):
        MoleculeAdapter(alphabet=("C",)).shape()


# What it takes ----------------------------------------------------------------------------------


class Mol:
    """A stand-in for RDKit's molecule."""


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ("", "its SMILES is empty; leave the item out, or give a molecule"),
        (" \n", "its SMILES is empty"),
        (None, r"its SMILES is missing \(None\); leave the item out, or give one"),
        (float("nan"), r"its SMILES is missing \(nan\)"),
        (pd.NA, r"its SMILES is missing \(<NA>\)"),
        (b"CC", r"it is bytes b'CC', not a SMILES; decode it first"),
        (Path("a.smi"), "not a SMILES; files are not read as molecules"),
        (Mol(), r"it is Mol .*, not a SMILES; give its SMILES, as from rdkit\.Chem\.MolToSmiles"),
        (3, "it is int 3, not a SMILES; give the text of its SMILES"),
    ],
)
def test_what_is_no_smiles_is_refused(thing: Any, message: str) -> None:
    """In one line that says what it is and what to do."""
    with pytest.raises(DataError, match=message) as caught:
        adapter().adapt(thing)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alphabet": ["C", "C"]}, "must have every token once; it repeats 'C'"),
        ({"alphabet": []}, "must be a list of up to 1,000 tokens or null"),
        ({"alphabet": "CNO"}, "must be a list of up to 1,000 tokens or null"),
        ({"alphabet": ["C", 1]}, "a ring number needs quotes, as '1'"),
        ({"alphabet": ["CC"]}, "has 'CC', which is not a token of a SMILES with 'brackets: parts'"),
        ({"alphabet": ["[nH]"]}, "has '\\[nH\\]', which is not a token"),
        (
            {"alphabet": ["["], "brackets": "whole"},
            "has '\\[', which is not a token of a SMILES with 'brackets: whole'",
        ),
        ({"length": 0}, "'length' of molecule must be a whole number from 1 to 65536 or 'auto'"),
        ({"brackets": "none"}, "'brackets' of molecule must be 'parts' or 'whole'"),
        ({"variants": -1}, "'variants' of molecule must be at least 0"),
        ({"isomeric": False}, "'isomeric: false' rewrites molecules; set 'canonical: true' too"),
        ({"salts": "strip"}, "'salts: strip' rewrites molecules; set 'canonical: true' too"),
        ({"canonicl": True}, "did you mean 'canonical'"),
    ],
)
def test_wrong_settings_are_explained(given: dict[str, Any], message: str) -> None:
    """A setting outside of what is allowed is told in one sentence."""
    with pytest.raises(ValidationError, match=message):
        adapter(**given)


# With RDKit -------------------------------------------------------------------------------------


def text_of(made: MoleculeAdapter, smiles: Any) -> str:
    return "".join(made.tokens(smiles))


def test_every_way_to_write_a_molecule_becomes_the_same() -> None:
    """The form is RDKit's own, with or without stereo marks and isotopes."""
    chem = pytest.importorskip("rdkit.Chem")
    made = MoleculeAdapter(canonical=True)
    plain = MoleculeAdapter(canonical=True, isomeric=False)

    assert text_of(made, "OCC") == text_of(made, "C(O)C") == text_of(made, "[CH3]CO") == "CCO"
    for text in MOLECULES:
        assert text_of(made, text) == chem.CanonSmiles(text)
        assert text_of(plain, text) == chem.MolToSmiles(
            chem.MolFromSmiles(text), isomericSmiles=False
        )
    assert text_of(plain, "N[C@@H](C)[13CH3]") == "CC(C)N"


@pytest.mark.parametrize(
    ("smiles", "kept"),
    [
        ("[Na+].CC(=O)[O-]", "CC(=O)[O-]"),
        ("C[NH3+].[Cl-]", "C[NH3+]"),
        ("CC.CCC", "CCC"),
        ("C.OS(=O)(=O)O", "C"),
        ("[Na+].OS(=O)(=O)[O-]", "O=S(=O)([O-])O"),
        ("CCO", "CCO"),
    ],
)
def test_salts_leave_the_largest_part_with_carbon(smiles: str, kept: str) -> None:
    """A part with carbon goes before a larger one without; charges stay as they are."""
    pytest.importorskip("rdkit")

    assert text_of(MoleculeAdapter(canonical=True, salts="strip"), smiles) == kept


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("CN(C)(C)(C)C", "RDKit refuses the atom at character 2 of its SMILES: Explicit valence"),
        ("Oc1cccc1", "the atoms at characters 2, 4, 5, 6, 7 of its SMILES: Can't kekulize mol"),
        ("C%00CC%00", "RDKit cannot read its SMILES"),
        ("C(C", "character 2 of its SMILES"),
    ],
)
def test_rdkits_reasons_are_told_and_nothing_else(
    smiles: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the places of the atoms, as problems of the item, and not on standard error."""
    pytest.importorskip("rdkit")
    made = adapter(canonical=True)

    adapted = made.adapt_all(["CCO", smiles])

    assert adapted.kept.tolist() == [0]
    assert len(adapted.problems) == 1
    assert message in adapted.problems[0].message
    assert capfd.readouterr() == ("", "")


def test_a_molecule_with_many_faults_is_told_in_few_lines() -> None:
    """Four reasons, and how many more there are."""
    pytest.importorskip("rdkit")

    with pytest.raises(DataError) as caught:
        chemistry.molecule(".".join(["[NH5]"] * 9))

    assert len(caught.value.problems) == 5
    assert caught.value.problems[4].message == "RDKit refuses it for 5 more reasons like these"


@pytest.mark.parametrize("text", MOLECULES)
@pytest.mark.parametrize("canonical", [False, True])
def test_other_forms_mean_the_same(text: str, canonical: bool) -> None:
    """They become the same canonical SMILES, and are taken as they are written."""
    chem = pytest.importorskip("rdkit.Chem")
    made = MoleculeAdapter(variants=8, canonical=canonical)

    forms = made.other_forms(text, np.random.default_rng(0))

    assert len(forms) == 8
    assert {chem.CanonSmiles(form.smiles) for form in forms} == {chem.CanonSmiles(text)}
    assert [text_of(made, form) for form in forms] == [form.smiles for form in forms]
    if "c1" in text:
        assert len(set(forms)) > 2
    assert forms == made.other_forms(text, np.random.default_rng(0))
    assert pickle.loads(pickle.dumps(forms)) == forms


def test_other_forms_follow_the_settings() -> None:
    """Without salts and stereo marks where the adapter is without; none of what is wrong."""
    pytest.importorskip("rdkit")
    made = MoleculeAdapter(canonical=True, salts="strip", isomeric=False, variants=5)
    random = np.random.default_rng(0)

    forms = made.other_forms("N[C@@H](C)C(=O)O.[Na+]", random)

    assert not any(set(form.smiles) & set("@.[") for form in forms)
    assert made.other_forms("C(", random) == made.other_forms(None, random) == ()
    assert MoleculeAdapter().other_forms("CC", random) == ()


def test_without_rdkit_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not one for every molecule; what needs it not works without."""
    monkeypatch.setitem(sys.modules, "rdkit", None)

    assert rows(adapter(), "CCO") == [0, 0, 2, -1, -1, -1]
    for settings_given, named in (
        ({"canonical": True}, "canonical: true"),
        ({"variants": 2}, "variants: 2"),
    ):
        made = adapter(**settings_given)
        message = (
            f"^'{named}' of molecule needs RDKit, which is not installed: "
            r"python -m pip install 'gridcnn\[chem\]'$"
        )
        with pytest.raises(DataError, match=message):
            made.fitted(["CC", "CO"])
        with pytest.raises(DataError, match=message):
            made.adapt_all(["CC", "CO"])
    with pytest.raises(DataError, match="needs RDKit"):
        adapter(variants=1).other_forms("CC", np.random.default_rng(0))


# From the data to the answers -------------------------------------------------------------------


def spec(**given: Any) -> dict[str, Any]:
    return {
        "name": "acids",
        "adapter": {"molecule": given},
        "stages": [
            {"convolution": {"filters": 8, "kernel_size": ["all", 6]}},
            {"pooling": {"window": "all"}},
        ],
        "head": "voting",
        "training": {"epochs": 15, "batch_size": 16, "learning_rate": 0.02},
    }


def acids(count: int = 120) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(0)
    parts = np.array(["C", "CC", "N", "C(C)", "C(F)", "[C@H](C)", "S"])
    chains = ["C" + "".join(random.choice(parts, 5)) + "C" for _ in range(count)]
    return (
        [f"{chain}C(=O)O" if i % 2 else f"{chain}CCO" for i, chain in enumerate(chains)],
        ["alcohol", "acid"] * (count // 2),
    )


def test_a_trained_model_answers_one_molecule_and_many(tmp_path: Path) -> None:
    """Loaded from its file, too, which holds all that was learned; a lone str is one molecule."""
    X, y = acids()

    run = gridcnn.run(spec(), data=(X, y), out=tmp_path / "run")
    model = gridcnn.load(tmp_path / "run")

    assert run.metrics["test"]["accuracy"] >= 0.8  # 0.958 or more, with five seeds
    assert model.adapter == run.model.adapter
    assert model.predict("CCCNCC(=O)O").tolist() == ["acid"]
    np.testing.assert_array_equal(model.votes(X)[7:8], model.votes(X[7]))
    with pytest.raises(DataError, match=r"^CC\(C: character 3 of its SMILES"):
        model.predict(["CCO", "CC(C"])


def test_a_table_of_molecules_tells_the_line_of_what_is_wrong(tmp_path: Path) -> None:
    """File, line, and the place in the SMILES."""
    X, y = acids()
    X[3] = "CC(=O"
    lines = [f"{label},{smiles}" for label, smiles in zip(y, X, strict=True)]
    path = tmp_path / "acids.csv"
    path.write_text("\n".join(["kind,smiles", *lines]), encoding="utf-8")
    source = {"table": {"path": str(path), "input": "smiles", "label": "kind"}}

    with pytest.raises(DataError, match=r"acids\.csv:5: character 3 of its SMILES, '\('"):
        gridcnn.run({**spec(), "data": {"source": source}}, out=tmp_path / "run")


def test_windows_cannot_slide_along_the_tokens() -> None:
    """A spec that forgets that rows have no order is told what to write."""
    changed = spec(alphabet=["C", "O"], length=9)
    changed["stages"][0] = {"convolution": {"filters": 8, "kernel_size": 3}}

    with pytest.raises(SpecError, match="token"):
        gridcnn.run(changed, data=acids())


@pytest.mark.parametrize("given", [{}, {"canonical": True, "variants": 2}])
def test_a_grid_classifier_takes_molecules(given: dict[str, Any]) -> None:
    """And trains on other forms of those that it trains on, too."""
    if given:
        pytest.importorskip("rdkit")
    X, y = acids()

    classifier = gridcnn.GridClassifier(spec(**given), validation_fraction=0.2).fit(X, y)

    assert classifier.score(X, y) >= 0.9  # 0.983 or more, with three seeds
    assert classifier.predict(["OC(=O)CCC" if given else "CCCC(=O)O"]).tolist() == ["acid"]


def test_a_written_molecule_is_not_made_canonical() -> None:
    """So that its other forms are not made one again."""
    pytest.importorskip("rdkit")
    made = MoleculeAdapter(canonical=True)

    assert text_of(made, Written("OCC")) == "OCC"
    assert text_of(made, "OCC") == "CCO"


def test_raw_and_doubled_backslashes_make_one_grid() -> None:
    """And it is told how many SMILES are written like that."""
    texts = [r"F/C=C\F", r"C(\F)=C\F", "CCO"]
    doubled = [text.replace("\\", "\\\\") for text in texts]
    made = MoleculeAdapter().fitted(texts)

    raw, copied = made.grids(texts).values, made.grids(doubled).values

    assert MoleculeAdapter().fitted(doubled) == made
    assert np.array_equal(np.asarray(raw), np.asarray(copied))
    assert list(made.remarks(texts, raw).values()) == [0, 0]
    assert list(made.remarks(doubled, copied).values()) == [2, 0]


def test_extensions_are_no_part_of_the_grid() -> None:
    made = MoleculeAdapter().fitted(["CCO", "CCN"])

    extended = made.grids(["CCO |$;;$| ethanol"]).values

    assert np.array_equal(np.asarray(extended), np.asarray(made.grids(["CCO"]).values))
    ((told, count),) = [each for each in made.remarks(["CCO |$;;$|"], extended).items() if each[1]]
    assert count == 1
    assert "CXSMILES" in told
