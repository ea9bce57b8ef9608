"""Login to the console by an OpenID provider on the loopback, and logout there."""

import html
import re
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import openid_login
from api.auth import provider as oidc_provider
from api.console.access import COOKIE
from api.console.words import texts
from infra.access import console_sessions
from infra.access.api_keys import digest_of
from infra.catalog import organisations
from infra.db.access_tables import audit_entries
from infra.db.access_tables import console_sessions as table
from infra.db.core_tables import organisations as organisation_table
from infra.db.engine import transaction
from infra.settings.settings import Settings
from tests.api.console.conftest import actions, csrf_token
from tests.api.provider import CLIENT_SECRET, Provider, provider
from tests.conftest import ON_SQLITE
from tests.together import together

ORIGIN = "http://127.0.0.1"
BEGIN = "/console/login/openid"
CALLBACK = f"{BEGIN}/callback"
Answer = httpx2.Response


@pytest.fixture
def identity() -> Iterator[Provider]:
    """Return a provider of this test's own, whose accounts see figures and lists."""
    with provider() as running:
        running.id_claims = {"scope": "analytics:read lists:read openid"}
        yield running


@pytest.fixture
def oidc_settings() -> dict[str, Any]:
    """Return changes of the settings under [oidc]; tests replace it."""
    return {}


@pytest.fixture
def browser(
    settings: Settings, engine: Engine, identity: Provider, oidc_settings: dict[str, Any]
) -> Iterator[TestClient]:
    """Return a browser at a service that the provider logs in to."""
    with transaction(engine) as session:
        for name in ("default", "bakers"):
            organisations.ensure(session, name, now=datetime.now(UTC))
    client = {"client_id": "console", "client_secret": CLIENT_SECRET, "redirect_uri": f"{ORIGIN}{CALLBACK}"}
    oidc = identity.settings.model_copy(update=client | oidc_settings)
    app = create_app(settings.model_copy(update={"oidc": oidc}))
    with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False, follow_redirects=False) as opened:
        yield opened


def at_provider(browser: TestClient, following: str = "") -> str:
    """Begin a login and log in at the provider; return the address that it sends the browser back to."""
    there = browser.get(BEGIN, params={"next": following} if following else {}).headers["location"]
    no_roots = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading them takes long, and plain HTTP needs none
    with httpx2.Client(trust_env=False, verify=no_roots) as client:
        return client.get(there).headers["location"]


def log_in(browser: TestClient, following: str = "") -> Answer:
    """Log in; return the answer of the console to what the provider answered."""
    return browser.get(at_provider(browser, following))


def refusal(answer: Answer, key: str, status: int) -> bool:
    """Return whether an answer is the login with the reason of a refusal, and opens no session."""
    alert = re.findall(r'role="alert"[^>]*>([^<]*)<', answer.text)
    opened = COOKIE in answer.headers.get("set-cookie", "").partition("xuelu_login_")[0]
    return (answer.status_code, html.unescape(alert[0]), opened) == (status, texts()[key]["en"], False)


def test_an_account_opens_a_session_with_its_scopes_and_the_audit_log_names_it(
    browser: TestClient, engine: Engine, identity: Provider
) -> None:
    identity.id_claims = {"scope": ["analytics:read", "lists:read", "a\0b", 7]}
    page = browser.get("/console/login", params={"next": "/console/items?q=a"}).text
    link = html.unescape(re.findall(r'class="button" href="([^"]*)"', page)[0])
    assert link == f"{BEGIN}?next=/console/items%3Fq%3Da"
    assert log_in(browser, "/console/items?q=a").headers["location"] == "/console/items?q=a"
    assert [browser.get(path).status_code for path in ("/console", "/console/keys")] == [200, 403]
    with transaction(engine) as session:
        entries = session.execute(select(audit_entries.c.actor, audit_entries.c.action)).all()
        assert entries == [("oidc:li", "console.log_in")]
        stored = session.execute(select(table.c.organisations, table.c.scopes)).all()
        assert stored == [(["default"], ["analytics:read", "lists:read"])]


