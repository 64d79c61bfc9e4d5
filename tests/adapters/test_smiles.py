"""The grammar of SMILES: tokens, and what is wrong where."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gridcnn.adapters.smiles import (
    AROMATIC,
    ELEMENTS,
    has_doubled_backslashes,
    is_token,
    tokens,
    without_extension,
)
from gridcnn.errors import DataError

SYMBOLS = ["C", "N", "O", "c", "n", "Cl", "Br", "*", "Na", "Sc", "se", "H", "U", "Og"]
PLAIN = ["B", "C", "N", "O", "S", "P", "F", "Cl", "Br", "I", "b", "c", "n", "o", "s", "p", "*"]
BONDS = ["-", "=", "#", "$", ":", "/", "\\"]


def maybe(values: list[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), st.sampled_from(values))


@st.composite
def bracket_parts(draw: Any) -> list[str]:
    """Return the parts of an atom in brackets."""
    symbol = draw(st.sampled_from(SYMBOLS))
    parts = [
        "[",
        draw(maybe(["1", "13", "235"])),
        symbol,
        # RDKit refuses hydrogen with chirality, though OpenSMILES has no word about it.
        ""
        if symbol == "H"
        else draw(maybe(["@", "@@", "@TH1", "@AL2", "@SP3", "@TB1", "@TB20", "@OH9", "@OH30"])),
        draw(maybe(["H", "H0", "H3"])),
        draw(maybe(["+", "-", "++", "--", "+2", "-1", "+15"])),
        draw(maybe([":1", ":12"])),
        "]",
    ]
    return [part for part in parts if part]


@st.composite
def molecules(draw: Any, *, dots: bool = True) -> list[list[str]]:
    """Return the tokens of a SMILES, each as its parts: only brackets have several."""
    atoms = draw(
        st.lists(st.one_of(bracket_parts(), st.sampled_from(PLAIN)), min_size=1, max_size=9)
    )
    count = len(atoms)
    parents = [draw(st.integers(0, atom - 1)) for atom in range(1, count)]
    # How an atom is joined to its parent: by a bond, or not at all.
    joints = [draw(maybe([*BONDS, "."] if dots else BONDS)) for _ in parents]
    joined = {(parent, atom + 1) for atom, parent in enumerate(parents) if joints[atom] != "."}
    free = [(a, b) for b in range(count) for a in range(b) if (a, b) not in joined]
    rings = draw(st.lists(st.sampled_from(free), unique=True, max_size=5)) if free else []
    numbers = draw(
        st.lists(st.integers(1, 120), unique=True, min_size=len(rings), max_size=len(rings))
    )
    marks: list[list[str]] = [[] for _ in atoms]
    for (a, b), number in zip(rings, numbers, strict=True):
        name = str(number) if number < 10 else f"%{number}" if number < 100 else f"%({number})"
        bond = draw(maybe(BONDS))
        for end in (a, b):
            marks[end] += [*([bond] if bond and draw(st.booleans()) else []), name]

    def written(atom: int) -> list[list[str]]:
        token = atoms[atom] if isinstance(atoms[atom], list) else [atoms[atom]]
        found = [token, *([mark] for mark in marks[atom])]
        children = [other + 1 for other, parent in enumerate(parents) if parent == atom]
        for child in children:
            joint = [[joints[child - 1]]] if joints[child - 1] else []
            branch = [*joint, *written(child)]
            found += branch if child == children[-1] else [["("], *branch, [")"]]
        return found

    return written(0)


any_text = st.text(st.characters(exclude_categories=()), max_size=30)
# What SMILES are made of, put together without a rule.
pieces = st.sampled_from(
    [*"CNOcno()[].=#-/\\:1234+@H", "Cl", "Br", "[nH]", "[O-]", "[C@@H]", "%10", "(", ")", "Na"]
)


def written(text: str) -> list[str]:
    return [token.text for token in tokens(text)]


def problems(text: str) -> list[str]:
    with pytest.raises(DataError) as caught:
        tokens(text)
    return [problem.message for problem in caught.value.problems]


def accepts(text: str) -> bool:
    try:
        tokens(text)
    except DataError:
        return False
    return True


# Tokens -----------------------------------------------------------------------------------------


def test_a_smiles_is_cut_into_its_tokens() -> None:
    """Two letters may be one atom, and an atom in brackets is one token with parts."""
    read = tokens(r"ClC%12=C[13C@@H2+:1]%12%(123)C/[nH]%(123).Br")

    assert [token.text for token in read] == [
        *("Cl", "C", "%12", "=", "C", "[13C@@H2+:1]", "%12", "%(123)"),
        *("C", "/", "[nH]", "%(123)", ".", "Br"),
    ]
    assert read[5].parts() == ["[", "13", "C", "@@", "H2", "+", ":1", "]"]
    assert [token.column for token in read][:5] == [1, 3, 4, 7, 8]
    assert [token.kind for token in read] == [
        *("atom", "atom", "ring", "bond", "atom", "bracket", "ring", "ring"),
        *("atom", "bond", "bracket", "ring", "dot", "atom"),
    ]


@given(molecules())
@settings(max_examples=100, deadline=None)
def test_what_follows_the_grammar_is_read_token_by_token(made: list[list[str]]) -> None:
    """Put together again, tokens are the text, and so are their parts."""
    text = "".join(part for token in made for part in token)

    read = tokens(text)

    assert [token.text for token in read] == ["".join(token) for token in made]
    assert [token.parts() for token in read] == made
    assert all(text[token.column - 1 :].startswith(token.text) for token in read)
    for token in read:
        assert is_token(token.text, whole=True)
        assert all(is_token(part, whole=False) for part in token.parts())


@given(st.one_of(any_text, st.lists(pieces, max_size=12).map("".join)))
@settings(max_examples=500, deadline=None)
def test_any_text_is_tokens_or_an_error_with_places(text: str) -> None:
    """Nothing else is raised, and each problem is one line that says where it is."""
    if accepts(text):
        assert "".join(written(text)) == text.strip().replace("\\\\", "\\")
        return
    told = problems(text)
    assert 0 < len(told) <= 5
    for message in told:
        assert message.startswith(("character ", "its SMILES has "))
        assert message.isprintable()


def test_spaces_around_a_smiles_are_no_part_of_it() -> None:
    """Places are those of the text as it was given."""
    assert written("  CO\n") == ["C", "O"]
    assert tokens("  CO")[0].column == 3
    assert tokens(" ") == tokens("") == []


def test_there_are_118_elements() -> None:
    """From hydrogen to oganesson, each readable in brackets and told from its neighbours."""
    assert len(ELEMENTS) == 118
    for symbol in (*ELEMENTS, *AROMATIC, "*"):
        assert tokens(f"[{symbol}H]")[0].parts() == ["[", symbol, "H", "]"]


@pytest.mark.parametrize(
    ("text", "whole", "parts"),
    [
        ("C", True, True),
        ("Br", True, True),
        ("[nH]", True, False),
        ("[", False, True),
        ("@@", False, True),
        ("H3", False, True),
        ("+2", False, True),
        ("13", False, True),
        ("%12", True, True),
        ("Na", False, True),
        ("[Xx]", False, False),
        ("CC", False, False),
        ("", False, False),
        (" ", False, False),
    ],
)
def test_a_token_is_one_of_what_smiles_are_made_of(text: str, whole: bool, parts: bool) -> None:
    """In whole brackets, or in their parts."""
    assert is_token(text, whole=True) == whole
    assert is_token(text, whole=False) == parts


# What is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "CXC",
            "character 2 of its SMILES, 'X', is not an atom, bond or ring number; allowed without",
        ),
        ("CNa", "character 3 of its SMILES, 'a', is .*; this atom needs brackets: \\[Na\\]$"),
        ("CH", "character 2 of its SMILES, 'H', is .*; this atom needs brackets: \\[H\\]$"),
        ("CL", "character 2 of its SMILES, 'L', is not an .*; write Cl$"),
        ("D", "character 1 of its SMILES, 'D', is .*; write \\[2H\\]$"),
        ("CCO ethanol", "character 4 of its SMILES, ' ', is a space, but a SMILES has none"),
        ("C[Xx]", "character 3 of its SMILES, 'Xx', is not an element; an atom of any kind is"),
        ("[2T]", "character 3 of its SMILES, 'T', is not an element; write \\[3H\\]$"),
        ("[13]", "character 1 of its SMILES, '\\[13\\]', names no element"),
        ("[]", "character 1 of its SMILES, '\\[\\]', names no element"),
        ("C[nH", "character 2 of its SMILES, '\\[', has no closing '\\]'"),
        ("C]", "character 2 of its SMILES, '\\]', closes no '\\['"),
        ("[NaCl]", "character 4 of its SMILES, 'Cl', is not allowed there in '\\[NaCl\\]'"),
        ("[CH@]", "character 4 of its SMILES, '@', is not allowed there"),
        ("[CH12]", "character 5 of its SMILES, '2', is not allowed there"),
        ("[O+-]", "character 3 of its SMILES, '\\+-', is not a charge; write"),
        ("[Fe+++]", "character 4 of its SMILES, '\\+\\+\\+', is not a charge; write"),
        ("[Fe+123]", "character 4 of its SMILES, '\\+123', is not a charge; write"),
        ("[Fe++2]", "character 4 of its SMILES, '\\+\\+2', is not a charge; write"),
        ("C%1C", "character 2 of its SMILES, '%', is not a ring number; it needs two digits"),
        ("C1CC", "character 2 of its SMILES, '1', opens ring 1, which is never closed"),
        ("C%12CC", "character 2 of its SMILES, '%12', opens ring 12, which is never closed"),
        (
            "C11",
            "character 3 .*, '1', closes ring 1 of character 2, but both ends are at the same atom",
        ),
        ("C12CC12", "character 7 .*, '2', .* of character 3, but their atoms are bonded already"),
        ("C1C1", "character 4 of its SMILES, '1', .* of character 2, .* are bonded already"),
        (
            "C=1CC#1",
            "character 7 .*, '1', .* of character 3, but its bonds differ: '=' there, '#' here",
        ),
        ("C(C", "character 2 of its SMILES, '\\(', has no closing '\\)'"),
        ("CC)C", "character 3 of its SMILES, '\\)', closes no '\\('"),
        ("C()C", "character 2 of its SMILES, '\\(', opens a branch without an atom"),
        ("(C)C", "character 1 of its SMILES, '\\(', opens a branch without an atom before it"),
        ("C((C))", "character 3 of its SMILES, '\\(', opens a branch of a branch that has no atom"),
        ("=C", "character 1 of its SMILES, '=', is a bond without an atom before it"),
        ("C=", "character 2 of its SMILES, '=', is a bond without an atom after it"),
        ("C(=)C", "character 3 of its SMILES, '=', is a bond without an atom after it"),
        ("C=-C", "character 2 of its SMILES, '=', is a bond without an atom after it"),
        ("C-(C)", "character 2 of its SMILES, '-', is a bond without an atom after it"),
        ("1CC1", "character 1 of its SMILES, '1', is a ring number without an atom before it"),
        ("C(1CC1)", "character 3 of its SMILES, '1', is a ring number without an atom before it"),
        (".C", "character 1 of its SMILES, '\\.', follows no atom"),
        ("C.", "character 2 of its SMILES, '\\.', has no atom after it"),
        ("C..C", "character 3 of its SMILES, '\\.', follows no atom"),
        ("C\u00b2", "character 2 of its SMILES, '\u00b2', is not an atom"),
        ("C\u0661CC\u0661", "character 2 of its SMILES, '\u0661', is not an atom"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    """What stands there, and what is to be done."""
    assert len(problems(text)) <= 2
    with pytest.raises(DataError, match=rf"^{message}"):
        tokens(text)


def test_all_problems_are_told_but_not_endlessly() -> None:
    """In the order of their places, those of signs before those of bonds."""
    assert [message[:12] for message in problems("[Xx]C[Yy]")] == ["character 2 ", "character 8 "]
    assert [message[:12] for message in problems("C(CC1=")] == [
        "character 2 ",
        "character 5 ",
        "character 6 ",
    ]
    assert problems("Je ne sais pas")[-1] == "character 3 of its SMILES, ' ', is a space, " + (
        "but a SMILES has none; leave out what follows it"
    )
    assert problems("QXZQXZ")[4:] == ["its SMILES has 2 more problems like these"]
    assert problems("QXZQX")[4:] == ["its SMILES has 1 more problem like these"]


# What RDKit says --------------------------------------------------------------------------------


def rdkit_reads(text: str) -> bool:
    """Return whether RDKit's parser takes a text, before it looks at the chemistry."""
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit import rdBase

    with rdBase.BlockLogs():
        return chem.MolFromSmiles(text, sanitize=False) is not None


