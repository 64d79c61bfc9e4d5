"""What RDKit computes for molecules; it is the extra `chem`."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridcnn.adapters.smiles import tokens
from gridcnn.errors import DataError, listed

_MOST = 4  # reasons for one molecule that are listed one by one


def need_rdkit(wanted_by: str) -> None:
    """Raise `DataError` if RDKit is not installed; `wanted_by` is what needs it."""
    try:
        from rdkit import Chem  # noqa: F401
    except ImportError:
        raise DataError(
            f"{wanted_by} needs RDKit, which is not installed: "
            "python -m pip install 'gridcnn[chem]'"
        ) from None


def molecule(smiles: str) -> Any:
    """Return RDKit's molecule for a SMILES.

    Raises:
        DataError: it breaks the grammar, or RDKit refuses the molecule, for example
            nitrogen with five bonds; each reason has its place in the text.
    """
    from rdkit import Chem, rdBase

    columns = [token.column for token in tokens(smiles) if token.is_atom]
    # RDKit writes its reasons to the standard error of C++; they are asked for instead.
    with rdBase.BlockLogs():
        parsed = Chem.MolFromSmiles(smiles)
        if parsed is not None:
            return parsed
        rough = Chem.MolFromSmiles(smiles, sanitize=False)
        reasons = [] if rough is None else Chem.DetectChemistryProblems(rough)
        problems = [_reason(reason, columns) for reason in reasons]
    if len(problems) > _MOST:
        problems = [
            *problems[:_MOST],
            f"RDKit refuses it for {len(problems) - _MOST} more reasons like these",
        ]
    raise DataError(*(problems or ["RDKit cannot read its SMILES"]))


def canonical(molecule: Any, *, isomeric: bool) -> str:
    """Return the canonical SMILES that RDKit writes for a molecule.

    `isomeric`: with stereo marks and isotopes.
    """
    from rdkit import Chem

    text: str = Chem.MolToSmiles(molecule, isomericSmiles=isomeric)
    return text


def shuffle_atoms(molecule: Any, random: np.random.Generator, *, isomeric: bool) -> str:
    """Return a SMILES that means the same, with its atoms in a random order.

    Atoms are renumbered at random, and then written in the order in which RDKit comes to them, as
    in Arús-Pous et al. (2019), "Randomized SMILES strings improve the quality of molecular
    generative models", where it is called restricted.
    """
    from rdkit import Chem

    order = random.permutation(molecule.GetNumAtoms()).tolist()
    text: str = Chem.MolToSmiles(
        Chem.RenumberAtoms(molecule, order), canonical=False, isomericSmiles=isomeric
    )
    return text


def without_salts(molecule: Any) -> Any:
    """Return the largest part of a molecule of several parts, one with carbon if there is any.

    The largest has the most atoms, with hydrogens; of equally many the heaviest, and of equally
    heavy ones the last by its canonical SMILES.
    """
    from rdkit import rdBase
    from rdkit.Chem.MolStandardize.rdMolStandardize import LargestFragmentChooser

    with rdBase.BlockLogs():
        return LargestFragmentChooser(preferOrganic=True).choose(molecule)


def murcko_scaffold(molecule: Any) -> str:
    """Return the SMILES of the rings of a molecule and of what joins them; '' without rings.

    The framework of Bemis and Murcko (1996), as RDKit has it, without stereo marks.
    """
    from rdkit import rdBase
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    with rdBase.BlockLogs():
        text: str = MurckoScaffoldSmiles(mol=molecule, includeChirality=False)
    return text


def _reason(reason: Any, columns: list[int]) -> str:
    """Return one of RDKit's reasons with the places of the atoms that it is about."""
    if hasattr(reason, "GetAtomIdx"):
        atoms = [reason.GetAtomIdx()]
    else:
        atoms = list(reason.GetAtomIndices()) if hasattr(reason, "GetAtomIndices") else []
    words = " ".join(reason.Message().split())
    if not atoms or max(atoms) >= len(columns):
        return f"RDKit refuses it: {words}"
    places = listed([str(columns[atom]) for atom in atoms], limit=8)
    which = f"character{'s' if len(atoms) > 1 else ''} {places}"
    return (
        f"RDKit refuses the atom{'s' if len(atoms) > 1 else ''} at {which} of its SMILES: {words}"
    )
