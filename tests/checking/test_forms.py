"""`gridcnn.check`: from whatever the data is to a verdict, or one clear line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import yaml
from numpy.typing import NDArray
from PIL import Image

import gridcnn
from gridcnn import Verdict
from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import DataError, UnknownNameError
from gridcnn.order.judge import judge_columns
from gridcnn.order.judging import Judging, sample_rows
from gridcnn.order.layouts import Layout
from gridcnn.order.sample import column_in
from gridcnn.progress import Progress
from gridcnn.spec.load import load

Floats = NDArray[np.float64]


def walks(rows: int = 200, columns: int = 20) -> Floats:
    """Return series, whose columns are ordered."""
    return np.cumsum(np.random.default_rng(0).normal(size=(rows, columns)), axis=1)


def factors(rows: int = 300, columns: int = 12) -> Floats:
    """Return columns that all depend on each other, whatever their order."""
    random = np.random.default_rng(1)
    return random.normal(size=(rows, 2)) @ random.normal(size=(2, columns)) + 0.3 * random.normal(
        size=(rows, columns)
    )


def blurred(items: int = 200, size: int = 9) -> Floats:
    """Return pictures in which cells beside each other are alike."""
    noise = np.random.default_rng(2).normal(size=(items, size + 2, size + 2))
    return (
        noise[:, :-2, 1:-1]
        + noise[:, 2:, 1:-1]
        + noise[:, 1:-1, :-2]
        + noise[:, 1:-1, 2:]
        + 2 * noise[:, 1:-1, 1:-1]
    )


def told(verdict: Verdict, text: str) -> bool:
    return any(text in sentence for sentence in verdict.evidence)


# Forms ------------------------------------------------------------------------------------------


def csv_of(values: Floats, folder: Path, name: str = "table.csv", sep: str = ",") -> str:
    pd.DataFrame(values, columns=[f"c{n}" for n in range(values.shape[1])]).to_csv(
        folder / name, index=False, sep=sep
    )
    return str(folder / name)


def forms(values: Floats, folder: Path) -> dict[str, Any]:
    """Return the same table in every form."""
    X = values
    names = [f"c{n}" for n in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names)
    frame.to_json(folder / "t.jsonl", orient="records", lines=True, double_precision=15)
    frame.to_parquet(folder / "t.parquet")
    np.save(folder / "t.npy", X)
    np.savez(folder / "t.npz", X=X)
    return {
        "array": X,
        "frame": frame,
        "list": X.tolist(),
        "sparse": scipy.sparse.csr_array(X),
        "csv": csv_of(X, folder),
        "tsv": csv_of(X, folder, "t.tsv", "\t"),
        "lines": folder / "t.jsonl",
        "parquet": str(folder / "t.parquet"),
        "npy": str(folder / "t.npy"),
        "npz": str(folder / "t.npz"),
    }


@pytest.mark.parametrize("values", [walks(), factors()], ids=["walks", "factors"])
def test_every_form_of_a_table_has_the_same_verdict(values: Floats, tmp_path: Path) -> None:
    """That of the core, from the same numbers."""
    X = values
    columns = [column_in("", values, np.arange(len(X))) for values in X.T]
    expected = judge_columns(columns, None, rows=len(X), judging=Judging())

    for name, form in forms(X, tmp_path).items():
        found = gridcnn.check(form)
        assert found.decision == expected.decision, name
        assert found.layout == expected.layout, name
        assert found.neighbours == expected.neighbours, name


def test_a_series_is_a_grid_and_shuffled_it_is_not() -> None:
    """The two verdicts that this is about."""
    X = walks()

    assert gridcnn.check(X).decision == "grid"
    assert gridcnn.check(factors()).decision == "permutable"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("last", [False, True])
def test_stacks_are_judged_on_each_axis(channels: int, last: bool) -> None:
    """Grids with channels first or last, or without."""
    stack = np.stack([blurred() for _ in range(channels)], axis=3 if last else 1)
    if channels == 1:
        stack = stack.reshape(200, 9, 9)

    found = gridcnn.check(stack)

    assert found.decision == "grid"
    assert [(axis.name, axis.decision) for axis in found.axes] == [
        ("row", "grid"),
        ("column", "grid"),
    ]
    assert not any("adapter" in sentence for sentence in found.advice)


def test_only_one_axis_may_have_an_order() -> None:
    """Rows of a picture in a random order, the same for every picture."""
    order = np.random.default_rng(0).permutation(12)

    found = gridcnn.check(blurred(300, 12)[:, order])

    assert found.decision == "grid"
    assert [axis.decision for axis in found.axes] == ["permutable", "grid"]


def test_large_grids_are_judged_by_their_middle() -> None:
    """As many cells as can be compared, and this is told."""
    stack = np.zeros((30, 9, 400))
    stack[:] = np.cumsum(np.random.default_rng(0).normal(size=stack.shape), axis=2)
    stack = np.cumsum(stack, axis=1)

    found = gridcnn.check(stack)

    assert found.decision == "grid"
    assert told(found, "cells in the middle of 9 x 400")
    assert [axis.decision for axis in found.axes] == ["grid", "grid"]


def test_missing_cells_of_grids_are_tolerated() -> None:
    """And told."""
    stack = blurred()
    stack[::7, 3, 3] = np.nan

    found = gridcnn.check(stack)

    assert found.decision == "grid"
    assert told(found, "values are missing or infinite")


def test_many_rows_are_sampled() -> None:
    """And this is told, with the labels of the same rows."""
    X = np.tile(factors(500, 4), (10, 1))
    kept = sample_rows(5_000, 3)

    found = gridcnn.check(X, seed=3)

    assert found.rows == 5_000
    assert told(found, f"looked at {len(kept):,} of 5,000 rows")


@pytest.mark.parametrize("rows", [300, 6_000])
def test_a_column_that_counts_the_rows_is_set_aside(rows: int, tmp_path: Path) -> None:
    """Whether all rows are looked at or some."""
    X = np.column_stack([np.arange(rows) + 1, np.tile(walks(300, 9), (rows // 300, 1))])

    for form in (X, csv_of(X, tmp_path)):
        found = gridcnn.check(form)
        assert found.structure is not None
        assert found.structure.aside == (0,)
        assert told(found, "set aside, as they are of another kind (identifier)")


def test_mixed_tables_are_permutable_and_their_example_runs() -> None:
    """Numbers beside categories, with cells missing in every way that pandas has."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, 200),
            "town": random.choice(["York", "Bath", "Hull"], 200),
            "sex": random.choice(["f", "m"], 200),
            "since": pd.date_range("2020-01-01", periods=200),
            "size": pd.array([None if n % 9 == 0 else n % 13 for n in range(200)], dtype="Int64"),
        }
    )
    frame.loc[3, "town"] = None

    found = gridcnn.check(frame)

    assert found.decision == "permutable"
    X, y = frame.drop(columns="since"), random.integers(0, 2, 200)
    code = found.advice[0].split("\n")[1:]
    assert len(code) == 2
    exec("\n".join(code), {"X": X, "y": y})


