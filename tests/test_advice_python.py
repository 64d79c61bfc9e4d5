"""Advice on calls from Python is followed, and works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import gridcnn
from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.table import TableAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.errors import GridcnnError

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(40, 6))
FLAT = RANDOM.integers(0, 255, (40, 64), np.uint8)
LABELS = ["x", "y"] * 20
GROUPS = [f"g{number // 4}" for number in range(40)]
WORDS = [f"{'tea' if number % 2 else 'sun'} {number}" for number in range(40)]
GAPS = np.where(RANDOM.random(ROWS.shape) < 0.1, np.nan, ROWS)
QUICK: dict[str, Any] = {"check": "off", "head": "voting", "training": {"epochs": 1}}


def run(folder: Path, data: Any, adapter: Any = None, section: Any = None, **more: Any) -> Any:
    """Train a small model; `section` is what the spec says of the data."""
    more |= {} if section is None else {"data": section}
    spec = {**QUICK, **({} if adapter is None else {"adapter": adapter}), **more}
    return gridcnn.run(spec, data=data, out=folder)


def saved(folder: Path) -> Path:
    """Return a file that is no model."""
    path = folder / "model.gridcnn"
    path.write_bytes(b"mine")
    return path


Call = Callable[[Path], Any]
ADVICE: list[tuple[Call, str, Call]] = [
    # What fails; what it says; what works.
    # Labels and items in memory
    (
        lambda f: run(f / "a", (ROWS, [*LABELS[:-1], None])),
        "give every item a label, or leave it out",
        lambda f: run(f / "b", (ROWS[:-1], LABELS[:-1])),
    ),
    (
        lambda f: run(f / "a", (ROWS, [1, "1"] * 20)),
        "[str(label) for label in y]",
        lambda f: run(f / "b", (ROWS, [str(label) for label in [1, 2] * 20])),
    ),
    (
        lambda f: run(f / "a", (ROWS, np.eye(2)[[0, 1] * 20])),
        "give y.argmax(axis=1)",
        lambda f: run(f / "b", (ROWS, np.eye(2)[[0, 1] * 20].argmax(axis=1))),
    ),
    (
        lambda f: run(f / "a", (ROWS, [[1, 0], [0, 0]] * 20)),
        "write head: {voting: {labels: several}}",
        lambda f: run(
            f / "b", (ROWS, [[1, 0], [0, 0]] * 20), head={"voting": {"labels": "several"}}
        ),
    ),
    (
        lambda f: run(f / "a", (ROWS, LABELS[1:])),
        "give one label for each item",
        lambda f: run(f / "b", (ROWS, LABELS)),
    ),
    (
        lambda f: run(f / "a", (ROWS, RANDOM.random(40))),
        "for classes, give texts or whole numbers",
        lambda f: run(f / "b", (ROWS, (ROWS[:, 0] > 0).astype(int))),
    ),
    (
        lambda f: run(f / "a", (ROWS, [f"c{number}" for number in range(40)])),
        "give the column, or the list, of the classes",
        lambda f: run(f / "b", (ROWS, LABELS)),
    ),
    (
        lambda f: run(f / "a", (ROWS, LABELS), section={"group": "who"}),
        "give a DataFrame, or a Dataset with groups",
        lambda f: run(
            f / "b",
            pd.DataFrame(ROWS, columns=list("abcdef")).assign(label=LABELS, who=GROUPS),
            "table",
            section={
                "source": {"table": {"path": "t.csv", "input": list("abcdef"), "label": "label"}},
                "group": "who",
            },
        ),
    ),
    # Adapters
    (
        lambda f: run(f / "a", (GAPS, LABELS), "table"),
        "set 'missing: mean' or 'missing: zero' of table",
        lambda f: [
            run(f / how, (GAPS, LABELS), {"table": {"missing": how}}) for how in ("mean", "zero")
        ],
    ),
    (
        lambda f: run(f / "a", (FLAT, LABELS), "image"),
        "give X.reshape(-1, rows, columns)",
        lambda f: run(f / "b", (FLAT.reshape(-1, 8, 8), LABELS), "image"),
    ),
    (
        lambda f: run(f / "a", (FLAT, LABELS), "image"),
        "set adapter: table",
        lambda f: run(f / "b", (FLAT.astype(float), LABELS), "table"),
    ),
    (
        lambda f: run(f / "a", (ROWS + 1j, LABELS), "array"),
        "give the magnitudes, numpy.abs(X), or real and imaginary parts as two channels",
        lambda f: run(f / "b", (np.abs(ROWS + 1j), LABELS), "array"),
    ),
    (
        lambda f: run(f / "a", ([word.encode() for word in WORDS], LABELS), "text"),
        "decode it first, as with .decode('utf-8'), or set 'unit: byte' of text",
        lambda f: run(
            f / "b", ([word.encode() for word in WORDS], LABELS), {"text": {"unit": "byte"}}
        ),
    ),
    (
        lambda f: run(f / "a", (["", *WORDS[1:]], LABELS), "text"),
        "set 'empty: allow' of text",
        lambda f: run(f / "b", (["", *WORDS[1:]], LABELS), {"text": {"empty": "allow"}}),
    ),
    (
        lambda f: TextAdapter(length=4).shape(),
        "train it, or set 'alphabet'",
        lambda f: TextAdapter(alphabet="abc", length=4).shape(),
    ),
    (
        lambda f: TextAdapter(alphabet="abc").shape(),
        "or set 'length'",
        lambda f: TextAdapter(alphabet="abc", length=4).shape(),
    ),
    (
        lambda f: MoleculeAdapter(length=4).shape(),
        "train it, or set 'alphabet'",
        lambda f: MoleculeAdapter(length=4, alphabet=("C", "O")).shape(),
    ),
    (
        lambda f: MoleculeAdapter(isomeric=False),
        "set 'canonical: true' too",
        lambda f: MoleculeAdapter(isomeric=False, canonical=True),
    ),
    (
        lambda f: ArrayAdapter().shape(),
        "or set 'size' and 'channels'",
        lambda f: ArrayAdapter(size=(2, 3), channels=1).shape(),
    ),
    (
        lambda f: TableAdapter().shape(),
        "or set 'size'",
        lambda f: TableAdapter(size=(1, 6)).shape(),
    ),
    (
        lambda f: TableAdapter(channels=4).fitted(ROWS),
        "set 'channels' and 'size' of table",
        lambda f: TableAdapter(channels=3, size=(1, 2)).fitted(ROWS),
    ),
    (
        lambda f: TableAdapter(size=(1, 6)).adapt(ROWS[0]),
        "or set them, or 'scaling: none'",
        lambda f: TableAdapter(size=(1, 6), scaling="none").adapt(ROWS[0]),
    ),
    (
        lambda f: AudioAdapter(sample_rate=8_000).shape(),
        "or set 'duration'",
        lambda f: AudioAdapter(sample_rate=8_000, duration=1.0).shape(),
    ),
    # Training
    (
        lambda f: gridcnn.run(
            {"adapter": "array", "check": "off"}, data=(ROWS, LABELS), out=f / "a"
        ),
        "add head: voting",
        lambda f: run(f / "b", (ROWS, LABELS), "array", head="voting"),
    ),
    (
        lambda f: gridcnn.GridClassifier(epochs=1, patience=2, validation_fraction=0.0).fit(
            ROWS, LABELS
        ),
        "set validation_fraction too",
        lambda f: gridcnn.GridClassifier(
            epochs=1, patience=2, validation_fraction=0.2, check="off"
        ).fit(ROWS, LABELS),
    ),
    (
        lambda f: gridcnn.GridClassifier(epochs=1).fit(*unordered()),
        'give check="warn"',
        lambda f: warned(lambda: gridcnn.GridClassifier(epochs=1, check="warn").fit(*unordered())),
    ),
    (
        lambda f: run(f / "a", unordered(), "table", check="reject"),
        "set check: warn",
        lambda f: warned(lambda: run(f / "b", unordered(), "table", check="warn")),
    ),
    # Models
    (
        lambda f: run(f / "a", (ROWS, LABELS)).model.save(saved(f)),
        "give another name, or overwrite=True",
        lambda f: run(f / "b", (ROWS, LABELS)).model.save(saved(f), overwrite=True),
    ),
    (
        lambda f: gridcnn.evaluate(run(f / "a", (ROWS, LABELS)).model, (ROWS, LABELS), threads=1),
        "give engine and threads to gridcnn.load",
        lambda f: gridcnn.evaluate(
            gridcnn.load(run(f / "b", (ROWS, LABELS)).folder, threads=1), (ROWS, LABELS)
        ),
    ),
    (
        lambda f: gridcnn.evaluate(run(f / "a", (ROWS, LABELS)).model, (ROWS, LABELS), part="tset"),
        "choose train, validation, test or all",
        lambda f: gridcnn.evaluate(run(f / "b", (ROWS, LABELS)).model, (ROWS, LABELS), part="all"),
    ),
    (
        lambda f: gridcnn.check(ROWS, LABELS[1:]),
        "give one for each row",
        lambda f: gridcnn.check(ROWS, LABELS),
    ),
    (
        lambda f: gridcnn.check("digits", LABELS),
        "leave the labels out",
        lambda f: gridcnn.check("digits"),
    ),
]


def unordered() -> tuple[Any, list[str]]:
    """Return rows in which the order of columns means nothing, with their labels."""
    values = np.random.default_rng(1).normal(size=(300, 10))
    return values, np.where(values[:, 0] + values[:, 7] > 0, "a", "b").tolist()


def warned(call: Callable[[], Any]) -> Any:
    """Call what warns."""
    with pytest.warns(UserWarning, match="the data is no grid"):
        return call()


@pytest.mark.parametrize(
    ("wrong", "advice", "right"),
    ADVICE,
    ids=[f"{number}: {entry[1][:40]}" for number, entry in enumerate(ADVICE)],
)
def test_advice_is_followed_and_works(
    tmp_path: Path, wrong: Call, advice: str, right: Call
) -> None:
    with pytest.raises(GridcnnError) as caught:
        wrong(tmp_path)

    assert advice in str(caught.value)
    right(tmp_path)


# Manifests and arrays ----------------------------------------------------------------------------


def pictures(folder: Path) -> None:
    """Write pictures, and a manifest of them."""
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")


def manifest(folder: Path, **changes: Any) -> str:
    """Write a manifest whose columns are changed; return its path."""
    frame = pd.DataFrame(
        {
            "path": [f"{number:02}.png" for number in range(24)],
            "label": ["a", "b"] * 12,
            "who": [f"w{number // 4}" for number in range(24)],
        }
    )
    for name, values in changes.items():
        frame[name] = values(frame) if callable(values) else values
    frame.to_csv(folder / "list.csv", index=False)
    return str(folder / "list.csv")


@pytest.mark.parametrize(
    ("wrong", "advice", "right"),
    [
        (
            {"path": lambda frame: [frame.path[0], *frame.path[:-1]]},
            "list every file once",
            {},
        ),
        ({"label": lambda frame: ["", *frame.label[1:]]}, "give every item a label", {}),
        ({"path": lambda frame: ["", *frame.path[1:]]}, "the path is empty", {}),
        ({"path": lambda frame: "./sub\\" + frame.path}, "write / between folders", {}),
        (
            {"path": lambda frame: ["https://example.org/a.png", *frame.path[1:]]},
            "download it, and give its path",
            {},
        ),
        (
            {"split": lambda frame: ["tset", *["train"] * 23]},
            "did you mean 'test'?",
            {"split": ["test", "test", *["train"] * 22]},
        ),
        (
            {"split": lambda frame: ["", *["train"] * 23]},
            "give train, validation or test in every row, or in none",
            {"split": [""] * 24},
        ),
        (
            {"who": lambda frame: ["", *frame.who[1:]]},
            "give every row a group",
            {},
        ),
    ],
)
def test_advice_on_manifests_is_followed(
    tmp_path: Path, wrong: dict[str, Any], advice: str, right: dict[str, Any]
) -> None:
    pictures(tmp_path)
    group = {"group": "who"} if "who" in wrong else {}

    with pytest.raises(GridcnnError) as caught:
        run(tmp_path / "a", manifest(tmp_path, **wrong), "image", section=group)

    assert advice in str(caught.value)
    run(tmp_path / "b", manifest(tmp_path, **right), "image", section=group)


def test_advice_on_arrays_is_followed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    with pytest.raises(GridcnnError, match=r"numpy.savez\(file, X=..., y=...\)"):
        run(tmp_path / "a", str(tmp_path / "a.npy"), "array")

    np.savez(tmp_path / "a.npz", X=ROWS, y=LABELS)
    run(tmp_path / "b", str(tmp_path / "a.npz"), "array")


def test_advice_on_groups_is_followed(tmp_path: Path) -> None:
    """A group in two parts: one of the two remedies is `data.parts: ignore`."""
    pictures(tmp_path)
    split = ["train", "train", "test", "test"] * 6
    path = manifest(tmp_path, split=split)

    with pytest.raises(GridcnnError, match=r"or set data\.parts: ignore"):
        run(tmp_path / "a", path, "image", section={"group": "who"})

    run(tmp_path / "b", path, "image", section={"group": "who", "parts": "ignore"})
