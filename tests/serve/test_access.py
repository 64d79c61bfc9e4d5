"""Who may ask: a token, and pages of other web sites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gridcnn.serve.app import Access, Server
from gridcnn.serve.limits import Limits
from gridcnn.serve.models import Models
from tests.serve.loops import in_a_loop
from tests.serve.running import TOKEN, Running


def test_a_token_is_needed(guarded: Running, picture: Callable[..., bytes]) -> None:
    """For all but /health and the page itself."""
    with httpx.Client(base_url=guarded.url) as client:
        for path in ("/model", "/models", "/models/pictures", "/metrics", "/openapi.json", "/x"):
            for given in ({}, {"Authorization": "Bearer a"}, {"Authorization": f"Basic {TOKEN}"},
                          {"Authorization": "Bearer a secret!"}):  # fmt: skip
                refused = client.get(path, headers=given)
                assert refused.status_code == 401
                assert refused.headers["www-authenticate"] == "Bearer"
        assert client.post("/predict", content=picture()).status_code == 401
        assert client.get("/health").status_code == 200
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/model", headers=right).status_code == 200
        assert client.post("/predict", content=picture(), headers=right).status_code == 200


def test_pages_of_other_sites_may_not_ask(
    client: httpx.Client, picture: Callable[..., bytes]
) -> None:
    """Their requests are refused, and no header lets their scripts read an answer."""
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        headers = {"Origin": origin}
        refused = client.post("/models/pictures/predict", content=picture(), headers=headers)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
        assert client.options("/predict", headers=headers).status_code == 403
    own = {"Origin": str(client.base_url).rstrip("/")}
    answer = client.post("/models/pictures/predict", content=picture(), headers=own)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_pages_of_a_site_that_is_allowed_may_ask(
    guarded: Running, picture: Callable[..., bytes]
) -> None:
    """Also before they ask, as browsers do."""
    friend = {"Origin": "https://friend.example"}
    with httpx.Client(base_url=guarded.url) as client:
        asked = client.options("/predict", headers=friend)
        right = {**friend, "Authorization": f"Bearer {TOKEN}"}
        answer = client.post("/predict", content=picture(), headers=right)

    for each in (asked, answer):
        assert each.is_success
        assert each.headers["access-control-allow-origin"] == "https://friend.example"
    assert "authorization" in asked.headers["access-control-allow-headers"]


def test_a_name_that_leads_here_lets_no_page_ask(
    client: httpx.Client, picture: Callable[..., bytes]
) -> None:
    """DNS rebinding: to the browser, the page and this server are one web site."""
    port = client.base_url.port
    evil = {"Host": f"evil.example:{port}"}
    for headers in (evil, {**evil, "Origin": f"http://evil.example:{port}"}):
        refused = client.post("/models/pictures/predict", content=picture(), headers=headers)
        assert refused.status_code == 403
        (line,) = refused.json()["errors"]
        assert line.startswith("this server does not answer to the name 'evil.example'")
        assert client.get("/models", headers=headers).status_code == 403
    assert client.get("/health", headers=evil).status_code == 200
    for name in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]", "LOCALHOST"):
        own = {"Host": f"{name}:{port}", "Origin": f"http://{name}:{port}"}
        assert client.get("/models", headers=own).status_code == 200


def test_a_server_behind_another_is_called_by_its_name(guarded: Running) -> None:
    """With a token, by any name."""
    headers = {"Host": "models.example", "Authorization": f"Bearer {TOKEN}"}
    own = {**headers, "Origin": "http://models.example"}
    with httpx.Client(base_url=guarded.url) as client:
        assert client.get("/models", headers=headers).status_code == 200
        assert client.get("/models", headers=own).status_code == 200


OPEN: dict[str, Any] = {"host": "0.0.0.0", "local": False}
SITE = frozenset({"https://models.example"})


@pytest.mark.parametrize(
    ("access", "host", "origin", "status"),
    [
        ({"origins": SITE}, "models.example", "https://models.example", 200),
        ({"origins": SITE}, "models.example:443", "", 200),
        ({"origins": SITE}, "evil.example", "", 403),
        ({"origins": frozenset("*")}, "evil.example", "http://evil.example", 200),
        ({}, "192.0.2.7", "", 403),
        (OPEN, "192.0.2.7:8000", "http://192.0.2.7:8000", 200),
        (OPEN, "[2001:db8::7]:8000", "http://[2001:db8::7]:8000", 200),
        (OPEN, "evil.example", "http://evil.example", 403),
        (OPEN, "gridcnn:8000", "", 200),
        ({**OPEN, "host": "box.example"}, "box.example:80", "http://box.example:80", 200),
        ({"host": "::1"}, "[::1]:8000", "http://[::1]:8000", 200),
    ],
)
def test_names_are_those_of_the_options(
    access: dict[str, Any], host: str, origin: str, status: int
) -> None:
    """A server for other machines has names that it does not know, for programs alone."""
    app = Server(Models([], Limits()), Limits(), Access(**access))
    headers = {"Host": host, **({"Origin": origin} if origin else {})}

    async def ask() -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return (await client.get("/models", headers=headers)).status_code

    assert in_a_loop(ask()) == status
