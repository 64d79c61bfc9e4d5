"""Archives of public data sets: foreign paths, links, and far more than they should hold."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from fuzz.changes import Changes
from fuzz.sealed import zip_changed, zipped
from fuzz.target import Target, readable, require
from gridcnn.datasets.public.catalogue import Archive
from gridcnn.datasets.public.unpacking import UnpackError, has_files, unpack

FILES = {f"{number}_ann_{number}.wav": bytes([number]) * 5_000 for number in range(6)}
"""What is in a good archive, by its name."""
_LINES = "".join(f"{hashlib.sha256(FILES[name]).hexdigest()}  {name}\n" for name in sorted(FILES))
ARCHIVE = Archive(
    name="sounds.zip",
    addresses=(),
    size=2_000,
    folder="sounds",
    pattern=r"[0-9]_[a-z]+_[0-9]+\.wav",
    count=len(FILES),
    unpacked=sum(map(len, FILES.values())),
    algorithm="sha256",
    digest=hashlib.sha256(_LINES.encode()).hexdigest(),
)


def _seeds() -> Sequence[bytes]:
    members = [(f"top/sounds/{name}", content) for name, content in FILES.items()]
    more = [("top/README", b"so"), ("top/sounds/", b""), ("../../x", b"x")]
    return [zipped(members), zipped([*more, *members]), zipped(more)]


def _unpack(content: bytes, folder: Path) -> None:
    packed, inside = folder / "sounds.zip", folder / "in"
    packed.write_bytes(content)
    inside.mkdir()
    try:
        unpack(packed, ARCHIVE, inside)
    except UnpackError as error:  # which fetching tells as a `DataError`
        readable(error)
        require(not any(inside.iterdir()), "something is left of an archive that was refused")
        return
    require(has_files(inside / "sounds", ARCHIVE), "there are no files")
    held = {path.name: path.read_bytes() for path in (inside / "sounds").iterdir()}
    require(held == FILES, "other files were unpacked")
    require(sorted(each.name for each in folder.iterdir()) == ["in"], "files lie elsewhere")


_MOST = 2**22  # bytes of a member: one that grows again and again would take all memory


def _inside(name: str, content: bytes, changes: Changes) -> bytes:  # noqa: ARG001 - as asked
    if changes.one_in(2):
        return changes.raw(content)
    return (content[:_MOST] * changes.random.choice((2, 99)))[:_MOST]


TARGETS = (
    Target(
        "archive",
        "archives of public data sets",
        _seeds,
        _unpack,
        lambda content, changes: zip_changed(content, changes, _inside),
    ),
)
