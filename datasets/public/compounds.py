"""Public sets of molecules, written as SMILES."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from gridcnn.contracts.source import Dataset, Facts
from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.public.catalogue import BBBP, TOX21, PublicSet
from gridcnn.datasets.public.source import Public
from gridcnn.datasets.soundness import sound
from gridcnn.datasets.tables.items import Columns, find_columns, opened_rows
from gridcnn.datasets.tables.row_labels import read_marks
from gridcnn.datasets.tables.rows import Form
from gridcnn.errors import printable, shown

MEASURED = {
    "NR-AR": 7_265,
    "NR-AR-LBD": 6_758,
    "NR-AhR": 6_549,
    "NR-Aromatase": 5_821,
    "NR-ER": 6_193,
    "NR-ER-LBD": 6_955,
    "NR-PPAR-gamma": 6_450,
    "SR-ARE": 5_832,
    "SR-ATAD5": 7_072,
    "SR-HSE": 6_467,
    "SR-MMP": 5_810,
    "SR-p53": 6_774,
}
"""For how many of Tox21's molecules each task was measured."""
_MOLECULES = 7_831
_LABELS = {"0": "0", "0.0": "0", "1": "1", "1.0": "1"}


class Bbbp(Public):
    """BBBP: molecules that pass from the blood into the brain, or do not.

    The classes are "1" and "0". It has no official test part.
    """

    title: ClassVar[str] = "bbbp"
    about: ClassVar[PublicSet] = BBBP
    holds_texts: ClassVar[bool] = True

    def facts(self) -> Facts:
        """Return what is known before the data is opened."""
        return Facts(2_050, ("0", "1"), ())

    def read(self, folder: Path) -> Dataset:
        """Return the SMILES of the molecules, named by line and compound.

        Raises:
            DataError: a column is missing, or a row is wrong.
        """
        return _molecules(self.file(folder, "bbbp.csv"), label="p_np", name="name", gaps=False)


class Tox21(Public):
    """Tox21: molecules that set off a warning signal in a cell, or do not.

    The classes are "1" and "0"; with `task: all` each of the twelve signals is a label, and a
    molecule may have several. It has no official test part.
    """

    title: ClassVar[str] = "tox21"
    about: ClassVar[PublicSet] = TOX21
    holds_texts: ClassVar[bool] = True

    task: Literal[
        "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma",
        "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53", "all",
    ] = "NR-AhR"  # fmt: skip
    """Which of the twelve signals. Molecules without a measurement of it are left out. `all`: all
    twelve together, for a head with `labels: several`; what was not measured is not known."""

    def facts(self) -> Facts:
        """Return what is known before the data is opened."""
        if self.task == "all":
            return Facts(_MOLECULES, tuple(MEASURED), (), several=True)
        return Facts(MEASURED[self.task], ("0", "1"), ())

    def read(self, folder: Path) -> Dataset:
        """Return the SMILES of the molecules, named by line and the makers' number.

        Raises:
            DataError: a column is missing, or a row is wrong.
        """
        place = self.file(folder, "tox21.csv")
        if self.task == "all":
            return _molecules_of_tasks(place, tuple(MEASURED), name="mol_id")
        return _molecules(place, label=self.task, name="mol_id", gaps=True)


def _molecules(file: Path, *, label: str, name: str, gaps: bool) -> Dataset:
    """Return the molecules of a CSV file, whose column of SMILES is `smiles`.

    `label` and `name` are the columns of the classes and of what the compounds are called. With
    `gaps`, a molecule without a label is left out, and counted in the notes.
    """
    problems = Problems(str(file))
    things: list[str] = []
    labels: list[str] = []
    names: list[str] = []
    lines: list[int] = []
    without = 0
    with opened_rows(str(file), Form(header=True, delimiter=","), problems) as rows:
        columns = find_columns(rows, Columns(("smiles", label, name))).inputs
        for block in rows.blocks(columns):
            for line, smiles, kind, compound in zip(block.places, *block.columns, strict=True):
                if gaps and not kind:
                    without += 1
                elif kind not in _LABELS:
                    rows.refuse(line, f"'{label}' is {shown(kind)}, not 0 or 1")
                else:
                    things.append(smiles)
                    labels.append(_LABELS[kind])
                    names.append(printable(f"line {line}: {compound}"))
                    lines.append(line)
    problems.stop_items()
    molecules = "molecule is" if without == 1 else "molecules are"
    return sound(
        Dataset(
            things,
            labels,
            names,
            origin=problems.source,
            notes=[f"{without:,} {molecules} left out, not measured for {label}"] * bool(without),
            places=places.Numbered(rows.before, lines),
        )
    )


def _molecules_of_tasks(file: Path, tasks: tuple[str, ...], *, name: str) -> Dataset:
    """Return the molecules of a CSV file with several tasks, which are columns, as labels.

    `name` is the column of what the compounds are called.
    """
    problems = Problems(str(file))
    things: list[str] = []
    names: list[str] = []
    lines: list[int] = []
    labels = [np.zeros((0, len(tasks)), np.float32)]
    with opened_rows(str(file), Form(header=True, delimiter=","), problems) as rows:
        columns = find_columns(rows, Columns(("smiles", name, *tasks))).inputs
        for block in rows.blocks(columns):
            good = np.ones(len(block.places), np.bool_)
            smiles, compounds, *cells = block.columns
            marks = [
                read_marks(rows, task, block.places, each, good)
                for task, each in zip(tasks, cells, strict=True)
            ]
            things += smiles
            names += [
                printable(f"line {line}: {compound}")
                for line, compound in zip(block.places, compounds, strict=True)
            ]
            lines += block.places
            labels.append(np.column_stack(marks))
    problems.stop_items()
    return sound(
        Dataset(
            things,
            np.concatenate(labels),
            names,
            origin=problems.source,
            places=places.Numbered(rows.before, lines),
            label_names=tasks,
        )
    )
