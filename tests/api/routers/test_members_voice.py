"""Members' own words: obeyed on the very next request on every door that shows a member's list."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.delivery.payloads import lists_to_push
from infra.runs import store as runs
from infra.serving import push_lists
from infra.serving.list_json import ListRequest

Doors = Callable[[], dict[str, list[str]]]


@pytest.fixture
def doors(client: TestClient, engine: Engine, now: datetime) -> Doors:
    """Return what shows a member's list on each door: the ids of its items."""

    def shown() -> dict[str, list[str]]:
        address = "/v1/members/d1"
        lists = {query: client.get(f"{address}/push-list?{query}").json() for query in ("n=100", "minutes=600")}
        rows = client.get(f"{address}/rows?n=100").json()["rows"]
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            claim = {"organisation_key": key, "delivery_key": 1, "member_id": "d1"}
            claim["run_key"] = runs.latest(session, key)["run_key"]
            lists["pushed"] = lists_to_push(session, [claim], n=100, now=now)[1]
            lists["on the command line"] = push_lists.shown(session, key, "d1", ListRequest(n=100, now=now))
        doors = {name: [item["item_id"] for item in body["items"]] for name, body in lists.items()}
        return doors | {"rows": [item["item_id"] for row in rows for item in row["items"]]}

    return shown


@pytest.mark.usefixtures("served")
def test_every_door_obeys_the_next_moment(client: TestClient, doors: Doors) -> None:
    ranked = doors()["n=100"]
    dismissed, disliked, saved = ranked[0], ranked[1], ranked[-1]
    events = [
        {"member_id": "d1", "item_id": item_id, "verb": verb, "occurred_at": "2026-03-02T01:20:00Z"}
        for item_id, verb in ((dismissed, "dismissed"), (disliked, "disliked"))
    ]
    assert client.post("/v1/events", json={"events": events}).status_code == 200
    for door, item_ids in doors().items():
        assert not {dismissed, disliked} & {*item_ids}, door

    assert client.put(f"/v1/members/d1/saved/{quote(saved, safe='')}").status_code == 200
    assert client.put(f"/v1/members/d1/saved/{dismissed}").status_code == 200
    for door, item_ids in doors().items():
        if door != "minutes=600":
            assert item_ids.index(saved) < len(ranked) - 1, door
            assert dismissed in item_ids, f"{door}: saved after it was dismissed"

    topics = client.get(f"/v1/items/{ranked[2]}").json()["topics"]
    merge = {"Content-Type": "application/merge-patch+json"}
    assert client.patch("/v1/members/d1", json={"less_topics": topics}, headers=merge).status_code == 200
    for door, item_ids in doors().items():
        others = [item_id for item_id in item_ids if item_id not in {saved, dismissed}]
        less = [
            {*client.get(f"/v1/items/{quote(item_id, safe='')}").json()["topics"]} & {*topics} for item_id in others
        ]
        if door not in {"rows", "minutes=600"}:
            assert [*map(bool, less)] == sorted(map(bool, less)), door
