"""Pages of explanations: what they show of pictures, sounds, texts, molecules and numbers."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.errors import DataError, RunFolderError, SpecError
from gridcnn.grid import GridShape
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.progress import Progress
from gridcnn.report.explaining.explanation import Explanation, explain
from gridcnn.report.explaining.original import original_of
from gridcnn.report.explaining.pages import (
    explanation_page,
    page_data,
    shrink,
    shrinking,
)
from gridcnn.report.explaining.structure import structure_of
from gridcnn.report.explaining.words import sentence_of
from gridcnn.spec.load import load
from tests.browser import Pages, faults_at_widths, faults_of, overflows

pytestmark = pytest.mark.slow

WILD = '<script>alert("&")</script><!-- <img src=x onerror=alert(1)>'
CONV = [{"convolution": {"filters": 4}}, "rectification", "pooling"]
TEXTS = [{"convolution": {"filters": 6, "kernel_size": ["all", 3]}}, "rectification",
         {"pooling": {"window": "all"}}]  # fmt: skip
RANDOM = np.random.default_rng(0)
PICTURE = (RANDOM.random((20, 24, 3)) * 255).astype(np.uint8)
SOUND = np.sin(np.arange(6000) / 8000 * 2 * np.pi * 440).astype(np.float32) * 0.5
SMILES = "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]"
KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "picture": ({"adapter": {"image": {"size": [12, 14]}}, "stages": CONV}, PICTURE),
    "colours": (
        {
            "adapter": {"image": {"size": [12, 12], "channels": 3}},
            "stages": [*CONV, {"convolution": {"filters": 3}}, "normalization", "rectification"],
            "head": {"voting": {"hidden": [5]}},
        },
        PICTURE,
    ),
    "sound": (
        {
            "adapter": {"audio": {"sample_rate": 8000, "duration": 0.8, "n_mels": 20}},
            "stages": [{"skip": {"stages": CONV[:2]}}, *CONV],
        },
        SOUND,
    ),
    "text": (
        {"adapter": {"text": {"alphabet": "abc <", "length": 12}}, "stages": TEXTS},
        "ab <b> cab",
    ),
    "words": (
        {
            "adapter": {"text": {"unit": "word", "alphabet": ["you", "won"], "length": 5}},
            "stages": TEXTS,
        },
        "you have won <b>",
    ),
    "molecule": (
        {
            "adapter": {
                "molecule": {"alphabet": ["C", "O", "(", ")", "=", "c", "1"], "length": 30}
            },
            "stages": TEXTS,
        },
        SMILES,
    ),
    "series": (
        {
            "adapter": {"table": {"scaling": "none", "size": [1, 40]}},
            "stages": [{"convolution": {"filters": 3, "kernel_size": [1, 5]}}, "rectification"],
        },
        np.sin(np.arange(40) / 3).astype(np.float32),
    ),
    "labels": (
        {
            "adapter": {"image": {"size": [8, 8]}},
            "stages": CONV,
            "head": {"voting": {"labels": "several"}},
        },
        PICTURE[:, :, 0],
    ),
}


def model_of(kind: str, classes: tuple[str, ...] = (WILD, "b", "c")) -> Model:
    """Return a model with starting weights, which nothing has trained."""
    content = {"name": "made", "head": "voting", **KINDS[kind][0]}
    spec = load(content)
    assert spec.adapter is not None
    if kind == "series":
        spec = spec.model_copy(update={"adapter": spec.adapter.fitted([KINDS[kind][1]] * 2)})
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=len(classes))
    return Model(spec, classes, network.starting_parameters(), engine="reference")


@pytest.fixture(scope="module")
def made() -> Callable[[str], Explanation]:
    """Return the maker of explanations, each of which is made once."""
    kept: dict[str, Explanation] = {}

    def make(kind: str) -> Explanation:
        if kind not in kept:
            kept[kind] = model_of(kind).explain(KINDS[kind][1], name=WILD)
        return kept[kind]

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_figures_agree_with_the_model(made: Callable[[str], Explanation], kind: str) -> None:
    """Votes are those of `votes`, maps those of `maps`, and cells add up to the logits."""
    found = made(kind)
    model, thing = found.model, KINDS[kind][1]

    np.testing.assert_array_equal(found.votes, model.votes([thing])[0])
    label = model.network.ops[0].label
    np.testing.assert_allclose(found.maps(1), model.maps([thing], after=label)[0], atol=1e-4)
    assert found.election is not None
    logits = model.engine.logits(model.parameters, found.cells)[0]
    np.testing.assert_allclose(found.election.logits, logits, atol=1e-4)
    plain = json.loads(json.dumps(found.plain(), allow_nan=False))
    assert plain["votes"] == {
        str(name): round(float(vote), 6)
        for name, vote in zip(model.classes, found.votes, strict=True)
    }
    assert plain["election"]["classes"]["b"]["logit"] == pytest.approx(logits[1], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_data_of_the_page_is_that_of_the_explanation(
    made: Callable[[str], Explanation], kind: str
) -> None:
    """Every stage but the head; the strongest maps; importance in the shape of the grid."""
    found = made(kind)
    data = page_data(found)

    assert [stage["label"] for stage in data["stages"]] == [
        op.label for op in found.model.network.ops[:-1]
    ]
    for stage in data["stages"]:
        best = [found.maps(stage["value"])[number].max() for number in stage["numbers"]]
        assert best == sorted(best, reverse=True)
        np.testing.assert_array_equal(stage["maps"], found.maps(stage["value"])[stage["numbers"]])
    shape = found.model.shape
    rows = 1 if found.one_hot else shape.rows
    for maps in (data["importance"]["trained"], data["importance"]["random"]):
        assert all(cells.shape == (rows, shape.columns) for cells in maps.values())
    assert len(found.page()) < 3_000_000


def look_at(pages: Pages, found: Explanation, folder: Path, width: int = 1280) -> Any:
    """Open a page, and assert that nothing is wrong with it at any width."""
    path = found.save(folder / "page.html", overwrite=True)
    opened = pages.open(path, width=width)

    assert WILD in opened.title()
    assert opened.locator("code").first.text_content() == WILD
    assert opened.locator("section").count() == 4
    assert faults_at_widths(opened) == []
    opened.set_viewport_size({"width": width, "height": 900})
    blank = opened.evaluate(
        "[...document.querySelectorAll('canvas')].filter(c => !c.width || !c.clientWidth).length"
    )
    assert blank == 0
    return opened


@pytest.mark.parametrize("width", [360, 1280], ids=["few maps", "all maps"])
def test_a_browser_shows_a_picture_on_its_way(
    pages: Pages, made: Callable[[str], Explanation], tmp_path: Path, width: int
) -> None:
    """The mouse, the keyboard and a press on a map tell what is there."""
    found = made("picture")
    opened = look_at(pages, found, tmp_path, width)

    stage = opened.locator("details.walk-stage").first
    canvas = stage.locator(".maps canvas").first
    canvas.scroll_into_view_if_needed()
    canvas.hover()
    tip = opened.locator("#tip")
    number = found.strongest(1)[0]
    assert (tip.text_content() or "").startswith(f"map {number + 1}, row ")
    canvas.focus()
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("Enter")
    said = stage.locator(".sum strong").text_content()
    row, column = map(int, re.findall(r"row (\d+), column (\d+)", tip.text_content() or "")[0])
    assert said is not None
    value = found.maps(1)[number, row - 1, column - 1]
    assert float(said) == pytest.approx(value, rel=1e-3, abs=1e-3)


def test_the_best_match_and_the_election_stand_in_the_page(
    pages: Pages, made: Callable[[str], Explanation], tmp_path: Path
) -> None:
    """With the figures of the explanation; another class can be chosen."""
    found = made("picture")
    opened = pages.open(found.save(tmp_path / "page.html"))
    match, election = found.match, found.election
    assert match is not None
    assert election is not None

    said = opened.locator(".sum strong").first.text_content()
    assert float(said or "") == pytest.approx(match.value, rel=1e-3)
    row = opened.locator("table.election tbody tr").first.locator("td").all_text_contents()
    logit = election.logits[found.target]
    assert float(row[2]) == pytest.approx(logit, rel=1e-3, abs=1e-3)
    assert float(row[0]) + float(row[1]) == pytest.approx(logit, rel=2e-3, abs=2e-3)
    opened.get_by_label("votes for which class").select_option(index=1)
    assert "\u201c" in (opened.locator("section caption").last.text_content() or "")


@pytest.mark.parametrize(
    ("kind", "head", "thing"),
    [("picture", "share of the votes", "class"), ("labels", "vote for this label alone", "label")],
)
def test_the_election_says_what_a_vote_is(
    pages: Pages,
    made: Callable[[str], Explanation],
    tmp_path: Path,
    kind: str,
    head: str,
    thing: str,
) -> None:
    """Classes share the votes; each of several labels is decided alone."""
    found = made(kind)
    opened = pages.open(found.save(tmp_path / "page.html"))

    heads = opened.locator("table.election thead th").all_text_contents()
    assert (heads[0], heads[-1]) == (thing, head)
    shares = opened.locator("table.election tbody td:last-child").all_text_contents()
    logits = found.election.logits if found.election else np.zeros(0)
    alone = 1 / (1 + np.exp(-logits))
    together = np.exp(logits) / np.exp(logits).sum()
    assert sorted(float(each.strip("<> %")) for each in shares) == pytest.approx(
        sorted((100 * (alone if kind == "labels" else together)).tolist()), abs=0.6
    )
    assert opened.get_by_text("Each label is decided alone").count() == (kind == "labels")
    assert opened.get_by_label(f"votes for which {thing}").count() == 1
    assert ("labels" in page_data(found)["election"]["text"]) == (kind == "labels")


@pytest.mark.parametrize("kind", ["sound", "text", "molecule"])
def test_a_browser_shows_sounds_texts_and_molecules(
    pages: Pages, made: Callable[[str], Explanation], tmp_path: Path, kind: str
) -> None:
    """Nothing is wrong, and arrow keys walk through what mattered."""
    opened = look_at(pages, made(kind), tmp_path)

    if kind == "sound":
        opened.wait_for_function("() => document.querySelector('.raw audio').readyState > 0")
        assert opened.evaluate("document.querySelector('.raw audio').duration") == pytest.approx(
            0.75
        )
        assert "frequency (Hz)" in (opened.locator(".axes").first.text_content() or "")
        return
    walked = ".molecule" if kind == "molecule" else ".symbols"
    opened.locator(walked).first.focus()
    opened.keyboard.press("ArrowRight")
    told = opened.locator("#tip").text_content() or ""
    assert told.startswith("atom 2, C: " if kind == "molecule" else "b, position 2: ")


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_browser_shows_every_kind(
    pages: Pages, made: Callable[[str], Explanation], tmp_path: Path, kind: str
) -> None:
    """At every width."""
    look_at(pages, made(kind), tmp_path)


def test_large_maps_are_drawn_by_the_strongest_cells_of_blocks() -> None:
    """Of the absolute values, with their signs; beyond the edge there is nothing."""
    maps = RANDOM.normal(size=(2, 7, 5))

    found = shrink(maps, 3)

    for map_, row, column in np.ndindex(2, 3, 2):
        block = maps[map_, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3].ravel()
        assert found[map_, row, column] == block[np.abs(block).argsort()[-1]]
    assert shrink(maps, 1) is maps
    assert [shrinking(cells) for cells in (100, 16_384, 16_385, 224 * 224)] == [1, 1, 2, 2]


@pytest.mark.long
def test_a_page_of_large_pictures_is_small_enough(pages: Pages, tmp_path: Path) -> None:
    """Maps are drawn smaller, and the arithmetic of a cell is still that of the whole map."""
    stages = [*CONV, {"convolution": {"filters": 32}}, "rectification", "pooling"]
    spec = load(
        {
            "adapter": {"image": {"size": [224, 224], "channels": 3}},
            "stages": [*stages, {"pooling": {"window": "all"}}],
            "head": "voting",
        }
    )
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=2)
    model = Model(spec, (WILD, "b"), network.starting_parameters())
    found = model.explain(PICTURE, name=WILD)

    opened = look_at(pages, found, tmp_path, 800)

    assert len(found.page()) < 3_000_000
    assert found.match is not None
    said = opened.locator(".sum strong").first.text_content()
    assert float(said or "") == pytest.approx(found.match.value, rel=1e-3)


# The page is alive

ALIVE = """(grid) => {
  const data = gridcnn.data;
  const model = data.live;
  const [channels, rows, columns] = model.shape;
  const entering = gridcnn.arithmetic.grid(channels, rows, columns, Float32Array.from(grid));
  const values = gridcnn.arithmetic.forward(model.network, model.parameters.values, entering);
  const parts = data.original.symbols.map((text) => ({ text }));
  const walk = gridcnn.walkParts.walkOf(model, data, null, values, parts);
  const work = gridcnn.walkParts.importanceOf(model, data, walk, values);
  let step = work.next();
  while (!step.done) step = work.next();
  const plain = (value) => (ArrayBuffer.isView(value) ? [...value]
    : Array.isArray(value) ? value.map(plain)
      : value && typeof value === "object"
        ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)])) : value);
  const { live, random, ...rest } = { ...walk, importance: step.value };
  return plain(rest);
}"""


def compare(found: Any, expected: Any, place: str = "") -> None:
    """Assert that what the page has computed is what Python wrote into it."""
    if isinstance(expected, np.ndarray):
        close = 1e-4 * (1 + np.abs(expected).max(initial=0))
        assert found["shape"] == list(expected.shape), place
        np.testing.assert_allclose(found["values"], expected.ravel(), rtol=0, atol=close)
    elif isinstance(expected, dict):
        for name, value in expected.items():
            compare(found[name], value, f"{place}.{name}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), place
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            compare(one, other, f"{place}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3), place
    else:
        assert found == expected, place


@pytest.mark.parametrize(
    "kind",
    [
        "picture",
        "words",
        *(
            pytest.param(kind, marks=pytest.mark.long)
            for kind in KINDS
            if kind not in ("picture", "words")
        ),
    ],
)
def test_the_page_computes_what_python_does(
    pages: Pages, made: Callable[[str], Explanation], tmp_path: Path, kind: str
) -> None:
    """Maps, matches, votes of cells and what mattered, here of the very same item."""
    found = made(kind)
    opened = pages.open(found.save(tmp_path / "page.html"))
    expected = page_data(found)

    alive = opened.evaluate(ALIVE, found.grid.ravel().tolist())

    for name in ("votes", "answer", "target", "election"):
        compare(alive[name], expected[name], name)
    compare(alive["grid"]["cells"], expected["grid"]["cells"])
    for one, other in zip(alive["stages"], expected["stages"], strict=True):
        assert sorted(one["numbers"]) == sorted(other["numbers"])
        if one["numbers"] == other["numbers"]:  # else two maps are equally strong but for rounding
            compare(one, other, other["label"])
    for which in ("trained", "random"):
        compare(alive["importance"][which], expected["importance"][which], which)
    for name, value in expected["importance"]["likeness"].items():
        if value is not None:
            assert alive["importance"]["likeness"][name] == pytest.approx(value, abs=0.02)


def test_a_changed_text_is_followed_by_every_panel(
    pages: Pages, made: Callable[[str], Explanation], tmp_path: Path
) -> None:
    """And the page comes back to its own item."""
    found = made("text")
    opened = pages.open(found.save(tmp_path / "page.html"))
    before = opened.locator(".verdict").text_content()

    opened.locator("details.change > summary").click()
    opened.locator("textarea").fill("cab <")

    opened.wait_for_function(
        "() => document.querySelector('blockquote.text').textContent === 'cab <'"
    )
    opened.wait_for_selector(".symbols")
    assert opened.locator(".symbols").first.text_content() == "cab\u2423<"
    votes = found.model.votes(["cab <"])[0]
    shares = opened.locator("table.election tbody tr td:last-child").all_text_contents()
    assert sorted(float(each.strip("<> %")) for each in shares) == pytest.approx(
        sorted((100 * votes).tolist()), abs=0.6
    )
    assert faults_of(opened) == []
    opened.get_by_role("button", name="Back to").click()
    opened.wait_for_function(
        "() => document.querySelector('blockquote.text').textContent !== 'cab <'"
    )
    assert opened.locator(".verdict").text_content() == before


def test_a_drawing_is_followed_as_it_is_made(
    pages: Pages, made: Callable[[str], Explanation], tmp_path: Path
) -> None:
    """By a stroke of the mouse."""
    opened = pages.open(made("picture").save(tmp_path / "page.html"), height=1200)
    before = opened.locator("section .maps figcaption").all_text_contents()

    opened.locator("details.change > summary").click()
    board = opened.locator("canvas.drawing")
    box = board.bounding_box()
    assert box is not None
    opened.mouse.move(box["x"] + 60, box["y"] + 60)
    opened.mouse.down()
    opened.mouse.move(box["x"] + 200, box["y"] + 200, steps=5)
    opened.mouse.up()

    opened.wait_for_function(
        "(old) => document.querySelector('section .maps figcaption').textContent !== old",
        arg=before[0],
    )
    opened.wait_for_selector("section:last-child .over canvas")
    assert not overflows(opened)


def test_a_page_that_cannot_compute_says_so(made: Callable[[str], Explanation]) -> None:
    """Where a network is too large for a page, or a stage is of another package."""
    found = made("text")

    page = explanation_page(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gridcnn.report.explaining.pages._PAGE", 250_000)
        small = explanation_page(found)

    assert '"live":{"name"' in page
    assert "too many for a page" not in page
    assert '"live":{"name"' not in small
    assert "too many for a page with all of its maps" in small


# What an item was before


def test_a_picture_is_shown_as_it_was() -> None:
    """Files, arrays of any type, and pictures with more bits are pixels of 8 bits."""
    adapter = model_of("picture").adapter
    grey = np.linspace(0, 1, 48).reshape(6, 8)
    file = io.BytesIO()
    Image.fromarray((grey * 255).astype(np.uint8)).save(file, "PNG")
    things = [
        file.getvalue(),
        grey,
        (grey * 255).astype(np.uint8),
        (grey * 65_535).astype(np.uint16),
        Image.fromarray((grey * 255).astype(np.uint8)),
    ]

    for thing in things:
        found = original_of(adapter, thing)
        assert found.size == (8, 6)
        pixels = np.asarray(Image.open(_content(found.address)).convert("L"), float)
        np.testing.assert_allclose(pixels, grey * 255, atol=1)
    black = original_of(adapter, grey > 0.5)
    assert np.unique(np.asarray(Image.open(_content(black.address)))).tolist() == [0, 255]


def _content(address: str) -> io.BytesIO:
    import base64

    return io.BytesIO(base64.b64decode(address.partition(",")[2]))


def test_a_sound_can_be_heard(made: Callable[[str], Explanation]) -> None:
    """As 16 bits at the adapter's sample rate."""
    found = made("sound").original

    with wave.open(_content(found.address), "rb") as file:
        levels = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_767
        assert file.getframerate() == 8000
    np.testing.assert_allclose(levels, SOUND, atol=1e-4)
    assert found.seconds == 0.75


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"unknown": "drop"},
        {"unknown": "symbol", "direction": "backward"},
        {"cut": "middle", "length": 5},
        {"cut": "start", "length": 4, "direction": "backward"},
        {"unit": "word", "alphabet": ["b", "cd"]},
        {"unit": "byte", "alphabet": None, "length": 30},
    ],
)
def test_symbols_stand_in_the_columns_of_the_grid(settings: dict[str, Any]) -> None:
    """Each with a row has its 1 there, however a text is cut and turned."""
    adapter = TextAdapter.model_validate({"alphabet": "abcd ", "length": 9, **settings})
    text = "b cd\u00e9 xab d"

    symbols = adapter.symbols(text)

    labels = adapter.shape().row_axis.labels
    assert labels is not None
    rows = adapter.indices(text)
    assert len(symbols) == min(len(symbols), adapter.shape().columns)
    for column, symbol in enumerate(symbols):
        wanted = symbol if symbol in labels else "unknown"
        assert (labels[rows[column]] if rows[column] >= 0 else "unknown") == wanted
    assert (rows[len(symbols) :] == -1).all()


