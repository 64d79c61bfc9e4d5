import contextlib
import hashlib
import http.server
import io
import os
import shutil
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import platformdirs
import pytest

from gridcnn.datasets.public import downloading, fetching
from gridcnn.datasets.public.catalogue import Archive, File
from gridcnn.datasets.public.fetching import FetchError, fetch
from gridcnn.progress import Progress

CONTENT = np.random.default_rng(0).bytes(400_000)


@dataclass
class Place:
    """What the server does when an address is asked for; lists are used up, one for each request.

    `cuts` are after how many bytes the connection breaks, `statuses` are answered instead, and
    nothing is answered before `wait`.
    """

    content: bytes = CONTENT
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    silent: bool = False
    to: str = ""
    shift: int = 0
    wait: threading.Event | None = None


@dataclass
class Server:
    root: str
    places: dict[str, Place] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, place: Place) -> str:
        self.places[f"/{name}"] = place
        return f"{self.root}/{name}"


@pytest.fixture
def server(direct: None) -> Iterator[Server]:
    """Return a server on this machine; no proxy stands before it, and nobody waits long for it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            known.asked.append((self.path, wanted))
            place = known.places.get(self.path)
            if place is not None and place.wait is not None:
                place.wait.wait(60)
            status = place.statuses.pop(0) if place and place.statuses else 200
            if place is None or status != 200:
                self.send_response(404 if place is None else status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif place.to:
                self.send_response(302)
                self.send_header("Location", place.to)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._send(place, wanted)

        def _send(self, place: Place, wanted: str | None) -> None:
            start = int(wanted[6:-1]) if wanted and place.ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(place.content) - start))
            if start:
                whole = len(place.content)
                first = start + place.shift
                self.send_header("Content-Range", f"bytes {first}-{whole - 1}/{whole}")
            self.end_headers()
            if place.silent:
                self.wfile.flush()
                known.release.wait(20)
                return
            end = start + place.cuts.pop(0) if place.cuts else len(place.content)
            with contextlib.suppress(ConnectionError):  # who asked may have left
                self.wfile.write(place.content[start:end])

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        known = Server(f"http://127.0.0.1:{served.server_address[1]}")
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield known
        known.release.set()
        served.shutdown()
        thread.join()


def file_at(*addresses: str, content: bytes = CONTENT) -> File:
    return File("data.bin", addresses, len(content), hashlib.sha256(content).hexdigest())


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_file_comes_whole_and_is_told_of(server: Server, tmp_path: Path) -> None:
    """Into a folder that is made for it, with nothing beside it; a second time nothing is asked."""
    file = file_at(server.add("a", Place()))
    told: list[Progress] = []

    with fetching.reporting(told.append):
        fetch((file,), tmp_path / "new" / "folder")
    fetch((file,), tmp_path / "new" / "folder")

    assert (tmp_path / "new" / "folder" / "data.bin").read_bytes() == CONTENT
    assert names(tmp_path / "new" / "folder") == ["data.bin"]
    assert server.asked == [("/a", None)]
    assert told[-1] == Progress("fetching data.bin", len(CONTENT), len(CONTENT), "bytes")
    assert [each.done for each in told] == sorted(each.done for each in told)


def test_a_file_has_the_usual_permissions(server: Server, tmp_path: Path) -> None:
    fetch((file_at(server.add("a", Place())),), tmp_path / "to")
    (tmp_path / "usual").touch()

    assert (tmp_path / "to" / "data.bin").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    address = server.add("a", Place(cuts=[200_000, 100_000]))

    fetch((file_at(address),), tmp_path)

    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    ranges = [wanted for _, wanted in server.asked]
    assert ranges[0] is None
    starts = [int(wanted[6:-1]) for wanted in ranges[1:] if wanted]
    assert len(starts) == 2
    assert 100_000 < starts[0] <= 200_000 < starts[1] <= 300_000


def test_attempts_that_bring_much_are_not_counted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here six of them break off; where each brings little, the fourth is the last."""
    file = file_at(server.add("a", Place(cuts=[66_000] * 6)))
    with pytest.raises(FetchError, match="4 times"):
        fetch((file,), tmp_path / "few")

    server.add("a", Place(cuts=[66_000] * 6))
    monkeypatch.setattr(fetching, "WORTH", 60_000)
    fetch((file,), tmp_path / "many")

    assert (tmp_path / "many" / "data.bin").read_bytes() == CONTENT


