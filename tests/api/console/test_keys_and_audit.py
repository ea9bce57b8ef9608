"""Screens of keys and of the audit log."""

import csv
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, update
from starlette.testclient import TestClient

from infra.access import api_keys, audit, audit_log
from infra.catalog import organisations
from infra.db.access_tables import audit_entries
from infra.db.engine import transaction
from tests.api.console.conftest import Browser, actions, csrf_token
from tests.conftest import ON_SQLITE


def post(client: TestClient, path: str, **fields: str) -> Any:
    """Send a form of the session."""
    token = csrf_token(client.get("/console/keys").text)
    return client.post(path, data={"csrf_token": token, **fields})


def keys_of(engine: Engine, organisation: str = "default") -> list[dict[str, Any]]:
    """Return the stored keys of an organisation."""
    with transaction(engine) as session:
        return api_keys.list_keys(session, organisations.key_of(session, organisation))


def test_a_key_is_made_shown_once_and_revoked(browser: Browser, engine: Engine) -> None:
    client = browser()
    fields = {"name": "study app", "scope.lists:read": "on", "scope.events:write": "on", "days": "30"}
    fields["key_id"] = re.findall(r'name="key_id" value="(\w+)"', client.get("/console/keys").text)[0]
    answer = post(client, "/console/keys", **fields)
    [token] = re.findall(r"xuelu_\w{12}_[\w-]+", answer.text)
    key_id = api_keys.key_id_of(token) or ""
    assert post(client, "/console/keys", **fields).status_code == 400, "a form that comes twice makes one key"
    assert len(keys_of(engine)) == 2
    listed = client.get("/console/keys", params={"language": "zh"}).text
    assert (key_id in listed, token in listed, "有效" in listed) == (True, False, True)
    with transaction(engine) as session:
        key = api_keys.find(session, key_id)
        assert key is not None
        assert key.accepts(token, now=datetime.now(UTC))
        assert key.scopes == {"lists:read", "events:write"}
    assert post(client, f"/console/keys/{key_id}/revoke").headers["location"] == "/console/keys"
    assert [row["revoked_at"] is not None for row in keys_of(engine)] == [False, True]
    assert actions(engine)[-2:] == ["keys.create", "keys.revoke"]


def test_revoking_the_own_key_ends_the_session(browser: Browser, engine: Engine) -> None:
    client = browser()
    [row] = keys_of(engine)
    assert post(client, f"/console/keys/{row['key_id']}/revoke").status_code == 303
    assert client.get("/console/keys").headers["location"] == "/console/login?next=%2Fconsole%2Fkeys"


@ON_SQLITE
@pytest.mark.parametrize(
    "fields",
    [
        {"name": "", "scope.lists:read": "on", "days": "1"},
        {"name": "x" * 300, "scope.lists:read": "on", "days": "1"},
        {"name": "x\0", "scope.lists:read": "on", "days": "1"},
        {"name": "x", "days": "1"},
        {"name": "x", "scope.root": "on", "days": "1"},
        {"name": "x", "scope.lists:read": "on", "days": "0"},
        {"name": "x", "scope.lists:read": "on", "days": "٣"},
        {"name": "x", "scope.lists:read": "on", "days": "99999"},
    ],
)
def test_a_key_that_cannot_be_made_is_a_bad_request(browser: Browser, engine: Engine, fields: dict[str, str]) -> None:
    refused = post(browser(), "/console/keys", **fields)
    assert refused.status_code == 400
    if "\0" not in fields["name"]:
        assert f'name="days" type="number" min="1" max="3650" value="{fields["days"]}"' in refused.text
        assert f'name="name" value="{fields["name"]}"' in refused.text, "what was filled in is kept"
        assert ('name="scope.lists:read" checked' in refused.text) == ("scope.lists:read" in fields)
    assert len(keys_of(engine)) == 1


def test_keys_and_entries_of_another_organisation_are_not_there(browser: Browser, engine: Engine) -> None:
    with transaction(engine) as session:
        owner = organisations.ensure(session, "couriers", now=datetime.now(UTC))
        key_id, _ = api_keys.create(session, owner, name="theirs", scopes=["admin"], now=datetime.now(UTC))
        audit.append(session, owner, actor="theirs", action="keys.create", subject=None, now=datetime.now(UTC))
    client = browser()
    assert "theirs" not in client.get("/console/keys").text + client.get("/console/audit").text
    assert post(client, f"/console/keys/{key_id}/revoke").status_code == 404
    assert keys_of(engine, "couriers")[0]["revoked_at"] is None


def test_the_log_is_searched_paged_and_downloaded(
    browser: Browser, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.operations.audit.PAGE_LENGTH", 2)
    client = browser()
    for name in ("a", "b", "=1+1"):
        post(client, "/console/keys", name=name, days="1", **{"scope.lists:read": "on"})
    page = client.get("/console/audit", params={"action": "keys", "actor": "", "since": "", "until": ""})
    assert (page.text.count(">keys.create</span>"), "Name: =1+1" in page.text) == (2, True)
    following = re.search(r'href="([^"]+)">Next page', page.text)
    assert following is not None
    last = client.get(following[1].replace("&amp;", "&")).text
    assert (last.count(">keys.create</span>"), "Next page" in last) == (1, False)
    rows = list(csv.DictReader(client.get("/console/audit.csv?action=keys").content.decode("utf-8-sig").splitlines()))
    assert len(rows) == 3
    assert "No entry matches" in client.get("/console/audit?since=2020-01-01&until=2020-01-02").text
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        reads = audit_log.page(session, key, audit_log.EntryFilter(action="audit.read"), limit=10)
    assert len(reads) == 4
    for query in ("since=0", "until=2026-02-30", "cursor=AA", "actor=%00"):
        assert client.get(f"/console/audit?{query}").status_code == 400


def test_the_chain_is_verified_against_a_head(browser: Browser, engine: Engine) -> None:
    client = browser()
    post(client, "/console/keys", name="a", days="1", **{"scope.lists:read": "on"})
    head = re.search(r"<code>(\d+:\w{64})</code>", client.get("/console/audit").text)
    assert head is not None
    assert "The chain holds" in post(client, "/console/audit", head=head[1]).text
    assert post(client, "/console/audit", head="7").status_code == 400
    with transaction(engine) as session:
        session.execute(update(audit_entries).where(audit_entries.c.sequence == 1).values(actor="<i>"))
    broken = post(client, "/console/audit", head="").text
    assert ("does not hold after entry 0" in broken, "entry 1 was changed" in broken) == (True, True)
