import contextlib
import csv
import gzip
import hashlib
import os
import re
import wave
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gridcnn
from gridcnn.contracts.source import Dataset, Request
from gridcnn.datasets.division.splits import divide
from gridcnn.datasets.known import known, public
from gridcnn.datasets.public import fetching
from gridcnn.datasets.public.catalogue import SPOKEN_DIGITS, Archive, File
from gridcnn.datasets.public.clips import SOUNDS, Esc50, SpokenDigits
from gridcnn.datasets.public.compounds import MEASURED, Bbbp, Tox21
from gridcnn.datasets.public.fetching import FetchError
from gridcnn.datasets.public.messages import TOPICS, News, Sms
from gridcnn.datasets.public.mnist import Mnist
from gridcnn.datasets.public.source import Public
from gridcnn.errors import DataError
from gridcnn.progress import Progress
from gridcnn.spec.load import load

HERE = Path(os.environ.get("GRIDCNN_DATA", "nowhere"))
SETS = {each.name: each.public for each in known() if each.public is not None}
MESSAGES = 'ham\tSee you at "eight\nspam\tYou have WON\nham\tOk\nspam\tYou have WON\nham\tOk\n'
NEWS_ROWS = (
    '"3","A title","Shares fell, ""again"""\n"1","Peace","Talks\\go on"\n"4","Moon","#36;10"\n'
)
MOLECULES = "num,name,p_np,smiles\n1,Propanolol,1,CC(C)N\n2,,0,c1ccccc1\n"
TASKS = "NR-AR,NR-AhR,mol_id,smiles\n0,1,TOX1,CCO\n,0.0,TOX2,CCN\n1,,TOX3,CCC\n"


def needs(source: Public) -> pytest.MarkDecorator:
    folder = source.about.folder
    reason = f"GRIDCNN_DATA names no folder that holds {folder}"
    return pytest.mark.skipif(not (HERE / folder).is_dir(), reason=reason)


def opened(source: Public) -> Dataset:
    return source.open(Request(suffixes=frozenset({".wav"})))


def written(folder: Path, **files: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_csv", ".csv")).write_text(content, "utf-8", newline="")
    return str(folder)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.delenv("GRIDCNN_DATA", raising=False)
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let fetching write messages and two files of news; return the folders that were asked for."""
    asked: list[Path] = []

    def fetch(wanted: Any, folder: Path) -> None:
        asked.append(folder)
        for file in wanted:
            content = MESSAGES if file.name == "SMSSpamCollection" else NEWS_ROWS
            written(folder, **{file.name: content})

    monkeypatch.setattr(fetching, "fetch", fetch)
    return asked


# Where files are looked for


def test_own_files_go_before_fetched_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[Path]
) -> None:
    """Fetched once, files are found again; own ones are never written beside, nor fetched over."""
    first = opened(Sms())
    again = opened(Sms())
    kept = fetching.data_folder()
    assert kept is not None
    monkeypatch.setenv("GRIDCNN_DATA", str(tmp_path))
    other = opened(Sms())
    written(tmp_path / "text_sms_spam", **{"SMSSpamCollection.original.tsv": "ham\tMine\nspam\tNo"})
    own = opened(Sms())

    assert fetched == [kept / "text_sms_spam"]
    assert (
        first.things == again.things == other.things == ['See you at "eight', "You have WON", "Ok"]
    )
    assert "the SMS Spam Collection was fetched (477.9 kB), and is kept in" in first.notes[0]
    assert not any("fetched" in note for note in again.notes)
    assert own.things == ["Mine", "No"]
    assert (own.places or [""])[0].endswith("SMSSpamCollection.original.tsv:1")
    assert [each.name for each in tmp_path.iterdir()] == ["text_sms_spam"]


def test_a_run_remembers_own_files_but_not_fetched_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[Path]
) -> None:
    """Fetched ones are found again by the set's name, or fetched again."""
    opened(Sms())
    assert Sms().resolved(tmp_path).path is None
    assert Sms(path="mine").resolved(tmp_path).path == str(tmp_path / "mine")

    folder = written(tmp_path / "text_sms_spam", SMSSpamCollection=MESSAGES)
    monkeypatch.setenv("GRIDCNN_DATA", str(tmp_path))
    assert Sms().resolved(Path("/elsewhere")).path == folder


def test_a_folder_that_lacks_a_file_is_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[Path]
) -> None:
    """Only what the settings need is looked for, and fetched."""
    written(tmp_path / "text_ag_news", test_csv=NEWS_ROWS)
    monkeypatch.setenv("GRIDCNN_DATA", str(tmp_path))

    assert len(opened(News())) == 3
    assert fetched == []
    assert len(opened(News(part="all"))) == 6
    assert len(fetched) == 1


