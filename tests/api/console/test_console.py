"""The console, asked as a browser asks it."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update
from starlette.testclient import TestClient

from api.console.access import COOKIE
from api.console.routes import ROUTERS
from api.console.words import texts
from infra.access import api_keys, console_sessions
from infra.access.api_keys import digest_of
from infra.catalog import organisations
from infra.db.access_tables import audit_entries
from infra.db.access_tables import console_sessions as table
from infra.db.core_tables import events, runs
from infra.db.engine import transaction
from infra.runs import store
from tests.api.conftest import MakeKey
from tests.api.console.conftest import Browser, actions, csrf_token
from tests.conftest import ON_SQLITE
from tests.copied_run import copied_run

OPEN = {"/console/login", "/console/console.css"}
BY_PROVIDER = {"/console/login/openid", "/console/login/openid/callback"}
"""Routes that are not there without a provider (tests/api/console/test_openid.py)."""
ROUTES = [
    (route.path, method)
    for router in ROUTERS
    for route in router.routes
    for method in sorted(route.methods)
    if route.path not in BY_PROVIDER
]


def address(path: str, run_id: str = "none") -> str:
    """Return an address of a route's path."""
    return re.sub(r"{\w+}", "none", path.replace("{run_id}", run_id))


def hidden_fields(page: str) -> dict[str, str]:
    """Return the hidden fields of a page."""
    return {name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', page)}


def test_without_a_session_every_route_sends_to_the_login(anonymous: TestClient, served: dict[str, Any]) -> None:
    anonymous.follow_redirects = False
    anonymous.cookies.set(COOKIE, "of-no-session", path="/console")
    for path, method in ROUTES:
        if path not in OPEN:
            data = {"csrf_token": "x"} if method == "POST" else None
            answer = anonymous.request(method, address(path, served["run_id"]), data=data)
            login = answer.headers["location"].partition("?")[0]
            assert (path, answer.status_code, login) == (path, 303, "/console/login")


@ON_SQLITE
def test_a_key_for_something_else_opens_no_screen(browser: Browser, served: dict[str, Any]) -> None:
    client = browser("events:write")
    for path, method in ROUTES:
        if path not in OPEN | {"/console/glossary"} and method == "GET":
            answer = client.get(address(path, served["run_id"]))
            assert (path, answer.status_code) == (path, 403)
            assert served["run_id"] not in answer.text


def test_the_screens_show_the_served_run_and_a_members_list(browser: Browser, served_online: dict[str, Any]) -> None:
    client, run_id = browser(), served_online["run_id"]
    for language in ("en", "zh"):
        for path in ("/console", "/console/runs", f"/console/runs/{run_id}"):
            page = client.get(path, params={"language": language})
            assert page.status_code == 200, page.text
            assert run_id[:8] in page.text
            assert texts()["log_out"][language] in page.text
    page = client.get("/console/member", params={"member_id": "d1", "since": ""})  # as the form sends it
    assert page.status_code == 200, page.text
    assert texts()["push_list"]["zh"] in page.text, "the language is kept"
    assert "<details>" in page.text
    unknown = client.get("/console/member", params={"member_id": "<i>"})
    assert (unknown.status_code, "<i>" in unknown.text) == (404, False)
    assert all(part in unknown.text for part in ('value="&lt;i&gt;"', texts()["no_such_member"]["zh"]))
    early = client.get("/console/member", params={"member_id": "d1", "since": "2000-01-01"})
    assert (early.status_code, texts()["no_list_then"]["zh"] in early.text) == (200, True)
    assert client.get("/console/rates.csv").text.startswith("\ufeffmonth,lists,shown")


def test_the_overview_tells_of_a_newest_run_that_is_held(
    browser: Browser, engine: Engine, served: dict[str, Any], now: datetime
) -> None:
    client = browser("analytics:read")
    assert texts()["newest_held"]["en"] not in client.get("/console").text
    with transaction(engine) as session:
        held = copied_run(session, served, now=now)
        store.finish(session, held["run_key"], status="held", now=now, checks=[])
    for language in ("en", "zh"):
        page = client.get("/console", params={"language": language}).text
        assert texts()["newest_held"][language] in page
        assert f'/console/runs/{held["run_id"]}"' in page
        assert served["run_id"][:8] in page, "that is served still"


@ON_SQLITE
def test_what_a_member_studied_is_shown_to_those_who_may_read_members(
    browser: Browser, engine: Engine, served: dict[str, Any]
) -> None:
    assert served["run_id"]
    page = browser("lists:read").get("/console/member", params={"member_id": "d1"}).text
    assert texts()["history_scope"]["en"] in page
    client = browser("lists:read", "members:write")
    page = client.get("/console/member", params={"member_id": "d1"}).text
    studied = re.findall(r'scope="row"><a href="/console/item[?]item_id=(\w+)">', page.partition('id="history"')[2])
    with transaction(engine) as session:
        counted = session.execute(
            select(events.c.item_id)
            .where(events.c.member_id == "d1", events.c.verb.not_in(["shown", "voided"]))
            .order_by(events.c.occurred_at.desc(), events.c.event_id.desc())
        )
        assert studied == list(counted.scalars())
    assert studied
    client.app.state.audit_buffer.flush()  # type: ignore[attr-defined] # an ASGI app has no type
    with transaction(engine) as session:
        assert "members.read" in session.scalars(select(audit_entries.c.action)).all()


def test_a_run_is_compared_with_one_before(browser: Browser, engine: Engine, served: dict[str, Any]) -> None:
    client, run_id = browser("analytics:read"), served["run_id"]
    path = f"/console/runs/{run_id}/difference"
    assert texts()["no_earlier_run"]["en"] in client.get(path).text
    with transaction(engine) as session:
        earlier = copied_run(session, served, now=served["as_of"] - timedelta(days=1))["run_id"]
    for language in ("en", "zh"):
        page = client.get(path, params={"before": earlier, "language": language})
        assert page.status_code == 200, page.text
        assert texts()["no_items_came"][language] in page.text
        assert "<svg" in page.text
    rows = client.get(f"{path}.csv", params={"before": earlier, "language": "en"}).text.splitlines()
    assert rows[0].startswith("\ufeffslice,value,name,members,changed,new_share")
    assert any(row.startswith("role,83,Drivers") for row in rows)
    assert client.get(path, params={"before": "none"}).status_code == 404
    # A check of another version, whose facts lack what today's text names, is shown as it was stored.
    odd = {"name": "ranking", "state": "mixed", "passed": True, "detail": "as stored", "facts": {"positives": None}}
    with transaction(engine) as session:
        session.execute(update(runs).where(runs.c.run_key == served["run_key"]).values(checks=[odd]))
    page = client.get(f"/console/runs/{run_id}", params={"language": "zh"})
    assert (page.status_code, "as stored" in page.text) == (200, True)


@ON_SQLITE
def test_a_list_is_shown_without_breakdown_where_its_models_are_gone(browser: Browser, served: dict[str, Any]) -> None:
    page = browser().get("/console/member", params={"member_id": "d1"})
    assert served["run_id"]
    assert (page.status_code, "<details>" in page.text) == (200, False)
    assert 'class="title"' in page.text


def test_the_list_for_a_role_is_shown(browser: Browser, served: dict[str, Any]) -> None:
    client = browser("lists:read")
    assert served["run_id"]
    drivers = client.get("/console/preview", params={"role": "83", "industry": "nonsense"}).text
    assert "安全驾驶" in drivers
    assert texts()["unknown_code"]["en"] in drivers
    assert client.get("/console/preview", params={"role": "41"}).text != drivers
    assert client.get("/console/preview?role=%00").status_code == 400


@ON_SQLITE
def test_no_run_yet_says_what_to_do(browser: Browser) -> None:
    client = browser()
    for path in ("/console", "/console/runs"):
        assert "xuelu nightly" in client.get(path).text


@ON_SQLITE
def test_pages_allow_no_script_and_hold_no_inline_style(browser: Browser, served: dict[str, Any]) -> None:
    client = browser()
    for path in (
        "/console/login?other=true",
        "/console",
        "/console/runs",
        f"/console/runs/{served['run_id']}",
        "/console/member",
    ):
        page = client.get(path)
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "unsafe" not in policy
        assert not re.search(r"<style|<script| style=| on\w+=", page.text)
        assert page.headers["cache-control"] == "no-store"


def test_a_login_makes_a_new_token_and_ends_the_session_of_the_old_one(
    browser: Browser, engine: Engine, make_key: MakeKey
) -> None:
    client = browser()
    first = client.cookies[COOKIE]
    answer = client.post("/console/login", data={"key": make_key()})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/console" in cookie
    second = client.cookies[COOKIE]
    with transaction(engine) as session:
        assert session.scalars(select(table.c.token_digest)).all() == [digest_of(second)]
    assert first != second


@ON_SQLITE
def test_a_login_leads_to_the_page_that_was_asked_for_and_to_no_other_site(
    anonymous: TestClient, make_key: MakeKey
) -> None:
    anonymous.follow_redirects = False
    asked = "/console/items?q=%E5%AE%89+%26"
    login = anonymous.get(asked).headers["location"]
    following = html.unescape(re.findall(r'name="next" value="([^"]*)"', anonymous.get(login).text)[0])
    assert anonymous.post("/console/login", data={"key": "wrong", "next": following}).text.count('name="next"') == 1
    form = {"key": make_key(), "next": following}
    assert anonymous.post("/console/login", data=form).headers["location"] == asked
    for foreign in (
        "https://evil.example",
        "//evil.example",
        "/console/\\evil",
        "/console/../v1",
        "/console/\r\nx: y",
        "x",
    ):
        assert anonymous.post("/console/login", data=form | {"next": foreign}).headers["location"] == "/console"


@ON_SQLITE
def test_the_login_of_a_browser_with_a_session_goes_on_to_its_page(browser: Browser, engine: Engine) -> None:
    client = browser("lists:read")
    for query, page in (
        ("", "/console/member"),
        ("?next=/console/preview", "/console/preview"),
        ("?next=//evil.example", "/console/member"),
        ("?next=/console/login?next=/console/login", "/console/member"),
    ):
        answer = client.get(f"/console/login{query}")
        assert (answer.status_code, answer.headers["location"]) == (303, page)
    refused = client.get("/console/keys")
    other = re.findall(r'href="(/console/login[^"]*)"', refused.text)[0]
    assert 'name="key"' in client.get(html.unescape(other)).text, "another key can be used"
    with transaction(engine) as session:
        session.execute(delete(table))
    assert 'name="key"' in client.get("/console/login").text


@ON_SQLITE
def test_a_form_of_an_ended_session_is_sent_after_the_login(
    browser: Browser, engine: Engine, make_key: MakeKey
) -> None:
    client = browser()
    fields = {"name": 'fire & "<b>"', "days": "30", "scope.lists:read": "on"}
    stale = {"csrf_token": csrf_token(client.get("/console/keys").text)}
    with transaction(engine) as session:
        session.execute(delete(table))
    assert client.post("/console/keys", data=fields | {"csrf_token": "0" * 64}).status_code == 303, "of another session"
    login = client.post("/console/keys", data=fields | stale)
    assert (login.status_code, texts()["form_waits"]["en"] in login.text) == (401, True)
    unsent = hidden_fields(login.text)
    assert hidden_fields(client.post("/console/login", data=unsent | {"key": "wrong"}).text) == unsent
    page = client.post("/console/login", data=unsent | {"key": make_key()}).text
    sent = hidden_fields(page)
    assert sent == hidden_fields(client.post("/console/login", data=unsent | {"logged_in": "yes"}).text)
    assert sent == fields | {"csrf_token": sent["csrf_token"]} != fields | stale
    assert 'action="/console/keys"' in page
    other_tab = client.post("/console/keys", data=fields | stale, headers={"sec-fetch-site": "same-origin"})
    assert (other_tab.status_code, hidden_fields(other_tab.text)) == (403, sent), "the login was in another tab"
    assert client.post("/console/keys", data=sent).status_code == 200
    assert "fire &amp; &#34;&lt;b&gt;" in client.get("/console/keys").text
    for path in ("https://evil.example/", "/v1/items"):
        forged = {"unsent": json.dumps({"path": path, "fields": {}}), "logged_in": "yes"}
        assert client.post("/console/login", data=forged).status_code == 400


@ON_SQLITE
def test_over_https_the_cookie_goes_over_nothing_else(anonymous: TestClient, make_key: MakeKey) -> None:
    answer = anonymous.post("https://testserver/console/login", data={"key": make_key()}, follow_redirects=False)
    assert "secure" in answer.headers["set-cookie"].lower()


@ON_SQLITE
def test_logout_ends_the_session(browser: Browser) -> None:
    client = browser()
    token = client.cookies[COOKIE]
    fields = {"csrf_token": csrf_token(client.get("/console").text)}
    assert client.post("/console/logout", data=fields).headers["location"] == "/console/login"
    client.cookies.set(COOKIE, token, path="/console")
    assert client.get("/console").status_code == 303


def test_a_revoked_key_ends_its_sessions(browser: Browser, engine: Engine) -> None:
    client = browser()
    assert client.get("/console").status_code == 200
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        for key in api_keys.list_keys(session, owner):
            api_keys.revoke(session, owner, key["key_id"], now=datetime.now(UTC))
    assert client.get("/console").status_code == 303
    assert client.post("/console/login", data={"key": "xuelu_0a1b2c3d4e5f_guess"}).status_code == 401


def test_a_session_ends_when_idle_and_at_its_longest(engine: Engine, make_key: MakeKey) -> None:
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    token = make_key(at=start, lasts=timedelta(days=2))
    with transaction(engine) as session:
        key = api_keys.find(session, api_keys.key_id_of(token) or "")
        assert key is not None
        idle = console_sessions.open_session(session, key, now=start)
        assert console_sessions.identity_of(session, idle, now=start + console_sessions.MAX_IDLE) is None
        used, moment = console_sessions.open_session(session, key, now=start), start
        while moment < start + console_sessions.MAX_AGE - timedelta(minutes=20):
            moment += timedelta(minutes=20)
            identity = console_sessions.identity_of(session, used, now=moment)
            assert identity is not None
            assert identity.actor == key.key_id
        assert console_sessions.identity_of(session, used, now=start + console_sessions.MAX_AGE) is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("sent", "headers"),
    [("", {}), ("0" * 64, {}), ("é", {}), (None, {"sec-fetch-site": "cross-site"})],
)
def test_a_form_of_another_session_or_site_changes_nothing(
    browser: Browser, engine: Engine, served: dict[str, Any], sent: str | None, headers: dict[str, str]
) -> None:
    client = browser()
    own = csrf_token(client.get("/console").text)
    for path, method in ROUTES:
        if method == "POST" and path not in OPEN:
            fields = {"csrf_token": own if sent is None else sent, "reason": "x"}
            answer = client.post(address(path, served["run_id"]), data=fields, headers=headers)
            assert (path, answer.status_code) == (path, 403)
    assert actions(engine) == ["console.log_in"]