def test_the_example_for_numbers_runs() -> None:
    """As it stands, in two lines."""
    X = factors()

    code = gridcnn.check(X).advice[0].split("\n")[1:]

    assert len(code) == 2
    exec("\n".join(code), {"X": X, "y": np.arange(len(X)) % 2})


@pytest.mark.parametrize(
    "layout",
    [
        Layout(1, 24),
        Layout(4, 6),
        Layout(1, 8, 3),
        Layout(2, 4, 3, interleaved=True),
        Layout(2, 4, 3, interleaved=False),
    ],
    ids=str,
)
def test_the_block_of_advice_is_the_layout(layout: Layout) -> None:
    """What is advised, as a spec, lays columns out as the layout says."""
    from gridcnn.order.wording import layout_advice

    block = layout_advice(layout).split("\n")[1]

    adapter = load(yaml.safe_load(block)).adapter
    assert isinstance(adapter, Adapter)
    items = np.random.default_rng(0).normal(size=(5, 24))
    adapter = type(adapter)(**{**adapter.model_dump(), "scaling": "none"})
    grids = np.asarray(adapter.grids(list(items)).values)
    position, channel = layout.places()
    assert grids.shape == (5, layout.channels, layout.rows, layout.columns)
    for column in range(24):
        row, place = divmod(int(position[column]), layout.columns)
        np.testing.assert_allclose(
            grids[:, channel[column], row, place], items[:, column], rtol=1e-6
        )


def test_pictures_in_folders_go_through_their_adapter(tmp_path: Path) -> None:
    """A folder of class folders; the labels are its own."""
    random = np.random.default_rng(0)
    down, right = np.mgrid[:16, :16]
    for number in range(60):
        middle = random.uniform(3, 13, 2)
        far = np.square(down - middle[0]) + np.square(right - middle[1])
        folder = tmp_path / f"class{int(middle[0] > 8)}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.uint8(255 * np.exp(-far / 9))).save(folder / f"{number}.png")
    spec = {
        "data": {"source": str(tmp_path)},
        "adapter": {"image": {"size": [8, 8], "channels": 1}},
    }

    found = gridcnn.check(spec, threads=1)

    assert found.columns == 64
    assert found.decision == "grid"
    assert [axis.size for axis in found.axes] == [8, 8]
    assert found.rows == 43
    assert told(found, "judged by training items alone: 43 of 60 items")
    assert found.usefulness is not None


