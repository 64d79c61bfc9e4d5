"""OpenAPI and metrics say what is so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import jsonschema
import pytest

from gridcnn.serve.metrics import Histogram
from tests.serve.running import Running

_SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+]+')


def check(description: dict[str, Any], path: str, method: str, answer: httpx.Response) -> None:
    """Check an answer by the schema that the description has for it."""
    responses = description["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses
    (content,) = responses[str(answer.status_code)]["content"].values()
    schema = {**content["schema"], "components": description["components"]}
    jsonschema.validate(answer.json(), schema)


def test_answers_are_as_described(client: httpx.Client, picture: Callable[..., bytes]) -> None:
    """Good and bad ones, of every path."""
    description = client.get("/openapi.json").json()
    named = "/models/{name}/predict"

    good = client.post("/models/pictures/predict", content=picture())
    check(description, named, "post", good)
    check(description, named, "post", client.post("/models/pictures/predict", content=b"no"))
    check(description, named, "post", client.post("/models/no/predict", content=b"no"))
    json = {"Content-Type": "application/json"}
    check(description, "/predict", "post", client.post("/predict", content="{", headers=json))
    for path in ("/model", "/models", "/health", "/openapi.json"):
        check(description, path, "get", client.get(path))
    check(description, "/models/{name}", "get", client.get("/models/texts"))
    check(description, "/models/{name}", "get", client.get("/models/none"))


@pytest.mark.long
def test_the_description_stands_a_search(server: Running) -> None:
    """Schemathesis finds no request whose answer is not as described."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    # Random bytes need not be a picture, and what a field of a form holds is always a text: neither
    # must all that is as described be accepted, nor all else be refused.
    command = [*(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json")]

    done = subprocess.run(
        [
            *(*command, "--max-examples", "40", "--seed", "0", "--no-color"),
            *("--exclude-checks", "positive_data_acceptance,negative_data_rejection"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]


def test_metrics_have_the_form_of_prometheus(
    client: httpx.Client, picture: Callable[..., bytes]
) -> None:
    """Every line is a comment or a sample, and counts rise."""

    def count() -> float:
        text = client.get("/metrics").text
        found = re.search(r'items_total\{model="pictures",result="answered"\} (\d+)', text)
        return float(found[1]) if found else 0.0

    before = count()
    client.post("/models/pictures/predict", content=picture())
    client.get("/made/up/path")
    answer = client.get("/metrics")

    assert count() == before + 1
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for line in answer.text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or _SAMPLE.fullmatch(line), line
    assert 'path="other",status="404"' in answer.text
    assert "made" not in answer.text


def test_histograms_count_up_to_each_bound() -> None:
    """A value on a bound belongs to it."""
    histogram = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 9):
        histogram.add(value)

    assert list(histogram.samples()) == [
        ("_bucket", {"le": "1"}, 2),
        ("_bucket", {"le": "2"}, 3),
        ("_bucket", {"le": "+Inf"}, 4),
        ("_sum", {}, 12.0),
        ("_count", {}, 4),
    ]
