"""Publication and rollback of runs over HTTP: what is served changes at once, and the audit log says why."""

from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Engine, select, update
from starlette.testclient import TestClient

from infra.catalog import organisations
from infra.db.core_tables import runs
from infra.db.engine import transaction
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.api.conftest import MakeKey
from tests.audit_entries import audit_entries

CHECKS = [{"name": "lists change", "passed": False, "detail": ""}]


def served_run(client: TestClient) -> str:
    """Return the id of the run that a member's list is from."""
    return str(client.get("/v1/members/c1/push-list").json()["run_id"])


def test_runs_are_rolled_back_and_published_by_the_scope_for_it(
    client: TestClient, make_key: MakeKey, engine: Engine, settings: Settings, served: dict[str, Any], now: datetime
) -> None:
    alone = client.post("/v1/runs/rollback")
    assert (alone.status_code, "no run was published before" in alone.json()["detail"]) == (409, True)
    nowhere = {"Authorization": f"Bearer {make_key('runs:write', organisation='new')}"}
    assert client.post("/v1/runs/rollback", headers=nowhere).status_code == 409, "no outage"
    second = nightly(engine, settings, now=now + timedelta(hours=1))
    assert served_run(client) == second["run_id"]
    writer = {"Authorization": f"Bearer {make_key('runs:write')}"}
    assert client.post("/v1/runs/rollback", headers=writer).json()["run_id"] == served["run_id"]
    assert served_run(client) == served["run_id"]
    with engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.run_id == second["run_id"]).values(checks=CHECKS))
    publish = f"/v1/runs/{second['run_id'][:8]}/publish"
    refused = client.post(publish, json={}, headers=writer)
    assert (refused.status_code, "lists change; give a reason" in refused.json()["detail"]) == (409, True)
    published = client.post(publish, json={"reason": "meant"}, headers=writer)
    assert (published.status_code, published.json()["status"]) == (200, "published")
    assert served_run(client) == second["run_id"]
    for unknown in ("ffffffff", "a%00b"):
        assert client.post(f"/v1/runs/{unknown}/publish", json={}, headers=writer).status_code == 404
    with transaction(engine) as session:
        entries = [*audit_entries(session, organisations.key_of(session, "default"))]
        assert session.scalar(select(runs.c.published_at).where(runs.c.run_id == second["run_id"])) is not None
    # Reads of lists are written by a thread of their own, before or after.
    changes = [entry for entry in entries if entry["action"].startswith("runs.")]
    assert [entry["action"] for entry in changes] == ["runs.roll_back", "runs.publish"]
    assert all(entry["actor"] != "command line" for entry in changes)
    assert orjson.loads(changes[-1]["detail"])["reason"] == "meant"
