"""Texts and SMILES."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from fuzz.sealed import text_changed
from fuzz.target import Target, readable, refused, require
from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.smiles import tokens
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import DataError
from gridcnn.runs.questions import Questions

_SMILES = (
    "CC(=O)Oc1ccccc1C(=O)O", "C[C@@H](N)C(=O)O", "[Na+].[Cl-]", "C%10CCCC%10", "F/C=C\\F",
    "F/C=C\\\\F", "[13CH4]", "*", "C1CC1", "[2H]O[2H]", "c1cc2ccccc2[nH]1", "N#N", "B", "[Fe++]",
)  # fmt: skip
_TEXTS = ("Hello, world", "\u00c9t\u00e9 e\u0301t\u00e9", "a\r\nb\n", "", "\U0001f600", "\ufeffx")


def _decoded(content: bytes) -> str:
    """Return bytes as a text, with lone surrogates where there are any."""
    try:
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return content.decode("latin-1")


@functools.cache
def _molecules() -> tuple[Adapter, ...]:
    found = [MoleculeAdapter(alphabet=("C", "O"), length=9), MoleculeAdapter()]
    try:
        import rdkit  # noqa: F401
    except ImportError:
        return tuple(found)
    return (*found, MoleculeAdapter(canonical=True, salts="strip", variants=2))


def _read_smiles(content: bytes, folder: Path) -> None:  # noqa: ARG001 - as the others
    text = content.decode("utf-8", "replace")
    with refused(DataError):
        tokens(text)
    for adapter in _molecules():
        with refused(DataError):
            fitted = adapter.fitted([text, "CCO"])
            adapted = fitted.adapt_all([text])
            require(len(adapted.kept) + len(adapted.problems) > 0, "a molecule is lost")
            readable(*adapted.problems)
            fitted.other_forms(text, np.random.default_rng(0))


def _read_text(content: bytes, folder: Path) -> None:
    text = _decoded(content)
    for unit in ("character", "word", "byte"):
        with refused(DataError):
            adapter = TextAdapter(unit=unit).fitted([text, "abc abc"])
            adapted = adapter.adapt_all([text])
            require(len(adapted.kept) + len(adapted.problems) == 1, "a text is lost")
            require(adapter.shape().columns > 0, "a text has no columns")
    path = folder / "a.txt"
    path.write_bytes(content)
    asked = TextAdapter(alphabet="abc", length=7)
    for lines in (False, True):
        for part in Questions(asked, None, lines=lines).parts([str(path)]):
            asked.adapt_all(part.things, names=part.names)
            readable(*part.problems)


TARGETS = (
    Target(
        "smiles",
        "molecules as SMILES",
        lambda: [each.encode() for each in _SMILES],
        _read_smiles,
        text_changed,
    ),
    Target(
        "text",
        "texts",
        lambda: [each.encode() for each in _TEXTS],
        _read_text,
        text_changed,
    ),
)