def test_what_has_come_stays_for_the_next_time(server: Server, tmp_path: Path) -> None:
    """Where the server breaks off every time; the file has no name until it is whole."""
    place = Place(cuts=[150_000, 1, 1, 1])
    address = server.add("a", place)

    with pytest.raises(FetchError, match=r"127\.0\.0\.1:\d+ broke off .*, 4 times"):
        fetch((file_at(address),), tmp_path)
    assert names(tmp_path) == ["data.bin.part"]
    had = (tmp_path / "data.bin.part").read_bytes()
    assert had == CONTENT[: len(had)]
    assert len(had) > 100_000

    fetch((file_at(address),), tmp_path)

    assert server.asked[-1] == ("/a", f"bytes={len(had)}-")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_user_who_stops_it_loses_nothing(server: Server, tmp_path: Path) -> None:
    file = file_at(server.add("a", Place()))

    def stop(progress: Progress) -> None:
        if progress.done > 200_000:
            raise KeyboardInterrupt

    with fetching.reporting(stop), pytest.raises(KeyboardInterrupt):
        fetch((file,), tmp_path)
    size = (tmp_path / "data.bin.part").stat().st_size
    fetch((file,), tmp_path)

    assert size > 200_000
    assert server.asked[-1] == ("/a", f"bytes={size}-")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_part_that_is_whole_is_not_asked_for(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT)

    fetch((file_at(server.add("a", Place())),), tmp_path)

    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize(
    "place",
    [Place(ranges=False), Place(statuses=[416]), Place(shift=7), Place()],
    ids=["no ranges", "416", "another range", "too long"],
)
def test_a_part_of_no_use_is_begun_anew(server: Server, tmp_path: Path, place: Place) -> None:
    """Where the server sends all, nothing or another part, or there is more than there can be."""
    extra = b"more" if place == Place() else b""
    start = CONTENT if extra else CONTENT[:1000]
    (tmp_path / "data.bin.part").write_bytes(start + extra)

    fetch((file_at(server.add("a", place)),), tmp_path)

    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_wrong_file_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    """With what was expected, what came and from where."""
    other = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    file = file_at(server.add("a", Place(content=other)))

    with pytest.raises(FetchError) as caught:
        fetch((file,), tmp_path)

    for words in (file.addresses[0], file.sha256, hashlib.sha256(other).hexdigest(), "400000"):
        assert words in str(caught.value)
    assert names(tmp_path) == []


def test_a_wrong_beginning_is_found_out(server: Server, tmp_path: Path) -> None:
    """A part that is no beginning of the file goes, and the next time all of it comes."""
    (tmp_path / "data.bin.part").write_bytes(b"x" * 1000)
    file = file_at(server.add("a", Place()))

    with pytest.raises(FetchError, match="is another file"):
        fetch((file,), tmp_path)
    fetch((file,), tmp_path)

    assert (tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("length", [0, 10, 399_999])
def test_a_file_cut_short_at_its_source_is_refused(
    server: Server, tmp_path: Path, length: int
) -> None:
    file = file_at(server.add("a", Place(content=CONTENT[:length])))

    with pytest.raises(FetchError, match=f"it has {length} bytes of SHA-256"):
        fetch((file,), tmp_path)


def test_more_than_there_should_be_is_not_taken(server: Server, tmp_path: Path) -> None:
    file = file_at(server.add("a", Place(content=CONTENT * 3)))

    with pytest.raises(FetchError, match=r"is longer than the 400000 bytes that the file has"):
        fetch((file,), tmp_path)
    assert names(tmp_path) == []


def test_a_server_that_falls_silent_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "READ_TIMEOUT", 0.05)
    file = file_at(server.add("a", Place(silent=True)))

    with pytest.raises(FetchError, match=r"broke off \(nothing arrived for 0\.05 s\), 4 times"):
        fetch((file,), tmp_path)
    for _ in range(6000):  # the server may come to its turn later than that
        if len(server.asked) == 4:
            break
        time.sleep(0.01)
    assert len(server.asked) == 4


