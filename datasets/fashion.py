"""Fashion-MNIST: pictures of clothes (H. Xiao, K. Rasul and R. Vollgraf, 2017), in IDX files.

The files are no part of gridcnn, and nothing is fetched: whoever runs the set has to have them.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from gridcnn.datasets import idx, places
from gridcnn.datasets.base import Dataset, Facts, Source
from gridcnn.errors import DataError, Problem, listed, shown

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
"""What the labels 0 to 9 in the files mean."""
FOLDER = "images_fashion_mnist"
"""What the folder of the files is called in the folder of all data."""
VARIABLE = "GRIDCNN_DATA"
"""The environment variable that names the folder of all data."""
_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_HOME = "https://github.com/zalandoresearch/fashion-mnist"


class Fashion(Source):
    """Fashion-MNIST: clothes of ten kinds, 28 by 28 cells (from files that you have)."""

    title: ClassVar[str] = "fashion"

    path: str | None = Field(default=None, min_length=1)
    """The folder of the files; null: `images_fashion_mnist` in the folder that the environment
    variable `GRIDCNN_DATA` names. A relative path starts at the folder of the spec."""

    def facts(self) -> Facts:
        """Return what is known before the data is opened."""
        return Facts(70_000, tuple(sorted(CLASSES)), (28, 28))

    def resolved(self, base: Path) -> Self:
        """Return the source with its folder made absolute, so that a run remembers it."""
        path = _in_all_data() if self.path is None else places.at_home(self.path)
        if path is None or "\0" in path:
            return self
        return self.model_copy(update={"path": places.absolute(base / path)})

    def open(self, *, seed: int, suffixes: frozenset[str]) -> Dataset:  # noqa: ARG002 - as it is
        """Return the pictures: uint8 `(28, 28)`, 0 is black; the classes are the names of clothes.

        They are divided as their makers divide them: 60,000 for training and 10,000 for the test.

        Raises:
            DataError: no folder is named, files are missing or damaged, or a label has no name.
        """
        path = _in_all_data() if self.path is None else places.at_home(self.path)
        if path is None:
            message = (
                "the folder of its files is not known; name it with --set "
                f"data.source.fashion.path=FOLDER, or set {VARIABLE} to the folder that has them "
                f"in '{FOLDER}'. They are {listed(_FILES)}, from {_HOME}"
            )
            raise DataError(Problem(message, source=self.title))
        if "\0" in path:
            raise DataError(f"{shown(path)} cannot be a path")
        try:
            return _read(Path(path))
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise DataError(Problem(message, source=path)) from error


def _in_all_data() -> str | None:
    """Return the folder of the files in the folder of all data, where that is named."""
    folder = os.environ.get(VARIABLE, "").strip()
    return places.absolute(places.joined(places.at_home(folder), FOLDER)) if folder else None


def _read(folder: Path) -> Dataset:
    found = {_plain(file.name) for file in folder.iterdir()} if folder.is_dir() else set()
    missing = [name for name in _FILES if _plain(name) not in found]
    if missing:
        what = "lacks files of" if folder.is_dir() else "is no folder, and should hold the files of"
        message = f"{what} Fashion-MNIST: {listed(missing)}; they come from {_HOME}"
        raise DataError(Problem(message, source=str(folder)))
    dataset = idx.read_folder(folder)
    names = {str(number): name for number, name in enumerate(CLASSES)}
    strangers = sorted(set(map(str, dataset.labels)) - set(names))
    if strangers:
        message = f"the labels of Fashion-MNIST are 0 to 9; these files have {listed(strangers)}"
        raise DataError(Problem(message, source=str(folder)))
    return dataclasses.replace(dataset, labels=[names[str(label)] for label in dataset.labels])


def _plain(name: str) -> str:
    """Return a file's name as it is unpacked, in the one of its two spellings that has no dot."""
    return re.sub(r"\.gz$", "", name.lower()).replace(".", "-")
