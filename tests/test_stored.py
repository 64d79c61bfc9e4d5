"""Files of arrays: what NumPy wrote comes back, and nothing but `DataError` comes out of others."""

import contextlib
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.datasets.readers import arrays
from gridcnn.errors import DataError
from gridcnn.stored import stored_array


def npy(array: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24, dtype=">i4").reshape(2, 3, 4),
        np.zeros(5, np.bool_),
        np.float32(3.5),
        np.array([["a", "\U0010ffff"], ["", "\0b"]]),
        np.array("a"),
        np.asfortranarray(np.array([["ab", "c"], ["d", "e"]], ">U2")),
        np.array([(1, "ab"), (2, "c")], [("number", "<i4"), ("text", ">U2")]),
    ],
)
def test_what_numpy_wrote_comes_back(tmp_path: Path, array: Any) -> None:
    """As numpy.load reads it, from a path, from text, from bytes, alone and packed."""
    file = tmp_path / "one.npy"
    file.write_bytes(npy(array))
    expected = np.load(file)

    for thing in (file, str(file), file.read_bytes(), npz(only=array)):
        found = stored_array(thing)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.array([{}], object), allow_pickle=True), "holds Python objects"),
        (npz(a=np.array([{}], object)), "holds Python objects"),
        (npy(np.zeros(9))[:-5], "damaged: it says .* 72 bytes, and it has"),
        (npy(np.zeros(9)) + b"x", "damaged: it says .* 72 bytes, and it has"),
        (npz(a=np.zeros(9))[:40], "the file is damaged"),
        (npz(a=1, b=2), r"holds 2 arrays \('a', 'b'\)"),
        (b"PK\x05\x06" + bytes(18), "holds no array"),
        (pickle.dumps([1, 2]), "perhaps a pickle, which is never opened"),
        (b"path,label\n", "not a NumPy file"),
        (b"", "empty"),
        (npy(np.zeros(1)).replace(b"(1,)", b"(9999999999,)"), "damaged|at most"),
    ],
)
def test_what_is_no_array_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    """In one sentence, from bytes and from a file."""
    file = tmp_path / "bad.npy"
    file.write_bytes(content)

    for thing in (content, file):
        with pytest.raises(DataError, match=message) as caught:
            stored_array(thing)
        assert len(caught.value.problems) == 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", [0x110000, 0x80000000, 0xFFFFFFFF])
def test_texts_of_signs_that_are_none_are_damaged(tmp_path: Path, order: str, code: int) -> None:
    """Python makes broken texts of them, or an error of its own; NumPy does not look."""
    codes = np.array([97, code], f"{order}u4")
    texts = codes.view(f"{order}U1")
    records = codes.view([("text", f"{order}U1")])
    many = np.tile(codes, 2**22).view(f"{order}U1")  # which is mapped
    (tmp_path / "many.npy").write_bytes(npy(many))

    for thing in (npy(texts), npz(a=texts), npy(records), tmp_path / "many.npy"):
        with pytest.raises(DataError, match="damaged: it has texts with invalid characters"):
            stored_array(thing)


