"""Study events by HTTP."""

from typing import Any

import orjson
from sqlalchemy import Engine, func, select
from starlette.testclient import TestClient

from infra.catalog import organisations
from infra.db.core_tables import events as table
from infra.db.engine import transaction
from tests.api.conftest import MakeKey
from tests.conftest import ON_SQLITE
from tests.together import together

JSON = {"Content-Type": "application/json"}


def event(event_id: str | None = "e1", **changes: Any) -> dict[str, Any]:
    """Return a good event."""
    good = {"member_id": "d1", "item_id": "v5", "verb": "progressed", "occurred_at": "2026-03-02T08:00:00Z"}
    return {"event_id": event_id, **good, "progress": 0.3, **changes}


def stored(engine: Engine) -> int:
    """Return the number of events."""
    with transaction(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_every_event_is_answered_in_order(client: TestClient) -> None:
    answer = client.post("/v1/events", json={"events": [event("e2"), event("e1"), event("e2")]})
    assert answer.status_code == 200
    assert answer.json() == {
        "stored": 2,
        "duplicates": 1,
        "rejected": 0,
        "unresolved": 2,
        "results": [
            {"event_id": "e2", "status": "unresolved"},
            {"event_id": "e1", "status": "unresolved"},
            {"event_id": "e2", "status": "duplicate"},
        ],
    }
    again = client.post("/v1/events", json={"events": [event("e1")]})
    assert (again.status_code, again.json()["duplicates"]) == (200, 1)


def test_a_bad_event_refuses_the_batch_unless_partial_is_asked_for(client: TestClient, engine: Engine) -> None:
    batch = {"events": [event("e1"), event("e2", verb="watched"), event("e3")]}
    answer = client.post("/v1/events", json=batch)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    [fault] = answer.json()["errors"]
    assert (fault["row"], fault["field"], fault["value"]) == (1, "verb", "watched")
    assert "?partial=true" in answer.json()["detail"]
    assert stored(engine) == 0
    partial = client.post("/v1/events?partial=true", json=batch).json()
    assert (partial["stored"], partial["rejected"], partial["results"][1]["status"]) == (2, 1, "rejected")


def test_another_content_under_a_known_id_is_a_conflict(client: TestClient, engine: Engine) -> None:
    client.post("/v1/events", json={"events": [event("e1")]})
    batch = {"events": [event("e2"), event("e1", progress=0.9)]}
    answer = client.post("/v1/events", json=batch)
    assert (answer.status_code, answer.json()["errors"][0]["row"]) == (409, 1)
    assert stored(engine) == 1
    partial = client.post("/v1/events?partial=true", json=batch).json()
    assert [outcome["status"] for outcome in partial["results"]] == ["unresolved", "conflict"]


@ON_SQLITE
@together(
    ("body", "detail"),
    [
        (b"", "is empty"),
        (b"{", "is not JSON"),
        (b"[]", '"events"'),
        (b'{"events": 7}', '"events"'),
        (b'{"events": [], "more": 1}', '"events"'),
        (b'{"events": []}', "send 1 to 1,000"),
        (b'{"events": [' + b"{}," * 1000 + b"{}]}", "send 1 to 1,000"),
        (b'{"events": [], "events": [{}]}', "comes twice"),
        (b'{"events": [{"verb": "viewed", "verb" : "liked"}]}', "'verb' comes twice"),
        (b'{"events": [{"score": NaN}]}', "is not JSON"),
        (b'{"events": [{"score": 1e999}]}', "is not JSON"),
        (b'{"events": [{"member_id": "\\ud800"}]}', "is not JSON"),
        (b'{"events": [{"member_id": "\xff"}]}', "is not JSON"),
        (b'{"events": ' + b"[" * 101 + b"]" * 101 + b"}", "nested deeper than 100 levels"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_body_that_is_no_batch_says_why(client: TestClient, body: bytes, detail: str) -> None:
    answer = client.post("/v1/events", content=body, headers=JSON)
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]


@ON_SQLITE
def test_a_text_that_looks_like_keys_is_a_text(client: TestClient) -> None:
    batch = {"events": [event("e1", device='{"a": 1, "a": 2}', session_id='"verb":')]}
    assert client.post("/v1/events", json=batch).json()["stored"] == 1


def test_dismissed_items_are_gone_from_the_next_list(client: TestClient, served: dict[str, Any]) -> None:
    del served
    before = client.get("/v1/members/d1/push-list").json()
    first = before["items"][0]["item_id"]
    feedback = event("f1", item_id=first, verb="dismissed", progress=None, push_list_id=before["list_id"])
    assert client.post("/v1/events", json={"events": [feedback]}).status_code == 200
    after = client.get("/v1/members/d1/push-list").json()
    assert first not in [item["item_id"] for item in after["items"]]


def test_a_key_writes_into_its_own_organisation_and_needs_the_scope(
    anonymous: TestClient, make_key: MakeKey, engine: Engine
) -> None:
    batch = {"events": [event("e1")]}
    assert anonymous.post("/v1/events", json=batch).status_code == 401
    reader = {"Authorization": f"Bearer {make_key('lists:read')}"}
    assert anonymous.post("/v1/events", json=batch, headers=reader).status_code == 403
    assert stored(engine) == 0
    for organisation in ("default", "other"):
        writer = {"Authorization": f"Bearer {make_key('events:write', organisation=organisation)}"}
        assert anonymous.post("/v1/events", json=batch, headers=writer).json()["stored"] == 1
    assert stored(engine) == 2


def test_times_without_an_offset_are_in_the_organisations_zone_by_every_way_in(
    client: TestClient, engine: Engine
) -> None:
    with transaction(engine) as session:
        organisations.set_timezone(session, organisations.key_of(session, "default"), "Asia/Shanghai")
    local, utc = "2026-03-02T07:30:00", "2026-03-01T23:30:00Z"
    batch = [event("local", occurred_at=local), event("utc", occurred_at=utc), event("offset", occurred_at=f"{local}Z")]
    assert client.post("/v1/events", json={"events": batch}).json()["stored"] == 3
    with transaction(engine) as session:
        at = dict(session.execute(select(table.c.event_id, table.c.occurred_at)).all())
    assert at["local"] == at["utc"] < at["offset"]
    client.put("/v1/items/put", json={"published_at": local}).raise_for_status()
    client.put("/v1/items/patched", json={"published_at": utc}).raise_for_status()
    merge = {"Content-Type": "application/merge-patch+json"}
    client.patch("/v1/items/patched", content=orjson.dumps({"available_from": local}), headers=merge).raise_for_status()
    lines = orjson.dumps({"item_id": "bulk", "published_at": local})
    client.post("/v1/items/bulk", content=lines, headers={"Content-Type": "application/x-ndjson"}).raise_for_status()
    items = {name: client.get(f"/v1/items/{name}").json() for name in ("put", "patched", "bulk")}
    assert [item["published_at"] for item in items.values()] == [utc] * 3
    assert items["patched"]["available_from"] == utc
