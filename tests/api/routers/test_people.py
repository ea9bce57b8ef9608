"""Members, units and taxonomies over HTTP."""

from typing import Any

from sqlalchemy import Engine
from starlette.testclient import TestClient

from infra.access import audit
from infra.catalog import organisations
from infra.db.engine import transaction
from tests.audit_entries import audit_entries
from tests.conftest import ON_SQLITE
from tests.together import together

PATCH = {"Content-Type": "application/merge-patch+json"}


def test_a_member_is_made_read_changed_and_listed(client: TestClient, engine: Engine) -> None:
    body = {"units": ["North/Depot 3", "Sales"], "role": "83", "joined_on": "2025-03-01", "personalised": True}
    created = client.put("/v1/members/m1", json=body)
    assert (created.status_code, created.json()["joined_on"]) == (201, "2025-03-01")
    changed = client.patch("/v1/members/m1", json={"role": None}, headers=PATCH | {"If-Match": created.headers["ETag"]})
    assert (changed.status_code, changed.json()) == (200, created.json() | {"role": None})
    assert client.get("/v1/members/m1").json() == changed.json()
    assert client.get("/v1/members").json() == {"members": [changed.json()]}
    assert client.put("/v1/members/m2", json={"industry": "no"}).status_code == 400
    taken = client.post("/v1/members/bulk", content="member_id,role\nm2,83\n", headers={"Content-Type": "text/csv"})
    assert (taken.status_code, taken.json()["stored"]) == (200, 1)
    assert client.put("/v1/members/m2", json={"role": "93"}).status_code == 200
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        who = audit.subjects(session, key, ["m1"])["m1"]
        actions = [(entry["action"], entry["subject"] == who) for entry in audit_entries(session, key)]
    assert [action for action in actions if action[1]] == [("members.create", True), ("members.change", True)]


def test_switching_personalisation_off_is_effective_in_the_next_list(
    client: TestClient, served: dict[str, Any]
) -> None:
    del served
    address = "/v1/members/c1/push-list?n=100"
    assert client.get(address).json()["strategy"] == "history"
    assert client.patch("/v1/members/c1", json={"personalised": False}, headers=PATCH).status_code == 200
    off = client.get(address).json()
    assert off["strategy"] == "popular"
    assert "because_finished" not in {item["reason"]["code"] for item in off["items"]}
    assert off["items"]
    assert client.patch("/v1/members/c1", json={"personalised": True}, headers=PATCH).status_code == 200
    assert client.get(address).json()["strategy"] == "history"


def test_units_are_a_tree_of_named_paths_and_of_those_that_members_are_in(client: TestClient) -> None:
    client.put("/v1/members/m1", json={"units": ["North/Depot 3", "Sales"]})
    client.put("/v1/members/m2", json={"units": ["North/Depot 4"]})
    answer = client.put("/v1/units/North/Depot%203", json={"name_en": "Depot 3", "name_zh": "三号仓库"})
    assert answer.status_code == 200, "members were in it already"
    assert client.put("/v1/units/South/Depot%209", json={"name_en": "Depot 9"}).status_code == 201
    listed = client.get("/v1/units").json()["units"]
    assert [(unit["unit"], unit["parent"], unit["members"]) for unit in listed] == [
        ("North", None, 2),
        ("North/Depot 3", "North", 1),
        ("North/Depot 4", "North", 1),
        ("Sales", None, 1),
        ("South", None, 0),
        ("South/Depot 9", "South", 0),
    ]
    assert client.get("/v1/units/North/Depot%203").json() == listed[1] == answer.json()
    changed = client.patch("/v1/units/North/Depot%203", json={"name_en": None}, headers=PATCH)
    assert (changed.json()["name_en"], changed.json()["name_zh"]) == (None, "三号仓库")
    first = client.get("/v1/units?limit=4")
    assert [unit["unit"] for unit in client.get(first.links["next"]["url"]).json()["units"]] == [
        "South",
        "South/Depot 9",
    ]
    client.put("/v1/items/i", json={"target_units": ["South/Depot 9"]})
    for used in ("North", "Sales", "South", "South/Depot%209"):
        assert client.delete(f"/v1/units/{used}").status_code == 409, used
    client.delete("/v1/items/i")
    assert client.delete("/v1/units/South/Depot%209", headers={"If-Match": '"x"'}).status_code == 412
    assert client.delete("/v1/units/South/Depot%209").status_code == 204
    for method in ("GET", "DELETE"):
        assert client.request(method, "/v1/units/South").status_code == 404
    assert client.patch("/v1/units/East", json={}, headers=PATCH).status_code == 404


@ON_SQLITE
@together("path", ["a//b", "a;b", "%20a", "a/", "x%00", "%2E%2E", "a/%2E", "x" * 1001])
def test_what_is_no_path_of_a_unit_is_refused(client: TestClient, path: str) -> None:
    answer = client.put(f"/v1/units/{path}", json={})
    assert (answer.status_code, "not a path of a unit" in answer.json()["detail"]) == (400, True)


