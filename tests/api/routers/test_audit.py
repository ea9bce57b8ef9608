"""Audit log over HTTP: for administrators, filtered, in pages."""

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import MakeKey
from tests.conftest import ON_SQLITE
from tests.together import together

pytestmark = pytest.mark.usefixtures("served")


def test_an_administrator_reads_the_log_in_pages_and_leaves_an_entry(client: TestClient) -> None:
    for number in range(3):
        assert client.put(f"/v1/items/x{number}", json={"title": "X", "format": "video"}).status_code == 201
    first = client.get("/v1/audit", params={"action": "items", "limit": 2})
    assert first.status_code == 200
    assert [entry["detail"]["item_id"] for entry in first.json()["entries"]] == ["x2", "x1"]
    second = client.get(first.links["next"]["url"])
    assert [entry["detail"]["item_id"] for entry in second.json()["entries"]] == ["x0"]
    assert "next" not in second.links
    newest = client.get("/v1/audit").json()
    assert [entry["action"] for entry in newest["entries"][:3]] == ["audit.read", "audit.read", "items.create"]
    head = client.get("/v1/audit", params={"limit": 1}).json()["head"]
    assert (head["sequence"], len(head["hash"])) == (newest["head"]["sequence"] + 1, 64)


def test_entries_are_filtered_by_member_actor_and_day(client: TestClient) -> None:
    assert client.get("/v1/members/d1/export").status_code == 200
    [entry] = client.get("/v1/audit", params={"member_id": "d1"}).json()["entries"]
    assert entry["action"] == "members.export"
    assert client.get("/v1/audit", params={"actor": entry["actor"], "action": "members"}).json()["entries"] == [entry]
    assert client.get("/v1/audit", params={"until": "2020-01-01"}).json()["entries"] == []
    assert client.get("/v1/audit", params={"member_id": "d2"}).json()["entries"] == []


@together("query", ["limit=0", "since=yesterday", "actors=x", "cursor=eA", "member_id=a%00", "actor=%00"])
@ON_SQLITE
def test_wrong_parameters_are_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/v1/audit?{query}").status_code == 400


@ON_SQLITE
def test_other_keys_do_not_read_the_log(anonymous: TestClient, make_key: MakeKey) -> None:
    token = make_key("analytics:read", "members:write")
    assert anonymous.get("/v1/audit", headers={"Authorization": f"Bearer {token}"}).status_code == 403
