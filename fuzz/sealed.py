"""Changes behind checksums: what is inside is changed, and the file sealed again.

Each function takes the content of a file and returns it with changes in it. A file that is not of
that format is changed as plain bytes.
"""

from __future__ import annotations

import ast
import gzip
import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import yaml

from fuzz.changes import LONGEST, Changes
from gridcnn import tensors

_NOT_FINITE = (float("nan"), float("inf"), -1e-9)


def text_changed(content: bytes, changes: Changes) -> bytes:
    """Change a text in UTF-8: its signs, its lines, or its bytes."""
    what = changes.random.randrange(4)
    if what == 0:
        return changes.raw(content)
    text = content.decode("utf-8", "surrogateescape")
    if what == 1:
        lines = text.splitlines(keepends=True) or [""]
        line = changes.random.randrange(len(lines))
        how = changes.random.randrange(4)
        if how == 0:
            lines[line:line] = lines[line : line + 1] * changes.random.choice((1, 2, 300))
        elif how == 1:
            del lines[line]
        else:
            lines[line] = changes.text(lines[line])
        text = "".join(lines)
    else:
        text = changes.text(text)
    return text.encode("utf-8", "surrogatepass" if changes.one_in(2) else "replace")[:LONGEST]


def json_changed(content: bytes, changes: Changes) -> bytes:
    """Change the data in JSON."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return text_changed(content, changes)
    if changes.one_in(12):
        return text_changed(content, changes)
    return json.dumps(changes.data(found, _NOT_FINITE)).encode()


def yaml_changed(content: bytes, changes: Changes) -> bytes:
    """Change the data in YAML, or its text."""
    try:
        found = None if changes.one_in(4) else yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict | list):
        return text_changed(content, changes)
    changed = changes.data(found, _NOT_FINITE)
    if changes.one_in(3):
        return json.dumps(changed).encode()
    return yaml.safe_dump(changed, sort_keys=False).encode("utf-8", "surrogatepass")


def tensors_changed(content: bytes, changes: Changes) -> bytes:
    """Change what is in a sealed file of tensors: its content, its arrays, or its header."""
    from safetensors.numpy import load, save

    try:
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        about = dict(json.loads(header["__metadata__"][tensors._KEY]))
        arrays = load(content)
    except Exception:
        return changes.raw(content)
    what = changes.random.randrange(8)
    if what == 0:
        changed = json.dumps(changes.data(header)).encode()
        return struct.pack("<Q", len(changed)) + changed + content[8 + length :]
    if what == 1:
        about = changes.data(about)
    elif what < 5 and "content" in about:
        about["content"] = changes.data(about["content"])
    else:
        arrays = changes.arrays(arrays)
    try:
        if what > 1 and isinstance(about.get("content"), dict):
            about["sha256"] = tensors._seal(arrays, tensors._text(about["content"]))
        return save(arrays, {tensors._KEY: tensors._text(about)})
    except Exception:  # numbers that JSON has not, names that UTF-8 has not
        return content


def npy_changed(content: bytes, changes: Changes) -> bytes:
    """Change the header of an `.npy` file, which is a Python literal, or its values."""
    if not content.startswith(b"\x93NUMPY") or len(content) < 12 or changes.one_in(6):
        return changes.raw(content)
    length = struct.unpack("<H", content[8:10])[0]
    text, values = content[10 : 10 + length], content[10 + length :]
    if changes.one_in(2):
        return content[: 10 + length] + changes.raw(values)
    try:
        header = ast.literal_eval(text.decode("latin-1"))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return changes.raw(content)
    if isinstance(header, dict) and isinstance(header.get("shape"), tuple) and changes.one_in(2):
        shape = [*header["shape"], changes.random.choice((0, 1, 2, -1, 2**20, 2**31, 2**63))]
        changes.random.shuffle(shape)
        kinds = ("<f4", "|u1", ">i2", "|O", "<U3", "|S0", "<M8[D]", "|V8", "?", "<c8", "<f2", "<U9")
        header = {
            **header,
            "shape": tuple(shape[: changes.random.randint(0, len(shape))]),
            "descr": changes.random.choice(kinds),
        }
        changed = repr(header)
    else:
        changed = changes.text(text.decode("latin-1"))
    raw = changed.encode("latin-1", "replace")[:65_000]
    return content[:8] + struct.pack("<H", len(raw)) + raw + values


def zip_changed(
    content: bytes, changes: Changes, member: Callable[[str, bytes, Changes], bytes]
) -> bytes:
    """Change a member of a zip file, its name or its packing; checksums are right afterwards."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            found = [(info.filename, file.read(info)) for info in file.infolist()]
    except Exception:
        return changes.raw(content)
    if not found or changes.one_in(8):
        return changes.raw(content)
    place = changes.random.randrange(len(found))
    name, inside = found[place]
    what = changes.random.randrange(9)
    if what == 0:
        del found[place]
    elif what == 1:
        found.append((name, inside))
    elif what == 2:
        found[place] = (changes.text(name), inside)
    elif what == 3:
        found[place] = (changes.random.choice(("../x", "/x", "C:\\x", "a/", "")) + name, inside)
    else:
        found[place] = (name, member(name, inside, changes))
    kinds = (zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2)
    return zipped(found, changes.random.choice(kinds))


