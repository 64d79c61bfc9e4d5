"""MNIST: pictures of handwritten digits (Y. LeCun, C. Cortes and C. Burges, 1998), in IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from gridcnn.contracts.source import Dataset, Facts
from gridcnn.datasets.public.catalogue import MNIST, PublicSet
from gridcnn.datasets.public.fashion import name_labels
from gridcnn.datasets.public.source import Public
from gridcnn.datasets.readers import idx

CLASSES = tuple("0123456789")


class Mnist(Public):
    """MNIST: handwritten digits, 28 by 28 cells.

    They are divided as their makers divide them: 60,000 for training and 10,000 for the test.
    """

    title: ClassVar[str] = "mnist"
    about: ClassVar[PublicSet] = MNIST

    def facts(self) -> Facts:
        """Return what is known before the data is opened."""
        return Facts(70_000, CLASSES, (28, 28))

    def read(self, folder: Path) -> Dataset:
        """Return the pictures: uint8 `(28, 28)`, 0 is the paper and 255 the ink.

        Raises:
            DataError: files are damaged, or a label is not a digit.
        """
        return name_labels(idx.read_folder(folder), CLASSES, title=self.about.title)