def test_one_of_several_arrays_can_be_asked_for() -> None:
    content = npz(X=np.arange(3), y=np.zeros(3))

    assert stored_array(content, among=("X", "x")).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="holds 2 arrays"):
        stored_array(content, among=("z",))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([npy(np.arange(6.0).reshape(2, 3)), npz(a=np.arange(6)), npz(a=1, b=2)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
)
def test_damaged_bytes_raise_nothing_but_our_error(
    content: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    """Bytes that were changed or cut are an array, or a `DataError`."""
    damaged = bytearray(content[: max(length, 1)])
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with contextlib.suppress(DataError):
        assert isinstance(stored_array(bytes(damaged)), np.ndarray)


def test_the_array_adapter_learns_from_files_as_from_arrays(tmp_path: Path) -> None:
    """Files, and the arrays in them, give the same adapter and the same grids."""
    random = np.random.default_rng(0)
    arrays = [random.normal(size=(4, 5)) for _ in range(6)]
    files = []
    for index, array in enumerate(arrays):
        file = tmp_path / f"{index}{'.npy' if index % 2 else '.npz'}"
        file.write_bytes(npy(array) if index % 2 else npz(any=array))
        files.append(str(file))

    from_files = ArrayAdapter().fitted(files)

    assert from_files == ArrayAdapter().fitted(np.stack(arrays))
    np.testing.assert_array_equal(
        from_files.grids(files).values, from_files.grids(np.stack(arrays)).values
    )


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """They are passed over in learning, and told by their paths."""
    (tmp_path / "good.npy").write_bytes(npy(np.arange(4.0).reshape(2, 2)))
    (tmp_path / "wide.npy").write_bytes(npy(np.zeros((2, 3))))
    (tmp_path / "text.npy").write_bytes(npy(np.array("text")))
    files = [tmp_path / name for name in ("good.npy", "wide.npy", "text.npy", "none.npy")]

    adapted = ArrayAdapter(size=(2, 2)).fitted(files).adapt_all(files)

    assert adapted.kept.tolist() == [0]
    told = {Path(each.source).name: each.message for each in adapted.problems}
    assert "the item is 1 x 2 x 3" in told["wide.npy"]
    assert "not numbers" in told["text.npy"]
    assert told["none.npy"] == "there is no such file"


# Memory -------------------------------------------------------------------------------------------

within_limits = pytest.mark.skipif(sys.platform != "linux", reason="told by no file elsewhere")

_PRELUDE = """
import resource, sys
from pathlib import Path
import numpy as np
from gridcnn.datasets.readers import arrays, idx
from gridcnn.errors import DataError
from gridcnn.stored import stored_array

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def allow(more):
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize:") + more,) * 2)

folder = Path(sys.argv[1])
"""


def within(program: str, folder: Path) -> str:
    """Run a program in a process of its own, and return what it prints."""
    command = [sys.executable, "-c", _PRELUDE + program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@within_limits
def test_what_does_not_fit_is_refused_before_any_of_it_is_taken(
    tmp_path: Path, bombs: ModuleType
) -> None:
    """Whatever the packing: alone, together, by the objects that come of it, and by its header."""
    bombs.write(tmp_path)

    told = within(
        """
allow(1_000_000_000)
readers = {
    "one.npz": [stored_array, arrays.load, lambda path: stored_array(path.read_bytes())],
    "set.npz": [arrays.read, arrays.load],
    "parts.npz": [arrays.read, arrays.load],
    "views.npz": [arrays.read],
    "texts.npz": [arrays.read],
    "header.npz": [stored_array, arrays.load],
    "t10k-images-idx3-ubyte.gz": [idx.array],
}
before = status("VmHWM:")
for name, tried in readers.items():
    for read in tried:
        try:
            read(folder / name)
        except DataError as error:
            print(name, len(error.problems), error)
        else:
            print(name, "was read")
print("took", status("VmHWM:") - before)
""",
        tmp_path,
    ).splitlines()

    assert len(told) == 13
    for line in told[:-1]:
        words = "the file is damaged" if "header" in line else "of memory are needed, and"
        assert line.split()[1] == "1"
        assert words in line
    assert int(told[-1].split()[1]) < 60_000_000


@within_limits
def test_reading_takes_little_more_than_the_array(tmp_path: Path, bombs: ModuleType) -> None:
    """Packed or not, in either order of axes, and in the other order of bytes."""
    shape, size = (100, 1000, 500), 200_000_000
    X, y = bombs.npy_header(shape, "<f4"), bombs.npy_header((100,), "<i8")
    (tmp_path / "packed.npz").write_bytes(bombs.npz(X=(X, size), y=(y, 800)))
    (tmp_path / "data.gz").write_bytes(bombs.idx_gz(0x0D, shape, size))
    half = np.zeros((50, 1000, 500), np.float32, order="F")
    np.savez(tmp_path / "plain.npz", X=half, y=np.arange(50))

    told = within(
        """
allow(260_000_000)  # the largest is 200 MB
for read, name in ((arrays.read, "packed.npz"), (arrays.read, "plain.npz"), (idx.array, "data.gz")):
    print(len(read(folder / name)))
""",
        tmp_path,
    )

    assert told.split() == ["100", "50", "100"]


@within_limits
def test_a_large_npy_file_is_mapped(tmp_path: Path) -> None:
    """It takes no memory; small ones are read, and what was read can be written to."""
    large = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", "<f4", (100, 1000, 1000))
    large[99, 999, 999] = 7
    large.flush()
    np.save(tmp_path / "small.npy", np.zeros((2, 3)))

    told = within(
        """
resource.setrlimit(resource.RLIMIT_DATA, (status("VmData:") + 100_000_000,) * 2)
array, labels = arrays.load(folder / "large.npy")
again = stored_array(folder / "large.npy")
small = stored_array(folder / "small.npy")
print(array.shape, array[99, 999, 999], labels, again.flags.writeable, small.flags.writeable)
""",
        tmp_path,
    )

    assert told == "(100, 1000, 1000) 7.0 None False True\n"


@pytest.mark.parametrize(
    ("shape", "descr"),
    [
        ((2**63, 0), "<f4"),
        ((2**40, 2**40), "<f4"),
        ((-1, -4), "<f4"),
        ((-1,), "<f4"),
        ((10**12,), "<U0"),
        ((10**12,), "|V0"),
        ((1,) * 100, "<u1"),
        ((4,), "<U1000000000"),
        ((2,), "<f4, (3,)f4"),
        ((2,), "(3,)f4"),
        ((2,), "O"),
        ((2,), "no type"),
    ],
)
def test_headers_that_make_no_sense_are_told(
    bombs: ModuleType, shape: tuple[int, ...], descr: str
) -> None:
    """In one short line, alone and packed, with few values behind them and with none."""
    header = bombs.npy_header(shape, descr)
    for content in (header, header + bytes(8), bombs.npz(a=(header, 0)), bombs.npz(a=(header, 8))):
        with pytest.raises(DataError) as caught:
            stored_array(content)
        assert len(str(caught.value)) < 300


def test_other_packings_than_numpys_are_refused(tmp_path: Path) -> None:
    """Some of them ask for gigabytes before the first byte is unpacked."""
    for packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", packing) as archive:
            archive.writestr("a.npy", npy(np.zeros(3)))
        with pytest.raises(DataError, match="compressed in a way that NumPy never uses"):
            stored_array(content.getvalue())


def test_two_arrays_of_one_name_are_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(3)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", npy(np.zeros(3)))

    with pytest.raises(DataError, match="two arrays in it have the same name"):
        stored_array(content.getvalue())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_a_pipe_or_a_device_is_never_waited_for(tmp_path: Path) -> None:
    """Neither itself nor behind a link."""
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "link.npz").symlink_to("/dev/zero")

    for name in ("pipe.npz", "link.npz"):
        with pytest.raises(DataError, match="it is a pipe or a device"):
            stored_array(tmp_path / name)
        with pytest.raises(DataError, match="it is a pipe or a device"):
            arrays.read(tmp_path / name)
