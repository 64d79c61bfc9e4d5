"""Answers over HTTP, by a real client from a real server: every kind of item, in every form."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

import gridcnn
from gridcnn.adapters.image import ImageAdapter

Files = dict[str, Path]
PNG = {"Content-Type": "image/png"}
JSON = "application/json"


def votes_in(answer: httpx.Response) -> list[dict[str, float]]:
    assert answer.status_code == 200, answer.text
    return [each["votes"] for each in answer.json()["answers"]]


def check(answer: httpx.Response, model: gridcnn.Model, things: Any) -> None:
    expected = model.votes(things)
    found = votes_in(answer)
    assert len(found) == len(expected)
    for votes, row in zip(found, expected, strict=True):
        assert list(votes) == ["yes", "no"]
        np.testing.assert_allclose(list(votes.values()), row, atol=2e-6)
    answers = [each["answer"] for each in answer.json()["answers"]]
    assert answers == model.predict(things).tolist()


@pytest.fixture(scope="module")
def loaded(models: Files) -> dict[str, gridcnn.Model]:
    return {name: gridcnn.load(path) for name, path in models.items()}


def test_a_picture_is_answered_as_in_python(
    client: httpx.Client, loaded: dict[str, gridcnn.Model], picture: Callable[..., bytes]
) -> None:
    """As raw bytes, in a form, and as base64: the same votes."""
    one, two = picture(1), picture(2)
    path, model = "/models/pictures/predict", loaded["pictures"]

    check(client.post(path, content=one, headers=PNG), model, [one])
    check(client.post(path, content=one), model, [one])
    files = [("file", ("a.png", one)), ("file", ("b.png", two))]
    answer = client.post(path, files=files)
    check(answer, model, [one, two])
    assert [each["item"] for each in answer.json()["answers"]] == ["a.png", "b.png"]
    items = [{"base64": base64.b64encode(each).decode()} for each in (one, two)]
    check(client.post(path, json={"items": items}), model, [one, two])


def test_pixels_are_sent_with_their_type(
    client: httpx.Client, loaded: dict[str, gridcnn.Model]
) -> None:
    """JSON does not tell 1 from 1.0, and black from white depends on it."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11), np.uint8)
    path, model = "/models/pictures/predict", loaded["pictures"]

    check(client.post(path, json={"item": pixels.tolist(), "dtype": "uint8"}), model, [pixels])
    parts = (pixels / 255).astype(np.float32)
    check(client.post(path, json={"item": parts.tolist(), "dtype": "float32"}), model, [parts])
    without = client.post(path, json={"item": pixels.tolist()})
    assert without.status_code == 422
    assert '"dtype": "uint8"' in without.json()["errors"][0]
    wrong = client.post(path, json={"item": [[7, 300], [0, 900]], "dtype": "uint8"})
    assert wrong.json()["errors"] == [
        "item 0: its numbers are not uint8: 300 at [0, 1]; uint8 takes whole numbers of 0 to 255"
    ]


def test_texts_are_answered(client: httpx.Client, loaded: dict[str, gridcnn.Model]) -> None:
    """In JSON, as a body, as a field or a file of a form, and in a table."""
    path, model = "/models/texts/predict", loaded["texts"]
    texts = ["abc def", "hg"]

    check(client.post(path, json={"items": texts}), model, texts)
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    check(client.post(path, content="abc def\n", headers=plain), model, ["abc def"])
    latin = {"Content-Type": "text/plain; charset=latin-1"}
    check(client.post(path, content="abcé".encode("latin-1"), headers=latin), model, ["abcé"])
    check(client.post(path, files=[("text", (None, "abc def"))]), model, ["abc def"])
    check(client.post(path, files=[("file", ("a.txt", b"hg"))]), model, ["hg"])
    table = {"Content-Type": "text/csv"}
    check(client.post(path, content="text\nabc def\nhg\n", headers=table), model, texts)


def test_rows_of_a_table_are_answered(
    client: httpx.Client, loaded: dict[str, gridcnn.Model]
) -> None:
    """As lists, by the names of their columns in any order, and as CSV."""
    path, model = "/models/rows/predict", loaded["rows"]
    rows = [[1.5, 2.0], [-3.0, 4.0]]
    named = [{"width": 2, "height": 1.5, "more": "x"}, {"height": -3, "width": 4}]
    table = {"Content-Type": "text/csv"}

    check(client.post(path, json={"items": rows}), model, np.array(rows))
    check(client.post(path, json={"items": named}), model, np.array(rows))
    content = "kind,width,height\nyes,2,1.5\nno,4,-3\n"
    check(client.post(path, content=content, headers=table), model, np.array(rows))
    lacking = client.post(path, json={"items": [{"width": 2}]})
    assert lacking.status_code == 422
    assert "height" in lacking.json()["errors"][0]
    bad = client.post(path, json={"items": [[1, 2], {"height": 1}, [1, None], [1, 2, 3]]})
    assert bad.status_code == 422
    assert [line.split(":")[0] for line in bad.json()["errors"]] == ["item 1", "item 2", "item 3"]


