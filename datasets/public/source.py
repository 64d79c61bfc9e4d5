"""Public sets that are known by name: where their files are, and what to do without them."""

from __future__ import annotations

import abc
import dataclasses
import os
import re
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from gridcnn.contracts.source import Dataset, Request, Source
from gridcnn.datasets import places
from gridcnn.datasets.public import fetching
from gridcnn.datasets.public.catalogue import Archive, File, PublicSet
from gridcnn.errors import DataError, Problem, first_told, listed, shown, sized

VARIABLE = "GRIDCNN_DATA"
"""The environment variable that names the folder of all data."""

_NOWHERE = f"{fetching.CACHE} and the system give no folder to keep them in"


class Public(Source):
    """A public set whose files are the user's own, or are fetched when they are first needed."""

    about: ClassVar[PublicSet]

    path: str | None = Field(default=None, min_length=1)
    """The folder of its files; null: the set's folder in the folder that the environment variable
    `GRIDCNN_DATA` names, or else what was fetched before, or is fetched now. A relative path starts
    at the folder of the spec."""

    def needed_files(self) -> tuple[File, ...] | Archive:
        """Return the parts of the set that these settings need."""
        return self.about.parts

    @abc.abstractmethod
    def read(self, folder: Path) -> Dataset:
        """Return the data in a folder that has the files.

        Raises:
            DataError: a file is damaged, or holds something else.
            OSError: a file cannot be read.
        """

    def resolved(self, base: Path) -> Self:
        """Return the source with its folder made absolute, so that a run remembers it.

        What was fetched is not remembered: it is found again, or fetched again.
        """
        if self.path is not None:
            return self.model_copy(update={"path": places.resolve(self.path, base)})
        own = self._own()
        return self.model_copy(update={"path": str(own)}) if own and self._is_in(own) else self

    def here(self) -> Path | None:
        """Return the folder that has the files, of the user's own or fetched, or None."""
        for folder in (self._own(), self._cache_folder()):
            if folder is not None and self._is_in(folder):
                return folder
        return None

    def _is_in(self, folder: Path) -> bool:
        try:
            return not self.lacking(folder)
        except OSError:  # nobody may look into it
            return False

    def lacking(self, folder: Path) -> list[str]:
        """Return the names of the files that a folder lacks."""
        return self._lacking(folder, self.needed_files())

    def _lacking(self, folder: Path, wanted: tuple[File, ...] | Archive) -> list[str]:
        if isinstance(wanted, Archive):
            return [] if find(folder, wanted.pattern) else [f"all of '{wanted.folder}'"]
        names = _names(folder)
        return [
            file.name
            for file in wanted
            if not {_plain(name) for name in (file.name, *file.aliases)} & set(names)
        ]

    def file(self, folder: Path, name: str) -> Path:
        """Return the path of a file, whichever of its names it has in a folder that has it."""
        parts = self.about.parts
        assert not isinstance(parts, Archive)
        file = next(file for file in parts if file.name == name)
        names = _names(folder)
        return next(
            folder / names[_plain(each)]
            for each in (file.name, *file.aliases)
            if _plain(each) in names
        )

    def size(self) -> int:
        """Return about how many bytes these settings need."""
        wanted = self.needed_files()
        return wanted.size if isinstance(wanted, Archive) else sum(each.size for each in wanted)

    def get(self, out: Path | None = None) -> tuple[bool, Path]:
        """Fetch all files of the set, unless they are here.

        Args:
            out: the folder of all data in which the set's folder is to be; None: where fetched
                files are kept, unless the user has them elsewhere.

        Returns:
            Whether they were here before, and the folder that has them.

        Raises:
            DataError: they cannot be fetched, are not what they should be, or cannot be written.
        """
        if out is not None and out.is_file():
            raise DataError(Problem("this is a file; give a folder", source=str(out)))
        folders = (
            [self._own(), self._cache_folder()]
            if out is None
            else [out.absolute() / self.about.folder]
        )
        for folder in folders:
            if folder is not None and not self._lacking(folder, self.about.parts):
                return True, folder
        folder = folders[-1]
        if folder is None:
            raise self._cannot(_NOWHERE, self.about.parts)
        self._fetch(folder, self.about.parts, advised=None if out is None else folder)
        return False, folder

    def open(self, request: Request) -> Dataset:  # noqa: ARG002 - as it is
        """Return the data, from the user's own files or fetched ones.

        Raises:
            DataError: files are missing and cannot be fetched, or are damaged.
        """
        try:
            folder, notes = self._folder()
            dataset = self.read(folder)
            if dataset.bad:
                raise DataError(*first_told(dataset.bad))
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise DataError(Problem(message, source=error.filename or self.title)) from error
        facts = self.facts()
        if facts is not None and len(dataset) != facts.items:
            notes.append(
                f"{folder} has {len(dataset):,} items of {self.about.title}; the whole set has "
                f"{facts.items:,}"
            )
        return dataclasses.replace(dataset, notes=[*notes, *dataset.notes], resolved=None)

    def _own(self) -> Path | None:
        """Return the set's folder in the folder of all data, if that is named."""
        folder = os.environ.get(VARIABLE, "").strip()
        if not folder or "\0" in folder:
            return None
        return Path(places.absolute(places.join(places.at_home(folder), self.about.folder)))

    def _cache_folder(self) -> Path | None:
        folder = fetching.data_folder()
        return None if folder is None else folder / self.about.folder

    def _folder(self) -> tuple[Path, list[str]]:
        """Return the folder that has the files, and a note if they were fetched."""
        if self.path is not None:
            return self._folder_of_user(self.path), []
        folder = self.here()
        if folder is not None:
            return folder, []
        folder = self._cache_folder()
        if folder is None:
            raise self._cannot(_NOWHERE, self.needed_files())
        self._fetch(folder, self.needed_files())
        what = f"{self.about.title} was fetched ({sized(self.size())})"
        return folder, [f"{what}, and is kept in {folder}"]

    def _fetch(
        self, folder: Path, wanted: tuple[File, ...] | Archive, *, advised: Path | None = None
    ) -> None:
        try:
            fetching.fetch(wanted, folder)
        except fetching.FetchError as error:
            raise self._cannot(str(error), wanted, advised) from None
        except OSError as error:
            message = f"files of {self.about.title} cannot be written: {error.strerror or error}"
            raise DataError(Problem(message, source=error.filename or str(folder))) from error

    def _cannot(
        self, reason: str, wanted: tuple[File, ...] | Archive, advised: Path | None = None
    ) -> DataError:
        """Return the error for files that are not here and cannot be fetched.

        `advised` is the folder to put them into, if it is not the usual one.
        """
        folder = advised or self._own() or self._cache_folder()
        into = f"into {folder}" if folder else f"into a folder '{self.about.folder}'"
        setting = f"--set data.source.{self.title}.path=FOLDER"
        how = (
            "" if advised or self._own() else f", or name their folder with {setting} or {VARIABLE}"
        )
        message = (
            f"the files of {self.about.title} are not here and cannot be fetched: {reason}; "
            f"put {_where_from(wanted)} {into}{how}"
        )
        return DataError(Problem(message, source=self.title))

    def _folder_of_user(self, path: str) -> Path:
        """Return the folder that the user names, if it has the files."""
        if "\0" in path:
            raise DataError(f"{shown(path)} cannot be a path")
        folder = Path(places.at_home(path))
        missing = self.lacking(folder)
        if missing:
            is_folder = folder.is_dir()
            what = "lacks files of" if is_folder else "is not a folder; it should hold the files of"
            message = (
                f"{what} {self.about.title}: {listed(missing)}; they come from {self.about.home}"
            )
            raise DataError(Problem(message, source=path))
        return folder


