"""A verdict in a notebook."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import gridcnn
from gridcnn.order.usefulness import Usefulness
from gridcnn.order.verdict import Verdict

USE = Usefulness(0.8, (0.5, 0.55, 0.6), 0.4, 0.002, 300, 3)


@pytest.fixture(scope="module")
def series() -> Verdict:
    X = np.cumsum(np.random.default_rng(0).normal(size=(100, 12)), axis=1)
    return replace(gridcnn.check(X), usefulness=USE, summary=())


def parsed(verdict: Verdict) -> ET.Element:
    """Return the HTML as a tree, with each image closed as XML wants it."""
    text = verdict._repr_html_()
    return ET.fromstring(text.replace('=">', '="/>'))


def words(tree: ET.Element) -> str:
    return " ".join("".join(tree.itertext()).split())


def test_it_shows_decision_reasons_advice_and_pictures(series: Verdict) -> None:
    tree = parsed(series)

    assert [row.text for row in tree.iter("th")] == ["verdict", "data", "reasons", "advice"]
    told = words(tree)
    assert "grid. The order carries information." in told
    assert "100 rows, 12 columns; layout: 12 in a row" in told
    assert series.evidence[0] in told
    assert [picture.get("aria-label", "").split(".")[0] for picture in tree.iter("svg")] == [
        "Association against distance",
        "Accuracy as given and shuffled",
    ]
    assert [image.get("alt") for image in tree.iter("img")] == ["as given", "in a random order"]
    assert tree.find(".//pre") is not None


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(series: Verdict) -> None:
    tree = parsed(series)

    assert not {"script", "link", "iframe", "style"} & {each.tag for each in tree.iter()}
    for each in tree.iter():
        for name, value in each.items():
            assert not name.startswith("on")
            assert name != "src" or value.startswith("data:image/png;base64,")
            assert "url(" not in value


def test_what_the_data_says_is_text() -> None:
    """A name of a column cannot become a tag."""
    evil = '<img src=x onerror="alert(1)">&amp;'
    frame = pd.DataFrame({evil: list("ab") * 20, "b": range(0, 80, 2), "c": list("xyzw") * 10})
    found = gridcnn.check(frame)
    told = replace(found, evidence=(evil,), advice=(f"do\n{evil}",), summary=(evil,))

    for verdict in (found, told, replace(told, summary=())):
        assert "<img src=x" not in verdict._repr_html_()
    assert words(parsed(told)).count(evil) == 3


def test_plain_sentences_come_first_if_there_are_any(series: Verdict) -> None:
    """The figures are then folded away."""
    told = replace(series, summary=("It is a grid.", "Neighbours are alike.", "Use a network."))

    tree = parsed(told)

    assert [row.text for row in tree.iter("th")] == ["verdict", "data", "in short"]
    first = tree.find(".//ul")
    assert first is not None
    assert [item.text for item in first] == list(told.summary)
    assert [each.text for each in tree.iter("summary")] == ["figures", "advice"]
    assert series.evidence[0] in words(tree)


def test_sentences_alone_are_shown_without_pictures() -> None:
    tree = parsed(Verdict("undecided", ("too few rows",)))

    assert [row.text for row in tree.iter("th")] == ["verdict", "data", "reasons"]
    assert tree.find(".//svg") is None