@given(molecules(dots=False))
@settings(max_examples=100, deadline=None)
def test_rdkit_reads_what_follows_the_grammar(made: list[list[str]]) -> None:
    """Without dots, with which a branch may begin in OpenSMILES, but not in RDKit."""
    assert rdkit_reads("".join(part for token in made for part in token))


@given(st.lists(pieces, min_size=1, max_size=12).map("".join))
@settings(max_examples=500, deadline=None)
def test_rdkit_refuses_what_is_refused(text: str) -> None:
    """But for bonds of a ring that differ at its ends, and a doubled backslash: RDKit takes one."""
    assume("(." not in text)
    assume("\\\\" not in text)
    ours = accepts(text)
    if not ours and "its bonds differ" in " ".join(problems(text)):
        return
    assert rdkit_reads(text) == ours


@pytest.mark.skipif("GRIDCNN_DATA" not in os.environ, reason="needs the data of GRIDCNN_DATA")
@pytest.mark.parametrize(
    ("path", "count", "refused"),
    [("molecules_bbbp/bbbp.csv", 2050, 11), ("molecules_tox21/tox21.csv", 7831, 8)],
)
def test_published_molecules_follow_the_grammar(path: str, count: int, refused: int) -> None:
    """All of them do; what RDKit refuses of them, it refuses for their chemistry."""
    chem: Any = pytest.importorskip("rdkit.Chem")
    from rdkit import rdBase

    with (Path(os.environ["GRIDCNN_DATA"]) / path).open(encoding="utf-8", newline="") as file:
        smiles = [row["smiles"] for row in csv.DictReader(file)]
    with rdBase.BlockLogs():
        bad = [text for text in smiles if chem.MolFromSmiles(text) is None]

    assert len(smiles) == count
    assert all(accepts(text) for text in smiles)
    assert all(rdkit_reads(text) for text in bad)
    assert len(bad) == refused


