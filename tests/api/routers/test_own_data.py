"""Everything held about a member over HTTP: exported, erased, with a receipt."""

from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from infra.access import audit
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.privacy import receipts
from infra.settings.settings import Settings
from tests.api.operations import KEYED
from tests.audit_entries import audit_entries

KEY = receipts.new_key()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with a key for receipts."""
    return settings.model_copy(update={"receipt_key": KEY})


def test_a_member_gets_everything_that_is_held(client: TestClient, engine: Engine, served: dict[str, Any]) -> None:
    held = client.get("/v1/members/c1/export")
    assert held.status_code == 200
    export = held.json()
    assert set(export) == {"member_id", "exported_at", "tables", "push_lists", "statements", "attachments", "audit"}
    assert [row["member_id"] for row in export["tables"]["members"]] == ["c1"]
    assert {row["member_id"] for row in export["tables"]["events"]} == {"c1"}
    assert export["tables"]["events"][0]["occurred_at"].endswith("Z")
    assert export["push_lists"][0]["entries"][0]["item_id"]
    assert "audit_subjects" not in export["tables"]
    assert client.get("/v1/members/c1/export").json()["audit"][-1]["action"] == "members.export"
    assert client.get("/v1/members/nobody/export").status_code == 404
    assert served["run_id"] in {row["run_id"] for row in [served]}
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        who = audit.subjects(session, key, ["c1"])["c1"]
        assert [e["action"] for e in audit_entries(session, key) if e["subject"] == who] == ["members.export"] * 2


def test_each_read_of_a_member_is_in_the_audit_log(client: TestClient, engine: Engine, served: dict[str, Any]) -> None:
    del served
    paths = {path for verb, path, _ in KEYED if verb == "get" and path.startswith("/v1/members/{member_id}")}
    paths -= {"/v1/members/{member_id}/push-list/changes"}  # reads of lists that need the models of a night
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
    for path in [*paths, "/v1/members", "/v1/items/v1/similar?member_id={member_id}"]:
        assert client.get(path.format(member_id="d1")).status_code == 200, path
        client.app.state.audit_buffer.flush()  # type: ignore[attr-defined]  # the app is any ASGI app to the client
        with transaction(engine) as session:
            subject = audit.subjects(session, key, ["d1"])["d1"]
            entry = audit_entries(session, key)[-1]
        assert subject in f"{entry['subject']} {entry['detail']}", path


def test_what_is_attached_to_statements_of_a_member_is_told_too(client: TestClient, served: dict[str, Any]) -> None:
    del served
    attached = {"usageType": "u:1", "display": {"en": "N"}, "contentType": "text/plain", "length": 2, "sha2": "ab" * 32}
    for name in ("c1", "c2"):
        statement = {
            "actor": {"mbox": f"mailto:{name}@example.org"},
            "verb": {"id": "http://example.org/wrote"},
            "object": {"id": "https://lms.example/notes/1"},
            "attachments": [attached],
        }
        body = b"--e\r\nContent-Type: application/json\r\n\r\n" + orjson.dumps(statement)
        body += f"\r\n--e\r\nX-Experience-API-Hash: {'ab' * 32}\r\n\r\n{name}\r\n--e--".encode()
        headers = {"X-Experience-API-Version": "1.0.3", "Content-Type": "multipart/mixed; boundary=e"}
        assert client.post("/xAPI/statements", content=body, headers=headers).status_code == 200
    assert client.put("/v1/members/c1@example.org", json={"language": "en"}).status_code == 201
    export = client.get("/v1/members/c1@example.org/export").json()
    (attachment,) = export["attachments"]
    assert (attachment["statement_id"], attachment["sha2"]) == (export["statements"][0]["id"], "ab" * 32)
    assert b64decode(attachment["content"]) == b"c1"


def test_an_erased_member_is_unknown_and_the_receipt_holds(client: TestClient, served: dict[str, Any]) -> None:
    del served
    before = datetime.now(UTC).timestamp()
    etag = client.get("/v1/members/c1").headers["ETag"]
    assert client.delete("/v1/members/c1", headers={"If-Match": '"other"'}).status_code == 412
    done = client.delete("/v1/members/c1", headers={"If-Match": etag})
    assert done.status_code == 200, done.text
    claims = receipts.verify(done.json()["receipt"], str(KEY))
    assert (claims["sub"], claims["organisation"], claims["erased"]) == ("c1", "default", done.json()["erased"])
    assert claims["iat"] >= int(before)
    assert {"members", "events", "lists"} <= set(claims["erased"])
    for address in ("/v1/members/c1", "/v1/members/c1/export", "/v1/members/c1/push-list"):
        assert client.get(address).status_code == 404, address
    assert client.delete("/v1/members/c1").status_code == 404
