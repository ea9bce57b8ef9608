"""TokenVerifier of an OpenID provider: which are good, for what, and what happens while the provider is away."""

from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import provider as oidc_provider
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
def oidc_settings() -> dict[str, Any]:
    """Return changes of the settings under [oidc]; tests replace it."""
    return {}


@pytest.fixture
def app(settings: Settings, known: Provider, oidc_settings: dict[str, Any]) -> Iterator[TestClient]:
    """Return a client of a service that trusts the provider."""
    trusting = settings.model_copy(update={"oidc": known.settings.model_copy(update=oidc_settings)})
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
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\ud800"},
        {"sub": "a\0b"},
        {"sub": "a\nb"},
        {"nbf": 9_000_000_000},
        {"organisation": "bakers"},
        {"organisation": None},
        {"organisation": ["default"]},
        {"organisation": "default\0"},
        {"organisation": "\ud800"},
        {"nonce": "n-0S6_WzA2Mj"},
        {"at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng"},
    ],
)
def test_a_token_with_a_wrong_claim_opens_nothing(app: TestClient, known: Provider, changes: dict[str, Any]) -> None:
    assert ask(app, known.sign(known.claims(**changes))) == 401


@pytest.mark.parametrize(
    ("typ", "status"),
    [("AT+JWT", 200), ("application/at+jwt", 200), ("JWT", 401), ("", 401), ("secevent+jwt", 401), ("logout+jwt", 401)],
)
def test_only_tokens_typed_as_access_tokens_are_accepted(
    app: TestClient, known: Provider, typ: str, status: int
) -> None:
    assert ask(app, known.sign(known.claims(), typ=typ)) == status


@pytest.mark.parametrize("oidc_settings", [{"token_types": ("JWT",)}])
def test_a_provider_without_typed_access_tokens_needs_a_setting_and_its_id_tokens_are_still_refused(
    app: TestClient, known: Provider
) -> None:
    assert ask(app, known.sign(known.claims(), typ="JWT")) == 200
    assert ask(app, known.sign(known.claims(), typ="at+jwt")) == 401
    assert ask(app, known.sign(known.claims(nonce="n-0S6_WzA2Mj"), typ="JWT")) == 401


@pytest.mark.parametrize("oidc_settings", [{"jwks_max_age_seconds": 1e-9}])
def test_a_withdrawn_key_is_refused_once_the_keys_are_too_old(app: TestClient, known: Provider) -> None:
    token = known.sign(known.claims())
    assert ask(app, token) == 200
    withdrawn = known.keys.pop(0)
    assert ask(app, token) == 401
    known.keys.insert(0, withdrawn)
    assert ask(app, token) == 200
    known.calls_itself = "http://elsewhere.example"
    assert ask(app, token) == 200, "an outage of the provider is none of the service while the keys are not stale"


@pytest.mark.parametrize("oidc_settings", [{"jwks_max_age_seconds": 1e-9}])
def test_keys_that_could_not_be_renewed_for_long_are_used_no_more(
    app: TestClient, known: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = known.sign(known.claims())
    assert ask(app, token) == 200
    known.calls_itself = "http://elsewhere.example"
    monkeypatch.setattr(oidc_provider, "MAX_STALE_SECONDS", 0.0)
    assert ask(app, token) == 503


def test_keys_that_are_not_understood_keep_no_good_one_away(app: TestClient, known: Provider) -> None:
    known.other_keys = [
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "abc", "kid": "q"},
        {"kty": "EC", "crv": "P-999", "x": "a", "y": "b", "kid": "y"},
        {"kty": "OKP", "crv": "X25519", "x": "abcd", "kid": "x"},
        {"kty": "RSA", "kid": "r"},
        {"kty": ["RSA"], "kid": "l"},
        {"kid": "none"},
        "key",
    ]
    assert ask(app, known.sign(known.claims())) == 200


def test_a_symmetric_or_encryption_key_verifies_no_token(app: TestClient, known: Provider) -> None:
    shared = OctKey.generate_key(256, {"kid": "shared"})
    encryption = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"})
    known.other_keys = [shared.as_dict(private=True), encryption.as_dict(private=False)]
    assert ask(app, known.sign(known.claims(), shared, "HS256")) == 401
    assert (
        ask(app, known.sign(known.claims(), ECKey.import_key(encryption.as_dict(private=True) | {"use": "sig"}))) == 401
    )


def test_a_token_that_names_no_key_is_verified_by_any(app: TestClient, known: Provider) -> None:
    stranger = ECKey.generate_key("P-256", auto_kid=True)
    for key, algorithm in ((known.keys[0], "ES256"), (known.keys[1], "RS256")):
        assert ask(app, known.sign(known.claims(), key, algorithm, named=False)) == 200
    assert ask(app, known.sign(known.claims(), stranger, named=False)) == 401


def test_keys_are_not_fetched_again_before_they_are_old(app: TestClient, known: Provider) -> None:
    assert [ask(app, known.sign(known.claims())) for _ in range(3)] == [200] * 3
    assert known.asked.count("/realm/keys") == 1


def test_a_token_of_another_key_or_algorithm_opens_nothing(app: TestClient, known: Provider) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": known.keys[0].kid})
    shared = OctKey.generate_key(256, {"kid": known.keys[0].kid})
    good = known.sign(known.claims())
    header, _, signature = good.split(".")
    forged = known.sign(known.claims(sub="root")).split(".")[1]
    header_of_good = {"alg": "ES256", "kid": known.keys[0].kid}
    nested = b'{"sub":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    for token in (
        jws.serialize_compact(header_of_good, nested, known.keys[0], algorithms=["ES256"]),
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
    monkeypatch.setattr(oidc_provider, "REFETCH_SECONDS", 0.0)
    assert ask(app, known.sign(known.claims())) == 200
    assert known.asked.count("/realm/keys") == 2


@pytest.mark.parametrize("named", [False, True])
def test_a_new_key_without_an_id_or_with_that_of_the_one_before_is_asked_for(
    app: TestClient, known: Provider, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    assert ask(app, known.sign(known.claims())) == 200
    known.keys[0] = ECKey.generate_key("P-256", {"kid": known.keys[0].kid})
    monkeypatch.setattr(oidc_provider, "REFETCH_SECONDS", 0.0)
    assert ask(app, known.sign(known.claims(), named=named)) == 200


def test_a_provider_that_does_not_answer_as_it_should_is_told_and_keys_still_open(
    app: TestClient, known: Provider, make_key: Any
) -> None:
    known.calls_itself = "http://elsewhere.example"
    answer = app.get(LIST, headers={"Authorization": f"Bearer {known.sign(known.claims())}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "provider" in answer.json()["detail"]
    assert ask(app, make_key("lists:read")) == 200
