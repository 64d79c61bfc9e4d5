"""The structure of a molecule as lines and letters, and the columns of the grid of each atom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.smiles import tokens


@dataclass(frozen=True)
class Atom:
    """One atom of a drawing.

    Attributes:
        x, y: its place; a bond is about 1.5 long, and y grows upwards.
        symbol: what is written, such as `N` or `O-`; empty for a carbon inside of a chain.
        columns: the columns of the grid that write it.
    """

    x: float
    y: float
    symbol: str
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Structure:
    """A molecule as it is drawn: `bonds` are the indices of two atoms, and 1, 2 or 3 lines."""

    atoms: tuple[Atom, ...]
    bonds: tuple[tuple[int, int, int], ...]


def structure_of(adapter: MoleculeAdapter, thing: Any) -> Structure | None:
    """Return the structure of a molecule; None without RDKit, or if RDKit refuses the molecule."""
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDepictor
    except ImportError:
        return None
    smiles = adapter.smiles(thing)
    parameters = Chem.SmilesParserParams()
    # Hydrogens that are written stay, so that atoms are counted as they are written.
    parameters.removeHs = False
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles, parameters)
        if molecule is None:
            return None
        Chem.Kekulize(molecule, clearAromaticFlags=True)
        rdDepictor.Compute2DCoords(molecule)
    columns = _columns_of_atoms(adapter, smiles)
    if len(columns) != molecule.GetNumAtoms():
        return None
    places = molecule.GetConformer()
    atoms = []
    for index, atom in enumerate(molecule.GetAtoms()):
        at = places.GetAtomPosition(index)
        atoms.append(Atom(at.x, at.y, _symbol(atom), columns[index]))
    bonds = tuple(
        (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), max(1, round(bond.GetBondTypeAsDouble())))
        for bond in molecule.GetBonds()
    )
    return Structure(tuple(atoms), bonds)


def _columns_of_atoms(adapter: MoleculeAdapter, smiles: str) -> list[tuple[int, ...]]:
    """Return the columns of each atom, in the order of the SMILES; none for what is cut off."""
    length = adapter.shape().columns
    columns: list[tuple[int, ...]] = []
    start = 0
    for token in tokens(smiles):
        wide = 1 if adapter.brackets == "whole" else len(token.parts())
        if token.is_atom:
            columns.append(tuple(at for at in range(start, start + wide) if at < length))
        start += wide
    return columns


def _symbol(atom: Any) -> str:
    symbol: str = atom.GetSymbol()
    charge: int = atom.GetFormalCharge()
    if symbol == "C" and not charge and atom.GetDegree() > 1:
        return ""
    hydrogens: int = atom.GetTotalNumHs()
    more = {0: "", 1: "H"}.get(hydrogens, f"H{hydrogens}")
    size = str(abs(charge)) if abs(charge) > 1 else ""
    sign = "" if not charge else size + ("+" if charge > 0 else "\u2212")
    return f"{symbol}{more}{sign}"