def test_the_provider_is_asked_by_code_with_pkce_and_sent_the_challenge_only(
    browser: TestClient, identity: Provider
) -> None:
    identity.metadata = {"authorization_endpoint": f"{identity.issuer}/authorize?tenant=a"}
    query = parse_qs(urlsplit(browser.get(BEGIN).headers["location"]).query)
    assert {name: query[name] for name in ("tenant", "response_type", "scope", "code_challenge_method")} == {
        "tenant": ["a"],
        "response_type": ["code"],
        "scope": ["openid"],
        "code_challenge_method": ["S256"],
    }
    secret = browser.cookies[f"xuelu_login_{query['state'][0][:12]}"].removesuffix(".")
    attempt = openid_login.LoginAttempt(secret)
    assert query["state"] == [attempt.state]
    assert query["code_challenge"] == [attempt.code_challenge]
    assert len({secret, attempt.state, attempt.nonce, attempt.code_verifier}) == 4


def test_the_challenge_is_that_of_rfc_7636(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = property(lambda _attempt: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    monkeypatch.setattr(openid_login.LoginAttempt, "code_verifier", verifier)
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert openid_login.LoginAttempt("any").code_challenge == challenge, "appendix B"


@ON_SQLITE
@pytest.mark.parametrize(
    "oidc_settings", [{"client_secret": ""}, {"redirect_uri": f"{ORIGIN}/xuelu{CALLBACK}"}, {}], ids=str
)
def test_public_clients_and_those_behind_a_prefix_log_in(
    browser: TestClient, identity: Provider, oidc_settings: dict[str, Any]
) -> None:
    identity.client_secret = oidc_settings.get("client_secret", CLIENT_SECRET)
    if not oidc_settings:
        identity.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    back = at_provider(browser).replace("/xuelu/", "/")
    assert browser.get(back).headers["location"] == "/console"


@ON_SQLITE
def test_an_answer_holds_in_the_browser_that_began_once_and_for_its_own_state(
    browser: TestClient, engine: Engine
) -> None:
    first, second, third = (at_provider(browser) for _ in range(3))
    assert [browser.get(tab).status_code for tab in (first, second)] == [303, 303], "tabs do not disturb each other"
    assert refusal(browser.get(first), "login_not_begun", 400), "it comes once"
    swapped = third.replace(parse_qs(urlsplit(third).query)["state"][0], "x" * 43)
    assert refusal(browser.get(swapped), "login_not_begun", 400)
    browser.cookies.clear()
    assert refusal(browser.get(third), "login_not_begun", 400), "it holds in no other browser"
    assert refusal(browser.get(CALLBACK), "login_not_begun", 400)
    assert refusal(browser.get(f"{CALLBACK}?state=%C3%A9&code=x"), "login_not_begun", 400)
    assert actions(engine) == ["console.log_in"] * 2


@ON_SQLITE
def test_a_login_makes_a_new_session_and_ends_the_one_before(browser: TestClient, engine: Engine) -> None:
    browser.cookies.set(COOKIE, "planted", domain="127.0.0.1", path="/console")
    log_in(browser)
    first = browser.cookies[COOKIE]
    log_in(browser)
    with transaction(engine) as session:
        digests = session.scalars(select(table.c.token_digest)).all()
    assert digests == [digest_of(browser.cookies[COOKIE])]
    assert len({first, "planted", browser.cookies[COOKIE]}) == 3


@ON_SQLITE
@together("foreign", ["https://evil.example", "//evil.example", "/console/../v1", "/console/\\evil"])
def test_no_login_leads_to_another_site(browser: TestClient, foreign: str) -> None:
    assert log_in(browser, foreign).headers["location"] == "/console"


@ON_SQLITE
@pytest.mark.parametrize(
    ("error", "key", "status"),
    [("access_denied", "login_denied", 403), ("temporarily_unavailable", "provider_refused", 502)],
)
def test_a_refusal_of_the_provider_is_shown_in_our_words(
    browser: TestClient, identity: Provider, error: str, key: str, status: int
) -> None:
    identity.refusal = error
    answer = log_in(browser, "/console/items")
    assert refusal(answer, key, status)
    assert "<b>no</b>" not in answer.text
    assert "next=/console/items" in answer.text, "the page that was asked for is kept"
    assert "state=" not in answer.text, "no link leads to the answer once more"


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"iss": "http://elsewhere.example"},
    {"aud": "xuelu"},
    {"aud": None},
    {"aud": ["console", "other"]},
    {"azp": "other"},
    {"aud": ["console", "other"], "azp": "other"},
    {"exp": 1_000_000_000},
    {"iat": None},
    {"iat": 9_000_000_000},
    {"nonce": "of another login"},
    {"nonce": None},
    {"sub": None},
    {"sub": "a\nb"},
]