def test_specs_bring_their_data(tmp_path: Path) -> None:
    """By a mapping; a table's columns are judged as such."""
    csv_of(np.column_stack([walks(60, 12), np.arange(60) % 2]), tmp_path)
    spec = {
        "data": {"source": {"table": {"path": str(tmp_path / "table.csv"), "label": "c12"}}},
        "adapter": "table",
    }

    found = gridcnn.check(spec, threads=1)

    assert found.decision == "grid"
    assert found.columns == 12


def test_texts_in_a_table_are_judged_by_position(tmp_path: Path) -> None:
    """Where the only column beside the label is of texts."""
    random = np.random.default_rng(0)
    # A walk through an alphabet, so that each letter depends on the one before.
    steps = random.integers(-2, 3, (200, 30)).cumsum(axis=1) % 20
    texts = ["".join(chr(ord("a") + step) for step in row) for row in steps.tolist()]
    pd.DataFrame({"text": texts, "y": random.integers(0, 2, 200)}).to_csv(
        tmp_path / "t.csv", index=False
    )

    found = gridcnn.check(tmp_path / "t.csv", "y", threads=1)

    assert found.decision == "grid"
    assert [axis.name for axis in found.axes] == ["character", "position"]


# Labels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["array", "series", "list", "column", "texts"])
def test_labels_come_in_many_forms(form: str) -> None:
    """The same classes give the same accuracies."""
    X, y = walks(60, 8), np.arange(60) % 2
    data: Any = X
    given: Any = {
        "array": y,
        "series": pd.Series(y, index=np.arange(60) + 5),
        "list": y.tolist(),
        "column": "c8",
        "texts": [f"class {label}" for label in y],
    }[form]
    if form == "column":
        data = pd.DataFrame(np.column_stack([X, y]), columns=[f"c{n}" for n in range(9)])

    found = gridcnn.check(data, given, threads=1)

    assert found.columns == 8
    assert found.usefulness is not None
    assert found.usefulness == gridcnn.check(X, y, threads=1).usefulness


def test_names_of_columns_have_no_say() -> None:
    """Whatever they are."""
    X = walks()
    given = gridcnn.check(pd.DataFrame(X, columns=[f"pixel{n}" for n in range(20)]))
    neutral = gridcnn.check(pd.DataFrame(X, columns=["x"] * 20))

    assert given.decision == neutral.decision
    assert given.neighbours == neutral.neighbours
    assert told(neutral, "several columns have the same name: 'x'")


def test_amounts_are_no_classes() -> None:
    """They are left out, and this is told."""
    found = gridcnn.check(walks(), np.linspace(0, 1, 200))

    assert found.usefulness is None
    assert told(found, "y holds amounts, not classes")


def test_a_column_that_may_be_the_label_is_pointed_out() -> None:
    """And counts as data, since nobody said otherwise."""
    frame = pd.DataFrame(walks(), columns=[*(f"c{n}" for n in range(19)), "class"])

    found = gridcnn.check(frame)

    assert found.columns == 20
    assert told(found, "every column counts as data, 'class' as well; name it as the label")


def test_columns_with_the_same_values_are_told() -> None:
    """They can be neighbours for no other reason."""
    X = factors()
    X[:, 7] = X[:, 2]

    assert told(gridcnn.check(X), "same values as another: 'X[:, 7]' as 'X[:, 2]'")


def test_constant_and_missing_columns_are_told() -> None:
    """They have no say."""
    X = walks()
    X[:, 4] = 1.0
    X[3, 5], X[4, 5] = np.nan, np.inf

    found = gridcnn.check(X)

    assert found.decision == "grid"
    assert told(found, "1 of 20 columns have only one value")
    assert told(found, "2 of 4,000 values are missing or infinite")


# Bad input --------------------------------------------------------------------------------------

BAD: list[tuple[Any, Any, str]] = [
    (np.zeros((30, 2)), None, "2 columns have no order to speak of; at least 3 are needed"),
    (walks(1), None, "1 row is too few to compare columns by"),
    (np.ones((50, 5)), None, "all 5 columns have only one value"),
    (np.ones((50, 5, 5)), None, "all cells of all items have one value"),
    (np.zeros(5), None, "got an array of shape (5,)"),
    (np.zeros((0, 5)), None, "got an array of shape (0, 5)"),
    (np.zeros((30, 5), complex), None, "complex numbers have no order"),
    (np.full((30, 5, 5), "x"), None, "grids hold numbers; these hold <U1"),
    ([[1, 2, 3], [1, 2]], None, "row 1 has 3 cells, but most rows have 3"),
    ([1, 2, 3], None, "a single column"),
    (["a", "b"], None, "whose first item is 'a'"),
    ([], None, "got a list of 0 items"),
    (7, None, "data is an array or a list of rows"),
    (walks(), [0, 1], "there are 200 rows, but 2 labels; give one for each row"),
    (walks(), [np.nan, *[0.0] * 199], "1 of 200 labels in y are missing, the first in row 1"),
    (walks(), 5, "y is a list of labels"),
    (walks(), "label", "there is no column 'label'"),
    (walks(), [[0]] * 200, "a label is a text"),
    (pd.DataFrame(walks()), "lable", "has no column 'lable'"),
    (pd.DataFrame(walks(), columns=["a"] * 20), "a", "20 columns are named 'a'"),
]


