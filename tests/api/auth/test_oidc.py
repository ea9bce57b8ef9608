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
from tests.together import together

LIST = "/v1/members/d1/push-list"

pytestmark = [pytest.mark.usefixtures("served"), pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture
def identity_provider() -> Iterator[Provider]:
    """Return a provider of this test's own."""
    with provider() as running:
        yield running


@pytest.fixture
def oidc_settings() -> dict[str, Any]:
    """Return changes of the settings under [oidc]; tests replace it."""
    return {}


@pytest.fixture
def app(settings: Settings, identity_provider: Provider, oidc_settings: dict[str, Any]) -> Iterator[TestClient]:
    """Return a client of a service that trusts the provider."""
    trusting = settings.model_copy(update={"oidc": identity_provider.settings.model_copy(update=oidc_settings)})
    with TestClient(create_app(trusting), raise_server_exceptions=False) as opened:
        yield opened


def ask(app: TestClient, token: str, path: str = LIST) -> int:
    """Return the status of an answer."""
    return app.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_opens_what_its_claims_say_and_nothing_else(app: TestClient, identity_provider: Provider) -> None:
    good = identity_provider.sign(identity_provider.claims())
    by_rsa = identity_provider.sign(
        identity_provider.claims(scope=["lists:read", 3]), identity_provider.keys[1], "RS256"
    )
    assert [ask(app, good), ask(app, by_rsa)] == [200, 200]
    assert ask(app, good, "/v1/runs") == 403
    assert ask(app, identity_provider.sign(identity_provider.claims(scope="admin")), "/v1/runs") == 200
    assert ask(app, identity_provider.sign(identity_provider.claims(scope=None))) == 403
    assert identity_provider.asked.count("/realm/keys") == 1


@together(
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
def test_a_token_with_a_wrong_claim_opens_nothing(
    app: TestClient, identity_provider: Provider, changes: dict[str, Any]
) -> None:
    assert ask(app, identity_provider.sign(identity_provider.claims(**changes))) == 401


@together(
    ("typ", "status"),
    [("AT+JWT", 200), ("application/at+jwt", 200), ("JWT", 401), ("", 401), ("secevent+jwt", 401), ("logout+jwt", 401)],
)
def test_only_tokens_typed_as_access_tokens_are_accepted(
    app: TestClient, identity_provider: Provider, typ: str, status: int
) -> None:
    assert ask(app, identity_provider.sign(identity_provider.claims(), typ=typ)) == status


@pytest.mark.parametrize("oidc_settings", [{"token_types": ("JWT",)}])
def test_a_provider_without_typed_access_tokens_needs_a_setting_and_its_id_tokens_are_still_refused(
    app: TestClient, identity_provider: Provider
) -> None:
    assert ask(app, identity_provider.sign(identity_provider.claims(), typ="JWT")) == 200
    assert ask(app, identity_provider.sign(identity_provider.claims(), typ="at+jwt")) == 401
    assert ask(app, identity_provider.sign(identity_provider.claims(nonce="n-0S6_WzA2Mj"), typ="JWT")) == 401


@pytest.mark.parametrize("oidc_settings", [{"jwks_max_age_seconds": 1e-9}])
def test_a_withdrawn_key_is_refused_once_the_keys_are_too_old(app: TestClient, identity_provider: Provider) -> None:
    token = identity_provider.sign(identity_provider.claims())
    assert ask(app, token) == 200
    withdrawn = identity_provider.keys.pop(0)
    assert ask(app, token) == 401
    identity_provider.keys.insert(0, withdrawn)
    assert ask(app, token) == 200
    identity_provider.calls_itself = "http://elsewhere.example"
    assert ask(app, token) == 200, "an outage of the provider is none of the service while the keys are not stale"


@pytest.mark.parametrize("oidc_settings", [{"jwks_max_age_seconds": 1e-9}])
def test_keys_that_could_not_be_renewed_for_long_are_used_no_more(
    app: TestClient, identity_provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = identity_provider.sign(identity_provider.claims())
    assert ask(app, token) == 200
    identity_provider.calls_itself = "http://elsewhere.example"
    monkeypatch.setattr(oidc_provider, "MAX_STALE_SECONDS", 0.0)
    assert ask(app, token) == 503


def test_keys_that_are_not_understood_keep_no_good_one_away(app: TestClient, identity_provider: Provider) -> None:
    identity_provider.other_keys = [
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "abc", "kid": "q"},
        {"kty": "EC", "crv": "P-999", "x": "a", "y": "b", "kid": "y"},
        {"kty": "OKP", "crv": "X25519", "x": "abcd", "kid": "x"},
        {"kty": "RSA", "kid": "r"},
        {"kty": ["RSA"], "kid": "l"},
        {"kid": "none"},
        "key",
    ]
    assert ask(app, identity_provider.sign(identity_provider.claims())) == 200


def test_a_symmetric_or_encryption_key_verifies_no_token(app: TestClient, identity_provider: Provider) -> None:
    shared = OctKey.generate_key(256, {"kid": "shared"})
    encryption = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"})
    identity_provider.other_keys = [shared.as_dict(private=True), encryption.as_dict(private=False)]
    assert ask(app, identity_provider.sign(identity_provider.claims(), shared, "HS256")) == 401
    assert (
        ask(
            app,
            identity_provider.sign(
                identity_provider.claims(), ECKey.import_key(encryption.as_dict(private=True) | {"use": "sig"})
            ),
        )
        == 401
    )


def test_a_token_that_names_no_key_is_verified_by_any(app: TestClient, identity_provider: Provider) -> None:
    stranger = ECKey.generate_key("P-256", auto_kid=True)
    for key, algorithm in ((identity_provider.keys[0], "ES256"), (identity_provider.keys[1], "RS256")):
        assert ask(app, identity_provider.sign(identity_provider.claims(), key, algorithm, named=False)) == 200
    assert ask(app, identity_provider.sign(identity_provider.claims(), stranger, named=False)) == 401


def test_keys_are_not_fetched_again_before_they_are_old(app: TestClient, identity_provider: Provider) -> None:
    assert [ask(app, identity_provider.sign(identity_provider.claims())) for _ in range(3)] == [200] * 3
    assert identity_provider.asked.count("/realm/keys") == 1


def test_a_token_of_another_key_or_algorithm_opens_nothing(app: TestClient, identity_provider: Provider) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": identity_provider.keys[0].kid})
    shared = OctKey.generate_key(256, {"kid": identity_provider.keys[0].kid})
    good = identity_provider.sign(identity_provider.claims())
    header, _, signature = good.split(".")
    forged = identity_provider.sign(identity_provider.claims(sub="root")).split(".")[1]
    header_of_good = {"alg": "ES256", "kid": identity_provider.keys[0].kid}
    nested = b'{"sub":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    for token in (
        jws.serialize_compact(header_of_good, nested, identity_provider.keys[0], algorithms=["ES256"]),
        identity_provider.sign(identity_provider.claims(), stranger),
        identity_provider.sign(identity_provider.claims(), shared, "HS256"),
        f"{header}.{forged}.{signature}",
        "eyJhbGciOiJub25lIn0." + good.split(".")[1] + ".",
        "a.b.c",
        "..",
        "eyJhbGciOiJFUzI1NiIsImNyaXQiOjV9." + f"{forged}.{signature}",  # a header whose crit is 5
    ):
        assert ask(app, token) == 401


def test_a_new_key_of_the_provider_is_asked_for_but_not_at_every_request(
    app: TestClient, identity_provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(app, identity_provider.sign(identity_provider.claims())) == 200
    identity_provider.keys.insert(0, ECKey.generate_key("P-256", auto_kid=True))
    assert [ask(app, identity_provider.sign(identity_provider.claims())) for _ in range(3)] == [401] * 3
    assert identity_provider.asked.count("/realm/keys") == 1
    monkeypatch.setattr(oidc_provider, "REFETCH_SECONDS", 0.0)
    assert ask(app, identity_provider.sign(identity_provider.claims())) == 200
    assert identity_provider.asked.count("/realm/keys") == 2


@pytest.mark.parametrize("named", [False, True])
def test_a_new_key_without_an_id_or_with_that_of_the_one_before_is_asked_for(
    app: TestClient, identity_provider: Provider, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    assert ask(app, identity_provider.sign(identity_provider.claims())) == 200
    identity_provider.keys[0] = ECKey.generate_key("P-256", {"kid": identity_provider.keys[0].kid})
    monkeypatch.setattr(oidc_provider, "REFETCH_SECONDS", 0.0)
    assert ask(app, identity_provider.sign(identity_provider.claims(), named=named)) == 200


def test_a_provider_that_does_not_answer_as_it_should_is_told_and_keys_still_open(
    app: TestClient, identity_provider: Provider, make_key: Any
) -> None:
    identity_provider.calls_itself = "http://elsewhere.example"
    answer = app.get(LIST, headers={"Authorization": f"Bearer {identity_provider.sign(identity_provider.claims())}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "provider" in answer.json()["detail"]
    assert ask(app, make_key("lists:read")) == 200