@pytest.mark.parametrize("brackets", ["whole", "parts"])
def test_atoms_know_their_columns(brackets: str) -> None:
    """The tokens there are those of the atom, also of hydrogens and atoms in brackets."""
    pytest.importorskip("rdkit")
    smiles = "[2H]C([NH3+])(Br)c1cc[nH]c1.[Na+]"
    adapter = MoleculeAdapter.model_validate(
        {"alphabet": ["C"], "length": 40, "brackets": brackets}
    )

    found = structure_of(adapter, smiles)

    assert found is not None
    tokens = adapter.tokens(smiles)
    written = ["".join(tokens[column] for column in atom.columns) for atom in found.atoms]
    assert written == [
        *("[2H]", "C", "[NH3+]", "Br", "c", "c", "c", "[nH]", "c", "[Na+]"),
    ]
    assert [atom.symbol for atom in found.atoms if atom.symbol][-1] == "Na+"
    cut = adapter.model_copy(update={"length": 3})
    shorter = structure_of(cut, smiles)
    assert shorter is not None
    assert shorter.atoms[-1].columns == ()


def test_a_molecule_that_rdkit_refuses_has_no_structure() -> None:
    """Its tokens are shown all the same."""
    pytest.importorskip("rdkit")
    found = original_of(model_of("molecule").adapter, "CN(C)(C)(C)C")

    assert found.structure is None
    assert found.symbols[:2] == ("C", "N")