def test_units_come_in_bulk_and_bad_lines_as_rejects(client: TestClient) -> None:
    client.put("/v1/units/North", json={"name_en": "North", "name_zh": "北区"})
    lines = "unit,name_en\nNorth,Far North\nNorth/Depot 3,Depot 3\nNorth/Depot 3,Depot 3\n" + "".join(
        f"East/{number},\n" for number in range(40)
    )
    taken = client.post("/v1/units/bulk", content=lines + "a//b,x\n,x\n", headers={"Content-Type": "text/csv"}).json()
    assert {name: taken[name] for name in ("lines", "stored", "duplicates", "rejected")} == {
        "lines": 45, "stored": 42, "duplicates": 1, "rejected": 2,
    }  # fmt: skip
    assert [(reject["line"], reject["field"]) for reject in taken["rejects"]] == [(45, "unit"), (46, "unit")]
    again = client.post("/v1/units/bulk", content="unit\nNorth\n", headers={"Content-Type": "text/csv"}).json()
    assert (again["lines"], again["stored"], again["duplicates"]) == (1, 0, 1)
    north = client.get("/v1/units/North").json()
    assert (north["name_en"], north["name_zh"]) == ("Far North", "北区")
    assert client.get("/v1/units/North/Depot%203").json()["name_en"] == "Depot 3"
    refused = client.post("/v1/units/bulk", content="unit\na;b\nSouth\n", headers={"Content-Type": "text/csv"})
    assert refused.status_code == 400
    assert client.get("/v1/units/South").status_code == 404


@ON_SQLITE
def test_a_name_of_a_unit_without_nul(client: TestClient) -> None:
    assert client.put("/v1/units/a", json={"name_en": "\u0000"}).status_code == 400


def test_a_shipped_taxonomy_becomes_the_organisations_own_with_its_first_change(client: TestClient) -> None:
    listed = client.get("/v1/taxonomies/role?limit=1000").json()
    assert (
        listed["own"],
        {"code": "83", "parent": "8"}.items() <= next(code for code in listed["codes"] if code["code"] == "83").items(),
    ) == (False, True)
    created = client.put("/v1/taxonomies/role/codes/83r", json={"parent": "83", "name_en": "Riders"})
    assert (created.status_code, created.json()["name_zh"]) == (201, None)
    changed = client.patch("/v1/taxonomies/role/codes/83r", json={"name_zh": "骑手"}, headers=PATCH)
    assert changed.json() == {"code": "83r", "parent": "83", "name_en": "Riders", "name_zh": "骑手"}
    again = client.put(
        "/v1/taxonomies/role/codes/83r", json={"parent": "83"}, headers={"If-Match": created.headers["ETag"]}
    )
    assert again.status_code == 412
    assert client.get("/v1/taxonomies/role/codes/83r").json() == changed.json()
    own = client.get("/v1/taxonomies/role?limit=1000").json()
    assert (own["own"], len(own["codes"])) == (True, len(listed["codes"]) + 1)
    assert client.put("/v1/members/m1", json={"role": "83r"}).status_code == 201
    assert client.delete("/v1/taxonomies/role/codes/83r").status_code == 409
    assert client.delete("/v1/taxonomies/role/codes/83").status_code == 409
    client.delete("/v1/members/m1")
    assert client.delete("/v1/taxonomies/role/codes/83r").status_code == 204
    assert client.get("/v1/taxonomies/role/codes/83r").status_code == 404
    assert client.delete("/v1/taxonomies/role").json()["unknown_codes"] == []
    assert client.get("/v1/taxonomies/role").json()["own"] is False


@together(
    ("code", "body"),
    [("a", {"parent": "nowhere"}), ("a", {"parent": "a"}), ("a;b", {}), ("%20a", {}), ("8", {"parent": "83"})],
)
@ON_SQLITE
def test_a_code_that_breaks_the_taxonomy_is_refused(client: TestClient, code: str, body: dict[str, str]) -> None:
    assert client.put(f"/v1/taxonomies/role/codes/{code}", json=body).status_code == 400
    assert client.get("/v1/taxonomies/role").json()["own"] is False


def test_a_taxonomy_comes_whole_as_a_file(client: TestClient) -> None:
    csv = {"Content-Type": "text/csv"}
    client.put("/v1/members/m1", json={"industry": "60"})
    client.put("/v1/items/i1", json={"target_industries": ["60", "G"]})
    client.put("/v1/items/i2", json={})
    required = {"items": ["i1"], "target_industries": ["60"], "due_on": "2026-06-30"}
    assert client.put("/v1/requirements/r1", json=required).status_code == 201
    replaced = client.put("/v1/taxonomies/industry", content="code,parent,name_zh\nfood,,外卖\n", headers=csv)
    assert (replaced.status_code, replaced.json()) == (
        200,
        {
            "members_with_unknown_codes": 1, "items_with_unknown_codes": 1, "requirements_with_unknown_codes": 1,
            "curations_with_unknown_codes": 0,
            "unknown_codes": ["60", "G"],
        },
    )  # fmt: skip
    assert client.get("/v1/taxonomies/industry").json() == {
        "own": True,
        "codes": [{"code": "food", "parent": None, "name_en": None, "name_zh": "外卖"}],
    }
    for record in ("members/m1", "items/i1", "requirements/r1"):
        assert client.patch(f"/v1/{record}", json={}, headers=PATCH).status_code == 200
    off = client.patch("/v1/members/m1", json={"personalised": False}, headers=PATCH)
    assert (off.status_code, off.json()["industry"]) == (200, "60"), "no code that came before keeps a right away"
    assert client.patch("/v1/members/m1", json={"industry": "60"}, headers=PATCH).status_code == 400
    broken = client.put("/v1/taxonomies/industry", content="code,parent,name_en\na,b,A\nb,a,B\n", headers=csv)
    assert (broken.status_code, "the body, line" in broken.json()["detail"]) == (400, True)
    assert client.put("/v1/taxonomies/sector", content="", headers=csv).status_code == 400
