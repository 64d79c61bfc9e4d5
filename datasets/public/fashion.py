"""Fashion-MNIST: pictures of clothes (H. Xiao, K. Rasul and R. Vollgraf, 2017), in IDX files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gridcnn.contracts.source import Dataset, Facts
from gridcnn.datasets.public.catalogue import FASHION, PublicSet
from gridcnn.datasets.public.source import Public
from gridcnn.datasets.readers import idx
from gridcnn.errors import DataError, Problem, listed

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
"""What the labels 0 to 9 in the files mean."""
FOLDER = FASHION.folder
"""What the folder of the files is called in the folder of all data."""


class Fashion(Public):
    """Fashion-MNIST: clothes of ten kinds, 28 by 28 cells.

    They are divided as their makers divide them: 60,000 for training and 10,000 for the test.
    """

    title: ClassVar[str] = "fashion"
    about: ClassVar[PublicSet] = FASHION

    def facts(self) -> Facts:
        """Return what is known before the data is opened."""
        return Facts(70_000, tuple(sorted(CLASSES)), (28, 28))

    def read(self, folder: Path) -> Dataset:
        """Return the pictures: uint8 `(28, 28)`, 0 is black; the classes are the names of clothes.

        Raises:
            DataError: files are damaged, or a label has no name.
        """
        return name_labels(idx.read_folder(folder), CLASSES, title=self.about.title)


def name_labels(dataset: Dataset, classes: Sequence[str], *, title: str) -> Dataset:
    """Return data whose labels are the numbers 0 to 9 with names in their place.

    Raises:
        DataError: there are other labels.
    """
    names = {str(number): name for number, name in enumerate(classes)}
    strangers = sorted(set(map(str, dataset.labels)) - set(names))
    if strangers:
        message = f"the labels of {title} are 0 to 9; these files have {listed(strangers)}"
        raise DataError(Problem(message, source=dataset.origin))
    return dataclasses.replace(dataset, labels=[names[str(label)] for label in dataset.labels])
