"""Batches: items of several requests in one go, each with its own answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gridcnn.adapters.image import ImageAdapter
from gridcnn.model import Model
from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal
from gridcnn.serve.served import FAULT, Question, Reply, Served, answer_together, limit_adapter
from gridcnn.serve.shelf import Shelf
from gridcnn.serve.weight import is_heavy
from tests.serve.running import made, picture_model

JSON = "application/json"


def served(model: Model) -> Served:
    return Served("it", model, Limits())


def replies(one: Served, bodies: Sequence[bytes], kind: str) -> list[Reply]:
    found = answer_together([Question(one, body, kind) for body in bodies])
    assert all(isinstance(each, Reply) for each in found)
    return [each for each in found if isinstance(each, Reply)]


def test_several_labels_are_a_list() -> None:
    """Each by its own threshold."""
    model = made({"table": {"size": [1, 2], "scaling": "none"}}, name="labels", several=True)
    rows = np.random.default_rng(0).normal(size=(6, 2))

    (reply,) = replies(served(model), [json.dumps({"items": rows.tolist()}).encode()], JSON)

    answers = json.loads(reply.content)["answers"]
    assert [each["answer"] for each in answers] == model.labels_answered(model.votes(rows))


def test_notes_are_of_the_request_that_they_are_about() -> None:
    """Another one in the same batch has none."""
    settings = {"size": [1, 2], "channels": 1, "low": 0.0, "high": 1.0, "limit": 3.0}
    bodies = [json.dumps({"item": row}).encode() for row in ([0.5, 0.5], [900.0, 0.5])]

    plain, far = replies(served(made({"array": settings}, name="arrays")), bodies, JSON)

    assert "notes" not in json.loads(plain.content)
    assert json.loads(far.content)["notes"][0].startswith("1 item")


def test_a_fault_is_that_of_one_request(
    monkeypatch: pytest.MonkeyPatch, picture: Callable[..., bytes], capsys: Any
) -> None:
    """The others of its batch have their answers; the log has the traceback."""
    read = ImageAdapter._bytes_or_cells

    def broken(self: ImageAdapter, thing: Any) -> Any:
        if thing == picture(2):
            raise ZeroDivisionError("a fault")
        return read(self, thing)

    monkeypatch.setattr(ImageAdapter, "_bytes_or_cells", broken)
    found = replies(served(picture_model()), [picture(n) for n in range(4)], "image/png")

    assert [reply.status for reply in found] == [200, 200, 500, 200]
    assert json.loads(found[2].content)["errors"] == [f"body: {FAULT}"]
    assert "ZeroDivisionError: a fault" in capsys.readouterr().err


def test_limits_reach_the_adapter() -> None:
    """But never widen its own."""
    limits = Limits(pixels=1_000)

    assert limit_adapter(ImageAdapter(), limits).max_pixels == 1_000  # type: ignore[attr-defined]
    own = limit_adapter(ImageAdapter(max_pixels=10), limits)
    assert own.max_pixels == 10  # type: ignore[attr-defined]


def test_one_item_is_explained_at_a_time(picture: Callable[..., bytes]) -> None:
    """As a page."""
    one = served(made({"table": {"size": [1, 2], "scaling": "none"}}, name="rows"))
    two = Question(one, b'{"items": [[1, 2], [3, 4]]}', JSON, explain=True)
    bad = Question(served(picture_model()), picture()[:50], "image/png", explain=True)

    several, damaged = answer_together([two, bad])

    assert isinstance(several, Refusal)
    assert "the request has 2" in several.lines[0]
    assert isinstance(damaged, Refusal)
    assert damaged.status == 422


def test_large_pictures_are_heavy_however_small_their_files(
    picture: Callable[..., bytes],
) -> None:
    """So that they hold up no small ones."""
    small, large = picture(0, (64, 64)), bytearray(picture(0, (64, 64)))
    large[16:24] = (4_000).to_bytes(4, "big") * 2

    def form(content: bytes, times: int = 1) -> bytes:
        part = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
        return (part + content + b"\r\n") * times + b"--x--\r\n"

    multipart = "multipart/form-data; boundary=x"
    assert not is_heavy(small, "image/png")
    assert not is_heavy(form(small), multipart)
    assert not is_heavy(b'{"items": ["a text"]}', JSON)
    assert is_heavy(bytes(large), "image/png")
    assert is_heavy(form(bytes(large)), multipart)
    assert is_heavy(form(small, times=2), multipart)
    assert is_heavy(b"GIF89a" + bytes(range(256)), "")
    assert is_heavy(b"a" * 100_000, "text/plain")
    assert is_heavy(b'{"item": {"base64": "..."}}', JSON)


def test_the_oldest_explanations_go_first() -> None:
    """A limit_adapter number of them is kept."""
    shelf = Shelf()
    keys = [shelf.put(bytes([number])) for number in range(40)]

    assert shelf.get(keys[0]) is None
    assert shelf.get(keys[-1]) == bytes([39])
    assert sum(shelf.get(key) is not None for key in keys) == 32
