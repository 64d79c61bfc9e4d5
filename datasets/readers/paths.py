"""The data source that is a path: what is there decides how it is read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from gridcnn.contracts.source import Dataset, Source
from gridcnn.datasets import places
from gridcnn.datasets.readers import arrays, folder, idx, manifest
from gridcnn.errors import DataError, Problem, listed, shown, suggestion

_FORMS = (
    "data is a folder with a folder for each class; a CSV file with the columns path and label; "
    "an .npz file with the arrays X and y; or IDX files"
)
_TABLES = (".csv", ".tsv", ".tab", ".txt")
"""Endings of manifests."""
_ADVICE = {
    (".npy",): "one array has no labels; save both: numpy.savez(file, X=..., y=...)",
    (".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".gz"): (
        "this is packed; unpack it, and give the folder"
    ),
    (".xlsx", ".xls", ".ods", ".feather", ".json"): (
        "tables are read from CSV; save it as 'CSV UTF-8'"
    ),
    (".parquet", ".pq", ".jsonl", ".ndjson"): (
        "name a table whose rows are the items in the spec: "
        "data: {source: {table: {path: ..., input: ..., label: ...}}}"
    ),
    (".pkl", ".pickle", ".joblib", ".pt", ".pth"): (
        "opening such a file can run any program, so it is not read; save the arrays: "
        "numpy.savez(file, X=..., y=...)"
    ),
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"): (
        "one picture is no data set; give the folder that has a folder for each class"
    ),
    (".wav", ".flac", ".mp3", ".ogg"): (
        "one sound is no data set; give the folder that has a folder for each class"
    ),
    (".yaml", ".yml"): "this looks like a spec, not like data",
}


class Files(Source):
    """Files: a folder of class folders, a CSV manifest, an .npz file or IDX files."""

    title: ClassVar[str] = "files"

    path: str = Field(min_length=1)
    """The folder or file. A relative path starts at the folder of the spec."""

    @classmethod
    def from_text(cls, text: str) -> Files:
        """Return the source that a plain text in a spec stands for."""
        return cls(path=text)

    def to_text(self) -> str:
        """Return the text that stands for the source in a spec."""
        return self.path

    def resolved(self, base: Path) -> Self:
        """Return the source with its path made absolute, starting at the folder `base`."""
        return self.model_copy(update={"path": places.resolved(self.path, base)})

    def endings(self) -> Counter[str]:
        """Return how often each ending occurs among the files in the folders of a folder.

        Endings are lower case, with the dot; hidden files are not counted. There are none where
        the path is no folder.
        """
        path = places.at_home(self.path)
        return folder.endings(path) if places.is_folder(path) else Counter()

    def open(self, *, seed: int, suffixes: frozenset[str]) -> Dataset:  # noqa: ARG002 - as it is
        """Return the labelled files or arrays that are there.

        Raises:
            DataError: there is nothing, it is none of the forms that are read, or what it holds
                is wrong; every problem is listed.
        """
        return self._opened(suffixes, None)

    def open_grouped(self, column: str, *, seed: int, suffixes: frozenset[str]) -> Dataset:  # noqa: ARG002 - as it is
        """Return what a manifest lists, with the groups that a column names.

        Raises:
            DataError: it is no manifest, or something is wrong with it.
        """
        return self._opened(suffixes, column)

    def _opened(self, suffixes: frozenset[str], group: str | None) -> Dataset:
        if "\0" in self.path:
            raise DataError(f"{shown(self.path)} cannot be a path")
        path = places.at_home(self.path)
        try:
            return _opened(path, suffixes, group)
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise DataError(Problem(message, source=self.path)) from error


def _opened(path: str, suffixes: frozenset[str], group: str | None) -> Dataset:
    place = Path(path)
    name = place.name.lower()
    if group is not None and place.exists() and not (place.is_file() and name.endswith(_TABLES)):
        message = (
            "has no columns that could name groups; find them in the names of files with "
            "data.group: {pattern: ...}"
        )
        raise DataError(Problem(message, source=path))
    if place.is_dir():
        return idx.read_folder(place) if idx.in_folder(place) else folder.read(place, suffixes)
    if not place.exists():
        raise DataError(_nothing(path))
    if name.endswith(_TABLES):
        return manifest.read(place, group=group)
    if name.endswith(".npz"):
        return arrays.read(place)
    if idx.is_idx(place):
        return idx.read(place)
    advice = next((text for ends, text in _ADVICE.items() if name.endswith(ends)), _FORMS)
    raise DataError(Problem(advice, source=path))


def _nothing(path: str) -> Problem:
    if "://" in path:
        return Problem("a web address is not read; download it, and give its path", source=path)
    from gridcnn.datasets.known import known as known_sets

    known = [each.name for each in known_sets()]
    parent = Path(path).parent
    hint = suggestion(path, known)
    if not hint and parent.is_dir():
        hint = _sibling(Path(path))
    elif not hint:
        hint = f"; the folder '{parent}' does not exist either"
    end = "" if hint.endswith("?") else "."
    message = f"there is no such file or folder{hint}{end} Known data sets: {listed(known)}"
    return Problem(message, source=path)


def _sibling(place: Path) -> str:
    """Return a hint at the file or folder beside `place` whose name is nearest to its name."""
    names = {child.name.lower(): child.name for child in place.parent.iterdir()}
    near = suggestion(place.name, names)
    return next(
        (
            f"; did you mean '{place.parent / name}'?"
            for lower, name in names.items()
            if f"'{lower}'" in near
        ),
        "",
    )
