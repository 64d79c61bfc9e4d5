"""Things become the same grids by threads, from the cache, in memory and on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gridcnn import spreading
from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.decoding import decode_file
from gridcnn.adapters.image import ImageAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import DataError
from gridcnn.evaluation import evaluate
from gridcnn.grid import GridShape, OneHot
from gridcnn.progress import Advance, Progress
from gridcnn.runs import adapting as module
from gridcnn.runs.adapting import Adapting, Parts
from gridcnn.runs.grids_cache import GridsCache
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.runs.run import run
from gridcnn.spec.load import load

BROKEN = (3, 17)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for grids, in which even the quickest are kept."""
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GRIDCNN_CACHE_SIZE", raising=False)
    monkeypatch.setattr(module, "WORTH", 0.0)
    return tmp_path / "cache" / "grids"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of 40 pictures in two class folders, two of them broken."""
    random = np.random.default_rng(0)
    for index in range(40):
        file = tmp_path / "pictures" / "ab"[index % 2] / f"{index:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (9, 7), np.uint8)).save(file)
        if index in BROKEN:
            file.write_bytes(file.read_bytes()[:50])
    return tmp_path / "pictures"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of all pictures that are adapted from now on."""
    things: list[Any] = []
    adapt = ImageAdapter._bytes_or_cells

    def noted(self: ImageAdapter, thing: Any) -> Any:
        things.append(thing)
        return adapt(self, thing)

    monkeypatch.setattr(ImageAdapter, "_bytes_or_cells", noted)
    # Those that are tried first are not what the tests count.
    monkeypatch.setattr(Adapting, "_cost", lambda *_: module._Cost(1.0, 4.0))
    return things


SPEC: dict[str, Any] = {
    "data": {"test": 0.2, "validation": 0.2, "bad_items": "skip"},
    "adapter": {"image": {"size": [6, 5]}},
    "stages": [{"convolution": {"filters": 2}}],
    "head": "voting",
    "training": {"epochs": 1},
}


def prepared(data: Any, spec: dict[str, Any] | None = None, **options: Any) -> Prepared:
    return prepare(locate(load(spec or SPEC), data, Path()), **options)


def assert_same(one: Prepared, other: Prepared) -> None:
    assert one.fingerprint == other.fingerprint
    assert one.skipped == other.skipped
    assert one.spec.adapter == other.spec.adapter
    for name in ("train", "validation", "test"):
        first, second = getattr(one, name), getattr(other, name)
        assert list(first.names) == list(second.names)
        assert type(first.data.grids) is type(second.data.grids)
        np.testing.assert_array_equal(np.asarray(first.data.grids), np.asarray(second.data.grids))
        np.testing.assert_array_equal(first.data.targets, second.data.targets)
    assert one.literal is not None
    assert other.literal is not None
    for before, after in zip(one.literal, other.literal, strict=True):
        np.testing.assert_array_equal(np.asarray(before.grids), np.asarray(after.grids))
        np.testing.assert_array_equal(before.targets, after.targets)


def without_cache(data: Any, spec: dict[str, Any] | None = None) -> Prepared:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRIDCNN_CACHE", "off")
        return prepared(data, spec, threads=1)


def is_writable(prepared: Prepared) -> bool:
    """Return whether grids are in memory: maps of files are for reading alone."""
    grids = prepared.train.data.grids
    assert isinstance(grids, np.ndarray)
    return bool(grids.flags.writeable)


# The same grids by every way


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("in_memory", [2**30, 0])
def test_pictures_are_the_same_by_every_way(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, folder: Path, threads: int, in_memory: int
) -> None:
    """Without the cache, with it for the first and for the second time, in memory and on disk."""
    monkeypatch.setattr(module, "_IN_MEMORY", in_memory)
    monkeypatch.setattr(spreading, "SLOW", 0.0)
    monkeypatch.setattr(spreading, "WORTH", 0.0)
    monkeypatch.setattr(module, "_MOST", 3)  # things in a chunk

    plain = without_cache(str(pictures))
    cold = prepared(str(pictures), threads=threads)
    warm = prepared(str(pictures), threads=threads)

    assert_same(plain, cold)
    assert_same(plain, warm)
    assert [Path(each.source).stem for each in warm.skipped] == [f"{i:02}" for i in BROKEN]
    assert plain.grids == ""
    assert cold.grids.startswith("kept for the next time")
    assert warm.grids.startswith("from the cache")
    assert len(list(folder.glob("*.grids"))) == (1 if in_memory else 3)
    assert is_writable(warm) == bool(in_memory)


