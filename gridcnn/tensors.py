"""Sealed tensor files: safetensors with JSON metadata and a checksum, written whole or not at all.

Reading one runs no code from it. The checksum covers every number and all of the content, so that
a damaged file is noticed even if its form is still right. The same arrays and content give the
same bytes.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridcnn.cores import shortage
from gridcnn.errors import ModelFileError, quoted, shown
from gridcnn.files import write_bytes
from gridcnn.grid import Array

# All of the metadata is under one key: safetensors writes several keys in an order that changes
# from one file to the next.
_KEY = "gridcnn"
_TAKEN = 2
"""How many copies of the numbers are in memory: as they are read, and in one flat vector."""
_PARSED = 30
"""Bytes that a character of JSON becomes at most, about: empty lists take the most."""


def write_tensors(
    path: Path,
    kind: str,
    tensors: Mapping[str, Array],
    content: Mapping[str, Any],
    *,
    replace: bool = True,
) -> None:
    """Write named arrays and JSON `content` to `path`, marked as a file of that `kind`.

    Without `replace`, an existing file is an error.

    Raises:
        OSError: `path` cannot be written to.
    """
    from safetensors.numpy import save

    plain = {name: _plain(array) for name, array in tensors.items()}
    about = {"kind": kind, "sha256": _seal(plain, _text(content)), "content": content}
    write_bytes(path, save(plain, {_KEY: _text(about)}), replace=replace)


def kind_of(path: Path) -> str | None:
    """Return which kind of gridcnn file this says it is; None if it is another file, or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        _size(path, "")
        with safe_open(path, framework="numpy") as file:
            kind = _about((file.metadata() or {}).get(_KEY, ""), path).get("kind")
    except (OSError, SafetensorError, ModelFileError):
        return None
    return kind if isinstance(kind, str) else None


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the content of a file of that `kind`.

    Raises:
        ModelFileError: it is missing, damaged, or not such a file.
    """
    from safetensors import SafetensorError, safe_open

    lacking = shortage(_TAKEN * _size(path, kind))
    if lacking:
        raise ModelFileError(f"{path} cannot be read: {lacking}")
    try:
        with safe_open(path, framework="numpy") as file:
            about = _about((file.metadata() or {}).get(_KEY, ""), path)
            if about.get("kind") != kind:
                other_kind = about.get("kind")
                whose = (
                    f"a gridcnn file of the kind {shown(other_kind)}"
                    if other_kind
                    else "not a gridcnn file"
                )
                raise ModelFileError(f"{path} is {whose}; a gridcnn {kind} file was expected")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from None
    except (SafetensorError, TypeError, ValueError, LookupError, AttributeError) as error:
        # All but the first are about types of numbers that NumPy does not have.
        if isinstance(error, ModelFileError):
            raise
        reason = quoted(str(error), limit=120)[1:-1]
        raise ModelFileError(
            f"{path} is damaged, or not a gridcnn {kind} file ({reason}); {_remedy(kind)}"
        ) from None
    content = about.get("content")
    if not isinstance(content, dict) or about.get("sha256") != _seal(tensors, _text(content)):
        raise ModelFileError(f"{path} is damaged: its checksum is wrong; {_remedy(kind)}")
    return tensors, content


def _size(path: Path, kind: str) -> int:
    """Return the size of a file; raise for a pipe, which could be waited for without end."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = getattr(error, "strerror", None) or error
        what = "does not exist" if is_missing else f"cannot be read: {reason}"
        raise ModelFileError(f"{path} {what}; a gridcnn {kind} file was expected") from None
    if not stat.S_ISREG(status.st_mode):
        what = "is a folder" if stat.S_ISDIR(status.st_mode) else "is not an ordinary file"
        raise ModelFileError(f"{path} {what}; a gridcnn {kind} file was expected")
    return status.st_size


def _about(text: str, path: Path) -> dict[str, Any]:
    """Return the metadata of a gridcnn file; an empty mapping if it is not as gridcnn writes it."""
    reason = shortage(_PARSED * len(text))
    if reason:
        raise ModelFileError(f"{path} cannot be read: {reason}")
    try:
        about = json.loads(text)
        return about if isinstance(about, dict) and _text(about) == text else {}
    except (ValueError, RecursionError):
        return {}


def _text(content: Any) -> str:
    return json.dumps(content, allow_nan=False)


def _plain(array: Array) -> Array:
    """Return an array as it lies in the file: in C order, the lowest byte first."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _seal(tensors: Mapping[str, Array], text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8"))
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name}:{array.dtype}:{array.shape}".encode())
        # As bytes, but without a copy of them: what is sealed may be large.
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _remedy(kind: str) -> str:
    return "delete it to start over" if kind == "checkpoint" else "use another copy"
