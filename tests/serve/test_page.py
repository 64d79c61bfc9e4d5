"""The server's page in a real browser: drawing, files, texts, numbers, a token, an explanation."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tests.browser import Pages, faults_at_widths
from tests.serve.running import TOKEN, Running

ANSWER = ".live-answer"


def test_a_drawing_is_answered(server: Running, client: httpx.Client, pages: Pages) -> None:
    """As the votes of the server say; the explanation is shown below."""
    page = pages.open(server.url)
    page.select_option("#model", "pictures")
    canvas = page.locator("canvas.drawing")
    box = canvas.bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 220, steps=5)
    page.mouse.up()
    page.wait_for_selector(".votes .most")

    assert page.inner_text(ANSWER) in ("yes", "no")
    assert page.inner_text(".votes .most .name") == page.inner_text(ANSWER)
    page.click("text=Explain this answer")
    frame = page.frame_locator("iframe.inside")
    assert frame.locator("h1").first.inner_text()
    assert client.get("/explanations/none").status_code == 404


def test_texts_and_numbers_are_typed(server: Running, pages: Pages) -> None:
    """What is wrong with them is said beside the input."""
    page = pages.open(server.url)

    page.select_option("#model", "texts")
    page.fill("textarea", "abc")
    page.wait_for_selector(".votes .most")
    page.select_option("#model", "rows")
    page.fill("textarea", "1, 2")
    page.wait_for_selector(".votes .most")
    pages.problems.clear()
    page.fill("textarea", "1, 2, 3")
    page.wait_for_selector(".problem:not(.hidden)")
    assert "an item has 3 numbers, but 2 are expected" in page.inner_text(".problem")
    assert page.inner_text(ANSWER) == "No answer."
    # The browser itself notes that an answer had the status 422.
    assert all("422" in each for each in pages.problems)
    pages.problems.clear()


def test_a_file_is_chosen(server: Running, pages: Pages, tmp_path: Path) -> None:
    """The same votes as for its bytes, which are sent as they are."""
    page = pages.open(server.url)
    page.select_option("#model", "pictures")
    page.wait_for_selector("canvas.drawing")
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "one.jpg")

    page.evaluate(
        """() => {
            const ask = window.fetch;
            window.fetch = (path, { body, ...more }) => {
                window.sent = body.size;
                return ask(path, { body, ...more });
            };
        }"""
    )

    page.set_input_files("input[type=file]", tmp_path / "one.jpg")
    page.wait_for_selector(".votes .most")

    content = (tmp_path / "one.jpg").read_bytes()
    answer = httpx.post(f"{server.url}/models/pictures/predict", content=content).json()
    assert page.inner_text(ANSWER) == answer["answers"][0]["answer"]
    assert page.evaluate("window.sent") == len(content)


def test_the_page_asks_for_the_token(guarded: Running, pages: Pages) -> None:
    """And tells nothing of the models before."""
    page = pages.open(guarded.url)
    page.wait_for_selector("#token")
    assert page.locator("canvas.drawing").count() == 0

    page.fill("#token", "wrong")
    page.click("text=Go on")
    page.wait_for_selector("text=the token is wrong")
    page.fill("#token", TOKEN)
    page.click("text=Go on")
    page.wait_for_selector("canvas.drawing")

    assert all("401" in each for each in pages.problems)
    pages.problems.clear()


def test_the_page_is_for_everybody(server: Running, pages: Pages) -> None:
    """Narrow or wide; nothing that axe-core finds serious."""
    page = pages.open(server.url)
    for model in ("pictures", "sounds", "rows"):
        page.select_option("#model", model)
        page.wait_for_selector(f"text={model}: ")
        assert faults_at_widths(page) == []


def test_other_sites_cannot_show_the_page(client: httpx.Client) -> None:
    """Its policy lets run only its own script, and ask only its own server."""
    answer = client.get("/")

    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert "connect-src &#39;self&#39;" in answer.text or "connect-src 'self'" in answer.text
    assert "/" not in answer.headers.get("set-cookie", "")
