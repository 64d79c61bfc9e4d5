"""Who may ask: a token, and pages of other web sites."""

from __future__ import annotations

from collections.abc import Callable

import httpx

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
