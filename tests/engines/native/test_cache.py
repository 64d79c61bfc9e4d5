"""The object cache gives back what was put in, whole, from this user alone, or nothing."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import platformdirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn import caches as module
from gridcnn.engines.native import compiler
from gridcnn.engines.native.cache import ObjectCache, key_of, object_cache
from gridcnn.engines.native.processor import processor

KEY, OTHER = key_of("one"), key_of("two")
CONTENT = bytes(range(256)) * 4
SOMEBODY = 54321  # the number of a user and of a group that are not the one who runs the tests

on_disk = settings(deadline=None)  # a disk that others use may be slow
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
as_root = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="root alone may give files away"
)
as_user = pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def cache(folder: Path) -> ObjectCache:
    """Return a cache with one entry."""
    cache = ObjectCache(folder)
    cache.put(KEY, CONTENT)
    assert cache.get(KEY) == CONTENT
    return cache


def entry(cache: ObjectCache, key: str = KEY) -> Path:
    assert cache.folder is not None
    return cache.folder / f"{key}.object"


# Keys


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_keys_are_equal_where_all_parts_are(one: list[str], two: list[str]) -> None:
    """No two lists of parts share a key, however their texts run into each other."""
    assert (key_of(*one) == key_of(*two)) == (one == two)


def test_a_key_takes_any_text() -> None:
    """Even half a surrogate pair, which UTF-8 cannot hold."""
    assert key_of("\udcff") != key_of("\udcfe")
    assert key_of("a", "bc") != key_of("ab", "c")
    assert len(key_of()) == 64


@pytest.mark.parametrize("key", ["", "name", "../" + KEY, KEY + "/x", KEY.upper(), KEY[:-1] + "\n"])
def test_a_key_never_leads_out_of_the_folder(cache: ObjectCache, key: str) -> None:
    """What is no key is the program's mistake."""
    with pytest.raises(ValueError, match="a key is what"):
        cache.get(key)
    with pytest.raises(ValueError, match="a key is what"):
        cache.put(key, CONTENT)


# What goes in comes out


