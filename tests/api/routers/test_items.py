"""Items over HTTP: made, replaced, changed, removed, paged, taken in bulk."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine
from starlette.testclient import TestClient

from infra.access import audit_log
from infra.catalog import organisations
from infra.db.engine import transaction
from tests.audit_entries import audit_entries
from tests.conftest import ON_SQLITE
from tests.together import together

PATCH = {"Content-Type": "application/merge-patch+json"}
ITEM = "/v1/items/https%3A%2F%2Flms.example%2Fknots"


def put(client: TestClient, **item: Any) -> Any:
    """Make an item and return the answer."""
    return client.put(ITEM, json=item)


def test_an_item_is_made_read_replaced_changed_and_removed(client: TestClient) -> None:
    created = put(client, title="Knots", topics=["safety", "ropes"], duration_seconds=90, target_roles=["83"])
    assert created.status_code == 201, created.text
    assert (created.json()["item_id"], created.json()["topics"]) == ("https://lms.example/knots", ["safety", "ropes"])
    read = client.get(ITEM)
    assert (read.status_code, read.json(), read.headers["ETag"]) == (200, created.json(), created.headers["ETag"])
    assert client.get(ITEM, headers={"If-None-Match": read.headers["ETag"]}).status_code == 304
    replaced = put(client, title="More knots", published_at="2026-01-01T08:00:00+08:00")
    assert (replaced.status_code, replaced.json()["topics"], replaced.json()["duration_seconds"]) == (200, [], None)
    assert replaced.json()["published_at"] == "2026-01-01T00:00:00Z"
    changed = client.patch(ITEM, json={"title": None, "format": "video", "topics": ["ropes"]}, headers=PATCH)
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in ("title", "format", "topics", "published_at")} == {
        "title": None,
        "format": "video",
        "topics": ["ropes"],
        "published_at": "2026-01-01T00:00:00Z",
    }
    assert len({answer.headers["ETag"] for answer in (created, replaced, changed)}) == 3
    assert client.delete(ITEM).status_code == 204
    assert client.get(ITEM).status_code == 404
    assert client.delete(ITEM).status_code == 404
    assert client.patch(ITEM, json={"title": "x"}, headers=PATCH).status_code == 404


def test_a_write_that_did_not_see_the_present_state_is_refused(client: TestClient) -> None:
    assert client.put(ITEM, json={}, headers={"If-Match": "*"}).status_code == 412
    first = client.put(ITEM, json={"title": "a"}, headers={"If-None-Match": "*"})
    assert first.status_code == 201
    assert client.put(ITEM, json={"title": "b"}, headers={"If-None-Match": "*"}).status_code == 412
    etag = first.headers["ETag"]
    second = client.patch(ITEM, json={"title": "c"}, headers={"If-Match": f'"other", {etag}'})
    assert second.status_code == 200
    for method, more in (("PUT", {"json": {}}), ("PATCH", {"json": {}}), ("DELETE", {})):
        refused = client.request(method, ITEM, headers={"If-Match": etag}, **more)
        assert (refused.status_code, refused.headers["content-type"]) == (412, "application/problem+json")
        assert second.headers["ETag"] in refused.json()["detail"]
    assert client.get(ITEM).json()["title"] == "c"


@together(
    ("body", "field", "reason"),
    [
        ({"format": "film"}, "format", "unknown; known: "),
        ({"duration_seconds": -1}, "duration_seconds", "outside 0..1e+07"),
        ({"target_roles": ["8x"]}, "target_roles", "unknown code '8x' in isco08"),
        ({"available_from": "tomorrow"}, "available_from", "not a time in ISO 8601"),
        ({"title": "a\u0000"}, "title", "holds a NUL character"),
        ({"title": "x" * 1001}, "title", "longer than 1000 characters"),
    ],
)
def test_what_a_file_may_not_hold_a_request_may_not_hold_either(
    client: TestClient, body: dict[str, Any], field: str, reason: str
) -> None:
    answer = put(client, **body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.json()["errors"][0]["reason"].startswith(reason)
    assert client.get(ITEM).status_code == 404


@together("body", [{"titel": "x"}, {"title": 3}, {"topics": ["a;b"]}, {"hidden": "maybe"}, [], "x"])
@ON_SQLITE
def test_bodies_of_another_shape_are_refused(client: TestClient, body: Any) -> None:
    assert client.put(ITEM, json=body).status_code == 400
    assert client.patch(ITEM, json=body, headers=PATCH).status_code in {400, 404}


def test_of_several_that_create_an_item_at_once_one_does(client: TestClient) -> None:
    def create(number: int) -> int:
        headers = {"If-None-Match": "*"}
        return client.put("/v1/items/new", json={"title": f"by {number}"}, headers=headers).status_code

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(create, range(8))) == [201, *[412] * 7]


def test_prerequisites_that_close_a_cycle_are_refused(client: TestClient) -> None:
    assert client.put("/v1/items/a", json={"prerequisites": ["b"]}).status_code == 201
    refused = client.put("/v1/items/b", json={"prerequisites": ["a"]})
    assert (refused.status_code, "form a cycle" in refused.json()["detail"]) == (409, True)
    assert client.get("/v1/items/b").status_code == 404


def test_a_hidden_item_is_gone_from_every_list_on_the_next_request(client: TestClient, served: dict[str, Any]) -> None:
    del served

    def listed() -> set[str]:
        items = client.get("/v1/members/c1/push-list?n=100").json()["items"]
        return {item["item_id"] for item in items}

    before = listed()
    gone = min(before)
    address = f"/v1/items/{quote(gone, safe='')}"
    assert client.patch(address, json={"hidden": True}, headers=PATCH).status_code == 200
    assert listed() == before - {gone}
    assert client.patch(address, json={"hidden": None}, headers=PATCH).status_code == 200
    assert listed() == before
    assert client.delete(address).status_code == 204
    assert listed() == before - {gone}


def test_items_come_in_pages_that_name_the_next_one(client: TestClient) -> None:
    for name in ("c", "a", "仓库", "b", "a/1"):
        client.put(f"/v1/items/{name}", json={"title": name, "text": "long"})
    address, seen, pages = "/v1/items?limit=2", [], 0
    while address:
        answer = client.get(address)
        assert answer.status_code == 200
        seen += [item["item_id"] for item in answer.json()["items"]]
        assert {item["text"] for item in answer.json()["items"]} == {None}
        address = answer.links.get("next", {}).get("url", "")
        pages += 1
    assert (sorted(seen), pages) == (sorted(["a", "a/1", "b", "c", "仓库"]), 3)
    assert len(set(seen)) == 5
    for wrong in ("/v1/items?cursor=%C3%A9", "/v1/items?cursor=__8", "/v1/items?limit=0", "/v1/items?page=2"):
        assert client.get(wrong).status_code == 400, wrong


def test_many_items_come_as_csv_or_json_lines_with_their_rejects(client: TestClient) -> None:
    lines = "item_id,title,format,shoe\n" + "".join(f"i{n},T{n},video,1\n" for n in range(30)) + "bad,x,film,1\n"
    csv = client.post("/v1/items/bulk", content=lines, headers={"Content-Type": "text/csv; charset=utf-8"})
    assert csv.status_code == 200, csv.text
    assert csv.json() == {
        "lines": 31,
        "stored": 30,
        "duplicates": 0,
        "rejected": 1,
        "rejects": [
            {"line": 32, "field": "format", "value": "film", "reason": csv.json()["rejects"][0]["reason"]},
        ],
        "unused_columns": ["shoe"],
        "warnings": [],
    }
    chinese = {"Content-Type": "text/csv; charset=gbk"}
    client.post("/v1/items/bulk", content="item_id,title\ngbk,仓库\n".encode("gbk"), headers=chinese)
    assert client.get("/v1/items/gbk").json()["title"] == "仓库"
    body = '{"item_id": "i1", "topics": ["a", "b"]}\n{"item_id": "new"}\n'
    ndjson = client.post("/v1/items/bulk", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert (ndjson.status_code, ndjson.json()["stored"]) == (200, 2)
    assert client.get("/v1/items/i1").json()["title"] == "T1", "columns that are not given stay"
    assert client.get("/v1/items/i1").json()["topics"] == ["a", "b"]


@together(
    ("content", "kind", "status", "detail"),
    [
        ("item_id,format\na,film\nb,film\n", "text/csv", 400, "the body: 2 of 2 lines are bad"),
        ("title\na\n", "text/csv", 400, "the body: items need the column item_id"),
        ("", "text/csv", 400, "the body is empty"),
        ("item_id,prerequisites\na,b\nb,a\n", "text/csv", 409, "form a cycle"),
        ("item_id\na\n", "text/plain", 415, "text/csv or application/x-ndjson"),
        ("item_id\na\n", "text/csv; charset=utf-7", 415, "send utf-8"),
        ("item_id\n库\n", "text/csv; charset=gb2312", 400, "the body is not gb2312"),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_whole(
    client: TestClient, content: str, kind: str, status: int, detail: str
) -> None:
    answer = client.post("/v1/items/bulk", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, detail in answer.json()["detail"]) == (status, True), answer.text
    assert client.get("/v1/items").json() == {"items": []}


def test_every_write_is_in_the_audit_log(client: TestClient, engine: Engine, now: datetime) -> None:
    del now
    put(client, title="Knots")
    put(client, title="Knots 2")
    client.patch(ITEM, json={"hidden": True}, headers=PATCH)
    client.post("/v1/items/bulk", content="item_id\na\n", headers={"Content-Type": "text/csv"})
    client.delete(ITEM)
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        done = [entry["action"] for entry in audit_entries(session, key)]
        assert audit_log.verify(session, key) == (len(done), None)
    written = [action for action in done if action.startswith("items.")]
    assert written == ["items.create", "items.replace", "items.change", "items.bulk_upsert", "items.remove"]