def test_a_changed_molecule_has_no_structure_and_the_page_says_so(
    pages: Pages, made: Callable[[str], Explanation], tmp_path: Path
) -> None:
    """RDKit, which lays structures out, is not in the page."""
    pytest.importorskip("rdkit")
    opened = pages.open(made("molecule").save(tmp_path / "page.html"))
    said = opened.get_by_text("Only the first molecule is drawn as a structure")
    assert opened.locator(".molecule").count() > 0
    assert said.count() == 0

    opened.locator("details.change > summary").click()
    opened.locator("textarea").fill("CCO")

    opened.wait_for_function("() => document.querySelector('.raw code').textContent === 'CCO'")
    opened.wait_for_selector(".symbols")
    assert opened.locator(".molecule").count() == 0
    assert said.is_visible()


# From Python


def test_what_takes_long_tells_how_far_it_is() -> None:
    """Windows are counted as they are hidden, for the model and for random weights."""
    told: list[Progress] = []
    found = explain(model_of("picture"), PICTURE, advance=told.append)
    assert not told

    found.page()

    total = told[0].total
    ends = [each.done for each in told if each.done == each.total]
    assert ends == [total, total]
    assert {each.what for each in told} == {"hiding parts of the item"}


def test_a_class_can_be_asked_for() -> None:
    """Unknown ones are named with those that there are."""
    model = model_of("picture")

    asked = model.explain(PICTURE, label="c")

    assert asked.target == 2
    with pytest.raises(SpecError, match=r"no class 'd'; its classes: .*, b, c$"):
        model.explain(PICTURE, label="d")