def test_a_server_that_never_answers_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection, and says nothing."""
    monkeypatch.setattr(downloading, "READ_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        file = file_at(f"http://127.0.0.1:{deaf.getsockname()[1]}/a")
        with pytest.raises(FetchError, match=r"nothing arrived for 0\.05 s\), 4 times"):
            fetch((file,), tmp_path)


def test_what_is_not_there_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    """A folder that nothing came into does not stay."""
    address = f"{server.root}/missing"

    with pytest.raises(FetchError, match=f"answers 404 Not Found for {address}"):
        fetch((file_at(address),), tmp_path / "new")
    assert server.asked == [("/missing", None)]
    assert not (tmp_path / "new").exists()


def test_a_server_in_trouble_is_asked_again(server: Server, tmp_path: Path) -> None:
    fetch((file_at(server.add("a", Place(statuses=[503, 429, 500]))),), tmp_path)

    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    with pytest.raises(FetchError, match="answers 503 Service Unavailable, 4 times"):
        fetch((file_at(server.add("b", Place(statuses=[503] * 4))),), tmp_path / "b")


def test_redirects_are_followed_but_not_without_end(server: Server, tmp_path: Path) -> None:
    server.add("end", Place())
    fetch((file_at(server.add("a", Place(to="/end"))),), tmp_path)

    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    with pytest.raises(FetchError, match="redirects from one address to the next without end"):
        fetch((file_at(server.add("loop", Place(to="/loop"))),), tmp_path / "loop")


def test_the_next_address_is_tried(server: Server, tmp_path: Path) -> None:
    """All reasons are told where none works."""
    good, wrong = server.add("good", Place()), server.add("wrong", Place(content=b"no"))
    missing = f"{server.root}/missing"

    fetch((file_at(missing, wrong, good),), tmp_path)

    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    with pytest.raises(FetchError, match=r"404 Not Found.*; what came from .*wrong is another"):
        fetch((file_at(missing, wrong),), tmp_path / "b")


def test_a_machine_without_a_network_is_told(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(FetchError, match=rf"127\.0\.0\.1:{port} cannot be reached \(.*refused"):
        fetch((file_at(f"http://127.0.0.1:{port}/a"),), tmp_path)
    with pytest.raises(FetchError, match="cannot be reached"):
        fetch((file_at("gopher://127.0.0.1/a"),), tmp_path)


def test_the_proxy_of_the_environment_is_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.root)
    server.places["http://data.invalid/a"] = Place()

    fetch((file_at("http://data.invalid/a"),), tmp_path)

    assert server.asked == [("http://data.invalid/a", None)]


def test_a_full_disk_is_told_before_anything_comes(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))

    with pytest.raises(FetchError, match=r"has 1\.0 MB free, and 400\.0 kB are needed"):
        fetch((file_at(server.add("a", Place())),), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("value", ["1", "yes", "on"])
def test_fetching_can_be_forbidden(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("GRIDCNN_OFFLINE", value)

    with pytest.raises(FetchError, match="GRIDCNN_OFFLINE forbids"):
        fetch((file_at(server.add("a", Place())),), tmp_path)
    monkeypatch.setenv("GRIDCNN_OFFLINE", "0")
    fetch((file_at(server.add("a", Place())),), tmp_path)
    assert len(server.asked) == 1


def tried_at_once(count: int, file: File, folder: Path) -> list[BaseException]:
    """Fetch a file in that many threads at once; return the errors of those that failed."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            fetch((file,), folder)
        except BaseException as error:  # so that the test fails, and not a thread alone
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_two_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    """The second waits for the first, and finds all there."""
    file = file_at(server.add("a", Place()))

    assert tried_at_once(4, file, tmp_path / "to") == []

    assert len(server.asked) == 1
    assert names(tmp_path / "to") == ["data.bin"]


