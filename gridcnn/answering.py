"""Answers for any number of items, written to files as they come, by this process or a cluster.

Items are numbered in the order in which they are read, and `SHARD` of them are a shard. A shard is
one file, which has its name when it is complete: so what is written need not be done again.

    answers/  answers.json                        what is answered, and with which model
              part-000000.csv, part-000001.csv    names, answers and votes, in order
              problems-000001.csv                 items of that shard that cannot be answered
"""

from __future__ import annotations

import bisect
import csv
import hashlib
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gridcnn.cluster.joining import find_cluster, join
from gridcnn.cluster.pool import map_in_order
from gridcnn.contracts.adapter import Selection
from gridcnn.engines.base import ANSWERED
from gridcnn.errors import (
    DataError,
    Problem,
    RunFolderError,
    SpecError,
    UserError,
    printable,
    quoted,
)
from gridcnn.files import (
    json_text,
    read_json,
    table_text,
    write_bytes,
    write_text,
)
from gridcnn.model import Model, load
from gridcnn.outputs import refuse_file
from gridcnn.runs.questions import Questions

SHARD = 4_096
"""Items of a shard."""
ABOUT = "answers.json"
FORMATS = ("csv", "parquet")
Format = Literal["csv", "parquet"]


@dataclass(frozen=True)
class Answers:
    """What was written.

    Attributes:
        folder: where the shards are.
        items: how many items there are in all, also those that were answered before.
        answered: how many of them this call has answered.
        problems: how many items, of those that this call has looked at, could not be answered.
    """

    folder: Path
    items: int
    answered: int
    problems: int


@dataclass(frozen=True)
class _Piece:
    """The items of one shard: their names, the things, and what could not even be read.

    If some of the shard is written already, `names` and `things` are the rest of it, and `order`
    has the names of all its items.
    """

    number: int
    names: list[str]
    things: list[Any]
    problems: list[Problem]
    order: Sequence[str] = ()


@dataclass(frozen=True)
class _Answered:
    number: int
    names: list[str]
    answers: list[Any]
    votes: NDArray[np.float32]
    problems: list[Problem]
    order: Sequence[str] = ()


def answer_all(
    model: str | os.PathLike[str],
    files: Sequence[str] = (),
    *,
    out: str | os.PathLike[str],
    form: Format = "csv",
    texts: Sequence[str] = (),
    lines: bool = False,
    columns: Sequence[str] = (),
    engine: str | None = None,
    threads: int | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    shard: int = SHARD,
) -> Answers:
    """Answer all items in files and folders, and write the answers to a folder, shard by shard.

    The items stream through memory, so there may be any number of them; the order of the answers is
    that of the items. The same call goes on where an earlier one was stopped or killed, and writes
    no row twice. Items that cannot be answered are listed beside the answers, and end nothing.

    Args:
        model: a run folder or a model file.
        files: files and folders, as for `gridcnn predict`.
        out: the folder, new or of the same call.
        form: "csv", or "parquet", which needs pyarrow.
        texts, lines, columns: as for `Questions`.
        engine, threads: as for `gridcnn.load`.
        cluster, workers: as for `gridcnn.run`; each worker has the model, and answers with
            `threads` threads. The files must be in the same place for all of them.
        shard: how many items are in a file.

    Raises:
        UserError: the model, an option or the folder cannot be used; see `gridcnn.errors`.
    """
    asked = find_cluster(cluster, workers, threads)
    if form not in FORMATS:
        raise SpecError(f"answers are written as csv or parquet; got {quoted(str(form))}")
    if form == "parquet":
        _need_pyarrow()
    loaded = load(model, engine=engine, threads=1 if asked else threads)
    questions = Questions(
        loaded.adapter, loaded.spec.data, texts=texts, lines=lines, columns=columns
    )
    given = [*files, *(f"text: {text}" for text in texts)]
    folder = _open_folder(Path(out), loaded, given, form, shard)
    counts = {"items": 0, "answered": 0, "problems": 0}
    pieces = _left(_pieces(questions, files, shard), folder, form, counts)
    if asked is None:
        for piece in pieces:
            _write(_answer(loaded, piece), loaded, folder, form, counts)
    else:
        with join(asked) as count:
            for answered in map_in_order(
                _answer, loaded, pieces, workers=count, threads=asked.threads
            ):
                _write(answered, loaded, folder, form, counts)
    return Answers(folder, **counts)


