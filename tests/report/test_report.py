"""The page of a verdict, its pictures, and the verdict as plain data."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import gridcnn
from gridcnn.order.lags import Lags
from gridcnn.order.layouts import Layout
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import AxisVerdict, Verdict
from gridcnn.report import charts, pictures
from gridcnn.report.page import page
from gridcnn.report.plain import verdict_data

USE = Usefulness(0.8, (0.5, 0.55, 0.6), 0.4, 0.002, 300, 3)
NAMES = (
    *("decision", "evidence", "advice", "rows", "columns", "layout", "adapter", "axes"),
    *("structure", "neighbours", "usefulness", "lags", "seed"),
    *("summary", "parts", "row_order", "steady"),
)
EMPTY = ("br", "img", "meta")


@pytest.fixture(scope="module")
def series() -> Verdict:
    X = np.cumsum(np.random.default_rng(0).normal(size=(100, 12)), axis=1)
    return replace(gridcnn.check(X), usefulness=USE)


class Parsed(HTMLParser):
    """Checks that tags close in order, and keeps what is there."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.found if found == tag]


def test_a_page_is_whole_and_needs_nothing_else(series: Verdict) -> None:
    """Tags close, nothing is loaded or run, and every picture says what it shows."""
    text = page(series, data="table.csv")

    parsed = Parsed(text)
    assert text.startswith("<!DOCTYPE html>")
    assert not parsed.all("script")
    assert not parsed.all("link")
    assert not re.search(r"https?://|url\(", text.replace("url(#scale)", ""))
    assert parsed.all("html") == [{"lang": "en"}]
    assert all(each["role"] == "img" and each["aria-label"] for each in parsed.all("svg"))
    assert len(parsed.all("title")) == len(parsed.all("svg")) + 1
    assert len(parsed.all("img")) == 2
    assert all(each["alt"] for each in parsed.all("img"))
    assert all(sentence in text for sentence in series.evidence if "'" not in sentence)


def test_texts_of_the_data_are_escaped(series: Verdict) -> None:
    """Names of columns and files are no markup."""
    wild = '<script>alert("&")</script>'
    verdict = replace(
        series,
        evidence=(wild,),
        advice=(f"first\n{wild}",),
        axes=(AxisVerdict(wild, 3, "undecided"),),
    )

    text = page(verdict, data=wild)

    assert not Parsed(text).all("script")
    assert text.count("&lt;script&gt;") >= 5


@pytest.mark.parametrize("decision", ["grid", "permutable", "undecided"])
def test_a_page_can_do_without_pictures(decision: str) -> None:
    """A verdict on mixed columns has none."""
    verdict = Verdict(decision, ("why",), ("what",), rows=5, columns=3)  # type: ignore[arg-type]

    parsed = Parsed(page(verdict, data="x"))

    assert not parsed.all("svg")
    assert not parsed.all("img")


def test_code_of_advice_is_kept_as_lines(series: Verdict) -> None:
    """So that it can be copied."""
    text = page(replace(series, advice=("use:\na = 1\nb = 2",)), data="x")

    assert "<pre>a = 1\nb = 2</pre>" in text


def figures(svg: str, tag: str) -> list[ET.Element]:
    return [each for each in ET.fromstring(svg).iter() if each.tag == tag]


def test_association_is_drawn_where_it_is() -> None:
    """Higher values stand higher, lag after lag, within the band's picture."""
    lags = Lags(
        np.array([1, 2, 3, 4]),
        np.array([0.8, 0.4, 0.2, 0.1]),
        np.full(4, 0.1),
        np.full(4, 0.3),
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2), np.float32),
    )

    svg = pictures.lags_picture(lags)

    (line,) = figures(svg, "polyline")
    places = np.array([pair.split(",") for pair in line.attrib["points"].split()], float)
    assert len(places) == 4
    assert (np.diff(places[:, 0]) > 0).all()
    drops = np.diff(places[:, 1])
    np.testing.assert_allclose(drops / drops[0], [1, 0.5, 0.25], atol=0.02)
    (band,) = figures(svg, "polygon")
    assert len(band.attrib["points"].split()) == 8
    assert len(figures(svg, "circle")) == 4


@pytest.mark.parametrize("majority", [0.45, 0.05])
def test_accuracies_are_drawn_where_they_are(majority: float) -> None:
    """A mark for the order given, one for each shuffle; the usual guess where it is near."""
    use = replace(USE, majority=majority)

    svg = pictures.accuracy_picture(use)

    xs = [float(each.attrib["cx"]) for each in figures(svg, "circle")]
    (given,) = figures(svg, "polygon")
    given_at = np.array([p.split(",") for p in given.attrib["points"].split()], float)[:, 0].mean()
    assert xs == sorted(xs)
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert (given_at - xs[2]) / (xs[2] - xs[1]) == pytest.approx(4, abs=0.05)
    assert ("stroke-dasharray" in svg) == pictures.shows_guess(use) == (majority > 0.4)


def test_accuracies_that_are_all_alike_are_drawn() -> None:
    """Nothing is divided by zero."""
    use = Usefulness(1.0, (1.0, 1.0), 1.0, 0.5, 10, 2)

    assert len(figures(pictures.accuracy_picture(use), "circle")) == 2


def test_matrices_are_darker_where_there_is_more() -> None:
    """In grey as well; what is not known has a colour of its own."""
    matrix = np.array([[np.nan, 0.0], [0.5, 1.0]], np.float32)

    text = pictures.matrix_picture(matrix, "a < b")

    found = re.search(r"base64,([^\"]+)", text)
    assert found
    picture = Image.open(io.BytesIO(base64.b64decode(found[1])))
    grey = np.asarray(picture.convert("L"), float)
    assert picture.size == (2, 2)
    assert grey[0, 1] > grey[1, 0] > grey[1, 1]
    assert picture.convert("RGB").getpixel((0, 0)) == (206, 200, 190)
    assert 'alt="a &lt; b"' in text


def test_ticks_are_round_and_within() -> None:
    """From few to nine of them."""
    for low, high in [(0.0, 1.0), (0.37, 0.9), (0.0, 0.05), (1.0, 784.0)]:
        marks = charts.ticks(low, high)
        assert 3 <= len(marks) <= 9
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in marks)
        assert all(f"{tick:.6g}" == f"{float(f'{tick:.3g}'):.6g}" for tick in marks)


def test_plain_data_is_json_and_whole(series: Verdict) -> None:
    """Every part under a stable name."""
    data = json.loads(json.dumps(verdict_data(series), allow_nan=False))

    assert sorted(data) == sorted(NAMES)
    assert data["decision"] == "grid"
    assert data["layout"] == {"rows": 1, "columns": 12, "channels": 1, "interleaved": True}
    assert data["adapter"] == {"table": {"size": [1, 12]}}
    assert data["neighbours"][0]["is_ordered"]
    assert data["usefulness"]["shuffled"] == [0.5, 0.55, 0.6]
    assert len(data["lags"]["lags"]) == len(data["lags"]["given"]) == 10


def test_grids_have_no_other_adapter(series: Verdict) -> None:
    """They have one."""
    axes = (AxisVerdict("row", 3, "undecided"),)

    assert verdict_data(replace(series, axes=axes))["adapter"] is None
    assert verdict_data(replace(series, layout=Layout(3, 4)))["layout"]["rows"] == 3
