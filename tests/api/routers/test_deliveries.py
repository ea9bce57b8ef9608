"""Deliveries over HTTP: pages, queues, attempts, dropping and sending again."""

import orjson
import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from infra.db.access_tables import audit_entries
from infra.db.delivery_tables import deliveries
from infra.db.engine import transaction
from tests.api.conftest import MakeKey
from tests.jobs.delivery.delivery_setup import DeliverySetup

MEMBERS = 23


def finish(setup: DeliverySetup, number: int, status: str, reason: str | None = None) -> str:
    """Set the status of the n-th delivery and return its id."""
    with transaction(setup.engine) as session:
        query = select(deliveries.c.delivery_id).order_by(deliveries.c.delivery_key).limit(1).offset(number)
        delivery_id = str(session.scalar(query))
        change = update(deliveries).where(deliveries.c.delivery_id == delivery_id)
        session.execute(change.values(status=status, reason=reason, finished_at=setup.now, attempts=1))
    return delivery_id


def test_pages_hold_every_delivery_once(setup: DeliverySetup, client: TestClient) -> None:
    del setup
    address, pages = "/v1/deliveries?limit=10", []
    while address:
        answer = client.get(address)
        pages.append([row["delivery_id"] for row in answer.json()["deliveries"]])
        address = answer.links.get("next", {}).get("url")
    ids = [delivery_id for page in pages for delivery_id in page]
    assert [len(page) for page in pages] == [10, 10, 3]
    assert len(set(ids)) == MEMBERS


def test_dead_letters_are_filtered_and_come_with_their_reason(setup: DeliverySetup, client: TestClient) -> None:
    dead = finish(setup, 4, "dead", "HTTP 500")
    listed = client.get("/v1/deliveries?status=dead").json()["deliveries"]
    assert [(row["delivery_id"], row["reason"]) for row in listed] == [(dead, "HTTP 500")]
    assert client.get(f"/v1/deliveries?endpoint_id={listed[0]['endpoint_id']}").json()["deliveries"] != []
    assert client.get("/v1/deliveries?endpoint_id=ep_none").json() == {"deliveries": []}
    [queue] = client.get("/v1/deliveries/queue").json()["queues"]
    assert (queue["endpoint_id"], queue["dead"]) == (listed[0]["endpoint_id"], 1)
    assert queue["pending"] == MEMBERS - 1
    assert client.get(f"/v1/deliveries/{dead}").json()["tries"] == []


def test_a_dead_delivery_is_dropped_once_and_sent_again(setup: DeliverySetup, client: TestClient) -> None:
    dead = finish(setup, 0, "dead", "HTTP 500")
    assert client.post(f"/v1/deliveries/{dead}/drop").json()["status"] == "dropped"
    twice = client.post(f"/v1/deliveries/{dead}/drop")
    assert (twice.status_code, "dropped already" in twice.json()["detail"]) == (409, True)
    assert client.post(f"/v1/deliveries/{dead}/redeliver").json()["status"] == "pending"
    waiting = client.post(f"/v1/deliveries/{dead}/redeliver")
    assert (waiting.status_code, "is pending" in waiting.json()["detail"]) == (409, True)
    with transaction(setup.engine) as session:
        actions = session.scalars(select(audit_entries.c.action).order_by(audit_entries.c.sequence)).all()
    assert [action for action in actions if action.startswith("deliveries")] == [
        "deliveries.drop", "deliveries.redeliver",
    ]  # fmt: skip


def test_looking_at_deliveries_is_audited_by_member(setup: DeliverySetup, client: TestClient) -> None:
    looked_at = {row["member_id"] for row in client.get("/v1/deliveries?limit=2").json()["deliveries"]}
    client.app.state.audit_buffer.flush()  # type: ignore[attr-defined]  # the app is any ASGI app to the client
    with transaction(setup.engine) as session:
        read = select(audit_entries.c.detail).where(audit_entries.c.action == "deliveries.read")
        audited = {subject for detail in session.scalars(read) for subject in orjson.loads(detail)["subjects"]}
        assert len(audited) == len(looked_at) > 1  # subjects are stored as hashes


@pytest.mark.parametrize("cursor", ["YQ", "MjAyNi0wMy0wMg", "____"])
def test_a_cursor_of_no_page_is_a_bad_request(client: TestClient, cursor: str) -> None:
    assert client.get(f"/v1/deliveries?cursor={cursor}").status_code == 400


def test_deliveries_of_others_are_unknown_and_only_administrators_look(
    setup: DeliverySetup, anonymous: TestClient, make_key: MakeKey
) -> None:
    delivery_id = finish(setup, 0, "dead")
    stranger = {"Authorization": f"Bearer {make_key(organisation='bakers')}"}
    analyst = {"Authorization": f"Bearer {make_key('analytics:read')}"}
    for method, path in (("GET", ""), ("POST", "/drop"), ("POST", "/redeliver")):
        address = f"/v1/deliveries/{delivery_id}{path}"
        assert anonymous.request(method, address, headers=stranger).status_code == 404
        assert anonymous.request(method, address, headers=analyst).status_code == 403
    assert anonymous.get("/v1/deliveries", headers=stranger).json() == {"deliveries": []}
    assert anonymous.get("/v1/deliveries/queue", headers=stranger).json() == {"queues": []}
    assert anonymous.get("/v1/deliveries/a%00b", headers=stranger).status_code == 404
