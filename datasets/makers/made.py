"""Generated data: the contract of its sources, and writing it as files."""

from __future__ import annotations

import abc
import csv
import io
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from gridcnn.contracts.source import Request, Source
from gridcnn.datasets import places
from gridcnn.errors import Problem, RunFolderError
from gridcnn.files import write_text
from gridcnn.registry import Registry

MAKERS = Registry(
    "maker",
    {
        "xo": "gridcnn.datasets.makers.xo:XO",
        "sounds": "gridcnn.datasets.makers.sounds:Sounds",
        "phrases": "gridcnn.datasets.makers.phrases:Phrases",
        "charts": "gridcnn.datasets.makers.charts:Charts",
    },
)
"""What `gridcnn datasets make` makes: subclasses of `Made`, `MadeTexts` or `MadeRows`."""


_SEPARATORS = {".csv": ",", ".tsv": "\t"}


class Made(Source, abc.ABC):
    """Settings of generated data that can be written as one file for each item."""

    suffix: ClassVar[str]
    """The ending of its files, with the dot."""

    @abc.abstractmethod
    def encode_item(self, thing: Any) -> bytes:
        """Return one thing as the content of a file that opens as the same thing."""


class MadeTexts(Source, abc.ABC):
    """Settings of generated data that can be written as one table: its items are texts."""


class MadeRows(Source, abc.ABC):
    """Settings of generated data that can be written as one table: its items are rows of numbers.

    The things of its data set are an array `(items, columns)`.
    """


def write_table(
    source: MadeTexts | MadeRows, file: str | os.PathLike[str], *, seed: int = 0
) -> int:
    """Make the data of `source` and write it to a table.

    Its columns are text and label, or, for rows of numbers, 1, 2, 3 and so on, and label.

    Args:
        source: what to make.
        file: a file that does not exist yet; its ending says how columns are separated: .csv, by
            commas; .tsv, by tabs.
        seed: the seed of the random numbers, unless `source` has its own.

    Returns:
        The number of items.

    Raises:
        RunFolderError: the file exists already, has another ending, or cannot be written.
        DataError: the data cannot be made.
    """
    target = Path(places.absolute(places.at_home(os.fspath(file))))
    ending = places.ending(target.name)
    if ending not in _SEPARATORS:
        what = "texts" if isinstance(source, MadeTexts) else "rows"
        message = f"{what} are written to a table; give a file that ends in .csv or .tsv"
        raise RunFolderError(Problem(message, source=str(target)))
    try:
        if target.exists() or target.is_symlink():
            message = "this exists already; give a file that does not exist yet"
            raise RunFolderError(Problem(message, source=str(target)))
        dataset = source.open(Request(seed=seed))
        written = io.StringIO()
        rows = csv.writer(written, delimiter=_SEPARATORS[ending], lineterminator="\n")
        if isinstance(source, MadeTexts):
            rows.writerow(("text", "label"))
            rows.writerows(zip(dataset.things, dataset.labels, strict=True))
        else:
            rows.writerow((*range(1, len(dataset.things[0]) + 1), "label"))
            for thing, label in zip(dataset.things, dataset.labels, strict=True):
                rows.writerow((*thing.round(4).astype(str).tolist(), label))
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, written.getvalue(), replace=False)
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise RunFolderError(Problem(message, source=str(target))) from error
    return len(dataset)


def write_files(
    source: Made,
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> int:
    """Make the data of `source` and write it to `folder`, one folder for each class.

    The files of each class are numbered from `00001`. If something goes wrong, the folder
    gets none of them.

    Args:
        source: what to make.
        folder: a folder that does not exist yet, or is empty.
        seed: the seed of the random numbers, unless `source` has its own.
        advance: called with the number of files written since the last call.

    Returns:
        The number of files.

    Raises:
        RunFolderError: the folder holds something already, is a file, or cannot be written to.
        DataError: the data cannot be made.
    """
    target = Path(places.absolute(places.at_home(os.fspath(folder))))
    try:
        _refuse_used(target)
        dataset = source.open(Request(seed=seed))
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder, or inside it where it exists: it may be the mouth of another disk.
        exists = target.is_dir()
        staging = Path(
            tempfile.mkdtemp(
                prefix=f".{target.name}.", suffix=".part", dir=target if exists else target.parent
            )
        )
        try:
            numbers: Counter[str] = Counter()
            digits = max(5, len(str(len(dataset))))
            for thing, label in zip(dataset.things, dataset.labels, strict=True):
                name = str(label)
                if not numbers[name]:
                    (staging / name).mkdir()
                numbers[name] += 1
                file = staging / name / f"{numbers[name]:0{digits}}{source.suffix}"
                file.write_bytes(source.encode_item(thing))
                if advance is not None:
                    advance(1)
            _publish(staging, target, inside=exists)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    except OSError as error:
        raise RunFolderError(
            Problem(f"cannot be written to: {error.strerror or error}", source=str(target))
        ) from error
    return len(dataset)


def _refuse_used(target: Path) -> None:
    if target.is_dir():
        if any(target.iterdir()):
            raise RunFolderError(
                Problem(
                    "this folder holds files already; give one that is empty or does not exist",
                    source=str(target),
                )
            )
    elif target.exists() or target.is_symlink():
        raise RunFolderError(
            Problem("this is a file; give a folder that does not exist yet", source=str(target))
        )


def _publish(staging: Path, target: Path, *, inside: bool) -> None:
    if inside:
        for child in sorted(staging.iterdir()):
            child.rename(target / child.name)
        staging.rmdir()
        return
    # Temporary folders are only for their owner; results get the usual permissions, which those of
    # the class folders show.
    staging.chmod(next(staging.iterdir()).stat().st_mode & 0o777)
    staging.rename(target)