def _need_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UserError(
            "Parquet needs pyarrow, which is not installed: python -m pip install "
            "'gridcnn[parquet]'"
        ) from None


def _pieces(questions: Questions, files: Sequence[str], shard: int) -> Iterator[_Piece]:
    """Yield all items, so many at a time; problems belong to the shard in which they come."""
    names: list[str] = []
    things: list[Any] = []
    problems: list[Problem] = []
    numbers = itertools.count()
    for part in questions.parts(files):
        problems += part.problems
        start = 0
        while start < len(part.names):
            chosen = slice(start, start + shard - len(names))
            names += part.names[chosen]
            things += list(part.things[chosen])
            start = chosen.stop
            if len(names) == shard:
                yield _Piece(next(numbers), names, things, problems)
                names, things, problems = [], [], []
    if names or problems:
        yield _Piece(next(numbers), names, things, problems)


def _left(
    pieces: Iterable[_Piece], folder: Path, form: Format, counts: dict[str, int]
) -> Iterator[_Piece]:
    """Yield the shards that have not been written, and the rest of those that have grown.

    Raises:
        DataError: a shard that was written is of other items, or of the same in another order.
    """
    count = 0
    for piece in pieces:
        count += 1
        counts["items"] += len(piece.names)
        path = folder / f"part-{piece.number:06}.{form}"
        left = _find_unanswered(piece, path) if path.is_file() else piece
        if left is not None:
            yield left
    for path in sorted(folder.glob(f"part-*.{form}")):
        number = path.stem.partition("-")[2]
        if number.isdigit() and int(number) >= count and (names := _names(path)):
            raise _place_error(path, names[0])


def _find_unanswered(piece: _Piece, path: Path) -> _Piece | None:
    """Return the items of a shard that are neither answered nor listed as problems, if any.

    Raises:
        DataError: the answers are not those of the items, in their order.
    """
    names = _names(path)
    rows = sorted(_tell(path))
    rest: list[int] = []
    count = 0
    for place, name in enumerate(piece.names):
        if count < len(names) and names[count] == name:
            count += 1
        else:
            rest.append(place)
    if count < len(names):
        raise _place_error(path, names[count])
    new = [place for place in rest if not _is_told(piece.names[place], rows)]
    problems = [problem for problem in piece.problems if str(problem) not in rows]
    if not (new or problems):
        return None
    return _Piece(
        piece.number,
        [piece.names[place] for place in new],
        [piece.things[place] for place in new],
        problems,
        piece.names,
    )


def _place_error(path: Path, name: str) -> DataError:
    return DataError(
        Problem(
            f"has an answer for {quoted(name)}, which is no longer in its place: the "
            "files have changed since; write to a new folder",
            source=str(path),
        )
    )


def _tell(path: Path) -> list[str]:
    """Return the problems that are listed beside a shard."""
    beside = _problems_of(path)
    return [row[0] for row in _rows(beside)] if beside.is_file() else []


def _problems_of(path: Path) -> Path:
    """Return the file of the problems of a shard."""
    return path.with_name(f"problems-{path.stem.partition('-')[2]}.csv")


def _is_told(name: str, told: Sequence[str]) -> bool:
    """Return whether one of the problems, which are sorted, is of an item."""
    start = printable(f"{name}: ")
    place = bisect.bisect_left(told, start)
    return place < len(told) and told[place].startswith(start)