def test_long_items_are_never_read_one_by_one(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the sample, whose grids are there, do not make the others look quick."""
    monkeypatch.setenv("GRIDCNN_CACHE", "off")  # with it, broken items are read again, one by one
    adapt, threads = ImageAdapter._bytes_or_cells, set()

    def slow(self: ImageAdapter, thing: Any) -> Any:
        threads.add(threading.current_thread())
        time.sleep(2 * module._LONG)
        return adapt(self, thing)

    monkeypatch.setattr(ImageAdapter, "_bytes_or_cells", slow)
    monkeypatch.setattr(module, "is_heavy", lambda _: True)
    things = [str(place) for place in sorted(pictures.glob("*/*.png"))]
    adapter = ImageAdapter(size=(6, 5))

    parts = Adapting(things, things, threads=2).parts(adapter, {"all": np.arange(len(things))})

    assert len(parts.made["all"].kept) == len(things) - len(BROKEN)
    assert threading.main_thread() not in threads


def test_items_of_the_sample_alone_are_a_part(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to read, and nothing is missing."""
    things = [str(place) for place in sorted(pictures.glob("*/*.png"))][5:8]
    adapter = ImageAdapter(size=(6, 5))
    adapting = Adapting(things, things, threads=2)
    tried = {place: adapter.adapt_all([thing]) for place, thing in enumerate(things)}

    def cost(self: Adapting, *_: Any) -> module._Cost:
        self._tried = tried
        return module._Cost(1.0, 4.0)

    monkeypatch.setattr(Adapting, "_cost", cost)

    parts = adapting.parts(adapter, {"all": np.arange(3), "some": np.array([2, 0])})

    wanted = adapter.adapt_all(things).grids.values
    np.testing.assert_array_equal(np.asarray(parts.made["all"].grids.values), np.asarray(wanted))
    found = np.asarray(parts.made["some"].grids.values)
    np.testing.assert_array_equal(found, np.asarray(wanted)[[2, 0]])


@pytest.mark.parametrize("in_memory", [2**30, 0])
def test_texts_are_the_same_by_every_way(
    monkeypatch: pytest.MonkeyPatch, folder: Path, in_memory: int
) -> None:
    """One-hot grids stay so, and the alphabet that was learned is found again."""
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("abcde "), 12)) + "x" for _ in range(60)]
    data, spec = (texts, [0, 1] * 30), {**SPEC, "adapter": "text"}
    monkeypatch.setattr(module, "_IN_MEMORY", in_memory)

    plain = without_cache(data, spec)
    cold, warm = prepared(data, spec), prepared(data, spec)

    assert_same(plain, cold)
    assert_same(plain, warm)
    assert isinstance(warm.train.data.grids, OneHot)
    assert len(list(folder.glob("*.fitted"))) == 1