@pytest.mark.parametrize(("given", "y", "message"), BAD, ids=[bad[2] for bad in BAD])
def test_bad_input_is_told_in_one_line(given: Any, y: Any, message: str) -> None:
    """No verdict is invented."""
    if message.startswith("row 1 has 3"):
        message = "cells, but most rows have"
    with pytest.raises(DataError, match=re.escape(message)):
        gridcnn.check(given, y)


def test_shapes_have_to_fit() -> None:
    """And belong to tables."""
    with pytest.raises(DataError, match="a grid of 5 x 5 has 25 cells, but there are 20 columns"):
        gridcnn.check(walks(), shape=(5, 5))
    with pytest.raises(DataError, match="a shape is for the columns of a table"):
        gridcnn.check(blurred(), shape=(9, 9))
    assert gridcnn.check(walks(), shape=(1, 20)).decision == "grid"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.bin", b"abc", "is neither a table nor a data set"),
        ("x.npy", b"abc", "is not a NumPy file"),
        ("x.npz", b"abc", "is not a NumPy file"),
        ("x.csv", b"a,b,c\n1,2,3\n", "1 row is too few"),
        ("x.csv", b"a,b\n", "has no rows"),
    ],
)
def test_bad_files_are_told_with_their_name(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    """Whatever they hold."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DataError, match=message) as caught:
        gridcnn.check(tmp_path / name)

    assert name in str(caught.value)


def test_unknown_names_are_told() -> None:
    """With the nearest one."""
    with pytest.raises(DataError, match=r"data set or ready spec; did you mean 'digits'"):
        gridcnn.check("digit")
    with pytest.raises((DataError, UnknownNameError), match="there is no such file"):
        gridcnn.check("nowhere/table.csv")
    with pytest.raises(DataError, match="data sets and folders have their own labels"):
        gridcnn.check("digits", "label")


def test_arrays_of_files_may_have_labels(tmp_path: Path) -> None:
    """In an `.npz` file; its parts are joined."""
    X, y = walks(60, 8), np.arange(60) % 2
    np.savez(tmp_path / "t.npz", X_train=X[:40], y_train=y[:40], X_test=X[40:], y_test=y[40:])

    found = gridcnn.check(tmp_path / "t.npz", threads=1)

    assert found.rows == 60
    assert found.usefulness is not None
    with pytest.raises(DataError, match="an array has no column 'y'"):
        gridcnn.check(tmp_path / "t.npz", "y")


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """Since opening one can run any program."""
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)

    with pytest.raises(DataError, match="opening those can run any program"):
        gridcnn.check(tmp_path / "x.npy")


def test_progress_is_told() -> None:
    """What is being done, how much of it is done, and how much there is."""
    steps: list[Progress] = []

    gridcnn.check(walks(60, 8), np.arange(60) % 2, threads=1, advance=steps.append)

    assert {each.what for each in steps} == {"comparing neighbours", "training on shuffles"}
    assert all(0 < each.done <= each.total for each in steps)


def test_the_same_seed_gives_the_same_verdict() -> None:
    """Bit for bit; another may draw other orders."""
    X = np.tile(factors(columns=8), (15, 1))

    first, second = gridcnn.check(X, seed=1), gridcnn.check(X, seed=1)

    assert first.neighbours == second.neighbours
    assert first.evidence == second.evidence


@pytest.mark.parametrize(
    ("rows", "columns", "y", "wanted"),
    [
        (100, 4, False, ["4 more columns (4 have too few", "labels, to measure"]),
        (
            100,
            12,
            False,
            ["100 show correlations from about 0.20 on, and 400 would show", "0.10 on"],
        ),
        (100, 7, True, ["1 more column (7", "more rows with labels: from 100 the network learns"]),
    ],
)
def test_undecided_data_is_told_what_it_lacks(
    rows: int, columns: int, y: bool, wanted: list[str]
) -> None:
    """How many columns or rows more."""
    random = np.random.default_rng(5)
    X = random.normal(size=(rows, columns))

    found = gridcnn.check(X, random.integers(0, 2, rows) if y else None, threads=1)

    assert found.decision == "undecided"
    assert all(text in found.advice[0] for text in wanted), found.advice
