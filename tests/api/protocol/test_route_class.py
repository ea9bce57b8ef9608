"""Ids in addresses: an encoded slash is part of an id, whatever stands behind it."""

from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MERGE = {"Content-Type": "application/merge-patch+json"}
NAMES = ["saved", "rows", "similar", "export", "waivers", "a/b", "https://lms.example/saved/7", "a/similar", "x/export",
         "x/push-list", "x/push-list/changes", "x/rows", "x/waivers/y", "x/interests/y", "x/saved"]  # fmt: skip


@pytest.mark.parametrize(("kind", "key"), [("items", "item_id"), ("members", "member_id")])
def test_a_record_of_any_id_is_written_read_changed_and_removed(client: TestClient, kind: str, key: str) -> None:
    for name in NAMES:
        address = f"/v1/{kind}/{quote(name, safe='')}"
        created = client.put(address, json={})
        read, changed = client.get(address), client.patch(address, json={}, headers=MERGE)
        assert [answer.json()[key] for answer in (created, read, changed)] == [name] * 3
        assert client.delete(address).status_code in {200, 204}
        assert client.get(address).status_code == 404


def test_what_a_member_saved_and_deleted_has_the_id_that_was_sent(client: TestClient) -> None:
    member, item = "x/saved/y", "https://lms.example/saved/7"
    client.put(f"/v1/members/{quote(member, safe='')}", json={})
    client.put(f"/v1/items/{quote(item, safe='')}", json={"topics": ["a/interests/b"]})
    saved = f"/v1/members/{quote(member, safe='')}/saved"
    assert client.put(f"{saved}/{quote(item, safe='')}").json()["item_id"] == item
    assert [row["item_id"] for row in client.get(saved).json()["saved"]] == [item]
    assert client.delete(f"{saved}/{quote(item, safe='')}").status_code == 204


def test_slashes_as_they_are_stay_parts_of_paths_and_ids(client: TestClient) -> None:
    client.put("/v1/items/a/b", json={"title": "t"})
    assert client.get("/v1/items/a%2fb").json()["item_id"] == "a/b"
    assert client.put("/v1/items/a/b/similar", json={}).status_code == 405
    assert client.get("/v1/items/a/b/similar").status_code == 503, "no run is published"