def test_a_named_folder_must_have_the_files(tmp_path: Path, fetched: list[Path]) -> None:
    """Nothing is fetched in its place."""
    with pytest.raises(
        DataError,
        match=r"no: is not a folder; it should hold the files of AG "
        r"News",
    ):
        opened(News(path=str(tmp_path / "no")))
    with pytest.raises(DataError, match=r"lacks files of AG News: test\.csv; they come from http"):
        opened(News(path=str(tmp_path)))
    with pytest.raises(DataError, match="lacks files of ESC-50: all of 'audio'"):
        opened(Esc50(path=str(tmp_path)))
    with pytest.raises(DataError, match="cannot be a path"):
        opened(News(path="a\0b"))
    assert fetched == []


@pytest.mark.parametrize("name", SETS)
def test_without_a_network_one_line_says_what_to_put_where(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which files, from which address, into which folder."""
    source = SETS[name]
    monkeypatch.setenv("GRIDCNN_DATA", str(tmp_path))

    with pytest.raises(DataError) as caught:
        opened(source)

    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{name}: the files of {source.about.title} are not here and cannot be")
    assert f"into {tmp_path / source.about.folder}" in text
    wanted = source.needed_files()
    for part in (wanted,) if isinstance(wanted, Archive) else wanted:
        address = part.addresses[0]
        where = address if isinstance(part, Archive) else address.rpartition("/")[0] + "/"
        assert where in text
        assert (part.folder if isinstance(part, Archive) else part.name) in text


def test_where_nothing_is_kept_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDCNN_CACHE", "off")

    with pytest.raises(DataError) as caught:
        opened(Sms())
    for words in (
        "the system give no folder to keep them in; put SMSSpamCollection, from ",
        "into a folder 'text_sms_spam', or name their folder with --set data.source.sms.path=F",
    ):
        assert words in str(caught.value)


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRIDCNN_OFFLINE", raising=False)
    (tmp_path / "data").write_text("a file")
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path))

    with pytest.raises(DataError, match="files of the SMS Spam Collection cannot be written"):
        opened(Sms())


def test_getting_brings_all_files_of_a_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[Path]
) -> None:
    """To where fetched ones are kept, or where they are wanted; not where they are."""
    assert News().get() == (False, fetched[0])
    assert News().get() == (True, fetched[0])
    assert opened(News(part="all")).notes
    assert News().get(tmp_path) == (False, tmp_path / "text_ag_news")
    assert News().get(tmp_path) == (True, tmp_path / "text_ag_news")
    monkeypatch.setenv("GRIDCNN_DATA", str(tmp_path))
    assert News().get() == (True, tmp_path / "text_ag_news")
    assert len(fetched) == 2

    monkeypatch.setenv("GRIDCNN_CACHE", "off")
    monkeypatch.delenv("GRIDCNN_DATA")
    with pytest.raises(DataError, match="give no folder to keep them in"):
        News().get()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("xo", "'xo' needs no fetching. Known: fashion, mnist, "),
        ("smss", "'smss' is no public data set; did you mean 'sms'? Known: fashion"),
        ("Q", "'Q' is no public data set. Known: fashion"),
    ],
)
def test_what_cannot_be_fetched_is_told(name: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        public(name)


def test_a_part_of_a_set_is_told_as_such(tmp_path: Path) -> None:
    notes = opened(News(path=written(tmp_path, test_csv=NEWS_ROWS))).notes

    assert notes == [f"{tmp_path} has 3 items of AG News; the whole set has 7,600"]


# What the files say


def test_mnist_is_read_as_digits(tmp_path: Path) -> None:
    """The parts are those of the files."""
    pictures = np.random.default_rng(0).integers(0, 256, (20, 28, 28)).astype(np.uint8)
    for part, count in (("train", 20), ("t10k", 10)):
        for name, array in (("images-idx3", pictures), ("labels-idx1", np.arange(20) % 10)):
            values = array[:count].astype(np.uint8)
            head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            file = tmp_path / f"{part}-{name}-ubyte.gz"
            file.write_bytes(gzip.compress(head + values.tobytes()))

    dataset = opened(Mnist(path=str(tmp_path)))

    assert dataset.classes == Mnist().facts().classes == tuple("0123456789")
    assert Counter(dataset.parts) == {"train": 20, "test": 10}
    assert (np.stack(dataset.things[20:]) == pictures[:10]).all()


def clips(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(1600))
    return str(folder)


DIGITS = [
    f"{digit}_{who}_{n}.wav" for digit in (3, 7) for who in ("ann", "bob") for n in (4, 5, 12)
]


@pytest.mark.parametrize(
    "place",
    [
        lambda name: f"recordings/{name}",
        lambda name: f"{'test' if '_4' in name else 'train'}/{name[0]}/{name}",
        lambda name: name,
    ],
    ids=["as fetched", "in class folders", "alone"],
)
def test_names_of_spoken_digits_tell_all(tmp_path: Path, place: Callable[[str], str]) -> None:
    """Digit, speaker and part, wherever the files lie; others, and hidden ones, are passed over."""
    folder = clips(tmp_path, *map(place, DIGITS), "notes/3_ann.wav", ".hidden/3_eve_1.wav")

    official = opened(SpokenDigits(path=folder))
    speakers = opened(SpokenDigits(path=folder, split="speaker"))

    assert official.names == speakers.names == sorted(DIGITS)
    assert [name[0] for name in official.names] == official.labels
    assert [part == "test" for part in official.parts or ()] == ["_4" in n for n in official.names]
    assert official.groups is None
    assert speakers.parts is None
    assert Counter(speakers.groups) == {"ann": 6, "bob": 6}
    assert all(Path(thing).is_absolute() and Path(thing).is_file() for thing in official.things)


def test_the_same_clip_twice_is_refused(tmp_path: Path) -> None:
    folder = clips(tmp_path, "a/1_ann_1.wav", "b/1_ann_1.wav")

    with pytest.raises(DataError, match=r"b.1_ann_1\.wav: the same clip as .*a.1_ann_1\.wav"):
        opened(SpokenDigits(path=folder))


def test_the_folds_of_esc50_are_its_groups(tmp_path: Path) -> None:
    folder = clips(
        tmp_path, "audio/1-100-A-0.wav", "audio/5-17-B-49.wav", "audio/2-9-A-30.wav", "esc.wav"
    )

    dataset = opened(Esc50(path=folder))

    assert dataset.labels == ["dog", "door_wood_knock", "hand_saw"]
    assert dataset.groups == ["1", "2", "5"]
    clips(tmp_path, "audio/1-100-A-50.wav")
    with pytest.raises(DataError, match=r"A-50\.wav: the last number of its name is not a class"):
        opened(Esc50(path=folder))


def test_esc50_is_divided_by_whole_folds(tmp_path: Path) -> None:
    """A test part of 20 % is one fold, and has all fifty classes."""
    (tmp_path / "audio").mkdir()
    for fold in range(1, 6):
        for number in range(50):
            (tmp_path / "audio" / f"{fold}-{number}-A-{number}.wav").touch()

    dataset = opened(Esc50(path=str(tmp_path)))
    division = divide(dataset, test=0.2, validation=0.25, seed=0)

    assert len(set(SOUNDS)) == 50
    assert dataset.classes == Esc50().facts().classes
    folds = np.array(dataset.groups)
    parts = (division.train, division.validation, division.test)
    assert [len(set(folds[part])) for part in parts] == [3, 1, 1]


def test_messages_are_read_without_their_doubles(tmp_path: Path) -> None:
    """Quotes are signs like others; with `keep` all are there."""
    folder = written(tmp_path, SMSSpamCollection=MESSAGES)

    few, all_ = opened(Sms(path=folder)), opened(Sms(path=folder, duplicates="keep"))

    assert all_.things == ['See you at "eight', "You have WON", "Ok", "You have WON", "Ok"]
    assert few.things == all_.things[:3]
    assert few.labels == ["ham", "spam", "ham"]
    assert few.notes[-1] == "2 items left out that are equal to an earlier one"
    assert few.names == ["line 1", "line 2", "line 3"]
    with pytest.raises(DataError, match="a label is 'ham' or 'spam'; this file has eggs"):
        opened(Sms(path=written(tmp_path, SMSSpamCollection="eggs\tHello\nham\tOk\n")))
    with pytest.raises(DataError, match=r"SMSSpamCollection:2: has 1 cell, but line 1 has 2"):
        opened(Sms(path=written(tmp_path, SMSSpamCollection="ham\tHello\nham Ok\n")))


def test_news_have_their_topics_names(tmp_path: Path) -> None:
    folder = written(tmp_path, test_csv=NEWS_ROWS, train_csv=NEWS_ROWS * 2)

    test, both = opened(News(path=folder)), opened(News(path=folder, part="all"))

    assert test.things == ['A title Shares fell, "again"', "Peace Talks\\go on", "Moon #36;10"]
    assert test.labels == ["Business", "World", "Sci/Tech"]
    assert test.parts is None
    assert Counter(both.parts) == {"train": 6, "test": 3}
    assert list(both.things) == [*test.things * 3]
    assert both.names[5:7] == ["train line 6", "test line 1"]
    assert [Path(place).name for place in (both.places or ())[5:7]] == ["train.csv:6", "test.csv:1"]
    facts = News(part="all").facts()
    assert (facts.items, facts.classes) == (127_600, tuple(sorted(TOPICS)))


def test_wrong_rows_of_news_are_told(tmp_path: Path) -> None:
    rows = NEWS_ROWS + '"5","A","B"\n"1","A"\n'

    with pytest.raises(DataError) as caught:
        opened(News(path=written(tmp_path, test_csv=rows)))

    told = [str(problem).rpartition("test.csv:")[2] for problem in caught.value.problems]
    assert told[0] == "4: the topic is '5', not 1, 2, 3 or 4"
    assert told[1].startswith("5: has 2 cells, but line 1 has 3")


def test_molecules_are_read_with_their_names(tmp_path: Path) -> None:
    dataset = opened(Bbbp(path=written(tmp_path, BBBP_csv=MOLECULES)))

    assert dataset.things == ["CC(C)N", "c1ccccc1"]
    assert dataset.labels == ["1", "0"]
    assert dataset.names == ["line 2: Propanolol", "line 3: "]
    assert dataset.places == [f"{tmp_path / 'BBBP.csv'}:{line}" for line in (2, 3)]


def test_molecules_without_a_value_are_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path, tox21_csv=TASKS)

    one, other = opened(Tox21(path=folder)), opened(Tox21(path=folder, task="NR-AR"))

    assert (one.things, one.labels) == (["CCO", "CCN"], ["1", "0"])
    assert (other.things, other.labels) == (["CCO", "CCC"], ["0", "1"])
    assert one.names == ["line 2: TOX1", "line 3: TOX2"]
    assert one.notes[-1] == "1 molecule is left out, not measured for NR-AhR"
    with pytest.raises(DataError, match=r"tox21\.csv:1: has no column 'SR-p53'"):
        opened(Tox21(path=folder, task="SR-p53"))


def test_all_tasks_of_tox21_are_labels(tmp_path: Path) -> None:
    """What was not measured is not known, and no molecule is left out."""
    tasks = [*MEASURED]
    cells = [["1", "0", ""] * 4, ["0.0"] * 12]
    rows = [f"{','.join(each)},TOX{number},CCO" for number, each in enumerate(cells)]
    content = f"{','.join(tasks)},mol_id,smiles\n" + "\n".join(rows)

    dataset = opened(Tox21(path=written(tmp_path, tox21_csv=content), task="all"))
    assert dataset.classes == tuple(tasks)
    np.testing.assert_array_equal(dataset.label_rows, [[1, 0, np.nan] * 4, [0] * 12])
    assert dataset.names == ["line 2: TOX0", "line 3: TOX1"]
    wrong = written(tmp_path, tox21_csv=content.replace("1,0,", "2,0,", 1))
    with pytest.raises(DataError, match=r"tox21\.csv:2: the label in 'NR-AR' is '2'; the cells of"):
        opened(Tox21(path=wrong, task="all"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"bbbp\.csv:1: is empty"),
        ("num,name,p_np,smiles\n", "there are no items in the data"),
        (MOLECULES + "3,A,2,CC\n", r"bbbp\.csv:4: 'p_np' is '2', not 0 or 1"),
        (MOLECULES + "3,A,,CC\n", r"bbbp\.csv:4: 'p_np' is '', not 0 or 1"),
        (MOLECULES + "3,A,1\n", r"bbbp\.csv:4: has 3 cells, but the first line names 4"),
    ],
)
def test_wrong_molecules_are_told(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(Bbbp(path=written(tmp_path, bbbp_csv=content)))


@given(
    content=st.binary(max_size=60) | st.text('01234",\n\t abc', max_size=60).map(str.encode),
    start=st.sampled_from([b"", b"num,name,p_np,smiles\n", b"NR-AhR,mol_id,smiles\n"]),
)
def test_no_content_breaks_a_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes
) -> None:
    """It is data of the known classes, or an error."""
    folder = tmp_path_factory.mktemp("any")
    for name in ("SMSSpamCollection", "test.csv", "bbbp.csv", "tox21.csv"):
        (folder / name).write_bytes(start + content)

    for kind in (Sms, News, Bbbp, Tox21):
        with contextlib.suppress(DataError):
            dataset = opened(kind(path=str(folder)))
            assert set(dataset.labels) <= set(kind().facts().classes)
            assert all(isinstance(thing, str) for thing in dataset.things)


def test_sets_are_named_in_specs(tmp_path: Path) -> None:
    """Also one with a hyphen in its name, in YAML, as a change, and in place of other data."""
    (tmp_path / "a.yaml").write_text(
        "data: {source: {spoken-digits: {split: speaker}}}\nadapter: text\nhead: voting\n"
    )
    spec = load(tmp_path / "a.yaml", changes=["data.source.spoken-digits.path=here"])
    assert spec.data is not None
    assert spec.data.source == SpokenDigits(split="speaker", path="here")
    spec = load(tmp_path / "a.yaml", changes=["data.source=sms"])
    assert spec.data is not None
    assert spec.data.source == Sms()
    with pytest.raises(DataError, match="spoken-digits: the files of the Free Spoken"):
        gridcnn.run(tmp_path / "a.yaml", data="spoken-digits")


def test_texts_need_no_adapter(tmp_path: Path) -> None:
    """They are texts, and no paths of pictures."""
    rows = "".join(f"ham\tyes {number}\nspam\tno {number}\n" for number in range(20))
    spec = {
        "data": {"source": {"sms": {"path": written(tmp_path, SMSSpamCollection=rows)}}},
        "stages": [{"convolution": {"filters": 2, "kernel_size": ["all", 3]}}, "rectification"],
        "head": "voting",
        "training": {"epochs": 1},
    }

    result = gridcnn.run(spec, out=tmp_path / "run")

    assert result.model.classes == ("ham", "spam")
    assert result.metrics["test"]["items"] == 8


def test_what_is_fetched_in_a_run_is_told_to_its_watcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gridcnn.runs.run import RunWatcher

    told: list[Progress] = []

    class Watcher(RunWatcher):
        def on_reading(self, progress: Progress) -> None:
            told.append(progress)

    def fetch(wanted: Any, folder: Path) -> None:
        advance = fetching._advance.get()
        assert advance is not None
        advance(Progress("fetching it", 1, 2, "bytes"))
        raise FetchError("no network")

    monkeypatch.setattr(fetching, "fetch", fetch)
    with pytest.raises(DataError, match="no network"):
        gridcnn.run({"data": {"source": "sms"}, "head": "voting"}, watcher=Watcher())

    assert told == [Progress("fetching it", 1, 2, "bytes")]


# The catalogue


@pytest.mark.parametrize("name", SETS)
def test_the_facts_of_a_set_are_whole(name: str) -> None:
    about = SETS[name].about

    assert about.home.startswith("http")
    assert all((about.title, about.folder, about.licence, about.citation))
    parts = about.parts
    for part in (parts,) if isinstance(parts, Archive) else parts:
        assert part.size > 0
        assert all(address.startswith("https://") for address in part.addresses)
        digest = part.digest if isinstance(part, Archive) else part.sha256
        assert re.fullmatch("[0-9a-f]{64}", digest)


COPIES = [
    pytest.param(source.about.folder, file, marks=needs(source), id=f"{name} {file.name}")
    for name, source in SETS.items()
    if not isinstance(source.about.parts, Archive)
    for file in source.about.parts
]


@pytest.mark.parametrize(("folder", "file"), COPIES)
def test_own_copies_are_the_files_of_the_catalogue(folder: str, file: File) -> None:
    """Byte by byte: what the digests are of is what the readers were tried on."""
    copies = [HERE / folder / name for name in (file.name, *file.aliases)]
    copy = next((each for each in copies if each.is_file()), None)
    if copy is None:
        pytest.skip(f"{folder} has no copy of {file.name}")

    content = copy.read_bytes()

    assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)


@needs(SpokenDigits())
def test_own_clips_are_those_of_the_archive() -> None:
    """Its digest is that of the list which sha256sum makes of them."""
    archive = SPOKEN_DIGITS.parts
    assert isinstance(archive, Archive)
    files = {file.name: file.read_bytes() for file in (HERE / "audio_fsdd").rglob("*.wav")}
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]

    assert len(files) == archive.count
    assert sum(map(len, files.values())) == archive.unpacked
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == archive.digest


@needs(Sms())
def test_the_real_messages() -> None:
    """All are there, and 403 of them more than once."""
    folder = HERE / "text_sms_spam"
    all_, few = (opened(Sms(path=str(folder), duplicates=each)) for each in ("keep", "drop"))
    with (folder / "sms_spam.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert all_.things == [row["text"] for row in rows]
    assert all_.labels == [row["label"] for row in rows]
    assert few.things == list(dict.fromkeys(all_.things))
    assert len(few) == Sms().facts().items
    assert few.notes == ["403 items left out that are equal to an earlier one"]


@needs(News())
def test_the_real_news() -> None:
    dataset = opened(News(path=str(HERE / "text_ag_news")))
    with (HERE / "text_ag_news" / "ag_news.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert dataset.things == [row["text"] for row in rows]
    assert dataset.labels == [row["label"] for row in rows]
    assert dataset.notes == []


@needs(SpokenDigits())
def test_the_real_spoken_digits() -> None:
    """They are divided as their folders say."""
    folder = str(HERE / "audio_fsdd")
    dataset = opened(SpokenDigits(path=folder))
    speakers = opened(SpokenDigits(path=folder, split="speaker"))

    assert list(dataset.parts or ()) == [Path(thing).parts[-3] for thing in dataset.things]
    assert list(dataset.labels) == [Path(thing).parts[-2] for thing in dataset.things]
    assert Counter(dataset.parts) == {"train": 2_700, "test": 300}
    assert set(Counter(speakers.groups).values()) == {500}
    assert dataset.notes == []


@needs(Bbbp())
@needs(Tox21())
def test_the_real_molecules() -> None:
    """As many as the facts say, for every task."""
    dataset = opened(Bbbp(path=str(HERE / "molecules_bbbp")))
    assert Counter(dataset.labels) == {"1": 1_567, "0": 483}
    assert dataset.notes == []
    for task, count in MEASURED.items():
        source = Tox21(path=str(HERE / "molecules_tox21"), task=task)
        assert len(opened(source)) == count
    everything = opened(Tox21(path=str(HERE / "molecules_tox21"), task="all"))
    known = (~np.isnan(everything.label_rows)).sum(axis=0)
    assert dict(zip(everything.classes, known.tolist(), strict=True)) == MEASURED
