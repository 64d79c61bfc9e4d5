"""Bodies of requests to the server: forms, JSON and tables, for models of every kind.

An input is a type of content, a line feed, and a body.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.changes import Changes
from fuzz.sealed import text_changed
from fuzz.target import Target, readable, require
from gridcnn.contracts.adapter import Adapter
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.spec.load import load

_TABLE = {"path": "rows.csv", "input": ["height", "width"], "label": "kind"}
_PATHS = {"path": "items.csv", "input": "place", "label": "kind"}
_FORM = "multipart/form-data; boundary=x"
_ADAPTERS: tuple[tuple[dict[str, Any], dict[str, Any] | None], ...] = (
    ({"text": {"length": 9, "alphabet": "abc "}}, None),
    ({"table": {"size": [1, 2], "means": [0.0, 1.0], "deviations": [1.0, 2.0]}}, _TABLE),
    ({"array": {"size": [2, 2], "channels": 1, "low": 0.0, "high": 1.0}}, None),
    ({"image": {"size": [4, 4]}}, _PATHS),
)


@functools.cache
def _served() -> tuple[Any, ...]:
    from gridcnn.serve.limits import Limits
    from gridcnn.serve.served import Served

    limits = Limits(items=8, pixels=100_000)
    return tuple(Served("it", _model(adapter, table), limits) for adapter, table in _ADAPTERS)


def _model(adapter: dict[str, Any], table: dict[str, Any] | None) -> Model:
    data = {} if table is None else {"data": {"source": {"table": table}}}
    spec = load({"adapter": adapter, "head": "voting", **data})
    assert isinstance(spec.adapter, Adapter)
    network = Network(spec, spec.adapter.shape(), classes=2)
    return Model(spec, ["yes", "no"], network.starting_parameters(), engine="reference")


def _seeds() -> Sequence[bytes]:
    part = '--x\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\n%s\r\n'
    bodies: list[tuple[str, str]] = [
        (_FORM, part % ("a.txt", "abc") + part % ("b.csv", "text\nabc") + "--x--\r\n"),
        (_FORM, '--x\r\nContent-Disposition: form-data; name="f"\r\n\r\nabc\r\n--x--\r\n'),
        ("text/plain; charset=latin-1", "abc"),
        ("text/csv", "height,width\n1,2\n3,4\n"),
        ("text/csv", "place\n/etc/passwd\n"),
        ("application/jsonl", '{"height": 1, "width": 2}\n{"place": {"path": "/etc/passwd"}}'),
        ("image/png", "no picture"),
    ]
    items: tuple[Any, ...] = (
        ["abc", "/etc/passwd"], [[1, 2], [None, 3]], [{"height": 1, "width": "2"}],
        [[[0, 1], [1, 0]]], [{"base64": "YWJj"}], [{"bytes": None, "path": "/etc/passwd"}],
        [1e300, True, None],
    )  # fmt: skip
    for each in items:
        bodies.append(("application/json", json.dumps({"items": each})))
        bodies.append(("application/json", json.dumps({"item": each, "dtype": "uint8"})))
    return [f"{kind}\n{body}".encode() for kind, body in bodies]


def _ask(content: bytes, folder: Path) -> None:  # noqa: ARG001 - as the others
    from gridcnn.errors import UserError
    from gridcnn.serve.refusals import Refusal
    from gridcnn.serve.served import Question, answer_together
    from gridcnn.serve.weight import is_heavy

    first, _, body = content.partition(b"\n")
    kind = first.decode("latin-1")
    is_heavy(body, kind)
    for served in _served():
        try:
            items = served.intake.items(body, kind)
        except Refusal as refusal:
            require(400 <= refusal.status < 500, "a fault of the server")
            readable(*refusal.lines)
        except UserError as error:
            readable(error)
        else:
            for thing in items.things:
                is_text = isinstance(thing, str) and served.adapter.texts
                numbers = isinstance(thing, np.ndarray) and thing.dtype.kind in "biuf"
                require(is_text or numbers or type(thing) is bytes, "something could be opened")
        (reply,) = answer_together([Question(served, body, kind)])
        require(reply.status < 500, "a fault of the server")
        if not isinstance(reply, Refusal):
            readable(*json.loads(reply.content).get("errors", ()))


def _change(content: bytes, changes: Changes) -> bytes:
    """Change the body, and seldom its type."""
    first, _, body = content.partition(b"\n")
    if changes.one_in(8):
        first = text_changed(first, changes).replace(b"\n", b"")
    return first + b"\n" + text_changed(body, changes)


TARGETS = (Target("request", "bodies of requests to the server", _seeds, _ask, _change),)