def test_what_was_learned_from_sounds_is_learned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run decodes nothing at all, but for the few clips that tell how long it takes."""
    import soundfile

    random = np.random.default_rng(0)
    for index in range(40):
        file = tmp_path / "clips" / "ab"[index % 2] / f"{index}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, random.normal(size=1000 + 20 * index) * 0.1, 16_000)
    spec = {**SPEC, "adapter": {"audio": {"scaling": "band", "trim_db": 30.0}}}

    plain = without_cache(str(tmp_path / "clips"), spec)
    cold = prepared(str(tmp_path / "clips"), spec)
    monkeypatch.setattr(Adapting, "_cost", lambda *_: module._Cost(1.0, 4.0))
    monkeypatch.setattr(AudioAdapter, "_clip", lambda *_: pytest.fail("it decodes"))
    warm = prepared(str(tmp_path / "clips"), spec)

    assert_same(plain, cold)
    assert_same(plain, warm)


def test_a_model_answers_the_same_from_the_cache(pictures: Path, tmp_path: Path) -> None:
    """Evaluation keeps grids, too."""
    model = run(SPEC, data=str(pictures), out=tmp_path / "run").model

    first, second = (evaluate(model, str(pictures), bad_items="skip") for _ in range(2))

    assert first.accuracy == second.accuracy
    assert first.notes == second.notes
    assert "2 of 40 items cannot be read" in second.notes[0]


# What is found again, and what is not


def test_a_second_run_adapts_bad_things_alone(pictures: Path, asked: list[Any]) -> None:
    """However the data is divided, and wherever it has moved."""
    prepared(str(pictures))
    assert len(asked) == 40 + len(BROKEN)
    moved = pictures.rename(pictures.with_name("moved"))
    asked.clear()

    again = prepared(str(moved), {**SPEC, "training": {"epochs": 1, "seed": 7}})

    assert len(asked) == len(BROKEN)
    assert again.grids.startswith("from the cache")


def test_other_content_and_other_settings_are_adapted(pictures: Path, asked: list[Any]) -> None:
    """A file that is written anew is another one, even with the same size and time."""
    prepared(str(pictures))
    file = pictures / "a" / "00.png"
    times = file.stat()
    before = file.read_bytes()
    Image.fromarray(np.full((9, 7), 77, np.uint8)).save(file)
    file.write_bytes(file.read_bytes().ljust(len(before), b"\0"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    asked.clear()

    assert_same(without_cache(str(pictures)), prepared(str(pictures)))
    assert len(asked) > 80
    asked.clear()
    prepared(str(pictures), {**SPEC, "adapter": {"image": {"size": [6, 6]}}})
    assert len(asked) > 40


def test_a_bad_thing_that_was_mended_is_read(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed for want of memory, for example, is asked again, and then kept."""
    adapt = ImageAdapter._bytes_or_cells

    def failing(self: ImageAdapter, thing: Any) -> Any:
        if str(thing).endswith("08.png"):
            raise DataError("there is not enough memory to decode it")
        return adapt(self, thing)

    with monkeypatch.context() as patch:
        patch.setattr(ImageAdapter, "_bytes_or_cells", failing)
        assert len(prepared(str(pictures)).skipped) == len(BROKEN) + 1

    mended = prepared(str(pictures))

    assert_same(without_cache(str(pictures)), mended)
    assert_same(prepared(str(pictures)), mended)


def test_a_damaged_entry_is_made_anew(pictures: Path, folder: Path) -> None:
    """And nobody hears of it."""
    first = prepared(str(pictures))
    (entry,) = folder.glob("*.grids")
    content = bytearray(entry.read_bytes())
    content[5000] ^= 1
    entry.write_bytes(content)

    second = prepared(str(pictures))

    assert_same(first, second)
    assert second.grids.startswith("kept for the next time")
    assert prepared(str(pictures)).grids.startswith("from the cache")


class Counting(Adapter):
    """Squares of one number, which is told by how often it was asked."""

    title: ClassVar[str] = "counting"
    repeatable: ClassVar[bool] = False
    count: ClassVar[int] = 0

    def shape(self) -> GridShape:
        return GridShape(1, 2, 2)

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        type(self).count += 1
        return np.full((1, 2, 2), self.count, np.float32)


def test_what_cannot_be_repeated_is_not_kept(folder: Path) -> None:
    """Grids of an adapter that says so are made each time."""
    things = ["one", "two", "three"]
    for _ in range(2):
        parts = Adapting(things, things).parts(Counting(), {"all": np.arange(3)})

    assert np.asarray(parts.made["all"].grids.values).max() > 6
    assert not folder.exists()


def test_things_without_known_content_are_not_kept(folder: Path) -> None:
    """Lists of numbers are such; they are adapted each time."""
    things = [[[1.0, 2.0], [3.0, 4.0]]] * 3
    adapter = ArrayAdapter(size=(2, 2), channels=1, low=0.0, high=4.0)

    parts = Adapting(things, ["a", "b", "c"]).parts(adapter, {"all": np.arange(3)})

    assert len(parts.made["all"].kept) == 3
    assert not folder.exists()