def test_another_organisation_sees_nothing_of_a_run(browser: Browser, engine: Engine, served: dict[str, Any]) -> None:
    client, run_id = browser(organisation="bakers"), served["run_id"]
    fields = {"csrf_token": csrf_token(client.get("/console").text), "reason": "x"}
    assert client.get(f"/console/runs/{run_id}").status_code == 404
    assert client.post(f"/console/runs/{run_id}/publish", data=fields).status_code == 404
    assert client.get("/console/member", params={"member_id": "d1"}).status_code in {404, 503}
    assert run_id[:8] not in client.get("/console/runs").text
    assert "runs.publish" not in actions(engine)


def test_a_run_is_published_with_the_audit_entry_of_the_command(
    browser: Browser, engine: Engine, served: dict[str, Any]
) -> None:
    client, run_id = browser("analytics:read", "runs:write"), served["run_id"]
    fields = {"csrf_token": csrf_token(client.get("/console").text), "reason": "checked by hand"}
    answer = client.post(f"/console/runs/{run_id}/publish", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/runs/{run_id}")
    assert actions(engine)[-1] == "runs.publish"
    for path, fault in ((run_id, "no run was published before"), ("earlier", "is not served any more")):
        refused = client.post(f"/console/runs/{path}/roll-back", data=fields)
        assert (refused.status_code, fault in refused.text) == (409, True), "a form sent twice goes back one run"


@ON_SQLITE
def test_a_body_that_is_no_form_is_refused(browser: Browser) -> None:
    client = browser()
    assert client.post("/console/logout", json={}).status_code == 415
    assert client.post("/console/logout", data={str(n): "x" for n in range(300)}).status_code == 400


def test_every_text_is_in_both_languages() -> None:
    assert {key for key, text in texts().items() if set(text) != {"en", "zh"} or not all(text.values())} == set()
