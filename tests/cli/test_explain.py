"""`gridcnn explain` as users call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gridcnn
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.spec.load import load
from tests.cli.invoke import TINY, cli


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained model of pictures, one of texts, and a picture."""
    folder = tmp_path_factory.mktemp("explain")
    (folder / "tiny.yaml").write_text(TINY)
    assert cli("run", "tiny.yaml", "-q", "--out", "run", folder=folder).exit_code == 0
    pixels = np.random.default_rng(0).integers(0, 255, (12, 12), np.uint8)
    Image.fromarray(pixels).save(folder / "drawing.png")
    made(
        folder / "texts.safetensors",
        {"text": {"alphabet": "abcd", "length": 8}},
        {"convolution": {"filters": 3, "kernel_size": ["all", 3]}},
    )
    made(
        folder / "rows.safetensors",
        {"table": {"scaling": "none", "size": [1, 4]}},
        {"convolution": {"filters": 2, "kernel_size": [1, 3]}},
    )
    (folder / "rows.csv").write_text("a,b,c,d\n1,2,3,4\n4,3,2,1\n0,0,1,0\n")
    return folder


def made(path: Path, adapter: dict[str, Any], stage: dict[str, Any]) -> None:
    """Write a model with starting weights, which nothing has trained."""
    spec = load({"adapter": adapter, "stages": [stage], "head": "voting"})
    assert spec.adapter is not None
    spec = spec.model_copy(update={"adapter": spec.adapter.fitted([np.zeros(4), np.ones(4)])})
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=2)
    Model(spec, ("x", "y"), network.starting_parameters()).save(path)


def test_a_page_is_written_beside_the_answer(work: Path) -> None:
    """Its name is that of the item; the answer is that of `predict`."""
    done = cli("explain", "run", "drawing.png", folder=work)
    asked = cli("predict", "run", "drawing.png", folder=work)

    assert done.exit_code == 0, done.output
    assert done.stdout == asked.stdout + "explained-drawing.html written\n"
    assert b'name="generator" content="gridcnn"' in (work / "explained-drawing.html").read_bytes()
    assert cli("explain", "run", "drawing.png", folder=work).exit_code == 0


def test_a_file_of_others_is_kept(work: Path) -> None:
    """Unless it may be replaced."""
    (work / "mine.html").write_text("mine")

    done = cli("explain", "run", "drawing.png", "-o", "mine.html", folder=work)

    assert done.exit_code == 2
    assert "mine.html exists already, and gridcnn did not write it" in done.output
    assert (work / "mine.html").read_text() == "mine"


def test_an_item_of_the_model_s_data_has_a_name(work: Path) -> None:
    """As in predictions.csv; others are answered with a line."""
    name = (work / "run" / "predictions.csv").read_text().splitlines()[1].partition(",")[0]

    done = cli("explain", "run", name, "--json", folder=work)
    other = cli("explain", "run", "itm 3", folder=work)

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["item"] == name
    assert found["answer"] in ("X", "O")
    assert other.exit_code == 2
    assert "itm 3: there is no such file, and the model's data has no item" in other.output


def test_a_model_without_data_takes_files_alone(work: Path) -> None:
    """Of what is missing it says so."""
    done = cli("explain", "texts.safetensors", "no.txt", folder=work)

    assert done.exit_code == 2
    assert done.output.strip() == "error: no.txt: there is no such file"


def test_figures_are_those_of_python(work: Path) -> None:
    """As JSON that holds the election and what mattered."""
    done = cli("explain", "run", "drawing.png", "--json", folder=work)

    found = json.loads(done.stdout)
    model = gridcnn.load(work / "run")
    expected = model.explain(work / "drawing.png")
    assert found["item"] == "drawing.png"
    for label, votes in found["election"]["classes"].items():
        assert votes["cells"] + votes["start"] == pytest.approx(votes["logit"])
        number = [str(each) for each in model.classes].index(label)
        assert votes["logit"] == pytest.approx(float(expected.passage.logits[0, number]))
    occlusion = np.array(found["importance"]["model"]["occlusion"])
    np.testing.assert_allclose(occlusion, expected.importance.occlusion, atol=1e-6)


def test_a_picture_of_the_explanation_is_written(work: Path) -> None:
    """Instead of the page."""
    done = cli("explain", "run", "drawing.png", "--png", "out.png", folder=work)

    assert done.exit_code == 0, done.output
    with Image.open(work / "out.png") as picture:
        assert picture.size[0] > 800
    assert "out.png written" in done.stdout
    assert cli("explain", "run", "drawing.png", "--png", "out.png", folder=work).exit_code == 0


def test_texts_are_given_as_such(work: Path) -> None:
    """Each of `ITEM` and `--text` alone."""
    done = cli("explain", "texts.safetensors", "--text", "abcab", folder=work)
    both = cli("explain", "texts.safetensors", "rows.csv", "--text", "ab", folder=work)
    neither = cli("explain", "texts.safetensors", folder=work)
    lost = cli("explain", "rows.safetensors", "--row", 2, folder=work)

    assert done.exit_code == 0, done.output
    assert (work / "explained-text.html").is_file()
    assert both.exit_code == neither.exit_code == lost.exit_code == 2
    assert "give ITEM or --text, not both" in both.output
    assert "there is nothing to explain" in neither.output
    assert "name it: rows.safetensors FILE --row 2" in lost.output


def test_a_row_is_chosen_from_a_table(work: Path) -> None:
    """Of several, one has to be."""
    done = cli("explain", "rows.safetensors", "rows.csv", "--row", 2, "--json", folder=work)
    unsaid = cli("explain", "rows.safetensors", "rows.csv", folder=work)
    beyond = cli("explain", "rows.safetensors", "rows.csv", "--row", 4, folder=work)

    assert json.loads(done.stdout)["item"] == "rows.csv:3"
    assert unsaid.exit_code == beyond.exit_code == 2
    assert "rows.csv holds several items; say which one: --row 1" in unsaid.output
    assert "rows.csv has 3 items; --row takes 1 to 3" in beyond.output


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("-o", "page.txt"), "-o writes a page; give a name such as page.html"),
        (("--png", "a.jpg"), "--png writes a picture; give a name such as a.png"),
        (("--label", "Z"), "the model has no class 'Z'; its classes: O, X"),
    ],
)
def test_odd_options_are_answered_in_a_line(work: Path, option: tuple[str, str], told: str) -> None:
    """Before anything is written."""
    done = cli("explain", "run", "drawing.png", *option, folder=work)

    assert done.exit_code == 2
    assert told in done.output


def test_features_are_shown_of_the_training_items(work: Path) -> None:
    """As a page, a picture or JSON; other data can be given."""
    done = cli("features", "run", "-q", folder=work)
    plain = cli("features", "run", "--json", "--items", 20, "-q", folder=work)
    picture = cli("features", "run", "--png", "f.png", "--items", 20, "-q", folder=work)
    odd = cli("features", "run", "-o", "page.pdf", folder=work)
    other = cli("features", "run", "--data", "nowhere", folder=work)

    assert done.exit_code == plain.exit_code == picture.exit_code == 0, done.output
    assert b'content="gridcnn"' in (work / "features.html").read_bytes()
    assert json.loads(plain.stdout)["items"] == 20
    assert (work / "f.png").is_file()
    assert odd.exit_code == other.exit_code == 2
    assert "-o writes a page; give a name such as page.html" in odd.output
