"""A setting that the documentation names works from every source, in all verbs.

Each setting is tried with each way in which the same rows can come: text files of several forms,
packed ones, typed files, and data frames. All must give the same grids, labels and parts, the same
answers of one model, and the same columns to a first spec.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import gridcnn
from gridcnn.checking import check
from gridcnn.datasets.tables.columns import look_at
from gridcnn.datasets.tables.rows import Form
from gridcnn.errors import GridcnnError
from gridcnn.runs.located import locate
from gridcnn.runs.plan import plan
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.runs.questions import Questions
from gridcnn.spec.load import load

Plain = dict[str, Any]
ROWS = 36
NAMES = ["a", "b", "c", "d"]


def numbers() -> pd.DataFrame:
    """Return rows of numbers: some large, with decimals, and labels that are not all ASCII."""
    values = (np.random.default_rng(0).normal(size=(ROWS, 4)) * 2000).round(2)
    frame = pd.DataFrame(values, columns=NAMES)
    frame["kind"] = ["für", "wider"] * (ROWS // 2)
    frame["part"] = (["train"] * 6 + ["validation"] + ["test"] * 2) * (ROWS // 9)
    frame["who"] = [f"w{number // 6}" for number in range(ROWS)]
    return frame


def with_gaps() -> pd.DataFrame:
    """Return the rows with some numbers missing."""
    frame = numbers()
    frame.loc[::5, "b"] = np.nan
    return frame


def with_ids() -> pd.DataFrame:
    """Return the rows with a column that counts them."""
    frame = numbers()
    frame.insert(0, "id", range(1, ROWS + 1))
    return frame


# Ways in: each writes a frame, and returns what is given as data ----------------------------------


@dataclass(frozen=True)
class Way:
    """How rows come: `written` says that cells are texts, so that settings of texts apply."""

    write: Callable[[pd.DataFrame, Path, Plain], Any]
    written: bool = False
    ending: str = ""


def csv_text(frame: pd.DataFrame, form: Plain) -> bytes:
    """Return a frame as a text file of a form."""
    texts = frame.copy()
    decimal, thousands = form.get("decimal", "."), form.get("thousands", "none")

    def cell(value: float) -> str:
        if np.isnan(value):
            return ""
        text = f"{value:,.2f}" if thousands != "none" else f"{value:.2f}"
        table = {",": "\0" if thousands != "none" else ",", ".": decimal}
        return "".join(table.get(sign, sign) for sign in text).replace("\0", thousands)

    for name in texts.columns:
        if texts[name].dtype.kind == "f":
            texts[name] = texts[name].map(cell)
    sign = form.get("delimiter", ",")
    content = io.StringIO(newline="")
    texts.to_csv(content, index=False, sep=sign, header=form.get("header", True))
    return content.getvalue().encode(form.get("encoding", "utf-8"))


def as_text(ending: str, sign: str = ",") -> Callable[[pd.DataFrame, Path, Plain], Path]:
    """Return what writes a text file, packed if its ending says so."""

    def write(frame: pd.DataFrame, folder: Path, form: Plain) -> Path:
        path = folder / f"t{ending}"
        # A name that ends in .tsv promises tabs.
        content = csv_text(
            frame, {"delimiter": sign, **form, **({"delimiter": "\t"} if sign == "\t" else {})}
        )
        if ending.endswith(".gz"):
            content = gzip.compress(content)
        if ending.endswith(".zip"):
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("t.csv", content)
            return path
        path.write_bytes(content)
        return path

    return write


def as_jsonl(frame: pd.DataFrame, folder: Path, _: Plain) -> Path:
    path = folder / "t.jsonl"
    frame.to_json(path, orient="records", lines=True, force_ascii=False, double_precision=15)
    return path


def as_parquet(frame: pd.DataFrame, folder: Path, _: Plain) -> Path:
    pytest.importorskip("pyarrow")
    frame.to_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def as_feather(frame: pd.DataFrame, folder: Path, _: Plain) -> Path:
    pytest.importorskip("pyarrow")
    frame.to_feather(folder / "t.feather")
    return folder / "t.feather"


def as_excel(frame: pd.DataFrame, folder: Path, form: Plain) -> Path:
    pytest.importorskip("openpyxl")
    path = folder / "t.xlsx"
    with pd.ExcelWriter(path) as book:
        if "sheet" in form:
            pd.DataFrame({"other": [1]}).to_excel(book, sheet_name="other", index=False)
        sheet, header = form.get("sheet", "Sheet1"), form.get("header", True)
        frame.to_excel(book, sheet_name=sheet, index=False, header=header)
    return path


def as_stata(frame: pd.DataFrame, folder: Path, _: Plain) -> Path:
    frame.to_stata(folder / "t.dta", write_index=False, version=118)
    return folder / "t.dta"


def as_frame(frame: pd.DataFrame, _: Path, __: Plain) -> pd.DataFrame:
    return frame


WAYS: dict[str, Way] = {
    "csv": Way(as_text(".csv"), True, ".csv"),
    "tsv": Way(as_text(".tsv", "\t"), True, ".tsv"),
    "csv.gz": Way(as_text(".csv.gz"), True, ".csv"),
    "csv.zip": Way(as_text(".csv.zip"), True, ".csv"),
    "jsonl": Way(as_jsonl, ending=".jsonl"),
    "parquet": Way(as_parquet, ending=".parquet"),
    "feather": Way(as_feather, ending=".feather"),
    "xlsx": Way(as_excel, ending=".xlsx"),
    "dta": Way(as_stata, ending=".dta"),
    "frame": Way(as_frame),
}


# Settings -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """A setting, the rows that need it, and the ways in that it is for.

    `table`, `adapter` and `data` are parts of the spec; `plain` is what the same rows need if they
    are written as usual, whose grids must come out.
    """

    table: Plain = field(default_factory=dict)
    adapter: Plain = field(default_factory=dict)
    data: Plain = field(default_factory=dict)
    rows: Callable[[], pd.DataFrame] = numbers
    form: Plain = field(default_factory=dict)
    ways: tuple[str, ...] = tuple(WAYS)
    plain: Plain | None = None


COMMAS = ("csv", "csv.gz", "csv.zip")
TEXT = (*COMMAS, "tsv")
FORM = {"header", "delimiter", "decimal", "thousands", "encoding", "sheet"}
"""The settings that say how a file is written; a model keeps those of its training."""
SETTINGS: dict[str, Setting] = {
    "label": Setting(),
    "input": Setting(table={"input": ["c", "a"]}),
    "split": Setting(table={"split": "part"}),
    "group": Setting(data={"group": "who", "test": {"group": "w1"}}),
    "folds": Setting(data={"test": {"fold": 2, "of": 3}}),
    "missing: mean": Setting(adapter={"missing": "mean"}, rows=with_gaps),
    "missing: zero": Setting(adapter={"missing": "zero"}, rows=with_gaps),
    "bad_items": Setting(data={"bad_items": "skip"}, rows=with_gaps),
    "id": Setting(table={"input": None}, rows=with_ids),
    "scaling": Setting(adapter={"scaling": "overall"}),
    "size": Setting(adapter={"size": [2, 2]}),
    "channels": Setting(adapter={"channels": 2}),
    "decimal": Setting(
        table={"decimal": ",", "delimiter": ";"},
        form={"decimal": ",", "delimiter": ";"},
        ways=COMMAS,
    ),
    "decimal found": Setting(form={"decimal": ",", "delimiter": ";"}, ways=TEXT),
    "thousands": Setting(table={"thousands": ","}, form={"thousands": ","}, ways=TEXT),
    "thousands found": Setting(form={"thousands": "'"}, ways=TEXT),
    "encoding": Setting(table={"encoding": "cp1252"}, form={"encoding": "cp1252"}, ways=TEXT),
    "utf-16": Setting(form={"encoding": "utf-16"}, ways=TEXT),
    "delimiter": Setting(table={"delimiter": "|"}, form={"delimiter": "|"}, ways=COMMAS),
    "header": Setting(
        table={"header": False, "input": ["1", "2", "3", "4"], "label": "5"},
        form={"header": False},
        ways=(*TEXT, "xlsx"),
        plain={"input": NAMES, "label": "kind"},
    ),
    "sheet": Setting(table={"sheet": "mine"}, form={"sheet": "mine"}, ways=("xlsx",)),
}
PAIRS = [(name, way) for name, setting in SETTINGS.items() for way in setting.ways]


def spec_of(setting: Setting, path: str, *, plain: bool = False) -> Any:
    """Return a spec with a setting, for a file; `plain`: for rows that are written as usual."""
    table: Plain = {"input": NAMES, "label": "kind", **setting.table}
    if plain:
        table = {**{k: v for k, v in table.items() if k not in FORM}, **(setting.plain or {})}
    # An input that is not named is all numbers: there is nothing else then.
    source = {k: v for k, v in table.items() if v is not None}
    return load(
        {
            "data": {"source": {"table": {"path": path, **source}}, **setting.data},
            "adapter": {"table": setting.adapter},
            "check": "off",
            "head": "voting",
            "training": {"epochs": 1, "batch_size": 8},
        }
    )


def rows_of(setting: Setting) -> pd.DataFrame:
    """Return the rows; without columns that could be inputs by accident."""
    frame = setting.rows()
    return (
        frame
        if "input" not in setting.table or setting.table["input"]
        else frame.drop(columns=["part", "who"])
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Prepared, Any]]:
    """Return what makes, once, the data and the model of a setting from rows in memory."""
    known: dict[str, tuple[Prepared, Any]] = {}

    def of(name: str) -> tuple[Prepared, Any]:
        if name not in known:
            setting = SETTINGS[name]
            spec, frame = spec_of(setting, "t.csv", plain=True), rows_of(setting)
            folder = tmp_path_factory.mktemp("reference")
            model = gridcnn.run(spec, data=frame, out=folder / "run").model
            known[name] = prepare(locate(spec, frame, folder)), model
        return known[name]

    return of


def grids(prepared: Prepared) -> dict[str, Any]:
    """Return the grids and labels of all parts."""
    parts = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    return {
        name: (np.asarray(part.data.grids).tolist(), part.data.targets.tolist())
        for name, part in parts.items()
    }


@pytest.mark.parametrize(("name", "way"), PAIRS)
def test_a_setting_works_from_every_source(
    tmp_path: Path, reference: Callable[[str], tuple[Prepared, Any]], name: str, way: str
) -> None:
    """In a run, in answers, in an evaluation, in a plan and in a check."""
    setting, expected, model = SETTINGS[name], *reference(name)
    given = WAYS[way].write(rows_of(setting), tmp_path, setting.form)
    in_file = isinstance(given, Path)
    spec = spec_of(setting, str(given) if in_file else "t.csv", plain=not in_file)

    # A run.
    prepared = prepare(locate(spec, None if in_file else given, tmp_path))

    assert prepared.classes == expected.classes
    assert grids(prepared) == grids(expected)
    # A plan, as `show` prints it.
    if in_file:
        assert plan(spec, tmp_path).network.parameters > 0
    # Answers and figures of a model that was trained on the rows in memory, or on this file.
    own = gridcnn.run(spec, out=tmp_path / "run").model if FORM & {*setting.table} else model
    found = gridcnn.evaluate(own, str(given) if in_file else given, bad_items="skip")
    usual = gridcnn.evaluate(model, rows_of(setting), bad_items="skip")
    assert found.measures.confusion.tolist() == usual.measures.confusion.tolist()
    if in_file:
        asked = Questions(own.adapter, own.spec.data)
        things = [thing for part in asked.parts([str(given)]) for thing in part.things]
        bad = [problem for part in asked.parts([str(given)]) for problem in part.problems]
        assert len(things) + len(bad) == ROWS
        assert own.votes(np.array(things)).shape == (len(things), 2)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "frame"])
def test_a_first_spec_names_the_same_columns_from_every_file(tmp_path: Path, way: str) -> None:
    """As `init` finds them."""
    path = WAYS[way].write(with_ids(), tmp_path, {})

    found = look_at(str(path), label="kind")

    assert (found.input, found.split) == (tuple(NAMES), "part")


@pytest.mark.parametrize("name", ["decimal found", "thousands found", "utf-16", "header"])
@pytest.mark.parametrize("way", TEXT)
def test_a_first_spec_finds_how_a_file_is_written(tmp_path: Path, name: str, way: str) -> None:
    frame = numbers().drop(columns=["part", "who"])
    path = WAYS[way].write(frame, tmp_path, SETTINGS[name].form)

    found = look_at(str(path), form=Form())

    wanted = ("1", "2", "3", "4") if name == "header" else tuple(NAMES)
    assert found.input == wanted
    assert found.label == ("5" if name == "header" else "kind")


@pytest.fixture(scope="module")
def verdict() -> Any:
    """Return the verdict on rows in memory."""
    return check(with_gaps().drop(columns=["part", "who"]), "kind", threads=1)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "frame"])
def test_a_check_reads_the_same_from_every_source(tmp_path: Path, way: str, verdict: Any) -> None:
    """The verdict rests on the same numbers."""
    given = WAYS[way].write(with_gaps().drop(columns=["part", "who"]), tmp_path, {})

    found = check(str(given), "kind", threads=1)

    assert found.decision == verdict.decision
    assert found.evidence == verdict.evidence


@pytest.mark.parametrize(
    ("setting", "value"),
    [("header", False), ("delimiter", ";"), ("quoting", False)],
)
@pytest.mark.parametrize("ending", ["jsonl", "parquet", "feather", "dta"])
def test_a_setting_that_a_file_cannot_have_is_refused(
    setting: str, value: Any, ending: str
) -> None:
    """It would be ignored in silence otherwise."""
    with pytest.raises(GridcnnError, match=f"'{setting}' is for CSV and TSV files alone"):
        load({"data": {"source": {"table": {"path": f"t.{ending}", "label": "a", setting: value}}}})


# Folders, manifests and archives ------------------------------------------------------------------


def pictures(folder: Path) -> list[tuple[str, str]]:
    """Write pictures into class folders; return the path of each with its label."""
    found = []
    for number in range(24):
        label = ("cat", "dog")[number % 2]
        path = folder / label / f"{number % 3}-{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)
        Image.fromarray(pixels).save(path)
        found.append((f"{label}/{path.name}", label))
    return found


def as_folder(folder: Path) -> Path:
    pictures(folder / "photos")
    return folder / "photos"


def as_manifest(folder: Path) -> Path:
    listed = [(f"photos/{path}", label) for path, label in sorted(pictures(folder / "photos"))]
    frame = pd.DataFrame(listed, columns=["path", "label"])
    frame.to_csv(folder / "list.csv", index=False)
    return folder / "list.csv"


def as_typed_manifest(folder: Path) -> Path:
    pytest.importorskip("pyarrow")
    pd.read_csv(as_manifest(folder)).to_parquet(folder / "list.parquet")
    return folder / "list.parquet"


def as_archive(folder: Path) -> Path:
    found = sorted(pictures(folder / "photos"))
    stack = np.stack([np.asarray(Image.open(folder / "photos" / path)) for path, _ in found])
    np.savez(folder / "a.npz", X=stack, y=np.array([label for _, label in found]))
    return folder / "a.npz"


def as_links(folder: Path) -> Path:
    pictures(folder / "store")
    (folder / "links").mkdir()
    for label in ("cat", "dog"):
        try:
            (folder / "links" / label).symlink_to(folder / "store" / label)
        except OSError:
            pytest.skip("links cannot be made here")
    return folder / "links"


FILES = {
    "folder": as_folder,
    "manifest": as_manifest,
    "typed manifest": as_typed_manifest,
    "archive": as_archive,
    "links": as_links,
}
OF_FILES: dict[str, tuple[Plain, Plain]] = {
    # The settings of the data, and of the adapter.
    "plain": ({}, {}),
    "test": ({"test": 0.5}, {}),
    "validation": ({"validation": 0.0}, {}),
    "folds": ({"test": {"fold": 1, "of": 3}}, {}),
    "duplicates": ({"duplicates": "drop"}, {}),
    "group": ({"group": {"pattern": r"([0-9])-[0-9]+\.png$"}, "test": {"group": "1"}}, {}),
    "size": ({}, {"size": [4, 4]}),
    "polarity": ({}, {"polarity": "invert"}),
    "fit": ({}, {"fit": "stretch", "size": [6, 4]}),
    "channels": ({}, {"channels": 3}),
}


@pytest.mark.parametrize("setting", list(OF_FILES))
@pytest.mark.parametrize("way", list(FILES))
def test_a_setting_of_files_works_from_every_source(tmp_path: Path, way: str, setting: str) -> None:
    """Class folders, links to them, manifests and stored arrays give the same grids."""
    data, adapter = OF_FILES[setting]
    if setting == "group" and way == "archive":
        pytest.skip("items of an archive have no names")

    def prepared(source: Path) -> Prepared:
        image = {"size": [8, 8], **adapter}
        spec = load(
            {"data": {"source": str(source), **data}, "adapter": {"image": image}, "head": "voting"}
        )
        return prepare(locate(spec, None, tmp_path))

    found = prepared(FILES[way](tmp_path / "given"))
    usual = prepared(as_folder(tmp_path / "usual"))

    assert found.classes == usual.classes
    assert grids(found) == grids(usual)
