"""Tables: text in any packing, files whose cells have types, and manifests."""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import bundle
from fuzz.changes import Changes
from fuzz.sealed import as_json, json_changed, text_changed, zip_changed, zipped
from fuzz.target import Target, kept, readable, refused, require
from gridcnn.adapters.array import ArrayAdapter
from gridcnn.contracts.source import Dataset, Request
from gridcnn.datasets.readers import manifest
from gridcnn.datasets.readers.paths import Files
from gridcnn.datasets.tables.columns import look_at
from gridcnn.datasets.tables.frames import FRAME_ENDINGS
from gridcnn.datasets.tables.rows import TEXT_ENDINGS, Form
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError, SpecError, printable
from gridcnn.runs.questions import Questions
from gridcnn.runs.starter import starter_for
from gridcnn.spec.load import load
from gridcnn.spec.models import Data

CONTENT, SETTINGS = "content", "settings"
"""The parts of an input: the file, and the settings of its source, with its ending among them."""
_NUMBERS = "a,b,label,split,id\n1,2.5,x,train,1\n3,-4e2,o,test,2\n5,1e-3,x,train,3\n7,,o,test,4\n"
_TEXTS = 'text;label\n"Hello; ""you""";greeting\nGood bye\u00e9;parting\nso\u2028long;parting\n'
_MARKS = "text,tall,red,tags\na b,1,no,x;y\nc,,true,\nd e,0,0, y \n"
_OBJECTS = '{"text": "a b", "label": 1}\n{"text": "\\u00e9", "label": "2"}\n'
_SMILES = "CCO ethanol\nC(C)(C)O\tother\nc1ccccc1\n"
_PACKINGS = ("", ".gz", ".bz2", ".xz", ".zip")


def input_of(content: bytes | str, **settings: Any) -> bytes:
    """Return an input."""
    whole = content.encode("utf-8") if isinstance(content, str) else content
    return bundle.packed({SETTINGS: as_json(settings), CONTENT: whole})


def _seeds() -> Sequence[bytes]:
    numbers = {"input": ["a", "b"], "label": "label"}
    return [
        input_of(_NUMBERS, ending=".csv", **numbers, split="split"),
        input_of(_NUMBERS, ending=".csv.gz", label="label", split="split"),
        input_of(_NUMBERS.replace(",", "\t"), ending=".tsv", label="label"),
        input_of(_NUMBERS, ending=".csv.zip", label="3", header=False),
        input_of(
            _NUMBERS.replace(",", ";").replace(".", ","), ending=".txt", decimal=",", **numbers
        ),
        input_of(_TEXTS, ending=".csv.bz2", input="text", label="label"),
        input_of(_TEXTS.encode("utf-16"), ending=".csv", input="text", label="label"),
        input_of(_TEXTS.replace("\u2028", "").encode("cp1252"), ending=".csv", encoding="cp1252",
                 input="text", label="label", quoting=False),
        input_of(_OBJECTS, ending=".jsonl.xz", input="text", label="label"),
        input_of(_OBJECTS, ending=".ndjson", input="text", label="label"),
        input_of(_SMILES, ending=".smi", input="smiles", label="name"),
        input_of(_MARKS, ending=".csv", input="text", label=["tall", "red"]),
        input_of(_MARKS, ending=".tsv", input="text", label={"pattern": "tall|r.d"}),
        input_of(_MARKS, ending=".csv", input="text", label={"column": "tags"}),
        input_of(gzip.compress(_NUMBERS.encode()), ending=".csv.gz", as_is=True, **numbers),
        input_of(zipped([("a.csv", _NUMBERS.encode())]), ending=".csv.zip", as_is=True, **numbers),
    ]  # fmt: skip


