"""Sealed tensor files: safetensors with JSON metadata and a checksum, written whole or not at all.

Reading one runs no code from it. The checksum covers every number, so that a damaged file is
noticed even where its form is still right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridcnn.errors import ModelFileError
from gridcnn.files import write_bytes
from gridcnn.grid import Array

_SEAL = "gridcnn.sha256"
_KIND = "gridcnn.kind"
_CONTENT = "gridcnn.content"


def write_tensors(
    path: Path, kind: str, tensors: Mapping[str, Array], content: Mapping[str, Any]
) -> None:
    """Write named arrays and JSON `content` to `path`, marked as a file of that `kind`."""
    from safetensors.numpy import save

    plain = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    metadata = {_KIND: kind, _CONTENT: text, _SEAL: _seal(plain, text)}
    write_bytes(path, save(plain, metadata))


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the content of a file of that `kind`.

    Raises:
        ModelFileError: it is missing, damaged, or no such file.
    """
    from safetensors import SafetensorError, safe_open

    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelFileError(f"{path} {what}; a gridcnn {kind} file was expected")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelFileError(
            f"{path} is damaged, or no gridcnn {kind} file ({error}); take another copy"
        ) from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from None
    found = metadata.get(_KIND)
    if found != kind:
        is_what = f"a gridcnn {found} file" if found else "of another program"
        raise ModelFileError(f"{path} is {is_what}; a gridcnn {kind} file was expected")
    text = metadata.get(_CONTENT, "")
    if metadata.get(_SEAL) != _seal(tensors, text):
        raise ModelFileError(f"{path} is damaged: its checksum is wrong; take another copy")
    content: dict[str, Any] = json.loads(text)
    return tensors, content


def _seal(tensors: Mapping[str, Array], text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8"))
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name}:{array.dtype}:{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
