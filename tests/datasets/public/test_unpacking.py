"""Archives that are not what they should be: each ends in one line, and leaves nothing behind."""

import io
import shutil
import stat
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets.archives import ARCHIVE, FILES
from gridcnn.datasets.public.unpacking import UnpackError, unpack

TOP = "top/sounds/"

END, LISTED, MEMBER = b"PK\5\6", b"PK\1\2", b"PK\3\4"
"""What the end of the list, an entry of it, and a member begin with."""


def zipped(
    files: dict[str, bytes],
    *,
    kind: int = zipfile.ZIP_DEFLATED,
    more: dict[str, bytes] | None = None,
) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind) as file:
        for name, each in files.items():
            file.writestr(TOP + name, each)
        for name, each in (more or {}).items():
            file.writestr(name, each)
    return content.getvalue()


GOOD = zipped(FILES)


def changed(content: bytes, head: bytes, at: int, value: bytes, *, which: int = 0) -> bytes:
    """Return an archive with other bytes at a place of one of its heads."""
    place = -1
    for _ in range(which + 1):
        place = content.index(head, place + 1)
    place += at
    return content[:place] + value + content[place + len(value) :]


def refused(folder: Path, content: bytes) -> str:
    """Return why an archive is refused; nothing but itself is in the folder afterwards."""
    packed = folder / "in" / "sounds.zip"
    packed.parent.mkdir(exist_ok=True)
    packed.write_bytes(content)
    before = sorted(folder.iterdir())
    with pytest.raises(UnpackError) as caught:
        unpack(packed, ARCHIVE, packed.parent)
    assert list(packed.parent.iterdir()) == [packed]
    assert sorted(folder.iterdir()) == before
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 300
    return text


def taken(folder: Path, content: bytes) -> dict[str, bytes]:
    packed = folder / "in" / "sounds.zip"
    packed.parent.mkdir(exist_ok=True)
    packed.write_bytes(content)
    unpack(packed, ARCHIVE, packed.parent)
    assert [each.name for each in packed.parent.iterdir()] == ["sounds"]
    assert [each.name for each in folder.iterdir()] == ["in"]
    return {each.name: each.read_bytes() for each in (packed.parent / "sounds").iterdir()}


def test_names_that_lead_elsewhere_lead_nowhere(tmp_path: Path) -> None:
    """Whatever else an archive holds is passed over, whatever it is called."""
    names = [
        "../../9_ann_9.wav", "/9_ann_9.wav", TOP + "../9_ann_9.wav", TOP + "a/9_ann_9.wav",
        "C:\\9_ann_9.wav", "top\\sounds\\9_ann_9.wav", TOP + "9_ann_9.wav/", "/", "..",
        "a" * 65_000, TOP + "9_ann_9.wav ", TOP + "9_ANN_9.wav", TOP + "\x1b[31m.wav",
        "\N{SNOWMAN}", TOP + "9_ann_9.wav\n", TOP + "9_änn_9.wav", TOP + "٣_ann_9.wav",
    ]  # fmt: skip

    assert taken(tmp_path, zipped(FILES, more=dict.fromkeys(names, b"outside"))) == FILES


def test_a_link_is_no_file(tmp_path: Path) -> None:
    """What it leads to is the content of a file, which is not the right one."""
    content = io.BytesIO(GOOD)
    with zipfile.ZipFile(content, "a") as file:
        link = zipfile.ZipInfo(TOP + "9_ann_9.wav")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")

    assert "holds 7 files of 'sounds', and should hold 6" in refused(tmp_path, content.getvalue())
    link.filename = TOP + "5_ann_5.wav"
    content = io.BytesIO(zipped(dict(list(FILES.items())[:-1])))
    with zipfile.ZipFile(content, "a") as file:
        file.writestr(link, "/etc/passwd")
    assert "holds unexpected files" in refused(tmp_path, content.getvalue())


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Also where a NUL cuts off what told the two apart."""
    name = next(iter(FILES))
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(FILES, more={TOP + name: b"other"})
    cut = zipped(FILES, more={f"{TOP}{name}Xmore": b"other"}).replace(b"Xmore", b"\0more")

    for content in (twice, cut):
        assert f"holds '{name}' twice" in refused(tmp_path, content)


def test_a_name_that_is_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    files = {**FILES, f"6_{'a' * 60_000}_6.wav": b""}

    assert "a file whose name has 60008 characters" in refused(tmp_path, zipped(files))


def test_names_that_are_not_text_are_told(tmp_path: Path) -> None:
    """Where the archive says that they are UTF-8, and they are not."""
    utf8 = changed(GOOD, LISTED, 8, struct.pack("<H", 0x800))

    refused(tmp_path, changed(utf8, LISTED, 46, b"\xff\xfe"))


@pytest.mark.parametrize("flag", [0x1, 0x41])
def test_encrypted_members_are_refused(tmp_path: Path, flag: int) -> None:
    listed = changed(GOOD, LISTED, 8, struct.pack("<H", flag))

    assert "encrypted" in refused(tmp_path, changed(listed, MEMBER, 6, struct.pack("<H", flag)))


@pytest.mark.parametrize("kind", [1, 9, 12, 14, 93, 98, 99, 65_535])
def test_other_packings_are_refused(tmp_path: Path, kind: int) -> None:
    """Also those that are known to nobody."""
    listed = changed(GOOD, LISTED, 10, struct.pack("<H", kind))

    text = refused(tmp_path, changed(listed, MEMBER, 8, struct.pack("<H", kind)))

    assert "with an unknown compression" in text


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_python_knows_are_refused_too(tmp_path: Path, kind: int) -> None:
    """An archive of LZMA says itself how much memory it takes, up to 4 GB."""
    assert "with an unknown compression" in refused(tmp_path, zipped(FILES, kind=kind))


def test_a_bomb_is_given_up_in_time(tmp_path: Path) -> None:
    """A member of 100 MB in 0.1 MB, which says so or not: neither memory nor disk takes them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(10**6)) for _ in range(100)) + packer.flush()
    made = zipped({**FILES, list(FILES)[-1]: bomb}, kind=zipfile.ZIP_STORED)
    for size in (10**8, 5_000, 2**32 - 2):
        fields = struct.pack("<HHHIII", 8, 0, 33, 0, len(bomb), size)
        packed = changed(made, LISTED, 10, fields, which=5)
        packed = changed(packed, MEMBER, 8, fields, which=5)
        tracemalloc.start()
        try:
            text = refused(tmp_path, packed)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert "holds far more than expected" in text or "Bad CRC" in text
        assert most < 2**24


