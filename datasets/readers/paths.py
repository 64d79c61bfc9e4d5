"""The data source that is a path: its content decides how it is read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from gridcnn.contracts.source import Dataset, Request, Source
from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers import arrays, folder, idx, manifest
from gridcnn.datasets.readers.folder import Folders
from gridcnn.datasets.tables.columns import look_at
from gridcnn.datasets.tables.items import ENDINGS, opened_rows
from gridcnn.datasets.tables.lines import ending_of
from gridcnn.datasets.tables.rows import Form
from gridcnn.datasets.tables.table import Table
from gridcnn.datasets.walking import Walk
from gridcnn.errors import DataError, Problem, listed, shown, suggestion

_FORMS = (
    "data is a folder with a folder for each class; a CSV file with the columns path and label; "
    "an .npz file with the arrays X and y; or IDX files"
)
_ADVICE = {
    (".npy",): "one array has no labels; save both: numpy.savez(file, X=..., y=...)",
    (".zip", ".tar", ".tgz", ".7z", ".rar", ".gz", ".bz2", ".xz"): (
        "this is an archive; unpack it, and give the folder"
    ),
    (".pkl", ".pickle", ".joblib", ".pt", ".pth"): (
        "opening such a file can run any program, so gridcnn does not; save the arrays: "
        "numpy.savez(file, X=..., y=...)"
    ),
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".heic"): (
        "one picture is not a data set; give the folder that has a folder for each class"
    ),
    (".wav", ".flac", ".mp3", ".ogg"): (
        "one sound is not a data set; give the folder that has a folder for each class"
    ),
    (".yaml", ".yml"): "this looks like a spec, not like data",
}


class Files(Source):
    """A folder of class folders, a manifest, an .npz file, IDX files, or a table of files."""

    title: ClassVar[str] = "files"

    path: str = Field(min_length=1)
    """The folder or file. A relative path starts at the folder of the spec."""
    folders: Folders = "auto"
    """What the folders in a folder are: `classes`; or `parts`, with the class folders in them;
    `auto`: parts, if their names and contents look like that."""

    @classmethod
    def from_text(cls, text: str) -> Files:
        """Return the source for a plain text in a spec."""
        return cls(path=text)

    def to_text(self) -> str | None:
        """Return the source as a plain text for a spec; None if it has more settings."""
        return self.path if self.folders == "auto" else None

    def resolved(self, base: Path) -> Self:
        """Return the source with its path made absolute, starting at the folder `base`."""
        return self.model_copy(update={"path": places.resolve(self.path, base)})

    def endings(self) -> Counter[str]:
        """Return how often each ending occurs among the files in the folders of a folder.

        Endings are lower case, with the dot; there are none if the path is not a folder.
        """
        path = places.at_home(self.path)
        return Walk(path, Problems()).endings() if places.is_folder(path) else Counter()

    def open(self, request: Request) -> Dataset:
        """Return the labelled files or arrays that are there.

        Raises:
            DataError: there is nothing, it has none of the known forms, or its content is wrong;
                every problem is listed.
        """
        if "\0" in self.path:
            raise DataError(f"{shown(self.path)} cannot be a path")
        path = places.at_home(self.path)
        try:
            dataset = self._open(path, request)
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise DataError(Problem(message, source=self.path)) from error
        if request.label is not None and ending_of(path) not in ENDINGS:
            message = "has no columns to name labels; leave data.label out"
            raise DataError(Problem(message, source=path))
        if request.group is not None and dataset.groups is None:
            message = (
                "has no columns to name groups; find them in the names of files with "
                "data.group: {pattern: ...}"
            )
            raise DataError(Problem(message, source=path))
        return dataset

    def _open(self, path: str, request: Request) -> Dataset:
        place = Path(path)
        name = place.name.lower()
        if place.is_dir():
            if idx.in_folder(place):
                return idx.read_folder(place)
            return folder.read(place, request.suffixes, folders=self.folders)
        if not place.exists():
            raise DataError(_nothing(path))
        if not places.is_file(path):
            raise DataError(Problem(places.why_not_file(path), source=path))
        if name.endswith(".npz"):
            return arrays.read(place)
        if ending_of(path) in ENDINGS:
            return _table(path, request)
        if idx.is_idx(place):
            return idx.read(place)
        advice = next((text for ends, text in _ADVICE.items() if name.endswith(ends)), _FORMS)
        raise DataError(Problem(advice, source=path))


def _table(path: str, request: Request) -> Dataset:
    """Return what a manifest lists, or the pictures or sounds that a table holds."""
    problems = Problems(path)
    with opened_rows(path, Form(), problems, wanted=manifest.COLUMNS[:2]) as rows:
        names = rows.names
        typed = not rows.written
    if typed and not manifest.is_manifest(names, labelled=request.label is None):
        look = look_at(path)
        if look.holds == "files":
            table = Table(path=path, input=look.input, label=look.label, split=look.split)
            return table.open(request)
        message = (
            "is a table that contains its items; name its columns in the spec: "
            "data: {source: {table: {path: ..., input: ..., label: ...}}}"
        )
        raise DataError(Problem(message, source=path))
    return manifest.read(path, group=request.group, label=request.label)


def _nothing(path: str) -> Problem:
    if "://" in path:
        return Problem("a web address cannot be read; download it, and give its path", source=path)
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
