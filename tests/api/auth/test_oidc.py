"""Tokens of an OpenID provider: which are good, for what, and what happens while the provider is away."""

from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import oidc
from infra.settings.settings import Settings
from tests.api.provider import Provider, provider

LIST = "/v1/members/d1/push-list"

pytestmark = [pytest.mark.usefixtures("served"), pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture
def known() -> Iterator[Provider]:
    """Return a provider of this test's own."""
    with provider() as running:
        yield running


@pytest.fixture
def app(settings: Settings, known: Provider) -> Iterator[TestClient]:
    """Return a client of a service that trusts the provider."""
    trusting = settings.model_copy(update={"oidc": known.settings})
    with TestClient(create_app(trusting), raise_server_exceptions=False) as opened:
        yield opened


def ask(app: TestClient, token: str, path: str = LIST) -> int:
    """Return the status of an answer."""
    return app.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_opens_what_its_claims_say_and_nothing_else(app: TestClient, known: Provider) -> None:
    good = known.sign(known.claims())
    by_rsa = known.sign(known.claims(scope=["lists:read", 3]), known.keys[1], "RS256")
    assert [ask(app, good), ask(app, by_rsa)] == [200, 200]
    assert ask(app, good, "/v1/runs") == 403
    assert ask(app, known.sign(known.claims(scope="admin")), "/v1/runs") == 200
    assert ask(app, known.sign(known.claims(scope=None))) == 403
    assert known.asked.count("/realm/keys") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://elsewhere.example"},
        {"iss": None},
        {"aud": "others"},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": None},
        {"sub": "x" * 300},
        {"nbf": 9_000_000_000},
        {"organisation": "bakers"},
        {"organisation": None},
    ],
)
def test_a_token_with_a_wrong_claim_opens_nothing(app: TestClient, known: Provider, changes: dict[str, Any]) -> None:
    assert ask(app, known.sign(known.claims(**changes))) == 401


def test_a_token_of_another_key_or_algorithm_opens_nothing(app: TestClient, known: Provider) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": known.keys[0].kid})
    shared = OctKey.generate_key(256, {"kid": known.keys[0].kid})
    good = known.sign(known.claims())
    header, _, signature = good.split(".")
    forged = known.sign(known.claims(sub="root")).split(".")[1]
    for token in (
        known.sign(known.claims(), stranger),
        known.sign(known.claims(), shared, "HS256"),
        f"{header}.{forged}.{signature}",
        "eyJhbGciOiJub25lIn0." + good.split(".")[1] + ".",
        "a.b.c",
        "..",
    ):
        assert ask(app, token) == 401


def test_a_new_key_of_the_provider_is_asked_for_but_not_at_every_request(
    app: TestClient, known: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(app, known.sign(known.claims())) == 200
    known.keys.insert(0, ECKey.generate_key("P-256", auto_kid=True))
    assert [ask(app, known.sign(known.claims())) for _ in range(3)] == [401] * 3
    assert known.asked.count("/realm/keys") == 1
    monkeypatch.setattr(oidc, "PAUSE_SECONDS", 0.0)
    assert ask(app, known.sign(known.claims())) == 200
    assert known.asked.count("/realm/keys") == 2


def test_a_provider_that_does_not_answer_as_it_should_is_told_and_keys_still_open(
    app: TestClient, known: Provider, make_key: Any
) -> None:
    known.calls_itself = "http://elsewhere.example"
    answer = app.get(LIST, headers={"Authorization": f"Bearer {known.sign(known.claims())}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "provider" in answer.json()["detail"]
    assert ask(app, make_key("lists:read")) == 200