def test_members_that_share_their_bytes_are_not_all_read(tmp_path: Path) -> None:
    """Each says that its bytes are nearly all of the archive."""
    content = zipped({name: FILES[name] * 200 for name in FILES}, kind=zipfile.ZIP_STORED)
    for number in range(len(FILES)):
        content = changed(content, LISTED, 20, struct.pack("<II", 10**6, 10**6), which=number)
        content = changed(content, LISTED, 42, struct.pack("<I", 0), which=number)
    content = content[: 10**6 + 200] + content[content.index(LISTED) :]
    place = content.index(LISTED)

    text = refused(tmp_path, changed(content, END, 16, struct.pack("<I", place)))

    assert "more compressed bytes than it has" in text or "verlap" in text


def test_a_hundred_thousand_members_take_little_memory(tmp_path: Path) -> None:
    """A list of members that is too long is not read."""
    entry = GOOD[GOOD.index(LISTED) : GOOD.index(LISTED) + 46 + len(TOP) + 11]
    listed = entry * 100_000
    end = GOOD[GOOD.index(END) :]
    content = GOOD[: GOOD.index(LISTED)] + listed
    content += (
        end[:8] + struct.pack("<HHII", 65_535, 65_535, len(listed), GOOD.index(LISTED)) + b"\0\0"
    )

    tracemalloc.start()
    try:
        text = refused(tmp_path, content)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert "its list of files is too long" in text
    assert most < 2**24


def test_many_members_that_are_not_wanted_are_passed_over(tmp_path: Path) -> None:
    more = {f"top/other/{number}.wav": b"" for number in range(20_000)}

    assert taken(tmp_path, zipped(FILES, more=more)) == FILES


@pytest.mark.parametrize("size", [2**16, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("field", [24, 32, 40, 48])
def test_sizes_of_64_bits_that_are_nonsense_are_told(tmp_path: Path, size: int, field: int) -> None:
    """Of the list: how many members, how long, and where."""
    place = GOOD.index(LISTED)
    length = GOOD.index(END) - place
    end64 = bytearray(
        struct.pack(
            "<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, len(FILES), len(FILES), length, place
        )
    )
    end64[field : field + 8] = struct.pack("<Q", size)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, GOOD.index(END), 1)
    end = END + struct.pack("<HHHHIIH", 0, 0, 65_535, 65_535, 2**32 - 1, 2**32 - 1, 0)
    content = GOOD[: GOOD.index(END)] + bytes(end64) + locator + end

    if field in (24, 32):  # how many there are is not looked at: the list itself tells it
        assert taken(tmp_path, content) == FILES
    else:
        refused(tmp_path, content)


@pytest.mark.parametrize("place", [0, 1, 21, 22, 100, len(GOOD) // 2, len(GOOD) - 1])
def test_what_is_cut_off_is_told(tmp_path: Path, place: int) -> None:
    assert "is not a whole zip file" in refused(tmp_path, GOOD[:place])
    refused(tmp_path, GOOD[-place:] if place else b"PK")


FIELDS = {MEMBER: 30, LISTED: 46, END: 22}
NUMBERS = st.sampled_from([0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF])


@given(
    heads=st.lists(
        st.tuples(st.sampled_from(sorted(FIELDS)), st.integers(0, 5), st.integers(4, 45), NUMBERS),
        max_size=3,
    ),
    flips=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=3)), max_size=3),
    cut=st.integers(0, 60),
)
@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_whatever_an_archive_is_it_is_right_or_refused(
    tmp_path: Path,
    heads: list[tuple[bytes, int, int, int]],
    flips: list[tuple[int, bytes]],
    cut: int,
) -> None:
    content = GOOD
    for place, value in flips:
        content = content[:place] + value + content[place + len(value) :]
    for head, which, at, number in heads:
        if content.count(head) > which and at < FIELDS[head]:
            content = changed(content, head, at, struct.pack("<I", number), which=which)
    content = content[: len(content) - cut] if cut > 30 else content
    shutil.rmtree(tmp_path / "in", ignore_errors=True)

    try:
        assert taken(tmp_path, content) == FILES
    except UnpackError:
        refused(tmp_path, content)