def _rows(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file, without its header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(itertools.islice(csv.reader(file), 1, None))


def _names(path: Path) -> list[str]:
    """Return the names of the items in a shard."""
    if path.suffix == ".csv":
        return [row[0] for row in _rows(path)]
    import pyarrow.parquet as parquet

    names: list[str] = parquet.read_table(path, columns=["file"])["file"].to_pylist()
    return names


def _merge(order: Sequence[str], before: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the places of all answers, in the order of the items: first those `before` count."""
    places: list[int] = []
    old = new = 0
    for name in order:
        if old < len(before) and before[old] == name:
            places.append(old)
            old += 1
        elif new < len(names) and names[new] == name:
            places.append(len(before) + new)
            new += 1
    return places


def _answer(model: Model, piece: _Piece) -> _Answered:
    """Return the answers for the items of a shard; this runs on a worker."""
    names: list[str] = []
    votes: list[NDArray[np.float32]] = []
    problems = list(piece.problems)
    for start in range(0, len(piece.names), ANSWERED):
        chosen = slice(start, start + ANSWERED)
        own = piece.names[chosen]
        adapted = model.adapted(piece.things[chosen], names=own)
        problems += adapted.problems
        if len(adapted.kept):
            read = Selection(own, adapted.kept)
            answered = model.answered(adapted.grids.values, names=list(read))
            problems += answered.problems
            names += [read[index] for index in answered.kept]
            votes.append(np.asarray(answered.votes, np.float32))
    empty = np.empty((0, len(model.classes)), np.float32)
    all_votes = np.concatenate(votes) if votes else empty
    answers: list[Any]
    if model.several:
        answers = [";".join(map(str, row)) for row in model.labels_answered(all_votes)]
    else:
        answers = [model.classes[index] for index in model.head.answers(all_votes).tolist()]
    return _Answered(piece.number, names, answers, all_votes, problems, piece.order)


# Files


def _digest_of(model: Model) -> str:
    """Return what tells a model from those that answer differently.

    The same numbers answer differently with another adapter, more views or other thresholds.
    """
    digest = hashlib.sha256(np.ascontiguousarray(model.parameters).tobytes())
    about = [model.spec.model_dump(mode="json"), model.thresholds, model.classes]
    digest.update(json_text(about, ensure_ascii=True).encode())
    return digest.hexdigest()


def _open_folder(
    folder: Path, model: Model, files: Sequence[str], form: Format, shard: int
) -> Path:
    """Return the folder, made or of the same call.

    Raises:
        RunFolderError: it holds something else, or cannot be made.
    """
    about = {"files": list(files), "format": form, "shard": shard, "model": _digest_of(model)}
    path = folder / ABOUT
    try:
        refuse_file(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            if read_json(path) != about:
                raise RunFolderError(
                    f"{folder} holds answers of another model, for other files, or in another "
                    "format; write to a new folder"
                )
        elif any(folder.iterdir()):
            raise RunFolderError(f"{folder} holds other files; write to a new folder")
        else:
            write_text(path, json_text(about))
    except OSError as error:
        raise RunFolderError(
            f"{folder}: answers cannot be written there: {error.strerror or error}"
        ) from None
    return folder


def _write(
    done: _Answered, model: Model, folder: Path, form: Format, counts: dict[str, int]
) -> None:
    """Write a shard: first its problems, so that a shard that is there is complete."""
    counts["answered"] += len(done.names)
    counts["problems"] += len(done.problems)
    columns = [f"votes.{label}" for label in model.classes]
    path = folder / f"part-{done.number:06}.{form}"
    try:
        before = _names(path) if done.order else []
        places = _merge(done.order, before, done.names) if done.order else []
        if done.problems:
            told = [*(_tell(path) if done.order else ()), *map(str, done.problems)]
            rows = [("problem",), *((problem,) for problem in told)]
            write_text(_problems_of(path), table_text(rows))
        if form == "csv":
            lines = [
                [name, answer, *(f"{vote:.6f}" for vote in row)]
                for name, answer, row in zip(
                    done.names, done.answers, done.votes.tolist(), strict=True
                )
            ]
            if done.order:
                lines = [*_rows(path), *lines]
                lines = [lines[place] for place in places]
            write_text(path, table_text([["file", "answer", *columns], *lines]))
        else:
            write_bytes(path, _parquet(done, columns, path, places))
    except OSError as error:
        raise RunFolderError(
            f"{folder}: a part cannot be written: {error.strerror or error}; the same command "
            "continues where it stopped"
        ) from None


def _parquet(done: _Answered, columns: Sequence[str], path: Path, places: Sequence[int]) -> bytes:
    """Return a shard as Parquet, with the answers that are there already in their places."""
    import pyarrow
    from pyarrow import parquet

    text = pyarrow.string()
    table = pyarrow.table(
        {
            "file": pyarrow.array(done.names, text),
            "answer": pyarrow.array([str(answer) for answer in done.answers], text),
            **{name: done.votes[:, place] for place, name in enumerate(columns)},
        }
    )
    if done.order:
        before = parquet.read_table(path)
        table = pyarrow.concat_tables([before, table], promote_options="default").take(places)
    content = io.BytesIO()
    parquet.write_table(table, content)
    return content.getvalue()