def _where_from(wanted: tuple[File, ...] | Archive) -> str:
    """Return what to get and from where, as a message says it."""
    if isinstance(wanted, Archive):
        return f"the folder '{wanted.folder}' of {wanted.addresses[0]}"
    names = [file.name for file in wanted]
    bases = {file.addresses[0].removesuffix(f"/{file.name}") for file in wanted}
    if len(bases) == 1 and not bases & {file.addresses[0] for file in wanted}:
        return f"{listed(names)}, from {bases.pop()}/,"
    return listed([f"{file.addresses[0]} as {file.name}" for file in wanted])


def find(folder: Path, pattern: str) -> list[Path]:
    """Return the files in a folder and below whose whole names a regular expression describes.

    They come in the order of their names; hidden folders are passed over.
    """
    wanted = re.compile(pattern)
    matching = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        matching += [Path(place, name) for name in files if wanted.fullmatch(name)]
    return sorted(matching, key=lambda file: (file.name, str(file)))


def _names(folder: Path) -> dict[str, str]:
    """Return the names of what is in a folder, by their plain forms."""
    return {_plain(entry.name): entry.name for entry in folder.iterdir()} if folder.is_dir() else {}


def _plain(name: str) -> str:
    """Return a file's name as it is unpacked, in the one of its spellings that has no dot."""
    return re.sub(r"\.gz$", "", name.lower()).replace(".", "-")