@ON_SQLITE
def test_an_id_token_with_a_wrong_claim_opens_nothing(browser: TestClient, identity: Provider, engine: Engine) -> None:
    for changes in WRONG_CLAIMS:
        identity.id_claims = {"scope": "admin", **changes}
        assert refusal(log_in(browser), "login_invalid", 401), changes
    identity.id_claims = {"scope": "admin"}
    for typ in ("at+jwt", "logout+jwt"):
        identity.id_typ = typ
        assert refusal(log_in(browser), "login_invalid", 401), typ
    assert actions(engine) == []


@ON_SQLITE
def test_clocks_may_differ_by_half_a_minute(browser: TestClient, identity: Provider) -> None:
    now = int(time.time())
    identity.id_claims |= {"iat": now + 25, "exp": now - 25, "aud": ["console", "xuelu"], "azp": "console"}
    assert log_in(browser).status_code == 303


@ON_SQLITE
def test_an_account_without_organisation_or_scope_here_opens_nothing(browser: TestClient, identity: Provider) -> None:
    for names in (None, "nowhere", [], ["nowhere", 7, "a\0"], {"default": 1}):
        identity.id_claims = {"scope": "admin", "organisation": names}
        assert refusal(log_in(browser), "login_without_organisation", 403)
    for scopes in (None, "openid profile", [7]):
        identity.id_claims = {"scope": scopes}
        assert refusal(log_in(browser), "login_without_scope", 403)


@ON_SQLITE
def test_a_code_is_not_redeemed_where_the_provider_names_another_issuer(
    browser: TestClient, identity: Provider
) -> None:
    answer = at_provider(browser)
    named = urlencode({"iss": identity.issuer})
    assert refusal(browser.get(answer.replace(named, "iss=http%3A%2F%2Fevil.example")), "login_invalid", 401)
    identity.metadata = {"authorization_response_iss_parameter_supported": True}
    browser.app.state.openid_login._provider._fetched_at = -float("inf")  # type: ignore[attr-defined] # an ASGI app has no type
    assert refusal(browser.get(at_provider(browser).replace(f"&{named}", "")), "login_invalid", 401)
    assert len(identity.codes) == 2, "no code was redeemed"


@ON_SQLITE
def test_a_provider_that_is_away_or_answers_nonsense_leaves_the_keys(
    browser: TestClient, identity: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_provider, "RETRY_SECONDS", 0.0)
    identity.calls_itself = "http://elsewhere.example"
    answer = browser.get(BEGIN)
    assert refusal(answer, "provider_away", 503)
    assert 'name="key"' in answer.text
    identity.calls_itself = identity.issuer
    for reply in ((500, {}), (200, []), (200, "x"), (401, {"error": "invalid_client"})):
        identity.token_answer = reply
        assert refusal(log_in(browser), "provider_away", 503), reply
    for reply in ((200, {}), (200, {"id_token": "a.b.c"}), (400, {"error": "invalid_grant"})):
        identity.token_answer = reply
        assert refusal(log_in(browser), "login_invalid", 401), reply