def zipped(members: list[tuple[str, bytes]], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file; names may be there twice."""
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w", packing) as file:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, inside in members:
            file.writestr(_member(name), inside)
    return written.getvalue()


def _member(name: str) -> str:
    """Return a name that `zipfile` writes."""
    return name.replace("\0", "")[:200].encode("utf-8", "replace").decode() or "x"


def gzip_changed(content: bytes, changes: Changes, inside: Callable[..., bytes]) -> bytes:
    """Change what a gzip file holds."""
    try:
        unpacked = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return changes.raw(content)
    if changes.one_in(8):
        return changes.raw(content)
    return gzip.compress(inside(unpacked, changes), 1, mtime=0)


def png_changed(content: bytes, changes: Changes) -> bytes:
    """Change a chunk of a PNG file, or the pixels in it before they are packed."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or changes.one_in(8):
        return changes.raw(content)
    chunks: list[tuple[bytes, bytes]] = []
    place = 8
    while place + 8 <= len(content) and len(chunks) < 100:
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        chunks.append((kind, content[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks:
        return changes.raw(content)
    at = changes.random.randrange(len(chunks))
    kind, inside = chunks[at]
    what = changes.random.randrange(10)
    if what == 0:
        chunks.insert(changes.random.randrange(len(chunks) + 1), chunks[at])
    elif what == 1:
        del chunks[at]
    elif what == 2:
        more = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"acTL", b"fcTL")
        chunks.insert(at, (changes.random.choice(more), changes.raw(inside)))
    elif kind == b"IDAT" and what < 7:
        try:
            chunks[at] = (kind, zlib.compress(changes.raw(zlib.decompress(inside))))
        except zlib.error:
            chunks[at] = (kind, changes.raw(inside))
    else:
        chunks[at] = (kind, changes.raw(inside))
    return content[:8] + b"".join(
        struct.pack(">I", len(inside))
        + kind
        + inside
        + struct.pack(">I", zlib.crc32(kind + inside))
        for kind, inside in chunks
    )


def _ogg_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_OGG = _ogg_table()


def ogg_changed(content: bytes, changes: Changes) -> bytes:
    """Change an OGG file, and give its pages right checksums again."""
    changed = bytearray(changes.raw(content))
    place = changed.find(b"OggS")
    while 0 <= place <= len(changed) - 27:
        segments = changed[place + 26]
        table = changed[place + 27 : place + 27 + segments]
        end = place + 27 + segments + sum(table)
        if end <= len(changed):
            changed[place + 22 : place + 26] = bytes(4)
            value = 0
            for byte in changed[place:end]:
                value = ((value << 8) & 0xFFFFFFFF) ^ _OGG[(value >> 24) ^ byte]
            changed[place + 22 : place + 26] = struct.pack("<I", value)
        place = changed.find(b"OggS", place + 4)
    return bytes(changed)


def as_json(value: Any) -> bytes:
    """Return plain data as JSON."""
    return json.dumps(value).encode()