def test_arrays_are_answered(client: httpx.Client, loaded: dict[str, gridcnn.Model]) -> None:
    """As lists of lists, and as a file of NumPy with one item or a stack of them."""
    path, model = "/models/arrays/predict", loaded["arrays"]
    stack = np.random.default_rng(0).random((4, 2, 3)).astype(np.float32)
    file = io.BytesIO()
    np.save(file, stack)

    check(client.post(path, json={"items": stack.tolist()}), model, stack)
    check(client.post(path, content=file.getvalue()), model, stack)
    assert client.post("/predict", content=file.getvalue()).json()["model"] == "arrays"


def test_sounds_and_molecules_are_answered(
    client: httpx.Client, loaded: dict[str, gridcnn.Model]
) -> None:
    """A clip as a WAV file, a molecule as its SMILES."""
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(900) / 5), 8000, format="WAV")
    clip = file.getvalue()

    check(client.post("/models/sounds/predict", content=clip), loaded["sounds"], [clip])
    smiles = ["CCO", "C"]
    answer = client.post("/models/molecules/predict", json={"items": smiles})
    check(answer, loaded["molecules"], smiles)


def test_clips_that_are_too_long_are_refused(client: httpx.Client) -> None:
    """Those that are, and those that only say so; nothing is decoded."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(61 * 100), 100, format="WAV")
    clip = file.getvalue()
    header = bytearray(clip[:44])
    for place, size in ((4, 2**32 - 100), (40, 2**32 - 200)):  # of the file, and of the samples
        header[place : place + 4] = struct.pack("<I", size)
    flac = io.BytesIO()
    soundfile.write(flac, np.zeros(10_000_000, np.int16), 44_100, format="FLAC")

    for content in (clip, bytes(header) + clip[44:], flac.getvalue()):
        answer = client.post("/models/sounds/predict", content=content)

        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert "\n" not in error
        assert "the setting 'max_duration' of audio allows 60 s" in error
    assert client.get("/health").status_code == 200


def test_a_bad_item_is_named_as_in_the_shell(
    client: httpx.Client, picture: Callable[..., bytes]
) -> None:
    """The others of its request have their answers, and the status is 422."""
    files = [("file", ("good.png", picture())), ("file", ("bad.png", picture()[:60]))]

    answer = client.post("/models/pictures/predict", files=files)

    assert answer.status_code == 422
    good, bad = answer.json()["answers"]
    assert set(good["votes"]) == {"yes", "no"}
    assert answer.json()["errors"] == [f"bad.png: {bad['error']}"]
    with pytest.raises(gridcnn.DataError) as expected:
        ImageAdapter().grids([picture()[:60]], names=["bad.png"])
    assert answer.json()["errors"] == [str(expected.value)]


@pytest.mark.parametrize(
    ("model", "body", "kind", "expected"),
    [
        ("texts", '{"items": ["abc", null, "def", true]}', JSON, ["+item 0", "-item 1", "+item 2",
         "-item 3"]),
        ("rows", "height,width\n1,2\nx,2\n3,4\n", "text/csv", ["+body.csv:2", "-body.csv:3",
         "+body.csv:4"]),
        ("rows", '{"items": [{"height": "x", "width": 2}, {"height": 1, "width": 2}]}', JSON,
         ["-item 0", "+item 1"]),
    ],
)  # fmt: skip
def test_answers_are_in_the_order_of_the_items(
    client: httpx.Client, model: str, body: str, kind: str, expected: list[str]
) -> None:
    """Also of those that are no items at all; + has an answer, - an error."""
    answer = client.post(
        f"/models/{model}/predict", content=body, headers={"Content-Type": kind}
    ).json()

    found = [f"{'-' if 'error' in each else '+'}{each['item']}" for each in answer["answers"]]
    assert found == expected
    unread = [each for each in answer["answers"] if "error" in each]
    assert answer["errors"] == [f"{each['item']}: {each['error']}" for each in unread]


def test_values_of_json_are_called_as_in_json(client: httpx.Client) -> None:
    answer = client.post("/models/texts/predict", json={"items": [None, True]})

    assert answer.json()["errors"] == ["item 0: null is not a text", "item 1: true is not a text"]


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        ("texts", "application/xml", 415),
        ("texts", "image/png", 415),
        ("texts", "text/plain", 200),
        ("texts", "application/octet-stream", 200),
        ("pictures", "application/xml", 415),
        ("pictures", "text/html", 415),
        ("pictures", "image/png", 200),
        ("pictures", "application/x-www-form-urlencoded", 200),
        ("pictures", "", 200),
    ],
)
def test_types_of_bodies_that_are_not_read_are_refused(
    client: httpx.Client, picture: Callable[..., bytes], model: str, kind: str, status: int
) -> None:
    """With a line that says what is."""
    body = picture() if model == "pictures" else b"abc"
    answer = client.post(f"/models/{model}/predict", content=body, headers={"Content-Type": kind})

    assert answer.status_code == status, answer.text
    if status == 415:
        assert answer.json()["errors"][0].startswith(f"bodies of the type '{kind}' are not read")


def test_bad_items_harm_no_other_request(
    client: httpx.Client, loaded: dict[str, gridcnn.Model], picture: Callable[..., bytes]
) -> None:
    """Requests that are answered together have nothing else to do with each other."""
    pictures = [picture(seed) for seed in range(24)]
    expected = loaded["pictures"].votes(pictures)
    bodies = [one if n % 3 else one[: 20 + n] for n, one in enumerate(pictures)] * 4

    def ask(body: bytes) -> httpx.Response:
        return client.post("/models/pictures/predict", content=body)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, bodies))

    for number, answer in enumerate(answers):
        if number % 24 % 3:
            (votes,) = votes_in(answer)
            np.testing.assert_allclose(list(votes.values()), expected[number % 24], atol=2e-6)
        else:
            assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        ('{"items": [', 400, "the body is not JSON"),
        ('{"item": NaN}', 400, "NaN is not a JSON number"),
        (b"\xff\xfe\xfa", 400, "not UTF-8"),
        ("[" * 100_000, 400, "inside each other"),
        ('{"item": ' + "1" * 5_000 + "}", 400, "too many digits"),
        ("[1, 2]", 422, "the JSON must be"),
        ('{"items": [[1]], "item": [1]}', 422, "give one of them"),
        ('{"items": "abc"}', 422, '"items" must be a list'),
        ('{"items": []}', 422, "no items"),
        ('{"items": [[[1], [2, 3]]]}', 422, "of the same length"),
        ('{"items": [["a"]]}', 422, "not an array"),
        ('{"items": [true]}', 422, "is not a list of numbers"),
        ('{"items": [{"base64": "%%"}]}', 422, "is not base64"),
        ('{"items": [[[1e999, 0, 0], [0, 0, 0]]]}', 422, "inf"),
        (json.dumps({"items": [[1]] * 257}), 413, "more than 256 items"),
    ],
)
def test_what_is_wrong_with_json_is_said_in_a_line(
    client: httpx.Client, body: str | bytes, status: int, line: str
) -> None:
    """The model takes arrays."""
    answer = client.post(
        "/models/arrays/predict", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == status, answer.text
    assert line in answer.json()["errors"][0]
    assert "\n" not in answer.json()["errors"][0]


def test_forms_that_are_damaged_are_refused(client: httpx.Client) -> None:
    """Without a boundary, cut short, or with more parts than a request may have."""
    form = "multipart/form-data; boundary=x"
    part = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbody\r\n'

    def ask(body: str, kind: str = form) -> str:
        answer = client.post(
            "/models/pictures/predict", content=body, headers={"content-type": kind}
        )
        assert answer.status_code in (400, 413, 422)
        line: str = answer.json()["errors"][0]
        return line

    assert "boundary" in ask(part, "multipart/form-data")
    assert "cut short" in ask(part)
    assert "damaged" in ask("no form")
    assert "more than 256 parts" in ask(part * 257 + "--x--\r\n")
    assert "no items" in ask("--x--\r\n")
    field = '--x\r\nContent-Disposition: form-data; name="f"\r\n\r\nbody\r\n--x--\r\n'
    assert "send it as a file" in ask(field)


def test_paths_that_are_not_there_are_told(client: httpx.Client) -> None:
    """As JSON, as everything else, with the names that are known."""
    assert "there are: arrays, molecules" in client.get("/models/zzz").json()["errors"][0]
    assert "did you mean 'pictures'" in client.post("/models/pictur/predict").json()["errors"][0]
    assert client.get("/nowhere").status_code == 404
    wrong = client.get("/predict")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert wrong.json() == {"errors": ["GET is not for this path; it takes POST"]}


def test_models_are_described(client: httpx.Client) -> None:
    """Nothing says where they are, or what they were trained on."""
    about = client.get("/models/rows")

    assert about.json()["classes"] == ["yes", "no"]
    assert about.json()["grid"] == {"channels": 1, "rows": 1, "columns": 2}
    assert about.json()["takes"] == "numbers"
    assert "rows.csv" not in about.text
    assert client.get("/model").json()["name"] == "arrays"
    assert client.get("/models").json()["models"][0] == "arrays"
    assert client.get("/health").json()["status"] == "ok"
