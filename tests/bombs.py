"""Files that are small and say, or unpack to, far more than memory holds."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

_BLOCK = 2**24


def npy_header(shape: tuple[int, ...], descr: str = "<u1", *, fortran: bool = False) -> bytes:
    """Return the header of an array, as NumPy writes it."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    body = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body


def deflated(begin: bytes, zeros: int) -> bytes:
    """Return `begin` and so many zeros, deflated; a thousandth of the size, in an instant."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(zeros % _BLOCK)) + packer.flush()
    return packed + block * (zeros // _BLOCK) + rest


def npz(**arrays: Any) -> bytes:
    """Return an archive of arrays of zeros, each given by its header and its number of zeros."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, (header, zeros) in arrays.items():
            archive.writestr(f"{name}.npy", deflated(header, zeros))
    whole = bytearray(content.getvalue())
    for name, (header, zeros) in arrays.items():
        about = struct.pack("<I", checksum(header, zeros)), struct.pack("<I", len(header) + zeros)
        # What stands in the archive is deflated already: say so, before it and in its list.
        for mark, to_packing, to_name in ((b"PK\x03\x04", 8, 30), (b"PK\x01\x02", 10, 46)):
            place = whole.find(mark)
            while not whole.startswith(f"{name}.npy".encode(), place + to_name):
                place = whole.index(mark, place + 4)
            packing = place + to_packing
            whole[packing : packing + 2] = struct.pack("<H", zipfile.ZIP_DEFLATED)
            whole[packing + 6 : packing + 10], whole[packing + 14 : packing + 18] = about
    return bytes(whole)


def idx_gz(code: int, sizes: tuple[int, ...], zeros: int) -> bytes:
    """Return a packed IDX file of zeros."""
    header = bytes([0, 0, code, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)
    end = struct.pack("<II", checksum(header, zeros), len(header) + zeros)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated(header, zeros) + end


def checksum(begin: bytes, zeros: int) -> int:
    """Return the CRC of `begin` and so many zeros; a wrong one where they are far too many."""
    found, block = zlib.crc32(begin), bytes(_BLOCK)
    for start in range(0, zeros if zeros < 2**28 else 0, _BLOCK):
        found = zlib.crc32(block[: zeros - start], found)
    return found


def write(folder: Path) -> None:
    """Write bombs to a folder."""
    gigabytes = 3 * 2**30
    huge = (npy_header((3, 32768, 32768)), gigabytes)
    labels = (npy_header((3,), "<i8"), 24)
    (folder / "one.npz").write_bytes(npz(a=huge))
    (folder / "set.npz").write_bytes(npz(X=huge, y=labels))
    # Each of them would fit.
    half = (npy_header((3, 16384, 16384)), 3 * 2**28)
    (folder / "parts.npz").write_bytes(
        npz(X_train=half, y_train=labels, X_test=half, y_test=labels)
    )
    # Few bytes, but each item and each label becomes an object of Python.
    many = (npy_header((2**25, 1)), 2**25)
    (folder / "views.npz").write_bytes(npz(X=many, y=(npy_header((2**25,)), 2**25)))
    texts = (npy_header((300,), "<U1000000"), 1_200_000_000)
    (folder / "texts.npz").write_bytes(npz(X=(npy_header((300, 2)), 600), y=texts))
    # NumPy reads a header of four gigabytes before it looks at it.
    long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff"
    (folder / "header.npz").write_bytes(npz(a=(long, gigabytes)))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(idx_gz(0x08, (3, 32768, 32768), gigabytes))


def xlsx(path: Path, cells: str) -> None:
    """Write an Excel file with a sheet of the given cells, as they stand in its file."""
    import pandas as pd

    content = io.BytesIO()
    pd.DataFrame({"u": [1]}).to_excel(content, index=False)
    with zipfile.ZipFile(content) as usual, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in usual.namelist():
            text = usual.read(name)
            if name.startswith("xl/worksheets/"):
                begin, _, rest = text.partition(b"<sheetData")
                text = begin + b"<sheetData>" + cells.encode() + b"</sheetData></worksheet>"
                assert rest
            out.writestr(name, text)