@ON_SQLITE
def test_a_new_key_of_the_provider_signs_the_next_login(
    browser: TestClient, identity: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(browser).status_code == 303
    identity.keys.insert(0, ECKey.generate_key("P-256", auto_kid=True))
    monkeypatch.setattr(oidc_provider, "REFETCH_SECONDS", 0.0)
    assert log_in(browser).status_code == 303


@ON_SQLITE
def test_logout_ends_the_session_here_and_leads_to_the_providers_end(browser: TestClient, engine: Engine) -> None:
    log_in(browser)
    with transaction(engine) as session:
        stored = session.execute(select(table)).one()
    encrypted = stored.encrypted_id_token
    assert encrypted.count(".") == 4, "a JWE, and no JWT"
    with pytest.raises(JoseError):
        jwe.decrypt_compact(encrypted, OctKey.import_key(bytes.fromhex(stored.token_digest)))
    fields = {"csrf_token": csrf_token(browser.get("/console").text)}
    answer = browser.post("/console/logout", data=fields)
    address = urlsplit(answer.headers["refresh"].partition("url=")[2])
    query = parse_qs(address.query)
    assert (answer.status_code, address.path) == (200, "/realm/end")
    assert query["post_logout_redirect_uri"] == [f"{ORIGIN}/console/login"]
    assert query["id_token_hint"][0].count(".") == 2
    assert browser.get("/console").status_code == 303
    with transaction(engine) as session:
        assert session.scalars(select(table.c.token_digest)).all() == []


@ON_SQLITE
def test_logout_needs_no_end_at_the_provider(browser: TestClient, identity: Provider) -> None:
    identity.metadata = {"end_session_endpoint": None}
    log_in(browser)
    fields = {"csrf_token": csrf_token(browser.get("/console").text)}
    assert browser.post("/console/logout", data=fields).headers["location"] == "/console/login"


@ON_SQLITE
def test_without_a_client_in_the_settings_there_is_no_such_login_and_its_sessions_end(
    browser: TestClient, settings: Settings, engine: Engine
) -> None:
    log_in(browser)
    with TestClient(create_app(settings), base_url=ORIGIN, follow_redirects=False) as without:
        without.cookies = browser.cookies
        assert [without.get(path).status_code for path in (BEGIN, CALLBACK, "/console")] == [404, 404, 303]
        assert "openid" not in without.get("/console/login").text
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        assert console_sessions.close_of_subject(session, key, "li") == 1
    assert browser.get("/console").status_code == 303


def test_an_account_of_several_organisations_sees_them_side_by_side_and_each_by_itself(
    browser: TestClient, identity: Provider, engine: Engine
) -> None:
    names = ["default", "bakers", "of another service"]
    identity.id_claims = {"scope": "analytics:read runs:write", "organisation": names}
    with transaction(engine) as session:
        organisations.ensure(session, "couriers", now=datetime.now(UTC))
    log_in(browser)
    page = browser.get("/console/organisations?language=en").text
    assert re.findall(r'<th scope="row">([^<]*)<', page) == ["default", "bakers"]
    fields = {"csrf_token": csrf_token(page)}
    for name in ("couriers", "of another service", "", "Bakers", "bakers\ud800"):
        data = urlencode(fields | {"organisation": name}, errors="surrogatepass")
        answer = browser.post(
            "/console/organisations", content=data, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code in {400, 403}, name
    assert organisation_of(browser.get("/console").text) == "default"
    assert browser.post("/console/organisations", data=fields | {"organisation": "bakers"}).status_code == 303
    assert organisation_of(browser.get("/console").text) == "bakers"
    by_organisation = select(organisation_table.c.name, audit_entries.c.action).join_from(
        audit_entries,
        organisation_table,
        organisation_table.c.organisation_key == audit_entries.c.organisation_key,
    )
    with transaction(engine) as session:
        logged = session.execute(by_organisation.order_by(organisation_table.c.name)).all()
    assert logged == [("bakers", "console.switch"), ("default", "console.log_in")]
    assert browser.post("/console/organisations", data={"organisation": "default"}).status_code == 403, "of no session"


@pytest.mark.usefixtures("served")
def test_the_state_of_each_organisation_is_that_of_its_served_run(browser: TestClient, identity: Provider) -> None:
    identity.id_claims = {"scope": "analytics:read", "organisation": ["bakers", "default"]}
    log_in(browser)
    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', browser.get("/console/organisations").text, re.DOTALL)
    cells = [[re.sub(r"<[^>]+>|\s+", "", cell) for cell in re.findall("<td.*?</td>", row, re.DOTALL)] for row in rows]
    bakers, couriers = cells
    assert bakers[:5] == ["–", "–", "–", "–", "–"]
    assert couriers[3:9] == ["Passed", "24", "0", "0", "23", "61"]
    assert (bakers[-1], couriers[-1]) == ("Shownnow", "Show")


def organisation_of(page: str) -> str:
    """Return the organisation that a page shows."""
    return re.findall(r'class="organisation"[^>]*>([^<]*)<', page)[0]