def test_those_who_wait_go_on_alone_where_the_first_fails(server: Server, tmp_path: Path) -> None:
    """Each tries in its turn, and the one that gets all leaves nothing for the others to do."""
    file = file_at(server.add("a", Place(statuses=[404, 404])))

    errors = tried_at_once(5, file, tmp_path / "new")

    assert [type(error) for error in errors] == [FetchError, FetchError]
    assert len(server.asked) == 3
    assert names(tmp_path / "new") == ["data.bin"]
    assert names(tmp_path) == ["new"]


def test_where_all_who_wait_fail_nothing_stays(server: Server, tmp_path: Path) -> None:
    """Each finds the folder gone that the one before it has made, and says why it failed itself."""
    file = file_at(f"{server.root}/missing")

    for _ in range(20):
        errors = tried_at_once(4, file, tmp_path / "new")
        assert [type(error) for error in errors] == [FetchError] * 4
        assert names(tmp_path) == []


def test_a_folder_that_is_removed_meanwhile_is_made_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second opens its lock just when the first has failed, and has taken the folder away."""
    open_file, waits = Path.open, threading.Event()
    errors: list[BaseException] = []
    file = file_at(server.add("a", Place(statuses=[404], wait=waits)))

    def open_late(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name.endswith(".lock") and threading.current_thread() is second:
            waits.set()
            first.join(60)
        return open_file(path, *args, **kwargs)

    def work() -> None:
        try:
            fetch((file,), tmp_path / "new")
        except BaseException as error:
            errors.append(error)

    monkeypatch.setattr(Path, "open", open_late)
    first, second = threading.Thread(target=work), threading.Thread(target=work)
    first.start()
    while not server.asked:
        assert first.is_alive()
    second.start()
    first.join()
    second.join()

    assert [type(error) for error in errors] == [FetchError]
    assert names(tmp_path / "new") == ["data.bin"]


def test_the_lock_lies_in_a_folder_that_cannot_be_removed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that others have made for the user, in a folder that only they may change."""
    (tmp_path / "made").mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and access(path, mode))
    present: list[list[str]] = []

    with fetching.reporting(lambda *_: present.append(names(tmp_path / "made"))):
        fetch((file_at(server.add("a", Place())),), tmp_path / "made")

    assert present[0] == [".lock", "data.bin.part"]
    assert names(tmp_path / "made") == ["data.bin"]
    assert names(tmp_path) == ["made"]


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRIDCNN_OFFLINE")
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        fetch((file_at("http://127.0.0.1:1/a"),), tmp_path / "file" / "below")