@on_disk
@given(content=st.binary(max_size=3000))
def test_what_was_put_is_got(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Bytes come back as they were, and replace those before them."""
    cache = ObjectCache(tmp_path_factory.getbasetemp() / "same" / "objects")

    cache.put(KEY, content)

    assert cache.get(KEY) == content
    assert ObjectCache(cache.folder).get(KEY) == content


def test_what_was_not_put_is_not_there(cache: ObjectCache, folder: Path) -> None:
    """Nothing is made by asking."""
    assert cache.get(OTHER) is None
    assert ObjectCache(folder / "none").get(KEY) is None
    assert not (folder / "none").exists()


def test_a_cache_can_be_weighed_and_cleared(cache: ObjectCache, folder: Path) -> None:
    """Files that are none of the cache's neither count nor go."""
    (folder / "letter.txt").write_text("from a friend")
    (folder / f".{'0' * 32}.part").write_bytes(b"left behind")
    cache.put(OTHER, b"")

    files = [path for path in folder.iterdir() if path.name != "letter.txt"]
    assert cache.size() == sum(path.stat().st_size for path in files) > len(CONTENT)
    cache.clear()

    assert cache.size() == 0
    assert cache.get(KEY) is None
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_no_folder_is_no_cache() -> None:
    """It takes everything and holds nothing."""
    cache = ObjectCache(None)

    cache.put(KEY, CONTENT)
    cache.clear()

    assert cache.get(KEY) is None
    assert cache.size() == 0


# Damaged and foreign entries


@on_disk
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_out(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    """Be it in what the entry says about itself or in its content."""
    cache = ObjectCache(tmp_path_factory.getbasetemp() / "flipped" / "objects")
    cache.put(KEY, CONTENT)
    damaged = bytearray(entry(cache).read_bytes())
    damaged[place % len(damaged)] ^= 1 << bit
    entry(cache).write_bytes(damaged)

    assert cache.get(KEY) is None
    cache.put(KEY, CONTENT)
    assert cache.get(KEY) == CONTENT


@on_disk
@given(length=st.integers(0, 10**6), more=st.binary(max_size=3))
def test_a_wrong_length_is_found_out(
    tmp_path_factory: pytest.TempPathFactory, length: int, more: bytes
) -> None:
    """An entry that is cut off anywhere, or goes on behind its end, is none."""
    cache = ObjectCache(tmp_path_factory.getbasetemp() / "cut" / "objects")
    cache.put(KEY, CONTENT)
    whole = entry(cache).read_bytes()
    damaged = whole[: length % (len(whole) + 1)] + more
    entry(cache).write_bytes(damaged)

    assert cache.get(KEY) == (CONTENT if damaged == whole else None)


@on_disk
@given(st.binary(max_size=300))
def test_anything_else_is_found_out(
    tmp_path_factory: pytest.TempPathFactory, rubbish: bytes
) -> None:
    """A file of the right name with anything in it is no entry."""
    cache = ObjectCache(tmp_path_factory.getbasetemp() / "rubbish" / "objects")
    cache.put(KEY, CONTENT)
    entry(cache).write_bytes(rubbish)

    assert cache.get(KEY) is None


def test_an_entry_of_another_key_is_foreign(cache: ObjectCache) -> None:
    """A copy under another name is not taken for what was asked for."""
    entry(cache, OTHER).write_bytes(entry(cache).read_bytes())
    entry(cache, OTHER).chmod(0o600)

    assert cache.get(OTHER) is None


def test_an_entry_of_another_form_is_foreign(
    cache: ObjectCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another version of gridcnn has written is made anew."""
    monkeypatch.setattr(module, "_VERSION", module._VERSION + 1)

    assert cache.get(KEY) is None
    cache.put(KEY, CONTENT)
    assert cache.get(KEY) == CONTENT


def test_an_empty_file_and_a_folder_are_no_entries(cache: ObjectCache) -> None:
    """A file is replaced; a folder is none of the cache's, and is kept."""
    entry(cache).write_bytes(b"")
    entry(cache, OTHER).mkdir()

    for key in (KEY, OTHER):
        assert cache.get(key) is None
        cache.put(key, CONTENT)
    cache.clear()

    assert cache.get(KEY) is None
    assert entry(cache, OTHER).is_dir()


# Other users


@posix
def test_entries_are_for_their_user_alone(cache: ObjectCache, folder: Path) -> None:
    """Nobody else may as much as read them, whatever the process's mask."""
    cached = ObjectCache(folder / "deep" / "er")
    before = os.umask(0)
    try:
        cached.put(KEY, CONTENT)
    finally:
        os.umask(before)

    assert cached.get(KEY) == CONTENT
    assert stat.S_IMODE(entry(cached).stat().st_mode) == 0o600
    for each in (folder, folder / "deep", folder / "deep" / "er"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
def test_an_entry_that_others_may_write_is_none(cache: ObjectCache, mode: int) -> None:
    """It is replaced by one that they may not."""
    entry(cache).chmod(mode)

    assert cache.get(KEY) is None
    cache.put(KEY, CONTENT)
    assert cache.get(KEY) == CONTENT


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_write_is_not_used(
    cache: ObjectCache, folder: Path, mode: int
) -> None:
    """Neither for reading nor for writing, sticky or not."""
    folder.chmod(mode)

    assert cache.get(KEY) is None
    cache.put(OTHER, CONTENT)
    assert cache.size() == 0
    cache.clear()
    assert [path.name for path in folder.iterdir()] == [f"{KEY}.object"]


@posix
@pytest.mark.parametrize("mode", [0o702, 0o777])
def test_a_folder_in_one_that_others_may_write_is_not_used(
    cache: ObjectCache, tmp_path: Path, mode: int
) -> None:
    """They could put another in its place, and nothing is made in there either."""
    tmp_path.chmod(mode)
    another = ObjectCache(tmp_path / "a" / "b")

    another.put(KEY, CONTENT)

    assert cache.get(KEY) is None
    assert not (tmp_path / "a").exists()
    tmp_path.chmod(0o1777)  # as /tmp is: each may change only what is their own
    assert cache.get(KEY) == CONTENT


@as_root
def test_an_entry_of_another_user_is_none(cache: ObjectCache) -> None:
    """Truly of another user."""
    os.chown(entry(cache), SOMEBODY, -1)

    assert cache.get(KEY) is None
    cache.put(KEY, CONTENT)
    assert cache.get(KEY) == CONTENT


@as_root
def test_a_folder_of_another_user_is_not_used(cache: ObjectCache, folder: Path) -> None:
    """Nor one that lies in another user's folder."""
    for each in (folder, folder.parent):
        os.chown(each, SOMEBODY, -1)
        assert cache.get(KEY) is None
        cache.put(OTHER, CONTENT)
        os.chown(each, os.geteuid(), -1)
        assert cache.get(OTHER) is None
    assert cache.get(KEY) == CONTENT


@posix
def test_nothing_of_others_is_used(cache: ObjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for whoever is not root: the cache as somebody else sees it."""
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)

    assert cache.get(KEY) is None
    cache.put(OTHER, CONTENT)
    assert cache.size() == 0
    assert not entry(cache, OTHER).exists()


@posix
def test_an_entry_is_checked_where_it_is_read(
    cache: ObjectCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not its name is checked, which may lead elsewhere a moment later, but the open file."""
    true = os.fstat

    def foreign(descriptor: int) -> SimpleNamespace:
        seen = true(descriptor)
        return SimpleNamespace(st_mode=seen.st_mode, st_size=seen.st_size, st_uid=SOMEBODY)

    monkeypatch.setattr(os, "fstat", foreign)

    assert cache.get(KEY) is None


@posix
def test_links_to_entries_are_not_followed(cache: ObjectCache, tmp_path: Path) -> None:
    """Not even to a good entry; it is the link that is replaced, and not what it leads to."""
    entry(cache).rename(tmp_path / "elsewhere")
    entry(cache).symlink_to(tmp_path / "elsewhere")

    assert cache.get(KEY) is None
    cache.put(KEY, b"new")
    assert cache.get(KEY) == b"new"
    assert not entry(cache).is_symlink()
    assert CONTENT in (tmp_path / "elsewhere").read_bytes()


@posix
def test_a_pipe_is_not_waited_for(cache: ObjectCache) -> None:
    """What is not an ordinary file is no entry."""
    entry(cache).unlink()
    os.mkfifo(entry(cache), 0o600)

    assert cache.get(KEY) is None


@posix
def test_a_link_to_the_folder_is_followed_once(tmp_path: Path) -> None:
    """The folder behind it is what is checked and used, wherever the link leads later."""
    (tmp_path / "one").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("one")
    cache = ObjectCache(tmp_path / "link")
    cache.put(KEY, CONTENT)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("nowhere")

    assert cache.get(KEY) == CONTENT
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "one").symlink_to("two")
    assert cache.get(KEY) is None


@posix
@pytest.mark.parametrize("named", [0, 1])
def test_a_group_of_the_user_alone_may_write_where_the_cache_lies(
    cache: ObjectCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: int
) -> None:
    """As many Linux systems have it for `~/.cache`; a second member makes the folder unsafe."""
    tmp_path.chmod(0o770)
    monkeypatch.setattr(module, "_is_own_group", lambda group, user: named == 1)
    monkeypatch.setattr(module, "_has_access_list", lambda folder: False)

    assert cache.get(KEY) == (CONTENT if named else None)
    monkeypatch.setattr(module, "_has_access_list", lambda folder: True)
    assert cache.get(KEY) is None


@posix
@pytest.mark.parametrize(
    ("user", "group", "name", "members", "accounts", "own"),
    [
        (7, 7, "eva", [], [(7, 7)], True),
        (7, 7, "eva", ["eva"], [(7, 7), (8, 8)], True),
        (7, 7, "eva", ["bob"], [(7, 7)], False),
        (7, 7, "staff", [], [(7, 7)], False),
        (7, 9, "eva", [], [(7, 7)], False),
        (7, 7, "eva", [], [(7, 7), (8, 7)], False),
        (0, 0, "eva", [], [(0, 0)], False),
        (6, 7, "eva", [], [(7, 7)], False),
    ],
)
def test_the_group_of_a_user_alone_is_recognized(
    monkeypatch: pytest.MonkeyPatch,
    user: int,
    group: int,
    name: str,
    members: list[str],
    accounts: list[tuple[int, int]],
    own: bool,
) -> None:
    """It has the user's name, is the user's first group and nobody else's. Root has none."""
    grp, pwd = pytest.importorskip("grp"), pytest.importorskip("pwd")
    users = [SimpleNamespace(pw_uid=uid, pw_gid=gid, pw_name="eva") for uid, gid in accounts]
    monkeypatch.setattr(pwd, "getpwuid", {each.pw_uid: each for each in users}.__getitem__)
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(
        grp, "getgrgid", lambda number: SimpleNamespace(gr_name=name, gr_mem=members)
    )

    assert module._is_own_group.__wrapped__(group, user) == own


@pytest.mark.skipif(sys.platform != "linux", reason="access lists are kept elsewhere")
def test_an_access_list_is_seen(cache: ObjectCache, tmp_path: Path) -> None:
    """A list that lets another user write makes even a folder of the user's own group unsafe."""
    user, named, group, mask, others = 0x01, 0x02, 0x04, 0x10, 0x20
    entries = [(user, 7, -1), (named, 7, SOMEBODY), (group, 5, -1), (mask, 7, -1), (others, 5, -1)]
    content = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *each) for each in entries)
    assert not module._has_access_list(tmp_path)
    try:
        os.setxattr(tmp_path, "system.posix_acl_access", content)
    except OSError:
        pytest.skip("this file system has no access lists")

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o775
    assert module._has_access_list(tmp_path)
    assert cache.get(KEY) is None


# Where nothing can be written


@posix
def test_a_file_in_place_of_the_folder_is_no_error(folder: Path) -> None:
    """There is no cache, and the file stays."""
    folder.write_text("old")
    for cache in (ObjectCache(folder), ObjectCache(folder / "deeper")):
        cache.put(KEY, CONTENT)
        cache.clear()
        assert cache.get(KEY) is None
        assert cache.size() == 0

    assert folder.read_text() == "old"


@as_user
def test_a_folder_for_reading_alone_is_read(cache: ObjectCache, folder: Path) -> None:
    """What is there is used, and nothing is put."""
    entry(cache).chmod(0o400)
    folder.chmod(0o500)

    assert cache.get(KEY) == CONTENT
    cache.put(KEY, b"new")
    cache.put(OTHER, CONTENT)
    cache.clear()

    assert cache.get(KEY) == CONTENT
    assert cache.get(OTHER) is None
    folder.chmod(0o700)


@pytest.mark.parametrize("refused", ["open", "utime", "scandir", "mkdir", "replace", "unlink"])
def test_a_system_that_refuses_is_no_error(
    cache: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """A disk may be full or for reading alone: what fails is left out, silently."""

    def no(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, refused, no)
        patch.setattr(Path, refused, no, raising=False)
        assert cache.get(KEY) == (None if refused == "open" else CONTENT)
        cache.put(OTHER, CONTENT)
        ObjectCache(folder / "new").put(KEY, CONTENT)
        cache.size()
        cache.clear()

    cache.put(KEY, CONTENT)
    assert cache.get(KEY) == CONTENT


def test_a_disk_that_gets_full_leaves_nothing(
    cache: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an entry is removed at once, and the one before it stays."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cache.put(KEY, b"new")

    assert [path.name for path in folder.iterdir()] == [f"{KEY}.object"]
    assert cache.get(KEY) == CONTENT


# The limit


def used(cache: ObjectCache, key: str, seconds: int) -> None:
    """Let an entry be last used some seconds after the year 2001 began."""
    moment = (978_307_200 + seconds) * 10**9
    os.utime(entry(cache, key), ns=(moment, moment))


def test_the_entries_unused_for_longest_go_first(folder: Path) -> None:
    """Each put removes just as many as it must, in the order of their last use."""
    keys = [key_of(str(number)) for number in range(10)]
    room = ObjectCache(folder)
    room.put(keys[0], CONTENT)
    cache = ObjectCache(folder, limit=5 * room.size())
    order = [3, 1, 4, 0, 2]
    for number in range(5):
        cache.put(keys[number], CONTENT)
    for moment, number in enumerate(order):
        used(cache, keys[number], moment)

    for step, number in enumerate(range(5, 10)):
        cache.put(keys[number], CONTENT)
        used(cache, keys[number], 100 + step)
        left = [each for each in range(10) if entry(cache, keys[each]).exists()]
        assert left == sorted([*order[step + 1 :], *range(5, number + 1)])
        assert cache.size() <= cache.limit


def test_an_entry_that_is_used_stays(folder: Path) -> None:
    """Getting an entry makes it the last to go."""
    keys = [key_of(str(number)) for number in range(4)]
    cache = ObjectCache(folder, limit=3 * (len(CONTENT) + 100))
    for moment, key in enumerate(keys[:3]):
        cache.put(key, CONTENT)
        used(cache, key, moment)

    assert cache.get(keys[0]) == CONTENT
    cache.put(keys[3], CONTENT)

    assert [cache.get(key) is not None for key in keys] == [True, False, True, True]


def test_a_big_entry_makes_room_or_is_not_kept(cache: ObjectCache, folder: Path) -> None:
    """One that exceeds the limit by itself removes nothing, and is not read either."""
    small = ObjectCache(folder, limit=entry(cache).stat().st_size)

    small.put(OTHER, CONTENT + b"!")
    assert small.get(KEY) == CONTENT
    small.put(OTHER, CONTENT)
    assert small.get(KEY) is None
    assert small.get(OTHER) == CONTENT
    assert ObjectCache(folder, limit=100).get(OTHER) is None


def test_a_new_entry_stays_whatever_the_clock_says(cache: ObjectCache, folder: Path) -> None:
    """Entries from the future, of a clock that was wrong, do not push it out."""
    ahead = time.time_ns() + 10**15
    os.utime(entry(cache), ns=(ahead, ahead))
    small = ObjectCache(folder, limit=entry(cache).stat().st_size)

    small.put(OTHER, CONTENT)

    assert small.get(OTHER) == CONTENT
    assert small.get(KEY) is None


# Several processes


def test_a_process_that_dies_before_the_last_step_leaves_no_entry(folder: Path) -> None:
    """Its half-done file is removed by a later put, but not while somebody may be writing it."""
    program = (
        "import os, pathlib, sys\n"
        "from gridcnn.engines.native.cache import ObjectCache\n"
        "pathlib.Path.replace = lambda *_: os._exit(3)\n"
        "ObjectCache(pathlib.Path(sys.argv[1])).put(sys.argv[2], b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, folder, KEY], check=False)
    assert done.returncode == 3
    cache = ObjectCache(folder)
    (left,) = folder.iterdir()

    assert cache.get(KEY) is None
    cache.put(OTHER, CONTENT)
    assert left.exists()
    long_ago = time.time() - 3700
    os.utime(left, (long_ago, long_ago))
    cache.put(OTHER, CONTENT)
    assert not left.exists()
    assert cache.get(OTHER) == CONTENT


def test_many_processes_use_the_same_entries(folder: Path) -> None:
    """Whoever gets something gets it whole, while others put, remove and push out."""
    program = (
        "import pathlib, random, sys\n"
        "from gridcnn.engines.native.cache import ObjectCache, key_of\n"
        "random.seed(int(sys.argv[2]))\n"
        "cache = ObjectCache(pathlib.Path(sys.argv[1]), limit=250_000)\n"
        "got = 0\n"
        "for step in range(400):\n"
        "    number = random.randrange(8)\n"
        "    key = key_of(str(number))\n"
        "    if random.random() < 0.4:\n"
        "        cache.put(key, bytes([number]) * 50_000)\n"
        "    elif (content := cache.get(key)) is not None:\n"
        "        assert content == bytes([number]) * 50_000\n"
        "        got += 1\n"
        "    if step % 100 == 50:\n"
        "        cache.clear()\n"
        "print(got)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, folder, str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(6)
    ]
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert not errors
        assert int(output) > 0

    cache = ObjectCache(folder, limit=250_000)
    cache.put(KEY, CONTENT)
    assert cache.size() <= 250_000
    assert not list(folder.glob("*.part"))


def test_an_entry_that_vanishes_is_no_error(
    cache: ObjectCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may remove entries between the look at them and any step after it."""
    files = cache._files()
    entry(cache).unlink()
    monkeypatch.setattr(ObjectCache, "_files", lambda self: files)
    small = ObjectCache(cache.folder, limit=len(CONTENT) + 100)

    small.put(OTHER, CONTENT)
    small.clear()

    assert small.get(OTHER) == CONTENT


# The user's cache


def test_the_cache_is_where_the_system_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable `GRIDCNN_CACHE` moves it, relative to the current folder if need be."""
    monkeypatch.delenv("GRIDCNN_CACHE", raising=False)
    usual = tmp_path / "caches" / "gridcnn"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: usual)
    assert object_cache().folder == Path(os.path.realpath(usual / "objects"))

    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "mine"))
    assert object_cache().folder == Path(os.path.realpath(tmp_path / "mine" / "objects"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRIDCNN_CACHE", "near")
    assert object_cache().folder == Path(os.path.realpath(tmp_path / "near" / "objects"))


@pytest.mark.parametrize("word", ["off", "OFF", " off ", "no", "none", "false", "0"])
def test_the_cache_can_be_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """By a word instead of a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRIDCNN_CACHE", word)

    object_cache().put(KEY, CONTENT)

    assert object_cache().folder is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other ways to a home")
@pytest.mark.parametrize("home", ["none", "missing/too"])
def test_without_a_home_there_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """The home of nobody is not made."""
    monkeypatch.delenv("GRIDCNN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / home))

    object_cache().put(KEY, CONTENT)

    assert object_cache().folder is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other ways to a home")
def test_a_home_gets_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all the folders on the way to it."""
    monkeypatch.delenv("GRIDCNN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    object_cache().put(KEY, CONTENT)

    assert object_cache().get(KEY) == CONTENT
    assert list(tmp_path.glob(".cache/gridcnn/objects/*.object"))


def test_an_unknown_home_does_not_lead_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older versions of platformdirs leave the ~ in the path then."""
    monkeypatch.delenv("GRIDCNN_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)
    unknown = Path("~/.cache/gridcnn")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: unknown)

    object_cache().put(KEY, CONTENT)

    assert object_cache().folder is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError, RuntimeError, ValueError])
def test_a_system_without_a_folder_for_caches_has_no_cache(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """However it says so."""

    def no(*_: object, **__: object) -> Path:
        raise error

    monkeypatch.delenv("GRIDCNN_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", no)

    assert object_cache().folder is None


@posix
def test_a_current_folder_that_is_gone_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no relative path from nowhere."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert ObjectCache(Path("objects")).get(KEY) is None


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"\x7fELF", None])
def test_what_is_no_code_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """However well it is sealed: LLVM would end the process."""
    chosen, kept = processor(), ObjectCache(folder)
    monkeypatch.setattr(compiler, "object_cache", lambda: kept)
    text = "define void @f(i8* %x) { ret void }"
    key = compiler.key_for(text, chosen)

    def made() -> bytes:
        code = compiler.compile_program(key, lambda: text, "f", chosen, arguments=1)
        code.call(0)  # while it lives
        found = kept.get(key)
        assert found is not None
        return found

    whole = made()
    kept.put(key, whole[: len(whole) // 2] if content is None else content)
    assert made() == whole
    # Code of something else, which has no such function.
    kept.put(key, compiler.translate("define void @g(i8* %x) { ret void }", chosen))
    assert made() == whole
