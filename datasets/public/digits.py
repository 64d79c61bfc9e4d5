"""Handwritten digits: the 1,797 small pictures that come with scikit-learn."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gridcnn.contracts.source import Dataset, Facts, Request, Source
from gridcnn.datasets.readers.stacks import item_names, unstack
from gridcnn.room import require_room_for_scipy


class Digits(Source):
    """Handwritten digits, 8 by 8 cells (scikit-learn's bundled set)."""

    title: ClassVar[str] = "digits"

    def facts(self) -> Facts:
        """Return what is known before the data is opened."""
        return Facts(1797, tuple("0123456789"), (8, 8))

    def open(self, request: Request) -> Dataset:  # noqa: ARG002 - as it is
        """Return the digits: uint8 `(8, 8)`, ink 255 on 0, with the classes "0" to "9".

        The set counts ink from 0 to 16; that is spread evenly over 0 to 255.
        """
        require_room_for_scipy()
        from sklearn.datasets import load_digits

        bunch = load_digits()
        pictures = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
        labels = [str(digit) for digit in bunch.target.tolist()]
        return Dataset(unstack(pictures), labels, item_names(len(labels)), origin=self.title)
