"""No file of the server can be read, or even named, by a client."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import DataError
from gridcnn.serve.intake import Intake
from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal
from gridcnn.spec.load import load as load_spec

JSON = "application/json"


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory, picture: Callable[..., bytes]) -> Path:
    """Return the path of a picture on the server, which a client may guess."""
    path = tmp_path_factory.mktemp("secret") / "secret.png"
    path.write_bytes(picture())
    return path


@pytest.mark.parametrize("model", ["pictures", "sounds", "arrays", "rows"])
def test_a_text_is_never_opened(client: httpx.Client, secret: Path, model: str) -> None:
    """Whether it is there makes no difference to the answer."""
    path = f"/models/{model}/predict"

    for kind in (str(secret), f"file://{secret}", "/nowhere.png"):
        for item in (kind, [kind], {"path": kind}, {"base64": kind}, [[kind, kind]]):
            answer = client.post(path, json={"items": [item]})

            assert answer.status_code == 422
            assert "no such file" not in answer.text
            assert "votes" not in answer.text


def test_names_of_files_are_names_alone(client: httpx.Client, secret: Path) -> None:
    """The content of a part counts, whatever it is called."""
    for name in (str(secret), f"../../{secret}", "secret.csv.gz", "/etc/passwd", "a\x1b[2J\n.png"):
        files = [("file", (name, b"no picture"))]

        answer = client.post("/models/pictures/predict", files=files)

        assert answer.status_code == 422
        assert "votes" not in answer.text
        assert all(sign.isprintable() for sign in answer.json()["errors"][0])


def test_addresses_lead_to_no_files(client: httpx.Client) -> None:
    """There is no folder behind the server."""
    for path in ("/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fetc/passwd",
                 "//etc/passwd", "/models/..%2f..%2fetc%2fpasswd", "/models/%00"):  # fmt: skip
        answer = client.get(path)

        assert answer.status_code == 404
        assert "root:" not in answer.text


def test_nothing_pickled_is_opened(client: httpx.Client) -> None:
    """An array of Python objects could run any program."""
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)

    answer = client.post("/models/arrays/predict", content=file.getvalue())

    assert answer.status_code == 422
    assert "Python objects" in answer.json()["errors"][0]


def trained_on(adapter: dict[str, Any], column: Any) -> Intake:
    """Return the intake of a model that was trained on a table."""
    table = {"path": "items.csv", "input": column, "label": "kind"}
    spec = load_spec({"adapter": adapter, "head": "voting", "data": {"source": {"table": table}}})
    assert isinstance(spec.adapter, Adapter)
    return Intake(spec, spec.adapter, Limits())


@pytest.mark.parametrize("adapter", [{"image": {"size": [4, 4]}}, {"audio": {"duration": 0.1}}])
def test_cells_of_tables_name_no_files(adapter: dict[str, Any], secret: Path) -> None:
    """In training a cell may be the path of a picture or a sound: from a client it may not."""
    intake = trained_on(adapter, "place")
    rows = (
        (f"place\n{secret}\n", "text/csv"),
        (json.dumps({"place": str(secret)}), "application/jsonl"),
        (json.dumps({"place": {"bytes": None, "path": str(secret)}}), "application/jsonl"),
        (json.dumps({"items": [{"place": str(secret)}]}), JSON),
        (json.dumps({"items": [{"bytes": None, "path": str(secret)}]}), JSON),
    )

    for body, kind in rows:
        try:
            items = intake.items(body.encode(), kind)
        except (Refusal, DataError):
            continue
        # What is left is content, which is no picture.
        assert all(type(thing) is bytes for thing in items.things)
        assert not any(os.path.exists(thing) for thing in items.things)  # noqa: PTH110


def test_tables_of_one_column_name_no_files(secret: Path) -> None:
    """An adapter without file endings takes rows of such a table; texts in them are refused."""
    intake = trained_on({"table": {"size": [1, 2]}}, "place")

    with pytest.raises(Refusal, match="send the file"):
        intake.items(f"place\n{secret}\n".encode(), "text/csv")
