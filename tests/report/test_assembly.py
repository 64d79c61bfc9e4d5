"""Pages as they are put together: what stands in them, and how a browser shows them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gridcnn
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import Verdict
from gridcnn.report.assembly import assemble, json_text, pack
from gridcnn.report.colours import STOPS, colour_cells
from gridcnn.report.page import page
from tests.browser import Pages, faults_at_widths

WILD = '</script><script>alert("&")</script><!-- <img src=x onerror=alert(1)>'
ROOM = Path(gridcnn.__file__).parent / "report"


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    X = np.cumsum(np.random.default_rng(0).normal(size=(100, 12)), axis=1)
    use = Usefulness(0.8, (0.5, 0.55, 0.6), 0.4, 0.002, 300, 3)
    return replace(gridcnn.check(X), usefulness=use)


def test_data_comes_back_from_a_page() -> None:
    """Whatever a text holds, it ends no element; JSON has no NaN, and null stands for it."""
    data = {WILD: [WILD, 1, 2.5, None, float("nan"), np.float32(0.5), True]}

    text = json_text(data)

    assert "<" not in text
    assert json.loads(text) == {WILD: [WILD, 1, 2.5, None, None, 0.5, True]}


def test_arrays_are_packed_as_32_bit_floats() -> None:
    """The little end comes first on every machine."""
    assert pack(np.array([[1.0, -2.0]])) == {"shape": [1, 2], "float32": "AACAPwAAAMA="}


def test_colours_have_zero_in_the_middle() -> None:
    """The ends are the values of the limit, and what is no number is grey."""
    colours = colour_cells(np.array([[-2.0, 0.0, 2.0, np.nan, 9.0]]), 2.0)

    assert colours[0].tolist() == [
        list(STOPS[0]),
        list(STOPS[5]),
        list(STOPS[-1]),
        [128, 128, 128],
        list(STOPS[-1]),
    ]


def test_python_and_the_page_have_the_same_colours() -> None:
    """The scale stands in both."""
    script = (ROOM / "script" / "grid_view.js").read_text("utf-8")
    (stops,) = re.findall(r"STOPS = \[(.*?)\];", script, re.DOTALL)

    found = [tuple(map(int, each)) for each in re.findall(r"\[(\d+), (\d+), (\d+)\]", stops)]

    assert tuple(found) == STOPS


def test_templates_leave_styles_and_handlers_to_their_files() -> None:
    """The pages' own policy would refuse them."""
    for path in (ROOM / "templates").glob("*.html"):
        assert not re.search(r"<[^>]*\s(style|on\w+)=", path.read_text("utf-8")), path.name


def test_a_browser_shows_a_verdict(pages: Pages, verdict: Verdict, tmp_path: Path) -> None:
    """Every picture is drawn, nothing is said in the console, and nobody is kept out."""
    path = tmp_path / "order.html"
    path.write_text(page(verdict, data=WILD), "utf-8")

    opened = pages.open(path)

    assert opened.title() == f"grid: {WILD}"
    assert faults_at_widths(opened) == []


def test_the_policy_lets_nothing_run_but_the_page_s_own_script(
    pages: Pages, tmp_path: Path
) -> None:
    """Code that got into a page is not run, and the browser says so."""
    path = tmp_path / "page.html"
    made = assemble("base.html", title="a page", data={"x": np.ones(2)}, scripts=())
    path.write_text(made.replace("</main>", "<script>document.title = 'bad'</script></main>"))

    opened = pages.open(path)

    assert opened.title() == "a page"
    assert opened.evaluate("[...gridcnn.data.x.values]") == [1, 1]
    assert len(pages.problems) == 1
    assert "Content Security Policy" in pages.problems.pop()
