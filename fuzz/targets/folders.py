"""Folders with odd names, links, loops and pipes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from fuzz import bundle
from fuzz.changes import Changes
from fuzz.target import Target, readable, refused, require
from fuzz.targets.tables import check
from gridcnn.adapters.image import ImageAdapter
from gridcnn.contracts.source import Request
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.paths import Files
from gridcnn.datasets.walking import Walk
from gridcnn.errors import DataError, SpecError
from gridcnn.runs.questions import Questions
from gridcnn.runs.starter import starter_for
from gridcnn.spec.load import load

_PICTURE = (
    b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0"
    + bytes(24)
    + b"\xff\x80\0\0"
)
"""A picture of one pixel, as BMP."""
_LINK, _PIPE = b"->", b"|"
_NAMES = (
    "train", "test", "val", "valid", "x", "X", "a.png", "b.BMP", ".hidden", "Thumbs.db", "\udcff",
    "e\u0301", "\u00e9", " ", "a\nb", "\x1b[2J", "-", "~", "fold1", "1-abc.png", "2-def.png", "con",
    "data.csv", "\u202e", "a" * 90, "images", "spec.yaml", "metrics.json",
)  # fmt: skip


def _folder(*names: str, **more: bytes) -> bytes:
    return bundle.packed({**dict.fromkeys(names, _PICTURE), **more})


def _seeds() -> Sequence[bytes]:
    return [
        _folder("x/a.bmp", "x/b.bmp", "o/a.bmp", "o/sub/b.bmp"),
        _folder("train/x/a.bmp", "train/o/b.bmp", "test/x/a.bmp", "test/o/b.bmp"),
        _folder("x/1-abc.bmp", "x/2-def.bmp", "o/1-abc.bmp", "o/2-ghi.bmp", "notes.txt"),
        bundle.packed({"x/a.bmp": _PICTURE, "o/a.bmp": b"->../x", "x/loop": b"->..", "o/p": b"|"}),
        _folder("e\u0301/a.bmp", "\u00e9/a.bmp", "\udcff/a.bmp", ".git/a.bmp", "x/\udcfe.bmp"),
        _folder("x/a.bmp", "o/b.bmp", **{"x/list.csv": b"path,label\na.bmp,x\n"}),
    ]


def _make(content: bytes, folder: Path) -> None:
    """Make files, links and pipes; none of them outside of the folder."""
    root = os.fsencode(folder)
    for name, inside in bundle.parts_of(content).items():
        steps = [step for step in name.split("/") if step not in ("", ".", "..")]
        if not steps:
            continue
        path = os.path.join(root, os.fsencode("/".join(steps[:6])))  # noqa: PTH118 - bytes
        with contextlib.suppress(OSError, ValueError):
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - bytes
            if inside.startswith(_LINK):
                target = inside[len(_LINK) :].lstrip(b"/")
                if target.count(b"..") < len(steps):
                    os.symlink(target, path)  # noqa: PTH211 - bytes
            elif inside == _PIPE and hasattr(os, "mkfifo"):
                os.mkfifo(path)
            else:
                with open(path, "xb") as file:  # noqa: PTH123 - bytes
                    file.write(inside)


def _walk(content: bytes, folder: Path) -> None:
    _make(content, folder)
    adapter = ImageAdapter(size=(4, 4))
    problems = Problems(str(folder))
    with refused(DataError):
        for entry in Walk(str(folder), problems).files():
            require(entry.path.startswith(str(folder)), "a walk leaves its folder")
        problems.stop()
    for folders in ("auto", "classes", "parts"):
        with refused(DataError, SpecError):
            source = Files(path=str(folder), folders=folders)
            dataset = source.open(Request(suffixes=adapter.suffixes))
            check(dataset)
            adapted = adapter.adapt_all(dataset.things[:20], names=dataset.names[:20])
            readable(*adapted.problems)
    with refused(DataError):
        text = starter_for("a name", "spec.yaml", str(folder)).text
        path = folder / "starter.yaml"
        with contextlib.suppress(OSError):
            path.write_text(text, "utf-8", "backslashreplace")
            if "\\udc" not in text:
                load(path)
    with refused(DataError):
        for part in Questions(adapter, None).parts([str(folder)]):
            readable(*part.problems)


def _inside(name: str, content: bytes, changes: Changes) -> bytes:  # noqa: ARG001 - as asked
    choices = (_PIPE, _LINK + b"..", _LINK + b"x", _LINK + b"../x", b"", _PICTURE)
    return changes.raw(content) if changes.one_in(3) else changes.random.choice(choices)


def _renamed(name: str, changes: Changes) -> str:
    steps = name.split("/")
    place = changes.random.randrange(len(steps))
    what = changes.random.randrange(4)
    if what == 0:
        steps.insert(place, changes.random.choice(_NAMES))
    elif what == 1:
        steps[place] = changes.text(steps[place])
    else:
        steps[place] = changes.random.choice(_NAMES)
    return "/".join(steps).encode("utf-8", "replace").decode() if what == 1 else "/".join(steps)


TARGETS = (
    Target(
        "folder",
        "folders of class folders, with links and odd names",
        _seeds,
        _walk,
        lambda content, changes: bundle.changed(content, changes, _inside, names=_renamed),
    ),
)
