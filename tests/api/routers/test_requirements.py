"""Requirements and waivers over HTTP."""

from datetime import datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from api import dependencies
from content_catalog.requirements import RESERVED
from tests.together import together

RULES = {"items": ["new"], "target_roles": ["8"], "due_on": "2026-03-02"}


@pytest.mark.usefixtures("served")
def test_a_requirement_is_written_read_changed_listed_and_removed(client: TestClient) -> None:
    rules = {**RULES, "due_on": "2199-03-02"}
    written = client.put("/v1/requirements/rules", json=rules)
    assert written.status_code == 201
    assert {name: value for name, value in written.json().items() if value not in (None, [])} == {
        "requirement_id": "rules",
        **rules,
    }
    etag = written.headers["ETag"]
    assert client.get("/v1/requirements/rules", headers={"If-None-Match": etag}).status_code == 304
    merge = {"Content-Type": "application/merge-patch+json", "If-Match": etag}
    changed = client.patch("/v1/requirements/rules", json={"due_on": None, "days_after_joining": 3}, headers=merge)
    assert (changed.json()["due_on"], changed.json()["days_after_joining"]) == (None, 3)
    assert client.patch("/v1/requirements/rules", json={}, headers=merge).status_code == 412
    assert [row["requirement_id"] for row in client.get("/v1/requirements").json()["requirements"]] == ["rules"]
    assert client.delete("/v1/requirements/rules").status_code == 204
    assert client.delete("/v1/requirements/rules").status_code == 404


@pytest.mark.usefixtures("served")
@together(
    ("body", "field"),
    [
        ({"items": ["v99"], "due_on": "2026-03-02"}, "items"),
        ({"due_on": "2026-03-02"}, "items"),
        ({"items": ["v1"]}, "due_on"),
        ({"items": ["v1"], "due_on": "2026-03-02", "days_after_role": 3}, "due_on"),
        ({"items": ["v1"], "due_on": "soon"}, "due_on"),
        ({"items": ["v1"], "due_on": "2026-03-02", "target_units": ["South"]}, "target_units"),
    ],
)
def test_what_is_no_requirement_is_refused_with_its_field(client: TestClient, body: dict[str, Any], field: str) -> None:
    refused = client.put("/v1/requirements/r", json=body)
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [field]


@pytest.mark.usefixtures("served")
def test_a_day_that_has_passed_is_warned_of(client: TestClient) -> None:
    warning = "requirement 'late': due_on 2026-03-01 has passed; who has not met it is overdue at once"
    body = {"items": ["v1"], "due_on": "2026-03-01"}
    assert client.put("/v1/requirements/late", json=body).json()["warnings"] == [warning]
    later = client.put("/v1/requirements/late", json={**body, "due_on": "2199-03-02"})
    assert later.json()["warnings"] == []
    lines = b"requirement_id,items,due_on\nlate,v1,2026-03-01\n"
    done = client.post("/v1/requirements/bulk", content=lines, headers={"Content-Type": "text/csv"})
    assert done.json()["warnings"] == [warning]
    pin = {"action": "pin", "items": ["v1"], "ends_at": "2026-03-01T00:00:00Z"}
    [of_pin] = client.put("/v1/curations/old", json=pin).json()["warnings"]
    assert of_pin == "curation 'old': ends_at 2026-03-01T00:00:00Z has passed; it holds for no one"


@pytest.mark.usefixtures("served")
def test_the_ends_of_addresses_are_no_ids(client: TestClient) -> None:
    for name in RESERVED:
        assert client.put(f"/v1/requirements/{name}", json=RULES).status_code == 400


@pytest.mark.usefixtures("served")
def test_many_requirements_come_as_lines_that_are_whole(client: TestClient) -> None:
    lines = b"requirement_id,items,due_on,target_roles\na,v1;v2,2026-03-02,83\nb,v3,,\n"
    done = client.post("/v1/requirements/bulk", content=lines, headers={"Content-Type": "text/csv"})
    assert done.status_code == 400, "half of the lines are bad"
    done = client.post("/v1/requirements/bulk", content=lines[:-7], headers={"Content-Type": "text/csv"})
    assert done.json()["stored"] == 1
    again = b'{"requirement_id": "a", "items": ["v2"], "days_after_role": 4}\n'
    client.post("/v1/requirements/bulk", content=again, headers={"Content-Type": "application/x-ndjson"})
    stored = client.get("/v1/requirements/a").json()
    assert (stored["items"], stored["due_on"], stored["target_roles"], stored["days_after_role"]) == (
        ["v2"],
        None,
        [],
        4,
    )


@pytest.mark.usefixtures("served")
def test_the_service_shows_what_is_required_until_it_is_waived(client: TestClient) -> None:
    def top() -> str:
        return str(client.get("/v1/members/d1/push-list?n=1").json()["items"][0]["reason"]["code"])

    ranked = top()
    client.put("/v1/requirements/rules", json=RULES)
    assert top() == "overdue"
    waived = client.put("/v1/members/d1/waivers/rules", json={"reason": "ill"})
    assert waived.json()["reason"] == "ill"
    assert top() == ranked
    assert [row["requirement_id"] for row in client.get("/v1/members/d1/waivers").json()["waivers"]] == ["rules"]
    held = client.get("/v1/members/d1/export").json()["tables"]
    assert [row["requirement_id"] for row in held["waivers"]] == ["rules"]
    assert client.delete("/v1/members/d1/waivers/rules").status_code == 204
    assert client.delete("/v1/members/d1/waivers/rules").status_code == 404
    assert top() == "overdue"
    client.patch("/v1/members/d1", json={"role": "41"}, headers={"Content-Type": "application/merge-patch+json"})
    assert top() == ranked, "another role is not under it"
    client.put("/v1/members/d1/waivers/rules", json={})
    assert client.delete("/v1/members/d1").json()["erased"]["waivers"] == 1


@pytest.mark.usefixtures("served")
def test_requirements_at_risk_are_counted_by_unit(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    monkeypatch.setattr(dependencies, "clock", lambda: now)
    assert client.get("/v1/requirements/at-risk").json() == {"requirements": []}
    client.put("/v1/requirements/long", json={"items": ["v1"], "due_on": "2199-01-01"})
    assert client.get("/v1/requirements/at-risk").json() == {"requirements": []}
    client.put("/v1/requirements/soon", json={"items": ["drivers"], "target_roles": ["83"], "due_on": "2026-03-03"})
    rows = client.get("/v1/requirements/at-risk").json()["requirements"]
    counts = [("soon", None, 12, 12), ("soon", "North", 12, 12)]
    assert [(row["requirement_id"], row["unit"], row["members"], row["due"]) for row in rows] == counts, (
        "the depots would tell of the two members of North itself"
    )
