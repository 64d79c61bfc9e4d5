"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside `path` for writing, and give it that name once all of it is on disk.

    Whoever opens `path` sees what it held before or all of what it holds afterwards, even when
    the process is killed half-way.

    Raises:
        OSError: the folder cannot be written to.
    """
    # Opened by name, and not by `tempfile`, so that the file gets the usual permissions.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


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