def test_one_item_is_explained_at_a_time() -> None:
    """Several, and what cannot be read, are errors that name them."""
    model = model_of("picture")

    with pytest.raises(DataError, match="one item is explained at a time; got 2"):
        model.explain([PICTURE, PICTURE])
    with pytest.raises(DataError, match="nowhere"):
        model.explain("nowhere.png")


def test_a_page_replaces_nothing_unasked(
    made: Callable[[str], Explanation], tmp_path: Path
) -> None:
    """A file of that name stays."""
    path = tmp_path / "page.html"
    path.write_text("mine")

    with pytest.raises(RunFolderError, match="exists already"):
        made("text").save(path)

    assert path.read_text() == "mine"


def test_notebooks_show_the_page_in_a_frame(made: Callable[[str], Explanation]) -> None:
    """Nothing in it ends the frame."""
    html = made("text")._repr_html_()

    assert html.startswith("<iframe title=")
    assert html.count("<") == 2
    assert repr(made("text")).startswith("Explanation('<script>")


@pytest.mark.parametrize(
    "kind",
    [
        "picture",
        "text",
        *(
            pytest.param(kind, marks=pytest.mark.long)
            for kind in ("sound", "molecule", "series", "colours")
        ),
    ],
)
def test_figures_are_drawn(made: Callable[[str], Explanation], kind: str) -> None:
    """Of the whole, of one stage and of features; classes with dollars are no formulas."""
    found = made(kind)
    model, thing = found.model, KINDS[kind][1]

    found.plot().savefig(io.BytesIO(), format="png", dpi=40)
    model.plot_maps(thing, after=1).savefig(io.BytesIO(), format="png", dpi=40)
    if kind in ("picture", "series", "colours"):
        (axes, _) = model.plot_features().axes
        numbers = [text.get_text() for text in axes.texts]
        assert numbers == [str(n + 1) for n in range(model.network.ops[0].output.channels)]
    elif kind == "sound":
        assert len(model.plot_maps(thing).axes) > len(model.network.ops)


def test_a_figure_of_a_deep_network_says_how_many_stages_it_leaves_out() -> None:
    """The first and the last ones are drawn."""
    stages = [{"repeat": {"times": 20, "stages": ["rectification"]}}]
    spec = load({"adapter": {"image": {"size": [6, 6]}}, "stages": stages, "head": "voting"})
    network = Network(spec, GridShape(1, 6, 6), classes=2)
    model = Model(spec, ("a", "b"), network.starting_parameters(), engine="reference")

    titles = [part.get_suptitle() for part in model.plot_maps(PICTURE).subfigs]

    assert titles[0].startswith("1.1.1 rectification: ")
    assert titles[5].startswith("1.6.1 rectification: ")
    assert titles[6].startswith("(8 more stages left out here)\n1.15.1 rectification: ")
    assert titles[11].startswith("1.20.1 rectification: ")
    assert len(titles) == 12
    drawn = [part.get_suptitle() for part in model.explain(PICTURE).plot().subfigs]
    assert [title for title in drawn if "rectification" in title] == titles


def test_every_stage_has_a_sentence() -> None:
    """Also merges, and stages that no sentence was written for."""
    for kind in KINDS:
        for op in model_of(kind).network.ops:
            assert sentence_of(op).endswith(".")
