"""What is typed, chosen or recorded in an app gets the votes that the model gives it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.report.app import app_page
from gridcnn.spec.load import load
from tests.browser import votes_after, votes_in

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser import Pages

CLOSE = 1e-4


def model_with(name: str, adapter: dict[str, Any], things: Any = (), **head: Any) -> Model:
    """Return a model of random weights with an adapter that has learned from things."""
    stages = [{"convolution": {"filters": 3, "kernel_size": ["all", 3]}}, "rectification"]
    content = {"name": name, "adapter": {name: adapter}, "stages": stages}
    spec = load({**content, "head": {"voting": head}})
    assert spec.adapter is not None
    spec = spec.model_copy(update={"adapter": spec.adapter.fitted(things)})
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=3)
    return Model(spec, ["a", "b", "c"], network.starting_parameters(), engine="reference")


def opened(pages: Pages, model: Model, folder: Path, **more: Any) -> Page:
    (folder / "app.html").write_text(app_page(model), "utf-8")
    return pages.open(folder / "app.html", **more)


SOUND = {"sample_rate": 8000, "n_fft": 256, "hop_length": 128, "n_mels": 16, "duration": 0.5}


@pytest.mark.parametrize(
    ("name", "rate", "close"),
    [
        ("tone.wav", 8000, CLOSE),
        ("tone.wav", 16000, CLOSE),
        ("tone.flac", 48000, CLOSE),
        ("tone.ogg", 16000, CLOSE),
        ("tone.mp3", 16000, CLOSE),
    ],
)
def test_a_sound_file_is_decoded_to_the_same_samples(
    pages: Pages, tmp_path: Path, name: str, rate: int, close: float
) -> None:
    """At the file's own rate; then it is resampled as the adapter does.

    Chromium leaves the last hundred samples of Vorbis out, so the start of the clip is taken.
    """
    import soundfile

    time = np.arange(int(0.6 * rate)) / rate
    tone = 0.4 * np.sin(2 * np.pi * (300 + 900 * time) * time)
    tone += np.random.default_rng(0).normal(0, 0.02, len(time))
    soundfile.write(tmp_path / name, tone, rate)
    model = model_with("audio", {**SOUND, "longer": "start"})
    page = opened(pages, model, tmp_path)

    votes = votes_after(page, lambda: page.set_input_files("input[type=file]", tmp_path / name))
    np.testing.assert_allclose(votes, model.votes(tmp_path / name)[0], atol=close)


@pytest.mark.parametrize("limits", [None, [0, 4095]])
@pytest.mark.parametrize("how", ["pad", "ink"])
def test_a_picture_of_16_bits_keeps_them(
    pages: Pages, tmp_path: Path, limits: list[int] | None, how: str
) -> None:
    """Browsers have 8 bits; such a file is read by the page itself."""
    y, x = np.mgrid[:40, :50]
    levels = (40 * x + 37 * y + 300 * ((x - 20) ** 2 + (y - 15) ** 2 < 60)).astype(np.uint16)
    file = tmp_path / "deep.png"
    Image.fromarray(levels).save(file)
    polarity = "ink" if how == "ink" else "keep"
    adapter = {"size": [12, 12], "range": limits, "fit": how, "polarity": polarity}
    model = model_with("image", adapter)
    page = opened(pages, model, tmp_path)

    votes = votes_after(page, lambda: page.set_input_files("input[type=file]", file))
    np.testing.assert_allclose(votes, model.votes(file)[0], atol=1e-5)


def test_a_recording_is_answered_and_saved(pages: Pages, tmp_path: Path) -> None:
    """The microphone is heard until Stop; the file that is saved gets about the same votes."""
    model = model_with("audio", SOUND)
    page = opened(pages, model, tmp_path, permissions=["microphone"], accept_downloads=True)

    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(700)
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".votes .most")
    assert "The recording: " in page.locator(".live-input").inner_text()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save").click()
    saved.value.save_as(tmp_path / "sound.wav")
    np.testing.assert_allclose(votes_in(page), model.votes(tmp_path / "sound.wav")[0], atol=0.01)


def test_texts_of_several_labels_are_answered_while_typing(pages: Pages, tmp_path: Path) -> None:
    """Votes are those of each label; unknown characters are crossed out."""
    model = model_with("text", {"length": 20}, ["an apple", "a pear!"], labels="several")
    page = opened(pages, model, tmp_path)

    votes = votes_after(page, lambda: page.locator("textarea").fill("an apxle"))
    np.testing.assert_allclose(votes, model.votes("an apxle")[0], atol=CLOSE)
    assert page.locator(".live-parts .unknown").all_inner_texts() == ["x"]
    answered = model.labels_answered(model.votes("an apxle"))[0]
    assert page.locator(".live-answer").inner_text() == (
        ", ".join(map(str, answered)) or "none of the labels"
    )
    assert votes_after(page, lambda: page.locator("textarea").fill("")) is None


@pytest.mark.parametrize("labels", ["one", "several"])
def test_an_app_says_how_votes_decide(pages: Pages, tmp_path: Path, labels: str) -> None:
    """The most votes win among classes; each of several labels is decided alone."""
    model = model_with("text", {"length": 20}, ["an apple", "a pear!"], labels=labels)
    page = opened(pages, model, tmp_path)
    page.locator("textarea").fill("an apple")
    page.wait_for_selector("text=all cells together give")

    text = page.locator("body").inner_text()

    alone = labels == "several"
    assert ("each label is decided alone" in text) == alone
    assert ("other labels change nothing" in text) == alone
    assert ("the most votes win" in text) == (not alone)
    assert ("share of the votes" in text) == (not alone)


def test_a_file_can_be_chosen_where_the_docs_say_so(pages: Pages, tmp_path: Path) -> None:
    """A text is typed or chosen as a file; a molecule is typed."""
    rows = Path("docs/elsewhere.md").read_text("utf-8").splitlines()
    for adapter, things, row in (
        ({"length": 20}, ("text", ["an apple"]), "| texts | type, paste, or choose a file |"),
        ({"length": 12}, ("molecule", ["CCO"]), "| molecules | type or paste SMILES |"),
    ):
        page = opened(pages, model_with(things[0], adapter, things[1]), tmp_path)
        assert page.locator(".live-input textarea").count() == 1
        assert (page.locator(".live-input input[type=file]").count() == 1) == ("file" in row)
        assert row in rows


def test_a_molecule_that_breaks_the_grammar_is_told(pages: Pages, tmp_path: Path) -> None:
    """The place of the mistake is named, and a right one is answered."""
    model = model_with("molecule", {"length": 12}, ["CCO", "c1ccccc1"])
    page = opened(pages, model, tmp_path)

    page.locator("textarea").fill("CC(O")
    page.wait_for_selector(".problem:visible")
    assert page.locator(".problem").inner_text() == (
        "character 3 of the SMILES, '(', has no closing ')'"
    )
    votes = votes_after(page, lambda: page.locator("textarea").fill("CC(O)C"))
    np.testing.assert_allclose(votes, model.votes("CC(O)C")[0], atol=CLOSE)
    assert not page.locator(".problem").is_visible()


def test_rows_and_arrays_are_typed(pages: Pages, tmp_path: Path) -> None:
    """Numbers of a table, and an array as lines or from a file of NumPy."""
    random = np.random.default_rng(3)
    rows = random.normal(3, 2, (10, 8))
    table = model_with("table", {}, rows)
    page = opened(pages, table, tmp_path)
    typed = ", ".join(map(str, rows[4].tolist()))
    votes = votes_after(page, lambda: page.locator("textarea").fill(typed))
    np.testing.assert_allclose(votes, table.votes(rows[4:5])[0], atol=CLOSE)

    arrays = random.normal(0, 3, (5, 4, 6))
    array = model_with("array", {}, arrays)
    page = opened(pages, array, tmp_path)
    lines = "\n".join(" ".join(map(str, line)) for line in arrays[2].tolist())
    votes = votes_after(page, lambda: page.locator("textarea").fill(lines))
    np.testing.assert_allclose(votes, array.votes(arrays[2:3])[0], atol=CLOSE)
    file = tmp_path / "item.npy"
    np.save(file, arrays[3])
    votes = votes_after(page, lambda: page.set_input_files("input[type=file]", file))
    np.testing.assert_allclose(votes, array.votes(arrays[3:4])[0], atol=CLOSE)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve the folder of the test on this machine."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_page_can_be_installed(pages: Pages, tmp_path: Path, address: str) -> None:
    """From a server it brings a manifest with a name and icons, and nothing keeps it from that."""
    model = model_with("text", {"alphabet": "abc", "length": 6})
    (tmp_path / "app.html").write_text(app_page(model), "utf-8")
    page = pages.open(f"{address}/app.html")

    session = page.context.new_cdp_session(page)
    found = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in found] == ["in-incognito"]  # as all windows of tests
    assert session.send("Page.getAppManifest")["errors"] == []
