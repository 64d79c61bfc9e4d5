"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside `path` for writing, and give it that name once all of it is on disk.

    Whoever opens `path` sees what it held before or all of what it holds afterwards, even when
    the process is killed half-way.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = Path(os.path.realpath(path))  # a link stays, and leads to the new content
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "this is no ordinary file, and is kept", str(path))
    # Opened by name, and not by `tempfile`, so that the file gets the usual permissions.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _replaced(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _replaced(temporary: Path, path: Path) -> None:
    for pause in (0.02, 0.1, 0.5):
        try:
            temporary.replace(path)
        except PermissionError:
            # On Windows whoever has the old file open, such as a virus scanner, holds its name.
            time.sleep(pause)
        else:
            return
    temporary.replace(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with written_whole(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` as UTF-8, whole or not at all.

    What UTF-8 cannot hold (half a surrogate pair, from a file name that is no text) becomes an
    escape: better that than no results at the end of a run.
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


_NUMBERS = re.compile(r"\[\n\s+([-+\d.eE,\s]+?)\n\s*\]")
"""A list of nothing but numbers in indented JSON. No text matches: it holds no ends of lines."""


def json_text(content: Any, *, ensure_ascii: bool = False) -> str:
    """Return `content` as indented JSON, in which a list of numbers takes one line."""
    text = json.dumps(content, indent=2, ensure_ascii=ensure_ascii)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
