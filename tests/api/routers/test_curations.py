"""Curations over HTTP."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.together import together

PIN = {"action": "pin", "items": ["new"], "target_roles": ["8"], "ends_at": "2199-01-01T00:00:00Z"}


def top(client: TestClient) -> str:
    return str(client.get("/v1/members/d1/push-list?n=1").json()["items"][0]["reason"]["code"])


@pytest.mark.usefixtures("served")
def test_a_curation_is_written_read_changed_listed_and_removed(client: TestClient) -> None:
    ranked = top(client)
    written = client.put("/v1/curations/news", json=PIN)
    assert written.status_code == 201
    stored = {name: value for name, value in written.json().items() if value not in (None, [])}
    assert stored == {"curation_id": "news", **PIN}
    assert top(client) == "pinned"

    etag = written.headers["ETag"]
    assert client.get("/v1/curations/news", headers={"If-None-Match": etag}).status_code == 304
    merge = {"Content-Type": "application/merge-patch+json", "If-Match": etag}
    changed = client.patch("/v1/curations/news", json={"target_roles": ["4"]}, headers=merge)
    assert changed.json()["target_roles"] == ["4"]
    assert client.patch("/v1/curations/news", json={}, headers=merge).status_code == 412
    assert top(client) == ranked, "d1 is no clerk"
    assert [row["curation_id"] for row in client.get("/v1/curations").json()["curations"]] == ["news"]
    assert client.delete("/v1/curations/news").status_code == 204
    assert client.delete("/v1/curations/news").status_code == 404
    audited = [entry["action"] for entry in client.get("/v1/audit").json()["entries"]]
    assert {"curations.create", "curations.change", "curations.remove"} <= {*audited}


@pytest.mark.usefixtures("served")
@together(
    ("change", "field"),
    [
        ({"items": ["v99"]}, "items"),
        ({"items": None}, "items"),
        ({"ends_at": None}, "ends_at"),
        ({"ends_at": "soon"}, "ends_at"),
        ({"action": "promote"}, "action"),
        ({"places": 2}, "places"),
        ({"target_units": ["South"]}, "target_units"),
    ],
)
def test_what_is_no_curation_is_refused_with_its_field(client: TestClient, change: dict[str, Any], field: str) -> None:
    refused = client.put("/v1/curations/c", json=PIN | change)
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [field]


@pytest.mark.usefixtures("served")
def test_the_rows_and_similar_items_keep_bans(client: TestClient) -> None:
    first = client.get("/v1/members/d1/push-list?n=1").json()["items"][0]["item_id"]
    client.put("/v1/curations/c", json={"action": "ban", "items": [first], "ends_at": "2199-01-01T00:00:00Z"})
    rows = client.get("/v1/members/d1/rows").json()["rows"]
    assert first not in [item["item_id"] for row in rows for item in row["items"]]
    for item_id in ("v1", "v2", "new"):
        assert first not in [item["item_id"] for item in client.get(f"/v1/items/{item_id}/similar").json()["items"]]
    lines = b"curation_id,action,items,ends_at\nc,ban,v1,2199-01-01\n"
    done = client.post("/v1/curations/bulk", content=lines, headers={"Content-Type": "text/csv"})
    assert done.json()["stored"] == 1
    assert client.get("/v1/members/d1/push-list?n=1").json()["items"][0]["item_id"] == first