def test_what_is_quick_is_not_kept(
    folder: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To look for it would take longer."""
    monkeypatch.setattr(module, "WORTH", 1000.0)

    assert prepared(str(pictures)).grids == ""
    assert not folder.exists()


class Loading(Counting):
    """An adapter that takes long at first."""

    repeatable: ClassVar[bool] = True
    started: ClassVar[bool] = False

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        if not self.started:
            time.sleep(0.2)
            type(self).started = True
        return super().adapt(thing)


def test_what_libraries_take_to_load_does_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first run would keep what is quick in all others."""
    monkeypatch.setattr(module, "WORTH", 20.0)  # 100 s, if all took as long as the first

    things = [str(index) for index in range(500)]
    Adapting(things, things).parts(Loading(), {"all": np.arange(500)})

    assert not folder.exists()


# What goes wrong


def full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_folder_that_takes_nothing_costs_time_alone(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is told once, and grids are made in memory."""
    monkeypatch.setattr(GridsCache, "put", full)
    assert prepared(str(pictures)).grids == "not kept for the next time: No space left on device"
    assert_same(without_cache(str(pictures)), prepared(str(pictures)))

    (tmp_path / "file").write_text("in the way")
    monkeypatch.undo()
    monkeypatch.setattr(module, "WORTH", 0.0)
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "file"))
    blocked = prepared(str(pictures))
    assert blocked.grids.startswith("not kept for the next time")


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("GRIDCNN_CACHE", "off", "unset GRIDCNN_CACHE"),
        ("GRIDCNN_CACHE_SIZE", "100", "set GRIDCNN_CACHE_SIZE to more"),
    ],
)
def test_what_fits_nowhere_is_refused(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, advice: str
) -> None:
    """With what to do, before memory runs out."""
    monkeypatch.setattr(module, "usable_memory", lambda: 1000)
    assert not is_writable(prepared(str(pictures)))  # it fits on disk
    monkeypatch.setenv(variable, value)

    with pytest.raises(DataError, match=advice) as caught:
        prepared(str(pictures))
    assert "the grids of 40 items take 4.8 kB, and 1.0 kB of memory are usable here" in str(
        caught.value
    )


# Threads


class Slow(Adapter):
    """A number after a while, which is shorter for later things; every fifth one is bad."""

    title: ClassVar[str] = "slow"
    threads: ClassVar[bool] = True
    repeatable: ClassVar[bool] = False

    def shape(self) -> GridShape:
        return GridShape(1, 1, 2)

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        time.sleep(max(0.001, 0.004 - 0.0001 * thing))
        if thing % 5 == 4:
            raise DataError("bad", "really")
        if thing == 97:
            raise KeyboardInterrupt
        return np.full((1, 1, 2), thing, np.float32)


def slow(count: int, advance: Advance | None = None) -> Parts:
    things = list(range(count))
    adapting = Adapting(things, [f"thing {each}" for each in things], threads=3, advance=advance)
    return adapting.parts(Slow(), {"one": np.arange(0, count, 2), "two": np.arange(1, count, 2)})


@pytest.mark.parametrize("startable", [3, 2, 0])
def test_threads_keep_the_order(monkeypatch: pytest.MonkeyPatch, startable: int) -> None:
    """Of grids, of problems and of what is told of progress; however many can be started."""
    monkeypatch.setattr(spreading, "_TURN", 0.01)
    monkeypatch.setattr(spreading, "startable_threads", lambda wanted: startable)
    pools: list[int] = []
    monkeypatch.setattr(
        "concurrent.futures.ThreadPoolExecutor",
        lambda threads: pools.append(threads) or ThreadPoolExecutor(threads),  # type: ignore[func-returns-value]
    )
    told: list[Progress] = []

    parts = slow(30, told.append)

    for name, first in (("one", 0), ("two", 1)):
        wanted = [each for each in range(first, 30, 2) if each % 5 != 4]
        made = parts.made[name]
        np.testing.assert_array_equal(made.grids.values[:, 0, 0, 0], wanted)  # type: ignore[call-overload]
        np.testing.assert_array_equal(made.kept * 2 + first, wanted)
    assert [str(each) for each in parts.problems[:3]] == [
        "thing 4: bad",
        "thing 4: really",
        "thing 14: bad",
    ]
    assert [each.done for each in told] == sorted({each.done for each in told})
    assert told[-1] == Progress("reading items", 30, 30)
    assert pools == [startable] * 3 * (startable > 0)  # the first one tries how long things take


def test_ctrl_c_ends_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them goes on in the background."""
    monkeypatch.setattr(spreading, "_TURN", 0.01)
    monkeypatch.setattr(Adapting, "_cost", lambda *_: module._Cost(0.004, 8.0))
    before = threading.active_count()

    with pytest.raises(KeyboardInterrupt):
        slow(1000)

    assert threading.active_count() == before


def test_decoding_threads_leave_warnings_as_they_were(
    pictures: Path,
) -> None:
    """Filters belong to the process, and each thread's silence must not outlast it."""
    files = [each for each in sorted(pictures.rglob("*.png"))[:8] if each.stem not in ("03", "17")]
    filters = list(warnings.filters)

    def decode() -> None:
        for _ in range(20):
            for file in files:
                decode_file(file, max_pixels=1000)

    workers = [threading.Thread(target=decode) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert list(warnings.filters) == filters


# Larger than memory


PROGRAM = """
import re, resource, sys
import gridcnn
import gridcnn.contracts.source, gridcnn.engines.native.engine, gridcnn.runs.run
import llvmlite.binding, PIL.Image

folder, out, factor = sys.argv[1], sys.argv[2], float(sys.argv[3])
with open("/proc/self/status") as file:
    taken = 1024 * int(re.search(r"VmData:\\s+(\\d+)", file.read())[1])
limit = taken + 100_000_000
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
side = 256
count = int(factor * limit / (4 * side * side))
files = [f"{folder}/{index % 8}.png" for index in range(count)]
labels = [index % 2 for index in range(count)]
data = gridcnn.contracts.source.Dataset(files, labels, [str(index) for index in range(count)])
spec = {
    "data": {"test": 0.2, "validation": 0.1},
    "adapter": {"image": {"size": [side, side], "fit": "stretch"}},
    "stages": [{"pooling": {"window": 16}}, {"convolution": {"filters": 4}}, "rectification"],
    "head": "voting",
    "training": {"epochs": 2, "batch_size": 32, "learning_rate": 0.01},
}
result = gridcnn.run(spec, data=data, out=out, threads=1)
grids = sum(result.metrics[part]["items"] for part in ("train", "validation", "test"))
print(grids * 4 * side * side / limit, result.metrics["test"]["accuracy"])
"""


def larger_than_memory(
    tmp_path: Path, factor: float, **environment: str
) -> subprocess.CompletedProcess[str]:
    random = np.random.default_rng(0)
    for index in range(8):
        pixels = random.integers(0, 90, (8, 8), np.uint8)
        pixels[2:4] += np.uint8(160 * (index % 2))
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    # Every library's own threads take memory, too.
    few = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(tmp_path / "run"), str(factor)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **few, **environment},
    )


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems count mapped files")


@LINUX
@pytest.mark.parametrize("factor", [3.2, pytest.param(12.0, marks=pytest.mark.long)])
def test_data_larger_than_memory_trains(tmp_path: Path, factor: float) -> None:
    """A set that takes several times the limit of the process is trained on and answered.

    The limit is that of data: of what only memory could hold. Files that are mapped for reading do
    not count there, since the system drops what it has of them when it needs the room; a limit of
    addresses (RLIMIT_AS) would count every byte of them, be it in memory or not.
    """
    done = larger_than_memory(tmp_path, factor)

    assert done.returncode == 0, done.stderr
    times, accuracy = map(float, done.stdout.split())
    assert times > 0.99 * factor
    assert accuracy == 1.0


@LINUX
def test_data_larger_than_memory_needs_the_disk(tmp_path: Path) -> None:
    """Without the cache it is refused at once, in one line."""
    done = larger_than_memory(tmp_path, 3.2, GRIDCNN_CACHE="off")

    assert done.returncode != 0
    assert "DataError: the grids of" in done.stderr
    assert "allow them to be kept on disk: unset GRIDCNN_CACHE" in done.stderr