def parts_of(content: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the content of a file, and settings; those that cannot be read are empty."""
    parts = bundle.parts_of(content)
    settings: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        settings = json.loads(parts.get(SETTINGS, b""))
    return parts.get(CONTENT, b""), settings if isinstance(settings, dict) else {}


def _packed(content: bytes, ending: str) -> bytes:
    """Return content in the packing that an ending tells of."""
    if ending.endswith(".gz"):
        return gzip.compress(content, 1, mtime=0)
    if ending.endswith(".bz2"):
        return bz2.compress(content, 1)
    if ending.endswith(".xz"):
        return lzma.compress(content, preset=0)
    return zipped([("table", content)]) if ending.endswith(".zip") else content


def _read_text(content: bytes, folder: Path) -> None:
    whole, settings = parts_of(content)
    ending = settings.pop("ending", "")
    known = [f"{each}{packing}" for each in TEXT_ENDINGS for packing in _PACKINGS]
    path = folder / f"table{ending if ending in known else '.csv'}"
    path.write_bytes(whole if settings.pop("as_is", False) else _packed(whole, path.name))
    read(path, settings)


def read(path: Path, settings: dict[str, Any]) -> None:
    """Read a table as a source, as questions for models, and to write a spec for it."""
    with refused(SpecError):
        source = load({"data": {"source": {"table": {**settings, "path": str(path)}}}}).data
        assert source is not None
        table = source.source
        if isinstance(table, Table):
            _open(table, path)
    with refused(DataError):
        look_at(str(path))
    with refused(DataError):
        text = starter_for("a name", "spec.yaml", str(path)).text
        load(_written(path.with_name("starter.yaml"), text))
    with refused(DataError):
        check(Files(path=str(path)).open(Request(suffixes=frozenset({".png"}))))


def _open(table: Table, path: Path) -> None:
    for missing in (False, True):
        with refused(DataError):
            dataset = table.open(Request(missing=missing, trained=missing))
            check(dataset)
            if isinstance(dataset.resolved, Table):
                again = dataset.resolved.open(Request(missing=missing, trained=True))
                same = again.label_names == dataset.label_names and np.array_equal(
                    np.array(again.labels), np.array(dataset.labels), equal_nan=dataset.several
                )
                require(same, "labels differ the second time")
    for adapter in _adapters():
        for part in Questions(adapter, Data(source=table)).parts([str(path)]):
            require(len(part.names) == len(part.things), "a thing has no name")
            readable(*part.problems, *map(printable, part.notes))
            if len(part.things):
                adapter.adapt_all(part.things, names=part.names)


@functools.cache
def _adapters() -> tuple[Any, ...]:
    settings = (
        {"text": {"alphabet": "abc", "length": 7}},
        {"table": {"size": [1, 2], "means": [0.0] * 2, "deviations": [1.0] * 2}},
    )
    return tuple(load({"adapter": each}).adapter for each in settings)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def check(dataset: Dataset) -> None:
    """Raise `WrongError` if a data set is not as its contract says."""
    count = len(dataset)
    require(count > 0, "a data set has no items")
    for each in (dataset.things, dataset.labels, dataset.names, dataset.parts, dataset.places):
        require(each is None or len(each) == count, "a data set has too few of something")
    if dataset.label_names is not None:
        rows = dataset.label_rows
        require(rows.shape == (count, len(dataset.label_names)), "a label has no column")
        require(bool(np.isin(rows, [0, 1]).sum() + np.isnan(rows).sum() == rows.size), "odd marks")
    classes = dataset.labels if dataset.label_names is None else dataset.label_names
    require(all(type(label) in (str, int) for label in classes), "a label is no label")
    for thing in [dataset.things[place] for place in range(min(count, 50))]:
        if isinstance(thing, np.ndarray) and thing.dtype.kind == "f" and np.isinf(thing).any():
            # A cell may hold an array, which is its adapter's to read, and to refuse.
            with refused(DataError):
                ArrayAdapter().fitted([thing])
                require(False, "a number is infinite")
    readable(*map(printable, dataset.notes))


def _changed(name: str, content: bytes, changes: Changes) -> bytes:
    if name == SETTINGS:
        return json_changed(content, changes)
    if content.startswith(b"PK"):
        return zip_changed(content, changes, lambda _, inside, more: text_changed(inside, more))
    return text_changed(content, changes)


def _table_changed(content: bytes, changes: Changes) -> bytes:
    if changes.one_in(20):
        whole, settings = parts_of(content)
        ending = changes.random.choice(TEXT_ENDINGS) + changes.random.choice(_PACKINGS)
        return input_of(whole, **{**settings, "ending": ending})
    return bundle.changed(content, changes, _changed, names=lambda name, _: name)


# Files whose cells have types ---------------------------------------------------------------------

_COLUMNS: tuple[dict[str, Any], ...] = (
    {"a": [1.0, 2.5, None], "b": [1, 2, 3], "label": ["x", "o", "x"]},
    {"text": ["a", "\u00e9", None], "label": [1, 2, 2], "split": ["train", "test", "train"]},
    {"bytes": [[1, 2], [3], []], "label": [True, False, True], "date": ["2020-01-01"] * 3},
    {"a": [{"bytes": "x", "path": "y"}] * 3, "label": [2**60, -1, 0]},
)
_WRITERS = (".parquet", ".feather", ".xlsx", ".dta")
_KINDS = (None, "category", "datetime", "bytes", "decimal", "string", "Int64", "float32", "bool")
_AS_IS = "as it is"


def _typed_seeds() -> Sequence[bytes]:
    """Return inputs that are columns to write, with how to write them; and whole files."""
    found = []
    for columns in _COLUMNS:
        settings = {"input": next(iter(columns)), "label": "label"}
        found += [
            input_of(as_json(columns), ending=ending, kind=None, **settings) for ending in _WRITERS
        ]
    for ending in _WRITERS:
        with contextlib.suppress(Exception):
            path = kept() / f"typed{ending}"
            _write_frame(_COLUMNS[0], path, None)
            whole = path.read_bytes()
            found.append(input_of(whole, ending=ending, kind=_AS_IS, label="label"))
    return found


def _write_frame(columns: Any, path: Path, kind: Any) -> None:
    import pandas as pd

    frame = pd.DataFrame(columns)
    first = frame.columns[0]
    if kind == "datetime":
        frame[first] = pd.to_datetime(frame[first])
    elif kind == "bytes":
        frame[first] = [str(each).encode("utf-8", "surrogatepass") for each in frame[first]]
    elif kind == "decimal":
        import decimal

        decimals: Any = [decimal.Decimal(str(each)) for each in frame[first]]
        frame[first] = decimals
    elif kind in _KINDS and kind is not None:
        frame[first] = frame[first].astype(kind)
    ending = path.suffix
    if ending == ".parquet":
        frame.to_parquet(path)
    elif ending == ".feather":
        frame.to_feather(path)
    elif ending == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_stata(path, write_index=False)


def _read_typed(content: bytes, folder: Path) -> None:
    whole, settings = parts_of(content)
    ending, kind = settings.pop("ending", ""), settings.pop("kind", None)
    path = folder / f"table{ending if ending in FRAME_ENDINGS else '.parquet'}"
    if kind == _AS_IS:
        path.write_bytes(whole)
    else:
        try:
            _write_frame(json.loads(whole), path, kind)
        except Exception:  # what cannot be written need not be read
            return
    read(path, settings)


def _typed_changed(content: bytes, changes: Changes) -> bytes:
    whole, settings = parts_of(content)
    if changes.one_in(8):
        more = {
            "kind": changes.random.choice(_KINDS),
            "ending": changes.random.choice(_WRITERS),
        }
        kept_as_is = settings.get("kind") == _AS_IS
        return input_of(whole, **{**settings, **(more if not kept_as_is else {})})
    if changes.one_in(5):
        return input_of(whole, **_settings_changed(settings, changes))
    if settings.get("kind") != _AS_IS:
        whole = json_changed(whole, changes)
    elif zipfile.is_zipfile(io.BytesIO(whole)):
        whole = zip_changed(whole, changes, lambda _, inside, more: text_changed(inside, more))
    else:
        whole = changes.raw(whole)
    return input_of(whole, **settings)


def _settings_changed(settings: dict[str, Any], changes: Changes) -> dict[str, Any]:
    found = changes.data(settings)
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


# Manifests ----------------------------------------------------------------------------------------

_MANIFEST = "path,label,split,speaker\na.png,x,train,1\nb.png,o,test,2\nsub/c.png,x,train,1\n"


def _read_manifest(content: bytes, folder: Path) -> None:
    for name in ("a.png", "b.png", "sub/c.png", "\u00e9.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    path = folder / "list.csv"
    path.write_bytes(content)
    for group in (None, "speaker"):
        with refused(DataError):
            check(manifest.read(str(path), group=group))
    with refused(DataError):
        check(Files(path=str(path)).open(Request(suffixes=frozenset({".png"}))))
    with refused(DataError):
        starter_for("a name", "spec.yaml", str(path))
    with refused(DataError):
        look_at(str(path), form=Form(encoding="latin-1"))


TARGETS = (
    Target("table", "tables that are text", _seeds, _read_text, _table_changed),
    Target("frame", "Parquet, Feather, Excel and Stata", _typed_seeds, _read_typed, _typed_changed),
    Target(
        "manifest",
        "lists of files and labels",
        lambda: [_MANIFEST.encode(), _MANIFEST.replace(",", "\t").encode(), b"path,label\n"],
        _read_manifest,
        text_changed,
    ),
)
