"""Files are written whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcnn.files import (
    json_text,
    open_ordinary,
    read_json,
    read_whole,
    table_text,
    write_bytes,
    write_text,
    write_whole,
)


@pytest.fixture
def mask() -> Iterator[None]:
    """Let the group write, and others do nothing, while a test runs."""
    before = os.umask(0o007)
    yield
    os.umask(before)


def test_a_file_has_what_was_written(tmp_path: Path) -> None:
    """Content replaces content, and nothing else is left in the folder."""
    path = tmp_path / "result.json"

    write_text(path, "Größe\n")
    write_bytes(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_written_as_utf_8_as_it_is(tmp_path: Path) -> None:
    """Line ends stay; half a surrogate pair, which UTF-8 cannot hold, becomes an escape."""
    write_text(tmp_path / "text", "a\r\nß\udcff")

    assert (tmp_path / "text").read_bytes() == "a\r\nß\\udcff".encode()


def test_a_failure_leaves_the_old_content_and_no_rubbish(tmp_path: Path) -> None:
    """An error half-way changes nothing."""
    path = tmp_path / "result"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with write_whole(path) as file:
            file.write(b"half of the new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_replaced_unless_that_is_allowed(tmp_path: Path) -> None:
    """Neither a file nor a link; what is new is written as ever."""
    path, link = tmp_path / "result", tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")

    write_bytes(path, b"new", replace=False)

    for taken in (path, link):
        with pytest.raises(FileExistsError, match="it exists already"):
            write_text(taken, "other", replace=False)
    assert path.read_bytes() == b"new"
    assert {each.name for each in tmp_path.iterdir()} == {"result", "link"}


@pytest.mark.parametrize("has_links", [True, False])
def test_what_comes_in_between_is_not_replaced_either(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the drive knows links or not."""

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def write() -> None:
        with write_whole(path, replace=False) as file:
            file.write(b"ours")
            path.write_bytes(b"theirs")

    path = tmp_path / "result"
    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
        write_bytes(tmp_path / "new", b"whole", replace=False)
        assert (tmp_path / "new").read_bytes() == b"whole"
        (tmp_path / "new").unlink()

    with pytest.raises(FileExistsError):
        write()
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_the_old_content(tmp_path: Path) -> None:
    """Nobody ever sees half a file under the right name."""
    path = tmp_path / "result"
    path.write_bytes(b"old")
    program = (
        "import pathlib, sys, time\n"
        "from gridcnn.files import written_whole\n"
        "with written_whole(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'new' * 100_000)\n"
        "    file.flush()\n"
        "    print('half', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)

    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.usefixtures("mask")
def test_files_have_the_permissions_that_the_user_wants(tmp_path: Path) -> None:
    """The process's mask applies, as it does to any new file."""
    write_text(tmp_path / "result", "content")

    assert stat.S_IMODE((tmp_path / "result").stat().st_mode) == 0o660


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    """The temporary name is no longer than a file system allows."""
    path = tmp_path / ("n" * 250)

    write_text(path, "content")

    assert path.read_text() == "content"


def test_a_folder_that_cannot_be_written_to_is_an_os_error(tmp_path: Path) -> None:
    """A missing folder, a file in its place and a folder in the file's place are told as such."""
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()

    for path in (tmp_path / "none" / "x", tmp_path / "file" / "x", tmp_path / "folder"):
        with pytest.raises(
            OSError, match=r"No such|Not a directory|[Ii]s a directory|not an ordinary file"
        ):
            write_text(path, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_an_os_error(tmp_path: Path) -> None:
    """Nothing is written, and the old content stays."""
    path = tmp_path / "result"
    path.write_text("old")
    tmp_path.chmod(0o500)

    with pytest.raises(PermissionError):
        write_text(path, "new")
    tmp_path.chmod(0o700)

    assert path.read_text() == "old"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to gets the new content."""
    (tmp_path / "target.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("target.txt")

    write_text(tmp_path / "link.txt", "new")

    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"


def test_what_is_no_ordinary_file_is_kept(tmp_path: Path) -> None:
    """A folder, a pipe or a device is never replaced by a file."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(FileExistsError, match="not an ordinary file"):
        write_text(tmp_path / "folder", "new")
    assert (tmp_path / "folder").is_dir()


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | FINITE | st.text(),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    ),
    st.booleans(),
)
def test_json_reads_back_as_what_was_written(content: Any, plain: bool) -> None:
    """However deep it is, and whatever stands in its texts."""
    assert json.loads(json_text(content, ensure_ascii=plain)) == content


def test_a_list_of_numbers_takes_one_line() -> None:
    """So a matrix looks like one; texts that look like a list stay as they are."""
    content = {"a": [[1, -2], [3.5, 1e-09]], "b": ["[\n 1,\n 2\n]", "[ 1, 2 ]"], "c": []}

    text = json_text(content)

    assert '"a": [\n    [1, -2],\n    [3.5, 1e-09]\n  ]' in text
    assert json.loads(text) == content


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_numbers_that_it_does_not_know(number: float) -> None:
    """Neither when it is written nor when it is read: a figure that does not exist is null."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"loss": [1, number]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": NaN}', "NaN is not finite"),
        (b"[-Infinity]", "-Infinity is not finite"),
        (b"[1e999]", "1e999 is not finite"),
        (b"[" * 100_000, "nested too deeply"),
        (b'"\xff"', "utf-8"),
        (b"{", "Expecting"),
        (b"", "Expecting"),
    ],
)
def test_what_is_no_json_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    """As one kind of error, whatever Python raises."""
    (tmp_path / "file.json").write_bytes(content)

    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "file.json")


def test_no_more_is_read_than_a_file_may_hold(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")

    assert read_whole(tmp_path / "file", most=5) == b"12345"
    with pytest.raises(OSError, match="holds more than 4 bytes"):
        read_whole(tmp_path / "file", most=4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_only_ordinary_files_are_opened(tmp_path: Path) -> None:
    """A pipe would wait for ever, a device has no end; a link leads to what it names."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")

    for name in ("pipe", "zero"):
        with pytest.raises(OSError, match="it is a pipe or a device"):
            open_ordinary(tmp_path / name)
    with pytest.raises(OSError, match="it is a folder"):
        open_ordinary(tmp_path)
    with open_ordinary(tmp_path / "link") as file:
        assert file.read() == b"text"


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
def test_rows_read_back_whatever_their_cells_hold(rows: list[list[str]]) -> None:
    """Carriage returns, quotes, NULs and ends of lines of every kind."""
    text = table_text([["a", "b"], *rows])

    assert list(csv.reader(io.StringIO(text, newline=""))) == [["a", "b"], *rows]


def test_rows_look_as_they_always_did() -> None:
    """Only what needs quotes has them."""
    rows = [["item", 1, None], ["a,b", 0.5, "x\ry"]]

    assert table_text(rows) == 'item,1,\n"a,b","0.5","x\ry"\n'