def test_where_fetched_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder for caches, or the one that GRIDCNN_CACHE names; nowhere where that is off."""
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "mine"))
    assert fetching.data_folder() == tmp_path / "mine" / "data"
    monkeypatch.setenv("GRIDCNN_CACHE", "off")
    assert fetching.data_folder() is None
    monkeypatch.delenv("GRIDCNN_CACHE")
    usual = tmp_path / "home" / ".cache" / "gridcnn"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: usual)
    assert fetching.data_folder() is None, "a home that does not exist is not to be made"
    (tmp_path / "home").mkdir()
    assert fetching.data_folder() == usual / "data"


# Archives

FILES = {f"{number}_anna_{number}.wav": bytes([number]) * 50_000 for number in range(10)}


class Zip(NamedTuple):
    archive: Archive
    content: bytes


def zipped(files: dict[str, bytes], *, stored: bool = True) -> bytes:
    content = io.BytesIO()
    kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(content, "w", kind) as file:
        for name, each in files.items():
            file.writestr(name, each)
    return content.getvalue()


@pytest.fixture
def made() -> Zip:
    lines = "".join(f"{hashlib.sha256(FILES[n]).hexdigest()}  {n}\n" for n in sorted(FILES))
    inside = {
        "top-1/": b"",
        "top-1/README.md": b"read",
        "top-1/sounds/notes.txt": b"no sound",
        "top-1/other/0_anna_0.wav": b"another",
        **{f"top-1/sounds/{name}": content for name, content in FILES.items()},
        "top-1/sounds/../../9_anna_99.wav": b"outside",
        "/top-1/sounds/8_anna_99.wav": b"outside",
    }
    content = zipped(inside)
    archive = Archive(
        name="sounds.zip",
        addresses=(),
        size=len(content),
        folder="sounds",
        pattern=r"[0-9]_[a-z]+_[0-9]+\.wav",
        count=10,
        unpacked=500_000,
        algorithm="sha256",
        digest=hashlib.sha256(lines.encode()).hexdigest(),
    )
    return Zip(archive, content)


def served(made: Zip, server: Server, place: Place) -> Archive:
    return replace(made.archive, addresses=(server.add("zip", place),))


def test_an_archive_gives_the_wanted_files_alone(server: Server, tmp_path: Path, made: Zip) -> None:
    """However it is packed; it goes itself, and nothing lies elsewhere."""
    archive = served(made, server, Place(content=made.content, cuts=[200_000], ranges=False))
    (tmp_path / "to" / ".sounds.left.part").mkdir(parents=True)
    (tmp_path / "to" / "sounds").mkdir()

    fetch(archive, tmp_path / "to")
    fetch(archive, tmp_path / "to")

    found = {file.name: file.read_bytes() for file in (tmp_path / "to" / "sounds").iterdir()}
    assert found == FILES
    assert names(tmp_path / "to") == ["sounds"]
    assert names(tmp_path) == ["to"]
    assert [wanted is None for _, wanted in server.asked] == [True, False]


def _without_one(files: dict[str, bytes]) -> dict[str, bytes]:
    return dict(list(files.items())[1:])


def _with_another(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, "0_anna_0.wav": b"x" * 50_000}


def _large(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, "0_anna_0.wav": b"x" * 2_000_000}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_one, "holds 9 files of 'sounds', and should hold 10"),
        (_with_another, "the SHA-256 of the list of their SHA256 is"),
        (_large, "holds far more than expected"),
    ],
)
def test_an_archive_with_other_files_is_refused(
    server: Server,
    tmp_path: Path,
    made: Zip,
    change: Callable[[dict[str, bytes]], dict[str, bytes]],
    message: str,
) -> None:
    """It is deleted, and nothing of it stays."""
    files = {f"top/sounds/{name}": each for name, each in change(FILES).items()}
    archive = served(made, server, Place(content=zipped(files, stored=False)))

    with pytest.raises(FetchError, match=message) as caught:
        fetch(archive, tmp_path / "to")
    assert archive.addresses[0] in str(caught.value)
    assert not (tmp_path / "to").exists()


def test_a_damaged_archive_is_refused(server: Server, tmp_path: Path, made: Zip) -> None:
    for cut in (b"no archive at all", made.content[:-100], b""):
        archive = served(made, server, Place(content=cut))
        with pytest.raises(FetchError, match="is not a whole zip file"):
            fetch(archive, tmp_path / "to")
    with pytest.raises(FetchError, match=r"is longer than \d+ bytes, twice the size of the file"):
        fetch(served(made, server, Place(content=made.content * 3)), tmp_path / "to")