# What texts of programs, and CXSMILES, have besides ----------------------------------------------


@pytest.mark.parametrize("text", [r"F/C=C\F", r"C(\F)=C\F", r"F/C=C/C=C\C", r"CC\1=C/CC1"])
def test_doubled_backslashes_are_read_as_one(text: str) -> None:
    """As RDKit reads them; the tokens of both are the same."""
    doubled = text.replace("\\", "\\\\")

    assert has_doubled_backslashes(doubled)
    assert not has_doubled_backslashes(text)
    assert [each.text for each in tokens(doubled)] == [each.text for each in tokens(text)]
    assert not is_token("\\\\", whole=True)
    assert not is_token("\\\\", whole=False)
    chem = pytest.importorskip("rdkit.Chem")
    assert chem.CanonSmiles(doubled) == chem.CanonSmiles(text)


def test_no_more_than_two_backslashes_are_one() -> None:
    with pytest.raises(DataError, match="is a bond without an atom after it"):
        tokens(r"F/C=C\\\F")


@pytest.mark.parametrize(
    ("text", "smiles"),
    [
        ("CCO |$;;$|", "CCO"),
        ("CCO |$;;$| ethanol", "CCO"),
        ("C[C@H](O)F |&1:1|", "C[C@H](O)F"),
        ("CCO", "CCO"),
        ("CCO ethanol", "CCO ethanol"),
        ("CCO |open", "CCO |open"),
        ("|$;$|", "|$;$|"),
    ],
)
def test_what_cxsmiles_adds_is_left_out(text: str, smiles: str) -> None:
    """It stands between bars; a name alone is no extension, and is refused elsewhere."""
    assert without_extension(text) == smiles
    if text != smiles:
        chem = pytest.importorskip("rdkit.Chem")
        assert chem.MolToSmiles(chem.MolFromSmiles(text)) == chem.CanonSmiles(smiles)
