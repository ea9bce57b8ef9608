"""Saved items over HTTP: they hold with the next request on every door."""

import pytest
from starlette.testclient import TestClient


@pytest.mark.usefixtures("served")
def test_an_item_is_saved_listed_shown_and_taken_off(client: TestClient) -> None:
    last = client.get("/v1/members/d1/push-list?n=20").json()["items"][-1]["item_id"]

    saved = client.put(f"/v1/members/d1/saved/{last}")
    assert (saved.status_code, saved.json()["item_id"]) == (200, last)
    assert [row["item_id"] for row in client.get("/v1/members/d1/saved").json()["saved"]] == [last]
    shown = client.get("/v1/members/d1/push-list?n=20&language=en").json()["items"]
    assert [item["item_id"] for item in shown if item["reason"]["text"] == "You saved this for later"] == [last]
    rows = client.get("/v1/members/d1/rows?language=en").json()["rows"]
    assert [row["title"] for row in rows if row["code"] == "saved"] == ["Saved for later"]
    minutes = client.get("/v1/members/d1/push-list?minutes=600").json()["items"]
    assert last in [item["item_id"] for item in minutes if item["reason"]["code"] == "saved"]

    assert client.delete(f"/v1/members/d1/saved/{last}").status_code == 204
    assert client.delete(f"/v1/members/d1/saved/{last}").status_code == 404
    assert "saved" not in [row["code"] for row in client.get("/v1/members/d1/rows").json()["rows"]]


@pytest.mark.usefixtures("served")
def test_ids_with_slashes_and_unknown_ones(client: TestClient) -> None:
    assert client.put("/v1/items/https%3A%2F%2Fa.example%2F1", json={"title": "Ropes"}).status_code == 201
    assert client.put("/v1/members/d1/saved/https%3A%2F%2Fa.example%2F1").status_code == 200
    assert [row["item_id"] for row in client.get("/v1/members/d1/saved").json()["saved"]] == ["https://a.example/1"]
    assert client.put("/v1/members/d1/saved/v99").status_code == 404
    assert client.put("/v1/members/d99/saved/v1").status_code == 404
    assert client.get("/v1/members/d99/saved").status_code == 404
    held = client.get("/v1/members/d1/export").json()["tables"]["member_choices"]
    assert [row["value"] for row in held] == ["https://a.example/1"]
    assert client.delete("/v1/members/d1").json()["erased"]["member_choices"] == 1
